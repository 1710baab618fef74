/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef CLOUDS_H
#define CLOUDS_H

/*
 * The world of a process that calls others: time that only passes when
 * something waits for it, and clouds whose answers are parts of the input,
 * each ended by a NUL.  The first byte of a part says which calls it answers
 * (see kind_of()), the second how; a call takes the next part that is for its
 * kind, and if there are no more, the last one again.
 */

#include <sys/queue.h>

#include "child.h"
#include "fuzz.h"
#include "http.h"

#define PARTS	64
#define LATENCY 10 /* milliseconds, of every call */

struct event {
	TAILQ_ENTRY(event) entry;
	event_callback_fn cb;
	void *arg;
	bool pending;
	int64_t due;
};

static TAILQ_HEAD(, event) events = TAILQ_HEAD_INITIALIZER(events);
static int64_t now = 1000;

static struct {
	struct bytes part[PARTS];
	bool used[PARTS];
	size_t count;
} clouds;

struct http_call {
	struct event *ev;
	http_done done;
	void *arg;
	char kind;
	char *bearer;
};

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
	HOLDS(tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000);
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

void
event_active(struct event *ev, int what __unused, short n __unused)
{
	static const struct timeval at_once;

	event_add(ev, &at_once);
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

#pragma GCC diagnostic ignored "-Wunused-function" /* nobody needs all */

/* Let so much time pass, or less if nothing waits any more. */
static void
pass(int64_t ms)
{
	int64_t end = now + ms;
	struct event *ev;
	int n = 0;

	while ((ev = TAILQ_FIRST(&events)) != NULL && ev->due <= end) {
		HOLDS(n++ < 100000);
		event_del(ev);
		if (ev->due > now)
			now = ev->due;
		ev->cb(-1, EV_TIMEOUT, ev->arg);
	}
}

/* What is left of the input is what the clouds answer. */
static void
clouds_begin(struct bytes *in)
{
	memset(&clouds, 0, sizeof(clouds));
	while (in->len > 0 && clouds.count < PARTS)
		clouds.part[clouds.count++] = take_part(in);
}

/* The input is over: what still asks is not answered. */
static void
clouds_end(void)
{
	memset(&clouds, 0, sizeof(clouds));
}

static char
kind_of(const struct http_request *request)
{
	static const struct {
		const char *text;
		char kind;
	} kinds[] = {
		{ "/getHealth", 'h' },
		{ "/backendServices", 'l' },
		{ "/getRouterStatus", 's' },
		{ "/operations/", 'o' },
		{ "/routers/", 'r' },
		{ "/magic/routes", 'c' },
		{ "/tokens/verify", 'v' },
		{ "/entries:write", 'w' },
		{ "/token", 't' },
	};
	size_t i;

	if (request->method == HTTP_PATCH)
		return ('p');
	if (request->method == HTTP_PUT)
		return ('u');
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strstr(request->url, kinds[i].text) != NULL)
			return (kinds[i].kind);
	return ('g');
}

static struct bytes
find_part(char kind)
{
	struct bytes none = { NULL, 0 }, last = none;
	size_t i;

	for (i = 0; i < clouds.count; i++) {
		if (clouds.part[i].len < 2 || clouds.part[i].data[0] != kind)
			continue;
		last = clouds.part[i];
		if (!clouds.used[i])
			break;
	}
	if (i < clouds.count)
		clouds.used[i] = true;
	return (last);
}

/* Headers come before the body, if it begins with their initials. */
static void
take_header(struct bytes *part, char initial, char *to, size_t size)
{
	size_t n = 0;

	if (part->len == 0 || part->data[0] != initial)
		return;
	(void)take_byte(part);
	while (part->len > 0 && part->data[0] != '\n') {
		to[n] = (char)take_byte(part);
		if (n < size - 1)
			n++;
	}
	to[n] = '\0';
	(void)take_byte(part);
}

