/* Limits: bodies too large, slow clients, write rates, connections, TLS files, draining. Each test has a server of its own. */
#include "http_fixture.h"

#include <curl/curl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"
#include "http_tls_sample.h"

static struct service service = {.ready = true};

static int open_hub(void **state)
{
	(void)state;
	service.hub = sse_hub_new(16);
	return 0;
}

static int close_hub(void **state)
{
	(void)state;
	sse_hub_free(service.hub);
	return 0;
}

static void say_many(int fd, size_t n)
{
	static const char zeros[65536];
	for (size_t part; n > 0; n -= part) {
		part = n < sizeof(zeros) ? n : sizeof(zeros);
		say_n(fd, zeros, part);
	}
}

/* ---- bodies ---- */

static void announced_too_large(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	struct http_server *s = start(&o);
	int fd = dial(s);
	say(fd, POST("/things", "Content-Length: 100000\r\n", ""));
	say_many(fd, 100000);
	expect(fd, 413, "too_large");
	say(fd, GET("/things/a")); /* the refused body is gone, the connection lives */
	expect(fd, 200, NULL);
	say(fd, "PUT /bytes HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
	say_many(fd, 1 << 20);
	expect(fd, 200, "1048576");
	close(fd);
	http_server_stop(s, 1000);
}

static void chunked_too_large(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	struct http_server *s = start(&o);
	int fd = dial(s);
	say(fd, POST("/things", "Transfer-Encoding: chunked\r\n", ""));
	for (int i = 0; i < 40; i++) {
		say(fd, "400\r\n");
		say_many(fd, 0x400);
		say(fd, "\r\n");
	}
	say(fd, "0\r\n\r\n");
	expect(fd, 413, "too_large");
	say(fd, GET("/things/a"));
	expect(fd, 200, NULL);
	close(fd);
	http_server_stop(s, 1000);
}

/* More than is read and thrown away: the answer comes in the middle, and its client can read it. */
static void refused_without_end(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	struct http_server *s = start(&o);
	struct answer a;
	int fd = dial(s);
	say(fd, POST("/things", "Content-Length: 1000000000\r\n", ""));
	say_many(fd, (16 << 20) + 65536);
	expect(fd, 413, "too_large");
	close(fd);
	fd = dial(s); /* announced, and never sent: 2 s */
	int64_t begin = clock_mono_ms();
	say(fd, POST("/things", "Content-Length: 5000\r\n", "{"));
	assert_true(hear(fd, &a));
	assert_int_equal(a.status, 413);
	assert_in_range(since(begin), 1900, 4000);
	buf_free(&a.body);
	expect_closed(fd);
	http_server_stop(s, 1000);
}

/* ---- slow clients ---- */

static void slow_headers_are_cut(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	o.idle_timeout_ms = 600;
	struct http_server *s = start(&o);
	int quiet = dial(s), loris = dial(s), kept = dial(s);
	int64_t begin = clock_mono_ms();
	say(kept, GET("/things/a"));
	expect(kept, 200, NULL);
	say(loris, "GET / HTTP/1.1\r\n");
	while (since(begin) < 5000 &&
	       send(loris, "X-Slow: 1\r\n", 11, MSG_NOSIGNAL) > 0) /* each byte would start a plain idle timeout anew */
		nap(50);
	assert_in_range(since(begin), 500, 2000);
	close(loris);
	expect_closed(quiet);
	expect_closed(kept);
	assert_in_range(since(begin), 500, 2500);
	http_server_stop(s, 1000);
}

static void slow_bodies_are_cut(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	o.idle_timeout_ms = 600;
	struct http_server *s = start(&o);
	int fd = dial(s);
	int64_t begin = clock_mono_ms();
	say(fd, "PUT /bytes HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
	while (since(begin) < 5000 && send(fd, "x", 1, MSG_NOSIGNAL) > 0)
		nap(50);
	assert_in_range(since(begin), 500, 2000);
	close(fd);
	/* 64 KiB a second is slow, and not too slow: longer than the timeout all the same. */
	fd = dial(s);
	begin = clock_mono_ms();
	say(fd, "PUT /bytes HTTP/1.1\r\nHost: x\r\nContent-Length: 98304\r\n\r\n");
	for (int i = 0; i < 24; i++) {
		say_many(fd, 4096);
		nap(62);
	}
	expect(fd, 200, "98304");
	assert_true(since(begin) > 1400);
	close(fd);
	http_server_stop(s, 1000);
}

/* A client that does not read its answer holds its connection no longer than the timeout. */
static void slow_readers_are_cut(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	o.idle_timeout_ms = 600;
	struct http_server *s = start(&o);
	int fd = dial(s);
	for (int i = 0; i < 20000; i++)
		if (send(fd, GET("/openapi.json"), sizeof(GET("/openapi.json")) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) <= 0)
			break;
	nap(4000);
	struct buf rest = {0};
	for (int c; (c = next_byte(fd, 1000)) >= 0;)
		buf_putc(&rest, (char)c);
	assert_int_equal(next_byte(fd, 1000), -1);
	buf_free(&rest);
	close(fd);
	http_server_stop(s, 1000);
}

/* ---- rates and connections ---- */

/* Whether a request of its own connection is answered with 200 and this part. */
static bool answers(const struct http_server *s, const char *request, const char *part)
{
	struct answer a;
	int fd = dial(s);
	say(fd, request);
	bool ok = hear(fd, &a) && a.status == 200 && strstr(buf_z(&a.body), part);
	buf_free(&a.body);
	close(fd);
	return ok;
}

static void writes_are_rationed(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	struct answer a;
	char value[512];
	o.rate_per_second = 0.5;
	o.rate_burst = 3;
	o.rate_exempt_loopback = false;
	struct http_server *s = start(&o);
	int fd = dial(s);
	for (int i = 0; i < 3; i++) {
		say(fd, POST("/things", "Content-Length: 14\r\n", "{\"name\":\"abc\"}"));
		expect(fd, 201, NULL);
	}
	say(fd, POST("/things", "Content-Length: 14\r\n", "{\"name\":\"abc\"}"));
	assert_true(hear(fd, &a));
	assert_int_equal(a.status, 429);
	assert_non_null(strstr(buf_z(&a.body), "rate_limited"));
	assert_in_range(atoi(header(&a, "Retry-After", value)), 1, 2);
	buf_free(&a.body);
	say(fd, GET("/things/a")); /* reads are free */
	expect(fd, 200, NULL);
	say(fd, GET("/metrics"));
	expect(fd, 200, "tana_test_http_rate_limited_total 1\n");
	http_server_set_rate(s, 0, 0);
	say(fd, POST("/things", "Content-Length: 14\r\n", "{\"name\":\"abc\"}"));
	expect(fd, 201, NULL);
	close(fd);
	http_server_stop(s, 1000);
	o.rate_exempt_loopback = true;
	s = start(&o);
	fd = dial(s);
	for (int i = 0; i < 20; i++) {
		say(fd, POST("/things", "Content-Length: 14\r\n", "{\"name\":\"abc\"}"));
		expect(fd, 201, NULL);
	}
	close(fd);
	http_server_stop(s, 1000);
}

static void too_many_connections(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	int fds[10];
	o.connections_max = 10;
	struct http_server *s = start(&o);
	for (int i = 0; i < 10; i++) {
		fds[i] = dial(s);
		say(fds[i], GET("/things/a"));
		expect(fds[i], 200, NULL);
	}
	int one_more = dial(s);
	expect(one_more, 503, "overloaded");
	expect_closed(one_more);
	say(fds[0], GET("/things/a")); /* those that are there are not disturbed */
	expect(fds[0], 200, NULL);
	close(fds[9]);
	wait_until(answers(s, GET("/things/a"), "{\"name\":\"a\"}"));
	for (int i = 0; i < 9; i++)
		close(fds[i]);
	http_server_stop(s, 1000);
}

static void a_thousand_connections(void **state)
{
	(void)state;
	enum { N = 1000 };
	static int fds[N];
	struct http_options o = fixture_options(&service);
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	struct http_server *s = start(&o);
	for (int i = 0; i < N; i++)
		fds[i] = dial(s);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++)
			say(fds[i], GET("/things/a"));
		for (int i = 0; i < N; i++)
			expect(fds[i], 200, "{\"name\":\"a\"}");
	}
	ask(s, GET("/metrics"), 200, "tana_test_http_connections 1001\n");
	for (int i = 0; i < N; i++)
		close(fds[i]);
	wait_until(answers(s, GET("/metrics"), "tana_test_http_connections 1\n"));
	http_server_stop(s, 1000);
}

