#include "ledger_audit.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "crypto/canonical_read.h"
#include "crypto/merkle_list.h"
#include "ledger_audit_inside.h"
#include "ledger_proof.h"
#include "ledger_store.h"
#include "signatures.h"
#include "state_list.h"

void audit_report(struct audit_run *a, const struct audit_finding *f)
{
	pthread_mutex_lock(&a->lock);
	a->result->findings++;
	a->o->found(a->o->ctx, f);
	pthread_mutex_unlock(&a->lock);
}

bool audit_interrupted(const struct audit_run *a, struct error *err)
{
	if (!a->o->stop || !*a->o->stop)
		return false;
	error_set(err, ERR_INTERRUPTED, "interrupted behind block %lld", (long long)a->chain.height);
	return true;
}

/* ---- Findings about a block ---- */

/* The row of a block, or of one of its transactions. */
static struct audit_finding at_row(const char *check, int64_t height, int64_t index)
{
	struct audit_finding f = {.check = check, .height = height, .index = index, .table = index < 0 ? "blocks" : "transactions", .row_columns = 1};
	f.row[0] = audit_int("height", height);
	if (index >= 0)
		f.row[f.row_columns++] = audit_int("idx", index);
	return f;
}

static void note_row(struct audit_run *a, enum chain_test test, int64_t height, int64_t index, const char *column, struct str expected, struct str found,
		     const char *problem)
{
	struct audit_finding f = at_row(chain_test_name(test), height, index);
	f.column = column;
	f.expected = expected;
	f.found = found;
	f.problem = problem;
	audit_report(a, &f);
}

static void note_finding(void *ctx, const struct chain_finding *c)
{
	struct audit_finding f = at_row(chain_test_name(c->test), c->at.height, c->at.index);
	f.column = c->test == TEST_STATE_CHANGES ? "changes" : c->at.index >= 0 ? "message" : "header";
	f.key = c->where;
	f.expected = c->expected;
	f.found = c->found;
	f.problem = c->what;
	audit_report(ctx, &f);
}

/* On a signature thread, under the signatures' lock. Told at the end, in order. */
static void note_wrong(void *ctx, struct chain_place at)
{
	struct audit_run *a = ctx;
	if (a->wrong_count == a->wrong_room) {
		a->wrong_room = a->wrong_room ? 2 * a->wrong_room : 64;
		a->wrong = xrealloc(a->wrong, a->wrong_room * sizeof *a->wrong);
	}
	a->wrong[a->wrong_count++] = at;
}

static int by_place(const void *x, const void *y)
{
	const struct chain_place *a = x, *b = y;
	return a->height != b->height ? (a->height < b->height ? -1 : 1) : (a->index > b->index) - (a->index < b->index);
}

static void tell_wrong(struct audit_run *a)
{
	if (a->wrong_count > 0)
		qsort(a->wrong, a->wrong_count, sizeof *a->wrong, by_place);
	for (size_t i = 0; i < a->wrong_count; i++) {
		struct chain_place at = a->wrong[i];
		if (i > 0 && by_place(&at, &a->wrong[i - 1]) == 0)
			continue;
		note_row(a, at.index < 0 ? TEST_PRODUCER_SIGNATURE : TEST_SIGNATURES, at.height, at.index, "signature", STR_NONE, STR_NONE,
			 at.index < 0 ? "the signature is not the producer's" : "a signature is not that of the key which the signer had then");
	}
}

/* ---- One block ---- */

static bool believe(void *ctx, struct chain_place at, const struct ed25519_signature *s, const struct ed25519_public *key, const struct hash *digest)
{
	(void)ctx;
	(void)at;
	(void)s;
	(void)key;
	(void)digest;
	return true;
}

