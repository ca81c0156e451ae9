/* Fetching blobs: into memory, into files, and on from where an earlier attempt broke off. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/stop.h"
#include "client/t4_client_call.h"

enum {
	BREAKS_MAX = 8,           /* broken connections in one fetch, each after at least one byte; then it is left for later */
	REHASHED_AT_ONCE = 256 * 1024,
	PART_DIGITS = 16          /* of the hash, in the name of an unfinished file */
};

/* ---- Memory ---- */

struct to_memory {
	struct buf *out;
	size_t start, max;
};

static bool memory_sink(void *ctx, const void *p, size_t n, struct error *err)
{
	struct to_memory *m = ctx;
	if (n > m->max - (m->out->len - m->start))
		return error_set(err, ERR_TOO_LARGE, "the content is larger than %zu bytes", m->max);
	buf_put(m->out, p, n);
	return true;
}

static bool wrong_bytes(const struct t4_client *c, const struct hash *hash, struct error *err)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(hash, text);
	error_set(err, ERR_CORRUPT, "%s sent bytes that do not have the hash %s: they were thrown away.", c->url, text);
	return error_hint(err, "fetch it from another node: --t4-url URL");
}

bool t4_fetch(struct t4_client *c, const struct hash *hash, size_t max, struct buf *out, struct error *err)
{
	char path[T4_PATH_SIZE];
	struct http_answer_in answer;
	struct to_memory m = {.out = out, .start = out->len, .max = max};
	struct hash got;

	t4_content_path(hash, path);
	struct http_transfer t = {.method = "GET", .path = path, .sink = memory_sink, .ctx = &m, .stop = c->stop};
	bool ok = http_transfer(c->http, &t, &answer, err);
	if (ok) {
		ok = answer.status == 200 || http_answer_error(&answer, err);
		http_answer_free(&answer);
	}
	if (ok) {
		sha256(&got, out->data + m.start, out->len - m.start);
		ok = hash_equal(&got, hash) || wrong_bytes(c, hash, err);
	}
	if (!ok)
		out->len = m.start;
	return ok;
}

/* ---- Files ---- */

struct download {
	struct t4_client *c;
	int fd;
	int64_t at, total;         /* bytes there and hashed; bytes of the whole, -1: not known */
	struct sha256_state state;
};

static bool restart(struct download *d, struct error *err)
{
	d->at = 0;
	d->total = -1;
	sha256_init(&d->state);
	return ftruncate(d->fd, 0) == 0 || error_errno(err, ERR_IO, errno, "cannot empty the file");
}

/* Reads the digits before `end`, and steps over it. */
static bool read_number(const char **p, char end, int64_t *out)
{
	const char *stop = strchr(*p, end);
	if (!stop || !str_to_int64(str_of(*p, (size_t)(stop - *p)), out) || *out < 0)
		return false;
	*p = stop + (end != '\0');
	return true;
}

/* "bytes 5-9/10" (RFC 9110, 14.4) */
static bool read_content_range(const char *p, int64_t *first, int64_t *last, int64_t *whole)
{
	if (strncmp(p, "bytes ", 6) != 0)
		return false;
	p += 6;
	return read_number(&p, '-', first) && read_number(&p, '/', last) && read_number(&p, '\0', whole);
}

/* What the answer's header says of where its bytes belong. */
static bool download_head(void *ctx, const struct http_answer_in *a, struct error *err)
{
	struct download *d = ctx;
	int64_t first, last, whole;

	if (a->length < 0)
		return error_set(err, ERR_BAD_ANSWER, "%s does not say how large the content is.", d->c->url);
	if (a->status == 206) {
		if (!read_content_range(a->content_range, &first, &last, &whole) || first != d->at || last + 1 != whole)
			return error_set(err, ERR_BAD_ANSWER, "%s sends another part of the content than it was asked for.", d->c->url);
		d->total = whole;
		return true;
	}
	if (a->status != 200)
		return error_set(err, ERR_BAD_ANSWER, "%s answered with status %d and not with the content.", d->c->url, a->status);
	/* The whole of it, though a part was asked for: stores may. */
	if (d->at > 0 && !restart(d, err))
		return false;
	d->total = a->length;
	return true;
}

static bool download_sink(void *ctx, const void *p, size_t n, struct error *err)
{
	struct download *d = ctx;
	const char *from = p;

	for (size_t left = n; left > 0;) {
		ssize_t wrote = pwrite(d->fd, from, left, d->at);
		if (wrote < 0 && errno != EINTR)
			return error_errno(err, ERR_IO, errno, "cannot write what was fetched");
		if (wrote <= 0)
			continue;
		sha256_update(&d->state, from, (size_t)wrote);
		d->at += wrote;
		from += wrote;
		left -= (size_t)wrote;
	}
	t4_report(d->c, d->at, d->total);
	return true;
}

enum outcome { DONE, BROKEN /* the network's fault: *err */, BEYOND /* the part is as long as the whole, or longer */, FAILED };

static enum outcome download_once(struct download *d, const struct hash *hash, struct error *err)
{
	char path[T4_PATH_SIZE], range[48], if_range[HASH_TEXT_LEN + 16], text[HASH_TEXT_LEN + 1];
	const char *headers[] = {range, if_range, NULL};
	struct http_answer_in answer;

