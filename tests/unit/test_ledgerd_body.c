/* ledgerd: bodies of POST /transactions, taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "ledgerd/api_body.h"

static char signature[ED25519_SIGNATURE_TEXT_LEN + 1];
static char upper[ED25519_SIGNATURE_TEXT_LEN + 1];

#define MESSAGE "{\"nonce\":1,\"type\":\"user_update\"}"

/* A body in which S stands for the signature's text. */
static struct str body(struct arena *a, const char *format)
{
	struct buf out = {0};
	for (const char *p = format; *p; p++) {
		if (*p == 'S')
			buf_puts(&out, signature);
		else
			buf_putc(&out, *p);
	}
	/* In a block of its own, so that a sanitizer sees who reads beyond its end. */
	char *copy = arena_alloc(a, out.len);
	if (out.len > 0)
		memcpy(copy, out.data, out.len);
	struct str made = str_of(copy, out.len);
	buf_free(&out);
	return made;
}

static void taken(const char *format, const char *expected)
{
	struct arena a;
	struct str message;
	struct ed25519_signature s;
	struct error err;
	arena_init(&a);
	if (!submission_read(body(&a, format), &a, &message, &s, &err))
		fail_msg("%s: %s: %s", format, error_code_text(err.code), err.message);
	if (!str_is(message, expected))
		fail_msg("%s: %.*s", format, STR_ARG(message));
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(&s, text);
	assert_string_equal(text, signature);
	arena_free(&a);
}

static void refused(const char *format, enum error_code code)
{
	struct arena a;
	struct str message;
	struct ed25519_signature s;
	struct error err;
	arena_init(&a);
	if (submission_read(body(&a, format), &a, &message, &s, &err))
		fail_msg("%s: taken as %.*s", format, STR_ARG(message));
	if (err.code != code)
		fail_msg("%s: %s: %s", format, error_code_text(err.code), err.message);
	arena_free(&a);
}

/* The message's bytes go through as they are, whatever they are: their form is judged elsewhere. */
static void test_nested(void **state)
{
	(void)state;
	taken("{\"message\":" MESSAGE ",\"signature\":\"S\"}", MESSAGE);
	taken("{\"signature\":\"S\",\"message\":" MESSAGE "}", MESSAGE);
	taken(" \t\r\n{ \"message\" \n:\t" MESSAGE " , \"signature\" : \"S\" } \n", MESSAGE);
	taken("{\"message\":{ \"a\" : [1, {\"b\":\"}]\\\"\"}] },\"signature\":\"S\"}", "{ \"a\" : [1, {\"b\":\"}]\\\"\"}] }");
	taken("{\"message\":{\"a\":1,\"a\":1},\"signature\":\"S\"}", "{\"a\":1,\"a\":1}");
	taken("{\"message\":{\"a\":03},\"signature\":\"S\"}", "{\"a\":03}");
	taken("{\"message\":{\"a\":\"\\u0000\"},\"signature\":\"S\"}", "{\"a\":\"\\u0000\"}");
	taken("{\"message\":{[}],\"signature\":\"S\"}", "{[}]"); /* brackets are counted, not matched */
	taken("{\"message\":[1],\"signature\":\"S\"}", "[1]");
	taken("{\"message\":\"x\",\"signature\":\"S\"}", "\"x\"");
	taken("{\"message\":1,\"signature\":\"S\"}", "1");
	taken("{\"message\":null,\"signature\":\"S\"}", "null");
	/* What newer clients may send beside it. */
	taken("{\"more\":[1.5,\"\\\\\\\"\"],\"message\":" MESSAGE ",\"signature\":\"S\"}", MESSAGE);
	taken("{\"message\":" MESSAGE ",\"signature\":\"S\",\"z\":{\"message\":1}}", MESSAGE);
	/* An escape in the signature. */
	refused("{\"message\":" MESSAGE ",\"signature\":\"\\u0065S\"}", ERR_MALFORMED_SIGNATURE);
}

