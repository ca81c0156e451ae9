/* base: errors, arenas, checked allocation, randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "dies.h"

static void test_error_codes(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_COUNT; i++) {
		enum error_code code = (enum error_code)i, back = ERR_COUNT;
		const char *text = error_code_text(code);
		assert_int_equal(strspn(text, "abcdefghijklmnopqrstuvwxyz_"), strlen(text));
		assert_in_range(error_code_status(code), 400, 599);
		assert_true(error_code_from_text(text, &back));
		assert_string_equal(error_code_text(back), text);
		/* A text may stand for several codes, since services answer it with different statuses: the first is read. No pair is there twice. */
		assert_true(back <= code);
		for (int j = 0; j < i; j++)
			assert_false(strcmp(error_code_text((enum error_code)j), text) == 0 && error_code_status((enum error_code)j) == error_code_status(code));
	}
	enum error_code code = ERR_COUNT;
	assert_false(error_code_from_text("no_such_code", &code));
	assert_false(error_code_from_text("", &code));
	assert_int_equal(code, ERR_COUNT);
}

static void test_error_set(void **state)
{
	(void)state;
	struct error e = {0};
	assert_false(error_set(&e, ERR_NOT_FOUND, "no %s here", "node"));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.message, "no node here");
	assert_string_equal(e.hint, "");
	assert_false(error_hint(&e, "try %d", 2));
	assert_string_equal(e.hint, "try 2");
	/* Wrapping an error in itself. */
	assert_false(error_set(&e, ERR_IO, "while reading: %s", e.message));
	assert_string_equal(e.message, "while reading: no node here");
	assert_string_equal(e.hint, "");

	assert_false(error_errno(&e, ERR_IO, EACCES, "cannot open %s", "x"));
	assert_int_equal(e.code, ERR_IO);
	assert_string_equal(e.message, "cannot open x: Permission denied");
	assert_false(error_errno(&e, ERR_IO, ENOSPC, "x"));
	assert_int_equal(e.code, ERR_STORAGE_FULL);
	assert_false(error_errno(&e, ERR_INTERNAL, EDQUOT, "x"));
	assert_int_equal(e.code, ERR_STORAGE_FULL);
}

static void test_error_cut(void **state)
{
	(void)state;
	struct error e;
	char text[600];
	static const char *const characters[] = {"a", "é", "漢", "🚀"};
	for (size_t c = 0; c < ARRAY_LEN(characters); c++)
		for (size_t shift = 0; shift < 4; shift++) {
			size_t n = shift, width = strlen(characters[c]);
			memset(text, '.', shift);
			for (; n + width < sizeof(text); n += width)
				memcpy(text + n, characters[c], width);
			text[n] = '\0';
			error_set(&e, ERR_INTERNAL, "%s", text);
			size_t kept = strlen(e.message);
			assert_true(utf8_valid(e.message, kept));
			assert_in_range(kept, ERROR_MESSAGE_MAX - width, ERROR_MESSAGE_MAX - 1);
			assert_memory_equal(e.message, text, kept);
			error_hint(&e, "%s", text);
			assert_true(utf8_valid(e.hint, strlen(e.hint)));
			assert_in_range(strlen(e.hint), ERROR_HINT_MAX - width, ERROR_HINT_MAX - 1);
		}
}

static void test_arena(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a);
	enum { COUNT = 600 };
	unsigned char *pieces[COUNT];
	size_t sizes[COUNT];
	for (size_t i = 0; i < COUNT; i++) {
		sizes[i] = i % 50 == 49 ? 20000 + i : (i * 37) % 900;
		pieces[i] = arena_alloc(&a, sizes[i]);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		memset(pieces[i], (int)(i & 255), sizes[i]);
	}
	for (size_t i = 0; i < COUNT; i++) /* nobody wrote into a neighbour */
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(pieces[i][j], i & 255);
	arena_free(&a);
	assert_null(a.blocks);
	arena_free(&a);

	/* A large piece first, then small ones. */
	unsigned char *large = arena_alloc(&a, 1 << 20);
	memset(large, 1, 1 << 20);
	unsigned char *small = arena_zalloc(&a, 7, 3);
	for (int i = 0; i < 21; i++)
		assert_int_equal(small[i], 0);
	arena_free(&a);
}

static void test_arena_text(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a);
	struct str s = arena_copy(&a, STR_LIT("abc"));
	assert_int_equal(s.n, 3);
	assert_string_equal(s.p, "abc");
	assert_false(str_present(arena_copy(&a, STR_NONE)));
	s = arena_copy(&a, STR_LIT(""));
	assert_true(str_present(s) && s.n == 0 && s.p[0] == '\0');
	assert_string_equal(arena_strdup(&a, "xyz"), "xyz");
	for (int width = 250; width < 262; width++) { /* about the size of its first try */
		s = arena_printf(&a, "%0*d", width, 5);
		assert_int_equal(s.n, width);
		assert_int_equal(strlen(s.p), width);
		assert_int_equal(s.p[width - 1], '5');
	}
	arena_free(&a);
}

static void zalloc_overflow(void *arg)
{
	arena_zalloc(arg, SIZE_MAX / 2, 3);
}

static void alloc_too_much(void *arg)
{
	arena_alloc(arg, SIZE_MAX - 8);
}

/* A sanitizer's allocator ends the program in its own way, not by abort(). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR 1
#endif
#endif

#ifndef OWN_ALLOCATOR
static void malloc_too_much(void *arg)
{
	*(void **)arg = xmalloc(SIZE_MAX / 2);
}

static void calloc_overflow(void *arg)
{
	*(void **)arg = xcalloc(SIZE_MAX / 2, 3);
}
#endif

static void test_memory_out(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a);
	assert_true(dies(zalloc_overflow, &a));
	assert_true(dies(alloc_too_much, &a));
#ifndef OWN_ALLOCATOR
	void *p = NULL;
	assert_true(dies(malloc_too_much, &p));
	assert_true(dies(calloc_overflow, &p));
#endif
	free(xmalloc(0));
	free(xcalloc(0, 5));
	free(xrealloc(xmalloc(1), 0));
	char *z = xstrndup("abcdef", 3);
	assert_string_equal(z, "abc");
	free(z);
	z = xstrndup(NULL, 0);
	assert_string_equal(z, "");
	free(z);
}

static void test_random(void **state)
{
	(void)state;
	unsigned char big[5000] = {0}, seen = 0;
	random_bytes(big, sizeof(big));
	for (size_t i = 0; i < sizeof(big); i++)
		seen |= big[i];
	assert_int_equal(seen, 255);
	assert_true(random_u64() != random_u64());

	/* Each of 10 values 10,000 times out of 100,000: the standard deviation is 95, so 900 away never happens by chance. */
	int count[10] = {0};
	for (int i = 0; i < 100000; i++)
		count[random_below(10)]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(count[i], 9100, 10900);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(random_below(1), 0);
		assert_true(random_below(UINT64_MAX) < UINT64_MAX);
	}
}

static void below_zero(void *arg)
{
	*(uint64_t *)arg = random_below(0);
}

static void test_random_bound(void **state)
{
	(void)state;
	uint64_t v;
	assert_true(dies(below_zero, &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_codes), cmocka_unit_test(test_error_set),  cmocka_unit_test(test_error_cut),
		cmocka_unit_test(test_arena),	    cmocka_unit_test(test_arena_text), cmocka_unit_test(test_memory_out),
		cmocka_unit_test(test_random),	    cmocka_unit_test(test_random_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
