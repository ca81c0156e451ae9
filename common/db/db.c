/*
 * What both databases share: URLs, the order of calls, the rule that a failed transaction stays failed, the table of prepared
 * statements.
 */
#include "db_driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

bool db_url_kind(const char *url, enum db_kind *kind, struct error *err)
{
	if (strncmp(url, "sqlite:", 7) == 0) {
		*kind = DB_SQLITE;
		return true;
	}
	if (strncmp(url, "postgres://", 11) == 0 || strncmp(url, "postgresql://", 13) == 0) {
		*kind = DB_POSTGRES;
		return true;
	}
	/* The text itself is not shown: whatever it is, it may hold a password. */
	error_set(err, ERR_CONFIG, "the database URL is neither sqlite:PATH nor postgres://...");
	return error_hint(err, "for example sqlite:/var/lib/tana/mesh.db or postgres://user@host/dbname");
}

static const struct db_driver *driver_of(enum db_kind kind)
{
	switch (kind) {
	case DB_SQLITE:
		return &db_sqlite_driver;
	case DB_POSTGRES:
		return &db_postgres_driver;
	}
	fatal("no such database kind: %d", (int)kind);
}

bool db_url_display(const char *url, char *out, size_t size)
{
	enum db_kind kind = DB_SQLITE;
	struct error ignored;
	return db_url_kind(url, &kind, &ignored) && driver_of(kind)->display(url, out, size);
}

enum db_status db_open(const char *url, enum db_open_how how, const char *name, struct db_conn **out, struct error *err)
{
	enum db_kind kind = DB_SQLITE;
	*out = NULL;
	if (!db_url_kind(url, &kind, err))
		return DB_BROKEN;
	return driver_of(kind)->open(url, how, name, out, err);
}

void db_close(struct db_conn *c)
{
	if (!c)
		return;
	db_rollback(c);
	c->driver->close(c);
}

enum db_kind db_kind_of(const struct db_conn *c)
{
	return c->driver->kind;
}

bool db_usable(const struct db_conn *c)
{
	return c->usable;
}

bool db_check(struct db_conn *c)
{
	if (c->usable && !c->driver->check(c))
		c->usable = false;
	return c->usable;
}

/*
 * PostgreSQL refuses everything after a failure inside a transaction. SQLite would go on, and programs would come to rely on it; so
 * it does not here either.
 */
static enum db_status earlier_failure(const struct db_conn *c, struct error *err)
{
	if (c->failed != DB_OK)
		*err = c->failure;
	return c->failed;
}

static enum db_status note(struct db_conn *c, enum db_status status, const struct error *err)
{
	if (status != DB_OK && c->txn != DB_NO_TXN && c->failed == DB_OK) {
		c->failed = status;
		c->failure = *err;
	}
	return status;
}

enum db_status db_run(struct db_conn *c, const struct db_sql *sql, struct db_args args, int64_t *changed, struct error *err)
{
	enum db_status status = earlier_failure(c, err);
	return status != DB_OK ? status : note(c, c->driver->run(c, sql, args, changed, err), err);
}

enum db_status db_query(struct db_conn *c, const struct db_sql *sql, struct db_args args, struct db_rows **rows, struct error *err)
{
	enum db_status status = earlier_failure(c, err);
	return status != DB_OK ? status : note(c, c->driver->query(c, sql, args, rows, err), err);
}

enum db_status db_query_text(struct db_conn *c, const char *sql, struct db_args args, struct db_rows **rows, struct error *err)
{
	enum db_status status = earlier_failure(c, err);
	return status != DB_OK ? status : note(c, c->driver->query_text(c, sql, args, rows, err), err);
}

enum db_status db_run_many(struct db_conn *c, const struct db_sql *sql, const struct db_args *args, size_t count, db_each_fn *each, void *ctx,
			   struct error *err)
{
	enum db_status status = earlier_failure(c, err);
	invariant(c->txn != DB_NO_TXN);
	if (status != DB_OK || count == 0)
		return status;
	return note(c, c->driver->run_many(c, sql, args, count, each, ctx, err), err);
}

enum db_status db_script(struct db_conn *c, const char *sql, struct error *err)
{
	enum db_status status = earlier_failure(c, err);
	return status != DB_OK ? status : note(c, c->driver->script(c, sql, err), err);
}

