/*
 * What waits for a block, in Redis: the stream `tx:pending`, an entry a transaction (fields `message`, `signature`, both as text). Front ends
 * append and read along; the one producer reads as a consumer of the group `validators`, so that what it was given and did not settle comes back
 * after a crash, also to another producer's machine. An entry is acknowledged and deleted after its block's commit: what is in the stream waits.
 *
 * The key `tx:pending:chain` has the hash of the genesis: the entries of two chains in one stream would be taken, and refused, by each other's producer.
 *
 * 202 means durable, so Redis has to be one that writes before it answers: appendonly yes, appendfsync always. That is asked at the first
 * connection and after each loss of it.
 */
#ifndef TANA_LEDGERD_MEMPOOL_REDIS_H
#define TANA_LEDGERD_MEMPOOL_REDIS_H

#include "mempool_store.h"

struct mempool_redis_options {
	const char *url;
	bool producer;         /* reads as a consumer, and settles */
	const char *consumer;  /* its name: the validator's id */
	const char *chain_id;  /* names the channel on which instances tell each other of blocks */
	struct hash genesis;   /* of that chain: what waits in one Redis is of one chain */
	bool allow_lossy;
};
/* NULL: the URL is no good (ERR_CONFIG), Redis cannot be reached (ERR_UNAVAILABLE), would lose what it has answered, or is another chain's (ERR_CONFIG). Copied. */
MUST_CHECK struct mempool_store *mempool_redis_open(const struct mempool_redis_options *o, struct error *err);

#endif
