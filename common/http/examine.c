/* What a request's header says, before its body: framing, target, route, limits. The first refusal that applies is the answer. */
#include "examine.h"

#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"

/* ---- headers ---- */

static bool header_is(const char *key, size_t n, const char *name)
{
	return n == strlen(name) && strncasecmp(key, name, n) == 0;
}

static enum MHD_Result gather(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_len, const char *value, size_t value_len)
{
	(void)kind;
	struct request_headers *h = cls;
	struct str v = str_of(value ? value : "", value ? value_len : 0);
	h->odd_name |= memchr(key, ' ', key_len) || memchr(key, '\t', key_len);
	switch (key_len) { /* so that most headers cost no comparison */
	case 4:
		h->hosts += header_is(key, key_len, "Host");
		break;
	case 6:
		if (header_is(key, key_len, "Expect"))
			h->expect = v;
		else if (header_is(key, key_len, "Origin"))
			h->origin = v;
		break;
	case 12:
		if (header_is(key, key_len, "Content-Type"))
			h->content_type = v;
		else if (header_is(key, key_len, "X-Request-Id"))
			h->request_id = v;
		break;
	case 15:
		if (header_is(key, key_len, "X-Forwarded-For"))
			h->forwarded_for = v; /* of several: the last, which the nearest proxy wrote */
		break;
	case 14:
		if (header_is(key, key_len, "Content-Length")) {
			h->lengths_differ |= str_present(h->content_length) && !str_equal(h->content_length, v);
			h->content_length = v;
		}
		break;
	case 17:
		if (header_is(key, key_len, "Transfer-Encoding")) {
			/* Several such headers are one list; anything but a single "chunked" is refused below. */
			bool again = str_present(h->transfer_encoding);
			h->transfer_encoding = again ? STR_LIT("several") : v;
		}
		break;
	}
	return MHD_YES;
}

static bool id_is_good(struct str id)
{
	if (!str_present(id) || id.n == 0 || id.n > HTTP_ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

void request_make_id(struct http_server *s, char id[HTTP_ID_SIZE])
{
	uint64_t n = atomic_fetch_add_explicit(&s->next_id, 1, memory_order_relaxed);
	char digits[16];
	size_t used = 0, at = strlen(s->id_prefix);
	do
		digits[used++] = "0123456789abcdef"[n & 15];
	while (n >>= 4);
	memcpy(id, s->id_prefix, at);
	while (used > 0)
		id[at++] = digits[--used];
	id[at] = '\0';
}

/* The client's own id when it is harmless, otherwise one of ours. */
static void choose_id(struct http_request *r)
{
	struct str theirs = r->headers.request_id;
	if (!id_is_good(theirs)) {
		request_make_id(r->server, r->id);
		return;
	}
	memcpy(r->id, theirs.p, theirs.n);
	r->id[theirs.n] = '\0';
}

/* ---- framing ---- */

/* libmicrohttpd takes the first of several lengths and lets Transfer-Encoding win over a length. Between a proxy and a server that
 * decide otherwise that is request smuggling, so such a connection is not read any further (RFC 9112 6.3). */
static struct http_reply *check_framing(struct http_request *r)
{
	const struct request_headers *h = &r->headers;
	if (h->odd_name) /* "Content-Length : 5": others may take it for the header it looks like */
		return http_reply_error_code(r, ERR_MALFORMED_REQUEST, "a header's name contains a blank");
	if (h->lengths_differ)
		return http_reply_error_code(r, ERR_MALFORMED_REQUEST, "two different Content-Length headers");
	if (!str_present(h->transfer_encoding))
		return NULL;
	if (str_present(h->content_length))
		return http_reply_error_code(r, ERR_MALFORMED_REQUEST, "Content-Length beside Transfer-Encoding");
	if (h->transfer_encoding.n != 7 || strncasecmp(h->transfer_encoding.p, "chunked", 7) != 0)
		return http_reply_error_code(r, ERR_MALFORMED_REQUEST, "the only Transfer-Encoding understood is \"chunked\"");
	return NULL;
}

static uint64_t announced_length(struct str digits)
{
	uint64_t n = 0; /* libmicrohttpd has refused what is no 64-bit number */
	for (size_t i = 0; i < digits.n; i++)
		n = n * 10 + (uint64_t)(digits.p[i] - '0');
	return n;
}

/* ---- route ---- */

static int method_index(const char *method)
{
	static const struct {
		const char *text;
		enum http_method method;
	} known[] = {{"GET", HTTP_GET}, {"HEAD", HTTP_GET}, {"POST", HTTP_POST}, {"PUT", HTTP_PUT}, {"DELETE", HTTP_DELETE}};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].text, method) == 0)
			return (int)known[i].method;
	return -1;
}

