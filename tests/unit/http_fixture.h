/* A small server in the test's own process, and a client that says exactly the bytes it is told to. */
#ifndef TANA_TESTS_HTTP_FIXTURE_H
#define TANA_TESTS_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/server.h"

enum { PATIENCE_MS = 10000, THING_BODY_MAX = 1000 };

/* ---- routes ---- */

struct thing {
	struct str name;
};
static const struct json_field thing_fields[] = {F_TEXT(struct thing, name, "name", JSON_REQUIRED, 64, "what it is called")};
static JSON_MESSAGE(thing_message, "Thing", struct thing, thing_fields);

static inline struct http_reply *get_thing(struct http_request *r)
{
	struct thing t = {.name = http_path_arg(r, 0)};
	return http_reply_json(r, 200, &thing_message, &t);
}

static inline struct http_reply *post_thing(struct http_request *r)
{
	struct thing t;
	struct http_reply *refusal;
	if (!http_read_body(r, &thing_message, &t, &refusal))
		return refusal;
	return http_reply_json(r, 201, &thing_message, &t);
}

static inline struct http_reply *put_bytes(struct http_request *r)
{
	struct buf body = {0};
	buf_put_int(&body, (int64_t)http_body(r).n);
	return http_reply_bytes(r, 200, "text/plain", &body);
}

static inline struct http_reply *get_query(struct http_request *r)
{
	int64_t limit;
	struct str status;
	struct buf body = {0};
	if (!http_query_int(r, "limit", 100, &limit))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "limit");
	buf_printf(&body, "limit=%lld", (long long)limit);
	for (size_t i = 0; str_present(status = http_query_text(r, "status", i)); i++)
		buf_printf(&body, " status=%.*s", STR_ARG(status));
	return http_reply_bytes(r, 200, "text/plain", &body);
}

/* What OAuth's ways of reading come to: of a query and of a form. */
static inline struct http_reply *get_lenient(struct http_request *r)
{
	struct buf body = {0};
	struct str state = http_query_text(r, "state", 0);
	buf_printf(&body, "state=%s%.*s", str_present(state) ? "" : "none", STR_ARG(state));
	return http_reply_bytes(r, 200, "text/plain", &body);
}

static inline struct http_reply *post_form(struct http_request *r)
{
	struct buf body = {0};
	struct str code = http_form_text(r, "code"), grant = http_form_text(r, "grant_type");
	if (str_is(grant, "refuse"))
		return http_reply_error_code(r, ERR_INVALID_GRANT, "no such code");
	if (str_is(grant, "away"))
		return http_reply_error_code(r, ERR_UNAVAILABLE, "the database is away");
	buf_printf(&body, "grant=%.*s code=%s%.*s", STR_ARG(grant), str_present(code) ? "" : "none", STR_ARG(code));
	return http_reply_bytes(r, 200, "text/plain", &body);
}

static inline struct http_reply *get_boom(struct http_request *r)
{
	return http_reply_error_code(r, ERR_IO, "the secret path /etc/shadow");
}

static inline struct http_reply *get_tagged(struct http_request *r)
{
	struct buf body = {0};
	buf_puts(&body, "tagged");
	return http_reply_etag(r, http_reply_header(http_reply_bytes(r, 200, "text/plain", &body), "Cache-Control", "no-cache"), "v1");
}

static inline bool ten_pieces(void *ctx, struct buf *out, bool *failed)
{
	int *n = ctx;
	buf_printf(out, "piece %d;", *n);
	*failed = false;
	return ++*n < 10;
}

static inline struct http_reply *get_stream(struct http_request *r)
{
	int *n = arena_zalloc(http_arena(r), 1, sizeof(*n));
	return http_reply_stream(r, 200, "text/plain", ten_pieces, NULL, n);
}

static inline bool then_fails(void *ctx, struct buf *out, bool *failed)
{
	int *n = ctx;
	buf_puts(out, "half");
	*failed = (*n)++ > 0;
	return true;
}

static _Atomic int streams_ended;
static inline void stream_ended(void *ctx)
{
	(void)ctx;
	streams_ended++;
}

static inline struct http_reply *get_broken(struct http_request *r)
{
	int *n = arena_zalloc(http_arena(r), 1, sizeof(*n));
	return http_reply_stream(r, 200, "text/plain", then_fails, stream_ended, n);
}

