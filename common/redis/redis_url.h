/* A Redis URL taken apart. Private to this room. */
#ifndef TANA_REDIS_REDIS_URL_H
#define TANA_REDIS_REDIS_URL_H

#include <stdint.h>

#include "base/error.h"

struct redis_url {
	char *user, *password; /* NULL: none; percent-decoded */
	char *host;            /* NULL: a socket */
	char *path;            /* of the socket */
	int port;
	int64_t database;
};
/* ERR_CONFIG; otherwise free it with redis_url_free. */
MUST_CHECK bool redis_url_parse(const char *url, struct redis_url *out, struct error *err);
void redis_url_free(struct redis_url *u);

#endif
