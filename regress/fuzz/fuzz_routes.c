/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The routes of an account at Cloudflare, after the text that ours have in
 * their description and a NUL.  Whatever we would write is ours, and as it was
 * but for its priority.
 */

#include "fuzz.h"
#include "gcp.h"
#include "pick.h"

static bool
twice(const json_t *routes)
{
	json_t *one, *other;
	size_t i, j;

	json_array_foreach(routes, i, one)
		for (j = 0; j < i; j++) {
			other = json_array_get(routes, j);
			if (strcmp(json_text(one, "id"),
				json_text(other, "id")) == 0)
				return (true);
		}
	return (false);
}

static void
write_all(const json_t *ours, const struct pick_owner *owner)
{
	json_t *differing = pick_differing(ours, owner->priority);
	json_t *routes, *body;
	size_t at, n;

	for (at = 0; at < json_array_size(differing); at += n) {
		routes = json_array();
		n = pick_add(routes, differing, at, owner->priority);
		HOLDS(n > 0 && n <= BULK_MAX);
		body = json_pack("{s:o}", "routes", routes);
		HOLDS(pick_only_ours(body, owner, 1));
		json_decref(body);
	}
	json_decref(differing);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	const char *others[] = { "site B" };
	struct picker picker = { .others = others, .nothers = 1, .expect = -1 };
	struct pick_owner owner = { .priority = 100,
		.failed = 200,
		.may = true };
	char *match = take_text(&in), why[REASON_LEN] = "";
	json_t *list = take_json(&in), *ours, *body;

	picker.match = owner.match = match;
	if (!json_is_object(list) || *match == '\0' ||
	    pick_routes(list, &picker, &ours, why, sizeof(why)) == -1) {
		json_decref(list);
		free(match);
		return (0);
	}
	write_all(ours, &owner);
	if (!twice(ours)) { /* as the API has it */
		body = pick_unchanged(ours, 0);
		HOLDS(pick_only_unchanged(body, list, &picker));
		json_decref(body);
		HOLDS(pick_unharmed(ours, ours));
	}
	json_decref(ours);
	json_decref(list);
	free(match);
	return (0);
}
