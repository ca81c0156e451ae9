#include "driver.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { HEAD_MAX = 4096, ANSWER_WITHIN_MS = 60000, READ_MAX = 256 * 1024, EVENTS = 256 };

struct channel {
	int fd;
	size_t next;         /* the request it sends next */
	bool waits;          /* for room in the socket's buffer */
	struct str to_send;  /* of its present request, what did not fit the socket's buffer */
	int64_t since_ns;    /* when its request was sent, or was due */
	char head[HEAD_MAX]; /* the answer's header, as far as it is here */
	size_t head_len;
	int64_t body_left;   /* -1: the header is not complete */
};

struct driver {
	const struct load *l;
	struct load_result *r;
	int epoll;
	struct channel *channels;
	struct channel **idle; /* a ring, the longest idle first */
	size_t idle_first, idle_count;
	size_t sent, done;
	int64_t start_ns;
	char *scratch; /* READ_MAX bytes */
};

/* ---- the server's processor time ---- */

/* Time on a processor, in nanoseconds: the first field of schedstat. */
static uint64_t thread_cpu_ns(pid_t pid, const char *thread)
{
	char path[64];
	uint64_t ns = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", (int)pid, thread);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0; /* it ended just now */
	if (fscanf(f, "%" SCNu64, &ns) != 1)
		fatal("%s cannot be read", path);
	fclose(f);
	return ns;
}

static uint64_t threads_cpu_ns(pid_t pid)
{
	char path[32];
	uint64_t ns = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			ns += thread_cpu_ns(pid, e->d_name);
	closedir(d);
	return ns;
}

static pid_t parent_of(pid_t pid)
{
	char path[32];
	int parent = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

double process_cpu_s(pid_t pid)
{
	uint64_t ns = threads_cpu_ns(pid);
	if (ns == 0)
		fatal("there is no process %d", (int)pid);
	DIR *d = opendir("/proc");
	if (!d)
		fatal("there is no /proc");
	for (struct dirent *e; (e = readdir(d));) {
		pid_t child = (pid_t)strtol(e->d_name, NULL, 10);
		if (child > 0 && parent_of(child) == pid)
			ns += threads_cpu_ns(child);
	}
	closedir(d);
	return (double)ns * 1e-9;
}

static double own_cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- connections ---- */

static struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	char host[64];
	unsigned port;
	if (sscanf(text, "%63[0-9.]:%5u", host, &port) != 2 || inet_pton(AF_INET, host, &a.sin_addr) != 1)
		fatal("not HOST:PORT: %s", text);
	a.sin_port = htons((uint16_t)port);
	return a;
}

static int dial(const char *address)
{
	struct sockaddr_in a = parse_address(address);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0)
		fatal("cannot connect to %s: %s", address, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void put_idle(struct driver *d, struct channel *c)
{
	if (c->next < d->l->count)
		d->idle[(d->idle_first + d->idle_count++) % d->l->connections] = c;
}

static struct channel *take_idle(struct driver *d)
{
	struct channel *c = d->idle[d->idle_first];
	d->idle_first = (d->idle_first + 1) % d->l->connections;
	d->idle_count--;
	return c;
}

static void watch(struct driver *d, struct channel *c, int op, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};
	if (epoll_ctl(d->epoll, op, c->fd, &e) != 0)
		fatal("epoll: %s", strerror(errno));
}

static void open_channels(struct driver *d)
{
	size_t n = d->l->connections;
	d->channels = xcalloc(n, sizeof(*d->channels));
	d->idle = xcalloc(n, sizeof(struct channel *));
	for (size_t i = 0; i < n; i++) {
		struct channel *c = &d->channels[i];
		c->fd = dial(d->l->address);
		watch(d, c, EPOLL_CTL_ADD, EPOLLIN);
		c->next = i;
		put_idle(d, c);
	}
}

/* ---- sending ---- */

