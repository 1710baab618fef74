/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Faults: what tests ask to go wrong, for which requests and how often.
 * "delay", "op" and "foreign_write" let the request go on, and the next
 * fault may match as well; every other action decides the answer.
 */

#include <sys/queue.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

enum action {
	ACT_STATUS,
	ACT_DELAY,
	ACT_HANG,
	ACT_RESET,
	ACT_TRUNCATE,
	ACT_GARBAGE,
	ACT_NOISE,
	ACT_HTML,
	ACT_LOST,
	ACT_DRIP,
	ACT_WRONG_JSON,
	ACT_BODY,
	ACT_OP,
	ACT_FOREIGN_WRITE,
};

static const struct {
	const char *name;
	bool apply; /* is the request carried out? */
	int status; /* unless the fault says another */
} actions[] = {
	[ACT_STATUS] = { "status", false, 503 },
	[ACT_DELAY] = { "delay", true, 0 },
	[ACT_HANG] = { "hang", false, 0 },
	[ACT_RESET] = { "reset", false, 0 },
	[ACT_TRUNCATE] = { "truncate", true, 0 },
	[ACT_GARBAGE] = { "garbage", false, 200 },
	[ACT_NOISE] = { "noise", false, 0 },
	[ACT_HTML] = { "html", false, 502 },
	[ACT_LOST] = { "lost", true, 0 },
	[ACT_DRIP] = { "drip", true, 0 },
	[ACT_WRONG_JSON] = { "wrong_json", false, 200 },
	[ACT_BODY] = { "body", false, 200 },
	[ACT_OP] = { "op", true, 0 },
	[ACT_FOREIGN_WRITE] = { "foreign_write", true, 0 },
};

#define NACTIONS (sizeof(actions) / sizeof(actions[0]))

struct fault {
	TAILQ_ENTRY(fault) entry;
	long id;
	json_t *spec; /* as it was posted */
	enum action action;
	const char *method;
	const char *scope;
	const char *sa;
	regex_t path;
	bool has_path;
	bool until_minute;
	int64_t minute;
	json_int_t count;
	json_int_t skip;
	json_int_t seen;
	json_int_t hits;
};

static TAILQ_HEAD(, fault) faults = TAILQ_HEAD_INITIALIZER(faults);
static long next_id = 1;

static void
fault_free(struct fault *f)
{
	if (f->has_path)
		regfree(&f->path);
	json_decref(f->spec);
	free(f);
}

/* Every member that a fault can have, so that a wrong name is an error. */
static const char *
spec_check(json_t *spec)
{
	static const char *const names[] = {
		"match",
		"count",
		"skip",
		"action",
		"status",
		"body",
		"headers",
		"delay_ms",
		"apply",
		"reason",
		"message",
		"patch",
		"op_error",
		"op_delay_ms",
		"until_minute",
	};
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(spec))
		return ("a fault is an object");
	json_object_foreach(spec, key, value) {
		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strcmp(names[i], key) == 0)
				break;
		if (i == sizeof(names) / sizeof(names[0]))
			return ("unknown member in a fault");
	}
	return (NULL);
}

static const char *
fault_fill(struct fault *f)
{
	json_t *match = json_object_get(f->spec, "match");
	const char *name = json_str(f->spec, "action"), *path;
	size_t i;

	for (i = 0; i < NACTIONS; i++)
		if (name != NULL && strcmp(actions[i].name, name) == 0)
			break;
	if (i == NACTIONS)
		return ("unknown action");
	f->action = (enum action)i;
	if (f->action == ACT_FOREIGN_WRITE &&
	    !json_is_object(json_object_get(f->spec, "patch")))
		return ("foreign_write needs a patch");
	f->method = json_str(match, "method");
	f->scope = json_str(match, "scope");
	f->sa = json_str(match, "sa");
	path = json_str(match, "path");
	if (path != NULL) {
		if (regcomp(&f->path, path, REG_EXTENDED | REG_NOSUB) != 0)
			return ("path is not a regular expression");
		f->has_path = true;
	}
	f->count = json_integer_value(json_object_get(f->spec, "count"));
	f->skip = json_integer_value(json_object_get(f->spec, "skip"));
	f->until_minute = json_is_true(
	    json_object_get(f->spec, "until_minute"));
	f->minute = now_ms() / 60000;
	return (NULL);
}

