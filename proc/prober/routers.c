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
 * A router in a cycle: how it is configured (routers.get) and how its sessions
 * are (routers.getRouterStatus).
 */

/* Only what is looked at: a status has every route of the network. */
#define ROUTER_FIELDS                                                          \
	"name,bgp(advertiseMode,advertisedIpRanges(range)),"                   \
	"bgpPeers(name,enable,advertiseMode,advertisedIpRanges(range))"
#define STATUS_FIELDS                                                          \
	"result(bgpPeerStatus(name,status,state,statusReason,"                 \
	"advertisedRoutes(destRange)))"

void
router_start(struct cycle *cycle, enum side side)
{
	const struct msg_conf_probe *probe = &cycle->target->probe;
	char *url;

	cycle->router[side].pending = 2;
	url = url_join(cycle->compute,
	    "/projects/%s/regions/%s/routers/%s?prettyPrint=false"
	    "&fields=" ROUTER_FIELDS,
	    probe->router_project, probe->router_region[side],
	    probe->router[side]);
	cycle_call(cycle, side, CALL_ROUTER, NULL, url);
	url = url_join(cycle->compute,
	    "/projects/%s/regions/%s/routers/%s/getRouterStatus"
	    "?prettyPrint=false&fields=" STATUS_FIELDS,
	    probe->router_project, probe->router_region[side],
	    probe->router[side]);
	cycle_call(cycle, side, CALL_STATUS, NULL, url);
}

/* Do not look at the router in this cycle. */
void
router_skip(struct cycle *cycle, enum side side, const char *why)
{
	struct router *router = &cycle->router[side];

	strlcpy(router->error, why, sizeof(router->error));
	router_judge(NULL, NULL, cycle->target, side, &router->result);
	router->ended = http_now();
}

/* One of the two answers came; or, answer being NULL, why it did not. */
void
router_answer(struct cycle *cycle, enum side side, bool status, json_t *answer,
    const char *why)
{
	struct router *router = &cycle->router[side];

	if (answer == NULL) {
		/* The status matters more, so its reason wins. */
		if (status || router->error[0] == '\0')
			snprintf(router->error, sizeof(router->error), "%s: %s",
			    status ? "getRouterStatus" : "routers.get", why);
	} else if (status)
		router->status = json_incref(answer);
	else
		router->config = json_incref(answer);
	if (--router->pending > 0)
		return;
	router_judge(router->config, router->status, cycle->target, side,
	    &router->result);
	/* A status can be megabytes. */
	json_decref(router->config);
	json_decref(router->status);
	router->config = router->status = NULL;
	router->ended = http_now();
}

/* Report a router: its peers, and the end. */
void
router_send(struct cycle *cycle, enum side side)
{
	struct router *router = &cycle->router[side];
	struct msg_probe_router *end = &router->result.router;
	struct msg_probe_peer *peer;
	size_t i;

	for (i = 0; i < router->result.npeers; i++) {
		peer = &router->result.peer[i];
		peer->cycle = cycle->number;
		child_send(IMSG_PROBE_PEER, cycle->id, peer, sizeof(*peer));
	}
	end->cycle = cycle->number;
	end->duration = (uint32_t)(router->ended - cycle->started);
	strlcpy(end->error, router->error, sizeof(end->error));
	child_send(IMSG_PROBE_ROUTER, cycle->id, end, sizeof(*end));
}

void
router_free(struct router *router)
{
	free(router->result.peer);
}
