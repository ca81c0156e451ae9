#include "login.h"

#include <strings.h>

#include "base/clock.h"
#include "base/random.h"
#include "fresh.h"
#include "identity_metrics.h"
#include "origin_rules.h"
#include "oidc.h"
#include "oidc_store.h"
#include "secrets.h"
#include "wire/identity.h"

/* ---- what is asked ---- */

bool login_origin_allowed(const struct identity *id, struct str origin)
{
	const struct identity_config *c = &id->config;
	if (str_is(origin, c->public_url))
		return true;
	for (size_t i = 0; i < c->return_origin_count; i++)
		if (str_equal(origin, c->return_origins[i]))
			return true;
	return oidc_origin_registered(id->oidc, origin);
}

/* "/somewhere": not "//elsewhere", nor what browsers make of "/\elsewhere". */
static bool own_path(struct str url)
{
	if (url.n == 0 || url.n > URL_MAX || url.p[0] != '/' || (url.n > 1 && url.p[1] == '/'))
		return false;
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= 0x20 || url.p[i] >= 0x7f || url.p[i] == '\\')
			return false;
	return true;
}

static bool check_return_url(const struct identity *id, struct arena *arena, struct login_ask *ask, enum return_to which, struct error *err)
{
	if (!str_present(ask->return_url) || (which == RETURN_TO_PATHS && own_path(ask->return_url)))
		return true;
	if (!url_origin(ask->return_url, arena, &ask->app_origin))
		return error_set(err, ERR_RETURN_URL_NOT_ALLOWED, "`returnUrl` is no http or https URL");
	if (login_origin_allowed(id, ask->app_origin))
		return true;
	error_set(err, ERR_RETURN_URL_NOT_ALLOWED, "`returnUrl` leads to %.*s, which is not allowed here", STR_ARG(ask->app_origin));
	return error_hint(err, "the operator allows it with --allow-return-origin, or by registering a client");
}

/* Of UTF-8 text: every byte but those that go on a character. */
static size_t characters(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

bool login_ask_check(const struct identity *id, struct arena *arena, struct login_ask *ask, enum return_to which, struct error *err)
{
	struct str origin;
	if (str_present(ask->app_name) && (ask->app_name.n == 0 || characters(ask->app_name) > IDENTITY_APP_NAME_MAX))
		return error_set(err, ERR_MALFORMED_FIELD, "`appName` must have from 1 to %d characters", IDENTITY_APP_NAME_MAX);
	if (str_present(ask->app_icon) && !url_origin(ask->app_icon, arena, &origin))
		return error_set(err, ERR_MALFORMED_FIELD, "`appIcon` must be an http or https URL");
	return check_return_url(id, arena, ask, which, err);
}

/* ---- beginning ---- */

struct begin_job {
	struct db_job job; /* first: the pool's */
	struct identity *id;
	struct http_request *request;
	const struct login_ask *ask;
	login_then_fn *then;
	struct session_row row;
	struct hash forward_hash; /* with --cookie-domain */
	struct login_begun begun;
};

static enum db_status run_begin(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct begin_job *j = (struct begin_job *)job;
	enum db_status st = session_insert(c, &j->row, err);
	if (st == DB_OK && j->id->config.cookie_domain)
		st = oidc_forward_insert(c, &j->forward_hash, &j->row.desktop_hash, j->row.expires_at + j->id->config.token_ttl_ms, err);
	return st == DB_OK && j->ask->also ? j->ask->also(c, j->ask, &j->begun, err) : st;
}

static void begin_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct begin_job *j = (struct begin_job *)job;
	struct http_request *r = j->request;
	if (status != DB_OK)
		http_finish(r, http_reply_error(r, err));
	else {
		identity_count(IDENTITY_CREATED, 1);
		atomic_fetch_add(&j->id->begun, 1);
		fresh_put(j->id->fresh, &j->row);
		http_finish(r, j->then(r, j->ask, &j->begun));
	}
}

