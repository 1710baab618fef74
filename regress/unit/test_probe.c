/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "prober_room.h"

static void
all_well(void **state)
{
	enum side side;

	(void)state;
	cycle();
	for (side = LOCAL; side < SIDES; side++) {
		assert_true(told.region[side].complete);
		assert_int_equal(told.region[side].services, 1);
		assert_int_equal(told.service[side].verdict, V_YES);
		assert_true(told.router[side].read);
		assert_int_equal(told.router[side].verdict, V_YES);
	}
	assert_int_equal(told.done.calls, 10);
	assert_int_equal(told.done.failed, 0);
	assert_int_equal(told.done.failed_parts, 0);
	assert_int_equal(ncalls, 10);
	assert_int_equal(now - begun, 2 * LATENCY);
}

/* What fails for a while is called again, each time after a longer wait; the
 * others do not wait for it. */
static void
repeats(void **state)
{
	static const struct {
		const char *url;
		const char *region;
	} cases[] = {
		{ "/a/backendServices?", "a" },
		{ "/b/backendServices?", "b" },
		{ "/b/backendServices/s/getHealth", "b" },
		{ "/routers/ra?", "a" },
		{ "/routers/rb/getRouterStatus", "b" },
	};
	int64_t at[64];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(NULL);
		rule(cases[i].url, 3, 503);
		/* the second group's is another call */
		if (strstr(cases[i].url, "getHealth") != NULL)
			list = "{\"items\":[{\"name\":\"s\",\"healthChecks\":"
			       "[1],\"backends\":[{\"group\":\"g\"}]}]}";
		cycle();
		n = called(cases[i].url, at);
		assert_int_equal(n, 4);
		assert_int_equal(at[1] - at[0], LATENCY + 100);
		assert_int_equal(at[2] - at[1], LATENCY + 200);
		assert_int_equal(at[3] - at[2], LATENCY + 400);
		assert_int_equal(told.done.failed, 0);
		assert_int_equal(told.done.failed_parts, 0);
		assert_int_equal(told.done.calls, list != NULL ? 8 : 10);
		assert_string_equal(told.region[LOCAL].error, "");
		assert_string_equal(told.region[REMOTE].error, "");
		assert_string_equal(told.router[LOCAL].error, "");
		assert_string_equal(told.router[REMOTE].error, "");
	}
}

/* As often as is configured, and then it has failed, and says so. */
static void
gives_up(void **state)
{
	(void)state;
	rule("/a/backendServices?", 0, 503);
	rule("/routers/rb?", 0, 500);
	cycle();
	assert_int_equal(called("/a/backendServices?", NULL), 6);
	assert_int_equal(called("/routers/rb?", NULL), 5);
	assert_false(told.region[LOCAL].complete);
	assert_string_equal(told.region[LOCAL].error,
	    "list of backend services: HTTP 503 r503: m (tried 6 times)");
	assert_string_equal(told.router[REMOTE].error,
	    "routers.get: HTTP 500 r500: m (tried 5 times)");
	assert_int_equal(told.done.calls, 8);
	assert_int_equal(told.done.failed, 2);
	assert_int_equal(told.done.failed_parts, PART_HEALTH_LOCAL | PART_BGP);
	assert_true(told.region[REMOTE].complete);
	/* none, if that is what is wanted */
	targets[0].probe.health_retries = targets[0].probe.bgp_retries = 0;
	cycle();
	assert_int_equal(called("/a/backendServices?", NULL), 1);
	assert_int_equal(called("/routers/rb?", NULL), 1);
	assert_string_equal(told.router[REMOTE].error,
	    "routers.get: HTTP 500 r500: m");
	assert_int_equal(told.done.failed_parts, PART_HEALTH_LOCAL | PART_BGP);
}

