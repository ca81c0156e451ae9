/* crypto: map trees. The naive root here goes bit by bit as the definition says and shares no code with the room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "crypto/merkle_list.h"
#include "crypto/merkle_map.h"
#include "dies.h"
#include "vectors.h"

static int bit_of(const struct hash *h, int i)
{
	return (h->b[i / 8] & (0x80 >> (i % 8))) != 0;
}

/* Unsorted entries, those with in[i] set; partitions them anew at each depth. */
static void naive_root(struct hash *out, const struct merkle_map_entry *e, const bool *in, size_t n, int depth)
{
	size_t count = 0, last = 0;
	for (size_t i = 0; i < n; i++)
		if (in[i]) {
			count++;
			last = i;
		}
	if (count == 0) {
		memset(out, 0, sizeof(*out));
		return;
	}
	uint8_t bytes[65] = {count > 1};
	if (count == 1) {
		memcpy(bytes + 1, e[last].path.b, 32);
		memcpy(bytes + 33, e[last].value_hash.b, 32);
	} else {
		bool *side = calloc(n, sizeof(*side));
		for (int b = 0; b < 2; b++) {
			struct hash half;
			for (size_t i = 0; i < n; i++)
				side[i] = in[i] && bit_of(&e[i].path, depth) == b;
			naive_root(&half, e, side, n, depth + 1);
			memcpy(bytes + 1 + 32 * b, half.b, 32);
		}
		free(side);
	}
	sha256(out, bytes, sizeof(bytes));
}

static void naive_root_of_all(struct hash *out, const struct merkle_map_entry *e, size_t n)
{
	bool *in = malloc(n + 1);
	memset(in, true, n + 1);
	naive_root(out, e, in, n, 0);
	free(in);
}

/* Proofs for every entry and for paths near to and far from them, all verified, their mutants refused. */
static void assert_proofs(const struct merkle_map_entry *sorted, size_t n, const struct hash *root);

static void test_vectors(void **state)
{
	(void)state;
	json_t *all = vectors_load("merkle_map.json"), *v, *value;
	size_t i;
	json_array_foreach(all, i, v)
	{
		json_t *entries = json_object_get(v, "entries");
		size_t n = json_object_size(entries), k = 0;
		struct merkle_map_entry *e = calloc(n + 1, sizeof(*e));
		struct hash root, expected;
		const char *key;
		json_object_foreach(entries, key, value)
			merkle_map_entry(&e[k++], str_from(key), str_from(json_string_value(value)));
		merkle_map_sort(e, n);
		merkle_map_root(&root, e, n);
		assert_true(hash_from_text(str_from(vector_text(v, "root")), &expected));
		assert_true(hash_equal(&root, &expected));
		if (n <= 100)
			assert_proofs(e, n, &root);
		free(e);
	}
	json_decref(all);
}

static void assert_present_mutants_refused(const struct hash *root, const struct merkle_map_entry *e, const struct merkle_map_proof *p)
{
	static struct merkle_map_proof m;
	struct merkle_map_entry other = *e;
	other.value_hash.b[random_below(HASH_SIZE)] ^= (uint8_t)(1 << random_below(8));
	assert_false(merkle_map_verify_present(root, &other, p));
	other = *e;
	other.path.b[31] ^= 1;
	assert_false(merkle_map_verify_present(root, &other, p));
	for (size_t i = 0; i < p->count; i++) {
		m = *p;
		m.siblings[i].b[random_below(HASH_SIZE)] ^= (uint8_t)(1 << random_below(8));
		assert_false(merkle_map_verify_present(root, e, &m));
	}
	m = *p;
	memset(&m.siblings[m.count++ % MERKLE_MAP_DEPTH], 0, HASH_SIZE); /* a level too many */
	assert_false(merkle_map_verify_present(root, e, &m));
	m = *p;
	m.has_other = true;
	assert_false(merkle_map_verify_present(root, e, &m));
	m = *p;
	m.count = MERKLE_MAP_DEPTH + 1;
	assert_false(merkle_map_verify_present(root, e, &m));
	if (p->count > 0) {
		m = *p;
		m.count--;
		assert_false(merkle_map_verify_present(root, e, &m));
	}
	/* Present is not absent, whatever is said to stand in its place. */
	assert_false(merkle_map_verify_absent(root, &e->path, p));
	m = *p;
	m.has_other = true;
	m.other = *e;
	assert_false(merkle_map_verify_absent(root, &e->path, &m));
	m.other.path.b[31] ^= 1;
	assert_false(merkle_map_verify_absent(root, &e->path, &m));
}

static void assert_absent(const struct merkle_map_entry *sorted, size_t n, const struct hash *root, const struct hash *path)
{
	static struct merkle_map_proof p, m;
	assert_false(merkle_map_prove(sorted, n, path, &p));
	assert_true(merkle_map_verify_absent(root, path, &p));
	const struct merkle_map_entry claimed = {.path = *path, .value_hash = p.other.value_hash};
	assert_false(merkle_map_verify_present(root, &claimed, &p));
	for (size_t i = 0; i < p.count; i++) {
		m = p;
		m.siblings[i].b[random_below(HASH_SIZE)] ^= (uint8_t)(1 << random_below(8));
		assert_false(merkle_map_verify_absent(root, path, &m));
	}
	if (p.has_other) {
		m = p;
		m.has_other = false;
		assert_false(merkle_map_verify_absent(root, path, &m));
		m = p;
		m.other.value_hash.b[0] ^= 1;
		assert_false(merkle_map_verify_absent(root, path, &m));
		m = p;
		m.other.path = *path; /* the key itself cannot be the other */
		assert_false(merkle_map_verify_absent(root, path, &m));
	}
	m = p;
	m.count = MERKLE_MAP_DEPTH + 1;
	assert_false(merkle_map_verify_absent(root, path, &m));
	if (p.count > 0) { /* the place is elsewhere: the first bit of the path flipped */
		struct hash elsewhere = *path;
		elsewhere.b[0] ^= 0x80;
		assert_false(merkle_map_verify_absent(root, &elsewhere, &p));
	}
}

