/*
 * Server-Sent Events, the reading side (WHATWG HTML 9.2.6): bytes in pieces of any size in, events out. No I/O.
 * Lines end with CR, LF or CRLF; comments and unknown fields are skipped; several `data` lines are joined with LF; an event that the
 * stream's end cuts off is lost, as the standard says. Ids are decimal integers here; another id reads as -1 (unknown).
 */
#ifndef TANA_HTTP_SSE_PARSE_H
#define TANA_HTTP_SSE_PARSE_H

#include <stdint.h>

#include "base/buf.h"

/* type and data are valid during the call. False stops the parser. */
typedef bool sse_event_fn(void *ctx, int64_t id, const char *type, struct str data);

enum sse_state { SSE_READING, SSE_STOPPED /* the callback said so */, SSE_TOO_LARGE /* a line or an event beyond event_max */ };

struct sse_parser {
	sse_event_fn *each;
	void *ctx;
	size_t event_max; /* bytes of one event, and of one line */
	int64_t id;       /* of the last event that had one; kept from event to event */
	enum sse_state state;
	struct buf line, type, data;
	bool has_data, after_cr, begun;
};

/* last_id: where the stream was resumed, or -1. */
void sse_parser_init(struct sse_parser *p, size_t event_max, int64_t last_id, sse_event_fn *each, void *ctx);
/* Takes the next bytes; once it returned something other than SSE_READING the rest is ignored. */
enum sse_state sse_parser_feed(struct sse_parser *p, const char *bytes, size_t n);
void sse_parser_free(struct sse_parser *p);

#endif
