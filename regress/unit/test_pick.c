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

#include "gcp.h"
#include "pick.h"

/* Which Magic Transit routes are ours, and what is sent to change them. */

#ifndef REGRESS_DIR
#define REGRESS_DIR "regress"
#endif

static json_t *
sample(const char *name)
{
	char path[512];
	json_t *json;

	snprintf(path, sizeof(path),
	    "%s/samples/magic.routes.list.response--%s.json", REGRESS_DIR,
	    name);
	json = json_load_file(path, 0, NULL);
	assert_non_null(json);
	return (json);
}

static json_t *
text(const char *json)
{
	json_t *value;

	value = json_loads(json, JSON_DECODE_ANY, NULL);
	assert_non_null(value);
	return (value);
}

/* An answer with these routes. */
static json_t *
list(const char *routes)
{
	return (json_pack("{s:{s:o}, s:b}", "result", "routes", text(routes),
	    "success", 1));
}

#define ROUTE(id, description)                                                   \
	"{\"id\":\"" id "\",\"prefix\":\"203.0.113.0/24\","                      \
	"\"nexthop\":\"10.0.0.1\",\"priority\":100,\"description\":" description \
	"}"

/* Pick, and check the ids in their order; takes the list. */
static void
expect_ours(json_t *answer, const struct picker *picker, const char *ids)
{
	char found[512] = "", why[256] = "";
	json_t *ours, *route;
	size_t i;

	if (pick_routes(answer, picker, &ours, why, sizeof(why)) == -1)
		fail_msg("%s", why);
	json_array_foreach(ours, i, route) {
		if (i > 0)
			strlcat(found, " ", sizeof(found));
		strlcat(found, json_text(route, "id"), sizeof(found));
	}
	assert_string_equal(found, ids);
	json_decref(ours);
	json_decref(answer);
}

static void
expect_none(json_t *answer, const struct picker *picker, const char *says)
{
	char why[256] = "";
	json_t *ours;

	assert_int_equal(pick_routes(answer, picker, &ours, why, sizeof(why)),
	    -1);
	assert_null(ours);
	if (strstr(why, says) == NULL)
		fail_msg("%s", why);
	json_decref(answer);
}

static void
by_description(void **state)
{
	struct picker picker = { .match = "edge local", .expect = -1 };

	(void)state;
	expect_ours(sample("scope-and-weight"), &picker,
	    "000000000000000000000000000000a1 "
	    "000000000000000000000000000000a2");
	picker.match = "edge remote site B";
	expect_ours(sample("scope-and-weight"), &picker,
	    "000000000000000000000000000000a3");
	/* bytes, not letters */
	picker.match = "Edge local";
	expect_none(sample("scope-and-weight"), &picker,
	    "no route matches \"Edge local\"");
	picker.match = "edge local site A ";
	expect_none(sample("scope-and-weight"), &picker, "no route matches");
	picker.match = "(.*)";
	expect_none(sample("scope-and-weight"), &picker, "no route matches");
}

static void
no_description(void **state)
{
	/* not even by a text that everything contains */
	const struct picker picker = { .match = "", .expect = -1 };

	(void)state;
	expect_ours(list("[" ROUTE("a", "null") "," ROUTE("b", "17") "," ROUTE(
			"c", "\"x\"") ",{\"id\":\"d\"},7,null]"),
	    &picker, "c");
}

static void
nothing_there(void **state)
{
	const struct picker picker = { .match = "edge", .expect = -1 };

	(void)state;
	expect_none(sample("none"), &picker, "no route matches");
	expect_none(sample("routes-absent"), &picker, "no route matches");
	expect_none(list("null"), &picker, "no route matches");
	/* not a list: that says nothing */
	expect_none(list("{}"), &picker, "no list of routes");
	expect_none(list("\"\""), &picker, "no list of routes");
	expect_none(text("{\"success\":true}"), &picker, "no list of routes");
	expect_none(text("{\"success\":true,\"result\":null}"), &picker,
	    "no list of routes");
	expect_none(text("{\"success\":true,\"result\":[]}"), &picker,
	    "no list of routes");
}

static void
as_many_as_expected(void **state)
{
	struct picker picker = { .match = "edge local", .expect = 2 };

	(void)state;
	expect_ours(sample("scope-and-weight"), &picker,
	    "000000000000000000000000000000a1 "
	    "000000000000000000000000000000a2");
	picker.expect = 1;
	expect_none(sample("scope-and-weight"), &picker,
	    "2 routes match \"edge local\", expected 1");
	picker.expect = 3;
	expect_none(sample("scope-and-weight"), &picker, "expected 3");
	/* none is never right */
	picker.expect = 0;
	picker.match = "nothing";
	expect_none(sample("scope-and-weight"), &picker, "no route matches");
}

