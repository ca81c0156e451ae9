/* mesh list, mesh status: who is in the network. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/units.h"
#include "commands.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"

enum { STATUSES_MAX = 8, HISTORY_SHOWN = 5, NAME_WIDTH = 14 };

static enum tint status_tint(struct str status)
{
	if (str_is(status, "active"))
		return TINT_GOOD;
	if (str_is(status, "pending"))
		return TINT_WARN;
	return TINT_BAD; /* offline, denied */
}

/* "ledger:8080 t4:8180!" : what the node offers; ! marks a service that was reported ill. */
static struct str services_text(struct arena *arena, const struct mesh_node *n)
{
	const struct mesh_node_service *s = n->services.items;
	struct buf text = {0};
	for (size_t i = 0; i < n->services.count; i++)
		buf_printf(&text, "%s%.*s:%lld%s", i ? " " : "", STR_ARG(s[i].service_type), (long long)s[i].port,
			   s[i].healthy == JSON_FALSE ? "!" : "");
	struct str out = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return out;
}

static bool unhealthy(const struct mesh_node *n)
{
	const struct mesh_node_service *s = n->services.items;
	for (size_t i = 0; i < n->services.count; i++)
		if (s[i].healthy == JSON_FALSE)
			return true;
	return false;
}

static void print_nodes(struct cli *c, const struct mesh_node_list *list)
{
	static const struct column columns[] = {{"NODE", ALIGN_LEFT},    {"STATUS", ALIGN_LEFT},  {"ROLE", ALIGN_LEFT},
						{"REGION", ALIGN_LEFT},  {"ADDRESS", ALIGN_LEFT}, {"HEARTBEAT", ALIGN_RIGHT},
						{"SERVICES", ALIGN_LEFT}};
	const struct mesh_node *nodes = list->nodes.items;
	struct table t;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < list->nodes.count; i++) {
		const struct mesh_node *n = &nodes[i];
		table_cell(&t, TINT_BOLD, n->id);
		table_cell(&t, status_tint(n->status), n->status);
		table_cell(&t, TINT_NONE, n->role);
		table_cell(&t, TINT_NONE, n->region);
		table_cell(&t, TINT_NONE, n->tailscale_hostname);
		table_cell(&t, TINT_NONE, when(&c->arena, n->last_heartbeat));
		table_cell(&t, unhealthy(n) ? TINT_BAD : TINT_NONE, services_text(&c->arena, n));
	}
	table_print(&t);
}

/* The statuses asked for: --all, or each --status; NULL-terminated. */
static void wanted_statuses(struct cli *c, const char *out[STATUSES_MAX + 1])
{
	size_t n = 0;
	if (option_bool(c->in, "all"))
		out[n++] = "all";
	else
		for (size_t i = 0; i < option_count(c->in, "status") && n < STATUSES_MAX; i++)
			out[n++] = option_at(c->in, "status", i);
	out[n] = NULL;
}

/* Nobody to show: say so, and whether there are others. */
static bool tell_nobody(struct cli *c, const char *const *statuses, const char *role, struct error *err)
{
	static const char *const all[] = {"all", NULL};
	struct mesh_node_list others = {0};
	say(c, "No nodes%s%s%s.", role ? " of role " : "", role ? role : "",
	    !statuses[0]                      ? " are active"
	    : strcmp(statuses[0], "all") == 0 ? " are registered"
					      : " have that status");
	if (statuses[0] && strcmp(statuses[0], "all") == 0) {
		hint(c, "register one: tana mesh register --dev --node-id validator-1");
		return true;
	}
	if (!mesh_client_list(c->mesh, &(struct mesh_query){.statuses = all, .limit = 1}, &c->arena, &others, err))
		return false;
	if (others.nodes.count)
		hint(c, "there are others: tana mesh list --all");
	else
		hint(c, "register one: tana mesh register --dev --node-id validator-1");
	return true;
}

