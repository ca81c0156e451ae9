/* Event streams: however a stream is cut, the same events come out, within the limit. The first byte says where it is cut. */
#include "base/log.h"
#include "http/sse_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENT_MAX = 256 };

static bool note(void *ctx, int64_t id, const char *type, struct str data)
{
	struct buf *events = ctx;
	invariant(data.n <= EVENT_MAX && str_present(data));
	buf_printf(events, "%lld|%s|", (long long)id, type);
	buf_put_str(events, data);
	buf_putc(events, '\0');
	return true;
}

static enum sse_state run(const char *bytes, size_t size, size_t piece, struct buf *events)
{
	struct sse_parser p;
	sse_parser_init(&p, EVENT_MAX, -1, note, events);
	for (size_t at = 0; at < size; at += piece)
		(void)sse_parser_feed(&p, bytes + at, size - at < piece ? size - at : piece);
	enum sse_state state = p.state;
	sse_parser_free(&p);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const char *bytes = (const char *)data + 1;
	struct buf whole = {0}, pieces = {0};
	enum sse_state a = run(bytes, size - 1, size, &whole);
	enum sse_state b = run(bytes, size - 1, 1 + data[0] % 16, &pieces);
	invariant(a == b && str_equal(buf_str(&whole), buf_str(&pieces)));
	buf_free(&whole);
	buf_free(&pieces);
	return 0;
}
