/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "prober.h"

/*
 * From the rows of regionBackendServices.getHealth to the verdict on a
 * service: each endpoint is counted once, in the pool of its group.
 */

static void row_decode(struct service *, size_t, const json_t *);
static struct row *row_new(struct service *);
static enum endpoint_state state_of(const char *);
static enum endpoint_state row_state(const json_t *, const char **);
static char *row_key(const json_t *, const char *);
static void row_sickness(struct service *, struct row *, const json_t *,
    const char *);
static void row_address(const json_t *, char *, size_t);
static int row_cmp(const void *, const void *);
static void count_pools(struct service *, struct pool *, struct sick_list *);
static void report(const struct service *, const struct row *,
    struct sick_list *);
static void explain(struct service *);
static const char *link_short(const char *);

/* What is wrong with an answer, or NULL. */
const char *
health_check(const json_t *answer)
{
	const json_t *rows;

	rows = json_object_get(answer, "healthStatus");
	if (rows != NULL && !json_is_array(rows))
		return ("healthStatus is no list");
	return (NULL);
}

/* The rows of a group's answer; none is a valid answer. */
void
health_decode(struct service *service, size_t group, const json_t *answer)
{
	json_t *row;
	size_t i;

	service->pending--;
	json_array_foreach(json_object_get(answer, "healthStatus"), i, row)
		row_decode(service, group, row);
}

/* A group has not answered: nobody knows how many endpoints it has. */
void
health_failed(struct service *service, size_t group, const char *why)
{
	service->pending--;
	service->group[group].failed = true;
	if (service->reason == NULL &&
	    asprintf(&service->reason, "%s: %s",
		link_short(service->group[group].link), why) == -1)
		fatal("%s", __func__);
}

/*
 * Judge a service whose groups have all answered, or failed to.  It is healthy
 * if its primary or its failover backends are, where percent of those that are
 * counted have to be; a pool without endpoints says nothing.  Sick endpoints
 * are added to the list while there is room.
 */
void
service_judge(struct service *service, uint32_t percent, struct sick_list *sick)
{
	struct pool pool[2];
	enum verdict verdict;
	bool any;
	size_t i;

	if (service->ngroups == 0 && service->drained > 0) {
		service->verdict = V_NO;
		service->reason = strdup("drained on purpose: the capacity "
					 "scaler of every group is 0");
		return;
	}
	count_pools(service, pool, sick);
	verdict = V_NO;
	any = false;
	for (i = 0; i < 2; i++) {
		if (pool[i].healthy + pool[i].sick + pool[i].unknown == 0 &&
		    !pool[i].open)
			continue;
		verdict = v_or(verdict, pool_verdict(&pool[i], percent));
		any = true;
		service->count.healthy += pool[i].healthy;
		service->count.sick += pool[i].sick;
		service->count.unknown += pool[i].unknown;
		service->count.open |= pool[i].open;
	}
	service->empty = !any;
	service->verdict = any ? verdict : V_UNKNOWN;
	explain(service);
	for (i = 0; i < service->nrows; i++) {
		free(service->row[i].key);
		free(service->row[i].sickness);
	}
	free(service->row);
	service->row = NULL;
	service->nrows = service->size = 0;
}

/* Count every endpoint once, in the state of its worst row. */
static void
count_pools(struct service *service, struct pool *pool, struct sick_list *sick)
{
	const struct row *row, *worst;
	struct pool *p;
	size_t i, next;

	memset(pool, 0, 2 * sizeof(*pool));
	for (i = 0; i < service->ngroups; i++) {
		if (service->group[i].failed)
			pool[service->group[i].failover].open = true;
	}
	if (service->nrows > 0)
		qsort(service->row, service->nrows, sizeof(*row), row_cmp);
	for (i = 0; i < service->nrows; i = next) {
		row = worst = &service->row[i];
		for (next = i + 1; next < service->nrows && row->key != NULL &&
		     row_cmp(row, &service->row[next]) == 0;
		     next++) {
			if (service->row[next].state > worst->state)
				worst = &service->row[next];
		}
		p = &pool[worst->backup];
		if (worst->state == ENDPOINT_HEALTHY)
			p->healthy++;
		else if (worst->state == ENDPOINT_UNKNOWN)
			p->unknown++;
		else if (worst->state == ENDPOINT_SICK) {
			p->sick++;
			report(service, worst, sick);
		}
	}
}

