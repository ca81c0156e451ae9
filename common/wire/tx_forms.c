/* The tables of transactions, and the forms of their values. */
#include "base/log.h"
#include "base/money.h"
#include "crypto/canonical.h"
#include "wire/mesh.h"
#include "wire/tx.h"

#define F(name) (UINT64_C(1) << TXF_##name)

_Static_assert(TXF_COUNT <= 64, "sets of fields are 64 bits");

static const struct tx_type_row types[TX_TYPE_COUNT] = {
#define TX_TYPE(name, text, required, optional, doc) \
	[TX_##name] = {text, (required) | F(CHAIN_ID) | F(FROM) | F(NONCE) | F(TIMESTAMP) | F(TYPE), optional, doc},
#include "tx_types.def"
#undef TX_TYPE
};

static const struct {
	const char *name;
	enum tx_form form;
	const char *doc;
} fields[TXF_COUNT] = {
#define TX_FIELD(name, text, form, doc) [TXF_##name] = {text, form, doc},
#include "tx_fields.def"
#undef TX_FIELD
	[TXF_APPROVAL_BY] = {"by", TX_FORM_USER_ID, "The staff user."},
	[TXF_APPROVAL_SIGNATURE] = {"signature", TX_FORM_SIGNATURE, "Its signature over tana-user-approval:<chainId>:<by>:<publicKey>:<username>."},
};

const struct tx_type_row *tx_type_row(enum tx_type type)
{
	return &types[type];
}

bool tx_type_from_text(struct str s, enum tx_type *out)
{
	for (size_t i = 0; i < TX_TYPE_COUNT; i++)
		if (str_is(s, types[i].name)) {
			*out = (enum tx_type)i;
			return true;
		}
	return false;
}

const char *tx_field_name(enum tx_field f)
{
	return fields[f].name;
}

const char *tx_field_doc(enum tx_field f)
{
	return fields[f].doc;
}

enum tx_form tx_field_form(enum tx_field f)
{
	return fields[f].form;
}

/* ---- Forms ---- */

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool user_id_valid(struct str s)
{
	if (s.n != USER_ID_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s.p[i] != '-' : !((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	}
	return s.p[14] == '8' && memchr("89ab", s.p[19], 4); /* version 8, variant 10 */
}

static bool currency_valid(struct str s)
{
	if (s.n < 1 || s.n > CURRENCY_CODE_MAX || s.p[0] < 'A' || s.p[0] > 'Z')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!(s.p[i] >= 'A' && s.p[i] <= 'Z') && !(s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return true;
}

static bool username_valid(struct str s)
{
	if (s.n < 2 || s.n > USERNAME_MAX || s.p[0] != '@' || !lower_or_digit(s.p[1]))
		return false;
	for (size_t i = 2; i < s.n; i++)
		if (!lower_or_digit(s.p[i]) && s.p[i] != '_' && s.p[i] != '-')
			return false;
	return true;
}

static bool int_within(struct str s, int64_t max)
{
	int64_t v;
	return str_to_int64(s, &v) && v >= 0 && v <= max;
}

bool tx_form_valid(enum tx_form form, struct str s)
{
	struct ed25519_public key;
	struct ed25519_signature sig;
	struct hash hash;
	struct error why;
	enum tx_type type;
	switch (form) {
	case TX_FORM_CHAIN_ID:
		return true;
	case TX_FORM_TYPE:
		return tx_type_from_text(s, &type);
	case TX_FORM_COUNT_53:
		return int_within(s, CANONICAL_INT_MAX);
	case TX_FORM_DECIMALS:
		return int_within(s, MONEY_DECIMALS_MAX);
	case TX_FORM_POWER:
		return int_within(s, INT32_MAX);
	case TX_FORM_USER_ID:
		return user_id_valid(s);
	case TX_FORM_KEY:
		return ed25519_public_from_text(s, KEY_WRITTEN, &key, &why);
	case TX_FORM_SIGNATURE:
		return ed25519_signature_from_text(s, KEY_WRITTEN, &sig, &why);
	case TX_FORM_HASH:
		return hash_from_text(s, &hash);
	case TX_FORM_AMOUNT:
		return money_form(s, MONEY_SIGNED);
	case TX_FORM_CURRENCY:
		return currency_valid(s);
	case TX_FORM_USERNAME:
		return username_valid(s);
	case TX_FORM_VALIDATOR:
		return mesh_node_id_valid(s); /* validators are nodes: [a-z0-9][a-z0-9._-]{0,63} */
	case TX_FORM_TEXT_16:
		return s.n >= 1 && s.n <= 16;
	case TX_FORM_TEXT_256:
		return s.n >= 1 && s.n <= 256;
	case TX_FORM_TEXT_1024:
		return s.n >= 1 && s.n <= 1024;
	case TX_FORM_BIO:
		return s.n <= 1024;
	case TX_FORM_CURRENCY_TYPE:
		return str_is(s, "fiat") || str_is(s, "crypto");
	case TX_FORM_DECISION:
		return str_is(s, "confirm") || str_is(s, "refuse");
	case TX_FORM_ROLE:
		return str_is(s, "user") || str_is(s, "staff");
	case TX_FORM_CONTENT_TYPE:
		return str_is(s, "kv_data") || str_is(s, "contract_code") || str_is(s, "file_upload");
	case TX_FORM_APPROVAL:
		return false;
	}
	fatal("form %d", (int)form);
}

const char *tx_form_doc(enum tx_form form)
{
	switch (form) {
	case TX_FORM_CHAIN_ID:
		return "a chain's id, as text";
	case TX_FORM_TYPE:
		return "a type of transaction";
	case TX_FORM_COUNT_53:
		return "an integer from 0 to 2^53-1";
	case TX_FORM_DECIMALS:
		return "an integer from 0 to 8";
	case TX_FORM_POWER:
		return "an integer from 0 to 2^31-1";
	case TX_FORM_USER_ID:
		return "a user id (a UUID of version 8, in lower case)";
	case TX_FORM_KEY:
		return "a public key (ed25519_ and 64 hex digits in lower case, not of small order)";
	case TX_FORM_SIGNATURE:
		return "a signature (ed25519_sig_ and 128 hex digits in lower case)";
	case TX_FORM_HASH:
		return "a SHA-256 (64 hex digits in lower case)";
	case TX_FORM_AMOUNT:
		return "an amount as text, such as \"12.50\" (at most 18 digits before the point)";
	case TX_FORM_CURRENCY:
		return "a currency code (1-12 of A-Z 0-9, beginning with a letter)";
	case TX_FORM_USERNAME:
		return "a user name (@ and 1-49 of a-z 0-9 _ -, beginning with a letter or digit)";
	case TX_FORM_VALIDATOR:
		return "a validator id (1-64 of a-z 0-9 . _ -, beginning with a letter or digit)";
	case TX_FORM_TEXT_16:
		return "text of 1-16 bytes";
	case TX_FORM_TEXT_256:
		return "text of 1-256 bytes";
	case TX_FORM_TEXT_1024:
		return "text of 1-1024 bytes";
	case TX_FORM_BIO:
		return "text of at most 1024 bytes";
	case TX_FORM_CURRENCY_TYPE:
		return "fiat or crypto";
	case TX_FORM_DECISION:
		return "confirm or refuse";
	case TX_FORM_ROLE:
		return "user or staff";
	case TX_FORM_CONTENT_TYPE:
		return "kv_data, contract_code or file_upload";
	case TX_FORM_APPROVAL:
		return "{\"by\": user id, \"signature\": signature}";
	}
	fatal("form %d", (int)form);
}
