/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_VERDICT_H
#define MTGCPD_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Every check answers with one of three values.  YES is healthy, up or
 * announced; NO is known to be the opposite; UNKNOWN is everything else, and
 * nothing is ever done because of it.
 */
enum verdict {
	V_UNKNOWN = -1,
	V_NO = 0,
	V_YES = 1,
};

/* The two sides of a failover and its two prefixes, as array indices. */
enum side {
	LOCAL,
	REMOTE,
	SIDES,
};

enum which {
	PRIMARY,
	SECONDARY,
	PREFIXES,
};

/* What becomes of a prefix, and of the Magic Transit routes, in a state. */
enum advert {
	ADVERT_KEEP,
	ADVERT_ADVERTISE,
	ADVERT_WITHDRAW,
};

enum steer {
	STEER_KEEP,
	STEER_PRIORITY,
	STEER_FAILED,
};

/*
 * Endpoints of one pool of a backend service, each counted once.  "open" says
 * that the answer of a group is missing, so the size of the pool is not known.
 */
struct pool {
	uint32_t healthy;
	uint32_t sick;
	uint32_t unknown;
	bool open;
};

/* verdict.c: three-valued logic (Kleene's strong logic of indeterminacy) */
enum verdict v_and(enum verdict, enum verdict);
enum verdict v_or(enum verdict, enum verdict);
const char *v_name(enum verdict, const char *yes, const char *no);
enum verdict pool_verdict(const struct pool *, uint32_t percent);

#endif /* MTGCPD_VERDICT_H */
