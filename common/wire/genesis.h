/*
 * genesis.json: what a chain begins with (docs/protocol.md, "Genesis"). Canonical JSON; its SHA-256 is the genesis hash that block 0 commits to.
 */
#ifndef TANA_WIRE_GENESIS_H
#define TANA_WIRE_GENESIS_H

#include "json/fields.h"
#include "wire/tx.h"

struct genesis_currency {
	struct str code, currency_type, name, symbol;
	int64_t decimals;
};
struct genesis_sovereign {
	struct str username, display_name, public_key;
};
struct genesis_validator {
	struct str id, public_key;
};
struct genesis_params {
	int64_t max_block_transactions, max_block_bytes, max_transaction_bytes; /* bytes: message, and 64 for each signature */
	enum json_bool open_registration;
	int64_t timestamp_window_ms, max_pending_per_user;
};
struct genesis {
	struct str chain_id;
	int64_t timestamp; /* ms */
	struct json_list currencies, validators; /* struct genesis_currency, struct genesis_validator */
	struct genesis_sovereign *sovereign;
	struct genesis_params *params;
	/* Made by genesis_read: */
	struct str text; /* canonical, in the arena */
	struct hash hash;
};
extern const struct json_message genesis_message, genesis_params_message, genesis_currency_message;

/* A chain's id: [a-z0-9][a-z0-9._-]{0,63}. */
bool chain_id_valid(struct str s);
/* The parameters that a new genesis gets. */
struct genesis_params genesis_params_default(void);
/*
 * Reads a file's bytes: canonical JSON, at most one newline behind it, exactly the fields of the table; no id or code twice; at least one
 * validator; a largest transaction fits into a block. ERR_NOT_CANONICAL, ERR_MALFORMED_JSON, ERR_MISSING_FIELD, ERR_UNKNOWN_FIELD,
 * ERR_MALFORMED_FIELD and what the forms give. Everything of *out is in the arena.
 */
MUST_CHECK bool genesis_read(struct str text, struct arena *arena, struct genesis *out, struct error *err);
/* Appends the canonical text; currencies and validators in the order given. */
void genesis_write(struct buf *out, const struct genesis *g);

#endif
