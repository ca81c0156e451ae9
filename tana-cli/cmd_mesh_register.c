/* mesh register, mesh heartbeat: what a node says with its own key. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "commands.h"
#include "daemon/daemon.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"
#include "tailscale.h"

enum { RETRY_MS = 5000, INVITE_TEXT_MAX = 128 };

/* "type=rest": both parts; false when there is no '='. */
static bool split_pair(const char *text, struct str *type, struct str *rest)
{
	const char *equals = strchr(text, '=');
	if (!equals)
		return false;
	*type = str_of(text, (size_t)(equals - text));
	*rest = str_from(equals + 1);
	return true;
}

static bool unknown_service(const char *given, const char *form, struct error *err)
{
	error_set(err, ERR_USAGE, "--service takes %s, not '%s'.", form, given);
	return error_hint(err, "the types are mesh, t4, ledger, identity, and names of your own that begin with x-");
}

/* What a node offers: --service, or ledger and t4 at their default ports; shifted by --port-offset. */
static bool collect_services(struct cli *c, struct json_list *out, struct error *err)
{
	static const char *const usual[] = {"ledger=8080", "t4=8180"};
	size_t n = option_count(c->in, "service"), count = n ? n : ARRAY_LEN(usual);
	struct mesh_service *list = arena_zalloc(&c->arena, count, sizeof *list);
	if (count > MESH_SERVICES_MAX)
		return error_set(err, ERR_USAGE, "A node offers at most %d services.", MESH_SERVICES_MAX);
	for (size_t i = 0; i < count; i++) {
		const char *given = n ? option_at(c->in, "service", i) : usual[i];
		struct str port;
		if (!split_pair(given, &list[i].type, &port) || !mesh_service_type_valid(list[i].type) || !str_to_int64(port, &list[i].port))
			return unknown_service(given, "TYPE=PORT", err);
		list[i].port += option_int(c->in, "port-offset");
		if (list[i].port < 1 || list[i].port > 65535)
			return error_set(err, ERR_USAGE, "Port %lld of %.*s is not within 1-65535.", (long long)list[i].port,
					 STR_ARG(list[i].type));
	}
	*out = (struct json_list){list, count};
	return true;
}

/* Each service has a key of its own, made when it is not there. */
static bool give_keys(struct cli *c, struct str node_id, const struct json_list *services, struct error *err)
{
	struct mesh_service *list = services->items;
	for (size_t i = 0; i < services->count; i++) {
		char key[ED25519_PUBLIC_TEXT_LEN + 1];
		struct ed25519_public public_key;
		if (!keystore_service(c, node_id, list[i].type, &public_key, NULL, err))
			return false;
		ed25519_public_to_text(&public_key, key);
		list[i].public_key = arena_copy(&c->arena, str_from(key));
	}
	return true;
}

/* The node's key file, made when there is none: node-key-<id>.json, or without --node-id node-key.json, this machine's own. One that `tana keys new node`
 * made for it under its name is taken. */
static bool open_or_make_node_key(struct cli *c, const char **path, struct keyfile *k, bool *created, struct error *err)
{
	const char *named = option_text(c->in, "node-id");
	struct str id;
	*path = named ? keystore_node_path(c, named, err) : path_own_node_key(&c->arena);
	*created = false;
	if (!named && !file_exists(*path) && file_exists(path_node_key(&c->arena, str_from(cli_machine_id(c))))) {
		named = cli_machine_id(c);
		*path = path_node_key(&c->arena, str_from(named));
	}
	if (!*path || (named && !cli_node_id(named, &id, err)))
		return false;
	if (file_exists(*path)) {
		if (!keystore_open(c, *path, k, err))
			return false;
		if (str_present(k->node_id) && (!named || str_is(k->node_id, named)))
			return true;
		keyfile_wipe(k);
		return error_set(err, ERR_KEY_FILE, "%s is not the key of node %s.", *path, named ? named : "any");
	}
	*created = true;
	*k = (struct keyfile){.node_id = str_from(named ? named : cli_machine_id(c))};
	return cli_node_id(k->node_id.p, &id, err) && keystore_create(*path, k, STR_NONE, err);
}

/* --invite CODE; "-" reads it from standard input, so that it is in no shell history. */
static bool read_invite(struct cli *c, struct ed25519_secret *out, struct error *err)
{
	const char *code = option_text(c->in, "invite");
	char line[INVITE_TEXT_MAX] = "";
	if (strcmp(code, "-") == 0) {
		if (!fgets(line, sizeof line, stdin))
			return error_set(err, ERR_USAGE, "--invite - reads the code from standard input, and there was none.");
		line[strcspn(line, "\r\n")] = '\0';
		code = line;
	}
	struct error why;
	bool ok = ed25519_secret_from_text(str_from(code), KEY_LENIENT, out, &why);
	explicit_bzero(line, sizeof line);
	return ok || error_set(err, ERR_USAGE, "This is no invite code: a code is what tana mesh invite printed.");
}

