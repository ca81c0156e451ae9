#include "keys/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/seal.h"
#include "json/fields.h"
#include "keys/base64.h"

enum { FILE_MAX = 64 * 1024, KEY_TEXT_MAX = 128, SEALED_MAX = 1024, PASSPHRASE_MAX = 1024 };

/* The file as it stands in JSON. */
struct members {
	struct str node_id, service, username, display_name, user_id, description;
	struct str public_key, private_key, sealed_key;
};
static const struct json_field member_rows[] = {
	F_TEXT(struct members, node_id, "nodeId", JSON_VERBATIM, FILE_MAX, "Node keys: the node."),
	F_TEXT(struct members, service, "service", JSON_VERBATIM, FILE_MAX, "Service keys: the service."),
	F_TEXT(struct members, username, "username", JSON_VERBATIM, FILE_MAX, "User keys: the user."),
	F_TEXT(struct members, display_name, "displayName", JSON_VERBATIM, FILE_MAX, "User keys: the user's name for people."),
	F_TEXT(struct members, user_id, "userId", JSON_VERBATIM, FILE_MAX, "User keys: the user's id on the ledger."),
	F_TEXT(struct members, description, "description", JSON_VERBATIM, FILE_MAX, "What the key is for."),
	F_TEXT(struct members, public_key, "publicKey", JSON_REQUIRED, KEY_TEXT_MAX, "The public key."),
	F_TEXT(struct members, private_key, "privateKey", 0, KEY_TEXT_MAX, "The seed, in the clear."),
	F_TEXT(struct members, sealed_key, "sealedKey", 0, SEALED_MAX, "The seed, sealed with a passphrase, in base64."),
};
static JSON_MESSAGE(members_message, "KeyFile", struct members, member_rows);

/* A file read: its document, and its members in an arena of their own. */
struct open_file {
	struct json_doc *doc;
	struct arena arena;
	struct members m;
};

