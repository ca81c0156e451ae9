/* crypto: proofs as an outsider hands them in. None of made-up hashes may pass, and no size, index or length may lead astray. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "crypto/merkle_list.h"
#include "crypto/merkle_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next n bytes of the input; zeros beyond its end. */
static void take(struct str *in, void *out, size_t n)
{
	size_t have = in->n < n ? in->n : n;
	memset(out, 0, n);
	memcpy(out, in->p, have);
	*in = str_of(in->p + have, in->n - have);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of(size ? (const char *)data : "", size);
	uint64_t first, second;
	uint8_t count;
	struct hash a, b, path[MERKLE_PATH_MAX + 1];
	take(&in, &first, sizeof(first));
	take(&in, &second, sizeof(second));
	take(&in, &count, sizeof(count));
	take(&in, &a, sizeof(a));
	sha256(&b, data, size); /* a root that the input cannot lead to: twice, as once is how a leaf is hashed */
	sha256(&b, b.b, sizeof(b.b));
	count %= MERKLE_PATH_MAX + 2;
	for (size_t i = 0; i < count; i++)
		take(&in, &path[i], sizeof(path[i]));
	invariant(!merkle_inclusion_verify(&a, first, second, path, count, &b));
	invariant(!merkle_consistency_verify(first, &a, second, &b, path, count));

	static struct merkle_map_proof proof;
	struct merkle_map_entry entry;
	in = str_of(size ? (const char *)data : "", size);
	take(&in, &entry, sizeof(entry));
	take(&in, &count, sizeof(count));
	take(&in, &proof.other, sizeof(proof.other));
	proof.has_other = count & 1;
	proof.count = (size_t)count * 2;
	for (size_t i = 0; i < proof.count && i < MERKLE_MAP_DEPTH; i++)
		take(&in, &proof.siblings[i], sizeof(proof.siblings[i]));
	invariant(!merkle_map_verify_present(&b, &entry, &proof));
	invariant(!merkle_map_verify_absent(&b, &entry.path, &proof));
	return 0;
}
