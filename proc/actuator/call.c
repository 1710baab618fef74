/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actuator.h"
#include "backoff.h"
#include "child.h"
#include "log.h"
#include "token.h"

/*
 * One call: with a token, repeated once with a new one after a 401, within the
 * account's budget and, if it writes, only if it may.  Every PATCH and PUT of
 * this program goes through may_write(), but for those that store nothing (see
 * rehearse.c).  A read that fails for a reason that passes is repeated; what
 * becomes of a write that fails is up to who made it.
 */

#define TOKEN_WAIT 2000 /* milliseconds that a new Cloudflare token may take */

static void call_send(struct call *);

/* The number of a table's account in the newest configuration, which has its
 * newest token; -1: it is not there any more. */
static int
account_index(const struct table *table)
{
	const struct config *newest = config_current();
	size_t i;

	for (i = 0; i < newest->naccounts; i++)
		if (strcmp(newest->account[i].id, table->id) == 0)
			return ((int)i);
	return (-1);
}

static const char *
corr_of(const struct call *call)
{
	return (call->job != NULL ? call->job->plan.corr : call->table->corr);
}

static bool
begins(const char *text, const char *prefix)
{
	return (strncmp(text, prefix, strlen(prefix)) == 0);
}

static bool
may_patch(const struct job *job, const char *url, const json_t *body)
{
	const struct msg_conf_act *conf = &job->act->conf;
	char *expected;
	bool may;

	expected = url_join(job->config->url[API_COMPUTE],
	    "/projects/%s/regions/%s/routers/%s?requestId=", conf->project,
	    conf->region, conf->router);
	may = !conf->passive && begins(url, expected) &&
	    merge_only_ours(job->router, &job->targets, body, conf->prefix);
	free(expected);
	return (may);
}

static bool
may_put(const struct table *table, const char *url, const json_t *body)
{
	char *expected;
	bool may;

	expected = url_join(table->config->url[API_CLOUDFLARE],
	    "/accounts/%s/magic/routes", table->id);
	may = strcmp(url, expected) == 0 && routes_only_ours(table, body);
	free(expected);
	return (may);
}

/*
 * The last look before a write.  Even if everything else in this program were
 * wrong: not in passive mode, only to the failover's router and account, and
 * nothing but its two prefixes and its routes' two priorities.
 */
static bool
may_write(const struct call *call)
{
	json_t *json;
	bool may = false;

	json = call->body == NULL ? NULL : json_loads(call->body, 0, NULL);
	if (json == NULL)
		return (false);
	if (call->method == HTTP_PATCH && call->job != NULL)
		may = may_patch(call->job, call->url, json);
	else if (call->method == HTTP_PUT && call->table != NULL)
		may = may_put(call->table, call->url, json);
	json_decref(json);
	return (may);
}

static void
call_forget(struct call *call)
{
	free(call->url);
	free(call->body);
	call->url = call->body = NULL;
	call->http = NULL;
	call->waiting = call->resting = false;
}

/* The call is over: tell who made it.  It may be gone after that. */
static void
call_end(struct call *call, const struct answered *answered)
{
	void *who = call->job != NULL ? (void *)call->job : call->table;
	call_cb cb = call->cb;

	call_forget(call);
	if (call->job != NULL)
		job_called(call->job, HALF_ROUTER, answered);
	cb(who, answered);
}

static void
call_refuse(struct call *call, const char *why)
{
	struct answered answered = { .answer = ANSWER_TRANSIENT,
		.refused = true,
		.retry_after = -1 };

	strlcpy(answered.reason, why, sizeof(answered.reason));
	call_end(call, &answered);
}

/*
 * In how many milliseconds may be repeated what has failed so, after as many
 * failures before it?  -1: it may not, or not before the deadline.
 */
int64_t
call_wait(const struct call *call, uint32_t tries, int64_t deadline,
    const struct answered *answered)
{
	int64_t wait;

	if (answered->answer != ANSWER_TRANSIENT || answered->refused ||
	    tries >= call->retries)
		return (-1);
	if (answered->status == 429 && call->table != NULL)
		return (-1); /* the whole account has to wait */
	wait = backoff_wait(call->backoff_initial, call->backoff_max,
	    tries + 1);
	if (wait < answered->retry_after)
		wait = answered->retry_after;
	if (http_now() + wait >= deadline)
		return (-1);
	log_debug("again in %lld ms: %s", (long long)wait, answered->reason);
	return (wait);
}

