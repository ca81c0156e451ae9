/* What the JSON room costs on the heartbeat's path: parse, read, canonicalise. Prints the best of several rounds, in microseconds. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "json/fields.h"
#include "wire/mesh.h"

#define SERVICE(type) "{\"type\":\"" type "\",\"healthy\":true,\"lastCheck\":1767225600000}"
#define SIGNATURE_HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char heartbeat[] =
	"{\"nodeId\":\"validator-1\",\"timestamp\":1767225600000,\"tailscaleIP\":\"100.64.0.1\",\"services\":[" SERVICE("mesh") "," SERVICE("t4") ","
	SERVICE("ledger") "," SERVICE("identity") "],\"height\":123456,\"version\":\"0.1.0\",\"signed\":\"full\","
	"\"signature\":\"ed25519_sig_" SIGNATURE_HEX SIGNATURE_HEX "\"}";

enum { ROUNDS = 7, REPEATS = 50000 };

static void parse(struct arena *a)
{
	struct error err;
	(void)a;
	struct json_doc *d = json_parse_object(str_of(heartbeat, sizeof heartbeat - 1), &err);
	invariant(d);
	json_doc_free(d);
}

static void parse_read(struct arena *a)
{
	struct error err;
	struct mesh_heartbeat h;
	invariant(json_read_text(str_of(heartbeat, sizeof heartbeat - 1), &mesh_heartbeat_message, &h, a, &err));
}

static void parse_read_canonicalise(struct arena *a)
{
	struct error err;
	struct mesh_heartbeat h;
	struct buf out = {0};
	struct json_doc *d = json_parse_object(str_of(heartbeat, sizeof heartbeat - 1), &err);
	invariant(d && json_read(d, &mesh_heartbeat_message, &h, a, &err) && json_canonicalise(d, "signature", &out, &err));
	json_doc_free(d);
	buf_free(&out);
}

static void bench(const char *what, void (*run)(struct arena *a))
{
	int64_t best = INT64_MAX;
	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = clock_mono_ns();
		for (int i = 0; i < REPEATS; i++) {
			struct arena a;
			arena_init(&a);
			run(&a);
			arena_free(&a);
		}
		int64_t took = clock_mono_ns() - start;
		if (took < best)
			best = took;
	}
	printf("%-28s %6.2f us\n", what, (double)best / REPEATS / 1000);
}

int main(void)
{
	printf("a heartbeat of %zu bytes with 4 services\n", sizeof heartbeat - 1);
	bench("parse", parse);
	bench("parse, read", parse_read);
	bench("parse, read, canonicalise", parse_read_canonicalise);
	return 0;
}
