/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "reporter.h"
#include "tally.h"

/* The metrics: values, labels, both formats, and what is counted of requests.
 */

static char *text;

static void
write_text(bool open)
{
	struct evbuffer *out = evbuffer_new();
	size_t len;

	assert_non_null(out);
	metrics_write(out, open);
	len = evbuffer_get_length(out);
	free(text);
	text = calloc(1, len + 1);
	assert_non_null(text);
	evbuffer_remove(out, text, len);
	evbuffer_free(out);
}

/* Is there such a line? */
static bool
has(const char *line)
{
	const char *at = text;
	size_t len = strlen(line);

	for (; (at = strstr(at, line)) != NULL; at++)
		if ((at == text || at[-1] == '\n') && at[len] == '\n')
			return (true);
	return (false);
}

static void
begin(const char *name)
{
	struct msg_conf_shown conf;

	world_init();
	memset(&conf, 0, sizeof(conf));
	strlcpy(conf.name, name, sizeof(conf.name));
	strlcpy(conf.region[LOCAL], "here", sizeof(conf.region[LOCAL]));
	strlcpy(conf.region[REMOTE], "there", sizeof(conf.region[REMOTE]));
	strlcpy(conf.router[LOCAL], "r1", sizeof(conf.router[LOCAL]));
	strlcpy(conf.router[REMOTE], "r2", sizeof(conf.router[REMOTE]));
	prefix_parse("192.0.2.0/24", &conf.prefix[PRIMARY]);
	prefix_parse("2001:db8::/32", &conf.prefix[SECONDARY]);
	conf.late_after = 1000 * 1000;
	world_shown(0, &conf);
	world_commit();
}

static int
teardown(void **state)
{
	(void)state;
	world_commit(); /* of nothing: frees what there was */
	free(text);
	text = NULL;
	return (0);
}

static struct msg_report_state
state_of(int read, int current)
{
	struct msg_report_state msg;

	memset(&msg, 0, sizeof(msg));
	msg.cycle = 7;
	msg.ended = 1;
	msg.read = read;
	msg.current = current;
	msg.priority = -1;
	msg.in_state = -1;
	return (msg);
}

/* Nothing is known before the first cycle. */
static void
nothing(void **state)
{
	char why[256];

	(void)state;
	world_init();
	assert_false(world_ready(why, sizeof(why)));
	assert_string_equal(why, "no configuration yet");
	begin("web");
	write_text(false);
	assert_null(strstr(text, "mtgcpd_state{"));
	assert_true(has("mtgcpd_starts_total 0"));
	assert_false(world_ready(why, sizeof(why)));
	assert_string_equal(why, "web: reads state 0");
	assert_true(world_turns(why, sizeof(why)));
}

