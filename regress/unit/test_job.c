/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

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

/*
 * The whole actuator but for its sockets, against clouds that do what the test
 * says, in a time that only passes when something waits for it.  Timers, HTTP,
 * tokens and the channel to the parent are the ones below.
 */
#define main actuator_main
int main(int, char *[]);
#include "../../proc/actuator/actuator.c"
#undef main
#include "../../proc/actuator/call.c"
#include "../../proc/actuator/job.c"
#include "../../proc/actuator/lock.c"
#include "../../proc/actuator/merge.c"
#include "../../proc/actuator/pick.c"
#include "../../proc/actuator/router.c"
#include "../../proc/actuator/routes.c"

#define P	"203.0.113.0/24"
#define S	"198.51.100.0/24"
#define T	"198.18.1.0/24"
#define U	"198.18.2.0/24"
#define F	"192.0.2.128/25" /* not ours */
#define LATENCY 10		 /* milliseconds, of every call */
#define CALLS	256

/* Time and timers. */

struct event {
	TAILQ_ENTRY(event) entry;
	event_callback_fn cb;
	void *arg;
	bool pending;
	int64_t due;
};

static TAILQ_HEAD(, event) events = TAILQ_HEAD_INITIALIZER(events);
static int64_t now;

int64_t
http_now(void)
{
	return (now);
}

struct event *
event_new(struct event_base *unused __unused, evutil_socket_t fd __unused,
    short what __unused, event_callback_fn cb, void *arg)
{
	struct event *ev = calloc(1, sizeof(*ev));

	assert_non_null(ev);
	ev->cb = cb;
	ev->arg = arg;
	return (ev);
}

int
event_del(struct event *ev)
{
	if (ev->pending)
		TAILQ_REMOVE(&events, ev, entry);
	ev->pending = false;
	return (0);
}

/* Sooner goes first, and of the same time the one that was added first. */
int
event_add(struct event *ev, const struct timeval *tv)
{
	struct event *other;

	event_del(ev);
	ev->pending = true;
	ev->due = now + tv->tv_sec * 1000 + tv->tv_usec / 1000;
	TAILQ_FOREACH(other, &events, entry)
		if (other->due > ev->due)
			break;
	if (other != NULL)
		TAILQ_INSERT_BEFORE(other, ev, entry);
	else
		TAILQ_INSERT_TAIL(&events, ev, entry);
	return (0);
}

int
event_pending(const struct event *ev, short what __unused,
    struct timeval *tv __unused)
{
	return (ev->pending);
}

void
event_free(struct event *ev)
{
	event_del(ev);
	free(ev);
}

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
};

static struct {
	json_t *router;
	json_t *told; /* the router as the peers know it */
	int64_t told_at;
	json_t *routes;
	bool up;       /* the peers */
	bool listed;   /* is advertisedRoutes in the status? */
	int64_t lag;   /* until the peers are told */
	int64_t delay; /* of operations; -1: never done */
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

/* What a call is in the trace: "patch:PF", "put:200*2", or its kind. */
static void
trace_call(const struct http_call *one)
{
	const json_t *level, *routes;
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
		routes = json_object_get(json, "routes");
		snprintf(text, sizeof(text), "%d*%zu",
		    (int)priority_of(json_array_get(routes, 0)),
		    json_array_size(routes));
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
		if (world.listed && world.up)
			json_object_set(one, "advertisedRoutes", routes);
		json_decref(routes);
		json_array_append_new(status, one);
	}
	return (json_pack("{s:{s:o}}", "result", "bgpPeerStatus", status));
}

