/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>

#include "forecast.h"
#include "log.h"
#include "mtgcpd.h"

/*
 * From decisions to plans: when the actuator is given the desired picture of a
 * failover, when a plan in flight has to pause, and what its results mean.
 */

/* Does something of the plan, or in its place, wait for leave to begin? */
bool
plan_waits(const struct plan *plan)
{
	return (plan->waits ||
	    (plan->progress == PROGRESS_RUNNING && !plan->permitted));
}

/* How far the plan has come, in events. */
const char *
plan_progress_name(const struct plan *plan)
{
	static const char *const names[] = {
		[PROGRESS_NONE] = "none",
		[PROGRESS_RUNNING] = "running",
		[PROGRESS_DONE] = "done",
		[PROGRESS_FAILED] = "failed",
		[PROGRESS_SUPERSEDED] = "superseded",
		[PROGRESS_SKIPPED] = "skipped",
	};

	return (plan_waits(plan) ? "waiting" : names[plan->progress]);
}

static json_t *
plan_advert(enum advert advert)
{
	if (advert == ADVERT_KEEP)
		return (json_null());
	return (json_boolean(advert == ADVERT_ADVERTISE));
}

static int32_t
plan_priority(const struct failover_conf *conf, enum steer steer)
{
	return (
	    (int32_t)(steer == STEER_PRIORITY ? conf->priority : conf->failed));
}

/* Actions as events show them: null where nothing is to change. */
json_t *
plan_actions(const struct failover *failover, const struct actions *actions)
{
	return (json_pack("{s:o, s:o, s:o}", "advertise_primary",
	    plan_advert(actions->prefix[PRIMARY]), "advertise_secondary",
	    plan_advert(actions->prefix[SECONDARY]), "cloudflare_priority",
	    actions->cloudflare == STEER_KEEP ?
		json_null() :
		json_integer(
		    plan_priority(failover->conf, actions->cloudflare))));
}

static void
plan_permit(struct failover *failover, struct channel *actuator, bool proceed)
{
	struct msg_permit msg;

	if (failover->plan.permitted == proceed)
		return;
	failover->plan.permitted = proceed;
	memset(&msg, 0, sizeof(msg));
	msg.plan = failover->plan.msg.plan;
	msg.proceed = proceed;
	channel_send(actuator, IMSG_PLAN_PERMIT, failover->conf->index, &msg,
	    sizeof(msg));
}

/* Is the prefix in the configuration of the local router, as far as known? */
static bool
plan_configured(const struct failover *failover, enum which which)
{
	const struct cycle_side *local = &failover->side[LOCAL];

	return (local->router_seen &&
	    local->router.configured[which] > PRESENCE_NONE);
}

/* Say, once an occasion, that hand-over keeps the secondary prefix. */
static void
plan_tell_gate(struct failover *failover)
{
	const struct failover_conf *conf = failover->conf;
	const struct decision *decision = &failover->decision;
	bool gated = decision_picture(decision).prefix[SECONDARY] !=
	    decision->actions.prefix[SECONDARY];
	char prefix[PREFIX_LEN];
	struct event_head head = {
		.type = "bgp_advertisement_change",
		.result = RESULT_SKIPPED,
		.component = "gcp_bgp",
		.operation = "withdraw_prefix",
		.failover = conf->name,
		.corr = failover->corr,
		.duration = -1,
	};

	if (!gated)
		failover->gate_told = false;
	if (!gated || failover->gate_told ||
	    !plan_configured(failover, SECONDARY))
		return;
	failover->gate_told = true;
	prefix_text(&conf->prefix[SECONDARY], prefix, sizeof(prefix));
	log_info("%s: %s stays advertised until the remote side has announced "
		 "it for %lld s",
	    conf->name, prefix, (long long)(conf->policy.handover / 1000));
	event_emit(&head,
	    json_pack("{s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:n, s:n, s:n, "
		      "s:s}",
		"gcp_project", conf->router_project, "region",
		conf->router_region[LOCAL], "router", conf->router[LOCAL],
		"prefix", prefix, "operation_id", "request_id", "http_status",
		"effect_seen", "ranges_before", "ranges_after", "why",
		"handover: the remote side has not announced it for long "
		"enough"));
}

