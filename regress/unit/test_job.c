/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "actuator_room.h"

/* Plans, step by step. */

/* The sequence, in both directions. */

static void
to_the_priority(void **state)
{
	const struct msg_plan_advert *msg;

	(void)state;
	begin(NULL, 200);
	plan("+-p");
	run();
	expect_trace("get patch:P op get status list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_advert(SECONDARY, RESULT_NO_CHANGE, V_YES);
	expect_routes(RESULT_SUCCESS, 2, 100);
	assert_int_equal(routes(1)->matching, 2);
	assert_int_equal(routes(1)->http_status, 200);
	msg = advert(PRIMARY);
	assert_int_equal(msg->advertise, 1);
	assert_int_equal(msg->http_status, 200);
	assert_string_equal(msg->operation_id, "operation-1");
	assert_string_equal(msg->request_id, call[nth("patch", 0)].id);
	assert_int_equal(strlen(msg->request_id), 36);
	assert_string_equal(msg->ranges_before, "");
	assert_string_equal(msg->ranges_after, P);
	/* GET, PATCH, operation, GET */
	assert_int_equal(msg->duration, 4 * LATENCY);
	msg = advert(SECONDARY);
	assert_int_equal(msg->advertise, 0);
	assert_int_equal(msg->http_status, 0);
	assert_string_equal(msg->operation_id, "");
	assert_string_equal(msg->request_id, "");
	assert_int_equal(ncomplaints, 0);
	/* what is not ours is as it was */
	assert_int_equal(priority_of(json_array_get(world.routes, 0)), 100);
	assert_int_equal(priority_of(json_array_get(world.routes, 1)), 100);
	assert_int_equal(priority_of(json_array_get(world.routes, 2)), 200);
	assert_int_equal(priority_of(json_array_get(world.routes, 3)), 150);
}

/* Advertised is not what is stored but what the peers have been told. */
static void
seen_before_steered(void **state)
{
	(void)state;
	begin("FS", 200);
	world.lag = 3000;
	plan("+-p");
	run();
	expect_trace("get patch:FP op get status status status status status "
		     "list put:100*2 list");
	assert_true(
	    call[nth("list", 0)].when >= call[nth("op", 0)].when + world.lag);
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_advert(SECONDARY, RESULT_SUCCESS, V_YES);
	assert_string_equal(advert(PRIMARY)->operation_id,
	    advert(SECONDARY)->operation_id);

	/* also where nothing had to be written */
	begin("FP", 200);
	world.told = json_object();
	world.told_at = now + 2000;
	plan("+-p");
	run();
	expect_trace("get status status status status status list "
		     "put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_NO_CHANGE, V_YES);
}

static void
as_it_should_be(void **state)
{
	(void)state;
	begin("FP", 100);
	plan("+-p");
	assert_int_equal(run(), 3 * LATENCY);
	expect_trace("get status list");
	expect_done(PLAN_DONE, 0, "");
	expect_advert(PRIMARY, RESULT_NO_CHANGE, V_YES);
	expect_advert(SECONDARY, RESULT_NO_CHANGE, V_YES);
	expect_routes(RESULT_NO_CHANGE, 0, 100);
	assert_string_equal(advert(PRIMARY)->ranges_before, F " " P);
	assert_string_equal(advert(PRIMARY)->ranges_after, F " " P);

	begin("FP", 200);
	plan("+-f");
	run();
	expect_trace("get list get status");
	expect_done(PLAN_DONE, 0, "");
	expect_routes(RESULT_NO_CHANGE, 0, 200);
}

static void
to_the_failed(void **state)
{
	const struct msg_plan_advert *msg;

	(void)state;
	begin("P", 100);
	plan("--f");
	run();
	expect_trace("list put:200*2 list get get patch: op get status");
	assert_true(
	    call[nth("get", 1)].when >= call[nth("list", 1)].when + 30000);
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_advert(SECONDARY, RESULT_NO_CHANGE, V_YES);
	expect_routes(RESULT_SUCCESS, 2, 200);
	msg = advert(PRIMARY);
	assert_string_equal(msg->ranges_before, P);
	assert_string_equal(msg->ranges_after, "");
}

static void
to_the_failed_announcing(void **state)
{
	const struct msg_plan_advert *first, *second;

	(void)state;
	/* announcing comes first and does not wait to be seen */
	begin("S", 100);
	world.lag = 2000;
	plan("+-f");
	run();
	expect_trace("get patch:SP op get list put:200*2 list get "
		     "get patch:P op get status status status status "
		     "status");
	expect_done(PLAN_DONE, 3, "");
	first = advert(PRIMARY);
	second = advert(SECONDARY);
	assert_int_equal(first->result, RESULT_SUCCESS);
	assert_int_equal(second->result, RESULT_SUCCESS);
	/* each has its own write to tell of */
	assert_string_equal(first->operation_id, "operation-1");
	assert_string_equal(second->operation_id, "operation-2");
	assert_string_equal(first->request_id, call[nth("patch", 0)].id);
	assert_string_equal(second->request_id, call[nth("patch", 1)].id);
	assert_string_not_equal(first->request_id, second->request_id);
	assert_string_equal(first->ranges_before, S);
	assert_string_equal(first->ranges_after, S " " P);
	assert_string_equal(second->ranges_before, S " " P);
	assert_string_equal(second->ranges_after, P);
	assert_true(first->duration < 1000);
	assert_true(second->duration < 1000);
}

static void
nothing_to_drain(void **state)
{
	(void)state;
	begin("F", 100);
	plan("--f");
	assert_true(run() < 1000);
	expect_trace("list put:200*2 list get status");
	expect_done(PLAN_DONE, 1, "");
}

/* Time that has passed since the routes were seen so need not pass again. */
static void
drain_once(void **state)
{
	int64_t start;

	(void)state;
	begin("P", 200);
	plan("-.f");
	assert_true(run() >= 30000); /* it is not known since when */
	expect_trace("list get get patch: op get status");
	world_router("P"); /* somebody puts it back */
	plan_as(0, 2, "-.f");
	assert_true(run() < 1000);
	/* what is left of it */
	begin("P", 100);
	start = now;
	plan("..f");
	run();
	pass(10000);
	plan_as(0, 2, "-.f");
	run();
	assert_in_range(now - start, 30000, 31000);
	expect_trace("list put:200*2 list list get get patch: op get status");
}

/* Whatever casts doubt on it has it pass again. */
static void
drain_again(void **state)
{
	(void)state;
	/* a write of the routes */
	begin("P", 200);
	plan("..f");
	run();
	pass(60000);
	world_routes(100);
	plan_as(0, 2, "-.f");
	assert_true(run() >= 30000);
	/* one whose end was not seen: the next plan finds them as desired */
	begin("P", 200);
	plan("..f");
	run();
	pass(60000);
	world_routes(100);
	fault_status("list", 1, 1, 403, FORBIDDEN);
	plan_as(0, 2, "-.f");
	run();
	assert_int_equal(done(2)->status, PLAN_FAILED);
	world.nfaults = 0;
	plan_as(0, 3, "-.f");
	assert_true(run() >= 30000);
	assert_int_equal(done(3)->status, PLAN_DONE);
	assert_int_equal(routes(3)->result, RESULT_NO_CHANGE);
	/* a plan for the other direction */
	begin("P", 200);
	plan("..f");
	run();
	plan_as(0, 2, "...");
	run();
	pass(60000);
	plan_as(0, 3, "-.f");
	assert_true(run() >= 30000);
	/* a configuration: the number may be another failover's now */
	begin("P", 200);
	plan("..f");
	run();
	pass(60000);
	commit();
	plan_as(0, 2, "-.f");
	assert_true(run() >= 30000);
	/* also one that comes while the plan runs */
	begin("P", 200);
	plan("..f");
	pass(5);
	commit();
	run();
	pass(60000);
	plan_as(0, 2, "-.f");
	assert_true(run() >= 30000);
}

static void
kept(void **state)
{
	(void)state;
	begin("S", 200);
	plan("...");
	assert_int_equal(run(), 0);
	expect_trace("");
	expect_done(PLAN_DONE, 0, "");
	assert_null(advert(PRIMARY));
	assert_null(routes(1));

	/* no word about what is kept, and no look at it */
	begin("S", 200);
	plan("+..");
	run();
	expect_trace("get patch:SP op get status");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_null(advert(SECONDARY));
	assert_null(routes(1));

	begin("S", 200);
	plan("..p");
	run();
	expect_trace("list put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	assert_null(advert(PRIMARY));

	begin("S", 100);
	plan("..f");
	run();
	expect_trace("list put:200*2 list");
}

/* Every step, failing: nothing after it is done. */

static void
expect_failure(const char *ranges, int priority, const char *what,
    const char *kind, int skip, const char *step, uint32_t changed,
    const char *expected)
{
	const struct msg_plan_advert *msg;
	int p;

	begin(ranges, priority);
	fault_status(kind, skip, 1, 403, FORBIDDEN);
	plan(what);
	run();
	expect_trace(expected);
	expect_done(PLAN_FAILED, changed, step);
	assert_non_null(strstr(done(1)->error, "HTTP 403"));
	for (p = 0; p < PREFIXES; p++) {
		msg = advert((enum which)p);
		if (msg != NULL && msg->result == RESULT_FAILURE)
			assert_string_equal(msg->error, done(1)->error);
	}
}

static void
failing_to_the_priority(void **state)
{
	(void)state;
	expect_failure("S", 200, "+-p", "get", 0, "router read", 0, "get");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	assert_null(routes(1));
	expect_failure("S", 200, "+-p", "patch", 0, "router patch", 0,
	    "get patch:P");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	assert_int_equal(advert(PRIMARY)->http_status, 403);
	assert_string_equal(advert(PRIMARY)->request_id,
	    call[nth("patch", 0)].id);
	expect_failure("S", 200, "+-p", "op", 0, "operation", 1,
	    "get patch:P op");
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	assert_string_equal(advert(SECONDARY)->operation_id, "operation-1");
	expect_failure("S", 200, "+-p", "get", 1, "read-back", 1,
	    "get patch:P op get");
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	expect_failure("S", 200, "+-p", "status", 0, "effect", 1,
	    "get patch:P op get status");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	assert_null(routes(1));
	expect_failure("S", 200, "+-p", "list", 0, "cloudflare list", 1,
	    "get patch:P op get status list");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_advert(SECONDARY, RESULT_SUCCESS, V_YES);
	expect_routes(RESULT_FAILURE, 0, 100);
	assert_int_equal(routes(1)->http_status, 403);
	expect_failure("S", 200, "+-p", "put", 0, "cloudflare update", 1,
	    "get patch:P op get status list put:100*2");
	expect_routes(RESULT_FAILURE, 0, 100);
	expect_failure("S", 200, "+-p", "list", 1, "cloudflare read-back", 2,
	    "get patch:P op get status list put:100*2 list");
	expect_routes(RESULT_FAILURE, 0, 100);
	/* what is right already is not told as failed by a failed PATCH */
	expect_failure("", 200, "+-p", "patch", 0, "router patch", 0,
	    "get patch:P");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_NO_CHANGE, V_UNKNOWN);
}

static void
failing_to_the_failed(void **state)
{
	(void)state;
	expect_failure("S", 100, "+-f", "get", 0, "router read", 0, "get");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	assert_null(advert(SECONDARY)); /* its turn has not come */
	expect_failure("S", 100, "+-f", "patch", 0, "router patch", 0,
	    "get patch:SP");
	expect_failure("S", 100, "+-f", "op", 0, "operation", 1,
	    "get patch:SP op");
	expect_failure("S", 100, "+-f", "get", 1, "read-back", 1,
	    "get patch:SP op get");
	expect_failure("S", 100, "+-f", "list", 0, "cloudflare list", 1,
	    "get patch:SP op get list");
	/* what was announced stays announced, and is told */
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_null(advert(SECONDARY));
	expect_failure("S", 100, "+-f", "put", 0, "cloudflare update", 1,
	    "get patch:SP op get list put:200*2");
	expect_failure("S", 100, "+-f", "list", 1, "cloudflare read-back", 2,
	    "get patch:SP op get list put:200*2 list");
	expect_failure("S", 100, "+-f", "get", 2, "router read", 2,
	    "get patch:SP op get list put:200*2 list get");
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	expect_failure("S", 100, "+-f", "get", 3, "router read", 2,
	    "get patch:SP op get list put:200*2 list get get");
	/* and nothing of the other write is told of it */
	assert_string_equal(advert(SECONDARY)->operation_id, "");
	assert_string_equal(advert(SECONDARY)->request_id, "");
	assert_int_equal(advert(SECONDARY)->http_status, 0);
	expect_failure("S", 100, "+-f", "patch", 1, "router patch", 2,
	    "get patch:SP op get list put:200*2 list get get patch:P");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	expect_failure("S", 100, "+-f", "op", 1, "operation", 3,
	    "get patch:SP op get list put:200*2 list get get patch:P op");
	expect_failure("S", 100, "+-f", "get", 4, "read-back", 3,
	    "get patch:SP op get list put:200*2 list get get patch:P op get");
	expect_failure("S", 100, "+-f", "status", 0, "effect", 3,
	    "get patch:SP op get list put:200*2 list get get patch:P op get "
	    "status");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
}

/* Operations. */

static void
operation_fails(void **state)
{
	(void)state;
	begin("", 200);
	world.op_error = "QUOTA_EXCEEDED";
	plan("+.p");
	run();
	expect_trace("get patch:P op");
	expect_done(PLAN_FAILED, 1, "operation");
	assert_string_equal(done(1)->error,
	    "operation operation-1 failed: QUOTA_EXCEEDED: it went wrong");
}

static void
operation_takes_long(void **state)
{
	(void)state;
	begin("", 100);
	world.delay = 5000;
	plan("+.p");
	run();
	/* at once, then after 0.25, 0.5, 1, 2, 2 s */
	expect_trace("get patch:P op op op op op op get status list");
	expect_done(PLAN_DONE, 1, "");
	/* never */
	begin("", 100);
	world.delay = -1;
	plan("+.p");
	assert_in_range(run(), 57000, 60000);
	expect_done(PLAN_FAILED, 1, "operation");
	assert_non_null(strstr(done(1)->error, "not done in time"));
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
}

static void
operation_is_gone(void **state)
{
	(void)state;
	begin("", 100);
	fault_status("op", 0, 1, 404,
	    "{\"error\":{\"code\":404,\"message\":\"gone\"}}");
	plan("+.p");
	run();
	expect_trace("get patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	/* trouble on the way is no failure of the operation */
	begin("", 100);
	fault_status("op", 0, 1, 503, "<html>");
	fault("op", 0, 1, GONE);
	plan("+.p");
	run();
	expect_trace("get patch:P op op op get status list");
	expect_done(PLAN_DONE, 1, "");
}

/* What others do meanwhile. */

static int undone;

/* Another program writes the list that it had read before us. */
static void
undo(void)
{
	if (undone-- > 0)
		world_router("F");
}

/* Somebody else does what we were about to do, or were about to do again. */
static void
advertise_primary(void)
{
	world_router("FP");
}

static void
one_more_differs(void)
{
	json_object_set_new(json_array_get(world.routes, 0), "priority",
	    json_integer(7));
	json_object_set_new(json_array_get(world.routes, 1), "priority",
	    json_integer(7));
}

static void
all_well(void)
{
	json_object_set_new(json_array_get(world.routes, 0), "priority",
	    json_integer(100));
	json_object_set_new(json_array_get(world.routes, 1), "priority",
	    json_integer(100));
}

/* Nobody knows what became of a call. */

static void
patch_without_answer(void **state)
{
	(void)state;
	/* it was carried out */
	begin("", 100);
	world.delay = 0;
	fault("patch", 0, 1, LOST);
	plan("+.p");
	run();
	expect_trace("get patch:P get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_int_equal(advert(PRIMARY)->http_status, 0);
	/* it was not: once more, as the same change */
	begin("", 100);
	fault("patch", 0, 1, GONE);
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	assert_string_equal(call[nth("patch", 0)].id, call[nth("patch", 1)].id);
	/* it is being carried out: the same operation is answered */
	begin("", 100);
	fault("patch", 0, 1, LOST);
	world.delay = 100;
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P op op get status list");
	expect_done(PLAN_DONE, 1, "");
	assert_int_equal(world.nops, 1);
	/* a success that cannot be read is no answer */
	begin("", 100);
	fault_status("patch", 0, 1, 200, "{\"name\":\"operat");
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	begin("", 100);
	fault_status("patch", 0, 1, 200, "{\"name\":\"operation-1\"}")->type =
	    "text/html";
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P op get status list");
	assert_string_equal(call[nth("patch", 0)].id, call[nth("patch", 1)].id);
	/* twice is enough */
	begin("", 100);
	fault("patch", 0, 9, GONE);
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P get patch:P get");
	expect_done(PLAN_FAILED, 0, "router patch");
}

/* The repetition meets the operation of the first: that was carried out. */
static void
patch_without_answer_then_busy(void **state)
{
	(void)state;
	begin("", 100);
	fault("patch", 0, 1, LOST);
	fault_status("patch", 0, 1, 400, BUSY);
	world.delay = 100;
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_int_equal(world.nops, 1);
}

static void
put_without_answer(void **state)
{
	(void)state;
	begin("P", 200);
	fault("put", 0, 1, LOST);
	plan("..p");
	run();
	expect_trace("list put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	expect_routes(RESULT_SUCCESS, 2, 100);
	begin("P", 200);
	fault("put", 0, 1, GONE);
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list");
	expect_routes(RESULT_SUCCESS, 2, 100);
	begin("P", 200);
	fault("put", 0, 2, GONE);
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list");
	expect_routes(RESULT_FAILURE, 0, 100);
	expect_done(PLAN_FAILED, 2, "cloudflare read-back");
}

static void
put_in_part(void **state)
{
	(void)state;
	begin("P", 200);
	world.partial = true;
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*1 list");
	expect_done(PLAN_FAILED, 2, "cloudflare read-back");
	expect_routes(RESULT_FAILURE, 1, 100);
	/* no success in a success */
	begin("P", 200);
	fault_status("put", 0, 9, 200,
	    "{\"success\":false,\"errors\":[{\"code\":1,"
	    "\"message\":\"sorry\"}]}");
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list put:100*2 list "
		     "put:100*2");
	expect_done(PLAN_FAILED, 0, "cloudflare update");
	assert_non_null(strstr(done(1)->error, "sorry"));
}

/* What fails for a reason that passes is repeated, a little later each time. */

#define OVERLOAD                                                               \
	"{\"error\":{\"code\":503,\"message\":\"overloaded\","                 \
	"\"errors\":[{\"reason\":\"backendError\"}]}}"
#define RATE                                                                   \
	"{\"error\":{\"code\":403,\"message\":\"slow down\","                  \
	"\"errors\":[{\"reason\":\"rateLimitExceeded\"}]}}"

/* How long after the call before it a call was made. */
static int64_t
after(size_t i)
{
	return (call[i].when - call[i - 1].when - LATENCY);
}

static void
reads_again(void **state)
{
	static const struct {
		const char *kind;
		const char *step;
	} read[] = {
		{ "get", "router read" },
		{ "op", "operation" },
		{ "status", "effect" },
		{ "list", "cloudflare list" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(read); i++) {
		begin("", 200);
		fault_status(read[i].kind, 0, 1, 503, OVERLOAD);
		fault(read[i].kind, 0, 1, i % 2 == 0 ? GONE : DOWN);
		plan("+.p");
		run();
		expect_done(PLAN_DONE, 2, "");
		/* the longest of 1 s, and of 2 s */
		assert_int_equal(after(nth(read[i].kind, 1)), 1000);
		assert_int_equal(after(nth(read[i].kind, 2)), 2000);
		/* not for ever */
		begin("", 200);
		fault_status(read[i].kind, 0, 99, 503, OVERLOAD);
		plan("+.p");
		run();
		assert_int_equal(done(1)->status, PLAN_FAILED);
		assert_string_equal(done(1)->step, read[i].step);
		assert_non_null(strstr(done(1)->error, "HTTP 503"));
		assert_int_equal(ncalls - nth(read[i].kind, 0), i == 3 ? 4 : 3);
		/* and not what will not be well by itself */
		begin("", 200);
		fault_status(read[i].kind, 0, 99, 403, FORBIDDEN);
		plan("+.p");
		run();
		assert_int_equal(done(1)->status, PLAN_FAILED);
		assert_int_equal(ncalls - nth(read[i].kind, 0), 1);
	}
	/* what is read back, too */
	begin("", 200);
	fault_status("get", 1, 2, 503, OVERLOAD);
	fault_status("list", 1, 3, 503, OVERLOAD);
	plan("+.p");
	run();
	expect_trace("get patch:P op get get get status list put:100*2 list "
		     "list list list");
	expect_done(PLAN_DONE, 2, "");
	/* where no repetition is wanted, there is none */
	begin("", 200);
	conf[0].bgp_retries = conf[0].cloudflare_retries = 0;
	commit();
	fault_status("get", 0, 1, 503, OVERLOAD);
	plan("+.p");
	run();
	expect_trace("get");
	/* the longest wait there is */
	begin("", 200);
	conf[0].bgp_retries = 4;
	conf[0].backoff_max = 3000;
	commit();
	fault_status("get", 0, 4, 503, OVERLOAD);
	plan("+..");
	run();
	assert_int_equal(after(nth("get", 3)), 3000);
	assert_int_equal(after(nth("get", 4)), 3000);
	expect_done(PLAN_DONE, 1, "");
}

static void
as_the_server_asks(void **state)
{
	(void)state;
	begin("", 200);
	fault_status("get", 0, 1, 503, OVERLOAD)->retry_after = "7";
	fault_status("list", 0, 1, 503, "{}")->retry_after = "3";
	plan("+.p");
	run();
	assert_int_equal(after(nth("get", 1)), 7000);
	assert_int_equal(after(nth("list", 1)), 3000);
	expect_done(PLAN_DONE, 2, "");
	/* also of a write */
	begin("", 200);
	fault_status("patch", 0, 1, 429, RATE)->retry_after = "7";
	fault_status("put", 0, 1, 503, "{}")->retry_after = "8";
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P op get status list put:100*2 "
		     "list put:100*2 list");
	assert_int_equal(after(nth("get", 1)), 7000);
	assert_int_equal(after(nth("list", 1)), 8000);
	/* but not after the end of the step */
	begin("", 200);
	fault_status("get", 0, 1, 503, OVERLOAD)->retry_after = "60";
	plan("+.p");
	assert_int_equal(run(), LATENCY);
	expect_done(PLAN_FAILED, 0, "router read");
	begin("", 200);
	fault_status("list", 0, 1, 503, "{}")->retry_after = "10";
	plan("..p");
	assert_int_equal(run(), LATENCY);
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	begin("", 200);
	fault_status("patch", 0, 1, 503, "{}")->retry_after = "60";
	plan("+..");
	assert_int_equal(run(), 2 * LATENCY);
	expect_done(PLAN_FAILED, 0, "router patch");
	begin("", 200);
	fault_status("put", 0, 1, 503, "{}")->retry_after = "60";
	plan("..p");
	assert_int_equal(run(), 2 * LATENCY);
	expect_done(PLAN_FAILED, 0, "cloudflare update");
	/* nor does a call last longer than that */
	begin("", 200);
	conf[0].bgp_update_timeout = 5000;
	commit();
	fault_status("get", 0, 2, 503, OVERLOAD);
	plan("+..");
	run();
	assert_int_equal(call[0].timeout, 5000);
	assert_int_equal(call[2].timeout, 5000 - 3000 - 2 * LATENCY);
	begin("", 200);
	fault_status("list", 0, 2, 503, "{}");
	plan("..p");
	run();
	assert_int_equal(call[0].timeout, 10000);
	assert_int_equal(call[2].timeout, 10000 - 3000 - 2 * LATENCY);
}

/* A write that was certainly not carried out begins anew, with a read. */
static void
patch_again(void **state)
{
	static const long status[] = { 503, 429, 403, 0 };
	struct fault *one;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(status); i++) {
		begin("", 100);
		one = fault_status("patch", 0, 2, status[i], RATE);
		if (status[i] == 0)
			one->trouble = DOWN;
		plan("+.p");
		run();
		expect_trace("get patch:P get patch:P get patch:P op get "
			     "status list");
		expect_done(PLAN_DONE, 1, "");
		expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
		assert_int_equal(after(nth("get", 1)), 1000);
		assert_int_equal(after(nth("get", 2)), 2000);
		assert_string_not_equal(call[nth("patch", 0)].id,
		    call[nth("patch", 1)].id);
		assert_string_not_equal(call[nth("patch", 1)].id,
		    call[nth("patch", 2)].id);
		/* that often */
		begin("", 100);
		one = fault_status("patch", 0, 3, status[i], RATE);
		if (status[i] == 0)
			one->trouble = DOWN;
		plan("+.p");
		run();
		expect_trace("get patch:P get patch:P get patch:P");
		expect_done(PLAN_FAILED, 0, "router patch");
		assert_string_equal(call[nth("patch", 2)].id,
		    advert(PRIMARY)->request_id);
	}
	/* in each step */
	begin("S", 100);
	fault_status("patch", 0, 2, 503, RATE);
	fault_status("patch", 1, 2, 503, RATE);
	plan("+-f");
	run();
	expect_done(PLAN_DONE, 3, "");
	/* not what is forbidden */
	begin("", 100);
	fault_status("patch", 0, 1, 400, FORBIDDEN);
	plan("+.p");
	run();
	expect_trace("get patch:P");
	/* what the read shows is what is written */
	begin("", 100);
	fault_status("patch", 0, 1, 403, RATE)->hook = undo;
	undone = 1;
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:FP op get status list");
	/* done all the same, in spite of the error */
	begin("", 100);
	fault_status("patch", 0, 1, 500, RATE)->hook = advertise_primary;
	plan("+.p");
	run();
	expect_trace("get patch:P get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	/* one whose outcome is not known stays the same change if its
	 * repetition cannot be sent, and is another one after an answer */
	begin("", 100);
	fault("patch", 0, 1, GONE);
	fault("patch", 0, 1, DOWN);
	fault_status("patch", 0, 1, 503, RATE);
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P get patch:P get patch:P op get "
		     "status list");
	expect_done(PLAN_DONE, 1, "");
	assert_string_equal(call[nth("patch", 0)].id, call[nth("patch", 1)].id);
	assert_string_equal(call[nth("patch", 0)].id, call[nth("patch", 2)].id);
	assert_string_not_equal(call[nth("patch", 0)].id,
	    call[nth("patch", 3)].id);
}

static void
put_again(void **state)
{
	(void)state;
	begin("P", 200);
	fault_status("put", 0, 2, 503, "<html>");
	fault("put", 0, 1, DOWN);
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list put:100*2 list "
		     "put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	expect_routes(RESULT_SUCCESS, 2, 100);
	assert_int_equal(after(nth("list", 1)), 1000);
	assert_int_equal(after(nth("list", 3)), 4000);
	/* what somebody else has done meanwhile is not written again */
	begin("P", 200);
	fault_status("put", 0, 1, 503, "<html>")->hook = one_more_differs;
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list");
	/* done all the same, in spite of the error */
	begin("P", 200);
	fault_status("put", 0, 1, 503, "<html>")->hook = all_well;
	plan("..p");
	run();
	expect_trace("list put:100*2 list");
	expect_routes(RESULT_SUCCESS, 2, 100);
	/* repeated for that reason, and for the other */
	begin("P", 200);
	fault("put", 0, 1, GONE);
	fault_status("put", 0, 1, 503, "<html>");
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	begin("P", 200);
	fault_status("put", 0, 1, 503, "<html>");
	fault("put", 0, 1, GONE);
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	begin("P", 200);
	fault("put", 0, 1, GONE);
	fault_status("put", 0, 1, 503, "<html>");
	fault("put", 0, 1, GONE);
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list put:100*2 list");
	expect_done(PLAN_FAILED, 2, "cloudflare read-back");
}

/* A newer plan does not wait for what is repeated, if nothing is written. */
static void
replaced_at_rest(void **state)
{
	static const char *const kind[] = { "get", "patch", "list" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(kind); i++) {
		begin("", 200);
		fault_status(kind[i], 0, 9, 429, RATE)->retry_after = "5";
		if (i == 2)
			world.fault[0].status = 503;
		plan(i == 2 ? "..p" : "+.p");
		pass(1000);
		assert_int_equal(in_flight, 0);
		assert_int_equal(count(IMSG_PLAN_DONE), 0);
		plan_as(0, 2, "...");
		assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
		assert_int_equal(done(2)->status, PLAN_DONE);
		assert_int_equal(run(), 0);
	}
	/* nor does one that waits for the account, nor is it woken twice */
	for (i = 0; i < 2; i++) {
		begin("", 200);
		fault_status("put", 0, 1, 409, "{}")->retry_after = "5";
		if (i == 1)
			world.fault[0].trouble = DOWN;
		plan("..p");
		pass(1000);
		assert_string_equal(trace, "list put:100*2");
		plan_as(0, 2, "..p");
		assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
		run();
		expect_trace("list put:100*2 list put:100*2 list");
		assert_int_equal(done(2)->status, PLAN_DONE);
		assert_true(call[2].when < call[1].when + 5000);
	}
	/* once it goes on, it goes on to the end */
	begin("", 200);
	fault_status("patch", 0, 1, 429, RATE)->retry_after = "5";
	plan("+.p");
	pass(5000 + 3 * LATENCY + 5);
	assert_string_equal(trace, "get patch:P get patch:P");
	plan_as(0, 2, "...");
	run();
	expect_trace("get patch:P get patch:P op get");
	expect_done(PLAN_SUPERSEDED, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	/* what is written is looked at */
	begin("", 200);
	fault_status("get", 1, 1, 503, RATE)->retry_after = "5";
	plan("+.p");
	pass(1000);
	assert_string_equal(trace, "get patch:P op get");
	plan_as(0, 2, "...");
	run();
	expect_trace("get patch:P op get get");
	expect_done(PLAN_SUPERSEDED, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	begin("", 200);
	fault_status("patch", 0, 1, 503, RATE)->retry_after = "5";
	plan("+.p");
	pass(1000);
	plan_as(0, 2, "...");
	run();
	expect_trace("get patch:P get patch:P op get");
	expect_done(PLAN_SUPERSEDED, 1, "");
	begin("", 200);
	fault_status("put", 0, 1, 503, RATE)->retry_after = "5";
	plan("..p");
	pass(1000);
	plan_as(0, 2, "..f");
	run();
	expect_trace("list put:100*2 list put:100*2 list "
		     "list put:200*2 list");
	expect_routes(RESULT_SUCCESS, 2, 100);
}

/* Others who write. */

static void
busy_router(void **state)
{
	size_t first;

	(void)state;
	begin("", 100);
	fault_status("patch", 0, 3, 400, BUSY);
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P get patch:P get patch:P "
		     "op get status list");
	expect_done(PLAN_DONE, 1, "");
	first = nth("patch", 0);
	assert_int_equal(call[first + 1].when - call[first].when,
	    1000 + LATENCY);
	assert_int_equal(call[first + 3].when - call[first + 2].when,
	    2000 + LATENCY);
	assert_int_equal(call[first + 5].when - call[first + 4].when,
	    4000 + LATENCY);
	/* a new id after any answer */
	assert_string_not_equal(call[nth("patch", 0)].id,
	    call[nth("patch", 1)].id);
	/* for ever */
	begin("", 100);
	fault_status("patch", 0, -1, 400, BUSY);
	plan("+.p");
	assert_in_range(run(), 55000, 60000);
	expect_done(PLAN_FAILED, 0, "router patch");
	assert_non_null(strstr(done(1)->error, "not ready"));
	assert_int_equal(advert(PRIMARY)->http_status, 400);
}

static void
foreign_writer(void **state)
{
	(void)state;
	begin("", 100);
	undone = 1;
	fault("op", 0, -1, HOOK)->hook = undo;
	plan("+.p");
	run();
	expect_trace("get patch:P op get get patch:FP op get status list");
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_string_equal(advert(PRIMARY)->ranges_before, "");
	assert_string_equal(advert(PRIMARY)->ranges_after, F " " P);
	assert_string_equal(advert(PRIMARY)->operation_id, "operation-2");
	assert_int_equal(ncomplaints, 1);
	begin("", 100);
	undone = 3;
	fault("op", 0, -1, HOOK)->hook = undo;
	plan("+.p");
	run();
	expect_trace("get patch:P op get get patch:FP op get "
		     "get patch:FP op get");
	expect_done(PLAN_FAILED, 3, "read-back");
	assert_non_null(strstr(done(1)->error, "another writer"));
}

static void
friendly_writer(void **state)
{
	(void)state;
	begin("", 100);
	undone = 1;
	fault("op", 0, 1, HOOK)->hook = undo;
	fault("get", 1, 1, HOOK)->hook = advertise_primary;
	plan("+.p");
	run();
	expect_trace("get patch:P op get get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	/* before anything was written: no change of ours */
	begin("", 100);
	fault_status("patch", 0, 1, 400, BUSY);
	world.fault[0].hook = advertise_primary;
	plan("+.p");
	run();
	expect_trace("get patch:P get status list");
	expect_done(PLAN_DONE, 0, "");
	expect_advert(PRIMARY, RESULT_NO_CHANGE, V_YES);
}

static void
weight_lost(void **state)
{
	(void)state;
	begin("P", 200);
	world.drops_weight = true;
	plan("..p");
	run();
	expect_routes(RESULT_SUCCESS, 2, 100);
	assert_non_null(strstr(complaint, "have lost more"));
}

static void
routes_change_meanwhile(void **state)
{
	(void)state;
	begin("P", 100);
	json_object_set_new(json_array_get(world.routes, 0), "priority",
	    json_integer(300));
	fault("put", 0, 1, HOOK)->hook = one_more_differs;
	plan("..p");
	run();
	expect_trace("list put:100*1 list put:100*2 list");
	expect_routes(RESULT_SUCCESS, 2, 100);
}

/* The effect. */

static void
no_peer_up(void **state)
{
	(void)state;
	begin("", 200);
	world.up = false;
	plan("+.p");
	assert_in_range(run(), 57000, 61000);
	expect_done(PLAN_FAILED, 1, "effect");
	assert_string_equal(done(1)->error, "no UP peer on router router");
	expect_advert(PRIMARY, RESULT_FAILURE, V_NO);
	assert_string_equal(advert(PRIMARY)->operation_id, "operation-1");
	assert_null(routes(1));
	/* nobody is told: a withdrawal needs no more */
	begin("P", 200);
	world.up = false;
	plan("-.p");
	run();
	expect_trace("get patch: op get status list put:100*2 list");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	/* up, but not told */
	begin("", 200);
	world.lag = 1000000;
	plan("+.p");
	run();
	expect_done(PLAN_FAILED, 1, "effect");
	assert_non_null(strstr(done(1)->error, "have not been told"));
	/* up again in time */
	begin("", 200);
	fault_status("status", 0, 2, 503, "");
	fault_status("status", 0, 2, 200,
	    "{\"result\":{\"bgpPeerStatus\":[{\"name\":\"peer-a\","
	    "\"status\":\"DOWN\"}]}}");
	plan("+.p");
	run();
	expect_trace("get patch:P op get status status status status status "
		     "list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	/* an answer without a status shows nothing, no withdrawal either */
	begin("P", 200);
	fault_status("status", 0, 2, 200, "{}");
	plan("-.p");
	run();
	expect_trace("get patch: op get status status status list "
		     "put:100*2 list");
}

static void
blind_status(void **state)
{
	(void)state;
	begin("", 200);
	world.listed = false;
	plan("+.p");
	run();
	expect_trace("get patch:P op get status list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_int_equal(ncomplaints, 1);
	assert_non_null(strstr(complaint, "does not say"));
	/* said once */
	plan_as(0, 2, "+.p");
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_int_equal(ncomplaints, 1);
}

/* A session that has only just come up has no list yet. */
static void
young_session(void **state)
{
	(void)state;
	begin("", 200);
	world.listed = false;
	world.uptime = "29";
	plan("+.p");
	run();
	expect_done(PLAN_FAILED, 1, "effect");
	assert_non_null(strstr(done(1)->error, "have not been told"));
	assert_null(routes(1));
	world.uptime = "30";
	plan_as(0, 2, "+.p");
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_int_equal(routes(2)->modified, 2);
}

/* An empty list is not shown at all, which is known once one has been. */
static void
list_seen_before(void **state)
{
	(void)state;
	begin("", 100);
	plan("+..");
	run();
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	world.listed = false;
	plan_as(0, 2, "++.");
	run();
	assert_int_equal(done(2)->status, PLAN_FAILED);
	assert_non_null(strstr(done(2)->error, "have not been told"));
	assert_int_equal(ncomplaints, 0);
}

/* What the peers are still told is no effect, if a withdrawal was called off
 * before it came through. */
static void
withdrawal_called_off(void **state)
{
	(void)state;
	begin("P", 200);
	world.lag = 3000;
	plan("-..");
	pass(500);
	plan_as(0, 2, "+.p");
	assert_in_range(run(), 5000, 9000);
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_int_equal(routes(2)->modified, 2);
	/* it came through: what is told after that is told anew */
	begin("P", 200);
	plan("-..");
	run();
	plan_as(0, 2, "+.p");
	assert_true(run() < 1000);
	assert_int_equal(routes(2)->modified, 2);
}

/* Tokens. */

static void
google_token(void **state)
{
	(void)state;
	/* none yet */
	begin("", 100);
	token = NULL;
	plan("+.p");
	run();
	expect_trace("get patch:P op get status list");
	/* a new one for the call that was refused */
	begin("", 100);
	token = "google-0";
	plan("+.p");
	run();
	expect_trace("get get patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	begin("", 100);
	fault_status("patch", 0, 1, 401, "{}");
	plan("+.p");
	run();
	expect_trace("get patch:P patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	/* once */
	begin("", 100);
	fault_status("patch", 0, 9, 401, "{}");
	plan("+.p");
	run();
	expect_trace("get patch:P patch:P");
	expect_done(PLAN_FAILED, 0, "router patch");
	/* none to be had */
	begin("", 100);
	token = NULL;
	token_fails = true;
	plan("+.p");
	run();
	expect_trace("");
	expect_done(PLAN_FAILED, 0, "router read");
	assert_string_equal(done(1)->error, "the signer has no key");
}

static void
cloudflare_token(void **state)
{
	(void)state;
	begin("P", 200);
	world.cloudflare = world.new_cloudflare = "cloudflare-2";
	plan("..p");
	run();
	expect_trace("list list put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	assert_int_equal(count(IMSG_CF_REFUSED), 1);
	/* no new one comes */
	begin("P", 200);
	world.cloudflare = "cloudflare-2";
	plan("..p");
	assert_int_equal(run(), LATENCY + 2000);
	expect_trace("list");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	assert_int_equal(count(IMSG_CF_REFUSED), 1);
	/* the new one is no better; one question a plan */
	begin("P", 200);
	world.cloudflare = "cloudflare-3";
	world.new_cloudflare = "cloudflare-2";
	plan("..p");
	run();
	expect_trace("list list");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	begin("P", 200);
	world.new_cloudflare = "cloudflare-1";
	fault_status("list", 0, 1, 401, "{}");
	fault_status("put", 0, 1, 401, "{}");
	plan("..p");
	run();
	expect_trace("list list put:100*2");
	expect_done(PLAN_FAILED, 0, "cloudflare update");
	assert_int_equal(count(IMSG_CF_REFUSED), 1);
}

static void
token_text(void **state)
{
	(void)state;
	begin("P", 100);
	tell(IMSG_CONF_CF_TOKEN, 0, "bad\ttoken", 9);
	assert_non_null(strstr(complaint, "no token in it"));
	tell(IMSG_CONF_CF_TOKEN, 0, "\n", 1);
	assert_int_equal(ncomplaints, 2);
	/* the one that there was is still in use */
	plan("..p");
	run();
	expect_done(PLAN_DONE, 0, "");
}

/* The circuit breakers of the parent: what is told, and what is obeyed. */

#define ROUTER HALF_ROUTER
#define ROUTES HALF_ROUTES

static void
expect_halves(uint32_t reached, uint32_t failed_at)
{
	const struct msg_plan_done *msg = done(1);

	if (msg->reached != reached || msg->failed_at != failed_at)
		fail_msg("reached %u, failed at %u: %s: %s", msg->reached,
		    msg->failed_at, msg->step, msg->error);
}

static void
halves_reached(void **state)
{
	(void)state;
	begin("", 200);
	plan("+.p");
	run();
	expect_halves(ROUTER | ROUTES, 0);
	begin("", 200);
	plan("+..");
	run();
	expect_halves(ROUTER, 0);
	begin("", 200);
	plan("..p");
	run();
	expect_halves(ROUTES, 0);
	begin("", 200);
	plan("...");
	run();
	expect_halves(0, 0);
	/* a call and its repetitions are one */
	begin("", 200);
	fault_status("get", 0, 1, 503, OVERLOAD);
	fault_status("patch", 0, 1, 503, OVERLOAD);
	fault_status("put", 0, 1, 503, OVERLOAD);
	plan("+.p");
	run();
	expect_halves(ROUTER | ROUTES, 0);
	/* one that was never answered is neither */
	begin("", 200);
	world.delay = 0;
	fault("patch", 0, 1, LOST);
	plan("+.p");
	run();
	expect_done(PLAN_DONE, 2, "");
	expect_halves(ROUTES, 0);
	begin("", 200);
	fault("put", 0, 1, LOST);
	plan("+.p");
	run();
	expect_done(PLAN_DONE, 2, "");
	expect_halves(ROUTER, 0);
	/* a list that was made for others is no call */
	begin("", 200);
	plan("..f");
	run();
	plan_send(0, 2, "..f", true, 0);
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_int_equal(done(2)->reached, 0);
}

/* Each call, failing. */
static void
halves_failed(void **state)
{
	static const struct {
		const char *kind;
		int skip;
		enum half half;
	} one[] = {
		{ "get", 0, HALF_ROUTER },
		{ "patch", 0, HALF_ROUTER },
		{ "op", 0, HALF_ROUTER },
		{ "get", 1, HALF_ROUTER },
		{ "status", 0, HALF_ROUTER },
		{ "list", 0, HALF_ROUTES },
		{ "put", 0, HALF_ROUTES },
		{ "list", 1, HALF_ROUTES },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(one); i++) {
		begin("", 200);
		fault_status(one[i].kind, one[i].skip, 99, 503, OVERLOAD);
		plan("+.p");
		run();
		expect_halves(one[i].half == ROUTER ? 0 : ROUTER, one[i].half);
		begin("", 200);
		fault_status(one[i].kind, one[i].skip, 99, 403, FORBIDDEN);
		plan("+.p");
		run();
		expect_halves(one[i].half == ROUTER ? 0 : ROUTER, one[i].half);
	}
	begin("P", 200);
	fault_status("get", 0, 1, 403, FORBIDDEN); /* to see what to withdraw */
	plan("-.f");
	run();
	expect_halves(ROUTES, ROUTER);
	/* an operation that fails, or never ends */
	begin("", 200);
	world.op_error = "QUOTA_EXCEEDED";
	plan("+.p");
	run();
	expect_halves(0, ROUTER);
	begin("", 200);
	world.delay = -1;
	plan("+.p");
	run();
	expect_halves(0, ROUTER);
	/* nobody knows */
	begin("", 200);
	fault("patch", 0, 9, GONE);
	plan("+.p");
	run();
	expect_halves(0, ROUTER);
	begin("", 200);
	fault("put", 0, 9, GONE);
	plan("+.p");
	run();
	expect_halves(ROUTER, ROUTES);
	/* no status in it */
	begin("", 200);
	fault_status("status", 0, 99, 200, "{}");
	plan("+.p");
	run();
	expect_halves(0, ROUTER);
	/* a 429, and what it leads to */
	begin("", 200);
	fault_status("list", 0, 1, 429, "{}");
	plan("..p");
	run();
	expect_halves(0, ROUTES);
	plan_as(0, 2, "..p");
	run();
	assert_int_equal(done(2)->reached, 0);
	assert_int_equal(done(2)->failed_at, ROUTES);
	/* no token */
	begin("", 200);
	token = NULL;
	token_fails = true;
	plan("+.p");
	run();
	expect_halves(0, ROUTER);
}

/* All is answered, but it is not as it should be. */
static void
halves_well(void **state)
{
	(void)state;
	begin("", 200);
	world.up = false;
	plan("+.p");
	run();
	expect_done(PLAN_FAILED, 1, "effect");
	expect_halves(ROUTER, 0);
	begin("", 200);
	world.lag = 1000000;
	plan("+.p");
	run();
	expect_done(PLAN_FAILED, 1, "effect");
	expect_halves(ROUTER, 0);
	begin("", 200);
	undone = 3;
	fault("op", 0, -1, HOOK)->hook = undo;
	plan("+.p");
	run();
	expect_done(PLAN_FAILED, 3, "read-back");
	expect_halves(ROUTER, 0);
	begin("", 200);
	fault_status("patch", 0, -1, 400, BUSY);
	plan("+.p");
	run();
	expect_done(PLAN_FAILED, 0, "router patch");
	expect_halves(ROUTER, 0);
	begin("", 200);
	named_peer[0] = "peer-c";
	commit();
	plan("+.p");
	run();
	expect_done(PLAN_FAILED, 0, "router merge");
	expect_halves(ROUTER, 0);
	begin("", 200);
	strlcpy(conf[0].match, "nobody", MATCH_LEN);
	commit();
	plan("..p");
	run();
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	expect_halves(ROUTES, 0);
	begin("", 200);
	conf[0].expect = 7;
	commit();
	plan("..p");
	run();
	expect_halves(ROUTES, 0);
	begin("", 200);
	world.partial = true;
	plan("..p");
	run();
	expect_done(PLAN_FAILED, 2, "cloudflare read-back");
	expect_halves(ROUTES, 0);
	/* lost the first time, not taken the second */
	begin("", 200);
	world.partial = true;
	fault("put", 0, 1, GONE);
	plan("..p");
	run();
	expect_done(PLAN_FAILED, 2, "cloudflare read-back");
	expect_halves(0, 0);
}

static void
blocked(void **state)
{
	(void)state;
	begin("", 200);
	plan_send(0, 1, "+-p", false, ROUTER);
	assert_int_equal(run(), 0);
	expect_trace("");
	expect_done(PLAN_FAILED, 0, "router read");
	assert_string_equal(done(1)->error,
	    "circuit breaker gcp_local_advertisement is open");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	assert_null(routes(1));
	expect_halves(0, 0);
	/* the step, not the plan */
	begin("P", 100);
	plan_send(0, 1, "-.f", false, ROUTER);
	run();
	expect_trace("list put:200*2 list");
	expect_done(PLAN_FAILED, 1, "router read");
	expect_halves(ROUTES, 0);
	begin("", 200);
	plan_send(0, 1, "+.p", false, ROUTES);
	run();
	expect_trace("get patch:P op get status");
	expect_done(PLAN_FAILED, 1, "cloudflare list");
	assert_string_equal(done(1)->error,
	    "circuit breaker cloudflare is open");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_routes(RESULT_FAILURE, 0, 100);
	expect_halves(ROUTER, 0);
	begin("P", 100);
	plan_send(0, 1, "-.f", false, ROUTES);
	run();
	expect_trace("");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	/* nothing to call, nothing blocked */
	begin("", 200);
	plan_send(0, 1, "..p", false, ROUTER);
	run();
	expect_done(PLAN_DONE, 1, "");
	begin("", 200);
	plan_send(0, 1, "+..", false, ROUTES);
	run();
	expect_done(PLAN_DONE, 1, "");
	begin("", 200);
	plan_send(0, 1, "...", false, ROUTES | ROUTER);
	run();
	expect_done(PLAN_DONE, 0, "");
}

/* A newer plan. */

static void
replaced_in_a_write(void **state)
{
	(void)state;
	/* the write is finished, with all that belongs to it */
	begin("S", 200);
	world.delay = 100;
	plan("+.p");
	pass(2 * LATENCY + 100);
	assert_string_equal(trace, "get patch:SP op");
	plan_as(0, 2, "-.f");
	plan_as(0, 3, "..f");
	run();
	expect_trace("get patch:SP op op get list");
	expect_done(PLAN_SUPERSEDED, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_null(routes(1));
	assert_int_equal(done(2)->status, PLAN_SUPERSEDED);
	assert_int_equal(done(2)->changed, 0);
	assert_int_equal(done(3)->status, PLAN_DONE);
	assert_int_equal(routes(3)->result, RESULT_NO_CHANGE);
	/* of the routes, too */
	begin("P", 200);
	plan("..p");
	pass(2 * LATENCY);
	assert_string_equal(trace, "list put:100*2 list");
	plan_as(0, 2, "..f");
	run();
	expect_trace("list put:100*2 list list put:200*2 list");
	assert_int_equal(done(1)->status, PLAN_DONE); /* it was the last step */
}

static void
replaced_while_it_waits(void **state)
{
	int64_t start;

	(void)state;
	/* for the traffic to drain */
	begin("P", 100);
	plan("-.f");
	pass(15000);
	assert_string_equal(trace, "list put:200*2 list get");
	start = now;
	plan_as(0, 2, "+.p");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	assert_int_equal(call[ncalls - 1].when, start);
	run();
	expect_trace("list put:200*2 list get get status list put:100*2 list");
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_null(advert_of(1, PRIMARY));
	/* for the peers to be told: between two calls */
	begin("", 200);
	world.lag = 100000;
	plan("+.p");
	pass(10000);
	assert_int_equal(in_flight, 0);
	start = now;
	plan_as(0, 2, "..f");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	pass(0);
	assert_int_equal(call[ncalls - 1].when, start);
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
	/* and in one */
	begin("", 200);
	world.lag = 100000;
	plan("+.p");
	while (strstr(trace, "status") == NULL)
		pass(1);
	assert_int_equal(in_flight, 1);
	plan_as(0, 2, "..f");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	run();
	expect_trace("get patch:P op get status list");
	assert_int_equal(done(2)->status, PLAN_DONE);
}

/* The failover of a plan that waits is not in the new configuration. */
static void
replaced_and_gone(void **state)
{
	(void)state;
	begin("", 100);
	nconf = 2;
	commit();
	world.delay = 100;
	plan_as(1, 1, "+.p");
	pass(2 * LATENCY + 100);
	plan_as(1, 2, "..p");
	nconf = 1;
	commit();
	run();
	/* the one in flight ends under its own */
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	assert_int_equal(advert_of(1, PRIMARY)->result, RESULT_SUCCESS);
	assert_int_equal(done(2)->status, PLAN_SUPERSEDED);
	plan_as(1, 3, "..p");
	assert_int_equal(done(3)->status, PLAN_REFUSED);
}

static void
configured_anew(void **state)
{
	(void)state;
	begin("P", 100);
	plan("-.f");
	pass(10000);
	conf[0].passive = 1;
	strlcpy(conf[0].match, "rim", sizeof(conf[0].match));
	commit();
	run();
	/* it only waited, so it ends at once */
	expect_trace("list put:200*2 list get");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	plan_as(0, 2, "+.f");
	run();
	assert_int_equal(done(2)->status, PLAN_SKIPPED);
	assert_int_equal(routes(2)->matching, 1);
	/* a write is finished with the configuration that it began with, and
	 * nothing begins before that */
	begin("", 200);
	world.delay = 1000;
	plan("+.p");
	pass(2 * LATENCY + 100);
	conf[0].passive = 1;
	commit();
	plan_as(0, 2, "+.p");
	assert_int_equal(done(2)->status, PLAN_REFUSED);
	assert_int_equal(count(IMSG_CONF_IN_USE), 1);
	run();
	expect_trace("get patch:P op op op op get");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_int_equal(count(IMSG_CONF_IN_USE), 2);
}

/* Permission to go on. */

static void
held(void **state)
{
	(void)state;
	/* reading is finished, but what it shows is not written */
	begin("", 200);
	plan("+.p");
	pass(5);
	permit(1, false);
	run();
	expect_trace("get");
	assert_int_equal(count(IMSG_PLAN_DONE), 0);
	pass(1000000);
	permit(1, true);
	run();
	expect_trace("get get patch:P op get status list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	/* nor if something else is to be written now */
	begin("", 200);
	plan("+.p");
	pass(5);
	plan_as(0, 2, "..p");
	run();
	expect_trace("get list put:100*2 list");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	assert_null(advert(PRIMARY));
	assert_int_equal(done(2)->status, PLAN_DONE);
	/* the write is finished, no other step is begun */
	begin("", 200);
	plan("+.p");
	pass(15);
	permit(1, false);
	run();
	expect_trace("get patch:P op get");
	assert_int_equal(count(IMSG_PLAN_DONE), 0);
	pass(1000000);
	permit(2, true); /* of another plan */
	run();
	expect_trace("get patch:P op get");
	permit(1, true);
	run();
	expect_trace("get patch:P op get status list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	/* waiting goes on meanwhile */
	begin("P", 100);
	plan("-.f");
	pass(1000);
	permit(1, false);
	run();
	pass(1000000);
	expect_trace("list put:200*2 list get");
	permit(1, true);
	assert_true(run() < 1000);
	expect_trace("list put:200*2 list get get patch: op get status");
	/* a newer plan is not held */
	begin("", 200);
	plan("+.p");
	pass(15);
	permit(1, false);
	run();
	plan_as(0, 2, "..p");
	run();
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_int_equal(done(2)->status, PLAN_DONE);
	/* unless the word is for it, while it waits */
	begin("", 200);
	plan("+.p");
	pass(15);
	plan_as(0, 2, "..p");
	permit(2, false);
	run();
	assert_int_equal(count(IMSG_PLAN_DONE), 1);
	expect_trace("get patch:P op get");
	permit(2, true);
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
}

/* What may be done at all. */

static void
passive(void **state)
{
	(void)state;
	begin("S", 200);
	conf[0].passive = 1;
	commit();
	plan("+-p");
	run();
	expect_trace("get list");
	expect_done(PLAN_SKIPPED, 0, "");
	expect_advert(PRIMARY, RESULT_SKIPPED, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_SKIPPED, V_UNKNOWN);
	expect_routes(RESULT_SKIPPED, 0, 100);
	assert_string_equal(advert(PRIMARY)->request_id, "");
	assert_string_equal(advert(PRIMARY)->ranges_after, S);
	assert_string_equal(routes(1)->why, "passive");
	assert_int_equal(routes(1)->matching, 2);

	begin("S", 100);
	conf[0].passive = 1;
	commit();
	plan("+-f");
	assert_true(run() < 1000);
	expect_trace("get list get get");
	expect_done(PLAN_SKIPPED, 0, "");
	expect_advert(PRIMARY, RESULT_SKIPPED, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_SKIPPED, V_UNKNOWN);

	/* nothing that would have been written */
	begin("P", 100);
	conf[0].passive = 1;
	commit();
	plan("+-p");
	run();
	expect_trace("get list");
	expect_done(PLAN_DONE, 0, "");
	expect_advert(PRIMARY, RESULT_NO_CHANGE, V_UNKNOWN);
	expect_routes(RESULT_NO_CHANGE, 0, 100);
}

static void
unknown_failover(void **state)
{
	(void)state;
	begin("P", 100);
	plan_as(1, 1, "+.p");
	expect_trace("");
	assert_int_equal(done(1)->status, PLAN_REFUSED);
	assert_int_equal(ncomplaints, 1);
	plan_as(4000000000, 2, "+.p");
	assert_int_equal(done(2)->status, PLAN_REFUSED);
	permit(7, false);
}

/* Would that write be let through? */
static bool
lets(struct call *one, enum http_method method, const char *url,
    const char *body)
{
	bool may;

	one->method = method;
	one->url = strdup(url);
	one->body = body == NULL ? NULL : strdup(body);
	may = may_write(one);
	free(one->url);
	free(one->body);
	return (may);
}

#define ROUTER_URL "https://c/v1/projects/project/regions/region/routers/"
#define ROUTES_URL "https://f/v4/accounts/acc/magic/routes"
#define BGP(ranges)                                                            \
	"{\"bgp\":{\"advertiseMode\":\"CUSTOM\",\"advertisedGroups\":[],"      \
	"\"advertisedIpRanges\":[" ranges "]}}"
#define ROUTE(n, what)                                                         \
	"{\"id\":\"r1\",\"priority\":" #n ",\"description\":\"" what "\"}"
#define PRIO(n, what) "{\"routes\":[" ROUTE(n, what) "]}"

static void
last_look(void **state)
{
	struct call one = { 0 };
	struct job job = { 0 };

	(void)state;
	begin("F", 100);
	one.job = &job;
	job.config = config_current();
	job.act = config_act(0);
	job.router = world.router;
	assert_true(lets(&one, HTTP_PATCH, ROUTER_URL "router?requestId=1",
	    BGP("{\"range\":\"" F "\"},{\"range\":\"" P "\"}")));
	assert_false(lets(&one, HTTP_PATCH, ROUTER_URL "router2?requestId=1",
	    BGP("{\"range\":\"" F "\"}")));
	assert_false(lets(&one, HTTP_PATCH, ROUTER_URL "router",
	    BGP("{\"range\":\"" F "\"}")));
	assert_false(lets(&one, HTTP_PATCH,
	    "https://d/v1/projects/project/regions/region/routers/router"
	    "?requestId=1",
	    BGP("{\"range\":\"" F "\"}")));
	assert_false(lets(&one, HTTP_PATCH, ROUTER_URL "router?requestId=1",
	    BGP("{\"range\":\"" T "\"}")));
	assert_false(
	    lets(&one, HTTP_PATCH, ROUTER_URL "router?requestId=1", NULL));
	assert_false(
	    lets(&one, HTTP_PATCH, ROUTER_URL "router?requestId=1", "{"));
	assert_false(lets(&one, HTTP_PUT, ROUTER_URL "router?requestId=1",
	    BGP("{\"range\":\"" F "\"}")));
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(100, "edge")));
	job.config->act[0].conf.passive = 1;
	assert_false(lets(&one, HTTP_PATCH, ROUTER_URL "router?requestId=1",
	    BGP("{\"range\":\"" F "\"}")));
}

static void
last_look_at_routes(void **state)
{
	struct job job[2] = { 0 };
	struct table table = { .id = "acc" };
	struct call one = { .table = &table };

	(void)state;
	begin("F", 100);
	nconf = 2;
	conf[1].priority = 50;
	commit();
	TAILQ_INIT(&table.batch);
	table.config = job[0].config = job[1].config = config_current();
	job[0].act = config_act(0);
	job[1].act = config_act(1);
	job[1].failover = 1;
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(100, "edge")));
	TAILQ_INSERT_TAIL(&table.batch, &job[0], table_entry);
	assert_true(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(100, "edge")));
	assert_true(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(200, "the edge")));
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(150, "edge")));
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(50, "edge")));
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(100, "rim")));
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL "/r1", PRIO(100, "edge")));
	assert_false(lets(&one, HTTP_PUT,
	    "https://f/v4/accounts/abc/magic/routes", PRIO(100, "edge")));
	assert_false(lets(&one, HTTP_POST, ROUTES_URL, PRIO(100, "edge")));
	assert_false(lets(&one, HTTP_PATCH, ROUTES_URL, PRIO(100, "edge")));
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, NULL));
	/* of the other failover only if it is in the batch, and with its own
	 * priority */
	TAILQ_INSERT_TAIL(&table.batch, &job[1], table_entry);
	assert_true(lets(&one, HTTP_PUT, ROUTES_URL,
	    "{\"routes\":[" ROUTE(100, "edge") "," ROUTE(50, "rim") "]}"));
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL,
	    "{\"routes\":[" ROUTE(100, "edge") "," ROUTE(100, "rim") "]}"));
	/* a route of both is nobody's, whoever is in the batch */
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(200, "edge rim")));
	TAILQ_REMOVE(&table.batch, &job[1], table_entry);
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(200, "edge rim")));
	table.config->act[0].conf.passive = 1;
	assert_false(lets(&one, HTTP_PUT, ROUTES_URL, PRIO(100, "edge")));
}

