/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>
#include <unistd.h>

#include "mtgcpd.h"

/*
 * What the daemon knows, as JSON for mt-gcpctl(8), which makes text of it.
 * Ages are seconds, instants seconds since the epoch, verdicts true, false or
 * null; every member is always there.
 */

static json_t *
show_age(int64_t since, int64_t now)
{
	return (json_real((double)(now - since) / 1000.0));
}

static json_t *
show_time(int64_t wall)
{
	return (json_real((double)wall / 1000.0));
}

static json_t *
show_text(const char *text)
{
	return (*text == '\0' ? json_null() : json_string(text));
}

static json_t *
show_prefix(const struct prefix *prefix)
{
	char text[PREFIX_LEN];

	prefix_text(prefix, text, sizeof(text));
	return (json_string(text));
}

/* What has not been seen for longer than a few cycles can take is stale. */
static bool
show_stale(const struct failover *failover, int64_t since, int64_t now)
{
	return (now - since > 2 * failover->conf->policy.interval +
		failover->conf->timeout.health);
}

/* When something known was last seen; -1: never. */
static json_t *
show_seen(const struct failover *failover, enum verdict verdict,
    int64_t last_known, int64_t now, json_t *object)
{
	bool ever = last_known > 0;

	json_object_set_new(object, "verdict", event_verdict(verdict));
	json_object_set_new(object, "seconds_ago",
	    ever ? show_age(last_known, now) : json_null());
	json_object_set_new(object, "stale",
	    json_boolean(ever && show_stale(failover, last_known, now)));
	return (object);
}

/* The state and all that bears on it. */
static json_t *
show_state(const struct failover *failover, int64_t now)
{
	const struct decision *decision = &failover->decision;
	const struct machine *machine = &failover->machine;
	bool any = decision->current != STATE_NONE ||
	    machine->current != STATE_NONE;

	return (json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:b}", "current",
	    machine->current, "read", decision->read, "seconds",
	    any ? show_age(machine->entered, now) : json_null(),
	    "local_healthy", event_verdict(decision->local), "remote_healthy",
	    event_verdict(decision->remote), "remote_bgp_up",
	    event_verdict(decision->remote_bgp), "pending",
	    event_waiting(decision), "fast", decision->fast));
}

static json_t *
show_order(const struct order *order)
{
	if (!order->given)
		return (json_null());
	return (json_pack("{s:o, s:o, s:o}", "until",
	    order->until == 0 ? json_null() : show_time(order->until),
	    "seconds_left",
	    order->until == 0 ? json_null() : show_age(wall_ms(), order->until),
	    "reason", json_string(order->reason)));
}

static json_t *
show_contested(const struct failover *failover)
{
	static const char *const names[OBJECTS] = { "primary", "secondary",
		"cloudflare" };
	json_t *list = json_array();
	int i;

	for (i = 0; i < OBJECTS; i++)
		if (failover->drift[i].contested)
			json_array_append_new(list, json_string(names[i]));
	return (list);
}

/* What the administrator has ordered, or has to look after. */
json_t *
show_orders(const struct failover *failover)
{
	json_t *force = show_order(&failover->force);

	if (failover->force.given)
		json_object_set_new(force, "state",
		    json_integer(failover->force_state));
	return (json_pack("{s:b, s:o, s:o, s:b, s:o}", "passive",
	    failover->conf->passive, "hold", show_order(&failover->hold),
	    "force", force, "braked", failover->machine.braked, "contested",
	    show_contested(failover)));
}

static json_t *
show_plan(const struct failover *failover)
{
	const struct plan *plan = &failover->plan;

	return (json_pack("{s:o, s:s, s:o}", "id",
	    plan->msg.plan == 0 ? json_null() :
				  json_integer((json_int_t)plan->msg.plan),
	    "status", plan_progress_name(plan), "error",
	    plan->progress == PROGRESS_FAILED ? show_text(plan->told) :
						json_null()));
}

static json_t *
show_cycle(const struct failover *failover, int64_t now)
{
	bool any = failover->ended != -1;

	return (json_pack("{s:I, s:o, s:o, s:b, s:b, s:b}", "number",
	    (json_int_t)failover->cycle, "seconds_ago",
	    any ? show_age(failover->ended, now) : json_null(), "duration_ms",
	    any ? json_integer(failover->took) : json_null(), "calls_failed",
	    failover->lost, "running", failover->running, "stale",
	    any && show_stale(failover, failover->ended, now)));
}

