/* wire: genesis files. What is taken is canonical, is written again as the same bytes, and leads to a block 0 that can be read. */
#include <stdint.h>

#include "base/log.h"
#include "crypto/canonical.h"
#include "wire/genesis_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct genesis *g, struct arena *arena)
{
	struct block_header h, again;
	struct genesis_entry *entries;
	size_t count;
	struct buf out = {0};
	struct error err;
	genesis_write(&out, g);
	invariant(str_equal(buf_str(&out), g->text) && g->validators.count > 0);
	genesis_state(g, arena, &entries, &count);
	for (size_t i = 0; i < count; i++)
		invariant(entries[i].key.n > 0 && canonical_check(entries[i].value));
	genesis_block_header(g, &h);
	buf_clear(&out);
	block_header_write(&out, &h);
	bool read = block_header_read(buf_str(&out), &again, &err);
	invariant(read && again.height == 0 && hash_equal(&again.genesis_hash, &g->hash));
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct genesis g;
	struct arena arena;
	struct error err;
	arena_init(&arena);
	if (genesis_read(str_of(size ? (const char *)data : "", size), &arena, &g, &err))
		check(&g, &arena);
	arena_free(&arena);
	return 0;
}
