/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Cloudflare: tokens and Magic Transit static routes.  Where the real one is
 * not documented, this one takes the pessimistic reading: what a PUT leaves
 * out is lost, what it does not know it refuses.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

#define RATE_WINDOW_MS (300 * 1000)

struct magic {
	struct request *req;
	struct response *res;
	char *seg[MAX_PATH_SEGMENTS];
	size_t nseg;
	json_t *token;
	json_t *account;
};

void
cloudflare_error(struct response *res, int status, int code, const char *text)
{
	http_error(res, status,
	    json_pack("{s:n, s:b, s:[{s:i, s:s}], s:[]}", "result", "success",
		0, "errors", "code", code, "message", text, "messages"));
}

static void
answer(struct magic *m, json_t *result)
{
	http_error(m->res, 200,
	    json_pack("{s:o, s:b, s:[], s:[]}", "result", result, "success", 1,
		"errors", "messages"));
}

/*
 * Counts and says what is left, as every answer of the real one does; all
 * tokens of the simulation are one user's.  Returns -1 when over the limit.
 */
static int
rate_limit(struct response *res)
{
	static int64_t since;
	static int used;
	int64_t now = mono_ms();
	int left, reset;
	char text[64];

	if (since == 0 || now - since >= RATE_WINDOW_MS) {
		since = now;
		used = 0;
	}
	used++;
	reset = (int)((RATE_WINDOW_MS - (now - since) + 999) / 1000);
	left = sim.set.cf_rate_limit - used;
	if (sim.set.cf_rate_limit == 0)
		left = 1200;
	snprintf(text, sizeof(text), "\"default\";r=%d;t=%d",
	    left > 0 ? left : 0, reset);
	http_header(res, "Ratelimit", text);
	snprintf(text, sizeof(text), "\"default\";q=%d;w=300",
	    sim.set.cf_rate_limit == 0 ? 1200 : sim.set.cf_rate_limit);
	http_header(res, "Ratelimit-Policy", text);
	if (left >= 0)
		return (0);
	snprintf(text, sizeof(text), "%d", reset);
	http_header(res, "Retry-After", text);
	cloudflare_error(res, 429, 971,
	    "Please wait and consider throttling your request speed");
	return (-1);
}

static int
check_token(struct magic *m)
{
	const char *authz = m->req->authz;
	json_t *tokens, *chain;

	if (authz == NULL || strncmp(authz, "Bearer ", 7) != 0 ||
	    strpbrk(authz + 7, " \t") != NULL || authz[7] == '\0') {
		cloudflare_error(m->res, 400, 6003, "Invalid request headers");
		chain = json_pack("[{s:i, s:s}]", "code", 6111, "message",
		    "Invalid format for Authorization header");
		json_object_set_new(
		    json_array_get(json_object_get(m->res->json, "errors"), 0),
		    "error_chain", chain);
		return (-1);
	}
	tokens = json_object_get(json_object_get(sim.world, "cloudflare"),
	    "tokens");
	m->token = json_object_get(tokens, authz + 7);
	return (0);
}

/* Is the word in the list?  An absent list has every word in it. */
static bool
listed(json_t *list, const char *word)
{
	json_t *one;
	size_t i;

	if (list == NULL)
		return (true);
	json_array_foreach(list, i, one) {
		if (json_is_string(one) &&
		    strcmp(json_string_value(one), word) == 0)
			return (true);
	}
	return (false);
}

static void
token_verify(struct magic *m, const char *kind)
{
	const char *have = json_str(m->token, "kind");
	const char *status = json_str(m->token, "status");
	json_t *result, *message;

	if (have == NULL)
		have = "user";
	if (m->token == NULL || strcmp(have, kind) != 0) {
		cloudflare_error(m->res, 401, 1000, "Invalid API Token");
		return;
	}
	if (status == NULL)
		status = "active";
	result = json_pack("{s:O*, s:s, s:O*, s:O*}", "id",
	    json_object_get(m->token, "id"), "status", status, "not_before",
	    json_object_get(m->token, "not_before"), "expires_on",
	    json_object_get(m->token, "expires_on"));
	answer(m, result);
	if (strcmp(status, "active") != 0)
		return;
	message = json_pack("{s:i, s:s, s:n}", "code", 10000, "message",
	    "This API Token is valid and active", "type");
	json_array_append_new(json_object_get(m->res->json, "messages"),
	    message);
}

