/*
 * Signed tokens as text: JWS in its compact form (RFC 7515 7.1), base64url(header).base64url(claims).base64url(signature). The framing only:
 * which algorithm and whose key are right is the judgement of those who know the token's kind (wire/sat.h; identityd's ID tokens), and the
 * cryptography is crypto's.
 */
#ifndef TANA_WIRE_JWS_H
#define TANA_WIRE_JWS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "json/fields.h"

struct jws {
	struct str header, claims, signature; /* base64url, not decoded yet */
	struct str signed_text;               /* what the signature is over: header.claims */
};

/* Exactly three parts between dots, each of which may be empty. The parts lie in `token`. */
MUST_CHECK bool jws_split(struct str token, struct jws *out);
/* Decodes one part and reads it as a struct. ERR_TOKEN_INVALID, naming the part. */
MUST_CHECK bool jws_read_part(struct str part, const char *name, const struct json_message *m, void *out, struct arena *arena, struct error *err);

/* Appends header.claims, which is what to sign: the bytes from `out`'s length before the call on. */
void jws_put_signed_text(struct buf *out, const struct json_message *header_message, const void *header, const struct json_message *claims_message,
			 const void *claims);
/* Appends the dot and the signature. */
void jws_put_signature(struct buf *out, struct str signature);

#endif
