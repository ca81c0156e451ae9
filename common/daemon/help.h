/* Help texts from the tables. Private to this room. */
#ifndef TANA_DAEMON_HELP_H
#define TANA_DAEMON_HELP_H

#include "base/buf.h"
#include "base/str.h"
#include "command.h"

enum { HELP_WIDTH = 80, HELP_WIDTH_MIN = 40, HELP_WIDTH_MAX = 140 };
/* The width of the terminal that fd is, within the bounds above; HELP_WIDTH when it is none. */
size_t help_width(int fd);
/* Of one command; of the default command: of the whole program. */
void help_command(const struct program *p, const struct command *c, size_t width, struct buf *out);
/* Of the commands that begin with the words `group` ("": all). */
void help_group(const struct program *p, struct str group, size_t width, struct buf *out);

/* "nodeId [reason]": the arguments as usage lines write them. */
void help_put_arguments(struct buf *out, const struct command *c);
/* "NAME", "SIZE", "text|json": how an option's value is called; "" for a boolean. */
void help_put_value_name(struct buf *out, const struct option_row *row);
/* Whether a boolean is shown as one that can be turned off: it may be on without being given. */
bool help_takes_yes_no(const struct program *p, const struct option_row *row);
/* Words from text, wrapped between the columns indent and width (width 0: not at all); the cursor stands at `indent`. Ends with a newline. */
void help_put_wrapped(struct buf *out, struct str text, size_t indent, size_t width);

#endif