/* It is taken before every sending, not once for a call. */
static void
last_look_at_each(void **state)
{
	(void)state;
	begin("", 100);
	fault_status("patch", 0, 1, 401, "{}");
	world.fault[0].hook = turn_passive;
	plan("+.p");
	run();
	expect_trace("get patch:P");
	expect_done(PLAN_FAILED, 0, "router patch");
	assert_string_equal(done(1)->error, "outside of what may be written");
	assert_int_equal(ncomplaints, 1);
}

/* More than one failover at one router and one account. */
static void
one_write_at_a_time(void **state)
{
	(void)state;
	begin("", 200);
	nconf = 2;
	commit();
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "+.p");
	run();
	/* each router write in one piece, and so that of the routes of those
	 * who come at different times */
	expect_trace("get patch:P op get get status patch:PT list op "
		     "put:100*2 get list status list put:100*1 list");
	assert_int_equal(done(1)->status, PLAN_DONE);
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_int_equal(world.nops, 2);
	/* the time of the step begins when it is its turn */
	begin("", 100);
	nconf = 2;
	commit();
	world.delay = 55000;
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "+.p");
	run();
	assert_int_equal(done(1)->status, PLAN_DONE);
	assert_int_equal(done(2)->status, PLAN_DONE);
	/* who fails makes way */
	begin("", 100);
	nconf = 2;
	commit();
	fault_status("patch", 0, 1, 403, FORBIDDEN);
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "+.p");
	run();
	expect_trace("get patch:P get patch:T op get status list");
	assert_int_equal(done(1)->status, PLAN_FAILED);
	assert_int_equal(done(2)->status, PLAN_DONE);
}

