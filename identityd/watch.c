#include "watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "secrets.h"
#include "wire/identity.h"

enum { RETRY_AFTER_S = 15, NOTHING_SENT = -1 };

/* What streams wait for: one session, or one user. */
struct topic {
	struct waiter *first;
	size_t count, key_len;
	char key[];
};
struct address {
	size_t count, key_len;
	char key[];
};
struct waiter {
	struct waiter *prev, *next; /* of the topic */
	struct watch *watch;
	struct topic *topic;
	struct address *address;
	struct sse_stream *stream; /* NULL until the reply is made */
	int64_t next_id;
	int rank; /* of the last state sent */
	bool of_user;
	char token[SECRET_TEXT_MAX]; /* "": the stream carries none */
	struct hash login;           /* of_user: of the token that opened it, and its session */
	char login_session[SESSION_ID_LEN + 1];
};

struct watch {
	struct watch_options o;
	pthread_mutex_t lock; /* everything below; the hub's lock is taken inside it */
	struct strmap topics, addresses;
	int64_t session_streams, user_streams;
};

struct watch *watch_new(const struct watch_options *o)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	w->o = *o;
	invariant(pthread_mutex_init(&w->lock, NULL) == 0);
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	invariant(w->topics.count == 0 && w->addresses.count == 0);
	strmap_free(&w->topics);
	strmap_free(&w->addresses);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- waiters; under the lock ---- */

/* "s" or "u" and the id: sessions and users do not meet. */
static struct str topic_key(char *room, size_t size, char kind, struct str id)
{
	int n = snprintf(room, size, "%c%.*s", kind, STR_ARG(id));
	invariant(n > 0 && (size_t)n < size);
	return str_of(room, (size_t)n);
}
enum { TOPIC_KEY_SIZE = IDENTITY_USER_ID_MAX + 2 };

static struct topic *find_topic(struct watch *w, char kind, struct str id)
{
	char room[TOPIC_KEY_SIZE];
	if (id.n > IDENTITY_USER_ID_MAX)
		return NULL;
	return strmap_get(&w->topics, topic_key(room, sizeof(room), kind, id));
}

static struct topic *take_topic(struct watch *w, char kind, struct str id)
{
	char room[TOPIC_KEY_SIZE];
	struct str key = topic_key(room, sizeof(room), kind, id);
	struct topic *t = strmap_get(&w->topics, key);
	if (!t) {
		t = xcalloc(1, sizeof(*t) + key.n);
		t->key_len = key.n;
		memcpy(t->key, key.p, key.n);
		strmap_put(&w->topics, str_of(t->key, t->key_len), t);
	}
	return t;
}

static struct address *take_address(struct watch *w, struct str key)
{
	struct address *a = strmap_get(&w->addresses, key);
	if (!a) {
		a = xcalloc(1, sizeof(*a) + key.n);
		a->key_len = key.n;
		memcpy(a->key, key.p, key.n);
		strmap_put(&w->addresses, str_of(a->key, a->key_len), a);
	}
	return a;
}

static void drop_if_unused(struct watch *w, struct topic *t, struct address *a)
{
	if (t->count == 0) {
		(void)strmap_remove(&w->topics, str_of(t->key, t->key_len));
		free(t);
	}
	if (a->count == 0) {
		(void)strmap_remove(&w->addresses, str_of(a->key, a->key_len));
		free(a);
	}
}

static struct waiter *enter(struct watch *w, struct http_request *r, char kind, struct str id, struct error *err)
{
	struct topic *t = take_topic(w, kind, id);
	struct address *a = take_address(w, str_from(http_peer(r)));
	if ((int64_t)t->count >= w->o.streams_per_session)
		error_set(err, ERR_TOO_MANY_STREAMS, "there are %lld streams of this already", (long long)w->o.streams_per_session);
	else if ((int64_t)a->count >= w->o.streams_per_address && !http_from_loopback(r))
		error_set(err, ERR_TOO_MANY_STREAMS, "there are %lld streams to this address already", (long long)w->o.streams_per_address);
	else {
		struct waiter *one = xcalloc(1, sizeof(*one));
		*one = (struct waiter){.next = t->first, .watch = w, .topic = t, .address = a, .rank = NOTHING_SENT, .of_user = kind == 'u'};
		if (t->first)
			t->first->prev = one;
		t->first = one;
		t->count++;
		a->count++;
		*(one->of_user ? &w->user_streams : &w->session_streams) += 1;
		return one;
	}
	drop_if_unused(w, t, a);
	return NULL;
}

