#include <stdlib.h>

#include "base/mem.h"
#include "merkle_list.h"
#include "merkle_tree_inside.h"
#include "sha256_pairs.h"

enum { TOGETHER = 64, LEAF_TAG = 0, NODE_TAG = 1 };

static const struct hash empty_subtree; /* 32 zero bytes */

struct tree_job {
	tree_ref node;
	uint32_t next; /* on the same level, counted from 1 */
	uint32_t leaf; /* where the hashes of its children begin that are entries, in leaf_hashes */
	uint8_t bit, top;
};

void tree_hashing_init(struct tree_hashing *h)
{
	*h = (struct tree_hashing){.count = 0};
}

void tree_hashing_free(struct tree_hashing *h)
{
	free(h->jobs);
	free(h->leaves);
	free(h->leaf_hashes);
}

static void add_leaf(struct tree_hashing *h, const struct merkle_map_entry *e)
{
	if (h->leaf_count == h->leaf_room) {
		h->leaf_room = h->leaf_room ? 2 * h->leaf_room : 16;
		h->leaves = xrealloc(h->leaves, h->leaf_room * sizeof(const struct merkle_map_entry *));
		h->leaf_hashes = xrealloc(h->leaf_hashes, h->leaf_room * sizeof(*h->leaf_hashes));
	}
	__builtin_prefetch(&e->path);
	h->leaves[h->leaf_count++] = e;
}

static void add_job(struct tree_hashing *h, struct tree_job job)
{
	if (h->count == h->room) {
		h->room = h->room ? 2 * h->room : 64;
		h->jobs = xrealloc(h->jobs, h->room * sizeof(*h->jobs));
	}
	job.next = h->level[job.bit];
	h->jobs[h->count++] = job;
	h->level[job.bit] = (uint32_t)h->count;
	h->deepest = job.bit > h->deepest ? job.bit : h->deepest;
}

/* The dirty nodes become jobs. */
static void collect(struct merkle_tree *t, struct tree_hashing *h, tree_ref at, unsigned top)
{
	if (!tree_is_node(at))
		return;
	struct tree_node *n = tree_node(t, at);
	if (!n->dirty)
		return;
	n->dirty = 0;
	add_job(h, (struct tree_job){.node = at, .leaf = (uint32_t)h->leaf_count, .bit = n->bit, .top = (uint8_t)top});
	for (int side = 0; side < 2; side++)
		if (n->child[side] & TREE_LEAF)
			add_leaf(h, tree_entry(t, n->child[side]));
	collect(t, h, n->child[0], n->bit + 1U);
	collect(t, h, n->child[1], n->bit + 1U);
}

static void hash_leaves(struct tree_hashing *h)
{
	struct sha256_pair pairs[TOGETHER];
	for (size_t from = 0; from < h->leaf_count; from += TOGETHER) {
		size_t n = h->leaf_count - from < TOGETHER ? h->leaf_count - from : TOGETHER;
		for (size_t i = 0; i < n; i++) {
			const struct merkle_map_entry *e = h->leaves[from + i];
			pairs[i] = (struct sha256_pair){&h->leaf_hashes[from + i], &e->path, &e->value_hash};
		}
		sha256_pairs(LEAF_TAG, pairs, n);
	}
}

/* The hash of a node at its own bit, from its children; above that, of itself beside an empty side. */
static struct sha256_pair pair_of(const struct merkle_tree *t, const struct tree_hashing *h, const struct tree_job *job, unsigned level)
{
	struct hash *own = tree_hash(t, job->node);
	if (level < job->bit)
		return tree_path_bit(tree_path_below(t, job->node), level) ? (struct sha256_pair){own, &empty_subtree, own}
									   : (struct sha256_pair){own, own, &empty_subtree};
	const struct tree_node *n = tree_node(t, job->node);
	const struct hash *side[2];
	uint32_t leaf = job->leaf;
	for (int i = 0; i < 2; i++)
		side[i] = n->child[i] & TREE_LEAF ? &h->leaf_hashes[leaf++] : tree_hash(t, n->child[i]);
	return (struct sha256_pair){own, side[0], side[1]};
}

/* All jobs of a level; those whose top is further up go on to the next. */
static void hash_level(struct merkle_tree *t, struct tree_hashing *h, unsigned level)
{
	struct sha256_pair pairs[TOGETHER];
	uint32_t next = h->level[level];
	h->level[level] = 0;
	while (next != 0) {
		size_t n = 0;
		while (next != 0 && n < TOGETHER) {
			struct tree_job *job = &h->jobs[next - 1];
			uint32_t number = next;
			pairs[n++] = pair_of(t, h, job, level);
			next = job->next;
			if (job->top < level) {
				job->next = h->level[level - 1];
				h->level[level - 1] = number;
			}
		}
		sha256_pairs(NODE_TAG, pairs, n);
	}
}

void tree_hash_dirty(struct merkle_tree *t, struct tree_hashing *h, tree_ref at, unsigned top)
{
	h->count = h->leaf_count = h->deepest = 0;
	collect(t, h, at, top);
	hash_leaves(h);
	for (unsigned level = h->deepest + 1U; level-- > top;)
		if (h->level[level] != 0)
			hash_level(t, h, level);
}

void tree_child_hash(const struct merkle_tree *t, tree_ref at, struct hash *out)
{
	if (at & TREE_LEAF)
		merkle_map_leaf(out, tree_entry(t, at));
	else
		*out = *tree_hash(t, at);
}

void tree_hash_at(const struct merkle_tree *t, tree_ref at, unsigned level, struct hash *out)
{
	const struct tree_node *n = tree_node(t, at);
	const struct hash *path = tree_path_below(t, at);
	struct hash left, right;
	tree_child_hash(t, n->child[0], &left);
	tree_child_hash(t, n->child[1], &right);
	merkle_node(out, &left, &right);
	for (unsigned bit = n->bit; bit-- > level;)
		if (tree_path_bit(path, bit))
			merkle_node(out, &empty_subtree, out);
		else
			merkle_node(out, out, &empty_subtree);
}
