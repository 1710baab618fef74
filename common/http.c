/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/types.h>
#include <sys/socket.h>

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gcp.h"
#include "http_room.h"
#include "log.h"
#include "tally.h"

struct http_room http;

static void pump_event(evutil_socket_t, short, void *);
static struct http_call *next_call(int64_t, int64_t *);
static void leave_if_late(struct http_call *, int64_t);
static void late_event(evutil_socket_t, short, void *);
static void rest_event(evutil_socket_t, short, void *);
static void call_version(const struct slot *);
static struct headers *headers_get(const struct http_request *);
static void headers_append(struct headers *, const char *, const char *);
static void headers_release(struct headers *);
static void call_fail(struct http_call *, enum transport, const char *);
static void call_late(struct http_call *);
static void call_launch(struct http_call *);
static void call_method(struct http_call *, CURL *);
static size_t body_once(char *, size_t, size_t, void *);
static void call_finish(struct http_call *, CURLcode);
static void call_reply(struct http_call *, CURLcode, struct http_reply *);
static void call_tally(const struct http_call *, const struct http_reply *);
static void call_error(struct http_call *, CURLcode, struct http_reply *);
static enum transport transport_of(const struct slot *, CURLcode, bool, long);
static void call_detail(const struct http_call *, CURLcode, enum transport,
    char *, size_t);
static void call_reason(const struct http_call *, enum transport, const char *,
    char *, size_t);
static void call_detach(struct http_call *, bool);
static void call_free(struct http_call *);
static void retire_frozen(const struct http_call *);

/*
 * Set up everything that opens a file or makes a socketpair; to be called once,
 * before the process confines itself.  ca: the PEM certificates of the
 * authorities that servers are checked against, len bytes; without any, every
 * connection fails.  Errors are fatal.
 */
void
http_prepare(struct event_base *base, const char *ca, size_t ca_len)
{
	/* OpenSSL asks for the time of day in a certificate's terms; without
	 * this, libc opens the zone file when it does. */
	if (setenv("TZ", "UTC0", 1) == -1)
		fatal("%s: setenv", __func__);
	tzset();
	json_object_seed(0); /* opens /dev/urandom */
	if (OPENSSL_init_ssl(0, NULL) != 1)
		fatalx("%s: OPENSSL_init_ssl", __func__);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		fatalx("%s: curl_global_init", __func__);

	http.base = base;
	TAILQ_INIT(&http.socks);
	TAILQ_INIT(&http.hosts);
	TAILQ_INIT(&http.headers);
	SLIST_INIT(&http.slots);
	lines_init();
	TAILQ_INIT(&http.running);
	TAILQ_INIT(&http.failed);
	http.pump = event_new(base, -1, 0, pump_event, NULL);
	http.late = evtimer_new(base, late_event, NULL);
	http.rest = evtimer_new(base, rest_event, NULL);
	if (http.pump == NULL || http.late == NULL || http.rest == NULL)
		fatalx("%s: out of memory", __func__);
	curl_room_prepare();
	if (ca == NULL || http_set_ca(ca, ca_len) == -1) {
		log_warnx("no certificate authorities: no server can be "
			  "trusted");
		http.store = X509_STORE_new();
		if (http.store == NULL)
			fatalx("%s: X509_STORE_new", __func__);
	}
}

/*
 * Start a request, or have it wait for its turn.  done is called exactly once,
 * later and never from here, unless the call is cancelled first; then the call
 * is gone.  The request's time runs from now on, waiting included.  Never
 * fails: what cannot be sent is told by done.
 */
