#include "wire/identity.h"

#include "base/hex.h"

#define STATUS_DOC "waiting, scanned, approved, rejected or expired."

static const struct json_field qr_rows[] = {
	F_TEXT(struct identity_qr, protocol, "protocol", JSON_REQUIRED, 16, "\"tana\""),
	F_TEXT(struct identity_qr, type, "type", JSON_REQUIRED, 16, "\"auth\""),
	F_TEXT(struct identity_qr, version, "version", JSON_REQUIRED, 16, "\"1\""),
	F_TEXT(struct identity_qr, session_id, "sessionId", JSON_REQUIRED, 64, "The login session."),
	F_TEXT(struct identity_qr, challenge, "challenge", JSON_REQUIRED, 128, "What the phone has to sign."),
	F_TEXT(struct identity_qr, server, "server", JSON_REQUIRED, IDENTITY_URL_MAX, "Where the phone answers."),
	F_TEXT(struct identity_qr, app_name, "appName", JSON_NULL_WHEN_ABSENT, 4 * IDENTITY_APP_NAME_MAX, "Who asks."),
	F_TEXT(struct identity_qr, app_icon, "appIcon", JSON_NULL_WHEN_ABSENT, IDENTITY_URL_MAX, "Its picture (an http or https URL)."),
};
JSON_MESSAGE(identity_qr_message, "LoginCode", struct identity_qr, qr_rows);

static const struct json_field create_rows[] = {
	F_TEXT(struct identity_create, return_url, "returnUrl", 0, IDENTITY_URL_MAX, "Where the browser goes afterwards (http or https, of an origin that is allowed)."),
	F_TEXT(struct identity_create, app_name, "appName", 0, 0, "Who asks: 1 to 100 characters."),
	F_TEXT(struct identity_create, app_icon, "appIcon", 0, IDENTITY_URL_MAX, "Its picture (an http or https URL)."),
};
JSON_MESSAGE(identity_create_message, "LoginCreate", struct identity_create, create_rows);

static const struct json_field created_rows[] = {
	F_TEXT(struct identity_created, session_id, "sessionId", JSON_REQUIRED, 0, "The login session."),
	F_TEXT(struct identity_created, challenge, "challenge", JSON_REQUIRED, 0, "What the phone has to sign."),
	F_OBJECT(struct identity_created, qr_data, "qrData", JSON_REQUIRED, &identity_qr_message, "What the code says: the code's text is this JSON."),
	F_INT(struct identity_created, expires_in, "expiresIn", JSON_REQUIRED, 0, JSON_INT_MAX, "Seconds until the session expires."),
	F_TEXT(struct identity_created, expires_at, "expiresAt", JSON_REQUIRED, 0, "The same as a time (ISO 8601)."),
	F_TEXT(struct identity_created, poll_secret, "pollSecret", JSON_REQUIRED, 0, "Shows that one is the desktop that began. Keep it from others."),
	F_TEXT(struct identity_created, qr_svg_url, "qrSvgUrl", JSON_REQUIRED, 0, "The code as a picture."),
	F_INT(struct identity_created, match_code, "matchCode", 0, 0, 99, "Two digits to show beside the code, when phones are asked for them."),
};
JSON_MESSAGE(identity_created_message, "LoginCreated", struct identity_created, created_rows);

static const struct json_field session_rows[] = {
	F_TEXT(struct identity_session, session_id, "sessionId", JSON_REQUIRED, 0, "The login session."),
	F_TEXT(struct identity_session, status, "status", JSON_REQUIRED, 0, STATUS_DOC),
	F_TEXT(struct identity_session, app_name, "appName", JSON_NULL_WHEN_ABSENT, 0, "Who asks."),
	F_TEXT(struct identity_session, app_icon, "appIcon", JSON_NULL_WHEN_ABSENT, 0, "Its picture."),
	F_TEXT(struct identity_session, created_at, "createdAt", JSON_REQUIRED, 0, "ISO 8601."),
	F_TEXT(struct identity_session, expires_at, "expiresAt", JSON_REQUIRED, 0, "ISO 8601."),
	F_TEXT(struct identity_session, approved_at, "approvedAt", 0, 0, "ISO 8601; once it is approved."),
	F_TEXT(struct identity_session, session_token, "sessionToken", 0, 0, "With the poll secret, once it is approved: the desktop's token."),
	F_TEXT(struct identity_session, user_id, "userId", 0, 0, "Likewise: who logged in."),
	F_TEXT(struct identity_session, username, "username", 0, 0, "Likewise."),
	F_INT(struct identity_session, match_code, "matchCode", 0, 0, 99, "With the poll secret, while the session is open."),
};
JSON_MESSAGE(identity_session_message, "LoginSession", struct identity_session, session_rows);

