/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health.h"

static int
by_name(const void *a, const void *b)
{
	const struct service_memory *x = a, *y = b;

	return (strcmp(x->name, y->name));
}

static void
memory_name(struct service_memory *service, const char *name)
{
	memset(service, 0, sizeof(*service));
	snprintf(service->name, sizeof(service->name), "%s", name);
}

/* Only the first count services are known to be sorted. */
static struct service_memory *
memory_find(const struct region_memory *memory, const char *name, size_t count)
{
	struct service_memory key;

	if (count == 0)
		return (NULL);
	memory_name(&key, name);
	return (bsearch(&key, memory->service, count, sizeof(key), by_name));
}

/* A new service at the end, where it is not found before the next sort. */
static struct service_memory *
memory_append(struct region_memory *memory, const char *name)
{
	struct service_memory *service;
	size_t size;

	if (memory->count == memory->size) {
		size = memory->size == 0 ? 16 : memory->size * 2;
		service = reallocarray(memory->service, size, sizeof(*service));
		if (service == NULL)
			return (NULL);
		memory->service = service;
		memory->size = size;
	}
	service = &memory->service[memory->count++];
	memory_name(service, name);
	return (service);
}

static void
memory_sort(struct region_memory *memory)
{
	if (memory->count > 1)
		qsort(memory->service, memory->count,
		    sizeof(memory->service[0]), by_name);
}

/* Drop the services that a complete list no longer has, and sort the rest. */
static void
memory_settle(struct region_memory *memory, bool complete)
{
	size_t i, kept = 0;

	for (i = 0; i < memory->count; i++) {
		if (complete && !memory->service[i].seen)
			continue;
		memory->service[i].seen = false;
		memory->service[kept++] = memory->service[i];
	}
	memory->count = kept;
	memory_sort(memory);
}

/*
 * Give back what was remembered of a service before a restart.  The name is
 * copied; empty_since is a time in milliseconds on the caller's present clock,
 * may lie before its zero, and counts where the service was empty.  A service
 * that is remembered already stays as it is.  Returns 0, or -1 if memory is
 * short or there is no name.
 */
int
region_remember(struct region_memory *memory, const char *name,
    int64_t empty_since, bool empty)
{
	struct service_memory *service;

	if (name == NULL)
		return (-1);
	if (memory_find(memory, name, memory->count) != NULL)
		return (0);
	service = memory_append(memory, name);
	if (service == NULL)
		return (-1);
	service->empty = empty;
	service->empty_since = empty_since;
	/* What was saved in order comes back in order. */
	if (memory->count > 1 && by_name(service - 1, service) > 0)
		memory_sort(memory);
	return (0);
}

/* Forget everything and release the memory; it can be used again. */
void
region_forget(struct region_memory *memory)
{
	free(memory->service);
	memset(memory, 0, sizeof(*memory));
}

/*
 * One service.  Without an endpoint to count it is unknown if it never had
 * any, or if it lost them only a while ago; after that it is unhealthy.  An
 * unknown answer is no proof that there are endpoints, for a call may have
 * failed: it does not enter the memory, but it does end an empty time.  known
 * is the number of services that are remembered from before.
 */
static enum verdict
service_judge(struct region_memory *memory, size_t known,
    const struct service_result *result, int64_t now)
{
	struct service_memory *service;

	service = memory_find(memory, result->name, known);
	if (service == NULL && !result->empty && result->verdict != V_UNKNOWN) {
		service = memory_append(memory, result->name);
		if (service == NULL)
			return (V_UNKNOWN);
	}
	if (service == NULL)
		return (V_UNKNOWN);
	service->seen = true;
	if (!result->empty) {
		service->empty = false;
		return (result->verdict);
	}
	if (!service->empty) {
		service->empty = true;
		service->empty_since = now;
	}
	return (now - service->empty_since >= EMPTY_UNHEALTHY_AFTER ?
		V_NO :
		V_UNKNOWN);
}

/*
 * The verdict of a region at now, in milliseconds: all of its services must be
 * healthy.  complete says that the list is whole; a partial one says nothing,
 * and neither does an empty one.  The memory is brought up to date: services
 * are added, and those that a complete list no longer has are forgotten.  A
 * service that cannot be remembered, for memory is short, is unknown.
 */
enum verdict
region_judge(struct region_memory *memory, const struct service_result *results,
    size_t count, bool complete, int64_t now)
{
	enum verdict verdict = V_YES;
	size_t known = memory->count;
	size_t i;

	for (i = 0; i < count; i++)
		verdict = v_and(verdict,
		    service_judge(memory, known, &results[i], now));
	memory_settle(memory, complete);
	return (complete && count > 0 ? verdict : V_UNKNOWN);
}

/*
 * The verdict of a router with that many peers, if its status was read: what
 * could not be read is unknown.  Without any peer it is down if it ever had
 * some, which *had_peers remembers, and unknown otherwise.
 */
enum verdict
bgp_judge(enum verdict verdict, bool read, uint32_t peers, bool *had_peers)
{
	if (!read)
		return (V_UNKNOWN);
	if (peers == 0)
		return (*had_peers ? V_NO : V_UNKNOWN);
	*had_peers = true;
	return (verdict);
}
