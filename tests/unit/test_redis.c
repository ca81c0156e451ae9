/* The Redis room, against a redis-server of its own on a socket in a temporary folder; and the URLs it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "redis/redis.h"

enum { PATIENCE_MS = 20000 };

static char dir[] = "/tmp/tana-redis.XXXXXX";
static char url[128], sock[96];
static pid_t server;

static void nap(void)
{
	const struct timespec t = {.tv_nsec = 5000000};
	nanosleep(&t, NULL);
}

/* It is there when it answers: the socket's file is there before anybody listens on it. */
static void start_server(void)
{
	server = fork();
	if (server == 0) {
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "", "--appendonly", "no", "--logfile",
		       "/dev/null", "--requirepass", "p@ss", (char *)NULL);
		_exit(127);
	}
	struct error err;
	const struct redis_options o = {.url = url};
	for (int64_t end = clock_mono_ms() + PATIENCE_MS;; nap()) {
		struct redis *r = redis_new(&o, &err);
		struct arena a;
		assert_non_null(r);
		arena_init(&a);
		bool ok = redis_command(r, REDIS_WORDS(STR_LIT("AUTH"), STR_LIT("p@ss")), &a, NULL, &err);
		arena_free(&a);
		redis_free(r);
		if (ok)
			return;
		assert_true(clock_mono_ms() < end);
	}
}

static void stop_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(sock);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return -1;
	snprintf(sock, sizeof(sock), "%s/redis.sock", dir);
	snprintf(url, sizeof(url), "unix://%s", sock);
	start_server();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_server();
	return rmdir(dir);
}

static void urls(void **state)
{
	(void)state;
	static const char *const good[][2] = {
		{"redis://localhost", "redis://localhost:6379/0"},
		{"redis://10.0.0.1:7000/3", "redis://10.0.0.1:7000/3"},
		{"redis://:se%40cret@h/", "redis://h:6379/0"},
		{"redis://user:se@cret@h", "redis://user@h:6379/0"},
		{"redis://[::1]:6380", "redis://::1:6380/0"},
		{"unix:///run/redis.sock", "unix:///run/redis.sock"},
	};
	static const char *const bad[] = {"",           "localhost",           "rediss://h",        "redis://",          "redis://h:0",     "redis://h:65536",
					  "redis://h:x", "redis://u@h",         "redis://:%zz@h",    "redis://h/x",       "redis://h/-1",    "redis://h?db=1",
					  "unix://x",    "redis://[::1",        "redis://:%00@h",    "http://h",          "redis://h:",      "redis://:p%4@h"};
	char shown[128];
	struct error err;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(redis_url_display(good[i][0], shown, sizeof(shown)));
		assert_string_equal(shown, good[i][1]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (redis_url_check(bad[i], &err))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.code, ERR_CONFIG);
	}
	assert_false(redis_url_check("rediss://h", &err));
	assert_non_null(strstr(err.message, "TLS"));
}

/* The server of these tests wants a password, which a socket's URL has no place for. */
static struct redis *open_redis(void)
{
	struct error err;
	const struct redis_options o = {.url = url};
	struct redis *r = redis_new(&o, &err);
	assert_non_null(r);
	struct arena a;
	arena_init(&a);
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("AUTH"), STR_LIT("p@ss")), &a, NULL, &err));
	arena_free(&a);
	return r;
}

