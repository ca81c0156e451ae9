/* Requests and answers: routing, replies, bodies in every shape, refusals. */
#include "http_fixture.h"

static struct service service = {.ready = true};

static int open_server(void **state)
{
	struct http_options o = fixture_options(&service);
	service.hub = sse_hub_new(16);
	*state = start(&o);
	return 0;
}

static int close_server(void **state)
{
	http_server_stop(*state, 2000);
	sse_hub_free(service.hub);
	return 0;
}

static void routes_and_arguments(void **state)
{
	ask(*state, GET("/things/a%2Fb"), 200, "{\"name\":\"a/b\"}");
	ask(*state, GET("/things/%F0%9F%8C%B3"), 200, "{\"name\":\"\xf0\x9f\x8c\xb3\"}");
	ask(*state, GET("http://elsewhere/things/x"), 200, "{\"name\":\"x\"}");
	ask(*state, GET("/things"), 405, "method_not_allowed");
	ask(*state, GET("/nothing"), 404, "not_found");
	ask(*state, GET("/things/"), 404, "not_found");
	ask(*state, GET("//things/x"), 404, "not_found");
	ask(*state, GET("/things/../things/x"), 404, "not_found");
	ask(*state, GET("/things/%2e%2e"), 404, "not_found");
	ask(*state, GET("/things/%zz"), 400, "malformed_request");
	ask(*state, GET("/things/%00"), 400, "malformed_request");
	ask(*state, GET("/things/%ff"), 400, "malformed_request");
	ask(*state, GET("/changed-mind"), 200, "{\"name\":\"first\"}");
	ask(*state, "GET /things/a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_request");
	ask(*state, "GET /things/a HTTP/1.1\r\n\r\n", 400, "malformed_request");
	ask(*state, "GET /things/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "malformed_request");
}

static void nul_in_the_path(void **state)
{
	static const char request[] = "GET /things/a\0b HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = dial(*state);
	say_n(fd, request, sizeof(request) - 1);
	expect(fd, 400, "malformed_request");
	close(fd);
}

static void other_methods(void **state)
{
	static const char *const methods[] = {"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE", "post", "get"};
	char request[128], value[512];
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct answer a;
		int fd = dial(*state);
		snprintf(request, sizeof(request), "%s /things HTTP/1.1\r\nHost: x\r\n\r\n", methods[i]);
		say(fd, request);
		assert_true(hear(fd, &a));
		assert_int_equal(a.status, 405);
		assert_string_equal(header(&a, "Allow", value), "POST");
		buf_free(&a.body);
		close(fd);
	}
}

