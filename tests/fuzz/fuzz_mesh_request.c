/*
 * Bodies of registrations, heartbeats and decisions, read as meshd's handlers read them, and judged by its rules as if every signature were good. What a handler takes, the log
 * can be read back from; what the rules refuse changes nothing; the registry stays sound.
 */
#include "base/log.h"
#include "crypto/canonical.h"
#include "crypto/ed25519.h"
#include "meshd/mesh_details.h"
#include "meshd/mesh_liveness.h"
#include "meshd/mesh_replay.h"
#include "meshd/mesh_rules.h"
#include "wire/mesh.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOVEREIGN "ed25519_3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define INVITE "ed25519_fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
enum { NOW = 1000000 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct error err;
	(void)argc;
	(void)argv;
	invariant(crypto_start(&err));
	return 0;
}

static bool written_key(struct str in, enum key_reading how, struct arena *arena, struct str *out)
{
	struct ed25519_public key;
	struct error err;
	if (!ed25519_public_from_text(in, how, &key, &err)) {
		invariant(err.code == ERR_MALFORMED_KEY);
		return false;
	}
	char *text = arena_alloc(arena, ED25519_PUBLIC_TEXT_LEN + 1);
	ed25519_public_to_text(&key, text);
	*out = str_of(text, ED25519_PUBLIC_TEXT_LEN);
	return true;
}

static bool same_services(const struct json_list *a, const struct json_list *b)
{
	const struct mesh_service *x = a->items, *y = b->items;
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (!str_equal(x[i].type, y[i].type) || x[i].port != y[i].port || !str_equal(x[i].public_key, y[i].public_key))
			return false;
	return a->count == b->count;
}

static bool same_registration(const struct mesh_register *a, const struct mesh_register *b)
{
	return str_equal(a->node_id, b->node_id) && str_equal(a->public_key, b->public_key) && str_equal(a->tailscale_hostname, b->tailscale_hostname) &&
	       str_equal(a->tailscale_ip, b->tailscale_ip) && str_equal(a->role, b->role) && str_equal(a->region, b->region) &&
	       str_equal(a->provider, b->provider) && str_equal(a->latitude, b->latitude) && str_equal(a->longitude, b->longitude) &&
	       (a->invite != NULL) == (b->invite != NULL) && same_services(&a->services, &b->services);
}

static void check_sound(const struct replay_state *r)
{
	int64_t pending = 0, in_force = 0;
	size_t at = 0;
	for (const struct node_row *n; (n = strmap_next(&r->nodes, &at));) {
		pending += n->status == NODE_PENDING;
		invariant(strmap_get(&r->node_keys, n->public_key) == n && (n->approved_at != 0) == (n->status == NODE_ACTIVE));
	}
	at = 0;
	for (const struct sovereign_row *s; (s = strmap_next(&r->sovereigns, &at));)
		in_force += s->removed_at == 0;
	invariant(pending == r->pending && in_force == r->sovereigns_in_force && r->nodes.count == r->node_keys.count);
}

/* A registry with one sovereign and one invite; the change is applied three times: as it comes, again, and after an approval. */
static void apply(const struct change *c)
{
	struct replay_state r;
	struct verdict v;
	replay_init(&r, STR_LIT("unit"), STR_LIT(SOVEREIGN));
	r.state.now = NOW;
	struct change init = {.statement = {.kind = STATEMENT_SOVEREIGN_INIT, .public_key = STR_LIT(SOVEREIGN), .timestamp = NOW},
			      .public_key = STR_LIT(SOVEREIGN),
			      .signatures_checked = true};
	mesh_apply(&r.state, &init, &v);
	invariant(v.kind == VERDICT_APPLIED);
	struct change invite = {.statement = {.kind = STATEMENT_INVITE, .public_key = STR_LIT(INVITE), .uses = 1, .expires = NOW + 1, .timestamp = NOW},
				.public_key = STR_LIT(SOVEREIGN),
				.signatures_checked = true};
	mesh_apply(&r.state, &invite, &v);
	invariant(v.kind == VERDICT_APPLIED);
	for (int i = 0; i < 3; i++) {
		struct change copy = *c;
		size_t nodes = r.nodes.count;
		copy.signatures_checked = true;
		r.state.entry = i;
		mesh_apply(&r.state, &copy, &v);
		invariant(v.kind != VERDICT_FAILED);
		invariant(v.kind == VERDICT_APPLIED || (r.nodes.count == nodes && (v.kind == VERDICT_UNCHANGED || v.err.message[0])));
		check_sound(&r);
		replay_forget(&r);
	}
	replay_free(&r);
}

