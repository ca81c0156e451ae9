#include "random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "log.h"

void random_bytes(void *out, size_t n)
{
	unsigned char *p = out;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			fatal("the kernel gives no random numbers: %s", strerror(errno));
		}
		p += got;
		n -= (size_t)got;
	}
}

uint64_t random_u64(void)
{
	uint64_t v;
	random_bytes(&v, sizeof(v));
	return v;
}

uint64_t random_below(uint64_t bound)
{
	invariant(bound > 0);
	/* The lowest 2^64 mod bound values are drawn again, so that what is left divides evenly. */
	uint64_t uneven = (0 - bound) % bound, v;
	do
		v = random_u64();
	while (v < uneven);
	return v % bound;
}
