/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the prober decides without a network. */
#include "../../proc/prober/bgp.c"
#include "../../proc/prober/endpoint.c"
#include "../../proc/prober/nameset.c"
#include "../../proc/prober/service.c"

#ifndef REGRESS_DIR
#define REGRESS_DIR "regress"
#endif

static json_t *
sample(const char *name)
{
	char path[512];
	json_t *json;

	snprintf(path, sizeof(path), "%s/samples/%s.json", REGRESS_DIR, name);
	json = json_load_file(path, 0, NULL);
	assert_non_null(json);
	return (json);
}

static json_t *
text(const char *json)
{
	json_t *value;

	value = json_loads(json, 0, NULL);
	assert_non_null(value);
	return (value);
}

/* A list of the one service of a sample of backendServices.get. */
static void
one_service(struct services *services, const char *name)
{
	struct target target;
	json_t *page;

	memset(&target, 0, sizeof(target));
	memset(services, 0, sizeof(*services));
	page = json_pack("{s:[o]}", "items", sample(name));
	assert_non_null(page);
	assert_null(services_decode(services, page, &target, "p/r"));
	json_decref(page);
}

static void
answer(struct service *service, size_t group, const char *name)
{
	json_t *json;

	json = sample(name);
	health_decode(service, group, json);
	json_decref(json);
}

static void
answer_text(struct service *service, size_t group, const char *rows)
{
	json_t *json;

	json = text(rows);
	health_decode(service, group, json);
	json_decref(json);
}

static void
list_pages(void **state)
{
	struct services services;
	struct target target;
	json_t *page, *last, *empty;

	(void)state;
	memset(&target, 0, sizeof(target));
	memset(&services, 0, sizeof(services));
	empty = sample("backendService.list.response--empty-page-with-token");
	assert_string_equal(services_decode(&services, empty, &target, "p/r"),
	    "ClQKJAiI2dXq5f___wEaFAoSd2ViLWlsYg==");
	assert_int_equal(services.count, 0);
	assert_false(services.incomplete);
	page = sample("backendService.list.response--page1");
	assert_non_null(services_decode(&services, page, &target, "p/r"));
	assert_int_equal(services.count, 2);
	last = sample("backendService.list.response--page2");
	assert_null(services_decode(&services, last, &target, "p/r"));
	services_missing(&services, &target);
	/* docs-run has no health check */
	assert_int_equal(services.count, 4);
	assert_string_equal(services.service[0]->name, "web-ilb");
	assert_int_equal(services.service[0]->ngroups, 2);
	assert_string_equal(services.service[1]->name, "api-alb");
	assert_int_equal(services.service[1]->ngroups, 2);
	assert_int_equal(services.service[1]->drained, 1);
	assert_string_equal(services.service[2]->name, "db-ilb");
	assert_true(services.service[2]->group[1].failover);
	assert_false(services.service[2]->group[0].failover);
	assert_false(services.incomplete);
	/* things move between two pages: a service counts once */
	assert_null(services_decode(&services, last, &target, "p/r"));
	assert_int_equal(services.count, 4);
	services_free(&services);
	json_decref(empty);
	json_decref(page);
	json_decref(last);
}

static void
list_not_whole(void **state)
{
	char what[REASON_LEN];
	struct services services;
	struct target target;
	json_t *page;

	(void)state;
	memset(&target, 0, sizeof(target));
	memset(&services, 0, sizeof(services));
	page = sample("backendService.list.response--partial-warning");
	assert_null(services_check(page));
	assert_true(services_partial(page, what, sizeof(what)));
	assert_memory_equal(what, "PARTIAL_SUCCESS: ", 17);
	json_decref(page);
	page = text("{\"warning\":{\"code\":\"UNREACHABLE\","
		    "\"message\":\"zone\\nz\"}}");
	assert_true(services_partial(page, what, sizeof(what)));
	assert_string_equal(what, "UNREACHABLE: zone\\x0az");
	json_decref(page);
	page = sample("backendService.list.response--empty-page-with-token");
	assert_false(services_partial(page, what, sizeof(what)));
	json_decref(page);
	/* names that cannot be a part of a path, and no list at all */
	page = text("{\"items\":[{\"name\":\"../x\"}]}");
	services_decode(&services, page, &target, "p/r");
	assert_true(services.incomplete);
	services_free(&services);
	json_decref(page);
	page = text("{\"items\":{}}");
	assert_non_null(services_check(page));
	json_decref(page);
}

