#include "ledger_store.h"

#include "base/log.h"
#include "state_list.h"

/* ---- Batches ---- */

void store_batches_init(struct store_batches *b, struct arena *arena)
{
	*b = (struct store_batches){.arena = arena};
	b->last = &b->first;
}

struct db_value *store_batch_add(struct store_batches *b, const struct db_sql *sql, size_t count, size_t width)
{
	struct db_value *values = arena_zalloc(b->arena, count * width, sizeof *values);
	if (count == 0)
		return values;
	struct store_batch *batch = arena_zalloc(b->arena, 1, sizeof *batch);
	*batch = (struct store_batch){.sql = sql, .args = arena_zalloc(b->arena, count, sizeof(struct db_args)), .count = count};
	for (size_t i = 0; i < count; i++)
		batch->args[i] = (struct db_args){values + i * width, width};
	*b->last = batch;
	b->last = &batch->next;
	return values;
}

enum db_status store_batches_run(struct db_conn *c, const struct store_batches *b, struct error *err)
{
	for (const struct store_batch *batch = b->first; batch; batch = batch->next) {
		enum db_status st = db_run_many(c, batch->sql, batch->args, batch->count, NULL, NULL, err);
		if (st != DB_OK)
			return st;
	}
	return DB_OK;
}

/* ---- A block ---- */

DB_SQL(SQL_PUT_META, "INSERT INTO meta (name, value) VALUES ($1, $2)");
DB_SQL(SQL_PUT_BLOCK, "INSERT INTO blocks (height, hash, header, signature, changes) VALUES ($1, $2, $3, $4, $5)");
DB_SQL_ARRAYS(SQL_PUT_TX, "INSERT INTO transactions (height, idx, id, message, signature) VALUES ($1, $2, $3, $4, $5)",
	      "INSERT INTO transactions (height, idx, id, message, signature) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])");
DB_SQL_ARRAYS(SQL_PUT_TX_LIST, "INSERT INTO transaction_lists (list, height, idx) VALUES ($1, $2, $3)",
	      "INSERT INTO transaction_lists (list, height, idx) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])");