struct http_call *
http_start(const struct http_request *request, http_done done, void *arg)
{
	char why[REASON_LEN];
	enum transport failed;
	struct http_call *call;
	const char *p;

	call = calloc(1, sizeof(*call));
	if (call == NULL)
		fatal("%s", __func__);
	call->method = request->method;
	call->called = request->called;
	call->write = request->write;
	call->metadata = request->metadata;
	call->bucket = request->bucket;
	call->line = request->write ? &http.writes :
	    request->line != NULL   ? request->line :
				      &http.reads;
	call->connect_timeout = request->connect_timeout;
	call->timeout = request->timeout;
	call->started = http_now();
	call->done = done;
	call->arg = arg;
	call->url = strdup(request->url);
	if (call->url == NULL)
		fatal("%s", __func__);
	if (request->content_type != NULL && request->body_len > 0) {
		call->body = malloc(request->body_len);
		if (call->body == NULL)
			fatal("%s", __func__);
		memcpy(call->body, request->body, request->body_len);
		call->body_len = request->body_len;
	}
	for (p = request->bearer; p != NULL && *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~') {
			call_fail(call, TRANSPORT_REQUEST,
			    "the token has a character that it may not have");
			return (call);
		}
	}
	/* A token goes over nothing but TLS. */
	if (!request->metadata && strncmp(call->url, "https:", 6) != 0) {
		call_fail(call, TRANSPORT_REQUEST, "the URL is not https");
		return (call);
	}
	if (host_resolve(call->url, &call->resolve, &failed, why,
		sizeof(why)) == -1) {
		call_fail(call, failed, why);
		return (call);
	}
	call->headers = headers_get(request);
	call->state = CALL_WAITING;
	line_join(call);
	event_active(http.pump, EV_TIMEOUT, 0);
	return (call);
}

/*
 * Give a call up: its done is not called any more, and its memory is freed.
 * A request on its way may still reach the server.
 */
void
http_cancel(struct http_call *call)
{
	switch (call->state) {
	case CALL_WAITING:
		line_leave(call);
		break;
	case CALL_RUNNING:
		call_detach(call, true);
		event_active(http.pump, EV_TIMEOUT, 0);
		break;
	case CALL_FAILED:
		TAILQ_REMOVE(&http.failed, call, entry);
		break;
	case CALL_FINISHED:
		return; /* by its own done */
	}
	call_free(call);
}

/* Fail a call that was not sent; its caller is told from the event loop. */
static void
call_fail(struct http_call *call, enum transport transport, const char *why)
{
	char text[REASON_LEN];

	call->transport = transport;
	call_reason(call, transport, why, text, sizeof(text));
	call->error = strdup(text);
	if (call->error == NULL)
		fatal("%s", __func__);
	call->state = CALL_FAILED;
	TAILQ_INSERT_TAIL(&http.failed, call, entry);
	event_active(http.pump, EV_TIMEOUT, 0);
}

/* Start as many waiting requests as the window and their buckets have room
 * for, writes first. */
static void
pump_event(evutil_socket_t fd, short what, void *arg)
{
	struct http_call *call;
	int64_t now, wait;
	bool launched;
	int running;

	(void)fd;
	(void)what;
	(void)arg;
	launched = false;
	now = http_now();
	for (;;) {
		wait = INT64_MAX;
		call = next_call(now, &wait);
		if (call == NULL)
			break;
		line_leave(call);
		call_launch(call);
		launched = true;
	}
	while ((call = TAILQ_FIRST(&http.failed)) != NULL) {
		TAILQ_REMOVE(&http.failed, call, entry);
		call_finish(call, CURLE_FAILED_INIT);
	}
	if (launched) {
		/* libcurl takes over the addresses now, so that no older ones
		 * can come after newer ones. */
		curl_multi_socket_action(http.multi, CURL_SOCKET_TIMEOUT, 0,
		    &running);
		http_finished();
	}
	if (lines_waiting() && !evtimer_pending(http.late, NULL))
		http_schedule(http.late, LATE_CHECK);
	if (wait <= WAIT_MAX)
		http_schedule(http.pump, (long)wait);
}

/* The next request that can be started, or NULL: then wait is set where one
 * waits for nothing but its bucket. */
static struct http_call *
next_call(int64_t now, int64_t *wait)
{
	size_t window = http_window();
	struct http_call *call;

	call = NULL;
	if (http.nrunning < window + HTTP_RESERVE)
		call = lines_next(HTTP_WRITES, now, wait);
	if (call == NULL && http.nrunning < window)
		call = lines_next(HTTP_URGENT, now, wait);
	if (call == NULL && http.nrunning < window)
		call = lines_next(HTTP_READS, now, wait);
	return (call);
}

static void
leave_if_late(struct http_call *call, int64_t now)
{
	if (now - call->started < call->timeout)
		return;
	line_leave(call);
	call_late(call);
}

