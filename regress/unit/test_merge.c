/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "merge.h"

/* From a router as it is to the body that is sent to it. */

#ifndef REGRESS_DIR
#define REGRESS_DIR "regress"
#endif

#define CUSTOM_OF(groups, ranges)                                              \
	"{\"advertiseMode\":\"CUSTOM\",\"advertisedGroups\":" groups           \
	",\"advertisedIpRanges\":" ranges "}"
#define SUBNETS	 "[\"ALL_SUBNETS\"]"
#define LAB	 "{\"range\":\"192.0.2.128/25\",\"description\":\"lab, not ours\"}"
#define OLD_P	 "{\"range\":\"203.0.113.0/24\",\"description\":\"primary\"}"
#define ADDED(r) "{\"range\":\"" r "\",\"description\":\"mt-gcpd\"}"
#define P	 "203.0.113.0/24"
#define S	 "198.51.100.0/24"

static const char peer_a[][NAME_LEN] = { "edge-peer-a" };
static const char peer_b[][NAME_LEN] = { "edge-peer-b" };
static const char peer_both[][NAME_LEN] = { "edge-peer-b", "edge-peer-a" };
static const char peer_none[][NAME_LEN] = { "edge-peer-a", "edge-peer-x" };

static const struct router_targets at_router = { NULL, 0 };
static const struct router_targets at_a = { peer_a, 1 };
static const struct router_targets at_b = { peer_b, 1 };
static const struct router_targets at_both = { peer_both, 2 };
static const struct router_targets at_none = { peer_none, 2 };

static json_t *
sample(const char *name)
{
	char path[512];
	json_t *json;

	snprintf(path, sizeof(path), "%s/samples/router.get.response--%s.json",
	    REGRESS_DIR, name);
	json = json_load_file(path, 0, NULL);
	assert_non_null(json);
	return (json);
}

static json_t *
text(const char *json)
{
	json_t *value;

	value = json_loads(json, 0, NULL);
	assert_non_null(value);
	return (value);
}

/* A router with nothing but its own level. */
static json_t *
level(const char *bgp)
{
	return (json_pack("{s:o}", "bgp", text(bgp)));
}

static void
want(struct wanted *wanted, const char *primary, enum advert first,
    const char *secondary, enum advert second)
{
	assert_int_equal(prefix_parse(primary, &wanted->prefix[PRIMARY]), 0);
	assert_int_equal(prefix_parse(secondary, &wanted->prefix[SECONDARY]),
	    0);
	wanted->advert[PRIMARY] = first;
	wanted->advert[SECONDARY] = second;
}

/* RFC 7396, for the bodies of which we make: objects merge. */
static void
apply(json_t *target, const json_t *patch)
{
	json_t *value, *old;
	const char *key;
	void *iter;

	for (iter = json_object_iter((json_t *)(uintptr_t)patch); iter != NULL;
	     iter = json_object_iter_next((json_t *)(uintptr_t)patch, iter)) {
		key = json_object_iter_key(iter);
		value = json_object_iter_value(iter);
		old = json_object_get(target, key);
		if (json_is_object(value) && json_is_object(old))
			apply(old, value);
		else
			json_object_set_new(target, key, json_deep_copy(value));
	}
}

/* What every body has to fulfil, whatever it is for. */
static void
check_body(const json_t *router, const struct router_targets *targets,
    const struct wanted *wanted, const json_t *patch)
{
	json_t *after = json_deep_copy(router);
	json_t *again;
	char why[256];
	int p;

	assert_int_equal(json_object_size(patch), 1);
	assert_true(merge_only_ours(router, targets, patch, wanted->prefix));
	apply(after, patch);
	for (p = 0; p < PREFIXES; p++) {
		if (wanted->advert[p] == ADVERT_ADVERTISE)
			assert_int_equal(
			    router_presence(after, targets, &wanted->prefix[p]),
			    PRESENCE_ALL);
		if (wanted->advert[p] == ADVERT_WITHDRAW)
			assert_int_equal(
			    router_presence(after, targets, &wanted->prefix[p]),
			    PRESENCE_NONE);
	}
	/* once is enough */
	assert_int_equal(
	    merge_patch(after, targets, wanted, &again, why, sizeof(why)), 0);
	assert_null(again);
	json_decref(after);
}

