/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backoff.h"
#include "child.h"
#include "http.h"
#include "log.h"
#include "prober.h"
#include "token.h"
#include "tally.h"

/*
 * A cycle: all calls for one failover at once, and an end that comes in any
 * case.  What fails for a while only is called again, as often as may be and as
 * there is time for; what has not answered by the end is unknown.
 */

#define ROOM_MIN 100 /* milliseconds that a try needs */

/* A call of a cycle. */
struct call {
	TAILQ_ENTRY(call) entry;
	struct cycle *cycle;
	enum side side;
	enum call_kind kind;
	struct ask *ask;    /* CALL_HEALTH */
	struct asker asker; /* the others */
	char *url;
	struct http_call *http; /* NULL: waits */
	struct event *timer;	/* to be called again; NULL: never had to be */
	bool waiting;		/* for a token */
	bool repeated;		/* with another token */
	unsigned int tries;	/* requests that were sent */
	unsigned int failures;	/* that are no reason to give up */
};

TAILQ_HEAD(cycle_list, cycle);

static struct cycle_list cycles = TAILQ_HEAD_INITIALIZER(cycles);
static struct event_base *base;

static void call_send(struct call *);
static char *call_body(const struct ask *);
static void call_told(struct call *, json_t *);
static void call_done(const struct http_reply *, void *);
static enum answer call_judge(const struct call *, const struct http_reply *,
    json_t **, char *, size_t);
static enum answer call_check(const struct call *, const json_t *, char *,
    size_t);
static bool call_later(struct call *, const struct http_reply *, char *,
    size_t);
static void call_again(evutil_socket_t, short, void *);
static void append(char *, size_t, const char *, ...)
    __attribute__((__format__(__printf__, 3, 4)));
static enum part part_of(enum side, enum call_kind);
static int64_t cycle_left(const struct cycle *);
static void cycle_ask(struct cycle *, uint32_t);
static void call_end(struct call *, json_t *, const char *);
static void call_free(struct call *);
static void cycle_check_end(struct cycle *);
static void token_ready(void *);
static void cycle_event(evutil_socket_t, short, void *);
static void cycle_end(struct cycle *);
static void schedule(struct event *, int64_t);

void
cycle_init(struct event_base *b)
{
	base = b;
	questions_init(base, call_told);
}

/*
 * Begin a cycle: the target of this id in config, which has to stay as it is
 * until the cycle has ended, within the budget that the message gives.  One
 * that still runs ends: nobody waits for it any more.
 */
void
cycle_start(const struct config *config, uint32_t id,
    const struct msg_probe *msg)
{
	struct target *target = &config->target[id];
	struct cycle *cycle;

	if (target->cycle != NULL)
		cycle_end(target->cycle);
	cycle = calloc(1, sizeof(*cycle));
	if (cycle == NULL)
		fatal("%s", __func__);
	cycle->id = id;
	cycle->number = msg->cycle;
	strlcpy(cycle->corr, msg->corr, sizeof(cycle->corr));
	cycle->target = target;
	target->cycle = cycle;
	cycle->compute = config->compute;
	cycle->bucket = config->bucket;
	http_line_init(&cycle->line, msg->urgent != 0);
	cycle->started = http_now();
	cycle->deadline = cycle->started + msg->budget;
	cycle->share = msg->share;
	TAILQ_INIT(&cycle->calls);
	cycle->timer = evtimer_new(base, cycle_event, cycle);
	if (cycle->timer == NULL)
		fatal("%s", __func__);
	schedule(cycle->timer, msg->budget);
	TAILQ_INSERT_TAIL(&cycles, cycle, entry);

	log_setcorr(cycle->corr);
	cycle_ask(cycle, msg->parts);
	log_setcorr("");
	if (TAILQ_EMPTY(&cycle->calls))
		event_active(cycle->timer, EV_TIMEOUT, 0);
}

