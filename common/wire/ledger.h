/*
 * What ledgerd and its clients say to each other over HTTP: one struct and one field table a message (json/fields.h). No I/O. The signed
 * messages themselves are wire/tx.h, blocks as bytes wire/block.h, proofs wire/ledger_proof.h.
 *
 * Lists are {"<name>":[...], "nextCursor"?}; a cursor is the server's own text and means nothing to others. Amounts are decimal text with exactly
 * the currency's decimals. Texts that came in signed messages are given as they were signed, control characters included.
 */
#ifndef TANA_WIRE_LEDGER_H
#define TANA_WIRE_LEDGER_H

#include "json/fields.h"
#include "wire/tx.h"

enum {
	LEDGER_LIST_DEFAULT = 100,
	LEDGER_LIST_MAX = 1000,
	LEDGER_BLOCKS_DEFAULT = 20,
	LEDGER_BLOCKS_MAX = 100,       /* blocks of one GET /blocks */
	LEDGER_BODY_ROOM = 64 * 1024,  /* bytes that a POST /transactions may have beyond the largest message: blanks, escapes, the signature */
	LEDGER_CURSOR_MAX = 256        /* bytes */
};

extern const struct json_form form_user_id, form_username, form_currency_code, form_currency_type, form_validator_id, form_chain_id,
	form_amount, form_tx_type, form_tx_status, form_user_role, form_request_type, form_request_status, form_content_type;

/* ---- Transactions ---- */

#define TX_STATUS_QUEUED "queued"
#define TX_STATUS_INCLUDED "included"
#define TX_STATUS_REFUSED "refused"

/* POST /transactions. `message` is judged by its bytes in the body (which reading by this table normalises): ledgerd looks at the body itself. */
struct ledger_submission {
	struct str message; /* the JSON object */
	struct str signature;
};
/* What it is answered with: 202 queued, durably; 200 for one that is known, with its present status. */
struct ledger_receipt {
	struct str id, status;
	int64_t height, index;  /* included */
	struct str code, error; /* refused: the error code and its sentence */
};
/* GET /transactions/:id, and the items of lists. */
struct ledger_tx {
	struct str id, status;
	int64_t height, index;
	struct str code, error;
	struct str message; /* the canonical bytes that were signed */
	struct str signature;
};
/* GET /transactions?limit&cursor&type&account (newest first), /users/:id/transactions, /transactions/pending (in the order of the queue). */
struct ledger_tx_list {
	struct json_list transactions; /* struct ledger_tx */
	struct str next_cursor;
};
/* GET /transactions/pending/deposits and /withdraws, oldest first: the requests whose status is pending. The list's name is the path's last word. */
struct ledger_request {
	struct str id, type, from, amount, currency_code, reference, status;
};
struct ledger_deposits {
	struct json_list deposits; /* struct ledger_request */
	struct str next_cursor;
};
struct ledger_withdraws {
	struct json_list withdraws; /* struct ledger_request */
	struct str next_cursor;
};

/* ---- Blocks ---- */

struct ledger_block_tx {
	struct str id, message, signature;
};
/* GET /blocks/:height, /blocks/latest, /blocks/hash/:hash. In lists the last two are there with full=1 only. */
struct ledger_block {
	struct str header; /* canonical bytes; the hash is over them */
	struct str hash;
	struct str signature;          /* absent: block 0 */
	struct json_list transactions; /* struct ledger_block_tx */
	struct str state_changes;      /* canonical list of {after, before, key} */
};
/* GET /blocks?from&to&limit&full: heights from..to, both inclusive, ascending; without `from` the newest ones. nextCursor is the next
 * height: give it as from=. */
struct ledger_block_list {
	struct json_list blocks; /* struct ledger_block */
	struct str next_cursor;
};

/* ---- State ---- */