/* The account, if it is there and the token may do this to it. */
static int
check_account(struct magic *m, const char *id, const char *permission)
{
	const char *status = json_str(m->token, "status");

	if (m->token == NULL ||
	    (status != NULL && strcmp(status, "active") != 0)) {
		cloudflare_error(m->res, 401, 10000, "Authentication error");
		return (-1);
	}
	m->account = json_object_get(
	    json_object_get(json_object_get(sim.world, "cloudflare"),
		"accounts"),
	    id);
	if (m->account == NULL ||
	    !listed(json_object_get(m->token, "accounts"), id) ||
	    !listed(json_object_get(m->token, "permissions"), permission)) {
		cloudflare_error(m->res, 403, 10000, "Authentication error");
		return (-1);
	}
	if (!json_is_array(json_object_get(m->account, "routes"))) {
		cloudflare_error(m->res, 403, 1012,
		    "Account is not onboarded to Magic Transit");
		return (-1);
	}
	return (0);
}

static json_t *
route_by_id(json_t *routes, const char *id, size_t *where)
{
	const char *known;
	json_t *route;
	size_t i;

	json_array_foreach(routes, i, route) {
		known = json_str(route, "id");
		if (known == NULL || id == NULL || strcmp(known, id) != 0)
			continue;
		if (where != NULL)
			*where = i;
		return (route);
	}
	return (NULL);
}

static int
bad_body(struct magic *m, const char *what, const char *key)
{
	char *text;

	text = xasprintf("Invalid Request: json: %s \"%s\"", what, key);
	cloudflare_error(m->res, 400, 1022, text);
	free(text);
	return (-1);
}

/* Is the member one that may be written, and of the right type? */
static bool
member_good(const char *key, json_t *value, bool with_id)
{
	const char *sub;
	json_t *list;

	if (strcmp(key, "id") == 0)
		return (with_id && json_string_length(value) > 0 &&
		    json_string_length(value) <= 32);
	if (strcmp(key, "prefix") == 0 || strcmp(key, "nexthop") == 0 ||
	    strcmp(key, "description") == 0)
		return (json_is_string(value));
	if (strcmp(key, "priority") == 0 || strcmp(key, "weight") == 0)
		return (
		    json_is_integer(value) && json_integer_value(value) >= 0);
	if (strcmp(key, "scope") != 0 || !json_is_object(value))
		return (false);
	json_object_foreach(value, sub, list) {
		if ((strcmp(sub, "colo_names") != 0 &&
			strcmp(sub, "colo_regions") != 0) ||
		    !json_is_array(list))
			return (false);
	}
	return (true);
}

static int
check_route(struct magic *m, json_t *route, bool with_id)
{
	static const char *required[] = { "prefix", "nexthop", "priority" };
	struct prefix p;
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(route))
		return (bad_body(m, "cannot unmarshal into route", ""));
	json_object_foreach(route, key, value) {
		if (!member_good(key, value, with_id))
			return (bad_body(m, "unknown or wrong field", key));
	}
	if (with_id && json_object_get(route, "id") == NULL)
		return (bad_body(m, "missing field", "id"));
	for (i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		if (json_object_get(route, required[i]) == NULL)
			return (bad_body(m, "missing field", required[i]));
	if (prefix_parse(json_str(route, "prefix"), &p) == -1)
		return (bad_body(m, "wrong field", "prefix"));
	if (!address_valid(json_str(route, "nexthop")))
		return (bad_body(m, "wrong field", "nexthop"));
	return (0);
}

/* What would be stored: what was left out is gone, but for the dates. */
static json_t *
route_stored(json_t *old, json_t *wanted, const char *id)
{
	char stamp[64];
	json_t *route;

	stamp_cloudflare(stamp, sizeof(stamp));
	route = json_deep_copy(wanted);
	json_object_set_new(route, "id", jstr(id));
	if (json_object_get(old, "created_on") != NULL)
		json_object_set(route, "created_on",
		    json_object_get(old, "created_on"));
	json_object_set_new(route, "modified_on", json_string(stamp));
	return (route);
}

/* Does the route say what is stored already, dates aside? */
static bool
route_same(json_t *old, json_t *wanted, const char *id)
{
	json_t *a, *b;
	bool same;

	a = json_copy(old);
	b = json_copy(wanted);
	json_object_del(a, "created_on");
	json_object_del(a, "modified_on");
	json_object_set_new(b, "id", jstr(id));
	same = json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return (same);
}

/*
 * Stores the first n of the wanted routes and returns those, in the order
 * of the request; NULL if nothing would change.
 */