static void
not_ours_alone(void **state)
{
	const char *others[] = { "elsewhere", "site A" };
	struct picker picker = { .match = "edge local", .expect = -1 };

	(void)state;
	picker.others = others;
	picker.nothers = 1;
	expect_ours(sample("scope-and-weight"), &picker,
	    "000000000000000000000000000000a1 "
	    "000000000000000000000000000000a2");
	picker.nothers = 2;
	expect_none(sample("scope-and-weight"), &picker,
	    "matches \"edge local\" and \"site A\"");
	/* what only the other one matches is no concern of ours */
	picker.match = "edge remote";
	expect_ours(sample("scope-and-weight"), &picker,
	    "000000000000000000000000000000a3");
}

/* A route that matches, but for one member, which takes the value. */
static void
expect_part(const char *key, json_t *value)
{
	const struct picker picker = { .match = "x", .expect = -1 };
	json_t *answer = list("[" ROUTE("a", "\"x\"") "]");
	json_t *route;

	route = json_array_get(
	    json_object_get(json_object_get(answer, "result"), "routes"), 0);
	if (value == NULL)
		json_object_del(route, key);
	else
		json_object_set_new(route, key, value);
	expect_none(answer, &picker, "lacks");
}

static void
not_whole(void **state)
{
	(void)state;
	expect_part("id", NULL);
	expect_part("prefix", NULL);
	expect_part("nexthop", json_null());
	expect_part("nexthop", json_integer(1));
	expect_part("priority", NULL);
	expect_part("priority", json_string("100"));
	expect_part("priority", json_real(100.0));
}

/* The body of an update with the routes from the given one on. */
static json_t *
body_of(const json_t *differing, size_t from, json_int_t priority)
{
	json_t *routes = json_array();
	size_t n = pick_add(routes, differing, from, priority);

	assert_int_equal(n, json_array_size(routes));
	return (json_pack("{s:o}", "routes", routes));
}

/* Is the body let through for a single failover? */
static bool
lets(const json_t *body, const char *match, json_int_t priority,
    json_int_t failed)
{
	const struct pick_owner owner = { .match = match,
		.priority = priority,
		.failed = failed,
		.may = true };

	return (pick_only_ours(body, &owner, 1));
}

/* Pick, and make the body for that priority. */
static void
expect_bodies(json_t *answer, const char *match, json_int_t priority,
    const char *expected)
{
	const struct picker picker = { .match = match, .expect = -1 };
	json_t *ours, *differing, *body, *value;
	char why[256];

	assert_int_equal(pick_routes(answer, &picker, &ours, why, sizeof(why)),
	    0);
	differing = pick_differing(ours, priority);
	if (expected == NULL)
		assert_int_equal(json_array_size(differing), 0);
	else {
		body = body_of(differing, 0, priority);
		value = text(expected);
		assert_true(json_equal(body, value));
		assert_true(lets(body, match, priority, 999));
		assert_true(lets(body, match, 999, priority));
		json_decref(body);
		json_decref(value);
	}
	json_decref(differing);
	json_decref(ours);
	json_decref(answer);
}

static void
bodies(void **state)
{
	(void)state;
	/* all that can be written, as read; nothing that cannot */
	expect_bodies(sample("scope-and-weight"), "edge local", 200,
	    "{\"routes\":["
	    "{\"id\":\"000000000000000000000000000000a1\","
	    "\"prefix\":\"203.0.113.0/24\",\"nexthop\":\"10.213.0.9\","
	    "\"priority\":200,\"description\":\"edge local site A\","
	    "\"weight\":64,\"scope\":{\"colo_regions\":[\"ENAM\",\"WNAM\"],"
	    "\"colo_names\":[]}},"
	    "{\"id\":\"000000000000000000000000000000a2\","
	    "\"prefix\":\"203.0.113.0/24\",\"nexthop\":\"10.213.0.11\","
	    "\"priority\":200,\"description\":\"edge local site A\","
	    "\"weight\":128,\"scope\":{\"colo_names\":[\"iad02\",\"den01\"]}"
	    "}]}");
	/* only those that have another priority */
	expect_bodies(sample("scope-and-weight"), "edge local", 100, NULL);
	expect_bodies(sample("scope-and-weight"), "site", 100,
	    "{\"routes\":["
	    "{\"id\":\"000000000000000000000000000000a3\","
	    "\"prefix\":\"203.0.113.0/24\",\"nexthop\":\"10.214.0.9\","
	    "\"priority\":100,\"description\":\"edge remote site B\"}]}");
	/* null and absent members are left out, unknown ones too */
	expect_bodies(
	    list("[{\"id\":\"a\",\"prefix\":\"2001:db8:100::/48\","
		 "\"nexthop\":\"2001:db8:ffff::9\",\"priority\":0,"
		 "\"description\":\"x\",\"weight\":null,\"scope\":null,"
		 "\"created_on\":\"2024-06-14T00:00:00Z\",\"new\":1}]"),
	    "x", 5,
	    "{\"routes\":[{\"id\":\"a\",\"prefix\":\"2001:db8:100::/48\","
	    "\"nexthop\":\"2001:db8:ffff::9\",\"priority\":5,"
	    "\"description\":\"x\"}]}");
}

