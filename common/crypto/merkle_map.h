/*
 * Sparse Merkle tree over a map, as a pure function of its entries (docs/protocol.md). path = SHA-256(key), most significant bit first;
 * leaf = SHA-256(0x00 || path || SHA-256(value)); a subtree with no entry is 32 zero bytes, with exactly one entry that entry's leaf at
 * whatever depth, otherwise SHA-256(0x01 || left || right).
 *
 * This header has the root from scratch, proofs and their check; merkle_tree.h has the same tree kept up to date.
 */
#ifndef TANA_CRYPTO_MERKLE_MAP_H
#define TANA_CRYPTO_MERKLE_MAP_H

#include "sha256.h"

enum { MERKLE_MAP_DEPTH = 256 };

struct merkle_map_entry {
	struct hash path;       /* SHA-256(key) */
	struct hash value_hash; /* SHA-256(value) */
};

void merkle_map_entry(struct merkle_map_entry *out, struct str key, struct str value);
void merkle_map_leaf(struct hash *out, const struct merkle_map_entry *e);

/* Sorts `entries` by path, in place. Two entries with one path are a mistake of the caller (invariant). O(n log n). */
void merkle_map_sort(struct merkle_map_entry *entries, size_t n);
/* Root of sorted entries; of those of a subtree, which agree in the bits above its depth. */
void merkle_map_root(struct hash *out, const struct merkle_map_entry *sorted, size_t n);
void merkle_map_subtree(struct hash *out, const struct merkle_map_entry *sorted, size_t n, size_t depth);

/* For a key that is present: siblings only. For one that is absent: siblings, and the other leaf at its position if there is one. */
struct merkle_map_proof {
	size_t count;                            /* siblings, from the deepest to the root */
	struct hash siblings[MERKLE_MAP_DEPTH];
	bool has_other;                          /* absence only */
	struct merkle_map_entry other;
};
/* True when the key (its path) is present. Fills the proof either way. */
bool merkle_map_prove(const struct merkle_map_entry *sorted, size_t n, const struct hash *path, struct merkle_map_proof *out);

MUST_CHECK bool merkle_map_verify_present(const struct hash *root, const struct merkle_map_entry *e, const struct merkle_map_proof *p);
MUST_CHECK bool merkle_map_verify_absent(const struct hash *root, const struct hash *path, const struct merkle_map_proof *p);

#endif
