#include "oidc_rules.h"

#include "base/log.h"
#include "wire/base64url.h"

/* ---- scopes ---- */

bool scopes_from_text(struct str text, unsigned *out)
{
	const char *p = text.p, *end = text.p + text.n;
	*out = 0;
	while (p < end) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		struct str name = str_of(p, (size_t)((blank ? blank : end) - p));
		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] < 0x21 || name.p[i] > 0x7e || name.p[i] == '"' || name.p[i] == '\\')
				return false;
		for (size_t i = 0; i < SCOPE_COUNT; i++)
			*out |= str_is(name, oidc_scope_texts[i]) ? 1U << i : 0;
		p = blank ? blank + 1 : end;
	}
	return true;
}

void scopes_to_text(unsigned scopes, char out[SCOPES_TEXT_SIZE])
{
	size_t n = 0;
	for (size_t i = 0; i < SCOPE_COUNT; i++) {
		size_t len = strlen(oidc_scope_texts[i]);
		if (!(scopes & 1U << i))
			continue;
		invariant(n + len + 2 <= SCOPES_TEXT_SIZE);
		if (n > 0)
			out[n++] = ' ';
		memcpy(out + n, oidc_scope_texts[i], len);
		n += len;
	}
	out[n] = '\0';
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

bool name_is_plain(struct str bare)
{
	for (size_t i = 0; i < bare.n; i++)
		if (!is_unreserved(bare.p[i]) || bare.p[i] == '~')
			return false;
	return bare.n >= 1 && bare.n <= 64;
}

/* ---- authorization requests ---- */

static bool challenge_valid(struct str s)
{
	struct buf bytes = {0};
	bool ok = s.n == CHALLENGE_LEN && base64url_decode(s, &bytes);
	buf_free(&bytes);
	return ok;
}

static bool judge_pkce(const struct oidc_client *client, const struct authorize_ask *ask, struct error *err)
{
	if (!str_present(ask->challenge)) {
		if (str_present(ask->challenge_method))
			return error_set(err, ERR_INVALID_REQUEST, "code_challenge_method without code_challenge");
		return !client->pkce_required || error_set(err, ERR_INVALID_REQUEST, "code_challenge is missing: this client must use PKCE");
	}
	/* "plain", which an absent method means, would show the secret in the very request that it protects. */
	if (!str_is(ask->challenge_method, "S256"))
		return error_set(err, ERR_INVALID_REQUEST, "code_challenge_method must be S256");
	return challenge_valid(ask->challenge) || error_set(err, ERR_INVALID_REQUEST, "code_challenge is not the base64url of a SHA-256");
}

static bool judge_prompt(struct str prompt, struct authorize *out, struct error *err)
{
	const char *p = prompt.p, *end = p ? p + prompt.n : NULL;
	while (p < end) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		struct str word = str_of(p, (size_t)((blank ? blank : end) - p));
		if (str_is(word, "none"))
			out->prompt_none = true;
		else if (str_is(word, "login") || str_is(word, "select_account")) /* another account is another login */
			out->prompt_login = true;
		else if (str_is(word, "consent"))
			out->prompt_consent = true;
		else if (word.n > 0)
			return error_set(err, ERR_INVALID_REQUEST, "prompt is a list of none, login, consent, select_account");
		p = blank ? blank + 1 : end;
	}
	if (out->prompt_none && (out->prompt_login || out->prompt_consent))
		return error_set(err, ERR_INVALID_REQUEST, "prompt has none beside others");
	return true;
}

bool scope_judge(const struct oidc_client *client, struct str scope, unsigned *out, struct error *err)
{
	if (!str_present(scope))
		return error_set(err, ERR_INVALID_SCOPE, "scope is missing");
	if (!scopes_from_text(scope, out))
		return error_set(err, ERR_INVALID_SCOPE, "scope is not a list of scopes");
	if (*out & ~client->scopes)
		return error_set(err, ERR_INVALID_SCOPE, "this client may not ask for all of these scopes");
	return *out != 0 || error_set(err, ERR_INVALID_SCOPE, "none of these scopes is known here");
}

