/*
 * mesh rotate-key, mesh sovereign rotate: a new key takes the place of an old one, which signs for it.
 *
 * The new key is on disk, in <file>.next, before the coordinator hears of it, and takes the file's place after the coordinator said yes. A
 * rotation that was cut short in between is taken up by running the command again: what the coordinator then shows tells whether it happened.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "chain_file.h"
#include "commands.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"

struct rotation {
	const char *path, *next_path;
	struct keyfile old, fresh;
	char passphrase[PASSPHRASE_MAX]; /* "" when the file is not sealed */
};

static void rotation_end(struct rotation *r)
{
	keyfile_wipe(&r->old);
	keyfile_wipe(&r->fresh);
	explicit_bzero(r->passphrase, sizeof r->passphrase);
}

static bool rotation_begin(struct cli *c, const char *path, struct rotation *r, struct error *err)
{
	*r = (struct rotation){.path = path, .next_path = arena_printf(&c->arena, "%s.next", path).p};
	if (!keystore_open(c, path, &r->old, err))
		return false;
	r->fresh = r->old;
	bool ok = keystore_passphrase_for(r->old.sealed, r->passphrase, err);
	struct str passphrase = r->passphrase[0] ? str_from(r->passphrase) : STR_NONE;
	if (ok && file_exists(r->next_path)) {
		note(c, "Taking up the rotation that was begun before (%s).", path_short(&c->arena, r->next_path));
		ok = keystore_open(c, r->next_path, &r->fresh, err);
	} else if (ok) {
		ok = keystore_create(r->next_path, &r->fresh, passphrase, err);
	}
	if (!ok)
		rotation_end(r);
	return ok;
}

/* The new key takes the file's place; whatever else the file held stays. */
static bool rotation_finish(struct rotation *r, struct error *err)
{
	struct str passphrase = r->passphrase[0] ? str_from(r->passphrase) : STR_NONE;
	if (!keyfile_write(r->path, &r->fresh, passphrase, true, err))
		return false;
	return unlink(r->next_path) == 0 ||
	       error_set(err, ERR_IO, "The key was rotated, and %s could not be removed; remove it.", r->next_path);
}

struct rotated {
	struct str node_id, old_key, new_key, key_file;
};
static const struct json_field rotated_rows[] = {
	F_TEXT(struct rotated, node_id, "nodeId", 0, 0, "The node; left out for sovereign keys."),
	F_TEXT(struct rotated, old_key, "oldPublicKey", 0, 0, "The key that was."),
	F_TEXT(struct rotated, new_key, "newPublicKey", 0, 0, "The key that is."),
	F_TEXT(struct rotated, key_file, "keyFile", 0, 0, "Where it lies."),
};
static JSON_MESSAGE(rotated_message, "Rotated", struct rotated, rotated_rows);

static void tell_rotated(struct cli *c, const struct rotation *r, const char *whose, struct str old_key, struct str new_key)
{
	if (c->json) {
		struct rotated done = {r->fresh.node_id, old_key, new_key, str_from(r->path)};
		json_print(&rotated_message, &done);
		return;
	}
	say(c, "Rotated the key of %s.", whose);
	say(c, "  old   %.*s", STR_ARG(old_key));
	say(c, "  new   %.*s", STR_ARG(new_key));
	say(c, "  file  %s", path_short(&c->arena, r->path));
}

