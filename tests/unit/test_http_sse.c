/* Event streams: order, resuming, slow readers, comments, limits. */
#include "http_fixture.h"

static struct service service = {.ready = true};
enum { RING = 8 };

static struct http_server *open_server(int64_t comment_ms, int streams_max)
{
	struct http_options o = fixture_options(&service);
	service.hub = sse_hub_new(RING);
	service.backfill = NULL;
	o.stream_comment_ms = comment_ms;
	o.streams_max = streams_max;
	return start(&o);
}

static void close_server(struct http_server *s)
{
	http_server_stop(s, 2000);
	sse_hub_free(service.hub);
}

static void publish(int64_t id)
{
	char data[32];
	snprintf(data, sizeof(data), "{\"n\":%lld}", (long long)id);
	sse_hub_publish(service.hub, id, "node.approved", str_from(data));
}

/* A stream, its header read; last_id < 0: without Last-Event-ID. */
static int listen_from(const struct http_server *s, int64_t last_id)
{
	char request[128], value[512];
	struct answer a;
	int fd = dial(s);
	if (last_id < 0)
		snprintf(request, sizeof(request), GET("/events"));
	else
		snprintf(request, sizeof(request), "GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: %lld\r\n\r\n",
			 (long long)last_id);
	say(fd, request);
	assert_true(hear_head(fd, &a));
	assert_int_equal(a.status, 200);
	assert_string_equal(header(&a, "Content-Type", value), "text/event-stream");
	assert_string_equal(header(&a, "Cache-Control", value), "no-store");
	assert_string_equal(header(&a, "X-Accel-Buffering", value), "no");
	return fd;
}

/* Reads chunks until the text ends with `end`; fails when anything but `expected` came. */
static void expect_text(int fd, const char *expected)
{
	struct buf text = {0};
	size_t n = strlen(expected);
	while (text.len < n) {
		char line[32] = "";
		size_t len = 0;
		while (len + 1 < sizeof(line) && (len < 2 || line[len - 1] != '\n')) {
			int c = next_byte(fd, PATIENCE_MS);
			if (c < 0)
				fail_msg("the stream ended after \"%s\", expected \"%s\"", buf_z(&text), expected);
			line[len++] = (char)c;
		}
		struct buf end = {0};
		assert_true(hear_n(fd, &text, strtoul(line, NULL, 16)) && hear_n(fd, &end, 2));
		buf_free(&end);
	}
	assert_string_equal(buf_z(&text), expected);
	buf_free(&text);
}

static void expect_event(int fd, int64_t id)
{
	char text[128];
	snprintf(text, sizeof(text), "id: %lld\nevent: node.approved\ndata: {\"n\":%lld}\n\n", (long long)id, (long long)id);
	expect_text(fd, text);
}

#define RETRY "retry: 2000\n\n"

static void events_in_order(void **state)
{
	(void)state;
	struct http_server *s = open_server(0, 0);
	publish(1); /* before the stream: not sent */
	int a = listen_from(s, -1), b = listen_from(s, -1);
	expect_text(a, RETRY);
	expect_text(b, RETRY);
	assert_int_equal(sse_hub_streams(service.hub), 2);
	for (int64_t id = 2; id < 100; id++) {
		publish(id);
		expect_event(a, id);
		expect_event(b, id);
	}
	close(a);
	close(b);
	close_server(s);
}

static void resumes_from_the_ring(void **state)
{
	(void)state;
	struct http_server *s = open_server(0, 0);
	for (int64_t id = 10; id <= 17; id++)
		publish(id);
	int fd = listen_from(s, 15); /* within the ring */
	expect_text(fd, RETRY "id: 16\nevent: node.approved\ndata: {\"n\":16}\n\nid: 17\nevent: node.approved\ndata: {\"n\":17}\n\n");
	publish(20);
	expect_event(fd, 20);
	close(fd);
	fd = listen_from(s, 20); /* at its end */
	expect_text(fd, RETRY);
	publish(21);
	expect_event(fd, 21);
	close(fd);
	close_server(s);
}

static bool backfill_nothing(void *ctx, int64_t after, int64_t before, sse_emit_fn *emit, void *emit_ctx)
{
	(void)ctx, (void)emit, (void)emit_ctx;
	return after == 1000 && before == INT64_MAX;
}

static void ids_ahead_of_the_ring(void **state)
{
	(void)state;
	struct http_server *s = open_server(0, 0);
	publish(1);
	int fd = listen_from(s, 1000); /* never given, as far as anyone knows */
	expect_text(fd, RETRY "event: reset\ndata: {}\n\n");
	publish(2);
	expect_event(fd, 2);
	close(fd);
	service.backfill = backfill_nothing;
	fd = listen_from(s, 1000); /* given by another instance, which is ahead of this one */
	expect_text(fd, RETRY);
	publish(999);
	publish(1001);
	expect_event(fd, 1001);
	close(fd);
	close_server(s);
}

