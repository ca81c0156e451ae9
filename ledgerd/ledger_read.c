/* The state's half of ledger_read.h; that of transactions and blocks is ledger_read_chain.c. */
#include "ledger_read.h"

#include "crypto/canonical_read.h"

DB_SQL(SQL_STATE, "SELECT key, value FROM state WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3");
DB_SQL(SQL_LIST,
       "SELECT s.key, s.value FROM state_lists l JOIN state s ON s.key = l.key WHERE l.list = $1 AND l.key > $2 ORDER BY l.key LIMIT $3");
/* One statement, so that both halves are of one block. */
DB_SQL(SQL_ACCOUNTS, "SELECT key, value FROM ("
		     "SELECT key, value FROM (SELECT key, value FROM state WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3) AS amounts"
		     " UNION ALL "
		     "SELECT key, value FROM (SELECT key, value FROM state WHERE key > $4 AND key < $5 ORDER BY key LIMIT $6) AS holds"
		     ") AS both_of_them ORDER BY key");

/* The first text that is greater than all that begin with `prefix`, whose last byte is a ':'. */
static struct str behind(struct arena *arena, struct str prefix)
{
	return arena_printf(arena, "%.*s;", (int)(prefix.n - 1), prefix.p);
}

static struct str later(struct str a, struct str b)
{
	return str_compare(a, b) < 0 ? b : a;
}

static enum db_status collect(struct db_conn *c, const struct db_sql *sql, struct db_args args, size_t limit, struct arena *arena,
			      struct state_row *out, size_t *count, struct error *err)
{
	struct db_rows *rows;
	size_t n = 0;
	*count = 0;
	enum db_status st = db_query(c, sql, args, &rows, err);
	if (st != DB_OK)
		return st;
	for (; n < limit && db_next(rows); n++)
		out[n] = (struct state_row){arena_copy(arena, db_text(rows, 0)), arena_copy(arena, db_text(rows, 1))};
	*count = n;
	return db_finish(rows, err);
}

enum db_status read_state_page(struct db_conn *c, struct str prefix, struct str after, size_t limit, struct arena *arena, struct state_row *out,
			       size_t *count, struct error *err)
{
	struct db_value low = DB_TEXT(later(prefix, after)), high = DB_TEXT(behind(arena, prefix));
	return collect(c, &SQL_STATE, DB_ARGS(low, high, DB_INT((int64_t)limit)), limit, arena, out, count, err);
}

enum db_status read_state_list(struct db_conn *c, struct str list, struct str after, size_t limit, struct arena *arena, struct state_row *out,
			       size_t *count, struct error *err)
{
	struct db_value low = DB_TEXT(str_present(after) ? after : STR_LIT(""));
	return collect(c, &SQL_LIST, DB_ARGS(DB_TEXT(list), low, DB_INT((int64_t)limit)), limit, arena, out, count, err);
}

/* ---- Balances and holds ---- */

/* "<user>:<code>" */
static bool split_account(struct str s, struct str *user, struct str *code)
{
	if (s.n <= USER_ID_LEN + 1 || s.p[USER_ID_LEN] != ':')
		return false;
	*user = str_of(s.p, USER_ID_LEN);
	*code = str_of(s.p + USER_ID_LEN + 1, s.n - USER_ID_LEN - 1);
	return tx_form_valid(TX_FORM_USER_ID, *user) && tx_form_valid(TX_FORM_CURRENCY, *code);
}

bool account_cursor_valid(struct str cursor, struct error *err)
{
	struct str user, code;
	return split_account(cursor, &user, &code) || error_set(err, ERR_MALFORMED_CURSOR, "`cursor` is not one that this list gave");
}

/* One of the two halves of what was read: entries of one kind, in the order of "<user>:<code>". */
struct half {
	const struct state_row *rows;
	size_t count, at;
	size_t skip;       /* the length of the kind's prefix */
	bool more;         /* there are further ones in the table */
};

static struct str account_of(const struct half *h, size_t i)
{
	return str_of(h->rows[i].key.p + h->skip, h->rows[i].key.n - h->skip);
}

