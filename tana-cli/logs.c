#include "logs.h"

#include <string.h>
#include <sys/stat.h>

enum { BLOCK = 8192 };

/* The offset at which the last `lines` lines begin: reads backwards, block by block. */
static long tail_start(FILE *f, long size, int64_t lines)
{
	char block[BLOCK];
	int64_t newlines = 0;
	for (long end = size; end > 0;) {
		long from = end > BLOCK ? end - BLOCK : 0;
		size_t n = (size_t)(end - from);
		if (fseek(f, from, SEEK_SET) != 0 || fread(block, 1, n, f) != n)
			return 0;
		for (size_t i = n; i-- > 0;)
			if (block[i] == '\n' && from + (long)i + 1 != size && ++newlines == lines)
				return from + (long)i + 1;
		end = from;
	}
	return 0;
}

static long copy_from(FILE *f, long at, FILE *to)
{
	char block[BLOCK];
	size_t n;
	if (fseek(f, at, SEEK_SET) != 0)
		return at;
	while ((n = fread(block, 1, sizeof block, f)) > 0) {
		fwrite(block, 1, n, to);
		at += (long)n;
	}
	fflush(to);
	return at;
}

bool log_tail(const char *path, int64_t lines, FILE *to, long *end)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	long size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : 0;
	long at = lines > 0 ? copy_from(f, tail_start(f, size, lines), to) : size;
	if (end)
		*end = at;
	fclose(f);
	return true;
}

void log_follow(const char *path, long *at, unsigned long *inode, FILE *to)
{
	struct stat st;
	FILE *f = fopen(path, "re");
	if (!f)
		return; /* between two files of a rotation */
	if (fstat(fileno(f), &st) == 0) {
		bool other = *inode != 0 && *inode != (unsigned long)st.st_ino;
		if (other || st.st_size < *at)
			*at = 0;
		*inode = (unsigned long)st.st_ino;
		if (st.st_size > *at)
			*at = copy_from(f, *at, to);
	}
	fclose(f);
}
