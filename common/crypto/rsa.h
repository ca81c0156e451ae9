/*
 * RSA signatures as JWTs have them: RS256 (RFC 7518 3.3), which is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2), by libcrypto. OpenID
 * Connect clients demand it; nothing else in tana is signed so. Keys made here have 2048 bits and the exponent 65537.
 *
 * A key may be used by several threads at once; it is freed once, by who made or read it.
 */
#ifndef TANA_CRYPTO_RSA_H
#define TANA_CRYPTO_RSA_H

#include "base/buf.h"
#include "base/error.h"

struct rsa_key;

enum {
	RSA_BITS = 2048,
	RSA_BITS_MAX = 4096,   /* of a public key that is read */
	RSA_PEM_MAX = 4 * 1024 /* bytes of a private key as text */
};

/* A new key pair. Takes some 0.1 s of CPU. NULL, ERR_INTERNAL: the library cannot. */
MUST_CHECK struct rsa_key *rsa_generate(struct error *err);
/* A private key from its text (PKCS #8 or PKCS #1 in PEM, not encrypted). NULL, ERR_KEY_FILE: it is none, or has not RSA_BITS. */
MUST_CHECK struct rsa_key *rsa_from_pem(struct str pem, struct error *err);
/* Appends the private key as PKCS #8 in PEM. The caller wipes it. False, ERR_INTERNAL: the library cannot. */
MUST_CHECK bool rsa_to_pem(const struct rsa_key *k, struct buf *out, struct error *err);
/* A public key from modulus and exponent, big-endian. NULL, ERR_MALFORMED_KEY: they are none, or not of RSA_BITS to RSA_BITS_MAX. */
MUST_CHECK struct rsa_key *rsa_from_public(struct str modulus, struct str exponent, struct error *err);
void rsa_free(struct rsa_key *k); /* NULL is allowed; wipes the secret */

/* Appends modulus and exponent, big-endian without leading zeros. */
void rsa_public(const struct rsa_key *k, struct buf *modulus, struct buf *exponent);
/* Appends the signature over `bytes` (as long as the modulus). The key has its secret. False, ERR_INTERNAL: the library cannot. */
MUST_CHECK bool rsa_sign(const struct rsa_key *k, struct str bytes, struct buf *out, struct error *err);
MUST_CHECK bool rsa_verify(const struct rsa_key *k, struct str bytes, struct str signature);

#endif