/* Fail the requests whose time went by while they waited for their turn. */
static void
late_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	lines_each(leave_if_late, http_now());
	event_active(http.pump, EV_TIMEOUT, 0);
}

/*
 * libcurl 7.88 at times forgets to go on with an HTTP/2 answer whose rest it
 * has already read from the connection: nothing wakes it up.  To pause the
 * transfer and to let it go on does.
 */
static void
rest_event(evutil_socket_t fd, short what, void *arg)
{
	struct http_call *call, *next;
	struct slot *slot;
	int64_t now;
	bool any;

	(void)fd;
	(void)what;
	(void)arg;
	any = false;
	now = http_now();
	for (call = TAILQ_FIRST(&http.running); call != NULL; call = next) {
		next = TAILQ_NEXT(call, entry);
		slot = call->slot;
		if (slot->header_len == 0)
			continue;
		any = true;
		if (now - slot->heard < REST_CHECK)
			continue;
		slot->heard = now;
		curl_easy_pause(slot->easy, CURLPAUSE_RECV);
		curl_easy_pause(slot->easy, CURLPAUSE_CONT);
	}
	if (any)
		http_schedule(http.rest, REST_CHECK);
	http_finished();
}

/* The time of a request is over before its turn has come. */
static void
call_late(struct http_call *call)
{
	call_fail(call, call->limited ? TRANSPORT_LIMIT : TRANSPORT_QUEUE,
	    NULL);
}

/* Hand a waiting request to libcurl. */
static void
call_launch(struct http_call *call)
{
	struct slot *slot;
	int64_t left;
	CURLMcode rc;
	CURL *easy;

	call->launched = http_now();
	left = (int64_t)call->timeout - (call->launched - call->started);
	if (left <= 0) {
		call_late(call);
		return;
	}
	if (call->bucket != NULL)
		bucket_take(call->bucket, call->launched);
	slot = slot_get();
	easy = slot->easy;
	SETOPT(easy, CURLOPT_URL, call->url);
	SETOPT(easy, CURLOPT_PRIVATE, call);
	SETOPT(easy, CURLOPT_HTTPHEADER, call->headers->list);
	SETOPT(easy, CURLOPT_TIMEOUT_MS, (long)left);
	SETOPT(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout);
	SETOPT(easy, CURLOPT_RESOLVE,
	    call->resolve != NULL && !call->resolve->loaded ?
		call->resolve->list :
		NULL);
	if (call->metadata) {
		SETOPT(easy, CURLOPT_PROTOCOLS_STR, "http,https");
		slot->plain = true;
	}
	call_method(call, easy);
	rc = curl_multi_add_handle(http.multi, easy);
	if (rc != CURLM_OK)
		fatalx("%s: %s", __func__, curl_multi_strerror(rc));
	call->slot = slot;
	call->state = CALL_RUNNING;
	TAILQ_INSERT_TAIL(&http.running, call, entry);
	http.nrunning++;
}

