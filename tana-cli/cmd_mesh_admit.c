/* mesh approve, deny, remove, reset, and invites: what a sovereign decides. */
#include <stdio.h>

#include "base/clock.h"
#include "commands.h"
#include "keystore.h"
#include "output.h"

/* Shows the node and the very key that is about to be decided on. */
static void show_candidate(const struct cli *c, const struct mesh_node *n, const char *action)
{
	struct arena a;
	if (c->yes || c->quiet)
		return;
	arena_init(&a);
	fprintf(stderr, "About to %s\n  node    %.*s\n  key     %.*s\n  host    %.*s\n  status  %.*s, registered %.*s\n", action,
		STR_ARG(printable(&a, n->id)), STR_ARG(printable(&a, n->public_key)), STR_ARG(printable(&a, n->tailscale_hostname)),
		STR_ARG(printable(&a, n->status)), STR_ARG(when(&a, n->registered_at)));
	arena_free(&a);
}

static const char *done_text(enum mesh_action a)
{
	switch (a) {
	case MESH_APPROVE:
		return "Approved";
	case MESH_DENY:
		return "Denied";
	case MESH_REMOVE:
		return "Removed";
	case MESH_RESET:
		return "Reset";
	}
	return "";
}

static bool decide(struct cli *c, enum mesh_action action, struct error *err)
{
	struct str id;
	struct mesh_node node;
	struct mesh_node_answer answer;
	struct keyfile k;
	const char *verb = mesh_action_text(action);
	if (!cli_node_id(invocation_arg(c->in, "nodeId"), &id, err) || !cli_mesh_signing(c, err))
		return false;
	if (!mesh_client_node(c->mesh, id, &c->arena, &node, err)) {
		if (err->code == ERR_UNKNOWN_NODE)
			error_hint(err, "see who is there: tana mesh list --all");
		return false;
	}
	show_candidate(c, &node, verb);
	if (!confirm(c, err, "Really %s it?", verb) || !keystore_sovereign(c, &k, err))
		return false;
	bool ok = mesh_client_decide(c->mesh, action, id, node.public_key, str_from(option_text(c->in, "reason")), &k.secret, &c->arena,
				     &answer, err);
	keyfile_wipe(&k);
	if (!ok) {
		if (err->code == ERR_NOT_SOVEREIGN)
			error_hint(err, "see whose keys decide: tana mesh sovereign list; use one: --key FILE");
		else if (err->code == ERR_WRONG_STATE && action == MESH_DENY && !str_is(node.status, "denied"))
			error_hint(err, "it is admitted; take it out: tana mesh remove %.*s", STR_ARG(id));
		else if (err->code == ERR_WRONG_STATE && action == MESH_APPROVE && str_is(node.status, "denied"))
			error_hint(err, "let it be decided on anew: tana mesh reset %.*s", STR_ARG(id));
		return false;
	}
	if (c->json)
		json_print(&mesh_node_answer_message, &answer);
	say(c, "%s %.*s: %.*s", done_text(action), STR_ARG(id), STR_ARG(printable(&c->arena, answer.status)));
	if (action == MESH_APPROVE)
		hint(c, "it now tells that it lives: tana mesh heartbeat --node-id %.*s", STR_ARG(id));
	return true;
}

static bool approve(struct cli *c, struct error *err)
{
	return decide(c, MESH_APPROVE, err);
}

static bool deny(struct cli *c, struct error *err)
{
	return decide(c, MESH_DENY, err);
}

static bool remove_node(struct cli *c, struct error *err)
{
	return decide(c, MESH_REMOVE, err);
}

static bool reset(struct cli *c, struct error *err)
{
	return decide(c, MESH_RESET, err);
}

/* Invites. */

struct invited {
	struct str code, public_key, network;
	int64_t uses, expires;
};
static const struct json_field invited_rows[] = {
	F_TEXT(struct invited, code, "code", 0, 0, "What the operator is given; secret."),
	F_TEXT(struct invited, public_key, "publicKey", 0, 0, "What the coordinator knows it by."),
	F_TEXT(struct invited, network, "network", 0, 0, "The network it admits to."),
	F_INT(struct invited, uses, "uses", 0, 0, 0, "How many nodes it admits."),
	F_INT(struct invited, expires, "expires", 0, 0, 0, "Until when."),
};
static JSON_MESSAGE(invited_message, "Invited", struct invited, invited_rows);

