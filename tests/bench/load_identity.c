/*
 * Load for identityd, as desktops and phones make it. bench_identity.py puts the runs together.
 *
 *	load_identity verifications SECONDS                              libsodium verifications of SHA-256 digests, one thread a processor
 *	load_identity logins HOST:PORT PID CONNECTIONS COUNT             create, scan, approve, verify, one after the other on each connection
 *	load_identity verify HOST:PORT PID CONNECTIONS COUNT             GET /auth/session/verify with good tokens
 *	load_identity wait HOST:PORT PID COUNT                           so many desktops wait; then what is asked on standard input, a line each:
 *	                                                                 "leave N" (N of them go without a word), "end"
 *	load_identity latency HOST:PORT PID WAITING COUNT RATE           of so many that wait, COUNT are approved, RATE a second
 *
 * HOST:PORT and PID: the server, and its process, whose processor time and memory are measured. Each run prints lines of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "driver.h"

enum { ANSWER_MAX = 8192, EVENTS = 256, USERS = 512, TOKENS = 256, THREADS_MAX = 64, FIELD_MAX = 128 };

/* ---- users ---- */

struct user {
	struct ed25519_secret key;
	char id[32], key_text[ED25519_PUBLIC_TEXT_LEN + 1];
};
static struct user users[USERS];

static void make_users(void)
{
	for (size_t i = 0; i < USERS; i++) {
		struct hash seed;
		snprintf(users[i].id, sizeof(users[i].id), "bench-user-%zu", i);
		sha256(&seed, users[i].id, strlen(users[i].id));
		ed25519_from_seed(&users[i].key, seed.b);
		ed25519_public_to_text(&users[i].key.public_key, users[i].key_text);
	}
}

/* ---- HTTP, whole answers ---- */

struct answer {
	char text[ANSWER_MAX];
	size_t len;
};

static int dial(const char *address)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	char host[64];
	unsigned port;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sscanf(address, "%63[0-9.]:%5u", host, &port) != 2 || inet_pton(AF_INET, host, &a.sin_addr) != 1)
		fatal("not HOST:PORT: %s", address);
	a.sin_port = htons((uint16_t)port);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0)
		fatal("cannot connect to %s: %s", address, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		if (sent <= 0)
			fatal("cannot send: %s", strerror(errno));
		p += sent;
		n -= (size_t)sent;
	}
}

/* True when the answer is complete. */
static bool complete(const struct answer *a)
{
	const char *head = strstr(a->text, "\r\n\r\n"), *length = strcasestr(a->text, "\r\nContent-Length: ");
	return head && length && a->len >= (size_t)(head - a->text) + 4 + strtoul(length + 18, NULL, 10);
}

static bool receive(int fd, struct answer *a)
{
	ssize_t got = recv(fd, a->text + a->len, sizeof(a->text) - 1 - a->len, 0);
	if (got <= 0)
		fatal("the server closed a connection after: %.200s", a->text);
	a->len += (size_t)got;
	a->text[a->len] = '\0';
	return complete(a);
}

static void call(int fd, struct str request, struct answer *a)
{
	a->len = 0;
	a->text[0] = '\0';
	send_all(fd, request.p, request.n);
	while (!receive(fd, a))
		;
}

static void must(const struct answer *a, const char *status)
{
	if (strncmp(a->text + 9, status, 3) != 0)
		fatal("expected %s: %.600s", status, a->text);
}

static void field(const struct answer *a, const char *name, char out[FIELD_MAX])
{
	char key[64];
	snprintf(key, sizeof(key), "\"%s\":\"", name);
	const char *p = strstr(a->text, key);
	if (!p)
		fatal("no %s in %.600s", name, a->text);
	p += strlen(key);
	snprintf(out, FIELD_MAX, "%.*s", (int)strcspn(p, "\""), p);
}

/* ---- a login's requests ---- */

struct login {
	char id[FIELD_MAX], challenge[FIELD_MAX], secret[FIELD_MAX];
};

static struct str post(struct arena *a, const char *path, struct str body)
{
	return arena_printf(a, "POST %s HTTP/1.1\r\nHost: id\r\nUser-Agent: load\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s", path, body.n,
			    STR_ARG(body));
}

static struct str create_request(struct arena *a)
{
	return post(a, "/auth/session/create", STR_LIT("{\"appName\":\"bench\"}"));
}

static void take_login(const struct answer *a, struct login *out)
{
	must(a, "201");
	field(a, "sessionId", out->id);
	field(a, "challenge", out->challenge);
	field(a, "pollSecret", out->secret);
}

