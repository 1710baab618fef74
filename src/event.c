/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * Events: one JSON object a line, all keys present and in a fixed order, null
 * where there is nothing to say.
 */

static struct {
	const char *path;
	int fd;
	unsigned int opened; /* how often, up to now */
	bool full;	     /* a write failed, and that was said */
	bool debug;
	bool to_stderr;
} events = { .fd = -1 };

static const char *const result_names[] = {
	[RESULT_SUCCESS] = "success",
	[RESULT_FAILURE] = "failure",
	[RESULT_NO_CHANGE] = "no_change",
	[RESULT_SKIPPED] = "skipped",
};

static int
event_file(void)
{
	return (open(events.path,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
}

/*
 * Open the event file that the configuration names, if any.  conf must outlive
 * the events.  Returns -1 and says why on standard error if it cannot be
 * opened.
 */
int
event_open(const struct conf *conf)
{
	events.path = conf->events_file;
	events.to_stderr = conf->events_stderr;
	events.debug = conf->log_level >= LOG_DEBUG;
	if (events.path == NULL)
		return (0);
	events.fd = event_file();
	if (events.fd == -1) {
		fprintf(stderr, "mt-gcpd: %s: %s\n", events.path,
		    strerror(errno));
		return (-1);
	}
	events.opened++;
	return (0);
}

/* How often has an event file been opened?  A new one begins to be written
 * each time: what the events of the old one have told is not known there. */
unsigned int
event_opened(void)
{
	return (events.opened);
}

/* Go on as a new configuration, which must outlive the events, says; a file
 * that cannot be opened leaves the old one in use. */
void
event_reload(const struct conf *conf)
{
	bool moved = events.path == NULL || conf->events_file == NULL ||
	    strcmp(events.path, conf->events_file) != 0;

	events.path = conf->events_file;
	events.to_stderr = conf->events_stderr;
	events.debug = conf->log_level >= LOG_DEBUG;
	if (events.path == NULL)
		event_close();
	else if (moved)
		event_reopen();
}

/* Open the event file anew, after a log rotation has moved it away. */
void
event_reopen(void)
{
	int fd;

	if (events.path == NULL)
		return;
	fd = event_file();
	if (fd == -1) {
		log_warn("%s: cannot be reopened", events.path);
		return;
	}
	if (events.fd != -1)
		close(events.fd);
	events.fd = fd;
	events.opened++;
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
	if (events.fd == -1)
		return;
	if (write(events.fd, line, len) == (ssize_t)len) {
		if (events.full)
			log_info("%s: can be written again", events.path);
		events.full = false;
		return;
	}
	if (!events.full)
		log_warn("%s: events are being lost", events.path);
	events.full = true;
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
	text[len++] = '\n'; /* in place of the NUL: write() needs none */
	event_write(text, len);
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

/* Close the event file. */
void
event_close(void)
{
	if (events.fd != -1)
		close(events.fd);
	events.fd = -1;
}
