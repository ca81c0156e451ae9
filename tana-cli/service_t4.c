/* How `tana start` starts the content store. */
#include <string.h>

#include "base/file.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"
#include "services.h"

enum { TRUSTED_MAX = 8 /* keys given to t4d by hand: the services of one node */ };

/*
 * A development network has nobody registered yet when it starts: the keys that this user has for the node's services are trusted by
 * hand, and one is made if there is none. The registration later announces these very keys.
 */
static bool trust_own_keys(struct cli *c, struct str node_id, struct service_launch *l, struct error *err)
{
	struct ed25519_public made;
	struct str prefix = arena_printf(&c->arena, "%.*s/", STR_ARG(node_id));
	for (int round = 0, trusted = 0; trusted == 0 && round < 2; round++) {
		struct keystore_list keys = keystore_list(c);
		for (size_t i = 0; i < keys.count && trusted < TRUSTED_MAX; i++) {
			const struct keystore_entry *e = &keys.items[i];
			char key[ED25519_PUBLIC_TEXT_LEN + 1];
			if (e->problem || strcmp(e->kind, "service") != 0 || !str_starts(e->name, prefix.p))
				continue;
			ed25519_public_to_text(&e->key.public_key, key);
			service_argument_pair(l, "--trust-key", arena_printf(&c->arena, "%.*s=%s", STR_ARG(e->name), key).p);
			trusted++;
		}
		if (trusted == 0 && !keystore_service(c, node_id, STR_LIT("ledger"), &made, NULL, err))
			return false;
	}
	return true;
}

bool service_prepare_t4(struct cli *c, const struct service *s, struct service_launch *l, struct error *err)
{
	const char *dir = path_state(&c->arena, cli_chain(c), "%s", s->name), *mesh = service_running_url(c, "mesh");
	struct str node_id;
	if (!file_make_dirs(dir, 0700, err) || !service_node(c, &node_id, err))
		return false;
	service_argument_pair(l, "--dir", dir);
	service_argument_pair(l, "--node-id", node_id.p);
	if (mesh)
		service_argument_pair(l, "--mesh-url", mesh);
	return !option_bool(c->in, "dev") || trust_own_keys(c, node_id, l, err);
}
