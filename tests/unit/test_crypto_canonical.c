/* crypto: what canonical JSON is and what nearly is; the writer; both against an independent oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "canonical_oracle.h"
#include "crypto/canonical.h"
#include "crypto/canonical_span.h"
#include "crypto/sha256.h"
#include "dies.h"
#include "vectors.h"

static void write_tree(struct canonical_writer *w, const json_t *v);

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_object(struct canonical_writer *w, const json_t *v)
{
	size_t n = 0;
	const char *keys[64], *key;
	json_t *member;
	json_object_foreach((json_t *)(uintptr_t)v, key, member)
		keys[n++] = key;
	qsort(keys, n, sizeof(keys[0]), compare_keys);
	canonical_object(w);
	for (size_t i = 0; i < n; i++) {
		canonical_key(w, keys[i]);
		write_tree(w, json_object_get(v, keys[i]));
	}
	canonical_end(w);
}

static void write_tree(struct canonical_writer *w, const json_t *v)
{
	if (json_is_object(v)) {
		write_object(w, v);
	} else if (json_is_array(v)) {
		canonical_array(w);
		for (size_t i = 0; i < json_array_size(v); i++)
			write_tree(w, json_array_get(v, i));
		canonical_end(w);
	} else if (json_is_string(v)) {
		canonical_str(w, str_of(json_string_value(v), json_string_length(v)));
	} else if (json_is_integer(v)) {
		canonical_int(w, json_integer_value(v));
	} else if (json_is_boolean(v)) {
		canonical_bool(w, json_is_true(v));
	} else {
		assert_true(json_is_null(v));
		canonical_null(w);
	}
}

static void test_vectors(void **state)
{
	(void)state;
	json_t *all = vectors_load("canonical_json.json"), *v;
	size_t i;
	json_array_foreach(all, i, v)
	{
		struct buf out = {0};
		struct canonical_writer w;
		struct hash h;
		char text[HASH_TEXT_LEN + 1];
		canonical_begin(&w, &out);
		write_tree(&w, json_object_get(v, "value"));
		assert_string_equal(buf_z(&out), vector_text(v, "canonical"));
		assert_true(canonical_check(buf_str(&out)));
		sha256(&h, out.data, out.len);
		hash_to_text(&h, text);
		assert_string_equal(text, vector_text(v, "sha256"));
		buf_free(&out);
	}
	json_decref(all);
}

static void test_table(void **state)
{
	(void)state;
	const struct {
		struct str text;
		bool canonical;
	} table[] = {
#define YES(t) {STR_LIT(t), true}
#define NO(t) {STR_LIT(t), false}
		/* values */
		YES("{}"), YES("[]"), YES("null"), YES("true"), YES("false"), YES("\"\""), YES("0"), YES("[[],{},\"\",0,null]"),
		NO(""), NO("nul"), NO("nulll"), NO("True"), NO("NaN"), NO("Infinity"), NO("undefined"), NO("'a'"), NO("{"), NO("}"),
		NO("["), NO("]"), NO(","),
		/* numbers */
		YES("-1"), YES("10"), YES("9007199254740991"), YES("-9007199254740991"), NO("9007199254740992"), NO("-9007199254740992"),
		NO("99999999999999999999999999"), NO("-0"), NO("00"), NO("01"), NO("-01"), NO("1.0"), NO("1.5"), NO("1e3"), NO("1E3"),
		NO("1e-3"), NO("+1"), NO("-"),
		NO(".5"), NO("0x1"), NO("1 "), NO(" 1"), NO("0.0"), NO("--1"), NO("1-"),
		/* strings and escapes */
		YES("\"a\""), YES("\"/\""), YES("\"\\\"\\\\\\b\\f\\n\\r\\t\""),
		YES("\"\\u0001\\u0007\\u000b\\u000e\\u000f\\u0010\\u001a\\u001f\""), YES("\"\x7f\""),
		YES("\"é漢🚀\""), YES("\"\xe2\x80\xa8\""), YES("\"\xef\xbf\xbf\""),
		NO("\"\\/\""), NO("\"\\u0041\""), NO("\"\\u001F\""), NO("\"\\u000A\""), NO("\"\\u000a\""), NO("\"\\u0008\""),
		NO("\"\\u0009\""), NO("\"\\u000c\""),
		NO("\"\\u000d\""), NO("\"\\u0000\""), NO("\"\\u0020\""), NO("\"\\u007f\""), NO("\"\\u0022\""), NO("\"\\u005c\""),
		NO("\"\\u00e9\""), NO("\"\\u6f22\""),
		NO("\"\\U0001\""), NO("\"\\u001\""), NO("\"\\u00g1\""), NO("\"\\u\""), NO("\"\\ud83d\\ude80\""), NO("\"\\ud800\""),
		NO("\"\\udc00\""), NO("\"\\x01\""),
		NO("\"\\a\""), NO("\"\\'\""), NO("\"\\\""), NO("\"\\"), NO("\""), NO("\"a"), NO("a\""), NO("\"a\"b"), NO("\"\n\""),
		NO("\"\t\""), NO("\"\x1f\""), NO("\"\0\""),
		NO("\"\xff\""), NO("\"\xc0\x80\""), NO("\"\xed\xa0\x80\""), NO("\"\xed\xa0\xbd\xed\xba\x80\""),
		NO("\"\xf4\x90\x80\x80\""), NO("\"\xe6\xbc\""),
		/* keys */
		YES("{\"a\":1}"), YES("{\"A\":1,\"B\":2,\"a\":3,\"a0\":4,\"a_\":5,\"aa\":6,\"b\":7}"), YES("{\"Zz_9\":{}}"),
		NO("{\"\":1}"), NO("{\"_a\":1}"), NO("{\"9a\":1}"), NO("{\"a-b\":1}"), NO("{\"a.b\":1}"), NO("{\"a b\":1}"),
		NO("{\"é\":1}"), NO("{\"\\u0061\":1}"),
		NO("{\"a\\n\":1}"), NO("{\"a\0\":1}"), NO("{a:1}"), NO("{1:1}"), NO("{\"a\" :1}"), NO("{\"a\"}"), NO("{\"a\":}"),
		NO("{\"a\":1,}"), NO("{,\"a\":1}"), NO("{\"a\":1,,\"b\":1}"),
		NO("{\"a\":1\"b\":1}"), NO("{\"a\",\"b\"}"), NO("{\"a\":1]"), NO("{\"a\":1"), NO("{\"a"), NO("{\"a\":"), NO("{null:1}"),
		/* order and duplicates */
		NO("{\"b\":1,\"a\":2}"), NO("{\"a\":1,\"a\":1}"), NO("{\"a\":1,\"B\":2}"), NO("{\"aa\":1,\"a\":2}"),
		NO("{\"a_\":1,\"a0\":2}"), NO("{\"a\":1,\"b\":2,\"a\":3}"),
		NO("{\"x\":{\"b\":1,\"a\":2}}"), NO("[{\"a\":1,\"a\":2}]"), YES("{\"a\":{\"b\":1},\"b\":{\"a\":1}}"),
		/* arrays */
		YES("[1,2,[3]]"), NO("[1,]"), NO("[,1]"), NO("[1,,2]"), NO("[1 2]"), NO("[1}"), NO("[1"),
		/* blanks, comments, several values, marks */
		NO(" {}"), NO("{} "), NO("{}\n"), NO("{ }"), NO("[ ]"), NO("[1, 2]"), NO("{\"a\": 1}"), NO("{}{}"), NO("1,2"),
		NO("{}//x"), NO("/**/{}"), NO("\xef\xbb\xbf{}"),
		NO("{}\0"), NO("\0"), NO("{\0}"), NO("nu\0l"),
