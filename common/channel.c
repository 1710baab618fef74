/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "log.h"

/* What the parent says comes before all else in a child. */
#define PRIORITIES     2
#define PRIORITY_FIRST 0

struct channel {
	struct imsgbuf *buf;
	enum role self;
	enum role peer;
	channel_handler handler;
	channel_lost lost;
	void *arg;
	struct event *readable;
	struct event *writable;
	bool dead;
};

static void channel_read(evutil_socket_t, short, void *);
static void channel_write(evutil_socket_t, short, void *);

/* The event loop of a process, which has no threads.  Failure is fatal. */
struct event_base *
channel_loop(void)
{
	struct event_config *config;
	struct event_base *base;

	config = event_config_new();
	if (config == NULL)
		fatalx("event_config_new");
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (base == NULL || event_base_priority_init(base, PRIORITIES) == -1)
		fatalx("event_base_new");
	return (base);
}

/*
 * Speak to peer over buf, which becomes the channel's; its descriptor is made
 * non-blocking and stays the caller's.  Messages that came with what was read
 * before are handled in the first turn of the loop.  Returns NULL with errno
 * set if that cannot be.
 */
struct channel *
channel_new(struct event_base *base, struct imsgbuf *buf, enum role self,
    enum role peer, channel_handler handler, channel_lost lost, void *arg)
{
	struct channel *channel;
	int fd = imsgbuf_fd(buf);
	int flags;

	flags = fcntl(fd, F_GETFL);
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return (NULL);
	channel = calloc(1, sizeof(*channel));
	if (channel == NULL)
		return (NULL);
	channel->buf = buf;
	channel->self = self;
	channel->peer = peer;
	channel->handler = handler;
	channel->lost = lost;
	channel->arg = arg;
	channel->readable = event_new(base, fd, EV_READ | EV_PERSIST,
	    channel_read, channel);
	channel->writable = event_new(base, fd, EV_WRITE, channel_write,
	    channel);
	if (channel->readable == NULL || channel->writable == NULL ||
	    (self != ROLE_PARENT &&
		event_priority_set(channel->readable, PRIORITY_FIRST) == -1) ||
	    event_add(channel->readable, NULL) == -1) {
		errno = ENOMEM;
		return (NULL);
	}
	event_active(channel->readable, EV_READ, 0);
	return (channel);
}

/* End the channel and release it and its buffers. */
void
channel_free(struct channel *channel)
{
	if (channel == NULL)
		return;
	event_free(channel->readable);
	event_free(channel->writable);
	imsgbuf_free(channel->buf);
	free(channel);
}

static void
channel_end(struct channel *channel, const char *why)
{
	if (channel->dead)
		return;
	channel->dead = true;
	event_del(channel->readable);
	event_del(channel->writable);
	channel->lost(why, channel->arg);
}

/* Hand out all messages that are whole. */
static void
channel_dispatch(struct channel *channel)
{
	char why[128];
	struct imsg imsg;
	int n;

	while (!channel->dead && (n = imsgbuf_get(channel->buf, &imsg)) != 0) {
		if (n == -1) {
			channel_end(channel,
			    "sent a message of an impossible "
			    "length");
			return;
		}
		if (proto_check(&imsg, channel->peer, channel->self, why,
			sizeof(why)) == -1) {
			channel_end(channel, why);
			return;
		}
		channel->handler(&imsg, channel->arg);
	}
}

static void
channel_read(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct channel *channel = arg;
	ssize_t n;

	channel_dispatch(channel); /* what was read at start-up */
	if (channel->dead)
		return;
	n = imsgbuf_read(channel->buf);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n == 0 || (n == -1 && errno == ECONNRESET))
		channel_end(channel, NULL);
	else if (n == -1)
		channel_end(channel, strerror(errno));
	else
		channel_dispatch(channel);
}

static void
channel_write(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	(void)channel_flush(arg);
}

/*
 * Write what is queued, now as far as possible and the rest from the loop.
 * Returns -1 if the peer is gone; lost is told by the reading side.
 */
int
channel_flush(struct channel *channel)
{
	if (channel->dead)
		return (-1);
	if (imsgbuf_write(channel->buf) == 0)
		return (0);
	if (errno != EAGAIN)
		return (-1);
	return (event_add(channel->writable, NULL));
}

/* The descriptor of the channel, which is the caller's to close. */
int
channel_fd(const struct channel *channel)
{
	return (imsgbuf_fd(channel->buf));
}

/* Bytes that the peer has still to take. */
size_t
channel_queued(const struct channel *channel)
{
	return (imsgbuf_queued(channel->buf));
}

/* Send a message; data is copied, and wiped once it is written. */
void
channel_send(struct channel *channel, enum imsg_type type, uint32_t id,
    const void *data, size_t len)
{
	if (channel->dead)
		return;
	if (imsgbuf_compose(channel->buf, type, id, data, len) == -1)
		fatal("%s", proto_name(type));
	(void)channel_flush(channel);
}

/* Send bytes of any length as chunks, and an end. */
void
channel_send_chunks(struct channel *channel, enum imsg_type chunk,
    enum imsg_type end, uint32_t id, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	size_t n;

	for (; len > 0; len -= n, bytes += n) {
		n = len < OPAQUE_MAX ? len : OPAQUE_MAX;
		channel_send(channel, chunk, id, bytes, n);
	}
	channel_send(channel, end, id, NULL, 0);
}
