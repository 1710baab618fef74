/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * When cycles begin.  All together would be a burst of requests, and each at
 * its own time would ask about the regions that they share again and again: so
 * failovers that look at the same make small groups, whose cycles begin at
 * once, and the groups are spread over the interval.
 */

#define MATES_MAX 8

/* What two failovers share, the more the nearer. */
static int
spread_order(const void *a, const void *b)
{
	const struct failover *const *one = a, *const *other = b;
	const struct failover_conf *x = (*one)->conf, *y = (*other)->conf;
	int r, side;

	r = strcmp(x->project, y->project);
	for (side = LOCAL; r == 0 && side < SIDES; side++)
		r = strcmp(x->region[side], y->region[side]);
	if (r == 0)
		r = strcmp(x->router_project, y->router_project);
	for (side = LOCAL; r == 0 && side < SIDES; side++)
		r = strcmp(x->router[side], y->router[side]);
	return (r != 0 ? r : (x->index > y->index) - (x->index < y->index));
}

/* Can one list of services serve both? */
static bool
spread_shares(const struct failover *one, const struct failover *other)
{
	const struct failover_conf *x = one->conf, *y = other->conf;
	int i, j;

	if (strcmp(x->project, y->project) != 0)
		return (false);
	for (i = LOCAL; i < SIDES; i++)
		for (j = LOCAL; j < SIDES; j++)
			if (strcmp(x->region[i], y->region[j]) == 0)
				return (true);
	return (false);
}

/*
 * Make groups of the failovers: the mates of each are in a ring.  Each gets the
 * time of its first cycle, in milliseconds from the start.
 */
void
spread_failovers(struct failover *failovers, size_t count)
{
	struct failover **list, *first = NULL;
	size_t group = 0, groups = 0, i, n = 0;

	list = calloc(count + 1, sizeof(*list));
	if (list == NULL)
		fatal("%s", __func__);
	for (i = 0; i < count; i++)
		list[i] = &failovers[i];
	qsort(list, count, sizeof(*list), spread_order);
	for (i = 0; i < count; i++) {
		if (n == 0 || n == MATES_MAX ||
		    !spread_shares(first, list[i])) {
			first = list[i];
			groups++;
			n = 0;
		}
		n++;
		list[i]->mate = first;
		if (first != list[i])
			list[i - 1]->mate = list[i];
	}
	for (i = 0; i < count; i++) {
		list[i]->first_cycle = list[i]->conf->policy.interval *
		    (int64_t)group / (int64_t)groups;
		if (list[i]->mate != list[i + 1]) /* the last of its group */
			group++;
	}
	free(list);
}
