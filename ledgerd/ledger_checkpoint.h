/*
 * A checkpoint: what an audit found to be right, signed by who made it, and kept outside of the database. Canonical JSON, one line:
 *	{"chainId","hash","height","publicKey","signature","stateRoot","type":"tana-ledger-checkpoint/1"}
 * The signature is over the canonical JSON without it.
 */
#ifndef TANA_LEDGERD_LEDGER_CHECKPOINT_H
#define TANA_LEDGERD_LEDGER_CHECKPOINT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

struct checkpoint_note {
	struct str chain_id;
	int64_t height;
	struct hash hash, state_root;
	struct ed25519_public signer;
};
/* Appends the line, with its newline. *n's signer is the key's. */
void checkpoint_note_sign(struct buf *out, const struct checkpoint_note *n, const struct ed25519_secret *key);
/* Reads one and checks its signature. ERR_MALFORMED_FIELD, ERR_BAD_SIGNATURE. */
MUST_CHECK bool checkpoint_note_open(struct str text, struct arena *arena, struct checkpoint_note *out, struct error *err);

#endif
