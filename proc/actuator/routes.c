/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "child.h"
#include "log.h"
#include "pick.h"

/*
 * The Magic Transit routes: list, pick ours by their description, write those
 * that have the wrong priority, list again and compare.  The verbs are GET and
 * PUT; this program has no other.
 */

static void routes_list(struct job *, call_cb);
static void routes_put(struct job *);
static void routes_verify(struct job *, const struct answered *);

static void
routes_forget(struct job *job)
{
	json_decref(job->ours);
	json_decref(job->differing);
	job->ours = job->differing = NULL;
}

static void
routes_report(struct job *job, enum outcome result, const char *error)
{
	job->routes.plan = job->plan.plan;
	job->routes.result = result;
	job->routes.duration = (uint32_t)(http_now() - job->step_started);
	strlcpy(job->routes.error, error, sizeof(job->routes.error));
	if (result == RESULT_SKIPPED)
		strlcpy(job->routes.why, "passive", sizeof(job->routes.why));
	child_send(IMSG_PLAN_ROUTES, job->failover, &job->routes,
	    sizeof(job->routes));
}

static void
routes_fail(struct job *job, const char *step, const char *why)
{
	lock_release(job);
	routes_forget(job);
	routes_report(job, RESULT_FAILURE, why);
	job_fail(job, step, why);
}

static void
routes_done(struct job *job, enum outcome result)
{
	lock_release(job);
	routes_forget(job);
	routes_report(job, result, "");
	job_step_done(job);
}

static json_int_t
routes_priority(const struct job *job)
{
	return (job->plan.cloudflare == STEER_PRIORITY ?
		job->act->conf.priority :
		job->act->conf.failed);
}

/* Pick our routes out of a list that has come. */
static int
routes_pick(struct job *job, const json_t *list, json_t **ours, char *why,
    size_t len)
{
	const struct config *config = job->config;
	struct picker picker = {
		.match = job->act->conf.match,
		.expect = job->act->conf.expect,
	};
	const char **others;
	size_t i;
	int r;

	others = reallocarray(NULL, config->nacts, sizeof(*others));
	if (others == NULL)
		fatal("routes");
	for (i = 0; i < config->nacts; i++)
		if (config->act[i].present && &config->act[i] != job->act &&
		    strcmp(config->account[config->act[i].conf.account].id,
			config->account[job->act->conf.account].id) == 0)
			others[picker.nothers++] = config->act[i].conf.match;
	picker.others = others;
	r = pick_routes(list, &picker, ours, why, len);
	free(others);
	return (r);
}

static void
routes_compare(struct job *job, const struct answered *answered)
{
	char why[REASON_LEN];

	job->routes.http_status = (int32_t)answered->status;
	if (answered->answer != ANSWER_OK) {
		routes_fail(job, "cloudflare list", answered->reason);
		return;
	}
	if (routes_pick(job, answered->json, &job->ours, why, sizeof(why)) ==
	    -1) {
		routes_fail(job, "cloudflare list", why);
		return;
	}
	job->differing = pick_differing(job->ours, routes_priority(job));
	job->routes.matching = (uint32_t)json_array_size(job->ours);
	if (json_array_size(job->differing) == 0)
		routes_done(job, RESULT_NO_CHANGE);
	else if (job->act->conf.passive) {
		job->skipped = true;
		routes_done(job, RESULT_SKIPPED);
	} else
		routes_put(job);
}

static void
routes_put_answered(struct job *job, const struct answered *answered)
{
	if (answered->status != 0)
		job->routes.http_status = (int32_t)answered->status;
	if (answered->answer != ANSWER_OK &&
	    !(answered->sent && !answered->answered)) {
		routes_fail(job, "cloudflare update", answered->reason);
		return;
	}
	/* Without an answer it may have been done: the list will tell. */
	job->changed++;
	job->put += BULK_MAX;
	if (job->put < json_array_size(job->differing))
		routes_put(job);
	else
		routes_list(job, routes_verify);
}

static void
routes_put(struct job *job)
{
	const struct msg_conf_act *conf = &job->act->conf;
	json_t *body;

	plan_steering(job);
	job->deadline = http_now() + conf->cloudflare_bulk_timeout;
	body = pick_bulk(job->differing, job->put, routes_priority(job));
	call_start(job, API_CLOUDFLARE, HTTP_PUT,
	    url_join(job->config->url[API_CLOUDFLARE],
		"/accounts/%s/magic/routes",
		job->config->account[conf->account].id),
	    json_dumps(body, JSON_COMPACT), conf->cloudflare_bulk_timeout,
	    routes_put_answered);
	json_decref(body);
}

/* How many of those that differed do so no more?  Another program may have
 * changed others meanwhile. */
static uint32_t
routes_modified(const struct job *job, const json_t *left)
{
	size_t before = json_array_size(job->differing);
	size_t after = json_array_size(left);

	return ((uint32_t)(after < before ? before - after : 0));
}

/* The list after the update decides, not the update's answer. */
static void
routes_verify(struct job *job, const struct answered *answered)
{
	char why[REASON_LEN];
	json_t *ours, *left;

	if (answered->answer != ANSWER_OK) {
		routes_fail(job, "cloudflare read-back", answered->reason);
		return;
	}
	if (routes_pick(job, answered->json, &ours, why, sizeof(why)) == -1) {
		routes_fail(job, "cloudflare read-back", why);
		return;
	}
	if (!pick_unharmed(job->ours, ours))
		log_errorx("routes matching \"%s\" have lost more than their "
			   "old priority",
		    job->act->conf.match);
	left = pick_differing(ours, routes_priority(job));
	job->routes.modified += routes_modified(job, left);
	if (json_array_size(left) == 0) {
		json_decref(left);
		json_decref(ours);
		routes_done(job, RESULT_SUCCESS);
		return;
	}
	routes_forget(job);
	job->ours = ours;
	job->differing = left;
	job->put = 0;
	if (job->puts_repeated)
		routes_fail(job, "cloudflare read-back",
		    "the routes do not "
		    "have the priority that they were given");
	else {
		job->puts_repeated = true;
		routes_put(job);
	}
}

static void
routes_list(struct job *job, call_cb cb)
{
	const struct msg_conf_act *conf = &job->act->conf;

	job->deadline = http_now() + conf->cloudflare_timeout;
	call_start(job, API_CLOUDFLARE, HTTP_GET,
	    url_join(job->config->url[API_CLOUDFLARE],
		"/accounts/%s/magic/routes",
		job->config->account[conf->account].id),
	    NULL, conf->cloudflare_timeout, cb);
}

static void
routes_locked(struct job *job)
{
	if (job_may_begin(job))
		routes_list(job, routes_compare);
}

/*
 * Step: give our routes the priority that the plan says.  Ends with
 * job_step_done() when a list shows them so, or job_fail().
 */
void
routes_write(struct job *job)
{
	job->routes.desired = (int32_t)routes_priority(job);
	job->put = 0;
	job->puts_repeated = false;
	lock_take(job, job->config->account[job->act->conf.account].id,
	    routes_locked);
}