/* The number to show, and those to choose from: all different. */
static void make_match(struct arena *arena, struct session_row *row)
{
	int64_t choices[IDENTITY_MATCH_CHOICES];
	struct buf text = {0};
	for (size_t i = 0; i < IDENTITY_MATCH_CHOICES; i++) {
		bool again = true;
		while (again) {
			choices[i] = 10 + (int64_t)random_below(90);
			again = false;
			for (size_t k = 0; k < i; k++)
				again |= choices[k] == choices[i];
		}
		buf_printf(&text, "%s%lld", i ? "," : "", (long long)choices[i]);
	}
	row->match_code = choices[random_below(IDENTITY_MATCH_CHOICES)];
	row->match_choices = arena_copy(arena, buf_str(&text));
	buf_free(&text);
}

struct str login_qr_text(struct arena *arena, const struct identity *id, struct str session_id, struct str challenge, struct str app_name,
			 struct str app_icon)
{
	const struct identity_qr qr = {.protocol = STR_LIT("tana"),
				       .type = STR_LIT("auth"),
				       .version = STR_LIT("1"),
				       .session_id = session_id,
				       .challenge = challenge,
				       .server = str_from(id->config.public_url),
				       .app_name = app_name,
				       .app_icon = app_icon};
	struct buf text = {0};
	json_write(&text, &identity_qr_message, &qr);
	struct str copy = arena_copy(arena, buf_str(&text));
	buf_free(&text);
	return copy;
}

/* What a browser calls itself, for people: printable ASCII, and not too much of it. */
struct str login_agent(struct http_request *r)
{
	struct str agent = http_header(r, "User-Agent");
	if (!str_present(agent))
		return STR_NONE;
	size_t n = agent.n < IDENTITY_AGENT_MAX ? agent.n : IDENTITY_AGENT_MAX;
	char *text = arena_alloc(http_arena(r), n + 1);
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(agent.p[i] >= 0x20 && agent.p[i] < 0x7f ? agent.p[i] : '?');
	text[n] = '\0';
	return str_of(text, n);
}

static struct str browser_hash(struct http_request *r)
{
	struct str cookie = login_cookie(r, COOKIE_BROWSER);
	if (!str_present(cookie) || cookie.n == 0)
		return STR_NONE;
	struct hash *h = arena_alloc(http_arena(r), sizeof(*h));
	secret_hash(cookie, h);
	return str_of((const char *)h->b, HASH_SIZE);
}

struct http_reply *login_begin(struct http_request *r, const struct login_ask *ask, login_then_fn *then)
{
	struct identity *id = http_ctx(r);
	struct arena *arena = http_arena(r);
	if (atomic_load(&id->open_base) + atomic_load(&id->begun) - atomic_load(&id->begun_then) >= id->config.sessions_max)
		return http_reply_error_code(r, ERR_OVERLOADED, "too many logins are waiting already");
	struct begin_job *j = arena_zalloc(arena, 1, sizeof(*j));
	char token[SECRET_TEXT_MAX], forward[SECRET_TEXT_MAX], session_id[SESSION_ID_LEN + 1], challenge[CHALLENGE_TEXT_LEN + 1];
	j->job = (struct db_job){.run = run_begin, .done = begin_done};
	j->id = id;
	j->request = r;
	j->ask = ask;
	j->then = then;
	make_session_id(session_id);
	make_challenge(challenge);
	struct login_begun *b = &j->begun;
	b->session_id = arena_copy(arena, str_from(session_id));
	b->challenge = arena_copy(arena, str_from(challenge));
	make_secret(b->poll_secret);
	b->created_at = clock_wall_ms();
	b->expires_at = b->created_at + id->config.session_ttl_ms;
	b->qr_text = login_qr_text(arena, id, b->session_id, b->challenge, ask->app_name, ask->app_icon);
	j->row = (struct session_row){
		.id = b->session_id,
		.challenge = b->challenge,
		.app_name = ask->app_name,
		.app_icon = ask->app_icon,
		.app_origin = str_present(ask->app_origin) ? ask->app_origin : str_from(id->config.public_url),
		.client_id = ask->client_id,
		.return_url = ask->return_url,
		.desktop_ip = str_from(http_peer(r)),
		.desktop_agent = login_agent(r),
		.browser_hash = browser_hash(r),
		.match_code = -1,
		.created_at = b->created_at,
		.expires_at = b->expires_at,
	};
	if (id->config.match != MATCH_NEVER)
		make_match(arena, &j->row);
	b->match_code = j->row.match_code;
	secret_hash(str_from(b->poll_secret), &j->row.poll_hash);
	desktop_token(str_from(b->poll_secret), b->session_id, token);
	secret_hash(str_from(token), &j->row.desktop_hash);
	forward_token(str_from(token), forward);
	secret_hash(str_from(forward), &j->forward_hash);
	explicit_bzero(token, sizeof(token));
	explicit_bzero(forward, sizeof(forward));

