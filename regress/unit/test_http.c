/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <cmocka.h>

/*
 * The HTTP client without a network: libcurl's part, the timers and the clock
 * are the ones below.
 */
#define CURL_DISABLE_TYPECHECK
#define clock_gettime fake_clock_gettime
static int fake_clock_gettime(clockid_t, struct timespec *);
#include "../../common/http.c"
#include "../../common/http_curl.c"
#undef clock_gettime

#define HANDLES 4096

/* Time and timers. */

struct event {
	event_callback_fn cb;
	void *arg;
	bool active;
	bool pending;
	int64_t due;
};

static struct event *events[64];
static size_t nevents;
static int64_t now;

static int
fake_clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = now / 1000;
	ts->tv_nsec = now % 1000 * 1000000;
	return (0);
}

struct event *
event_new(struct event_base *base, evutil_socket_t fd, short what,
    event_callback_fn cb, void *arg)
{
	struct event *ev;

	(void)base;
	(void)fd;
	(void)what;
	ev = calloc(1, sizeof(*ev));
	assert_non_null(ev);
	assert_true(nevents < 64);
	events[nevents++] = ev;
	ev->cb = cb;
	ev->arg = arg;
	return (ev);
}

int
event_add(struct event *ev, const struct timeval *tv)
{
	ev->pending = true;
	ev->due = now + tv->tv_sec * 1000 + tv->tv_usec / 1000;
	return (0);
}

int
event_del(struct event *ev)
{
	ev->pending = ev->active = false;
	return (0);
}

void
event_active(struct event *ev, int what, short n)
{
	(void)what;
	(void)n;
	ev->active = true;
}

int
event_pending(const struct event *ev, short what, struct timeval *tv)
{
	(void)what;
	(void)tv;
	return (ev->pending);
}

void
event_free(struct event *ev)
{
	event_del(ev);
}

/* Of what is due the first; as in libevent, a timer that runs is spent. */
static bool
run_one(int64_t until)
{
	struct event *first;
	size_t i;

	first = NULL;
	for (i = 0; i < nevents; i++) {
		if (events[i]->active) {
			first = events[i];
			break;
		}
		if (events[i]->pending && events[i]->due <= until &&
		    (first == NULL || events[i]->due < first->due))
			first = events[i];
	}
	if (first == NULL)
		return (false);
	if (!first->active && first->due > now)
		now = first->due;
	first->active = first->pending = false;
	first->cb(-1, EV_TIMEOUT, first->arg);
	return (true);
}

static void
pass(int64_t ms)
{
	int64_t until = now + ms;
	int n;

	for (n = 0; run_one(until); n++)
		assert_true(n < 100000);
	now = until;
}

/* libcurl. */

struct fake {
	struct http_call *call; /* CURLOPT_PRIVATE */
	struct slot *slot;	/* CURLOPT_WRITEDATA */
	char *errbuf;
	long timeout;
	bool running;
	int64_t launched;
	/* what is told of it */
	CURLcode rc;
	bool over;
	long status;
	long request_size;
	curl_off_t connect_time;
	long os_errno;
	long verify;
	long version;
	int pauses; /* and as many times it went on */
	bool paused;
	const char *type;
};

static struct fake *handles[HANDLES];
static size_t nhandles;

static struct fake *
fake(CURL *easy)
{
	return (easy);
}

CURL *
curl_easy_init(void)
{
	struct fake *f;

	f = calloc(1, sizeof(*f));
	assert_non_null(f);
	assert_true(nhandles < HANDLES);
	handles[nhandles++] = f;
	return (f);
}

void
curl_easy_cleanup(CURL *easy)
{
	size_t i;

	for (i = 0; handles[i] != easy; i++)
		continue;
	handles[i] = handles[--nhandles];
	free(easy);
}

