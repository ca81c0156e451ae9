/* HMAC (RFC 2104) with SHA-256. */
#ifndef TANA_CRYPTO_HMAC_H
#define TANA_CRYPTO_HMAC_H

#include "sha256.h"

/* Any length of key. What is made of the key on the way is wiped. */
void hmac_sha256(struct hash *out, struct str key, struct str message);

#endif
