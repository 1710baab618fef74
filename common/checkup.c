/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkup.h"
#include "child.h"
#include "gcp.h"
#include "log.h"
#include "token.h"
#include "tally.h"

TAILQ_HEAD(checkup_list, checkup);

static struct checkup_list checkups = TAILQ_HEAD_INITIALIZER(checkups);
static struct event_base *base;

static void checkup_event(evutil_socket_t, short, void *);
static void checkup_end(struct checkup *, const char *);
static void check_send(struct check *, const char *bearer);
static void token_ready(void *);

/* To be called once, before anything else here. */
void
checkups_init(struct event_base *b)
{
	base = b;
}

static void
schedule(struct event *ev, int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (evtimer_add(ev, &tv) == -1)
		fatal("%s", __func__);
}

/*
 * Begin the round of that number for a failover: tests are added and call.
 * It ends, and is told of, when all of them have, or when patience, in
 * milliseconds, is over.
 */
struct checkup *
checkup_new(uint32_t id, uint64_t number, int64_t patience)
{
	struct checkup *checkup;

	checkup = calloc(1, sizeof(*checkup));
	if (checkup == NULL)
		fatal("%s", __func__);
	checkup->id = id;
	checkup->number = number;
	checkup->timer = evtimer_new(base, checkup_event, checkup);
	if (checkup->timer == NULL)
		fatal("%s", __func__);
	schedule(checkup->timer, patience);
	TAILQ_INSERT_TAIL(&checkups, checkup, entry);
	return (checkup);
}

/*
 * Add a test of this operation on that subject to the round.  answered is
 * called with the end of each call that is made for it.
 */
struct check *
checkup_add(struct checkup *checkup, enum api api, const char *operation,
    check_answered answered, const char *subject, ...)
{
	struct check *check;
	va_list ap;

	if (checkup->count == CHECKS_MAX)
		fatalx("%s: too many tests", __func__);
	check = &checkup->check[checkup->count++];
	checkup->pending++;
	check->checkup = checkup;
	check->answered = answered;
	check->started = http_now();
	check->msg.test = checkup->number;
	check->msg.api = api;
	strlcpy(check->msg.operation, operation, sizeof(check->msg.operation));
	va_start(ap, subject);
	vsnprintf(check->msg.subject, sizeof(check->msg.subject), subject, ap);
	va_end(ap);
	return (check);
}

/* Something more exact is known of what is tested. */
void
check_subject(struct check *check, const char *subject, ...)
{
	va_list ap;

	va_start(ap, subject);
	vsnprintf(check->msg.subject, sizeof(check->msg.subject), subject, ap);
	va_end(ap);
}

static void
checkup_wait(struct checkup *checkup)
{
	if (!checkup->waiting)
		token_when_ready(token_ready, checkup);
	checkup->waiting = true;
}

/* The first test: is there an access token? */
void
checkup_token(struct checkup *checkup, enum role role)
{
	struct check *check;

	check = checkup_add(checkup, API_COMPUTE, "token", NULL, "%s",
	    role_name(role));
	check->waiting = true;
	checkup_wait(checkup);
}

static void
check_forget(struct check *check)
{
	if (check->http != NULL)
		http_cancel(check->http);
	if (check->timer != NULL)
		event_free(check->timer);
	free(check->url);
	free(check->body);
	check->http = NULL;
	check->timer = NULL;
	check->url = check->body = NULL;
	check->waiting = false;
}

/*
 * The test has ended so.  The text says why it failed or was skipped; of a
 * success it is a remark, or "".
 */
void
check_end(struct check *check, enum outcome result, const char *text, ...)
{
	struct checkup *checkup = check->checkup;
	va_list ap;

	if (check->done)
		return;
	check->done = true;
	check_forget(check);
	check->msg.result = result;
	check->msg.duration = (uint32_t)(http_now() - check->started);
	va_start(ap, text);
	vsnprintf(check->msg.error, sizeof(check->msg.error), text, ap);
	va_end(ap);
	/* The round itself ends from the event loop. */
	if (--checkup->pending == 0 && !checkup->ending)
		event_active(checkup->timer, EV_TIMEOUT, 0);
}

/*
 * Make a call for a test: url and body (NULL: none) are freed here.  Compute
 * is called with the access token, which is waited for, and renewed once, and
 * never with another; bearer is for Cloudflare.
 */
void
check_call(struct check *check, enum http_method method, char *url, char *body,
    const char *bearer, uint32_t timeout)
{
	check_forget(check);
	check->method = method;
	check->url = url;
	check->body = body;
	check->timeout = timeout;
	check_send(check, bearer);
}

