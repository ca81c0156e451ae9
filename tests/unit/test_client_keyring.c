/* client: the keyring, against a small mesh in this process. */
#include <sys/stat.h>

#include "base/file.h"
#include "client/keyring.h"
#include "client/keyring_copy.h"
#include "http_fixture.h"

/* ---- A mesh that says what it is told to ---- */

enum { NODES_MAX = 8, TURN_MS = 100 };

static struct {
	pthread_mutex_t lock;
	const char *answers[NODES_MAX]; /* by page; the query's cursor is the page's number */
	bool fails, hangs;
	int requests;
} mesh = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct http_reply *get_nodes(struct http_request *r)
{
	struct str cursor = http_query_text(r, "cursor", 0);
	int64_t page = 0;
	struct buf body = {0};
	if (str_present(cursor))
		assert_true(str_to_int64(cursor, &page));
	pthread_mutex_lock(&mesh.lock);
	mesh.requests++;
	bool fails = mesh.fails, hangs = mesh.hangs;
	buf_puts(&body, mesh.answers[page]);
	pthread_mutex_unlock(&mesh.lock);
	while (hangs) {
		nap(10);
		pthread_mutex_lock(&mesh.lock);
		hangs = mesh.hangs;
		pthread_mutex_unlock(&mesh.lock);
	}
	if (!fails)
		return http_reply_bytes(r, 200, NULL, &body);
	buf_free(&body);
	return http_reply_error_code(r, ERR_UNAVAILABLE, "no database");
}

static const struct http_param nodes_params[] = {{.name = "status", .type = PARAM_TEXT, .max = 16, .doc = "which"},
						 {.name = "limit", .type = PARAM_INT, .min = 1, .max = 1000, .doc = "how many"},
						 {.name = "cursor", .type = PARAM_TEXT, .max = 100, .doc = "where"},
						 {.name = NULL}};
static const struct http_route mesh_routes[] = {{.method = HTTP_GET,
						 .path = "/nodes",
						 .handler = get_nodes,
						 .params = nodes_params,
						 .answers = text_answers,
						 .errors = no_errors,
						 .summary = "Nodes"}};

static void mesh_says(const char *first, const char *second)
{
	pthread_mutex_lock(&mesh.lock);
	mesh.answers[0] = first;
	mesh.answers[1] = second;
	mesh.fails = mesh.hangs = false;
	pthread_mutex_unlock(&mesh.lock);
}

static void mesh_sets(bool *what, bool value)
{
	pthread_mutex_lock(&mesh.lock);
	*what = value;
	pthread_mutex_unlock(&mesh.lock);
}

static int mesh_requests(void)
{
	pthread_mutex_lock(&mesh.lock);
	int n = mesh.requests;
	pthread_mutex_unlock(&mesh.lock);
	return n;
}

static struct http_server *server;
static char url[64], cache[128];

static int setup(void **state)
{
	struct http_options o = {.service = "mesh", .listen = "127.0.0.1:0", .workers = 4, .routes = mesh_routes,
				 .route_count = ARRAY_LEN(mesh_routes), .rate_exempt_loopback = true};
	(void)state;
	server = start(&o);
	snprintf(url, sizeof url, "http://%s", http_server_address(server));
	snprintf(cache, sizeof cache, "/tmp/tana-keyring-%d.json", (int)getpid());
	unlink(cache);
	mesh.requests = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mesh_sets(&mesh.hangs, false);
	http_server_stop(server, 1000);
	unlink(cache);
	return 0;
}

/* ---- Sample keys ---- */

#define KEY_A "ed25519_d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define KEY_B "ed25519_3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define SMALL "ed25519_0100000000000000000000000000000000000000000000000000000000000000"
#define SERVICE(type, key) "{\"service_type\":\"" type "\",\"port\":1,\"public_key\":\"" key "\",\"healthy\":null}"
#define NODE(id, status, services) "{\"id\":\"" id "\",\"status\":\"" status "\",\"region\":\"x\",\"services\":[" services "]}"
#define PAGE(nodes) "{\"nodes\":[" nodes "]}"
#define PAGE_THEN(nodes, cursor) "{\"nodes\":[" nodes "],\"nextCursor\":\"" cursor "\"}"

static struct keyring *ring(const char *mesh_url, int64_t refresh_ms, const char *file)
{
	struct error err = {0};
	struct keyring_options o = {.mesh_url = mesh_url, .refresh_ms = refresh_ms, .cache_file = file, .user_agent = "test"};
	struct keyring *k = keyring_start(&o, &err);
	if (!k)
		fail_msg("%s", err.message);
	return k;
}

