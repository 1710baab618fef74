/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_REPORTER_H
#define MTGCPD_REPORTER_H

#include <event2/buffer.h>
#include <event2/event.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "confine.h"
#include "proto.h"

#define MOVES_MAX 200 /* transitions that are remembered, of all failovers */

/* A failover, as far as the parent has told. */
struct shown {
	struct msg_conf_shown conf;
	bool present; /* in the configuration */
	bool known;   /* there has been a cycle */
	struct msg_report_state state;
	int64_t at; /* when that came; monotonic clock, milliseconds */
	int64_t cycle_at;
	int64_t cycle_wall;	     /* the same of the last cycle that ended */
	struct msg_probe_peer *peer; /* of that cycle */
	size_t npeers;
	struct msg_probe_peer *coming; /* of the one that runs */
	size_t ncoming;
	uint64_t coming_cycle;
	uint64_t cycles[RESULT_SKIPPED + 1]; /* that ended so */
	uint64_t moves[STATES + 1][STATES + 1];
	int64_t expires; /* the Cloudflare token; seconds since the epoch */
};

/* A histogram; the last bucket has what is above all bounds. */
#define BUCKETS_MAX CALL_BUCKETS
struct histogram {
	const uint32_t *bounds; /* milliseconds */
	size_t nbounds;
	uint64_t bucket[BUCKETS_MAX];
	uint64_t count;
	uint64_t sum; /* milliseconds */
};

/* Requests of one kind. */
struct calls {
	uint32_t api;
	uint32_t method;
	int32_t status;
	uint64_t count;
};
#define CALLS_MAX 256

/* All that is served. */
struct world {
	int64_t started; /* monotonic clock */
	uint64_t starts;
	uint32_t pid;
	struct shown *shown; /* by the number of the failover */
	size_t count;
	struct msg_report_move move[MOVES_MAX]; /* a ring */
	size_t nmoves;				/* of all time */
	struct calls calls[CALLS_MAX];
	size_t ncalls;
	struct histogram call_time[CALLED_MAX];
	bool skew_known[CALLED_MAX];
	int32_t skew[CALLED_MAX]; /* milliseconds */
	struct histogram cycle_time;
	struct histogram reaction[REACTION_MAX];
	uint64_t dropped; /* events */
};

extern struct world world;

/* Every failover; before there is a configuration there are none. */
#define SHOWN_FOREACH(shown)                                                   \
	for ((shown) = world.shown;                                            \
	     (shown) != NULL && (shown) < world.shown + world.count;           \
	     (shown)++)

/* world.c */
void world_init(void);
void world_shown(uint32_t id, const struct msg_conf_shown *);
void world_commit(void);
void world_state(uint32_t id, const struct msg_report_state *);
void world_peer(uint32_t id, const struct msg_probe_peer *);
void world_move(const struct msg_report_move *);
void world_calls(const struct msg_calls *);
void world_reaction(const struct msg_report_reaction *);
void world_expiry(uint32_t id, uint64_t expires);
const struct msg_report_move *world_moves(size_t);
bool world_turns(char *why, size_t);
bool world_ready(char *why, size_t);
int64_t world_now(void);
int64_t world_wall(void);
void histogram_add(struct histogram *, uint32_t ms);

/* metrics.c */
void metrics_write(struct evbuffer *, bool open_metrics);

/* rules.c */
struct syscall_rule *reporter_rules(bool speaks, size_t *n);

/* server.c */
void server_start(struct event_base *, int listener);

#endif /* MTGCPD_REPORTER_H */
