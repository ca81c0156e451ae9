/*
 * Deferred answers. The connection sleeps (is suspended) between the handler's http_reply_later and some other thread's http_finish. What
 * the peer does meanwhile goes unnoticed: also one that has left is woken first.
 */
#include "base/log.h"
#include "connection.h"
#include "workers.h"

struct http_reply *http_reply_later(struct http_request *r)
{
	return &r->later; /* ready since the object was made: whoever finishes may be using the request already */
}

void http_finish(struct http_request *r, struct http_reply *reply)
{
	struct connection *c = r->connection;
	invariant(reply && reply->kind != REPLY_LATER && reply->request == r);
	r->finished = reply;
	if (atomic_exchange(&c->later, LATER_FINISHED) != LATER_SUSPENDED)
		return; /* its worker has not suspended it yet, and will see */
	connection_wake(c);
}

enum MHD_Result request_sleep(struct http_request *r)
{
	struct connection *c = r->connection;
	int running = LATER_RUNNING, suspended = LATER_SUSPENDED;
	r->stage = STAGE_LATER;
	if (atomic_load(&c->later) == LATER_FINISHED)
		return request_answer(r, r->finished);
	MHD_suspend_connection(c->mhd);
	/* From here the request is the finisher's, unless it was quicker than we, or the server waits for nobody any more. */
	bool finished = !atomic_compare_exchange_strong(&c->later, &running, LATER_SUSPENDED);
	bool stopping = !finished && atomic_load(&c->worker->server->stopping);
	if (finished || (stopping && atomic_compare_exchange_strong(&c->later, &suspended, LATER_ABORTED)))
		connection_wake(c);
	return MHD_YES;
}

enum MHD_Result request_wake_up(struct http_request *r)
{
	if (atomic_load(&r->connection->later) != LATER_FINISHED)
		return MHD_NO; /* given up */
	return request_answer(r, r->finished);
}

static void abort_later(struct connection *c, int64_t now_ms)
{
	(void)now_ms;
	int suspended = LATER_SUSPENDED;
	if (atomic_compare_exchange_strong(&c->later, &suspended, LATER_ABORTED))
		connection_wake(c);
}

void connections_abort_later(struct http_server *s)
{
	connections_each(s, abort_later);
}
