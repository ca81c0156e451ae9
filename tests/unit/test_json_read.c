/* json: documents to structs. Every field type, every refusal with its code and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "json_sample.h"

/* A document with the sample's required fields and `more`. */
static const char *with(const char *more)
{
	static char text[4096];
	snprintf(text, sizeof text, "{\"text\":\"t\",\"requiredItems\":[]%s%s}", *more ? "," : "", more);
	return text;
}

static void read_ok(const char *more, struct sample *out, struct arena *arena)
{
	struct error err = {0};
	if (!json_read_text(str_from(with(more)), &sample_message, out, arena, &err))
		fail_msg("%s: %s", more, err.message);
}

static void refused_text(const char *text, enum error_code code, const char *message)
{
	struct error err = {0};
	struct sample s;
	struct arena arena;
	arena_init(&arena);
	if (json_read_text(str_from(text), &sample_message, &s, &arena, &err))
		fail_msg("accepted: %s", text);
	assert_string_equal(error_code_text(err.code), error_code_text(code));
	assert_string_equal(err.message, message);
	arena_free(&arena);
}

static void refused(const char *more, const char *message)
{
	refused_text(with(more), ERR_MALFORMED_FIELD, message);
}

static void test_absent(void **state)
{
	(void)state;
	struct sample s;
	struct arena arena;
	arena_init(&arena);
	read_ok("", &s, &arena);
	assert_true(str_is(s.text, "t"));
	assert_false(str_present(s.verbatim) || str_present(s.form) || str_present(s.any) || str_present(s.nullable_text));
	assert_true(s.integer == JSON_INT_ABSENT && s.limited == JSON_INT_ABSENT && s.nullable_integer == JSON_INT_ABSENT);
	assert_true(s.flag == JSON_BOOL_ABSENT && s.nullable_flag == JSON_BOOL_ABSENT);
	assert_null(s.object);
	assert_null(s.items.items);
	assert_null(s.texts.items);
	/* A list that is there and empty is not absent. */
	assert_non_null(s.required_items.items);
	assert_int_equal(s.required_items.count, 0);
	arena_free(&arena);
}

static void test_null_is_absent(void **state)
{
	(void)state;
	struct sample s;
	struct arena arena;
	arena_init(&arena);
	read_ok("\"verbatim\":null,\"form\":null,\"integer\":null,\"flag\":null,\"object\":null,\"items\":null,\"texts\":null,\"any\":null,"
		"\"nullableText\":null,\"nullableObject\":null",
		&s, &arena);
	assert_false(str_present(s.verbatim) || str_present(s.form) || str_present(s.any) || str_present(s.nullable_text));
	assert_true(s.integer == JSON_INT_ABSENT && s.flag == JSON_BOOL_ABSENT);
	assert_true(!s.object && !s.nullable_object && !s.items.items && !s.texts.items);
	arena_free(&arena);
}

static void test_values(void **state)
{
	(void)state;
	struct sample s;
	struct arena arena;
	arena_init(&arena);
	read_ok("\"unknown\":{\"x\":[1.5]},\"verbatim\":\"a\\u001b\\r\",\"form\":\"abc\",\"integer\":-9007199254740991,\"limited\":-5,\"flag\":false,"
		"\"object\":{\"port\":1,\"name\":\"n\"},\"items\":[{\"port\":2},{\"port\":65535,\"name\":\"\"}],\"texts\":[\"\",\"\xc3\xa9\"],"
		"\"forms\":[\"xyz\"],\"any\":{\"b\":[true,null],\"a\":\"\\u0041\"}",
		&s, &arena);
	assert_true(str_is(s.verbatim, "a\x1b\r") && str_is(s.form, "abc"));
	assert_true(s.integer == -JSON_INT_MAX && s.limited == -5 && s.flag == JSON_FALSE);
	assert_true(s.object->port == 1 && str_is(s.object->name, "n"));
	const struct sample_item *items = s.items.items;
	assert_int_equal(s.items.count, 2);
	assert_true(items[0].port == 2 && !str_present(items[0].name) && items[1].port == 65535);
	assert_true(str_present(items[1].name) && items[1].name.n == 0);
	const struct str *texts = s.texts.items;
	assert_int_equal(s.texts.count, 2);
	assert_true(texts[0].n == 0 && str_present(texts[0]) && str_is(texts[1], "\xc3\xa9"));
	assert_true(str_is(*(const struct str *)s.forms.items, "xyz"));
	assert_true(str_is(s.any, "{\"a\":\"A\",\"b\":[true,null]}"));
	arena_free(&arena);
}

