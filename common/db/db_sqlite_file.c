/* SQLite: files. Opening one as a service wants it, noticing that it went away, copying it while it is in use. */
#include "db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	BUSY_TIMEOUT_MS = 5000, /* how long to wait for another process's lock */
	BUSY_PAUSE_MS = 10,
	/*
	 * The log is copied into the database each time it grew by so many pages (of 4 KiB; just what journal_size_limit keeps), and at twice
	 * as many even when readers are in the way. Pages that are written again and again meanwhile are copied once.
	 */
	CHECKPOINT_PAGES = 16000,
	RESTART_PAGES = 2 * CHECKPOINT_PAGES,
	RESTART_WAIT_MS = 100,
};

/*
 * What each connection sets; docs/decisions.md has the measurements behind the numbers.
 * synchronous=FULL syncs the log at every commit: an answered change survives a power failure.
 */
static const char settings[] = "PRAGMA synchronous = FULL;"
			       "PRAGMA foreign_keys = ON;"
			       "PRAGMA temp_store = MEMORY;"
			       "PRAGMA journal_size_limit = 67108864;"; /* bytes the log keeps of what a long reader made it grow to */
/* KiB, filled as needed. A reader's cache is void after each write of another connection: it serves within a statement. */
static const char writer_cache[] = "PRAGMA cache_size = -131072";
static const char reader_cache[] = "PRAGMA cache_size = -2048";

static void forward_log(void *unused, int code, const char *message)
{
	(void)unused;
	log_debug("sqlite", LOG_I("code", code), LOG_S("message", message));
}

/*
 * Connections are never shared between threads, and nobody reads the memory statistics: without both, threads do not meet on
 * SQLite's global mutexes.
 */
static void configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_LOG, forward_log, NULL);
	lite_register_cache();
	lite_register_vfs();
}

static const char *path_of(const char *url)
{
	return url + strlen("sqlite:");
}

bool lite_display(const char *url, char *out, size_t size)
{
	int n = snprintf(out, size, "%s", url);
	return n >= 0 && (size_t)n < size;
}

/*
 * Only a file that was not there is opened here: closing any descriptor of a file drops the locks that every SQLite connection of
 * this process holds on it. SQLite gives its log files the same mode.
 */
static enum db_status create_file(const char *path, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST) {
		error_errno(err, ERR_UNAVAILABLE, errno, "cannot create the database %s", path);
		return err->code == ERR_STORAGE_FULL ? DB_FULL : DB_UNAVAILABLE;
	}
	if (fd >= 0)
		close(fd);
	return DB_OK;
}

static enum db_status find_file(const char *path, enum db_open_how how, struct error *err)
{
	struct stat st;
	if (*path == '\0' || strcmp(path, ":memory:") == 0) {
		error_set(err, ERR_CONFIG, "the database URL sqlite:%s names no file", path);
		error_hint(err, "for example sqlite:/var/lib/tana/mesh.db");
		return DB_BROKEN;
	}
	enum db_status status = how == DB_OPEN_CREATE ? create_file(path, err) : DB_OK;
	if (status != DB_OK)
		return status;
	if (stat(path, &st) != 0) {
		error_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, errno, "cannot open the database %s", path);
		return DB_UNAVAILABLE;
	}
	if (!S_ISREG(st.st_mode)) {
		error_set(err, ERR_CONFIG, "the database %s is not a regular file", path);
		return DB_BROKEN;
	}
	return DB_OK;
}

static enum db_status pragma(struct lite *c, const char *text, struct error *err)
{
	return sqlite3_exec(c->db, text, NULL, NULL, NULL) == SQLITE_OK ? DB_OK : lite_failure(c, "opening", err);
}

/* SQLite does not wait by itself when two processes make a fresh file a WAL one at the same moment. */
static enum db_status use_write_ahead_log(struct lite *c, struct error *err)
{
	int64_t deadline = clock_mono_ms() + BUSY_TIMEOUT_MS;
	enum db_status status;
	for (;;) {
		status = pragma(c, "PRAGMA journal_mode = WAL", err);
		if (status != DB_UNAVAILABLE || !c->head.usable || clock_mono_ms() > deadline)
			return status;
		nanosleep(&(struct timespec){.tv_nsec = BUSY_PAUSE_MS * 1000000L}, NULL);
	}
}

/*
 * After each commit. Copying stops at what the oldest reader still sees, and the log only starts over when nobody reads from it;
 * with readers that overlap for ever it would grow for ever. So a long log waits a moment for those who read from it: new ones read
 * from the database file alone. Failing here costs nothing but time: the log has it all, and the next attempt comes.
 */
