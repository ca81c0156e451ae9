/*
 * A lock on a database that one process holds as long as it lives: for what only one may do (make blocks). It goes with the process, however that
 * ends: on SQLite it is a lock on a file beside the database (PATH-<name>.lock, left there), on PostgreSQL an advisory lock of a connection of its
 * own, for the schema that the URL names: services in other schemas of the same database hold theirs.
 */
#ifndef TANA_DB_LOCK_H
#define TANA_DB_LOCK_H

#include "db.h"

struct db_lock;
/* Never waits. NULL with ERR_WRONG_STATE: another one holds it; ERR_UNAVAILABLE, ERR_IO: it could not be asked for. name: [a-z0-9-]. */
MUST_CHECK struct db_lock *db_lock_take(const char *url, const char *name, struct error *err);
/* Is it still held? False once the connection behind it is lost: somebody else may have it then. Asks the server (PostgreSQL). */
MUST_CHECK bool db_lock_held(struct db_lock *l, struct error *err);
void db_lock_release(struct db_lock *l); /* NULL is allowed */

#endif
