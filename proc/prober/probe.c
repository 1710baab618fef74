/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "http.h"
#include "log.h"
#include "prober.h"
#include "token.h"

/*
 * A cycle: all calls for one failover at once, and an end that comes in any
 * case.  What has not answered by then is unknown.
 */

/* A call of a cycle. */
struct call {
	TAILQ_ENTRY(call) entry;
	struct cycle *cycle;
	enum side side;
	enum call_kind kind;
	struct service *service;
	size_t group;
	char *url;
	struct http_call *http; /* NULL: waits for a token */
	bool repeated;
};

TAILQ_HEAD(cycle_list, cycle);

static struct cycle_list cycles = TAILQ_HEAD_INITIALIZER(cycles);
static struct event_base *base;

static void call_send(struct call *);
static char *call_body(const struct call *);
static void call_done(const struct http_reply *, void *);
static const char *call_check(const struct call *, const json_t *);
static void call_end(struct call *, json_t *, const char *);
static void token_ready(void *);
static void cycle_event(evutil_socket_t, short, void *);
static void cycle_end(struct cycle *);
static bool cycle_running(uint32_t);
static void schedule(struct event *, int64_t);

void
cycle_init(struct event_base *b)
{
	base = b;
}

/*
 * Begin a cycle: the target of this id in config, which has to stay as it is
 * until the cycle has ended, within the budget that the message gives.
 */
void
cycle_start(const struct config *config, uint32_t id,
    const struct msg_probe *msg)
{
	struct cycle *cycle;

	if (cycle_running(id)) {
		log_warnx("%s: the last cycle of failover %u has not ended",
		    __func__, id);
		return;
	}
	cycle = calloc(1, sizeof(*cycle));
	if (cycle == NULL)
		fatal("%s", __func__);
	cycle->id = id;
	cycle->number = msg->cycle;
	strlcpy(cycle->corr, msg->corr, sizeof(cycle->corr));
	cycle->target = &config->target[id];
	cycle->compute = config->compute;
	cycle->started = http_now();
	cycle->deadline = cycle->started + msg->budget;
	TAILQ_INIT(&cycle->calls);
	cycle->timer = evtimer_new(base, cycle_event, cycle);
	if (cycle->timer == NULL)
		fatal("%s", __func__);
	schedule(cycle->timer, msg->budget);
	TAILQ_INSERT_TAIL(&cycles, cycle, entry);

	log_setcorr(cycle->corr);
	router_start(cycle, LOCAL);
	router_start(cycle, REMOTE);
	region_start(cycle, LOCAL);
	region_start(cycle, REMOTE);
	log_setcorr("");
}

/* End all cycles now, with what they know. */
void
cycles_end(void)
{
	struct cycle *cycle;

	while ((cycle = TAILQ_FIRST(&cycles)) != NULL)
		cycle_end(cycle);
}

/*
 * Make a call for a cycle.  Its answer goes to where its kind says; url is
 * freed here.
 */
void
cycle_call(struct cycle *cycle, enum side side, enum call_kind kind,
    struct service *service, size_t group, char *url)
{
	struct call *call;

	call = calloc(1, sizeof(*call));
	if (call == NULL)
		fatal("%s", __func__);
	call->cycle = cycle;
	call->side = side;
	call->kind = kind;
	call->service = service;
	call->group = group;
	call->url = url;
	cycle->ncalls++;
	TAILQ_INSERT_TAIL(&cycle->calls, call, entry);
	call_send(call);
}

/* Count a call that there was no time for. */
void
cycle_lost_call(struct cycle *cycle)
{
	cycle->ncalls++;
	cycle->nfailed++;
}

/* Send the call's request, as soon as there is a token to send with it. */
static void
call_send(struct call *call)
{
	const struct msg_conf_probe *probe = &call->cycle->target->probe;
	struct http_request request;
	int64_t left;
	char *body;

	call->http = NULL;
	memset(&request, 0, sizeof(request));
	request.bearer = token_current();
	if (request.bearer == NULL) {
		if (!call->cycle->waiting)
			token_when_ready(token_ready, call->cycle);
		call->cycle->waiting = true;
		return;
	}
	body = NULL;
	request.url = call->url;
	request.connect_timeout = probe->connect_timeout;
	request.timeout = probe->api_timeout;
	if (call->kind == CALL_HEALTH) {
		body = call_body(call);
		request.method = HTTP_POST;
		request.content_type = "application/json";
		request.body = body;
		request.body_len = strlen(body);
		request.timeout = probe->health_timeout;
	}
	/* The call is to fail before the cycle ends, so that its reason is
	 * known and a dead connection is noticed. */
	left = call->cycle->deadline - http_now();
	left -= left / 20;
	if (left < 1)
		left = 1;
	if (request.timeout > left)
		request.timeout = (uint32_t)left;
	call->http = http_start(&request, call_done, call);
	free(body);
}

/* The request of regionBackendServices.getHealth; the link needs no escapes,
 * or it would not be here. */
static char *
call_body(const struct call *call)
{
	char *body;

	if (asprintf(&body, "{\"group\":\"%s\"}",
		call->service->group[call->group].link) == -1)
		fatal("%s", __func__);
	return (body);
}

