/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef ACTUATOR_ROOM_H
#define ACTUATOR_ROOM_H

#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* No test needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

/*
 * The whole actuator but for its sockets, against clouds that do what the test
 * says, in a time that only passes when something waits for it.  Timers, HTTP,
 * tokens and the channel to the parent are the ones below.
 */
#define main actuator_main
int main(int, char *[]);
#include "../../proc/actuator/actuator.c"
#undef main
#include "../../proc/actuator/account.c"
#include "../../proc/actuator/allow.c"
#include "../../proc/actuator/budget.c"
#include "../../proc/actuator/call.c"
#include "../../proc/actuator/job.c"
#include "../../proc/actuator/lock.c"
#include "../../proc/actuator/merge.c"
#include "../../proc/actuator/pick.c"
#include "../../proc/actuator/router.c"
#include "../../proc/actuator/routes.c"
#include "../../proc/actuator/told.c"

#define P	"203.0.113.0/24"
#define S	"198.51.100.0/24"
#define T	"198.18.1.0/24"
#define U	"198.18.2.0/24"
#define F	"192.0.2.128/25" /* not ours */
#define LATENCY 10		 /* milliseconds, of every call */
#define CALLS	256

#include "timers.h"

static void
at(struct event *ev, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(ev, &tv);
}

/* Let that much time pass. */
static void
pass(int64_t ms)
{
	int64_t end = now + ms;
	struct event *ev;

	while ((ev = TAILQ_FIRST(&events)) != NULL && ev->due <= end) {
		event_del(ev);
		now = ev->due;
		ev->cb(-1, EV_TIMEOUT, ev->arg);
	}
	now = end;
}

/* Let time pass until nothing waits for it any more; how long that took. */
static int64_t
run(void)
{
	int64_t start = now;
	int n = 0;

	while (!TAILQ_EMPTY(&events)) {
		pass(TAILQ_FIRST(&events)->due - now);
		assert_true(n++ < 100000);
	}
	return (now - start);
}

/* What is random is the largest that it may be. */
uint32_t
arc4random_uniform(uint32_t bound)
{
	return (bound == 0 ? 0 : bound - 1);
}

/* The clouds. */

enum trouble {
	ANSWERS, /* with status and body; nothing is done */
	LOST,	 /* done, but no answer comes */
	GONE,	 /* not done, and no answer comes */
	DOWN,	 /* not even sent */
	HOOK,	 /* nothing but the hook, after the answer */
};

struct fault {
	const char *kind; /* of call, as in the trace */
	int skip;
	int count;
	enum trouble trouble;
	long status;
	const char *body;
	void (*hook)(void);
	const char *retry_after; /* headers, or NULL */
	const char *ratelimit;
	const char *type;
};

static struct {
	json_t *router;
	json_t *told; /* the router as the peers know it */
	int64_t told_at;
	json_t *routes;
	bool up;	    /* the peers */
	bool listed;	    /* is advertisedRoutes in the status? */
	int64_t lag;	    /* until the peers are told */
	const char *uptime; /* of the sessions, in seconds */
	int64_t delay;	    /* of operations; -1: never done */
	const char *op_error;
	bool partial; /* of a PUT the first route is left out */
	bool drops_weight;
	struct fault fault[8];
	size_t nfaults;
	/* the operation that runs or ran last */
	json_t *change; /* NULL: none runs */
	int64_t change_at;
	char change_id[ID_LEN];
	int nops;
	const char *google; /* the token that is good */
	const char *cloudflare;
	const char *new_cloudflare; /* comes if the old one is refused */
} world;

static struct msg_limit limit; /* burst 0: none */

/* What was called, and when. */
static char trace[4096];
static struct {
	char kind[16];
	char id[ID_LEN]; /* requestId */
	int64_t when;
	uint32_t timeout;
} call[CALLS];
static size_t ncalls;
static int in_flight;

struct http_call {
	struct event *ev;
	http_done done;
	void *arg;
	enum http_method method;
	char *url;
	char *body;
	char *bearer;
};

