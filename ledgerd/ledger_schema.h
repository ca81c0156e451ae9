/* The ledger's tables. docs/architecture.md tells what is in each; those named local_* are what no block vouches for. */
#ifndef TANA_LEDGERD_LEDGER_SCHEMA_H
#define TANA_LEDGERD_LEDGER_SCHEMA_H

#include "db/db_migrate.h"

extern const struct db_migration ledger_migrations[];
extern const size_t ledger_migration_count;

#endif
