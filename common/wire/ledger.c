/* The field tables of the ledger's messages. Field names are the protocol: they never change, new ones are added. */
#include "wire/ledger.h"

#include "wire/genesis.h"
#include "wire/mesh.h"

/* Rows that occur again and again. Texts from signed messages are whatever was signed. */
#define F_VERBATIM(S, m, n, fl, d) F_TEXT(S, m, n, (fl) | JSON_VERBATIM, 0, d)
#define F_COUNT(S, m, n, fl, d) F_INT(S, m, n, fl, 0, JSON_INT_MAX, d)
#define F_TIME(S, m, n, fl, d) F_INT(S, m, n, fl, 0, JSON_INT_MAX, d)
#define F_NEXT_CURSOR(S) \
	F_TEXT(S, next_cursor, "nextCursor", 0, LEDGER_CURSOR_MAX, "Give it as cursor= to get the next page; left out on the last one.")
#define F_SIGNATURE(S, fl, d) F_FORM(S, signature, "signature", fl, &form_signature, d)

/* ---- Transactions ---- */

static const struct json_field submission_rows[] = {
	F_ANY(struct ledger_submission, message, "message", JSON_REQUIRED, "The transaction; its bytes as they stand here must be canonical JSON."),
	F_SIGNATURE(struct ledger_submission, JSON_REQUIRED, "By the key of `from` (user_creation: the new key), over the message's bytes."),
};
JSON_MESSAGE(ledger_submission_message, "TransactionSubmission", struct ledger_submission, submission_rows);

#define OUTCOME_ROWS(S)                                                                                                                 \
	F_FORM(S, id, "id", JSON_REQUIRED, &form_hash, "SHA-256 of the message."),                                                      \
	F_FORM(S, status, "status", JSON_REQUIRED, &form_tx_status, "queued: it waits, durably; included: it is in a block; refused: it will not be."), \
	F_COUNT(S, height, "height", 0, "Included: the block."),                                                                        \
	F_COUNT(S, index, "index", 0, "Included: its place in the block, from 0."),                                                     \
	F_TEXT(S, code, "code", 0, 64, "Refused: the error code."),                                                                     \
	F_VERBATIM(S, error, "error", 0, "Refused: why, for people.")

static const struct json_field receipt_rows[] = {OUTCOME_ROWS(struct ledger_receipt)};
JSON_MESSAGE(ledger_receipt_message, "TransactionReceipt", struct ledger_receipt, receipt_rows);

static const struct json_field tx_rows[] = {
	OUTCOME_ROWS(struct ledger_tx),
	F_ANY(struct ledger_tx, message, "message", JSON_REQUIRED, "The transaction as it was signed; its canonical JSON are the signed bytes."),
	F_SIGNATURE(struct ledger_tx, JSON_REQUIRED, "Over the message's bytes."),
};
JSON_MESSAGE(ledger_tx_message, "Transaction", struct ledger_tx, tx_rows);

static const struct json_field tx_list_rows[] = {
	F_LIST(struct ledger_tx_list, transactions, "transactions", JSON_REQUIRED, LEDGER_LIST_MAX, &ledger_tx_message, "One page."),
	F_NEXT_CURSOR(struct ledger_tx_list),
};
JSON_MESSAGE(ledger_tx_list_message, "TransactionList", struct ledger_tx_list, tx_list_rows);

static const struct json_field request_rows[] = {
	F_FORM(struct ledger_request, id, "id", JSON_REQUIRED, &form_hash, "The transaction that opened it: the requestId of a confirmation."),
	F_FORM(struct ledger_request, type, "type", JSON_REQUIRED, &form_request_type, "What is asked for."),
	F_FORM(struct ledger_request, from, "from", JSON_REQUIRED, &form_user_id, "Who asks."),
	F_FORM(struct ledger_request, amount, "amount", JSON_REQUIRED, &form_amount, "How much."),
	F_FORM(struct ledger_request, currency_code, "currencyCode", JSON_REQUIRED, &form_currency_code, "Of what."),
	F_VERBATIM(struct ledger_request, reference, "reference", JSON_REQUIRED, "What it refers to outside the ledger."),
	F_FORM(struct ledger_request, status, "status", JSON_REQUIRED, &form_request_status, "Where it stands."),
};
JSON_MESSAGE(ledger_request_message, "PaymentRequest", struct ledger_request, request_rows);

