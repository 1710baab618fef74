/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/types.h>
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "child.h"
#include "gcp.h"
#include "http.h"
#include "log.h"
#include "token.h"

#define LIFE_DEFAULT   3600	    /* seconds, where none is told */
#define MARGIN	       (300 * 1000) /* renewed so long before its end */
#define RETRY_MIN      1000	    /* milliseconds from here on */
#define RETRY_MAX      (60 * 1000)
#define REFUSED_MIN    1000 /* so old is a token that a 401 replaces */
#define ASSERT_TIMEOUT (10 * 1000)
#define GIVEN_TIMEOUT  (30 * 1000)
#define CONNECT_TIME   5000
#define EXCHANGE_TIME  30000
#define TELL_AGAIN                                                             \
	200 /* milliseconds: who waits again at once does not
			      keep us busy */

/* The body of RFC 7523 section 2.1; the assertion follows. */
#define FORM                                                                   \
	"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3A"               \
	"jwt-bearer&assertion="

enum token_state {
	TOKEN_NONE,	 /* no token endpoint is known */
	TOKEN_RESTING,	 /* waits for the time of the next attempt */
	TOKEN_ASSERTING, /* an assertion has been asked for */
	TOKEN_WANTING,	 /* the actuator has been asked for a token */
	TOKEN_EXCHANGING,
};

struct waiter {
	TAILQ_ENTRY(waiter) entry;
	bool due;
	uint64_t born; /* turn */
	void (*cb)(void *);
	void *arg;
};
TAILQ_HEAD(waiters, waiter);

static struct {
	enum token_state state;
	struct msg_token_uri source;
	char *current;
	int64_t expires;
	int64_t begun; /* the last attempt */
	uint32_t retry;
	bool refused;
	bool failed; /* the last attempt did */
	char problem[REASON_LEN];
	struct http_call *call;
	struct event *timer;
	struct event *notify;
	struct waiters waiters;
	uint64_t turn; /* of notify_event() */
} token;

static void attempt(void);
static void timer_event(evutil_socket_t, short, void *);
static void notify_event(evutil_socket_t, short, void *);
static void exchanged(const struct http_reply *, void *);
static void take(const struct msg_token *);
static void take_assertion(const struct imsg *);
static uint32_t lifetime(const json_t *);
static void failed(const char *, bool);
static void drop_current(void);
static void rest(int64_t);
static void schedule(struct event *, int64_t);
static void notify(void);

/* To be called once, before anything else here; errors are fatal. */
void
token_init(struct event_base *base)
{
	TAILQ_INIT(&token.waiters);
	token.timer = evtimer_new(base, timer_event, NULL);
	token.notify = evtimer_new(base, notify_event, NULL);
	if (token.timer == NULL || token.notify == NULL)
		fatalx("%s: out of memory", __func__);
	strlcpy(token.problem, "no token endpoint is configured",
	    sizeof(token.problem));
}

/*
 * Where tokens come from: the token_uri of the key, or a metadata server that
 * the actuator asks.  Another one makes the token that there is worthless; the
 * same one changes nothing.  An empty URL: no token is to be had.
 */
void
token_source(const struct msg_token_uri *source)
{
	if (strcmp(token.source.url, source->url) == 0 &&
	    token.source.metadata == source->metadata)
		return;
	token.source = *source;
	drop_current();
	if (token.call != NULL)
		http_cancel(token.call);
	token.call = NULL;
	evtimer_del(token.timer);
	if (source->url[0] == '\0') {
		token.state = TOKEN_NONE;
		token.failed = true;
		strlcpy(token.problem, "no token endpoint is configured",
		    sizeof(token.problem));
		notify();
		return;
	}
	token.retry = 0;
	attempt();
}

/* The access token, or NULL.  Valid until the event loop runs again. */
const char *
token_current(void)
{
	if (token.current != NULL && http_now() >= token.expires)
		drop_current();
	return (token.current);
}

