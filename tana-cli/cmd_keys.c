/* keys: the key files of this user. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "commands.h"
#include "keystore.h"
#include "output.h"
#include "paths.h"

enum { NAME_WIDTH = 8, SECRET_LINE_MAX = 160 };

/* What `keys new` and `keys import` are told: a kind, and for some kinds names. */
struct subject {
	const char *path;
	struct keyfile k; /* its names; no keys yet */
};

static bool need_name(const char *kind, const char *what, struct error *err)
{
	error_set(err, ERR_USAGE, "A %s key needs a name: %s.", kind, what);
	return error_hint(err, "tana keys new --help shows an example for each kind");
}

static bool subject_of(struct cli *c, struct subject *s, struct error *err)
{
	const char *kind = invocation_arg(c->in, "kind"), *out = option_text(c->in, "out");
	const char *first = invocation_arg_at(c->in, "name", 0), *second = invocation_arg_at(c->in, "name", 1);
	struct str node;
	*s = (struct subject){.path = NULL};
	size_t names = invocation_arg_count(c->in, "name");
	if (strcmp(kind, "sovereign") == 0 && names == 0) {
		s->path = path_sovereign_key(&c->arena);
		s->k.description = str_from(option_text(c->in, "description"));
	} else if (strcmp(kind, "node") == 0 && names <= 1) {
		if (!first)
			return need_name(kind, "the node's id", err);
		if (!cli_node_id(first, &node, err))
			return false;
		s->k.node_id = node;
		s->path = path_node_key(&c->arena, node);
		/* One node, one key. */
		struct keyfile own;
		struct error ignored;
		const char *own_path = path_own_node_key(&c->arena);
		if (!out && file_exists(own_path) && keystore_look(c, own_path, &own, &ignored) && str_equal(own.node_id, node))
			s->path = own_path;
	} else if (strcmp(kind, "service") == 0 && names <= 2) {
		if (first && second && !mesh_service_type_valid(str_from(second))) {
			error_set(err, ERR_USAGE, "'%s' is no service.", second);
			return error_hint(err, "ledger, t4, identity, mesh, or a name of your own that begins with x-");
		}
		if (!first || !second)
			return need_name(kind, "the node's id and the service (ledger, t4, identity, mesh, x-...)", err);
		if (!cli_node_id(first, &node, err))
			return false;
		s->k.service = str_from(second);
		s->path = path_service_key(&c->arena, node, s->k.service);
	} else {
		error_set(err, ERR_USAGE, "There is no kind of key '%s' with %zu name%s.", kind, names, names == 1 ? "" : "s");
		return error_hint(err, "sovereign | node ID | service ID TYPE; users' keys: tana new user NAME");
	}
	if (out)
		s->path = out;
	return true;
}

struct key_report {
	struct str file, kind, name, public_key, private_key, problem;
	enum json_bool sealed;
};
static const struct json_field key_report_rows[] = {
	F_TEXT(struct key_report, file, "file", 0, 0, "The key file."),
	F_TEXT(struct key_report, kind, "kind", 0, 0, "sovereign, node, service or user"),
	F_TEXT(struct key_report, name, "name", 0, 0, "Whose."),
	F_TEXT(struct key_report, public_key, "publicKey", 0, 0, "The public key."),
	F_TEXT(struct key_report, private_key, "privateKey", 0, 0, "The private key, when it was asked for."),
	F_BOOL(struct key_report, sealed, "sealed", 0, "Does it need a passphrase?"),
	F_TEXT(struct key_report, problem, "problem", 0, 0, "Why it cannot be used."),
};
static JSON_MESSAGE(key_report_message, "KeyReport", struct key_report, key_report_rows);
struct key_reports {
	struct json_list keys;
};
static const struct json_field key_reports_rows[] = {F_LIST(struct key_reports, keys, "keys", 0, 0, &key_report_message, "Each key file.")};
static JSON_MESSAGE(key_reports_message, "KeyReports", struct key_reports, key_reports_rows);

