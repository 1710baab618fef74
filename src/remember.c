/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * What is remembered of a failover over a restart, as JSON and back: the
 * current state and since when, the brake, orders, repairs of drift, and which
 * services and routers once had something to report.  Not the windows: after a
 * start nothing is done before fresh samples allow it.
 *
 * Times in the file are milliseconds of the wall clock; shift is what makes
 * an instant of ours one of those.
 */

static const char *const side_names[SIDES] = { "local", "remote" };
static const char *const object_names[OBJECTS] = {
	[OBJECT_PRIMARY] = "primary",
	[OBJECT_SECONDARY] = "secondary",
	[OBJECT_ROUTES] = "routes",
};

static json_t *
remember_services(const struct region_memory *memory, int64_t shift)
{
	const struct service_memory *service;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < memory->count; i++) {
		service = &memory->service[i];
		json_array_append_new(list,
		    json_pack("{s:s, s:o}", "name", service->name,
			"empty_since",
			service->empty ?
			    json_integer(service->empty_since + shift) :
			    json_null()));
	}
	return (list);
}

static json_t *
remember_times(const int64_t *times, size_t count, int64_t shift)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(list, json_integer(times[i] + shift));
	return (list);
}

/* A reason may be any bytes: what JSON cannot say is left out. */
static json_t *
remember_order(const struct order *order)
{
	json_t *reason;

	if (!order->given)
		return (json_null());
	reason = json_string(order->reason);
	return (json_pack("{s:I, s:o}", "until", (json_int_t)order->until,
	    "reason", reason == NULL ? json_string("") : reason));
}

/* An object for the state file, which the caller owns. */
json_t *
failover_remember(const struct failover *failover, int64_t shift)
{
	const struct machine *machine = &failover->machine;
	const struct drift *drift;
	json_t *object, *drifts = json_object();
	int i;

	object = json_pack("{s:s, s:i, s:I, s:b, s:o, s:o, s:o, s:i}", "name",
	    failover->conf->name, "state", machine->current, "since",
	    (json_int_t)(machine->entered + shift), "braked", machine->braked,
	    "moves", remember_times(machine->moves, machine->nmoves, shift),
	    "hold", remember_order(&failover->hold), "force",
	    remember_order(&failover->force), "force_state",
	    failover->force_state);
	for (i = 0; i < OBJECTS; i++) {
		drift = &failover->drift[i];
		if (drift->count > 0)
			json_object_set_new(drifts, object_names[i],
			    json_pack("{s:o, s:b}", "repaired",
				remember_times(drift->repaired, drift->count,
				    shift),
				"contested", drift->contested));
	}
	json_object_set_new(object, "drift", drifts);
	for (i = LOCAL; i < SIDES; i++)
		json_object_set_new(object, side_names[i],
		    json_pack("{s:b, s:o}", "had_peers", failover->had_peers[i],
			"services",
			remember_services(&failover->memory[i], shift)));
	return (object);
}

/* Is it a time of the wall clock, as the file has them? */
static bool
is_wall_time(const json_t *value)
{
	return (json_is_integer(value) && json_integer_value(value) >= 0 &&
	    json_integer_value(value) <= WALL_MAX);
}

/* An instant of the file as one of ours; none lies in the future, as it may
 * seem to if the wall clock was set back meanwhile. */
static int64_t
recall_time(const json_t *value, int64_t shift, int64_t now)
{
	int64_t at;

	if (!is_wall_time(value))
		return (now);
	at = json_integer_value(value) - shift;
	return (at > now ? now : at);
}

static void
recall_side(struct failover *failover, int side, const json_t *object,
    int64_t shift, int64_t now)
{
	json_t *service, *since;
	const char *name;
	size_t i;

	failover->had_peers[side] = json_is_true(
	    json_object_get(object, "had_peers"));
	json_array_foreach(json_object_get(object, "services"), i, service) {
		name = json_string_value(json_object_get(service, "name"));
		if (name == NULL)
			continue;
		since = json_object_get(service, "empty_since");
		if (region_remember(&failover->memory[side], name,
			recall_time(since, shift, now),
			is_wall_time(since)) == -1)
			fatal("state file");
	}
}

static void
recall_machine(struct machine *machine, const json_t *object, int64_t shift,
    int64_t now)
{
	int64_t state = json_integer_value(json_object_get(object, "state"));
	json_t *move;
	size_t i;

	if (state < 1 || state > STATE_MAX)
		return;
	machine_restore(machine, (int)state,
	    recall_time(json_object_get(object, "since"), shift, now));
	machine->braked = json_is_true(json_object_get(object, "braked"));
	json_array_foreach(json_object_get(object, "moves"), i, move) {
		if (is_wall_time(move))
			machine_move(machine, recall_time(move, shift, now));
	}
}

static void
recall_order(struct order *order, const json_t *object)
{
	const json_t *until = json_object_get(object, "until");
	const char *reason;

	if (!is_wall_time(until))
		return;
	order->given = true;
	order->until = json_integer_value(until);
	reason = json_string_value(json_object_get(object, "reason"));
	strlcpy(order->reason, reason == NULL ? "" : reason,
	    sizeof(order->reason));
}

static void
recall_drift(struct drift *drift, const json_t *object, int64_t shift,
    int64_t now)
{
	json_t *at;
	size_t i;

	json_array_foreach(json_object_get(object, "repaired"), i, at) {
		if (is_wall_time(at) && drift->count < DRIFT_REPAIRS)
			drift->repaired[drift->count++] = recall_time(at, shift,
			    now);
	}
	drift->contested = drift->count > 0 &&
	    json_is_true(json_object_get(object, "contested"));
}

/*
 * Give a failover, of which nothing is known yet, back what object remembers
 * of it; what is missing there or makes no sense is as if it had never been.
 * now is an instant of ours, in milliseconds.
 */
void
failover_recall(struct failover *failover, const json_t *object, int64_t shift,
    int64_t now)
{
	json_t *drifts = json_object_get(object, "drift");
	int64_t state;
	int i;

	recall_machine(&failover->machine, object, shift, now);
	recall_order(&failover->hold, json_object_get(object, "hold"));
	state = json_integer_value(json_object_get(object, "force_state"));
	if (state >= 1 && state <= STATE_MAX) {
		failover->force_state = (int)state;
		recall_order(&failover->force,
		    json_object_get(object, "force"));
	}
	/* To act as the same again is no transition. */
	failover->decision.acting = failover->force.given ?
	    failover->force_state :
	    failover->machine.current;
	for (i = 0; i < OBJECTS; i++)
		recall_drift(&failover->drift[i],
		    json_object_get(drifts, object_names[i]), shift, now);
	for (i = LOCAL; i < SIDES; i++)
		recall_side(failover, i, json_object_get(object, side_names[i]),
		    shift, now);
}
