#include "genesis.h"

#include "base/log.h"
#include "base/money.h"
#include "crypto/canonical.h"
#include "wire/ledger.h"
#include "wire/mesh.h"

enum { LIST_MAX = 1000 /* currencies, validators: a file that people read */ };

bool chain_id_valid(struct str s)
{
	return mesh_network_valid(s); /* the same form: a chain is a network's */
}

/* What a genesis has and answers have not. */
#define FORM(var, tx_form, schema_name, pattern_text, what_text)                                                                            \
	static bool var##_check(struct str s) { return tx_form_valid(tx_form, s); }                                                            \
	static const struct json_form var = {schema_name, pattern_text, what_text, ERR_MALFORMED_FIELD, var##_check}
FORM(form_key, TX_FORM_KEY, "GenesisKey", "^ed25519_[0-9a-f]{64}$", "a public key (ed25519_ and 64 lower-case hex digits, not of small order)");
FORM(form_text_256, TX_FORM_TEXT_256, "ShortText", "^[\\s\\S]{1,256}$", "text of 1-256 bytes");
FORM(form_symbol, TX_FORM_TEXT_16, "CurrencySymbol", "^[\\s\\S]{1,16}$", "text of 1-16 bytes");

static const struct json_field currency_rows[] = {
	F_FORM(struct genesis_currency, code, "code", JSON_REQUIRED, &form_currency_code, "The currency's code."),
	F_FORM(struct genesis_currency, currency_type, "currencyType", JSON_REQUIRED, &form_currency_type, "fiat or crypto."),
	F_INT(struct genesis_currency, decimals, "decimals", JSON_REQUIRED, 0, MONEY_DECIMALS_MAX, "Digits behind the point."),
	F_FORM(struct genesis_currency, name, "name", JSON_REQUIRED, &form_text_256, "Its name."),
	F_FORM(struct genesis_currency, symbol, "symbol", JSON_REQUIRED, &form_symbol, "Its symbol."),
};
JSON_MESSAGE(genesis_currency_message, "Currency", struct genesis_currency, currency_rows);

static const struct json_field sovereign_rows[] = {
	F_FORM(struct genesis_sovereign, username, "username", JSON_REQUIRED, &form_username, "The first sovereign's user name."),
	F_FORM(struct genesis_sovereign, display_name, "displayName", JSON_REQUIRED, &form_text_256, "The name that people see."),
	F_FORM(struct genesis_sovereign, public_key, "publicKey", JSON_REQUIRED, &form_key, "Its key."),
};
static JSON_MESSAGE(sovereign_message, "GenesisSovereign", struct genesis_sovereign, sovereign_rows);

static const struct json_field validator_rows[] = {
	F_FORM(struct genesis_validator, id, "id", JSON_REQUIRED, &form_validator_id, "The validator's id, as in mesh."),
	F_FORM(struct genesis_validator, public_key, "publicKey", JSON_REQUIRED, &form_key, "The key that signs its blocks."),
};
static JSON_MESSAGE(validator_message, "GenesisValidator", struct genesis_validator, validator_rows);

static const struct json_field params_rows[] = {
	F_INT(struct genesis_params, max_block_transactions, "maxBlockTransactions", JSON_REQUIRED, 1, 1000000, "Transactions in a block."),
	F_INT(struct genesis_params, max_block_bytes, "maxBlockBytes", JSON_REQUIRED, 1, 1 << 30, "Bytes of a block's messages, and 64 for each signature."),
	F_INT(struct genesis_params, max_transaction_bytes, "maxTransactionBytes", JSON_REQUIRED, 1, 16 << 20, "Bytes of one message."),
	F_BOOL(struct genesis_params, open_registration, "openRegistration", JSON_REQUIRED, "Whether users come without a staff user's approval."),
	F_INT(struct genesis_params, timestamp_window_ms, "timestampWindowMs", JSON_REQUIRED, 1, JSON_INT_MAX, "How old a transaction may be in its block (ms)."),
	F_INT(struct genesis_params, max_pending_per_user, "maxPendingPerUser", JSON_REQUIRED, 1, 1000000, "Transactions of one user that may wait."),
};
JSON_MESSAGE(genesis_params_message, "ChainParams", struct genesis_params, params_rows);

static const struct json_field genesis_rows[] = {
	F_FORM(struct genesis, chain_id, "chainId", JSON_REQUIRED, &form_chain_id, "The chain's name."),
	F_INT(struct genesis, timestamp, "timestamp", JSON_REQUIRED, 0, JSON_INT_MAX, "When the chain begins (ms)."),
	F_LIST(struct genesis, currencies, "currencies", JSON_REQUIRED, LIST_MAX, &genesis_currency_message, "The first currencies."),
	F_OBJECT(struct genesis, sovereign, "sovereign", JSON_REQUIRED, &sovereign_message, "The first user."),
	F_LIST(struct genesis, validators, "validators", JSON_REQUIRED, LIST_MAX, &validator_message, "The first validators, each of power 1."),
	F_OBJECT(struct genesis, params, "params", JSON_REQUIRED, &genesis_params_message, "What the chain allows, for ever."),
};
JSON_MESSAGE(genesis_message, "Genesis", struct genesis, genesis_rows);

struct genesis_params genesis_params_default(void)
{
	return (struct genesis_params){
		.max_block_transactions = 10000,
		.max_block_bytes = 16 * 1024 * 1024,
		.max_transaction_bytes = TX_BYTES_DEFAULT,
		.open_registration = JSON_TRUE,
		.timestamp_window_ms = 10 * 60 * 1000,
		.max_pending_per_user = 64,
	};
}

void genesis_write(struct buf *out, const struct genesis *g)
{
	json_write_canonical(out, &genesis_message, g);
}

static bool check_once(const struct genesis *g, struct error *err)
{
	const struct genesis_currency *c = g->currencies.items;
	const struct genesis_validator *v = g->validators.items;
	for (size_t i = 0; i < g->currencies.count; i++)
		for (size_t j = 0; j < i; j++)
			if (str_equal(c[i].code, c[j].code))
				return error_set(err, ERR_MALFORMED_FIELD, "currencies[%zu]: %.*s is there twice", i, STR_ARG(c[i].code));
	for (size_t i = 0; i < g->validators.count; i++)
		for (size_t j = 0; j < i; j++)
			if (str_equal(v[i].id, v[j].id))
				return error_set(err, ERR_MALFORMED_FIELD, "validators[%zu]: %.*s is there twice", i, STR_ARG(v[i].id));
	if (g->validators.count == 0)
		return error_set(err, ERR_MALFORMED_FIELD, "validators must have at least one");
	if (g->params->max_block_bytes < g->params->max_transaction_bytes + ED25519_SIGNATURE_SIZE)
		return error_set(err, ERR_MALFORMED_FIELD, "params.maxBlockBytes must be at least maxTransactionBytes and 64");
	return true;
}

bool genesis_read(struct str text, struct arena *arena, struct genesis *out, struct error *err)
{
	if (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	if (!json_read_text(text, &genesis_message, out, arena, err) || !check_once(out, err))
		return false;
	if (!canonical_check(text))
		return error_set(err, ERR_NOT_CANONICAL, "the genesis is not canonical JSON (RFC 8785)");
	struct buf again = {0};
	genesis_write(&again, out);
	bool same = str_equal(buf_str(&again), text);
	buf_free(&again);
	if (!same)
		return error_set(err, ERR_UNKNOWN_FIELD, "the genesis has a field that it should not have");
	out->text = arena_copy(arena, text);
	sha256(&out->hash, text.p, text.n);
	return true;
}
