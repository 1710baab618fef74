/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_BACKOFF_H
#define MTGCPD_BACKOFF_H

#include <stdint.h>

/*
 * How long to wait before a call is repeated.  Nothing here looks at a clock.
 */

#define RETRY_AFTER_MAX (24 * 3600 * 1000) /* milliseconds */

/* backoff.c */
uint32_t backoff_most(uint32_t initial, uint32_t max, unsigned int tries);
uint32_t backoff_wait(uint32_t initial, uint32_t max, unsigned int tries);
int64_t retry_after(const char *header, int64_t wall);

#endif /* MTGCPD_BACKOFF_H */
