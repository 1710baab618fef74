/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_PICK_H
#define MTGCPD_PICK_H

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BULK_MAX 100 /* routes in one PUT */

/* Which routes of an account are ours. */
struct picker {
	const char *match;   /* text that our descriptions contain */
	const char **others; /* the same of the account's other failovers */
	size_t nothers;
	int32_t expect; /* -1: any number but none */
};

/* A failover of the account, for the last look before a write. */
struct pick_owner {
	const char *match; /* NULL: none */
	json_int_t priority;
	json_int_t failed;
	bool may; /* be written now */
};

/* pick.c */
int pick_routes(const json_t *list, const struct picker *, json_t **ours,
    char *why, size_t len);
json_t *pick_differing(const json_t *ours, json_int_t priority);
size_t pick_add(json_t *routes, const json_t *differing, size_t from,
    json_int_t priority);
json_t *pick_unchanged(const json_t *ours, size_t from);
bool pick_only_unchanged(const json_t *body, const json_t *list,
    const struct picker *);
bool pick_unharmed(const json_t *before, const json_t *after);
bool pick_only_ours(const json_t *body, const struct pick_owner *, size_t n);

#endif /* MTGCPD_PICK_H */
