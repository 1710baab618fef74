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

#include "random.h"
#include "state.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND	     1000

static const struct orders automatic;

/* H healthy, U up, + announced; S sick, D down, - not announced; ? unknown. */
static enum verdict
from_letter(char letter)
{
	if (letter != '\0' && strchr("HU+", letter) != NULL)
		return (V_YES);
	if (letter != '\0' && strchr("SD-", letter) != NULL)
		return (V_NO);
	return (V_UNKNOWN);
}

/* The verdicts of each state: local, remote, remote BGP. */
static const char *const rows[STATE_MAX + 1] = { "???", "HHU", "SHU", "HSU",
	"SSU", "SHD", "HHD", "HSD", "SSD" };

static void
sample_clear(struct sample *sample)
{
	sample->services[LOCAL] = sample->services[REMOTE] = V_UNKNOWN;
	sample->bgp[LOCAL] = sample->bgp[REMOTE] = V_UNKNOWN;
	sample->remote_announces[PRIMARY] = V_UNKNOWN;
	sample->remote_announces[SECONDARY] = V_UNKNOWN;
}

/* A sample of which a policy that acts on every one reads that state. */
static void
sample_of(struct sample *sample, int state)
{
	sample_clear(sample);
	sample->services[LOCAL] = from_letter(rows[state][0]);
	sample->services[REMOTE] = from_letter(rows[state][1]);
	sample->bgp[REMOTE] = from_letter(rows[state][2]);
}

/* Every verdict is its newest sample, and nothing waits. */
static void
policy_direct(struct policy *policy)
{
	policy_default(policy);
	policy->window = policy->up = policy->down = 1;
	policy->unknown_after = 0;
	policy->bgp_down_after = 0;
	policy->local_bgp = false;
	policy->return_after = 0;
}

/*
 * A schedule has one word a cycle: the second, a colon, the state that is to
 * be read, and what the remote side announces: + yes, - no, ? unknown, of the
 * primary and of the secondary prefix.  A word "!" restarts the daemon.
 */
static bool
next_cycle(const char **schedule, struct machine *machine,
    const struct policy *policy, struct decision *decision)
{
	struct machine before;
	struct sample sample;
	int64_t now;
	char *word;
	int read;

	while (**schedule == ' ' || **schedule == '!')
		if (*(*schedule)++ == '!')
			machine_restore(machine, machine->current,
			    machine->entered);
	if (**schedule == '\0')
		return (false);
	now = strtol(*schedule, &word, 10) * SECOND;
	assert_int_equal(*word++, ':');
	read = *word++ - '0';
	sample_of(&sample, read);
	if (*word != ' ' && *word != '\0')
		sample.remote_announces[PRIMARY] = from_letter(*word++);
	if (*word != ' ' && *word != '\0')
		sample.remote_announces[SECONDARY] = from_letter(*word++);
	*schedule = word;

	before = *machine;
	machine_step(machine, policy, &automatic, &sample, now, decision);
	assert_int_equal(decision->read, read);
	assert_int_equal(decision->old, before.current);
	assert_int_equal(decision->current, machine->current);
	assert_int_equal(decision->changed, machine->current != before.current);
	assert_true(actions_equal(&decision->actions,
	    &policy->table[machine->current]));
	if (decision->changed)
		assert_int_equal(machine->current, read);
	if (read == STATE_NONE) {
		assert_int_equal(machine->entered, before.entered);
		assert_int_equal(machine->candidate, before.candidate);
		assert_int_equal(machine->candidate_count,
		    before.candidate_count);
		assert_int_equal(machine->one_running, before.one_running);
		assert_int_equal(machine->one_since, before.one_since);
		assert_int_equal(machine->stuck, before.stuck);
	}
	return (true);
}

static void
expect(const char *name, const char *what, const char *found,
    const char *expected)
{
	if (strcmp(found, expected) != 0)
		fail_msg("%s: %s \"%s\", not \"%s\"", name, what, found,
		    expected);
}

static void
defaults(void **state)
{
	/* Primary, secondary, Cloudflare. */
	static const char *const expected[STATE_MAX + 1] = { "KKk", "AWp",
		"WWf", "AAp", "AWf", "AWf", "AAp", "AAp", "AWf" };
	struct policy policy;
	char found[4] = "";
	int i;

	(void)state;
	policy_default(&policy);
	assert_int_equal(policy.window, 5);
	assert_int_equal(policy.up, 4);
	assert_int_equal(policy.down, 3);
	assert_int_equal(policy.unknown_after, 45 * SECOND);
	assert_int_equal(policy.bgp_down_after, 60 * SECOND);
	assert_true(policy.local_bgp);
	assert_int_equal(policy.dwell, 0);
	assert_int_equal(policy.dwell_except, 0);
	assert_int_equal(policy.return_after, 300 * SECOND);
	assert_int_equal(policy.handover, 60 * SECOND);
	assert_int_equal(policy.interval, 15 * SECOND);
	assert_int_equal(policy.fast, 5 * SECOND);
	for (i = 0; i <= STATE_MAX; i++) {
		if (i != 0)
			assert_int_equal(policy.verify[i], 1);
		found[0] = "KAW"[policy.table[i].prefix[PRIMARY]];
		found[1] = "KAW"[policy.table[i].prefix[SECONDARY]];
		found[2] = "kpf"[policy.table[i].cloudflare];
		expect(rows[i], "does", found, expected[i]);
	}
	assert_string_equal(pending_name(PENDING_NONE), "nothing");
	assert_string_equal(pending_name(PENDING_VERIFY), "verification");
	assert_string_equal(pending_name(PENDING_DWELL), "dwell time");
	assert_string_equal(pending_name(PENDING_RETURN), "return-after");
}

static int
read_letters(const struct policy *policy, const char *letters)
{
	return (state_read(policy, from_letter(letters[0]),
	    from_letter(letters[1]), from_letter(letters[2])));
}

