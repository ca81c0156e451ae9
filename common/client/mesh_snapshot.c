#include "mesh_snapshot.h"

#include "crypto/canonical.h"
#include "wire/mesh_statement.h"

/* When a key was sovereign, by the sovereigns' own timestamps. Keys the reader trusts from the start have been so for ever. */
struct reign {
	struct str key;
	int64_t from, until;
};

struct checking {
	const struct mesh_trust *trust;
	const struct mesh_snapshot *doc;
	struct arena *arena;
	struct error *err;
	struct reign *reigns;
	size_t reign_count;
};

static bool signed_by(const char *what, struct str message, struct str key, struct str signature, struct error *err)
{
	struct ed25519_public k;
	struct ed25519_signature s;
	if (!ed25519_public_from_text(key, KEY_WRITTEN, &k, err) || !ed25519_signature_from_text(signature, KEY_WRITTEN, &s, err))
		return false;
	return ed25519_verify_message(&s, &k, message) || error_set(err, ERR_BAD_SIGNATURE, "The signature of %s does not verify.", what);
}

/* Reads one piece of evidence and checks its signatures; rotations carry two. */
static bool open_evidence(struct checking *k, const struct mesh_evidence *e, const char *what, struct mesh_statement *out)
{
	if (!mesh_statement_parse(e->message, out, k->arena, k->err))
		return false;
	if (str_present(out->network) && !str_equal(out->network, k->doc->network))
		return error_set(k->err, ERR_WRONG_NETWORK, "The evidence of %s is of network '%.*s'.", what, STR_ARG(out->network));
	if (!signed_by(what, e->message, e->public_key, e->signature, k->err))
		return false;
	if (out->kind != STATEMENT_SOVEREIGN_ROTATE && out->kind != STATEMENT_NODE_ROTATE)
		return true;
	if (!str_equal(e->public_key, out->public_key) || !str_present(e->new_signature))
		return error_set(k->err, ERR_BAD_SIGNATURE, "The rotation of %s is not signed by both of its keys.", what);
	return signed_by(what, e->message, out->new_key, e->new_signature, k->err);
}

/* Sovereigns. */

static struct reign *reign_at(struct checking *k, struct str key, int64_t when)
{
	for (size_t i = 0; i < k->reign_count; i++) {
		struct reign *r = &k->reigns[i];
		if (str_equal(r->key, key) && when >= r->from - MESH_SOVEREIGN_SLACK_MS && when - MESH_SOVEREIGN_SLACK_MS <= r->until)
			return r;
	}
	return NULL;
}

static void crown(struct checking *k, struct str key, int64_t from)
{
	if (!reign_at(k, key, INT64_MAX / 2))
		k->reigns[k->reign_count++] = (struct reign){key, from, INT64_MAX};
}

static void dethrone(struct checking *k, struct str key, int64_t when)
{
	for (size_t i = 0; i < k->reign_count; i++)
		if (str_equal(k->reigns[i].key, key) && k->reigns[i].until == INT64_MAX)
			k->reigns[i].until = when;
}

