#include "refused_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A Bloom filter for each of two periods. An id is made of hashed bytes, so its own are taken for where its bits are. A filter of a million ids says
 * yes to one in fifty of the others. */
enum { BITS = 1 << 23, EACH = 4 };

struct refused_set {
	int64_t period_ms, begun_ms; /* begun: the present period; 0: none yet */
	uint64_t *now, *before;
};

struct refused_set *refused_set_new(int64_t period_ms)
{
	struct refused_set *s = xcalloc(1, sizeof *s);
	s->period_ms = period_ms;
	s->now = xcalloc(BITS / 64, sizeof *s->now);
	s->before = xcalloc(BITS / 64, sizeof *s->before);
	return s;
}

void refused_set_free(struct refused_set *s)
{
	if (!s)
		return;
	free(s->now);
	free(s->before);
	free(s);
}

static void turn_over(struct refused_set *s, int64_t now_ms)
{
	uint64_t *other = s->before;
	bool long_ago = now_ms - s->begun_ms >= 2 * s->period_ms;
	s->before = s->now;
	s->now = other;
	memset(s->now, 0, BITS / 8);
	if (long_ago)
		memset(s->before, 0, BITS / 8);
	s->begun_ms = now_ms;
}

static size_t place(const struct hash *id, size_t i)
{
	uint32_t v;
	memcpy(&v, id->b + i * sizeof v, sizeof v);
	return v % BITS;
}

void refused_set_put(struct refused_set *s, const struct hash *id, int64_t now_ms)
{
	if (s->begun_ms == 0)
		s->begun_ms = now_ms;
	else if (now_ms - s->begun_ms >= s->period_ms)
		turn_over(s, now_ms);
	for (size_t i = 0; i < EACH; i++)
		s->now[place(id, i) / 64] |= UINT64_C(1) << place(id, i) % 64;
}

static bool has(const uint64_t *bits, const struct hash *id)
{
	for (size_t i = 0; i < EACH; i++)
		if (!(bits[place(id, i) / 64] >> place(id, i) % 64 & 1))
			return false;
	return true;
}

bool refused_set_perhaps(const struct refused_set *s, const struct hash *id)
{
	return has(s->now, id) || has(s->before, id);
}