/* All there are: local, remote, remote BGP, and the state. */
static void
read_all(void **state)
{
	static const struct {
		const char *verdicts;
		int state;
	} table[] = {
		/* All known. */
		{ "HHU", 1 },
		{ "SHU", 2 },
		{ "HSU", 3 },
		{ "SSU", 4 },
		{ "SHD", 5 },
		{ "HHD", 6 },
		{ "HSD", 7 },
		{ "SSD", 8 },
		/* An unknown that cannot change the actions. */
		{ "HS?", 3 },
		{ "SS?", 4 },
		{ "S?D", 5 },
		{ "H?D", 6 },
		/* One that can. */
		{ "HH?", 0 },
		{ "SH?", 0 },
		{ "H?U", 0 },
		{ "S?U", 0 },
		{ "?HU", 0 },
		{ "?SU", 0 },
		{ "?HD", 0 },
		{ "?SD", 0 },
		/* More than one. */
		{ "H??", 0 },
		{ "S??", 0 },
		{ "?H?", 0 },
		{ "?S?", 0 },
		{ "??U", 0 },
		{ "??D", 0 },
		{ "???", 0 },
	};
	struct policy policy;
	size_t i;

	(void)state;
	assert_int_equal(COUNT(table), 27);
	policy_default(&policy);
	for (i = 0; i < COUNT(table); i++)
		if (read_letters(&policy, table[i].verdicts) != table[i].state)
			fail_msg("%s is %d", table[i].verdicts,
			    read_letters(&policy, table[i].verdicts));
}

/* What counts is what the configured table does, not what the default does. */
static void
read_changed(void **state)
{
	struct policy policy;
	int i;

	(void)state;
	policy_default(&policy);
	policy.table[4].cloudflare = STEER_PRIORITY;
	assert_int_equal(read_letters(&policy, "SSU"), 4);
	assert_int_equal(read_letters(&policy, "SSD"), 8);
	assert_int_equal(read_letters(&policy, "SS?"), 0);
	policy.table[8].cloudflare = STEER_PRIORITY;
	assert_int_equal(read_letters(&policy, "SS?"), 4);
	assert_int_equal(read_letters(&policy, "S?D"), 0);

	policy_default(&policy);
	policy.table[2].prefix[PRIMARY] = ADVERT_ADVERTISE;
	assert_int_equal(read_letters(&policy, "S??"), 2);
	assert_int_equal(read_letters(&policy, "S?U"), 2);
	assert_int_equal(read_letters(&policy, "SH?"), 2);
	assert_int_equal(read_letters(&policy, "?H?"), 0);

	for (i = 1; i <= STATE_MAX; i++)
		policy.table[i] = policy.table[1];
	assert_int_equal(read_letters(&policy, "???"), 1);
	assert_int_equal(read_letters(&policy, "S??"), 2);
	assert_int_equal(read_letters(&policy, "?S?"), 3);
	assert_int_equal(read_letters(&policy, "??D"), 5);
	assert_int_equal(read_letters(&policy, "?SD"), 7);
	policy.table[8].prefix[SECONDARY] = ADVERT_KEEP;
	assert_int_equal(read_letters(&policy, "???"), 0);
	assert_int_equal(read_letters(&policy, "??U"), 1);
}

/*
 * A check's samples, a word each: the second and a letter; and the verdicts, a
 * letter each.
 */
static void
run_check(const char *name, const struct policy *policy, bool bgp,
    enum side side, const char *samples, const char *expected)
{
	struct machine machine;
	struct decision decision;
	struct sample sample;
	enum verdict verdict;
	char found[128] = "";
	const char *next = samples;
	size_t cycle;
	int64_t now;
	char *at;

	machine_init(&machine);
	for (cycle = 0; *next != '\0'; cycle++) {
		assert_true(cycle < sizeof(found) - 1);
		now = strtol(next, &at, 10) * SECOND;
		sample_clear(&sample);
		if (bgp)
			sample.bgp[side] = from_letter(*at);
		else
			sample.services[side] = from_letter(*at);
		next = at[1] == ' ' ? at + 2 : at + 1;
		machine_step(&machine, policy, &automatic, &sample, now,
		    &decision);
		verdict = bgp ? machine.bgp[side].verdict :
				machine.services[side].verdict;
		if (verdict == V_UNKNOWN)
			found[cycle] = '?';
		else if (bgp)
			found[cycle] = verdict == V_YES ? 'U' : 'D';
		else
			found[cycle] = verdict == V_YES ? 'H' : 'S';
	}
	expect(name, samples, found, expected);
}

