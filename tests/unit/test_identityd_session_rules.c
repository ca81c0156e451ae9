/* The rules of sessions and approvals: states, order of refusals, times, names; and which URLs have which origin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "identityd/origin_rules.h"
#include "identityd/session_rules.h"

static const int64_t NOW = INT64_C(1800000000000);

struct sample {
	struct arena arena;
	struct ed25519_secret key;
	struct approve_session session;
	struct approve_claim claim;
};

/* An approval that holds; `message` NULL: the usual one. */
static void sample_init(struct sample *s, const char *message)
{
	static const char usual[] = "{\"sessionId\":\"sess_0123456789abcdef\",\"challenge\":\"c\",\"userId\":\"u\",\"username\":\"@n\",\"timestamp\":1800000000000}";
	struct ed25519_signature sig;
	char *key = NULL, *signature = NULL;
	uint8_t seed[ED25519_SEED_SIZE] = {7};
	arena_init(&s->arena);
	ed25519_from_seed(&s->key, seed);
	key = arena_alloc(&s->arena, ED25519_PUBLIC_TEXT_LEN + 1);
	signature = arena_alloc(&s->arena, ED25519_SIGNATURE_TEXT_LEN + 1);
	s->session = (struct approve_session){.id = STR_LIT("sess_0123456789abcdef"),
					      .challenge = STR_LIT("c"),
					      .status = SESSION_WAITING,
					      .server = STR_LIT("https://id.example"),
					      .client_id = STR_LIT("grafana"),
					      .origin = STR_LIT("https://app.example")};
	s->claim = (struct approve_claim){.user_id = STR_LIT("u"), .username = STR_LIT("@n"), .message = str_from(message ? message : usual)};
	ed25519_public_to_text(&s->key.public_key, key);
	ed25519_sign_message(&sig, &s->key, s->claim.message);
	ed25519_signature_to_text(&sig, signature);
	s->claim.public_key = str_from(key);
	s->claim.signature = str_from(signature);
}

static enum error_code judged(struct sample *s, int64_t now)
{
	struct error err = {.code = ERR_COUNT};
	bool ok = approve_check(&s->session, &s->claim, now, &s->arena, &err);
	assert_int_equal(ok, err.code == ERR_COUNT);
	return err.code;
}

static void expect_message(const char *message, enum error_code code)
{
	struct sample s;
	sample_init(&s, message);
	enum error_code got = judged(&s, NOW);
	if (got != code)
		fail_msg("%s gave %s", message, got == ERR_COUNT ? "no refusal" : error_code_text(got));
	arena_free(&s.arena);
}

static void states(void **state)
{
	(void)state;
	static const enum session_status all[] = {SESSION_WAITING, SESSION_SCANNED, SESSION_APPROVED, SESSION_REJECTED, SESSION_EXPIRED};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		enum session_status back;
		struct error err;
		assert_true(session_status_from_text(str_from(session_status_text(all[i])), &back));
		assert_int_equal(back, all[i]);
		/* Time ends what is open, to the millisecond, and nothing else. */
		bool open = session_status_open(all[i]);
		assert_int_equal(open, i < 2);
		assert_int_equal(session_status_at(all[i], NOW, NOW - 1), all[i]);
		assert_int_equal(session_status_at(all[i], NOW, NOW), open ? SESSION_EXPIRED : all[i]);
		const struct approve_session s = {.status = all[i]};
		assert_int_equal(approve_session_open(&s, &err), open);
		if (!open)
			assert_int_equal(err.code, all[i] == SESSION_EXPIRED ? ERR_SESSION_EXPIRED : ERR_SESSION_NOT_OPEN);
	}
	enum session_status none;
	assert_false(session_status_from_text(STR_LIT("Waiting"), &none));
	assert_false(session_status_from_text(STR_NONE, &none));
}

