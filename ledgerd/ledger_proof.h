/*
 * Proof files (wire/proof.h, docs/protocol.md "Proofs"), made: what of a block's or the state's Merkle tree shows a transaction or an entry, the
 * header above it, and the steps by which the set of validators came from the genesis to that header's.
 *
 * A step shows the new set by the state of its very block, which the tree knows only while that block is the newest. So it is made then, and kept in
 * the table validator_steps. Its text follows from the chain alone: the audit makes it again.
 */
#ifndef TANA_LEDGERD_LEDGER_PROOF_H
#define TANA_LEDGERD_LEDGER_PROOF_H

#include "chain.h"
#include "db/db.h"

/*
 * The step of a block that chain_make or chain_check has just gone through (the tree is at the state after it, and it is not accepted yet):
 * canonical text in the arena; absent: it leaves the set as it is.
 */
struct str proof_step_make(const struct chain *c, const struct chain_work *w, struct arena *arena);
/* Within the block's database transaction. */
MUST_CHECK enum db_status proof_step_store(struct db_conn *c, int64_t height, struct str step, struct error *err);

/* Appends the proof of a transaction; *found false: it is in no block. */
MUST_CHECK enum db_status proof_of_tx(struct db_conn *c, const struct hash *id, struct arena *arena, struct buf *out, bool *found, struct error *err);
/*
 * Appends the proof of a key's value, or of its absence, after the block of this height, of which the tree gave `p`. *fits false, and nothing
 * appended: the entry that the database has is not that of this block any more (or not yet).
 */
MUST_CHECK enum db_status proof_of_state(struct db_conn *c, struct str key, const struct merkle_map_proof *p, bool present, int64_t height,
					 struct arena *arena, struct buf *out, bool *fits, struct error *err);

#endif
