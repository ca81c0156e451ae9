/* For the tests of the pool: a journal of jobs, and a job that writes into it. */
#ifndef TANA_TESTS_DB_POOL_FIXTURE_H
#define TANA_TESTS_DB_POOL_FIXTURE_H

#include "db_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "base/attrs.h"
#include "base/clock.h"
#include "db/db_migrate.h"
#include "db/db_pool.h"

static const struct db_migration pool_schema[] = {
	{.name = "0001 journal", .sql = "CREATE TABLE journal (id BIGINT PRIMARY KEY, place BIGINT NOT NULL, filler BYTEA)"},
};

/* `place`: how many were there before, so the order in which jobs ran. */
DB_SQL(sql_journal, "INSERT INTO journal (id, place, filler) VALUES ($1, (SELECT COUNT(*) FROM journal), $2)");

/* This process's alone: who ends a pool's connections on a server that others use too must not end theirs. */
static inline const char *pool_name(void)
{
	static char name[32];
	snprintf(name, sizeof(name), "test_pool_%d", (int)getpid());
	return name;
}

static inline struct db_pool *open_pool(const char *url, size_t queue_max, size_t group_max, int64_t patience_ms)
{
	struct error err = {0};
	struct db_pool_options o = {
		.url = url, .name = pool_name(), .readers = 2, .queue_max = queue_max, .group_max = group_max, .patience_ms = patience_ms};
	struct db_pool *p = db_pool_open(&o, pool_schema, ARRAY_LEN(pool_schema), &err);
	if (!p)
		fail_msg("%s", err.message);
	return p;
}

struct entry {
	struct db_job job;
	int64_t id;
	size_t filler;
	int runs; /* times the job ran */
	enum db_status status;
	struct error err;
	sem_t *ended;
};

static inline enum db_status entry_run(struct db_job *job, struct db_conn *c, struct error *err)
{
	static const char zeros[64 * 1024];
	struct entry *e = (struct entry *)job;
	e->runs++;
	return db_run(c, &sql_journal, DB_ARGS(DB_INT(e->id), DB_BLOB(e->filler ? zeros : NULL, e->filler)), NULL, err);
}

static inline void entry_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct entry *e = (struct entry *)job;
	e->status = status;
	if (status != DB_OK)
		e->err = *err;
	sem_post(e->ended);
}

/* `n` entries, numbered from `first`, that post `ended`. */
static inline struct entry *make_entries(size_t n, int64_t first, sem_t *ended)
{
	struct entry *e = calloc(n, sizeof(*e));
	for (size_t i = 0; i < n; i++) {
		e[i].job.run = entry_run;
		e[i].job.done = entry_done;
		e[i].id = first + (int64_t)i;
		e[i].ended = ended;
	}
	return e;
}

static inline void submit(struct db_pool *p, struct entry *e)
{
	struct error err = {0};
	if (!db_pool_submit(p, &e->job, &err))
		fail_msg("%s", err.message);
}

static inline void wait_for(sem_t *ended, size_t n)
{
	while (n > 0) {
		if (sem_wait(ended) == 0)
			n--;
	}
}

static inline enum db_status write_entry(struct db_pool *p, int64_t id, size_t filler, struct error *err)
{
	struct entry e = {.job = {.run = entry_run}, .id = id, .filler = filler};
	return db_pool_write(p, &e.job, err);
}

static inline void must_write(struct db_pool *p, int64_t id)
{
	struct error err = {0};
	must(write_entry(p, id, 0, &err), &err);
}

/* Through a connection of its own, so what another process would see. */
static inline int64_t journal_count(const char *url, const char *where)
{
	char sql[256];
	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM journal WHERE %s", where);
	struct db_conn *c = open_how(url, DB_OPEN_EXISTING);
	int64_t n = ask_int(c, sql);
	db_close(c);
	return n;
}

static inline void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Until the pool is ready (or is not), for at most 10 s. */
static inline void wait_ready(struct db_pool *p, bool ready)
{
	struct error err;
	int64_t deadline = clock_mono_ms() + 10000;
	while (db_pool_ready(p, &err) != ready) {
		if (clock_mono_ms() > deadline)
			fail_msg("still %sready", ready ? "not " : "");
		sleep_ms(20);
	}
}

/* A job that holds the writer until it is let go, so that a group gathers behind it. */
struct gate {
	struct db_job job;
	sem_t entered, open, ended;
};

static inline enum db_status gate_run(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct gate *g = (struct gate *)job;
	(void)c;
	(void)err;
	sem_post(&g->entered);
	wait_for(&g->open, 1);
	return DB_OK;
}

static inline void gate_done(struct db_job *job, enum db_status status, const struct error *err)
{
	(void)status;
	(void)err;
	sem_post(&((struct gate *)job)->ended);
}

static inline void close_gate(struct db_pool *p, struct gate *g)
{
	struct error err = {0};
	*g = (struct gate){.job = {.run = gate_run, .done = gate_done}};
	sem_init(&g->entered, 0, 0);
	sem_init(&g->open, 0, 0);
	sem_init(&g->ended, 0, 0);
	if (!db_pool_submit(p, &g->job, &err))
		fail_msg("%s", err.message);
	wait_for(&g->entered, 1);
}

static inline void open_gate(struct gate *g)
{
	sem_post(&g->open);
	wait_for(&g->ended, 1);
}

#endif
