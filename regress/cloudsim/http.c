/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * A small HTTP/1.1 server over TLS (the APIs) and in the clear (the control
 * interface; the APIs again, for a proxy in front of us).  Not evhttp, because a test cloud must also be able to answer
 * badly: late, cut short, byte by byte, with noise, or not at all.
 */

#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <bsd/stdlib.h>
#include <bsd/string.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>

#include "cloudsim.h"

enum conn_state {
	CONN_HEAD,    /* waiting for a request */
	CONN_BODY,    /* have its head */
	CONN_BUSY,    /* answer is delayed, dripping, or never comes */
	CONN_CLOSING, /* close once all is sent */
};

struct conn {
	struct bufferevent *bev;
	SSL *ssl;
	bool control; /* and not one of the APIs */
	uint64_t id;
	enum conn_state state;
	struct request req;
	struct response res;
	struct event *timer;
	char *rest;
	size_t rest_len;
	size_t rest_off;
	int served;
	bool established; /* the handshake is over */
	bool dirty;	  /* close without close_notify */
};

static struct {
	json_int_t accepted;
	json_int_t open;
	json_int_t max_open;
	json_int_t requests;
	json_int_t tls_failed;
	json_int_t tls_resumed;
} stats;

/* What listens where. */
struct door {
	SSL_CTX *tls; /* NULL: in the clear */
	bool control;
};

static uint64_t next_conn = 1;

static void conn_run(struct conn *);

static const char *
status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].status == status)
			return (table[i].text);
	return ("Whatever");
}

static void
request_clear(struct request *req)
{
	free(req->head);
	free(req->body);
	json_decref(req->json);
	json_decref(req->note);
	json_decref(req->grant);
	json_decref(req->op_override);
	memset(req, 0, sizeof(*req));
}

static void
response_clear(struct response *res)
{
	json_decref(res->json);
	json_decref(res->after);
	json_decref(res->fault);
	free(res->body);
	memset(res, 0, sizeof(*res));
}

static void
conn_free(struct conn *c)
{
	/* A dirty end is one without a word. */
	if (c->ssl != NULL && c->dirty)
		SSL_set_quiet_shutdown(c->ssl, 1);
	else if (c->ssl != NULL && c->state == CONN_CLOSING)
		(void)SSL_shutdown(c->ssl);
	if (c->timer != NULL)
		event_free(c->timer);
	request_clear(&c->req);
	response_clear(&c->res);
	free(c->rest);
	bufferevent_free(c->bev);
	free(c);
	stats.open--;
}

/* So that the kernel sends a reset instead of an orderly end. */
static void
conn_reset(struct conn *c)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER,
	    &linger, sizeof(linger));
	c->dirty = true;
	conn_free(c);
}

/* True if the connection is gone or has something left to send first. */
static bool
conn_end(struct conn *c)
{
	c->state = CONN_CLOSING;
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		conn_free(c);
	return (true);
}

void
http_header(struct response *res, const char *name, const char *value)
{
	size_t used = strlen(res->headers);
	int n;

	n = snprintf(res->headers + used, sizeof(res->headers) - used,
	    "%s: %s\r\n", name, value);
	/* A header that does not fit whole is left out whole. */
	if (n < 0 || (size_t)n >= sizeof(res->headers) - used)
		res->headers[used] = '\0';
}

void
http_error(struct response *res, int status, json_t *body)
{
	json_decref(res->json);
	res->status = status;
	res->json = body;
}

void
request_parse_json(struct request *req)
{
	if (req->json == NULL && req->body_len > 0)
		req->json = json_loadb(req->body, req->body_len,
		    JSON_REJECT_DUPLICATES, NULL);
}

static const char *
http_date(void)
{
	static char date[64];
	static time_t last;
	time_t t;
	struct tm tm;

	t = (time_t)(now_ms() / 1000) + sim.set.date_skew_s;
	if (t != last) {
		gmtime_r(&t, &tm);
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		last = t;
	}
	return (date);
}