static void
windows(void **state)
{
	static const struct {
		uint32_t window, up, down;
		const char *samples, *expected;
	} table[] = {
		/* The first verdict needs as much evidence as any other. */
		{ 5, 4, 3, "0H 15H 30H 45H 60H", "???HH" },
		{ 5, 4, 3, "0S 15S 30S 45S", "??SS" },
		{ 5, 4, 3, "0H 15S 30H 45H 60H", "????H" },
		{ 5, 4, 3, "0H 15S 30H 45S 60S", "????S" },
		/* Of the last five: it keeps its verdict as long as it may. */
		{ 5, 4, 3, "0H 5H 10H 15H 20S 25S 30H 35H 40S", "???HHHHHS" },
		{ 5, 4, 3, "0S 5S 10S 15H 20H 25H 30S 35H", "??SSSSSH" },
		{ 5, 4, 3, "0H 5H 10H 15H 20H 25H 30S 35H 40S 45H 50S",
		    "???HHHHHHHS" },
		/* An unknown sample does not enter. */
		{ 5, 4, 3, "0H 5? 10H 15? 20? 25H 30? 35H 40?", "???????HH" },
		{ 5, 4, 3, "0H 5H 10H 15H 20S 25? 30S 35? 40? 45S",
		    "???HHHHHHS" },
		/* Act on every sample. */
		{ 1, 1, 1, "0H 15S 30H 45? 60S", "HSHHS" },
		/* One of three against all three. */
		{ 3, 1, 3, "0S 15S 30H 45S 60S 75S", "??HHHS" },
		{ 3, 3, 1, "0H 15H 30S 45H 60H 75H", "??SSSH" },
		/* Forgotten 45 s after the last known sample, not before. */
		{ 5, 4, 3, "0H 15H 30H 45H 60? 75? 89? 90? 100?", "???HHHH??" },
		{ 5, 4, 3, "0H 15H 30H 45H 90? 91H 92H 93H 94H", "???H????H" },
		{ 5, 4, 3, "0S 15S 59? 60? 61S 62S 63S", "??????S" },
		{ 5, 4, 3, "0S 15S 58? 59S", "???S" },
		/* The hole counts, whatever sample ends it. */
		{ 5, 4, 3, "0S 15S 59S", "??S" },
		{ 5, 4, 3, "0S 15S 60S 61S 62S", "????S" },
		{ 5, 4, 3, "0H 15H 30H 45H 3600S 3601S 3602S", "???H??S" },
	};
	struct policy policy;
	size_t i;

	(void)state;
	policy_default(&policy);
	for (i = 0; i < COUNT(table); i++) {
		policy.window = table[i].window;
		policy.up = table[i].up;
		policy.down = table[i].down;
		run_check("local", &policy, false, LOCAL, table[i].samples,
		    table[i].expected);
		run_check("remote", &policy, false, REMOTE, table[i].samples,
		    table[i].expected);
	}
}

/* Readings that are slower than unknown-after do not empty the window. */
static void
slow_readings(void **state)
{
	struct policy policy;

	(void)state;
	policy_default(&policy);
	policy.interval = policy.fast = 1 * SECOND;
	policy.unknown_after = 1 * SECOND;
	run_check("in time", &policy, false, LOCAL, "0H 2H 12H 22H 24S 26S 36S",
	    "???HHHS");
	run_check("too late", &policy, false, LOCAL, "0H 2H 3H 4H 15S 16S 17S",
	    "???H??S");
	run_check("in time", &policy, true, REMOTE, "0U 10U", "?U");
	run_check("too late", &policy, true, REMOTE, "0U 11U 12U", "??U");
	/* An unknown sample has no such excuse. */
	run_check("unknown", &policy, false, LOCAL, "0H 1H 2H 3H 4?", "???H?");

	policy.interval = policy.unknown_after = 60 * SECOND;
	run_check("in time", &policy, true, REMOTE, "0U 119U 120?", "?UU");
	run_check("too late", &policy, true, REMOTE, "0U 120U", "??");
}

/* The newest samples survive a reload that makes the window shorter. */
static void
window_reload(void **state)
{
	struct decision decision;
	struct machine machine;
	struct policy policy;
	struct sample sample;
	int i;

	(void)state;
	policy_default(&policy);
	policy.window = policy.up = WINDOW_MAX;
	policy.down = 1;
	machine_init(&machine);
	sample_clear(&sample);
	for (i = 0; i < 3 * WINDOW_MAX; i++) {
		sample.services[LOCAL] = i == WINDOW_MAX ? V_NO : V_YES;
		machine_step(&machine, &policy, &automatic, &sample, i * SECOND,
		    &decision);
		assert_int_equal(machine.services[LOCAL].verdict,
		    i < WINDOW_MAX - 1	    ? V_UNKNOWN :
			i == WINDOW_MAX - 1 ? V_YES :
			i < 2 * WINDOW_MAX  ? V_NO :
					      V_YES);
	}
	sample.services[LOCAL] = V_NO;
	policy.window = 3;
	policy.up = policy.down = 2;
	machine_step(&machine, &policy, &automatic, &sample, i++ * SECOND,
	    &decision);
	assert_int_equal(machine.services[LOCAL].count, 3);
	assert_int_equal(machine.services[LOCAL].verdict, V_YES);
	machine_step(&machine, &policy, &automatic, &sample, i++ * SECOND,
	    &decision);
	assert_int_equal(machine.services[LOCAL].verdict, V_NO);
	/* What was cut off does not come back with a longer one. */
	policy.window = 64;
	policy.up = 4;
	policy.down = 61;
	sample.services[LOCAL] = V_YES;
	for (; machine.services[LOCAL].count < 5; i++) {
		machine_step(&machine, &policy, &automatic, &sample, i * SECOND,
		    &decision);
		assert_int_equal(machine.services[LOCAL].verdict, V_NO);
	}
	machine_step(&machine, &policy, &automatic, &sample, i * SECOND,
	    &decision);
	assert_int_equal(machine.services[LOCAL].verdict, V_YES);
}

