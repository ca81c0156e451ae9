/*
 * An arena: memory that is given back all at once. A request owns one; everything parsed or built for its answer lives in it.
 * Not thread-safe. Out of memory ends the process (see mem.h), so no call returns NULL.
 */
#ifndef TANA_BASE_ARENA_H
#define TANA_BASE_ARENA_H

#include "str.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	unsigned char *next; /* free part of the newest block */
	size_t left;
};

void arena_init(struct arena *a);
/* Frees every block; the arena is as after arena_init. */
void arena_free(struct arena *a);
/* Uninitialised, aligned for any type. n == 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((malloc, returns_nonnull));
/* Zeroed array; a count * size that overflows ends the process. */
void *arena_zalloc(struct arena *a, size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* A NUL-terminated copy (the NUL is not counted in n). An absent str stays absent. */
struct str arena_copy(struct arena *a, struct str s);
char *arena_strdup(struct arena *a, const char *z) __attribute__((returns_nonnull));
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
