#include "identity_client.h"

#include <stdlib.h>

#include "base/mem.h"
#include "http/client.h"

enum { ANSWER_MAX = 1024 * 1024, HEADERS_MAX = 4 };

struct identity_client {
	struct http_client *http;
	const volatile int *stop;
};

struct identity_client *identity_client_new(const struct identity_client_options *o, struct error *err)
{
	const struct http_client_options h = {
		.base_url = o->base_url, .user_agent = o->user_agent, .timeout_ms = o->timeout_ms, .answer_max = ANSWER_MAX};
	struct http_client *http = http_client_new(&h, err);
	if (!http)
		return NULL;
	struct identity_client *c = xcalloc(1, sizeof(*c));
	c->http = http;
	c->stop = o->stop;
	return c;
}

void identity_client_free(struct identity_client *c)
{
	if (!c)
		return;
	http_client_free(c->http);
	free(c);
}

/* ---- one exchange ---- */

struct exchange {
	const char *method, *path;
	const char *headers[HEADERS_MAX];
	size_t header_count;
	struct str body; /* absent: none */
};

static int64_t give_body(void *ctx, int64_t offset, void *out, size_t room, struct error *err)
{
	const struct exchange *e = ctx;
	(void)err;
	size_t left = e->body.n - (size_t)offset, n = left < room ? left : room;
	memcpy(out, e->body.p + offset, n);
	return (int64_t)n;
}

static void add_header(struct exchange *e, struct arena *arena, const char *name, struct str value)
{
	e->headers[e->header_count++] = arena_printf(arena, "%s: %.*s", name, STR_ARG(value)).p;
}

/* The answer, read by `m` into *out (m NULL: not read). */
static bool carry_out(struct identity_client *c, struct exchange *e, const struct json_message *m, void *out, struct arena *arena, struct error *err)
{
	struct http_answer_in answer;
	if (str_present(e->body))
		add_header(e, arena, "Content-Type", STR_LIT("application/json"));
	const struct http_transfer t = {.method = e->method,
					.path = e->path,
					.headers = e->headers,
					.source = str_present(e->body) ? give_body : NULL,
					.body_size = (int64_t)e->body.n,
					.ctx = e,
					.stop = c->stop};
	if (!http_transfer(c->http, &t, &answer, err))
		return false;
	struct error why;
	bool ok = answer.status >= 200 && answer.status < 300;
	if (!ok)
		http_answer_error(&answer, err);
	else if (m && !json_read_text(buf_str(&answer.body), m, out, arena, &why))
		ok = error_set(err, ERR_BAD_ANSWER, "the identity service's answer cannot be read: %s", why.message);
	http_answer_free(&answer);
	return ok;
}

/* "/auth/session/<id><after>": the id may come from people. */
static const char *session_path(struct arena *arena, struct str session_id, const char *after)
{
	struct buf path = {0};
	buf_puts(&path, "/auth/session/");
	http_encode(&path, session_id);
	buf_puts(&path, after);
	const char *text = arena_copy(arena, buf_str(&path)).p;
	buf_free(&path);
	return text;
}

static struct str write_body(struct arena *arena, const struct json_message *m, const void *value)
{
	struct buf body = {0};
	json_write(&body, m, value);
	struct str text = arena_copy(arena, buf_str(&body));
	buf_free(&body);
	return text;
}

/* ---- the desktop ---- */

bool identity_client_create(struct identity_client *c, const struct identity_create *ask, struct arena *arena, struct identity_created *out, struct error *err)
{
	struct exchange e = {.method = "POST", .path = "/auth/session/create", .body = write_body(arena, &identity_create_message, ask)};
	return carry_out(c, &e, &identity_created_message, out, arena, err);
}

bool identity_client_session(struct identity_client *c, struct str session_id, struct str poll_secret, struct arena *arena, struct identity_session *out,
			     struct error *err)
{
	struct exchange e = {.method = "GET", .path = session_path(arena, session_id, "")};
	add_header(&e, arena, IDENTITY_HEADER_POLL_SECRET, poll_secret);
	return carry_out(c, &e, &identity_session_message, out, arena, err);
}

static void add_bearer(struct exchange *e, struct arena *arena, struct str token)
{
	add_header(e, arena, "Authorization", arena_printf(arena, "Bearer %.*s", STR_ARG(token)));
}

bool identity_client_verify(struct identity_client *c, struct str token, struct arena *arena, struct identity_verified *out, struct error *err)
{
	struct exchange e = {.method = "GET", .path = "/auth/session/verify"};
	add_bearer(&e, arena, token);
	return carry_out(c, &e, &identity_verified_message, out, arena, err);
}

bool identity_client_revoke(struct identity_client *c, struct str token, bool all, int64_t *count, struct error *err)
{
	const struct identity_revoke ask = {.all = all ? JSON_TRUE : JSON_FALSE};
	struct identity_revoked answer;
	struct arena arena;
	arena_init(&arena);
	struct exchange e = {.method = "POST", .path = "/auth/session/revoke", .body = write_body(&arena, &identity_revoke_message, &ask)};
	add_bearer(&e, &arena, token);
	bool ok = carry_out(c, &e, &identity_revoked_message, &answer, &arena, err);
	if (ok && count)
		*count = answer.revoked;
	arena_free(&arena);
	return ok;
}

bool identity_client_tokens(struct identity_client *c, struct str token, struct arena *arena, struct identity_tokens *out, struct error *err)
{
	struct exchange e = {.method = "GET", .path = "/auth/sessions"};
	add_bearer(&e, arena, token);
	return carry_out(c, &e, &identity_tokens_message, out, arena, err);
}

/* ---- the phone ---- */

bool identity_client_scan(struct identity_client *c, struct str session_id, struct arena *arena, struct identity_scanned *out, struct error *err)
{
	struct exchange e = {.method = "POST", .path = session_path(arena, session_id, "/scan"), .body = STR_LIT("{}")};
	return carry_out(c, &e, &identity_scanned_message, out, arena, err);
}

bool identity_client_approve(struct identity_client *c, const struct identity_statement *statement, const struct ed25519_secret *key, int64_t match_code,
			     struct arena *arena, struct identity_approved *out, struct error *err)
{
	struct ed25519_signature sig;
	char key_text[ED25519_PUBLIC_TEXT_LEN + 1], sig_text[ED25519_SIGNATURE_TEXT_LEN + 1];
	struct str message = write_body(arena, &identity_statement_message, statement);
	ed25519_sign_message(&sig, key, message);
	ed25519_signature_to_text(&sig, sig_text);
	ed25519_public_to_text(&key->public_key, key_text);
	const struct identity_approve body = {.user_id = statement->user_id,
					      .username = statement->username,
					      .public_key = str_from(key_text),
					      .signature = str_from(sig_text),
					      .message = message,
					      .match_code = match_code < 0 ? JSON_INT_ABSENT : match_code};
	struct exchange e = {.method = "POST",
			     .path = session_path(arena, statement->session_id, "/approve"),
			     .body = write_body(arena, &identity_approve_message, &body)};
	return carry_out(c, &e, &identity_approved_message, out, arena, err);
}

bool identity_client_reject(struct identity_client *c, struct str session_id, struct str reason, struct error *err)
{
	const struct identity_reject body = {.reason = reason};
	struct arena arena;
	arena_init(&arena);
	struct exchange e = {
		.method = "POST", .path = session_path(&arena, session_id, "/reject"), .body = write_body(&arena, &identity_reject_message, &body)};
	bool ok = carry_out(c, &e, NULL, NULL, &arena, err);
	arena_free(&arena);
	return ok;
}
