/* What the desktop asks of its session: begin it, see how it stands, a ticket for its stream, its picture, and the way on. */
#include "api.h"
#include "base/clock.h"
#include "identity_metrics.h"
#include "login.h"
#include "qr/qr.h"
#include "secrets.h"
#include "wire/identity.h"

/* ---- shared ---- */

struct str api_time(struct http_request *r, int64_t ms)
{
	char text[CLOCK_ISO8601_SIZE];
	if (ms == 0)
		return STR_NONE;
	clock_iso8601(ms, text);
	return arena_copy(http_arena(r), str_from(text));
}

struct http_reply *api_unknown_session(struct http_request *r)
{
	return http_reply_error_code(r, ERR_UNKNOWN_SESSION, "there is no such login session, or it was long ago");
}

bool api_session_of_path(struct http_request *r, struct session_row *out, struct http_reply **reply)
{
	struct identity *id = http_ctx(r);
	struct error err;
	bool found = false;
	struct db_conn *c = db_pool_reader(id->pool, &err);
	enum db_status st = c ? session_read(c, http_path_arg(r, 0), http_arena(r), out, &found, &err) : DB_UNAVAILABLE;
	if (c)
		db_pool_release(id->pool, c);
	if (st == DB_OK && found)
		return true;
	*reply = st == DB_OK ? api_unknown_session(r) : http_reply_error(r, &err);
	return false;
}

bool api_poll_secret_shown(struct http_request *r, const struct session_row *s, char token[])
{
	const struct str shown[] = {http_header(r, IDENTITY_HEADER_POLL_SECRET), login_cookie(r, COOKIE_POLL)};
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		struct hash h;
		if (!str_present(shown[i]) || shown[i].n == 0)
			continue;
		secret_hash(shown[i], &h);
		if (!hash_equal(&h, &s->poll_hash))
			continue;
		desktop_token(shown[i], s->id, token);
		return true;
	}
	return false;
}

struct http_reply *api_refuse_state(struct http_request *r, const struct error *err, enum session_status status)
{
	return http_reply_error_extra(r, err, arena_printf(http_arena(r), ",\"status\":\"%s\"", session_status_text(status)));
}

struct http_reply *api_submit(struct http_request *r, struct db_job *job)
{
	struct identity *id = http_ctx(r);
	struct error err;
	struct http_reply *later = http_reply_later(r);
	if (!db_pool_submit(id->pool, job, &err))
		http_finish(r, http_reply_error(r, &err));
	return later;
}

static struct str session_path(struct http_request *r, struct str session_id)
{
	return arena_printf(http_arena(r), "/auth/session/%.*s", STR_ARG(session_id));
}

/* ---- create ---- */

static struct http_reply *created(struct http_request *r, const struct login_ask *ask, const struct login_begun *b)
{
	const struct identity *id = http_ctx(r);
	struct str path = session_path(r, b->session_id);
	struct identity_qr qr = {.protocol = STR_LIT("tana"),
				 .type = STR_LIT("auth"),
				 .version = STR_LIT("1"),
				 .session_id = b->session_id,
				 .challenge = b->challenge,
				 .server = str_from(id->config.public_url),
				 .app_name = ask->app_name,
				 .app_icon = ask->app_icon};
	const struct identity_created a = {
		.session_id = b->session_id,
		.challenge = b->challenge,
		.qr_data = &qr,
		.expires_in = (b->expires_at - b->created_at) / 1000,
		.expires_at = api_time(r, b->expires_at),
		.poll_secret = str_from(b->poll_secret),
		.qr_svg_url = arena_printf(http_arena(r), "%s%.*s/qr.svg", id->config.public_url, STR_ARG(path)),
		.match_code = b->match_code < 0 ? JSON_INT_ABSENT : b->match_code,
	};
	struct http_reply *reply = http_reply_json(r, 201, &identity_created_message, &a);
	return login_set_cookie(reply, r, COOKIE_POLL, b->poll_secret, path.p, id->config.session_ttl_ms / 1000);
}

struct http_reply *api_session_create(struct http_request *r)
{
	const struct identity *id = http_ctx(r);
	struct identity_create a;
	struct http_reply *reply;
	struct error err;
	if (!http_read_body(r, &identity_create_message, &a, &reply))
		return reply;
	struct login_ask *ask = arena_zalloc(http_arena(r), 1, sizeof(*ask));
	ask->app_name = a.app_name;
	ask->app_icon = a.app_icon;
	ask->return_url = a.return_url;
	if (!login_ask_check(id, http_arena(r), ask, RETURN_TO_URLS, &err))
		return http_reply_error(r, &err);
	return login_begin(r, ask, created);
}

/* ---- get ---- */

