/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * Compute v1: who may call what, and everything that only reads.  Writing to
 * routers is in router.c, what comes of it in oper.c and announce.c.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/stdlib.h>
#include <bsd/string.h>

#include "cloudsim.h"

struct compute_call {
	const char *method;
	const char *pattern;
	const char *op;
	const char *permission;
	bool write;
	void (*fn)(struct call *);
};

static void project_get(struct call *);
static void region_get(struct call *);
static void service_list(struct call *);
static void service_get(struct call *);
static void service_health(struct call *);

#define SERVICES "projects/*/regions/*/backendServices"
#define ROUTER	 "projects/*/regions/*/routers/*"
#define OPER	 "projects/*/regions/*/operations/*"

static const struct compute_call calls[] = {
	{ "POST", SERVICES "/*/getHealth", "regionBackendServices.getHealth",
	    "compute.regionBackendServices.get", false, service_health },
	{ "GET", SERVICES, "regionBackendServices.list",
	    "compute.regionBackendServices.list", false, service_list },
	{ "GET", SERVICES "/*", "regionBackendServices.get",
	    "compute.regionBackendServices.get", false, service_get },
	{ "GET", ROUTER, "routers.get", "compute.routers.get", false,
	    router_get },
	{ "GET", ROUTER "/getRouterStatus", "routers.getRouterStatus",
	    "compute.routers.get", false, router_status },
	{ "PATCH", ROUTER, "routers.patch", "compute.routers.update", true,
	    router_patch },
	{ "GET", OPER, "regionOperations.get", "compute.regionOperations.get",
	    false, oper_get },
	{ "POST", OPER "/wait", "regionOperations.wait",
	    "compute.regionOperations.get", false, oper_get },
	{ "GET", "projects/*", "projects.get", "compute.projects.get", false,
	    project_get },
	{ "GET", "projects/*/regions/*", "regions.get", "compute.regions.get",
	    false, region_get },
};

#define NCALLS (sizeof(calls) / sizeof(calls[0]))

/* Applies the mask and sends; takes over the value. */
void
compute_answer(struct call *call, json_t *value)
{
	char *fields;
	json_t *masked;

	fields = query_get(call->req->query, "fields");
	if (fields != NULL) {
		masked = mask_apply(value, fields);
		json_decref(value);
		if (masked == NULL)
			google_error(call->res, 400, "invalidParameter",
			    "Invalid field selection %s", fields);
		else
			http_error(call->res, 200, masked);
		free(fields);
		return;
	}
	http_error(call->res, 200, value);
}

void
compute_not_found(struct call *call, const char *collection, const char *name)
{
	if (collection == NULL)
		google_error(call->res, 404, "notFound",
		    "The resource 'projects/%s' was not found", call->project);
	else if (strcmp(collection, "regions") == 0)
		google_error(call->res, 404, "notFound",
		    "The resource 'projects/%s/regions/%s' was not found",
		    call->project, name);
	else
		google_error(call->res, 404, "notFound",
		    "The resource 'projects/%s/regions/%s/%s/%s' was not found",
		    call->project, call->region, collection, name);
}

static json_t *
self_link(const char *fmt, const char *a, const char *b)
{
	char *path;
	json_t *v;

	path = xasprintf("%sprojects/%s%s%s", SELF_LINK, a, fmt, b);
	v = jstr(path);
	free(path);
	return (v);
}

static void
project_get(struct call *call)
{
	compute_answer(call,
	    json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:s,"
		      " s:[{s:s, s:i, s:i}]}",
		"kind", "compute#project", "id", "4567890123456789012",
		"creationTimestamp", "2021-03-02T08:13:45.123-08:00", "name",
		call->project, "selfLink", self_link("", call->project, ""),
		"defaultServiceAccount",
		"123456789012-compute@developer.gserviceaccount.com",
		"xpnProjectStatus", "UNSPECIFIED_XPN_PROJECT_STATUS", "quotas",
		"metric", "ROUTERS", "limit", 20, "usage", 2));
}

static void
region_get(struct call *call)
{
	const char *status;
	json_t *zones, *zone, *urls = json_array();
	size_t i;

	status = json_str(call->region_obj, "status");
	zones = json_object_get(call->region_obj, "zones");
	json_array_foreach(zones, i, zone) {
		json_array_append_new(urls,
		    self_link("/zones/", call->project,
			json_is_string(zone) ? json_string_value(zone) : ""));
	}
	compute_answer(call,
	    json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "kind",
		"compute#region", "id", "1230", "name", call->region, "status",
		status != NULL ? status : "UP", "zones", urls, "selfLink",
		self_link("/regions/", call->project, call->region)));
}

