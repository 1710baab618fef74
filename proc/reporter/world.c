/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "reporter.h"
#include "tally.h"

/*
 * What the parent has told, kept for those who ask.
 */

#define FAILOVERS_MAX 65536
#define PEERS_MAX     256			       /* of one failover */
#define AGE_MAX	      (100LL * 365 * 24 * 3600 * 1000) /* milliseconds */

static const uint32_t cycle_bounds[] = { 50, 100, 250, 500, 1000, 2500, 5000,
	10000, 30000, 60000 };
static const uint32_t reaction_bounds[] = { 100, 500, 1000, 2500, 5000, 10000,
	30000, 60000, 120000, 300000, 600000 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct world world;

/* Configuration that is coming in; it takes over what is known by name. */
static struct {
	struct shown *shown;
	size_t count;
} staged;

static int64_t
clock_ms(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) == -1)
		fatal("clock_gettime");
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* Milliseconds of the clock that is never set. */
int64_t
world_now(void)
{
	return (clock_ms(CLOCK_MONOTONIC));
}

/* Milliseconds since the epoch. */
int64_t
world_wall(void)
{
	return (clock_ms(CLOCK_REALTIME));
}

/* Begin with nothing. */
void
world_init(void)
{
	size_t i;

	memset(&world, 0, sizeof(world));
	world.started = world_now();
	for (i = 0; i < CALLED_MAX; i++) {
		world.call_time[i].bounds = tally_bounds;
		world.call_time[i].nbounds = CALL_BUCKETS - 1;
	}
	world.cycle_time.bounds = cycle_bounds;
	world.cycle_time.nbounds = COUNT(cycle_bounds);
	for (i = 0; i < REACTION_MAX; i++) {
		world.reaction[i].bounds = reaction_bounds;
		world.reaction[i].nbounds = COUNT(reaction_bounds);
	}
}

/* Add an observation, in milliseconds. */
void
histogram_add(struct histogram *histogram, uint32_t ms)
{
	size_t i;

	for (i = 0; i < histogram->nbounds; i++)
		if (ms <= histogram->bounds[i])
			break;
	histogram->bucket[i]++;
	histogram->count++;
	histogram->sum += ms;
}

/* A failover of the configuration that is coming in. */
void
world_shown(uint32_t id, const struct msg_conf_shown *msg)
{
	struct shown *grown;

	if (id >= FAILOVERS_MAX)
		fatalx("failover %u is too many", id);
	if (id >= staged.count) {
		grown = recallocarray(staged.shown, staged.count, id + 1,
		    sizeof(*grown));
		if (grown == NULL)
			fatal("%s", __func__);
		staged.shown = grown;
		staged.count = id + 1;
	}
	staged.shown[id].conf = *msg;
	staged.shown[id].present = true;
}

static void
shown_clear(struct shown *shown)
{
	free(shown->peer);
	free(shown->coming);
	memset(shown, 0, sizeof(*shown));
}

/* What is counted goes on; what was seen is seen anew. */
static void
inherit(struct shown *shown)
{
	const struct shown *old;
	size_t i;

	for (i = 0; i < world.count; i++) {
		old = &world.shown[i];
		if (!old->present ||
		    strcmp(old->conf.name, shown->conf.name) != 0)
			continue;
		memcpy(shown->cycles, old->cycles, sizeof(shown->cycles));
		memcpy(shown->moves, old->moves, sizeof(shown->moves));
		return;
	}
}

/* The configuration is whole. */
void
world_commit(void)
{
	size_t i;

	for (i = 0; i < staged.count; i++)
		inherit(&staged.shown[i]);
	for (i = 0; i < world.count; i++)
		shown_clear(&world.shown[i]);
	free(world.shown);
	world.shown = staged.shown;
	world.count = staged.count;
	world.started = world_now();
	memset(&staged, 0, sizeof(staged));
}

static struct shown *
world_find(uint32_t id)
{
	if (id < world.count && world.shown[id].present)
		return (&world.shown[id]);
	return (NULL);
}

static void
cycle_ended(struct shown *shown, const struct msg_report_state *msg)
{
	shown->cycle_at = world_now();
	shown->cycle_wall = world_wall();
	shown->cycles[msg->result]++;
	histogram_add(&world.cycle_time, msg->duration);
	free(shown->peer);
	shown->peer = NULL;
	shown->npeers = 0;
	if (shown->coming_cycle == msg->cycle) {
		shown->peer = shown->coming;
		shown->npeers = shown->ncoming;
		shown->coming = NULL;
		shown->ncoming = 0;
	}
}

