/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* xorshift64: the same on every machine.  A test sets the seed, not to 0. */
static uint64_t seed;

static inline uint32_t
pick(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return ((uint32_t)(seed >> 33) % below);
}

static inline bool
one_in(uint32_t n)
{
	return (pick(n) == 0);
}

#endif /* UNIT_RANDOM_H */
