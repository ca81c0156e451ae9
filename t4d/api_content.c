/* One blob: get, put, delete. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/t4.h"

/* Bytes that a worker hashes itself, about 0.1 ms; a larger blob that must be hashed goes to the job threads. */
enum { HASH_HERE_MAX = 256 * 1024 };

/* ---- common to all ---- */

struct http_reply *api_refuse(struct http_request *r, const struct error *err)
{
	struct http_reply *reply = http_reply_error(r, err);
	if (error_code_status(err->code) == 401)
		(void)http_reply_header(reply, "WWW-Authenticate", "Bearer realm=\"t4\"");
	return reply;
}

bool api_allowed(struct http_request *r, const char *scope, struct sat *out, struct http_reply **reply)
{
	const struct t4 *t = http_ctx(r);
	struct error err;
	if (access_check(t->access, http_header(r, "Authorization"), scope, clock_wall_ms() / 1000, out, http_arena(r), &err))
		return true;
	*reply = api_refuse(r, &err);
	return false;
}

static bool read_hash(struct http_request *r, struct hash *out, struct http_reply **reply)
{
	if (hash_from_text(http_path_arg(r, 0), out))
		return true;
	*reply = http_reply_error_code(r, ERR_MALFORMED_HASH, "content is named by its SHA-256: 64 lower-case hex digits");
	return false;
}

/* What every answer about a blob carries; size < 0: not known. */
static struct http_reply *about(struct http_request *r, struct http_reply *reply, int64_t size)
{
	struct str hash = http_path_arg(r, 0);
	char digits[24];
	(void)http_reply_header(reply, T4_HEADER_HASH, arena_copy(http_arena(r), hash).p);
	(void)snprintf(digits, sizeof(digits), "%lld", (long long)size);
	return size < 0 ? reply : http_reply_header(reply, T4_HEADER_SIZE, digits);
}

static struct http_reply *refuse(struct http_request *r, const struct error *err)
{
	return about(r, api_refuse(r, err), -1);
}

/* ---- get ---- */

static struct http_reply *cacheable(struct http_reply *reply, const char *etag)
{
	(void)http_reply_header(reply, "ETag", etag);
	(void)http_reply_header(reply, "Accept-Ranges", "bytes");
	return http_reply_header(reply, "Cache-Control", "public, max-age=31536000, immutable");
}

/* A verified blob: its bytes, or an open descriptor. */
struct content {
	uint64_t size;
	int fd; /* -1: it is in `bytes` */
	struct buf bytes;
};

static void content_free(struct content *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	buf_free(&c->bytes);
}

/* Takes the content. */
static struct http_reply *bytes_of(struct http_request *r, int status, struct content *c, uint64_t first, uint64_t length)
{
	static const char type[] = "application/octet-stream";
	if (c->fd >= 0)
		return http_reply_file_part(r, status, type, c->fd, first, length);
	if (first > 0 && c->bytes.data)
		memmove(c->bytes.data, c->bytes.data + first, length);
	c->bytes.len = length;
	return http_reply_bytes(r, status, type, &c->bytes);
}

static struct http_reply *part(struct http_request *r, struct content *c, uint64_t first, uint64_t length)
{
	char range[80];
	(void)snprintf(range, sizeof(range), "bytes %llu-%llu/%llu", (unsigned long long)first, (unsigned long long)(first + length - 1),
		       (unsigned long long)c->size);
	return http_reply_header(bytes_of(r, 206, c, first, length), "Content-Range", range);
}

static struct http_reply *beyond(struct http_request *r, uint64_t size)
{
	char range[40];
	(void)snprintf(range, sizeof(range), "bytes */%llu", (unsigned long long)size);
	struct http_reply *reply =
		http_reply_error_code(r, ERR_RANGE_NOT_SATISFIABLE, "the range lies beyond the %llu bytes there are", (unsigned long long)size);
	return http_reply_header(reply, "Content-Range", range);
}

