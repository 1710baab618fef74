/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The check of messages, for every sender and receiver: four bytes say which
 * route, the rest is the payload, as long as it has to be or, if the first
 * byte is odd, as it is.
 */

#include "../../common/proto.c"

#include "fuzz.h"

/* A message that was let through is one that may be used as it is. */
static void
usable(const struct imsg *imsg, const struct route *route)
{
	const struct field *field;
	const uint8_t *at;
	int32_t number;
	size_t i;

	HOLDS(imsg->len == route->size || route->opaque);
	for (field = fields; field < fields + NFIELDS; field++) {
		if (field->type != imsg->hdr.type)
			continue;
		HOLDS(field->offset + field->size * field->count <= imsg->len);
		for (i = 0; i < field->count; i++) {
			at = (const uint8_t *)imsg->data + field->offset +
			    i * field->size;
			if (field->check == CHECK_TEXT)
				HOLDS(strnlen((const char *)at, field->size) <
				    field->size);
			if (field->check != CHECK_RANGE)
				continue;
			memcpy(&number, at, sizeof(number));
			HOLDS(number >= field->low && number <= field->high);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	bool odd = take_byte(&in) & 1;
	const struct route *route = &routes[take_byte(&in) % NROUTES];
	enum role from = take_byte(&in) % ROLE_MAX;
	enum role to = take_byte(&in) % ROLE_MAX;
	struct imsg imsg = { .hdr = { .type = route->type } };
	uint8_t payload[IMSG_SIZE_MAX];
	char why[128];

	imsg.len = odd || route->opaque ? in.len : route->size;
	if (imsg.len > sizeof(payload))
		imsg.len = sizeof(payload);
	take_bytes(&in, payload, imsg.len);
	imsg.data = payload;
	why[0] = '\0';
	if (proto_check(&imsg, from, to, why, sizeof(why)) == -1) {
		HOLDS(why[0] != '\0');
		return (0);
	}
	HOLDS((route = find_route(imsg.hdr.type, from, to)) != NULL);
	usable(&imsg, route);
	return (0);
}
