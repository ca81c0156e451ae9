/* tx: transactions. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "commands.h"
#include "ledger.h"
#include "output.h"
#include "watch.h"

enum { FILE_MAX = 1024 * 1024, WIDTH = 12, SHORT_ID = 12 };

static enum tint status_tint(struct str status)
{
	return str_is(status, TX_STATUS_INCLUDED) ? TINT_GOOD : str_is(status, TX_STATUS_REFUSED) ? TINT_BAD : TINT_WARN;
}

/* What a message says, as far as this program knows its type. */
static bool read_message(struct cli *c, struct str message, struct tx *out)
{
	struct error ignored;
	return tx_parse(message, INT64_MAX, &c->arena, out, &ignored);
}

/* "12.50 USD", or what else the transaction is about, in a few words. */
static struct str gist(struct cli *c, const struct tx *t)
{
	struct str amount = tx_text(t, TXF_AMOUNT), to = tx_text(t, TXF_TO);
	static const enum tx_field telling[] = {TXF_USERNAME, TXF_ROLE, TXF_CODE, TXF_DECISION, TXF_HASH, TXF_VALIDATOR_ID, TXF_DISPLAY_NAME};
	struct str about = STR_LIT("");
	if (str_present(amount))
		about = arena_printf(&c->arena, "%.*s %.*s", STR_ARG(amount), STR_ARG(tx_text(t, TXF_CURRENCY_CODE)));
	for (size_t i = 0; i < ARRAY_LEN(telling) && about.n == 0; i++)
		if (str_present(tx_text(t, telling[i])))
			about = tx_text(t, telling[i]);
	return str_present(to) ? arena_printf(&c->arena, "%.*s to %.*s", STR_ARG(about), STR_ARG(user_label(c, to))) : about;
}

/* ---- show ---- */

static void print_fields(struct cli *c, const struct tx *t)
{
	for (unsigned i = 0; i < t->count; i++) {
		enum tx_field f = (enum tx_field)t->field[i];
		if (f == TXF_TYPE || f == TXF_CHAIN_ID || f == TXF_TIMESTAMP)
			continue;
		struct str value = t->value[i];
		if (f == TXF_FROM || f == TXF_TO || f == TXF_APPROVAL_BY)
			value = arena_printf(&c->arena, "%.*s (%.*s)", STR_ARG(user_label(c, value)), STR_ARG(value));
		const char *name = f == TXF_APPROVAL_BY ? "approved by" : f == TXF_APPROVAL_SIGNATURE ? "approval" : tx_field_name(f);
		pair_print(WIDTH, name, TINT_NONE, value);
	}
}

static bool show(struct cli *c, struct error *err)
{
	struct ledger_tx t;
	struct hash id;
	struct tx parsed;
	if (!hash_argument(invocation_arg(c->in, "id"), "transaction", &id, err) || !ledger_open(c, err) ||
	    !ledger_client_tx(c->ledger, &id, &c->arena, &t, err))
		return false;
	if (c->json) {
		json_print(&ledger_tx_message, &t);
		return true;
	}
	pair_print(WIDTH, "transaction", TINT_BOLD, t.id);
	pair_print(WIDTH, "status", status_tint(t.status), t.status);
	if (t.height != JSON_INT_ABSENT)
		pair_printf(WIDTH, "block", TINT_NONE, "%lld, number %lld in it", (long long)t.height, (long long)t.index);
	if (str_present(t.code))
		pair_printf(WIDTH, "refused", TINT_BAD, "%.*s: %.*s", STR_ARG(t.code), STR_ARG(t.error));
	if (!read_message(c, t.message, &parsed)) {
		pair_print(WIDTH, "message", TINT_NONE, t.message);
	} else {
		pair_print(WIDTH, "type", TINT_NONE, str_from(tx_type_row(parsed.type)->name));
		pair_print(WIDTH, "signed", TINT_NONE, date(&c->arena, parsed.timestamp));
		print_fields(c, &parsed);
	}
	pair_print(WIDTH, "signature", TINT_DIM, t.signature);
	return true;
}

/* ---- list ---- */

static bool select_txs(struct cli *c, struct ledger_tx_query *q, struct error *err)
{
	const char *type = option_text(c->in, "type"), *user = option_text(c->in, "user");
	enum tx_type known;
	*q = (struct ledger_tx_query){.pending = option_bool(c->in, "pending"), .type = str_from(type), .account = STR_NONE,
				      .limit = (size_t)option_int(c->in, "limit")};
	if (type && !tx_type_from_text(q->type, &known)) {
		error_set(err, ERR_USAGE, "'%s' is no type of transaction.", type);
		return error_hint(err, "user_creation, transfer, deposit ...: tana help tx list");
	}
	if (q->pending && (type || user))
		return error_set(err, ERR_USAGE, "--pending shows all that wait: leave out --type and --user.");
	return !user || user_asked_for(c, user, &q->account, err);
}

