#include "client/t4_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/stop.h"
#include "base/strmap.h"
#include "client/t4_client_call.h"
#include "wire/sat.h"

enum {
	JTI_SIZE = 16,               /* random bytes of a token's id */
	HASHED_AT_ONCE = 256 * 1024, /* bytes read from a file at a time */
	BACKDATED_S = 5              /* iat lies so far back: a store's clock may be a little behind */
};

/* ---- The client ---- */

struct t4_client *t4_client_new(const struct t4_client_options *o, struct error *err)
{
	struct http_client_options http = {.base_url = o->base_url, .user_agent = o->user_agent, .timeout_ms = o->timeout_ms};
	struct http_client *h = http_client_new(&http, err);

	if (!h)
		return NULL;
	struct t4_client *c = xcalloc(1, sizeof *c);
	c->http = h;
	c->url = xstrdup(o->base_url);
	c->stop = o->stop;
	return c;
}

static void forget_signer(struct t4_client *c)
{
	free(c->node_id);
	free(c->service);
	free(c->audience);
	free(c->token);
	c->node_id = c->service = c->audience = c->token = NULL;
	ed25519_secret_wipe(&c->key);
}

void t4_client_free(struct t4_client *c)
{
	if (!c)
		return;
	forget_signer(c);
	http_client_free(c->http);
	free(c->url);
	free(c);
}

const char *t4_client_url(const struct t4_client *c)
{
	return c->url;
}

void t4_client_sign_as(struct t4_client *c, struct str node_id, struct str service, struct str audience, const struct ed25519_secret *key)
{
	forget_signer(c);
	c->node_id = xstrndup(node_id.p, node_id.n);
	c->service = xstrndup(service.p, service.n);
	if (str_present(audience)) {
		c->audience = xstrndup(audience.p, audience.n);
	} else {
		c->audience = xcalloc(1, node_id.n + sizeof "/t4");
		memcpy(c->audience, node_id.p, node_id.n);
		memcpy(c->audience + node_id.n, "/t4", sizeof "/t4");
	}
	c->key = *key;
}

void t4_client_use_token(struct t4_client *c, struct str token)
{
	forget_signer(c);
	c->token = xstrndup(token.p, token.n);
}

void t4_client_watch(struct t4_client *c, t4_progress_fn *progress, void *ctx)
{
	c->progress = progress;
	c->progress_ctx = ctx;
}

void t4_report(const struct t4_client *c, int64_t done, int64_t total)
{
	if (c->progress)
		c->progress(c->progress_ctx, done, total);
}

void t4_content_path(const struct hash *hash, char out[T4_PATH_SIZE])
{
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(hash, text);
	snprintf(out, T4_PATH_SIZE, "/content/%s", text);
}

/* ---- Calls ---- */

/* Appends "Authorization: Bearer <token>". hash NULL, size -1: not bound to it. */
static bool authorize(const struct t4_client *c, const char *scope, const struct hash *hash, int64_t size, struct buf *out,
		      struct error *err)
{
	uint8_t random[JTI_SIZE];
	char id[2 * JTI_SIZE + 1];

	buf_puts(out, "Authorization: Bearer ");
	if (c->token) {
		buf_puts(out, c->token);
		return true;
	}
	if (!c->node_id)
		return error_set(err, ERR_KEY_NEEDED, "This needs a service's key to sign with, or a token.");
	random_bytes(random, sizeof random);
	hex_encode(id, random, sizeof random);
	int64_t made = clock_wall_ms() / 1000 - BACKDATED_S;
	struct sat t = {.node_id = str_from(c->node_id), .service = str_from(c->service), .audience = str_from(c->audience),
			.issued_at = made, .expires = made + SAT_LIFETIME_DEFAULT_S, .id = str_from(id), .scope = str_from(scope),
			.has_content = hash != NULL, .has_size = size >= 0, .size = size};
	if (hash)
		t.content = *hash;
	sat_make(&t, &c->key, out);
	return true;
}

/* An answer 2xx read by `m`; frees the answer. */
static bool read_answer(const struct t4_client *c, struct http_answer_in *a, const struct json_message *m, void *value, struct arena *arena,
			struct error *err)
{
	struct error why;
	bool ok = a->status >= 200 && a->status < 300;

	if (!ok) {
		http_answer_error(a, err);
	} else if (!json_read_text(buf_str(&a->body), m, value, arena, &why)) {
		ok = error_set(err, ERR_BAD_ANSWER, "%s answered with something else than expected: %s", c->url, why.message);
		error_hint(err, "is this a t4 of the same version? %s/info", c->url);
	}
	http_answer_free(a);
	return ok;
}

/* One exchange with a token for `scope` (NULL: none) and without a body. */
static bool call(struct t4_client *c, const char *method, const char *path, const char *scope, const struct hash *hash,
		 const struct json_message *m, void *value, struct arena *arena, struct error *err)
{
	struct buf token = {0};
	struct http_answer_in answer;
	const char *headers[2] = {NULL};

	if (scope && !authorize(c, scope, hash, -1, &token, err)) {
		buf_free(&token);
		return false;
	}
	if (scope)
		headers[0] = buf_z(&token);
	struct http_transfer t = {.method = method, .path = path, .headers = headers, .stop = c->stop};
	bool ok = http_transfer(c->http, &t, &answer, err) && read_answer(c, &answer, m, value, arena, err);
	buf_free(&token);
	return ok;
}

