#include "api.h"
#include "api_oidc.h"
#include "wire/identity.h"

enum { BODY_MAX = 64 * 1024 /* bytes */ };

static const char html[] = "text/html";

static const struct http_answer create_answers[] = {{201, &identity_created_message, NULL, "the session waits for a phone"}, {0}};
static const struct http_answer session_answers[] = {{200, &identity_session_message, NULL, "how it stands"}, {0}};
static const struct http_answer ticket_answers[] = {{200, &identity_ticket_message, NULL, "good for one stream"}, {0}};
static const struct http_answer events_answers[] = {{200, &identity_event_message, "text/event-stream", "events: `data` is JSON as described"}, {0}};
static const struct http_answer qr_answers[] = {{200, NULL, "image/svg+xml", "the code"}, {0}};
static const struct http_answer continue_answers[] = {{303, NULL, NULL, "to the return URL, with the login as the cookie tana_session; or to /login"}, {0}};
static const struct http_answer scan_answers[] = {{200, &identity_scanned_message, NULL, "what asks, and from where"}, {0}};
static const struct http_answer approve_answers[] = {{200, &identity_approved_message, NULL, "approved, durably; the desktop has been told"}, {0}};
static const struct http_answer done_answers[] = {{200, &identity_done_message, NULL, "done"}, {0}};
static const struct http_answer verify_answers[] = {{200, &identity_verified_message, NULL, "the token is good"}, {0}};
static const struct http_answer revoke_answers[] = {{200, &identity_revoked_message, NULL, "ended, durably"}, {0}};
static const struct http_answer tokens_answers[] = {{200, &identity_tokens_message, NULL, "one's own"}, {0}};
static const struct http_answer user_events_answers[] = {
	{200, &identity_logins_message, NULL, "the last logins; with `Accept: text/event-stream` a stream of those to come"}, {0}};
static const struct http_answer page_answers[] = {{200, NULL, html, "the page"},
						  {303, NULL, NULL, "logged in already: to the return URL"},
						  {400, NULL, html, "the return URL is not allowed, or no login is seen there: a page that says so"},
						  {0}};
static const struct http_answer logout_answers[] = {{200, NULL, html, "logged out"}, {0}};
static const struct http_answer style_answers[] = {{200, NULL, "text/css", "the style sheet"}, {304, NULL, NULL, "the browser has it"}, {0}};
static const struct http_answer icon_answers[] = {{200, NULL, "image/svg+xml", "the icon"}, {304, NULL, NULL, "the browser has it"}, {0}};
static const struct http_answer script_answers[] = {{200, NULL, "text/javascript", "the script"}, {304, NULL, NULL, "the browser has it"}, {0}};

static const enum error_code create_errors[] = {ERR_MALFORMED_JSON, ERR_DUPLICATE_KEY, ERR_MALFORMED_FIELD, ERR_RETURN_URL_NOT_ALLOWED, ERR_OVERLOADED,
						ERR_COUNT};
static const enum error_code session_errors[] = {ERR_UNKNOWN_SESSION, ERR_COUNT};
static const enum error_code ticket_errors[] = {ERR_UNKNOWN_SESSION, ERR_UNAUTHENTICATED, ERR_COUNT};
static const enum error_code events_errors[] = {ERR_UNKNOWN_SESSION, ERR_TICKET_INVALID, ERR_TOO_MANY_STREAMS, ERR_COUNT};
static const enum error_code scan_errors[] = {ERR_UNKNOWN_SESSION, ERR_SESSION_EXPIRED, ERR_SESSION_NOT_OPEN, ERR_WRONG_STATE, ERR_COUNT};
static const enum error_code approve_errors[] = {
	ERR_UNKNOWN_SESSION,   ERR_SESSION_EXPIRED, ERR_SESSION_NOT_OPEN, ERR_MALFORMED_JSON,         ERR_DUPLICATE_KEY,  ERR_MALFORMED_FIELD,
	ERR_MALFORMED_MESSAGE, ERR_MISSING_FIELD,   ERR_SESSION_MISMATCH, ERR_CHALLENGE_MISMATCH,     ERR_USER_MISMATCH,  ERR_SERVER_MISMATCH,
	ERR_CLIENT_MISMATCH,   ERR_ORIGIN_MISMATCH, ERR_MALFORMED_KEY,    ERR_TIMESTAMP_OUT_OF_RANGE, ERR_BAD_SIGNATURE,  ERR_MALFORMED_SIGNATURE,
	ERR_KEY_NOT_OF_USER,   ERR_WRONG_STATE,     ERR_MATCH_CODE_WRONG, ERR_MATCH_CODE_REQUIRED,    ERR_UNAVAILABLE,    ERR_COUNT};
