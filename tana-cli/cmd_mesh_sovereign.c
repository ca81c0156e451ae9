/* mesh sovereign list, add, remove: whose keys decide. (rotate: cmd_mesh_rotate.c) */

#include "commands.h"
#include "keystore.h"
#include "output.h"

static bool list(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"SOVEREIGN KEY", ALIGN_LEFT},
						{"ADDED", ALIGN_RIGHT},
						{"BY", ALIGN_LEFT},
						{"DESCRIPTION", ALIGN_LEFT}};
	struct mesh_sovereigns keys;
	struct table t;
	if (!cli_mesh(c, err) || !mesh_client_sovereigns(c->mesh, &c->arena, &keys, err))
		return false;
	if (c->json) {
		json_print(&mesh_sovereigns_message, &keys);
		return true;
	}
	if (keys.sovereigns.count == 0) {
		say(c, "No sovereign keys: nobody can admit nodes.");
		hint(c, "start the coordinator with --sovereign-key KEY");
		return true;
	}
	const struct mesh_sovereign *s = keys.sovereigns.items;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < keys.sovereigns.count; i++) {
		table_cell(&t, TINT_NONE, s[i].public_key); /* whole: remove takes it, trusting it needs it */
		table_cell(&t, TINT_NONE, when(&c->arena, s[i].added_at));
		table_cell(&t, TINT_DIM, short_key(&c->arena, s[i].added_by));
		table_cell(&t, TINT_NONE, s[i].description);
	}
	table_print(&t);
	return true;
}

/* The key named on the command line: its text, or a key file that holds it. */
static bool named_key(struct cli *c, struct ed25519_public *out, struct error *err)
{
	const char *text = invocation_arg(c->in, "publicKey");
	struct keyfile k;
	struct error why;
	if (ed25519_public_from_text(str_from(text), KEY_LENIENT, out, &why))
		return true;
	if (strchr(text, '/') || strchr(text, '.')) {
		if (!keystore_look(c, text, &k, err))
			return false;
		*out = k.public_key;
		return true;
	}
	error_set(err, ERR_USAGE, "'%s' is no public key (ed25519_ and 64 hex digits), nor a key file.", text);
	return error_hint(err, "tana mesh sovereign list shows those there are; tana keys new sovereign --out FILE makes one");
}

static bool change(struct cli *c, bool add, struct error *err)
{
	struct ed25519_public key;
	struct keyfile k;
	struct mesh_sovereign_answer answer;
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	if (!named_key(c, &key, err))
		return false;
	ed25519_public_to_text(&key, text);
	if (!cli_mesh_signing(c, err) || !confirm(c, err, add ? "Let %s admit and remove nodes and keys?" : "Take all power from %s?", text) ||
	    !keystore_sovereign(c, &k, err))
		return false;
	bool ok =
		add ? mesh_client_sovereign_add(c->mesh, &key, str_from(option_text(c->in, "description")), &k.secret, &c->arena, &answer, err)
		    : mesh_client_sovereign_remove(c->mesh, &key, &k.secret, &c->arena, &answer, err);
	keyfile_wipe(&k);
	if (!ok) {
		if (err->code == ERR_LAST_SOVEREIGN)
			error_hint(err, "add another first, or replace it: tana mesh sovereign rotate");
		return false;
	}
	if (c->json)
		json_print(&mesh_sovereign_answer_message, &answer);
	say(c, "%s the sovereign key %s", add ? "Added" : "Removed", text);
	return true;
}

static bool add(struct cli *c, struct error *err)
{
	return change(c, true, err);
}

static bool remove_key(struct cli *c, struct error *err)
{
	return change(c, false, err);
}

int cmd_mesh_sovereign_list(struct invocation *in)
{
	return cli_run(in, list);
}

int cmd_mesh_sovereign_add(struct invocation *in)
{
	return cli_run(in, add);
}

int cmd_mesh_sovereign_remove(struct invocation *in)
{
	return cli_run(in, remove_key);
}
