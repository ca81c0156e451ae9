/*
 * What one small durable write costs the processor: an UPDATE of a random row and an INSERT of its history, grouped by the pool's
 * writer, on the path a heartbeat takes.
 *
 *	bench_db                        a new SQLite file under $TMPDIR, and PostgreSQL when TANA_TEST_POSTGRES names an empty database
 *	bench_db URL ROWS GROUP JOBS [SQL]...   one measurement; each SQL runs on the writer's connection first ("PRAGMA wal_autocheckpoint = 1000")
 *
 * Columns: jobs in a commit; microseconds of CPU a job, of the writer thread and of the whole process (user and system time);
 * jobs/s. On PostgreSQL the server's own time is not in it.
 */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "db/db_migrate.h"
#include "db/db_pool.h"

enum { ID_SIZE = 32, BATCHES = 4 };

static const struct db_migration schema[] = {
	{
		.name = "0001 bench",
		.sql = "",
		.sqlite = "CREATE TABLE liveness (id TEXT PRIMARY KEY, seen_at BIGINT NOT NULL, time BIGINT NOT NULL, "
			  "ip TEXT, health TEXT, height BIGINT, version TEXT) WITHOUT ROWID;"
			  "CREATE TABLE history (id TEXT NOT NULL, time BIGINT NOT NULL, received_at BIGINT NOT NULL, "
			  "height BIGINT, version TEXT, unhealthy TEXT, PRIMARY KEY (id, time)) WITHOUT ROWID",
		.postgres = "CREATE TABLE liveness (id TEXT COLLATE \"C\" PRIMARY KEY, seen_at BIGINT NOT NULL, time BIGINT NOT NULL, "
			    "ip TEXT, health TEXT, height BIGINT, version TEXT) WITH (fillfactor = 50);"
			    "CREATE TABLE history (id TEXT COLLATE \"C\" NOT NULL, time BIGINT NOT NULL, received_at BIGINT NOT NULL, "
			    "height BIGINT, version TEXT, unhealthy TEXT, PRIMARY KEY (id, time))",
	},
};
DB_SQL(sql_fill, "INSERT INTO liveness (id, seen_at, time, ip, health, height, version) VALUES ($1, 0, 0, '100.64.0.1', $2, 0, '0.1.0')");
DB_SQL(sql_count, "SELECT COUNT(*) FROM liveness");
DB_SQL(sql_update, "UPDATE liveness SET seen_at = $1, time = $2, height = $3 WHERE id = $4 AND time < $2");
DB_SQL(sql_insert, "INSERT INTO history (id, time, received_at, height, version, unhealthy) VALUES ($1, $2, $3, $4, $5, NULL)"
		   " ON CONFLICT (id, time) DO NOTHING");

static const char health[] = "[{\"type\":\"ledger\",\"healthy\":true,\"lastCheck\":1767225600000},"
			     "{\"type\":\"t4\",\"healthy\":true,\"lastCheck\":1767225600000}]";

static struct bench {
	sem_t room; /* batches of `group` jobs that may still be submitted: one wake-up a batch, so that the measuring costs little itself */
	size_t group;
	double writer_start, writer_end;
	size_t done, total;
	char **sql;
	int sqls;
} b;

struct job {
	struct db_job job;
	char id[ID_SIZE];
	int64_t time;
};

