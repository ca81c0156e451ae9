/*
 * ledgerd: what waits in memory, without a database: pages of it miss nothing, and its outlook does not grow with what is asked for, nor is made anew for
 * each of many that could not be kept; what is refused leaves it together with the queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/log.h"
#include "ledgerd/chain_memory.h"
#include "ledgerd/core_inside.h"
#include "ledgerd/ledger_schema.h"

struct world {
	struct ledger ledger;
	struct core core;
	struct chain_memory memory;
	struct arena arena;
	struct str sovereign;
	struct ed25519_secret key; /* the sovereign's */
	size_t reads;              /* of the state behind the outlook */
	bool away;                 /* the state cannot be read */
	bool meanwhile;            /* at the next reading somebody else makes the outlook anew */
};

/* The published chain's genesis with a sovereign whose key is here. */
static struct str our_genesis(struct world *w, struct str text)
{
	static const char mark[] = "The Sovereign\",\"publicKey\":\"";
	struct ed25519_public key;
	char public_text[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_from_seed(&w->key, (const uint8_t[ED25519_SEED_SIZE]){7});
	key = w->key.public_key;
	ed25519_public_to_text(&key, public_text);
	struct str copy = arena_copy(&w->arena, text);
	char *at = memmem(copy.p, copy.n, mark, strlen(mark));
	assert_non_null(at);
	memcpy(at + strlen(mark), public_text, ED25519_PUBLIC_TEXT_LEN);
	return copy;
}

static bool counted_get(void *ctx, struct str key, struct str *value, struct error *err)
{
	struct world *w = ctx;
	struct chain_source source = chain_memory_source(&w->memory);
	w->reads++;
	if (w->meanwhile) {
		w->meanwhile = false;
		pool_rebuild(&w->core);
	}
	if (w->away)
		return error_set(err, ERR_UNAVAILABLE, "the database is away");
	return source.get(source.ctx, key, value, err);
}

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
	assert_true(genesis_read(our_genesis(w, genesis), &w->arena, &g, &err));
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
	chain_view_init(&c->outlook, (struct chain_source){counted_get, w});
	c->problem.code = ERR_COUNT;
}

static void end(struct world *w)
{
	pool_free_all(&w->core);
	refused_set_free(w->core.refused);
	state_cache_free(w->core.cache);
	chain_view_free(&w->core.outlook);
	chain_free(&w->core.chain);
	chain_memory_free(&w->memory);
	pthread_mutex_destroy(&w->core.lock);
	arena_free(&w->arena);
}

/* A transaction of the sovereign's that changes nothing but the nonce. */
static struct str message_of(struct world *w, int64_t nonce)
{
	const struct core *c = &w->core;
	int64_t now = core_now() > c->chain.timestamp ? core_now() : c->chain.timestamp + 1;
	return arena_printf(&w->arena, "{\"chainId\":\"%.*s\",\"from\":\"%.*s\",\"nonce\":%lld,\"timestamp\":%lld,\"type\":\"user_update\"}",
			    STR_ARG(c->chain.genesis.chain_id), STR_ARG(w->sovereign), (long long)nonce, (long long)now);
}

