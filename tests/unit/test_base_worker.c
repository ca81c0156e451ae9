/* base: the background thread: its first turn, its pauses, wakes during a turn, and its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/worker.h"

enum { PATIENCE_MS = 10000 }; /* for what should take no time at all: a loaded machine does not fail the test */

struct counter {
	atomic_int turns, inside, overlaps;
	atomic_bool hold; /* a turn lasts while it is set */
	int64_t pause_ms;
};

static int64_t count_turn(void *ctx)
{
	struct counter *c = ctx;
	if (atomic_fetch_add(&c->inside, 1) > 0)
		atomic_fetch_add(&c->overlaps, 1);
	atomic_fetch_add(&c->turns, 1);
	while (atomic_load(&c->hold))
		usleep(500);
	atomic_fetch_sub(&c->inside, 1);
	return c->pause_ms;
}

static bool reaches(struct counter *c, int turns)
{
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < end; usleep(500))
		if (atomic_load(&c->turns) >= turns)
			return true;
	return false;
}

static void test_pauses(void **state)
{
	(void)state;
	struct counter c = {.pause_ms = 20};
	int64_t start = clock_mono_ms();
	struct worker *w = worker_start("test", count_turn, &c);
	assert_true(reaches(&c, 5));
	assert_true(clock_mono_ms() - start >= 4 * 20);
	worker_stop(w);
	int turns = atomic_load(&c.turns);
	usleep(60000);
	assert_int_equal(atomic_load(&c.turns), turns); /* none after the stop */
}

static void test_wake(void **state)
{
	(void)state;
	struct counter c = {.pause_ms = 1000000};
	struct worker *w = worker_start("test", count_turn, &c);
	assert_true(reaches(&c, 1));
	for (int i = 2; i < 100; i++) {
		worker_wake(w);
		assert_true(reaches(&c, i));
	}
	/* Many wakes during one turn are one more turn. */
	atomic_store(&c.hold, true);
	worker_wake(w);
	assert_true(reaches(&c, 100));
	for (int i = 0; i < 10; i++)
		worker_wake(w);
	atomic_store(&c.hold, false);
	assert_true(reaches(&c, 101));
	usleep(30000);
	assert_int_equal(atomic_load(&c.turns), 101);
	assert_int_equal(atomic_load(&c.overlaps), 0);
	worker_stop(w); /* at once, though the pause is long */
}

static void *let_go(void *arg)
{
	struct counter *c = arg;
	usleep(30000);
	atomic_store(&c->hold, false);
	return NULL;
}

static void test_stop_waits(void **state)
{
	(void)state;
	struct counter c = {.pause_ms = 1000000, .hold = true};
	struct worker *w = worker_start("test", count_turn, &c);
	assert_true(reaches(&c, 1));
	pthread_t helper;
	assert_int_equal(pthread_create(&helper, NULL, let_go, &c), 0);
	worker_stop(w);
	assert_false(atomic_load(&c.hold)); /* not before the turn was over */
	assert_int_equal(atomic_load(&c.inside), 0);
	pthread_join(helper, NULL);
	worker_wake(NULL);
	worker_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pauses), cmocka_unit_test(test_wake), cmocka_unit_test(test_stop_waits)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
