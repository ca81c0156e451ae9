/*
 * The state machine: what each transaction does to the state, and when it is refused. Pure: a view, a transaction, the block's time, and a verdict.
 * The producer, the importer, a follower, the audit and the admission of transactions all call chain_apply, and nothing else changes state.
 */
#ifndef TANA_LEDGERD_CHAIN_RULES_H
#define TANA_LEDGERD_CHAIN_RULES_H

#include "chain_view.h"
#include "wire/block.h"
#include "wire/genesis.h"
#include "wire/tx.h"

enum { CHAIN_SKEW_MS = 60 * 1000 /* a transaction's timestamp may lie this far ahead of its block's */ };

/* Whose signature it is: a block's producer's, or one of the transaction `index` of the block. */
enum { CHAIN_PRODUCER = -1 };
struct chain_place {
	int64_t height, index;
};
/*
 * Judges a signature over a digest (SHA-256 of what is signed). A caller that checks signatures later, all at once, remembers the question and
 * says true: the block is then only as good as the answers.
 */
struct chain_verifier {
	bool (*check)(void *ctx, struct chain_place at, const struct ed25519_signature *s, const struct ed25519_public *key, const struct hash *digest);
	void *ctx;
};
/* Verifies at once. */
extern const struct chain_verifier chain_verifier_strict;

struct chain_rules {
	struct str chain_id;
	struct genesis_params params;
	struct chain_verifier verifier;
	struct chain_place at; /* what is being judged, for the verifier */
	/* The validators in the view's source, sorted by id: those before the block. */
	const struct validator *validators;
	size_t validator_count;
};

enum chain_verdict {
	CHAIN_APPLIED,
	CHAIN_REFUSED, /* *err has the code; nothing changed */
	CHAIN_FAILED   /* the state could not be read (*err): no verdict, and nothing changed */
};
/* Judges and applies one transaction in a block of this time (ms), with every check of the protocol behind those of tx_parse. */
MUST_CHECK enum chain_verdict chain_apply(const struct chain_rules *rules, struct chain_view *v, const struct tx *t, const struct ed25519_signature *signature,
					  int64_t block_time, struct error *err);
/*
 * For one that has to wait for others of its user: all checks up to `expired`, its nonce being one of the next `ahead` ones. Changes nothing.
 * CHAIN_APPLIED: it may wait.
 */
MUST_CHECK enum chain_verdict chain_may_wait(const struct chain_rules *rules, struct chain_view *v, const struct tx *t,
					     const struct ed25519_signature *signature, int64_t block_time, int64_t ahead, struct error *err);
/*
 * The keys that chain_apply will ask for, as far as the transaction alone tells; for those who fetch them together beforehand. At most
 * CHAIN_KEYS_MAX, in the arena.
 */
enum { CHAIN_KEYS_MAX = 12 };
size_t chain_keys_of(const struct tx *t, struct arena *arena, struct str keys[CHAIN_KEYS_MAX]);

/* Puts what the genesis describes into an empty view. */
void chain_apply_genesis(struct chain_view *v, const struct genesis *g);

#endif
