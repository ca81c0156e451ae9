/* Inside the audit: blocks as they are read, and the run that looks at them. */
#ifndef TANA_LEDGERD_LEDGER_AUDIT_INSIDE_H
#define TANA_LEDGERD_LEDGER_AUDIT_INSIDE_H

#include <pthread.h>

#include "chain_memory.h"
#include "ledger_audit.h"
#include "tx_index.h"

/* A row of `blocks` with its transactions, as the database has them: nothing about the texts is known yet. */
struct audit_tx_row {
	int64_t idx;
	struct str id, message, signature; /* absent: NULL */
};
struct audit_block {
	int64_t height;                              /* of the row */
	struct str hash, header, signature, changes; /* absent: NULL */
	struct audit_tx_row *rows;
	size_t row_count;
	/* Made of them, malformed texts as zeros: */
	struct block block;
	struct chain_decoded decoded;
};
/* Blocks read together; handed from the reader to the replay. */
struct audit_chunk {
	struct arena arena;
	struct audit_block *blocks;
	size_t count;
	bool last;             /* no more rows of `blocks`; `strays` has what is left of transactions */
	struct audit_tx_row *strays;
	int64_t *stray_heights;
	size_t stray_count;    /* at most AUDIT_STRAYS_MAX */
	struct audit_chunk *next;
};
enum { AUDIT_STRAYS_MAX = 1000 /* rows of transactions without a block that are named one by one */ };

struct audit_reader;
/* Begins to read, in a thread of its own, on connection c, which nobody else uses until audit_reader_stop. */
struct audit_reader *audit_reader_start(struct db_conn *c, const struct chain *chain, struct error *err);
/* The next chunk (the caller's to free); NULL, *err set: the database failed. After the last one: not to be called. */
struct audit_chunk *audit_reader_next(struct audit_reader *r, struct error *err);
void audit_chunk_free(struct audit_chunk *k);
/* *blocks, *txs: rows seen, each key once. */
void audit_reader_stop(struct audit_reader *r, uint64_t *blocks, uint64_t *txs);

/*
 * A 128-bit sum over rows, in any order: equal sums, equal rows. Each row's part is hashed with a salt that is drawn when the audit begins, so that
 * nobody can have looked for rows that sum up to the same.
 */
struct audit_sum {
	uint64_t low, high, count;
};

/* What a run of the index of transactions should be. */
struct audit_index_run {
	struct tx_index_run run;
	struct audit_sum sum; /* of its entries */
};

struct audit_step {
	int64_t height;
	struct str text; /* in audit_run.kept */
};
struct audit_run {
	const struct audit_options *o;
	struct db_conn *c;
	struct chain chain;
	struct chain_memory memory;
	struct audit_result *result;
	struct arena kept;            /* for the whole run */
	struct audit_step *steps;     /* of the validators, as recomputed */
	size_t step_count, step_room;
	uint8_t salt[16];             /* of the sums */
	struct audit_index_run *runs; /* of the index, as recomputed, the oldest first */
	size_t run_count, run_room;
	uint64_t block_rows, tx_rows; /* seen by the reader */
	bool broken_off;              /* a block is missing: what comes behind cannot be judged */
	pthread_mutex_t lock;         /* findings */
	struct chain_place *wrong;    /* signatures that did not verify */
	size_t wrong_count, wrong_room;
};
void audit_report(struct audit_run *a, const struct audit_finding *f);
/* An end was asked for: then *err says so. Asked now and then by whatever goes through a table or the state. */
MUST_CHECK bool audit_interrupted(const struct audit_run *a, struct error *err);
static inline struct audit_key audit_int(const char *column, int64_t v) { return (struct audit_key){.column = column, .is_int = true, .number = v}; }
static inline struct audit_key audit_text(const char *column, struct str s) { return (struct audit_key){.column = column, .text = s}; }

/* ledger_audit_tables.c: after the last block, every table against what it should be. False: the database failed. */
MUST_CHECK bool audit_tables(struct audit_run *a, struct error *err);
enum audit_table {
	AUDIT_META,
	AUDIT_BLOCKS,
	AUDIT_TRANSACTIONS,
	AUDIT_STATE,
	AUDIT_STATE_LISTS,
	AUDIT_OPEN_REQUESTS,
	AUDIT_TRANSACTION_RUNS,
	AUDIT_TRANSACTION_INDEX,
	AUDIT_VALIDATOR_STEPS,
	AUDIT_TABLES
};
/* Of one row, named by its key: a column's value (NULL: the row as a whole), or only what is wrong. */
void audit_differs(struct audit_run *a, enum audit_table table, struct audit_key key, const char *column, struct str expected, struct str found,
		   const char *problem);
void audit_row(struct audit_run *a, enum audit_table table, struct audit_key x, struct audit_key y, const char *column, struct str expected,
	       struct str found, const char *problem);
/* `seen` rows were judged, each key once; are there others? */
MUST_CHECK bool audit_count(struct audit_run *a, enum audit_table table, uint64_t seen, struct error *err);
/* The entries without this mark that `wanted` says should have it, sorted by key; the caller frees. */
enum { MARK_STATE = 1, MARK_LIST = 2, MARK_REQUEST = 4 };
struct memory_entry **audit_unmarked(struct audit_run *a, unsigned char mark, bool (*wanted)(const struct memory_entry *e), size_t *count);

/* ledger_audit_index.c: how transactions are found. A block, as it is replayed; and after the last one both tables. */
void audit_index_block(struct audit_run *a, const struct audit_block *b);
MUST_CHECK bool audit_index(struct audit_run *a, struct error *err);
/* ledger_audit_requests.c */
MUST_CHECK bool audit_requests(struct audit_run *a, struct error *err);

#endif