static void put_methods(struct buf *list, unsigned allowed)
{
	for (int m = HTTP_GET; m <= HTTP_DELETE; m++)
		if (allowed & 1U << m)
			buf_printf(list, "%s%s%s", list->len ? ", " : "", http_method_text((enum http_method)m), m == HTTP_GET ? ", HEAD" : "");
}

static struct http_reply *refuse_method(struct http_request *r, unsigned allowed)
{
	struct buf list = {0};
	put_methods(&list, allowed);
	struct http_reply *reply = http_reply_error_code(r, ERR_METHOD_NOT_ALLOWED, "this path takes %s only", buf_z(&list));
	reply = http_reply_header(reply, "Allow", buf_z(&list));
	buf_free(&list);
	return reply;
}

/* A browser asks first whether a page of another origin may call (the Fetch standard's CORS preflight). */
static bool is_preflight(const struct http_request *r)
{
	return strcmp(r->method, "OPTIONS") == 0 && cors_allows(r->server, r->headers.origin) &&
	       MHD_lookup_connection_value(r->connection->mhd, MHD_HEADER_KIND, "Access-Control-Request-Method");
}

static struct http_reply *answer_preflight(struct http_request *r, unsigned allowed)
{
	struct buf list = {0};
	put_methods(&list, allowed);
	struct http_reply *reply = http_reply_header(http_reply_empty(r, 204), "Access-Control-Allow-Methods", buf_z(&list));
	buf_free(&list);
	if (r->server->o.cors_headers)
		reply = http_reply_header(reply, "Access-Control-Allow-Headers", r->server->o.cors_headers);
	return http_reply_header(reply, "Access-Control-Max-Age", "600");
}

static struct http_reply *find_route(struct http_request *r)
{
	struct router_match match = {.verdict = ROUTER_NO_PATH};
	if (r->uri.matchable)
		router_find(r->server->router, method_index(r->method), r->uri.segments, r->uri.segment_count, &match);
	switch (match.verdict) {
	case ROUTER_FOUND:
		r->route_index = match.index;
		r->route = r->server->routes[match.index];
		r->arg_count = match.arg_count;
		memcpy(r->args, match.args, match.arg_count * sizeof(match.args[0]));
		return NULL;
	case ROUTER_NO_METHOD:
		if (is_preflight(r))
			return answer_preflight(r, match.allowed);
		return refuse_method(r, match.allowed);
	case ROUTER_NO_PATH:
		break;
	}
	return http_reply_error_code(r, ERR_NOT_FOUND, "there is nothing at this path");
}

static struct http_reply *check_draining(struct http_request *r)
{
	if (!atomic_load_explicit(&r->server->draining, memory_order_relaxed) || (r->route->flags & HTTP_NOT_READY_OK))
		return NULL;
	return http_reply_error_code(r, ERR_SHUTTING_DOWN, "the service is shutting down");
}

static struct http_reply *check_rate(struct http_request *r)
{
	struct http_server *s = r->server;
	int wait_s;
	if (!(r->route->flags & HTTP_WRITE) || (s->o.rate_exempt_loopback && r->loopback) ||
	    ratelimit_take(s->writes, r->address, r->started_ns, &wait_s))
		return NULL;
	atomic_fetch_add_explicit(&s->rate_limited, 1, memory_order_relaxed);
	char seconds[16];
	(void)snprintf(seconds, sizeof(seconds), "%d", wait_s);
	struct http_reply *reply = http_reply_error_code(r, ERR_RATE_LIMITED, "too many writes from this address");
	return http_reply_header(reply, "Retry-After", seconds);
}

