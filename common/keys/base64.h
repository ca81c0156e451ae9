/* Standard base64 with padding (RFC 4648 section 4), for sealed keys in JSON. */
#ifndef TANA_KEYS_BASE64_H
#define TANA_KEYS_BASE64_H

#include "base/buf.h"

void base64_encode(struct buf *out, struct str bytes);
/* Appends the bytes. False on anything but the one spelling that base64_encode gives (no blanks, padding there, unused bits zero); *out may then have a part. */
MUST_CHECK bool base64_decode(struct str text, struct buf *out);

#endif