static void add(struct world *w, int64_t nonce, enum pending_where where)
{
	struct core *c = &w->core;
	struct ed25519_signature signature = {{0}};
	struct error err;
	struct tx t;
	struct str message = message_of(w, nonce);
	assert_true(tx_parse(message, 65536, &w->arena, &t, &err));
	if (where == PENDING_READY && pool_apply(c, &t, &signature, &err) != CHAIN_APPLIED)
		fail_msg("%s", err.message);
	struct core_pending *p = pool_new(c, &t, &signature, core_now());
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

/* What comes and goes in any order is found by its number, by the same answers that a walk through everything gives. */
static void test_places(void **state)
{
	enum { MANY = 3000 };
	(void)state;
	static struct core_pending *all[MANY];
	struct world w;
	struct error err;
	struct tx t;
	struct ed25519_signature signature = {{0}};
	begin(&w);
	struct core *c = &w.core;
	size_t n = 0;
	uint32_t random = 1;
	for (int i = 0; i < MANY; i++) {
		assert_true(tx_parse(message_of(&w, i + 1), 65536, &w.arena, &t, &err));
		all[n] = pool_new(c, &t, &signature, 0);
		pool_insert(c, all[n++], i % 3 ? PENDING_READY : PENDING_PARKED);
		random = random * 1664525 + 1013904223;
		/* In waves: the lists grow, and shrink to nothing. */
		for (int gone = 0; n > 0 && gone < (i / 500 % 2 ? 3 : i % 2); gone++) {
			size_t at = (random >> 8) % n;
			if (i % 5 == 0 && all[at]->where == PENDING_READY) {
				assert_true(pool_park(c, all[at]));
				continue;
			}
			pool_remove(c, all[at]);
			all[at] = all[--n];
		}
		uint64_t after = (random >> 4) % (c->next_number + 2), last;
		struct core_pending *next[2] = {NULL, NULL};
		for (size_t k = 0; k < n; k++) {
			struct core_pending **best = &next[all[k]->where];
			if (all[k]->number > after && (!*best || all[k]->number < (*best)->number))
				*best = all[k];
		}
		assert_ptr_equal(pool_behind(&c->ready, after), next[PENDING_READY]);
		assert_ptr_equal(pool_behind(&c->parked, after), next[PENDING_PARKED]);
		struct pending_info one;
		size_t got = core_list_pending(c, after, 1, &w.arena, &one, &last);
		const struct core_pending *first = !next[1] || (next[0] && next[0]->number < next[1]->number) ? next[0] : next[1];
		assert_int_equal(got, first ? 1 : 0);
		assert_true(last == (first ? first->number : after));
	}
	/* No more room than twice what waited at once. */
	assert_true(c->ready.cap <= 1024 && c->parked.cap <= 1024);
	while (n > 0)
		pool_remove(c, all[--n]);
	assert_null(pool_behind(&c->ready, 0));
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
			assert_true(pool_tend_outlook(&w.core, &err));
			assert_true(w.core.outlook.entries.count > 1000);
		}
	}
	struct error err;
	assert_true(pool_tend_outlook(&w.core, &err));
	assert_true(w.core.outlook.entries.count < 100);
	int64_t nonce;
	assert_true(core_last_nonce(&w.core, &w.core.outlook, w.sovereign, &nonce));
	assert_int_equal(nonce, 1);
	end(&w);
}

