/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "prober.h"

/* Put a text into the set.  Returns false if it was there already. */
bool
names_add(struct names *names, const char *text)
{
	char **found, *copy;

	copy = strdup(text);
	if (copy == NULL)
		fatal("%s", __func__);
	found = tsearch(copy, &names->root, names_order);
	if (found == NULL)
		fatal("%s", __func__);
	if (*found != copy) {
		free(copy);
		return (false);
	}
	return (true);
}

void
names_clear(struct names *names)
{
	tdestroy(names->root, free);
	names->root = NULL;
}

/* Order of two texts, for qsort(3), bsearch(3) and tsearch(3). */
int
names_order(const void *a, const void *b)
{
	return (strcmp(a, b));
}
