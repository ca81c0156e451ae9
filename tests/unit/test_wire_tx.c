/* wire: transactions as signed messages: every type, every field, every refusal and their order; user ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "chain_sample.h"
#include "crypto/canonical.h"
#include "wire/tx.h"

#define KEY_TEXT "ed25519_439575bf9235a64f1dbd4f4ddda27526b6c2c44890b2a7c92c93cc81b566fcbd"
#define USER "b264d2d8-2274-8b67-882a-defe9d604e13"
#define SOME_HASH "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static struct arena arena;
static char signature_text[ED25519_SIGNATURE_TEXT_LEN + 1]; /* of the written form; it need not verify */

/* A value of the form, as text. */
static const char *value_of(enum tx_form form)
{
	switch (form) {
	case TX_FORM_CHAIN_ID:
		return "tana-test";
	case TX_FORM_TYPE:
		return NULL;
	case TX_FORM_COUNT_53:
	case TX_FORM_POWER:
	case TX_FORM_DECIMALS:
		return "7";
	case TX_FORM_USER_ID:
		return USER;
	case TX_FORM_KEY:
		return KEY_TEXT;
	case TX_FORM_SIGNATURE:
		return signature_text;
	case TX_FORM_HASH:
		return SOME_HASH;
	case TX_FORM_AMOUNT:
		return "12.50";
	case TX_FORM_CURRENCY:
		return "USD";
	case TX_FORM_USERNAME:
		return "@alice";
	case TX_FORM_VALIDATOR:
		return "validator-1";
	case TX_FORM_TEXT_16:
	case TX_FORM_TEXT_256:
	case TX_FORM_TEXT_1024:
	case TX_FORM_BIO:
		return "text";
	case TX_FORM_CURRENCY_TYPE:
		return "fiat";
	case TX_FORM_DECISION:
		return "confirm";
	case TX_FORM_ROLE:
		return "staff";
	case TX_FORM_CONTENT_TYPE:
		return "kv_data";
	case TX_FORM_APPROVAL:
		return NULL;
	}
	fatal("form %d", (int)form);
}

static bool is_integer(enum tx_form form)
{
	return form == TX_FORM_COUNT_53 || form == TX_FORM_POWER || form == TX_FORM_DECIMALS;
}

/* The spelled JSON of each field; NULL: not there. What tests change. */
struct spelling {
	const char *json[TXF_COUNT];
	const char *more; /* further members, sorted in by hand: begins with a comma */
};

static const char *quoted(const char *text)
{
	return arena_printf(&arena, "\"%s\"", text).p;
}

static bool has(uint64_t set, unsigned f)
{
	return set >> f & 1;
}

/* A message of the type with its required fields, and the optional ones if `full`. */
static struct spelling spell(enum tx_type type, bool full)
{
	const struct tx_type_row *row = tx_type_row(type);
	struct spelling s = {{NULL}, ""};
	for (unsigned f = 0; f < TXF_APPROVAL_BY; f++) {
		enum tx_form form = tx_field_form((enum tx_field)f);
		if (!has(row->required, f) && !(full && has(row->optional, f)))
			continue;
		if (form == TX_FORM_TYPE)
			s.json[f] = quoted(row->name);
		else if (form == TX_FORM_APPROVAL)
			s.json[f] = arena_printf(&arena, "{\"by\":\"" USER "\",\"signature\":\"%s\"}", signature_text).p;
		else
			s.json[f] = is_integer(form) ? value_of(form) : quoted(value_of(form));
	}
	return s;
}

static struct str text_of(const struct spelling *s)
{
	struct buf out = {0};
	const char *before = "{";
	for (unsigned f = 0; f < TXF_APPROVAL_BY; f++)
		if (s->json[f]) {
			buf_printf(&out, "%s\"%s\":%s", before, tx_field_name((enum tx_field)f), s->json[f]);
			before = ",";
		}
	buf_printf(&out, "%s}", s->more);
	struct str text = arena_copy(&arena, buf_str(&out));
	buf_free(&out);
	return text;
}

static struct tx good(struct str text)
{
	struct tx t;
	struct error err = {.message = ""};
	bool ok = tx_parse(text, TX_BYTES_DEFAULT, &arena, &t, &err);
	if (!ok)
		fail_msg("%s: %.*s", err.message, STR_ARG(text));
	return t;
}

