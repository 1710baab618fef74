/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * An environment file, and the token in it.  No message has the token in it,
 * and a file that is accepted has one.
 */

#include "conf.h"
#include "fuzz.h"

static struct bytes file;

static void
tell(const char *line __unused)
{
}

int
lax_open(const char *path __unused, char *why, size_t len __unused)
{
	*why = '\0';
	return (fuzz_memory(file.data, file.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *null = fopen("/dev/null", "w");
	struct conf *conf;
	char why[256] = "";
	char *token;
	size_t len = 0;

	conf_tell = tell;
	file = (struct bytes){ data, size };
	conf = env_parse("env");
	token = env_token("env", &len, why, sizeof(why));
	if (token == NULL)
		HOLDS(why[0] != '\0');
	else
		HOLDS(len > 0 && len == strlen(token));
	if (conf != NULL) {
		HOLDS(token != NULL);
		conf_print(conf, null);
	}
	conf_free(conf);
	free(token);
	fclose(null);
	return (0);
}
