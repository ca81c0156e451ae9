/* Opening and closing, what the file system can do, free space, the read-only state. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "blob_private.h"

/* ---- errors ---- */

bool store_errno(struct error *err, int errnum, const char *what)
{
	switch (errnum) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return error_errno(err, ERR_OVERLOADED, errnum, "%s", what);
	case EROFS:
		return error_errno(err, ERR_READ_ONLY, errnum, "%s", what);
	case EFBIG: /* beyond what the file system or the process' limits allow */
		return error_errno(err, ERR_STORAGE_FULL, errnum, "%s", what);
	}
	return error_errno(err, ERR_IO, errnum, "%s", what);
}

void store_set_read_only(struct blob_store *s, const char *reason)
{
	pthread_mutex_lock(&s->reason_lock);
	bool first = !atomic_load(&s->read_only);
	if (first)
		(void)snprintf(s->reason, sizeof(s->reason), "%s", reason);
	atomic_store(&s->read_only, true);
	pthread_mutex_unlock(&s->reason_lock);
	if (first)
		log_error("the store is read-only from now on; start again once the disk is known to be well", LOG_S("cause", reason));
}

bool blob_store_writable(struct blob_store *s, struct error *err)
{
	if (!atomic_load(&s->read_only))
		return true;
	pthread_mutex_lock(&s->reason_lock);
	error_set(err, ERR_READ_ONLY, "the store takes no changes: %s", s->reason);
	pthread_mutex_unlock(&s->reason_lock);
	return error_hint(err, "reading goes on; the operator starts the service again once the disk is known to be well");
}

/* ---- directories ---- */

static int open_directory(int at, const char *name, bool make, struct error *err)
{
	if (make && mkdirat(at, name, DIRECTORY_MODE) != 0 && errno != EEXIST) {
		error_errno(err, ERR_IO, errno, "cannot make the directory %s of the store", name);
		return -1;
	}
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		error_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open the directory %s of the store", name);
	return fd;
}