static void
list_named(void **state)
{
	char names[2][NAME_LEN] = { "api-alb", "gone" };
	struct services services;
	struct target target;
	json_t *page;

	(void)state;
	memset(&target, 0, sizeof(target));
	memset(&services, 0, sizeof(services));
	target.service = names;
	target.nservices = 1;
	page = sample("backendService.list.response--page1");
	services_decode(&services, page, &target, "p/r");
	services_missing(&services, &target);
	assert_int_equal(services.count, 1);
	assert_string_equal(services.service[0]->name, "api-alb");
	assert_false(services.incomplete);
	services_free(&services);
	target.nservices = 2;
	services_decode(&services, page, &target, "p/r");
	services_missing(&services, &target);
	assert_true(services.incomplete);
	assert_non_null(strstr(services.error, "\"gone\" does not exist"));
	services_free(&services);
	json_decref(page);
}

static void
counted_once(void **state)
{
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct service *service;

	(void)state;
	one_service(&services, "backendService.get.response--instance-groups");
	service = services.service[0];
	answer(service, 0,
	    "backendService.getHealth.response--passthrough-two-forwarding-"
	    "rules");
	answer(service, 1, "backendService.getHealth.response--all-healthy");
	assert_int_equal(service->pending, 0);
	service_judge(service, 100, &sick);
	/* web-a-1 is in both answers, and sick in one row */
	assert_int_equal(service->count.healthy, 1);
	assert_int_equal(service->count.sick, 1);
	assert_int_equal(service->verdict, V_NO);
	assert_false(service->empty);
	assert_int_equal(sick.count, 1);
	assert_string_equal(sick.endpoint[0].service, "web-ilb");
	assert_string_equal(sick.endpoint[0].endpoint, "web-a-1 10.20.0.11:80");
	assert_string_equal(sick.endpoint[0].group,
	    "zones/us-east4-a/instanceGroups/web-a");
	assert_string_equal(sick.endpoint[0].state, "UNHEALTHY");
	assert_non_null(strstr(sick.endpoint[0].reason, "web-ilb-fr2"));
	services_free(&services);
	free(sick.endpoint);
}

/* In a network endpoint group many endpoints live on one instance. */
static void
neg_endpoints(void **state)
{
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct service *service;

	(void)state;
	one_service(&services, "backendService.get.response--neg-and-drained");
	service = services.service[0];
	answer(service, 0,
	    "backendService.getHealth.response--neg-with-annotations");
	answer(service, 1, "backendService.getHealth.response--draining");
	service_judge(service, 50, &sick);
	/* 10.8.0.6 is healthy twice, .7 sick, .9 draining: left out */
	assert_int_equal(service->count.healthy, 1);
	assert_int_equal(service->count.sick, 1);
	assert_int_equal(service->count.unknown, 0);
	assert_int_equal(service->verdict, V_YES);
	services_free(&services);
	one_service(&services, "backendService.get.response--neg-and-drained");
	service = services.service[0];
	answer(service, 0,
	    "backendService.getHealth.response--neg-no-instance");
	answer(service, 1, "backendService.getHealth.response--empty-absent");
	service_judge(service, 100, &sick);
	assert_int_equal(service->count.healthy, 1);
	assert_int_equal(service->verdict, V_YES);
	services_free(&services);
	free(sick.endpoint);
}