static void
call_timer(struct call *call, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (evtimer_add(call->timer, &tv) == -1)
		fatalx("evtimer_add");
}

/* Will the read that has failed so be repeated? */
static bool
call_repeat(struct call *call, const struct answered *answered)
{
	int64_t wait;

	if (call->method != HTTP_GET)
		return (false);
	wait = call_wait(call, call->tries, call->deadline, answered);
	if (wait == -1)
		return (false);
	call->tries++;
	call->resting = true;
	call_timer(call, wait);
	return (true);
}

/* A new token has come, or none can be had. */
static void
token_came(void *arg)
{
	struct call *call = arg;

	call->waiting = false;
	if (token_current() == NULL)
		call_refuse(call, token_problem());
	else
		call_send(call);
}

/* A rest is over, or no token has come in time. */
static void
call_event(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct call *call = arg;

	log_setcorr(corr_of(call));
	if (call->resting) {
		call->resting = false;
		call_send(call);
	} else {
		call->waiting = false;
		call_refuse(call, "HTTP 401: Cloudflare refused the token");
	}
	log_setcorr("");
}

/*
 * Get a new token for a call that was answered with 401.  False: that has been
 * done, for this call or, at Cloudflare, for all that belongs to it.
 */
static bool
call_again(struct call *call, const char *bearer)
{
	int index;

	if (call->repeated)
		return (false);
	call->repeated = true;
	if (call->job != NULL) {
		token_refused(bearer);
		call_send(call);
		return (true);
	}
	index = account_index(call->table);
	if (call->asked_token || index == -1)
		return (false);
	call->asked_token = true;
	call->waiting = true;
	child_send(IMSG_CF_REFUSED, (uint32_t)index, NULL, 0);
	call_timer(call, TOKEN_WAIT);
	return (true);
}

static void
call_done(const struct http_reply *reply, void *arg)
{
	struct call *call = arg;
	struct answered answered = { 0 };
	char why[REASON_LEN];

	call->http = NULL;
	log_setcorr(corr_of(call));
	answered.status = reply->answered ? reply->status : 0;
	answered.retry_after = retry_after(reply->retry_after, time(NULL));
	if (call->table != NULL)
		budget_answer(&call->table->budget, http_now(), answered.status,
		    answered.retry_after, reply->ratelimit);
	answered.answer = call->job != NULL ?
	    outcome_google(reply, answered.reason, sizeof(answered.reason)) :
	    outcome_cloudflare(reply, answered.reason, sizeof(answered.reason));
	if (answered.answer == ANSWER_TOKEN &&
	    call_again(call, reply->bearer)) {
		log_setcorr("");
		return;
	}
	if (reply->answered && reply->status / 100 == 2)
		answered.json = json_answer(reply->body, reply->body_len, why,
		    sizeof(why));
	if (answered.answer == ANSWER_OK && answered.json == NULL) {
		answered.answer = ANSWER_TRANSIENT;
		strlcpy(answered.reason, why, sizeof(answered.reason));
	}
	answered.sent = reply->sent;
	/* A success that is none tells nothing of what was done, unless
	 * Cloudflare itself says that it is none. */
	answered.answered = reply->answered &&
	    (reply->status / 100 != 2 || answered.answer == ANSWER_OK ||
		(call->table != NULL && answered.json != NULL));
	if (!call_repeat(call, &answered))
		call_end(call, &answered);
	json_decref(answered.json);
	log_setcorr("");
}

