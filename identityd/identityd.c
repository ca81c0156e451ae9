/*
 * identityd: log in with a key.
 *
 * A desktop begins a login session and shows a QR code; the phone that holds the Ed25519 key scans it, signs the session's challenge and
 * approves; the desktop hears of it by Server-Sent Events and has a token. The private key never leaves the phone, and the service knows no
 * secret of anybody: of what it hands out it keeps hashes (secrets.h). On top of this stands a small OpenID Provider, so that ordinary
 * applications can use it.
 *
 * What it keeps: sessions, tokens, the logins that users are shown (identity_schema.c). Who may ask: anybody may begin a session; what comes of it
 * is for whoever has its poll secret. Whose a key is it asks the ledger, or a file (binding.h). Every change of a session is one conditional
 * update, so of two phones one wins, on however many instances.
 *
 * What drives it: HTTP requests (api_*.c, table in api_routes.c). An approval is judged by pure rules (session_rules.h) and written by one
 * transaction (api_approve.c); whoever waits is told (watch.h), at other instances too (notify.h). A timer expires and forgets (keeper.h).
 * login.h is what everything above logins stands on.
 */
#include "api.h"
#include "binding.h"
#include "base/jobs.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "identity_commands.h"
#include "identity_metrics.h"
#include "keeper.h"
#include "notify.h"
#include "oidc.h"
#include "oidc_commands.h"

static bool identity_ready(void *ctx, struct error *err)
{
	struct identity *id = ctx;
	return db_pool_ready(id->pool, err) && binding_ready(id->binding, err);
}

static const char *binding_text(enum key_binding b)
{
	switch (b) {
	case BIND_LEDGER:
		return "ledger";
	case BIND_FILE:
		return "file";
	case BIND_TOFU:
		return "tofu";
	case BIND_NONE:
		break;
	}
	return "none";
}

static const char *match_text(enum match_when m)
{
	switch (m) {
	case MATCH_NEVER:
		return "never";
	case MATCH_NEW:
		return "new";
	case MATCH_ALWAYS:
		break;
	}
	return "always";
}

static void write_health(void *ctx, struct buf *out)
{
	const struct identity *id = ctx;
	buf_puts(out, ",\"publicUrl\":");
	buf_put_json_string(out, str_from(id->config.public_url));
}

static void write_info(void *ctx, struct buf *out)
{
	const struct identity *id = ctx;
	const struct identity_config *c = &id->config;
	char url[256];
	write_health(ctx, out);
	buf_puts(out, ",\"configuration\":{\"db\":");
	buf_put_json_string(out, db_url_display(c->db_url, url, sizeof(url)) ? str_from(url) : STR_LIT(""));
	buf_printf(out, ",\"keyBinding\":\"%s\",\"matchCode\":\"%s\",\"redis\":%s,\"sessionTtlMs\":%lld,\"tokenTtlMs\":%lld,\"maxSessions\":%lld,\"clients\":%zu}",
		   binding_text(c->binding), match_text(c->match), c->redis_url ? "true" : "false", (long long)c->session_ttl_ms,
		   (long long)c->token_ttl_ms, (long long)c->sessions_max, oidc_client_count(id->oidc));
}

static bool identity_start(void *state, const struct invocation *in, struct http_options *http, struct error *err)
{
	struct identity *id = state;
	if (!identity_configure(id, in, err) || !identity_open(id, err))
		return false;
	http->description = IDENTITY_DESCRIPTION;
	http->routes = identity_routes;
	http->route_count = identity_route_count;
	http->cors_origins = id->config.allow_origins[0] ? id->config.allow_origins : NULL;
	http->cors_headers = "Authorization, Content-Type, Last-Event-ID, X-Tana-Poll-Secret";
	http->ctx = id;
	http->ready = identity_ready;
	http->health = write_health;
	http->info = write_info;
	http->metrics = identity_metrics_collect;
	http->metric_list = identity_metric_list;
	return true;
}

static void identity_serving(void *state, struct http_server *server)
{
	struct identity *id = state;
	(void)server;
	id->keeper = keeper_start(id);
	oidc_serve(id->oidc);
}

static void identity_reload(void *state, const struct invocation *in)
{
	struct identity *id = state;
	struct error err;
	(void)in;
	if (!binding_reload(id->binding, &err))
		log_warn("the users' file was not taken; those known before stay", LOG_S("why", err.message));
	if (!oidc_reload(id->oidc, &err))
		log_warn("the clients' file was not taken; those known before stay", LOG_S("why", err.message));
}

