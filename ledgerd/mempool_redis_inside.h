/* What the writing and the reading half of mempool_redis share; for these two files only. */
#ifndef TANA_LEDGERD_MEMPOOL_REDIS_INSIDE_H
#define TANA_LEDGERD_MEMPOOL_REDIS_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "mempool_redis.h"
#include "redis/redis.h"

#define STREAM "tx:pending"
#define GROUP "validators"
#define CHAIN_KEY "tx:pending:chain"

enum { HANDLE_TEXT_SIZE = 48 /* "<ms>-<n>" */ };

struct mempool_redis {
	struct mempool_store store;
	bool producer, allow_lossy;
	char genesis[HASH_TEXT_LEN + 1];
	char *url, *consumer, *channel;
	struct mempool_events events;

	/* The writer: what is to be added, and what is settled. */
	struct redis *out;
	pthread_t writer;
	pthread_mutex_t lock;
	pthread_cond_t woken; /* on the monotonic clock */
	struct mempool_append *first, **last;
	struct mempool_handle *settled;
	size_t settled_count, settled_cap;
	bool told; /* others are to be told that the chain moved */
	bool stop;

	/* The reader. */
	struct redis *in;
	pthread_t reader;
	struct redis_subscriber *subscriber; /* front ends: hears of blocks */
	bool started;
	_Atomic bool stopping;
	_Atomic bool writes, reads; /* did the last attempt succeed? */
};

void mempool_redis_handle_text(struct mempool_handle h, char out[HANDLE_TEXT_SIZE]);
MUST_CHECK bool mempool_redis_handle_read(struct str text, struct mempool_handle *out);
/* Queues for the writer. */
void mempool_redis_settle(struct mempool_redis *m, const struct mempool_handle *handles, size_t count, bool tell);
/* Sleeps, at most until the end: then false. */
bool mempool_redis_sleep(struct mempool_redis *m, int64_t ms);
/* The reader's thread; arg is the struct mempool_redis. */
void *mempool_redis_reader_main(void *arg);

#endif
