/* Walking a program's tables: its own rows first, then those that every program has. Private to this room. */
#ifndef TANA_DAEMON_TABLE_H
#define TANA_DAEMON_TABLE_H

#include "base/str.h"
#include "command.h"

/* The i-th command, NULL after the last; rows every program has come last, unless the program has one with the same path. */
const struct command *table_command(const struct program *p, size_t i);
/* Rows without a summary work and are not shown. */
static inline bool command_hidden(const struct command *c) { return !c->summary; }
/* One of the rows every program has: they read neither environment nor files, so that a broken configuration cannot stop `help`. */
bool command_builtin(const struct command *c);
const struct command *table_find(const struct program *p, const char *path);

/* What program_lint holds tables to. */
enum { PATH_WORDS_MAX = 3, WORD_BYTES_MAX = 40, PATH_SIZE = PATH_WORDS_MAX * (WORD_BYTES_MAX + 1) };

/* Whether `path` begins with the words `prefix` ("mesh" for "mesh register"; "" for all). */
bool path_under(const char *path, struct str prefix);
size_t path_words(const char *path);

/* The options of a command (c NULL: of no particular one): the command's own, the program's that it does not redefine, the ones every
 * program has. */
enum option_kind { OPTIONS_OF_COMMAND, OPTIONS_OF_PROGRAM, OPTIONS_OF_ALL, OPTIONS_END };
struct option_walk {
	const struct program *program;
	const struct command *command;
	enum option_kind kind; /* of the row returned last */
	size_t next;
};
static inline struct option_walk option_walk(const struct program *p, const struct command *c)
{
	return (struct option_walk){.program = p, .command = c};
}
/* NULL at the end. */
const struct option_row *option_next(struct option_walk *w);
/* A row by its name, or by its letter when name is NULL. NULL: the command has none. */
const struct option_row *table_option(const struct program *p, const struct command *c, struct str name, char letter);
/* The same, but of any command of the program; *where is the command (NULL: common to all). */
const struct option_row *table_option_anywhere(const struct program *p, struct str name, char letter, const struct command **where);
/* The row's default for this program, or NULL. */
const char *table_default(const struct program *p, const struct option_row *row);

enum { ENV_NAME_SIZE = 128 };
/* TANA_<SECTION>_<OPTION>, or "" for a row that is a flag only. Longer names are cut (program_lint refuses them). */
void option_env_name(const struct program *p, const struct option_row *row, char out[ENV_NAME_SIZE]);
/* The section of the configuration file that is the program's own. */
const char *program_section(const struct program *p);
/* "--x" rows whose value is asked for by a word after them. */
static inline bool option_takes_value(const struct option_row *row) { return row->type != OPTION_BOOL; }
/* "mesh" => its line of program.groups; absent when there is none. */
struct str group_summary(const struct program *p, struct str word);

/* The rows every program has (builtin.c). */
extern const struct command builtin_commands[];
extern const struct option_row builtin_options[];
int print_version(struct invocation *in); /* also JSON, by in's --json alone */

#endif
