/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_HTTP_H
#define MTGCPD_HTTP_H

#include <sys/types.h>
#include <sys/queue.h>

#include <event2/event.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bucket.h"
#include "confine.h"
#include "outcome.h"
#include "proto.h"

/*
 * HTTPS on libevent and libcurl for the confined programs: many requests at
 * once over few kept-alive connections, HTTP/2 where offered.  Names are never
 * looked up here: http_address() says where a host is.
 */

#define HTTP_BODY_MAX	(16 * 1024 * 1024)
#define HTTP_HEADER_MAX (64 * 1024)
/* Requests in flight, beyond which the rest waits its turn, and connections to
 * one host: over HTTP/1, and over HTTP/2, where each carries many. */
#define HTTP_WINDOW	  100
#define HTTP_CONNECTIONS  64
#define HTTP_RESERVE	  8 /* more requests, for writes alone */
#define HTTP2_WINDOW	  400
#define HTTP2_CONNECTIONS 8

enum http_method {
	HTTP_GET,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
};

struct http_call;
TAILQ_HEAD(http_calls, http_call);

/* The requests of one that wait for their turn: with those of others, not
 * behind them. */
struct http_line {
	TAILQ_ENTRY(http_line) entry;
	struct http_calls waiting;
	bool urgent; /* before all that is not */
};

/* One request.  The strings are copied by http_start(). */
struct http_request {
	enum http_method method;
	enum called called; /* for the tally */
	const char *url;
	const char *bearer;	  /* NULL: no Authorization */
	const char *content_type; /* NULL: no body */
	const char *body;
	size_t body_len;
	uint32_t connect_timeout; /* milliseconds */
	uint32_t timeout;	  /* milliseconds, connecting included */
	bool write;		  /* goes before all waiting reads */
	bool metadata;		/* to a metadata server: HTTP may be plain, and
				  both sides say their flavor */
	struct bucket *bucket;	/* the limit that it counts against, which has
				  to outlive the call; NULL: none */
	struct http_line *line; /* of a read; NULL: that of all who have none */
};

struct http_reply {
	bool answered;		  /* a whole HTTP answer came */
	bool sent;		  /* the server may have received the request */
	enum transport transport; /* where not answered: why */
	long status;
	const char *body; /* NUL-terminated, for the call's duration */
	size_t body_len;
	char content_type[64];
	char retry_after[64];	/* the header's text, or "" */
	char ratelimit[64];	/* the same */
	bool flavored;		/* it says that it is a metadata server */
	const char *bearer;	/* what the request carried, or NULL */
	char error[REASON_LEN]; /* where not answered: what happened */
	uint32_t duration;	/* milliseconds */
};

typedef void (*http_done)(const struct http_reply *, void *);

/* http.c */
void http_prepare(struct event_base *, const char *ca, size_t ca_len);
int http_set_ca(const char *ca, size_t ca_len);
void http_address(const struct msg_addresses *);
struct http_call *http_start(const struct http_request *, http_done, void *);
void http_cancel(struct http_call *);
size_t http_window(void);
void http_line_init(struct http_line *, bool urgent);
int64_t http_now(void);
const char *http_libraries(void);

extern const struct syscall_rule http_rules[];
extern const size_t http_nrules;

#endif /* MTGCPD_HTTP_H */
