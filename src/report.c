/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "mtgcpd.h"

/*
 * What the reporter is told, where there is one: numbers for the metrics and
 * the status page, and the events for Cloud Logging.  Nothing here waits for
 * it: what it does not take in time is dropped, and events are counted then.
 */

#define QUEUE_MAX (1024 * 1024) /* bytes that it may leave untaken */
#define BACKLOG	  16
#define EARLY_MAX 16 /* events before it has been started */

static struct {
	struct channel *channel; /* NULL: there is no reporter */
	bool events;		 /* it writes them to Cloud Logging */
	uint64_t dropped;	 /* events, since it was told of it */
	bool told;		 /* the log, that some are being dropped */
	char *early[EARLY_MAX];
	size_t nearly;
} report;

static void report_dropped(void);

_Static_assert(BREAKERS_SHOWN == SERVICES, "circuit breakers");
_Static_assert(STATES == STATE_MAX, "states");

static socklen_t
listen_address(const struct conf *conf, struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *four = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, conf->listen_address, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(conf->listen_port);
		return (sizeof(*four));
	}
	(void)inet_pton(AF_INET6, conf->listen_address, &six->sin6_addr);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(conf->listen_port);
	return (sizeof(*six));
}

/*
 * Listen where the metrics are to be served, while we still may: the reporter
 * may not, and later neither may we.  Returns the descriptor, above those that
 * a child gets, or -1 with errno set.
 */
int
report_listen(const struct conf *conf)
{
	struct sockaddr_storage ss;
	const int on = 1;
	socklen_t len;
	int error, fd, high = -1;

	len = listen_address(conf, &ss);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	if (fd == -1)
		return (-1);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (ss.ss_family != AF_INET6 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) ==
		    0) &&
	    bind(fd, (struct sockaddr *)&ss, len) == 0 &&
	    listen(fd, BACKLOG) == 0)
		high = fcntl(fd, F_DUPFD_CLOEXEC, LISTEN_FD + 6);
	error = errno;
	close(fd);
	errno = error;
	return (high);
}

/* Will the reporter take one more message? */
static bool
report_room(void)
{
	return (report.channel != NULL &&
	    channel_queued(report.channel) < QUEUE_MAX);
}

static void
report_send(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	if (!report_room())
		return;
	report_dropped();
	channel_send(report.channel, type, id, data, len);
}

static void
report_daemon(void)
{
	struct msg_report_daemon msg;

	memset(&msg, 0, sizeof(msg));
	msg.starts = statefile_starts();
	msg.pid = (uint32_t)getpid();
	report_send(IMSG_REPORT_DAEMON, 0, &msg, sizeof(msg));
}

static void
report_move(const struct transition *transition, bool fresh)
{
	struct msg_report_move msg;

	memset(&msg, 0, sizeof(msg));
	msg.at = transition->at;
	msg.fresh = fresh;
	msg.from = transition->from;
	msg.to = transition->to;
	msg.local = transition->local;
	msg.remote = transition->remote;
	msg.remote_bgp = transition->remote_bgp;
	strlcpy(msg.failover, transition->failover, sizeof(msg.failover));
	report_send(IMSG_REPORT_MOVE, 0, &msg, sizeof(msg));
}

/*
 * Report to the reporter behind the channel, which has been told its
 * configuration, from now on.
 */
void
report_open(struct channel *channel)
{
	const struct transition *transition;
	size_t i;

	report.channel = channel;
	report_daemon();
	for (i = 0; (transition = history_get(i)) != NULL; i++)
		report_move(transition, false);
	for (i = 0; i < report.nearly; i++) {
		report_event(report.early[i], strlen(report.early[i]));
		free(report.early[i]);
	}
	report.nearly = 0;
}

/* A failover has moved to another state. */
void
report_moved(const struct transition *transition)
{
	report_move(transition, true);
}

/* Events have been dropped, and now there is room again: say how many. */
static void
report_dropped(void)
{
	struct msg_count msg = { .count = report.dropped };

	if (report.dropped == 0)
		return;
	report.dropped = 0;
	report.told = false;
	channel_send(report.channel, IMSG_EVENTS_DROPPED, 0, &msg, sizeof(msg));
}

/* Keep an event that comes before the reporter. */
static bool
report_early(const char *text)
{
	if (report.channel != NULL)
		return (false);
	if (report.nearly < EARLY_MAX) {
		report.early[report.nearly] = strdup(text);
		if (report.early[report.nearly] != NULL)
			report.nearly++;
	}
	return (true);
}

/* An event, as JSON of len bytes: for Cloud Logging, if that is wanted. */
void
report_event(const char *text, size_t len)
{
	size_t n;

	if (!report.events || report_early(text))
		return;
	if (!report_room() || len == 0 || len > EVENT_MAX) {
		report.dropped++;
		if (!report.told)
			log_warnx("the reporter does not keep up: events are "
				  "not sent to Cloud Logging");
		report.told = true;
		return;
	}
	report_dropped();
	for (; len > 0; len -= n, text += n) {
		n = len < OPAQUE_MAX ? len : OPAQUE_MAX;
		channel_send(report.channel, IMSG_EVENT_CHUNK, 0, text, n);
	}
	channel_send(report.channel, IMSG_EVENT_END, 0, NULL, 0);
}

