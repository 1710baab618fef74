/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "merge.h"

/*
 * From a router as it is (routers.get) to the body that makes it as it should
 * be (routers.patch, an RFC 7396 merge patch, in which an array replaces the
 * whole array).  Pure: nothing here does I/O.
 *
 * A "level" is an object with advertiseMode, advertisedGroups and
 * advertisedIpRanges: the router's bgp, or one of its bgpPeers.
 */

#define TOO_MANY "more than 200 advertised ranges"

static bool
is_prefix(const json_t *range, const struct prefix *prefix)
{
	const char *text = json_text(range, "range");
	struct prefix parsed, masked;

	if (text == NULL || prefix_parse(text, &parsed) == -1)
		return (false);
	(void)prefix_masked(&parsed, &masked);
	return (prefix_equal(&masked, prefix));
}

static bool
has_prefix(const json_t *ranges, const struct prefix *prefix)
{
	json_t *range;
	size_t i;

	json_array_foreach(ranges, i, range)
		if (is_prefix(range, prefix))
			return (true);
	return (false);
}

/*
 * The ranges that should be there, made of those that are there: all others in
 * their order and with all their members.  Returns whether that differs.
 */
static bool
merge_ranges(const json_t *ranges, const struct wanted *wanted, json_t *merged)
{
	char text[PREFIX_LEN];
	bool changed = false;
	json_t *range;
	size_t i;
	int p;

	json_array_foreach(ranges, i, range) {
		for (p = 0; p < PREFIXES; p++)
			if (wanted->advert[p] == ADVERT_WITHDRAW &&
			    is_prefix(range, &wanted->prefix[p]))
				break;
		if (p < PREFIXES)
			changed = true;
		else
			json_array_append_new(merged, json_deep_copy(range));
	}
	for (p = 0; p < PREFIXES; p++) {
		if (wanted->advert[p] != ADVERT_ADVERTISE ||
		    has_prefix(merged, &wanted->prefix[p]))
			continue;
		changed = true;
		prefix_text(&wanted->prefix[p], text, sizeof(text));
		json_array_append_new(merged,
		    json_pack("{s:s, s:s}", "range", text, "description",
			"mt-gcpd"));
	}
	return (changed);
}

static json_t *
copy_list(const json_t *list)
{
	return (list == NULL ? json_array() : json_deep_copy(list));
}

/*
 * The level whose list counts for this one: its own, or in DEFAULT mode that
 * of a router in CUSTOM mode (inherited, NULL for the router's own level).
 * NULL: there is no list, the subnets are advertised.
 */
static const json_t *
effective(const json_t *level, const json_t *inherited)
{
	if (peer_custom(level))
		return (level);
	if (inherited != NULL && peer_custom(inherited))
		return (inherited);
	return (NULL);
}

static json_t *
groups_of(const json_t *from)
{
	if (from == NULL)
		return (json_pack("[s]", "ALL_SUBNETS"));
	return (copy_list(json_object_get(from, "advertisedGroups")));
}

/*
 * The three members that a level should have, or NULL if it is as it should
 * be.  A level in DEFAULT mode that gets a range of its own must not lose what
 * it advertised without: the subnets, or what it inherits.
 */
static json_t *
merge_level(const json_t *level, const json_t *inherited,
    const struct wanted *wanted)
{
	const json_t *from = effective(level, inherited);
	json_t *ranges = json_array();
	bool changed;

	changed = merge_ranges(json_object_get(from, "advertisedIpRanges"),
	    wanted, ranges);
	if (!peer_custom(level)) /* with nothing to add it may stay DEFAULT */
		changed = wanted->advert[PRIMARY] == ADVERT_ADVERTISE ||
		    wanted->advert[SECONDARY] == ADVERT_ADVERTISE;
	if (!changed) {
		json_decref(ranges);
		return (NULL);
	}
	return (json_pack("{s:s, s:o, s:o}", "advertiseMode", "CUSTOM",
	    "advertisedGroups", groups_of(from), "advertisedIpRanges", ranges));
}

static int
refuse(char *why, size_t len, const char *text)
{
	strlcpy(why, text, len);
	return (-1);
}

static bool
too_many(const json_t *members)
{
	return (json_array_size(json_object_get(members,
		    "advertisedIpRanges")) > RANGES_MAX);
}

static int
merge_router(const json_t *router, const struct wanted *wanted, json_t **patch,
    char *why, size_t len)
{
	const json_t *bgp = json_object_get(router, "bgp");
	json_t *members;

	if (!json_is_object(bgp))
		return (refuse(why, len, "the router has no BGP"));
	members = merge_level(bgp, NULL, wanted);
	if (members == NULL)
		return (0);
	if (too_many(members)) {
		json_decref(members);
		return (refuse(why, len, TOO_MANY));
	}
	*patch = json_pack("{s:o}", "bgp", members);
	return (1);
}

/* All peers are sent, with every member: one that is left out is deleted. */
static int
merge_peers(const json_t *router, const struct router_targets *targets,
    const struct wanted *wanted, json_t **patch, char *why, size_t len)
{
	const json_t *bgp = json_object_get(router, "bgp");
	json_t *peers, *peer, *members;
	size_t i, found = 0, changed = 0;
	bool full = false;

	peers = copy_list(json_object_get(router, "bgpPeers"));
	json_array_foreach(peers, i, peer) {
		if (!targets_name(targets, json_text(peer, "name")))
			continue;
		found++;
		members = merge_level(peer, bgp, wanted);
		if (members == NULL)
			continue;
		changed++;
		full = full || too_many(members);
		json_object_update(peer, members);
		json_decref(members);
	}
	if (full || found < targets->npeers || changed == 0) {
		json_decref(peers);
		if (full)
			return (refuse(why, len, TOO_MANY));
		if (found < targets->npeers)
			return (refuse(why, len,
			    "the router does not have "
			    "all of the named peers"));
		return (0);
	}
	*patch = json_pack("{s:o}", "bgpPeers", peers);
	return (1);
}