static bool judge_rest(const struct oidc_client *client, const struct authorize_ask *ask, struct authorize *out, struct error *err)
{
	if (str_present(ask->request))
		return error_set(err, ERR_REQUEST_NOT_SUPPORTED, "request objects are not supported");
	if (str_present(ask->request_uri))
		return error_set(err, ERR_REQUEST_URI_NOT_SUPPORTED, "request_uri is not supported");
	if (!str_present(ask->response_type))
		return error_set(err, ERR_INVALID_REQUEST, "response_type is missing");
	if (!str_is(ask->response_type, "code"))
		return error_set(err, ERR_UNSUPPORTED_RESPONSE_TYPE, "response_type must be code");
	if (str_present(ask->response_mode) && !str_is(ask->response_mode, "query"))
		return error_set(err, ERR_INVALID_REQUEST, "response_mode must be query");
	if (!(client->grants & GRANT_CODE))
		return error_set(err, ERR_UNAUTHORIZED_CLIENT, "this client may not use authorization codes");
	if (!scope_judge(client, ask->scope, &out->scopes, err) || !judge_pkce(client, ask, err) || !judge_prompt(ask->prompt, out, err))
		return false;
	if (str_present(ask->max_age) && (!str_to_int64(ask->max_age, &out->max_age_s) || out->max_age_s < 0))
		return error_set(err, ERR_INVALID_REQUEST, "max_age is a number of seconds");
	return true;
}

enum authorize_outcome authorize_judge(const struct oidc_client *client, const struct authorize_ask *ask, struct authorize *out, struct error *err)
{
	*out = (struct authorize){.max_age_s = -1};
	if (!str_present(ask->client_id)) {
		error_set(err, ERR_INVALID_REQUEST, "client_id is missing");
		return AUTHORIZE_TELL_USER;
	}
	if (!client) {
		error_set(err, ERR_INVALID_REQUEST, "no application of this client_id is known here");
		return AUTHORIZE_TELL_USER;
	}
	if (!str_present(ask->redirect_uri)) {
		error_set(err, ERR_INVALID_REQUEST, "redirect_uri is missing");
		return AUTHORIZE_TELL_USER;
	}
	if (!oidc_uri_listed(client->redirect_uris, client->redirect_count, ask->redirect_uri)) {
		error_set(err, ERR_INVALID_REQUEST, "redirect_uri is not one that is registered for this application");
		return AUTHORIZE_TELL_USER;
	}
	return judge_rest(client, ask, out, err) ? AUTHORIZE_GOOD : AUTHORIZE_TELL_CLIENT;
}

bool client_admits(const struct oidc_client *client, unsigned groups, struct error *err)
{
	return client->allowed_groups == 0 || (client->allowed_groups & groups) ||
	       error_set(err, ERR_ACCESS_DENIED, "this user is in none of the groups that may use this application");
}

/* Has the user logged in since this request asked for it? */
static bool logged_in_for_this(const struct authorize_login *login, int64_t login_after, int64_t now)
{
	return login->found && login_after > 0 && login_after <= now && now - login_after <= LOGIN_ASKED_MAX_MS && login->login_at >= login_after;
}

static bool login_needed(const struct authorize *a, const struct authorize_login *login, int64_t login_after, int64_t now)
{
	if (!login->found)
		return true;
	if (logged_in_for_this(login, login_after, now))
		return false;
	return a->prompt_login || (a->max_age_s >= 0 && (now - login->login_at) / 1000 > a->max_age_s) || a->max_age_s == 0;
}

static bool consent_needed(const struct oidc_client *client, const struct authorize *a, const struct authorize_login *login)
{
	unsigned fresh = a->scopes & ~login->consented;
	if (a->prompt_consent)
		return true;
	/* Who approves a login on the phone was told which application it is for; that it may go on for weeks is another question. */
	if (login->for_this_client)
		fresh &= SCOPE_OFFLINE;
	return !client->consent_never && fresh != 0;
}

enum authorize_step authorize_next(const struct oidc_client *client, const struct authorize *a, const struct authorize_login *login, int64_t login_after, int64_t now,
				   struct error *err)
{
	bool another = login->found && str_present(a->sub) && !str_equal(a->sub, login->user_id);
	if (another || login_needed(a, login, login_after, now)) {
		/* Asked to log in, they came back as somebody else still: the client hears of it, and they are not asked for ever. */
		if (!a->prompt_none && !(another && logged_in_for_this(login, login_after, now)))
			return AUTHORIZE_LOGIN;
		error_set(err, ERR_LOGIN_REQUIRED, another ? "somebody else is logged in than id_token_hint names" : "nobody is logged in, or not recently enough");
		return AUTHORIZE_REFUSED;
	}
	if (!client_admits(client, login->groups, err))
		return AUTHORIZE_REFUSED;
	if (!consent_needed(client, a, login))
		return AUTHORIZE_DONE;
	if (!a->prompt_none)
		return AUTHORIZE_CONSENT;
	error_set(err, ERR_CONSENT_REQUIRED, "the user has not agreed to this yet");
	return AUTHORIZE_REFUSED;
}

/* ---- token requests ---- */

