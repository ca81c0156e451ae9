#include "follower.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/stop.h"
#include "base/worker.h"
#include "crypto/canonical_read.h"
#include "http/client.h"
#include "wire/block.h"

enum {
	POLL_MS = 5000,
	RETRY_MIN_MS = 500,
	RETRY_MAX_MS = 30000,
	HALT_MS = 60000,
	SILENCE_MS = 15000,                  /* of an answer under way */
	PAGE_BLOCKS = LEDGER_BLOCKS_MAX,
	ANSWER_MIN = 64 * 1024 * 1024,       /* bytes of a page that are read at all */
	ANSWER_PER_BLOCK_BYTE = 12,          /* a block's answer may be so many times its transactions: ids, hex signatures, changes */
	ANSWER_ROOM = 16 * 1024 * 1024
};

struct follower {
	struct follower_options o;
	char *url;
	struct http_client *http, *events_http;
	struct worker *puller, *listener;
	volatile int stop;
	pthread_mutex_t lock; /* for what follows */
	int64_t height, checked_at; /* the other's; -1: it never answered */
	char problem[ERROR_MESSAGE_MAX]; /* "": none */
	/* The puller's alone: */
	int64_t retry_ms;
	size_t page; /* blocks asked for at once: fewer when they turn out large */
};

enum step { STEP_DONE, STEP_RETRY /* *err: a while */, STEP_HALT /* *err: it will not change by itself */ };

static bool stopping(const struct follower *f, struct error *err)
{
	return stop_asked(&f->stop) && !error_set(err, ERR_SHUTTING_DOWN, "the service is stopping");
}

/* One exchange; the answer's body is freed by the caller when this is true. */
static bool get(struct follower *f, const char *path, struct http_answer_in *answer, struct error *err)
{
	const struct http_transfer t = {.method = "GET", .path = path, .stop = &f->stop};
	if (!http_transfer(f->http, &t, answer, err))
		return false;
	if (answer->status == 200)
		return true;
	http_answer_error(answer, err);
	http_answer_free(answer);
	return false;
}

static enum step bad_answer(const struct follower *f, struct error *err, const char *what)
{
	error_set(err, ERR_BAD_ANSWER, "%s answered with something else than expected: %s", f->url, what);
	return STEP_RETRY;
}

/* ---- blocks ---- */

static enum step take(struct follower *f, const struct block *b, struct error *err)
{
	struct block_header h = {.height = -1};
	struct error why;
	if (f->o.chain.take(f->o.chain.ctx, b, &why))
		return STEP_DONE;
	if (error_code_status(why.code) >= 500) {
		*err = why;
		return STEP_RETRY;
	}
	if (!block_header_read(b->header, &h, err))
		h.height = -1;
	if (why.code == ERR_WRONG_STATE)
		error_set(err, why.code, "%s has another block %lld than the chain here: one of the two is not the chain", f->url, (long long)h.height);
	else
		error_set(err, why.code, "block %lld of %s does not fit: %s", (long long)h.height, f->url, why.message);
	return STEP_HALT;
}

/* The blocks of a canonical text {"blocks":[..],"nextCursor"?}, from `from` on. */
static enum step take_blocks(struct follower *f, struct str body, int64_t from, size_t *count, struct error *err)
{
	struct canonical_cursor c;
	struct str list, item;
	struct arena arena;
	enum step s = STEP_DONE;

	*count = 0;
	if (!canonical_find(body, "blocks", &list) || !canonical_enter_array(list, &c))
		return bad_answer(f, err, "no list of blocks");
	arena_init(&arena);
	while (s == STEP_DONE && canonical_next_item(&c, &item)) {
		struct block b;
		struct block_header h;
		struct error why;
		if (stopping(f, err)) {
			s = STEP_RETRY;
		} else if (!block_read(item, &arena, &b, &why) || !block_header_read(b.header, &h, &why)) {
			s = bad_answer(f, err, why.message);
		} else if (h.height != from + (int64_t)*count) {
			s = bad_answer(f, err, "other blocks than those asked for");
		} else {
			s = take(f, &b, err);
			*count += s == STEP_DONE;
		}
		arena_free(&arena);
	}
	arena_free(&arena);
	return s;
}

/* ledgerd answers canonically; others may spell the same otherwise. */
static enum step take_page(struct follower *f, struct str body, int64_t from, size_t *count, struct error *err)
{
	struct buf canonical = {0};
	struct json_doc *d;
	struct error why;
	if (canonical_check(body))
		return take_blocks(f, body, from, count, err);
	*count = 0;
	enum step s = STEP_RETRY;
	if (!(d = json_parse_object(body, &why)))
		return bad_answer(f, err, why.message);
	if (json_canonicalise(d, NULL, &canonical, &why))
		s = take_blocks(f, buf_str(&canonical), from, count, err);
	else
		bad_answer(f, err, why.message);
	json_doc_free(d);
	buf_free(&canonical);
	return s;
}