static void
response_render(struct response *res)
{
	size_t flags;

	if (res->json == NULL || res->body != NULL)
		return;
	flags = res->pretty ? JSON_INDENT(2) : JSON_COMPACT;
	res->body = json_dumps(res->json,
	    flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	if (res->body == NULL)
		errx(1, "an answer that is not JSON");
	res->body_len = strlen(res->body);
}

/* Head and body in one piece: one TLS record, one segment, where it fits. */
static void
conn_write(struct conn *c, size_t body_len)
{
	struct response *res = &c->res;
	struct evbuffer *out;

	out = bufferevent_get_output(c->bev);
	evbuffer_expand(out, 512 + sizeof(res->headers) + body_len);
	evbuffer_add_printf(out,
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nDate: %s\r\n"
	    "Content-Length: %zu\r\n%s%s\r\n",
	    res->status, status_text(res->status),
	    res->ctype != NULL ? res->ctype : "application/json; charset=UTF-8",
	    http_date(), res->body_len, res->headers,
	    c->req.keepalive ? "" : "Connection: close\r\n");
	if (body_len > 0)
		evbuffer_add(out, res->body, body_len);
}

static void
conn_drip(struct conn *c)
{
	struct timeval tv;
	long ms = c->res.drip_ms;

	bufferevent_write(c->bev, c->rest + c->rest_off, 1);
	c->rest_off++;
	if (c->rest_off == c->rest_len) {
		conn_end(c);
		return;
	}
	tv.tv_sec = ms / 1000;
	tv.tv_usec = (ms % 1000) * 1000;
	evtimer_add(c->timer, &tv);
}

static void
conn_start_drip(struct conn *c)
{
	c->rest = c->res.body;
	c->rest_len = c->res.body_len;
	c->res.body = NULL;
	c->req.keepalive = false;
	conn_write(c, 0);
	if (c->rest_len == 0)
		conn_end(c);
	else
		conn_drip(c);
}

static void
conn_noise(struct conn *c)
{
	unsigned char noise[256];

	arc4random_buf(noise, sizeof(noise));
	noise[0] = 0x15;
	bufferevent_write(c->bev, noise, sizeof(noise));
}

/* The answer is out: what the world does behind the client's back. */
static void
conn_after(struct conn *c)
{
	json_t *patch;
	size_t i;

	json_array_foreach(c->res.after, i, patch) {
		(void)world_patch(patch, "foreign_write");
	}
}

/*
 * Sends what the handlers decided.  Returns false if the connection is gone
 * or will say no more.
 */
static bool
conn_send(struct conn *c)
{
	enum send_mode mode = c->res.mode;
	bool more;

	if (mode == SEND_NORMAL)
		conn_write(c, c->res.body_len);
	else if (mode == SEND_TRUNCATE)
		conn_write(c, c->res.body_len / 2);
	else if (mode == SEND_NOISE)
		conn_noise(c);
	conn_after(c);
	c->served++;
	c->state = CONN_BUSY;
	switch (mode) {
	case SEND_HANG:
		return (false);
	case SEND_RESET:
		conn_reset(c);
		return (false);
	case SEND_DRIP:
		conn_start_drip(c);
		return (false);
	case SEND_CLOSE:
	case SEND_TRUNCATE:
	case SEND_NOISE:
		c->dirty = true;
		conn_end(c);
		return (false);
	case SEND_NORMAL:
		break;
	}
	more = c->req.keepalive &&
	    (sim.set.keepalive_max == 0 || c->served < sim.set.keepalive_max);
	request_clear(&c->req);
	response_clear(&c->res);
	if (!more) {
		conn_end(c);
		return (false);
	}
	c->state = CONN_HEAD;
	return (true);
}

static void
conn_timer(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (c->rest != NULL)
		conn_drip(c);
	else if (conn_send(c))
		conn_run(c);
}

/* The request is complete. */
static bool
conn_answer(struct conn *c)
{
	struct timeval tv;

	c->req.conn_id = c->id;
	c->req.t_ms = now_ms();
	c->req.mono_ms = mono_ms();
	c->res.status = 200;
	stats.requests++;
	c->state = CONN_BUSY;
	if (c->control)
		control_handle(&c->req, &c->res);
	else
		api_handle(&c->req, &c->res);
	/* Now, not when it is sent: the world moves on meanwhile. */
	response_render(&c->res);
	if (c->timer == NULL)
		c->timer = evtimer_new(sim.base, conn_timer, c);
	if (c->res.delay_ms <= 0)
		return (conn_send(c));
	tv.tv_sec = c->res.delay_ms / 1000;
	tv.tv_usec = (c->res.delay_ms % 1000) * 1000;
	evtimer_add(c->timer, &tv);
	return (false);
}

/* An answer to what is not HTTP as we speak it; the connection ends. */
static bool
conn_refuse(struct conn *c, int status)
{
	request_clear(&c->req);
	response_clear(&c->res);
	c->res.status = status;
	c->res.json = json_pack("{s:s}", "error", status_text(status));
	c->req.keepalive = false;
	response_render(&c->res);
	return (conn_send(c));
}

/* Keeps what we need of one header line; -1 if it cannot be right. */
static int
head_line(struct conn *c, char *line, bool *expect)
{
	struct request *req = &c->req;
	const char *errstr;
	char *value;

	value = strchr(line, ':');
	if (value == NULL)
		return (-1);
	*value++ = '\0';
	value += strspn(value, " \t");
	if (strcasecmp(line, "host") == 0)
		req->host = value;
	else if (strcasecmp(line, "authorization") == 0)
		req->authz = value;
	else if (strcasecmp(line, "content-type") == 0)
		req->ctype = value;
	else if (strcasecmp(line, "metadata-flavor") == 0)
		req->flavor = value;
	else if (strcasecmp(line, "transfer-encoding") == 0)
		return (-1);
	else if (strcasecmp(line, "expect") == 0)
		*expect = true;
	else if (strcasecmp(line, "connection") == 0)
		req->keepalive = strcasecmp(value, "close") != 0;
	else if (strcasecmp(line, "content-length") == 0) {
		req->body_len = (size_t)strtonum(value, 0, MAX_CONTROL_BYTES,
		    &errstr);
		if (errstr != NULL)
			return (-1);
	}
	return (0);
}

static int
head_parse(struct conn *c, bool *expect)
{
	struct request *req = &c->req;
	char *p = req->head, *line, *method, *target, *query;

	line = strsep(&p, "\n");
	line[strcspn(line, "\r")] = '\0';
	method = strsep(&line, " ");
	target = strsep(&line, " ");
	if (line == NULL || strncmp(line, "HTTP/1.", 7) != 0 ||
	    target[0] != '/')
		return (-1);
	if (strlcpy(req->method, method, sizeof(req->method)) >=
	    sizeof(req->method))
		return (-1);
	req->keepalive = strcmp(line, "HTTP/1.0") != 0;
	query = strchr(target, '?');
	if (query != NULL)
		*query++ = '\0';
	req->path = target;
	req->query = query != NULL ? query : "";
	while ((line = strsep(&p, "\n")) != NULL) {
		line[strcspn(line, "\r")] = '\0';
		if (*line != '\0' && head_line(c, line, expect) == -1)
			return (-1);
	}
	return (0);
}

/* Returns true if there is progress to be made. */
static bool
conn_head(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_ptr end;
	bool expect = false;
	size_t len;

	end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	if (end.pos == -1) {
		if (evbuffer_get_length(in) > MAX_HEAD_BYTES)
			return (conn_refuse(c, 431));
		return (false);
	}
	len = (size_t)end.pos + 4;
	c->req.head = xcalloc(1, len + 1);
	evbuffer_remove(in, c->req.head, len);
	/* A NUL inside would hide the rest: such a head cannot be right. */
	if (strlen(c->req.head) != len || head_parse(c, &expect) == -1)
		return (conn_refuse(c, 400));
	if (!c->control && c->req.body_len > MAX_API_BYTES)
		return (conn_refuse(c, 413));
	if (expect)
		evbuffer_add_printf(bufferevent_get_output(c->bev),
		    "HTTP/1.1 100 Continue\r\n\r\n");
	c->state = CONN_BODY;
	return (true);
}

static bool
conn_body(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	if (evbuffer_get_length(in) < c->req.body_len)
		return (false);
	c->req.body = xcalloc(1, c->req.body_len + 1);
	evbuffer_remove(in, c->req.body, c->req.body_len);
	return (conn_answer(c));
}

/* Serves what has arrived, one request after the other. */
static void
conn_run(struct conn *c)
{
	bool more = true;

	while (more) {
		if (c->state == CONN_HEAD)
			more = conn_head(c);
		else if (c->state == CONN_BODY)
			more = conn_body(c);
		else
			more = false;
	}
}

static void
conn_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_run(arg);
}

