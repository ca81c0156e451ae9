/* db: what can happen to a SQLite file: damage, locks, full disks, being killed, being taken away; and copies of it. */
#include "db_pool_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"

enum { QUEUE = 4096, GROUP = 64 };

static const char *path_of(const struct fixture *f)
{
	return f->url + strlen("sqlite:");
}

static struct buf read_all(const char *path)
{
	struct error err = {0};
	struct buf b = {0};
	if (!file_read(path, 1 << 26, &b, &err))
		fail_msg("%s", err.message);
	return b;
}

static void write_all(const char *path, struct str data)
{
	struct error err = {0};
	if (!file_write_atomic(path, data, 0600, FILE_REPLACE, &err))
		fail_msg("%s", err.message);
}

static enum db_status try_open(const char *url, enum db_open_how how, struct error *err)
{
	struct db_conn *c;
	*err = (struct error){0};
	enum db_status status = db_open(url, how, "test", &c, err);
	assert_int_equal(status == DB_OK, c != NULL);
	db_close(c);
	return status;
}

static mode_t mode_of(const char *path, const char *suffix)
{
	char name[700];
	struct stat st;
	snprintf(name, sizeof(name), "%s%s", path, suffix);
	assert_int_equal(stat(name, &st), 0);
	return st.st_mode & 0777;
}

static void a_new_file_is_private_and_durable(void **state)
{
	struct fixture *f = *state;
	mode_t before = umask(0);
	struct db_conn *c = open_db(f);
	umask(before);
	script(c, "CREATE TABLE t (x BIGINT)");
	assert_int_equal(mode_of(path_of(f), ""), 0600);
	assert_int_equal(mode_of(path_of(f), "-wal"), 0600);
	assert_int_equal(mode_of(path_of(f), "-shm"), 0600);
	assert_int_equal(ask_int(c, "PRAGMA synchronous"), 2);
	assert_int_equal(ask_int(c, "PRAGMA foreign_keys"), 1);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 1);
	db_close(c);
}

static void names_that_are_no_database(void **state)
{
	struct fixture *f = *state;
	struct error err;
	char url[600];
	assert_int_equal(try_open("sqlite:", DB_OPEN_CREATE, &err), DB_BROKEN);
	assert_int_equal(err.code, ERR_CONFIG);
	assert_int_equal(try_open("sqlite::memory:", DB_OPEN_CREATE, &err), DB_BROKEN);
	assert_int_equal(err.code, ERR_CONFIG);
	snprintf(url, sizeof(url), "sqlite:%s", f->dir);
	assert_int_equal(try_open(url, DB_OPEN_CREATE, &err), DB_BROKEN);
	assert_int_equal(err.code, ERR_CONFIG);
	snprintf(url, sizeof(url), "sqlite:%s/no/such/folder.db", f->dir);
	assert_int_equal(try_open(url, DB_OPEN_CREATE, &err), DB_UNAVAILABLE);
	assert_non_null(strstr(err.message, "No such file"));
	assert_int_equal(try_open(f->url, DB_OPEN_EXISTING, &err), DB_UNAVAILABLE);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(try_open(f->url, DB_OPEN_READ_ONLY, &err), DB_UNAVAILABLE);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(file_exists(path_of(f)));
	/* What looks like a URI is a file name like any other. */
	assert_int_equal(chdir(f->dir), 0);
	assert_int_equal(try_open("sqlite:file:x?mode=memory", DB_OPEN_CREATE, &err), DB_OK);
	assert_true(file_exists("file:x?mode=memory"));
	assert_int_equal(chdir("/"), 0);
}

static void is_refused_and_left(const struct fixture *f, struct str content)
{
	char log_name[600];
	struct error err;
	write_all(path_of(f), content);
	assert_int_equal(try_open(f->url, DB_OPEN_CREATE, &err), DB_BROKEN);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_non_null(strstr(err.message, path_of(f)));
	struct db_pool_options o = {.url = f->url, .name = "test", .readers = 1, .queue_max = 1, .group_max = 1, .patience_ms = 100};
	assert_null(db_pool_open(&o, pool_schema, 1, &err));
	assert_int_equal(err.code, ERR_CORRUPT);
	struct buf now = read_all(path_of(f));
	assert_true(str_equal(buf_str(&now), content));
	buf_free(&now);
	snprintf(log_name, sizeof(log_name), "%s-wal", path_of(f));
	assert_false(file_exists(log_name));
}

