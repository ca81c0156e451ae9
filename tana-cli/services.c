#include "services.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "http/client.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"
#include "process.h"

enum { RECORD_MAX = 64 * 1024, READY_POLL_MS = 50, READY_TIMEOUT_MS = 2000 };

static bool prepare_mesh(struct cli *c, const struct service *s, struct service_launch *l, struct error *err);

const struct service services[] = {
	{.name = "mesh", .binary = "meshd", .listen_option = "mesh-listen", .prepare = prepare_mesh, .summary = "the node registry"},
	{.name = "ledger", .binary = "ledgerd", .listen_option = "ledger-listen", .prepare = service_prepare_ledger, .summary = "the chain"},
	{.name = "t4", .binary = "t4d", .listen_option = "t4-listen", .prepare = service_prepare_t4, .summary = "the content store"},
	{.name = "identity", .binary = "identityd", .listen_option = "identity-listen", .prepare = service_prepare_identity, .summary = "logins"},
	{0},
};
_Static_assert(ARRAY_LEN(services) <= SERVICES_MAX + 1, "SERVICES_MAX must count every row");

size_t service_count(void)
{
	return ARRAY_LEN(services) - 1;
}

const struct service *service_named(const char *name)
{
	for (const struct service *s = services; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* Paths and binaries. */

const char *service_lock_path(struct cli *c, const char *name)
{
	return path_state(&c->arena, cli_chain(c), "run/%s.lock", name);
}

const char *service_log_path(struct cli *c, const char *name)
{
	return path_state(&c->arena, cli_chain(c), "logs/%s.log", name);
}

const char *service_own_dir(struct arena *a)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n <= 0)
		return NULL;
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	if (!slash || slash == self)
		return NULL;
	*slash = '\0';
	return arena_strdup(a, self);
}

const char *service_binary(struct cli *c, const struct service *s, struct error *err)
{
	const char *dir = service_own_dir(&c->arena), *path = getenv("PATH");
	if (dir) {
		const char *beside = arena_printf(&c->arena, "%s/%s", dir, s->binary).p;
		if (access(beside, X_OK) == 0)
			return beside;
	}
	char *save = NULL, *copy = arena_strdup(&c->arena, path ? path : "");
	for (char *p = strtok_r(copy, ":", &save); p; p = strtok_r(NULL, ":", &save)) {
		const char *there = arena_printf(&c->arena, "%s/%s", p, s->binary).p;
		if (p[0] == '/' && access(there, X_OK) == 0)
			return there;
	}
	error_set(err, ERR_NOT_FOUND, "There is no %s beside this program, nor in PATH.", s->binary);
	error_hint(err, "build it: make, or install the package tana-%s", s->name);
	return NULL;
}

/* Records. */

static const struct json_field record_rows[] = {
	F_INT(struct service_record, pid, "pid", JSON_REQUIRED, 1, INT32_MAX, "Process number."),
	F_INT(struct service_record, start_ticks, "startTicks", JSON_REQUIRED, 0, 0,
	      "When it started, in ticks since boot: tells it from a later process."),
	F_INT(struct service_record, started_at, "startedAt", JSON_REQUIRED, 0, 0, "When it started."),
	F_TEXT(struct service_record, url, "url", JSON_REQUIRED, 0, "Its address."),
	F_TEXTS(struct service_record, argv, "argv", JSON_REQUIRED, SERVICE_ARGS_MAX, NULL, "Its command line."),
	F_TEXTS(struct service_record, environment, "environment", 0, 3, NULL, "What was added to its environment."),
};
static JSON_MESSAGE(record_message, "ServiceRecord", struct service_record, record_rows);

static const char *record_path(struct cli *c, const char *name)
{
	return path_state(&c->arena, cli_chain(c), "run/%s.json", name);
}

bool service_record_read(struct cli *c, const char *name, struct service_record *out)
{
	struct buf text = {0};
	struct error ignored;
	bool ok = file_read(record_path(c, name), RECORD_MAX, &text, &ignored) &&
		  json_read_text(buf_str(&text), &record_message, out, &c->arena, &ignored);
	buf_free(&text);
	return ok;
}

