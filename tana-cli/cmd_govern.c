/* currency, validator, role: what the sovereign decides. */
#include <string.h>

#include "commands.h"
#include "ledger.h"
#include "output.h"

/* ---- currency ---- */

static bool currency_create(struct cli *c, struct error *err)
{
	struct wallet_order o = wallet_order(TX_CURRENCY_CREATION);
	struct actor a;
	o.value[TXF_CODE] = str_from(invocation_arg(c->in, "code"));
	o.value[TXF_NAME] = str_from(option_text(c->in, "name"));
	o.value[TXF_SYMBOL] = str_from(option_text(c->in, "symbol"));
	o.value[TXF_CURRENCY_TYPE] = str_from(option_text(c->in, "type"));
	o.value[TXF_DECIMALS] = arena_printf(&c->arena, "%lld", (long long)option_int(c->in, "decimals"));
	if (!str_present(o.value[TXF_NAME]))
		o.value[TXF_NAME] = o.value[TXF_CODE];
	if (!str_present(o.value[TXF_SYMBOL]))
		o.value[TXF_SYMBOL] = o.value[TXF_CODE];
	if (!actor_open(c, NULL, true, &a, err))
		return false;
	bool ok = order_carry_out(c, &a, &o, err, "There is a currency %.*s now.", STR_ARG(o.value[TXF_CODE]));
	actor_wipe(&a);
	return ok;
}

static bool currency_list(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"CODE", ALIGN_LEFT}, {"NAME", ALIGN_LEFT}, {"SYMBOL", ALIGN_LEFT}, {"TYPE", ALIGN_LEFT}, {"DECIMALS", ALIGN_RIGHT}};
	struct ledger_currencies all;
	struct table t;
	if (!ledger_open(c, err) || !ledger_client_currencies(c->ledger, &c->arena, &all.currencies, err))
		return false;
	if (c->json) {
		json_print(&ledger_currencies_message, &all);
		return true;
	}
	const struct genesis_currency *items = all.currencies.items;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.currencies.count; i++) {
		table_cell(&t, TINT_BOLD, items[i].code);
		table_cell(&t, TINT_NONE, items[i].name);
		table_cell(&t, TINT_NONE, items[i].symbol);
		table_cell(&t, TINT_NONE, items[i].currency_type);
		table_cellf(&t, TINT_NONE, "%lld", (long long)items[i].decimals);
	}
	table_print(&t);
	return true;
}

/* ---- validator ---- */

static bool validator_list(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"VALIDATOR", ALIGN_LEFT}, {"POWER", ALIGN_RIGHT}, {"KEY", ALIGN_LEFT}};
	struct ledger_validators all;
	struct table t;
	if (!ledger_open(c, err) || !ledger_client_validators(c->ledger, &c->arena, &all.validators, err))
		return false;
	if (c->json) {
		json_print(&ledger_validators_message, &all);
		return true;
	}
	const struct ledger_validator *v = all.validators.items;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.validators.count; i++) {
		table_cell(&t, TINT_BOLD, v[i].id);
		table_cellf(&t, TINT_NONE, "%lld", (long long)v[i].power);
		table_cell(&t, TINT_NONE, v[i].public_key);
	}
	table_print(&t);
	return true;
}

/* A key that was named, else the one the chain has, else that of the node's key file here. */
static bool validator_key(struct cli *c, struct str id, struct str *out, struct error *err)
{
	struct ledger_validators all = {.validators = {NULL, 0}};
	struct keyfile k;
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	*out = str_from(option_text(c->in, "public-key"));
	if (str_present(*out))
		return true;
	if (!option_bool(c->in, "offline") && (!ledger_open(c, err) || !ledger_client_validators(c->ledger, &c->arena, &all.validators, err)))
		return false;
	const struct ledger_validator *v = all.validators.items;
	for (size_t i = 0; i < all.validators.count; i++)
		if (str_equal(v[i].id, id)) {
			*out = v[i].public_key;
			return true;
		}
	const char *path = keystore_node_path(c, id.p, err);
	if (!path || !keystore_look(c, path, &k, err))
		return error_hint(err, "name the validator's key: --public-key KEY (tana mesh status %.*s shows it)", STR_ARG(id));
	ed25519_public_to_text(&k.public_key, text);
	*out = arena_copy(&c->arena, str_from(text));
	return true;
}

static bool validator_update(struct cli *c, struct error *err)
{
	struct wallet_order o = wallet_order(TX_VALIDATOR_UPDATE);
	int64_t power = option_int(c->in, "power");
	struct actor a;
	o.value[TXF_VALIDATOR_ID] = str_from(invocation_arg(c->in, "validator"));
	o.value[TXF_POWER] = arena_printf(&c->arena, "%lld", (long long)power);
	if (!validator_key(c, o.value[TXF_VALIDATOR_ID], &o.value[TXF_PUBLIC_KEY], err) || !actor_open(c, NULL, true, &a, err))
		return false;
	bool ok = confirm(c, err, "Give validator %.*s, with key %.*s, power %lld%s?", STR_ARG(o.value[TXF_VALIDATOR_ID]),
			  STR_ARG(o.value[TXF_PUBLIC_KEY]), (long long)power, power == 0 ? " (which removes it)" : "") &&
		  order_carry_out(c, &a, &o, err, "Validator %.*s has power %lld now.", STR_ARG(o.value[TXF_VALIDATOR_ID]), (long long)power);
	actor_wipe(&a);
	return ok;
}

/* ---- role ---- */

static bool role(struct cli *c, struct error *err)
{
	const char *who = invocation_arg(c->in, "user"), *to_be = invocation_arg(c->in, "role");
	bool hand_over = strcmp(to_be, "sovereign") == 0;
	struct wallet_order o = wallet_order(hand_over ? TX_SOVEREIGNTY_TRANSFER : TX_ROLE_CHANGE);
	struct actor a;
	if (!hand_over && !tx_form_valid(TX_FORM_ROLE, str_from(to_be)))
		return error_set(err, ERR_USAGE, "'%s' is no role: user, staff or sovereign.", to_be);
	if (!hand_over)
		o.value[TXF_ROLE] = str_from(to_be);
	if (!actor_open(c, NULL, true, &a, err))
		return false;
	bool ok = user_recipient(c, who, &o.value[TXF_TO], err);
	if (ok && hand_over)
		ok = confirm(c, err, "Make %s the sovereign? %.*s will be staff, and cannot take it back.", who, STR_ARG(a.username));
	ok = ok && order_carry_out(c, &a, &o, err, "%s is %s now.", who, to_be);
	actor_wipe(&a);
	return ok;
}

int cmd_currency_create(struct invocation *in)
{
	return cli_run(in, currency_create);
}

int cmd_currency_list(struct invocation *in)
{
	return cli_run(in, currency_list);
}

int cmd_validator_list(struct invocation *in)
{
	return cli_run(in, validator_list);
}

int cmd_validator_update(struct invocation *in)
{
	return cli_run(in, validator_update);
}

int cmd_role(struct invocation *in)
{
	return cli_run(in, role);
}