	struct http_reply *later = http_reply_later(r);
	struct error err;
	if (!db_pool_submit(id->pool, &j->job, &err))
		http_finish(r, http_reply_error(r, &err));
	return later;
}

/* ---- cookies and bearers ---- */

struct str login_cookie(const struct http_request *r, const char *name)
{
	struct str all = http_header(r, "Cookie");
	size_t name_len = strlen(name);
	const char *p = all.p, *end = all.p ? all.p + all.n : NULL;
	while (p < end) {
		while (p < end && (*p == ' ' || *p == ';'))
			p++;
		const char *stop = memchr(p, ';', (size_t)(end - p));
		stop = stop ? stop : end;
		if ((size_t)(stop - p) > name_len && memcmp(p, name, name_len) == 0 && p[name_len] == '=')
			return str_of(p + name_len + 1, (size_t)(stop - p) - name_len - 1);
		p = stop;
	}
	return STR_NONE;
}

static struct http_reply *set_cookie(struct http_reply *reply, struct http_request *r, const char *name, const char *value, const char *path, const char *domain,
				     int64_t max_age)
{
	const struct identity *id = http_ctx(r);
	struct str text = arena_printf(http_arena(r), "%s=%s; Path=%s%s%s; Max-Age=%lld; HttpOnly; SameSite=Lax%s", name, value, path, domain ? "; Domain=" : "",
				       domain ? domain : "", (long long)max_age, id->config.secure ? "; Secure" : "");
	return http_reply_header(reply, "Set-Cookie", text.p);
}

struct http_reply *login_set_cookie(struct http_reply *reply, struct http_request *r, const char *name, const char *value, const char *path, int64_t max_age)
{
	return set_cookie(reply, r, name, value, path, NULL, max_age);
}

struct http_reply *login_give(struct http_reply *reply, struct http_request *r, const char *token)
{
	const struct identity_config *c = &((const struct identity *)http_ctx(r))->config;
	char forward[SECRET_TEXT_MAX];
	reply = set_cookie(reply, r, COOKIE_SESSION, token, "/", NULL, c->token_ttl_ms / 1000);
	if (!c->cookie_domain)
		return reply;
	forward_token(str_from(token), forward);
	reply = login_give_forward(reply, r, forward, c->token_ttl_ms / 1000);
	explicit_bzero(forward, sizeof(forward));
	return reply;
}

struct http_reply *login_give_forward(struct http_reply *reply, struct http_request *r, const char *forward, int64_t max_age)
{
	return set_cookie(reply, r, COOKIE_FORWARD, forward, "/", ((const struct identity *)http_ctx(r))->config.cookie_domain, max_age);
}

struct http_reply *login_take(struct http_reply *reply, struct http_request *r)
{
	const struct identity_config *c = &((const struct identity *)http_ctx(r))->config;
	reply = set_cookie(reply, r, COOKIE_SESSION, "", "/", NULL, 0);
	return c->cookie_domain ? set_cookie(reply, r, COOKIE_FORWARD, "", "/", c->cookie_domain, 0) : reply;
}