static inline struct http_reply *get_file(struct http_request *r)
{
	FILE *f = tmpfile();
	assert_non_null(f);
	fputs("skipped file contents", f);
	fflush(f);
	int fd = dup(fileno(f));
	fclose(f);
	lseek(fd, 8, SEEK_SET);
	return http_reply_file(r, 200, "application/octet-stream", fd, 13);
}

static inline struct http_reply *get_whoami(struct http_request *r)
{
	struct buf body = {0};
	struct str agent = http_header(r, "user-agent");
	buf_printf(&body, "%s %s %s %.*s", http_peer(r), http_from_loopback(r) ? "loopback" : "far", http_request_id(r),
		   STR_ARG(agent));
	return http_reply_bytes(r, 200, "text/plain", &body);
}

static inline struct http_reply *get_slow(struct http_request *r)
{
	const struct timespec t = {.tv_nsec = 300000000};
	nanosleep(&t, NULL);
	return http_reply_empty(r, 204);
}

/* Two replies made, one returned; the other's bytes must neither leak nor be mixed in. */
static inline struct http_reply *get_changed_mind(struct http_request *r)
{
	struct thing first = {.name = STR_LIT("first")}, second = {.name = STR_LIT("second")};
	struct buf unused = {0};
	struct http_reply *chosen = http_reply_json(r, 200, &thing_message, &first);
	(void)http_reply_json(r, 200, &thing_message, &second);
	buf_puts(&unused, "unused");
	(void)http_reply_bytes(r, 200, NULL, &unused);
	return chosen;
}

/* ---- deferred: answered by whoever calls finish_waiting() ---- */

static struct {
	pthread_mutex_t lock;
	struct http_request *waiting[4096];
	size_t count;
} deferred = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline struct http_reply *post_later(struct http_request *r)
{
	struct http_reply *reply = http_reply_later(r);
	pthread_mutex_lock(&deferred.lock);
	assert_true(deferred.count < ARRAY_LEN(deferred.waiting));
	deferred.waiting[deferred.count++] = r;
	pthread_mutex_unlock(&deferred.lock);
	return reply;
}

/* Finishes what waits; returns how many. */
static inline size_t finish_waiting(void)
{
	static struct http_request *batch[ARRAY_LEN(deferred.waiting)];
	pthread_mutex_lock(&deferred.lock);
	size_t n = deferred.count;
	memcpy(batch, deferred.waiting, n * sizeof(batch[0]));
	deferred.count = 0;
	pthread_mutex_unlock(&deferred.lock);
	for (size_t i = 0; i < n; i++) {
		struct str body = http_body(batch[i]);
		struct buf copy = {0};
		buf_put_str(&copy, body);
		http_finish(batch[i], http_reply_bytes(batch[i], 200, "text/plain", &copy));
	}
	return n;
}

static inline size_t waiting_now(void)
{
	pthread_mutex_lock(&deferred.lock);
	size_t n = deferred.count;
	pthread_mutex_unlock(&deferred.lock);
	return n;
}

/* ---- events ---- */

struct service {
	struct sse_hub *hub;
	sse_backfill_fn *backfill;
	bool ready;
};

static inline struct http_reply *get_events(struct http_request *r)
{
	struct service *service = http_ctx(r);
	struct str last = http_header(r, "Last-Event-ID");
	int64_t last_id = -1;
	if (str_present(last) && !str_to_int64(last, &last_id))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "Last-Event-ID must be an integer");
	return http_reply_events(r, service->hub, last_id, service->backfill, service);
}

static const struct http_param query_params[] = {
	{.name = "status", .type = PARAM_TEXT, .min = 1, .max = 16, .repeatable = true, .doc = "which"},
	{.name = "limit", .type = PARAM_INT, .min = 1, .max = 1000, .doc = "how many"},
	{.name = NULL}};
static const struct http_answer thing_answers[] = {{200, &thing_message, NULL, "the thing"}, {0}};
static const struct http_answer created_answers[] = {
	{201, &thing_message, NULL, "the thing was made"}, {200, &thing_message, NULL, "it was there"}, {0}};
static const struct http_answer text_answers[] = {{200, NULL, "text/plain", "a text"}, {0}};
static const struct http_answer event_answers[] = {{200, NULL, "text/event-stream", "events"}, {0}};
static const enum error_code thing_errors[] = {ERR_UNKNOWN_NODE, ERR_NOT_FOUND, ERR_COUNT};
static const enum error_code no_errors[] = {ERR_COUNT};

