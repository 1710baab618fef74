/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_room.h"
#include "log.h"

static int socket_cb(CURL *, curl_socket_t, int, void *, void *);
static struct sock *sock_get(curl_socket_t);
static int timer_cb(CURLM *, long, void *);
static void socket_event(evutil_socket_t, short, void *);
static void timer_event(evutil_socket_t, short, void *);
static size_t body_cb(char *, size_t, size_t, void *);
static size_t header_cb(char *, size_t, size_t, void *);
static void keep_header(const char *, size_t, const char *, char *, size_t);
static void slot_options(struct slot *);

/* Make the multi handle; libcurl makes a socketpair for it. */
void
curl_room_prepare(void)
{
	http.timer = evtimer_new(http.base, timer_event, NULL);
	http.multi = curl_multi_init();
	if (http.timer == NULL || http.multi == NULL)
		fatalx("%s: out of memory", __func__);
	curl_multi_setopt(http.multi, CURLMOPT_SOCKETFUNCTION, socket_cb);
	curl_multi_setopt(http.multi, CURLMOPT_TIMERFUNCTION, timer_cb);
	curl_multi_setopt(http.multi, CURLMOPT_PIPELINING,
	    (long)CURLPIPE_MULTIPLEX);
	/* Without it every request that finds no stream free would open a
	 * connection of its own. */
	curl_multi_setopt(http.multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)HTTP_CONNECTIONS);
	curl_multi_setopt(http.multi, CURLMOPT_MAXCONNECTS,
	    (long)(HTTP_CONNECTIONS * SERVERS));
}

/* An easy handle to use, an idle one if there is any. */
struct slot *
slot_get(void)
{
	struct slot *slot;

	slot = SLIST_FIRST(&http.slots);
	if (slot != NULL) {
		SLIST_REMOVE_HEAD(&http.slots, entry);
		http.nslots--;
		return (slot);
	}
	slot = calloc(1, sizeof(*slot));
	if (slot == NULL)
		fatal("%s", __func__);
	slot->easy = curl_easy_init();
	if (slot->easy == NULL)
		fatalx("%s: curl_easy_init", __func__);
	slot_options(slot);
	return (slot);
}

