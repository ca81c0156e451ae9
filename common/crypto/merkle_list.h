/*
 * Merkle tree over a list: RFC 6962 section 2.1 (and RFC 9162 2.1 for consistency). leaf = SHA-256(0x00 || data),
 * node = SHA-256(0x01 || left || right), empty list = SHA-256(""); an uneven list splits at the largest power of two smaller than n.
 *
 * The tree itself is stored by its owner: proofs ask a callback for the hashes of COMPLETE subtrees, so a log of any size proves
 * with O(log n) reads. Sizes and indexes are in leaves, below 2^62.
 */
#ifndef TANA_CRYPTO_MERKLE_LIST_H
#define TANA_CRYPTO_MERKLE_LIST_H

#include "sha256.h"

enum { MERKLE_PATH_MAX = 64 }; /* hashes in the longest proof we make or read */

void merkle_leaf(struct hash *out, const void *data, size_t n);
void merkle_leaf_parts(struct hash *out, const struct str *parts, size_t count);
void merkle_node(struct hash *out, const struct hash *left, const struct hash *right);

/* Root over n leaf hashes; leaves may be NULL when n == 0. */
void merkle_root(struct hash *out, const struct hash *leaves, size_t n);

/* An accumulator for appending: the roots of the complete subtrees, O(log n) state. Zero-initialised is empty. */
struct merkle_frontier {
	uint64_t size;
	struct hash peak[64]; /* peak[k] is valid when bit k of size is set: a complete subtree of 2^k leaves */
};
/*
 * Appends one leaf hash. For each complete subtree that this closes (level 0, the leaf, first), `store` is called with its level k and its
 * position p among the subtrees of that level: it covers leaves p*2^k .. (p+1)*2^k - 1. store may be NULL.
 */
void merkle_frontier_append(struct merkle_frontier *f, const struct hash *leaf,
			    void (*store)(void *ctx, unsigned level, uint64_t position, const struct hash *h), void *ctx);
void merkle_frontier_root(const struct merkle_frontier *f, struct hash *out);

/* Reads the hash of a complete subtree; false when it cannot (the proof then fails). */
typedef bool merkle_read_fn(void *ctx, unsigned level, uint64_t position, struct hash *out);

/* Root of the first `size` leaves. */
MUST_CHECK bool merkle_root_at(uint64_t size, merkle_read_fn *read, void *ctx, struct hash *out);
/* RFC 6962 audit path of leaf `index` in the tree of the first `size` leaves (index < size), leaf-side first. *count hashes are written. */
MUST_CHECK bool merkle_inclusion_prove(uint64_t index, uint64_t size, merkle_read_fn *read, void *ctx, struct hash path[MERKLE_PATH_MAX],
				       size_t *count);
/* RFC 6962 consistency proof from `from` to `to` (0 < from <= to; equal sizes give an empty proof). */
MUST_CHECK bool merkle_consistency_prove(uint64_t from, uint64_t to, merkle_read_fn *read, void *ctx, struct hash path[MERKLE_PATH_MAX],
					 size_t *count);

/* The checks an outsider makes (RFC 9162 2.1.3.2 and 2.1.4.2). False for any path that does not fit exactly. */
MUST_CHECK bool merkle_inclusion_verify(const struct hash *leaf, uint64_t index, uint64_t size, const struct hash *path, size_t count,
					const struct hash *root);
MUST_CHECK bool merkle_consistency_verify(uint64_t from, const struct hash *from_root, uint64_t to, const struct hash *to_root,
					  const struct hash *path, size_t count);

#endif
