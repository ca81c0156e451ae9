/* Transactions waiting in Redis, against a redis-server of its own on a socket in a temporary folder; the core is played by a recorder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ledgerd/mempool_redis.h"
#include "redis/redis.h"

enum { PATIENCE_MS = 30000, MESSAGES_MAX = 4096 };

static char dir[] = "/tmp/tana-mempool.XXXXXX";
static char url[128], sock[96];
static pid_t server;

static void nap(void)
{
	const struct timespec t = {.tv_nsec = 5000000};
	nanosleep(&t, NULL);
}

static void start_server(const char *appendonly, const char *fsync)
{
	server = fork();
	if (server == 0) {
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", sock, "--dir", dir, "--save", "", "--appendonly", appendonly,
		       "--appendfsync", fsync, "--logfile", "/dev/null", (char *)NULL);
		_exit(127);
	}
	struct error err;
	const struct redis_options o = {.url = url};
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	for (;;) {
		struct redis *r = redis_new(&o, &err);
		struct arena a;
		arena_init(&a);
		bool ok = redis_command(r, REDIS_WORDS(STR_LIT("PING")), &a, NULL, &err);
		arena_free(&a);
		redis_free(r);
		if (ok)
			return;
		assert_true(clock_mono_ms() < end);
		nap();
	}
}

static void stop_server(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	unlink(sock);
}

static void run_rm(const char *what)
{
	char command[160];
	snprintf(command, sizeof(command), "rm -rf '%s'%s", dir, what);
	assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return -1;
	snprintf(sock, sizeof(sock), "%s/redis.sock", dir);
	snprintf(url, sizeof(url), "unix://%s", sock);
	start_server("yes", "always");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_server();
	run_rm("");
	return 0;
}

/* One command; whole numbers as they are, lists by their length, else 0. */
static int64_t ask(const struct str *words, size_t count)
{
	struct error err = {.message = ""};
	struct arena a;
	struct redis_reply reply;
	const struct redis_options o = {.url = url};
	struct redis *r = redis_new(&o, &err);
	arena_init(&a);
	if (!redis_command(r, words, count, &a, &reply, &err))
		fail_msg("%s", err.message);
	int64_t value = reply.type == REDIS_TYPE_INT ? reply.number : (int64_t)reply.count;
	arena_free(&a);
	redis_free(r);
	return value;
}

static int64_t stream_length(void)
{
	return ask(REDIS_WORDS(STR_LIT("XLEN"), STR_LIT("tx:pending")));
}

/* Names and values of a pipeline's settings, changed while the server runs. */
static void configure(const char *name, const char *value)
{
	(void)ask(REDIS_WORDS(STR_LIT("CONFIG"), STR_LIT("SET"), str_from(name), str_from(value)));
}

/* ---- the core's part ---- */

struct recorder {
	pthread_mutex_t lock;
	struct mempool_store *store;
	char messages[MESSAGES_MAX][24]; /* in the order of their offers */
	struct mempool_handle handles[MESSAGES_MAX];
	int offers, moved, caught_up, later; /* later: so many offers get no verdict */
	bool settles; /* says OFFER_SETTLED */
};

static enum mempool_offer on_offer(void *ctx, const struct mempool_entry *e, struct error *err)
{
	struct recorder *r = ctx;
	enum mempool_offer answer = r->settles ? OFFER_SETTLED : OFFER_WAITS;
	pthread_mutex_lock(&r->lock);
	if (r->later > 0) {
		r->later--;
		answer = OFFER_LATER;
		error_set(err, ERR_UNAVAILABLE, "not now");
	} else {
		invariant(r->offers < MESSAGES_MAX && e->message.n < sizeof(r->messages[0]) && e->received_at > 0);
		memcpy(r->messages[r->offers], e->message.p, e->message.n);
		r->messages[r->offers][e->message.n] = '\0';
		r->handles[r->offers++] = e->handle;
	}
	pthread_mutex_unlock(&r->lock);
	return answer;
}

static void on_caught_up(void *ctx)
{
	struct recorder *r = ctx;
	pthread_mutex_lock(&r->lock);
	r->caught_up++;
	pthread_mutex_unlock(&r->lock);
}

static void on_moved(void *ctx)
{
	struct recorder *r = ctx;
	pthread_mutex_lock(&r->lock);
	r->moved++;
	pthread_mutex_unlock(&r->lock);
}