static const char *
kind_of(const struct http_call *one)
{
	if (one->method == HTTP_PATCH)
		return ("patch");
	if (one->method == HTTP_PUT)
		return ("put");
	assert_int_equal(one->method, HTTP_GET);
	if (strstr(one->url, "/magic/routes") != NULL)
		return ("list");
	if (strstr(one->url, "/operations/") != NULL)
		return ("op");
	if (strstr(one->url, "/getRouterStatus") != NULL)
		return ("status");
	return ("get");
}

/* The ranges of a list as letters. */
static void
letters(const json_t *ranges, char *buf, size_t len)
{
	static const char *const known[] = { P, S, T, U, F };
	const char *range;
	json_t *value;
	size_t i, j;

	json_array_foreach(ranges, i, value) {
		range = json_text(value, "range");
		for (j = 0; j < COUNT(known); j++)
			if (strcmp(range, known[j]) == 0)
				strlcat(buf, (char[]){ "PSTUF"[j], '\0' }, len);
	}
}

/* The priorities of routes and how many have them, as "100*2+200*1". */
static void
count_priorities(const json_t *routes, char *buf, size_t len)
{
	json_int_t priority = -1;
	char text[32];
	json_t *route;
	size_t i, n = 0;

	json_array_foreach(routes, i, route) {
		priority = priority_of(route);
		n++;
		if (i + 1 < json_array_size(routes) &&
		    priority_of(json_array_get(routes, i + 1)) == priority)
			continue;
		snprintf(text, sizeof(text), "%s%d*%zu",
		    *buf == '\0' ? "" : "+", (int)priority, n);
		strlcat(buf, text, len);
		n = 0;
	}
}

/* What a call is in the trace: "patch:PF", "put:200*2", or its kind. */
static void
trace_call(const struct http_call *one)
{
	const json_t *level;
	char text[64] = "";
	json_t *json;

	strlcat(trace, ncalls == 0 ? "" : " ", sizeof(trace));
	strlcat(trace, kind_of(one), sizeof(trace));
	if (one->body == NULL)
		return;
	json = json_loads(one->body, 0, NULL);
	assert_non_null(json);
	if (one->method == HTTP_PATCH) {
		level = json_object_get(json, "bgp");
		if (level == NULL)
			level = json_array_get(
			    json_object_get(json, "bgpPeers"), 0);
		letters(json_object_get(level, "advertisedIpRanges"), text,
		    sizeof(text));
	} else {
		count_priorities(json_object_get(json, "routes"), text,
		    sizeof(text));
	}
	strlcat(trace, ":", sizeof(trace));
	strlcat(trace, text, sizeof(trace));
	json_decref(json);
}

/* RFC 7396, for what we send. */
static void
merge_patch_into(json_t *target, const json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)patch, key, value)
		if (json_is_object(value))
			json_object_update(json_object_get(target, key), value);
		else
			json_object_set(target, key, value);
}

/* What is due by now has happened. */
static void
settle(void)
{
	if (world.change != NULL && world.delay != -1 &&
	    now >= world.change_at + world.delay) {
		if (world.op_error == NULL)
			merge_patch_into(world.router, world.change);
		json_decref(world.change);
		world.change = NULL;
		world.told_at = now + world.lag;
	}
	if (world.told == NULL || now >= world.told_at) {
		json_decref(world.told);
		world.told = json_deep_copy(world.router);
	}
}

static json_t *
operation(bool done)
{
	char name[32];

	snprintf(name, sizeof(name), "operation-%d", world.nops);
	if (!done)
		return (
		    json_pack("{s:s, s:s}", "name", name, "status", "RUNNING"));
	if (world.op_error != NULL)
		return (json_pack("{s:s, s:s, s:{s:[{s:s, s:s}]}}", "name",
		    name, "status", "DONE", "error", "errors", "code",
		    world.op_error, "message", "it went wrong"));
	return (json_pack("{s:s, s:s}", "name", name, "status", "DONE"));
}

