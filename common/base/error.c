#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *text;
	int status;
} codes[] = {
#define CODE(name, text, status) [ERR_##name] = {text, status},
#include "codes.def"
#undef CODE
};

const char *error_code_text(enum error_code code)
{
	return codes[code].text;
}

int error_code_status(enum error_code code)
{
	return codes[code].status;
}

bool error_code_is_oauth(enum error_code code)
{
	return code >= ERR_INVALID_REQUEST && code <= ERR_INSUFFICIENT_SCOPE;
}

bool error_code_from_text(const char *text, enum error_code *out)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (strcmp(codes[i].text, text) == 0) {
			*out = (enum error_code)i;
			return true;
		}
	return false;
}

/* Drops a character that the end of the buffer cut in two. `n` is the length of the cut text. */
static size_t without_cut_char(const char *text, size_t n)
{
	size_t first = n;
	while (first > 0 && ((unsigned char)text[first - 1] & 0xc0) == 0x80)
		first--;
	if (first == 0)
		return n;
	unsigned char lead = (unsigned char)text[first - 1];
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	return n - (first - 1) < want ? first - 1 : n;
}

/* Formats by way of a copy, because an argument may be the old content of `out`. */
PRINTF_LIKE(3, 0) static void format_cut(char *out, size_t size, const char *fmt, va_list args)
{
	char text[ERROR_MESSAGE_MAX];
	int made = vsnprintf(text, size, fmt, args);
	size_t n = made > 0 ? (size_t)made : 0;
	if (n >= size)
		n = without_cut_char(text, size - 1);
	memcpy(out, text, n);
	out[n] = '\0';
}
_Static_assert((int)ERROR_HINT_MAX <= (int)ERROR_MESSAGE_MAX, "format_cut's copy must hold either text");

bool error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	format_cut(err->message, sizeof(err->message), fmt, args);
	va_end(args);
	err->code = code;
	err->hint[0] = '\0';
	return false;
}

bool error_hint(struct error *err, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	format_cut(err->hint, sizeof(err->hint), fmt, args);
	va_end(args);
	return false;
}

bool error_errno(struct error *err, enum error_code code, int errnum, const char *fmt, ...)
{
	char text[ERROR_MESSAGE_MAX], reason[96];
	va_list args;
	va_start(args, fmt);
	format_cut(text, sizeof(text), fmt, args);
	va_end(args);
	if (errnum == ENOSPC || errnum == EDQUOT)
		code = ERR_STORAGE_FULL;
	return error_set(err, code, "%s: %s", text, strerror_r(errnum, reason, sizeof(reason)));
}
