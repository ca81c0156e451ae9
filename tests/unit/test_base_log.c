/* base: the log's two formats, its levels, rotation under load, the journal's prefixes, and the end by a broken invariant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "dies.h"

static char path[64];

static int make_file(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/tana-log-XXXXXX");
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void open_log(enum log_level level, enum log_format format)
{
	struct error err;
	assert_int_equal(truncate(path, 0), 0);
	assert_true(log_open("testd", level, format, path, &err));
}

/* What the log holds; valid until the next call. */
static const char *content_of(const char *file)
{
	static struct buf b;
	struct error err;
	buf_clear(&b);
	assert_true(file_read(file, 1 << 22, &b, &err));
	return buf_z(&b);
}

/* The lines of a text log begin with "2026-01-31T12:34:56.789Z "; this is what comes after it. */
static const char *after_time(const char *line)
{
	assert_true(strlen(line) > 25);
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[19], '.');
	assert_memory_equal(line + 23, "Z ", 2);
	return line + 25;
}

static void test_text(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("listening", LOG_S("address", "127.0.0.1:80"), LOG_I("port", -80), LOG_S("name", "two words"), LOG_S("none", NULL),
		 LOG_STR("part", str_of("abc", 2)));
	assert_string_equal(after_time(content_of(path)),
			    "info  listening address=127.0.0.1:80 port=-80 name=\"two words\" none=\"\" part=ab\n");
	assert_int_equal(truncate(path, 0), 0); /* as logrotate's copytruncate does: the next line goes to the new end */
	log_warn("no fields");
	assert_string_equal(after_time(content_of(path)), "warn  no fields\n");
}

/* Nothing that a peer sends ends the line or reaches a terminal as a control. */
static void test_text_hostile(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("x\ny", LOG_S("a", "1\n2\x1b[31m\x7f"), LOG_S("b", "\xc2\x9b q"), LOG_S("c", "say \"hi\" \\"), LOG_S("d", "\xff\xfe é"),
		 LOG_S("e", "é"), LOG_STR("f", STR_LIT("nul\0")));
	assert_string_equal(after_time(content_of(path)),
			    "info  x\\u000ay a=\"1\\u000a2\\u001b[31m\\u007f\" b=\"\\u009b q\" c=\"say \\\"hi\\\" \\\\\" d=\"?? ??\" e=é f=\"nul\\u0000\"\n");
}

static void test_json(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
	log_error("a \"quoted\"\nline", LOG_S("text", "\xff\x01"), LOG_I("number", INT64_MIN));
	json_t *line = json_loads(content_of(path), JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(line);
	const char *time, *level, *service, *message, *text;
	json_int_t number;
	assert_int_equal(json_unpack(line, "{s:s,s:s,s:s,s:s,s:s,s:I !}", "time", &time, "level", &level, "service", &service, "message", &message,
				     "text", &text, "number", &number),
			 0);
	assert_int_equal(strlen(time), 24);
	assert_string_equal(level, "error");
	assert_string_equal(service, "testd");
	assert_string_equal(message, "a \"quoted\"\nline");
	assert_string_equal(text, "?\x01");
	assert_int_equal(number, INT64_MIN);
	json_decref(line);
}

static void test_long_values(void **state)
{
	(void)state;
	static char text[300000];
	for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
		memcpy(text + i, "漢", 3);
	text[sizeof(text) - 1] = '\0';
	for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
		open_log(LOG_LEVEL_INFO, (enum log_format)format);
		log_info(text, LOG_S("value", text), LOG_I("last", 1));
		const char *line = content_of(path);
		assert_in_range(strlen(line), 2900, 3300);
		assert_true(utf8_valid(line, strlen(line)));
		assert_non_null(strstr(line, "..."));
		assert_non_null(strstr(line, format == LOG_FORMAT_TEXT ? " last=1\n" : ",\"last\":1}\n"));
	}
	/* Long and no text at all. */
	memset(text, 0x80, sizeof(text) - 1);
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("x", LOG_S("value", text));
	assert_in_range(strlen(content_of(path)), 2048, 2100);
	assert_true(utf8_valid(content_of(path), strlen(content_of(path))));
}

static void test_levels(void **state)
{
	(void)state;
	static const char *const names[] = {"error", "warn", "info", "debug"};
	for (int i = 0; i < 4; i++) {
		enum log_level level;
		assert_true(log_level_from_text(str_from(names[i]), &level));
		assert_int_equal(level, i);
		open_log(level, LOG_FORMAT_TEXT);
		log_error("e");
		log_warn("w");
		log_info("i");
		log_debug("d");
		int lines = 0;
		for (const char *p = content_of(path); *p; p++)
			lines += *p == '\n';
		assert_int_equal(lines, i + 1);
		for (int j = 0; j < 4; j++)
			assert_int_equal(log_enabled((enum log_level)j), j <= i);
	}
	enum log_level level;
	assert_false(log_level_from_text(STR_LIT("INFO"), &level));
	assert_false(log_level_from_text(STR_LIT(""), &level));
	assert_false(log_level_from_text(STR_NONE, &level));
}

