/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "prober.h"

/*
 * From the answers of routers.get and routers.getRouterStatus to the verdict
 * on a router, and to what it advertises.
 */

static void collect_peers(const json_t *, const json_t *,
    const struct router_targets *, struct router_result *);
static void add_peer(struct router_result *, const json_t *, const json_t *,
    const struct router_targets *);
static void peer_state(const json_t *, char *, size_t);
static enum verdict sessions(const struct router_result *, bool, bool);

/* What is wrong with an answer of routers.get, or NULL. */
const char *
router_check(const json_t *config, const char *name)
{
	const json_t *bgp, *peers;
	const char *text;

	text = json_text(config, "name");
	if (text == NULL || strcmp(text, name) != 0)
		return ("the answer is not about this router");
	bgp = json_object_get(config, "bgp");
	peers = json_object_get(config, "bgpPeers");
	if ((bgp != NULL && !json_is_object(bgp)) ||
	    (peers != NULL && !json_is_array(peers)))
		return ("the answer is no router");
	return (NULL);
}

/* What is wrong with an answer of routers.getRouterStatus, or NULL.  A result
 * without peers is one; no result is not: sessions would seem to be down. */
const char *
status_check(const json_t *status)
{
	const json_t *peers, *result;

	result = json_object_get(status, "result");
	peers = json_object_get(result, "bgpPeerStatus");
	if (!json_is_object(result) || (peers != NULL && !json_is_array(peers)))
		return ("the answer is no status");
	return (NULL);
}

/*
 * Judge a router.  config is the answer of routers.get and status the one of
 * routers.getRouterStatus, NULL where there is none.  The peers of the result
 * belong to the caller; cycle, duration and error are not set here.
 *
 * A session counts where its peer is enabled: one that is configured and not
 * in the status is down, one that is in the status alone is taken as enabled.
 * Without the configuration a session that is up settles "any"; nothing else
 * is settled, for one that is down may be disabled.  Without peers nothing is
 * known: whether there ever were some is remembered elsewhere.
 */
void
router_judge(const json_t *config, const json_t *status,
    const struct target *target, enum side side, struct router_result *result)
{
	struct router_targets targets;
	const struct router_targets *named;
	const struct prefix *prefix;
	size_t i;

	memset(result, 0, sizeof(*result));
	result->router.side = side;
	targets.peer = (const char(*)[NAME_LEN])target->peer;
	targets.npeers = target->npeers;
	/* The names are those of peers of our own router. */
	named = side == LOCAL ? &targets : NULL;
	collect_peers(config, status, named, result);
	result->router.verdict = V_UNKNOWN;
	if (status != NULL) {
		result->router.read = 1;
		result->router.verdict = sessions(result, config != NULL,
		    target->probe.bgp_all != 0);
	}
	for (i = 0; i < PREFIXES; i++) {
		prefix = &target->probe.prefix[i];
		result->router.announces[i] = V_UNKNOWN;
		if (status != NULL)
			result->router.announces[i] = status_announces(status,
			    config, named, prefix);
		result->router.configured[i] = PRESENCE_UNKNOWN;
		if (side == LOCAL && config != NULL)
			result->router.configured[i] = router_presence(config,
			    named, prefix);
	}
}

/* The verdict on the sessions of the enabled peers (Kleene's logic). */
static enum verdict
sessions(const struct router_result *result, bool configured, bool all)
{
	const struct msg_probe_peer *peer;
	enum verdict verdict;
	size_t i;

	if (result->router.peers == 0)
		return (V_UNKNOWN);
	verdict = all ? V_YES : V_NO;
	for (i = 0; i < result->npeers; i++) {
		peer = &result->peer[i];
		if (!peer->enabled)
			continue;
		verdict = all ? v_and(verdict, (enum verdict)peer->status) :
				v_or(verdict, (enum verdict)peer->status);
	}
	if (!configured && (all || verdict != V_YES))
		return (V_UNKNOWN);
	return (verdict);
}

/* The peers that are configured, and those that the status alone has. */
static void
collect_peers(const json_t *config, const json_t *status,
    const struct router_targets *named, struct router_result *result)
{
	const json_t *configured, *seen;
	const char *name;
	json_t *peer;
	size_t i, max;

	configured = json_object_get(config, "bgpPeers");
	seen = json_object_get(json_object_get(status, "result"),
	    "bgpPeerStatus");
	max = json_array_size(configured) + json_array_size(seen);
	if (max == 0)
		return;
	result->peer = calloc(max, sizeof(*result->peer));
	if (result->peer == NULL)
		fatal("%s", __func__);
	json_array_foreach(configured, i, peer) {
		name = json_text(peer, "name");
		if (name != NULL)
			add_peer(result, peer, peer_find(seen, name), named);
	}
	json_array_foreach(seen, i, peer) {
		name = json_text(peer, "name");
		if (name != NULL && peer_find(configured, name) == NULL)
			add_peer(result, NULL, peer, named);
	}
	/* Configured and not in the status is down, once there is one. */
	for (i = 0; status == NULL && i < result->npeers; i++)
		result->peer[i].status = V_UNKNOWN;
}

static void
add_peer(struct router_result *result, const json_t *config,
    const json_t *status, const struct router_targets *named)
{
	struct msg_probe_peer *peer;
	const char *name;

	name = json_text(config != NULL ? config : status, "name");
	peer = &result->peer[result->npeers++];
	peer->side = result->router.side;
	text_clean(name, peer->name, sizeof(peer->name));
	peer->enabled = config == NULL || peer_enabled(config);
	peer->custom = peer->side == LOCAL && config != NULL && peer->enabled &&
	    peer_custom(config) && !targets_name(named, name);
	peer->status = status != NULL ? peer_status(status) : V_NO;
	if (status != NULL)
		peer_state(status, peer->state, sizeof(peer->state));
	if (peer->enabled)
		result->router.peers++;
}

/* The state of a session for people: what is wrong with it, if that is told,
 * before what it does. */
static void
peer_state(const json_t *status, char *dst, size_t size)
{
	const char *text;

	text = json_text(status, "statusReason");
	if (text == NULL || strcmp(text, "STATUS_REASON_UNSPECIFIED") == 0)
		text = json_text(status, "state");
	if (text == NULL)
		text = json_text(status, "status");
	text_clean(text != NULL ? text : "", dst, size);
}