static json_t *
routes_apply(struct magic *m, json_t *wanted, const char *one_id, size_t n)
{
	json_t *routes, *before, *modified = json_array(), *route, *old;
	bool changed = false;
	const char *id;
	size_t i, where = 0;

	routes = json_object_get(m->account, "routes");
	before = json_copy(routes);
	for (i = 0; i < n; i++) {
		route = json_array_get(wanted, i);
		id = one_id != NULL ? one_id : json_str(route, "id");
		old = route_by_id(routes, id, &where);
		if (!route_same(old, route, id))
			changed = true;
		route = route_stored(old, route, id);
		json_array_append(modified, route);
		json_array_set_new(routes, where, route);
	}
	if (changed) {
		magic_diff(before, routes, "put");
		world_changed();
	} else {
		/* Not even the date of change moves. */
		json_array_clear(routes);
		json_array_extend(routes, before);
		json_decref(modified);
		modified = NULL;
	}
	json_decref(before);
	return (modified);
}

/*
 * True if the query says so; then nothing must be stored, and success is all
 * that is said.  Like other parameters that the server does not know, it may
 * be ignored.
 */
static bool
validate_only(struct magic *m)
{
	char *value;
	bool yes;

	value = query_get(m->req->query, "validate_only");
	yes = value != NULL && strcmp(value, "true") == 0;
	free(value);
	return (yes && sim.set.cf_validate);
}

static json_t *
routes_put(struct magic *m, json_t *wanted, const char *one_id)
{
	size_t n = json_array_size(wanted);
	json_t *modified;

	if (sim.set.cf_mode == CF_NOT_MODIFIED)
		return (NULL);
	if (sim.set.cf_mode == CF_PARTIAL) {
		modified = routes_apply(m, wanted, one_id, (n + 1) / 2);
		return (modified != NULL ? modified : json_array());
	}
	return (routes_apply(m, wanted, one_id, n));
}

static void
routes_bulk(struct magic *m)
{
	json_t *routes, *wanted, *route, *modified;
	size_t i, where;
	const char *id;

	routes = json_object_get(m->account, "routes");
	wanted = json_object_get(m->req->json, "routes");
	if (json_object_size(m->req->json) != 1 || !json_is_array(wanted) ||
	    json_array_size(wanted) == 0 ||
	    json_array_size(wanted) > MAX_MAGIC_ROUTES) {
		(void)bad_body(m, "cannot unmarshal into", "routes");
		return;
	}
	json_array_foreach(wanted, i, route) {
		if (check_route(m, route, true) == -1)
			return;
		id = json_str(route, "id");
		if (route_by_id(routes, id, NULL) == NULL) {
			cloudflare_error(m->res, 404, 1020, "Route not found");
			return;
		}
		if (route_by_id(wanted, id, &where) != NULL && where != i) {
			(void)bad_body(m, "duplicate", "id");
			return;
		}
	}
	if (validate_only(m)) {
		answer(m, json_null());
		return;
	}
	modified = routes_put(m, wanted, NULL);
	answer(m,
	    json_pack("{s:b, s:o}", "modified", modified != NULL,
		"modified_routes", modified != NULL ? modified : json_array()));
}

static void
route_one(struct magic *m, const char *id)
{
	json_t *route, *wanted, *modified, *result;

	route = route_by_id(json_object_get(m->account, "routes"), id, NULL);
	if (route == NULL) {
		cloudflare_error(m->res, 404, 1020, "Route not found");
		return;
	}
	if (strcmp(m->req->method, "GET") == 0) {
		answer(m, json_pack("{s:O}", "route", route));
		return;
	}
	if (check_route(m, m->req->json, false) == -1)
		return;
	if (validate_only(m)) {
		answer(m, json_null());
		return;
	}
	wanted = json_pack("[O]", m->req->json);
	modified = routes_put(m, wanted, id);
	json_decref(wanted);
	result = json_pack("{s:b}", "modified", json_array_size(modified) > 0);
	if (json_array_size(modified) > 0)
		json_object_set(result, "modified_route",
		    json_array_get(modified, 0));
	json_decref(modified);
	answer(m, result);
}

static void
routes_handle(struct magic *m)
{
	bool get = strcmp(m->req->method, "GET") == 0;

	if (m->req->forbidden) {
		cloudflare_error(m->res, 405, 10405,
		    "Method not allowed for this authentication scheme");
		return;
	}
	if (check_account(m, m->seg[1], get ? "read" : "write") == -1)
		return;
	if (m->nseg == 5)
		route_one(m, m->seg[4]);
	else if (!get)
		routes_bulk(m);
	else
		answer(m,
		    json_pack("{s:O}", "routes",
			json_object_get(m->account, "routes")));
}

static bool
path_is(struct magic *m, size_t at, const char *a, const char *b)
{
	return (m->nseg >= at + 2 && strcmp(m->seg[at], a) == 0 &&
	    strcmp(m->seg[at + 1], b) == 0);
}

enum magic_call {
	MAGIC_UNKNOWN,
	MAGIC_VERIFY_USER,
	MAGIC_VERIFY_ACCOUNT,
	MAGIC_ROUTES,
};

