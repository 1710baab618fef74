/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "child.h"
#include "log.h"
#include "tally.h"

/*
 * A plan, step by step.  Where the routes are to get the normal priority, the
 * router comes first, until the peers have been told; where they are to get
 * the failed one, what is missing is announced, then Cloudflare is written,
 * and what is to be withdrawn goes last, after the traffic has drained.  A
 * step that fails stops the rest.
 */

static void step_router(struct job *);
static void step_advertise(struct job *);
static void step_effect(struct job *);
static void step_report(struct job *);
static void step_routes(struct job *);
static void step_look(struct job *);
static void step_sure(struct job *);
static void step_drain(struct job *);
static void step_withdraw(struct job *);

static const job_cb to_priority[] = { step_router, step_effect, step_report,
	step_routes, NULL };
static const job_cb to_failed[] = { step_advertise, step_routes, step_look,
	step_sure, step_drain, step_withdraw, step_effect, step_report, NULL };

/* A failover: the plan that runs, and the one that will replace it. */
struct slot {
	struct job *job;
	bool waits;
	struct msg_plan next;
	bool next_held;
	bool steered; /* the routes have the failed priority, and nobody of us
			 has written them since steered_at */
	int64_t steered_at;
	bool told; /* of a status that does not say enough */
};

static struct slot *slots;
static size_t nslots;
static void (*finished)(void); /* to be told when no job is left */
static struct event *finished_timer;

static void job_next(struct job *);
static void plan_begin(uint32_t failover, const struct msg_plan *, bool held);
static void plans_check_finished(void);

static struct slot *
slot_get(uint32_t failover)
{
	struct slot *bigger;

	if (failover >= nslots) {
		bigger = recallocarray(slots, nslots, 2 * (size_t)failover + 1,
		    sizeof(*slots));
		if (bigger == NULL)
			fatal("slots");
		slots = bigger;
		nslots = 2 * (size_t)failover + 1;
	}
	return (&slots[failover]);
}

static const job_cb *
job_steps(const struct job *job)
{
	return (job->plan.cloudflare == STEER_FAILED ? to_failed : to_priority);
}

static void
on_timer(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct job *job = arg;

	log_setcorr(job->plan.corr);
	job->timer_cb(job);
	log_setcorr("");
}

/* Call cb in so many milliseconds; a job has one timer. */
void
job_timer(struct job *job, int64_t ms, job_cb cb)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	job->timer_cb = cb;
	if (evtimer_add(job->timer, &tv) == -1)
		fatalx("evtimer_add");
}

static void
send_done(uint32_t failover, const struct msg_plan *plan,
    enum plan_status status, const struct job *job, const char *step,
    const char *error)
{
	struct msg_plan_done msg;

	memset(&msg, 0, sizeof(msg));
	msg.plan = plan->plan;
	msg.status = status;
	if (job != NULL) {
		msg.changed = job->changed;
		msg.duration = (uint32_t)(http_now() - job->started);
		msg.failed_at = job->failed_at;
		msg.reached = job->good & ~(job->failed_at | job->lost);
	}
	strlcpy(msg.step, step, sizeof(msg.step));
	strlcpy(msg.error, error, sizeof(msg.error));
	child_send(IMSG_PLAN_DONE, failover, &msg, sizeof(msg));
	tally_send();
}

/* Refuse a plan that is outside of what we may do. */
void
plan_refuse(uint32_t failover, const struct msg_plan *plan, const char *why)
{
	log_errorx("refused a plan: %s", why);
	send_done(failover, plan, PLAN_REFUSED, NULL, "allow-list", why);
}

/* Tell what became of one prefix, once. */
void
plan_report_prefix(struct job *job, enum which which, enum outcome result,
    const char *error)
{
	struct prefix_result *prefix = &job->prefix[which];
	struct msg_plan_advert *msg = &prefix->msg;

	if (prefix->reported)
		return;
	prefix->reported = true;
	msg->plan = job->plan.plan;
	msg->which = which;
	msg->advertise = job->plan.prefix[which] == ADVERT_ADVERTISE;
	msg->result = result;
	msg->effect = prefix->effect;
	strlcpy(msg->error, error, sizeof(msg->error));
	if (result == RESULT_SKIPPED)
		strlcpy(msg->why, "passive", sizeof(msg->why));
	child_send(IMSG_PLAN_ADVERT, job->failover, msg, sizeof(*msg));
}

