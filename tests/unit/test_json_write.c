/* json: structs to text, canonical text and schemas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "crypto/canonical.h"
#include "dies.h"
#include "jansson_apart.h"
#include "json_sample.h"

static void assert_written(void (*write)(struct buf *, const struct json_message *, const void *), const struct sample *s, const char *wanted)
{
	struct buf b = {0};
	write(&b, &sample_message, s);
	assert_string_equal(buf_z(&b), wanted);
	buf_free(&b);
}

static void test_absent(void **state)
{
	(void)state;
	struct sample s;
	json_message_clear(&sample_message, &s);
	assert_written(json_write, &s,
		       "{\"requiredItems\":[],\"nullableText\":null,\"nullableForm\":null,\"nullableInteger\":null,\"nullableFlag\":null,"
		       "\"nullableObject\":null,\"nullableList\":null}");
	assert_written(json_write_canonical, &s,
		       "{\"nullableFlag\":null,\"nullableForm\":null,\"nullableInteger\":null,\"nullableList\":null,\"nullableObject\":null,"
		       "\"nullableText\":null,\"requiredItems\":[]}");
}

static struct sample_item two_items[] = {{.port = 2}, {.port = 3, .name = {"x", 1}}};
static struct str two_texts[] = {{"", 0}, {"b\"", 2}};
static struct str one_form[] = {{"abc", 3}};

static struct sample full_sample(void)
{
	struct sample s;
	json_message_clear(&sample_message, &s);
	s.text = STR_LIT("\n\x01\xc3\xa9");
	s.verbatim = STR_LIT("vv");
	s.form = STR_LIT("fff");
	s.any = STR_LIT("{\"a\":[1]}");
	s.integer = -JSON_INT_MAX;
	s.limited = 0;
	s.flag = JSON_TRUE;
	s.object = &two_items[1];
	s.items = (struct json_list){two_items, 2};
	s.required_items = (struct json_list){two_items, 1};
	s.texts = (struct json_list){two_texts, 2};
	s.forms = (struct json_list){one_form, 1};
	s.nullable_text = STR_LIT("");
	s.nullable_form = STR_LIT("ggg");
	s.nullable_integer = 9;
	s.nullable_flag = JSON_FALSE;
	s.nullable_object = &two_items[0];
	s.nullable_list = (struct json_list){two_items, 0};
	return s;
}

static void test_everything(void **state)
{
	(void)state;
	struct sample s = full_sample();
	assert_written(json_write, &s,
		       "{\"text\":\"\\n\\u0001\xc3\xa9\",\"verbatim\":\"vv\",\"form\":\"fff\",\"integer\":-9007199254740991,\"limited\":0,\"flag\":true,"
		       "\"object\":{\"port\":3,\"name\":\"x\"},\"items\":[{\"port\":2},{\"port\":3,\"name\":\"x\"}],\"requiredItems\":[{\"port\":2}],"
		       "\"texts\":[\"\",\"b\\\"\"],\"forms\":[\"abc\"],\"any\":{\"a\":[1]},\"nullableText\":\"\",\"nullableForm\":\"ggg\","
		       "\"nullableInteger\":9,\"nullableFlag\":false,\"nullableObject\":{\"port\":2},\"nullableList\":[]}");
	assert_written(json_write_canonical, &s,
		       "{\"any\":{\"a\":[1]},\"flag\":true,\"form\":\"fff\",\"forms\":[\"abc\"],\"integer\":-9007199254740991,"
		       "\"items\":[{\"port\":2},{\"name\":\"x\",\"port\":3}],\"limited\":0,\"nullableFlag\":false,\"nullableForm\":\"ggg\","
		       "\"nullableInteger\":9,\"nullableList\":[],\"nullableObject\":{\"port\":2},\"nullableText\":\"\","
		       "\"object\":{\"name\":\"x\",\"port\":3},\"requiredItems\":[{\"port\":2}],\"text\":\"\\n\\u0001\xc3\xa9\","
		       "\"texts\":[\"\",\"b\\\"\"],\"verbatim\":\"vv\"}");
}

static void test_canonical_is_canonical(void **state)
{
	(void)state;
	struct sample s = full_sample();
	struct buf b = {0}, again = {0};
	struct error err = {0};
	json_write_canonical(&b, &sample_message, &s);
	assert_true(canonical_check(buf_str(&b)));
	assert_true(oracle_canonical(b.data, b.len));
	/* The two ways to canonical bytes agree: by the table, and by the document. */
	struct buf plain = {0};
	json_write(&plain, &sample_message, &s);
	struct json_doc *d = json_parse_object(buf_str(&plain), &err);
	assert_non_null(d);
	assert_true(json_canonicalise(d, NULL, &again, &err));
	assert_true(str_equal(buf_str(&b), buf_str(&again)));
	json_doc_free(d);
	buf_free(&b);
	buf_free(&plain);
	buf_free(&again);
}

static void write_too_large(void *s)
{
	struct buf b = {0};
	json_write_canonical(&b, &sample_message, s);
	buf_free(&b);
}

static void test_integer_beyond_canonical(void **state)
{
	(void)state;
	struct sample s = full_sample();
	s.integer = JSON_INT_MAX;
	assert_false(dies(write_too_large, &s));
	s.integer = JSON_INT_MAX + 1;
	assert_true(dies(write_too_large, &s));
}

