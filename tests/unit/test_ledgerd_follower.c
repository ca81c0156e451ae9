/* Following another ledger: the other is a server in the test's own process that serves the published chain, or something worse; the chain here is a list. */
#include "http_fixture.h"

#include <signal.h>
#include <stdatomic.h>

#include "chain_sample.h"
#include "ledgerd/follower.h"

enum { GENEROUS_MS = 30000 };

static struct chain_sample sample;

/* ---- the other ---- */

struct other {
	pthread_mutex_t lock;
	int64_t height;          /* its newest block */
	int64_t wrong;           /* this block is given with another hash; -1: none */
	const char *page;        /* GET /blocks answers with this instead; NULL: with blocks */
	const char *genesis;     /* instead of the sample's */
	bool down;               /* everything is answered with 503 */
	size_t status_asked, pages;
	struct sse_hub *hub;
};

static void put_block(struct buf *out, const struct other *o, int64_t h)
{
	size_t at = out->len;
	block_line_write(out, &sample.blocks[h]);
	/* The other's spelling need not be the canonical one. */
	if (h % 3 == 2)
		buf_puts(out, "\n  ");
	/* "hash":"x...": its first digit. */
	if (h == o->wrong) {
		size_t digit = (size_t)(strstr(buf_z(out) + at, "\"hash\":\"") - out->data) + 8;
		out->data[digit] = out->data[digit] == '0' ? '1' : '0';
	}
}

static struct http_reply *get_status(struct http_request *r)
{
	struct other *o = http_ctx(r);
	char hash[HASH_TEXT_LEN + 1], genesis[HASH_TEXT_LEN + 1], root[HASH_TEXT_LEN + 1];
	pthread_mutex_lock(&o->lock);
	o->status_asked++;
	const struct block_header *h = &sample.headers[o->height];
	hash_to_text(&sample.blocks[o->height].hash, hash);
	if (o->height == o->wrong)
		hash[0] = hash[0] == '0' ? '1' : '0';
	hash_to_text(&sample.genesis.hash, genesis);
	hash_to_text(&h->state_root, root);
	const struct ledger_status st = {.chain_id = h->chain_id, .genesis_hash = str_from(o->genesis ? o->genesis : genesis), .height = o->height,
					 .hash = str_from(hash), .timestamp = h->timestamp, .state_root = str_from(root)};
	struct http_reply *reply = o->down ? http_reply_error_code(r, ERR_UNAVAILABLE, "the database is away") :
					     http_reply_json(r, 200, &ledger_status_message, &st);
	pthread_mutex_unlock(&o->lock);
	return reply;
}

static struct http_reply *get_blocks(struct http_request *r)
{
	struct other *o = http_ctx(r);
	struct buf body = {0};
	int64_t from, limit;
	if (!http_query_int(r, "from", 0, &from) || !http_query_int(r, "limit", 20, &limit))
		return http_reply_error_code(r, ERR_MALFORMED_PARAMETER, "from, limit");
	pthread_mutex_lock(&o->lock);
	o->pages++;
	buf_puts(&body, o->page ? o->page : "{\"blocks\":[");
	/* Pages of three at most: there are several. */
	for (int64_t h = from; !o->page && h <= o->height && h < from + limit && h < from + 3; h++) {
		buf_puts(&body, h > from ? "," : "");
		put_block(&body, o, h);
	}
	buf_puts(&body, o->page ? "" : "]}");
	pthread_mutex_unlock(&o->lock);
	return http_reply_bytes(r, 200, NULL, &body);
}

static struct http_reply *give_events(struct http_request *r)
{
	struct other *o = http_ctx(r);
	return http_reply_events(r, o->hub, -1, NULL, NULL);
}

static const struct http_param blocks_params[] = {
	{.name = "from", .type = PARAM_INT, .max = INT32_MAX, .doc = "first"},
	{.name = "limit", .type = PARAM_INT, .min = 1, .max = 100, .doc = "how many"},
	{.name = "full", .type = PARAM_INT, .max = 1, .doc = "whole"},
	{.name = NULL},
};
static const struct http_route other_routes[] = {
	{.method = HTTP_GET, .path = "/status", .handler = get_status, .access = ACCESS_ANYONE, .summary = "s"},
	{.method = HTTP_GET, .path = "/blocks", .handler = get_blocks, .access = ACCESS_ANYONE, .params = blocks_params, .summary = "b"},
	{.method = HTTP_GET, .path = "/events", .handler = give_events, .access = ACCESS_ANYONE, .summary = "e"},
};

