#include "ed25519.h"

#include <sodium.h>

#include "base/hex.h"
#include "base/random.h"
#include "sha256.h"

_Static_assert(ED25519_PUBLIC_SIZE == crypto_sign_PUBLICKEYBYTES, "libsodium's sizes");
_Static_assert(ED25519_SEED_SIZE == crypto_sign_SEEDBYTES, "libsodium's sizes");
_Static_assert(ED25519_SIGNATURE_SIZE == crypto_sign_BYTES, "libsodium's sizes");
_Static_assert(sizeof(((struct ed25519_secret *)0)->expanded) == crypto_sign_SECRETKEYBYTES, "libsodium's sizes");

#define KEY_PREFIX "ed25519_"
#define SIGNATURE_PREFIX "ed25519_sig_"

/*
 * The y coordinates of the eight points whose order divides 8, less those that only differ in the sign of x. Anybody can make
 * signatures that such a key "verifies".
 */
static const uint8_t small_order_y[][ED25519_PUBLIC_SIZE] = {
	{0},
	{1},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
	 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
	 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, /* -1 */
};

/* y < p = 2^255 - 19, that is not one of the 19 values ed ff .. ff 7f to ff ff .. ff 7f. Bit 255 is the sign of x. */
static bool y_is_canonical(const uint8_t y[ED25519_PUBLIC_SIZE])
{
	if (y[0] < 0xed || y[31] != 0x7f)
		return true;
	for (int i = 1; i < 31; i++)
		if (y[i] != 0xff)
			return true;
	return false;
}

/* What every verification refuses whatever the signature, found without decompressing the point: this runs for each key that is read. */
static bool key_can_verify(const struct ed25519_public *k)
{
	uint8_t y[ED25519_PUBLIC_SIZE];
	memcpy(y, k->b, sizeof(y));
	y[31] &= 0x7f;
	for (size_t i = 0; i < ARRAY_LEN(small_order_y); i++)
		if (memcmp(y, small_order_y[i], sizeof(y)) == 0)
			return false;
	return y_is_canonical(y);
}

/* Removes the prefix. False when it is not there. */
static bool strip(struct str *s, const char *prefix)
{
	if (!str_starts(*s, prefix))
		return false;
	*s = str_of(s->p + strlen(prefix), s->n - strlen(prefix));
	return true;
}

/* `ed25519_` and 64 digits, for both halves of a pair. */
static bool read_key(struct str s, enum key_reading how, uint8_t out[ED25519_PUBLIC_SIZE])
{
	bool prefixed = strip(&s, KEY_PREFIX);
	return (prefixed || how == KEY_LENIENT) &&
	       hex_decode(out, ED25519_PUBLIC_SIZE, s.p, s.n, how == KEY_LENIENT ? HEX_ANY_CASE : HEX_LOWER_ONLY);
}

bool ed25519_public_from_text(struct str s, enum key_reading how, struct ed25519_public *out, struct error *err)
{
	if (!read_key(s, how, out->b))
		return error_set(err, ERR_MALFORMED_KEY, "a public key is \"ed25519_\" and 64 %s digits",
				 how == KEY_LENIENT ? "hexadecimal" : "lower-case hexadecimal");
	if (!key_can_verify(out))
		return error_set(err, ERR_MALFORMED_KEY, "this public key is of small order or not in canonical form: no signature by it is valid");
	return true;
}

bool ed25519_secret_from_text(struct str s, enum key_reading how, struct ed25519_secret *out, struct error *err)
{
	uint8_t seed[ED25519_SEED_SIZE];
	bool ok = read_key(s, how, seed);
	if (ok)
		ed25519_from_seed(out, seed);
	sodium_memzero(seed, sizeof(seed));
	return ok || error_set(err, ERR_MALFORMED_KEY, "a private key is \"ed25519_\" and 64 %s digits",
			       how == KEY_LENIENT ? "hexadecimal" : "lower-case hexadecimal");
}

bool ed25519_signature_from_text(struct str s, enum key_reading how, struct ed25519_signature *out, struct error *err)
{
	bool prefixed = strip(&s, SIGNATURE_PREFIX) || (how == KEY_LENIENT && strip(&s, KEY_PREFIX));
	if ((prefixed || how == KEY_LENIENT) &&
	    hex_decode(out->b, ED25519_SIGNATURE_SIZE, s.p, s.n, how == KEY_LENIENT ? HEX_ANY_CASE : HEX_LOWER_ONLY))
		return true;
	return error_set(err, ERR_MALFORMED_SIGNATURE, "a signature is \"ed25519_sig_\" and 128 %s digits",
			 how == KEY_LENIENT ? "hexadecimal" : "lower-case hexadecimal");
}

void ed25519_public_to_text(const struct ed25519_public *k, char out[ED25519_PUBLIC_TEXT_LEN + 1])
{
	memcpy(out, KEY_PREFIX, strlen(KEY_PREFIX));
	hex_encode(out + strlen(KEY_PREFIX), k->b, sizeof(k->b));
}

void ed25519_seed_to_text(const struct ed25519_secret *k, char out[ED25519_SEED_TEXT_LEN + 1])
{
	memcpy(out, KEY_PREFIX, strlen(KEY_PREFIX));
	hex_encode(out + strlen(KEY_PREFIX), k->seed, sizeof(k->seed));
}

void ed25519_signature_to_text(const struct ed25519_signature *s, char out[ED25519_SIGNATURE_TEXT_LEN + 1])
{
	memcpy(out, SIGNATURE_PREFIX, strlen(SIGNATURE_PREFIX));
	hex_encode(out + strlen(SIGNATURE_PREFIX), s->b, sizeof(s->b));
}

bool ed25519_public_equal(const struct ed25519_public *a, const struct ed25519_public *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void ed25519_from_seed(struct ed25519_secret *out, const uint8_t seed[ED25519_SEED_SIZE])
{
	memcpy(out->seed, seed, ED25519_SEED_SIZE);
	crypto_sign_seed_keypair(out->public_key.b, out->expanded, out->seed);
}

void ed25519_generate(struct ed25519_secret *out)
{
	uint8_t seed[ED25519_SEED_SIZE];
	random_bytes(seed, sizeof(seed));
	ed25519_from_seed(out, seed);
	sodium_memzero(seed, sizeof(seed));
}

void ed25519_secret_wipe(struct ed25519_secret *k)
{
	sodium_memzero(k, sizeof(*k));
}

void ed25519_sign_bytes(struct ed25519_signature *out, const struct ed25519_secret *k, struct str bytes)
{
	crypto_sign_detached(out->b, NULL, (const unsigned char *)bytes.p, bytes.n, k->expanded);
}

bool ed25519_verify_bytes(const struct ed25519_signature *s, const struct ed25519_public *k, struct str bytes)
{
	return crypto_sign_verify_detached(s->b, (const unsigned char *)bytes.p, bytes.n, k->b) == 0;
}

void ed25519_sign_message(struct ed25519_signature *out, const struct ed25519_secret *k, struct str message)
{
	struct hash digest;
	sha256(&digest, message.p, message.n);
	ed25519_sign_bytes(out, k, str_of((const char *)digest.b, sizeof(digest.b)));
}

bool ed25519_verify_message(const struct ed25519_signature *s, const struct ed25519_public *k, struct str message)
{
	struct hash digest;
	sha256(&digest, message.p, message.n);
	return ed25519_verify_bytes(s, k, str_of((const char *)digest.b, sizeof(digest.b)));
}
