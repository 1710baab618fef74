/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>

#include "mtgcpd.h"

/*
 * What a step of the state machine was given beside the samples that every
 * event of a cycle shows, as the event has it and back: so a record of events
 * can be replayed, and the same is decided.
 */

static const char *const began_names[] = {
	[BEGAN_NOT] = NULL,
	[BEGAN_START] = "start",
	[BEGAN_RELOAD] = "reload",
};

static const char *const side_names[SIDES] = { "local", "remote" };

static json_t *
write_window(const struct window *window)
{
	char samples[WINDOW_MAX + 1];
	uint32_t i;

	for (i = 0; i < window->count; i++)
		samples[i] = window->bits >> (window->count - 1 - i) & 1 ? '1' :
									   '0';
	samples[i] = '\0';
	return (json_pack("{s:o, s:s, s:I}", "healthy",
	    event_verdict(window->verdict), "window", samples, "known_ms",
	    (json_int_t)window->last_known));
}

static json_t *
write_bgp(const struct bgp_watch *bgp)
{
	return (json_pack("{s:o, s:o, s:I, s:I, s:I}", "up",
	    event_verdict(bgp->verdict), "run", event_verdict(bgp->run),
	    "count", (json_int_t)bgp->run_count, "since_ms",
	    (json_int_t)bgp->run_since, "known_ms",
	    (json_int_t)bgp->last_known));
}

/* All that can make a difference to the state; not what is acted on when. */
static json_t *
write_memory(const struct machine *machine)
{
	json_t *object, *moves = json_array();
	uint32_t i;
	int side;

	for (i = 0; i < machine->nmoves; i++)
		json_array_append_new(moves, json_integer(machine->moves[i]));
	object = json_pack("{s:i, s:I, s:i, s:I, s:o, s:b, s:o}",
	    "current_state", machine->current, "entered_ms",
	    (json_int_t)machine->entered, "candidate", machine->candidate,
	    "count", (json_int_t)machine->candidate_count, "one_since_ms",
	    machine->one_running ? json_integer(machine->one_since) :
				   json_null(),
	    "braked", machine->braked, "moves_ms", moves);
	for (side = LOCAL; side < SIDES; side++)
		json_object_set_new(object, side_names[side],
		    json_pack("{s:o, s:o}", "services",
			write_window(&machine->services[side]), "bgp",
			write_bgp(&machine->bgp[side])));
	return (object);
}

/* A value for the details of an event, which the caller owns. */
json_t *
inputs_write(const struct inputs *inputs)
{
	const char *began = began_names[inputs->began];

	return (json_pack("{s:I, s:o, s:b, s:o, s:b, s:o, s:o}", "clock_ms",
	    (json_int_t)inputs->clock, "local_bgp_up",
	    event_verdict(inputs->local_bgp), "hold", inputs->hold, "force",
	    inputs->force == STATE_NONE ? json_null() :
					  json_integer(inputs->force),
	    "acknowledged", inputs->acknowledged, "began",
	    began == NULL ? json_null() : json_string(began), "memory",
	    inputs->remembers ? write_memory(&inputs->memory) : json_null()));
}

/* The readers return -1 if the value is none that is ever written. */

/* Read true, false or null. */
int
inputs_verdict(enum verdict *verdict, const json_t *value)
{
	if (json_is_boolean(value))
		*verdict = json_is_true(value) ? V_YES : V_NO;
	else if (json_is_null(value))
		*verdict = V_UNKNOWN;
	else
		return (-1);
	return (0);
}

/* Read an integer between two others. */
int
inputs_number(int64_t *number, const json_t *value, int64_t min, int64_t max)
{
	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return (-1);
	*number = json_integer_value(value);
	return (0);
}

/* A time may lie before the zero of the clock: the host has started since. */
static int
read_time(int64_t *at, const json_t *value)
{
	return (inputs_number(at, value, -WALL_MAX, WALL_MAX));
}

static int
read_bool(bool *is, const json_t *value)
{
	*is = json_is_true(value);
	return (json_is_boolean(value) ? 0 : -1);
}

static int
read_window(struct window *window, const json_t *object)
{
	const json_t *value = json_object_get(object, "window");
	const char *samples = json_string_value(value);
	size_t i, len = json_string_length(value);

	if (samples == NULL || len > WINDOW_MAX)
		return (-1);
	for (i = 0; i < len; i++) {
		if (samples[i] != '0' && samples[i] != '1')
			return (-1);
		window->bits = window->bits << 1 | (samples[i] == '1');
	}
	window->count = (uint32_t)len;
	if (inputs_verdict(&window->verdict,
		json_object_get(object, "healthy")) == -1)
		return (-1);
	return (read_time(&window->last_known,
	    json_object_get(object, "known_ms")));
}

