/*
 * The HTTP server of every daemon, over libmicrohttpd (whose header is included by this room's .c files only).
 *
 * One table row per endpoint: dispatch, limits, docs/api.md, the OpenAPI document and the check that every route is documented and
 * tested read the same row.
 *
 * A handler returns a `struct http_reply *`, which only the reply functions below make: forgetting to answer does not compile. It runs
 * on a worker thread, must not block for long, and is called once, when the whole body is there. Strings it gets live in the request's
 * arena until the request ends. A handler that waits for something returns http_reply_later() and some other thread calls http_finish()
 * exactly once.
 *
 * What the room does by itself: 404, 405 with Allow, HEAD for GET, body limits (413 as soon as it is known), 411/415, conflicting
 * lengths (400 and close), discarding a refused body (16 MiB or 2 s), Expect: 100-continue, idle timeouts, header timeout for slow
 * clients, a cap on connections and on those of one address, rate limits on writes (429), X-Request-Id, access log, metrics by route,
 * /health /ready /info /metrics /openapi.json, graceful drain.
 */
#ifndef TANA_HTTP_SERVER_H
#define TANA_HTTP_SERVER_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "json/fields.h"
#include "metrics.h"

struct http_server;
struct http_request;
struct http_reply;

typedef struct http_reply *http_handler(struct http_request *r);

enum http_method { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_DELETE }; /* HEAD is answered by GET's handler */
/* Who may call, for documents; who really may is decided where signatures are checked. */
enum http_access { ACCESS_ANYONE, ACCESS_NODE_SIGNED, ACCESS_SOVEREIGN_SIGNED, ACCESS_USER_SIGNED, ACCESS_TOKEN, ACCESS_CLIENT /* an OAuth client */ };
enum http_flags {
	HTTP_WRITE = 1,        /* counts against the write rate limit */
	HTTP_STREAM = 2,       /* answers Server-Sent Events */
	HTTP_NOT_READY_OK = 4, /* is served while draining or not ready */
	HTTP_OAUTH = 8,        /* speaks as OAuth 2 does: parameters that are not declared are ignored instead of refused and empty ones count as not sent (RFC 6749 3.1); errors,
			       * also those of the room itself, are {"error": an OAuth code, "error_description", "code"} (5.2) */
	HTTP_LIST = 16,        /* the answer 200 is a bare JSON list of the message its row names */
	HTTP_BODY_OPTIONAL = 32, /* a request without a body needs no Content-Length */
	HTTP_SECRET_QUERY = 64   /* the query is not for the log */
};

/* A query parameter or a form's field, declared once: read by http_query_* or http_form_text, listed in documents. */
struct http_param {
	const char *name;
	enum { PARAM_TEXT, PARAM_INT } type;
	int64_t min, max; /* PARAM_INT: value, PARAM_TEXT: bytes */
	bool repeatable;
	const char *doc;
};

/* One possible answer besides the errors every route can give. */
struct http_answer {
	int status;
	const struct json_message *message; /* NULL: no JSON; see `media` */
	const char *media;                  /* NULL: application/json */
	const char *doc;
};

/*
 * A body taken piece by piece, for one that is larger than memory. Everything runs on the request's worker thread; the three calls and
 * the route's handler, which is called when the body has ended, share what http_set_state keeps.
 */
struct http_upload {
	/* The header is there, and no byte of the body was read. NULL to go on, or the refusal (nothing of the upload is left then): it comes
	 * instead of 100 Continue, or after the body was thrown away (16 MiB or 2 s of it). */
	struct http_reply *(*begin)(struct http_request *r);
	/* The next n > 0 bytes. NULL to go on, or the refusal; `abandon` follows it. */
	struct http_reply *(*piece)(struct http_request *r, const void *p, size_t n);
	/* The body never ended, or was refused: the handler will not be called. */
	void (*abandon)(struct http_request *r);
};

