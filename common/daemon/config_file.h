/*
 * The configuration file's syntax: INI, one `key = value` a line.
 *
 *	# a comment is a whole line that begins with # or ;
 *	[mesh]
 *	heartbeat_timeout = 5m
 *
 * The value is what stands after the first `=`, less blanks at both ends; it has no quotes, no escapes and no continuation lines, so
 * what is written is what is meant. UTF-8; a byte order mark and CRLF line ends are taken. What the keys mean is the options' business
 * (options.h).
 */
#ifndef TANA_DAEMON_CONFIG_FILE_H
#define TANA_DAEMON_CONFIG_FILE_H

#include "base/error.h"
#include "base/str.h"

enum {
	CONFIG_FILE_MAX = 256 * 1024, /* bytes of a file: far above any real one, far below what would hurt */
	CONFIG_LINE_MAX = 16 * 1024,  /* bytes of a line: a list of some 200 keys */
	CONFIG_NAME_MAX = 64          /* bytes of a section's or key's name */
};

struct config_entry {
	struct str section, key, value; /* lie in the text; value may be empty */
	unsigned line;                  /* from 1 */
};
/* Called for each entry in order; false, with *err filled, ends the reading. */
typedef bool config_entry_fn(void *ctx, const struct config_entry *e, struct error *err);

/* ERR_CONFIG with "path:line: ..." for anything that is not in the form above (path is only for messages), or what fn said. */
MUST_CHECK bool config_parse(struct str text, const char *path, config_entry_fn *fn, void *ctx, struct error *err);

#endif
