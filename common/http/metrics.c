#include "metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server_private.h"

void metric_write_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *type_text(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_GAUGE:
		return "gauge";
	}
	fatal("no such metric type: %d", (int)type);
}

static void write_value(const struct metric *m, size_t i, struct buf *out)
{
	int64_t v = atomic_load_explicit(&m->values[i], memory_order_relaxed);
	if (m->scale == 0)
		buf_put_int(out, v);
	else
		buf_printf(out, "%.15g", (double)v * m->scale);
	buf_putc(out, '\n');
}

void metric_write(struct buf *out, const struct metric *m)
{
	metric_write_head(out, m->name, type_text(m->type), m->help);
	if (!m->label) {
		buf_printf(out, "%s ", m->name);
		write_value(m, 0, out);
		return;
	}
	for (size_t i = 0; m->label_values[i]; i++) {
		buf_printf(out, "%s{%s=\"%s\"} ", m->name, m->label, m->label_values[i]);
		write_value(m, i, out);
	}
}

static void write_one(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	metric_write_head(out, name, type, help);
	buf_printf(out, "%s %.17g\n", name, value);
}

/* The beginning of a file of /proc, NUL-terminated; "" when it cannot be read. */
static void read_proc(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(out, 1, size - 1, f) : 0;
	out[n] = '\0';
	if (f)
		(void)fclose(f);
}

/* All and resident memory in bytes; false when /proc is not there. */
static bool memory_bytes(double *all, double *resident)
{
	char line[128], *end;
	read_proc("/proc/self/statm", line, sizeof(line));
	double page = (double)sysconf(_SC_PAGESIZE);
	*all = (double)strtoul(line, &end, 10) * page;
	*resident = (double)strtoul(end, &end, 10) * page;
	return *resident > 0;
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	if (!d)
		return -1;
	int n = -1; /* less the one that reads the directory */
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2; /* "." and ".." */
}

/* The start in clock ticks since boot: the 22nd field of /proc/self/stat, counted from behind the command, which may contain anything.
 * 0: not known. */
static int64_t start_ticks(void)
{
	char line[1024];
	read_proc("/proc/self/stat", line, sizeof(line));
	const char *p = strrchr(line, ')');
	for (int blanks = 0; p && blanks < 20; blanks++)
		p = strchr(p + 1, ' ');
	return p ? strtoll(p, NULL, 10) : 0;
}

/* Since the Unix epoch; worked out once, so that a wall clock that is set later does not move it. */
static double start_time_s(void)
{
	static _Atomic int64_t start_ms;
	int64_t ms = atomic_load_explicit(&start_ms, memory_order_relaxed);
	if (ms == 0) {
		struct timespec boot;
		int64_t ticks = start_ticks();
		if (ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
			return 0;
		int64_t up_ms = (int64_t)boot.tv_sec * 1000 + boot.tv_nsec / 1000000;
		ms = clock_wall_ms() - up_ms + ticks * 1000 / sysconf(_SC_CLK_TCK);
		atomic_store_explicit(&start_ms, ms, memory_order_relaxed);
	}
	return (double)ms / 1000;
}

void metric_write_process(struct buf *out)
{
	struct rusage use;
	if (getrusage(RUSAGE_SELF, &use) == 0)
		write_one(out, "process_cpu_seconds_total", "counter", "User and system CPU time spent.",
			  (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
				  (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6);
	double all, resident;
	if (memory_bytes(&all, &resident)) {
		write_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident);
		write_one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.", all);
	}
	int fds = open_descriptors();
	if (fds >= 0)
		write_one(out, "process_open_fds", "gauge", "Open file descriptors.", fds);
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		write_one(out, "process_max_fds", "gauge", "Most file descriptors that can be open.", (double)limit.rlim_cur);
	double start = start_time_s();
	if (start > 0)
		write_one(out, "process_start_time_seconds", "gauge", "When the process started, since the Unix epoch.", start);
}