static struct str scan_request(struct arena *a, const struct login *l)
{
	return post(a, arena_printf(a, "/auth/session/%s/scan", l->id).p, STR_LIT(""));
}

static struct str approve_request(struct arena *a, const struct login *l, const struct user *u)
{
	struct ed25519_signature sig;
	char text[ED25519_SIGNATURE_TEXT_LEN + 1];
	struct str message = arena_printf(a, "{\"sessionId\":\"%s\",\"challenge\":\"%s\",\"userId\":\"%s\",\"username\":\"@%s\",\"timestamp\":%lld}", l->id, l->challenge,
					  u->id, u->id, (long long)clock_wall_ms());
	ed25519_sign_message(&sig, &u->key, message);
	ed25519_signature_to_text(&sig, text);
	struct buf body = {0};
	buf_printf(&body, "{\"userId\":\"%s\",\"username\":\"@%s\",\"publicKey\":\"%s\",\"signature\":\"%s\",\"message\":", u->id, u->id, u->key_text, text);
	buf_put_json_string(&body, message);
	buf_putc(&body, '}');
	struct str request = post(a, arena_printf(a, "/auth/session/%s/approve", l->id).p, buf_str(&body));
	buf_free(&body);
	return request;
}

static struct str verify_request(struct arena *a, const char *token)
{
	return arena_printf(a, "GET /auth/session/verify HTTP/1.1\r\nHost: id\r\nAuthorization: Bearer %s\r\n\r\n", token);
}

/* ---- logins: each connection goes from step to step ---- */

enum step { STEP_CREATE, STEP_SCAN, STEP_APPROVE, STEP_VERIFY };
struct desk {
	int fd;
	enum step step;
	size_t user;
	struct login login;
	struct answer answer;
	struct arena arena;
};
struct run {
	size_t begun, done, count;
};

static void ask(struct desk *d, enum step step)
{
	struct str request;
	char token[FIELD_MAX];
	switch (step) {
	case STEP_CREATE:
		arena_free(&d->arena);
		request = create_request(&d->arena);
		break;
	case STEP_SCAN:
		take_login(&d->answer, &d->login);
		request = scan_request(&d->arena, &d->login);
		break;
	case STEP_APPROVE:
		must(&d->answer, "200");
		request = approve_request(&d->arena, &d->login, &users[d->user]);
		break;
	case STEP_VERIFY:
		must(&d->answer, "200");
		field(&d->answer, "sessionToken", token);
		request = verify_request(&d->arena, token);
		break;
	default:
		fatal("no such step");
	}
	d->step = step;
	d->answer.len = 0;
	d->answer.text[0] = '\0';
	send_all(d->fd, request.p, request.n);
}

static void go_on(struct desk *d, struct run *r)
{
	if (d->step != STEP_VERIFY) {
		ask(d, d->step + 1);
		return;
	}
	must(&d->answer, "200");
	r->done++;
	d->user = (d->user + 1) % USERS;
	if (r->begun < r->count) {
		r->begun++;
		ask(d, STEP_CREATE);
	}
}

static int logins(const char *address, pid_t server, size_t connections, size_t count)
{
	struct desk *desks = xcalloc(connections, sizeof(*desks));
	struct run r = {.count = count};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < connections; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = &desks[i]};
		desks[i].fd = dial(address);
		desks[i].user = i * 7 % USERS;
		arena_init(&desks[i].arena);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, desks[i].fd, &e) != 0)
			fatal("epoll: %s", strerror(errno));
	}
	double cpu = process_cpu_s(server);
	int64_t begin = clock_mono_ns();
	for (size_t i = 0; i < connections && r.begun < count; i++) {
		r.begun++;
		ask(&desks[i], STEP_CREATE);
	}
	while (r.done < count) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, 30000);
		if (n <= 0)
			fatal("no answer for 30 s");
		for (int i = 0; i < n; i++) {
			struct desk *d = events[i].data.ptr;
			if (receive(d->fd, &d->answer))
				go_on(d, &r);
		}
	}
	double seconds = (double)(clock_mono_ns() - begin) * 1e-9;
	printf("{\"logins\":%zu,\"seconds\":%.6f,\"server_cpu\":%.6f}\n", r.done, seconds, process_cpu_s(server) - cpu);
	for (size_t i = 0; i < connections; i++) {
		close(desks[i].fd);
		arena_free(&desks[i].arena);
	}
	free(desks);
	close(epoll);
	return 0;
}

/* ---- verify ---- */

