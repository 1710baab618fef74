/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The signer: messages of the parent.  It ends by what no parent says.
 */

#define main signer_main
int main(int, char *[]);
#include "../../proc/signer/signer.c"
#undef main

#include "messages.h"
#include "clouds.h"

const char *__asan_default_options(void);

/* When it ends it forgets what it holds. */
const char *
__asan_default_options(void)
{
	return ("detect_leaks=0");
}

static void
hear(void *arg)
{
	dispatch(arg, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t payload[IMSG_SIZE_MAX];
	struct bytes in = { data, size };
	struct imsg imsg;
	int role;

	own_role = ROLE_SIGNER;
	while (take_message(&in, ROLE_PARENT, own_role, &imsg, payload))
		(void)fuzz_ends(hear, &imsg);
	for (role = 0; role < ROLE_MAX; role++) {
		key_clear(&keys[role]);
		free(incoming[role].text);
		memset(&incoming[role], 0, sizeof(incoming[role]));
	}
	return (0);
}