static void commands(void **state)
{
	(void)state;
	struct arena a;
	struct error err;
	struct redis_reply reply, replies[3];
	struct redis *r = open_redis();
	arena_init(&a);
	const struct str bytes = str_of("a\0b\r\n", 5);
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("SET"), STR_LIT("k"), bytes), &a, &reply, &err));
	assert_true(str_is(reply.text, "OK"));
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("GET"), STR_LIT("k")), &a, &reply, &err));
	assert_true(reply.type == REDIS_TYPE_TEXT && str_equal(reply.text, bytes));
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("GET"), STR_LIT("none")), &a, &reply, &err));
	assert_int_equal(reply.type, REDIS_TYPE_NULL);
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("INCR"), STR_LIT("n")), &a, &reply, &err));
	assert_true(reply.type == REDIS_TYPE_INT && reply.number == 1);
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("MGET"), STR_LIT("k"), STR_LIT("none")), &a, &reply, &err));
	assert_true(reply.type == REDIS_TYPE_LIST && reply.count == 2 && reply.items[1].type == REDIS_TYPE_NULL);
	/* A refusal is told, and the connection goes on. */
	assert_false(redis_command(r, REDIS_WORDS(STR_LIT("INCR"), STR_LIT("k")), &a, &reply, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	const struct str one[] = {STR_LIT("INCR"), STR_LIT("n")}, wrong[] = {STR_LIT("NOPE")};
	const struct redis_words batch[] = {{one, 2}, {wrong, 1}, {one, 2}}, good[] = {{one, 2}, {one, 2}};
	assert_false(redis_pipeline(r, batch, 3, &a, replies, &err));
	assert_int_equal(err.code, ERR_REFUSED);
	assert_true(redis_pipeline(r, good, 2, &a, replies, &err));
	assert_int_equal(replies[1].number, 5);
	arena_free(&a);
	redis_free(r);
}

static void wrong_password(void **state)
{
	(void)state;
	struct arena a;
	struct error err;
	const struct redis_options o = {.url = url};
	struct redis *r = redis_new(&o, &err);
	arena_init(&a);
	assert_false(redis_command(r, REDIS_WORDS(STR_LIT("PING")), &a, NULL, &err));
	assert_int_equal(err.code, ERR_REFUSED); /* NOAUTH */
	arena_free(&a);
	redis_free(r);
}

/* The server goes and comes back: commands fail meanwhile, at once and not after a timeout each, and work again afterwards. */
static void comes_back(void **state)
{
	(void)state;
	struct arena a;
	struct error err;
	struct redis *r = open_redis();
	arena_init(&a);
	stop_server();
	assert_false(redis_command(r, REDIS_WORDS(STR_LIT("PING")), &a, NULL, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	int64_t begin = clock_mono_ms();
	for (int i = 0; i < 1000; i++)
		assert_false(redis_command(r, REDIS_WORDS(STR_LIT("PING")), &a, NULL, &err));
	assert_true(clock_mono_ms() - begin < PATIENCE_MS);
	start_server();
	bool ok = false;
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; !ok && clock_mono_ms() < end; nap())
		ok = redis_command(r, REDIS_WORDS(STR_LIT("AUTH"), STR_LIT("p@ss")), &a, NULL, &err);
	assert_true(ok);
	arena_free(&a);
	redis_free(r);
}

struct heard {
	pthread_mutex_t lock;
	int anew, count;
	char last[32];
};
static void on_heard(void *ctx, struct str message)
{
	struct heard *h = ctx;
	pthread_mutex_lock(&h->lock);
	h->count++;
	snprintf(h->last, sizeof(h->last), "%.*s", STR_ARG(message));
	pthread_mutex_unlock(&h->lock);
}
static void on_anew(void *ctx)
{
	struct heard *h = ctx;
	pthread_mutex_lock(&h->lock);
	h->anew++;
	pthread_mutex_unlock(&h->lock);
}
static bool reached(struct heard *h, int anew, const char *last)
{
	bool ok = false;
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; !ok && clock_mono_ms() < end; nap()) {
		pthread_mutex_lock(&h->lock);
		ok = h->anew >= anew && strcmp(h->last, last) == 0;
		pthread_mutex_unlock(&h->lock);
	}
	return ok;
}

static void subscribers(void **state)
{
	(void)state;
	struct heard h = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct error err;
	struct arena a;
	arena_init(&a);
	struct redis *r = open_redis();
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("CONFIG"), STR_LIT("SET"), STR_LIT("requirepass"), STR_LIT("")), &a, NULL, &err));
	const struct redis_subscribe_options o = {.url = url, .channel = "news", .heard = on_heard, .anew = on_anew, .ctx = &h};
	struct redis_subscriber *s = redis_subscribe(&o, &err);
	assert_non_null(s);
	assert_true(reached(&h, 1, ""));
	assert_true(redis_subscribed(s));
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("PUBLISH"), STR_LIT("other"), STR_LIT("no")), &a, NULL, &err));
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("PUBLISH"), STR_LIT("news"), STR_LIT("one")), &a, NULL, &err));
	assert_true(reached(&h, 1, "one"));
	assert_int_equal(h.count, 1);
	/* Thrown out by the server: it subscribes again, and says so. */
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("CLIENT"), STR_LIT("KILL"), STR_LIT("TYPE"), STR_LIT("pubsub")), &a, NULL, &err));
	assert_true(reached(&h, 2, "one"));
	assert_true(redis_command(r, REDIS_WORDS(STR_LIT("PUBLISH"), STR_LIT("news"), STR_LIT("two")), &a, NULL, &err));
	assert_true(reached(&h, 2, "two"));
	redis_unsubscribe(s);
	redis_unsubscribe(NULL);
	arena_free(&a);
	redis_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),       cmocka_unit_test(commands),    cmocka_unit_test(wrong_password),
		cmocka_unit_test(comes_back), cmocka_unit_test(subscribers),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