static void
call_done(const struct http_reply *reply, void *arg)
{
	struct call *call = arg;
	char why[REASON_LEN];
	const char *wrong;
	enum answer answer;
	json_t *json;

	log_setcorr(call->cycle->corr);
	call->http = NULL;
	answer = outcome_google(reply, why, sizeof(why));
	if (answer == ANSWER_TOKEN) {
		token_refused(reply->bearer);
		if (!call->repeated) {
			call->repeated = true;
			call_send(call);
			log_setcorr("");
			return;
		}
	}
	json = NULL;
	if (answer == ANSWER_OK)
		json = json_answer(reply->body, reply->body_len, why,
		    sizeof(why));
	wrong = json != NULL ? call_check(call, json) : NULL;
	if (wrong != NULL) {
		strlcpy(why, wrong, sizeof(why));
		json_decref(json);
		json = NULL;
	}
	call_end(call, json, why);
	log_setcorr("");
}

/* Is this what was asked for?  Returns what is wrong with it, or NULL. */
static const char *
call_check(const struct call *call, const json_t *json)
{
	switch (call->kind) {
	case CALL_LIST:
		return (services_check(json));
	case CALL_HEALTH:
		return (health_check(json));
	case CALL_ROUTER:
		return (router_check(json,
		    call->cycle->target->probe.router[call->side]));
	case CALL_STATUS:
		return (status_check(json));
	}
	return (NULL);
}

/* A token came, or none can be had: those who wait for it go on. */
static void
token_ready(void *arg)
{
	struct cycle *cycle = arg;
	struct call *call, *next;
	char why[REASON_LEN + 32];

	log_setcorr(cycle->corr);
	cycle->waiting = false;
	/* What is called meanwhile goes to the end of the list. */
	for (call = TAILQ_FIRST(&cycle->calls); call != NULL; call = next) {
		next = TAILQ_NEXT(call, entry);
		if (call->http != NULL)
			continue;
		if (token_current() != NULL) {
			call_send(call);
			continue;
		}
		snprintf(why, sizeof(why), "no access token: %s",
		    token_problem());
		call_end(call, NULL, why);
	}
	log_setcorr("");
}

/* The call has ended, with an answer or, json being NULL, without. */
static void
call_end(struct call *call, json_t *json, const char *why)
{
	struct cycle *cycle = call->cycle;

	TAILQ_REMOVE(&cycle->calls, call, entry);
	if (json == NULL) {
		cycle->nfailed++;
		log_debug("%s: %s", call->url, why);
	}
	switch (call->kind) {
	case CALL_LIST:
		region_page(cycle, call->side, json, why);
		break;
	case CALL_HEALTH:
		region_health(cycle, call->side, call->service, call->group,
		    json, why);
		break;
	case CALL_ROUTER:
		router_answer(cycle, call->side, false, json, why);
		break;
	case CALL_STATUS:
		router_answer(cycle, call->side, true, json, why);
		break;
	}
	json_decref(json);
	free(call->url);
	free(call);
	/* The cycle itself ends from the event loop: its calls are still
	 * looked at by whoever called. */
	if (TAILQ_EMPTY(&cycle->calls) && !cycle->ending)
		event_active(cycle->timer, EV_TIMEOUT, 0);
}

static void
cycle_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	cycle_end(arg);
}

/* Report, and forget the cycle; what is still under way is given up. */
static void
cycle_end(struct cycle *cycle)
{
	struct msg_probe_done done;
	struct call *call;
	enum side side;

	log_setcorr(cycle->corr);
	cycle->ending = true;
	if (cycle->waiting)
		token_forget_waiter(token_ready, cycle);
	while ((call = TAILQ_FIRST(&cycle->calls)) != NULL) {
		/* call_end() takes it out of the list, unseen by the analyzer:
		 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (call->http != NULL)
			http_cancel(call->http);
		call_end(call, NULL, "no answer before the cycle's end");
	}
	for (side = LOCAL; side < SIDES; side++)
		region_send(cycle, side);
	for (side = LOCAL; side < SIDES; side++)
		router_send(cycle, side);
	memset(&done, 0, sizeof(done));
	done.cycle = cycle->number;
	done.duration = (uint32_t)(http_now() - cycle->started);
	done.calls = cycle->ncalls;
	done.failed = cycle->nfailed;
	child_send(IMSG_PROBE_DONE, cycle->id, &done, sizeof(done));
	for (side = LOCAL; side < SIDES; side++) {
		region_free(&cycle->region[side]);
		router_free(&cycle->router[side]);
	}
	TAILQ_REMOVE(&cycles, cycle, entry);
	event_free(cycle->timer);
	free(cycle);
	log_setcorr("");
}

static bool
cycle_running(uint32_t id)
{
	const struct cycle *cycle;

	TAILQ_FOREACH(cycle, &cycles, entry) {
		if (cycle->id == id)
			return (true);
	}
	return (false);
}

static void
schedule(struct event *ev, int64_t ms)
{
	struct timeval tv;

	tv.tv_sec = ms / 1000;
	tv.tv_usec = (ms % 1000) * 1000;
	if (evtimer_add(ev, &tv) == -1)
		fatal("%s", __func__);
}
