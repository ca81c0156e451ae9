/* identityd: the file of OpenID clients. What it says, every way in which it can be wrong, and new entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "identityd/oidc_clients.h"

#define HASH "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* of "hello" */
#define CLIENT(more) "{\"clients\":[{\"clientId\":\"a\",\"name\":\"A\"" more "}]}"
#define URI "\"redirectUris\":[\"https://a.example/cb\"]"

static void refused(const char *text, const char *message)
{
	struct oidc_clients c;
	struct error err = {0};
	if (oidc_clients_parse(str_from(text), "clients.json", &c, &err))
		fail_msg("accepted: %s", text);
	assert_int_equal(err.code, ERR_CONFIG);
	if (!strstr(err.message, message))
		fail_msg("%s: \"%s\" has not \"%s\"", text, err.message, message);
	assert_int_equal(c.count, 0);
}

static const struct oidc_client *only(const char *text, struct oidc_clients *c)
{
	struct error err = {0};
	if (!oidc_clients_parse(str_from(text), "clients.json", c, &err))
		fail_msg("%s: %s", text, err.message);
	assert_int_equal(c->count, 1);
	return &c->list[0];
}

static void what_it_says(void **state)
{
	(void)state;
	struct oidc_clients c;
	struct hash hello;
	const struct oidc_client *a = only(CLIENT("," URI ",\"secretHashes\":[\"" HASH "\"]"), &c);
	sha256(&hello, "hello", 5);
	assert_true(str_is(a->id, "a") && str_is(a->name, "A") && a->secret_count == 1 && hash_equal(&a->secrets[0], &hello));
	assert_int_equal(a->grants, GRANT_CODE);
	assert_int_equal(a->scopes, SCOPE_ALL & ~SCOPE_OFFLINE);
	assert_true(a->auth == AUTH_ANY_SECRET && a->alg == ALG_RS256 && !a->pkce_required && !a->consent_never && a->allowed_groups == 0);
	assert_int_equal(a->origin_count, 1);
	assert_true(str_is(a->origins[0], "https://a.example"));
	assert_true(oidc_uri_listed(a->redirect_uris, a->redirect_count, STR_LIT("https://a.example/cb")));
	assert_false(oidc_uri_listed(a->redirect_uris, a->redirect_count, STR_LIT("https://a.example/cb/")));
	assert_false(oidc_uri_listed(a->redirect_uris, a->redirect_count, STR_NONE));
	assert_ptr_equal(oidc_clients_find(&c, STR_LIT("a")), a);
	assert_null(oidc_clients_find(&c, STR_LIT("b")));
	assert_null(oidc_clients_find(&c, STR_NONE));
	oidc_clients_free(&c);

	a = only(CLIENT(",\"redirectUris\":[\"HTTP://Localhost:80/cb\",\"com.example.app:/done?x=1\"],\"grants\":[\"authorization_code\",\"refresh_token\","
			"\"urn:ietf:params:oauth:grant-type:device_code\"],\"idTokenAlg\":\"EdDSA\",\"consent\":\"never\",\"allowedGroups\":[\"staff\",\"sovereign\"],"
			"\"postLogoutRedirectUris\":[\"https://a.example/bye\"]"),
		 &c);
	assert_true(a->secret_count == 0 && a->auth == AUTH_NONE && a->pkce_required && a->consent_never && a->alg == ALG_EDDSA);
	assert_int_equal(a->grants, GRANT_CODE | GRANT_REFRESH | GRANT_DEVICE);
	assert_int_equal(a->scopes, SCOPE_ALL);
	assert_int_equal(a->allowed_groups, GROUP_STAFF | GROUP_SOVEREIGN);
	assert_int_equal(a->origin_count, 1);
	assert_true(str_is(a->origins[0], "http://localhost"));
	assert_int_equal(a->logout_count, 1);
	oidc_clients_free(&c);

	a = only(CLIENT(",\"grants\":[\"urn:ietf:params:oauth:grant-type:device_code\"],\"scopes\":[\"openid\"]"), &c);
	assert_true(a->grants == GRANT_DEVICE && a->scopes == SCOPE_OPENID && a->redirect_count == 0);
	oidc_clients_free(&c);
}

