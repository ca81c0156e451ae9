/* The state beside users: money, validators, content. */
#include "api.h"
#include "crypto/canonical_read.h"
#include "ledger_read.h"
#include "ledger_store.h"
#include "wire/block.h"
#include "wire/genesis.h"
#include "wire/ledger.h"
#include "wire/mesh.h"

struct http_reply *api_balances(struct http_request *r)
{
	struct account_query q = {.after = http_query_text(r, "cursor", 0)};
	struct ledger_account_list list;
	struct http_reply *reply;
	struct error err;
	if (!api_limit(r, &q.limit, &reply) || !api_param(r, "user", &form_user_id, &q.user, &reply) ||
	    !api_param(r, "currency", &form_currency_code, &q.currency, &reply))
		return reply;
	if (str_present(q.after) && !account_cursor_valid(q.after, &err))
		return http_reply_error(r, &err);
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = read_accounts(c, &q, http_arena(r), &list.balances, &list.next_cursor, &err);
	api_reader_done(r, c);
	return st == DB_OK ? http_reply_json(r, 200, &ledger_account_list_message, &list) : http_reply_error(r, &err);
}

/* ---- Lists that are short: one entry a currency, or a validator ---- */

/* Reads one entry's value into a row; `rest` is the key behind its kind. */
typedef bool read_row(struct str rest, struct str value, struct arena *arena, void *row);

enum { WHOLE_PAGE = 1000 };

/* All entries of a kind, in rows of `size` bytes. False: *reply. */
static bool read_whole(struct http_request *r, const char *kind, size_t size, read_row *read, struct json_list *out, struct http_reply **reply)
{
	struct arena *a = http_arena(r);
	struct error err;
	struct str prefix = str_from(kind), after = STR_NONE;
	struct buf rows = {0};
	size_t got = WHOLE_PAGE;
	bool readable = true;
	enum db_status st = DB_OK;
	struct state_row *page = arena_zalloc(a, WHOLE_PAGE, sizeof *page);
	void *row = arena_alloc(a, size);
	struct db_conn *c = api_reader(r, reply);
	if (!c)
		return false;
	while (st == DB_OK && readable && got == WHOLE_PAGE) {
		st = read_state_page(c, prefix, after, WHOLE_PAGE, a, page, &got, &err);
		for (size_t i = 0; st == DB_OK && readable && i < got; i++) {
			after = page[i].key;
			readable = read(str_of(after.p + prefix.n, after.n - prefix.n), page[i].value, a, row);
			buf_put(&rows, row, size);
		}
	}
	api_reader_done(r, c);
	*out = (struct json_list){arena_alloc(a, rows.len), rows.len / size};
	if (rows.len > 0)
		memcpy(out->items, rows.data, rows.len);
	buf_free(&rows);
	if (st != DB_OK)
		*reply = http_reply_error(r, &err);
	else if (!readable)
		*reply = http_reply_error_code(r, ERR_CORRUPT, "the state entry %.*s cannot be read; run `ledgerd verify`", STR_ARG(after));
	return st == DB_OK && readable;
}

static bool read_currency(struct str code, struct str value, struct arena *arena, void *row)
{
	struct error err;
	(void)code;
	return json_read_text(value, &genesis_currency_message, row, arena, &err);
}

struct http_reply *api_currencies(struct http_request *r)
{
	struct ledger_currencies all = {{NULL, 0}};
	struct http_reply *reply;
	return read_whole(r, "currency:", sizeof(struct genesis_currency), read_currency, &all.currencies, &reply)
		       ? http_reply_json(r, 200, &ledger_currencies_message, &all)
		       : reply;
}

static bool read_supply(struct str code, struct str value, struct arena *arena, void *row)
{
	struct ledger_supply *s = row;
	(void)arena;
	s->currency_code = code;
	return canonical_read_plain(value, &s->amount);
}

struct http_reply *api_supply(struct http_request *r)
{
	struct ledger_supplies all = {{NULL, 0}};
	struct http_reply *reply;
	return read_whole(r, "supply:", sizeof(struct ledger_supply), read_supply, &all.supply, &reply)
		       ? http_reply_json(r, 200, &ledger_supplies_message, &all)
		       : reply;
}

static bool read_validator(struct str id, struct str value, struct arena *arena, void *row)
{
	struct ledger_validator *out = row;
	struct validator v;
	(void)id;
	(void)arena;
	if (!validator_read(value, &v))
		return false;
	*out = (struct ledger_validator){v.id, v.public_key, v.power};
	return true;
}

struct http_reply *api_validators(struct http_request *r)
{
	struct ledger_validators all = {{NULL, 0}};
	struct http_reply *reply;
	return read_whole(r, "validator:", sizeof(struct ledger_validator), read_validator, &all.validators, &reply)
		       ? http_reply_json(r, 200, &ledger_validators_message, &all)
		       : reply;
}

/* ---- Content ---- */

struct content_query {
	struct str owner, hash, type; /* absent: all */
	struct str after;             /* a key */
	size_t limit;
};

