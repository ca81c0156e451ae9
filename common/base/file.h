/* The one door to ordinary files: whole-file reads and atomic writes. */
#ifndef TANA_BASE_FILE_H
#define TANA_BASE_FILE_H

#include <sys/types.h>

#include "buf.h"
#include "error.h"

/*
 * Appends the whole file to *out. Longer than `max` bytes: ERR_TOO_LARGE. Missing: ERR_NOT_FOUND. Otherwise ERR_IO.
 * After an error *out is as before.
 */
MUST_CHECK bool file_read(const char *path, size_t max, struct buf *out, struct error *err);

enum file_write_how { FILE_REPLACE, FILE_MUST_NOT_EXIST };
/*
 * Writes a temporary file in the same directory, fsyncs it, renames (or links, for FILE_MUST_NOT_EXIST) it into place and
 * fsyncs the directory. Afterwards the path has the old content or the new, never a part. `mode` is exact:
 * the umask does not lessen it. ERR_ALREADY_EXISTS, ERR_STORAGE_FULL, ERR_IO.
 */
MUST_CHECK bool file_write_atomic(const char *path, struct str data, mode_t mode, enum file_write_how how, struct error *err);

/* mkdir -p; directories made here get `mode`, existing ones are left alone. */
MUST_CHECK bool file_make_dirs(const char *path, mode_t mode, struct error *err);
bool file_exists(const char *path);

#endif
