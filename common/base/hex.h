/* Hexadecimal text. */
#ifndef TANA_BASE_HEX_H
#define TANA_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>

#include "attrs.h"

/* Writes 2*n lower-case digits and a NUL: out has room for 2*n + 1. */
void hex_encode(char *out, const void *in, size_t n);

enum hex_case { HEX_LOWER_ONLY, HEX_ANY_CASE };
/* Reads exactly 2*n digits from `in` (in_len must be 2*n). False, with out unspecified, when anything else is there. */
MUST_CHECK bool hex_decode(void *out, size_t n, const char *in, size_t in_len, enum hex_case accept);

#endif
