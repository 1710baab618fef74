/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "prober.h"

/*
 * The groups of a region that are asked for their health.  Those that the last
 * list had are asked at once; the list of this cycle says which of them count,
 * and which are missing.  Nothing that it does not have is ever believed.
 */

static int kept_order(const void *, const void *);
static struct ask *ask_find(const struct asks *, const char *, const char *);
static struct ask *ask_new(struct asks *);

/* Begin with the groups that the last list had; they stay kept's. */
void
asks_begin(struct asks *asks, const struct kept *kept)
{
	struct ask *ask;
	size_t i;

	for (i = 0; i < kept->count; i++) {
		ask = ask_new(asks);
		ask->name = kept->group[i].service;
		ask->link = kept->group[i].link;
	}
	asks->guesses = kept->count;
}

/*
 * The list has this group of a service.  Returns what was asked about it, or is
 * to be asked: by whom it is bound, nobody else can bind it.
 */
struct ask *
asks_bind(struct asks *asks, struct service *service, size_t group)
{
	struct ask *ask;

	ask = ask_find(asks, service->name, service->group[group].link);
	if (ask == NULL || ask->service != NULL) {
		ask = ask_new(asks);
		ask->name = service->name;
		ask->link = service->group[group].link;
	}
	ask->service = service;
	ask->group = group;
	asks->bound++;
	return (ask);
}

/* The next one to ask; NULL: there is none yet.  Those that the whole list did
 * not have are left out. */
struct ask *
asks_next(struct asks *asks)
{
	struct ask *ask;

	for (; asks->next < asks->count; asks->next++) {
		ask = asks->ask[asks->next];
		if (!asks->whole || ask->service != NULL)
			return (ask);
	}
	return (NULL);
}

/* An answer came before the list, or, json being NULL, why it did not: it is
 * kept until the list says whether it counts. */
void
ask_keep(struct ask *ask, json_t *json, const char *why)
{
	ask->early = true;
	ask->answer = json_incref(json);
	if (json == NULL && (ask->why = strdup(why)) == NULL)
		fatal("%s", __func__);
}

/*
 * Have kept be the groups of a whole list.  That it is the one of before is the
 * rule, and costs nothing.  What it was before lives as long as the asks, which
 * have their names from there.
 */
void
asks_keep(struct asks *asks, struct kept *kept)
{
	struct kept_group *group;
	const struct ask *ask;
	size_t i, n = 0;

	if (asks->bound == asks->guesses && asks->count == asks->guesses)
		return;
	group = calloc(asks->bound + 1, sizeof(*group));
	if (group == NULL)
		fatal("%s", __func__);
	for (i = 0; i < asks->count; i++) {
		ask = asks->ask[i];
		if (ask->service == NULL)
			continue;
		group[n].service = strdup(ask->name);
		group[n].link = strdup(ask->link);
		if (group[n].service == NULL || group[n].link == NULL)
			fatal("%s", __func__);
		n++;
	}
	kept_clear(&asks->before);
	asks->before = *kept;
	kept->group = group;
	kept->count = n;
	qsort(group, n, sizeof(*group), kept_order);
}

/* Release all; the calls that ask have ended. */
void
asks_clear(struct asks *asks)
{
	size_t i;

	for (i = 0; i < asks->count; i++) {
		json_decref(asks->ask[i]->answer);
		free(asks->ask[i]->why);
		free(asks->ask[i]);
	}
	free(asks->ask);
	kept_clear(&asks->before);
	memset(asks, 0, sizeof(*asks));
}

void
kept_clear(struct kept *kept)
{
	size_t i;

	for (i = 0; i < kept->count; i++) {
		free(kept->group[i].service);
		free(kept->group[i].link);
	}
	free(kept->group);
	memset(kept, 0, sizeof(*kept));
}

static int
order(const char *service, const char *link, const char *other_service,
    const char *other_link)
{
	int r = strcmp(service, other_service);

	return (r != 0 ? r : strcmp(link, other_link));
}

static int
kept_order(const void *a, const void *b)
{
	const struct kept_group *one = a, *other = b;

	return (order(one->service, one->link, other->service, other->link));
}

/* The guesses are in the order of what was kept. */
static struct ask *
ask_find(const struct asks *asks, const char *service, const char *link)
{
	size_t low = 0, high = asks->guesses, middle;
	struct ask *ask;
	int r;

	while (low < high) {
		middle = (low + high) / 2;
		ask = asks->ask[middle];
		r = order(service, link, ask->name, ask->link);
		if (r == 0)
			return (ask);
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return (NULL);
}

static struct ask *
ask_new(struct asks *asks)
{
	struct ask **array, *ask;
	size_t size;

	if (asks->count == asks->size) {
		size = asks->size == 0 ? 16 : 2 * asks->size;
		array = reallocarray(asks->ask, size, sizeof(*array));
		if (array == NULL)
			fatal("%s", __func__);
		asks->ask = array;
		asks->size = size;
	}
	ask = calloc(1, sizeof(*ask));
	if (ask == NULL)
		fatal("%s", __func__);
	asks->ask[asks->count++] = ask;
	return (ask);
}
