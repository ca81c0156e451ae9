/*
 * The chain in SQL: what a block writes, and what the core, the commands and the audit read. (Pages for the HTTP interface: ledger_read.h.)
 * Every function works on SQLite and PostgreSQL. Texts that come out are in the caller's arena.
 */
#ifndef TANA_LEDGERD_LEDGER_STORE_H
#define TANA_LEDGERD_LEDGER_STORE_H

#include "chain.h"
#include "db/db.h"
#include "tx_index.h"

/* ---- Writing ---- */

/* Statements made ready outside the writer: run in order, inside the block's transaction. */
struct store_batch {
	const struct db_sql *sql;
	struct db_args *args;
	size_t count;
	struct store_batch *next;
};
struct store_batches {
	struct arena *arena;
	struct store_batch *first, **last;
	struct tx_index_block index; /* what the block adds to the index of transactions; count 0: nothing */
};
void store_batches_init(struct store_batches *b, struct arena *arena);
/* Adds an empty batch of `count` argument lists of `width` values each, for the caller to fill: values[i * width + column]. */
struct db_value *store_batch_add(struct store_batches *b, const struct db_sql *sql, size_t count, size_t width);
MUST_CHECK enum db_status store_batches_run(struct db_conn *c, const struct store_batches *b, struct error *err);

/* All rows of a block. The texts are borrowed from *w, which must live until the batches have run. */
void store_block(struct store_batches *b, const struct chain_work *w);
/* The hashes of the state tree's subtrees that a block changed (or all). */
void store_tree(struct store_batches *b, const struct merkle_tree *tree, const struct chain_changes *changes);
void store_tree_all(struct store_batches *b, const struct merkle_tree *tree);
void store_genesis(struct store_batches *b, const struct genesis *g);

/* ---- Reading ---- */

/* The genesis that the database belongs to; absent: it is empty. */
MUST_CHECK enum db_status store_read_genesis(struct db_conn *c, struct arena *arena, struct str *text, struct error *err);
/* Height of the newest block; -1: none. */
MUST_CHECK enum db_status store_read_height(struct db_conn *c, int64_t *height, struct error *err);
/* One block with its transactions: false in *found when there is none. Rows whose texts have not their form: ERR_CORRUPT, naming them. */
MUST_CHECK enum db_status store_read_block(struct db_conn *c, int64_t height, struct arena *arena, struct block *out, bool *found, struct error *err);
/* The value of a state entry; absent when there is none. */
MUST_CHECK enum db_status store_read_state(struct db_conn *c, struct str key, struct arena *arena, struct str *value, struct error *err);
/* Up to STORE_STATES_MAX entries in one question; values[i] absent where there is none. */
enum { STORE_STATES_MAX = 12 };
MUST_CHECK enum db_status store_read_states(struct db_conn *c, const struct str *keys, size_t count, struct arena *arena, struct str *values, struct error *err);
/* The validators after the newest block, by id. */
MUST_CHECK enum db_status store_read_validators(struct db_conn *c, struct arena *arena, struct validator **out, size_t *count, struct error *err);
/* The stored hashes of the subtrees, `out` having room for 2^STORE_TREE_DEPTH; ERR_CORRUPT when they are not whole. */
enum { STORE_TREE_DEPTH = 12 };
MUST_CHECK enum db_status store_read_tree(struct db_conn *c, struct merkle_tree_prefix *out, struct error *err);
/* Walks the whole state in the order of keys, page by page on connection c. */
typedef bool store_entry_fn(void *ctx, struct str key, struct str value);
MUST_CHECK enum db_status store_walk_state(struct db_conn *c, store_entry_fn *entry, void *ctx, struct error *err);
/* Is the transaction in a block? */
MUST_CHECK enum db_status store_find_tx(struct db_conn *c, const struct hash *id, int64_t *height, int64_t *index, bool *found, struct error *err);
MUST_CHECK enum db_status store_is_refused(struct db_conn *c, const struct hash *id, bool *refused, struct error *err);

#endif
