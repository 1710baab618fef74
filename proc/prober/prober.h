/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_PROBER_H
#define MTGCPD_PROBER_H

#include <sys/types.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucket.h"
#include "gcp.h"
#include "http.h"
#include "proto.h"
#include "verdict.h"

#define PAGES_MAX 100

/* A set of texts. */
struct names {
	void *root; /* tsearch(3) */
};

/* The groups that the last whole list of a region had, in order. */
struct kept_group {
	char *service;
	char *link;
};

struct kept {
	struct kept_group *group;
	size_t count;
};

struct cycle;

/* What is looked at for one failover. */
struct target {
	bool present;
	struct msg_conf_probe probe;
	char (*service)[NAME_LEN]; /* sorted; none: all of the region */
	size_t nservices;
	char (*peer)[NAME_LEN];
	size_t npeers;
	struct kept kept[SIDES];
	struct cycle *cycle; /* that runs, or NULL */
};

struct config {
	char compute[URL_LEN];
	struct msg_token_uri token;
	struct msg_limit limit;
	struct bucket *bucket; /* of all requests to Compute; NULL: no limit */
	struct target *target;
	size_t ntargets;
};

/* The state of an endpoint; the worst of its rows wins. */
enum endpoint_state {
	ENDPOINT_HEALTHY,
	ENDPOINT_DRAINING,
	ENDPOINT_UNKNOWN,
	ENDPOINT_SICK,
};

/* What people are told of a sick endpoint. */
struct sickness {
	char endpoint[ENDPOINT_LEN];
	char state[STATE_LEN];
	char reason[128];
};

/* A row of an answer of getHealth. */
struct row {
	char *key; /* tells endpoints apart; NULL: nothing does */
	struct sickness *sickness;
	uint32_t group;
	bool backup; /* of a failover group: the second pool */
	enum endpoint_state state;
};

struct group {
	char *link; /* NULL: it has none, so nobody can ask */
	bool failover;
	bool failed;
};

/* A backend service that can report, and what it reported. */
struct service {
	char name[NAME_LEN];
	struct group *group; /* those to be asked */
	size_t ngroups;
	size_t drained; /* groups that get no traffic on purpose */
	size_t pending; /* groups without an answer yet */
	struct row *row;
	size_t nrows;
	size_t size;
	size_t nsick; /* rows with a sickness */
	/* the judgement */
	enum verdict verdict;
	bool empty;
	struct pool count; /* of all pools */
	char *reason;	   /* why it is unknown, or NULL */
};

/* The services of a region, as far as they are known. */
struct services {
	struct service **service;
	size_t count;
	size_t size;
	struct names seen;
	bool incomplete;
	char error[REASON_LEN];
};

/* The sick endpoints of a region, for people. */
struct sick_list {
	struct msg_probe_endpoint *endpoint;
	size_t count;
};

/* What was seen of a router. */
struct router_result {
	struct msg_probe_router router;
	struct msg_probe_peer *peer;
	size_t npeers;
};

/* nameset.c */
bool names_add(struct names *, const char *);
void names_clear(struct names *);
int names_order(const void *, const void *);

/* service.c */
const char *services_check(const json_t *page);
bool services_partial(const json_t *page, char *what, size_t);
const char *services_decode(struct services *, const json_t *page,
    const struct target *, const char *where);
void services_missing(struct services *, const struct target *);
void services_fail(struct services *, const char *why);
void services_free(struct services *);

/* endpoint.c */
const char *health_check(const json_t *answer);
void health_decode(struct service *, size_t group, const json_t *answer);
void health_failed(struct service *, size_t group, const char *why);
void service_judge(struct service *, uint32_t percent, struct sick_list *);

/* bgp.c */
const char *router_check(const json_t *config, const char *name);
const char *status_check(const json_t *status);
void router_judge(const json_t *config, const json_t *status,
    const struct target *, enum side, struct router_result *);

/* rights.c */
void rights_start(const struct config *, uint32_t id, const struct msg_test *);

struct call;