/* As api_register.c does it; then the log's way back. */
static void check_registration(const struct json_doc *doc, struct arena *arena)
{
	struct error err;
	struct change c = {.public_key = STR_NONE};
	struct mesh_register *reg = &c.statement.registration;
	struct ed25519_signature sig;
	if (!json_read(doc, &mesh_register_message, reg, arena, &err))
		return;
	bool full = reg->timestamp != JSON_INT_ABSENT;
	c.statement.kind = full ? STATEMENT_REGISTER_FULL : STATEMENT_REGISTER_SHORT;
	if ((!full && reg->invite) || !written_key(reg->public_key, KEY_WRITTEN, arena, &reg->public_key))
		return;
	struct mesh_service *services = reg->services.items;
	for (size_t i = 0; i < reg->services.count; i++)
		if (!written_key(services[i].public_key, full ? KEY_WRITTEN : KEY_LENIENT, arena, &services[i].public_key))
			return;
	invariant(ed25519_signature_from_text(reg->signature, KEY_LENIENT, &sig, &err));
	struct buf text = {0};
	if (!full)
		mesh_message_register_short(&text, reg->node_id, reg->public_key, reg->tailscale_hostname);
	else if (!json_canonicalise(doc, "signature", &text, &err))
		invariant(err.code == ERR_NOT_CANONICAL && text.len == 0);
	c.message = c.statement.text = text.len ? arena_copy(arena, buf_str(&text)) : STR_NONE;
	buf_free(&text);
	if (!str_present(c.message))
		return;
	c.statement.node_id = reg->node_id;
	c.statement.public_key = c.public_key = reg->public_key;
	c.statement.network = reg->network;
	c.statement.timestamp = full ? reg->timestamp : 0;
	mesh_details_write(&c, arena);
	invariant(!str_present(c.details) || (!full && canonical_check(c.details)));
	/* Whatever is taken can be read back from the log, and says the same. */
	struct change back = {.details = c.details};
	invariant(mesh_statement_parse(c.message, &back.statement, arena, &err) && mesh_details_read(&back, arena, &err));
	invariant(back.statement.kind == c.statement.kind && same_registration(reg, &back.statement.registration));
	invariant(back.statement.timestamp == c.statement.timestamp && (!full || str_equal(back.statement.network, c.statement.network)));
	apply(&c);
}

static void check_heartbeat(const struct json_doc *doc, struct arena *arena)
{
	struct error err;
	struct mesh_heartbeat h;
	struct buf text = {0};
	if (!json_read(doc, &mesh_heartbeat_message, &h, arena, &err))
		return;
	if (str_present(h.signed_form))
		invariant(json_canonicalise(doc, "signature", &text, &err) ? canonical_check(buf_str(&text)) : err.code == ERR_NOT_CANONICAL);
	buf_free(&text);
	const struct mesh_health *list = h.services.items;
	struct str health = health_text(arena, list, h.services.count);
	for (size_t i = 0; i < h.services.count; i++) {
		size_t first = 0;
		while (!str_equal(list[first].type, list[i].type))
			first++;
		struct health one = health_of(health, list[i].type);
		invariant(one.healthy == list[first].healthy && one.last_check == list[first].last_check);
	}
	struct node_row node = {.id = h.node_id, .status = NODE_ACTIVE};
	struct liveness live = {.heartbeat_time = NOW - 1};
	if (mesh_heartbeat_allowed(&node, &live, h.timestamp, NOW, 60000, &err))
		invariant(h.timestamp >= NOW && h.timestamp <= NOW + 60000);
}

static void check_decision(const struct json_doc *doc, struct arena *arena)
{
	struct error err;
	struct mesh_decision d;
	struct change c = {.statement = {.kind = STATEMENT_DECISION_OLD, .node_id = STR_LIT("node-1")}};
	if (!json_read(doc, &mesh_decision_message, &d, arena, &err) || !written_key(d.approver_public_key, KEY_LENIENT, arena, &c.public_key))
		return;
	c.reason = d.reason;
	if (d.timestamp != JSON_INT_ABSENT) {
		c.statement.kind = STATEMENT_DECISION;
		c.statement.network = STR_LIT("unit");
		c.statement.timestamp = d.timestamp;
	}
	mesh_details_write(&c, arena);
	struct change back = c;
	back.reason = STR_NONE;
	invariant(mesh_details_read(&back, arena, &err) && str_equal(back.reason, c.reason));
	for (enum mesh_action a = MESH_APPROVE; a <= MESH_RESET; a++) {
		c.statement.action = a;
		apply(&c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err;
	struct json_doc *doc = json_parse_object(str_of((const char *)data, size), &err);
	if (!doc)
		return 0;
	struct arena arena;
	arena_init(&arena);
	check_registration(doc, &arena);
	check_heartbeat(doc, &arena);
	check_decision(doc, &arena);
	arena_free(&arena);
	json_doc_free(doc);
	return 0;
}
