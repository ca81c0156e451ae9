/*
 * SQLite: statements, results, transactions. Every connection is opened without mutexes (one thread at a time uses it) and keeps
 * each statement prepared, so running one costs a table lookup, the binds and the work itself.
 */
#include "db_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct statement {
	struct db_rows rows; /* the one result it may have open */
	sqlite3_stmt *stmt;
	int params;
	int rc; /* of the last step; SQLITE_ROW before the first */
	const char *doing; /* for messages: "reading" or "writing" */
	bool open, read_only;
	bool one_off; /* goes when its result is finished */
};

DB_SQL(sql_begin_write, "BEGIN IMMEDIATE");
DB_SQL(sql_begin_snapshot, "BEGIN");
DB_SQL(sql_commit, "COMMIT");
DB_SQL(sql_rollback, "ROLLBACK");

static enum db_status refused(struct error *err, enum db_status status, enum error_code code, const char *doing, const char *why)
{
	error_set(err, code, "%s the database: %s", doing, why);
	return status;
}

static enum db_status io_failure(struct lite *c, const char *doing, enum error_code code, struct error *err)
{
	int errnum = sqlite3_system_errno(c->db);
	/* When the file of shared memory cannot grow, SQLite does not keep the system's reason; there is but one that is likely. */
	if (sqlite3_extended_errcode(c->db) == SQLITE_IOERR_SHMSIZE)
		errnum = ENOSPC;
	/* EFBIG: the limit on the size of files of this process or file system. */
	if (errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG)
		return refused(err, DB_FULL, ERR_STORAGE_FULL, doing, strerror(errnum));
	c->head.usable = false;
	error_set(err, code, "%s %s: %s (%s)", doing, c->path, sqlite3_errmsg(c->db), errnum ? strerror(errnum) : "no system error");
	return DB_UNAVAILABLE;
}

enum db_status lite_failure(struct lite *c, const char *doing, struct error *err)
{
	int rc = sqlite3_extended_errcode(c->db);
	const char *message = sqlite3_errmsg(c->db);
	if (rc == SQLITE_IOERR_NOMEM)
		fatal("out of memory");
	if (rc == SQLITE_BUSY_SNAPSHOT)
		return refused(err, DB_RETRY, ERR_UNAVAILABLE, doing, "the snapshot is too old to write from");
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		fatal("out of memory");
	case SQLITE_BUSY:
	case SQLITE_PROTOCOL:
		refused(err, DB_UNAVAILABLE, ERR_UNAVAILABLE, doing, "another process holds it locked");
		error_hint(err, "find it with: fuser %s", c->path);
		return DB_UNAVAILABLE;
	case SQLITE_FULL:
		return refused(err, DB_FULL, ERR_STORAGE_FULL, doing, "no space left");
	case SQLITE_IOERR:
		return io_failure(c, doing, ERR_IO, err);
	case SQLITE_CANTOPEN:
		return io_failure(c, doing, ERR_UNAVAILABLE, err);
	case SQLITE_READONLY:
		if (c->read_only)
			return refused(err, DB_BROKEN, ERR_INTERNAL, doing, "this connection only reads");
		c->head.usable = false;
		error_set(err, ERR_UNAVAILABLE, "%s %s: it may not be written (%s)", doing, c->path, message);
		error_hint(err, "the file and its folder must belong to the service's user");
		return DB_UNAVAILABLE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		c->head.usable = false;
		error_set(err, ERR_CORRUPT, "%s %s: %s", doing, c->path, rc == SQLITE_NOTADB ? "it is not a SQLite database" : message);
		error_hint(err, "the file was left as it is; restore a backup beside it");
		return DB_BROKEN;
	case SQLITE_CONSTRAINT:
		return refused(err, DB_CONFLICT, ERR_ALREADY_EXISTS, doing, message);
	case SQLITE_TOOBIG:
		return refused(err, DB_BROKEN, ERR_TOO_LARGE, doing, message);
	default:
		return refused(err, DB_BROKEN, ERR_INTERNAL, doing, message);
	}
}

static void drop(void *prepared)
{
	struct statement *s = prepared;
	sqlite3_finalize(s->stmt);
	free(s);
}

