#include "http/sse_parse.h"

void sse_parser_init(struct sse_parser *p, size_t event_max, int64_t last_id, sse_event_fn *each, void *ctx)
{
	*p = (struct sse_parser){.each = each, .ctx = ctx, .event_max = event_max, .id = last_id, .state = SSE_READING};
}

void sse_parser_free(struct sse_parser *p)
{
	buf_free(&p->line);
	buf_free(&p->type);
	buf_free(&p->data);
}

/* A blank line: the event is complete. Without data there is none. */
static void dispatch(struct sse_parser *p)
{
	if (p->has_data && !p->each(p->ctx, p->id, p->type.len ? buf_z(&p->type) : "message", buf_str(&p->data)))
		p->state = SSE_STOPPED;
	buf_clear(&p->type);
	buf_clear(&p->data);
	p->has_data = false;
}

static void take_data(struct sse_parser *p, struct str value)
{
	if (p->data.len + value.n + 1 > p->event_max) {
		p->state = SSE_TOO_LARGE;
		return;
	}
	if (p->has_data)
		buf_putc(&p->data, '\n');
	buf_put_str(&p->data, value);
	p->has_data = true;
}

static void take_field(struct sse_parser *p, struct str name, struct str value)
{
	if (str_is(name, "data")) {
		take_data(p, value);
	} else if (str_is(name, "event")) {
		buf_clear(&p->type);
		buf_put_str(&p->type, value);
	} else if (str_is(name, "id")) {
		if (!str_to_int64(value, &p->id))
			p->id = -1;
	}
}

static void take_line(struct sse_parser *p)
{
	struct str line = buf_str(&p->line);

	if (!p->begun && str_starts(line, "\xef\xbb\xbf")) /* a byte order mark may begin the stream */
		line = str_of(line.p + 3, line.n - 3);
	p->begun = true;
	if (line.n == 0) {
		dispatch(p);
	} else {
		const char *colon = memchr(line.p, ':', line.n);
		struct str name = str_of(line.p, colon ? (size_t)(colon - line.p) : line.n);
		struct str value = colon ? str_of(colon + 1, line.n - name.n - 1) : str_of("", 0);
		if (value.n > 0 && value.p[0] == ' ')
			value = str_of(value.p + 1, value.n - 1);
		if (name.n > 0) /* else a comment */
			take_field(p, name, value);
	}
	buf_clear(&p->line);
}

enum sse_state sse_parser_feed(struct sse_parser *p, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n && p->state == SSE_READING; i++) {
		char c = bytes[i];
		bool second_half = c == '\n' && p->after_cr; /* of CRLF */
		p->after_cr = c == '\r';
		if (second_half)
			continue;
		if (c == '\r' || c == '\n')
			take_line(p);
		else if (p->line.len < p->event_max)
			buf_putc(&p->line, c);
		else
			p->state = SSE_TOO_LARGE;
	}
	return p->state;
}
