/* auth: log in by a code that a phone scans, see where one is logged in, log out. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "base/clock.h"
#include "commands.h"
#include "output.h"
#include "qr/qr.h"

enum { POLL_MS = 1000, GRACE_MS = 3000, WIDTH = 10, HOST_MAX = 64 };

/* ---- login ---- */

struct login_report {
	struct str server, user_id, username, expires_at, token;
};
static const struct json_field login_report_rows[] = {
	F_TEXT(struct login_report, server, "server", JSON_REQUIRED, 0, "The identity service."),
	F_TEXT(struct login_report, user_id, "userId", JSON_REQUIRED, 0, "Who is logged in."),
	F_TEXT(struct login_report, username, "username", JSON_REQUIRED, 0, "Their name."),
	F_TEXT(struct login_report, expires_at, "expiresAt", 0, 0, "Until when."),
	F_TEXT(struct login_report, token, "sessionToken", 0, 0, "The token; only with --show-token."),
};
static JSON_MESSAGE(login_report_message, "LoginReport", struct login_report, login_report_rows);

/* The code, and the same as a text to copy. Nothing in them but what this program wrote: they need no cleaning, which would take the lines apart. */
static bool show_code(struct cli *c, const struct identity_created *s, struct error *err)
{
	struct buf text = {0}, picture = {0}, link = {0};
	size_t columns;
	bool terminal = isatty(STDERR_FILENO);
	json_write(&text, &identity_qr_message, s->qr_data);
	bool ok = qr_terminal_write(&picture, buf_str(&text), terminal, &columns, err);
	identity_link_write(&link, buf_str(&text));
	if (ok && !c->quiet) {
		fprintf(stderr, "Scan this code with your tana wallet:\n\n%s\nor hand this link to it:\n%s\n\n", buf_z(&picture), buf_z(&link));
		if (s->match_code != JSON_INT_ABSENT)
			fprintf(stderr, "Pick this number on the phone: %lld\n\n", (long long)s->match_code);
	}
	buf_free(&text);
	buf_free(&picture);
	buf_free(&link);
	return ok;
}

static void show_left(const struct cli *c, const char *status, int64_t left_ms)
{
	bool scanned = strcmp(status, "scanned") == 0;
	int64_t s = (left_ms + 999) / 1000;
	if (!c->quiet && isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r%s %lld:%02lld left \033[K", scanned ? "Scanned. Confirm it on the phone." : "Waiting for your phone.", (long long)(s / 60),
			(long long)(s % 60));
		fflush(stderr);
	}
}

