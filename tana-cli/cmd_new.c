/* new user, new genesis, new chain: key pairs with names to go with them, and chains that begin with them. */
#include <stdio.h>

#include "base/file.h"
#include "chain_make.h"
#include "commands.h"
#include "keystore.h"
#include "ledger.h"
#include "output.h"
#include "paths.h"

struct user_report {
	struct str username, display_name, public_key, key_file;
};
static const struct json_field user_report_rows[] = {
	F_TEXT(struct user_report, username, "username", 0, 0, "The user's name, with @."),
	F_TEXT(struct user_report, display_name, "displayName", 0, 0, "The name for people."),
	F_TEXT(struct user_report, public_key, "publicKey", 0, 0, "The user's key."),
	F_TEXT(struct user_report, key_file, "keyFile", 0, 0, "Where it lies."),
};
static JSON_MESSAGE(user_report_message, "UserReport", struct user_report, user_report_rows);

static bool new_user(struct cli *c, struct error *err)
{
	struct keyfile k = {.display_name = str_from(option_text(c->in, "display-name"))};
	char passphrase[PASSPHRASE_MAX] = "", key[ED25519_PUBLIC_TEXT_LEN + 1];
	const char *file = option_text(c->in, "passphrase-file");
	bool is_id;
	if (!user_text(c, invocation_arg(c->in, "name"), &k.username, &is_id, err))
		return false;
	if (is_id)
		return error_set(err, ERR_USAGE, "A new user has a name; its id follows from its key.");
	const char *path = path_user(&c->arena, k.username);
	if (file && !keystore_passphrase_file(file, passphrase, err))
		return false;
	if (!file && option_bool(c->in, "passphrase") && !keystore_new_passphrase(passphrase, err))
		return false;
	bool sealed = passphrase[0] != '\0', ok = keystore_create(path, &k, sealed ? str_from(passphrase) : STR_NONE, err);
	explicit_bzero(passphrase, sizeof passphrase);
	if (!ok) {
		if (err->code == ERR_ALREADY_EXISTS)
			error_hint(err, "this user has a key: tana keys show %.*s", STR_ARG(k.username));
		return false;
	}
	ed25519_public_to_text(&k.public_key, key);
	if (c->json)
		json_print(&user_report_message, &(struct user_report){k.username, k.display_name, str_from(key), str_from(path)});
	say(c, "Made user %.*s", STR_ARG(k.username));
	say(c, "  key   %s", key);
	say(c, "  file  %s%s", path_short(&c->arena, path), sealed ? " (sealed with a passphrase)" : "");
	keyfile_wipe(&k);
	return true;
}

/* ---- Chains ---- */

static bool plan_validators(struct cli *c, struct chain_plan *plan, struct error *err)
{
	size_t n = option_count(c->in, "validator");
	struct genesis_validator *list = arena_zalloc(&c->arena, n, sizeof *list);
	for (size_t i = 0; i < n; i++)
		if (!chain_validator_argument(c, option_at(c->in, "validator", i), &list[i], err))
			return false;
	plan->validators = (struct json_list){list, n};
	return true;
}

static bool plan_currencies(struct cli *c, struct chain_plan *plan, struct error *err)
{
	size_t n = option_count(c->in, "currency");
	struct genesis_currency *list = arena_zalloc(&c->arena, n, sizeof *list);
	for (size_t i = 0; i < n; i++)
		if (!chain_currency_argument(c, option_at(c->in, "currency", i), &list[i], err))
			return false;
	plan->currencies = (struct json_list){list, n};
	return true;
}

static bool plan_chain(struct cli *c, struct chain_plan *plan, struct error *err)
{
	const char *name = invocation_arg(c->in, "name"), *sovereign = option_text(c->in, "sovereign");
	struct str who = STR_NONE;
	bool is_id = false;
	if (!path_name_valid(str_from(name)) || !chain_id_valid(str_from(name)))
		return error_set(err, ERR_USAGE, "'%s' is no name for a chain: 1-64 of a-z 0-9 . _ -, beginning with a letter or digit.", name);
	if (sovereign && !user_text(c, sovereign, &who, &is_id, err))
		return false;
	if (is_id)
		return error_set(err, ERR_USAGE, "Ids belong to a chain; name the sovereign by its user name.");
	*plan = (struct chain_plan){.chain_id = str_from(name), .sovereign = who.p, .params = genesis_params_default()};
	plan->params.open_registration = option_bool(c->in, "closed-registration") ? JSON_FALSE : JSON_TRUE;
	plan->params.max_block_transactions = option_int(c->in, "max-block-transactions");
	plan->params.max_block_bytes = option_int(c->in, "max-block-bytes");
	plan->params.max_transaction_bytes = option_int(c->in, "max-transaction-bytes");
	plan->params.timestamp_window_ms = option_int(c->in, "timestamp-window");
	plan->params.max_pending_per_user = option_int(c->in, "max-pending-per-user");
	return plan_validators(c, plan, err) && plan_currencies(c, plan, err);
}

