#include "chain.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypto/canonical_read.h"
#include "crypto/merkle_list.h"
#include "wire/genesis_state.h"

static void set_validators(struct chain *c, const struct validator *v, size_t count)
{
	struct arena arena;
	arena_init(&arena);
	struct validator *copy = arena_zalloc(&arena, count, sizeof *copy);
	for (size_t i = 0; i < count; i++)
		copy[i] = (struct validator){arena_copy(&arena, v[i].id), arena_copy(&arena, v[i].public_key), v[i].power};
	arena_free(&c->validator_arena); /* after the copy: `v` may lie in it */
	c->validator_arena = arena;
	c->rules.validators = copy;
	c->rules.validator_count = count;
	validators_hash(&c->validators_hash, copy, count);
}

void chain_init(struct chain *c, const struct genesis *g)
{
	struct error err;
	*c = (struct chain){.height = -1};
	arena_init(&c->arena);
	arena_init(&c->validator_arena);
	bool read = genesis_read(g->text, &c->arena, &c->genesis, &err); /* a copy of its own */
	invariant(read);
	c->rules = (struct chain_rules){.chain_id = c->genesis.chain_id, .params = *c->genesis.params, .verifier = chain_verifier_strict};
	struct validator *v;
	size_t count;
	genesis_validators(&c->genesis, &c->arena, &v, &count);
	set_validators(c, v, count);
	c->tree = merkle_tree_new();
}

void chain_free(struct chain *c)
{
	merkle_tree_free(c->tree);
	c->tree = NULL;
	arena_free(&c->validator_arena);
	arena_free(&c->arena);
}

void chain_stand_at(struct chain *c, const struct block_header *h, const struct hash *hash, const struct validator *v, size_t count)
{
	c->height = h->height;
	c->timestamp = h->timestamp;
	c->tip = *hash;
	c->state_root = h->state_root;
	set_validators(c, v, count);
}

const struct validator *chain_validator(const struct chain *c, struct str id)
{
	for (size_t i = 0; i < c->rules.validator_count; i++)
		if (str_equal(c->rules.validators[i].id, id))
			return &c->rules.validators[i];
	return NULL;
}

const char *chain_test_name(enum chain_test t)
{
	static const char *const names[TEST_COUNT] = {
		[TEST_HASH] = "hashValid",
		[TEST_LINK] = "linkValid",
		[TEST_TX_ROOT] = "txRootValid",
		[TEST_SIGNATURES] = "signaturesValid",
		[TEST_PRODUCER_SIGNATURE] = "producerSignatureValid",
		[TEST_TRANSACTIONS] = "transactionsValid",
		[TEST_STATE_CHANGES] = "stateChangesValid",
		[TEST_STATE_ROOT] = "stateRootValid",
		[TEST_DATABASE] = "databaseMatches",
	};
	return names[t];
}

/* ---- What the changes of a block give ---- */

/* Collects the changes: their text into w->block.changes, their root into *root; moves the tree. */
static void settle(struct chain *c, struct chain_work *w, struct hash *changes_root)
{
	struct buf text = {0};
	w->changes = chain_view_changes(&w->view, &w->arena);
	size_t n = w->changes.count;
	struct merkle_tree_change *tree = arena_zalloc(&w->arena, n, sizeof *tree);
	struct hash *leaves = arena_zalloc(&w->arena, n, sizeof *leaves);
	w->undo = arena_zalloc(&w->arena, n, sizeof *w->undo);
	buf_putc(&text, '[');
	for (size_t i = 0; i < n; i++) {
		const struct chain_entry *e = w->changes.entries[i];
		if (i > 0)
			buf_putc(&text, ',');
		size_t at = text.len;
		block_change_write(&text, e->key, e->before, e->now);
		merkle_leaf(&leaves[i], text.data + at, text.len - at);
		sha256(&tree[i].path, e->key.p, e->key.n);
		tree[i].present = str_present(e->now);
		if (tree[i].present)
			sha256(&tree[i].value_hash, e->now.p, e->now.n);
	}
	buf_putc(&text, ']');
	merkle_root(changes_root, leaves, n);
	merkle_tree_apply(c->tree, tree, n, w->undo);
	w->block.changes = arena_copy(&w->arena, buf_str(&text));
	buf_free(&text);
}