static json_int_t
priority_at(const json_t *routes, size_t i)
{
	return (json_integer_value(
	    json_object_get(json_array_get(routes, i), "priority")));
}

static void
at_most_100(void **state)
{
	json_t *differing = json_array(), *body, *routes;
	char id[16];
	size_t i;

	(void)state;
	for (i = 0; i < 250; i++) {
		snprintf(id, sizeof(id), "%03zu", i);
		json_array_append_new(differing,
		    json_pack("{s:s, s:s, s:s, s:i, s:s}", "id", id, "prefix",
			"203.0.113.0/24", "nexthop", "10.0.0.1", "priority",
			100, "description", "x"));
	}
	for (i = 0; i < 250; i += BULK_MAX) {
		body = body_of(differing, i, 200);
		assert_int_equal(
		    json_array_size(json_object_get(body, "routes")),
		    i == 200 ? 50 : 100);
		snprintf(id, sizeof(id), "%03zu", i);
		assert_string_equal(
		    json_text(
			json_array_get(json_object_get(body, "routes"), 0),
			"id"),
		    id);
		assert_true(lets(body, "x", 100, 200));
		json_decref(body);
	}
	/* what others have put there counts */
	routes = json_array();
	assert_int_equal(pick_add(routes, differing, 210, 200), 40);
	assert_int_equal(pick_add(routes, differing, 0, 300), 60);
	assert_int_equal(pick_add(routes, differing, 60, 300), 0);
	assert_int_equal(json_array_size(routes), BULK_MAX);
	assert_int_equal(priority_at(routes, 39), 200);
	assert_int_equal(priority_at(routes, 40), 300);
	assert_string_equal(json_text(json_array_get(routes, 99), "id"), "059");
	json_decref(routes);
	/* nothing is left */
	routes = json_array();
	assert_int_equal(pick_add(routes, differing, 250, 200), 0);
	json_decref(routes);
	json_decref(differing);
}

static bool
unharmed(const char *before, const char *after)
{
	json_t *x = text(before), *y = text(after);
	bool result = pick_unharmed(x, y);

	json_decref(x);
	json_decref(y);
	return (result);
}

static void
unharmed_routes(void **state)
{
	static const char one[] =
	    "[{\"id\":\"a\",\"prefix\":\"p\",\"nexthop\":\"n\","
	    "\"priority\":100,\"description\":\"x\",\"weight\":5,"
	    "\"scope\":{\"colo_names\":[\"iad02\"]},\"modified_on\":\"1\"}]";

	(void)state;
	/* priority and time differ, and another route is new */
	assert_true(unharmed(one,
	    "[{\"id\":\"b\"},{\"id\":\"a\",\"prefix\":\"p\","
	    "\"nexthop\":\"n\",\"priority\":200,\"description\":\"x\","
	    "\"weight\":5,\"scope\":{\"colo_names\":[\"iad02\"]},"
	    "\"modified_on\":\"2\"}]"));
	assert_false(unharmed(one,
	    "[{\"id\":\"a\",\"prefix\":\"p\",\"nexthop\":\"n\","
	    "\"priority\":200,\"description\":\"x\","
	    "\"scope\":{\"colo_names\":[\"iad02\"]}}]"));
	assert_false(unharmed(one,
	    "[{\"id\":\"a\",\"prefix\":\"p\",\"nexthop\":\"n\","
	    "\"priority\":200,\"description\":\"x\",\"weight\":5,"
	    "\"scope\":null}]"));
	assert_false(unharmed(one,
	    "[{\"id\":\"a\",\"prefix\":\"p\",\"nexthop\":\"m\","
	    "\"priority\":200,\"description\":\"x\",\"weight\":5,"
	    "\"scope\":{\"colo_names\":[\"iad02\"]}}]"));
	assert_false(unharmed(one, "[]"));
}

