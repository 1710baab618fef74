/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <string.h>

#include "gcp.h"
#include "http.h"

/*
 * From an HTTP reply to what its caller has to do about it, and to the text
 * that an operator reads.  What is not an answer of the API itself (nothing
 * came, a page of a front end) is always transient.
 */

#define DETAIL_LEN 400

static bool looks_like_json(const struct http_reply *);
static bool early(const struct http_reply *, char *, size_t);
static json_t *error_body(const struct http_reply *, char *, size_t);
static bool transient_status(long);
static const char *google_reason(const json_t *);
static const char *info_reason(const json_t *);
static bool is_any(const char *, const char *const *);
static enum answer google_answer(long, const char *, const char *);
static void cloudflare_errors(const json_t *, char *, size_t);

/*
 * Judge a reply of Compute.  The reason, for anything but ANSWER_OK, has the
 * status, Google's reason and its message, which names a missing permission
 * in single quotes.  Compute's rate limit is a 403, and a resource that is
 * being changed a 400 (Compute Engine, "Rate quotas" and "Errors").  The body
 * of ANSWER_OK begins like JSON; the caller finds out whether it is.
 */
enum answer
outcome_google(const struct http_reply *reply, char *reason, size_t len)
{
	char detail[DETAIL_LEN];
	const char *message, *text;
	enum answer answer;
	json_t *body, *error;

	if (early(reply, reason, len))
		return (ANSWER_TRANSIENT);
	if (reply->status / 100 == 2) {
		reason[0] = '\0';
		return (ANSWER_OK);
	}
	body = error_body(reply, reason, len);
	if (body == NULL)
		return (reply->status == 401 ? ANSWER_TOKEN : ANSWER_TRANSIENT);
	error = json_object_get(body, "error");
	text = google_reason(error);
	message = json_text(error, "message");
	text_clean(message != NULL ? message : "no message", detail,
	    sizeof(detail));
	snprintf(reason, len, "HTTP %ld %.60s: %s", reply->status, text,
	    detail);
	answer = google_answer(reply->status, text, info_reason(error));
	json_decref(body);
	return (answer);
}

/*
 * Judge a reply of a token endpoint (RFC 7523 section 3.1, RFC 6749 section
 * 5.2).  What it refuses is permanent: the key, or the time of day of this
 * machine, is wrong.
 */
enum answer
outcome_token(const struct http_reply *reply, char *reason, size_t len)
{
	char code[64], detail[DETAIL_LEN];
	const char *text, *clock;
	enum answer answer;
	json_t *body;

	if (early(reply, reason, len))
		return (ANSWER_TRANSIENT);
	if (reply->status / 100 == 2) {
		reason[0] = '\0';
		return (ANSWER_OK);
	}
	body = error_body(reply, reason, len);
	if (body == NULL)
		return (ANSWER_TRANSIENT);
	/* A front end of Google answers in the other shape. */
	text = json_text(body, "error");
	if (text == NULL)
		text = google_reason(json_object_get(body, "error"));
	text_clean(text, code, sizeof(code));
	text = json_text(body, "error_description");
	if (text == NULL)
		text = json_text(json_object_get(body, "error"), "message");
	clock = text != NULL &&
		(strstr(text, "short-lived token") != NULL ||
		    strstr(text, "timeframe") != NULL) ?
	    "; is the clock of this machine right?" :
	    "";
	text_clean(text != NULL ? text : "no description", detail,
	    sizeof(detail));
	snprintf(reason, len, "HTTP %ld %s: %s%s", reply->status, code, detail,
	    clock);
	answer = transient_status(reply->status) ? ANSWER_TRANSIENT :
						   ANSWER_PERMANENT;
	json_decref(body);
	return (answer);
}

/*
 * Judge a reply of Cloudflare's API v4: a success is a 2xx whose "success" is
 * true; the numbers of errors and messages say nothing by themselves.
 */
enum answer
outcome_cloudflare(const struct http_reply *reply, char *reason, size_t len)
{
	char detail[DETAIL_LEN];
	enum answer answer;
	json_t *body;

	if (early(reply, reason, len))
		return (ANSWER_TRANSIENT);
	body = error_body(reply, reason, len);
	if (body == NULL)
		return (reply->status == 401 ? ANSWER_TOKEN : ANSWER_TRANSIENT);
	if (reply->status / 100 == 2 &&
	    json_is_true(json_object_get(body, "success"))) {
		json_decref(body);
		reason[0] = '\0';
		return (ANSWER_OK);
	}
	cloudflare_errors(json_object_get(body, "errors"), detail,
	    sizeof(detail));
	snprintf(reason, len, "HTTP %ld: %s", reply->status, detail);
	if (reply->status == 401)
		answer = ANSWER_TOKEN;
	else if (reply->status / 100 == 2 || transient_status(reply->status))
		answer = ANSWER_TRANSIENT;
	else
		answer = ANSWER_PERMANENT;
	json_decref(body);
	return (answer);
}

/* What can be said without looking into the body. */
static bool
early(const struct http_reply *reply, char *reason, size_t len)
{
	if (!reply->answered) {
		snprintf(reason, len, "%s", reply->error);
		return (true);
	}
	if (reply->status / 100 == 3) {
		snprintf(reason, len, "HTTP %ld: redirects are not followed",
		    reply->status);
		return (true);
	}
	if (reply->status / 100 == 2 && !looks_like_json(reply)) {
		snprintf(reason, len, "HTTP %ld: the answer is not JSON",
		    reply->status);
		return (true);
	}
	return (false);
}

static bool
looks_like_json(const struct http_reply *reply)
{
	const char *p;

	p = reply->body + strspn(reply->body, " \t\r\n");
	return (*p == '{');
}

/* The JSON of an error, or NULL with a reason.  The text of an answer that is
 * not JSON is not shown: it is a page of HTML. */
static json_t *
error_body(const struct http_reply *reply, char *reason, size_t len)
{
	char type[64], why[REASON_LEN];
	json_t *body;

	body = json_answer(reply->body, reply->body_len, why, sizeof(why));
	if (body != NULL)
		return (body);
	text_clean(reply->content_type, type, sizeof(type));
	snprintf(reason, len,
	    "HTTP %ld: the answer is not JSON (%s, %zu bytes)", reply->status,
	    type[0] != '\0' ? type : "no type", reply->body_len);
	return (NULL);
}

/* RFC 9110 section 15: the request was well, the server was not; and those
 * that ask to look again (409, 412) or to come later (408, 429). */
static bool
transient_status(long status)
{
	return (status >= 500 || status == 408 || status == 409 ||
	    status == 412 || status == 429);
}

static enum answer
google_answer(long status, const char *reason, const char *info)
{
	static const char *const limits[] = { "rateLimitExceeded",
		"userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED",
		"RESOURCE_EXHAUSTED", NULL };
	static const char *const busy[] = { "resourceNotReady",
		"RESOURCE_NOT_READY", NULL };

	if (status == 401)
		return (ANSWER_TOKEN);
	if (transient_status(status))
		return (ANSWER_TRANSIENT);
	if (status == 403 && (is_any(reason, limits) || is_any(info, limits)))
		return (ANSWER_TRANSIENT);
	if (status == 400 && (is_any(reason, busy) || is_any(info, busy)))
		return (ANSWER_TRANSIENT);
	return (ANSWER_PERMANENT);
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

static bool
is_any(const char *text, const char *const *list)
{
	if (text == NULL)
		return (false);
	for (; *list != NULL; list++) {
		if (strcmp(text, *list) == 0)
			return (true);
	}
	return (false);
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