/*
 * The picture that is desired now: the state's actions, but for what the
 * hand-over rules hold back, and for what another program wants otherwise.
 * Only prefix and cloudflare of it are filled in.
 */
void
plan_picture(const struct failover *failover, struct msg_plan *msg)
{
	const struct actions picture = decision_picture(&failover->decision);
	const struct drift *drift = failover->drift;

	msg->prefix[PRIMARY] = picture.prefix[PRIMARY];
	msg->prefix[SECONDARY] = picture.prefix[SECONDARY];
	msg->cloudflare = picture.cloudflare;
	if (drift[OBJECT_PRIMARY].contested)
		msg->prefix[PRIMARY] = ADVERT_KEEP;
	if (drift[OBJECT_SECONDARY].contested)
		msg->prefix[SECONDARY] = ADVERT_KEEP;
	if (drift[OBJECT_ROUTES].contested)
		msg->cloudflare = STEER_KEEP;
}

static bool
plan_same(const struct msg_plan *a, const struct msg_plan *b)
{
	return (a->prefix[PRIMARY] == b->prefix[PRIMARY] &&
	    a->prefix[SECONDARY] == b->prefix[SECONDARY] &&
	    a->cloudflare == b->cloudflare);
}

/*
 * Has what is ours on the local router drifted from what the last plan left
 * there?  Only a cycle that began after the plan had ended can tell.
 */
static bool
plan_drifted(const struct failover *failover)
{
	const struct cycle_side *local = &failover->side[LOCAL];
	const struct plan *plan = &failover->plan;
	int i, configured;

	if (!local->router_seen || failover->started < plan->ended)
		return (false);
	for (i = 0; i < PREFIXES; i++) {
		configured = local->router.configured[i];
		if (configured == PRESENCE_UNKNOWN)
			continue;
		if (plan->msg.prefix[i] == ADVERT_ADVERTISE &&
		    configured != PRESENCE_ALL)
			return (true);
		if (plan->msg.prefix[i] == ADVERT_WITHDRAW &&
		    configured != PRESENCE_NONE)
			return (true);
	}
	return (false);
}

/* How often the routes of a failover are looked at, in milliseconds. */
uint32_t
look_every(const struct failover_conf *conf)
{
	if (conf->policy.interval < LOOK_EVERY)
		return (LOOK_EVERY);
	return ((uint32_t)conf->policy.interval);
}

/* Is it time to look whether the routes at Cloudflare are still ours? */
static bool
plan_look_due(const struct failover *failover, int64_t now)
{
	return (failover->plan.msg.cloudflare != STEER_KEEP &&
	    now - failover->plan.looked >= look_every(failover->conf));
}

/* The halves that the plan is about. */
static uint32_t
plan_halves(const struct msg_plan *msg)
{
	uint32_t halves = 0;

	if (msg->prefix[PRIMARY] != ADVERT_KEEP ||
	    msg->prefix[SECONDARY] != ADVERT_KEEP)
		halves |= HALF_ROUTER;
	if (msg->cloudflare != STEER_KEEP)
		halves |= HALF_ROUTES;
	return (halves);
}

/* The one that it would call first: announcing comes before steering, and
 * steering away before withdrawing. */
static uint32_t
plan_first_half(const struct msg_plan *msg)
{
	uint32_t halves = plan_halves(msg);
	bool advertises = msg->prefix[PRIMARY] == ADVERT_ADVERTISE ||
	    msg->prefix[SECONDARY] == ADVERT_ADVERTISE;

	if (halves != HALVES_ALL)
		return (halves);
	return (msg->cloudflare == STEER_FAILED && !advertises ? HALF_ROUTES :
								 HALF_ROUTER);
}

/* Why a plan is to be sent, if it may be. */
enum want
plan_wants(const struct failover *failover, const struct msg_plan *msg,
    int64_t now)
{
	const struct plan *plan = &failover->plan;
	bool failed = plan->progress == PROGRESS_FAILED;

	if (plan->msg.plan == 0 || !plan_same(msg, &plan->msg))
		return (WANT_DECIDED);
	if (failed && !plan->look && plan->stopped != HALF_ROUTES)
		return (WANT_AGAIN);
	/* A plan that fails at the routes says nothing of the router. */
	if ((failed || plan->progress == PROGRESS_DONE) &&
	    plan_drifted(failover))
		return (WANT_REPAIR);
	if (failed)
		return (WANT_AGAIN);
	if (plan_look_due(failover, now))
		return (WANT_LOOK);
	return (WANT_NOTHING);
}