static double cpu(int who)
{
	struct rusage r;
	getrusage(who, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void row_id(char id[ID_SIZE], size_t n)
{
	snprintf(id, ID_SIZE, "validator-%06zu", n);
}

static void update_args(const struct job *j, struct db_value v[4])
{
	v[0] = v[1] = DB_INT(j->time);
	v[2] = DB_INT(j->time / 1000);
	v[3] = DB_TEXT(str_from(j->id));
}

static void insert_args(const struct job *j, struct db_value v[5])
{
	v[0] = DB_TEXT(str_from(j->id));
	v[1] = v[2] = DB_INT(j->time);
	v[3] = DB_INT(j->time / 1000);
	v[4] = DB_TEXT(STR_LIT("0.1.0"));
}

static enum db_status write_one(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct db_value v[5];
	update_args((struct job *)job, v);
	enum db_status status = db_run(c, &sql_update, (struct db_args){v, 4}, NULL, err);
	insert_args((struct job *)job, v);
	return status == DB_OK ? db_run(c, &sql_insert, (struct db_args){v, 5}, NULL, err) : status;
}

static enum db_status write_many(struct db_job **jobs, size_t count, struct db_conn *c, struct error *err)
{
	enum { MAX = 256 };
	struct db_value v[MAX][5];
	struct db_args args[MAX] = {{0}};
	invariant(count > 0 && count <= MAX);
	for (size_t i = 0; i < count; i++) {
		update_args((struct job *)jobs[i], v[i]);
		args[i] = (struct db_args){v[i], 4};
	}
	enum db_status status = db_run_many(c, &sql_update, args, count, NULL, NULL, err);
	for (size_t i = 0; i < count; i++) {
		insert_args((struct job *)jobs[i], v[i]);
		args[i] = (struct db_args){v[i], 5};
	}
	return status == DB_OK ? db_run_many(c, &sql_insert, args, count, NULL, NULL, err) : status;
}

static void written(struct db_job *job, enum db_status status, const struct error *err)
{
	if (status != DB_OK)
		fatal("a write failed: %s", err->message);
	if (b.done++ == 0)
		b.writer_start = cpu(RUSAGE_THREAD);
	if (b.done == b.total)
		b.writer_end = cpu(RUSAGE_THREAD);
	free(job);
	if (b.done % b.group == 0)
		sem_post(&b.room);
}

struct fill {
	struct db_job job;
	size_t rows;
};

/* The rows, and what the command line wants to be run, inside one transaction. */
static enum db_status fill(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct db_rows *rows;
	enum db_status status = DB_OK;
	for (int i = 0; i < b.sqls && status == DB_OK; i++)
		status = db_script(c, b.sql[i], err);
	if (status != DB_OK || (status = db_query(c, &sql_count, DB_NO_ARGS, &rows, err)) != DB_OK)
		return status;
	size_t have = db_next(rows) ? (size_t)db_int(rows, 0) : 0;
	status = db_finish(rows, err);
	for (size_t i = have; i < ((struct fill *)job)->rows && status == DB_OK; i++) {
		char id[ID_SIZE];
		row_id(id, i);
		struct db_value v[] = {DB_TEXT(str_from(id)), DB_TEXT(str_from(health))};
		status = db_run_many(c, &sql_fill, &(struct db_args){v, 2}, 1, NULL, NULL, err);
	}
	return status;
}

static void submit_all(struct db_pool *p, size_t rows, size_t jobs)
{
	struct error err;
	for (size_t i = 0; i < jobs; i++) {
		struct job *j = xcalloc(1, sizeof(*j));
		j->job.run = write_one;
		j->job.run_many = write_many;
		j->job.done = written;
		j->time = 1767225600000 + (int64_t)i;
		row_id(j->id, (size_t)random_below(rows));
		if (i % b.group == 0)
			sem_wait(&b.room);
		if (!db_pool_submit(p, &j->job, &err))
			fatal("%s", err.message);
	}
}

static void measure(const char *url, size_t rows, size_t group, size_t jobs)
{
	struct error err;
	struct db_pool_options o = {.url = url, .name = "bench_db", .readers = 1, .queue_max = 4096, .group_max = group, .patience_ms = 5000};
	struct db_pool *p = db_pool_open(&o, schema, ARRAY_LEN(schema), &err);
	if (!p)
		fatal("%s", err.message);
	struct fill f = {.job = {.run = fill}, .rows = rows};
	if (db_pool_write(p, &f.job, &err) != DB_OK)
		fatal("%s", err.message);
	struct db_pool_stats before, after;
	db_pool_get_stats(p, &before);
	sem_init(&b.room, 0, BATCHES);
	b.group = group;
	b.done = 0;
	b.total = jobs -= jobs % group;
	double process = cpu(RUSAGE_SELF);
	int64_t start = clock_mono_ns();
	submit_all(p, rows, jobs);
	for (size_t i = 0; i < BATCHES; i++)
		sem_wait(&b.room);
	double seconds = (double)(clock_mono_ns() - start) / 1e9;
	process = cpu(RUSAGE_SELF) - process;
	db_pool_get_stats(p, &after);
	printf("%-8s %8zu %6zu %9.1f %10.2f %10.2f %10.0f\n", db_pool_kind(p) == DB_SQLITE ? "sqlite" : "postgres", rows, group,
	       (double)jobs / (double)(after.commits - before.commits), (b.writer_end - b.writer_start) / (double)jobs, process / (double)jobs,
	       (double)jobs / seconds);
	fflush(stdout);
	sem_destroy(&b.room);
	db_pool_close(p);
}

static void measure_all(const char *url)
{
	static const size_t sizes[] = {1000, 100000}, groups[] = {1, 16, 64, 256};
	for (size_t r = 0; r < ARRAY_LEN(sizes); r++) {
		for (size_t g = 0; g < ARRAY_LEN(groups); g++)
			measure(url, sizes[r], groups[g], groups[g] == 1 ? 3000 : 50000);
	}
}

static void measure_sqlite(void)
{
	const char *tmp = getenv("TMPDIR");
	char folder[256], url[300], command[300];
	snprintf(folder, sizeof(folder), "%s/bench_db.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(folder))
		fatal("cannot make a folder like %s", folder);
	snprintf(url, sizeof(url), "sqlite:%s/bench.db", folder);
	measure_all(url);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command) != 0)
		fatal("cannot remove %s", folder);
}

int main(int argc, char **argv)
{
	printf("%-8s %8s %6s %9s %10s %10s %10s\n", "database", "rows", "group", "in commit", "us writer", "us process", "jobs/s");
	if (argc >= 5) {
		b.sql = argv + 5;
		b.sqls = argc - 5;
		measure(argv[1], strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
		return 0;
	}
	measure_sqlite();
	if (getenv("TANA_TEST_POSTGRES"))
		measure_all(getenv("TANA_TEST_POSTGRES"));
	return 0;
}
