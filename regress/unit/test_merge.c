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

#define ADV  ADVERT_ADVERTISE
#define WDR  ADVERT_WITHDRAW
#define KEEP ADVERT_KEEP

static const struct router_targets on_router;
static const char named[][NAME_LEN] = { "one" };
static const struct router_targets on_peer = { named, 1 };

static struct wanted
want(enum advert primary, enum advert secondary)
{
	struct wanted wanted;

	assert_int_equal(
	    prefix_parse("203.0.113.0/24", &wanted.prefix[PRIMARY]), 0);
	assert_int_equal(
	    prefix_parse("2001:db8::/32", &wanted.prefix[SECONDARY]), 0);
	wanted.advert[PRIMARY] = primary;
	wanted.advert[SECONDARY] = secondary;
	return (wanted);
}

static json_t *
parse(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (json == NULL)
		fail_msg("%s: %s", error.text, text);
	return (json);
}

/* A router at the router level, what is wanted, and the patch: NULL, none. */
static const struct {
	const char *router;
	enum advert primary;
	enum advert secondary;
	const char *patch;
} cases[] = {
	/* DEFAULT mode: the subnets stay, and nothing is withdrawn. */
	{ "{'bgp':{'asn':64512}}", ADV, WDR,
	    "{'bgp':{'advertiseMode':'CUSTOM','advertisedGroups':"
	    "['ALL_SUBNETS'],'advertisedIpRanges':[{'range':'203.0.113.0/24',"
	    "'description':'mt-gcpd'}]}}" },
	{ "{'bgp':{'advertiseMode':'DEFAULT'}}", WDR, WDR, NULL },
	/* CUSTOM: groups stay as they are, none among them. */
	{ "{'bgp':{'advertiseMode':'CUSTOM'}}", KEEP, ADV,
	    "{'bgp':{'advertiseMode':'CUSTOM','advertisedGroups':[],"
	    "'advertisedIpRanges':[{'range':'2001:db8::/32','description':"
	    "'mt-gcpd'}]}}" },
	/* Others' ranges keep their order and their members. */
	{ "{'bgp':{'advertiseMode':'CUSTOM','advertisedGroups':"
	  "['ALL_SUBNETS','NEW'],'advertisedIpRanges':[{'range':'10.0.0.0/8',"
	  "'x':1},{'range':'203.0.113.0/24'},{'range':'192.0.2.0/28',"
	  "'description':'b'}]}}",
	    WDR, KEEP,
	    "{'bgp':{'advertiseMode':'CUSTOM','advertisedGroups':"
	    "['ALL_SUBNETS','NEW'],'advertisedIpRanges':[{'range':"
	    "'10.0.0.0/8','x':1},{'range':'192.0.2.0/28','description':"
	    "'b'}]}}" },
	/* An emptied list keeps CUSTOM; all of ours go, however written. */
	{ "{'bgp':{'advertiseMode':'CUSTOM','advertisedIpRanges':[{'range':"
	  "'203.0.113.7/24'},{'range':'203.0.113.0/24'},{'range':"
	  "'2001:DB8:0::/32'}]}}",
	    WDR, WDR,
	    "{'bgp':{'advertiseMode':'CUSTOM','advertisedGroups':[],"
	    "'advertisedIpRanges':[]}}" },
	/* Nothing to do. */
	{ "{'bgp':{'advertiseMode':'CUSTOM','advertisedIpRanges':[{'range':"
	  "'203.0.113.9/24','description':'theirs'}]}}",
	    ADV, WDR, NULL },
	{ "{'bgp':{'advertiseMode':'CUSTOM','advertisedIpRanges':[{'range':"
	  "'203.0.113.0/25'}]}}",
	    WDR, WDR, NULL },
	/* Ranges that say nothing in DEFAULT mode do not come to life. */
	{ "{'bgp':{'advertiseMode':'DEFAULT','advertisedIpRanges':[{'range':"
	  "'10.0.0.0/8'}]}}",
	    ADV, KEEP,
	    "{'bgp':{'advertiseMode':'CUSTOM','advertisedGroups':"
	    "['ALL_SUBNETS'],'advertisedIpRanges':[{'range':'203.0.113.0/24',"
	    "'description':'mt-gcpd'}]}}" },
};

static json_t *
parse_quoted(const char *text)
{
	char *copy = strdup(text);
	json_t *json;
	char *p;

	for (p = copy; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	json = parse(copy);
	free(copy);
	return (json);
}

static void
test_router_level(void **state)
{
	struct wanted wanted;
	json_t *router, *patch, *expected;
	char why[128];
	size_t i;
	int r;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		router = parse_quoted(cases[i].router);
		wanted = want(cases[i].primary, cases[i].secondary);
		r = merge_patch(router, &on_router, &wanted, &patch, why,
		    sizeof(why));
		assert_int_equal(r, cases[i].patch != NULL);
		if (r == 1) {
			expected = parse_quoted(cases[i].patch);
			if (!json_equal(patch, expected))
				fail_msg("case %zu: %s", i,
				    json_dumps(patch, 0));
			assert_true(
			    merge_only_ours(router, patch, wanted.prefix));
			json_decref(expected);
		}
		json_decref(patch);
		json_decref(router);
	}
}

