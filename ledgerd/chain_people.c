/* The transactions about users, content, currencies and validators. Each checks everything it needs before it changes anything. */
#include "chain_records.h"

/* Remembers that a name or key is this user's, for ever. */
static void claim(struct step *s, struct str key, struct str id)
{
	chain_view_put(s->v, key, step_json(s, id));
}

static bool approval_fits(struct step *s, struct str key, struct str username)
{
	struct str by = tx_text(s->t, TXF_APPROVAL_BY);
	struct user_record staff;
	if (s->rules->params.open_registration == JSON_TRUE)
		return !str_present(by) || step_refuse(s, ERR_APPROVAL_UNEXPECTED, "registration is open on this chain: no approval belongs in it");
	if (!str_present(by))
		return step_refuse(s, ERR_APPROVAL_REQUIRED, "a new user needs a staff user's approval on this chain");
	if (!step_user(s, by, &staff))
		return false;
	if (!str_present(staff.id) || user_is(&staff, "user"))
		return step_refuse(s, ERR_APPROVAL_REQUIRED, "%.*s is no staff user", STR_ARG(by));
	struct buf text = {0};
	struct str staff_key = str_of(staff.public_key.p + 1, staff.public_key.n - 2);
	tx_approval_text(&text, s->rules->chain_id, by, key, username);
	bool good = step_check_signature(s, tx_text(s->t, TXF_APPROVAL_SIGNATURE), staff_key, buf_str(&text));
	buf_free(&text);
	return good || step_refuse(s, ERR_BAD_PROOF, "the approval's signature is not the staff user's");
}

bool apply_user_creation(struct step *s)
{
	struct str id = tx_from(s->t), username = tx_text(s->t, TXF_USERNAME), key = tx_text(s->t, TXF_PUBLIC_KEY), value;
	struct str bio = tx_text(s->t, TXF_BIO);
	struct chain_key name_key, key_key;
	struct user_record present;
	if (!step_get(s, chain_key(&name_key, "username", username, STR_NONE, STR_NONE), &value))
		return false;
	if (str_present(value))
		return step_refuse(s, ERR_USERNAME_TAKEN, "%.*s is taken", STR_ARG(username));
	if (!step_get(s, chain_key(&key_key, "key", key, STR_NONE, STR_NONE), &value))
		return false;
	if (str_present(value))
		return step_refuse(s, ERR_TX_KEY_IN_USE, "the key is a user's already, or was");
	if (!approval_fits(s, key, username) || !step_user(s, id, &present))
		return false;
	struct user_record u = {
		.bio = str_present(bio) ? step_json(s, bio) : STR_NONE,
		.display_name = step_json(s, tx_text(s->t, TXF_DISPLAY_NAME)),
		.id = step_json(s, id),
		.public_key = step_json(s, key),
		.role = STR_LIT("\"user\""),
		.username = step_json(s, username),
	};
	step_put_user(s, id, &u);
	claim(s, name_key.s, id);
	claim(s, key_key.s, id);
	return true;
}

bool apply_user_update(struct step *s)
{
	struct user_record u;
	struct str id = tx_from(s->t), display_name = tx_text(s->t, TXF_DISPLAY_NAME), bio = tx_text(s->t, TXF_BIO), avatar = tx_text(s->t, TXF_AVATAR_HASH);
	if (!step_user(s, id, &u))
		return false;
	if (str_present(display_name))
		u.display_name = step_json(s, display_name);
	if (str_present(bio))
		u.bio = step_json(s, bio);
	if (str_present(avatar))
		u.avatar_hash = step_json(s, avatar);
	step_put_user(s, id, &u);
	return true;
}

bool apply_key_rotation(struct step *s)
{
	struct chain_key k;
	struct user_record u;
	struct str id = tx_from(s->t), key = tx_text(s->t, TXF_PUBLIC_KEY), value;
	if (!step_get(s, chain_key(&k, "key", key, STR_NONE, STR_NONE), &value))
		return false;
	if (str_present(value))
		return step_refuse(s, ERR_TX_KEY_IN_USE, "the key is a user's already, or was");
	struct buf text = {0};
	tx_rotation_text(&text, s->rules->chain_id, id, s->t->nonce, key);
	bool good = step_check_signature(s, tx_text(s->t, TXF_PROOF), key, buf_str(&text));
	buf_free(&text);
	if (!good)
		return step_refuse(s, ERR_BAD_PROOF, "the proof is not the new key's signature over the rotation");
	if (!step_user(s, id, &u))
		return false;
	u.public_key = step_json(s, key);
	step_put_user(s, id, &u);
	claim(s, k.s, id);
	return true;
}

/* The other user that a change of roles is about. */
static bool other_user(struct step *s, struct user_record *out)
{
	struct str to = tx_text(s->t, TXF_TO);
	if (!step_user(s, to, out))
		return false;
	if (!str_present(out->id))
		return step_refuse(s, ERR_UNKNOWN_USER, "there is no user %.*s", STR_ARG(to));
	return !str_equal(to, tx_from(s->t)) || step_refuse(s, ERR_SELF_ROLE, "nobody changes the own role");
}

