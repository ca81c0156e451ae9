/*
 * The writer: one thread that runs all jobs. While one commit is on its way to the disk the next group gathers in the queue by itself, and
 * a crowd that keeps coming is let in for a moment longer. A lone job is committed at once.
 */
#include "db_pool_inside.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

enum {
	GROUP_TRIES = 3, /* of a group that met a deadlock, before its jobs run alone */
	SOLO_TRIES = 5,
	RETRY_PAUSE_MS = 2, /* at most, before the first retry of a job; doubles */
	GATHER_STEP_US = 500,
	GATHER_MAX_US = 8000, /* what gathering may add to the time a job takes */
};

DB_SQL(sql_probe, "SELECT 1");

/* Someone who waits in db_pool_write. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool ended;
	enum db_status status;
	struct error *err;
};

/* The writer thread's own state. */
struct writer {
	struct db_pool *p;
	struct db_conn *conn; /* as p->conn, which only this thread takes away */
	struct db_job **group;
	size_t count;
	uint64_t ended; /* jobs, since p->stats was brought up to date */
};

/* Submitting. */

static bool enqueue(struct db_pool *p, struct db_job *job, struct waiter *waiter, struct error *err)
{
	job->next = NULL;
	job->waiter = waiter;
	job->since_ms = clock_mono_ms();
	pthread_mutex_lock(&p->lock);
	bool closing = p->closing, full = p->queued >= p->queue_max;
	if (!closing && !full) {
		*p->end = job;
		p->end = &job->next;
		/* The writer looks at the queue again before it sleeps: only a queue that was empty needs a wake-up. */
		if (p->queued++ == 0)
			pthread_cond_signal(&p->to_writer);
	}
	pthread_mutex_unlock(&p->lock);
	if (closing)
		return error_set(err, ERR_SHUTTING_DOWN, "the service is shutting down");
	if (full)
		return error_set(err, ERR_OVERLOADED, "too many changes wait to be written");
	return true;
}

bool db_pool_submit(struct db_pool *p, struct db_job *job, struct error *err)
{
	return enqueue(p, job, NULL, err);
}

enum db_status db_pool_write(struct db_pool *p, struct db_job *job, struct error *err)
{
	struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, .err = err};
	if (!enqueue(p, job, &w, err))
		return DB_UNAVAILABLE;
	pthread_mutex_lock(&w.lock);
	while (!w.ended)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	pthread_mutex_destroy(&w.lock);
	pthread_cond_destroy(&w.cond);
	return w.status;
}

/* The job is the submitter's again afterwards: it may be gone when this returns. */
static void end_job(struct writer *w, struct db_job *job, enum db_status status, const struct error *err)
{
	struct waiter *waiter = job->waiter;
	w->ended++;
	if (!waiter) {
		job->done(job, status, err);
		return;
	}
	pthread_mutex_lock(&waiter->lock);
	waiter->status = status;
	if (status != DB_OK)
		*waiter->err = *err;
	waiter->ended = true;
	pthread_cond_signal(&waiter->cond);
	pthread_mutex_unlock(&waiter->lock);
}

/* One transaction. */

static enum db_status run_jobs(struct db_conn *c, struct db_job **jobs, size_t count, struct error *err)
{
	enum db_status status = DB_OK;
	for (size_t i = 0; i < count && status == DB_OK;) {
		size_t same = 1;
		if (!jobs[i]->run_many) {
			status = jobs[i]->run(jobs[i], c, err);
		} else {
			while (i + same < count && jobs[i + same]->run_many == jobs[i]->run_many)
				same++;
			status = jobs[i]->run_many(jobs + i, same, c, err);
		}
		i += same;
	}
	return status;
}

struct outcome {
	enum db_status status;
	bool begun;   /* the jobs had their chance */
	bool unknown; /* the answer to COMMIT was lost */
};

static void record(struct writer *w, enum db_status status, int64_t commit_ns, const struct error *err)
{
	struct db_pool *p = w->p;
	pthread_mutex_lock(&p->lock);
	p->stats.commit_seconds_total_ns += (uint64_t)commit_ns;
	if (status == DB_OK)
		p->stats.commits++;
	else
		p->stats.failed_commits++;
	db_pool_saw(p, status != DB_UNAVAILABLE && db_usable(w->conn), err);
	pthread_mutex_unlock(&p->lock);
}

