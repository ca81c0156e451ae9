/* URLs and origins from outside (RFC 6454; the WHATWG serialisation of http and https). Pure. */
#ifndef TANA_IDENTITYD_ORIGIN_RULES_H
#define TANA_IDENTITYD_ORIGIN_RULES_H

#include "base/arena.h"
#include "base/str.h"

enum { URL_MAX = 2048 /* bytes of any URL taken */ };

/*
 * The origin of an absolute http or https URL: lower case, without a default port, without a path: "https://app.example:8443". False for
 * everything else: other schemes, user information, blanks, control characters, backslashes, non-ASCII hosts, odd ports. What browsers read
 * otherwise than we do must not get through.
 */
MUST_CHECK bool url_origin(struct str url, struct arena *arena, struct str *origin);
/* Is the URL an origin and nothing more ("https://app.example", a slash at the end at most)? */
MUST_CHECK bool url_is_origin(struct str url, struct arena *arena, struct str *origin);

/* The host of such an origin, without the port. */
struct str url_host(struct str origin);
/* Is `domain` ("example.com": lower case, with a dot, no address) the host itself, or one that it lies in? */
MUST_CHECK bool domain_covers(const char *domain, struct str host);

#endif
