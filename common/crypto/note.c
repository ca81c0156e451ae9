#include "note.h"

#include <sodium.h>

#include "base/log.h"

#define SIGNATURE_LINE_START "\u2014 " /* an em dash and a blank */
#define SIZE_LIMIT (UINT64_C(1) << 62)

enum {
	ALGORITHM_ED25519 = 1,
	KEY_ID_SIZE = 4,
	SIGNED_SIZE = KEY_ID_SIZE + ED25519_SIGNATURE_SIZE,
	SIGNATURE_LINES_MAX = 100, /* as in the reference implementation */
};

bool note_name_valid(struct str name)
{
	if (name.n == 0 || name.n > NOTE_ORIGIN_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~' || name.p[i] == '+')
			return false;
	return true;
}

static void put_base64(struct buf *out, const void *p, size_t n)
{
	size_t size = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_ORIGINAL); /* counts the NUL */
	buf_reserve(out, size);
	sodium_bin2base64(out->data + out->len, size, p, n, sodium_base64_VARIANT_ORIGINAL);
	out->len += size - 1;
}

/* Exactly `n` bytes in standard base64 with padding, in the one spelling there is. */
static bool read_base64(struct str s, void *out, size_t n)
{
	size_t size;
	return sodium_base642bin(out, n, s.p, s.n, NULL, &size, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 && size == n;
}

static void key_id(struct str name, const struct ed25519_public *key, uint8_t out[KEY_ID_SIZE])
{
	static const char separator[2] = {'\n', ALGORITHM_ED25519};
	const struct str parts[] = {name, str_of(separator, sizeof(separator)), str_of((const char *)key->b, sizeof(key->b))};
	struct hash h;
	sha256_parts(&h, parts, ARRAY_LEN(parts));
	memcpy(out, h.b, KEY_ID_SIZE);
}

void note_verifier_key(const char *name, const struct ed25519_public *key, struct buf *out)
{
	uint8_t id[KEY_ID_SIZE], tagged[1 + ED25519_PUBLIC_SIZE] = {ALGORITHM_ED25519};
	key_id(str_from(name), key, id);
	memcpy(tagged + 1, key->b, sizeof(key->b));
	buf_puts(out, name);
	buf_putc(out, '+');
	buf_put_hex(out, id, sizeof(id));
	buf_putc(out, '+');
	put_base64(out, tagged, sizeof(tagged));
}

void checkpoint_sign(const struct checkpoint *c, const struct ed25519_secret *key, struct buf *out)
{
	struct str name = str_from(c->origin);
	invariant(note_name_valid(name) && c->size < SIZE_LIMIT);
	size_t start = out->len;
	buf_put_str(out, name);
	buf_putc(out, '\n');
	buf_put_int(out, (int64_t)c->size);
	buf_putc(out, '\n');
	put_base64(out, c->root.b, sizeof(c->root.b));
	buf_putc(out, '\n');

	uint8_t id_and_signature[SIGNED_SIZE];
	struct ed25519_signature signature;
	ed25519_sign_bytes(&signature, key, str_of(out->data + start, out->len - start));
	key_id(name, &key->public_key, id_and_signature);
	memcpy(id_and_signature + KEY_ID_SIZE, signature.b, sizeof(signature.b));
	buf_puts(out, "\n" SIGNATURE_LINE_START);
	buf_put_str(out, name);
	buf_putc(out, ' ');
	put_base64(out, id_and_signature, sizeof(id_and_signature));
	buf_putc(out, '\n');
}

/* Takes one line (without its newline) off the front. False when there is no whole line. */
static bool take_line(struct str *rest, struct str *line)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	if (!end)
		return false;
	*line = str_of(rest->p, (size_t)(end - rest->p));
	*rest = str_of(end + 1, rest->n - line->n - 1);
	return true;
}