static void test_open_refused(void **state)
{
	(void)state;
	struct error err;
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	assert_false(log_open("x", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "/nonexistent/log", &err));
	assert_int_equal(err.code, ERR_IO);
	log_info("still here");
	assert_non_null(strstr(content_of(path), "still here"));
}

static void test_reopen_refused(void **state)
{
	(void)state;
	char directory[64], file[80];
	struct error err;
	snprintf(directory, sizeof(directory), "/tmp/tana-log-dir-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/log", directory);
	assert_true(log_open("testd", LOG_LEVEL_WARN, LOG_FORMAT_TEXT, file, &err));
	char moved[96];
	snprintf(moved, sizeof(moved), "%s.1", path);
	assert_int_equal(rename(file, moved), 0);
	assert_int_equal(rmdir(directory), 0);
	assert_false(log_reopen(LOG_LEVEL_DEBUG, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_false(log_enabled(LOG_LEVEL_INFO)); /* the level stays too */
	log_warn("kept");
	assert_non_null(strstr(content_of(moved), "kept"));
	assert_int_equal(unlink(moved), 0);
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
}

enum { THREADS = 4, LINES = 2000 };

static void *write_lines(void *arg)
{
	atomic_int *running = arg;
	for (int i = 0; i < LINES; i++)
		log_info("line", LOG_S("text", "some words to make it longer"), LOG_I("i", i));
	atomic_fetch_sub(running, 1);
	return NULL;
}

/* Rotation as logrotate does it, again and again, while threads write: each line is whole and in exactly one of the files. */
static void test_rotation_under_load(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	atomic_int running = THREADS;
	pthread_t threads[THREADS];
	char rotated[96];
	struct error err;
	int files = 0, lines = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &running), 0);
	do {
		snprintf(rotated, sizeof(rotated), "%s.%d", path, files++);
		assert_int_equal(rename(path, rotated), 0);
		assert_true(log_reopen(LOG_LEVEL_INFO, &err));
		usleep(2000);
	} while (atomic_load(&running) > 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i <= files; i++) {
		snprintf(rotated, sizeof(rotated), i < files ? "%s.%d" : "%s", path, i);
		FILE *f = fopen(rotated, "r");
		assert_non_null(f);
		char line[512];
		while (fgets(line, sizeof(line), f)) {
			json_t *parsed = json_loads(line, 0, NULL);
			assert_non_null(parsed);
			json_decref(parsed);
			lines++;
		}
		fclose(f);
		if (i < files)
			assert_int_equal(unlink(rotated), 0);
	}
	assert_int_equal(lines, THREADS * LINES);
}

/* In a child whose standard error is `path`: logs one line there, with JOURNAL_STREAM naming that file or another. */
static void log_to_stderr(bool name_it, enum log_format format)
{
	assert_int_equal(truncate(path, 0), 0);
	pid_t child = fork();
	if (child == 0) {
		struct error err;
		struct stat st;
		char stream[64];
		int fd = open(path, O_WRONLY | O_APPEND);
		if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || fstat(fd, &st) != 0)
			_exit(1);
		snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + (name_it ? 0 : 1));
		setenv("JOURNAL_STREAM", stream, 1);
		if (!log_open("testd", LOG_LEVEL_DEBUG, format, NULL, &err))
			_exit(1);
		log_error("m");
		log_debug("m");
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_journal(void **state)
{
	(void)state;
	log_to_stderr(true, LOG_FORMAT_TEXT);
	assert_memory_equal(content_of(path), "<3>", 3);
	assert_non_null(strstr(content_of(path), "\n<7>"));
	log_to_stderr(false, LOG_FORMAT_TEXT);
	assert_memory_equal(after_time(content_of(path)), "error", 5);
	log_to_stderr(true, LOG_FORMAT_JSON);
	assert_int_equal(content_of(path)[0], '{');
}

static void break_an_invariant(void *arg)
{
	(void)arg;
	invariant(1 + 1 == 3);
}

static void test_fatal(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	assert_true(dies(break_an_invariant, NULL));
	const char *line = after_time(content_of(path));
	assert_non_null(strstr(line, "error invariant broken: 1 + 1 == 3 file="));
	assert_non_null(strstr(line, "test_base_log.c line="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	     cmocka_unit_test(test_text_hostile),   cmocka_unit_test(test_json),
		cmocka_unit_test(test_long_values),  cmocka_unit_test(test_levels),	    cmocka_unit_test(test_open_refused),
		cmocka_unit_test(test_reopen_refused), cmocka_unit_test(test_rotation_under_load), cmocka_unit_test(test_journal),
		cmocka_unit_test(test_fatal),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
