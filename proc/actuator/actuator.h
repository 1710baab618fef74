/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_ACTUATOR_H
#define MTGCPD_ACTUATOR_H

#include <sys/queue.h>

#include <event2/event.h>
#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "gcp.h"
#include "http.h"
#include "merge.h"
#include "proto.h"

/* "project/region/router" */
#define ROUTER_KEY_LEN (PROJECT_LEN + REGION_LEN + NAME_LEN + 4)

/* An account at Cloudflare. */
struct account {
	char id[NAME_LEN];
	char *token; /* wiped when it is replaced */
};

/* What may be touched for one failover, and nothing else. */
struct act {
	bool present;
	struct msg_conf_act conf;
	char (*peer)[NAME_LEN]; /* named peers; NULL: the router's own level */
	size_t npeers;
};

/* A configuration; a job keeps the one that it began with. */
struct config {
	unsigned int refs;
	char url[API_MAX][URL_LEN];
	struct msg_token_uri
	    token[ROLE_MAX]; /* its own, and those it fetches */
	struct msg_limit limit;
	struct act *act; /* by failover */
	size_t nacts;
	struct account *account; /* by index */
	size_t naccounts;
};

struct job;
struct table;

/* The end of a call: json is the answer where it is ANSWER_OK, and the
 * caller's to keep by a reference; else reason says what happened. */
struct answered {
	enum answer answer;
	json_t *json;
	bool sent; /* the server may have done what was asked */
	bool answered;
	bool refused; /* by ourselves: no such call was made */
	long status;
	int64_t retry_after; /* milliseconds, -1: nothing was said */
	char reason[REASON_LEN];
};

typedef void (*call_cb)(void *who, const struct answered *);
typedef void (*job_cb)(struct job *);

/* The call that a job makes to Compute, or a table to Cloudflare; each makes
 * one at a time. */
struct call {
	/* Of who makes it; times in milliseconds. */
	struct job *job; /* one of them is NULL */
	struct table *table;
	struct event *timer;
	uint32_t connect_timeout;
	uint32_t retries;
	uint32_t backoff_initial;
	uint32_t backoff_max;
	bool asked_token; /* of Cloudflare, after a 401 */
	bool look;	  /* not part of a write */

	enum http_method method;
	char *url;
	char *body;    /* NULL: none */
	bool repeated; /* with a new token */
	bool waiting;  /* for a token */
	bool resting;  /* before it is repeated */
	uint32_t tries;
	uint32_t timeout;
	int64_t deadline;
	struct http_call *http;
	call_cb cb;
};

/* The routes of an account.  One list of them serves all jobs that wait for
 * it, and one update carries what all of these have to change. */
struct table {
	TAILQ_ENTRY(table) entry;
	char id[ACCOUNT_LEN]; /* of the account */
	TAILQ_HEAD(, job) waiting;
	TAILQ_HEAD(, job) batch; /* those that it is read and written for */
	bool busy;		 /* with the batch */
	bool resting;		 /* before an update is repeated */
	uint32_t tries;		 /* updates that have failed */
	int64_t deadline;	 /* of their repetition */
	struct event *timer;	 /* begins one, ends a rest */
	struct config *config;	 /* of the batch, or NULL */
	uint32_t timeout;	 /* milliseconds, of a list */
	uint32_t bulk_timeout;
	char corr[CORR_LEN]; /* of a batch of one */
	struct call call;
	json_t *list;	/* the last one, NULL: none since the last write */
	int64_t listed; /* when, at the earliest, it was as it says */
	struct budget budget;
};

/* What has been found and done for one prefix. */
struct prefix_result {
	bool looked;  /* compared with the router */
	bool changed; /* has to be written */
	bool written; /* and read back */
	bool reported;
	enum verdict effect;
	struct msg_plan_advert msg; /* what will be told of it */
};

/* A plan that is being carried out. */
struct job {
	struct config *config;
	const struct act *act;
	uint32_t failover;
	struct msg_plan plan;
	bool held;	 /* may not begin another step */
	bool superseded; /* a newer plan waits */
	bool paused;	 /* between two steps, for one of these reasons */
	bool resting;	 /* before a write of which nothing is done is tried */
	size_t step;
	int64_t started; /* http_now() */
	int64_t step_started;
	int64_t deadline; /* of the step */
	uint32_t changed; /* writes */
	bool skipped;	  /* passive: there would have been some */
	uint32_t good;	  /* halves of which a call was answered usably */
	uint32_t lost;	  /* of which a write was not answered */
	uint32_t failed_at;
	struct call call;
	struct event *timer;
	job_cb timer_cb;
	struct lock *lock;	     /* held, or waited for */
	TAILQ_ENTRY(job) lock_entry; /* in the lock's queue */
	job_cb lock_cb;

