/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * The judge.  For each prefix: which site Cloudflare steers it to, whether
 * that site announces it, and every interval in which it did not: a hole, in
 * which the traffic of a company would have vanished.  Evaluated at every
 * change, so that no hole is too short to be seen.
 */

#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "cloudsim.h"

#define NOWHERE "-"

struct watch {
	TAILQ_ENTRY(watch) entry;
	char *name;
	json_t *sites; /* steered to, as keys */
	json_t *open;  /* site -> its open hole */
	json_t *both;  /* open interval, or NULL */
	bool first;
};

static TAILQ_HEAD(, watch) watches = TAILQ_HEAD_INITIALIZER(watches);
static json_t *holes;
static json_t *boths;

static struct watch *
watch_get(const char *name)
{
	struct watch *w;

	TAILQ_FOREACH(w, &watches, entry)
		if (strcmp(w->name, name) == 0)
			return (w);
	w = xcalloc(1, sizeof(*w));
	w->name = xstrdup(name);
	w->sites = json_object();
	w->open = json_object();
	w->first = true;
	TAILQ_INSERT_TAIL(&watches, w, entry);
	return (w);
}

static char *
site_router(const char *site)
{
	const char *project, *region, *router;
	json_t *s;

	s = json_object_get(json_object_get(sim.world, "sites"), site);
	project = json_str(s, "project");
	region = json_str(s, "region");
	router = json_str(s, "router");
	return (xasprintf("%s/%s/%s", project != NULL ? project : "",
	    region != NULL ? region : "", router != NULL ? router : ""));
}

static bool
site_announces(const char *site, const struct prefix *p)
{
	char *key;
	bool yes;

	key = site_router(site);
	yes = announce_has(key, p);
	free(key);
	return (yes);
}

static const char *
site_of_nexthop(const char *nexthop)
{
	const char *site;
	json_t *s, *hop;
	size_t i;

	json_object_foreach(json_object_get(sim.world, "sites"), site, s) {
		json_array_foreach(json_object_get(s, "nexthops"), i, hop) {
			if (nexthop != NULL && json_is_string(hop) &&
			    strcmp(json_string_value(hop), nexthop) == 0)
				return (site);
		}
	}
	return (NOWHERE);
}

/*
 * The routes that win: of those for this very prefix the ones with the lowest
 * priority value.  Steering is by priority only: scopes are not looked at.
 */
static json_t *
winners(const struct prefix *p)
{
	json_t *list = json_array(), *account, *route, *prio;
	json_int_t best = 0, n;
	struct prefix q;
	const char *id;
	size_t i;

	json_object_foreach(
	    json_object_get(json_object_get(sim.world, "cloudflare"),
		"accounts"),
	    id, account) {
		json_array_foreach(json_object_get(account, "routes"), i,
		    route) {
			prio = json_object_get(route, "priority");
			if (!json_is_integer(prio) ||
			    prefix_parse(json_str(route, "prefix"), &q) == -1 ||
			    !prefix_equal(p, &q))
				continue;
			n = json_integer_value(prio);
			if (json_array_size(list) > 0 && n > best)
				continue;
			if (n < best)
				json_array_clear(list);
			best = n;
			json_array_append(list, route);
		}
	}
	return (list);
}

static json_t *
winning_sites(json_t *list)
{
	json_t *sites = json_object(), *route;
	size_t i;

	json_array_foreach(list, i, route) {
		json_object_set_new(sites,
		    site_of_nexthop(json_str(route, "nexthop")), json_true());
	}
	if (json_object_size(sites) == 0)
		json_object_set_new(sites, NOWHERE, json_true());
	return (sites);
}

static json_t *
announcers(const struct prefix *p)
{
	json_t *list = json_array(), *s;
	const char *site;

	json_object_foreach(json_object_get(sim.world, "sites"), site, s) {
		if (site_announces(site, p))
			json_array_append_new(list, jstr(site));
	}
	return (list);
}

/* What kind of change made the hole. */
static const char *
hole_cause(struct watch *w, const char *site)
{
	char *key;
	bool alive;

	if (w->first)
		return ("initial");
	if (json_object_get(w->sites, site) == NULL)
		return (strcmp(site, NOWHERE) == 0 ? "unrouted" : "steer");
	key = site_router(site);
	alive = announce_alive(key);
	free(key);
	return (alive ? "withdraw" : "bgp");
}

static json_t *
site_json(const char *site)
{
	return (strcmp(site, NOWHERE) == 0 ? json_null() : jstr(site));
}

static void
hole_event(const char *event, json_t *hole)
{
	json_t *e;

	e = json_pack("{s:s}", "event", event);
	json_object_update_missing(e, hole);
	journal_event(e);
}

static void
hole_open(struct watch *w, const char *site, const char *prefix, int64_t t)
{
	json_t *hole;

	hole = json_pack("{s:s, s:s, s:o, s:o, s:n, s:s}", "name", w->name,
	    "prefix", prefix, "site", site_json(site), "from", jtime(t), "to",
	    "cause", hole_cause(w, site));
	hole_event("hole_open", hole);
	json_object_set(w->open, site, hole);
	json_array_append_new(holes, hole);
}

