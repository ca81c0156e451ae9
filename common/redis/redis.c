#include "redis.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "redis_url.h"

enum {
	TIMEOUT_MS = 2000,
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 5000,
	REPLY_DEPTH_MAX = 16,
	PING_MS = 20000 /* a silent subscription is asked whether it is still there */
};

struct redis {
	struct redis_url url;
	int64_t connect_timeout_ms, timeout_ms;
	redisContext *c; /* NULL: not connected */
	int64_t backoff_ms, next_try_ms; /* monotonic */
};

static struct timeval to_timeval(int64_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* ---- replies ---- */

static bool copy_reply(const redisReply *from, struct arena *arena, int depth, struct redis_reply *out, struct error *err)
{
	*out = (struct redis_reply){.type = REDIS_TYPE_NULL};
	switch (from->type) {
	case REDIS_REPLY_STRING:
	case REDIS_REPLY_STATUS:
		out->type = REDIS_TYPE_TEXT;
		out->text = arena_copy(arena, str_of(from->str, from->len));
		return true;
	case REDIS_REPLY_INTEGER:
		out->type = REDIS_TYPE_INT;
		out->number = from->integer;
		return true;
	case REDIS_REPLY_NIL:
		return true;
	case REDIS_REPLY_ERROR:
		return error_set(err, strncmp(from->str, "LOADING", 7) == 0 ? ERR_UNAVAILABLE : ERR_REFUSED, "Redis: %.200s", from->str);
	case REDIS_REPLY_ARRAY:
		break;
	default:
		return error_set(err, ERR_BAD_ANSWER, "Redis gave an answer of a kind that is not known (%d)", from->type);
	}
	if (depth >= REPLY_DEPTH_MAX)
		return error_set(err, ERR_BAD_ANSWER, "Redis gave an answer that is nested too deeply");
	struct redis_reply *items = arena_zalloc(arena, from->elements, sizeof(*items));
	out->type = REDIS_TYPE_LIST;
	out->items = items;
	out->count = from->elements;
	for (size_t i = 0; i < from->elements; i++)
		if (!copy_reply(from->element[i], arena, depth + 1, &items[i], err))
			return false;
	return true;
}

/* ---- connections ---- */

static void disconnect(struct redis *r)
{
	if (r->c)
		redisFree(r->c);
	r->c = NULL;
}

static bool lost(struct redis *r, struct error *err)
{
	bool silent = r->c && r->c->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK);
	error_set(err, ERR_UNAVAILABLE, "Redis: %s", silent ? "no answer in time" : r->c && r->c->errstr[0] ? r->c->errstr : "the connection was lost");
	disconnect(r);
	return false;
}

/* One answer, which must not be an error. */
static bool read_answer(struct redis *r, struct arena *arena, struct redis_reply *out, struct error *err)
{
	void *reply = NULL;
	if (redisGetReply(r->c, &reply) != REDIS_OK || !reply)
		return lost(r, err);
	bool ok = copy_reply(reply, arena, 0, out, err);
	freeReplyObject(reply);
	return ok;
}

static bool append(struct redis *r, const struct str *words, size_t count, struct error *err)
{
	const char **argv = xcalloc(count, sizeof(*argv));
	size_t *lengths = xcalloc(count, sizeof(*lengths));
	for (size_t i = 0; i < count; i++) {
		argv[i] = words[i].p ? words[i].p : "";
		lengths[i] = words[i].n;
	}
	bool ok = redisAppendCommandArgv(r->c, (int)count, argv, lengths) == REDIS_OK;
	free(argv);
	free(lengths);
	return ok || lost(r, err);
}

static bool say(struct redis *r, const struct str *words, size_t count, struct error *err)
{
	struct arena scratch;
	struct redis_reply ignored;
	arena_init(&scratch);
	bool ok = append(r, words, count, err) && read_answer(r, &scratch, &ignored, err);
	arena_free(&scratch);
	return ok;
}

/* Who we are, and which database. */
static bool greet(struct redis *r, struct error *err)
{
	char number[24];
	const struct str auth[] = {STR_LIT("AUTH"), str_from(r->url.user), str_from(r->url.password)};
	const struct str plain_auth[] = {STR_LIT("AUTH"), str_from(r->url.password)};
	if (r->url.password && !(r->url.user ? say(r, auth, 3, err) : say(r, plain_auth, 2, err)))
		return false;
	(void)snprintf(number, sizeof(number), "%lld", (long long)r->url.database);
	const struct str select[] = {STR_LIT("SELECT"), str_from(number)};
	return r->url.database == 0 || say(r, select, 2, err);
}

