/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "actuator_room.h"

/* The routes of an account, and all who want something of them at once. */

/* As many failovers, each with so many routes of that priority, and a route
 * that is nobody's. */
static void
many(uint32_t failovers, int each, int priority)
{
	char name[32], text[32];
	uint32_t i;
	int j;

	begin("", priority);
	json_decref(world.routes);
	world.routes = json_array();
	for (i = 0; i < failovers; i++) {
		snprintf(text, sizeof(text), "no %u.", i);
		conf_default(&conf[i], P, S, text);
		/* Of a router no prefix belongs to two. */
		snprintf(conf[i].router, sizeof(conf[i].router), "router%u", i);
		for (j = 0; j < each; j++) {
			snprintf(name, sizeof(name), "r%u-%d", i, j);
			json_array_append_new(world.routes,
			    route(name, text, priority));
		}
	}
	json_array_append_new(world.routes, route("x", "static", 150));
	nconf = failovers;
	commit();
}

/* Route j of failover i, where there are so many each. */
static json_t *
route_of(int i, int j, int each)
{
	return (json_array_get(world.routes, (size_t)(i * each + j)));
}

static void
set_priority(json_t *one, int priority)
{
	json_object_set_new(one, "priority", json_integer(priority));
}

/* How a plan ended: D(one), F(ailed), S(uperseded), s(kipped), or '-' if it
 * has not; of plans 1 to n. */
static const char *
ends(uint64_t n)
{
	static const char letter[] = { [PLAN_DONE] = 'D',
		[PLAN_FAILED] = 'F',
		[PLAN_SUPERSEDED] = 'S',
		[PLAN_REFUSED] = 'R',
		[PLAN_SKIPPED] = 's' };
	static char text[32];
	size_t i;

	assert_true(n < sizeof(text));
	memset(text, '-', n);
	text[n] = '\0';
	for (i = 0; i < nheard; i++)
		if (heard[i].type == IMSG_PLAN_DONE)
			text[heard[i].u.done.plan - 1] =
			    letter[heard[i].u.done.status];
	return (text);
}

static void
expect_modified(uint64_t number, enum outcome result, uint32_t modified)
{
	assert_non_null(routes(number));
	assert_int_equal(routes(number)->result, result);
	assert_int_equal(routes(number)->modified, modified);
}

static void
one_list_for_all(void **state)
{
	uint32_t i;

	(void)state;
	many(5, 2, 200);
	set_priority(route_of(3, 0, 2), 100);
	set_priority(route_of(3, 1, 2), 100);
	for (i = 0; i < 5; i++)
		plan_as(i, i + 1, "..p");
	run();
	expect_trace("list put:100*8 list");
	assert_string_equal(ends(5), "DDDDD");
	for (i = 0; i < 5; i++) {
		expect_modified(i + 1,
		    i == 3 ? RESULT_NO_CHANGE : RESULT_SUCCESS, i == 3 ? 0 : 2);
		assert_int_equal(done(i + 1)->changed, i == 3 ? 0 : 1);
		assert_int_equal(routes(i + 1)->matching, 2);
	}
	assert_int_equal(priority_of(json_array_get(world.routes, 10)), 150);
	assert_int_equal(ncomplaints, 0);
	/* each has its own priorities, and wants one of them */
	many(3, 2, 150);
	conf[1].priority = 10;
	conf[2].failed = 900;
	commit();
	plan_as(0, 1, "..f");
	plan_as(1, 2, "..p");
	plan_as(2, 3, "..f");
	run();
	expect_trace("list put:200*2+10*2+900*2 list");
	assert_string_equal(ends(3), "DDD");
	/* another account is another list */
	many(2, 1, 200);
	conf[1].account = 1;
	commit();
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list list put:100*1 put:100*1 list list");
	assert_string_equal(ends(2), "DD");
}

