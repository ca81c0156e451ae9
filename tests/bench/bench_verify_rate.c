/*
 * bench_verify_rate THREADS: seconds of wall and of processor time that one verification by libsodium takes while all threads verify. Of many keys and signatures in
 * turn, as services meet them: of one and the same again and again the processor learns each branch, and a tenth of the time is gone.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

enum { EACH = 10000, KEYS = 1000 };

static struct signed_digest {
	struct ed25519_public key;
	struct ed25519_signature signature;
	struct hash digest;
} all[KEYS];

static void *verify(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < EACH; i++) {
		const struct signed_digest *s = &all[i % KEYS];
		if (!ed25519_verify_bytes(&s->signature, &s->key, str_of((const char *)s->digest.b, HASH_SIZE)))
			abort();
	}
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
	for (int i = 0; i < KEYS; i++) {
		struct ed25519_secret secret;
		ed25519_generate(&secret);
		sha256(&all[i].digest, (const char *)&i, sizeof i);
		ed25519_sign_bytes(&all[i].signature, &secret, str_of((const char *)all[i].digest.b, HASH_SIZE));
		all[i].key = secret.public_key;
		ed25519_secret_wipe(&secret);
	}
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
