/*
 * A chain in memory: its genesis, its validators, its tip and the Merkle tree of its state; and blocks, made or checked on top of it. Pure but for
 * memory: entries are read through a chain_source, blocks come and go as bytes, time and keys are the caller's. The same code serves the producer,
 * the importer, a follower and the audit.
 *
 * A block goes through two steps: chain_make or chain_check computes everything, with the tree already moved to the state after it; then
 * chain_accept (the block is kept) or chain_abandon (it is as if it had never been).
 */
#ifndef TANA_LEDGERD_CHAIN_H
#define TANA_LEDGERD_CHAIN_H

#include "chain_rules.h"
#include "crypto/merkle_tree.h"

struct chain {
	struct arena arena; /* for what lives as long as the chain */
	struct genesis genesis;
	struct chain_rules rules;      /* its validators are those after the tip */
	struct arena validator_arena;
	struct hash validators_hash;
	int64_t height, timestamp;     /* of the tip; height -1: not even block 0 */
	struct hash tip, state_root;
	struct merkle_tree *tree;
};
/* An empty chain of a genesis (copied). */
void chain_init(struct chain *c, const struct genesis *g);
void chain_free(struct chain *c);
/* Stands at a block that was read from somewhere: its tip and validators (sorted by id; copied). The tree is the caller's to fill. */
void chain_stand_at(struct chain *c, const struct block_header *h, const struct hash *hash, const struct validator *v, size_t count);
/* The validator of this id, as of the tip; NULL. */
const struct validator *chain_validator(const struct chain *c, struct str id);

/* A block being made or checked, and what it does to the state. Zeroed by the two functions that fill it. */
struct chain_work {
	struct arena arena;
	struct chain_view view;
	struct block_header header;
	struct block block;                /* bytes: in the arena (made) or the caller's (checked) */
	struct tx *txs;                    /* as block.txs */
	struct chain_changes changes;
	struct merkle_tree_change *undo;   /* of the tree; as many as changes */
};

/* A block whose bytes were read, before it is known whether it fits the chain: all that needs no state, so that it can be done anywhere. */
struct chain_decoded {
	const struct block *block;
	struct block_header header;
	struct hash header_hash, tx_root, changes_root;
	struct tx *txs;
	int64_t bytes;              /* as maxBlockBytes counts */
	/* What did not have its form: the header (txs was read all the same), or the first transaction of that kind. */
	bool header_bad, tx_bad;
	size_t tx_bad_index;
	struct error header_error, tx_error;
};
void chain_decode(const struct chain *c, const struct block *b, struct arena *arena, struct chain_decoded *out);

/* What an audit says about a block; the names are those of the protocol. */
enum chain_test {
	TEST_HASH,
	TEST_LINK,
	TEST_TX_ROOT,
	TEST_SIGNATURES,
	TEST_PRODUCER_SIGNATURE,
	TEST_TRANSACTIONS,
	TEST_STATE_CHANGES,
	TEST_STATE_ROOT,
	TEST_DATABASE,
	TEST_COUNT
};
const char *chain_test_name(enum chain_test t); /* "hashValid" ... */
struct chain_finding {
	enum chain_test test;
	struct chain_place at;       /* index CHAIN_PRODUCER: the block itself */
	struct str where;            /* a state entry's key, or a table's row; absent: the block or transaction */
	struct str expected, found;  /* absent: nothing should be, or is, there */
	const char *what;            /* one sentence for a person */
};
struct chain_report {
	void (*found)(void *ctx, const struct chain_finding *f);
	void *ctx;
};

/*
 * Checks a block on top of the chain, with every check of the protocol; each finding is reported, and the state goes on as recomputed. Returns
 * false when the state could not be read (*err): nothing is known then, and there is nothing to abandon. *clean: nothing was found (signatures as
 * the chain's verifier answers).
 */
MUST_CHECK bool chain_check(struct chain *c, struct chain_source source, const struct chain_decoded *d, const struct chain_report *report,
			    struct chain_work *w, bool *clean, struct error *err);
/* Block 0, made from the genesis. */
void chain_make_genesis(struct chain *c, struct chain_work *w);

/* Transactions offered for a new block, in the order in which they may go in. */
struct chain_offer {
	struct tx tx;
	struct ed25519_signature signature;
	void *owner;                /* the caller's */
	enum chain_verdict verdict; /* set by chain_make */
	bool left;                  /* not looked at: the block was full */
	const struct error *error;  /* when refused: why, in the work's arena */
};
/*
 * Makes a block of what is valid among the offers: time is at least `now` (ms) and after the tip's. Returns false when the state could not be read:
 * nothing to abandon then. The messages of offers must live as long as *w.
 */
MUST_CHECK bool chain_make(struct chain *c, struct chain_source source, struct chain_offer *offers, size_t count, int64_t now, struct str producer,
			   const struct ed25519_secret *key, struct chain_work *w, struct error *err);

/* The validators after the block, by id, in the arena (texts: the chain's or the work's); false: they are those before it. Before chain_accept. */
MUST_CHECK bool chain_validators_after(const struct chain *c, const struct chain_work *w, struct arena *arena, struct validator **out, size_t *count);
void chain_accept(struct chain *c, struct chain_work *w);  /* frees *w's view's claims on the tree; *w stays readable until chain_work_free */
void chain_abandon(struct chain *c, struct chain_work *w); /* and frees *w */
void chain_work_free(struct chain_work *w);

#endif