static bool
only_ours(const char *body)
{
	json_t *json = text(body);
	bool result = lets(json, "x", 100, 200);

	json_decref(json);
	return (result);
}

/* The last look before a write does not trust what made the body. */
static void
last_look(void **state)
{
	json_t *body, *routes;
	int i;

	(void)state;
	assert_true(only_ours("{\"routes\":[" ROUTE("a", "\"x\"") "]}"));
	assert_false(only_ours(
	    "{\"routes\":[" ROUTE("a", "\"x\"") "," ROUTE("b", "\"y\"") "]}"));
	assert_false(only_ours("{\"routes\":[" ROUTE("a", "null") "]}"));
	assert_false(only_ours("{\"routes\":[{\"description\":\"x\","
			       "\"priority\":101}]}"));
	assert_false(only_ours("{\"routes\":[{\"description\":\"x\"}]}"));
	assert_false(only_ours("{\"routes\":[{\"description\":\"x\","
			       "\"priority\":\"100\"}]}"));
	assert_false(only_ours("{\"routes\":[]}"));
	assert_false(only_ours("{}"));
	routes = json_array();
	for (i = 0; i <= BULK_MAX; i++)
		json_array_append_new(routes, text(ROUTE("a", "\"x\"")));
	body = json_pack("{s:o}", "routes", routes);
	assert_false(lets(body, "x", 100, 200));
	json_array_remove(routes, 0);
	assert_true(lets(body, "x", 100, 200));
	json_decref(body);
	/* not even where 0 is a priority */
	body = text("{\"routes\":[{\"description\":\"x\"}]}");
	assert_false(lets(body, "x", 0, 200));
	json_decref(body);
}

static bool
of_many(const struct pick_owner *owner, const char *body)
{
	json_t *json = text(body);
	bool result = pick_only_ours(json, owner, 3);

	json_decref(json);
	return (result);
}

/* One body may carry routes of more than one failover. */
static void
last_look_at_many(void **state)
{
	struct pick_owner owner[3] = {
		{ .match = "x", .priority = 100, .failed = 200, .may = true },
		{ .match = "y", .priority = 300, .failed = 400, .may = true },
		{ .match = NULL, .priority = 500, .failed = 600, .may = true },
	};
#define PRIO(n, what) "{\"description\":\"" what "\",\"priority\":" #n "}"

	(void)state;
	assert_true(of_many(owner,
	    "{\"routes\":[" PRIO(100, "x") "," PRIO(400, "y") "]}"));
	/* each with its own priorities */
	assert_false(of_many(owner,
	    "{\"routes\":[" PRIO(100, "x") "," PRIO(100, "y") "]}"));
	assert_false(of_many(owner, "{\"routes\":[" PRIO(300, "x") "]}"));
	assert_false(of_many(owner, "{\"routes\":[" PRIO(500, "z") "]}"));
	/* one of both is nobody's */
	assert_false(of_many(owner, "{\"routes\":[" PRIO(100, "xy") "]}"));
	owner[1].may = false;
	assert_false(of_many(owner, "{\"routes\":[" PRIO(400, "y") "]}"));
	assert_false(of_many(owner, "{\"routes\":[" PRIO(100, "xy") "]}"));
	assert_true(of_many(owner, "{\"routes\":[" PRIO(100, "x") "]}"));
}

/* An update that changes nothing has the routes as they are, with what can be
 * written of them. */
