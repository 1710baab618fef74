/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * What all simulated APIs share: which one a path belongs to, faults before
 * and after, the journal, and Google's error envelope.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

static json_t *calls;

json_t *
api_stats(void)
{
	return (calls != NULL ? json_incref(calls) : json_object());
}

void
api_stats_reset(void)
{
	json_decref(calls);
	calls = NULL;
}

static void
api_count(const char *op)
{
	json_t *n;

	if (calls == NULL)
		calls = json_object();
	n = json_object_get(calls, op);
	if (n != NULL)
		json_integer_set(n, json_integer_value(n) + 1);
	else
		json_object_set_new(calls, op, json_integer(1));
}

static const char *
google_status(int code)
{
	switch (code) {
	case 400:
		return ("INVALID_ARGUMENT");
	case 401:
		return ("UNAUTHENTICATED");
	case 403:
		return ("PERMISSION_DENIED");
	case 429:
		return ("RESOURCE_EXHAUSTED");
	default:
		return (NULL);
	}
}

static const char *
google_domain(const char *reason)
{
	if (strcmp(reason, "rateLimitExceeded") == 0 ||
	    strcmp(reason, "quotaExceeded") == 0 ||
	    strcmp(reason, "accessNotConfigured") == 0)
		return ("usageLimits");
	return ("global");
}

void
google_error(struct response *res, int code, const char *reason,
    const char *fmt, ...)
{
	va_list ap;
	json_t *msg;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	msg = jstr(text);
	free(text);
	http_error(res, code,
	    json_pack("{s:{s:i, s:O, s:[{s:O, s:s, s:s}]}}", "error", "code",
		code, "message", msg, "errors", "message", msg, "domain",
		google_domain(reason), "reason", reason));
	json_decref(msg);
}

/* The newer half of an error, which Compute sends for some and not others. */
void
google_detail(struct response *res, const char *reason, const char *method,
    const char *key, const char *value)
{
	json_t *error, *meta;
	const char *status;

	error = json_object_get(res->json, "error");
	status = google_status(res->status);
	if (status != NULL)
		json_object_set_new(error, "status", json_string(status));
	meta = json_pack("{s:s}", "service", "compute.googleapis.com");
	if (method != NULL)
		json_object_set_new(meta, "method", jstr(method));
	if (key != NULL)
		json_object_set_new(meta, key, jstr(value));
	json_object_set_new(error, "details",
	    json_pack("[{s:s, s:s, s:s, s:o}]", "@type",
		"type.googleapis.com/google.rpc.ErrorInfo", "reason", reason,
		"domain", "googleapis.com", "metadata", meta));
}

/* "/abc/def" lies below "/abc"; "/abcdef" does not. */
static bool
path_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return (strncmp(path, top, len) == 0 &&
	    (path[len] == '/' || path[len] == '\0'));
}

static void
api_route(struct request *req, struct response *res)
{
	if (path_below(req->path, "/compute/v1"))
		compute_handle(req, res);
	else if (path_below(req->path, "/client/v4"))
		magic_handle(req, res);
	else if (strcmp(req->path, "/token") == 0)
		token_handle(req, res);
	else if (strcmp(req->path, "/v2/entries:write") == 0)
		logging_handle(req, res);
	else
		google_error(res, 404, "notFound",
		    "The requested URL %s was not found on this server.",
		    req->path);
}

/* What a request that a fault keeps from us would have been. */
static void
api_classify(struct request *req)
{
	if (path_below(req->path, "/compute/v1"))
		compute_classify(req);
	else if (req->cloudflare)
		magic_classify(req);
	else if (strcmp(req->path, "/token") == 0)
		req->op = "token";
	else if (strcmp(req->path, "/v2/entries:write") == 0)
		req->op = "logging.write";
}

void
api_handle(struct request *req, struct response *res)
{
	struct fault_plan plan = { NULL, true };
	char *pretty;

	req->cloudflare = path_below(req->path, "/client/v4");
	req->op = "unknown";
	if (!req->cloudflare) {
		/* Google indents its answers unless asked not to. */
		pretty = query_get(req->query, "prettyPrint");
		res->pretty = pretty == NULL || strcmp(pretty, "false") != 0;
		free(pretty);
	}
	if (strcmp(req->path, "/token") != 0) {
		token_identify(req);
		request_parse_json(req);
	}
	res->delay_ms = sim.set.latency_ms;
	fault_plan(req, res, &plan);
	journal_reserve(req);
	if (plan.apply)
		api_route(req, res);
	else
		api_classify(req);
	if (plan.fault != NULL)
		fault_answer(&plan, req, res);
	api_count(req->op);
	journal_request(req, res);
}
