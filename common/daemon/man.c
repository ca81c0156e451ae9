/* The manual page, in the man(7) macros, from the tables. Daemons go into section 8, tools into section 1. */
#include "base/log.h"
#include "daemon.h"
#include "help.h"
#include "table.h"
#include "value.h"

/* The day this text's wording last changed: a page built from one source is the same on every day. */
static const char page_date[] = "2026-11-23";

/* Text as roff takes it: no escapes, no control lines, dashes that can be copied. */
static void put_text(struct buf *out, struct str s, bool line_start)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (line_start && (c == '.' || c == '\''))
			buf_puts(out, "\\&");
		if (c == '\\')
			buf_puts(out, "\\e");
		else if (c == '-')
			buf_puts(out, "\\-");
		else
			buf_putc(out, c);
		line_start = c == '\n';
	}
}

static void put_z(struct buf *out, const char *z)
{
	put_text(out, str_from(z), true);
}

static void put_paragraphs(struct buf *out, const char *doc)
{
	while (doc && *doc) {
		const char *end = strstr(doc, "\n\n");
		size_t n = end ? (size_t)(end - doc) : strlen(doc);
		put_text(out, str_of(doc, n), true);
		buf_puts(out, end ? "\n.PP\n" : "\n");
		doc = end ? end + 2 : NULL;
	}
}

/* One line `.TP` expects: bold words and their value in italics. */
static void put_option_tag(const struct program *p, struct buf *out, const struct option_row *row)
{
	struct buf name = {0}, value = {0};
	buf_puts(out, ".TP\n");
	if (row->letter)
		buf_printf(out, "\\fB\\-%c\\fR, ", row->letter);
	buf_printf(&name, "--%s", row->name);
	buf_puts(out, "\\fB");
	put_text(out, buf_str(&name), false);
	buf_puts(out, "\\fR");
	help_put_value_name(&value, row);
	if (value.len > 0) {
		buf_puts(out, " \\fI");
		put_text(out, buf_str(&value), false);
		buf_puts(out, "\\fR");
	} else if (help_takes_yes_no(p, row)) {
		buf_puts(out, "[=\\fIyes\\fR|\\fIno\\fR]");
	}
	buf_putc(out, '\n');
	buf_free(&name);
	buf_free(&value);
}

static void put_range(struct buf *out, const struct option_row *row)
{
	int64_t min, max;
	bool number = row->type == OPTION_INT || row->type == OPTION_SIZE || row->type == OPTION_DURATION;
	if (!number || (row->min == 0 && row->max == 0))
		return;
	value_bounds(row, &min, &max);
	buf_puts(out, max == INT64_MAX ? "At least " : "Between ");
	value_put_number(out, row, min);
	if (max != INT64_MAX) {
		buf_puts(out, " and ");
		value_put_number(out, row, max);
	}
	buf_puts(out, ".\n");
}

static void put_option(const struct program *p, struct buf *out, const struct option_row *row)
{
	char env[ENV_NAME_SIZE];
	const char *fallback = table_default(p, row);
	put_option_tag(p, out, row);
	put_z(out, row->doc);
	buf_putc(out, '\n');
	put_range(out, row);
	if (row->flags & OPTION_REPEATABLE)
		buf_puts(out, "May be given several times.\n");
	if (row->flags & OPTION_RELOADABLE)
		buf_puts(out, "Taken anew at SIGHUP.\n");
	if (fallback && !(row->flags & OPTION_SECRET)) {
		buf_puts(out, "Default: ");
		put_text(out, str_from(fallback), false);
		buf_puts(out, ".\n");
	}
	option_env_name(p, row, env);
	if (env[0])
		buf_printf(out, "Environment: \\fB%s\\fR", env);
	if (env[0] && row->env)
		buf_printf(out, ", \\fB%s\\fR", row->env);
	buf_puts(out, env[0] ? ".\n" : "");
}

/* A row that the default command has as well, so that it need not be told again. */
static bool told_before(const struct program *p, const struct command *c, const struct option_row *row)
{
	const struct command *first = p->default_command ? table_find(p, p->default_command) : NULL;
	if (!first || first == c)
		return false;
	for (const struct option_row *o = first->options; o && o->name; o++)
		if (strcmp(o->name, row->name) == 0)
			return strcmp(o->doc, row->doc) == 0;
	return false;
}

static void put_command_options(const struct program *p, struct buf *out, const struct command *c)
{
	const char *before = ".PP\nOptions as above:\n";
	for (const struct option_row *row = c->options; row && row->name; row++) {
		if (!told_before(p, c, row))
			continue;
		struct buf name = {0};
		buf_printf(&name, "--%s", row->name);
		buf_printf(out, "%s\\fB", before);
		put_text(out, buf_str(&name), false);
		buf_puts(out, "\\fR");
		buf_free(&name);
		before = ",\n";
	}
	if (before[0] == ',')
		buf_puts(out, ".\n");
	for (const struct option_row *row = c->options; row && row->name; row++)
		if (!told_before(p, c, row))
			put_option(p, out, row);
}