/* Tell of the prefixes that nobody has been told of yet, but not of those
 * whose turn has not come. */
static void
report_prefixes(struct job *job)
{
	struct prefix_result *result;
	int p;

	for (p = 0; p < PREFIXES; p++) {
		result = &job->prefix[p];
		if (result->effect == V_NO) /* the wait was cut short */
			result->effect = V_UNKNOWN;
		if (result->written)
			plan_report_prefix(job, (enum which)p, RESULT_SUCCESS,
			    "");
		else if (result->changed && job->act->conf.passive)
			plan_report_prefix(job, (enum which)p, RESULT_SKIPPED,
			    "");
		else if (result->looked && !result->changed)
			plan_report_prefix(job, (enum which)p, RESULT_NO_CHANGE,
			    "");
	}
}

static void
job_end(struct job *job, enum plan_status status, const char *step,
    const char *error)
{
	struct slot *slot = slot_get(job->failover);
	uint32_t failover = job->failover;

	report_prefixes(job);
	if (job->config != config_current())
		slot->steered = false; /* may be of another failover now */
	send_done(failover, &job->plan, status, job, step, error);
	lock_release(job);
	account_leave(job);
	call_free(&job->call);
	event_free(job->timer);
	json_decref(job->router);
	json_decref(job->patch);
	json_decref(job->ours);
	json_decref(job->differing);
	config_release(job->config);
	free(job);
	slot->job = NULL;
	log_setcorr("");
	if (actuator_stopping())
		plans_stop();
	else if (slot->waits) {
		slot->waits = false;
		plan_begin(failover, &slot->next, slot->next_held);
	}
	plans_check_finished();
}

/* The step has failed: nothing after it is done. */
void
job_fail(struct job *job, const char *step, const char *why)
{
	job_end(job, PLAN_FAILED, step, why);
}

/* Must that half not be called?  Then why says so. */
bool
job_blocked(const struct job *job, enum half half, char *why, size_t len)
{
	if (!(job->plan.blocked & half))
		return (false);
	snprintf(why, len, "circuit breaker %s is open",
	    half == HALF_ROUTER ? "gcp_local_advertisement" : "cloudflare");
	return (true);
}

/* A call for that half has ended. */
void
job_called(struct job *job, enum half half, const struct answered *answered)
{
	if (answered->answer == ANSWER_OK)
		job->good |= half;
	else if (answered->sent && !answered->answered)
		job->lost |= half;
}

/* The step is done: on to the next. */
void
job_step_done(struct job *job)
{
	job->step++;
	job_next(job);
}

/*
 * A step that had to wait for its turn begins; or not, if it may not any more.
 * Then it gives its turn away, and begins anew when it may.
 */
bool
job_may_begin(struct job *job)
{
	if (!job->superseded && !job->held && !actuator_stopping())
		return (true);
	lock_release(job);
	account_leave(job);
	job_next(job);
	return (false);
}

static void
job_next(struct job *job)
{
	const job_cb *steps = job_steps(job);

	if (steps[job->step] == NULL) {
		job_end(job, job->skipped ? PLAN_SKIPPED : PLAN_DONE, "", "");
		return;
	}
	if (job->superseded) {
		job_end(job, PLAN_SUPERSEDED, "", "");
		return;
	}
	job->paused = job->held || actuator_stopping();
	if (job->paused) {
		if (actuator_stopping())
			plans_stop();
		return;
	}
	job->step_started = http_now();
	steps[job->step](job);
}

/* One kind of advertisement of the plan, the other kept as it is; or both. */
static void
only(const struct job *job, enum advert one, enum advert other,
    enum advert advert[PREFIXES])
{
	int p;

	for (p = 0; p < PREFIXES; p++)
		advert[p] = job->plan.prefix[p] == (int32_t)one ||
			job->plan.prefix[p] == (int32_t)other ?
		    (enum advert)job->plan.prefix[p] :
		    ADVERT_KEEP;
}

