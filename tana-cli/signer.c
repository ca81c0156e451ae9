#include "signer.h"

#include <string.h>

#include "paths.h"
#include "services.h"

/* The node that a running t4 of ours was started for; absent: none runs. */
static struct str node_of_local_t4(struct cli *c)
{
	struct service_record r;
	if (!service_running(c, "t4", &r))
		return STR_NONE;
	const struct str *argv = r.argv.items;
	for (size_t i = 0; i + 1 < r.argv.count; i++)
		if (str_is(argv[i], "--node-id"))
			return argv[i + 1];
	return STR_NONE;
}

static struct str own_node(struct cli *c)
{
	struct keyfile k;
	struct error ignored;
	const char *path = path_own_node_key(&c->arena);
	return keystore_look(c, path, &k, &ignored) ? k.node_id : STR_NONE;
}

static bool split_name(struct str name, struct str *node_id, struct str *service)
{
	const char *slash = memchr(name.p, '/', name.n);
	if (!slash)
		return false;
	*node_id = str_of(name.p, (size_t)(slash - name.p));
	*service = str_of(slash + 1, name.n - node_id->n - 1);
	return mesh_node_id_valid(*node_id);
}

/* The service keys that fit; node and service absent: any. */
struct candidates {
	struct signer *items;
	size_t count;
	bool several_nodes;
};

static struct candidates gather(struct cli *c, struct str node_id, struct str service)
{
	struct keystore_list all = keystore_list(c);
	struct candidates found = {.items = arena_zalloc(&c->arena, all.count, sizeof *found.items)};
	for (size_t i = 0; i < all.count; i++) {
		const struct keystore_entry *e = &all.items[i];
		struct str node, type;
		if (strcmp(e->kind, "service") != 0 || e->problem || !split_name(e->name, &node, &type))
			continue;
		if ((str_present(node_id) && !str_equal(node, node_id)) || (str_present(service) && !str_equal(type, service)))
			continue;
		found.several_nodes |= found.count > 0 && !str_equal(found.items[0].node_id, node);
		found.items[found.count++] = (struct signer){.node_id = node, .service = type, .path = e->path};
	}
	return found;
}

static bool cannot_tell(const struct candidates *found, struct str node_id, struct str service, struct error *err)
{
	if (found->count) {
		error_set(err, ERR_KEY_NEEDED, "There are service keys of several nodes: which one shall sign?");
		return error_hint(err, "say --node-id ID, and --service TYPE (tana keys list)");
	}
	struct str node = str_present(node_id) ? node_id : STR_LIT("NODE"), type = str_present(service) ? service : STR_LIT("ledger");
	error_set(err, ERR_KEY_NEEDED, "There is no %s%.*s key%s%.*s to sign with.", str_present(service) ? "" : "service",
		  STR_ARG(service), str_present(node_id) ? " of node " : "", STR_ARG(node_id));
	return error_hint(err, "make one: tana mesh register (a node and its services), or tana keys new service %.*s %.*s",
			  STR_ARG(node), STR_ARG(type));
}

static bool choose(struct cli *c, struct str node_id, struct str service, struct signer *out, struct error *err)
{
	struct candidates found = gather(c, node_id, service);
	if (found.several_nodes) {
		struct str meant = node_of_local_t4(c);
		if (!str_present(meant))
			meant = own_node(c);
		struct candidates fewer = str_present(meant) ? gather(c, meant, service) : (struct candidates){0};
		if (fewer.count)
			found = fewer;
	}
	if (found.count == 0 || found.several_nodes)
		return cannot_tell(&found, node_id, service, err);
	*out = found.items[0];
	for (size_t i = 0; i < found.count; i++)
		if (str_is(found.items[i].service, "ledger"))
			*out = found.items[i];
	return true;
}

bool signer_open(struct cli *c, struct signer *out, struct error *err)
{
	const char *path = option_text(c->in, "key");
	struct str node_id = str_from(option_text(c->in, "node-id")), service = str_from(option_text(c->in, "service"));
	*out = (struct signer){.path = NULL};
	if (str_present(node_id) && !cli_node_id(node_id.p, &node_id, err))
		return false;
	if (str_present(service) && !mesh_service_type_valid(service))
		return error_set(err, ERR_USAGE, "'%.*s' is no service (ledger, t4, identity, mesh, x-...).", STR_ARG(service));
	if (path && (!str_present(node_id) || !str_present(service))) {
		error_set(err, ERR_USAGE, "A key file does not say whose it is.");
		return error_hint(err, "add --node-id ID and --service TYPE");
	}
	if (path)
		*out = (struct signer){.node_id = node_id, .service = service, .path = path};
	else if (!choose(c, node_id, service, out, err))
		return false;
	return keystore_open(c, out->path, &out->key, err);
}

void signer_wipe(struct signer *s)
{
	keyfile_wipe(&s->key);
}
