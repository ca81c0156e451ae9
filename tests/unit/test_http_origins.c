/* Who asks: pages of other origins (CORS), and clients behind proxies. And streams of one's own. */
#include "http_fixture.h"

#include "http/forwarded.h"

static struct service service = {.ready = true};

static struct http_server *open_server(const char *const *proxies)
{
	static const char *const origins[] = {"https://app.example", "http://localhost:3000", NULL};
	struct http_options o = fixture_options(&service);
	o.cors_origins = origins;
	o.cors_headers = "Authorization, Content-Type";
	o.trusted_proxies = proxies;
	o.rate_per_second = 0.001;
	o.rate_burst = 1;
	o.rate_exempt_loopback = true;
	return start(&o);
}

static void query(const struct http_server *s, const char *request, struct answer *a)
{
	int fd = dial(s);
	say(fd, request);
	assert_true(hear(fd, a));
	close(fd);
}

static void expect_header(const struct answer *a, const char *name, const char *value)
{
	char got[512];
	const char *h = header(a, name, got);
	if (!value) {
		assert_null(h);
		return;
	}
	assert_non_null(h);
	assert_string_equal(h, value);
}

static void origins(void **state)
{
	(void)state;
	struct http_server *s = open_server(NULL);
	struct answer a;
	static const struct {
		const char *origin, *allowed;
	} cases[] = {
		{"https://app.example", "https://app.example"},
		{"http://localhost:3000", "http://localhost:3000"},
		{"https://app.example.evil", NULL},
		{"http://app.example", NULL},
		{"https://APP.example", NULL},
		{"null", NULL},
		{"*", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char request[256];
		/* Refusals too: a page has to be able to read why. */
		static const char *const targets[] = {"/things/a", "/nowhere"};
		for (size_t k = 0; k < ARRAY_LEN(targets); k++) {
			snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\n\r\n", targets[k], cases[i].origin);
			query(s, request, &a);
			expect_header(&a, "Access-Control-Allow-Origin", cases[i].allowed);
			expect_header(&a, "Access-Control-Allow-Credentials", cases[i].allowed ? "true" : NULL);
			expect_header(&a, "Vary", "Origin");
			buf_free(&a.body);
		}
	}
	query(s, GET("/things/a"), &a);
	expect_header(&a, "Access-Control-Allow-Origin", NULL);
	buf_free(&a.body);
	http_server_stop(s, 1000);
}

static void preflights(void **state)
{
	(void)state;
	struct http_server *s = open_server(NULL);
	struct answer a;
#define PREFLIGHT(path, origin) "OPTIONS " path " HTTP/1.1\r\nHost: x\r\nOrigin: " origin "\r\nAccess-Control-Request-Method: POST\r\n\r\n"
	query(s, PREFLIGHT("/things", "https://app.example"), &a);
	assert_int_equal(a.status, 204);
	expect_header(&a, "Access-Control-Allow-Origin", "https://app.example");
	expect_header(&a, "Access-Control-Allow-Methods", "POST");
	expect_header(&a, "Access-Control-Allow-Headers", "Authorization, Content-Type");
	buf_free(&a.body);
	query(s, PREFLIGHT("/things", "https://other.example"), &a);
	assert_int_equal(a.status, 405);
	expect_header(&a, "Access-Control-Allow-Methods", NULL);
	buf_free(&a.body);
	query(s, PREFLIGHT("/nowhere", "https://app.example"), &a);
	assert_int_equal(a.status, 404);
	buf_free(&a.body);
	/* No question of a browser: what it always was. */
	query(s, "OPTIONS /things HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n\r\n", &a);
	assert_int_equal(a.status, 405);
	buf_free(&a.body);
	http_server_stop(s, 1000);
}

static void expect_peer(const struct http_server *s, const char *forwarded, const char *peer)
{
	char request[512], expected[128];
	struct answer a;
	snprintf(request, sizeof(request), "GET /whoami HTTP/1.1\r\nHost: x\r\n%s\r\n", forwarded);
	query(s, request, &a);
	snprintf(expected, sizeof(expected), "%s %s ", peer, strncmp(peer, "127.", 4) == 0 ? "loopback" : "far");
	if (strncmp(buf_z(&a.body), expected, strlen(expected)) != 0)
		fail_msg("%s gave %s, expected %s", forwarded, buf_z(&a.body), expected);
	buf_free(&a.body);
}

static void behind_a_proxy(void **state)
{
	(void)state;
	static const char *const proxies[] = {"127.0.0.1", "10.0.0.0/8", NULL};
	struct http_server *s = open_server(proxies);
	expect_peer(s, "", "127.0.0.1");
	expect_peer(s, "X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7");
	expect_peer(s, "X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7");
	expect_peer(s, "X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7");
	expect_peer(s, "X-Forwarded-For: [2001:db8::7]:4711\r\n", "2001:db8::7");
	/* What a client writes itself stands to the left of what the proxy appends. */
	expect_peer(s, "X-Forwarded-For: 127.0.0.1, 192.0.2.7\r\n", "192.0.2.7");
	expect_peer(s, "X-Forwarded-For: 192.0.2.1, 192.0.2.7, 10.1.2.3\r\n", "192.0.2.7");
	expect_peer(s, "X-Forwarded-For: evil, 10.1.2.3\r\n", "10.1.2.3");
	expect_peer(s, "X-Forwarded-For: 10.9.9.9, 10.1.2.3\r\n", "10.9.9.9");
	/* What is no address says nothing. */
	expect_peer(s, "X-Forwarded-For: unknown\r\n", "127.0.0.1");
	expect_peer(s, "X-Forwarded-For: \r\n", "127.0.0.1");
	expect_peer(s, "X-Forwarded-For: 192.0.2.7,\r\n", "127.0.0.1");
	/* Limits count the client, not the proxy. */
	static const char post[] = "POST /things HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.%d\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}";
	static const struct {
		int client, status;
	} writes[] = {{7, 201}, {7, 429}, {8, 201}, {8, 429}};
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		char request[256];
		struct answer a;
		snprintf(request, sizeof(request), post, writes[i].client);
		query(s, request, &a);
		assert_int_equal(a.status, writes[i].status);
		buf_free(&a.body);
	}
	http_server_stop(s, 1000);
	/* Nobody is trusted: the header is whatever its sender likes. */
	s = open_server(NULL);
	expect_peer(s, "X-Forwarded-For: 192.0.2.7\r\n", "127.0.0.1");
	http_server_stop(s, 1000);
}

