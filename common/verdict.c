/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "verdict.h"

/* Both: known to be false as soon as one of them is. */
enum verdict
v_and(enum verdict a, enum verdict b)
{
	if (a == V_NO || b == V_NO)
		return (V_NO);
	return (a == V_YES && b == V_YES ? V_YES : V_UNKNOWN);
}

/* Either: known to be true as soon as one of them is. */
enum verdict
v_or(enum verdict a, enum verdict b)
{
	if (a == V_YES || b == V_YES)
		return (V_YES);
	return (a == V_NO && b == V_NO ? V_NO : V_UNKNOWN);
}

/* A verdict in words, for people: one of the arguments, or "unknown". */
const char *
v_name(enum verdict verdict, const char *yes, const char *no)
{
	switch (verdict) {
	case V_YES:
		return (yes);
	case V_NO:
		return (no);
	default:
		return ("unknown");
	}
}

/*
 * Are at least percent (1..100) of the pool's endpoints healthy?  An unknown
 * endpoint counts both ways, and only an answer that neither way would change
 * is one.  Of a pool whose size is not known, only "all" can be settled, by one
 * sick endpoint.  An empty pool is unknown.
 */
enum verdict
pool_verdict(const struct pool *pool, uint32_t percent)
{
	uint64_t total = (uint64_t)pool->healthy + pool->sick + pool->unknown;
	uint64_t wanted = total * percent;

	if (percent == 100 && pool->sick > 0)
		return (V_NO);
	if (total == 0 || pool->open)
		return (V_UNKNOWN);
	if (100ULL * pool->healthy >= wanted)
		return (V_YES);
	if (100ULL * ((uint64_t)pool->healthy + pool->unknown) < wanted)
		return (V_NO);
	return (V_UNKNOWN);
}