CURLcode(curl_easy_setopt)(CURL *easy, CURLoption option, ...)
{
	va_list ap;

	va_start(ap, option);
	if (option == CURLOPT_PRIVATE)
		fake(easy)->call = va_arg(ap, struct http_call *);
	else if (option == CURLOPT_WRITEDATA)
		fake(easy)->slot = va_arg(ap, struct slot *);
	else if (option == CURLOPT_ERRORBUFFER)
		fake(easy)->errbuf = va_arg(ap, char *);
	else if (option == CURLOPT_TIMEOUT_MS)
		fake(easy)->timeout = va_arg(ap, long);
	va_end(ap);
	return (CURLE_OK);
}

CURLcode(curl_easy_getinfo)(CURL *easy, CURLINFO info, ...)
{
	const struct fake *f = easy;
	va_list ap;
	void *p;

	va_start(ap, info);
	p = va_arg(ap, void *);
	va_end(ap);
	if (info == CURLINFO_PRIVATE)
		*(struct http_call **)p = f->call;
	else if (info == CURLINFO_RESPONSE_CODE)
		*(long *)p = f->status;
	else if (info == CURLINFO_REQUEST_SIZE)
		*(long *)p = f->request_size;
	else if (info == CURLINFO_CONNECT_TIME_T)
		*(curl_off_t *)p = f->connect_time;
	else if (info == CURLINFO_OS_ERRNO)
		*(long *)p = f->os_errno;
	else if (info == CURLINFO_SSL_VERIFYRESULT)
		*(long *)p = f->verify;
	else if (info == CURLINFO_HTTP_VERSION)
		*(long *)p = f->version;
	else if (info == CURLINFO_CONTENT_TYPE)
		*(const char **)p = f->type;
	else if (info == CURLINFO_ACTIVESOCKET)
		*(curl_socket_t *)p = CURL_SOCKET_BAD;
	else
		fail();
	return (CURLE_OK);
}

CURLcode
curl_easy_pause(CURL *easy, int what)
{
	struct fake *f = fake(easy);

	assert_true(f->running);
	assert_int_equal(f->paused, what == CURLPAUSE_CONT);
	f->paused = !f->paused;
	f->pauses += f->paused;
	return (CURLE_OK);
}

CURLM *
curl_multi_init(void)
{
	return (handles);
}

CURLMcode(curl_multi_setopt)(CURLM *multi, CURLMoption option, ...)
{
	(void)multi;
	(void)option;
	return (CURLM_OK);
}

CURLMcode
curl_multi_add_handle(CURLM *multi, CURL *easy)
{
	(void)multi;
	assert_false(fake(easy)->running);
	fake(easy)->running = true;
	fake(easy)->over = false;
	fake(easy)->launched = now;
	return (CURLM_OK);
}

CURLMcode
curl_multi_remove_handle(CURLM *multi, CURL *easy)
{
	(void)multi;
	assert_true(fake(easy)->running);
	fake(easy)->running = false;
	return (CURLM_OK);
}

CURLMcode
curl_multi_socket_action(CURLM *multi, curl_socket_t fd, int what, int *running)
{
	(void)multi;
	(void)fd;
	(void)what;
	*running = 0;
	return (CURLM_OK);
}

CURLMcode
curl_multi_assign(CURLM *multi, curl_socket_t fd, void *p)
{
	(void)multi;
	(void)fd;
	(void)p;
	return (CURLM_OK);
}

CURLMsg *
curl_multi_info_read(CURLM *multi, int *left)
{
	static CURLMsg msg;
	size_t i;

	(void)multi;
	*left = 0;
	for (i = 0; i < nhandles; i++) {
		if (!handles[i]->running || !handles[i]->over)
			continue;
		handles[i]->over = false;
		msg.msg = CURLMSG_DONE;
		msg.easy_handle = handles[i];
		msg.data.result = handles[i]->rc;
		return (&msg);
	}
	return (NULL);
}

/* Calls. */

struct told {
	struct http_call *call;
	int times;
	int64_t at;
	struct http_reply reply;
};

static void
prepare(void)
{
	static bool done;

	if (!done)
		http_prepare(NULL, NULL, 0);
	done = true;
}

static void
told_cb(const struct http_reply *reply, void *arg)
{
	struct told *told = arg;

	told->times++;
	told->at = now;
	told->reply = *reply;
	told->call = NULL;
}

