#include "producer.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core.h"
#include "db/db_lock.h"

enum {
	WAIT_MS = 1000,        /* how long one wait for transactions lasts */
	BACKOFF_MS = 250,      /* after a failure */
	LOCK_LOOK_MS = 10000   /* how often the lock is looked after */
};

struct producer {
	struct ledger *l;
	pthread_t thread;
	int64_t last_ms, looked_ms; /* monotonic */
	bool failing;
};

bool producer_claim(struct ledger *l, struct error *err)
{
	l->producer_lock = db_lock_take(l->config.db_url, "producer", err);
	if (!l->producer_lock && err->code == ERR_WRONG_STATE)
		error_hint(err, "one producer a database: stop it, or start this one with --produce=no and --redis");
	return l->producer_lock != NULL;
}

bool producer_check_key(struct ledger *l, struct error *err)
{
	struct ed25519_public key = l->node_key.public_key;
	if (core_is_validator(l->core, l->config.validator_id, &key))
		return true;
	error_set(err, ERR_CONFIG, "the node key is not that of a validator \"%.*s\" of this chain", STR_ARG(l->config.validator_id));
	return error_hint(err, "GET /validators, or tana validator list, shows the validators and their keys");
}

/* Waits out the interval since the last block in small steps, so that a stop is not kept waiting. False: the end. */
static bool wait_interval(struct producer *p)
{
	int64_t until = p->last_ms + p->l->config.block_interval_ms;
	for (int64_t now = clock_mono_ms(); now < until; now = clock_mono_ms()) {
		int64_t step = until - now < 50 ? until - now : 50;
		nanosleep(&(struct timespec){.tv_nsec = step * 1000000}, NULL);
		if (!core_wait_ready(p->l->core, 0))
			return false;
	}
	return true;
}

static void note(struct producer *p, bool ok, const struct error *err)
{
	if (!ok && !p->failing)
		log_warn("no block can be made at present", LOG_S("code", error_code_text(err->code)), LOG_S("why", err->message));
	else if (ok && p->failing)
		log_info("blocks are made again");
	p->failing = !ok;
}

static void look_after_lock(struct producer *p)
{
	struct error err;
	int64_t now = clock_mono_ms();
	if (now - p->looked_ms < LOCK_LOOK_MS && p->l->producer_lock)
		return;
	p->looked_ms = now;
	if (p->l->producer_lock && db_lock_held(p->l->producer_lock, &err))
		return;
	/* The server was gone: ask for it anew. Meanwhile a block of somebody else would make ours conflict, not mix. */
	db_lock_release(p->l->producer_lock);
	p->l->producer_lock = db_lock_take(p->l->config.db_url, "producer", &err);
	if (!p->l->producer_lock)
		note(p, false, &err);
}

static void *produce(void *ctx)
{
	struct producer *p = ctx;
	const struct ledger_config *o = &p->l->config;
	while (core_wait_ready(p->l->core, o->empty_block_interval_ms > 0 && o->empty_block_interval_ms < WAIT_MS ? o->empty_block_interval_ms : WAIT_MS)) {
		struct error err;
		bool made;
		look_after_lock(p);
		if (!wait_interval(p))
			break;
		bool ok = p->l->producer_lock != NULL;
		if (ok) {
			int64_t now = clock_mono_ms();
			bool empty = o->empty_block_interval_ms > 0 && now - p->last_ms >= o->empty_block_interval_ms;
			ok = core_make_block(p->l->core, empty, &made, &err);
			note(p, ok, &err);
			/* From one block's beginning to the next one's: what a block takes to be written does not make them rarer. */
			if (ok && made)
				p->last_ms = now;
		}
		if (!ok)
			nanosleep(&(struct timespec){.tv_nsec = BACKOFF_MS * 1000000}, NULL);
	}
	return NULL;
}

struct producer *producer_start(struct ledger *l, struct error *err)
{
	struct producer *p = xcalloc(1, sizeof *p);
	struct core_tip tip;
	core_tip(l->core, &tip);
	p->l = l;
	p->looked_ms = clock_mono_ms();
	/* The interval counts from the last block, whoever made it; block 0 nobody made. */
	int64_t age = tip.height > 0 ? clock_wall_ms() - tip.timestamp : l->config.block_interval_ms;
	p->last_ms = clock_mono_ms() - (age < 0 ? 0 : age < l->config.block_interval_ms ? age : l->config.block_interval_ms);
	int failed = pthread_create(&p->thread, NULL, produce, p);
	if (failed == 0)
		return p;
	error_errno(err, ERR_INTERNAL, failed, "no thread for making blocks");
	free(p);
	return NULL;
}

void producer_stop(struct producer *p)
{
	if (!p)
		return;
	pthread_join(p->thread, NULL); /* core_stop has ended its waiting */
	free(p);
}
