/* identityd's own metrics: counted where things happen, gauges gathered when /metrics is asked for. */
#ifndef TANA_IDENTITYD_IDENTITY_METRICS_H
#define TANA_IDENTITYD_IDENTITY_METRICS_H

#include "http/metrics.h"

enum identity_counter {
	IDENTITY_CREATED,
	IDENTITY_SCANNED,
	IDENTITY_APPROVED,
	IDENTITY_REJECTED,
	IDENTITY_EXPIRED,
	IDENTITY_REFUSED /* approvals that did not hold */
};
void identity_count(enum identity_counter what, int64_t n);

extern const struct metric *const identity_metric_list[]; /* NULL-terminated */
void identity_metrics_collect(void *identity);

#endif
