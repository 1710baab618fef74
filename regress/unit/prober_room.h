/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef PROBER_ROOM_H
#define PROBER_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <cmocka.h>

/* No test needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

/*
 * The prober's cycles against a cloud that does what the test says, in a time
 * that only passes when something waits for it.  Timers, HTTP, tokens, chance
 * and the channel to the parent are the ones below.
 */
#define arc4random_uniform fake_uniform
#define time(p)		   fake_time(p)
static uint32_t fake_uniform(uint32_t);
static time_t fake_time(time_t *);
#include "../../common/backoff.c"
#include "../../proc/prober/bgp.c"
#include "../../proc/prober/endpoint.c"
#include "../../proc/prober/nameset.c"
#include "../../proc/prober/probe.c"
#include "../../proc/prober/question.c"
#include "../../proc/prober/region.c"
#include "../../proc/prober/routers.c"
#include "../../proc/prober/service.c"
#undef arc4random_uniform
#undef time

#define BUDGET	   10000
#define LATENCY	   10	   /* milliseconds, of every call */
#define WALL	   1000000 /* seconds: the time of day at the start */
#define TOKEN_TIME 5	   /* milliseconds */
#define NEVER	   -1
#define TARGETS	   2

#include "timers.h"

/* Time of day and chance. */

static int64_t begun;
static int percent; /* of the most that backoff allows */

size_t
http_window(void)
{
	return (HTTP_WINDOW);
}

void
http_line_init(struct http_line *line, bool urgent)
{
	TAILQ_INIT(&line->waiting);
	line->urgent = urgent;
}

static time_t
fake_time(time_t *p)
{
	(void)p;
	return (WALL + (now - begun) / 1000);
}

static uint32_t
fake_uniform(uint32_t bound)
{
	return ((uint32_t)((uint64_t)(bound - 1) * (uint64_t)percent / 100));
}

/* Let time pass until something happens, and have it happen. */
static void
run_one(void)
{
	struct event *ev = TAILQ_FIRST(&events);

	assert_non_null(ev);
	event_del(ev);
	if (ev->due > now)
		now = ev->due;
	ev->cb(-1, EV_TIMEOUT, ev->arg);
}

/* Let time pass until nothing waits for it any more. */
static void
run(void)
{
	int n;

	for (n = 0; !TAILQ_EMPTY(&events); n++) {
		run_one();
		assert_true(n < 1000000);
	}
}

/* The cloud. */

struct rule {
	const char *url;
	int skip;
	int count; /* 0: always */
	long status;
	const char *body;	  /* NULL: the usual error */
	const char *type;	  /* NULL: of JSON */
	const char *retry_after;  /* NULL: none */
	enum transport transport; /* where status is 0 */
	int delay;		  /* 0: the usual; NEVER */
	int seen;
};

static struct rule rules[8];
static size_t nrules;
static const char *list; /* NULL: the usual one */
static char (*page)[64]; /* of the remote list, if it has several */
static int at_page;

struct http_call {
	struct event *timer;
	http_done done;
	void *arg;
	char *url;
	char bearer[16];
	int64_t started;
	bool late;
	const struct rule *rule;
};

/* What was called, and when. */
static struct {
	char url[REASON_LEN];
	int64_t at;
	uint32_t timeout;
	struct bucket *bucket;
	const struct http_line *line;
} calls[2048];
static size_t ncalls;
static size_t flying, most_flying;

static struct rule *
rule(const char *url, int count, long status)
{
	struct rule *r = &rules[nrules++];

	assert_true(nrules <= 8);
	memset(r, 0, sizeof(*r));
	r->url = url;
	r->count = count;
	r->status = status;
	return (r);
}

static const struct rule *
rule_find(const char *url)
{
	struct rule *r;
	size_t i;

	for (i = 0; i < nrules; i++) {
		r = &rules[i];
		if (strstr(url, r->url) == NULL)
			continue;
		r->seen++;
		if (r->seen > r->skip &&
		    (r->count == 0 || r->seen <= r->skip + r->count))
			return (r);
	}
	return (NULL);
}