static json_t *
google_error(long *status, int code, const char *reason)
{
	*status = code;
	return (json_pack("{s:{s:i, s:s, s:[{s:s}]}}", "error", "code", code,
	    "message", "no", "errors", "reason", reason));
}

static json_t *
serve_patch(const struct http_call *one, long *status)
{
	const char *id = strstr(one->url, "?requestId=") + 11;

	if (strcmp(id, world.change_id) == 0)
		return (operation(world.change == NULL));
	if (world.change != NULL)
		return (google_error(status, 400, "resourceNotReady"));
	world.nops++;
	world.change = json_loads(one->body, 0, NULL);
	world.change_at = now;
	strlcpy(world.change_id, id, sizeof(world.change_id));
	settle();
	return (operation(world.change == NULL));
}

static json_t *
serve_status(void)
{
	const json_t *bgp = json_object_get(world.told, "bgp");
	json_t *status = json_array(), *peer, *routes, *range, *one;
	size_t i, j;

	json_array_foreach(json_object_get(world.told, "bgpPeers"), i, peer) {
		routes = json_array();
		json_array_foreach(
		    json_object_get(peer_custom(peer) ? peer : bgp,
			"advertisedIpRanges"),
		    j, range)
			json_array_append_new(routes,
			    json_pack("{s:s}", "destRange",
				json_text(range, "range")));
		one = json_pack("{s:s, s:s}", "name", json_text(peer, "name"),
		    "status", world.up ? "UP" : "DOWN");
		if (world.uptime != NULL && world.up)
			json_object_set_new(one, "uptimeSeconds",
			    json_string(world.uptime));
		if (world.listed && world.up)
			json_object_set(one, "advertisedRoutes", routes);
		json_decref(routes);
		json_array_append_new(status, one);
	}
	return (json_pack("{s:{s:o}}", "result", "bgpPeerStatus", status));
}

static json_t *
find_route(const char *id)
{
	json_t *mine;
	size_t i;

	json_array_foreach(world.routes, i, mine)
		if (strcmp(json_text(mine, "id"), id) == 0)
			return (mine);
	return (NULL);
}

static json_t *
serve_put(const struct http_call *one, long *status)
{
	json_t *body = json_loads(one->body, 0, NULL), *route, *mine;
	size_t i;

	json_array_foreach(json_object_get(body, "routes"), i, route) {
		if (find_route(json_text(route, "id")) != NULL)
			continue;
		json_decref(body);
		*status = 404;
		return (json_pack("{s:b, s:[{s:i, s:s}]}", "success", 0,
		    "errors", "code", 1020, "message", "Route not found"));
	}
	json_array_foreach(json_object_get(body, "routes"), i, route) {
		if (world.partial && i == 0)
			continue;
		mine = find_route(json_text(route, "id"));
		json_object_update(mine, route);
		if (world.drops_weight)
			json_object_del(mine, "weight");
	}
	json_decref(body);
	return (json_pack("{s:b, s:{s:b}}", "success", 1, "result", "modified",
	    !world.partial));
}

static json_t *
serve(const struct http_call *one, long *status)
{
	const char *kind = kind_of(one);
	bool google = strncmp(one->url, "https://c/", 10) == 0;

	settle();
	if (strcmp(one->bearer, google ? world.google : world.cloudflare) != 0)
		return (google_error(status, 401, "authError"));
	if (strcmp(kind, "patch") == 0)
		return (serve_patch(one, status));
	if (strcmp(kind, "put") == 0)
		return (serve_put(one, status));
	if (strcmp(kind, "list") == 0)
		return (json_pack("{s:b, s:{s:O}}", "success", 1, "result",
		    "routes", world.routes));
	if (strcmp(kind, "op") == 0)
		return (operation(world.change == NULL));
	if (strcmp(kind, "status") == 0)
		return (serve_status());
	return (json_incref(world.router));
}