static bool connect_now(struct redis *r, struct error *err)
{
	struct timeval t = to_timeval(r->connect_timeout_ms);
	r->c = r->url.path ? redisConnectUnixWithTimeout(r->url.path, t) : redisConnectWithTimeout(r->url.host, r->url.port, t);
	if (!r->c || r->c->err) {
		if (r->url.path)
			error_set(err, ERR_UNAVAILABLE, "cannot reach Redis at %s: %s", r->url.path, r->c ? r->c->errstr : "out of memory");
		else
			error_set(err, ERR_UNAVAILABLE, "cannot reach Redis at %s:%d: %s", r->url.host, r->url.port, r->c ? r->c->errstr : "out of memory");
		disconnect(r);
		return false;
	}
	(void)redisSetTimeout(r->c, to_timeval(r->timeout_ms));
	if (!r->url.path)
		(void)redisEnableKeepAlive(r->c);
	if (greet(r, err))
		return true;
	disconnect(r);
	return false;
}

/* Attempts to connect keep their distance; in between it fails at once. */
static bool ensure_connected(struct redis *r, struct error *err)
{
	int64_t now = clock_mono_ms();
	if (r->c)
		return true;
	if (now < r->next_try_ms)
		return error_set(err, ERR_UNAVAILABLE, "Redis cannot be reached; it is tried again soon");
	if (connect_now(r, err)) {
		r->backoff_ms = 0;
		return true;
	}
	r->backoff_ms = r->backoff_ms == 0 ? BACKOFF_MIN_MS : r->backoff_ms * 2 < BACKOFF_MAX_MS ? r->backoff_ms * 2 : BACKOFF_MAX_MS;
	r->next_try_ms = clock_mono_ms() + r->backoff_ms / 2 + (int64_t)random_below((uint64_t)r->backoff_ms / 2 + 1);
	return false;
}

/* A kept connection that the peer has closed: seen before anything is sent on it. */
static void drop_if_dead(struct redis *r)
{
	struct pollfd p = {.fd = r->c ? r->c->fd : -1, .events = POLLIN};
	if (r->c && poll(&p, 1, 0) != 0)
		disconnect(r);
}

static struct redis *new_redis(const char *url, int64_t connect_timeout_ms, int64_t timeout_ms, struct error *err)
{
	struct redis_url u;
	if (!redis_url_parse(url, &u, err))
		return NULL;
	struct redis *r = xcalloc(1, sizeof(*r));
	r->url = u;
	r->connect_timeout_ms = connect_timeout_ms > 0 ? connect_timeout_ms : TIMEOUT_MS;
	r->timeout_ms = timeout_ms > 0 ? timeout_ms : TIMEOUT_MS;
	return r;
}

struct redis *redis_new(const struct redis_options *o, struct error *err)
{
	return new_redis(o->url, o->connect_timeout_ms, o->timeout_ms, err);
}

void redis_free(struct redis *r)
{
	if (!r)
		return;
	disconnect(r);
	redis_url_free(&r->url);
	free(r);
}

bool redis_pipeline(struct redis *r, const struct redis_words *commands, size_t count, struct arena *arena, struct redis_reply *out, struct error *err)
{
	bool ok = true;
	drop_if_dead(r);
	if (!ensure_connected(r, err))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!append(r, commands[i].words, commands[i].count, err))
			return false;
	/* All answers are read, whatever one of them says: the next command's must not be taken for them. */
	for (size_t i = 0; i < count; i++) {
		struct error why;
		if (read_answer(r, arena, &out[i], &why))
			continue;
		if (ok)
			*err = why;
		ok = false;
		if (!r->c)
			return false;
	}
	return ok;
}

bool redis_command(struct redis *r, const struct str *words, size_t count, struct arena *arena, struct redis_reply *out, struct error *err)
{
	struct redis_reply ignored;
	const struct redis_words one = {words, count};
	return redis_pipeline(r, &one, 1, arena, out ? out : &ignored, err);
}

/* ---- subscribers ---- */

struct redis_subscriber {
	struct redis_subscribe_options o;
	struct redis *redis;
	pthread_t thread;
	int stop_fd; /* eventfd */
	_Atomic bool stop, subscribed;
};

/* A message is the list "message", channel, text. */
static void hear(struct redis_subscriber *s, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 || reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[2]->type != REDIS_REPLY_STRING || strcmp(reply->element[0]->str, "message") != 0)
		return;
	s->o.heard(s->o.ctx, str_of(reply->element[2]->str, reply->element[2]->len));
}

