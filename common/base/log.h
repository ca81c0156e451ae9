/*
 * Logging to standard error or a file: one line an event, as text ("<3>" journald priorities when the journal reads us) or JSON.
 * Thread-safe; a line is written with one write(2). Control characters in values are escaped. Secrets are never passed in.
 */
#ifndef TANA_BASE_LOG_H
#define TANA_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "attrs.h"
#include "error.h"
#include "str.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/*
 * At start, while there is one thread (lines before it go to standard error as text). `path` NULL means standard error. `service` is
 * shown in each JSON line. The strings are copied.
 */
MUST_CHECK bool log_open(const char *service, enum log_level level, enum log_format format, const char *path, struct error *err);
/* Opens the file anew (after rotation), and sets a new level; on failure the old file stays. */
MUST_CHECK bool log_reopen(enum log_level level, struct error *err);
MUST_CHECK bool log_level_from_text(struct str s, enum log_level *out);
bool log_enabled(enum log_level level);

/* One key beside the message; made with the macros below. */
struct log_field {
	const char *key; /* snake_case literal */
	struct str text; /* absent: number is meant */
	int64_t number;
};
/* An absent text is shown as an empty one. */
static inline struct log_field log_field_text(const char *key, struct str text)
{
	return (struct log_field){.key = key, .text = str_present(text) ? text : STR_LIT("")};
}
#define LOG_S(k, z) log_field_text(k, str_from(z))
#define LOG_STR(k, s) log_field_text(k, s)
#define LOG_I(k, v) ((struct log_field){.key = (k), .number = (v)})

void log_write(enum log_level level, const struct log_field *fields, size_t n, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* log_info("listening", LOG_S("address", a)); the message is a literal, what varies goes into fields; there may be none. (The comma after
 * __VA_ARGS__ is what makes "none" standard C: it leaves LOG_AT an empty argument, and the array a trailing comma.) */
#define LOG_FIELDS(...) ((struct log_field[]){{.key = NULL}, __VA_ARGS__}) + 1, \
	sizeof((struct log_field[]){{.key = NULL}, __VA_ARGS__}) / sizeof(struct log_field) - 1
#define LOG_AT(level, msg, ...) log_write(level, LOG_FIELDS(__VA_ARGS__), "%s", msg)
#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__, )
#define log_warn(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__, )
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__, )
#define log_debug(...) (log_enabled(LOG_LEVEL_DEBUG) ? LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__, ) : (void)0)

/* A broken invariant of our own: logs the message with file, line and a backtrace, then aborts. Stays on in release builds. */
NORETURN void log_fatal_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define fatal(...) log_fatal_at(__FILE__, __LINE__, __VA_ARGS__)
#define invariant(cond) ((cond) ? (void)0 : log_fatal_at(__FILE__, __LINE__, "invariant broken: %s", #cond))

#endif