static struct http_server *start_other(struct other *o)
{
	struct error err;
	pthread_mutex_init(&o->lock, NULL);
	o->hub = sse_hub_new(64);
	const struct http_options options = {.service = "ledger", .listen = "127.0.0.1:0", .workers = 2, .routes = other_routes,
					     .route_count = ARRAY_LEN(other_routes), .ctx = o};
	struct http_server *s = http_server_start(&options, &err);
	assert_non_null(s);
	return s;
}

static void stop_other(struct http_server *s, struct other *o)
{
	http_server_stop(s, 1000);
	sse_hub_free(o->hub);
	pthread_mutex_destroy(&o->lock);
}

/* ---- the chain here ---- */

struct here {
	_Atomic int64_t height;
	_Atomic int refuse; /* an error's code that the next blocks get; 0: none */
};

static void here_tip(void *ctx, struct core_tip *out)
{
	struct here *c = ctx;
	int64_t h = atomic_load(&c->height);
	*out = (struct core_tip){.height = h, .hash = sample.blocks[h].hash};
}

static bool here_take(void *ctx, const struct block *b, struct error *err)
{
	struct here *c = ctx;
	struct block_header h;
	int refuse = atomic_load(&c->refuse);
	if (refuse)
		return error_set(err, (enum error_code)refuse, "so the test wants it");
	assert_true(block_header_read(b->header, &h, err));
	if (!hash_equal(&b->hash, &sample.blocks[h.height].hash))
		return error_set(err, h.height <= atomic_load(&c->height) ? ERR_WRONG_STATE : ERR_HASH_MISMATCH, "wrong hash");
	assert_true(str_equal(b->changes, sample.blocks[h.height].changes) && b->tx_count == sample.blocks[h.height].tx_count);
	if (h.height == atomic_load(&c->height) + 1)
		atomic_store(&c->height, h.height);
	assert_true(h.height <= atomic_load(&c->height));
	return true;
}

static struct follower *follow(const char *address, struct here *c)
{
	char url[64];
	struct error err;
	snprintf(url, sizeof(url), "http://%s", address);
	const struct follower_options o = {.url = url, .genesis = &sample.genesis, .chain = {c, here_tip, here_take}, .user_agent = "test",
					   .poll_ms = 100, .retry_min_ms = 20, .retry_max_ms = 100, .halt_ms = 100};
	struct follower *f = follower_start(&o, &err);
	assert_non_null(f);
	return f;
}

static void grows_to(struct here *c, int64_t height)
{
	int64_t end = clock_mono_ms() + GENEROUS_MS;
	while (atomic_load(&c->height) < height) {
		assert_true(clock_mono_ms() < end);
		nap(5);
	}
	assert_int_equal(atomic_load(&c->height), height);
}

/* Until what stands in the way contains the text; "": until nothing does. */
static void says(struct follower *f, const char *part)
{
	int64_t end = clock_mono_ms() + GENEROUS_MS;
	struct arena a;
	struct ledger_following st;
	arena_init(&a);
	for (;;) {
		follower_status(f, &a, &st);
		if (part[0] ? str_present(st.problem) && strstr(st.problem.p, part) : !str_present(st.problem) && st.height != JSON_INT_ABSENT)
			break;
		if (clock_mono_ms() >= end)
			fail_msg("not said: %s; but: %.*s", part, STR_ARG(st.problem));
		nap(5);
	}
	struct error err;
	assert_false(part[0] && follower_ready(f, &err));
	arena_free(&a);
}

/* ---- the tests ---- */

static void set(struct other *o, int64_t height)
{
	pthread_mutex_lock(&o->lock);
	o->height = height;
	pthread_mutex_unlock(&o->lock);
}

