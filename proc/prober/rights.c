/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkup.h"
#include "child.h"
#include "log.h"
#include "prober.h"

/*
 * May this process read all that it has to, and is everything there that the
 * configuration names?  Tried with calls like those of a cycle, beside them.
 */

#define PLAIN "?prettyPrint=false&fields="

/* Only what is looked at. */
#define LIST_FIELDS                                                            \
	"items(name,healthChecks,backends(group,capacityScaler,failover)),"    \
	"nextPageToken,warning(code,message)"
#define ROUTER_FIELDS                                                          \
	"name,bgp(advertiseMode),bgpPeers(name,enable,advertiseMode)"

/* The tests of a round that follow from others. */
struct rights {
	const struct target *target;
	const char *compute;
	struct check *health[SIDES];
	struct check *peers;
};

static const struct rights *
rights_of(const struct check *check)
{
	return (check->checkup->more);
}

/* Tests that cannot be tried now fail if it is because nothing answers, and
 * are left out if it is because of an answer. */
static void
rights_without(struct check *check, const struct check *needed, const char *why)
{
	if (needed->msg.http_status == 0)
		check_end(check, RESULT_FAILURE, "%s", why);
	else
		check_end(check, RESULT_SKIPPED, "%s failed",
		    needed->msg.operation);
}

/* An answer of which nothing but a name is of interest. */
static void
named(struct check *check, enum answer answer, const json_t *json,
    const char *why)
{
	const char *status;

	if (answer != ANSWER_OK) {
		check_end(check, RESULT_FAILURE, "%s", why);
		return;
	}
	if (json_text(json, "name") == NULL) {
		check_end(check, RESULT_FAILURE, "the answer has no name");
		return;
	}
	status = json_text(json, "status");
	if (status != NULL && strcmp(status, "DOWN") == 0)
		check_end(check, RESULT_SUCCESS, "its status is DOWN");
	else
		check_end(check, RESULT_SUCCESS, "%s", "");
}

static void
rights_project(struct checkup *checkup, const char *project)
{
	const struct rights *rights = checkup->more;
	struct check *check;

	check = checkup_add(checkup, API_COMPUTE, "get_project", named, "%s",
	    project);
	check_call(check, HTTP_GET,
	    url_join(rights->compute, "/projects/%s" PLAIN "name", project),
	    NULL, NULL, rights->target->probe.api_timeout);
}

static void
rights_region(struct checkup *checkup, const char *project, const char *region)
{
	const struct rights *rights = checkup->more;
	struct check *check;

	check = checkup_add(checkup, API_COMPUTE, "get_region", named, "%s/%s",
	    project, region);
	check_call(check, HTTP_GET,
	    url_join(rights->compute,
		"/projects/%s/regions/%s" PLAIN "name,status", project, region),
	    NULL, NULL, rights->target->probe.api_timeout);
}

static void
health(struct check *check, enum answer answer, const json_t *json,
    const char *why)
{
	const char *wrong;

	wrong = answer == ANSWER_OK ? health_check(json) : why;
	if (wrong != NULL)
		check_end(check, RESULT_FAILURE, "%s", wrong);
	else
		check_end(check, RESULT_SUCCESS, "%s", "");
}

/* The first group of these services that can be asked for its health, or
 * NULL. */
static const struct group *
first_group(const struct services *services, const struct service **service)
{
	size_t i, n;

	for (i = 0; i < services->count; i++) {
		*service = services->service[i];
		for (n = 0; n < (*service)->ngroups; n++)
			if (!(*service)->group[n].failed)
				return (&(*service)->group[n]);
	}
	return (NULL);
}

static void
rights_health(struct check *check, const struct services *services)
{
	const struct rights *rights = rights_of(check);
	const struct msg_conf_probe *probe = &rights->target->probe;
	const struct service *service;
	const struct group *group;
	char *body;

	group = first_group(services, &service);
	if (group == NULL) {
		check_end(check, RESULT_SKIPPED,
		    "there is no group of a service with a health check");
		return;
	}
	/* The link needs no escapes, or it would not be here. */
	if (asprintf(&body, "{\"group\":\"%s\"}", group->link) == -1)
		fatal("%s", __func__);
	check_subject(check, "%s/%s/%s", probe->project,
	    probe->region[check->side], service->name);
	check_call(check, HTTP_POST,
	    url_join(rights->compute,
		"/projects/%s/regions/%s/backendServices/%s/getHealth" PLAIN
		"healthStatus(healthState)",
		probe->project, probe->region[check->side], service->name),
	    body, NULL, probe->health_timeout);
}

