#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "hex.h"
#include "log.h"
#include "mem.h"

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void buf_reserve(struct buf *b, size_t more)
{
	if (more <= b->cap - b->len)
		return;
	invariant(more <= SIZE_MAX / 4 && b->len <= SIZE_MAX / 4);
	size_t cap = b->cap ? b->cap : 64;
	while (cap < b->len + more)
		cap *= 2;
	b->data = xrealloc(b->data, cap);
	b->cap = cap;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	buf_reserve(b, n);
	memcpy(b->data + b->len, p, n);
	b->len += n;
}

void buf_putc(struct buf *b, char c)
{
	buf_reserve(b, 1);
	b->data[b->len++] = c;
}

void buf_puts(struct buf *b, const char *z)
{
	buf_put(b, z, strlen(z));
}

void buf_put_str(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}

void buf_put_int(struct buf *b, int64_t v)
{
	char text[20]; /* "-9223372036854775808" */
	size_t at = sizeof(text);
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
	do
		text[--at] = (char)('0' + left % 10);
	while ((left /= 10) > 0);
	if (v < 0)
		text[--at] = '-';
	buf_put(b, text + at, sizeof(text) - at);
}

void buf_put_hex(struct buf *b, const void *p, size_t n)
{
	invariant(n <= SIZE_MAX / 8);
	buf_reserve(b, 2 * n + 1);
	hex_encode(b->data + b->len, p, n);
	b->len += 2 * n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	buf_reserve(b, 64);
	va_start(args, fmt);
	int n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
	va_end(args);
	invariant(n >= 0);
	if ((size_t)n >= b->cap - b->len) {
		buf_reserve(b, (size_t)n + 1);
		va_start(args, fmt);
		int again = vsnprintf(b->data + b->len, (size_t)n + 1, fmt, args);
		va_end(args);
		invariant(again == n);
	}
	b->len += (size_t)n;
}

const char *buf_z(struct buf *b)
{
	buf_reserve(b, 1);
	b->data[b->len] = '\0';
	return b->data;
}

char *buf_steal(struct buf *b, size_t *len)
{
	buf_reserve(b, 1);
	char *data = b->data;
	data[b->len] = '\0';
	*len = b->len;
	*b = (struct buf){0};
	return data;
}

static void put_escape(struct buf *b, unsigned char c)
{
	static const char short_forms[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
	char text[6] = {'\\'};
	if (c == '"' || c == '\\' || short_forms[c]) {
		text[1] = c < 0x20 ? short_forms[c] : (char)c;
		buf_put(b, text, 2);
		return;
	}
	memcpy(text, "\\u00", 4);
	text[4] = (char)('0' + (c >> 4)); /* c < 0x20 */
	text[5] = "0123456789abcdef"[c & 15];
	buf_put(b, text, sizeof(text));
}

void buf_put_json_string(struct buf *b, struct str s)
{
	buf_reserve(b, s.n + 2);
	buf_putc(b, '"');
	size_t from = 0; /* start of the run that is copied as it is */
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_put(b, s.p + from, i - from);
		put_escape(b, c);
		from = i + 1;
	}
	if (from < s.n)
		buf_put(b, s.p + from, s.n - from);
	buf_putc(b, '"');
}
