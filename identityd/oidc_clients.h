/*
 * The applications that may let people log in here: one JSON file, read at start and again at SIGHUP.
 *
 *	{"clients": [{
 *		"clientId": "grafana", "name": "Grafana",
 *		"secretHashes": ["sha256:<64 hex>"],              none: a public client (browser, desktop, command line), which cannot keep a secret
 *		"redirectUris": ["https://grafana.example/login/generic_oauth"],
 *		"postLogoutRedirectUris": [], "grants": [...], "scopes": [...], "authMethod": "client_secret_basic",
 *		"idTokenAlg": "RS256", "requirePkce": true, "consent": "ask", "allowedGroups": ["staff"]
 *	}]}
 *
 * A field that is not known, a URI that browsers could read otherwise, and whatever contradicts itself is refused, naming the field by its
 * path; a file that is refused at SIGHUP changes nothing. Secrets are in it as SHA-256 alone. They are made by us, of 32 random bytes, or
 * at least CLIENT_SECRET_MIN long, so that a slow hash would add nothing but work at each request.
 */
#ifndef TANA_IDENTITYD_OIDC_CLIENTS_H
#define TANA_IDENTITYD_OIDC_CLIENTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/sha256.h"
#include "json/fields.h"

enum {
	CLIENTS_FILE_MAX = 1024 * 1024, /* bytes */
	CLIENTS_MAX = 1000,
	CLIENT_URIS_MAX = 20,
	CLIENT_SECRETS_MAX = 3,         /* the old one stays good while applications are given a new one */
	CLIENT_SECRET_MIN = 32,         /* characters of a secret that the operator brings */
	CLIENT_SECRET_MAX = 512,
	CLIENT_URI_MAX = 1024
};

/* Bits; oidc_scope_texts has their names in this order. */
enum oidc_scope { SCOPE_OPENID = 1, SCOPE_PROFILE = 2, SCOPE_EMAIL = 4, SCOPE_GROUPS = 8, SCOPE_OFFLINE = 16, SCOPE_ALL = 31 };
enum { SCOPE_COUNT = 5 };
extern const char *const oidc_scope_texts[SCOPE_COUNT];
enum oidc_grant_type { GRANT_CODE = 1, GRANT_REFRESH = 2, GRANT_DEVICE = 4 };
enum { GRANT_TYPE_COUNT = 3 };
extern const char *const oidc_grant_texts[GRANT_TYPE_COUNT];
/* What a ledger's role makes of a user: the groups that ID tokens and /userinfo tell. */
enum oidc_group { GROUP_USER = 1, GROUP_STAFF = 2, GROUP_SOVEREIGN = 4 };
enum { GROUP_COUNT = 3 };
extern const char *const oidc_group_texts[GROUP_COUNT];
/* user: everybody; staff: also the sovereign. A role that is absent or not known: user. */
unsigned oidc_groups_of_role(struct str role);

enum oidc_alg { ALG_RS256, ALG_EDDSA };
const char *oidc_alg_text(enum oidc_alg a);
enum oidc_auth { AUTH_ANY_SECRET /* basic or post */, AUTH_BASIC, AUTH_POST, AUTH_NONE };

struct oidc_client {
	struct str id, name;
	const struct hash *secrets;
	size_t secret_count; /* 0: a public client */
	const struct str *redirect_uris, *logout_uris;
	size_t redirect_count, logout_count;
	const struct str *origins; /* of the redirect URIs that are http or https, normalised */
	size_t origin_count;
	unsigned grants, scopes; /* bits */
	unsigned allowed_groups; /* bits; 0: everybody */
	enum oidc_auth auth;
	enum oidc_alg alg;
	bool pkce_required;      /* always, for a public client */
	bool consent_never;      /* the operator vouches for it: nobody is asked */
};

struct oidc_clients {
	struct arena arena; /* all of it */
	struct oidc_client *list;
	size_t count;
};

/* ERR_CONFIG, saying the field. `path` is for messages. After an error *out is empty. */
MUST_CHECK bool oidc_clients_parse(struct str text, const char *path, struct oidc_clients *out, struct error *err);
MUST_CHECK bool oidc_clients_read(const char *path, struct oidc_clients *out, struct error *err);
void oidc_clients_free(struct oidc_clients *c);
/* NULL: no such client. */
const struct oidc_client *oidc_clients_find(const struct oidc_clients *c, struct str id);

/* Is it one of these, byte by byte? */
MUST_CHECK bool oidc_uri_listed(const struct str *list, size_t count, struct str uri);

/* A new entry, for `identityd client add`: checked like a file, and added to the text of one (absent: a new file). */
struct oidc_client_entry {
	struct str id, name;
	struct str secret_hash; /* "sha256:..."; absent: a public client */
	const struct str *redirect_uris, *logout_uris, *grants, *allowed_groups;
	size_t redirect_count, logout_count, grant_count, group_count;
	struct str alg;      /* absent: RS256 */
	bool consent_never;
};
/* Appends the file's new text. ERR_CONFIG as above; ERR_ALREADY_EXISTS: there is a client of this id. */
MUST_CHECK bool oidc_clients_add(struct str text, const char *path, const struct oidc_client_entry *e, struct buf *out, struct error *err);
enum { CLIENT_HASH_TEXT_SIZE = 7 + HASH_TEXT_LEN + 1 };
/* "sha256:<64 hex>" */
void oidc_secret_hash_text(struct str secret, char out[CLIENT_HASH_TEXT_SIZE]);

#endif