/* libmicrohttpd fetches 128 events at a time. When just so many clients wait for the one worker, and nothing else happens, all are answered. */
static void exactly_as_many_as_are_fetched(void **state)
{
	(void)state;
	enum { N = 128 };
	int fds[N];
	struct http_options o = fixture_options(&service);
	o.workers = 1;
	struct http_server *s = start(&o);
	for (int i = 0; i < N; i++) {
		fds[i] = dial(s);
		say(fds[i], GET("/things/a"));
		expect(fds[i], 200, NULL);
	}
	int busy = dial(s);
	say(busy, GET("/slow"));
	nap(100); /* the worker is in the handler */
	for (int i = 0; i < N; i++)
		say(fds[i], GET("/things/a"));
	for (int i = 0; i < N; i++) {
		expect(fds[i], 200, NULL);
		close(fds[i]);
	}
	expect(busy, 204, NULL);
	close(busy);
	http_server_stop(s, 1000);
}

static void no_descriptors_left(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	struct http_server *s = start(&o);
	struct rlimit before, tight;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	int next = dup(0);
	close(next);
	tight = before;
	tight.rlim_cur = (rlim_t)next + 1; /* our end of the connection, and none for theirs */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	int fd = dial(s);
	say(fd, GET("/things/a"));
	assert_int_equal(next_byte(fd, 300), -2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	expect(fd, 200, "{\"name\":\"a\"}"); /* it waited, and was not lost */
	close(fd);
	http_server_stop(s, 1000);
}

/* ---- draining ---- */

static void draining(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	struct answer a;
	char value[512];
	struct http_server *s = start(&o);
	int idle = dial(s), busy = dial(s), half = dial(s), events = dial(s);
	say(idle, GET("/things/a"));
	expect(idle, 200, NULL);
	say(busy, POST("/later", "Content-Length: 5\r\n", "hello"));
	say(half, POST("/things", "Content-Length: 14\r\n", "{\"na"));
	say(events, GET("/events"));
	assert_true(hear_head(events, &a));
	wait_until(waiting_now() == 1);
	nap(50);
	int64_t begin = clock_mono_ms();
	assert_false(http_server_drain(s, 100)); /* two requests are under way */
	assert_in_range(since(begin), 90, 1000);
	expect_closed(idle);
	assert_true(hear_chunks(events, &a.body));
	assert_non_null(strstr(buf_z(&a.body), ": the service is going down"));
	buf_free(&a.body);
	expect_closed(events);
	say(half, "me\":\"abc\"}"); /* begun before the drain: answered, and the last */
	assert_true(hear(half, &a));
	assert_int_equal(a.status, 201);
	assert_string_equal(header(&a, "Connection", value), "close");
	buf_free(&a.body);
	expect_closed(half);
	assert_int_equal(finish_waiting(), 1);
	assert_true(hear(busy, &a));
	assert_int_equal(a.status, 200);
	assert_string_equal(header(&a, "Connection", value), "close");
	buf_free(&a.body);
	expect_closed(busy);
	assert_true(http_server_drain(s, 1000));
	http_server_stop(s, 0);
}

/* Requests that had come when the drain began, and were not read yet: /ready tells, other paths are refused. Beginnings of requests are
 * not waited for. */
static void requests_while_draining(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	o.workers = 1;
	struct http_server *s = start(&o);
	int ready = dial(s), other = dial(s), begun = dial(s), busy = dial(s);
	say(begun, "GET /things/a HTTP/1.1\r\nHost: x\r\nX: ");
	ask(s, GET("/health"), 200, NULL);
	say(busy, GET("/slow"));
	nap(100); /* the only worker is in the handler */
	say(ready, GET("/ready"));
	say(other, GET("/things/a"));
	nap(50);
	assert_true(http_server_drain(s, 5000));
	expect(busy, 204, NULL);
	expect_closed(busy);
	expect(ready, 503, "shutting_down");
	expect_closed(ready);
	expect(other, 503, "shutting_down");
	expect_closed(other);
	expect_closed(begun);
	http_server_stop(s, 0);
}

static void nothing_is_accepted_after(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	struct http_server *s = start(&o);
	char address[64];
	snprintf(address, sizeof(address), "%s", http_server_address(s));
	ask(s, GET("/health"), 200, NULL);
	assert_true(http_server_drain(s, 1000));
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	wait_until(connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0 || (close(fd), fd = socket(AF_INET, SOCK_STREAM, 0), false));
	close(fd);
	http_server_stop(s, 0);
	o.listen = address; /* the port is free again at once */
	http_server_stop(start(&o), 0);
}

/* ---- TLS ---- */

static const char *write_sample(const char *name, const char *text)
{
	static char paths[4][128];
	static size_t next;
	struct error err;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof(paths[0]), "/tmp/tana-test-http-%d-%s", (int)getpid(), name);
	if (text && !file_write_atomic(path, str_from(text), 0600, FILE_REPLACE, &err))
		fail_msg("%s", err.message);
	return path;
}