static int64_t asked_after, asked_before;
static bool backfill_two(void *ctx, int64_t after, int64_t before, sse_emit_fn *emit, void *emit_ctx)
{
	assert_ptr_equal(ctx, &service);
	asked_after = after;
	asked_before = before;
	emit(emit_ctx, after + 1, "node.old", STR_LIT("{}"));
	emit(emit_ctx, after + 2, "node.old", STR_LIT("{}"));
	return true;
}

static bool backfill_gone(void *ctx, int64_t after, int64_t before, sse_emit_fn *emit, void *emit_ctx)
{
	(void)ctx, (void)before;
	emit(emit_ctx, after + 1, "node.old", STR_LIT("half")); /* must not be seen */
	return false;
}

static void resumes_from_further_back(void **state)
{
	(void)state;
	struct http_server *s = open_server(0, 0);
	service.backfill = backfill_two;
	int fd = listen_from(s, 3); /* an empty ring says nothing about what was before */
	expect_text(fd, RETRY "id: 4\nevent: node.old\ndata: {}\n\nid: 5\nevent: node.old\ndata: {}\n\n");
	assert_int_equal(asked_after, 3);
	assert_true(asked_before == INT64_MAX);
	publish(5); /* came by the backfill already */
	publish(6);
	expect_event(fd, 6);
	close(fd);
	for (int64_t id = 20; id < 40; id++)
		publish(id);
	fd = listen_from(s, 29);
	expect_text(fd, RETRY "id: 30\nevent: node.old\ndata: {}\n\nid: 31\nevent: node.old\ndata: {}\n\n"
			      "id: 32\nevent: node.approved\ndata: {\"n\":32}\n\nid: 33\nevent: node.approved\ndata: {\"n\":33}\n\n"
			      "id: 34\nevent: node.approved\ndata: {\"n\":34}\n\nid: 35\nevent: node.approved\ndata: {\"n\":35}\n\n"
			      "id: 36\nevent: node.approved\ndata: {\"n\":36}\n\nid: 37\nevent: node.approved\ndata: {\"n\":37}\n\n"
			      "id: 38\nevent: node.approved\ndata: {\"n\":38}\n\nid: 39\nevent: node.approved\ndata: {\"n\":39}\n\n");
	assert_int_equal(asked_after, 29);
	assert_int_equal(asked_before, 32);
	close(fd);
	asked_after = -1;
	fd = listen_from(s, 31); /* the ring begins with the next: nothing to fetch */
	expect_text(fd, RETRY "id: 32\nevent: node.approved\ndata: {\"n\":32}\n\nid: 33\nevent: node.approved\ndata: {\"n\":33}\n\n"
			      "id: 34\nevent: node.approved\ndata: {\"n\":34}\n\nid: 35\nevent: node.approved\ndata: {\"n\":35}\n\n"
			      "id: 36\nevent: node.approved\ndata: {\"n\":36}\n\nid: 37\nevent: node.approved\ndata: {\"n\":37}\n\n"
			      "id: 38\nevent: node.approved\ndata: {\"n\":38}\n\nid: 39\nevent: node.approved\ndata: {\"n\":39}\n\n");
	assert_int_equal(asked_after, -1);
	close(fd);
	close_server(s);
}

static void tells_when_events_are_gone(void **state)
{
	(void)state;
	struct http_server *s = open_server(0, 0);
	for (int64_t id = 20; id < 40; id++)
		publish(id);
	sse_backfill_fn *const fills[] = {NULL, backfill_gone};
	for (size_t i = 0; i < 2; i++) {
		service.backfill = fills[i];
		int fd = listen_from(s, 5);
		expect_text(fd, RETRY
			    "event: reset\ndata: {}\n\n"
			    "id: 32\nevent: node.approved\ndata: {\"n\":32}\n\nid: 33\nevent: node.approved\ndata: {\"n\":33}\n\n"
			    "id: 34\nevent: node.approved\ndata: {\"n\":34}\n\nid: 35\nevent: node.approved\ndata: {\"n\":35}\n\n"
			    "id: 36\nevent: node.approved\ndata: {\"n\":36}\n\nid: 37\nevent: node.approved\ndata: {\"n\":37}\n\n"
			    "id: 38\nevent: node.approved\ndata: {\"n\":38}\n\nid: 39\nevent: node.approved\ndata: {\"n\":39}\n\n");
		close(fd);
	}
	close_server(s);
}