static const struct json_field deposits_rows[] = {
	F_LIST(struct ledger_deposits, deposits, "deposits", JSON_REQUIRED, LEDGER_LIST_MAX, &ledger_request_message, "One page, oldest first."),
	F_NEXT_CURSOR(struct ledger_deposits),
};
JSON_MESSAGE(ledger_deposits_message, "PendingDeposits", struct ledger_deposits, deposits_rows);

static const struct json_field withdraws_rows[] = {
	F_LIST(struct ledger_withdraws, withdraws, "withdraws", JSON_REQUIRED, LEDGER_LIST_MAX, &ledger_request_message,
	       "One page, oldest first."),
	F_NEXT_CURSOR(struct ledger_withdraws),
};
JSON_MESSAGE(ledger_withdraws_message, "PendingWithdraws", struct ledger_withdraws, withdraws_rows);

/* ---- Blocks ---- */

static const struct json_field block_tx_rows[] = {
	F_FORM(struct ledger_block_tx, id, "id", JSON_REQUIRED, &form_hash, "SHA-256 of the message."),
	F_ANY(struct ledger_block_tx, message, "message", JSON_REQUIRED, "The transaction as it was signed."),
	F_SIGNATURE(struct ledger_block_tx, JSON_REQUIRED, "Over the message's bytes."),
};
JSON_MESSAGE(ledger_block_tx_message, "BlockTransaction", struct ledger_block_tx, block_tx_rows);

static const struct json_field block_rows[] = {
	F_ANY(struct ledger_block, header, "header", JSON_REQUIRED, "The header; its canonical JSON is what is hashed and signed."),
	F_FORM(struct ledger_block, hash, "hash", JSON_REQUIRED, &form_hash, "SHA-256 of the header."),
	F_SIGNATURE(struct ledger_block, 0, "The producer's, over the header; block 0 has none."),
	F_LIST(struct ledger_block, transactions, "transactions", 0, 0, &ledger_block_tx_message, "In their order; left out in lists unless full=1."),
	F_ANY(struct ledger_block, state_changes, "stateChanges", 0,
	      "List of {key, before, after}, by key; null stands for no entry. Left out in lists unless full=1."),
};
JSON_MESSAGE(ledger_block_message, "Block", struct ledger_block, block_rows);

static const struct json_field block_list_rows[] = {
	F_LIST(struct ledger_block_list, blocks, "blocks", JSON_REQUIRED, LEDGER_BLOCKS_MAX, &ledger_block_message, "By height."),
	F_TEXT(struct ledger_block_list, next_cursor, "nextCursor", 0, LEDGER_CURSOR_MAX,
	       "Give it as from= to get the next page; left out on the last one."),
};
JSON_MESSAGE(ledger_block_list_message, "BlockList", struct ledger_block_list, block_list_rows);

/* ---- State ---- */

