/* What is derived from keys, and the short texts that keys sign beside transactions. */
#include <stdio.h>

#include "base/hex.h"
#include "wire/tx.h"

void user_id_of(struct str chain_id, struct str public_key, char out[USER_ID_LEN + 1])
{
	struct hash h;
	char digits[32 + 1];
	sha256_parts(&h, (const struct str[]){STR_LIT("tana-user:"), chain_id, STR_LIT(":"), public_key}, 4);
	h.b[6] = (uint8_t)((h.b[6] & 0x0f) | 0x80); /* version 8 */
	h.b[8] = (uint8_t)((h.b[8] & 0x3f) | 0x80); /* variant 10 */
	hex_encode(digits, h.b, 16);
	snprintf(out, USER_ID_LEN + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12, digits + 16, digits + 20);
}

void tx_rotation_text(struct buf *out, struct str chain_id, struct str from, int64_t nonce, struct str public_key)
{
	buf_puts(out, "key-rotation:");
	buf_put_str(out, chain_id);
	buf_putc(out, ':');
	buf_put_str(out, from);
	buf_putc(out, ':');
	buf_put_int(out, nonce);
	buf_putc(out, ':');
	buf_put_str(out, public_key);
}

void tx_approval_text(struct buf *out, struct str chain_id, struct str by, struct str public_key, struct str username)
{
	buf_puts(out, "tana-user-approval:");
	buf_put_str(out, chain_id);
	buf_putc(out, ':');
	buf_put_str(out, by);
	buf_putc(out, ':');
	buf_put_str(out, public_key);
	buf_putc(out, ':');
	buf_put_str(out, username);
}

void tx_grant_text(struct buf *out, struct str chain_id, struct str user, struct str hash, int64_t size, int64_t timestamp)
{
	buf_puts(out, "tana-upload-grant:");
	buf_put_str(out, chain_id);
	buf_putc(out, ':');
	buf_put_str(out, user);
	buf_putc(out, ':');
	buf_put_str(out, hash);
	buf_putc(out, ':');
	buf_put_int(out, size);
	buf_putc(out, ':');
	buf_put_int(out, timestamp);
}
