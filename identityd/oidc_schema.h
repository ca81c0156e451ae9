/* The OpenID Provider's tables, as the text of a migration (identity_schema.c). Times are ms since the epoch; hashes are SHA-256. */
#ifndef TANA_IDENTITYD_OIDC_SCHEMA_H
#define TANA_IDENTITYD_OIDC_SCHEMA_H

#define OIDC_TABLES                                                                                                            \
	"CREATE TABLE oidc_grants ("                                                                                           \
	" id TEXT PRIMARY KEY,"                                                                                                \
	" client_id TEXT NOT NULL,"                                                                                            \
	" user_id TEXT NOT NULL,"                                                                                              \
	" username TEXT NOT NULL,"                                                                                             \
	" public_key TEXT NOT NULL,"                                                                                           \
	" role TEXT,"                                                                                                          \
	" nonce TEXT,"                                                                                                         \
	" scopes BIGINT NOT NULL,"                                                                                             \
	" login_hash BYTEA NOT NULL,"                                                                                          \
	" login_at BIGINT NOT NULL,"                                                                                           \
	" created_at BIGINT NOT NULL,"                                                                                         \
	" revoked_at BIGINT);"                                                                                                 \
	"CREATE INDEX oidc_grants_by_user ON oidc_grants (user_id);"                                                           \
	"CREATE INDEX oidc_grants_by_age ON oidc_grants (created_at);"                                                         \
	"CREATE TABLE oidc_codes ("                                                                                            \
	" hash BYTEA PRIMARY KEY,"                                                                                             \
	" grant_id TEXT NOT NULL,"                                                                                             \
	" redirect_uri TEXT NOT NULL,"                                                                                         \
	" challenge TEXT,"                                                                                                     \
	" expires_at BIGINT NOT NULL,"                                                                                         \
	" used_at BIGINT);"                                                                                                    \
	"CREATE INDEX oidc_codes_by_expiry ON oidc_codes (expires_at);"                                                        \
	"CREATE INDEX oidc_codes_by_grant ON oidc_codes (grant_id);"                                                           \
	"CREATE TABLE oidc_tokens ("                                                                                           \
	" hash BYTEA PRIMARY KEY,"                                                                                             \
	" kind TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),"                                                           \
	" grant_id TEXT NOT NULL,"                                                                                             \
	" scopes BIGINT NOT NULL,"                                                                                             \
	" created_at BIGINT NOT NULL,"                                                                                         \
	" expires_at BIGINT NOT NULL,"                                                                                         \
	" used_at BIGINT);"                                                                                                    \
	"CREATE INDEX oidc_tokens_by_expiry ON oidc_tokens (expires_at);"                                                      \
	"CREATE INDEX oidc_tokens_by_grant ON oidc_tokens (grant_id);"                                                         \
	"CREATE TABLE oidc_devices ("                                                                                          \
	" hash BYTEA PRIMARY KEY,"                                                                                             \
	" user_code_hash BYTEA NOT NULL UNIQUE,"                                                                               \
	" client_id TEXT NOT NULL,"                                                                                            \
	" scopes BIGINT NOT NULL,"                                                                                             \
	" status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'used')),"                                   \
	" grant_id TEXT,"                                                                                                      \
	" interval_ms BIGINT NOT NULL,"                                                                                        \
	" polled_at BIGINT,"                                                                                                   \
	" ip TEXT NOT NULL,"                                                                                                   \
	" created_at BIGINT NOT NULL,"                                                                                         \
	" expires_at BIGINT NOT NULL);"                                                                                        \
	"CREATE INDEX oidc_devices_by_expiry ON oidc_devices (expires_at);"                                                    \
	"CREATE INDEX oidc_devices_by_grant ON oidc_devices (grant_id);"                                                       \
	"CREATE TABLE oidc_consents ("                                                                                         \
	" user_id TEXT NOT NULL,"                                                                                              \
	" client_id TEXT NOT NULL,"                                                                                            \
	" scopes BIGINT NOT NULL,"                                                                                             \
	" given_at BIGINT NOT NULL,"                                                                                           \
	" PRIMARY KEY (user_id, client_id));"                                                                                  \
	"CREATE TABLE oidc_tries (" /* wrong user codes of the present minute */                                               \
	" user_id TEXT PRIMARY KEY,"                                                                                           \
	" since BIGINT NOT NULL,"                                                                                              \
	" count BIGINT NOT NULL);"                                                                                             \
	"CREATE TABLE oidc_forwards (" /* --cookie-domain: what /auth/forward takes instead of a login's own token */           \
	" hash BYTEA PRIMARY KEY,"                                                                                             \
	" login_hash BYTEA NOT NULL,"                                                                                          \
	" expires_at BIGINT NOT NULL);"                                                                                        \
	"CREATE INDEX oidc_forwards_by_expiry ON oidc_forwards (expires_at);"                                                  \
	"CREATE TABLE oidc_keys (" /* the public halves: private ones stay with the instance that made them */                 \
	" kid TEXT PRIMARY KEY,"                                                                                               \
	" jwk TEXT NOT NULL,"                                                                                                  \
	" expires_at BIGINT NOT NULL);"

#endif