/* Primary pool first; within a pool, the rows of one endpoint side by side. */
static int
row_cmp(const void *one, const void *two)
{
	const struct row *a = one, *b = two;

	if (a->backup != b->backup)
		return (a->backup ? 1 : -1);
	if (a->key == NULL || b->key == NULL)
		return ((a->key != NULL) - (b->key != NULL));
	return (strcmp(a->key, b->key));
}

static void
row_decode(struct service *service, size_t group, const json_t *json)
{
	const char *text;
	struct row *row;

	row = row_new(service);
	row->group = (uint32_t)group;
	row->backup = service->group[group].failover;
	row->key = row_key(json, service->group[group].link);
	row->state = row_state(json, &text);
	if (row->state == ENDPOINT_SICK && service->nsick < UNHEALTHY_MAX)
		row_sickness(service, row, json, text);
}

static struct row *
row_new(struct service *service)
{
	struct row *row;
	size_t size;

	if (service->nrows == service->size) {
		size = service->size > 0 ? service->size * 2 : 8;
		row = reallocarray(service->row, size, sizeof(*row));
		if (row == NULL)
			fatal("%s", __func__);
		service->row = row;
		service->size = size;
	}
	row = &service->row[service->nrows++];
	memset(row, 0, sizeof(*row));
	return (row);
}

/*
 * What the row says: the worse of its states for IPv4 and IPv6, where it has
 * both; an endpoint may have IPv6 alone.  text is what decided.
 */
static enum endpoint_state
row_state(const json_t *row, const char **text)
{
	enum endpoint_state state, state6;
	const char *v4, *v6;

	v4 = json_text(row, "healthState");
	v6 = json_text(row, "ipv6HealthState");
	*text = v4;
	state = state_of(v4);
	if (v6 == NULL)
		return (state);
	state6 = state_of(v6);
	if (v4 != NULL && state >= state6)
		return (state);
	*text = v6;
	return (state6);
}

/* Documented are the first two; what is new is unknown, never sick. */
static enum endpoint_state
state_of(const char *text)
{
	static const struct {
		const char *text;
		enum endpoint_state state;
	} states[] = {
		{ "HEALTHY", ENDPOINT_HEALTHY },
		{ "UNHEALTHY", ENDPOINT_SICK },
		{ "TIMEOUT", ENDPOINT_SICK },
		{ "DRAINING", ENDPOINT_DRAINING },
	};
	size_t i;

	for (i = 0; text != NULL && i < sizeof(states) / sizeof(states[0]);
	     i++) {
		if (strcmp(states[i].text, text) == 0)
			return (states[i].state);
	}
	return (ENDPOINT_UNKNOWN);
}

/*
 * What makes two rows rows of one endpoint.  In an instance group that is the
 * instance; in a network endpoint group many endpoints live on one instance,
 * and it is address and port.  NULL where the row does not say.
 */
static char *
row_key(const json_t *row, const char *group)
{
	char address[ENDPOINT_LEN];
	const char *instance;
	char *key;
	bool by_instance;

	instance = json_text(row, "instance");
	row_address(row, address, sizeof(address));
	by_instance = instance != NULL &&
	    (strstr(group, "/instanceGroups/") != NULL || address[0] == '\0');
	if (!by_instance && address[0] == '\0')
		return (NULL);
	key = strdup(by_instance ? link_path(instance) : address);
	if (key == NULL)
		fatal("%s", __func__);
	return (key);
}

