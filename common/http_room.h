/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_HTTP_ROOM_H
#define MTGCPD_HTTP_ROOM_H

#include <sys/types.h>
#include <sys/queue.h>

#include <curl/curl.h>
#include <openssl/ssl.h>

#include "http.h"

/* What the files of the HTTP client share; nobody else includes this. */

#ifndef MTGCPD_VERSION
#define MTGCPD_VERSION "0"
#endif

#define SERVERS		4    /* hosts that one process talks to, about */
#define SLOTS_KEPT	64   /* idle easy handles */
#define BODY_KEPT	8192 /* bytes of an idle handle's body buffer */
#define CONNECTION_LIFE 900L /* seconds: a new address is used by then */
#define LATE_CHECK	20   /* milliseconds */
#define WAIT_MAX	(3600 * 1000) /* milliseconds, for a bucket */
#define FROZEN_MIN	1000	      /* milliseconds of silence */
#define REST_CHECK	50 /* milliseconds that the rest of an answer may take */

/* A socket of libcurl's. */
struct sock {
	TAILQ_ENTRY(sock) entry;
	curl_socket_t fd;
	struct event *ev; /* NULL: not watched now */
	int64_t heard;	  /* when it was last readable, or watched anew */
};
TAILQ_HEAD(socks, sock);

/* What libcurl has to be told about a host and port; shared by the requests
 * that tell it. */
struct resolve {
	unsigned int refs;
	bool loaded;
	uint16_t port;
	struct curl_slist *list;
	TAILQ_ENTRY(resolve) entry;
};
TAILQ_HEAD(resolves, resolve);

struct host {
	TAILQ_ENTRY(host) entry;
	char name[HOST_LEN];
	char *addresses; /* separated by commas; NULL: none yet */
	char error[REASON_LEN];
	struct resolves ports;
};
TAILQ_HEAD(hosts, host);

/* The header lines of a request; one set serves all that need the same. */
struct headers {
	TAILQ_ENTRY(headers) entry;
	unsigned int refs;
	char content_type[64];
	bool metadata;
	const char *bearer; /* into the list, or NULL */
	struct curl_slist *list;
};
TAILQ_HEAD(header_sets, headers);

/* An easy handle with what belongs to it, used again and again. */
struct slot {
	SLIST_ENTRY(slot) entry;
	CURL *easy;
	char errbuf[CURL_ERROR_SIZE];
	char *body;
	size_t len;
	size_t size;
	size_t header_len;
	int64_t heard; /* when a part of the answer came last */
	bool body_too_big;
	bool header_too_big;
	char retry_after[64];
	char ratelimit[64];
	char date[40];
	bool flavored; /* as of struct http_reply */
	bool plain;    /* plain HTTP is allowed */
};
SLIST_HEAD(slots, slot);

enum call_state {
	CALL_WAITING,
	CALL_RUNNING,
	CALL_FAILED, /* the caller is still to be told */
	CALL_FINISHED,
};

struct http_call {
	TAILQ_ENTRY(http_call) entry;
	enum call_state state;
	enum http_method method;
	enum called called;
	bool write;
	bool metadata;
	bool limited; /* has waited for its bucket */
	struct http_line *line;
	struct bucket *bucket;
	char *url;
	char *body;
	size_t body_len;
	size_t body_read; /* by libcurl */
	struct headers *headers;
	struct resolve *resolve;
	struct slot *slot;
	uint32_t connect_timeout;
	uint32_t timeout;
	int64_t started;
	int64_t launched;
	enum transport transport; /* CALL_FAILED */
	char *error;		  /* likewise */
	http_done done;
	void *arg;
};

/* Who goes first. */
enum http_order {
	HTTP_WRITES,
	HTTP_URGENT,
	HTTP_READS,
	HTTP_ORDERS,
};
TAILQ_HEAD(http_lines, http_line);

/* The state of the client; one a process. */
struct http_room {
	struct event_base *base;
	CURLM *multi;
	X509_STORE *store;
	struct event *timer; /* libcurl's */
	struct event *pump;  /* starts what waits, tells what failed */
	struct event *late;  /* looks for requests that waited too long */
	struct event *rest; /* looks for answers of which the rest is missing */
	bool multiplexed;   /* the last answer came over HTTP/2 */
	struct socks socks;
	struct hosts hosts;
	struct header_sets headers;
	struct slots slots;
	size_t nslots;
	struct http_lines lines[HTTP_ORDERS]; /* in which calls wait */
	struct http_line reads;	 /* of those who have no line of their own */
	struct http_line writes; /* likewise */
	struct http_calls running;
	struct http_calls failed;
	size_t nrunning;
};

extern struct http_room http;

/* A handle that takes no such option is of another libcurl than the one this
 * was built with. */
#define SETOPT(easy, option, value)                                            \
	do {                                                                   \
		CURLcode rc_ = curl_easy_setopt(easy, option, value);          \
		if (rc_ != CURLE_OK)                                           \
			fatalx("%s: %s: %s", __func__, #option,                \
			    curl_easy_strerror(rc_));                          \
	} while (0)

/* http.c */
void http_finished(void);
void http_schedule(struct event *, long ms);

/* http_curl.c */
void curl_room_prepare(void);
struct slot *slot_get(void);
void slot_release(struct slot *);

/* http_host.c */
int host_resolve(const char *url, struct resolve **, enum transport *,
    char *why, size_t);
void resolve_release(struct resolve *);
int url_host(const char *url, char *host, size_t, uint16_t *port);

/* http_line.c */
void lines_init(void);
void line_join(struct http_call *);
void line_leave(struct http_call *);
struct http_call *lines_next(enum http_order, int64_t now, int64_t *wait);
bool lines_waiting(void);
void lines_each(void (*)(struct http_call *, int64_t now), int64_t now);

/* http_tls.c */
CURLcode tls_context(CURL *, void *ctx, void *);

#endif /* MTGCPD_HTTP_ROOM_H */
