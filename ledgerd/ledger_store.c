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
	return tx_index_add(c, &b->index, err);
}

/* ---- A block ---- */

DB_SQL(SQL_PUT_META, "INSERT INTO meta (name, value) VALUES ($1, $2)");
DB_SQL(SQL_PUT_BLOCK, "INSERT INTO blocks (height, hash, header, signature, changes) VALUES ($1, $2, $3, $4, $5)");
DB_SQL_ARRAYS(SQL_PUT_TX, "INSERT INTO transactions (height, idx, id, message, signature) VALUES ($1, $2, $3, $4, $5)",
	      "INSERT INTO transactions (height, idx, id, message, signature) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[])");
DB_SQL(SQL_OPEN_REQUEST, "INSERT INTO open_requests (id, type, height, idx) VALUES ($1, $2, $3, $4)");
DB_SQL(SQL_CLOSE_REQUEST, "DELETE FROM open_requests WHERE id = $1");
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
	size_t n = w->block.tx_count, count = 0;
	struct db_value *v = store_batch_add(b, &SQL_PUT_TX, n, 5);
	struct tx_index_entry *entries = arena_zalloc(b->arena, n * TX_INDEX_EACH, sizeof *entries);
	for (size_t i = 0; i < n; i++, v += 5) {
		v[0] = DB_INT(w->header.height);
		v[1] = DB_INT((int64_t)i);
		v[2] = DB_TEXT(hash_text(b->arena, &w->txs[i].id));
		v[3] = DB_TEXT(w->block.txs[i].message);
		v[4] = DB_TEXT(signature_text(b->arena, &w->block.txs[i].signature));
		count += tx_index_entries_of(&w->txs[i], w->header.height, (int64_t)i, entries + count);
	}
	tx_index_sort(entries, count);
	b->index = (struct tx_index_block){w->header.height, entries, count};
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

/* Where in the block the transaction of this id stands. */
static int64_t place_in_block(const struct store_batches *b, const struct chain_work *w, struct str id)
{
	struct hash hash;
	bool fits = hash_from_text(id, &hash);
	invariant(fits);
	for (size_t at = tx_index_seek(b->index.entries, b->index.count, tx_index_key_of_id(&hash)); at < b->index.count; at++) {
		int64_t idx = tx_index_idx(b->index.entries[at].place);
		if (hash_equal(&w->txs[idx].id, &hash))
			return idx;
	}
	invariant(!"a request that opens is one of the block's transactions");
	return 0;
}

/* Requests that were opened, or decided. */
static void put_requests(struct store_batches *b, const struct chain_work *w)
{
	const struct chain_changes *c = &w->changes;
	struct str type;
	size_t opened = 0, closed = 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct chain_entry *e = c->entries[i];
		bool was = open_request_type(e->key, e->before, &type), is = open_request_type(e->key, e->now, &type);
		opened += is && !was;
		closed += was && !is;
	}
	struct db_value *close = store_batch_add(b, &SQL_CLOSE_REQUEST, closed, 1), *open = store_batch_add(b, &SQL_OPEN_REQUEST, opened, 4);
	for (size_t i = 0; i < c->count; i++) {
		const struct chain_entry *e = c->entries[i];
		struct str id = request_tx_id(e->key);
		bool was = open_request_type(e->key, e->before, &type), is = open_request_type(e->key, e->now, &type);
		if (was && !is)
			*close++ = DB_TEXT(id);
		if (!is || was)
			continue;
		open[0] = DB_TEXT(id);
		open[1] = DB_TEXT(type);
		open[2] = DB_INT(w->header.height);
		open[3] = DB_INT(place_in_block(b, w, id));
		open += 4;
	}
}

void store_block(struct store_batches *b, const struct chain_work *w)
{
	put_block_row(b, w);
	put_transactions(b, w);
	put_state(b, &w->changes);
	put_state_lists(b, &w->changes);
	put_requests(b, w);
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
