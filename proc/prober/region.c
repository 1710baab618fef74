/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "http.h"
#include "log.h"
#include "prober.h"

/*
 * The backend services of a region in a cycle: the list, page after page, and
 * meanwhile the health of every group that it has, or that the last one had.
 */

/* Only what is looked at: the answers are large otherwise. */
#define LIST_FIELDS                                                            \
	"items(name,healthChecks,backends(group,capacityScaler,failover)),"    \
	"nextPageToken,warning(code,message)"
#define HEALTH_FIELDS                                                          \
	"healthStatus(healthState,ipv6HealthState,instance,ipAddress,"         \
	"ipv6Address,port,forwardingRule)"

/* Of all requests that may be under way, those for the groups of a region are
 * no more than this part: others find room. */
#define GROUPS_PART 4

static void ask_page(struct cycle *, enum side, const char *);
static void list_fail(struct cycle *, enum side, enum content);
static void ask_groups(struct cycle *, enum side);
static void bind_groups(struct cycle *, enum side, struct service *);
static void answered(struct cycle *, enum side, struct ask *, const json_t *,
    const char *);
static void list_ended(struct cycle *, enum side);
static void judge(struct cycle *, enum side, struct service *);
static void give_up(struct cycle *, enum side);
static void region_check_end(struct region *);

void
region_start(struct cycle *cycle, enum side side)
{
	struct region *region = &cycle->region[side];

	region->listing = true;
	ask_page(cycle, side, NULL);
	asks_begin(&region->asks, &cycle->target->kept[side]);
	ask_groups(cycle, side);
}

/* Do not look at the region in this cycle. */
void
region_skip(struct cycle *cycle, enum side side, const char *why)
{
	struct region *region = &cycle->region[side];

	services_fail(&region->services, why);
	region->ended = http_now();
}

/* regionBackendServices.list: all parameters stay the same but the token. */
static void
ask_page(struct cycle *cycle, enum side side, const char *token)
{
	const struct msg_conf_probe *probe = &cycle->target->probe;
	char *escaped, *url;

	escaped = token != NULL ? url_escape(token) : NULL;
	url = url_join(cycle->compute,
	    "/projects/%s/regions/%s/backendServices?maxResults=500"
	    "&prettyPrint=false&fields=" LIST_FIELDS "%s%s",
	    probe->project, probe->region[side],
	    escaped != NULL ? "&pageToken=" : "",
	    escaped != NULL ? escaped : "");
	free(escaped);
	cycle_call(cycle, side, CALL_LIST, NULL, url);
}

/* A page of the list came; or, page being NULL, why it did not. */
void
region_page(struct cycle *cycle, enum side side, const json_t *page,
    const char *why)
{
	struct region *region = &cycle->region[side];
	struct services *services = &region->services;
	char text[REASON_LEN + 64], where[REASON_LEN];
	const char *token;
	size_t i;

	token = NULL;
	if (page == NULL) {
		snprintf(text, sizeof(text), "list of backend services: %s",
		    why);
		services_fail(services, text);
	} else {
		snprintf(where, sizeof(where), "%s/%s",
		    cycle->target->probe.project,
		    cycle->target->probe.region[side]);
		i = services->count;
		token = services_decode(services, page, cycle->target, where);
		for (; i < services->count; i++)
			bind_groups(cycle, side, services->service[i]);
		if (token == NULL)
			services_missing(services, cycle->target);
	}
	if (token != NULL && ++region->npages >= PAGES_MAX) {
		list_fail(cycle, side, CONTENT_PAGES);
		token = NULL;
	}
	if (token != NULL && !names_add(&region->pages, token)) {
		list_fail(cycle, side, CONTENT_LOOP);
		token = NULL;
	}
	if (token == NULL)
		list_ended(cycle, side);
	else if (cycle->ending)
		services_fail(services, "the list is not whole");
	else
		ask_page(cycle, side, token);
	ask_groups(cycle, side);
	region_check_end(region);
}

/* The list has a service: its groups count from now on. */
static void
bind_groups(struct cycle *cycle, enum side side, struct service *service)
{
	struct asks *asks = &cycle->region[side].asks;
	struct ask *ask;
	size_t i;

	if (service->pending == 0)
		judge(cycle, side, service);
	for (i = 0; i < service->ngroups; i++) {
		if (service->group[i].failed)
			continue;
		ask = asks_bind(asks, service, i);
		if (ask->early)
			answered(cycle, side, ask, ask->answer, ask->why);
	}
}

/* No more will come of the list: what it did not have is forgotten. */
static void
list_ended(struct cycle *cycle, enum side side)
{
	struct region *region = &cycle->region[side];
	struct ask *ask;
	size_t i;

	region->listing = false;
	region->asks.whole = true;
	if (!region->services.incomplete)
		asks_keep(&region->asks, &cycle->target->kept[side]);
	for (i = 0; i < region->asks.guesses; i++) {
		ask = region->asks.ask[i];
		if (ask->service != NULL || ask->call == NULL)
			continue;
		region->running--;
		cycle_forget_call(ask->call);
	}
}

