/*
 * What a ledgerd does beside its chain, in the background: heartbeats to mesh (heartbeat.h), the content that the chain refers to (content_sync.h),
 * and clean-up of what is kept for a while only (cleanup.h). Each job that lacks what it needs (a mesh, a t4, a key) does not run.
 */
#ifndef TANA_LEDGERD_LEDGER_JOBS_H
#define TANA_LEDGERD_LEDGER_JOBS_H

#include "base/buf.h"
#include "http/metrics.h"
#include "ledger.h"
#include "wire/ledger.h"

/* ERR_CONFIG: a URL that is none; ERR_IO. */
MUST_CHECK struct ledger_jobs *ledger_jobs_start(struct ledger *l, struct error *err);
/* Ends what is under way, within a few seconds; what the functions below say stands still. NULL is allowed. */
void ledger_jobs_quiesce(struct ledger_jobs *j);
void ledger_jobs_stop(struct ledger_jobs *j); /* and frees; NULL is allowed */

/* For GET /content/sync; texts in the arena. j NULL (not started yet): a job that is not enabled. */
void ledger_jobs_content(struct ledger_jobs *j, struct arena *arena, struct ledger_content_sync *out);
/* The jobs' metrics: rows for the service's list, ended by NULL; set anew by the second function. */
extern const struct metric *const ledger_jobs_metric_list[];
void ledger_jobs_metrics_collect(struct ledger_jobs *j);

#endif