static json_t *
serve_put(const struct http_call *one)
{
	json_t *body = json_loads(one->body, 0, NULL), *route, *mine;
	size_t i, j;

	json_array_foreach(json_object_get(body, "routes"), i, route) {
		if (world.partial && i == 0)
			continue;
		json_array_foreach(world.routes, j, mine) {
			if (strcmp(json_text(mine, "id"),
				json_text(route, "id")) != 0)
				continue;
			json_object_update(mine, route);
			if (world.drops_weight)
				json_object_del(mine, "weight");
		}
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
		return (serve_put(one));
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
token_uri(const char *uri)
{
	assert_string_equal(uri, "https://t/token");
}

void
token_retry(void)
{
}

void
token_assertion(const struct imsg *unused __unused)
{
}

void
token_assert_failed(const struct imsg *unused __unused)
{
}

int
child_main(const struct child_program *program __unused, int argc __unused,
    char *argv[] __unused)
{
	return (0);
}

/* The parent. */

static struct {
	enum imsg_type type;
	uint32_t id;
	union {
		struct msg_plan_advert advert;
		struct msg_plan_routes routes;
		struct msg_plan_done done;
	} u;
} heard[64];
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

static struct msg_conf_act conf[2];
static uint32_t nconf;
static const char *named_peer[2]; /* of the first failover */

static void
commit(void)
{
	struct msg_endpoint endpoint = { .api = API_COMPUTE,
		.url = "https://c/v1/" };
	struct msg_token_uri uri = { .url = "https://t/token" };
	struct msg_name name = { .name = "acc" };
	uint32_t i;

	tell(IMSG_CONF_BEGIN, 0, NULL, 0);
	tell(IMSG_CONF_ENDPOINT, 0, &endpoint, sizeof(endpoint));
	endpoint.api = API_CLOUDFLARE;
	strlcpy(endpoint.url, "https://f/v4", sizeof(endpoint.url));
	tell(IMSG_CONF_ENDPOINT, 0, &endpoint, sizeof(endpoint));
	tell(IMSG_CONF_TOKEN_URI, 0, &uri, sizeof(uri));
	tell(IMSG_CONF_CF_TOKEN, 0, "cloudflare-1 \r\n", 15);
	tell(IMSG_CONF_ACCOUNT, 0, &name, sizeof(name));
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
	world_end();
	world_router(ranges);
	world_routes(priority);
	world.up = world.listed = true;
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
	nconf = 1;
	named_peer[0] = named_peer[1] = NULL;
	commit();
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

static void
fault_status(const char *kind, int skip, int count, long status,
    const char *body)
{
	struct fault *one = fault(kind, skip, count, ANSWERS);

	one->status = status;
	one->body = body;
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
plan_as(uint32_t failover, uint64_t number, const char *what)
{
	struct msg_plan plan = { .plan = number, .corr = "hc-1-00000000" };
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
plan(const char *what)
{
	plan_as(0, 1, what);
}

static void
permit(uint64_t number, bool proceed)
{
	struct msg_permit msg = { .plan = number, .proceed = proceed };

	tell(IMSG_PLAN_PERMIT, 0, &msg, sizeof(msg));
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

/* The sequence, in both directions. */

static void
to_the_priority(void **state)
{
	const struct msg_plan_advert *msg;

	(void)state;
	begin(NULL, 200);
	plan("+-p");
	run();
	expect_trace("get patch:P op get status list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_advert(SECONDARY, RESULT_NO_CHANGE, V_YES);
	expect_routes(RESULT_SUCCESS, 2, 100);
	assert_int_equal(routes(1)->matching, 2);
	assert_int_equal(routes(1)->http_status, 200);
	msg = advert(PRIMARY);
	assert_int_equal(msg->advertise, 1);
	assert_int_equal(msg->http_status, 200);
	assert_string_equal(msg->operation_id, "operation-1");
	assert_string_equal(msg->request_id, call[nth("patch", 0)].id);
	assert_int_equal(strlen(msg->request_id), 36);
	assert_string_equal(msg->ranges_before, "");
	assert_string_equal(msg->ranges_after, P);
	/* GET, PATCH, operation, GET */
	assert_int_equal(msg->duration, 4 * LATENCY);
	msg = advert(SECONDARY);
	assert_int_equal(msg->advertise, 0);
	assert_int_equal(msg->http_status, 0);
	assert_string_equal(msg->operation_id, "");
	assert_string_equal(msg->request_id, "");
	assert_int_equal(ncomplaints, 0);
	/* what is not ours is as it was */
	assert_int_equal(priority_of(json_array_get(world.routes, 0)), 100);
	assert_int_equal(priority_of(json_array_get(world.routes, 1)), 100);
	assert_int_equal(priority_of(json_array_get(world.routes, 2)), 200);
	assert_int_equal(priority_of(json_array_get(world.routes, 3)), 150);
}

/* Advertised is not what is stored but what the peers have been told. */
static void
seen_before_steered(void **state)
{
	(void)state;
	begin("FS", 200);
	world.lag = 3000;
	plan("+-p");
	run();
	expect_trace("get patch:FP op get status status status status status "
		     "list put:100*2 list");
	assert_true(
	    call[nth("list", 0)].when >= call[nth("op", 0)].when + world.lag);
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_advert(SECONDARY, RESULT_SUCCESS, V_YES);
	assert_string_equal(advert(PRIMARY)->operation_id,
	    advert(SECONDARY)->operation_id);

	/* also where nothing had to be written */
	begin("FP", 200);
	world.told = json_object();
	world.told_at = now + 2000;
	plan("+-p");
	run();
	expect_trace("get status status status status status list "
		     "put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_NO_CHANGE, V_YES);
}

static void
as_it_should_be(void **state)
{
	(void)state;
	begin("FP", 100);
	plan("+-p");
	assert_int_equal(run(), 3 * LATENCY);
	expect_trace("get status list");
	expect_done(PLAN_DONE, 0, "");
	expect_advert(PRIMARY, RESULT_NO_CHANGE, V_YES);
	expect_advert(SECONDARY, RESULT_NO_CHANGE, V_YES);
	expect_routes(RESULT_NO_CHANGE, 0, 100);
	assert_string_equal(advert(PRIMARY)->ranges_before, F " " P);
	assert_string_equal(advert(PRIMARY)->ranges_after, F " " P);

	begin("FP", 200);
	plan("+-f");
	run();
	expect_trace("get list get status");
	expect_done(PLAN_DONE, 0, "");
	expect_routes(RESULT_NO_CHANGE, 0, 200);
}

static void
to_the_failed(void **state)
{
	const struct msg_plan_advert *msg;

	(void)state;
	begin("P", 100);
	plan("--f");
	run();
	expect_trace("list put:200*2 list get get patch: op get status");
	assert_true(
	    call[nth("get", 1)].when >= call[nth("list", 1)].when + 30000);
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_advert(SECONDARY, RESULT_NO_CHANGE, V_YES);
	expect_routes(RESULT_SUCCESS, 2, 200);
	msg = advert(PRIMARY);
	assert_string_equal(msg->ranges_before, P);
	assert_string_equal(msg->ranges_after, "");
}

static void
to_the_failed_announcing(void **state)
{
	const struct msg_plan_advert *first, *second;

	(void)state;
	/* announcing comes first and does not wait to be seen */
	begin("S", 100);
	world.lag = 2000;
	plan("+-f");
	run();
	expect_trace("get patch:SP op get list put:200*2 list get "
		     "get patch:P op get status status status status "
		     "status");
	expect_done(PLAN_DONE, 3, "");
	first = advert(PRIMARY);
	second = advert(SECONDARY);
	assert_int_equal(first->result, RESULT_SUCCESS);
	assert_int_equal(second->result, RESULT_SUCCESS);
	/* each has its own write to tell of */
	assert_string_equal(first->operation_id, "operation-1");
	assert_string_equal(second->operation_id, "operation-2");
	assert_string_equal(first->request_id, call[nth("patch", 0)].id);
	assert_string_equal(second->request_id, call[nth("patch", 1)].id);
	assert_string_not_equal(first->request_id, second->request_id);
	assert_string_equal(first->ranges_before, S);
	assert_string_equal(first->ranges_after, S " " P);
	assert_string_equal(second->ranges_before, S " " P);
	assert_string_equal(second->ranges_after, P);
	assert_true(first->duration < 1000);
	assert_true(second->duration < 1000);
}

static void
nothing_to_drain(void **state)
{
	(void)state;
	begin("F", 100);
	plan("--f");
	assert_true(run() < 1000);
	expect_trace("list put:200*2 list get status");
	expect_done(PLAN_DONE, 1, "");
}

/* Time that has passed since the routes were seen so need not pass again. */
static void
drain_once(void **state)
{
	int64_t start;

	(void)state;
	begin("P", 200);
	plan("-.f");
	assert_true(run() >= 30000); /* it is not known since when */
	expect_trace("list get get patch: op get status");
	world_router("P"); /* somebody puts it back */
	plan_as(0, 2, "-.f");
	assert_true(run() < 1000);
	/* what is left of it */
	begin("P", 100);
	start = now;
	plan("..f");
	run();
	pass(10000);
	plan_as(0, 2, "-.f");
	run();
	assert_in_range(now - start, 30000, 31000);
	expect_trace("list put:200*2 list list get get patch: op get status");
}

/* Whatever casts doubt on it has it pass again. */
static void
drain_again(void **state)
{
	(void)state;
	/* a write of the routes */
	begin("P", 200);
	plan("..f");
	run();
	pass(60000);
	world_routes(100);
	plan_as(0, 2, "-.f");
	assert_true(run() >= 30000);
	/* one whose end was not seen: the next plan finds them as desired */
	begin("P", 200);
	plan("..f");
	run();
	pass(60000);
	world_routes(100);
	fault_status("list", 1, 1, 503, "");
	plan_as(0, 2, "-.f");
	run();
	assert_int_equal(done(2)->status, PLAN_FAILED);
	world.nfaults = 0;
	plan_as(0, 3, "-.f");
	assert_true(run() >= 30000);
	assert_int_equal(done(3)->status, PLAN_DONE);
	assert_int_equal(routes(3)->result, RESULT_NO_CHANGE);
	/* a plan for the other direction */
	begin("P", 200);
	plan("..f");
	run();
	plan_as(0, 2, "...");
	run();
	pass(60000);
	plan_as(0, 3, "-.f");
	assert_true(run() >= 30000);
	/* a configuration: the number may be another failover's now */
	begin("P", 200);
	plan("..f");
	run();
	pass(60000);
	commit();
	plan_as(0, 2, "-.f");
	assert_true(run() >= 30000);
	/* also one that comes while the plan runs */
	begin("P", 200);
	plan("..f");
	pass(5);
	commit();
	run();
	pass(60000);
	plan_as(0, 2, "-.f");
	assert_true(run() >= 30000);
}

static void
kept(void **state)
{
	(void)state;
	begin("S", 200);
	plan("...");
	assert_int_equal(run(), 0);
	expect_trace("");
	expect_done(PLAN_DONE, 0, "");
	assert_null(advert(PRIMARY));
	assert_null(routes(1));

	/* no word about what is kept, and no look at it */
	begin("S", 200);
	plan("+..");
	run();
	expect_trace("get patch:SP op get status");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_null(advert(SECONDARY));
	assert_null(routes(1));

	begin("S", 200);
	plan("..p");
	run();
	expect_trace("list put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	assert_null(advert(PRIMARY));

	begin("S", 100);
	plan("..f");
	run();
	expect_trace("list put:200*2 list");
}

/* Every step, failing: nothing after it is done. */

static void
expect_failure(const char *ranges, int priority, const char *what,
    const char *kind, int skip, const char *step, uint32_t changed,
    const char *expected)
{
	const struct msg_plan_advert *msg;
	int p;

	begin(ranges, priority);
	fault_status(kind, skip, 1, 403, FORBIDDEN);
	plan(what);
	run();
	expect_trace(expected);
	expect_done(PLAN_FAILED, changed, step);
	assert_non_null(strstr(done(1)->error, "HTTP 403"));
	for (p = 0; p < PREFIXES; p++) {
		msg = advert((enum which)p);
		if (msg != NULL && msg->result == RESULT_FAILURE)
			assert_string_equal(msg->error, done(1)->error);
	}
}

static void
failing_to_the_priority(void **state)
{
	(void)state;
	expect_failure("S", 200, "+-p", "get", 0, "router read", 0, "get");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	assert_null(routes(1));
	expect_failure("S", 200, "+-p", "patch", 0, "router patch", 0,
	    "get patch:P");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	assert_int_equal(advert(PRIMARY)->http_status, 403);
	assert_string_equal(advert(PRIMARY)->request_id,
	    call[nth("patch", 0)].id);
	expect_failure("S", 200, "+-p", "op", 0, "operation", 1,
	    "get patch:P op");
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	assert_string_equal(advert(SECONDARY)->operation_id, "operation-1");
	expect_failure("S", 200, "+-p", "get", 1, "read-back", 1,
	    "get patch:P op get");
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	expect_failure("S", 200, "+-p", "status", 0, "effect", 1,
	    "get patch:P op get status");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	assert_null(routes(1));
	expect_failure("S", 200, "+-p", "list", 0, "cloudflare list", 1,
	    "get patch:P op get status list");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	expect_advert(SECONDARY, RESULT_SUCCESS, V_YES);
	expect_routes(RESULT_FAILURE, 0, 100);
	assert_int_equal(routes(1)->http_status, 403);
	expect_failure("S", 200, "+-p", "put", 0, "cloudflare update", 1,
	    "get patch:P op get status list put:100*2");
	expect_routes(RESULT_FAILURE, 0, 100);
	expect_failure("S", 200, "+-p", "list", 1, "cloudflare read-back", 2,
	    "get patch:P op get status list put:100*2 list");
	expect_routes(RESULT_FAILURE, 0, 100);
	/* what is right already is not told as failed by a failed PATCH */
	expect_failure("", 200, "+-p", "patch", 0, "router patch", 0,
	    "get patch:P");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_NO_CHANGE, V_UNKNOWN);
}

static void
failing_to_the_failed(void **state)
{
	(void)state;
	expect_failure("S", 100, "+-f", "get", 0, "router read", 0, "get");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	assert_null(advert(SECONDARY)); /* its turn has not come */
	expect_failure("S", 100, "+-f", "patch", 0, "router patch", 0,
	    "get patch:SP");
	expect_failure("S", 100, "+-f", "op", 0, "operation", 1,
	    "get patch:SP op");
	expect_failure("S", 100, "+-f", "get", 1, "read-back", 1,
	    "get patch:SP op get");
	expect_failure("S", 100, "+-f", "list", 0, "cloudflare list", 1,
	    "get patch:SP op get list");
	/* what was announced stays announced, and is told */
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_null(advert(SECONDARY));
	expect_failure("S", 100, "+-f", "put", 0, "cloudflare update", 1,
	    "get patch:SP op get list put:200*2");
	expect_failure("S", 100, "+-f", "list", 1, "cloudflare read-back", 2,
	    "get patch:SP op get list put:200*2 list");
	expect_failure("S", 100, "+-f", "get", 2, "router read", 2,
	    "get patch:SP op get list put:200*2 list get");
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	expect_failure("S", 100, "+-f", "get", 3, "router read", 2,
	    "get patch:SP op get list put:200*2 list get get");
	/* and nothing of the other write is told of it */
	assert_string_equal(advert(SECONDARY)->operation_id, "");
	assert_string_equal(advert(SECONDARY)->request_id, "");
	assert_int_equal(advert(SECONDARY)->http_status, 0);
	expect_failure("S", 100, "+-f", "patch", 1, "router patch", 2,
	    "get patch:SP op get list put:200*2 list get get patch:P");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
	expect_failure("S", 100, "+-f", "op", 1, "operation", 3,
	    "get patch:SP op get list put:200*2 list get get patch:P op");
	expect_failure("S", 100, "+-f", "get", 4, "read-back", 3,
	    "get patch:SP op get list put:200*2 list get get patch:P op get");
	expect_failure("S", 100, "+-f", "status", 0, "effect", 3,
	    "get patch:SP op get list put:200*2 list get get patch:P op get "
	    "status");
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_FAILURE, V_UNKNOWN);
}

/* Operations. */

static void
operation_fails(void **state)
{
	(void)state;
	begin("", 200);
	world.op_error = "QUOTA_EXCEEDED";
	plan("+.p");
	run();
	expect_trace("get patch:P op");
	expect_done(PLAN_FAILED, 1, "operation");
	assert_string_equal(done(1)->error,
	    "operation operation-1 failed: QUOTA_EXCEEDED: it went wrong");
}

static void
operation_takes_long(void **state)
{
	(void)state;
	begin("", 100);
	world.delay = 5000;
	plan("+.p");
	run();
	/* at once, then after 0.25, 0.5, 1, 2, 2 s */
	expect_trace("get patch:P op op op op op op get status list");
	expect_done(PLAN_DONE, 1, "");
	/* never */
	begin("", 100);
	world.delay = -1;
	plan("+.p");
	assert_in_range(run(), 57000, 60000);
	expect_done(PLAN_FAILED, 1, "operation");
	assert_non_null(strstr(done(1)->error, "not done in time"));
	expect_advert(PRIMARY, RESULT_FAILURE, V_UNKNOWN);
}

static void
operation_is_gone(void **state)
{
	(void)state;
	begin("", 100);
	fault_status("op", 0, 1, 404,
	    "{\"error\":{\"code\":404,\"message\":\"gone\"}}");
	plan("+.p");
	run();
	expect_trace("get patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	/* trouble on the way is no failure of the operation */
	begin("", 100);
	fault_status("op", 0, 1, 503, "<html>");
	fault("op", 0, 1, GONE);
	plan("+.p");
	run();
	expect_trace("get patch:P op op op get status list");
	expect_done(PLAN_DONE, 1, "");
}

/* Nobody knows what became of a call. */

static void
patch_without_answer(void **state)
{
	(void)state;
	/* it was carried out */
	begin("", 100);
	world.delay = 0;
	fault("patch", 0, 1, LOST);
	plan("+.p");
	run();
	expect_trace("get patch:P get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_int_equal(advert(PRIMARY)->http_status, 0);
	/* it was not: once more, as the same change */
	begin("", 100);
	fault("patch", 0, 1, GONE);
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	assert_string_equal(call[nth("patch", 0)].id, call[nth("patch", 1)].id);
	/* it is being carried out: the same operation is answered */
	begin("", 100);
	fault("patch", 0, 1, LOST);
	world.delay = 100;
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P op op get status list");
	expect_done(PLAN_DONE, 1, "");
	assert_int_equal(world.nops, 1);
	/* a success that cannot be read is no answer */
	begin("", 100);
	fault_status("patch", 0, 1, 200, "{\"name\":\"operat");
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	/* twice is enough */
	begin("", 100);
	fault("patch", 0, 9, GONE);
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P get patch:P get");
	expect_done(PLAN_FAILED, 0, "router patch");
	/* what was never sent is a plain failure */
	begin("", 100);
	fault("patch", 0, 1, DOWN);
	plan("+.p");
	run();
	expect_trace("get patch:P");
	expect_done(PLAN_FAILED, 0, "router patch");
	assert_string_equal(done(1)->error, "connection reset");
	/* and so is an answer that says no */
	begin("", 100);
	fault_status("patch", 0, 1, 503, "<html>");
	plan("+.p");
	run();
	expect_trace("get patch:P");
	expect_done(PLAN_FAILED, 0, "router patch");
}

/* The repetition meets the operation of the first: that was carried out. */
static void
patch_without_answer_then_busy(void **state)
{
	(void)state;
	begin("", 100);
	fault("patch", 0, 1, LOST);
	fault_status("patch", 0, 1, 400, BUSY);
	world.delay = 100;
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_int_equal(world.nops, 1);
}

static void
put_without_answer(void **state)
{
	(void)state;
	begin("P", 200);
	fault("put", 0, 1, LOST);
	plan("..p");
	run();
	expect_trace("list put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	expect_routes(RESULT_SUCCESS, 2, 100);
	begin("P", 200);
	fault("put", 0, 1, GONE);
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list");
	expect_routes(RESULT_SUCCESS, 2, 100);
	begin("P", 200);
	fault("put", 0, 2, GONE);
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*2 list");
	expect_routes(RESULT_FAILURE, 0, 100);
	expect_done(PLAN_FAILED, 2, "cloudflare read-back");
}

static void
put_in_part(void **state)
{
	(void)state;
	begin("P", 200);
	world.partial = true;
	plan("..p");
	run();
	expect_trace("list put:100*2 list put:100*1 list");
	expect_done(PLAN_FAILED, 2, "cloudflare read-back");
	expect_routes(RESULT_FAILURE, 1, 100);
	/* no success in a success */
	begin("P", 200);
	fault_status("put", 0, 1, 200,
	    "{\"success\":false,\"errors\":[{\"code\":1,"
	    "\"message\":\"sorry\"}]}");
	plan("..p");
	run();
	expect_trace("list put:100*2");
	expect_done(PLAN_FAILED, 0, "cloudflare update");
	assert_non_null(strstr(done(1)->error, "sorry"));
}

/* Others who write. */

static void
busy_router(void **state)
{
	size_t first;

	(void)state;
	begin("", 100);
	fault_status("patch", 0, 3, 400, BUSY);
	plan("+.p");
	run();
	expect_trace("get patch:P get patch:P get patch:P get patch:P "
		     "op get status list");
	expect_done(PLAN_DONE, 1, "");
	first = nth("patch", 0);
	assert_int_equal(call[first + 1].when - call[first].when,
	    1000 + LATENCY);
	assert_int_equal(call[first + 3].when - call[first + 2].when,
	    2000 + LATENCY);
	assert_int_equal(call[first + 5].when - call[first + 4].when,
	    4000 + LATENCY);
	/* a new id after any answer */
	assert_string_not_equal(call[nth("patch", 0)].id,
	    call[nth("patch", 1)].id);
	/* for ever */
	begin("", 100);
	fault_status("patch", 0, -1, 400, BUSY);
	plan("+.p");
	assert_in_range(run(), 55000, 60000);
	expect_done(PLAN_FAILED, 0, "router patch");
	assert_non_null(strstr(done(1)->error, "not ready"));
	assert_int_equal(advert(PRIMARY)->http_status, 400);
}

static int undone;

/* Another program writes the list that it had read before us. */
static void
undo(void)
{
	if (undone-- > 0)
		world_router("F");
}

static void
foreign_writer(void **state)
{
	(void)state;
	begin("", 100);
	undone = 1;
	fault("op", 0, -1, HOOK)->hook = undo;
	plan("+.p");
	run();
	expect_trace("get patch:P op get get patch:FP op get status list");
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_string_equal(advert(PRIMARY)->ranges_before, "");
	assert_string_equal(advert(PRIMARY)->ranges_after, F " " P);
	assert_string_equal(advert(PRIMARY)->operation_id, "operation-2");
	assert_int_equal(ncomplaints, 1);
	begin("", 100);
	undone = 3;
	fault("op", 0, -1, HOOK)->hook = undo;
	plan("+.p");
	run();
	expect_trace("get patch:P op get get patch:FP op get "
		     "get patch:FP op get");
	expect_done(PLAN_FAILED, 3, "read-back");
	assert_non_null(strstr(done(1)->error, "another writer"));
}

/* Somebody else does what we were about to do, or were about to do again. */
static void
advertise_primary(void)
{
	world_router("FP");
}

static void
friendly_writer(void **state)
{
	(void)state;
	begin("", 100);
	undone = 1;
	fault("op", 0, 1, HOOK)->hook = undo;
	fault("get", 1, 1, HOOK)->hook = advertise_primary;
	plan("+.p");
	run();
	expect_trace("get patch:P op get get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	/* before anything was written: no change of ours */
	begin("", 100);
	fault_status("patch", 0, 1, 400, BUSY);
	world.fault[0].hook = advertise_primary;
	plan("+.p");
	run();
	expect_trace("get patch:P get status list");
	expect_done(PLAN_DONE, 0, "");
	expect_advert(PRIMARY, RESULT_NO_CHANGE, V_YES);
}

static void
weight_lost(void **state)
{
	(void)state;
	begin("P", 200);
	world.drops_weight = true;
	plan("..p");
	run();
	expect_routes(RESULT_SUCCESS, 2, 100);
	assert_non_null(strstr(complaint, "have lost more"));
}

static void
one_more_differs(void)
{
	json_object_set_new(json_array_get(world.routes, 0), "priority",
	    json_integer(7));
	json_object_set_new(json_array_get(world.routes, 1), "priority",
	    json_integer(7));
}

static void
routes_change_meanwhile(void **state)
{
	(void)state;
	begin("P", 100);
	json_object_set_new(json_array_get(world.routes, 0), "priority",
	    json_integer(300));
	fault("put", 0, 1, HOOK)->hook = one_more_differs;
	plan("..p");
	run();
	expect_trace("list put:100*1 list put:100*2 list");
	expect_routes(RESULT_SUCCESS, 2, 100);
}

/* The effect. */

static void
no_peer_up(void **state)
{
	(void)state;
	begin("", 200);
	world.up = false;
	plan("+.p");
	assert_in_range(run(), 57000, 61000);
	expect_done(PLAN_FAILED, 1, "effect");
	assert_string_equal(done(1)->error, "no UP peer on router router");
	expect_advert(PRIMARY, RESULT_FAILURE, V_NO);
	assert_string_equal(advert(PRIMARY)->operation_id, "operation-1");
	assert_null(routes(1));
	/* nobody is told: a withdrawal needs no more */
	begin("P", 200);
	world.up = false;
	plan("-.p");
	run();
	expect_trace("get patch: op get status list put:100*2 list");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	/* up, but not told */
	begin("", 200);
	world.lag = 1000000;
	plan("+.p");
	run();
	expect_done(PLAN_FAILED, 1, "effect");
	assert_non_null(strstr(done(1)->error, "have not been told"));
	/* up again in time */
	begin("", 200);
	fault_status("status", 0, 2, 503, "");
	fault_status("status", 0, 2, 200,
	    "{\"result\":{\"bgpPeerStatus\":[{\"name\":\"peer-a\","
	    "\"status\":\"DOWN\"}]}}");
	plan("+.p");
	run();
	expect_trace("get patch:P op get status status status status status "
		     "list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	/* an answer without a status shows nothing, no withdrawal either */
	begin("P", 200);
	fault_status("status", 0, 2, 200, "{}");
	plan("-.p");
	run();
	expect_trace("get patch: op get status status status list "
		     "put:100*2 list");
}

static void
blind_status(void **state)
{
	(void)state;
	begin("", 200);
	world.listed = false;
	plan("+.p");
	run();
	expect_trace("get patch:P op get status list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_int_equal(ncomplaints, 1);
	assert_non_null(strstr(complaint, "does not say"));
	/* said once */
	plan_as(0, 2, "+.p");
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_int_equal(ncomplaints, 1);
}

/* Tokens. */

static void
google_token(void **state)
{
	(void)state;
	/* none yet */
	begin("", 100);
	token = NULL;
	plan("+.p");
	run();
	expect_trace("get patch:P op get status list");
	/* a new one for the call that was refused */
	begin("", 100);
	token = "google-0";
	plan("+.p");
	run();
	expect_trace("get get patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	begin("", 100);
	fault_status("patch", 0, 1, 401, "{}");
	plan("+.p");
	run();
	expect_trace("get patch:P patch:P op get status list");
	expect_done(PLAN_DONE, 1, "");
	/* once */
	begin("", 100);
	fault_status("patch", 0, 9, 401, "{}");
	plan("+.p");
	run();
	expect_trace("get patch:P patch:P");
	expect_done(PLAN_FAILED, 0, "router patch");
	/* none to be had */
	begin("", 100);
	token = NULL;
	token_fails = true;
	plan("+.p");
	run();
	expect_trace("");
	expect_done(PLAN_FAILED, 0, "router read");
	assert_string_equal(done(1)->error, "the signer has no key");
}

static void
cloudflare_token(void **state)
{
	(void)state;
	begin("P", 200);
	world.cloudflare = world.new_cloudflare = "cloudflare-2";
	plan("..p");
	run();
	expect_trace("list list put:100*2 list");
	expect_done(PLAN_DONE, 1, "");
	assert_int_equal(count(IMSG_CF_REFUSED), 1);
	/* no new one comes */
	begin("P", 200);
	world.cloudflare = "cloudflare-2";
	plan("..p");
	assert_int_equal(run(), LATENCY + 2000);
	expect_trace("list");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	assert_int_equal(count(IMSG_CF_REFUSED), 1);
	/* the new one is no better; one question a plan */
	begin("P", 200);
	world.cloudflare = "cloudflare-3";
	world.new_cloudflare = "cloudflare-2";
	plan("..p");
	run();
	expect_trace("list list");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	begin("P", 200);
	world.new_cloudflare = "cloudflare-1";
	fault_status("list", 0, 1, 401, "{}");
	fault_status("put", 0, 1, 401, "{}");
	plan("..p");
	run();
	expect_trace("list list put:100*2");
	expect_done(PLAN_FAILED, 0, "cloudflare update");
	assert_int_equal(count(IMSG_CF_REFUSED), 1);
}

static void
token_text(void **state)
{
	(void)state;
	begin("P", 100);
	tell(IMSG_CONF_CF_TOKEN, 0, "bad\ttoken", 9);
	assert_non_null(strstr(complaint, "no token in it"));
	tell(IMSG_CONF_CF_TOKEN, 0, "\n", 1);
	assert_int_equal(ncomplaints, 2);
	/* the one that there was is still in use */
	plan("..p");
	run();
	expect_done(PLAN_DONE, 0, "");
}

/* A newer plan. */

static void
replaced_in_a_write(void **state)
{
	(void)state;
	/* the write is finished, with all that belongs to it */
	begin("S", 200);
	world.delay = 100;
	plan("+.p");
	pass(2 * LATENCY + 100);
	assert_string_equal(trace, "get patch:SP op");
	plan_as(0, 2, "-.f");
	plan_as(0, 3, "..f");
	run();
	expect_trace("get patch:SP op op get list");
	expect_done(PLAN_SUPERSEDED, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_null(routes(1));
	assert_int_equal(done(2)->status, PLAN_SUPERSEDED);
	assert_int_equal(done(2)->changed, 0);
	assert_int_equal(done(3)->status, PLAN_DONE);
	assert_int_equal(routes(3)->result, RESULT_NO_CHANGE);
	/* of the routes, too */
	begin("P", 200);
	plan("..p");
	pass(2 * LATENCY);
	assert_string_equal(trace, "list put:100*2 list");
	plan_as(0, 2, "..f");
	run();
	expect_trace("list put:100*2 list list put:200*2 list");
	assert_int_equal(done(1)->status, PLAN_DONE); /* it was the last step */
}

static void
replaced_while_it_waits(void **state)
{
	int64_t start;

	(void)state;
	/* for the traffic to drain */
	begin("P", 100);
	plan("-.f");
	pass(15000);
	assert_string_equal(trace, "list put:200*2 list get");
	start = now;
	plan_as(0, 2, "+.p");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	assert_int_equal(call[ncalls - 1].when, start);
	run();
	expect_trace("list put:200*2 list get get status list put:100*2 list");
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_null(advert_of(1, PRIMARY));
	/* for the peers to be told: between two calls */
	begin("", 200);
	world.lag = 100000;
	plan("+.p");
	pass(10000);
	assert_int_equal(in_flight, 0);
	start = now;
	plan_as(0, 2, "..f");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_int_equal(call[ncalls - 1].when, start);
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
	/* and in one */
	begin("", 200);
	world.lag = 100000;
	plan("+.p");
	while (strstr(trace, "status") == NULL)
		pass(1);
	assert_int_equal(in_flight, 1);
	plan_as(0, 2, "..f");
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	run();
	expect_trace("get patch:P op get status list");
	assert_int_equal(done(2)->status, PLAN_DONE);
}

/* The failover of a plan that waits is not in the new configuration. */
static void
replaced_and_gone(void **state)
{
	(void)state;
	begin("", 100);
	nconf = 2;
	commit();
	world.delay = 100;
	plan_as(1, 1, "+.p");
	pass(2 * LATENCY + 100);
	plan_as(1, 2, "..p");
	nconf = 1;
	commit();
	run();
	/* the one in flight ends under its own */
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	assert_int_equal(advert_of(1, PRIMARY)->result, RESULT_SUCCESS);
	assert_int_equal(done(2)->status, PLAN_REFUSED);
}

static void
configured_anew(void **state)
{
	(void)state;
	begin("P", 100);
	plan("-.f");
	pass(10000);
	conf[0].passive = 1;
	strlcpy(conf[0].match, "rim", sizeof(conf[0].match));
	commit();
	run();
	/* it began when it was allowed to write */
	expect_trace("list put:200*2 list get get patch: op get status");
	expect_done(PLAN_DONE, 2, "");
	plan_as(0, 2, "+.f");
	run();
	assert_int_equal(done(2)->status, PLAN_SKIPPED);
	assert_int_equal(routes(2)->matching, 1);
}

/* Permission to go on. */

static void
held(void **state)
{
	(void)state;
	/* the write is finished, no other step is begun */
	begin("", 200);
	plan("+.p");
	pass(5);
	permit(1, false);
	run();
	expect_trace("get patch:P op get");
	assert_int_equal(count(IMSG_PLAN_DONE), 0);
	pass(1000000);
	permit(2, true); /* of another plan */
	run();
	expect_trace("get patch:P op get");
	permit(1, true);
	run();
	expect_trace("get patch:P op get status list put:100*2 list");
	expect_done(PLAN_DONE, 2, "");
	/* waiting goes on meanwhile */
	begin("P", 100);
	plan("-.f");
	pass(1000);
	permit(1, false);
	run();
	pass(1000000);
	expect_trace("list put:200*2 list get");
	permit(1, true);
	assert_true(run() < 1000);
	expect_trace("list put:200*2 list get get patch: op get status");
	/* a newer plan is not held */
	begin("", 200);
	plan("+.p");
	pass(5);
	permit(1, false);
	run();
	plan_as(0, 2, "..p");
	run();
	assert_int_equal(done(1)->status, PLAN_SUPERSEDED);
	expect_advert(PRIMARY, RESULT_SUCCESS, V_UNKNOWN);
	assert_int_equal(done(2)->status, PLAN_DONE);
	/* unless the word is for it, while it waits */
	begin("", 200);
	plan("+.p");
	pass(5);
	plan_as(0, 2, "..p");
	permit(2, false);
	run();
	assert_int_equal(count(IMSG_PLAN_DONE), 1);
	expect_trace("get patch:P op get");
	permit(2, true);
	run();
	assert_int_equal(done(2)->status, PLAN_DONE);
}

/* What may be done at all. */

static void
passive(void **state)
{
	(void)state;
	begin("S", 200);
	conf[0].passive = 1;
	commit();
	plan("+-p");
	run();
	expect_trace("get list");
	expect_done(PLAN_SKIPPED, 0, "");
	expect_advert(PRIMARY, RESULT_SKIPPED, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_SKIPPED, V_UNKNOWN);
	expect_routes(RESULT_SKIPPED, 0, 100);
	assert_string_equal(advert(PRIMARY)->request_id, "");
	assert_string_equal(advert(PRIMARY)->ranges_after, S);
	assert_string_equal(routes(1)->why, "passive");
	assert_int_equal(routes(1)->matching, 2);

	begin("S", 100);
	conf[0].passive = 1;
	commit();
	plan("+-f");
	assert_true(run() < 1000);
	expect_trace("get list get get");
	expect_done(PLAN_SKIPPED, 0, "");
	expect_advert(PRIMARY, RESULT_SKIPPED, V_UNKNOWN);
	expect_advert(SECONDARY, RESULT_SKIPPED, V_UNKNOWN);

	/* nothing that would have been written */
	begin("P", 100);
	conf[0].passive = 1;
	commit();
	plan("+-p");
	run();
	expect_trace("get list");
	expect_done(PLAN_DONE, 0, "");
	expect_advert(PRIMARY, RESULT_NO_CHANGE, V_UNKNOWN);
	expect_routes(RESULT_NO_CHANGE, 0, 100);
}

static void
unknown_failover(void **state)
{
	(void)state;
	begin("P", 100);
	plan_as(1, 1, "+.p");
	expect_trace("");
	assert_int_equal(done(1)->status, PLAN_REFUSED);
	assert_int_equal(ncomplaints, 1);
	plan_as(4000000000, 2, "+.p");
	assert_int_equal(done(2)->status, PLAN_REFUSED);
	permit(7, false);
}

/* Would that write be let through? */
static bool
lets(struct job *job, enum http_method method, const char *url,
    const char *body)
{
	bool may;

	job->call.method = method;
	job->call.url = strdup(url);
	job->call.body = body == NULL ? NULL : strdup(body);
	may = may_write(job);
	free(job->call.url);
	free(job->call.body);
	return (may);
}

#define ROUTER_URL "https://c/v1/projects/project/regions/region/routers/"
#define ROUTES_URL "https://f/v4/accounts/acc/magic/routes"
#define BGP(ranges)                                                            \
	"{\"bgp\":{\"advertiseMode\":\"CUSTOM\",\"advertisedGroups\":[],"      \
	"\"advertisedIpRanges\":[" ranges "]}}"
#define PRIO(n, what)                                                          \
	"{\"routes\":[{\"id\":\"r1\",\"priority\":" #n                         \
	",\"description\":\"" what "\"}]}"

static void
last_look(void **state)
{
	struct msg_conf_act *mine;
	struct job job;

	(void)state;
	begin("F", 100);
	memset(&job, 0, sizeof(job));
	job.config = config_current();
	job.act = config_act(0);
	job.router = world.router;
	mine = &job.config->act[0].conf;
	assert_true(lets(&job, HTTP_PATCH, ROUTER_URL "router?requestId=1",
	    BGP("{\"range\":\"" F "\"},{\"range\":\"" P "\"}")));
	assert_false(lets(&job, HTTP_PATCH, ROUTER_URL "router2?requestId=1",
	    BGP("{\"range\":\"" F "\"}")));
	assert_false(lets(&job, HTTP_PATCH, ROUTER_URL "router",
	    BGP("{\"range\":\"" F "\"}")));
	assert_false(lets(&job, HTTP_PATCH,
	    "https://d/v1/projects/project/regions/region/routers/router"
	    "?requestId=1",
	    BGP("{\"range\":\"" F "\"}")));
	assert_false(lets(&job, HTTP_PATCH, ROUTER_URL "router?requestId=1",
	    BGP("{\"range\":\"" T "\"}")));
	assert_false(
	    lets(&job, HTTP_PATCH, ROUTER_URL "router?requestId=1", NULL));
	assert_false(
	    lets(&job, HTTP_PATCH, ROUTER_URL "router?requestId=1", "{"));
	assert_false(lets(&job, HTTP_PUT, ROUTER_URL "router?requestId=1",
	    BGP("{\"range\":\"" F "\"}")));
	assert_true(lets(&job, HTTP_PUT, ROUTES_URL, PRIO(100, "edge")));
	assert_true(lets(&job, HTTP_PUT, ROUTES_URL, PRIO(200, "the edge")));
	assert_false(lets(&job, HTTP_PUT, ROUTES_URL, PRIO(150, "edge")));
	assert_false(lets(&job, HTTP_PUT, ROUTES_URL, PRIO(100, "rim")));
	assert_false(lets(&job, HTTP_PUT, ROUTES_URL "/r1", PRIO(100, "edge")));
	assert_false(lets(&job, HTTP_PUT,
	    "https://f/v4/accounts/abc/magic/routes", PRIO(100, "edge")));
	assert_false(lets(&job, HTTP_POST, ROUTES_URL, PRIO(100, "edge")));
	assert_false(lets(&job, HTTP_PATCH, ROUTES_URL, PRIO(100, "edge")));
	mine->passive = 1;
	assert_false(lets(&job, HTTP_PUT, ROUTES_URL, PRIO(100, "edge")));
	assert_false(lets(&job, HTTP_PATCH, ROUTER_URL "router?requestId=1",
	    BGP("{\"range\":\"" F "\"}")));
}

static void
turn_passive(void)
{
	config_current()->act[0].conf.passive = 1;
}

/* It is taken before every sending, not once for a call. */
static void
last_look_at_each(void **state)
{
	(void)state;
	begin("", 100);
	fault_status("patch", 0, 1, 401, "{}");
	world.fault[0].hook = turn_passive;
	plan("+.p");
	run();
	expect_trace("get patch:P");
	expect_done(PLAN_FAILED, 0, "router patch");
	assert_string_equal(done(1)->error, "outside of what may be written");
	assert_int_equal(ncomplaints, 1);
}

/* More than one failover at one router and one account. */
static void
one_write_at_a_time(void **state)
{
	(void)state;
	begin("", 200);
	nconf = 2;
	commit();
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "+.p");
	run();
	/* each router write in one piece, and so each of the routes */
	expect_trace("get patch:P op get get status patch:PT list op "
		     "put:100*2 get list status list put:100*1 list");
	assert_int_equal(done(1)->status, PLAN_DONE);
	assert_int_equal(done(2)->status, PLAN_DONE);
	assert_int_equal(world.nops, 2);
	/* the time of the step begins when it is its turn */
	begin("", 100);
	nconf = 2;
	commit();
	world.delay = 55000;
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "+.p");
	run();
	assert_int_equal(done(1)->status, PLAN_DONE);
	assert_int_equal(done(2)->status, PLAN_DONE);
	/* who fails makes way */
	begin("", 100);
	nconf = 2;
	commit();
	fault_status("patch", 0, 1, 403, FORBIDDEN);
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "+.p");
	run();
	expect_trace("get patch:P get patch:T op get status list");
	assert_int_equal(done(1)->status, PLAN_FAILED);
	assert_int_equal(done(2)->status, PLAN_DONE);
}

static void
waiting_for_a_turn(void **state)
{
	(void)state;
	/* replaced meanwhile: at once */
	begin("", 100);
	nconf = 2;
	commit();
	world.delay = 5000;
	plan_as(0, 1, "+.p");
	plan_as(1, 2, "+.p");
	pass(1000);
	plan_as(1, 3, "..p");
	assert_int_equal(done(2)->status, PLAN_SUPERSEDED);
	pass(LATENCY);
	assert_int_equal(done(3)->status, PLAN_DONE);
	run();
	assert_int_equal(done(1)->status, PLAN_DONE);
	/* held meanwhile: the turn is given away */
	begin("", 100);
	nconf = 2;
	commit();
	plan_as(1, 2, "+.p");
	plan_as(0, 1, "+.p");
	pass(5);
	permit(1, false);
	run();
	expect_trace("get patch:T op get status list");
	permit(1, true);
	run();
	expect_trace("get patch:T op get status list "
		     "get patch:TP op get status list");
}

/* Routes. */

static void
which_routes(void **state)
{
	(void)state;
	begin("P", 200);
	strlcpy(conf[0].match, "Edge", sizeof(conf[0].match));
	commit();
	plan("+.p");
	run();
	expect_trace("get status list");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	assert_string_equal(done(1)->error, "no route matches \"Edge\"");
	expect_routes(RESULT_FAILURE, 0, 100);
	/* not as many as there should be, also after the write */
	begin("P", 200);
	conf[0].expect = 3;
	commit();
	plan("..p");
	run();
	expect_trace("list");
	expect_done(PLAN_FAILED, 0, "cloudflare list");
	begin("P", 200);
	conf[0].expect = 2;
	commit();
	plan("..p");
	run();
	expect_done(PLAN_DONE, 1, "");
	/* those that another failover has a claim to */
	begin("P", 200);
	nconf = 2;
	strlcpy(conf[1].match, "two", sizeof(conf[1].match));
	commit();
	plan_as(0, 1, "..p");
	plan_as(1, 2, "..p");
	run();
	expect_trace("list list");
	assert_int_equal(done(1)->status, PLAN_FAILED);
	assert_int_equal(done(2)->status, PLAN_FAILED);
	assert_non_null(strstr(routes(1)->error, "written by neither"));
}

static void
many_routes(void **state)
{
	char id[16];
	int i;

	(void)state;
	begin("P", 200);
	for (i = 0; i < 248; i++) {
		snprintf(id, sizeof(id), "m%d", i);
		json_array_append_new(world.routes,
		    route(id, "edge many", 200));
	}
	plan("..p");
	run();
	expect_trace("list put:100*100 put:100*100 put:100*50 list");
	expect_done(PLAN_DONE, 3, "");
	expect_routes(RESULT_SUCCESS, 250, 100);
	assert_int_equal(call[nth("put", 0)].timeout, 60000);
	assert_int_equal(call[nth("list", 0)].timeout, 10000);
}

static void
other_timeouts(void **state)
{
	(void)state;
	begin("", 100);
	conf[0].bgp_update_timeout = 3000;
	commit();
	world.delay = 1000;
	plan("+.p");
	run();
	expect_done(PLAN_DONE, 1, "");
	/* no call takes longer than what is left of its step */
	assert_int_equal(call[nth("get", 0)].timeout, 3000);
	assert_int_equal(call[nth("patch", 0)].timeout, 3000 - LATENCY);
	assert_int_equal(call[nth("status", 0)].timeout, 3000);
}

/* Peers by name. */

static void
named(void **state)
{
	(void)state;
	begin("F", 100);
	named_peer[0] = "peer-a";
	commit();
	plan("+.p");
	run();
	expect_trace("get patch:FP op get status list");
	expect_done(PLAN_DONE, 1, "");
	expect_advert(PRIMARY, RESULT_SUCCESS, V_YES);
	assert_int_equal(
	    json_array_size(json_object_get(
		json_object_get(world.router, "bgp"), "advertisedIpRanges")),
	    1);
	assert_false(peer_custom(
	    json_array_get(json_object_get(world.router, "bgpPeers"), 1)));
	/* one that does not exist */
	begin("F", 100);
	named_peer[0] = "peer-a";
	named_peer[1] = "peer-c";
	commit();
	plan("+.p");
	run();
	expect_trace("get");
	expect_done(PLAN_FAILED, 0, "router merge");
	assert_non_null(strstr(done(1)->error, "named peers"));
}

/* The end. */

static const char *stop_trace;

static void
check_stop(void)
{
	bool right = strcmp(trace, stop_trace) == 0 &&
	    count(IMSG_PLAN_DONE) == 0 && advert(PRIMARY) != NULL &&
	    advert(PRIMARY)->result == RESULT_SUCCESS;

	if (!right)
		fprintf(stderr, "stopped at: %s\n", trace);
	_exit(right ? 42 : 43);
}

/* Tell the actuator to stop when that much time has passed; the trace, when it
 * exits, has to be that. */
static void
expect_stop(const char *what, int priority, int64_t lag, int64_t when,
    const char *expected)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		stop_trace = expected;
		atexit(check_stop);
		begin("", priority);
		world.delay = 100;
		world.lag = lag;
		plan(what);
		pass(when);
		tell(IMSG_STOP, 0, NULL, 0);
		run();
		_exit(1); /* it would run for ever */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void
stopped(void **state)
{
	(void)state;
	/* a write in flight is finished, and told */
	expect_stop("+.p", 200, 0, 100, "get patch:P op op get");
	/* a wait is not */
	expect_stop("+.p", 200, 100000, 5000,
	    "get patch:P op op get status status status status status");
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_the_priority),
		cmocka_unit_test(seen_before_steered),
		cmocka_unit_test(as_it_should_be),
		cmocka_unit_test(to_the_failed),
		cmocka_unit_test(to_the_failed_announcing),
		cmocka_unit_test(nothing_to_drain),
		cmocka_unit_test(drain_once),
		cmocka_unit_test(drain_again),
		cmocka_unit_test(kept),
		cmocka_unit_test(failing_to_the_priority),
		cmocka_unit_test(failing_to_the_failed),
		cmocka_unit_test(operation_fails),
		cmocka_unit_test(operation_takes_long),
		cmocka_unit_test(operation_is_gone),
		cmocka_unit_test(patch_without_answer),
		cmocka_unit_test(patch_without_answer_then_busy),
		cmocka_unit_test(put_without_answer),
		cmocka_unit_test(put_in_part),
		cmocka_unit_test(busy_router),
		cmocka_unit_test(foreign_writer),
		cmocka_unit_test(friendly_writer),
		cmocka_unit_test(weight_lost),
		cmocka_unit_test(routes_change_meanwhile),
		cmocka_unit_test(no_peer_up),
		cmocka_unit_test(blind_status),
		cmocka_unit_test(google_token),
		cmocka_unit_test(cloudflare_token),
		cmocka_unit_test(token_text),
		cmocka_unit_test(replaced_in_a_write),
		cmocka_unit_test(replaced_while_it_waits),
		cmocka_unit_test(replaced_and_gone),
		cmocka_unit_test(configured_anew),
		cmocka_unit_test(held),
		cmocka_unit_test(passive),
		cmocka_unit_test(unknown_failover),
		cmocka_unit_test(last_look),
		cmocka_unit_test(last_look_at_each),
		cmocka_unit_test(one_write_at_a_time),
		cmocka_unit_test(waiting_for_a_turn),
		cmocka_unit_test(which_routes),
		cmocka_unit_test(many_routes),
		cmocka_unit_test(other_timeouts),
		cmocka_unit_test(named),
		cmocka_unit_test(stopped),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
