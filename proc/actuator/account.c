/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>

#include "actuator.h"
#include "log.h"

/*
 * The routes of an account, for all jobs that want something of them.  Who
 * comes while the account is busy waits; then one batch is made of all that
 * wait: one list, in which each job finds its own routes, as few updates as
 * carry what all of them have to change, and a list again, by which each job
 * is judged.  The last writer of a route wins, so nobody else of us may write
 * between our reading and our writing.
 */

static TAILQ_HEAD(, table) tables = TAILQ_HEAD_INITIALIZER(tables);

static void table_list(struct table *);
static void table_put(struct table *);

/* Begin with those that wait, as soon as what goes on now is over. */
static void
table_wake(struct table *table)
{
	struct timeval now = { 0, 0 };

	if (table->busy || TAILQ_EMPTY(&table->waiting))
		return;
	if (evtimer_add(table->timer, &now) == -1)
		fatalx("evtimer_add");
}

/* The batch is done. */
static void
table_end(struct table *table)
{
	call_abort(&table->call);
	evtimer_del(table->timer);
	table->resting = false;
	config_release(table->config);
	table->config = NULL;
	table->busy = false;
	table_wake(table);
}

/* An older list that may serve who only looks; NULL: there is none. */
static json_t *
older_list(const struct table *table, const struct job *job)
{
	if (!job->plan.repair || job->fresh || table->list == NULL ||
	    http_now() - table->listed >= job->act->conf.look_every)
		return (NULL);
	return (table->list);
}

static void
at_least(uint32_t *number, uint32_t least)
{
	if (*number < least)
		*number = least;
}

/* A batch has as much time as those of its jobs that have the most. */
static void
table_add(struct table *table, struct job *job)
{
	const struct msg_conf_act *conf = &job->act->conf;

	TAILQ_REMOVE(&table->waiting, job, table_entry);
	TAILQ_INSERT_TAIL(&table->batch, job, table_entry);
	job->in_batch = true;
	at_least(&table->call.connect_timeout, conf->connect_timeout);
	at_least(&table->call.retries, conf->cloudflare_retries);
	at_least(&table->call.backoff_initial, conf->backoff_initial);
	at_least(&table->call.backoff_max, conf->backoff_max);
	at_least(&table->timeout, conf->cloudflare_timeout);
	at_least(&table->bulk_timeout, conf->cloudflare_bulk_timeout);
}

/* Take a job that waits into the batch, unless it may not begin or needs no
 * more than an older list. */
static void
table_take(struct table *table, struct job *job)
{
	json_t *list = older_list(table, job);

	log_setcorr(job->plan.corr);
	if (job_may_begin(job) && (list == NULL || !routes_older(job, list)))
		table_add(table, job);
	log_setcorr("");
}

/*
 * Make a batch of all that wait and began with the same configuration.  To
 * take one of them may end it, and have others come, but ends no other.
 */
static void
table_begin(struct table *table)
{
	struct job *job, *next;

	table->busy = true;
	table->config = TAILQ_FIRST(&table->waiting)->config;
	table->config->refs++;
	table->call.connect_timeout = table->timeout = table->bulk_timeout = 0;
	table->call.retries = table->call.backoff_initial =
	    table->call.backoff_max = 0;
	table->tries = 0;
	table->deadline = 0;
	for (job = TAILQ_FIRST(&table->waiting); job != NULL; job = next) {
		next = TAILQ_NEXT(job, table_entry);
		if (job->config == table->config)
			table_take(table, job);
	}
	job = TAILQ_FIRST(&table->batch);
	if (job == NULL) {
		table_end(table);
		return;
	}
	strlcpy(table->corr,
	    TAILQ_NEXT(job, table_entry) == NULL ? job->plan.corr : "",
	    sizeof(table->corr));
	table->call.asked_token = false;
	table_list(table);
}

static void
table_event(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct table *table = arg;

	if (table->resting) {
		table->resting = false;
		log_setcorr(table->corr);
		table_list(table);
		log_setcorr("");
	} else if (!TAILQ_EMPTY(&table->waiting))
		table_begin(table);
}

static struct table *
table_get(const char *account)
{
	struct table *table;

	TAILQ_FOREACH(table, &tables, entry)
		if (strcmp(table->id, account) == 0)
			return (table);
	table = calloc(1, sizeof(*table));
	if (table == NULL)
		fatal("table");
	strlcpy(table->id, account, sizeof(table->id));
	TAILQ_INIT(&table->waiting);
	TAILQ_INIT(&table->batch);
	call_init(&table->call, NULL, table);
	table->timer = evtimer_new(base, table_event, table);
	if (table->timer == NULL)
		fatalx("evtimer_new");
	TAILQ_INSERT_TAIL(&tables, table, entry);
	return (table);
}

static void
table_call(struct table *table, enum http_method method, char *body,
    uint32_t timeout, call_cb cb)
{
	call_start(&table->call, method,
	    url_join(table->config->url[API_CLOUDFLARE],
		"/accounts/%s/magic/routes", table->id),
	    body, timeout, http_now() + timeout, cb);
}

