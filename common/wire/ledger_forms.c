/* The forms of the ledger's texts, as forms of JSON fields: the same checks that signed messages go through (tx_forms.c). */
#include "base/money.h"
#include "wire/genesis.h"
#include "wire/ledger.h"

#define TX_CHECK(name, form)                                                                                                           \
	static bool name##_check(struct str s)                                                                                         \
	{                                                                                                                              \
		return tx_form_valid(form, s);                                                                                         \
	}
#define FORM(var, schema, pattern_text, what_text) \
	const struct json_form form_##var = {schema, pattern_text, what_text, ERR_MALFORMED_FIELD, var##_check}

TX_CHECK(user_id, TX_FORM_USER_ID)
TX_CHECK(username, TX_FORM_USERNAME)
TX_CHECK(currency_code, TX_FORM_CURRENCY)
TX_CHECK(currency_type, TX_FORM_CURRENCY_TYPE)
TX_CHECK(validator_id, TX_FORM_VALIDATOR)
TX_CHECK(tx_type, TX_FORM_TYPE)
TX_CHECK(content_type, TX_FORM_CONTENT_TYPE)

/* An amount of the state: it may have a digit more than one that is signed. */
static bool amount_check(struct str s)
{
	return money_form(s, MONEY_KEPT);
}

static bool chain_id_check(struct str s)
{
	return chain_id_valid(s);
}

static bool tx_status_check(struct str s)
{
	return str_is(s, TX_STATUS_QUEUED) || str_is(s, TX_STATUS_INCLUDED) || str_is(s, TX_STATUS_REFUSED);
}

static bool user_role_check(struct str s)
{
	return str_is(s, "user") || str_is(s, "staff") || str_is(s, "sovereign");
}

static bool request_type_check(struct str s)
{
	return str_is(s, "deposit") || str_is(s, "withdraw");
}

static bool request_status_check(struct str s)
{
	return str_is(s, "pending") || str_is(s, "confirmed") || str_is(s, "refused");
}

FORM(user_id, "UserId", "^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", "a user id (a UUID of version 8, in lower case)");
FORM(username, "Username", "^@[a-z0-9][a-z0-9_-]{0,48}$", "a user name (@ and 1-49 of a-z 0-9 _ -, beginning with a letter or digit)");
FORM(currency_code, "CurrencyCode", "^[A-Z][A-Z0-9]{0,11}$", "a currency code (1-12 of A-Z 0-9, beginning with a letter)");
FORM(currency_type, "CurrencyType", "^(fiat|crypto)$", "fiat or crypto");
FORM(validator_id, "ValidatorId", "^[a-z0-9][a-z0-9._-]{0,63}$", "a validator id (1-64 of a-z 0-9 . _ -, beginning with a letter or digit)");
FORM(chain_id, "ChainId", "^[a-z0-9][a-z0-9._-]{0,63}$", "a chain's id (1-64 of a-z 0-9 . _ -, beginning with a letter or digit)");
FORM(amount, "Amount", "^(0|[1-9][0-9]{0,18})(\\.[0-9]+)?$", "an amount as text, such as \"12.50\"");
FORM(tx_type, "TransactionType", "^[a-z_]{1,40}$", "a type of transaction");
FORM(tx_status, "TransactionStatus", "^(queued|included|refused)$", "queued, included or refused");
FORM(user_role, "UserRole", "^(user|staff|sovereign)$", "user, staff or sovereign");
FORM(request_type, "RequestType", "^(deposit|withdraw)$", "deposit or withdraw");
FORM(request_status, "RequestStatus", "^(pending|confirmed|refused)$", "pending, confirmed or refused");
FORM(content_type, "ContentType", "^(kv_data|contract_code|file_upload)$", "kv_data, contract_code or file_upload");
