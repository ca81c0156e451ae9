/* base: spans, UTF-8, numbers, hexadecimal, units, time as text, the growable buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/str.h"
#include "base/units.h"

static void test_str(void **state)
{
	(void)state;
	assert_false(str_present(STR_NONE));
	assert_true(str_present(STR_LIT("")));
	assert_false(str_equal(STR_NONE, STR_LIT("")));
	assert_true(str_equal(STR_LIT("ab"), str_from("ab")));
	assert_true(str_is(STR_LIT("ab"), "ab") && !str_is(STR_LIT("ab"), "abc") && !str_is(STR_NONE, ""));
	assert_true(str_starts(STR_LIT("abc"), "ab") && !str_starts(STR_LIT("a"), "ab") && !str_starts(STR_NONE, ""));

	/* In ascending order: each sorts before all that follow. */
	const struct str sorted[] = {STR_NONE,	      STR_LIT(""),   STR_LIT("A"), STR_LIT("a"),
				     STR_LIT("a\0"), STR_LIT("aa"), STR_LIT("b"), STR_LIT("\xff")};
	for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
		for (size_t j = 0; j < ARRAY_LEN(sorted); j++) {
			int order = str_compare(sorted[i], sorted[j]);
			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
}

static void test_int64(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {{"0", 0}, {"7", 7}, {"-1", -1}, {"10", 10}, {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN}};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		int64_t v = 42;
		assert_true(str_to_int64(str_from(good[i].text), &v));
		assert_int_equal(v, good[i].value);
	}
	static const char *const bad[] = {"",     "-",   "+1",  " 1",   "1 ",  "01",   "-0",  "-01",
					  "1.0",  "1e3", "0x1", "--1",  "1-",  "1\n",  "\xd9\xa1",
					  "9223372036854775808", "-9223372036854775809", "92233720368547758070", "99999999999999999999999"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int64_t v = 42;
		assert_false(str_to_int64(str_from(bad[i]), &v));
		assert_int_equal(v, 42);
	}
	int64_t v;
	assert_false(str_to_int64(STR_NONE, &v));
	assert_false(str_to_int64(str_of("1\0", 2), &v));
}

static size_t encode_utf8(uint32_t c, unsigned char out[4])
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (unsigned char)(0x80 | (c & 0x3f));
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	out[0] = (unsigned char)(lead[n] | c);
	return n;
}

static void test_utf8_every_character(void **state)
{
	(void)state;
	unsigned char bytes[4];
	for (uint32_t c = 0; c < 0x120000; c++) {
		size_t n = encode_utf8(c, bytes);
		bool is_character = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
		if (utf8_valid(bytes, n) != is_character)
			fail_msg("U+%04X is judged wrongly", (unsigned)c);
		for (size_t cut = 1; cut < n; cut++)
			if (utf8_valid(bytes, cut))
				fail_msg("U+%04X cut after %zu bytes is accepted", (unsigned)c, cut);
	}
}

/* Every two-byte string: valid exactly if both are ASCII, or it is one of U+0080..U+07FF. */
static void test_utf8_every_pair(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++)
		for (unsigned b = 0; b < 256; b++) {
			unsigned char bytes[2] = {(unsigned char)a, (unsigned char)b};
			bool good = (a < 0x80 && b < 0x80) || (a >= 0xc2 && a < 0xe0 && b >= 0x80 && b < 0xc0);
			assert_int_equal(utf8_valid(bytes, 2), good);
		}
}

static void test_utf8_places(void **state)
{
	(void)state;
	assert_true(utf8_valid(NULL, 0));
	static const char *const bad[] = {
		"\x80", "\xc0\x80", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x9a", "\xe2\x28\xa1",
	};
	char text[40];
	/* At each distance from the eight-byte steps of the quick path, with text and without behind it. */
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		for (size_t at = 0; at < 20; at++) {
			size_t n = strlen(bad[i]);
			memset(text, 'a', sizeof(text));
			assert_true(utf8_valid(text, sizeof(text)));
			memcpy(text + at, bad[i], n);
			assert_false(utf8_valid(text, at + n));
			assert_false(utf8_valid(text, sizeof(text)));
			memcpy(text + at, "\xf0\x9f\x9a\x80", 4);
			assert_true(utf8_valid(text, at + 4));
		}
}

