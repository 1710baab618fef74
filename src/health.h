/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_HEALTH_H
#define MTGCPD_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "verdict.h"

/*
 * From the verdicts of services to the verdict of a region, with the memory
 * that tells "has never reported an endpoint" from "has lost them all".  Pure:
 * no I/O, no clock.  Times are milliseconds of the caller's clock.
 */

#define EMPTY_UNHEALTHY_AFTER (300 * 1000)

/* What a cycle saw of one service. */
struct service_result {
	char name[64];
	enum verdict verdict;
	bool empty; /* all groups answered, no endpoint to count */
};

/* What is remembered of one service that reported endpoints before. */
struct service_memory {
	char name[64];
	bool seen; /* in the list of the cycle being judged */
	bool empty;
	int64_t empty_since; /* valid while empty */
};

struct region_memory {
	struct service_memory *service; /* sorted by name */
	size_t count;
	size_t size;
};

/* health.c */
enum verdict region_judge(struct region_memory *, const struct service_result *,
    size_t, bool complete, int64_t now);
int region_remember(struct region_memory *, const char *name,
    int64_t empty_since, bool empty);
void region_forget(struct region_memory *);
enum verdict bgp_judge(enum verdict, bool read, uint32_t peers,
    bool *had_peers);

#endif /* MTGCPD_HEALTH_H */
