/*
 * Server-Sent Events. The hub's ring holds the last events as ready-made text; each stream has a cursor into it. A stream with nothing
 * to send suspends its connection and joins the queue of sleepers; the hub's own thread resumes those that have something to do, so
 * that publishing is one append and at most one signal, however many streams there are. Streams fall asleep in the order of both their
 * cursors and their next comments: only the queue's front is ever looked at.
 *
 * libmicrohttpd does not notice that the peer of a suspended connection left; the comment, which goes out every 15 s, finds out.
 * Lock order: libmicrohttpd's response lock, the hub's lock, libmicrohttpd's connection lock.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "workers.h"

enum {
	OWN_WAITING_MAX = 64 * 1024, /* bytes posted to a stream and not sent: its reader is gone, or too slow */
	RESUMED_AT_ONCE = 256,     /* before publishers get the lock in between */
	STREAM_BLOCK_HTTP10 = 1024 /* libmicrohttpd's buffer for clients without chunked encoding; others need none */
};

struct sse_event {
	int refs; /* under the hub's lock: the ring's, and those of streams that have sent a part */
	int64_t id;
	size_t n;
	char text[];
};

struct sse_stream {
	struct sse_stream *prev, *next; /* among the sleepers */
	struct sse_hub *hub;
	struct http_request *request;
	bool sleeping, comment_due, ended;
	uint64_t cursor; /* sequence number of the next event */
	int64_t last_id; /* no event up to this id is sent any more */
	int64_t wake_ms; /* when sleeping: the next comment */
	void (*gone)(void *ctx); /* of a stream of its own; NULL: it reads the hub's events */
	void *gone_ctx;
	struct buf own;  /* text of this stream alone; goes first */
	size_t own_sent;
	struct sse_event *current; /* one that did not fit as a whole */
	size_t current_sent;
};

struct sse_hub {
	pthread_mutex_t lock; /* everything below, and the streams' members above */
	pthread_cond_t wake;
	pthread_t waker;
	struct sse_event **ring; /* the event with sequence number n is at n % cap */
	size_t cap;
	uint64_t first, end;             /* the ring holds [first, end) */
	struct sse_stream *front, *back; /* sleepers, the longest asleep in front */
	size_t streams;
	bool ending;  /* streams say goodbye */
	bool closing; /* the waker ends */
};

/* ---- events ---- */

/* type NULL: none. */
static void put_event(struct buf *out, int64_t id, const char *type, struct str data)
{
	invariant((!type || !strchr(type, '\n')) && !memchr(data.p, '\n', data.n));
	buf_puts(out, "id: ");
	buf_put_int(out, id);
	if (type) {
		buf_puts(out, "\nevent: ");
		buf_puts(out, type);
	}
	buf_puts(out, "\ndata: ");
	buf_put_str(out, data);
	buf_puts(out, "\n\n");
}

static struct sse_event *new_event(int64_t id, const char *type, struct str data)
{
	struct buf text = {0};
	put_event(&text, id, type, data);
	struct sse_event *e = xmalloc(sizeof(*e) + text.len);
	e->refs = 1;
	e->id = id;
	e->n = text.len;
	memcpy(e->text, text.data, text.len);
	buf_free(&text);
	return e;
}

static void unref(struct sse_event *e)
{
	if (e && --e->refs == 0)
		free(e);
}

static struct sse_event **slot(const struct sse_hub *h, uint64_t seq)
{
	return &h->ring[seq % h->cap];
}

void sse_hub_publish(struct sse_hub *h, int64_t id, const char *type, struct str data)
{
	struct sse_event *e = new_event(id, type, data);
	pthread_mutex_lock(&h->lock);
	invariant(h->end == h->first || (*slot(h, h->end - 1))->id < id);
	if (h->end - h->first == h->cap)
		unref(*slot(h, h->first++));
	*slot(h, h->end++) = e;
	if (h->front)
		pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
}

/* ---- sleeping and waking ---- */