struct http_route {
	enum http_method method;
	const char *path; /* "/nodes/:id/heartbeats": a segment ":x" matches one non-empty segment, percent-decoded */
	http_handler *handler;
	enum http_access access;
	unsigned flags;
	size_t body_max;                   /* bytes; 0: no body is taken (400 unexpected_body) */
	const struct json_message *body;   /* what is read, for documents; NULL: none or not JSON */
	const struct http_param *form;     /* the body is a form (application/x-www-form-urlencoded) with these; NULL: none. `body` is NULL then */
	const struct http_upload *upload;  /* NULL: the body is gathered in memory. Otherwise body_max 0: the service's own limit is the only one */
	const struct http_param *params;   /* ends with .name NULL; may be NULL */
	const struct http_answer *answers; /* ends with .status 0 */
	const enum error_code *errors; /* the route's own refusals, ends with ERR_COUNT; for documents and the tests' coverage check */
	const char *summary;           /* one line */
	const char *doc;               /* more, or NULL */
};

struct http_options {
	const char *service;            /* "mesh": metrics are tana_mesh_http_... */
	const char *version, *commit;   /* for /info; NULL: not shown */
	const char *description;        /* one sentence, for /openapi.json; NULL: none */
	const char *listen;             /* HOST:PORT, [::1]:PORT; port 0 picks a free one */
	const char *tls_cert, *tls_key; /* PEM files, both or neither */
	int workers;                    /* threads; 0: one a core */
	int connections_max;            /* all, streams included; 0: 16384 */
	int connections_per_address;    /* loopback exempt; 0: 1024 */
	int streams_max;                /* 0: 10000 */
	int64_t idle_timeout_ms;   /* keep-alive connections and slow requests: a whole request header must be there in this time; 0: 30 s */
	int64_t stream_comment_ms; /* how often a quiet event stream gets a comment; 0: 15 s */
	size_t connection_memory;  /* bytes a connection has for header and piece of body; larger pieces cost less. 0: 16 KiB */
	double rate_per_second;    /* writes an address; 0: no limit */
	int rate_burst;
	bool rate_exempt_loopback;
	/* Proxies in front, whose X-Forwarded-For says who asks: addresses and networks (10.0.0.0/8), NULL-terminated; may be NULL. */
	const char *const *trusted_proxies;
	/* Pages of these origins (exactly as browsers send them) may call, with cookies; NULL-terminated; may be NULL; must outlive the server. `cors_headers`
	 * is the list of request headers that they may send, as for Access-Control-Allow-Headers. */
	const char *const *cors_origins;
	const char *cors_headers;
	enum { ACCESS_LOG_OFF, ACCESS_LOG_ERRORS /* answers >= 400 */, ACCESS_LOG_ALL } access_log;
	const struct http_route *routes;
	size_t route_count;
	void *ctx; /* http_ctx() */
	/* For /ready: false with *err naming the dependency that does not answer. */
	bool (*ready)(void *ctx, struct error *err);
	/* The service's own fields of /health and /info: appends `,"key":value` pairs. May be NULL. */
	void (*health)(void *ctx, struct buf *out);
	void (*info)(void *ctx, struct buf *out);
	/* Called before /metrics is written, to set gauges. May be NULL. */
	void (*metrics)(void *ctx);
	const struct metric *const *metric_list; /* the service's own, NULL-terminated; may be NULL */
};
MUST_CHECK struct http_server *http_server_start(const struct http_options *o, struct error *err);
/* The bound address, "127.0.0.1:8190". */
const char *http_server_address(const struct http_server *s);
/* Stops accepting, closes idle connections, answers what is under way (streams get a last comment and end) and waits for it, at most
 * drain_ms. Requests that still come in on open connections get 503 shutting_down, except on HTTP_NOT_READY_OK routes. True when no
 * connection is left, so that no http_finish is owed any more. */
bool http_server_drain(struct http_server *s, int64_t drain_ms);
/* Drains (unless that was done), cuts what is left and frees everything. Later http_finish calls must not come. */
void http_server_stop(struct http_server *s, int64_t drain_ms);
/* Reads the TLS files again: new connections get the certificate that is in them now. After an error, ERR_CONFIG, the old stays. */
MUST_CHECK bool http_server_reload_tls(struct http_server *s, struct error *err);
/* New limits while running. */
void http_server_set_rate(struct http_server *s, double per_second, int burst);
/* The OpenAPI 3.1 document of a route table, pretty enough to diff. Title and description are the service's. */
void http_openapi_write(struct buf *out, const char *service, const char *description, const struct http_route *routes, size_t count);
/* docs/api.md's chapter for a service, in Markdown. */
void http_markdown_write(struct buf *out, const char *service, const char *description, const struct http_route *routes, size_t count);