static void
parts_that_fail(void **state)
{
	static const struct {
		const char *url;
		enum part part;
	} cases[] = {
		{ "/a/backendServices?", PART_HEALTH_LOCAL },
		{ "/b/backendServices?", PART_HEALTH_REMOTE },
		{ "/a/backendServices/s/getHealth", PART_HEALTH_LOCAL },
		{ "/b/backendServices/s/getHealth", PART_HEALTH_REMOTE },
		{ "/routers/ra?", PART_BGP },
		{ "/routers/ra/getRouterStatus", PART_BGP },
		{ "/routers/rb?", PART_BGP },
		{ "/routers/rb/getRouterStatus", PART_BGP },
		{ "https://h/", PARTS_ALL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(NULL);
		rule(cases[i].url, 0, 404);
		cycle();
		assert_int_equal(told.done.failed_parts, cases[i].part);
		assert_true(told.done.failed > 0);
	}
	assert_int_equal(told.done.failed, 6);
	assert_int_equal(told.done.calls, 6);
}

/* All calls count against the limit, also those that are repeated. */
static void
counted(void **state)
{
	struct bucket bucket;
	size_t i;

	(void)state;
	config.bucket = &bucket;
	rule("https://h/", 3, 503);
	cycle();
	assert_int_equal(ncalls, 10 + 3);
	for (i = 0; i < ncalls; i++)
		assert_ptr_equal(calls[i].bucket, &bucket);
}

/* What will not be well by itself is called once. */
static void
permanent(void **state)
{
	static const long statuses[] = { 400, 403, 404, 410 };
	struct rule *r;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		setup(NULL);
		rule("https://h/", 0, statuses[i]);
		cycle();
		assert_int_equal(ncalls, 6);
		assert_int_equal(now - begun, LATENCY);
		assert_null(strstr(told.region[LOCAL].error, "tried"));
	}
	setup(NULL);
	r = rule("/routers/rb/getRouterStatus", 0, 0);
	r->transport = TRANSPORT_CERTIFICATE;
	cycle();
	assert_int_equal(called(r->url, NULL), 1);
	assert_string_equal(told.router[REMOTE].error,
	    "getRouterStatus: h: TLS: certificate");
}

/* The rest of the table of outcomes does to calls what it says. */
static void
whatever_happens(void **state)
{
	const struct outcome_row *row;
	char body[256];
	struct rule *r;
	size_t i, n, times;

	(void)state;
	n = outcome_rows(&row);
	for (i = 0; i < n; i++) {
		if ((row[i].apis & OUTCOME_COMPUTE) == 0 ||
		    row[i].content >= CONTENT_FAILURE)
			continue;
		setup(NULL);
		r = rule("/b/backendServices?", 0, row[i].status);
		r->transport = row[i].transport;
		snprintf(body, sizeof(body),
		    "{\"error\":{\"errors\":[{\"reason\":\"%s\"}]}}",
		    row[i].code != NULL ? row[i].code : "x");
		r->body = body;
		if (row[i].content == CONTENT_NOT_JSON)
			r->body = "<html>";
		else if (row[i].content == CONTENT_TYPE)
			r->type = "text/html";
		else if (row[i].content == CONTENT_SHAPE)
			r->body = "{\"items\":1}";
		else if (row[i].answer == ANSWER_OK)
			r->body = good(r->url);
		cycle();
		times = called(r->url, NULL);
		switch (row[i].answer) {
		case ANSWER_OK:
		case ANSWER_PERMANENT:
			assert_int_equal(times, 1);
			break;
		case ANSWER_TRANSIENT:
			assert_int_equal(times, 6);
			break;
		case ANSWER_TOKEN:
			assert_int_equal(times, 2);
			break;
		}
		assert_int_equal(told.done.failed, row[i].answer != ANSWER_OK);
		assert_int_equal(told.region[REMOTE].complete,
		    row[i].answer == ANSWER_OK);
		assert_true(told.region[LOCAL].complete);
	}
}