/* A blob is no more durable than the directories it is in. Nothing to do, and cheap, unless they are new. */
static bool sync_directories(struct blob_store *s, struct error *err)
{
	int parent = openat(s->root_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fsync(s->root_fd) == 0 && (parent < 0 || fsync(parent) == 0);
	if (!ok)
		error_errno(err, ERR_IO, errno, "cannot sync %s", s->dir);
	if (parent >= 0)
		(void)close(parent);
	return ok;
}

static bool open_directories(struct blob_store *s, struct error *err)
{
	bool make = s->o.role == STORE_SERVES;
	if (make && !file_make_dirs(s->dir, DIRECTORY_MODE, err))
		return false;
	s->root_fd = open_directory(AT_FDCWD, s->dir, false, err);
	if (s->root_fd < 0)
		return false;
	s->tmp_fd = open_directory(s->root_fd, "tmp", make, err);
	if (s->tmp_fd < 0)
		return false;
	s->quarantine_fd = open_directory(s->root_fd, "quarantine", make, err);
	if (s->quarantine_fd < 0)
		return false;
	for (unsigned i = 0; i < BLOB_SHARDS; i++) {
		char name[3];
		(void)snprintf(name, sizeof(name), "%02x", i);
		s->shards[i].fd = open_directory(s->root_fd, name, make, err);
		if (s->shards[i].fd < 0)
			return false;
	}
	return !make || sync_directories(s, err);
}

/* The serving process holds this until it ends, however it ends. */
static bool lock_directory(struct blob_store *s, struct error *err)
{
	if (flock(s->tmp_fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno == EWOULDBLOCK)
		return error_set(err, ERR_WRONG_STATE, "another t4d serves %s", s->dir);
	return error_errno(err, ERR_IO, errno, "cannot lock %s/tmp", s->dir);
}

static bool remove_temporaries(struct blob_store *s, struct error *err)
{
	int fd = openat(s->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		error_errno(err, ERR_IO, errno, "cannot read %s/tmp", s->dir);
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	int removed = 0;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.' && unlinkat(s->tmp_fd, e->d_name, 0) == 0)
			removed++;
	(void)closedir(d);
	if (removed > 0)
		log_info("unfinished uploads of an earlier run were removed", LOG_I("files", removed));
	return true;
}

/* ---- what the file system can do ---- */

static const char probe_name[] = "probe";

static bool probe_link(struct blob_store *s, int fd)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, s->tmp_fd, probe_name, AT_SYMLINK_FOLLOW) == 0 && unlinkat(s->tmp_fd, probe_name, 0) == 0;
}

/* Are changes within one tick of the clock told apart (Linux 6.13 and later, on some file systems)? */
static bool probe_times(int fd)
{
	enum { CHANGES = 8 };
	struct stat before, after;
	if (fstat(fd, &before) != 0)
		return false;
	for (int i = 0; i < CHANGES; i++) {
		if (pwrite(fd, "x", 1, 0) != 1 || fstat(fd, &after) != 0)
			return false;
		struct identity a = identity_of(&before), b = identity_of(&after);
		if (a.changed_ns == b.changed_ns)
			return false;
		before = after;
	}
	return true;
}

/*
 * Linux 5.8 and later keep a file system's failures until they are told. Of stacked and network file systems we do not know which
 * failures reach them.
 */
static bool probe_syncfs(const struct blob_store *s)
{
	static const long known[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC};
	struct utsname kernel;
	struct statfs f;
	if (uname(&kernel) != 0 || fstatfs(s->root_fd, &f) != 0)
		return false;
	char *end;
	long major = strtol(kernel.release, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	bool listed = false;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		listed = listed || (long)f.f_type == known[i];
	return listed && (major > 5 || (major == 5 && minor >= 8));
}

static void probe(struct blob_store *s)
{
	int fd = openat(s->tmp_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, BLOB_MODE);
	s->nameless = fd >= 0 && probe_link(s, fd);
	if (fd < 0)
		fd = openat(s->tmp_fd, probe_name, O_CREAT | O_RDWR | O_CLOEXEC, BLOB_MODE);
	s->syncfs_tells = probe_syncfs(s);
	atomic_store(&s->verity, verity_probe(s));
	s->exact_times = fd >= 0 && probe_times(fd);
	if (fd >= 0)
		(void)close(fd);
	if (!s->nameless)
		(void)unlinkat(s->tmp_fd, probe_name, 0);
	log_debug("the file system was probed", LOG_I("nameless_files", s->nameless), LOG_I("exact_times", s->exact_times),
		  LOG_I("syncfs", s->syncfs_tells), LOG_I("fs_verity", blob_store_seals(s)));
}

/* ---- life ---- */

static bool open_all(struct blob_store *s, struct error *err)
{
	if (!open_directories(s, err))
		return false;
	if (s->o.role == STORE_OFFLINE)
		return true;
	if (!lock_directory(s, err) || !remove_temporaries(s, err))
		return false;
	probe(s);
	return true;
}

struct blob_store *blob_store_open(const struct blob_store_options *o, struct error *err)
{
	struct blob_store *s = xcalloc(1, sizeof(*s));
	s->o = *o;
	s->dir = xstrdup(o->dir);
	s->o.dir = s->dir;
	s->root_fd = s->tmp_fd = s->quarantine_fd = -1;
	for (size_t i = 0; i < BLOB_SHARDS; i++) {
		s->shards[i].fd = -1;
		invariant(pthread_mutex_init(&s->shards[i].lock, NULL) == 0 && pthread_mutex_init(&s->shards[i].sync_lock, NULL) == 0);
	}
	invariant(pthread_mutex_init(&s->reason_lock, NULL) == 0);
	s->verified = identity_set_new(o->remembered_max);
	s->open_files = open_files_new(o->verify == VERIFY_ONCE ? o->open_files_max : 0);
	if (!open_all(s, err)) {
		blob_store_close(s);
		return NULL;
	}
	s->sync = sync_start(s);
	return s;
}

void blob_store_cancel(struct blob_store *s)
{
	atomic_store(&s->cancelled, true);
}

void blob_store_quiesce(struct blob_store *s)
{
	sync_stop(s->sync);
	s->sync = NULL;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void blob_store_close(struct blob_store *s)
{
	if (!s)
		return;
	blob_store_quiesce(s);
	for (size_t i = 0; i < BLOB_SHARDS; i++) {
		close_fd(s->shards[i].fd);
		pthread_mutex_destroy(&s->shards[i].lock);
		pthread_mutex_destroy(&s->shards[i].sync_lock);
	}
	close_fd(s->quarantine_fd);
	close_fd(s->tmp_fd);
	close_fd(s->root_fd);
	pthread_mutex_destroy(&s->reason_lock);
	open_files_free(s->open_files);
	identity_set_free(s->verified);
	free(s->dir);
	free(s);
}

/* ---- counting ---- */

void shard_changed(struct shard *d, int sign, uint64_t size)
{
	if (!d->counted)
		return;
	d->objects += sign;
	d->bytes += sign * (int64_t)size;
}

void blob_totals(struct blob_store *s, struct blob_totals *out)
{
	*out = (struct blob_totals){.quarantined = s->quarantined,
				    .puts = s->puts,
				    .duplicates = s->duplicates,
				    .deletes = s->deletes,
				    .put_bytes = s->put_bytes,
				    .syncs = s->syncs,
				    .files_synced = s->files_synced,
				    .remembered_hits = s->remembered_hits,
				    .hashed = s->hashed,
				    .hashed_bytes = s->hashed_bytes};
	for (size_t i = 0; i < BLOB_SHARDS; i++) {
		struct shard *d = &s->shards[i];
		pthread_mutex_lock(&d->lock);
		out->counted += d->counted;
		out->objects += d->objects;
		out->bytes += d->bytes;
		pthread_mutex_unlock(&d->lock);
	}
}

uint64_t blob_free_space(struct blob_store *s)
{
	struct statvfs v;
	return fstatvfs(s->tmp_fd, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : 0;
}
