/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_OUTCOME_H
#define MTGCPD_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How a call can end, and what its caller has to do about it: one table, of
 * which everybody who judges an answer or makes a mistake on purpose has to
 * take the rows.
 */

/* How a call ended, as the callers have to treat it. */
enum answer {
	ANSWER_OK,
	ANSWER_TRANSIENT, /* may be well next time */
	ANSWER_PERMANENT, /* will not be well by itself */
	ANSWER_TOKEN,	  /* 401: a new token is needed */
};

/* Who answers; bits of outcome_row.apis. */
enum outcome_api {
	OUTCOME_COMPUTE = 1 << 0,
	OUTCOME_CLOUDFLARE = 1 << 1,
	OUTCOME_TOKEN = 1 << 2, /* the token endpoint */
	OUTCOME_ALL = (1 << 3) - 1,
};

/* Why there is no answer. */
enum transport {
	TRANSPORT_OTHER,
	TRANSPORT_REQUEST,     /* what is to be sent cannot be */
	TRANSPORT_ADDRESS,     /* none is known */
	TRANSPORT_QUEUE,       /* its time went by behind other requests */
	TRANSPORT_LIMIT,       /* the same, under the limit of requests */
	TRANSPORT_CONNECT,     /* no connection */
	TRANSPORT_SLOW,	       /* no connection in time */
	TRANSPORT_TLS,	       /* no handshake */
	TRANSPORT_CERTIFICATE, /* not one that is trusted */
	TRANSPORT_TIMEOUT,     /* no answer in time, or not all of it */
	TRANSPORT_LOST,	       /* the connection ended before the answer */
	TRANSPORT_TRUNCATED,   /* the same, within it */
	TRANSPORT_GARBLED,     /* what came is not HTTP */
	TRANSPORT_BODY,	       /* too large */
	TRANSPORT_HEADER,      /* too large */
	TRANSPORT_MAX,
};

/* What an answer has in it. */
enum content {
	CONTENT_ANY,	  /* of rows: it does not matter */
	CONTENT_JSON,	  /* an object */
	CONTENT_NOT_JSON, /* something else, or nothing */
	CONTENT_TYPE,	  /* something else, as its media type says */
	CONTENT_SHAPE,	  /* an object, but not what was asked for */
	CONTENT_FAILURE,  /* of Cloudflare: "success" is not true */
	CONTENT_PARTIAL,  /* a page of a list that is not whole */
	CONTENT_LOOP,	  /* a page that names one that has been read */
	CONTENT_PAGES,	  /* a page that names one more than can be read */
	CONTENT_MAX,
};

/*
 * A way in which a call ends.  Of those that fit the first one decides; status
 * is an example of it, with code and message.
 */
struct outcome_row {
	const char *name;
	unsigned int apis;
	enum transport transport; /* where status is 0 */
	long status;		  /* the first that fits; 0: no answer */
	long last;		  /* the last one */
	enum content content;
	const char *code;    /* the API's own; NULL: any, or none */
	const char *message; /* a part of the API's own; NULL: any */
	enum answer answer;
	bool unknown;	  /* a write may have been carried out */
	const char *text; /* what the reason says of it, beside what the
			     answer itself says; or NULL */
};

struct http_reply;

/* outcome.c */
enum answer outcome_google(const struct http_reply *, char *reason, size_t);
enum answer outcome_cloudflare(const struct http_reply *, char *reason, size_t);
enum answer outcome_token(const struct http_reply *, char *reason, size_t);
enum answer outcome_content(enum content, const char *detail, char *reason,
    size_t);
const char *outcome_text(enum transport);
size_t outcome_rows(const struct outcome_row **);

#endif /* MTGCPD_OUTCOME_H */
