/* Files whose disk fills up or fails: calls that store bytes end with an errno of the test's choice. */
#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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

/* Does this call fail? Sets errno. */
static bool fails(enum fault_op op, int fd)
{
	struct fault_control *c = fault_control();
	if (!c || atomic_load_explicit(&c->faults[op].error, memory_order_relaxed) == 0 || !fd_concerned(c, fd))
		return false;
	int error = due(c, op);
	if (error)
		errno = error;
	return error != 0;
}

ssize_t write(int fd, const void *p, size_t n)
{
	NEXT(write);
	return fails(FAULT_WRITE, fd) ? -1 : next(fd, p, n);
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

ssize_t writev(int fd, const struct iovec *v, int n)
{
	NEXT(writev);
	return fails(FAULT_WRITE, fd) ? -1 : next(fd, v, n);
}

int fsync(int fd)
{
	NEXT(fsync);
	return fails(FAULT_SYNC, fd) ? -1 : next(fd);
}

int fdatasync(int fd)
{
	NEXT(fdatasync);
	return fails(FAULT_SYNC, fd) ? -1 : next(fd);
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

static bool open_fails(const char *path, int flags)
{
	struct fault_control *c = fault_control();
	if (!c || !(flags & O_CREAT) || atomic_load_explicit(&c->faults[FAULT_OPEN].error, memory_order_relaxed) == 0 || !concerned(c, path))
		return false;
	int error = due(c, FAULT_OPEN);
	if (error)
		errno = error;
	return error != 0;
}

static mode_t mode_of(int flags, va_list args)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	NEXT(open);
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return open_fails(path, flags) ? -1 : next(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	NEXT(open64);
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return open_fails(path, flags) ? -1 : next(path, flags, mode);
}
