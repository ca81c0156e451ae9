/* Users, and what is theirs. */
#include "api.h"
#include "core.h"
#include "crypto/canonical_read.h"
#include "ledger_read.h"
#include "ledger_store.h"
#include "wire/ledger.h"
#include "wire/mesh.h"

struct http_reply *api_users(struct http_request *r)
{
	struct arena *a = http_arena(r);
	struct http_reply *reply;
	struct error err;
	size_t limit, count;
	struct str cursor = http_query_text(r, "cursor", 0);
	if (!api_limit(r, &limit, &reply))
		return reply;
	if (str_present(cursor) && !form_user_id.check(cursor))
		return api_bad_cursor(r);
	struct str after = str_present(cursor) ? arena_printf(a, "user:%.*s", STR_ARG(cursor)) : STR_NONE;
	struct state_row *rows = arena_zalloc(a, limit + 1, sizeof *rows);
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = read_state_page(c, STR_LIT("user:"), after, limit + 1, a, rows, &count, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	bool more = count > limit;
	count -= more;
	struct ledger_user *users = arena_zalloc(a, count, sizeof *users);
	for (size_t i = 0; i < count; i++)
		if (!json_read_text(rows[i].value, &ledger_user_message, &users[i], a, &err))
			return http_reply_error_code(r, ERR_CORRUPT, "the state entry %.*s cannot be read", STR_ARG(rows[i].key));
	struct ledger_user_list list = {.users = {users, count}, .next_cursor = more ? users[count - 1].id : STR_NONE};
	return http_reply_json(r, 200, &ledger_user_list_message, &list);
}

/* ---- One user ---- */

static struct http_reply *answer_user(struct http_request *r, struct db_conn *c, struct str id)
{
	struct ledger_user user;
	struct error err;
	bool found;
	if (api_read_user(c, id, http_arena(r), &user, &found, &err) != DB_OK)
		return http_reply_error(r, &err);
	return found ? http_reply_json(r, 200, &ledger_user_message, &user) : api_no_such_user(r, id);
}

struct http_reply *api_user(struct http_request *r)
{
	struct http_reply *reply;
	struct str id;
	if (!api_path(r, 0, &form_user_id, &id, &reply))
		return reply;
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	reply = answer_user(r, c, id);
	api_reader_done(r, c);
	return reply;
}

/* The user that an entry of names or keys leads to. */
static struct http_reply *answer_named(struct http_request *r, const char *kind, struct str name)
{
	struct arena *a = http_arena(r);
	struct http_reply *reply;
	struct error err;
	struct str value, id;
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	if (store_read_state(c, arena_printf(a, "%s:%.*s", kind, STR_ARG(name)), a, &value, &err) != DB_OK)
		reply = http_reply_error(r, &err);
	else if (str_present(value) && canonical_read_plain(value, &id))
		reply = answer_user(r, c, id);
	else
		reply = api_no_such_user(r, name);
	api_reader_done(r, c);
	return reply;
}

struct http_reply *api_user_by_name(struct http_request *r)
{
	struct http_reply *reply;
	struct str name;
	return api_path(r, 0, &form_username, &name, &reply) ? answer_named(r, "username", name) : reply;
}

struct http_reply *api_user_by_key(struct http_request *r)
{
	struct ed25519_public key;
	struct error err;
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	if (!ed25519_public_from_text(http_path_arg(r, 0), KEY_LENIENT, &key, &err))
		return http_reply_error(r, &err);
	ed25519_public_to_text(&key, text);
	return answer_named(r, "key", str_from(text));
}

/* ---- What is theirs ---- */

/* A reader, once it is known that there is such a user. NULL: *reply. */
static struct db_conn *reader_for_user(struct http_request *r, struct str *id, struct http_reply **reply)
{
	struct arena *a = http_arena(r);
	struct error err;
	struct str value;
	if (!api_path(r, 0, &form_user_id, id, reply))
		return NULL;
	struct db_conn *c = api_reader(r, reply);
	if (!c)
		return NULL;
	if (store_read_state(c, arena_printf(a, "user:%.*s", STR_ARG(*id)), a, &value, &err) != DB_OK)
		*reply = http_reply_error(r, &err);
	else if (!str_present(value))
		*reply = api_no_such_user(r, *id);
	else
		return c;
	api_reader_done(r, c);
	return NULL;
}

/* All of them: there are no more than currencies. */
struct http_reply *api_user_balances(struct http_request *r)
{
	struct http_reply *reply;
	struct error err;
	struct account_query q = {.currency = STR_NONE, .after = STR_NONE, .limit = LEDGER_LIST_MAX};
	struct buf body = {0};
	enum db_status st = DB_OK;
	struct db_conn *c = reader_for_user(r, &q.user, &reply);
	if (!c)
		return reply;
	buf_putc(&body, '[');
	do {
		struct json_list page;
		st = read_accounts(c, &q, http_arena(r), &page, &q.after, &err);
		const struct ledger_account *rows = page.items;
		for (size_t i = 0; st == DB_OK && i < page.count; i++) {
			struct ledger_balance b = {rows[i].currency_code, rows[i].amount, rows[i].held};
			if (body.len > 1)
				buf_putc(&body, ',');
			json_write(&body, &ledger_balance_message, &b);
		}
	} while (st == DB_OK && str_present(q.after));
	buf_putc(&body, ']');
	api_reader_done(r, c);
	if (st == DB_OK)
		return http_reply_bytes(r, 200, NULL, &body);
	buf_free(&body);
	return http_reply_error(r, &err);
}

struct http_reply *api_user_nonce(struct http_request *r)
{
	const struct ledger *l = http_ctx(r);
	struct arena *a = http_arena(r);
	struct http_reply *reply;
	struct error err;
	struct str id, value;
	struct ledger_nonce answer;
	int64_t ahead;
	struct db_conn *c = reader_for_user(r, &id, &reply);
	if (!c)
		return reply;
	/* Not with a reader in hand: the core may need one, and wait for it. */
	api_reader_done(r, c);
	/* What waits is asked first: what comes into a block in between is then in both answers, rather than in neither. */
	bool waits = core_next_nonce(l->core, id, &ahead);
	c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = store_read_state(c, arena_printf(a, "nonce:%.*s", STR_ARG(id)), a, &value, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		return http_reply_error(r, &err);
	if (!str_present(value) || !canonical_read_int(value, &answer.current_nonce))
		return http_reply_error_code(r, ERR_CORRUPT, "the nonce of user %.*s cannot be read", STR_ARG(id));
	answer.next_nonce = (waits && ahead > answer.current_nonce ? ahead : answer.current_nonce) + 1;
	return http_reply_json(r, 200, &ledger_nonce_message, &answer);
}

struct http_reply *api_user_transactions(struct http_request *r)
{
	struct http_reply *reply;
	struct str id;
	struct db_conn *c = reader_for_user(r, &id, &reply);
	if (!c)
		return reply;
	api_reader_done(r, c);
	return api_list_transactions(r, id);
}
