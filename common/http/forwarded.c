#include "forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ADDRESS_BYTES = 16, TEXT_MAX = 64 };

/* Every address as an IPv6 one, IPv4 mapped into it. */
struct network {
	uint8_t address[ADDRESS_BYTES];
	int bits;
};
struct proxies {
	struct network *networks;
	size_t count;
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool to_bytes(const struct sockaddr *sa, uint8_t out[ADDRESS_BYTES])
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	if (sa->sa_family == AF_INET) {
		memcpy(&v4, sa, sizeof(v4));
		memcpy(out, mapped, sizeof(mapped));
		memcpy(out + sizeof(mapped), &v4.sin_addr, 4);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	memcpy(&v6, sa, sizeof(v6));
	memcpy(out, &v6.sin6_addr, ADDRESS_BYTES);
	return true;
}

/* An address without a port, as it stands in the header or a configuration. */
static bool parse_address(struct str s, struct sockaddr_storage *out, bool *v4)
{
	char text[TEXT_MAX];
	struct in_addr a4;
	struct in6_addr a6;
	if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	memset(out, 0, sizeof(*out));
	*v4 = inet_pton(AF_INET, text, &a4) == 1;
	if (*v4) {
		struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = a4};
		memcpy(out, &sa, sizeof(sa));
		return true;
	}
	if (inet_pton(AF_INET6, text, &a6) != 1)
		return false;
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = a6};
	memcpy(out, &sa, sizeof(sa));
	return true;
}

static bool parse_network(const char *text, struct network *out)
{
	const char *slash = strchr(text, '/');
	struct sockaddr_storage sa;
	bool v4;
	int64_t bits;
	if (!parse_address(str_of(text, slash ? (size_t)(slash - text) : strlen(text)), &sa, &v4))
		return false;
	int max = v4 ? 32 : 128;
	bits = max;
	if (slash && (!str_to_int64(str_from(slash + 1), &bits) || bits < 0 || bits > max))
		return false;
	out->bits = (int)bits + (v4 ? 96 : 0);
	return to_bytes((const struct sockaddr *)&sa, out->address);
}

struct proxies *proxies_new(const char *const *networks, struct error *err)
{
	struct proxies *p = xcalloc(1, sizeof(*p));
	size_t count = 0;
	while (networks && networks[count])
		count++;
	p->count = count;
	p->networks = xcalloc(count + 1, sizeof(*p->networks));
	for (size_t i = 0; networks && i < count; i++) {
		if (parse_network(networks[i], &p->networks[i]))
			continue;
		error_set(err, ERR_CONFIG, "\"%s\" is no address or network of a proxy", networks[i]);
		error_hint(err, "write it as 10.0.0.1, 10.0.0.0/8 or fd00::/8");
		proxies_free(p);
		return NULL;
	}
	return p;
}

void proxies_free(struct proxies *p)
{
	if (!p)
		return;
	free(p->networks);
	free(p);
}

static bool within(const struct network *n, const uint8_t address[ADDRESS_BYTES])
{
	int whole = n->bits / 8, rest = n->bits % 8;
	if (memcmp(n->address, address, (size_t)whole) != 0)
		return false;
	return rest == 0 || ((n->address[whole] ^ address[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

bool proxies_trusts(const struct proxies *p, const struct sockaddr *sa)
{
	uint8_t bytes[ADDRESS_BYTES];
	if (p->count == 0 || !to_bytes(sa, bytes))
		return false;
	for (size_t i = 0; i < p->count; i++)
		if (within(&p->networks[i], bytes))
			return true;
	return false;
}

static struct str trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_of(s.p + 1, s.n - 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Some proxies add the port: "192.0.2.1:4711", "[2001:db8::1]:4711". */
static struct str without_port(struct str s)
{
	const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
	if (s.n && s.p[0] == '[') {
		const char *close = memchr(s.p, ']', s.n);
		return close ? str_of(s.p + 1, (size_t)(close - s.p) - 1) : s;
	}
	bool one = colon && !memchr(colon + 1, ':', s.n - (size_t)(colon - s.p) - 1);
	return one ? str_of(s.p, (size_t)(colon - s.p)) : s;
}

bool proxies_client(const struct proxies *p, struct str forwarded_for, struct sockaddr_storage *out)
{
	bool found = false, v4;
	while (forwarded_for.n > 0) {
		const char *comma = memrchr(forwarded_for.p, ',', forwarded_for.n);
		size_t at = comma ? (size_t)(comma - forwarded_for.p) + 1 : 0;
		struct sockaddr_storage sa;
		struct str entry = without_port(trim(str_of(forwarded_for.p + at, forwarded_for.n - at)));
		if (!parse_address(entry, &sa, &v4))
			return found; /* what stands further left was written by who wrote this */
		*out = sa;
		found = true;
		if (!proxies_trusts(p, (const struct sockaddr *)&sa))
			return true;
		forwarded_for.n = comma ? at - 1 : 0;
	}
	return found;
}