/* What stands in a reference's value; hash and owner are in its key. */
static bool read_content(const struct state_row *row, struct arena *arena, struct ledger_content *out)
{
	struct canonical_cursor c;
	struct str key, value;
	size_t skip = strlen("content:");
	if (row->key.n != skip + HASH_TEXT_LEN + 1 + USER_ID_LEN || !canonical_enter_object(row->value, &c))
		return false;
	json_message_clear(&ledger_content_message, out);
	out->hash = str_of(row->key.p + skip, HASH_TEXT_LEN);
	out->owner = str_of(row->key.p + skip + HASH_TEXT_LEN + 1, USER_ID_LEN);
	while (canonical_next_member(&c, &key, &value)) {
		if (str_is(key, "size") ? !canonical_read_int(value, &out->size)
		    : str_is(key, "contentType") ? !canonical_read_text(value, arena, &out->content_type)
		    : str_is(key, "filename")    ? !canonical_read_text(value, arena, &out->filename)
		    : str_is(key, "mimeType")    ? !canonical_read_text(value, arena, &out->mime_type)
		    : str_is(key, "key")         ? !canonical_read_text(value, arena, &out->key)
						 : true)
			return false;
	}
	return out->size != JSON_INT_ABSENT && str_present(out->content_type);
}

/* Reads as many rows as a page may look at: from the owner's list, from those of the hash, or from all. */
static enum db_status read_references(struct db_conn *c, const struct content_query *q, struct arena *arena, struct state_row *rows, size_t room,
				      size_t *count, struct error *err)
{
	if (str_present(q->owner) && str_present(q->hash)) { /* at most one */
		rows->key = arena_printf(arena, "content:%.*s:%.*s", STR_ARG(q->hash), STR_ARG(q->owner));
		enum db_status st = store_read_state(c, rows->key, arena, &rows->value, err);
		*count = str_present(rows->value) && str_compare(rows->key, q->after) > 0;
		return st;
	}
	if (str_present(q->owner))
		return read_state_list(c, arena_printf(arena, "owner:%.*s", STR_ARG(q->owner)), q->after, room, arena, rows, count, err);
	if (str_present(q->hash))
		return read_state_page(c, arena_printf(arena, "content:%.*s:", STR_ARG(q->hash)), q->after, room, arena, rows, count, err);
	return read_state_page(c, STR_LIT("content:"), q->after, room, arena, rows, count, err);
}

static bool wanted(const struct content_query *q, const struct ledger_content *row)
{
	return (!str_present(q->owner) || str_equal(q->owner, row->owner)) && (!str_present(q->type) || str_equal(q->type, row->content_type));
}

static struct http_reply *answer_content(struct http_request *r, const struct content_query *q, const struct state_row *rows, size_t count, bool more)
{
	struct arena *a = http_arena(r);
	struct ledger_content *out = arena_zalloc(a, q->limit, sizeof *out);
	size_t n = 0, i = 0;
	for (; i < count && n < q->limit; i++) {
		if (!read_content(&rows[i], a, &out[n]))
			return http_reply_error_code(r, ERR_CORRUPT, "the state entry %.*s cannot be read; run `ledgerd verify`", STR_ARG(rows[i].key));
		n += wanted(q, &out[n]);
	}
	struct ledger_content_list list = {.content = {out, n}, .next_cursor = STR_NONE};
	if ((i < count || more) && i > 0) {
		size_t skip = strlen("content:");
		list.next_cursor = str_of(rows[i - 1].key.p + skip, rows[i - 1].key.n - skip);
	}
	return http_reply_json(r, 200, &ledger_content_list_message, &list);
}

struct http_reply *api_content(struct http_request *r)
{
	struct content_query q;
	struct arena *a = http_arena(r);
	struct http_reply *reply;
	struct error err;
	size_t count;
	struct str cursor = http_query_text(r, "cursor", 0);
	if (!api_limit(r, &q.limit, &reply) || !api_param(r, "owner", &form_user_id, &q.owner, &reply) ||
	    !api_param(r, "hash", &form_hash, &q.hash, &reply) || !api_param(r, "type", &form_content_type, &q.type, &reply))
		return reply;
	if (str_present(cursor) && (cursor.n != HASH_TEXT_LEN + 1 + USER_ID_LEN || !form_hash.check(str_of(cursor.p, HASH_TEXT_LEN)) ||
				    cursor.p[HASH_TEXT_LEN] != ':' || !form_user_id.check(str_of(cursor.p + HASH_TEXT_LEN + 1, USER_ID_LEN))))
		return api_bad_cursor(r);
	q.after = str_present(cursor) ? arena_printf(a, "content:%.*s", STR_ARG(cursor)) : STR_NONE;
	size_t room = str_present(q.type) ? READ_SCAN_MAX : q.limit + 1;
	struct state_row *rows = arena_zalloc(a, room, sizeof *rows);
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = read_references(c, &q, a, rows, room, &count, &err);
	api_reader_done(r, c);
	return st == DB_OK ? answer_content(r, &q, rows, count, count == room) : http_reply_error(r, &err);
}
