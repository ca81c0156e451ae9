/* Answers that come later, from other threads: in every order of finishing, sleeping, leaving and stopping. */
#include "http_fixture.h"

static struct service service = {.ready = true};

static int open_server(void **state)
{
	struct http_options o = fixture_options(&service);
	service.hub = sse_hub_new(16);
	*state = start(&o);
	return 0;
}

static int close_server(void **state)
{
	http_server_stop(*state, 2000);
	sse_hub_free(service.hub);
	return 0;
}

static void finished_later(void **state)
{
	int fd = dial(*state);
	for (int i = 0; i < 3; i++) {
		say(fd, POST("/later", "Content-Length: 5\r\n", "hello"));
		wait_until(waiting_now() == 1);
		assert_int_equal(next_byte(fd, 50), -2);
		assert_int_equal(finish_waiting(), 1);
		expect(fd, 200, "hello");
	}
	close(fd);
}

/* Many at once, finished in batches by a thread that never rests: often before the handler has returned. */
static _Atomic bool stop_finishing;
static void *finish_always(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop_finishing))
		(void)finish_waiting();
	return NULL;
}

static void finished_at_once(void **state)
{
	enum { CONNECTIONS = 32, ROUNDS = 60 };
	pthread_t finisher;
	int fds[CONNECTIONS];
	atomic_store(&stop_finishing, false);
	assert_int_equal(pthread_create(&finisher, NULL, finish_always, NULL), 0);
	for (int i = 0; i < CONNECTIONS; i++)
		fds[i] = dial(*state);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CONNECTIONS; i++) {
			char request[128];
			snprintf(request, sizeof(request), POST("/later", "Content-Length: 5\r\n", "%02d-%02d"), i, round);
			say(fds[i], request);
		}
		for (int i = 0; i < CONNECTIONS; i++) {
			char body[8];
			snprintf(body, sizeof(body), "%02d-%02d", i, round);
			expect(fds[i], 200, body);
		}
	}
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
	atomic_store(&stop_finishing, true);
	pthread_join(finisher, NULL);
}

static void finished_in_one_batch(void **state)
{
	enum { N = 200 };
	int fds[N];
	for (int i = 0; i < N; i++) {
		fds[i] = dial(*state);
		say(fds[i], POST("/later", "Content-Length: 5\r\n", "hello"));
	}
	wait_until(waiting_now() == N);
	nap(20);
	assert_int_equal(finish_waiting(), N);
	for (int i = 0; i < N; i++) {
		expect(fds[i], 200, "hello");
		close(fds[i]);
	}
}

static void pipelined(void **state)
{
	int fd = dial(*state);
	for (int i = 0; i < 20; i++)
		say(fd, POST("/later", "Content-Length: 5\r\n", "hello"));
	for (int i = 0; i < 20; i++) { /* one at a time reaches its handler */
		wait_until(waiting_now() == 1);
		assert_int_equal(finish_waiting(), 1);
		expect(fd, 200, "hello");
	}
	close(fd);
}

static void client_leaves(void **state)
{
	for (int i = 0; i < 20; i++) {
		int fd = dial(*state);
		say(fd, POST("/later", "Content-Length: 5\r\n", "hello"));
		wait_until(waiting_now() == 1);
		if (i % 2) { /* with a reset, so that writing fails at once */
			struct linger hard = {.l_onoff = 1};
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		}
		close(fd);
		nap(5);
		assert_int_equal(finish_waiting(), 1);
	}
	ask(*state, GET("/health"), 200, NULL);
}

/* In one batch with answers for clients who are gone, the others get theirs. */
static void some_clients_leave(void **state)
{
	(void)state;
	enum { N = 40 };
	struct http_options o = fixture_options(&service);
	o.workers = 1;
	struct http_server *s = start(&o);
	const struct linger hard = {.l_onoff = 1};
	for (int round = 0; round < 10; round++) {
		int fds[N];
		for (int i = 0; i < N; i++) {
			fds[i] = dial(s);
			say(fds[i], POST("/later", "Content-Length: 5\r\n", "hello"));
			wait_until(waiting_now() == (size_t)i + 1); /* so that they are finished in this order */
		}
		nap(10);
		for (int i = 0; i < N; i += 2) {
			setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
			close(fds[i]);
		}
		assert_int_equal(finish_waiting(), N);
		for (int i = 1; i < N; i += 2) {
			expect(fds[i], 200, "hello");
			close(fds[i]);
		}
	}
	http_server_stop(s, 1000);
}

/* The server stops while answers are owed: their connections end, and nothing is waited for. */
static void server_stops(void **state)
{
	(void)state;
	struct http_options o = fixture_options(&service);
	struct http_server *s = start(&o);
	int fds[20];
	for (int i = 0; i < 20; i++) {
		fds[i] = dial(s);
		say(fds[i], POST("/later", "Content-Length: 5\r\n", "hello"));
	}
	wait_until(waiting_now() == 20);
	int64_t begin = clock_mono_ms();
	http_server_stop(s, 50);
	assert_in_range(since(begin), 40, 2000);
	for (int i = 0; i < 20; i++)
		expect_closed(fds[i]);
	deferred.count = 0; /* their requests are gone: nobody may finish them */
}

static void server_stops_with_answers_on_their_way(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct http_options o = fixture_options(&service);
		struct http_server *s = start(&o);
		int fds[20];
		for (int i = 0; i < 20; i++) {
			fds[i] = dial(s);
			say(fds[i], POST("/later", "Content-Length: 5\r\n", "hello"));
		}
		wait_until(waiting_now() == 20);
		assert_int_equal(finish_waiting(), 20);
		http_server_stop(s, round % 2 ? 1000 : 0);
		for (int i = 0; i < 20; i++) {
			if (round % 2)
				expect(fds[i], 200, "hello");
			close(fds[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finished_later),
		cmocka_unit_test(finished_at_once),
		cmocka_unit_test(finished_in_one_batch),
		cmocka_unit_test(pipelined),
		cmocka_unit_test(client_leaves),
		cmocka_unit_test(some_clients_leave),
		cmocka_unit_test(server_stops),
		cmocka_unit_test(server_stops_with_answers_on_their_way),
	};
	return cmocka_run_group_tests(tests, open_server, close_server);
}
