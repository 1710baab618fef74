/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "log.h"
#include "mtgcpd.h"
#include "random.h"

/*
 * The state machine through random samples under random policies, with
 * administrators, restarts, reloads and rotations of the record, and what is
 * recorded of it: replayed, the same is decided.
 */

#define SECOND INT64_C(1000)
#define TRACES 50
#define STEPS  200
#define BOOT   INT64_C(1790000000000) /* the wall clock at the clock's zero */
#define FILES  8

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

/* A failover and its machine, as a daemon has it. */
static struct one {
	struct failover_conf *conf;
	struct machine machine;
	struct sample sample;
	struct inputs next;
	int healthy[4]; /* in percent: services, then BGP */
	uint64_t moves;
	struct decision decision;
} ones[2];

static struct {
	int64_t clock;
	int64_t boot;
	unsigned int corr;
	bool exact; /* events have their inputs */
	char *text[FILES];
	size_t size[FILES];
	FILE *file[FILES];
	int files;
	uint64_t moves[FILES]; /* of both failovers */
} record;

static char messages[4096]; /* of the last replay */

static struct {
	uint64_t moves, restarts, lost, reboots, reloads, acks, brakes, files;
	uint64_t pending[PENDING_BRAKE + 1];
} seen;

static void
next_file(void)
{
	int i = record.files++;

	assert_true(i < FILES);
	record.file[i] = open_memstream(&record.text[i], &record.size[i]);
	assert_non_null(record.file[i]);
	record.moves[i] = 0;
	ones[0].next.remembers = ones[1].next.remembers = true;
}

static void
begin(void)
{
	memset(&record, 0, sizeof(record));
	record.clock = 1 + pick(1000000);
	record.boot = BOOT;
	record.exact = true;
	memset(ones, 0, sizeof(ones));
	ones[0].conf = &web;
	ones[1].conf = &mail;
	machine_init(&ones[0].machine);
	machine_init(&ones[1].machine);
	ones[0].next.began = ones[1].next.began = BEGAN_START;
	next_file();
}

static void
clear(void)
{
	int i;

	for (i = 0; i < record.files; i++) {
		if (record.file[i] != NULL)
			fclose(record.file[i]);
		free(record.text[i]);
	}
}

/* Takes ownership of details. */
static void
tell(const char *type, const char *operation, const char *failover,
    json_t *details)
{
	FILE *file = record.file[record.files - 1];
	char corr[32];
	json_t *event;

	snprintf(corr, sizeof(corr), "hc-%u", record.corr);
	event = json_pack("{s:f, s:s, s:s, s:s, s:s?, s:s, s:o}", "timestamp",
	    (double)(record.boot + record.clock) / 1000.0, "event_type", type,
	    "result", "success", "operation", operation, "failover", failover,
	    "correlation_id", corr, "details", details);
	assert_non_null(event);
	assert_int_equal(
	    json_dumpf(event, file, JSON_COMPACT | JSON_REAL_PRECISION(13)), 0);
	fputc('\n', file);
	json_decref(event);
}

static json_t *
verdicts(const struct sample *sample)
{
	return (json_pack("{s:o, s:o, s:o}", "local_healthy",
	    event_verdict(sample->services[LOCAL]), "remote_healthy",
	    event_verdict(sample->services[REMOTE]), "remote_bgp_up",
	    event_verdict(sample->bgp[REMOTE])));
}

static void
tell_cycle(const struct one *one, const struct inputs *inputs)
{
	const struct decision *decision = &one->decision;
	json_t *details;

	if (decision->changed)
		tell("state_transition", "state_transition", one->conf->name,
		    json_pack("{s:i, s:i}", "old_state", decision->old,
			"new_state", decision->current));
	details = json_pack("{s:i, s:i, s:f, s:o, s:{s:o, s:o}, s:b}",
	    "state_code", decision->read, "current_state", decision->current,
	    "time_in_state_seconds",
	    (double)(record.clock - one->machine.entered) / 1000.0, "samples",
	    verdicts(&one->sample), "remote_announces", "primary",
	    event_verdict(one->sample.remote_announces[PRIMARY]), "secondary",
	    event_verdict(one->sample.remote_announces[SECONDARY]), "held",
	    inputs->hold);
	if (record.exact)
		json_object_set_new(details, "inputs", inputs_write(inputs));
	tell("health_check_cycle", "health_check_cycle", one->conf->name,
	    details);
}

