#include "api.h"
#include "wire/genesis.h"
#include "wire/ledger.h"
#include "wire/proof.h"

/* Refusals, by what a request goes through. Those that every route can give (malformed requests, 500, 503) are the server's to list. */
#define ERRORS(name, ...) static const enum error_code name[] = {__VA_ARGS__, ERR_COUNT}
#define BODY_ERRORS ERR_MALFORMED_JSON, ERR_DUPLICATE_KEY, ERR_MISSING_FIELD, ERR_MALFORMED_FIELD, ERR_MALFORMED_SIGNATURE

ERRORS(submit_errors, BODY_ERRORS, ERR_NOT_CANONICAL, ERR_UNKNOWN_TYPE, ERR_UNKNOWN_FIELD, ERR_AMOUNT_MALFORMED, ERR_USERNAME_MALFORMED, ERR_BAD_CHAIN,
       ERR_UNKNOWN_USER, ERR_BAD_SIGNATURE, ERR_BAD_NONCE, ERR_EXPIRED, ERR_TX_NOT_ALLOWED, ERR_SELF_TRANSFER, ERR_SELF_ROLE, ERR_UNKNOWN_CURRENCY,
       ERR_AMOUNT_TOO_PRECISE, ERR_AMOUNT_NOT_POSITIVE, ERR_OVERFLOW, ERR_INSUFFICIENT_FUNDS, ERR_USERNAME_TAKEN, ERR_TX_KEY_IN_USE, ERR_BAD_PROOF,
       ERR_APPROVAL_REQUIRED, ERR_APPROVAL_UNEXPECTED, ERR_UNKNOWN_REQUEST, ERR_REQUEST_CLOSED, ERR_CONTENT_EXISTS, ERR_NOT_OWNER,
       ERR_UNKNOWN_VALIDATOR, ERR_LAST_VALIDATOR, ERR_CURRENCY_EXISTS, ERR_READ_ONLY, ERR_STORAGE_FULL);
ERRORS(list_errors, ERR_MALFORMED_CURSOR);
ERRORS(tx_errors, ERR_MALFORMED_HASH, ERR_UNKNOWN_TRANSACTION);
ERRORS(user_errors, ERR_NO_SUCH_USER);
ERRORS(user_key_errors, ERR_NO_SUCH_USER, ERR_MALFORMED_KEY);
ERRORS(user_list_errors, ERR_NO_SUCH_USER, ERR_MALFORMED_CURSOR);
ERRORS(block_errors, ERR_UNKNOWN_BLOCK);
ERRORS(block_hash_errors, ERR_MALFORMED_HASH, ERR_UNKNOWN_BLOCK);
ERRORS(grant_errors, BODY_ERRORS, ERR_MALFORMED_HASH, ERR_TIMESTAMP_OUT_OF_RANGE, ERR_UNKNOWN_USER, ERR_BAD_SIGNATURE, ERR_GRANT_LIMIT);
ERRORS(events_errors, ERR_OVERLOADED);

#define LIMIT_PARAM {.name = "limit", .type = PARAM_INT, .min = 1, .max = LEDGER_LIST_MAX, .doc = "Rows a page; 100 by default. A page may have fewer, and yet a nextCursor."}
#define CURSOR_PARAM {.name = "cursor", .type = PARAM_TEXT, .min = 1, .max = LEDGER_CURSOR_MAX, .doc = "nextCursor of the page before."}
#define NO_MORE {.name = NULL}
static const struct http_param list_params[] = {LIMIT_PARAM, CURSOR_PARAM, NO_MORE};
static const struct http_param transactions_params[] = {
	{.name = "type", .type = PARAM_TEXT, .min = 1, .max = 40, .doc = "Only transactions of this type."},
	{.name = "account", .type = PARAM_TEXT, .min = 1, .max = USER_ID_LEN, .doc = "Only those that this user signed, or that name it."},
	LIMIT_PARAM,
	CURSOR_PARAM,
	NO_MORE,
};
static const struct http_param balances_params[] = {
	{.name = "user", .type = PARAM_TEXT, .min = 1, .max = USER_ID_LEN, .doc = "Only this user's."},
	{.name = "currency", .type = PARAM_TEXT, .min = 1, .max = CURRENCY_CODE_MAX, .doc = "Only in this currency."},
	LIMIT_PARAM,
	CURSOR_PARAM,
	NO_MORE,
};
static const struct http_param content_params[] = {
	{.name = "owner", .type = PARAM_TEXT, .min = 1, .max = USER_ID_LEN, .doc = "Only this user's references."},
	{.name = "hash", .type = PARAM_TEXT, .min = 1, .max = HASH_TEXT_LEN, .doc = "Only references to this content."},
	{.name = "type", .type = PARAM_TEXT, .min = 1, .max = 40, .doc = "Only this contentType."},
	LIMIT_PARAM,
	CURSOR_PARAM,
	NO_MORE,
};
static const struct http_param blocks_params[] = {
	{.name = "from", .type = PARAM_INT, .min = 0, .max = JSON_INT_MAX, .doc = "The first height; left out: the newest blocks."},
	{.name = "to", .type = PARAM_INT, .min = 0, .max = JSON_INT_MAX, .doc = "The last height; left out: the newest block's."},
	{.name = "limit", .type = PARAM_INT, .min = 1, .max = LEDGER_BLOCKS_MAX, .doc = "Blocks a page; 20 by default. A page of large blocks has fewer, but one."},
	{.name = "full", .type = PARAM_INT, .min = 0, .max = 1, .doc = "1: with transactions and state changes."},
	NO_MORE,
};