static const struct json_field user_rows[] = {
	F_FORM(struct ledger_user, id, "id", JSON_REQUIRED, &form_user_id, "Made of the chain and the user's first key; it never changes."),
	F_FORM(struct ledger_user, username, "username", JSON_REQUIRED, &form_username, "The user's name, for ever."),
	F_VERBATIM(struct ledger_user, display_name, "displayName", JSON_REQUIRED, "The name that people see."),
	F_FORM(struct ledger_user, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The key that signs for the user now."),
	F_FORM(struct ledger_user, role, "role", JSON_REQUIRED, &form_user_role, "What the user may do."),
	F_VERBATIM(struct ledger_user, bio, "bio", 0, "What the user says of itself."),
	F_FORM(struct ledger_user, avatar_hash, "avatarHash", 0, &form_hash, "SHA-256 of a picture in t4."),
};
JSON_MESSAGE(ledger_user_message, "User", struct ledger_user, user_rows);

static const struct json_field user_list_rows[] = {
	F_LIST(struct ledger_user_list, users, "users", JSON_REQUIRED, LEDGER_LIST_MAX, &ledger_user_message, "One page, by id."),
	F_NEXT_CURSOR(struct ledger_user_list),
};
JSON_MESSAGE(ledger_user_list_message, "UserList", struct ledger_user_list, user_list_rows);

static const struct json_field nonce_rows[] = {
	F_COUNT(struct ledger_nonce, current_nonce, "currentNonce", JSON_REQUIRED, "That of the user's last transaction in a block."),
	F_COUNT(struct ledger_nonce, next_nonce, "nextNonce", JSON_REQUIRED, "What the next transaction carries; those that wait are counted."),
};
JSON_MESSAGE(ledger_nonce_message, "Nonce", struct ledger_nonce, nonce_rows);

#define BALANCE_ROWS(S)                                                                                                \
	F_FORM(S, currency_code, "currencyCode", JSON_REQUIRED, &form_currency_code, "The currency."),                  \
	F_FORM(S, amount, "amount", JSON_REQUIRED, &form_amount, "What the user may spend."),                           \
	F_FORM(S, held, "held", JSON_REQUIRED, &form_amount, "What waits for withdrawals, and is not in amount.")

static const struct json_field balance_rows[] = {BALANCE_ROWS(struct ledger_balance)};
JSON_MESSAGE(ledger_balance_message, "Balance", struct ledger_balance, balance_rows);

static const struct json_field account_rows[] = {
	F_FORM(struct ledger_account, user_id, "userId", JSON_REQUIRED, &form_user_id, "Whose balance it is."),
	BALANCE_ROWS(struct ledger_account),
};
JSON_MESSAGE(ledger_account_message, "Account", struct ledger_account, account_rows);

static const struct json_field account_list_rows[] = {
	F_LIST(struct ledger_account_list, balances, "balances", JSON_REQUIRED, LEDGER_LIST_MAX, &ledger_account_message, "One page, by user and currency."),
	F_NEXT_CURSOR(struct ledger_account_list),
};
JSON_MESSAGE(ledger_account_list_message, "AccountList", struct ledger_account_list, account_list_rows);

static const struct json_field currencies_rows[] = {
	F_LIST(struct ledger_currencies, currencies, "currencies", JSON_REQUIRED, 0, &genesis_currency_message, "All of them, by code."),
};
JSON_MESSAGE(ledger_currencies_message, "Currencies", struct ledger_currencies, currencies_rows);

static const struct json_field supply_rows[] = {
	F_FORM(struct ledger_supply, currency_code, "currencyCode", JSON_REQUIRED, &form_currency_code, "The currency."),
	F_FORM(struct ledger_supply, amount, "amount", JSON_REQUIRED, &form_amount, "All balances, holds and stakes together."),
};
JSON_MESSAGE(ledger_supply_message, "Supply", struct ledger_supply, supply_rows);

static const struct json_field supplies_rows[] = {
	F_LIST(struct ledger_supplies, supply, "supply", JSON_REQUIRED, 0, &ledger_supply_message, "Every currency, by code."),
};
JSON_MESSAGE(ledger_supplies_message, "Supplies", struct ledger_supplies, supplies_rows);

static const struct json_field validator_rows[] = {
	F_FORM(struct ledger_validator, id, "id", JSON_REQUIRED, &form_validator_id, "The validator, as it is called in mesh."),
	F_FORM(struct ledger_validator, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "The key that signs its blocks."),
	F_INT(struct ledger_validator, power, "power", JSON_REQUIRED, 1, INT32_MAX, "Its weight."),
};
JSON_MESSAGE(ledger_validator_message, "ChainValidator", struct ledger_validator, validator_rows);

static const struct json_field validators_rows[] = {
	F_LIST(struct ledger_validators, validators, "validators", JSON_REQUIRED, 0, &ledger_validator_message, "The present set, by id."),
};
JSON_MESSAGE(ledger_validators_message, "ChainValidators", struct ledger_validators, validators_rows);

static const struct json_field content_rows[] = {
	F_FORM(struct ledger_content, hash, "hash", JSON_REQUIRED, &form_hash, "SHA-256 of the bytes in t4."),
	F_FORM(struct ledger_content, owner, "owner", JSON_REQUIRED, &form_user_id, "Whose reference it is."),
	F_COUNT(struct ledger_content, size, "size", JSON_REQUIRED, "Bytes."),
	F_FORM(struct ledger_content, content_type, "contentType", JSON_REQUIRED, &form_content_type, "What the bytes are."),
	F_VERBATIM(struct ledger_content, filename, "filename", 0, "The file's name."),
	F_VERBATIM(struct ledger_content, mime_type, "mimeType", 0, "Its media type."),
	F_VERBATIM(struct ledger_content, key, "key", 0, "The owner's name for it."),
};
JSON_MESSAGE(ledger_content_message, "ContentReference", struct ledger_content, content_rows);

static const struct json_field content_list_rows[] = {
	F_LIST(struct ledger_content_list, content, "content", JSON_REQUIRED, LEDGER_LIST_MAX, &ledger_content_message, "One page, by hash and owner."),
	F_NEXT_CURSOR(struct ledger_content_list),
};
JSON_MESSAGE(ledger_content_list_message, "ContentReferences", struct ledger_content_list, content_list_rows);

/* ---- Upload grants ---- */

static const struct json_field grant_query_rows[] = {
	F_FORM(struct ledger_grant_query, user_id, "userId", JSON_REQUIRED, &form_user_id, "Who wants to upload."),
	F_FORM(struct ledger_grant_query, hash, "hash", JSON_REQUIRED, &form_hash, "SHA-256 of what is to be uploaded."),
	F_COUNT(struct ledger_grant_query, size, "size", JSON_REQUIRED, "Its bytes."),
	F_TIME(struct ledger_grant_query, timestamp, "timestamp", JSON_REQUIRED, "When it was signed (ms); within 60 seconds of the ledger's clock."),
	F_SIGNATURE(struct ledger_grant_query, JSON_REQUIRED,
		    "By the user's key, over tana-upload-grant:<chainId>:<userId>:<hash>:<size>:<timestamp>."),
};
JSON_MESSAGE(ledger_grant_query_message, "UploadGrantQuery", struct ledger_grant_query, grant_query_rows);

static const struct json_field grant_rows[] = {
	F_TEXT(struct ledger_grant, grant, "grant", JSON_REQUIRED, 4096, "A service auth token for PUT /content/<hash>: Authorization: Bearer <grant>."),
	F_FORM(struct ledger_grant, hash, "hash", JSON_REQUIRED, &form_hash, "What it is good for, and nothing else."),
	F_COUNT(struct ledger_grant, size, "size", JSON_REQUIRED, "Its bytes."),
	F_TEXT(struct ledger_grant, audience, "audience", JSON_REQUIRED, 128, "The store that takes it: <nodeId>/t4."),
	F_TIME(struct ledger_grant, expires, "expires", JSON_REQUIRED, "Until when (ms)."),
};
JSON_MESSAGE(ledger_grant_message, "UploadGrant", struct ledger_grant, grant_rows);

/* ---- The service itself ---- */

static const struct json_field following_rows[] = {
	F_TEXT(struct ledger_following, url, "url", JSON_REQUIRED, 0, "The ledger that blocks come from."),
	F_COUNT(struct ledger_following, height, "height", JSON_NULL_WHEN_ABSENT, "Its height, as it last said; null before it answered."),
	F_TIME(struct ledger_following, checked_at, "checkedAt", JSON_NULL_WHEN_ABSENT, "When it last answered (ms)."),
	F_VERBATIM(struct ledger_following, problem, "problem", 0, "Why nothing more is taken from it; left out when it goes on."),
};
JSON_MESSAGE(ledger_following_message, "Following", struct ledger_following, following_rows);

static const struct json_field status_rows[] = {
	F_FORM(struct ledger_status, chain_id, "chainId", JSON_REQUIRED, &form_chain_id, "The chain."),
	F_FORM(struct ledger_status, genesis_hash, "genesisHash", JSON_REQUIRED, &form_hash, "SHA-256 of its genesis.json in canonical form."),
	F_COUNT(struct ledger_status, height, "height", JSON_REQUIRED, "The newest block."),
	F_FORM(struct ledger_status, hash, "hash", JSON_REQUIRED, &form_hash, "Its hash."),
	F_TIME(struct ledger_status, timestamp, "timestamp", JSON_REQUIRED, "Its timestamp (ms)."),
	F_FORM(struct ledger_status, state_root, "stateRoot", JSON_REQUIRED, &form_hash, "The root of the state after it."),
	F_FORM(struct ledger_status, validator_id, "validatorId", 0, &form_validator_id, "Whose blocks this ledger makes; left out when it makes none."),
	F_BOOL(struct ledger_status, producing, "producing", JSON_REQUIRED,
	       "Whether it makes blocks now: its validator is of the set, and it follows nobody."),
	F_COUNT(struct ledger_status, pending, "pending", JSON_REQUIRED, "Transactions that wait."),
	F_TEXT(struct ledger_status, audit, "audit", 0, 16, "The check of the whole state after the start: running, passed or failed."),
	F_OBJECT(struct ledger_status, following, "following", 0, &ledger_following_message, "With --follow: from whom, and how far."),
};
JSON_MESSAGE(ledger_status_message, "LedgerStatus", struct ledger_status, status_rows);

static const struct json_field content_sync_rows[] = {
	F_BOOL(struct ledger_content_sync, enabled, "enabled", JSON_REQUIRED, "Whether there is a local t4 to fill."),
	F_BOOL(struct ledger_content_sync, running, "running", JSON_REQUIRED, "Whether a round is under way."),
	F_COUNT(struct ledger_content_sync, references, "references", JSON_REQUIRED, "Contents with a live reference, looked at in this round."),
	F_COUNT(struct ledger_content_sync, present, "present", JSON_REQUIRED, "Those that are in the local t4."),
	F_COUNT(struct ledger_content_sync, missing, "missing", JSON_REQUIRED, "Those that are not there yet."),
	F_COUNT(struct ledger_content_sync, fetched, "fetched", JSON_REQUIRED, "Brought in from other validators since the start."),
	F_COUNT(struct ledger_content_sync, bytes, "bytes", JSON_REQUIRED, "Their bytes."),
	F_COUNT(struct ledger_content_sync, failed, "failed", JSON_REQUIRED, "Attempts that failed since the start."),
	F_TIME(struct ledger_content_sync, started_at, "startedAt", JSON_NULL_WHEN_ABSENT, "When the present or last round began (ms)."),
	F_TIME(struct ledger_content_sync, finished_at, "finishedAt", JSON_NULL_WHEN_ABSENT, "When the last whole round ended (ms)."),
	F_VERBATIM(struct ledger_content_sync, problem, "problem", 0, "What stands in the way; left out when nothing does."),
};
JSON_MESSAGE(ledger_content_sync_message, "ContentSync", struct ledger_content_sync, content_sync_rows);

/* ---- Events ---- */

static const struct json_field block_event_rows[] = {
	F_COUNT(struct ledger_block_event, height, "height", JSON_REQUIRED, "The new block."),
	F_FORM(struct ledger_block_event, hash, "hash", JSON_REQUIRED, &form_hash, "Its hash."),
	F_FORM(struct ledger_block_event, producer, "producer", JSON_REQUIRED, &form_validator_id, "Who made it."),
	F_TIME(struct ledger_block_event, timestamp, "timestamp", JSON_REQUIRED, "Its timestamp (ms)."),
	F_COUNT(struct ledger_block_event, tx_count, "txCount", JSON_REQUIRED, "Its transactions."),
};
JSON_MESSAGE(ledger_block_event_message, "BlockEvent", struct ledger_block_event, block_event_rows);

static const struct json_field tx_event_rows[] = {
	OUTCOME_ROWS(struct ledger_tx_event),
	F_FORM(struct ledger_tx_event, type, "type", JSON_REQUIRED, &form_tx_type, "What kind of transaction."),
	F_FORM(struct ledger_tx_event, from, "from", JSON_REQUIRED, &form_user_id, "Who signed it."),
	F_FORM(struct ledger_tx_event, to, "to", 0, &form_user_id, "The user it is about, where it has one."),
};
JSON_MESSAGE(ledger_tx_event_message, "TransactionEvent", struct ledger_tx_event, tx_event_rows);

/* ---- The bare list ---- */

struct balances {
	struct json_list balances;
};
static const struct json_field balances_rows[] = {
	F_LIST(struct balances, balances, "balances", JSON_REQUIRED, 0, &ledger_balance_message, "The list's items."),
};
static JSON_CLOSED_MESSAGE(balances_message, "Balances", struct balances, balances_rows);

void ledger_balances_write(struct buf *out, const struct ledger_balance *rows, size_t count)
{
	buf_putc(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_putc(out, ',');
		json_write(out, &ledger_balance_message, &rows[i]);
	}
	buf_putc(out, ']');
}

/* The reader takes objects: the list is put into one. */
bool ledger_balances_read(struct str text, struct json_list *out, struct arena *arena, struct error *err)
{
	struct buf whole = {0};
	struct balances b;
	buf_puts(&whole, "{\"balances\":");
	buf_put_str(&whole, text);
	buf_putc(&whole, '}');
	bool ok = json_read_text(buf_str(&whole), &balances_message, &b, arena, err);
	buf_free(&whole);
	if (ok)
		*out = b.balances;
	return ok;
}
