#include "hmac.h"

#include <sodium.h>

enum { BLOCK = 64 /* bytes: SHA-256's */ };

void hmac_sha256(struct hash *out, struct str key, struct str message)
{
	uint8_t pad[BLOCK] = {0};
	struct hash inner;
	if (key.n > BLOCK) {
		sha256(&inner, key.p, key.n);
		memcpy(pad, inner.b, sizeof(inner.b));
	} else if (key.n > 0) {
		memcpy(pad, key.p, key.n);
	}
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	sha256_parts(&inner, (const struct str[]){{(const char *)pad, BLOCK}, message}, 2);
	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sha256_parts(out, (const struct str[]){{(const char *)pad, BLOCK}, {(const char *)inner.b, HASH_SIZE}}, 2);
	sodium_memzero(pad, sizeof(pad));
	sodium_memzero(&inner, sizeof(inner));
}
