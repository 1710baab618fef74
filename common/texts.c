/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "texts.h"

static int
order(const void *a, const void *b)
{
	const char *const *one = a, *const *other = b;

	return (strcmp(*one, *other));
}

static bool
begins_with(const char *text, const char *beginning)
{
	return (strncmp(text, beginning, strlen(beginning)) == 0);
}

/* Does this begin with one of the sorted texts?  If none of them begins with
 * another, only the last one that is not greater can be it. */
static bool
begins_with_one(const char *text, const char **texts, size_t n)
{
	size_t low = 0, high = n, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (strcmp(texts[middle], text) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return (low > 0 && begins_with(text, texts[low - 1]));
}

/*
 * Does one of the n texts contain another one?  They are sorted here; the time
 * is that of as many searches among them as they have bytes.
 */
bool
texts_overlap(const char **texts, size_t n)
{
	const char *p;
	size_t i;

	qsort(texts, n, sizeof(*texts), order);
	for (i = 1; i < n; i++)
		if (begins_with(texts[i], texts[i - 1]))
			return (true);
	for (i = 0; i < n; i++)
		for (p = texts[i]; *p != '\0'; p++)
			if (p > texts[i] && begins_with_one(p, texts, n))
				return (true);
	return (false);
}