#undef YES
#undef NO
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (canonical_check(table[i].text) != table[i].canonical)
			fail_msg("%.*s is judged wrongly", STR_ARG(table[i].text));
		if (oracle_canonical(table[i].text.p, table[i].text.n) != table[i].canonical)
			fail_msg("the oracle judges %.*s otherwise", STR_ARG(table[i].text));
	}
	assert_false(canonical_check(STR_NONE));
}

static void test_depth(void **state)
{
	(void)state;
	struct buf b = {0};
	for (int depth = 1; depth <= 40; depth++) {
		buf_clear(&b);
		for (int i = 0; i < depth; i++)
			buf_puts(&b, i % 2 ? "{\"a\":" : "[");
		buf_puts(&b, "1");
		for (int i = depth - 1; i >= 0; i--)
			buf_putc(&b, i % 2 ? '}' : ']');
		assert_int_equal(canonical_check(buf_str(&b)), depth <= CANONICAL_DEPTH_MAX);
	}
	buf_clear(&b); /* deep enough to run a careless parser out of its stack */
	for (int i = 0; i < 1000000; i++)
		buf_putc(&b, '[');
	assert_false(canonical_check(buf_str(&b)));
	buf_free(&b);
}

static void test_truncated(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":[-12,\"x\\n\\u001fé\",{\"b\":null}],\"c\":true,\"d\":false}";
	assert_true(canonical_check(str_from(text)));
	for (size_t n = 0; n < strlen(text); n++) {
		char *exact = malloc(n + 1); /* so that a sanitizer sees a read past the end */
		memcpy(exact, text, n);
		exact = realloc(exact, n ? n : 1);
		assert_false(canonical_check(str_of(exact, n)));
		free(exact);
	}
}

