#include "oidc_commands.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/random.h"
#include "oidc_clients.h"
#include "wire/base64url.h"

enum { CLIENTS_MODE = 0640, SECRET_BYTES = 32 };

static int print_out(struct buf *out)
{
	bool ok = fwrite(buf_str(out).p, 1, out->len, stdout) == out->len && fflush(stdout) == 0;
	buf_free(out);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

/* ---- client add ---- */

static const struct str *texts(struct arena *a, const struct invocation *in, const char *name, size_t *count)
{
	*count = option_count(in, name);
	struct str *list = arena_zalloc(a, *count + 1, sizeof(*list));
	for (size_t i = 0; i < *count; i++)
		list[i] = str_from(option_at(in, name, i));
	return list;
}

static const struct str *grants(struct arena *a, const struct invocation *in, bool code, size_t *count)
{
	struct str *list = arena_zalloc(a, GRANT_TYPE_COUNT, sizeof(*list));
	bool refresh = option_bool(in, "refresh"), device = option_bool(in, "device");
	*count = 0;
	for (size_t i = 0; i < GRANT_TYPE_COUNT; i++) {
		bool wanted = 1U << i == GRANT_CODE ? code : 1U << i == GRANT_REFRESH ? refresh : device;
		if (wanted)
			list[(*count)++] = str_from(oidc_grant_texts[i]);
	}
	return list;
}

static void make_secret_text(struct buf *out)
{
	uint8_t bytes[SECRET_BYTES];
	random_bytes(bytes, sizeof(bytes));
	base64url_encode(out, str_of((const char *)bytes, sizeof(bytes)));
	explicit_bzero(bytes, sizeof(bytes));
}

/* The file keeps its mode; a new one is for its owner and group alone. */
static mode_t mode_of(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? st.st_mode & 07777 : (mode_t)CLIENTS_MODE;
}

static bool add_to_file(const char *path, const struct oidc_client_entry *e, struct error *err)
{
	struct buf old = {0}, fresh = {0};
	struct error why;
	bool there = file_read(path, CLIENTS_FILE_MAX, &old, &why);
	bool ok = there || why.code == ERR_NOT_FOUND;
	if (!ok)
		*err = why;
	ok = ok && oidc_clients_add(there ? buf_str(&old) : STR_NONE, path, e, &fresh, err) &&
	     file_write_atomic(path, buf_str(&fresh), mode_of(path), there ? FILE_REPLACE : FILE_MUST_NOT_EXIST, err);
	buf_free(&old);
	buf_free(&fresh);
	return ok;
}

static bool add_client(const struct invocation *in, struct arena *a, struct buf *out, struct error *err)
{
	const char *path = option_text(in, "clients"), *name = option_text(in, "name"), *alg = option_text(in, "alg");
	char hash[CLIENT_HASH_TEXT_SIZE];
	struct buf secret = {0};
	struct oidc_client_entry e = {.id = str_from(invocation_arg(in, "clientId")), .consent_never = option_bool(in, "no-consent")};
	e.name = name ? str_from(name) : e.id;
	e.alg = strcmp(alg, "RS256") == 0 ? STR_NONE : str_from(alg);
	e.redirect_uris = texts(a, in, "redirect-uri", &e.redirect_count);
	e.logout_uris = texts(a, in, "logout-uri", &e.logout_count);
	e.allowed_groups = texts(a, in, "group", &e.group_count);
	e.grants = grants(a, in, e.redirect_count > 0, &e.grant_count);
	if (!option_bool(in, "public")) {
		make_secret_text(&secret);
		oidc_secret_hash_text(buf_str(&secret), hash);
		e.secret_hash = str_from(hash);
	}
	bool ok = path ? add_to_file(path, &e, err) : oidc_clients_add(STR_NONE, "the new client", &e, out, err);
	if (ok && secret.len > 0 && path)
		buf_printf(out, "%s\n", buf_z(&secret));
	else if (ok && secret.len > 0) /* the document alone goes to standard output */
		(void)fprintf(stderr, "client secret: %s\n", buf_z(&secret));
	if (secret.data)
		explicit_bzero(secret.data, secret.cap);
	buf_free(&secret);
	return ok;
}

int oidc_command_client_add(struct invocation *in)
{
	struct arena a;
	struct buf out = {0};
	struct error err;
	arena_init(&a);
	bool ok = add_client(in, &a, &out, &err);
	arena_free(&a);
	if (ok)
		return print_out(&out);
	buf_free(&out);
	return program_fail(in, &err);
}

/* ---- client hash ---- */

int oidc_command_client_hash(struct invocation *in)
{
	char line[CLIENT_SECRET_MAX + 3], hash[CLIENT_HASH_TEXT_SIZE];
	struct error err;
	struct buf out = {0};
	size_t n = fread(line, 1, sizeof(line), stdin);
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n < CLIENT_SECRET_MIN || n > CLIENT_SECRET_MAX || memchr(line, '\n', n)) {
		explicit_bzero(line, sizeof(line));
		error_set(&err, ERR_USAGE, "a secret is one line of %d to %d characters on standard input", CLIENT_SECRET_MIN, CLIENT_SECRET_MAX);
		error_hint(&err, "openssl rand -base64 33 | tee secret | identityd client hash");
		return program_fail(in, &err);
	}
	oidc_secret_hash_text(str_of(line, n), hash);
	explicit_bzero(line, sizeof(line));
	buf_printf(&out, "%s\n", hash);
	return print_out(&out);
}
