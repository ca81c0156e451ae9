#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/stop.h"
#include "http/client_private.h"
#include "http/sse_parse.h"
#include "json/fields.h"

enum {
	CONNECT_TIMEOUT_MS = 5000,
	TIMEOUT_MS = 30000,
	ANSWER_MAX = 64 * 1024 * 1024,
	EVENT_MAX = 1024 * 1024,      /* bytes of one event */
	STREAM_SILENCE_S = 60         /* servers write a comment every 15 s */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		fatal("libcurl does not start");
}

/* ---- The client ---- */

static bool is_loopback(const char *host)
{
	unsigned char address[4];
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 || (inet_pton(AF_INET, host, address) == 1 && address[0] == 127);
}

static char *url_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	return curl_url_get(u, part, &text, 0) == CURLUE_OK ? text : NULL;
}

/* Only http and https get past this, and redirects are not followed: libcurl speaks nothing else on our behalf. */
static bool check_base_url(struct http_client *c, const char *base_url, struct error *err)
{
	CURLU *u = curl_url();
	bool ok = u && curl_url_set(u, CURLUPART_URL, base_url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
	char *scheme = ok ? url_part(u, CURLUPART_SCHEME) : NULL, *host = ok ? url_part(u, CURLUPART_HOST) : NULL;
	char *user = ok ? url_part(u, CURLUPART_USER) : NULL, *query = ok ? url_part(u, CURLUPART_QUERY) : NULL;
	char *fragment = ok ? url_part(u, CURLUPART_FRAGMENT) : NULL;

	ok = scheme && host && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) && !user && !query && !fragment;
	if (ok)
		c->loopback = is_loopback(host);
	else
		error_set(err, ERR_CONFIG, "%.*s is not a service's URL: http://HOST:PORT or https://HOST:PORT is needed", URL_IN_MESSAGE, base_url);
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_free(query);
	curl_free(fragment);
	curl_url_cleanup(u);
	return ok;
}

struct http_client *http_client_new(const struct http_client_options *o, struct error *err)
{
	pthread_once(&curl_once, start_curl);
	struct http_client *c = xcalloc(1, sizeof *c);
	if (!check_base_url(c, o->base_url, err)) {
		free(c);
		return NULL;
	}
	size_t n = strlen(o->base_url);
	while (n > 0 && o->base_url[n - 1] == '/')
		n--;
	c->base_url = xstrndup(o->base_url, n);
	c->user_agent = xstrdup(o->user_agent ? o->user_agent : "tana");
	c->connect_timeout_ms = (long)(o->connect_timeout_ms > 0 ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS);
	c->timeout_ms = (long)(o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS);
	c->answer_max = o->answer_max > 0 ? o->answer_max : ANSWER_MAX;
	c->curl = curl_easy_init();
	if (!c->curl)
		fatal("libcurl does not start");
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	buf_free(&c->url);
	free(c->base_url);
	free(c->user_agent);
	free(c);
}

/* ---- One exchange ---- */

struct exchange {
	struct http_client *c;
	struct http_answer_in *answer;
	size_t answer_max;
	bool too_large;
	struct str body; /* what is left to send */
	/* Streams only. */
	struct sse_parser *events;
	const volatile int *stop;
};

bool http_client_header_is(struct str line, const char *name, struct str *value)
{
	size_t n = strlen(name);
	if (line.n <= n || strncasecmp(line.p, name, n) != 0 || line.p[n] != ':')
		return false;
	const char *p = line.p + n + 1, *end = line.p + line.n;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*value = str_of(p, (size_t)(end - p));
	return true;
}

void http_client_keep_header(char *out, size_t size, struct str value)
{
	if (value.n >= size || memchr(value.p, 0, value.n))
		return;
	memcpy(out, value.p, value.n);
	out[value.n] = '\0';
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	struct str line = str_of(data, size * n), value;

	if (http_client_header_is(line, "X-Request-Id", &value))
		http_client_keep_header(x->answer->request_id, sizeof x->answer->request_id, value);
	else if (http_client_header_is(line, "ETag", &value))
		http_client_keep_header(x->answer->etag, sizeof x->answer->etag, value);
	return size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;

	if (size * n > x->answer_max - x->answer->body.len) {
		x->too_large = true;
		return 0;
	}
	buf_put(&x->answer->body, data, size * n);
	return size * n;
}