static struct str public_text(struct cli *c, const struct ed25519_public *k)
{
	char z[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(k, z);
	return arena_copy(&c->arena, str_from(z));
}

static void tell_made(struct cli *c, const char *done, const char *path, const struct keyfile *k, bool sealed)
{
	struct key_report r = {.file = str_from(path), .public_key = public_text(c, &k->public_key), .sealed = sealed ? JSON_TRUE : JSON_FALSE};
	if (c->json) {
		json_print(&key_report_message, &r);
		return;
	}
	say(c, "%s %s%s", done, path_short(&c->arena, path), sealed ? " (sealed with a passphrase)" : "");
	say(c, "  public key  %.*s", STR_ARG(r.public_key));
}

static bool wants_passphrase(const struct cli *c)
{
	return option_bool(c->in, "passphrase") || option_text(c->in, "passphrase-file");
}

/* The passphrase of a new file by the command's options; "" for none. */
static bool take_passphrase(const struct cli *c, char out[PASSPHRASE_MAX], struct error *err)
{
	const char *file = option_text(c->in, "passphrase-file");
	out[0] = '\0';
	if (file)
		return keystore_passphrase_file(file, out, err);
	return !option_bool(c->in, "passphrase") || keystore_new_passphrase(out, err);
}

static bool explain_exists(struct error *err, const char *path)
{
	if (err->code == ERR_ALREADY_EXISTS)
		error_hint(err, "keep it: tana keys show %s; or write elsewhere: --out FILE", path);
	return false;
}

static bool new_key(struct cli *c, struct error *err)
{
	struct subject s;
	char passphrase[PASSPHRASE_MAX];
	if (!subject_of(c, &s, err))
		return false;
	if (file_exists(s.path)) {
		error_set(err, ERR_ALREADY_EXISTS, "%s is there already.", s.path);
		return explain_exists(err, s.path);
	}
	if (!take_passphrase(c, passphrase, err))
		return false;
	bool ok = keystore_create(s.path, &s.k, passphrase[0] ? str_from(passphrase) : STR_NONE, err);
	explicit_bzero(passphrase, sizeof passphrase);
	if (!ok)
		return explain_exists(err, s.path);
	tell_made(c, "Made", s.path, &s.k, wants_passphrase(c));
	keyfile_wipe(&s.k);
	return true;
}

/* The private key comes by a file or standard input, never by the command line, which others can see. */
static bool read_private_key(struct cli *c, struct ed25519_secret *out, struct error *err)
{
	const char *from = option_text(c->in, "from");
	char line[SECRET_LINE_MAX] = "";
	FILE *f = !from || strcmp(from, "-") == 0 ? stdin : fopen(from, "re");
	if (!f)
		return error_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "cannot open %s", from);
	if (f == stdin && isatty(STDIN_FILENO))
		note(c, "Paste the private key (ed25519_ and 64 hex digits), then Enter:");
	bool got = fgets(line, sizeof line, f) != NULL;
	if (f != stdin)
		fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	struct error why;
	bool ok = got && ed25519_secret_from_text(str_from(line), KEY_LENIENT, out, &why);
	explicit_bzero(line, sizeof line);
	return ok || error_set(err, ERR_MALFORMED_KEY, "%s holds no private key in its first line.", from ? from : "Standard input");
}

static bool import(struct cli *c, struct error *err)
{
	struct subject s;
	char passphrase[PASSPHRASE_MAX];
	if (!subject_of(c, &s, err) || !read_private_key(c, &s.k.secret, err))
		return false;
	s.k.public_key = s.k.secret.public_key;
	s.k.has_secret = true;
	bool ok =
		take_passphrase(c, passphrase, err) && keyfile_write(s.path, &s.k, passphrase[0] ? str_from(passphrase) : STR_NONE, false, err);
	explicit_bzero(passphrase, sizeof passphrase);
	if (ok)
		tell_made(c, "Imported into", s.path, &s.k, wants_passphrase(c));
	keyfile_wipe(&s.k);
	return ok || explain_exists(err, s.path);
}

static bool list(struct cli *c, struct error *err)
{
	static const struct column columns[] = {
		{"KIND", ALIGN_LEFT}, {"NAME", ALIGN_LEFT}, {"PUBLIC KEY", ALIGN_LEFT}, {"SEALED", ALIGN_LEFT}, {"FILE", ALIGN_LEFT}};
	struct keystore_list keys = keystore_list(c);
	struct key_report *reports = arena_zalloc(&c->arena, keys.count, sizeof *reports);
	struct table t;
	(void)err;
	table_begin(&t, &c->arena, columns, ARRAY_LEN(columns));
	for (size_t i = 0; i < keys.count; i++) {
		const struct keystore_entry *e = &keys.items[i];
		bool sealed = !e->problem && e->key.sealed;
		reports[i] = (struct key_report){.file = str_from(e->path),
						 .kind = str_from(e->kind),
						 .name = e->name,
						 .public_key = e->problem ? STR_NONE : public_text(c, &e->key.public_key),
						 .sealed = e->problem ? JSON_BOOL_ABSENT
							   : sealed   ? JSON_TRUE
								      : JSON_FALSE,
						 .problem = str_from(e->problem)};
		table_cell(&t, TINT_NONE, reports[i].kind);
		table_cell(&t, TINT_BOLD, e->name);
		table_cell(&t, e->problem ? TINT_BAD : TINT_NONE, e->problem ? str_from(e->problem) : reports[i].public_key);
		table_cell(&t, TINT_NONE, sealed ? STR_LIT("yes") : e->problem ? STR_NONE : STR_LIT("no"));
		table_cell(&t, TINT_DIM, str_from(path_short(&c->arena, e->path)));
	}
	if (c->json) {
		struct key_reports all = {{reports, keys.count}};
		json_print(&key_reports_message, &all);
	} else if (keys.count == 0) {
		say(c, "No keys in %s.", path_short(&c->arena, path_config(&c->arena, "%s", "")));
		hint(c, "make one: tana keys new sovereign, or tana mesh register --dev --node-id validator-1");
	} else {
		table_print(&t);
	}
	return true;
}