static void test_hex(void **state)
{
	(void)state;
	uint8_t all[256], back[256];
	char text[513];
	for (size_t i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	hex_encode(text, all, sizeof(all));
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text, "000102", 6);
	assert_memory_equal(text + 506, "fdfeff", 6);
	assert_true(hex_decode(back, 256, text, 512, HEX_LOWER_ONLY));
	assert_memory_equal(all, back, 256);
	assert_true(hex_decode(back, 0, "", 0, HEX_LOWER_ONLY));
	assert_false(hex_decode(back, 1, "0", 1, HEX_LOWER_ONLY));
	assert_false(hex_decode(back, 1, "000", 3, HEX_LOWER_ONLY));
	/* Each byte in each of the two places. */
	for (int c = 0; c < 256; c++) {
		char first[2] = {(char)c, '0'}, second[2] = {'0', (char)c};
		bool lower = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'), any = lower || (c >= 'A' && c <= 'F');
		assert_int_equal(hex_decode(back, 1, first, 2, HEX_LOWER_ONLY), lower);
		assert_int_equal(hex_decode(back, 1, second, 2, HEX_LOWER_ONLY), lower);
		assert_int_equal(hex_decode(back, 1, first, 2, HEX_ANY_CASE), any);
		assert_int_equal(hex_decode(back, 1, second, 2, HEX_ANY_CASE), any);
		if (any)
			assert_int_equal(back[0], strtol((char[]){(char)c, 0}, NULL, 16));
	}
}

static void test_units_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t bytes, ms; /* -1: refused. Bare durations are seconds here. */
	} table[] = {
		{"0", 0, 0},
		{"5", 5, 5000},
		{"007", 7, 7000},
		{"1k", 1024, -1},
		{"3M", 3 << 20, -1},
		{"2G", INT64_C(2) << 30, -1},
		{"250ms", -1, 250},
		{"10s", -1, 10000},
		{"5m", -1, 300000},
		{"2h", -1, 7200000},
		{"", -1, -1},
		{"k", -1, -1},
		{"-1", -1, -1},
		{"+1", -1, -1},
		{"1 k", -1, -1},
		{"1kk", -1, -1},
		{"1K", -1, -1},
		{"1.5M", -1, -1},
		{"1kB", -1, -1},
		{" 1", -1, -1},
		{"1S", -1, -1},
		{"1d", -1, -1},
		{"0x10", -1, -1},
		{"9223372036854775808", -1, -1},
		{"9223372036854775807", INT64_MAX, -1},
		{"9007199254740992k", -1, -1},
		{"9007199254740991k", INT64_C(9007199254740991) * 1024, -1},
		{"8589934592G", -1, -1},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int64_t v = -1;
		assert_int_equal(units_parse_size(str_from(table[i].text), &v), table[i].bytes >= 0);
		assert_int_equal(v, table[i].bytes);
		v = -1;
		assert_int_equal(units_parse_duration(str_from(table[i].text), 1000, &v), table[i].ms >= 0);
		assert_int_equal(v, table[i].ms);
	}
	int64_t v;
	assert_true(units_parse_duration(STR_LIT("5"), 1, &v));
	assert_int_equal(v, 5);
	assert_false(units_parse_size(STR_NONE, &v));
	assert_false(units_parse_size(str_of("1\0", 2), &v));
}

static void test_units_format(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} durations[] = {
		{0, "0 ms"},
		{1, "1 ms"},
		{999, "999 ms"},
		{1000, "1 s"},
		{1099, "1 s"},
		{1500, "1.5 s"},
		{9999, "9.9 s"},
		{59999, "59 s"},
		{60000, "1 min"},
		{3599999, "59 min"},
		{5400000, "1.5 h"},
		{86400000, "1 d"},
		{345600000, "4 d"},
		{-3000, "-3 s"},
		{INT64_C(86400000) * 400, "400 d"},
		{INT64_MIN, "-106751991167 d"},
	};
	char out[UNITS_TEXT_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		units_format_duration(durations[i].ms, out);
		assert_string_equal(out, durations[i].text);
	}
	static const struct {
		int64_t bytes;
		const char *text;
	} sizes[] = {
		{0, "0 B"},
		{512, "512 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{10 * 1024 + 1000, "10 KiB"},
		{1468006, "1.3 MiB"},
		{INT64_C(3) << 30, "3 GiB"},
		{INT64_C(5) << 40, "5 TiB"},
		{INT64_MAX, "8191 PiB"},
		{-2048, "-2 KiB"},
	};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		units_format_size(sizes[i].bytes, out);
		assert_string_equal(out, sizes[i].text);
	}
}

