/*
 * client: the ledger client and the wallet, against a ledger that answers what a script says: what is asked, what is signed, and what happens when an
 * answer is late, lost or wrong.
 */
#include "scripted_server.h"

#include "base/clock.h"
#include "client/wallet.h"

static struct ed25519_secret key;
static struct arena arena;
static char user_id[USER_ID_LEN + 1];
static volatile int stop;

#define CHAIN "tana-test"
#define JSON(status, body) "HTTP/1.1 " status "\r\n", body
#define OK(body) {JSON("200 OK", body), false}
#define NONCE(n) OK("{\"currentNonce\":0,\"nextNonce\":" #n "}")
#define REFUSED(status, code) {JSON(status, "{\"error\":\"no\",\"code\":\"" code "\"}"), false}
#define BOB "b264d2d8-2274-8b67-882a-defe9d604e13"

struct bench {
	struct script script;
	struct wallet wallet;
};

static void begin(struct bench *b, const struct step *steps)
{
	struct error err = {0};
	script_begin(&b->script, steps);
	struct ledger_client *c = ledger_client_new(b->script.url, "tana-test/1", 5000, &err);
	assert_non_null(c);
	assert_string_equal(ledger_client_url(c), b->script.url);
	stop = 0;
	b->wallet = (struct wallet){.ledger = c, .chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key, .stop = &stop};
}

static void end(struct bench *b)
{
	ledger_client_free(b->wallet.ledger);
	script_end(&b->script);
}

static struct wallet_order payment(const char *amount)
{
	struct wallet_order o = wallet_order(TX_TRANSFER);
	o.value[TXF_TO] = STR_LIT(BOB);
	o.value[TXF_AMOUNT] = str_from(amount);
	o.value[TXF_CURRENCY_CODE] = STR_LIT("USD");
	return o;
}

/* The nth request was this submission: its message, parsed, under a signature that verifies. */
static struct tx submitted(struct bench *b, int n)
{
	struct ledger_submission s;
	struct ed25519_signature signature;
	struct error err = {0};
	struct tx t;
	assert_has(b->script.head[n], "POST /transactions HTTP/1.1\r\n");
	assert_true(json_read_text(buf_str(&b->script.body[n]), &ledger_submission_message, &s, &arena, &err));
	assert_true(ed25519_signature_from_text(s.signature, KEY_WRITTEN, &signature, &err));
	assert_true(ed25519_verify_message(&signature, &key.public_key, s.message));
	assert_true(tx_parse(s.message, TX_BYTES_DEFAULT, &arena, &t, &err));
	/* Its bytes stand in the body as they were signed. */
	struct buf exact = {0};
	buf_printf(&exact, "{\"message\":%.*s,\"signature\":", STR_ARG(s.message));
	assert_has(buf_z(&b->script.body[n]), buf_z(&exact));
	buf_free(&exact);
	return t;
}

/* ---- Signing ---- */

static void what_is_signed(void **state)
{
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key};
	struct wallet_order o = payment("12.50");
	struct wallet_signed s;
	struct error err = {0};
	struct hash id;
	o.value[TXF_MEMO] = STR_LIT("a \"memo\"\n");
	assert_true(wallet_sign(&w, &o, 7, 1763400000000, &arena, &s, &err));
	struct str expected = arena_printf(&arena,
					   "{\"amount\":\"12.50\",\"chainId\":\"" CHAIN "\",\"currencyCode\":\"USD\",\"from\":\"%s\",\"memo\":\"a \\\"memo\\\"\\n\","
					   "\"nonce\":7,\"timestamp\":1763400000000,\"to\":\"" BOB "\",\"type\":\"transfer\"}", user_id);
	assert_string_equal(s.message.p, expected.p);
	sha256(&id, s.message.p, s.message.n);
	assert_true(hash_equal(&s.id, &id) && s.nonce == 7);
	assert_true(ed25519_verify_message(&s.signature, &key.public_key, s.message));
	(void)state;
}

