/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "log.h"

/*
 * One write at a time to a router: the last writer of an array wins, so nobody
 * else of us may write between our reading and our writing.  First come, first
 * served.
 */

struct lock {
	TAILQ_ENTRY(lock) entry;
	char *key;
	TAILQ_HEAD(, job) jobs; /* the first one holds it */
};

static TAILQ_HEAD(, lock) locks = TAILQ_HEAD_INITIALIZER(locks);

/*
 * Have cb called as soon as the job holds the lock of that name: now, if it is
 * free.  A job holds one lock at a time.
 */
void
lock_take(struct job *job, const char *key, job_cb cb)
{
	struct lock *lock;

	TAILQ_FOREACH(lock, &locks, entry)
		if (strcmp(lock->key, key) == 0)
			break;
	if (lock == NULL) {
		lock = calloc(1, sizeof(*lock));
		if (lock == NULL || (lock->key = strdup(key)) == NULL)
			fatal("lock");
		TAILQ_INIT(&lock->jobs);
		TAILQ_INSERT_TAIL(&locks, lock, entry);
	}
	job->lock = lock;
	job->lock_cb = cb;
	TAILQ_INSERT_TAIL(&lock->jobs, job, lock_entry);
	if (TAILQ_FIRST(&lock->jobs) == job)
		cb(job);
}

/* Does the job stand in a queue? */
bool
lock_waits(const struct job *job)
{
	return (job->lock != NULL && TAILQ_FIRST(&job->lock->jobs) != job);
}

/* Let the lock go, if the job has one; the next in the queue goes on. */
void
lock_release(struct job *job)
{
	struct lock *lock = job->lock;
	struct job *next;
	bool held;

	if (lock == NULL)
		return;
	job->lock = NULL;
	held = TAILQ_FIRST(&lock->jobs) == job;
	TAILQ_REMOVE(&lock->jobs, job, lock_entry);
	next = TAILQ_FIRST(&lock->jobs);
	if (next != NULL) {
		if (held)
			next->lock_cb(next);
		return;
	}
	TAILQ_REMOVE(&locks, lock, entry);
	free(lock->key);
	free(lock);
}