static enum step pull_page(struct follower *f, int64_t from, size_t *count, struct error *err)
{
	char path[96];
	struct http_answer_in answer;
	(void)snprintf(path, sizeof(path), "/blocks?from=%lld&limit=%zu&full=1", (long long)from, f->page);
	if (!get(f, path, &answer, err)) {
		if (err->code != ERR_TOO_LARGE || f->page == 1)
			return STEP_RETRY;
		f->page = (f->page + 1) / 2;
		*count = 0;
		return STEP_DONE;
	}
	enum step s = take_page(f, buf_str(&answer.body), from, count, err);
	http_answer_free(&answer);
	return s;
}

/* Up to the height that the other named. */
static enum step pull(struct follower *f, int64_t theirs, struct error *err)
{
	for (;;) {
		struct core_tip tip;
		size_t count, page = f->page;
		f->o.chain.tip(f->o.chain.ctx, &tip);
		if (tip.height >= theirs)
			return STEP_DONE;
		enum step s = pull_page(f, tip.height + 1, &count, err);
		if (s != STEP_DONE)
			return s;
		if (count == 0 && f->page == page) {
			error_set(err, ERR_BAD_ANSWER, "%s says that it has block %lld, and does not give it", f->url, (long long)tip.height + 1);
			return STEP_RETRY;
		}
	}
}

/* Is the other's newest block of the chain here, which is as long or longer? The core compares it. */
static enum step compare(struct follower *f, int64_t theirs, struct error *err)
{
	size_t count, page = f->page;
	f->page = 1;
	enum step s = pull_page(f, theirs, &count, err);
	f->page = page;
	return s == STEP_DONE && count == 0 ? bad_answer(f, err, "no newest block") : s;
}

/* ---- rounds ---- */

static enum step judge_status(struct follower *f, const struct ledger_status *st, struct error *err)
{
	struct hash genesis, newest;
	struct core_tip tip;
	if (!hash_from_text(st->genesis_hash, &genesis) || !hash_from_text(st->hash, &newest))
		return bad_answer(f, err, "no hashes");
	if (!hash_equal(&genesis, &f->o.genesis->hash)) {
		error_set(err, ERR_BAD_CHAIN, "%s keeps another chain (%.*s): its genesis is not the one here", f->url, STR_ARG(st->chain_id));
		return STEP_HALT;
	}
	pthread_mutex_lock(&f->lock);
	f->height = st->height;
	f->checked_at = clock_wall_ms();
	pthread_mutex_unlock(&f->lock);
	f->o.chain.tip(f->o.chain.ctx, &tip);
	if (st->height > tip.height)
		return pull(f, st->height, err);
	if (st->height == tip.height && hash_equal(&newest, &tip.hash))
		return STEP_DONE;
	enum step s = compare(f, st->height, err);
	if (s == STEP_DONE && st->height < tip.height) {
		error_set(err, ERR_WRONG_STATE, "%s is behind: its newest block is %lld, here it is %lld", f->url, (long long)st->height,
			  (long long)tip.height);
		s = STEP_RETRY;
	}
	return s;
}

static enum step round_of(struct follower *f, struct error *err)
{
	struct http_answer_in answer;
	struct ledger_status st;
	struct arena arena;
	struct error why;
	if (!get(f, "/status", &answer, err))
		return STEP_RETRY;
	arena_init(&arena);
	bool read = json_read_text(buf_str(&answer.body), &ledger_status_message, &st, &arena, &why);
	enum step s = read ? judge_status(f, &st, err) : bad_answer(f, err, why.message);
	http_answer_free(&answer);
	arena_free(&arena);
	return s;
}

/* Says it in /status, and in the log when it is news. */
static void note(struct follower *f, enum step s, const struct error *err)
{
	const char *problem = s == STEP_DONE ? "" : err->message;
	pthread_mutex_lock(&f->lock);
	bool news = strcmp(f->problem, problem) != 0;
	(void)snprintf(f->problem, sizeof(f->problem), "%s", problem);
	pthread_mutex_unlock(&f->lock);
	if (!news)
		return;
	if (s == STEP_DONE)
		log_info("following goes on", LOG_S("url", f->url));
	else if (s == STEP_RETRY)
		log_warn("following has to wait", LOG_S("url", f->url), LOG_S("why", problem));
	else
		log_error("following has stopped", LOG_S("url", f->url), LOG_S("why", problem));
}

static int64_t jittered(int64_t ms)
{
	return ms / 2 + (int64_t)random_below((uint64_t)ms / 2 + 1) + 1;
}

static int64_t pull_turn(void *ctx)
{
	struct follower *f = ctx;
	struct error err = {.message = ""};
	enum step s = stop_asked(&f->stop) ? STEP_DONE : round_of(f, &err);
	if (stop_asked(&f->stop))
		return f->o.poll_ms;
	note(f, s, &err);
	switch (s) {
	case STEP_DONE:
		f->retry_ms = f->o.retry_min_ms;
		return f->o.poll_ms;
	case STEP_RETRY:
		f->retry_ms = 2 * f->retry_ms < f->o.retry_max_ms ? 2 * f->retry_ms : f->o.retry_max_ms;
		return jittered(f->retry_ms);
	case STEP_HALT:
		return f->o.halt_ms;
	}
	return f->o.poll_ms;
}