/* What a handler asks. */
void *http_ctx(const struct http_request *r);
struct arena *http_arena(struct http_request *r);
const struct http_route *http_route_of(const struct http_request *r);
const char *http_request_id(const struct http_request *r);
struct str http_body(const struct http_request *r);
/* The body's length as announced, in bytes; -1: chunked, so not known before its end. */
int64_t http_content_length(const struct http_request *r);
/* One pointer of the service's own for the time of the request; NULL at its begin. */
void http_set_state(struct http_request *r, void *state);
void *http_state(const struct http_request *r);
/* The nth ":segment" of the path, decoded. Valid UTF-8 without NUL (else the request was refused). */
struct str http_path_arg(const struct http_request *r, int n);
struct str http_header(const struct http_request *r, const char *name); /* first value; absent */
bool http_from_loopback(const struct http_request *r);
/* The client's address as text, without the port: the peer's, or what a trusted proxy says (http_from_loopback likewise). */
const char *http_peer(const struct http_request *r);
/* Query parameters, by the route's declaration (asking for an undeclared one is an invariant). A parameter that is not declared, given
 * twice though not repeatable, out of range or badly encoded was refused with malformed_parameter before the handler ran. */
MUST_CHECK bool http_query_int(const struct http_request *r, const char *name, int64_t fallback, int64_t *out);
struct str http_query_text(const struct http_request *r, const char *name, size_t nth); /* absent when there are fewer */
/* A form's field, by the route's declaration (asking for an undeclared one is an invariant): absent when it was not sent, or empty. Like
 * parameters, what is wrong with it was refused with malformed_parameter before the handler ran; an empty field counts as not sent. */
struct str http_form_text(const struct http_request *r, const char *name);
/* Reads the JSON body by the message; *out in the arena's care. False: *reply is the refusal to return. */
MUST_CHECK bool http_read_body(struct http_request *r, const struct json_message *m, void *out, struct http_reply **reply);

