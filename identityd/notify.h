/*
 * Instances of one service tell each other that a session has changed. On PostgreSQL the message is part of the change's own transaction;
 * with --redis it is published once the change is kept. The message is the session's id; what it is now is read from the database by
 * those who have somebody waiting for it. Messages can be lost (a broken connection): then everything waited for is read anew.
 */
#ifndef TANA_IDENTITYD_NOTIFY_H
#define TANA_IDENTITYD_NOTIFY_H

#include "identity.h"
#include "session_store.h"

struct notify;
MUST_CHECK struct notify *notify_start(struct identity *id, struct error *err);
void notify_stop(struct notify *n); /* NULL is allowed */

/* Inside the transaction that changes the session. */
MUST_CHECK enum db_status notify_in(struct identity *id, struct db_conn *c, struct str session_id, struct error *err);
/* After it is kept: streams here hear of it, and, with Redis, the others. Does not block. `s` is the row as it is now. */
void notify_session(struct identity *id, const struct session_row *s);
/* Ends the streams here of this user whose tokens do not count any more. A stream is looked at before it is told of a login, too. */
void notify_tokens_ended(struct identity *id, struct str user_id);
/* Many of them, by id alone (the timer's). */
void notify_sessions(struct identity *id, const struct str *ids, size_t count);

#endif
