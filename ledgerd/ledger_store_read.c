/* The reading half of ledger_store.h. */
#include "base/log.h"
#include "crypto/canonical.h"
#include "ledger_store.h"

enum { PAGE = 20000 /* rows of the state in one query: PostgreSQL hands over a page at once */ };

DB_SQL(SQL_GENESIS, "SELECT value FROM meta WHERE name = 'genesis'");
DB_SQL(SQL_HEIGHT, "SELECT height FROM blocks ORDER BY height DESC LIMIT 1");
DB_SQL(SQL_BLOCK, "SELECT hash, header, signature, changes FROM blocks WHERE height = $1");
DB_SQL(SQL_BLOCK_TXS, "SELECT idx, message, signature FROM transactions WHERE height = $1 ORDER BY idx");
DB_SQL(SQL_STATE, "SELECT value FROM state WHERE key = $1");
DB_SQL(SQL_STATES, "SELECT key, value FROM state WHERE key IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)");
DB_SQL(SQL_VALIDATORS, "SELECT value FROM state WHERE key >= 'validator:' AND key < 'validator;' ORDER BY key");
DB_SQL(SQL_TREE, "SELECT part, prefixes FROM local_tree ORDER BY part");
DB_SQL(SQL_STATE_PAGE, "SELECT key, value FROM state WHERE key > $1 ORDER BY key LIMIT $2");
DB_SQL(SQL_IS_TX, "SELECT 1 FROM transactions WHERE height = $1 AND idx = $2 AND id = $3");
DB_SQL(SQL_IS_REFUSED, "SELECT 1 FROM local_refused WHERE id = $1");

enum db_status store_read_genesis(struct db_conn *c, struct arena *arena, struct str *text, struct error *err)
{
	struct db_rows *rows;
	*text = STR_NONE;
	enum db_status st = db_query(c, &SQL_GENESIS, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows))
		*text = arena_copy(arena, db_text(rows, 0));
	return db_finish(rows, err);
}

enum db_status store_read_height(struct db_conn *c, int64_t *height, struct error *err)
{
	struct db_rows *rows;
	*height = -1;
	enum db_status st = db_query(c, &SQL_HEIGHT, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows))
		*height = db_int(rows, 0);
	return db_finish(rows, err);
}

/* The texts of one row of `blocks`; ERR_CORRUPT when they have not their form. */
static bool take_block_row(struct db_rows *rows, int64_t height, struct arena *arena, struct block *out, struct error *err)
{
	struct error why;
	struct str signature = db_text(rows, 2);
	*out = (struct block){
		.header = arena_copy(arena, db_text(rows, 1)),
		.has_signature = str_present(signature),
		.changes = arena_copy(arena, db_text(rows, 3)),
	};
	if (!hash_from_text(db_text(rows, 0), &out->hash) || !str_present(out->header) || !str_present(out->changes) ||
	    (out->has_signature && !ed25519_signature_from_text(signature, KEY_WRITTEN, &out->signature, &why)))
		return error_set(err, ERR_CORRUPT, "the row of block %lld has not the form of one", (long long)height);
	return true;
}

static enum db_status read_txs(struct db_conn *c, int64_t height, struct arena *arena, struct block *out, struct error *err)
{
	struct db_rows *rows;
	size_t room = 16, n = 0;
	struct block_tx *txs = arena_alloc(arena, room * sizeof *txs);
	bool fine = true;
	enum db_status st = db_query(c, &SQL_BLOCK_TXS, DB_ARGS(DB_INT(height)), &rows, err);
	if (st != DB_OK)
		return st;
	while (fine && db_next(rows)) {
		struct error why;
		if (n == room) {
			struct block_tx *more = arena_alloc(arena, 2 * room * sizeof *more);
			memcpy(more, txs, n * sizeof *txs);
			txs = more;
			room *= 2;
		}
		txs[n].message = arena_copy(arena, db_text(rows, 1));
		fine = db_int(rows, 0) == (int64_t)n && str_present(txs[n].message) &&
		       ed25519_signature_from_text(db_text(rows, 2), KEY_WRITTEN, &txs[n].signature, &why);
		n += fine;
	}
	st = db_finish(rows, err);
	if (st == DB_OK && !fine) {
		error_set(err, ERR_CORRUPT, "the row of transaction %zu of block %lld has not the form of one", n, (long long)height);
		return DB_BROKEN;
	}
	out->txs = txs;
	out->tx_count = n;
	return st;
}

