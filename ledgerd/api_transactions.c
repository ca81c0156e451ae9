/* Transactions: handed in, and looked at. */
#include "api.h"
#include "api_body.h"
#include "core.h"
#include "ledger_read.h"
#include "wire/ledger.h"
#include "wire/mesh.h"

static struct str hash_text(struct arena *arena, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return arena_copy(arena, str_of(text, HASH_TEXT_LEN));
}

static struct str signature_text(struct arena *arena, const struct ed25519_signature *s)
{
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(s, text);
	return arena_copy(arena, str_of(text, ED25519_SIGNATURE_TEXT_LEN));
}

static struct ledger_tx waiting(struct arena *arena, const struct pending_info *p)
{
	return (struct ledger_tx){
		.id = hash_text(arena, &p->id),
		.status = STR_LIT(TX_STATUS_QUEUED),
		.height = JSON_INT_ABSENT,
		.index = JSON_INT_ABSENT,
		.message = p->message,
		.signature = signature_text(arena, &p->signature),
	};
}

/* What waits is asked first: on its way from there a transaction is in the tables before it is gone from the queue, so that it is always somewhere. */
static enum db_status look(const struct ledger *l, const struct hash *id, struct arena *arena, struct ledger_tx *out, bool *found, struct error *err)
{
	struct pending_info p;
	*found = core_find_pending(l->core, id, arena, &p);
	if (*found) {
		*out = waiting(arena, &p);
		return DB_OK;
	}
	/* Not before: whoever waits for the core must not hold a reader, which the core may need. */
	struct db_conn *c = db_pool_reader(l->pool, err);
	if (!c)
		return DB_UNAVAILABLE;
	enum db_status st = read_tx(c, hash_text(arena, id), arena, out, found, err);
	db_pool_release(l->pool, c);
	return st;
}

/* Where a transaction stands. Before it is said that there is none: what was kept is read again after a start, and until then nobody knows. */
static enum db_status find(const struct ledger *l, const struct hash *id, struct arena *arena, struct ledger_tx *out, bool *found, struct error *err)
{
	enum db_status st = look(l, id, arena, out, found, err);
	if (st != DB_OK || *found)
		return st;
	return core_ready(l->core, err) ? look(l, id, arena, out, found, err) : DB_UNAVAILABLE;
}

/* ---- Handed in ---- */

struct submission {
	struct admission_request admission;
	struct http_request *r;
};

static struct http_reply *receipt(struct http_request *r, int status, const struct ledger_tx *t)
{
	struct ledger_receipt answer = {t->id, t->status, t->height, t->index, t->code, t->error};
	return http_reply_json(r, status, &ledger_receipt_message, &answer);
}

/* It is known: what became of it? */
static struct http_reply *answer_known(struct http_request *r, struct db_conn *c)
{
	const struct submission *s = http_state(r);
	struct ledger_tx t;
	struct error err;
	bool found;
	(void)c; /* at most one a thread of ours: the core has enough others */
	if (find(http_ctx(r), &s->admission.id, http_arena(r), &t, &found, &err) != DB_OK)
		return http_reply_error(r, &err);
	/* It was refused long ago, and that has just been forgotten. */
	return found ? receipt(r, 200, &t) : http_reply_error_code(r, ERR_UNAVAILABLE, "the transaction's status is not known now; submit it again");
}

/* On any thread; must not block. */
static void admitted(struct admission_request *a, enum admission result, const struct error *err)
{
	struct submission *s = (struct submission *)a;
	struct http_request *r = s->r;
	switch (result) {
	case ADMITTED: {
		struct ledger_tx t = {.id = hash_text(http_arena(r), &a->id), .status = STR_LIT(TX_STATUS_QUEUED), .height = JSON_INT_ABSENT, .index = JSON_INT_ABSENT};
		http_finish(r, receipt(r, 202, &t));
		return;
	}
	case ADMITTED_BEFORE:
		api_finish_on_thread(r, answer_known);
		return;
	case ADMISSION_REFUSED:
		http_finish(r, http_reply_error(r, err));
		return;
	}
}

struct http_reply *api_submit(struct http_request *r)
{
	const struct ledger *l = http_ctx(r);
	struct submission *s = arena_zalloc(http_arena(r), 1, sizeof *s);
	struct error err;
	if (l->config.role == LEDGER_OBSERVER) {
		error_set(&err, ERR_READ_ONLY, "this ledger only follows another one, and takes no transactions");
		error_hint(&err, "Submit it to %s.", l->config.follow_url);
		return http_reply_error(r, &err);
	}
	if (!submission_read(http_body(r), http_arena(r), &s->admission.message, &s->admission.signature, &err))
		return http_reply_error(r, &err);
	s->r = r;
	s->admission.done = admitted;
	http_set_state(r, s);
	struct http_reply *later = http_reply_later(r);
	core_admit(l->core, &s->admission);
	return later;
}

/* ---- Looked at ---- */