/* ---- body ---- */

static struct str trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_of(s.p + 1, s.n - 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool same_text(struct str s, const char *z)
{
	return s.n == strlen(z) && strncasecmp(s.p, z, s.n) == 0;
}

/* The type asked for, with no other parameter than charset=utf-8. */
static bool is_type(struct str type, const char *wanted)
{
	const char *semicolon = memchr(type.p, ';', type.n);
	size_t n = semicolon ? (size_t)(semicolon - type.p) : type.n;
	if (!same_text(trim(str_of(type.p, n)), wanted))
		return false;
	if (!semicolon)
		return true;
	struct str parameter = trim(str_of(semicolon + 1, type.n - n - 1));
	return parameter.n == 0 || same_text(parameter, "charset=utf-8") || same_text(parameter, "charset=\"utf-8\"");
}

static const char form_type[] = "application/x-www-form-urlencoded";

static struct http_reply *check_body(struct http_request *r)
{
	const struct request_headers *h = &r->headers;
	bool chunked = str_present(h->transfer_encoding);
	bool has_body = chunked || r->body_announced > 0;
	if (r->route->body_max == 0 && !r->route->upload)
		return has_body ? http_reply_error_code(r, ERR_UNEXPECTED_BODY, "this request takes no body") : NULL;
	if (!chunked && !str_present(h->content_length) && !(r->route->flags & HTTP_BODY_OPTIONAL))
		return http_reply_error_code(r, ERR_LENGTH_REQUIRED, "a Content-Length is needed");
	if (r->route->body && str_present(h->content_type) && !is_type(h->content_type, "application/json"))
		return http_reply_error_code(r, ERR_UNSUPPORTED_MEDIA_TYPE, "the body must be application/json in UTF-8");
	if (r->route->form && has_body && !(str_present(h->content_type) && is_type(h->content_type, form_type)))
		return http_reply_error_code(r, ERR_UNSUPPORTED_MEDIA_TYPE, "the body must be %s in UTF-8", form_type);
	if (r->body_announced > request_body_max(r))
		return http_reply_error_code(r, ERR_TOO_LARGE, "the body is larger than %zu bytes", r->route->body_max);
	return NULL;
}

static struct http_reply *check_expect(struct http_request *r)
{
	if (!str_present(r->headers.expect) || same_text(r->headers.expect, "100-continue"))
		return NULL;
	return http_reply_error_code(r, ERR_EXPECTATION_FAILED, "the only expectation understood is \"100-continue\"");
}

/* ---- query and form ---- */

/* At most 64 bytes of a text from outside, for a message; no character is cut in two. */
static struct str excerpt(struct str s)
{
	size_t n = s.n < 64 ? s.n : 64;
	while (n > 0 && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return str_of(s.p, n);
}

static bool unknown_param(const struct http_request *r, struct str name, struct error *err)
{
	struct buf known = {0};
	for (const struct http_param *p = r->route->params; p && p->name; p++)
		buf_printf(&known, "%s%s", known.len ? ", " : "", p->name);
	error_set(err, ERR_MALFORMED_PARAMETER, "there is no query parameter \"%.*s\" here", STR_ARG(excerpt(name)));
	error_hint(err, known.len ? "known: %s" : "this path takes no query parameters%s", buf_z(&known));
	buf_free(&known);
	return false;
}

static bool check_value(const struct http_param *p, struct str value, struct error *err)
{
	bool limited = p->min != 0 || p->max != 0;
	int64_t n = (int64_t)value.n;
	switch (p->type) {
	case PARAM_INT:
		if (!str_to_int64(value, &n))
			return error_set(err, ERR_MALFORMED_PARAMETER, "%s must be an integer", p->name);
		if (limited && (n < p->min || n > p->max))
			return error_set(err, ERR_MALFORMED_PARAMETER, "%s must be from %lld to %lld", p->name, (long long)p->min,
					 (long long)p->max);
		return true;
	case PARAM_TEXT:
		if (limited && (n < p->min || n > p->max))
			return error_set(err, ERR_MALFORMED_PARAMETER, "%s must have from %lld to %lld bytes", p->name,
					 (long long)p->min, (long long)p->max);
		return true;
	}
	fatal("no such parameter type: %d", (int)p->type);
}

static bool check_param(const struct http_request *r, const struct uri_param *given, size_t i, const struct http_param *p, bool tolerant,
			struct error *err)
{
	while (p && p->name && !str_is(given[i].name, p->name))
		p++;
	if (!p || !p->name)
		return tolerant || unknown_param(r, given[i].name, err);
	for (size_t before = 0; before < i && !p->repeatable; before++)
		if (str_equal(given[before].name, given[i].name))
			return error_set(err, ERR_MALFORMED_PARAMETER, "%s is given twice", p->name);
	return (tolerant && given[i].value.n == 0) || check_value(p, given[i].value, err);
}

static struct http_reply *check_query(struct http_request *r)
{
	struct error err;
	for (size_t i = 0; i < r->uri.param_count; i++)
		if (!check_param(r, r->uri.params, i, r->route->params, (r->route->flags & HTTP_OAUTH) != 0, &err))
			return http_reply_error(r, &err);
	return NULL;
}

struct http_reply *request_examine_form(struct http_request *r)
{
	struct error err;
	if (!uri_parse_form(r->body.data, r->body.len, &r->arena, &r->form, &err))
		return http_reply_error(r, &err);
	for (size_t i = 0; i < r->form.param_count; i++)
		if (!check_param(r, r->form.params, i, r->route->form, true, &err))
			return http_reply_error(r, &err);
	return NULL;
}

/* ---- who asks ---- */

static void take_forwarded(struct http_request *r)
{
	struct sockaddr_storage client;
	if (!r->connection->trusted || !str_present(r->headers.forwarded_for) ||
	    !proxies_client(r->server->proxies, r->headers.forwarded_for, &client))
		return;
	const struct sockaddr *sa = (const struct sockaddr *)&client;
	char *text = arena_alloc(&r->arena, ADDRESS_TEXT_SIZE);
	address_text(sa, text);
	r->peer = text;
	r->address = address_key(sa);
	r->loopback = address_is_loopback(sa);
}

/* ---- all of it ---- */

/* RFC 9112 3.2: exactly one, in HTTP/1.1. */
static struct http_reply *check_host(struct http_request *r, const char *version)
{
	if (r->headers.hosts == 1 || (r->headers.hosts == 0 && strcmp(version, "HTTP/1.0") == 0))
		return NULL;
	return http_reply_error_code(r, ERR_MALFORMED_REQUEST, "there must be one Host header");
}

/* A NUL in the target: libmicrohttpd hands out C strings, cut at the NUL, but puts the version right behind the target's true end. */
static bool target_has_nul(const struct http_request *r, const char *version)
{
	return r->target_seen && version != r->target_seen + r->target_len + 1;
}

struct http_reply *request_examine(struct http_request *r, const char *version, bool *close_now)
{
	struct http_reply *refusal;
	struct error err;
	(void)MHD_get_connection_values_n(r->connection->mhd, MHD_HEADER_KIND, gather, &r->headers);
	choose_id(r);
	take_forwarded(r);
	*close_now = true;
	if ((refusal = check_framing(r)))
		return refusal;
	*close_now = false;
	if ((refusal = check_host(r, version)))
		return refusal;
	r->body_announced = announced_length(r->headers.content_length);
	if (target_has_nul(r, version))
		return http_reply_error_code(r, ERR_MALFORMED_REQUEST, "the path contains a NUL");
	char *text = arena_alloc(&r->arena, r->target_len + 1);
	memcpy(text, r->target, r->target_len + 1);
	if (!uri_parse(text, r->target_len, &r->arena, &r->uri, &err))
		return http_reply_error(r, &err);
	if ((refusal = find_route(r)) || (refusal = check_draining(r)) || (refusal = check_expect(r)) || (refusal = check_rate(r)) ||
	    (refusal = check_body(r)) || (refusal = check_query(r)))
		return refusal;
	return NULL;
}