/* The first page of the services: what is named has to be there, if that is
 * all of them. */
static void
listed(struct check *check, enum answer answer, const json_t *json,
    const char *why)
{
	const struct rights *rights = rights_of(check);
	struct services services = { 0 };
	char partial[REASON_LEN], text[REASON_LEN];
	const char *next = NULL, *wrong;
	size_t n;

	wrong = answer == ANSWER_OK ? services_check(json) : why;
	if (wrong == NULL && services_partial(json, partial, sizeof(partial))) {
		outcome_content(CONTENT_PARTIAL, partial, text, sizeof(text));
		wrong = text;
	}
	if (wrong != NULL) {
		check_end(check, RESULT_FAILURE, "%s", wrong);
		rights_without(rights->health[check->side], check, wrong);
		return;
	}
	next = services_decode(&services, json, rights->target,
	    check->msg.subject);
	if (next == NULL)
		services_missing(&services, rights->target);
	n = json_array_size(json_object_get(json, "items"));
	if (services.incomplete)
		check_end(check, RESULT_FAILURE, "%s", services.error);
	else
		check_end(check, RESULT_SUCCESS, "%zu service%s%s", n,
		    n == 1 ? "" : "s",
		    next != NULL ? " on the first page" : "");
	rights_health(rights->health[check->side], &services);
	services_free(&services);
}

static void
rights_services(struct checkup *checkup, enum side side)
{
	const struct rights *rights = checkup->more;
	const struct msg_conf_probe *probe = &rights->target->probe;
	struct check *check;

	check = checkup_add(checkup, API_COMPUTE, "list_backend_services",
	    listed, "%s/%s", probe->project, probe->region[side]);
	check->side = side;
	check_call(check, HTTP_GET,
	    url_join(rights->compute,
		"/projects/%s/regions/%s/backendServices" PLAIN LIST_FIELDS
		"&maxResults=500",
		probe->project, probe->region[side]),
	    NULL, NULL, probe->api_timeout);
}

static void
add_name(char *list, size_t size, const char *name)
{
	char shown[NAME_LEN];

	text_clean(name, shown, sizeof(shown));
	if (list[0] != '\0')
		strlcat(list, ", ", size);
	strlcat(list, shown, size);
}

/*
 * Peers in CUSTOM mode are not told what the router advertises, so they have
 * to be named; and those that are named have to be there.
 */
static void
rights_peers(struct check *check, const json_t *router)
{
	const struct target *target = rights_of(check)->target;
	const struct router_targets named = {
		.peer = (const char(*)[NAME_LEN])target->peer,
		.npeers = target->npeers,
	};
	const json_t *peers = json_object_get(router, "bgpPeers");
	char custom[REASON_LEN / 2] = "", missing[REASON_LEN / 2] = "";
	const char *name;
	json_t *peer;
	size_t i;

	json_array_foreach(peers, i, peer) {
		name = json_text(peer, "name");
		if (name != NULL && peer_enabled(peer) && peer_custom(peer) &&
		    !targets_name(&named, name))
			add_name(custom, sizeof(custom), name);
	}
	for (i = 0; i < named.npeers; i++)
		if (peer_find(peers, named.peer[i]) == NULL)
			add_name(missing, sizeof(missing), named.peer[i]);
	if (missing[0] != '\0')
		check_end(check, RESULT_FAILURE,
		    "no such peer on the router: %.300s", missing);
	else if (custom[0] != '\0')
		check_end(check, RESULT_FAILURE,
		    "in CUSTOM mode, and not named by \"advertise on peer\": "
		    "%.300s",
		    custom);
	else
		check_end(check, RESULT_SUCCESS, "%s", "");
}

