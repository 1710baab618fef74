/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The answer of a token endpoint or a metadata server.  A token that is taken
 * can stand in a header, and has an end.
 */

#include <ctype.h>

#include "fuzz.h"
#include "token.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct http_reply reply = { .answered = true, .sent = true };
	char *body = take_text(&in), why[REASON_LEN] = "";
	struct msg_token token;
	const char *p;

	reply.status = 200;
	reply.body = body;
	reply.body_len = strlen(body);
	if (token_parse(&reply, &token, why, sizeof(why)) == -1)
		HOLDS(why[0] != '\0');
	else {
		HOLDS(token.lifetime >= 1 && token.lifetime <= LIFETIME_MAX);
		HOLDS(memchr(token.token, '\0', sizeof(token.token)) != NULL);
		HOLDS(token.token[0] != '\0');
		for (p = token.token; *p != '\0'; p++)
			HOLDS(isgraph((unsigned char)*p));
	}
	free(body);
	return (0);
}
