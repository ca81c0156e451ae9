/*
 * What instances on one PostgreSQL tell each other: a message that a transaction sends is heard by all that listen on its channel, in the
 * order of the commits, and by nobody when the transaction is rolled back. Messages are lost while the connection is: whoever listens reads
 * again what may have changed (`anew`). An embedded database has no other instances: nothing is sent, and nobody listens.
 */
#ifndef TANA_DB_DB_LISTEN_H
#define TANA_DB_DB_LISTEN_H

#include "db.h"

enum { DB_NOTIFY_MAX = 7000 /* bytes of a payload; the server takes just under 8000 */ };

/* Part of the transaction under way. SQLite: does nothing. */
MUST_CHECK enum db_status db_notify(struct db_conn *c, const char *channel, struct str payload, struct error *err);

struct db_listener;
struct db_listen_options {
	const char *url;
	const char *name;    /* application name */
	const char *channel; /* of a-z and _ */
	void (*heard)(void *ctx, struct str payload);
	void (*anew)(void *ctx); /* the connection was opened, or opened again: what was said before may not have been heard */
	void *ctx;
};
/* Listens on a thread of its own, which makes the calls. A lost connection is opened again with backoff (50 ms doubling to 5 s). NULL on
 * SQLite. Strings are copied. */
MUST_CHECK struct db_listener *db_listen_start(const struct db_listen_options *o);
/* No call comes afterwards. NULL is allowed. */
void db_listen_stop(struct db_listener *l);

#endif
