/* Where the state begins, and where currencies do. */
#include "base/log.h"
#include "base/money.h"
#include "chain_records.h"
#include "wire/genesis_state.h"

/* The view's source has no such entry (invariant), and is known to answer. */
static void put_new(struct chain_view *v, struct str key, struct str value)
{
	struct str before;
	struct error err;
	bool read = chain_view_get(v, key, &before, &err);
	invariant(read && !str_present(before));
	chain_view_put(v, key, value);
}

void chain_put_currency(struct chain_view *v, const struct genesis_currency *c)
{
	struct chain_key k;
	char zero[MONEY_TEXT_SIZE];
	struct buf out = {0};
	json_write_canonical(&out, &genesis_currency_message, c);
	put_new(v, chain_key(&k, "currency", c->code, STR_NONE, STR_NONE), buf_str(&out));
	buf_clear(&out);
	buf_put_json_string(&out, str_of(zero, money_format(0, (unsigned)c->decimals, zero)));
	put_new(v, chain_key(&k, "supply", c->code, STR_NONE, STR_NONE), buf_str(&out));
	buf_free(&out);
}

void chain_apply_genesis(struct chain_view *v, const struct genesis *g)
{
	struct genesis_entry *entries;
	size_t count;
	genesis_state(g, &v->arena, &entries, &count);
	for (size_t i = 0; i < count; i++)
		put_new(v, entries[i].key, entries[i].value);
}
