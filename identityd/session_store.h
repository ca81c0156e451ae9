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
	struct hash poll_hash, desktop_hash;
	struct str app_name, app_icon; /* absent: none */
	struct str app_origin;
	struct str client_id, return_url; /* absent: none */
	struct str desktop_ip, desktop_agent;
	struct str browser_hash; /* 32 bytes, or absent: a browser that shows no cookie */
	int64_t match_code;      /* -1: none */
	struct str match_choices; /* "17,42,88" */
	int64_t created_at, expires_at, scanned_at, ended_at; /* ms; 0: not yet */
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
/* The conditional updates: *won says whether this very one changed the row. */
MUST_CHECK enum db_status session_scan(struct db_conn *c, struct str id, int64_t now, bool *won, struct error *err);
MUST_CHECK enum db_status session_reject(struct db_conn *c, struct str id, int64_t now, bool *won, struct error *err);
/* With user_id, username, public_key and role of *s. */
MUST_CHECK enum db_status session_approve(struct db_conn *c, const struct session_row *s, int64_t now, bool *won, struct error *err);

MUST_CHECK enum db_status token_read(struct db_conn *c, const struct hash *hash, struct arena *arena, struct token_row *out, bool *found, struct error *err);
MUST_CHECK enum db_status token_insert(struct db_conn *c, const struct token_row *t, struct error *err);

#endif
