/* crypto: list trees. The naive tree here follows RFC 6962's recursive definitions to the letter and shares no code with the room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "crypto/merkle_list.h"
#include "vectors.h"

enum { LEAVES = 64 };
static struct hash leaves[LEAVES];

static void naive_node(struct hash *out, const struct hash *left, const struct hash *right)
{
	uint8_t bytes[65] = {1};
	memcpy(bytes + 1, left, 32);
	memcpy(bytes + 33, right, 32);
	sha256(out, bytes, sizeof(bytes));
}

static uint64_t naive_split(uint64_t n)
{
	uint64_t k = 1;
	while (k * 2 < n)
		k *= 2;
	return k;
}

/* MTH(D[from:to]) */
static void naive_root(struct hash *out, uint64_t from, uint64_t to)
{
	if (from == to) {
		sha256(out, "", 0);
		return;
	}
	if (to - from == 1) {
		*out = leaves[from];
		return;
	}
	uint64_t k = naive_split(to - from);
	struct hash left, right;
	naive_root(&left, from, from + k);
	naive_root(&right, from + k, to);
	naive_node(out, &left, &right);
}

/* PATH(m, D[from:to]) */
static size_t naive_path(uint64_t m, uint64_t from, uint64_t to, struct hash *path)
{
	if (to - from == 1)
		return 0;
	uint64_t k = naive_split(to - from);
	size_t n;
	if (m < k) {
		n = naive_path(m, from, from + k, path);
		naive_root(&path[n], from + k, to);
	} else {
		n = naive_path(m - k, from + k, to, path);
		naive_root(&path[n], from, from + k);
	}
	return n + 1;
}

/* SUBPROOF(m, D[from:to], b) */
static size_t naive_subproof(uint64_t m, uint64_t from, uint64_t to, bool b, struct hash *path)
{
	if (m == to - from) {
		if (!b)
			naive_root(&path[0], from, to);
		return b ? 0 : 1;
	}
	uint64_t k = naive_split(to - from);
	size_t n;
	if (m <= k) {
		n = naive_subproof(m, from, from + k, b, path);
		naive_root(&path[n], from + k, to);
	} else {
		n = naive_subproof(m - k, from + k, to, false, path);
		naive_root(&path[n], from, from + k);
	}
	return n + 1;
}

/* A store as an owner would have it: the hashes that the frontier hands out, by level and position. */
struct store {
	struct hash at[7][LEAVES];
	bool has[7][LEAVES];
	int reads, fail_at; /* the fail_at'th read fails; 0: none */
};

static void store_hash(void *ctx, unsigned level, uint64_t position, const struct hash *h)
{
	struct store *s = ctx;
	assert_true(level < 7 && position < (uint64_t)LEAVES >> level);
	assert_false(s->has[level][position]); /* each once */
	s->has[level][position] = true;
	s->at[level][position] = *h;
}

static bool read_hash(void *ctx, unsigned level, uint64_t position, struct hash *out)
{
	struct store *s = ctx;
	if (++s->reads == s->fail_at)
		return false;
	assert_true(level < 7 && position < (uint64_t)LEAVES >> level);
	assert_true(s->has[level][position]); /* complete subtrees only */
	*out = s->at[level][position];
	return true;
}

static int fill_leaves(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEAVES; i++)
		merkle_leaf(&leaves[i], &i, sizeof(i));
	return 0;
}

/* The store after the first n leaves. */
static struct store *store_of(uint64_t n)
{
	struct store *s = calloc(1, sizeof(*s));
	struct merkle_frontier f = {.size = 0};
	for (uint64_t i = 0; i < n; i++)
		merkle_frontier_append(&f, &leaves[i], store_hash, s);
	return s;
}

