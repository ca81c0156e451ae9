/*
 * What a login session may do, and whether an approval holds: pure decisions over what was read. No clock, no I/O, no randomness.
 *
 * A session begins `waiting`; the first phone that scans it makes it `scanned`; `approved`, `rejected` and `expired` are its ends, after
 * which nothing changes any more. Whether it has expired is a matter of its time alone, whatever its row still says.
 */
#ifndef TANA_IDENTITYD_SESSION_RULES_H
#define TANA_IDENTITYD_SESSION_RULES_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "crypto/ed25519.h"

enum session_status { SESSION_WAITING, SESSION_SCANNED, SESSION_APPROVED, SESSION_REJECTED, SESSION_EXPIRED };
const char *session_status_text(enum session_status s);
MUST_CHECK bool session_status_from_text(struct str text, enum session_status *out);
static inline bool session_status_open(enum session_status s) { return s == SESSION_WAITING || s == SESSION_SCANNED; }
/* What a row's status means at `now`. */
enum session_status session_status_at(enum session_status row, int64_t expires_at, int64_t now);

enum {
	SESSION_ID_LEN = 5 + 16,                 /* "sess_" and 16 of 0-9 a-z */
	APPROVE_MESSAGE_MAX = 16 * 1024,         /* bytes of a signed message: those of wallets have a few hundred */
	APPROVE_AGE_MAX_MS = 5 * 60 * 1000,      /* how old a signed message may be */
	APPROVE_AHEAD_MAX_MS = 60 * 1000,        /* how far the phone's clock may be ahead */
};
MUST_CHECK bool session_id_valid(struct str s);

/* The session an approval is judged against. */
struct approve_session {
	struct str id, challenge;
	enum session_status status; /* at `now`: session_status_at */
	struct str server;          /* our public URL */
	struct str client_id;       /* absent: none */
	struct str origin;          /* where the login leads to */
};
/* What the phone sent; texts absent when it sent none. */
struct approve_claim {
	struct str user_id, username, public_key, signature, message;
	struct ed25519_public key; /* of public_key; filled by approve_check */
};

/*
 * The refusals that need no body: session_expired, session_not_open.
 */
MUST_CHECK bool approve_session_open(const struct approve_session *s, struct error *err);
/*
 * Every refusal up to and with the signature, in this order: those of approve_session_open; malformed_message, missing_field,
 * session_mismatch, challenge_mismatch, user_mismatch, server_mismatch, client_mismatch, origin_mismatch, timestamp_out_of_range,
 * malformed_key, malformed_signature, bad_signature. What the message says is parsed in *scratch.
 */
MUST_CHECK bool approve_check(const struct approve_session *s, struct approve_claim *claim, int64_t now, struct arena *scratch, struct error *err);

/* Does the key that `owner` has (absent: no such user) and its name fit the claim? A leading "@" of names does not matter. key_not_of_user. */
struct key_owner {
	struct str username, public_key, role;
};
MUST_CHECK bool approve_owner_fits(const struct approve_claim *claim, const struct key_owner *owner, struct error *err);
/* A name without its leading "@". */
struct str username_bare(struct str s);

/* Must a match code be picked? match_code_required, match_code_wrong (*ends: the session is over, a guess was made). picked < 0: none. */
MUST_CHECK bool approve_match_fits(bool demanded, int64_t code, int64_t picked, bool *ends, struct error *err);

#endif
