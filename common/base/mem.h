/* malloc and friends that end the process when memory is out: a service that cannot allocate 64 bytes cannot answer either. */
#ifndef TANA_BASE_MEM_H
#define TANA_BASE_MEM_H

#include <stddef.h>

void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
/* `alignment` is a power of two, n > 0 a multiple of it. */
void *xaligned(size_t alignment, size_t n) __attribute__((malloc, returns_nonnull));
char *xstrdup(const char *z) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *p, size_t n) __attribute__((malloc, returns_nonnull));

#endif