static void a_damaged_file_is_refused_and_left(void **state)
{
	struct fixture *f = *state;
	char noise[5000];
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 31 + 7);
	is_refused_and_left(f, str_of(noise, sizeof(noise)));
	is_refused_and_left(f, STR_LIT("just a line of text\n"));

	unlink(path_of(f));
	struct db_conn *c = open_db(f);
	script(c, "CREATE TABLE t (x BYTEA); INSERT INTO t VALUES (zeroblob(20000))");
	db_close(c);
	struct buf good = read_all(path_of(f));
	is_refused_and_left(f, str_of(good.data, 4096)); /* cut short */
	memset(good.data + 100, 0xff, 8);                /* the head of the first page's tree */
	is_refused_and_left(f, buf_str(&good));
	buf_free(&good);
}

static void damage_found_later_is_told(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 300);
	must_write(p, 1);
	db_pool_close(p);
	struct buf good = read_all(path_of(f));
	for (size_t page = 4096; page < good.len; page += 4096)
		memset(good.data + page, 0xee, 4096);
	write_all(path_of(f), buf_str(&good));
	/* The schema, on the first page, is well; the tables are not. */
	struct db_conn *c = open_how(f->url, DB_OPEN_EXISTING);
	DB_SQL(sql_all, "SELECT * FROM journal");
	assert_int_equal(db_run(c, &sql_all, DB_NO_ARGS, NULL, &err), DB_BROKEN);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_false(db_usable(c));
	db_close(c);
	struct buf now = read_all(path_of(f));
	assert_true(str_equal(buf_str(&now), buf_str(&good)));
	buf_free(&now);
	buf_free(&good);
}

/* A child that holds the write lock from when this returns until a byte is written to *release. */
static pid_t hold_lock(const struct fixture *f, int *release)
{
	int to_child[2], from_child[2];
	char byte = 0;
	assert_int_equal(pipe2(to_child, O_CLOEXEC) | pipe2(from_child, O_CLOEXEC), 0);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		struct error err;
		struct db_conn *c;
		if (db_open(f->url, DB_OPEN_EXISTING, "holder", &c, &err) != DB_OK || db_begin(c, DB_TXN_WRITE, &err) != DB_OK)
			_exit(1);
		if (write(from_child[1], &byte, 1) != 1 || read(to_child[0], &byte, 1) != 1)
			_exit(1);
		db_rollback(c);
		db_close(c);
		_exit(0);
	}
	close(to_child[0]);
	close(from_child[1]);
	assert_int_equal(read(from_child[0], &byte, 1), 1);
	close(from_child[0]);
	*release = to_child[1];
	return child;
}

static void let_go(pid_t child, int release)
{
	int status = -1;
	assert_int_equal(write(release, "", 1), 1);
	close(release);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

struct letter_go {
	pid_t child;
	int release;
};

static void *lets_go_soon(void *arg)
{
	struct letter_go *l = arg;
	sleep_ms(300);
	if (write(l->release, "", 1) != 1)
		abort();
	close(l->release);
	return NULL;
}

static void another_process_may_hold_the_lock(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct letter_go l;
	pthread_t thread;
	struct db_conn *c = open_db(f); /* so that the child finds a database */
	must(db_migrate(c, pool_schema, 1, &err), &err);
	db_close(c);

	/* For a moment: the write waits. */
	l.child = hold_lock(f, &l.release);
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 1000);
	assert_int_equal(pthread_create(&thread, NULL, lets_go_soon, &l), 0);
	must_write(p, 1);
	pthread_join(thread, NULL);
	assert_int_equal(waitpid(l.child, NULL, 0), l.child);
	db_pool_close(p);

	/* For too long: it is refused, and what waits behind it is not refused one by one. Reading goes on. */
	l.child = hold_lock(f, &l.release);
	p = open_pool(f->url, QUEUE, GROUP, 1000);
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(10, 10, &ended);
	int64_t start = clock_mono_ms();
	for (size_t i = 0; i < 10; i++)
		submit(p, &e[i]);
	struct db_conn *reader = db_pool_reader(p, &err);
	assert_int_equal(ask_int(reader, "SELECT COUNT(*) FROM journal"), 1);
	db_pool_release(p, reader);
	wait_for(&ended, 10);
	assert_in_range(clock_mono_ms() - start, 4000, 14000);
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(e[i].status, DB_UNAVAILABLE);
		assert_non_null(strstr(e[i].err.message, "locked"));
	}
	assert_false(db_pool_ready(p, &err));
	let_go(l.child, l.release);
	wait_ready(p, true);
	must_write(p, 2);
	db_pool_close(p);
	free(e);
}

