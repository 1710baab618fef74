/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/ioctl.h>

#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "imsg.h"
#include "log.h"
#include "reporter.h"

/* To serve those who connect. */
static const struct syscall_rule serve_rules[] = {
	/* libevent: a connection to the one socket that listens */
	{ RULE_ALLOW(accept4), .nargs = 1, .args = { INT_IS(0, LISTEN_FD) } },
	/* libevent: how much is there to be read */
	{ RULE_ALLOW(ioctl), .nargs = 1, .args = { INT_IS(1, FIONREAD) } },
	{ RULE_ALLOW(readv) },
	{ RULE_ALLOW(writev) },
};

/* Without Cloud Logging no socket is ever made; see http_rules for the rest. */
static const struct syscall_rule quiet_rules[] = {
	{ RULE_ALLOW(shutdown) }, /* server.c: a connection is over */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * What the reporter may do beyond what all children may: speaks, to Cloud
 * Logging.  The caller owns the table, of n lines.
 */
struct syscall_rule *
reporter_rules(bool speaks, size_t *n)
{
	size_t more = speaks ? http_nrules : COUNT(quiet_rules);
	struct syscall_rule *rules;

	*n = COUNT(serve_rules) + more;
	rules = calloc(*n, sizeof(*rules));
	if (rules == NULL)
		fatal("%s", __func__);
	memcpy(rules, serve_rules, sizeof(serve_rules));
	memcpy(rules + COUNT(serve_rules), speaks ? http_rules : quiet_rules,
	    more * sizeof(*rules));
	return (rules);
}
