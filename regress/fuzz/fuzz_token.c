/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The exchange of an assertion for an access token: answers of the token
 * endpoint, one after another, as in clouds.h.
 */

#include "../../common/token.c"

#include "clouds.h"

static void
ready(void *arg)
{
	*(bool *)arg = true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char jwt[] = "eyJh.eyJp.c2ln";
	struct imsg imsg = { .data = jwt, .len = sizeof(jwt) - 1 };
	struct bytes in = { data, size };
	bool told = false;
	const char *c;
	int i;

	own_role = ROLE_PROBER;
	if (token.timer == NULL)
		token_init(NULL);
	clouds_begin(&in);
	token_uri("https://h/token");
	token_when_ready(ready, &told);
	for (i = 0; i < 8 && clouds.count > 0; i++) {
		if (wants_assertion)
			token_assertion(&imsg);
		wants_assertion = false;
		pass(60 * 1000);
		for (c = token_current(); c != NULL && *c != '\0'; c++)
			HOLDS(*c > ' ' && *c <= '~');
		if (i == 4 && token_current() != NULL)
			token_refused(token_current());
	}
	token_forget_waiter(ready, &told);
	token_uri(NULL);
	clouds_end();
	pass(0);
	return (0);
}
