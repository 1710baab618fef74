/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * How answers are judged, of every API: the status in two bytes, the media
 * type, a NUL, and the body.  The reason is for people: nothing in it can do
 * anything to their terminal.
 */

#include "fuzz.h"
#include "gcp.h"
#include "http.h"

typedef enum answer (*judge)(const struct http_reply *, char *, size_t);

static void
judged(judge how, const struct http_reply *reply)
{
	char reason[REASON_LEN];
	enum answer answer;
	const char *c;

	memset(reason, 'x', sizeof(reason));
	answer = how(reply, reason, sizeof(reason));
	HOLDS(memchr(reason, '\0', sizeof(reason)) != NULL);
	if (answer != ANSWER_OK)
		HOLDS(reason[0] != '\0');
	for (c = reason; *c != '\0'; c++)
		HOLDS(*c >= ' ' && *c <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	struct http_reply reply = { .answered = true };
	char *type, *body;

	reply.status = take_byte(&in) * 100;
	reply.status += take_byte(&in);
	type = take_text(&in);
	strlcpy(reply.content_type, type, sizeof(reply.content_type));
	body = malloc(in.len + 1);
	reply.body_len = in.len;
	take_bytes(&in, body, reply.body_len);
	body[reply.body_len] = '\0';
	reply.body = body;
	judged(outcome_google, &reply);
	judged(outcome_cloudflare, &reply);
	judged(outcome_token, &reply);
	free(type);
	free(body);
	return (0);
}
