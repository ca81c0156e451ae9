#include "keystore.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "paths.h"

enum { PASSPHRASE_MIN = 8, SUFFIX_LEN = 5 /* ".json" */ };

/* Passphrases. */

static void wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

bool keystore_passphrase_file(const char *path, char out[PASSPHRASE_MAX], struct error *err)
{
	struct buf text = {0};
	if (!file_read(path, PASSPHRASE_MAX, &text, err))
		return false;
	size_t n = 0;
	while (n < text.len && text.data[n] != '\n')
		n++;
	bool ok = n > 0 && n < PASSPHRASE_MAX && !memchr(text.data, 0, n);
	if (ok) {
		memcpy(out, text.data, n);
		out[n] = '\0';
	} else {
		error_set(err, ERR_KEY_FILE, "%s holds no passphrase in its first line.", path);
	}
	if (text.data)
		wipe(text.data, text.len);
	buf_free(&text);
	return ok;
}

static size_t read_line(int tty, char *out, size_t size, bool *whole)
{
	size_t n = 0;
	char ch = 0;
	while (!cli_interrupted && read(tty, &ch, 1) == 1 && ch != '\n')
		if (n + 1 < size)
			out[n++] = ch;
	out[n] = '\0';
	*whole = ch == '\n';
	return n;
}

/* One line from the terminal without echo. An interruption ends the command as it would any other, but after the terminal has its echo back. */
static bool ask_quietly(const char *prompt, char *out, size_t size)
{
	struct termios before, quiet;
	bool whole = false;
	size_t n = 0;
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return false;
	cli_catch_interrupts();
	if (tcgetattr(tty, &before) == 0) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		/* Quiet before the prompt: whoever types at once, or pastes, is not shown. */
		if (tcsetattr(tty, TCSAFLUSH, &quiet) == 0) {
			if (dprintf(tty, "%s", prompt) > 0)
				n = read_line(tty, out, size, &whole);
			tcsetattr(tty, TCSADRAIN, &before);
			whole = dprintf(tty, "\n") > 0 && whole;
		}
	}
	close(tty);
	if (cli_interrupted) {
		signal(cli_interrupted, SIG_DFL);
		raise(cli_interrupted);
	}
	return whole && n > 0;
}

static bool find_passphrase(void *ctx, const char *path, char *out, size_t size)
{
	struct cli *c = ctx;
	const char *file = getenv("TANA_PASSPHRASE_FILE");
	char passphrase[PASSPHRASE_MAX];
	struct error why;
	bool ok = false;
	if (file && file[0])
		ok = keystore_passphrase_file(file, passphrase, &why);
	else
		ok = ask_quietly(arena_printf(&c->arena, "Passphrase of %s: ", path_short(&c->arena, path)).p, passphrase, sizeof passphrase);
	if (ok && strlen(passphrase) < size)
		memcpy(out, passphrase, strlen(passphrase) + 1);
	else
		ok = false;
	wipe(passphrase, sizeof passphrase);
	return ok;
}

bool keystore_new_passphrase(char out[PASSPHRASE_MAX], struct error *err)
{
	char again[PASSPHRASE_MAX];
	if (!ask_quietly("New passphrase: ", out, PASSPHRASE_MAX) || !ask_quietly("Once more: ", again, sizeof again)) {
		error_set(err, ERR_USAGE, "A new passphrase is asked for on the terminal, and there is none, or nothing was entered.");
		return error_hint(err, "name a file that holds it: --passphrase-file FILE");
	}
	bool same = strcmp(out, again) == 0;
	wipe(again, sizeof again);
	if (!same)
		return error_set(err, ERR_USAGE, "The two passphrases differ: nothing was changed.");
	if (strlen(out) < PASSPHRASE_MIN)
		return error_set(err, ERR_USAGE, "A passphrase has at least %d bytes.", PASSPHRASE_MIN);
	return true;
}

