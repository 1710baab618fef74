/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stddef.h>
#include <string.h>

#include "child.h"
#include "tally.h"

#define KINDS_MAX   64 /* of requests that are told apart */
#define AHEAD_MAX   (INT64_C(24) * 24 * 3600 * 1000)
#define STATUS_LAST 599

const uint32_t tally_bounds[CALL_BUCKETS - 1] = { 5, 10, 25, 50, 100, 250, 500,
	1000, 2500, 5000, 10000, 30000 };

static struct {
	struct msg_calls kind[KINDS_MAX];
	size_t count;
} tally;

/* The row of that kind; where there is no room for another, the last one. */
static struct msg_calls *
tally_row(enum called api, uint32_t method, int32_t status)
{
	struct msg_calls *row;

	for (row = tally.kind; row < tally.kind + tally.count; row++)
		if (row->api == api && row->method == method &&
		    row->status == status)
			return (row);
	if (tally.count == KINDS_MAX)
		return (row - 1);
	tally.count++;
	memset(row, 0, sizeof(*row));
	row->api = api;
	row->method = method;
	row->status = status;
	return (row);
}

/*
 * Count a request: its HTTP method (enum http_method), the status of the
 * answer, 0 where none came, and the milliseconds that it took.
 */
void
tally_call(enum called api, uint32_t method, int32_t status, int64_t took)
{
	struct msg_calls *row;
	size_t i;

	if (status < 0 || status > STATUS_LAST)
		status = 0;
	if (took < 0)
		took = 0;
	row = tally_row(api, method, status);
	for (i = 0; i < CALL_BUCKETS - 1; i++)
		if (took <= tally_bounds[i])
			break;
	row->count++;
	row->duration += (uint64_t)took;
	row->bucket[i]++;
}

/* A server's clock was so many milliseconds ahead of ours just now. */
void
tally_clock(enum called api, int64_t ahead)
{
	struct msg_calls *row;

	if (ahead > AHEAD_MAX)
		ahead = AHEAD_MAX;
	else if (ahead < -AHEAD_MAX)
		ahead = -AHEAD_MAX;
	for (row = tally.kind; row < tally.kind + tally.count; row++) {
		if (row->api != api)
			continue;
		row->skew_known = 1;
		row->skew = (int32_t)ahead;
	}
}

/* Tell what has been counted since the last time, and count anew. */
void
tally_drain(void (*tell)(const struct msg_calls *))
{
	size_t i;

	for (i = 0; i < tally.count; i++)
		tell(&tally.kind[i]);
	tally.count = 0;
}

static void
tally_message(const struct msg_calls *calls)
{
	child_send(IMSG_CALLS, 0, calls, sizeof(*calls));
}

/* Tell the parent what has been counted. */
void
tally_send(void)
{
	tally_drain(tally_message);
}