/* A page is well, but with those before it there is no list. */
static void
list_fail(struct cycle *cycle, enum side side, enum content content)
{
	char why[REASON_LEN];

	outcome_content(content, NULL, why, sizeof(why));
	services_fail(&cycle->region[side].services, why);
	cycle_failed_call(cycle, side, CALL_LIST);
}

/* The health of a group came; or, answer being NULL, why it did not. */
void
region_health(struct cycle *cycle, enum side side, struct ask *ask,
    json_t *answer, const char *why)
{
	struct region *region = &cycle->region[side];

	region->running--;
	if (ask->service == NULL)
		ask_keep(ask, answer, why);
	else
		answered(cycle, side, ask, answer, why);
	ask_groups(cycle, side);
	region_check_end(region);
}

/* The answer about a group of the list. */
static void
answered(struct cycle *cycle, enum side side, struct ask *ask,
    const json_t *answer, const char *why)
{
	struct service *service = ask->service;

	if (answer != NULL)
		health_decode(service, ask->group, answer);
	else {
		cycle_failed_call(cycle, side, CALL_HEALTH);
		health_failed(service, ask->group, why);
	}
	if (service->pending == 0)
		judge(cycle, side, service);
}

/* Ask for the health of further groups, as many as may be under way. */
static void
ask_groups(struct cycle *cycle, enum side side)
{
	const struct msg_conf_probe *probe = &cycle->target->probe;
	struct region *region = &cycle->region[side];
	struct ask *ask;
	char *url;

	while (!cycle->ending &&
	    region->running < http_window() / GROUPS_PART &&
	    (ask = asks_next(&region->asks)) != NULL) {
		url = url_join(cycle->compute,
		    "/projects/%s/regions/%s/backendServices/%s/getHealth"
		    "?prettyPrint=false&fields=" HEALTH_FIELDS,
		    probe->project, probe->region[side], ask->name);
		region->running++;
		region->asks.next++;
		cycle_call(cycle, side, CALL_HEALTH, ask, url);
	}
}

static void
judge(struct cycle *cycle, enum side side, struct service *service)
{
	service_judge(service, cycle->target->probe.require_percent,
	    &cycle->region[side].sick);
}

static void
region_check_end(struct region *region)
{
	if (!region->listing && region->running == 0 &&
	    asks_next(&region->asks) == NULL)
		region->ended = http_now();
}

/* The cycle is over: what was not asked will not be. */
static void
give_up(struct cycle *cycle, enum side side)
{
	struct region *region = &cycle->region[side];
	struct ask *ask;

	while ((ask = asks_next(&region->asks)) != NULL) {
		region->asks.next++;
		if (ask->service == NULL)
			continue;
		cycle->ncalls++;
		answered(cycle, side, ask, NULL, "there was no time to ask");
	}
	if (region->ended == 0)
		region->ended = http_now();
}

/* Report a region: its services, the sick endpoints, and the end. */
void
region_send(struct cycle *cycle, enum side side)
{
	struct region *region = &cycle->region[side];
	struct msg_probe_service msg;
	struct msg_probe_region end;
	const struct service *service;
	size_t i;

	give_up(cycle, side);
	for (i = 0; i < region->services.count; i++) {
		service = region->services.service[i];
		memset(&msg, 0, sizeof(msg));
		msg.cycle = cycle->number;
		msg.side = side;
		msg.verdict = service->verdict;
		msg.empty = service->empty;
		msg.healthy = service->count.healthy;
		msg.sick = service->count.sick;
		msg.unknown = service->count.unknown;
		strlcpy(msg.name, service->name, sizeof(msg.name));
		if (service->reason != NULL)
			strlcpy(msg.reason, service->reason,
			    sizeof(msg.reason));
		child_send(IMSG_PROBE_SERVICE, cycle->id, &msg, sizeof(msg));
	}
	for (i = 0; i < region->sick.count; i++) {
		region->sick.endpoint[i].cycle = cycle->number;
		region->sick.endpoint[i].side = side;
		child_send(IMSG_PROBE_ENDPOINT, cycle->id,
		    &region->sick.endpoint[i],
		    sizeof(region->sick.endpoint[i]));
	}
	memset(&end, 0, sizeof(end));
	end.cycle = cycle->number;
	end.side = side;
	end.complete = !region->services.incomplete;
	end.services = (uint32_t)region->services.count;
	end.duration = (uint32_t)(region->ended - cycle->started);
	strlcpy(end.error, region->services.error, sizeof(end.error));
	child_send(IMSG_PROBE_REGION, cycle->id, &end, sizeof(end));
}

void
region_free(struct region *region)
{
	asks_clear(&region->asks);
	services_free(&region->services);
	names_clear(&region->pages);
	free(region->sick.endpoint);
}
