/* Inside the core: what its files share. Everything here is guarded by `lock` unless it says otherwise. */
#ifndef TANA_LEDGERD_CORE_INSIDE_H
#define TANA_LEDGERD_CORE_INSIDE_H

#include <pthread.h>

#include "core.h"
#include "ledger_store.h"
#include "mempool_store.h"
#include "refused_set.h"
#include "state_cache.h"

enum pending_where {
	PENDING_READY,  /* in the order of the queue: its effects are in the outlook */
	PENDING_PARKED, /* waits for an earlier nonce of its user */
	PENDING_GONE    /* out of the pool; kept only until its append ends */
};
struct core_pending {
	struct core *core;
	struct mempool_append append;      /* id, message, signature; message lies behind the struct */
	enum pending_where where;
	uint64_t number;                   /* of its coming into the list it is in, from 1 */
	size_t place;                      /* in that list's places */
	struct str from;                   /* in message's copy of the sender's id: `user` */
	int64_t nonce, timestamp;
	struct tx tx;                      /* when all of its texts are spans of `message` */
	bool parsed;                       /* they are */
	bool appending;                    /* the store has it, and has not said done */
	bool durable;
	bool has_handle;
	struct mempool_handle handle;
	bool leaving;                      /* it leaves its list once there is an outlook without it; until then it waits, to all who ask */
	bool verified;                     /* its signature is `key`'s */
	struct ed25519_public key;
	struct admission_request *requests; /* whoever waits for the answer */
	struct core_pending *next, *previous; /* of the ready list, or of the parked */
	char user[USER_ID_LEN];
	char id_bytes[HASH_SIZE];           /* the map's key: the id's bytes */
	char slot[USER_ID_LEN + 8];        /* the map's key of a parked one: user and nonce */
};
/* In the order of numbers. */
struct pending_list {
	struct core_pending *first, *last;
	size_t count;
	/* For finding a number: one place for each that came, until places are given anew. Those of no use any more know how far the next of use may be. */
	struct pending_place {
		uint64_t number;
		struct core_pending *p; /* NULL: it has left */
		size_t skip;
	} *places;
	size_t begin, end, cap; /* what lies before `begin` has left */
};

struct core {
	struct ledger *l;
	pthread_mutex_t lock;
	pthread_cond_t changed;            /* something became ready, durable or loaded; or the end */
	struct chain chain;
	struct arena scratch;              /* of the lock's holder, reset by it */
	struct state_cache *cache;
	uint64_t epoch;                    /* grows when the cache follows a block */
	unsigned look_ahead;               /* so many admissions look first for entries that are not cached: some were not, a while ago */
	struct chain_view outlook;         /* the state when all that is ready has been applied */
	bool outlook_stale;                /* something it has left the queue: pool_tend_outlook comes before it is asked */
	int64_t outlook_made_ms;           /* monotonic: when it was last made anew */
	uint64_t outlook_makings;          /* how often it was */
	struct strmap leaving;             /* of struct core_pending *, by their users: one of each user that has any */
	size_t outlook_applied;            /* transactions tried on it since it was empty: its memory grows with each, and with each entry asked for */
	struct strmap by_id, parked_slots; /* of struct core_pending * */
	struct pending_list ready, parked;
	uint64_t next_number, pool_bytes;
	struct core_stats stats;
	struct refused_set *refused;       /* ids of refusals on record, as a hint where to look; NULL: another process writes them */
	int64_t refusals_height, refusals_of_height; /* how many refusals have an event of that height; the committing thread's */
	struct mempool_store *store;       /* NULL: an observer's, and in commands */
	bool caught_up;                    /* the store has offered what was kept */
	bool tree_loaded;
	struct error problem;              /* why nothing goes on, code ERR_COUNT: none */
	bool stopping;
	void (*moved)(void *ctx);          /* set before the threads */
	void *moved_ctx;
	bool committing;                   /* a block is on its way into the database: the tree is ahead of the tip */
	pthread_t loader;                  /* of the tree */
	bool loader_runs;
};

/* core.c */
enum { LOOK_AHEAD = 1000 /* admissions, after an entry was read from the database */ };
struct chain_source core_source(struct core *c);
/* The last nonce of a user as a view sees it; false: there is none, or it cannot be read. */
MUST_CHECK bool core_last_nonce(struct core *c, struct chain_view *v, struct str user, int64_t *nonce);
/* The last one in a block; -1: none is, since its creation waits, or it is not there at all. False: it cannot be read. */
MUST_CHECK bool core_committed_nonce(struct core *c, struct str user, int64_t *nonce, struct error *err);
/* Whose signature it should be, as the outlook has it; false: that is not known. */
MUST_CHECK bool core_signer_key(struct core *c, const struct tx *t, struct ed25519_public *key);
int64_t core_now(void);
void core_fail(struct core *c, const struct error *why); /* the first one stays */
/* After a failed statement: is it one of the database's being away? Turns *err into what leaves the process. */
bool core_is_away(enum db_status st);

