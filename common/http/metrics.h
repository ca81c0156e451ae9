/*
 * Prometheus metrics (text exposition format 0.0.4). A metric is one static row; counting is one relaxed atomic add.
 * Names: tana_<service>_<what>_<base unit>, counters end in _total. HELP and TYPE come from the row, docs/metrics from the same list.
 */
#ifndef TANA_HTTP_METRICS_H
#define TANA_HTTP_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metric {
	const char *name;
	enum metric_type type;
	const char *help;
	const char *label;               /* label name, or NULL for a metric without labels */
	const char *const *label_values; /* their values, NULL-terminated: a closed set */
	_Atomic int64_t *values;         /* one per label value, or one */
	double scale;                    /* the written value = value * scale (1e-9 for nanoseconds kept as integers); 0 means 1 */
};

static inline void metric_add(const struct metric *m, size_t label, int64_t n)
{
	atomic_fetch_add_explicit(&m->values[label], n, memory_order_relaxed);
}
static inline void metric_set(const struct metric *m, size_t label, int64_t n)
{
	atomic_store_explicit(&m->values[label], n, memory_order_relaxed);
}
void metric_write(struct buf *out, const struct metric *m);

#endif