/* A random value of the subset. */
static json_t *random_tree(int depth)
{
	static const char *const words[] = {"", "a", "\"\\/", "\b\t\n\f\r\x01\x1f\x7f", "é漢🚀", "plain text of some length", "0", "null"};
	static const char *const keys[] = {"a", "A", "aa", "a_", "a0", "b", "Z9_z", "timestamp"};
	json_t *v;
	switch (random_below(depth >= 4 ? 5 : 7)) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(random_below(2));
	case 2:
		return json_integer((json_int_t)(random_u64() >> (11 + random_below(53))) * (random_below(2) ? 1 : -1));
	case 3:
	case 4:
		return json_string(words[random_below(ARRAY_LEN(words))]);
	case 5:
		v = json_array();
		for (uint64_t n = random_below(4); n > 0; n--)
			json_array_append_new(v, random_tree(depth + 1));
		return v;
	default:
		v = json_object();
		for (uint64_t n = random_below(6); n > 0; n--)
			json_object_set_new(v, keys[random_below(ARRAY_LEN(keys))], random_tree(depth + 1));
		return v;
	}
}

/* What the writer writes is canonical and means the same; of its one-byte mutations, exactly those are canonical that the oracle says. */
static void test_random(void **state)
{
	(void)state;
	struct buf out = {0};
	long mutants = 0, canonical_mutants = 0;
	for (int i = 0; i < 400; i++) {
		json_t *v = random_tree(0);
		struct canonical_writer w;
		buf_clear(&out);
		canonical_begin(&w, &out);
		write_tree(&w, v);
		assert_true(canonical_check(buf_str(&out)));
		json_t *back = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
		assert_true(json_equal(v, back));
		json_decref(back);
		json_decref(v);
		for (int m = 0; m < 60; m++) {
			static const char bytes[] = "\"\\{}[],:019-aAbu_ntf \n\0\x1f\x7f\x80\xc3\xff";
			size_t at = random_below(out.len);
			char kept = out.data[at];
			out.data[at] = bytes[random_below(sizeof(bytes) - 1)];
			bool good = canonical_check(buf_str(&out));
			assert_int_equal(good, oracle_canonical(out.data, out.len));
			mutants++;
			canonical_mutants += good;
			out.data[at] = kept;
		}
	}
	assert_true(canonical_mutants > 100 && canonical_mutants < mutants); /* both answers have been met */
	buf_free(&out);
}