static bool list(struct cli *c, struct error *err)
{
	const char *statuses[STATUSES_MAX + 1], *role = option_text(c->in, "role");
	struct mesh_node_list nodes;
	wanted_statuses(c, statuses);
	struct mesh_query q = {.statuses = statuses, .role = role, .limit = (size_t)option_int(c->in, "limit")};
	if (!cli_mesh(c, err) || !mesh_client_list(c->mesh, &q, &c->arena, &nodes, err))
		return false;
	if (c->json) {
		/* More nodes than one page may have are one document all the same. */
		nodes.next_cursor = STR_NONE;
		json_print(&mesh_node_list_message, &nodes);
		return true;
	}
	if (nodes.nodes.count == 0)
		return tell_nobody(c, statuses, role, err);
	print_nodes(c, &nodes);
	if (str_present(nodes.next_cursor))
		note(c, "... and more; shown are the first %zu (--limit)", nodes.nodes.count);
	return true;
}

/* One node. */

struct node_report {
	struct mesh_node *node;
	struct json_list heartbeats; /* struct mesh_history_entry */
};
static const struct json_field node_report_rows[] = {
	F_OBJECT(struct node_report, node, "node", JSON_REQUIRED, &mesh_node_message, "The node."),
	F_LIST(struct node_report, heartbeats, "heartbeats", JSON_REQUIRED, 0, &mesh_history_entry_message, "The latest heartbeats."),
};
static JSON_MESSAGE(node_report_message, "NodeReport", struct node_report, node_report_rows);

static void print_services(struct cli *c, const struct mesh_node *n)
{
	static const struct column columns[] = {
		{"SERVICE", ALIGN_LEFT}, {"PORT", ALIGN_RIGHT}, {"HEALTH", ALIGN_LEFT}, {"CHECKED", ALIGN_RIGHT}, {"KEY", ALIGN_LEFT}};
	const struct mesh_node_service *s = n->services.items;
	struct table t;
	if (n->services.count == 0)
		return;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < n->services.count; i++) {
		bool ill = s[i].healthy == JSON_FALSE, told = s[i].healthy != JSON_BOOL_ABSENT;
		table_cell(&t, TINT_BOLD, s[i].service_type);
		table_cellf(&t, TINT_NONE, "%lld", (long long)s[i].port);
		table_cell(&t,
			   !told ? TINT_DIM
			   : ill ? TINT_BAD
				 : TINT_GOOD,
			   !told ? STR_LIT("not reported")
			   : ill ? STR_LIT("unhealthy")
				 : STR_LIT("healthy"));
		table_cell(&t, TINT_NONE, when(&c->arena, s[i].last_check));
		table_cell(&t, TINT_DIM, short_key(&c->arena, s[i].public_key));
	}
	putchar('\n');
	table_print(&t);
}

static void print_heartbeats(struct cli *c, const struct json_list *heartbeats)
{
	static const struct column columns[] = {{"HEARTBEAT", ALIGN_RIGHT},
						{"HEIGHT", ALIGN_RIGHT},
						{"VERSION", ALIGN_LEFT},
						{"UNHEALTHY", ALIGN_LEFT}};
	const struct mesh_history_entry *h = heartbeats->items;
	struct table t;
	if (heartbeats->count == 0)
		return;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = heartbeats->count; i-- > 0;) {
		const struct str *ill = h[i].unhealthy.items;
		struct buf text = {0};
		for (size_t k = 0; k < h[i].unhealthy.count; k++)
			buf_printf(&text, "%s%.*s", k ? " " : "", STR_ARG(ill[k]));
		table_cell(&t, TINT_NONE, when(&c->arena, h[i].received_at));
		if (h[i].height == JSON_INT_ABSENT)
			table_cell(&t, TINT_NONE, STR_NONE);
		else
			table_cellf(&t, TINT_NONE, "%lld", (long long)h[i].height);
		table_cell(&t, TINT_NONE, h[i].version);
		table_cell(&t, TINT_BAD, buf_str(&text));
		buf_free(&text);
	}
	putchar('\n');
	table_print(&t);
}

