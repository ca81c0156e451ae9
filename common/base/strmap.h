/*
 * A map from byte strings to pointers, in memory. Open addressing, seeded hashing (keys may come from outside), not thread-safe. Keys are
 * borrowed: they must live, unchanged, as long as their entry. A zeroed struct is an empty map.
 */
#ifndef TANA_BASE_STRMAP_H
#define TANA_BASE_STRMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "str.h"

struct strmap_slot {
	struct str key; /* p NULL: free; a mark of the map: deleted */
	void *value;
	uint64_t hash;
};
struct strmap {
	struct strmap_slot *slots;
	size_t cap, count, used; /* used: count and deleted */
	uint64_t seed;
};

void strmap_free(struct strmap *m); /* the slots; not keys nor values */
void *strmap_get(const struct strmap *m, struct str key); /* NULL: not there */
/* Puts or replaces; value is not NULL. The key of a replaced entry is replaced too. */
void strmap_put(struct strmap *m, struct str key, void *value);
/* The same for a key that is known not to be there. */
void strmap_add(struct strmap *m, struct str key, void *value);
/* The value that was there, or NULL. */
void *strmap_remove(struct strmap *m, struct str key);
/* The next value from *at (begin with 0); NULL at the end. The map must not change meanwhile. */
void *strmap_next(const struct strmap *m, size_t *at);

#endif
