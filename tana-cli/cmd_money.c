/* balance, transfer, deposit, withdraw, requests, confirm, refuse, adjust, supply, stake, unstake: money. */
#include <string.h>

#include "commands.h"
#include "ledger.h"
#include "output.h"

/* What most orders about money have: how much, and of what. Checked before anybody is asked anything. */
static bool put_amount(struct cli *c, struct wallet_order *o, struct error *err)
{
	o->value[TXF_AMOUNT] = str_from(invocation_arg(c->in, "amount"));
	o->value[TXF_CURRENCY_CODE] = str_from(invocation_arg(c->in, "currency"));
	return order_check(c, o, err);
}

/* ---- balance, supply ---- */

static bool balances_of_one(struct cli *c, const char *who, struct error *err)
{
	static const struct column columns[] = {{"CURRENCY", ALIGN_LEFT}, {"AMOUNT", ALIGN_RIGHT}, {"HELD", ALIGN_RIGHT}};
	struct ledger_user u;
	struct json_list all;
	struct table t;
	if (!user_look_up(c, who, &u, err) || !ledger_client_balances(c->ledger, u.id, &c->arena, &all, err))
		return false;
	const struct ledger_balance *b = all.items;
	if (c->json) {
		struct buf out = {0};
		ledger_balances_write(&out, b, all.count);
		json_print_text(buf_str(&out));
		buf_free(&out);
		return true;
	}
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.count; i++) {
		table_cell(&t, TINT_BOLD, b[i].currency_code);
		table_cell(&t, TINT_NONE, b[i].amount);
		table_cell(&t, TINT_DIM, b[i].held);
	}
	table_print(&t);
	if (all.count == 0)
		note(c, "%.*s has nothing yet.", STR_ARG(u.username));
	return true;
}

static bool balances_of_all(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"USER", ALIGN_LEFT}, {"CURRENCY", ALIGN_LEFT}, {"AMOUNT", ALIGN_RIGHT}, {"HELD", ALIGN_RIGHT}};
	struct ledger_account_list all = {.next_cursor = STR_NONE};
	struct table t;
	if (!ledger_open(c, err) || !ledger_client_accounts(c->ledger, STR_NONE, str_from(option_text(c->in, "currency")),
							    (size_t)option_int(c->in, "limit"), &c->arena, &all.balances, err))
		return false;
	if (c->json) {
		json_print(&ledger_account_list_message, &all);
		return true;
	}
	const struct ledger_account *a = all.balances.items;
	if (all.balances.count == 0) {
		say(c, "Nobody has anything.");
		return true;
	}
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.balances.count; i++) {
		table_cell(&t, TINT_BOLD, user_label(c, a[i].user_id));
		table_cell(&t, TINT_NONE, a[i].currency_code);
		table_cell(&t, TINT_NONE, a[i].amount);
		table_cell(&t, TINT_DIM, a[i].held);
	}
	table_print(&t);
	return true;
}

static bool balance(struct cli *c, struct error *err)
{
	const char *who = invocation_arg(c->in, "user");
	if (who && option_text(c->in, "currency"))
		return error_set(err, ERR_USAGE, "--currency is for the list of everybody's balances: name no user.");
	return who ? balances_of_one(c, who, err) : balances_of_all(c, err);
}

static bool supply(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"CURRENCY", ALIGN_LEFT}, {"SUPPLY", ALIGN_RIGHT}};
	struct ledger_supplies all;
	struct table t;
	if (!ledger_open(c, err) || !ledger_client_supply(c->ledger, &c->arena, &all.supply, err))
		return false;
	if (c->json) {
		json_print(&ledger_supplies_message, &all);
		return true;
	}
	const struct ledger_supply *s = all.supply.items;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.supply.count; i++) {
		table_cell(&t, TINT_BOLD, s[i].currency_code);
		table_cell(&t, TINT_NONE, s[i].amount);
	}
	table_print(&t);
	return true;
}

/* ---- transfer, adjust, stake, unstake ---- */

static bool transfer(struct cli *c, struct error *err)
{
	struct wallet_order o = wallet_order(TX_TRANSFER);
	struct actor a;
	o.value[TXF_MEMO] = str_from(option_text(c->in, "memo"));
	if (!put_amount(c, &o, err) || !actor_open(c, invocation_arg(c->in, "from"), false, &a, err))
		return false;
	const char *to = invocation_arg(c->in, "to");
	bool ok = user_recipient(c, to, &o.value[TXF_TO], err) &&
		  order_carry_out(c, &a, &o, err, "Transferred %.*s %.*s from %.*s to %s.", STR_ARG(o.value[TXF_AMOUNT]),
				  STR_ARG(o.value[TXF_CURRENCY_CODE]), STR_ARG(a.username), to);
	actor_wipe(&a);
	return ok;
}

