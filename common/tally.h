/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_TALLY_H
#define MTGCPD_TALLY_H

#include <stdint.h>

#include "proto.h"

/*
 * The requests that this process has made, counted here and told all at once,
 * so that counting costs a cycle nothing.
 */

/* Upper bounds of all buckets but the last, in milliseconds. */
extern const uint32_t tally_bounds[CALL_BUCKETS - 1];

/* tally.c */
void tally_call(enum called, uint32_t method, int32_t status, int64_t took);
void tally_clock(enum called, int64_t ahead);
void tally_drain(void (*tell)(const struct msg_calls *));
void tally_send(void);

#endif /* MTGCPD_TALLY_H */