static int
read_bgp(struct bgp_watch *bgp, const json_t *object)
{
	int64_t count;

	if (inputs_verdict(&bgp->verdict, json_object_get(object, "up")) ==
		-1 ||
	    inputs_verdict(&bgp->run, json_object_get(object, "run")) == -1 ||
	    inputs_number(&count, json_object_get(object, "count"), 0,
		UINT32_MAX) == -1 ||
	    read_time(&bgp->run_since, json_object_get(object, "since_ms")) ==
		-1)
		return (-1);
	bgp->run_count = (uint32_t)count;
	return (
	    read_time(&bgp->last_known, json_object_get(object, "known_ms")));
}

static int
read_moves(struct machine *machine, const json_t *list)
{
	json_t *move;
	int64_t at;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > BRAKE_MAX + 1)
		return (-1);
	json_array_foreach(list, i, move) {
		if (read_time(&at, move) == -1)
			return (-1);
		machine_move(machine, at);
	}
	return (0);
}

static int
read_state(struct machine *machine, const json_t *object)
{
	const json_t *one = json_object_get(object, "one_since_ms");
	int64_t current, candidate, count;

	if (inputs_number(&current, json_object_get(object, "current_state"),
		STATE_NONE, STATE_MAX) == -1 ||
	    inputs_number(&candidate, json_object_get(object, "candidate"),
		STATE_NONE, STATE_MAX) == -1 ||
	    inputs_number(&count, json_object_get(object, "count"), 0,
		UINT32_MAX) == -1 ||
	    read_time(&machine->entered,
		json_object_get(object, "entered_ms")) == -1 ||
	    read_bool(&machine->braked, json_object_get(object, "braked")) ==
		-1)
		return (-1);
	machine->current = (int)current;
	machine->candidate = (int)candidate;
	machine->candidate_count = (uint32_t)count;
	machine->one_running = !json_is_null(one);
	return (machine->one_running ? read_time(&machine->one_since, one) : 0);
}

static int
read_memory(struct machine *machine, const json_t *object)
{
	const json_t *side;
	int i;

	machine_init(machine);
	if (read_state(machine, object) == -1 ||
	    read_moves(machine, json_object_get(object, "moves_ms")) == -1)
		return (-1);
	for (i = LOCAL; i < SIDES; i++) {
		side = json_object_get(object, side_names[i]);
		if (read_window(&machine->services[i],
			json_object_get(side, "services")) == -1 ||
		    read_bgp(&machine->bgp[i], json_object_get(side, "bgp")) ==
			-1)
			return (-1);
	}
	return (0);
}

static int
read_began(enum began *began, const json_t *value)
{
	const char *name = json_string_value(value);
	int i;

	*began = BEGAN_NOT;
	if (json_is_null(value))
		return (0);
	if (name == NULL)
		return (-1);
	for (i = BEGAN_START; i <= BEGAN_RELOAD; i++)
		if (strcmp(name, began_names[i]) == 0) {
			*began = (enum began)i;
			return (0);
		}
	return (-1);
}

/* Read what inputs_write() made.  Returns -1 if that did not. */
int
inputs_read(struct inputs *inputs, const json_t *object)
{
	const json_t *force = json_object_get(object, "force");
	const json_t *memory = json_object_get(object, "memory");
	int64_t state = STATE_NONE;

	memset(inputs, 0, sizeof(*inputs));
	if (inputs_number(&inputs->clock, json_object_get(object, "clock_ms"),
		0, WALL_MAX) == -1 ||
	    inputs_verdict(&inputs->local_bgp,
		json_object_get(object, "local_bgp_up")) == -1 ||
	    read_bool(&inputs->hold, json_object_get(object, "hold")) == -1 ||
	    (!json_is_null(force) &&
		inputs_number(&state, force, 1, STATE_MAX) == -1) ||
	    read_bool(&inputs->acknowledged,
		json_object_get(object, "acknowledged")) == -1 ||
	    read_began(&inputs->began, json_object_get(object, "began")) == -1)
		return (-1);
	inputs->force = (int)state;
	inputs->remembers = !json_is_null(memory);
	return (inputs->remembers ? read_memory(&inputs->memory, memory) : 0);
}
