/*
 * A daemon's life: the process is prepared, the service opens what it needs, the server listens, and the main thread then only takes
 * signals and tells systemd that it is alive. The termination signals are blocked before the first thread is made, so that every
 * thread inherits that and none but the main one meets them.
 */
#include "daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/ed25519.h"
#include "daemon_options.h"

enum {
	DRAIN_MS = 8000,        /* for requests under way at a stop */
	STOP_MS = 9500,         /* for the whole stop: a process that hangs in it must not keep its supervisor waiting beyond 10 s */
	DESCRIPTORS_KEPT = 256, /* for databases, logs and files, beside connections */
	CONNECTIONS_MIN = 16
};

struct running {
	const struct daemon *daemon;
	void *state;
	struct invocation *in;
	struct http_server *server;
	sigset_t signals;      /* the ones the main thread takes */
	int64_t watchdog_ns;   /* between signs of life; 0: nobody asks for them */
	int64_t next_sign_ns;
};

static void prepare_process(struct running *r)
{
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&r->signals);
	sigaddset(&r->signals, SIGTERM);
	sigaddset(&r->signals, SIGINT);
	sigaddset(&r->signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &r->signals, NULL);
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		/* The old limit stays when this fails, and bound_connections goes by what there is. */
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

/* Each connection is a descriptor. Whoever asked for a number of connections is warned that it cannot be had. */
static void bound_connections(const struct invocation *in, struct http_options *http)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= (rlim_t)http->connections_max + DESCRIPTORS_KEPT)
		return;
	int asked = http->connections_max;
	http->connections_max = files.rlim_cur > DESCRIPTORS_KEPT + CONNECTIONS_MIN ? (int)(files.rlim_cur - DESCRIPTORS_KEPT) : CONNECTIONS_MIN;
	enum log_level level = strcmp(option_origin(in, "max-connections"), "default") == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
	const struct log_field fields[] = {
		LOG_I("connections", http->connections_max), LOG_I("asked", asked), LOG_I("descriptors", (int64_t)files.rlim_cur)};
	log_write(level, fields, ARRAY_LEN(fields), "the descriptor limit allows fewer connections");
}

/* The status is one line: what a message quotes must not become another assignment. */
static void notify_failure(const struct error *err)
{
	char line[sizeof(err->message)];
	snprintf(line, sizeof(line), "%s", err->message);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
	sd_notifyf(0, "STATUS=cannot start: %s", line);
}

/* One line, and a status that tells a supervisor whether trying again can help. */
static int refuse_start(const struct running *r, const struct error *err)
{
	const struct log_field fields[] = {LOG_S("code", error_code_text(err->code)), LOG_S("hint", err->hint)};
	log_write(LOG_LEVEL_ERROR, fields, err->hint[0] ? 2 : 1, "cannot start: %s", err->message);
	if (option_text(r->in, "log-file"))
		program_fail(r->in, err); /* whoever started it looks at standard error first */
	notify_failure(err);
	return exit_status_of(err->code) == EXIT_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

static void say_ready(const struct running *r)
{
	sd_notifyf(0, "READY=1\nSTATUS=listening on %s", http_server_address(r->server));
}

static bool start_server(struct running *r, struct error *err)
{
	struct http_options http = {.service = r->daemon->service};
	daemon_fill_http(r->in, &http);
	if (!http.listen)
		http.listen = r->daemon->default_listen;
	if (!r->daemon->start(r->state, r->in, &http, err))
		return false;
	bound_connections(r->in, &http);
	const char **proxies = xcalloc(option_count(r->in, "trusted-proxy") + 1, sizeof(*proxies));
	for (size_t i = 0; i < option_count(r->in, "trusted-proxy"); i++)
		proxies[i] = option_at(r->in, "trusted-proxy", i);
	http.trusted_proxies = proxies;
	r->server = http_server_start(&http, err);
	free(proxies);
	if (!r->server && err->code == ERR_IO && !err->hint[0])
		error_hint(err, "`ss -ltnp` shows who listens where; --listen takes another address");
	return r->server != NULL;
}

static void start_watchdog(struct running *r)
{
	uint64_t usec;
	if (sd_watchdog_enabled(0, &usec) > 0)
		r->watchdog_ns = (int64_t)(usec / 2) * 1000;
	r->next_sign_ns = clock_mono_ns();
}

/* The next of our signals; 0 when it is time for a sign of life, or nothing came. */
static int wait_signal(const struct running *r)
{
	if (r->watchdog_ns == 0) {
		int taken = sigwaitinfo(&r->signals, NULL);
		return taken > 0 ? taken : 0; /* EINTR: a debugger or a stop and continue */
	}
	int64_t left = r->next_sign_ns - clock_mono_ns();
	left = left > 0 ? left : 0;
	const struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
	int taken = sigtimedwait(&r->signals, NULL, &timeout);
	return taken > 0 ? taken : 0;
}

static void give_sign_of_life(struct running *r)
{
	int64_t now = clock_mono_ns();
	if (r->watchdog_ns == 0 || now < r->next_sign_ns)
		return;
	sd_notify(0, "WATCHDOG=1");
	r->next_sign_ns = now + r->watchdog_ns;
}

/* A refused configuration leaves the old one in force; the log is opened anew in any case, for rotation must not depend on it. */
static void reload(struct running *r)
{
	struct error err;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_ns() / 1000);
	bool taken = invocation_reload(r->in, &err);
	if (!taken)
		log_error("reload refused, the old configuration stays", LOG_S("error", err.message), LOG_S("code", error_code_text(err.code)));
	struct error log_err;
	if (!log_reopen(daemon_log_level(r->in), &log_err))
		log_error("the log stays as it is", LOG_S("error", log_err.message));
	if (taken) {
		if (!http_server_reload_tls(r->server, &err))
			log_error("the old certificate stays", LOG_S("error", err.message));
		http_server_set_rate(r->server, (double)option_int(r->in, "rate-limit"), (int)option_int(r->in, "rate-burst"));
		if (r->daemon->reload)
			r->daemon->reload(r->state, r->in);
		log_info("reloaded");
	}
	say_ready(r);
}

