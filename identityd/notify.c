#include "notify.h"

#include "fresh.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/worker.h"
#include "db/db_listen.h"
#include "redis/redis.h"
#include "watch.h"

enum {
	WAITING_MAX = 100000,    /* messages for Redis that wait while it is away; older ones are dropped */
	BATCH = 256,             /* of them in one round trip */
	RETRY_MS = 200,
	QUIET_MS = 60000,
	INSTANCE_TEXT = 16
};
#define CHANNEL "tana_identity"

struct message {
	struct message *next;
	size_t n;
	char text[];
};

struct notify {
	struct identity *id;
	struct db_listener *listener;        /* PostgreSQL */
	struct redis_subscriber *subscriber; /* Redis */
	struct redis *redis;                 /* the sender thread's */
	struct worker *sender;
	char instance[INSTANCE_TEXT + 1]; /* who said it: one's own messages are not news */
	pthread_mutex_t lock;             /* the queue */
	struct message *first, **last;
	size_t count;
};

/* ---- hearing ---- */

/* DB_OK, and whether it counts now. */
static enum db_status token_counts(struct db_conn *c, const struct token_row *t, struct arena *arena, bool *counts, struct error *err)
{
	struct token_row now;
	enum db_status st = token_read(c, &t->hash, t->session_id, arena, &now, counts, err);
	*counts = st == DB_OK && *counts && now.expires_at > clock_wall_ms();
	return st;
}

void notify_tokens_ended(struct identity *id, struct str user_id)
{
	struct token_row *tokens;
	struct arena arena;
	struct error err;
	if (!watch_user_watched(id->watch, user_id))
		return;
	arena_init(&arena);
	size_t count = watch_user_tokens(id->watch, user_id, &arena, &tokens);
	struct db_conn *c = db_pool_reader(id->pool, &err);
	enum db_status st = c ? DB_OK : DB_UNAVAILABLE;
	for (size_t i = 0; i < count; i++) {
		bool counts = false;
		if (st == DB_OK)
			st = token_counts(c, &tokens[i], &arena, &counts, &err);
		if (!counts)
			watch_user_end(id->watch, user_id, &tokens[i].hash); /* also when it cannot be known: who still may opens another */
	}
	if (c)
		db_pool_release(id->pool, c);
	if (st != DB_OK)
		log_warn("the tokens of a user's streams could not be read", LOG_S("why", err.message));
	arena_free(&arena);
}

/* A user's streams hear of a login: those that still may. */
static void tell_user(struct identity *id, const struct session_row *s)
{
	notify_tokens_ended(id, s->user_id);
	watch_user_login(id->watch, s);
}

/* Reads the session and tells the streams that are waiting here. */
static void read_and_tell(struct identity *id, struct str session_id)
{
	int64_t session_streams, user_streams;
	struct session_row s;
	struct arena arena;
	struct error err;
	bool found = false;
	watch_counts(id->watch, &session_streams, &user_streams);
	if (user_streams == 0 && !watch_session_watched(id->watch, session_id))
		return;
	arena_init(&arena);
	struct db_conn *c = db_pool_reader(id->pool, &err);
	enum db_status st = c ? session_read(c, session_id, &arena, &s, &found, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(id->pool, c);
	if (st != DB_OK)
		log_warn("a session that another instance changed could not be read", LOG_S("why", err.message));
	if (st == DB_OK && found) {
		watch_session_is(id->watch, &s, clock_wall_ms());
		if (s.status == SESSION_APPROVED)
			tell_user(id, &s);
	}
	arena_free(&arena);
}

/* "instance session" */
static void heard(void *ctx, struct str message)
{
	const struct notify *n = ctx;
	const char *blank = memchr(message.p, ' ', message.n);
	size_t head = blank ? (size_t)(blank - message.p) : message.n;
	if (!blank || str_is(str_of(message.p, head), n->instance))
		return;
	struct str session_id = str_of(blank + 1, message.n - head - 1);
	if (!session_id_valid(session_id))
		return;
	fresh_drop(n->id->fresh, session_id);
	read_and_tell(n->id, session_id);
}

/* Something may have been missed: everything that is waited for is looked at. */
static void anew(void *ctx)
{
	const struct notify *n = ctx;
	struct arena arena;
	struct str *ids;
	arena_init(&arena);
	fresh_clear(n->id->fresh);
	size_t count = watch_sessions(n->id->watch, &arena, &ids);
	for (size_t i = 0; i < count; i++)
		read_and_tell(n->id, ids[i]);
	arena_free(&arena);
}

/* ---- saying ---- */

enum db_status notify_in(struct identity *id, struct db_conn *c, struct str session_id, struct error *err)
{
	char text[INSTANCE_TEXT + 64];
	if (!id->notify || !id->notify->listener)
		return DB_OK;
	int n = snprintf(text, sizeof(text), "%s %.*s", id->notify->instance, STR_ARG(session_id));
	return db_notify(c, CHANNEL, str_of(text, (size_t)n), err);
}

static void enqueue(struct notify *n, struct str session_id)
{
	size_t len = strlen(n->instance) + 1 + session_id.n;
	struct message *m = xmalloc(sizeof(*m) + len + 1);
	m->next = NULL;
	m->n = len;
	(void)snprintf(m->text, len + 1, "%s %.*s", n->instance, STR_ARG(session_id));
	pthread_mutex_lock(&n->lock);
	*n->last = m;
	n->last = &m->next;
	if (++n->count > WAITING_MAX) {
		struct message *oldest = n->first;
		n->first = oldest->next;
		n->count--;
		free(oldest);
	}
	pthread_mutex_unlock(&n->lock);
	worker_wake(n->sender);
}

void notify_session(struct identity *id, const struct session_row *s)
{
	if (!session_status_open(s->status))
		fresh_drop(id->fresh, s->id);
	watch_session_is(id->watch, s, clock_wall_ms());
	if (s->status == SESSION_APPROVED)
		tell_user(id, s);
	if (id->notify && id->notify->sender)
		enqueue(id->notify, s->id);
}

void notify_sessions(struct identity *id, const struct str *ids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fresh_drop(id->fresh, ids[i]);
		read_and_tell(id, ids[i]);
		if (id->notify && id->notify->sender)
			enqueue(id->notify, ids[i]);
	}
}

