/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "child.h"
#include "log.h"
#include "pick.h"
#include "token.h"

/*
 * One call of a job: with a token, repeated once with a new one after a 401,
 * and, if it writes, only if it may.  Every PATCH and PUT of this program goes
 * through may_write().
 */

#define TOKEN_WAIT 2000 /* milliseconds that a new Cloudflare token may take */

static void call_send(struct job *);

static const char *
account_id(const struct job *job)
{
	return (job->config->account[job->act->conf.account].id);
}

/* The number of a job's account in the newest configuration, which has its
 * newest token; -1: it is not there any more. */
static int
account_index(const struct job *job)
{
	const struct config *newest = config_current();
	size_t i;

	for (i = 0; i < newest->naccounts; i++)
		if (strcmp(newest->account[i].id, account_id(job)) == 0)
			return ((int)i);
	return (-1);
}

static bool
begins(const char *text, const char *prefix)
{
	return (strncmp(text, prefix, strlen(prefix)) == 0);
}

/*
 * The last look before a write.  Even if everything else in this program were
 * wrong: not in passive mode, only to this failover's router and account, and
 * nothing but its two prefixes and its routes' two priorities.
 */
static bool
may_write(const struct job *job)
{
	const struct msg_conf_act *conf = &job->act->conf;
	const struct call *call = &job->call;
	char *expected;
	json_t *json;
	bool may;

	json = call->body == NULL ? NULL : json_loads(call->body, 0, NULL);
	if (json == NULL || conf->passive) {
		json_decref(json);
		return (false);
	}
	if (call->method == HTTP_PATCH) {
		expected = url_join(job->config->url[API_COMPUTE],
		    "/projects/%s/regions/%s/routers/%s?requestId=",
		    conf->project, conf->region, conf->router);
		may = begins(call->url, expected) &&
		    merge_only_ours(job->router, &job->targets, json,
			conf->prefix);
	} else {
		expected = url_join(job->config->url[API_CLOUDFLARE],
		    "/accounts/%s/magic/routes", account_id(job));
		may = call->method == HTTP_PUT &&
		    strcmp(call->url, expected) == 0 &&
		    pick_only_ours(json, conf->match, conf->priority,
			conf->failed);
	}
	free(expected);
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
	call->waiting = false;
}

/* The call is over: tell the job. */
static void
call_end(struct job *job, const struct answered *answered)
{
	call_cb cb = job->call.cb;

	call_forget(&job->call);
	cb(job, answered);
}

static void
call_refuse(struct job *job, const char *why)
{
	struct answered answered = { .answer = ANSWER_TRANSIENT };

	strlcpy(answered.reason, why, sizeof(answered.reason));
	call_end(job, &answered);
}

/* A new token has come, or none can be had. */
static void
token_came(void *arg)
{
	struct job *job = arg;

	job->call.waiting = false;
	if (token_current() == NULL)
		call_refuse(job, token_problem());
	else
		call_send(job);
}

static void
token_late(struct job *job)
{
	job->call.waiting = false;
	call_refuse(job, "HTTP 401: Cloudflare refused the token");
}

/*
 * Get a new token for a call that was answered with 401.  False: that has been
 * done, for this call or, at Cloudflare, for this plan.
 */
static bool
call_again(struct job *job, const char *bearer)
{
	int index;

	if (job->call.repeated)
		return (false);
	job->call.repeated = true;
	if (job->call.api == API_COMPUTE) {
		token_refused(bearer);
		call_send(job);
		return (true);
	}
	index = account_index(job);
	if (job->asked_token || index == -1)
		return (false);
	job->asked_token = true;
	job->call.waiting = true;
	child_send(IMSG_CF_REFUSED, (uint32_t)index, NULL, 0);
	job_timer(job, TOKEN_WAIT, token_late);
	return (true);
}

static void
call_done(const struct http_reply *reply, void *arg)
{
	struct job *job = arg;
	struct answered answered = { 0 };
	char why[REASON_LEN];
	json_t *json = NULL;

	job->call.http = NULL;
	log_setcorr(job->plan.corr);
	answered.answer = job->call.api == API_COMPUTE ?
	    outcome_google(reply, answered.reason, sizeof(answered.reason)) :
	    outcome_cloudflare(reply, answered.reason, sizeof(answered.reason));
	if (answered.answer == ANSWER_TOKEN && call_again(job, reply->bearer)) {
		log_setcorr("");
		return;
	}
	if (reply->answered && reply->status / 100 == 2)
		json = json_answer(reply->body, reply->body_len, why,
		    sizeof(why));
	if (answered.answer == ANSWER_OK && json == NULL) {
		answered.answer = ANSWER_TRANSIENT;
		strlcpy(answered.reason, why, sizeof(answered.reason));
	}
	answered.json = json;
	answered.sent = reply->sent;
	/* A success that cannot be read tells nothing of what was done. */
	answered.answered = reply->answered &&
	    (reply->status / 100 != 2 || json != NULL);
	answered.status = reply->answered ? reply->status : 0;
	call_end(job, &answered);
	json_decref(json);
	log_setcorr("");
}

static void
call_send(struct job *job)
{
	struct call *call = &job->call;
	struct http_request request;
	int index = account_index(job);

	memset(&request, 0, sizeof(request));
	if (call->api == API_COMPUTE)
		request.bearer = token_current();
	else if (index != -1)
		request.bearer = config_current()->account[index].token;
	if (request.bearer == NULL) {
		if (call->api == API_CLOUDFLARE) {
			call_refuse(job, "there is no Cloudflare token");
			return;
		}
		call->waiting = true;
		token_when_ready(token_came, job);
		return;
	}
	if (call->method != HTTP_GET && !may_write(job)) {
		log_errorx("refused to write what is not ours: %s", call->url);
		call_refuse(job, "outside of what may be written");
		return;
	}
	request.method = call->method;
	request.url = call->url;
	request.connect_timeout = job->act->conf.connect_timeout;
	request.timeout = call->timeout;
	request.write = true; /* the reads of a write go before others, too */
	if (call->body != NULL) {
		request.content_type = "application/json";
		request.body = call->body;
		request.body_len = strlen(call->body);
	}
	call->http = http_start(&request, call_done, job);
}

/*
 * Make a call: url and body (NULL: none) are freed here; timeout is in
 * milliseconds, and cut to what is left of the step.  cb is told how it ended,
 * exactly once, unless the job is aborted.
 */
void
call_start(struct job *job, enum api api, enum http_method method, char *url,
    char *body, uint32_t timeout, call_cb cb)
{
	struct call *call = &job->call;
	int64_t left = job->deadline - http_now();

	if (left < 1)
		left = 1;
	memset(call, 0, sizeof(*call));
	call->api = api;
	call->method = method;
	call->url = url;
	call->body = body;
	call->timeout = timeout < left ? timeout : (uint32_t)left;
	call->cb = cb;
	call_send(job);
}

/* Give up the call of a job, if there is one; its callback is not called. */
void
call_abort(struct job *job)
{
	if (job->call.http != NULL)
		http_cancel(job->call.http);
	if (job->call.waiting)
		token_forget_waiter(token_came, job);
	call_forget(&job->call);
}

/* The token of an account has come anew: repeat what waits for it. */
void
call_new_token(struct job *job, const char *account)
{
	if (!job->call.waiting || job->call.api != API_CLOUDFLARE ||
	    strcmp(account_id(job), account) != 0)
		return;
	evtimer_del(job->timer);
	job->call.waiting = false;
	call_send(job);
}
