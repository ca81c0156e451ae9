/*
 * Load for meshd, as nodes and readers make it. bench_mesh.py puts the runs together. Keys are made from numbers, so that every run knows those of all others.
 *
 *	load_mesh sovereign                                          prints the public key that signs the invites
 *	load_mesh verify SECONDS                                     libsodium verifications of SHA-256 digests, on all processors at once
 *	load_mesh register HOST:PORT PID CONNECTIONS FROM COUNT      nodes FROM .. FROM+COUNT-1, with invites made on the way
 *	load_mesh heartbeats HOST:PORT PID CONNECTIONS NODES COUNT [RATE]   signed in full, by nodes in random order
 *	load_mesh pages HOST:PORT PID CONNECTIONS NODES COUNT [RATE]  lists of 100 from a random place
 *	load_mesh nodes HOST:PORT PID CONNECTIONS NODES COUNT [RATE]  single nodes
 *
 * HOST:PORT and PID: the server, and its process, whose processor time is measured. Each run prints one line of JSON.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "driver.h"
#include "wire/mesh.h"
#include "wire/mesh_messages.h"

enum {
	INVITE_USES = 10000,
	INVITE_LIFE_MS = 3600 * 1000,
	SERVICES = 4,
	READS_MADE = 4096, /* different ones; sent again and again */
	VERIFY_KEYS = 512,
	THREADS_MAX = 64,
};
static const char network[] = "bench";

/* ---- keys, names ---- */

static void key_of(const char *kind, size_t n, struct ed25519_secret *out)
{
	struct hash seed;
	char text[64];
	int len = snprintf(text, sizeof(text), "tana-bench:%s:%zu", kind, n);
	sha256(&seed, text, (size_t)len);
	ed25519_from_seed(out, seed.b);
}

static struct str key_text(struct arena *a, const struct ed25519_secret *key)
{
	char text[ED25519_PUBLIC_TEXT_LEN + 1];
	ed25519_public_to_text(&key->public_key, text);
	return arena_copy(a, str_from(text));
}

static struct str sign(struct arena *a, const struct ed25519_secret *key, struct str message)
{
	struct ed25519_signature s;
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	ed25519_sign_message(&s, key, message);
	ed25519_signature_to_text(&s, text);
	return arena_copy(a, str_from(text));
}

static struct str node_name(struct arena *a, size_t n)
{
	return arena_printf(a, "validator-%06zu", n);
}

/* ---- requests ---- */

static struct str post(struct arena *a, const char *path, struct str body)
{
	return arena_printf(a, "POST %s HTTP/1.1\r\nHost: mesh\r\nUser-Agent: load\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s", path,
			    body.n, STR_ARG(body));
}

static struct str get(struct arena *a, struct str path)
{
	return arena_printf(a, "GET %.*s HTTP/1.1\r\nHost: mesh\r\nUser-Agent: load\r\nAccept: application/json\r\n\r\n", STR_ARG(path));
}

static const char *const service_types[SERVICES] = {"ledger", "t4", "identity", "x-metrics"};

static struct str registration(struct arena *a, size_t n, const struct ed25519_secret *invite)
{
	struct ed25519_secret key;
	struct mesh_service services[SERVICES];
	struct mesh_invite_use use;
	struct buf text = {0};
	key_of("node", n, &key);
	for (size_t i = 0; i < SERVICES; i++) {
		struct ed25519_secret service_key;
		key_of(service_types[i], n % VERIFY_KEYS, &service_key); /* a service's key signs nothing here */
		services[i] = (struct mesh_service){str_from(service_types[i]), 8000 + (int64_t)i, key_text(a, &service_key)};
	}
	struct mesh_register r = {
		.node_id = node_name(a, n),
		.public_key = key_text(a, &key),
		.tailscale_hostname = arena_printf(a, "validator-%06zu.tail1234.ts.net", n),
		.tailscale_ip = arena_printf(a, "100.%zu.%zu.%zu", 64 + (n >> 16) % 64, n >> 8 & 255, n & 255),
		.services = {services, SERVICES},
		.region = STR_LIT("eu-central"),
		.provider = STR_LIT("example"),
		.network = STR_LIT("bench"),
		.timestamp = clock_wall_ms(),
	};
	mesh_message_invite_use(&text, r.network, r.node_id, r.public_key);
	use = (struct mesh_invite_use){key_text(a, invite), sign(a, invite, buf_str(&text))};
	r.invite = &use;
	buf_clear(&text);
	json_write_canonical(&text, &mesh_register_unsigned_message, &r);
	r.signature = sign(a, &key, buf_str(&text));
	buf_clear(&text);
	json_write(&text, &mesh_register_message, &r);
	struct str out = post(a, "/register", buf_str(&text));
	buf_free(&text);
	return out;
}