static void
start_in(struct told *told, struct bucket *bucket, uint32_t timeout, bool write,
    struct http_line *line)
{
	struct http_request request;

	memset(&request, 0, sizeof(request));
	request.url = "https://192.0.2.1/x";
	request.connect_timeout = 1000;
	request.timeout = timeout;
	request.write = write;
	request.bucket = bucket;
	request.line = line;
	memset(told, 0, sizeof(*told));
	told->call = http_start(&request, told_cb, told);
	assert_int_equal(told->times, 0);
}

static void
start(struct told *told, struct bucket *bucket, uint32_t timeout, bool write)
{
	start_in(told, bucket, timeout, write, NULL);
}

/* The handle of a call that is under way, or NULL. */
static struct fake *
under_way(const struct told *told)
{
	size_t i;

	for (i = 0; i < nhandles; i++) {
		if (handles[i]->running && handles[i]->call == told->call)
			return (handles[i]);
	}
	return (NULL);
}

static bool
is_there(const struct fake *f)
{
	size_t i;

	for (i = 0; i < nhandles; i++)
		if (handles[i] == f)
			return (true);
	return (false);
}

static void
finish(struct told *told, CURLcode rc)
{
	struct fake *f = under_way(told);

	assert_non_null(f);
	f->rc = rc;
	f->over = true;
	http_finished();
	assert_int_equal(told->times, 1);
	if (!is_there(f))
		return; /* more are idle than are kept */
	f->status = f->request_size = f->os_errno = f->verify = 0;
	f->connect_time = 0;
	f->type = NULL;
}

static void
answer(struct told *told)
{
	struct fake *f = under_way(told);

	assert_non_null(f);
	f->status = 200;
	finish(told, CURLE_OK);
	assert_true(told->reply.answered);
}

/* One whose bucket is empty waits; others do not wait for it. */
static void
limited(void **state)
{
	struct bucket bucket = { 0 }, other = { 0 };
	struct told told[4], free_told, other_told;
	int64_t begun = now;
	int i;

	(void)state;
	prepare();
	/* One in 625 ms; those that look for late ones do not come then. */
	bucket_set(&bucket, 1600, 2, now);
	bucket_set(&other, 1000, 1, now);
	for (i = 0; i < 4; i++)
		start(&told[i], &bucket, 10000, false);
	start(&free_told, NULL, 10000, false);
	start(&other_told, &other, 10000, false);
	pass(0);
	assert_non_null(under_way(&told[0]));
	assert_non_null(under_way(&told[1]));
	assert_null(under_way(&told[2]));
	assert_non_null(under_way(&free_told));
	assert_non_null(under_way(&other_told));
	/* those that end make no room for it */
	answer(&told[0]);
	answer(&free_told);
	pass(624);
	assert_null(under_way(&told[2]));
	pass(1);
	assert_int_equal(under_way(&told[2])->launched, begun + 625);
	assert_int_equal(under_way(&told[2])->timeout, 9375);
	assert_null(under_way(&told[3]));
	pass(1000);
	assert_int_equal(under_way(&told[3])->launched, begun + 1250);
	for (i = 1; i < 4; i++)
		answer(&told[i]);
	answer(&other_told);
}

/* What waits under the limit waits in the time that it has. */
static void
limited_too_long(void **state)
{
	struct bucket bucket = { 0 };
	struct told first, second, third;
	int64_t begun = now;

	(void)state;
	prepare();
	bucket_set(&bucket, 100, 1, now);
	start(&first, &bucket, 5000, false);
	start(&second, &bucket, 1500, false);
	start(&third, &bucket, 20000, false);
	pass(1499);
	assert_int_equal(second.times, 0);
	pass(LATE_CHECK);
	assert_int_equal(second.times, 1);
	assert_false(second.reply.answered);
	assert_false(second.reply.sent);
	assert_int_equal(second.reply.transport, TRANSPORT_LIMIT);
	assert_string_equal(second.reply.error,
	    "192.0.2.1: timed out waiting for its turn under the limit of "
	    "requests");
	/* and takes nothing with it */
	pass(10000);
	assert_int_equal(under_way(&third)->launched, begun + 10000);
	answer(&first);
	answer(&third);
}

