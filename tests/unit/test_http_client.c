/* http: the client, against a server that answers what a script says. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/client.h"

/* ---- The scripted server: one connection at a time, one step a request ---- */

enum { STEPS_MAX = 6, REQUEST_MAX = 4096 };
enum step_end { KEEP, CLOSE, HANG /* answers nothing until the test is over */ };
struct step {
	const char *answer; /* NULL: none */
	enum step_end end;
};
struct script {
	const struct step *steps; /* ends with an all-zero one */
	int listener, port;
	pthread_t thread;
	int connections, requests;
	char request[STEPS_MAX][REQUEST_MAX]; /* as they came */
};

/* One request with its body; false when the peer is gone. */
static bool receive(int fd, char *out)
{
	size_t n = 0;
	for (;;) {
		out[n] = '\0';
		const char *end = strstr(out, "\r\n\r\n"), *length = strcasestr(out, "\r\nContent-Length:");
		if (end && n >= (size_t)(end + 4 - out) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0))
			return true;
		ssize_t got = recv(fd, out + n, REQUEST_MAX - 1 - n, 0);
		if (got <= 0)
			return false;
		n += (size_t)got;
	}
}

static void wait_for_hangup(int fd)
{
	char c;
	while (recv(fd, &c, 1, 0) > 0)
		continue;
}

static void serve_connection(struct script *s, int fd)
{
	while (s->steps[s->requests].answer || s->steps[s->requests].end != KEEP) {
		const struct step *step = &s->steps[s->requests];
		if (!receive(fd, s->request[s->requests]))
			return;
		s->requests++;
		if (step->answer && send(fd, step->answer, strlen(step->answer), MSG_NOSIGNAL) < 0)
			return;
		if (step->end == HANG)
			wait_for_hangup(fd);
		if (step->end != KEEP)
			return;
	}
}

static void *serve(void *arg)
{
	struct script *s = arg;
	int fd;
	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		s->connections++;
		serve_connection(s, fd);
		close(fd);
	}
	return NULL;
}

static void script_start(struct script *s, const struct step *steps)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	memset(s, 0, sizeof *s);
	s->steps = steps;
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->listener, 8), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* After the client was freed: its connections are closed, so the thread comes back to accept. */
static void script_end(struct script *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
}

static struct http_client *client_of(const struct script *s, size_t answer_max)
{
	char url[64];
	struct error err = {0};
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", s->port);
	struct http_client_options o = {.base_url = url, .user_agent = "tana-test/1", .timeout_ms = 5000, .answer_max = answer_max};
	struct http_client *c = http_client_new(&o, &err);
	assert_non_null(c);
	return c;
}

#define OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* ---- Exchanges ---- */

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void test_get(void **state)
{
	(void)state;
	static const struct step steps[] = {{"HTTP/1.1 200 OK\r\nx-request-id:  r-1 \r\nETag: \"abc\"\r\nContent-Length: 5\r\n\r\nhello", KEEP}, {NULL, KEEP}};
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, steps);
	struct http_client *c = client_of(&s, 0);
	assert_true(http_call(c, "GET", "/nodes?status=active", STR_NONE, &a, &err));
	assert_int_equal(a.status, 200);
	assert_string_equal(buf_z(&a.body), "hello");
	assert_string_equal(a.request_id, "r-1");
	assert_string_equal(a.etag, "\"abc\"");
	http_answer_free(&a);
	http_client_free(c);
	script_end(&s);
	assert_has(s.request[0], "GET /nodes?status=active HTTP/1.1\r\n");
	assert_has(s.request[0], "User-Agent: tana-test/1\r\n");
	assert_has(s.request[0], "Accept: application/json, */*;q=0.5\r\n");
	assert_null(strcasestr(s.request[0], "content-type"));
}

