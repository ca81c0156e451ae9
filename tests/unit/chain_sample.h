/*
 * The published chain (tests/vectors/chain.jsonl), its states, and proofs about it. States are folded from the changes its blocks list, trees are
 * made from scratch.
 */
#ifndef TANA_TESTS_CHAIN_SAMPLE_H
#define TANA_TESTS_CHAIN_SAMPLE_H

#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/canonical_read.h"
#include "crypto/merkle_list.h"
#include "crypto/merkle_map.h"
#include "wire/genesis_state.h"
#include "wire/proof.h"

enum { SAMPLE_BLOCKS_MAX = 64, SAMPLE_ENTRIES_MAX = 1024 };

struct chain_sample {
	struct arena arena;
	struct str text;   /* the file */
	struct str head;   /* its first line */
	struct genesis genesis;
	struct str lines[SAMPLE_BLOCKS_MAX];
	struct block blocks[SAMPLE_BLOCKS_MAX];
	struct block_header headers[SAMPLE_BLOCKS_MAX];
	size_t count;
};

static inline struct str sample_next_line(struct str *rest)
{
	const char *end = memchr(rest->p, '\n', rest->n);
	invariant(end);
	struct str line = str_of(rest->p, (size_t)(end - rest->p));
	*rest = str_of(end + 1, rest->n - line.n - 1);
	return line;
}

static inline void chain_sample_load(struct chain_sample *s)
{
	const char *dir = getenv("TANA_VECTORS");
	struct buf file = {0};
	struct str rest, genesis;
	struct error err;
	*s = (struct chain_sample){.count = 0};
	arena_init(&s->arena);
	const char *path = arena_printf(&s->arena, "%s/chain.jsonl", dir ? dir : "tests/vectors").p;
	if (!file_read(path, 1024 * 1024, &file, &err))
		fatal("%s", err.message);
	s->text = rest = arena_copy(&s->arena, buf_str(&file));
	buf_free(&file);
	s->head = sample_next_line(&rest);
	if (!chain_file_head_read(s->head, &genesis, &err) || !genesis_read(genesis, &s->arena, &s->genesis, &err))
		fatal("%s", err.message);
	while (rest.n > 0) {
		struct block *b = &s->blocks[s->count];
		s->lines[s->count] = sample_next_line(&rest);
		if (!block_line_read(s->lines[s->count], &s->arena, b, &err) || !block_header_read(b->header, &s->headers[s->count], &err))
			fatal("%s", err.message);
		s->count++;
		invariant(s->count < SAMPLE_BLOCKS_MAX);
	}
}

static inline void chain_sample_free(struct chain_sample *s)
{
	arena_free(&s->arena);
}

/* ---- States ---- */

struct sample_state {
	struct genesis_entry entries[SAMPLE_ENTRIES_MAX];
	size_t count;
};

static inline void sample_set(struct sample_state *state, struct str key, struct str value)
{
	size_t i = 0;
	while (i < state->count && !str_equal(state->entries[i].key, key))
		i++;
	if (str_is(value, "null")) {
		invariant(i < state->count);
		state->entries[i] = state->entries[--state->count];
		return;
	}
	invariant(i < SAMPLE_ENTRIES_MAX);
	state->entries[i] = (struct genesis_entry){key, value};
	if (i == state->count)
		state->count++;
}

/* The state after the block at this height. */
static inline void sample_state_at(struct chain_sample *s, size_t height, struct sample_state *out)
{
	struct genesis_entry *first;
	genesis_state(&s->genesis, &s->arena, &first, &out->count);
	memcpy(out->entries, first, out->count * sizeof *first);
	for (size_t h = 1; h <= height; h++) {
		struct canonical_cursor c;
		struct str item, after, key, text;
		bool list = canonical_enter_array(s->blocks[h].changes, &c);
		invariant(list);
		while (canonical_next_item(&c, &item)) {
			bool ok = canonical_find(item, "after", &after) && canonical_find(item, "key", &key) &&
				  canonical_read_text(key, &s->arena, &text);
			invariant(ok);
			sample_set(out, text, after);
		}
	}
}

/* ---- Proofs ---- */

static inline struct str sample_hash_text(struct arena *a, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return arena_copy(a, str_from(text));
}

static inline struct json_list sample_hash_texts(struct arena *a, const struct hash *h, size_t n)
{
	struct str *texts = arena_zalloc(a, n, sizeof *texts);
	for (size_t i = 0; i < n; i++)
		texts[i] = sample_hash_text(a, &h[i]);
	return (struct json_list){texts, n};
}

