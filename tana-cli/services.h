/*
 * The services of a local network: one row each, in the order in which they start (each is ready before the next begins). A later service joins
 * by a row and by the option
 * `<name>-listen` of `tana start`.
 */
#ifndef TANA_CLI_SERVICES_H
#define TANA_CLI_SERVICES_H

#include <sys/types.h>

#include "cli.h"

enum { SERVICE_ARGS_MAX = 32, SERVICES_MAX = 8 };
/* A command line and what goes into the environment (what others must not see in ps). NULL-terminated; strings in the arena. */
struct service_launch {
	const char *argv[SERVICE_ARGS_MAX + 1];
	const char *environment[4];
};
struct service {
	const char *name;          /* "mesh": also the folder of its data, its log's name */
	const char *binary;        /* "meshd" */
	const char *listen_option; /* of `tana start`, e.g. "mesh-listen"; its default is the service's default address */
	/* Adds its own flags to a launch that has binary and --listen. Those before it run already. */
	bool (*prepare)(struct cli *c, const struct service *s, struct service_launch *launch, struct error *err);
	const char *summary;
};
extern const struct service services[];                /* ends with .name NULL */
const struct service *service_named(const char *name); /* NULL: no such */
size_t service_count(void);                            /* at most SERVICES_MAX */

/* Appends one argument; too many are an invariant. */
void service_argument(struct service_launch *l, const char *text);
void service_argument_pair(struct service_launch *l, const char *flag, const char *value);
/* http://HOST:PORT of a listen address; one that means "every interface" is reached by loopback. */
const char *service_url_of(struct arena *a, const char *listen_on);
/* The database of a service beside mesh's in one PostgreSQL: the same URL, in a schema of the service's name. */
const char *service_database(struct arena *a, const char *url, const char *service);
/* service_node.c: the node that services belong to: this machine's own, the only one there are keys of, or one by its name. */
MUST_CHECK bool service_node(struct cli *c, struct str *out, struct error *err);
/* service_ledger.c, service_identity.c, service_t4.c */
bool service_prepare_ledger(struct cli *c, const struct service *s, struct service_launch *l, struct error *err);
bool service_prepare_identity(struct cli *c, const struct service *s, struct service_launch *l, struct error *err);
bool service_prepare_t4(struct cli *c, const struct service *s, struct service_launch *l, struct error *err);
/* The launch `tana start`'s options ask for. */
MUST_CHECK bool service_plan(struct cli *c, const struct service *s, struct service_launch *out, struct error *err);

/* What is written down of a service when it starts (run/<name>.json). */
struct service_record {
	int64_t pid, start_ticks, started_at;
	struct str url;
	struct json_list argv, environment; /* struct str */
};
/* name: a service's, or "supervisor". False when there is none, or it cannot be read. */
bool service_record_read(struct cli *c, const char *name, struct service_record *out);
MUST_CHECK bool service_record_write(struct cli *c, const char *name, const struct service_record *r, struct error *err);
MUST_CHECK bool service_launch_of(struct cli *c, const struct service_record *r, struct service_launch *out, struct error *err);
const char *service_lock_path(struct cli *c, const char *name);
const char *service_log_path(struct cli *c, const char *name);

/* Is it running now? *out is its record then. */
bool service_running(struct cli *c, const char *name, struct service_record *out);
/* Its URL while it runs, else NULL. */
const char *service_running_url(struct cli *c, const char *name);

/* Starts it in the background (log_to_file) or as a child of this process, and writes it down; does not wait for it. */
MUST_CHECK bool service_spawn(struct cli *c, const struct service *s, const struct service_launch *l, bool background, pid_t *pid,
			      struct error *err);
/* GET /ready, once, with a short time limit. */
MUST_CHECK bool service_ready(const char *url, struct error *err);
/* What it says of its version; absent when it does not. */
struct str service_version(struct cli *c, const char *url);
/* Waits until it is ready; ERR_UNAVAILABLE when the process ended, ERR_TIMED_OUT, ERR_INTERRUPTED. */
MUST_CHECK bool service_wait_ready(struct cli *c, const struct service *s, pid_t pid, int64_t timeout_ms, struct error *err);
/* SIGTERM, and waits. ERR_TIMED_OUT. Fine when it does not run. */
MUST_CHECK bool service_stop(struct cli *c, const char *name, int64_t timeout_ms, struct error *err);

/* The directory of this very program, where its companions are looked for first. NULL when unknown. */
const char *service_own_dir(struct arena *a);
/* The path of a daemon's binary: beside this program, else in PATH. NULL with *err. */
const char *service_binary(struct cli *c, const struct service *s, struct error *err);

#endif