/* Nothing, written with as many digits as `like`. */
static struct str zero_like(struct arena *arena, struct str like)
{
	const char *point = str_present(like) ? memchr(like.p, '.', like.n) : NULL;
	if (!point)
		return STR_LIT("0");
	struct str zero = arena_printf(arena, "0%.*s", (int)(like.n - (size_t)(point - like.p)), point);
	char *digits = arena_strdup(arena, zero.p);
	memset(digits + 2, '0', zero.n - 2);
	return str_of(digits, zero.n);
}

static struct str take(struct half *h, struct str account)
{
	struct str text;
	if (h->at == h->count || !str_equal(account_of(h, h->at), account))
		return STR_NONE;
	return canonical_read_plain(h->rows[h->at++].value, &text) ? text : STR_LIT("");
}

/*
 * Takes the two halves together, up to `limit` accounts. Only as far as neither of them has more in the table than was read. *last: the last account
 * looked at; returns whether there may be more behind it.
 */
static bool merge(struct half *amounts, struct half *holds, const struct account_query *q, struct arena *arena, struct ledger_account *out,
		  size_t *count, struct str *last)
{
	while (*count < q->limit) {
		struct str a = amounts->at < amounts->count ? account_of(amounts, amounts->at) : STR_NONE;
		struct str h = holds->at < holds->count ? account_of(holds, holds->at) : STR_NONE;
		if ((!str_present(a) && amounts->more) || (!str_present(h) && holds->more))
			return true;
		if (!str_present(a) && !str_present(h))
			return false;
		struct str account = !str_present(a) || (str_present(h) && str_compare(h, a) < 0) ? h : a;
		struct str amount = take(amounts, account), held = take(holds, account);
		struct ledger_account row = {.amount = str_present(amount) ? amount : zero_like(arena, held),
					     .held = str_present(held) ? held : zero_like(arena, amount)};
		*last = account;
		if (split_account(account, &row.user_id, &row.currency_code) && (!str_present(q->currency) || str_equal(row.currency_code, q->currency)))
			out[(*count)++] = row;
	}
	return amounts->at < amounts->count || holds->at < holds->count || amounts->more || holds->more;
}

static struct str account_prefix(struct arena *arena, const char *kind, struct str user)
{
	return str_present(user) ? arena_printf(arena, "%s:%.*s:", kind, STR_ARG(user)) : arena_printf(arena, "%s:", kind);
}

static struct str account_key(struct arena *arena, const char *kind, struct str account)
{
	return str_present(account) ? arena_printf(arena, "%s:%.*s", kind, STR_ARG(account)) : STR_NONE;
}

enum db_status read_accounts(struct db_conn *c, const struct account_query *q, struct arena *arena, struct json_list *out, struct str *next,
			     struct error *err)
{
	/* One more than can be shown; or, where most may be left out, as many as are looked at. */
	size_t each = str_present(q->currency) && !str_present(q->user) ? READ_SCAN_MAX / 2 : q->limit + 1, got, n = 0;
	struct state_row *rows = arena_zalloc(arena, 2 * each, sizeof *rows);
	struct ledger_account *accounts = arena_zalloc(arena, q->limit, sizeof *accounts);
	struct str balance = account_prefix(arena, "balance", q->user), held = account_prefix(arena, "held", q->user), last = STR_NONE;
	struct db_value limit = DB_INT((int64_t)each);
	enum db_status st = collect(c, &SQL_ACCOUNTS,
				    DB_ARGS(DB_TEXT(later(balance, account_key(arena, "balance", q->after))), DB_TEXT(behind(arena, balance)), limit,
					    DB_TEXT(later(held, account_key(arena, "held", q->after))), DB_TEXT(behind(arena, held)), limit),
				    2 * each, arena, rows, &got, err);
	if (st != DB_OK)
		return st;
	size_t first_held = 0;
	while (first_held < got && str_starts(rows[first_held].key, "balance:"))
		first_held++;
	struct half amounts = {.rows = rows, .count = first_held, .skip = strlen("balance:"), .more = first_held == each};
	struct half holds = {.rows = rows + first_held, .count = got - first_held, .skip = strlen("held:"), .more = got - first_held == each};
	bool more = merge(&amounts, &holds, q, arena, accounts, &n, &last);
	*out = (struct json_list){accounts, n};
	*next = more ? last : STR_NONE;
	return DB_OK;
}
