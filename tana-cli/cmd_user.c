/* user: who is on the chain. */
#include <unistd.h>

#include "base/file.h"
#include "commands.h"
#include "ledger.h"
#include "output.h"
#include "paths.h"

/* ---- create ---- */

/* The key file is made when there is none; one that is there goes on the chain. */
static bool make_key(struct cli *c, struct str username, struct error *err)
{
	struct keyfile k = {.username = username, .display_name = str_from(option_text(c->in, "display-name"))};
	const char *path = path_user(&c->arena, username);
	if (file_exists(path))
		return true;
	if (!keystore_create(path, &k, STR_NONE, err))
		return false;
	keyfile_wipe(&k);
	note(c, "Made a key for %.*s: %s", STR_ARG(username), path_short(&c->arena, path));
	return true;
}

/* With --approve-by a staff user of this machine vouches for the new one. */
static bool approve(struct cli *c, const struct actor *new_user, struct wallet_order *o, struct error *err)
{
	const char *by = option_text(c->in, "approve-by");
	struct actor staff;
	if (!by)
		return true;
	if (!actor_open(c, by, true, &staff, err))
		return false;
	wallet_approve(&staff.wallet, o, &new_user->key.public_key, new_user->username, &c->arena);
	actor_wipe(&staff);
	return true;
}

/* Is it this very user that has the name, with this very key? An earlier attempt may have been cut short after the ledger had taken it. */
static bool there_already(struct cli *c, const struct actor *a)
{
	struct ledger_user u;
	struct json_list found;
	struct error ignored;
	struct ledger_tx_query q = {.type = STR_LIT("user_creation"), .account = a->id, .limit = 1};
	if (!ledger_client_user(c->ledger, a->id, &c->arena, &u, &ignored) || !str_equal(u.username, a->username) ||
	    !ledger_client_txs(c->ledger, &q, &c->arena, &found, &ignored) || found.count != 1)
		return false;
	tx_report(c, found.items, arena_printf(&c->arena, "User %.*s was on the chain already, with id %.*s.", STR_ARG(a->username), STR_ARG(a->id)).p);
	return true;
}

static bool create(struct cli *c, struct error *err)
{
	struct wallet_order o = wallet_order(TX_USER_CREATION);
	struct actor a;
	bool is_id;
	if (!user_text(c, invocation_arg(c->in, "name"), &o.value[TXF_USERNAME], &is_id, err))
		return false;
	if (is_id)
		return error_set(err, ERR_USAGE, "A new user has a name; its id follows from its key.");
	if (!make_key(c, o.value[TXF_USERNAME], err) || !actor_open_new(c, o.value[TXF_USERNAME], &a, err))
		return false;
	const char *shown = option_text(c->in, "display-name");
	o.value[TXF_DISPLAY_NAME] = shown                               ? str_from(shown)
				    : str_present(a.key.display_name) ? a.key.display_name
								      : str_of(o.value[TXF_USERNAME].p + 1, o.value[TXF_USERNAME].n - 1);
	o.value[TXF_BIO] = str_from(option_text(c->in, "bio"));
	bool ok = approve(c, &a, &o, err) && order_carry_out(c, &a, &o, err, "User %.*s is on the chain, with id %.*s.", STR_ARG(a.username), STR_ARG(a.id));
	if (!ok && err->code == ERR_USERNAME_TAKEN && there_already(c, &a))
		ok = true;
	else if (!ok && err->code == ERR_APPROVAL_REQUIRED)
		error_hint(err, "a staff user with a key here can vouch: --approve-by @name");
	actor_wipe(&a);
	return ok;
}

/* ---- show, list ---- */

struct user_report {
	struct ledger_user *user;
	struct ledger_nonce *nonce;
	struct json_list balances;
};
static const struct json_field user_report_rows[] = {
	F_OBJECT(struct user_report, user, "user", 0, &ledger_user_message, "The user."),
	F_OBJECT(struct user_report, nonce, "nonce", 0, &ledger_nonce_message, "Its nonces."),
	F_LIST(struct user_report, balances, "balances", JSON_REQUIRED, 0, &ledger_balance_message, "What it has."),
};
static JSON_MESSAGE(user_report_message, "UserReport", struct user_report, user_report_rows);