/* The prober or the actuator has made requests. */
void
report_calls(const struct imsg *imsg)
{
	report_send(IMSG_CALLS, 0, imsg->data, imsg->len);
}

/* The Cloudflare token of a failover ends then, in seconds since the epoch; 0:
 * that is not known. */
void
report_expiry(uint32_t failover, int64_t expires)
{
	struct msg_count msg = { .count = (uint64_t)expires };

	report_send(IMSG_REPORT_EXPIRY, failover, &msg, sizeof(msg));
}

/* The cycle that runs has seen a peer. */
void
report_peer(const struct failover *failover, const struct msg_probe_peer *msg)
{
	report_send(IMSG_REPORT_PEER, failover->conf->index, msg, sizeof(*msg));
}

static void
report_reaction(enum reaction_phase phase, int64_t from, int64_t to)
{
	struct msg_report_reaction msg;

	if (from == -1)
		return;
	memset(&msg, 0, sizeof(msg));
	msg.phase = phase;
	msg.duration = to - from > UINT32_MAX ? UINT32_MAX :
						(uint32_t)(to - from);
	report_send(IMSG_REPORT_REACTION, 0, &msg, sizeof(msg));
}

/* What the samples of the cycle alone, without any memory, would say. */
static int
raw_state(const struct failover *failover)
{
	const struct policy *policy = &failover->conf->policy;
	const struct sample *sample = &failover->sample;
	enum verdict local = sample->services[LOCAL];

	if (policy->local_bgp)
		local = v_and(local, sample->bgp[LOCAL]);
	return (state_read(policy, local, sample->services[REMOTE],
	    sample->bgp[REMOTE]));
}

/* A state that calls for another one than that which the failover was in. */
static bool
is_other(int state, const struct decision *decision)
{
	return (state != STATE_NONE && state != decision->old &&
	    decision->old != STATE_NONE);
}

/*
 * A cycle has been decided: how long did it take from the first sample that
 * called for another state to the verdicts that do, and from there to the
 * transition?
 */
void
report_decided(struct failover *failover, int64_t now)
{
	const struct decision *decision = &failover->decision;
	struct reaction *reaction = &failover->reaction;
	int raw = raw_state(failover);

	if (is_other(raw, decision) || is_other(decision->read, decision)) {
		if (reaction->sampled == -1)
			reaction->sampled = failover->started;
	} else if (raw != STATE_NONE)
		reaction->sampled = -1;
	if (!is_other(decision->read, decision)) {
		if (decision->read != STATE_NONE)
			reaction->read = -1;
	} else if (reaction->read == -1) {
		reaction->read = now;
		report_reaction(REACTION_DETECT, reaction->sampled, now);
	}
	if (!decision->changed || decision->old == STATE_NONE)
		return;
	report_reaction(REACTION_VERIFY, reaction->read, now);
	reaction->sampled = reaction->read = -1;
	reaction->decided = now;
	reaction->written = false;
}

/* A write of the plan was made: how long after the transition? */
static void
reaction_written(struct failover *failover, int64_t now)
{
	struct reaction *reaction = &failover->reaction;

	if (failover->plan.msg.repair || reaction->written)
		return;
	report_reaction(REACTION_WRITE, reaction->decided, now);
	reaction->written = true;
}

static void
acted_routes(struct failover *failover, const struct imsg *imsg, int64_t now)
{
	struct msg_plan_routes msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (msg.plan != failover->plan.msg.plan)
		return;
	if (msg.result == RESULT_SUCCESS)
		reaction_written(failover, now);
	if (msg.result == RESULT_SUCCESS || msg.result == RESULT_NO_CHANGE)
		failover->priority = msg.desired;
	else if (msg.result == RESULT_FAILURE)
		failover->priority = -1;
}

/* The actuator has said something of a plan, which has been taken in. */
void
report_acted(struct failover *failover, const struct imsg *imsg, int64_t now)
{
	struct msg_plan_advert advert;
	struct reaction *reaction = &failover->reaction;

	if (imsg->hdr.type == IMSG_PLAN_ROUTES)
		acted_routes(failover, imsg, now);
	else if (imsg->hdr.type == IMSG_PLAN_ADVERT) {
		imsg_get_data(imsg, &advert, sizeof(advert));
		if (advert.plan == failover->plan.msg.plan &&
		    advert.result == RESULT_SUCCESS)
			reaction_written(failover, now);
	} else if (failover->plan.progress == PROGRESS_DONE &&
	    !failover->plan.look) {
		if (reaction->written)
			report_reaction(REACTION_EFFECT, reaction->decided,
			    now);
		reaction->decided = -1;
		reaction->written = false;
	}
	report_state(failover, now);
}

