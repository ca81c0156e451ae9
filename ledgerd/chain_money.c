/* The transactions that move amounts. Each checks everything it needs before it changes anything. */
#include "base/money.h"
#include "chain_records.h"
#include "crypto/canonical_read.h"

/* An amount in the state: `balance:`, `held:`, `stake:` or `supply:`. */
struct pot {
	struct chain_key key;
	int64_t amount;
	unsigned decimals;
	bool stays; /* at zero: a supply */
};

static bool pot_read(struct step *s, struct pot *p, unsigned decimals, const char *kind, struct str a, struct str b, struct str c)
{
	struct str value, text;
	p->decimals = decimals;
	p->amount = 0;
	p->stays = strcmp(kind, "supply") == 0;
	if (!step_get(s, chain_key(&p->key, kind, a, b, c), &value))
		return false;
	if (!str_present(value))
		return true;
	if (!canonical_read_plain(value, &text) || !money_form(text, MONEY_KEPT) || money_parse(text, decimals, &p->amount) != MONEY_FINE)
		return step_corrupt(s, p->key.s);
	return true;
}

static void pot_write(struct step *s, const struct pot *p)
{
	char text[MONEY_TEXT_SIZE + 2];
	size_t n = money_format(p->amount, p->decimals, text + 1);
	text[0] = '"';
	text[n + 1] = '"';
	chain_view_put(s->v, p->key.s, p->amount == 0 && !p->stays ? STR_NONE : str_of(text, n + 2));
}

/* Adds (or takes away, when negative) what fits: `overflow`, `insufficient_funds`. */
static bool pot_add(struct step *s, struct pot *p, int64_t amount)
{
	if (!money_add(p->amount, amount, &p->amount))
		return step_refuse(s, ERR_OVERFLOW, "the sum would be beyond 2^63-1 of the smallest unit");
	return p->amount >= 0 || step_refuse(s, ERR_INSUFFICIENT_FUNDS, "there is not enough on the account for this");
}

static bool currency_decimals(struct step *s, struct str code, unsigned *decimals)
{
	struct chain_key k;
	struct str value, member;
	int64_t n;
	if (!step_get(s, chain_key(&k, "currency", code, STR_NONE, STR_NONE), &value))
		return false;
	if (!str_present(value))
		return step_refuse(s, ERR_UNKNOWN_CURRENCY, "this chain has no currency %.*s", STR_ARG(code));
	if (!canonical_find(value, "decimals", &member) || !canonical_read_int(member, &n) || n < 0 || n > MONEY_DECIMALS_MAX)
		return step_corrupt(s, k.s);
	*decimals = (unsigned)n;
	return true;
}

/* The transaction's currency and amount. */
static bool read_amount(struct step *s, unsigned *decimals, int64_t *amount)
{
	struct str text = tx_text(s->t, TXF_AMOUNT), code = tx_text(s->t, TXF_CURRENCY_CODE);
	*decimals = 0;
	if (!currency_decimals(s, code, decimals))
		return false;
	switch (money_parse(text, *decimals, amount)) {
	case MONEY_FINE:
		break;
	case MONEY_TOO_PRECISE:
		return step_refuse(s, ERR_AMOUNT_TOO_PRECISE, "%.*s has at most %u digits behind the point", STR_ARG(code), *decimals);
	case MONEY_OVERFLOW:
		return step_refuse(s, ERR_OVERFLOW, "the amount is beyond 2^63-1 of the smallest unit");
	}
	return *amount > 0 || (*amount < 0 && s->t->type == TX_BALANCE_ADJUSTMENT) ||
	       step_refuse(s, ERR_AMOUNT_NOT_POSITIVE, "the amount must not be zero");
}

static bool recipient(struct step *s, struct str to)
{
	struct chain_key k;
	struct str value;
	return step_get(s, chain_key(&k, "user", to, STR_NONE, STR_NONE), &value) &&
	       (str_present(value) || step_refuse(s, ERR_UNKNOWN_USER, "there is no user %.*s", STR_ARG(to)));
}

