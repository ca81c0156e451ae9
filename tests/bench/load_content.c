/*
 * Load for content stores over HTTP. bench_t4.py puts the runs together.
 *
 *	load_content get HOST:PORT PID CONNECTIONS COUNT TARGETS [HEADER]...              the targets in turn
 *	load_content put HOST:PORT PID CONNECTIONS COUNT TARGETS SIZE SEED [HEADER]...    fresh blobs of SIZE bytes, made from SEED and a number
 *	load_content put-same (as put)            one blob, COUNT times
 *	load_content hash BYTES                   what hashing so many bytes of memory costs
 *	load_content fill DIRECTORY COUNT         so many small files where a store has its blobs
 *
 * HOST:PORT and PID: the server, and its process, whose processor time is measured. TARGETS is a file: a request target a line; in those of a put, %H stands for
 * the blob's hash and %2 for its first two digits. Each run prints one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "crypto/sha256.h"
#include "driver.h"

enum { HASH_PIECE = 64 * 1024, HASH_ROOM = 16 * 1024 * 1024, FILL_SHARDS = 256 };

struct lines {
	struct str *at;
	size_t count;
};

static size_t number(const char *text)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	if (*end || end == text)
		fatal("not a number: %s", text);
	return (size_t)v;
}

static struct lines read_lines(struct arena *a, const char *path)
{
	struct lines out = {0};
	char *line = NULL;
	size_t room = 0, had = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		fatal("cannot read %s: %s", path, strerror(errno));
	for (ssize_t n; (n = getline(&line, &room, f)) > 1;) {
		if (out.count == had) {
			had = had ? 2 * had : 64;
			out.at = xrealloc(out.at, had * sizeof(*out.at));
		}
		out.at[out.count++] = arena_copy(a, str_of(line, (size_t)n - (line[n - 1] == '\n')));
	}
	free(line);
	fclose(f);
	if (out.count == 0)
		fatal("%s names no target", path);
	return out;
}

static void put_head(struct buf *out, const char *method, struct str target, char **headers)
{
	buf_printf(out, "%s %.*s HTTP/1.1\r\nHost: store\r\nUser-Agent: load\r\n", method, STR_ARG(target));
	for (; *headers; headers++)
		buf_printf(out, "%s\r\n", *headers);
}

/* ---- runs ---- */

static void get(struct load *load, const struct lines *targets, char **headers)
{
	struct load_result r;
	struct buf *requests = xcalloc(targets->count, sizeof(*requests));
	struct str *texts = xcalloc(targets->count, sizeof(*texts));
	for (size_t i = 0; i < targets->count; i++) {
		put_head(&requests[i], "GET", targets->at[i], headers);
		buf_puts(&requests[i], "\r\n");
		texts[i] = buf_str(&requests[i]);
	}
	load->requests = texts;
	load->request_count = targets->count;
	load_run(load, &r);
	load_print("get", &r);
	free(r.latencies_us);
	for (size_t i = 0; i < targets->count; i++)
		buf_free(&requests[i]);
	free(requests);
	free(texts);
}

/* The seed and the number are the blob's beginning; the rest is the same bytes that no compression makes smaller. */
static void make_blob(unsigned char *blob, size_t size, size_t seed, size_t n)
{
	char text[64];
	struct hash begin;
	int len = snprintf(text, sizeof(text), "blob:%zu:%zu", seed, n);
	sha256(&begin, text, (size_t)len);
	memcpy(blob, begin.b, size < HASH_SIZE ? size : HASH_SIZE);
}

static struct str target_of(struct arena *a, struct str template, const struct hash *h)
{
	struct buf out = {0};
	char text[HASH_TEXT_LEN + 1];
	hash_to_text(h, text);
	for (size_t i = 0; i < template.n; i++) {
		char next = i + 1 < template.n ? template.p[i + 1] : '\0';
		if (template.p[i] != '%' || (next != 'H' && next != '2')) {
			buf_putc(&out, template.p[i]);
			continue;
		}
		buf_put(&out, text, next == 'H' ? HASH_TEXT_LEN : 2);
		i++;
	}
	struct str target = arena_copy(a, buf_str(&out));
	buf_free(&out);
	return target;
}

