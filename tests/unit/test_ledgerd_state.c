/* ledgerd: the cache of state entries says nothing wrong and keeps its bound; the lists that entries and transactions are in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attrs.h"
#include "ledgerd/state_cache.h"
#include "ledgerd/state_list.h"

#define ALICE "b264d2d8-2274-8b67-882a-defe9d604e13"
#define BOB "282a8dc6-7332-89b1-be35-f6e810343d0e"
#define HASH_A "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

/* ---- The cache ---- */

static void expect_entry(struct state_cache *c, const char *key, struct str value)
{
	struct str got;
	assert_true(state_cache_get(c, str_from(key), &got));
	assert_int_equal(str_present(got), str_present(value));
	assert_true(!str_present(value) || str_equal(got, value));
}

static void put(struct state_cache *c, const char *key, const char *value)
{
	state_cache_put(c, str_from(key), value ? str_from(value) : STR_NONE);
	expect_entry(c, key, value ? str_from(value) : STR_NONE);
}

static void test_entries_and_absences(void **state)
{
	(void)state;
	struct state_cache *c = state_cache_new(1 << 20);
	struct state_cache_stats s;
	struct str got;
	assert_false(state_cache_get(c, STR_LIT("a"), &got));
	static const char *const values[] = {"1", "2" /* of the same length */, "", NULL, NULL, "", "longer", "s", "longer than before"};
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		put(c, "a", values[i]);
		state_cache_get_stats(c, &s);
		assert_int_equal(s.entries, 1);
	}
	put(c, "", "of the empty key");
	put(c, "ab", "another");
	expect_entry(c, "a", STR_LIT("longer than before"));
	/* Keys and values are bytes. */
	state_cache_put(c, str_of("a\0b", 3), str_of("\0\0", 2));
	assert_true(state_cache_get(c, str_of("a\0b", 3), &got) && got.n == 2);
	expect_entry(c, "a", STR_LIT("longer than before"));
	state_cache_get_stats(c, &s);
	assert_int_equal(s.entries, 4);
	assert_int_equal(s.misses, 1);
	assert_true(s.hits >= ARRAY_LEN(values));
	state_cache_free(c);
	state_cache_free(NULL);
}

/* What was just put in is there, however little fits. */
static void test_no_room(void **state)
{
	(void)state;
	static const size_t rooms[] = {0, 1, 200, 400};
	char large[1000];
	memset(large, 'x', sizeof large);
	large[sizeof large - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
		struct state_cache *c = state_cache_new(rooms[i]);
		struct state_cache_stats s;
		put(c, "a", "1");
		put(c, "b", large);
		put(c, "c", NULL);
		put(c, "b", large);
		put(c, "b", "small");
		put(c, "b", large);
		state_cache_get_stats(c, &s);
		assert_int_equal(s.entries, 1);
		state_cache_free(c);
	}
}

/* Who is asked for stays, but for a turn of the hand in which all were; who is not goes. */
static void test_the_used_stay(void **state)
{
	(void)state;
	enum { MANY = 5000 };
	struct state_cache *c = state_cache_new(100 * 200);
	struct state_cache_stats s;
	struct str got;
	char key[32];
	int gone = 0;
	put(c, "unused", "1");
	for (int i = 0; i < MANY; i++) {
		if (!state_cache_get(c, STR_LIT("used"), &got)) {
			put(c, "used", "1");
			gone++;
		}
		snprintf(key, sizeof key, "other-%d", i);
		put(c, key, "0123456789");
	}
	state_cache_get_stats(c, &s);
	assert_true(s.entries > 50 && s.entries < 200 && s.bytes <= 100 * 200);
	assert_true(gone < 5);
	assert_false(state_cache_get(c, STR_LIT("unused"), &got));
	assert_false(state_cache_get(c, STR_LIT("other-0"), &got));
	state_cache_free(c);
}

