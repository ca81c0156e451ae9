#include "mesh_schema.h"

#include "base/attrs.h"

/* Append only. A statement that has to differ between the databases stands in the `sqlite` and `postgres` parts: here the tables that heartbeats write, which SQLite keeps in
 * one tree each (WITHOUT ROWID) instead of a table and an index. */
const struct db_migration mesh_migrations[] = {
	{
		.name = "0001 registry",
		.sql = "CREATE TABLE meta ("
		       " key TEXT PRIMARY KEY,"
		       " value TEXT NOT NULL);"
		       "CREATE TABLE nodes ("
		       " id TEXT PRIMARY KEY,"
		       " public_key TEXT NOT NULL UNIQUE,"
		       " status TEXT NOT NULL CHECK (status IN ('pending', 'active', 'offline', 'denied')),"
		       " role TEXT NOT NULL,"
		       " tailscale_hostname TEXT NOT NULL,"
		       " tailscale_ip TEXT,"
		       " region TEXT,"
		       " provider TEXT,"
		       " latitude TEXT,"
		       " longitude TEXT,"
		       " services TEXT NOT NULL,"
		       " registered_at BIGINT NOT NULL,"
		       " registration_time BIGINT NOT NULL,"
		       " approved_at BIGINT,"
		       " approved_by TEXT,"
		       " invite_key TEXT,"
		       " registration_entry BIGINT NOT NULL,"
		       " admission_entry BIGINT,"
		       " rotations TEXT NOT NULL);"
		       "CREATE UNIQUE INDEX nodes_by_status ON nodes (status, id, public_key);"
		       "CREATE INDEX nodes_by_status_and_role ON nodes (status, role, id);"
		       "CREATE TABLE sovereigns ("
		       " public_key TEXT PRIMARY KEY,"
		       " description TEXT,"
		       " added_at BIGINT NOT NULL,"
		       " added_by TEXT NOT NULL,"
		       " removed_at BIGINT,"
		       " last_timestamp BIGINT NOT NULL);"
		       "CREATE TABLE invites ("
		       " public_key TEXT PRIMARY KEY,"
		       " uses BIGINT NOT NULL,"
		       " used BIGINT NOT NULL CHECK (used <= uses),"
		       " expires BIGINT NOT NULL,"
		       " created_at BIGINT NOT NULL,"
		       " created_by TEXT NOT NULL,"
		       " revoked_at BIGINT,"
		       " entry BIGINT NOT NULL);"
		       "CREATE TABLE removed ("
		       " public_key TEXT PRIMARY KEY,"
		       " node_id TEXT NOT NULL,"
		       " not_before BIGINT NOT NULL);"
		       "CREATE TABLE audit_log ("
		       " idx BIGINT PRIMARY KEY,"
		       " time BIGINT NOT NULL,"
		       " message TEXT NOT NULL,"
		       " public_key TEXT NOT NULL,"
		       " signature TEXT NOT NULL,"
		       " outcome TEXT NOT NULL,"
		       " new_public_key TEXT,"
		       " new_signature TEXT,"
		       " details TEXT);"
		       "CREATE TABLE audit_tree ("
		       " level BIGINT NOT NULL,"
		       " position BIGINT NOT NULL,"
		       " hash BYTEA NOT NULL,"
		       " PRIMARY KEY (level, position));"
		       "CREATE TABLE audit_head ("
		       " id BIGINT PRIMARY KEY,"
		       " size BIGINT NOT NULL);"
		       "INSERT INTO audit_head (id, size) VALUES (1, 0);"
		       "CREATE TABLE local_event_head ("
		       " id BIGINT PRIMARY KEY,"
		       " last BIGINT NOT NULL);"
		       "INSERT INTO local_event_head (id, last) VALUES (1, 0);"
		       "CREATE TABLE local_events ("
		       " id BIGINT PRIMARY KEY,"
		       " time BIGINT NOT NULL,"
		       " type TEXT NOT NULL,"
		       " data TEXT NOT NULL);",
#define LIVENESS_TABLES(how)                                                                                                   \
	"CREATE TABLE local_liveness ("                                                                                        \
	" node_id TEXT PRIMARY KEY,"                                                                                           \
	" seen_at BIGINT NOT NULL,"                                                                                            \
	" last_heartbeat BIGINT,"                                                                                              \
	" heartbeat_time BIGINT NOT NULL,"                                                                                     \
	" ip TEXT,"                                                                                                            \
	" health TEXT,"                                                                                                        \
	" height BIGINT,"                                                                                                      \
	" version TEXT,"                                                                                                       \
	" beats BIGINT NOT NULL DEFAULT 0," /* heartbeats in `recent`; may begin higher, so that nodes do not settle together */ \
	" recent TEXT NOT NULL DEFAULT '')" how ";"                                                                                             \
	"CREATE TABLE local_heartbeats ("                                                                                      \
	" node_id TEXT NOT NULL,"                                                                                              \
	" time BIGINT NOT NULL,"                                                                                               \
	" received_at BIGINT NOT NULL,"                                                                                        \
	" height BIGINT,"                                                                                                      \
	" version TEXT,"                                                                                                       \
	" unhealthy TEXT,"                                                                                                     \
	" PRIMARY KEY (node_id, time))" how ";"
		.sqlite = LIVENESS_TABLES(" WITHOUT ROWID"),
		/* Lists are in byte order on both databases, whatever the cluster's locale; half-full pages leave room for the new version of a row beside the
		 * old one (heap-only tuples). */
		.postgres = LIVENESS_TABLES("") "ALTER TABLE nodes ALTER COLUMN id TYPE TEXT COLLATE \"C\";"
						"ALTER TABLE local_liveness ALTER COLUMN node_id TYPE TEXT COLLATE \"C\";"
						"ALTER TABLE local_liveness SET (fillfactor = 50);",
	},
	{
		/* Every snapshot carries the changes of sovereign keys: they are few among the entries. */
		.name = "0002 changes of keys",
		.sql = "CREATE INDEX audit_log_of_keys ON audit_log (idx) WHERE outcome = 'ok';",
	},
	{
		.name = "0003 what nodes add to the log in a day",
		.sql = "CREATE TABLE local_added ("
		       " node_id TEXT PRIMARY KEY,"
		       " day BIGINT NOT NULL,"
		       " bytes BIGINT NOT NULL);",
	},
	{
		.name = "0004 invites by pages",
		.sql = "CREATE INDEX invites_by_entry ON invites (entry);",
	},
};
const size_t mesh_migration_count = ARRAY_LEN(mesh_migrations);
