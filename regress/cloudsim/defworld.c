/* SPDX-License-Identifier: MIT */
/*
 * Copyright (c) 2026 The mt-gcpd authors
 *
 * The world that is there without -w: the reference topology.  Two sites,
 * prefix X at home at A, prefix Y at home at B, at Cloudflare one managed
 * route for each to its home and one unmanaged route to the other site.
 */

#include <stdio.h>
#include <stdlib.h>

#include "cloudsim.h"

#define PREFIX_X  "203.0.113.0/24"
#define PREFIX_Y  "198.51.100.0/24"
#define NEXTHOP_A "10.213.0.9"
#define NEXTHOP_B "10.214.0.9"
#define PROJECT	  SELF_LINK "projects/" DEMO_PROJECT

/* One of the two sites; everything else is the same for both. */
struct site {
	char letter;
	const char *own;
	const char *subnet;
	int net; /* third byte of link addresses */
};

static json_t *
link_to(const char *fmt, const struct site *site, const char *name)
{
	json_t *v;
	char *rest, *url;

	rest = xasprintf(fmt, site->letter, name);
	url = xasprintf("%s/%s", PROJECT, rest);
	v = json_string(url);
	free(rest);
	free(url);
	return (v);
}

/* Two endpoints; those of a NEG are pods on some node. */
static json_t *
health_rows(const struct site *site, int svc, bool neg)
{
	char name[64], ip[64];
	json_t *rows = json_array();
	int i;

	for (i = 1; i <= 2; i++) {
		snprintf(name, sizeof(name), "%s-%d-%d", neg ? "node" : "vm",
		    svc, i);
		snprintf(ip, sizeof(ip), "10.%d.%d.%d", site->net + 10,
		    svc * 2 + neg, 10 + i);
		json_array_append_new(rows,
		    json_pack("{s:s, s:o, s:s, s:i}", "healthState", "HEALTHY",
			"instance",
			link_to(neg ? "zones/region-%c-b/instances/%s" :
				      "zones/region-%c-a/instances/%s",
			    site, name),
			"ipAddress", ip, "port", neg ? 8080 : 80));
	}
	return (rows);
}

static json_t *
service(const struct site *site, int n)
{
	json_t *group, *neg, *health, *backends;
	char name[16], id[24], part[32];

	snprintf(name, sizeof(name), "svc-%d", n);
	snprintf(id, sizeof(id), "500000000000000%c%d00",
	    site->letter == 'a' ? '1' : '2', n);
	snprintf(part, sizeof(part), "ig-%d", n);
	group = link_to("zones/region-%c-a/instanceGroups/%s", site, part);
	snprintf(part, sizeof(part), "neg-%d", n);
	neg = link_to("zones/region-%c-b/networkEndpointGroups/%s", site, part);
	health = json_object();
	json_object_set_new(health, json_string_value(group),
	    health_rows(site, n, false));
	json_object_set_new(health, json_string_value(neg),
	    health_rows(site, n, true));
	backends = json_pack("[{s:o, s:s, s:f}, {s:o, s:s, s:i, s:f}]", "group",
	    group, "balancingMode", "UTILIZATION", "capacityScaler", 1.0,
	    "group", neg, "balancingMode", "RATE", "maxRatePerEndpoint", 100,
	    "capacityScaler", 1.0);
	return (json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:i, s:i, s:s,"
			  " s:s, s:s, s:o, s:s, s:[o], s:[{s:o}], s:o}",
	    "kind", "compute#backendService", "id", id, "creationTimestamp",
	    "2025-02-11T02:03:04.567-08:00", "name", name, "description", "",
	    "selfLink",
	    link_to("regions/region-%c/backendServices/%s", site, name),
	    "backends", backends, "timeoutSec", 30, "port", 80, "protocol",
	    "HTTP", "fingerprint", "NGbd3vJ2Wq4=", "sessionAffinity", "NONE",
	    "region", link_to("regions/region-%c%s", site, ""),
	    "loadBalancingScheme", "EXTERNAL_MANAGED", "healthChecks",
	    link_to("regions/region-%c/healthChecks/%s-hc", site, name),
	    "usedBy", "reference",
	    link_to("regions/region-%c/forwardingRules/%s-fr", site, name),
	    "health", health));
}

static json_t *
bgp_peer(const struct site *site, int n)
{
	char name[32], iface[32], local[32], remote[32];

	snprintf(name, sizeof(name), "peer-%c-%d", site->letter, n);
	snprintf(iface, sizeof(iface), "if-%c-%d", site->letter, n);
	snprintf(local, sizeof(local), "169.254.%d.1", site->net + n);
	snprintf(remote, sizeof(remote), "169.254.%d.2", site->net + n);
	return (json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s,"
			  " s:{s:s, s:i, s:i, s:i}, s:b, s:b, s:i}",
	    "name", name, "interfaceName", iface, "ipAddress", local,
	    "peerIpAddress", remote, "peerAsn", 13335, "advertiseMode",
	    "DEFAULT", "managementType", "MANAGED_BY_USER", "enable", "TRUE",
	    "bfd", "sessionInitializationMode", "DISABLED",
	    "minTransmitInterval", 1000, "minReceiveInterval", 1000,
	    "multiplier", 5, "enableIpv4", 1, "enableIpv6", 0,
	    "advertisedRoutePriority", 100));
}

static json_t *
bgp_interface(const struct site *site, int n)
{
	char name[32], range[32];

	snprintf(name, sizeof(name), "if-%c-%d", site->letter, n);
	snprintf(range, sizeof(range), "169.254.%d.1/29", site->net + n);
	return (json_pack("{s:s, s:s, s:o, s:s}", "name", name, "ipRange",
	    range, "linkedInterconnectAttachment",
	    link_to("regions/region-%c/interconnectAttachments/%s", site, name),
	    "managementType", "MANAGED_BY_USER"));
}

