/* "Did you mean": the nearest known name to a mistyped one. Distances count insertions, deletions, replacements and swapped neighbours. */
#ifndef TANA_DAEMON_SUGGEST_H
#define TANA_DAEMON_SUGGEST_H

#include "base/str.h"

struct suggestion {
	struct str wanted;  /* what was typed */
	const char *best;   /* NULL until something is near enough; the candidate's own pointer */
	unsigned distance;  /* of best */
};

static inline struct suggestion suggest_for(struct str wanted) { return (struct suggestion){.wanted = wanted}; }
/* Takes the candidate when it is near enough and nearer than all before it. One that begins with what was typed is near. */
void suggest_consider(struct suggestion *s, const char *candidate);
/* The optimal string alignment distance; either text longer than SUGGEST_MAX bytes counts as infinitely far (UINT_MAX). */
enum { SUGGEST_MAX = 64 };
unsigned edit_distance(struct str a, struct str b);

#endif
