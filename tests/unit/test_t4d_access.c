/* t4d: who may do what, and which files are known to be sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/ed25519.h"
#include "t4d/access.h"
#include "t4d/identity.h"

enum { NOW_S = 1800000000 };

static struct ed25519_secret key;

static bool find_key(void *ctx, struct str node_id, struct str service, struct ed25519_public *out)
{
	(void)ctx, (void)service;
	*out = key.public_key;
	return !str_is(node_id, "stranger");
}

/* The header of a token by node/service, made out to n1/t4. */
static struct str bearer(struct arena *a, const char *scheme, const char *node_id, const char *service, const char *scope)
{
	struct buf token = {0};
	const struct sat t = {.node_id = str_from(node_id),
			      .service = str_from(service),
			      .audience = STR_LIT("n1/t4"),
			      .issued_at = NOW_S,
			      .expires = NOW_S + 60,
			      .id = STR_LIT("0123456789abcdef"),
			      .scope = str_from(scope)};
	sat_make(&t, &key, &token);
	struct str header = arena_printf(a, "%s%s", scheme, buf_z(&token));
	buf_free(&token);
	return header;
}

static void judged(void **state)
{
	(void)state;
	static const struct {
		const char *scheme, *node_id, *service, *scope, *asked;
		enum error_code code; /* ERR_COUNT: allowed */
	} cases[] = {
		{"Bearer ", "n1", "ledger", "content:put", "content:put", ERR_COUNT},
		{"bearer   ", "n1", "x-tool", "content:list content:put", "content:put", ERR_COUNT},
		{"Bearer ", "n1", "ledger", "content:put", "content:delete", ERR_SCOPE_MISSING},
		{"Bearer ", "n1", "ledger", NULL, "content:put", ERR_SCOPE_MISSING},
		{"Basic ", "n1", "ledger", "content:put", "content:put", ERR_UNAUTHENTICATED},
		{"", "n1", "ledger", "content:put", "content:put", ERR_UNAUTHENTICATED},
		{"Bearer x", "n1", "ledger", "content:put", "content:put", ERR_TOKEN_INVALID},
		{"Bearer ", "stranger", "ledger", "content:put", "content:put", ERR_TOKEN_INVALID},
		{"Bearer ", "n2", "ledger", "content:put", "content:put", ERR_COUNT},
		{"Bearer ", "n2", "ledger", "content:list", "content:list", ERR_COUNT},
		{"Bearer ", "n2", "ledger", "content:delete", "content:delete", ERR_NOT_ALLOWED},
		{"Bearer ", "n2", "mesh", "content:put", "content:put", ERR_NOT_ALLOWED},
		{"Bearer ", "n3", "ledger", "content:put", "content:put", ERR_NOT_ALLOWED},
		{"Bearer ", "n2", "mesh", "content:delete", "content:delete", ERR_COUNT},
	};
	struct access *a = access_new(STR_LIT("n1"), find_key, NULL);
	struct arena arena;
	struct error err;
	struct sat t;
	arena_init(&arena);
	assert_true(access_allow(a, "n2/ledger=content:put,content:list", &err));
	assert_true(access_allow(a, "n2/mesh=content:delete", &err));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str header = bearer(&arena, cases[i].scheme, cases[i].node_id, cases[i].service, cases[i].scope);
		bool ok = access_check(a, header, cases[i].asked, NOW_S, &t, &arena, &err);
		assert_int_equal(ok ? ERR_COUNT : err.code, cases[i].code);
	}
	assert_false(access_check(a, STR_NONE, "content:put", NOW_S, &t, &arena, &err));
	assert_int_equal(err.code, ERR_UNAUTHENTICATED);
	assert_false(access_check(a, bearer(&arena, "Bearer ", "n1", "ledger", "content:put"), "content:put", NOW_S + 61, &t, &arena, &err));
	assert_int_equal(err.code, ERR_TOKEN_EXPIRED);
	arena_free(&arena);
	access_free(a);
}

static void odd_grants(void **state)
{
	(void)state;
	static const char *const odd[] = {"",
					  "n2",
					  "n2/ledger",
					  "n2/ledger=",
					  "n2=content:put",
					  "n2=content:put/ledger",
					  "/ledger=content:put",
					  "n2/=content:put",
					  "N2/ledger=content:put",
					  "n2/ledger=content:write",
					  "n2/ledger=content:put,,content:list",
					  "n2/ledger=,content:put",
					  "n2/nothing=content:put"};
	struct access *a = access_new(STR_LIT("n1"), find_key, NULL);
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		assert_false(access_allow(a, odd[i], &err));
		assert_int_equal(err.code, ERR_CONFIG);
	}
	assert_true(access_allow(a, "n2/ledger=content:put content:delete content:list", &err));
	access_free(a);
}

static struct identity identity(uint64_t n)
{
	return (struct identity){.device = 1, .inode = n, .size = 10, .modified_ns = 100, .changed_ns = 200};
}

static void any_difference_is_another(void **state)
{
	(void)state;
	struct identity_set *set = identity_set_new(100);
	const struct hash h = {.b = {1}}, other = {.b = {2}};
	struct identity id = identity(1);
	assert_false(identity_known(set, &h, &id));
	identity_remember(set, &h, &id);
	assert_true(identity_known(set, &h, &id));
	assert_false(identity_known(set, &other, &id));
	struct identity changed[5] = {id, id, id, id, id};
	changed[0].device++;
	changed[1].inode++;
	changed[2].size++;
	changed[3].modified_ns++;
	changed[4].changed_ns++;
	for (size_t i = 0; i < ARRAY_LEN(changed); i++) {
		assert_false(identity_equal(&id, &changed[i]));
		assert_false(identity_known(set, &h, &changed[i]));
	}
	identity_set_free(set);
}

static void the_set_is_bounded(void **state)
{
	(void)state;
	enum { ROOM = 1024, MANY = 100000 };
	struct identity_set *set = identity_set_new(ROOM);
	const struct hash h = {.b = {1}};
	int known = 0;
	for (uint64_t i = 0; i < MANY; i++) {
		struct identity id = identity(i);
		identity_remember(set, &h, &id);
		identity_remember(set, &h, &id); /* takes no second place */
		assert_true(identity_known(set, &h, &id));
	}
	for (uint64_t i = 0; i < MANY; i++) {
		struct identity id = identity(i);
		known += identity_known(set, &h, &id);
	}
	assert_in_range(known, ROOM / 2, ROOM);
	identity_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judged),
		cmocka_unit_test(odd_grants),
		cmocka_unit_test(any_difference_is_another),
		cmocka_unit_test(the_set_is_bounded),
	};
	struct error err;
	if (!crypto_start(&err))
		return 1;
	ed25519_generate(&key);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
