/*
 * An observer's way to its blocks (--follow URL): it asks another ledgerd for the blocks behind its own tip, page by page, and hands each to the
 * core, which checks everything itself. The other's events tell of new blocks at once; it is asked every few seconds besides.
 *
 * Another chain's genesis, a block that does not fit the chain here, or a chain there that has become shorter, are no reasons to give way: nothing
 * more is taken from it, /status says why, reads go on. Such a halt is looked at again after a while, since the other may have been repaired;
 * an unreachable or broken other is tried again with backoff.
 */
#ifndef TANA_LEDGERD_FOLLOWER_H
#define TANA_LEDGERD_FOLLOWER_H

#include "ledger.h"
#include "wire/ledger.h"

/* Begins to follow l->config.follow_url in the background; l->chain_id, l->genesis and l->core are there. ERR_CONFIG: no such URL. */
MUST_CHECK struct follower *follower_start(struct ledger *l, struct error *err);
/* Nothing is asked or handed over afterwards; at most a second beyond the block under way. Frees. NULL is allowed. */
void follower_stop(struct follower *f);
/* From whom, and how far; texts in the arena. */
void follower_status(struct follower *f, struct arena *arena, struct ledger_following *out);
/* Is the chain here as far as the other's was when it last answered, a few seconds ago at most? Otherwise *err says what stands in the way. */
MUST_CHECK bool follower_ready(struct follower *f, struct error *err);

#endif
