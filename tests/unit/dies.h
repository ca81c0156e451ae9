/* For broken invariants: runs a call in a child process and says whether it ended by abort(). Its complaint goes to /dev/null. */
#ifndef TANA_TESTS_DIES_H
#define TANA_TESTS_DIES_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static inline bool dies(void (*call)(void *arg), void *arg)
{
	pid_t child = fork();
	if (child == 0) {
		const struct rlimit no_core = {0, 0};
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		call(arg);
		_exit(0);
	}
	int status = 0;
	return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