static void fall_asleep(struct sse_stream *st)
{
	struct sse_hub *h = st->hub;
	const struct http_server *s = st->request->server;
	st->wake_ms = clock_mono_ms() + s->o.stream_comment_ms;
	st->prev = h->back;
	st->next = NULL;
	*(h->back ? &h->back->next : &h->front) = st;
	h->back = st;
	st->sleeping = true;
	if (h->front == st)
		pthread_cond_signal(&h->wake); /* the waker may be waiting without an end */
	MHD_suspend_connection(st->request->connection->mhd);
}

static void leave_sleepers(struct sse_stream *st)
{
	struct sse_hub *h = st->hub;
	*(st->prev ? &st->prev->next : &h->front) = st->next;
	*(st->next ? &st->next->prev : &h->back) = st->prev;
	st->sleeping = false;
}

/* Resumes sleepers that have something to do; true when there may be more of them. */
static bool wake_some(struct sse_hub *h, int64_t now_ms)
{
	for (int n = 0; n < RESUMED_AT_ONCE; n++) {
		struct sse_stream *st = h->front;
		if (!st)
			return false;
		st->comment_due = now_ms >= st->wake_ms;
		if (!st->comment_due && st->cursor == h->end && !h->ending)
			return false;
		leave_sleepers(st);
		connection_wake(st->request->connection);
	}
	return true;
}

static void wait_for_work(struct sse_hub *h)
{
	if (!h->front) {
		pthread_cond_wait(&h->wake, &h->lock);
		return;
	}
	struct timespec at = {.tv_sec = h->front->wake_ms / 1000, .tv_nsec = h->front->wake_ms % 1000 * 1000000};
	int rc = pthread_cond_timedwait(&h->wake, &h->lock, &at);
	invariant(rc == 0 || rc == ETIMEDOUT);
}