/* The fault that the call meets, if any. */
static const struct fault *
find_fault(const char *kind)
{
	struct fault *fault;
	size_t i;

	for (i = 0; i < world.nfaults; i++) {
		fault = &world.fault[i];
		if (strcmp(fault->kind, kind) != 0 || fault->count == 0)
			continue;
		if (fault->skip > 0) {
			fault->skip--;
			continue;
		}
		fault->count--;
		return (fault);
	}
	return (NULL);
}

static void
deliver(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	struct http_call *one = arg;
	const struct fault *fault = find_fault(kind_of(one));
	struct http_reply reply = { .answered = true,
		.sent = true,
		.status = 200,
		.bearer = one->bearer,
		.error = "connection reset" };
	enum trouble trouble = fault == NULL ? HOOK : fault->trouble;
	char *text = NULL;
	json_t *json;

	if (trouble == HOOK || trouble == LOST) {
		json = serve(one, &reply.status);
		text = json_dumps(json, 0);
		json_decref(json);
	}
	if (trouble == ANSWERS) {
		reply.status = fault->status;
		text = strdup(fault->body);
	}
	if (fault != NULL && fault->hook != NULL)
		fault->hook();
	if (fault != NULL && fault->retry_after != NULL)
		strlcpy(reply.retry_after, fault->retry_after,
		    sizeof(reply.retry_after));
	if (fault != NULL && fault->type != NULL)
		strlcpy(reply.content_type, fault->type,
		    sizeof(reply.content_type));
	if (fault != NULL && fault->ratelimit != NULL)
		strlcpy(reply.ratelimit, fault->ratelimit,
		    sizeof(reply.ratelimit));
	if (trouble == LOST || trouble == GONE || trouble == DOWN) {
		reply.answered = false;
		reply.status = 0;
		reply.sent = trouble != DOWN;
	}
	reply.body = text == NULL ? "" : text;
	reply.body_len = strlen(reply.body);
	in_flight--;
	one->done(&reply, one->arg);
	free(text);
	event_free(one->ev);
	free(one->url);
	free(one->body);
	free(one->bearer);
	free(one);
}

struct http_call *
http_start(const struct http_request *request, http_done done, void *arg)
{
	struct http_call *one = calloc(1, sizeof(*one));
	const char *id;

	assert_non_null(one);
	one->done = done;
	one->arg = arg;
	one->method = request->method;
	one->url = strdup(request->url);
	one->bearer = strdup(request->bearer);
	assert_true(request->write);
	assert_true(request->timeout > 0);
	assert_int_equal(request->connect_timeout, 5000);
	assert_ptr_equal(request->bucket,
	    strncmp(one->url, "https://c/", 10) == 0 && limit.burst > 0 ?
		&bucket :
		NULL);
	if (request->body != NULL) {
		assert_string_equal(request->content_type, "application/json");
		assert_int_equal(request->body_len, strlen(request->body));
		one->body = strdup(request->body);
	}
	trace_call(one);
	assert_true(ncalls < CALLS);
	strlcpy(call[ncalls].kind, kind_of(one), sizeof(call[0].kind));
	id = strstr(one->url, "?requestId=");
	strlcpy(call[ncalls].id, id == NULL ? "" : id + 11, ID_LEN);
	call[ncalls].timeout = request->timeout;
	call[ncalls++].when = now;
	in_flight++;
	one->ev = event_new(NULL, -1, 0, deliver, one);
	at(one->ev, LATENCY);
	return (one);
}

void
http_cancel(struct http_call *one)
{
	in_flight--;
	event_free(one->ev);
	free(one->url);
	free(one->body);
	free(one->bearer);
	free(one);
}

/* The n'th call of a kind. */
static size_t
nth(const char *kind, int n)
{
	size_t i;

	for (i = 0; i < ncalls; i++)
		if (strcmp(call[i].kind, kind) == 0 && n-- == 0)
			return (i);
	fail_msg("no such call: %s", trace);
	return (0);
}

/* The access token of Google. */

static const char *token = "google-1";
static bool token_fails;
static struct event *token_event;
static struct {
	void (*cb)(void *);
	void *arg;
} waiter;