static bool
nothing(const enum advert advert[PREFIXES])
{
	return (
	    advert[PRIMARY] == ADVERT_KEEP && advert[SECONDARY] == ADVERT_KEEP);
}

static void
step_router(struct job *job)
{
	enum advert advert[PREFIXES];

	only(job, ADVERT_ADVERTISE, ADVERT_WITHDRAW, advert);
	if (nothing(advert))
		job_step_done(job);
	else
		router_write(job, advert);
}

static void
step_advertise(struct job *job)
{
	enum advert advert[PREFIXES];

	only(job, ADVERT_ADVERTISE, ADVERT_ADVERTISE, advert);
	if (nothing(advert))
		job_step_done(job);
	else
		router_write(job, advert);
}

static void
step_effect(struct job *job)
{
	enum advert advert[PREFIXES];

	only(job, ADVERT_ADVERTISE, ADVERT_WITHDRAW, advert);
	if (nothing(advert) || job->act->conf.passive)
		job_step_done(job);
	else
		router_effect(job, advert);
}

static void
step_report(struct job *job)
{
	report_prefixes(job);
	job_step_done(job);
}

static void
step_routes(struct job *job)
{
	if (job->plan.cloudflare == STEER_KEEP)
		job_step_done(job);
	else
		routes_write(job);
}

/* The routes have been seen with the failed priority. */
static void
note_steered(const struct job *job)
{
	struct slot *slot = slot_get(job->failover);

	if (slot->steered)
		return;
	slot->steered = true;
	slot->steered_at = http_now();
}

/* Is there anything to withdraw?  If not, nothing has to drain. */
static void
step_look(struct job *job)
{
	enum advert advert[PREFIXES];

	note_steered(job);
	only(job, ADVERT_WITHDRAW, ADVERT_WITHDRAW, advert);
	if (nothing(advert))
		job_step_done(job);
	else
		router_look(job, advert);
}

static bool
withdraws(const struct job *job)
{
	int p;

	for (p = 0; p < PREFIXES; p++)
		if (job->plan.prefix[p] == ADVERT_WITHDRAW &&
		    job->prefix[p].changed)
			return (true);
	return (false);
}

/* What an older list says of the routes is not enough to withdraw. */
static void
step_sure(struct job *job)
{
	if (job->older && withdraws(job))
		routes_write(job);
	else
		job_step_done(job);
}

/* The traffic that was on its way when the routes changed still arrives. */
static void
step_drain(struct job *job)
{
	const struct slot *slot = slot_get(job->failover);
	int64_t left;

	note_steered(job);
	left = slot->steered_at + job->act->conf.drain - http_now();
	if (left <= 0 || !withdraws(job) || job->act->conf.passive)
		job_step_done(job);
	else
		job_timer(job, left, job_step_done);
}

static void
step_withdraw(struct job *job)
{
	enum advert advert[PREFIXES];

	only(job, ADVERT_WITHDRAW, ADVERT_WITHDRAW, advert);
	if (!withdraws(job))
		job_step_done(job);
	else
		router_write(job, advert);
}

/* Does the job do nothing that has to be finished?  A newer plan, or the end,
 * need not sit out what it waits for.  Before a read is repeated that is so if
 * nothing of the step has been written. */
static bool
job_idle(const struct job *job)
{
	const job_cb step = job_steps(job)[job->step];

	return (job->paused || lock_waits(job) || account_waits(job) ||
	    job->resting || step == step_drain || step == step_effect ||
	    (job->call.resting && job->request_id[0] == '\0'));
}

static void
plan_begin(uint32_t failover, const struct msg_plan *plan, bool held)
{
	struct slot *slot = slot_get(failover);
	struct config *config = config_current();
	struct job *job;

	if (config_act(failover) == NULL) { /* gone while the plan waited */
		plan_refuse(failover, plan, "the failover is not known here");
		return;
	}
	if (plan->cloudflare != STEER_FAILED)
		slot->steered = false;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		fatal("plan");
	job->config = config;
	config->refs++;
	job->act = &config->act[failover];
	job->failover = failover;
	job->plan = *plan;
	job->held = held;
	job->started = http_now();
	job->prefix[PRIMARY].effect = job->prefix[SECONDARY].effect = V_UNKNOWN;
	job->timer = evtimer_new(base, on_timer, job);
	if (job->timer == NULL)
		fatalx("evtimer_new");
	call_init(&job->call, job, NULL);
	job->call.connect_timeout = job->act->conf.connect_timeout;
	job->call.retries = job->act->conf.bgp_retries;
	job->call.backoff_initial = job->act->conf.backoff_initial;
	job->call.backoff_max = job->act->conf.backoff_max;
	slot->job = job;
	log_setcorr(job->plan.corr);
	job_next(job);
	log_setcorr("");
}