static void
waiting_for_a_turn(void **state)
{
	(void)state;
	/* replaced meanwhile: at once */
	begin("", 100);
	nconf = 2;
	commit();
	world.delay = 5000;
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "+.p");
	pass(1000);
	plan_as(1, 3, "..p");
	assert_int_equal(done(2)->status, PLAN_SUPERSEDED);
	pass(LATENCY);
	assert_int_equal(done(3)->status, PLAN_DONE);
	run();
	assert_int_equal(done(1)->status, PLAN_DONE);
	/* held meanwhile: the turn is given away */
	begin("", 100);
	nconf = 2;
	commit();
	plan_as(1, 2, "+.p");
	plan_as(0, 1, "+.p");
	pass(5);
	permit(1, false);
	run();
	expect_trace("get patch:T op get status list");
	permit(1, true);
	run();
	expect_trace("get patch:T op get status list "
		     "get patch:TP op get status list");
}

/* Routes. */

static void
which_routes(void **state)
{
	(void)state;
	begin("P", 200);
	strlcpy(conf[0].match, "Edge", sizeof(conf[0].match));
	commit();
	plan("+.p");
	run();
	expect_trace("get status list");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	assert_string_equal(done(1)->error, "no route matches \"Edge\"");
	expect_routes(RESULT_FAILURE, 0, 100);
	/* not as many as there should be, also after the write */
	begin("P", 200);
	conf[0].expect = 3;
	commit();
	plan("..p");
	run();
	expect_trace("list");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	begin("P", 200);
	conf[0].expect = 2;
	commit();
	plan("..p");
	run();
	expect_done(PLAN_DONE, 1, "");
	/* those that another failover has a claim to */
	begin("P", 200);
	nconf = 2;
	strlcpy(conf[1].match, "two", sizeof(conf[1].match));
	commit();
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list");
	assert_int_equal(done(1)->status, PLAN_FAILED);
	assert_int_equal(done(2)->status, PLAN_FAILED);
	assert_non_null(strstr(routes(1)->error, "written by neither"));
}