/* The body for what is wanted; takes the router.  expected NULL: none. */
static void
expect_body(json_t *router, const struct router_targets *targets,
    const struct wanted *wanted, const char *expected)
{
	json_t *before = json_deep_copy(router);
	json_t *patch, *value;
	char why[256];
	int r;

	r = merge_patch(router, targets, wanted, &patch, why, sizeof(why));
	assert_true(json_equal(before, router));
	json_decref(before);
	if (expected == NULL) {
		assert_int_equal(r, 0);
		assert_null(patch);
		json_decref(router);
		return;
	}
	assert_int_equal(r, 1);
	check_body(router, targets, wanted, patch);
	value = text(expected);
	if (!json_equal(value, patch))
		fail_msg("%s", json_dumps(patch, JSON_SORT_KEYS));
	json_decref(value);
	json_decref(patch);
	json_decref(router);
}

static void
expect_level(json_t *router, const struct wanted *wanted, const char *expected)
{
	char body[2048];

	if (expected == NULL) {
		expect_body(router, &at_router, wanted, NULL);
		return;
	}
	snprintf(body, sizeof(body), "{\"bgp\":%s}", expected);
	expect_body(router, &at_router, wanted, body);
}

static void
default_mode(void **state)
{
	struct wanted wanted;

	(void)state;
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_WITHDRAW);
	expect_level(sample("default-mode"), &wanted,
	    CUSTOM_OF(SUBNETS, "[" ADDED(P) "]"));
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_ADVERTISE);
	expect_level(sample("default-mode"), &wanted,
	    CUSTOM_OF(SUBNETS, "[" ADDED(P) "," ADDED(S) "]"));
	/* there is nothing to withdraw */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_WITHDRAW);
	expect_level(sample("default-mode"), &wanted, NULL);
	want(&wanted, P, ADVERT_KEEP, S, ADVERT_KEEP);
	expect_level(sample("default-mode"), &wanted, NULL);
	/* ranges that say nothing in DEFAULT mode do not come to life */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_KEEP);
	expect_level(level("{\"advertiseMode\":\"DEFAULT\","
			   "\"advertisedIpRanges\":[" LAB "]}"),
	    &wanted, CUSTOM_OF(SUBNETS, "[" ADDED(P) "]"));
	/* a mode that is not said is DEFAULT */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_KEEP);
	expect_level(level("{\"asn\":64512}"), &wanted,
	    CUSTOM_OF(SUBNETS, "[" ADDED(P) "]"));
}

static void
custom_mode(void **state)
{
	struct wanted wanted;

	(void)state;
	/* what is not ours stays, in its order, with its description */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_ADVERTISE);
	expect_level(sample("custom-router-level"), &wanted,
	    CUSTOM_OF(SUBNETS, "[" LAB "," OLD_P "," ADDED(S) "]"));
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_KEEP);
	expect_level(sample("custom-router-level"), &wanted,
	    CUSTOM_OF(SUBNETS, "[" LAB "]"));
	/* one in and one out, in one body */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_ADVERTISE);
	expect_level(sample("custom-router-level"), &wanted,
	    CUSTOM_OF(SUBNETS, "[" LAB "," ADDED(S) "]"));
	/* as it should be */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_WITHDRAW);
	expect_level(sample("custom-router-level"), &wanted, NULL);
	want(&wanted, P, ADVERT_KEEP, S, ADVERT_KEEP);
	expect_level(sample("custom-router-level"), &wanted, NULL);
}

static void
custom_groups(void **state)
{
	struct wanted wanted;

	(void)state;
	/* without groups there stay none: the subnets are not added */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_WITHDRAW);
	expect_level(sample("custom-no-subnets"), &wanted,
	    CUSTOM_OF("[]", "[]"));
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_ADVERTISE);
	expect_level(sample("custom-no-subnets"), &wanted,
	    CUSTOM_OF("[]",
		"[{\"range\":\"" S "\",\"description\":\"secondary\"}]"));
	/* groups that we do not know stay */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_KEEP);
	expect_level(level("{\"advertiseMode\":\"CUSTOM\","
			   "\"advertisedGroups\":[\"NEW_GROUP\"]}"),
	    &wanted, CUSTOM_OF("[\"NEW_GROUP\"]", "[" ADDED(P) "]"));
}