static void
new_token(void **state)
{
	(void)state;
	rule("/routers/ra?", 1, 401);
	cycle();
	assert_int_equal(refusals, 1);
	assert_int_equal(called("/routers/ra?", NULL), 2);
	assert_int_equal(told.done.failed, 0);
	/* once, also between others that fail */
	setup(NULL);
	rule("/routers/ra?", 1, 503);
	rule("/routers/ra?", 0, 401);
	cycle();
	assert_int_equal(refusals, 2);
	assert_int_equal(called("/routers/ra?", NULL), 3);
	assert_string_equal(told.router[LOCAL].error,
	    "routers.get: HTTP 401 r401: m (tried 3 times)");
}

/* Without a token nothing is called, and it is said of everything. */
static void
no_token(void **state)
{
	(void)state;
	token = NULL;
	cycle();
	assert_int_equal(ncalls, 0);
	assert_int_equal(told.done.failed, 6);
	assert_int_equal(told.done.failed_parts, PARTS_ALL);
	assert_string_equal(told.router[LOCAL].error,
	    "getRouterStatus: no access token: there is none");
}

/* A token that comes is for those that wait for it, not for those that wait to
 * be repeated. */
static void
token_meanwhile(void **state)
{
	struct rule *r;
	int64_t at[64];

	(void)state;
	r = rule("/routers/ra?", 1, 503);
	r->retry_after = "2";
	rule("/routers/rb?", 1, 503);
	begin(PARTS_ALL);
	while (now - begun < LATENCY + 50 && called("/getHealth", NULL) < 4)
		run_one();
	token = NULL;
	while (now - begun < LATENCY + 100)
		run_one();
	assert_int_equal(called("/routers/rb?", NULL), 1);
	token = "first";
	run();
	assert_int_equal(called("/routers/rb?", at), 2);
	assert_int_equal(at[1], LATENCY + 100 + TOKEN_TIME);
	assert_int_equal(called("/routers/ra?", at), 2);
	assert_int_equal(at[1], LATENCY + 2000);
	assert_int_equal(told.done.failed, 0);
}

/* The server says when; in seconds or as a date. */
static void
server_says_when(void **state)
{
	struct rule *r;
	int64_t at[64];

	(void)state;
	r = rule("/routers/rb?", 2, 503);
	r->retry_after = "3";
	cycle();
	assert_int_equal(called(r->url, at), 3);
	assert_int_equal(at[1], LATENCY + 3000);
	assert_int_equal(at[2], 2 * (LATENCY + 3000));
	assert_int_equal(told.done.failed, 0);

	setup(NULL);
	r = rule("/routers/rb?", 1, 429);
	r->retry_after = "Mon, 12 Jan 1970 13:46:44 GMT"; /* WALL + 4 */
	cycle();
	assert_int_equal(called(r->url, at), 2);
	assert_int_equal(at[1], LATENCY + 4000);
	assert_int_equal(told.done.failed, 0);

	/* at once, or nothing of sense: as without it */
	setup(NULL);
	r = rule("/routers/rb?", 1, 429);
	r->retry_after = "0";
	cycle();
	assert_int_equal(called(r->url, at), 2);
	assert_int_equal(at[1], LATENCY + 100);
	r->seen = 0;
	r->retry_after = "soon";
	cycle();
	assert_int_equal(called(r->url, at), 2);
	assert_int_equal(at[1], LATENCY + 100);

	/* not in this cycle: then it ends at once */
	setup(NULL);
	r = rule("/routers/rb?", 0, 503);
	r->retry_after = "10";
	cycle();
	assert_int_equal(called(r->url, NULL), 1);
	assert_string_equal(told.router[REMOTE].error,
	    "routers.get: HTTP 503 r503: m (asks to wait for 10 s)");
	assert_int_equal(now - begun, 2 * LATENCY);
	/* what is permanent stays so, whatever else it says */
	r->status = 404;
	r->retry_after = "1";
	cycle();
	assert_int_equal(called(r->url, NULL), 1);
}

