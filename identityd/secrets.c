#include "secrets.h"

#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/hmac.h"
#include "wire/base64url.h"

enum { SECRET_BYTES = 32, EVEN_BELOW = 252 /* the largest multiple of 36 in a byte: below it every digit is as likely */ };

static const char id_digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

void make_session_id(char out[SESSION_ID_LEN + 1])
{
	uint8_t bytes[SECRET_BYTES];
	memcpy(out, "sess_", 5);
	for (size_t at = 5; at < SESSION_ID_LEN;) {
		random_bytes(bytes, sizeof(bytes)); /* one call of the kernel for all of them, as a rule */
		for (size_t i = 0; i < sizeof(bytes) && at < SESSION_ID_LEN; i++)
			if (bytes[i] < EVEN_BELOW)
				out[at++] = id_digits[bytes[i] % 36];
	}
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

/* Eight digits of a session's id are a number of 42 bits; two of them stand in front, in 6 bytes each. */
static void put_number(uint8_t *out, const char *eight)
{
	uint64_t n = 0;
	for (int i = 0; i < 8; i++)
		n = n * 36 + (uint64_t)(eight[i] <= '9' ? eight[i] - '0' : eight[i] - 'a' + 10);
	for (int i = 5; i >= 0; i--, n >>= 8)
		out[i] = (uint8_t)n;
}

/* False: no eight digits have this number. */
static bool get_number(const uint8_t *in, char *eight)
{
	uint64_t n = 0;
	for (int i = 0; i < 6; i++)
		n = n << 8 | in[i];
	for (int i = 7; i >= 0; i--, n /= 36)
		eight[i] = id_digits[n % 36];
	return n == 0;
}

void make_token(struct str session_id, char out[SECRET_TEXT_MAX])
{
	uint8_t bytes[SECRET_BYTES];
	random_bytes(bytes, sizeof(bytes));
	invariant(session_id.n == SESSION_ID_LEN);
	put_number(bytes, session_id.p + 5);
	put_number(bytes + 6, session_id.p + 13);
	put_text(TOKEN_PREFIX, bytes, out);
	explicit_bzero(bytes, sizeof(bytes));
}

struct str token_session(struct str token, struct arena *arena)
{
	struct buf bytes = {0};
	char id[SESSION_ID_LEN + 1] = "sess_";
	size_t prefix = strlen(TOKEN_PREFIX);
	bool ok = token.n > prefix && base64url_decode(str_of(token.p + prefix, token.n - prefix), &bytes) && bytes.len == SECRET_BYTES;
	const uint8_t *b = (const uint8_t *)bytes.data;
	ok = ok && get_number(b, id + 5) && get_number(b + 6, id + 13);
	if (bytes.data)
		explicit_bzero(bytes.data, bytes.cap);
	buf_free(&bytes);
	return ok ? arena_copy(arena, str_of(id, SESSION_ID_LEN)) : STR_NONE;
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