/* What rows say beside the bytes that were signed: forms, ids, numbers. */
static void check_rows(struct audit_run *a, const struct audit_block *b)
{
	struct hash hash;
	struct ed25519_signature signature;
	struct error why;
	int64_t h = b->height;
	if (!str_present(b->hash) || !hash_from_text(b->hash, &hash))
		note_row(a, TEST_HASH, h, -1, "hash", STR_NONE, b->hash, "the hash is none");
	if (str_present(b->signature) && !ed25519_signature_from_text(b->signature, KEY_WRITTEN, &signature, &why))
		note_row(a, TEST_PRODUCER_SIGNATURE, h, -1, "signature", STR_NONE, b->signature, "the signature is none");
	for (size_t i = 0; i < b->row_count; i++) {
		const struct audit_tx_row *row = &b->rows[i];
		char id[HASH_TEXT_LEN + 1];
		if (!str_present(row->signature) || !ed25519_signature_from_text(row->signature, KEY_WRITTEN, &signature, &why))
			note_row(a, TEST_SIGNATURES, h, row->idx, "signature", STR_NONE, row->signature, "the signature is none");
		sha256(&hash, b->block.txs[i].message.p, b->block.txs[i].message.n);
		hash_to_text(&hash, id);
		if (!str_is(row->id, id))
			note_row(a, TEST_DATABASE, h, row->idx, "id", str_from(id), row->id, "the id is not that of the message");
	}
	/* Which rows there should be, the header says. */
	if (b->decoded.header_bad)
		return;
	size_t at = 0;
	for (int64_t i = 0; i < b->decoded.header.tx_count && i < (1 << 20); i++) {
		while (at < b->row_count && b->rows[at].idx < i)
			at++;
		if (at == b->row_count || b->rows[at].idx != i)
			note_row(a, TEST_DATABASE, h, i, NULL, STR_NONE, STR_NONE, "the row is missing");
	}
	for (at = 0; at < b->row_count; at++)
		if (b->rows[at].idx < 0 || b->rows[at].idx >= b->decoded.header.tx_count)
			note_row(a, TEST_DATABASE, h, b->rows[at].idx, NULL, STR_NONE, b->rows[at].id, "the block has no such transaction");
}

static void keep_step(struct audit_run *a, int64_t height, const struct chain_work *w)
{
	struct arena arena;
	arena_init(&arena);
	struct str step = proof_step_make(&a->chain, w, &arena);
	if (str_present(step)) {
		if (a->step_count == a->step_room) {
			a->step_room = a->step_room ? 2 * a->step_room : 16;
			a->steps = xrealloc(a->steps, a->step_room * sizeof *a->steps);
		}
		a->steps[a->step_count++] = (struct audit_step){height, arena_copy(&a->kept, step)};
	}
	arena_free(&arena);
}

/* Block 0 is what the genesis gives, to the byte. */
static void check_first(struct audit_run *a, const struct audit_block *b)
{
	struct chain_work w;
	char hash[HASH_TEXT_LEN + 1];
	chain_make_genesis(&a->chain, &w);
	hash_to_text(&w.block.hash, hash);
	if (!str_equal(b->header, w.block.header))
		note_row(a, TEST_LINK, 0, -1, "header", w.block.header, b->header, "block 0 is not what the genesis gives");
	if (!str_is(b->hash, hash))
		note_row(a, TEST_HASH, 0, -1, "hash", str_from(hash), b->hash, "the block's hash is not that of its header");
	if (str_present(b->signature))
		note_row(a, TEST_PRODUCER_SIGNATURE, 0, -1, "signature", STR_NONE, b->signature, "block 0 has no signature");
	if (!str_equal(b->changes, w.block.changes))
		note_row(a, TEST_STATE_CHANGES, 0, -1, "changes", w.block.changes, b->changes, "block 0 has no changes");
	for (size_t i = 0; i < b->row_count; i++)
		note_row(a, TEST_DATABASE, 0, b->rows[i].idx, NULL, STR_NONE, b->rows[i].id, "block 0 has no transactions");
	chain_memory_take(&a->memory, &w.changes);
	chain_accept(&a->chain, &w);
	chain_work_free(&w);
}

