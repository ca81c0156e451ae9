#include "ledger_checkpoint.h"

#include "crypto/canonical.h"
#include "json/fields.h"
#include "wire/genesis.h"
#include "wire/mesh.h"

#define CHECKPOINT_TYPE "tana-ledger-checkpoint/1"

struct note {
	struct str type, chain_id, hash, state_root, public_key, signature;
	int64_t height;
};
static const struct json_field note_rows[] = {
	F_TEXT(struct note, chain_id, "chainId", JSON_REQUIRED, 64, "The chain."),
	F_FORM(struct note, hash, "hash", JSON_REQUIRED, &form_hash, "The block's hash."),
	F_INT(struct note, height, "height", JSON_REQUIRED, 0, JSON_INT_MAX, "The block's height."),
	F_FORM(struct note, public_key, "publicKey", JSON_REQUIRED, &form_public_key_written, "Who says so."),
	F_FORM(struct note, signature, "signature", 0, &form_signature_written, "Over the rest."),
	F_FORM(struct note, state_root, "stateRoot", JSON_REQUIRED, &form_hash, "The state after the block."),
	F_TEXT(struct note, type, "type", JSON_REQUIRED, 64, CHECKPOINT_TYPE),
};
static JSON_MESSAGE(note_message, "LedgerCheckpoint", struct note, note_rows);

void checkpoint_note_sign(struct buf *out, const struct checkpoint_note *n, const struct ed25519_secret *key)
{
	char hash[HASH_TEXT_LEN + 1], root[HASH_TEXT_LEN + 1], public_key[ED25519_PUBLIC_TEXT_LEN + 1], signature[ED25519_SIGNATURE_TEXT_LEN + 1];
	struct ed25519_signature sig;
	struct buf unsigned_text = {0};
	hash_to_text(&n->hash, hash);
	hash_to_text(&n->state_root, root);
	ed25519_public_to_text(&key->public_key, public_key);
	struct note note = {
		.type = STR_LIT(CHECKPOINT_TYPE),
		.chain_id = n->chain_id,
		.height = n->height,
		.hash = str_from(hash),
		.state_root = str_from(root),
		.public_key = str_from(public_key),
	};
	json_write_canonical(&unsigned_text, &note_message, &note);
	ed25519_sign_message(&sig, key, buf_str(&unsigned_text));
	buf_free(&unsigned_text);
	ed25519_signature_to_text(&sig, signature);
	note.signature = str_from(signature);
	json_write_canonical(out, &note_message, &note);
	buf_putc(out, '\n');
}

bool checkpoint_note_open(struct str text, struct arena *arena, struct checkpoint_note *out, struct error *err)
{
	struct note note;
	struct ed25519_signature signature;
	struct buf again = {0};
	if (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	if (!json_read_text(text, &note_message, &note, arena, err))
		return false;
	json_write_canonical(&again, &note_message, &note);
	bool same = str_equal(buf_str(&again), text) && str_is(note.type, CHECKPOINT_TYPE) && str_present(note.signature);
	buf_clear(&again);
	if (!same) {
		buf_free(&again);
		return error_set(err, ERR_MALFORMED_FIELD, "this is no checkpoint of a ledger");
	}
	*out = (struct checkpoint_note){.chain_id = note.chain_id, .height = note.height};
	bool ok = hash_from_text(note.hash, &out->hash) && hash_from_text(note.state_root, &out->state_root) &&
		  ed25519_public_from_text(note.public_key, KEY_WRITTEN, &out->signer, err) &&
		  ed25519_signature_from_text(note.signature, KEY_WRITTEN, &signature, err);
	note.signature = STR_NONE;
	json_write_canonical(&again, &note_message, &note);
	ok = ok && (ed25519_verify_message(&signature, &out->signer, buf_str(&again)) ||
		    error_set(err, ERR_BAD_SIGNATURE, "the checkpoint's signature is not that of the key it names"));
	buf_free(&again);
	return ok;
}
