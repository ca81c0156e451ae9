#include "output.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <wchar.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"

static bool coloured;

void output_start(void)
{
	/* Widths are those of UTF-8 whatever the locale says: that is what the texts are. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	coloured = isatty(STDOUT_FILENO) && !(no_color && no_color[0]) && !(term && strcmp(term, "dumb") == 0);
}

static const char *tint_code(enum tint tint)
{
	switch (tint) {
	case TINT_NONE:
		return "";
	case TINT_GOOD:
		return "\033[32m";
	case TINT_WARN:
		return "\033[33m";
	case TINT_BAD:
		return "\033[31m";
	case TINT_DIM:
		return "\033[2m";
	case TINT_BOLD:
		return "\033[1m";
	}
	return "";
}

/* Controls, and the marks that turn the direction of text: both can make a terminal show what is not there. */
static bool deceptive(wchar_t w)
{
	return w < 0x20 || (w >= 0x7f && w < 0xa0) || (w >= 0x202a && w <= 0x202e) || (w >= 0x2066 && w <= 0x2069) || w == 0x200e ||
	       w == 0x200f;
}

/* The next character of valid or invalid UTF-8; bytes that are none count as U+FFFD. Returns its length, at least 1. */
static size_t next_char(const char *p, size_t left, wchar_t *out)
{
	mbstate_t state = {0};
	size_t n = mbrtowc(out, p, left, &state);
	if (n != 0 && n != (size_t)-1 && n != (size_t)-2)
		return n;
	*out = n == 0 ? 0 : 0xfffd;
	return 1;
}

struct str printable(struct arena *a, struct str text)
{
	struct buf out = {0};
	for (size_t i = 0; i < text.n;) {
		wchar_t w;
		size_t n = next_char(text.p + i, text.n - i, &w);
		if (deceptive(w) || w == 0xfffd)
			buf_puts(&out, "\xef\xbf\xbd");
		else
			buf_put(&out, text.p + i, n);
		i += n;
	}
	struct str s = arena_copy(a, buf_str(&out));
	buf_free(&out);
	return s;
}

static size_t width_of(struct str text)
{
	size_t width = 0;
	for (size_t i = 0; i < text.n;) {
		wchar_t w;
		i += next_char(text.p + i, text.n - i, &w);
		int columns = wcwidth(w);
		width += columns > 0 ? (size_t)columns : 0;
	}
	return width;
}

static void put_tinted(enum tint tint, struct str text)
{
	bool colour = coloured && tint != TINT_NONE;
	printf("%s%.*s%s", colour ? tint_code(tint) : "", STR_ARG(text), colour ? "\033[0m" : "");
}

const char *tinted(struct arena *a, enum tint tint, struct str text)
{
	text = printable(a, text);
	bool colour = coloured && tint != TINT_NONE;
	return arena_printf(a, "%s%.*s%s", colour ? tint_code(tint) : "", STR_ARG(text), colour ? "\033[0m" : "").p;
}

const char *padded(struct arena *a, enum tint tint, struct str text, size_t width)
{
	size_t have = width_of(printable(a, text));
	return arena_printf(a, "%s%*s", tinted(a, tint, text), have < width ? (int)(width - have) : 0, "").p;
}

void table_begin(struct table *t, struct arena *arena, const struct column *columns, size_t column_count)
{
	*t = (struct table){.arena = arena, .columns = columns, .column_count = column_count};
}

void table_cell(struct table *t, enum tint tint, struct str text)
{
	if (t->count == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 16 * t->column_count;
		struct cell *more = arena_zalloc(t->arena, cap, sizeof *more);
		if (t->count)
			memcpy(more, t->cells, t->count * sizeof *more);
		t->cells = more;
		t->cap = cap;
	}
	bool empty = !str_present(text) || text.n == 0;
	t->cells[t->count++] = (struct cell){empty ? STR_LIT("-") : printable(t->arena, text), empty ? TINT_DIM : tint};
}

void table_cellf(struct table *t, enum tint tint, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	table_cell(t, tint, str_from(text));
	free(text);
}

/* One cell, padded to its column; the last column of a line is not, unless it is right-aligned. */
static void put_cell(const struct cell *cell, enum align align, size_t width, bool last)
{
	size_t pad = width - width_of(cell->text);
	if (align == ALIGN_RIGHT)
		printf("%*s", (int)pad, "");
	put_tinted(cell->tint, cell->text);
	if (last)
		putchar('\n');
	else
		printf("%*s", (int)(align == ALIGN_LEFT ? pad + 2 : 2), "");
}

void table_print(const struct table *t)
{
	size_t n = t->column_count;
	invariant(n > 0);
	size_t *widths = arena_zalloc(t->arena, n, sizeof *widths);
	for (size_t i = 0; i < n; i++)
		widths[i] = width_of(str_from(t->columns[i].title));
	for (size_t i = 0; i < t->count; i++) {
		size_t w = width_of(t->cells[i].text);
		if (w > widths[i % n])
			widths[i % n] = w;
	}
	for (size_t i = 0; i < n; i++)
		put_cell(&(struct cell){str_from(t->columns[i].title), TINT_BOLD}, t->columns[i].align, widths[i], i + 1 == n);
	for (size_t i = 0; i < t->count; i++)
		put_cell(&t->cells[i], t->columns[i % n].align, widths[i % n], i % n + 1 == n);
}

void pair_print(int width, const char *name, enum tint tint, struct str value)
{
	struct arena a;
	arena_init(&a);
	printf("%-*s  ", width, name);
	bool empty = !str_present(value) || value.n == 0;
	put_tinted(empty ? TINT_DIM : tint, empty ? STR_LIT("-") : printable(&a, value));
	putchar('\n');
	arena_free(&a);
}

void pair_printf(int width, const char *name, enum tint tint, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	pair_print(width, name, tint, str_from(text));
	free(text);
}

void say(const struct cli *c, const char *fmt, ...)
{
	if (c->json || c->quiet)
		return;
	va_list args;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout); /* so that it keeps its place among what goes to standard error */
}