static void
empty_list(void **state)
{
	struct wanted wanted;

	(void)state;
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_WITHDRAW);
	expect_level(sample("custom-empty-list"), &wanted, NULL);
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_WITHDRAW);
	expect_level(sample("custom-empty-list"), &wanted,
	    CUSTOM_OF(SUBNETS, "[" ADDED(P) "]"));
	/* an emptied list keeps the mode */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_WITHDRAW);
	expect_level(level(CUSTOM_OF(SUBNETS, "[" OLD_P "]")), &wanted,
	    CUSTOM_OF(SUBNETS, "[]"));
}

static void
compared_as_addresses(void **state)
{
	struct wanted wanted;

	(void)state;
	/* host bits, in what others wrote and in what we were told */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_KEEP);
	expect_level(level(CUSTOM_OF("[]", "[{\"range\":\"203.0.113.7/24\"}]")),
	    &wanted, CUSTOM_OF("[]", "[]"));
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_KEEP);
	expect_level(level(CUSTOM_OF("[]", "[{\"range\":\"203.0.113.7/24\"}]")),
	    &wanted, NULL);
	want(&wanted, "203.0.113.9/24", ADVERT_WITHDRAW, S, ADVERT_KEEP);
	expect_level(level(CUSTOM_OF("[]", "[" OLD_P "]")), &wanted,
	    CUSTOM_OF("[]", "[]"));
	/* another length is another prefix */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_WITHDRAW);
	expect_level(level(CUSTOM_OF("[]",
			 "[{\"range\":\"203.0.113.0/25\"},"
			 "{\"range\":\"203.0.112.0/23\"}]")),
	    &wanted, NULL);
	/* IPv6, written in another way */
	want(&wanted, "2001:db8:100::/48", ADVERT_WITHDRAW, "2001:db8:200::/48",
	    ADVERT_ADVERTISE);
	expect_level(level(CUSTOM_OF("[]",
			 "[{\"range\":\"2001:0DB8:0100:0::/48\"},"
			 "{\"range\":\"2001:db8:300::/48\"}]")),
	    &wanted,
	    CUSTOM_OF("[]",
		"[{\"range\":\"2001:db8:300::/48\"}," ADDED(
		    "2001:db8:200::/48") "]"));
	/* IPv4 in IPv6 is not IPv4 */
	want(&wanted, "203.0.113.0/24", ADVERT_WITHDRAW, S, ADVERT_KEEP);
	expect_level(
	    level(CUSTOM_OF("[]", "[{\"range\":\"::ffff:203.0.113.0/120\"}]")),
	    &wanted, NULL);
}

static void
strange_members(void **state)
{
	struct wanted wanted;

	(void)state;
	/* what we cannot read is not ours, and stays as it is */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_ADVERTISE);
	expect_level(level(CUSTOM_OF(SUBNETS,
			 "[{\"range\":\"fresh\",\"new\":[1,{\"a\":null}]},"
			 "{\"range\":17},{},\"text\","
			 "{\"range\":\"" P "\",\"new\":true}]")),
	    &wanted,
	    CUSTOM_OF(SUBNETS,
		"[{\"range\":\"fresh\",\"new\":[1,{\"a\":null}]},"
		"{\"range\":17},{},\"text\"," ADDED(S) "]"));
	/* our range keeps its members if it stays */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_ADVERTISE);
	expect_level(
	    level(CUSTOM_OF(SUBNETS, "[{\"range\":\"" P "\",\"new\":true}]")),
	    &wanted,
	    CUSTOM_OF(SUBNETS,
		"[{\"range\":\"" P "\",\"new\":true}," ADDED(S) "]"));
}

static void
duplicates(void **state)
{
	struct wanted wanted;

	(void)state;
	/* all of ours go, none of theirs */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_KEEP);
	expect_level(level(CUSTOM_OF("[]",
			 "[" OLD_P "," LAB "," OLD_P "," LAB ","
			 "{\"range\":\"203.0.113.1/24\"}]")),
	    &wanted, CUSTOM_OF("[]", "[" LAB "," LAB "]"));
	/* they do no harm where they are to stay */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_KEEP);
	expect_level(level(CUSTOM_OF("[]", "[" OLD_P "," OLD_P "]")), &wanted,
	    NULL);
}

