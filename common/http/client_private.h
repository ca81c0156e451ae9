/* What the parts of the HTTP client share. Private to this room. */
#ifndef TANA_HTTP_CLIENT_PRIVATE_H
#define TANA_HTTP_CLIENT_PRIVATE_H

#include <curl/curl.h>

#include "http/client.h"

enum { URL_IN_MESSAGE = 160, REFUSAL_MAX = 64 * 1024 /* bytes of an error document in place of a stream */ };

struct http_client {
	CURL *curl;
	char *base_url; /* without a trailing slash */
	char *user_agent;
	bool loopback;
	long connect_timeout_ms, timeout_ms;
	size_t answer_max;
	struct buf url;
	char reason[CURL_ERROR_SIZE];
};

/* Forgets the last exchange's options (connections are kept) and sets those of every exchange but callbacks, headers and method. */
void http_client_prepare(struct http_client *c, const char *path);
/* What curl's failure means. Returns false. */
bool http_client_failed(struct http_client *c, CURLcode code, struct error *err);
/* "Name: value"; an empty list is NULL. */
void http_client_add_header(struct curl_slist **headers, const char *line);
/* Is the header line this one? Then its value, without blanks around it. */
bool http_client_header_is(struct str line, const char *name, struct str *value);
/* Copies a value as NUL-terminated text; one that does not fit is as good as none. */
void http_client_keep_header(char *out, size_t size, struct str value);

#endif
