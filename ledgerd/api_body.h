/*
 * The body of POST /transactions, taken apart: the bytes of the message that was signed, and the signature beside it. Pure.
 *
 *	{"message": {...}, "signature": "..."}		the message's bytes as they stand there are what was signed; blanks around it are free
 *	{"type": "transfer", ..., "signature": "..."}	flat, for user_creation and transfer: the message is the canonical form of the rest
 */
#ifndef TANA_LEDGERD_API_BODY_H
#define TANA_LEDGERD_API_BODY_H

#include "base/arena.h"
#include "base/error.h"
#include "crypto/ed25519.h"

/*
 * *message is a span of the body, or in the arena (flat). Whether a nested message is canonical is left to tx_parse; everything else about the body
 * is judged: ERR_MALFORMED_JSON, ERR_DUPLICATE_KEY, ERR_MISSING_FIELD, ERR_MALFORMED_FIELD, ERR_MALFORMED_SIGNATURE, ERR_NOT_CANONICAL (a message that
 * is no canonical JSON although the body is JSON).
 */
MUST_CHECK bool submission_read(struct str body, struct arena *arena, struct str *message, struct ed25519_signature *signature, struct error *err);

#endif
