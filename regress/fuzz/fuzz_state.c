/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * A state file, for a daemon with two failovers, "web" and "mail".  Whatever is
 * in it, nobody is in a state that there is not.  What is JSON gets the checksum
 * that it should have: it keeps nobody from looking further.
 */

#include <fcntl.h>
#include <unistd.h>

#include "../../src/statefile.c"

#include "conf.h"
#include "fuzz.h"

static const char text[] =
    "prober credentials file \"k\"\n"
    "actuator credentials file \"k\"\n"
    "cloudflare account \"a\" token file \"t\"\n"
    "failover \"web\" {\nproject \"p-1\"\nlocal region \"r1\"\n"
    "remote region \"r2\"\nlocal router \"a\"\nremote router \"b\"\n"
    "primary prefix 192.0.2.0/24\nsecondary prefix 198.51.100.0/24\n"
    "cloudflare routes matching \"one\"\n}\n"
    "failover \"mail\" {\nproject \"p-1\"\nlocal region \"r1\"\n"
    "remote region \"r2\"\nlocal router \"c\"\nremote router \"d\"\n"
    "primary prefix 203.0.113.0/24\nsecondary prefix 10.0.0.0/8\n"
    "cloudflare routes matching \"two\"\n}\n";

static struct conf *conf;
static char path[] = "/tmp/mt-gcpd.XXXXXX";

static void
forget(void)
{
	char aside[sizeof(path) + 16];

	(void)unlink(path);
	snprintf(aside, sizeof(aside), "%s.bad", path);
	(void)unlink(aside);
}

static void
begin(void)
{
	int fd = mkstemp(path);

	HOLDS(fd != -1 && write(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	conf = conf_parse(path);
	HOLDS(conf != NULL);
	atexit(forget);
}

static void
fill(const uint8_t *data, size_t size)
{
	json_t *root = json_loadb((const char *)data, size,
	    JSON_REJECT_DUPLICATES, NULL);
	char hex[SHA256_DIGEST_STRING_LENGTH], *json = NULL;
	int fd;

	if (json_is_object(root)) {
		json_object_del(root, "checksum");
		HOLDS(statefile_checksum(root, hex) == 0);
		json_object_set_new(root, "checksum", json_string(hex));
		json = json_dumps(root, 0);
		HOLDS(json != NULL);
		data = (const uint8_t *)json;
		size = strlen(json);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	HOLDS(fd != -1 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	free(json);
	json_decref(root);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_base *base;
	struct failover *failovers;
	size_t i, count;

	if (conf == NULL)
		begin();
	fill(data, size);
	base = channel_loop();
	HOLDS(engine_init(base, conf) == 0);
	count = engine_failovers(&failovers);
	HOLDS(statefile_load(path, failovers, count) == 0);
	for (i = 0; i < count; i++)
		HOLDS(failovers[i].decision.current >= 0 &&
		    failovers[i].decision.current <= STATES);
	engine_free();
	event_base_free(base);
	return (0);
}
