/*
 * The one start-up of all daemons: options common to them, log, crypto self-test, HTTP server, signals, sd_notify, drain.
 *
 *	int main(int argc, char **argv) { return program_main(&meshd, argc, argv); }
 *	static int run(struct invocation *in) { return daemon_run(&mesh_daemon, &state, in); }
 *
 * SIGTERM, SIGINT: STOPPING=1, drain at most 8 s, quiesce(), server gone, stop(), exit 0, all in under 10 s (what takes longer is cut off
 * with exit status 1). A second one exits at once with 130.
 * SIGHUP: RELOADING=1, log reopened, OPTION_RELOADABLE options taken anew, reload(), READY=1; a wrong configuration changes nothing.
 * WATCHDOG=1 is sent at half the interval systemd asks for, while the main thread turns.
 * Runs with umask 077, SIGPIPE ignored, the descriptor limit raised to its hard limit.
 */
#ifndef TANA_DAEMON_DAEMON_H
#define TANA_DAEMON_DAEMON_H

#include "command.h"
#include "http/server.h"

struct daemon {
	const char *service;        /* "mesh" */
	const char *default_listen; /* "127.0.0.1:8190"; for when neither the options nor program.defaults say */
	/* Opens what the service needs and fills the service's part of *http (routes, ctx, ready, health, info, metrics). What takes long in it asks
	 * daemon_end_asked() now and then, and fails with ERR_INTERRUPTED when it is so: the process ends with 0, as after a stop. */
	bool (*start)(void *state, const struct invocation *in, struct http_options *http, struct error *err);
	/* The server listens: background work may begin. May be NULL. */
	void (*serving)(void *state, struct http_server *server);
	void (*reload)(void *state, const struct invocation *in); /* may be NULL */
	/* Requests were answered, or given up after the drain: stop background work, so that nothing calls into the server any more. The server
	 * is still there. May be NULL. */
	void (*quiesce)(void *state);
	/* The server is gone: close everything. Also called when start failed half-way. */
	void (*stop)(void *state);
};
/* The whole life of the daemon, with `in` of its run command. Returns the exit status: 0 after a stop; when it could not start 1, or 2 if
 * options or configuration are to blame, and one line of log has said why. */
int daemon_run(const struct daemon *d, void *state, struct invocation *in);
/* While it starts: has a signal asked for the end, which is taken when the service listens? Any thread. */
MUST_CHECK bool daemon_end_asked(void);

/* Rows for a daemon's `struct program`.options: listen, config, log-level, log-format, log-file, access-log, tls-cert, tls-key,
 * rate-limit, rate-burst, rate-limit-loopback, max-connections, max-connections-per-address, max-streams, idle-timeout, workers.
 * (--check-config, --version, --help are program_main's.) */
extern const struct option_row daemon_options[];

/* What is wrong with the options above beyond single values: the listen address, TLS files (both or neither, readable). For a
 * command's `check`; daemon_run calls it too. Opens nothing but the TLS files. */
MUST_CHECK bool daemon_check(const struct invocation *in, struct error *err);
/* log_open as the options say. daemon_run does it; a daemon's other commands (verify, backup) that log call it themselves. */
MUST_CHECK bool daemon_log_open(const char *service, const struct invocation *in, struct error *err);

/* Version of this build: "0.1.0", and the commit "abc1234" ("unknown" outside a checkout; "-dirty" appended when the tree was changed). */
const char *tana_version(void);
const char *tana_commit(void);

#endif