static void
token_fetched(evutil_socket_t fd __unused, short what __unused,
    void *arg __unused)
{
	void (*cb)(void *) = waiter.cb;

	if (!token_fails)
		token = world.google;
	waiter.cb = NULL;
	if (cb != NULL)
		cb(waiter.arg);
}

const char *
token_current(void)
{
	return (token);
}

const char *
token_problem(void)
{
	return ("the signer has no key");
}

void
token_refused(const char *refused)
{
	assert_string_equal(refused, token);
	token = NULL;
}

void
token_when_ready(void (*cb)(void *), void *arg)
{
	assert_null(waiter.cb);
	waiter.cb = cb;
	waiter.arg = arg;
	at(token_event, 50);
}

void
token_forget_waiter(void (*cb)(void *), void *arg)
{
	if (waiter.cb == cb && waiter.arg == arg)
		waiter.cb = NULL;
}

/* What main() would need. */

const struct syscall_rule http_rules[] = { { 0 } };
const size_t http_nrules = 0;

const char *
http_libraries(void)
{
	return ("");
}

void
http_prepare(struct event_base *unused __unused, const char *text __unused,
    size_t len __unused)
{
}

int
http_set_ca(const char *text __unused, size_t len __unused)
{
	return (0);
}

void
http_address(const struct msg_addresses *unused __unused)
{
}

void
token_init(struct event_base *unused __unused)
{
}

void
token_source(const struct msg_token_uri *source)
{
	assert_string_equal(source->url, "https://t/token");
}

void
token_retry(void)
{
}

bool
token_message(const struct imsg *unused __unused)
{
	return (false);
}

void
token_given(const struct msg_token *unused __unused)
{
}

void
token_not_given(const char *unused __unused)
{
}

int
token_parse(const struct http_reply *unused __unused,
    struct msg_token *nothing __unused, char *why __unused, size_t len __unused)
{
	return (-1);
}

int
child_main(const struct child_program *program __unused, int argc __unused,
    char *argv[] __unused)
{
	return (0);
}

/* The parent, which reads all at once. */

struct channel *parent_channel;

static struct {
	enum imsg_type type;
	uint32_t id;
	union {
		struct msg_plan_advert advert;
		struct msg_plan_routes routes;
		struct msg_plan_done done;
	} u;
} heard[256];
static size_t nheard;
static char complaint[LOGTEXT_LEN]; /* the last warning or error */
static int ncomplaints;
static struct event *cf_event;

static void
sink(int priority, const char *corr __unused, const char *line)
{
	if (priority > LOG_WARNING)
		return;
	strlcpy(complaint, line, sizeof(complaint));
	ncomplaints++;
}

static void
tell(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	struct imsg imsg = { .hdr = { .type = type,
				 .len = (uint32_t)(sizeof(imsg.hdr) + len),
				 .id = id },
		.data = data,
		.len = len };
	char why[128];

	if (proto_check(&imsg, ROLE_PARENT, ROLE_ACTUATOR, why, sizeof(why)) ==
	    -1)
		fail_msg("%s: %s", proto_name(type), why);
	dispatch(&imsg, NULL);
}

void
child_send(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	struct imsg imsg = { .hdr = { .type = type,
				 .len = (uint32_t)(sizeof(imsg.hdr) + len),
				 .id = id },
		.data = data,
		.len = len };
	char why[128];

	if (proto_check(&imsg, ROLE_ACTUATOR, ROLE_PARENT, why, sizeof(why)) ==
	    -1)
		fail_msg("%s: %s", proto_name(type), why);
	assert_true(nheard < COUNT(heard));
	heard[nheard].type = type;
	heard[nheard].id = id;
	if (len > 0)
		memcpy(&heard[nheard].u, data, len);
	nheard++;
	if (type == IMSG_CF_REFUSED && world.new_cloudflare != NULL)
		at(cf_event, 100);
}

static void
cf_token_comes(evutil_socket_t fd __unused, short what __unused,
    void *arg __unused)
{
	tell(IMSG_CONF_CF_TOKEN, 0, world.new_cloudflare,
	    strlen(world.new_cloudflare));
}