static bool adjust(struct cli *c, struct error *err)
{
	struct wallet_order o = wallet_order(TX_BALANCE_ADJUSTMENT);
	struct actor a;
	o.value[TXF_REASON] = str_from(option_text(c->in, "reason"));
	if (!str_present(o.value[TXF_REASON]))
		return error_set(err, ERR_USAGE, "Why? --reason TEXT is kept on the chain.");
	if (!put_amount(c, &o, err) || !actor_open(c, NULL, true, &a, err))
		return false;
	const char *to = invocation_arg(c->in, "user");
	bool ok = user_recipient(c, to, &o.value[TXF_TO], err) &&
		  confirm(c, err, "Change the balance of %s, and the supply, by %.*s %.*s?", to, STR_ARG(o.value[TXF_AMOUNT]),
			  STR_ARG(o.value[TXF_CURRENCY_CODE])) &&
		  order_carry_out(c, &a, &o, err, "Changed the balance of %s by %.*s %.*s.", to, STR_ARG(o.value[TXF_AMOUNT]),
				  STR_ARG(o.value[TXF_CURRENCY_CODE]));
	actor_wipe(&a);
	return ok;
}

static bool move_stake(struct cli *c, enum tx_type type, const char *done, struct error *err)
{
	struct wallet_order o = wallet_order(type);
	struct actor a;
	o.value[TXF_VALIDATOR_ID] = str_from(invocation_arg(c->in, "validator"));
	if (!put_amount(c, &o, err) || !actor_open(c, invocation_arg(c->in, "user"), false, &a, err))
		return false;
	bool ok = order_carry_out(c, &a, &o, err, "%s %.*s %.*s of %.*s: validator %.*s.", done, STR_ARG(o.value[TXF_AMOUNT]),
				  STR_ARG(o.value[TXF_CURRENCY_CODE]), STR_ARG(a.username), STR_ARG(o.value[TXF_VALIDATOR_ID]));
	actor_wipe(&a);
	return ok;
}

static bool stake(struct cli *c, struct error *err)
{
	return move_stake(c, TX_STAKE, "Staked", err);
}

static bool unstake(struct cli *c, struct error *err)
{
	return move_stake(c, TX_UNSTAKE, "Took back", err);
}

/* ---- deposit, withdraw, and what becomes of them ---- */

static bool ask_for(struct cli *c, enum tx_type type, const char *what, struct error *err)
{
	struct wallet_order o = wallet_order(type);
	struct actor a;
	o.value[TXF_REFERENCE] = str_from(option_text(c->in, "reference"));
	if (!put_amount(c, &o, err) || !actor_open(c, invocation_arg(c->in, "user"), false, &a, err))
		return false;
	bool ok = order_carry_out(c, &a, &o, err, "%.*s asked for a %s of %.*s %.*s; staff confirm it by the transaction's id.", STR_ARG(a.username),
				  what, STR_ARG(o.value[TXF_AMOUNT]), STR_ARG(o.value[TXF_CURRENCY_CODE]));
	actor_wipe(&a);
	return ok;
}

static bool deposit(struct cli *c, struct error *err)
{
	return ask_for(c, TX_DEPOSIT, "deposit", err);
}

static bool withdraw(struct cli *c, struct error *err)
{
	return ask_for(c, TX_WITHDRAW, "withdrawal", err);
}

struct requests {
	struct json_list requests;
};
static const struct json_field requests_rows[] = {
	F_LIST(struct requests, requests, "requests", JSON_REQUIRED, 0, &ledger_request_message, "What waits for staff.")};
static JSON_MESSAGE(requests_message, "Requests", struct requests, requests_rows);