static void
values(void **state)
{
	struct msg_report_state msg = state_of(2, 3);
	struct msg_probe_peer peer;
	char why[256];

	(void)state;
	begin("web");
	memset(&peer, 0, sizeof(peer));
	peer.cycle = 7;
	peer.side = REMOTE;
	peer.enabled = 1;
	peer.status = V_YES;
	strlcpy(peer.name, "p1", sizeof(peer.name));
	world_peer(0, &peer);
	strlcpy(peer.name, "p2", sizeof(peer.name));
	peer.enabled = 0;
	world_peer(0, &peer);
	msg.result = RESULT_FAILURE;
	msg.duration = 300;
	msg.in_state = 1500;
	msg.verdict[WATCHED_LOCAL] = V_UNKNOWN;
	msg.verdict[WATCHED_REMOTE_BGP] = V_YES;
	msg.endpoints[REMOTE] = 10;
	msg.healthy[REMOTE] = 7;
	msg.sick[REMOTE] = 2;
	msg.announces[LOCAL][PRIMARY] = V_YES;
	msg.announces[REMOTE][SECONDARY] = V_UNKNOWN;
	msg.priority = 200;
	msg.held = HELD_HOLD | HELD_HANDOVER;
	msg.contested = 2;
	msg.breaker[4] = 1;
	world_state(0, &msg);
	write_text(false);
	assert_true(has("mtgcpd_state{failover=\"web\"} 3"));
	assert_true(has("mtgcpd_state_read{failover=\"web\"} 2"));
	assert_non_null(
	    strstr(text, "\nmtgcpd_state_seconds{failover=\"web\"} 1.5"));
	assert_true(has("mtgcpd_verdict{failover=\"web\",check=\"local\"} -1"));
	assert_true(
	    has("mtgcpd_verdict{failover=\"web\",check=\"remote_bgp\"} 1"));
	assert_true(has("mtgcpd_endpoints{failover=\"web\",region=\"there\","
			"state=\"healthy\"} 7"));
	assert_true(has("mtgcpd_endpoints{failover=\"web\",region=\"there\","
			"state=\"unknown\"} 1"));
	assert_true(has("mtgcpd_bgp_peer_up{failover=\"web\",router=\"r2\","
			"peer=\"p1\"} 1"));
	assert_null(strstr(text, "p2"));
	assert_true(has("mtgcpd_advertised{failover=\"web\","
			"prefix=\"192.0.2.0/24\"} 1"));
	assert_true(has("mtgcpd_remote_announces{failover=\"web\","
			"prefix=\"2001:db8::/32\"} -1"));
	assert_true(has("mtgcpd_cloudflare_priority{failover=\"web\"} 200"));
	assert_true(has("mtgcpd_held{failover=\"web\",why=\"hold\"} 1"));
	assert_true(has("mtgcpd_held{failover=\"web\",why=\"brake\"} 0"));
	assert_true(has("mtgcpd_held{failover=\"web\",why=\"handover\"} 1"));
	assert_true(has("mtgcpd_contested{failover=\"web\"} 2"));
	assert_true(has("mtgcpd_breaker_state{failover=\"web\","
			"service=\"cloudflare\"} 1"));
	assert_true(
	    has("mtgcpd_cycles_total{failover=\"web\",result=\"failure\"} 1"));
	assert_true(has("mtgcpd_cycle_duration_seconds_bucket{le=\"0.25\"} 0"));
	assert_true(has("mtgcpd_cycle_duration_seconds_bucket{le=\"0.5\"} 1"));
	assert_true(has("mtgcpd_cycle_duration_seconds_sum 0.300"));
	assert_true(world_ready(why, sizeof(why)));
	assert_null(strstr(text, "token_expiry"));
	world_expiry(0, 1800000000);
	write_text(false);
	assert_true(has("mtgcpd_cloudflare_token_expiry_timestamp_seconds "
			"1800000000"));
	/* The peers of one cycle are not those of the next. */
	msg.cycle = 8;
	msg.read = 0;
	world_state(0, &msg);
	write_text(false);
	assert_null(strstr(text, "p1"));
	assert_false(world_ready(why, sizeof(why)));
}

/* A name can have every character in it. */
static void
escapes(void **state)
{
	struct msg_report_state msg = state_of(1, 1);

	(void)state;
	begin("a\"b\\c\nd");
	world_state(0, &msg);
	write_text(false);
	assert_true(has("mtgcpd_state{failover=\"a\\\"b\\\\c\\nd\"} 1"));
}

static void
formats(void **state)
{
	struct msg_report_state msg = state_of(1, 1);

	(void)state;
	begin("web");
	world_state(0, &msg);
	write_text(false);
	assert_true(has("# TYPE mtgcpd_cycles_total counter"));
	assert_true(has("# TYPE mtgcpd_build_info gauge"));
	assert_null(strstr(text, "# EOF"));
	write_text(true);
	assert_true(has("# TYPE mtgcpd_cycles counter"));
	assert_true(has("# TYPE mtgcpd_build info"));
	assert_non_null(strstr(text, "\nmtgcpd_build_info{"));
	assert_true(
	    has("mtgcpd_cycles_total{failover=\"web\",result=\"success\"} 1"));
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
}

