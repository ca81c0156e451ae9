#include "identity_schema.h"

#include "base/attrs.h"
#include "oidc_schema.h"

/* Append only. Every secret (poll secret, token, ticket) is here as its SHA-256 alone. Times are ms since the epoch. */
const struct db_migration identity_migrations[] = {
	{
		.name = "0001 logins",
		/* A session that was approved is a login: its two tokens, and what its user is shown of it. A token that was ended has no hash any more. */
		.sql = "CREATE TABLE sessions ("
		       " id TEXT PRIMARY KEY,"
		       " status TEXT NOT NULL CHECK (status IN ('waiting', 'scanned', 'approved', 'rejected', 'expired')),"
		       " challenge TEXT NOT NULL,"
		       " poll_hash BYTEA NOT NULL,"
		       " desktop_hash BYTEA," /* of the token that the poll secret gives: it counts once the session is approved */
		       " phone_hash BYTEA,"
		       " app_name TEXT,"
		       " app_icon TEXT,"
		       " app_origin TEXT NOT NULL," /* where the login leads to, as the phone is told */
		       " client_id TEXT,"
		       " return_url TEXT,"
		       " desktop_ip TEXT NOT NULL,"
		       " desktop_agent TEXT,"
		       " phone_ip TEXT,"
		       " phone_agent TEXT,"
		       " browser_hash BYTEA,"
		       " match_code BIGINT,"
		       " match_choices TEXT,"
		       " created_at BIGINT NOT NULL,"
		       " expires_at BIGINT NOT NULL,"
		       " scanned_at BIGINT,"
		       " ended_at BIGINT,"
		       " token_expires_at BIGINT,"
		       " user_id TEXT,"
		       " username TEXT,"
		       " public_key TEXT,"
		       " role TEXT);"
		       /* An open session has not ended, a login has a user: what an index is for does not change with every status, so that most changes touch none. */
		       "CREATE INDEX sessions_by_age ON sessions (created_at);"
		       "CREATE INDEX sessions_open ON sessions (expires_at) WHERE ended_at IS NULL;"
		       "CREATE INDEX sessions_by_desktop ON sessions (desktop_hash) WHERE user_id IS NOT NULL;"
		       "CREATE INDEX sessions_by_user ON sessions (user_id, ended_at) WHERE user_id IS NOT NULL;"
		       "CREATE TABLE tickets ("
		       " hash BYTEA PRIMARY KEY,"
		       " session_id TEXT NOT NULL,"
		       " sealed BYTEA NOT NULL," /* the desktop's token, to be read with the ticket alone */
		       " expires_at BIGINT NOT NULL);"
		       "CREATE INDEX tickets_by_expiry ON tickets (expires_at);"
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
