#include "chain_make.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/money.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"

/* STR_LIT is no constant. */
#define TEXT(lit) {"" lit, sizeof(lit) - 1}
static const struct genesis_currency default_currencies[] = {
	{TEXT("USD"), TEXT("fiat"), TEXT("US Dollar"), TEXT("$"), 2},
	{TEXT("BTC"), TEXT("crypto"), TEXT("Bitcoin"), TEXT("\xe2\x82\xbf"), 8},
	{TEXT("ETH"), TEXT("crypto"), TEXT("Ether"), TEXT("\xce\x9e"), 8},
};

static struct str key_text(struct cli *c, const struct ed25519_public *k)
{
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(k, text);
	return arena_copy(&c->arena, str_from(text));
}

/* ---- The sovereign ---- */

/* The user whose key file here is the oldest; NULL: there is none. */
static const struct keystore_entry *first_user(struct cli *c, size_t *users)
{
	struct keystore_list keys = keystore_list(c);
	const struct keystore_entry *first = NULL;
	struct timespec oldest = {0};
	*users = 0;
	for (size_t i = 0; i < keys.count; i++) {
		const struct keystore_entry *e = &keys.items[i];
		struct stat st;
		if (strcmp(e->kind, "user") != 0 || e->problem || stat(e->path, &st) != 0)
			continue;
		bool older = st.st_mtim.tv_sec < oldest.tv_sec || (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec < oldest.tv_nsec);
		if (++*users == 1 || older) {
			first = e;
			oldest = st.st_mtim;
		}
	}
	return first;
}

static bool make_user(struct cli *c, struct str name, struct keyfile *out, struct error *err)
{
	const char *path = path_user(&c->arena, name);
	*out = (struct keyfile){.username = name, .display_name = str_of(name.p + 1, name.n - 1)};
	if (!keystore_create(path, out, STR_NONE, err))
		return false;
	keyfile_wipe(out);
	note(c, "Made a user for this chain: %.*s (%s)", STR_ARG(name), path_short(&c->arena, path));
	return true;
}

static bool find_sovereign(struct cli *c, const struct chain_plan *plan, struct genesis_sovereign *out, struct error *err)
{
	struct keyfile k;
	size_t users;
	struct str name = str_from(plan->sovereign);
	if (!str_present(name)) {
		const struct keystore_entry *e = first_user(c, &users);
		if (users > 1)
			note(c, "There are several users here: the first one, %.*s, is the sovereign.", STR_ARG(e->name));
		name = e ? e->name : STR_NONE;
	}
	if (!str_present(name) && !plan->make_keys) {
		error_set(err, ERR_KEY_NEEDED, "A chain needs a sovereign, and there is no user's key here.");
		return error_hint(err, "make a user first: tana new user @name");
	}
	bool ok = str_present(name) ? keystore_look(c, path_user(&c->arena, name), &k, err) : make_user(c, STR_LIT(CHAIN_DEV_USER), &k, err);
	if (!ok)
		return false;
	name = str_present(name) ? name : STR_LIT(CHAIN_DEV_USER);
	bool named = str_present(k.display_name) && k.display_name.n > 0;
	*out = (struct genesis_sovereign){.username = name, .display_name = named ? k.display_name : arena_copy(&c->arena, str_of(name.p + 1, name.n - 1)),
					  .public_key = key_text(c, &k.public_key)};
	return true;
}

/* ---- Validators ---- */

static bool own_validator(struct cli *c, const struct chain_plan *plan, struct genesis_validator *out, struct error *err)
{
	struct error why;
	struct keyfile k;
	const char *path = keystore_node_path(c, NULL, &why);
	struct keystore_list keys = keystore_list(c);
	for (size_t i = 0; !path && i < keys.count; i++)
		if (strcmp(keys.items[i].kind, "node") == 0 && !keys.items[i].problem)
			path = keys.items[i].path; /* of several the first, as `tana start` takes it */
	if (path) {
		if (!keystore_look(c, path, &k, err))
			return false;
		if (!str_present(k.node_id))
			return error_set(err, ERR_KEY_FILE, "%s does not say which node it belongs to.", path);
	} else if (plan->make_keys) {
		k = (struct keyfile){.node_id = STR_LIT(CHAIN_DEV_NODE)};
		path = path_node_key(&c->arena, k.node_id);
		if (!keystore_create(path, &k, STR_NONE, err))
			return false;
		keyfile_wipe(&k);
		note(c, "Made a node key: %s", path_short(&c->arena, path));
	} else {
		error_set(err, ERR_KEY_NEEDED, "A chain needs a validator, and this machine has no node key.");
		return error_hint(err, "tana keys new node validator-1; or name others: --validator ID=KEY");
	}
	*out = (struct genesis_validator){k.node_id, key_text(c, &k.public_key)};
	return true;
}