/* Any note's shape: UTF-8 without control characters, a text of lines, a blank line, signature lines. */
static bool split_note(struct str note, struct str *text, struct str *signatures)
{
	if (note.n == 0 || note.n > NOTE_TEXT_MAX || note.p[note.n - 1] != '\n' || !utf8_valid(note.p, note.n))
		return false;
	for (size_t i = 0; i < note.n; i++)
		if ((unsigned char)note.p[i] < 0x20 && note.p[i] != '\n')
			return false;
	const char *blank = memmem(note.p, note.n, "\n\n", 2); /* no line of a checkpoint is empty, so the first is the one */
	if (!blank)
		return false;
	*text = str_of(note.p, (size_t)(blank - note.p) + 1);
	*signatures = str_of(blank + 2, note.n - text->n - 1);
	return true;
}

static bool read_text(struct str text, struct checkpoint *out)
{
	struct str origin, size, root;
	int64_t leaves;
	if (!take_line(&text, &origin) || !take_line(&text, &size) || !take_line(&text, &root))
		return false;
	if (!note_name_valid(origin) || !str_to_int64(size, &leaves) || leaves < 0 || (uint64_t)leaves >= SIZE_LIMIT ||
	    !read_base64(root, out->root.b, sizeof(out->root.b)))
		return false;
	memcpy(out->origin, origin.p, origin.n);
	out->origin[origin.n] = '\0';
	out->size = (uint64_t)leaves;
	return true;
}

struct signature_line {
	struct str name, base64;
};

static bool read_signature_line(struct str line, struct signature_line *out)
{
	if (!str_starts(line, SIGNATURE_LINE_START))
		return false;
	line = str_of(line.p + strlen(SIGNATURE_LINE_START), line.n - strlen(SIGNATURE_LINE_START));
	const char *blank = line.n ? memchr(line.p, ' ', line.n) : NULL;
	if (!blank || blank == line.p || memchr(line.p, '+', (size_t)(blank - line.p)))
		return false;
	out->name = str_of(line.p, (size_t)(blank - line.p));
	out->base64 = str_of(blank + 1, line.n - out->name.n - 1);
	/* Other algorithms' signatures have other lengths; they only need to be base64. */
	uint8_t bytes[NOTE_TEXT_MAX];
	size_t size;
	return sodium_base642bin(bytes, sizeof(bytes), out->base64.p, out->base64.n, NULL, &size, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       size > KEY_ID_SIZE;
}

enum finding { NOT_BY_THE_KEY, BY_THE_KEY, BY_THE_KEY_BUT_WRONG };

static enum finding judge_line(const struct signature_line *line, struct str text, struct str name, const struct ed25519_public *key)
{
	uint8_t bytes[SIGNED_SIZE], id[KEY_ID_SIZE];
	key_id(name, key, id);
	if (!str_equal(line->name, name) || !read_base64(line->base64, bytes, sizeof(bytes)) || memcmp(bytes, id, sizeof(id)) != 0)
		return NOT_BY_THE_KEY;
	struct ed25519_signature signature;
	memcpy(signature.b, bytes + KEY_ID_SIZE, sizeof(signature.b));
	return ed25519_verify_bytes(&signature, key, text) ? BY_THE_KEY : BY_THE_KEY_BUT_WRONG;
}

bool checkpoint_open(struct str note, const struct ed25519_public *key, struct checkpoint *out, struct error *err)
{
	struct str text, signatures, line;
	struct checkpoint found;
	if (!split_note(note, &text, &signatures) || !read_text(text, &found))
		return error_set(err, ERR_MALFORMED_FIELD, "this is not a checkpoint: a signed note of origin, size and root hash");
	bool is_signed = false;
	for (int lines = 0; signatures.n > 0; lines++) {
		struct signature_line parsed;
		if (lines == SIGNATURE_LINES_MAX || !take_line(&signatures, &line) || !read_signature_line(line, &parsed))
			return error_set(err, ERR_MALFORMED_FIELD, "the checkpoint has a malformed signature line");
		switch (judge_line(&parsed, text, str_from(found.origin), key)) {
		case NOT_BY_THE_KEY:
			break;
		case BY_THE_KEY:
			is_signed = true;
			break;
		case BY_THE_KEY_BUT_WRONG:
			return error_set(err, ERR_BAD_SIGNATURE, "the checkpoint's signature by %s is wrong", found.origin);
		}
	}
	if (!is_signed)
		return error_set(err, ERR_BAD_SIGNATURE, "the checkpoint of %s is not signed by the key it should be", found.origin);
	*out = found;
	return true;
}
