#include "ledger_proof.h"

#include "base/log.h"
#include "crypto/merkle_list.h"
#include "ledger_store.h"
#include "wire/proof.h"

DB_SQL(SQL_PUT_STEP, "INSERT INTO validator_steps (height, step) VALUES ($1, $2)");
DB_SQL(SQL_STEPS, "SELECT height, step FROM validator_steps WHERE height < $1 ORDER BY height");
DB_SQL(SQL_HEADER, "SELECT header, signature FROM blocks WHERE height = $1");

/* ---- What proofs are made of ---- */

static struct str hash_text(struct arena *arena, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return arena_copy(arena, str_of(text, HASH_TEXT_LEN));
}

static struct json_list hash_texts(struct arena *arena, const struct hash *h, size_t count)
{
	struct str *texts = arena_zalloc(arena, count, sizeof *texts);
	for (size_t i = 0; i < count; i++)
		texts[i] = hash_text(arena, &h[i]);
	return (struct json_list){texts, count};
}

static struct str signature_text(struct arena *arena, const struct ed25519_signature *s)
{
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(s, text);
	return arena_copy(arena, str_of(text, ED25519_SIGNATURE_TEXT_LEN));
}

static void fill_state(struct proof_state *out, struct str key, struct str value, const struct merkle_map_proof *p, struct arena *arena)
{
	*out = (struct proof_state){.key = key, .siblings = hash_texts(arena, p->siblings, p->count), .value = value};
	if (!p->has_other)
		return;
	out->other = arena_zalloc(arena, 1, sizeof *out->other);
	*out->other = (struct proof_other){hash_text(arena, &p->other.path), hash_text(arena, &p->other.value_hash)};
}

/* ---- Steps ---- */

struct str proof_step_make(const struct chain *c, const struct chain_work *w, struct arena *arena)
{
	struct validator *set;
	size_t count;
	if (!chain_validators_after(c, w, arena, &set, &count))
		return STR_NONE;
	struct ledger_validator *validators = arena_zalloc(arena, count, sizeof *validators);
	struct proof_state *proofs = arena_zalloc(arena, count, sizeof *proofs);
	struct merkle_map_proof *p = arena_alloc(arena, sizeof *p);
	for (size_t i = 0; i < count; i++) {
		struct buf value = {0};
		struct hash path;
		struct str key = arena_printf(arena, "validator:%.*s", STR_ARG(set[i].id));
		validators[i] = (struct ledger_validator){set[i].id, set[i].public_key, set[i].power};
		validator_write(&value, &set[i]);
		sha256(&path, key.p, key.n);
		bool present = merkle_tree_prove(c->tree, &path, p);
		invariant(present);
		fill_state(&proofs[i], key, arena_copy(arena, buf_str(&value)), p, arena);
		buf_free(&value);
	}
	struct proof_step step = {
		.header = w->block.header,
		.proofs = {proofs, count},
		.signature = signature_text(arena, &w->block.signature),
		.validators = {validators, count},
	};
	struct buf text = {0};
	json_write_canonical(&text, &proof_step_message, &step);
	struct str made = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return made;
}

enum db_status proof_step_store(struct db_conn *c, int64_t height, struct str step, struct error *err)
{
	return db_run(c, &SQL_PUT_STEP, DB_ARGS(DB_INT(height), DB_TEXT(step)), NULL, err);
}

static enum db_status broken(struct error *err, const char *what, int64_t height)
{
	error_set(err, ERR_CORRUPT, "%s of block %lld cannot be read; run `ledgerd verify`", what, (long long)height);
	return DB_BROKEN;
}

/* All steps before a height, read into the arena. */
static enum db_status read_steps(struct db_conn *c, int64_t height, struct arena *arena, struct json_list *out, struct error *err)
{
	struct db_rows *rows;
	size_t room = 8, n = 0;
	int64_t bad = -1;
	struct proof_step *steps = arena_alloc(arena, room * sizeof *steps);
	enum db_status st = db_query(c, &SQL_STEPS, DB_ARGS(DB_INT(height)), &rows, err);
	if (st != DB_OK)
		return st;
	while (bad < 0 && db_next(rows)) {
		struct error why;
		if (n == room) {
			struct proof_step *more = arena_alloc(arena, 2 * room * sizeof *more);
			memcpy(more, steps, n * sizeof *more);
			steps = more;
			room *= 2;
		}
		if (json_read_text(db_text(rows, 1), &proof_step_message, &steps[n], arena, &why))
			n++;
		else
			bad = db_int(rows, 0);
	}
	st = db_finish(rows, err);
	*out = (struct json_list){steps, n};
	return st == DB_OK && bad >= 0 ? broken(err, "the validator step", bad) : st;
}

