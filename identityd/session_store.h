/* Sessions, tokens and what belongs to them, in SQL. Texts are copied into the arena given. */
#ifndef TANA_IDENTITYD_SESSION_STORE_H
#define TANA_IDENTITYD_SESSION_STORE_H

#include "base/arena.h"
#include "crypto/sha256.h"
#include "db/db.h"
#include "session_rules.h"

struct session_row {
	struct str id;
	enum session_status status; /* of the row: see session_status_at */
	struct str challenge;
	struct hash poll_hash;
	struct hash desktop_hash;  /* of the desktop's token; only for session_insert */
	struct hash phone_hash;    /* of the phone's; only for session_approve, and so are these */
	struct str phone_ip, phone_agent;
	bool desktop_counts;       /* approved, and the desktop's token was not ended */
	struct str app_name, app_icon; /* absent: none */
	struct str app_origin;
	struct str client_id, return_url; /* absent: none */
	struct str desktop_ip, desktop_agent;
	struct str browser_hash; /* 32 bytes, or absent: a browser that shows no cookie */
	int64_t match_code;      /* -1: none */
	struct str match_choices; /* "17,42,88" */
	int64_t created_at, expires_at, scanned_at, ended_at, token_expires_at; /* ms; 0: not yet */
	struct str user_id, username, public_key, role;       /* once approved; role absent: none is known */
};

enum token_kind { TOKEN_DESKTOP, TOKEN_PHONE };
const char *token_kind_text(enum token_kind k);
struct token_row {
	struct hash hash;
	enum token_kind kind;
	struct str session_id, user_id, username, public_key, role;
	struct str app_name, app_origin, client_id, ip, agent;
	int64_t created_at, expires_at;
};

/* One session by its id. DB_OK with *found false when there is none. */
MUST_CHECK enum db_status session_read(struct db_conn *c, struct str id, struct arena *arena, struct session_row *out, bool *found, struct error *err);
MUST_CHECK enum db_status session_insert(struct db_conn *c, const struct session_row *s, struct error *err);
MUST_CHECK enum db_status sessions_count_open(struct db_conn *c, int64_t now, int64_t *out, struct error *err);
/* The conditional updates: *won says whether this very one changed the row. The first two give the row as it is then. */
MUST_CHECK enum db_status session_scan(struct db_conn *c, struct str id, int64_t now, struct arena *arena, struct session_row *out, bool *won,
				       struct error *err);
MUST_CHECK enum db_status session_reject(struct db_conn *c, struct str id, int64_t now, struct arena *arena, struct session_row *out, bool *won,
					 struct error *err);
/* With user_id, username, public_key, role, token_expires_at and what is the phone's of *s: it is a login now, with both its tokens. */
MUST_CHECK enum db_status session_approve(struct db_conn *c, const struct session_row *s, int64_t now, bool *won, struct error *err);
/* Ends those whose time is over, and hands over each id. */
MUST_CHECK enum db_status sessions_expire(struct db_conn *c, int64_t now, void (*each)(void *ctx, struct str id), void *ctx, struct error *err);
/* When the next open session's time is over (ms); INT64_MAX: none is open. */
MUST_CHECK enum db_status sessions_next_expiry(struct db_conn *c, int64_t *out, struct error *err);

/* Tokens are the two of an approved session. A phone's names its session: `named` is that id, absent when the token cannot be a phone's. */
MUST_CHECK enum db_status token_read(struct db_conn *c, const struct hash *hash, struct str named, struct arena *arena, struct token_row *out, bool *found,
				     struct error *err);
/* A user's tokens that still count, the newest first. */
MUST_CHECK enum db_status tokens_of(struct db_conn *c, struct str user_id, int64_t now, struct arena *arena, struct token_row *out, size_t max, size_t *count,
				    struct error *err);
/* Ends one token: with its session's id, or (id absent) a desktop's. */
MUST_CHECK enum db_status token_delete(struct db_conn *c, const struct hash *hash, struct str session_id, bool *was, struct error *err);
MUST_CHECK enum db_status tokens_delete(struct db_conn *c, struct str user_id, int64_t *count, struct error *err);

/* Tickets count once: taking one removes it. *found false: there is none for this session, or its time is over. */
MUST_CHECK enum db_status ticket_insert(struct db_conn *c, const struct hash *ticket, struct str session_id, const struct hash *sealed, int64_t expires_at,
					struct error *err);
MUST_CHECK enum db_status ticket_take(struct db_conn *c, const struct hash *ticket, struct str session_id, int64_t now, struct hash *sealed, int64_t *expires_at,
				      bool *found, struct error *err);

/* A user's logins, for that user's eyes: the newest first. */
struct login_row {
	int64_t time; /* ms */
	struct str app_name, app_origin, client_id, ip, agent, public_key;
};
MUST_CHECK enum db_status logins_of(struct db_conn *c, struct str user_id, struct arena *arena, struct login_row *out, size_t max, size_t *count,
				    struct error *err);

/* Has this user logged in with this browser before? An absent hash was never seen. */
MUST_CHECK enum db_status browser_known(struct db_conn *c, struct str user_id, struct str browser_hash, bool *known, struct error *err);
MUST_CHECK enum db_status browser_seen(struct db_conn *c, struct str user_id, struct str browser_hash, int64_t now, struct error *err);

/*
 * BIND_TOFU. Whose is this id, and is this name somebody else's? *free: neither is anybody's. An owner without a key: the name belongs to another id. Then
 * binding it, which finds DB_RETRY when another transaction was quicker: run again, it finds the owner.
 */
MUST_CHECK enum db_status first_key_find(struct db_conn *c, struct str user_id, struct str username, struct arena *arena, bool *free,
					 struct key_owner *out, struct error *err);
MUST_CHECK enum db_status first_key_bind(struct db_conn *c, struct str user_id, struct str username, struct str public_key, int64_t now,
					 struct error *err);

/* Forgets what is older than these times (ms), at most `max` rows a table; *more: there is more of it. */
struct purge_before {
	int64_t sessions_from, sessions; /* those that nobody approved, begun between these: before the first they were forgotten already */
	int64_t logins, tickets, browsers;
};
MUST_CHECK enum db_status store_purge(struct db_conn *c, const struct purge_before *b, size_t max, bool *more, struct error *err);

#endif
