/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Cloud Routers: get, getRouterStatus, and the refusals of patch.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

static const char *const router_names[] = {
	"bgp",
	"bgpPeers",
	"creationTimestamp",
	"description",
	"encryptedInterconnectRouter",
	"id",
	"interfaces",
	"kind",
	"md5AuthenticationKeys",
	"name",
	"nats",
	"nccGateway",
	"network",
	"params",
	"region",
	"selfLink",
	NULL,
};
static const char *const bgp_names[] = {
	"advertiseMode",
	"advertisedGroups",
	"advertisedIpRanges",
	"asn",
	"identifierRange",
	"keepaliveInterval",
	NULL,
};
static const char *const peer_names[] = {
	"advertiseMode",
	"advertisedGroups",
	"advertisedIpRanges",
	"advertisedRoutePriority",
	"bfd",
	"customLearnedIpRanges",
	"customLearnedRoutePriority",
	"enable",
	"enableIpv4",
	"enableIpv6",
	"exportPolicies",
	"importPolicies",
	"interfaceName",
	"ipAddress",
	"ipv4NexthopAddress",
	"ipv6NexthopAddress",
	"managementType",
	"md5AuthenticationKeyName",
	"name",
	"peerAsn",
	"peerIpAddress",
	"peerIpv4NexthopAddress",
	"peerIpv6NexthopAddress",
	"routerApplianceInstance",
	NULL,
};
static const char *const range_names[] = { "description", "range", NULL };

void
router_get(struct call *call)
{
	json_t *shallow, *copy;

	shallow = json_without(call->object, "peer_status");
	copy = json_deep_copy(shallow);
	json_decref(shallow);
	json_prune(copy);
	compute_answer(call, copy);
}

static void
peer_uptime(json_t *row, int64_t since)
{
	int64_t secs = (mono_ms() - since) / 1000;
	char text[32], *prose;

	snprintf(text, sizeof(text), "%lld", (long long)secs);
	json_object_set_new(row, "uptimeSeconds", json_string(text));
	prose = xasprintf("%lld hours, %lld minutes, %lld seconds",
	    (long long)(secs / 3600), (long long)(secs / 60 % 60),
	    (long long)(secs % 60));
	json_object_set_new(row, "uptime", json_string(prose));
	free(prose);
}

/* One row of getRouterStatus; NULL if the world says nothing of the peer. */
static json_t *
peer_row(struct call *call, const char *key, json_t *peer)
{
	const char *name, *status;
	json_t *world, *row, *told;
	bool up;

	name = json_str(peer, "name");
	world = json_object_get(json_object_get(call->object, "peer_status"),
	    name != NULL ? name : "");
	if (world == NULL)
		return (NULL);
	status = json_str(world, "status");
	up = status != NULL && strcmp(status, "UP") == 0;
	row = json_pack("{s:s, s:O*, s:O*}", "name", name, "ipAddress",
	    json_object_get(peer, "ipAddress"), "peerIpAddress",
	    json_object_get(peer, "peerIpAddress"));
	if (up)
		peer_uptime(row, announce_up_since(key, name));
	json_object_set_new(row, "numLearnedRoutes", json_integer(up ? 1 : 0));
	/* Whatever the world says wins, unknown members included. */
	json_object_update(row, world);
	json_object_del(row, "session_up");
	told = announce_told(key, name);
	if (up && sim.set.bgp_members && json_array_size(told) > 0)
		json_object_set(row, "advertisedRoutes", told);
	return (row);
}

void
router_status(struct call *call)
{
	json_t *rows = json_array(), *result, *peer, *row;
	char *key;
	size_t i;

	key = xasprintf("%s/%s/%s", call->project, call->region, call->name);
	json_array_foreach(json_object_get(call->object, "bgpPeers"), i, peer) {
		row = peer_row(call, key, peer);
		if (row != NULL)
			json_array_append_new(rows, row);
	}
	free(key);
	result = json_pack("{s:O*}", "network",
	    json_object_get(call->object, "network"));
	if (json_array_size(rows) > 0)
		json_object_set(result, "bgpPeerStatus", rows);
	json_decref(rows);
	compute_answer(call,
	    json_pack("{s:s, s:o}", "kind", "compute#routerStatusResponse",
		"result", result));
}

static bool
name_in(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return (true);
	return (false);
}

/*
 * Refuses members that Google does not know.  Those which the world itself
 * invented (present in what is stored) must be accepted when echoed.
 */