static void
router(struct check *check, enum answer answer, const json_t *json,
    const char *why)
{
	const struct rights *rights = rights_of(check);
	const char *wrong;

	wrong = answer == ANSWER_OK ?
	    router_check(json, rights->target->probe.router[check->side]) :
	    why;
	if (wrong != NULL)
		check_end(check, RESULT_FAILURE, "%s", wrong);
	else
		check_end(check, RESULT_SUCCESS, "%s", "");
	if (check->side != LOCAL)
		return;
	if (wrong != NULL)
		rights_without(rights->peers, check, wrong);
	else
		rights_peers(rights->peers, json);
}

static void
status(struct check *check, enum answer answer, const json_t *json,
    const char *why)
{
	const char *wrong;

	wrong = answer == ANSWER_OK ? status_check(json) : why;
	if (wrong != NULL)
		check_end(check, RESULT_FAILURE, "%s", wrong);
	else
		check_end(check, RESULT_SUCCESS, "%s", "");
}

static void
rights_router(struct checkup *checkup, enum side side, const char *operation,
    check_answered answered, const char *method)
{
	const struct rights *rights = checkup->more;
	const struct msg_conf_probe *probe = &rights->target->probe;
	struct check *check;

	check = checkup_add(checkup, API_COMPUTE, operation, answered,
	    "%s/%s/%s", probe->router_project, probe->router_region[side],
	    probe->router[side]);
	check->side = side;
	check_call(check, HTTP_GET,
	    url_join(rights->compute, "/projects/%s/regions/%s/routers/%s%s",
		probe->router_project, probe->router_region[side],
		probe->router[side], method),
	    NULL, NULL, probe->api_timeout);
}

/* The regions of the services and, where they are others, of the routers. */
static void
rights_regions(struct checkup *checkup)
{
	const struct rights *rights = checkup->more;
	const struct msg_conf_probe *probe = &rights->target->probe;
	bool other = strcmp(probe->project, probe->router_project) != 0;
	const char *region;
	int side;

	for (side = LOCAL; side < SIDES; side++)
		rights_region(checkup, probe->project, probe->region[side]);
	for (side = LOCAL; side < SIDES; side++) {
		region = probe->router_region[side];
		if (side == REMOTE &&
		    strcmp(region, probe->router_region[LOCAL]) == 0)
			continue;
		if (other ||
		    (strcmp(region, probe->region[LOCAL]) != 0 &&
			strcmp(region, probe->region[REMOTE]) != 0))
			rights_region(checkup, probe->router_project, region);
	}
}

/*
 * Begin a round of tests for the failover of that number in config, which has
 * to stay as it is until the round has ended.
 */
void
rights_start(const struct config *config, uint32_t id,
    const struct msg_test *msg)
{
	const struct target *target = &config->target[id];
	const struct msg_conf_probe *probe = &target->probe;
	struct checkup *checkup;
	struct rights *rights;
	int side;

	rights = calloc(1, sizeof(*rights));
	if (rights == NULL)
		fatal("%s", __func__);
	rights->target = target;
	rights->compute = config->compute;
	/* The token, a list, and the health of what it names. */
	checkup = checkup_new(id, msg->test,
	    3 * (int64_t)probe->api_timeout + probe->health_timeout);
	checkup->connect_timeout = probe->connect_timeout;
	checkup->bucket = config->bucket;
	checkup->more = rights;

	checkup_token(checkup, ROLE_PROBER);
	rights_project(checkup, probe->project);
	if (strcmp(probe->project, probe->router_project) != 0)
		rights_project(checkup, probe->router_project);
	rights_regions(checkup);
	for (side = LOCAL; side < SIDES; side++) {
		rights_services(checkup, side);
		rights->health[side] = checkup_add(checkup, API_COMPUTE,
		    "get_health", health, "%s/%s", probe->project,
		    probe->region[side]);
		rights->health[side]->side = side;
	}
	for (side = LOCAL; side < SIDES; side++) {
		rights_router(checkup, side, "get_router", router,
		    PLAIN ROUTER_FIELDS);
		rights_router(checkup, side, "get_router_status", status,
		    "/getRouterStatus" PLAIN
		    "result(bgpPeerStatus(name,status))");
	}
	rights->peers = checkup_add(checkup, API_COMPUTE, "check_peers", NULL,
	    "%s/%s/%s", probe->router_project, probe->router_region[LOCAL],
	    probe->router[LOCAL]);
}
