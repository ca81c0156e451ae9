#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

enum { READ_STEP = 4096 }; /* the least room, in bytes, that a read is offered */

static bool read_all(int fd, size_t max, struct buf *out, const char *path, struct error *err)
{
	struct stat st;
	size_t start = out->len;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && (uintmax_t)st.st_size <= max)
		buf_reserve(out, (size_t)st.st_size + READ_STEP); /* all of it, and a look beyond */
	for (;;) {
		buf_reserve(out, READ_STEP);
		ssize_t got = read(fd, out->data + out->len, out->cap - out->len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, ERR_IO, errno, "cannot read %s", path);
		if (got == 0)
			return true;
		out->len += (size_t)got;
		if (out->len - start > max)
			return error_set(err, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max);
	}
}

bool file_read(const char *path, size_t max, struct buf *out, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open %s", path);
	size_t start = out->len;
	bool ok = read_all(fd, max, out, path, err);
	if (!ok)
		out->len = start;
	close(fd);
	return ok;
}

static int write_all(int fd, struct str data)
{
	while (data.n > 0) {
		ssize_t put = write(fd, data.p, data.n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno;
		data = str_of(data.p + put, data.n - (size_t)put);
	}
	return 0;
}

/* Content, mode and durability of the temporary file; 0 or an errno. Closes fd. */
static int fill_and_close(int fd, struct str data, mode_t mode)
{
	int errnum = write_all(fd, data);
	if (errnum == 0 && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
		errnum = errno;
	if (close(fd) != 0 && errnum == 0)
		errnum = errno;
	return errnum;
}

static int sync_dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = !slash ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	int errnum = 0, fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		errnum = errno;
	if (fd >= 0)
		close(fd);
	free(dir);
	return errnum;
}

/* A link, unlike a rename, fails when the name is taken. */
static int move_into_place(const char *temporary, const char *path, enum file_write_how how)
{
	int failed = how == FILE_REPLACE ? rename(temporary, path) : link(temporary, path);
	return failed ? errno : 0;
}

static bool write_by_way_of(char *temporary, const char *path, struct str data, mode_t mode, enum file_write_how how, struct error *err)
{
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, ERR_IO, errno, "cannot create a file beside %s", path);
	int errnum = fill_and_close(fd, data, mode);
	if (errnum == 0)
		errnum = move_into_place(temporary, path, how);
	if (errnum != 0 || how == FILE_MUST_NOT_EXIST)
		unlink(temporary);
	if (errnum == EEXIST && how == FILE_MUST_NOT_EXIST)
		return error_set(err, ERR_ALREADY_EXISTS, "%s already exists", path);
	if (errnum == 0)
		errnum = sync_dir_of(path);
	return errnum == 0 || error_errno(err, ERR_IO, errnum, "cannot write %s", path);
}

bool file_write_atomic(const char *path, struct str data, mode_t mode, enum file_write_how how, struct error *err)
{
	struct buf temporary = {0};
	buf_printf(&temporary, "%s.XXXXXX", path);
	size_t len;
	char *name = buf_steal(&temporary, &len);
	bool ok = write_by_way_of(name, path, data, mode, how, err);
	free(name);
	return ok;
}

static bool make_dir(const char *path, mode_t mode, struct error *err)
{
	struct stat st;
	if (mkdir(path, mode) == 0)
		return chmod(path, mode) == 0 || error_errno(err, ERR_IO, errno, "cannot set the mode of %s", path);
	int errnum = errno;
	if (errnum == EEXIST && stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) || error_set(err, ERR_IO, "%s is not a directory", path);
	return error_errno(err, ERR_IO, errnum, "cannot create the directory %s", path);
}

bool file_make_dirs(const char *path, mode_t mode, struct error *err)
{
	char *copy = xstrdup(path);
	bool ok = true;
	for (char *p = copy; ok && *p; p++) {
		if (*p != '/' || p == copy)
			continue;
		*p = '\0';
		ok = make_dir(copy, mode, err);
		*p = '/';
	}
	ok = ok && make_dir(copy, mode, err);
	free(copy);
	return ok;
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}
