#include "client/ledger_client.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/client.h"

struct ledger_client {
	struct http_client *http;
	char *url;
};

struct ledger_client *ledger_client_new(const char *base_url, const char *user_agent, int64_t timeout_ms, struct error *err)
{
	struct http_client_options o = {.base_url = base_url, .user_agent = user_agent, .timeout_ms = timeout_ms};
	struct http_client *http = http_client_new(&o, err);
	if (!http)
		return NULL;
	struct ledger_client *c = xcalloc(1, sizeof *c);
	c->http = http;
	c->url = xstrdup(base_url);
	return c;
}

void ledger_client_free(struct ledger_client *c)
{
	if (!c)
		return;
	http_client_free(c->http);
	free(c->url);
	free(c);
}

const char *ledger_client_url(const struct ledger_client *c)
{
	return c->url;
}

/* ---- Exchanges ---- */

/* The answer's bytes are appended to *out (may be NULL) when its status is 2xx, else they are the error. */
static bool exchange(struct ledger_client *c, const char *method, const char *path, struct str body, struct buf *out, struct error *err)
{
	struct http_answer_in answer;
	if (!http_call(c->http, method, path, body, &answer, err))
		return false;
	bool ok = answer.status >= 200 && answer.status < 300;
	if (ok && out)
		buf_put_str(out, buf_str(&answer.body));
	else if (!ok)
		http_answer_error(&answer, err);
	http_answer_free(&answer);
	return ok;
}

static bool bad_answer(const struct ledger_client *c, const char *path, const char *why, struct error *err)
{
	error_set(err, ERR_BAD_ANSWER, "%s answered %s with something else than expected: %s", c->url, path, why);
	return error_hint(err, "is this a ledger of the same version? %s/info", c->url);
}

static bool call(struct ledger_client *c, const char *method, const char *path, struct str body, const struct json_message *m, void *value,
		 struct arena *arena, struct error *err)
{
	struct buf text = {0};
	struct error why;
	bool ok = exchange(c, method, path, body, &text, err);
	if (ok && !json_read_text(buf_str(&text), m, value, arena, &why))
		ok = bad_answer(c, path, why.message, err);
	buf_free(&text);
	return ok;
}

static bool get(struct ledger_client *c, const char *path, const struct json_message *m, void *value, struct arena *arena, struct error *err)
{
	return call(c, "GET", path, STR_NONE, m, value, arena, err);
}

/* "/users/<id>/nonce": `name` may come from people, so it is encoded. In the arena. */
static const char *path_of(struct arena *arena, const char *before, struct str name, const char *after)
{
	struct buf path = {0};
	buf_puts(&path, before);
	http_encode(&path, name);
	buf_puts(&path, after);
	const char *z = arena_strdup(arena, buf_z(&path));
	buf_free(&path);
	return z;
}

static const char *path_of_hash(struct arena *arena, const char *before, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return path_of(arena, before, str_from(text), "");
}

/* ---- Pages ---- */

