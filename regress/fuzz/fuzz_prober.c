/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The prober: messages of the parent, as many as the first byte says, and what
 * Compute answers in a cycle and in a round of tests, as in clouds.h.  What it
 * tells the parent is what a parent takes.
 */

#define main prober_main
int main(int, char *[]);
#include "../../proc/prober/prober.c"
#undef main
#include "../../proc/prober/nameset.c"

#include "messages.h"
#define FAKE_TOKEN
#include "clouds.h"

const char *__asan_default_options(void);

/* It may end by what the parent says, and then forgets what it holds. */
const char *
__asan_default_options(void)
{
	return ("detect_leaks=0");
}

static void
say(enum imsg_type type, const void *data, size_t len)
{
	struct imsg imsg = { .hdr = { .type = type },
		.data = data,
		.len = len };

	dispatch(&imsg, NULL);
}

static void
configure(void)
{
	struct msg_conf_probe conf = {
		.project = "p",
		.region = { "us-east1", "us-west1" },
		.router_project = "p",
		.router = { "edge-rtr", "dc-router-east" },
		.router_region = { "us-east1", "us-west1" },
		.require_percent = 50,
		.connect_timeout = 1000,
		.api_timeout = 1000,
		.health_timeout = 1000,
		.health_retries = 2,
		.bgp_retries = 1,
		.backoff_initial = 100,
		.backoff_max = 500,
	};

	prefix_parse("203.0.113.0/24", &conf.prefix[PRIMARY]);
	prefix_parse("198.51.100.0/24", &conf.prefix[SECONDARY]);
	say(IMSG_CONF_BEGIN, NULL, 0);
	say(IMSG_CONF_PROBE, &conf, sizeof(conf));
	say(IMSG_CONF_COMMIT, NULL, 0);
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
	static const struct msg_probe cycle = { .cycle = 1,
		.budget = 10000,
		.parts = PARTS_ALL };
	static const struct msg_test test = { .test = 1 };
	struct bytes in = { data, size };
	uint8_t n = take_byte(&in) & 15;
	struct imsg imsg;

	own_role = ROLE_PROBER;
	if (running == NULL)
		prepare(NULL, &(struct child_setup){ 0 });
	configure();
	while (n-- > 0 &&
	    take_message(&in, ROLE_PARENT, own_role, &imsg, payload)) {
		(void)fuzz_ends(hear, &imsg);
		pass(LATENCY);
	}
	clouds_begin(&in);
	say(IMSG_PROBE, &cycle, sizeof(cycle));
	pass(20 * 1000);
	say(IMSG_TEST, &test, sizeof(test));
	pass(20 * 1000);
	/* Whatever still goes on ends. */
	clouds_end();
	configure();
	pass(0);
	return (0);
}