/* With very many waiting it is not made anew all the time. */
static void test_a_large_outlook_stays_stale_for_a_while(void **state)
{
	(void)state;
	struct world w;
	struct error err;
	begin(&w);
	for (int i = 0; i < 1001; i++)
		add(&w, i + 1, PENDING_READY);
	w.core.outlook_stale = true;
	assert_true(pool_tend_outlook(&w.core, &err));
	assert_false(w.core.outlook_stale);
	w.core.outlook_stale = true;
	w.core.outlook_made_ms += 3600 * 1000;
	assert_false(pool_tend_outlook(&w.core, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_true(w.core.outlook_stale);
	pool_remove(&w.core, w.core.ready.last);
	assert_true(pool_tend_outlook(&w.core, &err));
	assert_false(w.core.outlook_stale);
	end(&w);
}

/* ---- What is refused ---- */

enum { LONG_QUEUE = 9000, REFUSED_ONE = 3 };

struct refusing {
	struct world w;
	struct core_pending *refused;
	int64_t before; /* the last nonce in the outlook when it goes */
	bool ended;
};

static int64_t next_of(struct world *w)
{
	int64_t nonce = -1;
	return core_next_nonce(&w->core, w->sovereign, &nonce) ? nonce : -1;
}

static void *ask_for_nonces(void *ctx)
{
	struct refusing *r = ctx;
	int64_t last = LONG_QUEUE;
	for (bool ended = false; !ended;) {
		pthread_mutex_lock(&r->w.core.lock);
		ended = r->ended;
		pthread_mutex_unlock(&r->w.core.lock);
		int64_t nonce = next_of(&r->w);
		/* What it was before, until it is what it will be: never anything else, and never back. */
		if (nonce != last && nonce != REFUSED_ONE - 1)
			return r;
		last = nonce;
	}
	return NULL;
}

static void let_it_go(void *ctx)
{
	struct refusing *r = ctx;
	struct error err;
	assert_true(core_last_nonce(&r->w.core, &r->w.core.outlook, r->w.sovereign, &r->before));
	assert_false(pool_is_settled(&r->w.core, r->w.sovereign, &err));
	pool_remove(&r->w.core, r->refused);
}

static void refuse_one(struct refusing *r)
{
	struct core *c = &r->w.core;
	pthread_mutex_lock(&c->lock);
	for (r->refused = c->ready.first; r->refused->nonce != REFUSED_ONE;)
		r->refused = r->refused->next;
	pool_leave_soon(c, r->refused);
	pool_remake(c, let_it_go, r);
	r->ended = true;
	pthread_mutex_unlock(&c->lock);
}

static void begin_refusing(struct refusing *r)
{
	*r = (struct refusing){.ended = false};
	begin(&r->w);
	for (int i = 0; i < LONG_QUEUE; i++)
		add(&r->w, i + 1, PENDING_READY);
}

static void expect_refused(struct refusing *r)
{
	struct core *c = &r->w.core;
	struct error err;
	int64_t nonce;
	assert_int_equal(c->ready.count, LONG_QUEUE - 1);
	assert_true(pool_is_settled(c, r->w.sovereign, &err) && !c->outlook_stale);
	assert_true(core_last_nonce(c, &c->outlook, r->w.sovereign, &nonce));
	assert_int_equal(nonce, REFUSED_ONE - 1);
	assert_true(pool_count_nonces(c, r->w.sovereign, &nonce));
	assert_int_equal(nonce, REFUSED_ONE - 1);
	/* Another one takes its place. */
	add(&r->w, REFUSED_ONE, PENDING_READY);
	assert_int_equal(next_of(&r->w), REFUSED_ONE);
}

static void test_the_outlook_is_made_anew_beside_the_old_one(void **state)
{
	(void)state;
	struct refusing r;
	pthread_t asking;
	void *wrong;
	begin_refusing(&r);
	assert_int_equal(pthread_create(&asking, NULL, ask_for_nonces, &r), 0);
	refuse_one(&r);
	pthread_join(asking, &wrong);
	assert_null(wrong);
	assert_int_equal(r.before, LONG_QUEUE);
	expect_refused(&r);
	end(&r.w);
	/* Somebody else needed it meanwhile, and made it without what is leaving. */
	begin_refusing(&r);
	r.w.meanwhile = true;
	refuse_one(&r);
	assert_int_equal(r.before, REFUSED_ONE - 1);
	expect_refused(&r);
	end(&r.w);
}

static void test_the_state_cannot_be_read_for_an_outlook(void **state)
{
	(void)state;
	struct refusing r;
	struct error err;
	begin_refusing(&r);
	r.w.away = true;
	refuse_one(&r);
	r.w.core.outlook_made_ms = 0;
	assert_int_equal(r.w.core.ready.count, LONG_QUEUE - 1);
	assert_false(pool_tend_outlook(&r.w.core, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_int_equal(next_of(&r.w), -1);
	r.w.away = false;
	r.w.core.outlook_made_ms += 3600 * 1000; /* it is not the time for another one */
	assert_int_equal(next_of(&r.w), REFUSED_ONE - 1);
	assert_true(r.w.core.outlook_stale);
	r.w.core.outlook_made_ms = 0;
	assert_true(pool_tend_outlook(&r.w.core, &err));
	expect_refused(&r);
	end(&r.w);
}

/* ---- What cannot be kept ---- */

enum { WAITING = 20, FAILING = 20 };

/* A store that says when it is told to. */
struct slow_store {
	struct mempool_store store; /* first */
	struct mempool_append *appends[WAITING + FAILING + 1];
	size_t count;
};

static void slow_append(struct mempool_store *s, struct mempool_append *a)
{
	struct slow_store *slow = (struct slow_store *)s;
	assert_true(slow->count < ARRAY_LEN(slow->appends));
	slow->appends[slow->count++] = a;
}

static bool slow_ready(struct mempool_store *s, struct error *err)
{
	(void)s;
	(void)err;
	return true;
}

struct answer {
	struct admission_request request; /* first */
	enum admission result;
	enum error_code code;
	bool answered;
};

static void note_answer(struct admission_request *r, enum admission result, const struct error *err)
{
	struct answer *a = (struct answer *)r;
	assert_false(a->answered);
	a->answered = true;
	a->result = result;
	a->code = result == ADMISSION_REFUSED ? err->code : ERR_COUNT;
}

static void admit(struct world *w, struct answer *a, int64_t nonce)
{
	*a = (struct answer){.request = {.message = message_of(w, nonce), .done = note_answer}};
	ed25519_sign_message(&a->request.signature, &w->key, a->request.message);
	core_admit(&w->core, &a->request);
}

/* So that nothing is looked for in a database. */
static void cache_all(struct world *w)
{
	struct memory_entry *e;
	w->core.cache = state_cache_new(1 << 20);
	for (size_t at = 0; (e = chain_memory_next(&w->memory, &at));)
		state_cache_put(w->core.cache, e->key, e->value);
}

static void test_what_fails_together_is_taken_back_once(void **state)
{
	(void)state;
	static const struct mempool_store_ops ops = {.append = slow_append, .ready = slow_ready};
	struct slow_store slow = {.store = {&ops}};
	static struct answer answers[WAITING + FAILING], behind;
	struct world w;
	begin(&w);
	struct core *c = &w.core;
	cache_all(&w);
	c->refused = refused_set_new(1000);
	pthread_cond_init(&c->changed, NULL);
	c->store = &slow.store;
	c->caught_up = true;
	w.ledger.config.pool_max = 1000;
	w.ledger.config.pool_bytes_max = 1 << 20;
	for (int i = 0; i < WAITING + FAILING; i++)
		admit(&w, &answers[i], i + 1);
	assert_int_equal(c->ready.count, WAITING + FAILING);
	assert_int_equal(slow.count, WAITING + FAILING);
	for (size_t i = 0; i < WAITING; i++)
		slow.appends[i]->done(slow.appends[i], &(struct mempool_handle){i + 1, 0}, NULL);
	size_t reads = w.reads;
	struct error full;
	error_set(&full, ERR_STORAGE_FULL, "the disk is full");
	for (size_t i = WAITING; i < WAITING + FAILING; i++)
		slow.appends[i]->done(slow.appends[i], NULL, &full);
	for (int i = 0; i < WAITING + FAILING; i++) {
		assert_true(answers[i].answered);
		assert_int_equal(answers[i].result, i < WAITING ? ADMITTED : ADMISSION_REFUSED);
		assert_int_equal(answers[i].code, i < WAITING ? ERR_COUNT : ERR_STORAGE_FULL);
	}
	assert_int_equal(c->ready.count, WAITING);
	/* Who asks is told without them. */
	int64_t last;
	assert_true(core_next_nonce(c, w.sovereign, &last));
	assert_int_equal(last, WAITING);
	/* One reading of a user and a nonce, and not one for each. */
	assert_in_range(w.reads - reads, 1, 5);
	/* Nor does who hands in: what goes on behind one that failed waits for its like. */
	slow.count = 0;
	admit(&w, &answers[0], WAITING + 1);
	assert_int_equal(c->ready.count, WAITING + 1);
	slow.appends[0]->done(slow.appends[0], NULL, &full);
	admit(&w, &behind, WAITING + 2);
	assert_false(behind.answered);
	assert_int_equal(c->parked.count, 1);
	slow.appends[1]->done(slow.appends[1], &(struct mempool_handle){99, 0}, NULL);
	assert_int_equal(behind.result, ADMITTED);
	c->store = NULL;
	pthread_cond_destroy(&c->changed);
	end(&w);
}

/* ---- What a store brings ---- */

static enum mempool_offer offer(struct world *w, int64_t nonce, bool well_signed, struct error *err)
{
	struct mempool_entry e = {.handle = {(uint64_t)nonce, 0}, .message = message_of(w, nonce)};
	ed25519_sign_message(&e.signature, &w->key, e.message);
	e.signature.b[0] ^= !well_signed;
	return core_mempool_events.offer(&w->core, &e, err);
}

/* Signatures are judged as the entries come, for the key that the user has then. */
static void test_signatures_of_what_was_kept(void **state)
{
	(void)state;
	struct world w;
	struct error err = {0};
	char dir[] = "/tmp/tana-test-XXXXXX", url[100], command[80];
	begin(&w);
	cache_all(&w);
	pthread_cond_init(&w.core.changed, NULL);
	assert_non_null(mkdtemp(dir));
	snprintf(url, sizeof url, "sqlite:%s/test.db", dir);
	const struct db_pool_options o = {.url = url, .name = "test", .readers = 1, .queue_max = 10, .group_max = 4, .patience_ms = 2000};
	w.ledger.pool = db_pool_open(&o, ledger_migrations, ledger_migration_count, &err);
	assert_non_null(w.ledger.pool);
	for (int64_t nonce = 1; nonce <= 3; nonce++)
		assert_int_equal(offer(&w, nonce, nonce != 2, &err), OFFER_WAITS);
	assert_int_equal(w.core.ready.count, 3);
	for (const struct core_pending *p = w.core.ready.first; p; p = p->next) {
		assert_int_equal(p->verified, p->nonce != 2);
		assert_true(!p->verified || ed25519_public_equal(&p->key, &w.key.public_key));
	}
	db_pool_close(w.ledger.pool);
	snprintf(command, sizeof command, "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	pthread_cond_destroy(&w.core.changed);
	end(&w);
}

int main(void)
{
	struct error err;
	if (!log_open("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, NULL, &err) || !crypto_start(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_outlook_is_trimmed),
		cmocka_unit_test(test_a_large_outlook_stays_stale_for_a_while),
		cmocka_unit_test(test_the_outlook_is_made_anew_beside_the_old_one),
		cmocka_unit_test(test_the_state_cannot_be_read_for_an_outlook),
		cmocka_unit_test(test_what_fails_together_is_taken_back_once),
		cmocka_unit_test(test_signatures_of_what_was_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