/* core_pool.c: the queue in memory */
enum { PARKED_CHECK_MS = 1000 };
struct core_pending *pool_new(struct core *c, const struct tx *t, const struct ed25519_signature *s, int64_t received_at);
void pool_insert(struct core *c, struct core_pending *p, enum pending_where where);
/* Out of the lists and maps; frees it unless its append is under way. */
void pool_remove(struct core *c, struct core_pending *p);
struct core_pending *pool_find(struct core *c, const struct hash *id);
/* The first one of a list whose number is greater; NULL: none. Takes a number of steps that does not grow with the list. */
struct core_pending *pool_behind(struct pending_list *l, uint64_t number);
struct core_pending *pool_find_parked(struct core *c, struct str user, int64_t nonce);
/* Moves parked ones of this user whose turn has come to the end of the queue. */
void pool_promote(struct core *c, struct str user);
/* Back among the parked: what came before it is gone. False when another one has its nonce there. */
MUST_CHECK bool pool_park(struct core *c, struct core_pending *p);
/* The outlook anew, after something left the queue otherwise than from its front. It stays stale when the state cannot be read. */
void pool_rebuild(struct core *c);
/* Marks one that is ready as leaving. */
void pool_leave_soon(struct core *c, struct core_pending *p);
/*
 * The outlook anew, without what is leaving. It is made beside the old one; where that takes long, piece by piece, and the lock is given up in between, so that
 * others come to their turn. `let_go` is called right before it takes the old one's place, and takes what is leaving out of the queue: so that nobody sees one
 * without the other. One thread at a time.
 */
void pool_remake(struct core *c, void (*let_go)(void *ctx), void *ctx);
/* Nothing of this user is leaving, so that the outlook says which nonce is its next. False: ERR_UNAVAILABLE, for some moments. */
MUST_CHECK bool pool_is_settled(struct core *c, struct str user, struct error *err);
/* The nonce of a user after all of its transactions that are ready and stay so, counted one by one; false: there are none, or the state cannot be read. */
MUST_CHECK bool pool_count_nonces(struct core *c, struct str user, int64_t *last_nonce);
/* Empty: nothing is ready. */
void pool_reset_outlook(struct core *c);
/*
 * The same as pool_rebuild when it is stale, or holds far more than what is ready needs: whatever is asked for, and refused, leaves something in it.
 * False (ERR_UNAVAILABLE): it stays stale for now, since making it anew each time would leave no time for anything else, or the state cannot be read.
 */
MUST_CHECK bool pool_tend_outlook(struct core *c, struct error *err);
/* Applies one to the outlook without looking at its signature. */
enum chain_verdict pool_apply(struct core *c, const struct tx *t, const struct ed25519_signature *s, struct error *err);
/* The transaction that waits: as it was read, or read again, in the arena; it was fine once (invariant). */
void pool_parse(const struct core_pending *p, struct arena *arena, struct tx *out);
void pool_free_all(struct core *c);

/* core.c: as core_is_validator, under the lock. */
bool core_has_validator(const struct core *c, struct str id, const struct ed25519_public *key);

/* core_offer.c: what the store brings */
extern const struct mempool_events core_mempool_events;

/* core_blocks.c: what leaves the queue for good, written with a block or without */
struct core_refusal {
	struct core_pending *pending;
	struct error why;
};
/* Waits for the database; not under the lock. *w NULL: refusals only. On true the rows are there for good. */
MUST_CHECK bool core_commit(struct core *c, const struct chain_work *w, const struct mempool_handle *handles, size_t handle_count,
			    const struct core_refusal *refusals, size_t refusal_count, struct error *err);
/* The cache and the chain follow a block that is in the database; under the lock. */
void core_follow(struct core *c, struct chain_work *w);

/* core_tree.c */
MUST_CHECK bool core_tree_check(struct core *c, struct db_conn *conn, struct error *err); /* the stored root against the tip, before anything is served */
/* Reads and compares all: behind, or now, as configured. ERR_INTERRUPTED: asked to stop meanwhile. */
MUST_CHECK bool core_tree_start(struct core *c, struct error *err);

#endif
