/*
 * Threads log without a lock: a line is built in a buffer of its own and leaves by one write(2), and reopening puts the new file
 * under the old descriptor number, so that a writer never holds a number that is closed or means something else.
 */
#include "log.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "mem.h"

enum {
	MESSAGE_MAX = 1024, /* bytes of the message and of one value that are shown: a line stays readable whatever a peer sent */
	VALUE_MAX = 2048,
	FRAMES_MAX = 64,
};

static struct {
	atomic_int level;
	int fd;
	enum log_format format;
	bool to_journal;
	char *path; /* NULL: standard error */
	char *service;
} state = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO, .format = LOG_FORMAT_TEXT};

static const struct {
	const char *name, *padded, *journal_priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", "error", "<3>"},
	[LOG_LEVEL_WARN] = {"warn", "warn ", "<4>"},
	[LOG_LEVEL_INFO] = {"info", "info ", "<6>"},
	[LOG_LEVEL_DEBUG] = {"debug", "debug", "<7>"},
};

/* Standard error is the journal exactly when it is the file that JOURNAL_STREAM names: the variable is inherited even where the
 * descriptor has been pointed elsewhere (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char own[64];
	if (!stream || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, own) == 0;
}

static int open_file(const char *path, struct error *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		error_errno(err, ERR_IO, errno, "cannot open the log file %s", path);
	return fd;
}

bool log_open(const char *service, enum log_level level, enum log_format format, const char *path, struct error *err)
{
	int fd = path ? open_file(path, err) : STDERR_FILENO;
	if (fd < 0)
		return false;
	if (state.path)
		close(state.fd);
	free(state.path);
	free(state.service);
	state.path = path ? xstrdup(path) : NULL;
	state.service = xstrdup(service);
	state.fd = fd;
	state.format = format;
	state.to_journal = !path && stderr_is_journal();
	atomic_store_explicit(&state.level, (int)level, memory_order_relaxed);
	return true;
}

bool log_reopen(enum log_level level, struct error *err)
{
	if (state.path) {
		int fd = open_file(state.path, err);
		if (fd < 0)
			return false;
		int moved = dup3(fd, state.fd, O_CLOEXEC), errnum = errno;
		close(fd);
		if (moved < 0)
			return error_errno(err, ERR_IO, errnum, "cannot switch to the new log file %s", state.path);
	}
	atomic_store_explicit(&state.level, (int)level, memory_order_relaxed);
	return true;
}

bool log_level_from_text(struct str s, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (str_is(s, levels[i].name)) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&state.level, memory_order_relaxed);
}

/* At most `max` bytes of a longer text, without the beginning of a character whose end is cut off. */
static struct str cut_to(struct str s, size_t max)
{
	size_t n = max;
	while (n > max - 3 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return str_of(s.p, n);
}

/* Text whose bytes may be anything, made into valid UTF-8 of a bounded length. Lives in *scratch when it had to be changed. */
static struct str tidy(struct str s, size_t max, struct buf *scratch)
{
	bool cut = s.n > max;
	if (cut)
		s = cut_to(s, max);
	bool valid = utf8_valid(s.p, s.n);
	if (valid && !cut)
		return s;
	buf_clear(scratch);
	for (size_t i = 0; i < s.n; i++)
		buf_putc(scratch, valid || (unsigned char)s.p[i] < 0x80 ? s.p[i] : '?');
	if (cut)
		buf_puts(scratch, "...");
	return buf_str(scratch);
}

/* Bytes that could end the line early or steer a terminal: C0, DEL, and C1 (U+0080..U+009F, which is C2 80..C2 9F). */
static bool is_control(struct str s, size_t i)
{
	unsigned char c = (unsigned char)s.p[i];
	return c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0);
}

static void put_escaped(struct buf *line, struct str s, bool quoted)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (is_control(s, i)) {
			unsigned code = (unsigned char)c == 0xc2 ? (unsigned char)s.p[++i] : (unsigned char)c;
			buf_printf(line, "\\u%04x", code);
		} else {
			if (quoted && (c == '"' || c == '\\'))
				buf_putc(line, '\\');
			buf_putc(line, c);
		}
	}
}