static size_t send_body(char *out, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t now = size * n < x->body.n ? size * n : x->body.n;

	if (now > 0)
		memcpy(out, x->body.p, now);
	x->body = str_of(x->body.p + now, x->body.n - now);
	return now;
}

/* libcurl sends a request again when a kept connection turns out to be dead. For a GET that is what we want; a body that went out may have been
 * acted upon, so it cannot be rewound, and libcurl gives up instead. */
static int refuse_rewind(void *ctx, curl_off_t offset, int origin)
{
	(void)ctx;
	(void)offset;
	(void)origin;
	return CURL_SEEKFUNC_FAIL;
}

static void set_method(struct exchange *x, const char *method, struct str body)
{
	CURL *h = x->c->curl;

	if (str_present(body)) {
		x->body = body;
		curl_easy_setopt(h, CURLOPT_POST, 1L);
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
		curl_easy_setopt(h, CURLOPT_READFUNCTION, send_body);
		curl_easy_setopt(h, CURLOPT_READDATA, x);
		curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, refuse_rewind);
		curl_easy_setopt(h, CURLOPT_SEEKDATA, x);
	} else if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
		return;
	} else if (strcmp(method, "GET") == 0) {
		curl_easy_setopt(h, CURLOPT_HTTPGET, 1L);
		return;
	} else {
		curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, 1L); /* nothing to rewind, so a new connection keeps libcurl from repeating it */
		if (strcmp(method, "POST") == 0) {
			curl_easy_setopt(h, CURLOPT_POST, 1L);
			curl_easy_setopt(h, CURLOPT_POSTFIELDS, "");
			curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
		}
	}
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

/* curl_easy_reset forgets options and keeps connections. */
void http_client_prepare(struct http_client *c, const char *path)
{
	invariant(path[0] == '/');
	buf_clear(&c->url);
	buf_puts(&c->url, c->base_url);
	buf_puts(&c->url, path);
	curl_easy_reset(c->curl);
	c->reason[0] = '\0';
	curl_easy_setopt(c->curl, CURLOPT_URL, buf_z(&c->url));
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, c->user_agent);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->reason);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT_MS, c->connect_timeout_ms);
	if (c->loopback) /* whatever http_proxy says: a proxy's loopback is not ours */
		curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
}

static void prepare(struct exchange *x, const char *path)
{
	http_client_prepare(x->c, path);
	curl_easy_setopt(x->c->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(x->c->curl, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(x->c->curl, CURLOPT_WRITEDATA, x);
}

bool http_client_failed(struct http_client *c, CURLcode code, struct error *err)
{
	const char *reason = c->reason[0] ? c->reason : curl_easy_strerror(code);
	const char *url = buf_z(&c->url);

	if (code == CURLE_OPERATION_TIMEDOUT)
		return error_set(err, ERR_TIMED_OUT, "no answer from %.*s in time: %s", URL_IN_MESSAGE, url, reason);
	if (code == CURLE_SEND_FAIL_REWIND)
		return error_set(err, ERR_UNREACHABLE, "the connection to %.*s broke; whether the request was carried out is not known", URL_IN_MESSAGE, url);
	return error_set(err, ERR_UNREACHABLE, "cannot reach %.*s: %s", URL_IN_MESSAGE, url, reason);
}

void http_client_add_header(struct curl_slist **headers, const char *line)
{
	struct curl_slist *more = curl_slist_append(*headers, line);
	if (!more)
		fatal("out of memory");
	*headers = more;
}

bool http_call(struct http_client *c, const char *method, const char *path, struct str body, struct http_answer_in *out, struct error *err)
{
	struct exchange x = {.c = c, .answer = out, .answer_max = c->answer_max};
	struct curl_slist *headers = NULL;
	long status = 0;

	*out = (struct http_answer_in){.length = -1};
	prepare(&x, path);
	set_method(&x, method, body);
	http_client_add_header(&headers, "Accept: application/json, */*;q=0.5");
	if (str_present(body)) {
		http_client_add_header(&headers, "Content-Type: application/json");
		http_client_add_header(&headers, "Expect:"); /* waiting for a 100 costs more than our bodies do */
	}
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT_MS, c->timeout_ms);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	CURLcode code = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	out->status = (int)status;
	if (code == CURLE_OK)
		return true;
	http_answer_free(out);
	if (x.too_large)
		return error_set(err, ERR_TOO_LARGE, "the answer of %.*s is larger than %zu bytes", URL_IN_MESSAGE, buf_z(&c->url), c->answer_max);
	return http_client_failed(c, code, err);
}

void http_answer_free(struct http_answer_in *a)
{
	buf_free(&a->body);
}

/* ---- Refusals ---- */

struct error_document {
	struct str error, code, hint;
};
static const struct json_field error_rows[] = {
	F_TEXT(struct error_document, error, "error", JSON_REQUIRED, 0, "What went wrong, for people."),
	F_TEXT(struct error_document, code, "code", JSON_REQUIRED, 64, "What went wrong, for programs."),
	F_TEXT(struct error_document, hint, "hint", 0, 0, "What to do about it."),
};
static JSON_MESSAGE(error_message, "Error", struct error_document, error_rows);

bool http_answer_error(const struct http_answer_in *a, struct error *err)
{
	struct error_document doc;
	struct error ignored;
	struct arena arena;

	arena_init(&arena);
	if (json_read_text(buf_str(&a->body), &error_message, &doc, &arena, &ignored)) {
		enum error_code code = ERR_BAD_ANSWER;
		if (!error_code_from_text(doc.code.p, &code)) /* a newer server's: its words still help */
			code = ERR_BAD_ANSWER;
		error_set(err, code, "%.*s", STR_ARG(doc.error));
		if (str_present(doc.hint))
			error_hint(err, "%.*s", STR_ARG(doc.hint));
	} else {
		error_set(err, ERR_BAD_ANSWER, "the server answered with status %d and no error document", a->status);
	}
	arena_free(&arena);
	return false;
}

/* ---- Event streams ---- */

static bool is_event_stream(CURL *h)
{
	long status = 0;
	const char *type = NULL;

	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type);
	return status == 200 && type && strncasecmp(type, "text/event-stream", strlen("text/event-stream")) == 0;
}

