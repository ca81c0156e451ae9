/*
 * `meshd verify`: is this registry exactly what the signatures of its log say? Replays the log through the rules, checks every signature, leaf and tree hash, and compares every
 * column of every row of every table but local_*. Each difference is a finding that names its place.
 */
#ifndef TANA_MESHD_MESH_VERIFY_H
#define TANA_MESHD_MESH_VERIFY_H

#include "mesh.h"

struct finding {
	const char *table, *column; /* column NULL: the whole row */
	struct str row;             /* its primary key, as text */
	struct str expected, found; /* absent: NULL, or no such row */
	const char *problem;        /* a sentence; never NULL */
};
typedef void finding_fn(void *ctx, const struct finding *f);

struct verify_result {
	int64_t entries, nodes, findings;
	struct str root; /* hex, of the whole log; in the mesh's arena */
};
/* Reads one consistent state; a serving meshd is not disturbed. kept: the text of a checkpoint that somebody kept, or absent. False: it could not be checked (*err). */
MUST_CHECK bool mesh_verify(struct mesh *m, struct db_conn *c, struct str kept, finding_fn *report, void *ctx, struct verify_result *out, struct error *err);

#endif
