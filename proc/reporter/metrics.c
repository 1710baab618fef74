/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <string.h>

#include "prefix.h"
#include "reporter.h"

/*
 * The metrics, in the text format of Prometheus or in OpenMetrics, which
 * differ in how the family of a counter is called and in how the text ends.
 */

struct text {
	struct evbuffer *out;
	bool open;	  /* OpenMetrics */
	const char *name; /* of the family */
};

static const char *const watched_names[WATCHED_MAX] = {
	[WATCHED_LOCAL] = "local",
	[WATCHED_REMOTE] = "remote",
	[WATCHED_LOCAL_BGP] = "local_bgp",
	[WATCHED_REMOTE_BGP] = "remote_bgp",
};
static const char *const held_names[HELD_MAX] = { "hold", "force", "verify",
	"dwell", "return-after", "brake", "handover" };
static const char *const breaker_names[BREAKERS_SHOWN] = { "gcp_health_local",
	"gcp_health_remote", "gcp_bgp", "gcp_local_advertisement",
	"cloudflare" };
static const char *const result_names[] = {
	[RESULT_SUCCESS] = "success",
	[RESULT_FAILURE] = "failure",
	[RESULT_NO_CHANGE] = "no_change",
	[RESULT_SKIPPED] = "skipped",
};
static const char *const reaction_names[REACTION_MAX] = {
	[REACTION_DETECT] = "detect",
	[REACTION_VERIFY] = "verify",
	[REACTION_WRITE] = "write",
	[REACTION_EFFECT] = "effect",
};
static const char *const api_names[CALLED_MAX] = {
	[CALLED_COMPUTE] = "compute",
	[CALLED_CLOUDFLARE] = "cloudflare",
	[CALLED_OAUTH] = "oauth",
	[CALLED_LOGGING] = "logging",
};
static const char *const method_names[METHODS] = { "GET", "POST", "PUT",
	"PATCH" };

/* The value of a label: backslashes, quotes and ends of lines are escaped.
 * What does not fit is cut, never in the middle of an escape. */
static void
put_value(struct evbuffer *out, const char *value)
{
	for (; *value != '\0'; value++) {
		switch (*value) {
		case '\\':
			evbuffer_add(out, "\\\\", 2);
			break;
		case '"':
			evbuffer_add(out, "\\\"", 2);
			break;
		case '\n':
			evbuffer_add(out, "\\n", 2);
			break;
		default:
			evbuffer_add(out, value, 1);
			break;
		}
	}
}

/* Begin a family.  A counter's name is given without "_total", that of the one
 * info without "_info". */
static void
family(struct text *text, const char *name, const char *type, const char *help)
{
	const char *suffix = "";

	if (!text->open && strcmp(type, "counter") == 0)
		suffix = "_total";
	else if (!text->open && strcmp(type, "info") == 0) {
		suffix = "_info";
		type = "gauge";
	}
	text->name = name;
	evbuffer_add_printf(text->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name,
	    suffix, help, name, suffix, type);
}

/* Labels and their values in turn, up to a NULL. */
#define LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_LABELS   ((const char *const[]){ NULL })

/* The name of a sample, with its labels. */
static void
name(const struct text *text, const char *suffix, const char *const *labels)
{
	char before = '{';

	evbuffer_add_printf(text->out, "%s%s", text->name, suffix);
	for (; *labels != NULL; labels += 2) {
		evbuffer_add_printf(text->out, "%c%s=\"", before, labels[0]);
		put_value(text->out, labels[1]);
		evbuffer_add(text->out, "\"", 1);
		before = ',';
	}
	evbuffer_add_printf(text->out, "%s ", before == ',' ? "}" : "");
}

/* A whole number. */
static void
number(const struct text *text, const char *suffix, int64_t value,
    const char *const *labels)
{
	name(text, suffix, labels);
	evbuffer_add_printf(text->out, "%lld\n", (long long)value);
}

/* Milliseconds, as seconds. */
static void
seconds(const struct text *text, const char *suffix, int64_t ms,
    const char *const *labels)
{
	name(text, suffix, labels);
	evbuffer_add_printf(text->out, "%.3f\n", (double)ms / 1000.0);
}

/* A histogram, with one label or, label being NULL, none. */
static void
histogram(const struct text *text, const struct histogram *h, const char *label,
    const char *value)
{
	uint64_t count = 0;
	char bound[32];
	size_t i;

	for (i = 0; i <= h->nbounds; i++) {
		count += h->bucket[i];
		if (i == h->nbounds)
			snprintf(bound, sizeof(bound), "+Inf");
		else
			snprintf(bound, sizeof(bound), "%g%s",
			    h->bounds[i] / 1000.0,
			    h->bounds[i] % 1000 == 0 ? ".0" : "");
		if (label == NULL)
			number(text, "_bucket", (int64_t)count,
			    LABELS("le", bound));
		else
			number(text, "_bucket", (int64_t)count,
			    LABELS(label, value, "le", bound));
	}
	seconds(text, "_sum", (int64_t)h->sum, LABELS(label, value));
	number(text, "_count", (int64_t)h->count, LABELS(label, value));
}

