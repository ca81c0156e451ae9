/*
 * ledgerd's HTTP interface: one file a topic, the table of all in api_routes.c. A handler reads the request, asks the core or the tables, and answers
 * with the messages of wire/ledger.h.
 */
#ifndef TANA_LEDGERD_API_H
#define TANA_LEDGERD_API_H

#include "http/server.h"
#include "ledger.h"

extern const struct http_route ledger_routes[]; /* POST /transactions as for a genesis with the usual limits */
extern const size_t ledger_route_count;

/*
 * What the HTTP side has of its own: l->hub, l->feed, l->threads; fills the service's part of *http. The core is there. api_quiesce: what was
 * handed to threads is answered, before the core and the pool go; api_stop: when the server is gone. Both may come after a start that failed, or
 * never came.
 */
MUST_CHECK bool api_start(struct ledger *l, struct http_options *http, struct error *err);
void api_quiesce(struct ledger *l);
void api_stop(struct ledger *l);

/* api_transactions.c */
http_handler api_submit, api_transactions, api_transaction, api_pending, api_deposits, api_withdraws;
/* api_users.c */
http_handler api_users, api_user, api_user_by_name, api_user_by_key, api_user_balances, api_user_nonce, api_user_transactions;
/* api_blocks.c */
http_handler api_blocks, api_block, api_block_latest, api_block_by_hash;
/* api_state.c */
http_handler api_balances, api_currencies, api_supply, api_validators, api_content;
/* api_grants.c */
http_handler api_grant;
/* api_proof.c */
http_handler api_proof_transaction, api_proof_state;
/* api_status.c */
http_handler api_status, api_content_sync, api_events;

/* What they share (api_common.c). */

/* Borrows a reader; NULL: *reply is the refusal. */
MUST_CHECK struct db_conn *api_reader(struct http_request *r, struct http_reply **reply);
void api_reader_done(struct http_request *r, struct db_conn *c);
/* `limit`, LEDGER_LIST_DEFAULT when it is not given. False: *reply is the refusal. */
MUST_CHECK bool api_limit(struct http_request *r, size_t *limit, struct http_reply **reply);
/* A parameter of a list, checked by its form; absent when it is not given. False: *reply is the refusal. */
MUST_CHECK bool api_param(struct http_request *r, const char *name, const struct json_form *form, struct str *out, struct http_reply **reply);
/* The nth part of the path, likewise. */
MUST_CHECK bool api_path(struct http_request *r, int n, const struct json_form *form, struct str *out, struct http_reply **reply);
struct http_reply *api_bad_cursor(struct http_request *r);
/* A query of one reader that may take long, on a thread of its own: `work` gets the reader, and what the handler put aside (http_set_state). */
typedef struct http_reply *api_work(struct http_request *r, struct db_conn *c);
struct http_reply *api_on_thread(struct http_request *r, api_work *work);
/* Likewise for a request that http_reply_later was answered to already. Never waits. */
void api_finish_on_thread(struct http_request *r, api_work *work);

/* The user of an id: false in *found when there is none. */
struct ledger_user;
MUST_CHECK enum db_status api_read_user(struct db_conn *c, struct str id, struct arena *arena, struct ledger_user *out, bool *found, struct error *err);
struct http_reply *api_no_such_user(struct http_request *r, struct str id);
/* GET /transactions, of an account (absent: as the parameter says). */
struct http_reply *api_list_transactions(struct http_request *r, struct str account);

#endif