static bool invite(struct cli *c, struct error *err)
{
	struct keyfile k;
	struct ed25519_secret secret;
	char code[ED25519_SEED_TEXT_LEN + 1], key[ED25519_PUBLIC_TEXT_LEN + 1];
	int64_t uses = option_int(c->in, "uses"), expires = clock_wall_ms() + option_int(c->in, "expires");
	if (!cli_mesh_signing(c, err) || !keystore_sovereign(c, &k, err))
		return false;
	ed25519_generate(&secret);
	ed25519_seed_to_text(&secret, code);
	ed25519_public_to_text(&secret.public_key, key);
	bool ok = mesh_client_invite_create(c->mesh, &secret.public_key, uses, expires, &k.secret, &c->arena, err);
	if (ok && c->json) {
		struct invited out = {str_from(code), str_from(key), mesh_client_network(c->mesh), uses, expires};
		json_print(&invited_message, &out);
	} else if (ok) {
		/* The code alone on standard output, so that it can be piped; also with --quiet. */
		note(c, "An invite for %lld node%s, until %.*s. Whoever has this code gets in:", (long long)uses, uses == 1 ? "" : "s",
		     STR_ARG(date(&c->arena, expires)));
		printf("%s\n", code);
		fflush(stdout);
		hint(c, "the operator runs: tana mesh register --invite -   (and pastes the code)");
	}
	explicit_bzero(code, sizeof code);
	ed25519_secret_wipe(&secret);
	keyfile_wipe(&k);
	return ok;
}

static bool invites(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"INVITE", ALIGN_LEFT},   {"STATE", ALIGN_LEFT},    {"USED", ALIGN_RIGHT},
						{"EXPIRES", ALIGN_RIGHT}, {"CREATED", ALIGN_RIGHT}, {"BY", ALIGN_LEFT}};
	struct mesh_invites list;
	struct table t;
	if (!cli_mesh(c, err) || !mesh_client_invites(c->mesh, &c->arena, &list, err))
		return false;
	if (c->json) {
		json_print(&mesh_invites_message, &list);
		return true;
	}
	if (list.invites.count == 0) {
		say(c, "No invites.");
		hint(c, "make one: tana mesh invite");
		return true;
	}
	const struct mesh_invite *v = list.invites.items;
	int64_t now = clock_wall_ms();
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < list.invites.count; i++) {
		bool revoked = v[i].revoked_at != JSON_INT_ABSENT, expired = v[i].expires <= now, used = v[i].used >= v[i].uses;
		table_cell(&t, TINT_NONE, v[i].public_key); /* whole: invite-revoke takes it */
		table_cell(&t,
			   revoked           ? TINT_BAD
			   : expired || used ? TINT_DIM
					     : TINT_GOOD,
			   revoked   ? STR_LIT("revoked")
			   : used    ? STR_LIT("used up")
			   : expired ? STR_LIT("expired")
				     : STR_LIT("open"));
		table_cellf(&t, TINT_NONE, "%lld of %lld", (long long)v[i].used, (long long)v[i].uses);
		table_cell(&t, TINT_NONE, when(&c->arena, v[i].expires));
		table_cell(&t, TINT_NONE, when(&c->arena, v[i].created_at));
		table_cell(&t, TINT_DIM, short_key(&c->arena, v[i].created_by));
	}
	table_print(&t);
	return true;
}

static bool invite_revoke(struct cli *c, struct error *err)
{
	struct ed25519_public key;
	struct keyfile k;
	const char *text = invocation_arg(c->in, "invite");
	if (!ed25519_public_from_text(str_from(text), KEY_LENIENT, &key, err)) {
		error_set(err, ERR_USAGE, "'%s' is no invite's public key.", text);
		return error_hint(err, "tana mesh invites lists them");
	}
	if (!cli_mesh_signing(c, err) || !confirm(c, err, "Revoke the invite %s?", text) || !keystore_sovereign(c, &k, err))
		return false;
	bool ok = mesh_client_invite_revoke(c->mesh, &key, &k.secret, &c->arena, err);
	keyfile_wipe(&k);
	if (!ok && err->code == ERR_UNKNOWN_INVITE)
		error_hint(err, "tana mesh invites lists them");
	if (ok && c->json)
		json_print_text(STR_LIT("{\"success\":true}"));
	if (ok)
		say(c, "Revoked the invite; nodes it admitted stay.");
	return ok;
}

int cmd_mesh_approve(struct invocation *in)
{
	return cli_run(in, approve);
}

int cmd_mesh_deny(struct invocation *in)
{
	return cli_run(in, deny);
}

int cmd_mesh_remove(struct invocation *in)
{
	return cli_run(in, remove_node);
}

int cmd_mesh_reset(struct invocation *in)
{
	return cli_run(in, reset);
}

int cmd_mesh_invite(struct invocation *in)
{
	return cli_run(in, invite);
}

int cmd_mesh_invites(struct invocation *in)
{
	return cli_run(in, invites);
}

int cmd_mesh_invite_revoke(struct invocation *in)
{
	return cli_run(in, invite_revoke);
}
