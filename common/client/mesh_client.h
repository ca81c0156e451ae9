/*
 * A client of the mesh coordinator (docs/protocol.md, "mesh"): one function per call.
 *
 * Signing happens here, from typed arguments: a key never signs bytes that came from somewhere else. Messages that name the network take it
 * from the client (mesh_client_set_network), so that a signature made for one network is worthless in another.
 *
 * Every function that can fail fills *err: the coordinator's own code and message when it answered, else ERR_UNREACHABLE, ERR_TIMED_OUT or
 * ERR_BAD_ANSWER. Results live in the caller's arena. One struct mesh_client is one thread's.
 */
#ifndef TANA_CLIENT_MESH_CLIENT_H
#define TANA_CLIENT_MESH_CLIENT_H

#include "base/arena.h"
#include "base/error.h"
#include "crypto/ed25519.h"
#include "crypto/note.h"
#include "wire/mesh.h"
#include "wire/mesh_messages.h"

enum {
	/* A signed change answered with `replayed` is signed anew, with a fresh timestamp, so often in all: two changes of one key may meet in
	   one millisecond. */
	MESH_SIGN_ATTEMPTS = 3
};

struct mesh_client;
/* base_url: "http://127.0.0.1:8190"; user_agent and timeout_ms (0: the HTTP client's default) as in http/client.h. */
MUST_CHECK struct mesh_client *mesh_client_new(const char *base_url, const char *user_agent, int64_t timeout_ms, struct error *err);
void mesh_client_free(struct mesh_client *c); /* NULL is fine */
const char *mesh_client_url(const struct mesh_client *c);
/* The network whose name goes into signed messages; copied. Needed before any signed call. ERR_CONFIG when it is no network's name. */
MUST_CHECK bool mesh_client_set_network(struct mesh_client *c, struct str network, struct error *err);
struct str mesh_client_network(const struct mesh_client *c); /* absent until set */

/* GET /info: what a coordinator says of itself. Fields it does not send are absent. */
struct mesh_about {
	struct str service, version;
	struct str network;
	struct str coordinator; /* its public key */
	int64_t uptime_seconds;
	int64_t time; /* its clock, ms since the epoch */
};
MUST_CHECK bool mesh_client_about(struct mesh_client *c, struct arena *arena, struct mesh_about *out, struct error *err);
/* GET /ready: false with the dependency that does not answer, or ERR_UNREACHABLE. */
MUST_CHECK bool mesh_client_ready(struct mesh_client *c, struct error *err);

/* Reading. */
struct mesh_query {
	const char *const *statuses; /* NULL-terminated; NULL or empty: the coordinator's default, active */
	const char *role;            /* NULL: any; filtered here */
	size_t limit;                /* at most so many nodes; 0: all of them, page by page */
};
MUST_CHECK bool mesh_client_list(struct mesh_client *c, const struct mesh_query *q, struct arena *arena, struct mesh_node_list *out,
				 struct error *err);
MUST_CHECK bool mesh_client_node(struct mesh_client *c, struct str node_id, struct arena *arena, struct mesh_node *out, struct error *err);
/* Heartbeats signed since then (ms since the epoch), oldest first, at most limit (0: the coordinator's default). */
MUST_CHECK bool mesh_client_history(struct mesh_client *c, struct str node_id, int64_t since, size_t limit, struct arena *arena,
				    struct mesh_history *out, struct error *err);
MUST_CHECK bool mesh_client_topology(struct mesh_client *c, struct arena *arena, struct mesh_node_list *out, struct error *err);
/* The signed snapshot as it came (see mesh_snapshot.h for its check). Appended to *out. */
MUST_CHECK bool mesh_client_snapshot(struct mesh_client *c, struct buf *out, struct error *err);
MUST_CHECK bool mesh_client_sovereigns(struct mesh_client *c, struct arena *arena, struct mesh_sovereigns *out, struct error *err);
/* All of them, page by page. */
MUST_CHECK bool mesh_client_invites(struct mesh_client *c, struct arena *arena, struct mesh_invites *out, struct error *err);

/* A node's own calls. */

