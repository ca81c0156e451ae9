/*
 * The reading half: hands the stream's entries to the core, in order. The producer is a consumer of the group: after a start, and after every lost
 * connection (whose last answer may have been lost with it), it takes over all that was handed out and not settled, its own and a dead producer's,
 * before it asks for new ones. Front ends read the whole stream along.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "mempool_redis_inside.h"

#define PAGE "500"       /* entries of one answer */
#define BLOCK_MS "500"   /* how long Redis may wait for new ones; also how long an end may take to be noticed */
#define CLAIM_IDLE_MS "30000" /* others' entries, while we run: whoever had them has been silent so long */

enum {
	RETRY_MIN_MS = 50,
	RETRY_MAX_MS = 2000,
	CLAIM_EVERY_MS = 30000
};

struct reading {
	struct mempool_redis *m;
	struct arena arena;        /* of one answer */
	struct mempool_handle at;  /* front ends: the last entry seen */
	bool caught_up;            /* and the core told so */
	int64_t claimed_at;        /* monotonic ms */
};

static bool ask(struct reading *r, const struct str *words, size_t count, struct redis_reply *out, struct error *err)
{
	arena_free(&r->arena);
	return redis_command(r->m->in, words, count, &r->arena, out, err);
}

static bool odd(struct error *err)
{
	return error_set(err, ERR_BAD_ANSWER, "Redis answered with something else than a stream's entries");
}

/* ---- one entry ---- */

static struct str field_of(const struct redis_reply *fields, const char *name)
{
	for (size_t i = 0; i + 1 < fields->count; i += 2)
		if (str_is(fields->items[i].text, name))
			return fields->items[i + 1].text;
	return STR_NONE;
}

static bool read_entry(const struct redis_reply *item, struct mempool_entry *out)
{
	struct error ignored;
	struct str signature = field_of(&item->items[1], "signature");
	out->message = field_of(&item->items[1], "message");
	out->received_at = out->handle.major <= INT64_MAX ? (int64_t)out->handle.major : 0;
	return str_present(out->message) && str_present(signature) && ed25519_signature_from_text(signature, KEY_LENIENT, &out->signature, &ignored);
}

/* Until there is a verdict, or the end. */
static bool offer(struct reading *r, const struct mempool_entry *e)
{
	struct mempool_redis *m = r->m;
	struct error err = {0};
	int64_t pause = RETRY_MIN_MS;
	for (;;) {
		switch (m->events.offer(m->events.core, e, &err)) {
		case OFFER_WAITS:
			return true;
		case OFFER_SETTLED:
			if (m->producer)
				mempool_redis_settle(m, &e->handle, 1, false);
			return true;
		case OFFER_LATER:
			break;
		}
		log_debug("a transaction from Redis has to wait", LOG_S("why", err.message));
		if (!mempool_redis_sleep(m, pause))
			return false;
		pause = pause * 2 < RETRY_MAX_MS ? pause * 2 : RETRY_MAX_MS;
	}
}

/* An item is [name, [field, value, ...]]; its fields are null when it was deleted while somebody had it. */
static bool take_entry(struct reading *r, const struct redis_reply *item, bool *goes_on, struct error *err)
{
	struct mempool_entry e;
	char name[HANDLE_TEXT_SIZE];
	if (item->type != REDIS_TYPE_LIST || item->count != 2 || !mempool_redis_handle_read(item->items[0].text, &e.handle))
		return odd(err);
	r->at = e.handle;
	if (item->items[1].type == REDIS_TYPE_LIST && read_entry(item, &e)) {
		*goes_on = offer(r, &e);
		return true;
	}
	if (!r->m->producer)
		return true;
	if (item->items[1].type == REDIS_TYPE_LIST) {
		mempool_redis_handle_text(e.handle, name);
		log_warn("an entry in Redis is no transaction, and was deleted", LOG_S("entry", name));
	}
	mempool_redis_settle(r->m, &e.handle, 1, false);
	return true;
}

