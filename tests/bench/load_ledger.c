/*
 * Load for ledgerd: transfers between the accounts of make_chain, whose keys follow from numbers. bench_ledger.py puts the runs together.
 *
 *	load_ledger transfers HOST:PORT PID CONNECTIONS ACCOUNTS FIRST SENDERS NONCE COUNT [RATE]
 *	load_ledger bodies ACCOUNTS FIRST SENDERS NONCE COUNT         prints the bodies instead, one a line
 *
 * Transfer n is signed by account FIRST + n % SENDERS with the nonce NONCE + n / SENDERS, and goes to an account at random. Prints one line of JSON: the processor
 * time is that until the last 202, not until the last block.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "driver.h"
#include "wire/tx.h"

struct sender {
	struct ed25519_secret key;
	char id[USER_ID_LEN + 1];
};

static void account(size_t i, struct sender *out)
{
	struct hash seed;
	char name[48], key[ED25519_PUBLIC_TEXT_LEN + 1];
	int n = snprintf(name, sizeof name, "tana-bench-account-%zu", i);
	sha256(&seed, name, (size_t)n);
	ed25519_from_seed(&out->key, seed.b);
	ed25519_public_to_text(&out->key.public_key, key);
	user_id_of(STR_LIT("bench"), str_from(key), out->id);
}

struct plan {
	size_t accounts, first, senders, count;
	int64_t nonce;
};

static struct str body(struct arena *a, const struct sender *from, const char *to, int64_t nonce, int64_t time)
{
	char nonce_text[24], time_text[24], signature[ED25519_SIGNATURE_TEXT_LEN + 1];
	struct ed25519_signature s;
	struct buf message = {0};
	struct str value[TXF_COUNT] = {{NULL, 0}};
	snprintf(nonce_text, sizeof nonce_text, "%lld", (long long)nonce);
	snprintf(time_text, sizeof time_text, "%lld", (long long)time);
	value[TXF_TYPE] = STR_LIT("transfer");
	value[TXF_CHAIN_ID] = STR_LIT("bench");
	value[TXF_FROM] = str_from(from->id);
	value[TXF_TO] = str_from(to);
	value[TXF_NONCE] = str_from(nonce_text);
	value[TXF_TIMESTAMP] = str_from(time_text);
	value[TXF_AMOUNT] = STR_LIT("0.01");
	value[TXF_CURRENCY_CODE] = STR_LIT("USD");
	tx_write(&message, value);
	ed25519_sign_message(&s, &from->key, buf_str(&message));
	ed25519_signature_to_text(&s, signature);
	struct str out = arena_printf(a, "{\"message\":%.*s,\"signature\":\"%s\"}", STR_ARG(buf_str(&message)), signature);
	buf_free(&message);
	return out;
}

static struct str *make(struct arena *a, const struct plan *p)
{
	struct sender *senders = xcalloc(p->senders, sizeof *senders);
	struct str *out = xcalloc(p->count, sizeof *out);
	int64_t now = clock_wall_ms();
	for (size_t i = 0; i < p->senders; i++)
		account(p->first + i, &senders[i]);
	for (size_t i = 0; i < p->count; i++) {
		const struct sender *from = &senders[i % p->senders];
		struct sender to;
		/* Some recipients are made anew, the most are senders: to know an account's id costs as much as a signature. */
		if (p->accounts > p->senders && random_below(4) == 0)
			account((size_t)random_below(p->accounts), &to);
		else
			to = senders[random_below(p->senders)];
		if (strcmp(to.id, from->id) == 0)
			to = senders[(i + 1) % p->senders];
		out[i] = body(a, from, to.id, p->nonce + (int64_t)(i / p->senders), now);
	}
	free(senders);
	return out;
}

static struct plan plan_of(char **argv)
{
	return (struct plan){.accounts = strtoul(argv[0], NULL, 10),
			     .first = strtoul(argv[1], NULL, 10),
			     .senders = strtoul(argv[2], NULL, 10),
			     .nonce = strtoll(argv[3], NULL, 10),
			     .count = strtoul(argv[4], NULL, 10)};
}

static void run(struct arena *a, struct load *l, const struct plan *p)
{
	struct load_result r;
	struct str *bodies = make(a, p);
	for (size_t i = 0; i < p->count; i++)
		bodies[i] = arena_printf(a, "POST /transactions HTTP/1.1\r\nHost: ledger\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s", bodies[i].n,
					 STR_ARG(bodies[i]));
	l->requests = bodies;
	l->request_count = l->count = p->count;
	load_run(l, &r);
	if (r.refused)
		fatal("%zu of %zu transfers were refused, the first with: %s", r.refused, p->count, r.first_refusal);
	double n = (double)r.answered;
	printf("{\"requests\":%.0f,\"seconds\":%.6f,\"per_second\":%.1f,\"server_cpu_us\":%.3f,\"own_cpu_us\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n", n, r.seconds, n / r.seconds,
	       r.server_cpu / n * 1e6, r.own_cpu / n * 1e6, load_percentile_ms(&r, 0.5), load_percentile_ms(&r, 0.99));
	free(r.latencies_us);
	free(bodies);
}

int main(int argc, char **argv)
{
	struct arena arena;
	struct error err;
	if (!crypto_start(&err))
		return 1;
	arena_init(&arena);
	if (argc == 7 && strcmp(argv[1], "bodies") == 0) {
		struct plan p = plan_of(argv + 2);
		struct str *bodies = make(&arena, &p);
		for (size_t i = 0; i < p.count; i++)
			printf("%.*s\n", STR_ARG(bodies[i]));
		free(bodies);
	} else if ((argc == 10 || argc == 11) && strcmp(argv[1], "transfers") == 0) {
		struct plan p = plan_of(argv + 5);
		struct load l = {.address = argv[2],
				 .server = (pid_t)strtol(argv[3], NULL, 10),
				 .connections = strtoul(argv[4], NULL, 10),
				 .rate = argc == 11 ? strtod(argv[10], NULL) : 0};
		run(&arena, &l, &p);
	} else {
		fprintf(stderr, "see the head of load_ledger.c\n");
		return 2;
	}
	arena_free(&arena);
	return 0;
}