static void fields_that_are_wrong(void **state)
{
	(void)state;
	refused("", "clients.json: ");
	refused("[]", "clients.json: ");
	refused("{}", "clients.json: clients is missing");
	refused("{\"clients\":[],\"client\":[]}", "clients.json: client is not known here");
	refused(CLIENT("," URI ",\"redirectUri\":[]"), "clients[0].redirectUri is not known here");
	refused("{\"clients\":[{\"clientId\":\"a\"," URI "}]}", "clients[0].name is missing");
	refused("{\"clients\":[{\"clientId\":\"a b\",\"name\":\"A\"," URI "}]}", "clients[0].clientId must be a client id");
	refused("{\"clients\":[{\"clientId\":\".a\",\"name\":\"A\"," URI "}]}", "clients[0].clientId must be a client id");
	refused("{\"clients\":[{\"clientId\":\"\",\"name\":\"A\"," URI "}]}", "clients[0].clientId must be a client id");
	refused("{\"clients\":[{\"clientId\":\"a\",\"name\":\"\"," URI "}]}", "clients[0].name must be a text of 1 to 100 bytes");
	refused(CLIENT("," URI ",\"secretHashes\":[\"hello\"]"), "clients[0].secretHashes[0] must be sha256: and 64 hex digits");
	refused(CLIENT("," URI ",\"secretHashes\":[]"), "clients[0].secretHashes must be");
	refused(CLIENT("," URI ",\"grants\":[\"implicit\"]"), "clients[0].grants[0] must be authorization_code");
	refused(CLIENT("," URI ",\"grants\":[]"), "clients[0].grants must be");
	refused(CLIENT("," URI ",\"scopes\":[\"all\"]"), "clients[0].scopes[0] must be openid");
	refused(CLIENT("," URI ",\"allowedGroups\":[\"staf\"]"), "clients[0].allowedGroups[0] must be user, staff or sovereign");
	refused(CLIENT("," URI ",\"allowedGroups\":[]"), "clients[0].allowedGroups must be");
	refused(CLIENT("," URI ",\"idTokenAlg\":\"none\""), "clients[0].idTokenAlg must be RS256 or EdDSA");
	refused(CLIENT("," URI ",\"idTokenAlg\":\"HS256\""), "clients[0].idTokenAlg must be RS256 or EdDSA");
	refused(CLIENT("," URI ",\"authMethod\":\"private_key_jwt\""), "clients[0].authMethod must be");
	refused(CLIENT("," URI ",\"authMethod\":\"\""), "clients[0].authMethod must be");
	refused(CLIENT("," URI ",\"consent\":\"always\""), "clients[0].consent must be ask or never");
	refused(CLIENT("," URI ",\"requirePkce\":\"yes\""), "clients[0].requirePkce must be");
}

static void uris_that_are_none(void **state)
{
	static const char *const uris[] = {
		"", "/cb", "https://", "https:///cb", "https://a.example/cb#x", "https://u@a.example/cb", "https://a.example@evil.example/cb",
		"https://*.example/cb", "https://a.example/*", "https://a.example:0/cb", "https://a.example:99999/cb", "https://a.example\\\\@evil.example/cb",
		"https://a.example/c b", "https://\u00e9.example/cb", "ftp://a.example/cb", "javascript:alert(1)", "javascript:/a.b", "data:text/html,x",
		"com.example.app:done", "com.example.app:/d#x", "Com.example:/d", "1.a:/x", "https://a.example/\\u0000",
	};
	char text[512];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
		snprintf(text, sizeof(text), CLIENT(",\"redirectUris\":[\"https://a.example/ok\",\"%s\"]"), uris[i]);
		refused(text, i == ARRAY_LEN(uris) - 1 ? "" : "clients[0].redirectUris[1] must be");
	}
	snprintf(text, sizeof(text), CLIENT("," URI ",\"postLogoutRedirectUris\":[\"javascript:alert(1)\"]"));
	refused(text, "clients[0].postLogoutRedirectUris[0] must be");
}

