/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gcp.h"

#ifndef REGRESS_DIR
#define REGRESS_DIR "regress"
#endif

static json_t *
sample(const char *name)
{
	char path[512];
	json_t *json;

	snprintf(path, sizeof(path), "%s/samples/%s.json", REGRESS_DIR, name);
	json = json_load_file(path, 0, NULL);
	assert_non_null(json);
	return (json);
}

static struct prefix
pfx(const char *text)
{
	struct prefix prefix;

	assert_int_equal(prefix_parse(text, &prefix), 0);
	return (prefix);
}

static enum presence
presence(const char *name, const struct router_targets *targets,
    const char *text)
{
	struct prefix prefix;
	enum presence found;
	json_t *router;

	prefix = pfx(text);
	router = sample(name);
	found = router_presence(router, targets, &prefix);
	json_decref(router);
	return (found);
}

static void
router_level(void **state)
{
	(void)state;
	assert_int_equal(presence("router.get.response--custom-router-level",
			     NULL, "203.0.113.0/24"),
	    PRESENCE_ALL);
	assert_int_equal(presence("router.get.response--custom-router-level",
			     NULL, "203.0.113.0/25"),
	    PRESENCE_NONE);
	assert_int_equal(presence("router.get.response--custom-empty-list",
			     NULL, "203.0.113.0/24"),
	    PRESENCE_NONE);
	assert_int_equal(presence("router.get.response--default-mode", NULL,
			     "203.0.113.0/24"),
	    PRESENCE_NONE);
	assert_int_equal(presence("router.get.response--nat-only-no-bgp", NULL,
			     "203.0.113.0/24"),
	    PRESENCE_NONE);
}

static void
peer_level(void **state)
{
	static const char names[][NAME_LEN] = { "edge-peer-b", "edge-peer-a",
		"none" };
	struct router_targets targets = { names, 1 };
	const char *custom = "router.get.response--peer-custom-overrides";

	(void)state;
	assert_int_equal(presence(custom, &targets, "192.0.2.128/25"),
	    PRESENCE_ALL);
	assert_int_equal(presence(custom, &targets, "203.0.113.0/24"),
	    PRESENCE_NONE);
	/* a peer in DEFAULT mode has no list of its own, nor one that is not
	 * there */
	targets.npeers = 2;
	assert_int_equal(presence(custom, &targets, "192.0.2.128/25"),
	    PRESENCE_SOME);
	targets.npeers = 3;
	assert_int_equal(presence(custom, &targets, "192.0.2.128/25"),
	    PRESENCE_SOME);
	assert_true(targets_name(&targets, "none"));
	assert_false(targets_name(&targets, "other"));
	assert_false(targets_name(NULL, "none"));
}

/* A list counts by its mode, and ranges by their masked address. */
static void
modes_and_masks(void **state)
{
	static const struct {
		const char *router;
		enum presence presence;
	} cases[] = {
		{ "{\"bgp\":{\"advertiseMode\":\"DEFAULT\","
		  "\"advertisedIpRanges\":[{\"range\":\"2001:db8::/32\"}]}}",
		    PRESENCE_NONE },
		{ "{\"bgp\":{\"advertiseMode\":\"CUSTOM\","
		  "\"advertisedIpRanges\":[{\"range\":\"2001:0DB8:0::1/32\"}]}}",
		    PRESENCE_ALL },
		{ "{\"bgp\":{\"advertiseMode\":\"CUSTOM\","
		  "\"advertisedIpRanges\":[{},{\"range\":7},"
		  "{\"range\":\"nonsense\"},null,{\"range\":\"2001:db8::/33\"}]"
		  "}}",
		    PRESENCE_NONE },
		{ "{\"bgp\":[]}", PRESENCE_NONE },
		{ "{\"bgp\":{\"advertiseMode\":\"CUSTOM\","
		  "\"advertisedIpRanges\":{\"range\":\"2001:db8::/32\"}}}",
		    PRESENCE_NONE },
	};
	struct prefix prefix;
	json_t *router;
	size_t i;

	(void)state;
	prefix = pfx("2001:db8::/32");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		router = json_loads(cases[i].router, 0, NULL);
		assert_non_null(router);
		assert_int_equal(router_presence(router, NULL, &prefix),
		    cases[i].presence);
		json_decref(router);
	}
}

static enum verdict
announces(const char *name, json_t *router,
    const struct router_targets *targets, const char *text)
{
	struct prefix prefix;
	enum verdict verdict;
	json_t *status;

	prefix = pfx(text);
	status = sample(name);
	verdict = status_announces(status, router, targets, &prefix);
	json_decref(status);
	return (verdict);
}