static int verify(const char *address, pid_t server, size_t connections, size_t count)
{
	struct arena a;
	struct answer answer;
	struct str requests[TOKENS];
	struct load_result result;
	int fd = dial(address);
	arena_init(&a);
	for (size_t i = 0; i < TOKENS; i++) {
		struct login l;
		char token[FIELD_MAX];
		call(fd, create_request(&a), &answer);
		take_login(&answer, &l);
		call(fd, approve_request(&a, &l, &users[i % USERS]), &answer);
		must(&answer, "200");
		field(&answer, "sessionToken", token);
		requests[i] = verify_request(&a, token);
	}
	close(fd);
	const struct load l = {
		.address = address, .server = server, .connections = connections, .requests = requests, .request_count = TOKENS, .count = count};
	load_run(&l, &result);
	printf("{\"verified\":%zu,\"refused\":%zu,\"seconds\":%.6f,\"server_cpu\":%.6f,\"p99_ms\":%.3f}\n", result.answered, result.refused, result.seconds,
	       result.server_cpu, load_percentile_ms(&result, 0.99));
	free(result.latencies_us);
	arena_free(&a);
	return 0;
}

/* ---- those who wait ---- */

struct waiter {
	int fd;
	struct login login;
	int64_t sent_ns; /* when its approval was sent; 0: not yet */
	char seen[32];   /* the end of what came, for finding a word across two reads */
};

static double memory_kb(pid_t pid)
{
	char path[32], line[256];
	double kb = 0;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		fatal("%s cannot be read", path);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "Rss:", 4) == 0)
			kb = strtod(line + 4, NULL);
	fclose(f);
	return kb;
}

static struct waiter *begin_waiting(const char *address, size_t count)
{
	struct waiter *w = xcalloc(count, sizeof(*w));
	struct arena a;
	struct answer answer;
	int fd = dial(address);
	for (size_t i = 0; i < count; i++) {
		arena_init(&a);
		call(fd, create_request(&a), &answer);
		take_login(&answer, &w[i].login);
		struct str request = arena_printf(&a, "GET /auth/session/%s/events HTTP/1.1\r\nHost: id\r\nAccept: text/event-stream\r\nX-Tana-Poll-Secret: %s\r\n\r\n",
						  w[i].login.id, w[i].login.secret);
		w[i].fd = dial(address);
		send_all(w[i].fd, request.p, request.n);
		answer.len = 0;
		answer.text[0] = '\0';
		while (!strstr(answer.text, "\"status\":\"waiting\""))
			(void)receive(w[i].fd, &answer);
		arena_free(&a);
	}
	close(fd);
	return w;
}

static int wait_for_orders(const char *address, pid_t server, size_t count)
{
	char line[64];
	double before = memory_kb(server);
	struct waiter *w = begin_waiting(address, count);
	printf("{\"waiting\":%zu,\"kb_before\":%.0f,\"kb_after\":%.0f}\n", count, before, memory_kb(server));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && strncmp(line, "end", 3) != 0) {
		size_t n = strtoul(line + 5, NULL, 10);
		const struct linger now = {.l_onoff = 1};
		for (size_t i = 0; i < n && i < count; i++) {
			if (w[i].fd < 0)
				continue;
			setsockopt(w[i].fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
			close(w[i].fd);
			w[i].fd = -1;
		}
		printf("{\"left\":%zu,\"kb\":%.0f}\n", n, memory_kb(server));
		fflush(stdout);
	}
	free(w);
	return 0;
}

