/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * The control interface: plain HTTP and JSON, for tests.  README has the
 * list of what it can do.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>

#include "cloudsim.h"

static void
done(struct response *res, json_t *value)
{
	http_error(res, 200, value);
}

static void
refuse(struct response *res, int status, const char *text)
{
	http_error(res, status, json_pack("{s:s}", "error", text));
}

static void
world_result(struct response *res, const char *error)
{
	if (error != NULL)
		refuse(res, 400, error);
	else
		done(res, json_pack("{s:b}", "ok", 1));
}

/* /world, or a part of it: /world/projects/demo-project/... */
static void
control_world(struct request *req, struct response *res)
{
	char *seg[MAX_PATH_SEGMENTS], *path;
	json_t *v = sim.world;
	size_t n, i;

	if (strcmp(req->method, "PUT") == 0) {
		world_result(res,
		    req->json != NULL ? world_replace(req->json) :
					"the body is not JSON");
		return;
	}
	if (strcmp(req->method, "PATCH") == 0) {
		world_result(res,
		    req->json != NULL ? world_patch(req->json, "control") :
					"the body is not JSON");
		return;
	}
	path = xstrdup(req->path);
	n = path_split(path, seg, MAX_PATH_SEGMENTS);
	for (i = 1; i < n && v != NULL; i++)
		v = json_object_get(v, seg[i]);
	if (v == NULL)
		refuse(res, 404, "no such part of the world");
	else
		done(res, json_incref(v));
	free(path);
}

static bool
ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return (a >= b && strcmp(s + a - b, end) == 0);
}

/* Is this row the endpoint: address, address:port, or instance? */
static bool
row_is(json_t *row, const char *endpoint)
{
	const char *ip = json_str(row, "ipAddress");
	const char *instance = json_str(row, "instance");
	char *both;
	bool same;

	if (endpoint == NULL)
		return (true);
	if (ip != NULL && strcmp(ip, endpoint) == 0)
		return (true);
	if (instance != NULL && ends_with(instance, endpoint))
		return (true);
	both = xasprintf("%s:%lld", ip != NULL ? ip : "",
	    (long long)json_integer_value(json_object_get(row, "port")));
	same = strcmp(both, endpoint) == 0;
	free(both);
	return (same);
}

static int
health_set(json_t *service, json_t *body)
{
	const char *endpoint = json_str(body, "endpoint"), *url;
	const char *group = json_str(body, "group");
	json_t *state = json_object_get(body, "state"), *rows, *row;
	size_t i;
	int n = 0;

	json_object_foreach(json_object_get(service, "health"), url, rows) {
		if (group != NULL && !ends_with(url, group))
			continue;
		json_array_foreach(rows, i, row) {
			if (!row_is(row, endpoint))
				continue;
			if (json_is_string(state))
				json_object_set(row, "healthState", state);
			else
				json_object_del(row, "healthState");
			n++;
		}
	}
	return (n);
}

static const char *
body_project(json_t *body)
{
	const char *project = json_str(body, "project");

	return (project != NULL ? project : DEMO_PROJECT);
}

static void
control_health(struct request *req, struct response *res)
{
	const char *region = json_str(req->json, "region"), *name;
	const char *only = json_str(req->json, "service");
	json_t *obj, *service, *event;
	int n = 0;

	obj = world_region(body_project(req->json),
	    region != NULL ? region : "");
	if (obj == NULL || json_object_get(req->json, "state") == NULL) {
		refuse(res, 400, "needs a known region and a state");
		return;
	}
	json_object_foreach(json_object_get(obj, "services"), name, service) {
		if (only == NULL || strcmp(only, name) == 0)
			n += health_set(service, req->json);
	}
	event = json_pack("{s:s, s:i}", "event", "health", "changed", n);
	json_object_update_missing(event, req->json);
	journal_event(event);
	done(res, json_pack("{s:i}", "changed", n));
}

/* All peers of one router, or one of them. */
static int
bgp_set(json_t *router, json_t *body)
{
	const char *only = json_str(body, "peer"), *name;
	json_t *status = json_object_get(body, "status"), *peer, *really;
	json_t *state = json_object_get(body, "state");
	bool up;
	int n = 0;

	up = json_is_string(status) &&
	    strcmp(json_string_value(status), "UP") == 0;
	really = json_object_get(body, "session_up");
	json_object_foreach(json_object_get(router, "peer_status"), name,
	    peer) {
		if (only != NULL && strcmp(only, name) != 0)
			continue;
		if (json_is_string(status))
			json_object_set(peer, "status", status);
		else
			json_object_del(peer, "status");
		if (json_is_string(state))
			json_object_set(peer, "state", state);
		else
			json_object_set_new(peer, "state",
			    json_string(up ? "Established" : "Active"));
		if (json_is_boolean(really))
			json_object_set(peer, "session_up", really);
		else
			json_object_del(peer, "session_up");
		n++;
	}
	return (n);
}

