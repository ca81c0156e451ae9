/*
 * Heartbeats in SQL: the hot path. A plain heartbeat of an active node is one conditional update, run together with its neighbours in the
 * writer's group (run_many). Everything else (offline coming back, services reported unhealthy, a history to settle, refusals decided
 * late) takes the slow path, one row at a time.
 */
#ifndef TANA_MESHD_MESH_LIVENESS_H
#define TANA_MESHD_MESH_LIVENESS_H

#include "mesh.h"
#include "mesh_rules.h"
#include "wire/mesh.h"

struct heartbeat_job {
	struct db_job job; /* first: the pool's */
	struct mesh *mesh;
	struct arena *arena; /* the request's */
	/* The heartbeat, its signature checked against public_key. */
	struct str node_id, public_key;
	int64_t timestamp, received_at;
	struct str ip, version;   /* absent: unchanged */
	int64_t height;           /* JSON_INT_ABSENT: unchanged */
	struct str health;        /* health_text's form; absent: nothing reported */
	struct str unhealthy;     /* the types reported unhealthy, separated by blanks; absent: none */
	struct str line;          /* heartbeat_job_init's: for the history */
	/* Results of the last run. */
	bool accepted, events;
	struct error refusal;     /* when not accepted */
};
/* Fills the job's run functions and its line; everything else but job.done is the caller's to set before. */
void heartbeat_job_init(struct heartbeat_job *j);

/* What a reader needs to judge a heartbeat before its turn: node row and liveness. */
MUST_CHECK enum db_status heartbeat_read(struct db_conn *c, struct str node_id, struct arena *arena, struct node_row *node, struct liveness *l, bool *found,
					 struct error *err);

/* Nodes active and not seen since `cutoff`, at most `max`. */
MUST_CHECK enum db_status liveness_stale(struct db_conn *c, int64_t cutoff, struct arena *arena, struct str *ids, size_t max, size_t *count, struct error *err);
/* When the active node that was silent for longest was seen; INT64_MAX: none is active. Looks at every node. */
MUST_CHECK enum db_status liveness_oldest(struct db_conn *c, int64_t *seen_at, struct error *err);
/* Inside a transaction: calls one node offline if it is still as stale; *done tells. */
MUST_CHECK enum db_status liveness_offline(struct db_conn *c, struct str node_id, int64_t cutoff, int64_t now, bool *done, struct error *err);
/*
 * What a node last said of its services, as the column keeps it: "<type>:<1 healthy | 0 not>:<last check, ms, or nothing>", separated by blanks.
 */
struct str health_text(struct arena *arena, const struct mesh_health *list, size_t count);
struct health {
	enum json_bool healthy; /* absent: nothing was said of this service */
	int64_t last_check;     /* or JSON_INT_ABSENT */
};
struct health health_of(struct str text, struct str type);

/* Inside a transaction, after the clock went back: nobody was seen in the future. */
MUST_CHECK enum db_status liveness_clamp(struct db_conn *c, int64_t now, struct error *err);

#endif
