/*
 * A daemon's life, seen from outside as systemd sees it: a small daemon runs in a child process, its sd_notify messages, log lines,
 * answers and exit status are read here. What it serves: GET /slow answers when another thread finishes it, a second later.
 */
#include "daemon_sample.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/log.h"

/* ThreadSanitizer waits a second at exit, for reports of other threads. */
#ifdef __SANITIZE_THREAD__
enum { EXIT_TAKES_MS = 1500 };
#else
enum { EXIT_TAKES_MS = 0 };
#endif
enum { PATIENCE_MS = 8000 };

/* --- the daemon, in the child ---------------------------------------------------------------- */

struct service {
	pthread_t slow;
	bool slow_started;
	int64_t slow_ms;
	bool hangs;
};

static void *finish_later(void *request)
{
	struct http_request *r = request;
	struct service *s = http_ctx(r);
	const struct timespec pause = {.tv_sec = s->slow_ms / 1000, .tv_nsec = s->slow_ms % 1000 * 1000000};
	struct buf body = {0};
	nanosleep(&pause, NULL);
	buf_puts(&body, "{\"slow\":true}");
	http_finish(r, http_reply_bytes(r, 200, NULL, &body));
	return NULL;
}

static struct http_reply *slow(struct http_request *r)
{
	struct service *s = http_ctx(r);
	s->slow_started = pthread_create(&s->slow, NULL, finish_later, r) == 0;
	return http_reply_later(r);
}

static const struct http_route routes[] = {
	{.method = HTTP_GET, .path = "/slow", .handler = slow, .access = ACCESS_ANYONE, .summary = "Takes its time."},
};

static bool start(void *state, const struct invocation *in, struct http_options *http, struct error *err)
{
	struct service *s = state;
	s->slow_ms = option_int(in, "slow");
	s->hangs = option_bool(in, "hang");
	http->routes = routes;
	http->route_count = ARRAY_LEN(routes);
	http->ctx = s;
	if (option_bool(in, "fail")) {
		error_set(err, ERR_UNAVAILABLE, "the database does not answer");
		return error_hint(err, "start it");
	}
	return true;
}

static void say(const char *what)
{
	log_info(what);
}
static void serving(void *state, struct http_server *server)
{
	(void)state;
	invariant(http_server_address(server)[0]);
	say("serving");
}
static void on_reload(void *state, const struct invocation *in)
{
	(void)state;
	log_info("service reloads", LOG_I("rate", option_int(in, "rate-limit")));
}
static void quiesce(void *state)
{
	struct service *s = state;
	say("quiesce");
	if (s->hangs)
		pause();
	if (s->slow_started)
		pthread_join(s->slow, NULL);
}
static void on_stop(void *state)
{
	(void)state;
	say("stop");
}

static const struct daemon tiny = {
	.service = "tiny", .default_listen = "127.0.0.1:0", .start = start, .serving = serving, .reload = on_reload, .quiesce = quiesce, .stop = on_stop};

static int run_tiny(struct invocation *in)
{
	struct service s = {0};
	return daemon_run(&tiny, &s, in);
}
static bool check_tiny(struct invocation *in, struct error *err)
{
	return daemon_check(in, err);
}
static const struct option_row tiny_options[] = {
	{.name = "slow", .type = OPTION_DURATION, .fallback = "1s", .doc = "How slow."},
	{.name = "fail", .type = OPTION_BOOL, .doc = "Fail to start."},
	{.name = "hang", .type = OPTION_BOOL, .doc = "Hang in the stop."},
	{0},
};
static const struct command tiny_commands[] = {
	{.path = "run", .options = tiny_options, .run = run_tiny, .check = check_tiny, .summary = "Serve"},
	{0},
};
static const struct program tinyd = {
	.name = "tinyd", .section = "tiny", .summary = "serves little", .options = daemon_options, .commands = tiny_commands, .default_command = "run"};

/* --- the test's side -------------------------------------------------------------------------- */

struct child {
	pid_t pid;
	int notify, log; /* log: a file that the child's standard error goes to */
	char address[64];
	char socket_path[64];
};