/* Has the plan come as far as a circuit breaker lets it?  Then it is not sent
 * again, but for a look at the other half from time to time. */
static bool
plan_still_stopped(struct failover *failover)
{
	int64_t now = mono_ms();

	return (failover->plan.stopped != 0 && !plan_look_due(failover, now) &&
	    breakers_blocked(failover, failover->plan.stopped, now) != 0);
}

/* Give the picture, or what has to be looked at of it, to the actuator; or
 * wait, if that is behind an open circuit breaker. */
static void
plan_send(struct failover *failover, struct channel *actuator,
    const struct msg_plan *picture, enum want want)
{
	struct plan *plan = &failover->plan;
	struct msg_plan msg = *picture;
	/* In passive mode everything is compared, to be shown. */
	bool look = !failover->conf->passive &&
	    (want == WANT_LOOK || (want == WANT_AGAIN && plan->look));
	uint32_t first;

	if (look) {
		msg.prefix[PRIMARY] = ADVERT_KEEP;
		msg.prefix[SECONDARY] = ADVERT_KEEP;
	}
	if (want == WANT_AGAIN && plan_still_stopped(failover)) {
		plan->waits = true;
		return;
	}
	first = plan_first_half(&msg);
	plan->waits = breakers_blocked(failover, first, mono_ms()) != 0;
	if (plan->waits) {
		plan_permit(failover, actuator, false);
		return;
	}
	msg.blocked = breakers_blocked(failover, plan_halves(&msg) & ~first,
	    mono_ms());
	msg.plan = ++failover->next_plan;
	msg.repair = want == WANT_LOOK || want == WANT_REPAIR ||
	    (want == WANT_AGAIN && plan->msg.repair);
	strlcpy(msg.corr, failover->corr, sizeof(msg.corr));
	plan->msg = msg;
	memcpy(plan->msg.prefix, picture->prefix, sizeof(plan->msg.prefix));
	plan->look = look;
	plan->stopped = 0;
	plan->progress = PROGRESS_RUNNING;
	plan->permitted = true;
	plan->skipped = false;
	plan->looked = mono_ms();
	channel_send(actuator, IMSG_PLAN, failover->conf->index, &msg,
	    sizeof(msg));
}

/* Begin nothing now, and let nothing that runs begin another step. */
static void
plan_pause(struct failover *failover, struct channel *actuator, int64_t now)
{
	const struct decision *decision = &failover->decision;
	struct plan *plan = &failover->plan;
	struct msg_plan msg = { 0 };
	enum want want;

	if (plan->progress == PROGRESS_RUNNING) {
		plan_permit(failover, actuator, false);
		return;
	}
	if (decision->read == STATE_NONE || decision->current == STATE_NONE)
		return;
	plan_picture(failover, &msg);
	plan_tell_gate(failover);
	want = plan_wants(failover, &msg, now);
	plan->waits = want != WANT_NOTHING && want != WANT_LOOK;
}

/*
 * Act on the decision of the cycle that has just ended.  A reading of 0 begins
 * nothing and pauses what has begun; so do an order to hold, and waiting for
 * the other side to take over.  A new picture replaces the steps not yet begun
 * of an old one; the same picture is sent again if it failed, has drifted, or
 * has not been looked at for a while.
 */
void
plan_next(struct failover *failover, struct channel *actuator, int64_t now)
{
	struct plan *plan = &failover->plan;
	struct msg_plan msg;
	enum want want;

	if (!decision_acts(&failover->decision)) {
		plan_pause(failover, actuator, now);
		return;
	}
	memset(&msg, 0, sizeof(msg));
	plan_picture(failover, &msg);
	plan_tell_gate(failover);
	want = plan_wants(failover, &msg, now);
	plan->waits = false;
	if (plan->progress == PROGRESS_RUNNING && want != WANT_DECIDED)
		plan_permit(failover, actuator, true);
	else if (want != WANT_NOTHING)
		plan_send(failover, actuator, &msg, want);
}

