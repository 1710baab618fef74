/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>

#include "gcp.h"

static bool ranges_have(const json_t *ranges, const char *key,
    const struct prefix *);
static bool level_has(const json_t *level, const struct prefix *);

/*
 * Is this member of bgpPeers (routers.get) enabled?  "enable" is a string;
 * a peer without it is enabled.
 */
bool
peer_enabled(const json_t *peer)
{
	const char *enable;

	enable = json_text(peer, "enable");
	return (enable == NULL || strcmp(enable, "FALSE") != 0);
}

/* Does this member of bgpPeers (routers.get) advertise its own list, and not
 * that of the router? */
bool
peer_custom(const json_t *peer)
{
	const char *mode;

	mode = json_text(peer, "advertiseMode");
	return (mode != NULL && strcmp(mode, "CUSTOM") == 0);
}

/* Is the peer one of those that are looked after by name? */
bool
targets_name(const struct router_targets *targets, const char *peer)
{
	size_t i;

	if (targets == NULL || peer == NULL)
		return (false);
	for (i = 0; i < targets->npeers; i++) {
		if (strcmp(targets->peer[i], peer) == 0)
			return (true);
	}
	return (false);
}

/*
 * The member of a list (bgpPeers of routers.get, bgpPeerStatus of
 * getRouterStatus) with this name, or NULL.
 */
const json_t *
peer_find(const json_t *list, const char *name)
{
	const char *text;
	json_t *peer;
	size_t i;

	json_array_foreach(list, i, peer) {
		text = json_text(peer, "name");
		if (text != NULL && strcmp(text, name) == 0)
			return (peer);
	}
	return (NULL);
}

/*
 * Where the prefix stands in the advertised ranges of an answer of
 * routers.get: at the router level, or in the named peers.  A list counts
 * where its mode is CUSTOM only; a named peer that does not exist has nothing.
 * Ranges are compared as masked addresses.
 */
enum presence
router_presence(const json_t *router, const struct router_targets *targets,
    const struct prefix *prefix)
{
	const json_t *peer, *peers;
	size_t i, have;

	if (targets == NULL || targets->npeers == 0) {
		if (level_has(json_object_get(router, "bgp"), prefix))
			return (PRESENCE_ALL);
		return (PRESENCE_NONE);
	}
	peers = json_object_get(router, "bgpPeers");
	have = 0;
	for (i = 0; i < targets->npeers; i++) {
		peer = peer_find(peers, targets->peer[i]);
		if (peer != NULL && level_has(peer, prefix))
			have++;
	}
	if (have == 0)
		return (PRESENCE_NONE);
	return (have == targets->npeers ? PRESENCE_ALL : PRESENCE_SOME);
}

/* Is this member of bgpPeerStatus one that can be told anything, and that is
 * looked after?  Disabled peers never are, and where targets names peers, no
 * others; router is NULL where it is not known: then all peers are enabled. */
static bool
peer_listens(const json_t *status_peer, const json_t *router,
    const struct router_targets *targets)
{
	const char *name = json_text(status_peer, "name");
	const json_t *config;

	if (name == NULL || peer_status(status_peer) != V_YES)
		return (false);
	if (targets != NULL && targets->npeers > 0 &&
	    !targets_name(targets, name))
		return (false);
	config = peer_find(json_object_get(router, "bgpPeers"), name);
	return (config == NULL || peer_enabled(config));
}

/*
 * Has any peer that is up been told the prefix?  status is an answer of
 * getRouterStatus, whose advertisedRoutes are what the peer has really been
 * told; router one of routers.get, or NULL where it is not known: then all
 * peers count.  Disabled peers never count, and where targets names peers, no
 * others do.  V_UNKNOWN: there are peers that are up, but the answer carries
 * no list of routes at all.
 */
enum verdict
status_announces(const json_t *status, const json_t *router,
    const struct router_targets *targets, const struct prefix *prefix)
{
	const json_t *peers, *routes;
	json_t *peer;
	bool up, listed;
	size_t i;

	peers = json_object_get(json_object_get(status, "result"),
	    "bgpPeerStatus");
	up = listed = false;
	json_array_foreach(peers, i, peer) {
		if (!peer_listens(peer, router, targets))
			continue;
		up = true;
		routes = json_object_get(peer, "advertisedRoutes");
		if (!json_is_array(routes))
			continue;
		listed = true;
		if (ranges_have(routes, "destRange", prefix))
			return (V_YES);
	}
	return (up && !listed ? V_UNKNOWN : V_NO);
}

/*
 * For how many seconds has a session been up, of those that count as in
 * status_announces(), the youngest one?  -1: none is, or the answer does not
 * say (uptimeSeconds is a decimal string).
 */
int64_t
status_uptime(const json_t *status, const json_t *router,
    const struct router_targets *targets)
{
	const char *text, *error;
	int64_t uptime, youngest = -1;
	const json_t *peers;
	json_t *peer;
	size_t i;

	peers = json_object_get(json_object_get(status, "result"),
	    "bgpPeerStatus");
	json_array_foreach(peers, i, peer) {
		text = json_text(peer, "uptimeSeconds");
		if (text == NULL || !peer_listens(peer, router, targets))
			continue;
		uptime = strtonum(text, 0, INT32_MAX, &error);
		if (error == NULL && (youngest == -1 || uptime < youngest))
			youngest = uptime;
	}
	return (youngest);
}

/* Is any peer up that is looked after, as in status_announces()? */
bool
status_any_up(const json_t *status, const json_t *router,
    const struct router_targets *targets)
{
	const json_t *peers;
	json_t *peer;
	size_t i;

	peers = json_object_get(json_object_get(status, "result"),
	    "bgpPeerStatus");
	json_array_foreach(peers, i, peer) {
		if (peer_listens(peer, router, targets))
			return (true);
	}
	return (false);
}

/*
 * Is the session of this member of bgpPeerStatus (getRouterStatus) up?  Its
 * "state" is for people; an absent or a new status is unknown.
 */
enum verdict
peer_status(const json_t *status_peer)
{
	const char *status;

	status = json_text(status_peer, "status");
	if (status == NULL)
		return (V_UNKNOWN);
	if (strcmp(status, "UP") == 0)
		return (V_YES);
	if (strcmp(status, "DOWN") == 0)
		return (V_NO);
	return (V_UNKNOWN);
}

/* Does bgp or a peer, in CUSTOM mode, advertise the prefix? */
static bool
level_has(const json_t *level, const struct prefix *prefix)
{
	return (peer_custom(level) &&
	    ranges_have(json_object_get(level, "advertisedIpRanges"), "range",
		prefix));
}

/* Is the prefix that of the named member of any of the list's objects? */
static bool
ranges_have(const json_t *ranges, const char *key, const struct prefix *prefix)
{
	struct prefix parsed;
	const char *text;
	json_t *range;
	size_t i;

	json_array_foreach(ranges, i, range) {
		text = json_text(range, key);
		if (text != NULL && prefix_parse(text, &parsed) == 0 &&
		    prefix_equal(&parsed, prefix))
			return (true);
	}
	return (false);
}
