/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * Connectivity tests: what will be needed in a disaster is tried before, when
 * the daemon starts, once a day while all is quiet, and when somebody asks for
 * it.  The prober and the actuator test what they hold; here is when, and what
 * is told of it.  The failovers of a round come one after another.
 */

#define DAY	   (24 * 3600 * 1000LL) /* from the end of a round; milliseconds */
#define NOT_QUIET  (5 * 60 * 1000LL)
#define PAUSE	   (5 * 1000LL) /* between two failovers of a daemon */
#define GRACE	   (5 * 1000LL) /* that a child may be late */
#define TOKEN_TIME (2 * 1000LL) /* the actuator may wait for a new one */

static struct {
	const struct conf *conf;
	struct channel *channel[ROLE_MAX];
	uint64_t number;		/* of the round */
	const struct failover_conf *fc; /* being tested, or NULL */
	const struct failover_conf *next;
	bool awaited[ROLE_MAX];
	unsigned int results[ROLE_MAX];
	struct event *timer; /* patience with the children, or until what is
				next */
	/* Of a round that somebody has asked for. */
	void (*done)(bool failed); /* NULL: the daemon's */
	bool failed;
	int width;	      /* of the names of the failovers */
	char *text[ROLE_MAX]; /* the lines of a failover */
} tests;

static const enum role testers[] = { ROLE_PROBER, ROLE_ACTUATOR };

#define TESTERS (sizeof(testers) / sizeof(testers[0]))

static void connectivity_event(evutil_socket_t, short, void *);

static void
connectivity_after(int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (evtimer_add(tests.timer, &tv) == -1)
		fatalx("evtimer_add");
}

/* As long as all calls of both children may take, one after another. */
static int64_t
connectivity_patience(const struct failover_conf *fc)
{
	const struct timeouts *timeout = &fc->timeout;

	return (3 * (int64_t)timeout->api + timeout->health +
	    3 * (int64_t)timeout->cloudflare + timeout->cloudflare_bulk +
	    TOKEN_TIME + GRACE);
}

static void
connectivity_failover(const struct failover_conf *fc)
{
	struct msg_test msg = { .test = tests.number };
	enum role role;
	size_t i;

	tests.fc = fc;
	tests.next = TAILQ_NEXT(fc, entry);
	for (i = 0; i < TESTERS; i++) {
		role = testers[i];
		tests.awaited[role] = true;
		tests.results[role] = 0;
		channel_send(tests.channel[role], IMSG_TEST, fc->index, &msg,
		    sizeof(msg));
	}
	connectivity_after(connectivity_patience(fc));
}

static void
connectivity_round(void)
{
	tests.number++;
	connectivity_failover(TAILQ_FIRST(&tests.conf->failovers));
}

static void
connectivity_init(struct event_base *base, const struct conf *conf,
    struct channel *prober, struct channel *actuator)
{
	tests.conf = conf;
	tests.channel[ROLE_PROBER] = prober;
	tests.channel[ROLE_ACTUATOR] = actuator;
	if (tests.timer == NULL)
		tests.timer = evtimer_new(base, connectivity_event, NULL);
	if (tests.timer == NULL)
		fatalx("evtimer_new");
}

/*
 * Test all failovers of the configuration now, whatever goes on, and every
 * day; only the first cycle, which is due as well, goes before.  conf has to
 * outlive that, or connectivity_stop() to be called before.
 */
void
connectivity_start(struct event_base *base, const struct conf *conf,
    struct channel *prober, struct channel *actuator)
{
	connectivity_init(base, conf, prober, actuator);
	tests.next = TAILQ_FIRST(&conf->failovers);
	tests.number++;
	connectivity_after(0);
}

/*
 * Test all failovers once, with a line for each test on standard output; done
 * is called at the end.
 */
void
connectivity_once(struct event_base *base, const struct conf *conf,
    struct channel *prober, struct channel *actuator, void (*done)(bool failed))
{
	const struct failover_conf *fc;
	int width;

	TAILQ_FOREACH(fc, &conf->failovers, entry) {
		width = (int)strlen(fc->name);
		if (width > tests.width)
			tests.width = width;
	}
	tests.done = done;
	connectivity_init(base, conf, prober, actuator);
	connectivity_round();
}

/* Test nothing any more; what is under way is forgotten. */
void
connectivity_stop(void)
{
	size_t i;

	if (tests.timer != NULL)
		event_free(tests.timer);
	tests.timer = NULL;
	tests.fc = tests.next = NULL;
	for (i = 0; i < TESTERS; i++) {
		free(tests.text[testers[i]]);
		tests.text[testers[i]] = NULL;
	}
}

/* A child may have been taken over: no control character of its text, be it
 * of ASCII or of C1 in UTF-8, reaches a terminal. */
static void
make_plain(char *text)
{
	unsigned char c, before = 0;

	for (; *text != '\0'; text++) {
		c = (unsigned char)*text;
		if (before == 0xc2 && c >= 0x80 && c < 0xa0)
			text[-1] = *text = '?';
		else if (c < ' ' || c == 0x7f)
			*text = '?';
		before = c;
	}
}

