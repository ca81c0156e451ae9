/*
 * Checking a mesh's log as an outsider (docs/protocol.md, "The log"): given every entry in order, are the signatures those of keys that could
 * decide, and do the entries make the root that the coordinator signed? No I/O; memory grows with the sovereign keys, not with the log.
 */
#ifndef TANA_CLIENT_MESH_AUDITOR_H
#define TANA_CLIENT_MESH_AUDITOR_H

#include "base/arena.h"
#include "base/error.h"
#include "crypto/merkle_list.h"
#include "wire/mesh.h"

struct mesh_auditor {
	struct str network, coordinator; /* borrowed; written form of the key */
	struct arena arena;              /* the sovereign keys */
	struct str *sovereigns;
	size_t sovereign_count, sovereign_cap;
	struct merkle_frontier frontier; /* .size: entries taken */
};

void mesh_auditor_begin(struct mesh_auditor *a, struct str network, struct str coordinator);
void mesh_auditor_end(struct mesh_auditor *a);
/* Takes the next entry. ERR_CORRUPT (an entry out of order, signed by a key that may not, of another network, or no statement of a mesh),
 * ERR_BAD_SIGNATURE; the message names the entry. */
MUST_CHECK bool mesh_auditor_take(struct mesh_auditor *a, const struct mesh_audit_entry *e, struct error *err);
/* The root over the entries taken so far. */
void mesh_auditor_root(const struct mesh_auditor *a, struct hash *out);
/* The signatures of one entry by themselves: do they verify, and are they those the statement calls for? Says nothing of whether the key could
 * decide. */
MUST_CHECK bool mesh_audit_signatures_valid(const struct mesh_audit_entry *e, struct arena *arena, struct error *err);
/* The leaf hash of an entry: over its canonical JSON. */
void mesh_audit_leaf(const struct mesh_audit_entry *e, struct hash *out);

#endif
