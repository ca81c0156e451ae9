/*
 * SHA-256 of exactly 65 bytes, tag || left || right: every leaf and every inner node of a Merkle tree over a map, and the inner nodes of one
 * over a list. Where the CPU has SHA instructions, two independent ones are computed at once, which takes the time of one (figures:
 * docs/decisions.md); elsewhere each goes through libcrypto. The results are the same; crypto_start() checks that.
 */
#ifndef TANA_CRYPTO_SHA256_PAIRS_H
#define TANA_CRYPTO_SHA256_PAIRS_H

#include "sha256.h"

/* `out` may be left or right itself, but nothing that another job of the same call reads or writes. */
struct sha256_pair {
	struct hash *out;
	const struct hash *left, *right;
};

void sha256_pair(struct hash *out, uint8_t tag, const struct hash *left, const struct hash *right);
void sha256_pairs(uint8_t tag, const struct sha256_pair *jobs, size_t n);

/* The same through libcrypto, whatever the CPU: the other half of tests and measurements. */
void sha256_pairs_portable(uint8_t tag, const struct sha256_pair *jobs, size_t n);

#endif