static void
unchanged(void **state)
{
	const struct picker picker = { .match = "edge local", .expect = -1 };
	json_t *answer = sample("scope-and-weight");
	json_t *ours, *body, *value;
	char why[256];

	(void)state;
	assert_int_equal(pick_routes(answer, &picker, &ours, why, sizeof(why)),
	    0);
	body = pick_unchanged(ours, 0);
	value = text("{\"routes\":["
		     "{\"id\":\"000000000000000000000000000000a1\","
		     "\"prefix\":\"203.0.113.0/24\","
		     "\"nexthop\":\"10.213.0.9\",\"priority\":100,"
		     "\"description\":\"edge local site A\",\"weight\":64,"
		     "\"scope\":{\"colo_regions\":[\"ENAM\",\"WNAM\"],"
		     "\"colo_names\":[]}},"
		     "{\"id\":\"000000000000000000000000000000a2\","
		     "\"prefix\":\"203.0.113.0/24\","
		     "\"nexthop\":\"10.213.0.11\",\"priority\":100,"
		     "\"description\":\"edge local site A\",\"weight\":128,"
		     "\"scope\":{\"colo_names\":[\"iad02\",\"den01\"]}}]}");
	assert_true(json_equal(body, value));
	assert_true(pick_only_unchanged(body, answer, &picker));
	json_decref(body);
	json_decref(value);
	body = pick_unchanged(ours, 1);
	assert_int_equal(json_array_size(json_object_get(body, "routes")), 1);
	assert_true(pick_only_unchanged(body, answer, &picker));
	json_decref(body);
	body = pick_unchanged(ours, 2);
	assert_false(pick_only_unchanged(body, answer, &picker));
	json_decref(body);
	json_decref(ours);
	json_decref(answer);
}

static bool
is_let(const char *body, const char *routes, const struct picker *picker)
{
	json_t *json = text(body);
	json_t *answer = list(routes);
	bool result = pick_only_unchanged(json, answer, picker);

	json_decref(json);
	json_decref(answer);
	return (result);
}

/* The last look before an update that is to be validated only lets nothing
 * through that would change something, or is not ours. */
static void
last_look_at_unchanged(void **state)
{
	const char *others[] = { "theirs" };
	const struct picker picker = { .match = "x",
		.others = others,
		.nothers = 1,
		.expect = -1 };
#define X    ROUTE("a", "\"x\"")
#define BODY "{\"routes\":[" X "]}"
	json_t *routes, *body, *answer;
	int i;

	(void)state;
	assert_true(is_let(BODY, "[" X "]", &picker));
	/* another priority, and others' members */
	assert_false(is_let("{\"routes\":[{\"id\":\"a\","
			    "\"prefix\":\"203.0.113.0/24\","
			    "\"nexthop\":\"10.0.0.1\",\"priority\":101,"
			    "\"description\":\"x\"}]}",
	    "[" X "]", &picker));
	assert_false(is_let("{\"routes\":[{\"id\":\"a\","
			    "\"prefix\":\"203.0.113.0/24\","
			    "\"nexthop\":\"10.0.0.1\",\"priority\":100}]}",
	    "[" X "]", &picker));
	assert_false(is_let("{\"routes\":[{\"id\":\"a\","
			    "\"prefix\":\"203.0.113.0/24\",\"weight\":1,"
			    "\"nexthop\":\"10.0.0.1\",\"priority\":100,"
			    "\"description\":\"x\"}]}",
	    "[" X "]", &picker));
	/* not in the list, not ours, not ours alone */
	assert_false(is_let(BODY, "[" ROUTE("b", "\"x\"") "]", &picker));
	assert_false(is_let("{\"routes\":[" X "," ROUTE("b", "\"y\"") "]}",
	    "[" X "," ROUTE("b", "\"y\"") "]", &picker));
	assert_false(is_let("{\"routes\":[" ROUTE("a", "\"y\"") "]}", "[" X "]",
	    &picker));
	assert_false(
	    is_let(BODY, "[" X "," ROUTE("b", "\"x theirs\"") "]", &picker));
	/* of another shape */
	assert_false(is_let("{}", "[" X "]", &picker));
	assert_false(is_let("{\"routes\":[]}", "[" X "]", &picker));
	assert_false(is_let("{\"routes\":[{}]}", "[" X "]", &picker));
	assert_false(
	    is_let("{\"routes\":[" X "],\"more\":1}", "[" X "]", &picker));
	assert_false(is_let(BODY, "[]", &picker));
	routes = json_array();
	for (i = 0; i <= BULK_MAX; i++)
		json_array_append_new(routes, text(X));
	body = json_pack("{s:o}", "routes", routes);
	answer = list("[" X "]");
	assert_false(pick_only_unchanged(body, answer, &picker));
	json_decref(body);
	json_decref(answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_description),
		cmocka_unit_test(no_description),
		cmocka_unit_test(nothing_there),
		cmocka_unit_test(as_many_as_expected),
		cmocka_unit_test(not_ours_alone),
		cmocka_unit_test(not_whole),
		cmocka_unit_test(bodies),
		cmocka_unit_test(at_most_100),
		cmocka_unit_test(unharmed_routes),
		cmocka_unit_test(last_look),
		cmocka_unit_test(last_look_at_many),
		cmocka_unit_test(unchanged),
		cmocka_unit_test(last_look_at_unchanged),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
