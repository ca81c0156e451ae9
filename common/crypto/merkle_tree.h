/*
 * The sparse Merkle tree over a map (merkle_map.h, docs/protocol.md), kept in memory and updated in place: k changes among n entries cost
 * O(k log n) hashes, each inner node that they touch being hashed once. The root depends on the entries only, never on the order of changes.
 *
 * What is kept are the entries and the n - 1 nodes that have two sides: 108 bytes an entry, in blocks of at most 1 MiB that are never moved; what
 * deleted entries leave is used again. Fewer than 2^31 entries.
 *
 * A tree belongs to one thread at a time. Calls that take a const tree change nothing, so any number of threads may make those while no other
 * call is under way. Two entries with one path, or two changes of one path in a batch, are a mistake of the caller (invariant).
 */
#ifndef TANA_CRYPTO_MERKLE_TREE_H
#define TANA_CRYPTO_MERKLE_TREE_H

#include "merkle_map.h"

struct merkle_tree;
MUST_CHECK struct merkle_tree *merkle_tree_new(void);
void merkle_tree_free(struct merkle_tree *t); /* NULL is allowed */

size_t merkle_tree_count(const struct merkle_tree *t);
size_t merkle_tree_bytes(const struct merkle_tree *t); /* of memory, what is free for further entries included */
void merkle_tree_root(const struct merkle_tree *t, struct hash *out);
/* False, *value_hash unchanged: no such entry. */
MUST_CHECK bool merkle_tree_find(const struct merkle_tree *t, const struct hash *path, struct hash *value_hash);
/* As merkle_map_prove, in O(log n). */
bool merkle_tree_prove(const struct merkle_tree *t, const struct hash *path, struct merkle_map_proof *out);

/* What an entry is to be. To delete one that is not there, or to set a value that is there already, changes nothing. */
struct merkle_tree_change {
	struct hash path;
	struct hash value_hash; /* when present */
	bool present;
};
/*
 * Applies a batch, in any order. `undo`, unless NULL, has room for n and becomes the batch that takes this one back: to apply it leads to the
 * entries, and so to the root, of before. It must not be `changes` itself.
 */
void merkle_tree_apply(struct merkle_tree *t, const struct merkle_tree_change *changes, size_t n, struct merkle_tree_change *undo);

/*
 * Many entries at once, into a new tree: load as often as there are pieces, in any order, then build, which hashes everything on `threads`
 * (at least 1; fewer when the system gives none). Between the first load and build no other call but free is allowed.
 */
void merkle_tree_load(struct merkle_tree *t, const struct merkle_map_entry *entries, size_t n);
void merkle_tree_build(struct merkle_tree *t, unsigned threads);

/*
 * The tree cut at a depth: 2^depth subtrees, numbered by the first bits of their paths. Such a list, stored beside the entries, proves to fit
 * a root in no time, before the entries are read. The kind is needed for that: a subtree of exactly one entry rises to where its sibling is
 * not empty, one of many is hashed again at each level. A root says the hashes, but not every kind: that they are those of the entries
 * shows when both are at hand.
 */
enum { MERKLE_TREE_PREFIX_DEPTH_MAX = 16 };
enum merkle_tree_prefix_kind { MERKLE_PREFIX_EMPTY, MERKLE_PREFIX_ONE, MERKLE_PREFIX_MANY };
struct merkle_tree_prefix {
	struct hash hash; /* zeros when empty, and only then */
	enum merkle_tree_prefix_kind kind;
};
/* Which of the subtrees at `depth` (at most MERKLE_TREE_PREFIX_DEPTH_MAX, here and below) a path belongs to. */
size_t merkle_tree_prefix_index(const struct hash *path, unsigned depth);
/* One of them, in O(log n); all of them, `out` having room for 2^depth. */
void merkle_tree_prefix(const struct merkle_tree *t, unsigned depth, size_t index, struct merkle_tree_prefix *out);
void merkle_tree_prefix_hashes(const struct merkle_tree *t, unsigned depth, struct merkle_tree_prefix *out);
/* The same from sorted entries that all belong to one subtree, without a tree. */
void merkle_tree_prefix_of(const struct merkle_map_entry *sorted, size_t n, unsigned depth, struct merkle_tree_prefix *out);
/* The root above 2^depth subtrees. False when one of them cannot be: an empty one with a hash, or one with none that is not empty. */
MUST_CHECK bool merkle_tree_root_from_prefixes(const struct merkle_tree_prefix *all, unsigned depth, struct hash *out);

#endif
