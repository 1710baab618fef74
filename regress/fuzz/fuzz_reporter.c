/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * The reporter: messages of the parent, as many as the first byte says, and
 * what Cloud Logging answers, as in clouds.h.  Whatever has been said, the
 * metrics and the page can be made of it.
 */

#define main reporter_main
int main(int, char *[]);
#include "../../proc/reporter/reporter.c"
#undef main
#include "../../proc/reporter/cloud.c"

#include <event2/buffer.h>

#include "messages.h"
#include "page.h"
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
hear(void *arg)
{
	const struct imsg *imsg = arg;

	if (imsg->hdr.type != IMSG_STOP) /* there is no way back */
		dispatch(imsg, NULL);
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
	static const struct msg_conf_cloud conf = { .project = "p",
		.log = "mt-gcpd",
		.location = "l",
		.node = "n",
		.connect_timeout = 1000,
		.api_timeout = 1000,
		.backoff_initial = 100,
		.backoff_max = 500 };
	static const struct msg_endpoint url = { API_LOGGING,
		"https://logging/v2" };
	static const struct msg_conf_shown shown = { .name = "A",
		.project = "p",
		.late_after = 1000 };

	say(IMSG_CONF_BEGIN, NULL, 0);
	say(IMSG_CONF_ENDPOINT, &url, sizeof(url));
	say(IMSG_CONF_CLOUD, &conf, sizeof(conf));
	say(IMSG_CONF_SHOWN, &shown, sizeof(shown));
	say(IMSG_CONF_COMMIT, NULL, 0);
}

static void
show(void)
{
	struct evbuffer *body = evbuffer_new();
	char why[256];

	metrics_write(body, true);
	metrics_write(body, false);
	page_write(body);
	evbuffer_free(body);
	(void)world_ready(why, sizeof(why));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t payload[IMSG_SIZE_MAX];
	static bool begun;
	struct bytes in = { data, size };
	uint8_t n = take_byte(&in) & 31;
	struct imsg imsg;

	own_role = ROLE_REPORTER;
	if (!begun)
		cloud_prepare(NULL);
	begun = speaks = true;
	/* What the last input began, and what is in use then, is released. */
	world_commit();
	world_commit();
	world_init();
	configure();
	while (
	    n-- > 0 && take_message(&in, ROLE_PARENT, own_role, &imsg, payload))
		(void)fuzz_ends(hear, &imsg);
	clouds_begin(&in);
	cloud_event();
	pass(5000);
	show();
	clouds_end();
	while (cloud.queue.count > 0) {
		queue_take(&cloud.queue, 1, SIZE_MAX);
		queue_remove(&cloud.queue);
	}
	pass(60 * 1000);
	cloud.singly = 0;
	cloud.failing = cloud.dropping = false;
	cloud.tries = 0;
	return (0);
}
