/* ledgerd: signatures checked on other threads: each wrong one is told once, with its place, and none is lost at a wait or an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/attrs.h"
#include "ledgerd/signatures.h"

enum { MANY = 5000 /* more than may wait at once */ };

struct told {
	atomic_int inside;
	atomic_bool two_at_once;
	unsigned times[MANY];
	size_t count;
	pthread_mutex_t gate; /* a test may keep those who tell waiting */
};

static struct ed25519_secret key;
static struct ed25519_signature good, bad;
static struct hash digest;

static void wrong(void *ctx, struct chain_place at)
{
	struct told *t = ctx;
	if (atomic_fetch_add(&t->inside, 1) != 0)
		atomic_store(&t->two_at_once, true);
	pthread_mutex_lock(&t->gate);
	pthread_mutex_unlock(&t->gate);
	t->times[at.height * 100 + at.index]++;
	t->count++;
	atomic_fetch_sub(&t->inside, 1);
}

static struct signatures *start(unsigned threads, struct told *t)
{
	struct error err;
	*t = (struct told){.count = 0};
	pthread_mutex_init(&t->gate, NULL);
	struct signatures *s = signatures_start(threads, wrong, t, &err);
	assert_non_null(s);
	return s;
}

static void finish(struct signatures *s, struct told *t)
{
	signatures_stop(s);
	assert_false(t->two_at_once);
	pthread_mutex_destroy(&t->gate);
}

static bool is_bad(size_t i)
{
	return i % 7 == 3;
}

static void ask(struct signatures *s, size_t from, size_t to)
{
	struct chain_verifier v = signatures_verifier(s);
	for (size_t i = from; i < to; i++)
		assert_true(v.check(v.ctx, (struct chain_place){(int64_t)(i / 100), (int64_t)(i % 100)}, is_bad(i) ? &bad : &good, &key.public_key, &digest));
}

static void expect_told(const struct told *t, size_t asked)
{
	size_t count = 0;
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(t->times[i], i < asked && is_bad(i));
		count += t->times[i];
	}
	assert_int_equal(t->count, count);
}

/* Around the sizes of what is handed over at once. */
static const size_t numbers[] = {0, 1, 3, 4, 63, 64, 65, 128, 1000, MANY};
static const unsigned threads[] = {0, 1, 2, 8};

static void test_a_wait_has_all_answers(void **state)
{
	(void)state;
	static struct told t;
	for (size_t k = 0; k < ARRAY_LEN(threads); k++) {
		struct signatures *s = start(threads[k], &t);
		size_t asked = 0;
		signatures_wait(s);
		for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
			ask(s, asked, numbers[i]);
			asked = numbers[i];
			signatures_wait(s);
			expect_told(&t, asked);
			assert_int_equal(signatures_count(s), asked);
		}
		signatures_wait(s);
		finish(s, &t);
		expect_told(&t, asked);
	}
}

static void test_an_end_has_all_answers(void **state)
{
	(void)state;
	static struct told t;
	for (size_t k = 0; k < ARRAY_LEN(threads); k++)
		for (size_t i = 0; i + 1 < ARRAY_LEN(numbers); i++) {
			struct signatures *s = start(threads[k], &t);
			ask(s, 0, numbers[i]);
			finish(s, &t);
			expect_told(&t, numbers[i]);
		}
	signatures_stop(NULL);
}

/* One who cannot tell does not keep the others from looking, until there is no more room for questions; nothing is lost meanwhile. */
static void test_one_who_tells_is_slow(void **state)
{
	(void)state;
	static struct told t;
	struct signatures *s = start(3, &t);
	pthread_mutex_lock(&t.gate);
	ask(s, 0, 2000);
	assert_int_equal(t.count, 0);
	pthread_mutex_unlock(&t.gate);
	signatures_wait(s);
	expect_told(&t, 2000);
	finish(s, &t);
}

/* The verdicts are those of the strict verifier, and each question is of its own key and digest. */
static void test_verdicts(void **state)
{
	(void)state;
	static struct told t;
	struct ed25519_secret other;
	struct ed25519_public zero = {{0}};
	struct hash other_digest = digest;
	ed25519_from_seed(&other, (const uint8_t[ED25519_SEED_SIZE]){9});
	other_digest.b[31] ^= 1;
	struct signatures *s = start(2, &t);
	struct chain_verifier v = signatures_verifier(s);
	assert_true(v.check(v.ctx, (struct chain_place){0, 0}, &good, &key.public_key, &digest));
	assert_true(v.check(v.ctx, (struct chain_place){0, 1}, &good, &other.public_key, &digest));
	assert_true(v.check(v.ctx, (struct chain_place){0, 2}, &good, &key.public_key, &other_digest));
	assert_true(v.check(v.ctx, (struct chain_place){0, 3}, &good, &zero, &digest));
	signatures_wait(s);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(t.times[i], i > 0);
	assert_int_equal(signatures_count(s), 4);
	finish(s, &t);
	ed25519_secret_wipe(&other);
}

int main(void)
{
	struct error err;
	if (!crypto_start(&err))
		return 1;
	ed25519_from_seed(&key, (const uint8_t[ED25519_SEED_SIZE]){1});
	sha256(&digest, "x", 1);
	ed25519_sign_bytes(&good, &key, str_of((const char *)digest.b, HASH_SIZE));
	bad = good;
	bad.b[10] ^= 4;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_wait_has_all_answers),
		cmocka_unit_test(test_an_end_has_all_answers),
		cmocka_unit_test(test_one_who_tells_is_slow),
		cmocka_unit_test(test_verdicts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
