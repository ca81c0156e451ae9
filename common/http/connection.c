/* Connections: the workers' lists of them, deadlines, draining. What libmicrohttpd's own timeout cannot do, for every byte resets it.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "connection.h"

static void opened(struct worker *w, struct MHD_Connection *mc, void **context)
{
	struct connection *c = xcalloc(1, sizeof(*c));
	const struct sockaddr *peer = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
	c->worker = w;
	c->mhd = mc;
	c->fd = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->deadline_ms = clock_mono_ms() + w->server->o.idle_timeout_ms;
	c->address = address_key(peer);
	c->loopback = address_is_loopback(peer);
	c->trusted = proxies_trusts(w->server->proxies, peer);
	address_text(peer, c->peer);
	*context = c;
	pthread_mutex_lock(&w->lock);
	c->next = w->connections;
	if (c->next)
		c->next->prev = c;
	w->connections = c;
	pthread_mutex_unlock(&w->lock);
}

static void closed(struct worker *w, struct connection *c)
{
	pthread_mutex_lock(&w->lock);
	*(c->prev ? &c->prev->next : &w->connections) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	pthread_mutex_unlock(&w->lock);
	connection_uncount(w, c->loopback ? NULL : &c->address);
	free(c);
}

void connection_notify(void *worker, struct MHD_Connection *mc, void **context, enum MHD_ConnectionNotificationCode what)
{
	switch (what) {
	case MHD_CONNECTION_NOTIFY_STARTED:
		opened(worker, mc, context);
		break;
	case MHD_CONNECTION_NOTIFY_CLOSED:
		request_abandoned(*context);
		closed(worker, *context);
		*context = NULL;
		break;
	}
}

void connection_uncount(struct worker *w, const struct address_key *counted)
{
	if (counted)
		address_counts_remove(w->server->by_address, *counted);
	atomic_fetch_sub(&w->open, 1);
	atomic_fetch_sub(&w->server->open, 1);
}

static void set_deadline(struct connection *c, int64_t at_ms)
{
	atomic_store_explicit(&c->deadline_ms, at_ms, memory_order_relaxed);
}

void connection_cut(struct connection *c, int64_t now_ms)
{
	int phase = atomic_load(&c->phase);
	if (phase == CONN_CUT) { /* it had its answer, and its time to read it */
		set_deadline(c, INT64_MAX);
		(void)shutdown(c->fd, SHUT_RDWR);
		return;
	}
	if (!atomic_compare_exchange_strong(&c->phase, &phase, CONN_CUT))
		return; /* it moved on at this very moment: the next look decides */
	if (phase == CONN_DISCARDING && str_present(c->cut_answer)) {
		set_deadline(c, now_ms + DISCARD_MS_MAX);
		(void)send(c->fd, c->cut_answer.p, c->cut_answer.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)shutdown(c->fd, SHUT_WR);
		return;
	}
	set_deadline(c, INT64_MAX);
	(void)shutdown(c->fd, SHUT_RDWR);
}

void connections_each(struct http_server *s, void (*each)(struct connection *c, int64_t now_ms))
{
	int64_t now_ms = clock_mono_ms();
	for (size_t i = 0; i < s->worker_count; i++) {
		struct worker *w = &s->workers[i];
		pthread_mutex_lock(&w->lock);
		for (struct connection *c = w->connections; c; c = c->next)
			each(c, now_ms);
		pthread_mutex_unlock(&w->lock);
	}
}

static void cut_if_late(struct connection *c, int64_t now_ms)
{
	if (now_ms >= atomic_load_explicit(&c->deadline_ms, memory_order_relaxed))
		connection_cut(c, now_ms);
}

void connections_cut_late(struct http_server *s)
{
	connections_each(s, cut_if_late);
}

static void cut_if_idle(struct connection *c, int64_t now_ms)
{
	char byte;
	if (atomic_load(&c->phase) == CONN_WAITING && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		connection_cut(c, now_ms);
}

void connections_cut_idle(struct http_server *s)
{
	connections_each(s, cut_if_idle);
}
