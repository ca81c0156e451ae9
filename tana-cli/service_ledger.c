/* How `tana start` starts the ledger. */
#include <string.h>

#include "base/file.h"
#include "chain_make.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"
#include "services.h"

/* The genesis of the chain; a development network makes one at its first start. */
static bool find_genesis(struct cli *c, const char **file, struct error *err)
{
	struct chain_plan plan = {.chain_id = str_from(cli_chain(c)), .params = genesis_params_default(), .make_keys = true};
	struct chain_file chain;
	struct genesis g;
	if (!chain_file_read(c, &chain, err))
		return false;
	*file = str_present(chain.genesis_file) ? chain.genesis_file.p : chain_genesis_path(c);
	if (file_exists(*file))
		return true;
	if (!option_bool(c->in, "dev")) {
		error_set(err, ERR_CONFIG, "Chain %s has no genesis yet (%s).", cli_chain(c), path_short(&c->arena, *file));
		return error_hint(err, "make one: tana new chain %s; or put that of a chain to join there", cli_chain(c));
	}
	if (!chain_id_valid(plan.chain_id))
		return error_set(err, ERR_USAGE, "'%s' is no chain's id: 1-64 of a-z 0-9 . _ -, beginning with a letter or digit.", cli_chain(c));
	if (!chain_make_files(c, &plan, &g, err))
		return false;
	note(c, "Made chain %.*s, with %.*s as its sovereign: %s", STR_ARG(g.chain_id), STR_ARG(g.sovereign->username), path_short(&c->arena, *file));
	return true;
}

/* The key that signs blocks. A development network makes one; otherwise a node without a key cannot be a validator. */
static const char *find_key(struct cli *c, struct str node_id, struct error *err)
{
	const char *path = keystore_node_path(c, node_id.p, err);
	struct keyfile k = {.node_id = node_id};
	if (!path || file_exists(path))
		return path;
	if (!option_bool(c->in, "dev")) {
		error_set(err, ERR_KEY_NEEDED, "There is no key of node %.*s here, and a ledger signs its blocks with it.", STR_ARG(node_id));
		error_hint(err, "tana keys new node %.*s; or register the node: tana mesh register", STR_ARG(node_id));
		return NULL;
	}
	if (!keystore_create(path, &k, STR_NONE, err))
		return NULL;
	keyfile_wipe(&k);
	return path;
}

/* The address of a service that starts later, or runs already. */
static const char *address_of(struct cli *c, const char *service)
{
	const char *running = service_running_url(c, service);
	const struct service *s = service_named(service);
	return running ? running : service_url_of(&c->arena, option_text(c->in, s->listen_option));
}

bool service_prepare_ledger(struct cli *c, const struct service *s, struct service_launch *l, struct error *err)
{
	const char *dir = path_state(&c->arena, cli_chain(c), "%s", s->name), *mesh = service_running_url(c, "mesh"), *genesis, *key;
	const char *postgres = option_text(c->in, "postgres"), *redis = option_text(c->in, "redis"), *interval = option_text(c->in, "block-interval");
	struct ed25519_public service_key;
	struct str node_id;
	size_t n = 0;
	if (!file_make_dirs(dir, 0700, err) || !service_node(c, &node_id, err) || !(key = find_key(c, node_id, err)) || !find_genesis(c, &genesis, err) ||
	    !keystore_service(c, node_id, STR_LIT("ledger"), &service_key, NULL, err))
		return false;
	service_argument_pair(l, "--genesis", genesis);
	service_argument_pair(l, "--validator-id", node_id.p);
	service_argument_pair(l, "--node-key", key);
	service_argument_pair(l, "--service-key", path_service_key(&c->arena, node_id, STR_LIT("ledger")));
	if (postgres) /* it may hold a password: not for ps */
		l->environment[n++] = arena_printf(&c->arena, "TANA_LEDGER_DB=%s", service_database(&c->arena, postgres, s->name)).p;
	else
		service_argument_pair(l, "--db", arena_printf(&c->arena, "sqlite:%s/ledger.db", dir).p);
	if (redis)
		l->environment[n] = arena_printf(&c->arena, "TANA_LEDGER_REDIS=%s", redis).p;
	if (mesh)
		service_argument_pair(l, "--mesh-url", mesh);
	service_argument_pair(l, "--t4-url", address_of(c, "t4"));
	service_argument_pair(l, "--identity-url", address_of(c, "identity"));
	if (interval)
		service_argument_pair(l, "--block-interval", interval);
	return true;
}
