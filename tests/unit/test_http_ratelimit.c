/* Token buckets, and addresses. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/ratelimit.h"

static const int64_t second = 1000000000;

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(8190)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(8190)};
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(&ss, &in, sizeof(in));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		memcpy(&ss, &in6, sizeof(in6));
	}
	return ss;
}

static struct address_key key(const char *text)
{
	struct sockaddr_storage ss = address(text);
	return address_key((const struct sockaddr *)&ss);
}

static int take_all(struct ratelimit *l, struct address_key k, int64_t now, int *wait)
{
	int n = 0;
	while (n < 100000 && ratelimit_take(l, k, now, wait))
		n++;
	return n;
}

static void burst_then_rate(void **state)
{
	(void)state;
	struct ratelimit *l = ratelimit_new(64, 10, 50, 1);
	struct address_key a = key("192.0.2.1"), b = key("192.0.2.2");
	int wait = 0;
	assert_int_equal(take_all(l, a, second, &wait), 50);
	assert_int_equal(wait, 1);
	assert_int_equal(take_all(l, b, second, &wait), 50); /* another address has its own */
	assert_int_equal(take_all(l, a, second + second / 2, &wait), 5);
	assert_int_equal(take_all(l, a, 1000 * second, &wait), 50); /* full, and no more than full */
	assert_int_equal(take_all(l, a, 999 * second, &wait), 0);   /* a clock that goes back gives nothing */
	ratelimit_free(l);
}

static void waits_are_told(void **state)
{
	(void)state;
	struct ratelimit *l = ratelimit_new(64, 0.1, 1, 1);
	struct address_key a = key("192.0.2.1");
	int wait = 0;
	assert_true(ratelimit_take(l, a, 0, &wait));
	assert_false(ratelimit_take(l, a, second, &wait));
	assert_in_range(wait, 9, 10);
	assert_false(ratelimit_take(l, a, 8 * second, &wait));
	assert_in_range(wait, 2, 3);
	assert_true(ratelimit_take(l, a, 11 * second, &wait));
	ratelimit_free(l);
}

static void new_limits(void **state)
{
	(void)state;
	struct ratelimit *l = ratelimit_new(64, 1, 5, 1);
	struct address_key a = key("192.0.2.1");
	int wait;
	assert_int_equal(take_all(l, a, 0, &wait), 5);
	ratelimit_set(l, 1, 1000);
	assert_int_equal(take_all(l, a, 100 * second, &wait), 100);
	ratelimit_set(l, 1, 3);
	assert_int_equal(take_all(l, a, 1000 * second, &wait), 3);
	ratelimit_set(l, 0, 1);
	assert_int_equal(take_all(l, a, 1000 * second, &wait), 100000);
	ratelimit_free(l);
}

/* However many addresses come, one that keeps asking keeps its empty bucket: the fuller ones are given up. */
static void memory_is_bounded(void **state)
{
	(void)state;
	struct ratelimit *l = ratelimit_new(16, 0.001, 10, 7);
	struct address_key busy = key("192.0.2.1");
	int wait, taken = take_all(l, busy, 0, &wait);
	assert_int_equal(taken, 10);
	for (uint64_t i = 0; i < 10000; i++) {
		struct address_key other = {.high = 4, .low = i << 8 | 11};
		assert_true(ratelimit_take(l, other, second, &wait));
		assert_false(ratelimit_take(l, busy, second, &wait));
	}
	ratelimit_free(l);
}

static void keys_of_addresses(void **state)
{
	(void)state;
	assert_true(address_key_equal(key("192.0.2.1"), key("::ffff:192.0.2.1")));
	assert_false(address_key_equal(key("192.0.2.1"), key("192.0.2.2")));
	assert_true(address_key_equal(key("2001:db8:0:1::1"), key("2001:db8:0:1:ffff::2")));
	assert_false(address_key_equal(key("2001:db8:0:1::1"), key("2001:db8:0:2::1")));
}

static void loopback_and_text(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		bool loopback;
		const char *text, *with_port;
	} cases[] = {
		{"127.0.0.1", true, "127.0.0.1", "127.0.0.1:8190"},
		{"127.9.9.9", true, "127.9.9.9", "127.9.9.9:8190"},
		{"::1", true, "::1", "[::1]:8190"},
		{"::ffff:127.0.0.1", true, "127.0.0.1", "127.0.0.1:8190"},
		{"128.0.0.1", false, "128.0.0.1", "128.0.0.1:8190"},
		{"2001:db8::1", false, "2001:db8::1", "[2001:db8::1]:8190"},
		{"::ffff:192.0.2.1", false, "192.0.2.1", "192.0.2.1:8190"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sockaddr_storage ss = address(cases[i].address);
		char text[ADDRESS_TEXT_SIZE];
		assert_int_equal(address_is_loopback((const struct sockaddr *)&ss), cases[i].loopback);
		address_text((const struct sockaddr *)&ss, text);
		assert_string_equal(text, cases[i].text);
		address_text_port((const struct sockaddr *)&ss, text);
		assert_string_equal(text, cases[i].with_port);
	}
}

static void listen_texts(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
					  "8190",
					  ":8190",
					  "127.0.0.1",
					  "127.0.0.1:",
					  "127.0.0.1:65536",
					  "127.0.0.1:-1",
					  "127.0.0.1:08",
					  "::1:80",
					  "[::1]",
					  "[]:80",
					  "127.0.0.1:x",
					  "no such host.invalid:80"};
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err.code = ERR_COUNT;
		assert_int_equal(address_listen(bad[i], &err), -1);
		assert_int_equal(err.code, ERR_CONFIG);
	}
	int fd = address_listen("127.0.0.1:0", &err);
	assert_true(fd >= 0);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char text[ADDRESS_TEXT_SIZE];
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	address_text_port((const struct sockaddr *)&ss, text);
	assert_int_equal(address_listen(text, &err), -1); /* taken */
	assert_int_equal(err.code, ERR_IO);
	close(fd);
}

static void counts_by_address(void **state)
{
	(void)state;
	struct address_counts *c = address_counts_new();
	struct address_key a = key("192.0.2.1"), b = key("192.0.2.2");
	assert_true(address_counts_add(c, a, 2));
	assert_true(address_counts_add(c, a, 2));
	assert_false(address_counts_add(c, a, 2));
	assert_true(address_counts_add(c, b, 2));
	address_counts_remove(c, a);
	assert_true(address_counts_add(c, a, 2));
	address_counts_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_then_rate),   cmocka_unit_test(waits_are_told),    cmocka_unit_test(new_limits),
		cmocka_unit_test(memory_is_bounded), cmocka_unit_test(keys_of_addresses), cmocka_unit_test(loopback_and_text),
		cmocka_unit_test(listen_texts),      cmocka_unit_test(counts_by_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