/* A service as the API shows it: the world keeps its health beside it. */
static json_t *
service_shown(json_t *service)
{
	json_t *shallow, *copy;

	shallow = json_without(service, "health");
	copy = json_deep_copy(shallow);
	json_decref(shallow);
	json_prune(copy);
	return (copy);
}

static void
service_get(struct call *call)
{
	compute_answer(call, service_shown(call->object));
}

/*
 * Page tokens carry the place to go on from and the page size they were made
 * for: a client must repeat its parameters.  Returns -1 for any other text.
 */
static int
page_token_parse(const char *token, int size, int *start)
{
	int at, of, n = 0;
	char *text;

	text = b64_decode(token);
	if (text == NULL)
		return (-1);
	if (sscanf(text, "page>>%d>>%d?%n", &at, &of, &n) != 2 || n == 0 ||
	    at < 0 || of != size) {
		free(text);
		return (-1);
	}
	*start = at;
	free(text);
	return (0);
}

/* Reads maxResults and pageToken; -1 if an error has been answered. */
static int
page_params(struct call *call, int *size, int *start, bool *first)
{
	char *max, *token;
	const char *errstr = NULL;
	int rv = 0;

	*size = sim.set.page_size_max;
	*start = 0;
	max = query_get(call->req->query, "maxResults");
	token = query_get(call->req->query, "pageToken");
	if (max != NULL)
		*size = (int)strtonum(max, 0, 500, &errstr);
	if (errstr != NULL) {
		google_error(call->res, 400, "invalid",
		    "Invalid value for field 'maxResults': '%s'. Must be "
		    "between 0 and 500",
		    max);
		rv = -1;
	} else if (token != NULL &&
	    page_token_parse(token, *size, start) == -1) {
		google_error(call->res, 400, "invalid",
		    "Invalid value for field 'pageToken': '%s'. "
		    "Invalid page token.",
		    token);
		rv = -1;
	}
	*first = token == NULL;
	free(max);
	free(token);
	return (rv);
}

static void
page_token_set(json_t *list, int start, int size)
{
	char *text, *token;

	/* The "?" and ">" give "/" and "+": tokens have to be encoded. */
	text = xasprintf("page>>%d>>%d?~~?", start, size);
	token = b64_encode(text);
	json_object_set_new(list, "nextPageToken", json_string(token));
	free(text);
	free(token);
}

static void
list_warning(struct call *call, json_t *list, const char *code,
    const char *text)
{
	json_object_set_new(list, "warning",
	    json_pack("{s:s, s:s, s:[{s:s, s:s+}]}", "code", code, "message",
		text, "data", "key", "scope", "value", "regions/",
		call->region));
}

static json_t *
list_envelope(struct call *call)
{
	char *path;
	json_t *list;

	path = xasprintf("projects/%s/regions/%s/backendServices",
	    call->project, call->region);
	list = json_pack("{s:s, s:s, s:s+}", "kind",
	    "compute#backendServiceList", "id", path, "selfLink", SELF_LINK,
	    path);
	free(path);
	return (list);
}

static void
service_list(struct call *call)
{
	json_t *services, *service, *list, *items;
	int size, per_page, start, i = 0;
	const char *key;
	bool first;

	if (page_params(call, &size, &start, &first) == -1)
		return;
	services = json_object_get(call->region_obj, "services");
	list = list_envelope(call);
	items = json_array();
	per_page = size == 0 || size > sim.set.page_size_max ?
	    sim.set.page_size_max :
	    size;
	if (sim.set.page_size > 0 && sim.set.page_size < per_page)
		per_page = sim.set.page_size;
	if (first && sim.set.empty_page) {
		list_warning(call, list, "NO_RESULTS_ON_PAGE",
		    "There are no results for scope on this page.");
		page_token_set(list, 0, size);
		per_page = 0;
	}
	json_object_foreach(services, key, service) {
		if (i >= start && i < start + per_page)
			json_array_append_new(items, service_shown(service));
		i++;
	}
	if (per_page > 0 && i > start + per_page)
		page_token_set(list, start + per_page, size);
	if (json_array_size(items) > 0)
		json_object_set(list, "items", items);
	json_decref(items);
	if (sim.set.list_warning == 1)
		list_warning(call, list, "PARTIAL_SUCCESS",
		    "Success is "
		    "reported, but some results may be missing due to errors.");
	else if (sim.set.list_warning == 2)
		list_warning(call, list, "UNREACHABLE",
		    "Some resources could not be reached.");
	compute_answer(call, list);
}