static size_t collect(char *data, size_t size, size_t n, void *body)
{
	buf_put(body, data, size * n);
	return size * n;
}

static long tls_get(const struct http_server *s, const char *path, struct buf *body)
{
	char url[128];
	long status = 0;
	snprintf(url, sizeof(url), "https://%s%s", http_server_address(s), path);
	CURL *c = curl_easy_init();
	struct curl_blob ca = {.len = sizeof(tls_sample_cert) - 1, .flags = CURL_BLOB_COPY};
	char copy[sizeof(tls_sample_cert)];
	memcpy(copy, tls_sample_cert, sizeof(copy));
	ca.data = copy;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 10L);
	assert_int_equal(curl_easy_perform(c), CURLE_OK);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	return status;
}

static void tls(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	const char *cert = write_sample("cert.pem", tls_sample_cert), *key = write_sample("key.pem", tls_sample_key);
	struct buf body = {0};
	o.tls_cert = cert;
	o.tls_key = key;
	o.idle_timeout_ms = 600;
	struct http_server *s = start(&o);
	assert_int_equal(tls_get(s, "/things/secret", &body), 200);
	assert_string_equal(buf_z(&body), "{\"name\":\"secret\"}");
	buf_clear(&body);
	assert_int_equal(tls_get(s, "/file", &body), 200);
	assert_string_equal(buf_z(&body), "file contents");
	buf_free(&body);
	int plain = dial(s); /* no handshake, and none at all */
	say(plain, GET("/things/a"));
	while (next_byte(plain, PATIENCE_MS) >= 0)
		;
	close(plain);
	expect_closed(dial(s));
	http_server_stop(s, 1000);
	unlink(cert);
	unlink(key);
}

