#include "help.h"

#include <sys/ioctl.h>

#include "base/log.h"
#include "table.h"

enum { LEFT_MAX = 30 }; /* columns of names; a longer one gets its text on the next line */

size_t help_width(int fd)
{
	struct winsize ws;
	if (ioctl(fd, TIOCGWINSZ, &ws) != 0 || ws.ws_col == 0)
		return HELP_WIDTH;
	return ws.ws_col < HELP_WIDTH_MIN ? HELP_WIDTH_MIN : ws.ws_col > HELP_WIDTH_MAX ? HELP_WIDTH_MAX : ws.ws_col;
}

/* Columns on a terminal: characters, not bytes. */
static size_t columns(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void put_blanks(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_putc(out, ' ');
}

void help_put_wrapped(struct buf *out, struct str text, size_t indent, size_t width)
{
	size_t at = indent;
	for (size_t i = 0; i < text.n;) {
		size_t end = i;
		while (end < text.n && text.p[end] != ' ' && text.p[end] != '\n')
			end++;
		struct str word = str_of(text.p + i, end - i);
		if (at > indent && width && at + 1 + columns(word) > width) {
			buf_putc(out, '\n');
			put_blanks(out, indent);
			at = indent;
		} else if (at > indent && word.n > 0) {
			buf_putc(out, ' ');
			at++;
		}
		buf_put_str(out, word);
		at += columns(word);
		bool paragraph = end + 1 < text.n && text.p[end] == '\n' && text.p[end + 1] == '\n';
		if (paragraph) {
			buf_puts(out, "\n\n");
			put_blanks(out, indent);
			at = indent;
		}
		i = end + (paragraph ? 2 : 1);
	}
	buf_putc(out, '\n');
}

/* One line of a list: a name on the left, wrapped text on the right. */
static void put_item(struct buf *out, struct str left, size_t column, struct str text, size_t width)
{
	size_t used = columns(left);
	buf_put_str(out, left);
	if (text.n == 0) {
		buf_putc(out, '\n');
		return;
	}
	if (used + 2 > column) {
		buf_putc(out, '\n');
		used = 0;
	}
	put_blanks(out, column - used);
	help_put_wrapped(out, text, column, width);
}

void help_put_value_name(struct buf *out, const struct option_row *row)
{
	if (row->type == OPTION_BOOL)
		return;
	if (row->value) {
		buf_puts(out, row->value);
		return;
	}
	switch (row->type) {
	case OPTION_TEXT: buf_puts(out, "TEXT"); return;
	case OPTION_INT: buf_puts(out, "N"); return;
	case OPTION_SIZE: buf_puts(out, "SIZE"); return;
	case OPTION_DURATION: buf_puts(out, "TIME"); return;
	case OPTION_BOOL: return;
	case OPTION_CHOICE:
		for (const char *const *c = row->choices; *c; c++)
			buf_printf(out, "%s%s", c == row->choices ? "" : "|", *c);
		return;
	}
	fatal("option %s has type %d", row->name, (int)row->type);
}

bool help_takes_yes_no(const struct program *p, const struct option_row *row)
{
	const char *fallback = table_default(p, row);
	return row->type == OPTION_BOOL && !(row->flags & OPTION_FLAG_ONLY) && !(fallback && strcmp(fallback, "no") == 0);
}

static void put_option_name(const struct program *p, struct buf *out, const struct option_row *row)
{
	if (row->letter)
		buf_printf(out, "  -%c, --%s", row->letter, row->name);
	else
		buf_printf(out, "      --%s", row->name);
	if (row->type != OPTION_BOOL)
		buf_putc(out, ' ');
	else if (help_takes_yes_no(p, row))
		buf_puts(out, "[=yes|no]");
	help_put_value_name(out, row);
}

static void put_note(struct buf *out, bool *first, const char *name, const char *value)
{
	buf_printf(out, "%s%s%s", *first ? " (" : "; ", name, value);
	*first = false;
}

static void put_option_text(const struct program *p, struct buf *out, const struct option_row *row)
{
	char env[ENV_NAME_SIZE];
	const char *fallback = table_default(p, row);
	bool first = true;
	buf_puts(out, row->doc);
	if (row->flags & OPTION_REPEATABLE)
		put_note(out, &first, "may be repeated", "");
	if (fallback && !(row->flags & OPTION_SECRET) && !(row->type == OPTION_BOOL && strcmp(fallback, "no") == 0))
		put_note(out, &first, "default ", fallback);
	option_env_name(p, row, env);
	if (env[0])
		put_note(out, &first, "", env);
	if (env[0] && row->env)
		put_note(out, &first, "", row->env);
	if (!first)
		buf_putc(out, ')');
}

static size_t option_column(const struct program *p, const struct command *c)
{
	const struct option_row *row;
	struct buf left = {0};
	size_t column = 0;
	for (struct option_walk w = option_walk(p, c); (row = option_next(&w));) {
		buf_clear(&left);
		put_option_name(p, &left, row);
		size_t n = columns(buf_str(&left)) + 2;
		if (n > column && n <= LEFT_MAX)
			column = n;
	}
	buf_free(&left);
	return column ? column : LEFT_MAX;
}

static void put_options(const struct program *p, const struct command *c, size_t width, struct buf *out)
{
	struct buf left = {0}, text = {0};
	size_t column = option_column(p, c);
	const struct option_row *row;
	const char *heading = NULL;
	for (struct option_walk w = option_walk(p, c); (row = option_next(&w));) {
		const char *now = w.kind == OPTIONS_OF_COMMAND || !c || !c->options ? "Options" : "Common options";
		if (now != heading)
			buf_printf(out, "\n%s:\n", now);
		heading = now;
		buf_clear(&left);
		buf_clear(&text);
		put_option_name(p, &left, row);
		put_option_text(p, &text, row);
		put_item(out, buf_str(&left), column, buf_str(&text), width);
	}
	buf_free(&left);
	buf_free(&text);
}

void help_put_arguments(struct buf *out, const struct command *c)
{
	for (const struct argument_row *a = c->args; a && a->name; a++)
		buf_printf(out, a->required ? " <%s>%s" : " [%s%s]", a->name, a->repeated ? "..." : "");
}

static void put_argument_list(const struct command *c, size_t width, struct buf *out)
{
	size_t column = 0;
	if (!c->args || !c->args->name)
		return;
	buf_puts(out, "\nArguments:\n");
	for (const struct argument_row *a = c->args; a->name; a++)
		if (strlen(a->name) + 4 > column)
			column = strlen(a->name) + 4;
	for (const struct argument_row *a = c->args; a->name; a++) {
		struct buf left = {0};
		buf_printf(&left, "  %s", a->name);
		put_item(out, buf_str(&left), column, str_from(a->doc), width);
		buf_free(&left);
	}
}

static struct str first_words(const char *path, size_t n)
{
	size_t end = 0;
	for (;; n--) {
		end += strcspn(path + end, " ");
		if (n == 1 || !path[end])
			return str_of(path, end);
		end++;
	}
}

/* At the top a group that has a summary is one line. */
static bool folded(const struct program *p, const struct command *c, struct str group, struct str *name, struct str *summary)
{
	*name = first_words(c->path, 1);
	*summary = group.n == 0 ? group_summary(p, *name) : STR_NONE;
	return str_present(*summary);
}

static bool listed_before(const struct program *p, size_t i, struct str name)
{
	while (i-- > 0)
		if (path_under(table_command(p, i)->path, name))
			return true;
	return false;
}

/* Calls for each line of the list; with out NULL only its widest name is found. */
static void put_commands(const struct program *p, struct str group, size_t width, struct buf *out, size_t *column)
{
	const struct command *c;
	for (size_t i = 0; (c = table_command(p, i)); i++) {
		struct str name, summary;
		struct buf left = {0};
		if (command_hidden(c) || !path_under(c->path, group))
			continue;
		if (!folded(p, c, group, &name, &summary)) {
			summary = str_from(c->summary);
			buf_printf(&left, "  %s", c->path);
			help_put_arguments(&left, c);
		} else if (!listed_before(p, i, name)) {
			buf_printf(&left, "  %.*s ...", STR_ARG(name));
		}
		size_t wide = left.len + 2;
		if (!out && wide > *column && wide <= LEFT_MAX + 6)
			*column = wide;
		if (out && left.len > 0)
			put_item(out, buf_str(&left), *column, summary, width);
		buf_free(&left);
	}
}

static void put_command_list(const struct program *p, struct str group, size_t width, struct buf *out)
{
	size_t column = 12;
	buf_puts(out, "\nCommands:\n");
	put_commands(p, group, width, NULL, &column);
	put_commands(p, group, width, out, &column);
}

static void put_example(const struct command *c, struct buf *out)
{
	if (c->example)
		buf_printf(out, "\nExample:\n  %s\n", c->example);
}

static void put_doc(const char *doc, size_t width, struct buf *out)
{
	if (!doc)
		return;
	buf_putc(out, '\n');
	help_put_wrapped(out, str_from(doc), 0, width);
}

static void help_default_command(const struct program *p, const struct command *c, size_t width, struct buf *out)
{
	buf_printf(out, "Usage: %s [%s] [options]\n       %s <command> [options]\n\n", p->name, c->path, p->name);
	help_put_wrapped(out, str_from(p->summary), 0, width);
	put_doc(c->doc, width, out);
	put_command_list(p, STR_LIT(""), width, out);
	put_options(p, c, width, out);
	put_example(c, out);
}

void help_command(const struct program *p, const struct command *c, size_t width, struct buf *out)
{
	if (p->default_command && strcmp(c->path, p->default_command) == 0) {
		help_default_command(p, c, width, out);
		return;
	}
	buf_printf(out, "Usage: %s %s", p->name, c->path);
	help_put_arguments(out, c);
	buf_puts(out, " [options]\n\n");
	help_put_wrapped(out, str_from(c->summary ? c->summary : p->summary), 0, width);
	put_doc(c->doc, width, out);
	put_argument_list(c, width, out);
	put_options(p, c, width, out);
	put_example(c, out);
}

void help_group(const struct program *p, struct str group, size_t width, struct buf *out)
{
	struct str summary = group.n ? group_summary(p, group) : str_from(p->summary);
	buf_printf(out, "Usage: %s%s%.*s <command> [options]\n", p->name, group.n ? " " : "", STR_ARG(group));
	if (str_present(summary)) {
		buf_putc(out, '\n');
		help_put_wrapped(out, summary, 0, width);
	}
	put_command_list(p, group, width, out);
	if (group.n == 0)
		put_options(p, NULL, width, out);
	buf_printf(out, "\n`%s help%s%.*s COMMAND` tells more about one.\n", p->name, group.n ? " " : "", STR_ARG(group));
}
