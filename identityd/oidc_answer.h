/*
 * What applications are told about a user, and the tokens for a grant. Tokens are made, and the ID token signed, on the request's own thread; one
 * transaction then uses up what was redeemed and keeps the new ones; the answer that was prepared goes out after it.
 */
#ifndef TANA_IDENTITYD_OIDC_ANSWER_H
#define TANA_IDENTITYD_OIDC_ANSWER_H

#include "http/server.h"
#include "login.h"
#include "oidc.h"
#include "oidc_store.h"

/* A user as scopes show them; members that the scopes do not show are absent. */
struct oidc_person {
	struct str sub, name, preferred_username, email;
	enum json_bool email_verified;
	struct json_list groups;
};
extern const struct json_message oidc_person_message; /* "UserInfo" */
void oidc_person_fill(const struct oidc_config *c, const struct grant_row *g, unsigned scopes, struct arena *arena, struct oidc_person *out);

struct oidc_token_answer {
	struct str access_token, token_type, refresh_token, scope, id_token;
	int64_t expires_in;
};
extern const struct json_message oidc_token_answer_message; /* "TokenAnswer" */

struct oidc_issue {
	/* What for: */
	const struct oidc_client *client;
	struct grant_row grant;
	unsigned scopes; /* of the access token: the grant's, or fewer */
	int64_t now;
	/* What was made: */
	struct oidc_token_row access, refresh;
	bool has_refresh;
	struct http_reply *answer;
};
/* Makes tokens and answer. False: *err (a key that cannot sign). */
MUST_CHECK bool oidc_issue_make(struct http_request *r, struct oidc_issue *i, struct error *err);
/* Keeps their hashes; part of somebody's transaction. */
MUST_CHECK enum db_status oidc_issue_store(struct db_conn *c, const struct oidc_issue *i, struct error *err);

/* A text of 32 random bytes behind a prefix ("tana_at_"), and what is kept of it. In the arena. */
struct str oidc_secret_make(struct arena *arena, const char *prefix, struct hash *hash);
/* 128 random bits as the id of a grant. In the arena. */
struct str oidc_grant_id_make(struct arena *arena);

/* The claims of an ID token of ours, when it is shown to us again (id_token_hint): signed by a key we publish, whatever its age. */
struct oidc_hint {
	struct str sub, aud;
};
/* False: it is none (*err ERR_INVALID_REQUEST), or the database does not answer. */
MUST_CHECK bool oidc_hint_read(struct identity *id, struct str token, struct arena *arena, struct oidc_hint *out, struct error *err);

#endif