static struct msg_conf_act conf[8];
static uint32_t nconf;
static const char *named_peer[2]; /* of the first failover */
static const char *const account_name[] = { "acc", "other" };

static void
commit(void)
{
	struct msg_endpoint endpoint = { .api = API_COMPUTE,
		.url = "https://c/v1/" };
	struct msg_token_uri uri = { .url = "https://t/token" };
	struct msg_name name;
	uint32_t i;

	tell(IMSG_CONF_BEGIN, 0, NULL, 0);
	tell(IMSG_CONF_ENDPOINT, 0, &endpoint, sizeof(endpoint));
	endpoint.api = API_CLOUDFLARE;
	strlcpy(endpoint.url, "https://f/v4", sizeof(endpoint.url));
	tell(IMSG_CONF_ENDPOINT, 0, &endpoint, sizeof(endpoint));
	tell(IMSG_CONF_TOKEN_URI, ROLE_ACTUATOR, &uri, sizeof(uri));
	if (limit.burst > 0)
		tell(IMSG_CONF_LIMIT, 0, &limit, sizeof(limit));
	for (i = 0; i < COUNT(account_name); i++) {
		memset(&name, 0, sizeof(name));
		strlcpy(name.name, account_name[i], sizeof(name.name));
		tell(IMSG_CONF_CF_TOKEN, i, "cloudflare-1 \r\n", 15);
		tell(IMSG_CONF_ACCOUNT, i, &name, sizeof(name));
	}
	for (i = 0; i < nconf; i++)
		tell(IMSG_CONF_ACT, i, &conf[i], sizeof(conf[i]));
	for (i = 0; i < COUNT(named_peer); i++) {
		if (named_peer[i] == NULL)
			continue;
		memset(&name, 0, sizeof(name));
		strlcpy(name.name, named_peer[i], sizeof(name.name));
		tell(IMSG_CONF_PEER, 0, &name, sizeof(name));
	}
	tell(IMSG_CONF_COMMIT, 0, NULL, 0);
	pass(0); /* it is used once nothing is under way */
}

static void
conf_default(struct msg_conf_act *c, const char *first, const char *second,
    const char *match)
{
	memset(c, 0, sizeof(*c));
	strlcpy(c->project, "project", sizeof(c->project));
	strlcpy(c->region, "region", sizeof(c->region));
	strlcpy(c->router, "router", sizeof(c->router));
	assert_int_equal(prefix_parse(first, &c->prefix[PRIMARY]), 0);
	assert_int_equal(prefix_parse(second, &c->prefix[SECONDARY]), 0);
	strlcpy(c->match, match, sizeof(c->match));
	c->priority = 100;
	c->failed = 200;
	c->expect = -1;
	c->drain = 30000;
	c->connect_timeout = 5000;
	c->api_timeout = 30000;
	c->bgp_update_timeout = 60000;
	c->cloudflare_timeout = 10000;
	c->cloudflare_bulk_timeout = 60000;
	c->look_every = 60000;
	c->bgp_retries = 2;
	c->cloudflare_retries = 3;
	c->backoff_initial = 1000;
	c->backoff_max = 60000;
}

static json_t *
route(const char *id, const char *description, int priority)
{
	return (json_pack("{s:s, s:s, s:s, s:i, s:s, s:i}", "id", id, "prefix",
	    P, "nexthop", "10.0.0.1", "priority", priority, "description",
	    description, "weight", 64));
}

/* A router that advertises these, in CUSTOM mode; NULL: in DEFAULT mode. */
static void
world_router(const char *ranges)
{
	json_t *bgp, *list = json_array();
	const char *p;

	for (p = ranges; p != NULL && *p != '\0'; p++)
		json_array_append_new(list,
		    json_pack("{s:s}", "range",
			*p == 'P'     ? P :
			    *p == 'S' ? S :
			    *p == 'T' ? T :
			    *p == 'U' ? U :
					F));
	bgp = json_pack("{s:i, s:s}", "asn", 64512, "advertiseMode",
	    ranges == NULL ? "DEFAULT" : "CUSTOM");
	if (ranges != NULL)
		json_object_set(bgp, "advertisedIpRanges", list);
	json_decref(list);
	json_decref(world.router);
	world.router = json_pack("{s:s, s:o, s:[{s:s}, {s:s}]}", "name",
	    "router", "bgp", bgp, "bgpPeers", "name", "peer-a", "name",
	    "peer-b");
	json_decref(world.told);
	world.told = NULL;
}