static void
named_peers(void **state)
{
	json_t *router, *patch, *peers;
	struct wanted wanted;
	char why[256];
	size_t i;

	(void)state;
	/* a peer with a list of its own: only that one, all else is echoed */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_WITHDRAW);
	router = sample("peer-custom-overrides");
	assert_int_equal(
	    merge_patch(router, &at_b, &wanted, &patch, why, sizeof(why)), 1);
	check_body(router, &at_b, &wanted, patch);
	peers = json_object_get(router, "bgpPeers");
	assert_int_equal(json_array_size(json_object_get(patch, "bgpPeers")),
	    2);
	assert_true(json_equal(json_array_get(peers, 0),
	    json_array_get(json_object_get(patch, "bgpPeers"), 0)));
	/* by hand, from the sample */
	json_array_append_new(
	    json_object_get(json_array_get(peers, 1), "advertisedIpRanges"),
	    text(ADDED(P)));
	for (i = 0; i < 2; i++)
		assert_true(json_equal(json_array_get(peers, i),
		    json_array_get(json_object_get(patch, "bgpPeers"), i)));
	json_decref(patch);
	json_decref(router);

	/* as it should be */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_WITHDRAW);
	expect_body(sample("peer-custom-overrides"), &at_b, &wanted, NULL);
	want(&wanted, P, ADVERT_KEEP, S, ADVERT_KEEP);
	expect_body(sample("peer-custom-overrides"), &at_both, &wanted, NULL);
	/* the level of a peer that is in DEFAULT mode is not ours to empty */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_WITHDRAW);
	expect_body(sample("peer-custom-overrides"), &at_a, &wanted, NULL);
}

/* The three members of a peer in a body. */
static void
expect_peer(const json_t *patch, size_t i, const char *expected)
{
	const json_t *peer = json_array_get(json_object_get(patch, "bgpPeers"),
	    i);
	json_t *value = text(expected);
	const char *key;
	json_t *member;

	json_object_foreach(value, key, member)
		assert_true(json_equal(json_object_get(peer, key), member));
	json_decref(value);
}

static void
peers_inherit(void **state)
{
	json_t *router, *patch;
	struct wanted wanted;
	char why[256];

	(void)state;
	/* the router in DEFAULT mode: the subnets stay */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_WITHDRAW);
	router = sample("default-mode");
	assert_int_equal(
	    merge_patch(router, &at_both, &wanted, &patch, why, sizeof(why)),
	    1);
	check_body(router, &at_both, &wanted, patch);
	expect_peer(patch, 0, CUSTOM_OF(SUBNETS, "[" ADDED(P) "]"));
	expect_peer(patch, 1, CUSTOM_OF(SUBNETS, "[" ADDED(P) "]"));
	json_decref(patch);
	json_decref(router);

	/* the router in CUSTOM mode: what the peer had of it stays */
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_ADVERTISE);
	router = sample("custom-router-level");
	assert_int_equal(
	    merge_patch(router, &at_a, &wanted, &patch, why, sizeof(why)), 1);
	check_body(router, &at_a, &wanted, patch);
	expect_peer(patch, 0, CUSTOM_OF(SUBNETS, "[" LAB "," ADDED(S) "]"));
	assert_true(
	    json_equal(json_array_get(json_object_get(router, "bgpPeers"), 1),
		json_array_get(json_object_get(patch, "bgpPeers"), 1)));
	json_decref(patch);
	json_decref(router);

	/* and no subnets are added where it had none */
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_WITHDRAW);
	router = sample("custom-no-subnets");
	assert_int_equal(
	    merge_patch(router, &at_a, &wanted, &patch, why, sizeof(why)), 1);
	check_body(router, &at_a, &wanted, patch);
	expect_peer(patch, 0, CUSTOM_OF("[]", "[" OLD_P "]"));
	json_decref(patch);
	json_decref(router);
}

static void
expect_refusal(json_t *router, const struct router_targets *targets,
    const struct wanted *wanted, const char *says)
{
	json_t *patch;
	char why[256];

	assert_int_equal(
	    merge_patch(router, targets, wanted, &patch, why, sizeof(why)), -1);
	assert_null(patch);
	assert_non_null(strstr(why, says));
	json_decref(router);
}