static json_t *
router(const struct site *site)
{
	char name[16], peer1[16], peer2[16];

	snprintf(name, sizeof(name), "router-%c", site->letter);
	snprintf(peer1, sizeof(peer1), "peer-%c-1", site->letter);
	snprintf(peer2, sizeof(peer2), "peer-%c-2", site->letter);
	return (json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:[o, o],"
	    " s:[o, o], s:{s:i, s:s, s:[s], s:[{s:s, s:s}, {s:s, s:s}], s:i},"
	    " s:o, s:b, s:{s:{s:s, s:s}, s:{s:s, s:s}}}",
	    "kind", "compute#router", "id",
	    site->letter == 'a' ? "7114728016518951267" : "7114728016518951268",
	    "creationTimestamp", "2024-05-06T07:08:09.012-07:00", "name", name,
	    "description", "", "region",
	    link_to("regions/region-%c%s", site, ""), "network",
	    PROJECT "/global/networks/demo-vpc", "interfaces",
	    bgp_interface(site, 1), bgp_interface(site, 2), "bgpPeers",
	    bgp_peer(site, 1), bgp_peer(site, 2), "bgp", "asn", 64512,
	    "advertiseMode", "CUSTOM", "advertisedGroups", "ALL_SUBNETS",
	    "advertisedIpRanges", "range", "192.0.2.0/28", "description",
	    "not ours", "range", site->own, "description", "primary",
	    "keepaliveInterval", 20, "selfLink",
	    link_to("regions/region-%c/routers/%s", site, name),
	    "encryptedInterconnectRouter", 0, "peer_status", peer1, "status",
	    "UP", "state", "Established", peer2, "status", "UP", "state",
	    "Established"));
}

static json_t *
region(const struct site *site)
{
	char zone[3][16], name[16];
	int i;

	for (i = 0; i < 3; i++)
		snprintf(zone[i], sizeof(zone[i]), "region-%c-%c", site->letter,
		    'a' + i);
	snprintf(name, sizeof(name), "router-%c", site->letter);
	return (json_pack("{s:s, s:[s, s, s], s:[s], s:{s:o, s:o}, s:{s:o}}",
	    "status", "UP", "zones", zone[0], zone[1], zone[2], "subnets",
	    site->subnet, "services", "svc-1", service(site, 1), "svc-2",
	    service(site, 2), "routers", name, router(site)));
}

static json_t *
route(int n, const char *prefix, const char *nexthop, int priority,
    const char *description, int weight)
{
	char id[33];
	json_t *v;

	snprintf(id, sizeof(id), "%032x", 0xa0 + n);
	v = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "id", id, "prefix",
	    prefix, "nexthop", nexthop, "priority", priority, "description",
	    description, "created_on", "2024-06-14T00:00:00Z", "modified_on",
	    "2025-12-30T05:20:00Z");
	if (weight > 0)
		json_object_set_new(v, "weight", json_integer(weight));
	return (v);
}

static json_t *
routes(void)
{
	json_t *list = json_array(), *first;

	first = route(1, PREFIX_X, NEXTHOP_A, 100, "mt-gcpd A primary", 64);
	json_object_set_new(first, "scope",
	    json_pack("{s:[s, s, s], s:[]}", "colo_regions", "ENAM", "WNAM",
		"WEUR", "colo_names"));
	json_array_append_new(list, first);
	json_array_append_new(list,
	    route(2, PREFIX_X, NEXTHOP_B, 150, "static backup X", 0));
	json_array_append_new(list,
	    route(3, PREFIX_Y, NEXTHOP_B, 100, "mt-gcpd B primary", 128));
	json_array_append_new(list,
	    route(4, PREFIX_Y, NEXTHOP_A, 150, "static backup Y", 0));
	json_array_append_new(list,
	    json_pack("{s:s, s:s, s:s, s:i, s:n, s:n, s:n, s:n, s:n}", "id",
		"000000000000000000000000000000a5", "prefix", "10.99.0.0/16",
		"nexthop", "10.215.0.1", "priority", 0, "description", "weight",
		"scope", "created_on", "modified_on"));
	return (list);
}

static json_t *
site_entry(const struct site *site, const char *nexthop)
{
	char reg[16], name[16];

	snprintf(reg, sizeof(reg), "region-%c", site->letter);
	snprintf(name, sizeof(name), "router-%c", site->letter);
	return (json_pack("{s:s, s:s, s:s, s:[s]}", "project", DEMO_PROJECT,
	    "region", reg, "router", name, "nexthops", nexthop));
}

json_t *
world_default(void)
{
	static const struct site a = { 'a', PREFIX_X, "10.20.0.0/20", 10 };
	static const struct site b = { 'b', PREFIX_Y, "10.30.0.0/20", 20 };

	return (
	    json_pack("{s:{}, s:{s:{s:{s:o, s:o}}}, s:{s:{s:{s:o}}},"
		      " s:{s:o, s:o}, s:{s:{s:s, s:s}, s:{s:s, s:s}}, s:{}}",
		"settings", "projects", DEMO_PROJECT, "regions", "region-a",
		region(&a), "region-b", region(&b), "cloudflare", "accounts",
		DEMO_ACCOUNT, "routes", routes(), "sites", "A",
		site_entry(&a, NEXTHOP_A), "B", site_entry(&b, NEXTHOP_B),
		"prefixes", "X", "prefix", PREFIX_X, "home", "A", "Y", "prefix",
		PREFIX_Y, "home", "B", "accounts"));
}