static void bad(struct str text, enum error_code code, const char *about)
{
	struct tx t;
	struct error err = {.message = ""};
	if (tx_parse(text, TX_BYTES_DEFAULT, &arena, &t, &err))
		fail_msg("taken: %.*s", STR_ARG(text));
	if (err.code != code || !strstr(err.message, about))
		fail_msg("%s expected about %s, got %s: %s: %.*s", error_code_text(code), about, error_code_text(err.code), err.message, STR_ARG(text));
}

static void bad_with(enum tx_type type, enum tx_field f, const char *json, enum error_code code)
{
	struct spelling s = spell(type, true);
	assert_non_null(s.json[f]);
	s.json[f] = json;
	bad(text_of(&s), code, tx_field_name(f));
}

static void good_with(enum tx_type type, enum tx_field f, const char *json)
{
	struct spelling s = spell(type, true);
	assert_non_null(s.json[f]);
	s.json[f] = json;
	good(text_of(&s));
}

/* What was read, written again, are the same bytes. */
static void write_again(const struct tx *t)
{
	struct str value[TXF_COUNT];
	struct buf out = {0};
	for (unsigned f = 0; f < TXF_COUNT; f++)
		value[f] = tx_text(t, (enum tx_field)f);
	tx_write(&out, value);
	assert_true(str_equal(buf_str(&out), t->message));
	buf_free(&out);
}

/* ---- What is taken ---- */

static void every_type_in_full_and_at_its_least(void **state)
{
	for (unsigned type = 0; type < TX_TYPE_COUNT; type++)
		for (int full = 0; full < 2; full++) {
			struct spelling s = spell((enum tx_type)type, full);
			struct str text = text_of(&s);
			struct tx t = good(text);
			struct hash id;
			sha256(&id, text.p, text.n);
			assert_true(hash_equal(&t.id, &id));
			assert_int_equal(t.type, type);
			assert_int_equal(t.nonce, 7);
			assert_int_equal(t.timestamp, 7);
			assert_true(str_is(tx_from(&t), USER));
			write_again(&t);
		}
	(void)state;
}

static void the_vectors_messages(void **state)
{
	static struct chain_sample sample;
	bool seen[TX_TYPE_COUNT] = {false};
	chain_sample_load(&sample);
	for (size_t h = 0; h < sample.count; h++)
		for (size_t i = 0; i < sample.blocks[h].tx_count; i++) {
			struct tx t = good(sample.blocks[h].txs[i].message);
			write_again(&t);
			seen[t.type] = true;
		}
	for (unsigned type = 0; type < TX_TYPE_COUNT; type++)
		assert_true(seen[type]);
	chain_sample_free(&sample);
	(void)state;
}

static void texts_are_decoded(void **state)
{
	struct spelling s = spell(TX_TRANSFER, true);
	s.json[TXF_MEMO] = "\"a\\\"b\\\\c\\n\\u0001\xc3\xa4\"";
	struct tx t = good(text_of(&s));
	assert_true(str_is(tx_text(&t, TXF_MEMO), "a\"b\\c\n\x01\xc3\xa4"));
	write_again(&t);
	(void)state;
}

