/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "log.h"

/*
 * What is known, beyond one answer and one plan, of what the peers of a router
 * are told.
 *
 * A peer that is told nothing has no list of routes, which is as much as a
 * cloud says that never shows lists.  Once a list has been seen, it is known
 * which of both it is.
 *
 * The lists lag behind the configuration.  If a withdrawal is called off before
 * it has reached the peers, what they are still told is no effect of the
 * announcement that follows: the withdrawal may yet come through.
 */

#define OVERTAKEN (60 * 1000) /* milliseconds: it has, or it never will */
#define SETTLED	  (5 * 1000)  /* of being told without interruption */

struct told {
	TAILQ_ENTRY(told) entry;
	char router[ROUTER_KEY_LEN];
	struct prefix prefix;
	int64_t withdrawn; /* by us, and not yet seen so; -1: no */
	int64_t seen;	   /* told since, after a withdrawal; -1: not */
};

struct shows {
	TAILQ_ENTRY(shows) entry;
	char router[ROUTER_KEY_LEN];
};

static TAILQ_HEAD(, told) tolds = TAILQ_HEAD_INITIALIZER(tolds);
static TAILQ_HEAD(, shows) shown = TAILQ_HEAD_INITIALIZER(shown);

static struct told *
told_get(const char *router, const struct prefix *prefix)
{
	struct told *told;

	TAILQ_FOREACH(told, &tolds, entry)
		if (strcmp(told->router, router) == 0 &&
		    prefix_equal(&told->prefix, prefix))
			return (told);
	told = calloc(1, sizeof(*told));
	if (told == NULL)
		fatal("%s", __func__);
	strlcpy(told->router, router, sizeof(told->router));
	told->prefix = *prefix;
	told->withdrawn = told->seen = -1;
	TAILQ_INSERT_TAIL(&tolds, told, entry);
	return (told);
}

static bool
shows_lists(const char *router)
{
	const struct shows *shows;

	TAILQ_FOREACH(shows, &shown, entry)
		if (strcmp(shows->router, router) == 0)
			return (true);
	return (false);
}

static void
note_list(const char *router)
{
	struct shows *shows;

	if (shows_lists(router))
		return;
	shows = calloc(1, sizeof(*shows));
	if (shows == NULL)
		fatal("%s", __func__);
	strlcpy(shows->router, router, sizeof(shows->router));
	TAILQ_INSERT_TAIL(&shown, shows, entry);
}

/* The configuration is another one, and the clouds may be too. */
void
told_forget(void)
{
	struct shows *shows;
	struct told *told;

	while ((told = TAILQ_FIRST(&tolds)) != NULL) {
		TAILQ_REMOVE(&tolds, told, entry);
		free(told);
	}
	while ((shows = TAILQ_FIRST(&shown)) != NULL) {
		TAILQ_REMOVE(&shown, shows, entry);
		free(shows);
	}
}

/* A request is about to be sent that takes the prefix out of the router. */
void
told_withdrawn(const char *router, const struct prefix *prefix)
{
	struct told *told = told_get(router, prefix);

	told->withdrawn = http_now();
	told->seen = -1;
}

/* Does what a peer is told mean that the announcement has come through? */
static bool
told_to_stay(struct told *told)
{
	int64_t now = http_now();

	if (told->withdrawn == -1 || now - told->withdrawn >= OVERTAKEN)
		return (true);
	if (told->seen == -1)
		told->seen = now;
	return (now - told->seen >= SETTLED);
}

/*
 * Has what is wanted of the prefix come through to the peers?  says is what
 * status_announces() made of an answer of getRouterStatus; advert is what is
 * wanted.  V_NO: not yet.  V_UNKNOWN: the answer cannot say.
 */
enum verdict
told_effect(const char *router, const struct prefix *prefix, enum advert advert,
    enum verdict says)
{
	struct told *told = told_get(router, prefix);

	if (says == V_YES)
		note_list(router);
	else if (says == V_UNKNOWN && shows_lists(router))
		says = V_NO;
	if (says == V_NO)
		told->withdrawn = -1;
	if (says == V_UNKNOWN)
		return (V_UNKNOWN);
	if (advert == ADVERT_WITHDRAW)
		return (says == V_NO ? V_YES : V_NO);
	if (says == V_NO || !told_to_stay(told))
		return (V_NO);
	told->withdrawn = -1;
	return (V_YES);
}
