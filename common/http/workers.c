/*
 * A worker turns in a loop: wait for something, take what other threads left for it, let libmicrohttpd do its part.
 *
 * libmicrohttpd has a loop of its own, which is not used for two reasons. It fetches 128 events at a time and, when there are exactly so
 * many, goes back to sleep before it looks at them: 128 clients who all wait for their answers then wait for as long as nothing else
 * happens. And waking a sleeping connection through it costs the waker a lock that the worker holds often, a system call, and the worker
 * a walk over all that sleep; here a writer thread that finishes a hundred requests after one commit makes one system call.
 */
#include "workers.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "connection.h"
#include "tls.h"

enum { MHD_NO_LIMIT = 1 << 30 /* we count connections; above a limit of its own libmicrohttpd closes some without telling us */ };

/* A connection that was accepted, on its way to its worker. */
struct arrival {
	struct arrival *next;
	int fd;
	socklen_t len;
	struct sockaddr_storage peer;
};

/* ---- what other threads leave ---- */

static void ring(struct worker *w)
{
	const uint64_t one = 1;
	ssize_t n = write(w->bell_fd, &one, sizeof(one));
	invariant(n == sizeof(one) || (n < 0 && errno == EAGAIN));
}

void connection_wake(struct connection *c)
{
	struct worker *w = c->worker; /* the connection may be gone as soon as it is in the list */
	struct connection *head = atomic_load(&w->woken);
	do
		c->next_woken = head;
	while (!atomic_compare_exchange_weak(&w->woken, &head, c));
	/* Who finds something in the list knows that its worker has been told, and has not looked yet. */
	if (!head)
		ring(w);
}

static void resume_woken(struct worker *w)
{
	struct connection *next;
	for (struct connection *c = atomic_exchange(&w->woken, NULL); c; c = next) {
		next = c->next_woken;
		MHD_resume_connection(c->mhd);
	}
}

static struct worker *least_busy(struct http_server *s)
{
	struct worker *best = &s->workers[0];
	for (size_t i = 1; i < s->worker_count; i++)
		if (atomic_load(&s->workers[i].open) < atomic_load(&best->open))
			best = &s->workers[i];
	return best;
}

void workers_add(struct http_server *s, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct worker *w = least_busy(s);
	struct arrival *a = xcalloc(1, sizeof(*a));
	a->fd = fd;
	a->len = len;
	memcpy(&a->peer, peer, len);
	atomic_fetch_add(&w->open, 1);
	a->next = atomic_load(&w->arrivals);
	while (!atomic_compare_exchange_weak(&w->arrivals, &a->next, a))
		;
	ring(w);
}

static void take_arrivals(struct worker *w)
{
	struct arrival *next;
	for (struct arrival *a = atomic_exchange(&w->arrivals, NULL); a; a = next) {
		const struct sockaddr *peer = (const struct sockaddr *)&a->peer;
		struct address_key key = address_key(peer);
		next = a->next;
		if (MHD_add_connection(w->mhd, a->fd, peer, a->len) != MHD_YES) /* which closes the descriptor */
			connection_uncount(w, address_is_loopback(peer) ? NULL : &key);
		free(a);
	}
}

/* ---- the loop ---- */

static void wait_for_work(struct worker *w)
{
	MHD_UNSIGNED_LONG_LONG ms;
	int timeout = MHD_get_timeout(w->mhd, &ms) != MHD_YES ? -1 : ms < INT_MAX ? (int)ms : INT_MAX;
	struct pollfd watch[2] = {{.fd = w->bell_fd, .events = POLLIN}, {.fd = w->epoll_fd, .events = POLLIN}};
	int ready = poll(watch, 2, timeout);
	invariant(ready >= 0 || errno == EINTR);
	if (ready > 0 && watch[0].revents) {
		uint64_t times;
		ssize_t n = read(w->bell_fd, &times, sizeof(times));
		invariant(n == sizeof(times) || errno == EINTR);
	}
}