bool keystore_passphrase_for(bool sealed, char out[PASSPHRASE_MAX], struct error *err)
{
	const char *file = getenv("TANA_PASSPHRASE_FILE");
	out[0] = '\0';
	if (!sealed)
		return true;
	return file && file[0] ? keystore_passphrase_file(file, out, err) : keystore_new_passphrase(out, err);
}

/* Reading. */

static bool explain_missing(struct error *err, const char *path)
{
	if (err->code == ERR_KEY_NEEDED && !file_exists(path) && !err->hint[0])
		error_hint(err, "make one with tana keys new, or see what there is: tana keys list");
	return false;
}

static bool explain_sealed(struct error *err)
{
	const char *file = getenv("TANA_PASSPHRASE_FILE");
	char passphrase[PASSPHRASE_MAX];
	struct error why;
	if (file && file[0] && !keystore_passphrase_file(file, passphrase, &why))
		return error_hint(err, "TANA_PASSPHRASE_FILE: %s", why.message);
	wipe(passphrase, sizeof passphrase);
	return error_hint(err, "put its passphrase into a file and set TANA_PASSPHRASE_FILE to it, or run this on a terminal");
}

bool keystore_open(struct cli *c, const char *path, struct keyfile *out, struct error *err)
{
	if (!keyfile_read(path, find_passphrase, c, &c->arena, out, err)) {
		if (err->code == ERR_KEY_NEEDED && file_exists(path) && !err->hint[0])
			explain_sealed(err);
		return explain_missing(err, path);
	}
	if (!out->has_secret) {
		keyfile_wipe(out);
		return error_set(err, ERR_KEY_NEEDED, "%s has a public key only; a signature needs the private one.", path);
	}
	return true;
}

bool keystore_look(struct cli *c, const char *path, struct keyfile *out, struct error *err)
{
	if (!keyfile_read(path, NULL, NULL, &c->arena, out, err))
		return explain_missing(err, path);
	keyfile_wipe(out);
	out->has_secret = false;
	return true;
}

bool keystore_sovereign(struct cli *c, struct keyfile *out, struct error *err)
{
	const char *path = option_text(c->in, "key");
	if (!path)
		path = path_sovereign_key(&c->arena);
	if (!file_exists(path)) {
		error_set(err, ERR_KEY_NEEDED, "There is no sovereign key in %s.", path_short(&c->arena, path));
		return error_hint(err, "name one with --key FILE, or make one: tana keys new sovereign");
	}
	return keystore_open(c, path, out, err);
}

/* The node key files by their names; used only to tell which node is meant when nobody said. */
static const char *only_node_key(struct cli *c, size_t *found)
{
	const char *only = NULL;
	struct keystore_list list = keystore_list(c);
	*found = 0;
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.items[i].kind, "node") == 0) {
			only = list.items[i].path;
			(*found)++;
		}
	return only;
}

const char *keystore_node_path(struct cli *c, const char *node_id, struct error *err)
{
	const char *own = path_own_node_key(&c->arena);
	if (!node_id) {
		size_t found;
		if (file_exists(own))
			return own;
		const char *only = only_node_key(c, &found);
		if (found == 1)
			return only;
		error_set(err, ERR_KEY_NEEDED, found ? "This machine has the keys of several nodes." : "This machine has no node key.");
		error_hint(err, found ? "say which: --node-id ID (tana keys list)" : "register one: tana mesh register");
		return NULL;
	}
	struct keyfile k;
	struct error ignored;
	if (file_exists(own) && keystore_look(c, own, &k, &ignored) && str_is(k.node_id, node_id))
		return own;
	return path_node_key(&c->arena, str_from(node_id));
}

/* Making. */

bool keystore_create(const char *path, struct keyfile *k, struct str passphrase, struct error *err)
{
	ed25519_generate(&k->secret);
	k->public_key = k->secret.public_key;
	k->has_secret = true;
	k->sealed = false;
	if (keyfile_write(path, k, passphrase, false, err))
		return true;
	keyfile_wipe(k);
	return false;
}