/* A request that has to wait can be given up, and a write goes first. */
static void
limited_writes(void **state)
{
	struct bucket bucket = { 0 };
	struct told first, gone, read, write;

	(void)state;
	prepare();
	bucket_set(&bucket, 1000, 1, now);
	start(&first, &bucket, 9000, false);
	start(&gone, &bucket, 9000, false);
	start(&read, &bucket, 9000, false);
	pass(10);
	start(&write, &bucket, 9000, true);
	pass(10);
	http_cancel(gone.call);
	pass(980);
	assert_non_null(under_way(&write));
	assert_null(under_way(&read));
	pass(1000);
	assert_non_null(under_way(&read));
	assert_int_equal(gone.times, 0);
	answer(&first);
	answer(&read);
	answer(&write);
}

/* Under the limit everybody has a turn, what is urgent before what is not, and
 * writes first: one that wants to know much does not keep others from it. */
static void
turns(void **state)
{
	/* 13 is the first of them; 15 comes from nobody's line */
	static const int order[] = { 11, 12, 14, 15, 0, 5, 1, 6, 2, 7, 3, 4, 8,
		9, 10 };
	struct http_line busy, modest, urgent, other, unused;
	struct bucket bucket = { 0 };
	struct told told[16], gone;
	size_t i;

	(void)state;
	prepare();
	http_line_init(&busy, false);
	http_line_init(&modest, false);
	http_line_init(&urgent, true);
	http_line_init(&other, true);
	http_line_init(&unused, false);
	bucket_set(&bucket, 1000, 1, now);
	start(&told[15], &bucket, 60000, false);
	start_in(&gone, &bucket, 60000, false, &unused);
	for (i = 0; i < 5; i++)
		start_in(&told[i], &bucket, 60000, false, &busy);
	for (; i < 8; i++)
		start_in(&told[i], &bucket, 60000, false, &modest);
	for (; i < 11; i++)
		start_in(&told[i], &bucket, 60000, false, &busy);
	start_in(&told[11], &bucket, 60000, false, &urgent);
	start_in(&told[12], &bucket, 60000, false, &other);
	start_in(&told[13], &bucket, 60000, true, &modest);
	start_in(&told[14], &bucket, 60000, false, &urgent);
	pass(10);
	http_cancel(gone.call);
	assert_non_null(under_way(&told[13]));
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		assert_null(under_way(&told[order[i]]));
		pass(1000);
		assert_non_null(under_way(&told[order[i]]));
	}
	for (i = 0; i < 16; i++)
		answer(&told[i]);
}

/* The window is full of calls that hang: there is room for writes yet, and who
 * waits is told in time. */
static void
window(void **state)
{
	struct told *told, late, write;
	int i;

	(void)state;
	prepare();
	told = calloc(HTTP_WINDOW, sizeof(*told));
	assert_non_null(told);
	for (i = 0; i < HTTP_WINDOW; i++)
		start(&told[i], NULL, 10000, false);
	start(&late, NULL, 500, false);
	pass(0);
	start(&write, NULL, 500, true);
	pass(0);
	assert_non_null(under_way(&told[HTTP_WINDOW - 1]));
	assert_null(under_way(&late));
	assert_non_null(under_way(&write));
	answer(&write);
	pass(499);
	assert_int_equal(late.times, 0);
	pass(LATE_CHECK);
	assert_int_equal(late.times, 1);
	assert_int_equal(late.reply.transport, TRANSPORT_QUEUE);
	assert_string_equal(late.reply.error,
	    "192.0.2.1: timed out behind other requests");
	for (i = 0; i < HTTP_WINDOW; i++)
		answer(&told[i]);
	free(told);
}

