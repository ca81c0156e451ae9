/*
 * The history of heartbeats.
 *
 * In the history's table each node has pages of its own, so a row for every heartbeat makes one more page dirty each time: one more to
 * log, to sync, to copy at the next checkpoint. So a node's last few heartbeats stand in its row of local_liveness, which they write
 * anyway, one line of text each (`recent`), and go to local_heartbeats a dozen at a time. Readers see both as one.
 */
#ifndef TANA_MESHD_MESH_HISTORY_H
#define TANA_MESHD_MESH_HISTORY_H

#include "db/db.h"
#include "wire/mesh.h"

/* Lines that `recent` takes, as a number and in SQL. With fewer the table is written more often, with more a row outgrows its page. */
#define HISTORY_RECENT_MAX 16
#define HISTORY_RECENT_FULL "16"

struct history_beat {
	int64_t time, received_at; /* ms: the node's clock, the coordinator's */
	int64_t height;            /* JSON_INT_ABSENT: not reported */
	struct str version;        /* absent: not reported */
	struct str unhealthy;      /* types separated by blanks; absent: none */
};
/* One heartbeat as a line of `recent`. */
struct str history_line(struct arena *arena, const struct history_beat *b);

/*
 * Inside a transaction: empties a node's `recent` into the history if it is full, or (`before` above 0) if the node's last heartbeat is
 * older than `before`.
 */
MUST_CHECK enum db_status history_settle(struct db_conn *c, struct str node_id, int64_t before, struct error *err);

/* At most `limit` heartbeats of a node with timestamps above `after`, oldest first, in the arena; with a cursor when there are more. */
MUST_CHECK enum db_status history_read(struct db_conn *c, struct str node_id, int64_t after, int64_t limit, struct arena *arena, struct mesh_history *out,
				       struct error *err);

#endif
