/* The listener thread: accepts, counts, hands connections to the workers, and looks for connections whose time is up. */
#include "listener.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "connection.h"
#include "examine.h"
#include "workers.h"

enum {
	ACCEPTED_AT_ONCE = 64,
	PAUSE_MS = 100,      /* without descriptors or memory, accepting again at once would only spin */
	COMPLAINT_MS = 10000 /* and one line in the log says it for as long */
};

struct listener {
	struct http_server *server;
	bool paused;
	int64_t silent_until_ms;
};

/* A connection above a limit: it gets told so, if its socket takes the text, and is closed. */
static void refuse(struct http_server *s, int fd, const char *message)
{
	char id[HTTP_ID_SIZE], text[512], body[192];
	request_make_id(s, id);
	atomic_fetch_add_explicit(&s->refused_connections, 1, memory_order_relaxed);
	int body_len = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"code\":\"%s\"}", message, error_code_text(ERR_OVERLOADED));
	int n = snprintf(
		text, sizeof(text),
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nX-Request-Id: %s\r\nRetry-After: 1\r\nConnection: close\r\n"
		"Content-Length: %d\r\n\r\n%s",
		id, body_len, body);
	if (!s->o.tls_cert)
		(void)send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fd);
}

static void hand_over(struct http_server *s, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct address_key key = address_key(peer);
	bool counted = !address_is_loopback(peer);
	if (atomic_load(&s->open) >= s->o.connections_max) {
		refuse(s, fd, "there are too many connections");
		return;
	}
	if (counted && !address_counts_add(s->by_address, key, s->o.connections_per_address)) {
		refuse(s, fd, "there are too many connections from this address");
		return;
	}
	atomic_fetch_add(&s->open, 1);
	workers_add(s, fd, peer, len);
}

/* False when there is nothing more to accept for now; with l->paused: not for a while. */
static bool accept_one(struct listener *l)
{
	struct http_server *s = l->server;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(s->listen_fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		hand_over(s, fd, (const struct sockaddr *)&peer, len);
		return true;
	}
	if (errno == EAGAIN)
		return false;
	if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
		return true;
	struct error err;
	error_errno(&err, ERR_OVERLOADED, errno, "no connection can be accepted");
	int64_t now_ms = clock_mono_ms();
	if (now_ms >= l->silent_until_ms) {
		log_warn("accepting pauses", LOG_S("cause", err.message), LOG_I("connections", atomic_load(&s->open)));
		l->silent_until_ms = now_ms + COMPLAINT_MS;
	}
	l->paused = true;
	return false;
}

void listener_wake(struct http_server *s)
{
	const uint64_t one = 1;
	ssize_t n = write(s->wake_fd, &one, sizeof(one));
	invariant(n == sizeof(one) || (n < 0 && errno == EAGAIN));
}

static void clear_wake(struct http_server *s)
{
	uint64_t n;
	ssize_t rc = read(s->wake_fd, &n, sizeof(n));
	invariant(rc == sizeof(n) || (rc < 0 && (errno == EAGAIN || errno == EINTR)));
}

static void stop_listening(struct http_server *s)
{
	if (s->listen_fd >= 0)
		(void)close(s->listen_fd);
	s->listen_fd = -1;
}

/* What came in meanwhile, but not so much that deadlines are forgotten. */
static void accept_some(struct listener *l)
{
	for (int i = 0; i < ACCEPTED_AT_ONCE && accept_one(l); i++)
		;
}

void *listener_main(void *server)
{
	struct http_server *s = server;
	struct listener l = {.server = s};
	int sweep_ms = s->o.idle_timeout_ms / 4 < SWEEP_MS ? (int)(s->o.idle_timeout_ms / 4 + 1) : SWEEP_MS;
	for (int64_t swept_ms = 0; !atomic_load(&s->listener_ends);) {
		if (atomic_load(&s->draining))
			stop_listening(s);
		struct pollfd watch[2] = {{.fd = s->wake_fd, .events = POLLIN}, {.fd = l.paused ? -1 : s->listen_fd, .events = POLLIN}};
		int ready = poll(watch, 2, l.paused ? PAUSE_MS : atomic_load(&s->open) > 0 ? sweep_ms : -1);
		invariant(ready >= 0 || errno == EINTR);
		l.paused = false;
		if (ready > 0 && watch[0].revents)
			clear_wake(s);
		if (ready > 0 && watch[1].revents)
			accept_some(&l);
		int64_t now_ms = clock_mono_ms();
		if (now_ms - swept_ms >= sweep_ms) {
			connections_cut_late(s);
			swept_ms = now_ms;
		}
	}
	stop_listening(s);
	return NULL;
}