enum db_status store_read_block(struct db_conn *c, int64_t height, struct arena *arena, struct block *out, bool *found, struct error *err)
{
	struct db_rows *rows;
	bool fine = true;
	*found = false;
	enum db_status st = db_query(c, &SQL_BLOCK, DB_ARGS(DB_INT(height)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows)) {
		*found = true;
		fine = take_block_row(rows, height, arena, out, err);
	}
	struct error why;
	st = db_finish(rows, fine ? err : &why);
	if (!fine)
		return DB_BROKEN;
	return st == DB_OK && *found ? read_txs(c, height, arena, out, err) : st;
}

enum db_status store_read_state(struct db_conn *c, struct str key, struct arena *arena, struct str *value, struct error *err)
{
	struct db_rows *rows;
	*value = STR_NONE;
	enum db_status st = db_query(c, &SQL_STATE, DB_ARGS(DB_TEXT(key)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows))
		*value = arena_copy(arena, db_text(rows, 0));
	return db_finish(rows, err);
}

enum db_status store_read_states(struct db_conn *c, const struct str *keys, size_t count, struct arena *arena, struct str *values, struct error *err)
{
	struct db_rows *rows;
	struct db_value args[STORE_STATES_MAX];
	invariant(count > 0 && count <= STORE_STATES_MAX);
	for (size_t i = 0; i < STORE_STATES_MAX; i++)
		args[i] = DB_TEXT(keys[i < count ? i : 0]); /* one statement for any number */
	for (size_t i = 0; i < count; i++)
		values[i] = STR_NONE;
	enum db_status st = db_query(c, &SQL_STATES, (struct db_args){args, STORE_STATES_MAX}, &rows, err);
	if (st != DB_OK)
		return st;
	while (db_next(rows)) {
		struct str key = db_text(rows, 0);
		for (size_t i = 0; i < count; i++)
			if (str_equal(keys[i], key))
				values[i] = arena_copy(arena, db_text(rows, 1));
	}
	return db_finish(rows, err);
}