static bool take_entries(struct reading *r, const struct redis_reply *list, struct error *err)
{
	bool goes_on = true;
	if (list->type != REDIS_TYPE_LIST)
		return odd(err);
	for (size_t i = 0; goes_on && i < list->count; i++)
		if (!take_entry(r, &list->items[i], &goes_on, err))
			return false;
	return goes_on || error_set(err, ERR_SHUTTING_DOWN, "the service is stopping");
}

/* What XREAD and XREADGROUP answer: null, or [[stream, entries]]. */
static bool take_answer(struct reading *r, const struct redis_reply *answer, size_t *count, struct error *err)
{
	*count = 0;
	if (answer->type == REDIS_TYPE_NULL)
		return true;
	if (answer->type != REDIS_TYPE_LIST || answer->count != 1 || answer->items[0].type != REDIS_TYPE_LIST || answer->items[0].count != 2)
		return odd(err);
	const struct redis_reply *entries = &answer->items[0].items[1];
	*count = entries->count;
	return take_entries(r, entries, err);
}

/* ---- the producer ---- */

static bool make_group(struct reading *r, struct error *err)
{
	struct redis_reply answer;
	return ask(r, REDIS_WORDS(STR_LIT("XGROUP"), STR_LIT("CREATE"), STR_LIT(STREAM), STR_LIT(GROUP), STR_LIT("0"), STR_LIT("MKSTREAM")), &answer, err) ||
	       (err->code == ERR_REFUSED && strstr(err->message, "BUSYGROUP"));
}

/* Takes over what was handed out and not settled for so long (ms): 0: everything, one's own included, from the oldest on. */
static bool claim(struct reading *r, const char *idle, struct error *err)
{
	char cursor[HANDLE_TEXT_SIZE] = "0-0";
	do {
		struct redis_reply answer;
		struct mempool_handle next;
		if (!ask(r,
			 REDIS_WORDS(STR_LIT("XAUTOCLAIM"), STR_LIT(STREAM), STR_LIT(GROUP), str_from(r->m->consumer), str_from(idle), str_from(cursor),
				     STR_LIT("COUNT"), STR_LIT(PAGE)),
			 &answer, err))
			return false;
		if (answer.type != REDIS_TYPE_LIST || answer.count < 2 || !mempool_redis_handle_read(answer.items[0].text, &next))
			return odd(err);
		if (!take_entries(r, &answer.items[1], err))
			return false;
		mempool_redis_handle_text(next, cursor);
	} while (strcmp(cursor, "0-0") != 0);
	return true;
}

/* Has another consumer something? XPENDING answers [count, first, last, [[consumer, count], ...]]. */
static bool others_hold(struct reading *r, bool *yes, struct error *err)
{
	struct redis_reply answer;
	*yes = false;
	if (!ask(r, REDIS_WORDS(STR_LIT("XPENDING"), STR_LIT(STREAM), STR_LIT(GROUP)), &answer, err))
		return false;
	if (answer.type != REDIS_TYPE_LIST || answer.count != 4)
		return odd(err);
	const struct redis_reply *consumers = &answer.items[3];
	for (size_t i = 0; consumers->type == REDIS_TYPE_LIST && i < consumers->count; i++)
		if (consumers->items[i].count == 2 && !str_is(consumers->items[i].items[0].text, r->m->consumer))
			*yes = true;
	return true;
}

static bool claim_from_others(struct reading *r, struct error *err)
{
	bool yes;
	if (clock_mono_ms() < r->claimed_at + CLAIM_EVERY_MS)
		return true;
	r->claimed_at = clock_mono_ms();
	return others_hold(r, &yes, err) && (!yes || claim(r, CLAIM_IDLE_MS, err));
}

