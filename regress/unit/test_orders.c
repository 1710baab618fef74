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
#include <syslog.h>

#include <cmocka.h>

#include "log.h"
#include "mtgcpd.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND	     1000

/* The clocks: the daemon's own, and by how much the wall clock is ahead. */
static int64_t now;
static int64_t shift;

int64_t
mono_ms(void)
{
	return (now);
}

int64_t
wall_ms(void)
{
	return (now + shift);
}

void
correlation_id(char *buf, size_t len)
{
	snprintf(buf, len, "test");
}

static struct failover_conf conf = { .name = (char[]){ "web" } };
static struct failover failover;

/* Every verdict is its newest sample, nothing waits, and there is no brake. */
static void
direct(int current)
{
	struct policy *policy = &conf.policy;

	policy_default(policy);
	policy->window = policy->up = policy->down = 1;
	policy->unknown_after = 0;
	policy->bgp_down_after = 0;
	policy->local_bgp = false;
	policy->return_after = 0;
	policy->brake = 0;
	policy->handover = -1;
	conf.passive = false;
	memset(&failover, 0, sizeof(failover));
	failover.conf = &conf;
	machine_restore(&failover.machine, current, 0);
	failover.decision.current = current;
	now = 0;
	shift = INT64_C(1790000000000);
}

static void
restart(void)
{
	json_t *object = failover_remember(&failover, shift);

	memset(&failover, 0, sizeof(failover));
	failover.conf = &conf;
	machine_init(&failover.machine);
	failover_recall(&failover, object, shift, now);
	json_decref(object);
	assert_int_equal(failover.memory[LOCAL].count, 0);
}

/* A sample of which the state is read, and what the remote side announces. */
static void
cycle(const char *word)
{
	/* The verdicts of each state: local, remote, remote BGP. */
	static const char *const rows[] = { "???", "yyy", "nyy", "yny", "nny",
		"nyn", "yyn", "ynn", "nnn" };
	struct sample *sample = &failover.sample;
	enum verdict verdict[3];
	int read = *word - '0';
	int i;

	for (i = 0; i < 3; i++)
		verdict[i] = rows[read][i] == 'y' ? V_YES :
		    rows[read][i] == 'n'	  ? V_NO :
						    V_UNKNOWN;
	sample->services[LOCAL] = verdict[0];
	sample->services[REMOTE] = verdict[1];
	sample->bgp[REMOTE] = verdict[2];
	sample->bgp[LOCAL] = V_UNKNOWN;
	for (i = PRIMARY; i <= SECONDARY; i++)
		sample->remote_announces[i] = strchr(word, "ps"[i]) != NULL ?
		    V_YES :
		    strchr(word, '?') != NULL ? V_UNKNOWN :
						V_NO;
	operator_orders(&failover);
	machine_step(&failover.machine, &conf.policy, &failover.orders, sample,
	    now, &failover.decision);
	assert_int_equal(failover.decision.read, read);
}

static int
argument(const char *word, int *n)
{
	char *end;

	*n = (int)strtol(word, &end, 10);
	return (*end == '\0' ? 0 : -1);
}

/*
 * A schedule is made of words.  "10:2ps": a cycle at second 10 that reads state
 * 2, while the remote side announces our primary and secondary prefix (a ?:
 * what is not said is unknown).  "@20": it is second 20.  "hold", "hold30", "force3", "force3/30", "release", "ack":
 * an order, for so many seconds; "passive" and "active": the configuration;
 * "set30": the wall clock is set to 30 seconds later; "!": a restart.
 */
static void
play(const char *word)
{
	char why[128];
	int n, seconds;

	if (sscanf(word, "%d:", &n) == 1) {
		now = (int64_t)n * SECOND;
		cycle(strchr(word, ':') + 1);
	} else if (*word == '@' && argument(word + 1, &n) == 0)
		now = (int64_t)n * SECOND;
	else if (strcmp(word, "hold") == 0)
		operator_hold(&failover, 0, "");
	else if (strncmp(word, "hold", 4) == 0 && argument(word + 4, &n) == 0)
		operator_hold(&failover, n, "reason");
	else if (sscanf(word, "force%d/%d", &n, &seconds) == 2)
		assert_int_equal(operator_force(&failover, n, seconds, true, "",
				     why, sizeof(why)),
		    0);
	else if (strncmp(word, "force", 5) == 0 && argument(word + 5, &n) == 0)
		assert_int_equal(
		    operator_force(&failover, n, 0, true, "", why, sizeof(why)),
		    0);
	else if (strcmp(word, "release") == 0)
		operator_release(&failover);
	else if (strcmp(word, "ack") == 0)
		operator_ack(&failover);
	else if (strcmp(word, "passive") == 0)
		conf.passive = true;
	else if (strcmp(word, "active") == 0)
		conf.passive = false;
	else if (strncmp(word, "set", 3) == 0 && argument(word + 3, &n) == 0)
		shift += (int64_t)n * SECOND;
	else if (strcmp(word, "!") == 0)
		restart();
	else
		fail_msg("what is \"%s\"?", word);
}

