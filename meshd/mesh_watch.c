#include "mesh_watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "mesh_change.h"
#include "mesh_feed.h"
#include "mesh_history.h"
#include "mesh_liveness.h"

enum {
	TURN_MIN_MS = 100,
	TURN_MAX_MS = 5000,
	TURNS_A_TIMEOUT = 10,     /* how finely a timeout is watched */
	BATCH = 256,              /* nodes called offline in one commit */
	UPKEEP_EVERY_MS = 60000,
	UPKEEP_NODES = 2000,      /* nodes whose history is thinned in one upkeep turn */
	JUMP_MS = 1000,           /* a wall clock that strays this far from the monotonic one has jumped */
	EVENTS_KEEP = 100000,     /* events kept for those who resume */
	DAY_MS = 86400000,
};

struct mesh_watch {
	struct mesh *mesh;
	struct worker *worker;
	int64_t grace_until;  /* monotonic ms: nobody is called offline before */
	int64_t next_look;    /* monotonic ms: nobody can have been silent for a whole timeout before */
	int64_t wall_offset;  /* wall - monotonic, at the last turn */
	int64_t next_upkeep;  /* monotonic ms */
	char history_at[65];  /* the node whose history was thinned last */
	bool completed;       /* every node has its row in local_liveness */
};

/* What one write transaction of this thread does. */
struct watch_job {
	struct db_job job; /* first: the pool's */
	struct mesh *mesh;
	int64_t now, cutoff;
	struct str *ids;
	size_t count, offline;
};

static enum db_status run_offline(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct watch_job *j = (struct watch_job *)job;
	j->offline = 0;
	for (size_t i = 0; i < j->count; i++) {
		bool done;
		enum db_status st = liveness_offline(c, j->ids[i], j->cutoff, j->now, &done, err);
		if (st != DB_OK)
			return st;
		j->offline += done;
	}
	return DB_OK;
}

static enum db_status run_clamp(struct db_job *job, struct db_conn *c, struct error *err)
{
	return liveness_clamp(c, ((struct watch_job *)job)->now, err);
}

DB_SQL(SQL_EVENTS_FORGET, "DELETE FROM local_events WHERE id <= (SELECT last FROM local_event_head WHERE id = 1) - $1");
static enum db_status run_forget(struct db_job *job, struct db_conn *c, struct error *err)
{
	(void)job;
	return db_run(c, &SQL_EVENTS_FORGET, DB_ARGS(DB_INT(EVENTS_KEEP)), NULL, err);
}

/* local_ tables may be emptied, or lost on the way from another database: every node has its row again, as if it had just been heard. */
DB_SQL(SQL_COMPLETE, "INSERT INTO local_liveness (node_id, seen_at, heartbeat_time) SELECT n.id, CAST($1 AS BIGINT), 0 FROM nodes n"
		     " WHERE NOT EXISTS (SELECT 1 FROM local_liveness l WHERE l.node_id = n.id) ON CONFLICT (node_id) DO NOTHING");
static enum db_status run_complete(struct db_job *job, struct db_conn *c, struct error *err)
{
	return db_run(c, &SQL_COMPLETE, DB_ARGS(DB_INT(((struct watch_job *)job)->now)), NULL, err);
}

/* Older heartbeats: the first of each day stays. */
DB_SQL(SQL_THIN, "DELETE FROM local_heartbeats WHERE node_id = $1 AND time < $2 AND time NOT IN"
		 " (SELECT MIN(time) FROM local_heartbeats WHERE node_id = $1 AND time < $2 GROUP BY time / $3)");
static enum db_status run_thin(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct watch_job *j = (struct watch_job *)job;
	for (size_t i = 0; i < j->count; i++) {
		enum db_status st = history_settle(c, j->ids[i], j->cutoff, err);
		if (st == DB_OK)
			st = db_run(c, &SQL_THIN, DB_ARGS(DB_TEXT(j->ids[i]), DB_INT(j->cutoff), DB_INT(DAY_MS)), NULL, err);
		if (st != DB_OK)
			return st;
	}
	return DB_OK;
}

static bool write_job(struct mesh_watch *w, struct watch_job *j, enum db_status (*run)(struct db_job *, struct db_conn *, struct error *), struct error *err)
{
	j->job = (struct db_job){.run = run};
	j->mesh = w->mesh;
	return db_pool_write(w->mesh->pool, &j->job, err) == DB_OK;
}

