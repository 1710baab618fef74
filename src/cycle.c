/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * One cycle of one failover: what the prober reports is gathered here, until
 * the cycle ends and becomes a sample for the state machine.
 */

#define SHARE_PART 60	/* of the interval */
#define SHARE_MAX  1000 /* milliseconds */

/* Release what the cycle has gathered; the failover can begin another one. */
void
cycle_clear(struct failover *failover)
{
	struct cycle_side *side;

	for (side = failover->side; side < failover->side + SIDES; side++) {
		json_decref(side->unhealthy);
		json_decref(side->peers);
		free(side->service);
		memset(side, 0, sizeof(*side));
	}
}

/* Release what is kept of the last cycle. */
void
cycle_forget(struct failover *failover)
{
	struct cycle_seen *seen;

	for (seen = failover->seen; seen < failover->seen + SIDES; seen++) {
		json_decref(seen->unhealthy);
		json_decref(seen->peers);
		memset(seen, 0, sizeof(*seen));
	}
	failover->ended = -1;
}

static void
keep_side(const struct cycle_side *side, struct cycle_seen *seen)
{
	const char *error = side->region_seen ? side->region.error :
						"no answer in time";

	seen->services = side->nservices;
	seen->endpoints = side->endpoints;
	seen->healthy = side->healthy;
	seen->unhealthy = json_incref(side->unhealthy);
	strlcpy(seen->services_error, *error != '\0' ? error : side->unknown,
	    sizeof(seen->services_error));
	seen->router_seen = side->router_seen;
	memcpy(seen->announces, side->router.announces,
	    sizeof(seen->announces));
	memcpy(seen->configured, side->router.configured,
	    sizeof(seen->configured));
	seen->peers = json_incref(side->peers);
	strlcpy(seen->router_error,
	    side->router_seen ? side->router.error : "no answer in time",
	    sizeof(seen->router_error));
}

/* The cycle ends at now: keep what it saw, to be shown until the next does. */
void
cycle_keep(struct failover *failover, int64_t now)
{
	int which;

	cycle_forget(failover);
	for (which = LOCAL; which < SIDES; which++)
		keep_side(&failover->side[which], &failover->seen[which]);
	failover->ended = now;
	failover->took = now - failover->started;
	failover->lost = failover->calls_failed;
}

/*
 * How long ago another failover may have asked what this one wants to know of a
 * region or a router that they share, in milliseconds: far less than cycles
 * are apart, so that no two of them see the same answer.
 */
static uint32_t
cycle_share(const struct failover *failover)
{
	int64_t share = failover->decision.interval / SHARE_PART;

	return (share < SHARE_MAX ? (uint32_t)share : SHARE_MAX);
}

/*
 * Begin a cycle: ask the prober to look, within the budget of the cycle; fresh:
 * at nothing that was asked for another failover before.  Who is about to
 * decide something goes before others.
 */
void
cycle_begin(struct failover *failover, struct channel *prober, bool fresh)
{
	const struct failover_conf *conf = failover->conf;
	struct msg_probe msg;
	int64_t budget;

	cycle_clear(failover);
	failover->cycle++;
	failover->running = true;
	failover->calls_failed = false;
	failover->started = mono_ms();
	failover->parts = breakers_parts(failover, failover->started);
	/* What does not come has failed. */
	failover->failed_parts = failover->parts;
	correlation_id(failover->corr, sizeof(failover->corr));

	budget = failover->decision.interval;
	if (budget < 10 * 1000)
		budget = 10 * 1000;
	if (budget > conf->timeout.health)
		budget = conf->timeout.health;
	failover->due = failover->started + budget;
	memset(&msg, 0, sizeof(msg));
	msg.cycle = failover->cycle;
	msg.budget = (uint32_t)budget;
	msg.parts = failover->parts;
	msg.share = fresh ? 0 : cycle_share(failover);
	msg.urgent = fresh || failover->decision.fast;
	strlcpy(msg.corr, failover->corr, sizeof(msg.corr));
	channel_send(prober, IMSG_PROBE, conf->index, &msg, sizeof(msg));
}