/* A limit on the size of files is a full disk that a test can have. */
static void a_full_disk_is_told_and_survived(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	struct rlimit limit;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 1000);
	must_write(p, 1);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 256 * 1024, .rlim_max = limit.rlim_max}), 0);
	enum db_status status = DB_OK;
	int64_t id = 2;
	while (status == DB_OK && id < 100)
		status = write_entry(p, id++, 20000, &err);
	assert_int_equal(status, DB_FULL);
	assert_int_equal(err.code, ERR_STORAGE_FULL);
	/* In a group, too: all of them are told. */
	sem_t ended;
	sem_init(&ended, 0, 0);
	struct entry *e = make_entries(20, 1000, &ended);
	struct gate gate;
	close_gate(p, &gate);
	for (size_t i = 0; i < 20; i++) {
		e[i].filler = 60000;
		submit(p, &e[i]);
	}
	open_gate(&gate);
	wait_for(&ended, 20);
	size_t kept = 0;
	for (size_t i = 0; i < 20; i++) {
		assert_true(e[i].status == DB_FULL || e[i].status == DB_OK);
		kept += e[i].status == DB_OK;
	}
	assert_true(kept < 20);
	struct db_conn *reader = db_pool_reader(p, &err);
	assert_int_equal(ask_int(reader, "SELECT COUNT(*) FROM journal"), id - 2 + (int64_t)kept);
	db_pool_release(p, reader);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int64_t more = 0; more < 20; more++)
		must(write_entry(p, 2000 + more, 20000, &err), &err);
	wait_ready(p, true);
	db_pool_close(p);
	assert_int_equal(journal_count(f->url, "1 = 1"), id - 2 + (int64_t)kept + 20);
	free(e);
	signal(SIGXFSZ, SIG_DFL);
}

struct reporter {
	struct entry entry;
	int fd;
	struct db_pool *p;
};

/* Tells the parent what was promised, then goes on with a new number. */
static void promised(struct db_job *job, enum db_status status, const struct error *err)
{
	struct reporter *r = (struct reporter *)job;
	struct error ignored;
	(void)err;
	if (status != DB_OK || write(r->fd, &r->entry.id, sizeof(r->entry.id)) != sizeof(r->entry.id))
		_exit(1);
	r->entry.id += 64;
	if (!db_pool_submit(r->p, job, &ignored))
		_exit(1);
}

static pid_t start_writing(const struct fixture *f, int64_t first, int *promises)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
		static struct reporter r[64];
		struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 1000);
		struct error err;
		for (int i = 0; i < 64; i++) {
			r[i] = (struct reporter){.entry = {.job = {.run = entry_run, .done = promised}, .id = first + i, .filler = 300}, .fd = fds[1], .p = p};
			if (!db_pool_submit(p, &r[i].entry.job, &err))
				_exit(1);
		}
		for (;;)
			pause();
	}
	close(fds[1]);
	*promises = fds[0];
	return child;
}