/* Validators are what the next block is judged by: one that makes no sense is not gone on with. */
static bool validator_fits(struct str key, struct str value)
{
	const size_t skip = strlen("validator:");
	struct validator v;
	return !str_starts(key, "validator:") || !str_present(value) ||
	       (validator_read(value, &v) && tx_form_valid(TX_FORM_VALIDATOR, v.id) && str_equal(v.id, str_of(key.p + skip, key.n - skip)));
}

/*
 * A block whose transactions were changed gives another state than its header commits to. When the recorded changes are those of the header, the
 * replay goes on with them: so what comes behind is judged by itself, and not found wrong for the same reason.
 */
static bool recorded_changes(struct audit_run *a, const struct audit_block *b, struct chain_work *w)
{
	struct canonical_cursor c;
	struct str item, key, after;
	size_t n = 0;
	struct hash root;
	if (b->decoded.header_bad || !canonical_check(b->block.changes) || !canonical_enter_array(b->block.changes, &c))
		return false;
	while (canonical_next_item(&c, &item))
		n++;
	struct hash *leaves = arena_zalloc(&w->arena, n, sizeof *leaves);
	struct merkle_tree_change *tree = arena_zalloc(&w->arena, n, sizeof *tree), *undo = arena_zalloc(&w->arena, n, sizeof *undo);
	struct chain_entry *entries = arena_zalloc(&w->arena, n, sizeof *entries), **list = arena_zalloc(&w->arena, n, sizeof(struct chain_entry *));
	n = 0;
	(void)!canonical_enter_array(b->block.changes, &c);
	while (canonical_next_item(&c, &item)) {
		if (!canonical_find(item, "key", &key) || !canonical_read_text(key, &w->arena, &key) || !canonical_find(item, "after", &after))
			return false;
		merkle_leaf(&leaves[n], item.p, item.n);
		sha256(&tree[n].path, key.p, key.n);
		tree[n].present = !str_is(after, "null");
		sha256(&tree[n].value_hash, after.p, after.n);
		entries[n] = (struct chain_entry){.key = key, .now = tree[n].present ? after : STR_NONE};
		list[n] = &entries[n];
		if ((n > 0 && str_compare(entries[n - 1].key, key) >= 0) || !validator_fits(key, entries[n].now))
			return false;
		n++;
	}
	merkle_root(&root, leaves, n);
	if (!hash_equal(&root, &b->decoded.header.changes_root))
		return false;
	merkle_tree_apply(a->chain.tree, w->undo, w->changes.count, NULL);
	merkle_tree_apply(a->chain.tree, tree, n, undo);
	merkle_tree_root(a->chain.tree, &root);
	if (!hash_equal(&root, &b->decoded.header.state_root)) {
		/* As it was computed, then. */
		struct merkle_tree_change *again = arena_zalloc(&w->arena, w->changes.count, sizeof *again);
		merkle_tree_apply(a->chain.tree, undo, n, NULL);
		for (size_t i = 0; i < w->changes.count; i++) {
			const struct chain_entry *e = w->changes.entries[i];
			sha256(&again[i].path, e->key.p, e->key.n);
			again[i].present = str_present(e->now);
			sha256(&again[i].value_hash, e->now.p, e->now.n);
		}
		merkle_tree_apply(a->chain.tree, again, w->changes.count, NULL);
		return false;
	}
	w->changes = (struct chain_changes){list, n};
	return true;
}

static void check_block(struct audit_run *a, const struct audit_block *b)
{
	struct chain_work w;
	struct chain_report report = {note_finding, a};
	struct error why;
	bool clean;
	check_rows(a, b);
	audit_index_block(a, b);
	if (b->height == 0) {
		check_first(a, b);
		return;
	}
	if (!chain_check(&a->chain, chain_memory_source(&a->memory), &b->decoded, &report, &w, &clean, &why)) {
		/* Memory can always be read: what is in it, an earlier block's recorded changes, makes no sense. */
		note_row(a, TEST_TRANSACTIONS, b->height, -1, NULL, STR_NONE, STR_NONE, why.message);
		a->broken_off = true;
		return;
	}
	if (!clean)
		(void)recorded_changes(a, b, &w);
	keep_step(a, b->height, &w);
	chain_memory_take(&a->memory, &w.changes);
	chain_accept(&a->chain, &w);
	chain_work_free(&w);
}