static uint32_t
report_held(const struct failover *failover)
{
	static const uint32_t pending[] = {
		[PENDING_NONE] = 0,
		[PENDING_VERIFY] = HELD_VERIFY,
		[PENDING_DWELL] = HELD_DWELL,
		[PENDING_RETURN] = HELD_RETURN,
		[PENDING_BRAKE] = HELD_BRAKE,
	};
	const struct decision *decision = &failover->decision;
	uint32_t held = pending[decision->pending];

	if (failover->orders.hold)
		held |= HELD_HOLD;
	if (failover->orders.force != STATE_NONE)
		held |= HELD_FORCE;
	if (failover->machine.braked)
		held |= HELD_BRAKE;
	if (decision->wait_takeover || failover->gate_told)
		held |= HELD_HANDOVER;
	return (held);
}

static int64_t
age_of(enum verdict verdict, int64_t last_known, int64_t now)
{
	return (verdict == V_UNKNOWN ? -1 : now - last_known);
}

static void
state_verdicts(struct msg_report_state *msg, const struct failover *failover,
    int64_t now)
{
	const struct machine *machine = &failover->machine;
	const struct decision *decision = &failover->decision;

	msg->verdict[WATCHED_LOCAL] = decision->local;
	msg->verdict[WATCHED_REMOTE] = decision->remote;
	msg->verdict[WATCHED_LOCAL_BGP] = machine->bgp[LOCAL].verdict;
	msg->verdict[WATCHED_REMOTE_BGP] = decision->remote_bgp;
	msg->age[WATCHED_LOCAL] = age_of(decision->local,
	    machine->services[LOCAL].last_known, now);
	msg->age[WATCHED_REMOTE] = age_of(decision->remote,
	    machine->services[REMOTE].last_known, now);
	msg->age[WATCHED_LOCAL_BGP] = age_of(machine->bgp[LOCAL].verdict,
	    machine->bgp[LOCAL].last_known, now);
	msg->age[WATCHED_REMOTE_BGP] = age_of(decision->remote_bgp,
	    machine->bgp[REMOTE].last_known, now);
}

static void
state_sides(struct msg_report_state *msg, const struct failover *failover)
{
	const struct cycle_side *side;
	int i, which;

	for (which = LOCAL; which < SIDES; which++) {
		side = &failover->side[which];
		msg->endpoints[which] = side->endpoints;
		msg->healthy[which] = side->healthy;
		msg->sick[which] = side->sick;
		for (i = 0; i < PREFIXES; i++)
			msg->announces[which][i] = side->router_seen ?
			    side->router.announces[i] :
			    V_UNKNOWN;
	}
}

static void
state_fill(struct msg_report_state *msg, const struct failover *failover,
    int64_t now)
{
	const struct decision *decision = &failover->decision;
	int i;

	memset(msg, 0, sizeof(*msg));
	msg->cycle = failover->cycle;
	msg->read = decision->read;
	msg->current = failover->machine.current;
	msg->acting = decision->acting;
	msg->candidate = decision->candidate;
	msg->in_state = msg->current == STATE_NONE ?
	    -1 :
	    now - failover->machine.entered;
	state_verdicts(msg, failover, now);
	state_sides(msg, failover);
	msg->priority = failover->priority;
	msg->held = report_held(failover);
	msg->passive = failover->conf->passive;
	for (i = 0; i < OBJECTS; i++)
		msg->contested += failover->drift[i].contested;
	for (i = 0; i < SERVICES; i++)
		msg->breaker[i] = failover->breaker[i].state;
	for (i = 0; i < PREFIXES; i++)
		msg->prefix[i] = decision->actions.prefix[i];
	msg->cloudflare = decision->actions.cloudflare;
	strlcpy(msg->plan, plan_progress_name(&failover->plan),
	    sizeof(msg->plan));
}

/* The failover as it stands; between two cycles, of what they see that which
 * the last one saw. */
void
report_state(const struct failover *failover, int64_t now)
{
	struct msg_report_state msg;

	if (report.channel == NULL || failover->running)
		return;
	state_fill(&msg, failover, now);
	report_send(IMSG_REPORT_STATE, failover->conf->index, &msg,
	    sizeof(msg));
}

/* A cycle of the failover has ended so. */
void
report_cycle(const struct failover *failover, enum outcome result, int64_t now)
{
	struct msg_report_state msg;

	if (report.channel == NULL)
		return;
	state_fill(&msg, failover, now);
	msg.ended = 1;
	msg.result = result;
	msg.duration = (uint32_t)(now - failover->started);
	report_send(IMSG_REPORT_STATE, failover->conf->index, &msg,
	    sizeof(msg));
}

/* What the configuration, now in use, wants to be reported. */
void
report_reload(const struct conf *conf)
{
	report.events = conf->cloud_project != NULL;
}

/* Report nothing any more. */
void
report_close(void)
{
	report.channel = NULL;
	report.events = false;
}