static const char *
good(const char *url)
{
	if (strstr(url, "/getHealth") != NULL)
		return ("{\"healthStatus\":[{\"healthState\":\"HEALTHY\","
			"\"instance\":\"i\"}]}");
	if (page != NULL && strstr(url, "/b/backendServices?") != NULL)
		return (page[at_page++]);
	if (strstr(url, "/backendServices?") != NULL)
		return (list != NULL ? list :
				       "{\"items\":[{\"name\":\"s\","
				       "\"healthChecks\":[\"h\"],\"backends\":"
				       "[{\"group\":\"g1\"},{\"group\":\"g2\"}"
				       "]}]}");
	if (strstr(url, "/getRouterStatus") != NULL)
		return ("{\"result\":{\"bgpPeerStatus\":[{\"name\":\"p\","
			"\"status\":\"UP\",\"advertisedRoutes\":[]}]}}");
	return (strstr(url, "/routers/ra") != NULL ?
		"{\"name\":\"ra\",\"bgpPeers\":[{\"name\":\"p\"}]}" :
		"{\"name\":\"rb\",\"bgpPeers\":[{\"name\":\"p\"}]}");
}

static void
call_over(evutil_socket_t fd, short what, void *arg)
{
	struct http_call *call = arg;
	const struct rule *r = call->rule;
	char body[256];
	struct http_reply reply;

	(void)fd;
	(void)what;
	memset(&reply, 0, sizeof(reply));
	reply.body = "";
	reply.bearer = call->bearer;
	reply.duration = (uint32_t)(now - call->started);
	if (call->late || (r != NULL && r->status == 0)) {
		reply.transport = call->late ? TRANSPORT_TIMEOUT : r->transport;
		snprintf(reply.error, sizeof(reply.error), "h: %s",
		    outcome_text(reply.transport));
	} else {
		reply.answered = true;
		reply.status = r != NULL ? r->status : 200;
		snprintf(body, sizeof(body),
		    "{\"error\":{\"message\":\"m\",\"errors\":[{\"reason\":"
		    "\"r%ld\"}]}}",
		    reply.status);
		reply.body = r == NULL ? good(call->url) :
		    r->body != NULL    ? r->body :
		    r->status == 200   ? good(call->url) :
					 body;
		reply.body_len = strlen(reply.body);
		strlcpy(reply.content_type,
		    r != NULL && r->type != NULL ? r->type : "application/json",
		    sizeof(reply.content_type));
		if (r != NULL && r->retry_after != NULL)
			strlcpy(reply.retry_after, r->retry_after,
			    sizeof(reply.retry_after));
	}
	flying--;
	call->done(&reply, call->arg);
	event_free(call->timer);
	free(call->url);
	free(call);
}

struct http_call *
http_start(const struct http_request *request, http_done done, void *arg)
{
	struct http_call *call;
	struct timeval tv;
	int64_t ms;

	assert_true(ncalls < sizeof(calls) / sizeof(calls[0]));
	strlcpy(calls[ncalls].url, request->url, sizeof(calls[0].url));
	calls[ncalls].timeout = request->timeout;
	calls[ncalls].bucket = request->bucket;
	calls[ncalls].line = request->line;
	calls[ncalls++].at = now - begun;
	call = calloc(1, sizeof(*call));
	assert_non_null(call);
	call->url = strdup(request->url);
	assert_non_null(call->url);
	strlcpy(call->bearer, request->bearer, sizeof(call->bearer));
	call->started = now;
	call->done = done;
	call->arg = arg;
	call->rule = rule_find(call->url);
	ms = call->rule != NULL && call->rule->delay != 0 ? call->rule->delay :
							    LATENCY;
	if (ms == NEVER || ms > request->timeout) {
		call->late = true;
		ms = request->timeout;
	}
	call->timer = evtimer_new(NULL, call_over, call);
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	event_add(call->timer, &tv);
	if (++flying > most_flying)
		most_flying = flying;
	return (call);
}

void
http_cancel(struct http_call *call)
{
	flying--;
	event_free(call->timer);
	free(call->url);
	free(call);
}

/* The token. */

static const char *token;
static int refusals;
static struct event *token_timer;
static void (*waiter)(void *);
static void *waiter_arg;

const char *
token_current(void)
{
	return (token);
}

const char *
token_problem(void)
{
	return ("there is none");
}

void
token_refused(const char *refused)
{
	assert_non_null(refused);
	refusals++;
	token = "second";
}

static void
token_came(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	waiter(waiter_arg);
}

void
token_when_ready(void (*cb)(void *), void *arg)
{
	struct timeval tv = { 0, TOKEN_TIME * 1000 };

	waiter = cb;
	waiter_arg = arg;
	if (token_timer == NULL)
		token_timer = evtimer_new(NULL, token_came, NULL);
	event_add(token_timer, &tv);
}

