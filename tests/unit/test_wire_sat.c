/* wire: service auth tokens, by the published vectors and by what could be done to one; base64url. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/base64url.h"
#include "wire/sat.h"
#include "wire/sat_memory.h"

#define NOW 1763400100
#define HASH "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define GOOD_HEADER "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"validator-1/ledger\"}"
#define CLAIMS(more) "{\"iss\":\"validator-1\",\"sub\":\"ledger\",\"aud\":\"validator-1/t4\",\"iat\":1763400000,\"exp\":1763400300,\"jti\":\"j\"" more "}"

static struct ed25519_secret key;
static int asked; /* how often a key was looked for */

static bool know(void *ctx, struct str node_id, struct str service, struct ed25519_public *out)
{
	asked++;
	if (!str_is(node_id, "validator-1") || !str_is(service, "ledger"))
		return false;
	*out = *(const struct ed25519_public *)ctx;
	return true;
}

static bool check_by(struct str token, const struct ed25519_public *by, struct sat *out, struct arena *a, struct error *err)
{
	struct ed25519_public copy = *by;
	return sat_check(token, STR_LIT("validator-1"), STR_LIT("t4"), NOW, know, &copy, out, a, err);
}

/* A token of any header and claims, signed rightly. */
static void forge(struct buf *out, const char *header, const char *claims)
{
	struct ed25519_signature signature;
	buf_clear(out);
	base64url_encode(out, str_from(header));
	buf_putc(out, '.');
	base64url_encode(out, str_from(claims));
	ed25519_sign_bytes(&signature, &key, buf_str(out));
	buf_putc(out, '.');
	base64url_encode(out, str_of((const char *)signature.b, sizeof signature.b));
}

static struct sat sample(void)
{
	return (struct sat){.node_id = STR_LIT("validator-1"), .service = STR_LIT("ledger"), .audience = STR_LIT("validator-1/t4"),
			    .issued_at = NOW,
			    .expires = NOW + SAT_LIFETIME_DEFAULT_S, .id = STR_LIT("j1"), .scope = STR_LIT("content:put content:list")};
}

static void the_vectors(void **state)
{
	json_t *all = vectors_load("sat.json"), *v;
	size_t i;
	(void)state;
	json_array_foreach(all, i, v) {
		struct error err = {0};
		struct arena a;
		struct sat t;
		struct ed25519_secret secret;
		struct ed25519_public by;
		struct str input;
		struct ed25519_signature signature;
		struct buf ours = {0};
		struct str token = str_from(vector_text(v, "token")), receiver = str_from(vector_text(v, "receiver"));
		bool valid = json_is_true(json_object_get(v, "valid"));
		const char *slash = memchr(receiver.p, '/', receiver.n);

		arena_init(&a);
		assert_true(ed25519_public_from_text(str_from(vector_text(v, "publicKey")), KEY_WRITTEN, &by, &err));
		assert_true(ed25519_secret_from_text(str_from(vector_text(v, "privateKey")), KEY_WRITTEN, &secret, &err));
		bool ok = sat_check(token, str_of(receiver.p, (size_t)(slash - receiver.p)), str_from(slash + 1),
				    json_integer_value(json_object_get(v, "now")), know,
				    &by, &t, &a, &err);
		if (ok != valid)
			fail_msg("%s: judged %d: %s", vector_text(v, "why"), ok, err.message);
		/* Whatever is wrong with it, its form is good; our token of the same claims is judged alike. */
		assert_true(sat_parse(token, &t, &input, &signature, &a, &err));
		assert_true(str_is(t.node_id, "validator-1") && str_is(t.service, "ledger"));
		if (t.expires - t.issued_at <= SAT_LIFETIME_MAX_S) {
			bool forged = strcmp(vector_text(v, "why"), "signature") == 0;
			sat_make(&t, &secret, &ours);
			ok = sat_check(buf_str(&ours), str_of(receiver.p, (size_t)(slash - receiver.p)), str_from(slash + 1),
				       json_integer_value(json_object_get(v, "now")), know, &by, &t, &a, &err);
			assert_int_equal(ok, valid || forged);
		}
		buf_free(&ours);
		arena_free(&a);
	}
	json_decref(all);
}

