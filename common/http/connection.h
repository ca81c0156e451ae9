/* Connections and their deadlines. Private to this room. */
#ifndef TANA_HTTP_CONNECTION_H
#define TANA_HTTP_CONNECTION_H

#include "server_private.h"

/* libmicrohttpd's callback; `worker` is the connection's. */
void connection_notify(void *worker, struct MHD_Connection *mc, void **context, enum MHD_ConnectionNotificationCode what);
/* Takes a connection out of all counts; `counted` is NULL for addresses that are not counted. */
void connection_uncount(struct worker *w, const struct address_key *counted);
/* The connection's time is up: it is closed, after its cut_answer if it has one. By its worker, or with the worker's lock held. */
void connection_cut(struct connection *c, int64_t now_ms);

/* Over all connections of all workers; any thread. */
void connections_cut_late(struct http_server *s);
/* Those that wait for a request and have sent nothing of one. */
void connections_cut_idle(struct http_server *s);
/* Gives up on deferred answers: their connections are resumed, and close. After `stopping` was set. */
void connections_abort_later(struct http_server *s);

#endif
