/* Public keys as JWKs (RFC 7517, 7518 6.3, 8037), when which key signs, and what a signature is worth. */
#include "crypto/ed25519.h"
#include "crypto/rsa.h"
#include "oidc_keys_inside.h"
#include "oidc_rules.h"
#include "wire/base64url.h"

struct jwk {
	struct str kty, use, alg, kid, n, e, crv, x;
};
static const struct json_field jwk_rows[] = {
	F_TEXT(struct jwk, kty, "kty", JSON_REQUIRED, 8, "RSA or OKP"),
	F_TEXT(struct jwk, use, "use", 0, 8, "sig"),
	F_TEXT(struct jwk, alg, "alg", JSON_REQUIRED, 8, "RS256 or EdDSA"),
	F_TEXT(struct jwk, kid, "kid", JSON_REQUIRED, 64, "its name: the RFC 7638 thumbprint"),
	F_TEXT(struct jwk, n, "n", 0, 1024, "RSA: modulus"),
	F_TEXT(struct jwk, e, "e", 0, 16, "RSA: exponent"),
	F_TEXT(struct jwk, crv, "crv", 0, 16, "OKP: Ed25519"),
	F_TEXT(struct jwk, x, "x", 0, 64, "OKP: the key"),
};
static JSON_MESSAGE(jwk_message, "JsonWebKey", struct jwk, jwk_rows);

static const struct json_field header_rows[] = {
	F_TEXT(struct oidc_jwt_header, alg, "alg", JSON_REQUIRED, 16, "how it is signed"),
	F_TEXT(struct oidc_jwt_header, kid, "kid", JSON_REQUIRED, 64, "by which key"),
	F_TEXT(struct oidc_jwt_header, typ, "typ", 0, 16, "JWT"),
};
JSON_MESSAGE(oidc_jwt_header_message, "JwtHeader", struct oidc_jwt_header, header_rows);

/* RFC 7638: the SHA-256 of the required members in the order of their names. */
static void thumbprint(const struct buf *canonical, struct buf *out)
{
	struct hash h;
	sha256(&h, canonical->data, canonical->len);
	base64url_encode(out, str_of((const char *)h.b, sizeof(h.b)));
}

void oidc_jwk_write_rsa(const struct rsa_key *k, struct buf *kid, struct buf *jwk)
{
	struct buf n = {0}, e = {0}, n64 = {0}, e64 = {0}, canonical = {0};
	rsa_public(k, &n, &e);
	base64url_encode(&n64, buf_str(&n));
	base64url_encode(&e64, buf_str(&e));
	buf_printf(&canonical, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", buf_z(&e64), buf_z(&n64));
	thumbprint(&canonical, kid);
	const struct jwk row = {.kty = STR_LIT("RSA"), .use = STR_LIT("sig"), .alg = STR_LIT("RS256"), .kid = buf_str(kid), .n = buf_str(&n64), .e = buf_str(&e64)};
	json_write(jwk, &jwk_message, &row);
	buf_free(&n);
	buf_free(&e);
	buf_free(&n64);
	buf_free(&e64);
	buf_free(&canonical);
}

void oidc_jwk_write_ed25519(const struct ed25519_public *k, struct buf *kid, struct buf *jwk)
{
	struct buf x = {0}, canonical = {0};
	base64url_encode(&x, str_of((const char *)k->b, sizeof(k->b)));
	buf_printf(&canonical, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", buf_z(&x));
	thumbprint(&canonical, kid);
	const struct jwk row = {.kty = STR_LIT("OKP"), .use = STR_LIT("sig"), .alg = STR_LIT("EdDSA"), .kid = buf_str(kid), .crv = STR_LIT("Ed25519"), .x = buf_str(&x)};
	json_write(jwk, &jwk_message, &row);
	buf_free(&x);
	buf_free(&canonical);
}

static bool rsa_fits(const struct jwk *k, struct str signed_text, struct str signature)
{
	struct buf n = {0}, e = {0};
	struct error err;
	bool read = str_present(k->n) && str_present(k->e) && base64url_decode(k->n, &n) && base64url_decode(k->e, &e);
	struct rsa_key *key = read ? rsa_from_public(buf_str(&n), buf_str(&e), &err) : NULL;
	bool ok = key && rsa_verify(key, signed_text, signature);
	rsa_free(key);
	buf_free(&n);
	buf_free(&e);
	return ok;
}

static bool ed25519_fits(const struct jwk *k, struct str signed_text, struct str signature)
{
	struct ed25519_public key;
	struct ed25519_signature s;
	struct buf x = {0};
	bool ok = str_present(k->x) && base64url_decode(k->x, &x) && x.len == sizeof(key.b) && signature.n == sizeof(s.b);
	if (ok) {
		memcpy(key.b, x.data, sizeof(key.b));
		memcpy(s.b, signature.p, sizeof(s.b));
		ok = ed25519_verify_bytes(&s, &key, signed_text);
	}
	buf_free(&x);
	return ok;
}

bool oidc_jwk_verifies(struct str jwk, struct str alg, struct str signed_text, struct str signature)
{
	struct jwk k;
	struct arena scratch;
	struct error err;
	arena_init(&scratch);
	bool ok = json_read_text(jwk, &jwk_message, &k, &scratch, &err) && str_equal(k.alg, alg);
	if (ok)
		ok = str_is(alg, oidc_alg_text(ALG_RS256)) ? rsa_fits(&k, signed_text, signature)
							   : str_is(alg, oidc_alg_text(ALG_EDDSA)) && ed25519_fits(&k, signed_text, signature);
	arena_free(&scratch);
	return ok;
}

/* ---- when which key ---- */

void oidc_key_plan(const int64_t *signs_from, size_t count, int64_t lifetime_ms, int64_t overlap_ms, int64_t now, struct oidc_key_plan *out)
{
	int newest = -1, oldest = -1;
	*out = (struct oidc_key_plan){.signer = -1};
	for (size_t i = 0; i < count; i++) {
		if (newest < 0 || signs_from[i] > signs_from[newest])
			newest = (int)i;
		if (oldest < 0 || signs_from[i] < signs_from[oldest])
			oldest = (int)i;
		if (signs_from[i] <= now && (out->signer < 0 || signs_from[i] > signs_from[out->signer]))
			out->signer = (int)i;
	}
	if (out->signer < 0)
		out->signer = oldest; /* the clock was set back: better an early signature than none */
	int64_t ends = newest < 0 ? now : signs_from[newest] + lifetime_ms;
	out->make = ends - overlap_ms <= now;
	out->signs_from = ends > now ? ends : now;
}

int64_t oidc_key_ends(int64_t signs_from, int64_t lifetime_ms, int64_t overlap_ms)
{
	return signs_from + lifetime_ms + overlap_ms + ACCESS_TTL_MS;
}