/* Begin the parts that are asked for; the others say why they are not. */
static void
cycle_ask(struct cycle *cycle, uint32_t parts)
{
	enum side side;

	for (side = LOCAL; side < SIDES; side++) {
		if (parts & PART_BGP)
			router_start(cycle, side);
		else
			router_skip(cycle, side,
			    "circuit breaker gcp_bgp is open");
	}
	for (side = LOCAL; side < SIDES; side++) {
		if (parts & part_of(side, CALL_LIST))
			region_start(cycle, side);
		else
			region_skip(cycle, side,
			    "circuit breaker gcp_health is open");
	}
}

/* End all cycles now, with what they know, and forget what others asked. */
void
cycles_end(void)
{
	struct cycle *cycle;

	while ((cycle = TAILQ_FIRST(&cycles)) != NULL)
		cycle_end(cycle);
	questions_forget();
}

/*
 * Make a call for a cycle, unless another has just asked the same.  The answer
 * goes to where its kind says; url is freed here.
 */
void
cycle_call(struct cycle *cycle, enum side side, enum call_kind kind,
    struct ask *ask, char *url)
{
	struct call *call;

	call = calloc(1, sizeof(*call));
	if (call == NULL)
		fatal("%s", __func__);
	call->cycle = cycle;
	call->side = side;
	call->kind = kind;
	call->ask = ask;
	if (ask != NULL)
		ask->call = call;
	call->url = url;
	cycle->ncalls++;
	TAILQ_INSERT_TAIL(&cycle->calls, call, entry);
	if (ask != NULL ||
	    question_ask(&call->asker, call, call->url, cycle->share,
		cycle->line.urgent))
		call_send(call);
}

/* Give up a call whose answer is of no use: it neither fails nor counts. */
void
cycle_forget_call(struct call *call)
{
	struct cycle *cycle = call->cycle;

	if (call->http != NULL)
		http_cancel(call->http);
	cycle->ncalls--;
	call_free(call);
	cycle_check_end(cycle);
}

/* Count a call that has given no answer that is of use. */
void
cycle_failed_call(struct cycle *cycle, enum side side, enum call_kind kind)
{
	cycle->nfailed++;
	cycle->failed_parts |= part_of(side, kind);
}

/* The part of the cycle that a call belongs to. */
static enum part
part_of(enum side side, enum call_kind kind)
{
	if (kind == CALL_ROUTER || kind == CALL_STATUS)
		return (PART_BGP);
	return (side == LOCAL ? PART_HEALTH_LOCAL : PART_HEALTH_REMOTE);
}

/* Send the call's request, as soon as there is a token to send with it. */
static void
call_send(struct call *call)
{
	const struct msg_conf_probe *probe = &call->cycle->target->probe;
	struct http_request request;
	int64_t left;
	char *body;

	call->waiting = false;
	memset(&request, 0, sizeof(request));
	request.bearer = token_current();
	if (request.bearer == NULL) {
		if (!call->cycle->waiting)
			token_when_ready(token_ready, call->cycle);
		call->cycle->waiting = true;
		call->waiting = true;
		return;
	}
	body = NULL;
	request.called = CALLED_COMPUTE;
	request.url = call->url;
	request.bucket = call->cycle->bucket;
	request.line = &call->cycle->line;
	request.connect_timeout = probe->connect_timeout;
	request.timeout = probe->api_timeout;
	if (call->ask != NULL) {
		body = call_body(call->ask);
		request.method = HTTP_POST;
		request.content_type = "application/json";
		request.body = body;
		request.body_len = strlen(body);
		request.timeout = probe->health_timeout;
	}
	left = cycle_left(call->cycle);
	if (left < 1)
		left = 1;
	if (request.timeout > left)
		request.timeout = (uint32_t)left;
	call->tries++;
	call->http = http_start(&request, call_done, call);
	free(body);
}

/* Milliseconds that a call may take yet: it is to fail before the cycle ends,
 * so that its reason is known and a dead connection is noticed. */
