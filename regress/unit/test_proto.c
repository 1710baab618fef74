/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The tables are static: the tests are made of them, and forget no type. */
#include "proto.c" /* NOLINT(bugprone-suspicious-include) */

static unsigned char payload[IMSG_SIZE_MAX];

static enum role
first_role(uint32_t roles)
{
	int role;

	for (role = 0; role < ROLE_MAX; role++)
		if (roles & BIT(role))
			break;
	return ((enum role)role);
}

static int
check(const struct route *route, enum role from, enum role to, size_t len)
{
	struct imsg imsg;
	char why[256];
	int r;

	memset(&imsg, 0, sizeof(imsg));
	imsg.hdr.type = route->type;
	imsg.data = payload;
	imsg.len = len;
	why[0] = '\0';
	r = proto_check(&imsg, from, to, why, sizeof(why));
	if (r == -1)
		assert_true(strlen(why) > 0);
	return (r);
}

/* A payload in which everything is right. */
static void
make_valid(const struct route *route)
{
	const struct prefix prefix = { .family = AF_INET, .length = 24 };
	size_t i, n, at;

	memset(payload, 0, sizeof(payload));
	for (i = 0; i < NFIELDS; i++) {
		if (fields[i].type != route->type)
			continue;
		for (n = 0; n < fields[i].count; n++) {
			at = fields[i].offset + n * fields[i].size;
			if (fields[i].check == CHECK_RANGE)
				memcpy(payload + at, &fields[i].low,
				    sizeof(int32_t));
			else if (fields[i].check == CHECK_PREFIX)
				memcpy(payload + at, &prefix, sizeof(prefix));
		}
	}
}

static size_t
valid_size(const struct route *route)
{
	return (route->opaque ? 1 : route->size);
}

/* Every type has a way, and a name. */
static void
test_every_type(void **state)
{
	uint32_t type;
	size_t i;

	(void)state;
	for (type = IMSG_NONE + 1; type < IMSG_MAX; type++) {
		for (i = 0; i < NROUTES; i++)
			if (routes[i].type == type)
				break;
		if (i == NROUTES)
			fail_msg("type %u has no route", type);
		assert_true(strncmp(proto_name(type), "IMSG_", 5) == 0);
	}
	assert_true(strncmp(proto_name(IMSG_MAX), "IMSG_", 5) != 0);
}

/* Only the right sender may send it, and only to the right receiver. */
static void
test_ways(void **state)
{
	const struct route *route;
	int from, to, may;

	(void)state;
	for (route = routes; route < routes + NROUTES; route++) {
		make_valid(route);
		for (from = 0; from < ROLE_MAX; from++) {
			for (to = 0; to < ROLE_MAX; to++) {
				may = find_route(route->type, (enum role)from,
					  (enum role)to) != NULL;
				assert_int_equal(check(route, (enum role)from,
						     (enum role)to,
						     valid_size(route)),
				    may ? 0 : -1);
			}
		}
		/* No child speaks to another one, and none to itself. */
		assert_true(route->from == PARENT || route->to == PARENT);
		assert_true((route->from & route->to) == 0);
	}
}

/* One byte less or more than the payload has is refused. */
static void
test_lengths(void **state)
{
	const struct route *route;
	enum role from, to;

	(void)state;
	for (route = routes; route < routes + NROUTES; route++) {
		from = first_role(route->from);
		to = first_role(route->to);
		make_valid(route);
		if (route->opaque) {
			assert_int_equal(check(route, from, to, 0), -1);
			assert_int_equal(check(route, from, to, OPAQUE_MAX), 0);
			assert_int_equal(check(route, from, to, OPAQUE_MAX + 1),
			    -1);
			continue;
		}
		assert_true(
		    route->size + sizeof(struct imsg_hdr) <= IMSG_SIZE_MAX);
		assert_int_equal(check(route, from, to, route->size), 0);
		assert_int_equal(check(route, from, to, route->size + 1), -1);
		if (route->size > 0)
			assert_int_equal(
			    check(route, from, to, route->size - 1), -1);
	}
}

static void
spoil(const struct route *route, const struct field *field, size_t at,
    int32_t value)
{
	enum role from = first_role(route->from);
	enum role to = first_role(route->to);

	make_valid(route);
	memcpy(payload + at, &value, sizeof(value));
	if (check(route, from, to, route->size) != -1)
		fail_msg("%s: %d at byte %zu was taken (%d..%d)", route->name,
		    value, at, field->low, field->high);
}

static void
spoil_element(const struct route *route, const struct field *field, size_t at)
{
	switch (field->check) {
	case CHECK_TEXT:
		make_valid(route);
		memset(payload + at, 'x', field->size);
		assert_int_equal(check(route, first_role(route->from),
				     first_role(route->to), route->size),
		    -1);
		payload[at + field->size - 1] = '\0';
		assert_int_equal(check(route, first_role(route->from),
				     first_role(route->to), route->size),
		    0);
		break;
	case CHECK_RANGE:
		spoil(route, field, at, field->low - 1);
		spoil(route, field, at, field->high + 1);
		spoil(route, field, at, INT32_MIN);
		spoil(route, field, at, INT32_MAX);
		break;
	case CHECK_PREFIX:
		spoil(route, field, at, 0); /* no family */
		spoil(route, field, at, AF_INET | 33 << 8);
		spoil(route, field, at, AF_INET6 | 129 << 8);
		spoil(route, field, at, 0x55);
		break;
	}
}

/* Every string without its end, and every value out of its range. */
static void
test_fields(void **state)
{
	const struct route *route;
	size_t i, n;

	(void)state;
	for (route = routes; route < routes + NROUTES; route++)
		for (i = 0; i < NFIELDS; i++)
			for (n = 0; fields[i].type == route->type &&
			     n < fields[i].count;
			     n++)
				spoil_element(route, &fields[i],
				    fields[i].offset + n * fields[i].size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_fields),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
