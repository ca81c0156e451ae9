/*
 * Errors of the world: what peers, users, disks and databases do wrong.
 *
 * Every failure that leaves a process has a code from ONE list (codes.def): its stable snake_case text is what
 * clients match on, its status is the HTTP status it is answered with. Broken invariants of our own are not
 * errors; they end the process through invariant() (see log.h).
 *
 * Convention: a function that can fail takes `struct error *err` last and returns bool (or NULL); on failure it has
 * filled *err, on success it has left it alone. err is never NULL.
 */
#ifndef TANA_BASE_ERROR_H
#define TANA_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "attrs.h"

enum error_code {
#define CODE(name, text, status) ERR_##name,
#include "codes.def"
#undef CODE
	ERR_COUNT
};

enum { ERROR_MESSAGE_MAX = 320, ERROR_HINT_MAX = 200 };

struct error {
	enum error_code code;
	char message[ERROR_MESSAGE_MAX]; /* one sentence for a person, NUL-terminated UTF-8, no secrets */
	char hint[ERROR_HINT_MAX];       /* what to do about it; "" when there is nothing to say */
};

/* The stable snake_case text of a code; its HTTP status (400..599). */
const char *error_code_text(enum error_code code);
int error_code_status(enum error_code code);
/* Is it one of the codes of OAuth 2 and OpenID Connect? Those stand from INVALID_REQUEST to INSUFFICIENT_SCOPE in the list. */
bool error_code_is_oauth(enum error_code code);
/* The code of a text, for clients that read answers (the first, where services answer one text with different statuses); false when the text is not in the list. */
MUST_CHECK bool error_code_from_text(const char *text, enum error_code *out);

/* Fills *err (hint cleared) and returns false, so that `return error_set(...)` reads as the failure it is. The message is cut,
 * at a UTF-8 boundary, when it does not fit. Arguments may point into *err itself. */
bool error_set(struct error *err, enum error_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Adds the hint to an error already set; returns false. */
bool error_hint(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* error_set with ": <strerror(errnum)>" at the end. ENOSPC and EDQUOT become ERR_STORAGE_FULL whatever `code` says. */
bool error_errno(struct error *err, enum error_code code, int errnum, const char *fmt, ...) PRINTF_LIKE(4, 5);

#endif