bool apply_role_change(struct step *s)
{
	struct user_record u;
	if (!other_user(s, &u))
		return false;
	u.role = step_json(s, tx_text(s->t, TXF_ROLE));
	step_put_user(s, tx_text(s->t, TXF_TO), &u);
	return true;
}

bool apply_sovereignty(struct step *s)
{
	struct user_record heir, old;
	if (!other_user(s, &heir) || !step_user(s, tx_from(s->t), &old))
		return false;
	heir.role = STR_LIT("\"sovereign\"");
	old.role = STR_LIT("\"staff\"");
	step_put_user(s, tx_text(s->t, TXF_TO), &heir);
	step_put_user(s, tx_from(s->t), &old);
	return true;
}

/* ---- Currencies ---- */

bool apply_currency(struct step *s)
{
	struct chain_key k, supply;
	struct str code = tx_text(s->t, TXF_CODE), value;
	if (!step_get(s, chain_key(&k, "currency", code, STR_NONE, STR_NONE), &value))
		return false;
	if (str_present(value))
		return step_refuse(s, ERR_CURRENCY_EXISTS, "the chain has a currency %.*s already", STR_ARG(code));
	if (!step_get(s, chain_key(&supply, "supply", code, STR_NONE, STR_NONE), &value))
		return false;
	if (str_present(value))
		return step_corrupt(s, supply.s);
	struct genesis_currency c = {
		.code = code,
		.currency_type = tx_text(s->t, TXF_CURRENCY_TYPE),
		.decimals = tx_int(s->t, TXF_DECIMALS),
		.name = tx_text(s->t, TXF_NAME),
		.symbol = tx_text(s->t, TXF_SYMBOL),
	};
	chain_put_currency(s->v, &c);
	return true;
}

/* ---- Content ---- */

static void put_member(struct canonical_writer *w, const char *key, struct str text)
{
	if (!str_present(text))
		return;
	canonical_key(w, key);
	canonical_str(w, text);
}

bool apply_publish(struct step *s)
{
	struct chain_key k;
	struct str value;
	if (!step_get(s, chain_key(&k, "content", tx_text(s->t, TXF_HASH), tx_from(s->t), STR_NONE), &value))
		return false;
	if (str_present(value))
		return step_refuse(s, ERR_CONTENT_EXISTS, "this user has published this content already");
	struct buf out = {0};
	struct canonical_writer w;
	canonical_begin(&w, &out);
	canonical_object(&w);
	put_member(&w, "contentType", tx_text(s->t, TXF_CONTENT_TYPE));
	put_member(&w, "filename", tx_text(s->t, TXF_FILENAME));
	put_member(&w, "key", tx_text(s->t, TXF_KEY));
	put_member(&w, "mimeType", tx_text(s->t, TXF_MIME_TYPE));
	canonical_key(&w, "size");
	canonical_int(&w, tx_int(s->t, TXF_SIZE));
	canonical_end(&w);
	chain_view_put(s->v, k.s, buf_str(&out));
	buf_free(&out);
	return true;
}

bool apply_retract(struct step *s)
{
	struct chain_key k;
	struct str value;
	if (!step_get(s, chain_key(&k, "content", tx_text(s->t, TXF_HASH), tx_from(s->t), STR_NONE), &value))
		return false;
	if (!str_present(value))
		return step_refuse(s, ERR_NOT_OWNER, "this user has not published this content");
	chain_view_put(s->v, k.s, STR_NONE);
	return true;
}

/* ---- Validators ---- */

/* Is there a validator beside `key`, now, in this block? */
static bool has_other_validator(struct step *s, struct str key, bool *other)
{
	struct chain_key k;
	struct str value;
	*other = false;
	for (size_t i = 0; i < s->rules->validator_count && !*other; i++) {
		chain_key(&k, "validator", s->rules->validators[i].id, STR_NONE, STR_NONE);
		if (str_equal(k.s, key))
			continue;
		if (!step_get(s, k.s, &value))
			return false;
		*other = str_present(value);
	}
	/* Those that this block brought. */
	for (const struct chain_entry *e = s->v->first; e && !*other; e = e->next)
		*other = str_starts(e->key, "validator:") && !str_equal(e->key, key) && str_present(e->now);
	return true;
}

bool apply_validator(struct step *s)
{
	struct chain_key k;
	struct str id = tx_text(s->t, TXF_VALIDATOR_ID), value;
	struct validator validator = {.id = id, .public_key = tx_text(s->t, TXF_PUBLIC_KEY), .power = tx_int(s->t, TXF_POWER)};
	if (!step_get(s, chain_key(&k, "validator", id, STR_NONE, STR_NONE), &value))
		return false;
	if (validator.power == 0) {
		bool other;
		if (!str_present(value))
			return step_refuse(s, ERR_UNKNOWN_VALIDATOR, "there is no validator %.*s", STR_ARG(id));
		if (!has_other_validator(s, k.s, &other))
			return false;
		if (!other)
			return step_refuse(s, ERR_LAST_VALIDATOR, "the last validator cannot go");
		chain_view_put(s->v, k.s, STR_NONE);
		return true;
	}
	struct buf out = {0};
	validator_write(&out, &validator);
	chain_view_put(s->v, k.s, buf_str(&out));
	buf_free(&out);
	return true;
}
