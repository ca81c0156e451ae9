#include "secrets.h"

#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/hmac.h"
#include "wire/base64url.h"

enum { SECRET_BYTES = 32 };

void make_session_id(char out[SESSION_ID_LEN + 1])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	memcpy(out, "sess_", 5);
	for (size_t i = 5; i < SESSION_ID_LEN; i++)
		out[i] = digits[random_below(sizeof(digits) - 1)];
	out[SESSION_ID_LEN] = '\0';
}

void make_challenge(char out[CHALLENGE_TEXT_LEN + 1])
{
	uint8_t bytes[SECRET_BYTES];
	random_bytes(bytes, sizeof(bytes));
	hex_encode(out, bytes, sizeof(bytes));
}

static void put_text(const char *prefix, const uint8_t bytes[SECRET_BYTES], char out[SECRET_TEXT_MAX])
{
	struct buf text = {0};
	buf_puts(&text, prefix);
	base64url_encode(&text, str_of((const char *)bytes, SECRET_BYTES));
	invariant(text.len < SECRET_TEXT_MAX);
	memcpy(out, buf_z(&text), text.len + 1);
	explicit_bzero(text.data, text.cap);
	buf_free(&text);
}

static void make_text(const char *prefix, char out[SECRET_TEXT_MAX])
{
	uint8_t bytes[SECRET_BYTES];
	random_bytes(bytes, sizeof(bytes));
	put_text(prefix, bytes, out);
	explicit_bzero(bytes, sizeof(bytes));
}

void make_secret(char out[SECRET_TEXT_MAX])
{
	make_text("", out);
}

void make_token(char out[SECRET_TEXT_MAX])
{
	make_text(TOKEN_PREFIX, out);
}

/* HMAC of a label and the session's id. */
static void keyed(struct str key, const char *label, struct str session_id, struct hash *out)
{
	char message[64];
	size_t n = strlen(label);
	invariant(n + session_id.n <= sizeof(message));
	memcpy(message, label, n);
	memcpy(message + n, session_id.p, session_id.n);
	hmac_sha256(out, key, str_of(message, n + session_id.n));
}

void desktop_token(struct str poll_secret, struct str session_id, char out[SECRET_TEXT_MAX])
{
	struct hash mac;
	keyed(poll_secret, "tana-session:", session_id, &mac);
	put_text(TOKEN_PREFIX, mac.b, out);
	explicit_bzero(&mac, sizeof(mac));
}

void forward_token(struct str token, char out[SECRET_TEXT_MAX])
{
	struct hash mac;
	hmac_sha256(&mac, token, STR_LIT("tana-forward"));
	put_text(FORWARD_PREFIX, mac.b, out);
	explicit_bzero(&mac, sizeof(mac));
}

void secret_hash(struct str secret, struct hash *out)
{
	sha256(out, secret.p, secret.n);
}

/* A ticket's key is used for these 32 bytes and never again, so adding it to them is enough. */
static void mask(struct str ticket, struct str session_id, struct hash *bytes)
{
	struct hash pad;
	keyed(ticket, "tana-ticket:", session_id, &pad);
	for (size_t i = 0; i < HASH_SIZE; i++)
		bytes->b[i] ^= pad.b[i];
	explicit_bzero(&pad, sizeof(pad));
}

void ticket_seal(struct str ticket, struct str session_id, struct str token, struct hash *sealed)
{
	struct buf bytes = {0};
	size_t prefix = strlen(TOKEN_PREFIX);
	invariant(base64url_decode(str_of(token.p + prefix, token.n - prefix), &bytes) && bytes.len == HASH_SIZE);
	memcpy(sealed->b, bytes.data, HASH_SIZE);
	explicit_bzero(bytes.data, bytes.cap);
	buf_free(&bytes);
	mask(ticket, session_id, sealed);
}

void ticket_open(struct str ticket, struct str session_id, const struct hash *sealed, char token[SECRET_TEXT_MAX])
{
	struct hash bytes = *sealed;
	mask(ticket, session_id, &bytes);
	put_text(TOKEN_PREFIX, bytes.b, token);
	explicit_bzero(&bytes, sizeof(bytes));
}
