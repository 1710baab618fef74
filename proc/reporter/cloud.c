/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backoff.h"
#include "child.h"
#include "cloud.h"
#include "gcp.h"
#include "http.h"
#include "log.h"
#include "queue.h"
#include "reporter.h"
#include "token.h"

/*
 * Cloud Logging: the events, in order and in batches, each with an insertId of
 * its own, so that one which is written again after an answer was lost is shown
 * once (Cloud Logging, LogEntry.insertId).
 */

#define BATCH_ENTRIES 200
#define BATCH_BYTES   (1024 * 1024)
#define LINGER	      100 /* milliseconds that an event waits for others */
#define NONCE_LEN     17
#define TIME_MAX      253402300799.0 /* the end of the year 9999 */

static struct {
	struct msg_conf_cloud conf;
	json_t *head; /* what all requests begin with; NULL: no configuration */
	char url[URL_LEN];
	struct queue queue;
	char nonce[NONCE_LEN]; /* of this process, in every insertId */
	char *coming;	       /* the event that comes in */
	size_t coming_len;
	struct event *timer; /* until the next attempt */
	struct http_call *call;
	bool waiting; /* for a token */
	unsigned int tries;
	size_t singly; /* events to be written alone: one was refused */
	bool failing;  /* and that was said */
	bool dropping; /* likewise */
	bool stopping;
} cloud;

static void attempt(evutil_socket_t, short, void *);
static void written(const struct http_reply *, void *);

/* To be called once, before the process confines itself. */
void
cloud_prepare(struct event_base *base)
{
	queue_init(&cloud.queue);
	snprintf(cloud.nonce, sizeof(cloud.nonce), "%08x%08x", arc4random(),
	    arc4random());
	cloud.timer = evtimer_new(base, attempt, NULL);
	if (cloud.timer == NULL)
		fatalx("evtimer_new");
	token_init(base);
}

static void
after(int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (evtimer_add(cloud.timer, &tv) == -1)
		fatal("%s", __func__);
}

/* There may be something to write: soon, unless that is under way, or it was
 * just found that it cannot be done. */
static void
next(void)
{
	if (cloud.call != NULL || cloud.waiting || cloud.head == NULL ||
	    evtimer_pending(cloud.timer, NULL))
		return;
	if (cloud.queue.count > 0)
		after(cloud.stopping ? 0 : LINGER);
	else if (cloud.stopping)
		exit(0);
}

/* What all requests have in common. */
static json_t *
request_head(const struct msg_conf_cloud *conf)
{
	char *escaped, *name;
	json_t *head;

	escaped = url_escape(conf->log);
	if (asprintf(&name, "projects/%s/logs/%s", conf->project, escaped) ==
	    -1)
		fatal("%s", __func__);
	head = json_pack("{s:s, s:{s:s, s:{s:s, s:s, s:s, s:s}}, s:b}",
	    "logName", name, "resource", "type", "generic_node", "labels",
	    "project_id", conf->project, "location", conf->location,
	    "namespace", "mt-gcpd", "node_id", conf->node, "partialSuccess", 1);
	free(escaped);
	free(name);
	return (head);
}

/* Write to that log from now on; url is that of the API.  Only UTF-8 can be
 * written, and the parent has no other. */
void
cloud_configure(const struct msg_conf_cloud *conf, const char *url)
{
	json_t *head = request_head(conf);

	if (head == NULL)
		fatalx("%s: no UTF-8, or no memory", __func__);
	json_decref(cloud.head);
	cloud.head = head;
	cloud.conf = *conf;
	strlcpy(cloud.url, url, sizeof(cloud.url));
	next();
}

/* Events that will never be written, counted, and said once. */
void
cloud_dropped(uint64_t count)
{
	if (count == 0)
		return;
	world.dropped += count;
	if (!cloud.dropping)
		log_warnx("Cloud Logging does not keep up: events are dropped, "
			  "the oldest first");
	cloud.dropping = true;
}

