/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CHANNEL_H
#define MTGCPD_CHANNEL_H

#include <event2/event.h>

#include <stddef.h>
#include <stdint.h>

#include "imsg.h"
#include "proto.h"

/*
 * An imsg channel in a libevent loop.  Every message has passed proto_check()
 * before the handler sees it.  lost is called at most once: why is NULL when
 * the peer closed its end, else what was wrong (a message that fails the check
 * means a compromised peer).
 */
struct channel;

typedef void (*channel_handler)(const struct imsg *, void *);
typedef void (*channel_lost)(const char *why, void *);

/* channel.c */
struct event_base *channel_loop(void);
struct channel *channel_new(struct event_base *, struct imsgbuf *,
    enum role self, enum role peer, channel_handler, channel_lost, void *);
void channel_free(struct channel *);
void channel_send(struct channel *, enum imsg_type, uint32_t id, const void *,
    size_t);
void channel_send_chunks(struct channel *, enum imsg_type chunk,
    enum imsg_type end, uint32_t id, const void *, size_t);
int channel_flush(struct channel *);
int channel_fd(const struct channel *);
size_t channel_queued(const struct channel *);

#endif /* MTGCPD_CHANNEL_H */
