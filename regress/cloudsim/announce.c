/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * What each BGP peer has really been told.  Follows the routers' effective
 * configuration after advert_lag_ms; a session that ends takes its routes
 * with it at once.
 */

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include <bsd/sys/tree.h>

#include "cloudsim.h"

/* How long the sessions of a new world have been up. */
#define INITIAL_UPTIME_MS (61773LL * 1000)

/* What one peer will be told, and when. */
struct pending {
	TAILQ_ENTRY(pending) entry;
	struct rstate *rs;
	struct event *timer;
	char *peer;
	json_t *routes;
};

struct rstate {
	RB_ENTRY(rstate) entry;
	char *key;	/* project/region/router */
	json_t *want;	/* peer -> routes, sessions alive */
	json_t *told;	/* the same, after the lag */
	json_t *status; /* peer -> status text */
	json_t *since;	/* peer -> mono_ms when it came up */
	bool seen;
	TAILQ_HEAD(, pending) pending;
};

static int
rstate_cmp(struct rstate *a, struct rstate *b)
{
	return (strcmp(a->key, b->key));
}

RB_HEAD(rtree, rstate);
static struct rtree states = RB_INITIALIZER(&states);
RB_PROTOTYPE(rtree, rstate, entry, rstate_cmp)
RB_GENERATE(rtree, rstate, entry, rstate_cmp)

static struct rstate *
rstate_find(const char *key)
{
	struct rstate find = { .key = (char *)(uintptr_t)key };

	return (RB_FIND(rtree, &states, &find));
}

static struct rstate *
rstate_get(const char *key)
{
	struct rstate *rs;

	rs = rstate_find(key);
	if (rs != NULL)
		return (rs);
	rs = xcalloc(1, sizeof(*rs));
	rs->key = xstrdup(key);
	rs->told = json_object();
	rs->status = json_object();
	rs->since = json_object();
	TAILQ_INIT(&rs->pending);
	RB_INSERT(rtree, &states, rs);
	return (rs);
}

static void
pending_free(struct pending *p)
{
	TAILQ_REMOVE(&p->rs->pending, p, entry);
	event_free(p->timer);
	json_decref(p->routes);
	free(p->peer);
	free(p);
}

/* Nothing that this peer (or any, with NULL) waits for will come. */
static void
pending_drop(struct rstate *rs, const char *peer)
{
	struct pending *p, *next;

	for (p = TAILQ_FIRST(&rs->pending); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (peer == NULL || strcmp(p->peer, peer) == 0)
			pending_free(p);
	}
}

static void
rstate_free(struct rstate *rs)
{
	pending_drop(rs, NULL);
	RB_REMOVE(rtree, &states, rs);
	free(rs->key);
	json_decref(rs->want);
	json_decref(rs->told);
	json_decref(rs->status);
	json_decref(rs->since);
	free(rs);
}

static bool
text_is(json_t *obj, const char *key, const char *text)
{
	const char *s = json_str(obj, key);

	return (s != NULL && strcmp(s, text) == 0);
}

static bool
peer_enabled(json_t *peer)
{
	return (!text_is(peer, "enable", "FALSE"));
}

/*
 * Does the session carry routes?  UP says so; a test that wants a status to
 * lie (planned maintenance shows DOWN while traffic flows) sets session_up.
 */
static bool
session_alive(json_t *router, json_t *peer)
{
	const char *name = json_str(peer, "name");
	json_t *status, *really;

	status = json_object_get(json_object_get(router, "peer_status"),
	    name != NULL ? name : "");
	really = json_object_get(status, "session_up");
	if (json_is_boolean(really))
		return (json_is_true(really));
	return (text_is(status, "status", "UP"));
}

static void
add_route(json_t *routes, json_t *router, json_t *peer, const char *range,
    bool subnet)
{
	json_t *priority, *route, *ip;

	priority = json_object_get(peer, "advertisedRoutePriority");
	ip = json_object_get(peer, "ipAddress");
	route = json_pack("{s:s, s:O*, s:s, s:I, s:O*, s:s*}", "kind",
	    "compute#route", "network", json_object_get(router, "network"),
	    "destRange", range, "priority",
	    json_is_integer(priority) ? json_integer_value(priority) :
					(json_int_t)100,
	    "nextHopIp", ip, "routeType", subnet ? "SUBNET" : NULL);
	if (route != NULL)
		json_array_append_new(routes, route);
}