static void
many_routes(void **state)
{
	char id[16];
	int i;

	(void)state;
	begin("P", 200);
	for (i = 0; i < 248; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		json_array_append_new(world.routes,
		    route(id, "edge many", 200));
	}
	plan("..p");
	run();
	expect_trace("list put:100*100 put:100*100 put:100*50 list");
	expect_done(PLAN_DONE, 3, "");
	expect_routes(RESULT_SUCCESS, 250, 100);
	assert_int_equal(call[nth("put", 0)].timeout, 60000);
	assert_int_equal(call[nth("list", 0)].timeout, 10000);
}

static void
other_timeouts(void **state)
{
	(void)state;
	begin("", 100);
	conf[0].bgp_update_timeout = 3000;
	commit();
	world.delay = 1000;
	plan("+.p");
	run();
	expect_done(PLAN_DONE, 1, "");
	/* no call takes longer than what is left of its step */
	assert_int_equal(call[nth("get", 0)].timeout, 3000);
	assert_int_equal(call[nth("patch", 0)].timeout, 3000 - LATENCY);
	assert_int_equal(call[nth("status", 0)].timeout, 3000);
}

/* Every request to Compute counts against the limit, none to Cloudflare does;
 * that is asserted for each call. */
static void
limited(void **state)
{
	(void)state;
	begin("", 200);
	plan("+.p");
	run();
	assert_int_equal(bucket.rate, 2000);
	assert_int_equal(bucket.burst, 10);
	limit.rate = 5000;
	limit.burst = 3;
	commit();
	assert_int_equal(bucket.rate, 5000);
	assert_int_equal(bucket.burst, 3);
	assert_true(bucket.level <= 3000000);
	/* a configuration without one */
	limit.burst = 0;
	commit();
	plan_as(0, 2, "-.f");
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
}