static void leave(struct waiter *one)
{
	struct watch *w = one->watch;
	*(one->prev ? &one->prev->next : &one->topic->first) = one->next;
	if (one->next)
		one->next->prev = one->prev;
	one->topic->count--;
	one->address->count--;
	*(one->of_user ? &w->user_streams : &w->session_streams) -= 1;
	drop_if_unused(w, one->topic, one->address);
	explicit_bzero(one->token, sizeof(one->token));
	free(one);
}

/* The stream is over. */
static void gone(void *ctx)
{
	struct waiter *one = ctx;
	struct watch *w = one->watch;
	pthread_mutex_lock(&w->lock);
	leave(one);
	pthread_mutex_unlock(&w->lock);
}

static void post(struct waiter *one, const struct json_message *m, const void *value, bool last)
{
	struct buf data = {0};
	json_write(&data, m, value);
	sse_stream_post(one->stream, one->next_id++, buf_str(&data), last);
	explicit_bzero(data.data, data.len);
	buf_free(&data);
}

/* ---- streams ---- */

static struct http_reply *open_stream(struct watch *w, struct http_request *r, char kind, struct str id, struct str token, const struct token_row *who, bool *opened)
{
	struct error err;
	struct sse_stream *stream;
	*opened = false;
	pthread_mutex_lock(&w->lock);
	struct waiter *one = enter(w, r, kind, id, &err);
	if (one && who) {
		one->login = who->hash;
		(void)snprintf(one->login_session, sizeof(one->login_session), "%.*s", STR_ARG(who->session_id));
	}
	pthread_mutex_unlock(&w->lock);
	if (!one) {
		char seconds[16];
		(void)snprintf(seconds, sizeof(seconds), "%d", RETRY_AFTER_S);
		return http_reply_header(http_reply_error(r, &err), "Retry-After", seconds);
	}
	struct http_reply *reply = http_reply_own_events(r, w->o.hub, gone, one, &stream);
	pthread_mutex_lock(&w->lock);
	*opened = stream != NULL;
	if (*opened) {
		one->stream = stream;
		if (str_present(token))
			(void)snprintf(one->token, sizeof(one->token), "%.*s", STR_ARG(token));
	} else {
		leave(one);
	}
	if (*opened && kind == 's') {
		struct identity_event e = {.type = STR_LIT("connected"), .session_id = id};
		post(one, &identity_event_message, &e, false);
	}
	pthread_mutex_unlock(&w->lock);
	return reply;
}

struct http_reply *watch_session(struct watch *w, struct http_request *r, struct str session_id, struct str token, bool *opened)
{
	return open_stream(w, r, 's', session_id, token, NULL, opened);
}

struct http_reply *watch_user(struct watch *w, struct http_request *r, const struct token_row *who, bool *opened)
{
	return open_stream(w, r, 'u', who->user_id, STR_NONE, who, opened);
}

/* ---- what happens ---- */

static int rank_of(enum session_status status)
{
	switch (status) {
	case SESSION_WAITING:
		return 0;
	case SESSION_SCANNED:
		return 1;
	case SESSION_APPROVED:
	case SESSION_REJECTED:
	case SESSION_EXPIRED:
		break;
	}
	return 2;
}

static void tell(struct waiter *one, const struct session_row *s, enum session_status status)
{
	char expires[CLOCK_ISO8601_SIZE];
	bool open = session_status_open(status);
	const char *text = session_status_text(status);
	struct identity_event e = {.type = str_from(open ? "status_update" : text), .session_id = s->id, .status = str_from(text)};
	clock_iso8601(s->expires_at, expires);
	if (open)
		e.expires_at = str_from(expires);
	if (s->desktop_counts && one->token[0]) {
		e.session_token = str_from(one->token);
		e.user_id = s->user_id;
		e.username = s->username;
	}
	post(one, &identity_event_message, &e, !open);
}