static void *waker_main(void *hub)
{
	struct sse_hub *h = hub;
	pthread_mutex_lock(&h->lock);
	while (!h->closing) {
		if (wake_some(h, clock_mono_ms())) {
			pthread_mutex_unlock(&h->lock);
			sched_yield();
			pthread_mutex_lock(&h->lock);
		} else {
			wait_for_work(h);
		}
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* ---- hubs ---- */

struct sse_hub *sse_hub_new(size_t ring_events)
{
	invariant(ring_events > 0);
	struct sse_hub *h = xcalloc(1, sizeof(*h));
	pthread_condattr_t monotonic;
	h->cap = ring_events;
	h->ring = xcalloc(ring_events, sizeof(struct sse_event *));
	invariant(pthread_mutex_init(&h->lock, NULL) == 0 && pthread_condattr_init(&monotonic) == 0 &&
		  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&h->wake, &monotonic) == 0 &&
		  pthread_condattr_destroy(&monotonic) == 0 && pthread_create(&h->waker, NULL, waker_main, h) == 0);
	return h;
}

void sse_hub_free(struct sse_hub *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	invariant(h->streams == 0);
	h->closing = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->waker, NULL);
	while (h->first < h->end)
		unref(*slot(h, h->first++));
	free(h->ring);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

size_t sse_hub_streams(struct sse_hub *h)
{
	pthread_mutex_lock(&h->lock);
	size_t n = h->streams;
	pthread_mutex_unlock(&h->lock);
	return n;
}

bool sse_hub_skip(struct sse_hub *h)
{
	pthread_mutex_lock(&h->lock);
	bool nobody = h->streams == 0;
	while (nobody && h->first < h->end)
		unref(*slot(h, h->first++));
	pthread_mutex_unlock(&h->lock);
	return nobody;
}

void sse_hub_end(struct sse_hub *h)
{
	pthread_mutex_lock(&h->lock);
	h->ending = true;
	while (wake_some(h, clock_mono_ms()))
		;
	pthread_mutex_unlock(&h->lock);
}

/* ---- what a stream sends ---- */

static size_t copy_part(char *to, size_t room, const char *from, size_t len, size_t *sent)
{
	size_t n = len - *sent < room ? len - *sent : room;
	memcpy(to, from + *sent, n);
	*sent += n;
	return n;
}

/* The next event for this stream becomes its current one; false when there is none. A stream that the ring has overtaken ends. */
static bool next_event(struct sse_stream *st)
{
	struct sse_hub *h = st->hub;
	if (st->cursor < h->first) {
		st->ended = true;
		return false;
	}
	while (st->cursor < h->end && (*slot(h, st->cursor))->id <= st->last_id)
		st->cursor++;
	if (st->cursor == h->end)
		return false;
	st->current = *slot(h, st->cursor++);
	st->current->refs++;
	st->current_sent = 0;
	st->last_id = st->current->id;
	return true;
}

static size_t fill(struct sse_stream *st, char *to, size_t room)
{
	size_t n = copy_part(to, room, st->own.data ? st->own.data : "", st->own.len, &st->own_sent);
	if (st->own_sent == st->own.len) {
		buf_free(&st->own);
		st->own_sent = 0;
	}
	while (n < room && !st->gone && (st->current || next_event(st))) {
		n += copy_part(to + n, room - n, st->current->text, st->current->n, &st->current_sent);
		if (st->current_sent < st->current->n)
			break;
		unref(st->current);
		st->current = NULL;
	}
	return n;
}

static bool peer_left(const struct sse_stream *st)
{
	char byte;
	return recv(st->request->connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static ssize_t read_events(void *cls, uint64_t pos, char *to, size_t max)
{
	(void)pos;
	struct sse_stream *st = cls;
	struct sse_hub *h = st->hub;
	ssize_t result;
	pthread_mutex_lock(&h->lock);
	size_t n = fill(st, to, max);
	if (n == 0 && !st->ended && (h->ending || st->comment_due)) {
		st->ended = h->ending || peer_left(st);
		buf_puts(&st->own, h->ending ? ": the service is going down\n\n" : ":\n\n");
		n = fill(st, to, max);
	}
	st->comment_due = false;
	if (n > 0) {
		result = (ssize_t)n;
		st->request->answer_bytes += n;
	} else if (st->ended) {
		result = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		result = 0;
		fall_asleep(st);
	}
	pthread_mutex_unlock(&h->lock);
	return result;
}

struct MHD_Response *sse_response(struct http_reply *reply)
{
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_HTTP10, read_events, reply->stream, NULL);
}

/* ---- a stream's beginning and end ---- */

/* The sequence number of the first event in the ring with an id above `id`. */
static uint64_t first_after(const struct sse_hub *h, int64_t id)
{
	uint64_t low = h->first, high = h->end;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if ((*slot(h, middle))->id > id)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void emit(void *stream, int64_t id, const char *type, struct str data)
{
	struct sse_stream *st = stream;
	if (id <= st->last_id)
		return;
	put_event(&st->own, id, type, data);
	st->last_id = id;
}

/* Places the cursor behind last_id. What the ring does not reach back to comes from `backfill`; events that it and the ring both have
 * are sent once, for ids only grow. */
static void catch_up(struct sse_stream *st, int64_t last_id, sse_backfill_fn *backfill, void *ctx)
{
	struct sse_hub *h = st->hub;
	pthread_mutex_lock(&h->lock);
	st->cursor = first_after(h, last_id);
	st->last_id = last_id;
	int64_t before = st->cursor < h->end ? (*slot(h, st->cursor))->id : INT64_MAX;
	/* An id beyond the newest was never given, or is of an instance that is ahead of this one: the backfill knows. */
	bool ahead = h->first < h->end && (*slot(h, h->end - 1))->id < last_id;
	bool seamless = (st->cursor > h->first && !ahead) || (st->cursor < h->end && before - 1 == last_id);
	pthread_mutex_unlock(&h->lock);
	if (seamless)
		return;
	size_t begin = st->own.len;
	if (backfill && backfill(ctx, last_id, before, emit, st))
		return;
	/* It begins anew, whatever id it named: also one that was never given. */
	st->own.len = begin;
	st->last_id = INT64_MIN;
	buf_puts(&st->own, "event: reset\ndata: {}\n\n");
}

/* The server ends its hubs' streams when it drains, so it must know them. */
static void register_hub(struct http_server *s, struct sse_hub *h)
{
	pthread_mutex_lock(&s->hubs_lock);
	size_t i = 0;
	while (i < s->hub_count && s->hubs[i] != h)
		i++;
	if (i == s->hub_count) {
		invariant(s->hub_count < HUBS_MAX);
		s->hubs[s->hub_count++] = h;
		if (atomic_load(&s->draining))
			sse_hub_end(h);
	}
	pthread_mutex_unlock(&s->hubs_lock);
}

/* A stream that begins with the hub's next event; NULL: *refusal. */
static struct sse_stream *new_stream(struct http_request *r, struct sse_hub *h, struct http_reply **refusal)
{
	struct http_server *s = r->server;
	if (atomic_fetch_add(&s->streams, 1) >= s->o.streams_max) {
		atomic_fetch_sub(&s->streams, 1);
		*refusal = http_reply_error_code(r, ERR_OVERLOADED, "there are %d event streams already", s->o.streams_max);
		return NULL;
	}
	register_hub(s, h);
	struct sse_stream *st = xcalloc(1, sizeof(*st));
	st->hub = h;
	st->request = r;
	st->last_id = INT64_MIN;
	buf_puts(&st->own, "retry: 2000\n\n");
	pthread_mutex_lock(&h->lock);
	h->streams++;
	st->cursor = h->end;
	pthread_mutex_unlock(&h->lock);
	return st;
}

struct http_reply *http_reply_events(struct http_request *r, struct sse_hub *h, int64_t last_id, sse_backfill_fn *backfill, void *ctx)
{
	struct http_reply *refusal;
	struct sse_stream *st = new_stream(r, h, &refusal);
	if (!st)
		return refusal;
	if (last_id >= 0)
		catch_up(st, last_id, backfill, ctx);
	return reply_events(r, st);
}

struct http_reply *http_reply_own_events(struct http_request *r, struct sse_hub *h, void (*gone)(void *ctx), void *ctx, struct sse_stream **out)
{
	struct http_reply *refusal;
	*out = new_stream(r, h, &refusal);
	if (!*out)
		return refusal;
	invariant((*out)->cursor == 0);
	(*out)->gone = gone;
	(*out)->gone_ctx = ctx;
	return reply_events(r, *out);
}

/* Under the hub's lock. */
static void wake(struct sse_stream *st)
{
	if (!st->sleeping)
		return;
	leave_sleepers(st);
	connection_wake(st->request->connection);
}

void sse_stream_post(struct sse_stream *st, int64_t id, struct str data, bool last)
{
	struct sse_hub *h = st->hub;
	pthread_mutex_lock(&h->lock);
	if (!st->ended) {
		put_event(&st->own, id, NULL, data);
		st->ended = last || st->own.len - st->own_sent > OWN_WAITING_MAX;
	}
	wake(st);
	pthread_mutex_unlock(&h->lock);
}

void sse_stream_end(struct sse_stream *st)
{
	pthread_mutex_lock(&st->hub->lock);
	st->ended = true;
	wake(st);
	pthread_mutex_unlock(&st->hub->lock);
}

void sse_stream_drop(struct sse_stream *st)
{
	struct sse_hub *h = st->hub;
	if (st->gone)
		st->gone(st->gone_ctx);
	pthread_mutex_lock(&h->lock);
	if (st->sleeping)
		leave_sleepers(st);
	unref(st->current);
	h->streams--;
	pthread_mutex_unlock(&h->lock);
	atomic_fetch_sub(&st->request->server->streams, 1);
	buf_free(&st->own);
	free(st);
}