static bool
is_subnet(json_t *subnets, const char *range)
{
	json_t *one;
	size_t i;

	json_array_foreach(subnets, i, one) {
		if (prefix_same_text(json_string_value(one), range))
			return (true);
	}
	return (false);
}

/* The effective advertisement to one peer: its own level, or the router's. */
static json_t *
peer_routes(json_t *region, json_t *router, json_t *peer)
{
	json_t *routes = json_array(), *level, *subnets, *one;
	bool custom, all;
	size_t i;

	level = text_is(peer, "advertiseMode", "CUSTOM") ?
	    peer :
	    json_object_get(router, "bgp");
	custom = text_is(level, "advertiseMode", "CUSTOM");
	subnets = json_object_get(region, "subnets");
	all = !custom ||
	    json_array_size(json_object_get(level, "advertisedGroups")) > 0;
	if (all) {
		json_array_foreach(subnets, i, one) {
			if (json_is_string(one))
				add_route(routes, router, peer,
				    json_string_value(one), true);
		}
	}
	if (!custom)
		return (routes);
	json_array_foreach(json_object_get(level, "advertisedIpRanges"), i,
	    one) {
		const char *range = json_str(one, "range");

		/* What is a subnet route already is ignored. */
		if (range != NULL && !(all && is_subnet(subnets, range)))
			add_route(routes, router, peer, range, false);
	}
	return (routes);
}

static json_t *
router_wants(json_t *region, json_t *router)
{
	json_t *want = json_object(), *peer;
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(router, "bgpPeers"), i, peer) {
		name = json_str(peer, "name");
		if (name != NULL && peer_enabled(peer) &&
		    session_alive(router, peer))
			json_object_set_new(want, name,
			    peer_routes(region, router, peer));
	}
	return (want);
}

/* Prefixes that at least one peer is told, as the keys of an object. */
static json_t *
told_union(json_t *told)
{
	json_t *all = json_object(), *routes, *route;
	const char *peer, *range;
	size_t i;

	json_object_foreach(told, peer, routes) {
		json_array_foreach(routes, i, route) {
			range = json_str(route, "destRange");
			if (range != NULL)
				json_object_set_new(all, range, json_true());
		}
	}
	return (all);
}

static void
told_events(const char *event, const char *key, json_t *from, json_t *to)
{
	const char *range;
	json_t *value;

	json_object_foreach(to, range, value) {
		if (json_object_get(from, range) == NULL)
			journal_event(json_pack("{s:s, s:s, s:s}", "event",
			    event, "router", key, "prefix", range));
	}
}

/* Takes over the new set and tells the journal what became of it. */
static void
told_set(struct rstate *rs, json_t *told)
{
	json_t *before, *after;

	before = told_union(rs->told);
	after = told_union(told);
	told_events("withdrawn", rs->key, after, before);
	told_events("advertised", rs->key, before, after);
	json_decref(before);
	json_decref(after);
	json_decref(rs->told);
	rs->told = told;
}

static void
pending_fire(evutil_socket_t fd, short what, void *arg)
{
	struct pending *p = arg;
	struct rstate *rs = p->rs;
	json_t *told;

	(void)fd;
	(void)what;
	told = json_copy(rs->told);
	json_object_set(told, p->peer, p->routes);
	pending_free(p);
	told_set(rs, told);
	clockwork_eval();
}

static void
pending_add(struct rstate *rs, const char *peer, json_t *routes)
{
	struct pending *p;
	struct timeval tv;

	p = xcalloc(1, sizeof(*p));
	p->rs = rs;
	p->peer = xstrdup(peer);
	p->routes = json_incref(routes);
	p->timer = evtimer_new(sim.base, pending_fire, p);
	tv.tv_sec = sim.set.advert_lag_ms / 1000;
	tv.tv_usec = (sim.set.advert_lag_ms % 1000) * 1000;
	evtimer_add(p->timer, &tv);
	TAILQ_INSERT_TAIL(&rs->pending, p, entry);
}

/* Sessions that ended lose their routes now, others change after the lag. */
static void
follow_wants(struct rstate *rs, json_t *old)
{
	json_t *told, *routes, *was;
	const char *peer;

	told = json_copy(rs->told);
	json_object_foreach(old, peer, routes) {
		if (json_object_get(rs->want, peer) != NULL)
			continue;
		pending_drop(rs, peer);
		json_object_del(told, peer);
	}
	told_set(rs, told);
	json_object_foreach(rs->want, peer, routes) {
		was = json_object_get(old, peer);
		if (was == NULL || !json_equal(was, routes))
			pending_add(rs, peer, routes);
	}
}