static void
refusals(void **state)
{
	struct wanted wanted;

	(void)state;
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_WITHDRAW);
	expect_refusal(sample("nat-only-no-bgp"), &at_router, &wanted,
	    "no BGP");
	expect_refusal(sample("nat-only-no-bgp"), &at_a, &wanted,
	    "named peers");
	expect_refusal(sample("default-mode"), &at_none, &wanted,
	    "named peers");
	want(&wanted, P, ADVERT_WITHDRAW, S, ADVERT_WITHDRAW);
	expect_refusal(sample("default-mode"), &at_none, &wanted,
	    "named peers");
	expect_refusal(json_object(), &at_router, &wanted, "no BGP");
}

/* A level in CUSTOM mode with that many ranges of others. */
static json_t *
crowded(int n)
{
	json_t *ranges = json_array();
	char range[32];
	int i;

	for (i = 0; i < n; i++) {
		snprintf(range, sizeof(range), "10.%d.%d.0/24", i / 256,
		    i % 256);
		json_array_append_new(ranges,
		    json_pack("{s:s}", "range", range));
	}
	return (json_pack("{s:{s:s, s:o}}", "bgp", "advertiseMode", "CUSTOM",
	    "advertisedIpRanges", ranges));
}

static void
at_most_200(void **state)
{
	struct wanted wanted;
	json_t *router, *patch;
	char why[256];

	(void)state;
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_KEEP);
	router = crowded(199);
	assert_int_equal(
	    merge_patch(router, &at_router, &wanted, &patch, why, sizeof(why)),
	    1);
	assert_int_equal(
	    json_array_size(json_object_get(json_object_get(patch, "bgp"),
		"advertisedIpRanges")),
	    200);
	json_decref(patch);
	json_decref(router);
	expect_refusal(crowded(200), &at_router, &wanted, "200");
	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_ADVERTISE);
	expect_refusal(crowded(199), &at_router, &wanted, "200");
}

/* The last look before a write is told of a body that is not as it should be:
 * it does not trust what made it. */
static void
expect_ours(bool ours, const char *name, const struct router_targets *targets,
    const char *body)
{
	struct wanted wanted;
	json_t *router = sample(name);
	json_t *patch = text(body);

	want(&wanted, P, ADVERT_KEEP, S, ADVERT_KEEP);
	assert_int_equal(merge_only_ours(router, targets, patch, wanted.prefix),
	    ours);
	json_decref(patch);
	json_decref(router);
}

static void
last_look(void **state)
{
	(void)state;
	expect_ours(true, "custom-router-level", &at_router,
	    "{\"bgp\":" CUSTOM_OF(SUBNETS, "[" LAB "," ADDED(S) "]") "}");
	/* a range of others lost, changed, or added */
	expect_ours(false, "custom-router-level", &at_router,
	    "{\"bgp\":" CUSTOM_OF(SUBNETS, "[" OLD_P "]") "}");
	expect_ours(false, "custom-router-level", &at_router,
	    "{\"bgp\":" CUSTOM_OF(SUBNETS,
		"[{\"range\":\"192.0.2.128/25\"}]") "}");
	expect_ours(false, "custom-router-level", &at_router,
	    "{\"bgp\":" CUSTOM_OF(SUBNETS,
		"[" LAB "," OLD_P ",{\"range\":\"10.0.0.0/8\"}]") "}");
	expect_ours(false, "default-mode", &at_router,
	    "{\"bgp\":" CUSTOM_OF(SUBNETS,
		"[" ADDED(P) ",{\"range\":\"10.0.0.0/8\"}]") "}");
	/* groups lost, mode changed, no list */
	expect_ours(false, "custom-router-level", &at_router,
	    "{\"bgp\":" CUSTOM_OF("[]", "[" LAB "]") "}");
	expect_ours(false, "default-mode", &at_router,
	    "{\"bgp\":" CUSTOM_OF("[]", "[" ADDED(P) "]") "}");
	expect_ours(false, "custom-router-level", &at_router,
	    "{\"bgp\":{\"advertiseMode\":\"DEFAULT\",\"advertisedGroups\":" SUBNETS
	    ",\"advertisedIpRanges\":[" LAB "]}}");
	expect_ours(false, "default-mode", &at_router,
	    "{\"bgp\":" CUSTOM_OF(SUBNETS, "null") "}");
	/* another member, of bgp or of the router; none at all */
	expect_ours(false, "custom-router-level", &at_router,
	    "{\"bgp\":{\"advertiseMode\":\"CUSTOM\",\"advertisedGroups\":" SUBNETS
	    ",\"advertisedIpRanges\":[" LAB "],\"asn\":1}}");
	expect_ours(false, "custom-router-level", &at_router,
	    "{\"bgp\":" CUSTOM_OF(SUBNETS, "[" LAB "]") ",\"nats\":[]}");
	expect_ours(false, "custom-router-level", &at_router, "{\"nats\":[]}");
	expect_ours(false, "custom-router-level", &at_router, "{\"bgp\":{}}");
	expect_ours(false, "custom-router-level", &at_router, "{}");
	/* the other level */
	expect_ours(false, "custom-router-level", &at_a,
	    "{\"bgp\":" CUSTOM_OF(SUBNETS, "[" LAB "," ADDED(S) "]") "}");
	expect_ours(false, "custom-router-level", &at_router,
	    "{\"bgpPeers\":[]}");
	expect_ours(false, "custom-router-level", &at_a, "{\"bgpPeers\":[]}");
	expect_ours(false, "custom-router-level", &at_a, "{\"bgpPeers\":null}");
}

