/*
 * C2SP signed-note and tlog-checkpoint (c2sp.org/signed-note, c2sp.org/tlog-checkpoint): the signed head of a transparency log.
 *
 *	<origin>\n<size, decimal>\n<root hash, base64>\n\n— <key name> <base64(key id || signature)>\n
 *
 * The key name is the origin. key id = first 4 bytes of SHA-256(name || 0x0A || 0x01 || public key). The signature is plain Ed25519 over
 * the note text (everything up to and including the newline before the blank line).
 */
#ifndef TANA_CRYPTO_NOTE_H
#define TANA_CRYPTO_NOTE_H

#include "base/buf.h"
#include "ed25519.h"
#include "sha256.h"

enum { NOTE_ORIGIN_MAX = 200, NOTE_TEXT_MAX = 16 * 1024 };

struct checkpoint {
	char origin[NOTE_ORIGIN_MAX + 1];
	uint64_t size;
	struct hash root;
};

/* Fits an origin (or key name) of ours: 1..NOTE_ORIGIN_MAX printable ASCII characters without blanks and without '+'. */
bool note_name_valid(struct str name);

/* Appends the whole signed note to *out. c->origin is valid and c->size below 2^62 (invariant). */
void checkpoint_sign(const struct checkpoint *c, const struct ed25519_secret *key, struct buf *out);
/*
 * Reads a signed note and checks that one of its signature lines, named as the origin, is by `key`; lines by others are skipped, as the
 * standard says. ERR_MALFORMED_FIELD, ERR_BAD_SIGNATURE. Extension lines are allowed and ignored. *out is written on success only.
 */
MUST_CHECK bool checkpoint_open(struct str note, const struct ed25519_public *key, struct checkpoint *out, struct error *err);
/* The verifier key of C2SP signed-note: `<name>+<8 hex of key id>+<base64(0x01 || public key)>`. */
void note_verifier_key(const char *name, const struct ed25519_public *key, struct buf *out);

#endif
