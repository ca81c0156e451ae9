#include "merkle_list.h"

#include "base/log.h"
#include "sha256_pairs.h"

#define LEAVES_MAX (UINT64_C(1) << 62)

static const uint8_t leaf_tag[1] = {0};

void merkle_leaf_parts(struct hash *out, const struct str *parts, size_t count)
{
	struct sha256_state s;
	sha256_init(&s);
	sha256_update(&s, leaf_tag, sizeof(leaf_tag));
	for (size_t i = 0; i < count; i++)
		sha256_update(&s, parts[i].p, parts[i].n);
	sha256_final(&s, out);
}

void merkle_leaf(struct hash *out, const void *data, size_t n)
{
	const struct str part = {data, n};
	merkle_leaf_parts(out, &part, 1);
}

void merkle_node(struct hash *out, const struct hash *left, const struct hash *right)
{
	sha256_pair(out, 1, left, right);
}

void merkle_root(struct hash *out, const struct hash *leaves, size_t n)
{
	struct merkle_frontier f = {.size = 0};
	for (size_t i = 0; i < n; i++)
		merkle_frontier_append(&f, &leaves[i], NULL, NULL);
	merkle_frontier_root(&f, out);
}

void merkle_frontier_append(struct merkle_frontier *f, const struct hash *leaf,
			    void (*store)(void *ctx, unsigned level, uint64_t position, const struct hash *h), void *ctx)
{
	invariant(f->size < LEAVES_MAX);
	struct hash h = *leaf;
	unsigned level = 0;
	if (store)
		store(ctx, 0, f->size, &h);
	/* As in counting: each low bit that is set carries, and a carry joins two subtrees into one. */
	for (; f->size >> level & 1; level++) {
		merkle_node(&h, &f->peak[level], &h);
		if (store)
			store(ctx, level + 1, f->size >> (level + 1), &h);
	}
	f->peak[level] = h;
	f->size++;
}

void merkle_frontier_root(const struct merkle_frontier *f, struct hash *out)
{
	if (f->size == 0) {
		sha256(out, NULL, 0);
		return;
	}
	unsigned level = (unsigned)__builtin_ctzll(f->size);
	struct hash h = f->peak[level];
	for (level++; level < 64; level++)
		if (f->size >> level & 1)
			merkle_node(&h, &f->peak[level], &h);
	*out = h;
}

/*
 * Root of the n > 0 leaves from `start`, out of complete subtrees. `start` is a multiple of a power of two that is at least n, so that
 * each subtree of the range is one of the whole list's.
 */
static bool range_root(uint64_t start, uint64_t n, merkle_read_fn *read, void *ctx, struct hash *out)
{
	unsigned level = (unsigned)__builtin_ctzll(n);
	struct hash h;
	/* The subtree of bit `level` begins where those of the higher bits end. */
	if (!read(ctx, level, (start >> level) + ((n >> level) ^ 1), &h))
		return false;
	for (level++; n >> level; level++) {
		struct hash left;
		if (!(n >> level & 1))
			continue;
		if (!read(ctx, level, (start >> level) + ((n >> level) ^ 1), &left))
			return false;
		merkle_node(&h, &left, &h);
	}
	*out = h;
	return true;
}

bool merkle_root_at(uint64_t size, merkle_read_fn *read, void *ctx, struct hash *out)
{
	if (size == 0) {
		sha256(out, NULL, 0);
		return true;
	}
	return size <= LEAVES_MAX && range_root(0, size, read, ctx, out);
}

/* The largest power of two below n; n > 1. */
static uint64_t split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

static void reverse(struct hash *path, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct hash h = path[i];
		path[i] = path[count - 1 - i];
		path[count - 1 - i] = h;
	}
}

