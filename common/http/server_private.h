/*
 * What the server's files share. Reading order: server.c (life cycle), listener.c (accepting, deadlines), connection.c, request.c (a
 * request from its first line to its end), examine.c (what its header says), later.c (deferred answers), reply.c and answer.c (replies
 * and how they leave), sse.c (streams), builtin.c, request_metrics.c.
 *
 * Threads. Each worker is one libmicrohttpd daemon with one thread and one epoll set; a connection belongs to one worker for life, and
 * everything of a connection or request without a lock or `_Atomic` is its worker's alone. The listener thread accepts and hands
 * connections to the worker with the fewest, and a few times a second looks for connections whose time is up. Other threads come in by
 * http_finish and the event hubs only.
 */
#ifndef TANA_HTTP_SERVER_PRIVATE_H
#define TANA_HTTP_SERVER_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>

#include "address.h"
#include "forwarded.h"
#include "ratelimit.h"
#include "request_metrics.h"
#include "router.h"
#include "server.h"
#include "uri.h"

enum {
	HTTP_ID_MAX = 64, /* bytes of a request id taken from the client */
	HTTP_ID_SIZE = HTTP_ID_MAX + 1,
	REQUEST_ROOM = 3 * 1024,      /* first bytes of a request's arena: most requests need no more */
	REQUESTS_SPARE_MAX = 128,     /* request objects a worker keeps for reuse */
	KEPT_BUFFER_MAX = 16 * 1024,  /* a request object's buffers above this are given back at its end */
	BODY_ROOM_AHEAD = 16 * 1024,  /* at most this is allocated for announced bytes that have not come */
	BODY_BYTES_PER_S = 16 * 1024, /* a body that comes slower than this is cut after the idle timeout */
	DISCARD_BYTES_MAX = 16 << 20, /* of a refused body that are read so that the client sees the answer */
	DISCARD_MS_MAX = 2000,
	SWEEP_MS = 250,
	FILE_READ_MAX = 64 * 1024,    /* bytes: smaller files leave in one write with their header, which costs less than sendfile */
	MHD_POOL_BYTES = 16 * 1024, /* a connection's memory inside libmicrohttpd: request header, and answer header or chunk */
	MHD_ARGUMENT_BYTES = 64,    /* of it, for each argument of a query beside its text */
	STREAM_COMMENT_MS = 15000,
	HUBS_MAX = 8,
};

/* What a connection is doing, for the listener's look at deadlines and for draining. */
enum connection_phase {
	CONN_WAITING,    /* between requests, or a request header is coming in */
	CONN_READING,    /* a body is coming in */
	CONN_DISCARDING, /* a refused body is coming in; whoever moves it on first may write the answer */
	CONN_ANSWERING,
	CONN_CUT /* by the listener; the worker writes nothing more */
};

/* Where a deferred answer is. */
enum later_state {
	LATER_NONE,
	LATER_RUNNING,   /* the handler has been called */
	LATER_SUSPENDED, /* it wants to wait; the connection sleeps */
	LATER_FINISHED,  /* http_finish was called */
	LATER_ABORTED    /* the server stops and waits no longer */
};

struct worker;
struct arrival;
struct connection {
	struct connection *prev, *next; /* the worker's list, under its lock */
	struct worker *worker;
	struct MHD_Connection *mhd;
	int fd;
	_Atomic int phase;                /* enum connection_phase */
	_Atomic int later;                /* enum later_state of the request under way */
	struct connection *next_woken;    /* in its worker's list of those */
	_Atomic int64_t deadline_ms;      /* monotonic; INT64_MAX: none */
	struct http_request *request;     /* under way; NULL: none */
	struct str cut_answer;            /* CONN_DISCARDING: what to write when the deadline comes first; set before the phase */
	struct address_key address;
	bool loopback, trusted; /* trusted: a proxy's */
	char peer[ADDRESS_TEXT_SIZE];
};

