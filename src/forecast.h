/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_FORECAST_H
#define MTGCPD_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"

/*
 * What the state machine will do if all that is seen stays as it was in the
 * last cycle.  Pure: the machine itself is stepped, on a copy, through cycles
 * that are still to come.
 */

#define FORECAST_MAX 16 /* changes that are worth telling */

/* A change: what holds from then on. */
struct forecast {
	int64_t in; /* milliseconds from now */
	enum verdict local;
	enum verdict remote;
	enum verdict remote_bgp;
	int read;
	int current;
	bool acts; /* the actions are carried out; else nothing is */
	struct actions actions; /* but for what hand-over holds back */
};

/* Where a failover stands. */
struct standing {
	const struct machine *machine;
	const struct policy *policy;
	const struct orders *orders;
	const struct sample *sample;
	const struct decision *decision;
	int64_t now;
	int64_t next; /* when the next cycle ends */
};

/* forecast.c */
struct actions decision_picture(const struct decision *);
bool decision_acts(const struct decision *);
size_t forecast(const struct standing *, uint64_t cycles,
    struct forecast changes[FORECAST_MAX], bool *settled);

#endif /* MTGCPD_FORECAST_H */