static int look(struct recorder *r, const int *value)
{
	pthread_mutex_lock(&r->lock);
	int v = *value;
	pthread_mutex_unlock(&r->lock);
	return v;
}

static void reaches(struct recorder *r, const int *value, int least)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	while (look(r, value) < least) {
		assert_true(clock_mono_ms() < end);
		nap();
	}
	assert_int_equal(look(r, value), least);
}

static void stream_becomes(int64_t length)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	while (stream_length() != length) {
		assert_true(clock_mono_ms() < end);
		nap();
	}
}

static void open_store(struct recorder *r, bool producer, const char *consumer)
{
	struct error err = {.message = ""};
	const struct mempool_redis_options o = {.url = url, .producer = producer, .consumer = consumer, .chain_id = "test"};
	const struct mempool_events e = {.core = r, .offer = on_offer, .caught_up = on_caught_up, .moved = on_moved};
	r->offers = r->caught_up = 0;
	pthread_mutex_init(&r->lock, NULL);
	r->store = mempool_redis_open(&o, &err);
	if (!r->store)
		fail_msg("%s", err.message);
	assert_true(r->store->ops->start(r->store, &e, &err));
}

static void close_store(struct recorder *r)
{
	r->store->ops->free(r->store);
	pthread_mutex_destroy(&r->lock);
}

/* An append whose end is waited for. */
struct appending {
	struct mempool_append a;
	char text[24];
	_Atomic int state; /* 0 under way, 1 durable, 2 failed */
	struct mempool_handle handle;
	struct error err;
};

static void on_done(struct mempool_append *a, const struct mempool_handle *handle, const struct error *err)
{
	struct appending *p = (struct appending *)a;
	if (err)
		p->err = *err;
	else
		p->handle = *handle;
	atomic_store(&p->state, err ? 2 : 1);
}

static void begin_append(struct recorder *r, struct appending *p, const char *text)
{
	*p = (struct appending){.a = {.done = on_done}};
	snprintf(p->text, sizeof(p->text), "%s", text);
	p->a.message = str_from(p->text);
	r->store->ops->append(r->store, &p->a);
}

static int end_append(struct appending *p)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	while (atomic_load(&p->state) == 0) {
		assert_true(clock_mono_ms() < end);
		nap();
	}
	return atomic_load(&p->state);
}

static void append(struct recorder *r, const char *text)
{
	struct appending p;
	begin_append(r, &p, text);
	if (end_append(&p) != 1)
		fail_msg("%s", p.err.message);
}

/* ---- the tests ---- */

/* Two front ends and a producer: each sees all, in one order; what is settled goes away, and the others hear of it. */
static void shared(void **state)
{
	(void)state;
	static struct recorder front, other, producer;
	enum { EACH = 300 };
	static struct appending a[EACH], b[EACH];
	open_store(&front, false, NULL);
	open_store(&other, false, NULL);
	open_store(&producer, true, "one");
	reaches(&producer, &producer.caught_up, 1);
	for (int i = 0; i < EACH; i++) {
		char text[24];
		snprintf(text, sizeof(text), "front %d", i);
		begin_append(&front, &a[i], text);
		snprintf(text, sizeof(text), "other %d", i);
		begin_append(&other, &b[i], text);
	}
	for (int i = 0; i < EACH; i++)
		assert_true(end_append(&a[i]) == 1 && end_append(&b[i]) == 1);
	reaches(&producer, &producer.offers, 2 * EACH);
	reaches(&front, &front.offers, 2 * EACH);
	reaches(&other, &other.offers, 2 * EACH);
	int next_a = 0, next_b = 0;
	for (int i = 0; i < 2 * EACH; i++) {
		assert_string_equal(producer.messages[i], front.messages[i]);
		assert_string_equal(producer.messages[i], other.messages[i]);
		assert_true(mempool_handle_eq(producer.handles[i], front.handles[i]));
		/* Those of one submitter keep their order. */
		if (next_a < EACH && strcmp(producer.messages[i], a[next_a].text) == 0)
			assert_true(mempool_handle_eq(producer.handles[i], a[next_a++].handle));
		else
			assert_string_equal(producer.messages[i], b[next_b++].text);
	}
	assert_int_equal(stream_length(), 2 * EACH);
	int heard = look(&front, &front.moved);
	producer.store->ops->settled(producer.store, producer.handles, 2 * EACH);
	stream_becomes(0);
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	while (look(&front, &front.moved) == heard)
		assert_true(clock_mono_ms() < end);
	close_store(&front);
	close_store(&other);
	close_store(&producer);
}

