/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <ctype.h>
#include <string.h>

#include "budget.h"

/*
 * How often an account at Cloudflare may be called.  Who calls too often is
 * refused everything for five minutes, and with him all who call in the same
 * user's name.  Pure: nothing here does I/O, and the time is given.
 */

#define STOP_MAX (3600 * 1000) /* a header that says more is not believed */

/* When the n'th call, counted from the last one, was made; 0: there were not
 * so many. */
static int64_t
nth_last(const struct budget *budget, size_t n)
{
	return (budget->call[(budget->next + BUDGET_CALLS - n) % BUDGET_CALLS]);
}

/* Were there n calls in the window before now?  Then until says when there
 * will be one less. */
static bool
spent(const struct budget *budget, int64_t now, size_t n, int64_t *until)
{
	int64_t when = nth_last(budget, n);

	if (when == 0 || now - when >= BUDGET_WINDOW)
		return (false);
	*until = when + BUDGET_WINDOW;
	return (true);
}

/*
 * May the account be called now?  look: the call is not part of a write.  If
 * it may not, until says from when on it may.
 */
enum budget_why
budget_ask(const struct budget *budget, int64_t now, bool look, int64_t *until)
{
	if (now < budget->until) {
		*until = budget->until;
		return (budget->why);
	}
	if (spent(budget, now, BUDGET_CALLS, until))
		return (BUDGET_SPENT);
	if (look && spent(budget, now, BUDGET_LOOKS, until))
		return (BUDGET_RESERVE);
	*until = now;
	return (BUDGET_MAY);
}

/* The account is called. */
void
budget_spend(struct budget *budget, int64_t now)
{
	budget->call[budget->next] = now;
	budget->next = (budget->next + 1) % BUDGET_CALLS;
}

static void
stop(struct budget *budget, int64_t until, enum budget_why why)
{
	if (until <= budget->until)
		return;
	budget->until = until;
	budget->why = why;
}

/* The value of a parameter such as ";r=50", or -1; p stands after the name. */
static int64_t
number(const char *p)
{
	int64_t value = 0;

	if (!isdigit((unsigned char)*p))
		return (-1);
	for (; isdigit((unsigned char)*p); p++)
		if (value <= STOP_MAX)
			value = value * 10 + (*p - '0');
	return (value);
}

/*
 * How long nothing may be called, in milliseconds, according to one member of
 * a Ratelimit header, such as "default";r=0;t=30: r calls are left for t
 * seconds.  *text is set to the member after it.
 */
static int64_t
member_wait(const char **text)
{
	int64_t left = -1, seconds = -1;
	bool quoted = false;
	const char *p;

	for (p = *text; *p != '\0' && (quoted || *p != ','); p++) {
		if (*p == '"')
			quoted = !quoted;
		if (quoted || *p != ';')
			continue;
		p += strspn(p, "; \t");
		if (strncmp(p, "r=", 2) == 0)
			left = number(p + 2);
		else if (strncmp(p, "t=", 2) == 0)
			seconds = number(p + 2);
		p--;
	}
	*text = *p == ',' ? p + 1 : p;
	return (left == 0 && seconds > 0 ? seconds * 1000 : 0);
}

/*
 * The account has answered: status, what Retry-After asked for in milliseconds
 * (-1: nothing), and the Ratelimit header's text.
 */
void
budget_answer(struct budget *budget, int64_t now, long status,
    int64_t retry_after, const char *ratelimit)
{
	int64_t wait;

	if (status == 429) {
		if (retry_after < 0)
			retry_after = BUDGET_WINDOW;
		if (retry_after > STOP_MAX)
			retry_after = STOP_MAX;
		stop(budget, now + retry_after, BUDGET_STOPPED);
	}
	while (*ratelimit != '\0') {
		wait = member_wait(&ratelimit);
		if (wait > BUDGET_WINDOW)
			wait = BUDGET_WINDOW;
		stop(budget, now + wait, BUDGET_LEFT);
	}
}
