/* Reading: is a file what its name says? And away with it when it is not. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "blob_private.h"

enum {
	DISK_PIECE = 1024 * 1024, /* bytes read at once past the cache */
	DISK_ALIGN = 4096,        /* what O_DIRECT asks for on all common disks */
	CHECKS_MAX = 3            /* of a file that changes while it is read */
};
/* Times of files may stand still for a tick of the clock (at most 10 ms); a file younger than this is not remembered there. */
#define TICK_NS INT64_C(100000000)

static int64_t file_clock_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t); /* what file times are taken from; it cannot fail for this clock */
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void remember(struct blob_store *s, const struct hash *h, const struct identity *id)
{
	int64_t newest = id->modified_ns > id->changed_ns ? id->modified_ns : id->changed_ns;
	if (s->exact_times || file_clock_ns() - newest > TICK_NS)
		identity_remember(s->verified, h, id);
}

void store_remember(struct blob_store *s, const struct hash *h, int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return; /* then the first read looks */
	struct identity id = identity_of(&st);
	remember(s, h, &id);
}

/* ---- quarantine ---- */

/* Moves the file away, if the name still means the one that was looked at. */
static void quarantine(struct blob_store *s, const struct hash *h, const struct identity *bad, const char *why)
{
	struct blob_name name = blob_name(h);
	struct shard *d = blob_shard(s, h);
	char to[HASH_TEXT_LEN + 64];
	struct stat st;
	int failure = 0;
	(void)snprintf(to, sizeof(to), "%s.%lld.%llu", name.text, (long long)clock_wall_ms(),
		       (unsigned long long)atomic_fetch_add(&s->next_name, 1));
	pthread_mutex_lock(&d->lock);
	bool same = fstatat(d->fd, name.text, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == bad->device && st.st_ino == bad->inode;
	if (same && renameat(d->fd, name.text, s->quarantine_fd, to) == 0)
		shard_changed(d, -1, (uint64_t)st.st_size);
	else if (same)
		failure = errno;
	pthread_mutex_unlock(&d->lock);
	open_files_drop(s->open_files, h);
	if (!same)
		return; /* it was moved, replaced or deleted meanwhile */
	if (failure) {
		struct error err;
		error_errno(&err, ERR_IO, failure, "cannot move it to quarantine");
		log_error("a stored blob is corrupt, and stays where it is; it is not served", LOG_S("hash", name.text), LOG_S("why", why),
			  LOG_S("cause", err.message));
		return;
	}
	store_count(&s->quarantined, 1);
	log_error("a stored blob is corrupt and was moved to quarantine", LOG_S("hash", name.text), LOG_S("why", why), LOG_S("as", to));
}

/* ---- looking ---- */

static bool unknown(const struct hash *h, struct error *err)
{
	return error_set(err, ERR_UNKNOWN_CONTENT, "nothing is stored under %s", blob_name(h).text);
}

static bool corrupt(struct blob_store *s, const struct hash *h, const struct identity *id, const char *why, struct error *err)
{
	quarantine(s, h, id, why);
	return error_set(err, ERR_CONTENT_CORRUPT, "what is stored under %s does not match it: %s", blob_name(h).text, why);
}

/* Only regular files are ever put under a hash: whatever else is there was not stored by us. */
static bool odd_file(struct blob_store *s, const struct hash *h, struct error *err)
{
	struct stat st;
	if (fstatat(blob_shard(s, h)->fd, blob_name(h).text, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return unknown(h, err);
	struct identity id = identity_of(&st);
	return corrupt(s, h, &id, "it is not a regular file", err);
}

static bool look(int fd, struct identity *id, bool *regular, struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return store_errno(err, errno, "cannot look at a blob");
	*id = identity_of(&st);
	*regular = S_ISREG(st.st_mode);
	return true;
}

/* Opens what is under the name. flags: O_DIRECT or 0; a file system that has it not gives the file without. */
static bool open_file(struct blob_store *s, const struct hash *h, int flags, int *fd, struct identity *id, struct error *err)
{
	bool regular = false;
	int how = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK; /* a FIFO must not hold us */
	*fd = openat(blob_shard(s, h)->fd, blob_name(h).text, how | flags);
	if (*fd < 0 && flags && errno == EINVAL)
		*fd = openat(blob_shard(s, h)->fd, blob_name(h).text, how);
	if (*fd < 0 && errno == ENOENT)
		return unknown(h, err);
	if (*fd < 0 && (errno == ELOOP || errno == ENXIO))
		return odd_file(s, h, err);
	if (*fd < 0)
		return store_errno(err, errno, "cannot open a blob");
	if (look(*fd, id, &regular, err) && (regular || odd_file(s, h, err)))
		return true;
	(void)close(*fd);
	return false;
}

static bool look_up(struct blob_store *s, const struct hash *h, struct identity *id)
{
	struct stat st;
	if (fstatat(blob_shard(s, h)->fd, blob_name(h).text, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return false;
	*id = identity_of(&st);
	return true;
}

bool blob_exists(struct blob_store *s, const struct hash *h, uint64_t *size)
{
	struct identity id = {0};
	bool there = look_up(s, h, &id);
	if (there && size)
		*size = id.size;
	return there;
}

bool blob_stored_at(struct blob_store *s, const struct hash *h, int64_t *ns, uint64_t *size)
{
	struct identity id = {0};
	if (!look_up(s, h, &id))
		return false;
	*ns = id.changed_ns; /* set when it was linked into place */
	*size = id.size;
	return true;
}

/* ---- hashing ---- */

/* How a file is read: with which room, and who waits between its pieces. */
struct reading {
	void *room;
	size_t n;
	blob_pace_fn *pace; /* may be NULL */
	void *ctx;
};

/* Hashes the file's first `size` bytes, or as many as there are. */
static bool hash_file(struct blob_store *s, int fd, uint64_t size, const struct reading *how, struct hash *out, struct error *err)
{
	struct sha256_state state;
	uint64_t at = 0;
	sha256_init(&state);
	while (at < size) { /* and not on to a last empty read: past the cache that is an error when the size is not aligned */
		if (atomic_load_explicit(&s->cancelled, memory_order_relaxed))
			return error_set(err, ERR_SHUTTING_DOWN, "the service is shutting down");
		ssize_t n = pread(fd, how->room, how->n, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return store_errno(err, errno, "cannot read a blob");
		if (n == 0)
			break;
		sha256_update(&state, how->room, (size_t)n);
		at += (uint64_t)n;
		if (how->pace && !how->pace(how->ctx, (size_t)n))
			return error_set(err, ERR_SHUTTING_DOWN, "the check was ended");
	}
	sha256_final(&state, out);
	store_count(&s->hashed, 1);
	store_count(&s->hashed_bytes, (int64_t)at);
	return true;
}

/* Does the open file match, and did it not change while it was read? *id is its identity before, and after a true return still. */
static bool check_file(struct blob_store *s, const struct hash *h, int fd, struct identity *id, const struct reading *how,
		       struct error *err)
{
	for (int i = 0; i < CHECKS_MAX; i++) {
		struct identity before = *id;
		struct hash found;
		bool regular = false;
		if (!hash_file(s, fd, before.size, how, &found, err) || !look(fd, id, &regular, err))
			return false;
		if (!identity_equal(&before, id))
			continue;
		if (!hash_equal(&found, h))
			return corrupt(s, h, id, "its bytes have another hash", err);
		remember(s, h, id);
		return true;
	}
	return error_set(err, ERR_UNAVAILABLE, "what is stored under %s is being changed", blob_name(h).text);
}

static bool check_cached(struct blob_store *s, const struct hash *h, int fd, struct identity *id, struct error *err)
{
	unsigned char room[HASH_PIECE];
	struct reading how = {.room = room, .n = sizeof(room)};
	return check_file(s, h, fd, id, &how, err);
}

bool blob_open_quick(struct blob_store *s, const struct hash *h, uint64_t hash_max, int *fd, uint64_t *size, bool *later, struct error *err)
{
	struct identity id = {0};
	*later = false;
	if (!open_file(s, h, 0, fd, &id, err))
		return false;
	bool known = s->o.verify == VERIFY_ONCE && identity_known(s->verified, h, &id);
	if (known) {
		store_count(&s->remembered_hits, 1);
	} else if (id.size > hash_max) {
		*later = true;
		(void)close(*fd);
		return true;
	} else if (!check_cached(s, h, *fd, &id, err)) {
		(void)close(*fd);
		return false;
	}
	*size = id.size;
	return true;
}

bool blob_open(struct blob_store *s, const struct hash *h, int *fd, uint64_t *size, struct error *err)
{
	bool later;
	return blob_open_quick(s, h, UINT64_MAX, fd, size, &later, err);
}

/* ---- small blobs ---- */

/* Appends n bytes; false, with errno or 0 at the file's end, when they cannot be had. */
static bool read_whole(int fd, size_t n, struct buf *out)
{
	size_t begin = out->len;
	buf_reserve(out, n + 1); /* one more for whoever takes the bytes with a NUL */
	while (out->len < begin + n) {
		ssize_t got = pread(fd, out->data + out->len, begin + n - out->len, (off_t)(out->len - begin));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			errno = got == 0 ? 0 : errno;
			out->len = begin;
			return false;
		}
		out->len += (size_t)got;
	}
	return true;
}

bool blob_read_small(struct blob_store *s, const struct hash *h, int fd, uint64_t size, struct buf *out, struct error *err)
{
	struct stat st;
	invariant(size <= BLOB_SMALL);
	if (!read_whole(fd, (size_t)size, out)) {
		if (errno)
			store_errno(err, errno, "cannot read a blob");
		else
			error_set(err, ERR_UNAVAILABLE, "what is stored under %s is being changed", blob_name(h).text);
		(void)close(fd);
		return false;
	}
	struct identity id = {0};
	if (fstat(fd, &st) == 0)
		id = identity_of(&st);
	if (s->open_files && identity_known(s->verified, h, &id))
		open_files_keep(s->open_files, h, &id, fd);
	else
		(void)close(fd);
	return true;
}

/* A file that was replaced or deleted has another ctime, or no name any more. */
static bool unchanged(const struct open_file *f)
{
	struct stat st;
	if (fstat(f->fd, &st) != 0 || st.st_nlink == 0)
		return false;
	struct identity id = identity_of(&st);
	return identity_equal(&id, &f->verified);
}

bool blob_read_again(struct blob_store *s, const struct hash *h, struct buf *out)
{
	struct open_file f;
	if (!open_files_take(s->open_files, h, &f))
		return false;
	size_t begin = out->len;
	bool ok = read_whole(f.fd, (size_t)f.verified.size, out) && unchanged(&f); /* in this order: a change while it is read shows too */
	open_files_give_back(s->open_files, h, &f, ok);
	if (ok)
		store_count(&s->remembered_hits, 1);
	else
		out->len = begin;
	return ok;
}

/* Room to read it in: for a small file a small one, whose pages cost more than its hash otherwise. */
static size_t disk_piece(uint64_t size)
{
	uint64_t aligned = (size / DISK_ALIGN + 1) * DISK_ALIGN;
	return aligned < DISK_PIECE ? (size_t)aligned : DISK_PIECE;
}

bool blob_verify(struct blob_store *s, const struct hash *h, blob_pace_fn *pace, void *ctx, uint64_t *size, struct error *err)
{
	struct identity id = {0};
	int fd;
	if (!open_file(s, h, O_DIRECT, &fd, &id, err))
		return false;
	verity_seal(s, fd);
	struct reading how = {.n = disk_piece(id.size), .pace = pace, .ctx = ctx};
	invariant(posix_memalign(&how.room, DISK_ALIGN, how.n) == 0);
	bool ok = check_file(s, h, fd, &id, &how, err);
	free(how.room);
	(void)close(fd);
	*size = id.size;
	return ok;
}

bool store_has_verified(struct blob_store *s, const struct hash *h, bool *has, struct error *err)
{
	int fd;
	uint64_t size;
	*has = blob_open(s, h, &fd, &size, err);
	if (*has) {
		(void)close(fd);
		return true;
	}
	return err->code == ERR_UNKNOWN_CONTENT || err->code == ERR_CONTENT_CORRUPT;
}