static int
check_members(json_t *obj, json_t *stored, const char *const *names,
    const char *at, struct response *res)
{
	const char *key;
	json_t *value;

	json_object_foreach(obj, key, value) {
		if (name_in(key, names) || json_object_get(stored, key) != NULL)
			continue;
		google_error(res, 400, "badRequest",
		    "Invalid JSON payload received. Unknown name \"%s\" at "
		    "'%s': Cannot find field.",
		    key, at);
		google_detail(res, "INVALID_ARGUMENT", NULL, NULL, NULL);
		return (-1);
	}
	return (0);
}

static int
check_range_members(json_t *obj, const char *at, struct response *res)
{
	json_t *range;
	size_t i;

	json_array_foreach(json_object_get(obj, "advertisedIpRanges"), i,
	    range) {
		if (check_members(range, NULL, range_names, at, res) == -1)
			return (-1);
	}
	return (0);
}

static json_t *
peer_by_name(json_t *peers, const char *name)
{
	const char *known;
	json_t *peer;
	size_t i;

	json_array_foreach(peers, i, peer) {
		known = json_str(peer, "name");
		if (known != NULL && name != NULL && strcmp(known, name) == 0)
			return (peer);
	}
	return (NULL);
}

int
router_check_names(json_t *patch, json_t *router, struct response *res)
{
	json_t *bgp, *peers, *peer, *stored;
	char at[64];
	size_t i;

	/* peer_status is the world's own and nobody else's. */
	if (json_object_get(patch, "peer_status") != NULL) {
		google_error(res, 400, "badRequest",
		    "Invalid JSON payload "
		    "received. Unknown name \"peer_status\" at 'resource': "
		    "Cannot find field.");
		return (-1);
	}
	bgp = json_object_get(patch, "bgp");
	if (check_members(patch, router, router_names, "resource", res) == -1 ||
	    check_members(bgp, json_object_get(router, "bgp"), bgp_names,
		"resource.bgp", res) == -1 ||
	    check_range_members(bgp, "resource.bgp.advertised_ip_ranges",
		res) == -1)
		return (-1);
	peers = json_object_get(router, "bgpPeers");
	json_array_foreach(json_object_get(patch, "bgpPeers"), i, peer) {
		stored = peer_by_name(peers, json_str(peer, "name"));
		snprintf(at, sizeof(at), "resource.bgp_peers[%zu]", i);
		if (check_members(peer, stored, peer_names, at, res) == -1 ||
		    check_range_members(peer, at, res) == -1)
			return (-1);
	}
	return (0);
}

static int
invalid(struct response *res, const char *field, json_t *value,
    const char *text)
{
	const char *s = json_string_value(value);

	google_error(res, 400, "invalid",
	    "Invalid value for field '%s': '%s'. %s", field, s != NULL ? s : "",
	    text);
	return (-1);
}

static int
check_ranges(json_t *ranges, const char *at, struct response *res)
{
	struct prefix *seen, p;
	const char *text;
	char field[128];
	json_t *range;
	size_t i, j;
	int rv = 0;

	if (ranges != NULL && !json_is_array(ranges))
		return (invalid(res, at, ranges, "Must be a list."));
	if (json_array_size(ranges) > MAX_RANGES)
		return (invalid(res, at, NULL,
		    "Too many advertised ranges: "
		    "the limit is 200."));
	seen = xcalloc(MAX_RANGES, sizeof(*seen));
	json_array_foreach(ranges, i, range) {
		text = json_str(range, "range");
		snprintf(field, sizeof(field), "%s[%zu].range", at, i);
		if (prefix_parse(text, &p) == -1)
			rv = invalid(res, field,
			    json_object_get(range, "range"),
			    "Must be a CIDR address range.");
		for (j = 0; j < i && rv == 0; j++)
			if (prefix_equal(&seen[j], &p))
				rv = invalid(res, field,
				    json_object_get(range, "range"),
				    "Duplicate IP range.");
		if (rv == -1)
			break;
		seen[i] = p;
	}
	free(seen);
	return (rv);
}

static int
check_groups(json_t *groups, const char *at, struct response *res)
{
	const char *text;
	json_t *group;
	size_t i;

	if (groups != NULL && !json_is_array(groups))
		return (invalid(res, at, groups, "Must be a list."));
	json_array_foreach(groups, i, group) {
		text = json_string_value(group);
		if (text == NULL || strcmp(text, "ALL_SUBNETS") != 0)
			return (invalid(res, at, group, "Unknown group."));
	}
	return (0);
}