static void what_is_made_is_read(void **state)
{
	struct arena a;
	struct error err;
	struct sat in = sample(), out;
	struct buf token = {0};
	(void)state;
	arena_init(&a);
	in.has_content = in.has_size = true;
	assert_true(hash_from_text(STR_LIT(HASH), &in.content));
	in.size = 12345;
	buf_puts(&token, "kept in front ");
	size_t start = token.len;
	sat_make(&in, &key, &token);
	assert_true(check_by(str_of(token.data + start, token.len - start), &key.public_key, &out, &a, &err));
	assert_true(str_equal(out.node_id, in.node_id) && str_equal(out.service, in.service) && str_equal(out.audience, in.audience));
	assert_true(str_equal(out.id, in.id) && str_equal(out.scope, in.scope));
	assert_int_equal(out.issued_at, in.issued_at);
	assert_int_equal(out.expires, in.expires);
	assert_true(out.has_content && out.has_size && hash_equal(&out.content, &in.content) && out.size == 12345);
	buf_free(&token);
	arena_free(&a);
}

static void forms_that_are_refused(void **state)
{
	static const struct {
		const char *header, *claims;
		enum error_code code; /* ERR_COUNT: fine */
	} cases[] = {
		{GOOD_HEADER, CLAIMS(""), ERR_COUNT},
		{"{\"kid\":\"validator-1/ledger\",\"alg\":\"EdDSA\",\"x5u\":\"http://evil/\"}", CLAIMS(",\"more\":{\"a\":[1.5]}"),
		 ERR_COUNT},
		{"{\"alg\":\"none\",\"kid\":\"validator-1/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"HS256\",\"kid\":\"validator-1/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"eddsa\",\"kid\":\"validator-1/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":[\"EdDSA\"],\"kid\":\"validator-1/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"kid\":\"validator-1/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"kid\":\"validator-1/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\",\"typ\":\"JWS\",\"kid\":\"validator-1/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\",\"crit\":[\"b64\"],\"b64\":false,\"kid\":\"validator-1/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\",\"kid\":\"validator-2/ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\",\"kid\":\"validator-1/t4\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\",\"kid\":\"ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\",\"kid\":\"validator-1/ledger/x\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"{\"alg\":\"EdDSA\",\"kid\":\"../ledger\"}", CLAIMS(""), ERR_TOKEN_INVALID},
		{"[]", CLAIMS(""), ERR_TOKEN_INVALID},
		{"", CLAIMS(""), ERR_TOKEN_INVALID},
		{GOOD_HEADER, "", ERR_TOKEN_INVALID},
		{GOOD_HEADER, "{}", ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"jti\":\"k\""), ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"scope\":[\"content:put\"]"), ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"scope\":\"a\\u001b[1m\""), ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"content\":\"2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824\""),
		 ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"content\":\"2cf2\""), ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"size\":-1"), ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"size\":1.5"), ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"size\":\"1\""), ERR_TOKEN_INVALID},
		{GOOD_HEADER, CLAIMS(",\"size\":1e3"), ERR_TOKEN_INVALID},
		{GOOD_HEADER,
		 "{\"iss\":\"validator-1\",\"sub\":\"ledger\",\"aud\":[\"validator-1/t4\"],\"iat\":1763400000,\"exp\":1763400300,\"jti\":\"j\"}",
		 ERR_TOKEN_INVALID},
		{GOOD_HEADER,
		 "{\"iss\":\"validator-1\",\"sub\":\"ledger\",\"aud\":\"validator-1/t4\",\"iat\":1763400000.0,\"exp\":1763400300,\"jti\":\"j\"}",
		 ERR_TOKEN_INVALID},
		{GOOD_HEADER,
		 "{\"iss\":\"validator-1\",\"sub\":\"ledger\",\"aud\":\"validator-1/t4\",\"iat\":1763400000,\"exp\":1763400300,\"jti\":\"\"}",
		 ERR_TOKEN_INVALID},
		{GOOD_HEADER, "{\"iss\":\"validator-1\",\"sub\":\"ledger\",\"aud\":\"validator-1/t4\",\"iat\":1763400000,\"jti\":\"j\"}",
		 ERR_TOKEN_INVALID},
		{GOOD_HEADER,
		 "{\"iss\":\"validator-1\",\"sub\":\"ledger\",\"aud\":\"validator-1/t4/x\",\"iat\":1763400000,\"exp\":1763400300,\"jti\":\"j\"}",
		 ERR_TOKEN_INVALID},
		{GOOD_HEADER,
		 "{\"iss\":\"validator-1\",\"sub\":\"redis\",\"aud\":\"validator-1/t4\",\"iat\":1763400000,\"exp\":1763400300,\"jti\":\"j\"}",
		 ERR_TOKEN_INVALID},
	};
	struct buf token = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena a;
		struct error err = {.code = ERR_COUNT};
		struct sat t;
		arena_init(&a);
		forge(&token, cases[i].header, cases[i].claims);
		bool ok = check_by(buf_str(&token), &key.public_key, &t, &a, &err);
		if (ok != (cases[i].code == ERR_COUNT) || (!ok && err.code != cases[i].code))
			fail_msg("%s . %s: %s", cases[i].header, cases[i].claims, ok ? "taken" : err.message);
		arena_free(&a);
	}
	buf_free(&token);
}

