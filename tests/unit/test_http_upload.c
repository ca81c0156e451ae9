/* HTTP: bodies taken piece by piece, and files given in part. */
#include "http_fixture.h"

/* ---- a route that counts what comes ---- */

static struct {
	_Atomic int begun, abandoned, ended;
	_Atomic int64_t announced;
} seen;

struct counted {
	uint64_t bytes;
};

static struct http_reply *count_begin(struct http_request *r)
{
	if (str_present(http_header(r, "X-Refuse")))
		return http_reply_error_code(r, ERR_NOT_ALLOWED, "refused by its header");
	seen.begun++;
	seen.announced = http_content_length(r);
	assert_null(http_state(r));
	http_set_state(r, arena_zalloc(http_arena(r), 1, sizeof(struct counted)));
	return NULL;
}

static struct http_reply *count_piece(struct http_request *r, const void *p, size_t n)
{
	struct counted *c = http_state(r);
	assert_true(n > 0);
	c->bytes += n;
	return memchr(p, '!', n) ? http_reply_error_code(r, ERR_REFUSED, "refused by its body") : NULL;
}

static void count_abandon(struct http_request *r)
{
	assert_non_null(http_state(r));
	seen.abandoned++;
}

static struct http_reply *count_end(struct http_request *r)
{
	const struct counted *c = http_state(r);
	struct buf body = {0};
	seen.ended++;
	assert_int_equal(http_body(r).n, 0);
	buf_printf(&body, "%llu bytes", (unsigned long long)c->bytes);
	return http_reply_bytes(r, 200, "text/plain", &body);
}

static const struct http_upload counting = {.begin = count_begin, .piece = count_piece, .abandon = count_abandon};

/* ---- a route that gives parts of a file of 100,000 bytes, "0123456789" over and over ---- */

enum { FILE_BYTES = 100000 };

static struct http_reply *give_part(struct http_request *r)
{
	static char bytes[FILE_BYTES];
	uint64_t first = 0, length = FILE_BYTES;
	enum http_range range = http_range_asked(r, FILE_BYTES, "\"tag\"", &first, &length);
	if (range == HTTP_RANGE_BEYOND)
		return http_reply_error_code(r, ERR_RANGE_NOT_SATISFIABLE, "beyond");
	for (size_t i = 0; i < FILE_BYTES; i++)
		bytes[i] = (char)('0' + i % 10);
	FILE *f = tmpfile();
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, FILE_BYTES, f), FILE_BYTES);
	fflush(f);
	int fd = dup(fileno(f));
	fclose(f);
	if (range == HTTP_RANGE_WHOLE)
		return http_reply_file_part(r, http_client_has(r, "\"tag\"") ? 203 : 200, "text/plain", fd, 0, FILE_BYTES);
	return http_reply_file_part(r, 206, "text/plain", fd, first, length);
}

static struct http_reply *give_too_much(struct http_request *r)
{
	FILE *f = tmpfile();
	assert_non_null(f);
	int fd = dup(fileno(f));
	fclose(f);
	return http_reply_file_part(r, 200, "text/plain", fd, 0, strtoul(http_path_arg(r, 0).p, NULL, 10));
}

static const struct http_route upload_routes[] = {
	{.method = HTTP_PUT, .path = "/count", .handler = count_end, .upload = &counting, .answers = text_answers, .errors = no_errors, .summary = "Counts"},
	{.method = HTTP_PUT,
	 .path = "/limited",
	 .handler = count_end,
	 .upload = &counting,
	 .body_max = 1000,
	 .answers = text_answers,
	 .errors = no_errors,
	 .summary = "Counts a little"},
	{.method = HTTP_GET, .path = "/part", .handler = give_part, .answers = text_answers, .errors = no_errors, .summary = "Parts"},
	{.method = HTTP_GET, .path = "/too-much/:bytes", .handler = give_too_much, .answers = text_answers, .errors = no_errors, .summary = "Too much"},
};