static size_t on_stream(char *data, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;

	if (!is_event_stream(x->c->curl))
		return on_body(data, size, n, ctx);
	return sse_parser_feed(x->events, data, size * n) == SSE_READING ? size * n : 0;
}

/* libcurl asks about once a second, and whenever something moves. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct exchange *x = ctx;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return stop_asked(x->stop);
}

static bool stream_result(struct exchange *x, CURLcode code, struct error *err)
{
	struct http_client *c = x->c;

	if (stop_asked(x->stop) || x->events->state == SSE_STOPPED)
		return true;
	if (x->too_large || x->events->state == SSE_TOO_LARGE)
		return error_set(err, ERR_TOO_LARGE, "%.*s sends more than an event can hold", URL_IN_MESSAGE, buf_z(&c->url));
	if (code != CURLE_OK)
		return http_client_failed(c, code, err);
	if (is_event_stream(c->curl))
		return true;
	if (x->answer->status >= 400)
		return http_answer_error(x->answer, err);
	return error_set(err, ERR_BAD_ANSWER, "%.*s does not answer with an event stream", URL_IN_MESSAGE, buf_z(&c->url));
}

bool http_events(struct http_client *c, const char *path, int64_t last_id, http_event_fn *each, void *ctx, const volatile int *stop, struct error *err)
{
	struct http_answer_in answer = {0};
	struct sse_parser events;
	struct exchange x = {.c = c, .answer = &answer, .answer_max = REFUSAL_MAX, .events = &events, .stop = stop};
	struct curl_slist *headers = NULL;
	char resume[48];
	long status = 0;

	sse_parser_init(&events, EVENT_MAX, last_id, each, ctx);
	prepare(&x, path);
	http_client_add_header(&headers, "Accept: text/event-stream");
	if (last_id >= 0) {
		snprintf(resume, sizeof resume, "Last-Event-ID: %lld", (long long)last_id);
		http_client_add_header(&headers, resume);
	}
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_stream);
	curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, &x);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, (long)STREAM_SILENCE_S);
	CURLcode code = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	answer.status = (int)status;
	bool ok = stream_result(&x, code, err);
	sse_parser_free(&events);
	http_answer_free(&answer);
	return ok;
}

void http_encode(struct buf *out, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
		if (unreserved) {
			buf_putc(out, (char)c);
		} else {
			buf_putc(out, '%');
			buf_putc(out, digits[c >> 4]);
			buf_putc(out, digits[c & 15]);
		}
	}
}
