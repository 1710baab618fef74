/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "bucket.h"

/* A request, in units of the level: rate of them come in a millisecond. */
#define UNIT 1000000

static void bucket_fill(struct bucket *, int64_t);

/*
 * Use these limits from now on.  A bucket that is all zero starts full; one
 * that has been in use keeps what it has, as far as there is room.
 */
void
bucket_set(struct bucket *bucket, uint32_t rate, uint32_t burst, int64_t now)
{
	if (bucket->burst == 0)
		bucket->level = (int64_t)burst * UNIT;
	else
		bucket_fill(bucket, now);
	bucket->rate = rate;
	bucket->burst = burst;
	bucket->at = now;
	if (bucket->level > (int64_t)burst * UNIT)
		bucket->level = (int64_t)burst * UNIT;
}

/* Take what one request needs; false: it is not there, and nothing is taken. */
bool
bucket_take(struct bucket *bucket, int64_t now)
{
	bucket_fill(bucket, now);
	if (bucket->level < UNIT)
		return (false);
	bucket->level -= UNIT;
	return (true);
}

/* Milliseconds until there is enough for a request; 0: there is now. */
int64_t
bucket_wait(struct bucket *bucket, int64_t now)
{
	bucket_fill(bucket, now);
	if (bucket->level >= UNIT)
		return (0);
	if (bucket->rate == 0)
		return (INT64_MAX);
	return ((UNIT - bucket->level + bucket->rate - 1) / bucket->rate);
}

/* Add what has come since the last time; what does not fit in is lost. */
static void
bucket_fill(struct bucket *bucket, int64_t now)
{
	int64_t passed, room;

	passed = now - bucket->at;
	if (passed <= 0)
		return;
	bucket->at = now;
	room = (int64_t)bucket->burst * UNIT - bucket->level;
	/* Not by the product of both: that can be too large. */
	if (bucket->rate > 0 && passed > room / bucket->rate)
		bucket->level += room;
	else
		bucket->level += passed * bucket->rate;
}