/* A wait that does not fit into the cycle is not begun. */
static void
within_the_budget(void **state)
{
	int64_t at[64];
	size_t n;

	(void)state;
	targets[0].probe.backoff_initial = 1000;
	rule("/routers/rb?", 0, 503);
	cycle();
	/* 1 and 2 seconds; 4 more would do, 8 would not */
	n = called("/routers/rb?", at);
	assert_int_equal(n, 4);
	assert_int_equal(at[3], 3 * LATENCY + 7000);
	assert_int_equal(now - begun, 4 * LATENCY + 7000);
	assert_string_equal(told.router[REMOTE].error,
	    "routers.get: HTTP 503 r503: m (tried 4 times)");
	/* nor is one after which there is less time than the last try took */
	setup(NULL);
	rule("/routers/rb?", 0, 503)->delay = 4900;
	cycle();
	assert_int_equal(called("/routers/rb?", NULL), 1);
	setup(NULL);
	rule("/routers/rb?", 0, 503)->delay = 4600;
	cycle();
	assert_int_equal(called("/routers/rb?", NULL), 2);
}

/* One that hangs ends with the cycle, and holds nobody else up. */
static void
hangs(void **state)
{
	(void)state;
	rule("/routers/rb?", 0, 200)->delay = NEVER;
	begin(PARTS_ALL);
	run();
	assert_int_equal(told.ndone, 1);
	assert_int_equal(now - begun, BUDGET - BUDGET / 20);
	assert_string_equal(told.router[REMOTE].error,
	    "routers.get: h: waiting for the answer");
	assert_int_equal(told.done.failed, 1);
	assert_int_equal(told.region[LOCAL].duration, 2 * LATENCY);
	assert_int_equal(told.region[REMOTE].duration, 2 * LATENCY);
	assert_int_equal(told.router[LOCAL].duration, LATENCY);
	/* its own time, if that is shorter, leaves some for another try */
	setup(NULL);
	targets[0].probe.api_timeout = 2000;
	rule("/routers/rb?", 2, 200)->delay = NEVER;
	cycle();
	assert_int_equal(called("/routers/rb?", NULL), 3);
	assert_int_equal(told.done.failed, 0);
	assert_int_equal(now - begun, 2000 + 100 + 2000 + 200 + LATENCY);
}

/* All groups of a service hang: others find room. */
static void
many_hang(void **state)
{
	static char text[65536];
	size_t at;
	int i;

	(void)state;
	at = (size_t)snprintf(text, sizeof(text),
	    "{\"items\":[{\"name\":\"s\",\"healthChecks\":[1],\"backends\":[");
	for (i = 0; i < 300; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
		    "%s{\"group\":\"g%d\"}", i > 0 ? "," : "", i);
	snprintf(text + at, sizeof(text) - at, "]}]}");
	list = text;
	rule("/a/backendServices/s/getHealth", 0, 200)->delay = NEVER;
	cycle();
	assert_true(most_flying <= HTTP_WINDOW / 2 + 6);
	assert_true(most_flying < HTTP_WINDOW);
	assert_int_equal(told.service[REMOTE].verdict, V_YES);
	assert_int_equal(told.service[LOCAL].verdict, V_UNKNOWN);
	assert_int_equal(told.done.failed_parts, PART_HEALTH_LOCAL);
	/* those that were not asked count as well */
	assert_int_equal(told.done.failed, 300);
	assert_int_equal(told.done.calls, 6 + 600);
}