static enum tint role_tint(struct str role)
{
	return str_is(role, "user") ? TINT_NONE : str_is(role, "staff") ? TINT_WARN : TINT_GOOD;
}

static bool show(struct cli *c, struct error *err)
{
	enum { WIDTH = 12 };
	struct ledger_user u;
	struct ledger_nonce nonce;
	struct user_report r = {.user = &u, .nonce = &nonce};
	if (!user_look_up(c, invocation_arg(c->in, "user"), &u, err) || !ledger_client_nonce(c->ledger, u.id, &c->arena, &nonce, err) ||
	    !ledger_client_balances(c->ledger, u.id, &c->arena, &r.balances, err))
		return false;
	if (c->json) {
		json_print(&user_report_message, &r);
		return true;
	}
	pair_print(WIDTH, "user", TINT_BOLD, u.username);
	pair_print(WIDTH, "name", TINT_NONE, u.display_name);
	pair_print(WIDTH, "id", TINT_NONE, u.id);
	pair_print(WIDTH, "key", TINT_NONE, u.public_key);
	pair_print(WIDTH, "role", role_tint(u.role), u.role);
	if (str_present(u.bio))
		pair_print(WIDTH, "bio", TINT_NONE, u.bio);
	if (str_present(u.avatar_hash))
		pair_print(WIDTH, "avatar", TINT_NONE, u.avatar_hash);
	pair_printf(WIDTH, "next nonce", TINT_NONE, "%lld", (long long)nonce.next_nonce);
	const struct ledger_balance *b = r.balances.items;
	for (size_t i = 0; i < r.balances.count; i++)
		pair_printf(WIDTH, i ? "" : "balance", TINT_NONE, "%.*s %.*s (held %.*s)", STR_ARG(b[i].amount), STR_ARG(b[i].currency_code),
			    STR_ARG(b[i].held));
	return true;
}

static bool list(struct cli *c, struct error *err)
{
	static const struct column columns[] = {{"USER", ALIGN_LEFT}, {"NAME", ALIGN_LEFT}, {"ROLE", ALIGN_LEFT}, {"ID", ALIGN_LEFT}, {"KEY", ALIGN_LEFT}};
	struct ledger_user_list all = {.next_cursor = STR_NONE};
	struct table t;
	if (!ledger_open(c, err) || !ledger_client_users(c->ledger, (size_t)option_int(c->in, "limit"), &c->arena, &all.users, err))
		return false;
	if (c->json) {
		json_print(&ledger_user_list_message, &all);
		return true;
	}
	const struct ledger_user *u = all.users.items;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < all.users.count; i++) {
		table_cell(&t, TINT_BOLD, u[i].username);
		table_cell(&t, TINT_NONE, u[i].display_name);
		table_cell(&t, role_tint(u[i].role), u[i].role);
		table_cell(&t, TINT_NONE, u[i].id);
		table_cell(&t, TINT_DIM, short_key(&c->arena, u[i].public_key));
	}
	table_print(&t);
	return true;
}

/* ---- update ---- */

static bool update(struct cli *c, struct error *err)
{
	struct wallet_order o = wallet_order(TX_USER_UPDATE);
	struct actor a;
	o.value[TXF_DISPLAY_NAME] = str_from(option_text(c->in, "display-name"));
	o.value[TXF_BIO] = option_bool(c->in, "clear-bio") ? STR_LIT("") : str_from(option_text(c->in, "bio"));
	o.value[TXF_AVATAR_HASH] = str_from(option_text(c->in, "avatar"));
	if (!str_present(o.value[TXF_DISPLAY_NAME]) && !str_present(o.value[TXF_BIO]) && !str_present(o.value[TXF_AVATAR_HASH]))
		return error_set(err, ERR_USAGE, "What is to change? --display-name TEXT, --bio TEXT, --clear-bio, --avatar HASH");
	if (!actor_open(c, invocation_arg(c->in, "user"), false, &a, err))
		return false;
	bool ok = order_carry_out(c, &a, &o, err, "Changed what %.*s shows of itself.", STR_ARG(a.username));
	actor_wipe(&a);
	return ok;
}