/* Every failover that has been through a cycle. */
#define KNOWN_FOREACH(shown)                                                   \
	SHOWN_FOREACH(shown)                                                   \
		if ((shown)->present && (shown)->known)

static void
write_daemon(struct text *text)
{
	const struct shown *shown;
	int64_t expires = 0;

	family(text, "mtgcpd_build", "info", "The version that runs.");
	number(text, "_info", 1, LABELS("version", MTGCPD_VERSION));
	family(text, "mtgcpd_starts", "counter",
	    "Starts of a daemon with this state file.");
	number(text, "_total", (int64_t)world.starts, NO_LABELS);
	family(text, "mtgcpd_events_dropped", "counter",
	    "Events that were not written to Cloud Logging.");
	number(text, "_total", (int64_t)world.dropped, NO_LABELS);
	KNOWN_FOREACH(shown)
		if (shown->expires != 0 &&
		    (expires == 0 || shown->expires < expires))
			expires = shown->expires;
	if (expires == 0)
		return;
	family(text, "mtgcpd_cloudflare_token_expiry_timestamp_seconds",
	    "gauge", "When the Cloudflare token that ends first does.");
	number(text, "", expires, NO_LABELS);
}

static void
write_states(struct text *text)
{
	const struct shown *shown;
	int64_t now = world_now();

	family(text, "mtgcpd_state", "gauge", "The current state, 1 to 8.");
	KNOWN_FOREACH(shown)
		number(text, "", shown->state.current,
		    LABELS("failover", shown->conf.name));
	family(text, "mtgcpd_state_read", "gauge",
	    "The state that is read now, 0 where not enough is known.");
	KNOWN_FOREACH(shown)
		number(text, "", shown->state.read,
		    LABELS("failover", shown->conf.name));
	family(text, "mtgcpd_state_seconds", "gauge",
	    "Seconds since the current state was entered.");
	KNOWN_FOREACH(shown)
		if (shown->state.in_state != -1)
			seconds(text, "",
			    shown->state.in_state + now - shown->at,
			    LABELS("failover", shown->conf.name));
	family(text, "mtgcpd_last_cycle_timestamp_seconds", "gauge",
	    "When the last cycle ended.");
	KNOWN_FOREACH(shown)
		seconds(text, "", shown->cycle_wall,
		    LABELS("failover", shown->conf.name));
}

static void
write_verdicts(struct text *text)
{
	const struct shown *shown;
	int i;

	family(text, "mtgcpd_verdict", "gauge",
	    "1 healthy or up, 0 unhealthy or down, -1 unknown.");
	KNOWN_FOREACH(shown)
		for (i = 0; i < WATCHED_MAX; i++)
			number(text, "", shown->state.verdict[i],
			    LABELS("failover", shown->conf.name, "check",
				watched_names[i]));
}

static void
write_endpoints(struct text *text)
{
	const struct msg_report_state *state;
	const struct shown *shown;
	int side;

	family(text, "mtgcpd_endpoints", "gauge",
	    "Endpoints of the services of a region, by what they report.");
	KNOWN_FOREACH(shown) {
		state = &shown->state;
		for (side = LOCAL; side < SIDES; side++) {
			number(text, "", state->healthy[side],
			    LABELS("failover", shown->conf.name, "region",
				shown->conf.region[side], "state", "healthy"));
			number(text, "", state->sick[side],
			    LABELS("failover", shown->conf.name, "region",
				shown->conf.region[side], "state",
				"unhealthy"));
			number(text, "",
			    (int64_t)state->endpoints[side] -
				state->healthy[side] - state->sick[side],
			    LABELS("failover", shown->conf.name, "region",
				shown->conf.region[side], "state", "unknown"));
		}
	}
}

static void
write_peers(struct text *text)
{
	const struct msg_probe_peer *peer;
	const struct shown *shown;
	size_t i;

	family(text, "mtgcpd_bgp_peer_up", "gauge",
	    "1 up, 0 down, -1 unknown; peers that are enabled.");
	KNOWN_FOREACH(shown)
		for (i = 0; i < shown->npeers; i++) {
			peer = &shown->peer[i];
			if (peer->enabled)
				number(text, "", peer->status,
				    LABELS("failover", shown->conf.name,
					"router",
					shown->conf.router[peer->side], "peer",
					peer->name));
		}
}

static void
write_announced(struct text *text, enum side side)
{
	const struct shown *shown;
	char prefix[PREFIX_LEN];
	int i;

	KNOWN_FOREACH(shown)
		for (i = 0; i < PREFIXES; i++) {
			prefix_text(&shown->conf.prefix[i], prefix,
			    sizeof(prefix));
			number(text, "", shown->state.announces[side][i],
			    LABELS("failover", shown->conf.name, "prefix",
				prefix));
		}
}