bool t4_exists(struct t4_client *c, const struct hash *hash, bool *there, int64_t *size, struct error *err)
{
	char path[T4_PATH_SIZE];
	struct http_answer_in answer;

	t4_content_path(hash, path);
	struct http_transfer t = {.method = "HEAD", .path = path, .stop = c->stop};
	if (!http_transfer(c->http, &t, &answer, err))
		return false;
	*there = answer.status == 200;
	if (*there && size)
		*size = answer.length;
	bool ok = *there || answer.status == 404;
	if (!ok)
		error_set(err, ERR_BAD_ANSWER, "%s answered with status %d when asked for %s", c->url, answer.status, path);
	http_answer_free(&answer);
	return ok;
}

bool t4_delete(struct t4_client *c, const struct hash *hash, struct error *err)
{
	char path[T4_PATH_SIZE];
	struct arena arena;
	struct t4_delete_answer answer;

	t4_content_path(hash, path);
	arena_init(&arena);
	bool ok = call(c, "DELETE", path, T4_SCOPE_DELETE, hash, &t4_delete_answer_message, &answer, &arena, err);
	arena_free(&arena);
	return ok;
}

bool t4_stats(struct t4_client *c, struct arena *arena, struct t4_stats *out, struct error *err)
{
	return call(c, "GET", "/stats", NULL, NULL, &t4_stats_message, out, arena, err);
}

/* ---- Lists ---- */

/* One page to `each`; *cursor moves on, and is empty after the last, or when `each` has enough. */
static bool list_page(struct t4_client *c, const char *prefix, struct buf *cursor, t4_each_fn *each, void *ctx, struct error *err)
{
	struct arena arena;
	struct buf path = {0};
	struct t4_content_list page;

	arena_init(&arena);
	buf_printf(&path, "/content?limit=%d", T4_LIST_MAX);
	if (prefix[0]) {
		buf_puts(&path, "&prefix=");
		http_encode(&path, str_from(prefix));
	}
	if (cursor->len) {
		buf_puts(&path, "&cursor=");
		http_encode(&path, buf_str(cursor));
	}
	bool ok = call(c, "GET", buf_z(&path), T4_SCOPE_LIST, NULL, &t4_content_list_message, &page, &arena, err);
	if (ok && page.next_cursor.n && str_equal(page.next_cursor, buf_str(cursor)))
		ok = error_set(err, ERR_BAD_ANSWER, "%s repeats the same page for ever.", c->url);
	buf_clear(cursor);
	if (ok && str_present(page.next_cursor))
		buf_put_str(cursor, page.next_cursor);
	for (size_t i = 0; ok && i < page.content.count; i++) {
		const struct t4_content *row = (const struct t4_content *)page.content.items + i;
		struct hash hash;
		if (!hash_from_text(row->hash, &hash)) {
			ok = error_set(err, ERR_BAD_ANSWER, "%s lists what is no hash.", c->url);
		} else if (!each(ctx, &hash, row->size)) {
			buf_clear(cursor);
			break;
		}
	}
	buf_free(&path);
	arena_free(&arena);
	return ok;
}

bool t4_list(struct t4_client *c, const char *prefix, t4_each_fn *each, void *ctx, struct error *err)
{
	struct buf cursor = {0};
	bool ok;

	do
		ok = list_page(c, prefix, &cursor, each, ctx, err);
	while (ok && cursor.len);
	buf_free(&cursor);
	return ok;
}

/* One question of at most T4_MISSING_MAX hashes. */
static bool ask_missing(struct t4_client *c, const struct hash *hashes, size_t n, bool *missing, struct error *err)
{
	struct arena arena;
	struct buf question = {0};
	struct http_answer_in answer;
	struct t4_missing_answer found;
	struct strmap said = {0};

	arena_init(&arena);
	struct str *texts = arena_zalloc(&arena, n, sizeof *texts);
	for (size_t i = 0; i < n; i++) {
		char text[HASH_TEXT_LEN + 1];
		hash_to_text(&hashes[i], text);
		texts[i] = arena_copy(&arena, str_from(text));
	}
	struct t4_missing all = {{texts, n}};
	json_write(&question, &t4_missing_message, &all);
	bool ok = http_call(c->http, "POST", "/content/missing", buf_str(&question), &answer, err) &&
		  read_answer(c, &answer, &t4_missing_answer_message, &found, &arena, err);
	for (size_t i = 0; ok && i < found.missing.count; i++) {
		struct str *text = (struct str *)found.missing.items + i;
		strmap_put(&said, *text, text);
	}
	for (size_t i = 0; ok && i < n; i++)
		missing[i] = strmap_get(&said, texts[i]) != NULL;
	strmap_free(&said);
	buf_free(&question);
	arena_free(&arena);
	return ok;
}

