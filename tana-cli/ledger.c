#include "ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "chain_file.h"
#include "daemon/daemon.h"
#include "known.h"
#include "output.h"
#include "paths.h"

/* ---- The ledger ---- */

struct ledger_client *ledger_open(struct cli *c, struct error *err)
{
	if (!c->ledger) {
		const char *agent = arena_printf(&c->arena, "tana/%s", tana_version()).p;
		c->ledger = ledger_client_new(cli_service_url(c, "ledger", NULL), agent, option_int(c->in, "timeout"), err);
	}
	return c->ledger;
}

static bool wrong_chain(const char *url, struct str says, struct str known, const char *how, struct error *err)
{
	error_set(err, ERR_BAD_CHAIN, "%s keeps chain '%.*s'; %s it is '%.*s'. Nothing was signed.", url, STR_ARG(says), how, STR_ARG(known));
	return error_hint(err, "name the right ledger: --ledger-url URL; or another chain of yours: --chain NAME");
}

static bool chain_of_ledger(struct cli *c, const struct chain_file *file, struct str *out, struct error *err)
{
	struct ledger_status status;
	struct str seen;
	if (!ledger_open(c, err) || !ledger_client_status(c->ledger, &c->arena, &status, err))
		return false;
	const char *url = ledger_client_url(c->ledger);
	*out = status.chain_id;
	if (str_present(file->chain_id)) {
		if (!str_equal(file->chain_id, status.chain_id))
			return wrong_chain(url, status.chain_id, file->chain_id, "by your chain file", err);
		if (str_present(file->genesis_hash) && !str_equal(file->genesis_hash, status.genesis_hash))
			return wrong_chain(url, status.genesis_hash, file->genesis_hash, "by the genesis in your chain file", err);
		return true;
	}
	if (!known_network(c, url, &seen, err))
		return false;
	if (str_present(seen))
		return str_equal(seen, status.chain_id) || wrong_chain(url, status.chain_id, seen, "when you first met it", err);
	note(c, "Chain '%.*s' at %s: first contact, its name is remembered.", STR_ARG(status.chain_id), url);
	return known_remember_network(c, url, status.chain_id, err);
}

bool ledger_chain_id(struct cli *c, struct str *out, struct error *err)
{
	struct chain_file file;
	if (!chain_file_read(c, &file, err))
		return false;
	if (!option_bool(c->in, "offline"))
		return chain_of_ledger(c, &file, out, err);
	*out = file.chain_id;
	if (!str_present(*out) && !known_network(c, cli_service_url(c, "ledger", NULL), out, err))
		return false;
	if (str_present(*out))
		return true;
	error_set(err, ERR_CONFIG, "%s does not say which chain a transaction is for.", path_chain(&c->arena, cli_chain(c)));
	return error_hint(err, "put {\"chainId\":\"NAME\"} into it, or leave out --offline once: it is remembered");
}

/* ---- Users ---- */

bool user_text(struct cli *c, const char *text, struct str *out, bool *is_id, struct error *err)
{
	struct str s = str_from(text);
	*is_id = tx_form_valid(TX_FORM_USER_ID, s);
	if (*is_id) {
		*out = s;
		return true;
	}
	*out = text[0] == '@' ? s : arena_printf(&c->arena, "@%s", text);
	return tx_form_valid(TX_FORM_USERNAME, *out) ||
	       error_set(err, ERR_USAGE, "'%s' is no user: @ and 1-49 of a-z 0-9 _ -, beginning with a letter or digit, or a user id.", text);
}

bool user_look_up(struct cli *c, const char *text, struct ledger_user *out, struct error *err)
{
	struct str who;
	bool is_id;
	if (!user_text(c, text, &who, &is_id, err) || !ledger_open(c, err))
		return false;
	if (ledger_client_user(c->ledger, who, &c->arena, out, err))
		return true;
	if (err->code == ERR_UNKNOWN_USER || err->code == ERR_NOT_FOUND) {
		error_set(err, ERR_UNKNOWN_USER, "There is no user %.*s on this chain.", STR_ARG(who));
		error_hint(err, "see who there is: tana user list; put one there: tana user create @name");
	}
	return false;
}