static void
call_method(struct http_call *call, CURL *easy)
{
	if (call->method == HTTP_GET) {
		SETOPT(easy, CURLOPT_CUSTOMREQUEST, NULL);
		SETOPT(easy, CURLOPT_POSTFIELDS, NULL);
		SETOPT(easy, CURLOPT_HTTPGET, 1L);
		return;
	}
	SETOPT(easy, CURLOPT_POST, 1L);
	SETOPT(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
	if (call->method == HTTP_POST) {
		SETOPT(easy, CURLOPT_CUSTOMREQUEST, NULL);
		SETOPT(easy, CURLOPT_POSTFIELDS,
		    call->body != NULL ? call->body : "");
		return;
	}
	/* On a connection that dies libcurl would send a request again by
	 * itself, and nobody would know that it may have been carried out
	 * twice: of a write it gets the body only once. */
	SETOPT(easy, CURLOPT_CUSTOMREQUEST,
	    call->method == HTTP_PUT ? "PUT" : "PATCH");
	SETOPT(easy, CURLOPT_POSTFIELDS, NULL);
	SETOPT(easy, CURLOPT_READFUNCTION, body_once);
	SETOPT(easy, CURLOPT_READDATA, call);
}

/* libcurl: the next part of the body. */
static size_t
body_once(char *buffer, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	size_t left = call->body_len - call->body_read;

	n *= size;
	if (n > left)
		n = left;
	memcpy(buffer, call->body + call->body_read, n);
	call->body_read += n;
	return (n);
}

/* Tell the caller how the call ended, and forget it. */
static void
call_finish(struct http_call *call, CURLcode rc)
{
	struct http_reply reply;
	struct slot *slot;

	memset(&reply, 0, sizeof(reply));
	reply.body = "";
	if (call->headers != NULL)
		reply.bearer = call->headers->bearer;
	slot = call->slot;
	if (slot != NULL) {
		call_reply(call, rc, &reply);
		call_tally(call, &reply);
		if (call->resolve != NULL)
			call->resolve->loaded = true;
		call->slot = NULL; /* the caller reads the body yet */
		TAILQ_REMOVE(&http.running, call, entry);
		http.nrunning--;
		curl_multi_remove_handle(http.multi, slot->easy);
	} else {
		reply.transport = call->transport;
		strlcpy(reply.error, call->error, sizeof(reply.error));
	}
	reply.duration = (uint32_t)(http_now() - call->started);
	call->state = CALL_FINISHED;
	call->done(&reply, call->arg);
	if (slot != NULL)
		slot_release(slot);
	call_free(call);
}

/* Count the call, and look at the server's clock. */
static void
call_tally(const struct http_call *call, const struct http_reply *reply)
{
	int64_t took = http_now() - call->launched;
	struct timespec now;
	time_t date;

	tally_call(call->called, (uint32_t)call->method,
	    reply->answered ? (int32_t)reply->status : 0, took);
	if (!reply->answered || call->slot->date[0] == '\0')
		return;
	date = curl_getdate(call->slot->date, NULL);
	if (date == (time_t)-1 || clock_gettime(CLOCK_REALTIME, &now) == -1)
		return;
	/* The header leaves the fraction of its second out. */
	tally_clock(call->called,
	    ((int64_t)date - now.tv_sec) * 1000 + 500 - now.tv_nsec / 1000000 +
		took / 2);
}

static void
call_reply(struct http_call *call, CURLcode rc, struct http_reply *reply)
{
	struct slot *slot = call->slot;
	char *type;

	curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &reply->status);
	if (rc != CURLE_OK) {
		call_error(call, rc, reply);
		return;
	}
	reply->answered = reply->sent = true;
	call_version(slot);
	if (slot->body != NULL) {
		slot->body[slot->len] = '\0';
		reply->body = slot->body;
		reply->body_len = slot->len;
	}
	type = NULL;
	curl_easy_getinfo(slot->easy, CURLINFO_CONTENT_TYPE, &type);
	if (type != NULL)
		strlcpy(reply->content_type, type, sizeof(reply->content_type));
	strlcpy(reply->retry_after, slot->retry_after,
	    sizeof(reply->retry_after));
	strlcpy(reply->ratelimit, slot->ratelimit, sizeof(reply->ratelimit));
	reply->flavored = slot->flavored;
}

/* An answer tells how many requests may be under way, and on how many
 * connections. */
static void
call_version(const struct slot *slot)
{
	long version = CURL_HTTP_VERSION_NONE;
	bool multiplexed;

	curl_easy_getinfo(slot->easy, CURLINFO_HTTP_VERSION, &version);
	multiplexed = version == CURL_HTTP_VERSION_2_0;
	if (multiplexed == http.multiplexed)
		return;
	http.multiplexed = multiplexed;
	curl_multi_setopt(http.multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    multiplexed ? (long)HTTP2_CONNECTIONS : (long)HTTP_CONNECTIONS);
}

/* No whole answer came: say why, and whether the server may have acted. */
static void
call_error(struct http_call *call, CURLcode rc, struct http_reply *reply)
{
	char text[REASON_LEN];
	struct slot *slot = call->slot;
	long sent;

	sent = 0;
	curl_easy_getinfo(slot->easy, CURLINFO_REQUEST_SIZE, &sent);
	reply->sent = sent > 0 || reply->status != 0;
	reply->transport = transport_of(slot, rc, reply->sent, reply->status);
	reply->status = 0;
	call_detail(call, rc, reply->transport, text, sizeof(text));
	call_reason(call, reply->transport, text, reply->error,
	    sizeof(reply->error));
	if (rc == CURLE_OPERATION_TIMEDOUT)
		retire_frozen(call);
}

