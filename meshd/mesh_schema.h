/*
 * The registry's tables. All but those named local_* follow from the log: `meshd verify` replays it and compares every column. What local_* holds (liveness, history,
 * events, migrations) is nobody's signed word and is left out of the audit.
 */
#ifndef TANA_MESHD_MESH_SCHEMA_H
#define TANA_MESHD_MESH_SCHEMA_H

#include "db/db_migrate.h"

extern const struct db_migration mesh_migrations[];
extern const size_t mesh_migration_count;

#endif
