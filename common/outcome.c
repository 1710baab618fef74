/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gcp.h"
#include "http.h"
#include "outcome.h"

/*
 * From an HTTP reply to what its caller has to do about it, and to the text
 * that an operator reads.  What is not an answer of the API itself (nothing
 * came, a page of a front end) is transient, unless somebody has to mend
 * something first.
 */

#define DETAIL_LEN 400
#define CODES	   2

#define COMPUTE	   OUTCOME_COMPUTE
#define CLOUDFLARE OUTCOME_CLOUDFLARE
#define TOKEN	   OUTCOME_TOKEN
#define APIS	   (OUTCOME_COMPUTE | OUTCOME_CLOUDFLARE)
#define ALL	   OUTCOME_ALL

/* No answer came. */
#define NONE(n, t, a, u, x)                                                    \
	{                                                                      \
		.name = n, .apis = ALL, .transport = t, .answer = a,           \
		.unknown = u, .text = x                                        \
	}
/* An answer came that is not the API's, or not all of it. */
#define BAD(n, i, s, l, c, a, u, x)                                            \
	{                                                                      \
		.name = n, .apis = i, .status = s, .last = l, .content = c,    \
		.answer = a, .unknown = u, .text = x                           \
	}
/* The API answered. */
#define SAID(n, i, s, l, k, a, u)                                              \
	{                                                                      \
		.name = n, .apis = i, .status = s, .last = l,                  \
		.content = CONTENT_JSON, .code = k, .answer = a, .unknown = u  \
	}
/* The token endpoint does not like the time of day. */
#define CLOCK(n, m)                                                            \
	{                                                                      \
		.name = n, .apis = TOKEN, .status = 400, .last = 499,          \
		.content = CONTENT_JSON, .code = "invalid_grant",              \
		.message = m, .answer = ANSWER_PERMANENT,                      \
		.text = "is the clock of this machine right?"                  \
	}

/*
 * Google: Compute's rate limit is a 403, and a resource that is being changed
 * a 400 (Compute Engine, "Rate quotas" and "Errors").  Cloudflare: a success
 * is a 2xx whose "success" is true; the numbers of errors and messages say
 * nothing by themselves.  Token endpoints (RFC 7523 section 3.1, RFC 6749
 * section 5.2): what they refuse is permanent, for the key, or the time of day
 * of this machine, is wrong.  All: RFC 9110 section 15, where 408, 409, 412
 * and 429 ask to look again or to come later.
 */