/*
 * SQLite numbers $1, $2... by their first use, PostgreSQL by their digits: a text where the two differ is refused here, before it
 * does harm.
 */
static bool parameters_in_order(sqlite3_stmt *stmt, int params)
{
	char expected[16];
	for (int i = 1; i <= params; i++) {
		const char *name = sqlite3_bind_parameter_name(stmt, i);
		snprintf(expected, sizeof(expected), "$%d", i);
		if (!name || strcmp(name, expected) != 0)
			return false;
	}
	return true;
}

static enum db_status prepare(struct lite *c, const char *text, unsigned flags, struct statement **out, struct error *err)
{
	sqlite3_stmt *stmt = NULL;
	const char *tail = "";
	if (sqlite3_prepare_v3(c->db, text, -1, flags, &stmt, &tail) != SQLITE_OK)
		return lite_failure(c, "asking", err);
	int params = sqlite3_bind_parameter_count(stmt);
	const char *wrong = !stmt                                ? "an empty statement"
			    : tail[strspn(tail, " \t\n;")]       ? "more than one statement"
			    : !parameters_in_order(stmt, params) ? "parameters must be $1, $2... in the order of their first use"
								 : NULL;
	if (wrong) {
		sqlite3_finalize(stmt);
		return refused(err, DB_BROKEN, ERR_INTERNAL, "asking", wrong);
	}
	struct statement *s = xcalloc(1, sizeof(*s));
	s->rows.c = &c->head;
	s->stmt = stmt;
	s->params = params;
	s->read_only = sqlite3_stmt_readonly(stmt) != 0;
	s->doing = s->read_only && sqlite3_column_count(stmt) > 0 ? "reading" : "writing"; /* COMMIT changes nothing, by SQLite's own account */
	*out = s;
	return DB_OK;
}

static enum db_status statement_for(struct lite *c, const struct db_sql *sql, struct statement **out, struct error *err)
{
	*out = db_statements_find(&c->statements, sql);
	if (*out)
		return DB_OK;
	enum db_status status = prepare(c, sql->text, SQLITE_PREPARE_PERSISTENT, out, err);
	if (status == DB_OK)
		db_statements_add(&c->statements, sql, *out);
	return status;
}

static int bind_one(sqlite3_stmt *stmt, int i, const struct db_value *v, sqlite3_destructor_type life)
{
	switch (v->type) {
	case DB_TYPE_NULL:
		return sqlite3_bind_null(stmt, i);
	case DB_TYPE_INT:
		return sqlite3_bind_int64(stmt, i, v->i);
	case DB_TYPE_TEXT:
		return sqlite3_bind_text64(stmt, i, v->s.p, v->s.n, life, SQLITE_UTF8);
	case DB_TYPE_BLOB:
		return sqlite3_bind_blob64(stmt, i, v->s.p, v->s.n, life);
	}
	fatal("no such value type: %d", (int)v->type);
}

/* `life`: SQLITE_STATIC when the statement ends before the caller's values do, SQLITE_TRANSIENT to copy them. */
static enum db_status bind(struct lite *c, struct statement *s, struct db_args args, sqlite3_destructor_type life, struct error *err)
{
	invariant(!s->open);
	if (args.n != (size_t)s->params)
		return refused(err, DB_BROKEN, ERR_INTERNAL, "asking", "the number of arguments is not the number of parameters");
	if (c->head.txn == DB_IN_SNAPSHOT && !s->read_only)
		return refused(err, DB_BROKEN, ERR_INTERNAL, "asking", "a write inside a read-only transaction");
	for (int i = 0; i < s->params; i++) {
		const struct db_value *v = &args.v[i];
		/* PostgreSQL takes no NUL in a text, so neither does this. */
		if (v->type == DB_TYPE_TEXT && v->s.n && memchr(v->s.p, 0, v->s.n))
			return refused(err, DB_BROKEN, ERR_INTERNAL, "asking", "a text with a NUL in it");
		if (bind_one(s->stmt, i + 1, v, life) != SQLITE_OK)
			return lite_failure(c, "asking", err);
	}
	return DB_OK;
}