static void test_flat(void **state)
{
	(void)state;
	taken("{\"type\":\"transfer\",\"signature\":\"S\",\"nonce\":1}", "{\"nonce\":1,\"type\":\"transfer\"}");
	taken("{ \"nonce\" : 1 , \"memo\":\"a\\u00e9\\u0009\", \"type\":\"tr\\u0061nsfer\", \"signature\":\"S\"}",
	      "{\"memo\":\"a\xc3\xa9\\t\",\"nonce\":1,\"type\":\"transfer\"}");
	taken("{\"type\":\"user_creation\",\"approval\":{\"signature\":\"x\",\"by\":\"y\"},\"signature\":\"S\"}",
	      "{\"approval\":{\"by\":\"y\",\"signature\":\"x\"},\"type\":\"user_creation\"}");
	refused("{\"type\":\"user_update\",\"signature\":\"S\"}", ERR_MISSING_FIELD);
	refused("{\"type\":1,\"signature\":\"S\"}", ERR_MISSING_FIELD);
	refused("{\"signature\":\"S\"}", ERR_MISSING_FIELD);
	refused("{\"type\":\"transfer\",\"nonce\":1.0,\"signature\":\"S\"}", ERR_NOT_CANONICAL);
	refused("{\"type\":\"transfer\",\"a b\":1,\"signature\":\"S\"}", ERR_NOT_CANONICAL);
	refused("{\"type\":\"transfer\",\"nonce\":1,\"nonce\":1,\"signature\":\"S\"}", ERR_DUPLICATE_KEY);
	refused("{\"type\":\"transfer\",\"nonce\":1}", ERR_MISSING_FIELD);
}

static void test_signatures(void **state)
{
	(void)state;
	taken("{\"message\":{},\"signature\":\"S\"}", "{}");
	struct arena a;
	struct str message;
	struct ed25519_signature s;
	struct error err;
	arena_init(&a);
	/* Lenient forms: without prefix, the short one, upper case. */
	const char *prefixes[] = {"", "ed25519_", "ed25519_sig_"};
	for (size_t i = 0; i < 3; i++) {
		struct str b = arena_printf(&a, "{\"message\":{},\"signature\":\"%s%s\"}", prefixes[i], upper + strlen("ed25519_sig_"));
		assert_true(submission_read(b, &a, &message, &s, &err));
	}
	arena_free(&a);
	refused("{\"message\":{},\"signature\":\"\"}", ERR_MALFORMED_SIGNATURE);
	refused("{\"message\":{},\"signature\":\"SS\"}", ERR_MALFORMED_SIGNATURE);
	refused("{\"message\":{},\"signature\":\"\xff\"}", ERR_MALFORMED_JSON);
	refused("{\"message\":{},\"signature\":1}", ERR_MALFORMED_SIGNATURE);
	refused("{\"message\":{},\"signature\":null}", ERR_MALFORMED_SIGNATURE);
	refused("{\"message\":{}}", ERR_MISSING_FIELD);
}

static void test_no_json(void **state)
{
	(void)state;
	const char *const bodies[] = {"",
				      " ",
				      "{",
				      "}",
				      "[]",
				      "null",
				      "\"x\"",
				      "{\"",
				      "{\"message",
				      "{\"message\"",
				      "{\"message\":",
				      "{\"message\":{",
				      "{\"message\":{\"a\\",
				      "{\"message\":{}",
				      "{\"message\":{},",
				      "{\"message\":{},\"signature\":\"S\"",
				      "{\"message\":{},\"signature\":\"S\"}x",
				      "{\"message\":{},\"signature\":\"S\"},",
				      "{\"message\":{},,\"signature\":\"S\"}",
				      "{\"message\" {},\"signature\":\"S\"}",
				      "{\"message\":{]},\"signature\":\"S\"}",
				      "{\"message\":,\"signature\":\"S\"}",
				      "{'message':{},\"signature\":\"S\"}",
				      "{\"message\":{},\"signature\":S}",
				      "{\"message\":{},\"x\":01,\"signature\":\"S\"}",
				      "\xef\xbb\xbf{\"message\":{},\"signature\":\"S\"}"};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		refused(bodies[i], ERR_MALFORMED_JSON);
	refused("{\"message\":{},\"message\":{},\"signature\":\"S\"}", ERR_DUPLICATE_KEY);
	refused("{\"message\":{},\"signature\":\"S\",\"signature\":\"S\"}", ERR_DUPLICATE_KEY);
	/* Where the body has another shape, the message's own faults are told as what they are. */
	refused("{\"message\":{\"a\":1,\"a\":1},\"x\":1,\"signature\":\"S\"}", ERR_NOT_CANONICAL);
	refused("{\"mess\\u0061ge\":{},\"signature\":\"S\"}", ERR_NOT_CANONICAL);
}

int main(void)
{
	struct error err;
	struct ed25519_secret key;
	struct ed25519_signature s;
	if (!crypto_start(&err))
		return 1;
	ed25519_generate(&key);
	ed25519_sign_message(&s, &key, STR_LIT("something"));
	ed25519_secret_wipe(&key);
	ed25519_signature_to_text(&s, signature);
	memcpy(upper, signature, sizeof upper);
	for (char *p = upper + strlen("ed25519_sig_"); *p; p++)
		if (*p >= 'a' && *p <= 'f')
			*p = (char)(*p - 'a' + 'A');
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_flat),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_no_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
