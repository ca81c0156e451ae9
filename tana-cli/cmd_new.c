/* new user: a key pair and a name to go with it. */
#include "commands.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"

enum { NAME_MAX_LEN = 49 }; /* without the @: the ledger's rule */

struct user_report {
	struct str username, display_name, public_key, key_file;
};
static const struct json_field user_report_rows[] = {
	F_TEXT(struct user_report, username, "username", 0, 0, "The user's name, with @."),
	F_TEXT(struct user_report, display_name, "displayName", 0, 0, "The name for people."),
	F_TEXT(struct user_report, public_key, "publicKey", 0, 0, "The user's key."),
	F_TEXT(struct user_report, key_file, "keyFile", 0, 0, "Where it lies."),
};
static JSON_MESSAGE(user_report_message, "UserReport", struct user_report, user_report_rows);

static bool name_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9');
}

/* "@name" or "name" -> "@name". */
static bool username_of(struct cli *c, const char *text, struct str *out, struct error *err)
{
	const char *name = text[0] == '@' ? text + 1 : text;
	size_t n = strlen(name);
	bool ok = n <= NAME_MAX_LEN && name_char(name[0]);
	for (size_t i = 1; ok && i < n; i++)
		ok = name_char(name[i]) || name[i] == '_' || name[i] == '-';
	if (!ok)
		return error_set(err, ERR_USAGE, "'%s' is no user name: 1-%d of a-z 0-9 _ -, beginning with a letter or digit.", text,
				 NAME_MAX_LEN);
	*out = arena_printf(&c->arena, "@%s", name);
	return true;
}

static bool new_user(struct cli *c, struct error *err)
{
	struct keyfile k = {.display_name = str_from(option_text(c->in, "display-name"))};
	char passphrase[PASSPHRASE_MAX] = "", key[ED25519_PUBLIC_TEXT_LEN + 1];
	const char *file = option_text(c->in, "passphrase-file");
	if (!username_of(c, invocation_arg(c->in, "name"), &k.username, err))
		return false;
	const char *path = path_user(&c->arena, k.username);
	if (file && !keystore_passphrase_file(file, passphrase, err))
		return false;
	if (!file && option_bool(c->in, "passphrase") && !keystore_new_passphrase(passphrase, err))
		return false;
	bool sealed = passphrase[0] != '\0', ok = keystore_create(path, &k, sealed ? str_from(passphrase) : STR_NONE, err);
	explicit_bzero(passphrase, sizeof passphrase);
	if (!ok) {
		if (err->code == ERR_ALREADY_EXISTS)
			error_hint(err, "this user has a key: tana keys show %.*s", STR_ARG(k.username));
		return false;
	}
	ed25519_public_to_text(&k.public_key, key);
	if (c->json)
		json_print(&user_report_message, &(struct user_report){k.username, k.display_name, str_from(key), str_from(path)});
	say(c, "Made user %.*s", STR_ARG(k.username));
	say(c, "  key   %s", key);
	say(c, "  file  %s%s", path_short(&c->arena, path), sealed ? " (sealed with a passphrase)" : "");
	keyfile_wipe(&k);
	return true;
}

int cmd_new_user(struct invocation *in)
{
	return cli_run(in, new_user);
}
