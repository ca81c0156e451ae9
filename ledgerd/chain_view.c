#include "chain_view.h"

#include <stdlib.h>

#include "base/log.h"

void chain_view_init(struct chain_view *v, struct chain_source source)
{
	*v = (struct chain_view){.source = source};
	arena_init(&v->arena);
	v->last = &v->first;
}

void chain_view_free(struct chain_view *v)
{
	strmap_free(&v->entries);
	arena_free(&v->arena);
}

void chain_view_reset(struct chain_view *v)
{
	struct chain_source source = v->source;
	chain_view_free(v);
	chain_view_init(v, source);
}

void chain_view_swap(struct chain_view *a, struct chain_view *b)
{
	struct chain_view was = *a;
	*a = *b;
	*b = was;
	if (!a->first)
		a->last = &a->first;
	if (!b->first)
		b->last = &b->first;
}

bool chain_view_get(struct chain_view *v, struct str key, struct str *value, struct error *err)
{
	struct chain_entry *e = strmap_get(&v->entries, key);
	if (!e) {
		struct str found;
		if (!v->source.get(v->source.ctx, key, &found, err))
			return false;
		e = arena_alloc(&v->arena, sizeof *e);
		*e = (struct chain_entry){.key = arena_copy(&v->arena, key), .before = arena_copy(&v->arena, found)};
		e->now = e->before;
		*v->last = e;
		v->last = &e->next;
		strmap_add(&v->entries, e->key, e);
	}
	*value = e->now;
	return true;
}

void chain_view_put(struct chain_view *v, struct str key, struct str value)
{
	struct chain_entry *e = strmap_get(&v->entries, key);
	invariant(e);
	e->now = arena_copy(&v->arena, value);
}

static int by_key(const void *a, const void *b)
{
	return str_compare((*(struct chain_entry *const *)a)->key, (*(struct chain_entry *const *)b)->key);
}

struct chain_changes chain_view_changes(const struct chain_view *v, struct arena *arena)
{
	struct chain_changes c = {.entries = arena_zalloc(arena, v->entries.count, sizeof(struct chain_entry *))};
	for (struct chain_entry *e = v->first; e; e = e->next)
		if (!str_equal(e->before, e->now))
			c.entries[c.count++] = e;
	qsort(c.entries, c.count, sizeof(struct chain_entry *), by_key);
	return c;
}