static enum magic_call
find_path(struct magic *m)
{
	bool account = m->nseg > 0 && strcmp(m->seg[0], "accounts") == 0;

	if (m->nseg == 3 && path_is(m, 1, "tokens", "verify") &&
	    strcmp(m->seg[0], "user") == 0)
		return (MAGIC_VERIFY_USER);
	if (m->nseg == 4 && path_is(m, 2, "tokens", "verify") && account)
		return (MAGIC_VERIFY_ACCOUNT);
	if ((m->nseg == 4 || m->nseg == 5) &&
	    path_is(m, 2, "magic", "routes") && account)
		return (MAGIC_ROUTES);
	return (MAGIC_UNKNOWN);
}

/* Names the call.  Whatever neither gets nor puts must never be sent. */
static enum magic_call
find_call(struct magic *m)
{
	struct request *req = m->req;
	bool get = strcmp(req->method, "GET") == 0;
	bool put = strcmp(req->method, "PUT") == 0, one = m->nseg == 5;
	enum magic_call which = find_path(m);

	req->write = !get;
	req->forbidden = !get && !(put && which == MAGIC_ROUTES);
	switch (which) {
	case MAGIC_UNKNOWN:
		req->op = "cloudflare.unknown";
		break;
	case MAGIC_VERIFY_USER:
	case MAGIC_VERIFY_ACCOUNT:
		req->op = "tokens.verify";
		break;
	case MAGIC_ROUTES:
		if (req->forbidden)
			req->op = "magic.routes.forbidden";
		else if (get)
			req->op = one ? "magic.routes.get" :
					"magic.routes.list";
		else
			req->op = one ? "magic.routes.update" :
					"magic.routes.bulk";
		break;
	}
	return (which);
}

void
magic_classify(struct request *req)
{
	struct magic m = { .req = req };
	char *path;

	path = xstrdup(req->path + strlen("/client/v4"));
	m.nseg = path_split(path, m.seg, MAX_PATH_SEGMENTS);
	(void)find_call(&m);
	free(path);
}

void
magic_handle(struct request *req, struct response *res)
{
	struct magic m = { .req = req, .res = res };
	enum magic_call which;
	char *path;

	res->ctype = "application/json";
	path = xstrdup(req->path + strlen("/client/v4"));
	m.nseg = path_split(path, m.seg, MAX_PATH_SEGMENTS);
	which = find_call(&m);
	if (rate_limit(res) == 0 && check_token(&m) == 0) {
		if (which == MAGIC_ROUTES)
			routes_handle(&m);
		else if (which == MAGIC_UNKNOWN || req->forbidden)
			cloudflare_error(res, req->forbidden ? 405 : 404, 7003,
			    "Could not route to the requested path");
		else
			token_verify(&m,
			    which == MAGIC_VERIFY_USER ? "user" : "account");
	}
	free(path);
}

static void
route_event(const char *event, json_t *route, json_t *from, json_t *to,
    const char *who)
{
	journal_event(json_pack("{s:s, s:O*, s:O*, s:O*, s:O*, s:O*, s:O*,"
				" s:s}",
	    "event", event, "id", json_object_get(route, "id"), "prefix",
	    json_object_get(route, "prefix"), "nexthop",
	    json_object_get(route, "nexthop"), "description",
	    json_object_get(route, "description"), "from", from, "to", to, "by",
	    who));
}

/* Anything but priority and date: weight, scope, description, next hop. */
static void
route_diff_rest(json_t *old, json_t *route, const char *who)
{
	json_t *a, *b;

	a = json_without(old, "priority");
	b = json_without(route, "priority");
	json_object_del(a, "modified_on");
	json_object_del(b, "modified_on");
	if (!json_equal(a, b))
		route_event("route_changed", route, a, b, who);
	json_decref(a);
	json_decref(b);
}

/* Tells the journal how one list of routes became another. */
void
magic_diff(json_t *before, json_t *after, const char *who)
{
	json_t *route, *old, *from, *to;
	size_t i;

	json_array_foreach(after, i, route) {
		old = route_by_id(before, json_str(route, "id"), NULL);
		from = json_object_get(old, "priority");
		to = json_object_get(route, "priority");
		if (old == NULL) {
			route_event("route_added", route, NULL, to, who);
			continue;
		}
		if (from == NULL || to == NULL || !json_equal(from, to))
			route_event("route_priority", route, from, to, who);
		route_diff_rest(old, route, who);
	}
	json_array_foreach(before, i, old) {
		if (route_by_id(after, json_str(old, "id"), NULL) == NULL)
			route_event("route_removed", old,
			    json_object_get(old, "priority"), NULL, who);
	}
}