/* Over HTTP/2 there is more room: the last answer tells. */
static void
window_of_version(void **state)
{
	static const long versions[] = { CURL_HTTP_VERSION_2_0,
		CURL_HTTP_VERSION_1_1 };
	static const size_t windows[] = { HTTP2_WINDOW, HTTP_WINDOW };
	struct told first, *told;
	size_t i, n;

	(void)state;
	prepare();
	told = calloc(HTTP2_WINDOW + 1, sizeof(*told));
	assert_non_null(told);
	for (n = 0; n < 2; n++) {
		start(&first, NULL, 10000, false);
		pass(0);
		under_way(&first)->version = versions[n];
		answer(&first);
		assert_int_equal(http_window(), windows[n]);
		for (i = 0; i <= windows[n]; i++)
			start(&told[i], NULL, 10000, false);
		pass(0);
		assert_non_null(under_way(&told[windows[n] - 1]));
		assert_null(under_way(&told[windows[n]]));
		for (i = 0; i <= windows[n]; i++) {
			under_way(&told[i])->version = versions[n];
			answer(&told[i]);
			pass(0);
		}
	}
	free(told);
}

/* An answer of which nothing more comes is moved on, as often as it stops; one
 * that has not begun is waited for. */
static void
rest(void **state)
{
	char line[] = "Date: Tue, 15 Nov 1994 08:12:31 GMT\r\n";
	struct told told, other;
	struct fake *f, *o;

	(void)state;
	prepare();
	start(&told, NULL, 10000, false);
	start(&other, NULL, 10000, false);
	pass(0);
	f = under_way(&told);
	o = under_way(&other);
	f->pauses = o->pauses = 0;
	pass(1000);
	assert_int_equal(f->pauses, 0);
	header_cb(line, 1, strlen(line), f->slot);
	pass(REST_CHECK - 1);
	assert_int_equal(f->pauses, 0);
	pass(1);
	assert_int_equal(f->pauses, 1);
	assert_false(f->paused);
	pass(REST_CHECK);
	assert_int_equal(f->pauses, 2);
	body_cb(line, 1, strlen(line), f->slot);
	pass(REST_CHECK);
	assert_true(f->pauses <= 3);
	answer(&told);
	pass(1000);
	assert_int_equal(o->pauses, 0);
	answer(&other);
}