static void
write_clouds(struct text *text)
{
	const struct shown *shown;

	family(text, "mtgcpd_advertised", "gauge",
	    "1 if the local router tells a peer that is up of the prefix, 0 if "
	    "none, -1 unknown.");
	write_announced(text, LOCAL);
	family(text, "mtgcpd_remote_announces", "gauge",
	    "The same of the remote router.");
	write_announced(text, REMOTE);
	family(text, "mtgcpd_cloudflare_priority", "gauge",
	    "The priority of our Magic Transit routes, as seen last.");
	KNOWN_FOREACH(shown)
		if (shown->state.priority != -1)
			number(text, "", shown->state.priority,
			    LABELS("failover", shown->conf.name));
}

static void
write_held(struct text *text)
{
	const struct shown *shown;
	int i;

	family(text, "mtgcpd_breaker_state", "gauge",
	    "0 closed, 1 open, 2 half-open.");
	KNOWN_FOREACH(shown)
		for (i = 0; i < BREAKERS_SHOWN; i++)
			number(text, "", shown->state.breaker[i],
			    LABELS("failover", shown->conf.name, "service",
				breaker_names[i]));
	family(text, "mtgcpd_held", "gauge",
	    "1 if that keeps the failover from what it would do.");
	KNOWN_FOREACH(shown)
		for (i = 0; i < HELD_MAX; i++)
			number(text, "", (shown->state.held & 1U << i) != 0,
			    LABELS("failover", shown->conf.name, "why",
				held_names[i]));
	family(text, "mtgcpd_passive", "gauge",
	    "1 if nothing is written, whatever is planned.");
	KNOWN_FOREACH(shown)
		number(text, "", shown->state.passive,
		    LABELS("failover", shown->conf.name));
	family(text, "mtgcpd_contested", "gauge",
	    "Objects that somebody else keeps changing.");
	KNOWN_FOREACH(shown)
		number(text, "", shown->state.contested,
		    LABELS("failover", shown->conf.name));
}

/* All transitions of a failover, from and to each state. */
static void
write_moves(const struct text *text, const struct shown *shown)
{
	char from[16], to[16];
	int i, j;

	for (i = 0; i <= STATES; i++) {
		for (j = 0; j <= STATES; j++) {
			if (shown->moves[i][j] == 0)
				continue;
			snprintf(from, sizeof(from), "%d", i);
			snprintf(to, sizeof(to), "%d", j);
			number(text, "_total", (int64_t)shown->moves[i][j],
			    LABELS("failover", shown->conf.name, "from", from,
				"to", to));
		}
	}
}

static void
write_counters(struct text *text)
{
	const struct shown *shown;
	size_t i;

	family(text, "mtgcpd_transitions", "counter",
	    "Moves from one state to another.");
	KNOWN_FOREACH(shown)
		write_moves(text, shown);
	family(text, "mtgcpd_cycles", "counter", "Cycles, by their result.");
	KNOWN_FOREACH(shown)
		for (i = 0; i <= RESULT_SKIPPED; i++)
			if (i != RESULT_NO_CHANGE)
				number(text, "_total",
				    (int64_t)shown->cycles[i],
				    LABELS("failover", shown->conf.name,
					"result", result_names[i]));
	family(text, "mtgcpd_cycle_duration_seconds", "histogram",
	    "How long cycles took.");
	histogram(text, &world.cycle_time, NULL, NULL);
	family(text, "mtgcpd_reaction_seconds", "histogram",
	    "How long a reaction took: from the first sample to the verdict, "
	    "to the transition, from there to the first write, and to the "
	    "effect.");
	for (i = 0; i < REACTION_MAX; i++)
		histogram(text, &world.reaction[i], "phase", reaction_names[i]);
}

static void
write_calls(struct text *text)
{
	const struct calls *calls;
	char code[16];
	size_t i;

	family(text, "mtgcpd_api_requests", "counter",
	    "Requests to the clouds, by the status of the answer.");
	for (calls = world.calls; calls < world.calls + world.ncalls; calls++) {
		if (calls->status == 0)
			snprintf(code, sizeof(code), "none");
		else
			snprintf(code, sizeof(code), "%d", calls->status);
		number(text, "_total", (int64_t)calls->count,
		    LABELS("api", api_names[calls->api], "method",
			method_names[calls->method], "code", code));
	}
	family(text, "mtgcpd_api_request_duration_seconds", "histogram",
	    "How long requests took.");
	for (i = 0; i < CALLED_MAX; i++)
		if (world.call_time[i].count > 0)
			histogram(text, &world.call_time[i], "api",
			    api_names[i]);
	family(text, "mtgcpd_clock_skew_seconds", "gauge",
	    "How much the clock of the servers is ahead of this host's.");
	for (i = 0; i < CALLED_MAX; i++)
		if (world.skew_known[i])
			seconds(text, "", world.skew[i],
			    LABELS("api", api_names[i]));
}

/* Write all metrics, in OpenMetrics or else in the text format 0.0.4. */
void
metrics_write(struct evbuffer *out, bool open_metrics)
{
	struct text text = { .out = out, .open = open_metrics };

	write_daemon(&text);
	write_states(&text);
	write_verdicts(&text);
	write_endpoints(&text);
	write_peers(&text);
	write_clouds(&text);
	write_held(&text);
	write_counters(&text);
	write_calls(&text);
	if (open_metrics)
		evbuffer_add_printf(out, "# EOF\n");
}
