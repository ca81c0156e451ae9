/* Work that may take long, on threads of its own: hashing large blobs, walking directories, asking other services. First come, first served. */
#ifndef TANA_BASE_JOBS_H
#define TANA_BASE_JOBS_H

struct jobs;
typedef void job_fn(void *ctx);

struct jobs *jobs_start(int threads);
/* Never waits. Thread-safe. */
void jobs_run(struct jobs *j, job_fn *fn, void *ctx);
/* Does what is left, ends the threads, frees. NULL is allowed. */
void jobs_stop(struct jobs *j);

#endif
