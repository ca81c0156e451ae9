#include "oidc_answer.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/random.h"
#include "secrets.h"
#include "wire/base64url.h"
#include "wire/jws.h"

enum { ID_TOKEN_MAX = 8 * 1024 /* bytes of one that is shown to us again */ };

/* ---- people ---- */

#define PERSON_ROWS(S, at)                                                                                                     \
	F_TEXT(S, at name, "name", 0, 0, "scope profile: what the user is called"),                                            \
		F_TEXT(S, at preferred_username, "preferred_username", 0, 0, "scope profile: the user's name, without the leading @"),                    \
		F_TEXT(S, at email, "email", 0, 0, "scope email: the name at the configured domain"),                          \
		F_BOOL(S, at email_verified, "email_verified", 0, "scope email: whether the operator vouches for it"),         \
		F_TEXTS(S, at groups, "groups", 0, 0, NULL, "scope groups: user, staff, sovereign")

static const struct json_field person_rows[] = {
	F_TEXT(struct oidc_person, sub, "sub", JSON_REQUIRED, 0, "the user's id"),
	PERSON_ROWS(struct oidc_person, ),
};
JSON_MESSAGE(oidc_person_message, "UserInfo", struct oidc_person, person_rows);

static struct json_list groups_of(struct str role, struct arena *arena)
{
	unsigned bits = oidc_groups_of_role(role);
	struct str *list = arena_zalloc(arena, GROUP_COUNT, sizeof(*list));
	size_t n = 0;
	for (size_t i = 0; i < GROUP_COUNT; i++)
		if (bits & 1U << i)
			list[n++] = str_from(oidc_group_texts[i]);
	return (struct json_list){.items = list, .count = n};
}

void oidc_person_fill(const struct oidc_config *c, const struct grant_row *g, unsigned scopes, struct arena *arena, struct oidc_person *out)
{
	struct str bare = username_bare(g->username);
	json_message_clear(&oidc_person_message, out);
	out->sub = g->user_id;
	if (scopes & SCOPE_PROFILE)
		out->name = out->preferred_username = bare;
	if ((scopes & SCOPE_EMAIL) && c->email_domain && name_is_plain(bare)) {
		out->email = arena_printf(arena, "%.*s@%s", STR_ARG(bare), c->email_domain);
		out->email_verified = c->email_verified ? JSON_TRUE : JSON_FALSE;
	}
	if (scopes & SCOPE_GROUPS)
		out->groups = groups_of(g->role, arena);
}

/* ---- ID tokens ---- */

struct id_claims {
	struct str iss, aud, nonce, at_hash;
	int64_t exp, iat, auth_time;
	struct oidc_person person;
};
static const struct json_field id_rows[] = {
	F_TEXT(struct id_claims, iss, "iss", JSON_REQUIRED, 0, "this service"),
	F_TEXT(struct id_claims, person.sub, "sub", JSON_REQUIRED, 0, "the user's id"),
	F_TEXT(struct id_claims, aud, "aud", JSON_REQUIRED, 0, "the client"),
	F_INT(struct id_claims, exp, "exp", 0, 0, JSON_INT_MAX, "when it ends (s)"),
	F_INT(struct id_claims, iat, "iat", 0, 0, JSON_INT_MAX, "when it was made (s)"),
	F_INT(struct id_claims, auth_time, "auth_time", 0, 0, JSON_INT_MAX, "when the user logged in (s)"),
	F_TEXT(struct id_claims, nonce, "nonce", 0, 0, "as the client sent it"),
	F_TEXT(struct id_claims, at_hash, "at_hash", 0, 0, "which access token came with it"),
	PERSON_ROWS(struct id_claims, person.),
};
static JSON_MESSAGE(id_message, "IdToken", struct id_claims, id_rows);

/* OpenID Connect Core 3.1.3.6, for RS256; no two libraries agree what it would be for EdDSA, and it may be left out. */
static struct str at_hash(struct arena *arena, enum oidc_alg alg, struct str access_token)
{
	struct hash h;
	struct buf text = {0};
	if (alg != ALG_RS256)
		return STR_NONE;
	sha256(&h, access_token.p, access_token.n);
	base64url_encode(&text, str_of((const char *)h.b, HASH_SIZE / 2));
	struct str copy = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return copy;
}

static bool make_id_token(struct identity *id, const struct oidc_issue *i, struct str access_token, struct arena *arena, struct str *out, struct error *err)
{
	const struct oidc_config *c = oidc_config_of(id->oidc);
	struct buf text = {0};
	struct id_claims claims = {
		.iss = str_from(id->config.public_url),
		.aud = i->client->id,
		.nonce = i->grant.nonce,
		.at_hash = at_hash(arena, i->client->alg, access_token),
		.exp = (i->now + ACCESS_TTL_MS) / 1000,
		.iat = i->now / 1000,
		.auth_time = i->grant.login_at / 1000,
	};
	oidc_person_fill(c, &i->grant, i->scopes, arena, &claims.person);
	bool ok = oidc_keys_sign(oidc_keys_of(id->oidc), i->client->alg, i->now, &id_message, &claims, &text, err);
	*out = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return ok;
}

/* ---- tokens ---- */

