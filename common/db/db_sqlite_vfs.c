/*
 * SQLite's file layer, with one change: writes to a write-ahead log are gathered and go out together. SQLite writes each page of a
 * commit by itself, its 24-byte header before it, so that a commit of a hundred pages is two hundred system calls; here it is one
 * or two (docs/decisions.md has what that saves).
 *
 * Why nothing is lost or seen too early: a commit syncs the log before it is announced in the shared index (synchronous=FULL, which
 * every connection sets), the sync writes out what was gathered first, and other connections read only what the index announces.
 * Before that the frames belong to nobody but this connection, whose own reads write them out too. A process that dies with
 * gathered frames loses a transaction that was not committed.
 */
#include "db_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* Bytes. SQLite's unix layer writes at most 128 KiB - 1 in one call. */
enum { GATHER_MAX = 124 * 1024 };

struct wal_file {
	sqlite3_file head;
	sqlite3_file *real; /* behind this struct, in the memory SQLite gave */
	char *gathered;     /* GATHER_MAX bytes, from the first write on */
	int len;
	sqlite3_int64 offset; /* of gathered[0] */
};

static sqlite3_vfs *real_vfs;

/*
 * Only ENOSPC is SQLITE_FULL by itself, and a COMMIT that fails does not keep errno: so a quota, or a limit on the size of files,
 * is made out here.
 */
static int or_full(int rc)
{
	return rc != SQLITE_OK && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) ? SQLITE_FULL : rc;
}

static int write_out(struct wal_file *f)
{
	int len = f->len;
	f->len = 0; /* also after a failure: the transaction they belong to is rolled back */
	return len ? or_full(f->real->pMethods->xWrite(f->real, f->gathered, len, f->offset)) : SQLITE_OK;
}

static int wal_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 offset)
{
	struct wal_file *f = (struct wal_file *)file;
	if (f->len && (offset != f->offset + f->len || n > GATHER_MAX - f->len)) {
		int rc = write_out(f);
		if (rc != SQLITE_OK)
			return rc;
	}
	if (n > GATHER_MAX)
		return or_full(f->real->pMethods->xWrite(f->real, data, n, offset));
	if (!f->gathered)
		f->gathered = xmalloc(GATHER_MAX);
	if (!f->len)
		f->offset = offset;
	memcpy(f->gathered + f->len, data, (size_t)n);
	f->len += n;
	return SQLITE_OK;
}

static int wal_close(sqlite3_file *file)
{
	struct wal_file *f = (struct wal_file *)file;
	int written = write_out(f), closed = f->real->pMethods->xClose(f->real);
	free(f->gathered);
	return written != SQLITE_OK ? written : closed;
}

static int wal_read(sqlite3_file *file, void *out, int n, sqlite3_int64 offset)
{
	struct wal_file *f = (struct wal_file *)file;
	int rc = write_out(f);
	return rc == SQLITE_OK ? f->real->pMethods->xRead(f->real, out, n, offset) : rc;
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct wal_file *f = (struct wal_file *)file;
	int rc = write_out(f);
	return rc == SQLITE_OK ? f->real->pMethods->xTruncate(f->real, size) : rc;
}

static int wal_sync(sqlite3_file *file, int flags)
{
	struct wal_file *f = (struct wal_file *)file;
	int rc = write_out(f);
	return rc == SQLITE_OK ? or_full(f->real->pMethods->xSync(f->real, flags)) : rc;
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *out)
{
	struct wal_file *f = (struct wal_file *)file;
	int rc = write_out(f);
	return rc == SQLITE_OK ? f->real->pMethods->xFileSize(f->real, out) : rc;
}

static int wal_lock(sqlite3_file *file, int level)
{
	sqlite3_file *real = ((struct wal_file *)file)->real;
	return real->pMethods->xLock(real, level);
}

static int wal_unlock(sqlite3_file *file, int level)
{
	sqlite3_file *real = ((struct wal_file *)file)->real;
	return real->pMethods->xUnlock(real, level);
}

static int wal_check_lock(sqlite3_file *file, int *out)
{
	sqlite3_file *real = ((struct wal_file *)file)->real;
	return real->pMethods->xCheckReservedLock(real, out);
}

static int wal_control(sqlite3_file *file, int op, void *arg)
{
	sqlite3_file *real = ((struct wal_file *)file)->real;
	return real->pMethods->xFileControl(real, op, arg);
}

static int wal_sector(sqlite3_file *file)
{
	sqlite3_file *real = ((struct wal_file *)file)->real;
	return real->pMethods->xSectorSize(real);
}

static int wal_characteristics(sqlite3_file *file)
{
	sqlite3_file *real = ((struct wal_file *)file)->real;
	return real->pMethods->xDeviceCharacteristics(real);
}

/* Version 1: memory maps and the shared index are the database file's, never the log's. */
static const sqlite3_io_methods wal_methods = {
	.iVersion = 1,
	.xClose = wal_close,
	.xRead = wal_read,
	.xWrite = wal_write,
	.xTruncate = wal_truncate,
	.xSync = wal_sync,
	.xFileSize = wal_size,
	.xLock = wal_lock,
	.xUnlock = wal_unlock,
	.xCheckReservedLock = wal_check_lock,
	.xFileControl = wal_control,
	.xSectorSize = wal_sector,
	.xDeviceCharacteristics = wal_characteristics,
};

/* Every other file is the real layer's own, and never comes back here. */
static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	(void)vfs;
	if (!(flags & SQLITE_OPEN_WAL))
		return real_vfs->xOpen(real_vfs, name, file, flags, out_flags);
	struct wal_file *f = (struct wal_file *)file;
	*f = (struct wal_file){.real = (sqlite3_file *)(f + 1)};
	int rc = real_vfs->xOpen(real_vfs, name, f->real, flags, out_flags);
	if (rc == SQLITE_OK)
		f->head.pMethods = &wal_methods;
	return rc;
}

void lite_register_vfs(void)
{
	static sqlite3_vfs vfs;
	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.zName = LITE_VFS;
	vfs.szOsFile += (int)sizeof(struct wal_file);
	vfs.xOpen = open_file;
	if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
		fatal("SQLite takes no file layer");
}
