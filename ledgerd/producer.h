/* The thread that makes blocks: whenever transactions wait, at most one in an interval. One process a database: it holds the database's lock. */
#ifndef TANA_LEDGERD_PRODUCER_H
#define TANA_LEDGERD_PRODUCER_H

#include "db/db_lock.h"
#include "ledger.h"

/*
 * The right to make blocks in l's database, for a command or the producer below: ERR_WRONG_STATE when another process has it, ERR_CONFIG when
 * l's key is not that of the validator as the chain knows it now.
 */
MUST_CHECK struct db_lock *producer_claim(struct ledger *l, struct error *err);
/* Takes over the lock. */
MUST_CHECK struct producer *producer_start(struct ledger *l, struct db_lock *lock, struct error *err);
/* The block under way is finished. NULL is allowed. */
void producer_stop(struct producer *p);

#endif