/* Every single byte of a good token changed, every cut of it: never taken. */
static void any_change_is_noticed(void **state)
{
	struct sat in = sample(), t;
	struct buf token = {0};
	struct error err;
	struct arena a;
	(void)state;
	sat_make(&in, &key, &token);
	for (size_t i = 0; i <= token.len; i++) {
		arena_init(&a);
		assert_false(i < token.len && check_by(str_of(token.data, i), &key.public_key, &t, &a, &err));
		for (const char *c = "A_z=+.\n"; i < token.len && *c; c++) {
			char was = token.data[i];
			token.data[i] = *c;
			assert_true(*c == was || !check_by(buf_str(&token), &key.public_key, &t, &a, &err));
			token.data[i] = was;
		}
		arena_free(&a);
	}
	arena_init(&a);
	assert_true(check_by(buf_str(&token), &key.public_key, &t, &a, &err));
	buf_puts(&token, ".");
	assert_false(check_by(buf_str(&token), &key.public_key, &t, &a, &err));
	token.len--;
	while (token.len <= SAT_TEXT_MAX)
		buf_putc(&token, 'A');
	assert_false(check_by(buf_str(&token), &key.public_key, &t, &a, &err));
	assert_false(check_by(STR_NONE, &key.public_key, &t, &a, &err));
	arena_free(&a);
	buf_free(&token);
}

struct judged {
	int64_t iat, exp, now;
	const char *aud, *node, *service;
	enum error_code code; /* ERR_COUNT: fine */
	int asks;             /* for keys */
};

