/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * Recorded events, for the replay of a daemon with two failovers, "web" and
 * "mail".
 */

#include "fuzz.h"
#include "mtgcpd.h"

static struct failover_conf web = {
	.name = (char[]){ "web" },
	.router = { (char[]){ "r" }, (char[]){ "s" } },
	.router_region = { (char[]){ "east" }, (char[]){ "west" } },
};
static struct failover_conf mail = {
	.name = (char[]){ "mail" },
	.router = { (char[]){ "t" }, (char[]){ "u" } },
	.router_region = { (char[]){ "east" }, (char[]){ "west" } },
};
static struct conf conf;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *in, *out;

	if (size == 0)
		return (0);
	if (conf.nfailovers == 0) {
		TAILQ_INIT(&conf.failovers);
		TAILQ_INSERT_TAIL(&conf.failovers, &web, entry);
		TAILQ_INSERT_TAIL(&conf.failovers, &mail, entry);
		conf.nfailovers = 2;
		policy_default(&web.policy);
		policy_default(&mail.policy);
		mail.policy.window = mail.policy.up = mail.policy.down = 1;
		mail.policy.dwell = 60 * 1000;
	}
	in = fmemopen((void *)(uintptr_t)data, size, "r");
	out = fopen("/dev/null", "w");
	(void)replay(&conf, in, "record", out);
	fclose(in);
	fclose(out);
	return (0);
}