static void tx_root(struct hash *out, const struct block *b, struct arena *arena)
{
	struct hash *leaves = arena_zalloc(arena, b->tx_count, sizeof *leaves);
	for (size_t i = 0; i < b->tx_count; i++)
		block_tx_leaf(&leaves[i], &b->txs[i]);
	merkle_root(out, leaves, b->tx_count);
}

static void work_begin(struct chain_work *w, struct chain_source source)
{
	memset(w, 0, sizeof *w);
	arena_init(&w->arena);
	chain_view_init(&w->view, source);
}

void chain_work_free(struct chain_work *w)
{
	chain_view_free(&w->view);
	arena_free(&w->arena);
}

/* ---- Making ---- */

static bool nothing(void *ctx, struct str key, struct str *value, struct error *err)
{
	(void)ctx;
	(void)key;
	(void)err;
	*value = STR_NONE;
	return true;
}

/* The header over what was settled, and its hash. */
static void seal(struct chain *c, struct chain_work *w)
{
	struct buf text = {0};
	merkle_tree_root(c->tree, &w->header.state_root);
	tx_root(&w->header.tx_root, &w->block, &w->arena);
	w->header.tx_count = (int64_t)w->block.tx_count;
	w->header.validators_hash = c->validators_hash;
	block_header_write(&text, &w->header);
	w->block.header = arena_copy(&w->arena, buf_str(&text));
	sha256(&w->block.hash, text.data, text.len);
	buf_free(&text);
}

void chain_make_genesis(struct chain *c, struct chain_work *w)
{
	invariant(c->height == -1);
	work_begin(w, (struct chain_source){nothing, NULL});
	chain_apply_genesis(&w->view, &c->genesis);
	w->header = (struct block_header){
		.chain_id = c->genesis.chain_id,
		.producer = STR_LIT(GENESIS_PRODUCER),
		.timestamp = c->genesis.timestamp,
		.genesis_hash = c->genesis.hash,
	};
	settle(c, w, &w->header.changes_root);
	/* What block 0 changes is told by the genesis, and its list is empty. */
	w->block.changes = STR_LIT("[]");
	merkle_root(&w->header.changes_root, NULL, 0);
	seal(c, w);
}

bool chain_make(struct chain *c, struct chain_source source, struct chain_offer *offers, size_t count, int64_t now, struct str producer,
		const struct ed25519_secret *key, struct chain_work *w, struct error *err)
{
	work_begin(w, source);
	w->header = (struct block_header){
		.chain_id = c->genesis.chain_id,
		.producer = producer,
		.height = c->height + 1,
		.previous_hash = c->tip,
		.timestamp = now > c->timestamp ? now : c->timestamp + 1,
	};
	w->block.txs = arena_zalloc(&w->arena, count, sizeof *w->block.txs);
	w->txs = arena_zalloc(&w->arena, count, sizeof *w->txs);
	int64_t bytes = 0;
	bool full = false;
	for (size_t i = 0; i < count; i++) {
		struct chain_offer *o = &offers[i];
		int64_t size = (int64_t)o->tx.message.n + ED25519_SIGNATURE_SIZE;
		/* What comes behind one that does not fit waits too: it may need it. */
		full = full || (int64_t)w->block.tx_count >= c->rules.params.max_block_transactions || bytes + size > c->rules.params.max_block_bytes;
		o->left = full;
		if (full)
			continue;
		c->rules.at = (struct chain_place){w->header.height, (int64_t)w->block.tx_count};
		struct error why;
		o->verdict = chain_apply(&c->rules, &w->view, &o->tx, &o->signature, w->header.timestamp, &why);
		if (o->verdict == CHAIN_FAILED) {
			*err = why;
			chain_work_free(w);
			return false;
		}
		if (o->verdict == CHAIN_REFUSED) {
			struct error *kept = arena_alloc(&w->arena, sizeof *kept);
			*kept = why;
			o->error = kept;
			continue;
		}
		w->txs[w->block.tx_count] = o->tx;
		w->block.txs[w->block.tx_count++] = (struct block_tx){o->tx.message, o->signature};
		bytes += size;
	}
	settle(c, w, &w->header.changes_root);
	seal(c, w);
	w->block.has_signature = true;
	ed25519_sign_message(&w->block.signature, key, w->block.header);
	return true;
}

