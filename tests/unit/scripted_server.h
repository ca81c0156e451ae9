/*
 * A server that answers what a script says, an answer a request, on as many connections as the client likes; and keeps what it was asked.
 */
#ifndef TANA_TESTS_SCRIPTED_SERVER_H
#define TANA_TESTS_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

enum { STEPS_MAX = 20, HEAD_MAX = 4096 };
struct step {
	const char *head; /* NULL: the script's end */
	const char *body; /* its length and the blank line are put before it; NULL: `head` is all there is */
	bool close;
};
struct script {
	const struct step *steps;
	int listener, port, requests;
	pthread_t thread;
	char url[64];
	char head[STEPS_MAX][HEAD_MAX]; /* request line and headers */
	struct buf body[STEPS_MAX];
};

/* The head up to its blank line; what came behind it goes into *more. */
static inline bool receive_head(int fd, char *out, struct buf *more)
{
	size_t n = 0;
	char *end;
	out[0] = '\0';
	while (!(end = strstr(out, "\r\n\r\n"))) {
		ssize_t got = n + 1 < HEAD_MAX ? recv(fd, out + n, HEAD_MAX - 1 - n, 0) : 0;
		if (got <= 0)
			return false;
		n += (size_t)got;
		out[n] = '\0';
	}
	buf_put(more, end + 4, n - (size_t)(end + 4 - out));
	end[2] = '\0';
	return true;
}

static inline bool receive(struct script *s, int fd)
{
	char *head = s->head[s->requests], piece[65536];
	struct buf *body = &s->body[s->requests];
	if (!receive_head(fd, head, body))
		return false;
	const char *length = strcasestr(head, "\r\nContent-Length:");
	size_t want = length ? strtoul(length + 17, NULL, 10) : 0;
	if (strcasestr(head, "Expect: 100-continue") && send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) < 0)
		return false;
	while (body->len < want) {
		ssize_t got = recv(fd, piece, sizeof piece, 0);
		if (got <= 0)
			return false;
		buf_put(body, piece, (size_t)got);
	}
	return true;
}

static inline void *serve(void *arg)
{
	struct script *s = arg;
	int fd;
	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		while (s->steps[s->requests].head && receive(s, fd)) {
			const struct step *step = &s->steps[s->requests++];
			struct buf answer = {0};
			buf_puts(&answer, step->head);
			if (step->body)
				buf_printf(&answer, "Content-Length: %zu\r\n\r\n%s", strlen(step->body), step->body);
			bool sent = send(fd, answer.data, answer.len, MSG_NOSIGNAL) > 0;
			buf_free(&answer);
			if (!sent || step->close)
				break;
		}
		close(fd);
	}
	return NULL;
}

/* steps end with .head NULL. */
static inline void script_begin(struct script *s, const struct step *steps)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	memset(s, 0, sizeof *s);
	s->steps = steps;
	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->listener, 8), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
}

/* The client has gone already. */
static inline void script_end(struct script *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	for (size_t i = 0; i < STEPS_MAX; i++)
		buf_free(&s->body[i]);
}

static inline void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

#endif
