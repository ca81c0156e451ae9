/* identityd: signing keys. When which one signs, how long it is published, what is in the file, what a signature is worth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "crypto/ed25519.h"
#include "identityd/identity_schema.h"
#include "identityd/oidc_keys.h"
#include "identityd/oidc_rules.h"
#include "identityd/oidc_store.h"
#include "wire/base64url.h"
#include "wire/jws.h"

#define DAY INT64_C(86400000)
#define NOW (20000 * DAY)

/* ---- the plan ---- */

static struct oidc_key_plan planned(const int64_t *from, size_t n, int64_t now)
{
	struct oidc_key_plan p;
	oidc_key_plan(from, n, 90 * DAY, DAY, now, &p);
	return p;
}

static void when_which_key(void **state)
{
	(void)state;
	struct oidc_key_plan p = planned(NULL, 0, NOW);
	assert_true(p.signer == -1 && p.make && p.signs_from == NOW);
	const int64_t one[] = {NOW};
	p = planned(one, 1, NOW);
	assert_true(p.signer == 0 && !p.make);
	p = planned(one, 1, NOW + 89 * DAY - 1);
	assert_true(p.signer == 0 && !p.make);
	p = planned(one, 1, NOW + 89 * DAY); /* the successor is made a day ahead */
	assert_true(p.signer == 0 && p.make && p.signs_from == NOW + 90 * DAY);
	const int64_t two[] = {NOW + 90 * DAY, NOW};
	p = planned(two, 2, NOW + 89 * DAY);
	assert_true(p.signer == 1 && !p.make);
	p = planned(two, 2, NOW + 90 * DAY - 1);
	assert_int_equal(p.signer, 1);
	p = planned(two, 2, NOW + 90 * DAY);
	assert_true(p.signer == 0 && !p.make);
	p = planned(one, 1, NOW + 200 * DAY); /* nobody was there to make one */
	assert_true(p.signer == 0 && p.make && p.signs_from == NOW + 200 * DAY);
	p = planned(two, 2, NOW - DAY); /* the clock was set back */
	assert_true(p.signer == 1 && !p.make);
	/* Published from a day before the first signature to more than an ID token's life after the last. */
	assert_int_equal(oidc_key_ends(NOW, 90 * DAY, DAY), NOW + 91 * DAY + ACCESS_TTL_MS);
}

/* ---- with a file and a database ---- */

struct claims {
	struct str sub;
};
static const struct json_field claims_rows[] = {F_TEXT(struct claims, sub, "sub", JSON_REQUIRED, 64, "who")};
static JSON_MESSAGE(claims_message, "Claims", struct claims, claims_rows);

struct place {
	char dir[64], file[96], url[96];
	struct db_pool *pool;
};