/* Takes the content. */
static struct http_reply *give(struct http_request *r, struct content *c)
{
	struct str hash = http_path_arg(r, 0);
	struct str etag = arena_printf(http_arena(r), "\"%.*s\"", STR_ARG(hash));
	uint64_t first, length;
	if (http_client_has(r, etag.p)) {
		content_free(c);
		return about(r, cacheable(http_reply_empty(r, 304), etag.p), (int64_t)c->size);
	}
	switch (http_range_asked(r, c->size, etag.p, &first, &length)) {
	case HTTP_RANGE_WHOLE:
		return about(r, cacheable(bytes_of(r, 200, c, 0, c->size), etag.p), (int64_t)c->size);
	case HTTP_RANGE_PART:
		return about(r, cacheable(part(r, c, first, length), etag.p), (int64_t)c->size);
	case HTTP_RANGE_BEYOND:
		break;
	}
	content_free(c);
	return about(r, beyond(r, c->size), (int64_t)c->size);
}

/* Takes the descriptor of a verified blob. */
static struct http_reply *give_open(struct http_request *r, const struct hash *h, int fd, uint64_t size)
{
	const struct t4 *t = http_ctx(r);
	struct content c = {.size = size, .fd = fd};
	struct error err;
	if (size > BLOB_SMALL)
		return give(r, &c);
	c.fd = -1;
	if (blob_read_small(t->store, h, fd, size, &c.bytes, &err))
		return give(r, &c);
	content_free(&c);
	return refuse(r, &err);
}

/* On a job thread: the blob must be hashed first. */
static void get_later(void *request)
{
	struct http_request *r = request;
	const struct t4 *t = http_ctx(r);
	struct error err;
	struct hash h;
	uint64_t size;
	int fd;
	invariant(hash_from_text(http_path_arg(r, 0), &h));
	bool ok = blob_open(t->store, &h, &fd, &size, &err);
	http_finish(r, ok ? give_open(r, &h, fd, size) : refuse(r, &err));
}

struct http_reply *api_get(struct http_request *r)
{
	const struct t4 *t = http_ctx(r);
	struct content c = {.fd = -1};
	struct http_reply *reply;
	struct error err;
	struct hash h;
	bool later;
	if (!read_hash(r, &h, &reply))
		return reply;
	if (blob_read_again(t->store, &h, &c.bytes)) {
		c.size = c.bytes.len;
		return give(r, &c);
	}
	content_free(&c);
	if (!blob_open_quick(t->store, &h, HASH_HERE_MAX, &c.fd, &c.size, &later, &err))
		return refuse(r, &err);
	if (!later)
		return give_open(r, &h, c.fd, c.size);
	reply = http_reply_later(r);
	jobs_run(t->jobs, get_later, r);
	return reply;
}

/* ---- put ---- */

struct upload {
	struct hash hash;
	struct sat token;
	struct blob_put *put;
};

static void end_upload(struct http_request *r)
{
	struct t4 *t = http_ctx(r);
	atomic_fetch_sub(&t->uploads, 1);
}

/* What the header says of the size: Content-Length, and for a chunked body X-Content-Size; -1: nothing. */
static bool announced_size(struct http_request *r, int64_t *out, struct error *err)
{
	struct str own = http_header(r, T4_HEADER_SIZE);
	int64_t size;
	*out = http_content_length(r);
	if (!str_present(own))
		return true;
	if (!str_to_int64(own, &size) || size < 0)
		return error_set(err, ERR_MALFORMED_REQUEST, T4_HEADER_SIZE " must be a number of bytes");
	if (*out >= 0 && *out != size)
		return error_set(err, ERR_LENGTH_MISMATCH, T4_HEADER_SIZE " is %lld and Content-Length %lld", (long long)size, (long long)*out);
	*out = size;
	return true;
}

