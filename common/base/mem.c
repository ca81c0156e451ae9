#include "mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attrs.h"

/* Not through the log: that allocates. */
NORETURN static void out_of_memory(void)
{
	static const char text[] = "out of memory\n";
	ssize_t put = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)put; /* nowhere left to complain */
	abort();
}

/* A request for 0 bytes gives a pointer that may be freed, as callers of a variable-length thing expect. */
void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);
	if (!q)
		out_of_memory();
	return q;
}

void *xaligned(size_t alignment, size_t n)
{
	void *p = aligned_alloc(alignment, n);
	if (!p)
		out_of_memory();
	return p;
}

char *xstrndup(const char *p, size_t n)
{
	if (n == SIZE_MAX)
		out_of_memory();
	char *z = xmalloc(n + 1);
	if (n)
		memcpy(z, p, n);
	z[n] = '\0';
	return z;
}

char *xstrdup(const char *z)
{
	return xstrndup(z, strlen(z));
}
