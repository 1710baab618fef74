/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/ioctl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "http.h"
#include "log.h"
#include "reporter.h"

/*
 * The reporter: serves the metrics and a status page on the socket that it
 * inherited, and writes the events to Cloud Logging.  It holds no credential
 * but a token that can write logs, and nobody waits for it.
 */

static void dispatch(const struct imsg *, void *);
static void get(const struct imsg *, void *, size_t);

/* What it does beyond HTTPS: serve those who connect. */
static const struct syscall_rule serve_rules[] = {
	/* libevent: a connection to the one socket that listens */
	{ RULE_ALLOW(accept4), .nargs = 1, .args = { INT_IS(0, LISTEN_FD) } },
	/* libevent: how much is there to be read */
	{ RULE_ALLOW(ioctl), .nargs = 1, .args = { INT_IS(1, FIONREAD) } },
	{ RULE_ALLOW(readv) },
};

#define NSERVE (sizeof(serve_rules) / sizeof(serve_rules[0]))

static bool speaks; /* HTTPS, to Cloud Logging */

static void
prepare(struct event_base *base, const struct child_setup *setup)
{
	world_init();
	speaks = setup->ca != NULL;
	if (speaks)
		http_prepare(base, setup->ca, setup->ca_len);
	if (setup->listener != -1)
		server_start(base, setup->listener);
}

int
main(int argc, char *argv[])
{
	struct child_program program;
	struct syscall_rule *rules;

	rules = calloc(NSERVE + http_nrules, sizeof(*rules));
	if (rules == NULL)
		return (1);
	memcpy(rules, serve_rules, sizeof(serve_rules));
	memcpy(rules + NSERVE, http_rules, http_nrules * sizeof(*rules));
	memset(&program, 0, sizeof(program));
	program.role = ROLE_REPORTER;
	program.libraries = http_libraries;
	program.prepare = prepare;
	program.rules = rules;
	program.nrules = NSERVE + http_nrules;
	program.handler = dispatch;
	return (child_main(&program, argc, argv));
}

static void
commit(void)
{
	world_commit();
	child_send(IMSG_CONF_IN_USE, 0, NULL, 0);
}

/* Numbers for the metrics and the page.  Returns false if it is none. */
static bool
dispatch_report(const struct imsg *imsg)
{
	struct msg_report_reaction reaction;
	struct msg_report_daemon daemon;
	struct msg_report_state state;
	struct msg_report_move move;
	struct msg_probe_peer peer;
	struct msg_calls calls;
	struct msg_count count;

	switch (imsg->hdr.type) {
	case IMSG_REPORT_DAEMON:
		get(imsg, &daemon, sizeof(daemon));
		world.starts = daemon.starts;
		world.pid = daemon.pid;
		return (true);
	case IMSG_REPORT_PEER:
		get(imsg, &peer, sizeof(peer));
		world_peer(imsg->hdr.id, &peer);
		return (true);
	case IMSG_REPORT_STATE:
		get(imsg, &state, sizeof(state));
		world_state(imsg->hdr.id, &state);
		return (true);
	case IMSG_REPORT_MOVE:
		get(imsg, &move, sizeof(move));
		world_move(&move);
		return (true);
	case IMSG_REPORT_REACTION:
		get(imsg, &reaction, sizeof(reaction));
		world_reaction(&reaction);
		return (true);
	case IMSG_REPORT_EXPIRY:
		get(imsg, &count, sizeof(count));
		world_expiry(imsg->hdr.id, count.count);
		return (true);
	case IMSG_CALLS:
		get(imsg, &calls, sizeof(calls));
		world_calls(&calls);
		return (true);
	case IMSG_EVENTS_DROPPED:
		get(imsg, &count, sizeof(count));
		world.dropped += count.count;
		return (true);
	default:
		return (false);
	}
}

/* A message of the parent's; its length and texts have been checked. */
static void
dispatch(const struct imsg *imsg, void *arg)
{
	struct msg_conf_shown shown;

	(void)arg;
	if (dispatch_report(imsg))
		return;
	switch (imsg->hdr.type) {
	case IMSG_CONF_BEGIN:
		break;
	case IMSG_CONF_SHOWN:
		get(imsg, &shown, sizeof(shown));
		world_shown(imsg->hdr.id, &shown);
		break;
	case IMSG_CONF_COMMIT:
		commit();
		break;
	case IMSG_STOP:
		exit(0);
	default:
		log_warnx("%s: unexpected %s", __func__,
		    proto_name(imsg->hdr.type));
		break;
	}
}

/* The length has been checked when the message came in. */
static void
get(const struct imsg *imsg, void *data, size_t len)
{
	if (imsg_get_data(imsg, data, len) == -1)
		fatalx("%s: %s has the wrong size", __func__,
		    proto_name(imsg->hdr.type));
}
