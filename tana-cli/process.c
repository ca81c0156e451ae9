#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli.h"

enum { POLL_MS = 20, INTERRUPT_POLL_MS = 200, STAT_SIZE = 1024 };

/*
 * Locks of the open file description (Linux): they pass to the child through fork and exec, go when its last descriptor does, and can be asked
 * about without being taken, so that `tana status` never stands in the way of `tana start`.
 */
static struct flock whole_file(void)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

/* Opens and locks; -1 with *held when another has it. */
static int take_lock(const char *path, bool *held)
{
	struct flock want = whole_file();
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	*held = false;
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &want) == 0)
		return fd;
	*held = errno == EAGAIN || errno == EACCES;
	close(fd);
	return -1;
}

static int take_lock_or_say(const char *path, struct error *err)
{
	bool held;
	int fd = take_lock(path, &held);
	if (fd < 0 && held)
		error_set(err, ERR_WRONG_STATE, "It is running already (%s is locked).", path);
	else if (fd < 0)
		error_errno(err, ERR_IO, errno, "cannot lock %s", path);
	return fd;
}

bool process_lock_self(const char *lock_path, struct error *err)
{
	/* The descriptor stays open, and with it the lock, until the process ends; children close it at exec. */
	return take_lock_or_say(lock_path, err) >= 0;
}

bool process_runs(const char *lock_path)
{
	struct flock ask = whole_file();
	int fd = open(lock_path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool held = fcntl(fd, F_OFD_GETLK, &ask) == 0 && ask.l_type != F_UNLCK;
	close(fd);
	return held;
}

/* In the child, between fork and exec: only async-signal-safe calls. Reports errno through the pipe. */
static void become(const struct process_plan *plan, char *const *environment, int lock, int log, int report, pid_t parent)
{
	int null = open("/dev/null", O_RDWR);
	bool ok = null >= 0 && dup2(null, STDIN_FILENO) >= 0;
	/* A group of its own also for a child: Ctrl-C is for us, who then ask it to stop. */
	if (plan->bound_to_us)
		ok = ok && setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent;
	else
		ok = ok && setsid() >= 0;
	if (ok && log >= 0)
		ok = dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0;
	sigset_t none;
	sigemptyset(&none);
	ok = ok && sigprocmask(SIG_SETMASK, &none, NULL) == 0 && fcntl(lock, F_SETFD, 0) == 0;
	if (ok)
		execve(plan->binary, (char *const *)(uintptr_t)plan->argv, environment);
	int why = errno;
	if (write(report, &why, sizeof why) < 0)
		_exit(126);
	_exit(127);
}

/* The present environment with the plan's variables in place of those of the same name. The strings are borrowed. */
static char **merged_environment(const char *const *more)
{
	size_t n = 0, extra = 0;
	while (environ[n])
		n++;
	while (more && more[extra])
		extra++;
	char **out = calloc(n + extra + 1, sizeof *out);
	if (!out)
		abort();
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		bool replaced = false;
		for (size_t j = 0; j < extra; j++) {
			size_t name = strcspn(more[j], "=") + 1;
			replaced = replaced || strncmp(environ[i], more[j], name) == 0;
		}
		if (!replaced)
			out[k++] = environ[i];
	}
	for (size_t j = 0; j < extra; j++)
		out[k++] = (char *)(uintptr_t)more[j];
	return out;
}

/* Waits until the child has become the program, or said why not. */
static int exec_result(int fd)
{
	int why = 0;
	ssize_t n;
	do
		n = read(fd, &why, sizeof why);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof why ? why : 0;
}

static bool start_child(const struct process_plan *plan, int lock, int log, pid_t *pid, struct error *err)
{
	int report[2];
	if (pipe2(report, O_CLOEXEC) != 0)
		return error_errno(err, ERR_IO, errno, "cannot make a pipe");
	char **environment = merged_environment(plan->environment);
	pid_t parent = getpid();
	*pid = fork();
	if (*pid == 0)
		become(plan, environment, lock, log, report[1], parent);
	int why = *pid < 0 ? errno : 0;
	close(report[1]);
	if (*pid > 0)
		why = exec_result(report[0]);
	close(report[0]);
	free(environment);
	return why == 0 || error_errno(err, why == ENOENT ? ERR_NOT_FOUND : ERR_IO, why, "cannot run %s", plan->binary);
}