static const struct json_field ticket_rows[] = {
	F_TEXT(struct identity_ticket, ticket, "ticket", JSON_REQUIRED, 0, "Opens the session's stream once, as `?ticket=`."),
	F_INT(struct identity_ticket, expires_in, "expiresIn", JSON_REQUIRED, 0, JSON_INT_MAX, "Seconds."),
};
JSON_MESSAGE(identity_ticket_message, "LoginTicket", struct identity_ticket, ticket_rows);

static const struct json_field event_rows[] = {
	F_TEXT(struct identity_event, type, "type", JSON_REQUIRED, 0, "connected, status_update, approved, rejected or expired."),
	F_TEXT(struct identity_event, session_id, "sessionId", JSON_REQUIRED, 0, "The login session."),
	F_TEXT(struct identity_event, status, "status", 0, 0, STATUS_DOC),
	F_TEXT(struct identity_event, expires_at, "expiresAt", 0, 0, "While it is open: ISO 8601."),
	F_TEXT(struct identity_event, session_token, "sessionToken", 0, 0, "With `approved`, to those who showed the poll secret or a ticket."),
	F_TEXT(struct identity_event, user_id, "userId", 0, 0, "Likewise."),
	F_TEXT(struct identity_event, username, "username", 0, 0, "Likewise."),
};
JSON_MESSAGE(identity_event_message, "LoginEvent", struct identity_event, event_rows);

static const struct json_field desktop_rows[] = {
	F_TEXT(struct identity_desktop, ip, "ip", JSON_REQUIRED, 0, "The address that the login was begun from."),
	F_TEXT(struct identity_desktop, user_agent, "userAgent", JSON_NULL_WHEN_ABSENT, 0, "What that program calls itself."),
};
JSON_MESSAGE(identity_desktop_message, "LoginDesktop", struct identity_desktop, desktop_rows);

static const struct json_field scanned_rows[] = {
	F_BOOL(struct identity_scanned, success, "success", JSON_REQUIRED, "true"),
	F_TEXT(struct identity_scanned, session_id, "sessionId", JSON_REQUIRED, 0, "The login session."),
	F_TEXT(struct identity_scanned, challenge, "challenge", JSON_REQUIRED, 0, "What the phone has to sign."),
	F_TEXT(struct identity_scanned, app_name, "appName", JSON_NULL_WHEN_ABSENT, 0, "Who asks."),
	F_TEXT(struct identity_scanned, app_icon, "appIcon", JSON_NULL_WHEN_ABSENT, 0, "Its picture."),
	F_TEXT(struct identity_scanned, app_origin, "appOrigin", JSON_REQUIRED, 0, "Where the login leads to."),
	F_TEXT(struct identity_scanned, client_id, "clientId", 0, 0, "The OpenID client it is for."),
	F_TEXT(struct identity_scanned, server, "server", JSON_REQUIRED, 0, "This server, as it is to be named in the signed message."),
	F_TEXT(struct identity_scanned, expires_at, "expiresAt", JSON_REQUIRED, 0, "ISO 8601."),
	F_OBJECT(struct identity_scanned, desktop, "desktop", JSON_REQUIRED, &identity_desktop_message, "From where the login was begun."),
	F_TEXTS(struct identity_scanned, match_choices, "matchChoices", 0, IDENTITY_MATCH_CHOICES, NULL,
		"Numbers of two digits: the one that the desktop shows is sent back as `matchCode`."),
};
JSON_MESSAGE(identity_scanned_message, "LoginScanned", struct identity_scanned, scanned_rows);

static const struct json_field approve_rows[] = {
	F_TEXT(struct identity_approve, user_id, "userId", 0, IDENTITY_USER_ID_MAX, "Who logs in. Required."),
	F_TEXT(struct identity_approve, username, "username", 0, IDENTITY_USERNAME_MAX, "Required."),
	F_TEXT(struct identity_approve, public_key, "publicKey", 0, 256, "The user's key. Required."),
	F_TEXT(struct identity_approve, signature, "signature", 0, 512, "By that key, over `message`. Required."),
	F_TEXT(struct identity_approve, message, "message", JSON_VERBATIM, 0,
	       "The JSON that was signed: sessionId, challenge, userId, username, timestamp (ms), and if the wallet knows them server, clientId, returnOrigin, "
	       "exp (ms). Required."),
	F_INT(struct identity_approve, match_code, "matchCode", 0, 0, 99, "The number that the desktop shows, when one is asked for."),
};
JSON_MESSAGE(identity_approve_message, "LoginApprove", struct identity_approve, approve_rows);