enum db_status db_begin(struct db_conn *c, enum db_txn kind, struct error *err)
{
	invariant(c->txn == DB_NO_TXN);
	enum db_status status = c->driver->begin(c, kind, err);
	if (status == DB_OK) {
		c->txn = kind == DB_TXN_WRITE ? DB_IN_WRITE : DB_IN_SNAPSHOT;
		c->failed = DB_OK;
	}
	return status;
}

enum db_status db_commit(struct db_conn *c, struct error *err)
{
	invariant(c->txn != DB_NO_TXN);
	enum db_status status = earlier_failure(c, err);
	if (status == DB_OK)
		status = c->driver->commit(c, err);
	/* Whatever a failed COMMIT left open must not swallow the next transaction. */
	if (status != DB_OK)
		c->driver->rollback(c);
	c->txn = DB_NO_TXN;
	c->failed = DB_OK;
	return status;
}

void db_rollback(struct db_conn *c)
{
	if (c->txn == DB_NO_TXN)
		return;
	c->driver->rollback(c);
	c->txn = DB_NO_TXN;
	c->failed = DB_OK;
}

enum db_status db_backup(struct db_conn *c, const char *path, struct error *err)
{
	return c->driver->backup(c, path, err);
}

bool db_next(struct db_rows *rows)
{
	return rows->c->driver->next(rows);
}

enum db_status db_finish(struct db_rows *rows, struct error *err)
{
	struct db_conn *c = rows->c;
	return note(c, c->driver->finish(rows, err), err);
}

bool db_is_null(struct db_rows *rows, int column)
{
	return db_column_type(rows, column) == DB_TYPE_NULL;
}

int64_t db_int(struct db_rows *rows, int column)
{
	return rows->c->driver->integer(rows, column);
}

struct str db_text(struct db_rows *rows, int column)
{
	return rows->c->driver->bytes(rows, column, DB_TYPE_TEXT);
}

struct str db_blob(struct db_rows *rows, int column)
{
	return rows->c->driver->bytes(rows, column, DB_TYPE_BLOB);
}

enum db_type db_column_type(struct db_rows *rows, int column)
{
	return rows->c->driver->column_type(rows, column);
}

int db_columns(struct db_rows *rows)
{
	return rows->c->driver->columns(rows);
}

const char *db_column_name(struct db_rows *rows, int column)
{
	return rows->c->driver->column_name(rows, column);
}

/* Fibonacci hashing: the multiplication mixes the address upwards, so the middle bits serve tables of any size. */
static size_t slot_of(const struct db_statements *t, const struct db_sql *key)
{
	return (size_t)(((uint64_t)(uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (t->size - 1);
}

void *db_statements_find(const struct db_statements *t, const struct db_sql *key)
{
	if (t->size == 0)
		return NULL;
	for (size_t i = slot_of(t, key); t->slots[i].key; i = (i + 1) & (t->size - 1)) {
		if (t->slots[i].key == key)
			return t->slots[i].prepared;
	}
	return NULL;
}

static void put(struct db_statements *t, const struct db_sql *key, void *prepared)
{
	size_t i = slot_of(t, key);
	while (t->slots[i].key)
		i = (i + 1) & (t->size - 1);
	t->slots[i] = (struct db_statement_slot){.key = key, .prepared = prepared};
}

void db_statements_add(struct db_statements *t, const struct db_sql *key, void *prepared)
{
	if (2 * (t->used + 1) > t->size) {
		struct db_statements bigger = {.size = t->size ? 2 * t->size : 64, .used = t->used};
		bigger.slots = xcalloc(bigger.size, sizeof(*bigger.slots));
		for (size_t i = 0; i < t->size; i++) {
			if (t->slots[i].key)
				put(&bigger, t->slots[i].key, t->slots[i].prepared);
		}
		free(t->slots);
		*t = bigger;
	}
	put(t, key, prepared);
	t->used++;
}

void db_statements_clear(struct db_statements *t, void (*drop)(void *prepared))
{
	for (size_t i = 0; i < t->size; i++) {
		if (t->slots[i].key)
			drop(t->slots[i].prepared);
	}
	free(t->slots);
	*t = (struct db_statements){0};
}
