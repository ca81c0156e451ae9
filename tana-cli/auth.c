#include "auth.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/daemon.h"
#include "paths.h"

enum { LOGIN_FILE_MAX = 16 * 1024 };

const char *auth_url(struct cli *c)
{
	return cli_service_url(c, "identity", NULL);
}

struct identity_client *auth_client(struct cli *c, const char *url, struct error *err)
{
	const struct identity_client_options o = {.base_url = url,
						  .user_agent = arena_printf(&c->arena, "tana/%s", tana_version()).p,
						  .timeout_ms = option_int(c->in, "timeout"),
						  .stop = &cli_interrupted};
	cli_catch_interrupts();
	return identity_client_new(&o, err);
}

bool auth_explain(struct error *err)
{
	if (err->code == ERR_UNREACHABLE && !err->hint[0])
		error_hint(err, "start one here: tana start --dev; or say where it is: --identity-url URL, TANA_IDENTITY_URL");
	return false;
}

/* ---- the files ---- */

static const struct json_field login_rows[] = {
	F_TEXT(struct auth_login, server, "server", JSON_REQUIRED, 0, "The identity service."),
	F_TEXT(struct auth_login, token, "sessionToken", JSON_REQUIRED, 0, "What it gave."),
	F_TEXT(struct auth_login, user_id, "userId", JSON_REQUIRED, 0, "Who logged in."),
	F_TEXT(struct auth_login, username, "username", JSON_REQUIRED, 0, "Their name."),
	F_TEXT(struct auth_login, expires_at, "expiresAt", 0, 0, "Until when it is good."),
};
static JSON_MESSAGE(login_message, "StoredLogin", struct auth_login, login_rows);

/* Host and port, what is no letter or digit as '_'. */
static const char *login_path(struct cli *c, const char *server)
{
	const char *host = strstr(server, "://");
	char *name = arena_strdup(&c->arena, host ? host + 3 : server);
	for (char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '.' || *p == '-'))
			*p = '_';
	return path_config(&c->arena, "logins/%s.json", name);
}

bool auth_login_read(struct cli *c, const char *server, struct auth_login *out, bool *found, struct error *err)
{
	const char *path = login_path(c, server);
	struct buf text = {0};
	struct error why;
	struct stat st;
	*found = file_exists(path);
	if (!*found)
		return true;
	if (stat(path, &st) == 0 && (st.st_mode & 077)) {
		error_set(err, ERR_KEY_FILE, "%s can be read by others: it holds a login.", path_short(&c->arena, path));
		return error_hint(err, "chmod 600 %s; and log in anew: tana auth logout && tana auth login", path);
	}
	bool ok = file_read(path, LOGIN_FILE_MAX, &text, &why) && json_read_text(buf_str(&text), &login_message, out, &c->arena, &why);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	buf_free(&text);
	return ok || error_set(err, ERR_KEY_FILE, "%s cannot be read: %s", path_short(&c->arena, path), why.message);
}

bool auth_login_write(struct cli *c, const struct auth_login *l, struct error *err)
{
	struct buf text = {0};
	bool ok = file_make_dirs(path_config(&c->arena, "logins"), 0700, err);
	if (ok) {
		json_write(&text, &login_message, l);
		buf_putc(&text, '\n');
		ok = file_write_atomic(login_path(c, l->server.p), buf_str(&text), 0600, FILE_REPLACE, err);
		explicit_bzero(text.data, text.cap);
	}
	buf_free(&text);
	return ok;
}

bool auth_login_forget(struct cli *c, const char *server, struct error *err)
{
	const char *path = login_path(c, server);
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	return error_errno(err, ERR_IO, errno, "%s cannot be removed", path_short(&c->arena, path));
}
