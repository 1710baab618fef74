/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The parent: what its children say, in any order, while it turns.  A byte says
 * what happens next, see turn(); a child that says what it may not ends the
 * daemon.
 */

#define main parent_main
#include "../../src/mtgcpd.c"
#undef main

#include "daemon.h"
#include "messages.h"

const char *__asan_default_options(void);

/* When it ends it forgets what it holds. */
const char *
__asan_default_options(void)
{
	return ("detect_leaks=0");
}

/* Channels that lead nowhere: what is sent is what a child would take. */
struct channel {
	enum role role;
};

static struct channel channels[ROLE_MAX];
static struct bytes in;

struct event_base *
channel_loop(void)
{
	return (mtgcpd.base);
}

void
channel_send(struct channel *channel, enum imsg_type type, uint32_t id,
    const void *data, size_t len)
{
	const struct imsg imsg = { .hdr = { .type = type, .id = id },
		.data = data,
		.len = len };
	char why[128];

	HOLDS(proto_check(&imsg, ROLE_PARENT, channel->role, why,
		  sizeof(why)) == 0);
}

void
channel_send_chunks(struct channel *channel, enum imsg_type chunk,
    enum imsg_type last, uint32_t id, const void *data, size_t len)
{
	if (len > 0)
		channel_send(channel, chunk, id, data,
		    len < OPAQUE_MAX ? len : OPAQUE_MAX);
	channel_send(channel, last, id, NULL, 0);
}

size_t
channel_queued(const struct channel *channel __unused)
{
	return (0);
}

int
children_init(struct event_base *base __unused,
    const struct conf *conf __unused,
    void (*lost)(enum role, const char *) __unused)
{
	return (0);
}

void
children_conf(const struct conf *conf __unused)
{
}

void
children_listener(int fd __unused)
{
}

struct channel *
child_start(enum role role, const uint16_t *ports __unused,
    size_t nports __unused, channel_handler handler __unused)
{
	return (&channels[role]);
}

void
child_close(enum role role __unused)
{
}

void
parent_confine(void)
{
}

/* Much of what is said counts only if it is about what is going on. */
static void
current(const struct imsg *imsg, uint8_t *payload)
{
	struct failover *failover;
	uint64_t number = 1;

	if (imsg->hdr.id >= engine_failovers(&failover) ||
	    imsg->len < sizeof(number))
		return;
	failover += imsg->hdr.id;
	if (imsg->hdr.type >= IMSG_PROBE && imsg->hdr.type <= IMSG_PROBE_DONE)
		number = failover->cycle;
	else if (imsg->hdr.type >= IMSG_PLAN &&
	    imsg->hdr.type <= IMSG_PLAN_DONE)
		number = failover->plan.msg.plan;
	else if (imsg->hdr.type != IMSG_TESTED &&
	    imsg->hdr.type != IMSG_TEST_DONE)
		return;
	memcpy(payload, &number, sizeof(number));
}

static void
hear(enum role role, bool now)
{
	static const channel_handler handlers[ROLE_MAX] = {
		[ROLE_RESOLVER] = from_resolver,
		[ROLE_SIGNER] = from_signer,
		[ROLE_PROBER] = from_prober,
		[ROLE_ACTUATOR] = from_actuator,
		[ROLE_REPORTER] = from_reporter,
	};
	static uint8_t payload[IMSG_SIZE_MAX];
	struct imsg imsg;

	if (!take_message(&in, role, ROLE_PARENT, &imsg, payload) ||
	    imsg.hdr.type == IMSG_READY)
		return;
	if (now)
		current(&imsg, payload);
	handlers[role](&imsg, NULL);
}

static void
turn_one(void *arg __unused)
{
	uint8_t what = take_byte(&in);
	struct failover *failover;
	size_t count = engine_failovers(&failover);

	switch (what & 15) {
	case 0:
		(void)engine_probe(&failover[what >> 4 & 1]);
		break;
	case 1:
		clock_now += (what >> 4) * 2000;
		break;
	case 2:
		(void)reload_begin();
		break;
	case 3:
		operator_ack(&failover[count - 1]);
		break;
	case 4:
	case 5:
	case 6:
		hear(what & 16 ? ROLE_ACTUATOR : ROLE_PROBER, what >> 5 & 1);
		break;
	default:
		hear(1 + (what & 15) % (ROLE_MAX - 1), what >> 5 & 1);
	}
	event_base_loop(mtgcpd.base, EVLOOP_NONBLOCK);
}

static void
tell_nobody(void)
{
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_base *base = mtgcpd.base;
	bool ends = false;
	int role;

	in = (struct bytes){ data, size };
	memset(&mtgcpd, 0, sizeof(mtgcpd));
	mtgcpd.base = base;
	mtgcpd.listener = -1;
	(void)daemon_begin();
	hosts_init(mtgcpd.base);
	for (role = 1; role < ROLE_MAX; role++) {
		channels[role].role = (enum role)role;
		mtgcpd.channel[role] = &channels[role];
		mtgcpd.ready[role] = mtgcpd.key_loaded[role] = true;
		mtgcpd.ports[role][0] = 443;
		mtgcpd.ports[role][1] = 53;
		mtgcpd.nports[role] = 2;
		strlcpy(mtgcpd.key[role].token_uri, "https://h/token",
		    sizeof(mtgcpd.key[role].token_uri));
	}
	mtgcpd.network = mtgcpd.running = true;
	hosts_add("https://h/token", ROLE_PROBER);
	hosts_start(mtgcpd.channel, tell_nobody);
	report_open(mtgcpd.channel[ROLE_REPORTER]);
	engine_start(mtgcpd.channel[ROLE_PROBER],
	    mtgcpd.channel[ROLE_ACTUATOR]);
	connectivity_start(mtgcpd.base, mtgcpd.conf,
	    mtgcpd.channel[ROLE_PROBER], mtgcpd.channel[ROLE_ACTUATOR]);
	while (in.len > 0 && !ends)
		ends = fuzz_ends(turn_one, NULL);
	connectivity_stop();
	report_close();
	hosts_free();
	daemon_end();
	return (0);
}