static inline struct proof_state *sample_prove_state(struct chain_sample *s, size_t height, struct str key)
{
	struct sample_state *state = arena_alloc(&s->arena, sizeof *state);
	struct merkle_map_proof *p = arena_zalloc(&s->arena, 1, sizeof *p);
	struct proof_state *out = arena_zalloc(&s->arena, 1, sizeof *out);
	struct hash path;
	sample_state_at(s, height, state);
	struct merkle_map_entry *leaves = arena_zalloc(&s->arena, state->count, sizeof *leaves);
	*out = (struct proof_state){.key = key, .value = STR_NONE};
	for (size_t i = 0; i < state->count; i++) {
		merkle_map_entry(&leaves[i], state->entries[i].key, state->entries[i].value);
		if (str_equal(state->entries[i].key, key))
			out->value = state->entries[i].value;
	}
	merkle_map_sort(leaves, state->count);
	sha256(&path, key.p, key.n);
	bool present = merkle_map_prove(leaves, state->count, &path, p);
	invariant(present == str_present(out->value));
	out->siblings = sample_hash_texts(&s->arena, p->siblings, p->count);
	if (p->has_other) {
		out->other = arena_zalloc(&s->arena, 1, sizeof *out->other);
		*out->other = (struct proof_other){sample_hash_text(&s->arena, &p->other.path), sample_hash_text(&s->arena, &p->other.value_hash)};
	}
	return out;
}

static inline struct str sample_signature(struct chain_sample *s, const struct ed25519_signature *sig)
{
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(sig, text);
	return arena_copy(&s->arena, str_from(text));
}

/* The step of a block that changed the set of validators; false: it did not. */
static inline bool sample_step(struct chain_sample *s, size_t height, struct proof_step *out)
{
	struct sample_state *state = arena_alloc(&s->arena, sizeof *state);
	struct ledger_validator *set = arena_zalloc(&s->arena, SAMPLE_ENTRIES_MAX, sizeof *set);
	size_t n = 0;
	if (!memmem(s->blocks[height].changes.p, s->blocks[height].changes.n, "\"validator:", 11))
		return false;
	sample_state_at(s, height, state);
	for (size_t i = 0; i < state->count; i++) {
		struct validator v;
		if (!str_starts(state->entries[i].key, "validator:"))
			continue;
		bool read = validator_read(state->entries[i].value, &v);
		invariant(read);
		size_t j = n++;
		for (; j > 0 && str_compare(set[j - 1].id, v.id) > 0; j--)
			set[j] = set[j - 1];
		set[j] = (struct ledger_validator){v.id, v.public_key, v.power};
	}
	struct proof_state *proofs = arena_zalloc(&s->arena, n, sizeof *proofs);
	for (size_t i = 0; i < n; i++)
		proofs[i] = *sample_prove_state(s, height, arena_printf(&s->arena, "validator:%.*s", STR_ARG(set[i].id)));
	*out = (struct proof_step){.header = s->blocks[height].header, .proofs = {proofs, n},
				   .signature = sample_signature(s, &s->blocks[height].signature), .validators = {set, n}};
	return true;
}

/* A proof about the block of this height, but for what it shows. */
static inline struct proof sample_proof(struct chain_sample *s, size_t height)
{
	struct proof_step *steps = arena_zalloc(&s->arena, SAMPLE_BLOCKS_MAX, sizeof *steps);
	struct proof p = {.format = STR_LIT(PROOF_FORMAT), .header = s->blocks[height].header, .signature = STR_NONE, .validator_steps = {steps, 0}};
	for (size_t h = 1; h < height; h++)
		if (sample_step(s, h, &steps[p.validator_steps.count]))
			p.validator_steps.count++;
	if (height > 0)
		p.signature = sample_signature(s, &s->blocks[height].signature);
	return p;
}

static inline struct proof sample_proof_state(struct chain_sample *s, size_t height, struct str key)
{
	struct proof p = sample_proof(s, height);
	p.state = sample_prove_state(s, height, key);
	return p;
}


static inline bool sample_read_subtree(void *ctx, unsigned level, uint64_t position, struct hash *out)
{
	const struct block *b = ctx;
	struct hash leaves[64];
	size_t n = (size_t)1 << level;
	invariant(n <= 64);
	for (size_t i = 0; i < n; i++)
		block_tx_leaf(&leaves[i], &b->txs[(position << level) + i]);
	merkle_root(out, leaves, n);
	return true;
}

static inline struct proof sample_proof_tx(struct chain_sample *s, size_t height, size_t index)
{
	struct proof p = sample_proof(s, height);
	struct proof_tx *t = arena_zalloc(&s->arena, 1, sizeof *t);
	struct block *b = &s->blocks[height];
	struct hash path[MERKLE_PATH_MAX];
	size_t count;
	bool made = merkle_inclusion_prove(index, b->tx_count, sample_read_subtree, b, path, &count);
	invariant(made);
	*t = (struct proof_tx){.index = (int64_t)index, .message = b->txs[index].message, .path = sample_hash_texts(&s->arena, path, count),
			       .signature = sample_signature(s, &b->txs[index].signature)};
	p.transaction = t;
	return p;
}

#endif
