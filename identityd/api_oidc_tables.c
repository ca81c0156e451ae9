/* What the rows of the OpenID Provider in api_routes.c name: parameters, fields of forms, answers, refusals. */
#include "api_oidc.h"
#include "wire/identity.h"

enum { URI_MAX = CLIENT_URI_MAX, SECRET_MAX = 256, TOKEN_MAX = 8192, WORD_MAX = 64 };
#define TEXT(n, most, d) {.name = (n), .type = PARAM_TEXT, .min = 1, .max = (most), .doc = (d)}
#define END {.name = NULL}

#define AUTHORIZE_PARAMS                                                                                                       \
	TEXT("client_id", WORD_MAX, "Which application."), TEXT("redirect_uri", URI_MAX, "Where the answer goes: exactly one that is registered."),       \
		TEXT("response_type", WORD_MAX, "code."), TEXT("response_mode", WORD_MAX, "query, or not there."),             \
		TEXT("scope", 1024, "openid, profile, email, groups, offline_access; others are ignored."),                    \
		TEXT("state", STATE_MAX, "Comes back with the answer."), TEXT("nonce", NONCE_MAX, "Comes back in the ID token."),                                 \
		TEXT("code_challenge", 128, "PKCE: base64url of the SHA-256 of a verifier. Clients without a secret must."),  \
		TEXT("code_challenge_method", WORD_MAX, "S256."), TEXT("prompt", WORD_MAX, "none, login, consent, select_account."),                              \
		TEXT("max_age", 20, "The login must not be older than this (s)."), TEXT("request", TOKEN_MAX, "Not supported."),                                  \
		TEXT("request_uri", URI_MAX, "Not supported."),                                                                \
		TEXT("id_token_hint", TOKEN_MAX, "An ID token of this client's: the code is for its user, or there is none."),  \
		TEXT("login_sub", IDENTITY_USER_ID_MAX, "Ours: whom that one named."), TEXT("login_after", 20, "Ours: since when a login that was asked for counts.")

const struct http_param oidc_authorize_params[] = {AUTHORIZE_PARAMS, END};
const struct http_param oidc_consent_form[] = {AUTHORIZE_PARAMS, TEXT("decision", WORD_MAX, "allow or deny."), TEXT("form_token", WORD_MAX, "As the page has it."), END};

#define CLIENT_FIELDS                                                                                                          \
	TEXT("client_id", WORD_MAX, "Who asks, unless the Authorization header (Basic) says so."),                             \
		TEXT("client_secret", CLIENT_SECRET_MAX, "Its secret, unless the Authorization header has it.")
const struct http_param oidc_token_form[] = {
	CLIENT_FIELDS,
	TEXT("grant_type", 128, "authorization_code, refresh_token, or urn:ietf:params:oauth:grant-type:device_code."),
	TEXT("code", SECRET_MAX, "authorization_code: the code."),
	TEXT("redirect_uri", URI_MAX, "authorization_code: as it was in the authorization."),
	TEXT("code_verifier", 256, "authorization_code: PKCE's verifier."),
	TEXT("refresh_token", SECRET_MAX, "refresh_token: the token, which counts once."),
	TEXT("scope", 1024, "refresh_token: fewer scopes for this access token."),
	TEXT("device_code", SECRET_MAX, "device_code: the code."),
	END,
};
const struct http_param oidc_userinfo_form[] = {TEXT("access_token", SECRET_MAX, "The access token, unless the Authorization header has it."), END};
const struct http_param oidc_one_token_form[] = {
	CLIENT_FIELDS, TEXT("token", TOKEN_MAX, "The token."), TEXT("token_type_hint", WORD_MAX, "Not needed: a token is found whatever its kind."), END};
#define LOGOUT_PARAMS                                                                                                          \
	TEXT("id_token_hint", TOKEN_MAX, "An ID token of the user who logs out; also when it has expired."),                   \
		TEXT("client_id", WORD_MAX, "Which application asks, when there is no id_token_hint."),                        \
		TEXT("post_logout_redirect_uri", URI_MAX, "Where to go afterwards: exactly one that is registered."),          \
		TEXT("state", STATE_MAX, "Comes back there.")
const struct http_param oidc_logout_params[] = {LOGOUT_PARAMS, END};
const struct http_param oidc_logout_form[] = {LOGOUT_PARAMS, TEXT("decision", WORD_MAX, "logout."), TEXT("form_token", WORD_MAX, "As the page has it."), END};
const struct http_param oidc_device_form[] = {CLIENT_FIELDS, TEXT("scope", 1024, "What the device wants to know; openid when not given."), END};
const struct http_param device_page_params[] = {TEXT("user_code", 64, "The code that the device shows."), END};
const struct http_param device_page_form[] = {TEXT("user_code", 64, "The code that the device shows."), TEXT("decision", WORD_MAX, "allow or deny; not there: look first."),
					      TEXT("form_token", WORD_MAX, "As the page has it."), END};
