#include "oidc_clients.h"

#include "base/file.h"
#include "base/log.h"
#include "origin_rules.h"

const char *const oidc_scope_texts[SCOPE_COUNT] = {"openid", "profile", "email", "groups", "offline_access"};
const char *const oidc_grant_texts[GRANT_TYPE_COUNT] = {"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"};
const char *const oidc_group_texts[GROUP_COUNT] = {"user", "staff", "sovereign"};
static const char *const alg_texts[] = {[ALG_RS256] = "RS256", [ALG_EDDSA] = "EdDSA"};
static const char *const auth_texts[] = {[AUTH_ANY_SECRET] = "", [AUTH_BASIC] = "client_secret_basic", [AUTH_POST] = "client_secret_post", [AUTH_NONE] = "none"};
static const char *const consent_texts[] = {"ask", "never"};
static const char hash_prefix[] = "sha256:";

const char *oidc_alg_text(enum oidc_alg a)
{
	return alg_texts[a];
}

unsigned oidc_groups_of_role(struct str role)
{
	if (str_is(role, "sovereign"))
		return GROUP_USER | GROUP_STAFF | GROUP_SOVEREIGN;
	return str_is(role, "staff") ? GROUP_USER | GROUP_STAFF : GROUP_USER;
}

/* The index of a text in a list, or -1. */
static int index_of(struct str s, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_is(s, list[i]))
			return (int)i;
	return -1;
}

/* ---- forms ---- */

static bool id_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && !(i > 0 && strchr("._-", c)))
			return false;
	}
	return s.n >= 1 && s.n <= 64;
}

static bool secret_hash_valid(struct str s)
{
	struct hash h;
	size_t n = sizeof(hash_prefix) - 1;
	return str_starts(s, hash_prefix) && hash_from_text(str_of(s.p + n, s.n - n), &h);
}

/* "com.example.app:/done": a scheme that contains a dot (RFC 8252 7.1), so neither javascript: nor any other that browsers know; the rest
 * is visible ASCII. */
static bool app_uri_valid(struct str s)
{
	size_t scheme = 0;
	bool dot = false;
	while (scheme < s.n && s.p[scheme] != ':') {
		char c = s.p[scheme];
		bool letter = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
		if (!letter && !(scheme > 0 && (digit || strchr("+-.", c))))
			return false;
		dot |= c == '.';
		scheme++;
	}
	if (!dot || scheme + 1 >= s.n || s.p[scheme + 1] != '/')
		return false;
	for (size_t i = scheme; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f || strchr("\\\"<>^`{|}*", s.p[i]))
			return false;
	return true;
}

static bool web_uri_valid(struct str s)
{
	struct arena scratch;
	struct str origin;
	arena_init(&scratch);
	bool ok = url_origin(s, &scratch, &origin);
	arena_free(&scratch);
	return ok && !memchr(s.p, '*', s.n);
}

/* RFC 6749 3.1.2: absolute, without a fragment. */
static bool redirect_uri_valid(struct str s)
{
	return s.n >= 1 && s.n <= CLIENT_URI_MAX && !memchr(s.p, '#', s.n) && (web_uri_valid(s) || app_uri_valid(s));
}

#define ONE_OF(name, list)                                                                                                     \
	static bool name(struct str s)                                                                                         \
	{                                                                                                                      \
		return s.n > 0 && index_of(s, list, ARRAY_LEN(list)) >= 0;                                                     \
	}
ONE_OF(grant_valid, oidc_grant_texts)
ONE_OF(scope_valid, oidc_scope_texts)
ONE_OF(group_valid, oidc_group_texts)
ONE_OF(alg_valid, alg_texts)
ONE_OF(auth_valid, auth_texts)
ONE_OF(consent_valid, consent_texts)

