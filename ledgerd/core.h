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
	struct core_pending *pending;
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
/* Up to `limit` that wait, in the order in which they came, after the one of number `after` (0: from the first); *last is the number of the last one given. */
size_t core_list_pending(struct core *c, uint64_t after, size_t limit, struct arena *arena, struct pending_info *out, uint64_t *last);
/* The nonce of a user after all of its transactions that are ready; false: they have none ready. */
MUST_CHECK bool core_next_nonce(struct core *c, struct str user_id, int64_t *last_nonce);

/* ---- The tip ---- */

struct core_tip {
	int64_t height, timestamp;
	struct hash hash, state_root;
};
void core_tip(struct core *c, struct core_tip *out);
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