static void
announced(void **state)
{
	static const char names[][NAME_LEN] = { "edge-peer-a" };
	static const char others[][NAME_LEN] = { "elsewhere" };
	const struct router_targets a = { names, 1 }, other = { others, 1 };
	const char *up = "router.status.response--all-up";
	json_t *router;

	(void)state;
	router = sample("router.get.response--custom-router-level");
	assert_int_equal(announces(up, router, NULL, "203.0.113.0/24"), V_YES);
	assert_int_equal(announces(up, NULL, NULL, "203.0.113.0/24"), V_YES);
	assert_int_equal(announces(up, router, &a, "203.0.113.0/24"), V_YES);
	assert_int_equal(announces(up, router, &other, "203.0.113.0/24"), V_NO);
	assert_int_equal(announces(up, router, NULL, "198.51.100.0/24"), V_NO);
	assert_int_equal(announces("router.status.response--up-but-not-"
				   "advertising",
			     router, NULL, "203.0.113.0/24"),
	    V_NO);
	assert_int_equal(announces("router.status.response--all-down", router,
			     NULL, "203.0.113.0/24"),
	    V_NO);
	assert_int_equal(announces("router.status.response--no-peers", router,
			     NULL, "203.0.113.0/24"),
	    V_NO);
	json_decref(router);
}

static void
announced_unknown(void **state)
{
	struct prefix prefix;
	json_t *router, *status;

	(void)state;
	prefix = pfx("203.0.113.0/24");
	/* peers that are up, and no list of routes anywhere */
	status = json_loads("{\"result\":{\"bgpPeerStatus\":["
			    "{\"name\":\"a\",\"status\":\"UP\"},"
			    "{\"name\":\"b\",\"status\":\"DOWN\","
			    "\"advertisedRoutes\":[]}]}}",
	    0, NULL);
	assert_int_equal(status_announces(status, NULL, NULL, &prefix),
	    V_UNKNOWN);
	/* the one that is up does not count: nobody is told anything */
	router = json_loads("{\"bgpPeers\":[{\"name\":\"a\",\"enable\":"
			    "\"FALSE\"}]}",
	    0, NULL);
	assert_int_equal(status_announces(status, router, NULL, &prefix), V_NO);
	json_decref(status);
	/* one with a list and one without: the list is what there is */
	status = json_loads("{\"result\":{\"bgpPeerStatus\":["
			    "{\"name\":\"b\",\"status\":\"UP\"},"
			    "{\"name\":\"c\",\"status\":\"UP\","
			    "\"advertisedRoutes\":[]}]}}",
	    0, NULL);
	assert_int_equal(status_announces(status, router, NULL, &prefix), V_NO);
	json_decref(status);
	json_decref(router);
}

static void
peers(void **state)
{
	json_t *peer;

	(void)state;
	peer = json_loads("{\"status\":\"UP\",\"state\":\"Idle\"}", 0, NULL);
	assert_int_equal(peer_status(peer), V_YES);
	assert_true(peer_enabled(peer));
	assert_false(peer_custom(peer));
	json_object_set_new(peer, "status", json_string("DOWN"));
	assert_int_equal(peer_status(peer), V_NO);
	json_object_set_new(peer, "status", json_string("UNKNOWN"));
	assert_int_equal(peer_status(peer), V_UNKNOWN);
	json_object_set_new(peer, "status", json_string("RESTARTING"));
	assert_int_equal(peer_status(peer), V_UNKNOWN);
	json_object_set_new(peer, "enable", json_string("FALSE"));
	assert_false(peer_enabled(peer));
	json_object_set_new(peer, "enable", json_string("TRUE"));
	assert_true(peer_enabled(peer));
	json_decref(peer);
}

static void
bodies(void **state)
{
	char why[128], deep[8192];
	json_t *json;

	(void)state;
	json = json_answer("{\"a\":1}", 7, why, sizeof(why));
	assert_non_null(json);
	assert_null(json_text(json, "a"));
	assert_null(json_text(json, "b"));
	json_decref(json);
	assert_null(json_answer("[]", 2, why, sizeof(why)));
	assert_null(json_answer("", 0, why, sizeof(why)));
	assert_null(json_answer("{\"a\":1,\"a\":2}", 13, why, sizeof(why)));
	assert_non_null(strstr(why, "not JSON"));
	assert_null(json_answer("{\"a\":\"\\u0000\"}", 14, why, sizeof(why)));
	memset(deep, '[', sizeof(deep));
	assert_null(json_answer(deep, sizeof(deep), why, sizeof(why)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(router_level),
		cmocka_unit_test(peer_level),
		cmocka_unit_test(modes_and_masks),
		cmocka_unit_test(announced),
		cmocka_unit_test(announced_unknown),
		cmocka_unit_test(peers),
		cmocka_unit_test(bodies),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