/* ---- All of them ---- */

/* The chain must have the block of a checkpoint that was kept: looked at when the replay stands there, and once at the end. */
static void check_kept(struct audit_run *a, bool at_end)
{
	const struct checkpoint_note *k = a->o->checkpoint;
	char expected[HASH_TEXT_LEN + 1], found[HASH_TEXT_LEN + 1];
	if (!k || (at_end ? a->chain.height >= k->height : a->chain.height != k->height))
		return;
	bool same_block = !at_end && hash_equal(&k->hash, &a->chain.tip);
	if (same_block && hash_equal(&k->state_root, &a->chain.state_root))
		return;
	struct audit_finding f = at_row("checkpoint", k->height, -1);
	hash_to_text(same_block ? &k->state_root : &k->hash, expected);
	f.expected = str_from(expected);
	f.problem = "the chain ends before the block of the checkpoint";
	if (!at_end) {
		hash_to_text(same_block ? &a->chain.state_root : &a->chain.tip, found);
		f.found = str_from(found);
		f.problem = same_block ? "the state after the block is not that of the checkpoint" : "the block is not that of the checkpoint: history was rewritten";
	}
	audit_report(a, &f);
}

/* A row of `blocks` that is not the next one: a hole, or a row that should not be there. False: what follows cannot be judged. */
static bool fits_in(struct audit_run *a, const struct audit_block *b)
{
	int64_t next = a->chain.height + 1;
	if (b->height == next)
		return true;
	if (!b->decoded.header_bad && b->decoded.header.height != b->height) {
		note_row(a, TEST_DATABASE, b->height, -1, NULL, STR_NONE, b->hash, "the row should not be there: its header is of another height");
		return false;
	}
	note_row(a, TEST_DATABASE, next, -1, NULL, STR_NONE, STR_NONE, "the row is missing: the blocks behind it cannot be judged");
	a->broken_off = true;
	return false;
}

static void tell_strays(struct audit_run *a, const struct audit_chunk *k)
{
	int64_t last = -1;
	for (size_t i = 0; i < k->stray_count; i++) {
		int64_t height = k->stray_heights[i];
		if (height != last && !a->broken_off)
			note_row(a, TEST_DATABASE, height, -1, NULL, STR_NONE, STR_NONE, "the row is missing: there are transactions of this block");
		note_row(a, TEST_DATABASE, height, k->strays[i].idx, NULL, STR_NONE, k->strays[i].id, "the row should not be there: it is in no block");
		last = height;
	}
}

static bool in_range(const struct audit_run *a, int64_t height)
{
	return height >= a->o->from && (a->o->to < 0 || height <= a->o->to);
}

static bool replay(struct audit_run *a, struct audit_reader *reader, struct signatures *signatures, int64_t newest, struct error *err)
{
	bool more = true;
	while (more) {
		struct audit_chunk *k = audit_reader_next(reader, err);
		if (!k)
			return false;
		bool ok = true;
		for (size_t i = 0; ok && i < k->count && !a->broken_off; i++) {
			const struct audit_block *b = &k->blocks[i];
			if (a->o->stop && *a->o->stop)
				ok = error_set(err, ERR_INTERRUPTED, "interrupted at block %lld", (long long)b->height);
			if (!ok || (a->o->to >= 0 && b->height > a->o->to) || !fits_in(a, b))
				continue;
			bool strict = in_range(a, b->height);
			a->chain.rules.verifier = strict ? signatures_verifier(signatures) : (struct chain_verifier){believe, NULL};
			check_block(a, b);
			a->result->blocks += strict;
			a->result->transactions += strict ? b->row_count : 0;
			check_kept(a, false);
			if (a->o->progress)
				a->o->progress(a->o->ctx, b->height, newest, a->result->transactions);
		}
		if (ok && k->last && (a->o->to < 0 || a->o->to == newest))
			tell_strays(a, k);
		more = ok && !k->last && !a->broken_off && (a->o->to < 0 || a->chain.height < a->o->to);
		audit_chunk_free(k);
		if (!ok)
			return false;
	}
	return true;
}

