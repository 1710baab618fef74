/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <openssl/evp.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "page.h"
#include "prefix.h"
#include "reporter.h"

/*
 * The status page: HTML without a script and without anything from elsewhere.
 * Every text that is not a literal here passes through put().
 */

#define DAY	   (24 * 3600 * 1000LL)
#define LINES_MAX  20  /* transitions of a failover that are listed */
#define SHOWN_MAX  500 /* failovers of a page */
#define REFRESH	   15  /* seconds */
#define SVG_WIDTH  1440
#define SVG_HEIGHT 24
#define SVG_LEAST  6

/* Readable on a phone and in the dark. */
static const char style[] =
    ":root{color-scheme:light dark;--line:#8886;--soft:#8882}"
    "body{font:16px/1.4 system-ui,sans-serif;margin:0 auto;padding:.5rem;"
    "max-width:60rem}"
    "h1{font-size:1.2rem}h2{font-size:1.1rem;margin:0}"
    "section{border:1px solid var(--line);border-radius:.4rem;"
    "padding:.6rem;margin:.8rem 0}"
    ".row{display:flex;flex-wrap:wrap;gap:.8rem}"
    ".row>*{flex:1 1 16rem;min-width:0;overflow-x:auto}"
    ".row>.wide{flex-basis:24rem}"
    "table{border-collapse:collapse;width:100%;font-size:.9rem;"
    "margin:.4rem 0}"
    "caption{text-align:left;font-weight:600}"
    "th,td{text-align:left;padding:.15rem .4rem .15rem 0;"
    "border-bottom:1px solid var(--soft);overflow-wrap:break-word}"
    "th{font-weight:500}"
    ".tag{display:inline-block;border-radius:.3rem;padding:0 .4rem;"
    "background:var(--soft);margin:0 .3rem .2rem 0}"
    ".good{color:#1b7f3b}.bad{color:#c62828}.dim{opacity:.7}"
    ".warn{background:#f9a82566}"
    "@media(prefers-color-scheme:dark){.good{color:#66d18c}"
    ".bad{color:#ff8a80}}"
    "svg{width:100%;height:1.5rem;display:block;border-radius:.2rem}"
    "svg.dot{width:.7em;height:.7em;display:inline-block}"
    ".ends{display:flex;justify-content:space-between;font-size:.8rem}"
    ".s0{fill:#9e9e9e}.s1{fill:#2e9e55}.s2{fill:#d84315}.s3{fill:#1976d2}"
    ".s4{fill:#b71c1c}.s5{fill:#8e24aa}.s6{fill:#00897b}.s7{fill:#5c6bc0}"
    ".s8{fill:#6d4c41}";

static const char *const watched_titles[WATCHED_MAX] = {
	[WATCHED_LOCAL] = "local",
	[WATCHED_REMOTE] = "remote",
	[WATCHED_LOCAL_BGP] = "local BGP",
	[WATCHED_REMOTE_BGP] = "remote BGP",
};
static const char *const held_titles[HELD_MAX] = { "held", "forced",
	"verifying", "dwelling", "return delayed", "brake",
	"waits for hand-over" };
static const char *const breaker_titles[BREAKERS_SHOWN] = {
	"gcp_health (local)", "gcp_health (remote)", "gcp_bgp",
	"gcp_local_advertisement", "cloudflare"
};
static const char *const breaker_words[] = { "closed", "open", "half-open" };
static const char *const advert_words[] = {
	[ADVERT_KEEP] = "keep",
	[ADVERT_ADVERTISE] = "advertise",
	[ADVERT_WITHDRAW] = "withdraw",
};
static const char *const steer_words[] = {
	[STEER_KEEP] = "keep",
	[STEER_PRIORITY] = "priority",
	[STEER_FAILED] = "failed",
};

/* Text, so that it cannot be taken for anything else. */
static void
put(struct evbuffer *out, const char *text)
{
	const char *end;

	for (;; text = end + 1) {
		end = text + strcspn(text, "&<>\"'");
		evbuffer_add(out, text, (size_t)(end - text));
		if (*end == '\0')
			return;
		evbuffer_add_printf(out, "&#%d;", *end);
	}
}