static void times_and_receivers(void **state)
{
	static const struct judged cases[] = {
		{NOW, NOW + 300, NOW, "validator-1/t4", "validator-1", "t4", ERR_COUNT, 1},
		{NOW, NOW + 300, NOW + 299, "validator-1/t4", "validator-1", "t4", ERR_COUNT, 1},
		{NOW, NOW + 300, NOW + 300, "validator-1/t4", "validator-1", "t4", ERR_TOKEN_EXPIRED, 0},
		{NOW, NOW + 3600, NOW + 3599, "validator-1/t4", "validator-1", "t4", ERR_COUNT, 1},
		{NOW + 60, NOW + 300, NOW, "validator-1/t4", "validator-1", "t4", ERR_COUNT, 1},
		{NOW + 61, NOW + 300, NOW, "validator-1/t4", "validator-1", "t4", ERR_TOKEN_INVALID, 0},
		{NOW, NOW + 300, NOW, "t4", "validator-1", "t4", ERR_COUNT, 1},
		{NOW, NOW + 300, NOW, "t4", "validator-2", "t4", ERR_TOKEN_INVALID, 0},
		{NOW, NOW + 300, NOW, "validator-1/t4", "validator-2", "t4", ERR_TOKEN_INVALID, 0},
		{NOW, NOW + 300, NOW, "validator-2/t4", "validator-2", "t4", ERR_COUNT, 1},
		{NOW, NOW + 300, NOW, "validator-1/mesh", "validator-1", "t4", ERR_TOKEN_INVALID, 0},
		{NOW, NOW + 300, NOW, "mesh", "validator-1", "t4", ERR_TOKEN_INVALID, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct judged *j = &cases[i];
		struct arena a;
		struct error err = {.code = ERR_COUNT};
		struct sat in = sample(), out;
		struct buf token = {0};
		struct ed25519_public by = key.public_key;
		arena_init(&a);
		in.issued_at = j->iat;
		in.expires = j->exp;
		in.audience = str_from(j->aud);
		sat_make(&in, &key, &token);
		asked = 0;
		bool ok = sat_check(buf_str(&token), str_from(j->node), str_from(j->service), j->now, know, &by, &out, &a, &err);
		if (ok != (j->code == ERR_COUNT) || err.code != j->code || asked != j->asks)
			fail_msg("case %zu: %s, asked %d", i, ok ? "taken" : err.message, asked);
		buf_free(&token);
		arena_free(&a);
	}
}

static void keys_that_are_not_known(void **state)
{
	struct sat in = sample(), out;
	struct buf token = {0};
	struct error err;
	struct arena a;
	struct ed25519_secret other;
	(void)state;
	arena_init(&a);
	ed25519_generate(&other);
	sat_make(&in, &other, &token); /* by a key that is not the ledger's */
	assert_false(check_by(buf_str(&token), &key.public_key, &out, &a, &err));
	assert_int_equal(err.code, ERR_TOKEN_INVALID);
	buf_clear(&token);
	in.service = STR_LIT("identity"); /* a service that announced no key */
	sat_make(&in, &key, &token);
	assert_false(check_by(buf_str(&token), &key.public_key, &out, &a, &err));
	assert_int_equal(err.code, ERR_TOKEN_INVALID);
	assert_non_null(strstr(err.message, "not known"));
	/* Too long a life, which sat_make does not give. */
	forge(&token, GOOD_HEADER,
	      "{\"iss\":\"validator-1\",\"sub\":\"ledger\",\"aud\":\"t4\",\"iat\":1763400000,\"exp\":1763403601,\"jti\":\"j\"}");
	assert_false(check_by(buf_str(&token), &key.public_key, &out, &a, &err));
	assert_int_equal(err.code, ERR_TOKEN_INVALID);
	forge(&token, GOOD_HEADER,
	      "{\"iss\":\"validator-1\",\"sub\":\"ledger\",\"aud\":\"t4\",\"iat\":1763400000,\"exp\":1763400000,\"jti\":\"j\"}");
	assert_false(check_by(buf_str(&token), &key.public_key, &out, &a, &err));
	assert_int_equal(err.code, ERR_TOKEN_INVALID);
	buf_free(&token);
	arena_free(&a);
}

static void scopes(void **state)
{
	static const struct {
		const char *scope, *wanted;
		bool has;
	} cases[] = {
		{"content:put", "content:put", true},  {"content:put content:list", "content:list", true},
		{"content:put", "content:pu", false},  {"content:put", "content:puts", false},
		{"content:puts", "content:put", false}, {"content:list  content:put", "content:put", true},
		{"", "content:put", false},	       {" ", "content:put", false},
		{NULL, "content:put", false},	       {"content:put,content:list", "content:put", false},
		{"CONTENT:PUT", "content:put", false},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sat t = {.scope = str_from(cases[i].scope)};
		struct error err = {.code = ERR_COUNT};
		assert_int_equal(sat_has_scope(&t, cases[i].wanted, &err), cases[i].has);
		assert_int_equal(err.code, cases[i].has ? ERR_COUNT : ERR_SCOPE_MISSING);
	}
}

static void what_a_token_is_bound_to(void **state)
{
	struct hash one, other;
	struct error err;
	struct sat t = {.node_id = STR_LIT("a")};
	(void)state;
	sha256(&one, "1", 1);
	sha256(&other, "2", 1);
	assert_true(sat_fits_content(&t, &one, 7, &err) && sat_fits_content(&t, &one, -1, &err));
	t.has_content = true;
	t.content = one;
	assert_true(sat_fits_content(&t, &one, 7, &err));
	assert_false(sat_fits_content(&t, &other, 7, &err));
	assert_int_equal(err.code, ERR_TOKEN_BOUND);
	t.has_size = true;
	t.size = 7;
	assert_true(sat_fits_content(&t, &one, 7, &err) && sat_fits_content(&t, &one, -1, &err));
	assert_false(sat_fits_content(&t, &one, 8, &err));
	assert_int_equal(err.code, ERR_TOKEN_BOUND);
	t.has_content = false;
	assert_false(sat_fits_content(&t, &other, 0, &err));
	assert_true(sat_fits_content(&t, &other, 7, &err));
}

/* Only what was verified is known again: not with another key, text or signature. */
static void good_signatures_are_remembered(void **state)
{
	struct sat_memory *m = sat_memory_new();
	struct ed25519_signature s, wrong;
	struct ed25519_secret other;
	static const uint8_t seed[ED25519_SEED_SIZE] = {2};
	char text[32];
	(void)state;
	ed25519_from_seed(&other, seed);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 300; i++) {
			struct str signed_text = str_of(text, (size_t)snprintf(text, sizeof(text), "text %d", i));
			ed25519_sign_bytes(&s, &key, signed_text);
			wrong = s;
			wrong.b[i % ED25519_SIGNATURE_SIZE] ^= 1;
			assert_false(sat_memory_verify(m, &wrong, &key.public_key, signed_text));
			assert_true(sat_memory_verify(m, &s, &key.public_key, signed_text));
			assert_true(sat_memory_verify(m, &s, &key.public_key, signed_text));
			assert_false(sat_memory_verify(m, &s, &other.public_key, signed_text));
			assert_false(sat_memory_verify(m, &wrong, &key.public_key, signed_text));
			assert_false(sat_memory_verify(m, &s, &key.public_key, STR_LIT("another text")));
			assert_true(sat_memory_verify(NULL, &s, &key.public_key, signed_text));
		}
	}
	sat_memory_free(m);
	sat_memory_free(NULL);
}