/* Address and port of a row, or "". */
static void
row_address(const json_t *row, char *dst, size_t size)
{
	const char *address;
	char text[ENDPOINT_LEN / 2];
	json_int_t port;

	dst[0] = '\0';
	address = json_text(row, "ipAddress");
	if (address == NULL || address[0] == '\0')
		address = json_text(row, "ipv6Address");
	if (address == NULL || address[0] == '\0')
		return;
	text_clean(address, text, sizeof(text));
	port = json_integer_value(json_object_get(row, "port"));
	if (port == 0)
		strlcpy(dst, text, size);
	else
		snprintf(dst, size,
		    strchr(text, ':') != NULL ? "[%s]:%" JSON_INTEGER_FORMAT :
						"%s:%" JSON_INTEGER_FORMAT,
		    text, port);
}

/* Keep what people want to know of a sick endpoint. */
static void
row_sickness(struct service *service, struct row *row, const json_t *json,
    const char *state)
{
	char address[ENDPOINT_LEN], name[ENDPOINT_LEN];
	struct sickness *sickness;
	const char *text;

	sickness = calloc(1, sizeof(*sickness));
	if (sickness == NULL)
		fatal("%s", __func__);
	text_clean(state, sickness->state, sizeof(sickness->state));
	row_address(json, address, sizeof(address));
	text = json_text(json, "instance");
	text_clean(text != NULL ? link_name(text) : "", name, sizeof(name));
	snprintf(sickness->endpoint, sizeof(sickness->endpoint), "%.80s%s%.80s",
	    name, name[0] != '\0' && address[0] != '\0' ? " " : "", address);
	text = json_text(json, "forwardingRule");
	if (text != NULL) {
		text_clean(link_name(text), name, sizeof(name));
		snprintf(sickness->reason, sizeof(sickness->reason),
		    "seen by forwarding rule %.80s", name);
	}
	row->sickness = sickness;
	service->nsick++;
}

/* Add a sick endpoint to those that people are told of. */
static void
report(const struct service *service, const struct row *row,
    struct sick_list *sick)
{
	struct msg_probe_endpoint *endpoint;

	if (row->sickness == NULL || sick->count >= UNHEALTHY_MAX)
		return;
	if (sick->endpoint == NULL) {
		sick->endpoint = calloc(UNHEALTHY_MAX, sizeof(*sick->endpoint));
		if (sick->endpoint == NULL)
			fatal("%s", __func__);
	}
	endpoint = &sick->endpoint[sick->count++];
	strlcpy(endpoint->service, service->name, sizeof(endpoint->service));
	text_clean(link_short(service->group[row->group].link), endpoint->group,
	    sizeof(endpoint->group));
	strlcpy(endpoint->endpoint, row->sickness->endpoint,
	    sizeof(endpoint->endpoint));
	strlcpy(endpoint->state, row->sickness->state, sizeof(endpoint->state));
	strlcpy(endpoint->reason, row->sickness->reason,
	    sizeof(endpoint->reason));
}

/* Why is it unknown?  A group that failed has said so already. */
static void
explain(struct service *service)
{
	int n;

	if (service->verdict != V_UNKNOWN) {
		free(service->reason);
		service->reason = NULL;
		return;
	}
	if (service->reason != NULL)
		return;
	if (service->empty)
		n = asprintf(&service->reason,
		    service->ngroups == 0 ? "it has no backends" :
					    "no endpoint is reported");
	else
		n = asprintf(&service->reason,
		    "%u of %u endpoints are in an unknown state",
		    service->count.unknown,
		    service->count.healthy + service->count.sick +
			service->count.unknown);
	if (n == -1)
		fatal("%s", __func__);
}

/* A link without what is the same for a whole project. */
static const char *
link_short(const char *link)
{
	const char *path, *rest;

	if (link == NULL)
		return ("a group");
	path = link_path(link);
	if (strncmp(path, "/projects/", 10) != 0)
		return (path);
	rest = strchr(path + 10, '/');
	return (rest != NULL ? rest + 1 : path);
}