/* ---- rotate-key ---- */

/* The new key lies in <file>.next before the ledger hears of it, as with nodes (cmd_mesh_rotate.c). */
static bool open_next(struct cli *c, const struct actor *a, const char *next_path, struct str passphrase, struct keyfile *out, struct error *err)
{
	if (file_exists(next_path)) {
		note(c, "Taking up the rotation that was begun before (%s).", path_short(&c->arena, next_path));
		return keystore_open(c, next_path, out, err);
	}
	*out = a->key;
	out->user_id = a->id;
	return keystore_create(next_path, out, passphrase, err);
}

static bool finish_rotation(struct cli *c, const struct actor *a, const char *next_path, struct keyfile *fresh, struct str passphrase, struct error *err)
{
	fresh->user_id = a->id;
	if (!keyfile_write(a->path, fresh, passphrase, true, err))
		return false;
	if (unlink(next_path) != 0)
		return error_set(err, ERR_IO, "The key was rotated, and %s could not be removed; remove it.", next_path);
	say(c, "  file         %s", path_short(&c->arena, a->path));
	return true;
}

static struct str public_text(struct cli *c, const struct ed25519_public *k)
{
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(k, text);
	return arena_copy(&c->arena, str_from(text));
}

static bool rotate(struct cli *c, struct actor *a, struct str current, struct str passphrase, struct error *err)
{
	struct wallet_order o = wallet_order(TX_KEY_ROTATION);
	const char *next_path = arena_printf(&c->arena, "%s.next", a->path).p;
	struct keyfile fresh;
	if (!open_next(c, a, next_path, passphrase, &fresh, err))
		return false;
	struct str old_key = public_text(c, &a->key.public_key), new_key = public_text(c, &fresh.public_key);
	o.new_key = &fresh.secret;
	bool ok = true;
	if (str_equal(current, new_key))
		say(c, "The chain has the new key of %.*s already.", STR_ARG(a->username));
	else if (!str_equal(current, old_key))
		ok = error_set(err, ERR_KEY_FILE, "The chain knows %.*s by another key than the one in %s.", STR_ARG(a->username), a->path);
	else
		ok = confirm(c, err, "Replace the key of %.*s by a new one?", STR_ARG(a->username)) &&
		     order_carry_out(c, a, &o, err, "Rotated the key of %.*s to %.*s.", STR_ARG(a->username), STR_ARG(new_key));
	ok = ok && finish_rotation(c, a, next_path, &fresh, passphrase, err);
	keyfile_wipe(&fresh);
	return ok;
}

static bool rotate_key(struct cli *c, struct error *err)
{
	struct ledger_user u;
	struct actor a;
	char passphrase[PASSPHRASE_MAX];
	if (!user_look_up(c, invocation_arg(c->in, "user"), &u, err) || !actor_open_new(c, u.username, &a, err))
		return false;
	a.id = a.wallet.user_id = u.id; /* the id is of the first key, not of the present one */
	bool ok = keystore_passphrase_for(a.key.sealed, passphrase, err) &&
		  rotate(c, &a, u.public_key, passphrase[0] ? str_from(passphrase) : STR_NONE, err);
	explicit_bzero(passphrase, sizeof passphrase);
	actor_wipe(&a);
	return ok;
}

int cmd_user_create(struct invocation *in)
{
	return cli_run(in, create);
}

int cmd_user_show(struct invocation *in)
{
	return cli_run(in, show);
}

int cmd_user_list(struct invocation *in)
{
	return cli_run(in, list);
}

int cmd_user_update(struct invocation *in)
{
	return cli_run(in, update);
}

int cmd_user_rotate_key(struct invocation *in)
{
	return cli_run(in, rotate_key);
}