/* Wide enough for a sum of 64-bit amounts, however many. */
__extension__ typedef unsigned __int128 wide_sum; /* it may wrap: 0 is 0 */
struct currency_sum {
	struct str code;
	wide_sum sum; /* balances, holds and stakes less the supply */
};

/* All amounts of a currency have the same digits behind the point: without it they add up. */
static wide_sum digits_of(struct str amount)
{
	wide_sum v = 0;
	for (size_t i = 0; i < amount.n; i++)
		if (amount.p[i] >= '0' && amount.p[i] <= '9')
			v = v * 10 + (amount.p[i] - '0');
	return v;
}

/* Per currency: supply = balances + holds + stakes. The rules keep it so; this is the sum, made anew. */
static void check_supply(struct audit_run *a)
{
	struct strmap sums = {.slots = NULL};
	struct arena arena;
	struct memory_entry *e;
	struct currency_sum *c;
	size_t at = 0;
	arena_init(&arena);
	while ((e = chain_memory_next(&a->memory, &at))) {
		bool supply = str_starts(e->key, "supply:");
		if (!supply && !str_starts(e->key, "balance:") && !str_starts(e->key, "held:") && !str_starts(e->key, "stake:"))
			continue;
		const char *code = (const char *)memrchr(e->key.p, ':', e->key.n) + 1;
		struct str name = str_of(code, (size_t)(e->key.p + e->key.n - code));
		c = strmap_get(&sums, name);
		if (!c) {
			c = arena_zalloc(&arena, 1, sizeof *c);
			c->code = name;
			strmap_put(&sums, name, c);
		}
		c->sum += supply ? -digits_of(e->value) : digits_of(e->value);
	}
	at = 0;
	while ((c = strmap_next(&sums, &at))) {
		struct audit_finding f = {.check = "supplyValid", .height = a->chain.height, .index = -1, .key = c->code};
		f.problem = "the supply is not the sum of balances, holds and stakes";
		if (c->sum != 0)
			audit_report(a, &f);
	}
	strmap_free(&sums);
	arena_free(&arena);
}

static bool prepare(struct audit_run *a, struct genesis *genesis, int64_t *newest, struct error *err)
{
	struct str text;
	if (store_read_genesis(a->c, &a->kept, &text, err) != DB_OK || store_read_height(a->c, newest, err) != DB_OK)
		return false;
	if (a->o->genesis)
		*genesis = *a->o->genesis;
	else if (!str_present(text))
		return error_set(err, ERR_CONFIG, "the database has no chain");
	else if (!genesis_read(text, &a->kept, genesis, err))
		return false;
	if (*newest < 0)
		return error_set(err, ERR_CONFIG, "the database has no blocks");
	/* Nothing need have come since a checkpoint. */
	if ((a->o->from > *newest && !a->o->checkpoint) || a->o->to > *newest)
		return error_set(err, ERR_UNKNOWN_BLOCK, "there is no block %lld: the newest is %lld",
				 (long long)(a->o->to > *newest ? a->o->to : a->o->from), (long long)*newest);
	if (a->o->to >= 0 && a->o->from > a->o->to)
		return error_set(err, ERR_USAGE, "the range ends before it begins");
	if (a->o->content && a->o->to >= 0 && a->o->to != *newest)
		return error_set(err, ERR_USAGE, "which content is needed is known after the newest block, %lld: the range must end with it", (long long)*newest);
	if (a->o->checkpoint && !str_equal(a->o->checkpoint->chain_id, genesis->chain_id))
		return error_set(err, ERR_CONFIG, "the checkpoint is of another chain, %.*s", STR_ARG(a->o->checkpoint->chain_id));
	return true;
}

