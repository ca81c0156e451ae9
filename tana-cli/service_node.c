/* Which node the services of a local network belong to. */
#include <string.h>

#include "chain_make.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"
#include "services.h"

bool service_node(struct cli *c, struct str *out, struct error *err)
{
	struct keyfile k;
	struct error why;
	struct str only = STR_NONE;
	bool several = false;
	if (keystore_look(c, path_own_node_key(&c->arena), &k, &why) && str_present(k.node_id)) {
		*out = k.node_id;
		return true;
	}
	struct keystore_list keys = keystore_list(c);
	for (size_t i = 0; i < keys.count; i++) {
		const struct keystore_entry *e = &keys.items[i];
		if (e->problem || strcmp(e->kind, "node") != 0 || !mesh_node_id_valid(e->name))
			continue;
		several |= str_present(only);
		only = str_present(only) ? only : e->name;
	}
	if (several)
		note(c, "There are keys of several nodes: this network is of %.*s.", STR_ARG(only));
	*out = str_present(only) ? only : str_from(option_bool(c->in, "dev") ? CHAIN_DEV_NODE : cli_machine_id(c));
	return cli_node_id(out->p, out, err);
}