static void test_iso8601(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} table[] = {{0, "1970-01-01T00:00:00.000Z"},
		     {INT64_C(1769862896789), "2026-01-31T12:34:56.789Z"},
		     {-1, "1969-12-31T23:59:59.999Z"},
		     {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
		     {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
		     {INT64_C(253402300800000), "-"},
		     {INT64_C(-62167219200000), "0000-01-01T00:00:00.000Z"},
		     {INT64_C(-62167219200001), "-"},
		     {INT64_MAX, "-"},
		     {INT64_MIN, "-"}};
	char out[CLOCK_ISO8601_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		clock_iso8601(table[i].ms, out);
		assert_string_equal(out, table[i].text);
	}
}

static void test_clocks(void **state)
{
	(void)state;
	assert_true(clock_wall_ms() > INT64_C(1700000000000));
	int64_t last = clock_mono_ns();
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_mono_ns();
		assert_true(now >= last);
		last = now;
	}
}

static void test_buf(void **state)
{
	(void)state;
	struct buf b = {0};
	assert_true(str_present(buf_str(&b)) && buf_str(&b).n == 0);
	assert_string_equal(buf_z(&b), "");
	buf_put(&b, NULL, 0);
	buf_puts(&b, "a");
	buf_putc(&b, 'b');
	buf_put_str(&b, STR_LIT("c"));
	buf_put_str(&b, STR_NONE);
	buf_put_hex(&b, "\x0f\xf0", 2);
	buf_printf(&b, "|%d|%s", 5, "x");
	assert_string_equal(buf_z(&b), "abc0ff0|5|x");
	assert_int_equal(b.len, 11);

	static const int64_t numbers[] = {0, 9, 10, -1, 1234567890, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		char expected[32];
		snprintf(expected, sizeof(expected), "%lld", (long long)numbers[i]);
		buf_clear(&b);
		buf_put_int(&b, numbers[i]);
		assert_string_equal(buf_z(&b), expected);
	}

	/* Longer than what is free, by each way of growing. */
	buf_free(&b);
	for (int i = 0; i < 5000; i++)
		buf_putc(&b, (char)('a' + i % 26));
	for (int i = 0; i < 5000; i++)
		assert_int_equal(b.data[i], 'a' + i % 26);
	buf_printf(&b, "%09000d", 7);
	assert_int_equal(b.len, 14000);
	assert_int_equal(b.data[13999], '7');

	size_t len;
	char *z = buf_steal(&b, &len);
	assert_int_equal(len, 14000);
	assert_int_equal(z[len], '\0');
	assert_null(b.data);
	free(z);
	z = buf_steal(&b, &len);
	assert_string_equal(z, "");
	free(z);
}

static void test_json_string(void **state)
{
	(void)state;
	const struct {
		struct str in;
		const char *out;
	} table[] = {{STR_LIT(""), "\"\""},
		     {STR_NONE, "\"\""},
		     {STR_LIT("plain"), "\"plain\""},
		     {STR_LIT("\"\\/"), "\"\\\"\\\\/\""},
		     {STR_LIT("a\nb"), "\"a\\nb\""},
		     {STR_LIT("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
		     {STR_LIT("\0\x01\x0b\x0e\x1f\x20\x7f"), "\"\\u0000\\u0001\\u000b\\u000e\\u001f \x7f\""},
		     {STR_LIT("é漢🚀"), "\"é漢🚀\""},
		     {STR_LIT("\nend\n"), "\"\\nend\\n\""}};
	struct buf b = {0};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		buf_clear(&b);
		buf_put_json_string(&b, table[i].in);
		assert_string_equal(buf_z(&b), table[i].out);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str),	    cmocka_unit_test(test_int64),	 cmocka_unit_test(test_utf8_every_character),
		cmocka_unit_test(test_utf8_every_pair), cmocka_unit_test(test_utf8_places), cmocka_unit_test(test_hex),
		cmocka_unit_test(test_units_parse), cmocka_unit_test(test_units_format), cmocka_unit_test(test_iso8601),
		cmocka_unit_test(test_clocks),	    cmocka_unit_test(test_buf),		 cmocka_unit_test(test_json_string),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