/* The proofs descend from the root and meet the hash next to the leaf last; it comes first in the path. */
bool merkle_inclusion_prove(uint64_t index, uint64_t size, merkle_read_fn *read, void *ctx, struct hash path[MERKLE_PATH_MAX],
			    size_t *count)
{
	uint64_t start = 0, n = size;
	size_t found = 0;
	if (index >= size || size > LEAVES_MAX)
		return false;
	while (n > 1) {
		uint64_t k = split(n);
		bool left = index < start + k;
		if (!range_root(left ? start + k : start, left ? n - k : k, read, ctx, &path[found++]))
			return false;
		start += left ? 0 : k;
		n = left ? k : n - k;
	}
	reverse(path, found);
	*count = found;
	return true;
}

bool merkle_consistency_prove(uint64_t from, uint64_t to, merkle_read_fn *read, void *ctx, struct hash path[MERKLE_PATH_MAX],
			      size_t *count)
{
	uint64_t start = 0, n = to;
	size_t found = 0;
	if (from == 0 || from > to || to > LEAVES_MAX)
		return false;
	/* Down to the subtree [start, start + n) that ends exactly where the old list ended. */
	while (start + n != from) {
		uint64_t k = split(n);
		bool left = from <= start + k;
		if (!range_root(left ? start + k : start, left ? n - k : k, read, ctx, &path[found++]))
			return false;
		start += left ? 0 : k;
		n = left ? k : n - k;
	}
	/* Were it the whole old list, its root would be the old root, which the verifier has. */
	if (start > 0 && !range_root(start, n, read, ctx, &path[found++]))
		return false;
	reverse(path, found);
	*count = found;
	return true;
}

/* Where a verifier stands in the tree, as RFC 9162 names it: fn is the node it follows, sn the last node of the same level. */
struct walk {
	uint64_t fn, sn;
};

/* Goes up to the next hash of the path; true when that is a left sibling. */
static bool next_is_left(struct walk *w)
{
	bool left = (w->fn & 1) || w->fn == w->sn;
	if (left)
		/* A last node without a sibling rises unchanged until it is somebody's right child. */
		while (!(w->fn & 1) && w->fn != 0) {
			w->fn >>= 1;
			w->sn >>= 1;
		}
	w->fn >>= 1;
	w->sn >>= 1;
	return left;
}

bool merkle_inclusion_verify(const struct hash *leaf, uint64_t index, uint64_t size, const struct hash *path, size_t count,
			     const struct hash *root)
{
	if (index >= size || size > LEAVES_MAX || count > MERKLE_PATH_MAX)
		return false;
	struct walk w = {index, size - 1};
	struct hash h = *leaf;
	for (size_t i = 0; i < count; i++) {
		if (w.sn == 0)
			return false;
		if (next_is_left(&w))
			merkle_node(&h, &path[i], &h);
		else
			merkle_node(&h, &h, &path[i]);
	}
	return w.sn == 0 && hash_equal(&h, root);
}

bool merkle_consistency_verify(uint64_t from, const struct hash *from_root, uint64_t to, const struct hash *to_root,
			       const struct hash *path, size_t count)
{
	if (from == 0 || from > to || to > LEAVES_MAX || count > MERKLE_PATH_MAX)
		return false;
	if (from == to)
		return count == 0 && hash_equal(from_root, to_root);
	struct walk w = {from - 1, to - 1};
	while (w.fn & 1) {
		w.fn >>= 1;
		w.sn >>= 1;
	}
	/* An old list of 2^k leaves is itself the subtree the walk starts from (fn is 0 then, and only then); else the path begins with it. */
	size_t next = w.fn == 0 ? 0 : 1;
	if (count < next)
		return false;
	struct hash old_root = w.fn == 0 ? *from_root : path[0], new_root = old_root;
	for (; next < count; next++) {
		if (w.sn == 0)
			return false;
		if (next_is_left(&w)) {
			merkle_node(&old_root, &path[next], &old_root);
			merkle_node(&new_root, &path[next], &new_root);
		} else {
			merkle_node(&new_root, &new_root, &path[next]);
		}
	}
	return w.sn == 0 && hash_equal(&old_root, from_root) && hash_equal(&new_root, to_root);
}
