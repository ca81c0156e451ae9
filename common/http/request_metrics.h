/* Counts and durations of requests by route. Counting is a few relaxed atomic adds. Private to this room. */
#ifndef TANA_HTTP_REQUEST_METRICS_H
#define TANA_HTTP_REQUEST_METRICS_H

#include "server.h"

struct request_metrics;
/* One row a route and one, the last, for requests that found no route. */
struct request_metrics *request_metrics_new(const struct http_route *const *routes, size_t count);
void request_metrics_free(struct request_metrics *m);
/* The request under way; index == count: no route. Thread-safe. */
void request_metrics_begin(struct request_metrics *m);
/* It has ended with this status; duration_ns < 0: not measured (streams). */
void request_metrics_end(struct request_metrics *m, size_t index, bool head, int status, int64_t duration_ns);
/* Appends the families tana_<service>_http_... */
void request_metrics_write(const struct request_metrics *m, const char *service, struct buf *out);

/* "GET", "POST", "PUT", "DELETE". */
const char *http_method_text(enum http_method m);

#endif