static void what_contradicts_itself(void **state)
{
	(void)state;
	refused("{\"clients\":[{\"clientId\":\"a\",\"name\":\"A\"," URI "},{\"clientId\":\"a\",\"name\":\"B\"," URI "}]}", "clients[1].clientId is there twice");
	refused(CLIENT(""), "clients[0].redirectUris is missing");
	refused(CLIENT("," URI ",\"authMethod\":\"none\",\"secretHashes\":[\"" HASH "\"]"), "clients[0].authMethod is none");
	refused(CLIENT("," URI ",\"authMethod\":\"client_secret_post\""), "clients[0].authMethod needs secretHashes");
	refused(CLIENT("," URI ",\"requirePkce\":false"), "clients[0].requirePkce must not be false");
	refused(CLIENT(",\"grants\":[\"refresh_token\"]"), "clients[0].grants has refresh_token alone");
	refused(CLIENT("," URI ",\"scopes\":[\"openid\",\"offline_access\"]"), "clients[0].scopes has offline_access");
	refused(CLIENT(",\"secretHashes\":[\"" HASH "\"],\"redirectUris\":[\"com.example.app:/x\"]"), "clients[0].redirectUris: an app's own scheme");
}

static void new_entries(void **state)
{
	struct buf first = {0}, second = {0};
	struct oidc_clients c;
	struct error err;
	char hash[CLIENT_HASH_TEXT_SIZE];
	const struct str uri = STR_LIT("https://a.example/cb"), device = STR_LIT("urn:ietf:params:oauth:grant-type:device_code"), staff = STR_LIT("staff");
	(void)state;
	oidc_secret_hash_text(STR_LIT("hello"), hash);
	assert_string_equal(hash, HASH);
	struct oidc_client_entry e = {.id = STR_LIT("web"), .name = STR_LIT("Web \"1\""), .secret_hash = str_from(hash), .redirect_uris = &uri, .redirect_count = 1};
	assert_true(oidc_clients_add(STR_NONE, "c", &e, &first, &err));
	struct oidc_client_entry cli = {.id = STR_LIT("cli"), .name = STR_LIT("Cli"), .grants = &device, .grant_count = 1, .allowed_groups = &staff, .group_count = 1,
					.consent_never = true, .alg = STR_LIT("EdDSA")};
	assert_true(oidc_clients_add(buf_str(&first), "c", &cli, &second, &err));
	assert_true(oidc_clients_parse(buf_str(&second), "c", &c, &err));
	assert_int_equal(c.count, 2);
	assert_true(str_is(c.list[0].name, "Web \"1\"") && c.list[0].secret_count == 1);
	assert_true(c.list[1].grants == GRANT_DEVICE && c.list[1].allowed_groups == GROUP_STAFF && c.list[1].consent_never && c.list[1].alg == ALG_EDDSA);
	oidc_clients_free(&c);

	size_t n = first.len;
	assert_false(oidc_clients_add(buf_str(&second), "c", &e, &first, &err));
	assert_int_equal(err.code, ERR_ALREADY_EXISTS);
	e.id = STR_LIT("web 2");
	assert_false(oidc_clients_add(buf_str(&second), "c", &e, &first, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_false(oidc_clients_add(STR_LIT("{"), "c", &cli, &first, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_int_equal(first.len, n); /* after a refusal nothing was appended */
	buf_free(&first);
	buf_free(&second);
}

static void groups_of_roles(void **state)
{
	(void)state;
	assert_int_equal(oidc_groups_of_role(STR_NONE), GROUP_USER);
	assert_int_equal(oidc_groups_of_role(STR_LIT("user")), GROUP_USER);
	assert_int_equal(oidc_groups_of_role(STR_LIT("other")), GROUP_USER);
	assert_int_equal(oidc_groups_of_role(STR_LIT("staff")), GROUP_USER | GROUP_STAFF);
	assert_int_equal(oidc_groups_of_role(STR_LIT("sovereign")), GROUP_USER | GROUP_STAFF | GROUP_SOVEREIGN);
}

static void files_that_cannot_be_read(void **state)
{
	struct oidc_clients c;
	struct error err;
	(void)state;
	assert_false(oidc_clients_read("/nonexistent/clients.json", &c, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	oidc_clients_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says),		   cmocka_unit_test(fields_that_are_wrong), cmocka_unit_test(uris_that_are_none),
		cmocka_unit_test(what_contradicts_itself), cmocka_unit_test(new_entries),	   cmocka_unit_test(groups_of_roles),
		cmocka_unit_test(files_that_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
