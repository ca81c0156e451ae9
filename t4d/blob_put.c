/* Writing: a body becomes a file, hashed as it comes. What makes it durable and visible is blob_sync.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "blob_private.h"

enum {
	LOOK_EVERY = 8 * 1024 * 1024 /* bytes taken between two looks at the free space */
};

/* ---- limits ---- */

static bool too_large(const struct blob_store *s, struct error *err)
{
	return error_set(err, ERR_TOO_LARGE, "blobs here have at most %llu bytes", (unsigned long long)s->o.max_object_size);
}

/* Is there room for `more` bytes beside those that other puts announced? */
static bool has_room(struct blob_store *s, uint64_t more, struct error *err)
{
	uint64_t free_bytes = blob_free_space(s), wanted;
	if (!__builtin_add_overflow(atomic_load(&s->reserved), s->o.min_free_space, &wanted) &&
	    !__builtin_add_overflow(wanted, more, &wanted) && wanted <= free_bytes)
		return true;
	error_set(err, ERR_STORAGE_FULL, "there is no room for it: %llu bytes are free, and %llu are kept free",
		  (unsigned long long)free_bytes, (unsigned long long)s->o.min_free_space);
	return error_hint(err, "reading goes on; the operator makes room or lowers --min-free-space");
}

static void unreserve(struct blob_put *p, uint64_t n)
{
	n = n < p->reserved ? n : p->reserved;
	p->reserved -= n;
	atomic_fetch_sub(&p->store->reserved, n);
}

/* ---- life ---- */

static bool open_temporary(struct blob_put *p, struct error *err)
{
	struct blob_store *s = p->store;
	if (s->nameless) {
		p->fd = openat(s->tmp_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, BLOB_MODE);
	} else {
		(void)snprintf(p->name, sizeof(p->name), "put-%llu", (unsigned long long)atomic_fetch_add(&s->next_name, 1));
		p->fd = openat(s->tmp_fd, p->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, BLOB_MODE);
	}
	if (p->fd >= 0)
		return true;
	p->name[0] = '\0';
	return store_errno(err, errno, "cannot begin a file for a blob");
}

struct blob_put *blob_put_begin(struct blob_store *s, const struct hash *h, int64_t announced, struct error *err)
{
	uint64_t size = announced > 0 ? (uint64_t)announced : 0;
	if (!blob_store_writable(s, err))
		return NULL;
	if (size > s->o.max_object_size) {
		too_large(s, err);
		return NULL;
	}
	if (!has_room(s, size, err))
		return NULL;
	size_t rest_max = announced >= 0 && size < WRITE_PIECE ? (size_t)size : WRITE_PIECE;
	struct blob_put *p = xmalloc(sizeof(*p) + rest_max);
	*p = (struct blob_put){.store = s};
	p->hash = *h;
	p->announced = announced < 0 ? -1 : announced;
	p->reserved = size;
	p->look_at = LOOK_EVERY;
	p->fd = -1;
	sha256_init(&p->state);
	atomic_fetch_add(&s->reserved, size);
	if (open_temporary(p, err))
		return p;
	put_free(p);
	return NULL;
}

void put_free(struct blob_put *p)
{
	unreserve(p, p->reserved);
	if (p->fd >= 0)
		(void)close(p->fd);
	if (p->name[0])
		(void)unlinkat(p->store->tmp_fd, p->name, 0);
	free(p);
}

void blob_put_abandon(struct blob_put *p)
{
	put_free(p);
}

uint64_t blob_put_taken(const struct blob_put *p)
{
	return p->taken;
}

/* ---- bytes ---- */

static bool write_all(int fd, struct iovec *parts, int count, struct error *err)
{
	while (count > 0) {
		ssize_t n = writev(fd, parts, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return store_errno(err, errno, "cannot write a blob");
		for (; count > 0 && (size_t)n >= parts->iov_len; parts++, count--)
			n -= (ssize_t)parts->iov_len;
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + n;
			parts->iov_len -= (size_t)n;
		}
	}
	return true;
}

/* What was kept before, and n bytes behind it. */
static bool write_with_rest(struct blob_put *p, const unsigned char *data, size_t n, struct error *err)
{
	union {
		const unsigned char *in;
		void *out;
	} next = {.in = data}; /* writev takes no const, and does not write there */
	struct iovec parts[2] = {{p->rest, p->rest_len}, {next.out, n}};
	p->rest_len = 0;
	return write_all(p->fd, parts, 2, err);
}

/* Writes are large and begin where a piece of the file does: then the kernel takes large runs of memory for them. */
static bool take(struct blob_put *p, const unsigned char *data, size_t n, struct error *err)
{
	while (p->rest_len + n >= WRITE_PIECE) {
		size_t now = WRITE_PIECE - p->rest_len;
		if (!write_with_rest(p, data, now, err))
			return false;
		data += now;
		n -= now;
	}
	memcpy(p->rest + p->rest_len, data, n);
	p->rest_len += n;
	return true;
}

static bool write_rest(struct blob_put *p, struct error *err)
{
	return p->rest_len == 0 || write_with_rest(p, NULL, 0, err);
}

static bool wrong_length(const struct blob_put *p, uint64_t n, struct error *err)
{
	return error_set(err, ERR_LENGTH_MISMATCH, "%lld bytes were announced and %s%llu came", (long long)p->announced,
			 n > (uint64_t)p->announced ? "at least " : "", (unsigned long long)n);
}

bool blob_put_write(struct blob_put *p, const void *data, size_t n, struct error *err)
{
	uint64_t taken = p->taken + n;
	if (taken > p->store->o.max_object_size)
		return too_large(p->store, err);
	if (p->announced >= 0 && taken > (uint64_t)p->announced)
		return wrong_length(p, taken, err);
	if (taken >= p->look_at) {
		p->look_at = taken + LOOK_EVERY;
		if (!has_room(p->store, n, err))
			return false;
	}
	sha256_update(&p->state, data, n);
	if (!take(p, data, n, err))
		return false;
	p->taken = taken;
	unreserve(p, n);
	return true;
}

bool blob_put_finish(struct blob_put *p, blob_done_fn *done, void *ctx, struct error *err)
{
	struct hash found;
	bool ok = p->announced < 0 || p->taken == (uint64_t)p->announced || wrong_length(p, p->taken, err);
	if (ok) {
		sha256_final(&p->state, &found);
		ok = hash_equal(&found, &p->hash) || error_set(err, ERR_HASH_MISMATCH, "the bytes have the hash %s", blob_name(&found).text);
	}
	if (!ok || !write_rest(p, err)) {
		put_free(p);
		return false;
	}
	sync_put(p->store->sync, p, done, ctx);
	return true;
}

void blob_delete(struct blob_store *s, const struct hash *h, blob_done_fn *done, void *ctx)
{
	sync_delete(s->sync, h, done, ctx);
}