void
token_forget_waiter(void (*cb)(void *), void *arg)
{
	assert_ptr_equal(cb, waiter);
	assert_ptr_equal(arg, waiter_arg);
	event_del(token_timer);
}

/* The parent. */

struct told {
	struct msg_probe_region region[SIDES];
	struct msg_probe_router router[SIDES];
	struct msg_probe_service service[SIDES];
	struct msg_probe_done done;
	int ndone;
};

static struct told told; /* of the first failover */
static struct told other;

void
child_send(uint32_t type, uint32_t id, const void *data, size_t len)
{
	const struct msg_probe_region *region = data;
	const struct msg_probe_router *router = data;
	const struct msg_probe_service *service = data;
	struct told *to = id == 0 ? &told : &other;

	assert_true(id < TARGETS);
	switch (type) {
	case IMSG_PROBE_REGION:
		to->region[region->side] = *region;
		break;
	case IMSG_PROBE_ROUTER:
		to->router[router->side] = *router;
		break;
	case IMSG_PROBE_SERVICE:
		to->service[service->side] = *service;
		break;
	case IMSG_PROBE_DONE:
		assert_int_equal(len, sizeof(to->done));
		memcpy(&to->done, data, len);
		to->ndone++;
		break;
	default:
		break;
	}
}

/* A cycle. */

static struct target targets[TARGETS]; /* which share all that can be */
static struct config config;

static void
setup_target(struct target *target)
{
	struct msg_conf_probe *probe = &target->probe;

	kept_clear(&target->kept[LOCAL]);
	kept_clear(&target->kept[REMOTE]);
	memset(target, 0, sizeof(*target));
	target->present = true;
	strlcpy(probe->project, "p", sizeof(probe->project));
	strlcpy(probe->router_project, "p", sizeof(probe->router_project));
	strlcpy(probe->region[LOCAL], "a", sizeof(probe->region[0]));
	strlcpy(probe->region[REMOTE], "b", sizeof(probe->region[0]));
	strlcpy(probe->router_region[LOCAL], "a", sizeof(probe->region[0]));
	strlcpy(probe->router_region[REMOTE], "b", sizeof(probe->region[0]));
	strlcpy(probe->router[LOCAL], "ra", sizeof(probe->router[0]));
	strlcpy(probe->router[REMOTE], "rb", sizeof(probe->router[0]));
	probe->require_percent = 100;
	probe->connect_timeout = 5000;
	probe->api_timeout = 30000;
	probe->health_timeout = 45000;
	probe->health_retries = 5;
	probe->bgp_retries = 4;
	probe->backoff_initial = 100;
	probe->backoff_max = 60000;
}

static int
setup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < TARGETS; i++)
		setup_target(&targets[i]);
	memset(&config, 0, sizeof(config));
	strlcpy(config.compute, "https://h", sizeof(config.compute));
	config.target = targets;
	config.ntargets = TARGETS;
	nrules = 0;
	list = NULL;
	percent = 100;
	token = "first";
	refusals = 0;
	return (0);
}

static int
teardown(void **state)
{
	return (setup(state));
}

/* Begin a cycle of a failover. */
static void
look_as(uint32_t id, uint32_t parts, uint32_t share, bool urgent)
{
	struct msg_probe msg;

	memset(&msg, 0, sizeof(msg));
	msg.cycle = 7;
	msg.budget = BUDGET;
	msg.parts = parts;
	msg.share = share;
	msg.urgent = urgent;
	cycle_start(&config, id, &msg);
}

static void
look(uint32_t id, uint32_t parts, uint32_t share)
{
	look_as(id, parts, share, false);
}

static void
begin(uint32_t parts)
{
	memset(&told, 0, sizeof(told));
	memset(&other, 0, sizeof(other));
	ncalls = most_flying = 0;
	begun = now;
	look(0, parts, 0);
	assert_int_equal(told.ndone, 0);
}

static void
cycle(void)
{
	begin(PARTS_ALL);
	run();
	assert_int_equal(told.ndone, 1);
	assert_int_equal(told.done.cycle, 7);
	assert_int_equal(flying, 0);
	assert_true(now - begun <= BUDGET);
}

/* How often that was called; the time of each in at. */
static size_t
called(const char *url, int64_t at[])
{
	size_t i, n;

	for (i = n = 0; i < ncalls; i++) {
		if (strstr(calls[i].url, url) == NULL)
			continue;
		if (at != NULL)
			at[n] = calls[i].at;
		n++;
	}
	return (n);
}

#endif /* PROBER_ROOM_H */