/* The list of ranges that travels as text. */
static json_t *
plan_ranges(char *text)
{
	json_t *list = json_array();
	char *range;

	while ((range = strsep(&text, " ")) != NULL)
		if (*range != '\0')
			json_array_append_new(list, json_string(range));
	return (list);
}

static json_t *
plan_text(const char *text)
{
	return (*text == '\0' ? json_null() : json_string(text));
}

static json_t *
plan_number(int32_t number)
{
	return (number <= 0 ? json_null() : json_integer(number));
}

/* What somebody else had changed of ours is repaired; if that happens too
 * often, it is left alone from now on. */
static void
plan_drift_event(struct failover *failover, enum object object,
    const char *name, const char *found, const char *wanted)
{
	struct drift *drift = &failover->drift[object];
	struct event_head head = {
		.type = "drift_repaired",
		.result = RESULT_SUCCESS,
		.component = "actuator",
		.operation = name,
		.failover = failover->conf->name,
		.corr = failover->plan.msg.corr,
		.duration = -1,
		.error = "another program wants it otherwise: left alone until "
			 "a transition or an acknowledgement",
	};
	int repairs = (int)drift_repaired(drift, mono_ms());

	statefile_dirty(failover);
	log_warnx("%s: %s had been changed by someone else: repaired",
	    failover->conf->name, name);
	event_emit(&head,
	    json_pack("{s:s, s:s, s:s, s:i}", "object", name, "found", found,
		"wanted", wanted, "repairs", repairs));
	if (!drift->contested)
		return;
	head.type = "contested";
	head.result = RESULT_FAILURE;
	log_errorx("%s: %s: %s", failover->conf->name, name, head.error);
	event_emit(&head,
	    json_pack("{s:s, s:s, s:s, s:i}", "object", name, "found", found,
		"wanted", wanted, "repairs", repairs));
}

static void
plan_advert_result(struct failover *failover, const struct imsg *imsg)
{
	const struct failover_conf *conf = failover->conf;
	struct msg_plan_advert msg;
	char prefix[PREFIX_LEN];
	struct event_head head = {
		.type = "bgp_advertisement_change",
		.component = "gcp_bgp",
		.failover = conf->name,
		.corr = failover->plan.msg.corr,
		.error = msg.error,
	};

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.plan != failover->plan.msg.plan)
		head.corr = NULL;
	else if (msg.result == RESULT_FAILURE)
		failover->plan.stopped |= failover->plan.msg.blocked &
		    HALF_ROUTER;
	prefix_text(&conf->prefix[msg.which], prefix, sizeof(prefix));
	head.result = msg.result;
	head.operation = msg.advertise ? "advertise_prefix" : "withdraw_prefix";
	head.duration = msg.duration;
	if (msg.result == RESULT_SKIPPED)
		failover->plan.skipped = true;
	if (msg.result == RESULT_SUCCESS)
		log_info("%s: %s %s on router %s", conf->name,
		    msg.advertise ? "advertised" : "withdrew", prefix,
		    conf->router[LOCAL]);
	else if (msg.result == RESULT_FAILURE)
		log_errorx("%s: cannot %s %s on router %s: %s", conf->name,
		    msg.advertise ? "advertise" : "withdraw", prefix,
		    conf->router[LOCAL], msg.error);
	event_emit(&head,
	    json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
		      "s:o}",
		"gcp_project", conf->router_project, "region",
		conf->router_region[LOCAL], "router", conf->router[LOCAL],
		"prefix", prefix, "operation_id", plan_text(msg.operation_id),
		"request_id", plan_text(msg.request_id), "http_status",
		plan_number(msg.http_status), "effect_seen",
		event_verdict(msg.effect), "ranges_before",
		plan_ranges(msg.ranges_before), "ranges_after",
		plan_ranges(msg.ranges_after), "why", plan_text(msg.why)));
	if (msg.result == RESULT_SUCCESS && failover->plan.msg.repair)
		plan_drift_event(failover,
		    msg.which == PRIMARY ? OBJECT_PRIMARY : OBJECT_SECONDARY,
		    prefix, msg.advertise ? "withdrawn" : "advertised",
		    msg.advertise ? "advertised" : "withdrawn");
}