/* What libcurl says, and where the call ended by that. */
static void
endings(void **state)
{
	static const struct {
		CURLcode rc;
		long sent;
		curl_off_t connected;
		long status;
		long os_errno;
		long verify;
		const char *said;
		enum transport transport;
		bool may_be_there;
		const char *error;
	} cases[] = {
		{ CURLE_COULDNT_RESOLVE_HOST, 0, 0, 0, 0, 0, "no such name",
		    TRANSPORT_ADDRESS, false, "no address: no such name" },
		{ CURLE_COULDNT_CONNECT, 0, 0, 0, ECONNREFUSED, 0, "x",
		    TRANSPORT_CONNECT, false,
		    "connecting: Connection refused" },
		{ CURLE_COULDNT_CONNECT, 0, 0, 0, 0, 0, "no route\n",
		    TRANSPORT_CONNECT, false, "connecting: no route\\x0a" },
		{ CURLE_OPERATION_TIMEDOUT, 0, 0, 0, 0, 0, "x", TRANSPORT_SLOW,
		    false, "connecting: timed out after 5 s" },
		{ CURLE_OPERATION_TIMEDOUT, 0, 2, 0, 0, 0, "x", TRANSPORT_TLS,
		    false, "TLS: timed out after 5 s" },
		{ CURLE_OPERATION_TIMEDOUT, 9, 2, 0, 0, 0, "x",
		    TRANSPORT_TIMEOUT, true,
		    "waiting for the answer: timed out after 5 s" },
		{ CURLE_SSL_CONNECT_ERROR, 0, 2, 0, 0, 0, "alert",
		    TRANSPORT_TLS, false, "TLS: alert" },
		{ CURLE_PEER_FAILED_VERIFICATION, 0, 2, 0, 0,
		    X509_V_ERR_CERT_HAS_EXPIRED, "x", TRANSPORT_CERTIFICATE,
		    false, "TLS: certificate: certificate has expired" },
		{ CURLE_PEER_FAILED_VERIFICATION, 0, 2, 0, 0, 0, "wrong name",
		    TRANSPORT_CERTIFICATE, false,
		    "TLS: certificate: wrong name" },
		{ CURLE_RECV_ERROR, 9, 2, 0, ECONNRESET, 0, "reset",
		    TRANSPORT_LOST, true, "the connection was lost: reset" },
		{ CURLE_SEND_ERROR, 0, 2, 0, 0, 0, "reset", TRANSPORT_LOST,
		    false, "the connection was lost: reset" },
		{ CURLE_GOT_NOTHING, 9, 2, 0, 0, 0, "", TRANSPORT_LOST, true,
		    "the connection was lost: Server returned nothing (no "
		    "headers, no data)" },
		{ CURLE_HTTP2_STREAM, 9, 2, 0, 0, 0, "stream", TRANSPORT_LOST,
		    true, "the connection was lost: stream" },
		{ CURLE_RECV_ERROR, 9, 2, 200, 0, 0, "reset",
		    TRANSPORT_TRUNCATED, true, "the answer is cut off: reset" },
		{ CURLE_PARTIAL_FILE, 9, 2, 200, 0, 0, "9 missing",
		    TRANSPORT_TRUNCATED, true,
		    "the answer is cut off: 9 missing" },
		{ CURLE_UNSUPPORTED_PROTOCOL, 9, 2, 0, 0, 0, "HTTP/0.9",
		    TRANSPORT_GARBLED, true,
		    "the answer is not HTTP: "
		    "HTTP/0.9" },
		{ CURLE_UNSUPPORTED_PROTOCOL, 0, 0, 0, 0, 0, "x",
		    TRANSPORT_REQUEST, false, "the request cannot be sent: x" },
		{ CURLE_URL_MALFORMAT, 0, 0, 0, 0, 0, "x", TRANSPORT_REQUEST,
		    false, "the request cannot be sent: x" },
		{ CURLE_OUT_OF_MEMORY, 9, 2, 200, 0, 0, "x", TRANSPORT_HEADER,
		    true, "the header of the answer is larger than 64 KiB" },
		{ CURLE_OUT_OF_MEMORY, 9, 2, 0, 0, 0, "x", TRANSPORT_OTHER,
		    true, "no answer: x" },
	};
	char expected[REASON_LEN];
	struct told told;
	struct fake *f;
	size_t i;

	(void)state;
	prepare();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start(&told, NULL, 9000, false);
		pass(5004);
		f = under_way(&told);
		f->launched = now;
		told.call->launched = now - 5004;
		f->request_size = cases[i].sent;
		f->connect_time = cases[i].connected;
		f->status = cases[i].status;
		f->os_errno = cases[i].os_errno;
		f->verify = cases[i].verify;
		strlcpy(f->errbuf, cases[i].said, CURL_ERROR_SIZE);
		finish(&told, cases[i].rc);
		assert_false(told.reply.answered);
		assert_int_equal(told.reply.transport, cases[i].transport);
		assert_int_equal(told.reply.sent, cases[i].may_be_there);
		assert_int_equal(told.reply.status, 0);
		snprintf(expected, sizeof(expected), "192.0.2.1: %s",
		    cases[i].error);
		assert_string_equal(told.reply.error, expected);
	}
}

/* What is not even tried. */
static void
not_sent(void **state)
{
	static const struct {
		const char *url;
		const char *bearer;
		enum transport transport;
		const char *error;
	} cases[] = {
		{ "http://h.test/", NULL, TRANSPORT_REQUEST,
		    "h.test: the request cannot be sent: the URL is not https" },
		{ "https:/h.test/", NULL, TRANSPORT_REQUEST,
		    "the request cannot be sent: not a URL that can be called" },
		{ "https://h.test/", "a\nb", TRANSPORT_REQUEST,
		    "h.test: the request cannot be sent: the token has a "
		    "character that it may not have" },
		{ "https://h.test/", "a", TRANSPORT_ADDRESS,
		    "h.test: no address: it has not been looked up yet" },
	};
	struct http_request request;
	struct told told;
	size_t i;

	(void)state;
	prepare();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&request, 0, sizeof(request));
		memset(&told, 0, sizeof(told));
		request.url = cases[i].url;
		request.bearer = cases[i].bearer;
		request.timeout = 1000;
		http_start(&request, told_cb, &told);
		pass(0);
		assert_int_equal(told.times, 1);
		assert_false(told.reply.answered);
		assert_false(told.reply.sent);
		assert_int_equal(told.reply.transport, cases[i].transport);
		assert_string_equal(told.reply.error, cases[i].error);
	}
}

