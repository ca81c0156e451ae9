/*
 * Inside the pool. Three parties meet under one lock: threads that submit jobs and borrow readers (db_pool.c); the writer
 * (db_writer.c), which runs the jobs; the keeper (db_pool.c), which opens connections anew so that nobody else ever waits for a
 * connect.
 */
#ifndef TANA_DB_POOL_INSIDE_H
#define TANA_DB_POOL_INSIDE_H

#include <pthread.h>

#include "db_pool.h"

struct db_pool {
	/* Set once. */
	char *url, *name;
	enum db_kind kind;
	int readers;
	size_t queue_max, group_max;
	int64_t patience_ms;
	int64_t schema; /* version that a reopened database must have at least */
	pthread_t writer_thread, keeper_thread;

	pthread_mutex_t lock; /* over everything below */
	pthread_cond_t to_writer, to_keeper, reader_back, probed;
	bool closing;

	/* Jobs not yet taken, oldest first. The first `solo` of them lost their connection once and run alone. */
	struct db_job *first, **end;
	size_t queued, solo;

	/* The writer's connection: NULL while it is lost. Only the writer uses it, and takes it away; only the keeper puts one there. */
	struct db_conn *conn;

	struct db_conn **idle; /* readers at home: the last one back goes out first, its cache is warm */
	int idle_count, missing; /* missing: for the keeper to open */

	/* What was last seen of the database, by whoever writes. */
	bool well;
	int64_t seen_ms;
	struct error trouble; /* while not well */
	bool probe_wanted;
	uint64_t probes;

	struct db_pool_stats stats;
};

void *db_writer_main(void *pool);
/* Under the lock. */
void db_pool_saw(struct db_pool *p, bool well, const struct error *trouble);
/* pthread_cond_timedwait, to a moment on the monotonic clock. */
void db_pool_wait_until(struct db_pool *p, pthread_cond_t *cond, int64_t ms);

#endif