static struct str invitation(struct arena *a, const struct ed25519_secret *invite)
{
	struct ed25519_secret sovereign;
	struct buf text = {0};
	key_of("sovereign", 0, &sovereign);
	int64_t now = clock_wall_ms();
	struct mesh_invite_create m = {.public_key = key_text(a, invite),
				       .uses = INVITE_USES,
				       .expires = now + INVITE_LIFE_MS,
				       .approver_public_key = key_text(a, &sovereign),
				       .timestamp = now};
	mesh_message_invite(&text, str_from(network), m.public_key, m.uses, m.expires, m.timestamp);
	m.signature = sign(a, &sovereign, buf_str(&text));
	buf_clear(&text);
	json_write(&text, &mesh_invite_create_message, &m);
	struct str out = post(a, "/invites", buf_str(&text));
	buf_free(&text);
	return out;
}

static struct str heartbeat(struct arena *a, size_t n, int64_t timestamp)
{
	struct ed25519_secret key;
	struct mesh_health services[SERVICES];
	struct buf text = {0};
	key_of("node", n, &key);
	for (size_t i = 0; i < SERVICES; i++)
		services[i] = (struct mesh_health){str_from(service_types[i]), JSON_TRUE, timestamp - 1000 * (int64_t)i};
	struct mesh_heartbeat h = {
		.node_id = node_name(a, n),
		.timestamp = timestamp,
		.tailscale_ip = arena_printf(a, "100.%zu.%zu.%zu", 64 + (n >> 16) % 64, n >> 8 & 255, n & 255),
		.services = {services, SERVICES},
		.height = timestamp / 1000,
		.version = STR_LIT("0.1.0"),
		.signed_form = STR_LIT("full"),
	};
	json_write_canonical(&text, &mesh_heartbeat_message, &h);
	h.signature = sign(a, &key, buf_str(&text));
	buf_clear(&text);
	json_write(&text, &mesh_heartbeat_message, &h);
	struct str out = post(a, "/heartbeat", buf_str(&text));
	buf_free(&text);
	return out;
}

/* ---- runs ---- */

struct run {
	struct load load;
	struct arena arena;
	size_t nodes;
};

static void send_all(struct run *run, const struct str *requests, size_t made, struct load_result *out)
{
	run->load.requests = requests;
	run->load.request_count = made;
	load_run(&run->load, out);
}

static void shuffle(size_t *order, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = (size_t)random_below(i), moved = order[i - 1];
		order[i - 1] = order[j];
		order[j] = moved;
	}
}

/* The nodes in random order, again and again, each over a connection of its own: its next heartbeat leaves when the last was answered. */
static void heartbeats(struct run *run)
{
	struct load_result r;
	size_t count = run->load.count;
	struct str *requests = xcalloc(count, sizeof(*requests));
	size_t *order = xcalloc(run->nodes, sizeof(*order));
	for (size_t i = 0; i < run->nodes; i++)
		order[i] = i;
	shuffle(order, run->nodes);
	size_t connections = run->load.connections, share = run->nodes / connections; /* nodes of one connection */
	if (share == 0)
		fatal("there are more connections than nodes");
	int64_t now = clock_wall_ms();
	for (size_t i = 0; i < count; i++) {
		size_t turn = i / connections;
		requests[i] = heartbeat(&run->arena, order[i % connections + turn % share * connections], now + (int64_t)(turn / share));
	}
	send_all(run, requests, count, &r);
	load_print("heartbeats", &r);
	free(r.latencies_us);
	free(order);
	free(requests);
}

static void reads(struct run *run, const char *what)
{
	struct load_result r;
	struct str requests[READS_MADE];
	bool pages = strcmp(what, "pages") == 0;
	for (size_t i = 0; i < READS_MADE; i++) {
		struct str name = node_name(&run->arena, (size_t)random_below(run->nodes));
		requests[i] = get(&run->arena, arena_printf(&run->arena, pages ? "/nodes?limit=100&cursor=%.*s" : "/nodes/%.*s", STR_ARG(name)));
	}
	send_all(run, requests, READS_MADE, &r);
	load_print(what, &r);
	free(r.latencies_us);
}