static const struct outcome_row rows[] = {
	NONE("no answer", TRANSPORT_OTHER, ANSWER_TRANSIENT, true, "no answer"),
	NONE("request cannot be sent", TRANSPORT_REQUEST, ANSWER_PERMANENT,
	    false, "the request cannot be sent"),
	NONE("no address", TRANSPORT_ADDRESS, ANSWER_TRANSIENT, false,
	    "no address"),
	NONE("behind others", TRANSPORT_QUEUE, ANSWER_TRANSIENT, false,
	    "timed out behind other requests"),
	NONE("behind the limit", TRANSPORT_LIMIT, ANSWER_TRANSIENT, false,
	    "timed out waiting for its turn under the limit of requests"),
	NONE("connection refused", TRANSPORT_CONNECT, ANSWER_TRANSIENT, false,
	    "connecting"),
	NONE("connect timeout", TRANSPORT_SLOW, ANSWER_TRANSIENT, false,
	    "connecting"),
	NONE("TLS failure", TRANSPORT_TLS, ANSWER_TRANSIENT, false, "TLS"),
	NONE("wrong certificate", TRANSPORT_CERTIFICATE, ANSWER_PERMANENT,
	    false, "TLS: certificate"),
	NONE("timeout", TRANSPORT_TIMEOUT, ANSWER_TRANSIENT, true,
	    "waiting for the answer"),
	NONE("connection lost", TRANSPORT_LOST, ANSWER_TRANSIENT, true,
	    "the connection was lost"),
	NONE("truncated", TRANSPORT_TRUNCATED, ANSWER_TRANSIENT, true,
	    "the answer is cut off"),
	NONE("not HTTP", TRANSPORT_GARBLED, ANSWER_TRANSIENT, true,
	    "the answer is not HTTP"),
	NONE("body too large", TRANSPORT_BODY, ANSWER_TRANSIENT, true,
	    "the answer is larger than 16 MiB"),
	NONE("header too large", TRANSPORT_HEADER, ANSWER_TRANSIENT, true,
	    "the header of the answer is larger than 64 KiB"),

	BAD("redirect", ALL, 300, 399, CONTENT_ANY, ANSWER_TRANSIENT, false,
	    "redirects are not followed"),
	BAD("401 not JSON", APIS, 401, 401, CONTENT_NOT_JSON, ANSWER_TOKEN,
	    false, "the answer is not JSON"),
	BAD("2xx not JSON", ALL, 200, 299, CONTENT_NOT_JSON, ANSWER_TRANSIENT,
	    true, "the answer is not JSON"),
	BAD("2xx of another type", ALL, 200, 299, CONTENT_TYPE,
	    ANSWER_TRANSIENT, true, "the answer is not JSON"),
	BAD("4xx not JSON", ALL, 400, 499, CONTENT_NOT_JSON, ANSWER_TRANSIENT,
	    false, "the answer is not JSON"),
	BAD("5xx not JSON", ALL, 500, 599, CONTENT_NOT_JSON, ANSWER_TRANSIENT,
	    true, "the answer is not JSON"),
	BAD("wrong shape", ALL, 200, 299, CONTENT_SHAPE, ANSWER_TRANSIENT, true,
	    NULL),
	BAD("partial list", COMPUTE, 200, 299, CONTENT_PARTIAL,
	    ANSWER_TRANSIENT, false, "the list is not whole"),
	BAD("page loop", COMPUTE, 200, 299, CONTENT_LOOP, ANSWER_PERMANENT,
	    false, "the list repeats a page"),
	BAD("too many pages", COMPUTE, 200, 299, CONTENT_PAGES,
	    ANSWER_PERMANENT, false, "the list has too many pages"),
	BAD("no success", CLOUDFLARE, 200, 299, CONTENT_FAILURE,
	    ANSWER_TRANSIENT, false, NULL),

	SAID("success", ALL, 200, 299, NULL, ANSWER_OK, false),
	SAID("busy", COMPUTE, 400, 400, "resourceNotReady", ANSWER_TRANSIENT,
	    false),
	SAID("busy, new style", COMPUTE, 400, 400, "RESOURCE_NOT_READY",
	    ANSWER_TRANSIENT, false),
	CLOCK("clock skew", "short-lived token"),
	CLOCK("clock skew, other words", "timeframe"),
	SAID("token refused", APIS, 401, 401, NULL, ANSWER_TOKEN, false),
	SAID("rate limit", COMPUTE, 403, 403, "rateLimitExceeded",
	    ANSWER_TRANSIENT, false),
	SAID("rate limit of the user", COMPUTE, 403, 403,
	    "userRateLimitExceeded", ANSWER_TRANSIENT, false),
	SAID("rate limit, other name", COMPUTE, 403, 403, "quotaExceeded",
	    ANSWER_TRANSIENT, false),
	SAID("rate limit, new style", COMPUTE, 403, 403, "RATE_LIMIT_EXCEEDED",
	    ANSWER_TRANSIENT, false),
	SAID("resource exhausted", COMPUTE, 403, 403, "RESOURCE_EXHAUSTED",
	    ANSWER_TRANSIENT, false),
	SAID("no permission", COMPUTE, 403, 403, "forbidden", ANSWER_PERMANENT,
	    false),
	SAID("scope too narrow", COMPUTE, 403, 403, "insufficientPermissions",
	    ANSWER_PERMANENT, false),
	SAID("API not enabled", COMPUTE, 403, 403, "accessNotConfigured",
	    ANSWER_PERMANENT, false),
	SAID("403", ALL, 403, 403, NULL, ANSWER_PERMANENT, false),
	SAID("404", ALL, 404, 404, NULL, ANSWER_PERMANENT, false),
	SAID("408", ALL, 408, 408, NULL, ANSWER_TRANSIENT, false),
	SAID("409", ALL, 409, 409, NULL, ANSWER_TRANSIENT, false),
	SAID("412", ALL, 412, 412, NULL, ANSWER_TRANSIENT, false),
	SAID("429", ALL, 429, 429, NULL, ANSWER_TRANSIENT, false),
	SAID("other 4xx", ALL, 400, 499, NULL, ANSWER_PERMANENT, false),
	SAID("502", ALL, 502, 502, NULL, ANSWER_TRANSIENT, true),
	SAID("503", ALL, 503, 503, NULL, ANSWER_TRANSIENT, true),
	SAID("504", ALL, 504, 504, NULL, ANSWER_TRANSIENT, true),
	SAID("other 5xx", ALL, 500, 599, NULL, ANSWER_TRANSIENT, true),
	BAD("no such status", ALL, 600, 999, CONTENT_ANY, ANSWER_TRANSIENT,
	    true, "there is no such status"),
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

/* What has to be known of a call's end to find its row. */
struct ending {
	unsigned int api;
	enum transport transport;
	long status;
	enum content content;
	const char *code[CODES];
	const char *message;
};

static const struct outcome_row *row_find(const struct ending *);
static bool row_fits(const struct outcome_row *, const struct ending *);
static bool has_code(const struct ending *, const char *);
static const struct outcome_row *early(const struct http_reply *,
    struct ending *, json_t **, char *, size_t);
static enum content content_of(const struct http_reply *, bool, json_t **);
static bool is_json_type(const char *);
static void token_reason(const json_t *, struct ending *);
static const char *google_reason(const json_t *);
static const char *info_reason(const json_t *);
static void cloudflare_errors(const json_t *, char *, size_t);

/* All rows; how many. */
size_t
outcome_rows(const struct outcome_row **first)
{
	*first = rows;
	return (NROWS);
}

/* What people are told where a call ended so; what follows says how. */
const char *
outcome_text(enum transport transport)
{
	struct ending ending = { .api = COMPUTE, .transport = transport };

	return (row_find(&ending)->text);
}

/*
 * Judge a reply of Compute.  The reason, for anything but ANSWER_OK, has the
 * status, Google's reason and its message, which names a missing permission
 * in single quotes.  The body of ANSWER_OK begins like JSON; the caller finds
 * out whether it is.
 */
enum answer
outcome_google(const struct http_reply *reply, char *reason, size_t len)
{
	struct ending ending = { .api = COMPUTE };
	char code[61], detail[DETAIL_LEN];
	const struct outcome_row *row;
	const char *message;
	json_t *body, *error;

	row = early(reply, &ending, &body, reason, len);
	if (row != NULL)
		return (row->answer);
	error = json_object_get(body, "error");
	ending.code[0] = google_reason(error);
	ending.code[1] = info_reason(error);
	ending.message = message = json_text(error, "message");
	row = row_find(&ending);
	text_clean(ending.code[0], code, sizeof(code));
	text_clean(message != NULL ? message : "no message", detail,
	    sizeof(detail));
	snprintf(reason, len, "HTTP %ld %s: %s", reply->status, code, detail);
	json_decref(body);
	return (row->answer);
}

/* Judge a reply of a token endpoint. */
enum answer
outcome_token(const struct http_reply *reply, char *reason, size_t len)
{
	struct ending ending = { .api = TOKEN };
	char code[64], detail[DETAIL_LEN];
	const struct outcome_row *row;
	const char *message;
	json_t *body;

	row = early(reply, &ending, &body, reason, len);
	if (row != NULL)
		return (row->answer);
	token_reason(body, &ending);
	row = row_find(&ending);
	message = ending.message;
	text_clean(ending.code[0], code, sizeof(code));
	text_clean(message != NULL ? message : "no description", detail,
	    sizeof(detail));
	snprintf(reason, len, "HTTP %ld %s: %s%s%s", reply->status, code,
	    detail, row->text != NULL ? "; " : "",
	    row->text != NULL ? row->text : "");
	json_decref(body);
	return (row->answer);
}

/* Judge a reply of Cloudflare's API v4. */
enum answer
outcome_cloudflare(const struct http_reply *reply, char *reason, size_t len)
{
	struct ending ending = { .api = CLOUDFLARE };
	char detail[DETAIL_LEN];
	const struct outcome_row *row;
	json_t *body;

	row = early(reply, &ending, &body, reason, len);
	if (row != NULL)
		return (row->answer);
	if (reply->status / 100 == 2 &&
	    !json_is_true(json_object_get(body, "success")))
		ending.content = CONTENT_FAILURE;
	row = row_find(&ending);
	if (row->answer == ANSWER_OK)
		reason[0] = '\0';
	else {
		cloudflare_errors(json_object_get(body, "errors"), detail,
		    sizeof(detail));
		snprintf(reason, len, "HTTP %ld: %s", reply->status, detail);
	}
	json_decref(body);
	return (row->answer);
}

/*
 * Judge what its caller has found in a success: the answer is not what was
 * asked for.  detail says more, or is NULL; so is reason where nobody needs it.
 */
enum answer
outcome_content(enum content content, const char *detail, char *reason,
    size_t len)
{
	struct ending ending = { .api = COMPUTE,
		.status = 200,
		.content = content };
	const struct outcome_row *row = row_find(&ending);

	if (reason != NULL)
		snprintf(reason, len, "%s%s%s",
		    row->text != NULL ? row->text : "",
		    row->text != NULL && detail != NULL ? ": " : "",
		    detail != NULL ? detail : "");
	return (row->answer);
}

/* The first row that fits; there always is one. */
static const struct outcome_row *
row_find(const struct ending *ending)
{
	size_t i;

	for (i = 0; i < NROWS; i++) {
		if (row_fits(&rows[i], ending))
			return (&rows[i]);
	}
	return (&rows[0]);
}

static bool
row_fits(const struct outcome_row *row, const struct ending *ending)
{
	if ((row->apis & ending->api) == 0)
		return (false);
	if (row->status == 0 || ending->status == 0)
		return (row->status == ending->status &&
		    row->transport == ending->transport);
	return (ending->status >= row->status && ending->status <= row->last &&
	    (row->content == CONTENT_ANY || row->content == ending->content) &&
	    (row->code == NULL || has_code(ending, row->code)) &&
	    (row->message == NULL ||
		(ending->message != NULL &&
		    strstr(ending->message, row->message) != NULL)));
}

static bool
has_code(const struct ending *ending, const char *code)
{
	size_t i;

	for (i = 0; i < CODES; i++) {
		if (ending->code[i] != NULL &&
		    strcmp(ending->code[i], code) == 0)
			return (true);
	}
	return (false);
}

/*
 * The row of a reply that says enough by itself, with its reason.  Otherwise
 * NULL: what remains to be known is in the body, which the caller has to
 * json_decref().
 */
static const struct outcome_row *
early(const struct http_reply *reply, struct ending *ending, json_t **body,
    char *reason, size_t len)
{
	const struct outcome_row *row;
	char type[64];
	bool parse;

	*body = NULL;
	if (!reply->answered) {
		ending->transport = reply->transport;
		snprintf(reason, len, "%s", reply->error);
		return (row_find(ending));
	}
	ending->status = reply->status;
	parse = reply->status / 100 != 2 || ending->api == CLOUDFLARE;
	ending->content = content_of(reply, parse, body);
	if (ending->content == CONTENT_JSON && parse)
		return (NULL);
	row = row_find(ending);
	text_clean(reply->content_type, type, sizeof(type));
	if (row->answer == ANSWER_OK)
		reason[0] = '\0';
	else if (ending->content == CONTENT_ANY)
		snprintf(reason, len, "HTTP %ld: %s", reply->status, row->text);
	else
		/* It is not shown: it is a page of HTML. */
		snprintf(reason, len, "HTTP %ld: %s (%s, %zu bytes)",
		    reply->status, row->text,
		    type[0] != '\0' ? type : "no type", reply->body_len);
	return (row);
}

/* What the answer has in it; without parse, as it begins. */
static enum content
content_of(const struct http_reply *reply, bool parse, json_t **body)
{
	char why[REASON_LEN];
	const char *p;

	if (reply->status / 100 == 3 || reply->status < 200 ||
	    reply->status > 599)
		return (CONTENT_ANY);
	if (reply->status / 100 == 2 && !is_json_type(reply->content_type))
		return (CONTENT_TYPE);
	p = reply->body + strspn(reply->body, " \t\r\n");
	if (!parse)
		return (*p == '{' ? CONTENT_JSON : CONTENT_NOT_JSON);
	*body = json_answer(reply->body, reply->body_len, why, sizeof(why));
	return (*body != NULL ? CONTENT_JSON : CONTENT_NOT_JSON);
}

/* Is this the media type of JSON (RFC 8259, RFC 6839), or none at all? */
static bool
is_json_type(const char *type)
{
	size_t n;

	n = strcspn(type, "; \t");
	return (n == 0 ||
	    (n == 16 && strncasecmp(type, "application/json", n) == 0) ||
	    (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0));
}

/* Code and description of a token endpoint; a front end of Google answers in
 * the other shape. */
static void
token_reason(const json_t *body, struct ending *ending)
{
	const json_t *error;

	error = json_object_get(body, "error");
	ending->code[0] = json_string_value(error);
	if (ending->code[0] == NULL)
		ending->code[0] = google_reason(error);
	ending->message = json_text(body, "error_description");
	if (ending->message == NULL)
		ending->message = json_text(error, "message");
}

/* Why, in a word: the first of the places where Google may have put it. */
static const char *
google_reason(const json_t *error)
{
	const char *text;

	text = json_text(json_array_get(json_object_get(error, "errors"), 0),
	    "reason");
	if (text == NULL)
		text = info_reason(error);
	if (text == NULL)
		text = json_text(error, "status");
	return (text != NULL ? text : "error");
}

/* The reason of the google.rpc.ErrorInfo among the details, or NULL. */
static const char *
info_reason(const json_t *error)
{
	const char *type;
	json_t *detail;
	size_t i;

	json_array_foreach(json_object_get(error, "details"), i, detail) {
		type = json_text(detail, "@type");
		if (type != NULL && strstr(type, "ErrorInfo") != NULL)
			return (json_text(detail, "reason"));
	}
	return (NULL);
}

/* Cloudflare's errors, with what caused them in parentheses. */
static void
cloudflare_errors(const json_t *errors, char *dst, size_t size)
{
	char text[DETAIL_LEN];
	const char *message;
	json_t *error, *cause;
	size_t at, i;
	int n;

	at = 0;
	dst[0] = '\0';
	json_array_foreach(errors, i, error) {
		message = json_text(error, "message");
		text_clean(message != NULL ? message : "no message", text,
		    sizeof(text));
		n = snprintf(dst + at, size - at,
		    "%s%" JSON_INTEGER_FORMAT " %s", i > 0 ? ", " : "",
		    json_integer_value(json_object_get(error, "code")), text);
		if (n < 0 || (size_t)n >= size - at)
			return;
		at += (size_t)n;
		cause = json_array_get(json_object_get(error, "error_chain"),
		    0);
		message = json_text(cause, "message");
		if (message == NULL)
			continue;
		text_clean(message, text, sizeof(text));
		n = snprintf(dst + at, size - at,
		    " (%" JSON_INTEGER_FORMAT " %s)",
		    json_integer_value(json_object_get(cause, "code")), text);
		if (n < 0 || (size_t)n >= size - at)
			return;
		at += (size_t)n;
	}
	if (at == 0)
		snprintf(dst, size, "no success, and no error named");
}