static void
bgp_watch(void **state)
{
	static const struct {
		int down_after, unknown_after;
		const char *samples, *expected;
	} table[] = {
		/* Up after two. */
		{ 60, 45, "0U 15U", "?U" },
		{ 60, 45, "0U 15? 30U", "??U" },
		{ 60, 45, "0U 15D 30U 45D 60U 75U", "?????U" },
		/* Down after a minute of nothing else. */
		{ 60, 45, "0D 15D 30D 45D 59D 60D", "?????D" },
		{ 60, 45, "0U 15U 30D 45D 60D 75D 89D 90D", "?UUUUUUD" },
		{ 60, 45, "0U 5U 30D 45D 60U 75D 90D 105D 120D 134D 135D",
		    "?UUUUUUUUUD" },
		{ 60, 45, "0U 5U 30D 45D 60D 90D 100U 105U", "?UUUUDDU" },
		{ 60, 45, "0D 30D 60D 75U 80D 85U 90D 95U 96U", "??DDDDDDU" },
		/* Two samples at least, however long ago the first. */
		{ 20, 45, "0U 5U 10D 35?", "?UUU" },
		{ 20, 45, "0U 5U 10D 29D 30D", "?UUUD" },
		{ 20, 45, "0U 5U 10D 40D", "?UUD" },
		/* An unknown neither counts nor interrupts. */
		{ 60, 45, "0U 5U 30D 60? 74D 89? 90? 91D", "?UUUUUUD" },
		/* Without a delay one sample is enough either way. */
		{ 0, 45, "0D 15U 30D 45? 60U", "DUDDU" },
		/* Forgotten 45 s after the last known sample, the run too. */
		{ 60, 45, "0U 15U 30? 59? 60? 61U 62U", "?UUU??U" },
		{ 60, 45, "0U 15U 30D 74? 75? 76D 91D 121D 135D 136D",
		    "?UUU?????D" },
		{ 0, 45, "0D 44? 45?", "DD?" },
		/* The hole counts, whatever sample ends it. */
		{ 60, 45, "0U 15U 30D 100D 130D 160D", "?UU??D" },
		{ 60, 90, "0U 15U 30D 100D", "?UUD" },
		{ 60, 45, "0U 45U 46U", "??U" },
	};
	struct policy policy;
	size_t i;

	(void)state;
	policy_default(&policy);
	for (i = 0; i < COUNT(table); i++) {
		policy.bgp_down_after = table[i].down_after * SECOND;
		policy.unknown_after = table[i].unknown_after * SECOND;
		run_check("local", &policy, true, LOCAL, table[i].samples,
		    table[i].expected);
		run_check("remote", &policy, true, REMOTE, table[i].samples,
		    table[i].expected);
	}
}

/* What the verdicts of a decision are made of. */
static void
verdicts(void **state)
{
	/* Services and BGP, both local; the verdict with and without it. */
	static const char *const table[] = { "HUHH", "HDSH", "H??H", "SUSS",
		"SDSS", "S?SS", "?U??", "?DS?", "????" };
	struct decision decision;
	struct machine machine;
	struct policy policy;
	struct sample sample;
	size_t i;
	int with;

	(void)state;
	policy_direct(&policy);
	for (i = 0; i < 2 * COUNT(table); i++) {
		with = i % 2 == 0;
		policy.local_bgp = with;
		sample_clear(&sample);
		sample.services[LOCAL] = from_letter(table[i / 2][0]);
		sample.bgp[LOCAL] = from_letter(table[i / 2][1]);
		machine_init(&machine);
		machine_step(&machine, &policy, &automatic, &sample, 0,
		    &decision);
		assert_int_equal(decision.local,
		    from_letter(table[i / 2][with ? 2 : 3]));
		assert_int_equal(decision.remote, V_UNKNOWN);
		assert_int_equal(decision.remote_bgp, V_UNKNOWN);

		/* The remote side's BGP is no part of its verdict. */
		sample_clear(&sample);
		sample.services[REMOTE] = from_letter(table[i / 2][0]);
		sample.bgp[REMOTE] = from_letter(table[i / 2][1]);
		machine_init(&machine);
		machine_step(&machine, &policy, &automatic, &sample, 0,
		    &decision);
		assert_int_equal(decision.local, V_UNKNOWN);
		assert_int_equal(decision.remote, from_letter(table[i / 2][0]));
		assert_int_equal(decision.remote_bgp,
		    from_letter(table[i / 2][1]));
	}
}

/*
 * From one state to another.  Expected are the current state, and what is
 * waited for: v verification, d dwell, r return-after, . nothing.
 */
struct moves {
	const char *name;
	uint32_t verify;
	int dwell;
	uint32_t except;
	int return_after;
	int start; /* entered at 0; 0: no state yet */
	const char *schedule, *current, *waits;
};

static void
run_moves(const struct moves *moves, size_t count)
{
	const struct moves *end = moves + count;
	char current[64], waits[64];
	struct decision decision;
	struct machine machine;
	struct policy policy;
	const char *next;
	size_t cycle;
	int i;

	for (; moves < end; moves++) {
		policy_direct(&policy);
		for (i = 1; i <= STATE_MAX; i++)
			policy.verify[i] = moves->verify;
		policy.dwell = moves->dwell * SECOND;
		policy.dwell_except = moves->except;
		policy.return_after = moves->return_after * SECOND;
		memset(current, 0, sizeof(current));
		memset(waits, 0, sizeof(waits));
		machine_restore(&machine, moves->start, 0);
		next = moves->schedule;
		for (cycle = 0; cycle < sizeof(waits) - 1; cycle++) {
			if (!next_cycle(&next, &machine, &policy, &decision))
				break;
			current[cycle] = (char)('0' + decision.current);
			waits[cycle] = ".vdr"[decision.pending];
			if (decision.pending != PENDING_NONE)
				assert_int_not_equal(decision.candidate, 0);
		}
		expect(moves->name, "states", current, moves->current);
		expect(moves->name, "waits", waits, moves->waits);
	}
}

static void
verify(void **state)
{
	static const struct moves moves[] = {
		{ "the first counts", 1, 0, 0, 0, 1, "0:2 10:3 20:8 30:1",
		    "2381", "...." },
		{ "three running", 3, 0, 0, 0, 1, "0:2 10:2 20:2 30:2", "1122",
		    "vv.." },
		{ "the first decision too", 2, 0, 0, 0, 0, "0:1 10:1 20:5 30:5",
		    "0115", "v.v." },
		{ "0 neither counts nor resets", 3, 0, 0, 0, 1,
		    "0:2 10:0 20:2 30:0 40:0 50:2", "111112", "vvvvv." },
		{ "0 counts never", 3, 0, 0, 0, 1, "0:0 10:0 20:0 30:0", "1111",
		    "...." },
		{ "0 before the first", 2, 0, 0, 0, 0, "0:0 10:7 20:0 30:7",
		    "0007", ".vv." },
		{ "another starts anew", 3, 0, 0, 0, 1,
		    "0:2 10:2 20:3 30:2 40:2 50:2", "111112", "vvvvv." },
		{ "another across a 0", 2, 0, 0, 0, 1, "0:2 10:0 20:3 30:3",
		    "1113", "vvv." },
		{ "the current clears", 3, 0, 0, 0, 1,
		    "0:2 10:2 20:1 30:2 40:2 50:2", "111112", "vv.vv." },
		{ "the current clears across 0", 2, 0, 0, 0, 1,
		    "0:2 10:0 20:1 30:0 40:2 50:2", "111112", "vv..v." },
		{ "a restart forgets", 3, 0, 0, 0, 1, "0:2 10:2 ! 20:2 30:2",
		    "1111", "vvvv" },
	};

	(void)state;
	run_moves(moves, COUNT(moves));
}

