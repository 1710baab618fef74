/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>

#include "confine.h"
#include "http.h"

#define TCP_SOCKET(family, protocol)                                           \
	RULE_ALLOW(socket),                                                    \
	    .nargs = 3,                                                        \
	    .args = { INT_IS(0, family), TYPE_IS(1, SOCK_STREAM),              \
		    INT_IS(2, protocol) }
#define SOCKOPT(level, option)                                                 \
	RULE_ALLOW(setsockopt),                                                \
	    .nargs = 2, .args = { INT_IS(1, level), INT_IS(2, option) }

/* What a process that speaks HTTPS needs beyond what all need. */
const struct syscall_rule http_rules[] = {
	/* libcurl: connections */
	{ TCP_SOCKET(AF_INET, 0) },
	{ TCP_SOCKET(AF_INET, IPPROTO_TCP) },
	{ TCP_SOCKET(AF_INET6, 0) },
	{ TCP_SOCKET(AF_INET6, IPPROTO_TCP) },
	{ RULE_ALLOW(connect) }, /* Landlock knows to which ports */
	/* libcurl: sockets that do not block */
	{ RULE_ALLOW(fcntl), .nargs = 1, .args = { INT_IS(1, F_GETFL) } },
	{ RULE_ALLOW(fcntl), .nargs = 1, .args = { INT_IS(1, F_SETFL) } },
	{ RULE_ALLOW(fcntl), .nargs = 1, .args = { INT_IS(1, F_SETFD) } },
	{ RULE_ALLOW(getsockname) }, /* libcurl: who is at the ends */
	{ RULE_ALLOW(getpeername) },
	{ RULE_ALLOW(shutdown) }, /* http.c: a dead connection is given up */
	{ RULE_ALLOW(poll) },	  /* libcurl: is an idle connection alive */
	{ RULE_ALLOW(ppoll) },
	/* libcurl, OpenSSL: to and from a connected socket only */
	{ RULE_ALLOW(sendto), .nargs = 3,
	    .args = { INT_IS(3, MSG_NOSIGNAL), NULL_IS(4), INT_IS(5, 0) } },
	{ RULE_ALLOW(recvfrom), .nargs = 1, .args = { NULL_IS(4) } },
	/* libcurl: how did connect end */
	{ RULE_ALLOW(getsockopt), .nargs = 2,
	    .args = { INT_IS(1, SOL_SOCKET), INT_IS(2, SO_ERROR) } },
	/* libcurl: the first always, the others for CURLOPT_TCP_KEEPALIVE */
	{ SOCKOPT(IPPROTO_TCP, TCP_NODELAY) },
	{ SOCKOPT(IPPROTO_TCP, TCP_KEEPIDLE) },
	{ SOCKOPT(IPPROTO_TCP, TCP_KEEPINTVL) },
	{ SOCKOPT(IPPROTO_TCP, TCP_KEEPCNT) },
	{ SOCKOPT(IPPROTO_TCP, TCP_USER_TIMEOUT) },
	{ SOCKOPT(SOL_SOCKET, SO_KEEPALIVE) },
	/* A safety net: a look-up that nobody expected fails, and does not
	 * kill the process.  libcurl probes for IPv6 and starts a thread. */
	{ RULE_REFUSE(socket, EACCES), .nargs = 1,
	    .args = { TYPE_IS(1, SOCK_DGRAM) } },
	{ RULE_REFUSE(socketpair, EACCES) },
	{ RULE_REFUSE(clone, EAGAIN) },
};
const size_t http_nrules = sizeof(http_rules) / sizeof(http_rules[0]);
