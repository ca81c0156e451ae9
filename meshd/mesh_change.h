/*
 * From a signed change to its durable effect: one job of the writer that judges it (mesh_rules.h), stores its rows, appends it to the log and records its events, all in one
 * transaction. Also the events of what nobody signs (offline, online, unhealthy), for mesh_watch and mesh_liveness.
 */
#ifndef TANA_MESHD_MESH_CHANGE_H
#define TANA_MESHD_MESH_CHANGE_H

#include "db/db_pool.h"
#include "mesh.h"
#include "mesh_rules.h"

struct change_job {
	struct db_job job; /* first: the pool's */
	struct mesh *mesh;
	struct change change;   /* as it came; every run starts from it */
	struct arena *arena;    /* texts of all runs; the owner's */
	bool coordinator_signs; /* sovereign-init, expire: the message is signed when its time is known */
	struct verdict verdict; /* of the last run */
	int64_t time;           /* of the last run: the entry's time */
};
/* Fills run; the caller sets mesh, change, arena and job.done (or uses change_run). */
void change_job_init(struct change_job *j, struct mesh *m, struct arena *arena);
/* Submits and waits: for start-up and upkeep, never from a handler or the writer. */
MUST_CHECK bool change_run(struct change_job *j, struct error *err);

/* Records an event inside the transaction; watchers get it after the commit, through mesh_feed. */
MUST_CHECK enum db_status event_record(struct db_conn *c, enum mesh_event e, int64_t time, struct str subject, struct str status, struct str extra, struct error *err);

#endif