/* Self links differ in their hosts only: compare what follows. */
static bool
same_link(const char *a, const char *b)
{
	const char *pa, *pb;

	if (a == NULL || b == NULL)
		return (false);
	pa = strstr(a, "/projects/");
	pb = strstr(b, "/projects/");
	return (pa != NULL && pb != NULL && strcmp(pa, pb) == 0);
}

/* The rows of a group of the service, or NULL if it has no such group. */
static json_t *
service_group(json_t *service, const char *group)
{
	json_t *rows, *backend;
	size_t i;

	/* The usual case first: no walk through thousands of backends. */
	rows = json_object_get(json_object_get(service, "health"), group);
	if (rows != NULL)
		return (rows);
	json_array_foreach(json_object_get(service, "backends"), i, backend) {
		const char *known = json_str(backend, "group");

		if (!same_link(known, group))
			continue;
		rows = json_object_get(json_object_get(service, "health"),
		    known);
		return (rows != NULL ? rows : json_null());
	}
	return (NULL);
}

static void
service_health(struct call *call)
{
	json_t *body = call->req->json, *rows, *answer;
	const char *group, *key;
	json_t *value;

	json_object_foreach(body, key, value) {
		if (strcmp(key, "group") != 0) {
			google_error(call->res, 400, "badRequest",
			    "Invalid JSON payload received. Unknown name "
			    "\"%s\": Cannot find field.",
			    key);
			return;
		}
	}
	group = json_str(body, "group");
	if (group == NULL) {
		google_error(call->res, 400, "required",
		    "Required field 'resource.group' not specified");
		return;
	}
	rows = service_group(call->object, group);
	if (rows == NULL) {
		google_error(call->res, 400, "invalid",
		    "Invalid value for field 'resource.group': '%s'. "
		    "The group is not a backend of the service.",
		    group);
		return;
	}
	answer = json_pack("{s:s}", "kind",
	    "compute#backendServiceGroupHealth");
	if (json_array_size(rows) > 0)
		json_object_set(answer, "healthStatus", rows);
	compute_answer(call, answer);
}

/* Do the pieces of the path fit the pattern's? */
static bool
pattern_fits(const char *pattern, char **seg, size_t nseg)
{
	size_t i, len;

	for (i = 0; i < nseg; i++) {
		len = strcspn(pattern, "/");
		if (len == 0)
			return (false);
		if (pattern[0] != '*' &&
		    (strlen(seg[i]) != len ||
			strncmp(pattern, seg[i], len) != 0))
			return (false);
		pattern += len;
		if (*pattern == '/')
			pattern++;
	}
	return (*pattern == '\0');
}

/*
 * The call that method and path name.  Any other way to write is one that
 * mt-gcpd must never use: the journal says so.
 */
static const struct compute_call *
find_call(struct call *call)
{
	struct request *req = call->req;
	size_t i;

	req->op = "compute.unknown";
	for (i = 0; i < NCALLS; i++) {
		if (!pattern_fits(calls[i].pattern, call->seg, call->nseg))
			continue;
		call->path_known = true;
		if (strcmp(calls[i].method, req->method) != 0)
			continue;
		req->op = calls[i].op;
		req->write = calls[i].write;
		return (&calls[i]);
	}
	if (strcmp(req->method, "GET") != 0) {
		req->forbidden = true;
		req->write = true;
	}
	return (NULL);
}

void
compute_classify(struct request *req)
{
	struct call call = { .req = req };
	char *path;

	path = xstrdup(req->path + strlen("/compute/v1"));
	call.nseg = path_split(path, call.seg, MAX_PATH_SEGMENTS);
	(void)find_call(&call);
	free(path);
}