/* What the cycle saw of both routers. */
static void
tell_routers(const struct one *one)
{
	int side;

	for (side = LOCAL; side < SIDES; side++)
		tell("health_check_result", "check_bgp_sessions",
		    one->conf->name,
		    json_pack("{s:s, s:o, s:s}", "region",
			one->conf->router_region[side], "sample",
			event_verdict(one->sample.bgp[side]), "router",
			one->conf->router[side]));
}

/* One cycle, as the daemon makes it. */
static void
step(struct one *one)
{
	const struct policy *policy = &one->conf->policy;
	struct inputs inputs = one->next;
	struct orders orders = {
		.passive = one->conf->passive,
		.hold = inputs.hold,
		.force = inputs.force,
	};

	record.corr++;
	inputs.clock = record.clock;
	inputs.local_bgp = one->sample.bgp[LOCAL];
	inputs.remembers |= inputs.began != BEGAN_NOT;
	inputs.memory = one->machine;
	machine_step(&one->machine, policy, &orders, &one->sample, record.clock,
	    &one->decision);
	one->next.began = BEGAN_NOT;
	one->next.remembers = one->next.acknowledged = false;
	if (!record.exact)
		tell_routers(one);
	tell_cycle(one, &inputs);
	record.moves[record.files - 1] += one->decision.changed;
	one->moves += one->decision.changed;
	seen.moves += one->decision.changed;
	seen.brakes += one->decision.brake_latched;
	seen.pending[one->decision.pending]++;
}

static enum verdict
verdict(int healthy)
{
	if (one_in(8))
		return (V_UNKNOWN);
	return ((int)pick(100) < healthy ? V_YES : V_NO);
}

static void
look(struct one *one)
{
	static const int percent[] = { 0, 0, 10, 50, 90, 100, 100, 100 };
	int i;

	for (i = 0; i < 4; i++)
		if (one_in(12))
			one->healthy[i] = percent[pick(8)];
	for (i = 0; i < SIDES; i++) {
		one->sample.services[i] = verdict(one->healthy[i]);
		one->sample.bgp[i] = verdict(one->healthy[2 + i]);
		one->sample.remote_announces[i] = verdict(50);
	}
}

/* The daemon starts again, perhaps after the host has, or with its state file
 * lost. */
static void
restart(void)
{
	int64_t jitter = (int64_t)pick(3) - 1;
	struct machine old;
	struct one *one;
	uint32_t i;
	bool lost = one_in(6), reboot = one_in(3);
	int64_t back = reboot ? record.clock - 1 - pick(5000) : 0;

	seen.restarts++;
	seen.lost += lost;
	seen.reboots += reboot;
	record.clock -= back;
	record.boot += back + pick(100000);
	if (!one_in(4))
		tell("daemon_lifecycle", "startup", NULL, json_object());
	for (one = ones; one < ones + 2; one++) {
		old = one->machine;
		machine_init(&one->machine);
		one->next.began = BEGAN_START;
		one->next.acknowledged = false;
		if (lost || old.current == STATE_NONE)
			continue;
		machine_restore(&one->machine, old.current,
		    old.entered - back + jitter > record.clock ?
			record.clock :
			old.entered - back + jitter);
		one->machine.braked = old.braked;
		for (i = 0; i < old.nmoves; i++)
			machine_move(&one->machine,
			    old.moves[i] - back + jitter > record.clock ?
				record.clock :
				old.moves[i] - back + jitter);
	}
}

static void
happen(struct one *one)
{
	if (one_in(40))
		one->next.hold = !one->next.hold;
	if (one_in(40))
		one->next.force = one->next.force == STATE_NONE ?
		    1 + (int)pick(STATE_MAX) :
		    STATE_NONE;
	if (one_in(60)) {
		machine_ack(&one->machine);
		one->next.acknowledged = true;
		tell("operator_command", "ack", one->conf->name, json_object());
		seen.acks++;
	}
	if (one_in(100)) {
		machine_restore(&one->machine, one->machine.current,
		    one->machine.entered);
		if (one->next.began == BEGAN_NOT)
			one->next.began = BEGAN_RELOAD;
		seen.reloads++;
	}
	if (one_in(150))
		restart();
	if (one_in(80) && record.files < FILES)
		next_file();
}