static void head_is_get_without_body(void **state)
{
	struct answer a;
	char value[512];
	int fd = dial(*state);
	say(fd, "HEAD /things/abc HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(hear_head(fd, &a));
	assert_int_equal(a.status, 200);
	assert_string_equal(header(&a, "Content-Length", value), "14");
	say(fd, "HEAD /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(hear_head(fd, &a));
	assert_int_equal(a.status, 404);
	say(fd, GET("/things/next")); /* on the same connection: nothing was left over */
	expect(fd, 200, "{\"name\":\"next\"}");
	close(fd);
	fd = dial(*state);
	say(fd, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(hear_head(fd, &a));
	assert_int_equal(a.status, 200);
	expect_closed(fd);
	fd = dial(*state);
	say(fd, "HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(hear_head(fd, &a));
	assert_int_equal(a.status, 200);
	expect_closed(fd);
	wait_until(sse_hub_streams(service.hub) == 0);
}

static void headers_of_every_answer(void **state)
{
	static const char *const requests[] = {GET("/things/a"), GET("/nothing"), GET("/boom"), GET("/stream"), GET("/health")};
	char value[512];
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct answer a;
		int fd = dial(*state);
		say(fd, requests[i]);
		assert_true(hear(fd, &a));
		assert_string_equal(header(&a, "X-Content-Type-Options", value), "nosniff");
		assert_string_equal(header(&a, "Cache-Control", value), "no-store");
		assert_true(strlen(header(&a, "X-Request-Id", value)) >= 10);
		assert_null(header(&a, "Access-Control-Allow-Origin", value));
		buf_free(&a.body);
		close(fd);
	}
}

static void request_ids(void **state)
{
	static const struct {
		const char *sent;
		bool kept;
	} cases[] = {{"client-1_A.b", true},
		     {"", false},
		     {"with blank", false},
		     {"quote\"", false},
		     {"0123456789012345678901234567890123456789012345678901234567890123", true}, /* 64 */
		     {"01234567890123456789012345678901234567890123456789012345678901234", false}};
	char request[256], value[512];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct answer a;
		int fd = dial(*state);
		snprintf(request, sizeof(request), "GET /whoami HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\nX-Request-Id: %s\r\n\r\n",
			 cases[i].sent);
		say(fd, request);
		assert_true(hear(fd, &a));
		assert_int_equal(strcmp(header(&a, "X-Request-Id", value), cases[i].sent) == 0, cases[i].kept);
		assert_non_null(strstr(buf_z(&a.body), value));
		assert_non_null(strstr(buf_z(&a.body), "127.0.0.1 loopback"));
		assert_non_null(strstr(buf_z(&a.body), " me"));
		buf_free(&a.body);
		close(fd);
	}
}

static void internals_are_not_told(void **state)
{
	struct answer a;
	int fd = dial(*state);
	say(fd, GET("/boom"));
	assert_true(hear(fd, &a));
	assert_int_equal(a.status, 500);
	assert_non_null(strstr(buf_z(&a.body), "\"code\":\"io_error\""));
	assert_null(strstr(buf_z(&a.body), "shadow"));
	buf_free(&a.body);
	close(fd);
}

static void entity_tags(void **state)
{
	char value[512];
	struct answer a;
	static const struct {
		const char *sent;
		int status;
	} cases[] = {{"\"v1\"", 304}, {"W/\"v1\"", 304}, {"\"v0\", \"v1\"", 304}, {"*", 304}, {"\"v2\"", 200},
		     {"v1", 200},     {"\"v1", 200}};
	int fd = dial(*state);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char request[128];
		snprintf(request, sizeof(request), "GET /tagged HTTP/1.1\r\nHost: x\r\nIf-None-Match: %s\r\n\r\n", cases[i].sent);
		say(fd, request);
		assert_true(hear_head(fd, &a));
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(header(&a, "ETag", value), "\"v1\"");
		assert_string_equal(header(&a, "Cache-Control", value), "no-cache");
		if (a.status == 200)
			assert_true(hear_n(fd, &a.body, 6));
		buf_free(&a.body);
	}
	close(fd);
}

static void streams_and_files(void **state)
{
	ask(*state, GET("/stream"), 200, "piece 0;piece 1;piece 2;piece 3;piece 4;piece 5;piece 6;piece 7;piece 8;piece 9;");
	ask(*state, GET("/file"), 200, "file contents");
	struct answer a;
	int fd = dial(*state);
	streams_ended = 0;
	say(fd, GET("/broken"));
	assert_false(hear(fd, &a)); /* cut, so that nobody takes the half for the whole */
	buf_free(&a.body);
	close(fd);
	wait_until(streams_ended == 1);
	fd = dial(*state);
	say(fd, "GET /stream HTTP/1.0\r\n\r\n"); /* no chunks for HTTP/1.0: the end of the connection ends the body */
	assert_true(hear_head(fd, &a));
	assert_true(hear_n(fd, &a.body, 80));
	buf_free(&a.body);
	expect_closed(fd);
}

static void queries(void **state)
{
	ask(*state, GET("/query"), 200, "limit=100");
	ask(*state, GET("/query?limit=7&status=a&status=b%20c"), 200, "limit=7 status=a status=b c");
	ask(*state, GET("/query?limit=0"), 400, "malformed_parameter");
	ask(*state, GET("/query?limit=1001"), 400, "malformed_parameter");
	ask(*state, GET("/query?limit=seven"), 400, "malformed_parameter");
	ask(*state, GET("/query?limit="), 400, "malformed_parameter");
	ask(*state, GET("/query?limit=1&limit=1"), 400, "limit is given twice");
	ask(*state, GET("/query?status="), 400, "malformed_parameter");
	ask(*state, GET("/query?status=12345678901234567"), 400, "malformed_parameter");
	ask(*state, GET("/query?stat=1"), 400, "known: status, limit");
	ask(*state, GET("/things/a?x=1"), 400, "takes no query parameters");
	ask(*state, GET("/query?limit=%"), 400, "malformed_parameter");
}

static void json_bodies(void **state)
{
	ask(*state, POST("/things", "Content-Length: 14\r\n", "{\"name\":\"abc\"}"), 201, "{\"name\":\"abc\"}");
	ask(*state, POST("/things", "Content-Length: 14\r\nContent-Type: application/json\r\n", "{\"name\":\"abc\"}"), 201, NULL);
	ask(*state, POST("/things", "Content-Length: 14\r\nContent-Type: Application/JSON ; Charset=UTF-8\r\n", "{\"name\":\"abc\"}"),
	    201, NULL);
	ask(*state, POST("/things", "Content-Length: 2\r\nContent-Type: text/plain\r\n", "{}"), 415, "unsupported_media_type");
	ask(*state, POST("/things", "Content-Length: 2\r\nContent-Type: application/json; charset=latin1\r\n", "{}"), 415,
	    "unsupported_media_type");
	ask(*state, POST("/things", "Content-Length: 2\r\nContent-Type: application/jsonx\r\n", "{}"), 415, "unsupported_media_type");
	ask(*state, POST("/things", "Content-Length: 0\r\n", ""), 400, "malformed_json");
	ask(*state, POST("/things", "Content-Length: 2\r\n", "{}"), 400, "missing_field");
	ask(*state, POST("/things", "Content-Length: 3\r\n", "{]}"), 400, "malformed_json");
	ask(*state, POST("/things", "Content-Length: 23\r\n", "{\"name\":\"a\",\"name\":\"b\"}"), 400, "duplicate_key");
	ask(*state, POST("/things", "", ""), 411, "length_required");
	ask(*state, "GET /things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 400, "unexpected_body");
	ask(*state, "GET /things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 200, NULL);
	ask(*state, "GET /things/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "unexpected_body");
}

static void chunked_bodies(void **state)
{
	int fd = dial(*state);
	say(fd, POST("/things", "Transfer-Encoding: chunked\r\n", "7;ext=1\r\n{\"name\"\r\n7\r\n:\"abc\"}\r\n0\r\nTrailer: x\r\n\r\n"));
	expect(fd, 201, "{\"name\":\"abc\"}");
	say(fd, POST("/things", "transfer-encoding: Chunked\r\n", "e\r\n{\"name\":\"abc\"}\r\n0\r\n\r\n"));
	expect(fd, 201, "{\"name\":\"abc\"}");
	say(fd, GET("/things/after"));
	expect(fd, 200, "after");
	close(fd);
}

static void every_byte_its_own_packet(void **state)
{
	static const char both[] = POST("/things", "Content-Length: 14\r\n", "{\"name\":\"abc\"}") GET("/things/second");
	int fd = dial(*state);
	for (size_t i = 0; i + 1 < sizeof(both); i++) {
		say_n(fd, both + i, 1);
		if (i % 7 == 0)
			nap(1);
	}
	expect(fd, 201, "{\"name\":\"abc\"}");
	expect(fd, 200, "{\"name\":\"second\"}");
	close(fd);
}

static void pipelined_requests(void **state)
{
	int fd = dial(*state);
	for (int i = 0; i < 50; i++)
		say(fd, GET("/things/a") POST("/things", "Content-Length: 14\r\n", "{\"name\":\"abc\"}") GET("/nothing"));
	for (int i = 0; i < 50; i++) {
		expect(fd, 200, "{\"name\":\"a\"}");
		expect(fd, 201, "{\"name\":\"abc\"}");
		expect(fd, 404, NULL);
	}
	close(fd);
}

static void keep_alive_and_close(void **state)
{
	int fd = dial(*state);
	say(fd, GET("/things/a"));
	expect(fd, 200, NULL);
	say(fd, "GET /things/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	expect(fd, 200, NULL);
	expect_closed(fd);
	fd = dial(*state);
	say(fd, "GET /things/a HTTP/1.0\r\n\r\n");
	struct answer a;
	assert_true(hear(fd, &a));
	buf_free(&a.body);
	expect_closed(fd);
}

static void conflicting_lengths_close(void **state)
{
	static const char *const bad[] = {
		POST("/things", "Content-Length: 14\r\nContent-Length: 15\r\n", "{\"name\":\"abc\"}"),
		POST("/things", "Content-Length: 14\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
		POST("/things", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
		POST("/things", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
		POST("/things", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
		"GET /things/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n",
		"GET /things/a HTTP/1.1\r\nHost: x\r\nContent-Length : 40\r\n\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int fd = dial(*state);
		say(fd, bad[i]);
		expect(fd, 400, "malformed_request");
		expect_closed(fd);
	}
	int fd = dial(*state);
	say(fd, POST("/things", "Content-Length: 14\r\nContent-Length: 14\r\n", "{\"name\":\"abc\"}"));
	expect(fd, 201, NULL); /* twice the same is harmless */
	close(fd);
}

static void lengths_that_are_none(void **state)
{
	static const char *const bad[] = {"-1", "+1", "0x10", "1 2", "14, 14", "99999999999999999999999", ""};
	char request[128];
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct answer a;
		int fd = dial(*state);
		snprintf(request, sizeof(request), "POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n", bad[i]);
		say(fd, request);
		assert_true(hear(fd, &a));
		assert_true(a.status == 400 || a.status == 413);
		buf_free(&a.body);
		while (next_byte(fd, PATIENCE_MS) >= 0) /* libmicrohttpd's own page */
			;
		close(fd);
	}
}

static void expectations(void **state)
{
	struct answer a;
	int fd = dial(*state);
	say(fd, POST("/things", "Content-Length: 14\r\nExpect: 100-continue\r\n", ""));
	assert_true(hear_head(fd, &a));
	assert_int_equal(a.status, 100);
	say(fd, "{\"name\":\"abc\"}");
	expect(fd, 201, NULL);
	close(fd);
	fd = dial(*state); /* the refusal comes instead of the 100 */
	say(fd, POST("/things", "Content-Length: 5000\r\nExpect: 100-continue\r\n", ""));
	expect(fd, 413, "too_large");
	expect_closed(fd);
	ask(*state, POST("/things", "Content-Length: 14\r\nExpect: tea\r\n", ""), 417, "expectation_failed");
}

static void garbage(void **state)
{
	static const char *const bad[] = {"\r\n\r\n\r\n",
					  "GET\r\n\r\n",
					  "GET /\r\n\r\n",
					  "GET / HTTP/9.9\r\n\r\n",
					  "GET / HTTP/1.1\r\n\r\n" /* no Host */,
					  "\x16\x03\x01\x02",
					  "GET / HTTP/1.1\r\nHost x\r\n\r\n",
					  "GET  /things/a b HTTP/1.1\r\nHost: x\r\n\r\n",
					  POST("/things", "Transfer-Encoding: chunked\r\n", "zz\r\n"),
					  POST("/things", "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n")};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int fd = dial(*state);
		say(fd, bad[i]);
		shutdown(fd, SHUT_WR);
		while (next_byte(fd, PATIENCE_MS) >= 0)
			;
		close(fd);
	}
	ask(*state, GET("/health"), 200, NULL);
}

static void huge_header(void **state)
{
	struct buf request = {0};
	struct answer a;
	buf_puts(&request, "GET /things/a HTTP/1.1\r\nHost: x\r\nBig: ");
	for (int i = 0; i < 100000; i++)
		buf_putc(&request, 'x');
	buf_puts(&request, "\r\n\r\n");
	int fd = dial(*state);
	(void)!send(fd, request.data, request.len, MSG_NOSIGNAL);
	assert_true(hear(fd, &a));
	assert_int_equal(a.status, 431);
	buf_free(&a.body);
	close(fd);
	buf_clear(&request);
	buf_puts(&request, "GET /things/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ");
	for (int i = 0; i < 4096; i++)
		buf_putc(&request, 'x');
	buf_puts(&request, "\r\n\r\n");
	ask(*state, buf_z(&request), 200, NULL);
	buf_free(&request);
}

static bool nothing_in_flight(const struct http_server *s)
{
	struct answer a;
	int fd = dial(s);
	say(fd, GET("/metrics"));
	assert_true(hear(fd, &a));
	bool nothing = strstr(buf_z(&a.body), "tana_test_http_requests_in_flight 1\n") != NULL; /* but this one */
	buf_free(&a.body);
	close(fd);
	return nothing;
}

/* Every target is answered, however long and however many parameters it has, and no request is forgotten. */
static void huge_targets(void **state)
{
	static const struct {
		const char *piece;
		size_t count;
		int status;
	} all[] = {{"a&", 100, 400}, {"a&", 130, 414}, {"a&", 250, 414}, {"a&", 260, 414}, {"a&", 4000, 414}, {"a", 7000, 400}, {"a", 8200, 414}, {"a", 16300, 414}, {"a=b&", 200, 414}};
	struct buf request = {0};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		buf_clear(&request);
		buf_puts(&request, "GET /things/a?");
		for (size_t n = 0; n < all[i].count; n++)
			buf_puts(&request, all[i].piece);
		buf_puts(&request, " HTTP/1.1\r\nHost: x\r\n\r\n");
		ask(*state, buf_z(&request), all[i].status, all[i].status == 414 ? "\"code\":\"too_large\"" : NULL);
	}
	buf_free(&request);
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; !nothing_in_flight(*state);) {
		assert_true(clock_mono_ms() < end);
		nap(50);
	}
}

static void own_endpoints(void **state)
{
	ask(*state, GET("/health"), 200, "{\"status\":\"ok\",\"service\":\"test\",\"own\":1}");
	ask(*state, GET("/info"), 200, "{\"service\":\"test\",\"version\":\"1.2.3\",\"commit\":\"abc\",\"uptime_seconds\":");
	ask(*state, GET("/ready"), 200, "{\"status\":\"ready\"}");
	service.ready = false;
	int fd = dial(*state);
	struct answer a;
	char value[512];
	say(fd, GET("/ready"));
	assert_true(hear(fd, &a));
	assert_int_equal(a.status, 503);
	assert_non_null(strstr(buf_z(&a.body), "\"code\":\"unavailable\""));
	assert_non_null(strstr(buf_z(&a.body), "the database does not answer"));
	assert_non_null(header(&a, "Retry-After", value));
	buf_free(&a.body);
	close(fd);
	service.ready = true;
	ask(*state, GET("/metrics"), 200, "tana_test_http_requests_total{method=\"GET\",route=\"/ready\",status=\"503\"} 1\n");
	ask(*state, GET("/metrics"), 200, "tana_test_http_requests_total{method=\"HEAD\",route=\"/things/:id\",status=\"200\"} 1\n");
	ask(*state, GET("/metrics"), 200,
	    "tana_test_http_request_duration_seconds_bucket{method=\"GET\",route=\"/stream\",le=\"+Inf\"} ");
	ask(*state, GET("/metrics"), 200, "process_resident_memory_bytes ");
	ask(*state, GET("/metrics"), 200, "process_start_time_seconds ");
	ask(*state, GET("/openapi.json"), 200, "\"openapi\":\"3.1.0\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_and_arguments),
		cmocka_unit_test(nul_in_the_path),
		cmocka_unit_test(other_methods),
		cmocka_unit_test(head_is_get_without_body),
		cmocka_unit_test(headers_of_every_answer),
		cmocka_unit_test(request_ids),
		cmocka_unit_test(internals_are_not_told),
		cmocka_unit_test(entity_tags),
		cmocka_unit_test(streams_and_files),
		cmocka_unit_test(queries),
		cmocka_unit_test(json_bodies),
		cmocka_unit_test(chunked_bodies),
		cmocka_unit_test(every_byte_its_own_packet),
		cmocka_unit_test(pipelined_requests),
		cmocka_unit_test(keep_alive_and_close),
		cmocka_unit_test(conflicting_lengths_close),
		cmocka_unit_test(lengths_that_are_none),
		cmocka_unit_test(expectations),
		cmocka_unit_test(garbage),
		cmocka_unit_test(huge_header),
		cmocka_unit_test(huge_targets),
		cmocka_unit_test(own_endpoints),
	};
	return cmocka_run_group_tests(tests, open_server, close_server);
}
