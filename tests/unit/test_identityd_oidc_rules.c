/* identityd: what the OpenID Provider allows. Every refusal with its code; what is good beside each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "identityd/oidc_rules.h"

#define NOW INT64_C(1767225600000)
#define URI STR_LIT("https://a.example/cb")
/* RFC 7636 appendix B. */
#define VERIFIER STR_LIT("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
#define CHALLENGE STR_LIT("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")

static const struct str uris[] = {{"https://a.example/cb", 20}, {"https://a.example/other", 23}};
static struct hash secrets[2];

static struct oidc_client public_client(void)
{
	return (struct oidc_client){.id = STR_LIT("app"), .redirect_uris = uris, .redirect_count = 2, .grants = GRANT_CODE | GRANT_REFRESH | GRANT_DEVICE,
				    .scopes = SCOPE_ALL, .auth = AUTH_NONE, .pkce_required = true};
}

static struct oidc_client confidential(void)
{
	struct oidc_client c = public_client();
	sha256(&secrets[0], "first", 5);
	sha256(&secrets[1], "second", 6);
	c.secrets = secrets;
	c.secret_count = 2;
	c.auth = AUTH_ANY_SECRET;
	c.pkce_required = false;
	return c;
}

static struct authorize_ask good_ask(void)
{
	return (struct authorize_ask){.client_id = STR_LIT("app"), .redirect_uri = URI, .response_type = STR_LIT("code"), .scope = STR_LIT("openid email"),
				      .challenge = CHALLENGE, .challenge_method = STR_LIT("S256")};
}

/* ---- authorization requests ---- */

static void judged(const struct oidc_client *c, const struct authorize_ask *ask, enum authorize_outcome outcome, enum error_code code)
{
	struct authorize a;
	struct error err = {.code = ERR_COUNT};
	enum authorize_outcome got = authorize_judge(c, ask, &a, &err);
	if (got != outcome || (outcome != AUTHORIZE_GOOD && err.code != code))
		fail_msg("outcome %d, %s: %s", (int)got, err.code == ERR_COUNT ? "no error" : error_code_text(err.code), err.message);
}

#define WITH(member, value) (ask = good_ask(), ask.member = (value), &ask)

static void good_requests(void **state)
{
	struct oidc_client c = public_client();
	struct authorize_ask ask = good_ask();
	struct authorize a;
	struct error err;
	(void)state;
	assert_int_equal(authorize_judge(&c, &ask, &a, &err), AUTHORIZE_GOOD);
	assert_int_equal(a.scopes, SCOPE_OPENID | SCOPE_EMAIL);
	assert_true(a.max_age_s == -1 && !a.prompt_none && !a.prompt_login && !a.prompt_consent);
	ask.prompt = STR_LIT("login consent");
	ask.max_age = STR_LIT("3600");
	ask.scope = STR_LIT("openid unknown:thing offline_access");
	ask.response_mode = STR_LIT("query");
	assert_int_equal(authorize_judge(&c, &ask, &a, &err), AUTHORIZE_GOOD);
	assert_int_equal(a.scopes, SCOPE_OPENID | SCOPE_OFFLINE);
	assert_true(a.max_age_s == 3600 && a.prompt_login && a.prompt_consent && !a.prompt_none);
}