static struct service service;

static int begin(void **state)
{
	struct http_options o = fixture_options(&service);
	o.routes = upload_routes;
	o.route_count = ARRAY_LEN(upload_routes);
	o.connection_memory = 64 * 1024;
	o.idle_timeout_ms = 1000;
	seen.begun = seen.abandoned = seen.ended = 0;
	*state = start(&o);
	return 0;
}

static int end(void **state)
{
	http_server_stop(*state, 1000);
	return 0;
}

/* ---- tests ---- */

static void bodies_of_any_length(void **state)
{
	enum { LARGE = 3000000 };
	char *body = malloc(LARGE), head[128], answer[32];
	static const size_t lengths[] = {0, 1, 1000, 65536, LARGE};
	int fd = dial(*state);
	memset(body, 'b', LARGE);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		(void)snprintf(head, sizeof(head), "PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", lengths[i]);
		(void)snprintf(answer, sizeof(answer), "%zu bytes", lengths[i]);
		say(fd, head);
		say_n(fd, body, lengths[i]);
		expect(fd, 200, answer);
		assert_int_equal(seen.announced, lengths[i]);
	}
	say(fd, "PUT /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n3\r\nfgh\r\n0\r\nX-Trailer: t\r\n\r\n");
	expect(fd, 200, "8 bytes");
	assert_int_equal(seen.announced, -1);
	assert_int_equal(seen.ended, ARRAY_LEN(lengths) + 1);
	assert_int_equal(seen.abandoned, 0);
	close(fd);
	free(body);
}

