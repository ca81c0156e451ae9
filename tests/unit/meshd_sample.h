/* For the tests of meshd's rules: keys, signed changes as they arrive, and a registry in memory that logs what is applied to it. */
#ifndef TANA_TESTS_MESHD_SAMPLE_H
#define TANA_TESTS_MESHD_SAMPLE_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/ed25519.h"
#include "meshd/mesh_details.h"
#include "meshd/mesh_replay.h"
#include "meshd/mesh_rules.h"
#include "wire/mesh.h"

#define NETWORK STR_LIT("unit")
enum { COORDINATOR = 200, T0 = 1000000000 };

struct signer {
	struct ed25519_secret secret;
	char z[ED25519_PUBLIC_TEXT_LEN + 1];
	struct str text;
};

/* The n-th key, always the same. */
static inline const struct signer *key(unsigned n)
{
	static struct signer keys[256];
	struct signer *k = &keys[n];
	if (!str_present(k->text)) {
		uint8_t seed[ED25519_SEED_SIZE] = {(uint8_t)n, 7};
		ed25519_from_seed(&k->secret, seed);
		ed25519_public_to_text(&k->secret.public_key, k->z);
		k->text = str_of(k->z, ED25519_PUBLIC_TEXT_LEN);
	}
	return k;
}

/* A registry and its log; everything made for it lives in `arena`. */
struct world {
	struct replay_state replay;
	struct arena arena;
	int64_t now;
	struct mesh_audit_entry *log;
	size_t count, cap;
};