static void base64url_has_one_spelling(void **state)
{
	/* RFC 4648 section 10, without padding, and the two digits of its own. */
	static const struct {
		const char *bytes, *text;
	} good[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"},
		    {"\xfb\xff", "-_8"}};
	static const char *const bad[] = {"Z", "Zg==", "Zh", "Zm9", "Zm9vY", "+/8", "Zm 9v", "Zm9v\n", "Zg=", "Z\xc3\xa9g"};
	struct buf out = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		buf_clear(&out);
		base64url_encode(&out, str_from(good[i].bytes));
		assert_string_equal(buf_z(&out), good[i].text);
		buf_clear(&out);
		assert_true(base64url_decode(str_from(good[i].text), &out));
		assert_string_equal(buf_z(&out), good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(base64url_decode(str_from(bad[i]), &out));
	assert_false(base64url_decode(str_of("A\0", 2), &out));
	buf_free(&out);
}

int main(void)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = {1};
	struct error err;
	if (!crypto_start(&err))
		return 1;
	ed25519_from_seed(&key, seed);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vectors),
		cmocka_unit_test(what_is_made_is_read),
		cmocka_unit_test(forms_that_are_refused),
		cmocka_unit_test(any_change_is_noticed),
		cmocka_unit_test(times_and_receivers),
		cmocka_unit_test(keys_that_are_not_known),
		cmocka_unit_test(scopes),
		cmocka_unit_test(what_a_token_is_bound_to),
		cmocka_unit_test(good_signatures_are_remembered),
		cmocka_unit_test(base64url_has_one_spelling),
	};
	return cmocka_run_group_tests_name("wire_sat", tests, NULL, NULL);
}
