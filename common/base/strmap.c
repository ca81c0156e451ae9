#include "strmap.h"

#include <stdlib.h>

#include "mem.h"
#include "random.h"

static const char gone_mark;
#define GONE (&gone_mark)

/* FNV-1a from a random start, and a final mix: enough against keys made to collide without knowing the seed. */
static uint64_t hash_of(const struct strmap *m, struct str key)
{
	uint64_t h = m->seed ^ UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

static struct strmap_slot *find(const struct strmap *m, struct str key)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = hash_of(m, key) & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct strmap_slot *s = &m->slots[i];
		if (!s->key.p)
			return NULL;
		if (s->key.p != GONE && str_equal(s->key, key))
			return s;
	}
}

static void insert(struct strmap *m, struct str key, void *value)
{
	size_t i = hash_of(m, key) & (m->cap - 1);
	while (m->slots[i].key.p)
		i = (i + 1) & (m->cap - 1);
	m->slots[i] = (struct strmap_slot){.key = key, .value = value};
	m->count++;
	m->used++;
}

static void grow(struct strmap *m)
{
	enum { CAP_MIN = 64 };
	struct strmap old = *m;
	m->cap = CAP_MIN;
	while (m->cap < old.count * 4)
		m->cap *= 2;
	if (old.cap == 0)
		m->seed = random_u64();
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	m->count = m->used = 0;
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key.p && old.slots[i].key.p != GONE)
			insert(m, old.slots[i].key, old.slots[i].value);
	free(old.slots);
}

void strmap_free(struct strmap *m)
{
	free(m->slots);
	*m = (struct strmap){.slots = NULL};
}

void *strmap_get(const struct strmap *m, struct str key)
{
	struct strmap_slot *s = find(m, key);
	return s ? s->value : NULL;
}

void strmap_put(struct strmap *m, struct str key, void *value)
{
	struct strmap_slot *s = find(m, key);
	if (s) {
		*s = (struct strmap_slot){.key = key, .value = value};
		return;
	}
	if ((m->used + 1) * 2 > m->cap)
		grow(m);
	insert(m, key, value);
}

void *strmap_remove(struct strmap *m, struct str key)
{
	struct strmap_slot *s = find(m, key);
	if (!s)
		return NULL;
	void *value = s->value;
	*s = (struct strmap_slot){.key = {GONE, 0}, .value = NULL};
	m->count--;
	return value;
}

void *strmap_next(const struct strmap *m, size_t *at)
{
	while (*at < m->cap) {
		const struct strmap_slot *s = &m->slots[(*at)++];
		if (s->key.p && s->key.p != GONE)
			return s->value;
	}
	return NULL;
}