/* Questions to the ledger that are under way are answered; nobody is told of anything any more. */
static void identity_quiesce(void *state)
{
	struct identity *id = state;
	keeper_stop(id->keeper);
	id->keeper = NULL;
	oidc_quiesce(id->oidc);
	jobs_stop(id->jobs);
	id->jobs = NULL;
	notify_stop(id->notify);
	id->notify = NULL;
}

static void identity_stop(void *state)
{
	struct identity *id = state;
	identity_quiesce(id);
	identity_close(id);
}

static const struct daemon identity_daemon = {
	.service = "identity",
	.default_listen = "127.0.0.1:8090",
	.start = identity_start,
	.serving = identity_serving,
	.reload = identity_reload,
	.quiesce = identity_quiesce,
	.stop = identity_stop,
};

static int run(struct invocation *in)
{
	struct identity id = {.pool = NULL};
	return daemon_run(&identity_daemon, &id, in);
}

static bool check(struct invocation *in, struct error *err)
{
	struct identity id = {.pool = NULL};
	bool ok = daemon_check(in, err) && identity_configure(&id, in, err);
	if (ok && id.config.binding == BIND_FILE) {
		id.binding = binding_open(&id.config, err);
		ok = id.binding != NULL;
	}
	identity_close(&id);
	return ok;
}

static const char *const binding_choices[] = {"ledger", "file", "tofu", "none", NULL};
static const char *const match_choices[] = {"never", "new", "always", NULL};
static const struct option_row run_options[] = {
	{.name = "db", .type = OPTION_TEXT, .value = "URL", .fallback = "sqlite:/var/lib/tana/identity.db", .doc = "The database: sqlite:PATH or postgres://..."},
	{.name = "public-url", .type = OPTION_TEXT, .value = "URL",
	 .doc = "Where phones and browsers reach this service: https://id.example.com. It is part of what phones sign. Required."},
	{.name = "ledger-url", .type = OPTION_TEXT, .value = "URL", .env = "TANA_LEDGER_URL", .doc = "The ledger that says whose key is whose."},
	{.name = "key-binding", .type = OPTION_CHOICE, .choices = binding_choices,
	 .doc = "Who says that a key is a user's: the ledger, --users-file, the first login (tofu), or nobody. Default: ledger with --ledger-url, else tofu."},
	{.name = "users-file", .type = OPTION_TEXT, .value = "FILE", .doc = "Users and their keys as JSON, for --key-binding file; read again at SIGHUP."},
	{.name = "clients", .type = OPTION_TEXT, .value = "FILE",
	 .doc = "OpenID clients as JSON: who may use this service as an OpenID Provider; read again at SIGHUP. `identityd client add` makes entries."},
	{.name = "oidc-keys", .type = OPTION_TEXT, .value = "FILE", .fallback = "/var/lib/tana/identity-keys.json",
	 .doc = "This instance's keys for ID tokens; made when it is missing. Used with --clients."},
	{.name = "oidc-key-lifetime", .type = OPTION_DURATION, .value = "TIME", .fallback = "2160h", .min = 1000, .max = INT64_C(3650) * 86400000,
	 .doc = "How long a key signs ID tokens before the next one does."},
	{.name = "oidc-key-overlap", .type = OPTION_DURATION, .value = "TIME", .fallback = "24h", .min = 100, .max = INT64_C(365) * 86400000,
	 .doc = "How long a key is published before it signs, and after its last ID token has expired."},
	{.name = "email-domain", .type = OPTION_TEXT, .value = "DOMAIN", .doc = "Applications are told NAME@DOMAIN as a user's email address. Default: none is told."},
	{.name = "email-verified", .type = OPTION_BOOL, .fallback = "no", .doc = "Tell applications that these addresses are the users' own, because DOMAIN makes sure of it."},
	{.name = "redis", .type = OPTION_TEXT, .flags = OPTION_SECRET, .value = "URL",
	 .doc = "Instances tell each other through this Redis instead of PostgreSQL's notifications."},
	{.name = "allow-return-origin", .type = OPTION_TEXT, .flags = OPTION_REPEATABLE, .value = "ORIGIN",
	 .doc = "Browsers may be sent back to this origin after a login, beside our own and those of clients."},
	{.name = "cookie-domain", .type = OPTION_TEXT, .value = "DOMAIN",
	 .doc = "Applications on other hosts of this domain may be protected by /auth/forward: the browser shows them a cookie that is good for that alone."},
	{.name = "allow-origin", .type = OPTION_TEXT, .flags = OPTION_REPEATABLE, .value = "ORIGIN", .doc = "Pages of this origin may call the interface (CORS)."},
	{.name = "match-code", .type = OPTION_CHOICE, .choices = match_choices, .fallback = "never",
	 .doc = "Make phones pick a number that the desktop shows: never, with browsers that are new to the user, always."},
	{.name = "session-ttl", .type = OPTION_DURATION, .value = "TIME", .fallback = "10m", .min = 1000, .max = 3600000, .doc = "How long a code is good."},
	{.name = "token-ttl", .type = OPTION_DURATION, .value = "TIME", .fallback = "24h", .min = 1000, .max = INT64_C(31) * 86400000,
	 .doc = "How long a login lasts."},
	{.name = "max-sessions", .type = OPTION_INT, .value = "N", .fallback = "100000", .min = 1, .max = 10000000, .doc = "Logins that may wait at once."},
	{.name = "streams-per-session", .type = OPTION_INT, .value = "N", .fallback = "4", .min = 1, .max = 1000, .doc = "Event streams of one session or user."},
	{.name = "streams-per-address", .type = OPTION_INT, .value = "N", .fallback = "100", .min = 1, .max = 1000000,
	 .doc = "Event streams to one address; loopback is exempt."},
	{.name = NULL},
};