/* Registers in the full form: r's node_id, host name, services, role ... are the caller's; public_key, network, timestamp, invite and signature
 * are filled here. invite: the invite's private key, or NULL. */
MUST_CHECK bool mesh_client_register(struct mesh_client *c, const struct mesh_register *r, const struct ed25519_secret *key,
				     const struct ed25519_secret *invite, struct arena *arena, struct mesh_node_answer *out, struct error *err);
/* Heartbeat with the full signature: h's node_id, address, services, height, version are the caller's. */
MUST_CHECK bool mesh_client_heartbeat(struct mesh_client *c, const struct mesh_heartbeat *h, const struct ed25519_secret *key,
				      struct arena *arena, struct mesh_heartbeat_answer *out, struct error *err);
MUST_CHECK bool mesh_client_node_rotate(struct mesh_client *c, struct str node_id, const struct ed25519_secret *old_key,
					const struct ed25519_secret *new_key, struct arena *arena, struct mesh_node_answer *out,
					struct error *err);

/* A sovereign's calls. node_key is the very key that is decided on, in its written form. reason may be absent. */
MUST_CHECK bool mesh_client_decide(struct mesh_client *c, enum mesh_action action, struct str node_id, struct str node_key, struct str reason,
				   const struct ed25519_secret *key, struct arena *arena, struct mesh_node_answer *out, struct error *err);
MUST_CHECK bool mesh_client_sovereign_add(struct mesh_client *c, const struct ed25519_public *added, struct str description,
					  const struct ed25519_secret *key, struct arena *arena, struct mesh_sovereign_answer *out,
					  struct error *err);
MUST_CHECK bool mesh_client_sovereign_remove(struct mesh_client *c, const struct ed25519_public *removed, const struct ed25519_secret *key,
					     struct arena *arena, struct mesh_sovereign_answer *out, struct error *err);
MUST_CHECK bool mesh_client_sovereign_rotate(struct mesh_client *c, const struct ed25519_secret *old_key, const struct ed25519_secret *new_key,
					     struct arena *arena, struct mesh_sovereign_answer *out, struct error *err);
/* uses 1..; expires: ms since the epoch. The invite's private key stays with the caller. */
MUST_CHECK bool mesh_client_invite_create(struct mesh_client *c, const struct ed25519_public *invite, int64_t uses, int64_t expires,
					  const struct ed25519_secret *key, struct arena *arena, struct error *err);
MUST_CHECK bool mesh_client_invite_revoke(struct mesh_client *c, const struct ed25519_public *invite, const struct ed25519_secret *key,
					  struct arena *arena, struct error *err);

/* The transparency log. */

/* One page: entries with an index greater than `after` (-1: from the first); next_cursor is absent on the last page. limit 0: the coordinator's
 * default. */
MUST_CHECK bool mesh_client_audit(struct mesh_client *c, int64_t after, size_t limit, struct arena *arena, struct mesh_audit *out,
				  struct error *err);
/* The signed head as it came, appended to *out; checked with crypto/note.h. */
MUST_CHECK bool mesh_client_checkpoint(struct mesh_client *c, struct buf *out, struct error *err);
/* Fetches a proof and checks it: that the leaf is at `index` of the log with this head; that the newer head's log begins with the older's.
 * ERR_CORRUPT when the proof does not hold. older->size 1..newer->size. */
MUST_CHECK bool mesh_client_prove_inclusion(struct mesh_client *c, const struct hash *leaf, int64_t index, const struct checkpoint *head,
					    struct arena *arena, struct error *err);
MUST_CHECK bool mesh_client_prove_consistency(struct mesh_client *c, const struct checkpoint *older, const struct checkpoint *newer,
					      struct arena *arena, struct error *err);

/* Events until `each` returns false, the stream ends or *stop is set. last_id < 0: from now on. See http_events. */
typedef bool mesh_event_fn(void *ctx, int64_t id, const char *type, struct str data);
MUST_CHECK bool mesh_client_events(struct mesh_client *c, int64_t last_id, mesh_event_fn *each, void *ctx, const volatile int *stop,
				   struct error *err);

#endif
