/*
 * What the HTTP room costs a request. Serves, on 127.0.0.1 and a free port (or the address given):
 *	GET  /kilobyte	1 KB of bytes, answered at once
 *	POST /echo	a JSON body, answered at once
 *	POST /later	a JSON body, answered by another thread in batches, as a writer does that groups 64 changes into one commit
 *	GET  /events	an event stream that stays quiet, to see what thousands of sleeping connections cost the others
 * and prints each second how many requests were answered and how many microseconds of CPU one took. Drive it with, for instance,
 *	wrk -t1 -c64 -d5 http://127.0.0.1:PORT/kilobyte
 *	wrk -t1 -c128 -d5 -s tests/bench/post.lua http://127.0.0.1:PORT/later
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/server.h"

enum { QUEUE = 4096, BATCH = 64 };

static _Atomic int64_t answered;
static volatile sig_atomic_t ends;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct http_request *waiting[QUEUE];
	size_t count;
	bool closing;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static struct http_reply *ok(struct http_request *r)
{
	struct buf body = {0};
	buf_puts(&body, "{\"success\":true,\"timestamp\":1700000000000}");
	atomic_fetch_add_explicit(&answered, 1, memory_order_relaxed);
	return http_reply_bytes(r, 200, NULL, &body);
}

static struct http_reply *get_kilobyte(struct http_request *r)
{
	static const char kilobyte[1024] = {'x'};
	struct buf body = {0};
	buf_put(&body, kilobyte, sizeof(kilobyte));
	atomic_fetch_add_explicit(&answered, 1, memory_order_relaxed);
	return http_reply_bytes(r, 200, "application/octet-stream", &body);
}

static struct http_reply *post_later(struct http_request *r)
{
	pthread_mutex_lock(&queue.lock);
	if (queue.count == QUEUE) {
		pthread_mutex_unlock(&queue.lock);
		return http_reply_error_code(r, ERR_OVERLOADED, "the queue is full");
	}
	queue.waiting[queue.count++] = r;
	if (queue.count == 1)
		pthread_cond_signal(&queue.wake);
	pthread_mutex_unlock(&queue.lock);
	return http_reply_later(r);
}

static void *writer(void *unused)
{
	(void)unused;
	struct http_request *batch[BATCH];
	pthread_mutex_lock(&queue.lock);
	while (!queue.closing || queue.count) {
		while (queue.count == 0 && !queue.closing)
			pthread_cond_wait(&queue.wake, &queue.lock);
		size_t n = queue.count < BATCH ? queue.count : BATCH;
		memcpy(batch, queue.waiting, n * sizeof(batch[0]));
		queue.count -= n;
		memmove(queue.waiting, queue.waiting + n, queue.count * sizeof(batch[0]));
		pthread_mutex_unlock(&queue.lock);
		for (size_t i = 0; i < n; i++)
			http_finish(batch[i], ok(batch[i]));
		pthread_mutex_lock(&queue.lock);
	}
	pthread_mutex_unlock(&queue.lock);
	return NULL;
}

static struct sse_hub *hub;
static struct http_reply *get_events(struct http_request *r)
{
	return http_reply_events(r, hub, -1, NULL, NULL);
}

static const struct http_answer answers[] = {{200, NULL, "application/json", "done"}, {0}};
static const struct http_route routes[] = {
	{.method = HTTP_GET, .path = "/kilobyte", .handler = get_kilobyte, .answers = answers, .summary = "1 KB"},
	{.method = HTTP_POST, .path = "/echo", .handler = ok, .body_max = 65536, .answers = answers, .summary = "at once"},
	{.method = HTTP_POST, .path = "/later", .handler = post_later, .body_max = 65536, .answers = answers, .summary = "in batches"},
	{.method = HTTP_GET, .path = "/events", .handler = get_events, .flags = HTTP_STREAM, .answers = answers, .summary = "quiet"},
};

static double cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void on_signal(int signal)
{
	(void)signal;
	ends = 1;
}

int main(int argc, char **argv)
{
	struct error err;
	struct http_options o = {.service = "bench",
				 .listen = argc > 1 ? argv[1] : "127.0.0.1:0",
				 .routes = routes,
				 .route_count = ARRAY_LEN(routes),
				 .rate_exempt_loopback = true};
	struct http_server *s;
	pthread_t thread;
	hub = sse_hub_new(16);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (!log_open("bench", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL, &err) || !(s = http_server_start(&o, &err))) {
		fprintf(stderr, "error: %s\n", err.message);
		return 1;
	}
	pthread_create(&thread, NULL, writer, NULL);
	printf("http://%s\n", http_server_address(s));
	fflush(stdout);
	for (double before_us = cpu_us(); !ends; before_us = cpu_us()) {
		int64_t begin = answered;
		sleep(1);
		int64_t n = answered - begin;
		if (n > 0)
			printf("%8lld requests/s  %6.2f us CPU each\n", (long long)n, (cpu_us() - before_us) / (double)n);
		fflush(stdout);
	}
	http_server_stop(s, 1000);
	pthread_mutex_lock(&queue.lock);
	queue.closing = true;
	pthread_cond_signal(&queue.wake);
	pthread_mutex_unlock(&queue.lock);
	pthread_join(thread, NULL);
	sse_hub_free(hub);
	return 0;
}