/*
 * Begin a plan.  One that runs for the same failover is replaced: a write in
 * flight is finished, no other step is begun.
 */
void
plan_start(uint32_t failover, const struct msg_plan *plan)
{
	struct slot *slot = slot_get(failover);

	if (slot->job == NULL) {
		plan_begin(failover, plan, false);
		return;
	}
	if (slot->waits)
		send_done(failover, &slot->next, PLAN_SUPERSEDED, NULL, "", "");
	slot->waits = true;
	slot->next = *plan;
	slot->next_held = false;
	slot->job->superseded = true;
	if (job_idle(slot->job))
		job_end(slot->job, PLAN_SUPERSEDED, "", "");
}

/* The parent lets the plan go on, or holds it before its next step. */
void
plan_permit(uint32_t failover, const struct msg_permit *permit)
{
	struct slot *slot;
	struct job *job;

	if (failover >= nslots)
		return;
	slot = &slots[failover];
	job = slot->job;
	if (slot->waits && slot->next.plan == permit->plan)
		slot->next_held = !permit->proceed;
	if (job == NULL || job->plan.plan != permit->plan)
		return;
	job->held = !permit->proceed;
	if (job->paused && !job->held)
		job_next(job);
}

/* The routes of the job's failover are about to be written. */
void
plan_steering(const struct job *job)
{
	slot_get(job->failover)->steered = false;
}

/* With another configuration a failover may have another number. */
void
plans_forget_steering(void)
{
	size_t i;

	for (i = 0; i < nslots; i++)
		slots[i].steered = false;
}

/* True once for each failover: something that is said once. */
bool
plan_is_first(const struct job *job)
{
	struct slot *slot = slot_get(job->failover);
	bool first = !slot->told;

	slot->told = true;
	return (first);
}

/* From the event loop: whoever ended the last job is still at it. */
static void
tell_finished(evutil_socket_t fd __unused, short what __unused,
    void *arg __unused)
{
	void (*cb)(void) = finished;

	finished = NULL;
	cb();
}

static void
plans_check_finished(void)
{
	static const struct timeval now = { 0, 0 };
	size_t i;

	if (finished == NULL)
		return;
	for (i = 0; i < nslots; i++)
		if (slots[i].job != NULL)
			return;
	if (finished_timer == NULL)
		finished_timer = evtimer_new(base, tell_finished, NULL);
	if (finished_timer == NULL || evtimer_add(finished_timer, &now) == -1)
		fatalx("evtimer_add");
}

/*
 * Bring all plans to an end: what is in flight is finished, no other step is
 * begun.  cb is called once, later, when there is none left; no plan may be
 * started until then.
 */
void
plans_finish(void (*cb)(void))
{
	struct slot *slot;
	size_t i;

	for (i = 0; i < nslots; i++) {
		slot = &slots[i];
		if (slot->waits)
			send_done((uint32_t)i, &slot->next, PLAN_SUPERSEDED,
			    NULL, "", "");
		slot->waits = false;
		if (slot->job == NULL)
			continue;
		slot->job->superseded = true;
		if (job_idle(slot->job))
			job_end(slot->job, PLAN_SUPERSEDED, "", "");
	}
	finished = cb;
	plans_check_finished();
}

/* Exit as soon as nothing is in flight that has to be finished, having told
 * what was written. */
void
plans_stop(void)
{
	size_t i;

	for (i = 0; i < nslots; i++)
		if (slots[i].job != NULL && !job_idle(slots[i].job))
			return;
	for (i = 0; i < nslots; i++)
		if (slots[i].job != NULL)
			report_prefixes(slots[i].job);
	exit(0);
}