static void
unknown_states(void **state)
{
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct service *service;

	(void)state;
	one_service(&services, "backendService.get.response--instance-groups");
	service = services.service[0];
	answer(service, 0,
	    "backendService.getHealth.response--unknown-and-timeout");
	answer(service, 1, "backendService.getHealth.response--state-absent");
	service_judge(service, 50, &sick);
	assert_int_equal(service->count.sick, 1);
	assert_int_equal(service->count.unknown, 2);
	assert_int_equal(service->verdict, V_UNKNOWN);
	assert_string_equal(sick.endpoint[0].state, "TIMEOUT");
	assert_string_equal(service->reason,
	    "2 of 3 endpoints are in an unknown state");
	services_free(&services);
	/* with "all", a sick one settles it */
	one_service(&services, "backendService.get.response--instance-groups");
	service = services.service[0];
	answer(service, 0,
	    "backendService.getHealth.response--unknown-and-timeout");
	health_failed(service, 1, "HTTP 503");
	service_judge(service, 100, &sick);
	assert_int_equal(service->verdict, V_NO);
	assert_null(service->reason);
	services_free(&services);
	free(sick.endpoint);
}

static void
group_failed(void **state)
{
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct service *service;

	(void)state;
	one_service(&services, "backendService.get.response--instance-groups");
	service = services.service[0];
	answer(service, 0, "backendService.getHealth.response--all-healthy");
	health_failed(service, 1, "HTTP 503");
	service_judge(service, 50, &sick);
	assert_int_equal(service->verdict, V_UNKNOWN);
	assert_false(service->empty);
	assert_string_equal(service->reason,
	    "zones/us-east4-b/instanceGroups/web-b: HTTP 503");
	services_free(&services);
	assert_int_equal(sick.count, 0);
}

/* An answer of the wrong shape is none. */
static void
shapes(void **state)
{
	static const struct {
		const char *json;
		bool page, health, router, status;
	} cases[] = {
		{ "{}", true, true, false, false },
		{ "{\"items\":[],\"healthStatus\":[],\"name\":\"r\","
		  "\"result\":{}}",
		    true, true, true, true },
		{ "{\"items\":{},\"healthStatus\":\"x\",\"name\":\"q\","
		  "\"result\":[]}",
		    false, false, false, false },
		{ "{\"items\":null,\"healthStatus\":null,\"name\":\"r\","
		  "\"bgp\":[],\"result\":{\"bgpPeerStatus\":{}}}",
		    false, false, false, false },
		{ "{\"name\":\"r\",\"bgpPeers\":{},\"result\":"
		  "{\"bgpPeerStatus\":[]}}",
		    true, true, false, true },
	};
	json_t *json;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json = text(cases[i].json);
		assert_int_equal(services_check(json) == NULL, cases[i].page);
		assert_int_equal(health_check(json) == NULL, cases[i].health);
		assert_int_equal(router_check(json, "r") == NULL,
		    cases[i].router);
		assert_int_equal(status_check(json) == NULL, cases[i].status);
		json_decref(json);
	}
}

static void
nothing_to_count(void **state)
{
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct service *service;

	(void)state;
	one_service(&services, "backendService.get.response--instance-groups");
	service = services.service[0];
	answer(service, 0, "backendService.getHealth.response--empty-absent");
	answer_text(service, 1,
	    "{\"healthStatus\":[{\"instance\":\"i\",\"healthState\":"
	    "\"DRAINING\"}]}");
	service_judge(service, 50, &sick);
	assert_int_equal(service->verdict, V_UNKNOWN);
	assert_true(service->empty);
	services_free(&services);
	one_service(&services, "backendService.get.response--no-backends");
	service = services.service[0];
	assert_int_equal(service->pending, 0);
	service_judge(service, 50, &sick);
	assert_int_equal(service->verdict, V_UNKNOWN);
	assert_true(service->empty);
	services_free(&services);
	one_service(&services,
	    "backendService.get.response--serverless-no-healthcheck");
	assert_int_equal(services.count, 0);
	services_free(&services);
}

