/* Sizes and durations as people write them in flags and files. */
#ifndef TANA_BASE_UNITS_H
#define TANA_BASE_UNITS_H

#include "str.h"

/* `[0-9]+` with an optional suffix k, M, G (powers of 1024); a bare number is bytes. False on anything else or above 2^63-1. */
MUST_CHECK bool units_parse_size(struct str s, int64_t *bytes);
/* `[0-9]+` with an optional suffix ms, s, m, h; a bare number has the unit `bare_unit_ms` (1 = ms, 1000 = s). Result in ms. */
MUST_CHECK bool units_parse_duration(struct str s, int64_t bare_unit_ms, int64_t *ms);

enum { UNITS_TEXT_SIZE = 32 };
/* "850 ms", "3 s", "1.5 min", "2 h", "400 d", for people: one decimal below 10, cut and not rounded. */
void units_format_duration(int64_t ms, char out[UNITS_TEXT_SIZE]);
/* "512 B", "1.4 MiB", likewise. */
void units_format_size(int64_t bytes, char out[UNITS_TEXT_SIZE]);

#endif