bool apply_transfer(struct step *s)
{
	struct str to = tx_text(s->t, TXF_TO), code = tx_text(s->t, TXF_CURRENCY_CODE);
	unsigned decimals = 0;
	int64_t amount;
	struct pot source, target;
	if (!recipient(s, to))
		return false;
	if (str_equal(to, tx_from(s->t)))
		return step_refuse(s, ERR_SELF_TRANSFER, "a transfer goes to somebody else");
	if (!read_amount(s, &decimals, &amount) || !pot_read(s, &source, decimals, "balance", tx_from(s->t), code, STR_NONE) ||
	    !pot_read(s, &target, decimals, "balance", to, code, STR_NONE) || !pot_add(s, &source, -amount) || !pot_add(s, &target, amount))
		return false;
	pot_write(s, &source);
	pot_write(s, &target);
	return true;
}

/* ---- Requests ---- */

struct request_record {
	struct str amount, currency, from, reference; /* JSON texts */
	const char *status, *type;
};

static void put_request(struct step *s, struct str id, const struct request_record *r)
{
	struct chain_key k;
	struct buf value = {0};
	struct canonical_writer w;
	canonical_begin(&w, &value);
	canonical_object(&w);
	canonical_key(&w, "amount");
	canonical_raw(&w, r->amount);
	canonical_key(&w, "currencyCode");
	canonical_raw(&w, r->currency);
	canonical_key(&w, "from");
	canonical_raw(&w, r->from);
	canonical_key(&w, "reference");
	canonical_raw(&w, r->reference);
	canonical_key(&w, "status");
	canonical_str(&w, str_from(r->status));
	canonical_key(&w, "type");
	canonical_str(&w, str_from(r->type));
	canonical_end(&w);
	chain_view_put(s->v, chain_key(&k, "request", id, STR_NONE, STR_NONE), buf_str(&value));
	buf_free(&value);
}

/* Opens a request named by the transaction. */
static bool open_request(struct step *s, const char *type, unsigned decimals, int64_t amount)
{
	struct chain_key k;
	struct str present;
	char id[HASH_TEXT_LEN + 1], text[MONEY_TEXT_SIZE];
	hash_to_text(&s->t->id, id);
	if (!step_get(s, chain_key(&k, "request", str_from(id), STR_NONE, STR_NONE), &present))
		return false;
	struct request_record r = {
		.amount = step_json(s, str_of(text, money_format(amount, decimals, text))),
		.currency = step_json(s, tx_text(s->t, TXF_CURRENCY_CODE)),
		.from = step_json(s, tx_from(s->t)),
		.reference = step_json(s, tx_text(s->t, TXF_REFERENCE)),
		.status = "pending",
		.type = type,
	};
	put_request(s, str_from(id), &r);
	return true;
}

bool apply_deposit(struct step *s)
{
	unsigned decimals = 0;
	int64_t amount;
	return read_amount(s, &decimals, &amount) && open_request(s, "deposit", decimals, amount);
}

bool apply_withdraw(struct step *s)
{
	struct str from = tx_from(s->t), code = tx_text(s->t, TXF_CURRENCY_CODE);
	unsigned decimals = 0;
	int64_t amount;
	struct pot balance, held;
	if (!read_amount(s, &decimals, &amount) || !pot_read(s, &balance, decimals, "balance", from, code, STR_NONE) ||
	    !pot_read(s, &held, decimals, "held", from, code, STR_NONE) || !pot_add(s, &balance, -amount) || !pot_add(s, &held, amount) ||
	    !open_request(s, "withdraw", decimals, amount))
		return false;
	pot_write(s, &balance);
	pot_write(s, &held);
	return true;
}

/* The open request of this kind that the transaction names. */
static bool read_request(struct step *s, const char *kind, struct request_record *out)
{
	struct chain_key k;
	struct str id = tx_text(s->t, TXF_REQUEST_ID), value, status, type;
	if (!step_get(s, chain_key(&k, "request", id, STR_NONE, STR_NONE), &value))
		return false;
	if (!str_present(value))
		return step_refuse(s, ERR_UNKNOWN_REQUEST, "there is no such request");
	if (!canonical_find(value, "amount", &out->amount) || !canonical_find(value, "currencyCode", &out->currency) ||
	    !canonical_find(value, "from", &out->from) || !canonical_find(value, "reference", &out->reference) ||
	    !canonical_find(value, "status", &status) || !canonical_find(value, "type", &type) || !canonical_read_plain(status, &status) ||
	    !canonical_read_plain(type, &type))
		return step_corrupt(s, k.s);
	if (!str_is(type, kind))
		return step_refuse(s, ERR_UNKNOWN_REQUEST, "there is no such %s request: it is a %.*s", kind, STR_ARG(type));
	out->type = kind;
	return str_is(status, "pending") || step_refuse(s, ERR_REQUEST_CLOSED, "the request is %.*s already", STR_ARG(status));
}

