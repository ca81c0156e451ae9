/*
 * One table per program: its commands, their arguments and options. Dispatch, --help, man pages, shell completion and `--check-config`
 * read the same rows; so do the daemons (run, init, verify ...) and the tana command (mesh register ...).
 *
 * An option has one name and four sources, in this order of precedence: flag `--heartbeat-timeout 5m`, environment
 * TANA_<SECTION>_HEARTBEAT_TIMEOUT (and the row's own `env` name, e.g. MESH_URL), file key `heartbeat_timeout` in the section `[mesh]` of
 * the configuration file (INI), the row's default. Wrong values are refused at start, naming the source. Unknown flags and unknown
 * keys of one's own section are errors, with the nearest known name as the hint.
 *
 * The command line: `--x VALUE`, `--x=VALUE`, `-x VALUE`; a boolean is `--x` or `--x=yes|no`; `--` ends the options; options may stand
 * anywhere. The file: `key = value` lines under `[section]`; whole lines that begin with # or ; are comments; keys may be written with
 * _ or -. `[common]` is read by every program (keys that a program does not know are another's there), the program's own section goes
 * before it (`[tana]` when `section` is "").
 *
 * Every program has, beside its own rows, the options --help and --version (and --check-config when it has a default command) and the
 * commands `help`, `version`, `completion SHELL` and `man`; a row of the program with the same path takes their place.
 */
#ifndef TANA_DAEMON_COMMAND_H
#define TANA_DAEMON_COMMAND_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum option_type {
	OPTION_TEXT,
	OPTION_INT,
	OPTION_SIZE,     /* bytes, k M G */
	OPTION_DURATION, /* ms s m h; read in ms */
	OPTION_BOOL,     /* --x, --x=yes|no, --no-x is not offered */
	OPTION_CHOICE,   /* one of `choices` */
};
enum option_flags {
	OPTION_REPEATABLE = 1,  /* may be given several times; in files and environment: separated by blanks */
	OPTION_SECRET = 2,      /* never shown */
	OPTION_FLAG_ONLY = 4,   /* neither environment nor file (e.g. --json, --yes) */
	OPTION_RELOADABLE = 8,  /* taken anew at SIGHUP */
};
struct option_row {
	const char *name;            /* "heartbeat-timeout" */
	char letter;                 /* 'f' for -f, or 0 */
	enum option_type type;
	unsigned flags;
	const char *value;           /* "HOST:PORT", for help */
	const char *fallback;        /* default as text, or NULL */
	int64_t min, max;            /* INT, SIZE (bytes), DURATION (ms); both 0: >= 0; max below min: no upper bound */
	int64_t bare_unit_ms;        /* DURATION: unit of a bare number; 0 means 1000 */
	const char *const *choices;  /* NULL-terminated */
	const char *env;             /* a further environment name, or NULL */
	const char *doc;             /* one line */
};
struct argument_row {
	const char *name;     /* "nodeId" */
	bool required, repeated;
	const char *doc;
	const char *complete; /* shell completion: "file", what program.complete knows ("node", "key", "service"), or NULL */
};

struct invocation; /* a parsed command line */
struct command {
	const char *path;                   /* "mesh register", "verify"; "run" is the daemons' default command */
	const struct argument_row *args;    /* ends with .name NULL; may be NULL */
	const struct option_row *options;   /* ends with .name NULL; may be NULL */
	int (*run)(struct invocation *in);  /* the exit status; EXIT_* below */
	const char *summary;                /* one line */
	const char *doc;                    /* paragraphs for the man page, or NULL */
	const char *example;                /* one command line, or NULL */
	/* For --check-config: what values alone do not show (key files, TLS files). Opens only what it must read. May be NULL. */
	bool (*check)(struct invocation *in, struct error *err);
};
struct program {
	const char *name;                   /* "meshd" */
	const char *section;                /* "mesh": configuration section and environment infix; "" for tana itself (TANA_X) */
	const char *summary;
	const char *doc;                    /* man page DESCRIPTION */
	const struct option_row *options;   /* common to all commands */
	const struct command *commands;     /* ends with .path NULL */
	const char *default_command;        /* "run", or NULL: help is shown */
	const char *default_config;         /* "/etc/tana/tana.conf": read when there, unless --config names another */
	const char *groups;                 /* for help: "mesh=Who is in the network\nkeys=..." : one line a first word; or NULL */
	const char *const *defaults;        /* this program's defaults for shared rows: {"listen", "127.0.0.1:8190", NULL}; or NULL */
	/* A further source between environment and configuration file (the user's own file): calls invocation_offer for each value it has.
	 * May be NULL. */
	bool (*user_file)(struct invocation *in, struct error *err);
	/* Appends the candidates of argument_row.complete, one a line; for the shells, so it stays silent about failures. May be NULL. */
	void (*complete)(struct invocation *in, const char *kind, struct buf *out);
};

