/* crypto: signed notes and checkpoints, and what is not quite one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/note.h"
#include "dies.h"

static struct ed25519_secret key, other_key;

static int start(void **state)
{
	(void)state;
	struct error err;
	static const uint8_t seeds[2][ED25519_SEED_SIZE] = {{1}, {2}};
	if (!crypto_start(&err))
		return -1;
	ed25519_from_seed(&key, seeds[0]);
	ed25519_from_seed(&other_key, seeds[1]);
	return 0;
}

static struct checkpoint example(void)
{
	struct checkpoint c = {.origin = "mesh.example/log", .size = 1234567};
	sha256(&c.root, "root", 4);
	return c;
}

/* The reference implementation's documented example (golang.org/x/mod/sumdb/note): a verifier key, and a note signed by that key. */
static void test_published_note(void **state)
{
	(void)state;
	static const char text[] = "If you think cryptography is the answer to your problem,\n"
				   "then you don't know what your problem is.\n";
	static const char signature_base64[] = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
	static const char verifier[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
	uint8_t tagged[33], signed_bytes[68];
	size_t n;
	assert_int_equal(sodium_base642bin(tagged, sizeof(tagged), strrchr(verifier, '+') + 1, strlen(strrchr(verifier, '+') + 1), NULL, &n, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	struct ed25519_public public_key;
	memcpy(public_key.b, tagged + 1, 32);
	struct buf out = {0};
	note_verifier_key("PeterNeumann", &public_key, &out);
	assert_string_equal(buf_z(&out), verifier);
	buf_free(&out);
	assert_int_equal(sodium_base642bin(signed_bytes, sizeof(signed_bytes), signature_base64, strlen(signature_base64), NULL, &n, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	assert_int_equal(n, sizeof(signed_bytes));
	assert_memory_equal(signed_bytes, "\xc7\x4f\x20\xa3", 4); /* the key id in the verifier key */
	struct ed25519_signature signature;
	memcpy(signature.b, signed_bytes + 4, 64);
	assert_true(ed25519_verify_bytes(&signature, &public_key, str_from(text)));
}

static void test_sign_and_open(void **state)
{
	(void)state;
	struct checkpoint c = example(), read;
	struct error err;
	struct buf note = {0};
	checkpoint_sign(&c, &key, &note);
	assert_memory_equal(note.data, "mesh.example/log\n1234567\n", 25);
	assert_non_null(strstr(buf_z(&note), "=\n\n\xe2\x80\x94 mesh.example/log "));
	assert_int_equal(note.data[note.len - 1], '\n');
	assert_true(checkpoint_open(buf_str(&note), &key.public_key, &read, &err));
	assert_string_equal(read.origin, c.origin);
	assert_int_equal(read.size, c.size);
	assert_true(hash_equal(&read.root, &c.root));
	assert_false(checkpoint_open(buf_str(&note), &other_key.public_key, &read, &err));
	assert_int_equal(err.code, ERR_BAD_SIGNATURE);

	static const uint64_t sizes[] = {0, 1, 9, 10, (UINT64_C(1) << 62) - 1};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		c.size = sizes[i];
		buf_clear(&note);
		checkpoint_sign(&c, &key, &note);
		assert_true(checkpoint_open(buf_str(&note), &key.public_key, &read, &err));
		assert_int_equal(read.size, sizes[i]);
	}
	buf_free(&note);
}

/* Each byte changed, each place cut: nothing opens, and *out is left alone. */
static void test_damaged(void **state)
{
	(void)state;
	struct checkpoint c = example(), untouched, read;
	struct error err;
	struct buf note = {0};
	checkpoint_sign(&c, &key, &note);
	memset(&untouched, 0x77, sizeof(untouched));
	read = untouched;
	for (size_t i = 0; i < note.len; i++) {
		char *exact = malloc(i + 1);
		memcpy(exact, note.data, i);
		assert_false(checkpoint_open(str_of(exact, i), &key.public_key, &read, &err));
		free(exact);
		for (int bit = 0; bit < 8; bit++) {
			note.data[i] = (char)(note.data[i] ^ (1 << bit));
			assert_false(checkpoint_open(buf_str(&note), &key.public_key, &read, &err));
			assert_true(err.code == ERR_MALFORMED_FIELD || err.code == ERR_BAD_SIGNATURE);
			note.data[i] = (char)(note.data[i] ^ (1 << bit));
		}
	}
	assert_memory_equal(&read, &untouched, sizeof(read));
	buf_free(&note);
}

/* Signs any text as a note, so that what is wrong is the text and not its signature. */
static void sign_text(struct buf *out, const char *name, const char *text, const struct ed25519_secret *k)
{
	struct buf verifier = {0};
	struct ed25519_signature signature;
	uint8_t bytes[68];
	char base64[100];
	note_verifier_key(name, &k->public_key, &verifier);
	unsigned id;
	assert_int_equal(sscanf(buf_z(&verifier) + strlen(name), "+%8x", &id), 1);
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(id >> (24 - 8 * i));
	ed25519_sign_bytes(&signature, k, str_from(text));
	memcpy(bytes + 4, signature.b, 64);
	sodium_bin2base64(base64, sizeof(base64), bytes, sizeof(bytes), sodium_base64_VARIANT_ORIGINAL);
	buf_printf(out, "%s\n\xe2\x80\x94 %s %s\n", text, name, base64);
	buf_free(&verifier);
}

#define ROOT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void test_texts(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text;
		bool good;
	} table[] = {
		{"o", "o\n5\n" ROOT "\n", true},
		{"o", "o\n5\n" ROOT "\nextension line\nanother\n", true},
		{"o", "o\n5\n" ROOT "\nextension line\n\nblank line before\n", false},
		{"o", "o\n05\n" ROOT "\n", false},
		{"o", "o\n-5\n" ROOT "\n", false},
		{"o", "o\n+5\n" ROOT "\n", false},
		{"o", "o\n5 \n" ROOT "\n", false},
		{"o", "o\n\n" ROOT "\n", false},
		{"o", "o\n4611686018427387904\n" ROOT "\n", false}, /* 2^62 */
		{"o", "o\n99999999999999999999\n" ROOT "\n", false},
		{"o", "o\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", false},  /* no padding */
		{"o", "o\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n", false}, /* bits beyond the last byte */
		{"o", "o\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", false}, /* 33 bytes */
		{"o", "o\n5\nAAAA\n", false},
		{"o", "o\n5\n_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", false}, /* the other alphabet */
		{"o", "o\n5\n " ROOT "\n", false},
		{"o", "o\n5\r\n" ROOT "\n", false},
		{"o", "o\n5\n" ROOT "\nbell \a\n", false},
		{"o", "o\n5\n" ROOT "\n\xff\n", false},
		{"o", "o\n5\n", false},
		{"o", "o\n", false},
		{"o", "a b\n5\n" ROOT "\n", false},
		{"o", "a+b\n5\n" ROOT "\n", false},
		{"o", "another\n5\n" ROOT "\n", false}, /* signed, but by a name that is not the origin's */
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf note = {0};
		struct checkpoint c;
		struct error err;
		sign_text(&note, table[i].name, table[i].text, &key);
		if (checkpoint_open(buf_str(&note), &key.public_key, &c, &err) != table[i].good)
			fail_msg("judged wrongly:\n%s", table[i].text);
		buf_free(&note);
	}
}

static void test_signature_lines(void **state)
{
	(void)state;
	static const char text[] = "o\n5\n" ROOT "\n";
	static const struct {
		const char *line; /* beside the good one */
		bool good;
	} table[] = {
		{"\xe2\x80\x94 witness.example AAAAAAAAAAAA\n", true},
		{"\xe2\x80\x94 o AAAAAAAAAAAA\n", true}, /* our name, another's key id: unknown */
		{"\xe2\x80\x94 w\xc3\xa9 AAAAAAAAAAAA\n", true},
		{"\xe2\x80\x94 witness AAAA\n", false}, /* not even a key id and a byte */
		{"\xe2\x80\x94 witness !!!!\n", false},
		{"\xe2\x80\x94 witness AAAAAAAAAAA\n", false},
		{"\xe2\x80\x94 witness\n", false},
		{"\xe2\x80\x94 wit+ness AAAAAAAAAAAA\n", false},
		{"\xe2\x80\x94  AAAAAAAAAAAA\n", false},
		{"- witness AAAAAAAAAAAA\n", false},
		{"witness AAAAAAAAAAAA\n", false},
		{"\xe2\x80\x94 witness  AAAAAAAAAAAA\n", false},
		{"\xe2\x80\x94 witness AAAAAAAAAAAA \n", false},
		{"\n", false},
		{"\xe2\x80\x94 witness AAAAAAAAAAAA", false},
	};
	struct buf good = {0}, note = {0};
	struct checkpoint c;
	struct error err;
	sign_text(&good, "o", text, &key);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		buf_clear(&note);
		buf_printf(&note, "%s%s", buf_z(&good), table[i].line);
		assert_int_equal(checkpoint_open(buf_str(&note), &key.public_key, &c, &err), table[i].good);
		if (table[i].good) { /* in the other order */
			buf_clear(&note);
			buf_printf(&note, "%s\n%s%s", text, table[i].line, buf_z(&good) + strlen(text) + 1);
			assert_true(checkpoint_open(buf_str(&note), &key.public_key, &c, &err));
		}
	}
	/* Two that claim to be ours, one of them wrong. */
	struct buf wrong = {0};
	sign_text(&wrong, "o", "o\n6\n" ROOT "\n", &key);
	buf_clear(&note);
	buf_printf(&note, "%s%s", buf_z(&good), buf_z(&wrong) + strlen(text) + 1);
	assert_false(checkpoint_open(buf_str(&note), &key.public_key, &c, &err));
	assert_int_equal(err.code, ERR_BAD_SIGNATURE);
	/* The same twice is merely redundant; more than a hundred lines are too many. */
	for (int lines = 2; lines <= 101; lines++) {
		buf_clear(&note);
		buf_puts(&note, buf_z(&good));
		for (int i = 1; i < lines; i++)
			buf_puts(&note, lines == 2 ? buf_z(&good) + strlen(text) + 1 : "\xe2\x80\x94 w AAAAAAAAAAAA\n");
		assert_int_equal(checkpoint_open(buf_str(&note), &key.public_key, &c, &err), lines <= 100);
	}
	/* No signature at all. */
	buf_clear(&note);
	buf_printf(&note, "%s\n", text);
	assert_false(checkpoint_open(buf_str(&note), &key.public_key, &c, &err));
	assert_false(checkpoint_open(str_from(text), &key.public_key, &c, &err));
	assert_false(checkpoint_open(STR_NONE, &key.public_key, &c, &err));
	buf_free(&good);
	buf_free(&wrong);
	buf_free(&note);
}

static void test_too_long(void **state)
{
	(void)state;
	struct buf text = {0}, note = {0};
	struct checkpoint c;
	struct error err;
	for (size_t extra = 15000; extra <= 17000; extra += 1000) {
		buf_clear(&text);
		buf_clear(&note);
		buf_puts(&text, "o\n5\n" ROOT "\n");
		for (size_t i = 0; i < extra; i++)
			buf_putc(&text, 'x');
		buf_putc(&text, '\n');
		sign_text(&note, "o", buf_z(&text), &key);
		assert_int_equal(checkpoint_open(buf_str(&note), &key.public_key, &c, &err), note.len <= NOTE_TEXT_MAX);
	}
	buf_free(&text);
	buf_free(&note);
}

static void sign_example(void *arg)
{
	struct buf out = {0};
	checkpoint_sign(arg, &key, &out);
	buf_free(&out);
}

static void test_names(void **state)
{
	(void)state;
	char longest[NOTE_ORIGIN_MAX + 2];
	memset(longest, 'n', sizeof(longest));
	assert_true(note_name_valid(str_of(longest, NOTE_ORIGIN_MAX)));
	assert_false(note_name_valid(str_of(longest, NOTE_ORIGIN_MAX + 1)));
	assert_true(note_name_valid(STR_LIT("mesh.example:8190/log")));
	assert_false(note_name_valid(STR_LIT("")) || note_name_valid(STR_NONE));
	for (int c = 0; c < 256; c++) {
		char text[3] = {'a', (char)c, 'b'};
		assert_int_equal(note_name_valid(str_of(text, 3)), c > ' ' && c < 0x7f && c != '+');
	}
	struct checkpoint c = example();
	assert_false(dies(sign_example, &c));
	c.size = UINT64_C(1) << 62;
	assert_true(dies(sign_example, &c));
	c = example();
	c.origin[0] = ' ';
	assert_true(dies(sign_example, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_note), cmocka_unit_test(test_sign_and_open),   cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_texts),	       cmocka_unit_test(test_signature_lines), cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