static void keeps_up(void **state)
{
	(void)state;
	struct other o = {.height = 4, .wrong = -1};
	struct here c = {.height = 0};
	struct error err;
	struct http_server *s = start_other(&o);
	struct follower *f = follow(http_server_address(s), &c);
	grows_to(&c, 4);
	says(f, "");
	assert_true(follower_ready(f, &err));
	int64_t last = (int64_t)sample.count - 1;
	for (int64_t h = 5; h <= last; h++) {
		set(&o, h);
		sse_hub_publish(o.hub, h, LEDGER_EVENT_BLOCK, STR_LIT("{}"));
		grows_to(&c, h);
	}
	says(f, "");
	/* It goes away, and comes back. */
	pthread_mutex_lock(&o.lock);
	o.down = true;
	pthread_mutex_unlock(&o.lock);
	says(f, "the database is away");
	pthread_mutex_lock(&o.lock);
	o.down = false;
	pthread_mutex_unlock(&o.lock);
	says(f, "");
	follower_stop(f);
	stop_other(s, &o);
}

static void halts(void **state)
{
	(void)state;
	struct other o = {.height = 6, .wrong = 4};
	struct here c = {.height = 0};
	struct http_server *s = start_other(&o);
	struct follower *f = follow(http_server_address(s), &c);
	/* A block that does not fit: all before it are kept, none behind it. */
	says(f, "block 4");
	assert_int_equal(atomic_load(&c.height), 3);
	/* The other was repaired. */
	pthread_mutex_lock(&o.lock);
	o.wrong = -1;
	pthread_mutex_unlock(&o.lock);
	grows_to(&c, 6);
	says(f, "");
	/* A fork: the same height, another block; likewise below. */
	pthread_mutex_lock(&o.lock);
	o.wrong = 6;
	pthread_mutex_unlock(&o.lock);
	says(f, "has another block 6");
	pthread_mutex_lock(&o.lock);
	o.wrong = o.height = 2;
	pthread_mutex_unlock(&o.lock);
	says(f, "has another block 2");
	/* Shorter, but the same: it has to catch up. */
	pthread_mutex_lock(&o.lock);
	o.wrong = -1;
	pthread_mutex_unlock(&o.lock);
	says(f, "is behind");
	pthread_mutex_lock(&o.lock);
	o.height = 6;
	o.genesis = "0000000000000000000000000000000000000000000000000000000000000000";
	pthread_mutex_unlock(&o.lock);
	says(f, "another chain");
	assert_int_equal(atomic_load(&c.height), 6);
	follower_stop(f);
	stop_other(s, &o);
}

static void nonsense(void **state)
{
	(void)state;
	static const char *const pages[] = {
		"", "[]", "{\"blocks\":[]}", "{\"blocks\":[{}]}", "{\"blocks\":[1.5]}", "{\"blocks\":{}}", "{\"nothing\":1}", "<html>", "{\"blocks\":[1]}",
		"{\"blocks\":[null]}",
	};
	struct other o = {.height = 3, .wrong = -1};
	struct here c = {.height = 0};
	struct http_server *s = start_other(&o);
	o.page = pages[0];
	struct follower *f = follow(http_server_address(s), &c);
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		pthread_mutex_lock(&o.lock);
		o.page = pages[i];
		size_t before = o.pages;
		pthread_mutex_unlock(&o.lock);
		for (int64_t end = clock_mono_ms() + GENEROUS_MS;; nap(5)) {
			assert_true(clock_mono_ms() < end);
			pthread_mutex_lock(&o.lock);
			bool asked = o.pages > before + 1;
			pthread_mutex_unlock(&o.lock);
			if (asked)
				break;
		}
		says(f, i == 2 ? "does not give it" : "something else than expected");
		assert_int_equal(atomic_load(&c.height), 0);
	}
	/* The database here is away for a while: the same block is taken later. */
	atomic_store(&c.refuse, ERR_UNAVAILABLE);
	pthread_mutex_lock(&o.lock);
	o.page = NULL;
	pthread_mutex_unlock(&o.lock);
	says(f, "so the test wants it");
	atomic_store(&c.refuse, 0);
	grows_to(&c, 3);
	says(f, "");
	http_server_stop(s, 1000);
	says(f, "127.0.0.1");
	follower_stop(f);
	follower_stop(NULL);
	sse_hub_free(o.hub);
	pthread_mutex_destroy(&o.lock);
	const struct follower_options bad = {.url = "ftp://x", .genesis = &sample.genesis, .chain = {&c, here_tip, here_take}, .user_agent = "test"};
	struct error err;
	assert_null(follower_start(&bad, &err));
	assert_int_equal(err.code, ERR_CONFIG);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	chain_sample_load(&sample);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&sample.arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_up), cmocka_unit_test(halts), cmocka_unit_test(nonsense)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
