/* ledgerd's own metrics, gathered when /metrics is asked for, and its fields of /health and /info. ctx is the struct ledger. */
#ifndef TANA_LEDGERD_LEDGER_METRICS_H
#define TANA_LEDGERD_LEDGER_METRICS_H

#include "base/buf.h"
#include "http/metrics.h"

struct arena;
/* All of them, those of the jobs included; NULL-terminated, in the arena. */
const struct metric *const *ledger_metrics(struct arena *arena);
void ledger_metrics_collect(void *ctx);
void ledger_health(void *ctx, struct buf *out);
void ledger_info(void *ctx, struct buf *out);

#endif
