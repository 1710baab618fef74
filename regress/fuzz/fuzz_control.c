/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * A request at the control socket: a byte, odd for the socket where one may
 * only look, the type of the message in another, and the request.  What is
 * taken is of this version, has an end to each text, and is allowed.
 */

#include "fuzz.h"

#include "../../src/control.c"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct client client = { 0 };
	struct control_request request;
	struct imsg imsg = { 0 };
	const char *p;

	bucket_set(&bucket, 1000000, 1000000, mono_ms());
	client.looks_only = take_byte(&in) & 1;
	imsg.hdr.type = take_byte(&in);
	imsg.data = in.data;
	imsg.len = in.len;
	if (request_wrong(&client, &imsg, &request) != NULL)
		return (0);
	HOLDS(request.version == CONTROL_VERSION);
	HOLDS(request.command < CONTROL_COMMANDS);
	HOLDS(!client.looks_only || request.command < CONTROL_LOOKS);
	HOLDS(request.anyway <= 1);
	HOLDS(strlen(request.failover) < sizeof(request.failover));
	HOLDS(strlen(request.reason) < sizeof(request.reason));
	for (p = request.reason; *p != '\0'; p++)
		HOLDS((unsigned char)*p >= ' ' && *p != 0x7f);
	return (0);
}
