/* Inside the room: what a database must be able to do (db_sqlite.c, db_postgres.c) for db.c to offer db.h on top of it. */
#ifndef TANA_DB_DRIVER_H
#define TANA_DB_DRIVER_H

#include "db.h"

enum db_txn_state { DB_NO_TXN, DB_IN_WRITE, DB_IN_SNAPSHOT };

/* The head of each driver's own connection. */
struct db_conn {
	const struct db_driver *driver;
	bool usable;
	enum db_txn_state txn;
	/* The first failure inside the open transaction, and what it said: nothing else succeeds until its end. */
	enum db_status failed;
	struct error failure;
};

/* The head of each driver's own result. */
struct db_rows {
	struct db_conn *c;
};

/* The calls mean what db.h says of the function of the same name. db.c has checked the order of calls and keeps txn and failed. */
struct db_driver {
	enum db_kind kind;
	enum db_status (*open)(const char *url, enum db_open_how how, const char *name, struct db_conn **out, struct error *err);
	void (*close)(struct db_conn *c);
	bool (*display)(const char *url, char *out, size_t size);
	enum db_status (*run)(struct db_conn *c, const struct db_sql *sql, struct db_args args, int64_t *changed, struct error *err);
	enum db_status (*query)(struct db_conn *c, const struct db_sql *sql, struct db_args args, struct db_rows **rows, struct error *err);
	enum db_status (*query_text)(struct db_conn *c, const char *sql, struct db_args args, struct db_rows **rows, struct error *err);
	enum db_status (*run_many)(struct db_conn *c, const struct db_sql *sql, const struct db_args *args, size_t count, db_each_fn *each, void *ctx,
				   struct error *err);
	enum db_status (*script)(struct db_conn *c, const char *sql, struct error *err);
	enum db_status (*begin)(struct db_conn *c, enum db_txn kind, struct error *err);
	enum db_status (*commit)(struct db_conn *c, struct error *err);
	void (*rollback)(struct db_conn *c);
	enum db_status (*backup)(struct db_conn *c, const char *path, struct error *err);
	bool (*check)(struct db_conn *c);

	bool (*next)(struct db_rows *rows);
	enum db_status (*finish)(struct db_rows *rows, struct error *err);
	int64_t (*integer)(struct db_rows *rows, int column);
	struct str (*bytes)(struct db_rows *rows, int column, enum db_type type); /* DB_TYPE_TEXT or DB_TYPE_BLOB; NULL: absent */
	enum db_type (*column_type)(struct db_rows *rows, int column);
	int (*columns)(struct db_rows *rows);
	const char *(*column_name)(struct db_rows *rows, int column);
};

extern const struct db_driver db_sqlite_driver, db_postgres_driver;

/* A connection's prepared statements, found by the address of their struct db_sql. Zero-initialised is empty. */
struct db_statements {
	struct db_statement_slot {
		const struct db_sql *key;
		void *prepared;
	} *slots;
	size_t size, used; /* size: 0 or a power of two, at most half used */
};
void *db_statements_find(const struct db_statements *t, const struct db_sql *key); /* NULL: not there */
void db_statements_add(struct db_statements *t, const struct db_sql *key, void *prepared);
/* Calls drop for each and empties the table. */
void db_statements_clear(struct db_statements *t, void (*drop)(void *prepared));

#endif
