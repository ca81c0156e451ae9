/*
 * The keys that sign ID tokens: RS256, which every OpenID client knows, and EdDSA for clients that ask for it.
 *
 * Each instance has private keys of its own, in a file that it makes itself (0600). Only the public halves are in the database, so that all
 * instances publish all of them, and so that nobody can sign with what a database gives away. An instance that lost its file makes new keys.
 *
 * Rotation: a key signs for `lifetime`. Its successor is made, and published, `overlap` before it takes over, so that clients that keep the set
 * for a while know it by then; the old one stays in the set for `overlap` and the life of an ID token after its last signature.
 */
#ifndef TANA_IDENTITYD_OIDC_KEYS_H
#define TANA_IDENTITYD_OIDC_KEYS_H

#include "db/db_pool.h"
#include "oidc_clients.h"

struct oidc_keys;
struct oidc_key_options {
	const char *path;
	int64_t lifetime_ms, overlap_ms; /* overlap < lifetime */
};
/* NULL: the file or the database is to blame. The file is made when it is missing. */
MUST_CHECK struct oidc_keys *oidc_keys_open(const struct oidc_key_options *o, struct db_pool *pool, struct error *err);
void oidc_keys_close(struct oidc_keys *k); /* NULL is allowed */
/* Makes and publishes what is due at `now`; from one thread, every now and then. After a failure the old keys go on. */
MUST_CHECK bool oidc_keys_turn(struct oidc_keys *k, int64_t now, struct error *err);

/* Appends a JWT with these claims, signed by the key whose turn it is at `now`. Thread-safe. ERR_INTERNAL: the library cannot. */
MUST_CHECK bool oidc_keys_sign(struct oidc_keys *k, enum oidc_alg alg, int64_t now, const struct json_message *claims_message, const void *claims, struct buf *out,
			       struct error *err);

/* ---- the public side ---- */

/* The header of a JWT of ours. */
struct oidc_jwt_header {
	struct str alg, kid, typ;
};
extern const struct json_message oidc_jwt_header_message;
/* Does the signature fit, by the public key `jwk` (as published) and its algorithm? What the token says its algorithm is must be the same. */
MUST_CHECK bool oidc_jwk_verifies(struct str jwk, struct str alg, struct str signed_text, struct str signature);

/* ---- when which key: pure ---- */

struct oidc_key_plan {
	int signer;         /* index of the key to sign with; -1: there is none yet */
	bool make;          /* another one is to be made, which signs from ... */
	int64_t signs_from; /* ... on */
};
/* signs_from: of the keys there are, in any order. */
void oidc_key_plan(const int64_t *signs_from, size_t count, int64_t lifetime_ms, int64_t overlap_ms, int64_t now, struct oidc_key_plan *out);
/* When a key leaves the published set. */
int64_t oidc_key_ends(int64_t signs_from, int64_t lifetime_ms, int64_t overlap_ms);

#endif
