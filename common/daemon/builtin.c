/* The commands and options that every program has. */
#include <stdio.h>
#include <unistd.h>

#include "daemon.h"
#include "help.h"
#include "options.h"
#include "table.h"

static int print(struct buf *out)
{
	fwrite(out->data, 1, out->len, stdout);
	buf_free(out);
	return EXIT_DONE;
}

static int run_help(struct invocation *in)
{
	struct command_line asked = {0};
	struct error err;
	struct buf out = {0};
	size_t used;
	if (!command_line_find(in->program, in->line.args, in->line.arg_count, &in->arena, &used, &asked, &err))
		return program_fail(in, &err);
	const struct command *c = asked.command;
	if (in->line.arg_count == 0 && in->program->default_command)
		c = table_find(in->program, in->program->default_command);
	if (c)
		help_command(in->program, c, help_width(STDOUT_FILENO), &out);
	else
		help_group(in->program, asked.group, help_width(STDOUT_FILENO), &out);
	return print(&out);
}

int print_version(struct invocation *in)
{
	if (in->line.json)
		printf("{\"name\":\"%s\",\"version\":\"%s\",\"commit\":\"%s\"}\n", in->program->name, tana_version(), tana_commit());
	else
		printf("%s %s (commit %s)\n", in->program->name, tana_version(), tana_commit());
	return EXIT_DONE;
}

static int run_completion(struct invocation *in)
{
	struct error err;
	struct buf out = {0};
	const char *shell = invocation_arg(in, "shell");
	if (!program_completion(in->program, shell, &out)) {
		error_set(&err, ERR_USAGE, "no completion for the shell \"%s\"", shell);
		error_hint(&err, "bash, zsh or fish");
		return program_fail(in, &err);
	}
	return print(&out);
}

static int run_man(struct invocation *in)
{
	struct buf out = {0};
	program_man(in->program, &out);
	return print(&out);
}

/* What completion scripts call. */
static int run_complete(struct invocation *in)
{
	struct buf out = {0};
	if (in->program->complete)
		in->program->complete(in, invocation_arg(in, "kind"), &out);
	return print(&out);
}

/* For `make check`: the tables are static in their programs, so only the programs themselves can look at them. */
static int run_check_tables(struct invocation *in)
{
	struct error err;
	if (!program_lint(in->program, &err))
		return program_fail(in, &err);
	return EXIT_DONE;
}

static const struct argument_row help_args[] = {
	{.name = "command", .repeated = true, .doc = "The command's words."},
	{0},
};
static const struct argument_row shell_args[] = {
	{.name = "shell", .required = true, .doc = "bash, zsh or fish."},
	{0},
};
static const struct argument_row kind_args[] = {
	{.name = "kind", .required = true, .doc = "What is looked for."},
	{0},
};

const struct command builtin_commands[] = {
	{.path = "help", .args = help_args, .run = run_help, .summary = "Tell about a command"},
	{.path = "version", .run = print_version, .summary = "Print the version"},
	{.path = "completion", .args = shell_args, .run = run_completion, .summary = "Print a completion script for a shell",
	 .doc = "bash: source it from ~/.bashrc, or put it into ~/.local/share/bash-completion/completions/.\n\n"
		"zsh: put it into a folder of $fpath, under the program's name with an underscore before it.\n\nfish: put it into ~/.config/fish/completions/."},
	{.path = "man", .run = run_man, .summary = "Print the manual page, in roff"},
	{.path = "check-tables", .run = run_check_tables},
	{.path = "complete", .args = kind_args, .run = run_complete},
	{0},
};

const struct option_row builtin_options[] = {
	{.name = "check-config", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Verify options, environment and file, start nothing."},
	{.name = "help", .letter = 'h', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Show this help."},
	{.name = "version", .letter = 'V', .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Show the version."},
	{0},
};