static void put_command(const struct program *p, struct buf *out, const struct command *c)
{
	struct buf line = {0};
	buf_printf(&line, "%s %s", p->name, c->path);
	help_put_arguments(&line, c);
	buf_puts(out, ".SS ");
	put_text(out, buf_str(&line), true);
	buf_putc(out, '\n');
	buf_free(&line);
	put_z(out, c->summary);
	buf_putc(out, '\n');
	if (c->doc)
		buf_puts(out, ".PP\n");
	put_paragraphs(out, c->doc);
	for (const struct argument_row *a = c->args; a && a->name; a++) {
		buf_puts(out, ".TP\n\\fI");
		put_text(out, str_from(a->name), false);
		buf_puts(out, "\\fR\n");
		put_z(out, a->doc);
		buf_putc(out, '\n');
	}
	put_command_options(p, out, c);
	if (c->example) {
		buf_puts(out, ".PP\nExample:\n.PP\n.nf\n.RS\n");
		put_z(out, c->example);
		buf_puts(out, "\n.RE\n.fi\n");
	}
}

static void put_commands(const struct program *p, struct buf *out)
{
	const struct command *c;
	buf_puts(out, ".SH COMMANDS\n");
	for (size_t i = 0; (c = table_command(p, i)); i++)
		if (!command_hidden(c))
			put_command(p, out, c);
}

static void put_common_options(const struct program *p, struct buf *out)
{
	const struct option_row *row;
	buf_puts(out, ".SH OPTIONS\nEvery command takes these. They may stand before or after its words; \\fB\\-\\-\\fR ends the options.\n");
	for (struct option_walk w = option_walk(p, NULL); (row = option_next(&w));)
		put_option(p, out, row);
}

static void put_configuration(const struct program *p, struct buf *out)
{
	buf_puts(out, ".SH CONFIGURATION\n"
		      "An option's value comes from the flag, else from the environment, else from the configuration file, else it is the default.\n"
		      "The file holds lines\n.PP\n.nf\n.RS\n[");
	put_z(out, program_section(p));
	buf_puts(out, "]\nkey = value\n.RE\n.fi\n.PP\n"
		      "where the key is the option's name with _ for each dash; the section [common] is read by every program.\n"
		      "Lines that begin with # or ; are comments.\n"
		      "Values of repeatable options are separated by blanks.\n"
		      "Sizes take k, M and G (powers of 1024), times ms, s, m and h.\n");
	if (p->default_config) {
		buf_puts(out, ".SH FILES\n.TP\n\\fI");
		put_text(out, str_from(p->default_config), false);
		buf_puts(out, "\\fR\nThe configuration file that is read when it is there.\n");
	}
}

static void put_exit_status(const struct program *p, struct buf *out)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{EXIT_DONE, "Done."},
		{EXIT_FAILED, "Refused, or failed."},
		{EXIT_USAGE, "Wrong usage or configuration."},
		{EXIT_UNREACHABLE, "The service cannot be reached."},
		{EXIT_KEY_NEEDED, "A key or a login is needed."},
		{EXIT_TIMED_OUT, "Timed out."},
		{EXIT_UNHEALTHY, "Unhealthy, or verification failed."},
		{EXIT_INTERRUPTED, "Interrupted."},
	};
	buf_puts(out, ".SH EXIT STATUS\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		buf_printf(out, ".TP\n\\fB%d\\fR\n%s\n", rows[i].status, rows[i].text);
	if (p->default_command)
		buf_puts(out, ".SH SIGNALS\n.TP\n\\fBSIGTERM\\fR, \\fBSIGINT\\fR\n"
			      "Requests under way are answered, then the daemon exits with 0. A second one ends it at once.\n"
			      ".TP\n\\fBSIGHUP\\fR\nThe log is opened anew, and the options that say so above are taken anew.\n");
}

void program_man(const struct program *p, struct buf *out)
{
	buf_puts(out, ".TH ");
	for (const char *c = p->name; *c; c++)
		buf_putc(out, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
	buf_printf(out, " %c %s \"tana %s\" \"tana\"\n.SH NAME\n", p->default_command ? '8' : '1', page_date, tana_version());
	put_z(out, p->name);
	buf_puts(out, " \\- ");
	put_text(out, str_from(p->summary), false);
	buf_printf(out, "\n.SH SYNOPSIS\n\\fB%s\\fR %s [\\fIoptions\\fR]\n.SH DESCRIPTION\n", p->name,
		   p->default_command ? "[\\fIcommand\\fR]" : "\\fIcommand\\fR");
	put_paragraphs(out, p->doc ? p->doc : p->summary);
	put_commands(p, out);
	put_common_options(p, out);
	put_configuration(p, out);
	put_exit_status(p, out);
}