static void what_is_shown_and_goes_nowhere(void **state)
{
	struct oidc_client c = public_client();
	struct authorize_ask ask;
	(void)state;
	judged(&c, WITH(client_id, STR_NONE), AUTHORIZE_TELL_USER, ERR_INVALID_REQUEST);
	judged(NULL, WITH(client_id, STR_LIT("other")), AUTHORIZE_TELL_USER, ERR_INVALID_REQUEST);
	judged(&c, WITH(redirect_uri, STR_NONE), AUTHORIZE_TELL_USER, ERR_INVALID_REQUEST);
	static const char *const others[] = {"https://a.example/cb/", "https://a.example/cb?x=1", "https://a.example/CB", "https://A.example/cb", "http://a.example/cb",
					     "https://a.example:443/cb", "https://a.example/cb#", "https://a.example/cb%2e", "https://evil.example/cb", ""};
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		judged(&c, WITH(redirect_uri, str_from(others[i])), AUTHORIZE_TELL_USER, ERR_INVALID_REQUEST);
	/* Whatever else is wrong, an unknown address is told nothing. */
	ask = good_ask();
	ask.redirect_uri = STR_LIT("https://evil.example/");
	ask.response_type = STR_LIT("token");
	judged(&c, &ask, AUTHORIZE_TELL_USER, ERR_INVALID_REQUEST);
}

