/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "logfile.h"
#include "mtgcpd.h"

/*
 * Events: one JSON object a line, all keys present and in a fixed order, null
 * where there is nothing to say.
 */

static struct {
	struct logfile file;
	bool debug;
	bool to_stderr;
	void (*follower)(const char *, size_t);
} events = { .file = { .fd = -1, .what = "events" } };

static const char *const result_names[] = {
	[RESULT_SUCCESS] = "success",
	[RESULT_FAILURE] = "failure",
	[RESULT_NO_CHANGE] = "no_change",
	[RESULT_SKIPPED] = "skipped",
};

/*
 * Open the event file that the configuration names, if any.  conf must outlive
 * the events.  Returns -1 and says why on standard error if it cannot be
 * opened.
 */
int
event_open(const struct conf *conf)
{
	events.to_stderr = conf->events_stderr;
	events.debug = conf->log_level >= LOG_DEBUG;
	if (logfile_open(&events.file, conf->events_file,
		&conf->events_rotation) == -1) {
		fprintf(stderr, "mt-gcpd: %s: %s\n", conf->events_file,
		    strerror(errno));
		return (-1);
	}
	return (0);
}

/* How often has an event file been opened?  A new one begins to be written
 * each time: what the events of the old one have told is not known there. */
unsigned int
event_opened(void)
{
	return (events.file.begun);
}

/* Go on as a new configuration, which must outlive the events, says; a file
 * that cannot be opened leaves the old one in use. */
void
event_reload(const struct conf *conf)
{
	events.to_stderr = conf->events_stderr;
	events.debug = conf->log_level >= LOG_DEBUG;
	logfile_reload(&events.file, conf->events_file, &conf->events_rotation);
}

/* Open the event file anew, after a log rotation has moved it away. */
void
event_reopen(void)
{
	logfile_reopen(&events.file);
}

static json_t *
event_string(const char *text)
{
	if (text == NULL || *text == '\0')
		return (json_null());
	return (json_string(text));
}

static void
event_write(const char *line, size_t len)
{
	if (events.to_stderr)
		(void)!write(STDERR_FILENO, line, len);
	logfile_write(&events.file, line, len);
}

/*
 * Write one event.  Takes ownership of details (NULL: an empty object).
 * Events whose result is no_change are for debugging only.
 */
void
event_emit(const struct event_head *head, json_t *details)
{
	json_t *event;
	char *text;
	size_t len;

	if ((head->debug || head->result == RESULT_NO_CHANGE) &&
	    !events.debug) {
		json_decref(details);
		return;
	}
	if (details == NULL)
		details = json_object();
	event = json_pack("{s:f, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}",
	    "timestamp", (double)wall_ms() / 1000.0, "event_type", head->type,
	    "result", result_names[head->result], "component", head->component,
	    "operation", head->operation, "failover",
	    event_string(head->failover), "correlation_id",
	    event_string(head->corr), "duration_ms",
	    head->duration < 0 ? json_null() : json_integer(head->duration),
	    "error_message",
	    head->result == RESULT_FAILURE ? event_string(head->error) :
					     json_null(),
	    "details", details);
	if (event == NULL) {
		log_warnx("event %s: out of memory", head->type);
		return;
	}
	text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(13));
	json_decref(event);
	if (text == NULL) {
		log_warnx("event %s: out of memory", head->type);
		return;
	}
	len = strlen(text);
	report_event(text, len);
	text[len++] = '\n'; /* in place of the NUL: write() needs none */
	event_write(text, len);
	if (events.follower != NULL)
		events.follower(text, len);
	free(text);
}

/* A verdict as events show it: true, false or null. */
json_t *
event_verdict(enum verdict verdict)
{
	if (verdict == V_UNKNOWN)
		return (json_null());
	return (json_boolean(verdict == V_YES));
}

/* A result, by its name. */
const char *
event_result(enum outcome result)
{
	return (result_names[result]);
}

/* What a candidate waits for, as events show it; null: there is none. */
json_t *
event_waiting(const struct decision *decision)
{
	if (decision->pending == PENDING_NONE)
		return (json_null());
	return (json_pack("{s:i, s:s, s:i, s:o}", "candidate",
	    decision->candidate, "waits_for", pending_name(decision->pending),
	    "cycles_left", (int)decision->verify_left, "seconds_left",
	    decision->pending_left < 0 ?
		json_null() :
		json_real((double)decision->pending_left / 1000.0)));
}

/* Have follower called with every event, as a line; NULL: nobody. */
void
event_follow(void (*follower)(const char *, size_t))
{
	events.follower = follower;
}

/* Close the event file. */
void
event_close(void)
{
	logfile_close(&events.file);
}