DB_SQL(SQL_OPEN_REQUEST, "INSERT INTO transaction_lists (list, height, idx) SELECT $1, height, idx FROM transactions WHERE id = $2");
DB_SQL(SQL_CLOSE_REQUEST, "DELETE FROM transaction_lists WHERE list = $1 AND (height, idx) = (SELECT t.height, t.idx FROM transactions t WHERE t.id = $2)");
DB_SQL_ARRAYS(SQL_PUT_STATE, "INSERT INTO state (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	      "INSERT INTO state (key, value) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
DB_SQL_ARRAYS(SQL_DROP_STATE, "DELETE FROM state WHERE key = $1",
	      "DELETE FROM state WHERE key = ANY ($1::text[])");
DB_SQL_ARRAYS(SQL_PUT_LIST, "INSERT INTO state_lists (list, key) VALUES ($1, $2)",
	      "INSERT INTO state_lists (list, key) SELECT * FROM unnest($1::text[], $2::text[])");
DB_SQL_ARRAYS(SQL_DROP_LIST, "DELETE FROM state_lists WHERE list = $1 AND key = $2",
	      "DELETE FROM state_lists AS s USING unnest($1::text[], $2::text[]) AS gone (list, key) WHERE s.list = gone.list AND s.key = gone.key");
DB_SQL_ARRAYS(SQL_PUT_TREE, "INSERT INTO local_tree (part, prefixes) VALUES ($1, $2) ON CONFLICT (part) DO UPDATE SET prefixes = excluded.prefixes",
	      "INSERT INTO local_tree (part, prefixes) SELECT * FROM unnest($1::bigint[], $2::bytea[]) ON CONFLICT (part) DO UPDATE SET prefixes = excluded.prefixes");

void store_genesis(struct store_batches *b, const struct genesis *g)
{
	struct db_value *v = store_batch_add(b, &SQL_PUT_META, 1, 2);
	v[0] = DB_TEXT(STR_LIT("genesis"));
	v[1] = DB_TEXT(g->text);
}

static struct str hash_text(struct arena *arena, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return arena_copy(arena, str_of(text, HASH_TEXT_LEN));
}

static struct str signature_text(struct arena *arena, const struct ed25519_signature *s)
{
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(s, text);
	return arena_copy(arena, str_of(text, ED25519_SIGNATURE_TEXT_LEN));
}

static void put_block_row(struct store_batches *b, const struct chain_work *w)
{
	struct db_value *v = store_batch_add(b, &SQL_PUT_BLOCK, 1, 5);
	v[0] = DB_INT(w->header.height);
	v[1] = DB_TEXT(hash_text(b->arena, &w->block.hash));
	v[2] = DB_TEXT(w->block.header);
	v[3] = w->block.has_signature ? DB_TEXT(signature_text(b->arena, &w->block.signature)) : DB_NULL;
	v[4] = DB_TEXT(w->block.changes);
}

static void put_transactions(struct store_batches *b, const struct chain_work *w)
{
	size_t n = w->block.tx_count, listed = 0;
	struct db_value *v = store_batch_add(b, &SQL_PUT_TX, n, 5);
	struct str(*lists)[TX_LISTS_MAX] = arena_zalloc(b->arena, n, sizeof *lists);
	size_t *counts = arena_zalloc(b->arena, n, sizeof *counts);
	for (size_t i = 0; i < n; i++, v += 5) {
		v[0] = DB_INT(w->header.height);
		v[1] = DB_INT((int64_t)i);
		v[2] = DB_TEXT(hash_text(b->arena, &w->txs[i].id));
		v[3] = DB_TEXT(w->block.txs[i].message);
		v[4] = DB_TEXT(signature_text(b->arena, &w->block.txs[i].signature));
		counts[i] = tx_lists_of(&w->txs[i], b->arena, lists[i]);
		listed += counts[i];
	}
	v = store_batch_add(b, &SQL_PUT_TX_LIST, listed, 3);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < counts[i]; j++, v += 3) {
			v[0] = DB_TEXT(lists[i][j]);
			v[1] = DB_INT(w->header.height);
			v[2] = DB_INT((int64_t)i);
		}
}

static void put_state(struct store_batches *b, const struct chain_changes *c)
{
	size_t gone = 0;
	for (size_t i = 0; i < c->count; i++)
		gone += !str_present(c->entries[i]->now);
	struct db_value *put = store_batch_add(b, &SQL_PUT_STATE, c->count - gone, 2), *drop = store_batch_add(b, &SQL_DROP_STATE, gone, 1);
	for (size_t i = 0; i < c->count; i++) {
		const struct chain_entry *e = c->entries[i];
		if (str_present(e->now)) {
			put[0] = DB_TEXT(e->key);
			put[1] = DB_TEXT(e->now);
			put += 2;
		} else {
			*drop++ = DB_TEXT(e->key);
		}
	}
}

/* Entries that come into a list, or leave it. */
static void put_state_lists(struct store_batches *b, const struct chain_changes *c)
{
	struct str *lists = arena_zalloc(b->arena, c->count, sizeof *lists);
	size_t entering = 0, leaving = 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct chain_entry *e = c->entries[i];
		char text[STATE_LIST_MAX];
		struct str list;
		if (str_present(e->before) == str_present(e->now) || !state_list_of(e->key, text, &list))
			continue;
		lists[i] = arena_copy(b->arena, list);
		entering += str_present(e->now);
		leaving += !str_present(e->now);
	}
	struct db_value *drop = store_batch_add(b, &SQL_DROP_LIST, leaving, 2), *put = store_batch_add(b, &SQL_PUT_LIST, entering, 2);
	for (size_t i = 0; i < c->count; i++) {
		if (!str_present(lists[i]))
			continue;
		struct db_value **v = str_present(c->entries[i]->now) ? &put : &drop;
		(*v)[0] = DB_TEXT(lists[i]);
		(*v)[1] = DB_TEXT(c->entries[i]->key);
		*v += 2;
	}
}

