/* The database's tables (docs/architecture.md), and how they came to be. */
#ifndef TANA_IDENTITYD_IDENTITY_SCHEMA_H
#define TANA_IDENTITYD_IDENTITY_SCHEMA_H

#include "db/db_migrate.h"

extern const struct db_migration identity_migrations[];
extern const size_t identity_migration_count;

#endif
