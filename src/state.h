/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_STATE_H
#define MTGCPD_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "verdict.h"

/*
 * The decision, as a pure function: a sample and a clock in, a decision out.
 * No I/O, no clock of its own, no globals.  All times are milliseconds on one
 * monotonic clock of the caller's; durations are milliseconds.
 */

#define STATE_MAX    8 /* states are 1 to 8; 0: not known enough */
#define STATE_NONE   0
#define WINDOW_MAX   64 /* samples that a health window can hold */
#define FAST_STRETCH (300 * 1000)
#define BRAKE_MAX    100 /* transitions that a brake can allow */

struct actions {
	enum advert prefix[PREFIXES];
	enum steer cloudflare;
};

/* The policy of one failover: what its administrator configured. */
struct policy {
	uint32_t window; /* known samples looked at, 1..WINDOW_MAX */
	uint32_t up;	 /* healthy ones that make it healthy */
	uint32_t down;	 /* unhealthy ones; up + down > window */
	int64_t unknown_after;
	int64_t bgp_down_after; /* 0: one sample is enough either way */
	bool local_bgp;		/* local verdict includes the local BGP's */
	uint32_t verify[STATE_MAX + 1];
	int64_t dwell;
	uint32_t dwell_except; /* bit n: state n */
	int64_t return_after;
	uint32_t brake; /* transitions in a period; 0: no brake */
	int64_t brake_period;
	int64_t handover; /* -1: no hand-over rules */
	int64_t interval;
	int64_t fast;
	struct actions table[STATE_MAX + 1];
};

/* What the administrator has ordered; it outranks what is computed, which
 * goes on all the same.  passive outranks force, and force outranks hold. */
struct orders {
	bool passive; /* nothing is written, whatever is planned */
	bool hold;    /* no new step begins */
	int force;    /* act as this state; STATE_NONE: as computed */
};

/* One cycle's raw observations. */
struct sample {
	enum verdict services[SIDES];
	enum verdict bgp[SIDES];
	enum verdict remote_announces[PREFIXES];
};

/* The verdict on a region's services, over the last known samples. */
struct window {
	uint64_t bits;	/* youngest sample in bit 0, 1 is healthy */
	uint32_t count; /* samples held */
	enum verdict verdict;
	int64_t last_known;
};

/* The verdict on a router's sessions. */
struct bgp_watch {
	enum verdict verdict;
	enum verdict run; /* what the newest known samples say */
	uint32_t run_count;
	int64_t run_since;
	int64_t last_known;
};

/* The memory of the state machine of one failover. */
struct machine {
	struct window services[SIDES];
	struct bgp_watch bgp[SIDES];
	int current; /* STATE_NONE before the first decision */
	int64_t entered;
	int candidate;
	uint32_t candidate_count;
	int64_t one_since; /* state 1 read without interruption */
	bool one_running;
	int64_t fast_since;
	bool fast_running;
	bool taken_over;	 /* hand-over (a): remote announces primary */
	bool stuck;		 /* hand-over (a): gave up waiting */
	int64_t secondary_since; /* hand-over (b): remote announces it */
	bool secondary_running;
	bool braked;		      /* until machine_ack() */
	uint32_t nmoves;	      /* transitions that count, oldest first */
	int64_t moves[BRAKE_MAX + 1]; /* when */
};

/* What keeps a candidate from becoming the current state, in this order. */
enum pending {
	PENDING_NONE,
	PENDING_VERIFY,
	PENDING_DWELL,
	PENDING_RETURN,
	PENDING_BRAKE,
};

struct decision {
	int read; /* the state that the verdicts say; may be 0 */
	int current;
	int old; /* current state before this step */
	bool changed;
	enum verdict local;
	enum verdict remote;
	enum verdict remote_bgp;
	/*
	 * What is to be done: the actions of the state acted as, which is the
	 * current one or a forced one; a step may begin only if may_act.
	 */
	int acting;
	struct actions actions;
	bool may_act;
	bool overridden;    /* by force: the hand-over rules do not apply */
	bool brake_latched; /* true once, when this step's transition did it */
	int candidate;	    /* 0: none */
	enum pending pending;
	uint32_t verify_left; /* cycles still to be read */
	int64_t pending_left; /* of dwell or return-after; -1: no end known */
	/*
	 * Hand-over.  wait_takeover: state 2 is not acted on yet.
	 * keep_secondary: a withdrawal of the secondary prefix must wait.
	 * handover_stuck: true once, in the step in which waiting ended
	 * without the remote side having announced our primary prefix.
	 */
	bool wait_takeover;
	int64_t takeover_left;
	bool keep_secondary;
	int64_t secondary_left; /* -1: the remote side does not announce it */
	bool handover_stuck;
	bool fast;
	int64_t interval; /* until the next cycle, from the start of this */
};

/* state.c */
extern const struct actions state_table[STATE_MAX + 1];
void policy_default(struct policy *);
void machine_init(struct machine *);
void machine_restore(struct machine *, int current, int64_t entered);
void machine_move(struct machine *, int64_t);
void machine_ack(struct machine *);
int state_read(const struct policy *, enum verdict local, enum verdict remote,
    enum verdict remote_bgp);
bool actions_equal(const struct actions *, const struct actions *);
void machine_step(struct machine *, const struct policy *,
    const struct orders *, const struct sample *, int64_t now,
    struct decision *);
void decision_order(const struct policy *, const struct orders *,
    struct decision *);
const char *pending_name(enum pending);

#endif /* MTGCPD_STATE_H */
