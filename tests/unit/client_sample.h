/*
 * A small network made with fixed keys, as a coordinator would hand it out: its log's entries, and its signed snapshot. n1 was approved and has
 * rotated its key, n2 came by an invite; the sovereign key was rotated in between. Shared by the unit tests of common/client and their fuzz
 * target.
 */
#ifndef TANA_TESTS_CLIENT_SAMPLE_H
#define TANA_TESTS_CLIENT_SAMPLE_H

#include "base/arena.h"
#include "base/log.h"
#include "crypto/ed25519.h"
#include "wire/mesh.h"
#include "wire/mesh_messages.h"

#define SAMPLE_NETWORK STR_LIT("testnet")
enum { SAMPLE_NOW = 2000000000, SAMPLE_ENTRIES = 8 };
enum sample_key { KEY_COORDINATOR = 1, KEY_SOVEREIGN, KEY_SOVEREIGN_NEXT, KEY_N1, KEY_N1_NEXT, KEY_N2, KEY_INVITE, KEY_SERVICE, KEY_STRANGER };

struct sample {
	struct arena arena;
	struct mesh_audit_entry log[SAMPLE_ENTRIES];
	struct mesh_snapshot snapshot;
	struct mesh_snapshot_node nodes[2];
	struct mesh_evidence evidence[SAMPLE_ENTRIES]; /* of the log's entries */
};

static inline struct ed25519_secret sample_secret(enum sample_key which)
{
	const uint8_t seed[ED25519_SEED_SIZE] = {(uint8_t)which};
	struct ed25519_secret k;
	ed25519_from_seed(&k, seed);
	return k;
}

static inline struct str sample_public(struct sample *s, enum sample_key which)
{
	struct ed25519_secret k = sample_secret(which);
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(&k.public_key, text);
	return arena_copy(&s->arena, str_from(text));
}

static inline struct str sample_sign(struct sample *s, enum sample_key which, struct str message)
{
	struct ed25519_secret k = sample_secret(which);
	struct ed25519_signature sig;
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_sign_message(&sig, &k, message);
	ed25519_signature_to_text(&sig, text);
	return arena_copy(&s->arena, str_from(text));
}

/* Takes the message out of the buffer into entry i, signed; `next` is the new key of a rotation, else 0. */
static inline void sample_entry(struct sample *s, int64_t i, struct buf *message, enum sample_key by, int next, const char *outcome)
{
	struct mesh_audit_entry *e = &s->log[i];
	*e = (struct mesh_audit_entry){.index = i,
				       .time = 1000 + i,
				       .message = arena_copy(&s->arena, buf_str(message)),
				       .outcome = str_from(outcome)};
	buf_free(message);
	e->public_key = sample_public(s, by);
	e->signature = sample_sign(s, by, e->message);
	if (next) {
		e->new_public_key = sample_public(s, (enum sample_key)next);
		e->new_signature = sample_sign(s, (enum sample_key)next, e->message);
	}
	s->evidence[i] = (struct mesh_evidence){e->message, e->public_key, e->signature, e->new_public_key, e->new_signature};
}

static inline void sample_register(struct sample *s, struct buf *out, const char *id, enum sample_key key, bool invited, int64_t timestamp)
{
	struct mesh_service *service = arena_zalloc(&s->arena, 1, sizeof *service);
	struct mesh_invite_use *use = arena_zalloc(&s->arena, 1, sizeof *use);
	struct mesh_register r;
	struct buf text = {0};
	json_message_clear(&mesh_register_unsigned_message, &r);
	*service = (struct mesh_service){STR_LIT("ledger"), 8080, sample_public(s, KEY_SERVICE)};
	r.node_id = str_from(id);
	r.public_key = sample_public(s, key);
	r.tailscale_hostname = STR_LIT("host.tail1.ts.net");
	r.services = (struct json_list){service, 1};
	r.network = SAMPLE_NETWORK;
	r.timestamp = timestamp;
	if (invited) {
		mesh_message_invite_use(&text, SAMPLE_NETWORK, r.node_id, r.public_key);
		*use = (struct mesh_invite_use){sample_public(s, KEY_INVITE), sample_sign(s, KEY_INVITE, buf_str(&text))};
		r.invite = use;
		buf_free(&text);
	}
	json_write_canonical(out, &mesh_register_unsigned_message, &r);
}

