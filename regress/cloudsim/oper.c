/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Operations: what a patch answers with, and what really changes the router
 * some time later.
 */

#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/string.h>

#include "cloudsim.h"

/* One that has not ended yet. */
struct oper {
	TAILQ_ENTRY(oper) entry;
	char *key; /* project/region/router */
	json_t *json;
	json_t *patch;
	json_t *error;
	int left_ms; /* after RUNNING; -1 for ever */
	struct event *timer;
};

static TAILQ_HEAD(, oper) running = TAILQ_HEAD_INITIALIZER(running);
static json_t *opers; /* key and name -> operation */
static json_t *by_id; /* key and requestId -> operation */

static void
set_stamp(json_t *op, const char *name)
{
	char stamp[64];

	stamp_google(stamp, sizeof(stamp));
	json_object_set_new(op, name, json_string(stamp));
}

static json_t *
router_of(const char *key)
{
	char *copy, *p, *project, *region;
	json_t *router;

	copy = xstrdup(key);
	p = copy;
	project = strsep(&p, "/");
	region = strsep(&p, "/");
	router = world_router(project, region, p);
	free(copy);
	return (router);
}

/* Peers that are gone have no status; new ones begin without a session. */
static void
adjust_peers(json_t *router)
{
	json_t *old, *status, *peer, *one;
	const char *name;
	size_t i;

	old = json_object_get(router, "peer_status");
	status = json_object();
	json_array_foreach(json_object_get(router, "bgpPeers"), i, peer) {
		name = json_str(peer, "name");
		if (name == NULL)
			continue;
		one = json_object_get(old, name);
		json_object_set_new(status, name,
		    one != NULL ? json_incref(one) :
				  json_pack("{s:s, s:s}", "status", "DOWN",
				      "state", "Idle"));
	}
	json_object_set_new(router, "peer_status", status);
}

static void
apply_patch(struct oper *op)
{
	json_t *router, *merged;

	router = router_of(op->key);
	if (router == NULL)
		return;
	merged = json_merge(router, op->patch);
	adjust_peers(merged);
	json_prune(json_object_get(merged, "bgp"));
	json_object_clear(router);
	json_object_update(router, merged);
	json_decref(merged);
	world_changed();
}

static void
set_error(struct oper *op)
{
	json_t *status = json_object_get(op->error, "http_status");
	const char *code = json_str(op->error, "code");
	const char *text = json_str(op->error, "message");
	int http = json_is_integer(status) ? (int)json_integer_value(status) :
					     400;

	json_object_set_new(op->json, "error",
	    json_pack("{s:[{s:s, s:s}]}", "errors", "code",
		code != NULL ? code : "INTERNAL_ERROR", "message",
		text != NULL ?
		    text :
		    "Internal error. Please try "
		    "again or contact Google Support. (Code: '-1234567890')"));
	json_object_set_new(op->json, "httpErrorStatusCode",
	    json_integer(http));
	json_object_set_new(op->json, "httpErrorMessage",
	    json_string(http == 503 ? "SERVICE UNAVAILABLE" : "BAD REQUEST"));
}

static void
oper_done(struct oper *op)
{
	json_t *error;

	TAILQ_REMOVE(&running, op, entry);
	if (op->error != NULL)
		set_error(op);
	json_object_set_new(op->json, "status", json_string("DONE"));
	json_object_set_new(op->json, "progress", json_integer(100));
	set_stamp(op->json, "endTime");
	error = json_object_get(op->json, "error");
	journal_event(json_pack("{s:s, s:O, s:s, s:O?}", "event", "operation",
	    "name", json_object_get(op->json, "name"), "router", op->key,
	    "error", error));
	if (op->error == NULL)
		apply_patch(op);
	if (op->timer != NULL)
		event_free(op->timer);
	free(op->key);
	json_decref(op->json);
	json_decref(op->patch);
	json_decref(op->error);
	free(op);
}

/* Ends whatever still runs, without effect. */
void
oper_cancel_all(void)
{
	struct oper *op;

	while ((op = TAILQ_FIRST(&running)) != NULL) {
		json_decref(op->error);
		op->error = json_pack("{s:s, s:s}", "code",
		    "OPERATION_CANCELED_BY_USER", "message",
		    "The operation was canceled.");
		oper_done(op);
	}
}

static void
oper_wait(struct oper *op, int ms)
{
	struct timeval tv;

	tv.tv_sec = ms / 1000;
	tv.tv_usec = (ms % 1000) * 1000;
	evtimer_add(op->timer, &tv);
}