static const struct http_param lenient_params[] = {{.name = "state", .type = PARAM_TEXT, .min = 1, .max = 16, .doc = "state"}, {.name = NULL}};
static const struct http_param form_fields[] = {
	{.name = "grant_type", .type = PARAM_TEXT, .min = 1, .max = 16, .doc = "what is asked"},
	{.name = "code", .type = PARAM_TEXT, .min = 2, .max = 16, .doc = "the code"},
	{.name = NULL}};

#define ROUTE(m, p, fn) \
	{ \
		.method = (m), .path = (p), .handler = (fn), .errors = no_errors, .answers = text_answers, .summary = "Does " p \
	}
static const struct http_route fixture_routes[] = {
	{.method = HTTP_GET,
	 .path = "/things/:id",
	 .handler = get_thing,
	 .answers = thing_answers,
	 .errors = thing_errors,
	 .summary = "One thing",
	 .doc = "All of | it."},
	{.method = HTTP_POST,
	 .path = "/things",
	 .handler = post_thing,
	 .access = ACCESS_NODE_SIGNED,
	 .flags = HTTP_WRITE,
	 .body_max = THING_BODY_MAX,
	 .body = &thing_message,
	 .answers = created_answers,
	 .errors = thing_errors,
	 .summary = "A new thing"},
	{.method = HTTP_PUT,
	 .path = "/bytes",
	 .handler = put_bytes,
	 .body_max = 1 << 20,
	 .answers = text_answers,
	 .errors = no_errors,
	 .summary = "Bytes"},
	{.method = HTTP_GET,
	 .path = "/query",
	 .handler = get_query,
	 .params = query_params,
	 .answers = text_answers,
	 .errors = no_errors,
	 .summary = "A query"},
	{.method = HTTP_GET,
	 .path = "/lenient",
	 .handler = get_lenient,
	 .flags = HTTP_OAUTH,
	 .params = lenient_params,
	 .answers = text_answers,
	 .errors = no_errors,
	 .summary = "A query of OAuth"},
	{.method = HTTP_POST,
	 .path = "/form",
	 .handler = post_form,
	 .access = ACCESS_CLIENT,
	 .flags = HTTP_OAUTH,
	 .body_max = 300,
	 .form = form_fields,
	 .answers = text_answers,
	 .errors = no_errors,
	 .summary = "A form"},
	ROUTE(HTTP_GET, "/boom", get_boom),
	ROUTE(HTTP_GET, "/tagged", get_tagged),
	ROUTE(HTTP_GET, "/stream", get_stream),
	ROUTE(HTTP_GET, "/broken", get_broken),
	ROUTE(HTTP_GET, "/file", get_file),
	ROUTE(HTTP_GET, "/whoami", get_whoami),
	ROUTE(HTTP_GET, "/changed-mind", get_changed_mind),
	ROUTE(HTTP_GET, "/slow", get_slow),
	{.method = HTTP_POST,
	 .path = "/later",
	 .handler = post_later,
	 .body_max = 65536,
	 .answers = text_answers,
	 .errors = no_errors,
	 .summary = "Later"},
	{.method = HTTP_GET,
	 .path = "/events",
	 .handler = get_events,
	 .flags = HTTP_STREAM,
	 .answers = event_answers,
	 .errors = no_errors,
	 .summary = "Events"},
};

static inline bool fixture_ready(void *ctx, struct error *err)
{
	const struct service *service = ctx;
	return service->ready || error_set(err, ERR_IO, "the database does not answer");
}

static inline void fixture_fields(void *ctx, struct buf *out)
{
	(void)ctx;
	buf_puts(out, ",\"own\":1");
}

static inline struct http_options fixture_options(struct service *service)
{
	return (struct http_options){.service = "test",
				     .version = "1.2.3",
				     .commit = "abc",
				     .listen = "127.0.0.1:0",
				     .workers = 2,
				     .rate_exempt_loopback = true,
				     .routes = fixture_routes,
				     .route_count = ARRAY_LEN(fixture_routes),
				     .ctx = service,
				     .ready = fixture_ready,
				     .health = fixture_fields,
				     .info = fixture_fields};
}

static inline struct http_server *start(const struct http_options *o)
{
	struct error err = {0};
	struct http_server *s = http_server_start(o, &err);
	if (!s)
		fail_msg("the server did not start: %s", err.message);
	return s;
}

/* ---- client ---- */

static inline int dial(const struct http_server *s)
{
	const char *address = http_server_address(s);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1))};
	const int on = 1;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	return fd;
}

