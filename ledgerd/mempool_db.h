/* The mempool in the ledger's own database: table local_pending. One process. */
#ifndef TANA_LEDGERD_MEMPOOL_DB_H
#define TANA_LEDGERD_MEMPOOL_DB_H

#include "db/db_pool.h"
#include "mempool_store.h"

/* The pool is used for reading and for what is appended; it must outlive the store. What a block takes is removed by the block's own transaction. */
struct mempool_store *mempool_db_open(struct db_pool *pool);

#endif