/* `alone`: the one job runs by its `run`. */
static struct outcome transact(struct writer *w, struct db_job **jobs, size_t count, bool alone, struct error *err)
{
	struct db_conn *c = w->conn;
	struct outcome o = {0};
	int64_t commit_ns = 0;
	o.status = db_begin(c, DB_TXN_WRITE, err);
	o.begun = o.status == DB_OK;
	if (o.begun) {
		error_set(err, ERR_INTERNAL, "a job failed without a reason");
		o.status = alone ? jobs[0]->run(jobs[0], c, err) : run_jobs(c, jobs, count, err);
		if (o.status != DB_OK) {
			db_rollback(c);
		} else {
			int64_t start = clock_mono_ns();
			o.status = db_commit(c, err);
			o.unknown = o.status == DB_UNAVAILABLE;
			commit_ns = clock_mono_ns() - start;
		}
	}
	record(w, o.status, commit_ns, err);
	return o;
}

static void pause_before_retry(int attempt)
{
	uint64_t ms = random_below((uint64_t)RETRY_PAUSE_MS << attempt) + 1;
	nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000L}, NULL);
}

static enum db_status run_alone(struct writer *w, struct db_job *job, struct error *err)
{
	struct outcome o = transact(w, &job, 1, true, err);
	for (int attempt = 1; attempt < SOLO_TRIES && o.status == DB_RETRY; attempt++) {
		pause_before_retry(attempt - 1);
		o = transact(w, &job, 1, true, err);
	}
	return o.status;
}

/* One group. */

static void end_rest(struct writer *w, size_t from, enum db_status status, const struct error *err)
{
	for (size_t i = from; i < w->count; i++)
		end_job(w, w->group[i], status, err);
}

/*
 * Those from `from` on go back to the head of the queue, in the old order: nothing of them was kept. `alone`: one of them may be
 * what broke the connection.
 */
static void put_back(struct writer *w, size_t from, bool alone)
{
	struct db_pool *p = w->p;
	pthread_mutex_lock(&p->lock);
	for (size_t i = w->count; i-- > from;) {
		w->group[i]->next = p->first;
		if (!p->first)
			p->end = &w->group[i]->next;
		p->first = w->group[i];
	}
	p->queued += w->count - from;
	if (alone)
		p->solo += w->count - from;
	pthread_mutex_unlock(&p->lock);
}

/* A connection that died while nothing ran on it is no job's fault. */
static bool still_connected(struct writer *w)
{
	struct error err;
	if (db_check(w->conn))
		return true;
	error_set(&err, ERR_UNAVAILABLE, "the connection to the database was lost");
	pthread_mutex_lock(&w->p->lock);
	db_pool_saw(w->p, false, &err);
	pthread_mutex_unlock(&w->p->lock);
	return false;
}

/* Once the database is locked by someone else, the rest do not each wait for it in turn. */
static void run_one_by_one(struct writer *w)
{
	struct error err;
	for (size_t i = 0; i < w->count; i++) {
		if (!still_connected(w)) {
			put_back(w, i, true);
			return;
		}
		enum db_status status = run_alone(w, w->group[i], &err);
		if (status == DB_UNAVAILABLE && db_usable(w->conn)) {
			end_rest(w, i, status, &err);
			return;
		}
		end_job(w, w->group[i], status, &err);
	}
}

static void run_together(struct writer *w)
{
	struct error err;
	if (!still_connected(w)) {
		put_back(w, 0, false);
		return;
	}
	struct outcome o = transact(w, w->group, w->count, false, &err);
	for (int attempt = 1; attempt < GROUP_TRIES && o.status == DB_RETRY; attempt++)
		o = transact(w, w->group, w->count, false, &err);
	bool locked = !o.begun && o.status == DB_UNAVAILABLE && db_usable(w->conn);
	if (o.status == DB_OK || o.unknown || locked)
		end_rest(w, 0, o.status, &err);
	else if (!db_usable(w->conn))
		put_back(w, 0, o.begun);
	else
		run_one_by_one(w);
}

/* The thread. */

/* Under the lock. */
static struct db_job *take_first(struct db_pool *p)
{
	struct db_job *job = p->first;
	p->first = job->next;
	if (!p->first)
		p->end = &p->first;
	p->queued--;
	if (p->solo)
		p->solo--;
	return job;
}