/* Counters survive a new configuration, what was seen does not. */
static void
reloaded(void **state)
{
	struct msg_report_state msg = state_of(1, 1);
	struct msg_report_move move;
	struct msg_conf_shown conf;

	(void)state;
	begin("web");
	world_state(0, &msg);
	memset(&move, 0, sizeof(move));
	move.fresh = 1;
	move.from = 1;
	move.to = 2;
	strlcpy(move.failover, "web", sizeof(move.failover));
	world_move(&move);
	move.fresh = 0;
	world_move(&move);
	conf = world.shown[0].conf;
	world_shown(1, &conf);
	strlcpy(conf.name, "api", sizeof(conf.name));
	world_shown(0, &conf);
	world_commit();
	write_text(false);
	assert_null(strstr(text, "mtgcpd_state{"));
	world_state(0, &msg);
	world_state(1, &msg);
	write_text(false);
	assert_true(
	    has("mtgcpd_cycles_total{failover=\"web\",result=\"success\"} 2"));
	assert_true(
	    has("mtgcpd_cycles_total{failover=\"api\",result=\"success\"} 1"));
	assert_true(has("mtgcpd_transitions_total{failover=\"web\",from=\"1\","
			"to=\"2\"} 1"));
	assert_null(strstr(text, "{failover=\"api\",from"));
	world_state(7, &msg); /* there is no such failover */
}

/* Requests are counted here and there, and all arrive. */
static void
requests(void **state)
{
	size_t i;

	(void)state;
	begin("web");
	tally_call(CALLED_COMPUTE, 0, 200, 3);
	tally_call(CALLED_COMPUTE, 0, 200, 40);
	tally_call(CALLED_COMPUTE, 3, 0, 100000);
	tally_call(CALLED_OAUTH, 1, 12345, -5);
	tally_clock(CALLED_COMPUTE, -1250);
	tally_drain(world_calls);
	tally_call(CALLED_COMPUTE, 0, 200, 5);
	tally_drain(world_calls);
	tally_drain(world_calls);
	write_text(false);
	assert_true(has("mtgcpd_api_requests_total{api=\"compute\","
			"method=\"GET\",code=\"200\"} 3"));
	assert_true(has("mtgcpd_api_requests_total{api=\"compute\","
			"method=\"PATCH\",code=\"none\"} 1"));
	assert_true(has("mtgcpd_api_requests_total{api=\"oauth\","
			"method=\"POST\",code=\"none\"} 1"));
	assert_true(has("mtgcpd_api_request_duration_seconds_bucket{"
			"api=\"compute\",le=\"0.005\"} 2"));
	assert_true(has("mtgcpd_api_request_duration_seconds_bucket{"
			"api=\"compute\",le=\"30.0\"} 3"));
	assert_true(has("mtgcpd_api_request_duration_seconds_bucket{"
			"api=\"compute\",le=\"+Inf\"} 4"));
	assert_true(has("mtgcpd_clock_skew_seconds{api=\"compute\"} -1.250"));
	/* More kinds than there are rows for lose nothing but their names. */
	for (i = 0; i < 500; i++)
		tally_call(CALLED_CLOUDFLARE, 0, (int32_t)(100 + i), 1);
	tally_drain(world_calls);
	write_text(false);
	assert_true(has("mtgcpd_api_request_duration_seconds_count{"
			"api=\"cloudflare\"} 500"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nothing, teardown),
		cmocka_unit_test_teardown(values, teardown),
		cmocka_unit_test_teardown(escapes, teardown),
		cmocka_unit_test_teardown(formats, teardown),
		cmocka_unit_test_teardown(reloaded, teardown),
		cmocka_unit_test_teardown(requests, teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