bool service_record_write(struct cli *c, const char *name, const struct service_record *r, struct error *err)
{
	struct buf text = {0};
	json_write(&text, &record_message, r);
	buf_putc(&text, '\n');
	bool ok = file_write_atomic(record_path(c, name), buf_str(&text), 0600, FILE_REPLACE, err);
	buf_free(&text);
	return ok;
}

bool service_running(struct cli *c, const char *name, struct service_record *out)
{
	return process_runs(service_lock_path(c, name)) && service_record_read(c, name, out);
}

const char *service_running_url(struct cli *c, const char *name)
{
	struct service_record r;
	return service_running(c, name, &r) ? r.url.p : NULL;
}

/* Launches. */

void service_argument(struct service_launch *l, const char *text)
{
	size_t n = 0;
	while (l->argv[n])
		n++;
	invariant(n < SERVICE_ARGS_MAX);
	l->argv[n] = text;
}

void service_argument_pair(struct service_launch *l, const char *flag, const char *value)
{
	service_argument(l, flag);
	service_argument(l, value);
}

/* The operator's sovereign keys: the ones named, else the one in the key folder; under --dev one is made at the first start. */
static bool prepare_sovereigns(struct cli *c, struct service_launch *l, struct error *err)
{
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	struct keyfile k = {0};
	size_t named = option_count(c->in, "sovereign-key");
	for (size_t i = 0; i < named; i++)
		service_argument_pair(l, "--sovereign-key", option_at(c->in, "sovereign-key", i));
	if (named)
		return true;
	const char *path = path_sovereign_key(&c->arena);
	if (file_exists(path)) {
		if (!keystore_look(c, path, &k, err))
			return false;
	} else if (option_bool(c->in, "dev")) {
		k.description = STR_LIT("made by tana start --dev");
		if (!keystore_create(path, &k, STR_NONE, err))
			return false;
		note(c, "Made a sovereign key for this development network: %s", path_short(&c->arena, path));
	} else {
		error_set(err, ERR_KEY_NEEDED, "A network needs a sovereign key, the one that admits nodes, and there is none in %s.",
			  path_short(&c->arena, path));
		return error_hint(
			err,
			"tana keys new sovereign   (or name a public key: tana start --sovereign-key KEY; or try things out: tana start --dev)");
	}
	ed25519_public_to_text(&k.public_key, text);
	keyfile_wipe(&k);
	service_argument_pair(l, "--sovereign-key", arena_strdup(&c->arena, text));
	return true;
}

static bool prepare_mesh(struct cli *c, const struct service *s, struct service_launch *l, struct error *err)
{
	const char *dir = path_state(&c->arena, cli_chain(c), "%s", s->name), *postgres = option_text(c->in, "postgres");
	const char *network = option_text(c->in, "network"), *timeout = option_text(c->in, "heartbeat-timeout");
	if (!file_make_dirs(dir, 0700, err))
		return false;
	if (option_bool(c->in, "dev"))
		service_argument(l, "--dev");
	service_argument_pair(l, "--data", dir);
	service_argument_pair(l, "--network", network ? network : cli_chain(c));
	if (postgres) /* it may hold a password: not for ps */
		l->environment[0] = arena_printf(&c->arena, "TANA_MESH_DB=%s", postgres).p;
	else
		service_argument_pair(l, "--db", arena_printf(&c->arena, "sqlite:%s/mesh.db", dir).p);
	if (timeout)
		service_argument_pair(l, "--heartbeat-timeout", timeout);
	return prepare_sovereigns(c, l, err);
}