/*
 * What is to be done after that word: the current state, the state acted as
 * after a > if that is another one; - if nothing may begin; p, v, d, r or b if
 * a candidate waits (p: not known yet); w waits for the remote side, s has
 * waited in vain, k keeps the secondary prefix, ! the brake has latched.
 */
static void
describe(char *buf, size_t len)
{
	const struct decision *decision = &failover.decision;
	char acting[3] = "";

	if (decision->acting != decision->current) {
		acting[0] = '>';
		acting[1] = (char)('0' + decision->acting);
	}
	snprintf(buf, len, "%d%s%s%s%s%s%s%s", decision->current, acting,
	    decision->may_act ? "" : "-",
	    decision->pending == PENDING_VERIFY	    ? "v" :
		decision->pending == PENDING_DWELL  ? "d" :
		decision->pending == PENDING_RETURN ? "r" :
		decision->pending == PENDING_BRAKE  ? "b" :
						      "",
	    decision->wait_takeover && !decision->overridden ? "w" : "",
	    decision->handover_stuck ? "s" : "",
	    decision->keep_secondary && !decision->overridden ? "k" : "",
	    decision->brake_latched ? "!" : "");
	assert_int_equal(decision->overridden,
	    failover.orders.force != STATE_NONE);
	assert_true(actions_equal(&decision->actions,
	    &conf.policy.table[decision->acting]));
}

/* Play a schedule; what is expected has a word for each that is an order or a
 * cycle. */
static void
run(const char *name, const char *schedule, const char *expected)
{
	char words[512], found[512] = "", one[32];
	char *next = words, *word;

	strlcpy(words, schedule, sizeof(words));
	while ((word = strsep(&next, " ")) != NULL) {
		play(word);
		if (strchr("!@s", *word) != NULL || strstr(word, "ive") != NULL)
			continue;
		describe(one, sizeof(one));
		if (*found != '\0')
			strlcat(found, " ", sizeof(found));
		strlcat(found, one, sizeof(found));
	}
	if (strcmp(found, expected) != 0)
		fail_msg("%s: \"%s\":\n\"%s\", not\n\"%s\"", name, schedule,
		    found, expected);
}

struct course {
	const char *name;
	int start; /* entered at 0 */
	const char *schedule, *expected;
};

static void
run_courses(const struct course *course, size_t count)
{
	const struct course *end = course + count;

	for (; course < end; course++) {
		direct(course->start);
		run(course->name, course->schedule, course->expected);
	}
}

static void
holds(void **state)
{
	static const struct course courses[] = {
		{ "nothing begins, the machine goes on", 1,
		    "0:1 hold 10:1 20:2 30:3 40:0", "1 1- 1- 2- 3- 3-" },
		{ "release acts at once on what was computed", 1,
		    "0:1 hold 10:2 release 20:2", "1 1- 2- 2 2" },
		{ "but not on what is not known", 1,
		    "0:1 hold 10:2 20:0 release 30:0 40:2",
		    "1 1- 2- 2- 2- 2- 2" },
		{ "nor before the first decision", 0,
		    "hold release 0:0 hold 10:0 release 20:1",
		    "0- 0- 0- 0- 0- 0- 1" },
		{ "before the first decision", 0, "hold 0:1 10:2 release",
		    "0- 1- 2- 2" },
		{ "for a while", 1, "0:1 hold30 10:2 29:3 30:4",
		    "1 1- 2- 3- 4" },
		{ "until released, the last one counts", 1,
		    "0:1 hold30 hold 90:2", "1 1- 1- 2-" },
		{ "ends by the wall clock", 1, "0:1 hold30 set20 9:2 10:2",
		    "1 1- 2- 2" },
		{ "which may be set back", 1, "0:1 hold30 set-20 49:2 50:2",
		    "1 1- 2- 2" },
		{ "what has ended does not come back", 1,
		    "0:1 hold30 30:2 set-20 31:2", "1 1- 2 2" },
		{ "a restart", 1, "0:1 hold ! 10:1 20:2 release",
		    "1 1- 1- 2- 2" },
		{ "a restart while it runs", 1, "0:1 hold30 ! 29:1 ! 30:1 40:1",
		    "1 1- 1- 1 1" },
		{ "its end while nobody runs", 1,
		    "0:1 hold30 @31 ! 40:1 set-30 "
		    "41:1",
		    "1 1- 1 1" },
		{ "released, and a restart", 1, "0:1 hold release ! 10:1",
		    "1 1- 1 1" },
		{ "ack does not release", 1, "0:1 hold ack 10:2",
		    "1 1- 1- 2-" },
	};

	(void)state;
	run_courses(courses, COUNT(courses));
}