static void
drained(void **state)
{
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct target target;
	json_t *page;

	(void)state;
	memset(&target, 0, sizeof(target));
	memset(&services, 0, sizeof(services));
	page = text("{\"items\":[{\"name\":\"s\",\"healthChecks\":[\"h\"],"
		    "\"backends\":[{\"group\":\"g\",\"capacityScaler\":0.0},"
		    "{\"group\":\"h\",\"capacityScaler\":0}]},"
		    "{\"name\":\"t\",\"healthChecks\":[\"h\"],"
		    "\"backends\":[{\"group\":\"g\",\"capacityScaler\":0},"
		    "{\"group\":\"\\u00e4 x\"}]}]}");
	services_decode(&services, page, &target, "p/r");
	assert_int_equal(services.count, 2);
	service_judge(services.service[0], 50, &sick);
	assert_int_equal(services.service[0]->verdict, V_NO);
	assert_false(services.service[0]->empty);
	assert_non_null(strstr(services.service[0]->reason, "on purpose"));
	/* a group that cannot be asked is not drained, but unknown */
	assert_int_equal(services.service[1]->pending, 0);
	service_judge(services.service[1], 50, &sick);
	assert_int_equal(services.service[1]->verdict, V_UNKNOWN);
	services_free(&services);
	json_decref(page);
}

/* One row a state, for both pools of db-ilb. */
static enum verdict
two_pools(const char *primary, const char *backup, bool *empty)
{
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct service *service;
	enum verdict verdict;
	const char *states[] = { primary, backup };
	json_t *rows;
	size_t i;

	one_service(&services, "backendService.get.response--failover");
	service = services.service[0];
	for (i = 0; i < 2; i++) {
		if (strcmp(states[i], "failed") == 0) {
			health_failed(service, i, "x");
			continue;
		}
		rows = states[i][0] == '\0' ?
		    json_object() :
		    json_pack("{s:[{s:s, s:s}]}", "healthStatus", "instance",
			"the-same", "healthState", states[i]);
		health_decode(service, i, rows);
		json_decref(rows);
	}
	service_judge(service, 100, &sick);
	verdict = service->verdict;
	*empty = service->empty;
	services_free(&services);
	free(sick.endpoint);
	return (verdict);
}

static void
failover_backends(void **state)
{
	bool empty;

	(void)state;
	assert_int_equal(two_pools("HEALTHY", "UNHEALTHY", &empty), V_YES);
	assert_int_equal(two_pools("UNHEALTHY", "HEALTHY", &empty), V_YES);
	assert_int_equal(two_pools("UNHEALTHY", "UNHEALTHY", &empty), V_NO);
	assert_int_equal(two_pools("UNHEALTHY", "failed", &empty), V_UNKNOWN);
	assert_int_equal(two_pools("HEALTHY", "failed", &empty), V_YES);
	assert_int_equal(two_pools("UNKNOWN", "UNHEALTHY", &empty), V_UNKNOWN);
	/* a pool without endpoints says nothing */
	assert_int_equal(two_pools("", "UNHEALTHY", &empty), V_NO);
	assert_false(empty);
	assert_int_equal(two_pools("UNHEALTHY", "", &empty), V_NO);
	assert_int_equal(two_pools("", "HEALTHY", &empty), V_YES);
	assert_int_equal(two_pools("", "failed", &empty), V_UNKNOWN);
	assert_false(empty);
	assert_int_equal(two_pools("", "", &empty), V_UNKNOWN);
	assert_true(empty);
}