/* {"id"}, or NULL and what is wrong. */
json_t *
fault_add(json_t *spec, const char **error)
{
	struct fault *f;

	*error = spec_check(spec);
	if (*error != NULL)
		return (NULL);
	f = xcalloc(1, sizeof(*f));
	f->spec = json_deep_copy(spec);
	*error = fault_fill(f);
	if (*error != NULL) {
		fault_free(f);
		return (NULL);
	}
	f->id = next_id++;
	TAILQ_INSERT_TAIL(&faults, f, entry);
	return (json_pack("{s:I}", "id", (json_int_t)f->id));
}

json_t *
fault_list(void)
{
	json_t *list = json_array(), *v;
	struct fault *f;

	TAILQ_FOREACH(f, &faults, entry) {
		v = json_copy(f->spec);
		json_object_set_new(v, "id", json_integer(f->id));
		json_object_set_new(v, "hits", json_integer(f->hits));
		json_object_set_new(v, "seen", json_integer(f->seen));
		json_object_set_new(v, "remaining",
		    f->count == 0 ? json_null() :
				    json_integer(f->count - f->hits));
		json_array_append_new(list, v);
	}
	return (json_pack("{s:o}", "faults", list));
}

/* One by its id, or all with 0; returns how many. */
int
fault_remove(long id)
{
	struct fault *f, *next;
	int n = 0;

	for (f = TAILQ_FIRST(&faults); f != NULL; f = next) {
		next = TAILQ_NEXT(f, entry);
		if (id != 0 && f->id != id)
			continue;
		TAILQ_REMOVE(&faults, f, entry);
		fault_free(f);
		n++;
	}
	return (n);
}

static bool
fault_account(const struct fault *f, const struct request *req)
{
	const char *sa = json_str(req->grant, "sa");
	char *asker;
	bool match;

	if (sa != NULL)
		return (strcmp(sa, f->sa) == 0);
	asker = token_asker(req);
	match = asker != NULL && strcmp(asker, f->sa) == 0;
	free(asker);
	return (match);
}

static bool
fault_matches(struct fault *f, struct request *req)
{
	char *full;
	bool match;

	if (f->until_minute && now_ms() / 60000 != f->minute)
		return (false);
	if (f->method != NULL && strcmp(f->method, req->method) != 0)
		return (false);
	if (f->sa != NULL && !fault_account(f, req))
		return (false);
	if (f->scope != NULL &&
	    !(req->cloudflare ? strcmp(f->scope, "cloudflare") == 0 :
				token_has_scope(req->grant, f->scope)))
		return (false);
	if (!f->has_path)
		return (true);
	if (*req->query == '\0')
		return (regexec(&f->path, req->path, 0, NULL, 0) == 0);
	full = xasprintf("%s?%s", req->path, req->query);
	match = regexec(&f->path, full, 0, NULL, 0) == 0;
	free(full);
	return (match);
}

static long
fault_delay(struct fault *f, long standard)
{
	json_t *ms = json_object_get(f->spec, "delay_ms");

	return (json_is_integer(ms) ? (long)json_integer_value(ms) : standard);
}

/* Takes the fault into account; true if it decides the answer. */
static bool
fault_take(struct fault *f, struct request *req, struct response *res,
    struct fault_plan *plan)
{
	json_t *apply = json_object_get(f->spec, "apply");

	f->hits++;
	json_decref(res->fault);
	res->fault = json_pack("{s:I, s:s}", "id", (json_int_t)f->id, "action",
	    actions[f->action].name);
	if (f->action != ACT_DRIP)
		res->delay_ms += fault_delay(f,
		    f->action == ACT_DELAY ? 1000 : 0);
	switch (f->action) {
	case ACT_DELAY:
		return (false);
	case ACT_OP:
		json_decref(req->op_override);
		req->op_override = json_incref(f->spec);
		return (false);
	case ACT_FOREIGN_WRITE:
		if (res->after == NULL)
			res->after = json_array();
		json_array_append(res->after,
		    json_object_get(f->spec, "patch"));
		return (false);
	default:
		plan->fault = f;
		plan->apply = json_is_boolean(apply) ? json_is_true(apply) :
						       actions[f->action].apply;
		return (true);
	}
}

void
fault_plan(struct request *req, struct response *res, struct fault_plan *plan)
{
	struct fault *f;

	TAILQ_FOREACH(f, &faults, entry) {
		if (!fault_matches(f, req))
			continue;
		f->seen++;
		if (f->seen <= f->skip ||
		    (f->count != 0 && f->hits >= f->count))
			continue;
		if (fault_take(f, req, res, plan))
			return;
	}
}