/* Peers by name. */

static void
named(void **state)
{
	(void)state;
	begin("F", 100);
	named_peer[0] = "peer-a";
	commit();
	plan("+.p");
	run();
	expect_trace("get patch:FP op get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_int_equal(
	    json_array_size(json_object_get(
		json_object_get(world.router, "bgp"), "advertisedIpRanges")),
	    1);
	assert_false(peer_custom(
	    json_array_get(json_object_get(world.router, "bgpPeers"), 1)));
	/* one that does not exist */
	begin("F", 100);
	named_peer[0] = "peer-a";
	named_peer[1] = "peer-c";
	commit();
	plan("+.p");
	run();
	expect_trace("get");
	expect_done(PLAN_FAILED, 0, "router merge");
	assert_non_null(strstr(done(1)->error, "named peers"));
}

/* The end. */

static const char *stop_trace;

static void
check_stop(void)
{
	bool right = strcmp(trace, stop_trace) == 0 &&
	    count(IMSG_PLAN_DONE) == 0 && advert(PRIMARY) != NULL &&
	    advert(PRIMARY)->result == RESULT_SUCCESS;

	if (!right)
		fprintf(stderr, "stopped at: %s\n", trace);
	_exit(right ? 42 : 43);
}

/* Tell the actuator to stop when that much time has passed; the trace, when it
 * exits, has to be that. */