bool t4_missing(struct t4_client *c, const struct hash *hashes, size_t n, bool *missing, struct error *err)
{
	bool ok = true;

	for (size_t at = 0; ok && at < n; at += T4_MISSING_MAX)
		ok = ask_missing(c, hashes + at, n - at < T4_MISSING_MAX ? n - at : T4_MISSING_MAX, missing + at, err);
	return ok;
}

/* ---- Storing ---- */

/* What is sent: memory, or a file. */
struct upload {
	struct t4_client *c;
	const char *p; /* NULL: the file */
	int fd;
	int64_t size;
};

static int64_t read_upload(void *ctx, int64_t offset, void *out, size_t room, struct error *err)
{
	const struct upload *u = ctx;
	ssize_t got = (ssize_t)room;

	if (u->p)
		memcpy(out, u->p + offset, room);
	else
		do
			got = pread(u->fd, out, room, offset);
		while (got < 0 && errno == EINTR);
	if (got < 0)
		error_errno(err, ERR_IO, errno, "cannot read what is to be stored");
	if (got == 0)
		error_set(err, ERR_IO, "what is to be stored became shorter while it was read");
	if (got <= 0)
		return -1;
	t4_report(u->c, offset + got, u->size);
	return got;
}

static bool put(struct upload *u, const struct hash *hash, bool *stored, struct error *err)
{
	struct t4_client *c = u->c;
	struct arena arena;
	struct buf token = {0};
	struct http_answer_in answer;
	struct t4_put_answer put;
	struct hash theirs;
	char path[T4_PATH_SIZE];

	arena_init(&arena);
	t4_content_path(hash, path);
	bool ok = authorize(c, T4_SCOPE_PUT, hash, u->size, &token, err);
	if (ok) {
		const char *headers[] = {buf_z(&token), "Content-Type: application/octet-stream", NULL};
		struct http_transfer t = {.method = "PUT", .path = path, .headers = headers, .source = read_upload, .body_size = u->size,
					  .ctx = u, .stop = c->stop};
		ok = http_transfer(c->http, &t, &answer, err) && read_answer(c, &answer, &t4_put_answer_message, &put, &arena, err);
	}
	if (ok && (!hash_from_text(put.hash, &theirs) || !hash_equal(&theirs, hash) || put.size != u->size))
		ok = error_set(err, ERR_BAD_ANSWER, "%s says that it stored something else.", c->url);
	if (ok && stored)
		*stored = put.stored == JSON_TRUE;
	buf_free(&token);
	arena_free(&arena);
	return ok;
}

bool t4_store(struct t4_client *c, const void *p, size_t n, struct hash *hash, bool *stored, struct error *err)
{
	struct upload u = {.c = c, .p = p ? p : "", .fd = -1, .size = (int64_t)n};

	sha256(hash, u.p, n);
	return put(&u, hash, stored, err);
}

bool t4_store_file(struct t4_client *c, int fd, const struct hash *hash, int64_t size, bool *stored, struct error *err)
{
	struct upload u = {.c = c, .fd = fd, .size = size};
	return put(&u, hash, stored, err);
}

bool t4_hash_file(struct t4_client *c, int fd, struct hash *hash, int64_t *size, struct error *err)
{
	struct sha256_state state;
	char *piece = xmalloc(HASHED_AT_ONCE);
	int64_t at = 0;
	bool ok = true;

	sha256_init(&state);
	for (;;) {
		ssize_t got = pread(fd, piece, HASHED_AT_ONCE, at);
		if (got < 0 && errno != EINTR)
			ok = error_errno(err, ERR_IO, errno, "cannot read what is to be hashed");
		else if (stop_asked(c->stop))
			ok = error_set(err, ERR_INTERRUPTED, "Hashing was interrupted.");
		if (!ok || got == 0)
			break;
		if (got > 0)
			sha256_update(&state, piece, (size_t)got);
		at += got > 0 ? got : 0;
	}
	free(piece);
	if (ok) {
		sha256_final(&state, hash);
		*size = at;
	}
	return ok;
}

int t4_temporary_file(struct error *err)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];

	dir = dir && dir[0] == '/' ? dir : "/tmp";
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has files without a name. */
	int n = snprintf(path, sizeof path, "%s/tana-XXXXXX", dir);
	fd = n > 0 && (size_t)n < sizeof path ? mkostemp(path, O_CLOEXEC) : -1;
	if (fd < 0)
		error_errno(err, ERR_IO, errno, "cannot make a temporary file in %s", dir);
	else
		unlink(path);
	return fd;
}

bool t4_copy(struct t4_client *from, struct t4_client *to, const struct hash *hash, int64_t *size, bool *stored, struct error *err)
{
	int fd = t4_temporary_file(err);
	bool ok = fd >= 0 && t4_fetch_fd(from, hash, fd, size, err) && t4_store_file(to, fd, hash, *size, stored, err);

	if (fd >= 0)
		close(fd);
	return ok;
}
