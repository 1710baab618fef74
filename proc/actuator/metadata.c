/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <string.h>

#include "actuator.h"
#include "child.h"
#include "token.h"

/*
 * Tokens of a metadata server, for all processes that take theirs from there:
 * each for the scope of its role and no other.  Nobody else has a way to that
 * server, which would hand out whatever it is asked for.
 */

#define CONNECT_TIME 2000 /* milliseconds */
#define FETCH_TIME   10000

static struct source {
	struct msg_token_uri uri; /* nothing is fetched where it is empty */
	struct http_call *call;	  /* one at a time */
} sources[ROLE_MAX];

/* Tell the role, which may be our own, that it gets no token, and why. */
static void
refuse(enum role role, const char *why)
{
	struct msg_failure failure;

	if (role == ROLE_ACTUATOR) {
		token_not_given(why);
		return;
	}
	memset(&failure, 0, sizeof(failure));
	strlcpy(failure.reason, why, sizeof(failure.reason));
	child_send(IMSG_TOKEN_FAILED, role, &failure, sizeof(failure));
}

/* Why an answer has no token: in its terms, where it has any. */
static bool
judge(const struct http_reply *reply, char *why, size_t len)
{
	char reason[REASON_LEN];

	if (reply->answered && !reply->flavored) {
		snprintf(why, len,
		    "HTTP %ld, without \"Metadata-Flavor: Google\": it is "
		    "another server",
		    reply->status);
		return (false);
	}
	if (reply->answered && reply->status == 403) {
		strlcpy(why,
		    "HTTP 403: the machine's access scopes do not allow it",
		    len);
		return (false);
	}
	if (reply->answered && reply->status == 404) {
		strlcpy(why,
		    "HTTP 404: no such service account is attached to the "
		    "machine",
		    len);
		return (false);
	}
	if (outcome_token(reply, reason, sizeof(reason)) == ANSWER_OK)
		return (true);
	strlcpy(why, reason, len);
	return (false);
}

/* The metadata server has answered, or not. */
static void
fetched(const struct http_reply *reply, void *arg)
{
	struct source *source = arg;
	enum role role = (enum role)(source - sources);
	char why[REASON_LEN];
	struct msg_token token;

	source->call = NULL;
	if (!judge(reply, why, sizeof(why)) ||
	    token_parse(reply, &token, why, sizeof(why)) == -1) {
		refuse(role, why);
		return;
	}
	if (role == ROLE_ACTUATOR)
		token_given(&token);
	else
		child_send(IMSG_TOKEN, role, &token, sizeof(token));
	explicit_bzero(&token, sizeof(token));
}

/*
 * The process of that role wants a token.  One that is on its way already is
 * for this wish, too.
 */
void
metadata_fetch(enum role role)
{
	struct http_request request;
	struct source *source;
	char url[2 * URL_LEN];

	if (!sources[role].uri.metadata) {
		refuse(role, "not configured for this process");
		return;
	}
	source = &sources[role];
	if (source->call != NULL)
		return;
	snprintf(url, sizeof(url), "%s?scopes=%s", source->uri.url,
	    role_scope(role));
	memset(&request, 0, sizeof(request));
	request.method = HTTP_GET;
	request.called = CALLED_OAUTH;
	request.url = url;
	request.connect_timeout = CONNECT_TIME;
	request.timeout = FETCH_TIME;
	request.write = true; /* everything else waits for it */
	request.metadata = true;
	source->call = http_start(&request, fetched, source);
}

/* Where the tokens of each role are fetched; what is under way for another
 * place is given up. */
void
metadata_configure(const struct msg_token_uri uri[ROLE_MAX])
{
	struct source *source;
	int role;

	for (role = 0; role < ROLE_MAX; role++) {
		source = &sources[role];
		if (source->call != NULL &&
		    strcmp(source->uri.url, uri[role].url) != 0) {
			http_cancel(source->call);
			source->call = NULL;
		}
		source->uri = uri[role];
	}
}