bool apply_confirmation(struct step *s, const char *kind)
{
	struct request_record r = {.amount = STR_NONE, .currency = STR_NONE, .from = STR_NONE, .reference = STR_NONE};
	struct str owner = STR_NONE, code = STR_NONE, text = STR_NONE, id = tx_text(s->t, TXF_REQUEST_ID);
	bool deposit = strcmp(kind, "deposit") == 0, confirm = str_is(tx_text(s->t, TXF_DECISION), "confirm");
	unsigned decimals = 0;
	int64_t amount;
	struct pot balance, held, supply;
	if (!read_request(s, kind, &r))
		return false;
	if (!canonical_read_plain(r.from, &owner) || !canonical_read_plain(r.currency, &code) || !canonical_read_plain(r.amount, &text) ||
	    !money_form(text, MONEY_KEPT) || owner.n != USER_ID_LEN || code.n > CURRENCY_CODE_MAX)
		return step_corrupt(s, id);
	if (!currency_decimals(s, code, &decimals))
		return false;
	if (money_parse(text, decimals, &amount) != MONEY_FINE)
		return step_corrupt(s, id);
	if (!pot_read(s, &balance, decimals, "balance", owner, code, STR_NONE) || !pot_read(s, &held, decimals, "held", owner, code, STR_NONE) ||
	    !pot_read(s, &supply, decimals, "supply", code, STR_NONE, STR_NONE))
		return false;
	/* A deposit confirmed is new money; a withdrawal confirmed is burnt, one refused goes back. */
	if (deposit && confirm) {
		if (!pot_add(s, &supply, amount) || !pot_add(s, &balance, amount))
			return false;
	} else if (!deposit) {
		if (!pot_add(s, &held, -amount) || !(confirm ? pot_add(s, &supply, -amount) : pot_add(s, &balance, amount)))
			return step_corrupt(s, held.key.s);
	}
	pot_write(s, &supply);
	pot_write(s, &balance);
	pot_write(s, &held);
	r.status = confirm ? "confirmed" : "refused";
	put_request(s, id, &r);
	return true;
}

/* ---- The sovereign's hand, and stakes ---- */

bool apply_adjustment(struct step *s)
{
	struct str to = tx_text(s->t, TXF_TO), code = tx_text(s->t, TXF_CURRENCY_CODE);
	unsigned decimals = 0;
	int64_t amount;
	struct pot balance, supply;
	if (!recipient(s, to) || !read_amount(s, &decimals, &amount) || !pot_read(s, &balance, decimals, "balance", to, code, STR_NONE) ||
	    !pot_read(s, &supply, decimals, "supply", code, STR_NONE, STR_NONE) || !pot_add(s, &balance, amount) || !pot_add(s, &supply, amount))
		return false;
	pot_write(s, &balance);
	pot_write(s, &supply);
	return true;
}

static bool move_stake(struct step *s, int64_t sign)
{
	struct str from = tx_from(s->t), code = tx_text(s->t, TXF_CURRENCY_CODE);
	unsigned decimals = 0;
	int64_t amount;
	struct pot balance, stake;
	if (!read_amount(s, &decimals, &amount) || !pot_read(s, &balance, decimals, "balance", from, code, STR_NONE) ||
	    !pot_read(s, &stake, decimals, "stake", tx_text(s->t, TXF_VALIDATOR_ID), from, code) || !pot_add(s, sign > 0 ? &balance : &stake, -amount) ||
	    !pot_add(s, sign > 0 ? &stake : &balance, amount))
		return false;
	pot_write(s, &balance);
	pot_write(s, &stake);
	return true;
}

bool apply_stake(struct step *s)
{
	struct chain_key k;
	struct str id = tx_text(s->t, TXF_VALIDATOR_ID), value;
	if (!step_get(s, chain_key(&k, "validator", id, STR_NONE, STR_NONE), &value))
		return false;
	if (!str_present(value))
		return step_refuse(s, ERR_UNKNOWN_VALIDATOR, "there is no validator %.*s", STR_ARG(id));
	return move_stake(s, 1);
}

bool apply_unstake(struct step *s)
{
	return move_stake(s, -1);
}
