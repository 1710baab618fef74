/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "log.h"

/*
 * The local Cloud Router: read, compare, write the difference, await the
 * operation, read back, and look at what the peers have been told.  A router
 * has no fingerprint, so the reading stands right before the writing, and what
 * is read back decides.
 */

#define POLL_FIRST  250 /* milliseconds */
#define POLL_MAX    2000
#define BUSY_FIRST  1000 /* the same, doubled twice at most */
#define ROUNDS_MAX  3	 /* merges, if somebody else writes meanwhile */
#define REPEATS_MAX 2	 /* of a PATCH whose outcome is not known */

/* Seconds in which a session that has come up may not have been told yet. */
#define UPTIME_YOUNG 30

/* What the prober asks for, and for how long a session is up.  A router that is to be written is read as a
 * whole. */
#define STATUS_FIELDS                                                          \
	"result(bgpPeerStatus(name,status,state,statusReason,uptimeSeconds,"   \
	"advertisedRoutes(destRange)))"

static void write_read(struct job *);
static void write_send(struct job *);
static void operation_poll(struct job *);
static void read_back(struct job *);
static void effect_poll(struct job *);

static char *
router_url(const struct job *job, const char *rest)
{
	const struct msg_conf_act *conf = &job->act->conf;

	return (url_join(job->config->url[API_COMPUTE],
	    "/projects/%s/regions/%s/routers/%s%s", conf->project, conf->region,
	    conf->router, rest));
}

/* What the router is called among ourselves. */
static void
router_key(const struct job *job, char key[ROUTER_KEY_LEN])
{
	const struct msg_conf_act *conf = &job->act->conf;

	snprintf(key, ROUTER_KEY_LEN, "%s/%s/%s", conf->project, conf->region,
	    conf->router);
}

static void
router_call(struct job *job, enum http_method method, char *url, char *body,
    call_cb cb)
{
	call_start(&job->call, method, url, body, job->act->conf.api_timeout,
	    job->deadline, cb);
}

static void
router_begin(struct job *job, const enum advert advert[PREFIXES])
{
	memcpy(job->wanted.prefix, job->act->conf.prefix,
	    sizeof(job->wanted.prefix));
	memcpy(job->wanted.advert, advert, sizeof(job->wanted.advert));
	job->targets.peer = (const char(*)[NAME_LEN])job->act->peer;
	job->targets.npeers = job->act->npeers;
	job->deadline = http_now() + job->act->conf.bgp_update_timeout;
	job->rounds = job->repeats = job->busy = 0;
	job->tries = 0;
	job->unknown = false;
	job->request_id[0] = job->operation[0] = '\0';
	job->http_status = 0;
}

/* Have cb called later; false when the step's time is over before that. */
static bool
later(struct job *job, uint32_t ms, job_cb cb)
{
	if (http_now() + ms >= job->deadline)
		return (false);
	job_timer(job, ms, cb);
	return (true);
}

/* The same, a little later each time. */
static bool
poll_later(struct job *job, job_cb cb)
{
	uint32_t wait = job->wait;

	job->wait = wait * 2 > POLL_MAX ? POLL_MAX : wait * 2;
	return (later(job, wait, cb));
}

/* The ranges of the router as read last, for the report. */
static void
note_ranges(struct job *job, bool before)
{
	struct msg_plan_advert *msg;
	int p;

	for (p = 0; p < PREFIXES; p++) {
		if (job->wanted.advert[p] == ADVERT_KEEP)
			continue;
		msg = &job->prefix[p].msg;
		merge_ranges_text(job->router, &job->targets, msg->ranges_after,
		    sizeof(msg->ranges_after));
		if (before)
			strlcpy(msg->ranges_before, msg->ranges_after,
			    sizeof(msg->ranges_before));
	}
}

/* What the step did for each of its prefixes, for the report. */
static void
note_step(struct job *job)
{
	struct msg_plan_advert *msg;
	int p;

	for (p = 0; p < PREFIXES; p++) {
		if (job->wanted.advert[p] == ADVERT_KEEP)
			continue;
		msg = &job->prefix[p].msg;
		msg->duration = (uint32_t)(http_now() - job->step_started);
		if (!job->prefix[p].changed)
			continue;
		msg->http_status = job->http_status;
		strlcpy(msg->operation_id, job->operation,
		    sizeof(msg->operation_id));
		strlcpy(msg->request_id, job->request_id,
		    sizeof(msg->request_id));
	}
}