/* Steps to the end and resets. */
static enum db_status complete(struct lite *c, struct statement *s, int rc, struct error *err)
{
	while (rc == SQLITE_ROW)
		rc = sqlite3_step(s->stmt);
	enum db_status status = rc == SQLITE_DONE ? DB_OK : lite_failure(c, s->doing, err);
	sqlite3_reset(s->stmt);
	return status;
}

static enum db_status lite_run(struct db_conn *conn, const struct db_sql *sql, struct db_args args, int64_t *changed, struct error *err)
{
	struct lite *c = (struct lite *)conn;
	struct statement *s;
	enum db_status status = statement_for(c, sql, &s, err);
	if (status == DB_OK)
		status = bind(c, s, args, SQLITE_STATIC, err);
	if (status != DB_OK)
		return status;
	sqlite3_int64 before = sqlite3_total_changes64(c->db);
	status = complete(c, s, sqlite3_step(s->stmt), err);
	/* Statements that change no rows by their nature leave SQLite's count where the one before them put it. */
	if (changed)
		*changed = sqlite3_total_changes64(c->db) == before ? 0 : sqlite3_changes64(c->db);
	return status;
}

static enum db_status run_each(struct lite *c, struct statement *s, size_t index, db_each_fn *each, void *ctx, struct error *err)
{
	bool returning = sqlite3_column_count(s->stmt) > 0;
	int rc = sqlite3_step(s->stmt);
	if (returning && each && (rc == SQLITE_ROW || rc == SQLITE_DONE))
		each(ctx, index, rc == SQLITE_ROW, rc == SQLITE_ROW ? &s->rows : NULL);
	enum db_status status = complete(c, s, rc, err);
	if (status == DB_OK && !returning && each)
		each(ctx, index, sqlite3_changes64(c->db), NULL);
	return status;
}

static enum db_status lite_run_many(struct db_conn *conn, const struct db_sql *sql, const struct db_args *args, size_t count, db_each_fn *each, void *ctx,
				    struct error *err)
{
	struct lite *c = (struct lite *)conn;
	struct statement *s;
	enum db_status status = statement_for(c, sql, &s, err);
	for (size_t i = 0; i < count && status == DB_OK; i++) {
		status = bind(c, s, args[i], SQLITE_STATIC, err);
		if (status == DB_OK)
			status = run_each(c, s, i, each, ctx, err);
	}
	return status;
}

/* The values are copied: the statement runs on while the caller walks its rows. */
static enum db_status start(struct lite *c, struct statement *s, struct db_args args, struct db_rows **rows, struct error *err)
{
	enum db_status status = bind(c, s, args, SQLITE_TRANSIENT, err);
	if (status != DB_OK)
		return status;
	s->rc = SQLITE_ROW;
	s->open = true;
	*rows = &s->rows;
	return DB_OK;
}

static enum db_status lite_query(struct db_conn *conn, const struct db_sql *sql, struct db_args args, struct db_rows **rows, struct error *err)
{
	struct lite *c = (struct lite *)conn;
	struct statement *s;
	enum db_status status = statement_for(c, sql, &s, err);
	return status == DB_OK ? start(c, s, args, rows, err) : status;
}

static enum db_status lite_query_text(struct db_conn *conn, const char *sql, struct db_args args, struct db_rows **rows, struct error *err)
{
	struct lite *c = (struct lite *)conn;
	struct statement *s;
	enum db_status status = prepare(c, sql, 0, &s, err);
	if (status != DB_OK)
		return status;
	s->one_off = true;
	status = start(c, s, args, rows, err);
	if (status != DB_OK)
		drop(s);
	return status;
}

static bool lite_next(struct db_rows *rows)
{
	struct statement *s = (struct statement *)rows;
	if (s->rc != SQLITE_ROW)
		return false;
	s->rc = sqlite3_step(s->stmt);
	return s->rc == SQLITE_ROW;
}

static enum db_status lite_finish(struct db_rows *rows, struct error *err)
{
	struct statement *s = (struct statement *)rows;
	struct lite *c = (struct lite *)rows->c;
	/* Resetting repeats what the last step failed with; ending a statement early may itself fail, when that commits it. */
	enum db_status status = sqlite3_reset(s->stmt) == SQLITE_OK ? DB_OK : lite_failure(c, s->doing, err);
	s->open = false;
	if (s->one_off)
		drop(s);
	return status;
}