/* Can the address be had? A daemon says so too, but only in its log. */
static bool address_free(struct cli *c, const struct service *s, const char *listen_on, struct error *err)
{
	char *host = arena_strdup(&c->arena, listen_on), *colon = strrchr(host, ':');
	if (!colon || colon == host || !colon[1]) {
		error_set(err, ERR_USAGE, "--%s takes HOST:PORT, not '%s'.", s->listen_option, listen_on);
		return false;
	}
	*colon = '\0';
	if (host[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		host++;
	}
	struct addrinfo want = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found = NULL;
	if (getaddrinfo(host, colon + 1, &want, &found) != 0)
		return error_set(err, ERR_USAGE, "--%s: '%s' is no address to listen on.", s->listen_option, listen_on);
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	bool taken = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
		     bind(fd, found->ai_addr, found->ai_addrlen) != 0 && errno == EADDRINUSE;
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	if (!taken)
		return true;
	error_set(err, ERR_WRONG_STATE, "Something else listens on %s already.", listen_on);
	return error_hint(err, "choose another address: tana start --%s 127.0.0.1:PORT, or see what it is: ss -ltnp", s->listen_option);
}

bool service_plan(struct cli *c, const struct service *s, struct service_launch *out, struct error *err)
{
	const char *listen_on = option_text(c->in, s->listen_option), *binary = service_binary(c, s, err);
	*out = (struct service_launch){0};
	if (!binary || !address_free(c, s, listen_on, err))
		return false;
	service_argument(out, binary);
	service_argument_pair(out, "--listen", listen_on);
	return s->prepare(c, s, out, err);
}

static struct json_list as_list(struct arena *a, const char *const *texts)
{
	size_t n = 0;
	while (texts[n])
		n++;
	struct str *items = arena_zalloc(a, n, sizeof *items);
	for (size_t i = 0; i < n; i++)
		items[i] = str_from(texts[i]);
	return (struct json_list){items, n};
}

bool service_launch_of(struct cli *c, const struct service_record *r, struct service_launch *out, struct error *err)
{
	const struct str *argv = r->argv.items, *environment = r->environment.items;
	*out = (struct service_launch){0};
	if (r->argv.count == 0 || r->argv.count > SERVICE_ARGS_MAX || r->environment.count >= ARRAY_LEN(out->environment))
		return error_set(err, ERR_CONFIG, "The record of the last start is damaged; start it anew: tana start");
	for (size_t i = 0; i < r->argv.count; i++)
		out->argv[i] = arena_strdup(&c->arena, argv[i].p);
	for (size_t i = 0; i < r->environment.count; i++)
		out->environment[i] = arena_strdup(&c->arena, environment[i].p);
	return true;
}

/* Running. */

const char *service_url_of(struct arena *a, const char *listen_on)
{
	if (strncmp(listen_on, "0.0.0.0:", 8) == 0)
		return arena_printf(a, "http://127.0.0.1:%s", listen_on + 8).p;
	if (strncmp(listen_on, "[::]:", 5) == 0)
		return arena_printf(a, "http://[::1]:%s", listen_on + 5).p;
	return arena_printf(a, "http://%s", listen_on).p;
}

static const char *url_of(struct arena *a, const struct service_launch *l)
{
	const char *listen_on = "";
	for (size_t i = 0; l->argv[i] && l->argv[i + 1]; i++)
		if (strcmp(l->argv[i], "--listen") == 0)
			listen_on = l->argv[i + 1];
	return service_url_of(a, listen_on);
}

const char *service_database(struct arena *a, const char *url, const char *service)
{
	return arena_printf(a, "%s%coptions=-csearch_path%%3D%s", url, strchr(url, '?') ? '&' : '?', service).p;
}

bool service_spawn(struct cli *c, const struct service *s, const struct service_launch *l, bool background, pid_t *pid, struct error *err)
{
	if (!file_make_dirs(path_state(&c->arena, cli_chain(c), "run"), 0700, err) ||
	    !file_make_dirs(path_state(&c->arena, cli_chain(c), "logs"), 0700, err))
		return false;
	struct process_plan plan = {.binary = l->argv[0],
				    .argv = l->argv,
				    .environment = l->environment,
				    .lock_path = service_lock_path(c, s->name),
				    .log_path = background ? service_log_path(c, s->name) : NULL,
				    .bound_to_us = !background};
	if (!process_spawn(&plan, pid, err))
		return false;
	struct service_record r = {.pid = *pid,
				   .start_ticks = process_start_ticks(*pid),
				   .started_at = clock_wall_ms(),
				   .url = str_from(url_of(&c->arena, l)),
				   .argv = as_list(&c->arena, l->argv),
				   .environment = as_list(&c->arena, l->environment)};
	return service_record_write(c, s->name, &r, err);
}

/* One GET with a short time limit; NULL body: not wanted. */
static bool ask(const char *url, const char *path, struct buf *body, struct error *err)
{
	struct http_client_options o = {
		.base_url = url, .user_agent = "tana", .connect_timeout_ms = READY_TIMEOUT_MS, .timeout_ms = READY_TIMEOUT_MS};
	struct http_client *h = http_client_new(&o, err);
	struct http_answer_in answer;
	bool ok = h && http_call(h, "GET", path, STR_NONE, &answer, err);
	if (ok) {
		ok = answer.status == 200 || http_answer_error(&answer, err);
		if (ok && body)
			buf_put_str(body, buf_str(&answer.body));
		http_answer_free(&answer);
	}
	http_client_free(h);
	return ok;
}

bool service_ready(const char *url, struct error *err)
{
	return ask(url, "/ready", NULL, err);
}

struct info {
	struct str version;
};
static const struct json_field info_rows[] = {F_TEXT(struct info, version, "version", 0, 0, "Its version.")};
static JSON_MESSAGE(info_message, "ServiceInfo", struct info, info_rows);

struct str service_version(struct cli *c, const char *url)
{
	struct buf body = {0};
	struct info info = {.version = STR_NONE};
	struct error ignored;
	if (ask(url, "/info", &body, &ignored) && !json_read_text(buf_str(&body), &info_message, &info, &c->arena, &ignored))
		info.version = STR_NONE;
	buf_free(&body);
	return info.version;
}

bool service_wait_ready(struct cli *c, const struct service *s, pid_t pid, int64_t timeout_ms, struct error *err)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	const char *url = service_running_url(c, s->name);
	struct error why = {.message = "it was never asked"};
	for (;;) {
		int status;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) ? error_set(err, ERR_UNAVAILABLE, "%s was killed by signal %d while starting.", s->binary,
							       WTERMSIG(status))
						   : error_set(err, ERR_UNAVAILABLE, "%s ended with status %d while starting.", s->binary,
							       WEXITSTATUS(status));
		if (!url)
			url = service_running_url(c, s->name);
		if (url && service_ready(url, &why))
			return true;
		if (clock_mono_ms() >= until)
			return error_set(err, ERR_TIMED_OUT, "%s is not ready after %lld s: %s", s->binary, (long long)(timeout_ms / 1000),
					 why.message);
		if (!cli_sleep(READY_POLL_MS))
			return error_set(err, ERR_INTERRUPTED, "Interrupted while %s was starting.", s->binary);
	}
}

bool service_stop(struct cli *c, const char *name, int64_t timeout_ms, struct error *err)
{
	struct service_record r;
	if (!process_runs(service_lock_path(c, name)))
		return true;
	if (!service_record_read(c, name, &r))
		return error_set(err, ERR_CONFIG, "%s runs, but its record %s cannot be read.", name, record_path(c, name));
	if (!process_signal((pid_t)r.pid, r.start_ticks, SIGTERM) && process_runs(service_lock_path(c, name)))
		return error_errno(err, ERR_IO, errno, "cannot stop %s (process %lld)", name, (long long)r.pid);
	if (process_wait_gone(service_lock_path(c, name), timeout_ms))
		return true;
	error_set(err, ERR_TIMED_OUT, "%s (process %lld) did not stop within %lld s.", name, (long long)r.pid, (long long)(timeout_ms / 1000));
	return error_hint(err, "look at its log: tana logs %s; as the last resort: kill -9 %lld", name, (long long)r.pid);
}