static struct str written(struct checking *k, const struct ed25519_public *key)
{
	char z[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(key, z);
	return arena_copy(k->arena, str_from(z));
}

/*
 * Who was sovereign when, from the trusted keys on. The first keys of a network are vouched for by the coordinator only, so they count when the
 * reader trusts them itself. A reader that trusts only the newer key of a rotation trusts the older one too: the newer signed that it takes its
 * place.
 */
static bool build_reigns(struct checking *k)
{
	size_t n = k->doc->sovereigns.count;
	const struct mesh_evidence *evidence = k->doc->sovereigns.items;
	struct mesh_statement *st = arena_zalloc(k->arena, n, sizeof *st);
	for (size_t i = 0; i < n; i++)
		if (!open_evidence(k, &evidence[i], "a change of the sovereign keys", &st[i]))
			return false;

	k->reigns = arena_zalloc(k->arena, k->trust->key_count + 2 * n, sizeof *k->reigns);
	for (size_t i = 0; i < k->trust->key_count; i++)
		crown(k, written(k, &k->trust->keys[i]), 0);
	for (size_t i = n; i-- > 0;)
		if (st[i].kind == STATEMENT_SOVEREIGN_ROTATE && reign_at(k, st[i].new_key, st[i].timestamp))
			crown(k, st[i].public_key, 0);

	for (size_t i = 0; i < n; i++) {
		struct str by = evidence[i].public_key;
		if (st[i].kind == STATEMENT_SOVEREIGN_INIT || !reign_at(k, by, st[i].timestamp))
			continue; /* nobody we trust says so */
		if (st[i].kind == STATEMENT_SOVEREIGN_ADD) {
			crown(k, st[i].public_key, st[i].timestamp);
		} else if (st[i].kind == STATEMENT_SOVEREIGN_REMOVE) {
			dethrone(k, st[i].public_key, st[i].timestamp);
		} else if (st[i].kind == STATEMENT_SOVEREIGN_ROTATE) {
			dethrone(k, st[i].public_key, st[i].timestamp);
			crown(k, st[i].new_key, st[i].timestamp);
		}
	}
	return true;
}

static struct json_list reigning(struct checking *k)
{
	struct str *keys = arena_zalloc(k->arena, k->reign_count, sizeof *keys);
	size_t n = 0;
	for (size_t i = 0; i < k->reign_count; i++)
		if (k->reigns[i].until == INT64_MAX)
			keys[n++] = k->reigns[i].key;
	return (struct json_list){keys, n};
}

/* Members. */

/* Every key the node has had, oldest first: its rotations must make one chain that ends in the present key. */
struct key_chain {
	struct str *keys;
	size_t count;
};

static bool build_chain(struct checking *k, const struct mesh_snapshot_node *node, struct key_chain *out)
{
	const struct mesh_evidence *rotations = node->rotations.items;
	out->keys = arena_zalloc(k->arena, node->rotations.count + 1, sizeof *out->keys);
	out->count = 0;
	for (size_t i = 0; i < node->rotations.count; i++) {
		struct mesh_statement st;
		if (!open_evidence(k, &rotations[i], node->id.p, &st))
			return false;
		bool fits = st.kind == STATEMENT_NODE_ROTATE && str_equal(st.node_id, node->id) &&
			    (out->count == 0 || str_equal(st.public_key, out->keys[out->count - 1]));
		if (!fits)
			return error_set(k->err, ERR_BAD_SIGNATURE, "The key rotations of %.*s do not follow one another.", STR_ARG(node->id));
		if (out->count == 0)
			out->keys[out->count++] = st.public_key;
		out->keys[out->count++] = st.new_key;
	}
	if (out->count == 0)
		out->keys[out->count++] = node->public_key;
	return str_equal(out->keys[out->count - 1], node->public_key) ||
	       error_set(k->err, ERR_BAD_SIGNATURE, "The key rotations of %.*s do not lead to its present key.", STR_ARG(node->id));
}

static bool in_chain(const struct key_chain *c, struct str key)
{
	for (size_t i = 0; i < c->count; i++)
		if (str_equal(c->keys[i], key))
			return true;
	return false;
}

/* The registration that used the invite need not be the present one: it is kept beside it. */
/* The registration that used the invite: the node's own, signed by a key of its chain, with the invite's signature inside. */
static bool check_invite_use(struct checking *k, const struct mesh_snapshot_node *node, const struct key_chain *chain,
			     const struct mesh_statement *invite)
{
	struct mesh_statement st;
	const struct mesh_evidence *e = node->invite_use;
	if (e && !open_evidence(k, e, node->id.p, &st))
		return false;
	const struct mesh_invite_use *use = e && st.kind == STATEMENT_REGISTER_FULL ? st.registration.invite : NULL;
	bool fits = use && str_equal(use->public_key, invite->public_key) && str_equal(st.node_id, node->id) &&
		    str_equal(st.public_key, e->public_key) && in_chain(chain, st.public_key);
	if (!fits)
		return error_set(k->err, ERR_BAD_SIGNATURE, "%.*s does not show that it used the invite it was admitted by.",
				 STR_ARG(node->id));
	struct buf message = {0};
	mesh_message_invite_use(&message, k->doc->network, st.node_id, st.public_key);
	bool ok = signed_by("an invite's use", buf_str(&message), use->public_key, use->signature, k->err);
	buf_free(&message);
	return ok;
}

static bool check_admission(struct checking *k, const struct mesh_snapshot_node *node, const struct key_chain *chain, struct mesh_peer *peer)
{
	struct mesh_statement st;
	if (!open_evidence(k, node->admission, node->id.p, &st))
		return false;
	if (st.kind == STATEMENT_INVITE) {
		if (!check_invite_use(k, node, chain, &st))
			return false;
	} else if (st.kind != STATEMENT_DECISION || st.action != MESH_APPROVE || !str_equal(st.node_id, node->id) ||
		   !in_chain(chain, st.public_key)) {
		return error_set(k->err, ERR_BAD_SIGNATURE, "The admission of %.*s is for something else.", STR_ARG(node->id));
	}
	if (!reign_at(k, node->admission->public_key, st.timestamp)) {
		error_set(k->err, ERR_NOT_SOVEREIGN, "%.*s was admitted by %.*s, which no trusted sovereign key vouches for.",
			  STR_ARG(node->id), STR_ARG(node->admission->public_key));
		return error_hint(k->err, "if that key is right, trust it: --trust %.*s", STR_ARG(node->admission->public_key));
	}
	peer->admitted_by = node->admission->public_key;
	peer->admitted_at = st.timestamp;
	return true;
}

/* The services of a short registration stand beside it, unsigned. */
static bool read_details(struct checking *k, const struct mesh_snapshot_node *node, struct mesh_peer *peer)
{
	static const struct json_field rows[] = {
		F_FORM(struct mesh_register, tailscale_ip, "tailscaleIP", 0, &form_ip, "address"),
		F_LIST(struct mesh_register, services, "services", 0, MESH_SERVICES_MAX, &mesh_service_message, "services"),
		F_FORM(struct mesh_register, role, "role", 0, &form_role, "role"),
		F_TEXT(struct mesh_register, region, "region", 0, 0, "region"),
	};
	static JSON_MESSAGE(message, "Details", struct mesh_register, rows);
	struct mesh_register r;
	json_message_clear(&mesh_register_message, &r);
	if (str_present(node->details) && !json_read_text(node->details, &message, &r, k->arena, k->err))
		return false;
	peer->ip = r.tailscale_ip;
	peer->services = r.services;
	peer->role = r.role;
	peer->region = r.region;
	peer->services_signed = r.services.count == 0;
	return true;
}

static bool check_node(struct checking *k, const struct mesh_snapshot_node *node, struct mesh_peer *peer)
{
	struct key_chain chain;
	struct mesh_statement st;
	if (!build_chain(k, node, &chain) || !open_evidence(k, node->registration, node->id.p, &st))
		return false;
	bool full = st.kind == STATEMENT_REGISTER_FULL;
	if ((!full && st.kind != STATEMENT_REGISTER_SHORT) || !str_equal(st.node_id, node->id) ||
	    !str_equal(st.public_key, node->registration->public_key) || !in_chain(&chain, st.public_key))
		return error_set(k->err, ERR_BAD_SIGNATURE, "The registration of %.*s is somebody else's.", STR_ARG(node->id));
	const struct mesh_register *r = &st.registration;
	*peer = (struct mesh_peer){.id = node->id,
				   .public_key = node->public_key,
				   .hostname = r->tailscale_hostname,
				   .ip = r->tailscale_ip,
				   .role = r->role,
				   .region = r->region,
				   .services = r->services,
				   .services_signed = true};
	if (!full && !read_details(k, node, peer))
		return false;
	if (!str_present(peer->role))
		peer->role = STR_LIT("validator");
	return check_admission(k, node, &chain, peer);
}

/* The document itself: whose, for which network, still good? */
static bool check_head(const struct mesh_snapshot *s, struct str signed_text, const struct mesh_trust *t, struct error *err)
{
	if (!str_is(s->type, MESH_SNAPSHOT_TYPE))
		return error_set(err, ERR_MALFORMED_FIELD, "This is no topology snapshot: its type is '%.*s'.", STR_ARG(s->type));
	if (str_present(t->network) && !str_equal(s->network, t->network))
		return error_set(err, ERR_WRONG_NETWORK, "The snapshot is of network '%.*s', not of '%.*s'.", STR_ARG(s->network),
				 STR_ARG(t->network));
	if (str_present(t->coordinator) && !str_equal(s->coordinator, t->coordinator))
		return error_set(err, ERR_BAD_SIGNATURE, "The snapshot is signed by another coordinator key (%.*s) than the one known.",
				 STR_ARG(s->coordinator));
	if (!signed_by("the coordinator", signed_text, s->coordinator, s->signature, err))
		return false;
	if (s->expires <= t->now)
		return error_set(err, ERR_REFUSED, "The snapshot has expired.");
	if (s->version < t->version_min)
		return error_set(err, ERR_REFUSED, "The snapshot has version %lld, older than %lld seen before.", (long long)s->version,
				 (long long)t->version_min);
	return true;
}

static bool check_document(struct str text, struct str signed_text, const struct mesh_trust *trust, struct arena *arena, struct mesh_peers *out,
			   struct error *err)
{
	struct mesh_snapshot *doc = arena_zalloc(arena, 1, sizeof *doc);
	struct checking k = {.trust = trust, .doc = doc, .arena = arena, .err = err};
	if (!json_read_text(text, &mesh_snapshot_message, doc, arena, err) || !check_head(doc, signed_text, trust, err) || !build_reigns(&k))
		return false;
	const struct mesh_snapshot_node *nodes = doc->nodes.items;
	struct mesh_peer *peers = arena_zalloc(arena, doc->nodes.count, sizeof *peers);
	*out = (struct mesh_peers){.network = doc->network,
				   .coordinator = doc->coordinator,
				   .version = doc->version,
				   .issued = doc->issued,
				   .expires = doc->expires,
				   .peers = {peers, doc->nodes.count},
				   .sovereigns = reigning(&k)};
	for (size_t i = 0; i < doc->nodes.count; i++) {
		if (i && str_compare(nodes[i - 1].id, nodes[i].id) >= 0)
			return error_set(err, ERR_MALFORMED_FIELD, "The snapshot's nodes are not in the order of their ids, each once.");
		if (!check_node(&k, &nodes[i], &peers[i]))
			return false;
		out->unsigned_services += !peers[i].services_signed;
	}
	return true;
}

bool mesh_snapshot_verify(struct str text, const struct mesh_trust *trust, struct arena *arena, struct mesh_peers *out, struct error *err)
{
	if (!canonical_check(text))
		return error_set(err, ERR_NOT_CANONICAL, "The snapshot is not canonical JSON.");
	struct json_doc *parsed = json_parse_object(text, err);
	if (!parsed)
		return false;
	struct buf signed_text = {0};
	bool ok = json_canonicalise(parsed, "signature", &signed_text, err);
	json_doc_free(parsed);
	ok = ok && check_document(text, buf_str(&signed_text), trust, arena, out, err);
	buf_free(&signed_text);
	return ok;
}
