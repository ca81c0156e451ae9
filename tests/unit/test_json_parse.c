/* json: what is let in, what is refused and with which words, and the way back to text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/canonical.h"
#include "crypto/sha256.h"
#include "json/fields.h"
#include "jansson_apart.h"

static void assert_parses(struct str text)
{
	struct error err = {0};
	struct json_doc *d = json_parse_object(text, &err);
	if (!d)
		fail_msg("refused: %.*s: %s", STR_ARG(text), err.message);
	json_doc_free(d);
}

/* message: the whole of it, or NULL. */
static void assert_refused(struct str text, enum error_code code, const char *message)
{
	struct error err = {0};
	/* On the heap without anything behind it, so that a sanitizer sees a step beyond the end. */
	char *copy = xmalloc(text.n ? text.n : 1);
	memcpy(copy, text.p, text.n);
	struct json_doc *d = json_parse_object(str_of(copy, text.n), &err);
	free(copy);
	if (d)
		fail_msg("accepted: %.*s", STR_ARG(text));
	assert_string_equal(error_code_text(err.code), error_code_text(code));
	if (message)
		assert_string_equal(err.message, message);
	assert_true(strlen(err.message) < 160);
}

static void test_accepts(void **state)
{
	(void)state;
	static const char *const good[] = {
		"{}", " \t\r\n{ } \n", "{\"a\":1}", "{\"\":0}", "{\"a\":[]}", "{\"a\":[1,-2,0,1.5,1e3,-0.0E-7,1E+2]}", "{\"a\":{\"a\":{\"a\":null}}}",
		"{ \"a\" : [ true , false , null ] , \"b\" : \"x\" }", "{\"a\":123456789012345678901234567890}", "{\"a\":1e999}",
		"{\"a\":\"\\u00e9\\ud83d\\ude80\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "{\"a\":\"\xc3\xa9 \xe6\xbc\xa2 \xf0\x9f\x9a\x80 \x7f\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_parses(str_from(good[i]));
}

static void test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"", "there is no JSON: the text is empty where an object should be"},
		{" \n ", "there is no JSON: the text is empty where an object should be"},
		{"[]", "malformed JSON: '[' where an object should be, at line 1, column 1"},
		{"null", "malformed JSON: 'n' where an object should be, at line 1, column 1"},
		{"\xef\xbb\xbf{}", "malformed JSON: byte 0xef where an object should be, at line 1, column 1"},
		{"{", "malformed JSON: the text ends where a key in double quotes should be, at line 1, column 2"},
		{"{} {}", "malformed JSON: '{' where the end should be, at line 1, column 4"},
		{"{}x", "malformed JSON: 'x' where the end should be, at line 1, column 3"},
		{"{\n \"a\" 1}", "malformed JSON: '1' where ':' should be, at line 2, column 6"},
		{"{\"a\":}", "malformed JSON: '}' where a value should be, at line 1, column 6"},
		{"{\"a\":1,}", "malformed JSON: '}' where a key in double quotes should be, at line 1, column 8"},
		{"{,}", "malformed JSON: ',' where a key in double quotes should be, at line 1, column 2"},
		{"{a:1}", "malformed JSON: 'a' where a key in double quotes should be, at line 1, column 2"},
		{"{'a':1}", "malformed JSON: ''' where a key in double quotes should be, at line 1, column 2"},
		{"{\"a\":1 \"b\":2}", "malformed JSON: '\"' where ',' or '}' should be, at line 1, column 8"},
		{"{\"a\":[1,]}", "malformed JSON: ']' where a value should be, at line 1, column 9"},
		{"{\"a\":[1 2]}", "malformed JSON: '2' where ',' or ']' should be, at line 1, column 9"},
		{"{\"a\":[1}", "malformed JSON: '}' where ',' or ']' should be, at line 1, column 8"},
		{"{\"a\":01}", "malformed JSON: '1' where ',' or '}' should be, at line 1, column 7"},
		{"{\"a\":-}", "malformed JSON: '}' where a digit should be, at line 1, column 7"},
		{"{\"a\":1.}", "malformed JSON: '}' where a digit should be, at line 1, column 8"},
		{"{\"a\":1e}", "malformed JSON: '}' where a digit should be, at line 1, column 8"},
		{"{\"a\":1e+}", "malformed JSON: '}' where a digit should be, at line 1, column 9"},
		{"{\"a\":+1}", "malformed JSON: '+' where a value should be, at line 1, column 6"},
		{"{\"a\":.5}", "malformed JSON: '.' where a value should be, at line 1, column 6"},
		{"{\"a\":NaN}", "malformed JSON: 'N' where a value should be, at line 1, column 6"},
		{"{\"a\":tru}", "malformed JSON: 't' where a value should be, at line 1, column 6"},
		{"{\"a\":truex}", "malformed JSON: 'x' where ',' or '}' should be, at line 1, column 10"},
		{"{\"a\":1/*c*/}", "malformed JSON: '/' where ',' or '}' should be, at line 1, column 7"},
		{"{\"a", "malformed JSON: the text ends where the rest of a text (control characters are escaped) should be, at line 1, column 4"},
		{"{\"a\":\"\n\"}",
		 "malformed JSON: byte 0x0a where the rest of a text (control characters are escaped) should be, at line 1, column 7"},
		{"{\"a\":\"\\x\"}", "malformed JSON: 'x' where an escape letter should be, at line 1, column 8"},
		{"{\"a\":\"\\", "malformed JSON: the text ends where an escape letter should be, at line 1, column 8"},
		{"{\"a\":\"\\u12g4\"}", "malformed JSON: \\u without four hexadecimal digits at line 1, column 8"},
		{"{\"a\":\"\\u12", "malformed JSON: \\u without four hexadecimal digits at line 1, column 8"},
		{"{\"a\":\"\\u0000\"}", "malformed JSON: \\u0000, which no text here may have, at line 1, column 8"},
		{"{\"a\\u0000\":1}", "malformed JSON: \\u0000, which no text here may have, at line 1, column 5"},
		{"{\"a\":\"\\ud800\"}", "malformed JSON: half a surrogate pair at line 1, column 8"},
		{"{\"a\":\"\\ud800\\u0041\"}", "malformed JSON: half a surrogate pair at line 1, column 8"},
		{"{\"a\":\"\\udc00\\ud800\"}", "malformed JSON: half a surrogate pair at line 1, column 8"},
		{"{\"a\":\"\xff\"}", "malformed JSON: invalid UTF-8 in the text that begins at line 1, column 7"},
		{"{\"a\":\"\xc3\"}", "malformed JSON: invalid UTF-8 in the text that begins at line 1, column 7"},
		{"{\"a\":\"\xc3\\u00a9\"}", "malformed JSON: invalid UTF-8 in the text that begins at line 1, column 7"},
		{"{\"a\":\"\xed\xa0\x80\"}", "malformed JSON: invalid UTF-8 in the text that begins at line 1, column 7"},
		{"{\"\xc0\x80\":1}", "malformed JSON: invalid UTF-8 in the text that begins at line 1, column 3"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(str_from(bad[i].text), ERR_MALFORMED_JSON, bad[i].message);
	assert_refused(str_of("{\"a\":\"x\0y\"}", 11), ERR_MALFORMED_JSON,
		       "malformed JSON: byte 0x00 where the rest of a text (control characters are escaped) should be, at line 1, column 8");
	assert_refused(str_of("{}\0", 3), ERR_MALFORMED_JSON, "malformed JSON: byte 0x00 where the end should be, at line 1, column 3");
	assert_refused(str_of("\0{}", 3), ERR_MALFORMED_JSON, "malformed JSON: byte 0x00 where an object should be, at line 1, column 1");
}

/* Whatever a text is cut off to is refused, never read beyond. */
static void test_truncated(void **state)
{
	(void)state;
	static const char whole[] = "{\"a\":[1.5e3,true,null,\"\\ud83d\\ude80\\n\xc3\xa9\"],\"b\":{\"c\":-12}}";
	assert_parses(str_of(whole, sizeof whole - 1));
	for (size_t n = 0; n < sizeof whole - 1; n++)
		assert_refused(str_of(whole, n), ERR_MALFORMED_JSON, NULL);
}

static void test_duplicates(void **state)
{
	(void)state;
	assert_refused(STR_LIT("{\"a\":1,\"b\":2,\"a\":3}"), ERR_DUPLICATE_KEY,
		       "malformed JSON: a key that its object already has at line 1, column 15");
	assert_refused(STR_LIT("{\"x\":[{\"a\":1,\"\\u0061\":2}]}"), ERR_DUPLICATE_KEY, NULL);
	assert_refused(STR_LIT("{\"\":1,\"\":2}"), ERR_DUPLICATE_KEY, NULL);
	assert_parses(STR_LIT("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}"));

	/* Many keys, the double one last: found, and not by comparing each with each. */
	enum { KEYS = 100000 };
	struct buf b = {0};
	buf_putc(&b, '{');
	for (int i = 0; i < KEYS; i++)
		buf_printf(&b, "\"k%d\":%d,", i, i);
	size_t len = b.len;
	buf_puts(&b, "\"last\":{}}");
	assert_parses(buf_str(&b));
	b.len = len;
	buf_puts(&b, "\"k0\":{}}");
	assert_refused(buf_str(&b), ERR_DUPLICATE_KEY, NULL);
	buf_free(&b);
}

/* An object of `depth` levels, alternately objects and arrays. */
static void put_nested(struct buf *b, int depth)
{
	for (int i = 0; i < depth; i++)
		buf_puts(b, i % 2 ? "[" : "{\"a\":");
	buf_puts(b, depth % 2 ? "0" : "");
	for (int i = depth - 1; i >= 0; i--)
		buf_puts(b, i % 2 ? "]" : "}");
}

static void test_depth(void **state)
{
	(void)state;
	struct buf b = {0};
	put_nested(&b, JSON_DEPTH_MAX);
	assert_parses(buf_str(&b));
	buf_clear(&b);
	put_nested(&b, JSON_DEPTH_MAX + 1);
	assert_refused(buf_str(&b), ERR_MALFORMED_JSON, NULL);
	buf_clear(&b);
	buf_puts(&b, "{\"a\":");
	for (int i = 0; i < 1000000; i++)
		buf_putc(&b, '[');
	assert_refused(buf_str(&b), ERR_MALFORMED_JSON, "malformed JSON: nesting that is too deep at line 1, column 37");
	buf_free(&b);
}

/* ---- Canonical form ---- */

static void assert_canonical(const char *text, const char *less, const char *wanted)
{
	struct error err = {0};
	struct buf b = {0};
	struct json_doc *d = json_parse_object(str_from(text), &err);
	assert_non_null(d);
	assert_true(json_canonicalise(d, less, &b, &err));
	assert_string_equal(buf_z(&b), wanted);
	assert_true(canonical_check(buf_str(&b)));
	assert_true(oracle_canonical(b.data, b.len));
	buf_free(&b);
	json_doc_free(d);
}

static void test_canonicalise(void **state)
{
	(void)state;
	assert_canonical("{}", NULL, "{}");
	assert_canonical(" { \"b\" : 1 , \"a\" : [ 3 , { \"z\" : null , \"y\" : true } ] , \"C\" : \"x\" } ", NULL,
			 "{\"C\":\"x\",\"a\":[3,{\"y\":true,\"z\":null}],\"b\":1}");
	assert_canonical("{\"s\":\"\\u0041\\/\\u000a\\u001F\\u007f\\u00e9\"}", NULL, "{\"s\":\"A/\\n\\u001f\x7f\xc3\xa9\"}");
	assert_canonical("{\"n\":-0,\"m\":9007199254740991,\"l\":-9007199254740991}", NULL, "{\"l\":-9007199254740991,\"m\":9007199254740991,\"n\":0}");
	assert_canonical("{\"a2\":1,\"a10\":2,\"a\":3,\"a_\":4,\"aA\":5}", NULL, "{\"a\":3,\"a10\":2,\"a2\":1,\"aA\":5,\"a_\":4}");
	/* Only the top level loses its field. */
	assert_canonical("{\"signature\":\"x\",\"a\":{\"signature\":1}}", "signature", "{\"a\":{\"signature\":1}}");
	assert_canonical("{\"signature\":\"x\"}", "signature", "{}");
	assert_canonical("{\"a\":1}", "signature", "{\"a\":1}");
}

static void test_canonicalise_many_keys(void **state)
{
	(void)state;
	struct buf in = {0}, wanted = {0};
	buf_putc(&in, '{');
	buf_putc(&wanted, '{');
	for (int i = 0; i < 500; i++) {
		buf_printf(&in, "%s\"k%03d\":%d", i ? "," : "", 499 - i, 499 - i);
		buf_printf(&wanted, "%s\"k%03d\":%d", i ? "," : "", i, i);
	}
	buf_putc(&in, '}');
	buf_putc(&wanted, '}');
	assert_canonical(buf_z(&in), NULL, buf_z(&wanted));
	buf_free(&in);
	buf_free(&wanted);
}

static void test_not_canonicalisable(void **state)
{
	(void)state;
	static const char *const outside[] = {"{\"a\":1.0}", "{\"a\":1e2}", "{\"a\":9007199254740992}", "{\"a\":-9007199254740992}",
					      "{\"a\":[[0.5]]}", "{\"\":1}", "{\"_a\":1}", "{\"1a\":1}", "{\"a-b\":1}", "{\"a\":{\"\xc3\xa9\":1}}"};
	for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
		struct error err = {0};
		struct buf b = {0};
		buf_puts(&b, "before");
		struct json_doc *d = json_parse_object(str_from(outside[i]), &err);
		assert_non_null(d);
		assert_false(json_canonicalise(d, NULL, &b, &err));
		assert_int_equal(err.code, ERR_NOT_CANONICAL);
		assert_string_equal(buf_z(&b), "before");
		buf_free(&b);
		json_doc_free(d);
	}
}

static void test_vectors(void **state)
{
	(void)state;
	json_t *all = vectors_load("canonical_json.json"), *vector;
	size_t i;
	json_array_foreach(all, i, vector) {
		char *text = json_dumps(json_object_get(vector, "value"), JSON_INDENT(2) | JSON_ENSURE_ASCII), hex[HASH_TEXT_LEN + 1];
		assert_canonical(text, NULL, vector_text(vector, "canonical"));
		struct str canonical = str_from(vector_text(vector, "canonical"));
		struct hash h;
		sha256(&h, canonical.p, canonical.n);
		hash_to_text(&h, hex);
		assert_string_equal(hex, vector_text(vector, "sha256"));
		free(text);
	}
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),	      cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_truncated),     cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_depth),	      cmocka_unit_test(test_canonicalise),
		cmocka_unit_test(test_canonicalise_many_keys), cmocka_unit_test(test_not_canonicalisable),
		cmocka_unit_test(test_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
