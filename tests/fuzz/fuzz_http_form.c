/* Bodies of forms: whatever comes, names and values lie within the text and are valid UTF-8 without NUL. */
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
	struct uri form;
	struct error err = {.code = ERR_COUNT};
	char *text = xmalloc(size ? size : 1);
	memcpy(text, data, size);
	arena_init(&arena);
	if (uri_parse_form(text, size, &arena, &form, &err)) {
		invariant(form.param_count <= URI_PARAMS_MAX);
		for (size_t i = 0; i < form.param_count; i++) {
			check_text(form.params[i].name, text, size);
			check_text(form.params[i].value, text, size);
		}
	} else {
		invariant(err.code == ERR_MALFORMED_PARAMETER);
	}
	arena_free(&arena);
	free(text);
	return 0;
}
