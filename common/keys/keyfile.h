/*
 * Key files: JSON on disk, 0600, in 0700 directories, written atomically. Read by every program; the forms are those of existing
 * installations:
 *	node key      {"nodeId","publicKey","privateKey"}
 *	service key   {"publicKey","privateKey"}        (optionally "service")
 *	sovereign     {"publicKey","privateKey","description"?}
 *	user          {"username","publicKey","privateKey", ...}
 * Members that this program does not know are kept when a file is rewritten. With a passphrase "privateKey" is replaced by "sealedKey",
 * the base64 of crypto/seal.h's form.
 *
 * A file that others can read or write (mode & 077), that another user owns, or that is a symbolic link is refused, as ssh refuses it, with
 * the chmod to run as the hint. Files are at most 64 KiB.
 */
#ifndef TANA_KEYS_KEYFILE_H
#define TANA_KEYS_KEYFILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/ed25519.h"

struct keyfile {
	struct str node_id, service, username, display_name, user_id, description; /* absent when the file has none */
	struct ed25519_public public_key;
	bool sealed;                  /* the secret needs a passphrase */
	bool has_secret;              /* false while sealed, or in a file with a public key only */
	struct ed25519_secret secret; /* wipe with keyfile_wipe */
};

/* Asks for a passphrase (at most size - 1 bytes) when a sealed file is read: writes it, NUL-terminated, into out; false: none to be had
 * (ERR_KEY_NEEDED). */
typedef bool keyfile_passphrase_fn(void *ctx, const char *path, char *out, size_t size);

/* Texts go into the arena; the secret is in *out alone. After an error *out holds no secret. ERR_KEY_NEEDED: not there, or no
 * passphrase; ERR_KEY_FILE: not a key file, permissions, keys that do not belong together. ask NULL: a sealed file is read without its
 * secret. */
MUST_CHECK bool keyfile_read(const char *path, keyfile_passphrase_fn *ask, void *ctx, struct arena *arena, struct keyfile *out, struct error *err);
/* Writes a new file (ERR_ALREADY_EXISTS when it is there, unless replace). passphrase absent: in the clear. Directories are made with
 * 0700. A key without its secret (sealed, and not opened) keeps the secret of the file it replaces. ERR_KEY_FILE also when the file to
 * replace is no key file: it may be something else. */
MUST_CHECK bool keyfile_write(const char *path, const struct keyfile *k, struct str passphrase, bool replace, struct error *err);
/* Reads the key pair at path, or makes one and writes it there: for keys that a daemon owns (the coordinator's). Several
 * processes may do so at once: all get the same key. */
MUST_CHECK bool keyfile_read_or_create(const char *path, struct arena *arena, struct keyfile *out, bool *created, struct error *err);
/* The bytes of a file with keys in another form, for its owner to read: only when nobody else can (see above). *out is empty before; the caller wipes it, also
 * after an error. */
MUST_CHECK bool keyfile_read_bytes(const char *path, struct buf *out, struct error *err);
void keyfile_wipe(struct keyfile *k);

#endif