static void
control_bgp(struct request *req, struct response *res)
{
	const char *want = json_str(req->json, "router"), *rname;
	json_t *regions, *region, *router;
	int n = 0;

	if (want == NULL || json_object_get(req->json, "status") == NULL) {
		refuse(res, 400, "needs a router and a status");
		return;
	}
	regions = json_object_get(
	    json_object_get(json_object_get(sim.world, "projects"),
		body_project(req->json)),
	    "regions");
	json_object_foreach(regions, rname, region) {
		router = json_object_get(json_object_get(region, "routers"),
		    want);
		if (router != NULL)
			n += bgp_set(router, req->json);
	}
	if (n == 0) {
		refuse(res, 404, "no such router or peer");
		return;
	}
	world_changed();
	done(res, json_pack("{s:i}", "changed", n));
}

static void
control_faults(struct request *req, struct response *res)
{
	const char *error, *id = strrchr(req->path, '/');
	json_t *added;
	long number = 0;

	if (strcmp(req->method, "GET") == 0) {
		done(res, fault_list());
		return;
	}
	if (strcmp(req->method, "POST") == 0) {
		added = fault_add(req->json, &error);
		if (added == NULL)
			refuse(res, 400, error);
		else
			done(res, added);
		return;
	}
	if (strcmp(req->path, "/faults") != 0) {
		number = (long)strtonum(id + 1, 1, 1000000000, &error);
		if (error != NULL) {
			refuse(res, 404, "no such fault");
			return;
		}
	}
	done(res, json_pack("{s:i}", "removed", fault_remove(number)));
}

static void
control_journal(struct request *req, struct response *res)
{
	const char *errstr = NULL;
	uint64_t since = 0;
	char *text;

	if (strcmp(req->method, "DELETE") == 0) {
		journal_clear();
		world_result(res, NULL);
		return;
	}
	text = query_get(req->query, "since");
	if (text != NULL)
		since = (uint64_t)strtonum(text, 0, INT64_MAX, &errstr);
	free(text);
	if (errstr != NULL)
		refuse(res, 400, "since is a number");
	else
		res->body = journal_read(since, &res->body_len);
}

static void
control_clockwork(struct request *req, struct response *res)
{
	if (strcmp(req->method, "DELETE") == 0)
		clockwork_reset();
	done(res, clockwork_json());
}

static void
control_stats(struct request *req, struct response *res)
{
	if (strcmp(req->method, "DELETE") == 0) {
		http_stats_reset();
		api_stats_reset();
	}
	done(res,
	    json_pack("{s:o, s:o}", "http", http_stats(), "calls",
		api_stats()));
}

static void
control_tokens(struct request *req, struct response *res)
{
	(void)req;
	token_revoke_all();
	world_result(res, NULL);
}

static void
control_logs(struct request *req, struct response *res)
{
	if (strcmp(req->method, "DELETE") == 0)
		logging_clear();
	done(res, json_pack("{s:o}", "entries", logging_entries()));
}

static void
control_operations(struct request *req, struct response *res)
{
	(void)req;
	oper_cancel_all();
	world_result(res, NULL);
}

static const struct {
	const char *path;
	const char *methods;
	void (*fn)(struct request *, struct response *);
} routes[] = {
	{ "/world", "GET PUT PATCH", control_world },
	{ "/health", "POST", control_health },
	{ "/bgp", "POST", control_bgp },
	{ "/faults", "GET POST DELETE", control_faults },
	{ "/journal", "GET DELETE", control_journal },
	{ "/clockwork", "GET DELETE", control_clockwork },
	{ "/stats", "GET DELETE", control_stats },
	{ "/tokens", "DELETE", control_tokens },
	{ "/operations", "DELETE", control_operations },
	{ "/logs", "GET DELETE", control_logs },
};

#define NROUTES (sizeof(routes) / sizeof(routes[0]))

void
control_handle(struct request *req, struct response *res)
{
	size_t i, len;

	if (metadata_handle(req, res))
		return;
	request_parse_json(req);
	for (i = 0; i < NROUTES; i++) {
		len = strlen(routes[i].path);
		if (strncmp(req->path, routes[i].path, len) != 0 ||
		    (req->path[len] != '\0' && req->path[len] != '/'))
			continue;
		if (strstr(routes[i].methods, req->method) == NULL)
			refuse(res, 405, routes[i].methods);
		else
			routes[i].fn(req, res);
		return;
	}
	refuse(res, 404, "no such thing to control");
}