static void test_vectors(void **state)
{
	(void)state;
	json_t *all = vectors_load("merkle_list.json"), *v, *item, *published;
	size_t i, k;
	json_array_foreach(all, i, v)
	{
		struct hash leaf[32], root, expected;
		const json_t *items = json_object_get(v, "items");
		size_t n = json_array_size(items);
		assert_true(n <= ARRAY_LEN(leaf));
		json_array_foreach((json_t *)(uintptr_t)items, k, item)
			merkle_leaf(&leaf[k], json_string_value(item), json_string_length(item));
		assert_true(hash_from_text(str_from(vector_text(v, "root")), &expected));
		merkle_root(&root, leaf, n);
		assert_true(hash_equal(&root, &expected));
		assert_int_equal(json_object_size(json_object_get(v, "proofs")), n);

		struct store *s = calloc(1, sizeof(*s));
		struct merkle_frontier f = {.size = 0};
		for (k = 0; k < n; k++)
			merkle_frontier_append(&f, &leaf[k], store_hash, s);
		const char *index;
		json_object_foreach(json_object_get(v, "proofs"), index, published)
		{
			struct hash path[MERKLE_PATH_MAX], h;
			size_t count, at = (size_t)strtoul(index, NULL, 10);
			assert_true(merkle_inclusion_prove(at, n, read_hash, s, path, &count));
			assert_int_equal(count, json_array_size(published));
			for (k = 0; k < count; k++) {
				assert_true(hash_from_text(str_from(json_string_value(json_array_get(published, k))), &h));
				assert_true(hash_equal(&path[k], &h));
			}
			assert_true(merkle_inclusion_verify(&leaf[at], at, n, path, count, &expected));
		}
		free(s);
	}
	json_decref(all);
}

static void test_leaf(void **state)
{
	(void)state;
	struct hash a, b, c;
	const struct str parts[] = {STR_LIT("ab"), STR_NONE, STR_LIT("c")};
	sha256(&a, "\0abc", 4);
	merkle_leaf(&b, "abc", 3);
	merkle_leaf_parts(&c, parts, ARRAY_LEN(parts));
	assert_true(hash_equal(&a, &b) && hash_equal(&a, &c));
	naive_node(&a, &b, &leaves[0]);
	merkle_node(&c, &b, &leaves[0]);
	assert_true(hash_equal(&a, &c));
	merkle_node(&b, &b, &leaves[0]); /* in place */
	assert_true(hash_equal(&a, &b));
}

static void test_roots(void **state)
{
	(void)state;
	struct store *s = store_of(LEAVES);
	struct merkle_frontier f = {.size = 0};
	for (uint64_t n = 0; n <= LEAVES; n++) {
		struct hash expected, root;
		naive_root(&expected, 0, n);
		merkle_root(&root, n ? leaves : NULL, n);
		assert_true(hash_equal(&root, &expected));
		merkle_frontier_root(&f, &root);
		assert_true(hash_equal(&root, &expected));
		assert_true(merkle_root_at(n, read_hash, s, &root));
		assert_true(hash_equal(&root, &expected));
		if (n < LEAVES)
			merkle_frontier_append(&f, &leaves[n], NULL, NULL);
	}
	for (unsigned level = 0; level < 7; level++) /* every complete subtree has been stored */
		for (int i = 0; i < LEAVES >> level; i++)
			assert_true(s->has[level][i]);
	free(s);
}

/* Verifies the path it is given. */
typedef bool check_fn(const struct hash *path, size_t count, const void *arg);

/* No flipped bit, no missing or surplus hash passes. */
static void assert_mutants_refused(const struct hash *path, size_t count, check_fn *check, const void *arg)
{
	struct hash m[MERKLE_PATH_MAX + 2];
	assert_true(check(path, count, arg));
	for (size_t i = 0; i < count; i++) {
		memcpy(m, path, count * sizeof(*m));
		m[i].b[random_below(HASH_SIZE)] ^= (uint8_t)(1 << random_below(8));
		assert_false(check(m, count, arg));
		memcpy(m, path, count * sizeof(*m));
		memmove(m + i, m + i + 1, (count - i - 1) * sizeof(*m));
		assert_false(check(m, count - 1, arg));
	}
	for (size_t i = 0; i <= count; i++) {
		memcpy(m, path, i * sizeof(*m));
		m[i] = leaves[LEAVES - 1];
		memcpy(m + i + 1, path + i, (count - i) * sizeof(*m));
		assert_false(check(m, count + 1, arg));
	}
}

struct inclusion {
	uint64_t index, size;
	struct hash leaf, root;
};

static bool check_inclusion(const struct hash *path, size_t count, const void *arg)
{
	const struct inclusion *c = arg;
	return merkle_inclusion_verify(&c->leaf, c->index, c->size, path, count, &c->root);
}

