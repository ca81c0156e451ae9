/*
 * The user's own configuration: ~/.config/tana/config.json (every option by its name, in camelCase: {"meshUrl": "...", "chain": "..."}), and
 * chains/<chain>.json for what belongs to one chain
 * ({"meshUrl", "network"}), which goes before it. Members of other programs are left alone.
 */
#ifndef TANA_CLI_USER_FILE_H
#define TANA_CLI_USER_FILE_H

#include "base/buf.h"
#include "daemon/command.h"

/* For struct program.user_file. */
bool user_file_offer(struct invocation *in, struct error *err);
/* For struct program.complete: node ids, key names, services. */
void user_complete(struct invocation *in, const char *kind, struct buf *out);

#endif