/* Why there is no token, for people. */
const char *
token_problem(void)
{
	return (token.problem);
}

/*
 * A server answered this token with 401.  It is dropped and a new one fetched;
 * a token that has been replaced meanwhile is no news.  Of one that has only
 * just come, it is not the token that is wrong: it stays, for what it serves
 * elsewhere.
 */
void
token_refused(const char *refused)
{
	if (token.current == NULL || refused == NULL ||
	    strcmp(token.current, refused) != 0)
		return;
	if (token.state == TOKEN_RESTING &&
	    http_now() - token.begun < REFUSED_MIN)
		return;
	drop_current();
	token.refused = true;
	token.failed = false;
	strlcpy(token.problem, "the access token was refused (HTTP 401)",
	    sizeof(token.problem));
	if (token.state == TOKEN_RESTING)
		attempt();
}

/*
 * Something came that the last attempt may have failed for, such as addresses:
 * do not wait for the time of the next one.
 */
void
token_retry(void)
{
	if (token.state == TOKEN_RESTING && token.failed)
		attempt();
}

/*
 * Have cb called, later and once: when there is a token, or when the attempt
 * to get one has failed, even if that was before.
 */
void
token_when_ready(void (*cb)(void *), void *arg)
{
	struct waiter *waiter;

	waiter = calloc(1, sizeof(*waiter));
	if (waiter == NULL)
		fatal("%s", __func__);
	waiter->cb = cb;
	waiter->arg = arg;
	waiter->born = token.turn;
	TAILQ_INSERT_TAIL(&token.waiters, waiter, entry);
	if (token_current() != NULL)
		notify();
	else if (token.state == TOKEN_NONE ||
	    (token.failed && token.state == TOKEN_RESTING)) {
		waiter->due = true;
		schedule(token.notify, TELL_AGAIN);
	}
}

/* Take back what token_when_ready() was asked with the same arguments. */
void
token_forget_waiter(void (*cb)(void *), void *arg)
{
	struct waiter *waiter;

	TAILQ_FOREACH(waiter, &token.waiters, entry) {
		if (waiter->cb != cb || waiter->arg != arg)
			continue;
		TAILQ_REMOVE(&token.waiters, waiter, entry);
		free(waiter);
		return;
	}
}

/* Take what the parent sends of assertions and tokens.  Returns false if the
 * message is of another kind. */
bool
token_message(const struct imsg *imsg)
{
	struct msg_failure failure;
	struct msg_token given;
	char text[REASON_LEN + 32];

	switch (imsg->hdr.type) {
	case IMSG_ASSERTION:
		if (token.state == TOKEN_ASSERTING)
			take_assertion(imsg);
		return (true);
	case IMSG_ASSERT_FAILED:
		if (token.state != TOKEN_ASSERTING)
			return (true);
		imsg_get_data(imsg, &failure, sizeof(failure));
		snprintf(text, sizeof(text), "no assertion: %s",
		    failure.reason);
		failed(text, false);
		return (true);
	case IMSG_TOKEN:
		imsg_get_data(imsg, &given, sizeof(given));
		token_given(&given);
		explicit_bzero(&given, sizeof(given));
		return (true);
	case IMSG_TOKEN_FAILED:
		imsg_get_data(imsg, &failure, sizeof(failure));
		token_not_given(failure.reason);
		return (true);
	default:
		return (false);
	}
}

/* The token of a metadata server that was asked for.  It stays the caller's to
 * wipe. */
void
token_given(const struct msg_token *given)
{
	if (token.state == TOKEN_WANTING)
		take(given);
}

/* The metadata server gave none, and why. */
void
token_not_given(const char *why)
{
	char text[REASON_LEN + 32];

	if (token.state != TOKEN_WANTING)
		return;
	snprintf(text, sizeof(text), "metadata server: %s", why);
	failed(text, true);
}