struct worker {
	struct http_server *server;
	struct MHD_Daemon *mhd;
	_Atomic int open;     /* connections given to it */
	pthread_mutex_t lock; /* the list; and no descriptor in it is closed while it is held */
	struct connection *connections;
	pthread_t thread;
	bool runs; /* the thread */
	_Atomic bool ends;
	int bell_fd;                         /* eventfd: rung when there is something in the next two, the last first */
	_Atomic(struct connection *) woken;  /* sleeping connections that have something to do */
	_Atomic(struct arrival *) arrivals;  /* connections that were accepted */
	int epoll_fd;                        /* libmicrohttpd's */
	struct http_request *spare;          /* the worker thread's own */
	int spare_count;
};

struct http_server {
	struct http_options o; /* texts are copies */
	int listen_fd;
	int wake_fd; /* eventfd: wakes the listener */
	char address[ADDRESS_TEXT_SIZE];
	pthread_t listener;
	_Atomic bool listener_runs;
	struct worker *workers;
	size_t worker_count;
	const struct http_route **routes; /* the service's, then the room's own */
	size_t route_count;
	struct router *router;
	struct request_metrics *metrics; /* one more row than routes: requests that found none */
	struct ratelimit *writes;
	struct address_counts *by_address;
	struct proxies *proxies;
	struct tls *tls; /* NULL: plain */
	struct buf openapi;
	char openapi_etag[24];
	char id_prefix[10]; /* "xxxxxxxx-": of every request id this process makes */
	_Atomic uint64_t next_id;
	int64_t started_ms; /* monotonic */
	_Atomic int open;   /* connections */
	_Atomic int streams;
	_Atomic int64_t refused_connections;
	_Atomic int64_t rate_limited;
	_Atomic bool draining; /* no new connections, last answers */
	_Atomic bool stopping; /* nobody waits for deferred answers any more */
	_Atomic bool listener_ends;
	pthread_mutex_t hubs_lock;
	struct sse_hub *hubs[HUBS_MAX];
	size_t hub_count;
	char start_message[256]; /* libmicrohttpd's last complaint while starting */
};

/* One reply. Lives in its request's arena; what it owns is released when it is sent or its request ends. */
struct reply_header {
	struct reply_header *next;
	const char *name, *value;
};
enum reply_kind { REPLY_BYTES, REPLY_FILE, REPLY_STREAM, REPLY_EVENTS, REPLY_LATER };
struct http_reply {
	struct http_reply *next; /* all of the request */
	struct http_request *request;
	enum reply_kind kind;
	int status;
	bool close_after;
	bool has_cache_control, has_retry_after;
	const char *content_type; /* NULL: no body */
	struct reply_header *headers;
	char *owned; /* REPLY_BYTES: malloc'ed, or NULL: then the bytes are in the request's scratch buffer */
	size_t scratch_at;
	int fd;                                                       /* REPLY_FILE: -1 once libmicrohttpd has it */
	uint64_t offset;                                              /* REPLY_FILE */
	uint64_t size;                                                /* REPLY_BYTES, REPLY_FILE */
	bool (*next_piece)(void *ctx, struct buf *out, bool *failed); /* REPLY_STREAM */
	void (*end)(void *ctx);
	void *ctx;
	struct buf piece;
	size_t piece_sent;
	bool ended;
	struct sse_stream *stream; /* REPLY_EVENTS */
};

/* What the room itself reads of a request header, gathered in one pass. */
struct request_headers {
	struct str content_length, content_type, expect, transfer_encoding, request_id, origin, forwarded_for;
	bool lengths_differ, odd_name;
	int hosts;
};

enum request_stage { STAGE_HEADER, STAGE_BODY, STAGE_DISCARD, STAGE_LATER, STAGE_ANSWERED };