static void test_methods(void **state)
{
	(void)state;
	static const struct step steps[] = {{"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", CLOSE},
					    {"HTTP/1.1 204 No Content\r\n\r\n", CLOSE},
					    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", CLOSE},
					    /* Said, or the PUT could go out on this connection before it ends, and what has a body is not sent twice. */
					    {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", CLOSE},
					    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", CLOSE},
					    {NULL, KEEP}};
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, steps);
	struct http_client *c = client_of(&s, 0);
	assert_true(http_call(c, "POST", "/register", STR_LIT("{\"a\":1}"), &a, &err));
	assert_int_equal(a.status, 201);
	http_answer_free(&a);
	assert_true(http_call(c, "POST", "/empty", STR_NONE, &a, &err));
	assert_int_equal(a.status, 204);
	http_answer_free(&a);
	assert_true(http_call(c, "HEAD", "/h", STR_NONE, &a, &err));
	assert_int_equal(a.body.len, 0);
	http_answer_free(&a);
	assert_true(http_call(c, "DELETE", "/d", STR_NONE, &a, &err));
	http_answer_free(&a);
	assert_true(http_call(c, "PUT", "/p/a%20b/../c", STR_LIT("x"), &a, &err));
	http_answer_free(&a);
	http_client_free(c);
	script_end(&s);
	assert_has(s.request[0], "POST /register HTTP/1.1\r\n");
	assert_has(s.request[0], "Content-Type: application/json\r\n");
	assert_has(s.request[0], "Content-Length: 7\r\n");
	assert_has(s.request[0], "\r\n\r\n{\"a\":1}");
	assert_null(strcasestr(s.request[0], "expect"));
	assert_has(s.request[1], "POST /empty HTTP/1.1\r\n");
	assert_has(s.request[1], "Content-Length: 0\r\n");
	assert_has(s.request[2], "HEAD /h HTTP/1.1\r\n");
	assert_has(s.request[3], "DELETE /d HTTP/1.1\r\n");
	assert_has(s.request[4], "PUT /p/a%20b/../c HTTP/1.1\r\n");
	assert_has(s.request[4], "\r\n\r\nx");
}

static void test_no_redirects(void **state)
{
	(void)state;
	static const struct step steps[] = {{"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", KEEP}, {OK_HI, KEEP}, {NULL, KEEP}};
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, steps);
	struct http_client *c = client_of(&s, 0);
	assert_true(http_call(c, "GET", "/", STR_NONE, &a, &err));
	assert_int_equal(a.status, 302);
	http_answer_free(&a);
	http_client_free(c);
	script_end(&s);
	assert_int_equal(s.requests, 1);
}

static void test_keep_alive(void **state)
{
	(void)state;
	static const struct step steps[] = {{OK_HI, KEEP}, {OK_HI, KEEP}, {OK_HI, KEEP}, {NULL, KEEP}};
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, steps);
	struct http_client *c = client_of(&s, 0);
	for (int i = 0; i < 3; i++) {
		assert_true(http_call(c, i == 1 ? "POST" : "GET", "/", i == 1 ? STR_LIT("{}") : STR_NONE, &a, &err));
		http_answer_free(&a);
	}
	http_client_free(c);
	script_end(&s);
	assert_int_equal(s.requests, 3);
	assert_int_equal(s.connections, 1);
}

/* The server takes the second request on a kept connection and closes without a word. */
static void test_stale_get(void **state)
{
	(void)state;
	static const struct step steps[] = {{OK_HI, KEEP}, {NULL, CLOSE}, {OK_HI, KEEP}, {NULL, KEEP}};
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, steps);
	struct http_client *c = client_of(&s, 0);
	assert_true(http_call(c, "GET", "/1", STR_NONE, &a, &err));
	http_answer_free(&a);
	if (!http_call(c, "GET", "/2", STR_NONE, &a, &err))
		fail_msg("%s", err.message);
	assert_int_equal(a.status, 200);
	http_answer_free(&a);
	http_client_free(c);
	script_end(&s);
	assert_int_equal(s.requests, 3);
	assert_int_equal(s.connections, 2);
	assert_has(s.request[2], "GET /2 ");
}

