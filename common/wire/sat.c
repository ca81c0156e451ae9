#include "wire/sat.h"

#include <stdio.h>

#include "base/log.h"
#include "wire/base64url.h"
#include "wire/jws.h"
#include "wire/mesh.h"
#include "wire/sat_memory.h"

enum {
	PARTY_MAX = MESH_NODE_ID_MAX + 1 + 32, /* "<nodeId>/<service>" */
	ID_MAX = 128,                          /* bytes of jti: nobody needs more to be unique */
	SCOPE_MAX = 1024
};

/* ---- What is in it ---- */

struct header {
	struct str alg, kid, typ, crit;
};
struct claims {
	struct str iss, sub, aud, jti, scope, content;
	int64_t iat, exp, size;
};

/* "<nodeId>/<service>" taken apart; both forms checked. */
static bool party_parse(struct str s, struct str *node_id, struct str *service)
{
	const char *slash = str_present(s) && s.n <= PARTY_MAX ? memchr(s.p, '/', s.n) : NULL;
	if (!slash)
		return false;
	*node_id = str_of(s.p, (size_t)(slash - s.p));
	*service = str_of(slash + 1, s.n - node_id->n - 1);
	return mesh_node_id_valid(*node_id) && mesh_service_type_valid(*service);
}

static bool kid_valid(struct str s)
{
	struct str node_id, service;
	return party_parse(s, &node_id, &service);
}

static bool audience_valid(struct str s)
{
	return mesh_service_type_valid(s) || kid_valid(s);
}

static bool alg_valid(struct str s)
{
	return str_is(s, "EdDSA");
}

static bool typ_valid(struct str s)
{
	return str_is(s, "JWT");
}

static const struct json_form form_alg = {"TokenAlgorithm", "^EdDSA$", "\"EdDSA\"", ERR_TOKEN_INVALID, alg_valid};
static const struct json_form form_typ = {"TokenType", "^JWT$", "\"JWT\"", ERR_TOKEN_INVALID, typ_valid};
static const struct json_form form_kid = {"TokenKey", "^[a-z0-9][a-z0-9._-]{0,63}/[a-z0-9._-]{1,32}$", "\"<node id>/<service>\"",
					  ERR_TOKEN_INVALID, kid_valid};
static const struct json_form form_audience = {"TokenAudience", "^([a-z0-9][a-z0-9._-]{0,63}/)?[a-z0-9._-]{1,32}$",
					       "\"<node id>/<service>\" or a service", ERR_TOKEN_INVALID, audience_valid};

static const struct json_field header_rows[] = {
	F_FORM(struct header, alg, "alg", JSON_REQUIRED, &form_alg, "How it is signed."),
	F_FORM(struct header, kid, "kid", JSON_REQUIRED, &form_kid, "Whose key."),
	F_FORM(struct header, typ, "typ", 0, &form_typ, "What it is."),
	F_ANY(struct header, crit, "crit", 0, "Extensions that must be understood: none are."),
};
static JSON_MESSAGE(header_message, "TokenHeader", struct header, header_rows);

static const struct json_field claims_rows[] = {
	F_FORM(struct claims, iss, "iss", JSON_REQUIRED, &form_node_id, "The caller's node."),
	F_FORM(struct claims, sub, "sub", JSON_REQUIRED, &form_service_type, "The caller's service."),
	F_FORM(struct claims, aud, "aud", JSON_REQUIRED, &form_audience, "The service called."),
	F_INT(struct claims, iat, "iat", JSON_REQUIRED, 0, JSON_INT_MAX, "When it was made (s)."),
	F_INT(struct claims, exp, "exp", JSON_REQUIRED, 0, JSON_INT_MAX, "From when on it is worthless (s)."),
	JSON_F(struct claims, jti, "jti", JSON_TEXT, JSON_REQUIRED, 1, ID_MAX, NULL, NULL, "Which token."),
	F_TEXT(struct claims, scope, "scope", 0, SCOPE_MAX, "What it may be used for."),
	F_FORM(struct claims, content, "content", 0, &form_hash, "The content it is bound to."),
	F_INT(struct claims, size, "size", 0, 0, JSON_INT_MAX, "The size it is bound to (bytes)."),
};
static JSON_MESSAGE(claims_message, "TokenClaims", struct claims, claims_rows);