void watch_session_is(struct watch *w, const struct session_row *s, int64_t now)
{
	enum session_status status = session_status_at(s->status, s->expires_at, now);
	int rank = rank_of(status);
	pthread_mutex_lock(&w->lock);
	struct topic *t = find_topic(w, 's', s->id);
	for (struct waiter *one = t ? t->first : NULL; one; one = one->next) {
		if (!one->stream || rank <= one->rank)
			continue;
		one->rank = rank;
		tell(one, s, status);
	}
	pthread_mutex_unlock(&w->lock);
}

void watch_user_login(struct watch *w, const struct session_row *s)
{
	char time[CLOCK_ISO8601_SIZE];
	clock_iso8601(s->ended_at, time);
	const struct identity_login e = {.type = STR_LIT("login"),
					 .time = str_from(time),
					 .app_name = s->app_name,
					 .app_origin = s->app_origin,
					 .client_id = s->client_id,
					 .ip = s->desktop_ip,
					 .user_agent = s->desktop_agent,
					 .public_key = s->public_key};
	pthread_mutex_lock(&w->lock);
	struct topic *t = find_topic(w, 'u', s->user_id);
	for (struct waiter *one = t ? t->first : NULL; one; one = one->next)
		if (one->stream)
			post(one, &identity_login_message, &e, false);
	pthread_mutex_unlock(&w->lock);
}

size_t watch_user_tokens(struct watch *w, struct str user_id, struct arena *arena, struct token_row **out)
{
	size_t count = 0;
	pthread_mutex_lock(&w->lock);
	struct topic *t = find_topic(w, 'u', user_id);
	*out = arena_zalloc(arena, t ? t->count : 1, sizeof(**out));
	for (struct waiter *one = t ? t->first : NULL; one; one = one->next, count++) {
		(*out)[count].hash = one->login;
		(*out)[count].session_id = arena_copy(arena, str_from(one->login_session));
	}
	pthread_mutex_unlock(&w->lock);
	return count;
}

void watch_user_end(struct watch *w, struct str user_id, const struct hash *token)
{
	pthread_mutex_lock(&w->lock);
	struct topic *t = find_topic(w, 'u', user_id);
	for (struct waiter *one = t ? t->first : NULL; one; one = one->next)
		if (one->stream && hash_equal(&one->login, token))
			sse_stream_end(one->stream);
	pthread_mutex_unlock(&w->lock);
}

bool watch_session_watched(struct watch *w, struct str session_id)
{
	pthread_mutex_lock(&w->lock);
	bool watched = find_topic(w, 's', session_id) != NULL;
	pthread_mutex_unlock(&w->lock);
	return watched;
}

bool watch_user_watched(struct watch *w, struct str user_id)
{
	pthread_mutex_lock(&w->lock);
	bool watched = find_topic(w, 'u', user_id) != NULL;
	pthread_mutex_unlock(&w->lock);
	return watched;
}

size_t watch_sessions(struct watch *w, struct arena *arena, struct str **out)
{
	size_t at = 0, count = 0;
	struct topic *t;
	pthread_mutex_lock(&w->lock);
	*out = arena_zalloc(arena, w->topics.count + 1, sizeof(**out));
	while ((t = strmap_next(&w->topics, &at)))
		if (t->key[0] == 's')
			(*out)[count++] = arena_copy(arena, str_of(t->key + 1, t->key_len - 1));
	pthread_mutex_unlock(&w->lock);
	return count;
}

void watch_counts(struct watch *w, int64_t *session_streams, int64_t *user_streams)
{
	pthread_mutex_lock(&w->lock);
	*session_streams = w->session_streams;
	*user_streams = w->user_streams;
	pthread_mutex_unlock(&w->lock);
}