/* ---- hearing of new blocks ---- */

/* While something stands in the way, blocks that come are no reason to ask earlier. */
static bool on_event(void *ctx, int64_t id, const char *type, struct str data)
{
	struct follower *f = ctx;
	(void)id;
	(void)data;
	pthread_mutex_lock(&f->lock);
	bool goes_on = !f->problem[0];
	pthread_mutex_unlock(&f->lock);
	if (goes_on && strcmp(type, LEDGER_EVENT_BLOCK) == 0)
		worker_wake(f->puller);
	return !stop_asked(&f->stop);
}

static int64_t listen_turn(void *ctx)
{
	struct follower *f = ctx;
	struct error err;
	if (!stop_asked(&f->stop) && !http_events(f->events_http, "/events", -1, on_event, f, &f->stop, &err))
		log_debug("events of the followed ledger are not heard", LOG_S("why", err.message));
	return jittered(f->o.poll_ms);
}

/* ---- life ---- */

static size_t answer_max(const struct genesis *g)
{
	int64_t block = g->params->max_block_bytes < INT64_C(1) << 40 ? g->params->max_block_bytes : INT64_C(1) << 40;
	int64_t one = block * ANSWER_PER_BLOCK_BYTE + ANSWER_ROOM;
	return (size_t)(one > ANSWER_MIN ? one : ANSWER_MIN);
}

struct follower *follower_start(const struct follower_options *o, struct error *err)
{
	struct follower *f = xcalloc(1, sizeof(*f));
	const struct http_client_options pulling = {.base_url = o->url, .user_agent = o->user_agent, .timeout_ms = SILENCE_MS,
						    .answer_max = answer_max(o->genesis)};
	const struct http_client_options listening = {.base_url = o->url, .user_agent = o->user_agent};

	f->o = *o;
	f->o.poll_ms = o->poll_ms ? o->poll_ms : POLL_MS;
	f->o.retry_min_ms = o->retry_min_ms ? o->retry_min_ms : RETRY_MIN_MS;
	f->o.retry_max_ms = o->retry_max_ms ? o->retry_max_ms : RETRY_MAX_MS;
	f->o.halt_ms = o->halt_ms ? o->halt_ms : HALT_MS;
	f->url = xstrdup(o->url);
	f->height = f->checked_at = -1;
	f->retry_ms = f->o.retry_min_ms;
	f->page = PAGE_BLOCKS;
	pthread_mutex_init(&f->lock, NULL);
	f->http = http_client_new(&pulling, err);
	f->events_http = f->http ? http_client_new(&listening, err) : NULL;
	if (!f->events_http) {
		follower_stop(f);
		return NULL;
	}
	f->puller = worker_start("follow", pull_turn, f);
	f->listener = worker_start("follow-events", listen_turn, f);
	return f;
}

void follower_quiesce(struct follower *f)
{
	if (!f)
		return;
	stop_ask(&f->stop);
	worker_stop(f->listener);
	worker_stop(f->puller);
	f->listener = f->puller = NULL;
}

void follower_stop(struct follower *f)
{
	if (!f)
		return;
	follower_quiesce(f);
	http_client_free(f->http);
	http_client_free(f->events_http);
	pthread_mutex_destroy(&f->lock);
	free(f->url);
	free(f);
}

void follower_status(struct follower *f, struct arena *arena, struct ledger_following *out)
{
	pthread_mutex_lock(&f->lock);
	*out = (struct ledger_following){
		.url = arena_copy(arena, str_from(f->url)),
		.height = f->height >= 0 ? f->height : JSON_INT_ABSENT,
		.checked_at = f->checked_at >= 0 ? f->checked_at : JSON_INT_ABSENT,
		.problem = f->problem[0] ? arena_copy(arena, str_from(f->problem)) : STR_NONE,
	};
	pthread_mutex_unlock(&f->lock);
}

bool follower_ready(struct follower *f, struct error *err)
{
	struct core_tip tip;
	f->o.chain.tip(f->o.chain.ctx, &tip);
	pthread_mutex_lock(&f->lock);
	bool answered = f->height >= 0, there = answered && tip.height >= f->height && !f->problem[0];
	if (f->problem[0])
		error_set(err, ERR_UNAVAILABLE, "%s", f->problem);
	else if (!answered)
		error_set(err, ERR_UNAVAILABLE, "%s has not answered yet", f->url);
	else if (!there)
		error_set(err, ERR_UNAVAILABLE, "at block %lld of %lld", (long long)tip.height, (long long)f->height);
	pthread_mutex_unlock(&f->lock);
	return there;
}
