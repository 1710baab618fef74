/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * A router and its status: what routers.get and getRouterStatus answer, each
 * ended by a NUL, after a byte that says what is wanted of the two prefixes,
 * and of whom.  What would be written changes nothing but our prefixes, and
 * once it is written there is nothing left to write.
 */

#include "fuzz.h"
#include "merge.h"
#include "prober.h"

static char peers[][NAME_LEN] = { "edge-peer-a", "edge-peer-b" };

/* RFC 7396, for the patches that we make. */
static void
apply(json_t *router, json_t *patch)
{
	const char *key;
	json_t *value;

	json_object_foreach(patch, key, value)
		if (json_is_object(value))
			json_object_update(json_object_get(router, key), value);
		else
			json_object_set(router, key, value);
}

static void
merge(json_t *router, const struct router_targets *targets,
    const struct wanted *wanted)
{
	char why[REASON_LEN] = "", text[RANGES_LEN];
	json_t *patch;
	int r;

	r = merge_patch(router, targets, wanted, &patch, why, sizeof(why));
	merge_ranges_text(router, targets, text, sizeof(text));
	if (r != 1) {
		HOLDS(patch == NULL && (r == 0 || why[0] != '\0'));
		return;
	}
	HOLDS(merge_only_ours(router, targets, patch, wanted->prefix));
	apply(router, patch);
	json_decref(patch);
	HOLDS(merge_patch(router, targets, wanted, &patch, why, sizeof(why)) ==
	    0);
}

static void
judge(const json_t *router, const json_t *status, const struct target *target)
{
	struct router_result result;
	enum side side;

	for (side = LOCAL; side < SIDES; side++) {
		router_judge(router, status, target, side, &result);
		free(result.peer);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	uint8_t how = take_byte(&in);
	json_t *router = take_json(&in), *status = take_json(&in);
	struct target target = { .peer = peers, .npeers = how >> 4 & 3 };
	struct router_targets targets;
	struct wanted wanted;

	if (target.npeers > 2)
		target.npeers = 0;
	prefix_parse("203.0.113.0/24", &wanted.prefix[PRIMARY]);
	prefix_parse("198.51.100.0/24", &wanted.prefix[SECONDARY]);
	memcpy(target.probe.prefix, wanted.prefix, sizeof(wanted.prefix));
	target.probe.bgp_all = how >> 6 & 1;
	wanted.advert[PRIMARY] = (how & 3U) % 3;
	wanted.advert[SECONDARY] = (how >> 2 & 3U) % 3;
	targets.peer = (const char(*)[NAME_LEN])peers;
	targets.npeers = target.npeers;
	if (!json_is_object(status) || status_check(status) != NULL) {
		json_decref(status);
		status = NULL;
	}
	if (json_is_object(router) &&
	    router_check(router, "dc-router-east") == NULL) {
		judge(router, status, &target);
		(void)status_uptime(status, router, &targets);
		(void)status_any_up(status, router, &targets);
	} else
		judge(NULL, status, &target);
	/* The actuator does not look at the name. */
	if (json_is_object(router))
		merge(router, &targets, &wanted);
	json_decref(router);
	json_decref(status);
	return (0);
}
