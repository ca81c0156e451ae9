/*
 * The text of a topology snapshot, made piece by piece inside one snapshot transaction: canonical JSON (struct mesh_snapshot), hashed as it goes and signed at its end.
 */
#ifndef TANA_MESHD_MESH_SNAPSHOT_TEXT_H
#define TANA_MESHD_MESH_SNAPSHOT_TEXT_H

#include "crypto/sha256.h"
#include "mesh.h"

/* Grows with every change of the registry, offline and online included: the last event's id. */
MUST_CHECK enum db_status snapshot_version(struct db_conn *c, int64_t *version, struct error *err);

struct snapshot_text {
	struct mesh *mesh;
	struct db_conn *conn;
	struct sha256_state hash; /* of the document less its signature */
	struct buf piece;         /* the bytes to write next */
	int64_t version, issued;
	char after[72];           /* the last node written */
	enum { SNAPSHOT_HEAD, SNAPSHOT_NODES, SNAPSHOT_TAIL, SNAPSHOT_DONE } stage;
	bool any_node, failed;
};
MUST_CHECK bool snapshot_text_begin(struct snapshot_text *t, struct mesh *m, struct db_conn *c, int64_t now, struct error *err);
/* True: `piece` holds the next bytes. False: the end, or t->failed with *err. */
MUST_CHECK bool snapshot_text_next(struct snapshot_text *t, struct error *err);
void snapshot_text_end(struct snapshot_text *t);

#endif
