/*
 * The comparison of the stored tables with what the replay gave, for mesh_verify.c. Generic: a table is its name, its columns with their expected values, and the map of its
 * expected rows; whatever the database holds beyond or instead of that is a finding.
 */
#ifndef TANA_MESHD_MESH_VERIFY_TABLES_H
#define TANA_MESHD_MESH_VERIFY_TABLES_H

#include "mesh_replay.h"
#include "mesh_verify.h"

struct verify_run {
	struct mesh *mesh;
	struct db_conn *conn;
	struct replay_state replay;
	finding_fn *report;
	void *ctx;
	int64_t findings;
	int64_t log_size, log_rows, tree_rows; /* as replayed; log_rows: less the missing ones */
};
void verify_report(struct verify_run *v, const struct finding *f);
/* False: a table could not be read. */
MUST_CHECK bool verify_tables(struct verify_run *v, struct error *err);

#endif