/* A cell of a table, of that class where one is given. */
static void
cell(struct evbuffer *out, const char *class, const char *text)
{
	if (class != NULL)
		evbuffer_add_printf(out, "<td class=\"%s\">", class);
	else
		evbuffer_add_printf(out, "<td>");
	put(out, text);
	evbuffer_add_printf(out, "</td>");
}

static void
table_begin(struct evbuffer *out, const char *caption, const char *heads)
{
	evbuffer_add_printf(out,
	    "<div%s><table><caption>%s</caption><tr>%s</tr>\n",
	    strstr(heads, "wanted") != NULL ? " class=\"wide\"" : "", caption,
	    heads);
}

static void
table_end(struct evbuffer *out)
{
	evbuffer_add_printf(out, "</table></div>\n");
}

static const char *
verdict_class(int32_t verdict)
{
	return (verdict == V_YES ? "good" : verdict == V_NO ? "bad" : "dim");
}

/* A time span in milliseconds, as people say it. */
static const char *
span(int64_t ms, char *buf, size_t len)
{
	int64_t s = ms / 1000;

	if (s < 0)
		s = 0;
	if (s < 120)
		snprintf(buf, len, "%lld s", (long long)s);
	else if (s < 2 * 3600)
		snprintf(buf, len, "%lld min", (long long)(s / 60));
	else if (s < 2 * 86400)
		snprintf(buf, len, "%lld h", (long long)(s / 3600));
	else
		snprintf(buf, len, "%lld days", (long long)(s / 86400));
	return (buf);
}

/* The time of day in UTC of milliseconds since the epoch. */
static const char *
clock_text(int64_t ms, char *buf, size_t len)
{
	time_t second = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&second, &tm) == NULL ||
	    strftime(buf, len, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		strlcpy(buf, "?", len);
	return (buf);
}

static void
put_verdicts(struct evbuffer *out, const struct shown *shown, int64_t now)
{
	static const char *const words[][3] = {
		{ "unknown", "unhealthy", "healthy" },
		{ "unknown", "down", "up" },
	};
	const struct msg_report_state *state = &shown->state;
	char age[32];
	int i, bgp;

	table_begin(out, "Verdicts",
	    "<th>check</th><th>verdict</th><th>seen</th>");
	for (i = 0; i < WATCHED_MAX; i++) {
		bgp = i == WATCHED_LOCAL_BGP || i == WATCHED_REMOTE_BGP;
		evbuffer_add_printf(out, "<tr>");
		cell(out, NULL, watched_titles[i]);
		cell(out, verdict_class(state->verdict[i]),
		    words[bgp][state->verdict[i] + 1]);
		if (state->age[i] == -1)
			cell(out, "dim", "never");
		else {
			evbuffer_add_printf(out, "<td>%s ago</td>",
			    span(state->age[i] + now - shown->at, age,
				sizeof(age)));
		}
		evbuffer_add_printf(out, "</tr>\n");
	}
	table_end(out);
}

static void
put_endpoints(struct evbuffer *out, const struct shown *shown)
{
	const struct msg_report_state *state = &shown->state;
	int side;

	table_begin(out, "Endpoints",
	    "<th>region</th><th>healthy</th><th>sick</th><th>unknown</th>");
	for (side = LOCAL; side < SIDES; side++) {
		evbuffer_add_printf(out, "<tr>");
		cell(out, NULL, shown->conf.region[side]);
		evbuffer_add_printf(out,
		    "<td>%u</td><td>%u</td><td>%u</td></tr>\n",
		    state->healthy[side], state->sick[side],
		    state->endpoints[side] - state->healthy[side] -
			state->sick[side]);
	}
	table_end(out);
}

/* Is it as it is wanted? */
static const char *
announced_class(int32_t wanted, int32_t announced)
{
	if (wanted == ADVERT_KEEP || announced == V_UNKNOWN)
		return ("dim");
	return ((wanted == ADVERT_ADVERTISE) == (announced == V_YES) ? "good" :
								       "bad");
}

