/* content: blobs in a store, by their hash. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "commands.h"
#include "output.h"
#include "paths.h"
#include "t4.h"

enum { COPY_SIZE = 256 * 1024 };

/*
 * One of several things failed: it is told at once, decides the exit status if it is the first, and the others go on; unless nothing can
 * go on. Then false.
 */
static bool told(struct cli *c, const struct error *err)
{
	if (err->code == ERR_INTERRUPTED || err->code == ERR_UNREACHABLE || err->code == ERR_KEY_NEEDED || err->code == ERR_KEY_FILE)
		return false;
	int status = program_fail(c->in, err);
	if (c->status == EXIT_DONE)
		c->status = status;
	return true;
}

/* ---- put ---- */

struct put_row {
	struct str file, hash;
	int64_t size;
	enum json_bool stored;
};
struct put_list {
	struct json_list content;
};
static const struct json_field put_rows[] = {
	F_TEXT(struct put_row, file, "file", 0, 0, "What was stored."),
	F_TEXT(struct put_row, hash, "hash", 0, 0, "Its SHA-256."),
	F_INT(struct put_row, size, "size", 0, 0, 0, "Its bytes."),
	F_BOOL(struct put_row, stored, "stored", 0, "false: it was there already."),
};
static JSON_MESSAGE(put_row_message, "ContentPut", struct put_row, put_rows);
static const struct json_field put_list_rows[] = {F_LIST(struct put_list, content, "content", 0, 0, &put_row_message, "")};
static JSON_MESSAGE(put_list_message, "ContentPuts", struct put_list, put_list_rows);

static bool write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t wrote = write(fd, p, n);
		if (wrote < 0 && errno != EINTR)
			return false;
		p += wrote > 0 ? wrote : 0;
		n -= wrote > 0 ? (size_t)wrote : 0;
	}
	return true;
}

/* Everything from one descriptor to another, from where they stand. */
static bool copy_through(int from, int to, const char *what, struct error *err)
{
	char *piece = xmalloc(COPY_SIZE);
	ssize_t got;
	bool ok = true;
	while (ok && (got = read(from, piece, COPY_SIZE)) != 0) {
		if (cli_interrupted)
			ok = error_set(err, ERR_INTERRUPTED, "Interrupted.");
		else if (got < 0 && errno != EINTR)
			ok = error_errno(err, ERR_IO, errno, "cannot read %s", what);
		else if (got > 0 && !write_all(to, piece, (size_t)got))
			ok = error_errno(err, ERR_IO, errno, "cannot write what was read from %s", what);
	}
	free(piece);
	return ok;
}

/*
 * A regular file to read at any offset. What is none (standard input, a pipe) goes into a temporary file first: a store wants the hash
 * before the bytes.
 */
