/*
 * The secrets of logins and what is kept of them. A poll secret is held by the desktop, a token by whoever is logged in, a ticket for one
 * moment by who opens a stream. All are texts of 32 random bytes (or of an HMAC); the database has their SHA-256.
 *
 * The desktop's token is HMAC-SHA256(poll secret's text, "tana-session:" + session id): any instance can compute it when the secret is
 * shown, and nothing that is stored gives it away. It counts only from the moment that the session is approved.
 */
#ifndef TANA_IDENTITYD_SECRETS_H
#define TANA_IDENTITYD_SECRETS_H

#include "crypto/sha256.h"
#include "login.h"

#define TOKEN_PREFIX "tana_st_"

enum { CHALLENGE_TEXT_LEN = 64, TICKET_TTL_MS = 60 * 1000 };

/* "sess_" and 16 of 0-9 a-z, evenly spread: 82 bits. NUL-terminated. */
void make_session_id(char out[SESSION_ID_LEN + 1]);
/* 64 hex digits of 32 random bytes. */
void make_challenge(char out[CHALLENGE_TEXT_LEN + 1]);
/* base64url of 32 random bytes. */
void make_secret(char out[SECRET_TEXT_MAX]);
/* The phone's token: TOKEN_PREFIX, and 32 bytes of which 12 name the session (so that it is found by that, without an index of its own) and 20 are
 * random. */
void make_token(struct str session_id, char out[SECRET_TEXT_MAX]);
/* The session that a phone's token would name, in the arena; absent: it cannot be a phone's. A desktop's may happen to name one too. */
struct str token_session(struct str token, struct arena *arena);
void desktop_token(struct str poll_secret, struct str session_id, char out[SECRET_TEXT_MAX]);
/* What a login shows to /auth/forward through the applications of --cookie-domain: made of its token, and good for nothing else. */
#define FORWARD_PREFIX "tana_fw_"
void forward_token(struct str token, char out[SECRET_TEXT_MAX]);
/* What is stored of a secret. */
void secret_hash(struct str secret, struct hash *out);

/* A ticket carries the desktop's token: sealed with the ticket (a key for this one use), so that the row alone gives nothing. */
void ticket_seal(struct str ticket, struct str session_id, struct str token, struct hash *sealed);
void ticket_open(struct str ticket, struct str session_id, const struct hash *sealed, char token[SECRET_TEXT_MAX]);

#endif
