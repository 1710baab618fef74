/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "http_room.h"

/*
 * Requests that wait for their turn: writes first, then what is urgent, then
 * the rest.  Of each kind, those who have any take turns, so that nobody waits
 * behind all that somebody else wants to know.
 */

static enum http_order
order_of(const struct http_call *call)
{
	if (call->write)
		return (HTTP_WRITES);
	return (call->line->urgent ? HTTP_URGENT : HTTP_READS);
}

void
lines_init(void)
{
	int order;

	for (order = 0; order < HTTP_ORDERS; order++)
		TAILQ_INIT(&http.lines[order]);
	http_line_init(&http.reads, false);
	http_line_init(&http.writes, false);
}

/* To be called once before requests may name it; nobody may release it before
 * they have ended. */
void
http_line_init(struct http_line *line, bool urgent)
{
	TAILQ_INIT(&line->waiting);
	line->urgent = urgent;
}

/* The call waits, behind those of its line. */
void
line_join(struct http_call *call)
{
	struct http_line *line = call->line;

	if (TAILQ_EMPTY(&line->waiting))
		TAILQ_INSERT_TAIL(&http.lines[order_of(call)], line, entry);
	TAILQ_INSERT_TAIL(&line->waiting, call, entry);
}

/* The call waits no more. */
void
line_leave(struct http_call *call)
{
	struct http_line *line = call->line;

	TAILQ_REMOVE(&line->waiting, call, entry);
	if (TAILQ_EMPTY(&line->waiting))
		TAILQ_REMOVE(&http.lines[order_of(call)], line, entry);
}

/* The first of a line whose bucket is not empty.  The shortest wait of those
 * before it is kept. */
static struct http_call *
first_ready(struct http_line *line, int64_t now, int64_t *wait)
{
	struct http_call *call;
	int64_t ms;

	TAILQ_FOREACH(call, &line->waiting, entry) {
		ms = call->bucket != NULL ? bucket_wait(call->bucket, now) : 0;
		if (ms == 0)
			break;
		call->limited = true;
		if (ms < *wait)
			*wait = ms;
	}
	return (call);
}

/*
 * The call whose turn it is, or NULL; its line is the last one then.  Where all
 * wait for nothing but their buckets wait is lowered to the milliseconds until
 * the first has waited enough.
 */
struct http_call *
lines_next(enum http_order order, int64_t now, int64_t *wait)
{
	struct http_lines *lines = &http.lines[order];
	struct http_line *line;
	struct http_call *call;

	TAILQ_FOREACH(line, lines, entry) {
		call = first_ready(line, now, wait);
		if (call == NULL)
			continue;
		TAILQ_REMOVE(lines, line, entry);
		TAILQ_INSERT_TAIL(lines, line, entry);
		return (call);
	}
	return (NULL);
}

/* Does any call wait? */
bool
lines_waiting(void)
{
	int order;

	for (order = 0; order < HTTP_ORDERS; order++)
		if (!TAILQ_EMPTY(&http.lines[order]))
			return (true);
	return (false);
}

/* For each call that waits, which may leave its line then. */
void
lines_each(void (*visit)(struct http_call *, int64_t), int64_t now)
{
	struct http_line *line, *next_line;
	struct http_call *call, *next;
	int order;

	for (order = 0; order < HTTP_ORDERS; order++) {
		for (line = TAILQ_FIRST(&http.lines[order]); line != NULL;
		     line = next_line) {
			next_line = TAILQ_NEXT(line, entry);
			for (call = TAILQ_FIRST(&line->waiting); call != NULL;
			     call = next) {
				next = TAILQ_NEXT(call, entry);
				visit(call, now);
			}
		}
	}
}