static void
conn_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	if (c->state == CONN_CLOSING)
		conn_free(c);
}

static void
conn_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		c->established = true;
		if (SSL_session_reused(c->ssl))
			stats.tls_resumed++;
		return;
	}
	if (c->ssl != NULL && !c->established)
		stats.tls_failed++;
	c->dirty = true;
	conn_free(c);
}

static void
conn_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *sa, int salen, void *arg)
{
	const struct door *door = arg;
	struct conn *c;
	int on = 1;

	(void)listener;
	(void)sa;
	(void)salen;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c = xcalloc(1, sizeof(*c));
	c->id = next_conn++;
	c->control = door->control;
	if (door->tls != NULL) {
		c->ssl = SSL_new(door->tls);
		if (c->ssl == NULL)
			errx(1, "SSL_new");
		c->bev = bufferevent_openssl_socket_new(sim.base, fd, c->ssl,
		    BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	} else
		c->bev = bufferevent_socket_new(sim.base, fd,
		    BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL)
		errx(1, "bufferevent");
	if (c->ssl != NULL)
		bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	bufferevent_setcb(c->bev, conn_read, conn_written, conn_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	stats.accepted++;
	stats.open++;
	if (stats.open > stats.max_open)
		stats.max_open = stats.open;
}

static void
listen_failed(struct evconnlistener *listener, void *arg)
{
	(void)listener;
	(void)arg;
	warn("accept");
}

/* Listens on the loopback and a port of the kernel's choice: over TLS or,
 * without a context, in the clear; for the control interface or the APIs. */
int
http_listen(SSL_CTX *ctx, bool control)
{
	struct evconnlistener *listener;
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	struct door *door;

	door = xcalloc(1, sizeof(*door));
	door->tls = ctx;
	door->control = control;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = evconnlistener_new_bind(sim.base, conn_accept, door,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 1024,
	    (struct sockaddr *)&sin, sizeof(sin));
	if (listener == NULL)
		err(1, "listen");
	evconnlistener_set_error_cb(listener, listen_failed);
	if (getsockname(evconnlistener_get_fd(listener),
		(struct sockaddr *)&sin, &len) == -1)
		err(1, "getsockname");
	return (ntohs(sin.sin_port));
}

json_t *
http_stats(void)
{
	return (json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "accepted",
	    stats.accepted, "open", stats.open, "max_open", stats.max_open,
	    "requests", stats.requests, "tls_failed", stats.tls_failed,
	    "tls_resumed", stats.tls_resumed));
}

void
http_stats_reset(void)
{
	json_int_t open = stats.open;

	memset(&stats, 0, sizeof(stats));
	stats.open = open;
	stats.max_open = open;
}