/* sendfile has no flag against the signal for a peer that left; libmicrohttpd uses it only when it is told that this was seen to. */
static void block_sigpipe(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *worker_main(void *worker)
{
	struct worker *w = worker;
	bool last = false;
	block_sigpipe();
	tls_enter(w->server->tls);
	while (!last) { /* once more after it was told to end: for those who were woken before */
		last = atomic_load(&w->ends);
		if (!last)
			wait_for_work(w);
		take_arrivals(w);
		resume_woken(w);
		(void)MHD_run(w->mhd);
	}
	return NULL;
}

/* ---- start and stop ---- */

static void PRINTF_LIKE(2, 0) mhd_log(void *server, const char *fmt, va_list args)
{
	struct http_server *s = server;
	char line[256];
	(void)vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	if (!s->listener_runs) /* still starting, on one thread: this may be the reason for a failure */
		memcpy(s->start_message, line, sizeof(line));
	log_debug("libmicrohttpd", LOG_S("message", line));
}

/* Targets are decoded by uri.c, strictly; libmicrohttpd keeps its hands off. */
static size_t leave_escaped(void *cls, struct MHD_Connection *mc, char *text)
{
	(void)cls, (void)mc;
	return strlen(text);
}

static char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

static struct MHD_Daemon *start_mhd(struct http_server *s, struct worker *w)
{
	struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_callback()},
				       {MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities},
				       {MHD_OPTION_END, 0, NULL}};
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET;
	return MHD_start_daemon(flags | (s->tls ? MHD_USE_TLS : 0), 0, NULL, NULL, request_step, s, MHD_OPTION_EXTERNAL_LOGGER,
				mhd_log, s, MHD_OPTION_URI_LOG_CALLBACK, request_begin, s, MHD_OPTION_NOTIFY_COMPLETED, request_end, s,
				MHD_OPTION_NOTIFY_CONNECTION, connection_notify, w, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)MHD_NO_LIMIT, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				s->o.connection_memory, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((s->o.idle_timeout_ms + 999) / 1000),
				MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, s->tls ? tls : none, MHD_OPTION_END);
}

static bool start_worker(struct http_server *s, struct worker *w, struct error *err)
{
	w->server = s;
	invariant(pthread_mutex_init(&w->lock, NULL) == 0);
	w->bell_fd = eventfd(0, EFD_CLOEXEC);
	if (w->bell_fd < 0)
		return error_errno(err, ERR_IO, errno, "the HTTP server cannot start");
	w->mhd = start_mhd(s, w);
	if (!w->mhd && s->tls)
		return error_set(err, ERR_CONFIG, "TLS cannot be set up with %s and %s: %s", s->o.tls_cert, s->o.tls_key, s->start_message);
	if (!w->mhd)
		return error_set(err, ERR_IO, "the HTTP server cannot start: %s", s->start_message);
	w->epoll_fd = MHD_get_daemon_info(w->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	w->runs = pthread_create(&w->thread, NULL, worker_main, w) == 0;
	if (!w->runs)
		return error_set(err, ERR_IO, "the HTTP server cannot start: no thread can be made");
	(void)pthread_setname_np(w->thread, "http-worker");
	return true;
}

bool workers_start(struct http_server *s, struct error *err)
{
	s->workers = xcalloc((size_t)s->o.workers, sizeof(*s->workers));
	for (int i = 0; i < s->o.workers; i++) {
		s->worker_count++;
		if (!start_worker(s, &s->workers[i], err))
			return false;
	}
	return true;
}

static void stop_worker(struct worker *w)
{
	if (w->runs) {
		atomic_store(&w->ends, true);
		ring(w);
		pthread_join(w->thread, NULL);
	}
	if (w->mhd)
		MHD_stop_daemon(w->mhd);
	if (w->bell_fd >= 0)
		(void)close(w->bell_fd);
	for (struct http_request *r = w->spare, *next; r; r = next) {
		next = r->next_spare;
		request_free(r);
	}
	pthread_mutex_destroy(&w->lock);
}

void workers_stop(struct http_server *s)
{
	for (size_t i = 0; i < s->worker_count; i++)
		stop_worker(&s->workers[i]);
	free(s->workers);
}