static const enum error_code reject_errors[] = {ERR_UNKNOWN_SESSION, ERR_SESSION_EXPIRED, ERR_SESSION_NOT_OPEN, ERR_WRONG_STATE, ERR_MALFORMED_JSON,
						ERR_DUPLICATE_KEY,   ERR_MALFORMED_FIELD, ERR_COUNT};
static const enum error_code verify_errors[] = {ERR_UNAUTHENTICATED, ERR_TOKEN_INVALID, ERR_TOKEN_EXPIRED, ERR_COUNT};
static const enum error_code revoke_errors[] = {ERR_UNAUTHENTICATED, ERR_TOKEN_INVALID, ERR_TOKEN_EXPIRED, ERR_NOT_FOUND,
						ERR_MALFORMED_JSON,  ERR_DUPLICATE_KEY, ERR_MALFORMED_FIELD, ERR_COUNT};
static const enum error_code user_events_errors[] = {ERR_UNAUTHENTICATED, ERR_TOKEN_INVALID, ERR_TOKEN_EXPIRED, ERR_NOT_ALLOWED, ERR_TOO_MANY_STREAMS,
						     ERR_COUNT};

static const struct http_param events_params[] = {
	{.name = "ticket", .type = PARAM_TEXT, .min = 1, .max = 64, .doc = "A ticket of this session: shows once that one has the poll secret."},
	{.name = NULL},
};
static const struct http_param login_params[] = {
	{.name = "returnUrl", .type = PARAM_TEXT, .min = 1, .max = 2048, .doc = "Where to go afterwards: a path here, or a URL of an origin that is allowed."},
	{.name = "forward", .type = PARAM_TEXT, .min = 1, .max = 16, .doc = "Ours: /auth/forward sent the browser."},
	{.name = NULL},
};

