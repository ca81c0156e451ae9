#include "table.h"

#include <stdio.h>

#include "base/log.h"

static const struct command *own_command(const struct program *p, const char *path)
{
	for (const struct command *c = p->commands; c->path; c++)
		if (strcmp(c->path, path) == 0)
			return c;
	return NULL;
}

const struct command *table_command(const struct program *p, size_t i)
{
	for (const struct command *c = p->commands; c->path; c++)
		if (i-- == 0)
			return c;
	for (const struct command *c = builtin_commands; c->path; c++)
		if (!own_command(p, c->path) && i-- == 0)
			return c;
	return NULL;
}

bool command_builtin(const struct command *c)
{
	for (const struct command *b = builtin_commands; b->path; b++)
		if (b == c)
			return true;
	return false;
}

const struct command *table_find(const struct program *p, const char *path)
{
	const struct command *c;
	for (size_t i = 0; (c = table_command(p, i)); i++)
		if (strcmp(c->path, path) == 0)
			return c;
	return NULL;
}

bool path_under(const char *path, struct str prefix)
{
	return prefix.n == 0 || (strncmp(path, prefix.p, prefix.n) == 0 && (path[prefix.n] == ' ' || path[prefix.n] == '\0'));
}

size_t path_words(const char *path)
{
	size_t n = 1;
	for (; *path; path++)
		n += *path == ' ';
	return n;
}

static const struct option_row *rows_of(const struct option_walk *w)
{
	switch (w->kind) {
	case OPTIONS_OF_COMMAND: return w->command ? w->command->options : NULL;
	case OPTIONS_OF_PROGRAM: return w->program->options;
	case OPTIONS_OF_ALL: return builtin_options;
	case OPTIONS_END: return NULL;
	}
	fatal("a walk over options is at stage %d", (int)w->kind);
}

static bool redefined(const struct option_walk *w, const struct option_row *row)
{
	const struct option_row *own = w->command ? w->command->options : NULL;
	if (w->kind == OPTIONS_OF_COMMAND || !own)
		return false;
	for (; own->name; own++)
		if (strcmp(own->name, row->name) == 0)
			return true;
	return false;
}

/* A program without a default command has no configuration of its own to check. */
static bool applies(const struct option_walk *w, const struct option_row *row)
{
	return w->kind != OPTIONS_OF_ALL || w->program->default_command || strcmp(row->name, "check-config") != 0;
}

const struct option_row *option_next(struct option_walk *w)
{
	while (w->kind != OPTIONS_END) {
		const struct option_row *rows = rows_of(w);
		if (!rows || !rows[w->next].name) {
			w->kind++;
			w->next = 0;
			continue;
		}
		const struct option_row *row = &rows[w->next++];
		if (!redefined(w, row) && applies(w, row))
			return row;
	}
	return NULL;
}

const struct option_row *table_option(const struct program *p, const struct command *c, struct str name, char letter)
{
	const struct option_row *row;
	for (struct option_walk w = option_walk(p, c); (row = option_next(&w));)
		if (str_present(name) ? str_is(name, row->name) : row->letter == letter)
			return row;
	return NULL;
}

const struct option_row *table_option_anywhere(const struct program *p, struct str name, char letter, const struct command **where)
{
	const struct option_row *row = table_option(p, NULL, name, letter);
	*where = NULL;
	for (const struct command *c = p->commands; !row && c->path; c++) {
		row = table_option(p, c, name, letter);
		*where = c;
	}
	return row;
}

const char *table_default(const struct program *p, const struct option_row *row)
{
	for (const char *const *d = p->defaults; d && d[0]; d += 2)
		if (strcmp(d[0], row->name) == 0)
			return d[1];
	if (!row->fallback && strcmp(row->name, "config") == 0)
		return p->default_config;
	return row->fallback;
}

static char env_char(char c)
{
	if (c >= 'a' && c <= 'z')
		return (char)(c - 'a' + 'A');
	return c == '-' ? '_' : c;
}

void option_env_name(const struct program *p, const struct option_row *row, char out[ENV_NAME_SIZE])
{
	out[0] = '\0';
	if (row->flags & OPTION_FLAG_ONLY)
		return;
	snprintf(out, ENV_NAME_SIZE, "TANA_%s%s%s", p->section, p->section[0] ? "_" : "", row->name);
	for (char *c = out; *c; c++)
		*c = env_char(*c);
}

const char *program_section(const struct program *p)
{
	return p->section[0] ? p->section : p->name;
}

struct str group_summary(const struct program *p, struct str word)
{
	for (const char *line = p->groups; line && *line;) {
		const char *end = strchrnul(line, '\n'), *equals = strchr(line, '=');
		if (equals && equals < end && str_equal(word, str_of(line, (size_t)(equals - line))))
			return str_of(equals + 1, (size_t)(end - equals - 1));
		line = *end ? end + 1 : end;
	}
	return STR_NONE;
}
