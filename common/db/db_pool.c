#include "db_pool_inside.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "db_migrate.h"

enum {
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 5000,
	FRESH_MS = 1000,      /* what was seen no longer ago is taken as so */
	PROBE_WAIT_MS = 1000, /* how long a readiness check waits for the writer's answer */
};

void db_pool_wait_until(struct db_pool *p, pthread_cond_t *cond, int64_t ms)
{
	struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L};
	pthread_cond_timedwait(cond, &p->lock, &ts);
}

void db_pool_saw(struct db_pool *p, bool well, const struct error *trouble)
{
	p->well = well;
	p->seen_ms = clock_mono_ms();
	if (!well)
		p->trouble = *trouble;
}

/* The keeper. */

/* The file or server behind the URL may be another one by now. */
static enum db_status check_schema(const struct db_pool *p, struct db_conn *c, struct error *err)
{
	int64_t version;
	enum db_status status = db_schema_version(c, &version, err);
	if (status == DB_OK && version < p->schema) {
		error_set(err, ERR_CONFIG, "the database is another one than before: its schema is %lld instead of %lld", (long long)version,
			  (long long)p->schema);
		status = DB_BROKEN;
	}
	return status;
}

/* NULL, and *err, when it cannot be had now. A SQLite file that went away is not made anew: that would hide a loss. */
static struct db_conn *reopen(const struct db_pool *p, enum db_open_how how, struct error *err)
{
	struct db_conn *c;
	if (db_open(p->url, how, p->name, &c, err) != DB_OK)
		return NULL;
	if (check_schema(p, c, err) != DB_OK) {
		db_close(c);
		return NULL;
	}
	return c;
}

/* Under the lock. */
static void hand_over(struct db_pool *p, struct db_conn *c, bool to_writer)
{
	if (to_writer) {
		p->conn = c;
		p->stats.reconnects++;
		struct error none = {0};
		db_pool_saw(p, true, &none);
		pthread_cond_signal(&p->to_writer);
	} else {
		p->idle[p->idle_count++] = c;
		p->missing--;
		pthread_cond_signal(&p->reader_back);
	}
}

static int64_t longer(int64_t delay_ms)
{
	int64_t twice = delay_ms ? 2 * delay_ms : BACKOFF_MIN_MS;
	return twice < BACKOFF_MAX_MS ? twice : BACKOFF_MAX_MS;
}

/* Instances that lost one server together do not come back to it in step. */
static int64_t jittered(int64_t delay_ms)
{
	return delay_ms / 2 + (int64_t)random_below((uint64_t)delay_ms / 2 + 1);
}

static void *keeper_main(void *pool)
{
	struct db_pool *p = pool;
	struct error err;
	int64_t delay = 0, next_try = 0;
	pthread_mutex_lock(&p->lock);
	while (!p->closing) {
		bool for_writer = !p->conn;
		if (!for_writer && p->missing == 0) {
			pthread_cond_wait(&p->to_keeper, &p->lock);
			continue;
		}
		if (clock_mono_ms() < next_try) {
			db_pool_wait_until(p, &p->to_keeper, next_try);
			continue;
		}
		pthread_mutex_unlock(&p->lock);
		struct db_conn *c = reopen(p, for_writer ? DB_OPEN_EXISTING : DB_OPEN_READ_ONLY, &err);
		if (!c && delay == 0)
			log_warn("the database cannot be opened; trying on", LOG_S("error", err.message));
		if (c && delay)
			log_info("the database is back", LOG_S("for", for_writer ? "writing" : "reading"));
		pthread_mutex_lock(&p->lock);
		delay = c ? 0 : longer(delay);
		next_try = c ? 0 : clock_mono_ms() + jittered(delay);
		if (c)
			hand_over(p, c, for_writer);
		else if (for_writer)
			db_pool_saw(p, false, &err);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Opening and closing. */

static void init_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* Signals are for the program's own threads. */
static void start_thread(pthread_t *thread, void *(*body)(void *), struct db_pool *p, const char *name)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(thread, NULL, body, p) != 0)
		fatal("cannot start the thread %s", name);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setname_np(*thread, name);
}