/* As much as fits now. */
static void send_some(struct driver *d, struct channel *c)
{
	bool waited = c->waits;
	while (c->to_send.n > 0) {
		ssize_t n = send(c->fd, c->to_send.p, c->to_send.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			fatal("a request could not be sent: %s", strerror(errno));
		if (n < 0)
			break;
		c->to_send = str_of(c->to_send.p + n, c->to_send.n - (size_t)n);
	}
	c->waits = c->to_send.n > 0;
	if (c->waits != waited)
		watch(d, c, EPOLL_CTL_MOD, EPOLLIN | (c->waits ? (uint32_t)EPOLLOUT : 0));
}

static void send_next(struct driver *d, struct channel *c, int64_t since_ns)
{
	c->to_send = d->l->requests[c->next % d->l->request_count];
	c->next += d->l->connections;
	d->sent++;
	c->since_ns = since_ns;
	c->head_len = 0;
	c->body_left = -1;
	send_some(d, c);
}

/* When the nth request is to leave. */
static int64_t due_ns(const struct driver *d, size_t n)
{
	return d->l->rate > 0 ? d->start_ns + (int64_t)((double)n / d->l->rate * 1e9) : 0;
}

static void send_what_is_due(struct driver *d)
{
	int64_t now = clock_mono_ns();
	while (d->idle_count > 0 && d->sent < d->l->count && due_ns(d, d->sent) <= now)
		send_next(d, take_idle(d), d->l->rate > 0 ? due_ns(d, d->sent) : now);
}

/* ---- receiving ---- */

static void note_status(struct load_result *r, struct str head)
{
	if (head.n > 12 && head.p[9] == '2') {
		r->answered++;
		return;
	}
	if (r->refused++ == 0)
		snprintf(r->first_refusal, sizeof(r->first_refusal), "%.*s", (int)strcspn(head.p, "\r"), head.p);
}

static int64_t content_length(const char *head)
{
	const char *p = strcasestr(head, "\r\nContent-Length:");
	if (!p && strncmp(head + 9, "204", 3) == 0)
		return 0;
	if (!p)
		fatal("an answer without Content-Length: %.300s", head);
	return strtoll(p + strlen("\r\nContent-Length:"), NULL, 10);
}

/* Takes bytes of the header; returns how many of them belonged to it. */
static size_t take_head(struct driver *d, struct channel *c, const char *p, size_t n)
{
	size_t before = c->head_len, took = n < HEAD_MAX - 1 - before ? n : HEAD_MAX - 1 - before;
	memcpy(c->head + before, p, took);
	c->head[before + took] = '\0';
	c->head_len += took;
	const char *end = strstr(c->head, "\r\n\r\n");
	if (!end) {
		if (c->head_len == HEAD_MAX - 1)
			fatal("an answer's header is too long: %.100s", c->head);
		return n;
	}
	size_t head_bytes = (size_t)(end + 4 - c->head);
	c->body_left = content_length(c->head);
	note_status(d->r, str_of(c->head, head_bytes));
	return head_bytes - before;
}

static void finish_one(struct driver *d, struct channel *c)
{
	d->r->latencies_us[d->done++] = (uint32_t)((clock_mono_ns() - c->since_ns) / 1000);
	put_idle(d, c);
}

static void receive(struct driver *d, struct channel *c)
{
	ssize_t n = recv(c->fd, d->scratch, READ_MAX, 0);
	if (n <= 0)
		fatal("the server closed a connection: %s", n < 0 ? strerror(errno) : "end of stream");
	d->r->bytes += (uint64_t)n;
	size_t used = c->body_left < 0 ? take_head(d, c, d->scratch, (size_t)n) : 0;
	if (c->body_left < 0)
		return;
	c->body_left -= n - (ssize_t)used;
	if (c->body_left < 0)
		fatal("more bytes than the answer announced");
	if (c->body_left == 0)
		finish_one(d, c);
}

static void receive_some(struct driver *d)
{
	struct epoll_event events[EVENTS];
	bool paced = d->l->rate > 0 && d->sent < d->l->count && d->idle_count > 0;
	int n = epoll_wait(d->epoll, events, EVENTS, paced ? 1 : ANSWER_WITHIN_MS);
	if (n < 0 && errno != EINTR)
		fatal("epoll: %s", strerror(errno));
	if (n == 0 && !paced)
		fatal("no answer for %d s", ANSWER_WITHIN_MS / 1000);
	for (int i = 0; i < n; i++) {
		if (events[i].events & EPOLLOUT)
			send_some(d, events[i].data.ptr);
		if (events[i].events & ~(uint32_t)EPOLLOUT)
			receive(d, events[i].data.ptr);
	}
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

void load_run(const struct load *l, struct load_result *out)
{
	*out = (struct load_result){.latencies_us = xcalloc(l->count, sizeof(uint32_t))};
	struct driver d = {.l = l, .r = out, .epoll = epoll_create1(EPOLL_CLOEXEC), .scratch = xmalloc(READ_MAX)};
	open_channels(&d);
	double server = process_cpu_s(l->server), own = own_cpu_s();
	d.start_ns = clock_mono_ns();
	while (d.done < l->count) {
		send_what_is_due(&d);
		receive_some(&d);
	}
	out->seconds = (double)(clock_mono_ns() - d.start_ns) * 1e-9;
	out->server_cpu = process_cpu_s(l->server) - server;
	out->own_cpu = own_cpu_s() - own;
	qsort(out->latencies_us, l->count, sizeof(uint32_t), compare_u32);
	for (size_t i = 0; i < l->connections; i++)
		close(d.channels[i].fd);
	close(d.epoll);
	free(d.channels);
	free(d.idle);
	free(d.scratch);
}

void load_print(const char *what, const struct load_result *r)
{
	double n = (double)(r->answered + r->refused);
	if (r->refused)
		fatal("%zu of %.0f requests were refused, the first with: %s", r->refused, n, r->first_refusal);
	printf("{\"what\":\"%s\",\"requests\":%.0f,\"seconds\":%.6f,\"per_second\":%.1f,\"server_cpu_us\":%.3f,\"own_cpu_us\":%.3f,\"bytes\":%.0f,"
	       "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
	       what, n, r->seconds, n / r->seconds, r->server_cpu / n * 1e6, r->own_cpu / n * 1e6, (double)r->bytes / n, load_percentile_ms(r, 0.5),
	       load_percentile_ms(r, 0.99), load_percentile_ms(r, 1));
}

double load_percentile_ms(const struct load_result *r, double share)
{
	size_t n = r->answered + r->refused;
	return n ? r->latencies_us[(size_t)(share * (double)(n - 1))] / 1000.0 : 0;
}
