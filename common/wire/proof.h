/*
 * Proof files (docs/protocol.md, "Proofs"): canonical JSON that shows, from a genesis alone, that a block has a transaction, or that the state
 * after a block has an entry or has none. This is their form; client/ledger_proof.h checks what they show.
 */
#ifndef TANA_WIRE_PROOF_H
#define TANA_WIRE_PROOF_H

#include "json/fields.h"
#include "wire/block.h"
#include "wire/ledger.h"

#define PROOF_FORMAT "tana-proof/1"
enum {
	PROOF_KEY_MAX = 1024,              /* bytes of a state key */
	PROOF_FILE_MAX = 256 * 1024 * 1024 /* bytes: the validator set changed 10,000 times */
};

struct proof_other {
	struct str path, value_hash;
};
/* One key of the state: siblings from the deepest to the root. */
struct proof_state {
	struct str key;
	struct proof_other *other; /* absence: the leaf in its place, if there is one */
	struct json_list siblings; /* struct str */
	struct str value;          /* canonical JSON; absent: the proof is that there is no such entry */
};
struct proof_tx {
	int64_t index;
	struct str message;
	struct json_list path; /* struct str, leaf side first */
	struct str signature;
};
/* A block that changed the set of validators, signed by one of the old set, and the new set shown to be in the state after it. */
struct proof_step {
	struct str header;
	struct json_list proofs; /* struct proof_state: one for each of validators */
	struct str signature;
	struct json_list validators; /* struct ledger_validator: the new set, by id */
};
struct proof {
	struct str format;
	struct str header;    /* the block that it is about */
	struct str signature; /* absent: block 0 */
	struct proof_state *state;
	struct proof_tx *transaction;    /* exactly one of the two */
	struct json_list validator_steps; /* struct proof_step: all that lie before the header, by height */
};
extern const struct json_message proof_message, proof_step_message;

/* Appends the canonical text, without a newline. */
void proof_write(struct buf *out, const struct proof *p);
/*
 * Reads a file's bytes: canonical JSON, at most one newline behind it, exactly the fields of the tables. ERR_NOT_CANONICAL, ERR_MALFORMED_JSON,
 * ERR_MISSING_FIELD, ERR_UNKNOWN_FIELD, ERR_MALFORMED_FIELD and what the forms give. Everything of *out is in the arena.
 */
MUST_CHECK bool proof_read(struct str text, struct arena *arena, struct proof *out, struct error *err);

#endif
