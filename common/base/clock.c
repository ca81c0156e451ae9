#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"

int64_t clock_wall_ms(void)
{
	struct timespec t;
	invariant(clock_gettime(CLOCK_REALTIME, &t) == 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_ns(void)
{
	struct timespec t;
	invariant(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static char *put_digits(char *out, unsigned value, int width)
{
	for (int i = width - 1; i >= 0; i--, value /= 10)
		out[i] = (char)('0' + value % 10);
	return out + width;
}

void clock_iso8601(int64_t wall_ms, char out[CLOCK_ISO8601_SIZE])
{
	int64_t ms = wall_ms % 1000, seconds = wall_ms / 1000;
	if (ms < 0) {
		ms += 1000;
		seconds--;
	}
	time_t when = (time_t)seconds;
	struct tm tm;
	if (!gmtime_r(&when, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
		memcpy(out, "-", 2);
		return;
	}
	const struct {
		int value, width;
		char after;
	} parts[] = {{tm.tm_year + 1900, 4, '-'}, {tm.tm_mon + 1, 2, '-'}, {tm.tm_mday, 2, 'T'}, {tm.tm_hour, 2, ':'},
		     {tm.tm_min, 2, ':'},	  {tm.tm_sec, 2, '.'},	   {(int)ms, 3, 'Z'}};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		out = put_digits(out, (unsigned)parts[i].value, parts[i].width);
		*out++ = parts[i].after;
	}
	*out = '\0';
}