/* Add a line to those of a child; they are printed together. */
static void
connectivity_line(enum role role, const struct msg_tested *msg)
{
	static const char *const words[] = {
		[RESULT_SUCCESS] = "ok",
		[RESULT_FAILURE] = "FAILED",
		[RESULT_NO_CHANGE] = "ok",
		[RESULT_SKIPPED] = "skipped",
	};
	const char *before = tests.text[role];
	char *text;

	if (asprintf(&text, "%s%-7s  %-*s  %-8s  %-21s  %s%s%s\n",
		before == NULL ? "" : before, words[msg->result], tests.width,
		tests.fc->name, role_name(role), msg->operation, msg->subject,
		*msg->error == '\0' ? "" : ": ", msg->error) == -1)
		fatal("connectivity");
	free(tests.text[role]);
	tests.text[role] = text;
}

static void
connectivity_log(enum role role, const struct msg_tested *msg)
{
	const char *name = tests.fc->name;

	if (msg->result == RESULT_FAILURE)
		log_errorx("%s: test %s %s (%s) failed: %s", name,
		    msg->operation, msg->subject, role_name(role), msg->error);
	else
		log_info("%s: test %s %s (%s) %s%s%s", name, msg->operation,
		    msg->subject, role_name(role),
		    msg->result == RESULT_SKIPPED ? "skipped" : "ok",
		    *msg->error == '\0' ? "" : ": ", msg->error);
}

static void
connectivity_result(enum role role, struct msg_tested *msg)
{
	struct event_head head = {
		.type = "connectivity_test",
		.result = msg->result,
		.component = msg->api == API_CLOUDFLARE ? "cloudflare" : "gcp",
		.operation = msg->operation,
		.failover = tests.fc->name,
		.duration = msg->duration,
		.error = msg->error,
	};

	tests.results[role]++;
	make_plain(msg->operation);
	make_plain(msg->subject);
	make_plain(msg->error);
	if (msg->result == RESULT_FAILURE)
		tests.failed = true;
	if (tests.done != NULL) {
		connectivity_line(role, msg);
		return;
	}
	connectivity_log(role, msg);
	event_emit(&head,
	    json_pack("{s:s, s:o, s:s, s:o}", "target", msg->subject,
		"http_status",
		msg->http_status <= 0 ? json_null() :
					json_integer(msg->http_status),
		"process", role_name(role), "why",
		msg->result == RESULT_FAILURE || *msg->error == '\0' ?
		    json_null() :
		    json_string(msg->error)));
}

/* A child has not said what it should. */
static void
connectivity_silent(enum role role, const char *why)
{
	struct msg_tested msg = {
		.test = tests.number,
		.api = API_COMPUTE,
		.result = RESULT_FAILURE,
	};

	strlcpy(msg.operation, "answer", sizeof(msg.operation));
	strlcpy(msg.subject, role_name(role), sizeof(msg.subject));
	strlcpy(msg.error, why, sizeof(msg.error));
	connectivity_result(role, &msg);
}

/* The round is over. */
static void
connectivity_end(void)
{
	if (tests.done == NULL) {
		connectivity_after(DAY);
		return;
	}
	if (fflush(stdout) == EOF || ferror(stdout)) {
		log_warn("standard output");
		tests.failed = true;
	}
	tests.done(tests.failed);
}

/* The failover has been tested: on to the next. */
static void
connectivity_done(void)
{
	enum role role;
	size_t i;

	tests.fc = NULL;
	evtimer_del(tests.timer);
	for (i = 0; i < TESTERS; i++) {
		role = testers[i];
		if (tests.text[role] != NULL)
			(void)fputs(tests.text[role], stdout);
		free(tests.text[role]);
		tests.text[role] = NULL;
	}
	if (tests.next == NULL)
		connectivity_end();
	else if (tests.done == NULL)
		connectivity_after(PAUSE);
	else {
		(void)fflush(stdout);
		connectivity_failover(tests.next);
	}
}

/* Patience is over; or it is time for the next failover, or the next round. */
static void
connectivity_event(evutil_socket_t fd __unused, short what __unused,
    void *arg __unused)
{
	size_t i;

	if (tests.fc != NULL) {
		for (i = 0; i < TESTERS; i++)
			if (tests.awaited[testers[i]])
				connectivity_silent(testers[i],
				    "it has not tested in time");
		connectivity_done();
	} else if (tests.next != NULL)
		connectivity_failover(tests.next);
	else if (engine_quiet())
		connectivity_round();
	else
		connectivity_after(NOT_QUIET);
}

/* Is that of the tests that are under way?  If not, it is of others that are
 * over. */
static bool
is_awaited(enum role role, uint32_t failover, uint64_t number)
{
	return (tests.fc != NULL && failover == tests.fc->index &&
	    number == tests.number && tests.awaited[role]);
}

static void
take_result(enum role role, const struct imsg *imsg)
{
	struct msg_tested msg;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (!is_awaited(role, imsg->hdr.id, msg.test))
		return;
	if (strcmp(msg.operation, "verify_token") == 0 && tests.done == NULL)
		report_expiry(imsg->hdr.id, msg.expires);
	connectivity_result(role, &msg);
}

static void
take_end(enum role role, const struct imsg *imsg)
{
	struct msg_test msg;
	size_t i;

	imsg_get_data(imsg, &msg, sizeof(msg));
	if (!is_awaited(role, imsg->hdr.id, msg.test))
		return;
	tests.awaited[role] = false;
	if (tests.results[role] == 0)
		connectivity_silent(role, "it has tested nothing");
	for (i = 0; i < TESTERS; i++)
		if (tests.awaited[testers[i]])
			return;
	connectivity_done();
}

/* Take what the prober or the actuator has tested. */
void
connectivity_message(enum role role, const struct imsg *imsg)
{
	if (imsg->hdr.type == IMSG_TESTED)
		take_result(role, imsg);
	else
		take_end(role, imsg);
}
