/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * Messages between processes, made of an input: whatever the check of messages
 * lets through.
 */

#define proto_check own_check
#define proto_name  own_name
#define role_name   own_role_name
#define role_scope  own_role_scope
#include "../../common/proto.c"

#include "fuzz.h"
#include "messages.h"

/* A byte says which of those that may go this way; NULL: there is none. */
static const struct route *
take_route(struct bytes *in, enum role from, enum role to)
{
	const struct route *fit[NROUTES];
	size_t i, n = 0;

	for (i = 0; i < NROUTES; i++)
		if ((routes[i].from & BIT(from)) && (routes[i].to & BIT(to)))
			fit[n++] = &routes[i];
	return (n == 0 ? NULL : fit[take_byte(in) % n]);
}

/* Make a field what it may be, if it is not. */
static void
mend(const struct field *field, uint8_t *at)
{
	struct prefix prefix;
	uint32_t number;
	size_t i;

	for (i = 0; i < field->count; i++, at += field->size) {
		if (field->check == CHECK_TEXT)
			at[field->size - 1] = '\0';
		else if (field->check == CHECK_PREFIX) {
			memcpy(&prefix, at, sizeof(prefix));
			prefix.family = prefix.family & 1 ? AF_INET6 : AF_INET;
			prefix.length %= 33;
			memcpy(at, &prefix, sizeof(prefix));
		} else if (!check_field(&(struct field){ .check = CHECK_RANGE,
					    .size = field->size,
					    .count = 1,
					    .low = field->low,
					    .high = field->high },
			       at)) {
			memcpy(&number, at, sizeof(number));
			number = (uint32_t)field->low +
			    number % ((uint32_t)(field->high - field->low) + 1);
			memcpy(at, &number, sizeof(number));
		}
	}
}

/*
 * A message for that way, in payload, which has IMSG_SIZE_MAX bytes: a byte for
 * its type, one for its id, two for how many bytes of the payload follow, the
 * others being 0.
 */
bool
take_message(struct bytes *in, enum role from, enum role to, struct imsg *imsg,
    uint8_t *payload)
{
	const struct route *route = take_route(in, from, to);
	char why[128];
	uint8_t id;
	uint16_t len;
	size_t i;

	if (route == NULL || in->len == 0)
		return (false);
	memset(imsg, 0, sizeof(*imsg));
	id = take_byte(in);
	imsg->hdr.type = route->type;
	imsg->hdr.id = id < 0xf0 ? id % 6U : UINT32_MAX << (id & 15U);
	len = (uint16_t)(take_byte(in) << 8);
	len |= take_byte(in);
	if (len > OPAQUE_MAX)
		len = OPAQUE_MAX;
	if (route->opaque)
		imsg->len = len == 0 ? 1 : len;
	else {
		imsg->len = route->size;
		memset(payload, 0, imsg->len);
		if (len > imsg->len)
			len = (uint16_t)imsg->len;
	}
	take_bytes(in, payload, route->opaque ? imsg->len : len);
	imsg->data = payload;
	imsg->hdr.len = (uint32_t)(imsg->len + sizeof(imsg->hdr));
	for (i = 0; i < NFIELDS; i++)
		if (fields[i].type == route->type)
			mend(&fields[i], payload + fields[i].offset);
	HOLDS(own_check(imsg, from, to, why, sizeof(why)) == 0);
	return (true);
}
