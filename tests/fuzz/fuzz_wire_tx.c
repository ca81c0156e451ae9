/* wire: transactions' messages. What is taken is canonical, has what its type needs, and written again it is the same bytes. */
#include <stdint.h>

#include "base/log.h"
#include "crypto/canonical.h"
#include "wire/tx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tx *t)
{
	struct str value[TXF_COUNT];
	struct buf again = {0};
	uint64_t there = 0;
	for (unsigned f = 0; f < TXF_COUNT; f++) {
		value[f] = tx_text(t, (enum tx_field)f);
		if (!str_present(value[f]))
			continue;
		there |= UINT64_C(1) << f;
		invariant(tx_form_valid(tx_field_form((enum tx_field)f), value[f]));
	}
	const uint64_t inside = UINT64_C(1) << TXF_APPROVAL_BY | UINT64_C(1) << TXF_APPROVAL_SIGNATURE, approval = UINT64_C(1) << TXF_APPROVAL;
	if (there & inside) {
		invariant((there & inside) == inside);
		there = (there & ~inside) | approval;
	}
	const struct tx_type_row *row = tx_type_row(t->type);
	invariant((row->required & ~there) == 0 && (there & ~(row->required | row->optional)) == 0);
	tx_write(&again, value);
	invariant(str_equal(buf_str(&again), t->message));
	buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_of(size ? (const char *)data : "", size);
	struct arena arena;
	struct tx t;
	struct error err;
	arena_init(&arena);
	if (tx_parse(text, TX_BYTES_DEFAULT, &arena, &t, &err)) {
		invariant(canonical_check(text));
		check(&t);
		struct tx again;
		tx_parse_again(text, &t.id, &arena, &again);
		invariant(again.type == t.type && again.nonce == t.nonce && again.timestamp == t.timestamp && again.count == t.count);
		for (unsigned f = 0; f < TXF_COUNT; f++)
			invariant(str_equal(tx_text(&again, (enum tx_field)f), tx_text(&t, (enum tx_field)f)));
	}
	arena_free(&arena);
	return 0;
}