/* An answer may be so large, and no larger. */
static void
caps(void **state)
{
	static char part[65536];
	struct told told;
	struct slot *slot;
	size_t i, n;

	(void)state;
	prepare();
	memset(part, 'x', sizeof(part));
	start(&told, NULL, 1000, false);
	pass(0);
	slot = under_way(&told)->slot;
	for (i = 0; i < HTTP_BODY_MAX / sizeof(part); i++)
		assert_int_equal(body_cb(part, 1, sizeof(part), slot),
		    sizeof(part));
	answer(&told);
	assert_int_equal(told.reply.body_len, HTTP_BODY_MAX);

	start(&told, NULL, 1000, false);
	pass(0);
	slot = under_way(&told)->slot;
	for (i = 0; i < HTTP_BODY_MAX / sizeof(part); i++)
		body_cb(part, 1, sizeof(part), slot);
	assert_int_equal(body_cb(part, 1, 1, slot), 0);
	under_way(&told)->status = 200;
	finish(&told, CURLE_WRITE_ERROR);
	assert_int_equal(told.reply.transport, TRANSPORT_BODY);
	assert_true(told.reply.sent);
	assert_string_equal(told.reply.error,
	    "192.0.2.1: the answer is larger than 16 MiB");

	for (n = 0; n < 2; n++) {
		start(&told, NULL, 1000, false);
		pass(0);
		slot = under_way(&told)->slot;
		for (i = 0; i < HTTP_HEADER_MAX / 1024; i++)
			assert_int_equal(header_cb(part, 1, 1024, slot), 1024);
		if (n == 0) {
			answer(&told);
			continue;
		}
		assert_int_equal(header_cb(part, 1, 1, slot), 0);
		under_way(&told)->status = 200;
		finish(&told, CURLE_WRITE_ERROR);
		assert_int_equal(told.reply.transport, TRANSPORT_HEADER);
		assert_string_equal(told.reply.error,
		    "192.0.2.1: the header of the answer is larger than "
		    "64 KiB");
	}
}

/* Nothing of an answer is left for the next one on the same handle. */
static void
headers_kept(void **state)
{
	static char line[] = "Retry-After:  120\r\n",
		    other[] = "retry-afters: 1\r\n";
	struct told told;
	struct fake *f;

	(void)state;
	prepare();
	start(&told, NULL, 1000, false);
	pass(0);
	f = under_way(&told);
	header_cb(line, 1, strlen(line), f->slot);
	header_cb(other, 1, strlen(other), f->slot);
	f->type = "text/html";
	answer(&told);
	assert_string_equal(told.reply.retry_after, "120");
	assert_string_equal(told.reply.content_type, "text/html");
	start(&told, NULL, 1000, false);
	pass(0);
	assert_ptr_equal(under_way(&told), f);
	answer(&told);
	assert_string_equal(told.reply.retry_after, "");
	assert_string_equal(told.reply.content_type, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limited),
		cmocka_unit_test(limited_too_long),
		cmocka_unit_test(limited_writes),
		cmocka_unit_test(turns),
		cmocka_unit_test(window),
		cmocka_unit_test(window_of_version),
		cmocka_unit_test(rest),
		cmocka_unit_test(endings),
		cmocka_unit_test(not_sent),
		cmocka_unit_test(caps),
		cmocka_unit_test(headers_kept),
	};

	log_init("test", LOG_CRIT, NULL);
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
