#include "arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "mem.h"

/* Blocks double from the first size to the largest, so a small request costs one malloc and a big one a few. */
enum { FIRST_BLOCK = 4 * 1024 - 64, LARGEST_BLOCK = 256 * 1024 };
enum { ALIGNMENT = alignof(max_align_t) };

struct arena_block {
	struct arena_block *older;
	size_t size;
	alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void arena_free(struct arena *a)
{
	for (struct arena_block *b = a->blocks, *older; b; b = older) {
		older = b->older;
		free(b);
	}
	arena_init(a);
}

static struct arena_block *block_new(size_t size)
{
	struct arena_block *b = xmalloc(sizeof(*b) + size);
	b->size = size;
	return b;
}

/* Something large gets a block of its own, put behind the newest one, whose free part stays in use. */
static void *alloc_own_block(struct arena *a, size_t n)
{
	struct arena_block *b = block_new(n);
	if (a->blocks) {
		b->older = a->blocks->older;
		a->blocks->older = b;
	} else {
		b->older = NULL;
		a->blocks = b;
	}
	return b->data;
}

static void add_block(struct arena *a)
{
	size_t size = a->blocks ? a->blocks->size * 2 : FIRST_BLOCK;
	size = size < FIRST_BLOCK ? FIRST_BLOCK : size > LARGEST_BLOCK ? LARGEST_BLOCK : size;
	struct arena_block *b = block_new(size);
	b->older = a->blocks;
	a->blocks = b;
	a->next = b->data;
	a->left = size;
}

void *arena_alloc(struct arena *a, size_t n)
{
	invariant(n <= SIZE_MAX / 2);
	n = n ? (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
	if (n > a->left) {
		if (n > FIRST_BLOCK / 4)
			return alloc_own_block(a, n);
		add_block(a);
	}
	void *p = a->next;
	a->next += n;
	a->left -= n;
	return p;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
	size_t n;
	invariant(!__builtin_mul_overflow(count, size, &n));
	return memset(arena_alloc(a, n), 0, n);
}

struct str arena_copy(struct arena *a, struct str s)
{
	if (!str_present(s))
		return STR_NONE;
	char *p = arena_alloc(a, s.n + 1);
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return str_of(p, s.n);
}

char *arena_strdup(struct arena *a, const char *z)
{
	size_t n = strlen(z) + 1;
	return memcpy(arena_alloc(a, n), z, n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	char small[256];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(small, sizeof(small), fmt, args);
	va_end(args);
	invariant(n >= 0);
	if ((size_t)n < sizeof(small))
		return arena_copy(a, str_of(small, (size_t)n));
	char *p = arena_alloc(a, (size_t)n + 1);
	va_start(args, fmt);
	int again = vsnprintf(p, (size_t)n + 1, fmt, args);
	va_end(args);
	invariant(again == n);
	return str_of(p, (size_t)n);
}
