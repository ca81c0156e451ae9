/* A store in a directory of its own, changes that are waited for, and system calls that fail on demand. */
#ifndef TANA_TESTS_T4D_FIXTURE_H
#define TANA_TESTS_T4D_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "t4d/blob_store.h"

/* ---- faults: the nth call from now on fails with an errno, or kills the process ---- */

enum fault_op { FAULT_OPENAT, FAULT_WRITEV, FAULT_FSYNC, FAULT_LINKAT, FAULT_RENAMEAT, FAULT_OPS };
enum { FAULT_KILL = -1 };
static struct {
	_Atomic int left[FAULT_OPS]; /* calls until it strikes; 0: never */
	_Atomic int what[FAULT_OPS]; /* errno, or FAULT_KILL */
} faults;

static inline void fault_after(enum fault_op op, int calls, int what)
{
	atomic_store(&faults.what[op], what);
	atomic_store(&faults.left[op], calls);
}

static inline void faults_none(void)
{
	for (int op = 0; op < FAULT_OPS; op++)
		atomic_store(&faults.left[op], 0);
}

static inline bool faulty(enum fault_op op)
{
	if (atomic_load(&faults.left[op]) == 0 || atomic_fetch_sub(&faults.left[op], 1) != 1)
		return false;
	int what = atomic_load(&faults.what[op]);
	if (what == FAULT_KILL)
		(void)raise(SIGKILL);
	errno = what;
	return true;
}

/* These take the place of libc's in this program. */
int openat(int at, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	return faulty(FAULT_OPENAT) ? -1 : (int)syscall(SYS_openat, at, path, flags, mode);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return faulty(FAULT_WRITEV) ? -1 : syscall(SYS_writev, fd, parts, count);
}

int fsync(int fd)
{
	return faulty(FAULT_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	return faulty(FAULT_LINKAT) ? -1 : (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
	return faulty(FAULT_RENAMEAT) ? -1 : (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
}

/* ---- a directory ---- */

static char store_dir[64];

static inline int make_dir(void **state)
{
	(void)state;
	(void)snprintf(store_dir, sizeof(store_dir), "/tmp/tana-t4d-XXXXXX");
	return mkdtemp(store_dir) ? 0 : -1;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static inline int remove_dir(void **state)
{
	(void)state;
	faults_none();
	return nftw(store_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct blob_store_options store_options(void)
{
	return (struct blob_store_options){
		.dir = store_dir, .role = STORE_SERVES, .max_object_size = 1 << 20, .min_free_space = 0, .remembered_max = 1024,
		.open_files_max = 16};
}

static inline struct blob_store *open_store(const struct blob_store_options *o)
{
	struct error err;
	struct blob_store *s = blob_store_open(o, &err);
	if (!s)
		fail_msg("the store does not open: %s", err.message);
	return s;
}

static inline struct blob_store *plain_store(void)
{
	struct blob_store_options o = store_options();
	return open_store(&o);
}

/* "<dir>/ab/<hash>" */
static inline const char *path_of(const struct hash *h)
{
	static char path[256];
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	(void)snprintf(path, sizeof(path), "%s/%.2s/%s", store_dir, text, text);
	return path;
}

/* Files below a directory of the store, "" for all of it. */
static int files_seen;
static inline int see_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path, (void)st, (void)at;
	files_seen += type == FTW_F;
	return 0;
}
static inline int files_in(const char *name)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", store_dir, name);
	files_seen = 0;
	assert_int_equal(nftw(path, see_file, 16, FTW_PHYS), 0);
	return files_seen;
}

/* ---- changes, waited for ---- */

struct outcome {
	pthread_mutex_t lock;
	pthread_cond_t come;
	bool done, ok, changed;
	uint64_t size;
	struct error err;
};

static inline void take_outcome(void *ctx, bool changed, uint64_t size, const struct error *err)
{
	struct outcome *o = ctx;
	pthread_mutex_lock(&o->lock);
	o->done = true;
	o->ok = !err;
	o->changed = changed;
	o->size = size;
	if (err)
		o->err = *err;
	pthread_cond_signal(&o->come);
	pthread_mutex_unlock(&o->lock);
}

static inline void wait_for(struct outcome *o)
{
	pthread_mutex_lock(&o->lock);
	while (!o->done)
		pthread_cond_wait(&o->come, &o->lock);
	pthread_mutex_unlock(&o->lock);
}

#define OUTCOME {.lock = PTHREAD_MUTEX_INITIALIZER, .come = PTHREAD_COND_INITIALIZER}

/* The whole of a put, in pieces of 1000 bytes. */
static inline struct outcome put_as(struct blob_store *s, const struct hash *h, const void *p, size_t n, int64_t announced)
{
	struct outcome o = OUTCOME;
	struct blob_put *put = blob_put_begin(s, h, announced, &o.err);
	if (!put)
		return o;
	for (size_t at = 0; at < n; at += 1000)
		if (!blob_put_write(put, (const char *)p + at, n - at < 1000 ? n - at : 1000, &o.err)) {
			blob_put_abandon(put);
			return o;
		}
	if (blob_put_finish(put, take_outcome, &o, &o.err))
		wait_for(&o);
	return o;
}

static inline struct outcome put(struct blob_store *s, const void *p, size_t n, struct hash *h)
{
	sha256(h, p, n);
	return put_as(s, h, p, n, (int64_t)n);
}

static inline struct outcome delete(struct blob_store *s, const struct hash *h)
{
	struct outcome o = OUTCOME;
	blob_delete(s, h, take_outcome, &o);
	wait_for(&o);
	return o;
}

#define SERVED ERR_COUNT

static inline enum error_code read_open(struct blob_store *s, const struct hash *h, struct buf *out)
{
	struct error err;
	uint64_t size;
	int fd;
	if (!blob_open(s, h, &fd, &size, &err))
		return err.code;
	if (size <= BLOB_SMALL)
		return blob_read_small(s, h, fd, size, out, &err) ? SERVED : err.code;
	buf_reserve(out, size + 1);
	assert_int_equal(pread(fd, out->data, size + 1, 0), size);
	out->len = size;
	close(fd);
	return SERVED;
}

/* Reads a blob as the service does and compares every byte: SERVED when it is exactly this, else the code it was refused with. */
static inline enum error_code get(struct blob_store *s, const struct hash *h, const void *p, size_t n)
{
	struct buf bytes = {0};
	enum error_code code = blob_read_again(s, h, &bytes) ? SERVED : read_open(s, h, &bytes);
	if (code == SERVED) {
		assert_int_equal(bytes.len, n);
		assert_memory_equal(buf_z(&bytes), p, n);
	}
	buf_free(&bytes);
	return code;
}

static inline void quiet_log(void)
{
	struct error err;
	assert_true(log_open("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, "/dev/null", &err));
}

#endif