static void test_inclusion_all(void **state)
{
	(void)state;
	struct store *s = store_of(LEAVES);
	for (uint64_t size = 1; size <= LEAVES; size++)
		for (uint64_t index = 0; index < size; index++) {
			struct hash path[MERKLE_PATH_MAX], expected[MERKLE_PATH_MAX];
			size_t count;
			assert_true(merkle_inclusion_prove(index, size, read_hash, s, path, &count));
			assert_int_equal(count, naive_path(index, 0, size, expected));
			assert_memory_equal(path, expected, count * sizeof(*path));
			struct inclusion c = {.index = index, .size = size, .leaf = leaves[index]};
			naive_root(&c.root, 0, size);
			assert_mutants_refused(path, count, check_inclusion, &c);
			for (c.index = 0; c.index <= size; c.index++)
				assert_int_equal(check_inclusion(path, count, &c), c.index == index);
			c.index = index;
			c.leaf.b[0] ^= 1;
			assert_false(check_inclusion(path, count, &c));
			c.leaf.b[0] ^= 1;
			c.root.b[31] ^= 1;
			assert_false(check_inclusion(path, count, &c));
		}
	free(s);
}

struct consistency {
	uint64_t from, to;
	struct hash from_root, to_root;
};

static bool check_consistency(const struct hash *path, size_t count, const void *arg)
{
	const struct consistency *c = arg;
	return merkle_consistency_verify(c->from, &c->from_root, c->to, &c->to_root, path, count);
}

static void test_consistency_all(void **state)
{
	(void)state;
	struct store *s = store_of(LEAVES);
	for (uint64_t to = 1; to <= LEAVES; to++)
		for (uint64_t from = 1; from <= to; from++) {
			struct hash path[MERKLE_PATH_MAX], expected[MERKLE_PATH_MAX];
			size_t count;
			assert_true(merkle_consistency_prove(from, to, read_hash, s, path, &count));
			assert_int_equal(count, naive_subproof(from, 0, to, true, expected));
			assert_memory_equal(path, expected, count * sizeof(*path));
			struct consistency c = {.from = from, .to = to};
			naive_root(&c.from_root, 0, from);
			naive_root(&c.to_root, 0, to);
			assert_mutants_refused(path, count, check_consistency, &c);
			c.from_root.b[0] ^= 1;
			assert_false(check_consistency(path, count, &c));
			c.from_root.b[0] ^= 1;
			c.to_root.b[0] ^= 1;
			assert_false(check_consistency(path, count, &c));
			c.to_root.b[0] ^= 1;
			c.from = 0;
			assert_false(check_consistency(path, count, &c));
			c.from = to + 1;
			assert_false(check_consistency(path, count, &c));
		}
	free(s);
}

/* A log that changed one old leaf cannot prove that it only grew. */
static void test_rewritten_log(void **state)
{
	(void)state;
	struct hash old_root, new_root, path[MERKLE_PATH_MAX], kept = leaves[5];
	size_t count;
	naive_root(&old_root, 0, 20);
	leaves[5].b[0] ^= 1;
	struct store *s = store_of(LEAVES);
	naive_root(&new_root, 0, LEAVES);
	assert_true(merkle_consistency_prove(20, LEAVES, read_hash, s, path, &count));
	assert_false(merkle_consistency_verify(20, &old_root, LEAVES, &new_root, path, count));
	leaves[5] = kept;
	free(s);
}

/* Roots made to fit a path of the wrong length: only the sizes tell. */
static void test_forged_sizes(void **state)
{
	(void)state;
	struct hash root;
	merkle_node(&root, &leaves[1], &leaves[0]);
	assert_false(merkle_inclusion_verify(&leaves[0], 0, 1, &leaves[1], 1, &root)); /* too long for one leaf */
	merkle_node(&root, &leaves[0], &leaves[1]);
	assert_true(merkle_inclusion_verify(&leaves[0], 0, 2, &leaves[1], 1, &root));
	assert_false(merkle_inclusion_verify(&leaves[0], 0, 3, &leaves[1], 1, &root)); /* too short for three */
	assert_false(merkle_consistency_verify(2, &root, 4, &root, NULL, 0)); /* "four leaves" with the root of two */
	assert_false(merkle_consistency_verify(3, &root, 4, &root, NULL, 0));
	assert_false(merkle_consistency_verify(3, &root, 5, &root, &root, 1));
}