/* ---- After it ---- */

bool chain_validators_after(const struct chain *c, const struct chain_work *w, struct arena *arena, struct validator **out, size_t *count)
{
	size_t at = 0, room = c->rules.validator_count, n = 0;
	for (size_t i = 0; i < w->changes.count; i++)
		room += str_starts(w->changes.entries[i]->key, "validator:");
	if (room == c->rules.validator_count || w->header.height == 0)
		return false;
	struct validator *v = arena_zalloc(arena, room, sizeof *v);
	for (size_t i = 0; i < w->changes.count; i++) {
		const struct chain_entry *e = w->changes.entries[i];
		if (!str_starts(e->key, "validator:"))
			continue;
		struct str id = str_of(e->key.p + strlen("validator:"), e->key.n - strlen("validator:"));
		while (at < c->rules.validator_count && str_compare(c->rules.validators[at].id, id) < 0)
			v[n++] = c->rules.validators[at++];
		if (at < c->rules.validator_count && str_equal(c->rules.validators[at].id, id))
			at++;
		if (str_present(e->now)) {
			bool read = validator_read(e->now, &v[n++]);
			invariant(read);
		}
	}
	while (at < c->rules.validator_count)
		v[n++] = c->rules.validators[at++];
	*out = v;
	*count = n;
	return true;
}

void chain_accept(struct chain *c, struct chain_work *w)
{
	c->height = w->header.height;
	c->timestamp = w->header.timestamp;
	c->tip = w->block.hash;
	merkle_tree_root(c->tree, &c->state_root);
	struct validator *after;
	size_t count;
	if (chain_validators_after(c, w, &w->arena, &after, &count))
		set_validators(c, after, count);
}

void chain_abandon(struct chain *c, struct chain_work *w)
{
	merkle_tree_apply(c->tree, w->undo, w->changes.count, NULL);
	chain_work_free(w);
}

/* ---- Checking ---- */

void chain_decode(const struct chain *c, const struct block *b, struct arena *arena, struct chain_decoded *out)
{
	*out = (struct chain_decoded){.block = b};
	out->header_bad = !block_header_read(b->header, &out->header, &out->header_error);
	sha256(&out->header_hash, b->header.p, b->header.n);
	tx_root(&out->tx_root, b, arena);
	out->txs = arena_zalloc(arena, b->tx_count, sizeof *out->txs);
	for (size_t i = 0; i < b->tx_count; i++) {
		struct error err;
		out->bytes += (int64_t)b->txs[i].message.n + ED25519_SIGNATURE_SIZE;
		if (tx_parse(b->txs[i].message, c->rules.params.max_transaction_bytes, arena, &out->txs[i], &err))
			continue;
		out->txs[i] = (struct tx){.count = 0}; /* not half of it: it is passed over */
		if (out->tx_bad)
			continue;
		out->tx_bad = true;
		out->tx_bad_index = i;
		out->tx_error = err;
	}
}

/* One check on its way: where findings go, and whether there was one. */
struct checking {
	struct chain *c;
	const struct chain_decoded *d;
	struct chain_work *w;
	const struct chain_report *report;
	bool clean;
};

static void find(struct checking *k, enum chain_test test, int64_t index, struct str where, struct str expected, struct str found, const char *what)
{
	struct chain_finding f = {test, {k->w->header.height, index}, where, expected, found, what};
	k->clean = false;
	k->report->found(k->report->ctx, &f);
}