/* Each state has a number of its own. */
static void
verify_own(void **state)
{
	struct decision decision;
	struct machine machine;
	struct policy policy;
	const char *next = "0:2 10:3 20:3 30:2 40:3 50:3 60:3";
	const char *expected = "2222223";
	const char *left = "0210210";
	size_t i;

	(void)state;
	policy_direct(&policy);
	policy.verify[3] = 3;
	machine_restore(&machine, 1, 0);
	for (i = 0; next_cycle(&next, &machine, &policy, &decision); i++) {
		assert_int_equal(decision.current, expected[i] - '0');
		assert_int_equal(decision.verify_left, left[i] - '0');
		assert_int_equal(decision.candidate, left[i] > '0' ? 3 : 0);
	}
	assert_int_equal(i, strlen(expected));
}

static void
dwell(void **state)
{
	static const struct moves moves[] = {
		{ "kept that long", 1, 100, 0, 0, 1, "10:2 99:2 100:2", "112",
		    "dd." },
		{ "since its entry", 1, 100, 0, 0, 1, "150:2 160:3 249:3 250:3",
		    "2223", ".dd." },
		{ "not the first decision", 1, 100, 0, 0, 0, "10:2 20:1 110:1",
		    "221", ".d." },
		{ "left one excepted", 1, 100, 1 << 1, 0, 1, "10:2 20:3", "22",
		    ".d" },
		{ "entered one excepted", 1, 100, 1 << 2, 0, 1,
		    "10:3 20:2 30:3", "123", "d.." },
		{ "several excepted", 1, 100, 1 << 4 | 1 << 8, 0, 1,
		    "10:2 20:4 30:2 40:8 50:3 60:1", "142833", "d....d" },
		{ "verified meanwhile", 3, 100, 0, 0, 1, "10:2 20:2 30:2 100:2",
		    "1112", "vvd." },
		{ "another one meanwhile", 1, 100, 0, 0, 1,
		    "10:2 20:3 30:2 99:3 100:3", "11113", "dddd." },
		{ "given up meanwhile", 1, 100, 0, 0, 1, "10:2 20:1 100:1",
		    "111", "d.." },
		{ "over in a 0", 1, 100, 0, 0, 1, "10:2 50:0 100:0 200:0 210:2",
		    "11112", "dd..." },
		{ "a restart does not matter", 1, 100, 0, 0, 1,
		    "10:2 ! 99:2 100:2", "112", "dd." },
	};

	(void)state;
	run_moves(moves, COUNT(moves));
}

static void
return_after(void **state)
{
	static const struct moves moves[] = {
		{ "read that long", 1, 0, 0, 300, 2, "0:1 299:1 300:1", "221",
		    "rr." },
		{ "not the first decision", 1, 0, 0, 300, 0, "0:1", "1", "." },
		{ "a rescue does not wait", 1, 0, 0, 300, 1,
		    "0:2 1:3 2:4 3:5 4:6 5:7 6:8", "2345678", "......." },
		{ "0 does not interrupt", 1, 0, 0, 300, 2,
		    "0:1 100:0 200:0 300:1", "2221", "rrr." },
		{ "0 does not end it", 1, 0, 0, 300, 2, "0:1 300:0 301:1",
		    "221", "r.." },
		{ "another interrupts", 1, 0, 0, 300, 2,
		    "0:1 200:3 210:1 509:1 510:1", "23331", "r.rr." },
		{ "the current interrupts", 1, 0, 0, 300, 2,
		    "0:1 200:2 210:1 509:1 510:1", "22221", "r.rr." },
		{ "not verified interrupts", 2, 0, 0, 300, 2,
		    "0:1 200:3 210:1 220:1 509:1 510:1", "222221", "vvvrr." },
		{ "read before it was left", 1, 0, 0, 300, 1,
		    "0:1 400:2 410:1 709:1 710:1", "12221", "..rr." },
		{ "a restart starts anew", 1, 0, 0, 300, 2,
		    "0:1 299:1 ! 300:1 599:1 600:1", "22221", "rrrr." },
		{ "one after the other", 2, 50, 0, 100, 2,
		    "10:1 20:1 50:1 109:1 110:1", "22221", "vdrr." },
		{ "at once where it is 0", 1, 0, 0, 0, 2, "0:1", "1", "." },
	};

	(void)state;
	run_moves(moves, COUNT(moves));
}

/* How long is still to wait. */
static void
pending_left(void **state)
{
	struct decision decision;
	struct machine machine;
	struct policy policy;
	const char *next = "10:1 50:1 200:1 310:1";

	(void)state;
	policy_direct(&policy);
	policy.dwell = 100 * SECOND;
	policy.return_after = 300 * SECOND;
	machine_restore(&machine, 2, -50 * SECOND);
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_int_equal(decision.pending, PENDING_DWELL);
	assert_int_equal(decision.pending_left, 40 * SECOND);
	assert_int_equal(decision.candidate, 1);
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_int_equal(decision.pending, PENDING_RETURN);
	assert_int_equal(decision.pending_left, 260 * SECOND);
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_int_equal(decision.pending_left, 110 * SECOND);
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_true(decision.changed);
	assert_int_equal(decision.pending_left, 0);
	assert_int_equal(decision.candidate, 0);
	assert_int_equal(machine.entered, 310 * SECOND);
}