	/* The router. */
	struct router_targets targets;
	struct wanted wanted; /* of the step */
	json_t *router;	      /* as read last */
	json_t *patch;
	int rounds;
	int repeats;
	uint32_t tries; /* PATCHes that have failed */
	int busy;	/* times that another operation was at it */
	bool unknown;	/* whether the last PATCH was carried out */
	uint32_t wait;	/* milliseconds, of the next poll */
	struct prefix_result prefix[PREFIXES];
	char request_id[ID_LEN];
	char operation[ID_LEN];
	int32_t http_status;

	/* Cloudflare. */
	struct table *table;	      /* waits there, or is in its batch */
	TAILQ_ENTRY(job) table_entry; /* in one of its queues */
	bool in_batch;
	bool fresh; /* no older list will do */
	bool older; /* one has shown all as it should be */
	json_t *ours;
	json_t *differing;
	size_t put;    /* of those that differ, so many have been sent */
	size_t in_put; /* as many are in the call under way */
	bool put_made; /* in this step */
	bool put_lost; /* without an answer; all three are of the last one */
	bool put_failed;
	bool put_repeated;
	struct msg_plan_routes routes;
};

/* actuator.c */
extern struct event_base *base;
struct config *config_current(void);
const struct act *config_act(uint32_t failover);
void config_release(struct config *);
struct bucket *config_bucket(void);
bool actuator_stopping(void);

/* allow.c */
int allow_check(const struct config *, char *why, size_t len);

/* call.c */
void call_init(struct call *, struct job *, struct table *);
void call_start(struct call *, enum http_method, char *url, char *body,
    uint32_t timeout, int64_t deadline, call_cb);
void call_abort(struct call *);
void call_free(struct call *);
void call_new_token(struct call *);
int64_t call_wait(const struct call *, uint32_t tries, int64_t deadline,
    const struct answered *);

/* lock.c */
void lock_take(struct job *, const char *key, job_cb);
bool lock_waits(const struct job *);
void lock_release(struct job *);

/* job.c */
void plan_start(uint32_t failover, const struct msg_plan *);
void plan_permit(uint32_t failover, const struct msg_permit *);
void plan_refuse(uint32_t failover, const struct msg_plan *, const char *why);
void plans_forget_steering(void);
void plans_finish(void (*)(void));
void plans_stop(void);
void plan_steering(const struct job *);
bool plan_is_first(const struct job *);
bool job_may_begin(struct job *);
void job_step_done(struct job *);
void job_fail(struct job *, const char *step, const char *why);
bool job_blocked(const struct job *, enum half, char *why, size_t len);
void job_called(struct job *, enum half, const struct answered *);
void job_timer(struct job *, int64_t ms, job_cb);
void plan_report_prefix(struct job *, enum which, enum outcome,
    const char *error);

/* rehearse.c */
void rehearse(uint32_t failover, const struct msg_test *);
void rehearse_new_token(const char *account);

/* router.c */
void router_write(struct job *, const enum advert advert[PREFIXES]);
void router_look(struct job *, const enum advert advert[PREFIXES]);
void router_effect(struct job *, const enum advert advert[PREFIXES]);

/* metadata.c */
void metadata_fetch(enum role);
void metadata_configure(const struct msg_token_uri uri[ROLE_MAX]);

/* told.c */
void told_forget(void);
void told_withdrawn(const char *router, const struct prefix *);
enum verdict told_effect(const char *router, const struct prefix *, enum advert,
    enum verdict says);

/* account.c */
void account_enter(struct job *);
void account_leave(struct job *);
bool account_waits(const struct job *);
struct budget *account_budget(const char *account);
void account_new_token(const char *account);
void account_forget_lists(void);

/* routes.c */
void routes_write(struct job *);
bool routes_older(struct job *, json_t *list);
void routes_judge(struct job *, json_t *list, long status);
void routes_add(struct job *, json_t *body);
void routes_sent(struct job *, const struct answered *);
void routes_put_failed(struct job *, const struct answered *);
void routes_failed(struct job *, const struct answered *);
bool routes_only_ours(const struct table *, const json_t *body);

#endif /* MTGCPD_ACTUATOR_H */