/* All peers are sent, each with all it has; only the named one changes. */
static void
test_peers(void **state)
{
	static const char text[] =
	    "{'bgp':{'advertiseMode':'CUSTOM','advertisedGroups':"
	    "['ALL_SUBNETS'],'advertisedIpRanges':[{'range':'10.0.0.0/8'}]},"
	    "'bgpPeers':[{'name':'other','future':{'a':[1]}},{'name':'one',"
	    "'md5AuthenticationKeyName':'k','enable':'TRUE'}]}";
	static const char want_text[] =
	    "{'bgpPeers':[{'name':'other','future':{'a':[1]}},{'name':'one',"
	    "'md5AuthenticationKeyName':'k','enable':'TRUE','advertiseMode':"
	    "'CUSTOM','advertisedGroups':['ALL_SUBNETS'],"
	    "'advertisedIpRanges':[{'range':'10.0.0.0/8'},{'range':"
	    "'203.0.113.0/24','description':'mt-gcpd'}]}]}";
	struct wanted wanted = want(ADV, WDR);
	json_t *router = parse_quoted(text);
	json_t *expected = parse_quoted(want_text);
	json_t *patch;
	char why[128];

	(void)state;
	assert_int_equal(
	    merge_patch(router, &on_peer, &wanted, &patch, why, sizeof(why)),
	    1);
	assert_true(json_equal(patch, expected));
	assert_true(merge_only_ours(router, patch, wanted.prefix));

	/* A peer less, or another router member, is not ours to write. */
	json_array_remove(json_object_get(patch, "bgpPeers"), 0);
	assert_false(merge_only_ours(router, patch, wanted.prefix));
	json_object_set_new(expected, "nats", json_array());
	assert_false(merge_only_ours(router, expected, wanted.prefix));
	json_decref(patch);
	json_decref(expected);
	json_decref(router);
}

static void
test_refusals(void **state)
{
	struct wanted wanted = want(ADV, KEEP);
	json_t *router, *ranges, *patch;
	char why[128], text[32];
	int i;

	(void)state;
	router = parse_quoted("{'name':'nat-only'}");
	assert_int_equal(
	    merge_patch(router, &on_router, &wanted, &patch, why, sizeof(why)),
	    -1);
	assert_non_null(strstr(why, "no BGP"));
	json_decref(router);

	router = parse_quoted("{'bgp':{},'bgpPeers':[{'name':'other'}]}");
	assert_int_equal(
	    merge_patch(router, &on_peer, &wanted, &patch, why, sizeof(why)),
	    -1);
	assert_non_null(strstr(why, "named peers"));
	json_decref(router);

	router = parse_quoted("{'bgp':{'advertiseMode':'CUSTOM',"
			      "'advertisedIpRanges':[]}}");
	ranges = json_object_get(json_object_get(router, "bgp"),
	    "advertisedIpRanges");
	for (i = 0; i < RANGES_MAX; i++) {
		snprintf(text, sizeof(text), "10.1.%d.0/24", i);
		json_array_append_new(ranges,
		    json_pack("{s:s}", "range", text));
	}
	assert_int_equal(
	    merge_patch(router, &on_router, &wanted, &patch, why, sizeof(why)),
	    -1);
	assert_non_null(strstr(why, "200"));
	json_decref(router);
}

/* The last look sees a foreign range that is gone, new or changed. */
static void
test_only_ours(void **state)
{
	static const char *const others[] = { "[]",
		"[{'range':'10.0.0.0/8','description':'changed'}]",
		"[{'range':'10.0.0.0/8'},{'range':'10.0.0.0/9'}]" };
	struct wanted wanted = want(ADV, KEEP);
	json_t *router, *patch;
	char text[256];
	size_t i;

	(void)state;
	router = parse_quoted(
	    "{'bgp':{'advertiseMode':'CUSTOM',"
	    "'advertisedIpRanges':[{'range':'10.0.0.0/8'}]}}");
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		snprintf(text, sizeof(text),
		    "{'bgp':{'advertiseMode':"
		    "'CUSTOM','advertisedGroups':[],'advertisedIpRanges':%s}}",
		    others[i]);
		patch = parse_quoted(text);
		assert_false(merge_only_ours(router, patch, wanted.prefix));
		json_decref(patch);
	}
	patch = parse_quoted("{'bgp':{'asn':1,'advertiseMode':'CUSTOM',"
			     "'advertisedGroups':[],'advertisedIpRanges':[]}}");
	assert_false(merge_only_ours(router, patch, wanted.prefix));
	json_decref(patch);
	json_decref(router);
}

static void
test_ranges_text(void **state)
{
	json_t *router = parse_quoted(
	    "{'bgp':{'advertiseMode':'CUSTOM',"
	    "'advertisedIpRanges':[{'range':'10.0.0.0/8'},{'range':"
	    "'192.0.2.0/28'}]}}");
	char text[64], little[14];

	(void)state;
	merge_ranges_text(router, &on_router, text, sizeof(text));
	assert_string_equal(text, "10.0.0.0/8 192.0.2.0/28");
	merge_ranges_text(router, &on_router, little, sizeof(little));
	assert_string_equal(little, "10.0.0.0/8");
	json_decref(router);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_router_level),
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_only_ours),
		cmocka_unit_test(test_ranges_text),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