struct http_reply *api_transaction(struct http_request *r)
{
	struct error err;
	struct ledger_tx t;
	struct hash id;
	bool found;
	if (!hash_from_text(http_path_arg(r, 0), &id))
		return http_reply_error_code(r, ERR_MALFORMED_HASH, "a transaction is named by its id: 64 lower-case hex digits");
	if (find(http_ctx(r), &id, http_arena(r), &t, &found, &err) != DB_OK)
		return http_reply_error(r, &err);
	return found ? http_reply_json(r, 200, &ledger_tx_message, &t)
		     : http_reply_error_code(r, ERR_UNKNOWN_TRANSACTION, "there is no transaction %.*s", STR_ARG(http_path_arg(r, 0)));
}

struct http_reply *api_list_transactions(struct http_request *r, struct str account)
{
	struct tx_query q = {.account = account, .type = STR_NONE};
	struct ledger_tx_list list;
	struct http_reply *reply;
	struct error err;
	struct str cursor = http_query_text(r, "cursor", 0);
	if (!api_limit(r, &q.limit, &reply))
		return reply;
	if (!str_present(account) &&
	    (!api_param(r, "account", &form_user_id, &q.account, &reply) || !api_param(r, "type", &form_tx_type, &q.type, &reply)))
		return reply;
	q.has_after = str_present(cursor);
	if (q.has_after && !tx_place_read(cursor, &q.after, &err))
		return http_reply_error(r, &err);
	struct db_conn *c = api_reader(r, &reply);
	if (!c)
		return reply;
	enum db_status st = read_txs(c, &q, http_arena(r), &list.transactions, &list.next_cursor, &err);
	api_reader_done(r, c);
	return st == DB_OK ? http_reply_json(r, 200, &ledger_tx_list_message, &list) : http_reply_error(r, &err);
}

struct http_reply *api_transactions(struct http_request *r)
{
	return api_list_transactions(r, STR_NONE);
}

/* ---- What waits ---- */

enum { PENDING_CHUNK = 50 /* copied under the core's lock at once */ };

struct http_reply *api_pending(struct http_request *r)
{
	const struct ledger *l = http_ctx(r);
	struct arena *a = http_arena(r);
	struct http_reply *reply;
	size_t limit, n = 0, bytes = 0, got;
	int64_t after = 0;
	uint64_t last;
	struct pending_info chunk[PENDING_CHUNK];
	struct str cursor = http_query_text(r, "cursor", 0);
	if (!api_limit(r, &limit, &reply))
		return reply;
	if (str_present(cursor) && (!str_to_int64(cursor, &after) || after < 0))
		return api_bad_cursor(r);
	struct ledger_tx *txs = arena_zalloc(a, limit, sizeof *txs);
	last = (uint64_t)after;
	do {
		got = core_list_pending(l->core, last, limit - n < PENDING_CHUNK ? limit - n : PENDING_CHUNK, a, chunk, &last);
		for (size_t i = 0; i < got; i++) {
			bytes += chunk[i].message.n;
			txs[n++] = waiting(a, &chunk[i]);
		}
	} while (got > 0 && n < limit && bytes < LEDGER_PAGE_BYTES);
	uint64_t behind = last;
	bool more = got > 0 && core_list_pending(l->core, last, 1, a, chunk, &behind) > 0;
	struct ledger_tx_list list = {.transactions = {txs, n}, .next_cursor = more ? arena_printf(a, "%llu", (unsigned long long)last) : STR_NONE};
	return http_reply_json(r, 200, &ledger_tx_list_message, &list);
}

static bool requests(struct http_request *r, struct str name, struct json_list *out, struct str *next, struct http_reply **reply)
{
	struct tx_place after = {-1, 0};
	struct error err;
	size_t limit;
	struct str cursor = http_query_text(r, "cursor", 0);
	if (!api_limit(r, &limit, reply))
		return false;
	if (str_present(cursor) && !tx_place_read(cursor, &after, &err)) {
		*reply = http_reply_error(r, &err);
		return false;
	}
	struct db_conn *c = api_reader(r, reply);
	if (!c)
		return false;
	enum db_status st = read_requests(c, name, after, limit, http_arena(r), out, next, &err);
	api_reader_done(r, c);
	if (st != DB_OK)
		*reply = http_reply_error(r, &err);
	return st == DB_OK;
}

struct http_reply *api_deposits(struct http_request *r)
{
	struct ledger_deposits list = {.next_cursor = STR_NONE};
	struct http_reply *reply;
	return requests(r, STR_LIT("deposit"), &list.deposits, &list.next_cursor, &reply) ? http_reply_json(r, 200, &ledger_deposits_message, &list)
												   : reply;
}

struct http_reply *api_withdraws(struct http_request *r)
{
	struct ledger_withdraws list = {.next_cursor = STR_NONE};
	struct http_reply *reply;
	return requests(r, STR_LIT("withdraw"), &list.withdraws, &list.next_cursor, &reply)
		       ? http_reply_json(r, 200, &ledger_withdraws_message, &list)
		       : reply;
}
