/*
 * Where tana keeps its files (docs: tana(1), FILES). Configuration and keys: $XDG_CONFIG_HOME/tana (~/.config/tana), by the names existing
 * installations use; what a local network of `tana start` consists of: $XDG_STATE_HOME/tana/<chain> (~/.local/state/tana/<chain>). Paths are
 * made in the arena.
 */
#ifndef TANA_CLI_PATHS_H
#define TANA_CLI_PATHS_H

#include "base/arena.h"
#include "base/error.h"

const char *path_config(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *path_state(struct arena *a, const char *chain, const char *fmt, ...) PRINTF_LIKE(3, 4);

const char *path_node_key(struct arena *a, struct str node_id);
const char *path_own_node_key(struct arena *a); /* node-key.json: the machine's own node */
const char *path_service_key(struct arena *a, struct str node_id, struct str service);
const char *path_sovereign_key(struct arena *a);
const char *path_user(struct arena *a, struct str username); /* users/<@name>.json */
const char *path_chain(struct arena *a, const char *chain);

/* A name that is one path segment: letters, digits, '.', '_', '-', not beginning with a dot, at most 64. */
bool path_name_valid(struct str name);
/* For people: the home directory as ~. */
const char *path_short(struct arena *a, const char *path);

#endif