const struct http_route identity_routes[] = {
	{.method = HTTP_POST, .path = "/auth/session/create", .handler = api_session_create, .access = ACCESS_ANYONE, .flags = HTTP_WRITE, .body_max = BODY_MAX,
	 .body = &identity_create_message, .answers = create_answers, .errors = create_errors, .summary = "Begin a login",
	 .doc = "The poll secret is in the answer and in the cookie tana_poll of this session's path."},
	{.method = HTTP_GET, .path = "/auth/session/:id", .handler = api_session_get, .access = ACCESS_ANYONE, .answers = session_answers,
	 .errors = session_errors, .summary = "How a login stands",
	 .doc = "With the poll secret (X-Tana-Poll-Secret, or the cookie), and once it is approved, also who logged in and the desktop's token."},
	{.method = HTTP_GET, .path = "/auth/session/:id/events", .handler = api_session_events, .access = ACCESS_ANYONE, .flags = HTTP_STREAM | HTTP_SECRET_QUERY,
	 .params = events_params, .answers = events_answers, .errors = events_errors, .summary = "The same as it changes",
	 .doc = "Server-Sent Events: `connected`, at once followed by the present state, then each change; ends after an end state. A comment every 15 s. With the poll secret or a "
		"ticket the event `approved` carries the desktop's token."},
	{.method = HTTP_POST, .path = "/auth/session/:id/ticket", .handler = api_session_ticket, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_BODY_OPTIONAL, .body_max = BODY_MAX,
	 .answers = ticket_answers, .errors = ticket_errors, .summary = "A ticket that opens the stream once",
	 .doc = "For pages of other origins, whose EventSource can send neither header nor cookie. Needs the poll secret."},
	{.method = HTTP_GET, .path = "/auth/session/:id/qr.svg", .handler = api_session_qr, .access = ACCESS_ANYONE, .answers = qr_answers,
	 .errors = session_errors, .summary = "The code as a picture"},
	{.method = HTTP_GET, .path = "/auth/session/:id/continue", .handler = api_session_continue, .access = ACCESS_ANYONE, .answers = continue_answers,
	 .errors = session_errors, .summary = "The browser goes on after the phone has approved", .doc = "Known by the cookie tana_poll."},
	{.method = HTTP_POST, .path = "/auth/session/:id/scan", .handler = api_session_scan, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_BODY_OPTIONAL, .body_max = BODY_MAX,
	 .answers = scan_answers, .errors = scan_errors, .summary = "The phone has read the code",
	 .doc = "The first one is told what asks and from where; a second one is refused. Does not end the session."},
	{.method = HTTP_POST, .path = "/auth/session/:id/approve", .handler = api_session_approve, .access = ACCESS_ANYONE, .flags = HTTP_WRITE,
	 .body_max = BODY_MAX, .body = &identity_approve_message, .answers = approve_answers, .errors = approve_errors, .summary = "The phone approves",
	 .doc = "The signature is over SHA-256 of `message` as it is sent. Of several that come at once one wins."},
	{.method = HTTP_POST, .path = "/auth/session/:id/reject", .handler = api_session_reject, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_BODY_OPTIONAL,
	 .body_max = BODY_MAX, .body = &identity_reject_message, .answers = done_answers, .errors = reject_errors, .summary = "The phone says no"},
	{.method = HTTP_GET, .path = "/auth/session/verify", .handler = api_verify, .access = ACCESS_TOKEN, .answers = verify_answers, .errors = verify_errors,
	 .summary = "Is this token good, and whose is it?"},
	{.method = HTTP_POST, .path = "/auth/session/revoke", .handler = api_revoke, .access = ACCESS_TOKEN, .flags = HTTP_WRITE | HTTP_BODY_OPTIONAL, .body_max = BODY_MAX,
	 .body = &identity_revoke_message, .answers = revoke_answers, .errors = revoke_errors, .summary = "Log out",
	 .doc = "The token that asks; or one of one's own by its id; or all of them."},
	{.method = HTTP_GET, .path = "/auth/sessions", .handler = api_tokens, .access = ACCESS_TOKEN, .answers = tokens_answers, .errors = verify_errors,
	 .summary = "Where one is logged in"},
	{.method = HTTP_GET, .path = "/users/:id/events", .handler = api_user_events, .access = ACCESS_TOKEN, .answers = user_events_answers,
	 .errors = user_events_errors, .summary = "One's own last logins"},
	{.method = HTTP_GET, .path = "/login", .handler = api_login_page, .access = ACCESS_ANYONE, .flags = HTTP_WRITE, .params = login_params,
	 .answers = page_answers, .summary = "The login page", .doc = "For browsers: a code, how it stands, a link for a wallet on the same device."},
	{.method = HTTP_POST, .path = "/logout", .handler = api_logout, .access = ACCESS_ANYONE, .flags = HTTP_WRITE, .answers = logout_answers,
	 .summary = "The login page's own way out"},
	{.method = HTTP_GET, .path = "/login.css", .handler = api_page_style, .access = ACCESS_ANYONE, .answers = style_answers,
	 .summary = "The style sheet of all pages"},
	{.method = HTTP_GET, .path = "/login.js", .handler = api_page_script, .access = ACCESS_ANYONE, .answers = script_answers,
	 .summary = "The login page's script"},
	{.method = HTTP_GET, .path = "/.well-known/openid-configuration", .handler = api_oidc_configuration, .access = ACCESS_ANYONE,
	 .answers = oidc_configuration_answers, .summary = "OpenID Provider: where everything is", .doc = "OpenID Connect Discovery 1.0, RFC 8414."},
	{.method = HTTP_GET, .path = "/jwks.json", .handler = api_oidc_jwks, .access = ACCESS_ANYONE, .answers = oidc_jwks_answers,
	 .summary = "The public keys by which ID tokens are checked", .doc = "Of all instances; a key is here before it signs, and until its last ID token has expired."},
	{.method = HTTP_GET, .path = "/oauth2/authorize", .handler = api_oidc_authorize, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_OAUTH | HTTP_SECRET_QUERY,
	 .params = oidc_authorize_params, .answers = oidc_authorize_answers, .errors = oidc_authorize_errors, .summary = "An application sends a browser to be logged in",
	 .doc = "The authorization code flow (RFC 6749, OpenID Connect Core 1.0) with PKCE (RFC 7636)."},
	{.method = HTTP_POST, .path = "/oauth2/authorize", .handler = api_oidc_authorize_form, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_OAUTH,
	 .body_max = OIDC_FORM_MAX, .form = oidc_authorize_params, .answers = oidc_authorize_form_answers, .errors = oidc_authorize_errors,
	 .summary = "The same, as a form"},
	{.method = HTTP_POST, .path = "/oauth2/consent", .handler = api_oidc_consent, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_OAUTH, .body_max = OIDC_FORM_MAX,
	 .form = oidc_consent_form, .answers = oidc_consent_answers, .errors = oidc_authorize_errors, .summary = "The user's answer, from the page that asks"},
	{.method = HTTP_POST, .path = "/oauth2/token", .handler = api_oidc_token, .access = ACCESS_CLIENT, .flags = HTTP_WRITE | HTTP_OAUTH, .body_max = OIDC_FORM_MAX,
	 .form = oidc_token_form, .answers = oidc_token_answers, .errors = oidc_token_errors, .summary = "Tokens for a code, a refresh token or a device code",
	 .doc = "Each of them counts once. A code or refresh token that is used again revokes everything that came of it."},
	{.method = HTTP_GET, .path = "/userinfo", .handler = api_oidc_userinfo, .access = ACCESS_TOKEN, .flags = HTTP_OAUTH, .answers = oidc_userinfo_answers,
	 .errors = oidc_userinfo_errors, .summary = "Whose access token is this?"},
	{.method = HTTP_POST, .path = "/userinfo", .handler = api_oidc_userinfo_form, .access = ACCESS_TOKEN, .flags = HTTP_OAUTH | HTTP_BODY_OPTIONAL,
	 .body_max = OIDC_FORM_MAX, .form = oidc_userinfo_form, .answers = oidc_userinfo_answers, .errors = oidc_userinfo_form_errors, .summary = "The same, as a form"},
	{.method = HTTP_POST, .path = "/oauth2/introspect", .handler = api_oidc_introspect, .access = ACCESS_CLIENT, .flags = HTTP_OAUTH, .body_max = OIDC_FORM_MAX,
	 .form = oidc_one_token_form, .answers = oidc_introspect_answers, .errors = oidc_introspect_errors, .summary = "Does this token count?",
	 .doc = "RFC 7662, for clients with a secret, about tokens that were given to them; others are not active."},
	{.method = HTTP_POST, .path = "/oauth2/revoke", .handler = api_oidc_revoke, .access = ACCESS_CLIENT, .flags = HTTP_WRITE | HTTP_OAUTH, .body_max = OIDC_FORM_MAX,
	 .form = oidc_one_token_form, .answers = oidc_revoke_answers, .errors = oidc_revoke_errors, .summary = "End a token",
	 .doc = "RFC 7009. A refresh token takes everything with it that came of the same login; an access token goes alone."},
	{.method = HTTP_GET, .path = "/oauth2/logout", .handler = api_oidc_logout, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_OAUTH | HTTP_SECRET_QUERY,
	 .params = oidc_logout_params, .answers = oidc_logout_answers, .errors = oidc_logout_errors, .summary = "An application sends a browser to be logged out",
	 .doc = "OpenID Connect RP-Initiated Logout 1.0. With an ID token of the user at the browser it is done at once; otherwise the user is asked."},
	{.method = HTTP_POST, .path = "/oauth2/logout", .handler = api_oidc_logout, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_OAUTH, .body_max = OIDC_FORM_MAX,
	 .form = oidc_logout_form, .answers = oidc_logout_answers, .errors = oidc_logout_errors, .summary = "The same, as a form"},
	{.method = HTTP_POST, .path = "/oauth2/device_authorization", .handler = api_oidc_device, .access = ACCESS_CLIENT, .flags = HTTP_WRITE | HTTP_OAUTH,
	 .body_max = OIDC_FORM_MAX, .form = oidc_device_form, .answers = oidc_device_answers, .errors = oidc_device_errors,
	 .summary = "A device without a browser asks to be logged in", .doc = "RFC 8628."},
	{.method = HTTP_GET, .path = "/device", .handler = api_device_page, .access = ACCESS_ANYONE, .flags = HTTP_WRITE | HTTP_SECRET_QUERY, .params = device_page_params,
	 .answers = device_page_answers, .errors = device_page_errors, .summary = "The page where the code of a device is typed"},
	{.method = HTTP_POST, .path = "/device", .handler = api_device_form, .access = ACCESS_ANYONE, .flags = HTTP_WRITE, .body_max = OIDC_FORM_MAX,
	 .form = device_page_form, .answers = device_page_answers, .errors = device_page_errors, .summary = "What that page sends"},
	{.method = HTTP_GET, .path = "/auth/forward", .handler = api_forward, .access = ACCESS_ANYONE, .flags = HTTP_SECRET_QUERY, .params = forward_params,
	 .answers = forward_answers, .errors = forward_errors, .summary = "May this request pass? For reverse proxies",
	 .doc = "nginx auth_request, Traefik forwardAuth, Caddy forward_auth: by the browser's cookie tana_session."},
	{.method = HTTP_GET, .path = "/login.svg", .handler = api_page_icon, .access = ACCESS_ANYONE, .answers = icon_answers, .summary = "The pages' icon"},
};
const size_t identity_route_count = ARRAY_LEN(identity_routes);
