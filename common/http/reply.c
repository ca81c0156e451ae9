/* Making replies: they live in the request's arena, JSON in its scratch buffer. Nothing here knows libmicrohttpd. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "server_private.h"

static const char json_type[] = "application/json";

static struct http_reply *new_reply(struct http_request *r, enum reply_kind kind, int status, const char *content_type)
{
	struct http_reply *reply = arena_zalloc(&r->arena, 1, sizeof(*reply));
	reply->request = r;
	reply->kind = kind;
	reply->status = status;
	reply->content_type = content_type;
	reply->fd = -1;
	reply->next = r->replies;
	r->replies = reply;
	return reply;
}

/* The reply's bytes are what was appended to the scratch buffer since `at`. */
static struct http_reply *scratch_reply(struct http_request *r, int status, size_t at)
{
	struct http_reply *reply = new_reply(r, REPLY_BYTES, status, json_type);
	reply->scratch_at = at;
	reply->size = r->scratch.len - at;
	return reply;
}

struct str reply_bytes(const struct http_reply *reply)
{
	const char *p = reply->owned ? reply->owned : buf_str(&reply->request->scratch).p + reply->scratch_at;
	return str_of(p, reply->size);
}

void reply_release(struct http_reply *reply)
{
	free(reply->owned);
	reply->owned = NULL;
	if (reply->fd >= 0)
		(void)close(reply->fd);
	reply->fd = -1;
	if (reply->end)
		reply->end(reply->ctx);
	reply->end = NULL;
	buf_free(&reply->piece);
	if (reply->stream)
		sse_stream_drop(reply->stream);
	reply->stream = NULL;
}

struct http_reply *http_reply_json(struct http_request *r, int status, const struct json_message *m, const void *value)
{
	size_t at = r->scratch.len;
	json_write(&r->scratch, m, value);
	return scratch_reply(r, status, at);
}

struct http_reply *http_reply_bytes(struct http_request *r, int status, const char *content_type, struct buf *body)
{
	size_t n;
	char *bytes = buf_steal(body, &n);
	struct http_reply *reply = new_reply(r, REPLY_BYTES, status, content_type ? arena_strdup(&r->arena, content_type) : json_type);
	reply->owned = bytes;
	reply->size = n;
	return reply;
}

struct http_reply *http_reply_empty(struct http_request *r, int status)
{
	return new_reply(r, REPLY_BYTES, status, NULL);
}

struct http_reply *http_reply_file(struct http_request *r, int status, const char *content_type, int fd, uint64_t size)
{
	off_t offset = lseek(fd, 0, SEEK_CUR);
	invariant(offset >= 0);
	return http_reply_file_part(r, status, content_type, fd, (uint64_t)offset, size);
}

struct http_reply *http_reply_file_part(struct http_request *r, int status, const char *content_type, int fd, uint64_t offset,
					uint64_t size)
{
	struct http_reply *reply = new_reply(r, REPLY_FILE, status, arena_strdup(&r->arena, content_type));
	reply->fd = fd;
	reply->offset = offset;
	reply->size = size;
	return reply;
}

struct http_reply *http_reply_stream(struct http_request *r, int status, const char *content_type,
				     bool (*next)(void *ctx, struct buf *out, bool *failed), void (*end)(void *ctx), void *ctx)
{
	struct http_reply *reply = new_reply(r, REPLY_STREAM, status, arena_strdup(&r->arena, content_type));
	reply->next_piece = next;
	reply->end = end;
	reply->ctx = ctx;
	return reply;
}

struct http_reply *reply_events(struct http_request *r, struct sse_stream *stream)
{
	struct http_reply *reply = new_reply(r, REPLY_EVENTS, 200, "text/event-stream");
	reply->stream = stream;
	reply->close_after = true; /* a stream that was ended is to be noticed, not kept for another request */
	return http_reply_header(reply, "X-Accel-Buffering", "no"); /* nginx would keep events back */
}

struct http_reply *http_reply_header(struct http_reply *reply, const char *name, const char *value)
{
	struct arena *a = &reply->request->arena;
	struct reply_header *h = arena_alloc(a, sizeof(*h));
	h->name = arena_strdup(a, name);
	h->value = arena_strdup(a, value);
	h->next = reply->headers;
	reply->headers = h;
	reply->has_cache_control |= strcasecmp(name, "Cache-Control") == 0;
	reply->has_retry_after |= strcasecmp(name, "Retry-After") == 0;
	return reply;
}

