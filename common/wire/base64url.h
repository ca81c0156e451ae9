/* base64url without padding (RFC 4648 section 5, as RFC 7515 uses it): the parts of a token. */
#ifndef TANA_WIRE_BASE64URL_H
#define TANA_WIRE_BASE64URL_H

#include "base/buf.h"

void base64url_encode(struct buf *out, struct str bytes);
/*
 * Appends the bytes. False on anything but the one spelling that base64url_encode gives: no padding, no blanks, no '+' or '/', unused
 * bits zero; *out may then have a part.
 */
MUST_CHECK bool base64url_decode(struct str text, struct buf *out);

#endif
