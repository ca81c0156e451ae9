/* base: the map of strings, against a plain array that is searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/strmap.h"

enum { KEYS = 500 };
static char keys[KEYS][16];
static int values[KEYS];

static struct str key_of(size_t i)
{
	return str_from(keys[i]);
}

static int name_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "key-%zu", i);
	return 0;
}

static void assert_holds(const struct strmap *m, const bool *in)
{
	size_t expected = 0, met = 0, at = 0;
	for (size_t i = 0; i < KEYS; i++) {
		assert_ptr_equal(strmap_get(m, key_of(i)), in[i] ? &values[i] : NULL);
		expected += in[i];
	}
	assert_int_equal(m->count, expected);
	bool seen[KEYS] = {false};
	for (int *v; (v = strmap_next(m, &at));) {
		size_t i = (size_t)(v - values);
		assert_true(in[i] && !seen[i]);
		seen[i] = true;
		met++;
	}
	assert_int_equal(met, expected);
}

static void test_random_use(void **state)
{
	(void)state;
	struct strmap m = {0};
	bool in[KEYS] = {false};
	assert_holds(&m, in);
	for (int step = 0; step < 60000; step++) {
		size_t i = random_below(KEYS);
		/* Phases of growing and of shrinking, so that deleted slots pile up and are cleared away. */
		if (random_below(8) < (step / 6000 % 2 ? 2u : 6u)) {
			if (in[i] || random_below(2))
				strmap_put(&m, key_of(i), &values[i]);
			else
				strmap_add(&m, key_of(i), &values[i]);
			in[i] = true;
		} else {
			assert_ptr_equal(strmap_remove(&m, key_of(i)), in[i] ? &values[i] : NULL);
			in[i] = false;
		}
		if (step % 997 == 0)
			assert_holds(&m, in);
	}
	assert_holds(&m, in);
	assert_true(m.cap <= KEYS * 8); /* deleting and putting again does not grow it for ever */
	strmap_free(&m);
	assert_null(strmap_get(&m, key_of(0)));
}

static void test_keys_are_bytes(void **state)
{
	(void)state;
	struct strmap m = {0};
	int a, b, c, d;
	char moved[] = "same";
	strmap_put(&m, STR_LIT(""), &a);
	strmap_put(&m, STR_LIT("\0"), &b);
	strmap_put(&m, STR_LIT("\0\0"), &c);
	strmap_put(&m, STR_LIT("same"), &c);
	strmap_put(&m, str_from(moved), &d); /* replaces, and borrows the new key from now on */
	assert_ptr_equal(strmap_get(&m, STR_LIT("")), &a);
	assert_ptr_equal(strmap_get(&m, STR_LIT("\0")), &b);
	assert_ptr_equal(strmap_get(&m, STR_LIT("\0\0")), &c);
	assert_ptr_equal(strmap_get(&m, STR_LIT("same")), &d);
	assert_null(strmap_get(&m, STR_LIT("sam")));
	assert_int_equal(m.count, 4);
	strmap_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_use), cmocka_unit_test(test_keys_are_bytes)};
	return cmocka_run_group_tests(tests, name_keys, NULL);
}
