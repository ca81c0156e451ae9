/*
 * What the state's tree costs, by its size: building it from entries in no order, memory, and one updated key in batches of several sizes (values
 * set anew, and keys that come and go). Best of several rounds. bench_tree [THREADS] [ENTRIES...]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "crypto/merkle_tree.h"
#include "crypto/sha256_pairs.h"

enum { KEYS_A_ROUND = 6000, ROUNDS = 15, HASHES = 4096, PREFIX_DEPTH = 12 };

static const size_t batch_sizes[] = {1, 100, 3000};

static double since_ms(int64_t start_ns)
{
	return (double)(clock_mono_ns() - start_ns) / 1e6;
}

static void bench_hashes(void)
{
	static struct hash in[2 * HASHES], out[HASHES];
	static struct sha256_pair jobs[HASHES];
	double best[3] = {1e9, 1e9, 1e9};
	random_bytes(in, sizeof(in));
	for (size_t i = 0; i < HASHES; i++)
		jobs[i] = (struct sha256_pair){&out[i], &in[2 * i], &in[2 * i + 1]};
	for (int round = 0; round < 50; round++)
		for (int how = 0; how < 3; how++) {
			int64_t start = clock_mono_ns();
			if (how == 0)
				sha256_pairs(1, jobs, HASHES);
			else if (how == 1)
				for (size_t i = 0; i < HASHES; i++)
					sha256_pair(&out[0], 1, &out[0], &in[i]);
			else
				sha256_pairs_portable(1, jobs, HASHES);
			double ns = since_ms(start) * 1e6 / HASHES;
			best[how] = ns < best[how] ? ns : best[how];
		}
	printf("a node's hash: %.0f ns among many, %.0f ns in a chain, %.0f ns by libcrypto\n", best[0], best[1], best[2]);
}

/* ns a key, over batches of `size` that set values (of entries that are there), or that put in and take out. */
static double bench_batches(struct merkle_tree *t, const struct merkle_map_entry *entries, size_t n, size_t size, bool come_and_go)
{
	struct merkle_tree_change *changes = xcalloc(size, sizeof(*changes)), *undo = xcalloc(size, sizeof(*undo));
	double best = 1e18;
	for (int round = 0; round < ROUNDS; round++) {
		double spent = 0;
		size_t keys = 0;
		for (; keys < KEYS_A_ROUND; keys += size) {
			size_t step = n / size;
			for (size_t i = 0; i < size; i++) { /* different ones, wherever they are */
				changes[i].present = true;
				changes[i].path = entries[step * i + random_below(step)].path;
				if (come_and_go)
					random_bytes(&changes[i].path, sizeof(changes[i].path));
				random_bytes(&changes[i].value_hash, sizeof(changes[i].value_hash));
			}
			int64_t start = clock_mono_ns();
			merkle_tree_apply(t, changes, size, undo);
			double ms = since_ms(start);
			if (come_and_go) {
				start = clock_mono_ns();
				merkle_tree_apply(t, undo, size, NULL);
				ms = (ms + since_ms(start)) / 2;
			}
			spent += ms;
		}
		double ns = spent * 1e6 / (double)keys;
		best = ns < best ? ns : best;
	}
	free(changes);
	free(undo);
	return best;
}

static void bench_size(size_t n, unsigned threads)
{
	struct merkle_map_entry *entries = xcalloc(n, sizeof(*entries));
	struct merkle_tree *t = NULL;
	double load = 1e9, build = 1e9, prefixes = 1e9, fold = 1e9;
	random_bytes(entries, n * sizeof(*entries));
	for (int round = 0; round < 3; round++) {
		merkle_tree_free(t);
		t = merkle_tree_new();
		int64_t start = clock_mono_ns();
		merkle_tree_load(t, entries, n);
		double ms = since_ms(start);
		load = ms < load ? ms : load;
		start = clock_mono_ns();
		merkle_tree_build(t, threads);
		ms = since_ms(start);
		build = ms < build ? ms : build;
	}
	static struct merkle_tree_prefix list[1 << PREFIX_DEPTH];
	struct hash root, folded;
	merkle_tree_root(t, &root);
	for (int round = 0; round < ROUNDS; round++) {
		int64_t start = clock_mono_ns();
		merkle_tree_prefix_hashes(t, PREFIX_DEPTH, list);
		double ms = since_ms(start);
		prefixes = ms < prefixes ? ms : prefixes;
		start = clock_mono_ns();
		invariant(merkle_tree_root_from_prefixes(list, PREFIX_DEPTH, &folded) && hash_equal(&root, &folded));
		ms = since_ms(start);
		fold = ms < fold ? ms : fold;
	}
	printf("%zu entries: load %.1f ms, build %.1f ms (%u threads), %.1f bytes an entry; prefixes: read %.2f ms, root of them %.2f ms\n", n, load,
	       build, threads, (double)merkle_tree_bytes(t) / (double)n, prefixes, fold);
	for (size_t i = 0; i < ARRAY_LEN(batch_sizes); i++)
		printf("  batches of %4zu: a value set %6.0f ns, an entry put in or taken out %6.0f ns\n", batch_sizes[i],
		       bench_batches(t, entries, n, batch_sizes[i], false), bench_batches(t, entries, n, batch_sizes[i], true));
	merkle_tree_free(t);
	free(entries);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {10000, 1000000, 5000000};
	unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2;
	bench_hashes();
	if (argc > 2)
		for (int i = 2; i < argc; i++)
			bench_size(strtoul(argv[i], NULL, 10), threads ? threads : 1);
	else
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
			bench_size(sizes[i], threads ? threads : 1);
	return 0;
}