/* What is wrong with the routes of one is its own. */
static void
each_for_itself(void **state)
{
	(void)state;
	many(5, 2, 200);
	conf[0].expect = 3;
	strlcpy(conf[1].match, "nobody", MATCH_LEN);
	json_object_set_new(route_of(2, 1, 2), "description",
	    json_string("no 2.no 3."));
	commit();
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	plan_as(2, 3, "..p");
	plan_as(3, 4, "..p");
	plan_as(4, 5, "..p");
	run();
	expect_trace("list put:100*2 list");
	assert_string_equal(ends(5), "FFFFD");
	assert_non_null(strstr(done(1)->error, "expected 3"));
	assert_non_null(strstr(done(2)->error, "no route matches"));
	assert_non_null(strstr(done(3)->error, "written by neither"));
	assert_non_null(strstr(done(4)->error, "written by neither"));
	/* also if it is found so afterwards, or not done */
	many(3, 1, 200);
	world.partial = true; /* the first route of each update is left out */
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	plan_as(2, 3, "..p");
	run();
	expect_trace("list put:100*3 list put:100*1 list");
	assert_string_equal(ends(3), "FDD");
	assert_string_equal(done(1)->step, "cloudflare read-back");
	assert_int_equal(done(1)->changed, 2);
	assert_int_equal(done(2)->changed, 1);
	expect_modified(1, RESULT_FAILURE, 0);
	expect_modified(2, RESULT_SUCCESS, 1);
}

static void
as_few_updates_as_possible(void **state)
{
	(void)state;
	many(3, 70, 200);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	plan_as(2, 3, "..p");
	run();
	expect_trace("list put:100*100 put:100*100 put:100*10 list");
	assert_string_equal(ends(3), "DDD");
	assert_int_equal(done(1)->changed, 1);
	assert_int_equal(done(2)->changed, 2);
	assert_int_equal(done(3)->changed, 2);
	expect_modified(2, RESULT_SUCCESS, 70);
	/* who has routes in one that fails has failed, the others go on */
	many(4, 70, 200);
	fault_status("put", 1, 1, 403, FORBIDDEN);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	plan_as(2, 3, "..p");
	plan_as(3, 4, "..p");
	run();
	expect_trace("list put:100*100 put:100*100 put:100*70 list");
	assert_string_equal(ends(4), "DFFD");
	assert_string_equal(done(2)->step, "cloudflare update");
	assert_string_equal(done(3)->step, "cloudflare update");
	assert_int_equal(done(2)->changed, 1);
	assert_int_equal(done(3)->changed, 0);
	assert_int_equal(done(2)->failed_at, HALF_ROUTES);
	assert_int_equal(done(3)->reached, 0);
	assert_int_equal(done(4)->failed_at, 0);
	assert_int_equal(done(4)->reached, HALF_ROUTES);
	expect_modified(4, RESULT_SUCCESS, 70);
	/* nobody is left to be looked after */
	many(2, 1, 200);
	fault_status("put", 0, 1, 403, FORBIDDEN);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list put:100*2");
	assert_string_equal(ends(2), "FF");
}

static void
update_without_answer(void **state)
{
	(void)state;
	many(2, 60, 200);
	fault("put", 0, 1, LOST);
	fault("put", 0, 1, GONE);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	/* the first was done, the second was not: 20 of the second's */
	expect_trace("list put:100*100 put:100*20 list put:100*20 list");
	assert_string_equal(ends(2), "DD");
	expect_modified(1, RESULT_SUCCESS, 60);
	expect_modified(2, RESULT_SUCCESS, 60);
	assert_int_equal(done(1)->changed, 1);
	assert_int_equal(done(2)->changed, 3);
}

static void
route_gone(void)
{
	json_array_remove(world.routes, 0);
}

/* A route that is gone is the trouble of who had it. */
static void
route_gone_meanwhile(void **state)
{
	(void)state;
	many(2, 1, 200);
	fault("list", 0, 1, HOOK)->hook = route_gone;
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list put:100*2 list put:100*1 list");
	assert_string_equal(ends(2), "FD");
	assert_non_null(strstr(done(1)->error, "no route matches"));
	assert_int_equal(done(1)->failed_at, 0);
	/* gone by and by */
	many(1, 5, 200);
	fault("list", 0, 9, HOOK)->hook = route_gone;
	plan_as(0, 1, "..p");
	run();
	expect_trace("list put:100*5 list put:100*4 list put:100*3 list "
		     "put:100*2");
	assert_string_equal(done(1)->step, "cloudflare update");
	assert_non_null(strstr(done(1)->error, "Route not found"));
}