static int notify_socket(struct child *c)
{
	struct sockaddr_un where = {.sun_family = AF_UNIX};
	static int count;
	snprintf(c->socket_path, sizeof(c->socket_path), "/tmp/tana-notify-%d-%d", getpid(), count++);
	strcpy(where.sun_path, c->socket_path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
	return fd;
}

/* In the child: the program with this command line (split at blanks), as a supervisor starts it. */
static void run_child(const struct child *c, const char *command_line, const char *watchdog_usec)
{
	static char copy[1024], name[] = "tinyd", pid[16];
	char *argv[SAMPLE_ARGS_MAX] = {name}, *save = NULL;
	int argc = 1;
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("NOTIFY_SOCKET", c->socket_path, 1);
	if (watchdog_usec) {
		setenv("WATCHDOG_USEC", watchdog_usec, 1);
		setenv("WATCHDOG_PID", pid, 1);
	}
	dup2(c->log, STDERR_FILENO);
	snprintf(copy, sizeof(copy), "%s", command_line);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	exit(program_main(&tinyd, argc, argv));
}

static struct child spawn(const char *command_line, const char *watchdog_usec)
{
	struct child c = {.log = memfd_create("log", MFD_CLOEXEC)};
	c.notify = notify_socket(&c);
	fflush(NULL);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0)
		run_child(&c, command_line, watchdog_usec);
	return c;
}

/* The next message with this text in it; others before it are passed over. */
static const char *await(const struct child *c, const char *part)
{
	static char text[1024];
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	for (;;) {
		struct pollfd p = {.fd = c->notify, .events = POLLIN};
		int64_t left = end - clock_mono_ms();
		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			fail_msg("no message with %s", part);
		ssize_t n = recv(c->notify, text, sizeof(text) - 1, 0);
		assert_true(n > 0);
		text[n] = '\0';
		if (strstr(text, part))
			return text;
	}
}

static const char *log_of(const struct child *c)
{
	static char text[SAMPLE_TEXT_MAX];
	ssize_t n = pread(c->log, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void expect_logged(const struct child *c, const char *part)
{
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < end; usleep(5000))
		if (strstr(log_of(c), part))
			return;
	fail_msg("\"%s\" is not in the log:\n%s", part, log_of(c));
}

static struct child spawn_ready(const char *command_line, const char *watchdog_usec)
{
	struct child c = spawn(command_line, watchdog_usec);
	const char *listening = strstr(await(&c, "READY=1"), "listening on ");
	assert_non_null(listening);
	snprintf(c.address, sizeof(c.address), "%s", listening + strlen("listening on "));
	return c;
}

/* The exit status; a process that is still there after a while is killed and the test fails. */
static int reap(struct child *c)
{
	int status = 0;
	int64_t end = clock_mono_ms() + 12000;
	while (waitpid(c->pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() > end) {
			kill(c->pid, SIGKILL);
			waitpid(c->pid, &status, 0);
			fail_msg("the daemon did not end:\n%s", log_of(c));
		}
		usleep(5000);
	}
	close(c->notify);
	unlink(c->socket_path);
	if (!WIFEXITED(status))
		fail_msg("the daemon was ended by signal %d:\n%s", WTERMSIG(status), log_of(c));
	return WEXITSTATUS(status);
}

static int connect_to(const struct child *c)
{
	const char *colon = strrchr(c->address, ':');
	struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
	return fd;
}

static int begin_get(const struct child *c, const char *path)
{
	char request[256];
	int fd = connect_to(c), n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(send(fd, request, (size_t)n, MSG_NOSIGNAL), n);
	return fd;
}

static const char *answer_of(int fd)
{
	static char text[8192];
	size_t n = 0;
	for (ssize_t got; n < sizeof(text) - 1 && (got = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0;)
		n += (size_t)got;
	text[n] = '\0';
	close(fd);
	return text;
}

static void test_start_and_stop(void **state)
{
	(void)state;
	static const int signals[] = {SIGTERM, SIGINT};
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		struct child c = spawn_ready("run", NULL);
		expect_logged(&c, "info  serving");
		expect_logged(&c, c.address);
		assert_non_null(strstr(answer_of(begin_get(&c, "/health")), "\"status\":\"ok\""));
		assert_non_null(strstr(answer_of(begin_get(&c, "/info")), tana_version()));
		int64_t began = clock_mono_ms();
		kill(c.pid, signals[i]);
		await(&c, "STOPPING=1");
		assert_int_equal(reap(&c), EXIT_DONE);
		assert_true(clock_mono_ms() - began < 3000 + EXIT_TAKES_MS);
		const char *log = log_of(&c);
		assert_true(strstr(log, "stopping") < strstr(log, "quiesce"));
		assert_true(strstr(log, "quiesce") < strstr(log, "info  stop\n"));
		assert_non_null(strstr(log, "stopped took_ms="));
		close(c.log);
	}
}

/* A request under way is answered, and only then the background work stops. */
static void test_drain(void **state)
{
	(void)state;
	struct child c = spawn_ready("run", NULL);
	int fd = begin_get(&c, "/slow");
	usleep(200000);
	kill(c.pid, SIGTERM);
	await(&c, "STOPPING=1");
	const char *answer = answer_of(fd);
	assert_true(strncmp(answer, "HTTP/1.1 200", 12) == 0);
	assert_non_null(strstr(answer, "{\"slow\":true}"));
	assert_int_equal(reap(&c), EXIT_DONE);
	assert_null(strstr(log_of(&c), "were cut"));
	close(c.log);
}

static void test_second_signal(void **state)
{
	(void)state;
	struct child c = spawn_ready("run --slow 7s", NULL);
	int fd = begin_get(&c, "/slow");
	usleep(200000);
	kill(c.pid, SIGTERM);
	await(&c, "STOPPING=1");
	expect_logged(&c, "stopping");
	usleep(200000);
	int64_t began = clock_mono_ms();
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), EXIT_INTERRUPTED);
	assert_true(clock_mono_ms() - began < 2000 + EXIT_TAKES_MS);
	close(fd);
	close(c.log);
}

