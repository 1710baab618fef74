/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_BUDGET_H
#define MTGCPD_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Half of the calls that an account has for all who call in its user's name;
 * the last of them are kept for writes. */
#define BUDGET_WINDOW 300000 /* milliseconds */
#define BUDGET_CALLS  600
#define BUDGET_LOOKS  400

/* Why a call may not be made. */
enum budget_why {
	BUDGET_MAY,
	BUDGET_SPENT,	/* all calls of the window are made */
	BUDGET_RESERVE, /* what is left of them is for writes */
	BUDGET_LEFT,	/* the server says that none are left */
	BUDGET_STOPPED, /* the server has refused one: 429 */
};

/* How an account has been called.  All zero to begin with; times are in
 * milliseconds of any clock that only goes forward, from 1. */
struct budget {
	int64_t call[BUDGET_CALLS]; /* when; a ring, 0: none */
	size_t next;
	int64_t until; /* nothing before that */
	enum budget_why why;
};

/* budget.c */
enum budget_why budget_ask(const struct budget *, int64_t now, bool look,
    int64_t *until);
void budget_spend(struct budget *, int64_t now);
void budget_answer(struct budget *, int64_t now, long status,
    int64_t retry_after, const char *ratelimit);

#endif /* MTGCPD_BUDGET_H */