static void
cycle_service(struct failover *failover, const struct imsg *imsg)
{
	struct msg_probe_service msg;
	struct service_result *result;
	struct cycle_side *side;
	size_t size;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.cycle != failover->cycle)
		return;
	side = &failover->side[msg.side];
	if (side->nservices == side->size) {
		size = side->size == 0 ? 16 : side->size * 2;
		result = reallocarray(side->service, size, sizeof(*result));
		if (result == NULL)
			fatal("services of %s", failover->conf->name);
		side->service = result;
		side->size = size;
	}
	result = &side->service[side->nservices++];
	memset(result, 0, sizeof(*result));
	strlcpy(result->name, msg.name, sizeof(result->name));
	result->verdict = msg.verdict;
	result->empty = msg.empty;
	side->endpoints += msg.healthy + msg.sick + msg.unknown;
	side->healthy += msg.healthy;
	side->sick += msg.sick;
	if (msg.verdict != V_UNKNOWN || *msg.reason == '\0')
		return;
	if (*side->unknown == '\0') {
		strlcpy(side->unknown, msg.name, sizeof(side->unknown));
		strlcat(side->unknown, ": ", sizeof(side->unknown));
		strlcat(side->unknown, msg.reason, sizeof(side->unknown));
	}
	log_debug("%s: %s: %s", failover->conf->region[msg.side], msg.name,
	    msg.reason);
}

static void
cycle_endpoint(struct failover *failover, const struct imsg *imsg)
{
	struct msg_probe_endpoint msg;
	struct cycle_side *side;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.cycle != failover->cycle)
		return;
	side = &failover->side[msg.side];
	if (side->unhealthy == NULL)
		side->unhealthy = json_array();
	json_array_append_new(side->unhealthy,
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "service", msg.service,
		"group", msg.group, "endpoint", msg.endpoint, "state",
		msg.state, "reason", msg.reason));
}

static void
cycle_region(struct failover *failover, const struct imsg *imsg)
{
	struct msg_probe_region msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.cycle != failover->cycle)
		return;
	failover->side[msg.side].region = msg;
	failover->side[msg.side].region_seen = true;
}

/* An enabled peer in CUSTOM mode does not hear what the router is told. */
static void
cycle_custom_peer(struct failover *failover, const struct msg_probe_peer *msg)
{
	char error[REASON_LEN];
	struct event_head head = {
		.type = "daemon_error",
		.result = RESULT_FAILURE,
		.component = "gcp_bgp",
		.operation = "check_peers",
		.failover = failover->conf->name,
		.corr = failover->corr,
		.duration = -1,
		.error = error,
	};

	if (failover->custom_told)
		return;
	failover->custom_told = true;
	snprintf(error, sizeof(error),
	    "peer %s of router %s has an advertise "
	    "mode of its own and is not told what the router advertises: name "
	    "it in \"advertise on peer\", or set it to DEFAULT",
	    msg->name, failover->conf->router[LOCAL]);
	log_errorx("%s", error);
	event_emit(&head,
	    json_pack("{s:s, s:s}", "router", failover->conf->router[LOCAL],
		"peer", msg->name));
}

static void
cycle_peer(struct failover *failover, const struct imsg *imsg)
{
	static const char *const names[] = { "unknown", "down", "up" };
	struct msg_probe_peer msg;
	struct cycle_side *side;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.cycle != failover->cycle)
		return;
	side = &failover->side[msg.side];
	if (side->peers == NULL)
		side->peers = json_object();
	json_object_set_new(side->peers, msg.name,
	    json_string(msg.enabled ? names[msg.status + 1] : "disabled"));
	report_peer(failover, &msg);
	if (msg.side == LOCAL && msg.custom)
		cycle_custom_peer(failover, &msg);
}

static void
cycle_router(struct failover *failover, const struct imsg *imsg)
{
	struct msg_probe_router msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.cycle != failover->cycle)
		return;
	failover->side[msg.side].router = msg;
	failover->side[msg.side].router_seen = true;
}

/*
 * Take a message of the prober about this failover.  What belongs to a cycle
 * that was given up is dropped.  Returns true when the cycle is complete.
 */
bool
cycle_message(struct failover *failover, const struct imsg *imsg)
{
	struct msg_probe_done done;

	switch (imsg->hdr.type) {
	case IMSG_PROBE_SERVICE:
		cycle_service(failover, imsg);
		break;
	case IMSG_PROBE_ENDPOINT:
		cycle_endpoint(failover, imsg);
		break;
	case IMSG_PROBE_REGION:
		cycle_region(failover, imsg);
		break;
	case IMSG_PROBE_PEER:
		cycle_peer(failover, imsg);
		break;
	case IMSG_PROBE_ROUTER:
		cycle_router(failover, imsg);
		break;
	case IMSG_PROBE_DONE:
		imsg_get_data(imsg, &done, sizeof(done));
		if (!failover->running || done.cycle != failover->cycle)
			break;
		failover->failed_parts = done.failed_parts;
		failover->calls = done.calls;
		failover->calls_failed = done.failed > 0 ||
		    failover->parts != PARTS_ALL;
		return (true);
	default:
		fatalx("prober sent %s", proto_name(imsg->hdr.type));
	}
	return (false);
}