#define ANSWERS(name, ...) static const struct http_answer name[] = {__VA_ARGS__, {.status = 0}}
#define JSON_OK(m, d) {.status = 200, .message = &(m), .doc = (d)}
ANSWERS(submit_answers, {.status = 202, .message = &ledger_receipt_message, .doc = "Queued, durably."},
	JSON_OK(ledger_receipt_message, "Known already; status says what it is now."));
ANSWERS(tx_list_answers, JSON_OK(ledger_tx_list_message, "A page, the newest first."));
ANSWERS(tx_answers, JSON_OK(ledger_tx_message, "The transaction, and where it stands."));
ANSWERS(pending_answers, JSON_OK(ledger_tx_list_message, "A page, in the order in which they came."));
ANSWERS(deposits_answers, JSON_OK(ledger_deposits_message, "A page, oldest first."));
ANSWERS(withdraws_answers, JSON_OK(ledger_withdraws_message, "A page, oldest first."));
ANSWERS(user_list_answers, JSON_OK(ledger_user_list_message, "A page, by id."));
ANSWERS(user_answers, JSON_OK(ledger_user_message, "The user."));
ANSWERS(user_balances_answers, JSON_OK(ledger_balance_message, "By currency code; those that are not zero."));
ANSWERS(nonce_answers, JSON_OK(ledger_nonce_message, "The nonces."));
ANSWERS(accounts_answers, JSON_OK(ledger_account_list_message, "A page, by user and currency."));
ANSWERS(currencies_answers, JSON_OK(ledger_currencies_message, "All of them, by code."));
ANSWERS(supply_answers, JSON_OK(ledger_supplies_message, "All currencies, by code."));
ANSWERS(validators_answers, JSON_OK(ledger_validators_message, "The set that the next block is signed by one of, by id."));
ANSWERS(content_answers, JSON_OK(ledger_content_list_message, "A page, by hash and owner."));
ANSWERS(content_sync_answers, JSON_OK(ledger_content_sync_message, "The job, and what it has done."));
ANSWERS(block_list_answers, JSON_OK(ledger_block_list_message, "Canonical JSON: blocks by height."));
ANSWERS(block_answers, JSON_OK(ledger_block_message, "Canonical JSON: the block."));
ANSWERS(grant_answers, JSON_OK(ledger_grant_message, "A token for t4."));
ANSWERS(status_answers, JSON_OK(ledger_status_message, "How things are."));
ANSWERS(proof_answers, JSON_OK(proof_message, "Canonical JSON: a proof file."));
ANSWERS(events_answers, {.status = 200, .media = "text/event-stream", .doc = "Events as they happen."});

#define READ(p, h, ans, errs, par, sum, more)                                                                                  \
	{.method = HTTP_GET, .path = (p), .handler = (h), .access = ACCESS_ANYONE, .answers = (ans), .errors = (errs), .params = (par), .summary = (sum), .doc = (more)}

