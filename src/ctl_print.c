/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

/*
 * The daemon's answers as text for people: aligned, with ages as 3m12s, and
 * what has not been seen for too long marked STALE.
 */

#define AGE_LEN	    24
#define NOTE_LEN    512
#define SECONDS_MAX 1e15 /* nothing that is shown is so long ago */

static const json_t *
at(const json_t *object, const char *key)
{
	return (json_object_get(object, key));
}

/* Two steps down. */
static const json_t *
in(const json_t *object, const char *outer, const char *inner)
{
	return (at(at(object, outer), inner));
}

static const char *
text(const json_t *object, const char *key)
{
	const char *value = json_string_value(at(object, key));

	return (value == NULL ? "-" : value);
}

static int
number(const json_t *object, const char *key)
{
	return ((int)json_integer_value(at(object, key)));
}

static bool
holds(const json_t *object, const char *key)
{
	return (json_is_true(at(object, key)));
}

/* Whole seconds; false: it is no number, or none that can be a time. */
static bool
whole(const json_t *seconds, long long *s)
{
	double number = json_number_value(seconds);

	if (!json_is_number(seconds) || number < -SECONDS_MAX ||
	    number > SECONDS_MAX)
		return (false);
	*s = (long long)number;
	return (true);
}

/* "3m12s"; "-" where there is no age. */
static const char *
age(const json_t *seconds, char buf[AGE_LEN])
{
	long long s;

	if (!whole(seconds, &s))
		strlcpy(buf, "-", AGE_LEN);
	else if (s < 60)
		snprintf(buf, AGE_LEN, "%llds", s);
	else if (s < 3600)
		snprintf(buf, AGE_LEN, "%lldm%02llds", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, AGE_LEN, "%lldh%02lldm", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, AGE_LEN, "%lldd%02lldh", s / 86400,
		    s % 86400 / 3600);
	return (buf);
}

static const char *
verdict(const json_t *value, const char *yes, const char *no)
{
	return (json_is_true(value)  ? yes :
		json_is_false(value) ? no :
				       "unknown");
}

static const char *
health(const json_t *value)
{
	return (verdict(value, "healthy", "unhealthy"));
}

static const char *
session(const json_t *value)
{
	return (verdict(value, "up", "down"));
}

