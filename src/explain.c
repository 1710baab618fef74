/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "forecast.h"
#include "mtgcpd.h"

/*
 * Why a failover is as it is, and what comes next: which rule holds, what it
 * waits for, the calls that would be made now, and the changes that are to
 * come if everything that is seen stays as it is.
 */

#define FORECAST_CYCLES 200000 /* of all failovers that are explained at once */

static void add(json_t *list, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void
add(json_t *list, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	json_array_append_new(list, json_string(text));
}

static const char *
seconds(int64_t ms, char *buf, size_t len)
{
	snprintf(buf, len, "%lld.%lld s", (long long)(ms / 1000),
	    (long long)(ms % 1000 / 100));
	return (buf);
}

/* Which rule says what is done. */
static json_t *
explain_rule(const struct failover *failover)
{
	const struct decision *decision = &failover->decision;
	char text[256];

	if (decision->overridden)
		snprintf(text, sizeof(text),
		    "forced to act as state %d, whatever is known",
		    decision->acting);
	else if (decision->current == STATE_NONE)
		snprintf(text, sizeof(text),
		    "no state yet: nothing is done before enough is known");
	else if (decision->read == STATE_NONE)
		snprintf(text, sizeof(text),
		    "not enough is known: state %d stays, and nothing is "
		    "written",
		    decision->current);
	else if (decision->read == decision->current)
		snprintf(text, sizeof(text),
		    "the verdicts say state %d, which is the current one",
		    decision->read);
	else
		snprintf(text, sizeof(text),
		    "the verdicts say state %d; state %d is left once nothing "
		    "is waited for",
		    decision->read, decision->current);
	return (json_string(text));
}

static void
explain_pending(const struct failover *failover, json_t *list)
{
	const struct decision *decision = &failover->decision;
	char left[32];

	seconds(decision->pending_left, left, sizeof(left));
	switch (decision->pending) {
	case PENDING_NONE:
		break;
	case PENDING_VERIFY:
		add(list, "verify: state %d has to be read in %u more cycles",
		    decision->candidate, decision->verify_left);
		break;
	case PENDING_DWELL:
		add(list, "dwell: state %d is kept for another %s",
		    decision->current, left);
		break;
	case PENDING_RETURN:
		if (decision->pending_left < 0)
			add(list,
			    "return-after: state 1 has to be read without "
			    "interruption");
		else
			add(list,
			    "return-after: state 1 has to be read for "
			    "another %s",
			    left);
		break;
	case PENDING_BRAKE:
		add(list,
		    "brake: too many transitions; state 1 is entered "
		    "again after \"ack\"");
		break;
	}
}

static void
explain_handover(const struct failover *failover, json_t *list)
{
	const struct decision *decision = &failover->decision;
	char left[32];

	if (decision->overridden)
		return;
	if (decision->wait_takeover)
		add(list,
		    "handover: the remote side has to announce the "
		    "primary prefix, for another %s at most",
		    seconds(decision->takeover_left, left, sizeof(left)));
	if (!decision->keep_secondary ||
	    decision->actions.prefix[SECONDARY] != ADVERT_WITHDRAW)
		return;
	if (decision->secondary_left < 0)
		add(list,
		    "handover: the secondary prefix stays until the "
		    "remote side announces it");
	else
		add(list,
		    "handover: the secondary prefix stays until the "
		    "remote side has announced it for another %s",
		    seconds(decision->secondary_left, left, sizeof(left)));
}

static void
explain_orders(const struct failover *failover, json_t *list)
{
	static const char *const names[OBJECTS] = { "the primary prefix",
		"the secondary prefix", "the Cloudflare routes" };
	int i;

	if (failover->conf->passive)
		add(list, "passive: nothing is written");
	if (failover->orders.hold && !failover->decision.overridden)
		add(list, "hold: no new step begins before \"release\"%s",
		    failover->hold.until != 0 ? ", or its end" : "");
	for (i = 0; i < OBJECTS; i++)
		if (failover->drift[i].contested)
			add(list,
			    "contested: another program changes %s; they "
			    "are left alone until a transition or "
			    "\"ack\"",
			    names[i]);
}

static void
explain_breakers(const struct failover *failover, int64_t now, json_t *list)
{
	const struct breaker *breaker;
	const char *region;
	char left[32];
	int i;

	for (i = 0; i < SERVICES; i++) {
		breaker = &failover->breaker[i];
		if (breaker->state == BREAKER_CLOSED)
			continue;
		region = service_region(failover, (enum service)i);
		add(list, "circuit breaker %s%s%s: not called for another %s",
		    service_name((enum service)i), region == NULL ? "" : " ",
		    region == NULL ? "" : region,
		    seconds(breaker->trial > now ? breaker->trial - now : 0,
			left, sizeof(left)));
	}
}

/* All that keeps something from being done. */
static json_t *
explain_waits(const struct failover *failover, int64_t now)
{
	json_t *list = json_array();

	explain_pending(failover, list);
	explain_handover(failover, list);
	explain_orders(failover, list);
	explain_breakers(failover, now, list);
	return (list);
}

/* Does the prefix have to be written, as far as is known of the router? */
static bool
differs(const struct failover *failover, const struct msg_plan *picture,
    enum which which)
{
	const struct cycle_seen *local = &failover->seen[LOCAL];

	if (picture->prefix[which] == ADVERT_KEEP || !local->router_seen ||
	    local->configured[which] == PRESENCE_UNKNOWN)
		return (false);
	return (local->configured[which] !=
	    (picture->prefix[which] == ADVERT_ADVERTISE ? PRESENCE_ALL :
							  PRESENCE_NONE));
}

/* The change of the router that takes these prefixes one way, or both. */
static void
calls_router(const struct failover *failover, const struct msg_plan *picture,
    bool advertise, bool withdraw, json_t *list)
{
	const struct failover_conf *conf = failover->conf;
	char what[256] = "", prefix[PREFIX_LEN];
	bool advertises;
	int i;

	for (i = 0; i < PREFIXES; i++) {
		advertises = picture->prefix[i] == ADVERT_ADVERTISE;
		if (!differs(failover, picture, (enum which)i) ||
		    !(advertises ? advertise : withdraw))
			continue;
		prefix_text(&conf->prefix[i], prefix, sizeof(prefix));
		strlcat(what, *what == '\0' ? "" : ", ", sizeof(what));
		strlcat(what, advertises ? "advertise " : "withdraw ",
		    sizeof(what));
		strlcat(what, prefix, sizeof(what));
	}
	if (*what == '\0')
		return;
	add(list, "PATCH projects/%s/regions/%s/routers/%s: %s",
	    conf->router_project, conf->router_region[LOCAL],
	    conf->router[LOCAL], what);
	add(list,
	    "GET projects/%s/regions/%s/routers/%s/getRouterStatus: until "
	    "the peers have been told",
	    conf->router_project, conf->router_region[LOCAL],
	    conf->router[LOCAL]);
}

/* The priority that the picture gives to the routes. */
static uint32_t
priority(const struct failover_conf *conf, const struct msg_plan *picture)
{
	return (picture->cloudflare == STEER_PRIORITY ? conf->priority :
							conf->failed);
}

static bool
steered(const struct failover *failover, const struct msg_plan *picture)
{
	const struct msg_plan_routes *routes = &failover->plan.routes;

	return (failover->plan.routes_at != -1 &&
	    routes->desired == (int32_t)priority(failover->conf, picture) &&
	    (routes->result == RESULT_SUCCESS ||
		routes->result == RESULT_NO_CHANGE));
}

static void
calls_routes(const struct failover *failover, const struct msg_plan *picture,
    json_t *list)
{
	const struct failover_conf *conf = failover->conf;

	if (picture->cloudflare == STEER_KEEP)
		return;
	add(list, "GET accounts/%s/magic/routes", conf->account->id);
	if (!steered(failover, picture))
		add(list,
		    "PUT accounts/%s/magic/routes: priority %u for the "
		    "routes matching \"%s\"",
		    conf->account->id, priority(conf, picture), conf->match);
}

/* The calls that a plan of that picture would make, in their order. */
static json_t *
explain_calls(const struct failover *failover, const struct msg_plan *picture,
    enum want want)
{
	json_t *list = json_array();

	if (want == WANT_NOTHING)
		return (list);
	if (want == WANT_LOOK) {
		calls_routes(failover, picture, list);
		return (list);
	}
	add(list, "GET projects/%s/regions/%s/routers/%s",
	    failover->conf->router_project,
	    failover->conf->router_region[LOCAL],
	    failover->conf->router[LOCAL]);
	if (picture->cloudflare == STEER_FAILED) {
		calls_router(failover, picture, true, false, list);
		calls_routes(failover, picture, list);
		calls_router(failover, picture, false, true, list);
	} else {
		calls_router(failover, picture, true, true, list);
		calls_routes(failover, picture, list);
	}
	return (list);
}

/* What would be sent to the actuator, had the next cycle ended now. */
static json_t *
explain_next(const struct failover *failover, int64_t now)
{
	static const char *const whys[] = {
		[WANT_NOTHING] = "nothing",
		[WANT_DECIDED] = "decided",
		[WANT_AGAIN] = "retry",
		[WANT_REPAIR] = "repair",
		[WANT_LOOK] = "look",
	};
	struct msg_plan picture = { 0 };
	bool known = failover->decision.acting != STATE_NONE;
	enum want want = WANT_NOTHING;

	if (known) {
		plan_picture(failover, &picture);
		want = plan_wants(failover, &picture, now);
	}
	return (
	    json_pack("{s:s, s:b, s:o, s:o}", "why", whys[want], "may_begin",
		known && decision_acts(&failover->decision) &&
		    !failover->conf->passive,
		"in_seconds",
		json_real((double)engine_next(failover, now) / 1000.0), "calls",
		explain_calls(failover, &picture, want)));
}

static json_t *
forecast_change(const struct failover *failover, const struct forecast *change)
{
	return (json_pack("{s:f, s:i, s:i, s:o, s:o, s:o, s:b, s:o}",
	    "in_seconds", (double)change->in / 1000.0, "state_code",
	    change->read, "current_state", change->current, "local_healthy",
	    event_verdict(change->local), "remote_healthy",
	    event_verdict(change->remote), "remote_bgp_up",
	    event_verdict(change->remote_bgp), "acts", change->acts,
	    "planned_actions", plan_actions(failover, &change->actions)));
}

/* What is to come if everything that is seen stays as it is. */
static json_t *
explain_forecast(const struct failover *failover, int64_t now, uint64_t cycles)
{
	struct forecast changes[FORECAST_MAX];
	const struct standing from = {
		.machine = &failover->machine,
		.policy = &failover->conf->policy,
		.orders = &failover->orders,
		.sample = &failover->sample,
		.decision = &failover->decision,
		.now = now,
		.next = now + engine_next(failover, now),
	};
	json_t *list = json_array();
	bool settled;
	size_t i, n;

	n = forecast(&from, cycles, changes, &settled);
	for (i = 0; i < n; i++)
		json_array_append_new(list,
		    forecast_change(failover, &changes[i]));
	return (json_pack("{s:o, s:b}", "changes", list, "settled", settled));
}

/* Add to what is shown of a failover why it is so; others: how many are being
 * explained with it. */
void
explain(const struct failover *failover, size_t others, json_t *object)
{
	int64_t now = mono_ms();

	json_object_set_new(object, "rule", explain_rule(failover));
	json_object_set_new(object, "waits", explain_waits(failover, now));
	json_object_set_new(object, "next", explain_next(failover, now));
	json_object_set_new(object, "forecast",
	    explain_forecast(failover, now, FORECAST_CYCLES / (others + 1)));
}