static void test_out_of_range(void **state)
{
	(void)state;
	struct store *s = store_of(4);
	struct hash path[MERKLE_PATH_MAX], h;
	size_t count = 0;
	assert_false(merkle_inclusion_prove(0, 0, read_hash, s, path, &count));
	assert_false(merkle_inclusion_prove(4, 4, read_hash, s, path, &count));
	assert_false(merkle_inclusion_prove(0, UINT64_MAX, read_hash, s, path, &count));
	assert_false(merkle_consistency_prove(0, 4, read_hash, s, path, &count));
	assert_false(merkle_consistency_prove(5, 4, read_hash, s, path, &count));
	assert_false(merkle_consistency_prove(1, UINT64_MAX, read_hash, s, path, &count));
	assert_false(merkle_root_at(UINT64_MAX, read_hash, s, &h));
	assert_int_equal(s->reads, 0);
	assert_false(merkle_inclusion_verify(&leaves[0], 0, 0, NULL, 0, &leaves[0]));
	assert_false(merkle_inclusion_verify(&leaves[0], UINT64_MAX - 1, UINT64_MAX, path, MERKLE_PATH_MAX, &leaves[0]));
	assert_true(merkle_inclusion_verify(&leaves[0], 0, 1, NULL, 0, &leaves[0]));
	assert_false(merkle_consistency_verify(1, &leaves[0], UINT64_MAX, &leaves[0], path, MERKLE_PATH_MAX));
	free(s);
}

/* A read that fails fails the proof, whichever it is. */
static void test_reads_fail(void **state)
{
	(void)state;
	struct store *s = store_of(LEAVES);
	struct hash path[MERKLE_PATH_MAX], root;
	size_t count;
	for (int what = 0; what < 3; what++) {
		int failures = 0;
		bool done;
		do {
			s->reads = 0;
			s->fail_at = ++failures;
			done = what == 0   ? merkle_inclusion_prove(10, 55, read_hash, s, path, &count)
			       : what == 1 ? merkle_consistency_prove(21, 55, read_hash, s, path, &count)
					   : merkle_root_at(55, read_hash, s, &root);
			assert_int_equal(done, s->reads < s->fail_at);
		} while (!done);
		assert_true(failures > 4);
	}
	free(s);
}

/* A log of up to 2^62 equal leaves: each complete subtree of a level has the same hash, so it can be read without being stored. */
struct uniform_log {
	struct hash level[63];
	uint64_t size;
};

static bool read_uniform(void *ctx, unsigned level, uint64_t position, struct hash *out)
{
	const struct uniform_log *log = ctx;
	assert_true(level < 63 && (position + 1) << level <= log->size);
	*out = log->level[level];
	return true;
}

static void test_huge(void **state)
{
	(void)state;
	struct uniform_log log = {.level = {leaves[0]}};
	for (size_t i = 1; i < 63; i++)
		merkle_node(&log.level[i], &log.level[i - 1], &log.level[i - 1]);
	for (int i = 0; i < 300; i++) {
		log.size = i == 0 ? UINT64_C(1) << 62 : 1 + random_below(UINT64_C(1) << (1 + random_below(62)));
		uint64_t index = random_below(log.size), from = 1 + random_below(log.size);
		struct hash path[MERKLE_PATH_MAX], root, from_root;
		size_t count;
		assert_true(merkle_root_at(log.size, read_uniform, &log, &root));
		assert_true(merkle_inclusion_prove(index, log.size, read_uniform, &log, path, &count));
		assert_true(count <= 62);
		assert_true(merkle_inclusion_verify(&leaves[0], index, log.size, path, count, &root));
		assert_false(merkle_inclusion_verify(&leaves[1], index, log.size, path, count, &root));
		assert_true(merkle_root_at(from, read_uniform, &log, &from_root));
		assert_true(merkle_consistency_prove(from, log.size, read_uniform, &log, path, &count));
		assert_true(count <= 63);
		assert_true(merkle_consistency_verify(from, &from_root, log.size, &root, path, count));
		from_root.b[0] ^= 1;
		assert_false(merkle_consistency_verify(from, &from_root, log.size, &root, path, count));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	      cmocka_unit_test(test_leaf),	   cmocka_unit_test(test_roots),
		cmocka_unit_test(test_inclusion_all), cmocka_unit_test(test_consistency_all), cmocka_unit_test(test_rewritten_log),
		cmocka_unit_test(test_out_of_range),  cmocka_unit_test(test_forged_sizes),  cmocka_unit_test(test_reads_fail),	   cmocka_unit_test(test_huge),
	};
	return cmocka_run_group_tests(tests, fill_leaves, NULL);
}
