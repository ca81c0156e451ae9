#include "scrubber.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	SEEK_BYTES = 64 * 1024,   /* what a blob counts as at least */
	ROUND_PAUSE_MS = 1000,    /* between two rounds: a small store must not keep the disk awake all the time */
	COUNT_SHARE = 4,          /* counting takes one part in so many of the time */
	AHEAD_MS = 50             /* the reader may be this far ahead of its rate */
};

struct scrubber {
	struct blob_store *store;
	int64_t rate;
	scrub_found_fn *found; /* may be NULL */
	scrub_progress_fn *progress;
	void *ctx;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool ends;                /* under the lock, as is the next */
	struct scrub_state state;
	int64_t due_ns;           /* when all that was read so far may have been read, at the rate */
	size_t piece_bytes;       /* of the blob under way, so far */
	pthread_t thread;
};

/* ---- time ---- */

/* Until `until_ns` (monotonic) at most; false when the scrubber ends. */
static bool sleep_until(struct scrubber *c, int64_t until_ns)
{
	struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
	pthread_mutex_lock(&c->lock);
	while (!c->ends && pthread_cond_timedwait(&c->woken, &c->lock, &until) == 0)
		;
	bool goes_on = !c->ends;
	pthread_mutex_unlock(&c->lock);
	return goes_on;
}

static bool goes_on(struct scrubber *c)
{
	pthread_mutex_lock(&c->lock);
	bool yes = !c->ends;
	pthread_mutex_unlock(&c->lock);
	return yes;
}

/* n bytes were read, or stand for what a blob costs beside them. */
static bool pay(struct scrubber *c, int64_t n)
{
	if (c->rate == 0)
		return goes_on(c);
	int64_t now_ns = clock_mono_ns();
	if (c->due_ns < now_ns)
		c->due_ns = now_ns;
	c->due_ns += (int64_t)((double)n / (double)c->rate * 1e9);
	return c->due_ns - now_ns < AHEAD_MS * INT64_C(1000000) ? goes_on(c) : sleep_until(c, c->due_ns);
}

static bool pace(void *ctx, size_t n)
{
	struct scrubber *c = ctx;
	c->piece_bytes += n;
	return pay(c, (int64_t)n);
}

/* ---- rounds ---- */

static void tell(struct scrubber *c, const struct hash *h, const struct error *why)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	pthread_mutex_lock(&c->lock);
	if (why->code == ERR_CONTENT_CORRUPT)
		c->state.corrupt++;
	else
		c->state.unreadable++;
	pthread_mutex_unlock(&c->lock);
	if (why->code != ERR_CONTENT_CORRUPT) /* which the store has logged */
		log_error("a stored blob cannot be read", LOG_S("hash", text), LOG_S("cause", why->message));
	if (c->found)
		c->found(c->ctx, h, why);
}

static bool check_one(void *ctx, const struct hash *h)
{
	struct scrubber *c = ctx;
	struct error err;
	uint64_t size = 0;
	c->piece_bytes = 0;
	bool ok = blob_verify(c->store, h, pace, c, &size, &err);
	if (!ok && err.code == ERR_SHUTTING_DOWN)
		return false;
	if (!ok && err.code != ERR_UNKNOWN_CONTENT) /* deleted meanwhile: well */
		tell(c, h, &err);
	pthread_mutex_lock(&c->lock);
	c->state.checked++;
	c->state.checked_bytes += (int64_t)c->piece_bytes;
	struct scrub_state state = c->state;
	pthread_mutex_unlock(&c->lock);
	if (c->progress)
		c->progress(c->ctx, &state);
	return c->piece_bytes >= SEEK_BYTES ? goes_on(c) : pay(c, SEEK_BYTES - (int64_t)c->piece_bytes);
}

static void begin_round(struct scrubber *c)
{
	pthread_mutex_lock(&c->lock);
	c->state.checked = c->state.checked_bytes = 0;
	c->state.shards = 0;
	c->state.started_at = clock_wall_ms();
	pthread_mutex_unlock(&c->lock);
}

static void end_round(struct scrubber *c)
{
	pthread_mutex_lock(&c->lock);
	c->state.rounds++;
	c->state.finished_at = clock_wall_ms();
	pthread_mutex_unlock(&c->lock);
}

/* Each shard is counted anew first: others than we may have added and removed files. */
static bool one_round(struct scrubber *c, struct error *err)
{
	begin_round(c);
	for (unsigned i = 0; i < BLOB_SHARDS; i++) {
		if (!blob_count(c->store, i, err) || !blob_walk(c->store, i, check_one, c, err))
			return false;
		if (!goes_on(c))
			return error_set(err, ERR_INTERRUPTED, "the round was ended");
		pthread_mutex_lock(&c->lock);
		c->state.shards = i + 1;
		pthread_mutex_unlock(&c->lock);
	}
	end_round(c);
	return true;
}

static bool count_all(struct scrubber *c)
{
	struct error err;
	for (unsigned i = 0; i < BLOB_SHARDS; i++) {
		int64_t began_ns = clock_mono_ns();
		if (!blob_count(c->store, i, &err))
			log_error("a directory of the store cannot be counted", LOG_I("shard", i), LOG_S("cause", err.message));
		int64_t now_ns = clock_mono_ns();
		if (!sleep_until(c, now_ns + (now_ns - began_ns) * (COUNT_SHARE - 1)))
			return false;
	}
	return true;
}

static void *scrubber_main(void *arg)
{
	struct scrubber *c = arg;
	struct error err;
	bool on = count_all(c);
	while (on && c->rate > 0) {
		if (!one_round(c, &err) && goes_on(c))
			log_error("the scrubber could not end its round", LOG_S("cause", err.message));
		on = sleep_until(c, clock_mono_ns() + ROUND_PAUSE_MS * INT64_C(1000000));
	}
	return NULL;
}

/* ---- life ---- */

static void init(struct scrubber *c, struct blob_store *s, int64_t rate)
{
	pthread_condattr_t attr;
	memset(c, 0, sizeof(*c));
	c->store = s;
	c->rate = rate;
	invariant(pthread_mutex_init(&c->lock, NULL) == 0 && pthread_condattr_init(&attr) == 0);
	invariant(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&c->woken, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

static void uninit(struct scrubber *c)
{
	pthread_cond_destroy(&c->woken);
	pthread_mutex_destroy(&c->lock);
}

struct scrubber *scrubber_start(struct blob_store *s, int64_t rate)
{
	struct scrubber *c = xmalloc(sizeof(*c));
	init(c, s, rate);
	int rc = pthread_create(&c->thread, NULL, scrubber_main, c);
	if (rc != 0)
		fatal("cannot start the scrubber: %s", strerror(rc));
	pthread_setname_np(c->thread, "scrubber");
	return c;
}

void scrubber_state(struct scrubber *c, struct scrub_state *out)
{
	pthread_mutex_lock(&c->lock);
	*out = c->state;
	pthread_mutex_unlock(&c->lock);
}

void scrubber_stop(struct scrubber *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->ends = true;
	pthread_cond_broadcast(&c->woken);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	uninit(c);
	free(c);
}

bool scrub_once(struct blob_store *s, int64_t rate, scrub_found_fn *found, scrub_progress_fn *progress, void *ctx, struct scrub_state *out,
		struct error *err)
{
	struct scrubber c;
	init(&c, s, rate);
	c.found = found;
	c.progress = progress;
	c.ctx = ctx;
	bool ok = one_round(&c, err);
	*out = c.state;
	uninit(&c);
	return ok;
}