static void ids(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "sess_", "sess_0123456789abcde", "sess_0123456789abcdefg", "sess_0123456789abcdeF", "sess_0123456789abcde-",
					  "xess_0123456789abcdef"};
	assert_true(session_id_valid(STR_LIT("sess_0123456789abcdez")));
	assert_false(session_id_valid(STR_NONE));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(session_id_valid(str_from(bad[i])));
}

static void an_approval_that_holds(void **state)
{
	(void)state;
	struct sample s;
	sample_init(&s, NULL);
	assert_int_equal(judged(&s, NOW), ERR_COUNT);
	assert_true(ed25519_public_equal(&s.claim.key, &s.key.public_key));
	/* The edges of its time. */
	assert_int_equal(judged(&s, NOW + APPROVE_AGE_MAX_MS), ERR_COUNT);
	assert_int_equal(judged(&s, NOW + APPROVE_AGE_MAX_MS + 1), ERR_TIMESTAMP_OUT_OF_RANGE);
	assert_int_equal(judged(&s, NOW - APPROVE_AHEAD_MAX_MS), ERR_COUNT);
	assert_int_equal(judged(&s, NOW - APPROVE_AHEAD_MAX_MS - 1), ERR_TIMESTAMP_OUT_OF_RANGE);
	/* A scanned session is as good as a waiting one. */
	s.session.status = SESSION_SCANNED;
	assert_int_equal(judged(&s, NOW), ERR_COUNT);
	s.session.status = SESSION_APPROVED;
	assert_int_equal(judged(&s, NOW), ERR_SESSION_NOT_OPEN);
	s.session.status = SESSION_EXPIRED;
	assert_int_equal(judged(&s, NOW), ERR_SESSION_EXPIRED);
	arena_free(&s.arena);
}

#define HEAD "{\"sessionId\":\"sess_0123456789abcdef\",\"challenge\":\"c\",\"userId\":\"u\",\"username\":\"@n\",\"timestamp\":"
static void messages(void **state)
{
	(void)state;
	expect_message(HEAD "1800000000000,\"server\":\"https://id.example\",\"clientId\":\"grafana\",\"returnOrigin\":\"https://app.example\",\"exp\":1800000000001}",
		       ERR_COUNT);
	expect_message(HEAD "1800000000000,\"more\":[1.5,{}]}", ERR_COUNT);
	expect_message(HEAD "1800000000000,\"server\":\"https://id.example/\"}", ERR_SERVER_MISMATCH);
	expect_message(HEAD "1800000000000,\"server\":\"\"}", ERR_SERVER_MISMATCH);
	expect_message(HEAD "1800000000000,\"clientId\":\"Grafana\"}", ERR_CLIENT_MISMATCH);
	expect_message(HEAD "1800000000000,\"returnOrigin\":\"https://app.example/\"}", ERR_ORIGIN_MISMATCH);
	expect_message(HEAD "1800000000000,\"exp\":1800000000000}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "1800000000000,\"exp\":\"x\"}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "1800000000000,\"exp\":null,\"server\":null}", ERR_COUNT);
	expect_message(HEAD "1.8e12}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "1800000000000.0}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "-1800000000000}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "9223372036854775807}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "99999999999999999999999}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "\"1800000000000\"}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "true}", ERR_TIMESTAMP_OUT_OF_RANGE);
	expect_message(HEAD "null}", ERR_MISSING_FIELD);
	expect_message(HEAD "NaN}", ERR_MALFORMED_MESSAGE);
	expect_message(HEAD "1800000000000}x", ERR_MALFORMED_MESSAGE);
	expect_message("", ERR_MALFORMED_MESSAGE);
	expect_message("[]", ERR_MALFORMED_MESSAGE);
	expect_message("{}", ERR_MISSING_FIELD);
	expect_message("{\"sessionId\":1}", ERR_MALFORMED_MESSAGE);
	expect_message("{\"sessionId\":\"a\",\"sessionId\":\"a\"}", ERR_MALFORMED_MESSAGE);
	expect_message("{\"sessionId\":\"sess_0123456789abcdef\",\"challenge\":\"c\",\"userId\":\"u\",\"username\":\"@n\",\"exp\":\"x\"}", ERR_MISSING_FIELD);
}