static void wipe_buf(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

static void close_file(struct open_file *f)
{
	/* The arena holds the only other copy of the secret; it is ours, whatever the pointer's const says. */
	if (f->m.private_key.p)
		explicit_bzero((void *)(uintptr_t)f->m.private_key.p, f->m.private_key.n);
	arena_free(&f->arena);
	json_doc_wipe(f->doc);
	f->doc = NULL;
}

/* ---- Reading ---- */

/* Is the open file one that only its owner, who is us, can touch? */
static bool check_owner(int fd, const char *path, size_t *size, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, ERR_KEY_FILE, errno, "cannot examine the key file %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERR_KEY_FILE, "%s is not a file", path);
	if (st.st_uid != geteuid()) {
		error_set(err, ERR_KEY_FILE, "the key file %s belongs to another user", path);
		return error_hint(err, "chown %ld %s", (long)geteuid(), path);
	}
	if (st.st_mode & 077) {
		error_set(err, ERR_KEY_FILE, "the key file %s can be read or written by others (mode %04o)", path, (unsigned)st.st_mode & 07777);
		return error_hint(err, "chmod 600 %s", path);
	}
	if (st.st_size > FILE_MAX)
		return error_set(err, ERR_KEY_FILE, "%s is larger than a key file can be", path);
	*size = (size_t)st.st_size;
	return true;
}

/* Reads at most `size` bytes into a buffer that never moves, so that no copy of the secret is left behind. */
static bool read_bytes(int fd, const char *path, size_t size, struct buf *out, struct error *err)
{
	buf_reserve(out, size + 1);
	while (out->len < size) {
		ssize_t got = read(fd, out->data + out->len, size - out->len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_errno(err, ERR_KEY_FILE, errno, "cannot read the key file %s", path);
		if (got == 0)
			return true;
		out->len += (size_t)got;
	}
	return true;
}

static int open_nofollow(const char *path, struct error *err)
{
	/* O_NONBLOCK: a FIFO in its place must not hang us before fstat has told. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENOTDIR)
		error_set(err, ERR_KEY_NEEDED, "there is no key file %s", path);
	else if (errno == ELOOP)
		error_set(err, ERR_KEY_FILE, "the key file %s is a symbolic link; name the file itself", path);
	else
		error_errno(err, ERR_KEY_FILE, errno, "cannot open the key file %s", path);
	return -1;
}

bool keyfile_read_bytes(const char *path, struct buf *out, struct error *err)
{
	size_t size = 0;
	int fd = open_nofollow(path, err);

	if (fd < 0)
		return false;
	bool ok = check_owner(fd, path, &size, err) && read_bytes(fd, path, size, out, err);
	close(fd);
	return ok;
}

/* On success the caller calls close_file. */
static bool open_file(const char *path, struct open_file *f, struct error *err)
{
	struct buf text = {0};

	*f = (struct open_file){0};
	arena_init(&f->arena);
	bool ok = keyfile_read_bytes(path, &text, err);
	if (ok) {
		f->doc = json_parse_object(buf_str(&text), err);
		ok = f->doc && json_read(f->doc, &members_message, &f->m, &f->arena, err);
		if (!ok)
			error_set(err, ERR_KEY_FILE, "%s is not a key file: %s", path, err->message);
	}
	wipe_buf(&text);
	if (!ok)
		close_file(f);
	return ok;
}

static bool unseal_secret(const char *path, struct str sealed_key, keyfile_passphrase_fn *ask, void *ctx, struct ed25519_secret *out, struct error *err)
{
	struct buf sealed = {0}, seed = {0};
	char passphrase[PASSPHRASE_MAX];
	bool ok = base64_decode(sealed_key, &sealed);

	if (!ok) {
		error_set(err, ERR_KEY_FILE, "%s is not a key file: sealedKey is not base64", path);
	} else if (!ask(ctx, path, passphrase, sizeof passphrase)) {
		ok = error_set(err, ERR_KEY_NEEDED, "the key in %s is sealed, and there is no passphrase", path);
	} else {
		buf_reserve(&seed, SEALED_MAX);
		ok = unseal(buf_str(&sealed), str_from(passphrase), &seed, err);
		if (ok && seed.len == ED25519_SEED_SIZE)
			ed25519_from_seed(out, (const uint8_t *)seed.data);
		else
			ok = error_set(err, ERR_KEY_FILE, "%s cannot be opened: %s", path, ok ? "what is sealed in it is not a key" : err->message);
	}
	explicit_bzero(passphrase, sizeof passphrase);
	wipe_buf(&seed);
	buf_free(&sealed);
	return ok;
}

static bool read_secret(const char *path, const struct members *m, keyfile_passphrase_fn *ask, void *ctx, struct keyfile *out, struct error *err)
{
	if (str_present(m->private_key) && str_present(m->sealed_key))
		return error_set(err, ERR_KEY_FILE, "%s is not a key file: it has both privateKey and sealedKey", path);
	if (str_present(m->sealed_key)) {
		out->sealed = true;
		if (!ask)
			return true;
		if (!unseal_secret(path, m->sealed_key, ask, ctx, &out->secret, err))
			return false;
	} else if (!str_present(m->private_key)) {
		return true;
	} else if (!ed25519_secret_from_text(m->private_key, KEY_LENIENT, &out->secret, err)) {
		return error_set(err, ERR_KEY_FILE, "%s is not a key file: privateKey is malformed", path);
	}
	out->has_secret = true;
	if (!ed25519_public_equal(&out->secret.public_key, &out->public_key))
		return error_set(err, ERR_KEY_FILE, "the public and the private key in %s do not belong together", path);
	return true;
}

bool keyfile_read(const char *path, keyfile_passphrase_fn *ask, void *ctx, struct arena *arena, struct keyfile *out, struct error *err)
{
	struct open_file f;

	*out = (struct keyfile){0};
	if (!open_file(path, &f, err))
		return false;
	*out = (struct keyfile){
		.node_id = arena_copy(arena, f.m.node_id),
		.service = arena_copy(arena, f.m.service),
		.username = arena_copy(arena, f.m.username),
		.display_name = arena_copy(arena, f.m.display_name),
		.user_id = arena_copy(arena, f.m.user_id),
		.description = arena_copy(arena, f.m.description),
	};
	bool ok = ed25519_public_from_text(f.m.public_key, KEY_LENIENT, &out->public_key, err);
	if (!ok)
		error_set(err, ERR_KEY_FILE, "%s is not a key file: publicKey is malformed", path);
	else
		ok = read_secret(path, &f.m, ask, ctx, out, err);
	close_file(&f);
	if (!ok)
		keyfile_wipe(out);
	return ok;
}

/* ---- Writing ---- */

static bool seal_secret(const struct ed25519_secret *secret, struct str passphrase, struct arena *arena, struct str *out, struct error *err)
{
	struct buf sealed = {0}, text = {0};
	bool ok = seal(str_of((const char *)secret->seed, sizeof secret->seed), passphrase, &sealed, err);

	if (ok) {
		base64_encode(&text, buf_str(&sealed));
		*out = arena_copy(arena, buf_str(&text));
	}
	buf_free(&sealed);
	buf_free(&text);
	return ok;
}

static bool write_members(const char *path, const struct members *m, const struct json_doc *old, bool replace, struct error *err)
{
	struct buf text = {0};

	buf_reserve(&text, (size_t)8 * FILE_MAX); /* does not move, even when every byte of the old file is written escaped: see read_bytes */
	if (old)
		json_write_keeping(&text, &members_message, m, old);
	else
		json_write(&text, &members_message, m);
	buf_putc(&text, '\n');
	bool ok = text.len <= FILE_MAX ? file_write_atomic(path, buf_str(&text), 0600, replace ? FILE_REPLACE : FILE_MUST_NOT_EXIST, err)
				       : error_set(err, ERR_KEY_FILE, "what should be written to %s is larger than a key file can be", path);
	wipe_buf(&text);
	return ok;
}

static bool make_parent(const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	if (!slash || slash == path)
		return true;
	char *parent = xstrndup(path, (size_t)(slash - path));
	bool ok = file_make_dirs(parent, 0700, err);
	free(parent);
	return ok;
}

/* The file that is to be replaced, if it is there; f->doc is NULL when it is not. */
static bool open_old(const char *path, struct open_file *f, struct error *err)
{
	struct error why;

	if (open_file(path, f, &why))
		return true;
	*f = (struct open_file){0};
	if (why.code == ERR_KEY_NEEDED)
		return true;
	*err = why;
	return false;
}

/* A key written without its secret (a sealed one that was not opened) keeps the secret that its file has. */
static void keep_secret(const struct keyfile *k, const struct open_file *old, struct members *m)
{
	struct ed25519_public before;
	struct error ignored;

	if (!k->has_secret && old->doc && ed25519_public_from_text(old->m.public_key, KEY_LENIENT, &before, &ignored) &&
	    ed25519_public_equal(&before, &k->public_key)) {
		m->private_key = old->m.private_key;
		m->sealed_key = old->m.sealed_key;
	}
}

bool keyfile_write(const char *path, const struct keyfile *k, struct str passphrase, bool replace, struct error *err)
{
	char public_text[ED25519_PUBLIC_TEXT_LEN + 1], seed_text[ED25519_SEED_TEXT_LEN + 1] = "";
	struct open_file old = {0};
	struct arena arena;
	bool ok;

	if (replace && !open_old(path, &old, err))
		return false;
	ed25519_public_to_text(&k->public_key, public_text);
	struct members m = {
		.node_id = k->node_id,
		.service = k->service,
		.username = k->username,
		.display_name = k->display_name,
		.user_id = k->user_id,
		.description = k->description,
		.public_key = str_from(public_text),
	};
	arena_init(&arena);
	if (k->has_secret && str_present(passphrase)) {
		ok = seal_secret(&k->secret, passphrase, &arena, &m.sealed_key, err);
	} else if (k->has_secret) {
		ed25519_seed_to_text(&k->secret, seed_text);
		m.private_key = str_from(seed_text);
		ok = true;
	} else {
		keep_secret(k, &old, &m);
		ok = !k->sealed || str_present(m.sealed_key) ||
		     error_set(err, ERR_KEY_NEEDED, "the key is sealed: it cannot be written to %s without its passphrase", path);
	}
	ok = ok && make_parent(path, err) && write_members(path, &m, old.doc, replace, err);
	explicit_bzero(seed_text, sizeof seed_text);
	arena_free(&arena);
	close_file(&old);
	return ok;
}

bool keyfile_read_or_create(const char *path, struct arena *arena, struct keyfile *out, bool *created, struct error *err)
{
	struct error why;

	*created = false;
	if (keyfile_read(path, NULL, NULL, arena, out, &why))
		return out->has_secret || error_set(err, ERR_KEY_NEEDED, "%s has no private key that can be used without a passphrase", path);
	if (why.code != ERR_KEY_NEEDED) {
		*err = why;
		return false;
	}
	*out = (struct keyfile){.has_secret = true};
	ed25519_generate(&out->secret);
	out->public_key = out->secret.public_key;
	if (keyfile_write(path, out, STR_NONE, false, &why)) {
		*created = true;
		return true;
	}
	keyfile_wipe(out);
	if (why.code == ERR_ALREADY_EXISTS) /* another instance made it at the same time */
		return keyfile_read(path, NULL, NULL, arena, out, err);
	*err = why;
	return false;
}

void keyfile_wipe(struct keyfile *k)
{
	ed25519_secret_wipe(&k->secret);
	k->has_secret = false;
}
