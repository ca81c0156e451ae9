#include "identity_commands.h"

#include <stdio.h>

#include "api.h"

static int put_document(struct buf *out)
{
	bool ok = fwrite(out->data, 1, out->len, stdout) == out->len && fflush(stdout) == 0;
	buf_free(out);
	return ok ? EXIT_DONE : EXIT_FAILED;
}

int identity_command_openapi(struct invocation *in)
{
	(void)in;
	struct buf out = {0};
	http_openapi_write(&out, "identity", IDENTITY_DESCRIPTION, identity_routes, identity_route_count);
	return put_document(&out);
}

int identity_command_api_doc(struct invocation *in)
{
	(void)in;
	struct buf out = {0};
	http_markdown_write(&out, "identity", IDENTITY_DESCRIPTION, identity_routes, identity_route_count);
	return put_document(&out);
}
