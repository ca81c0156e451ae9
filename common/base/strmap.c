#include "strmap.h"

#include <stdlib.h>

#include "mem.h"
#include "random.h"

static const char gone_mark;
#define GONE (&gone_mark)

__extension__ typedef unsigned __int128 wide;

/* The product of two numbers, folded: each of its bits depends on all of theirs. */
static inline uint64_t fold(uint64_t a, uint64_t b)
{
	wide p = (wide)a * b;
	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint64_t load(const char *p, size_t n)
{
	uint64_t v = 0;
	memcpy(&v, p, n);
	return v;
}

/* Eight bytes at a time from a random start: enough against keys made to collide without knowing the seed. */
static uint64_t hash_of(const struct strmap *m, struct str key)
{
	const uint64_t a = UINT64_C(0x9e3779b97f4a7c15), b = UINT64_C(0xd6e8feb86659fd93);
	uint64_t h = m->seed ^ key.n;
	size_t i = 0;
	for (; i + 8 <= key.n; i += 8)
		h = fold(h ^ a, load(key.p + i, 8) ^ m->seed ^ b);
	if (i < key.n)
		h = fold(h ^ a, load(key.p + i, key.n - i) ^ m->seed ^ b);
	return fold(h ^ b, a);
}

static struct strmap_slot *find(const struct strmap *m, struct str key, uint64_t hash)
{
	if (m->cap == 0)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct strmap_slot *s = &m->slots[i];
		if (!s->key.p)
			return NULL;
		if (s->hash == hash && s->key.p != GONE && str_equal(s->key, key))
			return s;
	}
}

static void insert(struct strmap *m, const struct strmap_slot *slot)
{
	size_t i = slot->hash & (m->cap - 1);
	while (m->slots[i].key.p)
		i = (i + 1) & (m->cap - 1);
	m->slots[i] = *slot;
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
	m->slots = xcalloc(m->cap, sizeof(*m->slots));
	m->count = m->used = 0;
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].key.p && old.slots[i].key.p != GONE)
			insert(m, &old.slots[i]);
	free(old.slots);
}

void strmap_free(struct strmap *m)
{
	free(m->slots);
	*m = (struct strmap){.slots = NULL};
}

void *strmap_get(const struct strmap *m, struct str key)
{
	struct strmap_slot *s = m->cap > 0 ? find(m, key, hash_of(m, key)) : NULL;
	return s ? s->value : NULL;
}

static void add(struct strmap *m, const struct strmap_slot *slot)
{
	if ((m->used + 1) * 2 > m->cap)
		grow(m);
	insert(m, slot);
}

/* The map's first key draws its seed. */
static struct strmap_slot slot_for(struct strmap *m, struct str key, void *value)
{
	if (m->cap == 0)
		m->seed = random_u64();
	return (struct strmap_slot){.key = key, .value = value, .hash = hash_of(m, key)};
}

void strmap_put(struct strmap *m, struct str key, void *value)
{
	struct strmap_slot slot = slot_for(m, key, value), *s = find(m, key, slot.hash);
	if (s)
		*s = slot;
	else
		add(m, &slot);
}

void strmap_add(struct strmap *m, struct str key, void *value)
{
	struct strmap_slot slot = slot_for(m, key, value);
	add(m, &slot);
}

void *strmap_remove(struct strmap *m, struct str key)
{
	struct strmap_slot *s = find(m, key, hash_of(m, key));
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