static void a_new_user_signs_for_itself(void **state)
{
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .key = &key}, staff = {.chain_id = STR_LIT(CHAIN), .user_id = STR_LIT(BOB), .key = &key};
	struct wallet_order o = wallet_order(TX_USER_CREATION);
	struct wallet_signed s;
	struct tx t;
	struct ed25519_signature word;
	struct error err = {0};
	struct buf text = {0};
	o.value[TXF_USERNAME] = STR_LIT("@alice");
	o.value[TXF_DISPLAY_NAME] = STR_LIT("Alice");
	wallet_approve(&staff, &o, &key.public_key, STR_LIT("@alice"), &arena);
	assert_true(wallet_sign(&w, &o, 0, 1, &arena, &s, &err));
	assert_true(tx_parse(s.message, TX_BYTES_DEFAULT, &arena, &t, &err));
	assert_true(str_is(tx_from(&t), user_id) && t.nonce == 0);
	tx_approval_text(&text, STR_LIT(CHAIN), STR_LIT(BOB), tx_text(&t, TXF_PUBLIC_KEY), STR_LIT("@alice"));
	assert_true(str_is(tx_text(&t, TXF_APPROVAL_BY), BOB));
	assert_true(ed25519_signature_from_text(tx_text(&t, TXF_APPROVAL_SIGNATURE), KEY_WRITTEN, &word, &err));
	assert_true(ed25519_verify_message(&word, &key.public_key, buf_str(&text)));
	buf_free(&text);
	(void)state;
}

static void a_new_key_proves_itself(void **state)
{
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key};
	struct wallet_order o = wallet_order(TX_KEY_ROTATION);
	struct ed25519_secret fresh;
	struct ed25519_signature proof;
	struct wallet_signed s;
	struct tx t;
	struct error err = {0};
	struct buf text = {0};
	ed25519_generate(&fresh);
	o.new_key = &fresh;
	assert_true(wallet_sign(&w, &o, 3, 1, &arena, &s, &err));
	assert_true(ed25519_verify_message(&s.signature, &key.public_key, s.message));
	assert_true(tx_parse(s.message, TX_BYTES_DEFAULT, &arena, &t, &err));
	tx_rotation_text(&text, STR_LIT(CHAIN), str_from(user_id), 3, tx_text(&t, TXF_PUBLIC_KEY));
	assert_true(ed25519_signature_from_text(tx_text(&t, TXF_PROOF), KEY_WRITTEN, &proof, &err));
	assert_true(ed25519_verify_message(&proof, &fresh.public_key, buf_str(&text)));
	buf_free(&text);
	ed25519_secret_wipe(&fresh);
	(void)state;
}

static void what_no_ledger_would_take_is_not_signed(void **state)
{
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key};
	static const struct {
		const char *amount;
		enum error_code code;
	} cases[] = {{"1.", ERR_AMOUNT_MALFORMED}, {"-1", ERR_AMOUNT_MALFORMED}, {"", ERR_AMOUNT_MALFORMED}, {NULL, ERR_MISSING_FIELD}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wallet_order o = payment(cases[i].amount);
		struct wallet_signed s;
		struct error err;
		assert_false(wallet_sign(&w, &o, 1, 1, &arena, &s, &err));
		assert_int_equal(err.code, cases[i].code);
	}
	(void)state;
}

/* ---- Sending ---- */

/* An answer to the submission of whatever comes needs its id, which the test does not know before: the nonce and time are the wallet's. So the
 * script answers refusals, and what is accepted is tested with wallet_submit, whose message is fixed. */
static struct wallet_signed fixed(const struct wallet *w)
{
	struct wallet_order o = payment("1.00");
	struct wallet_signed s;
	struct error err = {0};
	assert_true(wallet_sign(w, &o, 1, 1763400000000, &arena, &s, &err));
	return s;
}

static const char *receipt(const struct wallet_signed *s, const char *status)
{
	char id[HASH_TEXT_LEN + 1];
	hash_to_text(&s->id, id);
	return arena_printf(&arena, "{\"id\":\"%s\",\"status\":\"%s\"}", id, status).p;
}