/* An age that can be counted on from. */
static int64_t
age_within(int64_t age)
{
	return (age < -1 ? -1 : age > AGE_MAX ? AGE_MAX : age);
}

/* A failover as it stands now. */
void
world_state(uint32_t id, const struct msg_report_state *msg)
{
	struct shown *shown = world_find(id);
	int i;

	if (shown == NULL)
		return;
	shown->state = *msg;
	shown->state.in_state = age_within(msg->in_state);
	for (i = 0; i < WATCHED_MAX; i++)
		shown->state.age[i] = age_within(msg->age[i]);
	shown->at = world_now();
	if (!msg->ended)
		return;
	shown->known = true;
	cycle_ended(shown, msg);
}

/* A peer that the cycle which runs has seen. */
void
world_peer(uint32_t id, const struct msg_probe_peer *msg)
{
	struct shown *shown = world_find(id);
	struct msg_probe_peer *grown;

	if (shown == NULL)
		return;
	if (shown->coming_cycle != msg->cycle)
		shown->ncoming = 0;
	shown->coming_cycle = msg->cycle;
	if (shown->ncoming == PEERS_MAX)
		return;
	grown = reallocarray(shown->coming, shown->ncoming + 1, sizeof(*grown));
	if (grown == NULL)
		fatal("%s", __func__);
	shown->coming = grown;
	grown[shown->ncoming++] = *msg;
}

/* A transition, of now or of before the start. */
void
world_move(const struct msg_report_move *msg)
{
	size_t i;

	world.move[world.nmoves++ % MOVES_MAX] = *msg;
	for (i = 0; msg->fresh && i < world.count; i++)
		if (world.shown[i].present &&
		    strcmp(world.shown[i].conf.name, msg->failover) == 0)
			world.shown[i].moves[msg->from][msg->to]++;
}

/* The i'th transition that is remembered, 0 the oldest; NULL: no more. */
const struct msg_report_move *
world_moves(size_t i)
{
	size_t first = world.nmoves > MOVES_MAX ? world.nmoves - MOVES_MAX : 0;

	if (first + i >= world.nmoves)
		return (NULL);
	return (&world.move[(first + i) % MOVES_MAX]);
}

static struct calls *
calls_row(const struct msg_calls *msg)
{
	struct calls *row;

	for (row = world.calls; row < world.calls + world.ncalls; row++)
		if (row->api == msg->api && row->method == msg->method &&
		    row->status == msg->status)
			return (row);
	if (world.ncalls == CALLS_MAX)
		return (row - 1);
	world.ncalls++;
	row->api = msg->api;
	row->method = msg->method;
	row->status = msg->status;
	return (row);
}

/* Requests that were made. */
void
world_calls(const struct msg_calls *msg)
{
	struct histogram *time = &world.call_time[msg->api];
	size_t i;

	calls_row(msg)->count += msg->count;
	for (i = 0; i < CALL_BUCKETS; i++)
		time->bucket[i] += msg->bucket[i];
	time->count += msg->count;
	time->sum += msg->duration;
	if (!msg->skew_known)
		return;
	world.skew_known[msg->api] = true;
	world.skew[msg->api] = msg->skew;
}

/* How long one phase of a reaction took. */
void
world_reaction(const struct msg_report_reaction *msg)
{
	histogram_add(&world.reaction[msg->phase], msg->duration);
}

/* When a failover's Cloudflare token ends, in seconds since the epoch. */
void
world_expiry(uint32_t id, uint64_t expires)
{
	struct shown *shown = world_find(id);

	if (shown != NULL && expires <= INT64_MAX)
		shown->expires = (int64_t)expires;
}

/* Does every failover go through its cycles?  If not, why says which one does
 * not, and for how long. */
bool
world_turns(char *why, size_t len)
{
	const struct shown *shown;
	int64_t age, now = world_now();

	SHOWN_FOREACH(shown) {
		age = now - (shown->known ? shown->cycle_at : world.started);
		if (!shown->present || age <= (int64_t)shown->conf.late_after)
			continue;
		snprintf(why, len, "%s: no cycle for %lld s", shown->conf.name,
		    (long long)age / 1000);
		return (false);
	}
	return (true);
}

/* Does every failover read a state other than 0 now?  If not, why says which
 * one does not. */
bool
world_ready(char *why, size_t len)
{
	const struct shown *shown;

	if (!world_turns(why, len))
		return (false);
	snprintf(why, len, "no configuration yet");
	SHOWN_FOREACH(shown) {
		if (!shown->present || (shown->known && shown->state.read != 0))
			continue;
		snprintf(why, len, "%s: reads state 0", shown->conf.name);
		return (false);
	}
	return (world.count > 0);
}
