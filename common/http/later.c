/*
 * Deferred answers. The connection sleeps (is suspended) between the handler's http_reply_later and some other thread's http_finish.
 *
 * Resuming a connection costs a lock that its worker holds often, a write to the worker's eventfd, and a walk over all connections that
 * sleep, event streams included. A writer thread that finishes 64 requests after one commit would fight the worker 64 times. So
 * http_finish puts the connection on the worker's list of finished ones, and only who finds that list empty, the ringer, resumes its
 * connection. The worker then meets the ringer's request, takes the whole list and resumes the others itself. In each list taken, the
 * ringer's connection is the last, and is not resumed again.
 */
#include "base/log.h"
#include "connection.h"

struct http_reply *http_reply_later(struct http_request *r)
{
	return &r->later; /* ready since the object was made: whoever finishes may be using the request already */
}

/* True: the list was empty, and the caller must ring. */
static bool put_finished(struct worker *w, struct connection *c)
{
	struct connection *head = atomic_load(&w->finished);
	do
		c->next_finished = head;
	while (!atomic_compare_exchange_weak(&w->finished, &head, c));
	return head == NULL;
}

static void resume_finished(struct worker *w)
{
	struct connection *c = atomic_exchange(&w->finished, NULL);
	while (c && c->next_finished) {
		struct connection *next = c->next_finished; /* once resumed, its own thread may change it; here that is this one */
		MHD_resume_connection(c->mhd);
		c = next;
	}
}

void http_finish(struct http_request *r, struct http_reply *reply)
{
	struct connection *c = r->connection;
	struct MHD_Connection *mc = c->mhd;
	invariant(reply && reply->kind != REPLY_LATER && reply->request == r);
	r->finished = reply;
	if (atomic_exchange(&c->later, LATER_FINISHED) != LATER_SUSPENDED)
		return; /* its worker has not suspended it yet, and will see */
	if (put_finished(c->worker, c))
		MHD_resume_connection(mc);
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
		MHD_resume_connection(c->mhd);
	return MHD_YES;
}

enum MHD_Result request_wake_up(struct http_request *r)
{
	resume_finished(r->connection->worker);
	if (atomic_load(&r->connection->later) != LATER_FINISHED)
		return MHD_NO; /* given up */
	return request_answer(r, r->finished);
}

static void abort_later(struct connection *c, int64_t now_ms)
{
	(void)now_ms;
	int suspended = LATER_SUSPENDED;
	if (atomic_compare_exchange_strong(&c->later, &suspended, LATER_ABORTED))
		MHD_resume_connection(c->mhd);
}

void connections_abort_later(struct http_server *s)
{
	connections_each(s, abort_later);
	for (size_t i = 0; i < s->worker_count; i++)
		resume_finished(&s->workers[i]);
}
