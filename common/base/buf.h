/*
 * A growable byte buffer. Zero-initialised ({0}) is a valid empty buffer. Not thread-safe. Out of memory ends the process.
 * data may be NULL while len == 0; it is NOT NUL-terminated (use buf_z for that).
 */
#ifndef TANA_BASE_BUF_H
#define TANA_BASE_BUF_H

#include "str.h"

struct buf {
	char *data;
	size_t len, cap;
};

void buf_free(struct buf *b); /* and leaves it empty */
static inline void buf_clear(struct buf *b) { b->len = 0; }
void buf_reserve(struct buf *b, size_t more); /* room for `more` bytes beyond len */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_putc(struct buf *b, char c);
void buf_puts(struct buf *b, const char *z);
void buf_put_str(struct buf *b, struct str s);
void buf_put_int(struct buf *b, int64_t v); /* decimal */
void buf_put_hex(struct buf *b, const void *p, size_t n); /* lower case */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The bytes followed by a NUL that is not counted in len; valid until the next change. Never NULL. */
const char *buf_z(struct buf *b);
static inline struct str buf_str(const struct buf *b) { return (struct str){b->data ? b->data : "", b->len}; }
/* Hands the bytes (malloc'ed, NUL after len) to the caller and leaves the buffer empty. Never NULL. */
char *buf_steal(struct buf *b, size_t *len);

/*
 * One JSON string with its quotes, escaped as RFC 8785 (JCS) says: \b \t \n \f \r \" \\, other control characters
 * as \u00xx in lower-case hex, everything else raw. The input is valid UTF-8 (checked by whoever let it in).
 */
void buf_put_json_string(struct buf *b, struct str s);

#endif
