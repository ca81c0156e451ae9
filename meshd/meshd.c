/*
 * meshd: who is in the network.
 *
 * It keeps a registry of nodes (mesh_schema.c) in SQLite or PostgreSQL. Nodes ask to be in it with registrations signed by their own keys; sovereign keys admit or deny them,
 * signing for each decision; heartbeats, signed as well, show who lives. Every signed change is an entry of an append-only Merkle log, so that anybody can check afterwards that the registry is
 * what the signatures say, and that history was not rewritten.
 *
 * What drives it: HTTP requests (api_*.c, table in api_routes.c). A change is parsed into a statement (wire/mesh_statement.h), judged and applied by pure rules (mesh_rules.c) over
 * an abstract registry (mesh_state.h) inside one transaction of the writer (mesh_change.c), and logged (mesh_log.c). Heartbeats have a shorter way (mesh_liveness.c). In
 * the background mesh_watch.c calls silent nodes offline, mesh_feed.c hands events to watchers, mesh_snapshot.c makes the signed peer list.
 * `meshd verify` (mesh_verify.c) replays the log through the very same rules into memory (mesh_replay.c) and compares every row.
 *
 * No instance holds anything that another one needs: several may run on one PostgreSQL, sharing the coordinator's key.
 */
#include <stdlib.h>

#include "api.h"
#include "daemon/daemon.h"
#include "mesh.h"
#include "mesh_commands.h"
#include "mesh_feed.h"
#include "mesh_hints.h"
#include "mesh_metrics.h"
#include "mesh_snapshot.h"
#include "mesh_watch.h"

enum { RING_EVENTS = 4096 };

static bool mesh_ready(void *ctx, struct error *err)
{
	struct mesh *m = ctx;
	return db_pool_ready(m->pool, err);
}

static void write_network(void *ctx, struct buf *out)
{
	const struct mesh *m = ctx;
	buf_puts(out, ",\"network\":");
	buf_put_json_string(out, m->config.network);
}

static void write_info(void *ctx, struct buf *out)
{
	const struct mesh *m = ctx;
	char url[256];
	write_network(ctx, out);
	buf_puts(out, ",\"coordinator\":");
	buf_put_json_string(out, m->coordinator_key);
	buf_puts(out, ",\"configuration\":{\"db\":");
	buf_put_json_string(out, db_url_display(m->config.db_url, url, sizeof(url)) ? str_from(url) : STR_LIT(""));
	buf_printf(out, ",\"dev\":%s,\"requireFullSignature\":%s", m->config.limits.dev ? "true" : "false", m->config.limits.require_full ? "true" : "false");
	buf_printf(out, ",\"heartbeatTimeoutMs\":%lld,\"pendingMax\":%lld,\"pendingTtlMs\":%lld,\"historyKeepMs\":%lld,\"snapshotTtlMs\":%lld}",
		   (long long)m->config.heartbeat_timeout_ms, (long long)m->config.limits.pending_max, (long long)m->config.pending_ttl_ms,
		   (long long)m->config.history_keep_ms, (long long)m->config.snapshot_ttl_ms);
}

static bool mesh_start(void *state, const struct invocation *in, struct http_options *http, struct error *err)
{
	struct mesh *m = state;
	if (!mesh_configure(m, in, err) || !mesh_open(m, err) || !mesh_bootstrap_sovereigns(m, in, err))
		return false;
	m->hints = mesh_hints_new();
	m->hub = sse_hub_new(RING_EVENTS);
	m->feed = mesh_feed_start(m, err);
	if (!m->feed)
		return false;
	m->snapshots = mesh_snapshot_start(m);
	http->description = MESH_DESCRIPTION;
	http->routes = mesh_routes;
	http->route_count = mesh_route_count;
	http->ctx = m;
	http->ready = mesh_ready;
	http->health = write_network;
	http->info = write_info;
	http->metrics = mesh_metrics_collect;
	http->metric_list = mesh_metric_list;
	return true;
}

static void mesh_serving(void *state, struct http_server *server)
{
	struct mesh *m = state;
	(void)server;
	m->watch = mesh_watch_start(m);
}

static void mesh_quiesce(void *state)
{
	struct mesh *m = state;
	mesh_watch_stop(m->watch);
	m->watch = NULL;
	mesh_snapshot_quiesce(m->snapshots);
}

static void mesh_stop(void *state)
{
	struct mesh *m = state;
	mesh_quiesce(m);
	mesh_snapshot_stop(m->snapshots);
	mesh_feed_stop(m->feed);
	if (m->hub)
		sse_hub_free(m->hub);
	mesh_hints_free(m->hints);
	mesh_close(m);
}

static const struct daemon mesh_daemon = {
	.service = "mesh",
	.default_listen = "127.0.0.1:8190",
	.start = mesh_start,
	.serving = mesh_serving,
	.quiesce = mesh_quiesce,
	.stop = mesh_stop,
};

static int run(struct invocation *in)
{
	struct mesh m = {.pool = NULL};
	return daemon_run(&mesh_daemon, &m, in);
}

static bool check(struct invocation *in, struct error *err)
{
	struct mesh m = {.pool = NULL};
	bool ok = daemon_check(in, err) && mesh_configure(&m, in, err);
	if (ok && !str_present(m.config.network))
		ok = error_set(err, ERR_CONFIG, "--network is required");
	mesh_close(&m);
	return ok;
}

