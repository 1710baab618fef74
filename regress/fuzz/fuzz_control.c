/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * Clients of the control socket, one after another: the first byte says whether
 * they may only look.  Each of them says in a byte whether he sends bytes, as
 * many times 8 as another one says, or a whole request; see request_make().
 */

#include "../../src/control.c"

#include "daemon.h"

struct parent mtgcpd;

void
lifecycle(const char *operation __unused, enum outcome result __unused,
    const char *error __unused, json_t *details)
{
	json_decref(details);
}

void
logs_reopen(void)
{
}

void
logs_level(int level __unused)
{
}

/* Whatever the answer is, it is a whole message or more. */
static void
answered(int fd)
{
	struct imsgbuf *buf = imsgbuf_new(fd);
	struct imsg imsg;
	int r = 0;

	while (imsgbuf_read(buf) > 0)
		while ((r = imsgbuf_get(buf, &imsg)) == 1)
			HOLDS(imsg.hdr.type == CONTROL_DATA ||
			    imsg.hdr.type == CONTROL_END);
	HOLDS(r == 0);
	imsgbuf_free(buf);
}

/* A request that is whole, of the rest of the input. */
static void
request_make(struct bytes *in, struct control_request *request)
{
	uint8_t how = take_byte(in), words = take_byte(in);

	memset(request, 0, sizeof(*request));
	request->version = CONTROL_VERSION;
	request->command = take_byte(in) % CONTROL_COMMANDS;
	if (how & 1)
		strlcpy(request->failover, how & 2 ? "A" : "B",
		    sizeof(request->failover));
	if (how & 4)
		take_bytes(in, &request->seconds, sizeof(request->seconds));
	request->state = how >> 3 & 15;
	request->anyway = how >> 7;
	take_bytes(in, request->reason, words & 127);
}

static void
client(struct bytes *in, bool looks_only)
{
	uint8_t how = take_byte(in), bytes[2048];
	struct imsg_hdr hdr = { .type = CONTROL_REQUEST };
	struct control_request request;
	size_t len = take_byte(in) * (size_t)8;
	int pair[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == -1)
		abort();
	bucket_set(&bucket, REQUESTS_RATE * 1000, REQUESTS_BURST, mono_ms());
	client_new(pair[0], looks_only);
	if (how & 1) {
		take_bytes(in, bytes, len);
	} else {
		request_make(in, &request);
		hdr.len = sizeof(hdr) + sizeof(request);
		memcpy(bytes, &hdr, sizeof(hdr));
		memcpy(bytes + sizeof(hdr), &request, sizeof(request));
		len = hdr.len;
	}
	HOLDS(write(pair[1], bytes, len) == (ssize_t)len);
	for (i = 0; i < 4; i++)
		event_base_loop(mtgcpd.base, EVLOOP_NONBLOCK);
	if (how & 2)
		control_event("{\"event\":1}\n", 12);
	event_base_loop(mtgcpd.base, EVLOOP_NONBLOCK);
	answered(pair[1]);
	close(pair[1]);
	event_base_loop(mtgcpd.base, EVLOOP_NONBLOCK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	bool looks_only = take_byte(&in) & 1;

	(void)daemon_begin();
	while (in.len > 0) {
		client(&in, looks_only);
		clock_now += 7000;
	}
	control_close();
	daemon_end();
	return (0);
}