static void
list_fails(void **state)
{
	(void)state;
	many(3, 1, 200);
	fault_status("list", 0, 1, 403, FORBIDDEN);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list");
	assert_string_equal(ends(2), "FF");
	assert_string_equal(done(1)->step, "cloudflare list");
	assert_string_equal(done(2)->step, "cloudflare list");
	assert_int_equal(routes(2)->http_status, 403);
	/* the account goes on */
	plan_as(2, 3, "..p");
	run();
	assert_string_equal(ends(3), "FFD");
	many(2, 1, 200);
	fault_status("list", 1, 1, 403, FORBIDDEN);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list put:100*2 list");
	assert_string_equal(ends(2), "FF");
	assert_string_equal(done(2)->step, "cloudflare read-back");
	/* a refused token is asked for once */
	many(2, 1, 200);
	world.cloudflare = world.new_cloudflare = "cloudflare-2";
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list list put:100*2 list");
	assert_int_equal(count(IMSG_CF_REFUSED), 1);
	assert_string_equal(ends(2), "DD");
	/* and again for another batch */
	world.cloudflare = world.new_cloudflare = "cloudflare-3";
	plan_as(0, 3, "..p");
	run();
	assert_int_equal(count(IMSG_CF_REFUSED), 2);
	assert_string_equal(ends(3), "DDD");
}

/* Who comes while the account is busy is in the next batch. */
static void
next_batch(void **state)
{
	(void)state;
	many(4, 1, 200);
	plan_as(0, 1, "..p");
	pass(5);
	plan_as(1, 2, "..p");
	pass(LATENCY);
	assert_string_equal(trace, "list put:100*1");
	plan_as(2, 3, "..f");
	pass(LATENCY);
	plan_as(3, 4, "..p");
	run();
	expect_trace("list put:100*1 list list put:100*2 list");
	assert_string_equal(ends(4), "DDDD");
	expect_modified(3, RESULT_NO_CHANGE, 0);
	/* those that began with another configuration end before it */
	many(3, 1, 200);
	plan_as(0, 1, "..p");
	pass(5);
	plan_as(1, 2, "..p");
	commit();
	assert_string_equal(ends(3), "-S-");
	run();
	expect_trace("list");
	assert_string_equal(ends(3), "SS-");
	plan_as(2, 3, "..p");
	run();
	expect_trace("list list put:100*1 list");
	assert_string_equal(ends(3), "SSD");
	/* none of the old one is left to make it free */
	assert_int_equal(config_current()->refs, 1);
}

static void
replaced(void **state)
{
	(void)state;
	/* while it waits for its turn: at once */
	many(2, 1, 200);
	plan_as(0, 1, "..p");
	pass(5);
	plan_as(1, 2, "..p");
	plan_as(1, 3, "..f");
	assert_string_equal(ends(3), "-S-");
	run();
	expect_trace("list put:100*1 list list");
	assert_string_equal(ends(3), "DSD");
	/* when nothing has been written for it: it is not written */
	many(2, 1, 200);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	pass(5);
	plan_as(1, 3, "..f");
	assert_string_equal(ends(3), "---");
	run();
	expect_trace("list put:100*1 list list");
	assert_string_equal(ends(3), "DSD");
	assert_int_equal(done(2)->changed, 0);
	assert_null(routes(2));
	/* when it has been: it is finished */
	many(2, 1, 200);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	pass(LATENCY + 5);
	plan_as(1, 3, "..f");
	run();
	expect_trace("list put:100*2 list list put:200*1 list");
	assert_string_equal(ends(3), "DDD");
	assert_int_equal(done(2)->changed, 1);
	expect_modified(2, RESULT_SUCCESS, 1);
	/* also by a plan of which the rest is not done */
	many(2, 1, 200);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	pass(2 * LATENCY + 5);
	plan_as(0, 3, "...");
	plan_as(1, 4, "...");
	run();
	expect_trace("list put:100*2 list");
	assert_string_equal(ends(4), "DDDD");
	expect_modified(1, RESULT_SUCCESS, 1);
	expect_modified(2, RESULT_SUCCESS, 1);
}