/* What is not asked for is not called, and says why. */
static void
parts(void **state)
{
	uint32_t wanted;
	enum side side;
	bool health;

	(void)state;
	for (wanted = 0; wanted <= PARTS_ALL; wanted++) {
		begin(wanted);
		run();
		assert_int_equal(told.ndone, 1);
		assert_int_equal(told.done.failed, 0);
		assert_int_equal(told.done.failed_parts, 0);
		assert_int_equal(told.done.calls, ncalls);
		assert_true(now - begun <= (wanted != 0 ? 2 * LATENCY : 0));
		assert_int_equal(called("/routers/", NULL),
		    wanted & PART_BGP ? 4 : 0);
		for (side = LOCAL; side < SIDES; side++) {
			health = (wanted &
				     (side == LOCAL ? PART_HEALTH_LOCAL :
						      PART_HEALTH_REMOTE)) != 0;
			assert_int_equal(told.region[side].side, side);
			assert_int_equal(told.region[side].complete, health);
			assert_string_equal(told.region[side].error,
			    health ? "" : "circuit breaker gcp_health is open");
			assert_int_equal(called(side == LOCAL ?
						 "/a/backendServices" :
						 "/b/backendServices",
					     NULL),
			    health ? 3 : 0);
			assert_int_equal(told.router[side].side, side);
			assert_int_equal(told.router[side].read,
			    (wanted & PART_BGP) != 0);
			assert_string_equal(told.router[side].error,
			    wanted & PART_BGP ?
				"" :
				"circuit breaker gcp_bgp is open");
			assert_int_equal(told.router[side].verdict,
			    wanted & PART_BGP ? V_YES : V_UNKNOWN);
			assert_int_equal(told.router[side].announces[0],
			    wanted & PART_BGP ? V_NO : V_UNKNOWN);
			assert_int_equal(told.router[side].configured[0],
			    wanted & PART_BGP && side == LOCAL ?
				PRESENCE_NONE :
				PRESENCE_UNKNOWN);
		}
	}
}

/* A list that is not whole, and one that does not end. */
static void
lists(void **state)
{
	static const char loop[] = "{\"items\":[],\"nextPageToken\":\"again\"}";
	struct rule *r;

	(void)state;
	r = rule("/b/backendServices?", 2, 200);
	r->body = "{\"items\":[],\"warning\":{\"code\":\"UNREACHABLE\"}}";
	cycle();
	assert_int_equal(called(r->url, NULL), 3);
	assert_true(told.region[REMOTE].complete);
	r->count = 0;
	cycle();
	assert_int_equal(called(r->url, NULL), 6);
	assert_false(told.region[REMOTE].complete);
	assert_string_equal(told.region[REMOTE].error,
	    "list of backend services: the list is not whole: UNREACHABLE: no "
	    "message (tried 6 times)");
	assert_int_equal(told.done.failed_parts, PART_HEALTH_REMOTE);
	/* the page repeats itself: seen when it comes for the second time */
	r->body = loop;
	cycle();
	assert_int_equal(called(r->url, NULL), 2);
	assert_false(told.region[REMOTE].complete);
	assert_string_equal(told.region[REMOTE].error,
	    "the list repeats a page");
	assert_int_equal(told.done.failed, 1);
	assert_int_equal(told.done.failed_parts, PART_HEALTH_REMOTE);
}

static void
many_pages(char (*body)[64])
{
	page = body;
	at_page = 0;
	cycle();
	page = NULL;
}

/* So many pages and no more, however they are named. */
static void
pages(void **state)
{
	static char body[PAGES_MAX][64];
	int i;

	(void)state;
	for (i = 0; i < PAGES_MAX; i++)
		snprintf(body[i], sizeof(body[i]),
		    "{\"nextPageToken\":\"t%d\"}", i);
	many_pages(body);
	assert_int_equal(called("/b/backendServices?", NULL), PAGES_MAX);
	assert_false(told.region[REMOTE].complete);
	assert_string_equal(told.region[REMOTE].error,
	    "the list has too many pages");
	assert_int_equal(told.done.failed, 1);
	/* the last one that may be */
	snprintf(body[PAGES_MAX - 1], sizeof(body[0]), "{}");
	many_pages(body);
	assert_int_equal(called("/b/backendServices?", NULL), PAGES_MAX);
	assert_true(told.region[REMOTE].complete);
	assert_int_equal(told.done.failed, 0);
}

