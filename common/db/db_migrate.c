#include "db_migrate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

DB_SQL(sql_has_table_sqlite, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'local_schema'");
DB_SQL(sql_has_table_postgres, "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('local_schema')");
/* Any number does as long as it is always the same: "tana" in ASCII. Instances may wait here for another's whole migration. */
DB_SQL(sql_no_lock_timeout, "SET LOCAL lock_timeout = 0");
DB_SQL(sql_take_turns, "SELECT pg_advisory_xact_lock(1952542305)::text");
DB_SQL(sql_last, "SELECT version, name FROM local_schema ORDER BY version DESC LIMIT 1");
DB_SQL(sql_record, "INSERT INTO local_schema (version, name, applied_at) VALUES ($1, $2, $3)");
static const char create_table[] = "CREATE TABLE IF NOT EXISTS local_schema (version BIGINT PRIMARY KEY,"
				   " name TEXT NOT NULL, applied_at BIGINT NOT NULL)";

static enum db_status has_table(struct db_conn *c, bool *out, struct error *err)
{
	struct db_rows *rows;
	enum db_status status =
		db_query(c, db_kind_of(c) == DB_SQLITE ? &sql_has_table_sqlite : &sql_has_table_postgres, DB_NO_ARGS, &rows, err);
	if (status != DB_OK)
		return status;
	*out = db_next(rows) && db_int(rows, 0) > 0;
	return db_finish(rows, err);
}

/* *name (may be NULL) gets a copy of the last migration's name, the caller's to free; NULL when there is none. */
static enum db_status last_applied(struct db_conn *c, int64_t *version, char **name, struct error *err)
{
	struct db_rows *rows;
	bool there;
	enum db_status status = has_table(c, &there, err);
	*version = 0;
	if (name)
		*name = NULL;
	if (status != DB_OK || !there)
		return status;
	status = db_query(c, &sql_last, DB_NO_ARGS, &rows, err);
	if (status != DB_OK)
		return status;
	if (db_next(rows)) {
		*version = db_int(rows, 0);
		if (name)
			*name = xstrndup(db_text(rows, 1).p, db_text(rows, 1).n);
	}
	return db_finish(rows, err);
}

enum db_status db_schema_version(struct db_conn *c, int64_t *version, struct error *err)
{
	return last_applied(c, version, NULL, err);
}

/* Is the database one of this program's, and not newer than it? */
static enum db_status check_version(struct db_conn *c, const struct db_migration *list, size_t count, int64_t *version, struct error *err)
{
	char *name;
	enum db_status status = last_applied(c, version, &name, err);
	if (status != DB_OK)
		return status;
	if (*version < 0 || (uint64_t)*version > count) {
		error_set(err, ERR_CONFIG, "the database was made by a newer version of this program: its schema is %lld, and %zu is the last known here",
			  (long long)*version, count);
		error_hint(err, "install the newer version again");
		status = DB_BROKEN;
	} else if (name && strcmp(name, list[*version - 1].name) != 0) {
		error_set(err, ERR_CONFIG, "the database belongs to another program: its schema %lld is \"%s\", not \"%s\"", (long long)*version, name,
			  list[*version - 1].name);
		status = DB_BROKEN;
	}
	free(name);
	return status;
}

static enum db_status take_turns(struct db_conn *c, struct error *err)
{
	if (db_kind_of(c) == DB_SQLITE) /* the write lock is held already */
		return DB_OK;
	enum db_status status = db_run(c, &sql_no_lock_timeout, DB_NO_ARGS, NULL, err);
	return status == DB_OK ? db_run(c, &sql_take_turns, DB_NO_ARGS, NULL, err) : status;
}

static enum db_status apply(struct db_conn *c, const struct db_migration *m, int64_t version, struct error *err)
{
	const char *special = db_kind_of(c) == DB_SQLITE ? m->sqlite : m->postgres;
	enum db_status status = db_script(c, m->sql, err);
	if (status == DB_OK && special)
		status = db_script(c, special, err);
	if (status == DB_OK)
		status = db_run(c, &sql_record, DB_ARGS(DB_INT(version), DB_TEXT(str_from(m->name)), DB_INT(clock_wall_ms())), NULL, err);
	if (status != DB_OK) {
		struct error cause = *err;
		error_set(err, cause.code, "migration %lld (%s): %s", (long long)version, m->name, cause.message);
	}
	return status;
}

/* Inside the transaction. Another instance may have been here since we looked. */
static enum db_status apply_next(struct db_conn *c, const struct db_migration *list, size_t count, int64_t *version, struct error *err)
{
	enum db_status status = take_turns(c, err);
	if (status == DB_OK)
		status = db_script(c, create_table, err);
	if (status == DB_OK)
		status = check_version(c, list, count, version, err);
	if (status != DB_OK || (uint64_t)*version == count)
		return status;
	status = apply(c, &list[*version], *version + 1, err);
	if (status == DB_OK)
		++*version;
	return status;
}

enum db_status db_migrate(struct db_conn *c, const struct db_migration *list, size_t count, struct error *err)
{
	int64_t version;
	enum db_status status = check_version(c, list, count, &version, err);
	while (status == DB_OK && (uint64_t)version < count) {
		int64_t before = version;
		status = db_begin(c, DB_TXN_WRITE, err);
		if (status != DB_OK)
			break;
		status = apply_next(c, list, count, &version, err);
		if (status != DB_OK) {
			db_rollback(c);
			break;
		}
		status = db_commit(c, err);
		if (status == DB_OK && version > before)
			log_info("schema changed", LOG_I("version", version), LOG_S("migration", list[version - 1].name));
	}
	return status;
}
