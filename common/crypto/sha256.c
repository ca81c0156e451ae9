/*
 * libcrypto's SHA256_* functions: they use the CPU's SHA instructions, which libsodium does not, and cost less than half of the EVP
 * layer for what is hashed most here, inputs of 32 to 300 bytes. They are marked as deprecated in OpenSSL 3 in favour of EVP, with no
 * date of removal; should they go, this file is all that changes. Figures: docs/decisions.md.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "sha256.h"

#include <openssl/sha.h>

#include "base/hex.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct sha256_state), "the opaque state must hold libcrypto's");
_Static_assert(_Alignof(SHA256_CTX) <= _Alignof(struct sha256_state), "and be aligned for it");

static SHA256_CTX *inner(struct sha256_state *s)
{
	return (SHA256_CTX *)(void *)s->opaque;
}

/* The calls below cannot fail: they only compute (their int results are always 1). */
void sha256_init(struct sha256_state *s)
{
	SHA256_Init(inner(s));
}

void sha256_update(struct sha256_state *s, const void *p, size_t n)
{
	if (n > 0)
		SHA256_Update(inner(s), p, n);
}

void sha256_final(struct sha256_state *s, struct hash *out)
{
	SHA256_Final(out->b, inner(s));
}

void sha256(struct hash *out, const void *p, size_t n)
{
	struct sha256_state s;
	sha256_init(&s);
	sha256_update(&s, p, n);
	sha256_final(&s, out);
}

void sha256_parts(struct hash *out, const struct str *parts, size_t count)
{
	struct sha256_state s;
	sha256_init(&s);
	for (size_t i = 0; i < count; i++)
		sha256_update(&s, parts[i].p, parts[i].n);
	sha256_final(&s, out);
}

bool hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->b, b->b, HASH_SIZE) == 0;
}

void hash_to_text(const struct hash *h, char out[HASH_TEXT_LEN + 1])
{
	hex_encode(out, h->b, HASH_SIZE);
}

bool hash_from_text(struct str s, struct hash *out)
{
	return hex_decode(out->b, HASH_SIZE, s.p, s.n, HEX_LOWER_ONLY);
}