static uint32_t
ones(uint64_t bits, uint32_t count)
{
	uint32_t n = 0, i;

	for (i = 0; i < count; i++)
		n += (bits >> i) & 1;
	return (n);
}

/* The samples that a verdict rests on, the youngest last. */
static json_t *
show_window(const struct policy *policy, const struct window *window)
{
	uint32_t healthy = ones(window->bits, window->count);
	char samples[WINDOW_MAX + 1];
	uint32_t i;

	for (i = 0; i < window->count; i++)
		samples[i] = (window->bits >> (window->count - 1 - i)) & 1 ?
		    '+' :
		    '-';
	samples[window->count] = '\0';
	return (json_pack("{s:s, s:i, s:i, s:i, s:i, s:i}", "samples", samples,
	    "healthy", (int)healthy, "unhealthy",
	    (int)(window->count - healthy), "size", (int)policy->window, "up",
	    (int)policy->up, "down", (int)policy->down));
}

static json_t *
show_services(const struct failover *failover, enum side which, int64_t now)
{
	const struct window *window = &failover->machine.services[which];
	const struct cycle_seen *seen = &failover->seen[which];
	json_t *object;

	object = json_pack("{s:s, s:o, s:o, s:i, s:i, s:i, s:o, s:o}", "region",
	    failover->conf->region[which], "sample",
	    event_verdict(failover->sample.services[which]), "window",
	    show_window(&failover->conf->policy, window), "services",
	    (int)seen->services, "endpoints", (int)seen->endpoints,
	    "healthy_endpoints", (int)seen->healthy, "unhealthy",
	    seen->unhealthy == NULL ? json_array() :
				      json_incref(seen->unhealthy),
	    "error", show_text(seen->services_error));
	return (show_seen(failover, window->verdict, window->last_known, now,
	    object));
}

static json_t *
show_bgp(const struct failover *failover, enum side which, int64_t now)
{
	const struct bgp_watch *watch = &failover->machine.bgp[which];
	const struct cycle_seen *seen = &failover->seen[which];
	json_t *object;

	object = json_pack("{s:s, s:s, s:o, s:o, s:o, s:b}", "region",
	    failover->conf->router_region[which], "router",
	    failover->conf->router[which], "sample",
	    event_verdict(failover->sample.bgp[which]), "peers",
	    seen->peers == NULL ? json_object() : json_incref(seen->peers),
	    "error", show_text(seen->router_error), "counts",
	    which == REMOTE || failover->conf->policy.local_bgp);
	return (show_seen(failover, watch->verdict, watch->last_known, now,
	    object));
}

static json_t *
show_checks(const struct failover *failover, int64_t now)
{
	return (json_pack("{s:o, s:o, s:o, s:o}", "local_services",
	    show_services(failover, LOCAL, now), "remote_services",
	    show_services(failover, REMOTE, now), "local_bgp",
	    show_bgp(failover, LOCAL, now), "remote_bgp",
	    show_bgp(failover, REMOTE, now)));
}

/* One of our prefixes: wanted, configured, told to the peers, here and at the
 * other side. */
static json_t *
show_announcement(const struct failover *failover, enum which which)
{
	const struct cycle_seen *local = &failover->seen[LOCAL];
	const struct cycle_seen *remote = &failover->seen[REMOTE];
	struct msg_plan picture;
	json_t *wanted, *configured;
	int presence = local->router_seen ? local->configured[which] :
					    PRESENCE_UNKNOWN;

	plan_picture(failover, &picture);
	wanted = picture.prefix[which] == ADVERT_KEEP ||
		failover->decision.acting == STATE_NONE ?
	    json_null() :
	    json_boolean(picture.prefix[which] == ADVERT_ADVERTISE);
	configured = presence == PRESENCE_UNKNOWN ?
	    json_null() :
	    json_boolean(presence != PRESENCE_NONE);
	return (json_pack("{s:o, s:o, s:o, s:o, s:o}", "prefix",
	    show_prefix(&failover->conf->prefix[which]), "wanted", wanted,
	    "configured", configured, "announced",
	    event_verdict(local->router_seen ?
		    (enum verdict)local->announces[which] :
		    V_UNKNOWN),
	    "remote_announces",
	    event_verdict(remote->router_seen ?
		    (enum verdict)remote->announces[which] :
		    V_UNKNOWN)));
}