/* A stop that hangs ends all the same, in under 10 s, and is not called a success. */
static void test_stop_that_hangs(void **state)
{
	(void)state;
	struct child c = spawn_ready("run --hang", NULL);
	int64_t began = clock_mono_ms();
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), EXIT_FAILED);
	assert_in_range(clock_mono_ms() - began, 9000, 10000 + EXIT_TAKES_MS);
	assert_non_null(strstr(log_of(&c), "the stop took too long"));
	close(c.log);
}

static void rewrite(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_reload(void **state)
{
	(void)state;
	char line[256], log_path[] = "/tmp/tana-run-log-XXXXXX", moved[64];
	const char *config = sample_file("[tiny]\nrate_limit = 7\nlog_level = debug\nworkers = 2\n");
	close(mkstemp(log_path));
	snprintf(moved, sizeof(moved), "%s.1", log_path);
	snprintf(line, sizeof(line), "run --config %s --log-file %s", config, log_path);
	struct child c = spawn_ready(line, NULL);
	rewrite(config, "[tiny]\nrate_limit = 9\nworkers = 3\n");
	assert_int_equal(rename(log_path, moved), 0);
	kill(c.pid, SIGHUP);
	int64_t asked = clock_mono_ns() / 1000;
	const char *reloading = await(&c, "RELOADING=1");
	const char *usec = strstr(reloading, "MONOTONIC_USEC=");
	assert_non_null(usec);
	assert_in_range(atoll(usec + strlen("MONOTONIC_USEC=")), asked - 1000000, asked + 5000000);
	await(&c, "READY=1");
	/* Refused, the old configuration stays, and the daemon goes on. */
	rewrite(config, "[tiny]\nrate_limit = fast\n");
	kill(c.pid, SIGHUP);
	await(&c, "RELOADING=1");
	await(&c, "READY=1");
	assert_non_null(strstr(answer_of(begin_get(&c, "/health")), "\"status\":\"ok\""));
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), EXIT_DONE);
	char text[4096] = "";
	FILE *f = fopen(log_path, "r"); /* made anew at SIGHUP */
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "service reloads rate=9"));
	assert_non_null(strstr(text, "reload refused, the old configuration stays"));
	assert_non_null(strstr(text, ":2: rate_limit: \\\"fast\\\" is not a whole number"));
	f = fopen(moved, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "listening"));
	assert_non_null(strstr(text, "a changed option needs a restart option=workers"));
	assert_null(strstr(text, "service reloads"));
	unlink(config);
	unlink(log_path);
	unlink(moved);
	close(c.log);
}

