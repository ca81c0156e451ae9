/*
 * An HTTP client over libcurl (whose header is included by this room's .c files only). One struct http_client is one thread's: it keeps
 * connections alive. Answers are read into memory up to a limit. Redirects are not followed. Only http and https. Proxies are taken from the
 * environment, but not for loopback. The process ignores SIGPIPE (libcurl is told to leave signals alone). A request with a body is sent at
 * most once; one without is sent again when a kept connection turns out to be dead.
 */
#ifndef TANA_HTTP_CLIENT_H
#define TANA_HTTP_CLIENT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct http_client;
struct http_client_options {
	const char *base_url;       /* "http://127.0.0.1:8190": scheme, host, port; a trailing slash is dropped */
	const char *user_agent;
	int64_t connect_timeout_ms; /* 0: 5 s */
	int64_t timeout_ms;         /* whole exchange (http_transfer: silence); 0: 30 s */
	size_t answer_max;          /* bytes; 0: 64 MiB */
};
/* ERR_CONFIG when base_url is none. The strings are copied. */
MUST_CHECK struct http_client *http_client_new(const struct http_client_options *o, struct error *err);
void http_client_free(struct http_client *c);

struct http_answer_in {
	int status;
	struct buf body;      /* freed by http_answer_free */
	char request_id[72];  /* X-Request-Id, "" when there was none, or one too long */
	char etag[80];
	char content_range[80];
	int64_t length;       /* Content-Length, bytes; -1: not said, or not asked for (http_call) */
};
/* Sends one request; path begins with '/' and is encoded (http_encode). body absent: none; otherwise JSON. On failure *out needs no
 * free. ERR_UNREACHABLE (with the URL and curl's reason), ERR_TIMED_OUT, ERR_TOO_LARGE. Any HTTP status is success here. */
MUST_CHECK bool http_call(struct http_client *c, const char *method, const char *path, struct str body, struct http_answer_in *out, struct error *err);
void http_answer_free(struct http_answer_in *a);
/* Turns an answer >= 400 into *err: the code from its error document (ERR_BAD_ANSWER when it has none), its message and hint.
 * Returns false. */
bool http_answer_error(const struct http_answer_in *a, struct error *err);

/*
 * Bodies that are larger than memory, or need headers of their own. The callbacks run during http_transfer, in its thread; one that fails fills *err, which
 * http_transfer then returns.
 */
struct http_transfer {
	const char *method, *path;
	const char *const *headers; /* "Name: value", ..., NULL; may be NULL */
	/*
	 * Up: body_size bytes, asked for by their offset, so that they can be sent again when a kept connection turns out to be dead: only for requests that may be
	 * carried out twice. Returns how many it gave (1..room), or -1. From 64 KiB on the server is asked first (Expect: 100-continue). NULL: no body.
	 */
	int64_t (*source)(void *ctx, int64_t offset, void *out, size_t room, struct error *err);
	int64_t body_size;
	/* Down: an answer 2xx is shown to `head` (may be NULL), then its bytes go to `sink`. sink NULL: into out->body. Other answers always go there. */
	bool (*head)(void *ctx, const struct http_answer_in *a, struct error *err);
	bool (*sink)(void *ctx, const void *p, size_t n, struct error *err);
	void *ctx;
	const volatile int *stop; /* ERR_INTERRUPTED, within a second, when it becomes nonzero; may be NULL */
};
/* As http_call, but timeout_ms is how long nothing may move, not for how long the whole may take. */
MUST_CHECK bool http_transfer(struct http_client *c, const struct http_transfer *t, struct http_answer_in *out, struct error *err);

/* Reads a stream of Server-Sent Events until `each` returns false, the peer ends it or *stop (may be NULL) becomes nonzero, which is
 * noticed within a second. id is -1 when the stream has given none. The caller reconnects with last_id (-1: from now on). ERR_TIMED_OUT
 * after 60 s of silence (servers write a comment every 15 s), ERR_UNREACHABLE, ERR_TOO_LARGE (an event beyond 1 MiB), or the server's
 * refusal. */
typedef bool http_event_fn(void *ctx, int64_t id, const char *type, struct str data);
MUST_CHECK bool http_events(struct http_client *c, const char *path, int64_t last_id, http_event_fn *each, void *ctx, const volatile int *stop,
			    struct error *err);
/* Appends `s` percent-encoded for one path segment or query value (RFC 3986). */
void http_encode(struct buf *out, struct str s);

#endif