/*
 * The body of routers.patch that brings the router, as routers.get shows it,
 * to what is wanted, at the targets that we look after.  Returns 1 with *patch
 * (the caller's to release), 0 if there is nothing to write, -1 and why if it
 * cannot be.
 */
int
merge_patch(const json_t *router, const struct router_targets *targets,
    const struct wanted *wanted, json_t **patch, char *why, size_t len)
{
	*patch = NULL;
	if (targets->npeers == 0)
		return (merge_router(router, wanted, patch, why, len));
	return (merge_peers(router, targets, wanted, patch, why, len));
}

/* Is every range of a, but for ours, also in b, member by member? */
static bool
ranges_within(const json_t *a, const json_t *b,
    const struct prefix prefix[PREFIXES])
{
	json_t *range, *other;
	size_t i, j;

	json_array_foreach(a, i, range) {
		if (is_prefix(range, &prefix[PRIMARY]) ||
		    is_prefix(range, &prefix[SECONDARY]))
			continue;
		json_array_foreach(b, j, other)
			if (json_equal(range, other))
				break;
		if (j == json_array_size(b))
			return (false);
	}
	return (true);
}

/* Is a level after the write what it was before, but for our prefixes? */
static bool
level_only_ours(const json_t *before, const json_t *inherited,
    const json_t *after, const struct prefix prefix[PREFIXES])
{
	const json_t *from = effective(before, inherited);
	const json_t *x = json_object_get(from, "advertisedIpRanges");
	const json_t *y = json_object_get(after, "advertisedIpRanges");
	json_t *groups = groups_of(from);
	bool same;

	same = json_equal(groups, json_object_get(after, "advertisedGroups"));
	json_decref(groups);
	return (same && peer_custom(after) && json_is_array(y) &&
	    ranges_within(x, y, prefix) && ranges_within(y, x, prefix));
}

/* A peer but for the three members that we may write.  Caller releases. */
static json_t *
rest_of(const json_t *peer)
{
	json_t *rest = json_deep_copy(peer);

	json_object_del(rest, "advertiseMode");
	json_object_del(rest, "advertisedGroups");
	json_object_del(rest, "advertisedIpRanges");
	return (rest);
}

static bool
peer_only_ours(const json_t *before, const json_t *inherited,
    const json_t *after, const struct router_targets *targets,
    const struct prefix prefix[PREFIXES])
{
	json_t *x, *y;
	bool same;

	if (json_equal(before, after))
		return (true);
	if (!targets_name(targets, json_text(before, "name")))
		return (false);
	x = rest_of(before);
	y = rest_of(after);
	same = json_equal(x, y);
	json_decref(x);
	json_decref(y);
	return (same && level_only_ours(before, inherited, after, prefix));
}

/*
 * The last look before a write: does the body change nothing but our prefixes
 * at our targets?  No other member of the router or of a peer, no other range,
 * no group, no peer more or less.
 */
bool
merge_only_ours(const json_t *router, const struct router_targets *targets,
    const json_t *patch, const struct prefix prefix[PREFIXES])
{
	const json_t *bgp = json_object_get(router, "bgp");
	const json_t *before, *after;
	size_t i;

	if (json_object_size(patch) != 1)
		return (false);
	if (targets->npeers == 0) {
		after = json_object_get(patch, "bgp");
		return (json_object_size(after) == 3 &&
		    level_only_ours(bgp, NULL, after, prefix));
	}
	before = json_object_get(router, "bgpPeers");
	after = json_object_get(patch, "bgpPeers");
	if (!json_is_array(after) ||
	    json_array_size(before) != json_array_size(after))
		return (false);
	for (i = 0; i < json_array_size(before); i++)
		if (!peer_only_ours(json_array_get(before, i), bgp,
			json_array_get(after, i), targets, prefix))
			return (false);
	return (true);
}

static void
append_ranges(const json_t *level, char *text, size_t len)
{
	const char *one;
	json_t *range;
	size_t i;

	if (!peer_custom(level))
		return;
	json_array_foreach(json_object_get(level, "advertisedIpRanges"), i,
	    range) {
		one = json_text(range, "range");
		if (one == NULL || strlen(text) + strlen(one) + 2 > len)
			continue;
		if (*text != '\0')
			strlcat(text, " ", len);
		strlcat(text, one, len);
	}
}

/* The advertised ranges at our targets, separated by spaces, as far as they
 * fit. */
void
merge_ranges_text(const json_t *router, const struct router_targets *targets,
    char *text, size_t len)
{
	json_t *peer;
	size_t i;

	*text = '\0';
	if (targets->npeers == 0) {
		append_ranges(json_object_get(router, "bgp"), text, len);
		return;
	}
	json_array_foreach(json_object_get(router, "bgpPeers"), i, peer)
		if (targets_name(targets, json_text(peer, "name")))
			append_ranges(peer, text, len);
}
