/*
 * The wallet side of the ledger: transactions made, signed, handed in and waited for. What a program needs that moves money: a ledger client, the
 * id of the chain, a user's id and its key.
 *
 *	struct wallet_order o = wallet_order(TX_TRANSFER);
 *	o.value[TXF_TO] = to; o.value[TXF_AMOUNT] = STR_LIT("12.50"); o.value[TXF_CURRENCY_CODE] = STR_LIT("USD");
 *	wallet_send(&w, &o, &arena, &sent, &err) && wallet_wait(&w, &sent.id, 30000, &arena, &tx, &err)
 *
 * Signing happens here, from typed fields: a key never signs bytes that came from somewhere else, and every message names its chain.
 */
#ifndef TANA_CLIENT_WALLET_H
#define TANA_CLIENT_WALLET_H

#include "client/ledger_client.h"

enum {
	WALLET_NONCE_ATTEMPTS = 8,       /* signed anew, with a fresh nonce, so often in all: two programs may spend for one user at once */
	WALLET_SEND_PATIENCE_MS = 20000, /* the same bytes are handed in again for so long while the ledger cannot be reached or is busy */
	WALLET_POLL_MS = 100,            /* between two questions whether a transaction is in a block, at first; */
	WALLET_POLL_MAX_MS = 1000        /* later */
};

struct wallet {
	struct ledger_client *ledger;      /* NULL: for signing only */
	struct str chain_id;
	struct str user_id;                /* who signs; user_creation: not needed, it follows from the key */
	const struct ed25519_secret *key;  /* the user's present key; the caller's to wipe */
	const volatile int *stop;          /* nonzero ends what waits (ERR_INTERRUPTED); may be NULL */
};

/* What is to be done. The fields of the type are the caller's; chainId, type, from, nonce, timestamp are filled in, as are publicKey and proof of a
 * key_rotation. Integers are decimal text. */
struct wallet_order {
	enum tx_type type;
	struct str value[TXF_COUNT];
	const struct ed25519_secret *new_key; /* key_rotation: the key to change to; user_creation: ignored, `key` of the wallet is the new user's */
};
struct wallet_order wallet_order(enum tx_type type);

struct wallet_signed {
	struct str message; /* canonical bytes, in the arena */
	struct hash id;
	struct ed25519_signature signature;
	int64_t nonce;
};
/*
 * Makes and signs the message without asking anybody: for offline use, with a nonce and a time of the caller's. What the form of a field does not
 * allow is refused here with the ledger's own codes. A user_creation needs nonce 0.
 */
MUST_CHECK bool wallet_sign(const struct wallet *w, const struct wallet_order *o, int64_t nonce, int64_t timestamp, struct arena *arena,
			    struct wallet_signed *out, struct error *err);
/* Hands it in, the same bytes again and again for WALLET_SEND_PATIENCE_MS while the ledger cannot be reached, is busy, or its answer was lost: a
 * transaction counts once however often it arrives. */
MUST_CHECK bool wallet_submit(const struct wallet *w, const struct wallet_signed *s, struct arena *arena, struct ledger_receipt *out,
			      struct error *err);
/* Asks for the nonce, signs with this machine's clock, hands in; signs anew when another transaction of the user took the nonce. True: the ledger
 * has it durably (it may yet be refused when its turn comes: wallet_wait). */
MUST_CHECK bool wallet_send(const struct wallet *w, const struct wallet_order *o, struct arena *arena, struct wallet_signed *sent,
			    struct error *err);
/* Waits until it is in a block, or refused: out->status says which. ERR_TIMED_OUT when it still waits then; ERR_INTERRUPTED. */
MUST_CHECK bool wallet_wait(const struct wallet *w, const struct hash *id, int64_t timeout_ms, struct arena *arena, struct ledger_tx *out,
			    struct error *err);
/* Turns a refused transaction into *err: its code and sentence. Returns false. */
bool wallet_refused(const struct ledger_tx *t, struct error *err);

/* A staff user's word for a new user, where registration is not open: fills the order's approval. The wallet's user is the staff user. */
void wallet_approve(const struct wallet *w, struct wallet_order *creation, const struct ed25519_public *new_user, struct str username,
		    struct arena *arena);
/* Asks the ledger for an upload grant: for these bytes, of this user, for a few minutes. */
MUST_CHECK bool wallet_grant(const struct wallet *w, const struct hash *hash, int64_t size, struct arena *arena, struct ledger_grant *out,
			     struct error *err);

#endif