/* How far a call came that libcurl ended with rc. */
static enum transport
transport_of(const struct slot *slot, CURLcode rc, bool sent, long status)
{
	curl_off_t connected;

	connected = 0;
	curl_easy_getinfo(slot->easy, CURLINFO_CONNECT_TIME_T, &connected);
	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		if (sent)
			return (TRANSPORT_TIMEOUT);
		return (connected > 0 ? TRANSPORT_TLS : TRANSPORT_SLOW);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return (TRANSPORT_ADDRESS);
	case CURLE_COULDNT_CONNECT:
		return (TRANSPORT_CONNECT);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return (TRANSPORT_CERTIFICATE);
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_USE_SSL_FAILED:
		return (TRANSPORT_TLS);
	case CURLE_WRITE_ERROR:
		if (slot->header_too_big)
			return (TRANSPORT_HEADER);
		return (slot->body_too_big ? TRANSPORT_BODY : TRANSPORT_OTHER);
	case CURLE_OUT_OF_MEMORY: /* a header line beyond libcurl's own cap */
		return (status != 0 && slot->len == 0 ? TRANSPORT_HEADER :
							TRANSPORT_OTHER);
	case CURLE_PARTIAL_FILE:
		return (TRANSPORT_TRUNCATED);
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND: /* see call_method() */
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return (status != 0 ? TRANSPORT_TRUNCATED : TRANSPORT_LOST);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return (TRANSPORT_GARBLED);
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, or so it seems */
		return (sent ? TRANSPORT_GARBLED : TRANSPORT_REQUEST);
	case CURLE_URL_MALFORMAT:
		return (TRANSPORT_REQUEST);
	default:
		return (TRANSPORT_OTHER);
	}
}

/* What happened, in the words of whoever knows best. */
static void
call_detail(const struct http_call *call, CURLcode rc, enum transport transport,
    char *text, size_t len)
{
	const struct slot *slot = call->slot;
	const char *said;
	long number;

	number = 0;
	said = slot->errbuf[0] != '\0' ? slot->errbuf : curl_easy_strerror(rc);
	if (rc == CURLE_OPERATION_TIMEDOUT) {
		snprintf(text, len, "timed out after %.3g s%s",
		    (double)(http_now() - call->launched) / 1000,
		    slot->header_len > 0 ? ", in the middle of it" : "");
		return;
	}
	if (transport == TRANSPORT_CONNECT) {
		curl_easy_getinfo(slot->easy, CURLINFO_OS_ERRNO, &number);
		if (number != 0)
			said = strerror((int)number);
	} else if (transport == TRANSPORT_CERTIFICATE) {
		curl_easy_getinfo(slot->easy, CURLINFO_SSL_VERIFYRESULT,
		    &number);
		if (number != X509_V_OK)
			said = X509_verify_cert_error_string(number);
	} else if (transport == TRANSPORT_BODY || transport == TRANSPORT_HEADER)
		said = "";
	text_clean(said, text, len);
}

/* The host, how far the call came, and what happened then, if that is known. */
static void
call_reason(const struct http_call *call, enum transport transport,
    const char *detail, char *text, size_t len)
{
	char host[HOST_LEN];

	if (url_host(call->url, host, sizeof(host), NULL) == -1)
		host[0] = '\0';
	snprintf(text, len, "%s%s%s%s%.200s", host, host[0] != '\0' ? ": " : "",
	    outcome_text(transport),
	    detail != NULL && detail[0] != '\0' ? ": " : "",
	    detail != NULL ? detail : "");
}

/* Take a running call out of libcurl's hands before it has ended. */
static void
call_detach(struct http_call *call, bool cancelled)
{
	if (cancelled)
		retire_frozen(call);
	curl_multi_remove_handle(http.multi, call->slot->easy);
	TAILQ_REMOVE(&http.running, call, entry);
	http.nrunning--;
	slot_release(call->slot);
	call->slot = NULL;
}

/*
 * Give up the connection if it fell silent under this call.  libcurl would go
 * on using an HTTP/2 connection that does not answer any more; shut down, it
 * is found dead and another one made.  A connection on which other answers
 * arrived meanwhile is alive, and this request alone is slow.
 */
