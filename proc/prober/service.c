/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "prober.h"

/*
 * From the pages of regionBackendServices.list to the services and groups that
 * have to be asked for their health.
 */

static void service_decode(struct services *, const json_t *,
    const struct target *, const char *);
static bool name_usable(const char *);
static bool link_usable(const char *);
static bool wanted(const struct target *, const char *);
static void add_groups(struct service *, const json_t *);
static void add_service(struct services *, struct service *);

/* Services that were left out already: each is named once. */
static struct names left_out;

/* What is wrong with a page of the list, or NULL. */
const char *
services_check(const json_t *page)
{
	const json_t *items;

	items = json_object_get(page, "items");
	if (items != NULL && !json_is_array(items))
		return ("the list of services is no list");
	return (NULL);
}

/* Does a page say that something is missing in it?  These two codes do; others
 * do not matter. */
bool
services_partial(const json_t *page, char *what, size_t len)
{
	const json_t *warning;
	const char *code, *text;
	char message[REASON_LEN];

	warning = json_object_get(page, "warning");
	code = json_text(warning, "code");
	if (code == NULL ||
	    (strcmp(code, "PARTIAL_SUCCESS") != 0 &&
		strcmp(code, "UNREACHABLE") != 0))
		return (false);
	text = json_text(warning, "message");
	text_clean(text != NULL ? text : "no message", message,
	    sizeof(message));
	snprintf(what, len, "%s: %s", code, message);
	return (true);
}

/*
 * Add the services of a page.  where names the region for the log.  Returns
 * the token of the next page, which belongs to page, or NULL if this was the
 * last one: a page may be empty and have a token (AIP-158).
 */
const char *
services_decode(struct services *services, const json_t *page,
    const struct target *target, const char *where)
{
	const char *token;
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(page, "items"), i, item)
		service_decode(services, item, target, where);
	token = json_text(page, "nextPageToken");
	return (token != NULL && token[0] != '\0' ? token : NULL);
}

/* At the end of a whole list: were all services there that are named? */
void
services_missing(struct services *services, const struct target *target)
{
	char why[REASON_LEN];
	size_t i;

	for (i = 0; i < target->nservices; i++) {
		/* What is not in the set yet was not in the list. */
		if (!names_add(&services->seen, target->service[i]))
			continue;
		snprintf(why, sizeof(why),
		    "the backend service \"%s\" does not exist",
		    target->service[i]);
		services_fail(services, why);
	}
}

/* The list is not whole; the first reason is kept. */
void
services_fail(struct services *services, const char *why)
{
	if (!services->incomplete)
		strlcpy(services->error, why, sizeof(services->error));
	services->incomplete = true;
}

void
services_free(struct services *services)
{
	struct service *service;
	size_t i, n;

	for (i = 0; i < services->count; i++) {
		service = services->service[i];
		for (n = 0; n < service->ngroups; n++)
			free(service->group[n].link);
		for (n = 0; n < service->nrows; n++) {
			free(service->row[n].key);
			free(service->row[n].sickness);
		}
		free(service->group);
		free(service->row);
		free(service->reason);
		free(service);
	}
	free(services->service);
	names_clear(&services->seen);
	memset(services, 0, sizeof(*services));
}

/*
 * A service counts if it is wanted and has a health check: others (serverless
 * and internet backends, haPolicy) cannot report.
 */
static void
service_decode(struct services *services, const json_t *item,
    const struct target *target, const char *where)
{
	char id[2 * REASON_LEN], shown[NAME_LEN * 2];
	struct service *service;
	const char *name;

	name = json_text(item, "name");
	if (name == NULL || !name_usable(name)) {
		services_fail(services,
		    "a service has no name that can be "
		    "used");
		return;
	}
	if (!wanted(target, name))
		return;
	if (strlen(name) >= NAME_LEN) {
		text_clean(name, shown, sizeof(shown));
		snprintf(id, sizeof(id), "%s/%s", where, shown);
		if (names_add(&left_out, id))
			log_warnx(
			    "%s: a service whose name is too long is left out: "
			    "%s",
			    where, shown);
		return;
	}
	/* Pages are read one after another, and things move meanwhile. */
	if (!names_add(&services->seen, name))
		return;
	if (json_array_size(json_object_get(item, "healthChecks")) == 0) {
		snprintf(id, sizeof(id), "%s/%s", where, name);
		if (names_add(&left_out, id))
			log_warnx("%s: the backend service \"%s\" has no "
				  "health check and is left out",
			    where, name);
		return;
	}
	service = calloc(1, sizeof(*service));
	if (service == NULL)
		fatal("%s", __func__);
	strlcpy(service->name, name, sizeof(service->name));
	add_groups(service, json_object_get(item, "backends"));
	add_service(services, service);
}

/* The groups that can carry traffic; a capacity scaler of 0 drains one. */
static void
add_groups(struct service *service, const json_t *backends)
{
	const json_t *scaler;
	const char *link;
	struct group *group;
	json_t *backend;
	size_t i;

	if (json_array_size(backends) == 0)
		return;
	service->group = calloc(json_array_size(backends), sizeof(*group));
	if (service->group == NULL)
		fatal("%s", __func__);
	json_array_foreach(backends, i, backend) {
		scaler = json_object_get(backend, "capacityScaler");
		if (json_is_number(scaler) && json_number_value(scaler) == 0) {
			service->drained++;
			continue;
		}
		group = &service->group[service->ngroups++];
		group->failover = json_is_true(
		    json_object_get(backend, "failover"));
		service->pending++;
		link = json_text(backend, "group");
		if (link == NULL || !link_usable(link)) {
			health_failed(service, service->ngroups - 1,
			    "it has no link");
			continue;
		}
		group->link = strdup(link);
		if (group->link == NULL)
			fatal("%s", __func__);
	}
}

static void
add_service(struct services *services, struct service *service)
{
	struct service **array;
	size_t size;

	if (services->count == services->size) {
		size = services->size > 0 ? services->size * 2 : 16;
		array = reallocarray(services->service, size, sizeof(*array));
		if (array == NULL)
			fatal("%s", __func__);
		services->service = array;
		services->size = size;
	}
	services->service[services->count++] = service;
}

/* A name becomes a part of a path. */
static bool
name_usable(const char *name)
{
	return (name[0] != '\0' && name[0] != '.' &&
	    strspn(name,
		"abcdefghijklmnopqrstuvwxyz"
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == strlen(name));
}

/* A link is sent back within a JSON string. */
static bool
link_usable(const char *link)
{
	const char *p;

	for (p = link; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
			return (false);
	}
	return (p != link && p - link < URL_LEN * 2);
}

static bool
wanted(const struct target *target, const char *name)
{
	if (target->nservices == 0)
		return (true);
	return (bsearch(name, target->service, target->nservices,
		    sizeof(target->service[0]), names_order) != NULL);
}