static void forms_at_their_edges(void **state)
{
	char text[1100];
	const struct {
		enum tx_type type;
		enum tx_field field;
		size_t max;
	} lengths[] = {{TX_TRANSFER, TXF_MEMO, 256},          {TX_DEPOSIT, TXF_REFERENCE, 256}, {TX_BALANCE_ADJUSTMENT, TXF_REASON, 256},
		       {TX_USER_CREATION, TXF_DISPLAY_NAME, 256}, {TX_USER_CREATION, TXF_BIO, 1024}, {TX_CURRENCY_CREATION, TXF_SYMBOL, 16},
		       {TX_CURRENCY_CREATION, TXF_NAME, 256}, {TX_CONTENT_PUBLISH, TXF_KEY, 1024}, {TX_CONTENT_PUBLISH, TXF_FILENAME, 256},
		       {TX_CONTENT_PUBLISH, TXF_MIME_TYPE, 256}};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		memset(text, 'x', sizeof text);
		text[lengths[i].max] = '\0';
		good_with(lengths[i].type, lengths[i].field, quoted(text));
		text[lengths[i].max] = 'x';
		text[lengths[i].max + 1] = '\0';
		bad_with(lengths[i].type, lengths[i].field, quoted(text), ERR_MALFORMED_FIELD);
		/* Bytes, not characters. */
		text[lengths[i].max - 1] = '\0';
		bad_with(lengths[i].type, lengths[i].field, quoted(arena_printf(&arena, "%s\xc3\xa4", text).p), ERR_MALFORMED_FIELD);
	}
	good_with(TX_USER_CREATION, TXF_BIO, "\"\"");
	bad_with(TX_TRANSFER, TXF_MEMO, "\"\"", ERR_MALFORMED_FIELD);
	good_with(TX_CURRENCY_CREATION, TXF_DECIMALS, "8");
	bad_with(TX_CURRENCY_CREATION, TXF_DECIMALS, "9", ERR_MALFORMED_FIELD);
	good_with(TX_VALIDATOR_UPDATE, TXF_POWER, "2147483647");
	bad_with(TX_VALIDATOR_UPDATE, TXF_POWER, "2147483648", ERR_MALFORMED_FIELD);
	good_with(TX_CONTENT_PUBLISH, TXF_SIZE, "9007199254740991");
	good_with(TX_TRANSFER, TXF_CURRENCY_CODE, "\"ABCDEFGHIJKL\"");
	bad_with(TX_TRANSFER, TXF_CURRENCY_CODE, "\"ABCDEFGHIJKLM\"", ERR_MALFORMED_FIELD);
	good_with(TX_USER_CREATION, TXF_USERNAME, "\"@0123456789012345678901234567890123456789012345678\"");
	bad_with(TX_USER_CREATION, TXF_USERNAME, "\"@01234567890123456789012345678901234567890123456789\"", ERR_USERNAME_MALFORMED);
	good_with(TX_STAKE, TXF_VALIDATOR_ID, "\"0123456789012345678901234567890123456789012345678901234567890abc\"");
	bad_with(TX_STAKE, TXF_VALIDATOR_ID, "\"0123456789012345678901234567890123456789012345678901234567890abcd\"", ERR_MALFORMED_FIELD);
	(void)state;
}

static void amounts(void **state)
{
	static const char *const malformed[] = {"\"\"", "\"1.\"", "\".5\"", "\"01\"", "\"1e3\"", "\"+1\"", "\" 1\"", "\"-1\"", "\"-0\"", "\"1000000000000000000\""};
	for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
		bad_with(TX_TRANSFER, TXF_AMOUNT, malformed[i], ERR_AMOUNT_MALFORMED);
	bad_with(TX_TRANSFER, TXF_AMOUNT, "1", ERR_MALFORMED_FIELD); /* a number is no amount at all */
	bad_with(TX_TRANSFER, TXF_AMOUNT, "null", ERR_MALFORMED_FIELD);
	good_with(TX_TRANSFER, TXF_AMOUNT, "\"0\""); /* that it is nothing is for the rules to say */
	good_with(TX_BALANCE_ADJUSTMENT, TXF_AMOUNT, "\"-0\"");
	good_with(TX_BALANCE_ADJUSTMENT, TXF_AMOUNT, "\"-12.50\"");
	bad_with(TX_BALANCE_ADJUSTMENT, TXF_AMOUNT, "\"--1\"", ERR_AMOUNT_MALFORMED);
	(void)state;
}

/* ---- What is refused ---- */

static void each_missing_field_is_named(void **state)
{
	for (unsigned type = 0; type < TX_TYPE_COUNT; type++)
		for (unsigned f = 0; f < TXF_APPROVAL_BY; f++) {
			struct spelling s = spell((enum tx_type)type, true);
			if (!has(tx_type_row((enum tx_type)type)->required, f))
				continue;
			s.json[f] = NULL;
			bad(text_of(&s), ERR_MISSING_FIELD, tx_field_name((enum tx_field)f));
		}
	bad(STR_LIT("{}"), ERR_MISSING_FIELD, "type");
	(void)state;
}

static void fields_of_other_types_are_refused(void **state)
{
	for (unsigned type = 0; type < TX_TYPE_COUNT; type++) {
		const struct tx_type_row *row = tx_type_row((enum tx_type)type);
		for (unsigned f = 0; f < TXF_APPROVAL_BY; f++) {
			struct spelling s = spell((enum tx_type)type, true);
			if (has(row->required | row->optional, f))
				continue;
			enum tx_form form = tx_field_form((enum tx_field)f);
			s.json[f] = form == TX_FORM_APPROVAL ? "{}" : is_integer(form) ? "7" : quoted(value_of(form));
			bad(text_of(&s), ERR_UNKNOWN_FIELD, tx_field_name((enum tx_field)f));
		}
		struct spelling s = spell((enum tx_type)type, true);
		s.more = ",\"zzz\":null";
		bad(text_of(&s), ERR_UNKNOWN_FIELD, "zzz");
	}
	(void)state;
}

