/* ledgerd: what waits in memory, without a database: pages of it miss nothing, and its outlook does not grow with what is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "ledgerd/chain_memory.h"
#include "ledgerd/core_inside.h"

struct world {
	struct ledger ledger;
	struct core core;
	struct chain_memory memory;
	struct arena arena;
	struct str sovereign;
};

static void begin(struct world *w)
{
	const char *dir = getenv("TANA_VECTORS");
	struct str genesis;
	struct genesis g;
	struct error err;
	struct buf text = {0};
	struct chain_work work;
	memset(w, 0, sizeof *w);
	arena_init(&w->arena);
	struct str path = arena_printf(&w->arena, "%s/chain.jsonl", dir ? dir : "tests/vectors");
	assert_true(file_read(path.p, 1 << 20, &text, &err));
	char *end_of_line = memchr(text.data, '\n', text.len);
	assert_non_null(end_of_line);
	assert_true(chain_file_head_read(str_of(text.data, (size_t)(end_of_line - text.data)), &genesis, &err));
	assert_true(genesis_read(arena_copy(&w->arena, genesis), &w->arena, &g, &err));
	buf_free(&text);
	struct core *c = &w->core;
	c->l = &w->ledger;
	pthread_mutex_init(&c->lock, NULL);
	chain_init(&c->chain, &g);
	chain_make_genesis(&c->chain, &work);
	chain_memory_take(&w->memory, &work.changes);
	chain_accept(&c->chain, &work);
	chain_work_free(&work);
	struct memory_entry *e;
	for (size_t at = 0; (e = chain_memory_next(&w->memory, &at));)
		if (str_starts(e->key, "user:"))
			w->sovereign = arena_copy(&w->arena, str_of(e->key.p + 5, e->key.n - 5));
	assert_true(str_present(w->sovereign));
	chain_view_init(&c->outlook, chain_memory_source(&w->memory));
}

static void end(struct world *w)
{
	pool_free_all(&w->core);
	chain_view_free(&w->core.outlook);
	chain_free(&w->core.chain);
	chain_memory_free(&w->memory);
	pthread_mutex_destroy(&w->core.lock);
	arena_free(&w->arena);
}

/* A transaction of the sovereign's that changes nothing but the nonce. */
static void add(struct world *w, int64_t nonce, enum pending_where where)
{
	struct core *c = &w->core;
	struct ed25519_signature signature = {{0}};
	struct error err;
	struct tx t;
	int64_t now = core_now() > c->chain.timestamp ? core_now() : c->chain.timestamp + 1;
	struct str message = arena_printf(&w->arena, "{\"chainId\":\"%.*s\",\"from\":\"%.*s\",\"nonce\":%lld,\"timestamp\":%lld,\"type\":\"user_update\"}",
					  STR_ARG(c->chain.genesis.chain_id), STR_ARG(w->sovereign), (long long)nonce, (long long)now);
	assert_true(tx_parse(message, 65536, &w->arena, &t, &err));
	if (where == PENDING_READY && pool_apply(c, &t, &signature, &err) != CHAIN_APPLIED)
		fail_msg("%s", err.message);
	struct core_pending *p = pool_new(c, &t, &signature, now);
	pool_insert(c, p, where);
	if (where == PENDING_READY)
		pool_promote(c, p->from);
}

static void expect_pages(struct world *w, size_t limit, const int64_t *nonces, size_t count)
{
	struct pending_info page[8];
	uint64_t after = 0;
	size_t seen = 0, got;
	while ((got = core_list_pending(&w->core, after, limit, &w->arena, page, &after)) > 0)
		for (size_t i = 0; i < got; i++, seen++) {
			struct tx t;
			struct error err;
			assert_true(seen < count);
			assert_true(tx_parse(page[i].message, 65536, &w->arena, &t, &err));
			assert_int_equal(t.nonce, nonces[seen]);
		}
	assert_int_equal(seen, count);
}

/* What waited for its turn stands behind what it waited for, also for who reads page by page. */
static void test_pages(void **state)
{
	(void)state;
	struct world w;
	begin(&w);
	add(&w, 3, PENDING_PARKED);
	add(&w, 5, PENDING_PARKED);
	add(&w, 1, PENDING_READY);
	add(&w, 2, PENDING_READY);
	assert_int_equal(w.core.ready.count, 3);
	assert_int_equal(w.core.parked.count, 1);
	for (size_t limit = 1; limit <= 5; limit++)
		expect_pages(&w, limit, (const int64_t[]){5, 1, 2, 3}, 4);
	assert_true(pool_park(&w.core, w.core.ready.first));
	for (size_t limit = 1; limit <= 5; limit++)
		expect_pages(&w, limit, (const int64_t[]){5, 2, 3, 1}, 4);
	end(&w);
}

/* Whoever asks for users that are not there, or sends in their name, leaves nothing for ever; what is ready stays applied. */
static void test_outlook_is_trimmed(void **state)
{
	(void)state;
	struct world w;
	begin(&w);
	add(&w, 1, PENDING_READY);
	for (int i = 0; i < 200001; i++) {
		char key[32];
		struct str value;
		struct error err;
		int n = snprintf(key, sizeof key, "user:%d", i);
		assert_true(chain_view_get(&w.core.outlook, str_of(key, (size_t)n), &value, &err));
		if (i == 1000) {
			pool_trim_outlook(&w.core);
			assert_true(w.core.outlook.entries.count > 1000);
		}
	}
	pool_trim_outlook(&w.core);
	assert_true(w.core.outlook.entries.count < 100);
	int64_t nonce;
	assert_true(core_last_nonce(&w.core, &w.core.outlook, w.sovereign, &nonce));
	assert_int_equal(nonce, 1);
	end(&w);
}

int main(void)
{
	struct error err;
	if (!crypto_start(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_outlook_is_trimmed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