/* ---- the sender: one thread, so that nobody else ever waits for Redis ---- */

static size_t take_batch(struct notify *n, struct message *out[BATCH])
{
	size_t count = 0;
	pthread_mutex_lock(&n->lock);
	for (; count < BATCH && n->first; n->count--) {
		out[count] = n->first;
		n->first = out[count++]->next;
	}
	if (!n->first)
		n->last = &n->first;
	pthread_mutex_unlock(&n->lock);
	return count;
}

static void put_back(struct notify *n, struct message *batch[BATCH], size_t count)
{
	pthread_mutex_lock(&n->lock);
	for (size_t i = count; i-- > 0;) {
		batch[i]->next = n->first;
		if (!n->first)
			n->last = &batch[i]->next;
		n->first = batch[i];
		n->count++;
	}
	pthread_mutex_unlock(&n->lock);
}

static bool send_batch(struct notify *n, struct message *batch[BATCH], size_t count)
{
	struct str words[BATCH][3];
	struct redis_words commands[BATCH];
	struct redis_reply replies[BATCH];
	struct arena arena;
	struct error err;
	for (size_t i = 0; i < count; i++) {
		words[i][0] = STR_LIT("PUBLISH");
		words[i][1] = STR_LIT(CHANNEL);
		words[i][2] = str_of(batch[i]->text, batch[i]->n);
		commands[i] = (struct redis_words){words[i], 3};
	}
	arena_init(&arena);
	bool ok = redis_pipeline(n->redis, commands, count, &arena, replies, &err);
	arena_free(&arena);
	return ok;
}

static int64_t send_turn(void *ctx)
{
	struct notify *n = ctx;
	struct message *batch[BATCH];
	size_t count;
	while ((count = take_batch(n, batch)) > 0) {
		if (!send_batch(n, batch, count)) {
			put_back(n, batch, count); /* a message twice does no harm */
			return RETRY_MS;
		}
		for (size_t i = 0; i < count; i++)
			free(batch[i]);
	}
	return QUIET_MS;
}

/* ---- */

static bool start_redis(struct notify *n, const char *url, struct error *err)
{
	const struct redis_options o = {.url = url};
	const struct redis_subscribe_options s = {.url = url, .channel = CHANNEL, .heard = heard, .anew = anew, .ctx = n};
	n->redis = redis_new(&o, err);
	if (!n->redis)
		return false;
	n->subscriber = redis_subscribe(&s, err);
	if (!n->subscriber)
		return false;
	n->sender = worker_start("redis-say", send_turn, n);
	return true;
}

struct notify *notify_start(struct identity *id, struct error *err)
{
	struct notify *n = xcalloc(1, sizeof(*n));
	n->id = id;
	n->last = &n->first;
	(void)snprintf(n->instance, sizeof(n->instance), "%016llx", (unsigned long long)random_u64());
	invariant(pthread_mutex_init(&n->lock, NULL) == 0);
	if (id->config.redis_url) {
		if (start_redis(n, id->config.redis_url, err))
			return n;
		notify_stop(n);
		return NULL;
	}
	const struct db_listen_options o = {.url = id->config.db_url, .name = "identityd", .channel = CHANNEL, .heard = heard, .anew = anew, .ctx = n};
	n->listener = db_listen_start(&o);
	return n;
}

void notify_stop(struct notify *n)
{
	struct message *m;
	if (!n)
		return;
	db_listen_stop(n->listener);
	redis_unsubscribe(n->subscriber);
	worker_stop(n->sender);
	redis_free(n->redis);
	while ((m = n->first)) {
		n->first = m->next;
		free(m);
	}
	pthread_mutex_destroy(&n->lock);
	free(n);
}