bool grant_type_judge(const struct oidc_client *client, struct str grant_type, enum oidc_grant_type *out, struct error *err)
{
	if (!str_present(grant_type))
		return error_set(err, ERR_INVALID_REQUEST, "grant_type is missing");
	for (unsigned i = 0; i < GRANT_TYPE_COUNT; i++) {
		if (!str_is(grant_type, oidc_grant_texts[i]))
			continue;
		*out = (enum oidc_grant_type)(1U << i);
		return (client->grants & 1U << i) || error_set(err, ERR_UNAUTHORIZED_CLIENT, "this client may not use this grant_type");
	}
	return error_set(err, ERR_UNSUPPORTED_GRANT_TYPE, "grant_type must be one of %s, %s, %s", oidc_grant_texts[0], oidc_grant_texts[1], oidc_grant_texts[2]);
}

bool grant_good(const struct grant_row *g, struct error *err)
{
	if (g->revoked_at != 0)
		return error_set(err, ERR_INVALID_GRANT, "this was revoked");
	return (g->scopes & SCOPE_OFFLINE) || g->login_alive || error_set(err, ERR_INVALID_GRANT, "the user has logged out");
}

static bool not_for(const struct oidc_client *client, const struct grant_row *g, struct error *err)
{
	return !str_equal(client->id, g->client_id) && !error_set(err, ERR_INVALID_GRANT, "this was given to another client");
}

/* RFC 7636 4.6, and RFC 9700 2.1.1: a verifier is refused where no challenge was given, so that nobody can take the challenge away. */
static bool verifier_fits(struct str challenge, struct str verifier, struct error *err)
{
	struct hash h;
	struct buf text = {0};
	if (!str_present(challenge) && !str_present(verifier))
		return true;
	if (!str_present(challenge))
		return error_set(err, ERR_INVALID_GRANT, "code_verifier, and the authorization had no code_challenge");
	if (!str_present(verifier))
		return error_set(err, ERR_INVALID_GRANT, "code_verifier is missing");
	bool form = verifier.n >= VERIFIER_MIN && verifier.n <= VERIFIER_MAX;
	for (size_t i = 0; form && i < verifier.n; i++)
		form = is_unreserved(verifier.p[i]);
	if (!form)
		return error_set(err, ERR_INVALID_GRANT, "code_verifier has not the form of one");
	sha256(&h, verifier.p, verifier.n);
	base64url_encode(&text, str_of((const char *)h.b, sizeof(h.b)));
	bool fits = str_equal(buf_str(&text), challenge);
	buf_free(&text);
	return fits || error_set(err, ERR_INVALID_GRANT, "code_verifier does not fit the code_challenge");
}

enum redeem code_judge(const struct oidc_client *client, const struct code_row *c, struct str redirect_uri, struct str verifier, int64_t now, struct error *err)
{
	if (not_for(client, &c->grant, err))
		return REDEEM_REFUSED;
	if (c->used_at != 0) {
		error_set(err, ERR_INVALID_GRANT, "the code was used before; what came of it is revoked");
		return REDEEM_REUSED;
	}
	if (c->expires_at <= now) {
		error_set(err, ERR_INVALID_GRANT, "the code has expired");
		return REDEEM_REFUSED;
	}
	if (!str_present(redirect_uri)) {
		error_set(err, ERR_INVALID_REQUEST, "redirect_uri is missing");
		return REDEEM_REFUSED;
	}
	if (!str_equal(redirect_uri, c->redirect_uri)) {
		error_set(err, ERR_INVALID_GRANT, "redirect_uri is not the one of the authorization");
		return REDEEM_REFUSED;
	}
	return verifier_fits(c->challenge, verifier, err) && grant_good(&c->grant, err) ? REDEEM_GOOD : REDEEM_REFUSED;
}

enum redeem refresh_judge(const struct oidc_client *client, const struct refresh_row *r, struct str scope, int64_t now, unsigned *scopes, struct error *err)
{
	if (not_for(client, &r->grant, err))
		return REDEEM_REFUSED;
	if (r->used_at != 0) {
		error_set(err, ERR_INVALID_GRANT, "the refresh token was used before; what came of it is revoked");
		return REDEEM_REUSED;
	}
	if (r->expires_at <= now) {
		error_set(err, ERR_INVALID_GRANT, "the refresh token has expired");
		return REDEEM_REFUSED;
	}
	if (!grant_good(&r->grant, err))
		return REDEEM_REFUSED;
	*scopes = r->grant.scopes;
	if (!str_present(scope))
		return REDEEM_GOOD;
	if (!scopes_from_text(scope, scopes) || *scopes == 0 || (*scopes & ~r->grant.scopes)) {
		error_set(err, ERR_INVALID_SCOPE, "these are not scopes that were granted");
		return REDEEM_REFUSED;
	}
	return REDEEM_GOOD;
}
