#include "wire/jws.h"

#include "wire/base64url.h"

bool jws_split(struct str token, struct jws *out)
{
	const char *end = token.p + token.n, *first = memchr(token.p, '.', token.n);
	const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;

	if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
		return false;
	out->header = str_of(token.p, (size_t)(first - token.p));
	out->claims = str_of(first + 1, (size_t)(second - first - 1));
	out->signature = str_of(second + 1, (size_t)(end - second - 1));
	out->signed_text = str_of(token.p, (size_t)(second - token.p));
	return true;
}

bool jws_read_part(struct str part, const char *name, const struct json_message *m, void *out, struct arena *arena, struct error *err)
{
	struct buf text = {0};
	struct error why;
	bool ok = base64url_decode(part, &text);

	if (!ok)
		error_set(&why, ERR_TOKEN_INVALID, "it is not base64url without padding");
	ok = ok && json_read_text(buf_str(&text), m, out, arena, &why);
	buf_free(&text);
	return ok || error_set(err, ERR_TOKEN_INVALID, "the token is not valid: its %s: %s", name, why.message);
}

static void put_part(struct buf *out, const struct json_message *m, const void *value)
{
	struct buf text = {0};
	json_write(&text, m, value);
	base64url_encode(out, buf_str(&text));
	buf_free(&text);
}

void jws_put_signed_text(struct buf *out, const struct json_message *header_message, const void *header, const struct json_message *claims_message,
			 const void *claims)
{
	put_part(out, header_message, header);
	buf_putc(out, '.');
	put_part(out, claims_message, claims);
}

void jws_put_signature(struct buf *out, struct str signature)
{
	buf_putc(out, '.');
	base64url_encode(out, signature);
}
