/*
 * Which key a node's last heartbeat was signed with: so that the next one's signature can be checked without asking the database first.
 *
 * Only a hint. The write that follows has its own conditions (the node is active, has this very key, an older last heartbeat); whoever
 * finds that they do not hold, or that a hint does not fit, asks the database. So a hint may be missing, old, or of another node, also
 * because another instance changed the registry; it costs time then, and nothing else. Thread-safe. Memory is bounded (12 MiB).
 */
#ifndef TANA_MESHD_MESH_HINTS_H
#define TANA_MESHD_MESH_HINTS_H

#include "crypto/ed25519.h"

struct mesh_hint {
	struct ed25519_public key;
	int64_t heartbeat_time; /* ms, the node's clock: of its last heartbeat that was taken here */
};

struct mesh_hints;
struct mesh_hints *mesh_hints_new(void);
void mesh_hints_free(struct mesh_hints *h); /* NULL is allowed */
bool mesh_hint_get(struct mesh_hints *h, struct str node_id, struct mesh_hint *out);
void mesh_hint_put(struct mesh_hints *h, struct str node_id, const struct mesh_hint *hint);
void mesh_hint_drop(struct mesh_hints *h, struct str node_id);

#endif
