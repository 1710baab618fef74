/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_GCP_H
#define MTGCPD_GCP_H

#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

#include "prefix.h"
#include "proto.h"
#include "verdict.h"

/*
 * What prober and actuator both read of Compute: JSON of bounded depth and
 * shape, routers and their status.  Nothing here does I/O.
 */

/* json.c: parse an answer's body; NULL and a reason if it is not an object.
 * Caller owns the value. */
json_t *json_answer(const char *body, size_t len, char *why, size_t whylen);
const char *json_text(const json_t *object, const char *key);
const char *link_path(const char *selflink);
const char *link_name(const char *selflink);
char *url_join(const char *base, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));
char *url_escape(const char *text);
void text_clean(const char *text, char *dst, size_t size);

/* What a router (routers.get) tells each of the targets that we look after:
 * the router level, or the peers that were named. */
struct router_targets {
	const char (*peer)[NAME_LEN]; /* named peers; NULL: the router */
	size_t npeers;
};

/* gcp.c */
bool peer_enabled(const json_t *peer);
bool peer_custom(const json_t *peer);
bool targets_name(const struct router_targets *, const char *peer);
const json_t *peer_find(const json_t *peers, const char *name);
enum presence router_presence(const json_t *router,
    const struct router_targets *, const struct prefix *);
enum verdict status_announces(const json_t *status, const json_t *router,
    const struct router_targets *, const struct prefix *);
int64_t status_uptime(const json_t *status, const json_t *router,
    const struct router_targets *);
bool status_any_up(const json_t *status, const json_t *router,
    const struct router_targets *);
enum verdict peer_status(const json_t *status_peer);

#endif /* MTGCPD_GCP_H */