static void a_taken_nonce_is_asked_for_again(void **state)
{
	const struct step steps[] = {NONCE(4), REFUSED("422 No", "bad_nonce"), NONCE(5), REFUSED("422 No", "insufficient_funds"), {0}};
	struct wallet_order o = payment("1.00");
	struct wallet_signed s;
	struct error err = {0};
	struct bench b;
	begin(&b, steps);
	assert_false(wallet_send(&b.wallet, &o, &arena, &s, &err));
	assert_int_equal(err.code, ERR_INSUFFICIENT_FUNDS);
	assert_int_equal(b.script.requests, 4);
	assert_has(b.script.head[0], arena_printf(&arena, "GET /users/%s/nonce HTTP/1.1\r\n", user_id).p);
	assert_has(b.script.head[2], "/nonce HTTP/1.1\r\n");
	struct tx first = submitted(&b, 1), second = submitted(&b, 3);
	assert_int_equal(first.nonce, 4);
	assert_int_equal(second.nonce, 5);
	assert_true(second.timestamp >= first.timestamp && clock_wall_ms() - second.timestamp < 60000);
	end(&b);
	(void)state;
}

static void nonces_are_not_asked_for_for_ever(void **state)
{
	struct step steps[2 * WALLET_NONCE_ATTEMPTS + 1] = {{0}};
	for (size_t i = 0; i < WALLET_NONCE_ATTEMPTS; i++) {
		steps[2 * i] = (struct step)NONCE(4);
		steps[2 * i + 1] = (struct step)REFUSED("422 No", "bad_nonce");
	}
	struct wallet_order o = payment("1.00");
	struct wallet_signed s;
	struct error err = {0};
	struct bench b;
	assert_true(ARRAY_LEN(steps) <= STEPS_MAX + 1);
	begin(&b, steps);
	assert_false(wallet_send(&b.wallet, &o, &arena, &s, &err));
	assert_int_equal(err.code, ERR_BAD_NONCE);
	assert_int_equal(b.script.requests, 2 * WALLET_NONCE_ATTEMPTS);
	end(&b);
	(void)state;
}

static void a_new_user_has_no_nonce(void **state)
{
	const struct step steps[] = {REFUSED("422 No", "bad_nonce"), {0}};
	struct wallet_order o = wallet_order(TX_USER_CREATION);
	struct wallet_signed s;
	struct error err = {0};
	struct bench b;
	o.value[TXF_USERNAME] = STR_LIT("@alice");
	o.value[TXF_DISPLAY_NAME] = STR_LIT("Alice");
	begin(&b, steps);
	assert_false(wallet_send(&b.wallet, &o, &arena, &s, &err));
	assert_int_equal(err.code, ERR_BAD_NONCE); /* there is no other nonce it could have */
	assert_int_equal(b.script.requests, 1);
	assert_int_equal(submitted(&b, 0).nonce, 0);
	end(&b);
	(void)state;
}

static void the_same_bytes_are_handed_in_until_they_are_answered(void **state)
{
	struct bench b;
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key};
	struct wallet_signed s = fixed(&w);
	/* Busy, then an answer that is cut short, then the answer to what came before: it has it already. */
	const struct step steps[] = {
		REFUSED("503 Busy", "overloaded"),
		{"HTTP/1.1 202 Accepted\r\nContent-Length: 500\r\n\r\n{\"id", NULL, true},
		{JSON("200 OK", receipt(&s, "included")), false},
		{0},
	};
	struct ledger_receipt r;
	struct error err = {0};
	begin(&b, steps);
	assert_true(wallet_submit(&b.wallet, &s, &arena, &r, &err));
	assert_true(str_is(r.status, TX_STATUS_INCLUDED));
	assert_int_equal(b.script.requests, 3);
	assert_string_equal(buf_z(&b.script.body[0]), buf_z(&b.script.body[1]));
	assert_string_equal(buf_z(&b.script.body[0]), buf_z(&b.script.body[2]));
	end(&b);
	(void)state;
}

static void refusals_are_final(void **state)
{
	static const struct {
		const char *status, *code;
		enum error_code expected;
	} cases[] = {{"401 No", "bad_signature", ERR_BAD_SIGNATURE}, {"422 No", "expired", ERR_EXPIRED}, {"413 No", "too_large", ERR_TOO_LARGE},
		     {"400 No", "not_canonical", ERR_NOT_CANONICAL}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *body = arena_printf(&arena, "{\"error\":\"no\",\"code\":\"%s\"}", cases[i].code).p;
		const struct step steps[] = {{arena_printf(&arena, "HTTP/1.1 %s\r\n", cases[i].status).p, body, false}, {0}};
		struct ledger_receipt r;
		struct error err;
		struct bench b;
		begin(&b, steps);
		struct wallet_signed s = fixed(&b.wallet);
		assert_false(wallet_submit(&b.wallet, &s, &arena, &r, &err));
		assert_int_equal(err.code, cases[i].expected);
		assert_int_equal(b.script.requests, 1);
		end(&b);
	}
	(void)state;
}

