/* crypto: sealing with a passphrase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/ed25519.h"
#include "crypto/seal.h"

enum { HEADER_SIZE = 53 };

static int start(void **state)
{
	(void)state;
	struct error err;
	return crypto_start(&err) ? 0 : -1;
}

/* Seals by hand, from the documented layout, at the least cost there is: a second reading of the format, and cheap to open. */
static void seal_cheaply(struct buf *out, const char *secret, const char *passphrase, uint8_t version, uint32_t passes, uint64_t memory)
{
	uint8_t header[HEADER_SIZE] = {version}, key[32];
	for (int i = 0; i < 4; i++)
		header[1 + i] = (uint8_t)(passes >> (8 * i));
	for (int i = 0; i < 8; i++)
		header[5 + i] = (uint8_t)(memory >> (8 * i));
	randombytes_buf(header + 13, 40);
	assert_int_equal(crypto_pwhash(key, sizeof(key), passphrase, strlen(passphrase), header + 13, 1, 8192, crypto_pwhash_ALG_ARGON2ID13), 0);
	buf_clear(out);
	buf_put(out, header, sizeof(header));
	buf_reserve(out, strlen(secret) + 16);
	unsigned long long n;
	crypto_aead_xchacha20poly1305_ietf_encrypt((unsigned char *)out->data + out->len, &n, (const unsigned char *)secret, strlen(secret),
						   header, sizeof(header), NULL, header + 29, key);
	out->len += n;
}

static void test_round_trip(void **state)
{
	(void)state;
	struct buf sealed = {0}, again = {0}, opened = {0};
	struct error err;
	assert_true(seal(STR_LIT("a secret\0!"), STR_LIT("correct horse"), &sealed, &err));
	assert_true(seal(STR_LIT("a secret\0!"), STR_LIT("correct horse"), &again, &err));
	assert_int_equal(sealed.len, HEADER_SIZE + 10 + 16);
	static const uint8_t start_of_header[13] = {1, 3, 0, 0, 0, 0, 0, 0, 0x10}; /* version 1, 3 passes, 256 MiB */
	assert_memory_equal(sealed.data, start_of_header, sizeof(start_of_header));
	assert_memory_not_equal(sealed.data + 13, again.data + 13, 16); /* salt, nonce and text differ each time */
	assert_memory_not_equal(sealed.data + 29, again.data + 29, 24);
	assert_memory_not_equal(sealed.data + 53, again.data + 53, 10);
	buf_puts(&opened, "kept ");
	assert_true(unseal(buf_str(&sealed), STR_LIT("correct horse"), &opened, &err));
	assert_int_equal(opened.len, 15);
	assert_memory_equal(opened.data, "kept a secret\0!", 15);
	assert_false(unseal(buf_str(&sealed), STR_LIT("wrong horse"), &opened, &err));
	assert_int_equal(err.code, ERR_KEY_FILE);
	assert_int_equal(opened.len, 15);
	buf_free(&sealed);
	buf_free(&again);
	buf_free(&opened);
}

static void test_other_sealer(void **state)
{
	(void)state;
	struct buf sealed = {0}, opened = {0};
	struct error err;
	seal_cheaply(&sealed, "secret", "p", 1, 1, 8192);
	assert_true(unseal(buf_str(&sealed), STR_LIT("p"), &opened, &err));
	assert_string_equal(buf_z(&opened), "secret");
	buf_clear(&opened);
	seal_cheaply(&sealed, "", "", 1, 1, 8192);
	assert_true(unseal(buf_str(&sealed), STR_NONE, &opened, &err));
	assert_int_equal(opened.len, 0);
	buf_free(&sealed);
	buf_free(&opened);
}

static void test_changed(void **state)
{
	(void)state;
	struct buf sealed = {0}, opened = {0};
	struct error err;
	seal_cheaply(&sealed, "secret", "p", 1, 1, 8192);
	for (size_t i = 0; i < sealed.len; i++) {
		assert_false(unseal(str_of(sealed.data, i), STR_LIT("p"), &opened, &err));
		assert_int_equal(err.code, ERR_KEY_FILE);
		assert_int_equal(strstr(err.message, "cut short") != NULL, i < HEADER_SIZE + 16);
		if (i >= 1 && i < 13)
			continue; /* the limits, below: here they would only cost time */
		sealed.data[i] ^= 1;
		assert_false(unseal(buf_str(&sealed), STR_LIT("p"), &opened, &err));
		assert_int_equal(err.code, ERR_KEY_FILE);
		sealed.data[i] ^= 1;
	}
	buf_putc(&sealed, 'x');
	assert_false(unseal(buf_str(&sealed), STR_LIT("p"), &opened, &err));
	assert_false(unseal(STR_NONE, STR_LIT("p"), &opened, &err));
	assert_int_equal(opened.len, 0);
	buf_free(&sealed);
	buf_free(&opened);
}

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		uint8_t version;
		uint32_t passes;
		uint64_t memory;
		const char *complaint;
	} table[] = {
		{0, 1, 8192, "version 0"},
		{2, 1, 8192, "version 2"},
		{1, 0, 8192, "unreasonable"},
		{1, 11, 8192, "unreasonable"},
		{1, UINT32_MAX, 8192, "unreasonable"},
		{1, 1, 0, "unreasonable"},
		{1, 1, 8191, "unreasonable"},
		{1, 1, (UINT64_C(1) << 30) + 1, "unreasonable"},
		{1, 1, UINT64_MAX, "unreasonable"},
		{1, 2, 8192, "wrong passphrase"}, /* in range, but authenticated */
		{1, 1, 16384, "wrong passphrase"},
	};
	struct buf sealed = {0}, opened = {0};
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		seal_cheaply(&sealed, "secret", "p", table[i].version, table[i].passes, table[i].memory);
		assert_false(unseal(buf_str(&sealed), STR_LIT("p"), &opened, &err));
		assert_int_equal(err.code, ERR_KEY_FILE);
		assert_non_null(strstr(err.message, table[i].complaint));
	}
	buf_free(&sealed);
	buf_free(&opened);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_other_sealer),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