/* Any number of cycles may be counted. */
static void
verify_saturates(void **state)
{
	struct decision decision;
	struct machine machine;
	struct policy policy;
	const char *next = "10:2 20:2 100:2";

	(void)state;
	policy_direct(&policy);
	policy.verify[2] = UINT32_MAX;
	policy.dwell = 100 * SECOND;
	machine_restore(&machine, 1, 0);
	machine.candidate = 2;
	machine.candidate_count = UINT32_MAX - 1;
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_int_equal(machine.candidate_count, UINT32_MAX);
	assert_int_equal(decision.pending, PENDING_DWELL);
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_int_equal(decision.current, 2);
}

/* A step after five healthy ones: does it make the interval fast? */
static void
fast_reasons(void **state)
{
	/* Local and remote services, local and remote BGP. */
	static const struct {
		const char *sample;
		bool with_local_bgp, without;
	} table[] = {
		{ "HHUU", false, false },
		{ "SHUU", true, true },
		{ "HSUU", true, true },
		{ "HHDU", true, false },
		{ "HHUD", true, true },
		{ "SSDD", true, true },
		{ "?HUU", false, false },
		{ "H???", false, false },
		{ "???D", true, true },
		{ "????", false, false },
	};
	struct decision decision;
	struct machine machine;
	struct policy policy;
	struct sample sample;
	const char *letters;
	size_t i, step;
	bool expected;

	(void)state;
	policy_default(&policy);
	for (i = 0; i < 2 * COUNT(table); i++) {
		policy.local_bgp = i % 2 == 0;
		machine_init(&machine);
		for (step = 0; step < 6; step++) {
			letters = step < 5 ? "HHUU" : table[i / 2].sample;
			sample_clear(&sample);
			sample.services[LOCAL] = from_letter(letters[0]);
			sample.services[REMOTE] = from_letter(letters[1]);
			sample.bgp[LOCAL] = from_letter(letters[2]);
			sample.bgp[REMOTE] = from_letter(letters[3]);
			machine_step(&machine, &policy, &automatic, &sample,
			    (int64_t)step * SECOND, &decision);
			/* Before the first verdicts, and then no more. */
			expected = step < 3;
			if (step == 5)
				expected = policy.local_bgp ?
				    table[i / 2].with_local_bgp :
				    table[i / 2].without;
			assert_int_equal(decision.fast, expected);
			assert_int_equal(decision.interval,
			    (expected ? 5 : 15) * SECOND);
		}
	}
}

/* Before the first verdict only what is known makes it fast. */
static void
fast_first(void **state)
{
	struct decision decision;
	struct machine machine;
	struct policy policy;
	struct sample sample;
	int i;

	(void)state;
	policy_default(&policy);
	policy.local_bgp = false;
	sample_clear(&sample);
	machine_init(&machine);
	machine_step(&machine, &policy, &automatic, &sample, 0, &decision);
	assert_false(decision.fast);
	sample.bgp[LOCAL] = V_YES;
	machine_step(&machine, &policy, &automatic, &sample, SECOND, &decision);
	assert_false(decision.fast);
	for (i = 0; i < SIDES; i++) {
		sample_clear(&sample);
		sample.services[i] = V_YES;
		machine_init(&machine);
		machine_step(&machine, &policy, &automatic, &sample, 0,
		    &decision);
		assert_true(decision.fast);
	}
}

/* A candidate makes it fast, for five minutes at a stretch; + is fast. */
static void
fast_stretch(void **state)
{
	static const struct {
		const char *schedule, *expected;
	} table[] = {
		{ "0:1 10:2 160:2 309:2 310:2 311:2 900:2", "-+++---" },
		/* The stretch is of being fast, not of one candidate. */
		{ "0:1 10:2 200:3 309:3 310:3 320:4", "-+++--" },
		/* A step without a reason ends it. */
		{ "0:1 10:2 310:2 320:1 330:2 629:2 630:2", "-+--++-" },
		/* To know nothing is none. */
		{ "0:1 10:2 20:0 30:2 329:2 330:2", "-+-++-" },
		{ "0:0 10:0 20:1 30:0", "----" },
	};
	struct decision decision;
	struct machine machine;
	struct policy policy;
	const char *next;
	char found[16];
	size_t i, cycle;

	(void)state;
	policy_direct(&policy);
	policy.dwell = 1000 * SECOND;
	for (i = 0; i < COUNT(table); i++) {
		machine_restore(&machine, 1, 0);
		memset(found, 0, sizeof(found));
		next = table[i].schedule;
		for (cycle = 0; cycle < sizeof(found) - 1; cycle++) {
			if (!next_cycle(&next, &machine, &policy, &decision))
				break;
			found[cycle] = decision.fast ? '+' : '-';
			assert_int_equal(decision.interval,
			    decision.fast ? policy.fast : policy.interval);
		}
		expect(table[i].schedule, "fast", found, table[i].expected);
	}
}

/* What the hand-over rules say in each cycle, by a letter of gate's. */
struct gates {
	int handover;
	const char *schedule, *expected;
};

static void
run_gates(const struct gates *gates, size_t count, int start,
    char (*gate)(const struct decision *))
{
	const struct gates *end = gates + count;
	struct decision decision;
	struct machine machine;
	struct policy policy;
	const char *next;
	char found[16];
	size_t cycle;

	policy_direct(&policy);
	for (; gates < end; gates++) {
		policy.handover = gates->handover;
		if (policy.handover > 0)
			policy.handover *= SECOND;
		machine_restore(&machine, start, 0);
		memset(found, 0, sizeof(found));
		next = gates->schedule;
		for (cycle = 0; cycle < sizeof(found) - 1; cycle++) {
			if (!next_cycle(&next, &machine, &policy, &decision))
				break;
			found[cycle] = gate(&decision);
			assert_int_equal(decision.secondary_left == -1,
			    !machine.secondary_running);
		}
		expect(gates->schedule, "gate", found, gates->expected);
	}
}