struct db_pool *db_pool_open(const struct db_pool_options *o, const struct db_migration *list, size_t count, struct error *err)
{
	struct db_conn *c;
	invariant(o->readers > 0 && o->queue_max > 0 && o->group_max > 0);
	if (db_open(o->url, DB_OPEN_CREATE, o->name, &c, err) != DB_OK)
		return NULL;
	if (db_migrate(c, list, count, err) != DB_OK) {
		db_close(c);
		return NULL;
	}
	struct db_pool *p = xcalloc(1, sizeof(*p));
	p->url = xstrdup(o->url);
	p->name = xstrdup(o->name);
	p->kind = db_kind_of(c);
	p->readers = p->missing = o->readers;
	p->queue_max = o->queue_max;
	p->group_max = o->group_max;
	p->patience_ms = o->patience_ms;
	p->schema = (int64_t)count;
	p->end = &p->first;
	p->conn = c;
	p->idle = xcalloc((size_t)o->readers, sizeof(struct db_conn *));
	p->well = true;
	p->seen_ms = clock_mono_ms();
	pthread_mutex_init(&p->lock, NULL);
	init_cond(&p->to_writer);
	init_cond(&p->to_keeper);
	init_cond(&p->reader_back);
	init_cond(&p->probed);
	start_thread(&p->keeper_thread, keeper_main, p, "db-keeper");
	start_thread(&p->writer_thread, db_writer_main, p, "db-writer");
	return p;
}

void db_pool_close(struct db_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->to_writer);
	pthread_cond_broadcast(&p->to_keeper);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->writer_thread, NULL);
	pthread_join(p->keeper_thread, NULL);
	invariant(p->idle_count + p->missing == p->readers);
	/* Readers first: the last SQLite connection to close tidies the log away, and readers may not write. */
	for (int i = 0; i < p->idle_count; i++)
		db_close(p->idle[i]);
	db_close(p->conn);
	pthread_cond_destroy(&p->to_writer);
	pthread_cond_destroy(&p->to_keeper);
	pthread_cond_destroy(&p->reader_back);
	pthread_cond_destroy(&p->probed);
	pthread_mutex_destroy(&p->lock);
	free(p->idle);
	free(p->url);
	free(p->name);
	free(p);
}

enum db_kind db_pool_kind(const struct db_pool *p)
{
	return p->kind;
}

/* Readers. */

/* Under the lock: NULL when none came home in time. */
static struct db_conn *take_idle(struct db_pool *p, int64_t deadline_ms)
{
	while (p->idle_count == 0) {
		if (clock_mono_ms() >= deadline_ms)
			return NULL;
		db_pool_wait_until(p, &p->reader_back, deadline_ms);
	}
	return p->idle[--p->idle_count];
}

struct db_conn *db_pool_reader(struct db_pool *p, struct error *err)
{
	int64_t deadline = clock_mono_ms() + p->patience_ms;
	for (;;) {
		pthread_mutex_lock(&p->lock);
		struct db_conn *c = take_idle(p, deadline);
		bool all_gone = !c && p->missing == p->readers;
		struct error trouble = all_gone && !p->well ? p->trouble : (struct error){0};
		pthread_mutex_unlock(&p->lock);
		if (!c) {
			error_set(err, ERR_UNAVAILABLE, "%s",
				  *trouble.message ? trouble.message : all_gone ? "the database cannot be reached" : "all database connections are in use");
			return NULL;
		}
		/* It may have died at home, for instance when the server was restarted. */
		if (db_check(c))
			return c;
		db_pool_release(p, c);
	}
}

void db_pool_release(struct db_pool *p, struct db_conn *c)
{
	db_rollback(c);
	bool keep = db_usable(c);
	if (!keep)
		db_close(c);
	pthread_mutex_lock(&p->lock);
	if (keep) {
		p->idle[p->idle_count++] = c;
		pthread_cond_signal(&p->reader_back);
	} else {
		p->missing++;
		pthread_cond_signal(&p->to_keeper);
	}
	pthread_mutex_unlock(&p->lock);
}

bool db_pool_ready(struct db_pool *p, struct error *err)
{
	pthread_mutex_lock(&p->lock);
	if (p->conn && clock_mono_ms() - p->seen_ms >= FRESH_MS) {
		int64_t deadline = clock_mono_ms() + PROBE_WAIT_MS;
		uint64_t before = p->probes;
		p->probe_wanted = true;
		pthread_cond_signal(&p->to_writer);
		while (p->probes == before && p->conn && clock_mono_ms() < deadline)
			db_pool_wait_until(p, &p->probed, deadline);
		if (p->probes == before && p->conn && clock_mono_ms() - p->seen_ms >= FRESH_MS) {
			pthread_mutex_unlock(&p->lock);
			return error_set(err, ERR_UNAVAILABLE, "the database did not answer within a second");
		}
	}
	bool well = p->conn && p->well;
	if (!well)
		*err = p->trouble;
	pthread_mutex_unlock(&p->lock);
	return well;
}

void db_pool_get_stats(struct db_pool *p, struct db_pool_stats *out)
{
	pthread_mutex_lock(&p->lock);
	*out = p->stats;
	out->queue_length = p->queued;
	pthread_mutex_unlock(&p->lock);
}