static void
random_policy(struct failover_conf *fc)
{
	struct policy *policy = &fc->policy;
	int state;

	policy_default(policy);
	policy->window = 1 + pick(one_in(4) ? WINDOW_MAX : 5);
	policy->up = 1 + pick(policy->window);
	policy->down = policy->window - policy->up + 1 + pick(policy->up);
	policy->unknown_after = SECOND * (5 + pick(120));
	policy->bgp_down_after = one_in(3) ? 0 : SECOND * pick(60);
	policy->local_bgp = !one_in(3);
	for (state = 1; state <= STATE_MAX; state++)
		policy->verify[state] = 1 + pick(3);
	policy->dwell = SECOND * pick(60);
	policy->dwell_except = pick(512) & ~1U;
	policy->return_after = SECOND * pick(120);
	policy->brake = pick(4);
	policy->brake_period = SECOND * (60 + pick(3600));
	fc->passive = one_in(10);
}

static void
random_trace(int steps)
{
	struct one *one;
	int i;

	for (i = 0; i < steps; i++) {
		/* The wall clock is set, now and then. */
		if (record.exact && one_in(50))
			record.boot += (int64_t)pick(20000) - 10000;
		for (one = ones; one < ones + 2; one++) {
			record.clock += 1 +
			    pick(one_in(50) ? 100 * SECOND : 15 * SECOND);
			if (record.exact)
				happen(one);
			look(one);
			step(one);
		}
	}
}

static unsigned int
count(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		n++;
	}
	return (n);
}

/* Replay the record from one file to the last; the caller frees what is
 * printed. */
static char *
play(int first, int expected)
{
	char *text = NULL, *events = NULL;
	size_t size, length;
	FILE *all = open_memstream(&events, &length);
	FILE *out = open_memstream(&text, &size);
	FILE *in, *error = stderr;
	int i, status;

	assert_non_null(all);
	assert_non_null(out);
	for (i = first; i < record.files; i++) {
		assert_int_equal(fflush(record.file[i]), 0);
		fwrite(record.text[i], 1, record.size[i], all);
	}
	fclose(all);
	in = fmemopen(events, length, "r");
	assert_non_null(in);
	memset(messages, 0, sizeof(messages));
	stderr = fmemopen(messages, sizeof(messages) - 1, "w");
	assert_non_null(stderr);
	status = replay(&conf, in, "record", out);
	fclose(stderr);
	stderr = error;
	fclose(in);
	fclose(out);
	free(events);
	if (status != expected)
		print_error("%s%s", messages, text);
	assert_int_equal(status, expected);
	return (text);
}

static void
same(int first)
{
	char *text = play(first, 0);
	uint64_t moves = 0;
	int i;

	for (i = first; i < record.files; i++)
		moves += record.moves[i];
	assert_int_equal(count(text, "differs"), 0);
	assert_int_equal(count(text, " -> "), 2 * moves);
	assert_int_equal(count(text, " 0 different"), 2);
	free(text);
}

/* Whatever happens, and whichever file the replay begins with. */
static void
test_random(void **state __unused)
{
	int i, file;

	for (i = 0; i < TRACES; i++) {
		seed = 4711 + (uint64_t)i;
		random_policy(&web);
		random_policy(&mail);
		begin();
		random_trace(STEPS);
		for (file = 0; file < record.files; file++) {
			same(file);
			assert_string_equal(messages, "");
		}
		seen.files += (uint64_t)record.files;
		clear();
	}
	/* The traces went everywhere. */
	assert_true(seen.moves > 10 * TRACES);
	assert_true(seen.restarts > TRACES && seen.lost > TRACES / 10 &&
	    seen.reboots > TRACES / 5 && seen.reloads > TRACES &&
	    seen.acks > TRACES);
	assert_true(seen.brakes > TRACES / 5 && seen.files > 3 * TRACES);
	for (i = PENDING_NONE; i <= PENDING_BRAKE; i++)
		assert_true(seen.pending[i] > TRACES / 5);
}

/* Without inputs, as long as nothing happens that only they tell of. */
static void
test_guess(void **state __unused)
{
	int i;

	for (i = 0; i < 10; i++) {
		seed = 815 + (uint64_t)i;
		random_policy(&web);
		random_policy(&mail);
		begin();
		record.exact = false;
		tell("daemon_lifecycle", "startup", NULL, json_object());
		random_trace(STEPS);
		same(0);
		assert_int_equal(count(messages, "no inputs"), 2);
		assert_int_equal(count(messages, "\n"), 2);
		clear();
	}
}

