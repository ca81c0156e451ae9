/*
 * Signatures of tokens that were found good, so that a token that comes again and again costs no verification each time. A mark is the
 * SHA-256 of key, signature and signed text: another key for the same caller is another mark. Everything else about a token (time,
 * audience, whether the key still counts) is judged each time. Of fixed size; the newer of two marks for one place stays. Thread-safe.
 */
#ifndef TANA_WIRE_SAT_MEMORY_H
#define TANA_WIRE_SAT_MEMORY_H

#include "base/str.h"
#include "crypto/ed25519.h"

struct sat_memory;
struct sat_memory *sat_memory_new(void);
void sat_memory_free(struct sat_memory *m); /* NULL is allowed */
/* ed25519_verify_bytes, remembered. m NULL: verified each time. */
MUST_CHECK bool sat_memory_verify(struct sat_memory *m, const struct ed25519_signature *signature, const struct ed25519_public *key,
				  struct str signed_text);

#endif