/* Two routes of ours for the first failover, one for the second, and others. */
static void
world_routes(int priority)
{
	json_decref(world.routes);
	world.routes = json_pack("[o, o, o, o, {s:s, s:n}]",
	    route("r1", "edge one", priority),
	    route("r2", "the edge two", priority),
	    route("r3", "rim one", priority), route("r4", "static", 150), "id",
	    "r5", "description");
}

static void
world_end(void)
{
	json_decref(world.router);
	json_decref(world.told);
	json_decref(world.routes);
	json_decref(world.change);
	memset(&world, 0, sizeof(world));
}

/* Everything anew, with these ranges on the router and this priority. */
static void
begin(const char *ranges, int priority)
{
	struct table *table;

	world_end();
	world_router(ranges);
	world_routes(priority);
	world.up = world.listed = true;
	world.uptime = NULL;
	world.delay = 5;
	world.google = "google-1";
	world.cloudflare = "cloudflare-1";
	token = world.google;
	token_fails = false;
	trace[0] = complaint[0] = '\0';
	ncalls = nheard = 0;
	ncomplaints = 0;
	conf_default(&conf[0], P, S, "edge");
	conf_default(&conf[1], T, U, "rim");
	limit = (struct msg_limit){ .rate = 2000, .burst = 10 };
	nconf = 1;
	named_peer[0] = named_peer[1] = NULL;
	commit();
	TAILQ_FOREACH(table, &tables, entry)
		memset(&table->budget, 0, sizeof(table->budget));
}

static struct fault *
fault(const char *kind, int skip, int count, enum trouble trouble)
{
	struct fault *one = &world.fault[world.nfaults++];

	assert_true(world.nfaults <= COUNT(world.fault));
	one->kind = kind;
	one->skip = skip;
	one->count = count;
	one->trouble = trouble;
	return (one);
}

static struct fault *
fault_status(const char *kind, int skip, int count, long status,
    const char *body)
{
	struct fault *one = fault(kind, skip, count, ANSWERS);

	one->status = status;
	one->body = body;
	return (one);
}

#define FORBIDDEN                                                              \
	"{\"error\":{\"code\":403,\"message\":\"Required "                     \
	"'compute.routers.update' permission\","                               \
	"\"errors\":[{\"reason\":\"forbidden\"}]}}"
#define BUSY                                                                   \
	"{\"error\":{\"code\":400,\"message\":\"The resource is not ready\","  \
	"\"errors\":[{\"reason\":\"resourceNotReady\"}]}}"

/* "+-f": advertise the primary, withdraw the secondary, failed priority;
 * '.': keep. */
static void
plan_send(uint32_t failover, uint64_t number, const char *what, bool repair,
    uint32_t blocked)
{
	struct msg_plan plan = { .plan = number,
		.corr = "hc-1-00000000",
		.repair = repair,
		.blocked = blocked };
	int p;

	for (p = 0; p < PREFIXES; p++)
		plan.prefix[p] = what[p] == '+' ? ADVERT_ADVERTISE :
		    what[p] == '-'		? ADVERT_WITHDRAW :
						  ADVERT_KEEP;
	plan.cloudflare = what[2] == 'p' ? STEER_PRIORITY :
	    what[2] == 'f'		 ? STEER_FAILED :
					   STEER_KEEP;
	tell(IMSG_PLAN, failover, &plan, sizeof(plan));
}

static void
plan_as(uint32_t failover, uint64_t number, const char *what)
{
	plan_send(failover, number, what, false, 0);
}