/* A part of an event. */
void
cloud_chunk(const void *data, size_t len)
{
	char *grown;

	if (len > EVENT_MAX - cloud.coming_len)
		fatalx("%s: too much", __func__);
	grown = realloc(cloud.coming, cloud.coming_len + len + 1);
	if (grown == NULL)
		fatal("%s", __func__);
	memcpy(grown + cloud.coming_len, data, len);
	cloud.coming = grown;
	cloud.coming_len += len;
	cloud.coming[cloud.coming_len] = '\0';
}

/* The event is whole. */
void
cloud_event(void)
{
	if (cloud.coming == NULL)
		return;
	cloud_dropped(queue_add(&cloud.queue, cloud.coming, cloud.coming_len));
	cloud.coming = NULL;
	cloud.coming_len = 0;
	next();
}

/* Write what is queued, without waiting for anything, and exit. */
void
cloud_stop(void)
{
	cloud.stopping = true;
	if (cloud.waiting || cloud.head == NULL)
		exit(0);
	if (cloud.call == NULL)
		evtimer_del(cloud.timer);
	next();
}

static bool
is_one_of(const char *type, const char *const *types)
{
	for (; *types != NULL; types++)
		if (strcmp(type, *types) == 0)
			return (true);
	return (false);
}

/* How important an event is, by what it is and how that ended. */
const char *
event_severity(const char *type, const char *result)
{
	/* What fails there is what is being watched, and is looked at again. */
	static const char *const watched[] = { "health_check_cycle",
		"health_check_result", "circuit_breaker_event", NULL };
	static const char *const notable[] = { "state_transition",
		"bgp_advertisement_change", "cloudflare_route_update",
		"daemon_lifecycle", "operator_command", "drift_repaired",
		NULL };

	if (strcmp(result, "failure") == 0)
		return (is_one_of(type, watched) ? "WARNING" : "ERROR");
	if (strcmp(result, "no_change") == 0)
		return ("DEBUG");
	return (is_one_of(type, notable) ? "NOTICE" : "INFO");
}

