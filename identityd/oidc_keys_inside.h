/* Between oidc_keys.c and oidc_jwk.c. */
#ifndef TANA_IDENTITYD_OIDC_KEYS_INSIDE_H
#define TANA_IDENTITYD_OIDC_KEYS_INSIDE_H

#include "oidc_keys.h"

struct rsa_key;
struct ed25519_public;
/* Append the public key as a JWK, and its name. */
void oidc_jwk_write_rsa(const struct rsa_key *k, struct buf *kid, struct buf *jwk);
void oidc_jwk_write_ed25519(const struct ed25519_public *k, struct buf *kid, struct buf *jwk);

#endif
