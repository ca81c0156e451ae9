/*
 * Blocks as bytes (docs/protocol.md, "Blocks"): headers, the validator list they commit to, and the lines of a chain file (tana-chain/1).
 */
#ifndef TANA_WIRE_BLOCK_H
#define TANA_WIRE_BLOCK_H

#include "wire/tx.h"

#define GENESIS_PRODUCER "genesis"
enum { BLOCK_VERSION = 1 };

struct block_header {
	struct str chain_id, producer;
	int64_t height, timestamp, tx_count;
	struct hash previous_hash, tx_root, changes_root, state_root, validators_hash;
	struct hash genesis_hash; /* written at height 0 only */
};
/* Appends the canonical text; the block's hash is its SHA-256. */
void block_header_write(struct buf *out, const struct block_header *h);
/*
 * Reads a canonical header: exactly its fields, each of its form, version 1. ERR_NOT_CANONICAL, ERR_MISSING_FIELD, ERR_UNKNOWN_FIELD,
 * ERR_MALFORMED_FIELD. Texts are spans of `text`.
 */
MUST_CHECK bool block_header_read(struct str text, struct block_header *out, struct error *err);

struct validator {
	struct str id, public_key; /* written form */
	int64_t power;
};
/* The value of `validator:<id>`. */
void validator_write(struct buf *out, const struct validator *v);
MUST_CHECK bool validator_read(struct str value, struct validator *out);
/* SHA-256 of the canonical list of those values, sorted by id (invariant). */
void validators_hash(struct hash *out, const struct validator *v, size_t count);

struct block_tx {
	struct str message;
	struct ed25519_signature signature;
};
/* A block as it is handed around. The texts are the exact bytes that were hashed and signed. */
struct block {
	struct str header;
	struct hash hash;
	bool has_signature; /* block 0 has none */
	struct ed25519_signature signature;
	struct block_tx *txs;
	size_t tx_count;
	struct str changes; /* canonical list of {after, before, key} */
};
/* Appends the line of a chain file, without the newline. */
void block_line_write(struct buf *out, const struct block *b);
/* Reads one, given without its newline; transactions may carry their `id` beside. Form only: what the bytes claim is for others to check. Spans of
 * `line`, and an array in the arena. */
MUST_CHECK bool block_line_read(struct str line, struct arena *arena, struct block *out, struct error *err);
/* Likewise of an object within canonical text that was checked. */
MUST_CHECK bool block_read(struct str object, struct arena *arena, struct block *out, struct error *err);

/* The first line: {"format":"tana-chain/1","genesis":{..}}. */
void chain_file_head_write(struct buf *out, struct str genesis);
MUST_CHECK bool chain_file_head_read(struct str line, struct str *genesis, struct error *err);

/* ---- What a block's roots are made of ---- */

/* Leaf of txRoot: message bytes and 64 signature bytes. */
void block_tx_leaf(struct hash *out, const struct block_tx *t);
/* Appends {"after":..,"before":..,"key":..}; an absent value is null. */
void block_change_write(struct buf *out, struct str key, struct str before, struct str after);

#endif