/* Is this the key of node/service? text NULL: it must be unknown. */
static void expect_key(struct keyring *k, const char *node, const char *service, const char *text)
{
	struct ed25519_public got;
	char said[ED25519_PUBLIC_TEXT_LEN + 1] = "unknown";
	if (keyring_key(k, str_from(node), str_from(service), &got))
		ed25519_public_to_text(&got, said);
	assert_string_equal(said, text ? text : "unknown");
}

static size_t keys_of(struct keyring *k)
{
	size_t n;
	int64_t read_at;
	keyring_state(k, &read_at, &n);
	return n;
}

/* ---- Tests ---- */

static void keys_come_from_every_page(void **state)
{
	(void)state;
	mesh_says(PAGE_THEN(NODE("a", "active", SERVICE("t4", KEY_A) "," SERVICE("ledger", KEY_B)) ","
			    NODE("gone", "offline", SERVICE("t4", KEY_A)), "1"),
		  PAGE(NODE("b", "active", SERVICE("ledger", KEY_A) "," SERVICE("x-small", SMALL)) "," NODE("c", "active", "")));
	struct keyring *k = ring(url, 0, NULL);
	expect_key(k, "a", "t4", KEY_A); /* the first asks before the first copy is there: it is waited for */
	expect_key(k, "a", "ledger", KEY_B);
	expect_key(k, "b", "ledger", KEY_A);
	expect_key(k, "gone", "t4", NULL); /* not active */
	expect_key(k, "b", "x-small", NULL); /* a key that verifies nothing */
	expect_key(k, "c", "t4", NULL);
	assert_int_equal(keys_of(k), 3);
	keyring_stop(k);
}

static void an_unknown_key_is_asked_for_once_in_a_while(void **state)
{
	(void)state;
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_A))), NULL);
	struct keyring *k = ring(url, 0, NULL);
	expect_key(k, "a", "t4", KEY_A);
	assert_int_equal(mesh_requests(), 1);
	for (int i = 0; i < 50; i++)
		expect_key(k, "late", "t4", NULL);
	assert_int_equal(mesh_requests(), 1); /* the last reading was less than a second ago */
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_B)) "," NODE("late", "active", SERVICE("t4", KEY_A))), NULL);
	nap(1050);
	expect_key(k, "late", "t4", KEY_A);
	expect_key(k, "a", "t4", KEY_B); /* rotated: the new copy replaces the old one */
	assert_int_equal(mesh_requests(), 2);
	keyring_stop(k);
}

static void it_is_refreshed_in_the_background(void **state)
{
	(void)state;
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_A))), NULL);
	struct keyring *k = ring(url, TURN_MS, NULL);
	expect_key(k, "a", "t4", KEY_A);
	mesh_says(PAGE(""), NULL); /* removed */
	wait_until(keys_of(k) == 0);
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_B))), NULL);
	wait_until(keys_of(k) == 1);
	expect_key(k, "a", "t4", KEY_B);
	keyring_stop(k);
}

static void it_goes_on_while_mesh_is_away(void **state)
{
	int64_t before, after;
	size_t n;
	(void)state;
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_A))), NULL);
	struct keyring *k = ring(url, TURN_MS, NULL);
	expect_key(k, "a", "t4", KEY_A);
	mesh_sets(&mesh.fails, true);
	int asked = mesh_requests();
	wait_until(mesh_requests() > asked + 1);
	keyring_state(k, &before, &n);
	nap(3 * TURN_MS);
	expect_key(k, "a", "t4", KEY_A);
	expect_key(k, "b", "t4", NULL); /* never open */
	keyring_state(k, &after, &n);
	assert_int_equal(before, after); /* old, and known to be */
	/* Answers that are none leave the copy alone too. */
	static const char *const nonsense[] = {"", "[]", "{}", "{\"nodes\":[{\"id\":\"a\"}]}", PAGE(NODE("A B", "active", "")),
					       PAGE(NODE("a", "active", SERVICE("t4", "ed25519_xyz"))), PAGE_THEN("", "0"),
					       PAGE_THEN("", "1")};
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		mesh_says(nonsense[i], PAGE_THEN("", "1")); /* the last two: pages without end */
		asked = mesh_requests();
		wait_until(mesh_requests() > asked);
		expect_key(k, "a", "t4", KEY_A);
	}
	keyring_stop(k);
}

static void a_mesh_that_hangs_holds_nobody_for_long(void **state)
{
	(void)state;
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_A))), NULL);
	mesh_sets(&mesh.hangs, true);
	struct keyring *k = ring(url, 0, NULL);
	assert_int_equal(keyring_trust(k, "hand/ledger=" KEY_B, &(struct error){0}), true);
	int64_t begin = clock_mono_ms();
	expect_key(k, "hand", "ledger", KEY_B); /* at once */
	assert_true(since(begin) < 500);
	expect_key(k, "a", "t4", NULL);
	assert_in_range(since(begin), 1500, 3500);
	begin = clock_mono_ms();
	for (int i = 0; i < 100; i++)
		expect_key(k, "a", "t4", NULL); /* the reading under way is given up on */
	assert_true(since(begin) < 20000); /* and not waited for 2 s a hundred times */
	mesh_sets(&mesh.hangs, false);
	wait_until(keys_of(k) == 2);
	expect_key(k, "a", "t4", KEY_A);
	keyring_stop(k);
}