struct http_reply *api_session_get(struct http_request *r)
{
	struct session_row s;
	struct http_reply *reply;
	char token[SECRET_TEXT_MAX];
	if (!api_session_of_path(r, &s, &reply))
		return reply;
	enum session_status status = session_status_at(s.status, s.expires_at, clock_wall_ms());
	struct identity_session a = {
		.session_id = s.id,
		.status = str_from(session_status_text(status)),
		.app_name = s.app_name,
		.app_icon = s.app_icon,
		.created_at = api_time(r, s.created_at),
		.expires_at = api_time(r, s.expires_at),
		.approved_at = status == SESSION_APPROVED ? api_time(r, s.ended_at) : STR_NONE,
		.match_code = JSON_INT_ABSENT,
	};
	bool shown = api_poll_secret_shown(r, &s, token);
	if (shown && s.desktop_counts) {
		a.session_token = str_from(token);
		a.user_id = s.user_id;
		a.username = s.username;
	}
	if (shown && session_status_open(status) && s.match_code >= 0)
		a.match_code = s.match_code;
	reply = http_reply_json(r, 200, &identity_session_message, &a);
	explicit_bzero(token, sizeof(token));
	return reply;
}

/* ---- ticket ---- */

struct ticket_job {
	struct db_job job; /* first: the pool's */
	struct http_request *request;
	struct str session_id;
	struct hash hash, sealed;
	int64_t expires_at;
	char ticket[SECRET_TEXT_MAX];
};

static enum db_status run_ticket(struct db_job *job, struct db_conn *c, struct error *err)
{
	struct ticket_job *j = (struct ticket_job *)job;
	return ticket_insert(c, &j->hash, j->session_id, &j->sealed, j->expires_at, err);
}

static void ticket_done(struct db_job *job, enum db_status status, const struct error *err)
{
	struct ticket_job *j = (struct ticket_job *)job;
	const struct identity_ticket a = {.ticket = str_from(j->ticket), .expires_in = TICKET_TTL_MS / 1000};
	http_finish(j->request,
		    status == DB_OK ? http_reply_json(j->request, 200, &identity_ticket_message, &a) : http_reply_error(j->request, err));
}

struct http_reply *api_session_ticket(struct http_request *r)
{
	struct session_row s;
	struct http_reply *reply;
	char token[SECRET_TEXT_MAX];
	if (!api_session_of_path(r, &s, &reply))
		return reply;
	if (!api_poll_secret_shown(r, &s, token))
		return http_reply_error_code(r, ERR_UNAUTHENTICATED, "the session's poll secret is needed, in the header " IDENTITY_HEADER_POLL_SECRET);
	struct ticket_job *j = arena_zalloc(http_arena(r), 1, sizeof(*j));
	j->job = (struct db_job){.run = run_ticket, .done = ticket_done};
	j->request = r;
	j->session_id = s.id;
	j->expires_at = clock_wall_ms() + TICKET_TTL_MS;
	make_secret(j->ticket);
	secret_hash(str_from(j->ticket), &j->hash);
	ticket_seal(str_from(j->ticket), s.id, str_from(token), &j->sealed);
	explicit_bzero(token, sizeof(token));
	return api_submit(r, &j->job);
}

/* ---- the code's picture ---- */

struct http_reply *api_session_qr(struct http_request *r)
{
	const struct identity *id = http_ctx(r);
	struct session_row s;
	struct http_reply *reply;
	struct error err;
	struct buf svg = {0};
	if (!api_session_of_path(r, &s, &reply))
		return reply;
	if (!qr_svg_write(&svg, login_qr_text(http_arena(r), id, s.id, s.challenge, s.app_name, s.app_icon), LOGIN_QR_TITLE, &err))
		return http_reply_error(r, &err);
	reply = http_reply_bytes(r, 200, "image/svg+xml", &svg);
	return http_reply_header(reply, "Content-Security-Policy", "default-src 'none'");
}

/* ---- the way on ---- */

/* Where the page goes once the phone has approved: the browser, known by the poll secret's cookie, gets its login and is sent on. */
struct http_reply *api_session_continue(struct http_request *r)
{
	struct session_row s;
	struct http_reply *reply;
	char token[SECRET_TEXT_MAX];
	if (!api_session_of_path(r, &s, &reply))
		return reply;
	bool ours = api_poll_secret_shown(r, &s, token) && s.desktop_counts && s.token_expires_at > clock_wall_ms();
	const char *to = ours && str_present(s.return_url) ? s.return_url.p : "/login";
	reply = http_reply_header(http_reply_empty(r, 303), "Location", to);
	if (ours) {
		reply = login_give(reply, r, token);
		reply = login_set_cookie(reply, r, COOKIE_POLL, "", session_path(r, s.id).p, 0);
	}
	explicit_bzero(token, sizeof(token));
	return reply;
}