/* question.c: a call that asks what others ask, too.  All zero to begin with. */
struct question;
struct asker {
	TAILQ_ENTRY(asker) entry;
	struct call *call;
	struct question *question; /* that it asks, or waits for; or NULL */
	json_t *answer;		   /* that it is to be told, or NULL */
	bool told;		   /* soon */
};

typedef void question_told(struct call *, json_t *);

void questions_init(struct event_base *, question_told *);
bool question_ask(struct asker *, struct call *, const char *url,
    uint32_t share, bool urgent);
void question_answer(struct asker *, json_t *);
void question_leave(struct asker *);
void questions_forget(void);

/* A question for the health of a group: a guess, as long as no list has it. */
struct ask {
	const char *name; /* of the service */
	const char *link;
	struct service *service; /* of the list, and its group; NULL: a guess */
	size_t group;
	struct call *call; /* under way, or NULL */
	bool early;	   /* answered before the list: */
	json_t *answer;	   /* or NULL, */
	char *why;	   /* and why there is none */
};

/* All those of a region, the guesses first. */
struct asks {
	struct ask **ask;
	size_t count;
	size_t size;
	size_t guesses;
	size_t bound;	    /* that a list has */
	size_t next;	    /* to be asked */
	bool whole;	    /* no more will come of a list */
	struct kept before; /* the names of the guesses, if that was replaced */
};

/* asks.c */
void asks_begin(struct asks *, const struct kept *);
struct ask *asks_bind(struct asks *, struct service *, size_t group);
struct ask *asks_next(struct asks *);
void asks_keep(struct asks *, struct kept *);
void asks_clear(struct asks *);
void ask_keep(struct ask *, json_t *, const char *why);
void kept_clear(struct kept *);

/* region.c */
struct region {
	struct services services;
	struct names pages;
	unsigned int npages;
	bool listing;
	struct asks asks;
	size_t running;
	struct sick_list sick;
	int64_t ended;
};

void region_start(struct cycle *, enum side);
void region_skip(struct cycle *, enum side, const char *why);
void region_page(struct cycle *, enum side, const json_t *, const char *why);
void region_health(struct cycle *, enum side, struct ask *, json_t *,
    const char *why);
void region_send(struct cycle *, enum side);
void region_free(struct region *);

/* routers.c */
struct router {
	json_t *config;
	json_t *status;
	unsigned int pending;
	struct router_result result;
	int64_t ended;
	char error[REASON_LEN];
};

void router_start(struct cycle *, enum side);
void router_skip(struct cycle *, enum side, const char *why);
void router_answer(struct cycle *, enum side, bool status, json_t *,
    const char *why);
void router_send(struct cycle *, enum side);
void router_free(struct router *);

/* probe.c */
enum call_kind {
	CALL_LIST,
	CALL_HEALTH,
	CALL_ROUTER,
	CALL_STATUS,
};

TAILQ_HEAD(probe_calls, call);

/* One look at both sides of a failover. */
struct cycle {
	TAILQ_ENTRY(cycle) entry;
	uint32_t id; /* of the failover */
	uint64_t number;
	char corr[CORR_LEN];
	struct target *target;
	const char *compute; /* base URL */
	struct bucket *bucket;
	struct http_line line;
	int64_t started;
	int64_t deadline;
	uint32_t share; /* milliseconds: see struct msg_probe */
	struct event *timer;
	bool waiting; /* for a token */
	bool ending;  /* no new calls */
	struct probe_calls calls;
	uint32_t ncalls;
	uint32_t nfailed;
	uint32_t failed_parts;
	struct region region[SIDES];
	struct router router[SIDES];
};

void cycle_init(struct event_base *);
void cycle_start(const struct config *, uint32_t id, const struct msg_probe *);
void cycles_end(void);
void cycle_call(struct cycle *, enum side, enum call_kind, struct ask *,
    char *url);
void cycle_forget_call(struct call *);
void cycle_failed_call(struct cycle *, enum side, enum call_kind);

#endif /* MTGCPD_PROBER_H */
