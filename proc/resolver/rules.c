/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <fcntl.h>

#include "resolver.h"

/* What the resolver needs beyond what all need. */
const struct syscall_rule resolver_rules[] = {
	/* c-ares: queries over UDP and, if they do not fit, TCP */
	{ RULE_ALLOW(socket), .nargs = 3,
	    .args = { INT_IS(0, AF_INET), TYPE_IS(1, SOCK_DGRAM),
		INT_IS(2, 0) } },
	{ RULE_ALLOW(socket), .nargs = 3,
	    .args = { INT_IS(0, AF_INET6), TYPE_IS(1, SOCK_DGRAM),
		INT_IS(2, 0) } },
	{ RULE_ALLOW(socket), .nargs = 3,
	    .args = { INT_IS(0, AF_INET), TYPE_IS(1, SOCK_STREAM),
		INT_IS(2, 0) } },
	{ RULE_ALLOW(socket), .nargs = 3,
	    .args = { INT_IS(0, AF_INET6), TYPE_IS(1, SOCK_STREAM),
		INT_IS(2, 0) } },
	{ RULE_ALLOW(connect) }, /* Landlock knows to which TCP ports */
	{ RULE_ALLOW(
	    getsockname) }, /* newer ones: what has the kernel chosen */
	{ RULE_ALLOW(fcntl), .nargs = 1, .args = { INT_IS(1, F_GETFL) } },
	{ RULE_ALLOW(fcntl), .nargs = 1, .args = { INT_IS(1, F_SETFL) } },
	{ RULE_ALLOW(fcntl), .nargs = 1, .args = { INT_IS(1, F_SETFD) } },
	{ RULE_ALLOW(writev) }, /* over TCP */
	/* only to a connected socket */
	{ RULE_ALLOW(sendto), .nargs = 3,
	    .args = { INT_IS(3, MSG_NOSIGNAL), NULL_IS(4), INT_IS(5, 0) } },
	{ RULE_ALLOW(recvfrom) }, /* c-ares looks who has answered */
	{ RULE_ALLOW(setsockopt), .nargs = 2,
	    .args = { INT_IS(1, IPPROTO_TCP), INT_IS(2, TCP_NODELAY) } },
};
const size_t resolver_nrules = sizeof(resolver_rules) /
    sizeof(resolver_rules[0]);
