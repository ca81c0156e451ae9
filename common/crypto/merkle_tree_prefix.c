#include "merkle_list.h"
#include "merkle_tree_inside.h"

static const struct hash empty_subtree; /* 32 zero bytes */

size_t merkle_tree_prefix_index(const struct hash *path, unsigned depth)
{
	invariant(depth <= MERKLE_TREE_PREFIX_DEPTH_MAX);
	unsigned first = (unsigned)path->b[0] << 8 | path->b[1];
	return first >> (MERKLE_TREE_PREFIX_DEPTH_MAX - depth);
}

void merkle_tree_prefix(const struct merkle_tree *t, unsigned depth, size_t index, struct merkle_tree_prefix *out)
{
	invariant(!t->loading && depth <= MERKLE_TREE_PREFIX_DEPTH_MAX && index >> depth == 0);
	*out = (struct merkle_tree_prefix){.hash = empty_subtree, .kind = MERKLE_PREFIX_EMPTY};
	tree_ref at = t->root;
	unsigned top = 0;
	bool certain = true; /* that what is below `at` has this prefix, as far as `top` */
	while (tree_is_node(at) && tree_node(t, at)->bit < depth) {
		const struct tree_node *n = tree_node(t, at);
		certain = certain && n->bit == top;
		at = n->child[index >> (depth - 1 - n->bit) & 1];
		top = n->bit + 1U;
	}
	if (at == 0)
		return;
	if (!(certain && top == depth) && merkle_tree_prefix_index(tree_path_below(t, at), depth) != index)
		return;
	out->kind = at & TREE_LEAF ? MERKLE_PREFIX_ONE : MERKLE_PREFIX_MANY;
	if (at & TREE_LEAF || top == depth)
		tree_child_hash(t, at, &out->hash);
	else
		tree_hash_at(t, at, depth, &out->hash);
}

void merkle_tree_prefix_hashes(const struct merkle_tree *t, unsigned depth, struct merkle_tree_prefix *out)
{
	for (size_t i = 0; i >> depth == 0; i++)
		merkle_tree_prefix(t, depth, i, &out[i]);
}

void merkle_tree_prefix_of(const struct merkle_map_entry *sorted, size_t n, unsigned depth, struct merkle_tree_prefix *out)
{
	invariant(n == 0 || merkle_tree_prefix_index(&sorted[0].path, depth) == merkle_tree_prefix_index(&sorted[n - 1].path, depth));
	out->kind = n == 0 ? MERKLE_PREFIX_EMPTY : n == 1 ? MERKLE_PREFIX_ONE : MERKLE_PREFIX_MANY;
	merkle_map_subtree(&out->hash, sorted, n, depth);
}

static bool is_possible(const struct merkle_tree_prefix *p)
{
	switch (p->kind) {
	case MERKLE_PREFIX_EMPTY:
		return hash_equal(&p->hash, &empty_subtree);
	case MERKLE_PREFIX_ONE:
	case MERKLE_PREFIX_MANY:
		return !hash_equal(&p->hash, &empty_subtree);
	}
	return false; /* read from a database: any number may come */
}

static bool subtree_from(const struct merkle_tree_prefix *all, unsigned depth, struct merkle_tree_prefix *out)
{
	if (depth == 0) {
		*out = *all;
		return is_possible(all);
	}
	struct merkle_tree_prefix left, right;
	if (!subtree_from(all, depth - 1, &left) || !subtree_from(all + ((size_t)1 << (depth - 1)), depth - 1, &right))
		return false;
	/* One entry alone rises, and so does nothing at all. */
	if (left.kind == MERKLE_PREFIX_EMPTY && right.kind != MERKLE_PREFIX_MANY) {
		*out = right;
	} else if (right.kind == MERKLE_PREFIX_EMPTY && left.kind != MERKLE_PREFIX_MANY) {
		*out = left;
	} else {
		out->kind = MERKLE_PREFIX_MANY;
		merkle_node(&out->hash, &left.hash, &right.hash);
	}
	return true;
}

bool merkle_tree_root_from_prefixes(const struct merkle_tree_prefix *all, unsigned depth, struct hash *out)
{
	invariant(depth <= MERKLE_TREE_PREFIX_DEPTH_MAX);
	struct merkle_tree_prefix whole;
	if (!subtree_from(all, depth, &whole))
		return false;
	*out = whole.hash;
	return true;
}