/* What has come; false when the connection is of no use any more. */
static bool hear_all(struct redis_subscriber *s, struct error *err)
{
	struct redis *r = s->redis;
	void *reply = NULL;
	for (;;) {
		if (redisGetReplyFromReader(r->c, &reply) != REDIS_OK)
			return lost(r, err);
		if (!reply)
			return true;
		hear(s, reply);
		freeReplyObject(reply);
	}
}

static bool ask(struct redis_subscriber *s, const struct str *words, size_t count, struct error *err)
{
	int done = 0;
	if (!append(s->redis, words, count, err))
		return false;
	while (!done)
		if (redisBufferWrite(s->redis->c, &done) != REDIS_OK)
			return lost(s->redis, err);
	return true;
}

/* Until the connection is lost, or the end. */
static void listen_on(struct redis_subscriber *s, struct error *err)
{
	struct redis *r = s->redis;
	bool pinged = false;
	while (hear_all(s, err)) {
		struct pollfd p[2] = {{.fd = r->c->fd, .events = POLLIN}, {.fd = s->stop_fd, .events = POLLIN}};
		int n = poll(p, 2, PING_MS);
		if (atomic_load(&s->stop) || (n < 0 && errno != EINTR))
			return;
		if (n == 0) {
			if (pinged) {
				error_set(err, ERR_UNAVAILABLE, "Redis: no sign of life");
				return;
			}
			pinged = true;
			if (!ask(s, REDIS_WORDS(STR_LIT("PING")), err))
				return;
		} else if (n > 0) {
			pinged = false;
			if (redisBufferRead(r->c) != REDIS_OK) {
				(void)lost(r, err);
				return;
			}
		}
	}
}

static bool begin(struct redis_subscriber *s, struct error *err)
{
	return connect_now(s->redis, err) && say(s->redis, REDIS_WORDS(STR_LIT("SUBSCRIBE"), str_from(s->o.channel)), err);
}

static bool sleep_a_while(struct redis_subscriber *s, int64_t ms)
{
	struct pollfd p = {.fd = s->stop_fd, .events = POLLIN};
	(void)poll(&p, 1, (int)(ms / 2 + (int64_t)random_below((uint64_t)ms / 2 + 1)));
	return !atomic_load(&s->stop);
}

static void *subscriber_main(void *arg)
{
	struct redis_subscriber *s = arg;
	int64_t backoff = BACKOFF_MIN_MS;
	bool told = false;
	while (!atomic_load(&s->stop)) {
		struct error err = {0};
		if (begin(s, &err)) {
			backoff = BACKOFF_MIN_MS;
			told = false;
			atomic_store(&s->subscribed, true);
			s->o.anew(s->o.ctx);
			listen_on(s, &err);
			atomic_store(&s->subscribed, false);
		}
		disconnect(s->redis);
		if (atomic_load(&s->stop))
			break;
		if (!told)
			log_warn("Redis is not heard", LOG_S("channel", s->o.channel), LOG_S("why", err.message));
		told = true;
		if (!sleep_a_while(s, backoff))
			break;
		backoff = backoff * 2 < BACKOFF_MAX_MS ? backoff * 2 : BACKOFF_MAX_MS;
	}
	return NULL;
}

struct redis_subscriber *redis_subscribe(const struct redis_subscribe_options *o, struct error *err)
{
	struct redis *r = new_redis(o->url, 0, 0, err);
	if (!r)
		return NULL;
	struct redis_subscriber *s = xcalloc(1, sizeof(*s));
	s->o = *o;
	s->o.url = NULL;
	s->o.channel = xstrdup(o->channel);
	s->redis = r;
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	invariant(s->stop_fd >= 0 && pthread_create(&s->thread, NULL, subscriber_main, s) == 0);
	pthread_setname_np(s->thread, "redis-listen");
	return s;
}

void redis_unsubscribe(struct redis_subscriber *s)
{
	if (!s)
		return;
	const uint64_t one = 1;
	union {
		const char *in;
		char *out;
	} channel = {.in = s->o.channel};
	atomic_store(&s->stop, true);
	ssize_t n = write(s->stop_fd, &one, sizeof(one));
	invariant(n == sizeof(one));
	pthread_join(s->thread, NULL);
	(void)close(s->stop_fd);
	redis_free(s->redis);
	free(channel.out);
	free(s);
}

bool redis_subscribed(const struct redis_subscriber *s)
{
	return atomic_load(&s->subscribed);
}