static void end_left(const struct cli *c)
{
	if (!c->quiet && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

/* Until the session has ended, or its time is over. */
static bool wait_for_phone(struct cli *c, struct identity_client *client, const struct identity_created *made, struct identity_session *out, struct error *err)
{
	int64_t end_ms = clock_mono_ms() + made->expires_in * 1000 + GRACE_MS; /* that it is over the service says */
	struct error trouble;
	for (;;) {
		bool answered = identity_client_session(client, made->session_id, made->poll_secret, &c->arena, out, &trouble);
		if (!answered && trouble.code != ERR_UNREACHABLE && trouble.code != ERR_UNAVAILABLE && trouble.code != ERR_TIMED_OUT) {
			*err = trouble;
			return false;
		}
		int64_t left_ms = end_ms - clock_mono_ms();
		if (answered && !str_is(out->status, "waiting") && !str_is(out->status, "scanned"))
			return true;
		if (left_ms <= 0) {
			if (!answered)
				*err = trouble;
			return answered ? error_set(err, ERR_TIMED_OUT, "Nobody approved the login in time.") : false;
		}
		if (answered)
			show_left(c, out->status.p, left_ms > GRACE_MS ? left_ms - GRACE_MS : 0);
		if (!cli_sleep(POLL_MS))
			return error_set(err, ERR_INTERRUPTED, "Interrupted: nobody is logged in.");
	}
}

static bool judge_end(const struct identity_session *s, struct error *err)
{
	if (str_is(s->status, "approved"))
		return str_present(s->session_token) || error_set(err, ERR_BAD_ANSWER, "The service approved the login and gave no token.");
	if (str_is(s->status, "expired")) {
		error_set(err, ERR_TIMED_OUT, "The code has expired: nobody approved it.");
		return error_hint(err, "tana auth login");
	}
	return error_set(err, ERR_REFUSED, "The phone said no.");
}

static bool login_with(struct cli *c, struct identity_client *client, const char *url, struct error *err)
{
	char host[HOST_MAX] = "this machine";
	const char *asked = option_text(c->in, "app-name");
	struct identity_created made;
	struct identity_session s;
	struct identity_verified who;
	(void)gethostname(host, sizeof(host) - 1);
	const struct identity_create ask = {.app_name = asked ? str_from(asked) : arena_printf(&c->arena, "tana on %s", host)};
	if (!identity_client_create(client, &ask, &c->arena, &made, err) || !show_code(c, &made, err))
		return auth_explain(err);
	bool ended = wait_for_phone(c, client, &made, &s, err);
	end_left(c);
	if (!ended || !judge_end(&s, err) || !identity_client_verify(client, s.session_token, &c->arena, &who, err))
		return false;
	const struct auth_login l = {
		.server = str_from(url), .token = s.session_token, .user_id = who.user_id, .username = who.username, .expires_at = who.expires_at};
	if (!auth_login_write(c, &l, err))
		return false;
	if (c->json) {
		const struct login_report r = {l.server, l.user_id, l.username, l.expires_at, option_bool(c->in, "show-token") ? l.token : STR_NONE};
		json_print(&login_report_message, &r);
		return true;
	}
	say(c, "Logged in to %s as %s.", url, printable(&c->arena, who.username).p);
	if (option_bool(c->in, "show-token"))
		printf("%.*s\n", STR_ARG(l.token));
	return true;
}

static bool login(struct cli *c, struct error *err)
{
	const char *url = auth_url(c);
	struct identity_client *client = auth_client(c, url, err);
	bool ok = client && login_with(c, client, url, err);
	identity_client_free(client);
	return ok;
}
int cmd_auth_login(struct invocation *in) { return cli_run(in, login); }

/* ---- status ---- */

static bool not_logged_in(const char *url, struct error *err)
{
	error_set(err, ERR_KEY_NEEDED, "Nobody is logged in to %s here.", url);
	return error_hint(err, "tana auth login");
}

struct status_report {
	struct str server, user_id, username, public_key, role, expires_at;
	struct json_list sessions;
};
static const struct json_field status_report_rows[] = {
	F_TEXT(struct status_report, server, "server", JSON_REQUIRED, 0, "The identity service."),
	F_TEXT(struct status_report, user_id, "userId", JSON_REQUIRED, 0, "Who is logged in."),
	F_TEXT(struct status_report, username, "username", JSON_REQUIRED, 0, "Their name."),
	F_TEXT(struct status_report, public_key, "publicKey", JSON_REQUIRED, 0, "The key that approved it."),
	F_TEXT(struct status_report, role, "role", 0, 0, "Their role in the ledger."),
	F_TEXT(struct status_report, expires_at, "expiresAt", JSON_REQUIRED, 0, "Until when."),
	F_LIST(struct status_report, sessions, "sessions", JSON_REQUIRED, 0, &identity_token_message, "Everywhere this user is logged in."),
};
static JSON_MESSAGE(status_report_message, "AuthStatus", struct status_report, status_report_rows);

static void show_sessions(struct cli *c, const struct json_list *list)
{
	static const struct column columns[] = {{"FOR", ALIGN_LEFT}, {"KIND", ALIGN_LEFT}, {"FROM", ALIGN_LEFT}, {"SINCE", ALIGN_LEFT}, {"", ALIGN_LEFT}};
	const struct identity_token *t = list->items;
	struct table table;
	table_begin(&table, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < list->count; i++) {
		table_cell(&table, TINT_NONE, str_present(t[i].app_name) ? t[i].app_name : t[i].app_origin);
		table_cell(&table, TINT_NONE, t[i].kind);
		table_cell(&table, TINT_NONE, t[i].ip);
		table_cell(&table, TINT_NONE, t[i].created_at);
		table_cell(&table, TINT_GOOD, t[i].current == JSON_TRUE ? STR_LIT("this one") : STR_LIT(" "));
	}
	putchar('\n');
	table_print(&table);
}

static bool status_with(struct cli *c, struct identity_client *client, const struct auth_login *l, struct error *err)
{
	struct identity_verified who;
	struct identity_tokens tokens;
	if (!identity_client_verify(client, l->token, &c->arena, &who, err) || !identity_client_tokens(client, l->token, &c->arena, &tokens, err)) {
		if (err->code != ERR_TOKEN_INVALID && err->code != ERR_TOKEN_EXPIRED)
			return auth_explain(err);
		error_set(err, ERR_KEY_NEEDED, "The login of %.*s at %.*s is over.", STR_ARG(l->username), STR_ARG(l->server));
		return error_hint(err, "tana auth login");
	}
	if (c->json) {
		const struct status_report r = {l->server, who.user_id, who.username, who.public_key, who.role, who.expires_at, tokens.sessions};
		json_print(&status_report_message, &r);
		return true;
	}
	pair_print(WIDTH, "server", TINT_NONE, l->server);
	pair_print(WIDTH, "user", TINT_BOLD, who.username);
	pair_print(WIDTH, "id", TINT_NONE, who.user_id);
	pair_print(WIDTH, "key", TINT_NONE, who.public_key);
	if (str_present(who.role))
		pair_print(WIDTH, "role", TINT_NONE, who.role);
	pair_print(WIDTH, "until", TINT_NONE, who.expires_at);
	show_sessions(c, &tokens.sessions);
	return true;
}

static bool status(struct cli *c, struct error *err)
{
	const char *url = auth_url(c);
	struct auth_login l;
	bool found;
	if (!auth_login_read(c, url, &l, &found, err))
		return false;
	if (!found)
		return not_logged_in(url, err);
	struct identity_client *client = auth_client(c, url, err);
	bool ok = client && status_with(c, client, &l, err);
	identity_client_free(client);
	return ok;
}
int cmd_auth_status(struct invocation *in) { return cli_run(in, status); }

/* ---- logout ---- */

static bool logout(struct cli *c, struct error *err)
{
	const char *url = auth_url(c);
	struct auth_login l;
	int64_t count = 0;
	bool found, all = option_bool(c->in, "all");
	if (!auth_login_read(c, url, &l, &found, err))
		return false;
	if (!found)
		return not_logged_in(url, err);
	struct identity_client *client = auth_client(c, url, err);
	bool told = client && identity_client_revoke(client, l.token, all, &count, err);
	identity_client_free(client);
	/* A token that is over anyway needs no telling; one that cannot be told stays, for another try. */
	if (!told && err->code != ERR_TOKEN_INVALID && err->code != ERR_TOKEN_EXPIRED)
		return auth_explain(err);
	if (!auth_login_forget(c, url, err))
		return false;
	if (c->json) {
		const struct identity_revoked r = {.success = JSON_TRUE, .revoked = count};
		json_print(&identity_revoked_message, &r);
	} else if (all) {
		say(c, "Logged out of %s, everywhere (%lld logins).", url, (long long)count);
	} else {
		say(c, "Logged out of %s.", url);
	}
	return true;
}
int cmd_auth_logout(struct invocation *in) { return cli_run(in, logout); }
