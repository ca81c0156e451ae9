/*
 * How much one node may add to the log in a day by changes of its own: registering again, rotating its key. The log is kept for ever, and
 * nobody but the node decides on these. What was added is counted in a local table: no rule of the log, so a verifier does not ask.
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
/* *allowed false, and *why (ERR_RATE_LIMITED): what the node has added since midnight UTC leaves no room. Changes of others pass. */
MUST_CHECK enum db_status quota_check(struct db_conn *c, const struct change *change, int64_t now, bool *allowed, struct error *why, struct error *err);
/* A change of a node was appended. */
MUST_CHECK enum db_status quota_count(struct db_conn *c, const struct change *change, int64_t now, struct error *err);

#endif
