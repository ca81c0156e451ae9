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

/* `each` for every connection of every worker, with the worker's lock held: none is freed and no descriptor closed meanwhile. Any
 * thread. */
void connections_each(struct http_server *s, void (*each)(struct connection *c, int64_t now_ms));
void connections_cut_late(struct http_server *s);
/* Those that wait for a request and have sent nothing of one. */
void connections_cut_idle(struct http_server *s);

#endif
