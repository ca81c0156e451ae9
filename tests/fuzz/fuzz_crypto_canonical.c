/* crypto: is what canonical_check accepts exactly what survives parsing and writing anew? */
#include <stdint.h>

#include "base/log.h"
#include "crypto/canonical.h"
#include "tests/unit/canonical_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_of((const char *)data, size);
	invariant(canonical_check(s) == oracle_canonical(s.p, s.n));

	/* The same bytes as a string, written by the writer. */
	if (utf8_valid(data, size) && !memchr(data, 0, size)) {
		struct buf out = {0};
		struct canonical_writer w;
		canonical_begin(&w, &out);
		canonical_array(&w);
		canonical_str(&w, s);
		canonical_end(&w);
		invariant(canonical_check(buf_str(&out)));
		buf_free(&out);
	}
	return 0;
}
