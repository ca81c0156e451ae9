/* ledgerd's own metrics, gathered when /metrics is asked for, and its fields of /health and /info. ctx is the struct ledger. */
#ifndef TANA_LEDGERD_LEDGER_METRICS_H
#define TANA_LEDGERD_LEDGER_METRICS_H

#include "base/buf.h"
#include "http/metrics.h"

extern const struct metric *const ledger_metric_list[]; /* NULL-terminated */
void ledger_metrics_collect(void *ctx);
void ledger_health(void *ctx, struct buf *out);
void ledger_info(void *ctx, struct buf *out);

#endif
