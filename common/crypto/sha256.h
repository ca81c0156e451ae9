/* SHA-256 (FIPS 180-4). The implementation behind it is chosen by measurement (docs/decisions.md); callers need not know. */
#ifndef TANA_CRYPTO_SHA256_H
#define TANA_CRYPTO_SHA256_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { HASH_SIZE = 32, HASH_TEXT_LEN = 64 };

struct hash {
	uint8_t b[HASH_SIZE];
};

void sha256(struct hash *out, const void *p, size_t n);
/* SHA-256 over the concatenation of `count` parts. */
void sha256_parts(struct hash *out, const struct str *parts, size_t count);

/* Streaming, for what does not fit in memory. init, update..., final (after which only init is valid). */
struct sha256_state {
	_Alignas(16) uint8_t opaque[128];
};
void sha256_init(struct sha256_state *s);
void sha256_update(struct sha256_state *s, const void *p, size_t n);
void sha256_final(struct sha256_state *s, struct hash *out);

bool hash_equal(const struct hash *a, const struct hash *b);
/* Written form: 64 lower-case hex digits, and nothing else is read. out has room for HASH_TEXT_LEN + 1. */
void hash_to_text(const struct hash *h, char out[HASH_TEXT_LEN + 1]);
MUST_CHECK bool hash_from_text(struct str s, struct hash *out);

#endif
