/*
 * State entries in memory: a bounded copy of what the database holds, absences included. The least recently used go when it is full (CLOCK: those
 * not asked for since the hand last passed). Not thread-safe: the core's lock guards it.
 */
#ifndef TANA_LEDGERD_STATE_CACHE_H
#define TANA_LEDGERD_STATE_CACHE_H

#include <stdint.h>

#include "base/str.h"

struct state_cache;
struct state_cache *state_cache_new(size_t bytes_max);
void state_cache_free(struct state_cache *c); /* NULL is allowed */
/* True when the entry is known: *value is absent when there is no such entry, and borrowed until the next call that puts. */
MUST_CHECK bool state_cache_get(struct state_cache *c, struct str key, struct str *value);
/* What the database holds; copied. */
void state_cache_put(struct state_cache *c, struct str key, struct str value);
struct state_cache_stats {
	uint64_t entries, bytes, hits, misses;
};
void state_cache_get_stats(const struct state_cache *c, struct state_cache_stats *out);

#endif