static const struct json_field approved_rows[] = {
	F_BOOL(struct identity_approved, success, "success", JSON_REQUIRED, "true"),
	F_TEXT(struct identity_approved, session_token, "sessionToken", JSON_REQUIRED, 0, "The phone's own token; the desktop has another."),
	F_TEXT(struct identity_approved, user_id, "userId", JSON_REQUIRED, 0, "Who logged in."),
	F_TEXT(struct identity_approved, username, "username", JSON_REQUIRED, 0, ""),
	F_TEXT(struct identity_approved, expires_at, "expiresAt", JSON_REQUIRED, 0, "When the token ends: ISO 8601."),
};
JSON_MESSAGE(identity_approved_message, "LoginApproved", struct identity_approved, approved_rows);

static const struct json_field reject_rows[] = {
	F_TEXT(struct identity_reject, reason, "reason", 0, IDENTITY_REASON_MAX, "For the log."),
};
JSON_MESSAGE(identity_reject_message, "LoginReject", struct identity_reject, reject_rows);

static const struct json_field done_rows[] = {
	F_BOOL(struct identity_done, success, "success", JSON_REQUIRED, "true"),
};
JSON_MESSAGE(identity_done_message, "Done", struct identity_done, done_rows);

static const struct json_field verified_rows[] = {
	F_BOOL(struct identity_verified, valid, "valid", JSON_REQUIRED, "true; a token that is not valid is refused with 401."),
	F_TEXT(struct identity_verified, user_id, "userId", JSON_REQUIRED, 0, "Whose token it is."),
	F_TEXT(struct identity_verified, username, "username", JSON_REQUIRED, 0, ""),
	F_TEXT(struct identity_verified, public_key, "publicKey", JSON_REQUIRED, 0, "The key that approved the login."),
	F_TEXT(struct identity_verified, expires_at, "expiresAt", JSON_REQUIRED, 0, "ISO 8601."),
	F_TEXT(struct identity_verified, role, "role", 0, 0, "The user's role in the ledger at the time of the login, where it is known."),
	F_TEXT(struct identity_verified, kind, "kind", JSON_REQUIRED, 0, "desktop or phone: whose the token is."),
};
JSON_MESSAGE(identity_verified_message, "TokenVerified", struct identity_verified, verified_rows);

static const struct json_field revoke_rows[] = {
	F_BOOL(struct identity_revoke, all, "all", 0, "true: all tokens of this user. Otherwise the one that asks."),
	F_TEXT(struct identity_revoke, id, "id", 0, 64, "One of this user's tokens, by its `id` in the list."),
};
JSON_MESSAGE(identity_revoke_message, "TokenRevoke", struct identity_revoke, revoke_rows);

static const struct json_field revoked_rows[] = {
	F_BOOL(struct identity_revoked, success, "success", JSON_REQUIRED, "true"),
	F_INT(struct identity_revoked, revoked, "revoked", JSON_REQUIRED, 0, JSON_INT_MAX, "How many tokens that was."),
};
JSON_MESSAGE(identity_revoked_message, "TokenRevoked", struct identity_revoked, revoked_rows);

static const struct json_field token_rows[] = {
	F_TEXT(struct identity_token, id, "id", JSON_REQUIRED, 0, "Names the token; gives nobody anything."),
	F_TEXT(struct identity_token, kind, "kind", JSON_REQUIRED, 0, "desktop or phone."),
	F_TEXT(struct identity_token, app_name, "appName", JSON_NULL_WHEN_ABSENT, 0, "Who asked for the login."),
	F_TEXT(struct identity_token, app_origin, "appOrigin", JSON_REQUIRED, 0, "Where it led to."),
	F_TEXT(struct identity_token, client_id, "clientId", 0, 0, "The OpenID client it was for."),
	F_TEXT(struct identity_token, ip, "ip", JSON_REQUIRED, 0, "The address of the desktop that began, or of the phone that approved."),
	F_TEXT(struct identity_token, user_agent, "userAgent", JSON_NULL_WHEN_ABSENT, 0, ""),
	F_TEXT(struct identity_token, created_at, "createdAt", JSON_REQUIRED, 0, "ISO 8601."),
	F_TEXT(struct identity_token, expires_at, "expiresAt", JSON_REQUIRED, 0, "ISO 8601."),
	F_BOOL(struct identity_token, current, "current", JSON_REQUIRED, "Is it the token that asks?"),
};
JSON_MESSAGE(identity_token_message, "Token", struct identity_token, token_rows);

static const struct json_field tokens_rows[] = {
	F_LIST(struct identity_tokens, sessions, "sessions", JSON_REQUIRED, IDENTITY_LIST_MAX, &identity_token_message, "The newest first."),
};
JSON_MESSAGE(identity_tokens_message, "TokenList", struct identity_tokens, tokens_rows);