static void
dual_stack(void **state)
{
	static const struct {
		const char *row;
		uint32_t healthy, sick, unknown;
	} cases[] = {
		{ "\"ipv6HealthState\":\"HEALTHY\"", 1, 0, 0 },
		{ "\"ipv6HealthState\":\"UNHEALTHY\"", 0, 1, 0 },
		{ "\"healthState\":\"HEALTHY\",\"ipv6HealthState\":"
		  "\"UNHEALTHY\"",
		    0, 1, 0 },
		{ "\"healthState\":\"UNHEALTHY\",\"ipv6HealthState\":"
		  "\"HEALTHY\"",
		    0, 1, 0 },
		{ "\"healthState\":\"HEALTHY\",\"ipv6HealthState\":\"NEW\"", 0,
		    0, 1 },
		{ "\"healthState\":\"healthy\"", 0, 0, 1 },
		{ "\"healthState\":null", 0, 0, 1 },
		{ "\"healthState\":7", 0, 0, 1 },
	};
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct service *service;
	char rows[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		one_service(&services,
		    "backendService.get.response--instance-groups");
		service = services.service[0];
		snprintf(rows, sizeof(rows), "{\"healthStatus\":[{%s}]}",
		    cases[i].row);
		answer_text(service, 0, rows);
		answer_text(service, 1, "{}");
		service_judge(service, 100, &sick);
		assert_int_equal(service->count.healthy, cases[i].healthy);
		assert_int_equal(service->count.sick, cases[i].sick);
		assert_int_equal(service->count.unknown, cases[i].unknown);
		services_free(&services);
	}
	free(sick.endpoint);
}

/* Rows that say nothing of whose they are are all counted. */
static void
nameless_rows(void **state)
{
	struct sick_list sick = { NULL, 0 };
	struct services services;
	struct service *service;
	char rows[4096] = "{\"healthStatus\":[";
	int i;

	(void)state;
	for (i = 0; i < 30; i++)
		strlcat(rows, "{\"healthState\":\"UNHEALTHY\"},", sizeof(rows));
	strlcat(rows, "3,null]}", sizeof(rows));
	one_service(&services, "backendService.get.response--instance-groups");
	service = services.service[0];
	answer_text(service, 0, rows);
	answer_text(service, 1, "{}");
	service_judge(service, 100, &sick);
	assert_int_equal(service->count.sick, 30);
	assert_int_equal(service->count.unknown, 2);
	assert_int_equal(sick.count, UNHEALTHY_MAX);
	services_free(&services);
	free(sick.endpoint);
}

/* The verdict on a router; its other results are left in *end. */
static enum verdict
judge(const char *config, const char *status, bool all,
    struct msg_probe_router *end)
{
	struct router_result result;
	struct target target;
	json_t *c, *s;

	memset(&target, 0, sizeof(target));
	prefix_parse("203.0.113.0/24", &target.probe.prefix[PRIMARY]);
	prefix_parse("198.51.100.0/24", &target.probe.prefix[SECONDARY]);
	target.probe.bgp_all = all;
	c = config == NULL   ? NULL :
	    config[0] == '{' ? text(config) :
			       sample(config);
	s = status == NULL   ? NULL :
	    status[0] == '{' ? text(status) :
			       sample(status);
	router_judge(c, s, &target, LOCAL, &result);
	*end = result.router;
	free(result.peer);
	json_decref(c);
	json_decref(s);
	return ((enum verdict)result.router.verdict);
}

#define TWO	 "router.get.response--custom-router-level"
#define ALL_UP	 "router.status.response--all-up"
#define ONE_DOWN "router.status.response--one-down"

static void
sessions_known(void **state)
{
	struct msg_probe_router end;

	(void)state;
	assert_int_equal(judge(TWO, ALL_UP, true, &end), V_YES);
	assert_int_equal(end.read, 1);
	assert_int_equal(end.peers, 2);
	assert_int_equal(end.announces[PRIMARY], V_YES);
	assert_int_equal(end.announces[SECONDARY], V_NO);
	assert_int_equal(end.configured[PRIMARY], PRESENCE_ALL);
	assert_int_equal(end.configured[SECONDARY], PRESENCE_NONE);
	assert_int_equal(judge(TWO, ONE_DOWN, false, &end), V_YES);
	assert_int_equal(judge(TWO, ONE_DOWN, true, &end), V_NO);
	assert_int_equal(
	    judge(TWO, "router.status.response--all-down", false, &end), V_NO);
	/* configured, and not in the status: down */
	assert_int_equal(judge(TWO, "{\"result\":{}}", false, &end), V_NO);
	assert_int_equal(end.peers, 2);
	/* a peer in an unknown state */
	assert_int_equal(
	    judge("{}", "router.status.response--unknown", false, &end),
	    V_UNKNOWN);
	assert_int_equal(end.peers, 1);
	assert_int_equal(
	    judge("{}", "router.status.response--no-peers", false, &end),
	    V_UNKNOWN);
	assert_int_equal(end.peers, 0);
	assert_int_equal(end.read, 1);
}

