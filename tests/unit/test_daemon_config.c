/* The configuration file's syntax: what is taken, and what each broken line is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "daemon/config_file.h"

static bool collect(void *ctx, const struct config_entry *e, struct error *err)
{
	struct buf *seen = ctx;
	if (str_is(e->key, "stop"))
		return error_set(err, ERR_CONFIG, "stopped on line %u", e->line);
	buf_printf(seen, "%u [%.*s] %.*s=<%.*s>\n", e->line, STR_ARG(e->section), STR_ARG(e->key), STR_ARG(e->value));
	return true;
}

/* The text lies in memory of exactly its size, so that a sanitizer sees every step beyond. */
static bool parse(struct str text, struct buf *seen, struct error *err)
{
	char *copy = malloc(text.n + !text.n);
	assert_non_null(copy);
	memcpy(copy, text.p, text.n);
	bool ok = config_parse(str_of(copy, text.n), "f", collect, seen, err);
	free(copy);
	return ok;
}

static void test_taken(void **state)
{
	(void)state;
	static const struct {
		const char *text, *seen;
	} rows[] = {
		{"", ""},
		{"\n\n", ""},
		{"# nothing\n; here\n  # either", ""},
		{"[a]", ""},
		{"[a]\nk=v", "2 [a] k=<v>\n"},
		{"[a]\nk = v\n", "2 [a] k=<v>\n"},
		{"\t[ a ]\t\n\t k \t=\t v w \t\n", "2 [a] k=<v w>\n"},
		{"[a]\r\nk=v\r\n", "2 [a] k=<v>\n"},
		{"\xef\xbb\xbf[a]\nk=v\n", "2 [a] k=<v>\n"},
		{"[a]\nk=\n", "2 [a] k=<>\n"},
		{"[a]\nk==\n", "2 [a] k=<=>\n"},
		{"[a]\nurl = postgres://u:p@h/d?x=1;y=2 # no comment\n", "2 [a] url=<postgres://u:p@h/d?x=1;y=2 # no comment>\n"},
		{"[a]\nk=\"v\"\n", "2 [a] k=<\"v\">\n"},
		{"[a]\n  k=v\n  k2=v\n", "2 [a] k=<v>\n3 [a] k2=<v>\n"},
		{"[a]\nk=1\n[b.c-d_e]\nk=2\n[a]\nK-x=3\n", "2 [a] k=<1>\n4 [b.c-d_e] k=<2>\n6 [a] K-x=<3>\n"},
		{"[a]\nk=\xc3\xa9\n", "2 [a] k=<\xc3\xa9>\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf seen = {0};
		struct error err;
		assert_true(parse(str_from(rows[i].text), &seen, &err));
		assert_string_equal(buf_z(&seen), rows[i].seen);
		buf_free(&seen);
	}
}

static void expect_refused(struct str text, const char *message)
{
	struct buf seen = {0};
	struct error err = {0};
	assert_false(parse(text, &seen, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_string_equal(err.message, message);
	buf_free(&seen);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} rows[] = {
		{"k=v\n", "f:1: a key stands before the first section"},
		{"[a]\nword\n", "f:2: this line is neither `key = value` nor `[section]`"},
		{"[a\nk=v\n", "f:1: a section is written [name], alone on its line"},
		{"[a] # x\n", "f:1: a section is written [name], alone on its line"},
		{"[\n", "f:1: a section is written [name], alone on its line"},
		{"[]\n", "f:1: this is not a section's name"},
		{"[a b]\n", "f:1: this is not a section's name"},
		{"[a]\n=v\n", "f:2: this is not a key's name"},
		{"[a]\nk k=v\n", "f:2: this is not a key's name"},
		{"[a]\n-k=v\n", "f:2: this is not a key's name"},
		{"[a]\nk\xc3\xa9=v\n", "f:2: this is not a key's name"},
		{"[a]\nk=\x01\n", "f:2: the line holds control characters or is not UTF-8"},
		{"[a]\nk=\xff\n", "f:2: the line holds control characters or is not UTF-8"},
		{"[a]\nk=a\rb\n", "f:2: the line holds control characters or is not UTF-8"},
		{"[a]\n\n\nstop=1\n", "stopped on line 4"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_refused(str_from(rows[i].text), rows[i].message);
	expect_refused(STR_LIT("[a]\nk=v\0w\n"), "f:2: the line holds control characters or is not UTF-8");
}

/* Names, lines and files at their limits, and one byte beyond. */
static void test_limits(void **state)
{
	(void)state;
	static char text[CONFIG_FILE_MAX + 64];
	struct buf seen = {0};
	struct error err;
	memcpy(text, "[a]\n", 4);
	memset(text + 4, 'k', CONFIG_NAME_MAX + 1);
	text[4 + CONFIG_NAME_MAX] = '=';
	assert_true(parse(str_of(text, 5 + CONFIG_NAME_MAX), &seen, &err));
	text[4 + CONFIG_NAME_MAX] = 'k';
	text[5 + CONFIG_NAME_MAX] = '=';
	expect_refused(str_of(text, 6 + CONFIG_NAME_MAX), "f:2: this is not a key's name");

	memset(text + 4, 'v', CONFIG_LINE_MAX + 1);
	memcpy(text + 4, "k=", 2);
	buf_clear(&seen);
	assert_true(parse(str_of(text, 4 + CONFIG_LINE_MAX), &seen, &err));
	assert_true(seen.len > CONFIG_LINE_MAX);
	expect_refused(str_of(text, 5 + CONFIG_LINE_MAX), "f:2: the line is too long");

	memset(text, '\n', sizeof(text));
	assert_true(parse(str_of(text, CONFIG_FILE_MAX), &seen, &err));
	expect_refused(str_of(text, CONFIG_FILE_MAX + 1), "f: a configuration file has at most 262144 bytes");
	buf_free(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
