/*
 * Where accepted transactions wait until they are in a block: the seam between the core, which judges and orders them, and what keeps them through
 * a crash. Two implementations: the ledger's own database, and a Redis stream that several front ends share with one producer.
 *
 * The way of a transaction: the core judges it, hands it to `append`, and answers 202 once that is done. Entries come to the core through
 * `offer`, each with the handle by which the store knows it: on a start all that was kept, in its order; on a shared store also what other front
 * ends accept, and what this one appended itself, before or after its `done`. A transaction in a block (or refused for good) is removed in two
 * steps: `remove_in` joins the database transaction, `settled` follows its commit. A crash in between leaves an entry that is offered once more
 * after the next start: the core knows it by its id.
 */
#ifndef TANA_LEDGERD_MEMPOOL_STORE_H
#define TANA_LEDGERD_MEMPOOL_STORE_H

#include "base/error.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "db/db.h"

/* A store's name for an entry; the order of handles is the order of the entries. */
struct mempool_handle {
	uint64_t major, minor;
};
static inline bool mempool_handle_eq(struct mempool_handle a, struct mempool_handle b) { return a.major == b.major && a.minor == b.minor; }

struct mempool_entry {
	struct mempool_handle handle;
	struct str message;          /* any bytes: a shared store's are not our own */
	struct ed25519_signature signature;
	int64_t received_at;         /* ms, when it was appended, by the store's clock */
};

/* One being made durable. The caller's memory until `done`, message included. */
struct mempool_append {
	struct hash id; /* of the message */
	struct str message;
	struct ed25519_signature signature;
	int64_t received_at;
	/*
	 * Called once, on a thread of the store's; must not block on the store. err NULL: durable, under *handle. ERR_UNAVAILABLE leaves open whether
	 * it was kept: if it was, it will be offered. ERR_STORAGE_FULL, ERR_OVERLOADED, ERR_SHUTTING_DOWN: it was not.
	 */
	void (*done)(struct mempool_append *a, const struct mempool_handle *handle, const struct error *err);
	/* The store's: */
	struct mempool_append *next;
};

/* The core's answer to an entry. */
enum mempool_offer {
	OFFER_WAITS,   /* it waits here under this very handle (perhaps since before): the store keeps it until it is settled */
	OFFER_SETTLED, /* nothing waits for it: in a block, refused for good, waiting already under another handle, or no transaction at all */
	OFFER_LATER    /* no verdict: the state could not be read (*err). It is offered again after a while, before any other */
};
/* What a store calls, on threads of its own. Offers come one at a time, in the order of the entries, and may block on the database. */
struct mempool_events {
	void *core;
	enum mempool_offer (*offer)(void *core, const struct mempool_entry *e, struct error *err);
	/* All entries that were kept at the start have been offered. Called once. */
	void (*caught_up)(void *core);
	/* Another process on the same store has made a block, or refused something: what it did is in the database. Perhaps while an offer is under
	 * way; perhaps for nothing; and it may be missed, so a look now and then is needed besides. */
	void (*moved)(void *core);
};

struct mempool_store {
	const struct mempool_store_ops *ops; /* at the head of an implementation's own struct */
};
struct mempool_store_ops {
	/* Begins to offer what is kept. Returns at once; a store that cannot be reached now is reached later. */
	bool (*start)(struct mempool_store *s, const struct mempool_events *e, struct error *err);
	/* Any thread, also while the core's lock is held: never waits, never calls done before it returns. Appends of one thread keep their order. */
	void (*append)(struct mempool_store *s, struct mempool_append *a);
	/* Within the database transaction that settles them, on its writer's thread. May run again when the transaction does. */
	enum db_status (*remove_in)(struct mempool_store *s, struct db_conn *c, const struct mempool_handle *handles, size_t count, struct error *err);
	/* After its commit. Any thread; never waits. Handles are copied. Called with none too: then others only learn that the chain moved. */
	void (*settled)(struct mempool_store *s, const struct mempool_handle *handles, size_t count);
	/* Does it take entries now? For /ready, and for refusing at once. Never waits. */
	bool (*ready)(struct mempool_store *s, struct error *err);
	/* Ends its threads: no event comes afterwards; appends under way end with ERR_SHUTTING_DOWN or as they did. What is settled is carried out as
	 * far as a second allows. Frees. */
	void (*free)(struct mempool_store *s);
};

#endif