/* Everything that is the same for all requests. */
static void
slot_options(struct slot *slot)
{
	CURL *easy = slot->easy;

	SETOPT(easy, CURLOPT_USERAGENT, "mt-gcpd/" MTGCPD_VERSION);
	SETOPT(easy, CURLOPT_PROTOCOLS_STR, "https");
	SETOPT(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SETOPT(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SETOPT(easy, CURLOPT_PROXY, "");
	SETOPT(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SETOPT(easy, CURLOPT_NOSIGNAL, 1L);
	SETOPT(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	SETOPT(easy, CURLOPT_PIPEWAIT, 1L);
	/* What does not fit in it is what libcurl may forget: rest_event(). */
	SETOPT(easy, CURLOPT_BUFFERSIZE, 65536L);
	SETOPT(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
	SETOPT(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	SETOPT(easy, CURLOPT_TCP_KEEPIDLE, 30L);
	SETOPT(easy, CURLOPT_TCP_KEEPINTVL, 10L);
	SETOPT(easy, CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE);
	SETOPT(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SETOPT(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SETOPT(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	/* No files, but the store that was made before the drop; and every
	 * connection is checked against it, resumed ones too. */
	SETOPT(easy, CURLOPT_CAINFO, NULL);
	SETOPT(easy, CURLOPT_CAPATH, NULL);
	SETOPT(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	SETOPT(easy, CURLOPT_SSL_CTX_FUNCTION, tls_context);
	SETOPT(easy, CURLOPT_ERRORBUFFER, slot->errbuf);
	SETOPT(easy, CURLOPT_WRITEFUNCTION, body_cb);
	SETOPT(easy, CURLOPT_WRITEDATA, slot);
	SETOPT(easy, CURLOPT_HEADERFUNCTION, header_cb);
	SETOPT(easy, CURLOPT_HEADERDATA, slot);
}

/* Answers to token requests pass through here as well: nothing is left. */
void
slot_release(struct slot *slot)
{
	if (slot->size > BODY_KEPT) {
		freezero(slot->body, slot->size);
		slot->body = NULL;
		slot->size = 0;
	} else if (slot->body != NULL)
		explicit_bzero(slot->body, slot->len);
	slot->len = slot->header_len = 0;
	slot->body_too_big = slot->header_too_big = false;
	slot->errbuf[0] = '\0';
	slot->retry_after[0] = slot->ratelimit[0] = slot->date[0] = '\0';
	slot->flavored = false;
	if (slot->plain)
		SETOPT(slot->easy, CURLOPT_PROTOCOLS_STR, "https");
	slot->plain = false;
	SETOPT(slot->easy, CURLOPT_HTTPHEADER, NULL);
	SETOPT(slot->easy, CURLOPT_RESOLVE, NULL);
	SETOPT(slot->easy, CURLOPT_POSTFIELDS, NULL);
	if (http.nslots >= SLOTS_KEPT) {
		curl_easy_cleanup(slot->easy);
		freezero(slot->body, slot->size);
		free(slot);
		return;
	}
	SLIST_INSERT_HEAD(&http.slots, slot, entry);
	http.nslots++;
}

/* libcurl: a part of the body. */
static size_t
body_cb(char *data, size_t one, size_t n, void *arg)
{
	struct slot *slot = arg;
	size_t size;
	char *body;

	(void)one;
	if (n > HTTP_BODY_MAX - slot->len) {
		slot->body_too_big = true;
		return (0);
	}
	if (slot->len + n + 1 > slot->size) {
		size = slot->size > 0 ? slot->size * 2 : 2048;
		while (size < slot->len + n + 1)
			size *= 2;
		/* Wipes the old one, which may hold a token. */
		body = recallocarray(slot->body, slot->size, size, 1);
		if (body == NULL)
			return (0);
		slot->body = body;
		slot->size = size;
	}
	memcpy(slot->body + slot->len, data, n);
	slot->len += n;
	slot->heard = http_now();
	return (n);
}

/* libcurl: a header line, with its end of line. */
static size_t
header_cb(char *line, size_t one, size_t n, void *arg)
{
	struct slot *slot = arg;
	char flavor[8] = "";

	(void)one;
	if (n > HTTP_HEADER_MAX - slot->header_len) {
		slot->header_too_big = true;
		return (0);
	}
	slot->header_len += n;
	slot->heard = http_now();
	if (!evtimer_pending(http.rest, NULL))
		http_schedule(http.rest, REST_CHECK);
	if (n > 10 && (line[0] == 'r' || line[0] == 'R')) {
		keep_header(line, n, "retry-after:", slot->retry_after,
		    sizeof(slot->retry_after));
		keep_header(line, n, "ratelimit:", slot->ratelimit,
		    sizeof(slot->ratelimit));
	} else if (n > 5 && (line[0] == 'd' || line[0] == 'D'))
		keep_header(line, n, "date:", slot->date, sizeof(slot->date));
	else if (n > 16 && (line[0] == 'm' || line[0] == 'M')) {
		keep_header(line, n, "metadata-flavor:", flavor,
		    sizeof(flavor));
		slot->flavored |= strcmp(flavor, "Google") == 0;
	}
	return (n);
}

static void
keep_header(const char *line, size_t n, const char *name, char *dst,
    size_t size)
{
	size_t len;

	len = strlen(name);
	if (n < len || strncasecmp(line, name, len) != 0)
		return;
	for (line += len, n -= len; n > 0 && *line == ' '; line++, n--)
		continue;
	while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n'))
		n--;
	if (n >= size)
		n = size - 1;
	memcpy(dst, line, n);
	dst[n] = '\0';
}

/* libcurl: watch this socket for something else. */
static int
socket_cb(CURL *easy, curl_socket_t fd, int what, void *arg, void *sockp)
{
	struct sock *sock = sockp;
	short events;

	(void)easy;
	(void)arg;
	if (sock == NULL)
		sock = sock_get(fd);
	if (sock->ev != NULL)
		event_free(sock->ev);
	sock->ev = NULL;
	if (what == CURL_POLL_REMOVE)
		return (0);
	events = EV_PERSIST;
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	sock->ev = event_new(http.base, fd, events, socket_event, sock);
	if (sock->ev == NULL || event_add(sock->ev, NULL) == -1)
		fatal("%s", __func__);
	return (0);
}

/*
 * The record of a descriptor that is watched from now on.  It stays when it is
 * no longer watched: libcurl tells how a request ended after that.
 */
static struct sock *
sock_get(curl_socket_t fd)
{
	struct sock *sock;

	TAILQ_FOREACH(sock, &http.socks, entry) {
		if (sock->fd == fd)
			break;
	}
	if (sock == NULL) {
		sock = calloc(1, sizeof(*sock));
		if (sock == NULL)
			fatal("%s", __func__);
		sock->fd = fd;
		TAILQ_INSERT_TAIL(&http.socks, sock, entry);
	}
	sock->heard = http_now();
	curl_multi_assign(http.multi, fd, sock);
	return (sock);
}

/* libcurl: call curl_multi_socket_action() in so many milliseconds. */
static int
timer_cb(CURLM *multi, long ms, void *arg)
{
	(void)multi;
	(void)arg;
	if (ms == -1)
		evtimer_del(http.timer);
	else
		http_schedule(http.timer, ms);
	return (0);
}

static void
socket_event(evutil_socket_t fd, short what, void *arg)
{
	struct sock *sock = arg;
	int action, running;

	action = 0;
	if (what & EV_READ) {
		action |= CURL_CSELECT_IN;
		sock->heard = http_now();
	}
	if (what & EV_WRITE)
		action |= CURL_CSELECT_OUT;
	curl_multi_socket_action(http.multi, fd, action, &running);
	http_finished();
}

static void
timer_event(evutil_socket_t fd, short what, void *arg)
{
	int running;

	(void)fd;
	(void)what;
	(void)arg;
	curl_multi_socket_action(http.multi, CURL_SOCKET_TIMEOUT, 0, &running);
	http_finished();
}

/* libcurl and what it runs with, by name and version. */
const char *
http_libraries(void)
{
	return (curl_version());
}
