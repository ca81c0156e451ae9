/* Inside the SQLite driver: the connection, and what db_sqlite.c (statements), db_sqlite_file.c (opening, backups) and
 * db_sqlite_vfs.c (how SQLite writes) and db_sqlite_cache.c (how it keeps pages) ask of each other. */
#ifndef TANA_DB_SQLITE_H
#define TANA_DB_SQLITE_H

#include <sqlite3.h>

#include "db_driver.h"

struct lite {
	struct db_conn head;
	sqlite3 *db;
	char *path;
	bool read_only;
	int checkpointed_at; /* frames in the log when it was last copied into the database */
	struct db_statements statements;
};

/* What the last failed call on this connection means; `doing` is a present participle: "opening". Fills *err. */
enum db_status lite_failure(struct lite *c, const char *doing, struct error *err);

enum db_status lite_open(const char *url, enum db_open_how how, const char *name, struct db_conn **out, struct error *err);
void lite_close(struct db_conn *c);
bool lite_display(const char *url, char *out, size_t size);
enum db_status lite_backup(struct db_conn *c, const char *path, struct error *err);
/* Is the file still the one that was opened? */
bool lite_file_in_place(struct lite *c);
/* The file layer connections are opened with; to be registered once, before the first. */
#define LITE_VFS "tana"
void lite_register_vfs(void);
/* The page cache, likewise, and before the file layer: it cannot be changed once SQLite has been asked anything. */
void lite_register_cache(void);

#endif
