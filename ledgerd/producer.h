/* The thread that makes blocks: whenever transactions wait, at most one in an interval. One process a database: it holds the database's lock. */
#ifndef TANA_LEDGERD_PRODUCER_H
#define TANA_LEDGERD_PRODUCER_H

#include "ledger.h"

/* l->producer_lock: the right to make blocks in l's database. ERR_WRONG_STATE: another process has it. Taken before the chain is read, so that nobody else makes it grow. */
MUST_CHECK bool producer_claim(struct ledger *l, struct error *err);
/* ERR_CONFIG when l's key is not that of the validator as the chain knows it now. */
MUST_CHECK bool producer_check_key(struct ledger *l, struct error *err);
/* Once that is so. It waits until core_start has brought what there is. */
MUST_CHECK struct producer *producer_start(struct ledger *l, struct error *err);
/* The block under way is finished. NULL is allowed. */
void producer_stop(struct producer *p);

#endif