static const struct json_field login_rows[] = {
	F_TEXT(struct identity_login, type, "type", JSON_REQUIRED, 0, "login"),
	F_TEXT(struct identity_login, time, "time", JSON_REQUIRED, 0, "ISO 8601."),
	F_TEXT(struct identity_login, app_name, "appName", JSON_NULL_WHEN_ABSENT, 0, "Who asked for the login."),
	F_TEXT(struct identity_login, app_origin, "appOrigin", JSON_REQUIRED, 0, "Where it led to."),
	F_TEXT(struct identity_login, client_id, "clientId", 0, 0, "The OpenID client it was for."),
	F_TEXT(struct identity_login, ip, "ip", JSON_REQUIRED, 0, "The address that it was begun from."),
	F_TEXT(struct identity_login, user_agent, "userAgent", JSON_NULL_WHEN_ABSENT, 0, ""),
	F_TEXT(struct identity_login, public_key, "publicKey", JSON_REQUIRED, 0, "The key that approved it."),
};
JSON_MESSAGE(identity_login_message, "Login", struct identity_login, login_rows);

static const struct json_field logins_rows[] = {
	F_LIST(struct identity_logins, events, "events", JSON_REQUIRED, IDENTITY_LIST_MAX, &identity_login_message, "The newest first."),
};
JSON_MESSAGE(identity_logins_message, "LoginList", struct identity_logins, logins_rows);

static const struct json_field statement_rows[] = {
	F_TEXT(struct identity_statement, session_id, "sessionId", JSON_REQUIRED, 0, "The login session."),
	F_TEXT(struct identity_statement, challenge, "challenge", JSON_REQUIRED, 0, "Its challenge."),
	F_TEXT(struct identity_statement, user_id, "userId", JSON_REQUIRED, 0, "Who logs in."),
	F_TEXT(struct identity_statement, username, "username", JSON_REQUIRED, 0, ""),
	F_INT(struct identity_statement, timestamp, "timestamp", JSON_REQUIRED, 0, JSON_INT_MAX, "ms"),
	F_TEXT(struct identity_statement, server, "server", 0, 0, "Where it is sent."),
	F_TEXT(struct identity_statement, client_id, "clientId", 0, 0, "The OpenID client it is for."),
	F_TEXT(struct identity_statement, return_origin, "returnOrigin", 0, 0, "Where the login leads to."),
	F_INT(struct identity_statement, expires, "exp", 0, 0, JSON_INT_MAX, "ms: not to be taken afterwards."),
};
JSON_MESSAGE(identity_statement_message, "LoginStatement", struct identity_statement, statement_rows);

/* ---- the code's text, and the link ---- */

static bool link_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

void identity_link_write(struct buf *out, struct str qr_text)
{
	buf_puts(out, IDENTITY_LINK_PREFIX);
	for (size_t i = 0; i < qr_text.n; i++) {
		if (link_plain(qr_text.p[i]))
			buf_putc(out, qr_text.p[i]);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)qr_text.p[i]);
	}
}

/* False when a "%" has no two digits behind it. */
static bool link_decode(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '%') {
			if (i + 2 >= s.n || !hex_decode(&c, 1, s.p + i + 1, 2, HEX_ANY_CASE))
				return false;
			i += 2;
		}
		buf_putc(out, c);
	}
	return true;
}

static struct str trim(struct str s)
{
	while (s.n > 0 && strchr(" \t\r\n", s.p[0]))
		s = str_of(s.p + 1, s.n - 1);
	while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	return s;
}

bool identity_qr_read(struct str text, struct identity_qr *out, struct arena *arena, struct error *err)
{
	static const char hint[] = "copy the whole text of the code, or the link of the login page";
	struct buf decoded = {0};
	struct error why = {0};
	struct str json = trim(text);
	bool ok = true;
	if (str_starts(json, IDENTITY_LINK_PREFIX)) {
		size_t n = strlen(IDENTITY_LINK_PREFIX);
		ok = link_decode(str_of(json.p + n, json.n - n), &decoded) || error_set(&why, ERR_MALFORMED_MESSAGE, "the link is cut off");
		json = buf_str(&decoded);
	}
	ok = ok && json_read_text(json, &identity_qr_message, out, arena, &why);
	buf_free(&decoded);
	if (ok && str_is(out->protocol, "tana") && str_is(out->type, "auth")) {
		if (str_is(out->version, "1"))
			return true;
		error_set(err, ERR_MALFORMED_MESSAGE, "this login code is of version %.*s; only 1 is known here", STR_ARG(out->version));
		return error_hint(err, "a newer tana may know it");
	}
	error_set(err, ERR_MALFORMED_MESSAGE, "this is no login code of tana: %s", ok ? "it says another protocol" : why.message);
	return error_hint(err, "%s", hint);
}
