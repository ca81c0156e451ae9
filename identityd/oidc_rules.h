/*
 * What the OpenID Provider allows: pure decisions about what was asked and what was read. No clock, no I/O, no randomness.
 *
 * Implemented are RFC 6749 (authorization code, refresh token), RFC 7636 (PKCE, S256 alone), RFC 6750, RFC 7009, RFC 7662, RFC 8628
 * (device authorization grant), OpenID Connect Core 1.0 (code flow) and RP-Initiated Logout 1.0, as RFC 9700 would have them: no implicit
 * flow, no password grant, redirect URIs byte by byte, refresh tokens that rotate.
 *
 * Refusals are errors with the codes of those RFCs. Times are ms since the epoch.
 */
#ifndef TANA_IDENTITYD_OIDC_RULES_H
#define TANA_IDENTITYD_OIDC_RULES_H

#include "oidc_clients.h"

enum {
	CODE_TTL_MS = 60 * 1000,                     /* an authorization code is redeemed by a program, at once */
	ACCESS_TTL_MS = 60 * 60 * 1000,              /* of access tokens and ID tokens */
	DEVICE_TTL_MS = 10 * 60 * 1000,
	DEVICE_INTERVAL_MS = 5 * 1000,               /* RFC 8628 3.2 */
	DEVICE_SLOWER_MS = 5 * 1000,                 /* RFC 8628 3.5: added by each slow_down */
	LOGIN_ASKED_MAX_MS = 15 * 60 * 1000,         /* a login that was asked for anew (prompt, max_age) counts as new for this long */
	USER_CODE_LETTERS = 8,
	USER_CODE_TRIES = 5,                         /* wrong ones a user may enter ... */
	USER_CODE_TRIES_MS = 60 * 1000,              /* ... in this time */
	VERIFIER_MIN = 43, VERIFIER_MAX = 128,       /* RFC 7636 4.1 */
	CHALLENGE_LEN = 43,                          /* base64url of a SHA-256 */
	STATE_MAX = 2048, NONCE_MAX = 512            /* bytes */
};
/* An unused refresh token's life. */
#define REFRESH_TTL_MS (INT64_C(30) * 24 * 60 * 60 * 1000)

/* May this user name stand in a header, or in front of an "@"? Those of the ledger may; where nobody binds names (tofu, none) they can be anything. */
MUST_CHECK bool name_is_plain(struct str bare);

/* ---- scopes ---- */

/* The scopes a text names, unknown ones left out (OpenID Connect Core 3.1.2.1). False: it is not a list of scopes (RFC 6749 3.3). */
MUST_CHECK bool scopes_from_text(struct str text, unsigned *out);
/* "openid email", for at most all scopes. */
enum { SCOPES_TEXT_SIZE = 64 };
void scopes_to_text(unsigned scopes, char out[SCOPES_TEXT_SIZE]);

/* The scopes that a client asks for, of which it must be allowed all. invalid_scope. */
MUST_CHECK bool scope_judge(const struct oidc_client *client, struct str scope, unsigned *out, struct error *err);

/* ---- authorization requests ---- */

/* As asked; absent: not sent. */
struct authorize_ask {
	struct str client_id, redirect_uri, response_type, response_mode, scope, state, nonce, challenge, challenge_method, prompt, max_age;
	struct str request, request_uri;
};
struct authorize {
	unsigned scopes;
	bool prompt_none, prompt_login, prompt_consent;
	int64_t max_age_s; /* -1: none */
	struct str sub;    /* whom the code must be for: id_token_hint named them; absent: whoever is there. authorize_judge does not know it */
};
enum authorize_outcome {
	AUTHORIZE_GOOD,
	AUTHORIZE_TELL_USER,  /* the redirect URI cannot be trusted: the error is shown here, and goes nowhere */
	AUTHORIZE_TELL_CLIENT /* the error goes to the redirect URI, which is the client's */
};
/* client NULL: not known. */
MUST_CHECK enum authorize_outcome authorize_judge(const struct oidc_client *client, const struct authorize_ask *ask, struct authorize *out, struct error *err);

/* Who is at the browser, and what they have agreed to before. */
struct authorize_login {
	bool found;
	struct str user_id;
	int64_t login_at;        /* when the user logged in */
	bool for_this_client;    /* that login was made for this client: the phone said yes to it (not to offline_access) */
	unsigned groups;         /* bits */
	unsigned consented;      /* scopes this user has granted the client before */
};
enum authorize_step { AUTHORIZE_LOGIN /* the login page */, AUTHORIZE_CONSENT /* the question */, AUTHORIZE_DONE /* a code */, AUTHORIZE_REFUSED /* *err */ };
/*
 * What comes next. login_after: since when a login that this request asked for counts (0: none was asked for yet); it is part of the URL
 * that the browser comes back to, so that prompt=login and max_age do not ask for ever.
 */