/* GET /users/:id, /users/username/:name, /users/publicKey/:key; the list is in the order of the ids. */
struct ledger_user {
	struct str id, username, display_name, public_key, role, bio, avatar_hash;
};
struct ledger_user_list {
	struct json_list users; /* struct ledger_user */
	struct str next_cursor;
};
/* GET /users/:id/nonce */
struct ledger_nonce {
	int64_t current_nonce; /* of the user's last included transaction */
	int64_t next_nonce;    /* one more than the last that is included or queued without a gap */
};
/* GET /users/:id/balances answers with a bare JSON list of these, by currency code: those that are not both zero. */
struct ledger_balance {
	struct str currency_code, amount, held;
};
/* GET /balances?user&currency&limit&cursor, by user and code. */
struct ledger_account {
	struct str user_id, currency_code, amount, held;
};
struct ledger_account_list {
	struct json_list balances; /* struct ledger_account */
	struct str next_cursor;
};
/* GET /currencies: all of them, by code (wire/genesis.h's struct). */
struct ledger_currencies {
	struct json_list currencies; /* struct genesis_currency */
};
/* GET /supply: per currency the sum of balances, holds and stakes. */
struct ledger_supply {
	struct str currency_code, amount;
};
struct ledger_supplies {
	struct json_list supply; /* struct ledger_supply */
};
/* GET /validators: the set that the next block is signed by one of, by id. */
struct ledger_validator {
	struct str id, public_key;
	int64_t power;
};
struct ledger_validators {
	struct json_list validators; /* struct ledger_validator */
};
/* GET /content?owner&hash&type&limit&cursor: live references, by hash and owner. */
struct ledger_content {
	struct str hash, owner;
	int64_t size; /* bytes */
	struct str content_type, filename, mime_type, key;
};
struct ledger_content_list {
	struct json_list content; /* struct ledger_content */
	struct str next_cursor;
};

/* ---- Upload grants ---- */

/* POST /content/grants; the signature is by the user's key over tx_grant_text(). */
struct ledger_grant_query {
	struct str user_id, hash;
	int64_t size, timestamp;
	struct str signature;
};
/* The grant is a token (wire/sat.h) to show to t4 with PUT /content/<hash>. */
struct ledger_grant {
	struct str grant, hash;
	int64_t size;
	struct str audience; /* "<nodeId>/t4" */
	int64_t expires;     /* ms */
};

/* ---- The service itself ---- */

/* GET /status: which chain this is, how far it is, and what ledgerd does about it. */
struct ledger_following {
	struct str url;
	int64_t height;            /* the other's, as it last said; absent: it never answered */
	int64_t checked_at;        /* ms */
	struct str problem;        /* why it does not go on; absent: it does */
};
struct ledger_status {
	struct str chain_id, genesis_hash;
	int64_t height;
	struct str hash;     /* of the newest block */
	int64_t timestamp;   /* of the newest block, ms */
	struct str state_root;
	struct str validator_id;   /* whose blocks this ledgerd makes; absent: none */
	enum json_bool producing;
	int64_t pending;           /* transactions that wait */
	struct str audit;          /* the check of the whole state after the start: "running", "passed", "failed" */
	struct ledger_following *following; /* --follow */
};
/* GET /content/sync: the job that brings to the local t4 what the chain refers to. Counters are of the present round, or the last. */
struct ledger_content_sync {
	enum json_bool enabled, running;
	int64_t references, present, missing; /* live references looked at; in the local t4; not there yet */
	int64_t fetched, bytes, failed;       /* brought in since the start; their bytes; attempts that failed */
	int64_t started_at, finished_at;      /* ms */
	struct str problem;                   /* what stands in the way; absent: nothing */
};

/* ---- Events: GET /events ---- */

struct ledger_block_event {
	int64_t height;
	struct str hash, producer;
	int64_t timestamp, tx_count;
};
/* One for each transaction that was included, or refused after it had been queued. */
struct ledger_tx_event {
	struct str id, status, type, from, to;
	int64_t height, index;
	struct str code, error;
};
#define LEDGER_EVENT_BLOCK "block"
#define LEDGER_EVENT_TX "transaction"

extern const struct json_message ledger_submission_message, ledger_receipt_message, ledger_tx_message, ledger_tx_list_message, ledger_request_message,
	ledger_deposits_message, ledger_withdraws_message, ledger_block_tx_message, ledger_block_message, ledger_block_list_message,
	ledger_user_message, ledger_user_list_message, ledger_nonce_message, ledger_balance_message, ledger_account_message,
	ledger_account_list_message, ledger_currencies_message, ledger_supply_message, ledger_supplies_message, ledger_validator_message,
	ledger_validators_message, ledger_content_message, ledger_content_list_message, ledger_grant_query_message, ledger_grant_message,
	ledger_following_message, ledger_status_message, ledger_content_sync_message, ledger_block_event_message, ledger_tx_event_message;

/* The bare list of GET /users/:id/balances: appended; and read (texts into the arena). */
void ledger_balances_write(struct buf *out, const struct ledger_balance *rows, size_t count);
MUST_CHECK bool ledger_balances_read(struct str text, struct json_list *out, struct arena *arena, struct error *err);

#endif