static const struct json_field token_rows[] = {
	F_TEXT(struct oidc_token_answer, access_token, "access_token", JSON_REQUIRED, 0, "for /userinfo"),
	F_TEXT(struct oidc_token_answer, token_type, "token_type", JSON_REQUIRED, 0, "Bearer"),
	F_INT(struct oidc_token_answer, expires_in, "expires_in", JSON_REQUIRED, 0, JSON_INT_MAX, "life of the access token (s)"),
	F_TEXT(struct oidc_token_answer, refresh_token, "refresh_token", 0, 0, "for new ones, once; with scope offline_access"),
	F_TEXT(struct oidc_token_answer, scope, "scope", JSON_REQUIRED, 0, "what was granted"),
	F_TEXT(struct oidc_token_answer, id_token, "id_token", 0, 0, "who the user is, signed; with scope openid"),
};
JSON_MESSAGE(oidc_token_answer_message, "TokenAnswer", struct oidc_token_answer, token_rows);

struct str oidc_secret_make(struct arena *arena, const char *prefix, struct hash *hash)
{
	char random[SECRET_TEXT_MAX];
	make_secret(random);
	struct str text = arena_printf(arena, "%s%s", prefix, random);
	explicit_bzero(random, sizeof(random));
	secret_hash(text, hash);
	return text;
}

struct str oidc_grant_id_make(struct arena *arena)
{
	uint8_t bytes[16];
	char text[2 * sizeof(bytes) + 1];
	random_bytes(bytes, sizeof(bytes));
	hex_encode(text, bytes, sizeof(bytes));
	return arena_copy(arena, str_from(text));
}

bool oidc_issue_make(struct http_request *r, struct oidc_issue *i, struct error *err)
{
	struct identity *id = http_ctx(r);
	struct arena *arena = http_arena(r);
	char scope[SCOPES_TEXT_SIZE];
	scopes_to_text(i->scopes, scope);
	struct oidc_token_answer a = {.token_type = STR_LIT("Bearer"), .expires_in = ACCESS_TTL_MS / 1000, .scope = str_from(scope)};
	i->access = (struct oidc_token_row){.kind = OIDC_ACCESS, .grant.id = i->grant.id, .scopes = i->scopes, .created_at = i->now, .expires_at = i->now + ACCESS_TTL_MS};
	a.access_token = oidc_secret_make(arena, "tana_at_", &i->access.hash);
	/* A refresh token stands for all that was granted, even if this access token is for less (RFC 6749 6). */
	i->has_refresh = (i->grant.scopes & SCOPE_OFFLINE) && (i->client->grants & GRANT_REFRESH);
	if (i->has_refresh) {
		i->refresh = (struct oidc_token_row){
			.kind = OIDC_REFRESH, .grant.id = i->grant.id, .scopes = i->grant.scopes, .created_at = i->now, .expires_at = i->now + REFRESH_TTL_MS};
		a.refresh_token = oidc_secret_make(arena, "tana_rt_", &i->refresh.hash);
	}
	if ((i->scopes & SCOPE_OPENID) && !make_id_token(id, i, a.access_token, arena, &a.id_token, err))
		return false;
	i->answer = http_reply_json(r, 200, &oidc_token_answer_message, &a);
	i->answer = http_reply_header(i->answer, "Pragma", "no-cache"); /* RFC 6749 5.1 */
	return true;
}

enum db_status oidc_issue_store(struct db_conn *c, const struct oidc_issue *i, struct error *err)
{
	enum db_status st = oidc_token_insert(c, &i->access, err);
	return st == DB_OK && i->has_refresh ? oidc_token_insert(c, &i->refresh, err) : st;
}

/* ---- tokens that come back ---- */

static enum db_status find_key(struct identity *id, struct str kid, struct arena *arena, struct str *jwk, struct error *err)
{
	struct db_conn *c = db_pool_reader(id->pool, err);
	if (!c)
		return DB_UNAVAILABLE;
	enum db_status st = oidc_key_read(c, kid, clock_wall_ms(), arena, jwk, err);
	db_pool_release(id->pool, c);
	return st;
}

bool oidc_hint_read(struct identity *id, struct str token, struct arena *arena, struct oidc_hint *out, struct error *err)
{
	struct jws jws;
	struct oidc_jwt_header header;
	struct id_claims claims;
	struct str jwk = STR_NONE;
	struct buf signature = {0};
	struct error why;
	bool read = token.n <= ID_TOKEN_MAX && jws_split(token, &jws) && jws_read_part(jws.header, "header", &oidc_jwt_header_message, &header, arena, &why) &&
		    jws_read_part(jws.claims, "claims", &id_message, &claims, arena, &why) && base64url_decode(jws.signature, &signature);
	if (read && find_key(id, header.kid, arena, &jwk, err) != DB_OK) {
		buf_free(&signature);
		return false;
	}
	bool ours = read && str_present(jwk) && oidc_jwk_verifies(jwk, header.alg, jws.signed_text, buf_str(&signature)) &&
		    str_equal(claims.iss, str_from(id->config.public_url));
	buf_free(&signature);
	if (!ours)
		return error_set(err, ERR_INVALID_REQUEST, "id_token_hint is not an ID token that was signed here");
	*out = (struct oidc_hint){.sub = claims.person.sub, .aud = claims.aud};
	return true;
}
