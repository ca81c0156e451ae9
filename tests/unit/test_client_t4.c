/*
 * client: the t4 client, against a store that answers what a script says. What the tana command uses of it is tested with real stores
 * too.
 */
#include <fcntl.h>

#include "scripted_server.h"

#include "base/clock.h"
#include "client/t4_client.h"
#include "http/client.h"
#include "wire/sat.h"

static struct ed25519_secret key;

static struct t4_client *begin(struct script *s, const struct step *steps)
{
	struct error err = {0};
	script_begin(s, steps);
	struct t4_client_options o = {.base_url = s->url, .user_agent = "tana-test/1", .timeout_ms = 5000};
	struct t4_client *c = t4_client_new(&o, &err);
	assert_non_null(c);
	assert_string_equal(t4_client_url(c), s->url);
	t4_client_sign_as(c, STR_LIT("n1"), STR_LIT("ledger"), STR_NONE, &key);
	return c;
}

static void end(struct script *s, struct t4_client *c)
{
	t4_client_free(c);
	script_end(s);
}

#define HELLO_HASH "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define OTHER_HASH "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7" /* of "world" */
#define JSON(status, body) "HTTP/1.1 " status "\r\n", body
#define STORED(hash, size) "{\"hash\":\"" hash "\",\"size\":" size ",\"stored\":true}"

static struct hash hello(void)
{
	struct hash h;
	assert_true(hash_from_text(STR_LIT(HELLO_HASH), &h));
	return h;
}

/* ---- Tokens ---- */

static bool give_key(void *ctx, struct str node_id, struct str service, struct ed25519_public *out)
{
	(void)ctx;
	*out = key.public_key;
	return str_is(node_id, "n1") && str_is(service, "ledger");
}

/* The token a request carried, judged as t4 of n1 would. */
static struct sat token_of(const char *head, struct arena *a)
{
	struct sat t;
	struct error err;
	const char *begin = strstr(head, "\r\nAuthorization: Bearer ");
	assert_non_null(begin);
	begin += strlen("\r\nAuthorization: Bearer ");
	bool ok = sat_check(str_of(begin, strcspn(begin, "\r")), STR_LIT("n1"), STR_LIT("t4"), clock_wall_ms() / 1000, give_key, NULL, &t,
			    a, &err);
	if (!ok)
		fail_msg("%s", err.message);
	return t;
}

static void stores_are_signed_for_what_they_store(void **state)
{
	static const struct step steps[] = {{JSON("201 Created", STORED(HELLO_HASH, "5")), false},
					    {JSON("200 OK", "{\"hash\":\"" HELLO_HASH "\",\"deleted\":true}"), false},
					    {NULL, NULL, false}};
	struct script s;
	struct arena a;
	struct error err;
	struct hash hash, want = hello();
	bool stored = false;
	(void)state;
	arena_init(&a);
	struct t4_client *c = begin(&s, steps);
	assert_true(t4_store(c, "hello", 5, &hash, &stored, &err));
	assert_true(stored && hash_equal(&hash, &want));
	assert_has(s.head[0], "PUT /content/" HELLO_HASH " HTTP/1.1\r\n");
	assert_has(s.head[0], "Content-Type: application/octet-stream\r\n");
	assert_has(s.head[0], "Content-Length: 5\r\n");
	assert_string_equal(buf_z(&s.body[0]), "hello");
	struct sat t = token_of(s.head[0], &a);
	assert_true(sat_has_scope(&t, T4_SCOPE_PUT, &err) && !sat_has_scope(&t, T4_SCOPE_DELETE, &err));
	assert_true(t.has_content && hash_equal(&t.content, &want) && t.has_size && t.size == 5);
	assert_in_range(t.expires - t.issued_at, 1, SAT_LIFETIME_DEFAULT_S);
	assert_true(t4_delete(c, &want, &err));
	t = token_of(s.head[1], &a);
	assert_true(sat_has_scope(&t, T4_SCOPE_DELETE, &err) && !sat_has_scope(&t, T4_SCOPE_PUT, &err));
	assert_true(t.has_content && hash_equal(&t.content, &want) && !t.has_size);
	end(&s, c);
	arena_free(&a);
}