/* One failover, with plain policies, and samples by hand. */
static void
plain(void)
{
	seed = 1;
	policy_default(&web.policy);
	policy_default(&mail.policy);
	web.policy.window = web.policy.up = web.policy.down = 1;
	web.policy.bgp_down_after = web.policy.return_after = 0;
	web.passive = mail.passive = false;
	begin();
	record.clock = 1000 * SECOND;
}

static void
cycles(enum verdict local, enum verdict remote, int n)
{
	struct one *one = &ones[0];
	int i;

	for (i = 0; i < n; i++) {
		record.clock += 10 * SECOND;
		one->sample.services[LOCAL] = local;
		one->sample.services[REMOTE] = remote;
		one->sample.bgp[LOCAL] = one->sample.bgp[REMOTE] = V_YES;
		step(one);
	}
}

/* What another policy would have made of it. */
static void
test_other(void **state __unused)
{
	char *text;

	plain();
	cycles(V_YES, V_YES, 3);
	cycles(V_NO, V_YES, 3);
	cycles(V_YES, V_YES, 3);
	same(0);
	web.policy.verify[2] = 3;
	text = play(0, 1);
	assert_non_null(strstr(text, "0 -> 1    0 -> 1  \n"));
	assert_non_null(strstr(text, "1 -> 2    -         differs\n"));
	assert_non_null(strstr(text, "-         1 -> 2    differs\n"));
	assert_non_null(strstr(text, "2 -> 1    2 -> 1  \n"));
	assert_non_null(strstr(text,
	    "web: 9 cycles; transitions: 3 recorded, 3 replayed, 2 different; "
	    "seconds recorded, replayed; state 1: 50.0, 70.0; "
	    "state 2: 30.0, 10.0\n"));
	assert_non_null(strstr(text, "mail: 0 cycles"));
	free(text);
	clear();
}

/* A replay that has gone another way keeps its own state over a restart. */
static void
test_other_restart(void **state __unused)
{
	char *text;

	plain();
	cycles(V_YES, V_YES, 2);
	cycles(V_NO, V_YES, 2);
	machine_restore(&ones[0].machine, 2, ones[0].machine.entered);
	ones[0].next.began = BEGAN_START;
	cycles(V_YES, V_YES, 2);
	same(0);
	web.policy.verify[2] = 100;
	text = play(0, 1);
	assert_int_equal(count(text, "differs"), 2);
	assert_non_null(strstr(text, "2 -> 1    -         differs\n"));
	free(text);

	/* But not if the daemon has lost its own. */
	machine_init(&ones[0].machine);
	ones[0].next.began = BEGAN_START;
	cycles(V_YES, V_YES, 2);
	text = play(0, 1);
	assert_int_equal(count(text, "differs"), 2);
	assert_non_null(strstr(text, "0 -> 1    0 -> 1  \n"));
	free(text);
	clear();
}

/* And its age, on the clock of a host that has started anew. */
static void
test_other_reboot(void **state __unused)
{
	char *text;

	plain();
	cycles(V_YES, V_YES, 2);
	cycles(V_NO, V_YES, 2);
	cycles(V_YES, V_YES, 2);
	record.boot += record.clock;
	record.clock = 0;
	machine_restore(&ones[0].machine, 1, -10 * SECOND);
	ones[0].next.began = BEGAN_START;
	cycles(V_NO, V_YES, 8);
	same(0);
	/* 50 s of the dwell time have passed before the host started. */
	web.policy.dwell = 100 * SECOND;
	text = play(0, 1);
	assert_non_null(strstr(text, "1 -> 2    -         differs\n"));
	assert_non_null(
	    strstr(text, "state 1: 40.0, 100.0; state 2: 90.0, 30.0"));
	free(text);
	clear();
}

/* An administrator has let go of the brake, and the daemon has started again
 * before the next cycle. */
static void
test_ack(void **state __unused)
{
	plain();
	web.policy.brake = 1;
	cycles(V_YES, V_YES, 1);
	cycles(V_NO, V_YES, 1);
	cycles(V_YES, V_YES, 1);
	cycles(V_NO, V_YES, 1);
	assert_true(ones[0].machine.braked);
	tell("operator_command", "ack", "web", json_object());
	machine_restore(&ones[0].machine, 2, ones[0].machine.entered);
	ones[0].next.began = BEGAN_START;
	cycles(V_YES, V_YES, 2);
	assert_int_equal(ones[0].machine.current, 1);
	same(0);
	clear();
}