/* All that can be wrong with the command line or this machine, before any key is made. Under --dev the host's name comes from the node's id. */
static bool fill_place(struct cli *c, struct mesh_register *r, struct error *err)
{
	struct tailscale_self self = {.hostname = STR_NONE, .ip = STR_LIT("127.0.0.1")};
	json_message_clear(&mesh_register_message, r);
	if (!collect_services(c, &r->services, err) || (!option_bool(c->in, "dev") && !tailscale_self(&c->arena, &self, err)))
		return false;
	r->tailscale_hostname = self.hostname;
	r->tailscale_ip = self.ip;
	r->role = str_from(option_text(c->in, "role"));
	r->region = str_from(option_text(c->in, "region"));
	r->provider = str_from(option_text(c->in, "provider"));
	return true;
}

struct registered {
	struct str node_id, status, public_key, key_file, hostname, network;
	struct json_list services; /* struct mesh_service */
};
static const struct json_field registered_rows[] = {
	F_TEXT(struct registered, node_id, "nodeId", 0, 0, "The node."),
	F_TEXT(struct registered, status, "status", 0, 0, "Its status now."),
	F_TEXT(struct registered, network, "network", 0, 0, "The network."),
	F_TEXT(struct registered, public_key, "publicKey", 0, 0, "Its key."),
	F_TEXT(struct registered, key_file, "keyFile", 0, 0, "Where that lies."),
	F_TEXT(struct registered, hostname, "tailscaleHostname", 0, 0, "Its host."),
	F_LIST(struct registered, services, "services", 0, 0, &mesh_service_message, "What it offers."),
};
static JSON_MESSAGE(registered_message, "Registered", struct registered, registered_rows);

static void tell_registered(struct cli *c, const struct registered *r, bool new_key)
{
	bool active = str_is(r->status, "active");
	if (c->json) {
		json_print(&registered_message, r);
		return;
	}
	say(c, "Registered %.*s in network %.*s: %s", STR_ARG(r->node_id), STR_ARG(r->network),
	    tinted(&c->arena, active ? TINT_GOOD : TINT_WARN, r->status));
	say(c, "  key   %.*s", STR_ARG(r->public_key));
	say(c, "  file  %s%s", path_short(&c->arena, r->key_file.p), new_key ? " (new)" : "");
	if (str_is(r->status, "pending"))
		hint(c, "a sovereign admits it: tana mesh approve %.*s", STR_ARG(r->node_id));
	else if (active)
		hint(c, "tell that it lives: tana mesh heartbeat --node-id %.*s", STR_ARG(r->node_id));
}

static bool register_with(struct cli *c, struct mesh_register *r, const char *path, struct keyfile *k, bool created,
			  const struct ed25519_secret *invite, struct error *err)
{
	struct mesh_node_answer answer;
	char key[ED25519_PUBLIC_TEXT_LEN + 1];
	r->node_id = k->node_id;
	if (option_bool(c->in, "dev"))
		r->tailscale_hostname = arena_printf(&c->arena, "%.*s.local.ts.net", STR_ARG(r->node_id));
	if (!give_keys(c, r->node_id, &r->services, err))
		return false;
	if (!mesh_client_register(c->mesh, r, &k->secret, invite, &c->arena, &answer, err)) {
		if (err->code == ERR_NODE_ID_TAKEN)
			error_hint(err, "choose another name with --node-id, or bring the key it was registered with");
		return false;
	}
	ed25519_public_to_text(&k->public_key, key);
	struct registered done = {.node_id = r->node_id,
				  .status = answer.status,
				  .public_key = str_from(key),
				  .key_file = str_from(path),
				  .hostname = r->tailscale_hostname,
				  .network = mesh_client_network(c->mesh),
				  .services = r->services};
	tell_registered(c, &done, created);
	return true;
}

static bool do_register(struct cli *c, struct error *err)
{
	struct mesh_register r;
	struct keyfile k;
	struct ed25519_secret invite;
	bool invited = option_text(c->in, "invite") != NULL, created;
	const char *path;
	if (!cli_mesh_signing(c, err) || !fill_place(c, &r, err) || (invited && !read_invite(c, &invite, err)))
		return false;
	bool ok = open_or_make_node_key(c, &path, &k, &created, err);
	if (ok) {
		ok = register_with(c, &r, path, &k, created, invited ? &invite : NULL, err);
		keyfile_wipe(&k);
	}
	if (invited)
		ed25519_secret_wipe(&invite);
	return ok;
}

