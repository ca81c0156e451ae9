#include "request_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "server_private.h"

/* Every status the daemons answer with; others, which libmicrohttpd may give by itself, are counted as "other". */
static const short known_statuses[] = {200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 406, 409,
				       410, 411, 413, 415, 416, 417, 422, 429, 500, 502, 503, 504, 507};
enum { STATUS_COUNT = ARRAY_LEN(known_statuses) + 1, STATUS_FIRST = 200, STATUS_END = 600 };

/* Upper bounds of the duration buckets, and the same as Prometheus labels. */
static const int64_t bucket_ns[] = {250000,   500000,    1000000,   2500000,   5000000,    10000000,   25000000,
				    50000000, 100000000, 250000000, 500000000, 1000000000, 2500000000, 10000000000};
static const char *const bucket_text[] = {"0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
					  "0.1",     "0.25",   "0.5",   "1",      "2.5",   "10",   "+Inf"};
enum { BUCKETS = ARRAY_LEN(bucket_text) };
_Static_assert(BUCKETS == ARRAY_LEN(bucket_ns) + 1, "one bucket is for all longer ones");

struct route_metrics {
	_Atomic uint64_t requests[2][STATUS_COUNT]; /* [1]: HEAD */
	_Atomic uint64_t durations[BUCKETS];        /* each its own, not cumulated */
	_Atomic uint64_t duration_ns;
};

struct request_metrics {
	const struct http_route *const *routes;
	size_t count;
	_Atomic int64_t in_flight;
	unsigned char status_index[STATUS_END - STATUS_FIRST];
	struct route_metrics rows[];
};

const char *http_method_text(enum http_method m)
{
	switch (m) {
	case HTTP_GET:
		return "GET";
	case HTTP_POST:
		return "POST";
	case HTTP_PUT:
		return "PUT";
	case HTTP_DELETE:
		return "DELETE";
	}
	fatal("no such method: %d", (int)m);
}

struct request_metrics *request_metrics_new(const struct http_route *const *routes, size_t count)
{
	struct request_metrics *m = xcalloc(1, sizeof(*m) + (count + 1) * sizeof(m->rows[0]));
	m->routes = routes;
	m->count = count;
	memset(m->status_index, STATUS_COUNT - 1, sizeof(m->status_index));
	for (size_t i = 0; i < ARRAY_LEN(known_statuses); i++)
		m->status_index[known_statuses[i] - STATUS_FIRST] = (unsigned char)i;
	return m;
}

void request_metrics_free(struct request_metrics *m)
{
	free(m);
}

static void count(_Atomic uint64_t *n, uint64_t more)
{
	atomic_fetch_add_explicit(n, more, memory_order_relaxed);
}

void request_metrics_begin(struct request_metrics *m)
{
	atomic_fetch_add_explicit(&m->in_flight, 1, memory_order_relaxed);
}

void request_metrics_end(struct request_metrics *m, size_t index, bool head, int status, int64_t duration_ns)
{
	atomic_fetch_sub_explicit(&m->in_flight, 1, memory_order_relaxed);
	struct route_metrics *row = &m->rows[index];
	bool in_range = status >= STATUS_FIRST && status < STATUS_END;
	count(&row->requests[head][in_range ? m->status_index[status - STATUS_FIRST] : STATUS_COUNT - 1], 1);
	if (duration_ns < 0)
		return;
	size_t b = 0;
	while (b < ARRAY_LEN(bucket_ns) && duration_ns > bucket_ns[b])
		b++;
	count(&row->durations[b], 1);
	count(&row->duration_ns, (uint64_t)duration_ns);
}

static uint64_t value_of(const _Atomic uint64_t *n)
{
	return atomic_load_explicit(n, memory_order_relaxed);
}

static void write_requests(const struct request_metrics *m, size_t index, bool head, const char *name, struct buf *out)
{
	const struct http_route *route = index < m->count ? m->routes[index] : NULL;
	const char *method = head ? "HEAD" : "any", *path = route ? route->path : "unmatched";
	if (route && !head)
		method = http_method_text(route->method);
	for (size_t s = 0; s < STATUS_COUNT; s++) {
		uint64_t n = value_of(&m->rows[index].requests[head][s]);
		if (n == 0)
			continue;
		buf_printf(out, "%s{method=\"%s\",route=\"%s\",status=\"", name, method, path);
		if (s < ARRAY_LEN(known_statuses))
			buf_put_int(out, known_statuses[s]);
		else
			buf_puts(out, "other");
		buf_printf(out, "\"} %llu\n", (unsigned long long)n);
	}
}

static void write_durations(const struct request_metrics *m, size_t index, const char *name, struct buf *out)
{
	const struct http_route *route = index < m->count ? m->routes[index] : NULL;
	const struct route_metrics *row = &m->rows[index];
	uint64_t counts[BUCKETS], total = 0;
	for (size_t b = 0; b < BUCKETS; b++)
		total += counts[b] = value_of(&row->durations[b]);
	if (total == 0)
		return;
	char labels[256];
	const char *method = route ? http_method_text(route->method) : "any", *path = route ? route->path : "unmatched";
	int n = snprintf(labels, sizeof(labels), "method=\"%s\",route=\"%s\"", method, path);
	invariant(n > 0 && (size_t)n < sizeof(labels));
	uint64_t sum = 0;
	for (size_t b = 0; b < BUCKETS; b++)
		buf_printf(out, "%s_bucket{%s,le=\"%s\"} %llu\n", name, labels, bucket_text[b], (unsigned long long)(sum += counts[b]));
	buf_printf(out, "%s_sum{%s} %.9g\n%s_count{%s} %llu\n", name, labels, (double)value_of(&row->duration_ns) * 1e-9, name, labels,
		   (unsigned long long)total);
}

void request_metrics_write(const struct request_metrics *m, const char *service, struct buf *out)
{
	char name[128];
	(void)snprintf(name, sizeof(name), "tana_%s_http_requests_total", service);
	metric_write_head(out, name, "counter", "Requests answered, by method, route and status.");
	for (size_t i = 0; i <= m->count; i++) {
		write_requests(m, i, false, name, out);
		write_requests(m, i, true, name, out);
	}
	(void)snprintf(name, sizeof(name), "tana_%s_http_request_duration_seconds", service);
	metric_write_head(out, name, "histogram", "From the request line to the last byte of the answer; event streams are left out.");
	for (size_t i = 0; i <= m->count; i++)
		write_durations(m, i, name, out);
	(void)snprintf(name, sizeof(name), "tana_%s_http_requests_in_flight", service);
	metric_write_head(out, name, "gauge", "Requests that have begun and not ended, event streams included.");
	buf_printf(out, "%s %lld\n", name, (long long)atomic_load_explicit(&m->in_flight, memory_order_relaxed));
}