static void
held(void **state)
{
	(void)state;
	/* while it waits: it gives its turn away */
	many(3, 1, 200);
	plan_as(0, 1, "..p");
	pass(5);
	plan_as(1, 2, "..p");
	plan_as(2, 3, "..p");
	permit_as(1, 2, false);
	run();
	expect_trace("list put:100*1 list list put:100*1 list");
	assert_string_equal(ends(3), "D-D");
	permit_as(1, 2, true);
	run();
	expect_trace("list put:100*1 list list put:100*1 list "
		     "list put:100*1 list");
	assert_string_equal(ends(3), "DDD");
	/* all of them */
	many(2, 1, 200);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	permit_as(0, 1, false);
	permit_as(1, 2, false);
	run();
	expect_trace("");
	permit_as(1, 2, true);
	run();
	expect_trace("list put:100*1 list");
	permit_as(0, 1, true);
	run();
	assert_string_equal(ends(2), "DD");
	/* before the first write: it is listed anew when it may */
	many(1, 1, 200);
	plan_as(0, 1, "..p");
	pass(5);
	permit_as(0, 1, false);
	run();
	expect_trace("list");
	pass(100000);
	permit_as(0, 1, true);
	run();
	expect_trace("list list put:100*1 list");
	assert_string_equal(ends(1), "D");
	/* and after it, it is finished */
	many(1, 1, 200);
	plan_as(0, 1, "..p");
	pass(LATENCY + 5);
	permit_as(0, 1, false);
	run();
	expect_trace("list put:100*1 list");
	expect_modified(1, RESULT_SUCCESS, 1);
}

/* A job ends for whatever reason: the others go on, and so does the account. */
static void
ends_meanwhile(void **state)
{
	int64_t when;

	(void)state;
	for (when = 0; when <= 3 * LATENCY; when += 5) {
		many(3, 1, 200);
		plan_as(0, 1, "..p");
		plan_as(1, 2, "..p");
		pass(when);
		if (slots[1].job != NULL)
			job_fail(slots[1].job, "test", "it is enough");
		run();
		assert_int_equal(in_flight, 0);
		assert_int_equal(done(1)->status, PLAN_DONE);
		assert_int_equal(done(2)->status,
		    when == 3 * LATENCY ? PLAN_DONE : PLAN_FAILED);
		plan_as(2, 3, "..p");
		run();
		assert_int_equal(done(3)->status, PLAN_DONE);
	}
	/* the only one, with others that wait */
	for (when = 0; when < 3 * LATENCY; when += 5) {
		many(2, 1, 200);
		plan_as(0, 1, "..p");
		pass(when);
		plan_as(1, 2, "..p");
		job_fail(slots[0].job, "test", "it is enough");
		pass(3 * LATENCY);
		assert_int_equal(in_flight, 0);
		assert_int_equal(done(1)->status, PLAN_FAILED);
		assert_int_equal(done(2)->status, PLAN_DONE);
		run();
	}
}

static void
passive(void **state)
{
	(void)state;
	many(3, 1, 200);
	conf[1].passive = 1;
	commit();
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	plan_as(2, 3, "..p");
	run();
	expect_trace("list put:100*2 list");
	assert_string_equal(ends(3), "DsD");
	expect_modified(2, RESULT_SKIPPED, 0);
	assert_int_equal(priority_of(route_of(1, 0, 1)), 200);
	/* even if it were not noticed until the last look */
	many(2, 1, 200);
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	fault_status("put", 0, 1, 401, "{}");
	world.fault[0].hook = turn_passive;
	world.new_cloudflare = world.cloudflare;
	run();
	expect_trace("list put:100*2");
	assert_string_equal(ends(2), "FF");
	assert_string_equal(done(2)->error, "outside of what may be written");
}

/* The times of those in a batch that have the most. */
static void
longest_times(void **state)
{
	(void)state;
	many(2, 1, 200);
	conf[1].cloudflare_timeout = 20000;
	conf[1].cloudflare_bulk_timeout = 1000;
	commit();
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	assert_int_equal(call[0].timeout, 20000);
	assert_int_equal(call[1].timeout, 60000);
	plan_as(1, 3, "..f");
	run();
	assert_int_equal(call[4].timeout, 1000);
	plan_as(0, 4, "..p");
	run();
	assert_int_equal(call[6].timeout, 10000);
}

/* Looks for drift. */