static struct str request_list(struct arena *arena, struct str key, struct str value)
{
	char text[STATE_LIST_MAX];
	struct str list;
	return str_present(value) && request_list_of(key, value, text, &list) ? arena_copy(arena, list) : STR_NONE;
}

/* Requests that were opened, or decided. Their transactions' rows are there. */
static void put_requests(struct store_batches *b, const struct chain_changes *c)
{
	struct str *before = arena_zalloc(b->arena, c->count, sizeof *before), *now = arena_zalloc(b->arena, c->count, sizeof *now);
	size_t opened = 0, closed = 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct chain_entry *e = c->entries[i];
		before[i] = request_list(b->arena, e->key, e->before);
		now[i] = request_list(b->arena, e->key, e->now);
		opened += str_present(now[i]);
		closed += str_present(before[i]);
	}
	struct db_value *close = store_batch_add(b, &SQL_CLOSE_REQUEST, closed, 2), *open = store_batch_add(b, &SQL_OPEN_REQUEST, opened, 2);
	for (size_t i = 0; i < c->count; i++) {
		struct str id = request_tx_id(c->entries[i]->key);
		if (str_present(before[i])) {
			close[0] = DB_TEXT(before[i]);
			close[1] = DB_TEXT(id);
			close += 2;
		}
		if (str_present(now[i])) {
			open[0] = DB_TEXT(now[i]);
			open[1] = DB_TEXT(id);
			open += 2;
		}
	}
}

void store_block(struct store_batches *b, const struct chain_work *w)
{
	put_block_row(b, w);
	put_transactions(b, w);
	put_state(b, &w->changes);
	put_state_lists(b, &w->changes);
	put_requests(b, &w->changes);
}

/* ---- The tree's subtrees: 64 rows of 64, each a kind and a hash ---- */

enum { PARTS = 64, PART_PREFIXES = (1 << STORE_TREE_DEPTH) / PARTS, PREFIX_BYTES = 1 + HASH_SIZE, PART_BYTES = PART_PREFIXES * PREFIX_BYTES };

static void put_parts(struct store_batches *b, const struct merkle_tree *tree, const bool wanted[PARTS])
{
	size_t n = 0;
	for (size_t part = 0; part < PARTS; part++)
		n += wanted[part];
	struct db_value *v = store_batch_add(b, &SQL_PUT_TREE, n, 2);
	for (size_t part = 0; part < PARTS; part++) {
		if (!wanted[part])
			continue;
		uint8_t *bytes = arena_alloc(b->arena, PART_BYTES);
		for (size_t i = 0; i < PART_PREFIXES; i++) {
			struct merkle_tree_prefix p;
			merkle_tree_prefix(tree, STORE_TREE_DEPTH, part * PART_PREFIXES + i, &p);
			bytes[i * PREFIX_BYTES] = (uint8_t)p.kind;
			memcpy(bytes + i * PREFIX_BYTES + 1, p.hash.b, HASH_SIZE);
		}
		v[0] = DB_INT((int64_t)part);
		v[1] = DB_BLOB(bytes, PART_BYTES);
		v += 2;
	}
}

void store_tree(struct store_batches *b, const struct merkle_tree *tree, const struct chain_changes *changes)
{
	bool wanted[PARTS] = {false};
	for (size_t i = 0; i < changes->count; i++) {
		struct hash path;
		sha256(&path, changes->entries[i]->key.p, changes->entries[i]->key.n);
		wanted[merkle_tree_prefix_index(&path, STORE_TREE_DEPTH) / PART_PREFIXES] = true;
	}
	put_parts(b, tree, wanted);
}

void store_tree_all(struct store_batches *b, const struct merkle_tree *tree)
{
	bool wanted[PARTS];
	memset(wanted, true, sizeof wanted);
	put_parts(b, tree, wanted);
}