/* `blobs`: how many different ones. */
static void put(struct load *load, struct arena *a, const struct lines *targets, size_t blobs, size_t size, size_t seed, char **headers)
{
	struct load_result r;
	struct buf *requests = xcalloc(blobs, sizeof(*requests));
	struct str *texts = xcalloc(blobs, sizeof(*texts));
	unsigned char *blob = xmalloc(size);
	random_bytes(blob, size);
	for (size_t i = 0; i < blobs; i++) {
		struct hash h;
		make_blob(blob, size, seed, i);
		sha256(&h, blob, size);
		buf_reserve(&requests[i], size + 2048);
		put_head(&requests[i], "PUT", target_of(a, targets->at[i % targets->count], &h), headers);
		buf_printf(&requests[i], "Content-Length: %zu\r\n\r\n", size);
		buf_put(&requests[i], blob, size);
		texts[i] = buf_str(&requests[i]);
	}
	load->requests = texts;
	load->request_count = blobs;
	load_run(load, &r);
	load_print("put", &r);
	free(r.latencies_us);
	for (size_t i = 0; i < blobs; i++)
		buf_free(&requests[i]);
	free(requests);
	free(texts);
	free(blob);
}

static void hash(size_t bytes)
{
	unsigned char *room = xmalloc(HASH_ROOM);
	struct sha256_state state;
	struct hash out;
	struct timespec begin, end;
	random_bytes(room, HASH_ROOM);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	sha256_init(&state);
	for (size_t at = 0; at < bytes;) {
		size_t n = bytes - at < HASH_PIECE ? bytes - at : HASH_PIECE;
		sha256_update(&state, room + at % HASH_ROOM, n);
		at += n;
	}
	sha256_final(&state, &out);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	printf("{\"what\":\"hash\",\"bytes\":%zu,\"cpu_us\":%.1f}\n", bytes, (double)(end.tv_sec - begin.tv_sec) * 1e6 + (double)(end.tv_nsec - begin.tv_nsec) / 1e3);
	free(room);
}

static void fill(const char *directory, size_t count)
{
	char path[4096];
	for (unsigned i = 0; i < FILL_SHARDS; i++) {
		snprintf(path, sizeof(path), "%s/%02x", directory, i);
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			fatal("cannot make %s: %s", path, strerror(errno));
	}
	for (size_t i = 0; i < count; i++) {
		struct hash h;
		char text[HASH_TEXT_LEN + 1];
		sha256(&h, &i, sizeof(i));
		hash_to_text(&h, text);
		snprintf(path, sizeof(path), "%s/%.2s/%s", directory, text, text);
		int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, &i, sizeof(i)) != sizeof(i))
			fatal("cannot write %s: %s", path, strerror(errno));
		close(fd);
	}
	printf("{\"what\":\"fill\",\"files\":%zu}\n", count);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct arena a;
	arena_init(&a);
	if (strcmp(what, "hash") == 0 && argc == 3) {
		hash(number(argv[2]));
	} else if (strcmp(what, "fill") == 0 && argc == 4) {
		fill(argv[2], number(argv[3]));
	} else if ((strcmp(what, "get") == 0 && argc >= 7) || ((strcmp(what, "put") == 0 || strcmp(what, "put-same") == 0) && argc >= 9)) {
		struct load load = {.address = argv[2], .server = (pid_t)number(argv[3]), .connections = number(argv[4]), .count = number(argv[5])};
		struct lines targets = read_lines(&a, argv[6]);
		if (what[0] == 'g')
			get(&load, &targets, argv + 7);
		else
			put(&load, &a, &targets, what[3] ? 1 : load.count, number(argv[7]), number(argv[8]), argv + 9);
		free(targets.at);
	} else {
		fatal("usage: see the head of tests/bench/load_content.c");
	}
	arena_free(&a);
	return 0;
}