/* Against a plain table: it may have forgotten, and never tells what was before. */
static void test_random_use(void **state)
{
	(void)state;
	enum { KEYS = 200, STEPS = 50000, ROOM = 5000, LARGEST = 400 };
	static char values[KEYS][64];
	static bool present[KEYS];
	struct state_cache *c = state_cache_new(ROOM);
	struct state_cache_stats s;
	uint32_t random = 7;
	for (int step = 0; step < STEPS; step++) {
		char key[16];
		struct str got;
		random = random * 1664525 + 1013904223;
		unsigned k = (random >> 8) % KEYS, what = (random >> 20) % 4;
		snprintf(key, sizeof key, "key-%u", k);
		if (what == 0) {
			present[k] = (random >> 24) % 5 != 0;
			snprintf(values[k], sizeof values[k], "%0*d", (int)((random >> 27) % 30) + 1, step);
			state_cache_put(c, str_from(key), present[k] ? str_from(values[k]) : STR_NONE);
			assert_true(state_cache_get(c, str_from(key), &got));
		} else if (state_cache_get(c, str_from(key), &got)) {
			assert_int_equal(str_present(got), present[k]);
			assert_true(!present[k] || str_is(got, values[k]));
		}
		state_cache_get_stats(c, &s);
		assert_true(s.bytes <= ROOM + LARGEST && s.entries <= KEYS);
	}
	assert_true(s.entries > 5 && s.hits > 1000 && s.misses > 1000);
	state_cache_free(c);
}

/* ---- The lists ---- */

static void expect_list(const char *key, const char *list)
{
	char text[STATE_LIST_MAX];
	struct str got;
	bool in = state_list_of(str_from(key), text, &got);
	if (in != (list != NULL) || (in && !str_is(got, list)))
		fail_msg("%s: %.*s", key, in ? (int)got.n : 4, in ? got.p : "none");
}

static void test_lists_of_entries(void **state)
{
	(void)state;
	char long_key[5000], text[STATE_LIST_MAX];
	struct str got;
	expect_list("content:" HASH_A ":" ALICE, "owner:" ALICE);
	expect_list("stake:validator-1:" ALICE ":USD", "staked:" ALICE);
	expect_list("stake:v:" BOB ":ABCDEFGHIJKL", "staked:" BOB);
	static const char *const none[] = {"", ":", "content", "contents:" HASH_A ":" ALICE, "stake", "stake:", "stake:v", "stake:v:" ALICE, "stakes:v:" ALICE ":USD",
					   "user:" ALICE, "nonce:" ALICE, "balance:" ALICE ":USD", "held:" ALICE ":USD", "request:" HASH_A, "chain",
					   "validator:content:" ALICE, "username:@content"};
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		expect_list(none[i], NULL);
	/* Keys that a database was given by hand. */
	expect_list("content:", "owner:");
	expect_list("content:" ALICE "x", NULL);
	memset(long_key, 'x', sizeof long_key);
	memcpy(long_key, "content:", 8);
	assert_false(state_list_of(str_of(long_key, sizeof long_key), text, &got));
	memcpy(long_key, "stake:v:", 8);
	long_key[200] = long_key[sizeof long_key - 4] = ':';
	assert_false(state_list_of(str_of(long_key, sizeof long_key), text, &got));
}

static void expect_request(const char *key, const char *value, const char *type)
{
	struct str got;
	bool open = open_request_type(str_from(key), str_from(value), &got);
	if (open != (type != NULL) || (open && !str_is(got, type)))
		fail_msg("%s %s: %.*s", key, value, open ? (int)got.n : 4, open ? got.p : "none");
}

#define REQUEST(type, status) "{\"amount\":\"1.00\",\"currencyCode\":\"USD\",\"from\":\"" ALICE "\",\"reference\":\"r\",\"status\":\"" status "\",\"type\":\"" type "\"}"