static void values_of_the_wrong_kind(void **state)
{
	static const char *const texts[] = {"null", "true", "7", "[]", "{}", "[\"x\"]"};
	static const char *const integers[] = {"null", "true", "\"7\"", "[]", "{}", "-1"};
	for (unsigned type = 0; type < TX_TYPE_COUNT; type++)
		for (unsigned f = 0; f < TXF_APPROVAL_BY; f++) {
			enum tx_form form = tx_field_form((enum tx_field)f);
			const struct tx_type_row *row = tx_type_row((enum tx_type)type);
			if (!has(row->required | row->optional, f) || form == TX_FORM_TYPE || form == TX_FORM_APPROVAL)
				continue;
			for (size_t i = 0; i < ARRAY_LEN(texts); i++)
				bad_with((enum tx_type)type, (enum tx_field)f, is_integer(form) ? integers[i] : texts[i], ERR_MALFORMED_FIELD);
		}
	(void)state;
}

static void texts_of_the_wrong_form(void **state)
{
	static const struct {
		enum tx_type type;
		enum tx_field field;
		const char *json;
	} cases[] = {
		{TX_TRANSFER, TXF_TO, "\"B264D2D8-2274-8B67-882A-DEFE9D604E13\""},
		{TX_TRANSFER, TXF_TO, "\"b264d2d8-2274-4b67-882a-defe9d604e13\""}, /* another version */
		{TX_TRANSFER, TXF_TO, "\"b264d2d8-2274-8b67-c82a-defe9d604e13\""}, /* another variant */
		{TX_TRANSFER, TXF_TO, "\"b264d2d822748b67882adefe9d604e13\""},
		{TX_TRANSFER, TXF_FROM, "\"@alice\""},
		{TX_TRANSFER, TXF_CURRENCY_CODE, "\"usd\""},
		{TX_TRANSFER, TXF_CURRENCY_CODE, "\"1USD\""},
		{TX_KEY_ROTATION, TXF_PUBLIC_KEY, "\"439575bf9235a64f1dbd4f4ddda27526b6c2c44890b2a7c92c93cc81b566fcbd\""}, /* the lenient form */
		{TX_KEY_ROTATION, TXF_PUBLIC_KEY, "\"ed25519_439575BF9235a64f1dbd4f4ddda27526b6c2c44890b2a7c92c93cc81b566fcbd\""},
		{TX_KEY_ROTATION, TXF_PUBLIC_KEY, "\"ed25519_0100000000000000000000000000000000000000000000000000000000000000\""}, /* small order */
		{TX_KEY_ROTATION, TXF_PROOF, "\"ed25519_sig_00\""},
		{TX_DEPOSIT_CONFIRMATION, TXF_REQUEST_ID, "\"2CF24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\""},
		{TX_DEPOSIT_CONFIRMATION, TXF_DECISION, "\"maybe\""},
		{TX_ROLE_CHANGE, TXF_ROLE, "\"sovereign\""},
		{TX_CONTENT_PUBLISH, TXF_CONTENT_TYPE, "\"file\""},
		{TX_CURRENCY_CREATION, TXF_CURRENCY_TYPE, "\"paper\""},
		{TX_STAKE, TXF_VALIDATOR_ID, "\"Validator\""},
		{TX_USER_UPDATE, TXF_AVATAR_HASH, "\"\""},
	};
	static const char *const usernames[] = {"\"alice\"", "\"@\"", "\"@Alice\"", "\"@_a\"", "\"@a.b\"", "\"@a b\"", "\"\""};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bad_with(cases[i].type, cases[i].field, cases[i].json, ERR_MALFORMED_FIELD);
	for (size_t i = 0; i < ARRAY_LEN(usernames); i++)
		bad_with(TX_USER_CREATION, TXF_USERNAME, usernames[i], ERR_USERNAME_MALFORMED);
	bad_with(TX_USER_CREATION, TXF_USERNAME, "7", ERR_MALFORMED_FIELD);
	(void)state;
}

