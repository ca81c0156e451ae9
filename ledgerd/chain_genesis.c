/* The state that a genesis describes. */
#include "base/log.h"
#include "base/money.h"
#include "chain_records.h"

/* The view has an empty source: asking cannot fail, and finds nothing. */
static void put(struct chain_view *v, struct str key, struct str value)
{
	struct str before;
	struct error err;
	bool read = chain_view_get(v, key, &before, &err);
	invariant(read && !str_present(before));
	chain_view_put(v, key, value);
}

static void put_text(struct chain_view *v, struct str key, struct str text)
{
	struct buf out = {0};
	buf_put_json_string(&out, text);
	put(v, key, buf_str(&out));
	buf_free(&out);
}

void chain_put_currency(struct chain_view *v, const struct genesis_currency *c)
{
	struct chain_key k;
	char zero[MONEY_TEXT_SIZE];
	struct buf out = {0};
	json_write_canonical(&out, &genesis_currency_message, c);
	put(v, chain_key(&k, "currency", c->code, STR_NONE, STR_NONE), buf_str(&out));
	buf_free(&out);
	put_text(v, chain_key(&k, "supply", c->code, STR_NONE, STR_NONE), str_of(zero, money_format(0, (unsigned)c->decimals, zero)));
}

static void put_sovereign(struct chain_view *v, const struct genesis *g)
{
	struct chain_key k;
	char id_text[USER_ID_LEN + 1];
	struct str id = str_of(id_text, USER_ID_LEN), none = STR_NONE;
	struct buf value = {0};
	struct canonical_writer w;
	user_id_of(g->chain_id, g->sovereign->public_key, id_text);
	canonical_begin(&w, &value);
	canonical_object(&w);
	canonical_key(&w, "displayName");
	canonical_str(&w, g->sovereign->display_name);
	canonical_key(&w, "id");
	canonical_str(&w, id);
	canonical_key(&w, "publicKey");
	canonical_str(&w, g->sovereign->public_key);
	canonical_key(&w, "role");
	canonical_str(&w, STR_LIT("sovereign"));
	canonical_key(&w, "username");
	canonical_str(&w, g->sovereign->username);
	canonical_end(&w);
	put(v, chain_key(&k, "user", id, none, none), buf_str(&value));
	buf_free(&value);
	put(v, chain_key(&k, "nonce", id, none, none), STR_LIT("0"));
	put_text(v, chain_key(&k, "username", g->sovereign->username, none, none), id);
	put_text(v, chain_key(&k, "key", g->sovereign->public_key, none, none), id);
}

static void put_chain(struct chain_view *v, const struct genesis *g)
{
	struct buf value = {0};
	struct canonical_writer w;
	char hash[HASH_TEXT_LEN + 1];
	hash_to_text(&g->hash, hash);
	struct buf params = {0};
	json_write_canonical(&params, &genesis_params_message, g->params);
	canonical_begin(&w, &value);
	canonical_object(&w);
	canonical_key(&w, "chainId");
	canonical_str(&w, g->chain_id);
	canonical_key(&w, "genesisHash");
	canonical_str(&w, str_from(hash));
	canonical_key(&w, "params");
	canonical_raw(&w, buf_str(&params));
	canonical_end(&w);
	put(v, STR_LIT("chain"), buf_str(&value));
	buf_free(&params);
	buf_free(&value);
}

void chain_apply_genesis(struct chain_view *v, const struct genesis *g)
{
	put_chain(v, g);
	const struct genesis_currency *c = g->currencies.items;
	for (size_t i = 0; i < g->currencies.count; i++)
		chain_put_currency(v, &c[i]);
	put_sovereign(v, g);
	const struct genesis_validator *gv = g->validators.items;
	for (size_t i = 0; i < g->validators.count; i++) {
		struct chain_key k;
		struct buf value = {0};
		validator_write(&value, &(struct validator){gv[i].id, gv[i].public_key, 1});
		put(v, chain_key(&k, "validator", gv[i].id, STR_NONE, STR_NONE), buf_str(&value));
		buf_free(&value);
	}
}
