/*
 * Events to watchers: one thread reads new blocks and refusals from the database and publishes them to this instance's hub. Instances on one
 * database see each other's events the same way: the thread is woken by this instance's own commits, and looks by itself every quarter of a second
 * where others may write (PostgreSQL).
 *
 * There is no table of events: an id says where the event is.
 *
 *	id = height * 2^21 + index	index 0 .. 2^20-1	the block's transaction of that index (what lies beyond has no event of its own)
 *					2^20			the block
 *					2^20+1 ..		transactions refused while that block was the newest, or made: local_refused.event_id
 */
#ifndef TANA_LEDGERD_LEDGER_FEED_H
#define TANA_LEDGERD_LEDGER_FEED_H

#include "base/error.h"
#include "http/server.h"

enum { LEDGER_EVENT_BITS = 21, LEDGER_EVENT_OF_BLOCK = 1 << 20, LEDGER_EVENT_REFUSALS_MAX = (1 << 20) - 1 };

/* The id of refusal number k (from 0) of those that belong to this height; -1: there are too many for events. */
static inline int64_t ledger_event_refusal(int64_t height, int64_t k)
{
	return k < LEDGER_EVENT_REFUSALS_MAX ? (height << LEDGER_EVENT_BITS) + LEDGER_EVENT_OF_BLOCK + 1 + k : -1;
}

struct ledger;
struct ledger_feed;

MUST_CHECK struct ledger_feed *ledger_feed_start(struct ledger *l, struct error *err);
void ledger_feed_wake(struct ledger_feed *f); /* after a commit with a block or refusals; NULL is allowed */
void ledger_feed_stop(struct ledger_feed *f); /* joins the thread; NULL is allowed */
/* For streams that resume further back than the ring reaches. ctx is the struct ledger. */
bool ledger_feed_backfill(void *ctx, int64_t after, int64_t before, sse_emit_fn *emit, void *emit_ctx);

#endif
