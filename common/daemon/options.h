/* A command line with its options' values from all sources. Private to this room; other rooms ask through command.h. */
#ifndef TANA_DAEMON_OPTIONS_H
#define TANA_DAEMON_OPTIONS_H

#include <pthread.h>

#include "base/arena.h"
#include "command.h"
#include "command_line.h"

/* In rising precedence. */
enum source { FROM_NOWHERE, FROM_DEFAULT, FROM_COMMON_SECTION, FROM_OWN_SECTION, FROM_USER_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct option_slot {
	const struct option_row *row;
	enum source source;
	const char *origin;        /* for people: "flag --x" */
	const char *const *values;
	size_t count;
	int64_t number;            /* of the first value, by value_check */
};

struct invocation {
	const struct program *program;
	struct command_line line;
	struct arena arena;           /* every string of the invocation */
	struct option_slot *slots;    /* one for each row of the command, less the rows every program has */
	size_t slot_count;
	bool checking;                /* --check-config: keys of other commands are verified too */
	pthread_mutex_t *lock;        /* slots change at a reload, while workers read them */
};

/* *in is cleared; the arena is ready afterwards. */
void invocation_init(struct invocation *in, const struct program *p);
void invocation_free(struct invocation *in);
/* Fills the slots from every source; in->line is there already. ERR_USAGE for flags, ERR_CONFIG for the rest. */
MUST_CHECK bool options_collect(struct invocation *in, struct error *err);
/* One configuration file's text; `path` names it in messages and origins. */
MUST_CHECK bool options_take_file(struct invocation *in, const char *path, struct str text, struct error *err);
/* A slot for each row, all of them unset. options_collect does it; apart for tests of single sources. */
void options_prepare(struct invocation *in);
struct option_slot *options_slot(const struct invocation *in, const char *name); /* NULL: the command has no such option */

#endif