/* The end of a cycle may be told again, and a cycle that was given up has none:
 * no more has been sampled. */
static void
test_told_twice(void **state __unused)
{
	struct inputs inputs = { 0 };

	plain();
	web.policy.verify[2] = 3;
	cycles(V_YES, V_YES, 1);
	cycles(V_NO, V_YES, 1);
	inputs.clock = record.clock;
	inputs.local_bgp = V_YES;
	inputs.memory = ones[0].machine;
	tell_cycle(&ones[0], &inputs);
	tell_cycle(&ones[0], &inputs);
	tell("health_check_cycle", "health_check_cycle", "web",
	    json_pack("{s:n}", "inputs"));
	cycles(V_NO, V_YES, 1);
	cycles(V_NO, V_YES, 1);
	assert_int_equal(ones[0].machine.current, 2);
	same(0);
	clear();
}

/* The reader takes what is written, and nothing that is not. */
static void
test_inputs(void **state __unused)
{
	static const char *const broken[] = {
		"{\"clock_ms\": -1}",
		"{\"clock_ms\": 1.5}",
		"{\"local_bgp_up\": 1}",
		"{\"hold\": null}",
		"{\"force\": 0}",
		"{\"force\": 9}",
		"{\"acknowledged\": 0}",
		"{\"began\": \"\"}",
		"{\"began\": true}",
		"{\"memory\": {}}",
		"{\"memory\": []}",
	};
	static const char *const forgotten[] = {
		"{\"current_state\": 9}",
		"{\"entered_ms\": 999999999999999999}",
		"{\"candidate\": -1}",
		"{\"count\": -1}",
		"{\"one_since_ms\": \"\"}",
		"{\"braked\": 1}",
		"{\"moves_ms\": {}}",
		"{\"moves_ms\": [true]}",
		"{\"local\": null}",
	};
	struct inputs inputs = { .clock = 5, .remembers = true }, again;
	json_t *good, *bad, *change, *memory;
	char window[WINDOW_MAX + 2];
	size_t i;

	machine_init(&inputs.memory);
	for (i = 0; i <= BRAKE_MAX; i++)
		machine_move(&inputs.memory, (int64_t)i);
	inputs.memory.services[REMOTE].count = WINDOW_MAX;
	inputs.memory.services[REMOTE].bits = 0x8000000000000005;
	good = inputs_write(&inputs);
	assert_non_null(good);
	assert_int_equal(inputs_read(&again, good), 0);
	assert_memory_equal(&again.memory, &inputs.memory,
	    sizeof(inputs.memory));

	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		bad = json_deep_copy(good);
		change = json_loads(broken[i], 0, NULL);
		assert_int_equal(json_object_update(bad, change), 0);
		assert_int_equal(inputs_read(&again, bad), -1);
		json_decref(change);
		json_decref(bad);
	}
	for (i = 0; i < sizeof(forgotten) / sizeof(forgotten[0]); i++) {
		bad = json_deep_copy(good);
		change = json_loads(forgotten[i], 0, NULL);
		memory = json_object_get(bad, "memory");
		assert_int_equal(json_object_update(memory, change), 0);
		assert_int_equal(inputs_read(&again, bad), -1);
		json_decref(change);
		json_decref(bad);
	}
	/* No window holds so many, and none anything else. */
	memset(window, '1', sizeof(window) - 1);
	window[sizeof(window) - 1] = '\0';
	for (i = 0; i < 2; i++) {
		bad = json_deep_copy(good);
		memory = json_object_get(
		    json_object_get(json_object_get(bad, "memory"), "local"),
		    "services");
		json_object_set_new(memory, "window", json_string(window));
		assert_int_equal(inputs_read(&again, bad), -1);
		json_decref(bad);
		strlcpy(window, "10-", sizeof(window));
	}
	json_decref(good);
	assert_int_equal(inputs_read(&again, NULL), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_guess),
		cmocka_unit_test(test_other),
		cmocka_unit_test(test_other_restart),
		cmocka_unit_test(test_other_reboot),
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_told_twice),
		cmocka_unit_test(test_inputs),
	};

	TAILQ_INIT(&conf.failovers);
	TAILQ_INSERT_TAIL(&conf.failovers, &web, entry);
	TAILQ_INSERT_TAIL(&conf.failovers, &mail, entry);
	conf.nfailovers = 2;
	return (cmocka_run_group_tests(tests, NULL, NULL));
}
