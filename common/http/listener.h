/* The listener thread. Private to this room. */
#ifndef TANA_HTTP_LISTENER_H
#define TANA_HTTP_LISTENER_H

#include "server_private.h"

/* Runs until listener_ends; closes the listening socket when `draining` is set. */
void *listener_main(void *server);
/* Makes it look at those flags now. */
void listener_wake(struct http_server *s);

#endif