static inline void sample_make(struct sample *s)
{
	struct buf m = {0};
	const struct str net = SAMPLE_NETWORK;
	*s = (struct sample){.snapshot = {.type = STR_LIT(MESH_SNAPSHOT_TYPE)}};
	arena_init(&s->arena);
	mesh_message_sovereign_init(&m, net, sample_public(s, KEY_SOVEREIGN), 1000);
	sample_entry(s, 0, &m, KEY_COORDINATOR, 0, "ok");
	sample_register(s, &m, "n1", KEY_N1, false, 1001);
	sample_entry(s, 1, &m, KEY_N1, 0, "pending");
	mesh_message_decision(&m, net, MESH_APPROVE, STR_LIT("n1"), sample_public(s, KEY_N1), 1002);
	sample_entry(s, 2, &m, KEY_SOVEREIGN, 0, "active");
	mesh_message_sovereign_rotate(&m, net, sample_public(s, KEY_SOVEREIGN), sample_public(s, KEY_SOVEREIGN_NEXT), 1003);
	sample_entry(s, 3, &m, KEY_SOVEREIGN, KEY_SOVEREIGN_NEXT, "ok");
	mesh_message_invite(&m, net, sample_public(s, KEY_INVITE), 1, 5000, 1004);
	sample_entry(s, 4, &m, KEY_SOVEREIGN_NEXT, 0, "ok");
	sample_register(s, &m, "n2", KEY_N2, true, 1005);
	sample_entry(s, 5, &m, KEY_N2, 0, "active");
	mesh_message_node_rotate(&m, net, STR_LIT("n1"), sample_public(s, KEY_N1), sample_public(s, KEY_N1_NEXT), 1006);
	sample_entry(s, 6, &m, KEY_N1, KEY_N1_NEXT, "active");
	mesh_message_decision(&m, net, MESH_APPROVE, STR_LIT("n2"), sample_public(s, KEY_N2), 1007);
	sample_entry(s, 7, &m, KEY_SOVEREIGN_NEXT, 0, "wrong_state");

	s->nodes[0] = (struct mesh_snapshot_node){.id = STR_LIT("n1"),
						  .public_key = sample_public(s, KEY_N1_NEXT),
						  .status = STR_LIT("active"),
						  .registration = &s->evidence[1],
						  .rotations = {&s->evidence[6], 1},
						  .admission = &s->evidence[2]};
	s->nodes[1] = (struct mesh_snapshot_node){.id = STR_LIT("n2"),
						  .public_key = sample_public(s, KEY_N2),
						  .status = STR_LIT("active"),
						  .registration = &s->evidence[5],
						  .rotations = {&s->evidence[6], 0},
						  .admission = &s->evidence[4],
						  .invite_use = &s->evidence[5]};
	struct mesh_evidence *changes = arena_zalloc(&s->arena, 2, sizeof *changes);
	changes[0] = s->evidence[0];
	changes[1] = s->evidence[3];
	s->snapshot.network = net;
	s->snapshot.coordinator = sample_public(s, KEY_COORDINATOR);
	s->snapshot.version = 9;
	s->snapshot.issued = SAMPLE_NOW - 10;
	s->snapshot.expires = SAMPLE_NOW + 10;
	s->snapshot.sovereigns = (struct json_list){changes, 2};
	s->snapshot.nodes = (struct json_list){s->nodes, 2};
}

/* The document, signed by the coordinator over what the struct now says. */
static inline void sample_write(struct sample *s, struct mesh_snapshot *snapshot, struct buf *out)
{
	struct buf unsigned_text = {0};
	snapshot->signature = STR_NONE;
	json_write_canonical(&unsigned_text, &mesh_snapshot_message, snapshot);
	snapshot->signature = sample_sign(s, KEY_COORDINATOR, buf_str(&unsigned_text));
	buf_free(&unsigned_text);
	json_write_canonical(out, &mesh_snapshot_message, snapshot);
}

static inline void sample_free(struct sample *s)
{
	arena_free(&s->arena);
}

#endif