/* Until a signal asks for the end; which one. */
static int serve(struct running *r)
{
	for (;;) {
		give_sign_of_life(r);
		int taken = wait_signal(r);
		if (taken == SIGHUP)
			reload(r);
		else if (taken != 0)
			return taken;
	}
}

static void on_impatience(int signal_number)
{
	static const char late[] = "error: the stop took too long, exiting\n";
	if (signal_number != SIGALRM)
		_exit(EXIT_INTERRUPTED);
	if (write(STDERR_FILENO, late, sizeof(late) - 1) < 0)
		_exit(EXIT_FAILED);
	_exit(EXIT_FAILED);
}

/* From here on a second SIGTERM or SIGINT ends the process at once, and so does the clock. Everything the services keep survives that. */
static void arm_impatience(void)
{
	const struct sigaction action = {.sa_handler = on_impatience};
	const struct itimerval limit = {.it_value = {.tv_sec = STOP_MS / 1000, .tv_usec = STOP_MS % 1000 * 1000L}};
	sigset_t taken;
	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGINT);
	sigaddset(&taken, SIGALRM);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &limit, NULL);
	pthread_sigmask(SIG_UNBLOCK, &taken, NULL);
}

/* Requests end while what they wait for still works; only then does the background work stop. */
static void stop(struct running *r, int signal_number)
{
	sd_notify(0, "STOPPING=1\nSTATUS=answering the last requests");
	log_info("stopping", LOG_S("signal", signal_number == SIGINT ? "SIGINT" : "SIGTERM"));
	arm_impatience();
	int64_t began = clock_mono_ms();
	bool drained = http_server_drain(r->server, DRAIN_MS);
	if (r->daemon->quiesce)
		r->daemon->quiesce(r->state);
	http_server_stop(r->server, 0);
	r->daemon->stop(r->state);
	if (!drained)
		log_warn("connections were cut", LOG_I("waited_ms", DRAIN_MS));
	log_info("stopped", LOG_I("took_ms", clock_mono_ms() - began));
}

bool daemon_end_asked(void)
{
	sigset_t waiting;
	return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1);
}

int daemon_run(const struct daemon *d, void *state, struct invocation *in)
{
	struct running r = {.daemon = d, .state = state, .in = in};
	struct error err;
	prepare_process(&r);
	if (!daemon_log_open(d->service, in, &err))
		return program_fail(in, &err) == EXIT_USAGE ? EXIT_USAGE : EXIT_FAILED;
	sd_notify(0, "STATUS=starting");
	if (!crypto_start(&err) || !daemon_check(in, &err))
		return refuse_start(&r, &err);
	if (!start_server(&r, &err)) {
		d->stop(state);
		if (err.code != ERR_INTERRUPTED)
			return refuse_start(&r, &err);
		log_info("stopped before it served", LOG_S("why", err.message));
		return EXIT_DONE;
	}
	if (d->serving)
		d->serving(state, r.server);
	log_info("listening", LOG_S("address", http_server_address(r.server)), LOG_S("version", tana_version()), LOG_S("commit", tana_commit()),
		 LOG_I("pid", getpid()));
	start_watchdog(&r);
	say_ready(&r);
	stop(&r, serve(&r));
	return EXIT_DONE;
}