static void a_grant_is_shown_as_it_is(void **state)
{
	static const struct step steps[] = {{JSON("201 Created", STORED(HELLO_HASH, "5")), false}, {NULL, NULL, false}};
	struct script s;
	struct error err;
	struct hash hash;
	(void)state;
	struct t4_client *c = begin(&s, steps);
	t4_client_use_token(c, STR_LIT("a.b.c"));
	assert_true(t4_store(c, "hello", 5, &hash, NULL, &err));
	assert_has(s.head[0], "\r\nAuthorization: Bearer a.b.c\r\n");
	end(&s, c);
}

static void without_a_key_nothing_is_sent(void **state)
{
	struct error err;
	struct hash hash;
	struct t4_client_options o = {.base_url = "http://127.0.0.1:1", .user_agent = "t"};
	(void)state;
	struct t4_client *c = t4_client_new(&o, &err);
	assert_non_null(c);
	assert_false(t4_store(c, "hello", 5, &hash, NULL, &err));
	assert_int_equal(err.code, ERR_KEY_NEEDED);
	t4_client_free(c);
	t4_client_free(NULL);
	o.base_url = "ftp://x";
	assert_null(t4_client_new(&o, &err));
	assert_int_equal(err.code, ERR_CONFIG);
}

static void answers_that_are_none(void **state)
{
	static const struct step steps[] = {{JSON("201 Created", STORED(OTHER_HASH, "5")), false},
					    {JSON("201 Created", STORED(HELLO_HASH, "6")), false},
					    {JSON("201 Created", "{}"), false},
					    {JSON("200 OK", ""), false},
					    {JSON("403 Forbidden",
						  "{\"error\":\"no\",\"code\":\"token_bound\",\"hint\":\"ask for another\"}"), false},
					    {JSON("500 Oops", "oops"), false},
					    {NULL, NULL, false}};
	static const enum error_code codes[] = {ERR_BAD_ANSWER, ERR_BAD_ANSWER, ERR_BAD_ANSWER, ERR_BAD_ANSWER, ERR_TOKEN_BOUND,
						ERR_BAD_ANSWER};
	struct script s;
	struct error err;
	struct hash hash;
	(void)state;
	struct t4_client *c = begin(&s, steps);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		err.code = ERR_COUNT;
		assert_false(t4_store(c, "hello", 5, &hash, NULL, &err));
		assert_int_equal(err.code, codes[i]);
	}
	end(&s, c);
}

static void what_is_fetched_into_memory_is_checked(void **state)
{
	static const struct step steps[] = {{JSON("200 OK", "hello"), false},
					    {JSON("200 OK", "hellO"), false},
					    {JSON("200 OK", "hello!"), false},
					    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", NULL, true},
					    {JSON("404 Not Found", "{\"error\":\"no such\",\"code\":\"unknown_content\"}"), false},
					    {NULL, NULL, false}};
	struct script s;
	struct error err;
	struct hash hash = hello();
	struct buf out = {0};
	(void)state;
	struct t4_client *c = begin(&s, steps);
	buf_puts(&out, "before ");
	assert_true(t4_fetch(c, &hash, 5, &out, &err));
	assert_string_equal(buf_z(&out), "before hello");
	assert_null(strstr(s.head[0], "Authorization"));
	static const enum error_code codes[] = {ERR_CORRUPT, ERR_TOO_LARGE, ERR_UNREACHABLE, ERR_UNKNOWN_CONTENT};
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		err.code = ERR_COUNT;
		assert_false(t4_fetch(c, &hash, 5, &out, &err));
		assert_int_equal(err.code, codes[i]);
		assert_string_equal(buf_z(&out), "before hello");
	}
	buf_free(&out);
	end(&s, c);
}