/* A key by its file, or by the name that `keys list` shows. */
static const char *find_key(struct cli *c, const char *what, struct error *err)
{
	struct keystore_list keys = keystore_list(c);
	const char *found = NULL;
	size_t count = 0;
	for (size_t i = 0; i < keys.count; i++)
		if (str_is(keys.items[i].name, what) || strcmp(keys.items[i].kind, what) == 0) {
			found = keys.items[i].path;
			count++;
		}
	if (count == 1)
		return found;
	if (file_exists(what))
		return what;
	error_set(err, ERR_KEY_NEEDED, count ? "'%s' names more than one key." : "There is no key '%s', nor a file of that name.", what);
	error_hint(err, "tana keys list");
	return NULL;
}

static bool show(struct cli *c, struct error *err)
{
	bool secret = option_bool(c->in, "private");
	const char *path = find_key(c, invocation_arg(c->in, "key"), err);
	struct keyfile k;
	char seed[ED25519_SEED_TEXT_LEN + 1] = "";
	if (!path)
		return false;
	if (secret && !confirm(c, err, "Show the private key of %s? Whoever sees it can sign as its owner.", path_short(&c->arena, path)))
		return false;
	if (!(secret ? keystore_open(c, path, &k, err) : keystore_look(c, path, &k, err)))
		return false;
	if (secret)
		ed25519_seed_to_text(&k.secret, seed);
	struct str name = str_present(k.node_id)    ? k.node_id
			  : str_present(k.username) ? k.username
			  : str_present(k.service)  ? k.service
						    : k.description;
	struct key_report r = {.file = str_from(path),
			       .name = name,
			       .public_key = public_text(c, &k.public_key),
			       .private_key = secret ? str_from(seed) : STR_NONE,
			       .sealed = k.sealed ? JSON_TRUE : JSON_FALSE};
	if (c->json) {
		json_print(&key_report_message, &r);
	} else {
		pair_print(NAME_WIDTH, "file", TINT_NONE, str_from(path_short(&c->arena, path)));
		if (str_present(name))
			pair_print(NAME_WIDTH, "name", TINT_BOLD, name);
		pair_print(NAME_WIDTH, "public", TINT_NONE, r.public_key);
		if (secret)
			pair_print(NAME_WIDTH, "private", TINT_WARN, r.private_key);
		pair_print(NAME_WIDTH, "sealed", TINT_NONE, k.sealed ? STR_LIT("yes, a passphrase opens it") : STR_LIT("no"));
	}
	explicit_bzero(seed, sizeof seed);
	keyfile_wipe(&k);
	return true;
}

static bool passphrase(struct cli *c, struct error *err)
{
	const char *path = find_key(c, invocation_arg(c->in, "key"), err);
	bool remove = option_bool(c->in, "remove");
	struct keyfile k;
	char fresh[PASSPHRASE_MAX] = "";
	if (!path || !keystore_open(c, path, &k, err))
		return false;
	const char *file = option_text(c->in, "passphrase-file");
	bool ok = remove || (file ? keystore_passphrase_file(file, fresh, err) : keystore_new_passphrase(fresh, err));
	if (ok && remove)
		ok = confirm(c, err, "Keep %s without a passphrase?", path_short(&c->arena, path));
	ok = ok && keyfile_write(path, &k, remove ? STR_NONE : str_from(fresh), true, err);
	explicit_bzero(fresh, sizeof fresh);
	if (ok && c->json)
		tell_made(c, "", path, &k, !remove);
	else if (ok)
		say(c, remove ? "%s is no longer sealed." : "%s is sealed with the new passphrase.", path_short(&c->arena, path));
	keyfile_wipe(&k);
	return ok;
}

int cmd_keys_new(struct invocation *in)
{
	return cli_run(in, new_key);
}

int cmd_keys_list(struct invocation *in)
{
	return cli_run(in, list);
}

int cmd_keys_show(struct invocation *in)
{
	return cli_run(in, show);
}

int cmd_keys_import(struct invocation *in)
{
	return cli_run(in, import);
}

int cmd_keys_passphrase(struct invocation *in)
{
	return cli_run(in, passphrase);
}
