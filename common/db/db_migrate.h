/*
 * Numbered schema changes. The table local_schema(version BIGINT, name TEXT, applied_at BIGINT) remembers what was done. Each
 * migration runs once, in order, in one transaction with its row; several instances starting at once take turns. A database whose
 * version is newer than the last migration known here is refused (ERR_CONFIG: "made by a newer version"). Migrations are only ever
 * appended.
 */
#ifndef TANA_DB_MIGRATE_H
#define TANA_DB_MIGRATE_H

#include "db.h"

struct db_migration {
	const char *name;     /* "0001 nodes" */
	const char *sql;      /* portable script, for both databases */
	const char *sqlite;   /* run after sql on SQLite only; may be NULL */
	const char *postgres; /* run after sql on PostgreSQL only; may be NULL */
};
MUST_CHECK enum db_status db_migrate(struct db_conn *c, const struct db_migration *list, size_t count, struct error *err);
/* The present version (0: none yet). */
MUST_CHECK enum db_status db_schema_version(struct db_conn *c, int64_t *version, struct error *err);

#endif
