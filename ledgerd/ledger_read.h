/*
 * Pages for the HTTP interface: what a question asks of the tables, in the order of an index, so that the cost of a page does not grow with the
 * chain. (Single entries and whole blocks: ledger_store.h.) Everything that comes out is in the caller's arena.
 *
 * A page may be shorter than asked for, even empty, and yet have a cursor: it ends early when it has LEDGER_PAGE_BYTES, or when READ_SCAN_MAX rows
 * were looked at for it. Cursors are text; one that has not its form is ERR_MALFORMED_CURSOR, before the database is asked.
 */
#ifndef TANA_LEDGERD_LEDGER_READ_H
#define TANA_LEDGERD_LEDGER_READ_H

#include "db/db.h"
#include "wire/ledger.h"

enum {
	LEDGER_PAGE_BYTES = 4 * 1024 * 1024, /* texts of one page; the last row may go beyond */
	READ_SCAN_MAX = 2000                 /* rows looked at for a page that leaves some of them out */
};

/* ---- State ---- */

struct state_row {
	struct str key, value;
};
/* Up to `limit` entries whose key begins with `prefix` (not empty) and is greater than `after`, in the order of the keys. */
MUST_CHECK enum db_status read_state_page(struct db_conn *c, struct str prefix, struct str after, size_t limit, struct arena *arena,
					  struct state_row *out, size_t *count, struct error *err);
/* Likewise, of a list (state_list.h). */
MUST_CHECK enum db_status read_state_list(struct db_conn *c, struct str list, struct str after, size_t limit, struct arena *arena,
					  struct state_row *out, size_t *count, struct error *err);

/* Balances and holds together. */
struct account_query {
	struct str user, currency; /* absent: all */
	struct str after;          /* the cursor, "<user>:<code>"; absent: from the first */
	size_t limit;
};
MUST_CHECK bool account_cursor_valid(struct str cursor, struct error *err);
/* Items: struct ledger_account, by user and code. *next: the cursor of the next page, absent on the last. */
MUST_CHECK enum db_status read_accounts(struct db_conn *c, const struct account_query *q, struct arena *arena, struct json_list *out, struct str *next,
					struct error *err);

/* ---- Transactions ---- */

/* A place in the chain. Its text, "<height>.<index>", is what pages of transactions have as their cursor. */
struct tx_place {
	int64_t height, index;
};
MUST_CHECK bool tx_place_read(struct str text, struct tx_place *out, struct error *err);
struct str tx_place_write(struct arena *arena, struct tx_place p);

struct tx_query {
	struct str account, type; /* absent: all */
	bool has_after;
	struct tx_place after;    /* only what lies before it in the chain */
	size_t limit;
};
/* Items: struct ledger_tx, the newest first. */
MUST_CHECK enum db_status read_txs(struct db_conn *c, const struct tx_query *q, struct arena *arena, struct json_list *out, struct str *next,
				   struct error *err);
/* One, in a block or refused; what waits is the core's to say. */
MUST_CHECK enum db_status read_tx(struct db_conn *c, struct str id, struct arena *arena, struct ledger_tx *out, bool *found, struct error *err);
/* Requests that wait, oldest first: struct ledger_request. `type`: deposit or withdraw. */
MUST_CHECK enum db_status read_requests(struct db_conn *c, struct str type, struct tx_place after, size_t limit, struct arena *arena,
					struct json_list *out, struct str *next, struct error *err);

/* ---- Blocks ---- */

/* Without transactions and changes: heights from..to (to is there), as struct ledger_block. */
MUST_CHECK enum db_status read_headers(struct db_conn *c, int64_t from, int64_t to, struct arena *arena, struct json_list *out, struct error *err);
MUST_CHECK enum db_status read_block(struct db_conn *c, int64_t height, struct arena *arena, struct ledger_block *out, size_t *bytes, bool *found,
				     struct error *err);
MUST_CHECK enum db_status read_block_height(struct db_conn *c, struct str hash, int64_t *height, bool *found, struct error *err);

#endif
