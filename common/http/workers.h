/* The workers: each one thread, which runs one libmicrohttpd daemon. Private to this room. */
#ifndef TANA_HTTP_WORKERS_H
#define TANA_HTTP_WORKERS_H

#include "server_private.h"

/* All of them, or false with *err; workers_stop cleans up after both. */
MUST_CHECK bool workers_start(struct http_server *s, struct error *err);
/* After the listener has ended and connections_abort_later: nobody hands over or wakes connections any more. Closes what is open. */
void workers_stop(struct http_server *s);

/* Hands a connection to the worker with the fewest. Takes the descriptor; it was counted in s->open, and `counted` says whether by its
 * address as well. */
void workers_add(struct http_server *s, int fd, const struct sockaddr *peer, socklen_t len);
/* Makes the worker of a connection that sleeps (is suspended) resume it. Once for each sleep; any thread, blocks on nothing. */
void connection_wake(struct connection *c);

#endif
