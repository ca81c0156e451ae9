#include "keeper.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "identity_metrics.h"
#include "notify.h"
#include "session_store.h"

enum {
	TURN_MS = 250,
	COUNT_EVERY_MS = 1000, /* walks over all that wait */
	PURGE_EVERY_MS = 60000,
	PURGE_BATCH = 1000, /* rows of a table in one transaction */
	PURGE_ROUNDS = 50,  /* in one turn: the timer must not be late because of them */
};
#define DAY_MS INT64_C(86400000)
#define SESSIONS_KEEP_MS DAY_MS         /* that came to nothing */
#define LOGINS_KEEP_MS (90 * DAY_MS)    /* what users see of their own; longer than any token lives */
#define BROWSERS_KEEP_MS (365 * DAY_MS) /* not used for so long: a new one again */

struct keeper {
	struct identity *id;
	struct worker *worker;
	int64_t next_purge_ms, next_count_ms; /* monotonic */
	int64_t purged_until;                 /* wall: sessions begun before that nobody approved are forgotten */
	bool troubled;         /* said once */
};

/* ---- expiry ---- */

struct expire_job {
	struct db_job job; /* first: the pool's */
	struct identity *id;
	int64_t now;
	struct arena arena;
	struct str *ids;
	size_t count, room;
};

static void add_id(void *ctx, struct str session_id)
{
	struct expire_job *j = ctx;
	if (j->count == j->room) {
		j->room = j->room ? j->room * 2 : 64;
		j->ids = xrealloc(j->ids, j->room * sizeof(*j->ids));
	}
	j->ids[j->count++] = arena_copy(&j->arena, session_id);
}

static enum db_status run_expire(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct expire_job *j = (struct expire_job *)job;
	j->count = 0;
	enum db_status st = sessions_expire(c, j->now, add_id, j, err);
	for (size_t i = 0; st == DB_OK && i < j->count; i++)
		st = notify_in(j->id, c, j->ids[i], err);
	return st;
}

static bool expire(struct keeper *k, int64_t now, struct error *err)
{
	struct expire_job j = {.job = {.run = run_expire}, .id = k->id, .now = now};
	arena_init(&j.arena);
	bool ok = db_pool_write(k->id->pool, &j.job, err) == DB_OK;
	if (ok) {
		identity_count(IDENTITY_EXPIRED, (int64_t)j.count);
		notify_sessions(k->id, j.ids, j.count);
	}
	free(j.ids);
	arena_free(&j.arena);
	return ok;
}

/* Whoever begins a session only adds to the number of those that wait: how many there really are is looked up here. */
static bool count_open(struct keeper *k, int64_t now, struct error *err)
{
	int64_t open, begun = atomic_load(&k->id->begun);
	struct db_conn *c = db_pool_reader(k->id->pool, err);
	if (!c)
		return false;
	bool ok = sessions_count_open(c, now, &open, err) == DB_OK;
	db_pool_release(k->id->pool, c);
	if (ok) {
		atomic_store(&k->id->begun_then, begun);
		atomic_store(&k->id->open_base, open);
	}
	return ok;
}

static bool look_for_expired(struct keeper *k, struct error *err)
{
	int64_t next = INT64_MAX, now = clock_wall_ms();
	if (clock_mono_ms() >= k->next_count_ms) {
		if (!count_open(k, now, err))
			return false;
		k->next_count_ms = clock_mono_ms() + COUNT_EVERY_MS;
	}
	struct db_conn *c = db_pool_reader(k->id->pool, err);
	if (!c)
		return false;
	bool ok = sessions_next_expiry(c, &next, err) == DB_OK;
	db_pool_release(k->id->pool, c);
	return ok && (next > now || expire(k, now, err));
}

/* ---- purge ---- */

struct purge_job {
	struct db_job job; /* first: the pool's */
	struct purge_before before;
	bool more;
};

static enum db_status run_purge(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct purge_job *j = (struct purge_job *)job;
	return store_purge(c, &j->before, PURGE_BATCH, &j->more, err);
}

static bool purge(struct keeper *k, struct error *err)
{
	const struct identity_config *c = &k->id->config;
	int64_t now = clock_wall_ms();
	struct purge_job j = {.job = {.run = run_purge},
			      .before = {.sessions_from = k->purged_until,
					 .sessions = now - c->session_ttl_ms - SESSIONS_KEEP_MS,
					 .logins = now - LOGINS_KEEP_MS,
					 .tickets = now,
					 .browsers = now - BROWSERS_KEEP_MS},
			      .more = true};
	for (int i = 0; j.more && i < PURGE_ROUNDS; i++)
		if (db_pool_write(k->id->pool, &j.job, err) != DB_OK)
			return false;
	if (!j.more)
		k->purged_until = j.before.sessions;
	return true;
}

/* ---- */

static int64_t keeper_turn(void *arg)
{
	struct keeper *k = arg;
	struct error err;
	bool ok = look_for_expired(k, &err);
	if (ok && clock_mono_ms() >= k->next_purge_ms) {
		ok = purge(k, &err);
		k->next_purge_ms = clock_mono_ms() + PURGE_EVERY_MS;
	}
	if (!ok && !k->troubled)
		log_warn("sessions cannot be looked after", LOG_S("why", err.message));
	k->troubled = !ok;
	return TURN_MS;
}

struct keeper *keeper_start(struct identity *id)
{
	struct keeper *k = xcalloc(1, sizeof(*k));
	k->id = id;
	k->worker = worker_start("keeper", keeper_turn, k);
	return k;
}

void keeper_stop(struct keeper *k)
{
	if (!k)
		return;
	worker_stop(k->worker);
	free(k);
}
