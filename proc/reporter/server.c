/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "page.h"
#include "reporter.h"
#include "tally.h"

/*
 * The HTTP server: a few small answers to GET and HEAD, to a few clients at a
 * time.  Whoever is slow is cut off.
 */

#define CONNECTIONS_MAX 32
#define HEADERS_MAX	8192
#define BODY_MAX	1024
#define IDLE		10	    /* seconds without a byte */
#define LIFE		(60 * 1000) /* milliseconds of a connection */
#define SWEEP		100	    /* milliseconds */

#define TEXT_004   "text/plain; version=0.0.4; charset=utf-8"
#define TEXT_OPEN  "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TEXT_HTML  "text/html; charset=utf-8"
#define TEXT_PLAIN "text/plain; charset=utf-8"

/* A connection, from when it is accepted until libevent lets it go. */
struct connection {
	TAILQ_ENTRY(connection) entry;
	struct bufferevent *socket;
	int64_t end; /* it lasts no longer */
};

static struct {
	struct evconnlistener *listener;
	struct event *sweep;
	TAILQ_HEAD(, connection) connections;
	unsigned int count;
} server;

static void
answer(struct evhttp_request *request, int status, const char *type,
    struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	const char *reason = status == 200 ? "OK" :
	    status == 404		   ? "Not Found" :
					     "Service Unavailable";
	char length[32];

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Content-Security-Policy", page_policy());
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	snprintf(length, sizeof(length), "%zu", evbuffer_get_length(body));
	evhttp_add_header(headers, "Content-Length", length);
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		evbuffer_drain(body, evbuffer_get_length(body));
	evhttp_send_reply(request, status, reason, body);
}

static void
answer_metrics(struct evhttp_request *request, struct evbuffer *body)
{
	const char *accept;
	bool open;

	accept = evhttp_find_header(evhttp_request_get_input_headers(request),
	    "Accept");
	open = accept != NULL &&
	    strstr(accept, "application/openmetrics-text") != NULL;
	tally_drain(world_calls); /* our own */
	metrics_write(body, open);
	answer(request, 200, open ? TEXT_OPEN : TEXT_004, body);
}

/* "ok", or 503 and why not. */
static void
answer_check(struct evhttp_request *request, struct evbuffer *body,
    bool (*check)(char *, size_t))
{
	char why[256];
	bool good = check(why, sizeof(why));

	evbuffer_add_printf(body, "%s\n", good ? "ok" : why);
	answer(request, good ? 200 : 503, TEXT_PLAIN, body);
}

static void
respond(struct evhttp_request *request, void *arg)
{
	const struct evhttp_uri *uri;
	const char *path;
	struct evbuffer *body;

	(void)arg;
	uri = evhttp_request_get_evhttp_uri(request);
	path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
	body = evbuffer_new();
	if (body == NULL)
		fatal("%s", __func__);
	if (path == NULL)
		path = "";
	if (strcmp(path, "/metrics") == 0)
		answer_metrics(request, body);
	else if (strcmp(path, "/healthz") == 0)
		answer_check(request, body, world_turns);
	else if (strcmp(path, "/readyz") == 0)
		answer_check(request, body, world_ready);
	else if (strcmp(path, "/") == 0) {
		page_write(body);
		answer(request, 200, TEXT_HTML, body);
	} else {
		evbuffer_add_printf(body, "there is nothing here\n");
		answer(request, 404, TEXT_PLAIN, body);
	}
	evbuffer_free(body);
}

/* The connection is over: there is room for another one. */
static void
connection_drop(struct connection *connection)
{
	TAILQ_REMOVE(&server.connections, connection, entry);
	bufferevent_decref(connection->socket); /* closes it */
	free(connection);
	if (server.count-- == CONNECTIONS_MAX)
		evconnlistener_enable(server.listener);
}

/* Look for connections that libevent has let go, which it shows by taking its
 * callbacks away, and for those that have lasted long enough: it will find
 * them closed. */
static void
sweep(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = { 0, SWEEP * 1000 };
	struct connection *connection, *next;
	bufferevent_event_cb callback;
	int64_t now = world_now();

	(void)fd;
	(void)what;
	(void)arg;
	for (connection = TAILQ_FIRST(&server.connections); connection != NULL;
	     connection = next) {
		next = TAILQ_NEXT(connection, entry);
		bufferevent_getcb(connection->socket, NULL, NULL, &callback,
		    NULL);
		if (callback == NULL)
			connection_drop(connection);
		else if (now >= connection->end)
			(void)shutdown(bufferevent_getfd(connection->socket),
			    SHUT_RDWR);
	}
	if (server.count > 0 && evtimer_add(server.sweep, &again) == -1)
		fatal("%s", __func__);
}

/*
 * libevent wants a bufferevent for a connection that was accepted.  We keep a
 * reference, for that is the one way to count them.
 */
static struct bufferevent *
connection_new(struct event_base *base, void *arg)
{
	struct connection *connection;

	(void)arg;
	connection = calloc(1, sizeof(*connection));
	if (connection == NULL)
		fatal("%s", __func__);
	connection->socket = bufferevent_socket_new(base, -1,
	    BEV_OPT_CLOSE_ON_FREE);
	if (connection->socket == NULL)
		fatal("%s", __func__);
	connection->end = world_now() + LIFE;
	bufferevent_incref(connection->socket);
	event_active(server.sweep, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&server.connections, connection, entry);
	if (++server.count == CONNECTIONS_MAX)
		evconnlistener_disable(server.listener);
	return (connection->socket);
}

/*
 * Serve whoever connects to the socket, which listens, until the process ends.
 * To be called before the process confines itself.  Errors are fatal.
 */
void
server_start(struct event_base *base, int listener)
{
	struct evhttp_bound_socket *bound;
	struct evhttp *http;

	(void)page_policy(); /* OpenSSL may look for files */
	http = evhttp_new(base);
	if (http == NULL)
		fatalx("evhttp_new");
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http, HEADERS_MAX);
	evhttp_set_max_body_size(http, BODY_MAX);
	evhttp_set_timeout(http, IDLE);
	evhttp_set_default_content_type(http, NULL);
	evhttp_set_gencb(http, respond, NULL);
	evhttp_set_bevcb(http, connection_new, NULL);
	bound = evhttp_accept_socket_with_handle(http, listener);
	if (bound == NULL)
		fatalx("evhttp_accept_socket");
	TAILQ_INIT(&server.connections);
	server.sweep = evtimer_new(base, sweep, NULL);
	if (server.sweep == NULL)
		fatalx("evtimer_new");
	server.listener = evhttp_bound_socket_get_listener(bound);
}