static int compare_ns(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* True when the word "approved" is in what came, or began in what came before. */
static bool hears_approval(struct waiter *w)
{
	char text[ANSWER_MAX + sizeof(w->seen)];
	size_t old = strlen(w->seen);
	memcpy(text, w->seen, old);
	ssize_t got = recv(w->fd, text + old, ANSWER_MAX - 1, MSG_DONTWAIT);
	if (got <= 0)
		return false;
	size_t n = old + (size_t)got;
	text[n] = '\0';
	size_t keep = n < sizeof(w->seen) - 1 ? n : sizeof(w->seen) - 1;
	memcpy(w->seen, text + n - keep, keep);
	w->seen[keep] = '\0';
	return strstr(text, "\"type\":\"approved\"") != NULL;
}

static int latency(const char *address, pid_t server, size_t waiting, size_t count, double rate)
{
	struct waiter *w = begin_waiting(address, waiting);
	int64_t *took = xcalloc(count, sizeof(*took));
	size_t sent = 0, heard = 0, answered = 0;
	struct answer answer = {.len = 0};
	struct arena a;
	int phone = dial(address), epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
	if (count > waiting || epoll_ctl(epoll, EPOLL_CTL_ADD, phone, &e) != 0)
		fatal("epoll: %s", strerror(errno));
	for (size_t i = 0; i < waiting; i++) {
		e.data.ptr = &w[i];
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, w[i].fd, &e) != 0)
			fatal("epoll: %s", strerror(errno));
	}
	double cpu = process_cpu_s(server);
	int64_t begin = clock_mono_ns();
	arena_init(&a);
	while (heard < count || answered < count) {
		int64_t due = begin + (int64_t)((double)sent / rate * 1e9), now = clock_mono_ns();
		if (sent < count && sent == answered && now >= due) {
			arena_free(&a);
			struct str request = approve_request(&a, &w[sent].login, &users[sent % USERS]);
			answer.len = 0;
			answer.text[0] = '\0';
			w[sent].sent_ns = clock_mono_ns();
			send_all(phone, request.p, request.n);
			sent++;
			continue;
		}
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, 1);
		for (int i = 0; i < n; i++) {
			struct waiter *one = events[i].data.ptr;
			if (!one) {
				if (receive(phone, &answer)) {
					must(&answer, "200");
					answered++;
				}
			} else if (hears_approval(one)) {
				took[heard++] = clock_mono_ns() - one->sent_ns;
				(void)epoll_ctl(epoll, EPOLL_CTL_DEL, one->fd, NULL);
			}
		}
		if (clock_mono_ns() - begin > (int64_t)((double)count / rate * 1e9) + INT64_C(60000000000))
			fatal("%zu of %zu were told", heard, count);
	}
	qsort(took, count, sizeof(*took), compare_ns);
	printf("{\"waiting\":%zu,\"approved\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"server_cpu\":%.6f}\n", waiting, count,
	       (double)took[count / 2] * 1e-6, (double)took[count * 99 / 100] * 1e-6, (double)took[count - 1] * 1e-6, process_cpu_s(server) - cpu);
	arena_free(&a);
	free(took);
	free(w);
	return 0;
}

/* ---- libsodium, beside all of it ---- */

struct measure {
	int64_t until_ns;
	size_t done;
	double cpu_s;
};

static void *measure_thread(void *arg)
{
	struct measure *m = arg;
	struct ed25519_signature sig[16];
	struct timespec t;
	for (size_t i = 0; i < ARRAY_LEN(sig); i++)
		ed25519_sign_message(&sig[i], &users[i].key, str_from(users[i].id));
	while (clock_mono_ns() < m->until_ns)
		for (size_t i = 0; i < ARRAY_LEN(sig); i++, m->done++)
			if (!ed25519_verify_message(&sig[i], &users[i].key.public_key, str_from(users[i].id)))
				fatal("a good signature does not verify");
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	m->cpu_s = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
	return NULL;
}

static int verifications(double seconds)
{
	pthread_t threads[THREADS_MAX];
	struct measure m[THREADS_MAX];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (size_t)cores, done = 0;
	double cpu = 0;
	int64_t until = clock_mono_ns() + (int64_t)(seconds * 1e9);
	for (size_t i = 0; i < n; i++) {
		m[i] = (struct measure){.until_ns = until};
		invariant(pthread_create(&threads[i], NULL, measure_thread, &m[i]) == 0);
	}
	for (size_t i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		done += m[i].done;
		cpu += m[i].cpu_s;
	}
	printf("{\"verifications\":%zu,\"cpu_us\":%.3f}\n", done, cpu / (double)done * 1e6);
	return 0;
}

static void raise_limits(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int main(int argc, char **argv)
{
	struct error err;
	if (!crypto_start(&err))
		fatal("%s", err.message);
	make_users();
	raise_limits();
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "verifications") == 0 && argc == 3)
		return verifications(strtod(argv[2], NULL));
	pid_t server = argc > 3 ? (pid_t)atoi(argv[3]) : 0;
	if (strcmp(what, "logins") == 0 && argc == 6)
		return logins(argv[2], server, strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
	if (strcmp(what, "verify") == 0 && argc == 6)
		return verify(argv[2], server, strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
	if (strcmp(what, "wait") == 0 && argc == 5)
		return wait_for_orders(argv[2], server, strtoul(argv[4], NULL, 10));
	if (strcmp(what, "latency") == 0 && argc == 7)
		return latency(argv[2], server, strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10), strtod(argv[6], NULL));
	fprintf(stderr, "what to measure: see the head of load_identity.c\n");
	return 2;
}
