/*
 * A client of the ledger (docs/protocol.md, "Ledger"): one function per call. Signing and waiting are client/wallet.h's.
 *
 * Every function that can fail fills *err: the ledger's own code and message when it answered, else ERR_UNREACHABLE, ERR_TIMED_OUT or
 * ERR_BAD_ANSWER. Results live in the caller's arena. One struct ledger_client is one thread's.
 */
#ifndef TANA_CLIENT_LEDGER_CLIENT_H
#define TANA_CLIENT_LEDGER_CLIENT_H

#include "base/arena.h"
#include "wire/genesis.h"
#include "wire/ledger.h"

struct ledger_client;
/* base_url: "http://127.0.0.1:8080"; user_agent and timeout_ms (0: the HTTP client's default) as in http/client.h. */
MUST_CHECK struct ledger_client *ledger_client_new(const char *base_url, const char *user_agent, int64_t timeout_ms, struct error *err);
void ledger_client_free(struct ledger_client *c); /* NULL is fine */
const char *ledger_client_url(const struct ledger_client *c);

/* GET /status; GET /ready: false with the dependency that does not answer. */
MUST_CHECK bool ledger_client_status(struct ledger_client *c, struct arena *arena, struct ledger_status *out, struct error *err);
MUST_CHECK bool ledger_client_ready(struct ledger_client *c, struct error *err);

/* ---- Transactions ---- */

/* The signature in its written form. The same transaction may be submitted again: it is answered with its present status. */
MUST_CHECK bool ledger_client_submit(struct ledger_client *c, struct str message, const struct ed25519_signature *signature, struct arena *arena,
				     struct ledger_receipt *out, struct error *err);
MUST_CHECK bool ledger_client_tx(struct ledger_client *c, const struct hash *id, struct arena *arena, struct ledger_tx *out, struct error *err);

/* Lists are gathered page by page. limit: at most so many items; 0: all of them. Texts that are absent do not select. */
struct ledger_tx_query {
	bool pending;         /* those that wait, in their order; type and account do not select then */
	struct str type;      /* of enum tx_type's texts */
	struct str account;   /* a user id: signed by it, or about it */
	size_t limit;
};
/* Items: struct ledger_tx, the newest first. */
MUST_CHECK bool ledger_client_txs(struct ledger_client *c, const struct ledger_tx_query *q, struct arena *arena, struct json_list *out,
				  struct error *err);
/* The pending requests. Items: struct ledger_request, oldest first. */
enum ledger_request_kind { LEDGER_DEPOSITS, LEDGER_WITHDRAWS };
MUST_CHECK bool ledger_client_requests(struct ledger_client *c, enum ledger_request_kind kind, size_t limit, struct arena *arena,
				       struct json_list *out, struct error *err);

/* ---- Blocks ---- */

/* which: "latest", a height, or a block's hash. */
MUST_CHECK bool ledger_client_block(struct ledger_client *c, struct str which, struct arena *arena, struct ledger_block *out, struct error *err);
/* Items: struct ledger_block, ascending, without transactions and changes unless `full`. from -1: the newest `limit` blocks (then limit is
 * 1..LEDGER_BLOCKS_MAX); to -1: up to the newest. */
MUST_CHECK bool ledger_client_blocks(struct ledger_client *c, int64_t from, int64_t to, bool full, size_t limit, struct arena *arena,
				     struct json_list *out, struct error *err);

/* ---- State ---- */

/* who: a user id, "@name" or a public key in its written form. ERR_UNKNOWN_USER. */
MUST_CHECK bool ledger_client_user(struct ledger_client *c, struct str who, struct arena *arena, struct ledger_user *out, struct error *err);
MUST_CHECK bool ledger_client_users(struct ledger_client *c, size_t limit, struct arena *arena, struct json_list *out, struct error *err);
MUST_CHECK bool ledger_client_nonce(struct ledger_client *c, struct str user_id, struct arena *arena, struct ledger_nonce *out, struct error *err);
/* Items: struct ledger_balance. */
MUST_CHECK bool ledger_client_balances(struct ledger_client *c, struct str user_id, struct arena *arena, struct json_list *out, struct error *err);
/* Items: struct ledger_account; user id and currency may be absent. */
MUST_CHECK bool ledger_client_accounts(struct ledger_client *c, struct str user_id, struct str currency, size_t limit, struct arena *arena,
				       struct json_list *out, struct error *err);
/* Items: struct genesis_currency, struct ledger_supply, struct ledger_validator. */
MUST_CHECK bool ledger_client_currencies(struct ledger_client *c, struct arena *arena, struct json_list *out, struct error *err);
MUST_CHECK bool ledger_client_supply(struct ledger_client *c, struct arena *arena, struct json_list *out, struct error *err);
MUST_CHECK bool ledger_client_validators(struct ledger_client *c, struct arena *arena, struct json_list *out, struct error *err);
/* Items: struct ledger_content; owner (a user id) and hash may be absent. */
MUST_CHECK bool ledger_client_content(struct ledger_client *c, struct str owner, struct str hash, size_t limit, struct arena *arena,
				      struct json_list *out, struct error *err);
MUST_CHECK bool ledger_client_content_sync(struct ledger_client *c, struct arena *arena, struct ledger_content_sync *out, struct error *err);

/* ---- The rest ---- */

MUST_CHECK bool ledger_client_grant(struct ledger_client *c, const struct ledger_grant_query *q, struct arena *arena, struct ledger_grant *out,
				    struct error *err);
/* Proof files as they came, appended to *out; checked with client/ledger_proof.h. key: a state entry's key. */
MUST_CHECK bool ledger_client_prove_tx(struct ledger_client *c, const struct hash *id, struct buf *out, struct error *err);
MUST_CHECK bool ledger_client_prove_state(struct ledger_client *c, struct str key, struct buf *out, struct error *err);
/* Events until `each` returns false, the stream ends or *stop is set. last_id < 0: from now on. See http_events. */
typedef bool ledger_event_fn(void *ctx, int64_t id, const char *type, struct str data);
MUST_CHECK bool ledger_client_events(struct ledger_client *c, int64_t last_id, ledger_event_fn *each, void *ctx, const volatile int *stop,
				     struct error *err);

#endif