static void the_copy_outlives_a_restart(void **state)
{
	struct stat st;
	struct error err;
	(void)state;
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_A)) "," NODE("b", "active", SERVICE("ledger", KEY_B))), NULL);
	struct keyring *k = ring(url, 0, cache);
	expect_key(k, "a", "t4", KEY_A);
	keyring_stop(k);
	assert_int_equal(stat(cache, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	mesh_sets(&mesh.fails, true);
	k = ring(url, 0, cache);
	expect_key(k, "a", "t4", KEY_A);
	expect_key(k, "b", "ledger", KEY_B);
	assert_int_equal(keys_of(k), 2);
	keyring_stop(k);
	/* A damaged copy is none. */
	static const char *const damaged[] = {"", "{\"readAt\":1,\"keys\":[{\"name\":\"a/t4\",\"publicKey\":\"" SMALL "\"}]}",
					      "{\"readAt\":1,\"keys\":[{\"name\":\"a/t4\"",
					      "{\"keys\":[]}"};
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		assert_true(file_write_atomic(cache, str_from(damaged[i]), 0600, FILE_REPLACE, &err));
		k = ring(url, 0, cache);
		expect_key(k, "a", "t4", NULL);
		keyring_stop(k);
	}
}

static void keys_by_hand(void **state)
{
	struct error err;
	static const char *const bad[] = {"", "a", "a/t4", "a/t4=", "a/t4=xyz", "/t4=" KEY_A, "a/=" KEY_A, "a/redis=" KEY_A, "A/t4=" KEY_A,
					  "a=t4/" KEY_A, "a/t4=" SMALL};
	(void)state;
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_A))), NULL);
	struct keyring *k = ring(NULL, 0, cache);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err.code = ERR_COUNT;
		assert_false(keyring_trust(k, bad[i], &err));
		assert_int_equal(err.code, ERR_CONFIG);
	}
	assert_int_equal(keys_of(k), 0);
	expect_key(k, "a", "t4", NULL); /* no mesh to ask */
	assert_true(keyring_trust(k, "a/t4=" KEY_A, &err));
	expect_key(k, "a", "t4", KEY_A);
	assert_true(keyring_trust(k, "a/t4=3D4017C3E843895A92B70AA74D1B7EBC9C982CCF2EC4968CC0CD55F12AF4660C", &err));
	expect_key(k, "a", "t4", KEY_B); /* the latest word */
	assert_false(file_exists(cache));
	keyring_stop(k);
	k = ring(url, 0, NULL);
	expect_key(k, "a", "t4", KEY_A);
	assert_true(keyring_trust(k, "a/t4=" KEY_B, &err));
	expect_key(k, "a", "t4", KEY_B); /* before mesh's */
	char longest[200];
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	expect_key(k, longest, "t4", NULL);
	keyring_stop(k);
	keyring_stop(NULL);
	struct keyring_options o = {.mesh_url = "ftp://x", .user_agent = "test"};
	assert_null(keyring_start(&o, &err));
	assert_int_equal(err.code, ERR_CONFIG);
}

static void *ask_and_ask(void *ctx)
{
	struct keyring *k = ctx;
	for (int i = 0; i < 2000; i++) {
		expect_key(k, "a", "t4", KEY_A);
		if (i % 100 == 0)
			expect_key(k, "nobody", "t4", NULL);
	}
	return NULL;
}

static void many_ask_at_once(void **state)
{
	pthread_t threads[4];
	(void)state;
	mesh_says(PAGE(NODE("a", "active", SERVICE("t4", KEY_A))), NULL);
	struct keyring *k = ring(url, 5, NULL);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_and_ask, k), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	keyring_stop(k);
}

int main(void)
{
	struct error err;
	if (!crypto_start(&err) || !log_open("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, NULL, &err))
		return 1;
#define IN_MESH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_MESH(keys_come_from_every_page),
		IN_MESH(an_unknown_key_is_asked_for_once_in_a_while),
		IN_MESH(it_is_refreshed_in_the_background),
		IN_MESH(it_goes_on_while_mesh_is_away),
		IN_MESH(a_mesh_that_hangs_holds_nobody_for_long),
		IN_MESH(the_copy_outlives_a_restart),
		IN_MESH(keys_by_hand),
		IN_MESH(many_ask_at_once),
	};
	return cmocka_run_group_tests_name("client_keyring", tests, NULL, NULL);
}
