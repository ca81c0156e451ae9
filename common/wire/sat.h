/*
 * Service auth tokens: JWTs (RFC 7519) signed with EdDSA (RFC 8037), by which one service calls another without a shared secret. No I/O,
 * no clock: keys and time are the caller's (common/client/keyring.h has the keys of a network).
 *
 *	header  {"alg":"EdDSA","kid":"<nodeId>/<service>","typ":"JWT"}
 *	claims  iss (node id), sub (service), aud ("<nodeId>/<service>"; a bare service name within one node), iat, exp (s since the epoch),
 *	        jti, scope? (separated by blanks), content? (a SHA-256 that the token is bound to), size? (bytes it is bound to)
 */
#ifndef TANA_WIRE_SAT_H
#define TANA_WIRE_SAT_H

#include "base/arena.h"
#include "base/buf.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

enum {
	SAT_LIFETIME_DEFAULT_S = 5 * 60,
	SAT_LIFETIME_MAX_S = 60 * 60,
	SAT_SKEW_S = 60,       /* iat may lie this far ahead */
	SAT_TEXT_MAX = 4096    /* bytes of a token that are looked at */
};

struct sat {
	struct str node_id, service; /* who calls: iss, sub */
	struct str audience;         /* as written: "<nodeId>/<service>", or "<service>" */
	int64_t issued_at, expires;  /* s */
	struct str id;               /* jti */
	struct str scope;            /* absent: none */
	bool has_content, has_size;
	struct hash content;
	int64_t size;
};

/* Appends the token. issued_at, expires and id are the caller's to set (a lifetime over the limit is an invariant). */
void sat_make(const struct sat *t, const struct ed25519_secret *key, struct buf *out);

/*
 * Reads a token without judging it, for people to look at: ERR_TOKEN_INVALID when it has not the form. *signing_input and *signature are
 * what a check needs.
 */
MUST_CHECK bool sat_parse(struct str token, struct sat *out, struct str *signing_input, struct ed25519_signature *signature,
			  struct arena *arena, struct error *err);

/* The key of "<nodeId>/<service>": false when it is not known, or the node is not active. */
typedef bool sat_key_fn(void *ctx, struct str node_id, struct str service, struct ed25519_public *out);
/*
 * Judges a token for the receiver <node_id>/<service> at now_s. Refused are another alg, a kid that is not iss/sub, an unknown kid, a
 * wrong aud, an expired token, iat more than SAT_SKEW_S ahead, a lifetime over the limit, a bad signature: ERR_TOKEN_INVALID,
 * ERR_TOKEN_EXPIRED (401 both). Says who calls; what the caller may do is sat_allows' and the service's question.
 */
MUST_CHECK bool sat_check(struct str token, struct str node_id, struct str service, int64_t now_s, sat_key_fn *key, void *ctx,
			  struct sat *out, struct arena *arena,
			  struct error *err);
/* The same, with signatures that were found good remembered. */
struct sat_memory;
MUST_CHECK bool sat_check_with(struct sat_memory *memory, struct str token, struct str node_id, struct str service, int64_t now_s,
			       sat_key_fn *key, void *ctx, struct sat *out, struct arena *arena, struct error *err);

/* Has the token this scope ("content:put")? ERR_SCOPE_MISSING (403). */
MUST_CHECK bool sat_has_scope(const struct sat *t, const char *scope, struct error *err);
/* If it is bound to content or size: is it this one? size -1: not known yet (then only the hash is judged). ERR_TOKEN_BOUND (403). */
MUST_CHECK bool sat_fits_content(const struct sat *t, const struct hash *content, int64_t size, struct error *err);

#endif