static bool read_new(struct reading *r, bool waits, size_t *count, struct error *err)
{
	struct redis_reply answer;
	struct str words[] = {STR_LIT("XREADGROUP"), STR_LIT("GROUP"), STR_LIT(GROUP), str_from(r->m->consumer), STR_LIT("COUNT"), STR_LIT(PAGE),
			      STR_NONE, STR_NONE, STR_NONE, STR_NONE, STR_NONE};
	size_t n = 6;
	if (waits) {
		words[n++] = STR_LIT("BLOCK");
		words[n++] = STR_LIT(BLOCK_MS);
	}
	words[n++] = STR_LIT("STREAMS");
	words[n++] = STR_LIT(STREAM);
	words[n++] = STR_LIT(">");
	return ask(r, words, n, &answer, err) && take_answer(r, &answer, count, err);
}

/* ---- front ends ---- */

/* A stream that was made anew begins again: what it names now may be less than what was seen. */
static bool find_place(struct reading *r, struct error *err)
{
	struct redis_reply answer;
	struct mempool_handle newest = {0, 0};
	if (!ask(r, REDIS_WORDS(STR_LIT("XREVRANGE"), STR_LIT(STREAM), STR_LIT("+"), STR_LIT("-"), STR_LIT("COUNT"), STR_LIT("1")), &answer, err))
		return false;
	if (answer.type == REDIS_TYPE_LIST && answer.count == 1 && answer.items[0].count == 2)
		(void)!mempool_redis_handle_read(answer.items[0].items[0].text, &newest);
	if (newest.major < r->at.major || (newest.major == r->at.major && newest.minor < r->at.minor))
		r->at = (struct mempool_handle){0, 0};
	return true;
}

static bool read_along(struct reading *r, bool waits, size_t *count, struct error *err)
{
	struct redis_reply answer;
	char at[HANDLE_TEXT_SIZE];
	struct str words[] = {STR_LIT("XREAD"), STR_LIT("COUNT"), STR_LIT(PAGE), STR_NONE, STR_NONE, STR_NONE, STR_NONE, STR_NONE};
	size_t n = 3;
	mempool_redis_handle_text(r->at, at);
	if (waits) {
		words[n++] = STR_LIT("BLOCK");
		words[n++] = STR_LIT(BLOCK_MS);
	}
	words[n++] = STR_LIT("STREAMS");
	words[n++] = STR_LIT(STREAM);
	words[n++] = str_from(at);
	return ask(r, words, n, &answer, err) && take_answer(r, &answer, count, err);
}

/* ---- the thread ---- */

static bool read_more(struct reading *r, bool waits, size_t *count, struct error *err)
{
	if (!r->m->producer)
		return read_along(r, waits, count, err);
	return claim_from_others(r, err) && read_new(r, waits, count, err);
}

/* Until something fails, or the end. */
static void read_on(struct reading *r, struct error *err)
{
	struct mempool_redis *m = r->m;
	size_t count = 1;
	if (m->producer ? !make_group(r, err) || !claim(r, "0", err) : !find_place(r, err))
		return;
	atomic_store(&m->reads, true);
	r->claimed_at = clock_mono_ms();
	while (!atomic_load(&m->stopping)) {
		/* Waiting is for when all that was there has been taken. */
		if (!read_more(r, count == 0, &count, err))
			return;
		if (count == 0 && !r->caught_up) {
			r->caught_up = true;
			m->events.caught_up(m->events.core);
		}
	}
}

void *mempool_redis_reader_main(void *arg)
{
	struct mempool_redis *m = arg;
	struct reading r = {.m = m};
	int64_t pause = RETRY_MIN_MS;
	arena_init(&r.arena);
	while (!atomic_load(&m->stopping)) {
		struct error err = {0};
		int64_t began = clock_mono_ms();
		read_on(&r, &err);
		if (atomic_load(&m->stopping))
			break;
		if (atomic_exchange(&m->reads, false))
			log_warn("transactions in Redis cannot be read", LOG_S("why", err.message));
		pause = clock_mono_ms() - began > RETRY_MAX_MS ? RETRY_MIN_MS : pause * 2 < RETRY_MAX_MS ? pause * 2 : RETRY_MAX_MS;
		(void)mempool_redis_sleep(m, pause);
	}
	arena_free(&r.arena);
	return NULL;
}
