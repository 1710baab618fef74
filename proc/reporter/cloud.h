/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CLOUD_H
#define MTGCPD_CLOUD_H

#include <event2/event.h>

#include <stddef.h>
#include <stdint.h>

#include "proto.h"

/* cloud.c */
void cloud_prepare(struct event_base *);
void cloud_configure(const struct msg_conf_cloud *, const char *url);
void cloud_chunk(const void *, size_t);
void cloud_event(void);
void cloud_dropped(uint64_t);
void cloud_stop(void);
const char *event_severity(const char *type, const char *result);

#endif /* MTGCPD_CLOUD_H */