static const char *
when(const json_t *seconds, char *buf, size_t len)
{
	long long s = 0;
	bool known = whole(seconds, &s);
	time_t t = (time_t)s;
	struct tm tm;

	if (!known || localtime_r(&t, &tm) == NULL ||
	    strftime(buf, len, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		strlcpy(buf, "-", len);
	return (buf);
}

static void
note(char notes[NOTE_LEN], const char *what)
{
	if (*notes != '\0')
		strlcat(notes, ", ", NOTE_LEN);
	strlcat(notes, what, NOTE_LEN);
}

static void
note_order(const json_t *order, const char *what, char notes[NOTE_LEN])
{
	char line[256], buf[AGE_LEN];

	if (!json_is_object(order))
		return;
	strlcpy(line, what, sizeof(line));
	if (json_is_number(at(order, "seconds_left"))) {
		strlcat(line, " for ", sizeof(line));
		strlcat(line, age(at(order, "seconds_left"), buf),
		    sizeof(line));
	}
	if (*text(order, "reason") != '\0') {
		strlcat(line, " (", sizeof(line));
		strlcat(line, text(order, "reason"), sizeof(line));
		strlcat(line, ")", sizeof(line));
	}
	note(notes, line);
}

static void
note_orders(const json_t *orders, char notes[NOTE_LEN])
{
	const json_t *force = at(orders, "force");
	char line[64];

	if (holds(orders, "passive"))
		note(notes, "passive");
	snprintf(line, sizeof(line), "FORCED to state %d",
	    number(force, "state"));
	note_order(force, line, notes);
	note_order(at(orders, "hold"), "HELD", notes);
	if (holds(orders, "braked"))
		note(notes, "BRAKED: wants ack");
	if (json_array_size(at(orders, "contested")) > 0)
		note(notes, "CONTESTED: wants ack");
}

static void
note_pending(const json_t *pending, char notes[NOTE_LEN])
{
	char line[128], buf[AGE_LEN];

	if (!json_is_object(pending))
		return;
	snprintf(line, sizeof(line), "state %d waits for %s",
	    number(pending, "candidate"), text(pending, "waits_for"));
	note(notes, line);
	if (json_is_number(at(pending, "seconds_left")) &&
	    number(pending, "cycles_left") == 0) {
		strlcat(notes, ", ", NOTE_LEN);
		strlcat(notes, age(at(pending, "seconds_left"), buf), NOTE_LEN);
	}
}

static void
note_breakers(const json_t *breakers, char notes[NOTE_LEN])
{
	const json_t *breaker;
	char line[128];
	size_t i;

	json_array_foreach(breakers, i, breaker) {
		if (strcmp(text(breaker, "state"), "closed") == 0)
			continue;
		snprintf(line, sizeof(line), "breaker %s %s",
		    text(breaker, "service"), text(breaker, "state"));
		note(notes, line);
	}
}

/* Everything that is not as it should be, in one line. */
static void
notes_of(const json_t *failover, char notes[NOTE_LEN])
{
	const json_t *cycle = at(failover, "cycle");

	notes[0] = '\0';
	if (holds(cycle, "stale"))
		note(notes, "STALE");
	note_orders(at(failover, "orders"), notes);
	note_pending(in(failover, "state", "pending"), notes);
	if (holds(cycle, "calls_failed"))
		note(notes, "calls failed");
	note_breakers(at(failover, "breakers"), notes);
}

static int
widest(const json_t *failovers)
{
	const json_t *failover;
	int width = 4, len;
	size_t i;

	json_array_foreach(failovers, i, failover) {
		len = (int)strlen(text(failover, "name"));
		width = len > width ? len : width;
	}
	return (width);
}

static void
print_daemon(const json_t *answer)
{
	const json_t *daemon = at(answer, "daemon");
	char buf[AGE_LEN];

	printf("mt-gcpd %s, process %d, running %s, %s\n",
	    text(daemon, "version"), number(daemon, "pid"),
	    age(at(daemon, "running_seconds"), buf), text(daemon, "file"));
}

static void
print_status(const json_t *answer)
{
	const json_t *failovers = at(answer, "failovers");
	int width = widest(failovers);
	const json_t *failover, *state;
	char since[AGE_LEN], last[AGE_LEN], notes[NOTE_LEN];
	size_t i;

	print_daemon(answer);
	printf("%-*s  STATE  FOR     READ  LOCAL      REMOTE     BGP      "
	       "PLAN        SEEN    NOTES\n",
	    width, "NAME");
	json_array_foreach(failovers, i, failover) {
		state = at(failover, "state");
		notes_of(failover, notes);
		printf("%-*s  %-5d  %-6s  %-4d  %-9s  %-9s  %-7s  %-10s  %-6s  "
		       "%s\n",
		    width, text(failover, "name"), number(state, "current"),
		    age(at(state, "seconds"), since), number(state, "read"),
		    health(at(state, "local_healthy")),
		    health(at(state, "remote_healthy")),
		    session(at(state, "remote_bgp_up")),
		    text(at(failover, "plan"), "status"),
		    age(in(failover, "cycle", "seconds_ago"), last), notes);
	}
}

static void
print_heading(const json_t *failover)
{
	const json_t *state = at(failover, "state");
	char buf[AGE_LEN], notes[NOTE_LEN];

	printf("%s: state %d for %s, reads %d\n", text(failover, "name"),
	    number(state, "current"), age(at(state, "seconds"), buf),
	    number(state, "read"));
	notes_of(failover, notes);
	if (*notes != '\0')
		printf("  %s\n", notes);
}

static void
print_seen(const json_t *check)
{
	char buf[AGE_LEN];

	printf("  %7s ago%s", age(at(check, "seconds_ago"), buf),
	    holds(check, "stale") ? " STALE" : "");
	if (json_is_string(at(check, "error")))
		printf("  %s", text(check, "error"));
	printf("\n");
}

static void
print_services(const json_t *check, const char *name)
{
	const json_t *window = at(check, "window"), *sick;
	size_t i;

	printf("  %-15s %-9s  %-15s window %-5s %d of %d healthy, "
	       "%d services, %d of %d endpoints healthy",
	    name, health(at(check, "verdict")), text(check, "region"),
	    *text(window, "samples") == '\0' ? "-" : text(window, "samples"),
	    number(window, "healthy"), number(window, "size"),
	    number(check, "services"), number(check, "healthy_endpoints"),
	    number(check, "endpoints"));
	print_seen(check);
	json_array_foreach(at(check, "unhealthy"), i, sick)
		printf("    %s %s %s: %s %s\n", text(sick, "service"),
		    text(sick, "group"), text(sick, "endpoint"),
		    text(sick, "state"), text(sick, "reason"));
}

static void
print_bgp(json_t *check, const char *name)
{
	json_t *peer;
	const char *key;

	printf("  %-15s %-9s  %-15s router %s%s", name,
	    session(at(check, "verdict")), text(check, "region"),
	    text(check, "router"), holds(check, "counts") ? "" : " (ignored)");
	json_object_foreach(json_object_get(check, "peers"), key, peer)
		printf(", %s %s", key, json_string_value(peer));
	print_seen(check);
}

static void
print_checks(const json_t *failover)
{
	const json_t *checks = at(failover, "checks");

	print_services(at(checks, "local_services"), "local services");
	print_services(at(checks, "remote_services"), "remote services");
	print_bgp(json_object_get(checks, "local_bgp"), "local BGP");
	print_bgp(json_object_get(checks, "remote_bgp"), "remote BGP");
}

static void
print_announcement(const json_t *routes, const char *key)
{
	const json_t *prefix = at(routes, key);

	printf("  %-9s %-18s wanted %-10s  configured %-7s  announced %-7s  "
	       "at the remote side %s\n",
	    key, text(prefix, "prefix"),
	    json_is_null(at(prefix, "wanted")) ?
		"as it is" :
		verdict(at(prefix, "wanted"), "advertised", "withdrawn"),
	    verdict(at(prefix, "configured"), "yes", "no"),
	    verdict(at(prefix, "announced"), "yes", "no"),
	    verdict(at(prefix, "remote_announces"), "yes", "no"));
}

static void
print_routes(const json_t *failover)
{
	const json_t *routes = at(failover, "routes");
	const json_t *cloudflare = at(routes, "cloudflare");
	const json_t *last = at(cloudflare, "last");
	char buf[AGE_LEN];

	printf("  router %s in %s, project %s\n", text(routes, "router"),
	    text(routes, "region"), text(routes, "project"));
	print_announcement(routes, "primary");
	print_announcement(routes, "secondary");
	printf("  Cloudflare routes matching \"%s\": ",
	    text(cloudflare, "matching"));
	if (json_is_integer(at(cloudflare, "wanted_priority")))
		printf("wanted priority %d",
		    number(cloudflare, "wanted_priority"));
	else
		printf("wanted as they are");
	if (json_is_object(last))
		printf("; %s ago: %d routes, priority %d, %s%s%s",
		    age(at(last, "seconds_ago"), buf), number(last, "matching"),
		    number(last, "priority"), text(last, "result"),
		    json_is_string(at(last, "error")) ? ": " : "",
		    json_is_string(at(last, "error")) ? text(last, "error") :
							"");
	printf("\n  plan %s%s%s\n", text(at(failover, "plan"), "status"),
	    json_is_string(in(failover, "plan", "error")) ? ": " : "",
	    json_is_string(in(failover, "plan", "error")) ?
		text(at(failover, "plan"), "error") :
		"");
}

static void
print_breakers(const json_t *failover)
{
	const json_t *breaker;
	char buf[AGE_LEN];
	size_t i;

	json_array_foreach(at(failover, "breakers"), i, breaker) {
		printf("  %-24s %-15s %-9s %3d failures",
		    text(breaker, "service"), text(breaker, "region"),
		    text(breaker, "state"), number(breaker, "failures"));
		if (json_is_number(at(breaker, "retry_in_seconds")))
			printf(", trial in %s",
			    age(at(breaker, "retry_in_seconds"), buf));
		printf("\n");
	}
}

static void
print_history(const json_t *answer)
{
	const json_t *list = at(answer, "transitions"), *one;
	char buf[32];
	size_t i;

	json_array_foreach(list, i, one)
		printf("%s  %s  %d -> %d  local %s, remote %s, remote BGP %s\n",
		    when(at(one, "at"), buf, sizeof(buf)),
		    text(one, "failover"), number(one, "old_state"),
		    number(one, "new_state"), health(at(one, "local_healthy")),
		    health(at(one, "remote_healthy")),
		    session(at(one, "remote_bgp_up")));
	if (json_array_size(list) == 0)
		printf("no transitions are remembered\n");
}

static void
print_list(const json_t *list, const char *before)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		printf("%s%s\n", before, json_string_value(one));
}

static void
print_actions(const json_t *actions)
{
	const json_t *priority = at(actions, "cloudflare_priority");
	const char *const keys[] = { "advertise_primary",
		"advertise_secondary" };
	const char *const names[] = { "primary", "secondary" };
	int i;

	for (i = 0; i < 2; i++)
		if (!json_is_null(at(actions, keys[i])))
			printf("%s %s, ", names[i],
			    holds(actions, keys[i]) ? "advertised" :
						      "withdrawn");
	if (json_is_integer(priority))
		printf("priority %d", (int)json_integer_value(priority));
	else
		printf("routes as they are");
}

static void
print_forecast(const json_t *forecast)
{
	const json_t *change;
	char buf[AGE_LEN];
	size_t i;

	if (json_array_size(at(forecast, "changes")) == 0) {
		printf("  if nothing that is seen changes, nothing changes\n");
		return;
	}
	printf("  if nothing that is seen changes:\n");
	json_array_foreach(at(forecast, "changes"), i, change) {
		printf("    in %s: local %s, remote %s, remote BGP %s: reads "
		       "%d, state %d; ",
		    age(at(change, "in_seconds"), buf),
		    health(at(change, "local_healthy")),
		    health(at(change, "remote_healthy")),
		    session(at(change, "remote_bgp_up")),
		    number(change, "state_code"),
		    number(change, "current_state"));
		if (holds(change, "acts"))
			print_actions(at(change, "planned_actions"));
		else
			printf("nothing is begun");
		printf("\n");
	}
	if (!holds(forecast, "settled"))
		printf("    and perhaps more after that\n");
}

static void
print_explanation(const json_t *failover)
{
	const json_t *next = at(failover, "next");
	const json_t *calls = at(next, "calls");
	char buf[AGE_LEN];

	print_checks(failover);
	print_routes(failover);
	printf("  rule: %s\n", text(failover, "rule"));
	if (json_array_size(at(failover, "waits")) > 0)
		printf("  waits for:\n");
	print_list(at(failover, "waits"), "    ");
	if (json_array_size(calls) == 0)
		printf("  no calls to be made but those that read\n");
	else
		printf("  %s (%s), at the next cycle in %s:\n",
		    holds(next, "may_begin") ? "calls" :
					       "calls, once they may begin",
		    text(next, "why"), age(at(next, "in_seconds"), buf));
	print_list(calls, "    ");
	print_forecast(at(failover, "forecast"));
}

/* What of a failover belongs to the answer. */
static void
print_failover(enum control_command command, const json_t *failover)
{
	print_heading(failover);
	switch (command) {
	case CONTROL_FAILOVER:
		print_checks(failover);
		print_routes(failover);
		print_breakers(failover);
		break;
	case CONTROL_ROUTES:
		print_routes(failover);
		break;
	case CONTROL_BREAKERS:
		print_breakers(failover);
		break;
	case CONTROL_EXPLAIN:
		print_explanation(failover);
		break;
	default:
		print_checks(failover);
	}
}

static void
print_results(const json_t *answer)
{
	const json_t *result;
	size_t i;

	json_array_foreach(at(answer, "results"), i, result)
		printf("%s: %s\n", text(result, "failover"),
		    text(result, "text"));
}

/* Write the answer to a command to standard output, without what a terminal
 * would obey, in the answer as well. */
void
print_answer(enum control_command command, json_t *answer)
{
	const json_t *failover;
	size_t i;

	clean_answer(answer);
	if (command == CONTROL_STATUS)
		print_status(answer);
	else if (command == CONTROL_HISTORY)
		print_history(answer);
	else if (json_is_string(at(answer, "text")))
		printf("%s\n", text(answer, "text"));
	else if (json_is_array(at(answer, "results")))
		print_results(answer);
	else
		json_array_foreach(at(answer, "failovers"), i, failover)
			print_failover(command, failover);
}

/* Write an event, in a line; otherwise as print_answer(). */
void
print_event(json_t *event)
{
	const json_t *details = at(event, "details");
	char *rest, buf[32];

	clean_answer(event);
	rest = json_dumps(details, JSON_COMPACT);
	printf("%s  %-24s %-8s %s",
	    when(at(event, "timestamp"), buf, sizeof(buf)),
	    text(event, "event_type"), text(event, "result"),
	    text(event, "failover"));
	if (strcmp(text(event, "event_type"), text(event, "operation")) != 0)
		printf("  %s", text(event, "operation"));
	if (json_is_string(at(event, "error_message")))
		printf(": %s", text(event, "error_message"));
	printf("  %s\n", rest == NULL ? "" : rest);
	free(rest);
}