/* ---- Files ---- */

/* The frame round what is proven: header, signature and steps of the block of this height. */
static enum db_status begin(struct db_conn *c, int64_t height, struct arena *arena, struct proof *out, struct error *err)
{
	struct db_rows *rows;
	json_message_clear(&proof_message, out);
	enum db_status st = db_query(c, &SQL_HEADER, DB_ARGS(DB_INT(height)), &rows, err);
	if (st != DB_OK)
		return st;
	if (db_next(rows)) {
		out->header = arena_copy(arena, db_text(rows, 0));
		out->signature = arena_copy(arena, db_text(rows, 1));
	}
	st = db_finish(rows, err);
	if (st != DB_OK)
		return st;
	if (!str_present(out->header))
		return broken(err, "the row", height);
	out->format = STR_LIT(PROOF_FORMAT);
	return read_steps(c, height, arena, &out->validator_steps, err);
}

/* The complete subtrees above a block's leaves, level by level. */
struct leaf_tree {
	struct hash *level[MERKLE_PATH_MAX];
};

static bool read_level(void *ctx, unsigned level, uint64_t position, struct hash *out)
{
	const struct leaf_tree *t = ctx;
	*out = t->level[level][position];
	return true;
}

static void inclusion(const struct block *b, size_t index, struct arena *arena, struct json_list *out)
{
	struct leaf_tree t;
	struct hash path[MERKLE_PATH_MAX];
	size_t count, n = b->tx_count;
	t.level[0] = arena_zalloc(arena, n, sizeof(struct hash));
	for (size_t i = 0; i < n; i++)
		block_tx_leaf(&t.level[0][i], &b->txs[i]);
	for (unsigned k = 1; n / 2 > 0; k++) {
		n /= 2;
		t.level[k] = arena_zalloc(arena, n, sizeof(struct hash));
		for (size_t i = 0; i < n; i++)
			merkle_node(&t.level[k][i], &t.level[k - 1][2 * i], &t.level[k - 1][2 * i + 1]);
	}
	bool made = merkle_inclusion_prove(index, b->tx_count, read_level, &t, path, &count);
	invariant(made);
	*out = hash_texts(arena, path, count);
}

enum db_status proof_of_tx(struct db_conn *c, const struct hash *id, struct arena *arena, struct buf *out, bool *found, struct error *err)
{
	int64_t height, index;
	bool block_found;
	struct block b;
	struct proof p;
	struct proof_tx tx;
	enum db_status st = store_find_tx(c, id, &height, &index, found, err);
	if (st != DB_OK || !*found)
		return st;
	st = store_read_block(c, height, arena, &b, &block_found, err);
	if (st == DB_OK && (!block_found || index < 0 || (size_t)index >= b.tx_count))
		return broken(err, "a transaction", height);
	if (st == DB_OK)
		st = begin(c, height, arena, &p, err);
	if (st != DB_OK)
		return st;
	tx = (struct proof_tx){.index = index, .message = b.txs[index].message, .signature = signature_text(arena, &b.txs[index].signature)};
	inclusion(&b, (size_t)index, arena, &tx.path);
	p.transaction = &tx;
	proof_write(out, &p);
	return DB_OK;
}

/* Does what was read show what the tree said, under the header's root? */
static bool shows(struct str key, struct str value, const struct merkle_map_proof *p, bool present, const struct block_header *h)
{
	struct merkle_map_entry e;
	merkle_map_entry(&e, key, present ? value : STR_LIT(""));
	if (str_present(value) != present)
		return false;
	return present ? merkle_map_verify_present(&h->state_root, &e, p) : merkle_map_verify_absent(&h->state_root, &e.path, p);
}

enum db_status proof_of_state(struct db_conn *c, struct str key, const struct merkle_map_proof *p, bool present, int64_t height, struct arena *arena,
			      struct buf *out, bool *fits, struct error *err)
{
	struct proof proof;
	struct proof_state state;
	struct block_header h;
	struct error why;
	struct str value;
	*fits = false;
	enum db_status st = store_read_state(c, key, arena, &value, err);
	if (st == DB_OK)
		st = begin(c, height, arena, &proof, err);
	if (st != DB_OK)
		return st;
	if (!block_header_read(proof.header, &h, &why))
		return broken(err, "the header", height);
	*fits = shows(key, value, p, present, &h);
	if (!*fits)
		return DB_OK;
	fill_state(&state, key, value, p, arena);
	proof.state = &state;
	proof_write(out, &proof);
	return DB_OK;
}
