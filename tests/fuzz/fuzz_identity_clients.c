/* The file of OpenID clients: whatever is taken holds what it promises, and survives having an entry added. */
#include <stdint.h>

#include "base/log.h"
#include "identityd/oidc_clients.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct oidc_client *c)
{
	invariant(c->id.n >= 1 && c->id.n <= 64 && c->name.n >= 1 && c->name.n <= 100);
	invariant((c->secret_count == 0) == (c->auth == AUTH_NONE));
	invariant(c->secret_count > 0 || c->pkce_required);
	invariant(c->grants != 0 && c->scopes != 0 && (c->scopes & ~(unsigned)SCOPE_ALL) == 0);
	invariant(!(c->grants & GRANT_CODE) || c->redirect_count > 0);
	for (size_t i = 0; i < c->redirect_count; i++) {
		struct str uri = c->redirect_uris[i];
		invariant(!memchr(uri.p, '#', uri.n) && !memchr(uri.p, '*', uri.n) && !memchr(uri.p, ' ', uri.n));
		invariant(!str_starts(uri, "javascript:") && !str_starts(uri, "data:"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oidc_clients c, again;
	struct error err;
	struct buf out = {0};
	struct str text = str_of((const char *)data, size);
	if (!oidc_clients_parse(text, "clients.json", &c, &err)) {
		invariant(err.code == ERR_CONFIG && c.count == 0);
		return 0;
	}
	for (size_t i = 0; i < c.count; i++) {
		check(&c.list[i]);
		invariant(oidc_clients_find(&c, c.list[i].id) == &c.list[i]);
	}
	const struct str uri = STR_LIT("https://new.example/cb");
	const struct oidc_client_entry e = {.id = STR_LIT("the-new-one"), .name = STR_LIT("New"), .redirect_uris = &uri, .redirect_count = 1};
	if (oidc_clients_add(text, "clients.json", &e, &out, &err)) {
		invariant(oidc_clients_parse(buf_str(&out), "clients.json", &again, &err) && again.count == c.count + 1);
		for (size_t i = 0; i < c.count; i++)
			invariant(str_equal(again.list[i].id, c.list[i].id) && again.list[i].grants == c.list[i].grants);
		oidc_clients_free(&again);
	}
	buf_free(&out);
	oidc_clients_free(&c);
	return 0;
}
