/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

/*
 * The floor: makes given calls as fast as libcurl can on this machine, each
 * as soon as the one that it depends on has been answered, and says how long
 * that took.  It looks at no answer but its status, allocates nothing on the
 * way and is not confined.
 *
 *	client -c ca [-1] [-g ms] [-m connections] [-n rounds] [-t tokens]
 *	    [-w rounds] [-W window] plan
 *
 * The plan has a line for each call, of words between tabs: the number of the
 * line that has to be answered first, or -1; the number of the token, a line
 * of the file of tokens, or -1; the method; the URL; and the body, if any.
 * All hosts are on the loopback.  -w rounds are made first and not counted,
 * -g is a pause between rounds, -1 is HTTP/1.1.
 */

#define EVENTS	   64
#define STALLED	   300 /* milliseconds of silence */
#define STALLS_MAX 60

struct call {
	long parent;
	long token;
	const char *method;
	const char *url;
	const char *body;
	CURL *easy;
	bool running;
	size_t *child; /* those that depend on it */
	size_t nchildren;
};

static struct {
	struct call *call;
	size_t count;
	size_t *queue; /* may be sent, and wait for the window */
	size_t head;
	size_t tail;
	size_t running;
	size_t window;
	size_t left;
	char **token;
	size_t ntokens;
	CURLM *multi;
	int epoll;
	int timer;
	curl_off_t bytes;
	unsigned long failed;
	unsigned long connections;
	unsigned long stalls;
	long version;
	bool http1;
	const char *ca;
	struct curl_slist *resolve;
} client;