/* What the cycle saw of one side, with what earlier ones remember. */
static void
cycle_side_sample(struct failover *failover, enum side which, int64_t now)
{
	struct cycle_side *side = &failover->side[which];
	bool complete = side->region_seen && side->region.complete &&
	    side->region.services == side->nservices;

	failover->sample.services[which] = region_judge(
	    &failover->memory[which], side->service, side->nservices, complete,
	    now);
	failover->sample.bgp[which] = V_UNKNOWN;
	if (side->router_seen)
		failover->sample.bgp[which] = bgp_judge(side->router.verdict,
		    side->router.read, side->router.peers,
		    &failover->had_peers[which]);
}

/*
 * Turn what the cycle has gathered into the sample of the failover.  What was
 * not reported is unknown.
 */
void
cycle_sample(struct failover *failover, int64_t now)
{
	const struct cycle_side *remote = &failover->side[REMOTE];
	int i;

	cycle_side_sample(failover, LOCAL, now);
	cycle_side_sample(failover, REMOTE, now);
	for (i = 0; i < PREFIXES; i++)
		failover->sample.remote_announces[i] = remote->router_seen ?
		    remote->router.announces[i] :
		    V_UNKNOWN;
}

static json_t *
take(json_t **value, json_t *otherwise)
{
	json_t *taken = *value;

	*value = NULL;
	if (taken == NULL)
		return (otherwise);
	json_decref(otherwise);
	return (taken);
}

static void
cycle_region_event(struct failover *failover, enum side which)
{
	struct cycle_side *side = &failover->side[which];
	enum verdict sample = failover->sample.services[which];
	const char *error = side->region_seen ? side->region.error :
						"no answer in time";
	struct event_head head = {
		.type = "health_check_result",
		.result = sample == V_YES ? RESULT_SUCCESS : RESULT_FAILURE,
		.component = "health_check",
		.operation = "check_backend_services",
		.failover = failover->conf->name,
		.corr = failover->corr,
		.duration = side->region_seen ? (int64_t)side->region.duration :
						-1,
		.error = error,
	};

	if (sample == V_NO && *error == '\0')
		head.error = "unhealthy";
	else if (sample == V_UNKNOWN && *error == '\0')
		head.error = *side->unknown == '\0' ? "health is not known" :
						      side->unknown;
	event_emit(&head,
	    json_pack("{s:s, s:o, s:i, s:i, s:i, s:o}", "region",
		failover->conf->region[which], "sample", event_verdict(sample),
		"services", (int)side->nservices, "endpoints",
		(int)side->endpoints, "healthy_endpoints", (int)side->healthy,
		"unhealthy", take(&side->unhealthy, json_array())));
}

static void
cycle_router_event(struct failover *failover, enum side which)
{
	struct cycle_side *side = &failover->side[which];
	enum verdict sample = failover->sample.bgp[which];
	const char *error = side->router_seen ? side->router.error :
						"no answer in time";
	struct event_head head = {
		.type = "health_check_result",
		.result = sample == V_YES ? RESULT_SUCCESS : RESULT_FAILURE,
		.component = "health_check",
		.operation = "check_bgp_sessions",
		.failover = failover->conf->name,
		.corr = failover->corr,
		.duration = side->router_seen ? (int64_t)side->router.duration :
						-1,
		.error = error,
	};

	if (sample == V_NO && *error == '\0')
		head.error = "BGP sessions are down";
	else if (sample == V_UNKNOWN && *error == '\0')
		head.error = "BGP status is not known";
	event_emit(&head,
	    json_pack("{s:s, s:o, s:s, s:o}", "region",
		failover->conf->router_region[which], "sample",
		event_verdict(sample), "router", failover->conf->router[which],
		"peers", take(&side->peers, json_object())));
}

/* Emit what the cycle saw; the sample has been made. */
void
cycle_events(struct failover *failover)
{
	int which;

	for (which = LOCAL; which < SIDES; which++) {
		cycle_region_event(failover, which);
		cycle_router_event(failover, which);
	}
}
