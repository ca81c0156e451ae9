#include "suggest.h"

#include <limits.h>

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;
	return ab < c ? ab : c;
}

unsigned edit_distance(struct str a, struct str b)
{
	unsigned rows[3][SUGGEST_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];
	if (a.n > SUGGEST_MAX || b.n > SUGGEST_MAX)
		return UINT_MAX;
	for (unsigned j = 0; j <= b.n; j++)
		last[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			bool same = a.p[i - 1] == b.p[j - 1];
			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + !same);
			bool swapped = i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1];
			if (swapped && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		unsigned *free_row = before;
		before = last;
		last = row;
		row = free_row;
	}
	return last[b.n];
}

/* Short names are near each other by chance, so they allow fewer mistakes. */
static unsigned mistakes_allowed(size_t length)
{
	return length <= 3 ? 1 : length <= 8 ? 2 : 3;
}

void suggest_consider(struct suggestion *s, const char *candidate)
{
	struct str c = str_from(candidate);
	bool begins = s->wanted.n >= 2 && c.n >= s->wanted.n && memcmp(c.p, s->wanted.p, s->wanted.n) == 0;
	unsigned distance = begins ? 1 : edit_distance(s->wanted, c);
	/* Everything replaced is no resemblance. */
	if (distance > mistakes_allowed(s->wanted.n) || distance >= s->wanted.n)
		return;
	if (!s->best || distance < s->distance) {
		s->best = candidate;
		s->distance = distance;
	}
}