/* Have each job of the batch go on; it leaves the batch if it is done. */
static void
table_listed(void *who, const struct answered *answered)
{
	struct table *table = who;
	struct job *job, *next;

	if (answered->answer == ANSWER_OK && table->config == config_current())
		table->list = json_incref(answered->json);
	for (job = TAILQ_FIRST(&table->batch); job != NULL; job = next) {
		next = TAILQ_NEXT(job, table_entry);
		log_setcorr(job->plan.corr);
		job_called(job, HALF_ROUTES, answered);
		if (answered->answer == ANSWER_OK)
			routes_judge(job, answered->json, answered->status);
		else
			routes_failed(job, answered);
	}
	log_setcorr(table->corr);
	if (TAILQ_EMPTY(&table->batch))
		table_end(table);
	else
		table_put(table);
}

/* Do all of the batch only look for drift, and have not found any? */
static bool
only_looks(const struct table *table)
{
	const struct job *job;

	TAILQ_FOREACH(job, &table->batch, table_entry)
		if (!job->plan.repair || job->fresh || job->put_made ||
		    job->put_failed)
			return (false);
	return (true);
}

static void
table_list(struct table *table)
{
	table->call.look = only_looks(table);
	json_decref(table->list);
	table->list = NULL;
	table->listed = http_now();
	table_call(table, HTTP_GET, NULL, table->timeout, table_listed);
}

/* An update that was not carried out is tried again, with what a new list
 * shows.  False: it is not, or not any more. */
static bool
table_again(struct table *table, const struct answered *answered)
{
	struct timeval tv;
	struct job *job;
	int64_t wait;

	wait = call_wait(&table->call, table->tries, table->deadline, answered);
	if (answered->status == 404 && table->tries < table->call.retries)
		wait = 0; /* a route is gone: the list says which */
	if (wait == -1)
		return (false);
	table->tries++;
	TAILQ_FOREACH(job, &table->batch, table_entry)
		if (job->in_put > 0)
			routes_put_failed(job, answered);
	tv.tv_sec = wait / 1000;
	tv.tv_usec = wait % 1000 * 1000;
	if (evtimer_add(table->timer, &tv) == -1)
		fatalx("evtimer_add");
	table->resting = true;
	return (true);
}

static void
table_put_answered(void *who, const struct answered *answered)
{
	struct table *table = who;
	struct job *job, *next;
	bool lost = answered->sent && !answered->answered;

	if (answered->answer != ANSWER_OK && !lost &&
	    table_again(table, answered))
		return;
	for (job = TAILQ_FIRST(&table->batch); job != NULL; job = next) {
		next = TAILQ_NEXT(job, table_entry);
		if (job->in_put == 0)
			continue;
		log_setcorr(job->plan.corr);
		job_called(job, HALF_ROUTES, answered);
		/* Without an answer it may have been done: the list tells. */
		if (answered->answer == ANSWER_OK || lost)
			routes_sent(job, answered);
		else
			routes_failed(job, answered);
	}
	log_setcorr(table->corr);
	if (TAILQ_EMPTY(&table->batch))
		table_end(table);
	else
		table_put(table);
}

/* Write what differs, as much of it as one call may carry; list when all has
 * been sent. */
static void
table_put(struct table *table)
{
	json_t *routes = json_array(), *body;
	struct job *job;

	TAILQ_FOREACH(job, &table->batch, table_entry)
		routes_add(job, routes);
	if (json_array_size(routes) == 0) {
		json_decref(routes);
		table_list(table);
		return;
	}
	json_decref(table->list);
	table->list = NULL;
	if (table->deadline == 0)
		table->deadline = http_now() + table->bulk_timeout;
	table->call.look = false;
	body = json_pack("{s:o}", "routes", routes);
	table_call(table, HTTP_PUT, json_dumps(body, JSON_COMPACT),
	    table->bulk_timeout, table_put_answered);
	json_decref(body);
}

/* The job wants something of its account's routes. */
void
account_enter(struct job *job)
{
	struct table *table = table_get(
	    job->config->account[job->act->conf.account].id);

	job->table = table;
	job->in_batch = false;
	TAILQ_INSERT_TAIL(&table->waiting, job, table_entry);
	table_wake(table);
}

/* The job wants nothing any more, whatever it has waited for. */
void
account_leave(struct job *job)
{
	struct table *table = job->table;

	if (table == NULL)
		return;
	job->table = NULL;
	if (job->in_batch)
		TAILQ_REMOVE(&table->batch, job, table_entry);
	else
		TAILQ_REMOVE(&table->waiting, job, table_entry);
	job->in_batch = false;
	if ((table->call.url != NULL || table->resting) &&
	    TAILQ_EMPTY(&table->batch))
		table_end(table); /* nobody wants to know */
}

/* Does the job wait, with nothing written for it? */
bool
account_waits(const struct job *job)
{
	const struct table *table = job->table;

	if (table == NULL)
		return (false);
	return (!job->in_batch ||
	    (!job->put_made && (table->resting || table->call.resting)));
}

/* How an account has been called. */
struct budget *
account_budget(const char *account)
{
	return (&table_get(account)->budget);
}

/* The token of an account has come anew. */
void
account_new_token(const char *account)
{
	call_new_token(&table_get(account)->call);
}

/* Another configuration may mean another server. */
void
account_forget_lists(void)
{
	struct table *table;

	TAILQ_FOREACH(table, &tables, entry) {
		json_decref(table->list);
		table->list = NULL;
	}
}
