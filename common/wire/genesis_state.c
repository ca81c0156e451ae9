#include "wire/genesis_state.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/money.h"
#include "crypto/canonical.h"
#include "crypto/merkle_list.h"
#include "crypto/merkle_map.h"

enum { ENTRIES_OF_CHAIN = 1, ENTRIES_OF_SOVEREIGN = 4, ENTRIES_OF_CURRENCY = 2 };

struct state {
	struct arena *arena;
	struct genesis_entry *items;
	size_t count;
	struct buf value; /* of the next entry */
};

/* The entry "<kind>:<name>" gets what was gathered in `value`. */
static void put(struct state *s, const char *kind, struct str name)
{
	s->items[s->count++] = (struct genesis_entry){arena_printf(s->arena, "%s%s%.*s", kind, str_present(name) ? ":" : "", STR_ARG(name)),
						      arena_copy(s->arena, buf_str(&s->value))};
	buf_clear(&s->value);
}

static void put_text(struct state *s, const char *kind, struct str name, struct str text)
{
	buf_put_json_string(&s->value, text);
	put(s, kind, name);
}

static void member(struct canonical_writer *w, const char *key, struct str text)
{
	canonical_key(w, key);
	canonical_str(w, text);
}

static void put_chain(struct state *s, const struct genesis *g)
{
	struct canonical_writer w;
	struct buf params = {0};
	char hash[HASH_TEXT_LEN + 1];
	hash_to_text(&g->hash, hash);
	json_write_canonical(&params, &genesis_params_message, g->params);
	canonical_begin(&w, &s->value);
	canonical_object(&w);
	member(&w, "chainId", g->chain_id);
	member(&w, "genesisHash", str_from(hash));
	canonical_key(&w, "params");
	canonical_raw(&w, buf_str(&params));
	canonical_end(&w);
	buf_free(&params);
	put(s, "chain", STR_NONE);
}

static void put_sovereign(struct state *s, const struct genesis *g)
{
	struct canonical_writer w;
	char text[USER_ID_LEN + 1];
	struct str id = str_of(text, USER_ID_LEN);
	user_id_of(g->chain_id, g->sovereign->public_key, text);
	canonical_begin(&w, &s->value);
	canonical_object(&w);
	member(&w, "displayName", g->sovereign->display_name);
	member(&w, "id", id);
	member(&w, "publicKey", g->sovereign->public_key);
	member(&w, "role", STR_LIT("sovereign"));
	member(&w, "username", g->sovereign->username);
	canonical_end(&w);
	put(s, "user", id);
	buf_putc(&s->value, '0');
	put(s, "nonce", id);
	put_text(s, "username", g->sovereign->username, id);
	put_text(s, "key", g->sovereign->public_key, id);
}

void genesis_validators(const struct genesis *g, struct arena *arena, struct validator **out, size_t *count)
{
	const struct genesis_validator *given = g->validators.items;
	struct validator *sorted = arena_zalloc(arena, g->validators.count, sizeof *sorted);
	for (size_t i = 0; i < g->validators.count; i++) {
		size_t j = i;
		for (; j > 0 && str_compare(sorted[j - 1].id, given[i].id) > 0; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = (struct validator){given[i].id, given[i].public_key, 1};
	}
	*out = sorted;
	*count = g->validators.count;
}

void genesis_state(const struct genesis *g, struct arena *arena, struct genesis_entry **out, size_t *count)
{
	const struct genesis_currency *currencies = g->currencies.items;
	size_t room = ENTRIES_OF_CHAIN + ENTRIES_OF_SOVEREIGN + ENTRIES_OF_CURRENCY * g->currencies.count + g->validators.count;
	struct state s = {.arena = arena, .items = arena_zalloc(arena, room, sizeof *s.items)};
	struct validator *validators;
	size_t validator_count;
	put_chain(&s, g);
	put_sovereign(&s, g);
	for (size_t i = 0; i < g->currencies.count; i++) {
		char zero[MONEY_TEXT_SIZE];
		json_write_canonical(&s.value, &genesis_currency_message, &currencies[i]);
		put(&s, "currency", currencies[i].code);
		put_text(&s, "supply", currencies[i].code, str_of(zero, money_format(0, (unsigned)currencies[i].decimals, zero)));
	}
	genesis_validators(g, arena, &validators, &validator_count);
	for (size_t i = 0; i < validator_count; i++) {
		validator_write(&s.value, &validators[i]);
		put(&s, "validator", validators[i].id);
	}
	invariant(s.count == room);
	buf_free(&s.value);
	*out = s.items;
	*count = s.count;
}

static void state_root(const struct genesis_entry *entries, size_t count, struct arena *arena, struct hash *out)
{
	struct merkle_map_entry *leaves = arena_zalloc(arena, count, sizeof *leaves);
	for (size_t i = 0; i < count; i++)
		merkle_map_entry(&leaves[i], entries[i].key, entries[i].value);
	merkle_map_sort(leaves, count);
	merkle_map_root(out, leaves, count);
}

void genesis_block_header(const struct genesis *g, struct block_header *out)
{
	struct arena arena;
	struct genesis_entry *entries;
	struct validator *validators;
	size_t count, validator_count;
	arena_init(&arena);
	genesis_state(g, &arena, &entries, &count);
	genesis_validators(g, &arena, &validators, &validator_count);
	*out = (struct block_header){
		.chain_id = g->chain_id, .producer = STR_LIT(GENESIS_PRODUCER), .timestamp = g->timestamp, .genesis_hash = g->hash};
	merkle_root(&out->tx_root, NULL, 0);
	merkle_root(&out->changes_root, NULL, 0);
	state_root(entries, count, &arena, &out->state_root);
	validators_hash(&out->validators_hash, validators, validator_count);
	arena_free(&arena);
}
