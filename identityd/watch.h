/*
 * Who is waiting for what: the event streams of sessions and of users that this process has. Whoever changes a session, here or at another
 * instance, says so here; each stream gets each state once, and never an earlier one after a later. A user's streams hear of that user's logins, as long
 * as the token counts by which they were opened.
 *
 * Memory and streams are bounded: a number of streams a session and an address, beside the server's own limit.
 */
#ifndef TANA_IDENTITYD_WATCH_H
#define TANA_IDENTITYD_WATCH_H

#include "http/server.h"
#include "session_store.h"

struct watch;
struct watch_options {
	struct sse_hub *hub;
	int64_t streams_per_session, streams_per_address;
};
struct watch *watch_new(const struct watch_options *o);
void watch_free(struct watch *w); /* after the server stopped; NULL is allowed */

/*
 * Opens a stream of a session's events. It begins with `connected`; the caller then reads the session and says with watch_session_is what
 * it read: what happens in between is not lost. `token` (absent: none) goes out with `approved`. Otherwise a refusal: *opened false.
 */
struct http_reply *watch_session(struct watch *w, struct http_request *r, struct str session_id, struct str token, bool *opened);
/* A session's state, to its streams here. `at` decides what a row means. */
void watch_session_is(struct watch *w, const struct session_row *s, int64_t now);

/* A stream of a user's logins, for the bearer of this token of theirs. */
struct http_reply *watch_user(struct watch *w, struct http_request *r, const struct token_row *who, bool *opened);
void watch_user_login(struct watch *w, const struct session_row *s);
/* The tokens by which this user's streams here were opened, into the arena: hash and session_id alone. Returns how many. And the end of those opened by one. */
size_t watch_user_tokens(struct watch *w, struct str user_id, struct arena *arena, struct token_row **out);
void watch_user_end(struct watch *w, struct str user_id, const struct hash *token);

/* Is anybody waiting here for this session, this user? What others changed need not be read otherwise. */
bool watch_session_watched(struct watch *w, struct str session_id);
bool watch_user_watched(struct watch *w, struct str user_id);
/* The sessions somebody waits for, for reading them anew when messages may have been lost. Into the arena; returns how many. */
size_t watch_sessions(struct watch *w, struct arena *arena, struct str **out);
void watch_counts(struct watch *w, int64_t *session_streams, int64_t *user_streams);

#endif
