#include "session_rules.h"

#include "json/fields.h"

enum { SESSION_STATUS_COUNT = SESSION_EXPIRED + 1, SIGNED_TEXT_MAX = 4096 };

static const char *const status_texts[SESSION_STATUS_COUNT] = {
	[SESSION_WAITING] = "waiting",   [SESSION_SCANNED] = "scanned", [SESSION_APPROVED] = "approved",
	[SESSION_REJECTED] = "rejected", [SESSION_EXPIRED] = "expired",
};

const char *session_status_text(enum session_status s)
{
	return status_texts[s];
}

bool session_status_from_text(struct str text, enum session_status *out)
{
	for (int i = 0; i < SESSION_STATUS_COUNT; i++) {
		if (str_is(text, status_texts[i])) {
			*out = (enum session_status)i;
			return true;
		}
	}
	return false;
}

enum session_status session_status_at(enum session_status row, int64_t expires_at, int64_t now)
{
	return session_status_open(row) && expires_at <= now ? SESSION_EXPIRED : row;
}

bool session_id_valid(struct str s)
{
	if (s.n != SESSION_ID_LEN || !str_starts(s, "sess_"))
		return false;
	for (size_t i = 5; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'z')))
			return false;
	return true;
}

bool approve_session_open(const struct approve_session *s, struct error *err)
{
	switch (s->status) {
	case SESSION_WAITING:
	case SESSION_SCANNED:
		return true;
	case SESSION_EXPIRED:
		error_set(err, ERR_SESSION_EXPIRED, "this login has expired");
		return error_hint(err, "begin a new one on the desktop");
	case SESSION_APPROVED:
	case SESSION_REJECTED:
		break;
	}
	error_set(err, ERR_SESSION_NOT_OPEN, "this login was %s already", session_status_text(s->status));
	return error_hint(err, "begin a new one on the desktop");
}

/* ---- the signed message ---- */

struct signed_message {
	struct str session_id, challenge, user_id, username, server, client_id, return_origin;
};
static const struct json_field message_rows[] = {
	F_TEXT(struct signed_message, session_id, "sessionId", 0, SIGNED_TEXT_MAX, ""),
	F_TEXT(struct signed_message, challenge, "challenge", 0, SIGNED_TEXT_MAX, ""),
	F_TEXT(struct signed_message, user_id, "userId", 0, SIGNED_TEXT_MAX, ""),
	F_TEXT(struct signed_message, username, "username", 0, SIGNED_TEXT_MAX, ""),
	F_TEXT(struct signed_message, server, "server", 0, SIGNED_TEXT_MAX, ""),
	F_TEXT(struct signed_message, client_id, "clientId", 0, SIGNED_TEXT_MAX, ""),
	F_TEXT(struct signed_message, return_origin, "returnOrigin", 0, SIGNED_TEXT_MAX, ""),
};
static JSON_MESSAGE(signed_message, "SignedLogin", struct signed_message, message_rows);

/* Each number apart: one that is none is no malformed message, but a time that cannot be. */
struct signed_time {
	int64_t ms;
};
static const struct json_field timestamp_rows[] = {F_INT(struct signed_time, ms, "timestamp", 0, 0, 0, "")};
static JSON_MESSAGE(signed_timestamp, "SignedTimestamp", struct signed_time, timestamp_rows);
static const struct json_field expiry_rows[] = {F_INT(struct signed_time, ms, "exp", 0, 0, 0, "")};
static JSON_MESSAGE(signed_expiry, "SignedExpiry", struct signed_time, expiry_rows);

struct parsed {
	struct signed_message m;
	struct signed_time timestamp, expires;
	bool timestamp_read, expires_read;
};

static bool parse_message(struct str text, struct parsed *out, struct arena *scratch, struct error *err)
{
	struct error why;
	if (text.n > APPROVE_MESSAGE_MAX)
		return error_set(err, ERR_MALFORMED_MESSAGE, "the signed message is longer than %d bytes", APPROVE_MESSAGE_MAX);
	struct json_doc *d = json_parse_object(text, &why);
	if (!d)
		return error_set(err, ERR_MALFORMED_MESSAGE, "the signed message is no JSON object: %s", why.message);
	bool ok = json_read(d, &signed_message, &out->m, scratch, &why) ||
		  error_set(err, ERR_MALFORMED_MESSAGE, "the signed message cannot be read: %s", why.message);
	out->timestamp_read = ok && json_read(d, &signed_timestamp, &out->timestamp, scratch, &why);
	out->expires_read = ok && json_read(d, &signed_expiry, &out->expires, scratch, &why);
	json_doc_free(d);
	return ok;
}

static bool missing(const char *where, const char *name, struct error *err)
{
	return error_set(err, ERR_MISSING_FIELD, "%s lacks `%s`", where, name);
}

