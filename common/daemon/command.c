/* program_main: from argv to an exit status. */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon.h"
#include "help.h"
#include "options.h"
#include "table.h"

int exit_status_of(enum error_code code)
{
	static const struct {
		enum error_code code;
		int status;
	} statuses[] = {
		{ERR_USAGE, EXIT_USAGE},
		{ERR_CONFIG, EXIT_USAGE},
		{ERR_UNREACHABLE, EXIT_UNREACHABLE},
		{ERR_UNAVAILABLE, EXIT_UNREACHABLE},
		{ERR_KEY_NEEDED, EXIT_KEY_NEEDED},
		{ERR_KEY_FILE, EXIT_KEY_NEEDED},
		{ERR_UNAUTHENTICATED, EXIT_KEY_NEEDED},
		{ERR_TOKEN_INVALID, EXIT_KEY_NEEDED},
		{ERR_TOKEN_EXPIRED, EXIT_KEY_NEEDED},
		{ERR_TIMED_OUT, EXIT_TIMED_OUT},
		{ERR_CORRUPT, EXIT_UNHEALTHY},
		{ERR_INTERRUPTED, EXIT_INTERRUPTED},
	};
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].code == code)
			return statuses[i].status;
	return EXIT_FAILED;
}

/* Messages hold what users, peers and files said: nothing of it may steer a terminal or break JSON. */
static void put_clean(struct buf *out, const char *text)
{
	size_t n = strlen(text);
	bool valid = utf8_valid(text, n);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		bool c1 = c == 0xc2 && i + 1 < n && (unsigned char)text[i + 1] < 0xa0; /* U+0080..U+009F */
		bool shown = c >= 0x20 && c != 0x7f && (valid || c < 0x80) && !c1;
		buf_putc(out, shown ? text[i] : '?');
		i += valid && c1;
	}
}

static void put_error_json(struct buf *out, const struct error *err)
{
	struct buf text = {0};
	put_clean(&text, err->message);
	buf_puts(out, "{\"error\":");
	buf_put_json_string(out, buf_str(&text));
	buf_printf(out, ",\"code\":\"%s\"", error_code_text(err->code));
	if (err->hint[0]) {
		buf_clear(&text);
		put_clean(&text, err->hint);
		buf_puts(out, ",\"hint\":");
		buf_put_json_string(out, buf_str(&text));
	}
	buf_puts(out, "}\n");
	buf_free(&text);
}

static bool colour_wanted(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(STDERR_FILENO) && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
}

static void put_error_text(struct buf *out, const struct error *err)
{
	bool colour = colour_wanted();
	buf_puts(out, colour ? "\033[1;31merror:\033[0m " : "error: ");
	put_clean(out, err->message);
	if (err->hint[0]) {
		buf_puts(out, colour ? "\n\033[1mhint:\033[0m " : "\nhint: ");
		put_clean(out, err->hint);
	}
	buf_putc(out, '\n');
}

int program_fail(const struct invocation *in, const struct error *err)
{
	struct buf out = {0};
	if (in && in->line.json)
		put_error_json(&out, err);
	else
		put_error_text(&out, err);
	fflush(stdout); /* what was printed before the failure stands before it also in a common file */
	fwrite(out.data, 1, out.len, stderr);
	buf_free(&out);
	return exit_status_of(err->code);
}

static int show_help(const struct invocation *in, FILE *to)
{
	struct buf out = {0};
	size_t width = help_width(fileno(to));
	if (in->line.command)
		help_command(in->program, in->line.command, width, &out);
	else
		help_group(in->program, in->line.group, width, &out);
	fwrite(out.data, 1, out.len, to);
	buf_free(&out);
	return to == stdout ? EXIT_DONE : EXIT_USAGE;
}

static int check_config(struct invocation *in)
{
	struct error err;
	const struct command *c = in->line.command;
	if (c->check && !c->check(in, &err))
		return program_fail(in, &err);
	puts("configuration ok");
	return EXIT_DONE;
}

static int run(struct invocation *in, int argc, char **argv)
{
	struct error err;
	if (!command_line_parse(in->program, argc, argv, &in->arena, &in->line, &err))
		return program_fail(in, &err);
	if (in->line.help)
		return show_help(in, stdout);
	if (in->line.version)
		return print_version(in);
	if (!in->line.command)
		return show_help(in, stderr);
	in->checking = in->line.check;
	if (!options_collect(in, &err))
		return program_fail(in, &err);
	return in->line.check ? check_config(in) : in->line.command->run(in);
}

/* A full disk or a closed pipe behind standard output is a failure of the command. */
static int finish_output(const struct invocation *in, int status)
{
	struct error err;
	bool now = fflush(stdout) != 0;
	if (!now && !ferror(stdout))
		return status;
	if (now)
		error_errno(&err, ERR_IO, errno, "cannot write to standard output");
	else /* it failed earlier */
		error_set(&err, ERR_IO, "cannot write to standard output");
	int failed = program_fail(in, &err);
	return status == EXIT_DONE ? failed : status;
}

int program_main(const struct program *p, int argc, char **argv)
{
	struct invocation in;
	invocation_init(&in, p);
	int status = finish_output(&in, run(&in, argc, argv));
	invocation_free(&in);
	return status;
}