static void
forces(void **state)
{
	static const struct course courses[] = {
		{ "acts as it, the machine goes on", 1,
		    "0:1 force3 10:1 20:2 30:4", "1 1>3 1>3 2>3 4>3" },
		{ "also when nothing is known", 1, "0:0 force3 10:0 20:0",
		    "1- 1>3 1>3 1>3" },
		{ "also before the first decision", 0,
		    "force6 0:0 10:1 release 20:1", "0>6 0>6 1>6 1 1" },
		{ "as the current state", 1, "0:0 force1 10:0 20:2",
		    "1- 1 1 2>1" },
		{ "another one", 1, "0:1 force3 force4 10:1", "1 1>3 1>4 1>4" },
		{ "release acts at once on what was computed", 1,
		    "0:1 force3 10:2 release 20:2", "1 1>3 2>3 2 2" },
		{ "but not on what is not known", 1,
		    "0:1 force3 10:2 20:0 release 30:0 40:2",
		    "1 1>3 2>3 2>3 2- 2- 2" },
		{ "for a while", 1, "0:1 force8/30 29:2 30:2 40:2",
		    "1 1>8 2>8 2 2" },
		{ "its end when nothing is known", 1, "0:1 force8/30 29:0 30:0",
		    "1 1>8 1>8 1-" },
		{ "a restart", 1, "0:1 force7 ! 10:0 20:2 release",
		    "1 1>7 1>7 2>7 2" },
		{ "released, and a restart", 1, "0:1 force7 release ! 10:1",
		    "1 1>7 1 1" },
		{ "ack does not release", 1, "0:1 force7 ack 10:2",
		    "1 1>7 1>7 2>7" },
		{ "outranks hold", 1, "0:1 hold force3 10:2 20:0",
		    "1 1- 1>3 2>3 2>3" },
		{ "whichever came first", 1, "0:1 force3 hold 10:2 20:0",
		    "1 1>3 1>3 2>3 2>3" },
		{ "release ends both", 1, "0:1 force3 hold 10:2 release",
		    "1 1>3 1>3 2>3 2" },
		{ "its end leaves the hold", 1,
		    "0:1 hold force3/30 29:1 30:2 "
		    "release",
		    "1 1- 1>3 1>3 2- 2" },
	};

	(void)state;
	run_courses(courses, COUNT(courses));
}

/* The actuator writes nothing in passive mode: so all is planned, and shown. */
static void
passive(void **state)
{
	static const struct course courses[] = {
		{ "planned as ever", 1, "passive 0:1 10:2 20:0", "1 2 2-" },
		{ "outranks hold", 1, "passive 0:1 hold 10:2 20:0 30:2",
		    "1 1 2 2- 2" },
		{ "hold remains", 1,
		    "passive 0:1 hold active 10:1 passive 20:1", "1 1 1- 1" },
		{ "what is forced is planned", 1,
		    "passive 0:1 force3 10:2 20:0 release",
		    "1 1>3 2>3 2>3 2-" },
	};

	(void)state;
	run_courses(courses, COUNT(courses));
}

