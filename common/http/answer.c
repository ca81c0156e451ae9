/* How a reply leaves: as a response of libmicrohttpd, or, where that takes none, as bytes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server_private.h"

enum { STREAM_BLOCK = 32 * 1024 };

static ssize_t read_stream(void *cls, uint64_t pos, char *to, size_t max)
{
	(void)pos;
	struct http_reply *reply = cls;
	while (reply->piece_sent == reply->piece.len && !reply->ended) {
		bool failed = false;
		buf_clear(&reply->piece);
		reply->piece_sent = 0;
		reply->ended = !reply->next_piece(reply->ctx, &reply->piece, &failed);
		if (failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	size_t n = reply->piece.len - reply->piece_sent;
	if (n == 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	n = n < max ? n : max;
	memcpy(to, reply->piece.data + reply->piece_sent, n);
	reply->piece_sent += n;
	reply->request->answer_bytes += n;
	return (ssize_t)n;
}

static struct MHD_Response *bytes_response(struct http_reply *reply)
{
	struct str bytes = reply_bytes(reply);
	enum MHD_ResponseMemoryMode mode = reply->owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT;
	/* The interface takes writable bytes and does not write to them. */
	union {
		const char *in;
		void *out;
	} p = {.in = bytes.p};
	struct MHD_Response *response = MHD_create_response_from_buffer(bytes.n, p.out, mode);
	if (response)
		reply->owned = NULL;
	return response;
}

/* All n bytes from `offset`; false when the file has fewer or cannot be read. */
static bool read_part(int fd, char *to, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return true;
}

static struct MHD_Response *small_file_response(struct http_reply *reply)
{
	struct buf *room = &reply->request->scratch; /* warm, and no allocation */
	size_t n = (size_t)reply->size;
	buf_clear(room);
	buf_reserve(room, n ? n : 1);
	return read_part(reply->fd, room->data, n, reply->offset) ? MHD_create_response_from_buffer(n, room->data, MHD_RESPMEM_PERSISTENT) : NULL;
}

static struct MHD_Response *file_response(struct http_reply *reply)
{
	if (reply->size <= FILE_READ_MAX && !reply->request->head)
		return small_file_response(reply);
	struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(reply->size, reply->fd, reply->offset);
	if (response)
		reply->fd = -1;
	return response;
}

static struct MHD_Response *make_response(struct http_reply *reply)
{
	switch (reply->kind) {
	case REPLY_BYTES:
		return bytes_response(reply);
	case REPLY_FILE:
		return file_response(reply);
	case REPLY_STREAM:
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, reply, NULL);
	case REPLY_EVENTS:
		return sse_response(reply);
	case REPLY_LATER:
		break;
	}
	fatal("a reply of kind %d cannot be sent", (int)reply->kind);
}

/* A response of unknown length goes out in chunks. To HEAD libmicrohttpd then sends the last, empty chunk, which is no header any more;
 * without chunks it sends nothing and closes. */
static void suit_head(const struct http_request *r, struct MHD_Response *response)
{
	if (r->head)
		(void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
}

typedef void header_fn(void *ctx, const char *name, const char *value);

bool cors_allows(const struct http_server *s, struct str origin)
{
	for (size_t i = 0; s->o.cors_origins && s->o.cors_origins[i]; i++)
		if (str_is(origin, s->o.cors_origins[i]))
			return true;
	return false;
}

/* Never "*": the answers are for whoever the cookies belong to. */
static void put_cors(const struct http_request *r, header_fn *put, void *ctx)
{
	put(ctx, "Vary", "Origin");
	if (!cors_allows(r->server, r->headers.origin))
		return;
	put(ctx, "Access-Control-Allow-Origin", r->headers.origin.p);
	put(ctx, "Access-Control-Allow-Credentials", "true");
	put(ctx, "Access-Control-Expose-Headers", "Retry-After, X-Request-Id");
}

/* Everything but what libmicrohttpd adds itself: Date, Connection, Content-Length or Transfer-Encoding. */
static void each_header(const struct http_request *r, const struct http_reply *reply, header_fn *put, void *ctx)
{
	if (reply->content_type)
		put(ctx, "Content-Type", reply->content_type);
	put(ctx, "X-Request-Id", r->id);
	put(ctx, "X-Content-Type-Options", "nosniff");
	if (r->server->o.cors_origins)
		put_cors(r, put, ctx);
	if (!reply->has_cache_control)
		put(ctx, "Cache-Control", "no-store");
	if (reply->status == 503 && !reply->has_retry_after)
		put(ctx, "Retry-After", "1");
	for (const struct reply_header *h = reply->headers; h; h = h->next)
		put(ctx, h->name, h->value);
}

static void put_to_response(void *response, const char *name, const char *value)
{
	if (MHD_add_response_header(response, name, value) != MHD_YES)
		log_error("a reply's header cannot be sent", LOG_S("name", name), LOG_S("value", value));
}

enum MHD_Result answer_queue(struct http_request *r, struct http_reply *reply)
{
	struct MHD_Response *response = make_response(reply);
	if (!response) {
		log_error("a reply cannot be sent", LOG_S("request_id", r->id));
		return MHD_NO;
	}
	if (reply->kind == REPLY_STREAM || reply->kind == REPLY_EVENTS)
		suit_head(r, response);
	each_header(r, reply, put_to_response, response);
	if (reply->close_after || atomic_load_explicit(&r->server->draining, memory_order_relaxed))
		put_to_response(response, "Connection", "close");
	r->status = reply->status;
	r->answer_bytes = reply->size;
	enum MHD_Result queued = MHD_queue_response(r->connection->mhd, (unsigned)reply->status, response);
	MHD_destroy_response(response);
	return queued;
}

static void put_to_text(void *text, const char *name, const char *value)
{
	buf_printf(text, "%s: %s\r\n", name, value);
}

struct str answer_as_bytes(struct http_request *r, const struct http_reply *reply)
{
	invariant(reply->kind == REPLY_BYTES);
	struct buf text = {0};
	buf_printf(&text, "HTTP/1.1 %d %s\r\n", reply->status, MHD_get_reason_phrase_for((unsigned)reply->status));
	each_header(r, reply, put_to_text, &text);
	struct str body = reply_bytes(reply);
	buf_printf(&text, "Connection: close\r\nContent-Length: %zu\r\n\r\n", body.n);
	if (!r->head)
		buf_put_str(&text, body);
	struct str bytes = arena_copy(&r->arena, buf_str(&text));
	buf_free(&text);
	return bytes;
}