static void what_the_client_is_told(void **state)
{
	struct oidc_client c = public_client();
	struct authorize_ask ask;
	(void)state;
	judged(&c, WITH(request, STR_LIT("e30.e30.")), AUTHORIZE_TELL_CLIENT, ERR_REQUEST_NOT_SUPPORTED);
	judged(&c, WITH(request_uri, STR_LIT("https://a.example/r")), AUTHORIZE_TELL_CLIENT, ERR_REQUEST_URI_NOT_SUPPORTED);
	judged(&c, WITH(response_type, STR_NONE), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(response_type, STR_LIT("token")), AUTHORIZE_TELL_CLIENT, ERR_UNSUPPORTED_RESPONSE_TYPE);
	judged(&c, WITH(response_type, STR_LIT("code id_token")), AUTHORIZE_TELL_CLIENT, ERR_UNSUPPORTED_RESPONSE_TYPE);
	judged(&c, WITH(response_mode, STR_LIT("fragment")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(scope, STR_NONE), AUTHORIZE_TELL_CLIENT, ERR_INVALID_SCOPE);
	judged(&c, WITH(scope, STR_LIT("unknown")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_SCOPE);
	judged(&c, WITH(scope, STR_LIT("openid \"x\"")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_SCOPE);
	judged(&c, WITH(prompt, STR_LIT("none login")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(prompt, STR_LIT("create")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(max_age, STR_LIT("-1")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(max_age, STR_LIT("soon")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	c.scopes = SCOPE_OPENID;
	judged(&c, WITH(scope, STR_LIT("openid groups")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_SCOPE);
	c = public_client();
	c.grants = GRANT_DEVICE;
	ask = good_ask();
	judged(&c, &ask, AUTHORIZE_TELL_CLIENT, ERR_UNAUTHORIZED_CLIENT);
}

static void pkce(void **state)
{
	struct oidc_client c = public_client(), old = confidential();
	struct authorize_ask ask;
	(void)state;
	judged(&c, WITH(challenge, STR_NONE), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(challenge_method, STR_NONE), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST); /* plain by default */
	judged(&c, WITH(challenge_method, STR_LIT("plain")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(challenge_method, STR_LIT("s256")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(challenge, STR_LIT("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	judged(&c, WITH(challenge, STR_LIT("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")), AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
	ask = good_ask();
	ask.challenge = STR_NONE;
	ask.challenge_method = STR_NONE;
	judged(&c, &ask, AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST); /* a public client must */
	judged(&old, &ask, AUTHORIZE_GOOD, ERR_COUNT);
	old.pkce_required = true;
	judged(&old, &ask, AUTHORIZE_TELL_CLIENT, ERR_INVALID_REQUEST);
}

static void next_is(const struct oidc_client *c, const struct authorize *a, const struct authorize_login *l, int64_t after, enum authorize_step step, enum error_code code)
{
	struct error err = {.code = ERR_COUNT};
	enum authorize_step got = authorize_next(c, a, l, after, NOW, &err);
	assert_int_equal(got, step);
	if (step == AUTHORIZE_REFUSED)
		assert_int_equal(err.code, code);
}

static void steps(void **state)
{
	struct oidc_client c = public_client();
	const struct authorize a = {.scopes = SCOPE_OPENID | SCOPE_EMAIL, .max_age_s = -1};
	const struct authorize_login nobody = {.found = false}, known = {.found = true, .login_at = NOW - 10000, .groups = GROUP_USER, .consented = SCOPE_OPENID | SCOPE_EMAIL};
	(void)state;
	next_is(&c, &a, &nobody, 0, AUTHORIZE_LOGIN, ERR_COUNT);
	next_is(&c, &a, &known, 0, AUTHORIZE_DONE, ERR_COUNT);
	struct authorize none = a;
	none.prompt_none = true;
	next_is(&c, &none, &nobody, 0, AUTHORIZE_REFUSED, ERR_LOGIN_REQUIRED);
	next_is(&c, &none, &known, 0, AUTHORIZE_DONE, ERR_COUNT);

	/* Agreement: to less, to nothing, by the phone, never asked for, asked for anew. */
	struct authorize_login fewer = known;
	fewer.consented = SCOPE_OPENID;
	next_is(&c, &a, &fewer, 0, AUTHORIZE_CONSENT, ERR_COUNT);
	next_is(&c, &none, &fewer, 0, AUTHORIZE_REFUSED, ERR_CONSENT_REQUIRED);
	fewer.for_this_client = true;
	next_is(&c, &a, &fewer, 0, AUTHORIZE_DONE, ERR_COUNT);
	struct authorize weeks = a;
	weeks.scopes |= SCOPE_OFFLINE;
	next_is(&c, &weeks, &fewer, 0, AUTHORIZE_CONSENT, ERR_COUNT);
	fewer.consented = SCOPE_ALL;
	next_is(&c, &weeks, &fewer, 0, AUTHORIZE_DONE, ERR_COUNT);
	fewer.consented = SCOPE_OPENID;
	struct authorize ask = a;
	ask.prompt_consent = true;
	next_is(&c, &ask, &known, 0, AUTHORIZE_CONSENT, ERR_COUNT);
	fewer.for_this_client = false;
	c.consent_never = true;
	next_is(&c, &a, &fewer, 0, AUTHORIZE_DONE, ERR_COUNT);
	next_is(&c, &ask, &known, 0, AUTHORIZE_CONSENT, ERR_COUNT);

	c.allowed_groups = GROUP_STAFF;
	next_is(&c, &a, &known, 0, AUTHORIZE_REFUSED, ERR_ACCESS_DENIED);
	next_is(&c, &a, &nobody, 0, AUTHORIZE_LOGIN, ERR_COUNT);
	struct authorize_login staff = known;
	staff.groups = GROUP_USER | GROUP_STAFF;
	next_is(&c, &a, &staff, 0, AUTHORIZE_DONE, ERR_COUNT);
}

static void logins_anew(void **state)
{
	struct oidc_client c = public_client();
	struct authorize a = {.scopes = SCOPE_OPENID, .max_age_s = -1, .prompt_login = true};
	struct authorize_login l = {.found = true, .login_at = NOW - 10000, .groups = GROUP_USER, .consented = SCOPE_OPENID};
	(void)state;
	next_is(&c, &a, &l, 0, AUTHORIZE_LOGIN, ERR_COUNT);
	next_is(&c, &a, &l, NOW - 5000, AUTHORIZE_LOGIN, ERR_COUNT);           /* asked for after that login */
	next_is(&c, &a, &l, NOW - 10000, AUTHORIZE_DONE, ERR_COUNT);           /* before it */
	next_is(&c, &a, &l, NOW + 1, AUTHORIZE_LOGIN, ERR_COUNT);              /* in the future */
	next_is(&c, &a, &l, NOW - LOGIN_ASKED_MAX_MS - 1, AUTHORIZE_LOGIN, ERR_COUNT); /* an old address, kept */
	next_is(&c, &a, &l, -1, AUTHORIZE_LOGIN, ERR_COUNT);
	a = (struct authorize){.scopes = SCOPE_OPENID, .max_age_s = 10};
	next_is(&c, &a, &l, 0, AUTHORIZE_DONE, ERR_COUNT);
	a.max_age_s = 9;
	next_is(&c, &a, &l, 0, AUTHORIZE_LOGIN, ERR_COUNT);
	next_is(&c, &a, &l, NOW - 10000, AUTHORIZE_DONE, ERR_COUNT);
	a.max_age_s = 0;
	l.login_at = NOW;
	next_is(&c, &a, &l, 0, AUTHORIZE_LOGIN, ERR_COUNT);
	a.prompt_none = true;
	next_is(&c, &a, &l, 0, AUTHORIZE_REFUSED, ERR_LOGIN_REQUIRED);
}

static void the_user_who_is_meant(void **state)
{
	struct oidc_client c = public_client();
	struct authorize a = {.scopes = SCOPE_OPENID, .max_age_s = -1, .sub = STR_LIT("bob")};
	struct authorize_login bob = {.found = true, .user_id = STR_LIT("bob"), .login_at = NOW - 10000, .groups = GROUP_USER, .consented = SCOPE_OPENID}, alice = bob, nobody = {0};
	(void)state;
	alice.user_id = STR_LIT("alice");
	next_is(&c, &a, &bob, 0, AUTHORIZE_DONE, ERR_COUNT);
	next_is(&c, &a, &alice, 0, AUTHORIZE_LOGIN, ERR_COUNT);
	next_is(&c, &a, &nobody, NOW - 20000, AUTHORIZE_LOGIN, ERR_COUNT);
	next_is(&c, &a, &alice, NOW - 5000, AUTHORIZE_LOGIN, ERR_COUNT);                    /* asked for after that login */
	next_is(&c, &a, &alice, NOW - 20000, AUTHORIZE_REFUSED, ERR_LOGIN_REQUIRED);        /* that login is the answer */
	next_is(&c, &a, &bob, NOW - 20000, AUTHORIZE_DONE, ERR_COUNT);
	a.prompt_none = true;
	next_is(&c, &a, &alice, 0, AUTHORIZE_REFUSED, ERR_LOGIN_REQUIRED);
	next_is(&c, &a, &bob, 0, AUTHORIZE_DONE, ERR_COUNT);
}

/* ---- clients ---- */

static enum error_code claim_of(const char *authorization, const char *id, const char *secret, struct client_claim *out)
{
	static struct arena arena;
	struct error err = {.code = ERR_COUNT};
	bool ok = client_claim_read(str_from(authorization), str_from(id), str_from(secret), &arena, out, &err);
	assert_int_equal(ok, err.code == ERR_COUNT);
	return err.code;
}

static void who_claims_to_call(void **state)
{
	struct client_claim k;
	(void)state;
	assert_int_equal(claim_of("Basic YXBwOmZpcnN0", NULL, NULL, &k), ERR_COUNT); /* app:first */
	assert_true(k.method == CLAIM_BASIC && str_is(k.id, "app") && str_is(k.secret, "first"));
	assert_int_equal(claim_of("basic YXBwOmZpcnN0", "app", NULL, &k), ERR_COUNT);
	assert_int_equal(claim_of("Basic YSUzQWIrYzoleTI1", NULL, NULL, &k), ERR_INVALID_CLIENT); /* %y2 */
	assert_int_equal(claim_of("Basic YSUzQWIrYzolMjU=", NULL, NULL, &k), ERR_COUNT); /* a%3Ab+c:%25 */
	assert_true(str_is(k.id, "a:b c") && str_is(k.secret, "%"));
	assert_int_equal(claim_of(NULL, "app", "first", &k), ERR_COUNT);
	assert_int_equal(k.method, CLAIM_POST);
	assert_int_equal(claim_of(NULL, "app", NULL, &k), ERR_COUNT);
	assert_int_equal(k.method, CLAIM_NONE);

	assert_int_equal(claim_of(NULL, NULL, NULL, &k), ERR_INVALID_CLIENT);
	assert_int_equal(claim_of(NULL, NULL, "first", &k), ERR_INVALID_CLIENT);
	assert_int_equal(claim_of("Bearer x", "app", NULL, &k), ERR_INVALID_CLIENT);
	assert_int_equal(claim_of("Basic", "app", NULL, &k), ERR_INVALID_CLIENT);
	assert_int_equal(claim_of("Basic ", "app", NULL, &k), ERR_INVALID_CLIENT);
	assert_int_equal(claim_of("Basic !!!!", "app", NULL, &k), ERR_INVALID_CLIENT);
	assert_int_equal(claim_of("Basic YXBw", "app", NULL, &k), ERR_INVALID_CLIENT); /* no colon */
	assert_int_equal(claim_of("Basic AAA6AAA=", "app", NULL, &k), ERR_INVALID_CLIENT); /* NUL */
	assert_int_equal(claim_of("Basic YXBwOmZpcnN0", NULL, "first", &k), ERR_INVALID_REQUEST);
	assert_int_equal(claim_of("Basic YXBwOmZpcnN0", "other", NULL, &k), ERR_INVALID_REQUEST);
}

static void whether_it_is_true(void **state)
{
	struct oidc_client c = confidential(), p = public_client();
	struct client_claim k = {.method = CLAIM_BASIC, .id = STR_LIT("app"), .secret = STR_LIT("first")};
	struct error err;
	(void)state;
	assert_true(client_authentic(&c, &k, &err));
	k.secret = STR_LIT("second");
	assert_true(client_authentic(&c, &k, &err));
	k.method = CLAIM_POST;
	assert_true(client_authentic(&c, &k, &err));
	c.auth = AUTH_BASIC;
	assert_false(client_authentic(&c, &k, &err));
	c.auth = AUTH_POST;
	assert_true(client_authentic(&c, &k, &err));
	k.method = CLAIM_BASIC;
	assert_false(client_authentic(&c, &k, &err));
	assert_int_equal(err.code, ERR_INVALID_CLIENT);
	c.auth = AUTH_ANY_SECRET;
	k.method = CLAIM_NONE;
	assert_false(client_authentic(&c, &k, &err)); /* a confidential client by its name alone */
	k = (struct client_claim){.method = CLAIM_POST, .id = STR_LIT("app"), .secret = STR_LIT("")};
	assert_false(client_authentic(&c, &k, &err));
	k.secret = STR_LIT("third");
	assert_false(client_authentic(&c, &k, &err));
	assert_false(client_authentic(NULL, &k, &err));
	assert_false(client_authentic(&p, &k, &err)); /* a public client has no secret */
	k.secret = STR_NONE;
	k.method = CLAIM_NONE;
	assert_true(client_authentic(&p, &k, &err));
	k.method = CLAIM_BASIC;
	k.secret = STR_LIT("");
	assert_true(client_authentic(&p, &k, &err));
}

/* ---- tokens ---- */

static void grant_types(void **state)
{
	struct oidc_client c = public_client();
	enum oidc_grant_type t;
	struct error err;
	(void)state;
	assert_true(grant_type_judge(&c, STR_LIT("authorization_code"), &t, &err) && t == GRANT_CODE);
	assert_true(grant_type_judge(&c, STR_LIT("urn:ietf:params:oauth:grant-type:device_code"), &t, &err) && t == GRANT_DEVICE);
	c.grants = GRANT_CODE;
	assert_false(grant_type_judge(&c, STR_LIT("refresh_token"), &t, &err));
	assert_int_equal(err.code, ERR_UNAUTHORIZED_CLIENT);
	assert_false(grant_type_judge(&c, STR_LIT("password"), &t, &err));
	assert_int_equal(err.code, ERR_UNSUPPORTED_GRANT_TYPE);
	assert_false(grant_type_judge(&c, STR_LIT("client_credentials"), &t, &err));
	assert_int_equal(err.code, ERR_UNSUPPORTED_GRANT_TYPE);
	assert_false(grant_type_judge(&c, STR_NONE, &t, &err));
	assert_int_equal(err.code, ERR_INVALID_REQUEST);
}

static struct grant_row good_grant(void)
{
	return (struct grant_row){.id = STR_LIT("g"), .client_id = STR_LIT("app"), .scopes = SCOPE_OPENID | SCOPE_EMAIL, .login_alive = true};
}

static void redeem_code(const struct code_row *c, struct str uri, struct str verifier, enum redeem outcome, enum error_code code)
{
	struct oidc_client client = public_client();
	struct error err = {.code = ERR_COUNT};
	assert_int_equal(code_judge(&client, c, uri, verifier, NOW, &err), outcome);
	assert_int_equal(err.code, code);
}

static void codes(void **state)
{
	struct code_row c = {.grant = good_grant(), .redirect_uri = URI, .challenge = CHALLENGE, .expires_at = NOW + 1};
	(void)state;
	redeem_code(&c, URI, VERIFIER, REDEEM_GOOD, ERR_COUNT);
	redeem_code(&c, STR_NONE, VERIFIER, REDEEM_REFUSED, ERR_INVALID_REQUEST);
	redeem_code(&c, STR_LIT("https://a.example/other"), VERIFIER, REDEEM_REFUSED, ERR_INVALID_GRANT);
	redeem_code(&c, URI, STR_NONE, REDEEM_REFUSED, ERR_INVALID_GRANT);
	redeem_code(&c, URI, CHALLENGE, REDEEM_REFUSED, ERR_INVALID_GRANT); /* the challenge is no verifier of itself */
	redeem_code(&c, URI, STR_LIT("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjX"), REDEEM_REFUSED, ERR_INVALID_GRANT);
	redeem_code(&c, URI, STR_LIT("dBjftJeZ4CVP mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), REDEEM_REFUSED, ERR_INVALID_GRANT);
	struct code_row changed = c;
	changed.expires_at = NOW;
	redeem_code(&changed, URI, VERIFIER, REDEEM_REFUSED, ERR_INVALID_GRANT);
	changed = c;
	changed.used_at = NOW - 1;
	redeem_code(&changed, URI, VERIFIER, REDEEM_REUSED, ERR_INVALID_GRANT);
	changed.grant.client_id = STR_LIT("other"); /* another client's replay does nobody any harm */
	redeem_code(&changed, URI, VERIFIER, REDEEM_REFUSED, ERR_INVALID_GRANT);
	changed = c;
	changed.grant.revoked_at = NOW - 1;
	redeem_code(&changed, URI, VERIFIER, REDEEM_REFUSED, ERR_INVALID_GRANT);
	changed = c;
	changed.grant.login_alive = false;
	redeem_code(&changed, URI, VERIFIER, REDEEM_REFUSED, ERR_INVALID_GRANT);
	changed.grant.scopes |= SCOPE_OFFLINE;
	redeem_code(&changed, URI, VERIFIER, REDEEM_GOOD, ERR_COUNT);
	/* Authorized without PKCE: a verifier cannot come from who authorized. */
	changed = c;
	changed.challenge = STR_NONE;
	redeem_code(&changed, URI, STR_NONE, REDEEM_GOOD, ERR_COUNT);
	redeem_code(&changed, URI, VERIFIER, REDEEM_REFUSED, ERR_INVALID_GRANT);
}

static void redeem_refresh(const struct refresh_row *r, const char *scope, enum redeem outcome, enum error_code code, unsigned scopes)
{
	struct oidc_client client = public_client();
	struct error err = {.code = ERR_COUNT};
	unsigned got = 0;
	assert_int_equal(refresh_judge(&client, r, str_from(scope), NOW, &got, &err), outcome);
	assert_int_equal(err.code, code);
	if (outcome == REDEEM_GOOD)
		assert_int_equal(got, scopes);
}

static void refresh_tokens(void **state)
{
	struct refresh_row r = {.grant = good_grant(), .expires_at = NOW + 1};
	(void)state;
	redeem_refresh(&r, NULL, REDEEM_GOOD, ERR_COUNT, SCOPE_OPENID | SCOPE_EMAIL);
	redeem_refresh(&r, "openid", REDEEM_GOOD, ERR_COUNT, SCOPE_OPENID);
	redeem_refresh(&r, "openid groups", REDEEM_REFUSED, ERR_INVALID_SCOPE, 0);
	redeem_refresh(&r, "unknown", REDEEM_REFUSED, ERR_INVALID_SCOPE, 0);
	redeem_refresh(&r, "\"", REDEEM_REFUSED, ERR_INVALID_SCOPE, 0);
	struct refresh_row changed = r;
	changed.expires_at = NOW;
	redeem_refresh(&changed, NULL, REDEEM_REFUSED, ERR_INVALID_GRANT, 0);
	changed = r;
	changed.used_at = 1;
	redeem_refresh(&changed, NULL, REDEEM_REUSED, ERR_INVALID_GRANT, 0);
	changed.grant.client_id = STR_LIT("other");
	redeem_refresh(&changed, NULL, REDEEM_REFUSED, ERR_INVALID_GRANT, 0);
	changed = r;
	changed.grant.revoked_at = 1;
	redeem_refresh(&changed, NULL, REDEEM_REFUSED, ERR_INVALID_GRANT, 0);
}

/* ---- devices ---- */

static int64_t poll_device(const struct device_row *d, enum device_poll outcome, enum error_code code)
{
	struct oidc_client client = public_client();
	struct error err = {.code = ERR_COUNT};
	int64_t interval;
	assert_int_equal(device_judge(&client, d, NOW, &interval, &err), outcome);
	assert_int_equal(err.code, code);
	return interval;
}

static void devices(void **state)
{
	struct device_row d = {.client_id = STR_LIT("app"), .status = DEVICE_PENDING, .interval_ms = 5000, .expires_at = NOW + 1};
	(void)state;
	assert_int_equal(poll_device(&d, DEVICE_WAITS, ERR_AUTHORIZATION_PENDING), 5000);
	d.polled_at = NOW - 5000;
	assert_int_equal(poll_device(&d, DEVICE_WAITS, ERR_AUTHORIZATION_PENDING), 5000);
	d.polled_at = NOW - 1000;
	assert_int_equal(poll_device(&d, DEVICE_WAITS, ERR_SLOW_DOWN), 10000);
	d.status = DEVICE_APPROVED;
	d.grant = good_grant();
	(void)poll_device(&d, DEVICE_GOOD, ERR_COUNT); /* however often it asked */
	d.grant.revoked_at = 1;
	(void)poll_device(&d, DEVICE_REFUSED, ERR_INVALID_GRANT);
	d.grant.revoked_at = 0;
	d.expires_at = NOW;
	(void)poll_device(&d, DEVICE_REFUSED, ERR_EXPIRED_TOKEN);
	d.status = DEVICE_PENDING;
	(void)poll_device(&d, DEVICE_REFUSED, ERR_EXPIRED_TOKEN);
	d.status = DEVICE_DENIED;
	(void)poll_device(&d, DEVICE_REFUSED, ERR_ACCESS_DENIED);
	d.status = DEVICE_USED;
	(void)poll_device(&d, DEVICE_REFUSED, ERR_INVALID_GRANT);
	d = (struct device_row){.client_id = STR_LIT("other"), .status = DEVICE_APPROVED, .expires_at = NOW + 1};
	(void)poll_device(&d, DEVICE_REFUSED, ERR_INVALID_GRANT);
	enum device_status s;
	for (int i = DEVICE_PENDING; i <= DEVICE_USED; i++)
		assert_true(device_status_from_text(str_from(device_status_text((enum device_status)i)), &s) && (int)s == i);
	assert_false(device_status_from_text(STR_LIT("open"), &s));
}

static void user_codes(void **state)
{
	static const char *const good[] = {"BCDFGHJK", "bcdf-ghjk", " B C D F G H J K ", "BCDF GHJK-"};
	static const char *const bad[] = {"", "BCDFGHJ", "BCDFGHJKL", "ACDFGHJK", "BCDF_GHJK", "BCDFGHJ0", "\xc3\x84" "CDFGHJK"};
	char out[USER_CODE_LETTERS + 1];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(user_code_read(str_from(good[i]), out));
		assert_string_equal(out, "BCDFGHJK");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(user_code_read(str_from(bad[i]), out));
	assert_false(user_code_read(str_of("BCDFGHJ\0", 8), out));
	for (size_t i = 0; i < 20; i++)
		assert_null(strchr("AEIOUY0123456789", user_code_letters[i]));
}

static void tries(void **state)
{
	struct user_code_tries t = {.count = 0};
	int64_t wait;
	(void)state;
	for (int i = 0; i < USER_CODE_TRIES; i++)
		assert_true(user_code_try(&t, NOW + i, &wait));
	assert_false(user_code_try(&t, NOW + 100, &wait));
	assert_int_equal(wait, USER_CODE_TRIES_MS - 100);
	assert_false(user_code_try(&t, NOW + USER_CODE_TRIES_MS - 1, &wait));
	assert_true(user_code_try(&t, NOW + USER_CODE_TRIES_MS, &wait));
	assert_int_equal(t.count, 1);
	assert_true(user_code_try(&t, NOW - 1, &wait)); /* the clock was set back: a new minute */
}

static void plain_names(void **state)
{
	static const char *const others[] = {"", "a b", "a,b", "a@b", "a\nb", "\xc3\xa4", "a\"", "a~b", "a/b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	(void)state;
	assert_true(name_is_plain(STR_LIT("alice")) && name_is_plain(STR_LIT("a-b_c.9")) && name_is_plain(STR_LIT("Alice")));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(name_is_plain(str_from(others[i])));
}

static void scopes(void **state)
{
	char text[SCOPES_TEXT_SIZE];
	unsigned s;
	(void)state;
	scopes_to_text(SCOPE_ALL, text);
	assert_string_equal(text, "openid profile email groups offline_access");
	assert_true(scopes_from_text(str_from(text), &s) && s == SCOPE_ALL);
	scopes_to_text(0, text);
	assert_string_equal(text, "");
	assert_true(scopes_from_text(STR_LIT(""), &s) && s == 0);
	assert_true(scopes_from_text(STR_LIT("openid  email "), &s) && s == (SCOPE_OPENID | SCOPE_EMAIL));
	assert_true(scopes_from_text(STR_LIT("openidx OPENID"), &s) && s == 0);
	assert_false(scopes_from_text(STR_LIT("open\tid"), &s));
	assert_false(scopes_from_text(STR_LIT("openid \xc3\xa9"), &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_requests),      cmocka_unit_test(what_is_shown_and_goes_nowhere), cmocka_unit_test(what_the_client_is_told),
		cmocka_unit_test(pkce),		      cmocka_unit_test(steps),				cmocka_unit_test(logins_anew),
		cmocka_unit_test(the_user_who_is_meant),
		cmocka_unit_test(who_claims_to_call), cmocka_unit_test(whether_it_is_true),		cmocka_unit_test(grant_types),
		cmocka_unit_test(codes),	      cmocka_unit_test(refresh_tokens),			cmocka_unit_test(devices),
		cmocka_unit_test(user_codes),	      cmocka_unit_test(tries),				cmocka_unit_test(scopes),
		cmocka_unit_test(plain_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
