/*
 * Redis over hiredis (whose header is included by this room's one .c file only): commands on a connection that is opened again when it was
 * lost, and a subscriber on a thread of its own.
 *
 * URLs: redis://[[user]:password@]host[:port][/database], unix:///path/to/socket. TLS (rediss://) is refused: the hiredis at hand has none; a
 * stunnel, or a socket, has to do. Passwords are in no message.
 */
#ifndef TANA_REDIS_REDIS_H
#define TANA_REDIS_REDIS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* Is the URL one of the above? ERR_CONFIG says why not. Opens nothing. */
MUST_CHECK bool redis_url_check(const char *url, struct error *err);
/* The URL without its password, for people. False when it does not fit. */
MUST_CHECK bool redis_url_display(const char *url, char *out, size_t size);

enum redis_type { REDIS_TYPE_TEXT /* also a status */, REDIS_TYPE_INT, REDIS_TYPE_LIST, REDIS_TYPE_NULL };
struct redis_reply {
	enum redis_type type;
	struct str text;
	int64_t number;
	const struct redis_reply *items; /* LIST */
	size_t count;
};

/* One connection; one thread at a time uses it. */
struct redis;
struct redis_options {
	const char *url;
	int64_t connect_timeout_ms; /* 0: 2 s */
	int64_t timeout_ms;         /* of one command's answer; 0: 2 s */
};
/* Connects at the first command. ERR_CONFIG. The strings are copied. */
MUST_CHECK struct redis *redis_new(const struct redis_options *o, struct error *err);
void redis_free(struct redis *r); /* NULL is allowed */
/*
 * Runs one command: its words may hold any bytes. *out (may be NULL) in the arena. A lost connection is opened once more before the command is
 * sent; after it was sent, ERR_UNAVAILABLE leaves open whether it was carried out. Between attempts to connect there are 50 ms doubling to 5 s,
 * during which commands fail at once. ERR_UNAVAILABLE: no connection, or loading; ERR_REFUSED: Redis said no, with its words.
 */
MUST_CHECK bool redis_command(struct redis *r, const struct str *words, size_t count, struct arena *arena, struct redis_reply *out, struct error *err);
#define REDIS_WORDS(...) ((const struct str[]){__VA_ARGS__}), sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str)
/* Sends several commands at once and reads their answers: one round trip. out has room for `count`; a command that Redis refused fails all of it. */
struct redis_words {
	const struct str *words;
	size_t count;
};
MUST_CHECK bool redis_pipeline(struct redis *r, const struct redis_words *commands, size_t count, struct arena *arena, struct redis_reply *out,
			       struct error *err);

/* Hears what is published on a channel. */
struct redis_subscriber;
struct redis_subscribe_options {
	const char *url;
	const char *channel;
	void (*heard)(void *ctx, struct str message);
	void (*anew)(void *ctx); /* subscribed, or subscribed again: what was said before was not heard */
	void *ctx;
};
/* On a thread of its own, which makes the calls; a lost connection is opened again with backoff. ERR_CONFIG. The strings are copied. */
MUST_CHECK struct redis_subscriber *redis_subscribe(const struct redis_subscribe_options *o, struct error *err);
/* No call comes afterwards. NULL is allowed. */
void redis_unsubscribe(struct redis_subscriber *s);
/* Is it subscribed now? */
bool redis_subscribed(const struct redis_subscriber *s);

#endif
