/* t4d's own metrics: gathered when /metrics is asked for. */
#ifndef TANA_T4D_T4_METRICS_H
#define TANA_T4D_T4_METRICS_H

#include "http/metrics.h"

extern const struct metric *const t4_metric_list[]; /* NULL-terminated */
void t4_metrics_collect(void *t4);

#endif
