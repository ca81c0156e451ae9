#include "seal.h"

#include <sodium.h>

#include "base/random.h"

enum {
	VERSION = 1,
	SALT_SIZE = 16,
	NONCE_SIZE = 24,
	KEY_SIZE = 32,
	TAG_SIZE = 16,
	OPSLIMIT_AT = 1,
	MEMLIMIT_AT = OPSLIMIT_AT + 4,
	SALT_AT = MEMLIMIT_AT + 8,
	NONCE_AT = SALT_AT + SALT_SIZE,
	HEADER_SIZE = NONCE_AT + NONCE_SIZE,
	OPSLIMIT_MAX = 10, /* a sealed file from elsewhere must not cost the reader minutes, or all the memory there is */
	MEMLIMIT_MAX = 1 << 30,
};
_Static_assert((int)SALT_SIZE == (int)crypto_pwhash_argon2id_SALTBYTES, "libsodium's sizes");
_Static_assert((int)NONCE_SIZE == (int)crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "libsodium's sizes");
_Static_assert((int)KEY_SIZE == (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "libsodium's sizes");
_Static_assert((int)TAG_SIZE == (int)crypto_aead_xchacha20poly1305_ietf_ABYTES, "libsodium's sizes");

static void put_le(uint8_t *out, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *in, size_t bytes)
{
	uint64_t v = 0;
	for (size_t i = 0; i < bytes; i++)
		v |= (uint64_t)in[i] << (8 * i);
	return v;
}

/* The key that the header's limits and salt and the passphrase give. */
static bool derive(const uint8_t header[HEADER_SIZE], struct str passphrase, uint8_t key[KEY_SIZE], struct error *err)
{
	uint64_t passes = get_le(header + OPSLIMIT_AT, 4), bytes = get_le(header + MEMLIMIT_AT, 8);
	if (crypto_pwhash(key, KEY_SIZE, passphrase.p ? passphrase.p : "", passphrase.n, header + SALT_AT, passes, (size_t)bytes,
			  crypto_pwhash_ALG_ARGON2ID13) == 0)
		return true;
	return error_set(err, ERR_KEY_FILE, "not enough memory to derive the key from the passphrase: %llu MiB are needed",
			 (unsigned long long)(bytes >> 20));
}

bool seal(struct str secret, struct str passphrase, struct buf *out, struct error *err)
{
	uint8_t header[HEADER_SIZE] = {VERSION}, key[KEY_SIZE];
	put_le(header + OPSLIMIT_AT, crypto_pwhash_argon2id_OPSLIMIT_MODERATE, 4);
	put_le(header + MEMLIMIT_AT, crypto_pwhash_argon2id_MEMLIMIT_MODERATE, 8);
	random_bytes(header + SALT_AT, SALT_SIZE + NONCE_SIZE);
	if (!derive(header, passphrase, key, err))
		return false;
	buf_reserve(out, HEADER_SIZE + secret.n + TAG_SIZE);
	buf_put(out, header, HEADER_SIZE);
	unsigned long long sealed_size;
	crypto_aead_xchacha20poly1305_ietf_encrypt((unsigned char *)out->data + out->len, &sealed_size, (const unsigned char *)secret.p,
						   secret.n, header, HEADER_SIZE, NULL, header + NONCE_AT, key);
	out->len += (size_t)sealed_size;
	sodium_memzero(key, sizeof(key));
	return true;
}

static bool check_header(struct str sealed, struct error *err)
{
	const uint8_t *header = (const uint8_t *)sealed.p;
	if (sealed.n < HEADER_SIZE + TAG_SIZE)
		return error_set(err, ERR_KEY_FILE, "the sealed key is cut short");
	if (header[0] != VERSION)
		return error_set(err, ERR_KEY_FILE, "the sealed key has format version %u, this program reads %d", header[0], VERSION);
	uint64_t passes = get_le(header + OPSLIMIT_AT, 4), bytes = get_le(header + MEMLIMIT_AT, 8);
	if (passes < crypto_pwhash_argon2id_OPSLIMIT_MIN || passes > OPSLIMIT_MAX || bytes < crypto_pwhash_argon2id_MEMLIMIT_MIN ||
	    bytes > MEMLIMIT_MAX)
		return error_set(err, ERR_KEY_FILE, "the sealed key asks for an unreasonable amount of work or memory");
	return true;
}

bool unseal(struct str sealed, struct str passphrase, struct buf *out, struct error *err)
{
	uint8_t key[KEY_SIZE];
	if (!check_header(sealed, err) || !derive((const uint8_t *)sealed.p, passphrase, key, err))
		return false;
	const uint8_t *header = (const uint8_t *)sealed.p, *body = header + HEADER_SIZE;
	size_t body_size = sealed.n - HEADER_SIZE;
	buf_reserve(out, body_size);
	unsigned long long size;
	int failed = crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)out->data + out->len, &size, NULL, body, body_size, header,
								HEADER_SIZE, header + NONCE_AT, key);
	sodium_memzero(key, sizeof(key));
	if (failed)
		return error_set(err, ERR_KEY_FILE, "wrong passphrase, or the sealed key has been changed");
	out->len += (size_t)size;
	return true;
}
