/* What the parts of the t4 client share; for this room only. */
#ifndef TANA_CLIENT_T4_CLIENT_CALL_H
#define TANA_CLIENT_T4_CLIENT_CALL_H

#include "client/t4_client.h"
#include "http/client.h"

enum { T4_PATH_SIZE = 96 };

struct t4_client {
	struct http_client *http;
	char *url;
	const volatile int *stop;
	t4_progress_fn *progress;
	void *progress_ctx;
	/* Who signs; node_id NULL: nobody. */
	char *node_id, *service, *audience;
	struct ed25519_secret key;
	char *token; /* or a ready token; NULL: none */
};

/* "/content/<hash>" */
void t4_content_path(const struct hash *hash, char out[T4_PATH_SIZE]);
void t4_report(const struct t4_client *c, int64_t done, int64_t total);

#endif