/* The result must not point into the text that was read. */
static void test_copies(void **state)
{
	(void)state;
	char text[] = "{\"text\":\"kept\",\"requiredItems\":[],\"any\":[\"kept\"]}";
	struct error err = {0};
	struct sample s;
	struct arena arena;
	arena_init(&arena);
	assert_true(json_read_text(str_from(text), &sample_message, &s, &arena, &err));
	memset(text, 'x', sizeof text - 1);
	assert_true(str_is(s.text, "kept") && s.text.p[s.text.n] == '\0');
	assert_true(str_is(s.any, "[\"kept\"]"));
	arena_free(&arena);
}

static void test_missing(void **state)
{
	(void)state;
	refused_text("{}", ERR_MISSING_FIELD, "text is missing");
	refused_text("{\"text\":\"\"}", ERR_MISSING_FIELD, "requiredItems is missing");
	refused_text("{\"text\":\"\",\"requiredItems\":[{\"port\":1},{}]}", ERR_MISSING_FIELD, "requiredItems[1].port is missing");
	refused_text(with("\"object\":{\"name\":\"x\"}"), ERR_MISSING_FIELD, "object.port is missing");
	refused_text("{\"text\":null}", ERR_MALFORMED_FIELD, "text must be a text");
	refused_text("{\"Text\":\"\"}", ERR_MISSING_FIELD, "text is missing");
	refused_text("{\"tex\":\"\",\"texts\":[]}", ERR_MISSING_FIELD, "text is missing");
}

static void test_wrong_types(void **state)
{
	(void)state;
	refused("\"verbatim\":1", "verbatim must be a text");
	refused("\"verbatim\":[\"x\"]", "verbatim must be a text");
	refused("\"integer\":\"1\"", "integer must be an integer from -9007199254740991 to 9007199254740991");
	refused("\"integer\":1.0", "integer must be an integer from -9007199254740991 to 9007199254740991");
	refused("\"integer\":1e3", "integer must be an integer from -9007199254740991 to 9007199254740991");
	refused("\"integer\":9007199254740992", "integer must be an integer from -9007199254740991 to 9007199254740991");
	refused("\"integer\":true", "integer must be an integer from -9007199254740991 to 9007199254740991");
	refused("\"limited\":6", "limited must be an integer from -5 to 5");
	refused("\"limited\":-6", "limited must be an integer from -5 to 5");
	refused("\"flag\":0", "flag must be true or false");
	refused("\"flag\":\"true\"", "flag must be true or false");
	refused("\"object\":[]", "object must be an object");
	refused("\"object\":{\"port\":0}", "object.port must be an integer from 1 to 65535");
	refused("\"items\":{}", "items must be a list of 0 to 2 items");
	refused("\"items\":[{\"port\":1},{\"port\":1},{\"port\":1}]", "items must be a list of 0 to 2 items");
	refused("\"items\":[{\"port\":1},7]", "items[1] must be an object");
	refused("\"items\":[null]", "items[0] must be an object");
	refused("\"items\":[{\"port\":1},{\"port\":65536}]", "items[1].port must be an integer from 1 to 65535");
	refused("\"items\":[{\"port\":1,\"name\":\"123456789\"}]", "items[0].name must be a text of 0 to 8 bytes");
	refused("\"texts\":\"x\"", "texts must be a list of 0 to 3 items");
	refused("\"texts\":[\"x\",null]", "texts[1] must be a text");
	refused("\"forms\":7", "forms must be a list");
	refused("\"any\":1.5", "any must be JSON that can be signed (integers up to 2^53-1, keys of letters, digits and '_')");
	refused("\"any\":{\"a b\":1}", "any must be JSON that can be signed (integers up to 2^53-1, keys of letters, digits and '_')");
	refused_text(with("\"form\":\"abcd\""), ERR_MALFORMED_HASH, "form must be three bytes");
	refused_text(with("\"form\":3"), ERR_MALFORMED_HASH, "form must be three bytes");
	refused_text(with("\"forms\":[\"abc\",\"a\"]"), ERR_MALFORMED_HASH, "forms[1] must be three bytes");
}

