/* base: whole-file reads, atomic writes, directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/tana-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static int count_entries(void)
{
	DIR *d = opendir(dir);
	int n = 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2; /* . and .. */
}

static void assert_content(const char *path, const char *expected)
{
	struct buf b = {0};
	struct error err;
	assert_true(file_read(path, 1000, &b, &err));
	assert_string_equal(buf_z(&b), expected);
	buf_free(&b);
}

static void test_write_and_read(void **state)
{
	(void)state;
	struct error err;
	struct stat st;
	const char *path = in_dir("f");
	mode_t old = umask(077);
	assert_false(file_exists(path));
	assert_true(file_write_atomic(path, STR_LIT("one"), 0644, FILE_REPLACE, &err));
	umask(old);
	assert_true(file_exists(path));
	assert_content(path, "one");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_true(file_write_atomic(path, STR_LIT("two"), 0600, FILE_REPLACE, &err));
	assert_content(path, "two");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	assert_false(file_write_atomic(path, STR_LIT("three"), 0600, FILE_MUST_NOT_EXIST, &err));
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	assert_content(path, "two");
	assert_true(file_write_atomic(in_dir("g"), STR_LIT(""), 0600, FILE_MUST_NOT_EXIST, &err));
	assert_content(in_dir("g"), "");
	assert_int_equal(count_entries(), 2); /* no temporary file is left */
}

static void test_write_refused(void **state)
{
	(void)state;
	struct error err;
	int before = count_entries();
	assert_false(file_write_atomic(in_dir("missing/f"), STR_LIT("x"), 0600, FILE_REPLACE, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_int_equal(mkdir(in_dir("d"), 0700), 0);
	assert_false(file_write_atomic(in_dir("d"), STR_LIT("x"), 0600, FILE_REPLACE, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_false(file_write_atomic("", STR_LIT("x"), 0600, FILE_MUST_NOT_EXIST, &err));
	assert_int_equal(rmdir(in_dir("d")), 0);
	assert_int_equal(count_entries(), before);
}

/* A write that fails half way (here for a limit on file sizes; a full disk takes the same path) leaves the old content and no litter. */
static void test_write_breaks_off(void **state)
{
	(void)state;
	struct error err;
	struct rlimit old;
	static char large[100000];
	const char *path = in_dir("kept");
	assert_true(file_write_atomic(path, STR_LIT("old"), 0600, FILE_REPLACE, &err));
	int before = count_entries();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){50000, old.rlim_max}), 0);
	bool done = file_write_atomic(path, str_of(large, sizeof(large)), 0600, FILE_REPLACE, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_false(done);
	assert_int_equal(err.code, ERR_IO);
	assert_content(path, "old");
	assert_int_equal(count_entries(), before);
}

static void test_read_limits(void **state)
{
	(void)state;
	struct error err;
	struct buf b = {0};
	const char *path = in_dir("ten");
	assert_true(file_write_atomic(path, STR_LIT("0123456789"), 0600, FILE_REPLACE, &err));
	buf_puts(&b, "kept:");
	assert_false(file_read(path, 9, &b, &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	assert_string_equal(buf_z(&b), "kept:");
	assert_false(file_read(in_dir("none"), 9, &b, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_false(file_read(dir, 9, &b, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(buf_z(&b), "kept:");
	assert_true(file_read(path, 10, &b, &err));
	assert_string_equal(buf_z(&b), "kept:0123456789");
	/* A file that says it has no size. */
	buf_clear(&b);
	assert_true(file_read("/proc/self/stat", 100000, &b, &err));
	assert_true(b.len > 20);
	buf_clear(&b);
	assert_false(file_read("/dev/zero", 100000, &b, &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	buf_free(&b);
}

static void test_make_dirs(void **state)
{
	(void)state;
	struct error err;
	struct stat st;
	mode_t old = umask(022);
	assert_true(file_make_dirs(in_dir("a/b//c/"), 0770, &err));
	assert_true(file_make_dirs(in_dir("a/b"), 0700, &err));
	umask(old);
	assert_int_equal(stat(in_dir("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0770);
	assert_int_equal(stat(in_dir("a/b"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0770); /* left alone by the second call */
	assert_true(file_make_dirs("/", 0700, &err));
	assert_true(file_write_atomic(in_dir("a/file"), STR_LIT(""), 0600, FILE_REPLACE, &err));
	assert_false(file_make_dirs(in_dir("a/file"), 0700, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_false(file_make_dirs(in_dir("a/file/x"), 0700, &err));
	assert_false(file_make_dirs("", 0700, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_and_read), cmocka_unit_test(test_write_refused), cmocka_unit_test(test_write_breaks_off),
		cmocka_unit_test(test_read_limits),    cmocka_unit_test(test_make_dirs),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