static void __attribute__((__noreturn__)) usage(void)
{
	fprintf(stderr,
	    "usage: client -c ca [-1] [-g ms] [-m connections] "
	    "[-n rounds] [-t tokens] [-w rounds] [-W window] plan\n");
	exit(2);
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

static int64_t
cpu_us(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (((int64_t)ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 +
	    ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

static void *
xrealloc(void *old, size_t n, size_t size)
{
	void *p = reallocarray(old, n, size);

	if (p == NULL)
		err(1, "memory");
	return (p);
}

static long
number(const char *text, long min, long max)
{
	const char *error;
	long long n;

	n = strtonum(text, min, max, &error);
	if (error != NULL)
		errx(1, "%s: %s", text, error);
	return ((long)n);
}

/* The lines of a file, which is kept. */
static char **
read_lines(const char *path, size_t *count)
{
	char **lines = NULL, *line = NULL;
	size_t size = 0;
	ssize_t len;
	FILE *fp;

	*count = 0;
	fp = fopen(path, "r");
	if (fp == NULL)
		err(1, "%s", path);
	while ((len = getline(&line, &size, fp)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		lines = xrealloc(lines, *count + 1, sizeof(*lines));
		lines[(*count)++] = line;
		line = NULL;
		size = 0;
	}
	fclose(fp);
	return (lines);
}

static void
read_plan(const char *path)
{
	struct call *call, *parent;
	char **lines, *p;
	size_t i;

	lines = read_lines(path, &client.count);
	if (client.count == 0)
		errx(1, "%s: no calls", path);
	client.call = xrealloc(NULL, client.count, sizeof(*client.call));
	client.queue = xrealloc(NULL, client.count, sizeof(*client.queue));
	memset(client.call, 0, client.count * sizeof(*client.call));
	for (i = 0; i < client.count; i++) {
		call = &client.call[i];
		p = lines[i];
		call->parent = number(strsep(&p, "\t"), -1, (long)i - 1);
		call->token = number(p != NULL ? strsep(&p, "\t") : "", -1,
		    (long)client.ntokens - 1);
		call->method = strsep(&p, "\t");
		call->url = strsep(&p, "\t");
		call->body = p;
		if (call->url == NULL)
			errx(1, "%s:%zu: a word is missing", path, i + 1);
		if (call->parent == -1)
			continue;
		parent = &client.call[call->parent];
		parent->child = xrealloc(parent->child, parent->nchildren + 1,
		    sizeof(*parent->child));
		parent->child[parent->nchildren++] = i;
	}
}

/* Every name is the loopback's. */
static void
add_host(const char *url)
{
	struct curl_slist *one;
	char host[256], entry[512];
	unsigned int port;

	if (sscanf(url, "https://%255[^:/]:%u", host, &port) != 2)
		errx(1, "%s: not a URL with a port", url);
	snprintf(entry, sizeof(entry), "%s:%u:127.0.0.1", host, port);
	for (one = client.resolve; one != NULL; one = one->next)
		if (strcmp(one->data, entry) == 0)
			return;
	client.resolve = curl_slist_append(client.resolve, entry);
}

static size_t
body_cb(char *data, size_t one, size_t n, void *arg)
{
	(void)data;
	(void)one;
	(void)arg;
	client.bytes += (curl_off_t)n;
	return (n);
}

static int
socket_cb(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct epoll_event ev = { .data.fd = fd };

	(void)easy;
	(void)arg;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(client.epoll, EPOLL_CTL_DEL, fd, NULL);
		return (0);
	}
	if (what & CURL_POLL_IN)
		ev.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		ev.events |= EPOLLOUT;
	if (epoll_ctl(client.epoll,
		known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) == -1)
		err(1, "epoll_ctl");
	curl_multi_assign(client.multi, fd, &client);
	return (0);
}

static int
timer_cb(CURLM *multi, long ms, void *arg)
{
	struct itimerspec its = { .it_value.tv_nsec = 0 };

	(void)multi;
	(void)arg;
	if (ms == 0)
		its.it_value.tv_nsec = 1;
	else if (ms > 0) {
		its.it_value.tv_sec = ms / 1000;
		its.it_value.tv_nsec = ms % 1000 * 1000000;
	}
	if (timerfd_settime(client.timer, 0, &its, NULL) == -1)
		err(1, "timerfd_settime");
	return (0);
}

static void
prepare_multi(long connections)
{
	struct epoll_event ev = { .events = EPOLLIN };

	client.epoll = epoll_create1(EPOLL_CLOEXEC);
	client.timer = timerfd_create(CLOCK_MONOTONIC,
	    TFD_CLOEXEC | TFD_NONBLOCK);
	ev.data.fd = client.timer;
	if (client.epoll == -1 || client.timer == -1 ||
	    epoll_ctl(client.epoll, EPOLL_CTL_ADD, client.timer, &ev) == -1)
		err(1, "epoll");
	client.multi = curl_multi_init();
	curl_multi_setopt(client.multi, CURLMOPT_SOCKETFUNCTION, socket_cb);
	curl_multi_setopt(client.multi, CURLMOPT_TIMERFUNCTION, timer_cb);
	curl_multi_setopt(client.multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    connections);
	curl_multi_setopt(client.multi, CURLMOPT_MAXCONNECTS, 4 * connections);
}

/* One handle a call, made once: a round only adds and removes it. */
static void
prepare_call(struct call *call)
{
	struct curl_slist *headers = NULL;
	char line[2048];
	CURL *easy;

	add_host(call->url);
	easy = call->easy = curl_easy_init();
	curl_easy_setopt(easy, CURLOPT_URL, call->url);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_CAINFO, client.ca);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
	    client.http1 ? (long)CURL_HTTP_VERSION_1_1 :
			   (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 512 * 1024L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_cb);
	if (call->token != -1) {
		snprintf(line, sizeof(line), "Authorization: Bearer %s",
		    client.token[call->token]);
		headers = curl_slist_append(headers, line);
	}
	if (call->body != NULL) {
		headers = curl_slist_append(headers,
		    "Content-Type: application/json");
		headers = curl_slist_append(headers, "Expect:");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
}

static void
prepare_calls(void)
{
	size_t i;

	for (i = 0; i < client.count; i++)
		prepare_call(&client.call[i]);
	for (i = 0; i < client.count; i++)
		curl_easy_setopt(client.call[i].easy, CURLOPT_RESOLVE,
		    client.resolve);
}

static void
launch(void)
{
	struct call *call;

	while (client.head < client.tail && client.running < client.window) {
		call = &client.call[client.queue[client.head++]];
		curl_multi_add_handle(client.multi, call->easy);
		call->running = true;
		client.running++;
	}
}

static void
answered(CURL *easy, CURLcode rc)
{
	struct call *call;
	long status = 0, opened = 0;
	size_t i;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &opened);
	if (client.version == 0)
		curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &client.version);
	client.connections += (unsigned long)opened;
	if (rc != CURLE_OK || status != 200) {
		if (client.failed++ == 0)
			warnx("%s %s: %s, status %ld", call->method, call->url,
			    curl_easy_strerror(rc), status);
	}
	curl_multi_remove_handle(client.multi, easy);
	call->running = false;
	client.running--;
	client.left--;
	for (i = 0; i < call->nchildren; i++)
		client.queue[client.tail++] = call->child[i];
}

static void
collect(void)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(client.multi, &left)) != NULL) {
		if (msg->msg == CURLMSG_DONE)
			answered(msg->easy_handle, msg->data.result);
	}
	launch();
}