/* What every list's struct is, whatever its items are called. */
struct page {
	struct json_list items;
	struct str next_cursor;
};
#define IS_PAGE(S, list)                                                                                                       \
	_Static_assert(offsetof(S, list) == 0 && sizeof(S) == sizeof(struct page) && offsetof(S, next_cursor) == offsetof(struct page, next_cursor), \
		       #S " is a page")
IS_PAGE(struct ledger_tx_list, transactions);
IS_PAGE(struct ledger_deposits, deposits);
IS_PAGE(struct ledger_withdraws, withdraws);
IS_PAGE(struct ledger_block_list, blocks);
IS_PAGE(struct ledger_user_list, users);
IS_PAGE(struct ledger_account_list, balances);
IS_PAGE(struct ledger_content_list, content);

struct listing {
	const char *path;
	struct buf query;        /* "&name=value" each; freed by gather */
	const char *cursor_name; /* the parameter that nextCursor is given back as */
	struct str begin;        /* a cursor to begin with; absent: none */
	const struct json_message *message;
	size_t limit, page_max; /* items in all (0: no limit), and of one page */
};

static void select_by(struct listing *l, const char *name, struct str value)
{
	if (!str_present(value))
		return;
	buf_printf(&l->query, "&%s=", name);
	http_encode(&l->query, value);
}

static void append(struct json_list *all, size_t *room, const struct json_list *page, size_t limit, size_t size, struct arena *arena)
{
	size_t n = limit && page->count > limit - all->count ? limit - all->count : page->count;
	if (all->count + n > *room) {
		/* Growing doubles, so what the arena keeps of old arrays is at most the size of the last one. */
		*room = 2 * *room > all->count + n ? 2 * *room : all->count + n;
		char *more = arena_zalloc(arena, *room, size);
		if (all->count)
			memcpy(more, all->items, all->count * size);
		all->items = more;
	}
	if (n)
		memcpy((char *)all->items + all->count * size, page->items, n * size);
	all->count += n;
}

static bool gather(struct ledger_client *c, struct listing *l, struct arena *arena, struct json_list *out, struct error *err)
{
	struct json_list all = {arena_alloc(arena, 0), 0};
	struct str cursor = l->begin;
	struct buf path = {0};
	size_t room = 0;
	bool ok = true;
	do {
		struct page page;
		size_t want = l->limit && l->limit - all.count < l->page_max ? l->limit - all.count : l->page_max;
		buf_clear(&path);
		buf_printf(&path, "%s?limit=%zu%.*s", l->path, want, STR_ARG(buf_str(&l->query)));
		if (str_present(cursor)) {
			buf_printf(&path, "&%s=", l->cursor_name);
			http_encode(&path, cursor);
		}
		ok = get(c, buf_z(&path), l->message, &page, arena, err);
		if (ok && str_present(cursor) && str_equal(cursor, page.next_cursor))
			ok = error_set(err, ERR_BAD_ANSWER, "%s repeats the same page of %s for ever.", c->url, l->path);
		if (!ok)
			break;
		append(&all, &room, &page.items, l->limit, l->message->fields[0].sub->size, arena);
		cursor = page.next_cursor;
	} while (str_present(cursor) && (l->limit == 0 || all.count < l->limit));
	buf_free(&path);
	buf_free(&l->query);
	if (ok)
		*out = all;
	return ok;
}

/* ---- The service ---- */

bool ledger_client_status(struct ledger_client *c, struct arena *arena, struct ledger_status *out, struct error *err)
{
	return get(c, "/status", &ledger_status_message, out, arena, err);
}

bool ledger_client_ready(struct ledger_client *c, struct error *err)
{
	return exchange(c, "GET", "/ready", STR_NONE, NULL, err);
}

/* ---- Transactions ---- */

bool ledger_client_submit(struct ledger_client *c, struct str message, const struct ed25519_signature *signature, struct arena *arena,
			  struct ledger_receipt *out, struct error *err)
{
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	struct buf body = {0};
	struct hash id;
	char id_text[HASH_TEXT_LEN + 1];
	ed25519_signature_to_text(signature, text);
	/* The message's very bytes, not what a writer would make of them. */
	buf_puts(&body, "{\"message\":");
	buf_put_str(&body, message);
	buf_printf(&body, ",\"signature\":\"%s\"}", text);
	bool ok = call(c, "POST", "/transactions", buf_str(&body), &ledger_receipt_message, out, arena, err);
	buf_free(&body);
	sha256(&id, message.p, message.n);
	hash_to_text(&id, id_text);
	if (ok && !str_is(out->id, id_text))
		return bad_answer(c, "POST /transactions", "the id of another transaction", err);
	return ok;
}

bool ledger_client_tx(struct ledger_client *c, const struct hash *id, struct arena *arena, struct ledger_tx *out, struct error *err)
{
	const char *path = path_of_hash(arena, "/transactions/", id);
	struct hash found;
	if (!get(c, path, &ledger_tx_message, out, arena, err))
		return false;
	sha256(&found, out->message.p, out->message.n);
	return hash_equal(&found, id) || bad_answer(c, path, "another transaction", err);
}

bool ledger_client_txs(struct ledger_client *c, const struct ledger_tx_query *q, struct arena *arena, struct json_list *out, struct error *err)
{
	struct listing l = {.path = q->pending ? "/transactions/pending" : "/transactions", .cursor_name = "cursor", .message = &ledger_tx_list_message,
			    .limit = q->limit, .page_max = LEDGER_LIST_MAX};
	if (!q->pending) {
		select_by(&l, "type", q->type);
		select_by(&l, "account", q->account);
	}
	return gather(c, &l, arena, out, err);
}

bool ledger_client_requests(struct ledger_client *c, enum ledger_request_kind kind, size_t limit, struct arena *arena, struct json_list *out,
			    struct error *err)
{
	struct listing l = {.cursor_name = "cursor", .limit = limit, .page_max = LEDGER_LIST_MAX};
	switch (kind) {
	case LEDGER_DEPOSITS:
		l.path = "/transactions/pending/deposits";
		l.message = &ledger_deposits_message;
		break;
	case LEDGER_WITHDRAWS:
		l.path = "/transactions/pending/withdraws";
		l.message = &ledger_withdraws_message;
		break;
	}
	return gather(c, &l, arena, out, err);
}

/* ---- Blocks ---- */

bool ledger_client_block(struct ledger_client *c, struct str which, struct arena *arena, struct ledger_block *out, struct error *err)
{
	struct hash hash, found, claimed;
	bool by_hash = hash_from_text(which, &hash);
	const char *path = path_of(arena, by_hash ? "/blocks/hash/" : "/blocks/", which, "");
	if (!get(c, path, &ledger_block_message, out, arena, err))
		return false;
	sha256(&found, out->header.p, out->header.n);
	if (!hash_from_text(out->hash, &claimed) || !hash_equal(&found, &claimed) || (by_hash && !hash_equal(&found, &hash)))
		return bad_answer(c, path, "a header that has not the hash beside it", err);
	return true;
}

bool ledger_client_blocks(struct ledger_client *c, int64_t from, int64_t to, bool full, size_t limit, struct arena *arena, struct json_list *out,
			  struct error *err)
{
	struct listing l = {.path = "/blocks", .cursor_name = "from", .message = &ledger_block_list_message, .limit = limit,
			    .page_max = LEDGER_BLOCKS_MAX};
	if (full)
		buf_puts(&l.query, "&full=1");
	if (to >= 0)
		buf_printf(&l.query, "&to=%lld", (long long)to);
	if (from >= 0)
		l.begin = arena_printf(arena, "%lld", (long long)from);
	return gather(c, &l, arena, out, err);
}

/* ---- State ---- */

bool ledger_client_user(struct ledger_client *c, struct str who, struct arena *arena, struct ledger_user *out, struct error *err)
{
	const char *before = "/users/";
	if (str_starts(who, "@"))
		before = "/users/username/";
	else if (str_starts(who, "ed25519_"))
		before = "/users/publicKey/";
	const char *path = path_of(arena, before, who, "");
	if (!get(c, path, &ledger_user_message, out, arena, err))
		return false;
	return str_equal(out->id, who) || str_equal(out->username, who) || str_equal(out->public_key, who) ||
	       bad_answer(c, path, "another user", err);
}

bool ledger_client_users(struct ledger_client *c, size_t limit, struct arena *arena, struct json_list *out, struct error *err)
{
	struct listing l = {.path = "/users", .cursor_name = "cursor", .message = &ledger_user_list_message, .limit = limit,
			    .page_max = LEDGER_LIST_MAX};
	return gather(c, &l, arena, out, err);
}

bool ledger_client_nonce(struct ledger_client *c, struct str user_id, struct arena *arena, struct ledger_nonce *out, struct error *err)
{
	return get(c, path_of(arena, "/users/", user_id, "/nonce"), &ledger_nonce_message, out, arena, err);
}

bool ledger_client_balances(struct ledger_client *c, struct str user_id, struct arena *arena, struct json_list *out, struct error *err)
{
	struct buf text = {0};
	struct error why;
	const char *path = path_of(arena, "/users/", user_id, "/balances");
	bool ok = exchange(c, "GET", path, STR_NONE, &text, err);
	if (ok && !ledger_balances_read(buf_str(&text), out, arena, &why))
		ok = bad_answer(c, path, why.message, err);
	buf_free(&text);
	return ok;
}

bool ledger_client_accounts(struct ledger_client *c, struct str user_id, struct str currency, size_t limit, struct arena *arena,
			    struct json_list *out, struct error *err)
{
	struct listing l = {.path = "/balances", .cursor_name = "cursor", .message = &ledger_account_list_message, .limit = limit,
			    .page_max = LEDGER_LIST_MAX};
	select_by(&l, "user", user_id);
	select_by(&l, "currency", currency);
	return gather(c, &l, arena, out, err);
}

bool ledger_client_currencies(struct ledger_client *c, struct arena *arena, struct json_list *out, struct error *err)
{
	struct ledger_currencies all;
	bool ok = get(c, "/currencies", &ledger_currencies_message, &all, arena, err);
	if (ok)
		*out = all.currencies;
	return ok;
}

bool ledger_client_supply(struct ledger_client *c, struct arena *arena, struct json_list *out, struct error *err)
{
	struct ledger_supplies all;
	bool ok = get(c, "/supply", &ledger_supplies_message, &all, arena, err);
	if (ok)
		*out = all.supply;
	return ok;
}

bool ledger_client_validators(struct ledger_client *c, struct arena *arena, struct json_list *out, struct error *err)
{
	struct ledger_validators all;
	bool ok = get(c, "/validators", &ledger_validators_message, &all, arena, err);
	if (ok)
		*out = all.validators;
	return ok;
}

bool ledger_client_content(struct ledger_client *c, struct str owner, struct str hash, size_t limit, struct arena *arena, struct json_list *out,
			   struct error *err)
{
	struct listing l = {.path = "/content", .cursor_name = "cursor", .message = &ledger_content_list_message, .limit = limit,
			    .page_max = LEDGER_LIST_MAX};
	select_by(&l, "owner", owner);
	select_by(&l, "hash", hash);
	return gather(c, &l, arena, out, err);
}

bool ledger_client_content_sync(struct ledger_client *c, struct arena *arena, struct ledger_content_sync *out, struct error *err)
{
	return get(c, "/content/sync", &ledger_content_sync_message, out, arena, err);
}

/* ---- The rest ---- */

bool ledger_client_grant(struct ledger_client *c, const struct ledger_grant_query *q, struct arena *arena, struct ledger_grant *out,
			 struct error *err)
{
	struct buf body = {0};
	json_write(&body, &ledger_grant_query_message, q);
	bool ok = call(c, "POST", "/content/grants", buf_str(&body), &ledger_grant_message, out, arena, err);
	buf_free(&body);
	if (ok && (!str_equal(out->hash, q->hash) || out->size != q->size))
		return bad_answer(c, "POST /content/grants", "a grant for another content", err);
	return ok;
}

bool ledger_client_prove_tx(struct ledger_client *c, const struct hash *id, struct buf *out, struct error *err)
{
	struct arena arena;
	arena_init(&arena);
	bool ok = exchange(c, "GET", path_of_hash(&arena, "/proof/transaction/", id), STR_NONE, out, err);
	arena_free(&arena);
	return ok;
}

bool ledger_client_prove_state(struct ledger_client *c, struct str key, struct buf *out, struct error *err)
{
	struct arena arena;
	arena_init(&arena);
	bool ok = exchange(c, "GET", path_of(&arena, "/proof/state/", key, ""), STR_NONE, out, err);
	arena_free(&arena);
	return ok;
}

bool ledger_client_events(struct ledger_client *c, int64_t last_id, ledger_event_fn *each, void *ctx, const volatile int *stop,
			  struct error *err)
{
	return http_events(c->http, "/events", last_id, each, ctx, stop, err);
}