static void what_was_promised_survives_kill_9(void **state)
{
	enum { ROUNDS = 5, PROMISES_MAX = 1 << 16 };
	struct fixture *f = *state;
	int64_t *ids = calloc(PROMISES_MAX, sizeof(*ids));
	size_t n = 0;
	for (int64_t round = 0; round < ROUNDS; round++) {
		int promises, status;
		pid_t child = start_writing(f, round * 1000000, &promises);
		size_t enough = n + 300 + (size_t)round * 77;
		while (n < PROMISES_MAX && read(promises, &ids[n], sizeof(*ids)) == sizeof(*ids)) {
			if (++n == enough)
				kill(child, SIGKILL); /* and read on what it had promised by then */
		}
		close(promises);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_true(n >= enough);
	}
	struct error err = {0};
	struct db_conn *c = open_how(f->url, DB_OPEN_EXISTING);
	DB_SQL(sql_there, "SELECT COUNT(*) FROM journal WHERE id = $1");
	for (size_t i = 0; i < n; i++) {
		struct db_rows *rows;
		must(db_query(c, &sql_there, DB_ARGS(DB_INT(ids[i])), &rows, &err), &err);
		assert_true(db_next(rows));
		assert_int_equal(db_int(rows, 0), 1);
		must(db_finish(rows, &err), &err);
	}
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	db_close(c);
	free(ids);
}

/* With its log, without which it is not whole. */
static void move_database(const char *from, const char *to)
{
	char from_log[600], to_log[600];
	snprintf(from_log, sizeof(from_log), "%s-wal", from);
	snprintf(to_log, sizeof(to_log), "%s-wal", to);
	assert_int_equal(rename(from, to) | rename(from_log, to_log), 0);
}

static void a_file_taken_away_is_noticed_and_not_made_anew(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	char aside[600];
	snprintf(aside, sizeof(aside), "%s.aside", path_of(f));
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 300);
	must_write(p, 1);
	move_database(path_of(f), aside);
	assert_int_equal(write_entry(p, 2, 0, &err), DB_UNAVAILABLE);
	wait_ready(p, false);
	assert_null(db_pool_reader(p, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(err.message, "No such file"));
	assert_false(file_exists(path_of(f)));

	/* Something else in its place is not taken for it. */
	write_all(path_of(f), STR_LIT("nonsense"));
	sleep_ms(300);
	assert_int_equal(write_entry(p, 2, 0, &err), DB_UNAVAILABLE);
	assert_int_equal(unlink(path_of(f)), 0);
	struct db_conn *c = open_db(f);
	db_close(c);
	sleep_ms(300);
	assert_int_equal(write_entry(p, 2, 0, &err), DB_UNAVAILABLE);
	assert_false(db_pool_ready(p, &err));

	move_database(aside, path_of(f));
	wait_ready(p, true);
	must_write(p, 2);
	struct db_conn *reader = db_pool_reader(p, &err);
	for (int64_t deadline = clock_mono_ms() + 10000; !reader && clock_mono_ms() < deadline;)
		reader = db_pool_reader(p, &err);
	assert_non_null(reader);
	assert_int_equal(ask_int(reader, "SELECT COUNT(*) FROM journal"), 2);
	db_pool_release(p, reader);
	db_pool_close(p);
}

struct watcher {
	struct db_pool *p;
	sem_t *turn, *other;
	atomic_bool *stop;
	size_t failures;
};

/* Holds each snapshot until the other watcher has a newer one, so that the log is never without a reader. */
static void *watches(void *arg)
{
	struct watcher *w = arg;
	struct error err;
	DB_SQL(sql_look, "SELECT MAX(id) FROM journal");
	struct db_conn *c = db_pool_reader(w->p, &err);
	bool ok = c != NULL;
	for (wait_for(w->turn, 1); ok && !atomic_load(w->stop); wait_for(w->turn, 1)) {
		db_rollback(c);
		ok = db_begin(c, DB_TXN_SNAPSHOT, &err) == DB_OK && db_run(c, &sql_look, DB_NO_ARGS, NULL, &err) == DB_OK;
		sleep_ms(2);
		sem_post(w->other);
	}
	sem_post(w->other);
	if (c)
		db_pool_release(w->p, c);
	w->failures += !ok;
	return NULL;
}

