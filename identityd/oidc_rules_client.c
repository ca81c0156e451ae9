/* Who calls: a client, by its secret or, when it has none, by its name alone. */
#include <strings.h>

#include "base/hex.h"
#include "keys/base64.h"
#include "oidc_rules.h"

/* One half of Basic's credentials: form-encoded (RFC 6749 2.3.1). */
static bool form_decode(struct str s, struct arena *arena, struct str *out)
{
	char *text = arena_alloc(arena, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++, n++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '%') {
			if (s.n - i < 3 || !hex_decode(&c, 1, s.p + i + 1, 2, HEX_ANY_CASE))
				return false;
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		if (c < 0x20 || c == 0x7f)
			return false;
		text[n] = (char)c;
	}
	*out = str_of(text, n);
	return utf8_valid(text, n);
}

static bool basic_read(struct str credentials, struct arena *arena, struct client_claim *out)
{
	struct buf text = {0};
	const char *colon = NULL;
	bool ok = base64_decode(credentials, &text) && text.len > 0 && (colon = memchr(text.data, ':', text.len));
	if (ok) {
		size_t n = (size_t)(colon - text.data);
		ok = form_decode(str_of(text.data, n), arena, &out->id) && form_decode(str_of(colon + 1, text.len - n - 1), arena, &out->secret);
	}
	buf_free(&text);
	return ok;
}

bool client_claim_read(struct str authorization, struct str form_id, struct str form_secret, struct arena *arena, struct client_claim *out, struct error *err)
{
	static const char scheme[] = "Basic ";
	size_t n = sizeof(scheme) - 1;
	*out = (struct client_claim){.method = CLAIM_NONE, .id = form_id, .secret = form_secret};
	if (!str_present(authorization)) {
		if (!str_present(form_id))
			return error_set(err, ERR_INVALID_CLIENT, "the client does not say who it is");
		out->method = str_present(form_secret) ? CLAIM_POST : CLAIM_NONE;
		return true;
	}
	if (authorization.n < n || strncasecmp(authorization.p, scheme, n) != 0 || !basic_read(str_of(authorization.p + n, authorization.n - n), arena, out))
		return error_set(err, ERR_INVALID_CLIENT, "the Authorization header is not that of a client (Basic)");
	out->method = CLAIM_BASIC;
	if (str_present(form_secret))
		return error_set(err, ERR_INVALID_REQUEST, "the client shows its secret in two ways at once");
	if (str_present(form_id) && !str_equal(form_id, out->id))
		return error_set(err, ERR_INVALID_REQUEST, "client_id is another than in the Authorization header");
	return true;
}

/* Every hash is looked at, and all of it, so that time tells nothing. */
static bool secret_fits(const struct oidc_client *client, struct str secret)
{
	struct hash h;
	unsigned fits = 0;
	sha256(&h, secret.p, secret.n);
	for (size_t i = 0; i < client->secret_count; i++) {
		unsigned differs = 0;
		for (size_t k = 0; k < HASH_SIZE; k++)
			differs |= (unsigned)(h.b[k] ^ client->secrets[i].b[k]);
		fits |= differs == 0;
	}
	return fits;
}

static bool way_allowed(enum oidc_auth auth, enum claim_method method)
{
	switch (auth) {
	case AUTH_ANY_SECRET:
		return method == CLAIM_BASIC || method == CLAIM_POST;
	case AUTH_BASIC:
		return method == CLAIM_BASIC;
	case AUTH_POST:
		return method == CLAIM_POST;
	case AUTH_NONE:
		return true; /* some libraries send Basic with an empty secret */
	}
	return false;
}

bool client_authentic(const struct oidc_client *client, const struct client_claim *claim, struct error *err)
{
	if (client && way_allowed(client->auth, claim->method)) {
		bool secret = str_present(claim->secret) && claim->secret.n > 0;
		if (client->auth == AUTH_NONE ? !secret : secret && secret_fits(client, claim->secret))
			return true;
	}
	return error_set(err, ERR_INVALID_CLIENT, "the client is not known here, or does not show the right secret in the right way");
}