/* ---- Making ---- */

void sat_make(const struct sat *t, const struct ed25519_secret *key, struct buf *out)
{
	char kid[PARTY_MAX + 1], content[HASH_TEXT_LEN + 1];
	struct ed25519_signature signature;
	size_t start = out->len;

	invariant(mesh_node_id_valid(t->node_id) && mesh_service_type_valid(t->service) && audience_valid(t->audience));
	invariant(t->expires > t->issued_at && t->expires - t->issued_at <= SAT_LIFETIME_MAX_S && t->id.n >= 1 && t->id.n <= ID_MAX);
	snprintf(kid, sizeof kid, "%.*s/%.*s", STR_ARG(t->node_id), STR_ARG(t->service));
	if (t->has_content)
		hash_to_text(&t->content, content);
	struct header header = {.alg = STR_LIT("EdDSA"), .kid = str_from(kid), .typ = STR_LIT("JWT")};
	struct claims claims = {.iss = t->node_id, .sub = t->service, .aud = t->audience, .iat = t->issued_at, .exp = t->expires,
				.jti = t->id, .scope = t->scope, .content = t->has_content ? str_from(content) : STR_NONE,
					.size = t->has_size ? t->size : JSON_INT_ABSENT};
	jws_put_signed_text(out, &header_message, &header, &claims_message, &claims);
	ed25519_sign_bytes(&signature, key, str_of(out->data + start, out->len - start));
	jws_put_signature(out, str_of((const char *)signature.b, sizeof signature.b));
}

/* ---- Reading ---- */

static bool invalid(struct error *err, const char *why)
{
	return error_set(err, ERR_TOKEN_INVALID, "the token is not valid: %s", why);
}

static bool read_signature(struct str part, struct ed25519_signature *out, struct error *err)
{
	struct buf bytes = {0};
	bool ok = base64url_decode(part, &bytes) && bytes.len == sizeof out->b;

	if (ok)
		memcpy(out->b, bytes.data, sizeof out->b);
	buf_free(&bytes);
	return ok || invalid(err, "its signature has not the form of one");
}

bool sat_parse(struct str token, struct sat *out, struct str *signing_input, struct ed25519_signature *signature, struct arena *arena,
	       struct error *err)
{
	struct jws jws;
	struct str node_id = STR_NONE, service = STR_NONE;
	struct header header = {.crit = STR_NONE};
	struct claims claims = {.size = JSON_INT_ABSENT};

	if (!str_present(token) || token.n > SAT_TEXT_MAX || !jws_split(token, &jws))
		return invalid(err, "it has not the form of one (header.claims.signature)");
	if (!jws_read_part(jws.header, "header", &header_message, &header, arena, err))
		return false;
	if (str_present(header.crit))
		return invalid(err, "its header asks for extensions that are not known here (crit)");
	if (!jws_read_part(jws.claims, "claims", &claims_message, &claims, arena, err) || !read_signature(jws.signature, signature, err))
		return false;
	if (!party_parse(header.kid, &node_id, &service) || !str_equal(node_id, claims.iss) || !str_equal(service, claims.sub))
		return invalid(err, "its kid is not iss/sub");
	*out = (struct sat){.node_id = claims.iss, .service = claims.sub, .audience = claims.aud, .issued_at = claims.iat,
			    .expires = claims.exp, .id = claims.jti, .scope = claims.scope, .has_content = str_present(claims.content),
				    .has_size = claims.size != JSON_INT_ABSENT};
	if (out->has_content && !hash_from_text(claims.content, &out->content))
		return invalid(err, "its content is no hash");
	if (out->has_size)
		out->size = claims.size;
	*signing_input = jws.signed_text;
	return true;
}

