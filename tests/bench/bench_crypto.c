/* What the crypto room costs: nanoseconds per call, best of several rounds on one core. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/canonical.h"
#include "crypto/ed25519.h"
#include "crypto/merkle_list.h"
#include "crypto/merkle_map.h"

enum { ROUNDS = 7, LARGE = 1 << 20, MAP_ENTRIES = 10000 };

static const char heartbeat[] = "heartbeat:validator-1:1763400000000";
static const char statement[] =
	"{\"capabilities\":[\"consensus\",\"storage\"],\"endpoint\":\"https://validator-1.example:8190\",\"nodeId\":\"validator-1\","
	"\"publicKey\":\"ed25519_03fde20aaa05ce309c00fcb1d5a68734a49602d315cef6b814c5248bdeb9ae94\","
	"\"timestamp\":1763400000000,\"type\":\"register\"}";

static struct ed25519_secret key;
static struct ed25519_signature signature;
static char public_text[ED25519_PUBLIC_TEXT_LEN + 1], signature_text[ED25519_SIGNATURE_TEXT_LEN + 1];
static char *large;
static struct merkle_frontier frontier;
static struct merkle_map_entry *entries;
static struct hash result;

static void verify_message(void)
{
	invariant(ed25519_verify_message(&signature, &key.public_key, str_from(heartbeat)));
}

static void sign_message(void)
{
	struct ed25519_signature made;
	ed25519_sign_message(&made, &key, str_from(heartbeat));
}

static void read_public(void)
{
	struct ed25519_public k;
	struct error err;
	invariant(ed25519_public_from_text(str_of(public_text, ED25519_PUBLIC_TEXT_LEN), KEY_LENIENT, &k, &err));
}

static void read_signature(void)
{
	struct ed25519_signature s;
	struct error err;
	invariant(ed25519_signature_from_text(str_of(signature_text, ED25519_SIGNATURE_TEXT_LEN), KEY_LENIENT, &s, &err));
}

static void sha256_32(void)
{
	sha256(&result, large, 32);
}

static void sha256_64(void)
{
	sha256(&result, large, 64);
}

static void sha256_300(void)
{
	sha256(&result, large, 300);
}

static void sha256_1m(void)
{
	sha256(&result, large, LARGE);
}

static void check_statement(void)
{
	invariant(canonical_check(str_of(statement, sizeof(statement) - 1)));
}

static void append_leaf(void)
{
	merkle_frontier_append(&frontier, &result, NULL, NULL);
}

static void frontier_root(void)
{
	merkle_frontier_root(&frontier, &result);
}

static void map_root(void)
{
	merkle_map_root(&result, entries, MAP_ENTRIES);
}

static void self_test(void)
{
	struct error err;
	invariant(crypto_start(&err));
}

static const struct {
	const char *name;
	void (*call)(void);
	int repeats;
	size_t bytes; /* read by one call, for MB/s; 0: not shown */
} rows[] = {
	{"verify_message, 35 bytes", verify_message, 2000, 0},
	{"sign_message, 35 bytes", sign_message, 2000, 0},
	{"public key from text", read_public, 200000, 0},
	{"signature from text", read_signature, 200000, 0},
	{"sha256, 32 bytes", sha256_32, 200000, 32},
	{"sha256, 64 bytes", sha256_64, 200000, 64},
	{"sha256, 300 bytes", sha256_300, 100000, 300},
	{"sha256, 1 MiB", sha256_1m, 20, LARGE},
	{"canonical_check, a registration", check_statement, 100000, sizeof(statement) - 1},
	{"list: append a leaf", append_leaf, 100000, 0},
	{"list: root of the frontier", frontier_root, 20000, 0},
	{"map: root of 10,000 entries", map_root, 2, 0},
	{"crypto_start", self_test, 20, 0},
};

static void prepare(void)
{
	struct error err;
	if (!crypto_start(&err))
		fatal("%s", err.message);
	ed25519_generate(&key);
	ed25519_sign_message(&signature, &key, str_from(heartbeat));
	ed25519_public_to_text(&key.public_key, public_text);
	ed25519_signature_to_text(&signature, signature_text);
	large = xcalloc(LARGE, 1);
	entries = xcalloc(MAP_ENTRIES, sizeof(*entries));
	for (size_t i = 0; i < MAP_ENTRIES; i++)
		merkle_map_entry(&entries[i], str_of((const char *)&i, sizeof(i)), STR_LIT("value"));
	merkle_map_sort(entries, MAP_ENTRIES);
}

int main(void)
{
	prepare();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double best = 0;
		for (int round = 0; round < ROUNDS; round++) {
			int64_t start = clock_mono_ns();
			for (int r = 0; r < rows[i].repeats; r++)
				rows[i].call();
			double ns = (double)(clock_mono_ns() - start) / rows[i].repeats;
			best = round == 0 || ns < best ? ns : best;
		}
		printf("%-32s %12.0f ns", rows[i].name, best);
		if (rows[i].bytes > 0)
			printf("  %8.0f MB/s", (double)rows[i].bytes * 1e3 / best);
		putchar('\n');
	}
	ed25519_secret_wipe(&key);
	free(large);
	free(entries);
	return 0;
}