/* ---- errors ---- */

static void put_pair(struct buf *out, const char *key, const char *value)
{
	buf_puts(out, key);
	buf_put_json_string(out, str_from(value));
}

/* The code for OAuth's "error" (RFC 6749 4.1.2.1, 5.2): its own codes as they are, ours by what they amount to. */
static const char *oauth_code(enum error_code code)
{
	int status = error_code_status(code);
	if (error_code_is_oauth(code))
		return error_code_text(code);
	if (status == 503 || status == 429 || status == 507)
		return "temporarily_unavailable";
	return status >= 500 ? "server_error" : status == 401 ? "invalid_token" : status == 403 ? "access_denied" : "invalid_request";
}

struct http_reply *http_reply_error_extra(struct http_request *r, const struct error *err, struct str extra)
{
	const char *code = error_code_text(err->code), *message = err->message, *hint = err->hint;
	int status = error_code_status(err->code);
	if (status == 500 && err->code != ERR_CONTENT_CORRUPT) { /* which is about the client's own content, and says nothing else */
		log_error("internal error", LOG_S("request_id", r->id), LOG_S("code", code), LOG_S("cause", message),
			  LOG_S("hint", hint));
		message = "something went wrong inside the service; its log has the cause under this request's id";
		hint = "";
	}
	size_t at = r->scratch.len;
	if (r->route && (r->route->flags & HTTP_OAUTH)) {
		put_pair(&r->scratch, "{\"error\":", oauth_code(err->code));
		put_pair(&r->scratch, ",\"error_description\":", message);
	} else {
		put_pair(&r->scratch, "{\"error\":", message);
	}
	put_pair(&r->scratch, ",\"code\":", code);
	if (hint[0])
		put_pair(&r->scratch, ",\"hint\":", hint);
	buf_put_str(&r->scratch, extra);
	buf_putc(&r->scratch, '}');
	return scratch_reply(r, status, at);
}

struct http_reply *http_reply_error(struct http_request *r, const struct error *err)
{
	return http_reply_error_extra(r, err, STR_LIT(""));
}

struct http_reply *http_reply_error_code(struct http_request *r, enum error_code code, const char *fmt, ...)
{
	char message[2 * ERROR_MESSAGE_MAX];
	struct error err;
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	error_set(&err, code, "%s", message); /* which cuts between characters */
	return http_reply_error(r, &err);
}

/* ---- entity tags (RFC 9110 8.8.3, 13.1.2) ---- */

/* Whether a list like `"a", W/"b"` names the tag, by weak comparison. */
static bool tag_listed(struct str list, const char *tag)
{
	const char *p = list.p, *end = list.p + list.n;
	tag += strncmp(tag, "W/", 2) == 0 ? 2 : 0;
	size_t tag_len = strlen(tag);
	while (p < end) {
		while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
			p++;
		if (end - p >= 1 && *p == '*')
			return true;
		if (end - p >= 2 && p[0] == 'W' && p[1] == '/')
			p += 2;
		if ((size_t)(end - p) >= tag_len && memcmp(p, tag, tag_len) == 0)
			return true;
		const char *comma = memchr(p, ',', (size_t)(end - p));
		p = comma ? comma : end;
	}
	return false;
}

bool http_client_has(const struct http_request *r, const char *etag)
{
	struct str wanted = http_header(r, "If-None-Match");
	return str_present(wanted) && tag_listed(wanted, etag);
}

struct http_reply *http_reply_etag(struct http_request *r, struct http_reply *reply, const char *etag)
{
	bool quoted = etag[0] == '"' || strncmp(etag, "W/\"", 3) == 0;
	struct str tag = arena_printf(&r->arena, quoted ? "%s" : "\"%s\"", etag);
	(void)http_reply_header(reply, "ETag", tag.p);
	if (reply->status != 200 || !http_client_has(r, tag.p))
		return reply;
	struct http_reply *unchanged = http_reply_empty(r, 304);
	unchanged->headers = reply->headers;
	unchanged->has_cache_control = reply->has_cache_control;
	return unchanged;
}
