/*
 * Checking a proof file offline (docs/protocol.md, "Proofs"): with the genesis of a chain and nothing else, no server and no clock.
 *
 * It begins with the validators of the genesis. Each step must be a block signed by one of the set reached so far, whose header names exactly that
 * set, and shows by the state it commits to what the next set is. The block of the proof must be signed by one of the set reached in the end. Who
 * believes it believes that no validator of those sets signed two histories; that the block's rules were kept is what `ledgerd verify` shows.
 */
#ifndef TANA_CLIENT_LEDGER_PROOF_H
#define TANA_CLIENT_LEDGER_PROOF_H

#include "wire/genesis.h"
#include "wire/proof.h"

enum proof_shows { PROOF_TRANSACTION, PROOF_PRESENT, PROOF_ABSENT };
struct proof_finding {
	enum proof_shows shows;
	struct block_header header; /* of the block */
	struct hash block_hash;
	struct str key, value;      /* state; value absent: PROOF_ABSENT */
	struct hash tx_id;          /* PROOF_TRANSACTION */
	struct str message;
	int64_t index;
	struct str producer_key;    /* who signed the block; absent: block 0 */
};
/*
 * What the file's bytes show. Refusals: those of proof_read (no proof file), and ERR_BAD_PROOF with the reason when it shows nothing under this
 * genesis. Texts are in the arena, or the genesis'.
 */
MUST_CHECK bool ledger_proof_check(struct str text, const struct genesis *g, struct arena *arena, struct proof_finding *out, struct error *err);

#endif