static void
put_prefixes(struct evbuffer *out, const struct shown *shown)
{
	static const char *const titles[PREFIXES] = { "primary", "secondary" };
	static const char *const words[] = { "unknown", "no", "yes" };
	const struct msg_report_state *state = &shown->state;
	char prefix[PREFIX_LEN];
	int i;

	table_begin(out, "Prefixes, and which side announces them",
	    "<th>prefix</th><th>wanted</th><th>local</th>"
	    "<th>remote</th>");
	for (i = 0; i < PREFIXES; i++) {
		evbuffer_add_printf(out, "<tr>");
		evbuffer_add_printf(out,
		    "<td>%s<br><span class=\"dim\">%s</span></td>",
		    prefix_text(&shown->conf.prefix[i], prefix, sizeof(prefix)),
		    titles[i]);
		cell(out, NULL, advert_words[state->prefix[i]]);
		cell(out,
		    announced_class(state->prefix[i],
			state->announces[LOCAL][i]),
		    words[state->announces[LOCAL][i] + 1]);
		cell(out, NULL, words[state->announces[REMOTE][i] + 1]);
		evbuffer_add_printf(out, "</tr>\n");
	}
	evbuffer_add_printf(out,
	    "<tr><td>Cloudflare</td><td>%s</td><td colspan=\"2\">",
	    steer_words[state->cloudflare]);
	if (state->priority == -1)
		evbuffer_add_printf(out, "priority not known");
	else
		evbuffer_add_printf(out, "priority %d seen", state->priority);
	evbuffer_add_printf(out, "</td></tr>\n");
	table_end(out);
}

static void
put_peers(struct evbuffer *out, const struct shown *shown)
{
	static const char *const words[] = { "unknown", "down", "up" };
	const struct msg_probe_peer *peer;
	size_t i;

	table_begin(out, "BGP peers",
	    "<th>router</th><th>peer</th><th>status</th>");
	for (i = 0; i < shown->npeers; i++) {
		peer = &shown->peer[i];
		evbuffer_add_printf(out, "<tr>");
		cell(out, NULL, shown->conf.router[peer->side]);
		cell(out, NULL, peer->name);
		if (peer->enabled)
			cell(out, verdict_class(peer->status),
			    words[peer->status + 1]);
		else
			cell(out, "dim", "disabled");
		evbuffer_add_printf(out, "</tr>\n");
	}
	if (shown->npeers == 0)
		evbuffer_add_printf(out,
		    "<tr><td colspan=\"3\" class=\"dim\">none seen</td></tr>");
	table_end(out);
}

static void
put_breakers(struct evbuffer *out, const struct shown *shown)
{
	uint32_t state;
	int i;

	table_begin(out, "Circuit breakers", "<th>service</th><th>state</th>");
	for (i = 0; i < BREAKERS_SHOWN; i++) {
		state = shown->state.breaker[i];
		evbuffer_add_printf(out, "<tr>");
		cell(out, NULL, breaker_titles[i]);
		cell(out, state == 0 ? "good" : "bad", breaker_words[state]);
		evbuffer_add_printf(out, "</tr>\n");
	}
	table_end(out);
}

static void
put_tags(struct evbuffer *out, const struct shown *shown)
{
	const struct msg_report_state *state = &shown->state;
	int i;

	evbuffer_add_printf(out, "<p>");
	if (state->passive)
		evbuffer_add_printf(out,
		    "<span class=\"tag warn\">passive</span>");
	for (i = 0; i < HELD_MAX; i++)
		if (state->held & 1U << i)
			evbuffer_add_printf(out,
			    "<span class=\"tag warn\">%s</span>",
			    held_titles[i]);
	if (state->contested > 0)
		evbuffer_add_printf(out,
		    "<span class=\"tag warn\">contested: %u</span>",
		    state->contested);
	if (state->candidate != 0 && state->candidate != state->current)
		evbuffer_add_printf(out,
		    "<span class=\"tag\">state %d is pending</span>",
		    state->candidate);
	evbuffer_add_printf(out, "<span class=\"tag\">plan: ");
	put(out, state->plan);
	evbuffer_add_printf(out, "</span></p>\n");
}