static void networks(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "x", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "10.0.0/8", "localhost"};
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const list[] = {bad[i], NULL};
		assert_null(proxies_new(list, &err));
		assert_int_equal(err.code, ERR_CONFIG);
	}
	static const char *const list[] = {"10.0.0.0/9", "2001:db8::/33", "0.0.0.0/32", NULL};
	static const struct {
		const char *text;
		bool trusted;
	} cases[] = {{"10.127.255.255", true}, {"10.128.0.0", false}, {"2001:db8:7fff::1", true}, {"2001:db8:8000::1", false}, {"::1", false}};
	struct proxies *p = proxies_new(list, &err);
	assert_non_null(p);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sockaddr_storage sa;
		struct sockaddr_in v4 = {.sin_family = AF_INET};
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
		memset(&sa, 0, sizeof(sa));
		if (inet_pton(AF_INET, cases[i].text, &v4.sin_addr) == 1) {
			memcpy(&sa, &v4, sizeof(v4));
		} else {
			assert_int_equal(inet_pton(AF_INET6, cases[i].text, &v6.sin6_addr), 1);
			memcpy(&sa, &v6, sizeof(v6));
		}
		assert_int_equal(proxies_trusts(p, (const struct sockaddr *)&sa), cases[i].trusted);
	}
	proxies_free(p);
	proxies_free(NULL);
}

/* ---- streams of one's own ---- */

static struct {
	pthread_mutex_t lock;
	struct sse_stream *stream;
	int opened, gone;
} own = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void own_gone(void *ctx)
{
	(void)ctx;
	pthread_mutex_lock(&own.lock);
	own.stream = NULL;
	own.gone++;
	pthread_mutex_unlock(&own.lock);
}

static struct http_reply *get_own(struct http_request *r)
{
	struct service *sv = http_ctx(r);
	struct sse_stream *st;
	struct http_reply *reply = http_reply_own_events(r, sv->hub, own_gone, NULL, &st);
	pthread_mutex_lock(&own.lock);
	own.stream = st;
	own.opened += st != NULL;
	pthread_mutex_unlock(&own.lock);
	return reply;
}

static const struct http_route own_routes[] = {{.method = HTTP_GET, .path = "/own", .handler = get_own, .errors = no_errors, .answers = event_answers,
						.flags = HTTP_STREAM, .summary = "One's own"}};

/* False: there is no stream any more. */
static bool post(int64_t id, const char *data, bool last)
{
	pthread_mutex_lock(&own.lock);
	bool there = own.stream != NULL;
	if (there)
		sse_stream_post(own.stream, id, str_from(data), last);
	pthread_mutex_unlock(&own.lock);
	return there;
}