static void
check_answer(struct check *check, const struct http_reply *reply)
{
	char why[REASON_LEN];
	enum answer answer;
	json_t *json = NULL;

	answer = check->msg.api == API_COMPUTE ?
	    outcome_google(reply, why, sizeof(why)) :
	    outcome_cloudflare(reply, why, sizeof(why));
	if (answer == ANSWER_TOKEN && check->msg.api == API_COMPUTE) {
		token_refused(reply->bearer);
		if (!check->repeated) {
			check->repeated = true;
			check_send(check, NULL);
			return;
		}
	}
	if (answer == ANSWER_OK)
		json = json_answer(reply->body, reply->body_len, why,
		    sizeof(why));
	if (answer == ANSWER_OK && json == NULL)
		answer = ANSWER_TRANSIENT;
	check->answered(check, answer, json, why);
	json_decref(json);
}

static void
check_done(const struct http_reply *reply, void *arg)
{
	struct check *check = arg;

	check->http = NULL;
	check->msg.http_status = reply->answered ? (int32_t)reply->status : 0;
	if (check->checkup->heard != NULL)
		check->checkup->heard(check, reply);
	check_answer(check, reply);
}

static void
check_send(struct check *check, const char *bearer)
{
	struct http_request request = {
		.method = check->method,
		.called = check->msg.api == API_COMPUTE ? CALLED_COMPUTE :
							  CALLED_CLOUDFLARE,
		.url = check->url,
		.bearer = bearer,
		.connect_timeout = check->checkup->connect_timeout,
		.timeout = check->timeout,
	};

	if (check->msg.api == API_COMPUTE) {
		request.bearer = token_current();
		request.bucket = check->checkup->bucket;
	}
	if (request.bearer == NULL && check->msg.api == API_COMPUTE) {
		check->waiting = true;
		checkup_wait(check->checkup);
		return;
	}
	if (check->body != NULL) {
		request.content_type = "application/json";
		request.body = check->body;
		request.body_len = strlen(check->body);
	}
	check->http = http_start(&request, check_done, check);
}

/* A token came, or none can be had: those that wait for it go on. */
static void
token_ready(void *arg)
{
	struct checkup *checkup = arg;
	struct check *check;
	char why[REASON_LEN + 32];
	size_t i;

	checkup->waiting = false;
	for (i = 0; i < checkup->count; i++) {
		check = &checkup->check[i];
		if (!check->waiting)
			continue;
		check->waiting = false;
		if (token_current() != NULL && check->answered != NULL)
			check_send(check, NULL);
		else if (token_current() != NULL)
			check_end(check, RESULT_SUCCESS, "%s", "");
		else if (check->answered == NULL)
			check_end(check, RESULT_FAILURE, "%s", token_problem());
		else {
			snprintf(why, sizeof(why), "no access token: %s",
			    token_problem());
			check->answered(check, ANSWER_TRANSIENT, NULL, why);
		}
	}
}

static void
check_event(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct check *check = arg;

	check->timer_cb(check);
}

/* Have cb called for the test in so many milliseconds, unless it makes a call
 * or ends before. */
void
check_after(struct check *check, int64_t ms, check_cb cb)
{
	check->timer_cb = cb;
	if (check->timer == NULL)
		check->timer = evtimer_new(base, check_event, check);
	if (check->timer == NULL)
		fatal("%s", __func__);
	schedule(check->timer, ms);
}

static void
checkup_event(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	checkup_end(arg, "no answer in time");
}

/* Tell of all tests, in the order in which they were added, and forget the
 * round; what has not ended yet has failed. */
static void
checkup_end(struct checkup *checkup, const char *why)
{
	struct msg_test done = { .test = checkup->number };
	struct check *check;
	size_t i;

	checkup->ending = true;
	if (checkup->waiting)
		token_forget_waiter(token_ready, checkup);
	for (i = 0; i < checkup->count; i++) {
		check = &checkup->check[i];
		check_end(check, RESULT_FAILURE, "%s",
		    check->waiting ? "no access token in time" : why);
		child_send(IMSG_TESTED, checkup->id, &check->msg,
		    sizeof(check->msg));
	}
	child_send(IMSG_TEST_DONE, checkup->id, &done, sizeof(done));
	tally_send();
	if (checkup->end != NULL)
		checkup->end(checkup);
	TAILQ_REMOVE(&checkups, checkup, entry);
	event_free(checkup->timer);
	free(checkup->more);
	free(checkup);
}

/* End all rounds now: the configuration that they are about is going. */
void
checkups_end(void)
{
	struct checkup *checkup;

	while ((checkup = TAILQ_FIRST(&checkups)) != NULL)
		checkup_end(checkup, "another configuration has come");
}
