/* What makes a program's tables wrong. The parser, the scripts and the pages rely on it, so every program's tests ask. */
#include "base/error.h"
#include "base/log.h"
#include "table.h"
#include "value.h"

/* [a-z][a-z0-9-]* */
static bool name_valid(const char *z)
{
	size_t n = strlen(z);
	return n > 0 && n <= WORD_BYTES_MAX && z[0] >= 'a' && z[0] <= 'z' && strspn(z, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool path_valid(const char *path)
{
	char word[WORD_BYTES_MAX + 1];
	if (path_words(path) > PATH_WORDS_MAX)
		return false;
	for (;;) {
		size_t n = strcspn(path, " ");
		if (n >= sizeof(word))
			return false;
		memcpy(word, path, n);
		word[n] = '\0';
		if (!name_valid(word))
			return false;
		if (!path[n])
			return true;
		path += n + 1;
	}
}

static bool lint_default(const struct program *p, const struct option_row *row, struct error *err)
{
	int64_t number;
	const char *text = table_default(p, row);
	if (!text)
		return true;
	if (row->flags & OPTION_REPEATABLE)
		return error_set(err, ERR_INTERNAL, "--%s: a repeatable option has no default", row->name);
	return value_check(row, text, row->name, ERR_INTERNAL, &number, err);
}

static bool lint_row(const struct program *p, const struct option_row *row, struct error *err)
{
	char env[ENV_NAME_SIZE];
	option_env_name(p, row, env);
	if (!name_valid(row->name))
		return error_set(err, ERR_INTERNAL, "--%s: not a name", row->name);
	if (!row->doc || !row->doc[0])
		return error_set(err, ERR_INTERNAL, "--%s: no text", row->name);
	if ((row->type == OPTION_CHOICE) != (row->choices != NULL))
		return error_set(err, ERR_INTERNAL, "--%s: choices are for OPTION_CHOICE, and it needs them", row->name);
	if (row->type == OPTION_BOOL && row->flags & OPTION_REPEATABLE)
		return error_set(err, ERR_INTERNAL, "--%s: a boolean is not repeatable", row->name);
	if (strlen(env) + 1 == ENV_NAME_SIZE)
		return error_set(err, ERR_INTERNAL, "--%s: the environment name is too long", row->name);
	return lint_default(p, row, err);
}

/* Before the command is known a word is an option's value, or is not, by the name or letter alone. */
static bool lint_alike(const struct program *p, const struct option_row *row, struct error *err)
{
	const struct command *where;
	const struct option_row *named = table_option_anywhere(p, str_from(row->name), 0, &where);
	const struct option_row *lettered = row->letter ? table_option_anywhere(p, STR_NONE, row->letter, &where) : NULL;
	if (named && option_takes_value(named) != option_takes_value(row))
		return error_set(err, ERR_INTERNAL, "--%s takes a value in one command and none in another", row->name);
	if (lettered && option_takes_value(lettered) != option_takes_value(row))
		return error_set(err, ERR_INTERNAL, "-%c takes a value in one command and none in another", row->letter);
	return true;
}

static bool lint_options(const struct program *p, const struct command *c, struct error *err)
{
	const struct option_row *row;
	for (struct option_walk w = option_walk(p, c); (row = option_next(&w));) {
		if (!lint_row(p, row, err) || !lint_alike(p, row, err))
			return false;
		if (table_option(p, c, str_from(row->name), 0) != row)
			return error_set(err, ERR_INTERNAL, "--%s is there twice", row->name);
		if (row->letter && table_option(p, c, STR_NONE, row->letter) != row)
			return error_set(err, ERR_INTERNAL, "-%c means two options", row->letter);
	}
	return true;
}

static bool lint_arguments(const struct command *c, struct error *err)
{
	bool optional = false, repeated = false;
	for (const struct argument_row *a = c->args; a && a->name; a++) {
		if (repeated || (optional && a->required))
			return error_set(err, ERR_INTERNAL, "`%s`: %s can never be given", c->path, a->name);
		if (!a->doc || !a->doc[0])
			return error_set(err, ERR_INTERNAL, "`%s`: no text for %s", c->path, a->name);
		optional = !a->required;
		repeated = a->repeated;
	}
	return true;
}

static bool lint_command(const struct program *p, const struct command *c, struct error *err)
{
	if (!path_valid(c->path))
		return error_set(err, ERR_INTERNAL, "`%s`: not a command's name", c->path);
	if (table_find(p, c->path) != c)
		return error_set(err, ERR_INTERNAL, "`%s` is there twice", c->path);
	if (!c->summary || !c->summary[0] || !c->run)
		return error_set(err, ERR_INTERNAL, "`%s`: a command has a summary and something to run", c->path);
	return lint_arguments(c, err) && lint_options(p, c, err);
}

bool program_lint(const struct program *p, struct error *err)
{
	const struct command *where;
	if (p->default_command && !table_find(p, p->default_command))
		return error_set(err, ERR_INTERNAL, "the default command `%s` is not in the table", p->default_command);
	for (const char *const *d = p->defaults; d && d[0]; d += 2)
		if (!table_option_anywhere(p, str_from(d[0]), 0, &where))
			return error_set(err, ERR_INTERNAL, "a default for --%s, which is not in the table", d[0]);
	for (const struct command *c = p->commands; c->path; c++)
		if (!lint_command(p, c, err))
			return false;
	return lint_options(p, NULL, err);
}
