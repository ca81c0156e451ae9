#include "chain_memory.h"

#include <stdlib.h>

#include "base/mem.h"

void chain_memory_free(struct chain_memory *m)
{
	struct memory_entry *e;
	size_t at = 0;
	while ((e = chain_memory_next(m, &at)))
		free(e);
	strmap_free(&m->entries);
	m->bytes = 0;
}

struct memory_entry *chain_memory_find(const struct chain_memory *m, struct str key)
{
	return strmap_get(&m->entries, key);
}

struct memory_entry *chain_memory_next(const struct chain_memory *m, size_t *at)
{
	return strmap_next(&m->entries, at);
}

void chain_memory_put(struct chain_memory *m, struct str key, struct str value)
{
	struct memory_entry *old = chain_memory_find(m, key);
	/* The usual case, an amount or a nonce of as many digits: in place. */
	if (old && str_present(value) && old->value.n == value.n) {
		memcpy((char *)(old + 1) + old->key.n, value.p, value.n);
		return;
	}
	if (old)
		m->bytes -= old->key.n + old->value.n;
	if (!str_present(value)) {
		free(strmap_remove(&m->entries, key));
		return;
	}
	/* One piece: the entry, its key, its value. */
	struct memory_entry *e = xmalloc(sizeof *e + key.n + value.n);
	char *text = (char *)(e + 1);
	memcpy(text, key.p, key.n);
	memcpy(text + key.n, value.p, value.n);
	*e = (struct memory_entry){str_of(text, key.n), str_of(text + key.n, value.n), 0};
	strmap_put(&m->entries, e->key, e); /* its key takes the place of the old one's */
	free(old);
	m->bytes += key.n + value.n;
}

void chain_memory_take(struct chain_memory *m, const struct chain_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		chain_memory_put(m, changes->entries[i]->key, changes->entries[i]->now);
}

static bool get(void *ctx, struct str key, struct str *value, struct error *err)
{
	const struct memory_entry *e = chain_memory_find(ctx, key);
	(void)err;
	*value = e ? e->value : STR_NONE;
	return true;
}

struct chain_source chain_memory_source(struct chain_memory *m)
{
	return (struct chain_source){get, m};
}