static const struct json_form form_id = {"ClientId", "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "a client id (1-64 of A-Z a-z 0-9 . _ -)", ERR_MALFORMED_FIELD, id_valid};
static const struct json_form form_hash = {"SecretHash", "^sha256:[0-9a-f]{64}$", "sha256: and 64 hex digits, as `identityd client hash` prints it", ERR_MALFORMED_FIELD,
					   secret_hash_valid};
static const struct json_form form_uri = {"RedirectUri", "^[a-z][a-z0-9+.-]*:/.*$",
					  "an http or https URI, or one of an app's own scheme with a dot in it, without fragment, user or wildcard", ERR_MALFORMED_FIELD,
					  redirect_uri_valid};
static const struct json_form form_grant = {"GrantType", "^.*$", "authorization_code, refresh_token or urn:ietf:params:oauth:grant-type:device_code", ERR_MALFORMED_FIELD,
					    grant_valid};
static const struct json_form form_scope = {"Scope", "^.*$", "openid, profile, email, groups or offline_access", ERR_MALFORMED_FIELD, scope_valid};
static const struct json_form form_group = {"Group", "^.*$", "user, staff or sovereign", ERR_MALFORMED_FIELD, group_valid};
static const struct json_form form_alg = {"SigningAlgorithm", "^.*$", "RS256 or EdDSA", ERR_MALFORMED_FIELD, alg_valid};
static const struct json_form form_auth = {"ClientAuthMethod", "^.*$", "client_secret_basic, client_secret_post or none", ERR_MALFORMED_FIELD, auth_valid};
static const struct json_form form_consent = {"Consent", "^.*$", "ask or never", ERR_MALFORMED_FIELD, consent_valid};

/* ---- the file, as it is written ---- */

struct entry {
	struct str id, name, auth, alg, consent;
	struct json_list secrets, redirects, logouts, grants, scopes, groups; /* of struct str */
	enum json_bool pkce;
};
struct file {
	struct json_list clients;
};
static const struct json_field entry_rows[] = {
	F_FORM(struct entry, id, "clientId", JSON_REQUIRED, &form_id, "its id"),
	JSON_F(struct entry, name, "name", JSON_TEXT, JSON_REQUIRED, 1, 100, NULL, NULL, "what people are told asks"),
	JSON_F(struct entry, secrets, "secretHashes", JSON_TEXTS, 0, 1, CLIENT_SECRETS_MAX, &form_hash, NULL, "its secrets; none: a public client"),
	F_TEXTS(struct entry, redirects, "redirectUris", 0, CLIENT_URIS_MAX, &form_uri, "where answers may go"),
	F_TEXTS(struct entry, logouts, "postLogoutRedirectUris", 0, CLIENT_URIS_MAX, &form_uri, "where a browser may go after logging out"),
	JSON_F(struct entry, grants, "grants", JSON_TEXTS, 0, 1, GRANT_TYPE_COUNT, &form_grant, NULL, "what it may ask for"),
	JSON_F(struct entry, scopes, "scopes", JSON_TEXTS, 0, 1, SCOPE_COUNT, &form_scope, NULL, "what it may be told"),
	F_FORM(struct entry, auth, "authMethod", 0, &form_auth, "how it shows its secret"),
	F_FORM(struct entry, alg, "idTokenAlg", 0, &form_alg, "how its ID tokens are signed"),
	F_BOOL(struct entry, pkce, "requirePkce", 0, "refuse authorizations without PKCE"),
	F_FORM(struct entry, consent, "consent", 0, &form_consent, "whether people are asked"),
	JSON_F(struct entry, groups, "allowedGroups", JSON_TEXTS, 0, 1, GROUP_COUNT, &form_group, NULL, "who may log in"),
};
static JSON_CLOSED_MESSAGE(entry_message, "Client", struct entry, entry_rows);
static const struct json_field file_rows[] = {
	F_LIST(struct file, clients, "clients", JSON_REQUIRED, CLIENTS_MAX, &entry_message, "the clients"),
};
static JSON_CLOSED_MESSAGE(file_message, "Clients", struct file, file_rows);

/* ---- from the file to what the rules need ---- */

static unsigned bits_of(const struct json_list *l, const char *const *texts, size_t count, unsigned when_absent)
{
	const struct str *items = l->items;
	unsigned bits = 0;
	if (!items)
		return when_absent;
	for (size_t i = 0; i < l->count; i++)
		bits |= 1U << index_of(items[i], texts, count);
	return bits;
}

static bool contradicts(struct error *err, const char *path, size_t i, const char *what)
{
	return error_set(err, ERR_CONFIG, "%s: clients[%zu].%s", path, i, what);
}

static bool check_entry(const struct entry *e, const struct oidc_client *c, const char *path, size_t i, struct error *err)
{
	bool confidential = c->secret_count > 0;
	if (confidential && c->auth == AUTH_NONE)
		return contradicts(err, path, i, "authMethod is none, and there are secretHashes");
	if (!confidential && str_present(e->auth) && c->auth != AUTH_NONE)
		return contradicts(err, path, i, "authMethod needs secretHashes");
	if (!confidential && e->pkce == JSON_FALSE)
		return contradicts(err, path, i, "requirePkce must not be false for a client without a secret");
	if ((c->grants & GRANT_CODE) && c->redirect_count == 0)
		return contradicts(err, path, i, "redirectUris is missing: authorization_code needs one");
	if ((c->grants & GRANT_REFRESH) && !(c->grants & (GRANT_CODE | GRANT_DEVICE)))
		return contradicts(err, path, i, "grants has refresh_token alone: there would be nothing to refresh");
	if ((c->scopes & SCOPE_OFFLINE) && !(c->grants & GRANT_REFRESH))
		return contradicts(err, path, i, "scopes has offline_access, and grants no refresh_token");
	for (size_t k = 0; k < c->redirect_count && confidential; k++)
		if (!web_uri_valid(c->redirect_uris[k]))
			return contradicts(err, path, i, "redirectUris: an app's own scheme is for clients without a secret");
	return true;
}

static void fill_secrets(const struct entry *e, struct arena *a, struct oidc_client *c)
{
	const struct str *texts = e->secrets.items;
	struct hash *list = arena_zalloc(a, e->secrets.count, sizeof(*list));
	size_t n = sizeof(hash_prefix) - 1;
	for (size_t i = 0; i < e->secrets.count; i++)
		invariant(hash_from_text(str_of(texts[i].p + n, texts[i].n - n), &list[i]));
	c->secrets = list;
	c->secret_count = e->secrets.count;
}

static void fill_origins(struct arena *a, struct oidc_client *c)
{
	struct str *list = arena_zalloc(a, c->redirect_count, sizeof(*list));
	for (size_t i = 0; i < c->redirect_count; i++)
		c->origin_count += url_origin(c->redirect_uris[i], a, &list[c->origin_count]);
	c->origins = list;
}

static void fill(const struct entry *e, struct arena *a, struct oidc_client *c)
{
	*c = (struct oidc_client){
		.id = e->id,
		.name = e->name,
		.redirect_uris = e->redirects.items,
		.redirect_count = e->redirects.count,
		.logout_uris = e->logouts.items,
		.logout_count = e->logouts.count,
		.grants = bits_of(&e->grants, oidc_grant_texts, GRANT_TYPE_COUNT, GRANT_CODE),
		.allowed_groups = bits_of(&e->groups, oidc_group_texts, GROUP_COUNT, 0),
		.alg = str_present(e->alg) ? (enum oidc_alg)index_of(e->alg, alg_texts, ARRAY_LEN(alg_texts)) : ALG_RS256,
		.consent_never = str_is(e->consent, "never"),
	};
	fill_secrets(e, a, c);
	fill_origins(a, c);
	unsigned scopes = SCOPE_ALL & ~(c->grants & GRANT_REFRESH ? 0U : (unsigned)SCOPE_OFFLINE);
	c->scopes = bits_of(&e->scopes, oidc_scope_texts, SCOPE_COUNT, scopes);
	c->auth = c->secret_count == 0 ? AUTH_NONE : AUTH_ANY_SECRET;
	if (str_present(e->auth))
		c->auth = (enum oidc_auth)index_of(e->auth, auth_texts, ARRAY_LEN(auth_texts));
	c->pkce_required = c->secret_count == 0 || e->pkce == JSON_TRUE;
}

static bool fill_all(const struct file *f, const char *path, struct oidc_clients *out, struct error *err)
{
	const struct entry *entries = f->clients.items;
	out->list = arena_zalloc(&out->arena, f->clients.count, sizeof(*out->list));
	for (size_t i = 0; i < f->clients.count; i++) {
		fill(&entries[i], &out->arena, &out->list[i]);
		if (!check_entry(&entries[i], &out->list[i], path, i, err))
			return false;
		if (oidc_clients_find(out, entries[i].id))
			return contradicts(err, path, i, "clientId is there twice");
		out->count++;
	}
	return true;
}

static bool read_file(struct str text, const char *path, struct arena *arena, struct file *f, struct error *err)
{
	struct error why;
	return json_read_text(text, &file_message, f, arena, &why) || error_set(err, ERR_CONFIG, "%s: %s", path, why.message);
}

bool oidc_clients_parse(struct str text, const char *path, struct oidc_clients *out, struct error *err)
{
	struct file f;
	*out = (struct oidc_clients){.count = 0};
	arena_init(&out->arena);
	if (read_file(text, path, &out->arena, &f, err) && fill_all(&f, path, out, err))
		return true;
	oidc_clients_free(out);
	return false;
}

bool oidc_clients_read(const char *path, struct oidc_clients *out, struct error *err)
{
	struct buf text = {0};
	struct error why;
	*out = (struct oidc_clients){.count = 0};
	arena_init(&out->arena);
	if (!file_read(path, CLIENTS_FILE_MAX, &text, &why))
		return error_set(err, ERR_CONFIG, "the clients' file cannot be read: %s", why.message);
	bool ok = oidc_clients_parse(buf_str(&text), path, out, err);
	buf_free(&text);
	return ok;
}

void oidc_clients_free(struct oidc_clients *c)
{
	arena_free(&c->arena);
	c->list = NULL;
	c->count = 0;
}

const struct oidc_client *oidc_clients_find(const struct oidc_clients *c, struct str id)
{
	for (size_t i = 0; i < c->count; i++)
		if (str_present(id) && str_equal(c->list[i].id, id))
			return &c->list[i];
	return NULL;
}

bool oidc_uri_listed(const struct str *list, size_t count, struct str uri)
{
	for (size_t i = 0; i < count; i++)
		if (str_present(uri) && str_equal(list[i], uri))
			return true;
	return false;
}

/* ---- making entries ---- */

void oidc_secret_hash_text(struct str secret, char out[CLIENT_HASH_TEXT_SIZE])
{
	struct hash h;
	sha256(&h, secret.p, secret.n);
	memcpy(out, hash_prefix, sizeof(hash_prefix) - 1);
	hash_to_text(&h, out + sizeof(hash_prefix) - 1);
}

static struct json_list list_of(const struct str *items, size_t count, struct arena *a)
{
	if (count == 0)
		return (struct json_list){.items = NULL};
	struct str *copy = arena_zalloc(a, count, sizeof(*copy));
	memcpy(copy, items, count * sizeof(*copy));
	return (struct json_list){.items = copy, .count = count};
}

static bool add(struct str text, const char *path, const struct oidc_client_entry *e, struct arena *a, struct buf *out, struct error *err)
{
	struct file f = {.clients = {.items = NULL}};
	struct oidc_clients check;
	if (str_present(text) && !read_file(text, path, a, &f, err))
		return false;
	struct entry *list = arena_zalloc(a, f.clients.count + 1, sizeof(*list));
	if (f.clients.count > 0)
		memcpy(list, f.clients.items, f.clients.count * sizeof(*list));
	for (size_t i = 0; i < f.clients.count; i++)
		if (str_equal(list[i].id, e->id))
			return error_set(err, ERR_ALREADY_EXISTS, "%s has a client %.*s already", path, STR_ARG(e->id));
	struct str secret = e->secret_hash;
	list[f.clients.count++] = (struct entry){
		.id = e->id,
		.name = e->name,
		.alg = e->alg,
		.consent = e->consent_never ? STR_LIT("never") : STR_NONE,
		.secrets = list_of(&secret, str_present(secret), a),
		.redirects = list_of(e->redirect_uris, e->redirect_count, a),
		.logouts = list_of(e->logout_uris, e->logout_count, a),
		.grants = list_of(e->grants, e->grant_count, a),
		.groups = list_of(e->allowed_groups, e->group_count, a),
		.pkce = JSON_BOOL_ABSENT,
	};
	f.clients.items = list;
	size_t at = out->len;
	json_write(out, &file_message, &f);
	buf_putc(out, '\n');
	if (!oidc_clients_parse(str_of(out->data + at, out->len - at), path, &check, err)) {
		out->len = at;
		return false;
	}
	oidc_clients_free(&check);
	return true;
}

bool oidc_clients_add(struct str text, const char *path, const struct oidc_client_entry *e, struct buf *out, struct error *err)
{
	struct arena a;
	arena_init(&a);
	bool ok = add(text, path, e, &a, out, err);
	arena_free(&a);
	return ok;
}