static void test_writer(void **state)
{
	(void)state;
	struct buf out = {0};
	struct canonical_writer w;
	buf_puts(&out, "before ");
	canonical_begin(&w, &out);
	canonical_object(&w);
	canonical_key(&w, "A");
	canonical_array(&w);
	canonical_int(&w, 0);
	canonical_int(&w, -CANONICAL_INT_MAX);
	canonical_str(&w, STR_LIT(""));
	canonical_object(&w);
	canonical_end(&w);
	canonical_end(&w);
	canonical_key_str(&w, STR_LIT("a"));
	canonical_bool(&w, true);
	canonical_key(&w, "b");
	canonical_null(&w);
	canonical_key(&w, "c");
	canonical_raw(&w, STR_LIT("{\"x\":1}"));
	canonical_end(&w);
	assert_string_equal(buf_z(&out), "before {\"A\":[0,-9007199254740991,\"\",{}],\"a\":true,\"b\":null,\"c\":{\"x\":1}}");
	buf_free(&out);
}

/*
 * The caller's mistakes, one script each: o object, a array, e end, i int, kx the key x, s string, I and J integers out of range, U a string
 * that is not UTF-8, N one with NUL, A an absent one.
 */
static void play(void *arg)
{
	struct buf out = {0};
	struct canonical_writer w;
	canonical_begin(&w, &out);
	for (const char *p = arg; *p; p++)
		switch (*p) {
		case 'o': canonical_object(&w); break;
		case 'a': canonical_array(&w); break;
		case 'e': canonical_end(&w); break;
		case 'i': canonical_int(&w, 1); break;
		case 'k': canonical_key_str(&w, str_of(++p, 1)); break;
		case 's': canonical_str(&w, STR_LIT("s")); break;
		case 'I': canonical_int(&w, CANONICAL_INT_MAX + 1); break;
		case 'J': canonical_int(&w, INT64_MIN); break;
		case 'U': canonical_str(&w, STR_LIT("\xff")); break;
		case 'N': canonical_str(&w, STR_LIT("a\0b")); break;
		case 'A': canonical_str(&w, STR_NONE); break;
		default: abort();
		}
	buf_free(&out);
}

static void test_writer_mistakes(void **state)
{
	(void)state;
	static const char *const wrong[] = {"ii", "oi",  "okaka", "okbika", "okaikaie", "okae", "e", "aee", "aka",
					    "ka", "ok1i", "ok_i",  "I",	     "J",	 "U",	 "N", "A",
					    "oie", "aiei", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char script[64];
		snprintf(script, sizeof(script), "%s", wrong[i]);
		if (!dies(play, script))
			fail_msg("the writer lets \"%s\" pass", script);
	}
	char right[] = "aokAikaaisekbieoee", deep[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
	assert_false(dies(play, right));
	assert_false(dies(play, deep));
}

static void test_keys(void **state)
{
	(void)state;
	assert_true(canonical_key_valid(STR_LIT("a")) && canonical_key_valid(STR_LIT("Z_09az")));
	assert_false(canonical_key_valid(STR_LIT("")) || canonical_key_valid(STR_NONE));
	for (int c = 0; c < 256; c++) {
		char text[2] = {(char)c, (char)c};
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		assert_int_equal(canonical_key_valid(str_of(text, 1)), letter);
		text[0] = 'a';
		assert_int_equal(canonical_key_valid(str_of(text, 2)), letter || (c >= '0' && c <= '9') || c == '_');
	}
}

/* Every byte at every place, in front of every other special one, against the plain loop. */
static void spans(void **state)
{
	(void)state;
	static const char behind[] = {'a', '"', '\\', '\0', '\x1f'};
	char text[40];
	for (size_t n = 0; n <= 20; n++)
		for (size_t at = 0; at < n; at++)
			for (int c = 0; c < 256; c++)
				for (size_t i = 0; i < sizeof behind; i++) {
					memset(text, n % 2 ? '!' : 0xfe, sizeof text); /* next to the quote, and with the highest bit */
					text[at] = (char)c;
					if (at + 1 < n)
						text[at + 1] = behind[i];
					const char *plain = text;
					while (plain < text + n && *plain != '"' && *plain != '\\' && (unsigned char)*plain >= 0x20)
						plain++;
					assert_ptr_equal(canonical_span(text, text + n), plain);
				}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans),
		cmocka_unit_test(test_vectors), cmocka_unit_test(test_table),  cmocka_unit_test(test_depth),	       cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_random),	cmocka_unit_test(test_writer), cmocka_unit_test(test_writer_mistakes), cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