static const char *
usual_reason(int status)
{
	switch (status) {
	case 400:
		return ("invalid");
	case 401:
		return ("authError");
	case 403:
		return ("forbidden");
	case 404:
		return ("notFound");
	case 409:
		return ("conflict");
	case 412:
		return ("conditionNotMet");
	case 429:
		return ("rateLimitExceeded");
	default:
		return ("backendError");
	}
}

/* An error in the shape of the API that was asked. */
static void
answer_status(struct fault *f, struct request *req, struct response *res,
    int status)
{
	const char *reason = json_str(f->spec, "reason");
	const char *text = json_str(f->spec, "message");

	if (req->cloudflare) {
		if (text == NULL)
			text = status == 429 ? "Please wait and consider "
					       "throttling your request speed" :
					       "internal error";
		cloudflare_error(res, status,
		    status == 429    ? 971 :
			status < 500 ? 10000 :
				       1000,
		    text);
		return;
	}
	if (strcmp(req->path, "/token") == 0) {
		token_error(res, status,
		    reason != NULL   ? reason :
			status < 500 ? "invalid_grant" :
				       "internal_failure",
		    text != NULL ? text : "Injected.");
		return;
	}
	if (reason == NULL)
		reason = usual_reason(status);
	google_error(res, status, reason, "%s",
	    text != NULL ?
		text :
		"Internal error. Please try again or contact Google Support.");
	if (strcmp(reason, "rateLimitExceeded") == 0 && status == 403)
		google_detail(res, "RATE_LIMIT_EXCEEDED", NULL, "quota_metric",
		    "compute.googleapis.com/default_per_region");
}

static void
set_body(struct response *res, const char *text, size_t len)
{
	free(res->body);
	res->body = xcalloc(1, len + 1);
	memcpy(res->body, text, len);
	res->body_len = len;
}

/* What the fault says, as text or as JSON; else the usual error. */
static void
answer_body(struct fault *f, struct request *req, struct response *res,
    int status)
{
	json_t *body = json_object_get(f->spec, "body");

	if (body == NULL)
		answer_status(f, req, res, status);
	else if (json_is_string(body))
		set_body(res, json_string_value(body),
		    json_string_length(body));
	else
		http_error(res, status, json_incref(body));
}

static void
answer_content(struct fault *f, struct request *req, struct response *res,
    int status)
{
	static const char html[] =
	    "<!DOCTYPE html>\n<html><head><title>Error"
	    "</title></head><body><h1>Something went wrong</h1></body></html>";
	static const char garbage[] = "{\"kind\": \"\x01\x02\xff\xfe\", [[,";

	switch (f->action) {
	case ACT_GARBAGE:
		set_body(res, garbage, sizeof(garbage) - 1);
		break;
	case ACT_HTML:
		res->ctype = "text/html; charset=UTF-8";
		set_body(res, html, sizeof(html) - 1);
		break;
	case ACT_WRONG_JSON:
		/* Everything we might look for, and all of another type. */
		http_error(res, status,
		    json_pack("{s:i, s:s, s:{}, s:s, s:i,"
			      " s:[i], s:s, s:s, s:{}, s:i, s:[]}",
			"kind", 1, "items", "x", "healthStatus", "result", "y",
			"success", 1, "routes", 7, "status", "z", "bgp",
			"DEFAULT", "bgpPeers", "access_token", 5,
			"expires_in"));
		break;
	default:
		answer_body(f, req, res, status);
		break;
	}
}

static void
answer_headers(struct fault *f, struct response *res)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(f->spec, "headers"), name, value) {
		if (json_is_string(value))
			http_header(res, name, json_string_value(value));
	}
}

/* Replaces or spoils the answer. */
void
fault_answer(struct fault_plan *plan, struct request *req, struct response *res)
{
	struct fault *f = plan->fault;
	json_t *want = json_object_get(f->spec, "status");
	int status;

	status = json_is_integer(want) ? (int)json_integer_value(want) :
					 actions[f->action].status;
	switch (f->action) {
	case ACT_HANG:
		res->mode = SEND_HANG;
		break;
	case ACT_RESET:
		res->mode = SEND_RESET;
		break;
	case ACT_LOST:
		res->mode = SEND_CLOSE;
		break;
	case ACT_NOISE:
		res->mode = SEND_NOISE;
		break;
	case ACT_TRUNCATE:
		res->mode = SEND_TRUNCATE;
		break;
	case ACT_DRIP:
		res->mode = SEND_DRIP;
		res->drip_ms = fault_delay(f, 100);
		break;
	default:
		json_decref(res->json);
		res->json = NULL;
		res->status = status;
		answer_content(f, req, res, status);
		break;
	}
	answer_headers(f, res);
}