static void
expect_stop(const char *what, int priority, int64_t lag, int64_t when,
    const char *expected)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		stop_trace = expected;
		atexit(check_stop);
		begin("", priority);
		world.delay = 100;
		world.lag = lag;
		plan(what);
		pass(when);
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
	/* a write in flight is finished, and told */
	expect_stop("+.p", 200, 0, 100, "get patch:P op op get");
	/* a wait is not */
	expect_stop("+.p", 200, 100000, 5000,
	    "get patch:P op op get status status status status status");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_the_priority),
		cmocka_unit_test(seen_before_steered),
		cmocka_unit_test(as_it_should_be),
		cmocka_unit_test(to_the_failed),
		cmocka_unit_test(to_the_failed_announcing),
		cmocka_unit_test(nothing_to_drain),
		cmocka_unit_test(drain_once),
		cmocka_unit_test(drain_again),
		cmocka_unit_test(kept),
		cmocka_unit_test(failing_to_the_priority),
		cmocka_unit_test(failing_to_the_failed),
		cmocka_unit_test(operation_fails),
		cmocka_unit_test(operation_takes_long),
		cmocka_unit_test(operation_is_gone),
		cmocka_unit_test(patch_without_answer),
		cmocka_unit_test(patch_without_answer_then_busy),
		cmocka_unit_test(put_without_answer),
		cmocka_unit_test(put_in_part),
		cmocka_unit_test(reads_again),
		cmocka_unit_test(as_the_server_asks),
		cmocka_unit_test(patch_again),
		cmocka_unit_test(put_again),
		cmocka_unit_test(replaced_at_rest),
		cmocka_unit_test(busy_router),
		cmocka_unit_test(foreign_writer),
		cmocka_unit_test(friendly_writer),
		cmocka_unit_test(weight_lost),
		cmocka_unit_test(routes_change_meanwhile),
		cmocka_unit_test(no_peer_up),
		cmocka_unit_test(blind_status),
		cmocka_unit_test(young_session),
		cmocka_unit_test(list_seen_before),
		cmocka_unit_test(withdrawal_called_off),
		cmocka_unit_test(google_token),
		cmocka_unit_test(cloudflare_token),
		cmocka_unit_test(token_text),
		cmocka_unit_test(halves_reached),
		cmocka_unit_test(halves_failed),
		cmocka_unit_test(halves_well),
		cmocka_unit_test(blocked),
		cmocka_unit_test(replaced_in_a_write),
		cmocka_unit_test(replaced_while_it_waits),
		cmocka_unit_test(replaced_and_gone),
		cmocka_unit_test(configured_anew),
		cmocka_unit_test(held),
		cmocka_unit_test(passive),
		cmocka_unit_test(unknown_failover),
		cmocka_unit_test(last_look),
		cmocka_unit_test(last_look_at_routes),
		cmocka_unit_test(last_look_at_each),
		cmocka_unit_test(one_write_at_a_time),
		cmocka_unit_test(waiting_for_a_turn),
		cmocka_unit_test(which_routes),
		cmocka_unit_test(many_routes),
		cmocka_unit_test(other_timeouts),
		cmocka_unit_test(limited),
		cmocka_unit_test(named),
		cmocka_unit_test(stopped),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