static int64_t
cycle_left(const struct cycle *cycle)
{
	int64_t left;

	left = cycle->deadline - http_now();
	return (left - left / 20);
}

/* The request of regionBackendServices.getHealth; the link needs no escapes,
 * or it would not be here. */
static char *
call_body(const struct ask *ask)
{
	char *body;

	if (asprintf(&body, "{\"group\":\"%s\"}", ask->link) == -1)
		fatal("%s", __func__);
	return (body);
}

/* What came of the call of another that asked the same. */
static void
call_told(struct call *call, json_t *answer)
{
	log_setcorr(call->cycle->corr);
	if (answer != NULL) {
		call->cycle->ncalls--; /* there was none */
		call_end(call, answer, NULL);
	} else
		call_send(call);
	log_setcorr("");
}

static void
call_done(const struct http_reply *reply, void *arg)
{
	struct call *call = arg;
	char why[REASON_LEN];
	enum answer answer;
	json_t *json;

	log_setcorr(call->cycle->corr);
	call->http = NULL;
	answer = call_judge(call, reply, &json, why, sizeof(why));
	if (answer == ANSWER_TOKEN) {
		token_refused(reply->bearer);
		if (!call->repeated) {
			call->repeated = true;
			call_send(call);
			log_setcorr("");
			return;
		}
	}
	question_answer(&call->asker, json);
	if (answer != ANSWER_TRANSIENT ||
	    !call_later(call, reply, why, sizeof(why))) {
		if (answer != ANSWER_OK && call->tries > 1)
			append(why, sizeof(why), " (tried %u times)",
			    call->tries);
		call_end(call, json, why);
	}
	log_setcorr("");
}

/* What came of the call: the answer is in json where all is well, or else NULL
 * with the reason. */
static enum answer
call_judge(const struct call *call, const struct http_reply *reply,
    json_t **json, char *why, size_t len)
{
	enum answer answer;

	*json = NULL;
	answer = outcome_google(reply, why, len);
	if (answer != ANSWER_OK)
		return (answer);
	*json = json_answer(reply->body, reply->body_len, why, len);
	if (*json == NULL)
		return (outcome_content(CONTENT_NOT_JSON, NULL, NULL, 0));
	answer = call_check(call, *json, why, len);
	if (answer != ANSWER_OK) {
		json_decref(*json);
		*json = NULL;
	}
	return (answer);
}

/* Is this what was asked for, and all of it? */
static enum answer
call_check(const struct call *call, const json_t *json, char *why, size_t len)
{
	char what[REASON_LEN];
	const char *wrong;

	wrong = NULL;
	switch (call->kind) {
	case CALL_LIST:
		wrong = services_check(json);
		if (wrong == NULL && services_partial(json, what, sizeof(what)))
			return (
			    outcome_content(CONTENT_PARTIAL, what, why, len));
		break;
	case CALL_HEALTH:
		wrong = health_check(json);
		break;
	case CALL_ROUTER:
		wrong = router_check(json,
		    call->cycle->target->probe.router[call->side]);
		break;
	case CALL_STATUS:
		wrong = status_check(json);
		break;
	}
	if (wrong != NULL)
		return (outcome_content(CONTENT_SHAPE, wrong, why, len));
	return (ANSWER_OK);
}

/*
 * Have the call repeated after a while: as long as the server asks for, or
 * else ever longer.  False: it has been often enough, or there is no time for
 * it in this cycle, which a server that asks for more is named for.
 */
