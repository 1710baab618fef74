/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_BUCKET_H
#define MTGCPD_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A token bucket: burst requests at once, and rate of them in 1000 seconds in
 * the long run.  It has no clock: whoever asks says what time it is, in
 * milliseconds of a clock that is never set.
 */
struct bucket {
	uint32_t rate;	/* requests in 1000 seconds */
	uint32_t burst; /* requests */
	int64_t level;	/* millionths of a request */
	int64_t at;	/* when that was the level */
};

/* bucket.c */
void bucket_set(struct bucket *, uint32_t rate, uint32_t burst, int64_t now);
bool bucket_take(struct bucket *, int64_t now);
int64_t bucket_wait(struct bucket *, int64_t now);

#endif /* MTGCPD_BUCKET_H */
