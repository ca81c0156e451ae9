#include "origin_rules.h"

#include <strings.h>

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Visible ASCII, and nothing that browsers take for something else than what stands there. */
static bool url_bytes_good(struct str url)
{
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= 0x20 || url.p[i] >= 0x7f || strchr("\\\"<>^`{|}", url.p[i]))
			return false;
	return true;
}

static bool take_scheme(struct str *rest, const char **scheme, const char **default_port)
{
	static const struct {
		const char *scheme, *port;
	} known[] = {{"https", "443"}, {"http", "80"}};
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].scheme);
		if (rest->n > n + 3 && strncasecmp(rest->p, known[i].scheme, n) == 0 && memcmp(rest->p + n, "://", 3) == 0) {
			*scheme = known[i].scheme;
			*default_port = known[i].port;
			*rest = str_of(rest->p + n + 3, rest->n - n - 3);
			return true;
		}
	}
	return false;
}

/* A name of letters, digits, dots and hyphens, or an IPv6 address in brackets. */
static size_t host_length(struct str s)
{
	size_t n = 0;
	if (s.n > 0 && s.p[0] == '[') {
		for (n = 1; n < s.n && (is_alnum(s.p[n]) || s.p[n] == ':' || s.p[n] == '.'); n++)
			;
		return n < s.n && n > 2 && s.p[n] == ']' ? n + 1 : 0;
	}
	while (n < s.n && (is_alnum(s.p[n]) || s.p[n] == '.' || s.p[n] == '-' || s.p[n] == '_'))
		n++;
	return n > 0 && s.p[0] != '.' && s.p[0] != '-' && n <= 253 ? n : 0;
}

/* ":1" to ":65535", without leading zeros; or nothing. */
static bool take_port(struct str *rest, struct str *port)
{
	int64_t number;
	size_t n = 1;
	*port = STR_NONE;
	if (rest->n == 0 || rest->p[0] != ':')
		return true;
	while (n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9')
		n++;
	*port = str_of(rest->p + 1, n - 1);
	*rest = str_of(rest->p + n, rest->n - n);
	return str_to_int64(*port, &number) && number >= 1 && number <= 65535;
}

/* *rest: path, query and fragment. */
static bool split(struct str url, struct arena *arena, struct str *origin, struct str *rest)
{
	const char *scheme, *default_port;
	struct str port;
	if (!str_present(url) || url.n > URL_MAX || !url_bytes_good(url))
		return false;
	*rest = url;
	if (!take_scheme(rest, &scheme, &default_port))
		return false;
	size_t n = host_length(*rest);
	if (n == 0)
		return false;
	char *host = arena_strdup(arena, arena_copy(arena, str_of(rest->p, n)).p);
	for (size_t i = 0; i < n; i++)
		host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i]);
	*rest = str_of(rest->p + n, rest->n - n);
	if (!take_port(rest, &port) || (rest->n > 0 && !strchr("/?#", rest->p[0])))
		return false;
	bool usual = !str_present(port) || str_is(port, default_port);
	*origin = usual ? arena_printf(arena, "%s://%s", scheme, host) : arena_printf(arena, "%s://%s:%.*s", scheme, host, STR_ARG(port));
	return true;
}

bool url_origin(struct str url, struct arena *arena, struct str *origin)
{
	struct str rest;
	return split(url, arena, origin, &rest);
}

bool url_is_origin(struct str url, struct arena *arena, struct str *origin)
{
	struct str rest;
	return split(url, arena, origin, &rest) && (rest.n == 0 || str_is(rest, "/"));
}

struct str url_host(struct str origin)
{
	const char *begin = memchr(origin.p, ':', origin.n), *end = origin.p + origin.n;
	begin += 3; /* "://" */
	const char *p = begin;
	while (p < end && *p != ':' && *p != '[')
		p++;
	return str_of(begin, (size_t)((p < end && *p == '[' ? end : p) - begin));
}

bool domain_covers(const char *domain, struct str host)
{
	size_t n = strlen(domain);
	bool dot = false, letter = false;
	for (size_t i = 0; i < n; i++) {
		char c = domain[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && !(c == '.' && i > 0 && i + 1 < n))
			return false;
		dot |= c == '.';
		letter |= c >= 'a' && c <= 'z';
	}
	if (!dot || !letter || n > host.n || memcmp(host.p + host.n - n, domain, n) != 0)
		return false;
	return n == host.n || host.p[host.n - n - 1] == '.';
}