static void an_interrupt_ends_the_patience(void **state)
{
	const struct step steps[] = {REFUSED("503 Busy", "overloaded"), {0}};
	struct ledger_receipt r;
	struct error err;
	struct bench b;
	begin(&b, steps);
	struct wallet_signed s = fixed(&b.wallet);
	stop = 2;
	assert_false(wallet_submit(&b.wallet, &s, &arena, &r, &err));
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_int_equal(b.script.requests, 1);
	end(&b);
	(void)state;
}

/* ---- Waiting ---- */

static const char *status_of(const struct wallet_signed *s, const char *status, const char *more)
{
	char id[HASH_TEXT_LEN + 1], signature[ED25519_SIGNATURE_TEXT_LEN + 1];
	hash_to_text(&s->id, id);
	ed25519_signature_to_text(&s->signature, signature);
	return arena_printf(&arena, "{\"id\":\"%s\",\"status\":\"%s\"%s,\"message\":%.*s,\"signature\":\"%s\"}", id, status, more, STR_ARG(s->message),
			    signature).p;
}

static void a_block_is_waited_for(void **state)
{
	struct bench b;
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key};
	struct wallet_signed s = fixed(&w);
	const struct step steps[] = {
		{JSON("200 OK", status_of(&s, "queued", "")), false},
		REFUSED("503 Away", "unavailable"), /* it comes back */
		{JSON("200 OK", status_of(&s, "included", ",\"height\":7,\"index\":2")), false},
		{0},
	};
	struct ledger_tx t;
	struct error err = {0};
	begin(&b, steps);
	assert_true(wallet_wait(&b.wallet, &s.id, 30000, &arena, &t, &err));
	assert_true(str_is(t.status, TX_STATUS_INCLUDED) && t.height == 7 && t.index == 2);
	assert_true(str_equal(t.message, s.message));
	assert_int_equal(b.script.requests, 3);
	end(&b);
	(void)state;
}

static void a_refusal_is_told(void **state)
{
	struct bench b;
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key};
	struct wallet_signed s = fixed(&w);
	const struct step steps[] = {
		{JSON("200 OK", status_of(&s, "refused", ",\"code\":\"insufficient_funds\",\"error\":\"too little\"")), false}, {0}};
	struct ledger_tx t;
	struct error err = {0};
	begin(&b, steps);
	assert_true(wallet_wait(&b.wallet, &s.id, 30000, &arena, &t, &err));
	assert_true(str_is(t.status, TX_STATUS_REFUSED));
	assert_false(wallet_refused(&t, &err));
	assert_int_equal(err.code, ERR_INSUFFICIENT_FUNDS);
	assert_has(err.message, "too little");
	t.code = STR_LIT("a_code_of_tomorrow");
	assert_false(wallet_refused(&t, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	end(&b);
	(void)state;
}

static void waiting_has_an_end(void **state)
{
	struct bench b;
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key};
	struct wallet_signed s = fixed(&w);
	const struct step steps[] = {{JSON("200 OK", status_of(&s, "queued", "")), false}, {0}};
	const struct step unknown[] = {REFUSED("404 No", "unknown_transaction"), {0}};
	struct ledger_tx t;
	struct error err = {0};
	begin(&b, steps);
	assert_false(wallet_wait(&b.wallet, &s.id, 0, &arena, &t, &err));
	assert_int_equal(err.code, ERR_TIMED_OUT);
	assert_has(err.hint, "tana tx show ");
	end(&b);
	begin(&b, unknown);
	assert_false(wallet_wait(&b.wallet, &s.id, 30000, &arena, &t, &err));
	assert_int_equal(err.code, ERR_UNKNOWN_TRANSACTION);
	end(&b);
	(void)state;
}

/* ---- Answers that do not fit ---- */