/* Mode, groups and ranges of the router's bgp or of one peer. */
static int
check_advertisement(json_t *obj, const char *at, struct response *res)
{
	json_t *mode, *groups, *ranges;
	const char *text;
	char field[96];

	mode = json_object_get(obj, "advertiseMode");
	groups = json_object_get(obj, "advertisedGroups");
	ranges = json_object_get(obj, "advertisedIpRanges");
	text = mode != NULL ? json_string_value(mode) : "DEFAULT";
	snprintf(field, sizeof(field), "%s.advertiseMode", at);
	if (text == NULL ||
	    (strcmp(text, "DEFAULT") != 0 && strcmp(text, "CUSTOM") != 0))
		return (invalid(res, field, mode, "Not a known value."));
	if (strcmp(text, "DEFAULT") == 0 &&
	    (json_array_size(groups) > 0 || json_array_size(ranges) > 0)) {
		google_error(res, 400, "invalid",
		    "Invalid value for field "
		    "'%s': 'DEFAULT'. Router cannot have a custom "
		    "advertisement configuration in default mode.",
		    field);
		return (-1);
	}
	snprintf(field, sizeof(field), "%s.advertisedGroups", at);
	if (check_groups(groups, field, res) == -1)
		return (-1);
	snprintf(field, sizeof(field), "%s.advertisedIpRanges", at);
	return (check_ranges(ranges, field, res));
}

/* Would this be a router?  Answers and returns -1 if not. */
int
router_validate(json_t *router, struct response *res)
{
	json_t *bgp, *peers, *peer;
	const char *name;
	char at[64];
	size_t i;

	bgp = json_object_get(router, "bgp");
	peers = json_object_get(router, "bgpPeers");
	if ((bgp != NULL && !json_is_object(bgp)) ||
	    (peers != NULL && !json_is_array(peers)))
		return (invalid(res, "resource", NULL, "Wrong type."));
	if (check_advertisement(bgp, "resource.bgp", res) == -1)
		return (-1);
	json_array_foreach(peers, i, peer) {
		snprintf(at, sizeof(at), "resource.bgpPeers[%zu]", i);
		name = json_str(peer, "name");
		if (name == NULL || peer_by_name(peers, name) != peer)
			return (invalid(res, at, NULL,
			    "A peer needs a name of its own."));
		if (check_advertisement(peer, at, res) == -1)
			return (-1);
	}
	return (0);
}

static int
check_identity(struct call *call)
{
	const char *name = json_str(call->req->json, "name");

	if (!json_is_object(call->req->json)) {
		google_error(call->res, 400, "parseError",
		    "Invalid JSON payload received. Expected an object.");
		return (-1);
	}
	if (json_object_get(call->req->json, "name") != NULL &&
	    (name == NULL || strcmp(name, call->name) != 0))
		return (invalid(call->res, "resource.name",
		    json_object_get(call->req->json, "name"),
		    "The name cannot be changed."));
	return (0);
}

static void
patch_checked(struct call *call, const char *key, const char *request_id)
{
	json_t *merged, *oper;

	if (check_identity(call) == -1 ||
	    router_check_names(call->req->json, call->object, call->res) == -1)
		return;
	if (oper_running(key)) {
		google_error(call->res, 400, "resourceNotReady",
		    "The resource "
		    "'projects/%s/regions/%s/routers/%s' is not ready",
		    call->project, call->region, call->name);
		return;
	}
	merged = json_merge(call->object, call->req->json);
	if (router_validate(merged, call->res) == 0) {
		oper = oper_begin(call, key, request_id);
		compute_answer(call, oper);
	}
	json_decref(merged);
}

void
router_patch(struct call *call)
{
	char *id, *key;
	json_t *known;

	id = query_get(call->req->query, "requestId");
	key = xasprintf("%s/%s/%s", call->project, call->region, call->name);
	if (id != NULL && !uuid_valid(id))
		google_error(call->res, 400, "invalid",
		    "Invalid value for "
		    "field 'requestId': '%s'. Must be a valid UUID and not "
		    "zero.",
		    id);
	else if (id != NULL && (known = oper_repeat(key, id)) != NULL)
		compute_answer(call, known);
	else
		patch_checked(call, key, id);
	free(id);
	free(key);
}