static int
check_token(struct call *call, const struct compute_call *cc)
{
	struct request *req = call->req;
	struct response *res = call->res;
	const char *what;

	if (req->grant == NULL || token_expired(req->grant)) {
		what = req->authz == NULL ? "CREDENTIALS_MISSING" :
		    req->grant != NULL	  ? "ACCESS_TOKEN_EXPIRED" :
					    "ACCESS_TOKEN_TYPE_UNSUPPORTED";
		google_error(res, 401, "authError",
		    "Request had invalid "
		    "authentication credentials. Expected OAuth 2 access "
		    "token, login cookie or other valid authentication "
		    "credential.");
		google_detail(res, what, cc->op, NULL, NULL);
		http_header(res, "WWW-Authenticate",
		    "Bearer realm=\"https://accounts.google.com/\", "
		    "error=\"invalid_token\"");
		return (-1);
	}
	if (token_has_scope(req->grant, "compute") ||
	    (!cc->write && token_has_scope(req->grant, "compute.readonly")))
		return (0);
	google_error(res, 403, "insufficientPermissions",
	    "Request had insufficient authentication scopes.");
	google_detail(res, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", cc->op, NULL,
	    NULL);
	return (-1);
}

/* Is the permission denied to this account in the world? */
static int
check_permission(struct call *call, const struct compute_call *cc)
{
	const char *sa = json_str(call->req->grant, "sa");
	json_t *denied, *one;
	size_t i;

	denied = json_object_get(world_account(sa), "deny");
	json_array_foreach(denied, i, one) {
		if (!json_is_string(one) ||
		    strcmp(json_string_value(one), cc->permission) != 0)
			continue;
		google_error(call->res, 403, "forbidden",
		    "Required '%s' permission for '%s'", cc->permission,
		    call->req->path + strlen("/compute/v1/"));
		return (-1);
	}
	return (0);
}

/* Compute's rate limit: windows are minutes of the clock, and it is a 403. */
static int
check_quota(struct call *call)
{
	static int64_t minute;
	static int used;
	int64_t now = now_ms() / 60000;

	if (now != minute) {
		minute = now;
		used = 0;
	}
	if (sim.set.compute_quota == 0 || ++used <= sim.set.compute_quota)
		return (0);
	google_error(call->res, 403, "rateLimitExceeded",
	    "Quota exceeded for quota metric 'Queries' and limit 'Queries per "
	    "minute per region' of service 'compute.googleapis.com' for "
	    "consumer 'project_number:123456789012'.");
	google_detail(call->res, "RATE_LIMIT_EXCEEDED", NULL, "quota_metric",
	    "compute.googleapis.com/default_per_region");
	return (-1);
}

/* Finds what the path names; -1 if it is not there. */
static int
find_resource(struct call *call)
{
	const char *kind;
	json_t *project;

	call->project = call->seg[1];
	project = json_object_get(json_object_get(sim.world, "projects"),
	    call->project);
	if (project == NULL) {
		compute_not_found(call, NULL, NULL);
		return (-1);
	}
	if (call->nseg < 4)
		return (0);
	call->region = call->seg[3];
	call->region_obj = json_object_get(json_object_get(project, "regions"),
	    call->region);
	if (call->region_obj == NULL) {
		compute_not_found(call, "regions", call->region);
		return (-1);
	}
	if (call->nseg < 6)
		return (0);
	call->name = call->seg[5];
	kind = strcmp(call->seg[4], "backendServices") == 0 ? "services" :
							      call->seg[4];
	if (strcmp(kind, "operations") == 0)
		return (0);
	call->object = json_object_get(json_object_get(call->region_obj, kind),
	    call->name);
	if (call->object == NULL) {
		compute_not_found(call, call->seg[4], call->name);
		return (-1);
	}
	return (0);
}

void
compute_handle(struct request *req, struct response *res)
{
	struct call call = { .req = req, .res = res };
	const struct compute_call *cc;
	char *path;

	path = xstrdup(req->path + strlen("/compute/v1"));
	call.nseg = path_split(path, call.seg, MAX_PATH_SEGMENTS);
	cc = find_call(&call);
	if (cc == NULL && call.path_known)
		google_error(res, 405, "httpMethodNotAllowed",
		    "HTTP method not allowed.");
	else if (cc == NULL)
		google_error(res, 404, "notFound",
		    "The requested URL %s was not found on this server.",
		    req->path);
	else if (check_token(&call, cc) == 0 && check_quota(&call) == 0 &&
	    find_resource(&call) == 0 && check_permission(&call, cc) == 0)
		cc->fn(&call);
	free(path);
}
