/* wire: the ledger's messages and forms, and the bare list of balances. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/genesis.h"
#include "wire/ledger.h"

#define ID "b264d2d8-2274-8b67-882a-defe9d604e13"
#define HASH "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static struct arena arena;

static void forms(void **state)
{
	static const struct {
		const struct json_form *form;
		const char *good, *bad;
	} cases[] = {
		{&form_user_id, ID, "@alice"},
		{&form_username, "@alice", "alice"},
		{&form_currency_code, "USD", "usd"},
		{&form_currency_type, "crypto", "paper"},
		{&form_validator_id, "validator-1", "-"},
		{&form_chain_id, "tana-main", "Tana"},
		{&form_amount, "92233720368547758.07", "-1.00"},
		{&form_amount, "9223372036854775807", "1."},
		{&form_tx_type, "transfer", "payment"},
		{&form_tx_status, "refused", "lost"},
		{&form_user_role, "sovereign", "king"},
		{&form_request_type, "withdraw", "transfer"},
		{&form_request_status, "confirmed", "confirm"},
		{&form_content_type, "kv_data", "file"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (!cases[i].form->check(str_from(cases[i].good)) || cases[i].form->check(str_from(cases[i].bad)) || cases[i].form->check(STR_LIT("")))
			fail_msg("%s", cases[i].form->name);
		assert_true(cases[i].form->what[0] && cases[i].form->pattern[0] == '^');
	}
	(void)state;
}

/* What is read is written again as it was. */
static void same(const char *text, const struct json_message *m)
{
	void *value = arena_zalloc(&arena, 1, m->size);
	struct error err = {.message = ""};
	struct buf out = {0};
	bool ok = json_read_text(str_from(text), m, value, &arena, &err);
	if (!ok)
		fail_msg("%s: %s", m->name, err.message);
	json_write(&out, m, value);
	assert_string_equal(buf_z(&out), text);
	buf_free(&out);
}

static void answers(void **state)
{
	same("{\"id\":\"" HASH "\",\"status\":\"queued\"}", &ledger_receipt_message);
	same("{\"id\":\"" HASH "\",\"status\":\"included\",\"height\":7,\"index\":0}", &ledger_receipt_message);
	same("{\"id\":\"" HASH "\",\"status\":\"refused\",\"code\":\"expired\",\"error\":\"too old\"}", &ledger_receipt_message);
	same("{\"users\":[],\"nextCursor\":\"x\"}", &ledger_user_list_message);
	/* A text as it was signed, control characters included. */
	same("{\"id\":\"" HASH "\",\"type\":\"deposit\",\"from\":\"" ID "\",\"amount\":\"1.00\",\"currencyCode\":\"USD\",\"reference\":\"a\\u001b[31m\\n\","
	     "\"status\":\"pending\"}", &ledger_request_message);
	same("{\"header\":{\"height\":1},\"hash\":\"" HASH "\"}", &ledger_block_message);
	same("{\"header\":{\"height\":1},\"hash\":\"" HASH "\",\"transactions\":[],\"stateChanges\":[]}", &ledger_block_message);
	same("{\"currencies\":[{\"code\":\"USD\",\"currencyType\":\"fiat\",\"decimals\":2,\"name\":\"US Dollar\",\"symbol\":\"$\"}]}", &ledger_currencies_message);
	same("{\"currentNonce\":3,\"nextNonce\":5}", &ledger_nonce_message);
	same("{\"height\":5,\"hash\":\"" HASH "\",\"producer\":\"validator-1\",\"timestamp\":1,\"txCount\":2}", &ledger_block_event_message);
	(void)state;
}

static void messages_that_are_none(void **state)
{
	static const struct {
		const char *text;
		const struct json_message *m;
	} cases[] = {
		{"{\"id\":\"" HASH "\"}", &ledger_receipt_message},
		{"{\"id\":\"" HASH "\",\"status\":\"gone\"}", &ledger_receipt_message},
		{"{\"currentNonce\":-1,\"nextNonce\":0}", &ledger_nonce_message},
		{"{\"hash\":\"" HASH "\"}", &ledger_block_message},
		{"{\"validators\":[{\"id\":\"v\",\"publicKey\":\"ed25519_00\",\"power\":1}]}", &ledger_validators_message},
		{"{\"message\":{\"a\":1.5},\"signature\":\"x\"}", &ledger_submission_message},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		void *value = arena_zalloc(&arena, 1, cases[i].m->size);
		struct error err;
		if (json_read_text(str_from(cases[i].text), cases[i].m, value, &arena, &err))
			fail_msg("taken: %s", cases[i].text);
	}
	(void)state;
}

static void bare_lists(void **state)
{
	const struct ledger_balance rows[] = {{STR_LIT("BTC"), STR_LIT("0.00000001"), STR_LIT("0.00000000")}, {STR_LIT("USD"), STR_LIT("1.00"), STR_LIT("2.50")}};
	static const char *const bad[] = {"", "{}", "[1]", "[{}]", "[]]", "[],\"x\":[]", "[],\"balances\":[]", "[{\"currencyCode\":\"USD\",\"amount\":\"1\"}]"};
	struct json_list list;
	struct error err;
	struct buf out = {0};
	ledger_balances_write(&out, rows, ARRAY_LEN(rows));
	assert_true(ledger_balances_read(buf_str(&out), &list, &arena, &err));
	const struct ledger_balance *back = list.items;
	assert_int_equal(list.count, 2);
	assert_true(str_is(back[0].amount, "0.00000001") && str_is(back[1].held, "2.50"));
	buf_clear(&out);
	ledger_balances_write(&out, rows, 0);
	assert_string_equal(buf_z(&out), "[]");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (ledger_balances_read(str_from(bad[i]), &list, &arena, &err))
			fail_msg("taken: %s", bad[i]);
	buf_free(&out);
	(void)state;
}

int main(void)
{
	struct error err;
	if (!crypto_start(&err))
		return 1;
	arena_init(&arena);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(answers),
		cmocka_unit_test(messages_that_are_none),
		cmocka_unit_test(bare_lists),
	};
	int failed = cmocka_run_group_tests_name("wire_ledger", tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
