/*
 * The map's tree kept up to date, held against the one from scratch (crypto/merkle_map.h, which has tests of its own): random histories over
 * paths that share few bits or nearly all, batches taken back, trees built at once, prefixes, proofs; and the pairwise SHA-256 below it all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "crypto/merkle_tree.h"
#include "crypto/sha256_pairs.h"
#include "dies.h"
#include "vectors.h"

enum { PATHS = 90, DEPTH_MAX = MERKLE_TREE_PREFIX_DEPTH_MAX };

/* ---- what should be: an array of paths, some with a value ---- */

struct model {
	struct merkle_map_entry all[PATHS];
	bool present[PATHS];
};

static size_t model_entries(const struct model *m, struct merkle_map_entry *sorted)
{
	size_t n = 0;
	for (size_t i = 0; i < PATHS; i++)
		if (m->present[i])
			sorted[n++] = m->all[i];
	merkle_map_sort(sorted, n);
	return n;
}

/* A third are random, a third share their first bits with another, a third all but one late bit. */
static void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < PATHS; i++) {
		struct hash *path = &m->all[i].path;
		random_bytes(path->b, sizeof(path->b));
		if (i >= PATHS / 3) {
			const struct hash *like = &m->all[random_below(i)].path;
			size_t bit = i < PATHS / 3 * 2 ? random_below(40) : MERKLE_MAP_DEPTH - 1 - random_below(30);
			memcpy(path->b, like->b, bit / 8);
			if (i % 2) /* and all that follows */
				*path = *like;
			path->b[bit / 8] = (uint8_t)(like->b[bit / 8] ^ (0x80 >> bit % 8));
		}
		for (size_t j = 0; j < i; j++)
			if (hash_equal(&m->all[j].path, path)) {
				i--;
				break;
			}
	}
}

static void assert_same_proof(const struct merkle_map_proof *a, const struct merkle_map_proof *b)
{
	assert_int_equal(a->count, b->count);
	assert_memory_equal(a->siblings, b->siblings, a->count * sizeof(a->siblings[0]));
	assert_int_equal(a->has_other, b->has_other);
	assert_memory_equal(&a->other, &b->other, sizeof(a->other));
}

static void assert_prefixes(const struct merkle_tree *t, const struct merkle_map_entry *sorted, size_t n, unsigned depth)
{
	struct merkle_tree_prefix *all = calloc((size_t)1 << depth, sizeof(*all)), one;
	struct hash root, expected;
	merkle_tree_prefix_hashes(t, depth, all);
	for (size_t i = 0, from = 0; i >> depth == 0; i++) {
		size_t to = from;
		while (to < n && merkle_tree_prefix_index(&sorted[to].path, depth) == i)
			to++;
		merkle_tree_prefix_of(sorted + from, to - from, depth, &one);
		assert_true(hash_equal(&one.hash, &all[i].hash));
		assert_int_equal(one.kind, all[i].kind);
		from = to;
	}
	merkle_tree_root(t, &root);
	assert_true(merkle_tree_root_from_prefixes(all, depth, &expected));
	assert_true(hash_equal(&root, &expected));
	free(all);
}

/*
 * What a tree says of these entries and of absent ones, `others`. Of every path, or of a few: proofs from scratch take their time where paths
 * share nearly all bits.
 */
static void assert_tree(const struct merkle_tree *t, const struct merkle_map_entry *sorted, size_t n, const struct hash *others,
			size_t other_count, size_t step)
{
	static struct merkle_map_proof made, expected_proof;
	struct hash root, expected, value;
	merkle_map_root(&expected, sorted, n);
	merkle_tree_root(t, &root);
	assert_true(hash_equal(&root, &expected));
	assert_int_equal(merkle_tree_count(t), n);
	for (size_t i = random_below(step); i < n; i += step) {
		assert_true(merkle_tree_find(t, &sorted[i].path, &value));
		assert_true(hash_equal(&value, &sorted[i].value_hash));
		assert_true(merkle_tree_prove(t, &sorted[i].path, &made));
		assert_true(merkle_map_prove(sorted, n, &sorted[i].path, &expected_proof));
		assert_same_proof(&made, &expected_proof);
		assert_true(merkle_map_verify_present(&root, &sorted[i], &made));
	}
	for (size_t i = random_below(step); i < other_count; i += step) {
		assert_false(merkle_tree_find(t, &others[i], &value));
		assert_false(merkle_tree_prove(t, &others[i], &made));
		assert_false(merkle_map_prove(sorted, n, &others[i], &expected_proof));
		assert_same_proof(&made, &expected_proof);
		assert_true(merkle_map_verify_absent(&root, &others[i], &made));
	}
}