static int after_commit(void *conn, sqlite3 *db, const char *name, int frames)
{
	struct lite *c = conn;
	if (frames < c->checkpointed_at) /* it has started over */
		c->checkpointed_at = 0;
	if (frames - c->checkpointed_at < CHECKPOINT_PAGES)
		return SQLITE_OK;
	c->checkpointed_at = frames;
	bool restart = frames >= RESTART_PAGES;
	if (restart)
		sqlite3_busy_timeout(db, RESTART_WAIT_MS);
	sqlite3_wal_checkpoint_v2(db, name, restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (restart)
		sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
	return SQLITE_OK;
}

static enum db_status set_up(struct lite *c, struct error *err)
{
	sqlite3_extended_result_codes(c->db, 1);
	sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
	/* Misspelt "columns" are errors and not texts; a crafted file's schema cannot call functions with side effects. */
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Reads the header and the schema before anything is written: a file that is something else stays as it is. */
	enum db_status status = pragma(c, "SELECT COUNT(*) FROM sqlite_schema", err);
	if (status == DB_OK && !c->read_only)
		status = use_write_ahead_log(c, err);
	if (status == DB_OK)
		status = pragma(c, settings, err);
	if (status == DB_OK)
		status = pragma(c, c->read_only ? reader_cache : writer_cache, err);
	sqlite3_wal_hook(c->db, after_commit, c);
	return status;
}

/* PATH is a path, whatever it looks like: SQLite gives names that begin with ':' or "file:" a meaning of their own. */
static char *literal_path(const char *path)
{
	size_t size = strlen(path) + 3;
	char *out = xmalloc(size);
	snprintf(out, size, "%s%s", *path == '/' ? "" : "./", path);
	return out;
}

enum db_status lite_open(const char *url, enum db_open_how how, const char *name, struct db_conn **out, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)name; /* SQLite has nowhere to show it */
	pthread_once(&once, configure);
	enum db_status status = find_file(path_of(url), how, err);
	if (status != DB_OK)
		return status;
	struct lite *c = xcalloc(1, sizeof(*c));
	c->head.driver = &db_sqlite_driver;
	c->head.usable = true;
	c->path = literal_path(path_of(url));
	c->read_only = how == DB_OPEN_READ_ONLY;
	int flags = (c->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	int rc = sqlite3_open_v2(c->path, &c->db, flags, LITE_VFS);
	if (!c->db)
		fatal("out of memory");
	status = rc == SQLITE_OK ? set_up(c, err) : lite_failure(c, "opening", err);
	if (status != DB_OK) {
		lite_close(&c->head);
		return status;
	}
	*out = &c->head;
	return DB_OK;
}

void lite_close(struct db_conn *conn)
{
	struct lite *c = (struct lite *)conn;
	sqlite3_close_v2(c->db);
	free(c->path);
	free(c);
}

bool lite_file_in_place(struct lite *c)
{
	int moved = 0;
	return sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && !moved;
}

static bool sync_path(const char *path, int flags, struct error *err)
{
	int fd = open(path, flags | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	if (!ok)
		error_errno(err, ERR_IO, errno, "cannot sync %s", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool sync_folder_of(const char *path, struct error *err)
{
	char *folder = xstrdup(path);
	char *slash = strrchr(folder, '/');
	if (!slash)
		memcpy(folder, ".", 2);
	else
		slash[slash == folder] = '\0';
	bool ok = sync_path(folder, O_RDONLY | O_DIRECTORY, err);
	free(folder);
	return ok;
}

/*
 * One step copies everything: it reads one snapshot and stands in nobody's way, while a copy in many steps starts again at each
 * write of another connection.
 */
static enum db_status copy_into(struct lite *from, struct lite *to, struct error *err)
{
	enum db_status status = pragma(to, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", err);
	if (status != DB_OK)
		return status;
	sqlite3_backup *b = sqlite3_backup_init(to->db, "main", from->db, "main");
	if (!b)
		return lite_failure(to, "copying", err);
	int rc = sqlite3_backup_step(b, -1);
	/* A failure of either side is reported on the copy's connection. */
	return sqlite3_backup_finish(b) == SQLITE_OK && rc == SQLITE_DONE ? DB_OK : lite_failure(to, "copying", err);
}

static enum db_status write_copy(struct lite *c, const char *part, struct error *err)
{
	struct lite to = {.head = {.driver = &db_sqlite_driver, .usable = true}, .path = c->path};
	int rc = sqlite3_open_v2(part, &to.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	if (!to.db)
		fatal("out of memory");
	enum db_status status = rc == SQLITE_OK ? copy_into(c, &to, err) : lite_failure(&to, "copying", err);
	sqlite3_close_v2(to.db);
	if (status == DB_OK && !sync_path(part, O_RDWR, err))
		return err->code == ERR_STORAGE_FULL ? DB_FULL : DB_UNAVAILABLE;
	return status;
}

/* The copy grows under another name: whatever happens, PATH never holds a part of one. */
enum db_status lite_backup(struct db_conn *conn, const char *path, struct error *err)
{
	if (file_exists(path)) {
		error_set(err, ERR_ALREADY_EXISTS, "the backup %s exists already", path);
		return DB_CONFLICT;
	}
	size_t size = strlen(path) + sizeof("./.XXXXXX");
	char *part = xmalloc(size);
	snprintf(part, size, "%s%s.XXXXXX", *path == '/' ? "" : "./", path);
	int fd = mkostemp(part, O_CLOEXEC); /* mode 0600 */
	enum db_status status = DB_OK;
	if (fd < 0) {
		error_errno(err, ERR_IO, errno, "cannot create the backup %s", path);
		status = err->code == ERR_STORAGE_FULL ? DB_FULL : DB_UNAVAILABLE;
	} else {
		close(fd);
		status = write_copy((struct lite *)conn, part, err);
		if (status == DB_OK && link(part, path) != 0) {
			error_errno(err, errno == EEXIST ? ERR_ALREADY_EXISTS : ERR_IO, errno, "cannot create the backup %s", path);
			status = errno == EEXIST ? DB_CONFLICT : DB_UNAVAILABLE;
		}
		unlink(part);
		if (status == DB_OK && !sync_folder_of(path, err))
			status = DB_UNAVAILABLE;
	}
	free(part);
	return status;
}
