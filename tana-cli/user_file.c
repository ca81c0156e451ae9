#include "user_file.h"

#include "base/file.h"
#include "json/fields.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"
#include "services.h"

enum { CONFIG_MAX = 256 * 1024, COMPLETE_TIMEOUT_MS = 1000 /* somebody pressed Tab */ };

struct settings {
	struct str mesh_url, ledger_url, t4_url, network, chain, timeout;
};
static const struct json_field settings_rows[] = {
	F_TEXT(struct settings, mesh_url, "meshUrl", 0, 0, "The coordinator's address."),
	F_TEXT(struct settings, ledger_url, "ledgerUrl", 0, 0, "The ledger's address."),
	F_TEXT(struct settings, t4_url, "t4Url", 0, 0, "The content store's address."),
	F_TEXT(struct settings, network, "network", 0, 0, "The network."),
	F_TEXT(struct settings, chain, "chain", 0, 0, "The chain meant when none is named."),
	F_TEXT(struct settings, timeout, "timeout", 0, 0, "How long to wait for an answer."),
};
static JSON_MESSAGE(settings_message, "Settings", struct settings, settings_rows);

static bool read_settings(const char *path, struct settings *out, struct arena *arena, struct error *err)
{
	struct buf text = {0};
	struct error why;
	json_message_clear(&settings_message, out);
	if (!file_exists(path))
		return true;
	bool ok = file_read(path, CONFIG_MAX, &text, &why) && json_read_text(buf_str(&text), &settings_message, out, arena, &why);
	buf_free(&text);
	return ok || error_set(err, ERR_CONFIG, "%s: %s", path, why.message);
}

static bool offer(struct invocation *in, const char *name, struct str value, const char *path, struct error *err)
{
	return !str_present(value) || invocation_offer(in, name, value.p, path, err);
}

static bool offer_all(struct invocation *in, const struct settings *s, const char *path, struct error *err)
{
	return offer(in, "mesh-url", s->mesh_url, path, err) && offer(in, "ledger-url", s->ledger_url, path, err) &&
	       offer(in, "t4-url", s->t4_url, path, err) && offer(in, "network", s->network, path, err) &&
	       offer(in, "timeout", s->timeout, path, err);
}

bool user_file_offer(struct invocation *in, struct error *err)
{
	struct arena arena;
	struct settings user, chain;
	arena_init(&arena);
	const char *path = path_config(&arena, "config.json");
	bool ok = read_settings(path, &user, &arena, err) && offer(in, "chain", user.chain, path, err) && offer_all(in, &user, path, err);
	/* The chain is known by now: flags and environment were read before this file. A name that is no path segment is refused when the
	 * command starts. */
	if (ok && path_name_valid(str_from(option_text(in, "chain")))) {
		path = path_chain(&arena, option_text(in, "chain"));
		ok = read_settings(path, &chain, &arena, err) && offer_all(in, &chain, path, err);
	}
	arena_free(&arena);
	return ok;
}

static void complete_nodes(struct cli *c, struct buf *out)
{
	static const char *const all[] = {"all", NULL};
	struct error ignored;
	struct mesh_node_list list;
	c->mesh = mesh_client_new(cli_service_url(c, "mesh", NULL), "tana", COMPLETE_TIMEOUT_MS, &ignored);
	if (!c->mesh || !mesh_client_list(c->mesh, &(struct mesh_query){.statuses = all, .limit = MESH_LIST_MAX}, &c->arena, &list, &ignored))
		return;
	const struct mesh_node *nodes = list.nodes.items;
	for (size_t i = 0; i < list.nodes.count; i++)
		buf_printf(out, "%.*s\n", STR_ARG(nodes[i].id));
}

static void complete_keys(struct cli *c, struct buf *out)
{
	struct keystore_list keys = keystore_list(c);
	for (size_t i = 0; i < keys.count; i++)
		if (keys.items[i].name.n)
			buf_printf(out, "%.*s\n", STR_ARG(printable(&c->arena, keys.items[i].name)));
}

static void complete_users(struct cli *c, struct buf *out)
{
	struct keystore_list keys = keystore_list(c);
	for (size_t i = 0; i < keys.count; i++)
		if (strcmp(keys.items[i].kind, "user") == 0)
			buf_printf(out, "%.*s\n", STR_ARG(printable(&c->arena, keys.items[i].name)));
}

void user_complete(struct invocation *in, const char *kind, struct buf *out)
{
	struct cli c = {.in = in, .quiet = true};
	arena_init(&c.arena);
	if (strcmp(kind, "node") == 0)
		complete_nodes(&c, out);
	else if (strcmp(kind, "key") == 0)
		complete_keys(&c, out);
	else if (strcmp(kind, "user") == 0)
		complete_users(&c, out);
	else if (strcmp(kind, "service") == 0)
		for (const struct service *s = services; s->name; s++)
			buf_printf(out, "%s\n", s->name);
	mesh_client_free(c.mesh);
	arena_free(&c.arena);
}