/* ---- The genesis ---- */

bool chain_make(struct cli *c, const struct chain_plan *plan, struct genesis *g, struct buf *text, struct error *err)
{
	struct genesis_sovereign *sovereign = arena_zalloc(&c->arena, 1, sizeof *sovereign);
	struct genesis_validator *own = arena_zalloc(&c->arena, 1, sizeof *own);
	struct genesis_params params = plan->params;
	struct genesis made = {.chain_id = plan->chain_id, .timestamp = clock_wall_ms(), .currencies = plan->currencies,
			       .validators = plan->validators, .sovereign = sovereign, .params = &params};
	struct genesis_currency *currencies = arena_zalloc(&c->arena, ARRAY_LEN(default_currencies), sizeof *currencies);
	memcpy(currencies, default_currencies, sizeof default_currencies);
	if (made.currencies.count == 0)
		made.currencies = (struct json_list){currencies, ARRAY_LEN(default_currencies)};
	if (!find_sovereign(c, plan, sovereign, err))
		return false;
	if (made.validators.count == 0) {
		if (!own_validator(c, plan, own, err))
			return false;
		made.validators = (struct json_list){own, 1};
	}
	size_t begin = text->len;
	genesis_write(text, &made);
	/* Read back: what a ledger would refuse is refused here. */
	return genesis_read(str_of(text->data + begin, text->len - begin), &c->arena, g, err);
}

bool chain_make_files(struct cli *c, const struct chain_plan *plan, struct genesis *g, struct error *err)
{
	const char *path = chain_genesis_path(c);
	struct buf text = {0};
	char hash[HASH_TEXT_LEN + 1];
	if (file_exists(path)) {
		error_set(err, ERR_ALREADY_EXISTS, "Chain %s has a genesis already: %s", cli_chain(c), path_short(&c->arena, path));
		return error_hint(err, "start it: tana start --chain %s; or make another: tana new chain NAME", cli_chain(c));
	}
	bool ok = chain_make(c, plan, g, &text, err) && file_make_dirs(path_state(&c->arena, cli_chain(c), "%s", ""), 0700, err);
	buf_putc(&text, '\n');
	/* The chain file first: a genesis without it would still be found, one that lies about its chain would not. */
	if (ok) {
		hash_to_text(&g->hash, hash);
		struct chain_file file = {.name = str_from(cli_chain(c)), .chain_id = g->chain_id, .genesis_hash = str_from(hash),
					  .sovereign = g->sovereign->username, .genesis_file = str_from(path)};
		ok = chain_file_write(c, &file, err) && file_write_atomic(path, buf_str(&text), 0600, FILE_MUST_NOT_EXIST, err);
	}
	buf_free(&text);
	return ok;
}

/* ---- Arguments ---- */

bool chain_currency_argument(struct cli *c, const char *text, struct genesis_currency *out, struct error *err)
{
	char *parts[5] = {NULL}, *rest = arena_strdup(&c->arena, text);
	size_t n = 0;
	for (; rest && n < ARRAY_LEN(parts); n++)
		parts[n] = strsep(&rest, n + 1 < ARRAY_LEN(parts) ? ":" : "");
	bool ok = n >= 3 && tx_form_valid(TX_FORM_CURRENCY, str_from(parts[0])) && tx_form_valid(TX_FORM_CURRENCY_TYPE, str_from(parts[1])) &&
		  str_to_int64(str_from(parts[2]), &out->decimals) && out->decimals >= 0 && out->decimals <= MONEY_DECIMALS_MAX;
	if (!ok) {
		error_set(err, ERR_USAGE, "'%s' is no currency.", text);
		return error_hint(err, "CODE:fiat|crypto:DECIMALS[:NAME[:SYMBOL]], such as EUR:fiat:2:Euro:E");
	}
	out->code = str_from(parts[0]);
	out->currency_type = str_from(parts[1]);
	out->name = str_from(n > 3 ? parts[3] : parts[0]);
	out->symbol = str_from(n > 4 ? parts[4] : parts[0]);
	return true;
}

bool chain_validator_argument(struct cli *c, const char *text, struct genesis_validator *out, struct error *err)
{
	char *id = arena_strdup(&c->arena, text), *equals = strchr(id, '=');
	if (equals)
		*equals = '\0';
	if (!equals || !tx_form_valid(TX_FORM_VALIDATOR, str_from(id)) || !tx_form_valid(TX_FORM_KEY, str_from(equals + 1)))
		return error_set(err, ERR_USAGE, "'%.120s' is no validator: ID=ed25519_...", text);
	*out = (struct genesis_validator){str_from(id), str_from(equals + 1)};
	return true;
}