static struct str key_text(struct cli *c, const struct ed25519_public *k)
{
	char z[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(k, z);
	return arena_copy(&c->arena, str_from(z));
}

/* Does the chain know the node by this key, as one that makes blocks? False with *err: it did when it began, and its ledger cannot be asked. */
static bool ask_chain(struct cli *c, struct str id, struct str key, bool *makes_blocks, struct error *err)
{
	enum { ASK_MS = 2000 };
	struct json_list now;
	struct genesis g;
	struct error ignored;
	struct ledger_client *ledger = ledger_client_new(cli_service_url(c, "ledger", NULL), "tana", ASK_MS, &ignored);
	bool asked = ledger && ledger_client_validators(ledger, &c->arena, &now, &ignored);
	ledger_client_free(ledger);
	*makes_blocks = false;
	const struct ledger_validator *v = asked ? now.items : NULL;
	for (size_t i = 0; asked && i < now.count; i++)
		*makes_blocks = *makes_blocks || (str_equal(v[i].id, id) && str_equal(v[i].public_key, key));
	if (asked || !chain_genesis(c, NULL, &g, &ignored))
		return true;
	const struct genesis_validator *first = g.validators.items;
	for (size_t i = 0; i < g.validators.count; i++)
		if (str_equal(first[i].id, id) && str_equal(first[i].public_key, key)) {
			error_set(err, ERR_WRONG_STATE, "%.*s makes blocks of chain %.*s with this key, and its ledger does not run.", STR_ARG(id), STR_ARG(g.chain_id));
			return error_hint(err, "start it first: the chain has to be told of the new key while its ledger runs with the old one");
		}
	return true;
}

static bool rotate_node(struct cli *c, struct rotation *r, struct error *err)
{
	bool makes_blocks;
	struct mesh_node node;
	struct mesh_node_answer answer;
	struct str id = r->old.node_id, old_key = key_text(c, &r->old.public_key), new_key = key_text(c, &r->fresh.public_key);
	if (!str_present(id))
		return error_set(err, ERR_KEY_FILE, "%s does not say which node it belongs to.", r->path);
	if (!mesh_client_node(c->mesh, id, &c->arena, &node, err)) {
		if (err->code == ERR_UNKNOWN_NODE)
			error_hint(err, "another of your nodes: --node-id ID (tana keys list); or register it: tana mesh register --node-id %.*s", STR_ARG(id));
		return false;
	}
	if (!ask_chain(c, id, old_key, &makes_blocks, err))
		return false;
	if (!str_equal(node.public_key, new_key)) {
		if (!str_equal(node.public_key, old_key))
			return error_set(err, ERR_KEY_FILE, "The coordinator knows %.*s by another key than the one in %s.", STR_ARG(id),
					 r->path);
		if (makes_blocks)
			note(c, "%.*s makes blocks with this key: the chain has to be told of the new one, before its ledger is started again.", STR_ARG(id));
		if (!confirm(c, err, "Rotate the key of node %.*s?", STR_ARG(id)))
			return false;
		if (!mesh_client_node_rotate(c->mesh, id, &r->old.secret, &r->fresh.secret, &c->arena, &answer, err))
			return false;
	}
	if (!rotation_finish(r, err))
		return false;
	tell_rotated(c, r, id.p, old_key, new_key);
	if (makes_blocks)
		hint(c, "now tell the chain: tana validator update %.*s --public-key %.*s; and then: tana restart", STR_ARG(id), STR_ARG(new_key));
	return true;
}

static bool rotate_key(struct cli *c, struct error *err)
{
	struct rotation r;
	const char *path = keystore_node_path(c, option_text(c->in, "node-id"), err);
	if (!path || !cli_mesh_signing(c, err) || !rotation_begin(c, path, &r, err))
		return false;
	bool ok = rotate_node(c, &r, err);
	rotation_end(&r);
	return ok;
}

static bool is_sovereign(const struct mesh_sovereigns *keys, struct str key)
{
	const struct mesh_sovereign *s = keys->sovereigns.items;
	for (size_t i = 0; i < keys->sovereigns.count; i++)
		if (str_equal(s[i].public_key, key))
			return true;
	return false;
}

static bool rotate_sovereign_key(struct cli *c, struct rotation *r, struct error *err)
{
	struct mesh_sovereigns keys;
	struct mesh_sovereign_answer answer;
	struct str old_key = key_text(c, &r->old.public_key), new_key = key_text(c, &r->fresh.public_key);
	if (!mesh_client_sovereigns(c->mesh, &c->arena, &keys, err))
		return false;
	if (!is_sovereign(&keys, new_key)) {
		if (!is_sovereign(&keys, old_key))
			return error_set(err, ERR_NOT_SOVEREIGN, "The key in %s is not a sovereign key of this network.", r->path);
		if (!confirm(c, err, "Rotate the sovereign key %.*s?", STR_ARG(short_key(&c->arena, old_key))))
			return false;
		if (!mesh_client_sovereign_rotate(c->mesh, &r->old.secret, &r->fresh.secret, &c->arena, &answer, err))
			return false;
	}
	if (!rotation_finish(r, err))
		return false;
	tell_rotated(c, r, "the sovereign", old_key, new_key);
	return true;
}

static bool rotate_sovereign(struct cli *c, struct error *err)
{
	struct rotation r;
	const char *path = option_text(c->in, "key");
	if (!cli_mesh_signing(c, err) || !rotation_begin(c, path ? path : path_sovereign_key(&c->arena), &r, err))
		return false;
	bool ok = rotate_sovereign_key(c, &r, err);
	rotation_end(&r);
	return ok;
}

int cmd_mesh_rotate_key(struct invocation *in)
{
	return cli_run(in, rotate_key);
}

int cmd_mesh_sovereign_rotate(struct invocation *in)
{
	return cli_run(in, rotate_sovereign);
}