#define ITEM(name)                                                             \
	"{\"name\":\"" name                                                    \
	"\",\"healthChecks\":[1],\"backends\":[{\"group\":"                    \
	"\"g\"}]}"
#define ONE "{\"items\":[" ITEM("s") "]}"
#define TWO "{\"items\":[" ITEM("s") "," ITEM("t") "]}"

/* The groups of the last list are asked without waiting for the next one. */
static void
at_once(void **state)
{
	(void)state;
	list = TWO;
	cycle();
	assert_int_equal(now - begun, 2 * LATENCY);
	cycle();
	assert_int_equal(now - begun, LATENCY);
	assert_int_equal(ncalls, 10);
	assert_int_equal(told.done.calls, 10);
	assert_int_equal(told.region[LOCAL].services, 2);
	assert_int_equal(told.service[LOCAL].verdict, V_YES);
}

/* What the new list does not have is not believed, does not count, and nobody
 * waits for it. */
static void
no_longer_there(void **state)
{
	struct rule *r;

	(void)state;
	list = TWO;
	cycle();
	list = ONE;
	r = rule("/backendServices/t/getHealth", 0, 404);
	cycle();
	assert_int_equal(called(r->url, NULL), 2);
	assert_int_equal(told.region[LOCAL].services, 1);
	assert_int_equal(told.service[LOCAL].verdict, V_YES);
	assert_int_equal(told.done.failed, 0);
	assert_int_equal(told.done.failed_parts, 0);
	/* and it is forgotten */
	cycle();
	assert_int_equal(called(r->url, NULL), 0);
	list = TWO;
	r->status = 200;
	cycle();
	list = ONE;
	r->delay = NEVER;
	cycle();
	assert_int_equal(called(r->url, NULL), 2);
	assert_int_equal(now - begun, LATENCY);
	assert_int_equal(told.done.calls, 8);
	assert_int_equal(told.done.failed, 0);
}

/* A list of one service with so many groups. */
static const char *
groups(int count)
{
	static char text[8192];
	int i, n;

	n = snprintf(text, sizeof(text),
	    "{\"items\":[{\"name\":\"s\",\"healthChecks\":[1],"
	    "\"backends\":[");
	for (i = 0; i < count; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    "%s{\"group\":\"group-%d\"}", i == 0 ? "" : ",", i);
	snprintf(text + n, sizeof(text) - (size_t)n, "]}]}");
	return (text);
}

/* So are those whose turn comes only after a list that has changed. */
static void
later_than_the_list(void **state)
{
	const int count = HTTP_WINDOW;

	(void)state;
	list = groups(count);
	cycle();
	assert_int_equal(told.done.calls, 6 + 2 * count);
	list = groups(count - 1);
	cycle();
	assert_int_equal(told.done.calls, 6 + 2 * (count - 1));
	assert_int_equal(told.done.failed, 0);
	assert_int_equal(told.service[REMOTE].verdict, V_YES);
}

/* What the new list has beside is asked when it has come. */
static void
newly_there(void **state)
{
	int64_t at[8];

	(void)state;
	list = ONE;
	cycle();
	list = TWO;
	cycle();
	assert_int_equal(called("/backendServices/s/getHealth", at), 2);
	assert_int_equal(at[0], 0);
	assert_int_equal(called("/backendServices/t/getHealth", at), 2);
	assert_int_equal(at[0], LATENCY);
	assert_int_equal(now - begun, 2 * LATENCY);
	assert_int_equal(told.region[LOCAL].services, 2);
	assert_int_equal(told.done.failed, 0);
	cycle();
	assert_int_equal(now - begun, LATENCY);
}

