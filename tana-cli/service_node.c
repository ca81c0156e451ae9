/* Which node the services of a local network belong to. */
#include <string.h>

#include "chain_make.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"
#include "services.h"

/* The node with a key here that is a validator from the genesis on: by its key too, or by its name alone. */
static bool validator_here(const struct genesis *g, const struct keystore_list *keys, bool by_key, struct str *out)
{
	const struct genesis_validator *v = g->validators.items;
	for (size_t i = 0; i < keys->count; i++) {
		const struct keystore_entry *e = &keys->items[i];
		char text[ED25519_PUBLIC_TEXT_LEN + 1];
		if (e->problem || strcmp(e->kind, "node") != 0)
			continue;
		ed25519_public_to_text(&e->key.public_key, text);
		for (size_t j = 0; j < g->validators.count; j++)
			if (str_equal(v[j].id, e->name) && (!by_key || str_is(v[j].public_key, text))) {
				*out = e->name;
				return true;
			}
	}
	return false;
}

/* The chain knows its validators: keys of further nodes that were made since do not change which of them this network is. */
static bool node_of_chain(struct cli *c, const struct keystore_list *keys, struct str *out)
{
	struct genesis g;
	struct error none;
	/* By the name: the key may have been replaced since. */
	return chain_genesis(c, NULL, &g, &none) && (validator_here(&g, keys, true, out) || validator_here(&g, keys, false, out));
}

bool service_node(struct cli *c, struct str *out, struct error *err)
{
	struct keyfile k;
	struct error why;
	struct str only = STR_NONE;
	bool several = false;
	struct keystore_list keys = keystore_list(c);
	if (node_of_chain(c, &keys, out))
		return true;
	if (keystore_look(c, path_own_node_key(&c->arena), &k, &why) && str_present(k.node_id)) {
		*out = k.node_id;
		return true;
	}
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
