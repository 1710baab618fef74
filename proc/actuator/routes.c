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
 * The Magic Transit routes of a failover: picked out of its account's list by
 * their description, compared, and judged again by the list after an update.
 * The verbs are GET and PUT; this program has no other.
 */

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
	routes_forget(job);
	routes_report(job, RESULT_FAILURE, why);
	job_fail(job, step, why);
}

static void
routes_done(struct job *job, enum outcome result)
{
	account_leave(job);
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

/* How many of those that differed do so no more?  Another program may have
 * changed others meanwhile. */
static uint32_t
routes_modified(const struct job *job, const json_t *left)
{
	size_t before = json_array_size(job->differing);
	size_t after = json_array_size(left);

	return ((uint32_t)(after < before ? before - after : 0));
}

/* What the list shows, and what is still to be written. */
static void
routes_found(struct job *job, json_t *ours)
{
	int64_t age = http_now() - job->table->listed;
	json_t *differing = pick_differing(ours, routes_priority(job));

	if (job->put_made) {
		job->routes.modified += routes_modified(job, differing);
		if (!pick_unharmed(job->ours, ours))
			log_errorx("routes matching \"%s\" have lost more than "
				   "their old priority",
			    job->act->conf.match);
	}
	routes_forget(job);
	job->ours = ours;
	job->differing = differing;
	job->put = 0;
	job->routes.age = (uint32_t)age;
	job->routes.matching = (uint32_t)json_array_size(ours);
}

/*
 * A list has come for the job's batch.  The list decides, not the answer of an
 * update: the job leaves the batch if it is done, one way or the other, and is
 * in it still if there is something to write.
 */
void
routes_judge(struct job *job, json_t *list, long status)
{
	const char *step = job->put_made ? "cloudflare read-back" :
					   "cloudflare list";
	char why[REASON_LEN];
	json_t *ours;

	job->routes.http_status = (int32_t)status;
	if (routes_pick(job, list, &ours, why, sizeof(why)) == -1) {
		routes_fail(job, step, why);
		return;
	}
	routes_found(job, ours);
	if (json_array_size(job->differing) == 0)
		routes_done(job,
		    job->put_made ? RESULT_SUCCESS : RESULT_NO_CHANGE);
	else if (job->act->conf.passive) {
		job->skipped = true;
		routes_done(job, RESULT_SKIPPED);
	} else if (!job->put_made)
		(void)job_may_begin(job); /* not any more, perhaps */
	else if (job->put_repeated && !job->put_failed) {
		if (job->put_lost)
			job->failed_at |= HALF_ROUTES;
		routes_fail(job, step,
		    "the routes do not have the priority that they were given");
	} else
		job->put_repeated = job->put_repeated || !job->put_failed;
}

/*
 * Is a list that was made for others enough for a job that only looks?  It is
 * if all is as it should be; then the step is done.
 */
bool
routes_older(struct job *job, json_t *list)
{
	char why[REASON_LEN];
	json_t *ours;

	job->fresh = true;
	if (routes_pick(job, list, &ours, why, sizeof(why)) == -1)
		return (false);
	routes_found(job, ours);
	if (json_array_size(job->differing) > 0)
		return (false);
	job->older = true;
	routes_done(job, RESULT_NO_CHANGE);
	return (true);
}

/* Add what the job has still to write to an update, as far as it fits. */
void
routes_add(struct job *job, json_t *routes)
{
	job->in_put = pick_add(routes, job->differing, job->put,
	    routes_priority(job));
	if (job->in_put == 0)
		return;
	job->put_failed = false;
	plan_steering(job);
}

/* An update with routes of the job was carried out, or may have been. */
void
routes_sent(struct job *job, const struct answered *answered)
{
	if (answered->status != 0)
		job->routes.http_status = (int32_t)answered->status;
	job->changed++;
	job->put += job->in_put;
	job->in_put = 0;
	job->put_made = true;
	job->put_lost = answered->answer != ANSWER_OK;
}

/* One has failed, and will be tried again.  What an error of the server leaves
 * behind is not known. */
void
routes_put_failed(struct job *job, const struct answered *answered)
{
	job->in_put = 0;
	job->put_failed = true;
	if (answered->answered && answered->status / 100 != 4)
		job->put_made = true;
}

/* A call that was made for the job has failed. */
void
routes_failed(struct job *job, const struct answered *answered)
{
	const char *step = job->in_put > 0 ? "cloudflare update" :
	    job->put_made		   ? "cloudflare read-back" :
					     "cloudflare list";

	if (answered->status != 0)
		job->routes.http_status = (int32_t)answered->status;
	job->failed_at |= HALF_ROUTES;
	routes_fail(job, step, answered->reason);
}

/*
 * The last look before an update: is every route in it one of a failover of
 * the batch, and of no other of the account?
 */
bool
routes_only_ours(const struct table *table, const json_t *body)
{
	const struct config *config = table->config;
	const struct msg_conf_act *conf;
	struct pick_owner *owner;
	const struct job *job;
	bool may;
	size_t i;

	owner = calloc(config->nacts, sizeof(*owner));
	if (owner == NULL)
		fatal("routes");
	for (i = 0; i < config->nacts; i++) {
		conf = &config->act[i].conf;
		if (!config->act[i].present ||
		    strcmp(config->account[conf->account].id, table->id) != 0)
			continue;
		owner[i].match = conf->match;
		owner[i].priority = conf->priority;
		owner[i].failed = conf->failed;
	}
	TAILQ_FOREACH(job, &table->batch, table_entry)
		owner[job->failover].may = !job->act->conf.passive;
	may = pick_only_ours(body, owner, config->nacts);
	free(owner);
	return (may);
}

/*
 * Step: give our routes the priority that the plan says.  Ends with
 * job_step_done() when a list shows them so, or job_fail().
 */
void
routes_write(struct job *job)
{
	char why[REASON_LEN];

	routes_forget(job);
	job->routes.desired = (int32_t)routes_priority(job);
	job->routes.modified = 0;
	job->put = job->in_put = 0;
	job->put_made = job->put_lost = false;
	job->put_failed = job->put_repeated = false;
	if (job_blocked(job, HALF_ROUTES, why, sizeof(why)))
		routes_fail(job, "cloudflare list", why);
	else
		account_enter(job);
}