/* Of two times the one that is none is named. */
static void times_that_are_none(void **state)
{
	(void)state;
	static const struct {
		const char *message, *named;
	} all[] = {
		{HEAD "1800000000000,\"exp\":\"x\"}", "`exp`"},        {HEAD "1800000000000,\"exp\":1.5}", "`exp`"},
		{HEAD "1800000000000,\"exp\":true}", "`exp`"},         {HEAD "\"x\"}", "`timestamp`"},
		{HEAD "\"x\",\"exp\":1800000000001}", "`timestamp`"}, {HEAD "\"x\",\"exp\":\"x\"}", "`timestamp`"},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct sample s;
		struct error err;
		sample_init(&s, all[i].message);
		assert_false(approve_check(&s.session, &s.claim, NOW, &s.arena, &err));
		assert_int_equal(err.code, ERR_TIMESTAMP_OUT_OF_RANGE);
		if (!strstr(err.message, all[i].named))
			fail_msg("%s: %s", all[i].message, err.message);
		arena_free(&s.arena);
	}
}

/* What is wrong first is what is told. */
static void order(void **state)
{
	(void)state;
	struct sample s;
	sample_init(&s, "{\"sessionId\":\"other\",\"challenge\":\"other\",\"userId\":\"other\",\"username\":\"other\",\"timestamp\":1}");
	s.claim.signature = STR_LIT("x");
	s.claim.public_key = STR_LIT("y");
	assert_int_equal(judged(&s, NOW), ERR_SESSION_MISMATCH);
	s.session.id = STR_LIT("other");
	assert_int_equal(judged(&s, NOW), ERR_CHALLENGE_MISMATCH);
	s.session.challenge = STR_LIT("other");
	assert_int_equal(judged(&s, NOW), ERR_USER_MISMATCH);
	s.claim.user_id = STR_LIT("other");
	assert_int_equal(judged(&s, NOW), ERR_USER_MISMATCH);
	s.claim.username = STR_LIT("@other");
	assert_int_equal(judged(&s, NOW), ERR_TIMESTAMP_OUT_OF_RANGE);
	assert_int_equal(judged(&s, 1), ERR_MALFORMED_KEY);
	char key[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(&s.key.public_key, key);
	s.claim.public_key = str_from(key);
	assert_int_equal(judged(&s, 1), ERR_MALFORMED_SIGNATURE);
	char zeros[129];
	memset(zeros, '0', 128);
	zeros[128] = '\0';
	s.claim.signature = str_from(zeros);
	assert_int_equal(judged(&s, 1), ERR_BAD_SIGNATURE);
	s.claim.message = STR_NONE;
	assert_int_equal(judged(&s, 1), ERR_MISSING_FIELD);
	arena_free(&s.arena);
}

static void owners(void **state)
{
	(void)state;
	struct sample s;
	struct error err;
	sample_init(&s, NULL);
	assert_int_equal(judged(&s, NOW), ERR_COUNT);
	const struct key_owner good = {.username = STR_LIT("n"), .public_key = s.claim.public_key}, with_at = {STR_LIT("@n"), s.claim.public_key, STR_NONE},
			       nobody = {STR_NONE, STR_NONE, STR_NONE}, other_name = {STR_LIT("N"), s.claim.public_key, STR_NONE},
			       bad_key = {STR_LIT("n"), STR_LIT("ed25519_"), STR_NONE}, no_key = {STR_LIT("n"), STR_NONE, STR_NONE};
	assert_true(approve_owner_fits(&s.claim, &good, &err));
	assert_true(approve_owner_fits(&s.claim, &with_at, &err));
	const struct key_owner *const wrong[] = {&nobody, &other_name, &bad_key, &no_key};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_false(approve_owner_fits(&s.claim, wrong[i], &err));
		assert_int_equal(err.code, ERR_KEY_NOT_OF_USER);
	}
	assert_true(str_is(username_bare(STR_LIT("@@n")), "@n"));
	assert_true(str_is(username_bare(STR_LIT("@")), ""));
	assert_false(str_present(username_bare(STR_NONE)));
	arena_free(&s.arena);
}