static bool is_entry(const struct merkle_map_entry *sorted, size_t n, const struct hash *path)
{
	for (size_t i = 0; i < n; i++)
		if (hash_equal(&sorted[i].path, path))
			return true;
	return false;
}

static void assert_proofs(const struct merkle_map_entry *sorted, size_t n, const struct hash *root)
{
	static struct merkle_map_proof p;
	for (size_t i = 0; i < n; i++) {
		assert_true(merkle_map_prove(sorted, n, &sorted[i].path, &p));
		assert_true(merkle_map_verify_present(root, &sorted[i], &p));
		assert_present_mutants_refused(root, &sorted[i], &p);
		/* A path that shares all bits but one with an entry's, and is not another's. */
		struct hash near;
		do {
			near = sorted[i].path;
			near.b[random_below(HASH_SIZE)] ^= (uint8_t)(1 << random_below(8));
		} while (is_entry(sorted, n, &near));
		assert_absent(sorted, n, root, &near);
	}
	for (int i = 0; i < 20; i++) {
		struct hash far;
		random_bytes(far.b, sizeof(far.b));
		assert_absent(sorted, n, root, &far);
	}
}

static void test_random_maps(void **state)
{
	(void)state;
	for (size_t n = 0; n < 120; n += n < 12 ? 1 : 17) {
		struct merkle_map_entry *e = calloc(n + 1, sizeof(*e));
		for (size_t i = 0; i < n; i++) {
			uint64_t key = random_u64(), value = random_u64();
			merkle_map_entry(&e[i], str_of((const char *)&key, sizeof(key)), str_of((const char *)&value, sizeof(value)));
		}
		struct hash root, expected, shuffled;
		naive_root_of_all(&expected, e, n);
		merkle_map_sort(e, n);
		merkle_map_root(&root, e, n);
		assert_true(hash_equal(&root, &expected));
		assert_proofs(e, n, &root);
		for (size_t i = n; i > 1; i--) { /* the order in which entries came does not matter */
			size_t j = random_below(i);
			struct merkle_map_entry t = e[i - 1];
			e[i - 1] = e[j];
			e[j] = t;
		}
		merkle_map_sort(e, n);
		merkle_map_root(&shuffled, e, n);
		assert_true(hash_equal(&root, &shuffled));
		free(e);
	}
}

/* Paths that nobody gets by hashing: the same but for one late bit, so that the tree reaches its last levels. */
static void test_deep(void **state)
{
	(void)state;
	struct merkle_map_entry e[5];
	memset(e, 0x5a, sizeof(e));
	e[1].path.b[31] ^= 1;  /* parts at depth 255 */
	e[2].path.b[31] ^= 2;  /* 254 */
	e[3].path.b[16] ^= 16; /* in the middle */
	e[4].path.b[0] ^= 0x80; /* at the root */
	struct hash root, expected;
	naive_root_of_all(&expected, e, ARRAY_LEN(e));
	merkle_map_sort(e, ARRAY_LEN(e));
	merkle_map_root(&root, e, ARRAY_LEN(e));
	assert_true(hash_equal(&root, &expected));
	assert_proofs(e, ARRAY_LEN(e), &root);
	static struct merkle_map_proof p;
	struct hash path;
	memset(&path, 0x5a, sizeof(path));
	assert_true(merkle_map_prove(e, ARRAY_LEN(e), &path, &p));
	assert_int_equal(p.count, MERKLE_MAP_DEPTH);
}

/* A root whose maker put an entry where it does not belong proves nothing about the keys that do belong there. */
static void test_misplaced_entry(void **state)
{
	(void)state;
	static struct merkle_map_proof p;
	struct hash path = {{0x00}}, root, leaf;
	p = (struct merkle_map_proof){.count = 1, .siblings = {{{1}}}, .has_other = true, .other = {.path = {{0x80}}}};
	merkle_map_leaf(&leaf, &p.other);
	merkle_node(&root, &leaf, &p.siblings[0]); /* on the left, though its first bit is 1 */
	assert_false(merkle_map_verify_absent(&root, &path, &p));
	p.other.path.b[0] = 0x40;
	merkle_map_leaf(&leaf, &p.other);
	merkle_node(&root, &leaf, &p.siblings[0]);
	assert_true(merkle_map_verify_absent(&root, &path, &p));
}

static void sort_twins(void *arg)
{
	merkle_map_sort(arg, 2);
}

static void test_twins(void **state)
{
	(void)state;
	struct merkle_map_entry e[2] = {0};
	assert_true(dies(sort_twins, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_random_maps),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_misplaced_entry),
		cmocka_unit_test(test_twins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
