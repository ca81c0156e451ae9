/*
 * The chain as it stands, and what waits for it: the one door through which transactions and blocks come in.
 *
 * One lock guards the chain in memory, a cache of state entries, and the mempool with a view of the state as it will be when all that waits has
 * been applied. Signatures are checked outside of it. A transaction is answered once it is durable; a block moves the chain once it is.
 */
#ifndef TANA_LEDGERD_CORE_H
#define TANA_LEDGERD_CORE_H

#include "chain.h"
#include "ledger.h"

struct core;
/*
 * Opens the chain of l's database, which is there and initialised: the tip, its validators, the stored root of the state (ERR_CORRUPT when they do
 * not fit each other), the last blocks checked once more. `store` keeps what waits (NULL: nothing is taken in); it is the core's from now on, also
 * after a failure.
 */
struct mempool_store;
MUST_CHECK struct core *core_open(struct ledger *l, struct mempool_store *store, struct error *err);
/* What was kept is offered, the state's tree read behind. After core_open, before transactions come. */
MUST_CHECK bool core_start(struct core *c, struct error *err);
/* Called after each block, whoever made it, and after refusals; on the thread that brought it, without the lock; must not block. Before core_start. */
void core_on_move(struct core *c, void (*moved)(void *ctx), void *ctx);
/* Nothing is taken in any more, and waiting ends: producer and follower can be stopped. NULL is allowed, here and below. */
void core_stop(struct core *c);
/* After those: whoever waits for an answer gets it. */
void core_settle(struct core *c);
void core_close(struct core *c);

/* ---- Transactions coming in ---- */

enum admission {
	ADMITTED,        /* durable, and waits: 202 */
	ADMITTED_BEFORE, /* it waits already, or is in a block: 200 with its status */
	ADMISSION_REFUSED
};
/* What becomes of a transaction; `done` is called once, on any thread, and must not block. `error` is set when refused. */
struct admission_request {
	struct str message;                 /* the bytes that were signed; live until done */
	struct ed25519_signature signature;
	void (*done)(struct admission_request *r, enum admission result, const struct error *err);
	struct hash id;                     /* set before done, when the message could be read */
	/* The core's: */
	struct admission_request *next; /* the same transaction, sent at the same time */
	bool joined;
};
/* Judges, queues, makes durable. Calls done, perhaps before it returns. Any thread; reads the database when entries are not cached. */
void core_admit(struct core *c, struct admission_request *r);

/* ---- What waits ---- */

struct pending_info {
	struct hash id;
	struct str message;
	struct ed25519_signature signature;
	int64_t received_at;
	bool ready; /* false: waits for an earlier nonce */
};
/* A transaction that waits; copied into the arena. */
MUST_CHECK bool core_find_pending(struct core *c, const struct hash *id, struct arena *arena, struct pending_info *out);
/*
 * Up to `limit` that wait, in the order in which they came or came to be ready, after the one of number `after` (0: from the first); *last is the
 * number of the last one given. One that comes to be ready between two pages may be in both; none is in neither.
 */
size_t core_list_pending(struct core *c, uint64_t after, size_t limit, struct arena *arena, struct pending_info *out, uint64_t *last);
/* The nonce of a user after all of its transactions that are ready; false: they have none ready. */
MUST_CHECK bool core_next_nonce(struct core *c, struct str user_id, int64_t *last_nonce);

/* ---- Blocks ---- */

/* What a producer does in its turn: makes a block of what is ready, or, when there is nothing and `empty` says so, an empty one. *made: there is one. False:
 * why not (the database is away, no key ...); it may be tried again. Waits for the database. One thread at a time. */
MUST_CHECK bool core_make_block(struct core *c, bool empty, bool *made, struct error *err);
/* Waits until something is ready, at most `ms`, or until core_stop: then false. */
MUST_CHECK bool core_wait_ready(struct core *c, int64_t ms);
/*
 * Takes over a block that somebody else made, checked whole. One that is there already (the same hash at its height) is taken as done. ERR_WRONG_STATE: another
 * block stands at its height. ERR_UNAVAILABLE: the database is away, or the tree is not read yet. Any other code: the block does not fit.
 * One thread at a time.
 */
MUST_CHECK bool core_take_block(struct core *c, const struct block *b, struct error *err);
/* Another process has written blocks into this database: follows them. One thread at a time. */
MUST_CHECK bool core_catch_up(struct core *c, struct error *err);

/* ---- The tip ---- */

struct core_tip {
	int64_t height, timestamp;
	struct hash hash, state_root;
};
void core_tip(struct core *c, struct core_tip *out);
/* Is this the key of that validator, as of the tip? */
MUST_CHECK bool core_is_validator(struct core *c, struct str id, const struct ed25519_public *key);
/* A proof for a key against the tip's state root, with the tip it is of. False while the tree is still being read (ERR_UNAVAILABLE). */
MUST_CHECK bool core_prove(struct core *c, const struct hash *path, struct merkle_map_proof *proof, bool *present, struct core_tip *tip, struct error *err);
/* Are all parts well? For /ready. */
MUST_CHECK bool core_ready(struct core *c, struct error *err);
/* The check of the whole state that follows a start. */
enum core_audit { CORE_AUDIT_RUNNING, CORE_AUDIT_PASSED, CORE_AUDIT_FAILED };
/* Gauges for metrics. */
struct core_stats {
	uint64_t pending, pending_bytes, parked;
	uint64_t cache_entries, cache_bytes, cache_hits, cache_misses;
	uint64_t tree_entries, tree_bytes;
	uint64_t blocks, transactions, refused; /* since start */
	bool tree_loaded;
	enum core_audit audit;
};
void core_get_stats(struct core *c, struct core_stats *out);

#endif