/* Heartbeats. */

static bool collect_health(struct cli *c, struct json_list *out, struct error *err)
{
	size_t n = option_count(c->in, "service");
	struct mesh_health *list = arena_zalloc(&c->arena, n, sizeof *list);
	for (size_t i = 0; i < n; i++) {
		const char *given = option_at(c->in, "service", i);
		struct str health;
		if (!split_pair(given, &list[i].type, &health) || !mesh_service_type_valid(list[i].type) ||
		    (!str_is(health, "healthy") && !str_is(health, "unhealthy")))
			return unknown_service(given, "TYPE=healthy or TYPE=unhealthy", err);
		list[i].healthy = str_is(health, "healthy") ? JSON_TRUE : JSON_FALSE;
	}
	*out = (struct json_list){n ? list : NULL, n};
	return true;
}

static bool beat(struct cli *c, const struct keyfile *k, struct json_list health, struct error *err)
{
	struct mesh_heartbeat h;
	struct mesh_heartbeat_answer answer;
	struct mesh_health *items = health.items;
	struct arena arena;
	json_message_clear(&mesh_heartbeat_message, &h);
	h.node_id = k->node_id;
	h.version = str_from(tana_version());
	h.services = health;
	for (size_t i = 0; i < health.count; i++)
		items[i].last_check = clock_wall_ms();
	arena_init(&arena); /* of its own: the sender runs for years */
	bool ok = mesh_client_heartbeat(c->mesh, &h, &k->secret, &arena, &answer, err);
	if (ok && c->json)
		json_print(&mesh_heartbeat_answer_message, &answer);
	else if (ok)
		say(c, "%.*s  heartbeat of %.*s accepted", STR_ARG(date(&arena, answer.timestamp)), STR_ARG(k->node_id));
	arena_free(&arena);
	return ok;
}

/* Errors that pass by themselves: the coordinator comes back, a sovereign approves. */
static bool worth_waiting(enum error_code code)
{
	return code == ERR_UNREACHABLE || code == ERR_TIMED_OUT || code == ERR_UNAVAILABLE || code == ERR_OVERLOADED ||
	       code == ERR_RATE_LIMITED || code == ERR_SHUTTING_DOWN || code == ERR_STORAGE_FULL || code == ERR_INTERNAL ||
	       code == ERR_NODE_NOT_ACTIVE || code == ERR_REPLAYED || code == ERR_TIMESTAMP_OUT_OF_RANGE;
}

static bool beat_on(struct cli *c, const struct keyfile *k, struct json_list health, struct error *err)
{
	int64_t interval = option_int(c->in, "interval"), retry = interval < RETRY_MS ? interval : RETRY_MS;
	enum error_code last = ERR_COUNT;
	cli_catch_interrupts();
	do {
		bool ok = cli_mesh_signing(c, err) && beat(c, k, health, err);
		if (!ok && !worth_waiting(err->code))
			return false;
		if (!ok && err->code != last)
			note(c, "%s (trying again every %.1f s)", err->message, (double)retry / 1000);
		else if (ok && last != ERR_COUNT)
			note(c, "Accepted again.");
		last = ok ? ERR_COUNT : err->code;
	} while (cli_sleep(last == ERR_COUNT ? interval : retry));
	c->status = cli_interrupted == SIGINT ? EXIT_INTERRUPTED : EXIT_DONE;
	return true;
}

static bool heartbeat(struct cli *c, struct error *err)
{
	struct keyfile k = {0};
	struct json_list health = {0};
	const char *path = keystore_node_path(c, option_text(c->in, "node-id"), err);
	if (!path || !collect_health(c, &health, err) || !keystore_open(c, path, &k, err))
		return false;
	bool ok = option_bool(c->in, "once") ? cli_mesh_signing(c, err) && beat(c, &k, health, err) : beat_on(c, &k, health, err);
	if (!ok && err->code == ERR_NODE_NOT_ACTIVE && !err->hint[0])
		error_hint(err, "a sovereign admits it: tana mesh approve %.*s", STR_ARG(k.node_id));
	if (!ok && err->code == ERR_UNKNOWN_NODE && !err->hint[0])
		error_hint(err, "register it: tana mesh register --node-id %.*s", STR_ARG(k.node_id));
	keyfile_wipe(&k);
	return ok;
}

int cmd_mesh_register(struct invocation *in)
{
	return cli_run(in, do_register);
}

int cmd_mesh_heartbeat(struct invocation *in)
{
	return cli_run(in, heartbeat);
}