/* Rows of every command: where the registry is, and whose. */
#define STORE_ROWS                                                                                                             \
	{.name = "db", .type = OPTION_TEXT, .value = "URL", .fallback = "sqlite:/var/lib/tana/mesh.db", .doc = "The database: sqlite:PATH or postgres://..."}, \
	{.name = "data", .type = OPTION_TEXT, .value = "DIR", .fallback = "/var/lib/tana/mesh", .doc = "Directory for the coordinator's key and temporary files."}, \
	{.name = "coordinator-key", .type = OPTION_TEXT, .value = "FILE", .doc = "The coordinator's key file; instances of one mesh share it. Default: coordinator-key.json in --data."}, \
	{.name = "network", .type = OPTION_TEXT, .value = "NAME", .doc = "The network's name, part of every signed message. Required without --dev."}, \
	{.name = "dev", .type = OPTION_BOOL, .fallback = "no", .doc = "A local network for development: takes old signed forms, and the first sovereign key unsigned from loopback."}, \
	{.name = "sovereign-key", .type = OPTION_TEXT, .flags = OPTION_REPEATABLE, .value = "KEY", .doc = "A first sovereign key, for a registry that has none."}, \
	{.name = "require-full-signature", .type = OPTION_BOOL, .doc = "Refuse registrations whose signature does not cover services and address. Default: yes without --dev."}, \
	{.name = "heartbeat-timeout", .type = OPTION_DURATION, .value = "TIME", .fallback = "5m", .min = 100, .max = INT64_C(30) * 86400000, \
	 .doc = "Active nodes not heard of for this long are offline."}, \
	{.name = "offline-grace", .type = OPTION_DURATION, .value = "TIME", .min = 0, .max = INT64_C(30) * 86400000, \
	 .doc = "After a start nobody is called offline for this long. Default: the heartbeat timeout."}, \
	{.name = "pending-max", .type = OPTION_INT, .value = "N", .fallback = "10000", .min = 1, .max = 10000000, .doc = "Registrations that may wait for approval."}, \
	{.name = "pending-ttl", .type = OPTION_DURATION, .value = "TIME", .fallback = "168h", .min = 1000, .max = INT64_C(3650) * 86400000, \
	 .doc = "Registrations nobody approves expire after this time."}, \
	{.name = "history-keep", .type = OPTION_DURATION, .value = "TIME", .fallback = "720h", .min = 1000, .max = INT64_C(36500) * 86400000, \
	 .doc = "Heartbeats older than this are thinned to one a day."}, \
	{.name = "snapshot-ttl", .type = OPTION_DURATION, .value = "TIME", .fallback = "24h", .min = 2000, .max = INT64_C(365) * 86400000, \
	 .doc = "How long a topology snapshot is good."}

static const struct option_row store_options[] = {STORE_ROWS, {.name = NULL}};
static const struct option_row verify_options[] = {
	STORE_ROWS,
	{.name = "json", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "One JSON object a finding, and one at the end."},
	{.name = "checkpoint", .type = OPTION_TEXT, .value = "FILE", .doc = "A checkpoint kept from earlier: the log must extend it."},
	{.name = NULL},
};
static const struct argument_row backup_args[] = {
	{.name = "file", .required = true, .doc = "The copy to make; must not exist.", .complete = "file"},
	{.name = NULL},
};

static const struct command commands[] = {
	{.path = "run", .options = store_options, .run = run, .check = check, .summary = "Serve the registry (the default command)",
	 .example = "meshd run --network tana-main --db sqlite:/var/lib/tana/mesh.db --listen 100.64.0.1:8190"},
	{.path = "init", .options = store_options, .run = mesh_command_init, .summary = "Make the database, the coordinator's key and the first sovereign keys",
	 .example = "meshd init --network tana-main --sovereign-key ed25519_..."},
	{.path = "verify", .options = verify_options, .run = mesh_command_verify, .summary = "Check every row of the registry against the signatures of its log",
	 .doc = "Exit status: 0 the registry is what its log says, 1 something differs (each difference is named), 2 it could not be checked. A serving meshd is not disturbed.",
	 .example = "meshd verify --db sqlite:/var/lib/tana/mesh.db"},
	{.path = "backup", .args = backup_args, .options = store_options, .run = mesh_command_backup, .summary = "Copy the registry (SQLite) while it is in use",
	 .doc = "The copy is a database that meshd can serve, with the coordinator's key file beside it. On PostgreSQL use pg_dump.",
	 .example = "meshd backup /var/backups/mesh.db"},
	{.path = "openapi", .run = mesh_command_openapi, .summary = "Print the OpenAPI document of the HTTP interface"},
	{.path = "api-doc", .run = mesh_command_api_doc, .summary = "Print the reference of the HTTP interface as Markdown"},
	{.path = NULL},
};
static const char *const defaults[] = {"listen", "127.0.0.1:8190", NULL};
static const struct program meshd = {
	.name = "meshd",
	.section = "mesh",
	.summary = "registry of a tana network's nodes",
	.doc = "meshd keeps who is in the network: nodes register with signed requests, a sovereign key admits them, heartbeats show who lives. Every signed change is logged in a Merkle "
	       "log that anybody can check.",
	.options = daemon_options,
	.commands = commands,
	.default_command = "run",
	.default_config = "/etc/tana/tana.conf",
	.defaults = defaults,
};

int main(int argc, char **argv)
{
	return program_main(&meshd, argc, argv);
}
