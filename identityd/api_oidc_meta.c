/* What clients read first: where everything is, and the keys by which ID tokens are checked. */
#include "api_oidc.h"
#include "base/clock.h"

struct configuration {
	struct str issuer, authorization, token, userinfo, jwks, introspection, revocation, end_session, device;
	struct json_list scopes, response_types, response_modes, grant_types, subject_types, algs, auth_methods, introspection_auth, revocation_auth, challenge_methods, claims,
		prompts;
	enum json_bool iss_parameter, request_parameter, request_uri_parameter, claims_parameter;
};
#define F_LINK(member, name, doc) F_TEXT(struct configuration, member, name, JSON_REQUIRED, 0, doc)
#define F_LIST_OF(member, name, doc) F_TEXTS(struct configuration, member, name, JSON_REQUIRED, 0, NULL, doc)
#define F_FLAG(member, name, doc) F_BOOL(struct configuration, member, name, JSON_REQUIRED, doc)
static const struct json_field configuration_rows[] = {
	F_LINK(issuer, "issuer", "the public URL"),
	F_LINK(authorization, "authorization_endpoint", "/oauth2/authorize"),
	F_LINK(token, "token_endpoint", "/oauth2/token"),
	F_LINK(userinfo, "userinfo_endpoint", "/userinfo"),
	F_LINK(jwks, "jwks_uri", "/jwks.json"),
	F_LINK(introspection, "introspection_endpoint", "/oauth2/introspect"),
	F_LINK(revocation, "revocation_endpoint", "/oauth2/revoke"),
	F_LINK(end_session, "end_session_endpoint", "/oauth2/logout"),
	F_LINK(device, "device_authorization_endpoint", "/oauth2/device_authorization"),
	F_LIST_OF(scopes, "scopes_supported", "openid and what goes with it"),
	F_LIST_OF(response_types, "response_types_supported", "code"),
	F_LIST_OF(response_modes, "response_modes_supported", "query"),
	F_LIST_OF(grant_types, "grant_types_supported", "codes, refresh tokens, device codes"),
	F_LIST_OF(subject_types, "subject_types_supported", "public"),
	F_LIST_OF(algs, "id_token_signing_alg_values_supported", "RS256, and EdDSA for clients that ask for it"),
	F_LIST_OF(auth_methods, "token_endpoint_auth_methods_supported", "how clients show who they are"),
	F_LIST_OF(introspection_auth, "introspection_endpoint_auth_methods_supported", "the same for introspection: clients with a secret alone"),
	F_LIST_OF(revocation_auth, "revocation_endpoint_auth_methods_supported", "the same for revocation"),
	F_LIST_OF(challenge_methods, "code_challenge_methods_supported", "S256"),
	F_LIST_OF(claims, "claims_supported", "what ID tokens and /userinfo may tell"),
	F_LIST_OF(prompts, "prompt_values_supported", "what a client may ask of the user"),
	F_FLAG(iss_parameter, "authorization_response_iss_parameter_supported", "RFC 9207: yes"),
	F_FLAG(request_parameter, "request_parameter_supported", "no"),
	F_FLAG(request_uri_parameter, "request_uri_parameter_supported", "no"),
	F_FLAG(claims_parameter, "claims_parameter_supported", "no"),
};
JSON_MESSAGE(oidc_configuration_message, "OpenIdConfiguration", struct configuration, configuration_rows);

static struct json_list list_of(struct arena *arena, const char *const *texts, size_t count)
{
	struct str *items = arena_zalloc(arena, count, sizeof(*items));
	for (size_t i = 0; i < count; i++)
		items[i] = str_from(texts[i]);
	return (struct json_list){.items = items, .count = count};
}
#define LIST_OF(arena, ...)                                                                                                    \
	list_of(arena, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static struct http_reply *for_a_while(struct http_reply *reply)
{
	return http_reply_header(reply, "Cache-Control", "public, max-age=300");
}

struct http_reply *api_oidc_configuration(struct http_request *r)
{
	const struct identity *id = http_ctx(r);
	struct arena *arena = http_arena(r);
	const char *base = id->config.public_url;
	const struct configuration c = {
		.issuer = str_from(base),
		.authorization = arena_printf(arena, "%s/oauth2/authorize", base),
		.token = arena_printf(arena, "%s/oauth2/token", base),
		.userinfo = arena_printf(arena, "%s/userinfo", base),
		.jwks = arena_printf(arena, "%s/jwks.json", base),
		.introspection = arena_printf(arena, "%s/oauth2/introspect", base),
		.revocation = arena_printf(arena, "%s/oauth2/revoke", base),
		.end_session = arena_printf(arena, "%s/oauth2/logout", base),
		.device = arena_printf(arena, "%s/oauth2/device_authorization", base),
		.scopes = list_of(arena, oidc_scope_texts, SCOPE_COUNT),
		.response_types = LIST_OF(arena, "code"),
		.response_modes = LIST_OF(arena, "query"),
		.grant_types = list_of(arena, oidc_grant_texts, GRANT_TYPE_COUNT),
		.subject_types = LIST_OF(arena, "public"),
		.algs = LIST_OF(arena, "RS256", "EdDSA"),
		.auth_methods = LIST_OF(arena, "client_secret_basic", "client_secret_post", "none"),
		.introspection_auth = LIST_OF(arena, "client_secret_basic", "client_secret_post"),
		.revocation_auth = LIST_OF(arena, "client_secret_basic", "client_secret_post", "none"),
		.challenge_methods = LIST_OF(arena, "S256"),
		.claims = LIST_OF(arena, "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "name", "preferred_username", "email", "email_verified",
				  "groups"),
		.prompts = LIST_OF(arena, "none", "login", "consent", "select_account"),
		.iss_parameter = JSON_TRUE,
		.request_parameter = JSON_FALSE,
		.request_uri_parameter = JSON_FALSE,
		.claims_parameter = JSON_FALSE,
	};
	return for_a_while(http_reply_json(r, 200, &oidc_configuration_message, &c));
}

/* ---- keys ---- */

struct jwks_document {
	struct str keys;
};
static const struct json_field jwks_rows[] = {F_ANY(struct jwks_document, keys, "keys", JSON_REQUIRED, "public keys as JWKs (RFC 7517)")};
JSON_MESSAGE(oidc_jwks_message, "JsonWebKeySet", struct jwks_document, jwks_rows);

static void put_key(void *ctx, const struct oidc_key_row *k)
{
	struct buf *out = ctx;
	if (out->data[out->len - 1] != '[')
		buf_putc(out, ',');
	buf_put_str(out, k->jwk);
}

struct http_reply *api_oidc_jwks(struct http_request *r)
{
	struct identity *id = http_ctx(r);
	struct error err;
	struct buf body = {0};
	struct db_conn *c = db_pool_reader(id->pool, &err);
	buf_puts(&body, "{\"keys\":[");
	enum db_status st = c ? oidc_keys_each(c, clock_wall_ms(), put_key, &body, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(id->pool, c);
	if (st != DB_OK) {
		buf_free(&body);
		return http_reply_error(r, &err);
	}
	buf_puts(&body, "]}");
	return for_a_while(http_reply_bytes(r, 200, NULL, &body));
}