/* Exchange an assertion.  The parent's copy is not ours to wipe. */
static void
take_assertion(const struct imsg *imsg)
{
	struct http_request request;
	const unsigned char *jwt = imsg->data;
	char *form;
	size_t i, len;

	for (i = 0; i < imsg->len; i++) {
		/* base64url and dots: nothing has to be escaped */
		if (jwt[i] <= ' ' || jwt[i] > 'z' ||
		    strchr("%&+=", jwt[i]) != NULL) {
			failed("the assertion has a character that it may not "
			       "have",
			    false);
			return;
		}
	}
	len = strlen(FORM) + imsg->len;
	form = malloc(len + 1);
	if (form == NULL)
		fatal("%s", __func__);
	memcpy(form, FORM, strlen(FORM));
	memcpy(form + strlen(FORM), imsg->data, imsg->len);
	form[len] = '\0';

	memset(&request, 0, sizeof(request));
	request.method = HTTP_POST;
	request.called = CALLED_OAUTH;
	request.url = token.source.url;
	request.content_type = "application/x-www-form-urlencoded";
	request.body = form;
	request.body_len = len;
	request.connect_timeout = CONNECT_TIME;
	request.timeout = EXCHANGE_TIME;
	request.write = true; /* everything else waits for it */
	token.state = TOKEN_EXCHANGING;
	evtimer_del(token.timer);
	token.call = http_start(&request, exchanged, NULL);
	freezero(form, len);
}

/* Ask for an assertion, or for a token; the rest follows when it comes. */
static void
attempt(void)
{
	struct msg_assert msg;

	token.begun = http_now();
	if (token.source.metadata) {
		token.state = TOKEN_WANTING;
		child_send(IMSG_TOKEN_WANTED, 0, NULL, 0);
		rest(GIVEN_TIMEOUT);
		return;
	}
	token.state = TOKEN_ASSERTING;
	memset(&msg, 0, sizeof(msg));
	msg.refused = token.refused;
	child_send(IMSG_ASSERT, 0, &msg, sizeof(msg));
	rest(ASSERT_TIMEOUT);
}

static void
timer_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (token.state == TOKEN_ASSERTING)
		failed("no assertion came from the signer", true);
	else if (token.state == TOKEN_WANTING)
		failed("no token came from the actuator", true);
	else if (token.state == TOKEN_RESTING)
		attempt();
}

/* The token endpoint has answered. */
static void
exchanged(const struct http_reply *reply, void *arg)
{
	char reason[REASON_LEN], text[REASON_LEN + 64];
	struct msg_token answered;
	enum answer answer;

	(void)arg;
	token.call = NULL;
	answer = outcome_token(reply, reason, sizeof(reason));
	if (answer == ANSWER_OK &&
	    token_parse(reply, &answered, reason, sizeof(reason)) == -1)
		answer = ANSWER_TRANSIENT;
	if (answer != ANSWER_OK) {
		snprintf(text, sizeof(text), "token endpoint: %s", reason);
		failed(text, answer == ANSWER_TRANSIENT);
		return;
	}
	take(&answered);
	explicit_bzero(&answered, sizeof(answered));
}

/*
 * Use this token from now on, and set the time of the next one: five minutes
 * before its end, or after half of a short life; a little earlier, so that many
 * do not come at once.
 */
static void
take(const struct msg_token *given)
{
	int64_t life = (int64_t)given->lifetime * 1000, margin;

	drop_current();
	token.current = strdup(given->token);
	if (token.current == NULL)
		fatal("%s", __func__);
	token.expires = http_now() + life;
	margin = life > 2 * MARGIN ? MARGIN : life / 2;
	margin += arc4random_uniform((uint32_t)margin / 10 + 1);
	token.state = TOKEN_RESTING;
	token.refused = token.failed = false;
	token.retry = 0;
	token.problem[0] = '\0';
	rest(life - margin);
	log_debug("new access token, renewed in %lld s",
	    (long long)(life - margin) / 1000);
	notify();
}