/* Without a body there is a new connection each time, and the server has one at a time: it has to end the first. */
static void stale_post(struct str body)
{
	const struct step steps[] = {{OK_HI, str_present(body) ? KEEP : CLOSE}, {NULL, CLOSE}, {OK_HI, KEEP}, {NULL, KEEP}};
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, steps);
	struct http_client *c = client_of(&s, 0);
	assert_true(http_call(c, "GET", "/1", STR_NONE, &a, &err));
	http_answer_free(&a);
	assert_false(http_call(c, "POST", "/2", body, &a, &err));
	assert_int_equal(err.code, ERR_UNREACHABLE);
	if (str_present(body))
		assert_has(err.message, "not known");
	http_client_free(c);
	script_end(&s);
	assert_int_equal(s.requests, 2);
}

/* It may have been carried out: it is not sent again. */
static void test_stale_post(void **state)
{
	(void)state;
	stale_post(STR_LIT("{\"amount\":1}"));
	stale_post(STR_NONE);
}

/* ---- Failures ---- */

static void failing(const struct step *steps, size_t answer_max, enum error_code code, const char *words)
{
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, steps);
	struct http_client *c = client_of(&s, answer_max);
	if (http_call(c, "GET", "/x", STR_NONE, &a, &err))
		fail_msg("status %d", a.status);
	assert_string_equal(error_code_text(err.code), error_code_text(code));
	assert_has(err.message, words);
	assert_null(a.body.data);
	http_client_free(c);
	script_end(&s);
}