	t4_content_path(hash, path);
	hash_to_text(hash, text);
	snprintf(range, sizeof range, "Range: bytes=%" PRId64 "-", d->at);
	snprintf(if_range, sizeof if_range, "If-Range: \"%s\"", text);
	struct http_transfer t = {.method = "GET", .path = path, .headers = d->at > 0 ? headers : NULL, .head = download_head,
				  .sink = download_sink, .ctx = d, .stop = d->c->stop};
	if (!http_transfer(d->c->http, &t, &answer, err))
		return err->code == ERR_UNREACHABLE || err->code == ERR_TIMED_OUT ? BROKEN : FAILED;
	enum outcome result = answer.status < 300 ? DONE : answer.status == 416 ? BEYOND : FAILED;
	if (result == FAILED)
		http_answer_error(&answer, err);
	http_answer_free(&answer);
	return result;
}

/*
 * Until all bytes are there, and are the right ones. A part from before is not trusted: when the whole turns out wrong, everything is
 * fetched once more from the beginning.
 */
static bool download(struct download *d, const struct hash *hash, struct error *err)
{
	bool from_before = d->at > 0;

	for (int breaks = 0;;) {
		int64_t before = d->at;
		enum outcome o = download_once(d, hash, err);
		struct sha256_state state = d->state;
		struct hash got;
		if (o == FAILED || (o == BROKEN && (d->at <= before || ++breaks > BREAKS_MAX)))
			return false;
		if (o == BROKEN)
			continue;
		sha256_final(&state, &got);
		if (hash_equal(&got, hash))
			return true;
		if (!from_before)
			return wrong_bytes(d->c, hash, err);
		from_before = false;
		if (!restart(d, err))
			return false;
	}
}

bool t4_fetch_fd(struct t4_client *c, const struct hash *hash, int fd, int64_t *size, struct error *err)
{
	struct download d = {.c = c, .fd = fd};
	bool ok = restart(&d, err) && download(&d, hash, err);

	if (ok)
		*size = d.at;
	return ok;
}

/* ---- Unfinished files ---- */

/* "<dir>/.<name>.<digits>.part"; malloc'ed. */
static char *part_path(const char *path, const struct hash *hash)
{
	char text[HASH_TEXT_LEN + 1];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct buf out = {0};
	size_t n;

	hash_to_text(hash, text);
	buf_put(&out, path, (size_t)(name - path));
	buf_printf(&out, ".%s.%.*s.part", name, PART_DIGITS, text);
	return buf_steal(&out, &n);
}

static bool same_file(int fd, const char *path)
{
	struct stat a, b;
	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * Opens the unfinished file and locks it. Whoever had the lock may have finished and renamed it meanwhile: then it is another's, and a
 * new one is begun.
 */
static int open_part(const char *part, struct error *err)
{
	for (;;) {
		int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (fd < 0) {
			error_errno(err, ERR_IO, errno, "cannot write %s", part);
			return -1;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			close(fd);
			error_set(err, ERR_WRONG_STATE, "Another process is fetching into %s.", part);
			return -1;
		}
		if (same_file(fd, part))
			return fd;
		close(fd);
	}
}

/* Hashes what is there already. */
static bool take_up(struct download *d, struct error *err)
{
	char *piece = xmalloc(REHASHED_AT_ONCE);
	bool ok = true;

	sha256_init(&d->state);
	for (;;) {
		ssize_t got = pread(d->fd, piece, REHASHED_AT_ONCE, d->at);
		if (got < 0 && errno != EINTR)
			ok = error_errno(err, ERR_IO, errno, "cannot read the unfinished file");
		else if (stop_asked(d->c->stop))
			ok = error_set(err, ERR_INTERRUPTED, "The transfer was interrupted.");
		if (!ok || got == 0)
			break;
		if (got > 0) {
			sha256_update(&d->state, piece, (size_t)got);
			d->at += got;
		}
	}
	free(piece);
	return ok;
}

static bool sync_directory(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash == path ? xstrdup("/") : slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (!ok)
		error_errno(err, ERR_IO, errno, "cannot sync the directory %s", dir);
	if (fd >= 0)
		close(fd);
	free(dir);
	return ok;
}

/* From the unfinished name to the final one, durably. */
static bool finish(int fd, const char *part, const char *path, bool replace, struct error *err)
{
	if (fsync(fd) != 0)
		return error_errno(err, ERR_IO, errno, "cannot sync %s", part);
	if (replace ? rename(part, path) != 0 : link(part, path) != 0)
		return errno == EEXIST ? error_set(err, ERR_ALREADY_EXISTS, "%s is there already.", path)
				       : error_errno(err, ERR_IO, errno, "cannot name the file %s", path);
	if (!replace)
		unlink(part);
	return sync_directory(path, err);
}

bool t4_fetch_file(struct t4_client *c, const struct hash *hash, const char *path, bool replace, int64_t *size, int64_t *resumed_at,
		   struct error *err)
{
	if (!replace && access(path, F_OK) == 0)
		return error_set(err, ERR_ALREADY_EXISTS, "%s is there already.", path);
	char *part = part_path(path, hash);
	struct download d = {.c = c, .fd = open_part(part, err), .total = -1};
	bool ok = d.fd >= 0 && take_up(&d, err);

	if (resumed_at)
		*resumed_at = d.at;
	ok = ok && download(&d, hash, err);
	/* Bytes that turned out wrong, and an empty file, are of no use to a later attempt. */
	if (!ok && d.fd >= 0 && (d.at == 0 || err->code == ERR_CORRUPT))
		unlink(part);
	ok = ok && finish(d.fd, part, path, replace, err);
	if (ok)
		*size = d.at;
	if (d.fd >= 0)
		close(d.fd);
	free(part);
	return ok;
}
