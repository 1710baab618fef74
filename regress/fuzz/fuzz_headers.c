/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * Header lines of an answer, one a line, as libcurl gives them out, and what
 * is read from them: how long to wait, by Retry-After and by Ratelimit.
 */

#include "../../common/http_curl.c"

#include "backoff.h"
#include "budget.h"
#include "fuzz.h"

#define WALL INT64_C(1790000000)

static void
nothing(evutil_socket_t fd __unused, short what __unused, void *arg __unused)
{
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct budget budget = { 0 };
	struct slot slot = { 0 };
	char *text, *line, *next;
	int64_t wait, until;

	if (http.rest == NULL) {
		http.base = event_base_new();
		http.rest = evtimer_new(http.base, nothing, NULL);
	}
	next = text = take_text(&in);
	while ((line = strsep(&next, "\n")) != NULL)
		if (header_cb(line, 1, strlen(line), &slot) != strlen(line))
			break;
	wait = retry_after(slot.retry_after, WALL);
	HOLDS(wait >= -1 && wait <= RETRY_AFTER_MAX);
	budget_answer(&budget, 1000, 200, wait, slot.ratelimit);
	if (budget_ask(&budget, 1000, true, &until) != BUDGET_MAY)
		HOLDS(until > 1000 && until <= 1000 + BUDGET_WINDOW);
	budget_answer(&budget, 1000, 429, wait, slot.ratelimit);
	(void)budget_ask(&budget, 1000, true, &until);
	HOLDS(until <= 1000 + RETRY_AFTER_MAX);
	(void)curl_getdate(slot.date, NULL);
	free(text);
	return (0);
}