static void test_keeping(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"{\"name\":\"old\",\"port\":1}", "{\"port\":7}"},
		{"{\"x\":1.50,\"port\":1,\"y y\":{\"z\":[\"\\u0001\",1e5,null]},\"name\":null}", "{\"port\":7,\"x\":1.50,\"y y\":{\"z\":[\"\\u0001\",1e5,null]}}"},
	};
	struct sample_item item = {.port = 7};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = {0};
		struct buf b = {0};
		struct json_doc *old = json_parse_object(str_from(cases[i][0]), &err);
		assert_non_null(old);
		json_write_keeping(&b, &sample_item_message, &item, old);
		assert_string_equal(buf_z(&b), cases[i][1]);
		buf_free(&b);
		json_doc_free(old);
	}
	/* Nothing of its own to write: the kept members still come without a comma before them. */
	const struct json_field optional_rows[] = {F_TEXT(struct sample_item, name, "name", 0, 8, "A name.")};
	const struct json_message optional = {.name = "Optional", .size = sizeof(struct sample_item), .fields = optional_rows, .count = 1};
	struct error err = {0};
	struct buf b = {0};
	struct json_doc *old = json_parse_object(STR_LIT("{\"a\":true,\"b\":[ ]}"), &err);
	json_write_keeping(&b, &optional, &item, old);
	assert_string_equal(buf_z(&b), "{\"a\":true,\"b\":[]}");
	buf_free(&b);
	json_doc_free(old);
}

/* ---- Schemas ---- */

static void assert_same_json(const struct buf *b, const char *wanted)
{
	json_t *have = json_loadb(b->data, b->len, JSON_REJECT_DUPLICATES, NULL), *want = json_loads(wanted, 0, NULL);
	assert_non_null(have);
	assert_non_null(want);
	if (!json_equal(have, want))
		fail_msg("%.*s", STR_ARG(buf_str(b)));
	json_decref(have);
	json_decref(want);
}

static void test_schema(void **state)
{
	(void)state;
	struct buf b = {0};
	json_schema_write(&b, &sample_message);
	assert_same_json(
		&b,
		"{\"type\":\"object\",\"required\":[\"text\",\"requiredItems\",\"nullableText\",\"nullableForm\",\"nullableInteger\",\"nullableFlag\","
		"\"nullableObject\",\"nullableList\"],\"properties\":{"
		"\"text\":{\"type\":\"string\",\"maxLength\":10,\"description\":\"At most ten bytes.\"},"
		"\"verbatim\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":20,\"description\":\"Two to twenty bytes of anything.\"},"
		"\"form\":{\"$ref\":\"#/components/schemas/Three\",\"description\":\"Three bytes.\"},"
		"\"integer\":{\"type\":\"integer\",\"minimum\":-9007199254740991,\"maximum\":9007199254740991,\"description\":\"Any integer.\"},"
		"\"limited\":{\"type\":\"integer\",\"minimum\":-5,\"maximum\":5,\"description\":\"A small one.\"},"
		"\"flag\":{\"type\":\"boolean\",\"description\":\"Yes or no.\"},"
		"\"object\":{\"$ref\":\"#/components/schemas/Item\",\"description\":\"An item.\"},"
		"\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Item\"},\"maxItems\":2,\"description\":\"At most two items.\"},"
		"\"requiredItems\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Item\"},\"description\":\"Items.\"},"
		"\"texts\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":3,\"description\":\"At most three texts.\"},"
		"\"forms\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Three\"},\"description\":\"Texts of three bytes.\"},"
		"\"any\":{\"description\":\"Any value.\"},"
		"\"nullableText\":{\"type\":[\"string\",\"null\"],\"maxLength\":10,\"description\":\"A text or null.\"},"
		"\"nullableForm\":{\"anyOf\":[{\"$ref\":\"#/components/schemas/Three\"},{\"type\":\"null\"}],\"description\":\"Three bytes or null.\"},"
		"\"nullableInteger\":{\"type\":[\"integer\",\"null\"],\"minimum\":0,\"maximum\":9,\"description\":\"A digit or null.\"},"
		"\"nullableFlag\":{\"type\":[\"boolean\",\"null\"],\"description\":\"Yes, no or null.\"},"
		"\"nullableObject\":{\"anyOf\":[{\"$ref\":\"#/components/schemas/Item\"},{\"type\":\"null\"}],\"description\":\"An item or null.\"},"
		"\"nullableList\":{\"type\":[\"array\",\"null\"],\"items\":{\"$ref\":\"#/components/schemas/Item\"},\"maxItems\":4,\"description\":\"Items or null.\"}"
		"}}");
	buf_clear(&b);
	json_schema_write(&b, &sample_item_message);
	assert_same_json(&b, "{\"type\":\"object\",\"required\":[\"port\"],\"properties\":{"
			     "\"port\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535,\"description\":\"A port.\"},"
			     "\"name\":{\"type\":\"string\",\"maxLength\":8,\"description\":\"A name.\"}}}");
	buf_free(&b);
}

static void test_schema_without_required(void **state)
{
	(void)state;
	const struct json_field rows[] = {F_ANY(struct sample, any, "any", 0, "Any \"value\".")};
	const struct json_message message = {.name = "Loose", .size = sizeof(struct sample), .fields = rows, .count = 1};
	struct buf b = {0};
	json_schema_write(&b, &message);
	assert_same_json(&b, "{\"type\":\"object\",\"properties\":{\"any\":{\"description\":\"Any \\\"value\\\".\"}}}");
	buf_free(&b);
}

static void test_schema_form(void **state)
{
	(void)state;
	const struct json_form form = {"Dot", "^\\.$", "a \"dot\"", ERR_MALFORMED_FIELD, sample_form_check};
	struct buf b = {0};
	json_schema_write_form(&b, &form);
	assert_same_json(&b, "{\"type\":\"string\",\"pattern\":\"^\\\\.$\",\"description\":\"a \\\"dot\\\"\"}");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_canonical_is_canonical),
		cmocka_unit_test(test_integer_beyond_canonical),
		cmocka_unit_test(test_keeping),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_schema_without_required),
		cmocka_unit_test(test_schema_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