static void
looks(void **state)
{
	(void)state;
	many(3, 1, 100);
	look_as(0, 1, "..p");
	run();
	expect_trace("list");
	pass(30000);
	look_as(1, 2, "..p");
	look_as(2, 3, "..p");
	assert_int_equal(run(), 0);
	expect_trace("list");
	assert_string_equal(ends(3), "DDD");
	expect_modified(3, RESULT_NO_CHANGE, 0);
	assert_int_equal(routes(3)->matching, 1);
	/* as old as a look may be */
	pass(30000 - 2 * LATENCY);
	look_as(1, 4, "..p");
	run();
	expect_trace("list");
	pass(LATENCY);
	look_as(2, 5, "..p");
	run();
	expect_trace("list list");
	/* a decision is never carried out by an older list */
	plan_as(1, 6, "..p");
	run();
	expect_trace("list list list");
	/* and one that is made for it serves those who look */
	look_as(0, 7, "..p");
	run();
	expect_trace("list list list");
	/* with another configuration it does not */
	commit();
	look_as(0, 8, "..p");
	run();
	expect_trace("list list list list");
	/* nor one that was under way then */
	pass(100000);
	look_as(0, 9, "..p");
	pass(5);
	commit();
	run();
	look_as(1, 10, "..p");
	run();
	expect_trace("list list list list list list");
	assert_string_equal(ends(10), "DDDDDDDDDD");
}

static void
look_at_what_was_written(void **state)
{
	(void)state;
	/* what was listed before the last write says nothing */
	many(2, 1, 200);
	plan_as(0, 1, "..p");
	pass(LATENCY + 5);
	look_as(1, 2, "..f");
	run();
	/* but the list after it does */
	expect_trace("list put:100*1 list");
	assert_string_equal(ends(2), "DD");
	/* unless there was none, or it failed */
	many(2, 1, 200);
	fault_status("list", 1, 1, 403, FORBIDDEN);
	plan_as(0, 1, "..p");
	run();
	look_as(1, 2, "..f");
	run();
	expect_trace("list put:100*1 list list");
	many(2, 1, 200);
	fault_status("put", 0, 1, 403, FORBIDDEN);
	plan_as(0, 1, "..p");
	run();
	look_as(1, 2, "..f");
	run();
	expect_trace("list put:100*1 list");
	assert_string_equal(ends(2), "FD");
}

static void
look_finds_drift(void **state)
{
	(void)state;
	/* it is read anew, and written by that */
	many(2, 2, 100);
	set_priority(route_of(1, 0, 2), 300);
	look_as(0, 1, "..p");
	run();
	look_as(1, 2, "..p");
	run();
	expect_trace("list list put:100*1 list");
	assert_string_equal(ends(2), "DD");
	expect_modified(2, RESULT_SUCCESS, 1);
	/* which may show that it is well by now */
	many(2, 2, 100);
	set_priority(route_of(1, 0, 2), 300);
	look_as(0, 1, "..p");
	run();
	set_priority(route_of(1, 0, 2), 100);
	look_as(1, 2, "..p");
	run();
	expect_trace("list list");
	expect_modified(2, RESULT_NO_CHANGE, 0);
	/* nor is an error taken from an older list */
	many(2, 1, 100);
	json_object_set_new(route_of(1, 0, 1), "description",
	    json_string("gone"));
	look_as(0, 1, "..p");
	run();
	look_as(1, 2, "..p");
	run();
	expect_trace("list list");
	assert_string_equal(ends(2), "DF");
	/* those that find nothing do not wait for those that do */
	many(3, 1, 100);
	set_priority(route_of(1, 0, 1), 300);
	look_as(0, 1, "..p");
	run();
	look_as(1, 2, "..p");
	look_as(2, 3, "..p");
	pass(0);
	assert_string_equal(ends(3), "D-D");
	run();
	expect_trace("list list put:100*1 list");
}

static void
steer_back(void)
{
	set_priority(route_of(1, 0, 1), 100);
}