/* Replies. */
struct http_reply *http_reply_json(struct http_request *r, int status, const struct json_message *m, const void *value);
/* Takes the buffer's bytes (leaves it empty). content_type NULL: application/json. */
struct http_reply *http_reply_bytes(struct http_request *r, int status, const char *content_type, struct buf *body);
/* The error document; the status comes from the code. For 500s the message is logged with the request id, and not sent. */
struct http_reply *http_reply_error(struct http_request *r, const struct error *err);
struct http_reply *http_reply_error_code(struct http_request *r, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* An error with further fields beside error/code/hint: `,"serverTime":123`. */
struct http_reply *http_reply_error_extra(struct http_request *r, const struct error *err, struct str extra);
struct http_reply *http_reply_empty(struct http_request *r, int status);
/* Streams `size` bytes of an open file from its current offset; takes the descriptor. */
struct http_reply *http_reply_file(struct http_request *r, int status, const char *content_type, int fd, uint64_t size);
/* The same from `offset`. When the file is shorter than that the connection is cut, at the latest after the idle timeout. */
struct http_reply *http_reply_file_part(struct http_request *r, int status, const char *content_type, int fd, uint64_t offset,
					uint64_t size);
/*
 * Which bytes of a representation of `size` bytes a GET asks for (RFC 9110 13.1.5, 14.1, 14.2); etag is its strong tag with quotes. What
 * is no single range of bytes is not understood and ignored, as is a Range whose If-Range names another tag, and any to HEAD.
 */
enum http_range {
	HTTP_RANGE_WHOLE, /* 200 */
	HTTP_RANGE_PART,  /* 206: *first and *length (> 0) say which */
	HTTP_RANGE_BEYOND /* 416 */
};
enum http_range http_range_asked(const struct http_request *r, uint64_t size, const char *etag, uint64_t *first, uint64_t *length);
/* Streams a body of unknown length: `next` appends the next piece to *out and returns true while there is more to come; false ends it.
 * *failed = true cuts the connection, so that the client notices. `end` is called once. */
struct http_reply *http_reply_stream(struct http_request *r, int status, const char *content_type,
				     bool (*next)(void *ctx, struct buf *out, bool *failed), void (*end)(void *ctx), void *ctx);
/* Adds a header to a reply (before it is returned or finished); both are copied. Returns the reply. */
struct http_reply *http_reply_header(struct http_reply *reply, const char *name, const char *value);
/* Entity tag for a 200: answers 304 instead when If-None-Match has it. Quotes are added when `etag` has none. */
struct http_reply *http_reply_etag(struct http_request *r, struct http_reply *reply, const char *etag);
/* Has the client this very representation (If-None-Match names the tag, given with quotes)? Then 304 is the answer. */
bool http_client_has(const struct http_request *r, const char *etag);

/* Deferred answers. Between http_reply_later and http_finish the request, its arena and its strings stay valid. http_finish may come
 * before http_reply_later returned to the server. Thread-safe. When the client went away meanwhile the reply is dropped silently. */
struct http_reply *http_reply_later(struct http_request *r);
void http_finish(struct http_request *r, struct http_reply *reply);

/*
 * Server-Sent Events (WHATWG HTML, text/event-stream). A hub is a bounded ring of events with growing ids; each stream reads from it at
 * its own speed. A stream that falls behind the ring is closed (the client reconnects with Last-Event-ID). A comment goes out
 * every stream_comment_ms.
 */
struct sse_hub;
struct sse_hub *sse_hub_new(size_t ring_events); /* before the server starts */
void sse_hub_free(struct sse_hub *h);            /* after the server stopped */
/* Publishes one event: id > every earlier id. type and data are copied; data has no newline. Thread-safe, never blocks on readers. */
void sse_hub_publish(struct sse_hub *h, int64_t id, const char *type, struct str data);
size_t sse_hub_streams(struct sse_hub *h);
/*
 * When nobody watches: forgets what the ring holds and returns true; events up to now then need not be published, since who comes later either
 * wants none of them or resumes, and finds them by its backfill. False, and nothing done, while there are streams.
 */
MUST_CHECK bool sse_hub_skip(struct sse_hub *h);
/* Fetches events after `after` and before `before` that the ring does not hold, oldest first, through `emit`; returns false when they
 * are gone, or when `after`, which may be beyond the newest in the ring, was never given (the stream then begins with an event `reset`,
 * whose meaning is: read the lists anew). May be NULL. Runs on a worker thread; at most a few hundred events. */
typedef void sse_emit_fn(void *emit_ctx, int64_t id, const char *type, struct str data);
typedef bool sse_backfill_fn(void *ctx, int64_t after, int64_t before, sse_emit_fn *emit, void *emit_ctx);
/* Answers with a stream: begins after `last_id` (Last-Event-ID), or with the next event when last_id < 0. 503 overloaded when
 * streams_max is reached. */
struct http_reply *http_reply_events(struct http_request *r, struct sse_hub *h, int64_t last_id, sse_backfill_fn *backfill, void *ctx);

/*
 * A stream of its own: what is posted to it goes to nobody else. The hub, which then has no events itself, sends the comments and ends it at
 * the drain. `gone` is called once, when the stream is over for whatever reason (also when the reply was never sent): nothing may be
 * posted afterwards, so poster and `gone` share a lock. *out is valid until then.
 */
struct sse_stream;
struct http_reply *http_reply_own_events(struct http_request *r, struct sse_hub *h, void (*gone)(void *ctx), void *ctx, struct sse_stream **out);
/* An event without a type (browsers hand it to onmessage); data has no newline. `last`: the stream ends after it. Thread-safe, never blocks; a
 * stream whose reader is too slow ends. */
void sse_stream_post(struct sse_stream *st, int64_t id, struct str data, bool last);
/* Ends it with no further event, behind those that were posted. As thread-safe. */
void sse_stream_end(struct sse_stream *st);

#endif
