/*
 * The audit: is this chain, and is this database, exactly what the signatures say? (docs/protocol.md, "Verification")
 *
 * It reads one consistent snapshot, so a serving ledgerd is not disturbed. One thread reads and decodes, one replays the state machine, the
 * others check signatures. Memory: the state, and a window of blocks.
 */
#ifndef TANA_LEDGERD_LEDGER_AUDIT_H
#define TANA_LEDGERD_LEDGER_AUDIT_H

#include "chain.h"
#include "content_refs.h"
#include "db/db.h"
#include "ledger_checkpoint.h"

/* What is wrong, and where. Checks are named as by chain_test_name, or "checkpoint". */
enum { AUDIT_KEY_MAX = 3 };
struct audit_finding {
	const char *check;
	int64_t height, index; /* the block, and the transaction in it; -1: none in particular */
	const char *table;     /* NULL: none in particular */
	struct audit_key {
		const char *column;
		bool is_int;
		int64_t number;
		struct str text; /* absent: NULL */
	} row[AUDIT_KEY_MAX]; /* the row's primary key */
	size_t row_columns;
	const char *column;         /* NULL: the row as a whole */
	struct str key;             /* of a state entry, where a list of changes is meant; absent otherwise */
	struct str expected, found; /* absent: nothing should be, or is, there */
	const char *problem;        /* one sentence for a person */
};

struct audit_options {
	const struct genesis *genesis;        /* NULL: the database's own */
	int64_t from, to;                     /* blocks whose every signature is checked; to -1: the newest. What lies before is replayed without signatures */
	unsigned jobs;                        /* threads for signatures; 0: one a core */
	const struct checkpoint_note *checkpoint; /* the chain must have this block and state; NULL: none kept */
	void (*found)(void *ctx, const struct audit_finding *f); /* one at a time; any thread */
	void (*progress)(void *ctx, int64_t height, int64_t of, uint64_t transactions); /* now and then; may be NULL */
	/* At the end each content reference of the state after the newest block, in the order of keys; may be NULL. False, with *err, ends it. */
	bool (*content)(void *ctx, struct str key, const struct content_ref *ref, struct error *err);
	void *ctx;
	const volatile int *stop;             /* nonzero ends it (ERR_INTERRUPTED); NULL: nothing does */
};
struct audit_result {
	struct str chain_id;                  /* in the arena given */
	int64_t from, to, height;             /* height: of the newest block there is */
	struct hash hash, state_root;         /* of block `to` */
	uint64_t blocks, transactions, signatures, findings; /* of from..to */
	uint64_t entries;                     /* of the state after block `to` */
	uint64_t references;                  /* to content, handed to `content` */
	bool database;                        /* every table was compared: `to` is the newest block */
};
/* False: it could not be checked (*err): no such range, no chain, the database away or unreadable. */
MUST_CHECK bool ledger_audit(struct db_conn *c, const struct audit_options *o, struct arena *arena, struct audit_result *out, struct error *err);

#endif