bool process_spawn(const struct process_plan *plan, pid_t *pid, struct error *err)
{
	int lock = take_lock_or_say(plan->lock_path, err), log = -1;
	if (lock < 0)
		return false;
	bool ok = true;
	if (plan->log_path) {
		log = open(plan->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		ok = log >= 0 || error_errno(err, ERR_IO, errno, "cannot open %s", plan->log_path);
	}
	ok = ok && start_child(plan, lock, log, pid, err);
	close(lock); /* the child holds it on */
	if (log >= 0)
		close(log);
	return ok;
}

/* Field 22 of /proc/PID/stat; the name in field 2 may hold blanks and brackets, so counting begins after its last bracket. */
int64_t process_start_ticks(pid_t pid)
{
	char path[64], text[STAT_SIZE];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = pid > 0 ? fopen(path, "re") : NULL;
	if (!f)
		return 0;
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	const char *p = strrchr(text, ')');
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p ? strtoll(p, NULL, 10) : 0;
}

int64_t process_age_ms(pid_t pid)
{
	int64_t ticks = process_start_ticks(pid);
	struct timespec boot;
	long per_second = sysconf(_SC_CLK_TCK);
	if (ticks == 0 || per_second <= 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
		return 0;
	return (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000 - ticks * 1000 / per_second;
}

bool process_signal(pid_t pid, int64_t start_ticks, int number)
{
	return start_ticks != 0 && process_start_ticks(pid) == start_ticks && kill(pid, number) == 0;
}

bool process_wait_gone(const char *lock_path, int64_t timeout_ms)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	while (process_runs(lock_path)) {
		if (clock_mono_ms() >= until || !cli_sleep(POLL_MS))
			return false;
	}
	return true;
}

struct running {
	const char *const *argv;
	const char *const *environment; /* NULL: ours */
	bool quiet;                     /* its errors are thrown away, and it reads nothing */
};

/* In the child: only async-signal-safe calls. */
static void become_program(const struct running *r, char **environment, int output, int report)
{
	int null = r->quiet ? open("/dev/null", O_RDWR) : -1;
	bool ready = (output < 0 || dup2(output, STDOUT_FILENO) >= 0) &&
		     (!r->quiet || (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0));
	if (environment)
		environ = environment;
	if (ready)
		execvp(r->argv[0], (char *const *)(uintptr_t)r->argv);
	int why = errno;
	_exit(write(report, &why, sizeof why) < 0 ? 126 : 127);
}

struct child {
	pid_t pid;
	int output; /* what it prints; -1: not asked for */
};

static bool start_program(const struct running *r, bool piped, struct child *out, struct error *err)
{
	int report[2], output[2] = {-1, -1};
	if (pipe2(report, O_CLOEXEC) != 0)
		return error_errno(err, ERR_IO, errno, "cannot make a pipe");
	if (piped && pipe2(output, O_CLOEXEC) != 0) {
		error_errno(err, ERR_IO, errno, "cannot make a pipe");
		close(report[0]);
		close(report[1]);
		return false;
	}
	char **environment = r->environment ? merged_environment(r->environment) : NULL;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		become_program(r, environment, output[1], report[1]);
	int why = pid < 0 ? errno : 0;
	close(report[1]);
	if (piped)
		close(output[1]);
	if (pid > 0)
		why = exec_result(report[0]);
	close(report[0]);
	free(environment);
	*out = (struct child){pid, output[0]};
	if (!why)
		return true;
	if (piped)
		close(output[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return error_errno(err, why == ENOENT ? ERR_NOT_FOUND : ERR_IO, why, "cannot run %s", r->argv[0]);
}

static void end_program(const struct child *c, int *status)
{
	if (c->output >= 0)
		close(c->output);
	while (waitpid(c->pid, status, 0) < 0 && errno == EINTR)
		continue;
}

static bool run_program(const struct running *r, size_t max, struct buf *out, int *status, struct error *err)
{
	struct child child = {.pid = 0, .output = -1};
	char block[4096];
	ssize_t n;
	size_t start = out ? out->len : 0;
	if (!start_program(r, out != NULL, &child, err))
		return false;
	while (out && ((n = read(child.output, block, sizeof block)) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0 && out->len - start <= max)
			buf_put(out, block, (size_t)n);
	end_program(&child, status);
	return !out || out->len - start <= max || error_set(err, ERR_TOO_LARGE, "%s printed more than %zu bytes.", r->argv[0], max);
}

bool process_capture(const char *const *argv, size_t max, struct buf *out, int *status, struct error *err)
{
	return run_program(&(struct running){.argv = argv, .quiet = true}, max, out, status, err);
}

bool process_run(const char *const *argv, const char *const *environment, size_t max, struct buf *out, int *status, struct error *err)
{
	return run_program(&(struct running){.argv = argv, .environment = environment}, max, out, status, err);
}

static void hand_on(struct buf *line, const char *text, size_t n, process_line *take, void *ctx)
{
	for (const char *end = text + n, *p; text < end; text = p + 1) {
		p = memchr(text, '\n', (size_t)(end - text));
		buf_put(line, text, (size_t)((p ? p : end) - text));
		if (!p)
			return;
		take(ctx, buf_str(line));
		buf_clear(line);
	}
}

bool process_lines(const char *const *argv, process_line *take, void *ctx, int *status, struct error *err)
{
	struct child child = {.pid = 0, .output = -1};
	struct buf line = {0};
	char block[4096];
	ssize_t n = 1;
	if (!start_program(&(struct running){.argv = argv}, true, &child, err))
		return false;
	/* Asked now and then, since a signal may come just before the waiting begins. */
	struct pollfd waits = {.fd = child.output, .events = POLLIN};
	while (!cli_interrupted && n > 0)
		if (poll(&waits, 1, INTERRUPT_POLL_MS) > 0 && ((n = read(child.output, block, sizeof block)) > 0))
			hand_on(&line, block, (size_t)n, take, ctx);
	if (cli_interrupted && child.pid > 0)
		kill(child.pid, SIGTERM);
	if (line.len > 0)
		take(ctx, buf_str(&line));
	buf_free(&line);
	end_program(&child, status);
	return true;
}