static void the_log_does_not_grow_for_ever(void **state)
{
	enum { GROUPS = 60, ROW = 64 * 1024, LOG_MAX = 200 << 20 };
	struct fixture *f = *state;
	char log_name[600];
	struct stat st;
	atomic_bool stop = false;
	sem_t ended, turns[2];
	snprintf(log_name, sizeof(log_name), "%s-wal", path_of(f));
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 1000);
	struct watcher watchers[2];
	pthread_t threads[2];
	sem_init(&ended, 0, 0);
	for (int i = 0; i < 2; i++)
		sem_init(&turns[i], 0, i == 0);
	for (int i = 0; i < 2; i++) {
		watchers[i] = (struct watcher){.p = p, .turn = &turns[i], .other = &turns[1 - i], .stop = &stop};
		assert_int_equal(pthread_create(&threads[i], NULL, watches, &watchers[i]), 0);
	}
	off_t largest = 0;
	for (int i = 0; i < GROUPS; i++) {
		struct entry *e = make_entries(GROUP, i * GROUP, &ended);
		for (size_t k = 0; k < GROUP; k++) {
			e[k].filler = ROW;
			submit(p, &e[k]);
		}
		wait_for(&ended, GROUP);
		free(e);
		if (stat(log_name, &st) == 0 && st.st_size > largest)
			largest = st.st_size;
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(watchers[i].failures, 0);
	}
	db_pool_close(p);
	assert_in_range(largest, 1 << 20, LOG_MAX);
	assert_int_equal(journal_count(f->url, "1 = 1"), GROUPS * GROUP);
}

static void parameters_are_in_order_of_first_use(void **state)
{
	struct db_conn *c = open_db(*state);
	struct error err = {0};
	DB_SQL(sql_good, "SELECT $1 WHERE $2 = $1 OR $3 = $2");
	DB_SQL(sql_swapped, "SELECT $2 WHERE $1 = 1");
	DB_SQL(sql_nameless, "SELECT ?");
	must(db_run(c, &sql_good, DB_ARGS(DB_INT(1), DB_INT(2), DB_INT(3)), NULL, &err), &err);
	assert_int_equal(db_run(c, &sql_swapped, DB_ARGS(DB_INT(1), DB_INT(2)), NULL, &err), DB_BROKEN);
	assert_non_null(strstr(err.message, "order of their first use"));
	assert_int_equal(db_run(c, &sql_nameless, DB_ARGS(DB_INT(1)), NULL, &err), DB_BROKEN);
	db_close(c);
}

static void backups_are_whole_or_not_there(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	char path[600], url[620];
	snprintf(path, sizeof(path), "%s/copy.db", f->dir);
	snprintf(url, sizeof(url), "sqlite:%s", path);
	struct db_pool *p = open_pool(f->url, QUEUE, GROUP, 1000);
	for (int64_t id = 0; id < 50; id++)
		must(write_entry(p, id, 20000, &err), &err);
	struct db_conn *reader = db_pool_reader(p, &err);
	must(db_backup(reader, path, &err), &err);
	must_write(p, 50);
	assert_int_equal(db_backup(reader, path, &err), DB_CONFLICT);
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_int_equal(mode_of(path, ""), 0600);
	assert_int_equal(journal_count(url, "1 = 1"), 50);
	struct db_conn *c = open_how(url, DB_OPEN_EXISTING);
	assert_int_equal(ask_int(c, "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	db_close(c);

	/* No room for it: nothing stays. */
	struct rlimit limit;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 100 * 1024, .rlim_max = limit.rlim_max}), 0);
	snprintf(path, sizeof(path), "%s/sub", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/sub/copy.db", f->dir);
	assert_int_equal(db_backup(reader, path, &err), DB_FULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, SIG_DFL);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0); /* empty */
	assert_int_equal(db_backup(reader, "/no/such/folder/copy.db", &err), DB_UNAVAILABLE);
	db_pool_release(p, reader);
	db_pool_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_CASE(a_new_file_is_private_and_durable),
		DB_CASE(names_that_are_no_database),
		DB_CASE(a_damaged_file_is_refused_and_left),
		DB_CASE(damage_found_later_is_told),
		DB_CASE(another_process_may_hold_the_lock),
		DB_CASE(a_full_disk_is_told_and_survived),
		DB_CASE(what_was_promised_survives_kill_9),
		DB_CASE(a_file_taken_away_is_noticed_and_not_made_anew),
		DB_CASE(the_log_does_not_grow_for_ever),
		DB_CASE(parameters_are_in_order_of_first_use),
		DB_CASE(backups_are_whole_or_not_there),
	};
	if (!quiet_log())
		return 1;
	return run_on_sqlite(tests, ARRAY_LEN(tests));
}
