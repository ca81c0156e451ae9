/* Request targets: whatever comes, segments and parameters lie within the text, are valid UTF-8 without NUL, and a path that can match has no odd segment. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct str s, const char *text, size_t size)
{
	invariant(s.p && s.p >= text && s.p + s.n <= text + size);
	invariant(utf8_valid(s.p, s.n) && !memchr(s.p, '\0', s.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	struct uri uri;
	struct error err = {.code = ERR_COUNT};
	char *text = xmalloc(size ? size : 1);
	memcpy(text, data, size);
	arena_init(&arena);
	if (uri_parse(text, size, &arena, &uri, &err)) {
		invariant(uri.segment_count <= URI_SEGMENTS_MAX && uri.param_count <= URI_PARAMS_MAX);
		for (size_t i = 0; i < uri.segment_count; i++) {
			check_text(uri.segments[i], text, size);
			invariant(uri.segments[i].n > 0 && !str_is(uri.segments[i], ".") && !str_is(uri.segments[i], ".."));
		}
		for (size_t i = 0; i < uri.param_count; i++) {
			check_text(uri.params[i].name, text, size);
			check_text(uri.params[i].value, text, size);
		}
	} else {
		invariant(err.code == ERR_MALFORMED_REQUEST || err.code == ERR_MALFORMED_PARAMETER);
	}
	arena_free(&arena);
	free(text);
	return 0;
}
