/* Maps the control page at load time, before any thread runs. */
#define _GNU_SOURCE
#include "faults.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct fault_control *page;

__attribute__((constructor)) static void map_control(void)
{
	const char *path = getenv("TANA_SHIM_CONTROL");
	if (!path)
		return;
	/* The raw call: open() is one of those that the shim itself replaces. */
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		_exit(127);
	void *p = mmap(NULL, sizeof(struct fault_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		_exit(127);
	page = p;
}

struct fault_control *fault_control(void)
{
	return page;
}