static bool new_genesis(struct cli *c, struct error *err)
{
	const char *out = option_text(c->in, "out");
	bool to_file = out && strcmp(out, "-") != 0;
	struct chain_plan plan;
	struct genesis g;
	struct buf text = {0};
	bool ok = plan_chain(c, &plan, err) && chain_make(c, &plan, &g, &text, err);
	buf_putc(&text, '\n');
	if (ok && to_file)
		ok = file_write_atomic(out, buf_str(&text), 0644, FILE_MUST_NOT_EXIST, err);
	else if (ok)
		fwrite(text.data, 1, text.len, stdout);
	if (ok && to_file && c->json)
		json_print_file(out);
	if (ok && to_file)
		note(c, "Wrote %s: chain %.*s, hash %.*s", out, STR_ARG(g.chain_id), STR_ARG(hash_text(c, &g.hash)));
	buf_free(&text);
	return ok;
}

struct chain_report {
	struct str chain_id, genesis_hash, genesis_file, sovereign, chain_file;
	struct json_list validators; /* struct str */
};
static const struct json_field chain_report_rows[] = {
	F_TEXT(struct chain_report, chain_id, "chainId", 0, 0, "The chain."),
	F_TEXT(struct chain_report, genesis_hash, "genesisHash", 0, 0, "SHA-256 of its genesis."),
	F_TEXT(struct chain_report, genesis_file, "genesisFile", 0, 0, "Where that lies."),
	F_TEXT(struct chain_report, sovereign, "sovereign", 0, 0, "Its first user."),
	F_TEXT(struct chain_report, chain_file, "chainFile", 0, 0, "What this user keeps about it."),
	F_TEXTS(struct chain_report, validators, "validators", 0, 0, NULL, "Who makes its blocks."),
};
static JSON_MESSAGE(chain_report_message, "ChainReport", struct chain_report, chain_report_rows);

static void report_chain(struct cli *c, const struct genesis *g)
{
	const struct genesis_validator *v = g->validators.items;
	struct str *ids = arena_zalloc(&c->arena, g->validators.count, sizeof *ids);
	for (size_t i = 0; i < g->validators.count; i++)
		ids[i] = v[i].id;
	struct chain_report r = {g->chain_id, hash_text(c, &g->hash), str_from(chain_genesis_path(c)), g->sovereign->username,
				 str_from(path_chain(&c->arena, cli_chain(c))), {ids, g->validators.count}};
	if (c->json)
		json_print(&chain_report_message, &r);
	say(c, "Made chain %.*s", STR_ARG(r.chain_id));
	say(c, "  sovereign  %.*s", STR_ARG(r.sovereign));
	say(c, "  validator  %.*s%s", STR_ARG(ids[0]), g->validators.count > 1 ? ", and others" : "");
	say(c, "  genesis    %s", path_short(&c->arena, r.genesis_file.p));
	say(c, "  hash       %.*s", STR_ARG(r.genesis_hash));
	hint(c, "start it: tana start%s --chain %s", file_exists(path_sovereign_key(&c->arena)) ? "" : " --dev", cli_chain(c));
}

static bool new_chain(struct cli *c, struct error *err)
{
	struct chain_plan plan;
	struct genesis g;
	c->chain = invocation_arg(c->in, "name");
	if (!plan_chain(c, &plan, err) || !chain_make_files(c, &plan, &g, err))
		return false;
	report_chain(c, &g);
	return true;
}

int cmd_new_user(struct invocation *in)
{
	return cli_run(in, new_user);
}

int cmd_new_genesis(struct invocation *in)
{
	return cli_run(in, new_genesis);
}

int cmd_new_chain(struct invocation *in)
{
	return cli_run(in, new_chain);
}