MUST_CHECK enum authorize_step authorize_next(const struct oidc_client *client, const struct authorize *a, const struct authorize_login *login, int64_t login_after,
					      int64_t now, struct error *err);
/* May people of these groups use the client? access_denied. */
MUST_CHECK bool client_admits(const struct oidc_client *client, unsigned groups, struct error *err);

/* ---- who calls the token endpoint ---- */

enum claim_method { CLAIM_NONE, CLAIM_BASIC, CLAIM_POST };
struct client_claim {
	enum claim_method method;
	struct str id, secret; /* secret absent: none */
};
/* From the Authorization header (absent: none) and the form. Two ways at once: invalid_request; a header that is not Basic or cannot be read:
 * invalid_client. */
MUST_CHECK bool client_claim_read(struct str authorization, struct str form_id, struct str form_secret, struct arena *arena, struct client_claim *out, struct error *err);
/* invalid_client: not known (client NULL), the wrong way, or a wrong secret. One message for all, lest ids be tried. */
MUST_CHECK bool client_authentic(const struct oidc_client *client, const struct client_claim *claim, struct error *err);

/* ---- token requests ---- */

/* The grant_type's bit: unsupported_grant_type; unauthorized_client when the client may not use it. */
MUST_CHECK bool grant_type_judge(const struct oidc_client *client, struct str grant_type, enum oidc_grant_type *out, struct error *err);

/* What a code, a refresh token or a device code stands for: one login of one user for one client. Revoked, with all that came from it, when something
 * of it is used twice. */
struct grant_row {
	struct str id, client_id, user_id, username, public_key, role, nonce; /* role, nonce absent: none */
	unsigned scopes;
	int64_t login_at, created_at, revoked_at; /* revoked_at 0: it is good */
	struct hash login;                        /* of the login's token, at which it ends unless offline_access was granted */
	bool login_alive;
};
/* Does it still count? invalid_grant. */
MUST_CHECK bool grant_good(const struct grant_row *g, struct error *err);

struct code_row {
	struct grant_row grant;
	struct str redirect_uri, challenge; /* challenge absent: authorized without PKCE */
	int64_t expires_at, used_at;
};
enum redeem { REDEEM_GOOD, REDEEM_REFUSED, REDEEM_REUSED /* refused, and the grant is to be revoked */ };
/* invalid_request: redirect_uri is missing. invalid_grant: all else. */
MUST_CHECK enum redeem code_judge(const struct oidc_client *client, const struct code_row *c, struct str redirect_uri, struct str verifier, int64_t now, struct error *err);

struct refresh_row {
	struct grant_row grant;
	int64_t expires_at, used_at;
};
/* *scopes: those asked for (absent: all of the grant's), which must not be more than were granted: invalid_scope. */
MUST_CHECK enum redeem refresh_judge(const struct oidc_client *client, const struct refresh_row *r, struct str scope, int64_t now, unsigned *scopes, struct error *err);

/* ---- devices ---- */

enum device_status { DEVICE_PENDING, DEVICE_APPROVED, DEVICE_DENIED, DEVICE_USED };
const char *device_status_text(enum device_status s);
MUST_CHECK bool device_status_from_text(struct str text, enum device_status *out);
struct device_row {
	struct hash hash; /* of the device code */
	struct str client_id;
	struct grant_row grant; /* once approved */
	enum device_status status;
	unsigned scopes;
	int64_t interval_ms, polled_at /* 0: never */, expires_at;
};
enum device_poll {
	DEVICE_GOOD,    /* tokens */
	DEVICE_WAITS,   /* authorization_pending, or slow_down: *interval_ms from now on */
	DEVICE_REFUSED  /* access_denied, expired_token, invalid_grant */
};
MUST_CHECK enum device_poll device_judge(const struct oidc_client *client, const struct device_row *d, int64_t now, int64_t *interval_ms, struct error *err);

extern const char user_code_letters[20 + 1]; /* no vowels, and none that look alike (RFC 8628 6.1) */
/* What a person typed, as the code's 8 letters and a NUL: case, blanks and hyphens do not matter. */
MUST_CHECK bool user_code_read(struct str typed, char out[USER_CODE_LETTERS + 1]);
/* Tries of the present minute: a window that begins with the first. False: no more until *wait_ms have passed. */
struct user_code_tries {
	int64_t since, count;
};
MUST_CHECK bool user_code_try(struct user_code_tries *t, int64_t now, int64_t *wait_ms);

#endif