static int begin(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	struct error err;
	snprintf(p->dir, sizeof(p->dir), "/tmp/tana-oidc-keys.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->file, sizeof(p->file), "%s/keys.json", p->dir);
	snprintf(p->url, sizeof(p->url), "sqlite:%s/id.db", p->dir);
	const struct db_pool_options o = {.url = p->url, .name = "test", .readers = 2, .queue_max = 100, .group_max = 10, .patience_ms = 1000};
	p->pool = db_pool_open(&o, identity_migrations, identity_migration_count, &err);
	if (!p->pool)
		fail_msg("%s", err.message);
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;
	char command[128];
	db_pool_close(p->pool);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static struct oidc_keys *open_keys(struct place *p, int64_t lifetime, int64_t overlap)
{
	const struct oidc_key_options o = {.path = p->file, .lifetime_ms = lifetime, .overlap_ms = overlap};
	struct error err;
	struct oidc_keys *k = oidc_keys_open(&o, p->pool, &err);
	if (!k)
		fail_msg("%s", err.message);
	return k;
}

static void count_one(void *ctx, const struct oidc_key_row *k)
{
	assert_true(str_present(k->kid) && str_present(k->jwk));
	assert_null(memmem(k->jwk.p, k->jwk.n, "\"d\"", 3)); /* no private member */
	++*(int *)ctx;
}

static int published(struct place *p, int64_t now)
{
	struct error err;
	int n = 0;
	struct db_conn *c = db_pool_reader(p->pool, &err);
	assert_non_null(c);
	assert_int_equal(oidc_keys_each(c, now, count_one, &n, &err), DB_OK);
	db_pool_release(p->pool, c);
	return n;
}

/* Signs, and checks with the published key that the token names. Returns its kid. */
static void sign(struct place *p, struct oidc_keys *k, enum oidc_alg alg, int64_t now, char kid[64])
{
	struct arena a;
	struct error err;
	struct buf token = {0}, signature = {0};
	struct jws jws;
	struct oidc_jwt_header h;
	struct str jwk;
	arena_init(&a);
	const struct claims claims = {.sub = STR_LIT("alice")};
	assert_true(oidc_keys_sign(k, alg, now, &claims_message, &claims, &token, &err));
	assert_true(jws_split(buf_str(&token), &jws));
	assert_true(jws_read_part(jws.header, "header", &oidc_jwt_header_message, &h, &a, &err));
	assert_true(str_is(h.alg, oidc_alg_text(alg)) && str_is(h.typ, "JWT"));
	assert_true(base64url_decode(jws.signature, &signature));
	struct db_conn *c = db_pool_reader(p->pool, &err);
	assert_int_equal(oidc_key_read(c, h.kid, now, &a, &jwk, &err), DB_OK);
	db_pool_release(p->pool, c);
	assert_true(str_present(jwk));
	assert_true(oidc_jwk_verifies(jwk, h.alg, jws.signed_text, buf_str(&signature)));

	/* Another algorithm than the key's, whatever the token says; another text; another signature. */
	static const char *const others[] = {"none", "HS256", "RS256", "EdDSA", "PS256", "", "rs256"};
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (!str_is(h.alg, others[i]))
			assert_false(oidc_jwk_verifies(jwk, str_from(others[i]), jws.signed_text, buf_str(&signature)));
	assert_false(oidc_jwk_verifies(jwk, h.alg, str_of(jws.signed_text.p, jws.signed_text.n - 1), buf_str(&signature)));
	assert_false(oidc_jwk_verifies(jwk, h.alg, jws.signed_text, STR_LIT("")));
	signature.data[3] ^= 4;
	assert_false(oidc_jwk_verifies(jwk, h.alg, jws.signed_text, buf_str(&signature)));
	assert_false(oidc_jwk_verifies(STR_LIT("{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"x\"}"), STR_LIT("RS256"), jws.signed_text, buf_str(&signature)));
	assert_false(oidc_jwk_verifies(STR_LIT("{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"kid\":\"x\",\"x\":\"AA\"}"), STR_LIT("EdDSA"), jws.signed_text, buf_str(&signature)));
	snprintf(kid, 64, "%.*s", STR_ARG(h.kid));
	buf_free(&token);
	buf_free(&signature);
	arena_free(&a);
}

static void keys_outlive_a_restart(void **state)
{
	struct place *p = *state;
	char first[64], again[64];
	struct stat st;
	int64_t now = clock_wall_ms();
	struct oidc_keys *k = open_keys(p, 90 * DAY, DAY);
	sign(p, k, ALG_RS256, now, first);
	oidc_keys_close(k);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	k = open_keys(p, 90 * DAY, DAY);
	sign(p, k, ALG_RS256, now, again);
	assert_string_equal(first, again);
	sign(p, k, ALG_EDDSA, now, again);
	assert_string_not_equal(first, again);
	assert_int_equal(published(p, now), 2);
	oidc_keys_close(k);
	/* The file is lost: new keys, and the old ones stay published. */
	assert_int_equal(unlink(p->file), 0);
	k = open_keys(p, 90 * DAY, DAY);
	sign(p, k, ALG_RS256, now, again);
	assert_string_not_equal(first, again);
	assert_int_equal(published(p, now), 4);
	oidc_keys_close(k);
	oidc_keys_close(NULL);
}

static void rotation_overlaps(void **state)
{
	struct place *p = *state;
	char first[64], second[64], third[64];
	struct error err;
	int64_t now = clock_wall_ms();
	struct oidc_keys *k = open_keys(p, 90 * DAY, DAY);
	sign(p, k, ALG_EDDSA, now, first);
	assert_true(oidc_keys_turn(k, now + 88 * DAY, &err));
	assert_int_equal(published(p, now + 88 * DAY), 2);
	assert_true(oidc_keys_turn(k, now + 89 * DAY + 60000, &err));
	assert_int_equal(published(p, now + 89 * DAY + 60000), 4); /* known a day before it signs */
	sign(p, k, ALG_EDDSA, now + 89 * DAY + 60000, second);
	assert_string_equal(first, second);
	sign(p, k, ALG_EDDSA, now + 90 * DAY + 60000, second);
	assert_string_not_equal(first, second);
	assert_int_equal(published(p, now + 91 * DAY), 4);                               /* what the old one signed last is still good */
	assert_int_equal(published(p, now + 91 * DAY + ACCESS_TTL_MS + 60000), 2);
	assert_true(oidc_keys_turn(k, now + 91 * DAY + ACCESS_TTL_MS + 60000, &err));
	oidc_keys_close(k);
	k = open_keys(p, 90 * DAY, DAY); /* what was made for later is kept, and so is the time */
	sign(p, k, ALG_EDDSA, now + 90 * DAY + 60000, third);
	assert_string_equal(second, third);
	oidc_keys_close(k);
}

static void bad_files(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"{\"keys\":[{\"alg\":\"HS256\",\"signsFrom\":1,\"privateKey\":\"x\"}]}",
		"{\"keys\":[{\"alg\":\"RS256\",\"signsFrom\":1,\"privateKey\":\"x\"}]}",
		"{\"keys\":[{\"alg\":\"EdDSA\",\"signsFrom\":1,\"privateKey\":\"ed25519_00\"}]}",
		"{\"keys\":[{\"alg\":\"EdDSA\",\"privateKey\":\"x\"}]}",
		"{\"keys\":[],\"more\":1}",
	};
	struct place *p = *state;
	struct error err;
	const struct oidc_key_options o = {.path = p->file, .lifetime_ms = DAY, .overlap_ms = 1000};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_true(file_write_atomic(p->file, str_from(texts[i]), 0600, FILE_REPLACE, &err));
		assert_null(oidc_keys_open(&o, p->pool, &err));
		assert_int_equal(err.code, ERR_KEY_FILE);
	}
	assert_true(file_write_atomic(p->file, STR_LIT("{\"keys\":[]}"), 0644, FILE_REPLACE, &err));
	assert_null(oidc_keys_open(&o, p->pool, &err)); /* others could read it */
	assert_int_equal(err.code, ERR_KEY_FILE);
	const struct oidc_key_options nowhere = {.path = "/nonexistent/keys.json", .lifetime_ms = DAY, .overlap_ms = 1000};
	assert_null(oidc_keys_open(&nowhere, p->pool, &err));
}

int main(void)
{
	struct error err;
	assert_true(crypto_start(&err));
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_which_key),
		cmocka_unit_test_setup_teardown(keys_outlive_a_restart, begin, end),
		cmocka_unit_test_setup_teardown(rotation_overlaps, begin, end),
		cmocka_unit_test_setup_teardown(bad_files, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
