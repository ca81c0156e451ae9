/* What /metrics says of the registry beside the HTTP server's own numbers. */
#ifndef TANA_MESHD_MESH_METRICS_H
#define TANA_MESHD_MESH_METRICS_H

#include "http/metrics.h"

extern const struct metric *const mesh_metric_list[];
/* Reads the gauges; ctx is the struct mesh. */
void mesh_metrics_collect(void *ctx);

#endif