static const struct argument_row client_add_args[] = {
	{.name = "clientId", .required = true, .doc = "The client's id: 1-64 of A-Z a-z 0-9 . _ -"},
	{.name = NULL},
};
static const char *const alg_choices[] = {"RS256", "EdDSA", NULL};
static const struct option_row client_add_options[] = {
	{.name = "clients", .type = OPTION_TEXT, .value = "FILE", .doc = "The file to add it to; made when it is missing. Default: print it."},
	{.name = "name", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY, .value = "NAME", .doc = "What people are told asks. Default: the id."},
	{.name = "redirect-uri", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .value = "URI", .doc = "Where its answers may go."},
	{.name = "logout-uri", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .value = "URI", .doc = "Where a browser may go after logging out."},
	{.name = "public", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "It cannot keep a secret: it runs in a browser, on a desktop, on a command line."},
	{.name = "device", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "It may use device codes. Without --redirect-uri: only these."},
	{.name = "refresh", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "It may have refresh tokens (scope offline_access)."},
	{.name = "group", .type = OPTION_TEXT, .flags = OPTION_FLAG_ONLY | OPTION_REPEATABLE, .value = "GROUP", .doc = "Only these may use it: user, staff, sovereign. Default: everybody."},
	{.name = "alg", .type = OPTION_CHOICE, .flags = OPTION_FLAG_ONLY, .choices = alg_choices, .fallback = "RS256", .doc = "How its ID tokens are signed."},
	{.name = "no-consent", .type = OPTION_BOOL, .flags = OPTION_FLAG_ONLY, .doc = "Nobody is asked whether it may know who they are: it is the operator's own."},
	{.name = NULL},
};

static const struct command commands[] = {
	{.path = "run", .options = run_options, .run = run, .check = check, .summary = "Serve logins (the default command)",
	 .example = "identityd run --public-url https://id.example.com --db sqlite:/var/lib/tana/identity.db --ledger-url http://127.0.0.1:8080"},
	{.path = "client add", .args = client_add_args, .options = client_add_options, .run = oidc_command_client_add, .summary = "Make an OpenID client",
	 .doc = "Adds it to the file of --clients, or prints the file with it alone. A client gets a secret, which is printed once and kept as its hash, unless it is --public. A running "
		"identityd takes the file anew at SIGHUP.",
	 .example = "identityd client add grafana --name Grafana --redirect-uri https://grafana.example.com/login/generic_oauth --clients /etc/tana/clients.json"},
	{.path = "client hash", .run = oidc_command_client_hash, .summary = "Read a secret from standard input and print what belongs into secretHashes",
	 .example = "openssl rand -base64 33 | tee secret | identityd client hash"},
	{.path = "openapi", .run = identity_command_openapi, .summary = "Print the OpenAPI document of the HTTP interface"},
	{.path = "api-doc", .run = identity_command_api_doc, .summary = "Print the reference of the HTTP interface as Markdown"},
	{.path = NULL},
};
static const char *const defaults[] = {"listen", "127.0.0.1:8090", "rate-limit", "20", "rate-burst", "100", NULL};
static const struct program identityd = {
	.name = "identityd",
	.section = "identity",
	.summary = "logins with keys, and an OpenID Provider",
	.doc = "identityd logs people in with the key on their phone: it shows a QR code, takes the phone's signed approval and gives the desktop a token. Ordinary applications use it as "
	       "an OpenID Provider.",
	.options = daemon_options,
	.commands = commands,
	.default_command = "run",
	.default_config = "/etc/tana/tana.conf",
	.defaults = defaults,
};

int main(int argc, char **argv)
{
	return program_main(&identityd, argc, argv);
}