static int64_t lite_integer(struct db_rows *rows, int column)
{
	return sqlite3_column_int64(((struct statement *)rows)->stmt, column);
}

static struct str lite_bytes(struct db_rows *rows, int column, enum db_type type)
{
	sqlite3_stmt *stmt = ((struct statement *)rows)->stmt;
	const char *p = type == DB_TYPE_TEXT ? (const char *)sqlite3_column_text(stmt, column) : sqlite3_column_blob(stmt, column);
	if (!p) /* NULL, or a blob of no bytes */
		return sqlite3_column_type(stmt, column) == SQLITE_NULL ? STR_NONE : STR_LIT("");
	return str_of(p, (size_t)sqlite3_column_bytes(stmt, column));
}

static enum db_type lite_column_type(struct db_rows *rows, int column)
{
	switch (sqlite3_column_type(((struct statement *)rows)->stmt, column)) {
	case SQLITE_NULL:
		return DB_TYPE_NULL;
	case SQLITE_INTEGER:
		return DB_TYPE_INT;
	case SQLITE_BLOB:
		return DB_TYPE_BLOB;
	default:
		return DB_TYPE_TEXT;
	}
}

static int lite_columns(struct db_rows *rows)
{
	return sqlite3_column_count(((struct statement *)rows)->stmt);
}

static const char *lite_column_name(struct db_rows *rows, int column)
{
	return sqlite3_column_name(((struct statement *)rows)->stmt, column);
}

static enum db_status lite_script(struct db_conn *conn, const char *sql, struct error *err)
{
	struct lite *c = (struct lite *)conn;
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? DB_OK : lite_failure(c, "changing", err);
}

static enum db_status lite_begin(struct db_conn *conn, enum db_txn kind, struct error *err)
{
	struct lite *c = (struct lite *)conn;
	/* A file that was replaced or removed still takes writes, which nobody would ever see again. */
	if (kind == DB_TXN_WRITE && !lite_file_in_place(c)) {
		c->head.usable = false;
		error_set(err, ERR_UNAVAILABLE, "writing %s: the file was replaced or removed while it was open", c->path);
		return DB_UNAVAILABLE;
	}
	return lite_run(conn, kind == DB_TXN_WRITE ? &sql_begin_write : &sql_begin_snapshot, DB_NO_ARGS, NULL, err);
}

static enum db_status lite_commit(struct db_conn *conn, struct error *err)
{
	return lite_run(conn, &sql_commit, DB_NO_ARGS, NULL, err);
}

static void lite_rollback(struct db_conn *conn)
{
	struct lite *c = (struct lite *)conn;
	struct error err;
	if (sqlite3_get_autocommit(c->db)) /* a full disk or an I/O error has rolled back already */
		return;
	if (lite_run(conn, &sql_rollback, DB_NO_ARGS, NULL, &err) != DB_OK) {
		log_error("a rollback failed", LOG_S("error", err.message));
		c->head.usable = false;
	}
}

static bool lite_check(struct db_conn *conn)
{
	return lite_file_in_place((struct lite *)conn);
}

static void lite_close_statements(struct db_conn *conn)
{
	struct lite *c = (struct lite *)conn;
	db_statements_clear(&c->statements, drop);
	lite_close(conn);
}

const struct db_driver db_sqlite_driver = {
	.kind = DB_SQLITE,
	.open = lite_open,
	.close = lite_close_statements,
	.display = lite_display,
	.run = lite_run,
	.query = lite_query,
	.query_text = lite_query_text,
	.run_many = lite_run_many,
	.script = lite_script,
	.begin = lite_begin,
	.commit = lite_commit,
	.rollback = lite_rollback,
	.backup = lite_backup,
	.check = lite_check,
	.next = lite_next,
	.finish = lite_finish,
	.integer = lite_integer,
	.bytes = lite_bytes,
	.column_type = lite_column_type,
	.columns = lite_columns,
	.column_name = lite_column_name,
};
