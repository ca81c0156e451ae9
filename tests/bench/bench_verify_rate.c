/* bench_verify_rate THREADS: seconds of wall and of processor time that one verification by libsodium takes while all threads verify. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

enum { EACH = 10000 };

static struct ed25519_secret key;
static struct ed25519_signature signature;
static struct hash digest;

static void *verify(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < EACH; i++)
		if (!ed25519_verify_bytes(&signature, &key.public_key, str_of((const char *)digest.b, HASH_SIZE)))
			abort();
	return NULL;
}

int main(int argc, char **argv)
{
	struct error err;
	struct rusage usage;
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	if (n < 1 || n > 1024 || !crypto_start(&err))
		return 2;
	pthread_t *threads = xcalloc(n, sizeof *threads);
	ed25519_generate(&key);
	sha256(&digest, "bench", 5);
	ed25519_sign_bytes(&signature, &key, str_of((const char *)digest.b, HASH_SIZE));
	int64_t began = clock_mono_ns();
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, verify, NULL) != 0)
			return 1;
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	double wall = (double)(clock_mono_ns() - began) / 1e9;
	getrusage(RUSAGE_SELF, &usage);
	double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("%.9f %.9f\n", wall / EACH, cpu / (double)n / EACH);
	free(threads);
	return 0;
}
