/*
 * What people read: tables, relative times, colour, questions. Data goes to standard output, everything said beside it to standard error. Under
 * --json standard output carries one JSON document (streams: one a line), and nothing of what follows but json_* prints there.
 *
 * Texts from outside never reach a terminal as they are: control characters are shown as U+FFFD.
 */
#ifndef TANA_CLI_OUTPUT_H
#define TANA_CLI_OUTPUT_H

#include "cli.h"

/* At start: the locale for display widths, and whether to colour (terminal, no NO_COLOR, TERM not dumb). */
void output_start(void);

enum tint { TINT_NONE, TINT_GOOD, TINT_WARN, TINT_BAD, TINT_DIM, TINT_BOLD };

/* A table: columns are as wide as their widest cell, measured in display columns. Cells live in the arena. */
enum align { ALIGN_LEFT, ALIGN_RIGHT };
struct column {
	const char *title;
	enum align align;
};
struct cell {
	struct str text;
	enum tint tint;
};
struct table {
	struct arena *arena;
	const struct column *columns;
	size_t column_count;
	struct cell *cells; /* row after row */
	size_t count, cap;
};
void table_begin(struct table *t, struct arena *arena, const struct column *columns, size_t column_count);
/* The next cell, left to right, row after row. An absent or empty text is shown as "-". */
void table_cell(struct table *t, enum tint tint, struct str text);
void table_cellf(struct table *t, enum tint tint, const char *fmt, ...) PRINTF_LIKE(3, 4);
void table_print(const struct table *t);

/* "name   value" lines, as for one node. width is that of the name column. */
void pair_print(int width, const char *name, enum tint tint, struct str value);
void pair_printf(int width, const char *name, enum tint tint, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* A result for people, on standard output; silent under --json and --quiet. */
void say(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What goes on beside the result, on standard error; silent under --quiet. */
void note(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "hint: ...", like note. */
void hint(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Text with a tint when standard output is coloured; printable for any input. In the arena. */
const char *tinted(struct arena *a, enum tint tint, struct str text);
/* The same, padded with blanks to a width in display columns. */
const char *padded(struct arena *a, enum tint tint, struct str text, size_t width);
/* Control characters replaced; in the arena. */
struct str printable(struct arena *a, struct str text);
/* "12 s ago", "in 3 h", "never" for 0 and JSON_INT_ABSENT. */
struct str when(struct arena *a, int64_t ms);
/* "2026-01-31 12:34:56 UTC". */
struct str date(struct arena *a, int64_t ms);
/* The first digits of a key, enough to tell keys apart by eye. */
struct str short_key(struct arena *a, struct str key);

/* Under --json: the document, with a newline. */
void json_print(const struct json_message *m, const void *value);
void json_print_text(struct str json);
/* The same for a command whose result went into a file: {"file":..}. */
void json_print_file(const char *path);

/* Asks on the terminal; No is the default. --yes answers yes. ERR_USAGE when there is no terminal to ask on; ERR_REFUSED for no. */
MUST_CHECK bool confirm(const struct cli *c, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