static void assert_model(const struct merkle_tree *t, const struct model *m, size_t step)
{
	struct merkle_map_entry sorted[PATHS];
	struct hash absent[PATHS];
	size_t n = model_entries(m, sorted), absent_count = 0;
	for (size_t i = 0; i < PATHS; i++)
		if (!m->present[i])
			absent[absent_count++] = m->all[i].path;
	assert_tree(t, sorted, n, absent, absent_count, step);
}

/* A batch over distinct paths in random order: set anew, set to what is there, deleted, deleted though absent. Applies it to the model. */
static size_t random_batch(struct model *m, struct merkle_tree_change *out, unsigned deletions_in_8)
{
	size_t order[PATHS], n = random_below(4) == 0 ? random_below(PATHS + 1) : random_below(6);
	for (size_t i = 0; i < PATHS; i++) {
		size_t j = random_below(i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	for (size_t k = 0; k < n; k++) {
		size_t i = order[k];
		struct merkle_tree_change *c = &out[k];
		*c = (struct merkle_tree_change){.path = m->all[i].path, .value_hash = m->all[i].value_hash};
		c->present = random_below(8) >= deletions_in_8;
		if (c->present && random_below(4) > 0)
			random_bytes(c->value_hash.b, sizeof(c->value_hash.b));
		m->present[i] = c->present;
		m->all[i].value_hash = c->value_hash;
	}
	return n;
}

static void test_histories(void **state)
{
	(void)state;
	for (int history = 0; history < 8; history++) {
		struct model m, before;
		struct merkle_tree_change batch[PATHS], undo[PATHS], redo[PATHS];
		struct merkle_tree *t = merkle_tree_new();
		model_init(&m);
		assert_model(t, &m, 20);
		for (int step = 0; step < 40; step++) {
			before = m;
			size_t n = random_batch(&m, batch, step % 20 < 13 ? 2 : 7);
			bool back = random_below(2) == 0;
			merkle_tree_apply(t, batch, n, back ? undo : NULL);
			assert_model(t, &m, 20);
			if (!back)
				continue;
			merkle_tree_apply(t, undo, n, redo);
			assert_model(t, &before, 20);
			if (random_below(2) == 0) {
				m = before;
				continue;
			}
			merkle_tree_apply(t, redo, n, NULL);
			assert_model(t, &m, 20);
		}
		struct merkle_map_entry sorted[PATHS];
		size_t n = model_entries(&m, sorted);
		assert_model(t, &m, 1);
		for (unsigned depth = 0; depth <= DEPTH_MAX; depth += depth < 6 ? 1 : 5)
			assert_prefixes(t, sorted, n, depth);
		merkle_tree_free(t);
	}
}

static void test_vectors(void **state)
{
	(void)state;
	json_t *all = vectors_load("merkle_map.json"), *v, *value;
	size_t i;
	json_array_foreach(all, i, v)
	{
		json_t *entries = json_object_get(v, "entries");
		size_t n = json_object_size(entries), k = 0;
		struct merkle_tree_change *c = calloc(n + 1, sizeof(*c));
		struct merkle_map_entry *e = calloc(n + 1, sizeof(*e));
		struct merkle_tree *one_by_one = merkle_tree_new(), *at_once = merkle_tree_new(), *built = merkle_tree_new();
		struct hash root, expected;
		const char *key;
		json_object_foreach(entries, key, value)
		{
			merkle_map_entry(&e[k], str_from(key), str_from(json_string_value(value)));
			c[k] = (struct merkle_tree_change){.path = e[k].path, .value_hash = e[k].value_hash, .present = true};
			merkle_tree_apply(one_by_one, &c[k++], 1, NULL);
		}
		merkle_tree_apply(at_once, c, n, NULL);
		merkle_tree_load(built, e, n);
		merkle_tree_build(built, 2);
		assert_true(hash_from_text(str_from(vector_text(v, "root")), &expected));
		const struct merkle_tree *const trees[] = {one_by_one, at_once, built};
		for (size_t j = 0; j < ARRAY_LEN(trees); j++) {
			merkle_tree_root(trees[j], &root);
			assert_true(hash_equal(&root, &expected));
		}
		merkle_tree_free(one_by_one);
		merkle_tree_free(at_once);
		merkle_tree_free(built);
		free(c);
		free(e);
	}
	json_decref(all);
}

/* Trees of all sizes built from pieces by several threads, then changed; `bits` of the first ones are the same in all paths. */
static void assert_build(size_t n, unsigned bits, unsigned threads)
{
	struct merkle_map_entry *e = calloc(n + 1, sizeof(*e));
	struct hash others[3];
	for (size_t i = 0; i < n + ARRAY_LEN(others); i++) {
		struct hash *path = i < n ? &e[i].path : &others[i - n];
		random_bytes(path->b, sizeof(path->b));
		for (unsigned bit = 0; bit < bits; bit++)
			path->b[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
		if (i < n)
			random_bytes(e[i].value_hash.b, sizeof(e[i].value_hash.b));
	}
	struct merkle_tree *t = merkle_tree_new();
	size_t piece = random_below(n + 1);
	merkle_tree_load(t, e, piece);
	merkle_tree_load(t, e + piece, n - piece);
	merkle_tree_build(t, threads);
	merkle_map_sort(e, n);
	size_t checked = n <= 200 ? n : 0;
	struct hash root, expected;
	if (checked == n) {
		assert_tree(t, e, n, others, ARRAY_LEN(others), 1);
	} else {
		merkle_map_root(&expected, e, n);
		merkle_tree_root(t, &root);
		assert_true(hash_equal(&root, &expected));
	}
	for (unsigned depth = 0; depth <= 12; depth += 4)
		assert_prefixes(t, e, n, depth);
	/* A batch across the whole of it, taken back. */
	size_t count = n < 1000 ? n : 1000;
	struct merkle_tree_change *c = calloc(count + 1, sizeof(*c)), *undo = calloc(count + 1, sizeof(*undo));
	for (size_t i = 0; i < count; i++)
		c[i] = (struct merkle_tree_change){.path = e[n * i / count].path, .present = i % 3 > 0};
	merkle_tree_root(t, &root);
	merkle_tree_apply(t, c, count, undo);
	merkle_tree_root(t, &expected);
	assert_true(count == 0 || !hash_equal(&root, &expected));
	merkle_tree_apply(t, undo, count, NULL);
	merkle_tree_root(t, &expected);
	assert_true(hash_equal(&root, &expected));
	assert_int_equal(merkle_tree_count(t), n);
	free(c);
	free(undo);
	free(e);
	merkle_tree_free(t);
}

static void test_build(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 2, 3, 7, 40, 200, 3000, 40000};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		for (unsigned bits = 0; bits <= 70; bits += bits < 11 ? 11 : bits < 13 ? 1 : 57)
			if (sizes[i] <= 3000 || bits == 0)
				assert_build(sizes[i], bits, 1 + (unsigned)(i + bits) % 3);
}

/* A big batch into a big tree: the same as the tree of what comes out of it. */
static void test_large_batches(void **state)
{
	(void)state;
	enum { N = 20000, BATCH = 5000 };
	struct merkle_map_entry *e = calloc(N, sizeof(*e));
	struct merkle_tree_change *c = calloc(BATCH, sizeof(*c)), *undo = calloc(BATCH, sizeof(*undo));
	struct merkle_tree *t = merkle_tree_new(), *other = merkle_tree_new();
	struct hash root, changed, expected;
	random_bytes(e, N * sizeof(*e));
	merkle_tree_load(t, e, N);
	merkle_tree_build(t, 2);
	merkle_tree_root(t, &root);
	/* The first thousand go, the next thousand change, three thousand come. */
	random_bytes(c, BATCH * sizeof(*c));
	for (size_t i = 0; i < BATCH; i++) {
		if (i < 2000)
			c[i].path = e[i].path;
		c[i].present = i >= 1000;
	}
	merkle_tree_apply(t, c, BATCH, undo);
	merkle_tree_root(t, &changed);
	merkle_tree_load(other, e + 2000, N - 2000);
	for (size_t i = 1000; i < BATCH; i++) {
		struct merkle_map_entry x = {.path = c[i].path, .value_hash = c[i].value_hash};
		merkle_tree_load(other, &x, 1);
	}
	merkle_tree_build(other, 1);
	merkle_tree_root(other, &expected);
	assert_true(hash_equal(&changed, &expected));
	assert_int_equal(merkle_tree_count(t), N + 2000);
	merkle_tree_apply(t, undo, BATCH, NULL);
	merkle_tree_root(t, &expected);
	assert_true(hash_equal(&root, &expected));
	/* All gone: one by one below a tenth, the rest at once. */
	for (size_t i = 0; i < N; i += BATCH) {
		for (size_t j = 0; j < BATCH; j++)
			c[j] = (struct merkle_tree_change){.path = e[i + j].path};
		if (i == 0)
			for (size_t j = 0; j < BATCH; j++)
				merkle_tree_apply(t, &c[j], 1, NULL);
		else
			merkle_tree_apply(t, c, BATCH, NULL);
	}
	merkle_tree_root(t, &root);
	assert_int_equal(merkle_tree_count(t), 0);
	assert_memory_equal(&root, &(struct hash){{0}}, sizeof(root));
	merkle_tree_free(t);
	merkle_tree_free(other);
	free(e);
	free(c);
	free(undo);
}

/* 108 bytes an entry, and what deleted ones leave is used again. */
static void test_memory(void **state)
{
	(void)state;
	enum { N = 100000, BATCH = 1000, BLOCKS = 2 << 20 }; /* one block of each kind */
	struct merkle_map_entry *e = calloc(N, sizeof(*e));
	struct merkle_tree_change c[BATCH], undo[BATCH];
	struct merkle_tree *t = merkle_tree_new();
	random_bytes(e, N * sizeof(*e));
	merkle_tree_load(t, e, N);
	merkle_tree_build(t, 2);
	size_t bytes = merkle_tree_bytes(t);
	assert_in_range(bytes, N * 108 - 44, N * 108 + BLOCKS);
	for (int round = 0; round < 60; round++) {
		random_bytes(c, sizeof(c));
		for (size_t i = 0; i < BATCH; i++)
			c[i].present = true;
		merkle_tree_apply(t, c, BATCH, undo);
		merkle_tree_apply(t, undo, BATCH, NULL);
		if (round == 0)
			bytes = merkle_tree_bytes(t);
	}
	assert_int_equal(merkle_tree_bytes(t), bytes);
	assert_int_equal(merkle_tree_count(t), N);
	merkle_tree_free(t);
	merkle_tree_free(NULL);
	free(e);
}

static void test_impossible_prefixes(void **state)
{
	(void)state;
	struct merkle_tree_prefix all[4] = {{.kind = MERKLE_PREFIX_EMPTY}};
	struct hash root;
	assert_true(merkle_tree_root_from_prefixes(all, 2, &root));
	assert_memory_equal(&root, &(struct hash){{0}}, sizeof(root));
	all[2] = (struct merkle_tree_prefix){.hash = {{1}}, .kind = MERKLE_PREFIX_ONE};
	assert_true(merkle_tree_root_from_prefixes(all, 2, &root));
	assert_true(hash_equal(&root, &all[2].hash)); /* alone, it rises */
	all[2].kind = MERKLE_PREFIX_MANY;
	assert_true(merkle_tree_root_from_prefixes(all, 2, &root));
	assert_false(hash_equal(&root, &all[2].hash));
	static const struct merkle_tree_prefix impossible[] = {
		{.hash = {{1}}, .kind = MERKLE_PREFIX_EMPTY},
		{.kind = MERKLE_PREFIX_ONE},
		{.kind = MERKLE_PREFIX_MANY},
		{.hash = {{1}}, .kind = 3},
	};
	for (size_t i = 0; i < ARRAY_LEN(impossible); i++)
		for (size_t place = 0; place < 4; place++) {
			struct merkle_tree_prefix list[4];
			memcpy(list, all, sizeof(list));
			list[place] = impossible[i];
			assert_false(merkle_tree_root_from_prefixes(list, 2, &root));
		}
}

static void apply_twins(void *arg)
{
	struct merkle_tree_change c[2] = {{.present = true}, {.present = false}};
	merkle_tree_apply(arg, c, 2, NULL);
}

static void build_twins(void *arg)
{
	const struct merkle_map_entry e[2] = {{.path = {{1}}}, {.path = {{1}}}};
	merkle_tree_load(arg, e, 2);
	merkle_tree_build(arg, 1);
}

static void apply_to_loading(void *arg)
{
	struct merkle_tree_change c = {.present = true};
	merkle_tree_load(arg, NULL, 0);
	merkle_tree_apply(arg, &c, 1, NULL);
}

static void load_late(void *arg)
{
	struct merkle_tree_change c = {.present = true};
	merkle_tree_apply(arg, &c, 1, NULL);
	merkle_tree_load(arg, NULL, 0);
}

static void undo_in_place(void *arg)
{
	struct merkle_tree_change c = {.present = true};
	merkle_tree_apply(arg, &c, 1, &c);
}

static void build_unloaded(void *arg)
{
	merkle_tree_build(arg, 1);
}

static void test_misuse(void **state)
{
	(void)state;
	static void (*const wrong[])(void *) = {apply_twins, build_twins, apply_to_loading, load_late, undo_in_place, build_unloaded};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct merkle_tree *t = merkle_tree_new();
		assert_true(dies(wrong[i], t));
		merkle_tree_free(t);
	}
}

static void test_pairs(void **state)
{
	(void)state;
	enum { N = 9 };
	struct hash in[2 * N], out[N], portable[N];
	for (size_t n = 0; n <= N; n++)
		for (int round = 0; round < 50; round++) {
			struct sha256_pair jobs[N], same[N];
			uint8_t tag = (uint8_t)random_below(3);
			random_bytes(in, sizeof(in));
			if (round < 2)
				memset(in, round ? 0xff : 0, sizeof(in));
			for (size_t i = 0; i < n; i++) {
				jobs[i] = (struct sha256_pair){&out[i], &in[2 * i], &in[2 * i + 1]};
				same[i] = (struct sha256_pair){&portable[i], &in[2 * i], &in[2 * i + 1]};
			}
			sha256_pairs(tag, jobs, n);
			sha256_pairs_portable(tag, same, n);
			for (size_t i = 0; i < n; i++) {
				const struct str parts[] = {str_of((const char *)&tag, 1), str_of((const char *)in[2 * i].b, HASH_SIZE),
							    str_of((const char *)in[2 * i + 1].b, HASH_SIZE)};
				struct hash whole;
				sha256_parts(&whole, parts, ARRAY_LEN(parts));
				assert_true(hash_equal(&whole, &out[i]));
				assert_true(hash_equal(&whole, &portable[i]));
			}
			/* Into their own inputs. */
			for (size_t i = 0; i < n; i++)
				jobs[i].out = same[i].out = &in[2 * i + (i + (size_t)round) % 2];
			sha256_pairs(tag, jobs, n);
			for (size_t i = 0; i < n; i++)
				assert_true(hash_equal(jobs[i].out, &out[i]));
			if (n > 0) {
				random_bytes(in, sizeof(in));
				jobs[0] = (struct sha256_pair){&out[0], &in[0], &in[1]};
				sha256_pairs_portable(tag, jobs, 1);
				sha256_pair(&in[1], tag, &in[0], &in[1]);
				assert_true(hash_equal(&in[1], &out[0]));
			}
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_large_batches),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_impossible_prefixes),
		cmocka_unit_test(test_misuse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