static json_t *
show_steering(const struct failover *failover, int64_t now)
{
	const struct failover_conf *conf = failover->conf;
	const struct plan *plan = &failover->plan;
	const struct msg_plan_routes *routes = &plan->routes;
	struct msg_plan picture;
	json_t *wanted = json_null(), *last = json_null();

	plan_picture(failover, &picture);
	if (picture.cloudflare != STEER_KEEP &&
	    failover->decision.acting != STATE_NONE)
		wanted = json_integer(picture.cloudflare == STEER_PRIORITY ?
			conf->priority :
			conf->failed);
	if (plan->routes_at != -1)
		last = json_pack("{s:o, s:i, s:s, s:i, s:i, s:o}",
		    "seconds_ago", show_age(plan->routes_at, now), "priority",
		    (int)routes->desired, "result",
		    event_result(routes->result), "matching",
		    (int)routes->matching, "modified", (int)routes->modified,
		    "error", show_text(routes->error));
	return (json_pack("{s:s, s:s, s:o, s:o}", "account", conf->account->id,
	    "matching", conf->match, "wanted_priority", wanted, "last", last));
}

static json_t *
show_routes(const struct failover *failover, int64_t now)
{
	return (json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "project",
	    failover->conf->router_project, "region",
	    failover->conf->router_region[LOCAL], "router",
	    failover->conf->router[LOCAL], "primary",
	    show_announcement(failover, PRIMARY), "secondary",
	    show_announcement(failover, SECONDARY), "cloudflare",
	    show_steering(failover, now), "plan", show_plan(failover)));
}

static json_t *
show_breaker(const struct failover *failover, enum service service, int64_t now)
{
	const struct breaker *breaker = &failover->breaker[service];
	const char *region = service_region(failover, service);

	return (json_pack("{s:s, s:o, s:s, s:i, s:o}", "service",
	    service_name(service), "region",
	    region == NULL ? json_null() : json_string(region), "state",
	    breaker_state_name(breaker->state), "failures",
	    (int)breaker->failures, "retry_in_seconds",
	    breaker->state == BREAKER_OPEN ?
		show_age(now, breaker->trial > now ? breaker->trial : now) :
		json_null()));
}

static json_t *
show_breakers(const struct failover *failover, int64_t now)
{
	json_t *list = json_array();
	int service;

	for (service = 0; service < SERVICES; service++)
		json_array_append_new(list,
		    show_breaker(failover, (enum service)service, now));
	return (list);
}

/* One failover; what is a set of bits of enum show. */
json_t *
show_failover(const struct failover *failover, unsigned int what)
{
	int64_t now = mono_ms();
	json_t *object;

	object = json_pack("{s:s, s:o, s:o, s:o, s:o}", "name",
	    failover->conf->name, "state", show_state(failover, now), "orders",
	    show_orders(failover), "plan", show_plan(failover), "cycle",
	    show_cycle(failover, now));
	if (what & SHOW_CHECKS)
		json_object_set_new(object, "checks",
		    show_checks(failover, now));
	if (what & SHOW_ROUTES)
		json_object_set_new(object, "routes",
		    show_routes(failover, now));
	if (what & SHOW_BREAKERS)
		json_object_set_new(object, "breakers",
		    show_breakers(failover, now));
	return (object);
}

/* The daemon itself. */
json_t *
show_daemon(void)
{
	return (json_pack("{s:s, s:i, s:o, s:o, s:s}", "version",
	    MTGCPD_VERSION, "pid", (int)getpid(), "now", show_time(wall_ms()),
	    "running_seconds", show_age(mtgcpd.started, mono_ms()), "file",
	    mtgcpd.file));
}

/* The transitions that are remembered, of one failover or (NULL) of all. */
json_t *
show_history(const char *name)
{
	const struct transition *t;
	json_t *list = json_array();
	size_t i;

	for (i = 0; (t = history_get(i)) != NULL; i++) {
		if (name != NULL && strcmp(t->failover, name) != 0)
			continue;
		json_array_append_new(list,
		    json_pack("{s:o, s:s, s:i, s:i, s:o, s:o, s:o}", "at",
			show_time(t->at), "failover", t->failover, "old_state",
			t->from, "new_state", t->to, "local_healthy",
			event_verdict(t->local), "remote_healthy",
			event_verdict(t->remote), "remote_bgp_up",
			event_verdict(t->remote_bgp)));
	}
	return (list);
}
