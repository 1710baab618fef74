/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_MERGE_H
#define MTGCPD_MERGE_H

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

#include "gcp.h"
#include "prefix.h"
#include "verdict.h"

#define RANGES_MAX 200 /* custom ranges of a session (Cloud Router quotas) */

/* What is wanted of the two prefixes. */
struct wanted {
	struct prefix prefix[PREFIXES];
	enum advert advert[PREFIXES];
};

/* merge.c */
int merge_patch(const json_t *router, const struct router_targets *,
    const struct wanted *, json_t **patch, char *why, size_t len);
bool merge_only_ours(const json_t *router, const struct router_targets *,
    const json_t *patch, const struct prefix prefix[PREFIXES]);
void merge_ranges_text(const json_t *router, const struct router_targets *,
    char *text, size_t len);

#endif /* MTGCPD_MERGE_H */