static inline struct str sign(struct world *w, const struct signer *k, struct str message)
{
	struct ed25519_signature sig;
	char z[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_sign_message(&sig, &k->secret, message);
	ed25519_signature_to_text(&sig, z);
	return arena_copy(&w->arena, str_from(z));
}

static inline struct str taken(struct world *w, struct buf *b)
{
	struct str s = arena_copy(&w->arena, buf_str(b));
	buf_free(b);
	return s;
}

static inline struct str statement_text(struct world *w, const struct mesh_statement *st)
{
	struct buf b = {0};
	mesh_statement_write(st, &b);
	return taken(w, &b);
}

/* Changes, as the handlers make them of what arrives: the text is made by the rules where it depends on a row. */

static inline struct change decision(struct world *w, enum mesh_action a, const struct signer *by, const char *id, const struct signer *node, int64_t timestamp)
{
	struct mesh_statement st = {.kind = STATEMENT_DECISION, .action = a, .network = NETWORK, .node_id = str_from(id), .public_key = node->text, .timestamp = timestamp};
	struct change c = {.statement = st, .public_key = by->text, .signature = sign(w, by, statement_text(w, &st))};
	c.statement.public_key = STR_NONE;
	return c;
}

static inline struct change old_decision(struct world *w, enum mesh_action a, const struct signer *by, const char *id)
{
	struct mesh_statement st = {.kind = STATEMENT_DECISION_OLD, .action = a, .node_id = str_from(id)};
	return (struct change){.statement = st, .public_key = by->text, .signature = sign(w, by, statement_text(w, &st))};
}

struct registering {
	const char *id, *host, *region;
	const struct signer *node, *invite;
	int64_t timestamp; /* 0: the short form */
	int64_t port;      /* of its one service; 0: none */
	const char *network;
};

static inline struct change registration(struct world *w, const struct registering *r)
{
	struct mesh_register reg;
	json_message_clear(&mesh_register_message, &reg);
	reg.node_id = str_from(r->id);
	reg.public_key = r->node->text;
	reg.tailscale_hostname = str_from(r->host ? r->host : "host.ts.net");
	reg.region = str_from(r->region);
	reg.network = str_from(r->network);
	struct mesh_service *services = arena_zalloc(&w->arena, 1, sizeof(*services));
	*services = (struct mesh_service){.type = STR_LIT("ledger"), .port = r->port, .public_key = key(99)->text};
	reg.services = (struct json_list){services, r->port != 0};
	struct change c = {.statement = {.kind = STATEMENT_REGISTER_SHORT, .node_id = reg.node_id, .public_key = reg.public_key, .network = reg.network}};
	struct buf text = {0};
	if (r->timestamp) {
		reg.timestamp = c.statement.timestamp = r->timestamp;
		c.statement.kind = STATEMENT_REGISTER_FULL;
		if (r->invite) {
			mesh_message_invite_use(&text, NETWORK, reg.node_id, reg.public_key);
			reg.invite = arena_alloc(&w->arena, sizeof(*reg.invite));
			*reg.invite = (struct mesh_invite_use){.public_key = r->invite->text, .signature = sign(w, r->invite, buf_str(&text))};
			buf_clear(&text);
		}
		json_write_canonical(&text, &mesh_register_unsigned_message, &reg);
	} else {
		mesh_message_register_short(&text, reg.node_id, reg.public_key, reg.tailscale_hostname);
	}
	c.statement.registration = reg;
	c.message = c.statement.text = taken(w, &text);
	c.public_key = reg.public_key;
	c.signature = sign(w, r->node, c.message);
	return c;
}
#define REGISTRATION(w, ...) registration((w), &(struct registering){__VA_ARGS__})

static inline struct change about_key(struct world *w, enum mesh_statement_kind kind, const struct signer *by, const struct signer *subject, int64_t timestamp)
{
	struct mesh_statement st = {.kind = kind, .network = NETWORK, .public_key = subject->text, .timestamp = timestamp};
	return (struct change){.statement = st, .public_key = by->text, .signature = sign(w, by, statement_text(w, &st))};
}

static inline struct change invitation(struct world *w, const struct signer *by, const struct signer *invite, int64_t uses, int64_t expires, int64_t timestamp)
{
	struct mesh_statement st = {.kind = STATEMENT_INVITE, .network = NETWORK, .public_key = invite->text, .uses = uses, .expires = expires, .timestamp = timestamp};
	return (struct change){.statement = st, .public_key = by->text, .signature = sign(w, by, statement_text(w, &st))};
}

static inline struct change sovereign_rotation(struct world *w, const struct signer *old, const struct signer *new, int64_t timestamp)
{
	struct mesh_statement st = {
		.kind = STATEMENT_SOVEREIGN_ROTATE, .network = NETWORK, .public_key = old->text, .new_key = new->text, .timestamp = timestamp};
	struct str text = statement_text(w, &st);
	return (struct change){.statement = st, .public_key = old->text, .signature = sign(w, old, text), .new_signature = sign(w, new, text)};
}

static inline struct change node_rotation(struct world *w, const char *id, const struct signer *old, const struct signer *new, int64_t timestamp)
{
	struct mesh_statement st = {.kind = STATEMENT_NODE_ROTATE,
				    .network = NETWORK,
				    .node_id = str_from(id),
				    .public_key = old->text,
				    .new_key = new->text,
				    .timestamp = timestamp};
	struct str text = statement_text(w, &st);
	struct change c = {.statement = st, .signature = sign(w, old, text), .new_signature = sign(w, new, text)};
	c.statement.public_key = STR_NONE;
	return c;
}

static inline struct change expiry(struct world *w, const char *id, const struct signer *node, int64_t timestamp)
{
	struct mesh_statement st = {.kind = STATEMENT_EXPIRE, .network = NETWORK, .node_id = str_from(id), .public_key = node->text, .timestamp = timestamp};
	return (struct change){.statement = st, .public_key = key(COORDINATOR)->text, .signature = sign(w, key(COORDINATOR), statement_text(w, &st))};
}

/* The world */

static inline void world_begin(struct world *w)
{
	*w = (struct world){.now = T0};
	arena_init(&w->arena);
	replay_init(&w->replay, NETWORK, key(COORDINATOR)->text);
	w->replay.state.limits = (struct mesh_limits){.pending_max = 10, .require_full = true, .dev = false};
}

static inline void world_end(struct world *w)
{
	replay_free(&w->replay);
	arena_free(&w->arena);
	free(w->log);
}

static inline void world_log(struct world *w, const struct change *c, const struct verdict *v)
{
	if (w->count == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 64;
		w->log = realloc(w->log, w->cap * sizeof(*w->log));
		assert_non_null(w->log);
	}
	struct arena *a = &w->arena;
	w->log[w->count] = (struct mesh_audit_entry){.index = (int64_t)w->count,
						     .time = w->now,
						     .message = arena_copy(a, c->message),
						     .public_key = arena_copy(a, c->public_key),
						     .signature = arena_copy(a, c->signature),
						     .outcome = arena_copy(a, v->outcome),
						     .new_public_key = arena_copy(a, c->statement.new_key),
						     .new_signature = arena_copy(a, c->new_signature),
						     .details = arena_copy(a, c->details)};
	w->count++;
}

/* Judges and applies, at w->now; logs what is to be logged. *c becomes what the rules made of it. */
static inline struct verdict world_apply(struct world *w, struct change *c)
{
	struct verdict v;
	w->replay.state.now = w->now;
	w->replay.state.entry = (int64_t)w->count;
	mesh_details_write(c, &w->arena);
	mesh_apply(&w->replay.state, c, &v);
	assert_int_not_equal(v.kind, VERDICT_FAILED);
	if (v.kind == VERDICT_APPLIED || v.kind == VERDICT_CONSUMED)
		world_log(w, c, &v);
	/* What the rules filled in from rows of the registry. */
	c->message = arena_copy(&w->arena, c->message);
	c->public_key = arena_copy(&w->arena, c->public_key);
	c->statement.public_key = arena_copy(&w->arena, c->statement.public_key);
	v.subject = arena_copy(&w->arena, v.subject);
	v.outcome = arena_copy(&w->arena, v.outcome);
	replay_forget(&w->replay);
	return v;
}

/* A log entry as the verifier reads it. */
static inline struct change change_of_entry(struct world *w, const struct mesh_audit_entry *e)
{
	struct error err;
	struct change c = {.message = e->message, .public_key = e->public_key, .signature = e->signature, .new_signature = e->new_signature, .details = e->details};
	if (!mesh_statement_parse(e->message, &c.statement, &w->arena, &err) || !mesh_details_read(&c, &w->arena, &err))
		fail_msg("entry %" PRId64 ": %s", e->index, err.message);
	return c;
}

static inline void applies(struct world *w, struct change c)
{
	struct verdict v = world_apply(w, &c);
	if (v.kind != VERDICT_APPLIED)
		fail_msg("kind %d: %s", (int)v.kind, v.err.message);
}

static inline void ends(struct world *w, struct change c, enum verdict_kind kind, enum error_code code)
{
	struct verdict v = world_apply(w, &c);
	if (v.kind != kind || v.err.code != code)
		fail_msg("kind %d %s: %s", (int)v.kind, error_code_text(v.err.code), v.err.message);
}
#define refused(w, c, code) ends((w), (c), VERDICT_REFUSED, (code))
#define consumed(w, c, code) ends((w), (c), VERDICT_CONSUMED, (code))

static inline const struct node_row *node_named(struct world *w, const char *id)
{
	return strmap_get(&w->replay.nodes, str_from(id));
}
static inline const struct sovereign_row *sovereign_of(struct world *w, const struct signer *k)
{
	return strmap_get(&w->replay.sovereigns, k->text);
}
static inline const struct invite_row *invite_of(struct world *w, const struct signer *k)
{
	return strmap_get(&w->replay.invites, k->text);
}

/* The whole registry as text, in order of its rows; `spent`: a sovereign key whose last timestamp is left out. Offline is written as active. */
static inline int line_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

#define S(s) STR_ARG(s)
static inline char *dump(struct world *w, const struct signer *spent)
{
	struct replay_state *r = &w->replay;
	size_t n = 0, at = 0, room = r->nodes.count + r->sovereigns.count + r->invites.count + r->removed.count;
	char **lines = calloc(room + 1, sizeof(*lines));
	assert_non_null(lines);
	for (const struct node_row *x; (x = strmap_next(&r->nodes, &at));) {
		struct buf b = {0};
		buf_printf(&b, "node %.*s %.*s %s %.*s %.*s %.*s %.*s %.*s %.*s %.*s %.*s", S(x->id), S(x->public_key),
			   node_status_text(x->status == NODE_OFFLINE ? NODE_ACTIVE : x->status), S(x->role), S(x->tailscale_hostname), S(x->tailscale_ip), S(x->region),
			   S(x->provider), S(x->latitude), S(x->longitude), S(x->services));
		buf_printf(&b, " %" PRId64 " %" PRId64 " %" PRId64 " %.*s %.*s %" PRId64 " %" PRId64 " %.*s\n", x->registered_at, x->registration_time, x->approved_at,
			   S(x->approved_by), S(x->invite_key), x->registration_entry, x->admission_entry, S(x->rotations));
		lines[n++] = strdup(buf_z(&b));
		buf_free(&b);
	}
	at = 0;
	for (const struct sovereign_row *x; (x = strmap_next(&r->sovereigns, &at));) {
		struct buf b = {0};
		buf_printf(&b, "sovereign %.*s %.*s %" PRId64 " %.*s %" PRId64 " %" PRId64 "\n", S(x->public_key), S(x->description), x->added_at, S(x->added_by),
			   x->removed_at, spent && str_equal(spent->text, x->public_key) ? 0 : x->last_timestamp);
		lines[n++] = strdup(buf_z(&b));
		buf_free(&b);
	}
	at = 0;
	for (const struct invite_row *x; (x = strmap_next(&r->invites, &at));) {
		struct buf b = {0};
		buf_printf(&b, "invite %.*s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %.*s %" PRId64 " %" PRId64 "\n", S(x->public_key), x->uses, x->used,
			   x->expires, x->created_at, S(x->created_by), x->revoked_at, x->entry);
		lines[n++] = strdup(buf_z(&b));
		buf_free(&b);
	}
	at = 0;
	for (const struct removed_row *x; (x = strmap_next(&r->removed, &at));) {
		struct buf b = {0};
		buf_printf(&b, "removed %.*s %.*s %" PRId64 "\n", S(x->public_key), S(x->node_id), x->not_before);
		lines[n++] = strdup(buf_z(&b));
		buf_free(&b);
	}
	qsort(lines, n, sizeof(*lines), line_order);
	struct buf all = {0};
	for (size_t i = 0; i < n; i++) {
		buf_puts(&all, lines[i]);
		free(lines[i]);
	}
	free(lines);
	size_t ignored;
	return buf_steal(&all, &ignored);
}
#undef S

#endif
