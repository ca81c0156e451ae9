#include "jobs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mem.h"

struct job {
	struct job *next;
	job_fn *fn;
	void *ctx;
};
struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t come;
	struct job *first, **last;
	bool ends;
	int count;
	pthread_t threads[];
};

static struct job *next_job(struct jobs *j)
{
	pthread_mutex_lock(&j->lock);
	while (!j->first && !j->ends)
		pthread_cond_wait(&j->come, &j->lock);
	struct job *job = j->first;
	if (job)
		j->first = job->next;
	if (!j->first)
		j->last = &j->first;
	pthread_mutex_unlock(&j->lock);
	return job;
}

static void *jobs_main(void *arg)
{
	struct job *job;
	while ((job = next_job(arg))) {
		job->fn(job->ctx);
		free(job);
	}
	return NULL;
}

struct jobs *jobs_start(int threads)
{
	struct jobs *j = xcalloc(1, sizeof(*j) + (size_t)threads * sizeof(j->threads[0]));
	j->last = &j->first;
	invariant(pthread_mutex_init(&j->lock, NULL) == 0 && pthread_cond_init(&j->come, NULL) == 0);
	for (; j->count < threads; j->count++) {
		int rc = pthread_create(&j->threads[j->count], NULL, jobs_main, j);
		if (rc != 0)
			fatal("cannot start a thread for long work: %s", strerror(rc));
		pthread_setname_np(j->threads[j->count], "job");
	}
	return j;
}

void jobs_run(struct jobs *j, job_fn *fn, void *ctx)
{
	struct job *job = xcalloc(1, sizeof(*job));
	job->fn = fn;
	job->ctx = ctx;
	pthread_mutex_lock(&j->lock);
	*j->last = job;
	j->last = &job->next;
	pthread_cond_signal(&j->come);
	pthread_mutex_unlock(&j->lock);
}

void jobs_stop(struct jobs *j)
{
	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	j->ends = true;
	pthread_cond_broadcast(&j->come);
	pthread_mutex_unlock(&j->lock);
	for (int i = 0; i < j->count; i++)
		pthread_join(j->threads[i], NULL);
	pthread_cond_destroy(&j->come);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
