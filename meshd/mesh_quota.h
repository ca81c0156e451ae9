/*
 * How much one node may add to the log in a day by changes of its own: registering again, rotating its key. The log is kept for ever, and
 * nobody but the node decides on these. What was added is counted in a local table: no rule of the log, so a verifier does not ask. The rules ask once the
 * signature has shown that it is the node that speaks: nobody else is told how much it has left.
 */
#ifndef TANA_MESHD_MESH_QUOTA_H
#define TANA_MESHD_MESH_QUOTA_H

#include "db/db.h"
#include "mesh_rules.h"

enum {
	QUOTA_WAITING_BYTES = 256 * 1024,       /* a node that no sovereign and no invite has admitted */
	QUOTA_ADMITTED_BYTES = 4 * 1024 * 1024, /* hundreds of times what one that moves every minute needs */
	QUOTA_DAY_MS = 24 * 3600 * 1000
};
/* *room false: what the node has added since midnight UTC leaves none for this change of its own. */
MUST_CHECK enum db_status quota_has_room(struct db_conn *c, const struct node_row *node, const struct change *change, int64_t now, bool *room, struct error *err);
/* A change of a node was appended. */
MUST_CHECK enum db_status quota_count(struct db_conn *c, const struct change *change, int64_t now, struct error *err);

#endif
