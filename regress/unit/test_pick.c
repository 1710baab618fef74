/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pick.h"

static json_t *
route(int number, const char *description, int priority)
{
	char id[33], prefix[32];
	json_t *json;

	snprintf(id, sizeof(id), "%032x", (unsigned int)number);
	snprintf(prefix, sizeof(prefix), "10.%d.0.0/24", number % 256);
	json = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "id", id, "prefix",
	    prefix, "nexthop", "10.0.0.1", "priority", priority, "created_on",
	    "2024-01-01T00:00:00Z", "modified_on", "2024-01-01T00:00:00Z");
	json_object_set_new(json, "description",
	    description == NULL ? json_null() : json_string(description));
	return (json);
}

/* A list of ours (two), of another failover's, and of nobody's. */
static json_t *
list(void)
{
	json_t *ours = route(1, "web east 1", 100);
	json_t *scoped = route(2, "x web east", 150);

	json_object_set_new(scoped, "weight", json_integer(64));
	json_object_set_new(scoped, "scope",
	    json_pack("{s:[s]}", "colo_regions", "ENAM"));
	json_object_set_new(ours, "weight", json_null());
	return (json_pack("{s:b, s:{s:[o, o, o, o]}}", "success", 1, "result",
	    "routes", ours, scoped, route(3, NULL, 150),
	    route(4, "Web East", 150)));
}

static const struct picker east = { .match = "web east",
	.expect = -1,
	.priority = 100 };

static void
test_pick_and_write(void **state)
{
	json_t *all = list(), *ours, *differing, *bulk, *one;
	char why[256];

	(void)state;
	assert_int_equal(pick_routes(all, &east, &ours, why, sizeof(why)), 0);
	assert_int_equal(json_array_size(ours), 2);
	differing = pick_differing(ours, 100);
	assert_int_equal(json_array_size(differing), 1);
	bulk = pick_bulk(differing, 0, 100);
	one = json_array_get(json_object_get(bulk, "routes"), 0);
	/* Everything that can be written, as read, and nothing else. */
	assert_int_equal(json_object_size(one), 7);
	assert_int_equal(json_integer_value(json_object_get(one, "priority")),
	    100);
	assert_int_equal(json_integer_value(json_object_get(one, "weight")),
	    64);
	assert_non_null(json_object_get(one, "scope"));
	assert_null(json_object_get(one, "created_on"));
	assert_true(pick_only_ours(bulk, "web east", 100, 200));
	assert_false(pick_only_ours(bulk, "web west", 100, 200));
	assert_false(pick_only_ours(bulk, "web east", 300, 200));
	json_decref(bulk);

	/* null is left out. */
	json_decref(differing);
	differing = pick_differing(ours, 200);
	bulk = pick_bulk(differing, 0, 200);
	one = json_array_get(json_object_get(bulk, "routes"), 0);
	assert_null(json_object_get(one, "weight"));
	json_decref(bulk);
	json_decref(differing);
	json_decref(ours);
	json_decref(all);
}

static void
refused(const struct picker *picker, json_t *all, const char *reason)
{
	json_t *ours;
	char why[256];

	assert_int_equal(pick_routes(all, picker, &ours, why, sizeof(why)), -1);
	assert_null(ours);
	if (strstr(why, reason) == NULL)
		fail_msg("%s, not %s", why, reason);
	json_decref(all);
}

static void
test_refusals(void **state)
{
	static const char *others[] = { "x web" };
	struct picker picker;
	json_t *all;

	(void)state;
	picker = east;
	picker.match = "nothing like it";
	refused(&picker, list(), "no route matches");
	picker = east;
	picker.expect = 3;
	refused(&picker, list(), "2 routes match \"web east\", expected 3");
	picker = east;
	picker.others = others;
	picker.nothers = 1;
	refused(&picker, list(), "written by neither");
	refused(&east, json_pack("{s:{}}", "result"), "no route matches");
	refused(&east, json_pack("{s:n}", "result"), "no list");
	refused(&east, json_pack("{s:{s:s}}", "result", "routes", "x"),
	    "no list");
	all = list();
	json_object_del(
	    json_array_get(
		json_object_get(json_object_get(all, "result"), "routes"), 0),
	    "nexthop");
	refused(&east, all, "lacks");
}

/* At most a hundred in one call. */
static void
test_batches(void **state)
{
	json_t *many = json_array(), *bulk;
	int i;

	(void)state;
	for (i = 0; i < 250; i++)
		json_array_append_new(many, route(i, "web east", 100));
	for (i = 0; i < 250; i += BULK_MAX) {
		bulk = pick_bulk(many, (size_t)i, 200);
		assert_int_equal(
		    json_array_size(json_object_get(bulk, "routes")),
		    i < 200 ? 100 : 50);
		assert_true(pick_only_ours(bulk, "web east", 100, 200));
		json_decref(bulk);
	}
	json_decref(many);
	bulk = json_pack("{s:[]}", "routes");
	assert_false(pick_only_ours(bulk, "web east", 100, 200));
	json_decref(bulk);
}

/* Another priority is no harm; a lost weight or a lost route is. */
static void
test_unharmed(void **state)
{
	json_t *all = list(), *before, *after;
	char why[256];

	(void)state;
	assert_int_equal(pick_routes(all, &east, &before, why, sizeof(why)), 0);
	after = json_deep_copy(before);
	json_object_set_new(json_array_get(after, 1), "priority",
	    json_integer(200));
	json_object_set_new(json_array_get(after, 1), "modified_on",
	    json_string("now"));
	assert_true(pick_unharmed(before, after));
	json_object_del(json_array_get(after, 1), "weight");
	assert_false(pick_unharmed(before, after));
	json_array_remove(after, 1);
	assert_false(pick_unharmed(before, after));
	json_decref(after);
	json_decref(before);
	json_decref(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick_and_write),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_unharmed),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