/* Under the lock, which is let go while `done` runs. In trouble, jobs that have waited long enough are refused; at the end, all are. */
static void refuse_impatient(struct writer *w)
{
	struct db_pool *p = w->p;
	while (p->first && (p->closing || clock_mono_ms() - p->first->since_ms >= p->patience_ms)) {
		struct db_job *job = take_first(p);
		struct error err = p->trouble;
		pthread_mutex_unlock(&p->lock);
		end_job(w, job, DB_UNAVAILABLE, &err);
		pthread_mutex_lock(&p->lock);
	}
}

/* Under the lock, which is let go meanwhile. */
static void probe(struct writer *w)
{
	struct db_pool *p = w->p;
	struct error err;
	p->probe_wanted = false;
	pthread_mutex_unlock(&p->lock);
	if (still_connected(w)) {
		enum db_status status = db_begin(w->conn, DB_TXN_WRITE, &err);
		if (status == DB_OK) {
			status = db_run(w->conn, &sql_probe, DB_NO_ARGS, NULL, &err);
			db_rollback(w->conn);
		}
		pthread_mutex_lock(&p->lock);
		db_pool_saw(p, status == DB_OK, &err);
	} else {
		pthread_mutex_lock(&p->lock);
	}
	p->probes++;
	pthread_cond_broadcast(&p->probed);
}

/* Under the lock. */
static void give_up_connection(struct writer *w)
{
	struct db_pool *p = w->p;
	struct db_conn *c = w->conn;
	struct error trouble = p->trouble;
	w->conn = p->conn = NULL;
	pthread_cond_signal(&p->to_keeper);
	pthread_cond_broadcast(&p->probed);
	pthread_mutex_unlock(&p->lock);
	log_warn("the database connection was given up", LOG_S("error", trouble.message));
	db_close(c);
	pthread_mutex_lock(&p->lock);
}

/* Under the lock. False: closing, and nothing is left to do. */
static bool wait_for_jobs(struct writer *w)
{
	struct db_pool *p = w->p;
	for (;;) {
		p->stats.jobs += w->ended;
		w->ended = 0;
		w->conn = p->conn;
		if (w->conn && !db_usable(w->conn)) {
			give_up_connection(w);
			continue;
		}
		if (!p->well)
			refuse_impatient(w);
		if (!w->conn) {
			if (p->closing && !p->first)
				return false;
			if (p->conn)
				continue;
			if (p->first)
				db_pool_wait_until(p, &p->to_writer, p->first->since_ms + p->patience_ms);
			else
				pthread_cond_wait(&p->to_writer, &p->lock);
		} else if (p->first) {
			return true;
		} else if (p->closing) {
			return false;
		} else if (p->probe_wanted) {
			probe(w);
		} else {
			pthread_cond_wait(&p->to_writer, &p->lock);
		}
	}
}

/*
 * Under the lock, which is let go meanwhile. Those whose jobs ended together ask again within moments of each other. Commits that took the
 * first few of them alone would cost each of them many times the work itself (docs/decisions.md), so while jobs keep coming the group
 * waits. A job that comes alone, and after none or one alone, does not.
 */
static void gather(struct writer *w)
{
	struct db_pool *p = w->p;
	size_t seen = 0;
	int64_t end_ns = clock_mono_ns() + GATHER_MAX_US * 1000;
	if ((w->count < 2 && p->queued < 2) || p->solo > 0)
		return;
	while (p->queued > seen && p->queued < p->group_max && !p->closing) {
		int64_t until_ns = clock_mono_ns() + GATHER_STEP_US * 1000;
		if (until_ns > end_ns)
			return;
		struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
		seen = p->queued;
		pthread_cond_timedwait(&p->to_writer, &p->lock, &until);
	}
}

void *db_writer_main(void *pool)
{
	struct db_pool *p = pool;
	struct writer w = {.p = p, .group = xcalloc(p->group_max, sizeof(struct db_job *))};
	pthread_mutex_lock(&p->lock);
	while (wait_for_jobs(&w)) {
		gather(&w);
		bool solo = p->solo > 0;
		for (w.count = 0; p->first && w.count < (solo ? 1 : p->group_max);)
			w.group[w.count++] = take_first(p);
		pthread_mutex_unlock(&p->lock);
		if (solo)
			run_one_by_one(&w);
		else
			run_together(&w);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	free(w.group);
	return NULL;
}