static void test_limit(void **state)
{
	(void)state;
	static const struct step by_length[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n01234567890", CLOSE}, {NULL, KEEP}};
	static const struct step chunked[] = {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n", CLOSE}, {NULL, KEEP}};
	static const struct step fits[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", CLOSE}, {NULL, KEEP}};
	failing(by_length, 10, ERR_TOO_LARGE, "larger than 10 bytes");
	failing(chunked, 10, ERR_TOO_LARGE, "larger than 10 bytes");
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, fits);
	struct http_client *c = client_of(&s, 10);
	assert_true(http_call(c, "GET", "/", STR_NONE, &a, &err));
	assert_string_equal(buf_z(&a.body), "0123456789");
	http_answer_free(&a);
	http_client_free(c);
	script_end(&s);
}

static void test_broken_answers(void **state)
{
	(void)state;
	static const struct step short_body[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", CLOSE}, {NULL, KEEP}};
	static const struct step silent[] = {{NULL, CLOSE}, {NULL, KEEP}};
	failing(short_body, 0, ERR_UNREACHABLE, "cannot reach http://127.0.0.1:");
	failing(silent, 0, ERR_UNREACHABLE, "/x: ");
}

static void test_timeout(void **state)
{
	(void)state;
	static const struct step steps[] = {{NULL, HANG}, {NULL, KEEP}};
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	char url[64];
	script_start(&s, steps);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", s.port);
	struct http_client_options o = {.base_url = url, .timeout_ms = 150};
	struct http_client *c = http_client_new(&o, &err);
	int64_t before = clock_mono_ms();
	assert_false(http_call(c, "GET", "/", STR_NONE, &a, &err));
	assert_int_equal(err.code, ERR_TIMED_OUT);
	assert_in_range(clock_mono_ms() - before, 140, 3000);
	http_client_free(c);
	script_end(&s);
}

static void test_nobody_there(void **state)
{
	(void)state;
	struct script s;
	static const struct step none[] = {{NULL, KEEP}};
	struct http_answer_in a;
	struct error err = {0};
	script_start(&s, none);
	struct http_client *c = client_of(&s, 0);
	script_end(&s);
	assert_false(http_call(c, "GET", "/nodes", STR_NONE, &a, &err));
	assert_int_equal(err.code, ERR_UNREACHABLE);
	assert_has(err.message, "/nodes");
	http_client_free(c);
}

static void test_base_urls(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "127.0.0.1:8190", "localhost:8190", "ftp://127.0.0.1", "file:///etc/passwd", "http://",
					  "http://u:p@127.0.0.1", "http://127.0.0.1/?a=b", "http://127.0.0.1/#x", "http://127.0.0.1:99999", "http://a b/"};
	static const char *const good[] = {"http://127.0.0.1:8190", "https://mesh.example/", "http://[::1]:8190//", "HTTP://localhost"};
	struct error err = {0};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct http_client_options o = {.base_url = bad[i]};
		if (http_client_new(&o, &err))
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(err.code, ERR_CONFIG);
		assert_has(err.message, bad[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct http_client_options o = {.base_url = good[i]};
		struct http_client *c = http_client_new(&o, &err);
		if (!c)
			fail_msg("%s", err.message);
		http_client_free(c);
	}
}

/* A proxy in the environment is not asked about loopback: its loopback is another one. */
static void test_proxy(void **state)
{
	(void)state;
	static const struct step steps[] = {{OK_HI, CLOSE}, {NULL, KEEP}};
	struct script s;
	struct http_answer_in a;
	struct error err = {0};
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	script_start(&s, steps);
	struct http_client *c = client_of(&s, 0);
	assert_true(http_call(c, "GET", "/", STR_NONE, &a, &err));
	http_answer_free(&a);
	http_client_free(c);
	script_end(&s);

	struct http_client_options o = {.base_url = "http://127.not-loopback.invalid"};
	c = http_client_new(&o, &err);
	assert_false(http_call(c, "GET", "/", STR_NONE, &a, &err));
	assert_has(err.message, "127.0.0.1 port 1");
	http_client_free(c);
	unsetenv("http_proxy");
}

/* ---- Error documents ---- */

static void test_error_documents(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *body;
		enum error_code code;
		const char *message, *hint;
	} cases[] = {
		{409, "{\"error\":\"a later one was seen\",\"code\":\"replayed\",\"hint\":\"sign again\"}", ERR_REPLAYED, "a later one was seen", "sign again"},
		{400, "{\"error\":\"no\",\"code\":\"malformed_key\",\"serverTime\":5}", ERR_MALFORMED_KEY, "no", ""},
		{418, "{\"error\":\"news\",\"code\":\"from_the_future\"}", ERR_BAD_ANSWER, "news", ""},
		{502, "<html>Bad gateway</html>", ERR_BAD_ANSWER, "the server answered with status 502 and no error document", ""},
		{500, "", ERR_BAD_ANSWER, "the server answered with status 500 and no error document", ""},
		{400, "{\"error\":\"\\u001b[2J\",\"code\":\"internal\"}", ERR_BAD_ANSWER, "the server answered with status 400 and no error document", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_answer_in a = {.status = cases[i].status};
		struct error err = {0};
		buf_puts(&a.body, cases[i].body);
		assert_false(http_answer_error(&a, &err));
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.message, cases[i].message);
		assert_string_equal(err.hint, cases[i].hint);
		http_answer_free(&a);
	}
}

/* ---- Event streams ---- */

struct seen {
	struct buf text;
	int left; /* until the callback says stop; 0: never */
	volatile int stop;
	bool stop_at_event;
};

static bool note(void *ctx, int64_t id, const char *type, struct str data)
{
	struct seen *s = ctx;
	buf_printf(&s->text, "%lld|%s|%.*s;", (long long)id, type, STR_ARG(data));
	s->stop = s->stop_at_event;
	return s->left == 0 || --s->left > 0;
}

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"

/* The result of reading one stream; *seen holds the events. */
static bool read_stream(const struct step *steps, int64_t last_id, struct seen *seen, char *request, struct error *err)
{
	struct script s;
	script_start(&s, steps);
	struct http_client *c = client_of(&s, 0);
	bool ok = http_events(c, "/events", last_id, note, seen, &seen->stop, err);
	http_client_free(c);
	script_end(&s);
	if (request)
		memcpy(request, s.request[0], REQUEST_MAX);
	return ok;
}

static void test_events(void **state)
{
	(void)state;
	static const struct step steps[] = {{STREAM ": hello\n\nid: 8\nevent: node.online\ndata: {}\n\ndata: x\n\ndata: cut", CLOSE}, {NULL, KEEP}};
	char request[REQUEST_MAX];
	struct error err = {0};
	struct seen seen = {.left = 0};
	assert_true(read_stream(steps, 7, &seen, request, &err));
	assert_string_equal(buf_z(&seen.text), "8|node.online|{};8|message|x;");
	assert_has(request, "Accept: text/event-stream\r\n");
	assert_has(request, "Last-Event-ID: 7\r\n");
	buf_clear(&seen.text);
	assert_true(read_stream(steps, -1, &seen, request, &err));
	assert_null(strcasestr(request, "last-event-id"));
	buf_free(&seen.text);
}

static void test_events_stopped(void **state)
{
	(void)state;
	static const struct step steps[] = {{STREAM "data: a\n\ndata: b\n\ndata: c\n\n", HANG}, {NULL, KEEP}};
	struct error err = {0};
	struct seen by_callback = {.left = 2}, by_flag = {.stop_at_event = true}, before = {.stop = 1};
	assert_true(read_stream(steps, -1, &by_callback, NULL, &err));
	assert_string_equal(buf_z(&by_callback.text), "-1|message|a;-1|message|b;");
	int64_t start = clock_mono_ms();
	assert_true(read_stream(steps, -1, &by_flag, NULL, &err)); /* although the stream goes on */
	assert_true(read_stream(steps, -1, &before, NULL, &err));
	assert_in_range(clock_mono_ms() - start, 0, 4000);
	buf_free(&by_callback.text);
	buf_free(&by_flag.text);
	buf_free(&before.text);
}

static void test_events_refused(void **state)
{
	(void)state;
	static const struct step refused[] = {{"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n"
					       "{\"error\":\"too many streams\",\"code\":\"overloaded\"}", CLOSE}, {NULL, KEEP}};
	static const struct step other[] = {{"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", CLOSE}, {NULL, KEEP}};
	struct error err = {0};
	struct seen seen = {.left = 0};
	assert_false(read_stream(refused, -1, &seen, NULL, &err));
	assert_int_equal(err.code, ERR_OVERLOADED);
	assert_string_equal(err.message, "too many streams");
	assert_false(read_stream(other, -1, &seen, NULL, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	assert_has(err.message, "does not answer with an event stream");
	assert_null(seen.text.data);
}

static void test_events_too_large(void **state)
{
	(void)state;
	struct buf answer = {0};
	buf_puts(&answer, STREAM "data: ");
	for (int i = 0; i < 1100000; i++)
		buf_putc(&answer, 'x');
	buf_puts(&answer, "\n\n");
	const struct step steps[] = {{buf_z(&answer), CLOSE}, {NULL, KEEP}};
	struct error err = {0};
	struct seen seen = {.left = 0};
	assert_false(read_stream(steps, -1, &seen, NULL, &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	buf_free(&answer);
}

static void test_encode(void **state)
{
	(void)state;
	struct buf b = {0};
	http_encode(&b, STR_LIT("aZ09-._~ /?&=%+\xc3\xa9\0"));
	assert_string_equal(buf_z(&b), "aZ09-._~%20%2F%3F%26%3D%25%2B%C3%A9%00");
	buf_free(&b);
}

static int start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),	     cmocka_unit_test(test_methods),	     cmocka_unit_test(test_no_redirects),
		cmocka_unit_test(test_keep_alive),   cmocka_unit_test(test_stale_get),	     cmocka_unit_test(test_stale_post),
		cmocka_unit_test(test_limit),	     cmocka_unit_test(test_broken_answers),  cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_nobody_there), cmocka_unit_test(test_base_urls),	     cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_error_documents), cmocka_unit_test(test_events),	     cmocka_unit_test(test_events_stopped),
		cmocka_unit_test(test_events_refused), cmocka_unit_test(test_events_too_large), cmocka_unit_test(test_encode),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