/* Seconds since the epoch as an RFC 3339 time; the epoch for what is none. */
static void
event_time(double when, char *buf, size_t len)
{
	bool known = when >= 0 && when <= TIME_MAX;
	int64_t ms = known ? (int64_t)(when * 1000 + 0.5) : 0;
	time_t second = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	if (gmtime_r(&second, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		strlcpy(buf, "1970-01-01T00:00:00Z", len);
		return;
	}
	snprintf(buf, len, "%s.%03dZ", text, (int)(ms % 1000));
}

/* The entry of an event; NULL if it is no JSON object. */
static json_t *
log_entry(const struct entry *event)
{
	const char *type, *result, *failover;
	json_t *payload, *entry;
	char id[64], when[64];

	payload = json_loadb(event->text, event->len, JSON_REJECT_DUPLICATES,
	    NULL);
	if (!json_is_object(payload)) {
		json_decref(payload);
		return (NULL);
	}
	type = json_text(payload, "event_type");
	result = json_text(payload, "result");
	failover = json_text(payload, "failover");
	snprintf(id, sizeof(id), "%s-%012llx", cloud.nonce,
	    (unsigned long long)event->number);
	event_time(json_number_value(json_object_get(payload, "timestamp")),
	    when, sizeof(when));
	entry = json_pack("{s:s, s:s, s:s}", "timestamp", when, "severity",
	    event_severity(type == NULL ? "" : type,
		result == NULL ? "" : result),
	    "insertId", id);
	if (failover != NULL)
		json_object_set_new(entry, "labels",
		    json_pack("{s:s}", "failover", failover));
	json_object_set_new(entry, "jsonPayload", payload);
	return (entry);
}

/* The body of a request with the entries that have been taken; the caller
 * frees it. */
static char *
request_body(void)
{
	const struct entry *event;
	json_t *entries, *entry;
	char *text;

	entries = json_array();
	STAILQ_FOREACH(event, &cloud.queue.writing, entry) {
		entry = log_entry(event);
		if (entry != NULL)
			json_array_append_new(entries, entry);
	}
	json_object_set_new(cloud.head, "entries", entries);
	text = json_dumps(cloud.head, JSON_COMPACT);
	json_object_del(cloud.head, "entries");
	if (text == NULL)
		fatalx("%s: out of memory", __func__);
	return (text);
}

static void
token_ready(void *arg)
{
	(void)arg;
	cloud.waiting = false;
	if (token_current() != NULL)
		attempt(-1, 0, NULL);
	else if (cloud.stopping)
		exit(0);
	else
		after(backoff_wait(cloud.conf.backoff_initial,
		    cloud.conf.backoff_max, cloud.tries++));
}

/* Write the oldest events, if there is a token. */
static void
attempt(evutil_socket_t fd, short what, void *arg)
{
	struct http_request request;
	char *body, *url;

	(void)fd;
	(void)what;
	(void)arg;
	if (cloud.queue.count == 0) {
		next();
		return;
	}
	if (token_current() == NULL) {
		cloud.waiting = true;
		token_when_ready(token_ready, NULL);
		return;
	}
	queue_take(&cloud.queue, cloud.singly > 0 ? 1 : BATCH_ENTRIES,
	    BATCH_BYTES);
	body = request_body();
	url = url_join(cloud.url, "/entries:write");
	memset(&request, 0, sizeof(request));
	request.method = HTTP_POST;
	request.called = CALLED_LOGGING;
	request.url = url;
	request.bearer = token_current();
	request.content_type = "application/json";
	request.body = body;
	request.body_len = strlen(body);
	request.connect_timeout = cloud.conf.connect_timeout;
	request.timeout = cloud.conf.api_timeout;
	cloud.call = http_start(&request, written, NULL);
	free(body);
	free(url);
}

/* All is well again, or has been all the time. */
static void
succeeded(void)
{
	if (cloud.failing)
		log_info("events are written to Cloud Logging again");
	cloud.failing = cloud.dropping = false;
	cloud.tries = 0;
	if (cloud.singly > 0)
		cloud.singly--;
	queue_remove(&cloud.queue);
}

static void
failed(const struct http_reply *reply, const char *why)
{
	int64_t wait = -1;

	if (cloud.stopping)
		exit(0);
	if (!cloud.failing)
		log_warnx("events cannot be written to Cloud Logging: %s", why);
	else
		log_debug("events cannot be written to Cloud Logging: %s", why);
	cloud.failing = true;
	queue_untake(&cloud.queue);
	if (reply->answered && reply->retry_after[0] != '\0')
		wait = retry_after(reply->retry_after, world_wall() / 1000);
	if (wait < 0)
		wait = backoff_wait(cloud.conf.backoff_initial,
		    cloud.conf.backoff_max, cloud.tries);
	cloud.tries++;
	after(wait);
}

/* The request was refused for what is in it: of a batch, the others have been
 * written, and it is looked for; one event alone never can be. */
static void
refused(const struct http_reply *reply, const char *why)
{
	if (cloud.queue.taken > 1) {
		cloud.singly = cloud.queue.taken;
		failed(reply, why);
		return;
	}
	log_warnx("an event was refused by Cloud Logging: %s", why);
	world.dropped++;
	queue_remove(&cloud.queue);
	if (cloud.singly > 0)
		cloud.singly--;
}

/* Is this the answer of the API, and no other page? */
static bool
is_answer(const struct http_reply *reply, char *why, size_t len)
{
	json_t *json = json_answer(reply->body, reply->body_len, why, len);

	json_decref(json);
	return (json != NULL);
}

static void
written(const struct http_reply *reply, void *arg)
{
	char why[REASON_LEN];
	enum answer answer;

	(void)arg;
	cloud.call = NULL;
	answer = outcome_google(reply, why, sizeof(why));
	if (answer == ANSWER_OK && is_answer(reply, why, sizeof(why)))
		succeeded();
	else if (answer == ANSWER_PERMANENT && reply->status == 400)
		refused(reply, why);
	else {
		if (answer == ANSWER_TOKEN)
			token_refused(reply->bearer);
		failed(reply, why);
	}
	next();
}