static void print_node(struct cli *c, const struct mesh_node *n)
{
	pair_print(NAME_WIDTH, "node", TINT_BOLD, n->id);
	pair_print(NAME_WIDTH, "status", status_tint(n->status), n->status);
	pair_print(NAME_WIDTH, "role", TINT_NONE, n->role);
	pair_print(NAME_WIDTH, "key", TINT_NONE, n->public_key);
	pair_print(NAME_WIDTH, "host", TINT_NONE, n->tailscale_hostname);
	pair_print(NAME_WIDTH, "address", TINT_NONE, n->tailscale_ip);
	if (str_present(n->region) || str_present(n->provider))
		pair_printf(NAME_WIDTH, "place", TINT_NONE, "%.*s %.*s", STR_ARG(n->region), STR_ARG(n->provider));
	pair_print(NAME_WIDTH, "registered", TINT_NONE, when(&c->arena, n->registered_at));
	if (str_present(n->approved_by))
		pair_printf(NAME_WIDTH, "approved", TINT_NONE, "%.*s, by %.*s", STR_ARG(when(&c->arena, n->approved_at)),
			    STR_ARG(short_key(&c->arena, n->approved_by)));
	pair_print(NAME_WIDTH, "last heartbeat", TINT_NONE, when(&c->arena, n->last_heartbeat));
	if (str_present(n->version))
		pair_print(NAME_WIDTH, "version", TINT_NONE, n->version);
	if (n->height != JSON_INT_ABSENT)
		pair_printf(NAME_WIDTH, "height", TINT_NONE, "%lld", (long long)n->height);
}

/* The history comes oldest first: ask from shortly before the last one on. */
static bool latest_heartbeats(struct cli *c, const struct mesh_node *node, struct mesh_history *out, struct error *err)
{
	enum { RECENT_MS = 10 * 60 * 1000 };
	*out = (struct mesh_history){.heartbeats = {arena_alloc(&c->arena, 0), 0}};
	if (node->last_heartbeat == JSON_INT_ABSENT || node->last_heartbeat < RECENT_MS)
		return true;
	if (!mesh_client_history(c->mesh, node->id, node->last_heartbeat - RECENT_MS, MESH_LIST_MAX, &c->arena, out, err))
		return false;
	size_t n = out->heartbeats.count, left_out = n > HISTORY_SHOWN ? n - HISTORY_SHOWN : 0;
	struct mesh_history_entry *items = out->heartbeats.items;
	out->heartbeats = (struct json_list){items + left_out, n - left_out};
	return true;
}

static bool show_node(struct cli *c, const char *text, struct error *err)
{
	struct str id;
	struct mesh_node node;
	struct mesh_history history;
	if (!cli_node_id(text, &id, err) || !cli_mesh(c, err) || !mesh_client_node(c->mesh, id, &c->arena, &node, err) ||
	    !latest_heartbeats(c, &node, &history, err)) {
		if (err->code == ERR_UNKNOWN_NODE)
			error_hint(err, "see who is there: tana mesh list --all");
		return false;
	}
	if (c->json) {
		json_print(&node_report_message, &(struct node_report){&node, history.heartbeats});
	} else {
		print_node(c, &node);
		print_services(c, &node);
		print_heartbeats(c, &history.heartbeats);
	}
	if (!str_is(node.status, "active") || unhealthy(&node))
		c->status = EXIT_UNHEALTHY;
	if (str_is(node.status, "pending"))
		hint(c, "a sovereign admits it: tana mesh approve %.*s", STR_ARG(node.id));
	return true;
}

/* The whole network. */

struct network_report {
	struct str url, network, coordinator, version, own_node, own_status;
	int64_t uptime_ms, active, offline, pending, denied, sovereigns;
};
static const struct json_field network_rows[] = {
	F_TEXT(struct network_report, url, "url", 0, 0, "The coordinator's address."),
	F_TEXT(struct network_report, network, "network", 0, 0, "The network's name."),
	F_TEXT(struct network_report, coordinator, "coordinator", 0, 0, "The coordinator's key."),
	F_TEXT(struct network_report, version, "version", 0, 0, "Its version."),
	F_INT(struct network_report, uptime_ms, "uptimeMs", 0, 0, 0, "How long it has been running."),
	F_INT(struct network_report, active, "active", 0, 0, 0, "Nodes by status."),
	F_INT(struct network_report, offline, "offline", 0, 0, 0, ""),
	F_INT(struct network_report, pending, "pending", 0, 0, 0, ""),
	F_INT(struct network_report, denied, "denied", 0, 0, 0, ""),
	F_INT(struct network_report, sovereigns, "sovereigns", 0, 0, 0, "Keys that decide."),
	F_TEXT(struct network_report, own_node, "ownNode", JSON_NULL_WHEN_ABSENT, 0, "The machine's own node."),
	F_TEXT(struct network_report, own_status, "ownStatus", JSON_NULL_WHEN_ABSENT, 0, "Its status."),
};
static JSON_MESSAGE(network_message, "NetworkReport", struct network_report, network_rows);