/* Nothing is withdrawn by an older list. */
static void
sure_before_withdrawal(void **state)
{
	(void)state;
	many(2, 1, 200);
	world_router("P");
	look_as(0, 1, "..f");
	run();
	look_as(1, 2, "-.f");
	assert_true(run() >= 30000);
	expect_trace("list get list get patch: op get status");
	assert_string_equal(ends(2), "DD");
	/* it was wrong: steered away first, and then it drains */
	many(2, 1, 200);
	world_router("P");
	look_as(0, 1, "..f");
	run();
	fault("get", 0, 1, HOOK)->hook = steer_back;
	look_as(1, 2, "-.f");
	run();
	expect_trace("list get list put:200*1 list get patch: op get status");
	assert_true(
	    call[nth("patch", 0)].when >= call[nth("put", 0)].when + 30000);
	/* nothing to withdraw, nothing to be sure about */
	many(2, 1, 200);
	look_as(0, 1, "..f");
	run();
	look_as(1, 2, "-.f");
	run();
	expect_trace("list get status");
}

/* The budget. */

static struct table *
table_of(const char *account)
{
	struct table *table;

	TAILQ_FOREACH(table, &tables, entry)
		if (strcmp(table->id, account) == 0)
			return (table);
	fail_msg("no table of %s", account);
	return (NULL);
}

/* So many calls have been made to the account just now. */
static void
have_called(int n)
{
	struct budget *budget = &table_of("acc")->budget;

	for (; n > 0; n--)
		budget_spend(budget, now);
}

static void
budget_of_calls(void **state)
{
	(void)state;
	/* the last 200 of 600 are for writes */
	many(3, 1, 100);
	have_called(399);
	look_as(0, 1, "..p");
	run();
	expect_trace("list");
	pass(60000);
	look_as(0, 2, "..p");
	assert_int_equal(run(), 0);
	expect_trace("list");
	assert_string_equal(done(2)->step, "cloudflare list");
	assert_non_null(strstr(done(2)->error, "is for writes"));
	assert_non_null(strstr(done(2)->error, "acc is not called until 20"));
	assert_int_equal(routes(2)->result, RESULT_FAILURE);
	/* and for what is decided, with all that belongs to it */
	plan_as(1, 3, "..f");
	run();
	expect_trace("list list put:200*1 list");
	/* a look that is made with it has no need of more */
	plan_as(1, 4, "..p");
	look_as(2, 5, "..p");
	run();
	expect_trace("list list put:200*1 list list put:100*1 list");
	assert_string_equal(ends(5), "DFDDD");
	/* drift that was found is written */
	many(2, 1, 100);
	look_as(0, 1, "..p");
	run();
	set_priority(route_of(1, 0, 1), 300);
	json_decref(table_of("acc")->list);
	table_of("acc")->list = json_pack("{s:b, s:{s:O}}", "success", 1,
	    "result", "routes", world.routes);
	have_called(400);
	look_as(1, 2, "..p");
	run();
	expect_trace("list list put:100*1 list");
	/* also when it was found by the last look that there is */
	many(2, 1, 300);
	have_called(399);
	look_as(1, 1, "..p");
	run();
	expect_trace("list put:100*1 list");
	/* not one more than 600, whatever for */
	many(2, 1, 200);
	have_called(598);
	plan_as(0, 1, "..p");
	run();
	expect_trace("list put:100*1");
	assert_string_equal(done(1)->step, "cloudflare read-back");
	assert_non_null(strstr(done(1)->error, "600 calls in 300 s"));
	plan_as(0, 2, "..p");
	run();
	expect_trace("list put:100*1");
	pass(300000);
	plan_as(0, 3, "..p");
	run();
	expect_trace("list put:100*1 list");
	assert_string_equal(ends(3), "FFD");
	/* what is repeated counts */
	many(1, 1, 200);
	have_called(598);
	fault_status("list", 0, 9, 503, "{}");
	plan_as(0, 1, "..p");
	run();
	expect_trace("list list");
	assert_non_null(strstr(done(1)->error, "600 calls in 300 s"));
	/* another account has one of its own, and Compute has none */
	many(2, 1, 200);
	conf[1].account = 1;
	commit();
	have_called(600);
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("get list patch:P put:100*1 op list get status");
	assert_string_equal(ends(2), "FD");
}