static void
retire_frozen(const struct http_call *call)
{
	struct sock *sock;
	curl_socket_t fd;
	int64_t silent;

	if (curl_easy_getinfo(call->slot->easy, CURLINFO_ACTIVESOCKET, &fd) !=
		CURLE_OK ||
	    fd == CURL_SOCKET_BAD)
		return;
	TAILQ_FOREACH(sock, &http.socks, entry) {
		if (sock->fd == fd)
			break;
	}
	if (sock == NULL)
		return;
	silent = http_now() - sock->heard;
	if (silent >= FROZEN_MIN && silent >= (http_now() - call->launched) / 2)
		shutdown(fd, SHUT_RDWR);
}

static void
call_free(struct http_call *call)
{
	if (call->headers != NULL)
		headers_release(call->headers);
	if (call->resolve != NULL)
		resolve_release(call->resolve);
	freezero(call->body, call->body_len);
	free(call->error);
	free(call->url);
	free(call);
}

/* The header lines for a request with this token and content type, either of
 * them NULL. */
static struct headers *
headers_get(const struct http_request *request)
{
	const char *bearer = request->bearer;
	const char *content_type = request->content_type;
	struct headers *set;

	if (content_type == NULL)
		content_type = "";
	TAILQ_FOREACH(set, &http.headers, entry) {
		if (strcmp(set->content_type, content_type) == 0 &&
		    set->metadata == request->metadata &&
		    (bearer == NULL) == (set->bearer == NULL) &&
		    (bearer == NULL || strcmp(bearer, set->bearer) == 0)) {
			set->refs++;
			return (set);
		}
	}
	set = calloc(1, sizeof(*set));
	if (set == NULL)
		fatal("%s", __func__);
	set->refs = 1;
	strlcpy(set->content_type, content_type, sizeof(set->content_type));
	if (bearer != NULL) {
		headers_append(set, "Authorization: Bearer ", bearer);
		set->bearer = strrchr(set->list->data, ' ') + 1;
	}
	set->metadata = request->metadata;
	if (set->metadata)
		headers_append(set, "Metadata-Flavor: Google", "");
	headers_append(set, "Accept: application/json", "");
	/* An empty one is not sent, nor is what libcurl would put there. */
	headers_append(set,
	    content_type[0] != '\0' ? "Content-Type: " : "Content-Type:",
	    set->content_type);
	headers_append(set, "Expect:", "");
	TAILQ_INSERT_HEAD(&http.headers, set, entry);
	return (set);
}

static void
headers_append(struct headers *set, const char *name, const char *value)
{
	struct curl_slist *list;
	char *line;
	int len;

	len = asprintf(&line, "%s%s", name, value);
	if (len == -1)
		fatal("%s", __func__);
	list = curl_slist_append(set->list, line);
	if (list == NULL)
		fatal("%s", __func__);
	set->list = list;
	freezero(line, (size_t)len);
}

static void
headers_release(struct headers *set)
{
	struct curl_slist *line;

	if (--set->refs > 0)
		return;
	TAILQ_REMOVE(&http.headers, set, entry);
	for (line = set->list; line != NULL; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(set->list);
	free(set);
}

/* Finish what libcurl has finished; there may be room for others then. */
void
http_finished(void)
{
	struct http_call *call;
	CURLMsg *msg;
	CURLcode rc;
	bool any;
	int left;

	any = false;
	while ((msg = curl_multi_info_read(http.multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		rc = msg->data.result;
		call = NULL;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		call_finish(call, rc);
		any = true;
	}
	if (any && lines_waiting())
		event_active(http.pump, EV_TIMEOUT, 0);
}

/* Have a timer go off in so many milliseconds. */
void
http_schedule(struct event *ev, long ms)
{
	struct timeval tv;

	tv.tv_sec = ms / 1000;
	tv.tv_usec = (ms % 1000) * 1000;
	if (event_add(ev, &tv) == -1)
		fatal("%s", __func__);
}

/* How many requests may be under way, writes aside. */
size_t
http_window(void)
{
	return (http.multiplexed ? HTTP2_WINDOW : HTTP_WINDOW);
}

/* Milliseconds of the clock that is never set. */
int64_t
http_now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		fatal("clock_gettime");
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}
