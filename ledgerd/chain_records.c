#include "chain_records.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "crypto/canonical_read.h"

struct str chain_key(struct chain_key *k, const char *kind, struct str a, struct str b, struct str c)
{
	struct str parts[] = {a, b, c};
	size_t n = strlen(kind);
	memcpy(k->text, kind, n);
	for (size_t i = 0; i < 3 && str_present(parts[i]); i++) {
		invariant(n + 1 + parts[i].n <= sizeof k->text);
		k->text[n++] = ':';
		memcpy(k->text + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	k->s = str_of(k->text, n);
	return k->s;
}

bool step_get(struct step *s, struct str key, struct str *value)
{
	if (chain_view_get(s->v, key, value, s->err))
		return true;
	s->failed = true;
	return false;
}

bool step_refuse(struct step *s, enum error_code code, const char *fmt, ...)
{
	char text[ERROR_MESSAGE_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return error_set(s->err, code, "%s", text);
}

bool step_corrupt(struct step *s, struct str key)
{
	s->failed = true;
	return error_set(s->err, ERR_CORRUPT, "the state entry %.*s makes no sense", STR_ARG(key));
}

bool step_check_signature(struct step *s, struct str text_signature, struct str text_key, struct str message)
{
	struct ed25519_signature sig;
	struct ed25519_public key;
	struct hash digest;
	struct error why;
	if (!ed25519_signature_from_text(text_signature, KEY_WRITTEN, &sig, &why) || !ed25519_public_from_text(text_key, KEY_WRITTEN, &key, &why))
		return false;
	sha256(&digest, message.p, message.n);
	return s->rules->verifier.check(s->rules->verifier.ctx, s->rules->at, &sig, &key, &digest);
}

struct str step_json(struct step *s, struct str text)
{
	struct buf out = {0};
	buf_put_json_string(&out, text);
	struct str copy = arena_copy(&s->v->arena, buf_str(&out));
	buf_free(&out);
	return copy;
}

/* ---- Users ---- */

bool user_read(struct str value, struct user_record *out)
{
	struct canonical_cursor c;
	struct str key, member;
	*out = (struct user_record){.id = STR_NONE};
	if (!canonical_enter_object(value, &c))
		return false;
	while (canonical_next_member(&c, &key, &member)) {
		if (str_is(key, "avatarHash"))
			out->avatar_hash = member;
		else if (str_is(key, "bio"))
			out->bio = member;
		else if (str_is(key, "displayName"))
			out->display_name = member;
		else if (str_is(key, "id"))
			out->id = member;
		else if (str_is(key, "publicKey"))
			out->public_key = member;
		else if (str_is(key, "role"))
			out->role = member;
		else if (str_is(key, "username"))
			out->username = member;
		else
			return false;
	}
	return c.p == c.end && str_present(out->display_name) && str_present(out->id) && str_present(out->public_key) && str_present(out->role) &&
	       str_present(out->username);
}

static void put(struct canonical_writer *w, const char *key, struct str json)
{
	if (!str_present(json))
		return;
	canonical_key(w, key);
	canonical_raw(w, json);
}

void user_write(struct buf *out, const struct user_record *u)
{
	struct canonical_writer w;
	canonical_begin(&w, out);
	canonical_object(&w);
	put(&w, "avatarHash", u->avatar_hash);
	put(&w, "bio", u->bio);
	put(&w, "displayName", u->display_name);
	put(&w, "id", u->id);
	put(&w, "publicKey", u->public_key);
	put(&w, "role", u->role);
	put(&w, "username", u->username);
	canonical_end(&w);
}

bool step_user(struct step *s, struct str id, struct user_record *out)
{
	struct chain_key k;
	struct str value;
	*out = (struct user_record){.id = STR_NONE};
	if (!step_get(s, chain_key(&k, "user", id, STR_NONE, STR_NONE), &value))
		return false;
	return !str_present(value) || user_read(value, out) || step_corrupt(s, k.s);
}

void step_put_user(struct step *s, struct str id, const struct user_record *u)
{
	struct chain_key k;
	struct buf value = {0};
	user_write(&value, u);
	chain_view_put(s->v, chain_key(&k, "user", id, STR_NONE, STR_NONE), buf_str(&value));
	buf_free(&value);
}

bool user_is(const struct user_record *u, const char *role)
{
	struct str text;
	return canonical_read_plain(u->role, &text) && str_is(text, role);
}
