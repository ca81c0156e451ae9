/*
 * What the identity service, phones, desktops and applications say to each other: one struct and one field table a message
 * (json/fields.h). The text of a QR code and the message that a phone signs are made here as well. No I/O.
 */
#ifndef TANA_WIRE_IDENTITY_H
#define TANA_WIRE_IDENTITY_H

#include "json/fields.h"

enum {
	IDENTITY_APP_NAME_MAX = 100,  /* characters, of at most 4 bytes each */
	IDENTITY_URL_MAX = 2048,
	IDENTITY_USER_ID_MAX = 128,
	IDENTITY_USERNAME_MAX = 64,
	IDENTITY_REASON_MAX = 200,
	IDENTITY_AGENT_MAX = 300,     /* of a User-Agent header: what is kept and shown */
	IDENTITY_MESSAGE_MAX = 16 * 1024,
	IDENTITY_LIST_MAX = 100,      /* logins and tokens that a user is shown */
	IDENTITY_MATCH_CHOICES = 3    /* numbers a phone chooses from */
};
#define IDENTITY_HEADER_POLL_SECRET "X-Tana-Poll-Secret"

/* What the code on the screen says: {protocol:"tana", type:"auth", version:"1", sessionId, challenge, server, appName, appIcon} */
struct identity_qr {
	struct str protocol, type, version, session_id, challenge, server;
	struct str app_name, app_icon; /* null where absent */
};

/* POST /auth/session/create */
struct identity_create {
	struct str return_url, app_name, app_icon;
};
struct identity_created {
	struct str session_id, challenge;
	struct identity_qr *qr_data;
	int64_t expires_in; /* s */
	struct str expires_at, poll_secret, qr_svg_url;
	int64_t match_code; /* absent: none is asked for */
};

/* GET /auth/session/:id; the frames of its stream have the same names */
struct identity_session {
	struct str session_id, status, app_name, app_icon, created_at, expires_at, approved_at;
	struct str session_token, user_id, username; /* with the poll secret, once approved */
	int64_t match_code;                          /* with the poll secret, while it is open */
};
struct identity_ticket {
	struct str ticket;
	int64_t expires_in; /* s */
};
/* data of an event: type is connected, status_update, approved, rejected or expired */
struct identity_event {
	struct str type, session_id, status, expires_at, session_token, user_id, username;
};

/* POST /auth/session/:id/scan */
struct identity_desktop {
	struct str ip, user_agent;
};
struct identity_scanned {
	enum json_bool success;
	struct str session_id, challenge, app_name, app_icon, app_origin, client_id, server, expires_at;
	struct identity_desktop *desktop;
	struct json_list match_choices; /* struct str: two digits each */
};

/* POST /auth/session/:id/approve */
struct identity_approve {
	struct str user_id, username, public_key, signature, message;
	int64_t match_code;
};
struct identity_approved {
	enum json_bool success;
	struct str session_token, user_id, username, expires_at;
};
/* POST /auth/session/:id/reject */
struct identity_reject {
	struct str reason;
};
struct identity_done {
	enum json_bool success;
};

/* GET /auth/session/verify */
struct identity_verified {
	enum json_bool valid;
	struct str user_id, username, public_key, expires_at, role, kind;
};

/* POST /auth/session/revoke */
struct identity_revoke {
	enum json_bool all;
	struct str id; /* of one of one's own, as GET /auth/sessions shows it */
};
struct identity_revoked {
	enum json_bool success;
	int64_t revoked;
};
/* GET /auth/sessions */
struct identity_token {
	struct str id, kind, app_name, app_origin, client_id, ip, user_agent, created_at, expires_at;
	enum json_bool current;
};
struct identity_tokens {
	struct json_list sessions; /* struct identity_token */
};
/* GET /users/:id/events */
struct identity_login {
	struct str type, time, app_name, app_origin, client_id, ip, user_agent, public_key;
};
struct identity_logins {
	struct json_list events; /* struct identity_login */
};

extern const struct json_message identity_qr_message, identity_create_message, identity_created_message, identity_session_message,
	identity_ticket_message, identity_event_message, identity_desktop_message, identity_scanned_message, identity_approve_message,
	identity_approved_message, identity_reject_message, identity_done_message, identity_verified_message, identity_revoke_message,
	identity_revoked_message, identity_token_message, identity_tokens_message, identity_login_message, identity_logins_message;

/* What is signed for an approval: the JSON of this, in this order. */
struct identity_statement {
	struct str session_id, challenge, user_id, username;
	int64_t timestamp; /* ms */
	struct str server, client_id, return_origin; /* absent: left out */
	int64_t expires;                             /* ms; absent: left out */
};
extern const struct json_message identity_statement_message;

/*
 * The same text as a link, for a wallet on the same device: "tana://auth?qr=<the text, percent-encoded>". Appended.
 */
#define IDENTITY_LINK_PREFIX "tana://auth?qr="
void identity_link_write(struct buf *out, struct str qr_text);
/* The text of a code, or such a link: reads it into *out (texts in the arena). ERR_MALFORMED_MESSAGE: it is no login of tana's. */
MUST_CHECK bool identity_qr_read(struct str text, struct identity_qr *out, struct arena *arena, struct error *err);

#endif