static void match_codes(void **state)
{
	(void)state;
	struct error err;
	bool ends;
	assert_true(approve_match_fits(true, -1, -1, &ends, &err)); /* a session of before it was asked for */
	assert_true(approve_match_fits(false, 42, -1, &ends, &err));
	assert_true(approve_match_fits(true, 42, 42, &ends, &err));
	assert_false(approve_match_fits(true, 42, -1, &ends, &err));
	assert_true(err.code == ERR_MATCH_CODE_REQUIRED && !ends);
	assert_false(approve_match_fits(true, 42, 43, &ends, &err));
	assert_true(err.code == ERR_MATCH_CODE_WRONG && ends);
	assert_false(approve_match_fits(false, 42, 0, &ends, &err)); /* whoever guesses is no friend */
	assert_true(err.code == ERR_MATCH_CODE_WRONG && ends);
}

static void origins(void **state)
{
	(void)state;
	static const char *const good[][2] = {
		{"https://app.example", "https://app.example"},        {"https://app.example/", "https://app.example"},
		{"HTTPS://App.Example:443/p?q#f", "https://app.example"}, {"http://app.example:80?x", "http://app.example"},
		{"http://app.example:8080#f", "http://app.example:8080"}, {"https://[2001:DB8::1]:8443/", "https://[2001:db8::1]:8443"},
		{"http://127.0.0.1:3000", "http://127.0.0.1:3000"},      {"https://a_b.example/%0d%0a", "https://a_b.example"},
	};
	static const char *const bad[] = {
		"", "https", "https:", "https://", "https:///x", "https:/app.example", "//app.example", "app.example", "javascript:alert(1)", "data:text/html,x",
		"ftp://app.example", "https://user@app.example", "https://user:pw@app.example", "https://app.example\\@evil", "https:\\\\app.example",
		"https://app.example:0", "https://app.example:65536", "https://app.example:", "https://app.example:8x", "https://app.example:08", "https://-app.example",
		"https://.example", "https://app.example\t", " https://app.example", "https://app.ex ample", "https://[::1", "https://[]", "https://[::1]x", "https://\xc3\xa9.example",
		"https://app.example/<script>", "https://app.example/\"", "https://app.example%2eevil", "https://app.example;x",
	};
	struct arena a;
	struct str origin;
	arena_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(url_origin(str_from(good[i][0]), &a, &origin));
		assert_true(str_is(origin, good[i][1]));
		struct str again;
		assert_true(url_is_origin(origin, &a, &again) && str_equal(again, origin));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (url_origin(str_from(bad[i]), &a, &origin))
			fail_msg("taken: %s as %.*s", bad[i], STR_ARG(origin));
	assert_false(url_origin(STR_NONE, &a, &origin));
	assert_false(url_is_origin(STR_LIT("https://app.example/x"), &a, &origin));
	assert_false(url_is_origin(STR_LIT("https://app.example?x"), &a, &origin));
	char longest[URL_MAX + 2];
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "https://a/", 10);
	assert_true(url_origin(str_of(longest, URL_MAX), &a, &origin));
	assert_false(url_origin(str_of(longest, URL_MAX + 1), &a, &origin));
	arena_free(&a);
}

static int setup(void **state)
{
	struct error err;
	(void)state;
	return crypto_start(&err) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states), cmocka_unit_test(ids),    cmocka_unit_test(an_approval_that_holds), cmocka_unit_test(messages),
		cmocka_unit_test(order),  cmocka_unit_test(owners), cmocka_unit_test(match_codes),            cmocka_unit_test(origins),
		cmocka_unit_test(times_that_are_none),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
