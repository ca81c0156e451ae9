/* The signed calls: each makes its message from typed arguments and signs it at once. */
#include "base/clock.h"
#include "base/log.h"
#include "mesh_client_call.h"

/* The texts of keys and signatures in the arena, in their written form. */
static struct str key_text(struct arena *arena, const struct ed25519_public *k)
{
	char z[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(k, z);
	return arena_copy(arena, str_from(z));
}

static struct str sign(struct arena *arena, const struct ed25519_secret *key, const struct buf *message)
{
	struct ed25519_signature s;
	char z[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_sign_message(&s, key, buf_str(message));
	ed25519_signature_to_text(&s, z);
	return arena_copy(arena, str_from(z));
}

static int64_t fresh_stamp(struct mesh_client *c)
{
	int64_t now = clock_wall_ms();
	c->last_stamp = now > c->last_stamp ? now : c->last_stamp + 1;
	return c->last_stamp;
}

/* What one signed call is made of: `make` writes the body signed at `stamp`. */
struct signed_call {
	const char *path;
	void (*make)(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body);
	void *ctx;
	const struct json_message *answer;
	void *value;
};

static bool call_signed(struct mesh_client *c, const struct signed_call *s, struct arena *arena, struct error *err)
{
	invariant(c->network[0]);
	for (int attempt = 1;; attempt++) {
		struct buf body = {0};
		s->make(s->ctx, mesh_client_network(c), fresh_stamp(c), arena, &body);
		bool ok = mesh_client_call(c, "POST", s->path, buf_str(&body), s->answer, s->value, arena, err);
		buf_free(&body);
		if (ok)
			return true;
		if (err->code == ERR_REPLAYED && attempt < MESH_SIGN_ATTEMPTS)
			continue;
		if ((err->code == ERR_TIMESTAMP_OUT_OF_RANGE || err->code == ERR_REPLAYED) && !err->hint[0])
			error_hint(err, "compare this machine's clock with the coordinator's: tana doctor");
		return false;
	}
}

struct registering {
	struct mesh_register r;
	const struct ed25519_secret *key, *invite;
	struct mesh_invite_use use;
};

static void make_registration(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	struct registering *g = ctx;
	struct buf message = {0};
	g->r.public_key = key_text(arena, &g->key->public_key);
	g->r.network = network;
	g->r.timestamp = stamp;
	g->r.invite = NULL;
	if (g->invite) {
		mesh_message_invite_use(&message, network, g->r.node_id, g->r.public_key);
		g->use = (struct mesh_invite_use){key_text(arena, &g->invite->public_key), sign(arena, g->invite, &message)};
		g->r.invite = &g->use;
		buf_clear(&message);
	}
	json_write_canonical(&message, &mesh_register_unsigned_message, &g->r);
	g->r.signature = sign(arena, g->key, &message);
	json_write(body, &mesh_register_message, &g->r);
	buf_free(&message);
}

bool mesh_client_register(struct mesh_client *c, const struct mesh_register *r, const struct ed25519_secret *key,
			  const struct ed25519_secret *invite, struct arena *arena, struct mesh_node_answer *out, struct error *err)
{
	struct registering g = {.r = *r, .key = key, .invite = invite};
	return call_signed(c, &(struct signed_call){"/register", make_registration, &g, &mesh_node_answer_message, out}, arena, err);
}

struct beating {
	struct mesh_heartbeat h;
	const struct ed25519_secret *key;
};

static void make_heartbeat(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	(void)network; /* heartbeats admit nobody: their message names the node only */
	struct beating *b = ctx;
	b->h.timestamp = stamp;
	b->h.signed_form = STR_LIT("full");
	struct buf message = {0};
	b->h.signature = STR_NONE;
	json_write_canonical(&message, &mesh_heartbeat_message, &b->h);
	b->h.signature = sign(arena, b->key, &message);
	json_write(body, &mesh_heartbeat_message, &b->h);
	buf_free(&message);
}

bool mesh_client_heartbeat(struct mesh_client *c, const struct mesh_heartbeat *h, const struct ed25519_secret *key, struct arena *arena,
			   struct mesh_heartbeat_answer *out, struct error *err)
{
	struct beating b = {.h = *h, .key = key};
	return call_signed(c, &(struct signed_call){"/heartbeat", make_heartbeat, &b, &mesh_heartbeat_answer_message, out}, arena, err);
}

struct rotating {
	struct str node_id; /* absent: a sovereign's rotation */
	const struct ed25519_secret *old_key, *new_key;
};

static void make_node_rotation(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	const struct rotating *t = ctx;
	struct mesh_node_rotate m = {.new_public_key = key_text(arena, &t->new_key->public_key), .timestamp = stamp};
	struct buf message = {0};
	mesh_message_node_rotate(&message, network, t->node_id, key_text(arena, &t->old_key->public_key), m.new_public_key, stamp);
	m.signature = sign(arena, t->old_key, &message);
	m.new_signature = sign(arena, t->new_key, &message);
	json_write(body, &mesh_node_rotate_message, &m);
	buf_free(&message);
}

bool mesh_client_node_rotate(struct mesh_client *c, struct str node_id, const struct ed25519_secret *old_key,
			     const struct ed25519_secret *new_key, struct arena *arena, struct mesh_node_answer *out, struct error *err)
{
	struct rotating t = {node_id, old_key, new_key};
	const char *path = mesh_client_path(arena, "/nodes/", node_id, "/rotate");
	return call_signed(c, &(struct signed_call){path, make_node_rotation, &t, &mesh_node_answer_message, out}, arena, err);
}

struct deciding {
	enum mesh_action action;
	struct str node_id, node_key, reason;
	const struct ed25519_secret *key;
};

static void make_decision(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	const struct deciding *d = ctx;
	struct mesh_decision m = {.approver_public_key = key_text(arena, &d->key->public_key), .reason = d->reason, .timestamp = stamp};
	struct buf message = {0};
	mesh_message_decision(&message, network, d->action, d->node_id, d->node_key, stamp);
	m.signature = sign(arena, d->key, &message);
	json_write(body, &mesh_decision_message, &m);
	buf_free(&message);
}

bool mesh_client_decide(struct mesh_client *c, enum mesh_action action, struct str node_id, struct str node_key, struct str reason,
			const struct ed25519_secret *key, struct arena *arena, struct mesh_node_answer *out, struct error *err)
{
	struct deciding d = {action, node_id, node_key, reason, key};
	struct str before = arena_printf(arena, "/%s/", mesh_action_text(action));
	const char *path = mesh_client_path(arena, before.p, node_id, "");
	return call_signed(c, &(struct signed_call){path, make_decision, &d, &mesh_node_answer_message, out}, arena, err);
}

struct changing_sovereign {
	struct str subject, description;
	const struct ed25519_secret *key;
};

static void make_sovereign_add(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	const struct changing_sovereign *s = ctx;
	struct mesh_sovereign_add m = {.public_key = s->subject, .description = s->description, .timestamp = stamp};
	m.approver_public_key = key_text(arena, &s->key->public_key);
	struct buf message = {0};
	mesh_message_sovereign_add(&message, network, s->subject, stamp);
	m.signature = sign(arena, s->key, &message);
	json_write(body, &mesh_sovereign_add_message, &m);
	buf_free(&message);
}

static void make_sovereign_remove(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	const struct changing_sovereign *s = ctx;
	struct mesh_sovereign_remove m = {.public_key = s->subject, .timestamp = stamp};
	m.approver_public_key = key_text(arena, &s->key->public_key);
	struct buf message = {0};
	mesh_message_sovereign_remove(&message, network, s->subject, stamp);
	m.signature = sign(arena, s->key, &message);
	json_write(body, &mesh_sovereign_remove_message, &m);
	buf_free(&message);
}

static void make_sovereign_rotation(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	const struct rotating *t = ctx;
	struct mesh_sovereign_rotate m = {.timestamp = stamp};
	m.old_public_key = key_text(arena, &t->old_key->public_key);
	m.new_public_key = key_text(arena, &t->new_key->public_key);
	struct buf message = {0};
	mesh_message_sovereign_rotate(&message, network, m.old_public_key, m.new_public_key, stamp);
	m.signature = sign(arena, t->old_key, &message);
	m.new_signature = sign(arena, t->new_key, &message);
	json_write(body, &mesh_sovereign_rotate_message, &m);
	buf_free(&message);
}

bool mesh_client_sovereign_add(struct mesh_client *c, const struct ed25519_public *added, struct str description,
			       const struct ed25519_secret *key, struct arena *arena, struct mesh_sovereign_answer *out, struct error *err)
{
	struct changing_sovereign s = {key_text(arena, added), description, key};
	return call_signed(c, &(struct signed_call){"/sovereign/add", make_sovereign_add, &s, &mesh_sovereign_answer_message, out}, arena, err);
}

bool mesh_client_sovereign_remove(struct mesh_client *c, const struct ed25519_public *removed, const struct ed25519_secret *key,
				  struct arena *arena, struct mesh_sovereign_answer *out, struct error *err)
{
	struct changing_sovereign s = {key_text(arena, removed), STR_NONE, key};
	return call_signed(c, &(struct signed_call){"/sovereign/remove", make_sovereign_remove, &s, &mesh_sovereign_answer_message, out}, arena,
			   err);
}

bool mesh_client_sovereign_rotate(struct mesh_client *c, const struct ed25519_secret *old_key, const struct ed25519_secret *new_key,
				  struct arena *arena, struct mesh_sovereign_answer *out, struct error *err)
{
	struct rotating t = {STR_NONE, old_key, new_key};
	return call_signed(c, &(struct signed_call){"/sovereign/rotate", make_sovereign_rotation, &t, &mesh_sovereign_answer_message, out},
			   arena, err);
}

struct inviting {
	struct str invite;
	int64_t uses, expires;
	const struct ed25519_secret *key;
};

static void make_invite(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	const struct inviting *v = ctx;
	struct mesh_invite_create m = {.public_key = v->invite, .uses = v->uses, .expires = v->expires, .timestamp = stamp};
	m.approver_public_key = key_text(arena, &v->key->public_key);
	struct buf message = {0};
	mesh_message_invite(&message, network, v->invite, v->uses, v->expires, stamp);
	m.signature = sign(arena, v->key, &message);
	json_write(body, &mesh_invite_create_message, &m);
	buf_free(&message);
}

static void make_invite_revoke(void *ctx, struct str network, int64_t stamp, struct arena *arena, struct buf *body)
{
	const struct inviting *v = ctx;
	struct mesh_invite_revoke m = {.public_key = v->invite, .timestamp = stamp};
	m.approver_public_key = key_text(arena, &v->key->public_key);
	struct buf message = {0};
	mesh_message_invite_revoke(&message, network, v->invite, stamp);
	m.signature = sign(arena, v->key, &message);
	json_write(body, &mesh_invite_revoke_message, &m);
	buf_free(&message);
}

/* Their answers say no more than that it was done. */
static const struct json_field done_rows[] = {F_BOOL(struct mesh_sovereign_answer, success, "success", JSON_REQUIRED, "done")};
static JSON_MESSAGE(done_message, "Done", struct mesh_sovereign_answer, done_rows);

bool mesh_client_invite_create(struct mesh_client *c, const struct ed25519_public *invite, int64_t uses, int64_t expires,
			       const struct ed25519_secret *key, struct arena *arena, struct error *err)
{
	struct inviting v = {key_text(arena, invite), uses, expires, key};
	struct mesh_sovereign_answer done;
	return call_signed(c, &(struct signed_call){"/invites", make_invite, &v, &done_message, &done}, arena, err);
}

bool mesh_client_invite_revoke(struct mesh_client *c, const struct ed25519_public *invite, const struct ed25519_secret *key,
			       struct arena *arena, struct error *err)
{
	struct inviting v = {key_text(arena, invite), 0, 0, key};
	struct mesh_sovereign_answer done;
	return call_signed(c, &(struct signed_call){"/invites/revoke", make_invite_revoke, &v, &done_message, &done}, arena, err);
}