enum db_status store_read_validators(struct db_conn *c, struct arena *arena, struct validator **out, size_t *count, struct error *err)
{
	struct db_rows *rows;
	size_t room = 8, n = 0;
	struct validator *v = arena_alloc(arena, room * sizeof *v);
	bool fine = true;
	enum db_status st = db_query(c, &SQL_VALIDATORS, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	while (fine && db_next(rows)) {
		struct str value = arena_copy(arena, db_text(rows, 0));
		if (n == room) {
			struct validator *more = arena_alloc(arena, 2 * room * sizeof *more);
			memcpy(more, v, n * sizeof *v);
			v = more;
			room *= 2;
		}
		fine = canonical_check(value) && validator_read(value, &v[n]) && (n == 0 || str_compare(v[n - 1].id, v[n].id) < 0);
		n += fine;
	}
	st = db_finish(rows, err);
	if (st == DB_OK && !fine) {
		error_set(err, ERR_CORRUPT, "a validator's state entry makes no sense");
		return DB_BROKEN;
	}
	*out = v;
	*count = n;
	return st;
}

enum { PARTS = 64, PART_PREFIXES = (1 << STORE_TREE_DEPTH) / PARTS, PREFIX_BYTES = 1 + HASH_SIZE, PART_BYTES = PART_PREFIXES * PREFIX_BYTES };

enum db_status store_read_tree(struct db_conn *c, struct merkle_tree_prefix *out, struct error *err)
{
	struct db_rows *rows;
	int64_t next = 0;
	bool fine = true;
	enum db_status st = db_query(c, &SQL_TREE, DB_NO_ARGS, &rows, err);
	if (st != DB_OK)
		return st;
	while (fine && db_next(rows)) {
		struct str bytes = db_blob(rows, 1);
		fine = db_int(rows, 0) == next && next < PARTS && bytes.n == PART_BYTES;
		for (size_t i = 0; fine && i < PART_PREFIXES; i++) {
			const uint8_t *p = (const uint8_t *)bytes.p + i * PREFIX_BYTES;
			struct merkle_tree_prefix *prefix = &out[(size_t)next * PART_PREFIXES + i];
			fine = p[0] <= MERKLE_PREFIX_MANY;
			prefix->kind = fine ? (enum merkle_tree_prefix_kind)p[0] : MERKLE_PREFIX_EMPTY;
			memcpy(prefix->hash.b, p + 1, HASH_SIZE);
		}
		next++;
	}
	st = db_finish(rows, err);
	if (st == DB_OK && (!fine || next != PARTS)) {
		error_set(err, ERR_CORRUPT, "the stored hashes of the state tree are not whole");
		return DB_BROKEN;
	}
	return st;
}

enum db_status store_walk_state(struct db_conn *c, store_entry_fn *entry, void *ctx, struct error *err)
{
	struct buf last = {0};
	size_t n = PAGE;
	enum db_status st = DB_OK;
	bool go_on = true;
	while (go_on && n == PAGE && st == DB_OK) {
		struct db_rows *rows;
		st = db_query(c, &SQL_STATE_PAGE, DB_ARGS(DB_TEXT(buf_str(&last)), DB_INT(PAGE)), &rows, err);
		if (st != DB_OK)
			break;
		struct buf newest = {0};
		for (n = 0; go_on && db_next(rows); n++) {
			struct str key = db_text(rows, 0);
			go_on = entry(ctx, key, db_text(rows, 1));
			if (n + 1 == PAGE)
				buf_put_str(&newest, key);
		}
		st = db_finish(rows, err);
		buf_free(&last);
		last = newest;
	}
	buf_free(&last);
	return st;
}

static enum db_status is_tx(struct db_conn *c, uint64_t place, const char *id, bool *is, struct error *err)
{
	struct db_rows *rows;
	enum db_status st = db_query(c, &SQL_IS_TX, DB_ARGS(DB_INT(tx_index_height(place)), DB_INT(tx_index_idx(place)), DB_TEXT(str_of(id, HASH_TEXT_LEN))), &rows, err);
	if (st != DB_OK)
		return st;
	*is = db_next(rows);
	return db_finish(rows, err);
}

enum db_status store_find_tx(struct db_conn *c, const struct hash *id, int64_t *height, int64_t *index, bool *found, struct error *err)
{
	char text[HASH_TEXT_LEN + 1];
	struct tx_index_walk w = {.key = tx_index_key_of_id(id), .at = UINT64_MAX};
	enum db_status st = DB_OK;
	hash_to_text(id, text);
	*found = false;
	while (st == DB_OK && !*found) {
		uint64_t place;
		size_t n;
		st = tx_index_next(c, &w, &place, 1, &n, err);
		if (st != DB_OK || n == 0)
			break;
		st = is_tx(c, place, text, found, err);
		*height = tx_index_height(place);
		*index = tx_index_idx(place);
	}
	return st;
}

enum db_status store_is_refused(struct db_conn *c, const struct hash *id, bool *refused, struct error *err)
{
	struct db_rows *rows;
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(id, text);
	*refused = false;
	enum db_status st = db_query(c, &SQL_IS_REFUSED, DB_ARGS(DB_TEXT(str_of(text, HASH_TEXT_LEN))), &rows, err);
	if (st != DB_OK)
		return st;
	*refused = db_next(rows);
	return db_finish(rows, err);
}
