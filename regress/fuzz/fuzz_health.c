/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * Backend services and their health: a byte with how many of the parts that
 * follow, each ended by a NUL, are pages of the list; the others are answers
 * of the groups, in their order, and used again from the first on.
 */

#include "../../proc/prober/nameset.c"

#include "fuzz.h"

static struct bytes answers;

static void
ask(struct service *service, size_t group, struct bytes *left)
{
	json_t *answer;

	if (left->len == 0)
		*left = answers;
	answer = take_json(left);
	if (!json_is_object(answer) || health_check(answer) != NULL)
		health_failed(service, group, "no answer");
	else
		health_decode(service, group, answer);
	json_decref(answer);
}

static void
judge(struct service *service, struct sick_list *sick)
{
	struct bytes left = answers;
	size_t i;

	for (i = 0; i < service->ngroups; i++)
		if (!service->group[i].failed)
			ask(service, i, &left);
	HOLDS(service->pending == 0);
	service_judge(service, 50, sick);
	if (service->verdict == V_UNKNOWN)
		HOLDS(service->reason != NULL);
	HOLDS(sick->count <= UNHEALTHY_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char named[][NAME_LEN] = { "api-backend", "web-backend" };
	struct bytes in = { data, size };
	uint8_t how = take_byte(&in);
	struct target target = { .service = named,
		.nservices = how & 0x80 ? 2 : 0 };
	struct services services = { 0 };
	struct sick_list sick = { 0 };
	char what[REASON_LEN];
	json_t *page;
	size_t i;

	for (i = 0; i < (how & 3U) + 1; i++) {
		page = take_json(&in);
		if (json_is_object(page) && services_check(page) == NULL) {
			(void)services_partial(page, what, sizeof(what));
			(void)services_decode(&services, page, &target, "r");
		}
		json_decref(page);
	}
	services_missing(&services, &target);
	answers = in;
	for (i = 0; i < services.count; i++)
		judge(services.service[i], &sick);
	services_free(&services);
	free(sick.endpoint);
	return (0);
}
