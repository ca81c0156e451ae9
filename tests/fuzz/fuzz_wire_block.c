/* wire: headers, lines of a chain file, its first line. What is taken is written again as the same bytes (a line may have more than is kept: ids). */
#include <stdint.h>

#include "base/log.h"
#include "crypto/canonical.h"
#include "wire/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct buf *out, struct str text)
{
	invariant(str_equal(buf_str(out), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of(size ? (const char *)data : "", size), genesis;
	struct block_header h;
	struct block b, again;
	struct validator v;
	struct buf out = {0};
	struct arena arena;
	struct error err;
	arena_init(&arena);
	if (block_header_read(text, &h, &err)) {
		block_header_write(&out, &h);
		same(&out, text);
	}
	buf_clear(&out);
	if (block_line_read(text, &arena, &b, &err)) {
		block_line_write(&out, &b);
		bool read = block_line_read(buf_str(&out), &arena, &again, &err);
		invariant(read && again.tx_count == b.tx_count && str_equal(again.header, b.header) && str_equal(again.changes, b.changes));
		invariant(again.has_signature == b.has_signature && hash_equal(&again.hash, &b.hash));
	}
	buf_clear(&out);
	if (chain_file_head_read(text, &genesis, &err)) {
		chain_file_head_write(&out, genesis);
		same(&out, text);
	}
	buf_clear(&out);
	if (canonical_check(text) && validator_read(text, &v)) {
		validator_write(&out, &v);
		same(&out, text);
	}
	buf_free(&out);
	arena_free(&arena);
	return 0;
}