static bool list(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"BLOCK", ALIGN_RIGHT}, {"STATUS", ALIGN_LEFT}, {"TYPE", ALIGN_LEFT}, {"FROM", ALIGN_LEFT},
						{"WHAT", ALIGN_LEFT}, {"SIGNED", ALIGN_LEFT}, {"TRANSACTION", ALIGN_LEFT}};
	struct ledger_tx_query q;
	struct ledger_tx_list all = {.next_cursor = STR_NONE};
	struct table t;
	if (!ledger_open(c, err) || !select_txs(c, &q, err) || !ledger_client_txs(c->ledger, &q, &c->arena, &all.transactions, err))
		return false;
	if (c->json) {
		json_print(&ledger_tx_list_message, &all);
		return true;
	}
	const struct ledger_tx *items = all.transactions.items;
	if (all.transactions.count == 0) {
		say(c, "No transactions.");
		return true;
	}
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.transactions.count; i++) {
		struct tx parsed;
		bool read = read_message(c, items[i].message, &parsed);
		if (items[i].height == JSON_INT_ABSENT)
			table_cell(&t, TINT_NONE, STR_NONE);
		else
			table_cellf(&t, TINT_NONE, "%lld", (long long)items[i].height);
		table_cell(&t, status_tint(items[i].status), items[i].status);
		table_cell(&t, TINT_NONE, read ? str_from(tx_type_row(parsed.type)->name) : STR_NONE);
		table_cell(&t, TINT_BOLD, read ? user_label(c, tx_from(&parsed)) : STR_NONE);
		table_cell(&t, TINT_NONE, read ? gist(c, &parsed) : STR_NONE);
		table_cell(&t, TINT_NONE, read ? when(&c->arena, parsed.timestamp) : STR_NONE);
		table_cell(&t, TINT_DIM, items[i].id);
	}
	table_print(&t);
	return true;
}

/* ---- submit ---- */

static bool read_source(struct cli *c, const char *file, struct buf *out, struct error *err)
{
	(void)c;
	if (strcmp(file, "-") != 0)
		return file_read(file, FILE_MAX, out, err);
	char piece[4096];
	ssize_t got;
	while ((got = read(STDIN_FILENO, piece, sizeof piece)) > 0 && out->len <= FILE_MAX)
		buf_put(out, piece, (size_t)got);
	return (got == 0 && out->len <= FILE_MAX) || error_set(err, ERR_IO, "cannot read standard input, or it is too long");
}

/* Hands in what was signed elsewhere. Whether it may be is the ledger's to say: it has the key. */
static bool submit(struct cli *c, struct error *err)
{
	struct buf text = {0};
	struct ledger_submission s;
	struct wallet_signed sent = {.message = STR_NONE};
	struct ledger_receipt receipt;
	struct ledger_tx t;
	struct error why;
	const char *file = invocation_arg(c->in, "file");
	if (!read_source(c, file, &text, err)) {
		buf_free(&text);
		return false;
	}
	bool ok = json_read_text(buf_str(&text), &ledger_submission_message, &s, &c->arena, &why) &&
		  ed25519_signature_from_text(s.signature, KEY_LENIENT, &sent.signature, &why);
	buf_free(&text);
	if (!ok)
		return error_set(err, why.code, "%s is no signed transaction: %s", strcmp(file, "-") == 0 ? "Standard input" : file, why.message);
	if (!ledger_open(c, err))
		return false;
	sent.message = s.message;
	sha256(&sent.id, s.message.p, s.message.n);
	struct wallet w = {.ledger = c->ledger, .stop = &cli_interrupted};
	cli_catch_interrupts();
	if (!wallet_submit(&w, &sent, &c->arena, &receipt, err))
		return false;
	if (option_bool(c->in, "no-wait")) {
		if (c->json)
			json_print(&ledger_receipt_message, &receipt);
		say(c, "Handed in: %.*s (%.*s)", STR_ARG(receipt.id), STR_ARG(receipt.status));
		return true;
	}
	if (!wallet_wait(&w, &sent.id, option_int(c->in, "wait-timeout"), &c->arena, &t, err))
		return false;
	if (str_is(t.status, TX_STATUS_REFUSED))
		return wallet_refused(&t, err);
	if (c->json)
		json_print(&ledger_tx_message, &t);
	say(c, "In block %lld: %.*s", (long long)t.height, STR_ARG(t.id));
	return true;
}

/* ---- watch ---- */

static void print_event(struct cli *c, const char *type, struct str data)
{
	struct ledger_tx_event e;
	struct error why;
	if (strcmp(type, LEDGER_EVENT_TX) != 0)
		return;
	if (!json_read_text(data, &ledger_tx_event_message, &e, &c->arena, &why)) {
		note(c, "An event that cannot be read was left out: %s", why.message);
		return;
	}
	say(c, "%s  %s  %.*s  %s%s%s", padded(&c->arena, status_tint(e.status), e.status, 8), padded(&c->arena, TINT_NONE, e.type, 22),
	    STR_ARG(e.id), tinted(&c->arena, TINT_BOLD, user_label(c, e.from)), str_present(e.code) ? "  " : "",
	    str_present(e.code) ? tinted(&c->arena, TINT_BAD, e.code) : "");
}

static bool watch(struct cli *c, struct error *err)
{
	return watch_ledger(c, LEDGER_EVENT_TX, print_event, err);
}

int cmd_tx_show(struct invocation *in)
{
	return cli_run(in, show);
}

int cmd_tx_list(struct invocation *in)
{
	return cli_run(in, list);
}

int cmd_tx_submit(struct invocation *in)
{
	return cli_run(in, submit);
}

int cmd_tx_watch(struct invocation *in)
{
	return cli_run(in, watch);
}