/* Hand-over waits a minute, and is kept waiting or overridden by orders. */
static void
handovers(void **state)
{
	static const struct course courses[] = {
		{ "force overrides both", 1,
		    "0:1 10:2 force2 20:2 30:2 force1 40:3 50:3",
		    "1k 2wk 2 2 2 2>1 3>1 3>1" },
		{ "force never is in vain", 1, "10:2 force3 70:2 90:2 release",
		    "2wk 2>3 2>3 2>3 2wk" },
		{ "after it, what has waited long enough", 1,
		    "10:2 force3 80:2 release 90:2 100:2",
		    "2wk 2>3 2>3 2wk 2sk 2k" },
		{ "seen to be taken over under force", 1,
		    "10:2 force3 20:2p release 30:2?", "2wk 2>3 2>3 2k 2k" },
		{ "a hold is no vain wait", 1,
		    "10:2 hold 70:2 80:2 release 90:2 100:2",
		    "2wk 2-wk 2-wk 2-wk 2wk 2sk 2k" },
		{ "taken over under a hold", 1,
		    "10:2 hold 20:2p 70:2? release 90:2?",
		    "2wk 2-wk 2-k 2-k 2k 2k" },
		{ "in vain before the hold", 1, "10:2 70:2 hold 80:2 release",
		    "2wk 2sk 2-sk 2-k 2k" },
		{ "passive shows it all", 1, "passive 10:2 hold 70:2 80:2",
		    "2wk 2wk 2sk 2k" },
		{ "the secondary prefix under a hold", 3,
		    "0:3s hold 10:1s 60:1s 70:1s release 80:3 90:1s 100:1s",
		    "3k 3-k 1-k 1-k 1- 1 3k 1k 1k" },
		{ "and under force", 3, "0:3s force3 10:1s 60:1s 70:1s release",
		    "3k 3 1>3 1>3 1>3 1" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(courses); i++) {
		direct(courses[i].start);
		conf.policy.handover = 60 * SECOND;
		run(courses[i].name, courses[i].schedule, courses[i].expected);
	}
}

/* More than two transitions within 100 seconds. */
static void
brake(void **state)
{
	static const struct course courses[] = {
		{ "the third one latches it, once", 1,
		    "0:1 10:2 20:1 30:2 40:1 50:2 60:3 70:4 80:1",
		    "1 2 1 2! 2b 2 3 4 4b" },
		{ "until ack", 1, "10:2 20:1 30:2 40:1 500:1 ack 600:1 700:2",
		    "2 1 2! 2b 2b 2b 1 2" },
		{ "ack counts anew", 1,
		    "10:2 20:1 30:2 ack 40:1 50:2 60:1 70:2",
		    "2 1 2! 2! 1 2 1! 2" },
		{ "ack before it latches", 1, "10:2 20:1 ack 30:2 40:1 50:2",
		    "2 1 1 2 1 2!" },
		{ "entered state 1 itself", 2, "10:1 20:2 30:1 40:1 50:2 60:1",
		    "1 2 1! 1 2 2b" },
		{ "within the period", 1, "10:2 20:1 109:2 110:1",
		    "2 1 2! 2b" },
		{ "not without", 1, "10:2 20:1 110:2 120:1 210:2 220:1 221:2",
		    "2 1 2 1 2 1 2!" },
		{ "waiting is no transition", 1,
		    "10:2 20:2 30:0 40:2 50:1 60:1", "2 2 2- 2 1 1" },
		{ "not the first decision", 0, "0:1 10:2 20:1 30:2 40:1",
		    "1 2 1 2! 2b" },
		{ "a restart", 1, "10:2 20:1 ! 30:1 40:2 ! 50:1 ! 60:3",
		    "2 1 1 2! 2b 3" },
		{ "a restart when it has latched", 1,
		    "10:2 20:1 30:2 ! 40:1 50:3 ! 60:1 ack ! 70:1",
		    "2 1 2! 2b 3 3b 3b 1" },
		{ "held ones do not count", 1,
		    "hold 10:2 20:1 30:2 40:1 50:2 release 60:1 70:2 80:1 90:2",
		    "1- 2- 1- 2- 1- 2- 2 1 2 1! 2" },
		{ "nor forced ones", 1,
		    "force3 10:2 20:1 30:2 40:1 50:2 release 60:1 70:2 80:1",
		    "1>3 2>3 1>3 2>3 1>3 2>3 2 1 2 1!" },
		{ "nor those in passive mode", 1,
		    "passive 10:2 20:1 30:2 40:1 50:2 active 60:1 70:2 80:1",
		    "2 1 2 1 2 1 2 1!" },
		{ "held back under a hold too", 1,
		    "10:2 20:1 30:2 hold 40:1 50:3 60:1 release 70:1",
		    "2 1 2! 2-! 2-b 3- 3-b 3b 3b" },
		{ "and under force", 1, "10:2 20:1 30:2 force1 40:1 release",
		    "2 1 2! 2>1! 2>1b 2b" },
		{ "every rescue is made at once", 1,
		    "1:2 2:3 3:4 4:5 5:6 6:7 7:8 8:2 9:1 10:7 11:1",
		    "2 3 4! 5 6 7 8 2 2b 7 7b" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(courses); i++) {
		direct(courses[i].start);
		conf.policy.brake = 2;
		conf.policy.brake_period = 100 * SECOND;
		run(courses[i].name, courses[i].schedule, courses[i].expected);
	}
}

/* The brake comes last of what a candidate waits for. */
static void
brake_last(void **state)
{
	(void)state;
	direct(1);
	conf.policy.brake = 1;
	conf.policy.brake_period = 100 * SECOND;
	conf.policy.verify[1] = 2;
	conf.policy.dwell = 30 * SECOND;
	conf.policy.dwell_except = 1 << 3;
	conf.policy.return_after = 60 * SECOND;
	run("in turn", "40:2 50:3 60:2", "2 3! 2");
	run("in turn", "70:1 80:1 90:1 129:1 130:1 140:1", "2v 2d 2r 2r 2b 2b");
	assert_int_equal(failover.decision.pending_left, -1);
	assert_int_equal(failover.decision.candidate, 1);
	assert_string_equal(pending_name(PENDING_BRAKE), "acknowledgement");
	run("in turn", "ack 150:1", "2b 1");
	assert_int_equal(failover.decision.pending_left, 0);
}

static void
no_brake(void **state)
{
	int i;

	(void)state;
	direct(1);
	for (i = 0; i < 300; i++) {
		now = i;
		cycle(i % 2 == 0 ? "2" : "1");
		assert_true(failover.decision.changed);
		assert_false(failover.decision.brake_latched);
	}
	assert_int_equal(failover.machine.nmoves, 0);

	/* One that had latched is let go of when it is no longer configured. */
	direct(1);
	conf.policy.brake = 2;
	conf.policy.brake_period = 100 * SECOND;
	run("latched", "10:2 20:1 30:2 40:1", "2 1 2! 2b");
	conf.policy.brake = 0;
	run("let go", "50:1", "1");
	conf.policy.brake = 2;
	run("anew", "60:2 70:1", "2 1");

	/* Nor does it keep a daemon from its first decision. */
	direct(0);
	conf.policy.brake = 2;
	failover.machine.braked = true;
	run("first", "0:1", "1");
}

/* As many as there may be, and more. */
static void
brake_max(void **state)
{
	int i;

	(void)state;
	direct(1);
	conf.policy.brake = BRAKE_MAX;
	conf.policy.brake_period = 1000 * SECOND;
	for (i = 0; i < 400; i++) {
		now = i * SECOND;
		cycle(i % 2 == 0 ? "2" : "3");
		assert_true(failover.decision.changed);
		assert_int_equal(failover.decision.brake_latched,
		    i == BRAKE_MAX);
		assert_int_equal(failover.machine.braked, i >= BRAKE_MAX);
		assert_in_range(failover.machine.nmoves, 1, BRAKE_MAX + 1);
		assert_int_equal(
		    failover.machine.moves[failover.machine.nmoves - 1], now);
	}
	/* The newest ones were kept. */
	assert_int_equal(failover.machine.nmoves, BRAKE_MAX + 1);
	assert_int_equal(failover.machine.moves[0],
	    (400 - BRAKE_MAX - 1) * SECOND);

	direct(1);
	for (i = 0; i < 400; i++)
		machine_move(&failover.machine, i);
	assert_int_equal(failover.machine.nmoves, BRAKE_MAX + 1);
	assert_int_equal(failover.machine.moves[BRAKE_MAX], BRAKE_MAX);
}

/* Who forces a withdrawal of the primary prefix must say that he means it. */
static void
force_refused(void **state)
{
	enum verdict announces[] = { V_UNKNOWN, V_NO, V_YES };
	char why[160];
	size_t i;
	int n;

	(void)state;
	direct(1);
	play("0:1");
	for (i = 0; i < 2 * COUNT(announces); i++) {
		bool anyway = i % 2 == 1;

		failover.sample.remote_announces[PRIMARY] = announces[i / 2];
		failover.sample.remote_announces[SECONDARY] = V_YES;
		operator_release(&failover);
		for (n = 1; n <= STATE_MAX; n++) {
			bool fine = n != 2 || anyway ||
			    announces[i / 2] == V_YES;

			*why = '\0';
			assert_int_equal(operator_force(&failover, n, 0, anyway,
					     "", why, sizeof(why)),
			    fine ? 0 : -1);
			assert_int_equal(strstr(why, "\"anyway\"") != NULL,
			    !fine);
			/* What is refused leaves everything as it was. */
			assert_int_equal(failover.decision.acting,
			    fine ? n : n - 1);
		}
	}
	operator_release(&failover);
	assert_int_equal(
	    operator_force(&failover, 0, 0, true, "", why, sizeof(why)), -1);
	assert_string_equal(why, "expected a state from 1 to 8, not 0");
	assert_int_equal(
	    operator_force(&failover, 9, 0, true, "", why, sizeof(why)), -1);
	assert_false(failover.force.given);
	assert_int_equal(failover.decision.acting, 1);

	/* What counts is what the configured table does. */
	conf.policy.table[2].prefix[PRIMARY] = ADVERT_KEEP;
	conf.policy.table[3].prefix[PRIMARY] = ADVERT_WITHDRAW;
	failover.sample.remote_announces[PRIMARY] = V_NO;
	assert_int_equal(
	    operator_force(&failover, 2, 0, false, "", why, sizeof(why)), 0);
	assert_int_equal(
	    operator_force(&failover, 3, 0, false, "", why, sizeof(why)), -1);
}

/* A reason is kept as far as there is room, in whole characters. */
static void
reasons(void **state)
{
	char text[3 * ORDER_REASON_LEN], expected[ORDER_REASON_LEN];
	size_t before, i;

	(void)state;
	direct(1);
	operator_hold(&failover, 0, "disks");
	assert_string_equal(failover.hold.reason, "disks");
	for (before = 0; before < 4; before++) {
		memset(text, 0, sizeof(text));
		memset(text, 'x', before);
		for (i = before; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		operator_hold(&failover, 0, text);
		memset(expected, 0, sizeof(expected));
		memcpy(expected, text,
		    before + (ORDER_REASON_LEN - 1 - before) / 3 * 3);
		assert_string_equal(failover.hold.reason, expected);
	}
	memset(text, 'y', ORDER_REASON_LEN);
	text[ORDER_REASON_LEN - 1] = '\0';
	operator_hold(&failover, 0, text);
	assert_string_equal(failover.hold.reason, text);
	memset(text, 0x80, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	operator_hold(&failover, 0, text);
	assert_string_equal(failover.hold.reason, "");
}

/* What was contested is ours again when another state is acted as, or ack. */
static void
contested(void **state)
{
	/* An order while state 1 is acted as: is everything forgotten? */
	static const struct {
		const char *word;
		bool forgotten;
	} table[] = { { "hold", false }, { "force1", false },
		{ "force3", true }, { "release", false }, { "ack", true } };
	size_t i;
	int object;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		direct(1);
		play("0:1");
		for (object = 0; object < OBJECTS; object++) {
			failover.drift[object].count = 3;
			failover.drift[object].contested = true;
		}
		play(table[i].word);
		for (object = 0; object < OBJECTS; object++) {
			assert_int_equal(failover.drift[object].count,
			    table[i].forgotten ? 0 : 3);
			assert_int_equal(failover.drift[object].contested,
			    !table[i].forgotten);
		}
	}
}

static int
quiet(void **state)
{
	(void)state;
	log_setlevel(LOG_CRIT);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds),
		cmocka_unit_test(forces),
		cmocka_unit_test(passive),
		cmocka_unit_test(handovers),
		cmocka_unit_test(brake),
		cmocka_unit_test(brake_last),
		cmocka_unit_test(no_brake),
		cmocka_unit_test(brake_max),
		cmocka_unit_test(force_refused),
		cmocka_unit_test(reasons),
		cmocka_unit_test(contested),
	};

	return (cmocka_run_group_tests_name("orders", tests, quiet, NULL));
}