static bool
is_of(const struct msg_report_move *move, const struct shown *shown)
{
	return (strcmp(move->failover, shown->conf.name) == 0);
}

static void
put_segment(struct evbuffer *out, int state, int64_t from, int64_t to,
    int64_t wall)
{
	int64_t begin = wall - DAY;
	double x, end;
	char text[32];

	if (from < begin)
		from = begin;
	if (to > wall)
		to = wall;
	if (to <= from)
		return;
	x = (double)(from - begin) / DAY * SVG_WIDTH;
	end = (double)(to - begin) / DAY * SVG_WIDTH;
	if (end - x < SVG_LEAST) { /* to be seen at all */
		end = x + SVG_LEAST > SVG_WIDTH ? SVG_WIDTH : x + SVG_LEAST;
		x = end - SVG_LEAST;
	}
	evbuffer_add_printf(out,
	    "<rect class=\"s%d\" x=\"%.1f\" y=\"0\" width=\"%.1f\" "
	    "height=\"%d\"><title>state %d from %s</title></rect>\n",
	    state, x, end - x, SVG_HEIGHT, state,
	    clock_text(from, text, sizeof(text)));
}

/* The states of the last day, from left to right. */
static void
put_timeline(struct evbuffer *out, const struct shown *shown, int64_t wall)
{
	const struct msg_report_move *move;
	int64_t since = 0;
	int state = -1;
	size_t i;

	evbuffer_add_printf(out,
	    "<svg viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" "
	    "role=\"img\" aria-label=\"states of the last 24 hours\">\n",
	    SVG_WIDTH, SVG_HEIGHT);
	for (i = 0; (move = world_moves(i)) != NULL; i++) {
		if (!is_of(move, shown))
			continue;
		if (state == -1)
			state = move->from;
		put_segment(out, state, since, move->at, wall);
		state = move->to;
		since = move->at;
	}
	if (state == -1)
		state = shown->state.current;
	put_segment(out, state, since, wall, wall);
	evbuffer_add_printf(out,
	    "</svg><div class=\"ends dim\"><span>24 h ago</span>"
	    "<span>12 h ago</span><span>now</span></div>\n");
}

/* The last transitions of the last day, the newest first. */
static void
put_moves(struct evbuffer *out, const struct shown *shown, int64_t wall)
{
	const struct msg_report_move *move;
	unsigned int lines = 0;
	char text[32];
	size_t i;

	for (i = 0; world_moves(i) != NULL; i++)
		continue;
	table_begin(out, "Transitions of the last 24 hours",
	    "<th>UTC</th><th>from</th><th>to</th><th>local</th>"
	    "<th>remote</th><th>remote BGP</th>");
	while (i-- > 0 && lines < LINES_MAX) {
		move = world_moves(i);
		if (!is_of(move, shown) || move->at < wall - DAY)
			continue;
		lines++;
		evbuffer_add_printf(out,
		    "<tr><td>%s</td><td>%d</td><td><svg class=\"dot\" "
		    "viewBox=\"0 0 1 1\"><rect class=\"s%d\" width=\"1\" "
		    "height=\"1\"/></svg> %d</td>"
		    "<td>%s</td><td>%s</td><td>%s</td></tr>\n",
		    clock_text(move->at, text, sizeof(text)), move->from,
		    move->to, move->to,
		    v_name(move->local, "healthy", "unhealthy"),
		    v_name(move->remote, "healthy", "unhealthy"),
		    v_name(move->remote_bgp, "up", "down"));
	}
	if (lines == 0)
		evbuffer_add_printf(out,
		    "<tr><td colspan=\"6\" class=\"dim\">none</td></tr>");
	table_end(out);
}

static void
put_state(struct evbuffer *out, const struct shown *shown, int64_t now)
{
	const struct msg_report_state *state = &shown->state;
	char text[32];

	evbuffer_add_printf(out, "<p><strong>State %d</strong>",
	    state->current);
	if (state->in_state != -1)
		evbuffer_add_printf(out, " for %s",
		    span(state->in_state + now - shown->at, text,
			sizeof(text)));
	evbuffer_add_printf(out, "; reads %d; last cycle %s ago", state->read,
	    span(now - shown->cycle_at, text, sizeof(text)));
	if (state->acting != state->current)
		evbuffer_add_printf(out, "; acts as state %d", state->acting);
	evbuffer_add_printf(out, "</p>\n");
}

