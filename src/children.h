/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CHILDREN_H
#define MTGCPD_CHILDREN_H

#include <event2/event.h>

#include <stdint.h>

#include "channel.h"
#include "conf.h"
#include "confine.h"
#include "proto.h"

/* rules.c */
extern const struct syscall_rule parent_rules[];
extern const size_t parent_nrules;

/* children.c */
int children_init(struct event_base *, const struct conf *,
    void (*lost)(enum role, const char *));
struct channel *child_start(enum role, const uint16_t *ports, size_t nports,
    channel_handler);
void children_listener(int fd);
struct channel *child_channel(enum role);
void child_close(enum role);
void children_conf(const struct conf *);
int children_reap(void);
void children_versions(void);
void parent_confine(void);

#endif /* MTGCPD_CHILDREN_H */