bool keystore_service(struct cli *c, struct str node_id, struct str service, struct ed25519_public *out, bool *created, struct error *err)
{
	const char *path = path_service_key(&c->arena, node_id, service);
	struct keyfile k = {.service = service};
	bool is_new = !file_exists(path);
	bool ok = is_new ? keystore_create(path, &k, STR_NONE, err) : keystore_look(c, path, &k, err);
	if (!ok)
		return false;
	*out = k.public_key;
	keyfile_wipe(&k);
	if (created)
		*created = is_new;
	return true;
}

/* Listing. */

/* "<node>-<service>-key" -> its parts: services have no '-' but for a leading "x-". */
static struct str service_name(struct arena *a, struct str stem)
{
	for (size_t i = stem.n; i-- > 1;) {
		if (stem.p[i] != '-')
			continue;
		struct str type = str_of(stem.p + i + 1, stem.n - i - 1);
		if (mesh_service_type_valid(type))
			return arena_printf(a, "%.*s/%.*s", (int)i, stem.p, STR_ARG(type));
	}
	return arena_copy(a, stem);
}

static bool ends(struct str s, const char *z)
{
	size_t n = strlen(z);
	return s.n > n && memcmp(s.p + s.n - n, z, n) == 0;
}

static void classify(struct cli *c, struct keystore_entry *e, const char *dir, struct str file)
{
	struct str stem = str_of(file.p, file.n - SUFFIX_LEN);
	struct error why;
	if (strcmp(dir, "users") == 0)
		e->kind = "user";
	else if (str_is(stem, "sovereign-key"))
		e->kind = "sovereign";
	else if (str_is(stem, "node-key") || str_starts(stem, "node-key-"))
		e->kind = "node";
	else
		e->kind = "service";
	if (!keystore_look(c, e->path, &e->key, &why)) {
		e->problem = arena_strdup(&c->arena, why.message);
		e->remedy = why.hint[0] ? arena_strdup(&c->arena, why.hint) : NULL;
		e->name = arena_copy(&c->arena, stem);
		return;
	}
	if (strcmp(e->kind, "service") == 0)
		e->name = service_name(&c->arena, str_of(stem.p, stem.n - 4));
	else if (str_present(e->key.node_id))
		e->name = e->key.node_id;
	else if (str_present(e->key.username))
		e->name = e->key.username;
	else
		e->name = arena_copy(&c->arena, strcmp(e->kind, "sovereign") == 0 ? e->key.description : stem);
}

static void list_dir(struct cli *c, const char *dir, struct keystore_list *out, size_t *cap)
{
	DIR *d = opendir(path_config(&c->arena, "%s", dir));
	if (!d)
		return;
	for (const struct dirent *entry; (entry = readdir(d));) {
		struct str file = str_from(entry->d_name);
		bool user = dir[0] != '\0';
		bool key = ends(file, ".json") &&
			   (user || ends(file, "-key.json") || str_is(file, "node-key.json") || str_starts(file, "node-key-"));
		if (!key)
			continue;
		if (out->count == *cap) {
			*cap = *cap ? 2 * *cap : 16;
			struct keystore_entry *more = arena_zalloc(&c->arena, *cap, sizeof *more);
			if (out->count)
				memcpy(more, out->items, out->count * sizeof *more);
			out->items = more;
		}
		struct keystore_entry *e = &out->items[out->count++];
		e->path = path_config(&c->arena, "%s%s%s", dir, user ? "/" : "", entry->d_name);
		classify(c, e, dir, file);
	}
	closedir(d);
}

static int by_kind_and_path(const void *a, const void *b)
{
	const struct keystore_entry *x = a, *y = b;
	int order = strcmp(x->kind, y->kind);
	return order ? order : strcmp(x->path, y->path);
}

struct keystore_list keystore_list(struct cli *c)
{
	struct keystore_list list = {0};
	size_t cap = 0;
	list_dir(c, "", &list, &cap);
	list_dir(c, "users", &list, &cap);
	if (list.count)
		qsort(list.items, list.count, sizeof list.items[0], by_kind_and_path);
	return list;
}
