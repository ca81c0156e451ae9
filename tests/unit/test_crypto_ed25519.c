/* crypto: SHA-256, Ed25519 keys and signatures in their text forms, the published vectors and edge cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/random.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "vectors.h"

static int start(void **state)
{
	(void)state;
	struct error err;
	return crypto_start(&err) && crypto_start(&err) ? 0 : -1; /* a second start does no harm */
}

static void test_sha256(void **state)
{
	(void)state;
	/* FIPS 180-4 and its example of a million a's. */
	struct hash h, expected, parts_hash;
	sha256(&h, NULL, 0);
	assert_true(hash_from_text(STR_LIT("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), &expected));
	assert_true(hash_equal(&h, &expected));
	assert_true(hash_from_text(STR_LIT("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"), &expected));
	char *a = malloc(1000000);
	memset(a, 'a', 1000000);
	sha256(&h, a, 1000000);
	assert_true(hash_equal(&h, &expected));
	/* The same bytes in pieces of all sizes, and cut into parts. */
	for (size_t piece = 1; piece < 200; piece++) {
		struct sha256_state s;
		sha256_init(&s);
		for (size_t at = 0; at < 1000000; at += piece * 37)
			sha256_update(&s, a + at, at + piece * 37 <= 1000000 ? piece * 37 : 1000000 - at);
		sha256_final(&s, &h);
		assert_true(hash_equal(&h, &expected));
	}
	for (size_t n = 0; n < 300; n++) {
		const struct str parts[] = {str_of(a, n / 3), STR_NONE, str_of(a, n - n / 3)};
		sha256_parts(&parts_hash, parts, ARRAY_LEN(parts));
		sha256(&h, a, n);
		assert_true(hash_equal(&h, &parts_hash));
	}
	free(a);
}

static void test_hash_text(void **state)
{
	(void)state;
	struct hash h, back;
	char text[HASH_TEXT_LEN + 1], wrong[HASH_TEXT_LEN + 1];
	random_bytes(h.b, sizeof(h.b));
	h.b[0] = 0xab;
	hash_to_text(&h, text);
	assert_true(hash_from_text(str_from(text), &back));
	assert_true(hash_equal(&h, &back));
	for (size_t n = 0; n < HASH_TEXT_LEN; n++)
		assert_false(hash_from_text(str_of(text, n), &back));
	memcpy(wrong, text, sizeof(text));
	wrong[0] = 'A';
	assert_false(hash_from_text(str_from(wrong), &back));
	assert_false(hash_from_text(str_of(text, HASH_TEXT_LEN + 1), &back));
	assert_false(hash_from_text(STR_NONE, &back));
	for (size_t i = 0; i < HASH_SIZE; i++) {
		back = h;
		back.b[i] ^= 1;
		assert_false(hash_equal(&h, &back));
	}
}

static void test_signature_vectors(void **state)
{
	(void)state;
	json_t *all = vectors_load("signatures.json"), *v;
	size_t i;
	struct error err;
	json_array_foreach(all, i, v)
	{
		struct str message = str_of(json_string_value(json_object_get(v, "message")), json_string_length(json_object_get(v, "message")));
		struct ed25519_public key;
		struct ed25519_secret secret;
		struct ed25519_signature published, made;
		char text[ED25519_SIGNATURE_TEXT_LEN + 1], key_text[ED25519_PUBLIC_TEXT_LEN + 1], digest_text[HASH_TEXT_LEN + 1];
		struct hash digest;
		assert_true(ed25519_public_from_text(str_from(vector_text(v, "publicKey")), KEY_WRITTEN, &key, &err));
		assert_true(ed25519_secret_from_text(str_from(vector_text(v, "privateKey")), KEY_WRITTEN, &secret, &err));
		assert_true(ed25519_signature_from_text(str_from(vector_text(v, "signature")), KEY_WRITTEN, &published, &err));
		assert_true(ed25519_public_equal(&secret.public_key, &key));
		ed25519_public_to_text(&secret.public_key, key_text);
		assert_string_equal(key_text, vector_text(v, "publicKey"));
		ed25519_seed_to_text(&secret, key_text);
		assert_string_equal(key_text, vector_text(v, "privateKey"));
		sha256(&digest, message.p, message.n);
		hash_to_text(&digest, digest_text);
		assert_string_equal(digest_text, vector_text(v, "digest"));
		ed25519_sign_message(&made, &secret, message);
		ed25519_signature_to_text(&made, text);
		assert_string_equal(text, vector_text(v, "signature"));
		assert_true(ed25519_verify_message(&published, &key, message));
		assert_false(ed25519_verify_bytes(&published, &key, message)); /* the digest is what is signed */
		ed25519_secret_wipe(&secret);
	}
	json_decref(all);
}

static void test_verify_refuses(void **state)
{
	(void)state;
	struct ed25519_secret k, other;
	struct ed25519_signature good, bad;
	ed25519_generate(&k);
	ed25519_generate(&other);
	char message[] = "heartbeat:validator-1:1763400000000";
	ed25519_sign_message(&good, &k, str_from(message));
	assert_true(ed25519_verify_message(&good, &k.public_key, str_from(message)));
	assert_false(ed25519_verify_message(&good, &other.public_key, str_from(message)));
	for (size_t bit = 0; bit < 8 * sizeof(good.b); bit++) {
		bad = good;
		bad.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(ed25519_verify_message(&bad, &k.public_key, str_from(message)));
	}
	for (size_t i = 0; message[i]; i++) {
		message[i] ^= 1;
		assert_false(ed25519_verify_message(&good, &k.public_key, str_from(message)));
		message[i] ^= 1;
		assert_false(ed25519_verify_message(&good, &k.public_key, str_of(message, i)));
	}
	/* The same signature with S + L, which lax libraries accept. */
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
					  0,	0,    0,    0,	  0,	0,    0,    0,	  0,	0,    0,    0,	  0,	0,    0,    0x10};
	bad = good;
	unsigned carry = 0;
	for (size_t i = 0; i < 32; i++) {
		carry += (unsigned)bad.b[32 + i] + order[i];
		bad.b[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_false(ed25519_verify_message(&bad, &k.public_key, str_from(message)));
	ed25519_secret_wipe(&k);
	static const struct ed25519_secret zero;
	assert_memory_equal(&k, &zero, sizeof(k));
}

/* `digits` hex digits after a prefix; upper makes them upper case. */
static void spell(struct buf *out, const char *prefix, const uint8_t *bytes, size_t n, bool upper)
{
	buf_clear(out);
	buf_puts(out, prefix);
	size_t start = out->len;
	buf_put_hex(out, bytes, n);
	for (size_t i = start; upper && i < out->len; i++)
		if (out->data[i] >= 'a')
			out->data[i] = (char)(out->data[i] - 'a' + 'A');
}

static const struct spelling {
	const char *prefix;
	bool upper;
	bool key_lenient, key_written, signature_lenient, signature_written;
} spellings[] = {
	{"ed25519_", false, true, true, true, false},	     {"ed25519_", true, true, false, true, false},
	{"", false, true, false, true, false},		     {"", true, true, false, true, false},
	{"ed25519_sig_", false, false, false, true, true},   {"ed25519_sig_", true, false, false, true, false},
	{"ED25519_", false, false, false, false, false},     {"ed25519_ed25519_", false, false, false, false, false},
	{" ed25519_", false, false, false, false, false},    {"ed25519-", false, false, false, false, false},
	{"0x", false, false, false, false, false},	     {"ed25519_sig_ed25519_", false, false, false, false, false},
};

static void test_text_forms(void **state)
{
	(void)state;
	struct ed25519_secret k, read_secret;
	struct ed25519_public read_public;
	struct ed25519_signature signature, read_signature;
	struct error err;
	struct buf text = {0};
	do
		ed25519_generate(&k);
	while (k.seed[0] != 0xab || k.public_key.b[0] < 0xa0); /* letters in both, so that case matters */
	ed25519_sign_message(&signature, &k, STR_LIT("m"));
	signature.b[5] = 0xcd;
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		const struct spelling *s = &spellings[i];
		for (int how = KEY_LENIENT; how <= KEY_WRITTEN; how++) {
			bool key_good = how == KEY_LENIENT ? s->key_lenient : s->key_written;
			bool signature_good = how == KEY_LENIENT ? s->signature_lenient : s->signature_written;
			enum key_reading reading = (enum key_reading)how;
			spell(&text, s->prefix, k.public_key.b, 32, s->upper);
			assert_int_equal(ed25519_public_from_text(buf_str(&text), reading, &read_public, &err), key_good);
			assert_true(key_good ? ed25519_public_equal(&read_public, &k.public_key) : err.code == ERR_MALFORMED_KEY);
			spell(&text, s->prefix, k.seed, 32, s->upper);
			assert_int_equal(ed25519_secret_from_text(buf_str(&text), reading, &read_secret, &err), key_good);
			assert_true(key_good ? memcmp(&read_secret, &k, sizeof(k)) == 0 : err.code == ERR_MALFORMED_KEY);
			assert_null(key_good ? NULL : strstr(err.message, "ab")); /* an error never quotes a private key */
			spell(&text, s->prefix, signature.b, 64, s->upper);
			assert_int_equal(ed25519_signature_from_text(buf_str(&text), reading, &read_signature, &err), signature_good);
			assert_true(signature_good ? memcmp(&read_signature, &signature, 64) == 0 : err.code == ERR_MALFORMED_SIGNATURE);
		}
	}
	buf_free(&text);
}

/* Cut at every byte, lengthened, and with each byte replaced by something that is no digit. */
static void test_text_damaged(void **state)
{
	(void)state;
	struct ed25519_secret k;
	struct ed25519_signature signature;
	struct error err;
	char key[ED25519_PUBLIC_TEXT_LEN + 2], sig[ED25519_SIGNATURE_TEXT_LEN + 2];
	ed25519_generate(&k);
	ed25519_sign_message(&signature, &k, STR_LIT("m"));
	ed25519_public_to_text(&k.public_key, key);
	ed25519_signature_to_text(&signature, sig);
	for (int how = KEY_LENIENT; how <= KEY_WRITTEN; how++) {
		enum key_reading reading = (enum key_reading)how;
		for (size_t n = 0; n < ED25519_PUBLIC_TEXT_LEN; n++) {
			assert_false(ed25519_public_from_text(str_of(key, n), reading, &k.public_key, &err));
			assert_false(ed25519_secret_from_text(str_of(key, n), reading, &k, &err));
			char kept = key[n];
			key[n] = n < 8 ? '?' : 'g';
			assert_false(ed25519_public_from_text(str_from(key), reading, &k.public_key, &err));
			key[n] = '\0';
			assert_false(ed25519_public_from_text(str_of(key, ED25519_PUBLIC_TEXT_LEN), reading, &k.public_key, &err));
			key[n] = kept;
		}
		for (size_t n = 0; n < ED25519_SIGNATURE_TEXT_LEN; n++) {
			assert_false(ed25519_signature_from_text(str_of(sig, n), reading, &signature, &err));
			char kept = sig[n];
			sig[n] = '?';
			assert_false(ed25519_signature_from_text(str_from(sig), reading, &signature, &err));
			sig[n] = kept;
		}
		assert_false(ed25519_public_from_text(str_of(key, ED25519_PUBLIC_TEXT_LEN + 1), reading, &k.public_key, &err));
		assert_false(ed25519_signature_from_text(str_of(sig, ED25519_SIGNATURE_TEXT_LEN + 1), reading, &signature, &err));
		assert_false(ed25519_public_from_text(STR_NONE, reading, &k.public_key, &err));
		assert_false(ed25519_secret_from_text(STR_NONE, reading, &k, &err));
		assert_false(ed25519_signature_from_text(STR_NONE, reading, &signature, &err));
	}
}

/* The y coordinates of all points of small order (in either sign of x), and all non-canonical ones; then their near neighbours. */
static void test_weak_keys(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		bool refused;
	} table[] = {
		{"0000000000000000000000000000000000000000000000000000000000000000", true},
		{"0100000000000000000000000000000000000000000000000000000000000000", true},
		{"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", true},
		{"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", true},
		{"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", true},
		{"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", true},
		{"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", true},
		{"f5ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", true},
		{"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", true},
		{"0200000000000000000000000000000000000000000000000000000000000000", false},
		{"0000000000000000000000000000000000000000000000000000000000000001", false},
		{"ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", false},
		{"edfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe7f", false},
		{"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7e", false},
		{"edfeffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", false},
		{"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037b", false},
		{"cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d", false}, /* of mixed order: signs and verifies */
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		for (unsigned sign = 0; sign <= 0x80; sign += 0x80) {
			struct ed25519_public key;
			struct error err;
			uint8_t bytes[32];
			char text[65];
			assert_true(hex_decode(bytes, 32, table[i].hex, 64, HEX_LOWER_ONLY));
			bytes[31] |= (uint8_t)sign;
			hex_encode(text, bytes, 32);
			assert_int_equal(!ed25519_public_from_text(str_from(text), KEY_LENIENT, &key, &err), table[i].refused);
			if (table[i].refused)
				assert_int_equal(err.code, ERR_MALFORMED_KEY);
		}
}

/* What reading refuses, verification refuses too, even where the equation holds. */
static void test_weak_keys_never_verify(void **state)
{
	(void)state;
	struct ed25519_public identity = {{1}};
	struct ed25519_signature s = {{1}}; /* R the identity, S = 0: 0 B = R + h A holds */
	assert_false(ed25519_verify_bytes(&s, &identity, STR_LIT("any message")));
	assert_false(ed25519_verify_message(&s, &identity, STR_LIT("any message")));
}

static void test_generate(void **state)
{
	(void)state;
	struct ed25519_secret a, b;
	ed25519_generate(&a);
	ed25519_generate(&b);
	assert_memory_not_equal(a.seed, b.seed, sizeof(a.seed));
	struct ed25519_secret again;
	ed25519_from_seed(&again, a.seed);
	assert_memory_equal(&again, &a, sizeof(a));
	/* Every key that we make, we also read. */
	for (int i = 0; i < 1000; i++) {
		char text[ED25519_PUBLIC_TEXT_LEN + 1];
		struct ed25519_public back;
		struct error err;
		ed25519_generate(&a);
		ed25519_public_to_text(&a.public_key, text);
		assert_true(ed25519_public_from_text(str_from(text), KEY_WRITTEN, &back, &err));
		assert_true(ed25519_public_equal(&back, &a.public_key));
		assert_false(ed25519_public_equal(&back, &b.public_key));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),		  cmocka_unit_test(test_hash_text),  cmocka_unit_test(test_signature_vectors),
		cmocka_unit_test(test_verify_refuses),	  cmocka_unit_test(test_text_forms), cmocka_unit_test(test_text_damaged),
		cmocka_unit_test(test_weak_keys),	  cmocka_unit_test(test_generate),   cmocka_unit_test(test_weak_keys_never_verify),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