/*
 * libcurl 7.88 forgets now and then that it has the rest of an answer: have it
 * look again.
 */
static void
nudge(void)
{
	struct call *call;
	size_t i;

	if (++client.stalls > STALLS_MAX)
		errx(1, "no answer");
	for (i = 0; i < client.count; i++) {
		call = &client.call[i];
		if (!call->running)
			continue;
		curl_easy_pause(call->easy, CURLPAUSE_RECV);
		curl_easy_pause(call->easy, CURLPAUSE_CONT);
	}
}

static void
turn(void)
{
	struct epoll_event ev[EVENTS];
	uint64_t expired;
	int action, i, n, running;

	n = epoll_wait(client.epoll, ev, EVENTS, STALLED);
	if (n == -1)
		err(1, "epoll_wait");
	if (n == 0)
		nudge();
	for (i = 0; i < n; i++) {
		if (ev[i].data.fd == client.timer) {
			(void)!read(client.timer, &expired, sizeof(expired));
			curl_multi_socket_action(client.multi,
			    CURL_SOCKET_TIMEOUT, 0, &running);
			continue;
		}
		action = 0;
		if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			action |= CURL_CSELECT_IN;
		if (ev[i].events & EPOLLOUT)
			action |= CURL_CSELECT_OUT;
		curl_multi_socket_action(client.multi, ev[i].data.fd, action,
		    &running);
	}
	collect();
}

/* All calls once; how long it took, in microseconds. */
static int64_t
play_round(void)
{
	int64_t began = now_us();
	size_t i;

	client.head = client.tail = 0;
	client.left = client.count;
	for (i = 0; i < client.count; i++)
		if (client.call[i].parent == -1)
			client.queue[client.tail++] = i;
	launch();
	while (client.left > 0)
		turn();
	return (now_us() - began);
}

static void
play(long warm, long rounds, long gap)
{
	struct timespec pause = { gap / 1000, gap % 1000 * 1000000 };
	int64_t cpu, total = 0, *took;
	long i;

	took = xrealloc(NULL, (size_t)rounds, sizeof(*took));
	for (i = 0; i < warm; i++) {
		(void)play_round();
		nanosleep(&pause, NULL);
	}
	client.bytes = 0;
	client.failed = 0;
	if (warm > 0)
		client.connections = 0;
	for (i = 0; i < rounds; i++) {
		cpu = cpu_us();
		took[i] = play_round();
		total += cpu_us() - cpu;
		if (gap > 0)
			nanosleep(&pause, NULL);
	}
	printf(
	    "{\"calls\": %zu, \"failed\": %lu, \"connections\": %lu, "
	    "\"stalls\": %lu, \"http\": %d, \"bytes\": %lld, \"cpu_us\": %lld, \"us\": [",
	    client.count, client.failed, client.connections, client.stalls,
	    client.version == CURL_HTTP_VERSION_2 ? 2 : 1,
	    (long long)client.bytes / rounds, (long long)total);
	for (i = 0; i < rounds; i++)
		printf("%s%lld", i > 0 ? ", " : "", (long long)took[i]);
	printf("]}\n");
}

int
main(int argc, char *argv[])
{
	long warm = 3, rounds = 10, gap = 0, connections = 64;
	int ch;

	client.window = SIZE_MAX;
	while ((ch = getopt(argc, argv, "1c:g:m:n:t:w:W:")) != -1) {
		switch (ch) {
		case '1':
			client.http1 = true;
			break;
		case 'c':
			client.ca = optarg;
			break;
		case 'g':
			gap = number(optarg, 0, 60000);
			break;
		case 'm':
			connections = number(optarg, 1, 10000);
			break;
		case 'n':
			rounds = number(optarg, 1, 1000000);
			break;
		case 't':
			client.token = read_lines(optarg, &client.ntokens);
			break;
		case 'w':
			warm = number(optarg, 0, 1000);
			break;
		case 'W':
			client.window = (size_t)number(optarg, 1, 1000000);
			break;
		default:
			usage();
		}
	}
	if (optind + 1 != argc || client.ca == NULL)
		usage();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	read_plan(argv[optind]);
	prepare_multi(connections);
	prepare_calls();
	play(warm, rounds, gap);
	return (0);
}