static void
sessions_disabled(void **state)
{
	struct msg_probe_router end;

	(void)state;
	/* edge-peer-a is disabled and does not count */
	assert_int_equal(judge("router.get.response--peer-disabled",
			     "{\"result\":{\"bgpPeerStatus\":[{\"name\":"
			     "\"edge-peer-b\",\"status\":\"UP\"}]}}",
			     true, &end),
	    V_YES);
	assert_int_equal(end.peers, 1);
	assert_int_equal(judge("router.get.response--peer-disabled",
			     "{\"result\":{\"bgpPeerStatus\":[{\"name\":"
			     "\"edge-peer-a\",\"status\":\"UP\"}]}}",
			     false, &end),
	    V_NO);
}

static void
sessions_half_read(void **state)
{
	struct msg_probe_router end;

	(void)state;
	assert_int_equal(judge(NULL, ONE_DOWN, false, &end), V_YES);
	assert_int_equal(end.configured[PRIMARY], PRESENCE_UNKNOWN);
	assert_int_equal(end.announces[PRIMARY], V_YES);
	assert_int_equal(judge(NULL, ALL_UP, true, &end), V_UNKNOWN);
	assert_int_equal(
	    judge(NULL, "router.status.response--all-down", false, &end),
	    V_UNKNOWN);
	assert_int_equal(judge(TWO, NULL, false, &end), V_UNKNOWN);
	assert_int_equal(end.read, 0);
	assert_int_equal(end.announces[PRIMARY], V_UNKNOWN);
	assert_int_equal(end.configured[PRIMARY], PRESENCE_ALL);
	assert_int_equal(judge(NULL, NULL, false, &end), V_UNKNOWN);
	assert_int_equal(end.read, 0);
}

static void
custom_peers(void **state)
{
	char names[1][NAME_LEN] = { "edge-peer-b" };
	struct router_result result;
	struct target target;
	json_t *config, *status;

	(void)state;
	memset(&target, 0, sizeof(target));
	config = sample("router.get.response--peer-custom-overrides");
	status = sample("router.status.response--md5-problem");
	router_judge(config, status, &target, LOCAL, &result);
	assert_int_equal(result.npeers, 2);
	assert_string_equal(result.peer[0].name, "edge-peer-a");
	assert_int_equal(result.peer[0].custom, 0);
	assert_int_equal(result.peer[0].status, V_NO);
	assert_string_equal(result.peer[0].state, "MD5_AUTH_INTERNAL_PROBLEM");
	assert_int_equal(result.peer[1].custom, 1);
	assert_string_equal(result.peer[1].state, "");
	free(result.peer);
	target.peer = names;
	target.npeers = 1;
	router_judge(config, status, &target, LOCAL, &result);
	assert_int_equal(result.peer[1].custom, 0);
	free(result.peer);
	json_decref(config);
	json_decref(status);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_pages),
		cmocka_unit_test(list_not_whole),
		cmocka_unit_test(list_named),
		cmocka_unit_test(counted_once),
		cmocka_unit_test(neg_endpoints),
		cmocka_unit_test(unknown_states),
		cmocka_unit_test(group_failed),
		cmocka_unit_test(shapes),
		cmocka_unit_test(nothing_to_count),
		cmocka_unit_test(drained),
		cmocka_unit_test(failover_backends),
		cmocka_unit_test(dual_stack),
		cmocka_unit_test(nameless_rows),
		cmocka_unit_test(sessions_known),
		cmocka_unit_test(sessions_disabled),
		cmocka_unit_test(sessions_half_read),
		cmocka_unit_test(custom_peers),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
