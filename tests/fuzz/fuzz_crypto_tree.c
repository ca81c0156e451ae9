/*
 * crypto: the map's tree kept up to date. The input is a history of batches over paths that part at chosen bits, some taken back; after each the
 * root, a proof and the prefixes must be those of the tree from scratch.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/merkle_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATHS = 256, STEPS_MAX = 40 };

struct input {
	const uint8_t *next, *end;
};

struct model {
	bool present[PATHS];
	uint8_t value[PATHS];
};

static uint8_t byte_of(struct input *in)
{
	return in->next < in->end ? *in->next++ : 0;
}

/* Each bit of the selector is one of the path. */
static void path_of(struct hash *out, unsigned selector)
{
	static const uint8_t bits[8] = {0, 1, 2, 11, 12, 63, 64, 90};
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < 8; i++)
		if (selector >> i & 1)
			out->b[bits[i] / 8] |= (uint8_t)(0x80 >> bits[i] % 8);
}

static size_t entries_of(const struct model *m, struct merkle_map_entry *sorted)
{
	size_t n = 0;
	for (unsigned i = 0; i < PATHS; i++)
		if (m->present[i]) {
			path_of(&sorted[n].path, i);
			memset(&sorted[n++].value_hash, m->value[i], HASH_SIZE);
		}
	merkle_map_sort(sorted, n);
	return n;
}

/* Each path at most once; the last word counts. */
static size_t read_batch(struct input *in, struct model *m, struct merkle_tree_change *out)
{
	size_t n = 0, wanted = byte_of(in) % 160;
	int place[PATHS];
	memset(place, -1, sizeof(place));
	for (size_t i = 0; i < wanted; i++) {
		uint8_t selector = byte_of(in), value = byte_of(in);
		size_t at = place[selector] >= 0 ? (size_t)place[selector] : n++;
		place[selector] = (int)at;
		m->present[selector] = value % 3 > 0;
		m->value[selector] = value;
		path_of(&out[at].path, selector);
		memset(&out[at].value_hash, value, HASH_SIZE);
		out[at].present = value % 3 > 0;
	}
	return n;
}

static void check(const struct merkle_tree *t, const struct model *m, uint8_t asked)
{
	static struct merkle_map_entry sorted[PATHS];
	static struct merkle_map_proof proof;
	static struct merkle_tree_prefix prefixes[1 << 13];
	struct hash root, expected, path;
	size_t n = entries_of(m, sorted);
	merkle_map_root(&expected, sorted, n);
	merkle_tree_root(t, &root);
	invariant(hash_equal(&root, &expected) && merkle_tree_count(t) == n);
	path_of(&path, asked);
	bool present = merkle_tree_prove(t, &path, &proof);
	invariant(present == m->present[asked]);
	if (present) {
		struct merkle_map_entry e = {.path = path};
		invariant(merkle_tree_find(t, &path, &e.value_hash) && e.value_hash.b[0] == m->value[asked]);
		invariant(merkle_map_verify_present(&root, &e, &proof));
	} else {
		invariant(merkle_map_verify_absent(&root, &path, &proof));
	}
	unsigned depth = asked % 14;
	merkle_tree_prefix_hashes(t, depth, prefixes);
	invariant(merkle_tree_root_from_prefixes(prefixes, depth, &expected) && hash_equal(&root, &expected));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct model m = {.present = {false}}, before;
	struct merkle_tree *t = merkle_tree_new();
	struct merkle_tree_change batch[PATHS], undo[PATHS];
	if (byte_of(&in) & 1) { /* begin with a tree that was built at once */
		static struct merkle_map_entry sorted[PATHS];
		read_batch(&in, &m, batch);
		merkle_tree_load(t, sorted, entries_of(&m, sorted));
		merkle_tree_build(t, 1);
		check(t, &m, byte_of(&in));
	}
	for (int step = 0; step < STEPS_MAX && in.next < in.end; step++) {
		before = m;
		uint8_t how = byte_of(&in);
		size_t n = read_batch(&in, &m, batch);
		merkle_tree_apply(t, batch, n, undo);
		check(t, &m, how);
		if (how & 1) {
			merkle_tree_apply(t, undo, n, NULL);
			m = before;
			check(t, &m, how);
		}
	}
	merkle_tree_free(t);
	return 0;
}