/* ---- Judging ---- */

/* The bare service name is taken only from the same node: otherwise a token for one node's t4 would open every other's. */
static bool audience_is(const struct sat *t, struct str node_id, struct str service)
{
	struct str to_node = STR_NONE, to_service = STR_NONE;
	if (!party_parse(t->audience, &to_node, &to_service))
		return str_equal(t->audience, service) && str_equal(t->node_id, node_id);
	return str_equal(to_node, node_id) && str_equal(to_service, service);
}

static bool in_time(const struct sat *t, int64_t now_s, struct error *err)
{
	if (t->expires <= t->issued_at)
		return invalid(err, "it ends before it begins");
	if (t->expires - t->issued_at > SAT_LIFETIME_MAX_S)
		return error_set(err, ERR_TOKEN_INVALID, "the token is not valid: it lives longer than %d s", SAT_LIFETIME_MAX_S);
	if (t->issued_at > now_s + SAT_SKEW_S) {
		invalid(err, "it was made in the future");
		return error_hint(err, "compare the clocks of the two machines");
	}
	if (now_s >= t->expires)
		return error_set(err, ERR_TOKEN_EXPIRED, "the token expired %lld s ago", (long long)(now_s - t->expires));
	return true;
}

bool sat_check(struct str token, struct str node_id, struct str service, int64_t now_s, sat_key_fn *key, void *ctx, struct sat *out,
	       struct arena *arena, struct error *err)
{
	return sat_check_with(NULL, token, node_id, service, now_s, key, ctx, out, arena, err);
}

bool sat_check_with(struct sat_memory *memory, struct str token, struct str node_id, struct str service, int64_t now_s, sat_key_fn *key,
		    void *ctx, struct sat *out, struct arena *arena, struct error *err)
{
	struct str signing_input = STR_NONE;
	struct ed25519_signature signature = {{0}};
	struct ed25519_public public_key = {{0}};

	*out = (struct sat){.size = 0};
	if (!sat_parse(token, out, &signing_input, &signature, arena, err))
		return false;
	if (!audience_is(out, node_id, service))
		return error_set(err, ERR_TOKEN_INVALID, "the token is not valid: it is for %.*s, and this is %.*s/%.*s",
				 STR_ARG(out->audience), STR_ARG(node_id), STR_ARG(service));
	/* The key comes last: to find it may cost a call to the coordinator, which a worthless token shall not cause. */
	if (!in_time(out, now_s, err))
		return false;
	if (!key(ctx, out->node_id, out->service, &public_key)) {
		error_set(err, ERR_TOKEN_INVALID,
			  "the token is not valid: the key of %.*s/%.*s is not known here, or its node is not active",
			  STR_ARG(out->node_id), STR_ARG(out->service));
		return error_hint(err, "tana mesh status %.*s", STR_ARG(out->node_id));
	}
	return sat_memory_verify(memory, &signature, &public_key, signing_input) || invalid(err, "its signature does not fit");
}

bool sat_has_scope(const struct sat *t, const char *scope, struct error *err)
{
	const char *p = t->scope.p, *end = p ? p + t->scope.n : NULL;

	while (p) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		if (str_is(str_of(p, (size_t)((blank ? blank : end) - p)), scope))
			return true;
		p = blank ? blank + 1 : NULL;
	}
	return error_set(err, ERR_SCOPE_MISSING, "the token does not have the scope %s", scope);
}

bool sat_fits_content(const struct sat *t, const struct hash *content, int64_t size, struct error *err)
{
	if (t->has_content && !hash_equal(&t->content, content))
		return error_set(err, ERR_TOKEN_BOUND, "the token is bound to other content");
	if (t->has_size && size != -1 && t->size != size)
		return error_set(err, ERR_TOKEN_BOUND, "the token is bound to a size of %lld bytes", (long long)t->size);
	return true;
}