static struct str hash_in(struct checking *k, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return arena_copy(&k->w->arena, str_of(text, HASH_TEXT_LEN));
}

static void expect_hash(struct checking *k, enum chain_test test, const struct hash *expected, const struct hash *found, const char *what)
{
	if (!hash_equal(expected, found))
		find(k, test, CHAIN_PRODUCER, STR_NONE, hash_in(k, expected), hash_in(k, found), what);
}

static void expect_int(struct checking *k, enum chain_test test, bool good, int64_t expected, int64_t found, const char *what)
{
	if (good)
		return;
	struct arena *a = &k->w->arena;
	find(k, test, CHAIN_PRODUCER, STR_NONE, arena_printf(a, "%lld", (long long)expected), arena_printf(a, "%lld", (long long)found), what);
}

static void check_link(struct checking *k)
{
	const struct chain *c = k->c;
	const struct block_header *h = &k->d->header;
	if (!str_equal(h->chain_id, c->genesis.chain_id))
		find(k, TEST_LINK, CHAIN_PRODUCER, STR_NONE, c->genesis.chain_id, h->chain_id, "the block is of another chain");
	expect_int(k, TEST_LINK, h->height == c->height + 1, c->height + 1, h->height, "the height is not the next one");
	expect_hash(k, TEST_LINK, &c->tip, &h->previous_hash, "the previous block's hash is another");
	expect_int(k, TEST_LINK, h->timestamp > c->timestamp, c->timestamp + 1, h->timestamp, "the time is not after the previous block's");
}

static void check_producer(struct checking *k)
{
	const struct block_header *h = &k->d->header;
	const struct validator *v = chain_validator(k->c, h->producer);
	struct ed25519_public key;
	struct error why;
	expect_hash(k, TEST_PRODUCER_SIGNATURE, &k->c->validators_hash, &h->validators_hash, "the validators are others");
	if (!v) {
		find(k, TEST_PRODUCER_SIGNATURE, CHAIN_PRODUCER, STR_NONE, STR_NONE, h->producer, "the producer is no validator at this height");
		return;
	}
	k->c->rules.at = (struct chain_place){h->height, CHAIN_PRODUCER};
	const struct chain_verifier *verifier = &k->c->rules.verifier;
	if (!k->d->block->has_signature || !ed25519_public_from_text(v->public_key, KEY_WRITTEN, &key, &why) ||
	    !verifier->check(verifier->ctx, k->c->rules.at, &k->d->block->signature, &key, &k->d->header_hash))
		find(k, TEST_PRODUCER_SIGNATURE, CHAIN_PRODUCER, STR_NONE, v->public_key, STR_NONE, "the signature is not the producer's");
}

static void check_limits(struct checking *k)
{
	const struct genesis_params *p = &k->c->rules.params;
	int64_t count = (int64_t)k->d->block->tx_count;
	expect_int(k, TEST_TRANSACTIONS, count <= p->max_block_transactions, p->max_block_transactions, count, "the block has too many transactions");
	expect_int(k, TEST_TRANSACTIONS, k->d->bytes <= p->max_block_bytes, p->max_block_bytes, k->d->bytes, "the block has too many bytes");
	if (k->d->tx_bad)
		find(k, TEST_TRANSACTIONS, (int64_t)k->d->tx_bad_index, STR_NONE, STR_NONE, str_from(error_code_text(k->d->tx_error.code)),
		     k->d->tx_error.message);
}

static bool apply_all(struct checking *k, struct error *err)
{
	const struct chain_decoded *d = k->d;
	for (size_t i = 0; i < d->block->tx_count; i++) {
		struct error why;
		if (d->txs[i].count == 0)
			continue; /* it has no form */
		k->c->rules.at = (struct chain_place){k->w->header.height, (int64_t)i};
		switch (chain_apply(&k->c->rules, &k->w->view, &d->txs[i], &d->block->txs[i].signature, k->w->header.timestamp, &why)) {
		case CHAIN_APPLIED:
			break;
		case CHAIN_REFUSED:
			find(k, why.code == ERR_BAD_SIGNATURE || why.code == ERR_BAD_PROOF ? TEST_SIGNATURES : TEST_TRANSACTIONS, (int64_t)i, STR_NONE,
			     STR_NONE, str_from(error_code_text(why.code)), why.message);
			break;
		case CHAIN_FAILED:
			*err = why;
			return false;
		}
	}
	return true;
}

