#include "api.h"
#include "mesh_feed.h"

struct http_reply *api_events(struct http_request *r)
{
	struct mesh *m = http_ctx(r);
	struct str text = http_header(r, "Last-Event-ID");
	int64_t last = -1;
	if (str_present(text) && text.n > 0 && (!str_to_int64(text, &last) || last < 0))
		return http_reply_error_code(r, ERR_MALFORMED_REQUEST, "Last-Event-ID is a number that an earlier event carried");
	return http_reply_events(r, m->hub, last, mesh_feed_backfill, m);
}