/*
 * Take the token out of an answer (RFC 6749 section 5.1), for the caller to
 * wipe.  Returns -1 and why where there is none that can be used.
 */
int
token_parse(const struct http_reply *reply, struct msg_token *parsed, char *why,
    size_t len)
{
	const char *text, *type, *p;
	json_t *body;

	body = json_answer(reply->body, reply->body_len, why, len);
	if (body == NULL)
		return (-1);
	text = json_text(body, "access_token");
	type = json_text(body, "token_type");
	snprintf(why, len, "the answer has no access token that can be used");
	memset(parsed, 0, sizeof(*parsed));
	if (text == NULL || text[0] == '\0' || strlen(text) >= TOKEN_LEN ||
	    (type != NULL && strcasecmp(type, "Bearer") != 0))
		goto fail;
	for (p = text; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~')
			goto fail;
	}
	strlcpy(parsed->token, text, sizeof(parsed->token));
	parsed->lifetime = lifetime(body);
	/* jansson does not wipe what it frees. */
	explicit_bzero((char *)(uintptr_t)text, strlen(text));
	json_decref(body);
	return (0);
fail:
	json_decref(body);
	return (-1);
}

/* Seconds that the token is good for. */
static uint32_t
lifetime(const json_t *body)
{
	const json_t *value;
	int64_t life;

	value = json_object_get(body, "expires_in");
	if (!json_is_number(value))
		return (LIFE_DEFAULT);
	life = json_is_integer(value) ? json_integer_value(value) :
					LIFE_DEFAULT;
	if (life < 1)
		life = 1;
	return (life > LIFETIME_MAX ? LIFETIME_MAX : (uint32_t)life);
}

/*
 * An attempt has failed.  The next comes soon, then ever more slowly; where
 * somebody has to mend something first the key file is read again for it.
 */
static void
failed(const char *why, bool transient)
{
	uint32_t wait;

	strlcpy(token.problem, why, sizeof(token.problem));
	token.failed = true;
	token.state = TOKEN_RESTING;
	if (token.current == NULL || http_now() >= token.expires)
		log_warnx("no access token: %s", why);
	else
		log_warnx("the access token could not be renewed: %s", why);
	if (!transient)
		token.refused = true;
	token.retry = token.retry == 0 ? RETRY_MIN : token.retry * 2;
	if (token.retry > RETRY_MAX)
		token.retry = RETRY_MAX;
	wait = token.retry / 2 + arc4random_uniform(token.retry / 2 + 1);
	rest(wait);
	notify();
}

static void
drop_current(void)
{
	if (token.current != NULL)
		freezero(token.current, strlen(token.current));
	token.current = NULL;
}

/* Have timer_event() called in so many milliseconds. */
static void
rest(int64_t ms)
{
	schedule(token.timer, ms);
}

static void
schedule(struct event *ev, int64_t ms)
{
	struct timeval tv;

	tv.tv_sec = ms / 1000;
	tv.tv_usec = (ms % 1000) * 1000;
	if (evtimer_add(ev, &tv) == -1)
		fatal("%s", __func__);
}

/* Those who wait now are called from the event loop. */
static void
notify(void)
{
	struct waiter *waiter;

	TAILQ_FOREACH(waiter, &token.waiters, entry)
		waiter->due = true;
	event_active(token.notify, EV_TIMEOUT, 0);
}

/* A waiter may forget another; one that waits again is not called again from
 * here. */
static void
notify_event(evutil_socket_t fd, short what, void *arg)
{
	struct waiter *waiter;

	(void)fd;
	(void)what;
	(void)arg;
	token.turn++;
	for (;;) {
		TAILQ_FOREACH(waiter, &token.waiters, entry) {
			if (waiter->due && waiter->born < token.turn)
				break;
		}
		if (waiter == NULL)
			break;
		TAILQ_REMOVE(&token.waiters, waiter, entry);
		waiter->cb(waiter->arg);
		free(waiter);
	}
}
