/*
 * An observer's way to its blocks (--follow URL): it asks another ledgerd for the blocks behind its own tip, page by page, and hands each to the
 * core, which checks everything itself. The other's events tell of new blocks at once; it is asked every few seconds besides.
 *
 * Another chain's genesis, a block that does not fit the chain here, or a chain there that has become another one, are no reasons to give way:
 * nothing more is taken from it, /status says why, reads go on. Such a halt is looked at again after a while, since the other may have been
 * repaired; an unreachable or broken other is tried again with backoff.
 */
#ifndef TANA_LEDGERD_FOLLOWER_H
#define TANA_LEDGERD_FOLLOWER_H

#include "core.h"
#include "wire/ledger.h"

/* The chain that grows by what is followed: the core, but for tests. */
struct follower_chain {
	void *ctx;
	void (*tip)(void *ctx, struct core_tip *out);
	/*
	 * Keeps a block that fits on the tip, after every check; also true for one that is there. ERR_WRONG_STATE: there is another one at its
	 * height. Codes with a status from 500 on: it cannot be judged or kept now. Any other: it does not fit.
	 */
	bool (*take)(void *ctx, const struct block *b, struct error *err);
};
struct follower_options {
	const char *url;
	const struct genesis *genesis;
	struct follower_chain chain;
	const char *user_agent;
	int64_t poll_ms, retry_min_ms, retry_max_ms, halt_ms; /* 0: 5 s, 500 ms, 30 s, 60 s */
};
/* Begins to follow in the background. ERR_CONFIG: no such URL. The genesis lives as long; strings are copied. */
MUST_CHECK struct follower *follower_start(const struct follower_options *o, struct error *err);
/* Nothing is asked or handed over afterwards; takes at most a second beyond the block under way. Its status can still be asked. NULL is allowed. */
void follower_quiesce(struct follower *f);
/* The same, and frees. NULL is allowed. */
void follower_stop(struct follower *f);
/* From whom, and how far; texts in the arena. */
void follower_status(struct follower *f, struct arena *arena, struct ledger_following *out);
/* Is the chain here as far as the other's was when it last answered, with nothing in the way since? Otherwise *err says what is. */
MUST_CHECK bool follower_ready(struct follower *f, struct error *err);

#endif