/* Answers that come before the list are kept until it has come. */
static void
before_the_list(void **state)
{
	struct rule *r;

	(void)state;
	list = TWO;
	cycle();
	rule("/backendServices?", 0, 200)->delay = 1000;
	r = rule("/b/backendServices/t/getHealth", 0, 404);
	cycle();
	assert_int_equal(now - begun, 1000);
	assert_int_equal(ncalls, 10);
	assert_int_equal(told.service[LOCAL].verdict, V_YES);
	assert_int_equal(told.region[REMOTE].services, 2);
	assert_int_equal(told.service[REMOTE].verdict, V_UNKNOWN);
	assert_string_equal(told.service[REMOTE].reason, "g: HTTP 404 r404: m");
	assert_int_equal(told.done.failed, 1);
	assert_int_equal(told.done.failed_parts, PART_HEALTH_REMOTE);
	/* the other way round */
	nrules = 0;
	r = rule("/b/backendServices/t/getHealth", 0, 200);
	r->delay = 1000;
	cycle();
	assert_int_equal(now - begun, 1000);
	assert_int_equal(told.service[REMOTE].verdict, V_YES);
	assert_int_equal(told.done.failed, 0);
}

/* Without a list nothing is known, whatever was answered; but the groups of the
 * last one are not forgotten. */
static void
without_a_list(void **state)
{
	(void)state;
	list = TWO;
	cycle();
	rule("/b/backendServices?", 0, 403);
	cycle();
	assert_false(told.region[REMOTE].complete);
	assert_int_equal(told.region[REMOTE].services, 0);
	assert_int_equal(told.done.failed, 1);
	assert_int_equal(told.region[LOCAL].services, 2);
	nrules = 0;
	cycle();
	assert_int_equal(now - begun, LATENCY);
	assert_true(told.region[REMOTE].complete);
	/* no token either: list and guesses fail together */
	token = NULL;
	cycle();
	assert_int_equal(ncalls, 0);
	assert_int_equal(told.done.failed_parts, PARTS_ALL);
}

/* A configuration that is replaced ends the cycles, also those that wait. */
static void
ended(void **state)
{
	(void)state;
	rule("https://h/", 0, 503);
	begin(PARTS_ALL);
	while (now - begun < 1000)
		run_one();
	cycles_end();
	assert_int_equal(told.ndone, 1);
	assert_int_equal(flying, 0);
	assert_true(TAILQ_EMPTY(&events));
	assert_int_equal(told.done.failed_parts, PARTS_ALL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_well, setup),
		cmocka_unit_test_setup(repeats, setup),
		cmocka_unit_test_setup(gives_up, setup),
		cmocka_unit_test_setup(parts_that_fail, setup),
		cmocka_unit_test_setup(counted, setup),
		cmocka_unit_test_setup(permanent, setup),
		cmocka_unit_test_setup(whatever_happens, setup),
		cmocka_unit_test_setup(new_token, setup),
		cmocka_unit_test_setup(no_token, setup),
		cmocka_unit_test_setup(token_meanwhile, setup),
		cmocka_unit_test_setup(server_says_when, setup),
		cmocka_unit_test_setup(within_the_budget, setup),
		cmocka_unit_test_setup(hangs, setup),
		cmocka_unit_test_setup(many_hang, setup),
		cmocka_unit_test_setup(parts, setup),
		cmocka_unit_test_setup(lists, setup),
		cmocka_unit_test_setup(pages, setup),
		cmocka_unit_test_setup(at_once, setup),
		cmocka_unit_test_setup(no_longer_there, setup),
		cmocka_unit_test_setup(later_than_the_list, setup),
		cmocka_unit_test_setup(newly_there, setup),
		cmocka_unit_test_setup(before_the_list, setup),
		cmocka_unit_test_setup(without_a_list, setup),
		cmocka_unit_test_setup(ended, setup),
	};

	log_init("test", LOG_CRIT, NULL);
	cycle_init(NULL);
	return (cmocka_run_group_tests(tests, NULL, teardown));
}
