#include "sha256_pairs.h"

#include <string.h>

void sha256_pairs_portable(uint8_t tag, const struct sha256_pair *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t message[1 + 2 * HASH_SIZE];
		message[0] = tag;
		memcpy(message + 1, jobs[i].left->b, HASH_SIZE);
		memcpy(message + 1 + HASH_SIZE, jobs[i].right->b, HASH_SIZE);
		sha256(jobs[i].out, message, sizeof(message));
	}
}

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

#define WITH_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE static inline __attribute__((always_inline))

/* FIPS 180-4, 4.2.2 and 5.3.3. */
static const _Alignas(16) uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
	0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
	0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
	0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
	0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
#define INITIAL_ABEF _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c)
#define INITIAL_CDGH _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19)
#define SWAP_BYTES _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203)

/* One hash under way: the eight working variables as the instructions want them, and sixteen words of the message schedule. */
struct lane {
	__m128i abef, cdgh, w0, w1, w2, w3;
};

/* Four rounds with the four schedule words w. */
WITH_SHA INLINE void four_rounds(struct lane *l, __m128i w, int first)
{
	__m128i wk = _mm_add_epi32(w, _mm_load_si128((const __m128i *)(const void *)&round_constants[first]));
	l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, wk);
	l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

/* The four schedule words that follow a, b, c, d. */
WITH_SHA INLINE __m128i schedule(__m128i a, __m128i b, __m128i c, __m128i d)
{
	return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4)), d);
}

/* One step of four rounds for each lane in turn, so that one works while the other waits; y NULL: one lane. */
#define STEP(w, first)                                                                                                          \
	do {                                                                                                                    \
		four_rounds(x, x->w, first);                                                                                    \
		if (y)                                                                                                          \
			four_rounds(y, y->w, first);                                                                            \
	} while (0)
#define NEXT(a, b, c, d, first)                                                                                                 \
	do {                                                                                                                    \
		x->a = schedule(x->a, x->b, x->c, x->d);                                                                        \
		if (y)                                                                                                          \
			y->a = schedule(y->a, y->b, y->c, y->d);                                                                \
		STEP(a, first);                                                                                                 \
	} while (0)
#define NEXT_SIXTEEN(first)                                                                                                     \
	do {                                                                                                                    \
		NEXT(w0, w1, w2, w3, first);                                                                                    \
		NEXT(w1, w2, w3, w0, (first) + 4);                                                                              \
		NEXT(w2, w3, w0, w1, (first) + 8);                                                                              \
		NEXT(w3, w0, w1, w2, (first) + 12);                                                                             \
	} while (0)

WITH_SHA INLINE void compress(struct lane *x, struct lane *y)
{
	const struct lane x_before = *x, y_before = y ? *y : *x;
	STEP(w0, 0);
	STEP(w1, 4);
	STEP(w2, 8);
	STEP(w3, 12);
	NEXT_SIXTEEN(16);
	NEXT_SIXTEEN(32);
	NEXT_SIXTEEN(48);
	x->abef = _mm_add_epi32(x->abef, x_before.abef);
	x->cdgh = _mm_add_epi32(x->cdgh, x_before.cdgh);
	if (y) {
		y->abef = _mm_add_epi32(y->abef, y_before.abef);
		y->cdgh = _mm_add_epi32(y->cdgh, y_before.cdgh);
	}
}

WITH_SHA INLINE __m128i load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* The message's first block, all but the last byte of `right`; returns the words with that byte, and the end mark, for the second. */
WITH_SHA INLINE __m128i first_block(struct lane *l, uint8_t tag, const struct sha256_pair *job)
{
	const __m128i swap = SWAP_BYTES, last_is_tag = _mm_slli_si128(_mm_cvtsi32_si128(tag), 15);
	__m128i a = load(job->left->b), b = load(job->left->b + 16), c = load(job->right->b), d = load(job->right->b + 16);
	l->abef = INITIAL_ABEF;
	l->cdgh = INITIAL_CDGH;
	l->w0 = _mm_shuffle_epi8(_mm_alignr_epi8(a, last_is_tag, 15), swap);
	l->w1 = _mm_shuffle_epi8(_mm_alignr_epi8(b, a, 15), swap);
	l->w2 = _mm_shuffle_epi8(_mm_alignr_epi8(c, b, 15), swap);
	l->w3 = _mm_shuffle_epi8(_mm_alignr_epi8(d, c, 15), swap);
	return _mm_shuffle_epi8(_mm_or_si128(_mm_srli_si128(d, 15), _mm_cvtsi32_si128(0x8000)), swap);
}

WITH_SHA INLINE void second_block(struct lane *l, __m128i beginning)
{
	l->w0 = beginning;
	l->w1 = _mm_setzero_si128();
	l->w2 = _mm_setzero_si128();
	l->w3 = _mm_set_epi32(8 * (1 + 2 * HASH_SIZE), 0, 0, 0); /* the length in bits */
}

WITH_SHA INLINE void put(const struct lane *l, uint8_t *out)
{
	const __m128i swap = SWAP_BYTES, feba = _mm_shuffle_epi32(l->abef, 0x1b), dchg = _mm_shuffle_epi32(l->cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)out, _mm_shuffle_epi8(_mm_blend_epi16(feba, dchg, 0xf0), swap));
	_mm_storeu_si128((__m128i *)(void *)(out + 16), _mm_shuffle_epi8(_mm_alignr_epi8(dchg, feba, 8), swap));
}

WITH_SHA static void pairs_with_sha(uint8_t tag, const struct sha256_pair *jobs, size_t n)
{
	size_t i = 0;
	for (; i + 1 < n; i += 2) {
		struct lane x, y;
		__m128i x_second = first_block(&x, tag, &jobs[i]), y_second = first_block(&y, tag, &jobs[i + 1]);
		compress(&x, &y);
		second_block(&x, x_second);
		second_block(&y, y_second);
		compress(&x, &y);
		put(&x, jobs[i].out->b);
		put(&y, jobs[i + 1].out->b);
	}
	if (i < n) {
		struct lane x;
		__m128i x_second = first_block(&x, tag, &jobs[i]);
		compress(&x, NULL);
		second_block(&x, x_second);
		compress(&x, NULL);
		put(&x, jobs[i].out->b);
	}
}

static bool cpu_has_sha(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

void sha256_pairs(uint8_t tag, const struct sha256_pair *jobs, size_t n)
{
	static _Atomic int found; /* 0: not looked yet; threads that look at once find the same */
	int has = atomic_load_explicit(&found, memory_order_relaxed);
	if (has == 0) {
		has = cpu_has_sha() ? 1 : -1;
		atomic_store_explicit(&found, has, memory_order_relaxed);
	}
	if (has > 0)
		pairs_with_sha(tag, jobs, n);
	else
		sha256_pairs_portable(tag, jobs, n);
}

#else

void sha256_pairs(uint8_t tag, const struct sha256_pair *jobs, size_t n)
{
	sha256_pairs_portable(tag, jobs, n);
}

#endif

void sha256_pair(struct hash *out, uint8_t tag, const struct hash *left, const struct hash *right)
{
	const struct sha256_pair job = {out, left, right};
	sha256_pairs(tag, &job, 1);
}