/* The body for both prefixes at peer a, with one member of peer i changed. */
static bool
tampered(size_t i, const char *key, json_t *value)
{
	json_t *router = sample("peer-custom-overrides");
	struct wanted wanted;
	json_t *patch;
	char why[256];
	bool ours;

	want(&wanted, P, ADVERT_ADVERTISE, S, ADVERT_ADVERTISE);
	assert_int_equal(
	    merge_patch(router, &at_a, &wanted, &patch, why, sizeof(why)), 1);
	assert_true(merge_only_ours(router, &at_a, patch, wanted.prefix));
	json_object_set_new(
	    json_array_get(json_object_get(patch, "bgpPeers"), i), key, value);
	ours = merge_only_ours(router, &at_a, patch, wanted.prefix);
	json_decref(patch);
	json_decref(router);
	return (ours);
}

static void
last_look_at_peers(void **state)
{
	(void)state;
	/* of a peer that is not named nothing may differ */
	assert_false(tampered(1, "advertisedIpRanges", json_array()));
	assert_false(tampered(1, "enable", json_string("FALSE")));
	assert_false(
	    tampered(1, "advertisedIpRanges", text("[" LAB "," ADDED(P) "]")));
	/* of one that is named, only the list, and that only by ours */
	assert_false(tampered(0, "enable", json_string("FALSE")));
	assert_false(tampered(0, "peerAsn", json_integer(1)));
	assert_false(tampered(0, "name", json_string("edge-peer-b")));
	assert_false(tampered(0, "advertisedGroups", json_array()));
	assert_false(tampered(0, "advertiseMode", json_string("DEFAULT")));
	assert_false(tampered(0, "advertisedIpRanges",
	    text("[{\"range\":\"10.0.0.0/8\"}]")));
	assert_true(tampered(0, "advertisedIpRanges", json_array()));
}

static void
ranges_as_text(void **state)
{
	json_t *router;
	char buf[64];

	(void)state;
	router = sample("custom-router-level");
	merge_ranges_text(router, &at_router, buf, sizeof(buf));
	assert_string_equal(buf, "192.0.2.128/25 203.0.113.0/24");
	merge_ranges_text(router, &at_a, buf, sizeof(buf));
	assert_string_equal(buf, "");
	/* what does not fit is left out whole */
	merge_ranges_text(router, &at_router, buf, 20);
	assert_string_equal(buf, "192.0.2.128/25");
	json_decref(router);
	router = sample("peer-custom-overrides");
	merge_ranges_text(router, &at_both, buf, sizeof(buf));
	assert_string_equal(buf, "192.0.2.128/25");
	json_decref(router);
	router = sample("default-mode");
	merge_ranges_text(router, &at_router, buf, sizeof(buf));
	assert_string_equal(buf, "");
	json_decref(router);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_mode),
		cmocka_unit_test(custom_mode),
		cmocka_unit_test(custom_groups),
		cmocka_unit_test(empty_list),
		cmocka_unit_test(compared_as_addresses),
		cmocka_unit_test(strange_members),
		cmocka_unit_test(duplicates),
		cmocka_unit_test(named_peers),
		cmocka_unit_test(peers_inherit),
		cmocka_unit_test(refusals),
		cmocka_unit_test(at_most_200),
		cmocka_unit_test(last_look),
		cmocka_unit_test(last_look_at_peers),
		cmocka_unit_test(ranges_as_text),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
