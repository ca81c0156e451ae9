/*
 * A service's door to its database: reader connections that threads borrow, and ONE writer thread that groups concurrent small
 * writes into shared durable commits.
 *
 * A write is a job: a function that runs inside the group's transaction. Jobs of one group run in the order they were submitted.
 * When a job (or the commit) fails at the database, the group is rolled back and its jobs run again one by one, each in a
 * transaction of its own (until the database turns out to be unavailable), so a bad job harms no other. DB_RETRY is tried again a
 * few times first. So a job MAY RUN MORE THAN ONCE and must set its results anew each time. A job that decides to refuse (a rule,
 * not the database) simply writes nothing (or what it wants kept) and returns DB_OK. A job that comes alone is committed at once;
 * one of a crowd may wait up to 4 ms for the others of its group. `done` runs on the writer thread, once, after the commit is
 * durable (or has failed for good), and must not block.
 *
 * When the answer to a COMMIT is lost nobody knows whether it was kept: those jobs are not run again but end with DB_UNAVAILABLE,
 * so a client that tries again must be able to find its change done already. A connection lost earlier than that has kept nothing:
 * its jobs wait for the next connection and run there, one by one.
 *
 * A lost connection is reopened with backoff (50 ms doubling to 5 s, jittered). Meanwhile jobs fail with DB_UNAVAILABLE after at
 * most `patience_ms`, db_pool_ready() is false.
 */
#ifndef TANA_DB_POOL_H
#define TANA_DB_POOL_H

#include "db.h"

struct db_pool;

struct db_pool_options {
	const char *url;
	const char *name;       /* application name */
	int readers;            /* connections readers share; > 0 */
	size_t queue_max;       /* jobs waiting for the writer; beyond: ERR_OVERLOADED */
	size_t group_max;       /* jobs in one commit */
	int64_t patience_ms;    /* how long a job or a reader may wait for the database to come back */
};
/* Opens the first connection (create the file if missing), migrates it, starts the writer. NULL: why not. */
struct db_migration;
MUST_CHECK struct db_pool *db_pool_open(const struct db_pool_options *o, const struct db_migration *list, size_t count, struct error *err);
/* Refuses new jobs, runs those queued, closes everything. No reader may be borrowed any more. */
void db_pool_close(struct db_pool *p);
enum db_kind db_pool_kind(const struct db_pool *p);
/*
 * Does the database take writes now? Cheap (uses what the last second's writes saw, and otherwise asks, waiting at most 1 s). Fills
 * *err when not.
 */
MUST_CHECK bool db_pool_ready(struct db_pool *p, struct error *err);

/*
 * Borrows a reader, opened DB_OPEN_READ_ONLY (waits at most patience_ms): NULL with ERR_UNAVAILABLE. Give it back with
 * db_pool_release, whatever happened.
 */
MUST_CHECK struct db_conn *db_pool_reader(struct db_pool *p, struct error *err);
void db_pool_release(struct db_pool *p, struct db_conn *c);

struct db_job {
	/* Runs inside the transaction. Anything but DB_OK rolls back. */
	enum db_status (*run)(struct db_job *job, struct db_conn *c, struct error *err);
	/* After the end: status DB_OK means durably committed; otherwise *err says what went wrong. May free the job. */
	void (*done)(struct db_job *job, enum db_status status, const struct error *err);
	/*
	 * Optional: jobs with the same run_many that stand next to each other in a group (be it only one) are run by one call of it
	 * instead of `run`, in order (for pipelines). When it fails, they are run again one by one through `run`.
	 */
	enum db_status (*run_many)(struct db_job **jobs, size_t count, struct db_conn *c, struct error *err);
	/* The pool's: */
	struct db_job *next;
	int64_t since_ms; /* when it was submitted, on the monotonic clock */
	void *waiter;     /* who waits for it in db_pool_write */
};
/*
 * Embed struct db_job at the head of your own struct. False (ERR_OVERLOADED, ERR_SHUTTING_DOWN): the job was not taken and done
 * will not be called.
 */
MUST_CHECK bool db_pool_submit(struct db_pool *p, struct db_job *job, struct error *err);
/* Submits and waits for the end; never from the writer thread. `done` is not called. */
MUST_CHECK enum db_status db_pool_write(struct db_pool *p, struct db_job *job, struct error *err);

/*
 * For /metrics: all since start. A commit is counted once however many jobs share it; failed_commits counts transactions that ended
 * otherwise.
 */
struct db_pool_stats {
	uint64_t jobs, commits, failed_commits, reconnects, queue_length;
	uint64_t commit_seconds_total_ns;
};
void db_pool_get_stats(struct db_pool *p, struct db_pool_stats *out);

#endif
