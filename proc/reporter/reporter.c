/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "cloud.h"
#include "http.h"
#include "log.h"
#include "reporter.h"
#include "token.h"

/*
 * The reporter: serves the metrics and a status page on the socket that it
 * inherited, and writes the events to Cloud Logging.  It holds no credential
 * but a token that can write logs, and nobody waits for it.
 */

static void dispatch(const struct imsg *, void *);
static void get(const struct imsg *, void *, size_t);

#define CA_MAX (4 * 1024 * 1024)

static struct child_program program;
static bool speaks; /* HTTPS, to Cloud Logging */

/* The part of the configuration that is about Cloud Logging, as it comes. */
static struct {
	bool given;
	struct msg_conf_cloud cloud;
	char url[URL_LEN];
	struct msg_token_uri token;
} staged;

static char *ca; /* chunks that came so far */
static size_t ca_len;

static void
prepare(struct event_base *base, const struct child_setup *setup)
{
	world_init();
	speaks = setup->ca != NULL;
	program.rules = reporter_rules(speaks, &program.nrules);
	if (speaks) {
		http_prepare(base, setup->ca, setup->ca_len);
		cloud_prepare(base);
	}
	if (setup->listener != -1)
		server_start(base, setup->listener);
}

int
main(int argc, char *argv[])
{
	program.role = ROLE_REPORTER;
	program.libraries = http_libraries;
	program.prepare = prepare;
	program.handler = dispatch;
	return (child_main(&program, argc, argv));
}

/* Certificate authorities after the start replace those of before. */
static void
ca_chunk(const struct imsg *imsg)
{
	char *grown;

	if (imsg->len > CA_MAX - ca_len)
		fatalx("%s: too much", __func__);
	grown = realloc(ca, ca_len + imsg->len + 1);
	if (grown == NULL)
		fatal("%s", __func__);
	ca = grown;
	memcpy(ca + ca_len, imsg->data, imsg->len);
	ca_len += imsg->len;
}

static void
ca_end(void)
{
	if (ca == NULL || http_set_ca(ca, ca_len) == -1)
		log_warnx("the new certificate authorities cannot be used; the "
			  "old ones stay");
	free(ca);
	ca = NULL;
	ca_len = 0;
}

/* What only a reporter that speaks to Cloud Logging is told.  Returns false if
 * it is something else. */
static bool
dispatch_cloud(const struct imsg *imsg)
{
	struct msg_addresses addresses;
	struct msg_endpoint endpoint;

	switch (imsg->hdr.type) {
	case IMSG_CA_CHUNK:
		ca_chunk(imsg);
		return (true);
	case IMSG_CA_END:
		ca_end();
		return (true);
	case IMSG_ADDRESSES:
		get(imsg, &addresses, sizeof(addresses));
		http_address(&addresses);
		token_retry();
		return (true);
	case IMSG_CONF_ENDPOINT:
		get(imsg, &endpoint, sizeof(endpoint));
		if (endpoint.api == API_LOGGING)
			strlcpy(staged.url, endpoint.url, sizeof(staged.url));
		return (true);
	case IMSG_CONF_TOKEN_URI:
		get(imsg, &staged.token, sizeof(staged.token));
		return (true);
	case IMSG_CONF_CLOUD:
		get(imsg, &staged.cloud, sizeof(staged.cloud));
		staged.given = true;
		return (true);
	case IMSG_EVENT_CHUNK:
		cloud_chunk(imsg->data, imsg->len);
		return (true);
	case IMSG_EVENT_END:
		cloud_event();
		return (true);
	default:
		return (token_message(imsg));
	}
}

static void
commit(void)
{
	world_commit();
	if (speaks && staged.given) {
		token_source(&staged.token);
		cloud_configure(&staged.cloud, staged.url);
	}
	memset(&staged, 0, sizeof(staged));
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
		cloud_dropped(count.count);
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
	if (dispatch_report(imsg) || (speaks && dispatch_cloud(imsg)))
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
		if (!speaks)
			exit(0);
		cloud_stop();
		break;
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