static void approvals(void **state)
{
	const char *word = signature_text;
	static const char *const kinds[] = {"null", "\"x\"", "[]", "7"};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		bad_with(TX_USER_CREATION, TXF_APPROVAL, kinds[i], ERR_MALFORMED_FIELD);
	struct spelling s = spell(TX_USER_CREATION, true);
	s.json[TXF_APPROVAL] = arena_printf(&arena, "{\"signature\":\"%s\"}", word).p;
	bad(text_of(&s), ERR_MISSING_FIELD, "approval.by");
	s.json[TXF_APPROVAL] = "{\"by\":\"" USER "\"}";
	bad(text_of(&s), ERR_MISSING_FIELD, "approval.signature");
	s.json[TXF_APPROVAL] = arena_printf(&arena, "{\"by\":\"" USER "\",\"signature\":\"%s\",\"why\":1}", word).p;
	bad(text_of(&s), ERR_UNKNOWN_FIELD, "why");
	s.json[TXF_APPROVAL] = arena_printf(&arena, "{\"by\":\"@staff\",\"signature\":\"%s\"}", word).p;
	bad(text_of(&s), ERR_MALFORMED_FIELD, "approval.by");
	(void)state;
}

static void types(void **state)
{
	static const char *const unknown[] = {"\"\"", "\"Transfer\"", "\"transfer \"", "7", "null", "[]", "\"tr\\u0001\""};
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		struct spelling s = spell(TX_TRANSFER, false);
		s.json[TXF_TYPE] = unknown[i];
		bad(text_of(&s), ERR_UNKNOWN_TYPE, "type");
	}
	(void)state;
}