static void bad_tls_files(void **state)
{
	(void)state;
	const char *cert = write_sample("c.pem", tls_sample_cert), *other = write_sample("o.pem", tls_other_key),
		   *text = write_sample("t.pem", "hello"), *missing = write_sample("none.pem", NULL);
	const struct {
		const char *cert, *key, *says;
	} cases[] = {{cert, other, "TLS cannot be set up"}, {cert, NULL, "go together"},       {NULL, other, "go together"},
		     {missing, other, "cannot be read"},    {cert, missing, "cannot be read"}, {cert, text, "is no PEM file"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_options o = fixture_options(&service);
		struct error err = {.code = ERR_COUNT};
		o.tls_cert = cases[i].cert;
		o.tls_key = cases[i].key;
		assert_null(http_server_start(&o, &err));
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.message, cases[i].says));
	}
	unlink(cert);
	unlink(other);
	unlink(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(announced_too_large, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(chunked_too_large, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(refused_without_end, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(slow_headers_are_cut, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(slow_bodies_are_cut, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(slow_readers_are_cut, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(writes_are_rationed, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(too_many_connections, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(a_thousand_connections, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(exactly_as_many_as_are_fetched, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(no_descriptors_left, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(draining, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(requests_while_draining, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(nothing_is_accepted_after, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(tls, open_hub, close_hub),
		cmocka_unit_test_setup_teardown(bad_tls_files, open_hub, close_hub),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
