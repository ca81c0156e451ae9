#include "ledger_schema.h"

#include "base/attrs.h"

/*
 * Append only. Tables are trees of their own (WITHOUT ROWID) on SQLite; on PostgreSQL texts that are ordered are in byte order, whatever the
 * cluster's locale.
 *
 * meta                what the database belongs to: `genesis`, its canonical text
 * blocks              the exact bytes that were hashed and signed; `changes` is the canonical list of what the block did to the state
 * transactions        likewise; one row a transaction, in the order of their blocks
 * state               the entries after the last block: what the protocol calls the state, key by key
 * state_lists         entries found otherwise than by key: see state_list.h. Follows from `state`
 * open_requests       deposits and withdrawals that wait, in the order of the chain: see state_list.h. Follows from `state` and `transactions`
 * transaction_runs,
 * transaction_index   transactions by id, account and type: see tx_index.h. Follow from `transactions`
 * validator_steps     for proofs: blocks that changed the set of validators, and what shows it (ledger_proof.h). Follows from the blocks
 * local_pending       accepted, and not in a block yet
 * local_refused       accepted, and refused when their turn came; kept for a while. event_id: ledger_feed.h
 * local_tree          hashes of the state tree's subtrees, to check the root at a start before the entries are read
 * local_grants        upload grants given out
 */
#define TABLES(how, ordered)                                                                                                   \
	"CREATE TABLE blocks ("                                                                                                \
	" height BIGINT PRIMARY KEY,"                                                                                          \
	" hash TEXT NOT NULL UNIQUE,"                                                                                          \
	" header TEXT NOT NULL,"                                                                                               \
	" signature TEXT,"                                                                                                     \
	" changes TEXT NOT NULL);"                                                                                             \
	"CREATE TABLE transactions ("                                                                                          \
	" height BIGINT NOT NULL,"                                                                                             \
	" idx BIGINT NOT NULL,"                                                                                                \
	" id TEXT NOT NULL UNIQUE,"                                                                                            \
	" message TEXT NOT NULL,"                                                                                              \
	" signature TEXT NOT NULL,"                                                                                            \
	" PRIMARY KEY (height, idx))" how ";"                                                                                  \
	"CREATE TABLE state ("                                                                                                 \
	" key TEXT" ordered " PRIMARY KEY,"                                                                                    \
	" value TEXT NOT NULL)" how ";"                                                                                        \
	"CREATE TABLE state_lists ("                                                                                           \
	" list TEXT" ordered " NOT NULL,"                                                                                      \
	" key TEXT" ordered " NOT NULL,"                                                                                       \
	" PRIMARY KEY (list, key))" how ";"                                                                                    \
	"CREATE TABLE transaction_lists ("                                                                                     \
	" list TEXT" ordered " NOT NULL,"                                                                                      \
	" height BIGINT NOT NULL,"                                                                                             \
	" idx BIGINT NOT NULL,"                                                                                                \
	" PRIMARY KEY (list, height, idx))" how ";"                                                                            \
	"CREATE TABLE local_pending ("                                                                                         \
	" seq BIGINT PRIMARY KEY,"                                                                                             \
	" id TEXT NOT NULL,"                                                                                                   \
	" message TEXT NOT NULL,"                                                                                              \
	" signature TEXT NOT NULL,"                                                                                            \
	" received_at BIGINT NOT NULL)" how ";"