/* Nothing was decided anew: a look for drift. */
static void
look_as(uint32_t failover, uint64_t number, const char *what)
{
	plan_send(failover, number, what, true, 0);
}

static void
plan(const char *what)
{
	plan_as(0, 1, what);
}

static void
permit_as(uint32_t failover, uint64_t number, bool proceed)
{
	struct msg_permit msg = { .plan = number, .proceed = proceed };

	tell(IMSG_PLAN_PERMIT, failover, &msg, sizeof(msg));
}

static void
permit(uint64_t number, bool proceed)
{
	permit_as(0, number, proceed);
}

static size_t
count(enum imsg_type type)
{
	size_t i, n = 0;

	for (i = 0; i < nheard; i++)
		n += heard[i].type == type;
	return (n);
}

/* The end of a plan; there is exactly one. */
static const struct msg_plan_done *
done(uint64_t number)
{
	const struct msg_plan_done *found = NULL;
	size_t i;

	for (i = 0; i < nheard; i++) {
		if (heard[i].type != IMSG_PLAN_DONE ||
		    heard[i].u.done.plan != number)
			continue;
		assert_null(found);
		found = &heard[i].u.done;
	}
	assert_non_null(found);
	return (found);
}

/* What was told of a prefix, or NULL. */
static const struct msg_plan_advert *
advert_of(uint64_t number, enum which which)
{
	const struct msg_plan_advert *found = NULL;
	size_t i;

	for (i = 0; i < nheard; i++) {
		if (heard[i].type != IMSG_PLAN_ADVERT ||
		    heard[i].u.advert.plan != number ||
		    heard[i].u.advert.which != which)
			continue;
		assert_null(found);
		found = &heard[i].u.advert;
	}
	return (found);
}

static const struct msg_plan_advert *
advert(enum which which)
{
	return (advert_of(1, which));
}

static const struct msg_plan_routes *
routes(uint64_t number)
{
	const struct msg_plan_routes *found = NULL;
	size_t i;

	for (i = 0; i < nheard; i++) {
		if (heard[i].type != IMSG_PLAN_ROUTES ||
		    heard[i].u.routes.plan != number)
			continue;
		assert_null(found);
		found = &heard[i].u.routes;
	}
	return (found);
}

static void
expect_advert(enum which which, enum outcome result, enum verdict effect)
{
	const struct msg_plan_advert *msg = advert(which);

	assert_non_null(msg);
	assert_int_equal(msg->result, result);
	assert_int_equal(msg->effect, effect);
	assert_int_equal(msg->error[0] != '\0', result == RESULT_FAILURE);
	assert_string_equal(msg->why,
	    result == RESULT_SKIPPED ? "passive" : "");
}

static void
expect_routes(enum outcome result, uint32_t modified, int32_t desired)
{
	const struct msg_plan_routes *msg = routes(1);

	assert_non_null(msg);
	assert_int_equal(msg->result, result);
	assert_int_equal(msg->modified, modified);
	assert_int_equal(msg->desired, desired);
	assert_int_equal(msg->error[0] != '\0', result == RESULT_FAILURE);
}

static void
expect_done(enum plan_status status, uint32_t changed, const char *step)
{
	const struct msg_plan_done *msg = done(1);

	assert_int_equal(msg->status, status);
	assert_int_equal(msg->changed, changed);
	assert_string_equal(msg->step, step);
	assert_int_equal(msg->error[0] != '\0', status == PLAN_FAILED);
}

static void
expect_trace(const char *expected)
{
	assert_int_equal(in_flight, 0);
	assert_string_equal(trace, expected);
}

static void
turn_passive(void)
{
	config_current()->act[0].conf.passive = 1;
}

static int
setup(void **state)
{
	(void)state;
	log_init("actuator", LOG_DEBUG, sink);
	token_event = event_new(NULL, -1, 0, token_fetched, NULL);
	cf_event = event_new(NULL, -1, 0, cf_token_comes, NULL);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	world_end();
	event_free(token_event);
	event_free(cf_event);
	return (0);
}

#endif /* ACTUATOR_ROOM_H */
