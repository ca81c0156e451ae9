/*
 * Ed25519 (RFC 8032) keys and signatures, their text forms, and the tana way of signing a message:
 * digest = SHA-256(message), signature = Ed25519-sign(seed, digest).
 *
 * Verification is libsodium's: strict and cofactorless; S >= L, small-order or non-canonical public keys and small-order R
 * are refused. crypto_start() proves at start that the library at hand judges the published edge cases that way.
 *
 * A secret key lives in memory only as long as its owner needs it: call ed25519_secret_wipe() when done.
 */
#ifndef TANA_CRYPTO_ED25519_H
#define TANA_CRYPTO_ED25519_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
	ED25519_PUBLIC_SIZE = 32,
	ED25519_SEED_SIZE = 32,
	ED25519_SIGNATURE_SIZE = 64,
	ED25519_PUBLIC_TEXT_LEN = 8 + 64,     /* "ed25519_" + hex */
	ED25519_SEED_TEXT_LEN = 8 + 64,
	ED25519_SIGNATURE_TEXT_LEN = 12 + 128 /* "ed25519_sig_" + hex */
};

struct ed25519_public {
	uint8_t b[ED25519_PUBLIC_SIZE];
};
struct ed25519_signature {
	uint8_t b[ED25519_SIGNATURE_SIZE];
};
struct ed25519_secret {
	uint8_t seed[ED25519_SEED_SIZE];
	uint8_t expanded[64]; /* libsodium's form: seed || public */
	struct ed25519_public public_key;
};

/* Initialises the library and runs the self-test. Call once before anything else in this room. False, with a message, when the
 * library is unusable; the process must not go on. Thread-safe afterwards. */
MUST_CHECK bool crypto_start(struct error *err);

/*
 * What stands beside a signature is read leniently (no prefix, upper-case hex, "ed25519_" on signatures); what stands INSIDE signed JSON
 * has the written form only, lest one key have several spellings there.
 */
enum key_reading { KEY_LENIENT, KEY_WRITTEN };

/*
 * ERR_MALFORMED_KEY. A public key of small order or in non-canonical form is refused too, without arithmetic on the curve (well under
 * 1 us): no signature by it would verify. Half of all other 32-byte strings are no point of the curve; that shows when a signature is
 * verified.
 */
MUST_CHECK bool ed25519_public_from_text(struct str s, enum key_reading how, struct ed25519_public *out, struct error *err);
MUST_CHECK bool ed25519_secret_from_text(struct str s, enum key_reading how, struct ed25519_secret *out, struct error *err);
/* ERR_MALFORMED_SIGNATURE. Form only; whether it verifies is another question. */
MUST_CHECK bool ed25519_signature_from_text(struct str s, enum key_reading how, struct ed25519_signature *out, struct error *err);

/* Written forms, NUL-terminated. */
void ed25519_public_to_text(const struct ed25519_public *k, char out[ED25519_PUBLIC_TEXT_LEN + 1]);
void ed25519_seed_to_text(const struct ed25519_secret *k, char out[ED25519_SEED_TEXT_LEN + 1]);
void ed25519_signature_to_text(const struct ed25519_signature *s, char out[ED25519_SIGNATURE_TEXT_LEN + 1]);
bool ed25519_public_equal(const struct ed25519_public *a, const struct ed25519_public *b);

void ed25519_generate(struct ed25519_secret *out);
void ed25519_from_seed(struct ed25519_secret *out, const uint8_t seed[ED25519_SEED_SIZE]);
void ed25519_secret_wipe(struct ed25519_secret *k);

/* The tana form: over SHA-256(message). */
void ed25519_sign_message(struct ed25519_signature *out, const struct ed25519_secret *k, struct str message);
MUST_CHECK bool ed25519_verify_message(const struct ed25519_signature *s, const struct ed25519_public *k, struct str message);

/* Plain RFC 8032 over the bytes themselves: only for JWTs (RFC 8037) and C2SP signed notes. */
void ed25519_sign_bytes(struct ed25519_signature *out, const struct ed25519_secret *k, struct str bytes);
MUST_CHECK bool ed25519_verify_bytes(const struct ed25519_signature *s, const struct ed25519_public *k, struct str bytes);

#endif