static bool gone_reaches(int n)
{
	bool ok = false;
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; !ok && clock_mono_ms() < end;) {
		const struct timespec t = {.tv_nsec = 2000000};
		pthread_mutex_lock(&own.lock);
		ok = own.gone == n;
		pthread_mutex_unlock(&own.lock);
		nanosleep(&t, NULL);
	}
	return ok;
}

static int open_own(const struct http_server *s)
{
	struct answer a;
	int fd = dial(s);
	say(fd, GET("/own"));
	assert_true(hear_head(fd, &a));
	assert_int_equal(a.status, 200);
	return fd;
}

static struct http_server *own_server(int64_t comment_ms, int streams_max)
{
	struct http_options o = fixture_options(&service);
	o.routes = own_routes;
	o.route_count = ARRAY_LEN(own_routes);
	o.stream_comment_ms = comment_ms;
	o.streams_max = streams_max;
	service.hub = sse_hub_new(1);
	own.opened = own.gone = 0;
	return start(&o);
}

static void own_streams(void **state)
{
	(void)state;
	struct http_server *s = own_server(0, 2);
	struct buf text = {0};
	int fd = open_own(s);
	assert_true(post(1, "{\"a\":1}", false));
	assert_true(post(2, "{\"a\":2}", true));
	(void)post(3, "{\"after\":\"the end\"}", false); /* never sent */
	assert_true(hear_chunks(fd, &text));
	assert_string_equal(buf_z(&text), "retry: 2000\n\nid: 1\ndata: {\"a\":1}\n\nid: 2\ndata: {\"a\":2}\n\n");
	buf_free(&text);
	assert_true(gone_reaches(1));
	assert_false(post(4, "{}", false));
	close(fd);
	/* Closed by the client: the next thing to send finds out. */
	fd = open_own(s);
	close(fd);
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; post(1, "{}", false) && clock_mono_ms() < end;)
		;
	assert_true(gone_reaches(2));
	/* One that reads nothing is given up, and costs no more than a bounded heap of text. */
	fd = open_own(s);
	char data[4096];
	memset(data, 'x', sizeof(data) - 1);
	data[sizeof(data) - 1] = '\0';
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; post(1, data, false) && clock_mono_ms() < end;) {
		pthread_mutex_lock(&own.lock);
		pthread_mutex_unlock(&own.lock);
	}
	close(fd);
	assert_true(gone_reaches(3));
	/* Ended without a word more than was posted before. */
	fd = open_own(s);
	assert_true(post(1, "{}", false));
	pthread_mutex_lock(&own.lock);
	if (own.stream)
		sse_stream_end(own.stream);
	pthread_mutex_unlock(&own.lock);
	(void)post(2, "{\"after\":\"the end\"}", false);
	assert_true(hear_chunks(fd, &text));
	assert_string_equal(buf_z(&text), "retry: 2000\n\nid: 1\ndata: {}\n\n");
	buf_free(&text);
	assert_true(gone_reaches(4));
	close(fd);
	http_server_stop(s, 1000);
	sse_hub_free(service.hub);
}

static void own_streams_end_with_the_server(void **state)
{
	(void)state;
	struct http_server *s = own_server(30, 0);
	struct buf text = {0};
	char part[4];
	int fd = open_own(s);
	/* Comments come while nothing is posted. */
	for (int i = 0; i < 60; i++)
		assert_true(next_byte(fd, PATIENCE_MS) >= 0);
	http_server_stop(s, 1000);
	while (recv(fd, part, sizeof(part), 0) > 0)
		buf_put(&text, part, 1);
	buf_free(&text);
	close(fd);
	assert_int_equal(own.gone, 1);
	sse_hub_free(service.hub);
}

static void own_streams_are_capped(void **state)
{
	(void)state;
	struct http_server *s = own_server(0, 1);
	struct answer a;
	int fd = open_own(s), second = dial(s);
	say(second, GET("/own"));
	assert_true(hear(second, &a));
	assert_int_equal(a.status, 503);
	buf_free(&a.body);
	assert_int_equal(own.opened, 1);
	close(fd);
	close(second);
	http_server_stop(s, 1000);
	assert_int_equal(own.gone, 1);
	sse_hub_free(service.hub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins),     cmocka_unit_test(preflights),
		cmocka_unit_test(behind_a_proxy), cmocka_unit_test(networks),
		cmocka_unit_test(own_streams), cmocka_unit_test(own_streams_end_with_the_server),
		cmocka_unit_test(own_streams_are_capped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