const struct db_migration ledger_migrations[] = {
	{
		.name = "0001 chain",
		.sql = "CREATE TABLE meta ("
		       " name TEXT PRIMARY KEY,"
		       " value TEXT NOT NULL);"
		       "CREATE TABLE validator_steps ("
		       " height BIGINT PRIMARY KEY,"
		       " step TEXT NOT NULL);"
		       "CREATE TABLE local_refused ("
		       " id TEXT PRIMARY KEY,"
		       " code TEXT NOT NULL,"
		       " error TEXT NOT NULL,"
		       " message TEXT NOT NULL,"
		       " signature TEXT NOT NULL,"
		       " refused_at BIGINT NOT NULL,"
		       " event_id BIGINT UNIQUE);"
		       "CREATE INDEX local_refused_by_time ON local_refused (refused_at);"
		       "CREATE TABLE local_tree ("
		       " part BIGINT PRIMARY KEY,"
		       " prefixes BYTEA NOT NULL);"
		       "CREATE TABLE local_grants ("
		       " hash TEXT NOT NULL,"
		       " user_id TEXT NOT NULL,"
		       " size BIGINT NOT NULL,"
		       " granted_at BIGINT NOT NULL,"
		       " PRIMARY KEY (user_id, hash));"
		       "CREATE INDEX local_grants_by_time ON local_grants (granted_at);",
		.sqlite = TABLES(" WITHOUT ROWID", ""),
		.postgres = TABLES("", " COLLATE \"C\""),
	},
	{
		/* Has all that is asked about a user's open grants. */
		.name = "0002 open grants",
		.sql = "CREATE INDEX local_grants_open ON local_grants (user_id, granted_at, hash, size);",
	},
	{
		/*
		 * Transactions are found by runs that are merged, instead of a row, or an entry of an index, for each key at its own random place. What the runs
		 * should have is filled in when the database is opened (tx_index_fill).
		 */
		.name = "0003 transactions by runs",
		.sql = "CREATE TABLE open_requests ("
		       " id TEXT PRIMARY KEY,"
		       " type TEXT NOT NULL,"
		       " height BIGINT NOT NULL,"
		       " idx BIGINT NOT NULL);"
		       "CREATE INDEX open_requests_in_order ON open_requests (type, height, idx);"
		       "INSERT INTO open_requests (id, type, height, idx) SELECT t.id, substr(l.list, 9), l.height, l.idx "
		       "FROM transaction_lists l JOIN transactions t ON t.height = l.height AND t.idx = l.idx WHERE l.list LIKE 'pending:%';"
		       "DROP TABLE transaction_lists;"
		       "CREATE TABLE transaction_index ("
		       " run BIGINT NOT NULL,"
		       " start BYTEA NOT NULL,"
		       " entries BYTEA NOT NULL,"
		       " PRIMARY KEY (run, start));",
		.sqlite = "CREATE TABLE transactions_by_place ("
			  " height BIGINT NOT NULL,"
			  " idx BIGINT NOT NULL,"
			  " id TEXT NOT NULL,"
			  " message TEXT NOT NULL,"
			  " signature TEXT NOT NULL,"
			  " PRIMARY KEY (height, idx)) WITHOUT ROWID;"
			  "INSERT INTO transactions_by_place SELECT height, idx, id, message, signature FROM transactions;"
			  "DROP TABLE transactions;"
			  "ALTER TABLE transactions_by_place RENAME TO transactions;"
			  "CREATE TABLE transaction_runs (first BIGINT PRIMARY KEY, last BIGINT NOT NULL, entries BIGINT NOT NULL) WITHOUT ROWID;",
		.postgres = "ALTER TABLE transactions DROP CONSTRAINT transactions_id_key;"
			    "CREATE TABLE transaction_runs (first BIGINT PRIMARY KEY, last BIGINT NOT NULL, entries BIGINT NOT NULL);",
	},
	{
		/* On SQLite a row's number is its key, so that rows at the end are added without setting pages in order; the id is the message's hash. */
		.name = "0004 what waits by number",
		.sql = "",
		.sqlite = "CREATE TABLE pending_by_number ("
			  " seq INTEGER PRIMARY KEY,"
			  " message TEXT NOT NULL,"
			  " signature TEXT NOT NULL,"
			  " received_at BIGINT NOT NULL);"
			  "INSERT INTO pending_by_number SELECT seq, message, signature, received_at FROM local_pending;"
			  "DROP TABLE local_pending;"
			  "ALTER TABLE pending_by_number RENAME TO local_pending;",
		.postgres = "ALTER TABLE local_pending DROP COLUMN id;",
	},
};
const size_t ledger_migration_count = ARRAY_LEN(ledger_migrations);
