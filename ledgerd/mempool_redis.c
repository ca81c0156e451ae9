/*
 * The writing half: one thread takes all that was handed in since its last round and sends it in one pipeline, so that many submissions share a
 * round trip and Redis' fsync. Each pipeline with entries asks for the durability settings first: a Redis that was started again with others is
 * noticed before anything is answered.
 */
#include "mempool_redis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mempool_redis_inside.h"

enum {
	TIMEOUT_MS = 3000,   /* of an answer; an fsync on a busy disk may take a while */
	ADDED_MAX = 1024,    /* entries in one pipeline */
	ADDED_BYTES_MAX = 8 * 1024 * 1024,
	SETTLED_MAX = 4096,  /* handles in one command */
	AGAIN_MS = 200       /* between attempts after one that failed */
};

/* ---- handles ---- */

void mempool_redis_handle_text(struct mempool_handle h, char out[HANDLE_TEXT_SIZE])
{
	(void)snprintf(out, HANDLE_TEXT_SIZE, "%" PRIu64 "-%" PRIu64, h.major, h.minor);
}

static bool read_u64(const char *p, const char *end, uint64_t *out)
{
	uint64_t v = 0;
	if (p == end || end - p > 20)
		return false;
	for (; p < end; p++) {
		unsigned digit = (unsigned)(*p - '0');
		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

bool mempool_redis_handle_read(struct str text, struct mempool_handle *out)
{
	const char *dash = text.n ? memchr(text.p, '-', text.n) : NULL;
	return dash && read_u64(text.p, dash, &out->major) && read_u64(dash + 1, text.p + text.n, &out->minor);
}

/* ---- what Redis promises ---- */

/* The answer to CONFIG GET: names and values in turn. */
static struct str setting(const struct redis_reply *config, const char *name)
{
	for (size_t i = 0; i + 1 < config->count; i += 2)
		if (str_is(config->items[i].text, name))
			return config->items[i + 1].text;
	return STR_NONE;
}

static bool judge_settings(const struct redis_reply *config, struct error *err)
{
	struct str appendonly = setting(config, "appendonly"), fsync = setting(config, "appendfsync");
	if (str_is(appendonly, "yes") && str_is(fsync, "always"))
		return true;
	error_set(err, ERR_CONFIG, "this Redis may lose what it has answered (appendonly %.*s, appendfsync %.*s)",
		  (int)(appendonly.n < 20 ? appendonly.n : 20), appendonly.n ? appendonly.p : "", (int)(fsync.n < 20 ? fsync.n : 20),
		  fsync.n ? fsync.p : "");
	return error_hint(err, "set appendonly yes and appendfsync always in redis.conf, or accept losses with --redis-allow-lossy");
}

#define SETTINGS_COMMAND REDIS_WORDS(STR_LIT("CONFIG"), STR_LIT("GET"), STR_LIT("appendonly"), STR_LIT("appendfsync"))

/* Ours, or nobody's until now. It is asked for before it is set, since a Redis that is full still answers. */
static bool check_chain(struct mempool_redis *m, struct arena *arena, struct error *err)
{
	struct redis_reply chain;
	if (!redis_command(m->out, REDIS_WORDS(STR_LIT("GET"), STR_LIT(CHAIN_KEY)), arena, &chain, err))
		return false;
	if (chain.type == REDIS_TYPE_NULL &&
	    (!redis_command(m->out, REDIS_WORDS(STR_LIT("SETNX"), STR_LIT(CHAIN_KEY), str_from(m->genesis)), arena, NULL, err) ||
	     !redis_command(m->out, REDIS_WORDS(STR_LIT("GET"), STR_LIT(CHAIN_KEY)), arena, &chain, err)))
		return false;
	if (chain.type == REDIS_TYPE_TEXT && str_is(chain.text, m->genesis))
		return true;
	error_set(err, ERR_CONFIG, "what waits in this Redis is of another chain: its key " CHAIN_KEY " is not the genesis hash %s", m->genesis);
	return error_hint(err, "use another Redis or another of its databases (redis://host/1); when that chain is gone: DEL " STREAM " " CHAIN_KEY);
}

static bool check_settings(struct mempool_redis *m, struct error *err)
{
	struct arena arena;
	struct redis_reply config;
	arena_init(&arena);
	bool ok;
	if (m->allow_lossy) {
		ok = redis_command(m->out, REDIS_WORDS(STR_LIT("PING")), &arena, &config, err);
	} else {
		ok = redis_command(m->out, SETTINGS_COMMAND, &arena, &config, err);
		if (!ok && err->code == ERR_REFUSED) {
			err->code = ERR_CONFIG;
			error_hint(err, "ledgerd asks with CONFIG GET whether Redis keeps what it answers; allow that, or say --redis-allow-lossy");
		}
		ok = ok && judge_settings(&config, err);
	}
	ok = ok && check_chain(m, &arena, err);
	arena_free(&arena);
	return ok;
}

/* ---- adding ---- */

/* What Redis says when it does not take an entry; the rest is for waiting. */
static void explain_refusal(struct error *err)
{
	if (err->code == ERR_REFUSED && strstr(err->message, "OOM "))
		err->code = ERR_STORAGE_FULL;
	else if (err->code != ERR_STORAGE_FULL)
		err->code = ERR_UNAVAILABLE;
}

struct round {
	struct arena arena;
	struct mempool_append *appends;
	size_t count, bytes;
};

/* Takes the first of those that wait, up to a pipeline's worth. Locked. */
static void take_appends(struct mempool_redis *m, struct round *r)
{
	struct mempool_append **end = &m->first;
	while (*end && r->count < ADDED_MAX && r->bytes < ADDED_BYTES_MAX) {
		r->count++;
		r->bytes += (*end)->message.n;
		end = &(*end)->next;
	}
	r->appends = r->count ? m->first : NULL;
	struct mempool_append *rest = *end;
	*end = NULL;
	m->first = rest;
	if (!rest)
		m->last = &m->first;
}

static void build_adds(const struct round *r, struct redis_words *commands, struct arena *arena)
{
	for (const struct mempool_append *a = r->appends; a; a = a->next) {
		struct str *words = arena_zalloc(arena, 7, sizeof(*words));
		char signature[ED25519_SIGNATURE_TEXT_LEN + 1];
		ed25519_signature_to_text(&a->signature, signature);
		words[0] = STR_LIT("XADD");
		words[1] = STR_LIT(STREAM);
		words[2] = STR_LIT("*");
		words[3] = STR_LIT("message");
		words[4] = a->message;
		words[5] = STR_LIT("signature");
		words[6] = arena_copy(arena, str_from(signature));
		*commands++ = (struct redis_words){words, 7};
	}
}

/* Each is told; the one behind is read before, since `done` may free. */
static void finish_appends(struct round *r, const struct redis_reply *answers, const struct error *all_failed, const struct error *rest_failed)
{
	size_t i = 0;
	for (struct mempool_append *a = r->appends, *next; a; a = next, i++) {
		struct mempool_handle h;
		next = a->next;
		if (!all_failed && answers[i].type == REDIS_TYPE_TEXT && mempool_redis_handle_read(answers[i].text, &h))
			a->done(a, &h, NULL);
		else
			a->done(a, NULL, all_failed ? all_failed : rest_failed);
	}
}

static bool add(struct mempool_redis *m, struct round *r)
{
	struct error err = {.code = ERR_UNAVAILABLE, .message = "Redis gave no entry's name"};
	struct arena *arena = &r->arena;
	size_t asked = m->allow_lossy ? 0 : 1;
	struct redis_words *commands = arena_zalloc(arena, r->count + 1, sizeof(*commands));
	struct redis_reply *answers = arena_zalloc(arena, r->count + 1, sizeof(*answers));

	commands[0] = (struct redis_words){SETTINGS_COMMAND};
	build_adds(r, commands + asked, arena);
	for (size_t i = 0; i < r->count + asked; i++)
		answers[i].type = REDIS_TYPE_NULL;
	bool ok = redis_pipeline(m->out, commands, r->count + asked, arena, answers, &err);
	bool lossy = asked && answers[0].type == REDIS_TYPE_LIST && !judge_settings(&answers[0], &err);
	if (!ok || lossy)
		explain_refusal(&err);
	/* Without the answer about the settings nothing is certain to be kept. */
	bool unknown = asked && answers[0].type != REDIS_TYPE_LIST;
	finish_appends(r, answers + asked, lossy || unknown ? &err : NULL, &err);
	if (!ok || lossy)
		log_warn("transactions were not taken into Redis", LOG_S("why", err.message));
	return ok && !lossy;
}

/* ---- settling ---- */

static void build_settle(const struct mempool_handle *handles, size_t count, const char *verb, bool group, struct arena *arena, struct redis_words *out)
{
	struct str *words = arena_zalloc(arena, count + 3, sizeof(*words));
	size_t n = 0;
	words[n++] = str_from(verb);
	words[n++] = STR_LIT(STREAM);
	if (group)
		words[n++] = STR_LIT(GROUP);
	for (size_t i = 0; i < count; i++) {
		char text[HANDLE_TEXT_SIZE];
		mempool_redis_handle_text(handles[i], text);
		words[n++] = arena_copy(arena, str_from(text));
	}
	*out = (struct redis_words){words, n};
}

/* Acknowledged and deleted; then the others are told. Deleting twice does no harm. */
static bool settle(struct mempool_redis *m, const struct mempool_handle *handles, size_t count, bool tell, struct arena *arena, struct error *err)
{
	struct redis_words commands[3];
	struct redis_reply answers[3];
	size_t n = 0;
	const struct str publish[] = {STR_LIT("PUBLISH"), str_from(m->channel), STR_LIT("moved")};
	if (count) {
		build_settle(handles, count, "XACK", true, arena, &commands[n++]);
		build_settle(handles, count, "XDEL", false, arena, &commands[n++]);
	}
	if (tell)
		commands[n++] = (struct redis_words){publish, 3};
	if (redis_pipeline(m->out, commands, n, arena, answers, err))
		return true;
	/* The stream, or its group, is gone: then so are the entries. */
	return err->code == ERR_REFUSED && strstr(err->message, "NOGROUP");
}

void mempool_redis_settle(struct mempool_redis *m, const struct mempool_handle *handles, size_t count, bool tell)
{
	pthread_mutex_lock(&m->lock);
	if (m->settled_count + count > m->settled_cap) {
		m->settled_cap = 2 * m->settled_cap > m->settled_count + count ? 2 * m->settled_cap : m->settled_count + count + 64;
		m->settled = xrealloc(m->settled, m->settled_cap * sizeof(*m->settled));
	}
	if (count)
		memcpy(m->settled + m->settled_count, handles, count * sizeof(*handles));
	m->settled_count += count;
	m->told |= tell;
	pthread_cond_signal(&m->woken);
	pthread_mutex_unlock(&m->lock);
}

/* ---- the writer ---- */

static struct timespec monotonic_in(int64_t ms)
{
	int64_t at = clock_mono_ns() + ms * 1000000;
	return (struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
}

bool mempool_redis_sleep(struct mempool_redis *m, int64_t ms)
{
	struct timespec until = monotonic_in(ms);
	int rc = 0;
	pthread_mutex_lock(&m->lock);
	while (!m->stop && rc == 0)
		rc = pthread_cond_timedwait(&m->woken, &m->lock, &until);
	bool goes_on = !m->stop;
	pthread_mutex_unlock(&m->lock);
	return goes_on;
}

/* One batch of what is settled; puts it back when it did not get through. Locked on entry and exit. */
static bool settle_round(struct mempool_redis *m)
{
	struct mempool_handle batch[SETTLED_MAX];
	struct arena arena;
	struct error err;
	size_t n = m->settled_count < SETTLED_MAX ? m->settled_count : SETTLED_MAX;
	bool tell = m->told && n == m->settled_count;

	if (n)
		memcpy(batch, m->settled, n * sizeof(*batch));
	m->settled_count -= n;
	memmove(m->settled, m->settled + n, m->settled_count * sizeof(*batch));
	m->told = m->told && !tell;
	pthread_mutex_unlock(&m->lock);
	arena_init(&arena);
	bool ok = settle(m, batch, n, tell, &arena, &err);
	arena_free(&arena);
	if (!ok) {
		log_debug("settled transactions stay in Redis for now", LOG_S("why", err.message));
		mempool_redis_settle(m, batch, n, tell);
	}
	pthread_mutex_lock(&m->lock);
	return ok;
}

/* All that was handed in for a pipeline. Locked on entry and exit. */
static void add_round(struct mempool_redis *m)
{
	struct round r = {.count = 0};
	arena_init(&r.arena);
	take_appends(m, &r);
	pthread_mutex_unlock(&m->lock);
	atomic_store(&m->writes, add(m, &r));
	arena_free(&r.arena);
	pthread_mutex_lock(&m->lock);
}

/* Nobody may hand anything in while Redis is known to be away: whether it is back is asked for. Locked on entry and exit. */
static void probe(struct mempool_redis *m)
{
	struct error err;
	pthread_mutex_unlock(&m->lock);
	bool ok = check_settings(m, &err);
	if (ok)
		log_info("Redis takes transactions again");
	atomic_store(&m->writes, ok);
	pthread_mutex_lock(&m->lock);
}

static void *writer_main(void *arg)
{
	struct mempool_redis *m = arg;
	int64_t not_before = 0; /* settling and probing, after a failure; monotonic ms */

	pthread_mutex_lock(&m->lock);
	while (!m->stop || m->settled_count || m->told) {
		bool settles = m->settled_count || m->told, well = atomic_load(&m->writes);
		if (m->first) {
			add_round(m);
		} else if ((settles || !well) && clock_mono_ms() >= not_before) {
			bool ok = !settles || settle_round(m);
			if (m->stop && !ok)
				break;
			if (ok && !well)
				probe(m);
			not_before = ok && atomic_load(&m->writes) ? 0 : clock_mono_ms() + AGAIN_MS;
		} else if (m->stop) {
			break;
		} else if (settles || !well) {
			struct timespec until = monotonic_in(AGAIN_MS);
			(void)pthread_cond_timedwait(&m->woken, &m->lock, &until);
		} else {
			(void)pthread_cond_wait(&m->woken, &m->lock);
		}
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

/* ---- the store ---- */

static struct mempool_redis *of(struct mempool_store *s)
{
	return (struct mempool_redis *)s;
}

static void redis_append(struct mempool_store *s, struct mempool_append *a)
{
	struct mempool_redis *m = of(s);
	a->next = NULL;
	pthread_mutex_lock(&m->lock);
	*m->last = a;
	m->last = &a->next;
	pthread_cond_signal(&m->woken);
	pthread_mutex_unlock(&m->lock);
}

static enum db_status redis_remove_in(struct mempool_store *s, struct db_conn *c, const struct mempool_handle *handles, size_t count, struct error *err)
{
	(void)s;
	(void)c;
	(void)handles;
	(void)count;
	(void)err;
	return DB_OK; /* an entry that outlives its block's commit is known by its id when it is offered again */
}

static void redis_settled(struct mempool_store *s, const struct mempool_handle *handles, size_t count)
{
	struct mempool_redis *m = of(s);
	if (m->producer)
		mempool_redis_settle(m, handles, count, true);
}

static bool redis_ready(struct mempool_store *s, struct error *err)
{
	struct mempool_redis *m = of(s);
	return (atomic_load(&m->writes) && atomic_load(&m->reads)) ||
	       error_set(err, ERR_UNAVAILABLE, "Redis, where transactions wait, cannot be reached");
}

static void heard(void *ctx, struct str message)
{
	struct mempool_redis *m = ctx;
	(void)message;
	m->events.moved(m->events.core);
}

static void heard_anew(void *ctx)
{
	heard(ctx, STR_NONE);
}

static bool redis_start(struct mempool_store *s, const struct mempool_events *e, struct error *err)
{
	struct mempool_redis *m = of(s);
	m->events = *e;
	if (!m->producer) {
		const struct redis_subscribe_options o = {.url = m->url, .channel = m->channel, .heard = heard, .anew = heard_anew, .ctx = m};
		m->subscriber = redis_subscribe(&o, err);
		if (!m->subscriber)
			return false;
	}
	invariant(pthread_create(&m->writer, NULL, writer_main, m) == 0);
	invariant(pthread_create(&m->reader, NULL, mempool_redis_reader_main, m) == 0);
	pthread_setname_np(m->writer, "redis-write");
	pthread_setname_np(m->reader, "redis-read");
	m->started = true;
	return true;
}

static void redis_store_free(struct mempool_store *s)
{
	struct mempool_redis *m = of(s);
	const struct error ending = {.code = ERR_SHUTTING_DOWN, .message = "the service is stopping"};

	pthread_mutex_lock(&m->lock);
	m->stop = true;
	atomic_store(&m->stopping, true);
	struct round left = {.appends = m->first};
	m->first = NULL;
	m->last = &m->first;
	pthread_cond_broadcast(&m->woken);
	pthread_mutex_unlock(&m->lock);
	finish_appends(&left, NULL, &ending, &ending);
	redis_unsubscribe(m->subscriber);
	if (m->started) {
		pthread_join(m->reader, NULL);
		pthread_join(m->writer, NULL);
	}
	redis_free(m->in);
	redis_free(m->out);
	pthread_cond_destroy(&m->woken);
	pthread_mutex_destroy(&m->lock);
	free(m->settled);
	free(m->url);
	free(m->consumer);
	free(m->channel);
	free(m);
}

static const struct mempool_store_ops redis_ops = {
	.start = redis_start,
	.append = redis_append,
	.remove_in = redis_remove_in,
	.settled = redis_settled,
	.ready = redis_ready,
	.free = redis_store_free,
};

static char *channel_of(const char *chain_id)
{
	struct buf name = {0};
	size_t n;
	buf_puts(&name, "tana:");
	buf_puts(&name, chain_id);
	buf_puts(&name, ":moved");
	return buf_steal(&name, &n);
}

struct mempool_store *mempool_redis_open(const struct mempool_redis_options *o, struct error *err)
{
	struct mempool_redis *m = xcalloc(1, sizeof(*m));
	const struct redis_options writing = {.url = o->url, .timeout_ms = TIMEOUT_MS}, reading = {.url = o->url, .timeout_ms = TIMEOUT_MS};
	pthread_condattr_t attr;

	m->store.ops = &redis_ops;
	m->producer = o->producer;
	m->allow_lossy = o->allow_lossy;
	m->url = xstrdup(o->url);
	m->consumer = xstrdup(o->consumer ? o->consumer : "");
	m->channel = channel_of(o->chain_id);
	hash_to_text(&o->genesis, m->genesis);
	m->last = &m->first;
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->woken, &attr);
	pthread_condattr_destroy(&attr);
	m->out = redis_new(&writing, err);
	m->in = m->out ? redis_new(&reading, err) : NULL;
	if (!m->in || !check_settings(m, err)) {
		redis_store_free(&m->store);
		return NULL;
	}
	if (o->allow_lossy)
		log_warn("Redis is used as it is: transactions that were accepted may be lost with it");
	atomic_store(&m->writes, true);
	atomic_store(&m->reads, true);
	return &m->store;
}