static void
hole_close(struct watch *w, const char *site, int64_t t)
{
	json_t *hole = json_object_get(w->open, site);

	json_object_set_new(hole, "to", jtime(t));
	hole_event("hole_close", hole);
	json_object_del(w->open, site);
}

/* Announced from more than one site: harmless, but good to know. */
static void
both_note(struct watch *w, const char *prefix, size_t n, int64_t t)
{
	if (n > 1 && w->both == NULL) {
		w->both = json_pack("{s:s, s:s, s:o, s:n}", "name", w->name,
		    "prefix", prefix, "from", jtime(t), "to");
		json_array_append(boths, w->both);
	} else if (n <= 1 && w->both != NULL) {
		json_object_set_new(w->both, "to", jtime(t));
		json_decref(w->both);
		w->both = NULL;
	}
}

static void
steer_event(struct watch *w, const char *prefix, json_t *sites)
{
	json_t *from = json_array(), *to = json_array(), *v;
	const char *site;

	json_object_foreach(w->sites, site, v) {
		json_array_append_new(from, site_json(site));
	}
	json_object_foreach(sites, site, v) {
		json_array_append_new(to, site_json(site));
	}
	journal_event(json_pack("{s:s, s:s, s:s, s:o, s:o}", "event", "steered",
	    "name", w->name, "prefix", prefix, "from", from, "to", to));
}

static void
watch_eval(struct watch *w, const char *text, const struct prefix *p)
{
	json_t *list, *sites, *who, *v;
	int64_t t = now_ms();
	const char *site;
	void *tmp;
	bool good;

	list = winners(p);
	sites = winning_sites(list);
	who = announcers(p);
	if (!w->first && !json_equal(sites, w->sites))
		steer_event(w, text, sites);
	json_object_foreach_safe(w->open, tmp, site, v)
	{
		if (json_object_get(sites, site) == NULL ||
		    site_announces(site, p))
			hole_close(w, site, t);
	}
	json_object_foreach(sites, site, v) {
		good = site_announces(site, p);
		if (!good && json_object_get(w->open, site) == NULL)
			hole_open(w, site, text, t);
	}
	both_note(w, text, json_array_size(who), t);
	w->first = false;
	json_decref(w->sites);
	w->sites = sites;
	json_decref(list);
	json_decref(who);
}

void
clockwork_eval(void)
{
	struct prefix p;
	const char *name, *text;
	json_t *spec;

	if (holes == NULL)
		holes = json_array();
	if (boths == NULL)
		boths = json_array();
	json_object_foreach(json_object_get(sim.world, "prefixes"), name,
	    spec) {
		text = json_str(spec, "prefix");
		if (prefix_parse(text, &p) == 0)
			watch_eval(watch_get(name), text, &p);
	}
}

/* Forgets the past; what is wrong now counts as found so. */
void
clockwork_reset(void)
{
	struct watch *w;

	while ((w = TAILQ_FIRST(&watches)) != NULL) {
		TAILQ_REMOVE(&watches, w, entry);
		json_decref(w->sites);
		json_decref(w->open);
		json_decref(w->both);
		free(w->name);
		free(w);
	}
	json_decref(holes);
	json_decref(boths);
	holes = NULL;
	boths = NULL;
	clockwork_eval();
}

static double
hole_total(const char *name, int64_t now)
{
	json_t *hole, *to;
	double sum = 0, end;
	size_t i;

	json_array_foreach(holes, i, hole) {
		if (strcmp(json_str(hole, "name"), name) != 0)
			continue;
		to = json_object_get(hole, "to");
		end = json_is_real(to) ? json_real_value(to) :
					 (double)now / 1000.0;
		sum += end - json_real_value(json_object_get(hole, "from"));
	}
	return (sum);
}

static json_t *
prefix_json(const char *name, const char *text, json_t *spec, int64_t now)
{
	json_t *list, *sites, *who, *steered = json_array(), *v;
	struct prefix p;
	const char *site;
	bool good = true;

	(void)prefix_parse(text, &p);
	list = winners(&p);
	sites = winning_sites(list);
	who = announcers(&p);
	json_object_foreach(sites, site, v) {
		json_array_append_new(steered, site_json(site));
		if (!site_announces(site, &p))
			good = false;
	}
	v = json_pack("{s:s, s:O*, s:o, s:O, s:o, s:b, s:b, s:o, s:f}",
	    "prefix", text, "home", json_object_get(spec, "home"), "winners",
	    list, "site", json_array_get(steered, 0), "sites", steered,
	    "announced", good, "both", json_array_size(who) > 1, "announcers",
	    who, "hole_seconds", hole_total(name, now));
	json_decref(sites);
	return (v);
}

json_t *
clockwork_json(void)
{
	int64_t now = now_ms();
	json_t *all = json_object(), *spec;
	const char *name, *text;
	struct prefix p;

	json_object_foreach(json_object_get(sim.world, "prefixes"), name,
	    spec) {
		text = json_str(spec, "prefix");
		if (prefix_parse(text, &p) == 0)
			json_object_set_new(all, name,
			    prefix_json(name, text, spec, now));
	}
	return (json_pack("{s:o, s:o, s:O, s:O}", "now", jtime(now), "prefixes",
	    all, "holes", holes, "both", boths));
}