/* Exit statuses, the same in all programs; manual pages list them. */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1, /* or refused */
	EXIT_USAGE = 2,  /* or wrong configuration */
	EXIT_UNREACHABLE = 3,
	EXIT_KEY_NEEDED = 4,
	EXIT_TIMED_OUT = 5,
	EXIT_UNHEALTHY = 6, /* or verification failed */
	EXIT_INTERRUPTED = 130
};
int exit_status_of(enum error_code code);

/* Parses, handles --help, --version, `help`, --check-config, and runs the command. Returns the exit status. The invocation lives until
 * then. */
int program_main(const struct program *p, int argc, char **argv);
/* Prints "error: ...", "hint: ..." to stderr (as JSON {"error","code","hint"} on stderr under --json) and returns the exit status. in
 * may be NULL. */
int program_fail(const struct invocation *in, const struct error *err);
/* What is wrong with a program's tables (a default out of range, one letter for two options, a missing summary ...). For tests, which
 * reach a built program's through its hidden command `check-tables`: exit status 0, or 1 with the reason. */
MUST_CHECK bool program_lint(const struct program *p, struct error *err);

/*
 * What a command asks. Names are the rows' (asking for one that is not declared is an invariant). Values were checked when parsed:
 * valid UTF-8, in range. Thread-safe; strings live until program_main returns, also those that a reload replaced.
 */
const char *invocation_arg(const struct invocation *in, const char *name);          /* NULL: not given */
size_t invocation_arg_count(const struct invocation *in, const char *name);         /* of a repeated argument */
const char *invocation_arg_at(const struct invocation *in, const char *name, size_t i);
const char *option_text(const struct invocation *in, const char *name);             /* NULL: no value */
int64_t option_int(const struct invocation *in, const char *name);                  /* INT, SIZE, DURATION (ms); needs a value or default: 0 without */
bool option_bool(const struct invocation *in, const char *name);
size_t option_count(const struct invocation *in, const char *name);
const char *option_at(const struct invocation *in, const char *name, size_t i);
/* "flag --x", "environment X", "/etc/tana/tana.conf:12", "default", "unset": for `config show --origin` and messages. */
const char *option_origin(const struct invocation *in, const char *name);
/* For program.user_file: a value (repeatable: separated by blanks) for an option, taken unless flag or environment gave one.
 * ERR_CONFIG, naming the origin: not an option of the program (with the nearest name as the hint), or a wrong value. All three are
 * copied. */
MUST_CHECK bool invocation_offer(struct invocation *in, const char *name, const char *value, const char *origin, struct error *err);
const struct program *invocation_program(const struct invocation *in);
const struct command *invocation_command(const struct invocation *in);
/* Reads files and environment again (flags stay); only OPTION_RELOADABLE rows change, others that differ are logged as needing a
 * restart. On failure nothing changed. */
MUST_CHECK bool invocation_reload(struct invocation *in, struct error *err);

/* From the tables: roff man page, completion scripts. shell is "bash", "zsh" or "fish". */
void program_man(const struct program *p, struct buf *out);
MUST_CHECK bool program_completion(const struct program *p, const char *shell, struct buf *out);
/* A JSON array of {"name":..,"value":..,"origin":..} rows: value is the text as it was given, an array for a repeatable option, null
 * when unset. Values of OPTION_SECRET rows are "(secret)"; passwords inside URLs are "***". */
void program_config_json(const struct invocation *in, struct buf *out);

#endif