static void
refused_by_server(void **state)
{
	(void)state;
	/* nothing is called meanwhile, not even to repeat it */
	many(3, 1, 200);
	fault_status("list", 0, 1, 429, "{}")->retry_after = "5";
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list");
	assert_string_equal(ends(2), "FF");
	assert_non_null(strstr(done(1)->error, "HTTP 429"));
	pass(5000 - 1);
	plan_as(0, 3, "..p");
	assert_int_equal(run(), 0);
	expect_trace("list");
	assert_non_null(strstr(done(3)->error,
	    "Cloudflare has answered HTTP 429: account acc is not called "
	    "until 20"));
	pass(1);
	plan_as(0, 4, "..p");
	run();
	expect_trace("list list put:100*1 list");
	assert_string_equal(ends(4), "FFFD");
	/* five minutes if it does not say */
	many(2, 1, 200);
	fault_status("put", 0, 1, 429, "{}");
	plan_as(0, 1, "..p");
	run();
	expect_trace("list put:100*1");
	assert_string_equal(done(1)->step, "cloudflare update");
	pass(299999);
	plan_as(0, 2, "..p");
	run();
	expect_trace("list put:100*1");
	pass(1);
	plan_as(0, 3, "..p");
	run();
	expect_trace("list put:100*1 list put:100*1 list");
	/* not even a reload makes it forget */
	many(1, 1, 200);
	fault_status("list", 0, 1, 429, "{}");
	plan_as(0, 1, "..p");
	run();
	commit();
	plan_as(0, 2, "..p");
	run();
	expect_trace("list");
	/* none left */
	many(1, 1, 200);
	fault("list", 0, 1, HOOK)->ratelimit = "\"default\";r=0;t=20";
	plan_as(0, 1, "..p");
	run();
	expect_trace("list");
	assert_string_equal(done(1)->step, "cloudflare update");
	assert_non_null(strstr(done(1)->error, "no calls are left"));
	pass(20000);
	plan_as(0, 2, "..p");
	run();
	expect_trace("list list put:100*1 list");
	/* one is */
	many(1, 1, 200);
	fault("list", 0, 1, HOOK)->ratelimit = "\"default\";r=1;t=20";
	plan_as(0, 1, "..p");
	run();
	expect_trace("list put:100*1 list");
	/* who does not answer says nothing */
	many(1, 1, 200);
	fault("list", 0, 1, GONE);
	plan_as(0, 1, "..p");
	run();
	expect_trace("list list put:100*1 list");
}

/* The end. */

static const char *stop_trace;

static void
check_stop(void)
{
	bool right = strcmp(trace, stop_trace) == 0 && in_flight == 0;

	if (!right)
		fprintf(stderr, "stopped at: %s\n", trace);
	_exit(right ? 42 : 43);
}

static void
expect_stop(int64_t when, const char *expected)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		stop_trace = expected;
		atexit(check_stop);
		many(3, 1, 200);
		plan_as(0, 1, "..p");
		plan_as(1, 2, "..p");
		pass(when);
		plan_as(2, 3, "..p");
		tell(IMSG_STOP, 0, NULL, 0);
		run();
		_exit(1); /* it would run for ever */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void
stopped(void **state)
{
	(void)state;
	/* nothing is begun any more, what was written is looked at */
	expect_stop(0, "list");
	expect_stop(5, "list");
	expect_stop(LATENCY, "list put:100*2 list");
	expect_stop(LATENCY + 5, "list put:100*2 list");
	expect_stop(2 * LATENCY, "list put:100*2 list");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_list_for_all),
		cmocka_unit_test(each_for_itself),
		cmocka_unit_test(as_few_updates_as_possible),
		cmocka_unit_test(update_without_answer),
		cmocka_unit_test(route_gone_meanwhile),
		cmocka_unit_test(list_fails),
		cmocka_unit_test(next_batch),
		cmocka_unit_test(replaced),
		cmocka_unit_test(held),
		cmocka_unit_test(ends_meanwhile),
		cmocka_unit_test(passive),
		cmocka_unit_test(longest_times),
		cmocka_unit_test(looks),
		cmocka_unit_test(look_at_what_was_written),
		cmocka_unit_test(look_finds_drift),
		cmocka_unit_test(sure_before_withdrawal),
		cmocka_unit_test(budget_of_calls),
		cmocka_unit_test(refused_by_server),
		cmocka_unit_test(stopped),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
