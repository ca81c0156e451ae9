/*
 * auth approve: plays the phone. Says what asks and from where, as the service tells the one who scans first, and signs only after a yes.
 *
 * A picture of the code is read by zbarimg, a program of its own: decoders of pictures are large and have had their share of holes, and this
 * process has a private key in its memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth.h"
#include "base/clock.h"
#include "commands.h"
#include "keystore.h"
#include "ledger.h"
#include "output.h"
#include "paths.h"
#include "process.h"

enum { CODE_MAX = 16 * 1024, WIDTH = 12, STATEMENT_LIFE_MS = 2 * 60 * 1000 };

/* ---- the code ---- */

static bool read_image(struct cli *c, const char *path, struct str *out, struct error *err)
{
	const char *const argv[] = {"zbarimg", "--raw", "-q", "-Sdisable", "-Sqrcode.enable", "--", path, NULL};
	struct buf text = {0};
	int status;
	if (access(path, R_OK) != 0)
		return error_errno(err, ERR_IO, errno, "%s cannot be read", path);
	bool ran = process_capture(argv, CODE_MAX, &text, &status, err);
	bool ok = ran && WIFEXITED(status) && WEXITSTATUS(status) == 0 && text.len > 0;
	if (ok)
		*out = arena_copy(&c->arena, buf_str(&text));
	buf_free(&text);
	if (!ran && err->code == ERR_NOT_FOUND) {
		error_set(err, ERR_NOT_FOUND, "zbarimg, which reads pictures of codes, is not installed.");
		return error_hint(err, "apt-get install zbar-tools; or hand over the code's text or link");
	}
	if (ran && !ok) {
		error_set(err, ERR_MALFORMED_MESSAGE, "There is no QR code to be read in %s.", path);
		return error_hint(err, "take a sharper picture, with white all round the code");
	}
	return ok;
}

static bool read_stdin(struct cli *c, struct str *out, struct error *err)
{
	struct buf text = {0};
	char part[1024];
	size_t n;
	while ((n = fread(part, 1, sizeof(part), stdin)) > 0 && text.len <= CODE_MAX)
		buf_put(&text, part, n);
	bool ok = text.len <= CODE_MAX || error_set(err, ERR_TOO_LARGE, "Standard input is too long for a login code.");
	if (ok)
		*out = arena_copy(&c->arena, buf_str(&text));
	buf_free(&text);
	return ok;
}

static bool read_code(struct cli *c, struct identity_qr *out, struct error *err)
{
	const char *given = invocation_arg(c->in, "code"), *image = option_text(c->in, "image");
	struct str text = str_from(given);
	if (!given == !image)
		return error_set(err, ERR_USAGE, "One code is needed: its text or link, - for standard input, or --image FILE.");
	if (image ? !read_image(c, image, &text, err) : strcmp(given, "-") == 0 && !read_stdin(c, &text, err))
		return false;
	return identity_qr_read(text, out, &c->arena, err);
}

/* ---- who approves ---- */

struct approver {
	struct keyfile key; /* wiped at the end */
	struct str user_id, username;
};

/* The one user's key file there is. */
static bool only_user(struct cli *c, const char **path, struct error *err)
{
	struct keystore_list keys = keystore_list(c);
	size_t count = 0;
	for (size_t i = 0; i < keys.count; i++) {
		if (strcmp(keys.items[i].kind, "user") != 0)
			continue;
		*path = keys.items[i].path;
		count++;
	}
	if (count == 1)
		return true;
	error_set(err, ERR_KEY_NEEDED, count ? "There are keys of several users here: it must be said who logs in." : "There is no user's key here.");
	return error_hint(err, count ? "--as @name (tana keys list)" : "make one: tana new user @name");
}

/* The id is what --user-id or the key's file says, else what the ledger says. */
static bool find_id(struct cli *c, struct approver *a, struct error *err)
{
	struct ledger_user user;
	const char *given = option_text(c->in, "user-id");
	a->user_id = given ? str_from(given) : a->key.user_id;
	if (str_present(a->user_id))
		return true;
	if (!user_look_up(c, a->username.p, &user, err))
		return error_hint(err, "say which id it is: --user-id ID");
	a->user_id = user.id;
	return true;
}

static bool open_approver(struct cli *c, struct approver *a, struct error *err)
{
	const char *as = option_text(c->in, "as"), *path = NULL;
	struct str name = STR_NONE;
	bool is_id = false;
	if (as && (!user_text(c, as, &name, &is_id, err) || is_id))
		return is_id ? error_set(err, ERR_USAGE, "--as takes a name, as @alice.") : false;
	if (as)
		path = path_user(&c->arena, name);
	else if (!only_user(c, &path, err))
		return false;
	if (!keystore_open(c, path, &a->key, err))
		return false;
	a->username = str_present(a->key.username) ? a->key.username : name;
	return find_id(c, a, err);
}