static void large_events(void **state)
{
	(void)state;
	struct http_server *s = open_server(0, 0);
	int fd = listen_from(s, -1);
	expect_text(fd, RETRY);
	struct buf data = {0}, text = {0};
	for (int i = 0; i < 100000; i++)
		buf_putc(&data, (char)('a' + i % 26));
	sse_hub_publish(service.hub, 1, "big", buf_str(&data));
	buf_printf(&text, "id: 1\nevent: big\ndata: %s\n\n", buf_z(&data));
	expect_text(fd, buf_z(&text)); /* in many pieces, through a small buffer */
	publish(2);
	expect_event(fd, 2);
	buf_free(&data);
	buf_free(&text);
	close(fd);
	close_server(s);
}

static void slow_readers_are_dropped(void **state)
{
	(void)state;
	struct http_server *s = open_server(0, 0);
	struct buf data = {0};
	int slow = listen_from(s, -1), quick = listen_from(s, -1);
	expect_text(quick, RETRY);
	for (int i = 0; i < 200000; i++)
		buf_putc(&data, 'x');
	for (int64_t id = 1; id <= 100; id++) { /* 20 MB: more than socket buffers hold */
		char head[64];
		snprintf(head, sizeof(head), "id: %lld\nevent: big\ndata: ", (long long)id);
		struct buf text = {0};
		buf_puts(&text, head);
		buf_put_str(&text, buf_str(&data));
		buf_puts(&text, "\n\n");
		sse_hub_publish(service.hub, id, "big", buf_str(&data));
		expect_text(quick, buf_z(&text)); /* one slow reader holds up nobody */
		buf_free(&text);
	}
	buf_free(&data);
	size_t got = 0;
	for (char part[65536];;) {
		ssize_t n = recv(slow, part, sizeof(part), 0);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	assert_true(got < 100 * 200000); /* it did not get all, and its stream ended */
	close(slow);
	wait_until(sse_hub_streams(service.hub) == 1);
	close(quick);
	close_server(s);
}

static void comments_find_who_left(void **state)
{
	(void)state;
	struct http_server *s = open_server(150, 0);
	int fd = listen_from(s, -1), gone = listen_from(s, -1), reset = listen_from(s, -1);
	expect_text(fd, RETRY);
	assert_int_equal(sse_hub_streams(service.hub), 3);
	struct linger hard = {.l_onoff = 1};
	setsockopt(reset, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(reset);
	close(gone);
	int64_t begin = clock_mono_ms();
	expect_text(fd, ":\n\n");
	expect_text(fd, ":\n\n");
	assert_in_range(since(begin), 150, 5000);
	wait_until(sse_hub_streams(service.hub) == 1);
	publish(1);
	expect_event(fd, 1);
	expect_text(fd, ":\n\n");
	close(fd);
	wait_until(sse_hub_streams(service.hub) == 0);
	close_server(s);
}

static void streams_are_capped(void **state)
{
	(void)state;
	struct http_server *s = open_server(100, 2);
	int a = listen_from(s, -1), b = listen_from(s, -1);
	ask(s, GET("/events"), 503, "overloaded");
	ask(s, GET("/metrics"), 200, "tana_test_http_streams 2\n");
	close(a);
	wait_until(sse_hub_streams(service.hub) == 1);
	a = listen_from(s, -1);
	close(a);
	close(b);
	close_server(s);
}

/* Publishers, streams that come and go, and the end of it all, at once: for the thread sanitizer. */
static _Atomic bool publishing;
static void *publish_always(void *unused)
{
	(void)unused;
	for (int64_t id = 1; atomic_load(&publishing); id++) {
		publish(id);
		if (id % 50 == 0)
			nap(1);
	}
	return NULL;
}

static void everything_at_once(void **state)
{
	(void)state;
	struct http_server *s = open_server(20, 0);
	pthread_t publisher;
	int kept[10];
	atomic_store(&publishing, true);
	assert_int_equal(pthread_create(&publisher, NULL, publish_always, NULL), 0);
	for (int i = 0; i < 10; i++)
		kept[i] = listen_from(s, i % 3 ? -1 : 0);
	for (int i = 0; i < 60; i++)
		close(listen_from(s, i % 3 ? -1 : 0));
	atomic_store(&publishing, false);
	pthread_join(publisher, NULL);
	int64_t begin = clock_mono_ms();
	http_server_stop(s, 50); /* some streams are blocked: they read nothing */
	assert_true(since(begin) < 2000);
	sse_hub_free(service.hub);
	for (int i = 0; i < 10; i++)
		close(kept[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_in_order),
		cmocka_unit_test(resumes_from_the_ring),
		cmocka_unit_test(ids_ahead_of_the_ring),
		cmocka_unit_test(resumes_from_further_back),
		cmocka_unit_test(tells_when_events_are_gone),
		cmocka_unit_test(large_events),
		cmocka_unit_test(slow_readers_are_dropped),
		cmocka_unit_test(comments_find_who_left),
		cmocka_unit_test(streams_are_capped),
		cmocka_unit_test(everything_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