/* The step has failed for every prefix that it was about. */
static void
router_fail(struct job *job, const char *step, const char *why)
{
	int p;

	lock_release(job);
	note_step(job);
	for (p = 0; p < PREFIXES; p++)
		if (job->wanted.advert[p] != ADVERT_KEEP &&
		    (job->prefix[p].changed || !job->prefix[p].looked))
			plan_report_prefix(job, (enum which)p, RESULT_FAILURE,
			    why);
	job_fail(job, step, why);
}

/* The same because of a call that failed, not of what was answered. */
static void
router_broken(struct job *job, const char *step, const char *why)
{
	job->failed_at |= HALF_ROUTER;
	router_fail(job, step, why);
}

/* Must the router not be called?  Then the step has failed. */
static bool
router_blocked(struct job *job)
{
	char why[REASON_LEN];

	if (!job_blocked(job, HALF_ROUTER, why, sizeof(why)))
		return (false);
	router_fail(job, "router read", why);
	return (true);
}

/* Which of the prefixes have to be written? */
static void
note_changes(struct job *job)
{
	enum presence presence;
	enum advert advert;
	int p;

	for (p = 0; p < PREFIXES; p++) {
		advert = job->wanted.advert[p];
		if (advert == ADVERT_KEEP)
			continue;
		presence = router_presence(job->router, &job->targets,
		    &job->wanted.prefix[p]);
		job->prefix[p].looked = true;
		job->prefix[p].changed = advert == ADVERT_ADVERTISE ?
		    presence != PRESENCE_ALL :
		    presence != PRESENCE_NONE;
	}
	note_ranges(job, true);
}

static void
keep_router(struct job *job, const json_t *router)
{
	json_decref(job->router);
	job->router = json_deep_copy(router);
}

