/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The exchange of an assertion for an access token: answers of the token
 * endpoint, one after another, as in clouds.h.  And the whole input as the
 * answer of a metadata server.
 */

#include "../../common/token.c"

#include "clouds.h"

static void
ready(void *arg)
{
	*(bool *)arg = true;
}

static void
usable(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		HOLDS(*text > ' ' && *text <= '~');
}

/* What the actuator makes of an answer of a metadata server. */
static void
metadata(const uint8_t *data, size_t size)
{
	struct msg_token_uri source = { .url = "http://m/t", .metadata = 1 };
	struct http_reply reply = { .answered = true, .status = 200 };
	char *body = malloc(size + 1), why[REASON_LEN] = "";
	struct msg_token given;

	memcpy(body, data, size);
	body[size] = '\0';
	reply.body = body;
	reply.body_len = size;
	token_source(&source);
	if (token_parse(&reply, &given, why, sizeof(why)) == -1) {
		HOLDS(why[0] != '\0');
		token_not_given(why);
		HOLDS(token_current() == NULL);
	} else {
		HOLDS(given.lifetime >= 1 && given.lifetime <= LIFETIME_MAX);
		HOLDS(given.token[0] != '\0');
		token_given(&given);
		HOLDS(token_current() != NULL);
		usable(token_current());
	}
	free(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char jwt[] = "eyJh.eyJp.c2ln";
	struct imsg imsg = { .hdr = { .type = IMSG_ASSERTION },
		.data = jwt,
		.len = sizeof(jwt) - 1 };
	struct msg_token_uri source = { .url = "https://h/token" };
	struct bytes in = { data, size };
	bool told = false;
	int i;

	own_role = ROLE_PROBER;
	if (token.timer == NULL)
		token_init(NULL);
	clouds_begin(&in);
	token_source(&source);
	token_when_ready(ready, &told);
	for (i = 0; i < 8 && clouds.count > 0; i++) {
		if (wants_assertion)
			(void)token_message(&imsg);
		wants_assertion = false;
		pass(60 * 1000);
		usable(token_current());
		if (i == 4 && token_current() != NULL)
			token_refused(token_current());
	}
	token_forget_waiter(ready, &told);
	metadata(data, size);
	source.url[0] = '\0';
	token_source(&source);
	clouds_end();
	pass(0);
	return (0);
}