/* What a producer was given and did not settle comes back: to itself, and to another that takes over. */
static void redelivered(void **state)
{
	(void)state;
	static struct recorder r;
	char text[24];
	open_store(&r, true, "one");
	for (int i = 0; i < 600; i++) {
		snprintf(text, sizeof(text), "m%d", i);
		static struct appending last[600];
		begin_append(&r, &last[i], text);
		if (i == 599)
			assert_int_equal(end_append(&last[i]), 1);
	}
	reaches(&r, &r.offers, 600);
	r.store->ops->settled(r.store, r.handles, 100);
	stream_becomes(500);
	close_store(&r);
	open_store(&r, true, "one");
	reaches(&r, &r.caught_up, 1);
	assert_int_equal(r.offers, 500);
	assert_string_equal(r.messages[0], "m100");
	assert_string_equal(r.messages[499], "m599");
	close_store(&r);
	open_store(&r, true, "two");
	reaches(&r, &r.caught_up, 1);
	assert_int_equal(r.offers, 500);
	assert_string_equal(r.messages[0], "m100");
	/* A lost connection: all of it is offered once more, under the same handles. */
	struct mempool_handle first = r.handles[0];
	(void)ask(REDIS_WORDS(STR_LIT("CLIENT"), STR_LIT("KILL"), STR_LIT("TYPE"), STR_LIT("normal")));
	reaches(&r, &r.offers, 1000);
	assert_true(mempool_handle_eq(r.handles[500], first));
	r.store->ops->settled(r.store, r.handles, 500);
	stream_becomes(0);
	assert_int_equal(ask(REDIS_WORDS(STR_LIT("XPENDING"), STR_LIT("tx:pending"), STR_LIT("validators"), STR_LIT("-"), STR_LIT("+"), STR_LIT("10"))), 0);
	close_store(&r);
}

/* What is no transaction is deleted, and harms nobody; what the core has done with is deleted too; an offer without a verdict comes again. */
static void odd_entries(void **state)
{
	(void)state;
	static struct recorder r;
	char good[ED25519_SIGNATURE_TEXT_LEN + 1];
	snprintf(good, sizeof(good), "ed25519_sig_%0128d", 0);
	r.later = 3;
	open_store(&r, true, "one");
	reaches(&r, &r.caught_up, 1);
	(void)ask(REDIS_WORDS(STR_LIT("XADD"), STR_LIT("tx:pending"), STR_LIT("*"), STR_LIT("x"), STR_LIT("y")));
	(void)ask(REDIS_WORDS(STR_LIT("XADD"), STR_LIT("tx:pending"), STR_LIT("*"), STR_LIT("message"), STR_LIT("a"), STR_LIT("signature"), STR_LIT("no")));
	(void)ask(REDIS_WORDS(STR_LIT("XADD"), STR_LIT("tx:pending"), STR_LIT("*"), STR_LIT("message"), STR_LIT("b"), STR_LIT("signature"), str_from(good)));
	reaches(&r, &r.offers, 1);
	assert_string_equal(r.messages[0], "b");
	stream_becomes(1);
	r.settles = true;
	append(&r, "c");
	reaches(&r, &r.offers, 2);
	stream_becomes(1);
	/* The stream, and the group with it, disappears under our feet: it is made again. */
	(void)ask(REDIS_WORDS(STR_LIT("DEL"), STR_LIT("tx:pending")));
	append(&r, "d");
	reaches(&r, &r.offers, 3);
	stream_becomes(0);
	r.settles = false;
	close_store(&r);
}

static bool opens(bool lossy, enum error_code code)
{
	struct error err;
	const struct mempool_redis_options o = {.url = url, .producer = true, .consumer = "one", .chain_id = "test", .allow_lossy = lossy};
	struct mempool_store *s = mempool_redis_open(&o, &err);
	if (s)
		s->ops->free(s);
	else
		assert_int_equal(err.code, code);
	return s != NULL;
}