/* w waits for the remote side, s is stuck and goes ahead, . does not wait. */
static char
takeover_gate(const struct decision *decision)
{
	if (decision->handover_stuck)
		assert_false(decision->wait_takeover);
	return (decision->handover_stuck ? 's' :
		decision->wait_takeover	 ? 'w' :
					   '.');
}

static void
takeover(void **state)
{
	static const struct gates gates[] = {
		/* Until it announces our primary prefix. */
		{ 60, "0:1- 10:2- 20:2? 30:2+ 40:2? 500:2?", ".ww..." },
		{ 60, "10:2+ 20:2? 100:2?", "..." },
		{ 60, "0:1+ 10:2- 20:2-", ".ww" },
		/* Or in vain, which is said once. */
		{ 60, "10:2- 69:2- 70:2- 80:2- 900:2-", "wws.." },
		{ 60, "10:2- 70:2- 80:2+ 90:2-", "ws.." },
		{ 60, "10:2- 70:2+ 80:2?", "w.." },
		{ 60, "10:2- 20:2+ 70:2? 80:2?", "w..." },
		/* And again when it is seen to announce it no longer. */
		{ 60, "10:2- 20:2+ 30:2- 40:2? 50:2+ 69:2- 70:2- 80:2-",
		    "w.ww.ws." },
		{ 60, "10:2+ 500:2- 510:2- 520:2+", ".s.." },
		{ 60, "10:2+ 20:0- 30:0? 500:0- 510:2+ 520:2?", ".www.." },
		/* Once an occasion. */
		{ 60, "10:2+ 20:1- 30:2- 89:2- 90:2- 95:2-", "..wws." },
		{ 60, "10:2- 70:2- 80:1- 90:2- 150:2- 160:2-", "ws.ws." },
		{ 60, "10:2- 70:2- 80:3- 90:2+ 150:2?", "ws..." },
		/* Time alone opens no gate while nothing is known. */
		{ 60, "10:2- 70:0- 100:0? 110:2- 120:2-", "wwws." },
		{ 60, "10:2- 70:0- 100:0+ 110:2- 200:2-", "wwws." },
		/* Nor does an announcement. */
		{ 60, "10:2- 20:0+ 30:2? 40:2+ 200:2?", "www.." },
		/* Only state 2 waits. */
		{ 60, "0:3- 10:4- 20:5- 30:6- 40:7- 50:8- 60:1- 900:1-",
		    "........" },
		/* A restart knows when the state was entered, no more. */
		{ 60, "10:2- ! 69:2- 70:2- 80:2-", "wws." },
		{ 60, "10:2- ! 20:0- 100:0- 110:2-", "wwws" },
		{ 60, "10:2- ! 69:0+ 70:2- 80:2-", "wws." },
		{ 60, "10:2+ ! 20:2- 70:2-", ".ws" },
		{ 60, "10:2- 70:2- ! 80:2+ 90:2?", "ws.." },
		/* Other waits, or none. */
		{ 0, "10:2- 20:2-", "s." },
		{ 0, "10:2+ 20:2? 30:2- 40:2-", "..s." },
		{ -1, "10:2- 20:2- 500:2-", "..." },
	};

	(void)state;
	run_gates(gates, COUNT(gates), 1, takeover_gate);
}

/* A side that has recovered, and only waits to return, hands over no more. */
static void
takeover_recovered(void **state)
{
	const char *next = "10:2- 20:1+ 30:1+ 40:1- 50:2? 60:2+ 62:1+ 64:1- "
			   "66:1+ 68:2+ 69:1? 200:1- 300:1- 369:1-";
	const char *expected = "wwwww..ww..ww.";
	struct decision decision;
	struct machine machine;
	struct policy policy;
	size_t i;

	(void)state;
	policy_direct(&policy);
	policy.return_after = 300 * SECOND;
	machine_restore(&machine, 1, 0);
	for (i = 0; next_cycle(&next, &machine, &policy, &decision); i++)
		if (takeover_gate(&decision) != expected[i])
			fail_msg("cycle %zu: %c, not %c", i,
			    takeover_gate(&decision), expected[i]);
	assert_int_equal(i, strlen(expected));
	assert_int_equal(decision.current, 1);
}

/* k: the secondary prefix must be kept; . it may be withdrawn. */
static char
secondary_gate(const struct decision *decision)
{
	return (decision->keep_secondary ? 'k' : '.');
}

static void
secondary(void **state)
{
	static const struct gates gates[] = {
		/* A minute of announcements without interruption. */
		{ 60, "0:1?+ 30:1?+ 59:1?+ 60:1?+ 900:1?+", "kkk.." },
		{ 60, "0:1?- 30:1?? 900:1??", "kkk" },
		{ 60, "0:1?+ 30:1?- 31:1?+ 90:1?+ 91:1?+", "kkkk." },
		{ 60, "0:1?+ 30:1?? 31:1?+ 90:1?+ 91:1?+", "kkkk." },
		{ 60, "0:1?+ 60:1?+ 61:1?- 62:1?+ 121:1?+ 122:1?+", "k.kkk." },
		/* Whatever the state, and whatever else is known. */
		{ 60, "0:0?+ 30:0?+ 60:0?+", "kk." },
		/* From the decision to withdraw, not from before it. */
		{ 60, "0:0?+ 30:2?+ 89:0?+ 90:0?+", "kkk." },
		{ 60, "0:1?+ 60:3?+ 70:3?+ 80:1?+ 139:1?+ 140:1?+", "k..kk." },
		/* From each such decision, if the last came to nothing. */
		{ 60, "0:4?+ 60:4?+ 61:1?+ 120:1?+ 121:1?+", "k.kk." },
		{ 60, "0:1?+ 60:2?+ 119:2?+ 120:2?+", "kkk." },
		/* Not the other prefix. */
		{ 60, "0:1+- 60:1+- 900:1+-", "kkk" },
		/* Anew after a restart. */
		{ 60, "0:1?+ 30:1?+ ! 60:1?+ 119:1?+ 120:1?+", "kkkk." },
		{ 60, "0:1?+ 60:1?+ ! 61:1?+", "k.k" },
		/* Other waits, or none. */
		{ 0, "0:1?- 10:1?+ 20:1?-", "k.k" },
		{ -1, "0:1?- 10:1?+ 20:1??", "..." },
	};

	(void)state;
	run_gates(gates, COUNT(gates), STATE_NONE, secondary_gate);
}

