/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <string.h>

#include "gcp.h"
#include "log.h"
#include "pick.h"

/*
 * Magic Transit static routes: which are ours, which have the wrong priority,
 * and the body of the bulk update that changes that and nothing else.  Pure:
 * nothing here does I/O.
 */

static const char *const required[] = { "id", "prefix", "nexthop" };
static const char *const optional[] = { "weight", "scope", "description" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
matches(const json_t *route, const char *text)
{
	const char *description = json_text(route, "description");

	return (description != NULL && strstr(description, text) != NULL);
}

static const char *
route_name(const json_t *route)
{
	const char *id = json_text(route, "id");

	return (id == NULL ? "without id" : id);
}

/* A route that we would write must have what a write needs. */
static bool
is_whole(const json_t *route)
{
	size_t i;

	for (i = 0; i < COUNT(required); i++)
		if (json_text(route, required[i]) == NULL)
			return (false);
	return (json_is_integer(json_object_get(route, "priority")));
}

static int
pick_one(json_t *route, const struct picker *picker, json_t *ours, char *why,
    size_t len)
{
	char name[64];
	size_t i;

	if (!matches(route, picker->match))
		return (0);
	text_clean(route_name(route), name, sizeof(name));
	for (i = 0; i < picker->nothers; i++) {
		if (!matches(route, picker->others[i]))
			continue;
		snprintf(why, len,
		    "route %s matches \"%s\" and \"%s\": it is "
		    "written by neither",
		    name, picker->match, picker->others[i]);
		return (-1);
	}
	if (!is_whole(route)) {
		snprintf(why, len,
		    "route %s lacks id, prefix, nexthop or "
		    "priority",
		    name);
		return (-1);
	}
	json_array_append(ours, route);
	return (0);
}

/*
 * Find our routes in an answer of the route list, by their description, as
 * bytes.  Returns -1 and why if there are none, not as many as expected, or
 * one that is not ours alone; else 0 with a list that the caller releases.
 */
int
pick_routes(const json_t *list, const struct picker *picker, json_t **ours,
    char *why, size_t len)
{
	const json_t *routes;
	json_t *route;
	size_t i, n;

	*ours = NULL;
	routes = json_object_get(json_object_get(list, "result"), "routes");
	if (!json_is_object(json_object_get(list, "result")) ||
	    (routes != NULL && !json_is_null(routes) &&
		!json_is_array(routes))) {
		snprintf(why, len, "the answer has no list of routes");
		return (-1);
	}
	*ours = json_array();
	json_array_foreach(routes, i, route)
		if (pick_one(route, picker, *ours, why, len) == -1)
			goto fail;
	n = json_array_size(*ours);
	if (n == 0) {
		snprintf(why, len, "no route matches \"%s\"", picker->match);
		goto fail;
	}
	if (picker->expect >= 0 && n != (size_t)picker->expect) {
		snprintf(why, len, "%zu routes match \"%s\", expected %d", n,
		    picker->match, (int)picker->expect);
		goto fail;
	}
	return (0);
fail:
	json_decref(*ours);
	*ours = NULL;
	return (-1);
}

static json_int_t
priority_of(const json_t *route)
{
	return (json_integer_value(json_object_get(route, "priority")));
}

/* Those of our routes that have another priority.  Caller releases. */
json_t *
pick_differing(const json_t *ours, json_int_t priority)
{
	json_t *list = json_array();
	json_t *route;
	size_t i;

	json_array_foreach(ours, i, route)
		if (priority_of(route) != priority)
			json_array_append(list, route);
	return (list);
}

/* Everything of a route that can be written, as read, but for its priority. */
static json_t *
writable(const json_t *route, json_int_t priority)
{
	json_t *copy = json_object();
	json_t *value;
	size_t i;

	for (i = 0; i < COUNT(required); i++)
		json_object_set(copy, required[i],
		    json_object_get(route, required[i]));
	json_object_set_new(copy, "priority", json_integer(priority));
	for (i = 0; i < COUNT(optional); i++) {
		value = json_object_get(route, optional[i]);
		if (value != NULL && !json_is_null(value))
			json_object_set(copy, optional[i], value);
	}
	return (copy);
}

/*
 * Add the routes from the given one on to those of a bulk update, with that
 * priority, as many as one call may carry.  Returns how many were added.
 */
size_t
pick_add(json_t *routes, const json_t *differing, size_t from,
    json_int_t priority)
{
	size_t i;

	for (i = from; i < json_array_size(differing) &&
	     json_array_size(routes) < BULK_MAX;
	     i++)
		json_array_append_new(routes,
		    writable(json_array_get(differing, i), priority));
	return (i - from);
}

static const json_t *
find_id(const json_t *routes, const char *id)
{
	const char *other;
	json_t *route;
	size_t i;

	json_array_foreach(routes, i, route) {
		other = json_text(route, "id");
		if (other != NULL && strcmp(other, id) == 0)
			return (route);
	}
	return (NULL);
}

/*
 * The body of a bulk update that would leave the routes from the given one on,
 * as many as one call may carry, as they are.  Caller releases.
 */
json_t *
pick_unchanged(const json_t *ours, size_t from)
{
	json_t *routes = json_array();
	json_t *route;
	size_t i;

	for (i = from; i < json_array_size(ours) && i - from < BULK_MAX; i++) {
		route = json_array_get(ours, i);
		json_array_append_new(routes,
		    writable(route, priority_of(route)));
	}
	return (json_pack("{s:o}", "routes", routes));
}

static bool
is_unchanged(const json_t *route, const json_t *ours)
{
	const char *id = json_text(route, "id");
	const json_t *listed = id == NULL ? NULL : find_id(ours, id);
	json_t *same;
	bool equal;

	if (listed == NULL)
		return (false);
	same = writable(listed, priority_of(listed));
	equal = json_equal(route, same);
	json_decref(same);
	return (equal);
}

/*
 * The last look before an update that the server is asked to validate only:
 * is every route in the body one of those in the list that are ours, ours
 * alone, and as it is there?
 */
bool
pick_only_unchanged(const json_t *body, const json_t *list,
    const struct picker *picker)
{
	const json_t *routes = json_object_get(body, "routes");
	json_t *ours, *route;
	char why[REASON_LEN];
	bool good;
	size_t i;

	if (json_object_size(body) != 1 || json_array_size(routes) == 0 ||
	    json_array_size(routes) > BULK_MAX ||
	    pick_routes(list, picker, &ours, why, sizeof(why)) == -1)
		return (false);
	good = true;
	json_array_foreach(routes, i, route)
		good = good && is_unchanged(route, ours);
	json_decref(ours);
	return (good);
}

/* Have our routes kept everything else?  Both lists are of our routes. */
bool
pick_unharmed(const json_t *before, const json_t *after)
{
	json_t *route, *x, *y;
	const json_t *now;
	size_t i;
	bool equal = true;

	json_array_foreach(before, i, route) {
		now = find_id(after, json_text(route, "id"));
		if (now == NULL)
			return (false);
		x = writable(route, 0);
		y = writable(now, 0);
		equal = equal && json_equal(x, y);
		json_decref(x);
		json_decref(y);
	}
	return (equal);
}

/* Does exactly one failover look after the route, may it be written, and has
 * it one of the two priorities that this one may give? */
static bool
is_ours(const json_t *route, const struct pick_owner *owner, size_t n)
{
	const struct pick_owner *found = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (owner[i].match == NULL || !matches(route, owner[i].match))
			continue;
		if (found != NULL)
			return (false);
		found = &owner[i];
	}
	return (found != NULL && found->may &&
	    json_is_integer(json_object_get(route, "priority")) &&
	    (priority_of(route) == found->priority ||
		priority_of(route) == found->failed));
}

/* The last look before a write: are all routes in the body ours, each with a
 * priority that it may get? */
bool
pick_only_ours(const json_t *body, const struct pick_owner *owner, size_t n)
{
	const json_t *routes = json_object_get(body, "routes");
	json_t *route;
	size_t i;

	if (json_array_size(routes) == 0 || json_array_size(routes) > BULK_MAX)
		return (false);
	json_array_foreach(routes, i, route)
		if (!is_ours(route, owner, n))
			return (false);
	return (true);
}