static void refused_before_the_body(void **state)
{
	int fd = dial(*state);
	say(fd, "PUT /count HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n");
	expect(fd, 403, "refused by its header"); /* and no 100 Continue before it */
	expect_closed(fd);
	fd = dial(*state);
	say(fd, "PUT /count HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nContent-Length: 5\r\n\r\nabcde");
	expect(fd, 403, "refused by its header");
	say(fd, "PUT /count HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	struct answer a;
	assert_true(hear_head(fd, &a));
	assert_int_equal(a.status, 100);
	say(fd, "abcde");
	expect(fd, 200, "5 bytes");
	say(fd, "PUT /count HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(fd, 411, "length_required");
	close(fd);
	assert_int_equal(seen.begun, 1);
	assert_int_equal(seen.abandoned, 0);
}

static void refused_in_the_body(void **state)
{
	int fd = dial(*state);
	say(fd, "PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc!");
	wait_until(seen.abandoned == 1);
	say(fd, "efghi"); /* thrown away, and then the answer comes */
	expect(fd, 422, "refused by its body");
	say(fd, "PUT /limited HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
	char body[1001];
	memset(body, 'b', sizeof(body));
	say_n(fd, body, sizeof(body));
	expect(fd, 413, "too_large");
	say(fd, "PUT /limited HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
	say_n(fd, body, sizeof(body));
	say(fd, "\r\n0\r\n\r\n");
	expect(fd, 413, "too_large");
	close(fd);
	assert_int_equal(seen.begun, 2);
	assert_int_equal(seen.abandoned, 2);
	assert_int_equal(seen.ended, 0);
}

static void abandoned(void **state)
{
	int fd = dial(*state);
	say(fd, "PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	wait_until(seen.begun == 1);
	close(fd);
	wait_until(seen.abandoned == 1);
	fd = dial(*state);
	say(fd, "PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	wait_until(seen.begun == 2);
	http_server_stop(*state, 10);
	assert_int_equal(seen.abandoned, 2);
	assert_int_equal(seen.ended, 0);
	close(fd);
	assert_int_equal(begin(state), 0); /* for the teardown */
}

static void get_part(int fd, const char *method, const char *headers, int status, size_t first, size_t length)
{
	struct answer a;
	char request[512], value[512];
	(void)snprintf(request, sizeof(request), "%s /part HTTP/1.1\r\nHost: x\r\n%s\r\n", method, headers);
	say(fd, request);
	assert_true(strcmp(method, "HEAD") == 0 ? hear_head(fd, &a) : hear(fd, &a));
	if (a.status != status)
		fail_msg("%s: expected %d, got %d", headers, status, a.status);
	if (status == 416)
		length = a.body.len;
	assert_int_equal(strtoul(header(&a, "Content-Length", value), NULL, 10), length);
	for (size_t i = 0; i < a.body.len && status != 416; i++)
		assert_int_equal(a.body.data[i], '0' + (first + i) % 10);
	buf_free(&a.body);
}

static void ranges(void **state)
{
	static const struct {
		const char *headers;
		int status;
		size_t first, length;
	} cases[] = {
		{"", 200, 0, FILE_BYTES},
		{"Range: bytes=0-9\r\n", 206, 0, 10},
		{"Range: BYTES=3-3\r\n", 206, 3, 1},
		{"Range: bytes= 5-6 \r\n", 206, 5, 2},
		{"Range: bytes=99995-\r\n", 206, 99995, 5},
		{"Range: bytes=1-\r\n", 206, 1, FILE_BYTES - 1},
		{"Range: bytes=0-18446744073709551615\r\n", 206, 0, FILE_BYTES},
		{"Range: bytes=7-99999999999999999999999999\r\n", 206, 7, FILE_BYTES - 7},
		{"Range: bytes=-7\r\n", 206, FILE_BYTES - 7, 7},
		{"Range: bytes=-999999\r\n", 206, 0, FILE_BYTES},
		{"Range: bytes=100000-\r\n", 416, 0, 0},
		{"Range: bytes=18446744073709551616-\r\n", 416, 0, 0},
		{"Range: bytes=-0\r\n", 416, 0, 0},
		{"Range: bytes=9-8\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=-\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=1-2,4-5\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=1-2-3\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=+1-2\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=a-b\r\n", 200, 0, FILE_BYTES},
		{"Range: lines=1-2\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=1-2\r\nIf-Range: \"tag\"\r\n", 206, 1, 2},
		{"Range: bytes=1-2\r\nIf-Range: W/\"tag\"\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=1-2\r\nIf-Range: \"other\"\r\n", 200, 0, FILE_BYTES},
		{"Range: bytes=1-2\r\nIf-Range: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 200, 0, FILE_BYTES},
		{"If-None-Match: \"other\", W/\"tag\"\r\n", 203, 0, FILE_BYTES},
		{"If-None-Match: *\r\n", 203, 0, FILE_BYTES},
		{"If-None-Match: \"other\"\r\n", 200, 0, FILE_BYTES},
	};
	int fd = dial(*state);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		get_part(fd, "GET", cases[i].headers, cases[i].status, cases[i].first, cases[i].length);
	get_part(fd, "HEAD", "Range: bytes=1-2\r\n", 200, 0, FILE_BYTES); /* a range is of GET alone */
	close(fd);
}

static void a_file_too_short_cuts_the_connection(void **state)
{
	static const char *const sizes[] = {"10", "1000000"}; /* read at once, and by sendfile */
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct answer a;
		char request[128];
		int fd = dial(*state);
		(void)snprintf(request, sizeof(request), "GET /too-much/%s HTTP/1.1\r\nHost: x\r\n\r\n", sizes[i]);
		say(fd, request);
		assert_false(hear(fd, &a));
		assert_int_equal(a.body.len, 0);
		buf_free(&a.body);
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bodies_of_any_length, begin, end),
		cmocka_unit_test_setup_teardown(refused_before_the_body, begin, end),
		cmocka_unit_test_setup_teardown(refused_in_the_body, begin, end),
		cmocka_unit_test_setup_teardown(abandoned, begin, end),
		cmocka_unit_test_setup_teardown(ranges, begin, end),
		cmocka_unit_test_setup_teardown(a_file_too_short_cuts_the_connection, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