/* At half the interval, though nothing else happens. */
static void test_watchdog(void **state)
{
	(void)state;
	struct child c = spawn_ready("run", "600000");
	int64_t began = clock_mono_ms();
	for (int i = 0; i < 4; i++)
		await(&c, "WATCHDOG=1");
	assert_in_range(clock_mono_ms() - began, 700, 2500);
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), EXIT_DONE);
	close(c.log);
}

static size_t lines(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* One line says why, on standard error, and the status whether trying again can help. */
static void expect_start_refused(const char *command_line, int status, const char *part)
{
	struct child c = spawn(command_line, NULL);
	int got = reap(&c);
	const char *log = log_of(&c);
	if (got != status || !strstr(log, part) || strstr(log, "READY"))
		fail_msg("tinyd %s: status %d, log:\n%s", command_line, got, log);
	const char *from = strstr(log, "cannot start");
	assert_true(!from || lines(from) == 1);
	close(c.log);
}

static void test_start_refused(void **state)
{
	(void)state;
	char line[256];
	expect_start_refused("run --fail", EXIT_FAILED, "cannot start: the database does not answer code=unavailable hint=\"start it\"");
	expect_start_refused("run --listen nonsense", EXIT_USAGE, "cannot start: flag --listen: \"nonsense\" is no HOST:PORT code=bad_configuration");
	expect_start_refused("run --listen 127.0.0.1:70000", EXIT_USAGE, "is no HOST:PORT");
	expect_start_refused("run --listen ::1:80", EXIT_USAGE, "is no HOST:PORT");
	expect_start_refused("run --tls-cert /nonexistent", EXIT_USAGE, "--tls-cert and --tls-key go together");
	expect_start_refused("run --tls-cert /nonexistent --tls-key /nonexistent", EXIT_USAGE, "--tls-cert: cannot open /nonexistent");
	expect_start_refused("run --tls-cert /etc/hostname --tls-key /etc/hostname", EXIT_USAGE, "holds no PEM CERTIFICATE");
	expect_start_refused("run --tls-cert /dev/null --tls-key /etc/hostname", EXIT_USAGE, "/dev/null holds no PEM CERTIFICATE");
	expect_start_refused("run --log-file /nonexistent/log", EXIT_FAILED, "error: cannot open the log file /nonexistent/log");
	expect_start_refused("run --log-level loud", EXIT_USAGE, "error: flag --log-level: \"loud\" is not one of its choices");
	struct child c = spawn_ready("run", NULL);
	snprintf(line, sizeof(line), "run --listen %s", c.address);
	expect_start_refused(line, EXIT_FAILED, "Address already in use");
	expect_start_refused(line, EXIT_FAILED, "--listen takes another address");
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), EXIT_DONE);
	close(c.log);
}

/* --check-config judges the same, and starts nothing. */
static void test_check_config(void **state)
{
	(void)state;
	assert_string_equal(sample(&tinyd, "--check-config")->out, "configuration ok\n");
	const struct outcome *o = sample(&tinyd, "--check-config --tls-key /x");
	assert_int_equal(o->status, EXIT_USAGE);
	assert_non_null(strstr(o->err, "go together"));
	assert_int_equal(sample(&tinyd, "--check-config --listen [::1]:0")->status, EXIT_DONE);
}

static void test_tables(void **state)
{
	(void)state;
	struct error err = {0};
	if (!program_lint(&tinyd, &err))
		fail_msg("%s", err.message);
}

/* umask, descriptors, SIGPIPE: as the header promises, read from /proc of the running child. */
static void test_process(void **state)
{
	(void)state;
	struct child c = spawn_ready("run", NULL);
	char path[64], text[8192];
	snprintf(path, sizeof(path), "/proc/%d/status", c.pid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "Umask:\t0077\n"));
	const char *ignored = strstr(text, "SigIgn:\t");
	assert_non_null(ignored);
	assert_true(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & (1ULL << (SIGPIPE - 1)));
	struct rlimit files;
	assert_int_equal(prlimit(c.pid, RLIMIT_NOFILE, NULL, &files), 0);
	assert_int_equal(files.rlim_cur, files.rlim_max);
	kill(c.pid, SIGTERM);
	assert_int_equal(reap(&c), EXIT_DONE);
	close(c.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_check_config),
		cmocka_unit_test(test_start_and_stop),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_second_signal),
		cmocka_unit_test(test_stop_that_hangs),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_start_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