/* A user's id, as its key file says (since a rotation), or as it follows from the key. */
static struct str id_of_key(struct cli *c, struct str chain_id, const struct keyfile *k)
{
	char key[ED25519_PUBLIC_TEXT_LEN + 1], text[USER_ID_LEN + 1];
	if (str_present(k->user_id))
		return k->user_id;
	ed25519_public_to_text(&k->public_key, key);
	user_id_of(chain_id, str_from(key), text);
	return arena_copy(&c->arena, str_from(text));
}

/* The id of a user whose key file is here, without asking the ledger. */
static bool id_from_file(struct cli *c, struct str chain_id, struct str name, struct str *id, struct error *err)
{
	struct keyfile k;
	if (!keystore_look(c, path_user(&c->arena, name), &k, err))
		return error_hint(err, "--offline knows users with a key file here only; name others by their id");
	*id = id_of_key(c, chain_id, &k);
	return true;
}

bool user_asked_for(struct cli *c, const char *text, struct str *id, struct error *err)
{
	struct ledger_user user;
	bool is_id;
	if (!user_text(c, text, id, &is_id, err))
		return false;
	if (is_id)
		return true;
	if (!user_look_up(c, text, &user, err))
		return false;
	*id = user.id;
	return true;
}

bool user_recipient(struct cli *c, const char *text, struct str *id, struct error *err)
{
	struct str who, chain_id;
	bool is_id;
	if (!option_bool(c->in, "offline"))
		return user_asked_for(c, text, id, err);
	if (!user_text(c, text, &who, &is_id, err) || !ledger_chain_id(c, &chain_id, err))
		return false;
	*id = who;
	return is_id || id_from_file(c, chain_id, who, id, err);
}

struct str user_label(struct cli *c, struct str id)
{
	struct ledger_user user;
	struct error ignored;
	const struct str *known = strmap_get(&c->labels, id);
	if (!known) {
		struct str *label = arena_alloc(&c->arena, sizeof *label);
		*label = ledger_client_user(c->ledger, id, &c->arena, &user, &ignored) ? user.username : id;
		strmap_put(&c->labels, arena_copy(&c->arena, id), label);
		known = label;
	}
	return *known;
}

/* ---- Who signs ---- */

/* The name of the user that is meant when nobody said. */
static bool default_user(struct cli *c, bool staff, struct str *out, struct error *err)
{
	struct keystore_list keys = keystore_list(c);
	struct chain_file chain;
	size_t users = 0;
	if (!chain_file_read(c, &chain, err))
		return false;
	for (size_t i = 0; i < keys.count; i++) {
		const struct keystore_entry *e = &keys.items[i];
		if (strcmp(e->kind, "user") != 0)
			continue;
		users++;
		*out = e->name;
		if (staff && str_present(chain.sovereign) && str_equal(e->name, chain.sovereign))
			return true;
	}
	if (users == 1)
		return true;
	error_set(err, ERR_KEY_NEEDED, users ? "There are keys of several users here: it must be said who signs." : "There is no user's key here.");
	return error_hint(err, users ? "--as @name (tana keys list)" : "make one: tana new user @name");
}

/* The file of the user with this id; NULL when there is none. */
static const char *file_of_id(struct cli *c, struct str chain_id, struct str id)
{
	struct keystore_list keys = keystore_list(c);
	for (size_t i = 0; i < keys.count; i++)
		if (strcmp(keys.items[i].kind, "user") == 0 && !keys.items[i].problem && str_equal(id_of_key(c, chain_id, &keys.items[i].key), id))
			return keys.items[i].path;
	return NULL;
}

static bool open_key(struct cli *c, struct actor *out, struct error *err)
{
	if (keystore_open(c, out->path, &out->key, err))
		return true;
	if (err->code == ERR_KEY_NEEDED && !file_exists(out->path)) {
		error_set(err, ERR_KEY_NEEDED, "There is no key of %.*s here (%s).", STR_ARG(out->username), path_short(&c->arena, out->path));
		error_hint(err, "your users: tana keys list; a new one: tana new user %.*s", STR_ARG(out->username));
	}
	return false;
}

