/* ledgerd: the set of ids that were refused lately never forgets one too early, does forget, and seldom says yes for nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attrs.h"
#include "ledgerd/refused_set.h"

enum { PERIOD = 1000, MANY = 100000 };

static struct hash id_of(uint64_t n)
{
	struct hash h;
	sha256(&h, &n, sizeof n);
	return h;
}

static void put(struct refused_set *s, uint64_t n, int64_t at)
{
	struct hash h = id_of(n);
	refused_set_put(s, &h, at);
}

static bool perhaps(const struct refused_set *s, uint64_t n)
{
	struct hash h = id_of(n);
	return refused_set_perhaps(s, &h);
}

static void all_of_them_and_hardly_others(void **state)
{
	(void)state;
	struct refused_set *s = refused_set_new(PERIOD);
	size_t wrong = 0;
	assert_false(perhaps(s, 1));
	for (uint64_t n = 0; n < MANY; n++)
		put(s, n, 1);
	for (uint64_t n = 0; n < MANY; n++)
		assert_true(perhaps(s, n));
	for (uint64_t n = MANY; n < 2 * (uint64_t)MANY; n++)
		wrong += perhaps(s, n);
	assert_true(wrong < MANY / 1000);
	refused_set_free(s);
	refused_set_free(NULL);
}

static void after_a_period_and_not_before(void **state)
{
	(void)state;
	struct refused_set *s = refused_set_new(PERIOD);
	put(s, 1, 500);
	put(s, 2, 500 + PERIOD - 1);
	put(s, 3, 500 + PERIOD);
	assert_true(perhaps(s, 1) && perhaps(s, 2) && perhaps(s, 3));
	/* The second of them is not a period old. */
	put(s, 4, 500 + 2 * PERIOD - 2);
	assert_true(perhaps(s, 1) && perhaps(s, 2) && perhaps(s, 3) && perhaps(s, 4));
	put(s, 5, 500 + 2 * PERIOD);
	assert_true(!perhaps(s, 1) && !perhaps(s, 2) && perhaps(s, 3) && perhaps(s, 4) && perhaps(s, 5));
	/* Nothing came for long: all of it goes at once. */
	put(s, 6, 500 + 4 * PERIOD);
	assert_true(!perhaps(s, 3) && !perhaps(s, 4) && !perhaps(s, 5) && perhaps(s, 6));
	refused_set_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_them_and_hardly_others),
		cmocka_unit_test(after_a_period_and_not_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
