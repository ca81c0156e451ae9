/*
 * A load generator for HTTP/1.1: one thread, one epoll set, kept-alive connections with one request under way on each. The requests are bytes made beforehand, so
 * that sending them costs as little as it can beside the server that is measured.
 */
#ifndef TANA_BENCH_DRIVER_H
#define TANA_BENCH_DRIVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

struct load {
	const char *address; /* HOST:PORT, an IPv4 address */
	pid_t server;        /* whose processor time is measured, and that of its children */
	size_t connections;
	double rate;                /* requests/s, sent when due; 0: as fast as the answers come */
	const struct str *requests; /* whole HTTP requests; sent again and again */
	size_t request_count;
	size_t count; /* how many to send; the nth goes over connection n % connections, behind all earlier ones there */
};
struct load_result {
	size_t answered;              /* with 2xx */
	size_t refused;               /* with anything else */
	double seconds;               /* from the first byte to the last answer */
	double server_cpu, own_cpu;   /* seconds of processor time, user and system */
	uint64_t bytes;               /* of answers, headers included */
	uint32_t *latencies_us;       /* of every answer, sorted; when a rate is given, from the moment the request was due. The caller frees it. */
	char first_refusal[256];      /* its status line */
};
/* Ends the process with a message when the server cannot be reached or closes a connection. */
void load_run(const struct load *l, struct load_result *out);
/* The latency that `share` (0..1) of the answers were not above. */
double load_percentile_ms(const struct load_result *r, double share);

/* One line of JSON. Ends the process with a message when anything was refused. */
void load_print(const char *what, const struct load_result *r);

/* Processor time of all threads of a process and of its children that run, in seconds, to the nanosecond where the kernel keeps it so. */
double process_cpu_s(pid_t pid);

#endif
