/* base: money as text and as integers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/money.h"
#include "base/random.h"
#include "dies.h"

static void forms(void **state)
{
	static const char *const good[] = {"0", "7", "10", "999999999999999999", "0.0", "0.00000000", "12.5", "1.000000000000000000000000000001",
					   "100000000000000000.1"};
	static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "01", "00", "1.", ".5", ".", "1..2", "1.2.3", "1e3", "1E3", "0x1", "1,5", "1_0",
					  "1000000000000000000", "\xc2\xbd", "1.-2", "--1", "Infinity", "NaN", "00.5"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char negative[64];
		snprintf(negative, sizeof negative, "-%s", good[i]);
		assert_true(money_form(str_from(good[i]), MONEY_UNSIGNED));
		assert_true(money_form(str_from(good[i]), MONEY_SIGNED));
		assert_true(money_form(str_from(negative), MONEY_SIGNED));
		assert_false(money_form(str_from(negative), MONEY_UNSIGNED));
		assert_false(money_form(str_from(negative), MONEY_KEPT));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (money_form(str_from(bad[i]), MONEY_UNSIGNED) || money_form(str_from(bad[i]), MONEY_SIGNED))
			fail_msg("\"%s\" is taken", bad[i]);
	assert_false(money_form(str_of("1\0", 2), MONEY_UNSIGNED));
	/* What is kept may have a digit more: sums reach 2^63 - 1. */
	assert_true(money_form(STR_LIT("9223372036854775807"), MONEY_KEPT));
	assert_false(money_form(STR_LIT("92233720368547758070"), MONEY_KEPT));
	(void)state;
}

struct reading {
	const char *text;
	unsigned decimals;
	enum money_problem problem;
	int64_t value;
};

static void values(void **state)
{
	static const struct reading cases[] = {
		{"0", 0, MONEY_FINE, 0},
		{"-0", 2, MONEY_FINE, 0},
		{"12.5", 2, MONEY_FINE, 1250},
		{"12.50", 2, MONEY_FINE, 1250},
		{"-0.49", 2, MONEY_FINE, -49},
		{"0.00000001", 8, MONEY_FINE, 1},
		{"1.000", 2, MONEY_TOO_PRECISE, 0}, /* digits count as they are written */
		{"1.0", 0, MONEY_TOO_PRECISE, 0},
		{"0.001", 2, MONEY_TOO_PRECISE, 0},
		{"92233720368547758.07", 2, MONEY_FINE, INT64_MAX},
		{"92233720368547758.08", 2, MONEY_OVERFLOW, 0},
		{"-92233720368547758.07", 2, MONEY_FINE, -INT64_MAX},
		{"-92233720368547758.08", 2, MONEY_OVERFLOW, 0}, /* INT64_MIN is no amount */
		{"92233720368.54775807", 8, MONEY_FINE, INT64_MAX},
		{"92233720368.54775808", 8, MONEY_OVERFLOW, 0},
		{"999999999999999999", 0, MONEY_FINE, INT64_C(999999999999999999)},
		{"999999999999999999", 1, MONEY_OVERFLOW, 0},
		{"999999999999999999", 8, MONEY_OVERFLOW, 0},
		{"9223372036854775807", 0, MONEY_FINE, INT64_MAX}, /* as kept */
		{"9223372036854775808", 0, MONEY_OVERFLOW, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t v = 77;
		enum money_problem p = money_parse(str_from(cases[i].text), cases[i].decimals, &v);
		if (p != cases[i].problem || (p == MONEY_FINE && v != cases[i].value))
			fail_msg("%s with %u decimals: problem %d, value %lld", cases[i].text, cases[i].decimals, (int)p, (long long)v);
	}
	(void)state;
}

static void texts(void **state)
{
	static const struct {
		int64_t v;
		unsigned decimals;
		const char *text;
	} cases[] = {
		{0, 0, "0"}, {0, 2, "0.00"}, {5, 2, "0.05"}, {1250, 2, "12.50"}, {-49, 2, "-0.49"}, {750, 0, "750"}, {1, 8, "0.00000001"},
		{INT64_MAX, 0, "9223372036854775807"}, {INT64_MAX, 8, "92233720368.54775807"}, {-INT64_MAX, 2, "-92233720368547758.07"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[MONEY_TEXT_SIZE];
		assert_int_equal(money_format(cases[i].v, cases[i].decimals, text), strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
	}
	(void)state;
}

static void what_is_written_is_read(void **state)
{
	for (int i = 0; i < 20000; i++) {
		int64_t v, back;
		char text[MONEY_TEXT_SIZE];
		random_bytes(&v, sizeof v);
		v = v == INT64_MIN ? 0 : v;
		v >>= (unsigned)i % 60; /* of all sizes */
		for (unsigned decimals = 0; decimals <= MONEY_DECIMALS_MAX; decimals++) {
			size_t n = money_format(v, decimals, text);
			/* Beyond 18 digits before the point only what is kept can be read, and that has no sign. */
			if (!money_form(str_of(text, n), MONEY_SIGNED) && !money_form(str_of(text, n), MONEY_KEPT)) {
				assert_true(v < 0 && decimals == 0 && n == 20);
				continue;
			}
			assert_int_equal(money_parse(str_of(text, n), decimals, &back), MONEY_FINE);
			assert_true(back == v);
		}
	}
	(void)state;
}

static void sums(void **state)
{
	int64_t v;
	assert_true(money_add(INT64_MAX - 1, 1, &v) && v == INT64_MAX);
	assert_false(money_add(INT64_MAX, 1, &v));
	assert_true(money_subtract(-INT64_MAX, 0, &v) && v == -INT64_MAX);
	assert_false(money_subtract(-INT64_MAX, 1, &v)); /* INT64_MIN */
	assert_false(money_add(-INT64_MAX, -1, &v));
	assert_false(money_subtract(-2, INT64_MAX, &v));
	assert_true(money_subtract(5, 7, &v) && v == -2);
	(void)state;
}

static void parse_malformed(void *arg)
{
	int64_t v;
	(void)!money_parse(str_from(arg), 2, &v);
}

static void parse_with_nine(void *arg)
{
	int64_t v;
	(void)!money_parse(str_from(arg), MONEY_DECIMALS_MAX + 1, &v);
}

static void callers_have_looked(void **state)
{
	char malformed[] = "1.", fine[] = "1";
	assert_true(dies(parse_malformed, malformed));
	assert_true(dies(parse_with_nine, fine));
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms), cmocka_unit_test(values), cmocka_unit_test(texts), cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(sums),  cmocka_unit_test(callers_have_looked),
	};
	return cmocka_run_group_tests_name("base_money", tests, NULL, NULL);
}