static void answers_about_something_else(void **state)
{
	struct wallet w = {.chain_id = STR_LIT(CHAIN), .user_id = str_from(user_id), .key = &key};
	struct wallet_signed s = fixed(&w);
	struct hash other;
	struct ledger_receipt r;
	struct ledger_tx t;
	struct ledger_user u;
	struct ledger_block block;
	struct ledger_grant g;
	struct error err;
	struct bench b;
	sha256(&other, "x", 1);
	const struct step steps[] = {
		OK("{\"id\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"status\":\"queued\"}"),
		{JSON("200 OK", status_of(&s, "queued", "")), false},
		OK("{\"id\":\"" BOB "\",\"username\":\"@bob\",\"displayName\":\"Bob\","
		   "\"publicKey\":\"ed25519_439575bf9235a64f1dbd4f4ddda27526b6c2c44890b2a7c92c93cc81b566fcbd\",\"role\":\"user\"}"),
		OK("{\"header\":{},\"hash\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"}"),
		OK("{\"grant\":\"t\",\"hash\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"size\":5,\"audience\":\"n/t4\",\"expires\":1}"),
		OK("[]"),
		{0},
	};
	begin(&b, steps);
	assert_false(wallet_submit(&b.wallet, &s, &arena, &r, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	assert_false(ledger_client_tx(b.wallet.ledger, &other, &arena, &t, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	assert_false(ledger_client_user(b.wallet.ledger, STR_LIT("@alice"), &arena, &u, &err));
	assert_has(b.script.head[2], "GET /users/username/%40alice HTTP/1.1\r\n");
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	assert_false(ledger_client_block(b.wallet.ledger, STR_LIT("latest"), &arena, &block, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	assert_false(wallet_grant(&b.wallet, &other, 5, &arena, &g, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	assert_false(ledger_client_tx(b.wallet.ledger, &other, &arena, &t, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	end(&b);
	(void)state;
}

static void a_grant_is_asked_for_with_a_signature(void **state)
{
	const struct step steps[] = {
		OK("{\"grant\":\"a.b.c\",\"hash\":\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\",\"size\":5,\"audience\":\"n/t4\",\"expires\":9}"),
		{0}};
	struct ledger_grant g;
	struct ledger_grant_query q;
	struct ed25519_signature signature;
	struct hash h;
	struct error err = {0};
	struct buf text = {0};
	struct bench b;
	sha256(&h, "hello", 5);
	begin(&b, steps);
	assert_true(wallet_grant(&b.wallet, &h, 5, &arena, &g, &err));
	assert_true(str_is(g.grant, "a.b.c") && g.expires == 9);
	assert_has(b.script.head[0], "POST /content/grants HTTP/1.1\r\n");
	assert_true(json_read_text(buf_str(&b.script.body[0]), &ledger_grant_query_message, &q, &arena, &err));
	tx_grant_text(&text, STR_LIT(CHAIN), str_from(user_id), q.hash, 5, q.timestamp);
	assert_true(str_is(q.user_id, user_id) && q.size == 5 && clock_wall_ms() - q.timestamp < 60000);
	assert_true(ed25519_signature_from_text(q.signature, KEY_WRITTEN, &signature, &err));
	assert_true(ed25519_verify_message(&signature, &key.public_key, buf_str(&text)));
	buf_free(&text);
	end(&b);
	(void)state;
}

/* ---- Lists ---- */

#define SUPPLY_PAGE(code, more) OK("{\"balances\":[{\"userId\":\"" BOB "\",\"currencyCode\":\"" code "\",\"amount\":\"1.00\",\"held\":\"0.00\"}]" more "}")

static void lists_are_gathered(void **state)
{
	const struct step steps[] = {SUPPLY_PAGE("AAA", ",\"nextCursor\":\"a b\""), SUPPLY_PAGE("BBB", ",\"nextCursor\":\"c\""), SUPPLY_PAGE("CCC", ""), {0}};
	const struct step limited[] = {SUPPLY_PAGE("AAA", ",\"nextCursor\":\"a\""), SUPPLY_PAGE("BBB", ",\"nextCursor\":\"b\""), {0}};
	const struct step stuck[] = {SUPPLY_PAGE("AAA", ",\"nextCursor\":\"a\""), SUPPLY_PAGE("BBB", ",\"nextCursor\":\"a\""), {0}};
	struct json_list all;
	struct error err = {0};
	struct bench b;
	begin(&b, steps);
	assert_true(ledger_client_accounts(b.wallet.ledger, STR_LIT(BOB), STR_NONE, 0, &arena, &all, &err));
	const struct ledger_account *items = all.items;
	assert_int_equal(all.count, 3);
	assert_true(str_is(items[0].currency_code, "AAA") && str_is(items[2].currency_code, "CCC"));
	assert_has(b.script.head[0], "GET /balances?limit=1000&user=" BOB " HTTP/1.1\r\n");
	assert_has(b.script.head[1], "GET /balances?limit=1000&user=" BOB "&cursor=a%20b HTTP/1.1\r\n");
	end(&b);
	begin(&b, limited);
	assert_true(ledger_client_accounts(b.wallet.ledger, STR_NONE, STR_NONE, 2, &arena, &all, &err));
	assert_int_equal(all.count, 2);
	assert_has(b.script.head[1], "GET /balances?limit=1&cursor=a HTTP/1.1\r\n");
	end(&b);
	begin(&b, stuck);
	assert_false(ledger_client_accounts(b.wallet.ledger, STR_NONE, STR_NONE, 0, &arena, &all, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	assert_has(err.message, "for ever");
	end(&b);
	(void)state;
}

static void bare_lists_and_blocks(void **state)
{
	const struct step steps[] = {
		OK(" [ {\"currencyCode\":\"USD\",\"amount\":\"1.00\",\"held\":\"0.50\"} ] "),
		OK("[]"),
		OK("[1]"),
		OK("{\"blocks\":[],\"nextCursor\":\"120\"}"),
		OK("{\"blocks\":[]}"),
		{0},
	};
	struct json_list all;
	struct error err = {0};
	struct bench b;
	begin(&b, steps);
	assert_true(ledger_client_balances(b.wallet.ledger, STR_LIT(BOB), &arena, &all, &err));
	const struct ledger_balance *items = all.items;
	assert_true(all.count == 1 && str_is(items[0].held, "0.50"));
	assert_true(ledger_client_balances(b.wallet.ledger, STR_LIT(BOB), &arena, &all, &err));
	assert_int_equal(all.count, 0);
	assert_false(ledger_client_balances(b.wallet.ledger, STR_LIT(BOB), &arena, &all, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	assert_true(ledger_client_blocks(b.wallet.ledger, 20, 500, true, 0, &arena, &all, &err));
	assert_has(b.script.head[3], "GET /blocks?limit=100&full=1&to=500&from=20 HTTP/1.1\r\n");
	assert_has(b.script.head[4], "GET /blocks?limit=100&full=1&to=500&from=120 HTTP/1.1\r\n");
	end(&b);
	(void)state;
}

int main(void)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = {7};
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	struct error err;
	if (!crypto_start(&err))
		return 1;
	arena_init(&arena);
	ed25519_from_seed(&key, seed);
	ed25519_public_to_text(&key.public_key, text);
	user_id_of(STR_LIT(CHAIN), str_from(text), user_id);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_signed),
		cmocka_unit_test(a_new_user_signs_for_itself),
		cmocka_unit_test(a_new_key_proves_itself),
		cmocka_unit_test(what_no_ledger_would_take_is_not_signed),
		cmocka_unit_test(a_taken_nonce_is_asked_for_again),
		cmocka_unit_test(nonces_are_not_asked_for_for_ever),
		cmocka_unit_test(a_new_user_has_no_nonce),
		cmocka_unit_test(the_same_bytes_are_handed_in_until_they_are_answered),
		cmocka_unit_test(refusals_are_final),
		cmocka_unit_test(an_interrupt_ends_the_patience),
		cmocka_unit_test(a_block_is_waited_for),
		cmocka_unit_test(a_refusal_is_told),
		cmocka_unit_test(waiting_has_an_end),
		cmocka_unit_test(answers_about_something_else),
		cmocka_unit_test(a_grant_is_asked_for_with_a_signature),
		cmocka_unit_test(lists_are_gathered),
		cmocka_unit_test(bare_lists_and_blocks),
	};
	int failed = cmocka_run_group_tests_name("client_wallet", tests, NULL, NULL);
	arena_free(&arena);
	return failed;
}
