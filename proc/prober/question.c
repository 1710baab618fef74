/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "log.h"
#include "prober.h"

/*
 * What several failovers ask in the same words: they share a region, or a
 * router.  One asks, and the others are told its answer if it is a good one.
 * After any other, and if the one who asks goes away, each asks for itself, as
 * if it were alone.
 */

#define KEPT_MAX 1000 /* milliseconds that an answer is kept */

TAILQ_HEAD(askers, asker);

struct question {
	TAILQ_ENTRY(question) entry; /* of those that are kept */
	const char *url;
	int64_t asked;
	bool urgent;
	struct asker *asker;   /* whose call asks; NULL: it was answered */
	struct askers waiting; /* for the answer */
	json_t *answer;
	bool replaced; /* nobody new is to find it */
	char text[];   /* of the URL */
};

static struct {
	void *root; /* tsearch(3), of those that can be found */
	TAILQ_HEAD(, question) kept;
	struct askers told; /* those who are to be told, in order */
	struct event *tell;
	struct event *drop;
	question_told *call;
} questions;

static int
question_order(const void *a, const void *b)
{
	const struct question *one = a, *other = b;

	return (strcmp(one->url, other->url));
}

static struct question *
question_find(const char *url)
{
	struct question key, **found;

	key.url = url;
	found = tfind(&key, &questions.root, question_order);
	return (found == NULL ? NULL : *found);
}

/* Nobody new is to find it. */
static void
question_hide(struct question *question)
{
	if (!question->replaced)
		tdelete(question, &questions.root, question_order);
	question->replaced = true;
}

static void
question_free(struct question *question)
{
	json_decref(question->answer);
	free(question);
}

/* Forget one that was answered. */
static void
question_drop(struct question *question)
{
	question_hide(question);
	TAILQ_REMOVE(&questions.kept, question, entry);
	question_free(question);
}

static void
tell_later(struct asker *asker, json_t *answer)
{
	asker->question = NULL;
	asker->answer = json_incref(answer);
	asker->told = true;
	TAILQ_INSERT_TAIL(&questions.told, asker, entry);
	event_active(questions.tell, EV_TIMEOUT, 0);
}

static void
tell_event(evutil_socket_t fd, short what, void *arg)
{
	struct asker *asker;
	json_t *answer;

	(void)fd;
	(void)what;
	(void)arg;
	while ((asker = TAILQ_FIRST(&questions.told)) != NULL) {
		TAILQ_REMOVE(&questions.told, asker, entry);
		asker->told = false;
		answer = asker->answer;
		asker->answer = NULL;
		questions.call(asker->call, answer);
	}
}

static void
drop_later(void)
{
	const struct timeval tv = { KEPT_MAX / 1000, 0 };

	if (!TAILQ_EMPTY(&questions.kept) &&
	    !evtimer_pending(questions.drop, NULL))
		evtimer_add(questions.drop, &tv);
}

/* Forget those that were asked before that time. */
static void
drop_before(int64_t time)
{
	struct question *next, *question;

	for (question = TAILQ_FIRST(&questions.kept); question != NULL;
	     question = next) {
		next = TAILQ_NEXT(question, entry);
		if (question->asked < time)
			question_drop(question);
	}
}

/* Answers that are too old for anybody need no room. */
static void
drop_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	drop_before(http_now() - KEPT_MAX);
	drop_later();
}

/*
 * To be called once.  told is called for those who did not ask by themselves,
 * from the event loop: with the answer, which is the callee's to release, or
 * with NULL, and then they have to.
 */
void
questions_init(struct event_base *b, question_told *told)
{
	TAILQ_INIT(&questions.kept);
	TAILQ_INIT(&questions.told);
	questions.tell = event_new(b, -1, 0, tell_event, NULL);
	questions.drop = evtimer_new(b, drop_event, NULL);
	if (questions.tell == NULL || questions.drop == NULL)
		fatalx("%s: out of memory", __func__);
	questions.call = told;
}

/* Does the answer to it serve one who asks now?  What is urgent does not wait
 * for what is not. */
static bool
question_serves(const struct question *question, uint32_t share, bool urgent)
{
	return (http_now() - question->asked <= share &&
	    (question->asker == NULL || question->urgent || !urgent));
}

/*
 * A call wants to know what this URL answers.  Returns false if another has
 * asked no more than share milliseconds ago, and the call is told; else it has
 * to ask, which others may have the answer of.
 */
bool
question_ask(struct asker *asker, struct call *call, const char *url,
    uint32_t share, bool urgent)
{
	struct question *question;
	size_t size;

	asker->call = call;
	if (share == 0)
		return (true);
	question = question_find(url);
	if (question != NULL && question_serves(question, share, urgent)) {
		if (question->asker == NULL) {
			tell_later(asker, question->answer);
			return (false);
		}
		asker->question = question;
		TAILQ_INSERT_TAIL(&question->waiting, asker, entry);
		return (false);
	}
	if (question != NULL && question->asker != NULL)
		question_hide(question); /* others still wait for it */
	else if (question != NULL)
		question_drop(question);
	size = strlen(url) + 1;
	question = calloc(1, sizeof(*question) + size);
	if (question == NULL)
		fatal("%s", __func__);
	question->url = memcpy(question->text, url, size);
	question->asked = http_now();
	question->urgent = urgent;
	question->asker = asker;
	TAILQ_INIT(&question->waiting);
	asker->question = question;
	if (tsearch(question, &questions.root, question_order) == NULL)
		fatal("%s", __func__);
	return (true);
}

/*
 * What came of the first request of a call that asks: an answer that is good
 * for all, of which the caller keeps its own reference, or NULL.
 */
void
question_answer(struct asker *asker, json_t *answer)
{
	struct question *question = asker->question;
	struct asker *other;

	if (question == NULL)
		return;
	asker->question = NULL;
	question->asker = NULL;
	while ((other = TAILQ_FIRST(&question->waiting)) != NULL) {
		TAILQ_REMOVE(&question->waiting, other, entry);
		tell_later(other, answer);
	}
	if (answer == NULL) {
		question_hide(question);
		question_free(question);
		return;
	}
	question->answer = json_incref(answer);
	TAILQ_INSERT_TAIL(&questions.kept, question, entry);
	drop_later();
}

/* The call goes: it does not ask any more, nor is it told. */
void
question_leave(struct asker *asker)
{
	struct question *question = asker->question;

	if (asker->told) {
		TAILQ_REMOVE(&questions.told, asker, entry);
		json_decref(asker->answer);
		asker->answer = NULL;
		asker->told = false;
	} else if (question != NULL && question->asker != asker) {
		TAILQ_REMOVE(&question->waiting, asker, entry);
		asker->question = NULL;
	} else
		question_answer(asker, NULL);
}

/* Forget all answers: under another configuration they might be others. */
void
questions_forget(void)
{
	drop_before(INT64_MAX);
}