static void not_canonical_by_one_byte(void **state)
{
	struct spelling s = spell(TX_TRANSFER, true);
	struct str text = text_of(&s);
	struct buf other = {0};
	/* A blank anywhere outside a string. */
	for (size_t i = 0, quotes = 0; i <= text.n; i++) {
		if (i < text.n && text.p[i] == '"')
			quotes++;
		if (quotes % 2 == 0 && !(i < text.n && text.p[i] == '"')) {
			buf_clear(&other);
			buf_put(&other, text.p, i);
			buf_putc(&other, ' ');
			buf_put(&other, text.p + i, text.n - i);
			bad(buf_str(&other), ERR_NOT_CANONICAL, "canonical");
		}
	}
	buf_free(&other);
	static const char *const texts[] = {"", "[]", "7", "\"x\"", "null", "{", "{}x", "{\"type\":\"transfer\",\"amount\":\"1\"}",
					    "{\"a\":1,\"a\":1}", "{\"a\":1.0}", "{\"a\":\"\\u0041\"}", "{\"a\":\"\xff\"}"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		bad(str_from(texts[i]), ERR_NOT_CANONICAL, "canonical");
	(void)state;
}

static void too_large(void **state)
{
	struct spelling s = spell(TX_TRANSFER, true);
	struct str text = text_of(&s);
	struct tx t;
	struct error err;
	assert_true(tx_parse(text, (int64_t)text.n, &arena, &t, &err));
	assert_false(tx_parse(text, (int64_t)text.n - 1, &arena, &t, &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	/* Before anything else: bytes that are no JSON at all. */
	char *junk = malloc(TX_BYTES_DEFAULT + 1);
	memset(junk, 'x', TX_BYTES_DEFAULT + 1);
	bad(str_of(junk, TX_BYTES_DEFAULT + 1), ERR_TOO_LARGE, "65536");
	bad(str_of(junk, TX_BYTES_DEFAULT), ERR_NOT_CANONICAL, "canonical");
	free(junk);
	(void)state;
}

/* Each refusal is looked for in the whole message before the next: each message has all that come after its own. */
static void refusals_come_in_order(void **state)
{
	struct spelling s = spell(TX_USER_CREATION, true);
	s.json[TXF_USERNAME] = "\"Alice\"";
	bad(text_of(&s), ERR_USERNAME_MALFORMED, "username");
	s.json[TXF_DISPLAY_NAME] = "\"\"";
	bad(text_of(&s), ERR_MALFORMED_FIELD, "displayName");
	s.more = ",\"zzz\":1";
	bad(text_of(&s), ERR_UNKNOWN_FIELD, "zzz");
	s.json[TXF_PUBLIC_KEY] = NULL;
	bad(text_of(&s), ERR_MISSING_FIELD, "publicKey");
	s.json[TXF_TYPE] = "\"user\"";
	bad(text_of(&s), ERR_UNKNOWN_TYPE, "type");
	s.more = ",\"aaa\":1";
	bad(text_of(&s), ERR_NOT_CANONICAL, "canonical");
	/* An amount comes before a user name, behind other fields; no type has both, so by pairs. */
	struct spelling money = spell(TX_TRANSFER, true);
	money.json[TXF_AMOUNT] = "\"1.\"";
	bad(text_of(&money), ERR_AMOUNT_MALFORMED, "amount");
	money.json[TXF_TO] = "\"@bob\"";
	bad(text_of(&money), ERR_MALFORMED_FIELD, "to");
	(void)state;
}

/* ---- Ids ---- */

struct id_vector {
	struct str chain_id, public_key, id;
};
struct id_vectors {
	struct json_list all;
};
static const struct json_field id_rows[] = {
	F_TEXT(struct id_vector, chain_id, "chainId", JSON_REQUIRED, 0, ""),
	F_TEXT(struct id_vector, public_key, "publicKey", JSON_REQUIRED, 0, ""),
	F_TEXT(struct id_vector, id, "id", JSON_REQUIRED, 0, ""),
};
static JSON_MESSAGE(id_message, "IdVector", struct id_vector, id_rows);
static const struct json_field ids_rows[] = {F_LIST(struct id_vectors, all, "all", JSON_REQUIRED, 0, &id_message, "")};
static JSON_MESSAGE(ids_message, "IdVectors", struct id_vectors, ids_rows);

static void user_ids(void **state)
{
	const char *dir = getenv("TANA_VECTORS");
	struct buf text = {0};
	struct id_vectors vectors;
	struct error err;
	buf_puts(&text, "{\"all\":");
	assert_true(file_read(arena_printf(&arena, "%s/user_ids.json", dir ? dir : "tests/vectors").p, 1024 * 1024, &text, &err));
	buf_putc(&text, '}');
	assert_true(json_read_text(buf_str(&text), &ids_message, &vectors, &arena, &err));
	const struct id_vector *v = vectors.all.items;
	assert_true(vectors.all.count > 0);
	for (size_t i = 0; i < vectors.all.count; i++) {
		char id[USER_ID_LEN + 1];
		user_id_of(v[i].chain_id, v[i].public_key, id);
		assert_true(str_is(v[i].id, id));
		assert_true(tx_form_valid(TX_FORM_USER_ID, str_from(id)));
	}
	buf_free(&text);
	(void)state;
}

static void the_tables_fit_together(void **state)
{
	/* Fields are found by bisection, and written in this order. */
	for (unsigned f = 1; f < TXF_APPROVAL_BY; f++)
		assert_true(strcmp(tx_field_name((enum tx_field)(f - 1)), tx_field_name((enum tx_field)f)) < 0);
	for (unsigned type = 0; type < TX_TYPE_COUNT; type++) {
		const struct tx_type_row *row = tx_type_row((enum tx_type)type);
		enum tx_type back;
		size_t fields = 0;
		assert_true(tx_type_from_text(str_from(row->name), &back) && back == (enum tx_type)type);
		assert_int_equal(row->required & row->optional, 0);
		for (unsigned f = 0; f < TXF_COUNT; f++)
			fields += has(row->required | row->optional, f) ? (f == TXF_APPROVAL ? 2 : 1) : 0;
		assert_true(fields <= TX_FIELDS_MAX);
		assert_true(row->doc[0] && canonical_key_valid(str_from(row->name)));
	}
	for (unsigned f = 0; f < TXF_COUNT; f++)
		assert_true(tx_field_doc((enum tx_field)f)[0] && tx_form_doc(tx_field_form((enum tx_field)f))[0]);
	(void)state;
}

int main(void)
{
	struct ed25519_signature signature = {{1}};
	struct error err;
	if (!crypto_start(&err))
		return 1;
	arena_init(&arena);
	ed25519_signature_to_text(&signature, signature_text);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_in_full_and_at_its_least),
		cmocka_unit_test(the_vectors_messages),
		cmocka_unit_test(texts_are_decoded),
		cmocka_unit_test(forms_at_their_edges),
		cmocka_unit_test(amounts),
		cmocka_unit_test(each_missing_field_is_named),
		cmocka_unit_test(fields_of_other_types_are_refused),
		cmocka_unit_test(values_of_the_wrong_kind),
		cmocka_unit_test(texts_of_the_wrong_form),
		cmocka_unit_test(approvals),
		cmocka_unit_test(types),
		cmocka_unit_test(not_canonical_by_one_byte),
		cmocka_unit_test(too_large),
		cmocka_unit_test(refusals_come_in_order),
		cmocka_unit_test(user_ids),
		cmocka_unit_test(the_tables_fit_together),
	};
	int failed = cmocka_run_group_tests_name("wire_tx", tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