static void conclude(struct audit_run *a, const struct signatures *signatures, int64_t newest, struct arena *arena)
{
	struct audit_result *r = a->result;
	r->chain_id = arena_copy(arena, a->chain.genesis.chain_id);
	r->from = a->o->from;
	r->to = a->chain.height;
	r->height = newest;
	r->hash = a->chain.tip;
	r->state_root = a->chain.state_root;
	r->entries = a->memory.entries.count;
	r->signatures = signatures_count(signatures);
}

static int by_key(const void *a, const void *b)
{
	return str_compare((*(struct memory_entry *const *)a)->key, (*(struct memory_entry *const *)b)->key);
}

/* Those of the state that was replayed: what the database has for it is another question. */
static bool each_content(struct audit_run *a, struct error *err)
{
	struct memory_entry *e, **found;
	size_t n = 0;
	bool ok = true;
	for (size_t at = 0; (e = chain_memory_next(&a->memory, &at));)
		n += str_starts(e->key, "content:");
	found = xcalloc(n + 1, sizeof(struct memory_entry *));
	n = 0;
	for (size_t at = 0; (e = chain_memory_next(&a->memory, &at));)
		if (str_starts(e->key, "content:"))
			found[n++] = e;
	qsort(found, n, sizeof(struct memory_entry *), by_key);
	for (size_t i = 0; ok && i < n; i++) {
		struct content_ref ref;
		/* No transaction makes one of another form: where a producer's recorded changes have it, that is a finding already. */
		if (!content_ref_read(found[i]->key, found[i]->value, &ref))
			continue;
		a->result->references++;
		ok = a->o->content(a->o->ctx, found[i]->key, &ref, err);
	}
	free(found);
	return ok;
}

bool ledger_audit(struct db_conn *c, const struct audit_options *o, struct arena *arena, struct audit_result *out, struct error *err)
{
	struct audit_run a = {.o = o, .c = c, .result = out};
	struct genesis genesis;
	int64_t newest;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	memset(out, 0, sizeof *out);
	arena_init(&a.kept);
	if (db_begin(c, DB_TXN_SNAPSHOT, err) != DB_OK)
		return false;
	if (!prepare(&a, &genesis, &newest, err)) {
		db_rollback(c);
		arena_free(&a.kept);
		return false;
	}
	chain_init(&a.chain, &genesis);
	pthread_mutex_init(&a.lock, NULL);
	random_bytes(a.salt, sizeof a.salt);
	struct signatures *signatures = signatures_start(o->jobs ? o->jobs : cores > 0 ? (unsigned)cores : 1, note_wrong, &a, err);
	struct audit_reader *reader = signatures ? audit_reader_start(c, &a.chain, err) : NULL;
	bool ok = reader && replay(&a, reader, signatures, newest, err);
	if (reader)
		audit_reader_stop(reader, &a.block_rows, &a.tx_rows);
	if (ok) {
		signatures_wait(signatures);
		check_kept(&a, true);
		tell_wrong(&a);
		check_supply(&a);
		if (o->to < 0 || o->to == newest) {
			ok = audit_tables(&a, err);
			out->database = ok && !a.broken_off;
		}
		conclude(&a, signatures, newest, arena);
	}
	signatures_stop(signatures);
	db_rollback(c); /* what asks others, and may take long, keeps no snapshot */
	ok = ok && (!o->content || each_content(&a, err));
	free(a.wrong);
	free(a.steps);
	free(a.runs);
	chain_memory_free(&a.memory);
	chain_free(&a.chain);
	pthread_mutex_destroy(&a.lock);
	arena_free(&a.kept);
	return ok;
}
