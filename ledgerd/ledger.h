/*
 * One running ledgerd: what its parts share. Set up by ledgerd.c, read by the handlers.
 *
 * Readers ask the database through the pool's readers (ledger_read.h). What changes the chain goes through the core (core.h), which guards the chain
 * in memory with one lock.
 */
#ifndef TANA_LEDGERD_LEDGER_H
#define TANA_LEDGERD_LEDGER_H

#include "base/jobs.h"
#include "chain.h"
#include "daemon/command.h"
#include "db/db_pool.h"
#include "http/server.h"
#include "keys/keyfile.h"

#define LEDGER_DESCRIPTION "The ledger: signed transactions, blocks, and the state they make. Reads are open; every change is signed by its user."

enum ledger_role {
	LEDGER_PRODUCER, /* takes transactions and makes blocks */
	LEDGER_FRONT,    /* takes transactions for a producer on the same database and Redis */
	LEDGER_OBSERVER  /* follows another ledgerd */
};

struct ledger_config {
	const char *db_url;
	const char *genesis_file;          /* NULL: the database has it */
	const char *node_key_file;         /* NULL: none */
	const char *service_key_file;      /* NULL: the node's key */
	struct str validator_id;           /* absent: none */
	enum ledger_role role;
	const char *redis_url;             /* NULL: the mempool is in the database */
	bool redis_allow_lossy;
	const char *follow_url;            /* LEDGER_OBSERVER */
	const char *mesh_url, *t4_url, *identity_url; /* NULL: not there */
	int64_t block_interval_ms;         /* at most one block in it */
	int64_t empty_block_interval_ms;   /* a block after so long even when nothing waits; 0: never */
	int64_t pool_max;                  /* transactions that may wait */
	int64_t pool_bytes_max;            /* and bytes of their messages */
	int64_t cache_bytes;               /* of state entries in memory */
	int64_t refused_keep_ms;           /* how long a refusal stays readable */
	int64_t grant_keep_ms;             /* after that what was granted and never published is collected */
	int64_t heartbeat_interval_ms, content_interval_ms;
	int64_t content_rate;              /* bytes/s of content sync; 0: no limit */
	bool verify_full_on_start;
};

struct core;           /* core.h */
struct producer;       /* producer.h */
struct db_lock;        /* db/db_lock.h */
struct follower;       /* follower.h */
struct ledger_feed;    /* ledger_feed.h: events to streams */
struct ledger_jobs;    /* ledger_jobs.h: heartbeats, content sync, clean-up */

struct ledger {
	struct ledger_config config;
	struct arena arena;              /* for what lives as long as the process */
	struct db_pool *pool;
	struct db_pool *arrivals;        /* PostgreSQL: the mempool's own, so that what comes in is not kept waiting by a block that is written; else NULL */
	struct str chain_id;             /* "" until opened */
	struct genesis genesis;          /* in the arena */
	bool has_key;
	struct str node_id;              /* of the node key's file, or else the validator's id; absent: neither */
	struct ed25519_secret node_key;  /* signs blocks and heartbeats; wiped at stop */
	struct ed25519_secret service_key; /* <node_id>/ledger, as mesh knows it: signs tokens; the node's when there is no other. With has_key */
	struct core *core;
	struct db_lock *producer_lock;   /* NULL: another role */
	struct producer *producer;       /* NULL: another role */
	struct follower *follower;
	struct sse_hub *hub;
	struct ledger_feed *feed;
	struct ledger_jobs *jobs;
	bool (*end_asked)(void);         /* while it starts: is it to stop? NULL: nobody can ask */
	struct jobs *threads;            /* for what takes handlers long: whole blocks, proofs */
};

/* Reads the options into *l; opens nothing. ledger_close may be called after a failure of this or of what follows. */
MUST_CHECK bool ledger_configure(struct ledger *l, const struct invocation *in, struct error *err);
/* Do role, keys and places go together? ERR_CONFIG. ledger_open asks it too. */
MUST_CHECK bool ledger_check_roles(const struct ledger *l, struct error *err);
/* Opens the database (makes, migrates, and initialises an empty one from `given`, or the file of the options) and reads its genesis. For commands. */
MUST_CHECK bool ledger_open_database(struct ledger *l, const struct genesis *given, struct error *err);
/* The same, and key, mempool and core, for serving. */
MUST_CHECK bool ledger_open(struct ledger *l, struct error *err);
void ledger_close(struct ledger *l);

#endif