/* How long the gates stay shut. */
static void
handover_left(void **state)
{
	static const struct {
		int takeover, secondary; /* seconds */
	} expected[] = { { 60, -1 }, { 40, 60 }, { 1, 21 }, { 0, 20 }, { 0, 0 },
		{ 0, 0 }, { 0, -1 } };
	const char *next = "10:2-- 30:2-+ 69:0-+ 70:0-+ 90:2-+ 91:2-+ 92:2--";
	struct decision decision;
	struct machine machine;
	struct policy policy;
	size_t i;

	(void)state;
	policy_direct(&policy);
	machine_restore(&machine, 1, 0);
	for (i = 0; next_cycle(&next, &machine, &policy, &decision); i++) {
		assert_int_equal(decision.takeover_left,
		    expected[i].takeover * SECOND);
		assert_int_equal(decision.secondary_left,
		    expected[i].secondary < 0 ? -1 :
						expected[i].secondary * SECOND);
	}
	assert_int_equal(i, COUNT(expected));

	policy.handover = -1;
	next = "100:2-- 110:2-+";
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_int_equal(decision.secondary_left, -1);
	assert_true(next_cycle(&next, &machine, &policy, &decision));
	assert_int_equal(decision.secondary_left, 0);
	assert_int_equal(decision.takeover_left, 0);
}

/* A window of every size, against counting the samples one by one. */
static void
random_windows(void **state)
{
	static enum verdict known[1000];
	struct decision decision;
	struct machine machine;
	struct policy policy;
	struct sample sample;
	enum verdict expected;
	uint32_t count, healthy, i, round, step, window;

	(void)state;
	seed = 0x77696e646f77;
	policy_default(&policy);
	for (round = 0; round < WINDOW_MAX; round++) {
		policy.window = 1 + round;
		policy.up = 1 + pick(policy.window);
		policy.down = policy.window + 1 - policy.up;
		machine_init(&machine);
		sample_clear(&sample);
		expected = V_UNKNOWN;
		for (count = step = 0; step < COUNT(known); step++) {
			if (one_in(policy.up + 1))
				sample.services[REMOTE] = (enum verdict)(
				    (int)pick(3) - 1);
			machine_step(&machine, &policy, &automatic, &sample,
			    step, &decision);
			if (sample.services[REMOTE] != V_UNKNOWN) {
				known[count++] = sample.services[REMOTE];
				window = count < policy.window ? count :
								 policy.window;
				for (healthy = i = 0; i < window; i++)
					healthy += known[count - 1 - i] ==
					    V_YES;
				if (healthy >= policy.up)
					expected = V_YES;
				else if (window - healthy >= policy.down)
					expected = V_NO;
			}
			assert_int_equal(decision.remote, expected);
		}
	}
}

/* Any table: the states that the unknowns leave, tried one by one. */
static void
random_tables(void **state)
{
	static const char letters[2][3] = { "HS", "UD" };
	struct policy policy;
	char verdicts[4] = "", maybe[4] = "";
	int round, i, row, found;
	bool same;

	(void)state;
	seed = 0x7461626c65;
	policy_default(&policy);
	for (round = 0; round < 20000; round++) {
		row = 1 + (int)pick(STATE_MAX);
		policy.table[row] = state_table[1 + pick(STATE_MAX)];
		policy.table[row].cloudflare = (enum steer)pick(3);
		for (i = 0; i < 3; i++)
			verdicts[i] = one_in(2) ? '?' :
						  letters[i == 2][pick(2)];
		found = STATE_NONE;
		same = true;
		for (row = 1; row <= STATE_MAX; row++) {
			memcpy(maybe, verdicts, sizeof(maybe));
			for (i = 0; i < 3; i++)
				if (maybe[i] == '?')
					maybe[i] = rows[row][i];
			if (strcmp(maybe, rows[row]) != 0)
				continue;
			if (found == STATE_NONE)
				found = row;
			same = same &&
			    memcmp(&policy.table[row], &policy.table[found],
				sizeof(policy.table[row])) == 0;
		}
		assert_int_equal(read_letters(&policy, verdicts),
		    same ? found : STATE_NONE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(read_all),
		cmocka_unit_test(read_changed),
		cmocka_unit_test(windows),
		cmocka_unit_test(slow_readings),
		cmocka_unit_test(window_reload),
		cmocka_unit_test(bgp_watch),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(verify),
		cmocka_unit_test(verify_own),
		cmocka_unit_test(verify_saturates),
		cmocka_unit_test(dwell),
		cmocka_unit_test(return_after),
		cmocka_unit_test(pending_left),
		cmocka_unit_test(fast_reasons),
		cmocka_unit_test(fast_first),
		cmocka_unit_test(fast_stretch),
		cmocka_unit_test(takeover),
		cmocka_unit_test(takeover_recovered),
		cmocka_unit_test(secondary),
		cmocka_unit_test(handover_left),
		cmocka_unit_test(random_windows),
		cmocka_unit_test(random_tables),
	};

	return (cmocka_run_group_tests_name("state", tests, NULL, NULL));
}