struct str login_bearer(const struct http_request *r)
{
	struct str h = http_header(r, "Authorization");
	if (!str_present(h) || h.n < 7 || strncasecmp(h.p, "Bearer ", 7) != 0)
		return STR_NONE;
	h = str_of(h.p + 7, h.n - 7);
	while (h.n > 0 && h.p[0] == ' ')
		h = str_of(h.p + 1, h.n - 1);
	return h;
}

/* ---- who ---- */

/* The login whose token has this hash, or whose forward token has it. `named`: see token_read. */
static enum login_found find_login(struct identity *id, const struct hash *shown, struct str named, bool forwarded, struct arena *arena, struct token_row *out,
				   struct error *err)
{
	struct hash h = *shown;
	bool found = true;
	struct db_conn *c = db_pool_reader(id->pool, err);
	if (!c)
		return LOGIN_FAILED;
	enum db_status st = forwarded ? oidc_forward_read(c, shown, &h, &found, err) : DB_OK;
	if (st == DB_OK && found)
		st = token_read(c, &h, named, arena, out, &found, err);
	db_pool_release(id->pool, c);
	if (st != DB_OK)
		return LOGIN_FAILED;
	if (!found)
		return LOGIN_INVALID;
	return out->expires_at > clock_wall_ms() ? LOGIN_FOUND : LOGIN_EXPIRED;
}

enum login_found login_of_token(struct identity *id, struct str token, struct arena *arena, struct token_row *out, struct error *err)
{
	struct hash h;
	if (!str_present(token) || token.n == 0)
		return LOGIN_NONE;
	if (!str_starts(token, TOKEN_PREFIX) || token.n >= SECRET_TEXT_MAX)
		return LOGIN_INVALID;
	secret_hash(token, &h);
	return find_login(id, &h, token_session(token, arena), false, arena, out, err);
}

enum login_found login_of_forward(struct http_request *r, struct token_row *out, struct error *err)
{
	struct hash h;
	struct str shown = login_cookie(r, COOKIE_FORWARD);
	enum login_found direct = login_of_browser(r, out, err);
	if (direct == LOGIN_FOUND || direct == LOGIN_FAILED || !str_starts(shown, FORWARD_PREFIX) || shown.n >= SECRET_TEXT_MAX)
		return direct;
	secret_hash(shown, &h);
	return find_login(http_ctx(r), &h, STR_NONE, true, http_arena(r), out, err);
}

enum login_found login_of_browser(struct http_request *r, struct token_row *out, struct error *err)
{
	return login_of_token(http_ctx(r), login_cookie(r, COOKIE_SESSION), http_arena(r), out, err);
}

bool login_of_bearer(struct http_request *r, struct token_row *out, struct http_reply **reply)
{
	struct error err;
	switch (login_of_token(http_ctx(r), login_bearer(r), http_arena(r), out, &err)) {
	case LOGIN_FOUND:
		return true;
	case LOGIN_NONE:
		error_set(&err, ERR_UNAUTHENTICATED, "a token is needed: Authorization: Bearer tana_st_...");
		break;
	case LOGIN_INVALID:
		error_set(&err, ERR_TOKEN_INVALID, "this token was never given, or has been revoked");
		break;
	case LOGIN_EXPIRED:
		error_set(&err, ERR_TOKEN_EXPIRED, "this token's time is over");
		break;
	case LOGIN_FAILED:
		*reply = http_reply_error(r, &err);
		return false;
	}
	*reply = http_reply_header(http_reply_error_extra(r, &err, STR_LIT(",\"valid\":false")), "WWW-Authenticate", "Bearer realm=\"tana\"");
	return false;
}

enum db_status login_end(struct db_conn *c, const struct hash *token, struct error *err)
{
	bool was;
	return token_delete(c, token, STR_NONE, &was, err);
}