static int open_source(const char *file, struct error *err)
{
	struct stat st;
	int fd = strcmp(file, "-") == 0 ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		error_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open %s", file);
	} else if (S_ISDIR(st.st_mode)) {
		error_set(err, ERR_USAGE, "%s is a directory; content is files.", file);
	} else if (S_ISREG(st.st_mode) && strcmp(file, "-") != 0) {
		return fd;
	} else {
		int spool = t4_temporary_file(err);
		bool ok = spool >= 0 && copy_through(fd, spool, file, err);
		close(fd);
		if (!ok && spool >= 0)
			close(spool);
		return ok ? spool : -1;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool put_one(struct cli *c, struct t4_client *t4, const char *file, struct put_row *row, struct error *err)
{
	struct progress bar;
	struct hash hash;
	bool stored;
	int fd = open_source(file, err);
	if (fd < 0)
		return false;
	progress_begin(&bar, c, t4, file);
	bool ok = t4_hash_file(t4, fd, &hash, &row->size, err) && t4_store_file(t4, fd, &hash, row->size, &stored, err);
	progress_end(&bar, t4);
	close(fd);
	if (!ok)
		return false;
	row->file = str_from(file);
	row->hash = t4_hash_text(c, &hash);
	row->stored = stored ? JSON_TRUE : JSON_FALSE;
	return true;
}

static bool put(struct cli *c, struct error *err)
{
	size_t n = invocation_arg_count(c->in, "file"), done = 0;
	struct put_row *rows = arena_zalloc(&c->arena, n, sizeof *rows);
	struct t4_client *t4 = t4_open(c, cli_service_url(c, "t4", NULL), err);
	bool ok = t4 && t4_sign(c, t4, option_text(c->in, "audience"), err);
	for (size_t i = 0; ok && i < n; i++) {
		const char *file = invocation_arg_at(c->in, "file", i);
		struct put_row *row = &rows[done];
		if (!put_one(c, t4, file, row, err)) {
			ok = told(c, err);
			continue;
		}
		done++;
		if (c->json)
			continue;
		printf("%.*s  %.*s\n", STR_ARG(row->hash), STR_ARG(printable(&c->arena, row->file)));
		fflush(stdout);
		if (row->stored == JSON_FALSE)
			note(c, "%s was there already.", file);
	}
	struct put_list list = {{rows, done}};
	if (ok && c->json)
		json_print(&put_list_message, &list);
	t4_client_free(t4);
	return ok || t4_explain(err);
}

/* ---- get ---- */

/* Nothing in it that a terminal would take for a command. */
static bool shows_as_text(int fd)
{
	char *piece = xmalloc(COPY_SIZE);
	bool text = true;
	for (ssize_t got, at = 0; text && (got = pread(fd, piece, COPY_SIZE, at)) > 0; at += got)
		for (ssize_t i = 0; text && i < got; i++)
			text = ((unsigned char)piece[i] >= ' ' && piece[i] != 0x7f) || strchr("\n\t\r", piece[i] ? piece[i] : 'x');
	free(piece);
	return text;
}

/* Standard output gets bytes that were checked as a whole, and a terminal only what is text. */
static bool to_stdout(struct cli *c, struct t4_client *t4, const struct hash *hash, const char *name, struct error *err)
{
	struct progress bar;
	int64_t size;
	int fd = t4_temporary_file(err);
	if (fd < 0)
		return false;
	progress_begin(&bar, c, t4, name);
	bool ok = t4_fetch_fd(t4, hash, fd, &size, err);
	progress_end(&bar, t4);
	if (ok && isatty(STDOUT_FILENO) && !shows_as_text(fd)) {
		error_set(err, ERR_REFUSED, "%s is not text: it is not shown on a terminal.", name);
		ok = error_hint(err, "tana content get %s --out FILE, or into a pipe", name);
	}
	fflush(stdout);
	ok = ok && (lseek(fd, 0, SEEK_SET) == 0 || error_errno(err, ERR_IO, errno, "cannot read the temporary file"));
	ok = ok && copy_through(fd, STDOUT_FILENO, name, err);
	close(fd);
	return ok;
}

struct got_row {
	struct str hash, file;
	int64_t size, resumed_at;
};
struct got_list {
	struct json_list content;
};
static const struct json_field got_rows[] = {
	F_TEXT(struct got_row, hash, "hash", 0, 0, "What was fetched."),
	F_TEXT(struct got_row, file, "file", 0, 0, "Where it is now."),
	F_INT(struct got_row, size, "size", 0, 0, 0, "Its bytes."),
	F_INT(struct got_row, resumed_at, "resumedAt", 0, 0, 0, "How many of them were there from an earlier attempt."),
};
static JSON_MESSAGE(got_row_message, "ContentGot", struct got_row, got_rows);
static const struct json_field got_list_rows[] = {F_LIST(struct got_list, content, "content", 0, 0, &got_row_message, "")};
static JSON_MESSAGE(got_list_message, "ContentGets", struct got_list, got_list_rows);

static bool is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The file that a hash goes into; NULL: standard output. */
static const char *target_of(struct cli *c, const char *hash)
{
	const char *out = option_text(c->in, "out");
	if (!out || strcmp(out, "-") == 0)
		return NULL;
	return is_dir(out) ? arena_printf(&c->arena, "%s/%s", out, hash).p : out;
}

static bool get_one(struct cli *c, struct t4_client *t4, const char *text, struct got_row *row, struct error *err)
{
	struct progress bar;
	struct hash hash;
	const char *file = target_of(c, text);
	if (!t4_hash(text, &hash, err))
		return false;
	if (!file)
		return to_stdout(c, t4, &hash, text, err);
	*row = (struct got_row){.hash = str_from(text), .file = str_from(file)};
	progress_begin(&bar, c, t4, file);
	bool ok = t4_fetch_file(t4, &hash, file, option_bool(c->in, "force"), &row->size, &row->resumed_at, err);
	progress_end(&bar, t4);
	if (!ok && err->code == ERR_ALREADY_EXISTS)
		error_hint(err, "--force replaces it");
	else if (!ok && (err->code == ERR_INTERRUPTED || err->code == ERR_UNREACHABLE || err->code == ERR_TIMED_OUT))
		error_hint(err, "run it again: it goes on where it stopped");
	return ok;
}

static bool get(struct cli *c, struct error *err)
{
	size_t n = invocation_arg_count(c->in, "hash"), done = 0;
	const char *out = option_text(c->in, "out");
	bool to_out = !out || strcmp(out, "-") == 0;
	if (n > 1 && !to_out && !is_dir(out))
		return error_set(err, ERR_USAGE, "Several contents need a directory to go into, and %s is none.", out);
	if (c->json && to_out)
		return error_set(err, ERR_USAGE, "--json needs --out FILE: standard output cannot carry both.");
	struct got_row *rows = arena_zalloc(&c->arena, n, sizeof *rows);
	struct t4_client *t4 = t4_open(c, cli_service_url(c, "t4", NULL), err);
	bool ok = t4 != NULL;
	for (size_t i = 0; ok && i < n; i++) {
		struct got_row *row = &rows[done];
		char size[UNITS_TEXT_SIZE];
		if (!get_one(c, t4, invocation_arg_at(c->in, "hash", i), row, err)) {
			ok = told(c, err);
			continue;
		}
		done++;
		if (to_out)
			continue;
		units_format_size(row->size, size);
		say(c, "%.*s  %s", STR_ARG(printable(&c->arena, row->file)), size);
		if (row->resumed_at > 0) {
			units_format_size(row->resumed_at, size);
			note(c, "%s of it were there already.", size);
		}
	}
	struct got_list list = {{rows, done}};
	if (ok && c->json)
		json_print(&got_list_message, &list);
	t4_client_free(t4);
	return ok || t4_explain(err);
}

/* ---- has ---- */

struct has_row {
	struct str hash;
	enum json_bool there;
};
struct has_list {
	struct json_list content;
};
static const struct json_field has_rows[] = {
	F_TEXT(struct has_row, hash, "hash", 0, 0, "What was asked for."),
	F_BOOL(struct has_row, there, "there", 0, "Is it there?"),
};
static JSON_MESSAGE(has_row_message, "ContentHas", struct has_row, has_rows);
static const struct json_field has_list_rows[] = {F_LIST(struct has_list, content, "content", 0, 0, &has_row_message, "")};
static JSON_MESSAGE(has_list_message, "ContentHasList", struct has_list, has_list_rows);

static bool has(struct cli *c, struct error *err)
{
	size_t n = invocation_arg_count(c->in, "hash");
	struct hash *hashes = arena_zalloc(&c->arena, n, sizeof *hashes);
	bool *missing = arena_zalloc(&c->arena, n, sizeof *missing);
	struct has_row *rows = arena_zalloc(&c->arena, n, sizeof *rows);
	for (size_t i = 0; i < n; i++)
		if (!t4_hash(invocation_arg_at(c->in, "hash", i), &hashes[i], err))
			return false;
	struct t4_client *t4 = t4_open(c, cli_service_url(c, "t4", NULL), err);
	bool ok = t4 && t4_missing(t4, hashes, n, missing, err);
	for (size_t i = 0; ok && i < n; i++) {
		rows[i] = (struct has_row){t4_hash_text(c, &hashes[i]), missing[i] ? JSON_FALSE : JSON_TRUE};
		enum tint tint = missing[i] ? TINT_BAD : TINT_GOOD;
		const char *state = tinted(&c->arena, tint, missing[i] ? STR_LIT("missing") : STR_LIT("there"));
		say(c, "%.*s  %s", STR_ARG(rows[i].hash), state);
		if (missing[i])
			c->status = EXIT_FAILED;
	}
	struct has_list list = {{rows, n}};
	if (ok && c->json)
		json_print(&has_list_message, &list);
	t4_client_free(t4);
	return ok || t4_explain(err);
}

/* ---- rm ---- */

struct removed {
	struct json_list deleted; /* struct str */
};
static const struct json_field removed_rows[] = {F_TEXTS(struct removed, deleted, "deleted", 0, 0, NULL, "The hashes that are gone.")};
static JSON_MESSAGE(removed_message, "ContentDeletions", struct removed, removed_rows);

static bool rm(struct cli *c, struct error *err)
{
	size_t n = invocation_arg_count(c->in, "hash"), done = 0;
	struct hash *hashes = arena_zalloc(&c->arena, n, sizeof *hashes);
	struct str *gone = arena_zalloc(&c->arena, n, sizeof *gone);
	for (size_t i = 0; i < n; i++)
		if (!t4_hash(invocation_arg_at(c->in, "hash", i), &hashes[i], err))
			return false;
	struct t4_client *t4 = t4_open(c, cli_service_url(c, "t4", NULL), err);
	bool ok = t4 && confirm(c, err, "Delete %zu content%s from %s?", n, n == 1 ? "" : "s", t4_client_url(t4)) &&
		  t4_sign(c, t4, option_text(c->in, "audience"), err);
	for (size_t i = 0; ok && i < n; i++) {
		if (!t4_delete(t4, &hashes[i], err)) {
			ok = told(c, err);
			continue;
		}
		gone[done] = t4_hash_text(c, &hashes[i]);
		say(c, "Deleted %.*s.", STR_ARG(gone[done]));
		done++;
	}
	struct removed r = {{gone, done}};
	if (ok && c->json)
		json_print(&removed_message, &r);
	t4_client_free(t4);
	return ok || t4_explain(err);
}

/* ---- ls ---- */

static bool show_entry(void *ctx, const struct hash *hash, int64_t size)
{
	const struct cli *c = ctx;
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(hash, text);
	if (c->json)
		printf("{\"hash\":\"%s\",\"size\":%lld}\n", text, (long long)size);
	else
		printf("%s  %lld\n", text, (long long)size);
	return !cli_interrupted && !ferror(stdout);
}

static bool ls(struct cli *c, struct error *err)
{
	const char *prefix = invocation_arg(c->in, "prefix");
	if (prefix && !form_hash_prefix.check(str_from(prefix)))
		return error_set(err, ERR_USAGE, "'%.80s' does not begin a hash (0-9 a-f).", prefix);
	struct t4_client *t4 = t4_open(c, cli_service_url(c, "t4", NULL), err);
	bool ok = t4 && t4_sign(c, t4, option_text(c->in, "audience"), err) && t4_list(t4, prefix ? prefix : "", show_entry, c, err);
	t4_client_free(t4);
	return ok || t4_explain(err);
}

int cmd_content_put(struct invocation *in)
{
	return cli_run(in, put);
}

int cmd_content_get(struct invocation *in)
{
	return cli_run(in, get);
}

int cmd_content_has(struct invocation *in)
{
	return cli_run(in, has);
}

int cmd_content_rm(struct invocation *in)
{
	return cli_run(in, rm);
}

int cmd_content_ls(struct invocation *in)
{
	return cli_run(in, ls);
}