static void
put_failover(struct evbuffer *out, const struct shown *shown, int64_t now,
    int64_t wall)
{
	evbuffer_add_printf(out, "<section><h2>");
	put(out, shown->conf.name);
	evbuffer_add_printf(out, " <span class=\"dim\">");
	put(out, shown->conf.region[LOCAL]);
	evbuffer_add_printf(out, " &#8644; ");
	put(out, shown->conf.region[REMOTE]);
	evbuffer_add_printf(out, "</span></h2>\n");
	if (!shown->known) {
		evbuffer_add_printf(out,
		    "<p class=\"dim\">no cycle has ended yet</p></section>\n");
		return;
	}
	put_state(out, shown, now);
	put_tags(out, shown);
	put_timeline(out, shown, wall);
	evbuffer_add_printf(out, "<div class=\"row\">\n");
	put_verdicts(out, shown, now);
	put_prefixes(out, shown);
	put_peers(out, shown);
	put_endpoints(out, shown);
	put_breakers(out, shown);
	evbuffer_add_printf(out, "</div>\n");
	put_moves(out, shown, wall);
	evbuffer_add_printf(out, "</section>\n");
}

static void
put_head(struct evbuffer *out, int64_t wall)
{
	char text[32], why[256];
	bool ready = world_ready(why, sizeof(why));

	evbuffer_add_printf(out,
	    "<!DOCTYPE html>\n<html lang=\"en\"><head>"
	    "<meta charset=\"utf-8\"><title>mt-gcpd</title>\n"
	    "<meta name=\"viewport\" "
	    "content=\"width=device-width,initial-scale=1\">\n"
	    "<meta http-equiv=\"refresh\" content=\"%d\">\n"
	    "<link rel=\"icon\" href=\"data:,\">\n"
	    "<style>%s</style></head><body>\n<h1>mt-gcpd "
	    "<span class=\"%s\">%s</span></h1>\n<p class=\"dim\">version ",
	    REFRESH, style, ready ? "good" : "bad",
	    ready ? "ready" : "not ready");
	put(out, MTGCPD_VERSION);
	evbuffer_add_printf(out, ", pid %u, %s UTC</p>\n", world.pid,
	    clock_text(wall, text, sizeof(text)));
	if (ready)
		return;
	evbuffer_add_printf(out, "<p class=\"bad\">");
	put(out, why);
	evbuffer_add_printf(out, "</p>\n");
}

/* Write the page. */
void
page_write(struct evbuffer *out)
{
	const struct shown *shown;
	int64_t now = world_now(), wall = world_wall();
	unsigned int count = 0;

	put_head(out, wall);
	SHOWN_FOREACH(shown) {
		if (!shown->present)
			continue;
		if (count++ == SHOWN_MAX) {
			evbuffer_add_printf(out,
			    "<p>Only the first %d failovers are shown.</p>\n",
			    SHOWN_MAX);
			break;
		}
		put_failover(out, shown, now, wall);
	}
	evbuffer_add_printf(out,
	    "<p class=\"dim\"><a href=\"/metrics\">metrics</a></p>"
	    "</body></html>\n");
}

/*
 * What the page may do in a browser: use its own style sheet, known by its
 * digest, and nothing else.  The text lives as long as the process.
 */
const char *
page_policy(void)
{
	static char policy[256];
	unsigned char digest[32], text[64];

	if (policy[0] != '\0')
		return (policy);
	if (EVP_Digest(style, sizeof(style) - 1, digest, NULL, EVP_sha256(),
		NULL) != 1)
		fatalx("%s: EVP_Digest", __func__);
	EVP_EncodeBlock(text, digest, sizeof(digest));
	snprintf(policy, sizeof(policy),
	    "default-src 'none'; style-src 'sha256-%s'; img-src data:; "
	    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	    (const char *)text);
	return (policy);
}
