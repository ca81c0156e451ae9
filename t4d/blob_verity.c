/*
 * fs-verity (Linux, Documentation/filesystems/fsverity.rst), where the file system has it: a sealed file cannot be written any more, and
 * the kernel checks each page that it reads from the disk, so that decay is noticed at any later read and not only at the next round of
 * the scrubber. The scrubber seals, before it hashes: what it found good is what is sealed. Uploads do not pay for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "blob_private.h"

enum { VERITY_BLOCK = 4096 };
static const char probe_name[] = "probe-verity";

static bool seal(int fd)
{
	const struct fsverity_enable_arg how = {.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = VERITY_BLOCK};
	return ioctl(fd, FS_IOC_ENABLE_VERITY, &how) == 0;
}

bool verity_probe(const struct blob_store *s)
{
	int fd = openat(s->tmp_fd, probe_name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, BLOB_MODE);
	bool there = fd >= 0 && write(fd, "x", 1) == 1;
	if (fd >= 0)
		(void)close(fd); /* a file that is open for writing is not sealed */
	fd = there ? openat(s->tmp_fd, probe_name, O_RDONLY | O_CLOEXEC) : -1;
	there = fd >= 0 && seal(fd);
	if (fd >= 0)
		(void)close(fd);
	(void)unlinkat(s->tmp_fd, probe_name, 0);
	return there;
}

void verity_seal(struct blob_store *s, int fd)
{
	if (!atomic_load(&s->verity) || seal(fd) || errno == EEXIST) /* sealed before */
		return;
	if (errno == ETXTBSY) /* open for writing: by whomever, it is looked at again in the next round */
		return;
	log_warn("blobs are not sealed with fs-verity any more", LOG_S("why", strerror(errno)));
	atomic_store(&s->verity, false);
}

bool blob_store_seals(const struct blob_store *s)
{
	return atomic_load(&s->verity);
}