static void
plan_routes_result(struct failover *failover, const struct imsg *imsg)
{
	const struct failover_conf *conf = failover->conf;
	struct msg_plan_routes msg;
	char wanted[32];
	struct event_head head = {
		.type = "cloudflare_route_update",
		.component = "cloudflare",
		.operation = "update_route_priorities",
		.failover = conf->name,
		.corr = failover->plan.msg.corr,
		.error = msg.error,
	};

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.plan != failover->plan.msg.plan)
		head.corr = NULL;
	else {
		/* An older list may have been enough. */
		failover->plan.looked = mono_ms() - msg.age;
		if (msg.result == RESULT_FAILURE)
			failover->plan.stopped |= failover->plan.msg.blocked &
			    HALF_ROUTES;
	}
	failover->plan.routes = msg;
	failover->plan.routes_at = mono_ms();
	head.result = msg.result;
	head.duration = msg.duration;
	if (msg.result == RESULT_SKIPPED)
		failover->plan.skipped = true;
	if (msg.result == RESULT_SUCCESS)
		log_info("%s: set the priority of %u of %u Magic Transit "
			 "routes to %d",
		    conf->name, msg.modified, msg.matching, msg.desired);
	else if (msg.result == RESULT_FAILURE)
		log_errorx("%s: cannot set the priority of the Magic Transit "
			   "routes to %d: %s",
		    conf->name, msg.desired, msg.error);
	event_emit(&head,
	    json_pack("{s:s, s:s, s:i, s:i, s:i, s:o, s:o}", "account_id",
		conf->account->id, "description_filter", conf->match,
		"desired_priority", (int)msg.desired, "matching_routes",
		(int)msg.matching, "routes_modified", (int)msg.modified,
		"http_status", plan_number(msg.http_status), "why",
		plan_text(msg.why)));
	snprintf(wanted, sizeof(wanted), "priority %d", (int)msg.desired);
	if (msg.result == RESULT_SUCCESS && failover->plan.msg.repair)
		plan_drift_event(failover, OBJECT_ROUTES, "cloudflare routes",
		    "another priority", wanted);
}

static void
plan_ended(struct failover *failover, const struct imsg *imsg)
{
	static const enum plan_progress progress[] = {
		[PLAN_DONE] = PROGRESS_DONE,
		[PLAN_FAILED] = PROGRESS_FAILED,
		[PLAN_SUPERSEDED] = PROGRESS_SUPERSEDED,
		[PLAN_REFUSED] = PROGRESS_FAILED,
		[PLAN_SKIPPED] = PROGRESS_SKIPPED,
	};
	struct plan *plan = &failover->plan;
	struct msg_plan_done msg;
	char text[REASON_LEN + NAME_LEN + 16];

	imsg_get_data(imsg, &msg, sizeof(msg));
	breakers_plan(failover, &msg, mono_ms());
	if (msg.plan != plan->msg.plan)
		return; /* superseded: the newer one counts */
	plan->progress = progress[msg.status];
	if (!plan->look)
		plan->ended = mono_ms();
	if (plan->progress == PROGRESS_DONE)
		plan->told[0] = '\0';
	if (plan->progress != PROGRESS_FAILED)
		return;
	snprintf(text, sizeof(text), "stopped at %s: %s", msg.step, msg.error);
	/* What goes on failing is said once. */
	if (strcmp(text, plan->told) == 0)
		log_debug("%s: %s", failover->conf->name, text);
	else
		log_errorx("%s: %s", failover->conf->name, text);
	strlcpy(plan->told, text, sizeof(plan->told));
}

/*
 * Take a message of the actuator about this failover.  Returns true when the
 * plan has ended.
 */
bool
plan_message(struct failover *failover, const struct imsg *imsg)
{
	switch (imsg->hdr.type) {
	case IMSG_PLAN_ADVERT:
		plan_advert_result(failover, imsg);
		return (false);
	case IMSG_PLAN_ROUTES:
		plan_routes_result(failover, imsg);
		return (false);
	case IMSG_PLAN_DONE:
		plan_ended(failover, imsg);
		return (true);
	default:
		fatalx("actuator sent %s", proto_name(imsg->hdr.type));
	}
}
