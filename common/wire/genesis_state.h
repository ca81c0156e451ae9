/* The state that a genesis describes, and the header of block 0 (docs/protocol.md, "Genesis"): what both who keeps a chain and who only checks a
 * proof begins with. Everything is in the arena given. */
#ifndef TANA_WIRE_GENESIS_STATE_H
#define TANA_WIRE_GENESIS_STATE_H

#include "wire/block.h"
#include "wire/genesis.h"

struct genesis_entry {
	struct str key, value; /* value: canonical JSON */
};
/* One entry for each key. In no particular order. */
void genesis_state(const struct genesis *g, struct arena *arena, struct genesis_entry **out, size_t *count);
/* The first validators, each of power 1, sorted by id. */
void genesis_validators(const struct genesis *g, struct arena *arena, struct validator **out, size_t *count);
void genesis_block_header(const struct genesis *g, struct block_header *out);

#endif
