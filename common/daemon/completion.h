/* What the three shells' completion scripts share: the tables, in each shell's syntax. Private to this room. */
#ifndef TANA_DAEMON_COMPLETION_H
#define TANA_DAEMON_COMPLETION_H

#include "base/buf.h"
#include "command.h"

enum shell { SHELL_BASH, SHELL_ZSH, SHELL_FISH };
struct script {
	enum shell shell;
	const struct program *program;
	struct buf *out;
};

/*
 * Defines these functions, named _<program>_known and so on (the script's own function is _<program>). A "place" is
 * `<path>:<--option>` or `<path>#<n>` for the nth argument. In bash and zsh they add to the variables `list` and `kind` of their
 * caller; in fish, which scopes variables otherwise, they print.
 *	known PATH           0 when the words are a command or a group
 *	takes_value OPTION   0 when the option is followed by a word that is its value
 *	words PATH           the words that may follow
 *	options PATH         the options that may
 *	choices PLACE        the known values
 *	kind PLACE           where other values come from: "file", or a kind that `<program> complete KIND` knows
 */
void completion_put_tables(const struct script *s);
/* One line of the script; each @ in it becomes the program's name. */
void completion_put_line(const struct script *s, const char *line);

#endif