static bool
call_later(struct call *call, const struct http_reply *reply, char *why,
    size_t len)
{
	const struct msg_conf_probe *probe = &call->cycle->target->probe;
	int64_t left, room, wait;
	uint32_t retries;
	bool asked;

	retries = part_of(call->side, call->kind) == PART_BGP ?
	    probe->bgp_retries :
	    probe->health_retries;
	if (call->failures++ >= retries)
		return (false);
	wait = retry_after(reply->retry_after, (int64_t)time(NULL));
	asked = wait > 0;
	if (!asked)
		wait = backoff_wait(probe->backoff_initial, probe->backoff_max,
		    call->failures);
	/* The next try may take as long as this one did. */
	room = reply->duration < ROOM_MIN ? ROOM_MIN : reply->duration;
	left = cycle_left(call->cycle);
	if (wait + room >= left) {
		if (asked)
			append(why, len, " (asks to wait for %lld s)",
			    (long long)(wait + 999) / 1000);
		return (false);
	}
	if (call->timer == NULL)
		call->timer = evtimer_new(base, call_again, call);
	if (call->timer == NULL)
		fatal("%s", __func__);
	schedule(call->timer, wait);
	log_debug("%s: %s; again in %lld ms", call->url, why, (long long)wait);
	return (true);
}

static void
call_again(evutil_socket_t fd, short what, void *arg)
{
	struct call *call = arg;

	(void)fd;
	(void)what;
	log_setcorr(call->cycle->corr);
	call_send(call);
	log_setcorr("");
}

/* Add to a reason, at the cost of its end if need be. */
static void
append(char *text, size_t size, const char *format, ...)
{
	char more[64];
	va_list ap;
	size_t len;

	va_start(ap, format);
	vsnprintf(more, sizeof(more), format, ap);
	va_end(ap);
	len = strlen(text);
	if (len + strlen(more) >= size)
		len = size - strlen(more) - 1;
	strlcpy(text + len, more, size - len);
}

/* The first call that waits for a token.  Others may end with one that does. */
static struct call *
cycle_waiting(const struct cycle *cycle)
{
	struct call *call;

	TAILQ_FOREACH(call, &cycle->calls, entry) {
		/* What has ended is out of the list, unseen by the analyzer:
		 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		if (call->waiting)
			break;
	}
	return (call);
}

/* A token came, or none can be had: those who wait for it go on. */
static void
token_ready(void *arg)
{
	struct cycle *cycle = arg;
	struct call *call;
	char why[REASON_LEN + 32];

	log_setcorr(cycle->corr);
	cycle->waiting = false;
	while ((call = cycle_waiting(cycle)) != NULL) {
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

	if (json == NULL) {
		if (call->kind != CALL_HEALTH)
			cycle_failed_call(cycle, call->side, call->kind);
		log_debug("%s: %s", call->url, why);
	}
	/* Nobody is to give up a call that has ended. */
	if (call->ask != NULL)
		call->ask->call = NULL;
	switch (call->kind) {
	case CALL_LIST:
		region_page(cycle, call->side, json, why);
		break;
	case CALL_HEALTH:
		region_health(cycle, call->side, call->ask, json, why);
		break;
	case CALL_ROUTER:
		router_answer(cycle, call->side, false, json, why);
		break;
	case CALL_STATUS:
		router_answer(cycle, call->side, true, json, why);
		break;
	}
	json_decref(json);
	call_free(call);
	cycle_check_end(cycle);
}

static void
call_free(struct call *call)
{
	TAILQ_REMOVE(&call->cycle->calls, call, entry);
	if (call->ask != NULL)
		call->ask->call = NULL;
	question_leave(&call->asker);
	if (call->timer != NULL)
		event_free(call->timer);
	free(call->url);
	free(call);
}

/* A cycle without calls ends, but from the event loop: its calls are still
 * looked at by whoever called. */
static void
cycle_check_end(struct cycle *cycle)
{
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
	done.failed_parts = cycle->failed_parts;
	child_send(IMSG_PROBE_DONE, cycle->id, &done, sizeof(done));
	tally_send();
	for (side = LOCAL; side < SIDES; side++) {
		region_free(&cycle->region[side]);
		router_free(&cycle->router[side]);
	}
	TAILQ_REMOVE(&cycles, cycle, entry);
	cycle->target->cycle = NULL;
	event_free(cycle->timer);
	free(cycle);
	log_setcorr("");
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
