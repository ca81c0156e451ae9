#include "wire/proof.h"

#include "crypto/canonical.h"
#include "crypto/merkle_list.h"
#include "crypto/merkle_map.h"
#include "wire/mesh.h"

static const struct json_field other_rows[] = {
	F_FORM(struct proof_other, path, "path", JSON_REQUIRED, &form_hash, "SHA-256 of its key."),
	F_FORM(struct proof_other, value_hash, "valueHash", JSON_REQUIRED, &form_hash, "SHA-256 of its value."),
};
static JSON_MESSAGE(other_message, "ProofOther", struct proof_other, other_rows);

static const struct json_field state_rows[] = {
	F_TEXT(struct proof_state, key, "key", JSON_REQUIRED | JSON_VERBATIM, PROOF_KEY_MAX, "The state entry's key."),
	F_OBJECT(struct proof_state, other, "other", 0, &other_message, "Absence: the only leaf in the place where the key's would be, if there is one."),
	F_TEXTS(struct proof_state, siblings, "siblings", JSON_REQUIRED, MERKLE_MAP_DEPTH, &form_hash, "From the deepest to the root."),
	F_ANY(struct proof_state, value, "value", 0, "The entry's value; left out when there is no such entry."),
};
static JSON_MESSAGE(state_message, "ProofState", struct proof_state, state_rows);

static const struct json_field tx_rows[] = {
	F_INT(struct proof_tx, index, "index", JSON_REQUIRED, 0, JSON_INT_MAX, "The transaction's place in the block."),
	F_ANY(struct proof_tx, message, "message", JSON_REQUIRED, "The transaction."),
	F_TEXTS(struct proof_tx, path, "path", JSON_REQUIRED, MERKLE_PATH_MAX, &form_hash, "RFC 6962 audit path, leaf side first."),
	F_FORM(struct proof_tx, signature, "signature", JSON_REQUIRED, &form_signature_written, "Its signature."),
};
static JSON_MESSAGE(tx_message, "ProofTransaction", struct proof_tx, tx_rows);

static const struct json_field step_rows[] = {
	F_ANY(struct proof_step, header, "header", JSON_REQUIRED, "The header of the block that changed the set."),
	F_LIST(struct proof_step, proofs, "proofs", JSON_REQUIRED, 0, &state_message, "One for each new validator, under the header's stateRoot."),
	F_FORM(struct proof_step, signature, "signature", JSON_REQUIRED, &form_signature_written, "By a validator of the set before."),
	F_LIST(struct proof_step, validators, "validators", JSON_REQUIRED, 0, &ledger_validator_message, "The new set, by id."),
};
JSON_MESSAGE(proof_step_message, "ProofStep", struct proof_step, step_rows);

static const struct json_field proof_rows[] = {
	F_TEXT(struct proof, format, "format", JSON_REQUIRED, 32, PROOF_FORMAT),
	F_ANY(struct proof, header, "header", JSON_REQUIRED, "The header of the block that this is about."),
	F_FORM(struct proof, signature, "signature", 0, &form_signature_written, "The producer's signature; block 0 has none."),
	F_OBJECT(struct proof, state, "state", 0, &state_message, "What is shown of the state after the block."),
	F_OBJECT(struct proof, transaction, "transaction", 0, &tx_message, "What is shown to be in the block. One of the two is there."),
	F_LIST(struct proof, validator_steps, "validatorSteps", JSON_REQUIRED, 0, &proof_step_message,
	       "Every change of the validator set before the block, by height."),
};
JSON_MESSAGE(proof_message, "Proof", struct proof, proof_rows);

void proof_write(struct buf *out, const struct proof *p)
{
	json_write_canonical(out, &proof_message, p);
}

bool proof_read(struct str text, struct arena *arena, struct proof *out, struct error *err)
{
	if (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	if (!json_read_text(text, &proof_message, out, arena, err))
		return false;
	if (!str_is(out->format, PROOF_FORMAT))
		return error_set(err, ERR_MALFORMED_FIELD, "format must be " PROOF_FORMAT);
	if (!canonical_check(text))
		return error_set(err, ERR_NOT_CANONICAL, "the proof is not canonical JSON (RFC 8785)");
	if ((out->state != NULL) == (out->transaction != NULL))
		return error_set(err, ERR_MISSING_FIELD, "a proof shows either state or transaction");
	/* Fields that the tables do not know were passed over: they are missing in what is written from it. */
	struct buf again = {0};
	proof_write(&again, out);
	bool same = str_equal(buf_str(&again), text);
	buf_free(&again);
	return same || error_set(err, ERR_UNKNOWN_FIELD, "the proof has a field that it should not have");
}
