/*
 * Where transactions stand, by their ids, their accounts and their types: sorted runs that are merged (a log-structured merge tree, O'Neil et al.
 * 1996, in two tables), so that what a block costs does not grow with the chain. One row a transaction and key would lie at a random place of a
 * growing tree: a page written for each, three or four of them a transfer.
 *
 *	entry			64-bit key, 64-bit place; a run is sorted by both. A key is the first 63 bits of an id, or of the SHA-256 of a list's
 *				name (state_list.h). Two may share one: who looks something up compares the transaction itself.
 *	transaction_runs	first, last: heights of the blocks whose entries the run has; entries: how many. Runs do not overlap; blocks
 *				without transactions are in none, or between.
 *	transaction_index	a run's entries, TX_INDEX_PART a row, the last row fewer. start: the first of them. 16 bytes each, big-endian.
 *
 * A block's entries are a run; eight runs of about a size become one (tx_index_merges). So both tables follow from the blocks, to the byte: the
 * audit computes them again. Reading needs no transaction: each step is one statement, and goes on by place, whatever was merged meanwhile.
 */
#ifndef TANA_LEDGERD_TX_INDEX_H
#define TANA_LEDGERD_TX_INDEX_H

#include "db/db_pool.h"
#include "state_list.h"

struct tx_index_entry {
	uint64_t key;   /* below 2^63 */
	uint64_t place; /* tx_index_place */
};
enum {
	TX_INDEX_EACH = TX_LISTS_MAX + 1,      /* entries of a transaction at most */
	TX_INDEX_PART = 60,                    /* of a row: four rows fill a page of 4 KiB, and PostgreSQL keeps one in its table */
	TX_INDEX_ENTRY_BYTES = 16,
	TX_INDEX_IDX_BITS = 20,                /* a block has at most 1,000,000 transactions (genesis) */
	TX_INDEX_RUNS_OPEN = 64,               /* more runs than may still be merged at any time */
};

/* ---- Pure ---- */

/* height: 0 .. 2^43 - 1; index: 0 .. 2^20 - 1. */
static inline uint64_t tx_index_place(int64_t height, int64_t index) { return (uint64_t)height << TX_INDEX_IDX_BITS | (uint64_t)index; }
static inline int64_t tx_index_height(uint64_t place) { return (int64_t)(place >> TX_INDEX_IDX_BITS); }
static inline int64_t tx_index_idx(uint64_t place) { return (int64_t)(place & ((1U << TX_INDEX_IDX_BITS) - 1)); }
uint64_t tx_index_key_of_id(const struct hash *id);
uint64_t tx_index_key_of_list(struct str list);
/* The entries of one transaction; their number. */
size_t tx_index_entries_of(const struct tx *t, int64_t height, int64_t index, struct tx_index_entry out[TX_INDEX_EACH]);
void tx_index_sort(struct tx_index_entry *entries, size_t count);
/* Of sorted ones, the first whose key is not below. */
size_t tx_index_seek(const struct tx_index_entry *entries, size_t count, uint64_t key);
/* Both sorted; out has room for all. */
void tx_index_merge(const struct tx_index_entry *a, size_t a_count, const struct tx_index_entry *b, size_t b_count, struct tx_index_entry *out);
void tx_index_write(const struct tx_index_entry *entries, size_t count, uint8_t *out);
void tx_index_read(const uint8_t *bytes, size_t count, struct tx_index_entry *out);

struct tx_index_run {
	int64_t first, last; /* heights */
	uint64_t count;      /* of entries, at least 1 */
};
/* With how many of the runs (the newest first) a new one of `count` entries becomes one. */
size_t tx_index_merges(const struct tx_index_run *newest_first, size_t runs, uint64_t count);

/* ---- In the database (tx_index_store.c) ---- */

/* A block's entries, sorted. */
struct tx_index_block {
	int64_t height;
	const struct tx_index_entry *entries;
	size_t count;
};
/* Inside the transaction that writes the block. DB_CONFLICT: it has this block, or a later one. */
MUST_CHECK enum db_status tx_index_add(struct db_conn *c, const struct tx_index_block *b, struct error *err);
/* The runs that may be merged, the newest first. */
MUST_CHECK enum db_status tx_index_runs(struct db_conn *c, struct tx_index_run out[TX_INDEX_RUNS_OPEN], size_t *count, struct error *err);

/* Adds what it lacks of the transactions of the newest blocks, when the database comes from a version without it, or both tables were emptied. */
MUST_CHECK bool tx_index_fill(struct db_pool *pool, int64_t max_transaction_bytes, struct error *err);

/* What stands under a key, step by step. */
struct tx_index_walk {
	uint64_t key;
	bool oldest_first;
	uint64_t at; /* only what lies behind it, or before it when the newest come first; moves on */
	bool ended;
};
/* The next ones, up to `max` (at least 1); *count 0: there are no more. */
MUST_CHECK enum db_status tx_index_next(struct db_conn *c, struct tx_index_walk *w, uint64_t *places, size_t max, size_t *count, struct error *err);

#endif