static void is_it_there(void **state)
{
	static const struct step steps[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 12345678901\r\n\r\n", NULL, false},
					    {"HTTP/1.1 404 Not Found\r\nContent-Length: 44\r\n\r\n", NULL, false},
					    {"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\n", NULL, false},
					    {NULL, NULL, false}};
	struct script s;
	struct error err;
	struct hash hash = hello();
	bool there;
	int64_t size;
	(void)state;
	struct t4_client *c = begin(&s, steps);
	assert_true(t4_exists(c, &hash, &there, &size, &err) && there);
	assert_int_equal(size, INT64_C(12345678901));
	assert_has(s.head[0], "HEAD /content/" HELLO_HASH " HTTP/1.1\r\n");
	assert_true(t4_exists(c, &hash, &there, NULL, &err) && !there);
	assert_false(t4_exists(c, &hash, &there, NULL, &err));
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	end(&s, c);
}

static void which_are_missing(void **state)
{
	static const struct step steps[] = {{JSON("200 OK", "{\"missing\":[\"" OTHER_HASH "\"]}"), false},
					    {JSON("200 OK", "{\"missing\":[]}"), false},
					    {NULL, NULL, false}};
	enum { MANY = T4_MISSING_MAX + 1 };
	struct script s;
	struct error err;
	(void)state;
	struct t4_client *c = begin(&s, steps);
	struct hash *all = calloc(MANY, sizeof *all);
	bool *missing = malloc(MANY);
	assert_true(all && missing);
	for (uint32_t i = 0; i < MANY; i++)
		sha256(&all[i], &i, sizeof i);
	assert_true(hash_from_text(STR_LIT(OTHER_HASH), &all[7]));
	memset(missing, 1, MANY);
	assert_true(t4_missing(c, all, MANY, missing, &err));
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(missing[i], i == 7);
	assert_int_equal(s.requests, 2); /* ten thousand a question */
	assert_has(buf_z(&s.body[0]), OTHER_HASH);
	free(all);
	free(missing);
	end(&s, c);
}

static bool count_entries(void *ctx, const struct hash *hash, int64_t size)
{
	int *n = ctx;
	(void)hash;
	*n += (int)size;
	return *n < 30;
}

#define ROW(hash, size) "{\"hash\":\"" hash "\",\"size\":" size "}"

static void lists_come_page_by_page(void **state)
{
	static const struct step steps[] = {
		{JSON("200 OK", "{\"content\":[" ROW(HELLO_HASH, "10") "],\"nextCursor\":\"a b\"}"), false},
		{JSON("200 OK", "{\"content\":[" ROW(OTHER_HASH, "15") "]}"), false},
		{JSON("200 OK", "{\"content\":[" ROW(HELLO_HASH, "50") "],\"nextCursor\":\"a b\"}"), false},
		{JSON("200 OK", "{\"content\":[" ROW(HELLO_HASH, "10") "],\"nextCursor\":\"a b\"}"), false},
		{JSON("200 OK", "{\"content\":[" ROW(HELLO_HASH, "10") "],\"nextCursor\":\"a b\"}"), false},
		{NULL, NULL, false}};
	struct script s;
	struct error err;
	struct arena a;
	int sum = 0;
	(void)state;
	arena_init(&a);
	struct t4_client *c = begin(&s, steps);
	assert_true(t4_list(c, "ab", count_entries, &sum, &err));
	assert_int_equal(sum, 25);
	assert_has(s.head[0], "GET /content?limit=1000&prefix=ab HTTP/1.1\r\n");
	assert_has(s.head[1], "GET /content?limit=1000&prefix=ab&cursor=a%20b HTTP/1.1\r\n");
	struct sat t = token_of(s.head[1], &a);
	assert_true(sat_has_scope(&t, T4_SCOPE_LIST, &err) && !t.has_content);
	sum = 0;
	assert_true(t4_list(c, "", count_entries, &sum, &err)); /* `each` has enough */
	assert_int_equal(s.requests, 3);
	sum = 0;
	assert_false(t4_list(c, "", count_entries, &sum, &err)); /* the same page for ever */
	assert_int_equal(err.code, ERR_BAD_ANSWER);
	end(&s, c);
	arena_free(&a);
}

