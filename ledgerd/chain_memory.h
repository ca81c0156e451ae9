/* A chain's state in memory: every entry, key to value. What the audit replays into. Not thread-safe. */
#ifndef TANA_LEDGERD_CHAIN_MEMORY_H
#define TANA_LEDGERD_CHAIN_MEMORY_H

#include "chain.h"

struct chain_memory {
	struct strmap entries; /* of struct memory_entry * */
	uint64_t bytes;        /* of keys and values */
};
struct memory_entry {
	struct str key, value;
	unsigned char marks; /* the owner's */
};
/* Zeroed is empty. */
void chain_memory_free(struct chain_memory *m);
/* A source of its entries; it lives as long as *m. */
struct chain_source chain_memory_source(struct chain_memory *m);
/* Takes over what a block changed. */
void chain_memory_take(struct chain_memory *m, const struct chain_changes *changes);
void chain_memory_put(struct chain_memory *m, struct str key, struct str value); /* an absent value removes */
struct memory_entry *chain_memory_find(const struct chain_memory *m, struct str key); /* NULL: no such entry */
/* Walks; begin with 0, NULL at the end. */
struct memory_entry *chain_memory_next(const struct chain_memory *m, size_t *at);

#endif
