/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CHILD_H
#define MTGCPD_CHILD_H

#include <event2/event.h>

#include <stddef.h>
#include <stdint.h>

#include "channel.h"
#include "confine.h"
#include "proto.h"

#define PORTS_MAX 16

/* What the parent told a child before it confined itself. */
struct child_setup {
	struct msg_hello hello;
	uint16_t port[PORTS_MAX]; /* TCP ports it may connect to */
	size_t nports;
	char *ca; /* PEM bundle, NUL-terminated; NULL: none was sent.
		     Freed after prepare() */
	size_t ca_len;
	int listener; /* descriptor of a socket that listens; -1: none */
};

/* A child program: what is its own of the common way to start. */
struct child_program {
	enum role role;
	const char *(*libraries)(void); /* names and versions, for -V */
	/* Before the drop: whatever opens files, makes socketpairs or installs
	 * signal handlers.  Failure: fatal(). */
	void (*prepare)(struct event_base *, const struct child_setup *);
	const struct syscall_rule *rules; /* on top of the common ones */
	size_t nrules;
	channel_handler handler; /* messages after SETUP_END */
};

extern struct channel *parent_channel; /* the one to the parent */

/* child.c */
int child_main(const struct child_program *, int argc, char *argv[]);
void child_send(enum imsg_type, uint32_t id, const void *, size_t);

#endif /* MTGCPD_CHILD_H */
