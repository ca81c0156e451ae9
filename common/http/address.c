#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

/* The kernel cuts it to net.core.somaxconn. */
enum { LISTEN_BACKLOG = 4096 };

static bool mapped_v4(const struct in6_addr *a)
{
	return IN6_IS_ADDR_V4MAPPED(a);
}

static struct in_addr v4_of_mapped(const struct in6_addr *a)
{
	struct in_addr v4;
	memcpy(&v4, a->s6_addr + 12, sizeof(v4));
	return v4;
}

static struct in_addr v4_of(const struct sockaddr *sa)
{
	struct sockaddr_in in;
	memcpy(&in, sa, sizeof(in));
	return in.sin_addr;
}

static struct sockaddr_in6 v6_of(const struct sockaddr *sa)
{
	struct sockaddr_in6 in6;
	memcpy(&in6, sa, sizeof(in6));
	return in6;
}

struct address_key address_key(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return (struct address_key){.high = 4, .low = v4_of(sa).s_addr};
	if (sa->sa_family != AF_INET6)
		return (struct address_key){0};
	struct sockaddr_in6 in6 = v6_of(sa);
	if (mapped_v4(&in6.sin6_addr))
		return (struct address_key){.high = 4, .low = v4_of_mapped(&in6.sin6_addr).s_addr};
	struct address_key k = {.high = 6};
	memcpy(&k.low, in6.sin6_addr.s6_addr, sizeof(k.low));
	return k;
}

uint64_t address_key_hash(struct address_key k, uint64_t seed)
{
	uint64_t x = (k.low ^ seed) + k.high * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

bool address_is_loopback(const struct sockaddr *sa)
{
	struct in_addr v4;
	if (sa->sa_family == AF_INET) {
		v4 = v4_of(sa);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6 = v6_of(sa);
		if (!mapped_v4(&in6.sin6_addr))
			return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
		v4 = v4_of_mapped(&in6.sin6_addr);
	} else {
		return false;
	}
	return ntohl(v4.s_addr) >> 24 == 127;
}

void address_text(const struct sockaddr *sa, char out[ADDRESS_TEXT_SIZE])
{
	const char *z = NULL;
	if (sa->sa_family == AF_INET) {
		struct in_addr v4 = v4_of(sa);
		z = inet_ntop(AF_INET, &v4, out, ADDRESS_TEXT_SIZE);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6 = v6_of(sa);
		if (mapped_v4(&in6.sin6_addr)) {
			struct in_addr v4 = v4_of_mapped(&in6.sin6_addr);
			z = inet_ntop(AF_INET, &v4, out, ADDRESS_TEXT_SIZE);
		} else {
			z = inet_ntop(AF_INET6, &in6.sin6_addr, out, ADDRESS_TEXT_SIZE);
		}
	}
	if (!z)
		memcpy(out, "?", 2);
}

void address_text_port(const struct sockaddr *sa, char out[ADDRESS_TEXT_SIZE])
{
	char host[ADDRESS_TEXT_SIZE];
	address_text(sa, host);
	struct sockaddr_in in;
	memcpy(&in, sa, sizeof(in)); /* the port is at the same place in both families */
	bool v6 = strchr(host, ':') != NULL;
	(void)snprintf(out, ADDRESS_TEXT_SIZE, "%s%.48s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", (unsigned)ntohs(in.sin_port));
}

/* Splits at the last colon; the host may stand in brackets. */
static bool split_host_port(const char *text, char host[256], char port[8])
{
	const char *colon = strrchr(text, ':');
	if (!colon)
		return false;
	size_t host_len = (size_t)(colon - text), port_len = strlen(colon + 1);
	if (host_len >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		host_len -= 2;
	} else if (memchr(text, ':', host_len)) {
		return false;
	}
	int64_t number;
	if (host_len == 0 || host_len > 255 || port_len > 5 || !str_to_int64(str_of(colon + 1, port_len), &number) || number < 0 ||
	    number > 65535)
		return false;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	memcpy(port, colon + 1, port_len + 1);
	return true;
}

static int open_listener(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (fd < 0)
		return -1;
	const int on = 1, off = 0;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (ai->ai_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0) &&
	    bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
		return fd;
	int saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

int address_listen(const char *text, struct error *err)
{
	char host[256], port[8];
	if (!split_host_port(text, host, port)) {
		error_set(err, ERR_CONFIG, "cannot listen on \"%s\": that is no HOST:PORT", text);
		error_hint(err, "write 127.0.0.1:8190 or [::1]:8190");
		return -1;
	}
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list;
	int rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0) {
		error_set(err, ERR_CONFIG, "cannot listen on \"%s\": %s", text, gai_strerror(rc));
		return -1;
	}
	int fd = open_listener(list);
	int saved = errno;
	freeaddrinfo(list);
	if (fd < 0)
		error_errno(err, ERR_IO, saved, "cannot listen on %s", text);
	return fd;
}

/* Chained, with a fixed number of heads: connections come and go rarely against requests. */
enum { COUNT_HEADS = 1024 };
struct address_count {
	struct address_count *next;
	struct address_key key;
	int n;
};
struct address_counts {
	pthread_mutex_t lock;
	uint64_t seed;
	struct address_count *heads[COUNT_HEADS];
};

struct address_counts *address_counts_new(void)
{
	struct address_counts *c = xcalloc(1, sizeof(*c));
	invariant(pthread_mutex_init(&c->lock, NULL) == 0);
	c->seed = random_u64();
	return c;
}

void address_counts_free(struct address_counts *c)
{
	for (size_t i = 0; i < COUNT_HEADS; i++)
		for (struct address_count *e = c->heads[i], *next; e; e = next) {
			next = e->next;
			free(e);
		}
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct address_count **find_count(struct address_counts *c, struct address_key k)
{
	struct address_count **link = &c->heads[address_key_hash(k, c->seed) % COUNT_HEADS];
	while (*link && !address_key_equal((*link)->key, k))
		link = &(*link)->next;
	return link;
}

bool address_counts_add(struct address_counts *c, struct address_key k, int max)
{
	pthread_mutex_lock(&c->lock);
	struct address_count **link = find_count(c, k);
	bool room = (*link ? (*link)->n : 0) < max;
	if (room && !*link) {
		*link = xcalloc(1, sizeof(**link));
		(*link)->key = k;
	}
	if (room)
		(*link)->n++;
	pthread_mutex_unlock(&c->lock);
	return room;
}

void address_counts_remove(struct address_counts *c, struct address_key k)
{
	pthread_mutex_lock(&c->lock);
	struct address_count **link = find_count(c, k), *e = *link;
	invariant(e && e->n > 0);
	if (--e->n == 0) {
		*link = e->next;
		free(e);
	}
	pthread_mutex_unlock(&c->lock);
}