static void ready_wallet(struct cli *c, struct actor *a, struct str chain_id)
{
	a->wallet = (struct wallet){.ledger = c->ledger, .chain_id = chain_id, .user_id = a->id, .key = &a->key.secret, .stop = &cli_interrupted};
}

static bool open_offline(struct cli *c, struct str who, bool is_id, struct str chain_id, struct actor *out, struct error *err)
{
	out->id = out->username = who;
	out->path = is_id ? file_of_id(c, chain_id, who) : path_user(&c->arena, who);
	if (!out->path)
		return error_set(err, ERR_KEY_NEEDED, "No key file here says that it is of user %.*s.", STR_ARG(who));
	if ((!is_id && !id_from_file(c, chain_id, who, &out->id, err)) || !open_key(c, out, err))
		return false;
	ready_wallet(c, out, chain_id);
	return true;
}

/* The file's key must be the one that signs for the user now. */
static bool check_key(struct cli *c, const struct actor *a, struct str current, struct error *err)
{
	char key[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(&a->key.public_key, key);
	if (str_is(current, key))
		return true;
	error_set(err, ERR_KEY_FILE, "%s does not hold the key that signs for %.*s on this chain.", path_short(&c->arena, a->path), STR_ARG(a->username));
	return error_hint(err, "the chain has %.*s; if a rotation was cut short, run it again: tana user rotate-key %.*s", STR_ARG(current),
			  STR_ARG(a->username));
}

bool actor_open(struct cli *c, const char *text, bool staff, struct actor *out, struct error *err)
{
	struct ledger_user user;
	struct str who = STR_NONE, chain_id = STR_NONE;
	bool is_id = false;
	*out = (struct actor){0};
	if (!text)
		text = option_text(c->in, "as");
	if (text ? !user_text(c, text, &who, &is_id, err) : !default_user(c, staff, &who, err))
		return false;
	if (!ledger_chain_id(c, &chain_id, err))
		return false;
	if (option_bool(c->in, "offline"))
		return open_offline(c, who, is_id, chain_id, out, err);
	/* A name without a key here is told before the ledger is asked about it. */
	out->username = who;
	out->path = is_id ? NULL : path_user(&c->arena, who);
	if (out->path && !file_exists(out->path))
		return open_key(c, out, err);
	if (!user_look_up(c, who.p, &user, err))
		return false;
	out->id = user.id;
	out->username = user.username;
	out->path = path_user(&c->arena, user.username);
	if (!open_key(c, out, err))
		return false;
	if (!check_key(c, out, user.public_key, err)) {
		actor_wipe(out);
		return false;
	}
	ready_wallet(c, out, chain_id);
	return true;
}

bool actor_open_new(struct cli *c, struct str username, struct actor *out, struct error *err)
{
	struct str chain_id = STR_NONE;
	char key[ED25519_PUBLIC_TEXT_LEN + 1], id[USER_ID_LEN + 1];
	*out = (struct actor){.username = username, .path = path_user(&c->arena, username)};
	if (!ledger_chain_id(c, &chain_id, err) || !open_key(c, out, err))
		return false;
	ed25519_public_to_text(&out->key.public_key, key);
	user_id_of(chain_id, str_from(key), id);
	out->id = arena_copy(&c->arena, str_from(id));
	ready_wallet(c, out, chain_id);
	return true;
}

void actor_wipe(struct actor *a)
{
	keyfile_wipe(&a->key);
}

/* ---- The way of a transaction ---- */

bool order_check(struct cli *c, const struct wallet_order *o, struct error *err)
{
	for (int f = 0; f < TXF_APPROVAL_BY; f++) {
		enum tx_form form = tx_field_form((enum tx_field)f);
		if (!str_present(o->value[f]) || tx_form_valid(form, o->value[f]))
			continue;
		c->status = EXIT_USAGE;
		error_set(err, form == TX_FORM_AMOUNT ? ERR_AMOUNT_MALFORMED : ERR_MALFORMED_FIELD, "%s must be %s, not '%.*s'.",
			  tx_field_name((enum tx_field)f), tx_form_doc(form), (int)(o->value[f].n < 80 ? o->value[f].n : 80), o->value[f].p);
		return f == TXF_CURRENCY_CODE ? error_hint(err, "see what there is: tana currency list") : false;
	}
	return true;
}

/* Where to look when the ledger refuses what was ordered. */
static bool explain_refusal(const struct actor *a, struct error *err)
{
	if (err->hint[0])
		return false;
	if (err->code == ERR_INSUFFICIENT_FUNDS)
		error_hint(err, "see what there is: tana balance %.*s", STR_ARG(a->username));
	else if (err->code == ERR_UNKNOWN_CURRENCY)
		error_hint(err, "see what there is: tana currency list");
	else if (err->code == ERR_UNKNOWN_VALIDATOR)
		error_hint(err, "see what there is: tana validator list");
	return false;
}

static void print_signed(struct cli *c, const struct wallet_signed *s)
{
	char signature[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_signature_to_text(&s->signature, signature);
	json_print(&ledger_submission_message, &(struct ledger_submission){s->message, str_from(signature)});
	note(c, "Signed, and not handed in: tana tx submit FILE does that.");
}

static bool sign_offline(struct cli *c, const struct actor *a, const struct wallet_order *o, struct error *err)
{
	struct wallet_signed s;
	int64_t nonce = option_int(c->in, "nonce");
	if (strcmp(option_origin(c->in, "nonce"), "unset") == 0) {
		if (o->type != TX_USER_CREATION)
			return error_set(err, ERR_USAGE, "--offline needs --nonce N: one more than that of the user's last transaction.");
		nonce = 0;
	}
	if (!wallet_sign(&a->wallet, o, nonce, clock_wall_ms(), &c->arena, &s, err))
		return false;
	print_signed(c, &s);
	return true;
}

void tx_report(struct cli *c, const struct ledger_tx *t, const char *what)
{
	if (c->json)
		json_print(&ledger_tx_message, t);
	say(c, "%.*s", STR_ARG(printable(&c->arena, str_from(what))));
	say(c, "  transaction  %.*s", STR_ARG(t->id));
	say(c, "  block        %lld", (long long)t->height);
}

bool order_carry_out(struct cli *c, const struct actor *a, const struct wallet_order *o, struct error *err, const char *fmt, ...)
{
	struct wallet_signed sent;
	struct ledger_tx t;
	if (!order_check(c, o, err))
		return false;
	if (option_bool(c->in, "offline"))
		return sign_offline(c, a, o, err);
	cli_catch_interrupts(); /* from here on money may be under way: what became of it is told */
	if (!wallet_send(&a->wallet, o, &c->arena, &sent, err))
		return explain_refusal(a, err);
	struct str id = hash_text(c, &sent.id);
	if (option_bool(c->in, "no-wait")) {
		if (c->json)
			json_print(&ledger_receipt_message, &(struct ledger_receipt){.id = id, .status = STR_LIT(TX_STATUS_QUEUED),
										      .height = JSON_INT_ABSENT, .index = JSON_INT_ABSENT});
		say(c, "Handed in; it waits for a block.");
		say(c, "  transaction  %.*s", STR_ARG(id));
		return true;
	}
	if (!wallet_wait(&a->wallet, &sent.id, option_int(c->in, "wait-timeout"), &c->arena, &t, err))
		return false;
	if (str_is(t.status, TX_STATUS_REFUSED))
		return wallet_refused(&t, err) || explain_refusal(a, err);
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	tx_report(c, &t, text);
	free(text);
	return true;
}

bool hash_argument(const char *text, const char *what, struct hash *out, struct error *err)
{
	return hash_from_text(str_from(text), out) || error_set(err, ERR_USAGE, "'%.80s' is no %s (64 of 0-9 a-f).", text, what);
}

struct str hash_text(struct cli *c, const struct hash *h)
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	return arena_copy(&c->arena, str_from(text));
}