__attribute__((format(printf, 3, 0))) static void to_stderr(const struct cli *c, const char *before, const char *fmt, va_list args)
{
	char *text = NULL;
	struct arena a;
	if (c->quiet)
		return;
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	arena_init(&a);
	fflush(stdout); /* what was printed before keeps its place */
	/* It may hold what a coordinator said. One write, so that lines of several processes do not mix. */
	struct str line = printable(&a, str_from(text));
	fprintf(stderr, "%s%.*s\n", before, STR_ARG(line));
	arena_free(&a);
	free(text);
}

void note(const struct cli *c, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	to_stderr(c, "", fmt, args);
	va_end(args);
}

void hint(const struct cli *c, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	to_stderr(c, "hint: ", fmt, args);
	va_end(args);
}

struct str when(struct arena *a, int64_t ms)
{
	if (ms == 0 || ms == JSON_INT_ABSENT)
		return STR_LIT("never");
	char text[UNITS_TEXT_SIZE];
	int64_t ago = clock_wall_ms() - ms;
	if (ago >= 0 && ago < 1000)
		return STR_LIT("now");
	units_format_duration(ago < 0 ? -ago : ago, text);
	return ago < 0 ? arena_printf(a, "in %s", text) : arena_printf(a, "%s ago", text);
}

struct str date(struct arena *a, int64_t ms)
{
	char text[CLOCK_ISO8601_SIZE];
	if (ms == 0 || ms == JSON_INT_ABSENT)
		return STR_NONE;
	clock_iso8601(ms, text);
	if (strlen(text) < 19)
		return arena_copy(a, str_from(text));
	text[10] = ' ';
	return arena_printf(a, "%.19s UTC", text);
}

struct str short_key(struct arena *a, struct str key)
{
	enum { SHOWN = 16 };
	if (!str_present(key) || key.n <= SHOWN)
		return key;
	return arena_printf(a, "%.*s…", SHOWN, key.p);
}

void json_print_text(struct str json)
{
	fwrite(json.p, 1, json.n, stdout);
	putchar('\n');
	fflush(stdout);
}

void json_print(const struct json_message *m, const void *value)
{
	struct buf out = {0};
	json_write(&out, m, value);
	json_print_text(buf_str(&out));
	buf_free(&out);
}

void json_print_file(const char *path)
{
	struct buf out = {0};
	buf_puts(&out, "{\"file\":");
	buf_put_json_string(&out, str_from(path));
	buf_putc(&out, '}');
	json_print_text(buf_str(&out));
	buf_free(&out);
}

bool confirm(const struct cli *c, struct error *err, const char *fmt, ...)
{
	if (c->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		error_set(err, ERR_USAGE, "This asks before it goes on, and there is no terminal to ask on.");
		return error_hint(err, "add --yes to go on without being asked");
	}
	va_list args;
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputs(" [y/N] ", stderr);
	char answer[16] = "";
	bool yes = fgets(answer, sizeof answer, stdin) &&
		   (strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 || strcmp(answer, "yes\n") == 0);
	return yes || error_set(err, ERR_REFUSED, "Not confirmed: nothing was done.");
}
