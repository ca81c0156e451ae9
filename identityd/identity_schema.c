#include "identity_schema.h"

#include "base/attrs.h"
#include "oidc_schema.h"

/* Append only. Every secret (poll secret, token, ticket) is here as its SHA-256 alone. Times are ms since the epoch. */
const struct db_migration identity_migrations[] = {
	{
		.name = "0001 logins",
		.sql = "CREATE TABLE sessions ("
		       " id TEXT PRIMARY KEY,"
		       " status TEXT NOT NULL CHECK (status IN ('waiting', 'scanned', 'approved', 'rejected', 'expired')),"
		       " challenge TEXT NOT NULL,"
		       " poll_hash BYTEA NOT NULL,"
		       " desktop_hash BYTEA NOT NULL," /* of the token that the poll secret gives: it counts once the session is approved */
		       " app_name TEXT,"
		       " app_icon TEXT,"
		       " app_origin TEXT NOT NULL," /* where the login leads to, as the phone is told */
		       " client_id TEXT,"
		       " return_url TEXT,"
		       " desktop_ip TEXT NOT NULL,"
		       " desktop_agent TEXT,"
		       " browser_hash BYTEA,"
		       " match_code BIGINT,"
		       " match_choices TEXT,"
		       " created_at BIGINT NOT NULL,"
		       " expires_at BIGINT NOT NULL,"
		       " scanned_at BIGINT,"
		       " ended_at BIGINT,"
		       " user_id TEXT,"
		       " username TEXT,"
		       " public_key TEXT,"
		       " role TEXT);"
		       "CREATE INDEX sessions_open ON sessions (expires_at) WHERE status IN ('waiting', 'scanned');"
		       "CREATE INDEX sessions_by_age ON sessions (created_at);"
		       "CREATE TABLE tokens ("
		       " hash BYTEA PRIMARY KEY,"
		       " kind TEXT NOT NULL CHECK (kind IN ('desktop', 'phone')),"
		       " session_id TEXT NOT NULL,"
		       " user_id TEXT NOT NULL,"
		       " username TEXT NOT NULL,"
		       " public_key TEXT NOT NULL,"
		       " role TEXT,"
		       " app_name TEXT,"
		       " app_origin TEXT NOT NULL,"
		       " client_id TEXT,"
		       " ip TEXT NOT NULL,"
		       " agent TEXT,"
		       " created_at BIGINT NOT NULL,"
		       " expires_at BIGINT NOT NULL);"
		       "CREATE INDEX tokens_by_user ON tokens (user_id, created_at);"
		       "CREATE INDEX tokens_by_expiry ON tokens (expires_at);"
		       "CREATE TABLE tickets ("
		       " hash BYTEA PRIMARY KEY,"
		       " session_id TEXT NOT NULL,"
		       " sealed BYTEA NOT NULL," /* the desktop's token, to be read with the ticket alone */
		       " expires_at BIGINT NOT NULL);"
		       "CREATE INDEX tickets_by_expiry ON tickets (expires_at);"
		       "CREATE TABLE logins (" /* what users are shown of their own */
		       " session_id TEXT PRIMARY KEY,"
		       " user_id TEXT NOT NULL,"
		       " time BIGINT NOT NULL,"
		       " app_name TEXT,"
		       " app_origin TEXT NOT NULL,"
		       " client_id TEXT,"
		       " ip TEXT NOT NULL,"
		       " agent TEXT,"
		       " public_key TEXT NOT NULL);"
		       "CREATE INDEX logins_by_user ON logins (user_id, time);"
		       "CREATE INDEX logins_by_age ON logins (time);"
		       "CREATE TABLE browsers (" /* browsers that a user has logged in with: no match code for these */
		       " user_id TEXT NOT NULL,"
		       " browser_hash BYTEA NOT NULL,"
		       " seen_at BIGINT NOT NULL,"
		       " PRIMARY KEY (user_id, browser_hash));"
		       "CREATE INDEX browsers_by_age ON browsers (seen_at);"
		       "CREATE TABLE first_keys (" /* --key-binding tofu: who came first */
		       " user_id TEXT PRIMARY KEY,"
		       " username TEXT NOT NULL UNIQUE,"
		       " public_key TEXT NOT NULL,"
		       " bound_at BIGINT NOT NULL);",
	},
	{.name = "0002 openid", .sql = OIDC_TABLES},
};
const size_t identity_migration_count = ARRAY_LEN(identity_migrations);
