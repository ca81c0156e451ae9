/*
 * The ledger's transactions as signed messages (docs/protocol.md, "Transactions"): their fields and forms in one table, read by the parser, the
 * maker, the documents and the command line. What a transaction does is ledgerd's business (chain_rules.h).
 *
 * A message is canonical JSON, flat but for `approval`; its id is SHA-256 of its bytes.
 */
#ifndef TANA_WIRE_TX_H
#define TANA_WIRE_TX_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

enum {
	TX_BYTES_DEFAULT = 64 * 1024, /* genesis' maxTransactionBytes, when a file is made */
	TX_FIELDS_MAX = 12,           /* present in one message; `approval` counts as two */
	USER_ID_LEN = 36,             /* UUID text, RFC 9562 version 8 */
	USERNAME_MAX = 50,            /* bytes, with the @ */
	CURRENCY_CODE_MAX = 12,
	CHAIN_ID_MAX = 64,
	VALIDATOR_ID_MAX = 64
};

enum tx_type {
#define TX_TYPE(name, text, required, optional, doc) TX_##name,
#include "tx_types.def"
#undef TX_TYPE
	TX_TYPE_COUNT
};

/* What a field's value must be. Sizes are bytes of the text, not of its spelling in JSON. */
enum tx_form {
	TX_FORM_CHAIN_ID,  /* any text: whether it is this chain's id is the rules' question */
	TX_FORM_TYPE,
	TX_FORM_COUNT_53,  /* integer, 0 .. 2^53-1 */
	TX_FORM_DECIMALS,  /* 0 .. 8 */
	TX_FORM_POWER,     /* 0 .. 2^31-1 */
	TX_FORM_USER_ID,
	TX_FORM_KEY,       /* public key, written form */
	TX_FORM_SIGNATURE, /* written form */
	TX_FORM_HASH,
	TX_FORM_AMOUNT,
	TX_FORM_CURRENCY,
	TX_FORM_USERNAME,
	TX_FORM_VALIDATOR,
	TX_FORM_TEXT_16,   /* 1 .. 16 bytes */
	TX_FORM_TEXT_256,
	TX_FORM_TEXT_1024,
	TX_FORM_BIO,       /* 0 .. 1024 bytes */
	TX_FORM_CURRENCY_TYPE,
	TX_FORM_DECISION,
	TX_FORM_ROLE,
	TX_FORM_CONTENT_TYPE,
	TX_FORM_APPROVAL,  /* {by, signature} */
};
/* In the byte order of their names, which is the order they are written in; behind them the two inside `approval`. */
enum tx_field {
#define TX_FIELD(name, text, form, doc) TXF_##name,
#include "tx_fields.def"
#undef TX_FIELD
	TXF_APPROVAL_BY,
	TXF_APPROVAL_SIGNATURE,
	TXF_COUNT
};

struct tx_type_row {
	const char *name;
	uint64_t required, optional; /* sets of enum tx_field, the common ones (chainId, from, nonce, timestamp, type) included */
	const char *doc;
};
const struct tx_type_row *tx_type_row(enum tx_type type);
MUST_CHECK bool tx_type_from_text(struct str s, enum tx_type *out);
const char *tx_field_name(enum tx_field f);
const char *tx_field_doc(enum tx_field f);
enum tx_form tx_field_form(enum tx_field f);
/* Is the text of this form? Integers as decimal text. TX_FORM_APPROVAL: never. */
bool tx_form_valid(enum tx_form form, struct str text);
/* "a user id (UUID)": completes the sentence "<field> must be ...". */
const char *tx_form_doc(enum tx_form form);

struct tx {
	enum tx_type type;
	struct hash id;
	struct str message; /* the signed bytes */
	int64_t nonce, timestamp;
	/* What is there: texts decoded, integers as decimal text. Few, so they are looked through. */
	unsigned count;
	uint8_t field[TX_FIELDS_MAX];
	struct str value[TX_FIELDS_MAX];
};
/*
 * Reads a message that has at most max_bytes. Refusals, in this order: ERR_TOO_LARGE, ERR_NOT_CANONICAL, ERR_UNKNOWN_TYPE, ERR_MISSING_FIELD,
 * ERR_UNKNOWN_FIELD, ERR_MALFORMED_FIELD, ERR_AMOUNT_MALFORMED, ERR_USERNAME_MALFORMED; each is looked for in the whole message before the next.
 * A message without a `type` has ERR_MISSING_FIELD, one that is no object ERR_NOT_CANONICAL. The texts are spans of `message`, or in the arena where escapes had to be decoded: both must outlive *out.
 */
MUST_CHECK bool tx_parse(struct str message, int64_t max_bytes, struct arena *arena, struct tx *out, struct error *err);
/* The same of a message that tx_parse has accepted, without judging it again: id is its hash. */
void tx_parse_again(struct str message, const struct hash *id, struct arena *arena, struct tx *out);
/* The value of a field; absent when it is not there. */
struct str tx_text(const struct tx *t, enum tx_field f);
/* Of a field that is there and an integer (invariant). */
int64_t tx_int(const struct tx *t, enum tx_field f);
static inline struct str tx_from(const struct tx *t) { return tx_text(t, TXF_FROM); }

/*
 * For makers: appends the canonical message of the values that are there (`type` among them). What does not fit is for tx_parse to say;
 * integers must be canonical decimal text (invariant).
 */
void tx_write(struct buf *out, const struct str value[TXF_COUNT]);

/* ---- Names that keys and hashes give ---- */

/* The id of the user created with this key on this chain: UUID text, NUL-terminated. */
void user_id_of(struct str chain_id, struct str public_key, char out[USER_ID_LEN + 1]);
/* The texts that stand behind signatures inside and beside transactions. */
void tx_rotation_text(struct buf *out, struct str chain_id, struct str from, int64_t nonce, struct str public_key);
void tx_approval_text(struct buf *out, struct str chain_id, struct str by, struct str public_key, struct str username);
void tx_grant_text(struct buf *out, struct str chain_id, struct str user, struct str hash, int64_t size, int64_t timestamp);

#endif