static void begin_grace(struct mesh_watch *w, const char *why)
{
	w->grace_until = clock_mono_ms() + w->mesh->config.offline_grace_ms;
	log_info("nobody is called offline for a whole timeout", LOG_S("because", why));
}

/*
 * Looking for silent nodes means looking at all. But whoever was seen last at some time cannot be silent for a whole timeout before that
 * time and the timeout are over, whoever becomes active meanwhile later still: until then there is nothing to look for.
 */
static bool set_next_look(struct mesh_watch *w, int64_t now, struct error *err)
{
	int64_t oldest;
	struct db_conn *c = db_pool_reader(w->mesh->pool, err);
	if (!c)
		return false;
	bool ok = liveness_oldest(c, &oldest, err) == DB_OK;
	db_pool_release(w->mesh->pool, c);
	if (ok)
		w->next_look = clock_mono_ms() + (oldest < now ? oldest - now : 0) + w->mesh->config.heartbeat_timeout_ms;
	return ok;
}

/* At most BATCH of the silent ones. False: the database did not answer. */
static bool call_some_offline(struct mesh_watch *w, int64_t now, size_t *count, struct error *err)
{
	int64_t cutoff = now - w->mesh->config.heartbeat_timeout_ms;
	struct arena arena;
	struct str ids[BATCH];
	arena_init(&arena);
	struct db_conn *c = db_pool_reader(w->mesh->pool, err);
	bool ok = c && liveness_stale(c, cutoff, &arena, ids, BATCH, count, err) == DB_OK;
	if (c)
		db_pool_release(w->mesh->pool, c);
	if (ok && *count > 0) {
		struct watch_job j = {.now = now, .cutoff = cutoff, .ids = ids, .count = *count};
		ok = write_job(w, &j, run_offline, err);
		if (ok && j.offline > 0) {
			log_info("nodes went offline", LOG_I("count", (int64_t)j.offline));
			mesh_feed_wake(w->mesh->feed);
		}
	}
	arena_free(&arena);
	return ok;
}

static bool call_offline(struct mesh_watch *w, int64_t now, struct error *err)
{
	size_t count = BATCH;
	while (count == BATCH)
		if (!call_some_offline(w, now, &count, err))
			return false;
	return set_next_look(w, now, err);
}

/* Nobody hears of a node that waits: it was seen last when it began to wait, by registering or by a reset. */
DB_SQL(SQL_EXPIRED, "SELECT n.id, n.public_key FROM nodes n JOIN local_liveness l ON l.node_id = n.id WHERE n.status = 'pending' AND l.seen_at < $1"
		    " ORDER BY n.id LIMIT $2");
static bool expire_pending(struct mesh_watch *w, int64_t now, struct error *err)
{
	struct arena arena;
	arena_init(&arena);
	struct change expired[BATCH];
	size_t count = 0;
	struct db_rows *rows;
	struct db_conn *c = db_pool_reader(w->mesh->pool, err);
	bool ok = c && db_query(c, &SQL_EXPIRED, DB_ARGS(DB_INT(now - w->mesh->config.pending_ttl_ms), DB_INT(BATCH)), &rows, err) == DB_OK;
	if (ok) {
		while (count < BATCH && db_next(rows)) {
			expired[count] = (struct change){.statement = {.kind = STATEMENT_EXPIRE, .network = w->mesh->config.network}};
			expired[count].statement.node_id = arena_copy(&arena, db_text(rows, 0));
			expired[count++].statement.public_key = arena_copy(&arena, db_text(rows, 1));
		}
		ok = db_finish(rows, err) == DB_OK;
	}
	if (c)
		db_pool_release(w->mesh->pool, c);
	for (size_t i = 0; ok && i < count; i++) {
		struct change_job j;
		struct error refused;
		change_job_init(&j, w->mesh, &arena);
		j.change = expired[i];
		j.coordinator_signs = true;
		if (change_run(&j, &refused))
			log_info("a pending registration expired", LOG_STR("node", expired[i].statement.node_id));
		else
			log_warn("a pending registration did not expire", LOG_STR("node", expired[i].statement.node_id), LOG_S("why", refused.message));
	}
	arena_free(&arena);
	return ok;
}

