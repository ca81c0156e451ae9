/*
 * Inside merkle_tree*.c. The tree is a binary trie without one-sided nodes: an inner node names the bit at which the paths below it part, and
 * the levels it stands for reach from its parent's bit + 1 (its `top`) down to there. Its hash is that of the subtree as the parent sees it,
 * that is, the hash at its bit, taken up through the levels with one empty side.
 */
#ifndef TANA_CRYPTO_MERKLE_TREE_INSIDE_H
#define TANA_CRYPTO_MERKLE_TREE_INSIDE_H

#include "base/log.h"
#include "merkle_tree.h"

/* What stands at a place: nothing (0), an entry (the highest bit, and its number in `entries`), or the number of an inner node. */
typedef uint32_t tree_ref;
#define TREE_LEAF UINT32_C(0x80000000)

/* The hashes are kept apart: to find a place only these twelve bytes are read, so that the upper levels of a large tree stay in the cache. */
struct tree_node {
	tree_ref child[2]; /* neither is empty; [1] has the paths whose bit is set */
	uint8_t bit;
	uint8_t dirty; /* hash is to be made anew; then it is so in all nodes above */
};
_Static_assert(sizeof(struct tree_node) + sizeof(struct hash) == 44, "memory per entry");

/* Things of one size in blocks, by number from 1. A free one holds the number of the next free one in its first bytes. */
enum { TREE_BLOCK_BITS = 14, TREE_BLOCK = 1 << TREE_BLOCK_BITS, TREE_BLOCK_ALIGNMENT = 64 };
struct tree_pool {
	size_t item_size;
	uint8_t **blocks;
	size_t block_count, block_room;
	uint32_t used; /* numbers given out at some time */
	uint32_t free; /* the first free one; 0: none */
};

struct merkle_tree {
	struct tree_pool entries, nodes, hashes; /* a hash has its node's number */
	tree_ref root;
	uint32_t count;
	bool loading;
};

/* A new entry or node; its bytes are not set. Fewer than 2^31 can be had (invariant). Or `n` new ones with numbers in a row; the first. */
uint32_t tree_entry_take(struct merkle_tree *t);
uint32_t tree_entries_take(struct merkle_tree *t, size_t n);
uint32_t tree_node_take(struct merkle_tree *t);
uint32_t tree_nodes_take(struct merkle_tree *t, size_t n);
void tree_pool_put_back(struct tree_pool *p, uint32_t number);
void tree_pool_clear(struct tree_pool *p);

static inline void *tree_pool_at(const struct tree_pool *p, uint32_t number, size_t size)
{
	return p->blocks[number >> TREE_BLOCK_BITS] + (number & (TREE_BLOCK - 1)) * size;
}

static inline struct tree_node *tree_node(const struct merkle_tree *t, tree_ref at)
{
	return tree_pool_at(&t->nodes, at, sizeof(struct tree_node));
}

static inline struct hash *tree_hash(const struct merkle_tree *t, tree_ref at)
{
	return tree_pool_at(&t->hashes, at, sizeof(struct hash));
}

static inline struct merkle_map_entry *tree_entry(const struct merkle_tree *t, tree_ref at)
{
	return tree_pool_at(&t->entries, at & ~TREE_LEAF, sizeof(struct merkle_map_entry));
}

static inline bool tree_is_node(tree_ref at)
{
	return at != 0 && !(at & TREE_LEAF);
}

static inline bool tree_path_bit(const struct hash *path, unsigned bit)
{
	return path->b[bit / 8] >> (7 - bit % 8) & 1;
}

/* Eight bytes of a path, from byte 8 * i, in an order that compares like the path. */
static inline uint64_t tree_path_word(const struct hash *path, unsigned i)
{
	uint64_t w;
	memcpy(&w, path->b + 8 * i, sizeof(w));
	return __builtin_bswap64(w);
}

/* The first bit in which they differ; MERKLE_MAP_DEPTH when they do not. */
static inline unsigned tree_paths_part(const struct hash *a, const struct hash *b)
{
	for (unsigned i = 0; i < HASH_SIZE / 8; i++) {
		uint64_t d = tree_path_word(a, i) ^ tree_path_word(b, i);
		if (d)
			return 64 * i + (unsigned)__builtin_clzll(d);
	}
	return MERKLE_MAP_DEPTH;
}

/* A path of what is below a place (not an empty one): they all agree in the bits above the place's own. */
static inline const struct hash *tree_path_below(const struct merkle_tree *t, tree_ref at)
{
	while (!(at & TREE_LEAF))
		at = tree_node(t, at)->child[0];
	return &tree_entry(t, at)->path;
}

/* ---- sorting by path ---- */

struct tree_item {
	uint64_t head; /* the path's first word */
	const struct hash *path;
	uint32_t number; /* the owner's */
};
/* Sorts items that agree in the bits above `bit`; two with one path are a mistake (invariant). */
void tree_items_sort(struct tree_item *items, size_t n, unsigned bit);
/* The first of the sorted items from..to, which agree in the bits above `bit`, that has it set; `to` when none has. */
size_t tree_items_split(const struct tree_item *items, size_t from, size_t to, unsigned bit);

/* ---- hashing (merkle_tree_hash.c) ---- */

struct tree_job;
/* Nodes to hash, by their levels: what is on one level is independent, and is hashed together. */
struct tree_hashing {
	struct tree_job *jobs;
	size_t count, room;
	const struct merkle_map_entry **leaves; /* below the jobs' nodes */
	struct hash *leaf_hashes;
	size_t leaf_count, leaf_room;
	unsigned deepest; /* level of a job */
	uint32_t level[MERKLE_MAP_DEPTH]; /* the first job of each level, counted from 1; 0: none */
};
void tree_hashing_init(struct tree_hashing *h);
void tree_hashing_free(struct tree_hashing *h);
/* Hashes the dirty nodes from `at`, whose levels begin at `top`, on downwards. They are clean then. */
void tree_hash_dirty(struct merkle_tree *t, struct tree_hashing *h, tree_ref at, unsigned top);
/* The hash of a child as its parent sees it (not an empty one). */
void tree_child_hash(const struct merkle_tree *t, tree_ref at, struct hash *out);
/* The hash of an inner node's subtree at a level between its top and its bit. */
void tree_hash_at(const struct merkle_tree *t, tree_ref at, unsigned level, struct hash *out);

#endif
