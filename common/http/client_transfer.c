/* Transfers: bodies in pieces, up and down. */
#include <stdio.h>

#include "base/log.h"
#include "base/stop.h"
#include "http/client_private.h"

enum {
	ASK_FIRST = 64 * 1024,      /* bytes of body from which a round trip for 100 Continue is worth it */
	PIECE = 256 * 1024          /* bytes libcurl moves at a time */
};

struct transfer {
	struct http_client *c;
	const struct http_transfer *t;
	struct http_answer_in *answer;
	int64_t sent;
	bool shown;      /* head was called */
	bool failed;     /* a callback did: *err is set */
	bool too_large;
	struct error *err;
};

static bool ok_status(const struct transfer *x)
{
	return x->answer->status >= 200 && x->answer->status < 300;
}

static bool fail(struct transfer *x)
{
	x->failed = true;
	return false;
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct transfer *x = ctx;
	struct http_answer_in *a = x->answer;
	struct str line = str_of(data, size * n), value;

	if (http_client_header_is(line, "X-Request-Id", &value))
		http_client_keep_header(a->request_id, sizeof a->request_id, value);
	else if (http_client_header_is(line, "ETag", &value))
		http_client_keep_header(a->etag, sizeof a->etag, value);
	else if (http_client_header_is(line, "Content-Range", &value))
		http_client_keep_header(a->content_range, sizeof a->content_range, value);
	return size * n;
}

/* Status and length, and `head`: once, when the final answer's header is known to be whole. */
static bool show(struct transfer *x)
{
	long status = 0;
	curl_off_t length = -1;

	if (x->shown)
		return true;
	x->shown = true;
	curl_easy_getinfo(x->c->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(x->c->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	x->answer->status = (int)status;
	x->answer->length = length;
	return !x->t->head || !ok_status(x) || x->t->head(x->t->ctx, x->answer, x->err) || fail(x);
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct transfer *x = ctx;
	bool streamed;

	if (!show(x))
		return 0;
	streamed = ok_status(x) && x->t->sink;
	if (streamed)
		return x->t->sink(x->t->ctx, data, size * n, x->err) || fail(x) ? size * n : 0;
	if (size * n > (ok_status(x) ? x->c->answer_max : REFUSAL_MAX) - x->answer->body.len) {
		x->too_large = true;
		return 0;
	}
	buf_put(&x->answer->body, data, size * n);
	return size * n;
}

static size_t on_read(char *out, size_t size, size_t n, void *ctx)
{
	struct transfer *x = ctx;
	int64_t left = x->t->body_size - x->sent;
	size_t room = (uint64_t)left < size * n ? (size_t)left : size * n;

	if (room == 0)
		return 0;
	int64_t got = x->t->source(x->t->ctx, x->sent, out, room, x->err);
	if (got < 0) {
		fail(x);
		return CURL_READFUNC_ABORT;
	}
	invariant(got > 0 && (uint64_t)got <= room);
	x->sent += got;
	return (size_t)got;
}

static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct transfer *x = ctx;

	if (origin != SEEK_SET || offset < 0 || offset > x->t->body_size)
		return CURL_SEEKFUNC_FAIL;
	x->sent = offset;
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct transfer *x = ctx;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return stop_asked(x->t->stop);
}

static void set_body(struct transfer *x, struct curl_slist **headers)
{
	CURL *h = x->c->curl;

	if (!x->t->source) {
		if (strcmp(x->t->method, "HEAD") == 0)
			curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
		else
			curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, x->t->method);
		return;
	}
	curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, x->t->method);
	curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->t->body_size);
	curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(h, CURLOPT_READDATA, x);
	curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(h, CURLOPT_SEEKDATA, x);
	curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, (long)PIECE);
	http_client_add_header(headers, x->t->body_size >= ASK_FIRST ? "Expect: 100-continue" : "Expect:");
}

static void prepare(struct transfer *x, struct curl_slist **headers)
{
	struct http_client *c = x->c;

	http_client_prepare(c, x->t->path);
	set_body(x, headers);
	for (size_t i = 0; x->t->headers && x->t->headers[i]; i++)
		http_client_add_header(headers, x->t->headers[i]);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, *headers);
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, x);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, x);
	curl_easy_setopt(c->curl, CURLOPT_BUFFERSIZE, (long)PIECE);
	curl_easy_setopt(c->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c->curl, CURLOPT_XFERINFODATA, x);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, (c->timeout_ms + 999) / 1000);
}

static bool result(struct transfer *x, CURLcode code)
{
	struct http_client *c = x->c;

	if (x->failed)
		return false;
	if (stop_asked(x->t->stop))
		return error_set(x->err, ERR_INTERRUPTED, "The transfer was interrupted.");
	if (x->too_large)
		return error_set(x->err, ERR_TOO_LARGE, "the answer of %.*s is larger than %zu bytes", URL_IN_MESSAGE, buf_z(&c->url),
				 c->answer_max);
	if (code != CURLE_OK)
		return http_client_failed(c, code, x->err);
	return show(x);
}

bool http_transfer(struct http_client *c, const struct http_transfer *t, struct http_answer_in *out, struct error *err)
{
	struct transfer x = {.c = c, .t = t, .answer = out, .err = err};
	struct curl_slist *headers = NULL;

	*out = (struct http_answer_in){.length = -1};
	prepare(&x, &headers);
	CURLcode code = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	bool ok = result(&x, code);
	if (!ok)
		http_answer_free(out);
	return ok;
}