static void
oper_timer(evutil_socket_t fd, short what, void *arg)
{
	struct oper *op = arg;

	(void)fd;
	(void)what;
	if (json_object_get(op->json, "startTime") != NULL) {
		oper_done(op);
		return;
	}
	json_object_set_new(op->json, "status", json_string("RUNNING"));
	set_stamp(op->json, "startTime");
	if (op->left_ms >= 0)
		oper_wait(op, op->left_ms);
}

static json_t *
oper_json(struct call *call, const char *request_id)
{
	char name[96], uniq[3][17], id[24], *region;
	const char *sa = json_str(call->req->grant, "sa");
	json_t *op;
	size_t i;

	for (i = 0; i < 3; i++)
		random_hex(uniq[i], i == 0 ? 14 : 9);
	snprintf(name, sizeof(name), "operation-%lld-%s-%s-%s",
	    (long long)now_ms(), uniq[0], uniq[1], uniq[2]);
	snprintf(id, sizeof(id), "%llu", (unsigned long long)random_u64());
	region = xasprintf("%sprojects/%s/regions/%s", SELF_LINK, call->project,
	    call->region);
	op = json_pack("{s:s, s:s, s:s, s:s*, s:s, s:s++, s:O*, s:s, s:s, s:i,"
		       " s:s++, s:s}",
	    "kind", "compute#operation", "id", id, "name", name,
	    "clientOperationId", request_id, "operationType", "patch",
	    "targetLink", region, "/routers/", call->name, "targetId",
	    json_object_get(call->object, "id"), "status", "PENDING", "user",
	    sa != NULL ? sa : "", "progress", 0, "selfLink", region,
	    "/operations/", name, "region", region);
	set_stamp(op, "insertTime");
	free(region);
	return (op);
}

static void
remember(json_t **map, const char *key, const char *name, json_t *op)
{
	char *both;

	if (*map == NULL)
		*map = json_object();
	both = xasprintf("%s %s", key, name);
	json_object_set(*map, both, op);
	free(both);
}

static json_t *
recall(json_t *map, const char *key, const char *name)
{
	char *both;
	json_t *op;

	both = xasprintf("%s %s", key, name);
	op = json_object_get(map, both);
	free(both);
	return (json_incref(op));
}

/* Names of operations are found by region. */
static char *
region_key(struct call *call)
{
	return (xasprintf("%s/%s", call->project, call->region));
}

/* The operation of a validated patch; a new reference, as answered first. */
json_t *
oper_begin(struct call *call, const char *key, const char *request_id)
{
	json_t *fault = call->req->op_override, *delay, *error, *answer;
	struct oper *op;
	char *rkey;
	int ms;

	delay = json_object_get(fault, "op_delay_ms");
	error = json_object_get(fault, "op_error");
	ms = json_is_integer(delay) ? (int)json_integer_value(delay) :
				      sim.set.op_delay_ms;
	op = xcalloc(1, sizeof(*op));
	op->key = xstrdup(key);
	op->json = oper_json(call, request_id);
	op->patch = json_incref(call->req->json);
	op->error = json_incref(error != NULL ? error : sim.set.op_error);
	TAILQ_INSERT_TAIL(&running, op, entry);
	rkey = region_key(call);
	remember(&opers, rkey, json_str(op->json, "name"), op->json);
	free(rkey);
	if (request_id != NULL)
		remember(&by_id, key, request_id, op->json);
	answer = json_incref(op->json);
	if (ms == 0) {
		set_stamp(op->json, "startTime");
		oper_done(op);
		return (answer);
	}
	op->timer = evtimer_new(sim.base, oper_timer, op);
	/* A third of the time PENDING, the rest RUNNING. */
	op->left_ms = ms < 0 ? -1 : ms - ms / 3;
	oper_wait(op, ms < 0 ? 100 : ms / 3);
	json_decref(answer);
	return (json_deep_copy(op->json));
}

json_t *
oper_repeat(const char *key, const char *request_id)
{
	return (recall(by_id, key, request_id));
}

bool
oper_running(const char *key)
{
	struct oper *op;

	TAILQ_FOREACH(op, &running, entry)
		if (strcmp(op->key, key) == 0)
			return (true);
	return (false);
}

/* Also "wait", which may return early with any status: it always does. */
void
oper_get(struct call *call)
{
	char *rkey;
	json_t *op;

	rkey = region_key(call);
	op = recall(opers, rkey, call->name);
	free(rkey);
	if (op == NULL)
		compute_not_found(call, "operations", call->name);
	else
		compute_answer(call, op);
}