/* A value that is one plain word needs no quotes. */
static bool is_word(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_control(s, i) || s.p[i] == ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\')
			return false;
	return s.n > 0;
}

static void put_text_line(struct buf *line, enum log_level level, const char *time, struct str message, const struct log_field *fields,
			  size_t n)
{
	struct buf scratch = {0};
	buf_printf(line, "%s%s %s ", state.to_journal ? levels[level].journal_priority : "", time, levels[level].padded);
	put_escaped(line, tidy(message, MESSAGE_MAX, &scratch), false);
	for (size_t i = 0; i < n; i++) {
		buf_printf(line, " %s=", fields[i].key);
		if (!str_present(fields[i].text)) {
			buf_put_int(line, fields[i].number);
			continue;
		}
		struct str value = tidy(fields[i].text, VALUE_MAX, &scratch);
		if (is_word(value)) {
			buf_put_str(line, value);
			continue;
		}
		buf_putc(line, '"');
		put_escaped(line, value, true);
		buf_putc(line, '"');
	}
	buf_putc(line, '\n');
	buf_free(&scratch);
}

static void put_json_line(struct buf *line, enum log_level level, const char *time, struct str message, const struct log_field *fields,
			  size_t n)
{
	struct buf scratch = {0};
	buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"service\":", time, levels[level].name);
	buf_put_json_string(line, str_from(state.service ? state.service : ""));
	buf_puts(line, ",\"message\":");
	buf_put_json_string(line, tidy(message, MESSAGE_MAX, &scratch));
	for (size_t i = 0; i < n; i++) {
		buf_printf(line, ",\"%s\":", fields[i].key);
		if (str_present(fields[i].text))
			buf_put_json_string(line, tidy(fields[i].text, VALUE_MAX, &scratch));
		else
			buf_put_int(line, fields[i].number);
	}
	buf_puts(line, "}\n");
	buf_free(&scratch);
}

/* What cannot be logged is dropped: there is nowhere left to say so, and the service matters more than its log. */
static void write_line(int fd, struct str line)
{
	while (line.n > 0) {
		ssize_t put = write(fd, line.p, line.n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return;
		line = str_of(line.p + put, line.n - (size_t)put);
	}
}

PRINTF_LIKE(4, 0)
static void build_line(struct buf *line, enum log_level level, const struct log_field *fields, const char *fmt, va_list args, size_t n)
{
	char message[MESSAGE_MAX + 2], time[CLOCK_ISO8601_SIZE];
	int made = vsnprintf(message, sizeof(message), fmt, args);
	size_t length = made < 0 ? 0 : (size_t)made < sizeof(message) ? (size_t)made : sizeof(message) - 1;
	clock_iso8601(clock_wall_ms(), time);
	if (state.format == LOG_FORMAT_JSON)
		put_json_line(line, level, time, str_of(message, length), fields, n);
	else
		put_text_line(line, level, time, str_of(message, length), fields, n);
}

void log_write(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, ...)
{
	if (!log_enabled(level))
		return;
	int errnum = errno; /* a caller may log before it looks at errno */
	struct buf line = {0};
	va_list args;
	va_start(args, fmt);
	build_line(&line, level, fields, fmt, args, n);
	va_end(args);
	write_line(state.fd, buf_str(&line));
	buf_free(&line);
	errno = errnum;
}

void log_fatal_at(const char *file, int line_number, const char *fmt, ...)
{
	const struct log_field where[] = {LOG_S("file", file), LOG_I("line", line_number)};
	struct buf line = {0};
	va_list args;
	va_start(args, fmt);
	build_line(&line, LOG_LEVEL_ERROR, where, fmt, args, ARRAY_LEN(where));
	va_end(args);
	write_line(state.fd, buf_str(&line));
	if (state.fd != STDERR_FILENO)
		write_line(STDERR_FILENO, buf_str(&line));
	void *frames[FRAMES_MAX];
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
	abort();
}
