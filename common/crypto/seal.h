/*
 * Sealing a small secret with a passphrase: Argon2id (libsodium's MODERATE limits: 256 MiB, 3 passes) derives the key,
 * XChaCha20-Poly1305-IETF seals.
 * Layout, in bytes: 1 version (1) | 4 opslimit LE | 8 memlimit LE | 16 salt | 24 nonce | ciphertext + 16 tag. All before the ciphertext is
 * authenticated as additional data.
 */
#ifndef TANA_CRYPTO_SEAL_H
#define TANA_CRYPTO_SEAL_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the sealed form to *out. ERR_KEY_FILE when the memory for Argon2id is not there. */
MUST_CHECK bool seal(struct str secret, struct str passphrase, struct buf *out, struct error *err);
/*
 * Appends the secret to *out (the caller wipes it). Wrong passphrase or changed bytes: ERR_KEY_FILE. Limits beyond 1 GiB or 10 passes are
 * refused, also with ERR_KEY_FILE.
 */
MUST_CHECK bool unseal(struct str sealed, struct str passphrase, struct buf *out, struct error *err);

#endif