struct http_request {
	struct http_request *next_spare;
	struct http_server *server;
	struct connection *connection;
	enum request_stage stage;
	/* Who asks: the connection's, or what a trusted proxy says. */
	struct address_key address;
	bool loopback;
	const char *peer;
	bool head; /* HEAD, answered by GET's handler */
	const char *method;
	const char *target_seen; /* libmicrohttpd's own text of the target, for the check for NUL only */
	const char *target;      /* a copy, as it came: for the log */
	size_t target_len;
	const struct http_route *route; /* NULL: none found */
	size_t route_index;             /* server->route_count when none was found */
	struct request_headers headers;
	uint64_t body_announced; /* Content-Length; 0 when chunked */
	uint64_t body_seen;      /* bytes so far, kept or discarded */
	int64_t body_started_ms;
	bool uploading;              /* the route's upload has begun: abandon or the handler is owed */
	void *state;                 /* the service's */
	struct http_reply *refusal;  /* answered when the body has gone by */
	struct http_reply *replies;  /* all that were made; released with the request */
	struct http_reply *finished; /* by http_finish */
	int64_t started_ns;
	int status;            /* of the answer queued; 0: none yet */
	uint64_t answer_bytes; /* of the body */
	size_t arg_count;
	char id[HTTP_ID_SIZE];
	/* Up to here a new request begins with zeros. */
	struct buf body;         /* kept between requests, and so is scratch */
	struct buf scratch;      /* JSON of the reply */
	struct http_reply later; /* what http_reply_later returns */
	struct uri uri;
	struct uri form; /* its params, when the route takes one */
	struct str args[ROUTER_ARGS_MAX];
	struct arena arena;
	alignas(max_align_t) unsigned char room[REQUEST_ROOM];
};

/* request.c: libmicrohttpd's callbacks. */
void *request_begin(void *server, const char *target, struct MHD_Connection *mc);
enum MHD_Result request_step(void *server, struct MHD_Connection *mc, const char *url, const char *method, const char *version,
			     const char *upload, size_t *upload_size, void **request);
void request_end(void *server, struct MHD_Connection *mc, void **request, enum MHD_RequestTerminationCode how);
void request_free(struct http_request *r);
/* The connection is closed: a request that libmicrohttpd has not ended is ended. */
void request_abandoned(struct connection *c);

/* The route's limit of the body, in bytes. */
static inline uint64_t request_body_max(const struct http_request *r)
{
	return r->route->body_max == 0 && r->route->upload ? UINT64_MAX : r->route->body_max;
}

/* later.c: deferred answers. */
enum MHD_Result request_sleep(struct http_request *r);   /* the handler returned http_reply_later() */
enum MHD_Result request_wake_up(struct http_request *r); /* the connection was resumed */
/* Gives up on deferred answers: their connections are resumed, and close. After `stopping` was set. */
void connections_abort_later(struct http_server *s);
enum MHD_Result request_answer(struct http_request *r, struct http_reply *reply);

/* reply.c */
struct http_reply *reply_events(struct http_request *r, struct sse_stream *stream);
void reply_release(struct http_reply *reply);
struct str reply_bytes(const struct http_reply *reply); /* REPLY_BYTES: the body */

/* answer.c */
bool cors_allows(const struct http_server *s, struct str origin);
/* Hands the reply to libmicrohttpd. */
enum MHD_Result answer_queue(struct http_request *r, struct http_reply *reply);
/* The whole answer as bytes, for a connection that closes after it: for refusing in the middle of a body, when libmicrohttpd takes no
 * answer. In the arena. */
struct str answer_as_bytes(struct http_request *r, const struct http_reply *reply);

/* sse.c */
struct MHD_Response *sse_response(struct http_reply *reply);
void sse_stream_drop(struct sse_stream *stream);
/* Every stream gets a last comment and ends, and so do those that come later; none sleeps afterwards. Any thread. */
void sse_hub_end(struct sse_hub *h);

/* builtin.c */
extern const struct http_route http_builtin_routes[];
extern const size_t http_builtin_count;
extern const struct json_message http_error_message; /* "Error" */
extern const struct json_message http_oauth_error_message; /* "OAuthError": of HTTP_OAUTH routes */

/* metrics.c */
void metric_write_head(struct buf *out, const char *name, const char *type, const char *help);
void metric_write_process(struct buf *out);

#endif
