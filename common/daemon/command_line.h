/* From argv to command, flags and arguments; what the flags' values mean comes later (options.h). Private to this room. */
#ifndef TANA_DAEMON_COMMAND_LINE_H
#define TANA_DAEMON_COMMAND_LINE_H

#include "base/arena.h"
#include "command.h"

struct flag_given {
	const struct option_row *row;
	const char *value; /* "yes" for a boolean without one; lies in argv */
};

struct command_line {
	const struct command *command; /* NULL: the words name a group of commands, or there were none */
	struct str group;              /* then: the words ("mesh", or ""); for messages and help */
	const char *const *args;       /* the words after the command; lie in argv */
	size_t arg_count;
	struct flag_given *flags;      /* in order; --help, --version and --check-config are not among them */
	size_t flag_count;
	bool help, version, check;
	bool json;                     /* an option `json` was given, whatever else was wrong */
};

/*
 * ERR_USAGE with a hint for anything the tables do not know. out->json is right also after a failure. With --help or --version unknown
 * flags and missing arguments are forgiven, so that help can be had in the middle of writing a line; an unknown command is not.
 */
MUST_CHECK bool command_line_parse(const struct program *p, int argc, char *const *argv, struct arena *arena, struct command_line *out, struct error *err);
/* The longest command, or else group, at the start of the words; *used words belong to it. A group has out->command NULL. ERR_USAGE
 * with a suggestion. */
MUST_CHECK bool command_line_find(const struct program *p, const char *const *words, size_t count, struct arena *arena, size_t *used,
				  struct command_line *out, struct error *err);

#endif
