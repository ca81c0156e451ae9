#include "merkle_map.h"

#include <stdlib.h>

#include "base/log.h"
#include "merkle_list.h"
#include "sha256_pairs.h"

static const struct hash empty_subtree; /* 32 zero bytes */

void merkle_map_entry(struct merkle_map_entry *out, struct str key, struct str value)
{
	sha256(&out->path, key.p, key.n);
	sha256(&out->value_hash, value.p, value.n);
}

void merkle_map_leaf(struct hash *out, const struct merkle_map_entry *e)
{
	sha256_pair(out, 0, &e->path, &e->value_hash);
}

static int compare_paths(const void *a, const void *b)
{
	const struct merkle_map_entry *x = a, *y = b;
	return memcmp(x->path.b, y->path.b, HASH_SIZE);
}

void merkle_map_sort(struct merkle_map_entry *entries, size_t n)
{
	if (n > 1)
		qsort(entries, n, sizeof(*entries), compare_paths);
	for (size_t i = 1; i < n; i++)
		invariant(!hash_equal(&entries[i - 1].path, &entries[i].path));
}

/* Bit `depth` of a path, the most significant first. */
static bool path_bit(const struct hash *path, size_t depth)
{
	return path->b[depth / 8] >> (7 - depth % 8) & 1;
}

/* How many of the sorted entries, which agree in the bits above `depth`, have a 0 there: those go left. */
static size_t count_left(const struct merkle_map_entry *sorted, size_t n, size_t depth)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (path_bit(&sorted[middle].path, depth))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void merkle_map_subtree(struct hash *out, const struct merkle_map_entry *sorted, size_t n, size_t depth)
{
	if (n == 0) {
		*out = empty_subtree;
		return;
	}
	if (n == 1) {
		merkle_map_leaf(out, sorted);
		return;
	}
	invariant(depth < MERKLE_MAP_DEPTH);
	size_t left = count_left(sorted, n, depth);
	struct hash left_root, right_root;
	merkle_map_subtree(&left_root, sorted, left, depth + 1);
	merkle_map_subtree(&right_root, sorted + left, n - left, depth + 1);
	merkle_node(out, &left_root, &right_root);
}

void merkle_map_root(struct hash *out, const struct merkle_map_entry *sorted, size_t n)
{
	merkle_map_subtree(out, sorted, n, 0);
}

static void reverse(struct hash *siblings, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct hash h = siblings[i];
		siblings[i] = siblings[count - 1 - i];
		siblings[count - 1 - i] = h;
	}
}

bool merkle_map_prove(const struct merkle_map_entry *sorted, size_t n, const struct hash *path, struct merkle_map_proof *out)
{
	size_t depth = 0;
	for (; n > 1; depth++) {
		invariant(depth < MERKLE_MAP_DEPTH);
		size_t left = count_left(sorted, n, depth);
		if (path_bit(path, depth)) {
			merkle_map_subtree(&out->siblings[depth], sorted, left, depth + 1);
			sorted += left;
			n -= left;
		} else {
			merkle_map_subtree(&out->siblings[depth], sorted + left, n - left, depth + 1);
			n = left;
		}
	}
	reverse(out->siblings, depth);
	out->count = depth;
	bool present = n == 1 && hash_equal(&sorted->path, path);
	out->has_other = n == 1 && !present;
	out->other = out->has_other ? *sorted : (struct merkle_map_entry){.path = empty_subtree};
	return present;
}

/* The root above `h`, which stands at depth p->count on the way of `path`. */
static bool folds_to(const struct hash *root, struct hash h, const struct hash *path, const struct merkle_map_proof *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (path_bit(path, p->count - 1 - i))
			merkle_node(&h, &p->siblings[i], &h);
		else
			merkle_node(&h, &h, &p->siblings[i]);
	return hash_equal(&h, root);
}

bool merkle_map_verify_present(const struct hash *root, const struct merkle_map_entry *e, const struct merkle_map_proof *p)
{
	if (p->count > MERKLE_MAP_DEPTH || p->has_other)
		return false;
	struct hash leaf;
	merkle_map_leaf(&leaf, e);
	return folds_to(root, leaf, &e->path, p);
}

/* Absent: the place where the path would be is empty, or held by one entry that is another's. */
bool merkle_map_verify_absent(const struct hash *root, const struct hash *path, const struct merkle_map_proof *p)
{
	if (p->count > MERKLE_MAP_DEPTH)
		return false;
	if (!p->has_other)
		return folds_to(root, empty_subtree, path, p);
	if (hash_equal(&p->other.path, path))
		return false;
	for (size_t depth = 0; depth < p->count; depth++)
		if (path_bit(&p->other.path, depth) != path_bit(path, depth))
			return false;
	struct hash leaf;
	merkle_map_leaf(&leaf, &p->other);
	return folds_to(root, leaf, path, p);
}
