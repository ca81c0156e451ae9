/* crypto: reading canonical JSON by spans, held against a tree that another library makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "canonical_oracle.h"
#include "crypto/canonical_read.h"
#include "vectors.h"

static struct arena arena;

static void same(struct str value, const json_t *expected);

static void same_members(struct str value, const json_t *expected)
{
	struct canonical_cursor c;
	struct str key, member;
	size_t n = 0;
	assert_false(canonical_enter_array(value, &c));
	assert_true(canonical_enter_object(value, &c));
	while (canonical_next_member(&c, &key, &member)) {
		char name[256];
		assert_true(key.n < sizeof name);
		snprintf(name, sizeof name, "%.*s", STR_ARG(key));
		const json_t *e = json_object_get(expected, name);
		assert_non_null(e);
		same(member, e);
		struct str found;
		assert_true(canonical_find(value, name, &found) && found.p == member.p && found.n == member.n);
		n++;
	}
	assert_int_equal(n, json_object_size(expected));
	assert_false(canonical_next_member(&c, &key, &member)); /* the end stays the end */
	assert_false(canonical_find(value, "noSuchKey", &member));
}

static void same_items(struct str value, const json_t *expected)
{
	struct canonical_cursor c;
	struct str item;
	size_t n = 0;
	assert_false(canonical_enter_object(value, &c));
	assert_true(canonical_enter_array(value, &c));
	while (canonical_next_item(&c, &item))
		same(item, json_array_get(expected, n++));
	assert_int_equal(n, json_array_size(expected));
	assert_false(canonical_next_item(&c, &item));
}

static void same(struct str value, const json_t *expected)
{
	struct str text;
	int64_t v;
	assert_true(canonical_check(value));
	if (json_is_object(expected))
		same_members(value, expected);
	else if (json_is_array(expected))
		same_items(value, expected);
	if (json_is_string(expected)) {
		assert_true(canonical_read_text(value, &arena, &text));
		assert_int_equal(text.n, json_string_length(expected));
		assert_memory_equal(text.p, json_string_value(expected), text.n);
		bool escaped = memchr(value.p, '\\', value.n);
		assert_int_equal(canonical_read_plain(value, &text), !escaped);
	} else {
		assert_false(canonical_read_text(value, &arena, &text));
	}
	if (json_is_integer(expected)) {
		assert_true(canonical_read_int(value, &v));
		assert_true(v == json_integer_value(expected));
	} else {
		assert_false(canonical_read_int(value, &v));
	}
}

static void check(const char *canonical)
{
	json_error_t why;
	json_t *tree = json_loads(canonical, JSON_DECODE_ANY, &why);
	assert_non_null(tree);
	same(str_from(canonical), tree);
	json_decref(tree);
}

static void values_of_every_kind(void **state)
{
	static const char *const texts[] = {
		"{}", "[]", "\"\"", "0", "-7", "9007199254740991", "-9007199254740991", "true", "false", "null",
		"{\"a\":1}", "{\"a\":[],\"b\":{},\"c\":\"\"}", "[1,\"two\",[3],{\"four\":4}]", "[[[[]]],[]]",
		"{\"a\":\"}],{[:\\\"\"}", /* what looks like structure, in a string */
		"{\"text\":\"\\b\\t\\n\\f\\r\\\"\\\\\\u0001\\u001f\x7f/\xc3\xa4\xf0\x9f\x9a\x80\"}",
		"[\"\\\\\",\"\\\\\\\\\",\"\\\"\",\"a\\\\\\\"b\"]",
		"{\"Z\":1,\"a\":2,\"a_1\":3,\"aa\":4}",
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		check(texts[i]);
	(void)state;
}

static void the_vectors(void **state)
{
	json_t *all = vectors_load("canonical_json.json"), *v;
	size_t i, seen = 0;
	json_array_foreach(all, i, v)
	{
		const char *canonical = json_string_value(json_object_get(v, "canonical"));
		if (!canonical)
			continue;
		check(canonical);
		seen++;
	}
	assert_true(seen > 0);
	json_decref(all);
	(void)state;
}

/* Text that is not canonical gives nonsense, but never bytes from outside. Every prefix of a text, in memory of just its size. */
static void text_that_is_cut(void **state)
{
	static const char whole[] = "{\"a\":[1,{\"b\":\"x\\\"y\\u001f\"}],\"c\":\"d\\\\\",\"e\":-1}";
	for (size_t n = 0; n < sizeof whole; n++) {
		char *copy = malloc(n ? n : 1);
		struct canonical_cursor c;
		struct str key, value, text, v = str_of(copy, n);
		int64_t number;
		memcpy(copy, whole, n);
		if (canonical_enter_object(v, &c))
			while (canonical_next_member(&c, &key, &value)) {
				assert_true(key.p >= copy && key.p + key.n <= copy + n && value.p >= copy && value.p + value.n <= copy + n);
				(void)!canonical_read_text(value, &arena, &text);
				(void)!canonical_read_int(value, &number);
			}
		(void)!canonical_find(v, "e", &value);
		(void)!canonical_read_text(v, &arena, &text);
		free(copy);
	}
	(void)state;
}

int main(void)
{
	arena_init(&arena);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_every_kind),
		cmocka_unit_test(the_vectors),
		cmocka_unit_test(text_that_is_cut),
	};
	int failed = cmocka_run_group_tests_name("crypto_canonical_read", tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