/* Random, RFC 9562 version 4. */
static void
make_request_id(char *id, size_t len)
{
	uint8_t b[16];

	arc4random_buf(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(id, len,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
}

static void
step_over(struct job *job)
{
	note_step(job);
	lock_release(job);
	job_step_done(job);
}

/* The router has been read and is as it should be. */
static void
write_right(struct job *job)
{
	int p;

	if (job->unknown) /* so that was carried out */
		job->changed++;
	for (p = 0; p < PREFIXES; p++)
		if (job->wanted.advert[p] != ADVERT_KEEP)
			job->prefix[p].written = job->prefix[p].changed;
	step_over(job);
}

/* The router as it is: what has to be written, if anything? */
static void
write_compare(void *who, const struct answered *answered)
{
	struct job *job = who;
	char why[REASON_LEN];
	int r;

	if (answered->answer != ANSWER_OK) {
		router_broken(job, "router read", answered->reason);
		return;
	}
	keep_router(job, answered->json);
	if (job->rounds == 0 && !job->unknown)
		note_changes(job);
	else
		note_ranges(job, false);
	json_decref(job->patch);
	r = merge_patch(job->router, &job->targets, &job->wanted, &job->patch,
	    why, sizeof(why));
	if (r == -1)
		router_fail(job, "router merge", why);
	else if (r == 0)
		write_right(job);
	else if (job->act->conf.passive) {
		job->skipped = true;
		step_over(job);
	} else if (job->unknown || job_may_begin(job)) {
		/* Else not any more: reading may have taken a while. */
		make_request_id(job->request_id, sizeof(job->request_id));
		job->operation[0] = '\0';
		job->unknown = false;
		write_send(job);
	}
}

static void
write_read(struct job *job)
{
	router_call(job, HTTP_GET, router_url(job, ""), NULL, write_compare);
}

static void
write_anew(struct job *job)
{
	job->resting = false;
	write_read(job);
}

/* The router is being changed by another operation: later, and read anew. */
static void
write_busy(struct job *job, const struct answered *answered)
{
	uint32_t wait = BUSY_FIRST << (job->busy < 2 ? job->busy : 2);

	job->busy++;
	if (!later(job, wait, write_anew))
		router_fail(job, "router patch", answered->reason);
	else
		job->resting = !job->unknown;
}

/* The PATCH has failed for a reason that passes: later, and read anew, but
 * with the id of before where that was not sent whose outcome is not known. */
static void
write_again(struct job *job, const struct answered *answered)
{
	int64_t wait = call_wait(&job->call, job->tries, job->deadline,
	    answered);

	if (wait == -1) {
		router_broken(job, "router patch", answered->reason);
		return;
	}
	job->tries++;
	if (job->unknown && !answered->answered) {
		job_timer(job, wait, read_back);
		return;
	}
	/* An error of the server may leave anything behind. */
	job->unknown = job->unknown || answered->status / 100 == 5;
	job->resting = !job->unknown;
	job_timer(job, wait, write_anew);
}

/* The answer to the PATCH is an operation. */
static void
write_accepted(struct job *job, const json_t *operation)
{
	const char *name = json_text(operation, "name");

	job->changed++;
	job->unknown = false;
	if (name == NULL || *name == '\0' || strlen(name) >= ID_LEN ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") !=
		strlen(name)) {
		read_back(job); /* what has become of it can be seen there */
		return;
	}
	strlcpy(job->operation, name, sizeof(job->operation));
	job->wait = POLL_FIRST;
	operation_poll(job);
}

static void
write_answered(void *who, const struct answered *answered)
{
	struct job *job = who;

	job->http_status = (int32_t)answered->status;
	if (answered->answer == ANSWER_OK)
		write_accepted(job, answered->json);
	else if (!answered->answered && answered->sent) {
		job->unknown = true;
		read_back(job); /* it may have been done */
	} else if (answered->status == 400 &&
	    answered->answer == ANSWER_TRANSIENT)
		write_busy(job, answered);
	else
		write_again(job, answered);
}

/* What is withdrawn may from now on vanish at any time. */
static void
note_withdrawals(const struct job *job)
{
	char router[ROUTER_KEY_LEN];
	int p;

	router_key(job, router);
	for (p = 0; p < PREFIXES; p++)
		if (job->wanted.advert[p] == ADVERT_WITHDRAW &&
		    job->prefix[p].changed)
			told_withdrawn(router, &job->wanted.prefix[p]);
}

static void
write_send(struct job *job)
{
	char rest[ID_LEN + 16];

	note_withdrawals(job);
	snprintf(rest, sizeof(rest), "?requestId=%s", job->request_id);
	router_call(job, HTTP_PATCH, router_url(job, rest),
	    json_dumps(job->patch, JSON_COMPACT), write_answered);
}

/* DONE without an error is success; HTTP 200 is not. */
static void
operation_judge(struct job *job, const json_t *operation)
{
	const char *status = json_text(operation, "status");
	const json_t *error;
	char code[64], message[256], why[REASON_LEN];

	if (status == NULL || strcmp(status, "DONE") != 0) {
		if (!poll_later(job, operation_poll))
			router_broken(job, "operation",
			    "the operation is not "
			    "done in time");
		return;
	}
	error = json_object_get(operation, "error");
	if (error == NULL || json_is_null(error)) {
		read_back(job);
		return;
	}
	error = json_array_get(json_object_get(error, "errors"), 0);
	text_clean(json_text(error, "code") == NULL ? "no code" :
						      json_text(error, "code"),
	    code, sizeof(code));
	text_clean(json_text(error, "message") == NULL ?
		"no message" :
		json_text(error, "message"),
	    message, sizeof(message));
	snprintf(why, sizeof(why), "operation %s failed: %s: %s",
	    job->operation, code, message);
	router_broken(job, "operation", why);
}

static void
operation_answered(void *who, const struct answered *answered)
{
	struct job *job = who;

	if (answered->answer == ANSWER_OK)
		operation_judge(job, answered->json);
	else if (answered->status == 404)
		read_back(job); /* finished ones are not kept for ever */
	else
		router_broken(job, "operation", answered->reason);
}

static void
operation_poll(struct job *job)
{
	const struct msg_conf_act *conf = &job->act->conf;

	router_call(job, HTTP_GET,
	    url_join(job->config->url[API_COMPUTE],
		"/projects/%s/regions/%s/operations/%s", conf->project,
		conf->region, job->operation),
	    NULL, operation_answered);
}

/* Is the router now as it should be?  If not, was it us or somebody else? */
static void
read_back_compare(void *who, const struct answered *answered)
{
	struct job *job = who;
	char why[REASON_LEN];
	int r;

	if (answered->answer != ANSWER_OK) {
		router_broken(job, "read-back", answered->reason);
		return;
	}
	keep_router(job, answered->json);
	note_ranges(job, false);
	json_decref(job->patch);
	r = merge_patch(job->router, &job->targets, &job->wanted, &job->patch,
	    why, sizeof(why));
	if (r == 0)
		write_right(job);
	else if (r == -1)
		router_fail(job, "router merge", why);
	else if (job->unknown && job->repeats++ < REPEATS_MAX)
		write_send(job); /* with the id of before */
	else if (job->unknown)
		router_broken(job, "router patch",
		    "it is not known what became of the change");
	else if (++job->rounds < ROUNDS_MAX) {
		log_warnx("router %s was written by somebody else meanwhile",
		    job->act->conf.router);
		write_read(job);
	} else
		router_fail(job, "read-back",
		    "another writer keeps changing "
		    "the router");
}

static void
read_back(struct job *job)
{
	router_call(job, HTTP_GET, router_url(job, ""), NULL,
	    read_back_compare);
}

static void
write_locked(struct job *job)
{
	if (!job_may_begin(job))
		return;
	job->deadline = http_now() + job->act->conf.bgp_update_timeout;
	write_read(job);
}

/*
 * Step: bring the local router to these advertisements, ADVERT_KEEP: as it is.
 * Ends with job_step_done() when it has been read back so, or job_fail().
 */
void
router_write(struct job *job, const enum advert advert[PREFIXES])
{
	char router[ROUTER_KEY_LEN];

	router_begin(job, advert);
	if (router_blocked(job))
		return;
	router_key(job, router);
	lock_take(job, router, write_locked);
}

static void
look_compare(void *who, const struct answered *answered)
{
	struct job *job = who;

	if (answered->answer != ANSWER_OK) {
		router_broken(job, "router read", answered->reason);
		return;
	}
	keep_router(job, answered->json);
	note_changes(job);
	note_step(job);
	job_step_done(job);
}

/* Step: see whether the router has to be written, into prefix[].changed. */
void
router_look(struct job *job, const enum advert advert[PREFIXES])
{
	router_begin(job, advert);
	if (!router_blocked(job))
		router_call(job, HTTP_GET, router_url(job, ""), NULL,
		    look_compare);
}

/* Have the peers been told?  V_UNKNOWN: the answer cannot say.  It has no list
 * of routes either where a session has only just come up. */
static enum verdict
effect_of(struct job *job, const json_t *status, enum which p)
{
	char router[ROUTER_KEY_LEN];
	enum verdict says;
	int64_t uptime;

	router_key(job, router);
	says = status_announces(status, job->router, &job->targets,
	    &job->wanted.prefix[p]);
	uptime = status_uptime(status, job->router, &job->targets);
	if (says == V_UNKNOWN && uptime >= 0 && uptime < UPTIME_YOUNG)
		says = V_NO;
	return (told_effect(router, &job->wanted.prefix[p],
	    job->wanted.advert[p], says));
}

static void
effect_fail(struct job *job, const char *why, bool broken)
{
	int p;

	if (broken)
		job->failed_at |= HALF_ROUTER;
	for (p = 0; p < PREFIXES; p++)
		if (job->wanted.advert[p] != ADVERT_KEEP &&
		    job->prefix[p].effect != V_YES)
			plan_report_prefix(job, (enum which)p, RESULT_FAILURE,
			    why);
	job_fail(job, "effect", why);
}

static void
effect_judge(void *who, const struct answered *answered)
{
	struct job *job = who;
	char why[REASON_LEN];
	bool unknown = false, missing = false;
	int p;

	if (answered->answer != ANSWER_OK) {
		effect_fail(job, answered->reason, true);
		return;
	}
	if (!json_is_object(json_object_get(answered->json, "result"))) {
		if (!poll_later(job, effect_poll))
			effect_fail(job, "the answer has no status", true);
		return;
	}
	for (p = 0; p < PREFIXES; p++) {
		if (job->wanted.advert[p] == ADVERT_KEEP)
			continue;
		job->prefix[p].effect = effect_of(job, answered->json,
		    (enum which)p);
		unknown = unknown || job->prefix[p].effect == V_UNKNOWN;
		missing = missing || job->prefix[p].effect == V_NO;
	}
	if (missing && !poll_later(job, effect_poll)) {
		snprintf(why, sizeof(why),
		    status_any_up(answered->json, job->router, &job->targets) ?
			"the peers of router %s have not been told" :
			"no UP peer on router %s",
		    job->act->conf.router);
		effect_fail(job, why, false);
	} else if (!missing) {
		if (unknown && plan_is_first(job))
			log_warnx(
			    "the status of router %s does not say what "
			    "its peers are told; the configuration that was "
			    "read back has to do",
			    job->act->conf.router);
		job_step_done(job);
	}
}

static void
effect_poll(struct job *job)
{
	router_call(job, HTTP_GET,
	    router_url(job,
		"/getRouterStatus?prettyPrint=false&fields=" STATUS_FIELDS),
	    NULL, effect_judge);
}

/*
 * Step: wait until what is wanted is seen in what the peers have been told
 * (advertisedRoutes of getRouterStatus), or fail in time.
 */
void
router_effect(struct job *job, const enum advert advert[PREFIXES])
{
	router_begin(job, advert);
	job->wait = POLL_FIRST;
	effect_poll(job);
}