/* The same on the clock of people. */
static void
clock_text(int64_t when, char *text, size_t len)
{
	time_t at = time(NULL) + (when - http_now() + 999) / 1000;
	struct tm tm;

	*text = '\0';
	if (gmtime_r(&at, &tm) != NULL)
		strftime(text, len, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Take a call to Cloudflare out of its account's budget, or refuse it. */
static bool
call_afford(struct call *call)
{
	static const char *const text[] = {
		[BUDGET_SPENT] = "600 calls in 300 s have been made",
		[BUDGET_RESERVE] =
		    "the rest of 600 calls in 300 s is for writes",
		[BUDGET_LEFT] = "Cloudflare says that no calls are left",
		[BUDGET_STOPPED] = "Cloudflare has answered HTTP 429",
	};
	struct budget *budget = &call->table->budget;
	char why[REASON_LEN], when[32];
	enum budget_why may;
	int64_t until;

	may = budget_ask(budget, http_now(), call->look, &until);
	if (may == BUDGET_MAY) {
		budget_spend(budget, http_now());
		return (true);
	}
	clock_text(until, when, sizeof(when));
	snprintf(why, sizeof(why), "%s: account %s is not called until %s",
	    text[may], call->table->id, when);
	call_refuse(call, why);
	return (false);
}

/* The token for the call; NULL: it waits for one, or has been refused. */
static const char *
call_bearer(struct call *call)
{
	const char *bearer = NULL;
	int index;

	if (call->job != NULL) {
		bearer = token_current();
		if (bearer == NULL) {
			call->waiting = true;
			token_when_ready(token_came, call);
		}
		return (bearer);
	}
	index = account_index(call->table);
	if (index != -1)
		bearer = config_current()->account[index].token;
	if (bearer == NULL)
		call_refuse(call, "there is no Cloudflare token");
	return (bearer);
}

static void
call_send(struct call *call)
{
	struct http_request request;
	int64_t left;

	memset(&request, 0, sizeof(request));
	request.bearer = call_bearer(call);
	if (request.bearer == NULL)
		return;
	if (call->method != HTTP_GET && !may_write(call)) {
		log_errorx("refused to write what is not ours: %s", call->url);
		call_refuse(call, "outside of what may be written");
		return;
	}
	if (call->table != NULL && !call_afford(call))
		return;
	left = call->deadline - http_now();
	if (left < 1)
		left = 1;
	request.method = call->method;
	request.called = call->job != NULL ? CALLED_COMPUTE : CALLED_CLOUDFLARE;
	request.url = call->url;
	request.connect_timeout = call->connect_timeout;
	request.timeout = call->timeout < left ? call->timeout : (uint32_t)left;
	request.write = true; /* the reads of a write go before others, too */
	if (call->job != NULL)
		request.bucket = config_bucket();
	if (call->body != NULL) {
		request.content_type = "application/json";
		request.body = call->body;
		request.body_len = strlen(call->body);
	}
	call->http = http_start(&request, call_done, call);
}

/* Prepare for the calls of a job, or of a table. */
void
call_init(struct call *call, struct job *job, struct table *table)
{
	call->job = job;
	call->table = table;
	call->timer = evtimer_new(base, call_event, call);
	if (call->timer == NULL)
		fatalx("evtimer_new");
}

/*
 * Make a call: url and body (NULL: none) are freed here; timeout is in
 * milliseconds, and cut to what is left until the deadline.  cb is told how it
 * ended, exactly once, unless the call is aborted.
 */
void
call_start(struct call *call, enum http_method method, char *url, char *body,
    uint32_t timeout, int64_t deadline, call_cb cb)
{
	call->method = method;
	call->url = url;
	call->body = body;
	call->repeated = false;
	call->tries = 0;
	call->timeout = timeout;
	call->deadline = deadline;
	call->cb = cb;
	call_send(call);
}

/* Give up the call, if there is one; its callback is not called. */
void
call_abort(struct call *call)
{
	if (call->http != NULL)
		http_cancel(call->http);
	if (call->waiting && call->job != NULL)
		token_forget_waiter(token_came, call);
	evtimer_del(call->timer);
	call_forget(call);
}

void
call_free(struct call *call)
{
	call_abort(call);
	event_free(call->timer);
}

/* A new token of a table's account has come: repeat what waits for it. */
void
call_new_token(struct call *call)
{
	if (!call->waiting)
		return;
	evtimer_del(call->timer);
	call->waiting = false;
	call_send(call);
}