static bool take_place(struct t4 *t, struct error *err)
{
	if (atomic_fetch_add(&t->uploads, 1) < t->config.uploads_max)
		return true;
	atomic_fetch_sub(&t->uploads, 1);
	return error_set(err, ERR_OVERLOADED, "%lld uploads are under way, which is the limit", (long long)t->config.uploads_max);
}

static struct http_reply *put_begin(struct http_request *r)
{
	struct t4 *t = http_ctx(r);
	struct upload *u = arena_zalloc(http_arena(r), 1, sizeof(*u));
	struct http_reply *reply;
	struct error err;
	int64_t size;
	if (!read_hash(r, &u->hash, &reply))
		return reply;
	if (!api_allowed(r, T4_SCOPE_PUT, &u->token, &reply))
		return about(r, reply, -1);
	if (!announced_size(r, &size, &err) || !sat_fits_content(&u->token, &u->hash, size, &err) || !take_place(t, &err))
		return refuse(r, &err);
	u->put = blob_put_begin(t->store, &u->hash, size, &err);
	if (!u->put) {
		end_upload(r);
		return refuse(r, &err);
	}
	http_set_state(r, u);
	return NULL;
}

static struct http_reply *put_piece(struct http_request *r, const void *p, size_t n)
{
	struct upload *u = http_state(r);
	struct error err;
	if (!blob_put_write(u->put, p, n, &err))
		return refuse(r, &err);
	/* A chunked body may outgrow what the token is bound to; that it falls short shows at the end. */
	if (u->token.has_size && blob_put_taken(u->put) > (uint64_t)u->token.size &&
	    !sat_fits_content(&u->token, &u->hash, (int64_t)blob_put_taken(u->put), &err))
		return refuse(r, &err);
	return NULL;
}

static void put_abandon(struct http_request *r)
{
	struct upload *u = http_state(r);
	blob_put_abandon(u->put);
	end_upload(r);
}

const struct http_upload api_put_upload = {.begin = put_begin, .piece = put_piece, .abandon = put_abandon};

/* On a sync thread. */
static void put_done(void *request, bool changed, uint64_t size, const struct error *err)
{
	struct http_request *r = request;
	struct t4_put_answer answer = {.hash = http_path_arg(r, 0), .size = (int64_t)size, .stored = changed ? JSON_TRUE : JSON_FALSE};
	end_upload(r);
	http_finish(r, err ? refuse(r, err) : about(r, http_reply_json(r, changed ? 201 : 200, &t4_put_answer_message, &answer), answer.size));
}

struct http_reply *api_put(struct http_request *r)
{
	struct upload *u = http_state(r);
	struct http_reply *later = http_reply_later(r);
	struct error err;
	if (!sat_fits_content(&u->token, &u->hash, (int64_t)blob_put_taken(u->put), &err)) {
		put_abandon(r);
		return refuse(r, &err);
	}
	if (blob_put_finish(u->put, put_done, r, &err))
		return later;
	end_upload(r);
	return refuse(r, &err);
}

/* ---- delete ---- */

/* On a sync thread. */
static void delete_done(void *request, bool changed, uint64_t size, const struct error *err)
{
	struct http_request *r = request;
	struct t4_delete_answer answer = {.hash = http_path_arg(r, 0), .deleted = changed ? JSON_TRUE : JSON_FALSE};
	http_finish(r, err ? refuse(r, err) : about(r, http_reply_json(r, 200, &t4_delete_answer_message, &answer), (int64_t)size));
}

struct http_reply *api_delete(struct http_request *r)
{
	const struct t4 *t = http_ctx(r);
	struct http_reply *reply;
	struct error err;
	struct sat token;
	struct hash h;
	if (!read_hash(r, &h, &reply))
		return reply;
	if (!api_allowed(r, T4_SCOPE_DELETE, &token, &reply))
		return about(r, reply, -1);
	if (!sat_fits_content(&token, &h, -1, &err))
		return refuse(r, &err);
	reply = http_reply_later(r);
	blob_delete(t->store, &h, delete_done, r);
	return reply;
}