const struct http_param forward_params[] = {
	TEXT("mode", WORD_MAX, "redirect: answer 302 to the login page instead of 401."),
	TEXT("rd", 2048, "Where the browser comes back to. Not there: X-Forwarded-Proto, -Host and -Uri say it."),
	TEXT("group", WORD_MAX, "Who is not in this group is refused: user, staff, sovereign."),
	END,
};

static const char html[] = "text/html";
const struct http_answer oidc_configuration_answers[] = {{200, &oidc_configuration_message, NULL, "where everything is"}, {0}};
const struct http_answer oidc_jwks_answers[] = {{200, &oidc_jwks_message, NULL, "the public keys of all instances"}, {0}};
const struct http_answer oidc_authorize_answers[] = {
	{200, NULL, html, "a page: the login, or the question whether the application may know who this is"},
	{303, NULL, NULL, "to redirect_uri, with code, state and iss; or with error"},
	{400, NULL, html, "a page: client_id or redirect_uri are wrong, so nobody else is told"},
	{0},
};
const struct http_answer oidc_authorize_form_answers[] = {
	{303, NULL, NULL, "to the same as a GET; or to redirect_uri with error"}, {400, NULL, html, "as for GET"}, {0}};
const struct http_answer oidc_consent_answers[] = {{303, NULL, NULL, "to redirect_uri; or back to the question"}, {400, NULL, html, "the form is not from here"}, {0}};
const struct http_answer oidc_token_answers[] = {{200, &oidc_token_answer_message, NULL, "the tokens"}, {0}};
const struct http_answer oidc_userinfo_answers[] = {{200, &oidc_person_message, NULL, "as the scopes show the user"}, {0}};
const struct http_answer oidc_introspect_answers[] = {{200, &oidc_introspection_message, NULL, "whether it counts, and what it is"}, {0}};
const struct http_answer oidc_revoke_answers[] = {{200, NULL, NULL, "it does not count any more; or never did"}, {0}};
const struct http_answer oidc_logout_answers[] = {
	{200, NULL, html, "logged out; or a page that asks"}, {303, NULL, NULL, "logged out, to post_logout_redirect_uri"}, {400, NULL, html, "what was asked is wrong"}, {0}};
const struct http_answer oidc_device_answers[] = {{200, &oidc_device_message, NULL, "codes for the device and for the user"}, {0}};
const struct http_answer device_page_answers[] = {
	{200, NULL, html, "the page"}, {400, NULL, html, "no such code; or the form is not from here"}, {403, NULL, html, "not for this user"},
	{429, NULL, html, "too many wrong codes"}, {0}};
const struct http_answer forward_answers[] = {
	{200, NULL, NULL, "it may pass: Remote-User, Remote-Groups, Remote-Email, X-Auth-Request-User"}, {302, NULL, NULL, "mode=redirect: to the login page"}, {0}};

#define CLIENT_ERRORS ERR_INVALID_CLIENT, ERR_INVALID_REQUEST, ERR_MALFORMED_PARAMETER
const enum error_code oidc_authorize_errors[] = {ERR_MALFORMED_PARAMETER, ERR_COUNT};
const enum error_code oidc_token_errors[] = {CLIENT_ERRORS,	  ERR_INVALID_GRANT,	     ERR_UNAUTHORIZED_CLIENT, ERR_UNSUPPORTED_GRANT_TYPE, ERR_INVALID_SCOPE,
					     ERR_ACCESS_DENIED, ERR_AUTHORIZATION_PENDING, ERR_SLOW_DOWN,	      ERR_EXPIRED_TOKEN,	  ERR_COUNT};
const enum error_code oidc_userinfo_errors[] = {ERR_UNAUTHENTICATED, ERR_INVALID_TOKEN, ERR_INSUFFICIENT_SCOPE, ERR_COUNT};
const enum error_code oidc_userinfo_form_errors[] = {ERR_UNAUTHENTICATED, ERR_INVALID_TOKEN, ERR_INSUFFICIENT_SCOPE, ERR_INVALID_REQUEST, ERR_MALFORMED_PARAMETER, ERR_COUNT};
const enum error_code oidc_introspect_errors[] = {CLIENT_ERRORS, ERR_UNAUTHORIZED_CLIENT, ERR_COUNT};
const enum error_code oidc_revoke_errors[] = {CLIENT_ERRORS, ERR_INVALID_GRANT, ERR_COUNT};
const enum error_code oidc_logout_errors[] = {ERR_MALFORMED_PARAMETER, ERR_COUNT};
const enum error_code oidc_device_errors[] = {CLIENT_ERRORS, ERR_UNAUTHORIZED_CLIENT, ERR_INVALID_SCOPE, ERR_COUNT};
const enum error_code device_page_errors[] = {ERR_MALFORMED_PARAMETER, ERR_COUNT};
const enum error_code forward_errors[] = {ERR_UNAUTHENTICATED, ERR_NOT_ALLOWED, ERR_RETURN_URL_NOT_ALLOWED, ERR_MALFORMED_PARAMETER, ERR_COUNT};