static void stats_are_read(void **state)
{
	static const struct step steps[] = {
		{JSON("200 OK", "{\"objects\":3,\"bytes\":4,\"complete\":false,\"freeBytes\":5,\"x\":{}}"), false}, {NULL, NULL, false}};
	struct script s;
	struct error err;
	struct arena a;
	struct t4_stats stats;
	(void)state;
	arena_init(&a);
	struct t4_client *c = begin(&s, steps);
	assert_true(t4_stats(c, &a, &stats, &err));
	assert_true(stats.objects == 3 && stats.bytes == 4 && stats.complete == JSON_FALSE && stats.free_bytes == 5 && !stats.scrub);
	end(&s, c);
	arena_free(&a);
}

/* A file that is sent whole, asked for first, and again when the kept connection was dead. */
static void files_are_sent_as_they_are(void **state)
{
	enum { SIZE = 300000 };
	char text[HASH_TEXT_LEN + 1], body[160];
	struct script s;
	struct error err;
	struct hash hash;
	int64_t size;
	(void)state;
	int fd = t4_temporary_file(&err);
	assert_true(fd >= 0);
	char *data = malloc(SIZE);
	assert_non_null(data);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7);
	assert_int_equal(write(fd, data, SIZE), SIZE);
	sha256(&hash, data, SIZE);
	hash_to_text(&hash, text);
	snprintf(body, sizeof body, "{\"hash\":\"%s\",\"size\":%d,\"stored\":false}", text, SIZE);
	const struct step steps[] = {{JSON("200 OK", body), true}, {JSON("200 OK", body), true}, {JSON("200 OK", body), true},
				     {NULL, NULL, false}};
	struct t4_client *c = begin(&s, steps);
	struct hash again;
	bool stored = true;
	assert_true(t4_hash_file(c, fd, &again, &size, &err));
	assert_true(hash_equal(&hash, &again) && size == SIZE);
	for (int i = 0; i < 2; i++) {
		assert_true(t4_store_file(c, fd, &hash, size, &stored, &err));
		assert_false(stored);
		assert_int_equal(s.body[i].len, SIZE);
		assert_memory_equal(s.body[i].data, data, SIZE);
		assert_has(s.head[i], "Expect: 100-continue\r\n");
	}
	/* It became shorter: nothing goes on as if it had not. */
	assert_int_equal(ftruncate(fd, SIZE / 2), 0);
	assert_false(t4_store_file(c, fd, &hash, size, &stored, &err));
	assert_int_equal(err.code, ERR_IO);
	close(fd);
	free(data);
	end(&s, c);
}

static void an_interrupt_ends_a_transfer(void **state)
{
	static const struct step steps[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", NULL, false}, {NULL, NULL, false}};
	static const volatile int stop = 1;
	struct script s;
	struct error err;
	struct hash hash = hello();
	struct buf out = {0};
	char url[64];
	(void)state;
	struct t4_client *first = begin(&s, steps);
	snprintf(url, sizeof url, "%s", t4_client_url(first));
	struct t4_client_options o = {.base_url = url, .user_agent = "t", .stop = &stop};
	struct t4_client *c = t4_client_new(&o, &err);
	assert_non_null(c);
	int64_t begin_ms = clock_mono_ms();
	assert_false(t4_fetch(c, &hash, 5, &out, &err));
	assert_int_equal(err.code, ERR_INTERRUPTED);
	assert_true(clock_mono_ms() - begin_ms < 3000);
	t4_client_free(c);
	buf_free(&out);
	end(&s, first);
}

int main(void)
{
	struct error err;
	if (!crypto_start(&err))
		return 1;
	ed25519_generate(&key);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stores_are_signed_for_what_they_store),
		cmocka_unit_test(a_grant_is_shown_as_it_is),
		cmocka_unit_test(without_a_key_nothing_is_sent),
		cmocka_unit_test(answers_that_are_none),
		cmocka_unit_test(what_is_fetched_into_memory_is_checked),
		cmocka_unit_test(is_it_there),
		cmocka_unit_test(which_are_missing),
		cmocka_unit_test(lists_come_page_by_page),
		cmocka_unit_test(stats_are_read),
		cmocka_unit_test(files_are_sent_as_they_are),
		cmocka_unit_test(an_interrupt_ends_a_transfer),
	};
	return cmocka_run_group_tests_name("client_t4", tests, NULL, NULL);
}