DB_SQL(SQL_NODES_AFTER, "SELECT node_id FROM local_liveness WHERE node_id > $1 ORDER BY node_id LIMIT $2");
static bool thin_history(struct mesh_watch *w, int64_t now, struct error *err)
{
	for (int done = 0; done < UPKEEP_NODES; done += BATCH) {
		struct arena arena;
		struct str ids[BATCH];
		size_t count = 0;
		arena_init(&arena);
		struct db_rows *rows;
		struct db_conn *c = db_pool_reader(w->mesh->pool, err);
		bool ok = c && db_query(c, &SQL_NODES_AFTER, DB_ARGS(DB_TEXT(str_from(w->history_at)), DB_INT(BATCH)), &rows, err) == DB_OK;
		if (ok) {
			while (count < BATCH && db_next(rows))
				ids[count++] = arena_copy(&arena, db_text(rows, 0));
			ok = db_finish(rows, err) == DB_OK;
		}
		if (c)
			db_pool_release(w->mesh->pool, c);
		if (ok && count > 0) {
			struct watch_job j = {.cutoff = now - w->mesh->config.history_keep_ms, .ids = ids, .count = count};
			ok = write_job(w, &j, run_thin, err);
			snprintf(w->history_at, sizeof(w->history_at), "%.*s", STR_ARG(ids[count - 1]));
		}
		arena_free(&arena);
		if (!ok)
			return false;
		if (count < BATCH) {
			w->history_at[0] = '\0'; /* all around: begin anew at the next upkeep */
			return true;
		}
	}
	return true;
}

static bool upkeep(struct mesh_watch *w, int64_t now, struct error *err)
{
	struct watch_job j = {.now = now};
	if (!w->completed && !write_job(w, &j, run_complete, err))
		return false;
	w->completed = true;
	return expire_pending(w, now, err) && thin_history(w, now, err) && write_job(w, &j, run_forget, err);
}

/* A jump either way: whoever could not be heard gets a whole timeout; after a jump back nobody was seen in the future. */
static bool mind_the_clock(struct mesh_watch *w, int64_t now, struct error *err)
{
	int64_t offset = now - clock_mono_ms(), moved = offset - w->wall_offset;
	if (moved <= -JUMP_MS || moved >= JUMP_MS) {
		log_warn("the clock jumped", LOG_I("by_ms", moved));
		begin_grace(w, "the clock jumped");
		w->next_look = 0;
		struct watch_job j = {.now = now};
		if (!write_job(w, &j, run_clamp, err))
			return false; /* the next turn sees the jump again */
	}
	w->wall_offset = offset;
	return true;
}

static int64_t watch_turn(void *arg)
{
	struct mesh_watch *w = arg;
	struct error err;
	int64_t now = clock_wall_ms();
	bool ok = mind_the_clock(w, now, &err);
	if (ok && clock_mono_ms() >= w->grace_until && clock_mono_ms() >= w->next_look)
		ok = call_offline(w, now, &err);
	if (ok && clock_mono_ms() >= w->next_upkeep) {
		ok = upkeep(w, now, &err);
		w->next_upkeep = clock_mono_ms() + UPKEEP_EVERY_MS;
	}
	if (!ok) {
		log_warn("offline detection could not look", LOG_S("why", err.message));
		begin_grace(w, "the database was away");
	}
	int64_t turn = w->mesh->config.heartbeat_timeout_ms / TURNS_A_TIMEOUT;
	return turn < TURN_MIN_MS ? TURN_MIN_MS : turn > TURN_MAX_MS ? TURN_MAX_MS : turn;
}

struct mesh_watch *mesh_watch_start(struct mesh *m)
{
	struct mesh_watch *w = xcalloc(1, sizeof(*w));
	w->mesh = m;
	w->wall_offset = clock_wall_ms() - clock_mono_ms();
	w->next_upkeep = clock_mono_ms() + TURN_MIN_MS;
	begin_grace(w, "meshd has just started");
	/* The clock may have gone back while nobody looked. */
	struct error err;
	struct watch_job j = {.now = clock_wall_ms()};
	if (!write_job(w, &j, run_clamp, &err))
		log_warn("the last heartbeats could not be checked against the clock", LOG_S("why", err.message));
	w->worker = worker_start("mesh-watch", watch_turn, w);
	return w;
}

void mesh_watch_stop(struct mesh_watch *w)
{
	if (!w)
		return;
	worker_stop(w->worker);
	free(w);
}