static void test_text_limits(void **state)
{
	(void)state;
	struct sample s;
	struct arena arena;
	arena_init(&arena);
	read_ok("\"nullableText\":\"0123456789\",\"verbatim\":\"ab\"", &s, &arena);
	refused("\"nullableText\":\"01234567890\"", "nullableText must be a text of 0 to 10 bytes");
	refused("\"nullableText\":\"012345678\xc3\xa9\"", "nullableText must be a text of 0 to 10 bytes"); /* bytes, not characters */
	refused("\"verbatim\":\"a\"", "verbatim must be a text of 2 to 20 bytes");
	/* Control characters, but for newline and tab, do not come in unless the row says so. */
	read_ok("\"nullableText\":\"\\n\\t \xc2\xa0\xc3\x9f~\"", &s, &arena);
	static const char *const control[] = {"\\u0001", "\\r", "\\u001b", "\\u007f", "\x7f", "\\u0080", "\xc2\x9f", "\xc2\x80x", "\\u009b"};
	for (size_t i = 0; i < ARRAY_LEN(control); i++) {
		char more[64];
		snprintf(more, sizeof more, "\"nullableText\":\"x%s\"", control[i]);
		refused(more, "nullableText must be a text without control characters");
		snprintf(more, sizeof more, "\"texts\":[\"x%s\"]", control[i]);
		refused(more, "texts[0] must be a text without control characters");
		snprintf(more, sizeof more, "\"verbatim\":\"x%s\"", control[i]);
		read_ok(more, &s, &arena);
	}
	arena_free(&arena);
}

/* Fields come in any order; an error names the first one that is wrong. */
static void test_order(void **state)
{
	(void)state;
	struct error err = {0};
	struct sample s;
	struct arena arena;
	arena_init(&arena);
	assert_true(json_read_text(STR_LIT("{\"limited\":1,\"requiredItems\":[],\"integer\":2,\"text\":\"z\"}"), &sample_message, &s,
				   &arena, &err));
	assert_true(s.limited == 1 && s.integer == 2 && str_is(s.text, "z"));
	refused_text("{\"limited\":9,\"text\":1}", ERR_MALFORMED_FIELD, "limited must be an integer from -5 to 5");
	refused_text("[]", ERR_MALFORMED_JSON, "malformed JSON: '[' where an object should be, at line 1, column 1");
	arena_free(&arena);
}

/* Deep places are cut in the message, not in memory. */
static void test_long_place(void **state)
{
	(void)state;
	static const char long_name[] = "a_field_whose_name_is_rather_long_and_goes_on_and_on_so_that_its_place_does_not_fit_the_buffer_there_is_for_it";
	const struct json_field rows[] = {F_BOOL(struct sample, flag, long_name, JSON_REQUIRED, "")};
	const struct json_message message = {.name = "Long", .size = sizeof(struct sample), .fields = rows, .count = 1};
	struct error err = {0};
	struct sample s;
	struct arena arena;
	arena_init(&arena);
	assert_false(json_read_text(STR_LIT("{}"), &message, &s, &arena, &err));
	assert_int_equal(err.code, ERR_MISSING_FIELD);
	assert_memory_equal(err.message, long_name, 90);
	arena_free(&arena);
}

/* A closed message says what is not in its table, at every level, and shows nothing of it that is no name. */
static void test_closed(void **state)
{
	(void)state;
	struct part {
		struct str name;
	};
	struct whole {
		struct json_list parts;
		struct str note;
	};
	static const struct json_field part_rows[] = {F_TEXT(struct part, name, "name", 0, 8, "its name")};
	static JSON_CLOSED_MESSAGE(part_message, "Part", struct part, part_rows);
	static const struct json_field whole_rows[] = {F_LIST(struct whole, parts, "parts", 0, 8, &part_message, "the parts"),
						       F_TEXT(struct whole, note, "note", 0, 8, "a note")};
	static JSON_CLOSED_MESSAGE(whole_message, "Whole", struct whole, whole_rows);
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"{\"parts\":[{\"name\":\"a\"}],\"note\":null}", NULL},
		{"{\"parts\":[{\"name\":\"a\"},{\"nmae\":\"b\"}]}", "parts[1].nmae is not known here"},
		{"{\"note\":\"n\",\"notes\":null}", "notes is not known here"},
		{"{\"a\\u001bb\":1}", "a... is not known here"},
		{"{\"\":1}", " is not known here"},
		{"{\"abcdefghijklmnopqrstuvwxyzabcdefghijklmnop\":1}", "abcdefghijklmnopqrstuvwxyzabcde... is not known here"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = {0};
		struct whole w;
		struct arena arena;
		arena_init(&arena);
		bool ok = json_read_text(str_from(cases[i].text), &whole_message, &w, &arena, &err);
		assert_int_equal(ok, cases[i].message == NULL);
		if (!ok) {
			assert_int_equal(err.code, ERR_MALFORMED_FIELD);
			assert_string_equal(err.message, cases[i].message);
		}
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_absent),	 cmocka_unit_test(test_null_is_absent), cmocka_unit_test(test_values),
		cmocka_unit_test(test_copies),	 cmocka_unit_test(test_missing),	cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_text_limits), cmocka_unit_test(test_order),	cmocka_unit_test(test_long_place), cmocka_unit_test(test_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