static inline void say_n(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
		assert_true(sent > 0);
		text += sent;
		n -= (size_t)sent;
	}
}

static inline void say(int fd, const char *text)
{
	say_n(fd, text, strlen(text));
}

/* One byte, waiting at most ms; -1: the peer closed, -2: nothing came. */
static inline int next_byte(int fd, int64_t ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	unsigned char c;
	if (poll(&p, 1, (int)ms) <= 0)
		return -2;
	return recv(fd, &c, 1, 0) == 1 ? c : -1;
}

struct answer {
	int status;
	char head[4096]; /* status line and headers, NUL-terminated */
	struct buf body;
};

/* The header's value in `out`; NULL when there is none. Values are short. */
static inline const char *header(const struct answer *a, const char *name, char out[512])
{
	char key[64];
	snprintf(key, sizeof(key), "\r\n%s: ", name);
	const char *p = strcasestr(a->head, key);
	if (!p)
		return NULL;
	p += strlen(key);
	snprintf(out, 512, "%.*s", (int)strcspn(p, "\r"), p);
	return out;
}

static inline bool hear_head(int fd, struct answer *a)
{
	size_t n = 0;
	*a = (struct answer){0};
	while (n + 1 < sizeof(a->head) && !strstr(a->head, "\r\n\r\n")) {
		int c = next_byte(fd, PATIENCE_MS);
		if (c < 0)
			return false;
		a->head[n++] = (char)c;
	}
	return sscanf(a->head, "HTTP/1.1 %d", &a->status) == 1;
}

static inline bool hear_n(int fd, struct buf *out, size_t n)
{
	char part[16384];
	while (n > 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got = poll(&p, 1, PATIENCE_MS) > 0 ? recv(fd, part, n < sizeof(part) ? n : sizeof(part), 0) : 0;
		if (got <= 0)
			return false;
		buf_put(out, part, (size_t)got);
		n -= (size_t)got;
	}
	return true;
}

static inline bool hear_chunks(int fd, struct buf *out)
{
	for (;;) {
		char line[32] = "";
		size_t n = 0;
		for (int c; n + 1 < sizeof(line) && (n < 2 || line[n - 1] != '\n'); line[n++] = (char)c)
			if ((c = next_byte(fd, PATIENCE_MS)) < 0)
				return false;
		size_t len = strtoul(line, NULL, 16);
		struct buf end = {0};
		bool ok = hear_n(fd, out, len) && hear_n(fd, &end, 2);
		buf_free(&end);
		if (!ok || len == 0)
			return ok;
	}
}

/* One whole answer; false when the connection ended before. Free a->body. */
static inline bool hear(int fd, struct answer *a)
{
	char value[512];
	if (!hear_head(fd, a))
		return false;
	if (header(a, "Transfer-Encoding", value))
		return hear_chunks(fd, &a->body);
	return !header(a, "Content-Length", value) || hear_n(fd, &a->body, strtoul(value, NULL, 10));
}

static inline void expect_closed(int fd)
{
	assert_int_equal(next_byte(fd, PATIENCE_MS), -1);
	close(fd);
}

/* Hears an answer and checks its status and, unless NULL, a part of its body. */
static inline void expect(int fd, int status, const char *part)
{
	struct answer a;
	assert_true(hear(fd, &a));
	if (a.status != status || (part && !strstr(buf_z(&a.body), part)))
		fail_msg("expected %d with %s, got:\n%s%s", status, part ? part : "anything", a.head, buf_z(&a.body));
	char value[512];
	assert_non_null(header(&a, "X-Request-Id", value));
	buf_free(&a.body);
}

/* A request of its own connection, which is closed. */
static inline void ask(const struct http_server *s, const char *request, int status, const char *part)
{
	int fd = dial(s);
	say(fd, request);
	expect(fd, status, part);
	close(fd);
}

static inline void nap(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

static inline int64_t since(int64_t begin_ms)
{
	return clock_mono_ms() - begin_ms;
}

/* Waits until `is` says so. */
#define wait_until(is) \
	do { \
		int64_t wait_begin_ms = clock_mono_ms(); \
		while (!(is)) { \
			assert_true(since(wait_begin_ms) < PATIENCE_MS); \
			nap(2); \
		} \
	} while (0)

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define POST(path, headers, body) "POST " path " HTTP/1.1\r\nHost: x\r\n" headers "\r\n" body

#endif