/* Notices sessions that came and went. */
static void
sync_status(struct rstate *rs, json_t *router, bool first)
{
	json_t *peers, *one, *was, *now;
	const char *name;

	peers = json_object_get(router, "peer_status");
	json_object_foreach(peers, name, one) {
		was = json_object_get(rs->status, name);
		now = json_object_get(one, "status");
		if (now == NULL)
			now = json_null();
		if (was != NULL && json_equal(was, now))
			continue;
		if (text_is(one, "status", "UP"))
			json_object_set_new(rs->since, name,
			    json_integer(
				mono_ms() - (first ? INITIAL_UPTIME_MS : 0)));
		if (!first)
			journal_event(json_pack("{s:s, s:s, s:s, s:O?, s:O}",
			    "event", "bgp", "router", rs->key, "peer", name,
			    "from", was, "to", now));
		json_object_set(rs->status, name, now);
	}
}

static bool
sync_router(const char *key, json_t *region, json_t *router)
{
	struct rstate *rs;
	json_t *want, *old;
	bool first;

	rs = rstate_get(key);
	rs->seen = true;
	first = rs->want == NULL;
	sync_status(rs, router, first);
	want = router_wants(region, router);
	if (!first && json_equal(want, rs->want)) {
		json_decref(want);
		return (false);
	}
	old = rs->want;
	rs->want = want;
	if (first || sim.set.advert_lag_ms == 0) {
		pending_drop(rs, NULL);
		told_set(rs, json_incref(want));
	} else
		follow_wants(rs, old);
	json_decref(old);
	return (true);
}

static bool
sync_region(const char *project, const char *name, json_t *region)
{
	bool changed = false;
	json_t *router;
	const char *rname;
	char *key;

	json_object_foreach(json_object_get(region, "routers"), rname, router) {
		key = xasprintf("%s/%s/%s", project, name, rname);
		if (sync_router(key, region, router))
			changed = true;
		free(key);
	}
	return (changed);
}

/* Follows the world; true if some router has, or will have, other routes. */
bool
announce_sync(void)
{
	struct rstate *rs, *next;
	json_t *project, *region;
	const char *pname, *rname;
	bool changed = false;

	RB_FOREACH(rs, rtree, &states)
		rs->seen = false;
	json_object_foreach(json_object_get(sim.world, "projects"), pname,
	    project) {
		json_object_foreach(json_object_get(project, "regions"), rname,
		    region) {
			if (sync_region(pname, rname, region))
				changed = true;
		}
	}
	for (rs = RB_MIN(rtree, &states); rs != NULL; rs = next) {
		next = RB_NEXT(rtree, &states, rs);
		if (!rs->seen) {
			rstate_free(rs);
			changed = true;
		}
	}
	return (changed);
}

/* A world from scratch: all is told as it should be, without any lag. */
void
announce_reset(void)
{
	while (!RB_EMPTY(&states))
		rstate_free(RB_MIN(rtree, &states));
}

json_t *
announce_told(const char *key, const char *peer)
{
	struct rstate *rs = rstate_find(key);

	return (rs != NULL ? json_object_get(rs->told, peer) : NULL);
}

int64_t
announce_up_since(const char *key, const char *peer)
{
	struct rstate *rs = rstate_find(key);

	return (rs == NULL ?
		mono_ms() :
		json_integer_value(json_object_get(rs->since, peer)));
}

/* Is at least one peer of the router told this prefix? */
bool
announce_has(const char *key, const struct prefix *p)
{
	struct rstate *rs = rstate_find(key);
	json_t *routes, *route;
	struct prefix q;
	const char *peer;
	size_t i;

	if (rs == NULL)
		return (false);
	json_object_foreach(rs->told, peer, routes) {
		json_array_foreach(routes, i, route) {
			if (prefix_parse(json_str(route, "destRange"), &q) ==
				0 &&
			    prefix_equal(p, &q))
				return (true);
		}
	}
	return (false);
}

/* Has the router any session that carries routes? */
bool
announce_alive(const char *key)
{
	struct rstate *rs = rstate_find(key);

	return (rs != NULL && json_object_size(rs->want) > 0);
}