static void test_lists_of_requests(void **state)
{
	(void)state;
	expect_request("request:" HASH_A, REQUEST("deposit", "pending"), "deposit");
	expect_request("request:" HASH_A, REQUEST("withdraw", "pending"), "withdraw");
	expect_request("request:" HASH_A, REQUEST("deposit", "confirmed"), NULL);
	expect_request("request:" HASH_A, REQUEST("withdraw", "refused"), NULL);
	expect_request("content:" HASH_A, REQUEST("deposit", "pending"), NULL);
	static const char *const odd[] = {"", "null", "\"pending\"", "[]", "{}", "{\"status\":\"pending\"}", "{\"status\":\"pending\",\"type\":7}", "{\"status\":pending"};
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		expect_request("request:" HASH_A, odd[i], NULL);
	assert_true(str_is(request_tx_id(STR_LIT("request:" HASH_A)), HASH_A));
}

static void expect_tx_lists(const char *message, const char *const *lists, size_t count)
{
	struct arena arena;
	struct error err;
	struct tx t;
	struct tx_list_name got[TX_LISTS_MAX];
	arena_init(&arena);
	if (!tx_parse(str_from(message), TX_BYTES_DEFAULT, &arena, &t, &err))
		fail_msg("%s", err.message);
	assert_int_equal(tx_lists_of(&t, got), count);
	for (size_t i = 0; i < count; i++)
		assert_true(str_is(tx_list_str(&got[i]), lists[i]));
	arena_free(&arena);
}
#define EXPECT_TX_LISTS(message, ...)                                                                                          \
	expect_tx_lists(message, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

#define SIGNATURE_64 "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
#define CREATION(by)                                                                                                           \
	"{\"approval\":{\"by\":\"" by "\",\"signature\":\"ed25519_sig_" SIGNATURE_64 "\"},\"chainId\":\"c\",\"displayName\":\"A\",\"from\":\"" ALICE "\",\"nonce\":0,"        \
	"\"publicKey\":\"ed25519_439575bf9235a64f1dbd4f4ddda27526b6c2c44890b2a7c92c93cc81b566fcbd\",\"timestamp\":1,\"type\":\"user_creation\",\"username\":\"@alice\"}"
#define TRANSFER(to)                                                                                                           \
	"{\"amount\":\"1\",\"chainId\":\"c\",\"currencyCode\":\"USD\",\"from\":\"" ALICE "\",\"nonce\":1,\"timestamp\":1,\"to\":\"" to "\",\"type\":\"transfer\"}"

static void test_lists_of_transactions(void **state)
{
	(void)state;
	EXPECT_TX_LISTS(TRANSFER(BOB), "account:" ALICE, "account:" BOB, "type:transfer");
	EXPECT_TX_LISTS(TRANSFER(ALICE), "account:" ALICE, "type:transfer"); /* each once */
	EXPECT_TX_LISTS(CREATION(BOB), "account:" ALICE, "account:" BOB, "type:user_creation");
	EXPECT_TX_LISTS(CREATION(ALICE), "account:" ALICE, "type:user_creation");
	EXPECT_TX_LISTS("{\"chainId\":\"c\",\"from\":\"" ALICE "\",\"nonce\":1,\"timestamp\":1,\"type\":\"user_update\"}", "account:" ALICE, "type:user_update");
	/* Who a confirmation is about is not in it. */
	EXPECT_TX_LISTS("{\"chainId\":\"c\",\"decision\":\"confirm\",\"from\":\"" ALICE "\",\"nonce\":1,\"requestId\":\"" HASH_A "\",\"timestamp\":1,\"type\":\"deposit_confirmation\"}",
			"account:" ALICE, "type:deposit_confirmation");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_and_absences),  cmocka_unit_test(test_no_room),	       cmocka_unit_test(test_the_used_stay),
		cmocka_unit_test(test_random_use),	      cmocka_unit_test(test_lists_of_entries), cmocka_unit_test(test_lists_of_requests),
		cmocka_unit_test(test_lists_of_transactions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