static void count_nodes(const struct mesh_node_list *list, struct network_report *r)
{
	const struct mesh_node *nodes = list->nodes.items;
	for (size_t i = 0; i < list->nodes.count; i++) {
		struct str s = nodes[i].status;
		r->active += str_is(s, "active");
		r->offline += str_is(s, "offline");
		r->pending += str_is(s, "pending");
		r->denied += str_is(s, "denied");
	}
}

/* The node this machine is, by node-key.json; nothing when it is none. */
static void find_own_node(struct cli *c, const struct mesh_node_list *list, struct network_report *r)
{
	const struct mesh_node *nodes = list->nodes.items;
	const char *path = path_own_node_key(&c->arena);
	struct keyfile own;
	struct error ignored;
	if (!file_exists(path) || !keystore_look(c, path, &own, &ignored))
		return;
	r->own_node = own.node_id;
	r->own_status = STR_LIT("not registered");
	for (size_t i = 0; i < list->nodes.count; i++)
		if (str_equal(nodes[i].id, own.node_id))
			r->own_status = nodes[i].status;
}

static void print_network(const struct network_report *r)
{
	char uptime[UNITS_TEXT_SIZE] = "less than 1 s";
	if (r->uptime_ms >= 1000)
		units_format_duration(r->uptime_ms, uptime);
	pair_print(NAME_WIDTH, "network", TINT_BOLD, r->network);
	pair_printf(NAME_WIDTH, "coordinator", TINT_NONE, "%.*s, version %.*s, up %s", STR_ARG(r->url), STR_ARG(r->version), uptime);
	pair_print(NAME_WIDTH, "its key", TINT_NONE, r->coordinator);
	pair_printf(NAME_WIDTH, "nodes", TINT_NONE, "%lld active, %lld offline, %lld pending, %lld denied", (long long)r->active,
		    (long long)r->offline, (long long)r->pending, (long long)r->denied);
	pair_printf(NAME_WIDTH, "sovereign keys", TINT_NONE, "%lld", (long long)r->sovereigns);
	if (str_present(r->own_node))
		pair_printf(NAME_WIDTH, "this machine", TINT_NONE, "%.*s: %.*s", STR_ARG(r->own_node), STR_ARG(r->own_status));
}

static bool status(struct cli *c, struct error *err)
{
	static const char *const all[] = {"all", NULL};
	struct mesh_about about;
	struct mesh_node_list nodes;
	struct mesh_sovereigns keys;
	if (invocation_arg(c->in, "nodeId"))
		return show_node(c, invocation_arg(c->in, "nodeId"), err);
	if (!cli_mesh(c, err) || !mesh_client_about(c->mesh, &c->arena, &about, err) ||
	    !mesh_client_list(c->mesh, &(struct mesh_query){.statuses = all}, &c->arena, &nodes, err) ||
	    !mesh_client_sovereigns(c->mesh, &c->arena, &keys, err))
		return false;
	struct network_report r = {.url = str_from(mesh_client_url(c->mesh)),
				   .network = about.network,
				   .coordinator = about.coordinator,
				   .version = about.version,
				   .uptime_ms = about.uptime_seconds == JSON_INT_ABSENT ? JSON_INT_ABSENT : about.uptime_seconds * 1000,
				   .sovereigns = (int64_t)keys.sovereigns.count};
	count_nodes(&nodes, &r);
	find_own_node(c, &nodes, &r);
	if (c->json) {
		json_print(&network_message, &r);
		return true;
	}
	print_network(&r);
	if (r.sovereigns == 0)
		hint(c, "nobody can admit nodes yet: start the coordinator with --sovereign-key");
	else if (r.pending)
		hint(c, "see who is waiting: tana mesh list --status pending");
	return true;
}

int cmd_mesh_list(struct invocation *in)
{
	return cli_run(in, list);
}

int cmd_mesh_status(struct invocation *in)
{
	return cli_run(in, status);
}