/* One invite after the other, each used up. */
static void register_all(struct run *run, size_t from, size_t count)
{
	struct load_result sum = {0};
	size_t connections = run->load.connections;
	struct str *requests = xcalloc(INVITE_USES, sizeof(*requests));
	while (sum.answered < count) {
		struct load_result r;
		struct ed25519_secret invite;
		ed25519_generate(&invite);
		requests[0] = invitation(&run->arena, &invite);
		run->load.count = run->load.connections = 1;
		send_all(run, requests, 1, &r);
		if (r.refused)
			fatal("no invite could be made: %s", r.first_refusal);
		free(r.latencies_us);
		size_t n = count - sum.answered < INVITE_USES ? count - sum.answered : INVITE_USES;
		for (size_t i = 0; i < n; i++)
			requests[i] = registration(&run->arena, from + sum.answered + i, &invite);
		run->load.count = n;
		run->load.connections = connections;
		send_all(run, requests, n, &r);
		if (r.refused)
			fatal("%zu registrations were refused, the first with: %s", r.refused, r.first_refusal);
		sum.answered += n;
		sum.seconds += r.seconds;
		sum.server_cpu += r.server_cpu;
		free(r.latencies_us);
		arena_free(&run->arena);
	}
	printf("{\"what\":\"register\",\"requests\":%zu,\"seconds\":%.3f,\"per_second\":%.1f,\"server_cpu_us\":%.3f}\n", sum.answered, sum.seconds,
	       (double)sum.answered / sum.seconds, sum.server_cpu / (double)sum.answered * 1e6);
	free(requests);
}

/* ---- what one verification costs ---- */

static double verify_seconds;
static struct verifier {
	pthread_t thread;
	uint64_t verified;
	double cpu_s;
} verifiers[THREADS_MAX];

static double thread_cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Different keys and digests in turn, as the server meets them. */
static void *verify_for_a_while(void *arg)
{
	struct verifier *v = arg;
	struct ed25519_secret keys[VERIFY_KEYS];
	struct ed25519_signature signatures[VERIFY_KEYS];
	struct hash digests[VERIFY_KEYS];
	for (size_t i = 0; i < VERIFY_KEYS; i++) {
		key_of("node", i, &keys[i]);
		sha256(&digests[i], keys[i].seed, ED25519_SEED_SIZE);
		ed25519_sign_bytes(&signatures[i], &keys[i], str_of((const char *)digests[i].b, HASH_SIZE));
	}
	double start = thread_cpu_s();
	int64_t end_ns = clock_mono_ns() + (int64_t)(verify_seconds * 1e9);
	while (clock_mono_ns() < end_ns)
		for (size_t i = 0; i < VERIFY_KEYS; i++, v->verified++)
			if (!ed25519_verify_bytes(&signatures[i], &keys[i].public_key, str_of((const char *)digests[i].b, HASH_SIZE)))
				fatal("a good signature does not verify");
	v->cpu_s = thread_cpu_s() - start;
	return NULL;
}

static void verify(double seconds)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t threads = processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : (size_t)processors;
	uint64_t verified = 0;
	double cpu_s = 0;
	verify_seconds = seconds;
	for (size_t i = 0; i < threads; i++)
		if (pthread_create(&verifiers[i].thread, NULL, verify_for_a_while, &verifiers[i]) != 0)
			fatal("no thread");
	for (size_t i = 0; i < threads; i++) {
		pthread_join(verifiers[i].thread, NULL);
		verified += verifiers[i].verified;
		cpu_s += verifiers[i].cpu_s;
	}
	printf("{\"what\":\"verify\",\"verified\":%" PRIu64 ",\"cpu_us\":%.3f}\n", verified, cpu_s / (double)verified * 1e6);
}

static size_t number(const char *text)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	if (*end || end == text)
		fatal("not a number: %s", text);
	return (size_t)v;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "sovereign") == 0 && argc == 2) {
		struct ed25519_secret key;
		char text[ED25519_PUBLIC_TEXT_LEN + 1];
		key_of("sovereign", 0, &key);
		ed25519_public_to_text(&key.public_key, text);
		puts(text);
		return 0;
	}
	if (strcmp(what, "verify") == 0 && argc == 3) {
		verify(strtod(argv[2], NULL));
		return 0;
	}
	if (argc < 7)
		fatal("usage: load_mesh register|heartbeats|pages|nodes HOST:PORT PID CONNECTIONS FROM|NODES COUNT [RATE]");
	struct run run = {.load = {.address = argv[2], .server = (pid_t)number(argv[3]), .connections = number(argv[4])}, .nodes = number(argv[5])};
	run.load.count = number(argv[6]);
	run.load.rate = argc > 7 ? strtod(argv[7], NULL) : 0;
	if (strcmp(what, "register") == 0)
		register_all(&run, run.nodes, run.load.count);
	else if (strcmp(what, "heartbeats") == 0)
		heartbeats(&run);
	else if (strcmp(what, "pages") == 0 || strcmp(what, "nodes") == 0)
		reads(&run, what);
	else
		fatal("no such run: %s", what);
	arena_free(&run.arena);
	return 0;
}