/* Recorded changes beside recomputed ones: names each key that differs. */
static void compare_changes(struct checking *k, struct str recorded)
{
	struct canonical_cursor a, b;
	struct str x = STR_NONE, y = STR_NONE, key_x, key_y;
	if (!canonical_check(recorded) || !canonical_enter_array(recorded, &b)) {
		find(k, TEST_STATE_CHANGES, CHAIN_PRODUCER, STR_NONE, STR_NONE, STR_NONE, "the recorded state changes are no canonical list");
		return;
	}
	(void)!canonical_enter_array(k->w->block.changes, &a);
	bool more_x = canonical_next_item(&a, &x), more_y = canonical_next_item(&b, &y);
	while (more_x || more_y) {
		key_x = key_y = STR_NONE;
		if (more_x)
			(void)!canonical_find(x, "key", &key_x);
		if (more_y)
			(void)!canonical_find(y, "key", &key_y);
		int order = !more_x ? 1 : !more_y ? -1 : str_compare(key_x, key_y);
		if (order == 0 ? !str_equal(x, y) : true)
			find(k, TEST_STATE_CHANGES, CHAIN_PRODUCER, order <= 0 ? key_x : key_y, order <= 0 ? x : STR_NONE, order >= 0 ? y : STR_NONE,
			     "a recorded state change is not what the transactions give");
		if (order <= 0)
			more_x = canonical_next_item(&a, &x);
		if (order >= 0)
			more_y = canonical_next_item(&b, &y);
	}
}

bool chain_check(struct chain *c, struct chain_source source, const struct chain_decoded *d, const struct chain_report *report, struct chain_work *w,
		 bool *clean, struct error *err)
{
	work_begin(w, source);
	w->header = d->header;
	w->header.height = c->height + 1; /* whatever it says */
	w->block = *d->block;
	w->txs = d->txs;
	struct checking k = {.c = c, .d = d, .w = w, .report = report, .clean = true};
	if (d->header_bad) {
		/* It is judged as what it should be: the next block, at the earliest time. */
		w->header = (struct block_header){.height = c->height + 1, .timestamp = c->timestamp + 1};
		find(&k, TEST_HASH, CHAIN_PRODUCER, STR_NONE, STR_NONE, STR_NONE, d->header_error.message);
	}
	expect_hash(&k, TEST_HASH, &d->header_hash, &d->block->hash, "the block's hash is not that of its header");
	if (!d->header_bad) {
		check_link(&k);
		check_producer(&k);
		expect_int(&k, TEST_TX_ROOT, d->header.tx_count == (int64_t)d->block->tx_count, d->header.tx_count, (int64_t)d->block->tx_count,
			   "the block has another number of transactions than its header says");
		expect_hash(&k, TEST_TX_ROOT, &d->header.tx_root, &d->tx_root, "the transactions are not those of the header");
	}
	check_limits(&k);
	if (!apply_all(&k, err)) {
		chain_work_free(w);
		return false;
	}
	struct hash changes_root, state_root;
	struct str recorded = d->block->changes;
	settle(c, w, &changes_root);
	merkle_tree_root(c->tree, &state_root);
	if (!str_equal(recorded, w->block.changes))
		compare_changes(&k, recorded);
	if (!d->header_bad) {
		expect_hash(&k, TEST_STATE_CHANGES, &changes_root, &d->header.changes_root, "the header commits to other state changes");
		expect_hash(&k, TEST_STATE_ROOT, &state_root, &d->header.state_root, "the header commits to another state");
	}
	*clean = k.clean;
	return true;
}
