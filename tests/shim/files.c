/* Files whose disk fills up or fails: calls that store bytes end with an errno of the test's choice. */
#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fsverity.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

/* The function that this one stands before: the sanitizer's or libc's. */
#define NEXT(function)                                                                                                         \
	static __typeof__(&(function)) next;                                                                                   \
	if (!next)                                                                                                             \
	*(void **)&next = dlsym(RTLD_NEXT, #function)

static bool concerned(const struct fault_control *c, const char *path)
{
	return strncmp(path, c->path, strlen(c->path)) == 0;
}

static bool fd_concerned(const struct fault_control *c, int fd)
{
	char name[64], target[PATH_MAX];
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(name, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	return concerned(c, target);
}

/* The errno to fail with, or 0. Counts down what the test asked for. */
static int due(struct fault_control *c, enum fault_op op)
{
	struct fault *f = &c->faults[op];
	int64_t error = atomic_load(&f->error);
	if (error == 0 || (atomic_load(&f->skip) > 0 && atomic_fetch_sub(&f->skip, 1) > 0))
		return 0;
	if (atomic_load(&f->times) >= 0 && atomic_fetch_sub(&f->times, 1) <= 0) {
		atomic_store(&f->times, 0);
		return 0;
	}
	atomic_fetch_add(&f->hits, 1);
	return (int)error;
}

static bool on(const struct fault_control *c, enum fault_op op)
{
	return c && (atomic_load_explicit(&c->faults[op].error, memory_order_relaxed) != 0 ||
		     atomic_load_explicit(&c->steps.on, memory_order_relaxed) != 0);
}

/* Counts a step. What is to be done: an errno, an enum step_action, or 0. */
static int step(struct steps *s, char kind)
{
	if (atomic_load(&s->on) == 0)
		return 0;
	int64_t n = atomic_fetch_add(&s->count, 1);
	if (n < STEP_KINDS)
		s->kinds[n] = kind;
	if (atomic_load(&s->only) != 0 && atomic_load(&s->only) != kind)
		return 0;
	int64_t nth = atomic_fetch_add(&s->matched, 1) + 1;
	if (nth < atomic_load(&s->first) || nth > atomic_load(&s->last))
		return 0;
	atomic_fetch_add(&s->hits, 1);
	int action = (int)atomic_load(&s->action);
	if (action == STEP_KILL)
		raise(SIGKILL);
	return action;
}

static bool failed(int error)
{
	if (error > 0)
		errno = error;
	return error > 0;
}

/* After a call that was made. */
static void end_step(int action)
{
	if (action == STEP_TEAR)
		raise(SIGKILL);
}

static const char kind_of[FAULT_OPS] = {[FAULT_WRITE] = 'w', [FAULT_SYNC] = 's', [FAULT_GROW] = 't', [FAULT_OPEN] = 'o'};

/* What is to be done about this call, by what the test asked for. */
static int verdict(enum fault_op op, int fd)
{
	struct fault_control *c = fault_control();
	if (!on(c, op) || !fd_concerned(c, fd))
		return 0;
	int error = due(c, op);
	return error ? error : step(&c->steps, kind_of[op]);
}

/* Does this call fail? Sets errno. For calls that no step can be half of. */
static bool fails(enum fault_op op, int fd)
{
	return failed(verdict(op, fd));
}

ssize_t write(int fd, const void *p, size_t n)
{
	NEXT(write);
	int action = verdict(FAULT_WRITE, fd);
	if (failed(action))
		return -1;
	ssize_t wrote = next(fd, p, action < 0 && n > 1 ? n / 2 : n);
	end_step(action);
	return wrote;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	NEXT(pwrite);
	return fails(FAULT_WRITE, fd) ? -1 : next(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	NEXT(pwrite64);
	return fails(FAULT_WRITE, fd) ? -1 : next(fd, p, n, at);
}

/* The first half of the bytes; at least one, if there are any. */
static int half(const struct iovec *v, int n, struct iovec *out)
{
	size_t left = 0;
	int used = 0;
	for (int i = 0; i < n; i++)
		left += v[i].iov_len;
	left -= left / 2;
	for (; used < n && left > 0; used++) {
		out[used] = v[used];
		out[used].iov_len = v[used].iov_len < left ? v[used].iov_len : left;
		left -= out[used].iov_len;
	}
	return used;
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	NEXT(writev);
	int action = verdict(FAULT_WRITE, fd);
	if (failed(action))
		return -1;
	ssize_t wrote;
	if (action < 0) {
		struct iovec part[IOV_MAX];
		wrote = next(fd, part, half(v, n, part));
	} else {
		wrote = next(fd, v, n);
	}
	end_step(action);
	return wrote;
}

int fsync(int fd)
{
	NEXT(fsync);
	int action = verdict(FAULT_SYNC, fd);
	if (failed(action))
		return -1;
	int rc = next(fd);
	end_step(action);
	return rc;
}

int syncfs(int fd)
{
	NEXT(syncfs);
	int action = verdict(FAULT_SYNC, fd);
	if (failed(action))
		return -1;
	int rc = next(fd);
	end_step(action);
	return rc;
}

/* As where fs-verity is there: a file is sealed once. Other requests pass. */
int ioctl(int fd, unsigned long request, ...)
{
	NEXT(ioctl);
	va_list args;
	va_start(args, request);
	void *arg = va_arg(args, void *);
	va_end(args);
	struct fault_control *c = fault_control();
	if (request != FS_IOC_ENABLE_VERITY || !c || atomic_load(&c->steps.verity) == 0)
		return next(fd, request, arg);
	atomic_fetch_add(&c->steps.verity, 1);
	return 0;
}

/* As on a file system of a kind that nothing is known of. */
int fstatfs(int fd, struct statfs *out)
{
	NEXT(fstatfs);
	struct fault_control *c = fault_control();
	int rc = next(fd, out);
	if (rc == 0 && c && atomic_load(&c->steps.unknown_kind))
		out->f_type = 0;
	return rc;
}

int fstatfs64(int fd, struct statfs64 *out)
{
	NEXT(fstatfs64);
	struct fault_control *c = fault_control();
	int rc = next(fd, out);
	if (rc == 0 && c && atomic_load(&c->steps.unknown_kind))
		out->f_type = 0;
	return rc;
}

int fdatasync(int fd)
{
	NEXT(fdatasync);
	int action = verdict(FAULT_SYNC, fd);
	if (failed(action))
		return -1;
	int rc = next(fd);
	end_step(action);
	return rc;
}

int ftruncate(int fd, off_t size)
{
	NEXT(ftruncate);
	return fails(FAULT_GROW, fd) ? -1 : next(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
	NEXT(ftruncate64);
	return fails(FAULT_GROW, fd) ? -1 : next(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	NEXT(fallocate);
	return fails(FAULT_GROW, fd) ? -1 : next(fd, mode, at, n);
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	NEXT(fallocate64);
	return fails(FAULT_GROW, fd) ? -1 : next(fd, mode, at, n);
}

/* posix_fallocate answers the errno itself. */
int posix_fallocate(int fd, off_t at, off_t n)
{
	NEXT(posix_fallocate);
	return fails(FAULT_GROW, fd) ? errno : next(fd, at, n);
}

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
	NEXT(posix_fallocate64);
	return fails(FAULT_GROW, fd) ? errno : next(fd, at, n);
}

static bool nameless(int flags)
{
	return (flags & O_TMPFILE) == O_TMPFILE;
}

/* An open that creates a file at this path. */
static int open_verdict(const char *path, int flags)
{
	struct fault_control *c = fault_control();
	bool creates = (flags & O_CREAT) || nameless(flags);
	if (!c || !creates || !concerned(c, path))
		return 0;
	if (nameless(flags) && atomic_load(&c->steps.no_tmpfile))
		return EOPNOTSUPP;
	if (!on(c, FAULT_OPEN))
		return 0;
	int error = due(c, FAULT_OPEN);
	return error ? error : step(&c->steps, kind_of[FAULT_OPEN]);
}

static mode_t mode_of(int flags, va_list args)
{
	return (flags & O_CREAT) || nameless(flags) ? va_arg(args, mode_t) : 0;
}

/* The whole path of a name in an open directory; false when it does not fit. */
static bool path_at(int dir, const char *name, char out[PATH_MAX])
{
	char link[64], base[PATH_MAX] = "";
	if (name[0] != '/' && dir != AT_FDCWD) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
		ssize_t n = readlink(link, base, sizeof(base) - 2);
		if (n <= 0)
			return false;
		base[n] = '/';
		base[n + 1] = '\0';
	}
	return snprintf(out, PATH_MAX, "%s%s", base, name) < PATH_MAX;
}

/* A call that changes a name in a directory. */
static int name_verdict(int dir, const char *name, char kind)
{
	struct fault_control *c = fault_control();
	char path[PATH_MAX];
	if (!c || atomic_load_explicit(&c->steps.on, memory_order_relaxed) == 0 || !path_at(dir, name, path) || !concerned(c, path))
		return 0;
	return step(&c->steps, kind);
}

int open(const char *path, int flags, ...)
{
	NEXT(open);
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	int action = open_verdict(path, flags);
	if (failed(action))
		return -1;
	int fd = next(path, flags, mode);
	end_step(action);
	return fd;
}

int open64(const char *path, int flags, ...)
{
	NEXT(open64);
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	int action = open_verdict(path, flags);
	if (failed(action))
		return -1;
	int fd = next(path, flags, mode);
	end_step(action);
	return fd;
}

int openat(int dir, const char *name, int flags, ...)
{
	NEXT(openat);
	char path[PATH_MAX];
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	int action = fault_control() && path_at(dir, name, path) ? open_verdict(path, flags) : 0;
	if (failed(action))
		return -1;
	int fd = next(dir, name, flags, mode);
	end_step(action);
	return fd;
}

int openat64(int dir, const char *name, int flags, ...)
{
	NEXT(openat64);
	char path[PATH_MAX];
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	int action = fault_control() && path_at(dir, name, path) ? open_verdict(path, flags) : 0;
	if (failed(action))
		return -1;
	int fd = next(dir, name, flags, mode);
	end_step(action);
	return fd;
}

int linkat(int from_dir, const char *from, int dir, const char *name, int flags)
{
	NEXT(linkat);
	int action = name_verdict(dir, name, 'l');
	if (failed(action))
		return -1;
	int rc = next(from_dir, from, dir, name, flags);
	end_step(action);
	return rc;
}

int renameat(int from_dir, const char *from, int dir, const char *name)
{
	NEXT(renameat);
	int action = name_verdict(dir, name, 'r');
	if (failed(action))
		return -1;
	int rc = next(from_dir, from, dir, name);
	end_step(action);
	return rc;
}

int unlinkat(int dir, const char *name, int flags)
{
	NEXT(unlinkat);
	int action = name_verdict(dir, name, 'u');
	if (failed(action))
		return -1;
	int rc = next(dir, name, flags);
	end_step(action);
	return rc;
}