static void
call_over(evutil_socket_t fd __unused, short what __unused, void *arg)
{
	static const long statuses[] = { 200, 200, 200, 200, 204, 301, 400, 401,
		403, 404, 409, 412, 429, 500, 503, 0 };
	struct http_reply reply = { .sent = true, .duration = LATENCY };
	struct http_call *call = arg;
	struct bytes part = find_part(call->kind);
	char *body;

	(void)take_byte(&part);
	reply.status = statuses[take_byte(&part) % 16];
	reply.bearer = call->bearer;
	strlcpy(reply.content_type, "application/json",
	    sizeof(reply.content_type));
	take_header(&part, 'R', reply.retry_after, sizeof(reply.retry_after));
	take_header(&part, 'L', reply.ratelimit, sizeof(reply.ratelimit));
	body = malloc(part.len + 1);
	reply.body_len = part.len;
	take_bytes(&part, body, reply.body_len);
	body[reply.body_len] = '\0';
	reply.body = body;
	reply.answered = reply.status != 0;
	reply.transport = TRANSPORT_TIMEOUT;
	if (!reply.answered)
		strlcpy(reply.error, "lost", sizeof(reply.error));
	call->done(&reply, call->arg);
	free(body);
	event_free(call->ev);
	free(call->bearer);
	free(call);
}

struct http_call *
http_start(const struct http_request *request, http_done done, void *arg)
{
	static const struct timeval latency = { 0, LATENCY * 1000 };
	struct http_call *call = calloc(1, sizeof(*call));

	call->done = done;
	call->arg = arg;
	call->kind = kind_of(request);
	if (request->bearer != NULL)
		call->bearer = strdup(request->bearer);
	call->ev = event_new(NULL, -1, 0, call_over, call);
	event_add(call->ev, &latency);
	return (call);
}

void
http_cancel(struct http_call *call)
{
	event_free(call->ev);
	free(call->bearer);
	free(call);
}

void
http_prepare(struct event_base *loop __unused, const char *bundle __unused,
    size_t len __unused)
{
}

int
http_set_ca(const char *bundle, size_t len)
{
	return (bundle != NULL && len > 3 ? 0 : -1);
}

void
http_address(const struct msg_addresses *msg __unused)
{
}

void
http_line_init(struct http_line *line, bool urgent)
{
	TAILQ_INIT(&line->waiting);
	line->urgent = urgent;
}

size_t
http_window(void)
{
	return (HTTP_WINDOW);
}

const char *
http_libraries(void)
{
	return ("");
}

const struct syscall_rule http_rules[1];
const size_t http_nrules = 0;

/* The channel to the parent: what is sent is what a parent would take. */
struct channel *parent_channel;
static enum role own_role;
static bool wants_assertion;

void
child_send(enum imsg_type type, uint32_t id, const void *data, size_t len)
{
	const struct imsg imsg = { .hdr = { .type = type, .id = id },
		.data = data,
		.len = len };
	char why[128];

	HOLDS(proto_check(&imsg, own_role, ROLE_PARENT, why, sizeof(why)) == 0);
	wants_assertion = wants_assertion || type == IMSG_ASSERT ||
	    type == IMSG_TOKEN_WANTED;
}

int
child_main(const struct child_program *child __unused, int argc __unused,
    char *argv[] __unused)
{
	return (0);
}

#ifdef FAKE_TOKEN
/* There always is a token; what comes of that is another target's. */
void
token_init(struct event_base *loop __unused)
{
}

void
token_source(const struct msg_token_uri *source __unused)
{
}

const char *
token_current(void)
{
	return ("token");
}

const char *
token_problem(void)
{
	return ("");
}

void
token_refused(const char *bearer __unused)
{
}

void
token_retry(void)
{
}

void
token_when_ready(void (*cb)(void *), void *arg)
{
	cb(arg);
}

void
token_forget_waiter(void (*cb)(void *) __unused, void *arg __unused)
{
}

bool
token_message(const struct imsg *imsg)
{
	return (imsg->hdr.type == IMSG_ASSERTION ||
	    imsg->hdr.type == IMSG_ASSERT_FAILED ||
	    imsg->hdr.type == IMSG_TOKEN ||
	    imsg->hdr.type == IMSG_TOKEN_FAILED);
}

int
token_parse(const struct http_reply *reply, struct msg_token *parsed, char *why,
    size_t len)
{
	if (reply->body_len == 0) {
		strlcpy(why, "empty", len);
		return (-1);
	}
	memset(parsed, 0, sizeof(*parsed));
	parsed->lifetime = 1;
	parsed->token[0] = 't';
	return (0);
}

void
token_given(const struct msg_token *given)
{
	HOLDS(given->lifetime >= 1 && given->lifetime <= LIFETIME_MAX);
	HOLDS(given->token[0] != '\0');
}

void
token_not_given(const char *why)
{
	HOLDS(*why != '\0');
}
#endif

#endif /* CLOUDS_H */