/* A claim's fields, and the message's. */
static bool check_fields(const struct approve_claim *c, const struct parsed *p, struct error *err)
{
	static const char request[] = "the request", message[] = "the signed message";
	const struct {
		struct str value;
		const char *where, *name;
	} needed[] = {
		{c->user_id, request, "userId"},         {c->username, request, "username"},
		{c->public_key, request, "publicKey"},   {c->signature, request, "signature"},
		{p->m.session_id, message, "sessionId"}, {p->m.challenge, message, "challenge"},
		{p->m.user_id, message, "userId"},       {p->m.username, message, "username"},
	};
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (!str_present(needed[i].value) || needed[i].value.n == 0)
			return missing(needed[i].where, needed[i].name, err);
	return !p->timestamp_read || p->timestamp.ms != JSON_INT_ABSENT || missing(message, "timestamp", err);
}

static bool absent_or(struct str said, struct str expected)
{
	return !str_present(said) || str_equal(said, expected);
}

/* Is it this session, this user, this server that was signed for? */
static bool check_subject(const struct approve_session *s, const struct approve_claim *c, const struct signed_message *m, struct error *err)
{
	if (!str_equal(m->session_id, s->id))
		return error_set(err, ERR_SESSION_MISMATCH, "the message was signed for another session");
	if (!str_equal(m->challenge, s->challenge))
		return error_set(err, ERR_CHALLENGE_MISMATCH, "the message answers another challenge");
	if (!str_equal(m->user_id, c->user_id) || !str_equal(username_bare(m->username), username_bare(c->username)))
		return error_set(err, ERR_USER_MISMATCH, "the message was signed for another user");
	if (!absent_or(m->server, s->server))
		return error_set(err, ERR_SERVER_MISMATCH, "the message was signed for another server; this one is %.*s", STR_ARG(s->server));
	if (!absent_or(m->client_id, s->client_id))
		return error_set(err, ERR_CLIENT_MISMATCH, "the message was signed for another application");
	if (!absent_or(m->return_origin, s->origin))
		return error_set(err, ERR_ORIGIN_MISMATCH, "the message was signed for a login that leads elsewhere; this one leads to %.*s",
				 STR_ARG(s->origin));
	return true;
}

static bool check_times(const struct parsed *p, int64_t now, struct error *err)
{
	if (!p->timestamp_read || !p->expires_read)
		return error_set(err, ERR_TIMESTAMP_OUT_OF_RANGE, "`%s` must be an integer: milliseconds since the epoch", p->timestamp_read ? "exp" : "timestamp");
	bool ok = p->timestamp.ms >= now - APPROVE_AGE_MAX_MS && p->timestamp.ms <= now + APPROVE_AHEAD_MAX_MS;
	if (!ok)
		error_set(err, ERR_TIMESTAMP_OUT_OF_RANGE, "the message was signed too long ago, or in the future");
	else if (p->expires.ms != JSON_INT_ABSENT && p->expires.ms <= now)
		ok = error_set(err, ERR_TIMESTAMP_OUT_OF_RANGE, "the message's own time (`exp`) is over");
	return ok || error_hint(err, "check the phone's clock");
}

static bool check_signature(struct approve_claim *c, struct error *err)
{
	struct ed25519_signature sig;
	struct error why;
	if (!ed25519_public_from_text(c->public_key, KEY_LENIENT, &c->key, &why))
		return error_set(err, why.code, "`publicKey`: %s", why.message);
	if (!ed25519_signature_from_text(c->signature, KEY_LENIENT, &sig, &why))
		return error_set(err, why.code, "`signature`: %s", why.message);
	return ed25519_verify_message(&sig, &c->key, c->message) ||
	       error_set(err, ERR_BAD_SIGNATURE, "the signature is not this key's over this message");
}

bool approve_check(const struct approve_session *s, struct approve_claim *claim, int64_t now, struct arena *scratch, struct error *err)
{
	struct parsed p = {.timestamp_read = false};
	if (!approve_session_open(s, err))
		return false;
	if (!str_present(claim->message))
		return missing("the request", "message", err);
	return parse_message(claim->message, &p, scratch, err) && check_fields(claim, &p, err) && check_subject(s, claim, &p.m, err) &&
	       check_times(&p, now, err) && check_signature(claim, err);
}

/* ---- whose key ---- */

struct str username_bare(struct str s)
{
	return s.n > 0 && s.p[0] == '@' ? str_of(s.p + 1, s.n - 1) : s;
}

bool approve_owner_fits(const struct approve_claim *claim, const struct key_owner *owner, struct error *err)
{
	struct ed25519_public key;
	struct error why;
	if (str_present(owner->public_key) && str_equal(username_bare(owner->username), username_bare(claim->username)) &&
	    ed25519_public_from_text(owner->public_key, KEY_LENIENT, &key, &why) && ed25519_public_equal(&key, &claim->key))
		return true;
	return error_set(err, ERR_KEY_NOT_OF_USER, "this key is not that of a user of this id and name");
}

/* ---- match codes ---- */

bool approve_match_fits(bool demanded, int64_t code, int64_t picked, bool *ends, struct error *err)
{
	*ends = false;
	if (code < 0 || (!demanded && picked < 0))
		return true;
	if (picked < 0) {
		error_set(err, ERR_MATCH_CODE_REQUIRED, "pick the number that the desktop shows");
		return error_hint(err, "send it as `matchCode`; the choices came with the answer to scan");
	}
	if (picked == code)
		return true;
	*ends = true;
	return error_set(err, ERR_MATCH_CODE_WRONG, "that is not the number the desktop shows; this login is over");
}