const struct http_route ledger_routes[] = {
	{.method = HTTP_POST, .path = "/transactions", .handler = api_submit, .access = ACCESS_USER_SIGNED, .flags = HTTP_WRITE,
	 .body_max = TX_BYTES_DEFAULT + LEDGER_BODY_ROOM, .body = &ledger_submission_message, .answers = submit_answers, .errors = submit_errors,
	 .summary = "Hand in a signed transaction",
	 .doc = "The bytes of `message` as they stand in the body are what was signed, and must be canonical JSON. For user_creation and transfer the fields may also stand beside "
		"`signature` in any form. The body may be 64 KiB larger than the chain's largest transaction."},
	READ("/transactions", api_transactions, tx_list_answers, list_errors, transactions_params, "List transactions", "Those in blocks, the newest first."),
	READ("/transactions/:id", api_transaction, tx_answers, tx_errors, NULL, "One transaction",
	     "Whether it waits, is in a block, or was refused after it had been queued (that is told for a while)."),
	READ("/transactions/pending", api_pending, pending_answers, list_errors, list_params, "What waits", "In the order in which it came."),
	READ("/transactions/pending/deposits", api_deposits, deposits_answers, list_errors, list_params, "Deposits that wait for staff", NULL),
	READ("/transactions/pending/withdraws", api_withdraws, withdraws_answers, list_errors, list_params, "Withdrawals that wait for staff", NULL),
	READ("/users", api_users, user_list_answers, list_errors, list_params, "List users", NULL),
	READ("/users/:id", api_user, user_answers, user_errors, NULL, "One user", NULL),
	READ("/users/username/:name", api_user_by_name, user_answers, user_errors, NULL, "The user of a name", "With its @."),
	READ("/users/publicKey/:key", api_user_by_key, user_answers, user_key_errors, NULL, "The user of a key", "Keys that were rotated away still lead to their user."),
	{.method = HTTP_GET, .path = "/users/:id/balances", .handler = api_user_balances, .access = ACCESS_ANYONE, .flags = HTTP_LIST,
	 .answers = user_balances_answers, .errors = user_errors, .summary = "A user's money", .doc = "A bare list."},
	READ("/users/:id/nonce", api_user_nonce, nonce_answers, user_errors, NULL, "The nonce that a user's next transaction carries", NULL),
	READ("/users/:id/transactions", api_user_transactions, tx_list_answers, user_list_errors, list_params, "A user's transactions",
	     "Those that it signed, and those that name it; the newest first."),
	READ("/balances", api_balances, accounts_answers, list_errors, balances_params, "Balances and holds", "Those that are not both zero."),
	READ("/currencies", api_currencies, currencies_answers, NULL, NULL, "All currencies", NULL),
	READ("/supply", api_supply, supply_answers, NULL, NULL, "How much there is of each currency", "All balances, holds and stakes together."),
	READ("/validators", api_validators, validators_answers, NULL, NULL, "Who may sign the next block", NULL),
	READ("/content", api_content, content_answers, list_errors, content_params, "References to content", "The bytes are in t4, under the hash."),
	READ("/content/sync", api_content_sync, content_sync_answers, NULL, NULL, "How far this node's content is", "What the chain refers to is fetched into the local t4 in the background."),
	{.method = HTTP_POST, .path = "/content/grants", .handler = api_grant, .access = ACCESS_USER_SIGNED, .flags = HTTP_WRITE, .body_max = 4096,
	 .body = &ledger_grant_query_message, .answers = grant_answers, .errors = grant_errors, .summary = "Leave to bring bytes to t4",
	 .doc = "A token bound to the hash and size. At most 1 GiB, in at most 1,000 contents, may be granted to a user and not published; what is never "
		"published is collected after a day."},
	READ("/blocks", api_blocks, block_list_answers, NULL, blocks_params, "List blocks", "Ascending. Give nextCursor as from= to go on."),
	READ("/blocks/:height", api_block, block_answers, block_errors, NULL, "One block", NULL),
	READ("/blocks/latest", api_block_latest, block_answers, NULL, NULL, "The newest block", NULL),
	READ("/blocks/hash/:hash", api_block_by_hash, block_answers, block_hash_errors, NULL, "The block of a hash", NULL),
	READ("/proof/transaction/:id", api_proof_transaction, proof_answers, tx_errors, NULL, "Proof that a block has a transaction",
	     "A file that `tana proof verify` checks offline, with the genesis alone."),
	READ("/proof/state/:key", api_proof_state, proof_answers, NULL, NULL, "Proof of what the state has under a key",
	     "Of the entry's value after the newest block, or that there is no such entry. 503 where the state's tree is not kept (--produce=no), or is still "
	     "being read after a start."),
	READ("/status", api_status, status_answers, NULL, NULL, "Which chain, how far, and what this ledgerd does about it", NULL),
	{.method = HTTP_GET, .path = "/events", .handler = api_events, .access = ACCESS_ANYONE, .flags = HTTP_STREAM, .answers = events_answers,
	 .errors = events_errors, .summary = "Watch blocks and transactions",
	 .doc = "Server-Sent Events `block` and `transaction`; Last-Event-ID resumes, across restarts. Slow readers are dropped."},
};
const size_t ledger_route_count = ARRAY_LEN(ledger_routes);
