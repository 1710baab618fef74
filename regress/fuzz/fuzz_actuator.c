/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The actuator: messages of the parent, as many as the first byte says, and
 * what Compute and Cloudflare answer to a plan and a rehearsal, as in clouds.h.
 * What it tells the parent is what a parent takes.
 */

#define main actuator_main
int main(int, char *[]);
#include "../../proc/actuator/actuator.c"
#undef main

#include "messages.h"
#define FAKE_TOKEN
#include "clouds.h"

#define MINUTES (60 * 1000)

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
configure(uint8_t how)
{
	struct msg_conf_act conf = {
		.project = "p",
		.region = "us-east1",
		.router = "edge-rtr",
		.match = "site A",
		.priority = 100,
		.failed = 200,
		.expect = -1,
		.drain = 1000,
		.connect_timeout = 1000,
		.api_timeout = 1000,
		.bgp_update_timeout = 20000,
		.cloudflare_timeout = 1000,
		.cloudflare_bulk_timeout = 2000,
		.bgp_retries = 1,
		.cloudflare_retries = 2,
		.backoff_initial = 100,
		.backoff_max = 500,
		.look_every = 1000,
		.passive = how >> 4 & 1,
	};
	static const struct msg_endpoint compute = { API_COMPUTE,
		"https://g/compute/v1" };
	static const struct msg_endpoint cloudflare = { API_CLOUDFLARE,
		"https://c/client/v4" };
	static const struct msg_name account = { "acc" };
	static const struct msg_name peer = { "edge-peer-a" };
	static const struct msg_limit limit = { 1000000, 1000000 };

	prefix_parse("203.0.113.0/24", &conf.prefix[PRIMARY]);
	prefix_parse("198.51.100.0/24", &conf.prefix[SECONDARY]);
	say(IMSG_CONF_BEGIN, NULL, 0);
	say(IMSG_CONF_ENDPOINT, &compute, sizeof(compute));
	say(IMSG_CONF_ENDPOINT, &cloudflare, sizeof(cloudflare));
	say(IMSG_CONF_LIMIT, &limit, sizeof(limit));
	say(IMSG_CONF_ACCOUNT, &account, sizeof(account));
	say(IMSG_CONF_CF_TOKEN, "secret\n", 7);
	say(IMSG_CONF_ACT, &conf, sizeof(conf));
	if (how & 0x20)
		say(IMSG_CONF_PEER, &peer, sizeof(peer));
	say(IMSG_CONF_COMMIT, NULL, 0);
	pass(5 * MINUTES);
}

static void
hear(void *arg)
{
	const struct imsg *imsg = arg;

	if (imsg->hdr.type != IMSG_STOP) /* there is no way back */
		dispatch(imsg, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t payload[IMSG_SIZE_MAX];
	static const struct msg_test round = { .test = 1 };
	struct msg_plan plan = { .plan = 1 };
	struct bytes in = { data, size };
	uint8_t how = take_byte(&in), what = take_byte(&in);
	struct imsg imsg;
	int n;

	own_role = ROLE_ACTUATOR;
	if (running == NULL)
		prepare(NULL, &(struct child_setup){ 0 });
	configure(how);
	for (n = how & 15;
	     n > 0 && take_message(&in, ROLE_PARENT, own_role, &imsg, payload);
	     n--) {
		(void)fuzz_ends(hear, &imsg);
		pass(LATENCY);
	}
	clouds_begin(&in);
	plan.prefix[PRIMARY] = (what & 3) % 3;
	plan.prefix[SECONDARY] = (what >> 2 & 3) % 3;
	plan.cloudflare = (what >> 4 & 3) % 3;
	plan.repair = what >> 6 & 1;
	say(IMSG_PLAN, &plan, sizeof(plan));
	pass(5 * MINUTES);
	say(IMSG_TEST, &round, sizeof(round));
	pass(5 * MINUTES);
	clouds_end();
	now += BUDGET_WINDOW;
	return (0);
}