/* What waits is of one chain: another one's producer would take it and refuse it. */
static void one_chain(void **state)
{
	(void)state;
	static struct recorder r;
	struct error err;
	struct mempool_redis_options o = {.url = url, .producer = true, .consumer = "one", .chain_id = "test", .genesis = {{1}}};
	open_store(&r, true, "one");
	append(&r, "ours");
	struct mempool_store *s = mempool_redis_open(&o, &err);
	assert_null(s);
	assert_int_equal(err.code, ERR_CONFIG);
	close_store(&r);
	(void)ask(REDIS_WORDS(STR_LIT("DEL"), STR_LIT("tx:pending"), STR_LIT("tx:pending:chain")));
	s = mempool_redis_open(&o, &err);
	assert_non_null(s);
	s->ops->free(s);
	o.genesis.b[0]++;
	assert_null(mempool_redis_open(&o, &err));
	(void)ask(REDIS_WORDS(STR_LIT("DEL"), STR_LIT("tx:pending"), STR_LIT("tx:pending:chain")));
}

/* 202 means durable: a Redis that may lose things is refused, at the start and later. */
static void durability(void **state)
{
	(void)state;
	static struct recorder r;
	struct appending p;
	struct error err;
	open_store(&r, false, NULL);
	append(&r, "kept");
	configure("appendfsync", "everysec");
	assert_false(opens(false, ERR_CONFIG));
	assert_true(opens(true, ERR_CONFIG));
	begin_append(&r, &p, "unsure");
	assert_int_equal(end_append(&p), 2);
	assert_int_equal(p.err.code, ERR_UNAVAILABLE);
	assert_false(r.store->ops->ready(r.store, &err));
	configure("appendfsync", "always");
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	while (!r.store->ops->ready(r.store, &err))
		assert_true(clock_mono_ms() < end);
	append(&r, "kept too");
	configure("maxmemory", "1");
	begin_append(&r, &p, "too much");
	assert_int_equal(end_append(&p), 2);
	assert_int_equal(p.err.code, ERR_STORAGE_FULL);
	configure("maxmemory", "0");
	close_store(&r);
	(void)ask(REDIS_WORDS(STR_LIT("DEL"), STR_LIT("tx:pending")));
}

/* Redis dies and comes back: appends fail meanwhile and say so, what was answered is still there. */
static void away(void **state)
{
	(void)state;
	static struct recorder front, producer;
	struct appending p;
	struct error err;
	open_store(&front, false, NULL);
	open_store(&producer, true, "one");
	append(&front, "before");
	reaches(&producer, &producer.offers, 1);
	stop_server();
	begin_append(&front, &p, "meanwhile");
	assert_int_equal(end_append(&p), 2);
	assert_int_equal(p.err.code, ERR_UNAVAILABLE);
	assert_false(front.store->ops->ready(front.store, &err));
	assert_false(opens(false, ERR_UNAVAILABLE));
	producer.store->ops->settled(producer.store, producer.handles, 1);
	start_server("yes", "always");
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	while (!front.store->ops->ready(front.store, &err) || !producer.store->ops->ready(producer.store, &err))
		assert_true(clock_mono_ms() < end);
	/* What was settled while it was away is carried out then. */
	stream_becomes(0);
	append(&front, "after");
	end = clock_mono_ms() + PATIENCE_MS;
	do {
		pthread_mutex_lock(&producer.lock);
		bool there = strcmp(producer.messages[producer.offers - 1], "after") == 0;
		pthread_mutex_unlock(&producer.lock);
		if (there)
			break;
		nap();
	} while (clock_mono_ms() < end);
	assert_string_equal(producer.messages[producer.offers - 1], "after");
	close_store(&front);
	/* An end while Redis is away does not hang, and leaves no append without its answer. */
	stop_server();
	begin_append(&producer, &p, "at the end");
	close_store(&producer);
	assert_int_equal(atomic_load(&p.state), 2);
	start_server("yes", "always");
	(void)ask(REDIS_WORDS(STR_LIT("DEL"), STR_LIT("tx:pending")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared), cmocka_unit_test(redelivered), cmocka_unit_test(odd_entries), cmocka_unit_test(one_chain), cmocka_unit_test(durability),
		cmocka_unit_test(away),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