static bool requests(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"KIND", ALIGN_LEFT}, {"USER", ALIGN_LEFT}, {"AMOUNT", ALIGN_RIGHT}, {"CURRENCY", ALIGN_LEFT},
						{"REFERENCE", ALIGN_LEFT}, {"REQUEST", ALIGN_LEFT}};
	size_t limit = (size_t)option_int(c->in, "limit");
	struct json_list deposits, withdraws;
	struct table t;
	if (!ledger_open(c, err) || !ledger_client_requests(c->ledger, LEDGER_DEPOSITS, limit, &c->arena, &deposits, err) ||
	    !ledger_client_requests(c->ledger, LEDGER_WITHDRAWS, limit, &c->arena, &withdraws, err))
		return false;
	size_t n = deposits.count + withdraws.count;
	struct ledger_request *all = arena_zalloc(&c->arena, n, sizeof *all);
	if (deposits.count)
		memcpy(all, deposits.items, deposits.count * sizeof *all);
	if (withdraws.count)
		memcpy(all + deposits.count, withdraws.items, withdraws.count * sizeof *all);
	if (c->json) {
		json_print(&requests_message, &(struct requests){{all, n}});
		return true;
	}
	if (n == 0) {
		say(c, "Nothing waits.");
		return true;
	}
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < n; i++) {
		table_cell(&t, TINT_NONE, all[i].type);
		table_cell(&t, TINT_BOLD, user_label(c, all[i].from));
		table_cell(&t, TINT_NONE, all[i].amount);
		table_cell(&t, TINT_NONE, all[i].currency_code);
		table_cell(&t, TINT_NONE, all[i].reference);
		table_cell(&t, TINT_DIM, all[i].id);
	}
	table_print(&t);
	hint(c, "tana confirm REQUEST, or tana refuse REQUEST");
	return true;
}

/* What kind of request the transaction opened: that decides how it is answered. */
static bool kind_of_request(struct cli *c, const struct hash *id, enum tx_type *answer, struct error *err)
{
	struct ledger_tx t;
	struct tx parsed;
	struct error why;
	if (!ledger_open(c, err) || !ledger_client_tx(c->ledger, id, &c->arena, &t, err))
		return false;
	bool read = tx_parse(t.message, TX_BYTES_DEFAULT, &c->arena, &parsed, &why);
	if (read && parsed.type == TX_DEPOSIT)
		*answer = TX_DEPOSIT_CONFIRMATION;
	else if (read && parsed.type == TX_WITHDRAW)
		*answer = TX_WITHDRAWAL_CONFIRMATION;
	else
		return error_set(err, ERR_UNKNOWN_REQUEST, "That transaction asked for neither a deposit nor a withdrawal.");
	return true;
}

static bool decide(struct cli *c, const char *decision, const char *done, struct error *err)
{
	struct wallet_order o = wallet_order(TX_DEPOSIT_CONFIRMATION);
	const char *request = invocation_arg(c->in, "request");
	struct hash id;
	struct actor a;
	if (option_bool(c->in, "offline"))
		return error_set(err, ERR_USAGE, "Only the ledger knows what kind of request it is: leave out --offline.");
	if (!hash_argument(request, "request", &id, err) || !kind_of_request(c, &id, &o.type, err))
		return false;
	o.value[TXF_REQUEST_ID] = str_from(request);
	o.value[TXF_DECISION] = str_from(decision);
	if (!actor_open(c, NULL, true, &a, err))
		return false;
	bool ok = order_carry_out(c, &a, &o, err, "%.*s %s the %s %s.", STR_ARG(a.username), done,
				  o.type == TX_DEPOSIT_CONFIRMATION ? "deposit" : "withdrawal", request);
	actor_wipe(&a);
	return ok;
}

static bool confirm_request(struct cli *c, struct error *err)
{
	return decide(c, "confirm", "confirmed", err);
}

static bool refuse_request(struct cli *c, struct error *err)
{
	return decide(c, "refuse", "refused", err);
}

int cmd_balance(struct invocation *in)
{
	return cli_run(in, balance);
}

int cmd_supply(struct invocation *in)
{
	return cli_run(in, supply);
}

int cmd_transfer(struct invocation *in)
{
	return cli_run(in, transfer);
}

int cmd_adjust(struct invocation *in)
{
	return cli_run(in, adjust);
}

int cmd_stake(struct invocation *in)
{
	return cli_run(in, stake);
}

int cmd_unstake(struct invocation *in)
{
	return cli_run(in, unstake);
}

int cmd_deposit(struct invocation *in)
{
	return cli_run(in, deposit);
}

int cmd_withdraw(struct invocation *in)
{
	return cli_run(in, withdraw);
}

int cmd_requests(struct invocation *in)
{
	return cli_run(in, requests);
}

int cmd_confirm(struct invocation *in)
{
	return cli_run(in, confirm_request);
}

int cmd_refuse(struct invocation *in)
{
	return cli_run(in, refuse_request);
}
