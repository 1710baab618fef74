/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_CHECKUP_H
#define MTGCPD_CHECKUP_H

#include <sys/types.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "proto.h"
#include "verdict.h"

/*
 * A round of connectivity tests of one failover, in the prober or in the
 * actuator: calls with what the process holds, each tried once, and an end
 * that comes in any case.  What is tested is the business of the program.
 */

#define CHECKS_MAX 20

struct check;
struct checkup;

typedef void (*check_cb)(struct check *);

/* The end of a call.  json is valid until the callback returns and NULL
 * unless the answer is ANSWER_OK; else why says what happened.  The callback
 * ends the test, or makes another call for it. */
typedef void (*check_answered)(struct check *, enum answer, const json_t *json,
    const char *why);

/* One test: a call, or what follows from the answer to another one. */
struct check {
	struct checkup *checkup;
	struct msg_tested msg; /* what will be told of it */
	enum side side;	       /* for the program's own use, as is step */
	unsigned int step;
	bool done;
	int64_t started;
	check_answered answered;

	/* The call that it makes, if any. */
	enum http_method method;
	char *url;
	char *body; /* NULL: none */
	uint32_t timeout;
	bool repeated; /* with a new access token */
	bool waiting;  /* for one */
	struct http_call *http;
	struct event *timer;
	check_cb timer_cb;
};

struct checkup {
	TAILQ_ENTRY(checkup) entry;
	uint32_t id;		       /* of the failover */
	uint64_t number;	       /* of the round */
	void *more;		       /* the program's own; freed at the end */
	void (*end)(struct checkup *); /* called before that; may be NULL */
	/* Called with every reply, before what it was for; may be NULL. */
	void (*heard)(const struct check *, const struct http_reply *);
	uint32_t connect_timeout;
	struct bucket *bucket; /* of requests to Compute; NULL: no limit */
	struct event *timer;
	bool ending;
	bool waiting; /* for an access token */
	size_t count;
	size_t pending; /* checks that are not done */
	struct check check[CHECKS_MAX];
};

/* checkup.c */
void checkups_init(struct event_base *);
struct checkup *checkup_new(uint32_t id, uint64_t number, int64_t patience);
struct check *checkup_add(struct checkup *, enum api, const char *operation,
    check_answered, const char *subject, ...)
    __attribute__((__format__(__printf__, 5, 6)));
void checkup_token(struct checkup *, enum role);
void checkups_end(void);
void check_subject(struct check *, const char *, ...)
    __attribute__((__format__(__printf__, 2, 3)));
void check_call(struct check *, enum http_method, char *url, char *body,
    const char *bearer, uint32_t timeout);
void check_after(struct check *, int64_t ms, check_cb);
void check_end(struct check *, enum outcome, const char *, ...)
    __attribute__((__format__(__printf__, 3, 4)));

#endif /* MTGCPD_CHECKUP_H */
