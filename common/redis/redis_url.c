#include "redis_url.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "redis.h"

enum { PORT_USUAL = 6379 };

static bool refuse(struct error *err, const char *what)
{
	error_set(err, ERR_CONFIG, "the Redis URL %s", what);
	return error_hint(err, "redis://[[user]:password@]host[:port][/database], or unix:///path; special characters are written as %%XX");
}

/* Percent-decoded; NULL when that is not whole, or gives a NUL. */
static char *decode(const char *p, size_t n)
{
	struct buf text = {0};
	size_t len;
	for (size_t i = 0; i < n; i++) {
		char c = p[i];
		if (c == '%') {
			if (i + 2 >= n || !hex_decode(&c, 1, p + i + 1, 2, HEX_ANY_CASE) || c == '\0') {
				buf_free(&text);
				return NULL;
			}
			i += 2;
		}
		buf_putc(&text, c);
	}
	return buf_steal(&text, &len);
}

static bool parse_login(const char *p, size_t n, struct redis_url *out, struct error *err)
{
	const char *colon = memchr(p, ':', n);
	size_t user_len = colon ? (size_t)(colon - p) : n;
	if (!colon)
		return refuse(err, "names a user without a password");
	out->user = user_len > 0 ? decode(p, user_len) : NULL;
	out->password = decode(colon + 1, n - user_len - 1);
	return (out->password && (out->user || user_len == 0)) || refuse(err, "has a percent sign that stands for nothing");
}

/* "host", "host:port", "[v6]:port" */
static bool parse_host(const char *p, size_t n, struct redis_url *out, struct error *err)
{
	bool bracketed = n > 0 && p[0] == '[';
	const char *close = bracketed ? memchr(p, ']', n) : NULL;
	const char *host_end = close ? close + 1 : memchr(p, ':', n);
	size_t host_len = host_end ? (size_t)(host_end - p) : n;
	int64_t port = PORT_USUAL;
	if (host_len == 0 || (bracketed && !close))
		return refuse(err, "has no host");
	if (host_len < n && (p[host_len] != ':' || !str_to_int64(str_of(p + host_len + 1, n - host_len - 1), &port) || port < 1 || port > 65535))
		return refuse(err, "has no port from 1 to 65535 after its host");
	out->host = bracketed ? xstrndup(p + 1, host_len - 2) : xstrndup(p, host_len);
	out->port = (int)port;
	return true;
}

static bool parse(const char *url, struct redis_url *out, struct error *err)
{
	struct str s = str_from(url);
	if (str_starts(s, "rediss://")) {
		error_set(err, ERR_CONFIG, "the Redis URL asks for TLS (rediss://), which this build cannot speak");
		return error_hint(err, "put a TLS tunnel (stunnel) in between, or use redis:// over a private network");
	}
	if (str_starts(s, "unix://")) {
		out->path = decode(url + 7, s.n - 7);
		return (out->path && out->path[0] == '/') || refuse(err, "has no absolute path after unix://");
	}
	if (!str_starts(s, "redis://"))
		return refuse(err, "does not begin with redis://");
	const char *p = url + 8;
	size_t n = strcspn(p, "/?#");
	const char *rest = p + n, *at = memrchr(p, '@', n);
	if (at && !parse_login(p, (size_t)(at - p), out, err))
		return false;
	n -= at ? (size_t)(at + 1 - p) : 0;
	p = at ? at + 1 : p;
	if (!parse_host(p, n, out, err))
		return false;
	if (rest[0] == '/' && rest[1] && (!str_to_int64(str_from(rest + 1), &out->database) || out->database < 0 || out->database > 1000000))
		return refuse(err, "has no number of a database after its slash");
	return (rest[0] == '\0' || rest[0] == '/') || refuse(err, "has parameters, which are not understood");
}

bool redis_url_parse(const char *url, struct redis_url *out, struct error *err)
{
	*out = (struct redis_url){0};
	if (parse(url, out, err))
		return true;
	redis_url_free(out);
	return false;
}

void redis_url_free(struct redis_url *u)
{
	if (u->password)
		explicit_bzero(u->password, strlen(u->password));
	free(u->user);
	free(u->password);
	free(u->host);
	free(u->path);
	*u = (struct redis_url){0};
}

bool redis_url_check(const char *url, struct error *err)
{
	struct redis_url u;
	if (!redis_url_parse(url, &u, err))
		return false;
	redis_url_free(&u);
	return true;
}

bool redis_url_display(const char *url, char *out, size_t size)
{
	struct redis_url u;
	struct error err;
	int n;
	if (!redis_url_parse(url, &u, &err))
		return false;
	if (u.path)
		n = snprintf(out, size, "unix://%s", u.path);
	else
		n = snprintf(out, size, "redis://%s%s%s:%d/%lld", u.user ? u.user : "", u.user ? "@" : "", u.host, u.port,
			     (long long)u.database);
	redis_url_free(&u);
	return n >= 0 && (size_t)n < size;
}