/* ---- approving ---- */

static void show_request(struct cli *c, const struct identity_qr *qr, const struct identity_scanned *s, const struct approver *a)
{
	if (c->quiet && c->yes)
		return;
	fprintf(stderr, "A login is asked for:\n");
	const struct {
		const char *name;
		struct str value;
	} rows[] = {
		{"application", str_present(s->app_name) ? s->app_name : STR_LIT("(no name)")}, {"leads to", s->app_origin}, {"asked by", qr->server},
		{"from", s->desktop->ip},           {"program", s->desktop->user_agent},  {"as", a->username},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_present(rows[i].value))
			fprintf(stderr, "  %-*s %s\n", WIDTH, rows[i].name, printable(&c->arena, rows[i].value).p);
	fprintf(stderr, "Approve only what you began yourself just now.\n");
}

/* The number that the desktop shows: --match-code, or asked for. */
static bool pick_number(struct cli *c, const struct json_list *choices, int64_t *out, struct error *err)
{
	const struct str *items = choices->items;
	char line[32] = "";
	*out = option_text(c->in, "match-code") ? option_int(c->in, "match-code") : -1;
	if (choices->count == 0 || *out >= 0)
		return true;
	if (!isatty(STDIN_FILENO)) {
		error_set(err, ERR_USAGE, "The desktop shows a number, which has to be picked.");
		return error_hint(err, "--match-code N");
	}
	fputs("Which number does the desktop show?", stderr);
	for (size_t i = 0; i < choices->count; i++)
		fprintf(stderr, "%s %.*s", i ? "," : "", STR_ARG(items[i]));
	fputs(": ", stderr);
	fflush(stderr);
	if (!fgets(line, sizeof(line), stdin))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < choices->count; i++)
		if (str_is(items[i], line))
			return str_to_int64(items[i], out) || error_set(err, ERR_BAD_ANSWER, "The service offers a number that is none.");
	return error_set(err, ERR_REFUSED, "That is none of the numbers: nothing was approved.");
}

/* What scan says must be what the code says: otherwise somebody stands in between. */
static bool check_scanned(const struct identity_qr *qr, const struct identity_scanned *s, struct error *err)
{
	if (str_equal(s->server, qr->server) && str_equal(s->challenge, qr->challenge) && str_equal(s->session_id, qr->session_id))
		return true;
	error_set(err, ERR_REFUSED, "The service says something else than the code: it calls itself %.*s. Nothing was signed.", STR_ARG(s->server));
	return error_hint(err, "whoever shows such a code may be relaying another one");
}

static bool ask_and_approve(struct cli *c, struct identity_client *client, const struct identity_qr *qr, const struct approver *a, struct error *err)
{
	struct identity_scanned s;
	struct identity_approved done;
	struct error ignored;
	int64_t picked;
	if (!identity_client_scan(client, qr->session_id, &c->arena, &s, err))
		return auth_explain(err);
	if (!check_scanned(qr, &s, err))
		return false;
	show_request(c, qr, &s, a);
	if (!confirm(c, err, "Approve this login as %.*s?", STR_ARG(a->username)) || !pick_number(c, &s.match_choices, &picked, err)) {
		if (err->code == ERR_REFUSED && identity_client_reject(client, qr->session_id, STR_LIT("refused by the user"), &ignored))
			note(c, "The desktop has been told.");
		return false;
	}
	int64_t now = clock_wall_ms();
	const struct identity_statement statement = {.session_id = s.session_id,
						     .challenge = s.challenge,
						     .user_id = a->user_id,
						     .username = a->username,
						     .timestamp = now,
						     .server = qr->server,
						     .client_id = s.client_id,
						     .return_origin = s.app_origin,
						     .expires = now + STATEMENT_LIFE_MS};
	if (!identity_client_approve(client, &statement, &a->key.secret, picked, &c->arena, &done, err))
		return false;
	if (c->json)
		json_print(&identity_approved_message, &done);
	else
		say(c, "Approved: %s is logged in.", printable(&c->arena, done.username).p);
	return true;
}

static bool approve(struct cli *c, struct error *err)
{
	struct identity_qr qr;
	struct approver a = {0};
	struct identity_client *client = NULL;
	json_message_clear(&identity_qr_message, &qr);
	bool ok = read_code(c, &qr, err) && open_approver(c, &a, err) && (client = auth_client(c, qr.server.p, err)) &&
		  ask_and_approve(c, client, &qr, &a, err);
	identity_client_free(client);
	keyfile_wipe(&a.key);
	return ok;
}
int cmd_auth_approve(struct invocation *in) { return cli_run(in, approve); }
