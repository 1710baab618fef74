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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND	     1000
#define YEAR	     (INT64_C(365) * 24 * 3600 * SECOND)

/* The daemon's clock began at this instant of the wall clock. */
#define SHIFT INT64_C(1790000000000)
#define NOW   (INT64_C(1000) * SECOND)

static struct failover_conf conf = { .name = (char[]){ "web" } };

static void
fresh(struct failover *failover)
{
	memset(failover, 0, sizeof(*failover));
	failover->conf = &conf;
	machine_init(&failover->machine);
}

static void
forget(struct failover *failover)
{
	region_forget(&failover->memory[LOCAL]);
	region_forget(&failover->memory[REMOTE]);
}

/* What the state file says of the failover; the caller frees it. */
static char *
remembered(const struct failover *failover, int64_t shift)
{
	json_t *object = failover_remember(failover, shift);
	char *text;

	assert_non_null(object);
	text = json_dumps(object, JSON_COMPACT);
	assert_non_null(text);
	json_decref(object);
	return (text);
}

/* A failover that remembers that text; the caller forgets it. */
static void
recall(struct failover *failover, const char *text, int64_t shift, int64_t now)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (object == NULL)
		fail_msg("%s: %s", text, error.text);
	fresh(failover);
	failover_recall(failover, object, shift, now);
	json_decref(object);
}

/* Ascending instants not after NOW, some of them before our clock began. */
static uint32_t
random_times(int64_t *times, uint32_t max)
{
	uint32_t i, count = pick(max + 1);
	int64_t at = NOW;

	for (i = count; i > 0; i--) {
		at -= one_in(3) ? 0 : pick(300 * SECOND);
		times[i - 1] = at;
	}
	return (count);
}

static void
random_reason(char *reason)
{
	static const char *const parts[] = { "x", "maintenance", " ", "\"",
		"\\", "\n", "\t", "\x01", "\x7f", "/", "\xc3\xa4",
		"\xe2\x82\xac", "\xf0\x9f\x94\xa7" };
	size_t n = pick(20);
	const char *part;

	*reason = '\0';
	while (n-- > 0) {
		part = parts[pick(COUNT(parts))];
		if (strlen(reason) + strlen(part) < ORDER_REASON_LEN)
			strlcat(reason, part, ORDER_REASON_LEN);
	}
}

static void
random_order(struct order *order)
{
	if (one_in(2))
		return;
	order->given = true;
	order->until = one_in(2) ? 0 : SHIFT + pick(1000 * SECOND);
	random_reason(order->reason);
}

static void
random_memory(struct region_memory *memory)
{
	uint32_t n = one_in(3) ? 0 : pick(40);
	char name[64];

	while (n-- > 0) {
		snprintf(name, sizeof(name), "backend-%0*u", 1 + (int)pick(50),
		    pick(100));
		assert_int_equal(region_remember(memory, name,
				     NOW - pick(9000 * SECOND), one_in(2)),
		    0);
	}
}

static void
random_failover(struct failover *failover)
{
	struct machine *machine = &failover->machine;
	struct drift *drift;
	int i;

	fresh(failover);
	if (!one_in(10)) {
		machine_restore(machine, 1 + (int)pick(STATE_MAX),
		    NOW - pick(5000 * SECOND));
		machine->braked = one_in(3);
		machine->nmoves = random_times(machine->moves,
		    one_in(4) ? COUNT(machine->moves) : 5);
	}
	random_order(&failover->hold);
	random_order(&failover->force);
	if (failover->force.given || one_in(3))
		failover->force_state = 1 + (int)pick(STATE_MAX);
	for (i = 0; i < OBJECTS; i++) {
		drift = &failover->drift[i];
		drift->count = random_times(drift->repaired, DRIFT_REPAIRS);
		drift->contested = drift->count > 0 && one_in(2);
	}
	for (i = LOCAL; i < SIDES; i++) {
		failover->had_peers[i] = one_in(2);
		random_memory(&failover->memory[i]);
	}
}

static void
same_order(const struct order *a, const struct order *b)
{
	assert_int_equal(a->given, b->given);
	assert_int_equal(a->until, b->until);
	assert_string_equal(a->reason, b->reason);
}

static void
same_drift(const struct drift *a, const struct drift *b)
{
	uint32_t i;

	assert_int_equal(a->count, b->count);
	assert_int_equal(a->contested, b->contested);
	for (i = 0; i < a->count; i++)
		assert_int_equal(a->repaired[i], b->repaired[i]);
}

static void
same_memory(const struct region_memory *a, const struct region_memory *b)
{
	size_t i;

	assert_int_equal(a->count, b->count);
	for (i = 0; i < a->count; i++) {
		assert_string_equal(a->service[i].name, b->service[i].name);
		assert_int_equal(a->service[i].empty, b->service[i].empty);
		if (a->service[i].empty)
			assert_int_equal(a->service[i].empty_since,
			    b->service[i].empty_since);
	}
}

/* Is the same remembered in both, windows and hand-over aside? */
static void
same_failover(const struct failover *a, const struct failover *b)
{
	const struct machine *x = &a->machine, *y = &b->machine;
	uint32_t i;

	assert_int_equal(x->current, y->current);
	assert_int_equal(x->entered, y->entered);
	assert_int_equal(x->braked, y->braked);
	assert_int_equal(x->nmoves, y->nmoves);
	for (i = 0; i < x->nmoves; i++)
		assert_int_equal(x->moves[i], y->moves[i]);
	same_order(&a->hold, &b->hold);
	same_order(&a->force, &b->force);
	assert_int_equal(a->force_state, b->force_state);
	for (i = 0; i < OBJECTS; i++)
		same_drift(&a->drift[i], &b->drift[i]);
	for (i = LOCAL; i < SIDES; i++) {
		assert_int_equal(a->had_peers[i], b->had_peers[i]);
		same_memory(&a->memory[i], &b->memory[i]);
	}
}

static void
round_trips(void **state)
{
	struct failover before, after;
	char *text, *again;
	int i;

	(void)state;
	seed = 0x726f756e64;
	for (i = 0; i < 1000; i++) {
		random_failover(&before);
		text = remembered(&before, SHIFT);
		recall(&after, text, SHIFT, NOW);
		again = remembered(&after, SHIFT);
		assert_string_equal(text, again);
		same_failover(&before, &after);
		free(text);
		free(again);
		forget(&before);
		forget(&after);
	}
}

/* The whole text, as older daemons have it in their files. */
static void
format(void **state)
{
	static const char expected[] =
	    "{\"name\":\"web\",\"state\":3,\"since\":1790000000500,"
	    "\"braked\":true,\"moves\":[1789999999000,1790000000500],"
	    "\"hold\":{\"until\":0,\"reason\":\"a \\\"b\\\"\"},"
	    "\"force\":{\"until\":1790000009000,\"reason\":\"\"},"
	    "\"force_state\":6,"
	    "\"drift\":{\"secondary\":{\"repaired\":[1790000000100],"
	    "\"contested\":false}},"
	    "\"local\":{\"had_peers\":true,\"services\":["
	    "{\"name\":\"api\",\"empty_since\":null},"
	    "{\"name\":\"www\",\"empty_since\":1790000000900}]},"
	    "\"remote\":{\"had_peers\":false,\"services\":[]}}";
	struct failover failover, again;
	char *text;

	(void)state;
	fresh(&failover);
	machine_restore(&failover.machine, 3, 500);
	failover.machine.braked = true;
	machine_move(&failover.machine, -1000);
	machine_move(&failover.machine, 500);
	failover.hold.given = failover.force.given = true;
	strlcpy(failover.hold.reason, "a \"b\"", sizeof(failover.hold.reason));
	failover.force.until = SHIFT + 9000;
	failover.force_state = 6;
	(void)drift_repaired(&failover.drift[OBJECT_SECONDARY], 100);
	failover.had_peers[LOCAL] = true;
	region_remember(&failover.memory[LOCAL], "www", 900, true);
	region_remember(&failover.memory[LOCAL], "api", 0, false);
	text = remembered(&failover, SHIFT);
	assert_string_equal(text, expected);
	free(text);
	recall(&again, expected, SHIFT, 1000);
	same_failover(&failover, &again);
	forget(&failover);
	forget(&again);
}

/*
 * Our clock began anew with a reboot, and the wall clock was set meanwhile:
 * forward by so much, or back.  Instants are where the wall clock has them, but
 * none lies in the future; ends of orders are the wall clock's own.
 */
static void
clocks(void **state)
{
	static const int64_t set[] = { 0, 1, 900, 3600 * SECOND, 20 * YEAR, -1,
		-900, -3600 * SECOND, -20 * YEAR };
	struct failover before, after;
	int64_t boot, shift, now, moved;
	uint32_t j;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * COUNT(set); i++) {
		boot = i % 2 == 0 ? 0 : 5000 * SECOND;
		shift = SHIFT + set[i / 2] + boot;
		now = NOW - boot;
		fresh(&before);
		machine_restore(&before.machine, 3, NOW - 2000);
		machine_move(&before.machine, NOW - 7000);
		machine_move(&before.machine, NOW - 800);
		machine_move(&before.machine, NOW);
		before.hold.given = true;
		before.hold.until = SHIFT + 77;
		(void)drift_repaired(&before.drift[OBJECT_ROUTES], NOW - 100);
		region_remember(&before.memory[REMOTE], "a", NOW - 500, true);
		text = remembered(&before, SHIFT);
		recall(&after, text, shift, now);
		free(text);
		for (j = 0; j < 3; j++) {
			moved = before.machine.moves[j] - boot - set[i / 2];
			assert_int_equal(after.machine.moves[j],
			    moved < now ? moved : now);
		}
		assert_int_equal(after.machine.nmoves, 3);
		moved = NOW - 2000 - boot - set[i / 2];
		assert_int_equal(after.machine.entered,
		    moved < now ? moved : now);
		moved = NOW - 100 - boot - set[i / 2];
		assert_int_equal(after.drift[OBJECT_ROUTES].repaired[0],
		    moved < now ? moved : now);
		moved = NOW - 500 - boot - set[i / 2];
		assert_int_equal(after.memory[REMOTE].service[0].empty_since,
		    moved < now ? moved : now);
		assert_int_equal(after.hold.until, SHIFT + 77);
		forget(&before);
		forget(&after);
	}
}

/*
 * What a text that nobody of us wrote is remembered as; where it is not told
 * apart from remembering nothing, NULL.
 */
static void
nonsense(void **state)
{
	static const struct {
		const char *text;
		const char *same; /* NULL: {} */
	} table[] = {
		/* No object at all. */
		{ "[]", NULL },
		{ "[1, \"state\", {}]", NULL },
		/* A state that there is not. */
		{ "{\"state\": 0, \"since\": 5, \"braked\": true}", NULL },
		{ "{\"state\": 9}", NULL },
		{ "{\"state\": -1}", NULL },
		{ "{\"state\": 4294967297}", NULL },
		{ "{\"state\": 9223372036854775807}", NULL },
		{ "{\"state\": \"1\"}", NULL },
		{ "{\"state\": 1.0}", NULL },
		{ "{\"state\": true}", NULL },
		{ "{\"state\": [1]}", NULL },
		{ "{\"braked\": true, \"moves\": [1790000000000]}", NULL },
		/* Since when: since now. */
		{ "{\"state\": 2}",
		    "{\"state\": 2, \"since\": 1790001000000}" },
		{ "{\"state\": 2, \"since\": null}",
		    "{\"state\": 2, \"since\": 1790001000000}" },
		{ "{\"state\": 2, \"since\": \"1790000000000\"}",
		    "{\"state\": 2, \"since\": 1790001000000}" },
		{ "{\"state\": 2, \"since\": 1790000000000.0}",
		    "{\"state\": 2, \"since\": 1790001000000}" },
		{ "{\"state\": 2, \"since\": 9223372036854775807}",
		    "{\"state\": 2, \"since\": 1790001000000}" },
		{ "{\"state\": 2, \"since\": -9223372036854775808}",
		    "{\"state\": 2, \"since\": 1790001000000}" },
		{ "{\"state\": 2, \"since\": -1}",
		    "{\"state\": 2, \"since\": 1790001000000}" },
		/* The brake. */
		{ "{\"state\": 2, \"since\": 1790000000000, \"braked\": 1}",
		    "{\"state\": 2, \"since\": 1790000000000}" },
		{ "{\"state\": 2, \"since\": 1790000000000, "
		  "\"braked\": \"true\", \"moves\": 7}",
		    "{\"state\": 2, \"since\": 1790000000000}" },
		{ "{\"state\": 2, \"since\": 1790000000000, \"moves\": "
		  "{\"a\": 1790000000000}}",
		    "{\"state\": 2, \"since\": 1790000000000}" },
		{ "{\"state\": 2, \"since\": 1790000000000, \"moves\": "
		  "[null, 1790000000001, \"1790000000002\", 1790000000003.5, "
		  "9223372036854775807, -9223372036854775808, [], "
		  "1790000000004]}",
		    "{\"state\": 2, \"since\": 1790000000000, \"moves\": "
		    "[1790000000001, 1790000000004]}" },
		/* Orders. */
		{ "{\"hold\": true}", NULL },
		{ "{\"hold\": \"until released\"}", NULL },
		{ "{\"hold\": [0, \"x\"]}", NULL },
		{ "{\"hold\": {}}", NULL },
		{ "{\"hold\": {\"reason\": \"x\"}}", NULL },
		{ "{\"hold\": {\"until\": \"0\", \"reason\": \"x\"}}", NULL },
		{ "{\"hold\": {\"until\": 0.0, \"reason\": \"x\"}}", NULL },
		{ "{\"hold\": {\"until\": null}}", NULL },
		{ "{\"hold\": {\"until\": 5}}",
		    "{\"hold\": {\"until\": 5, \"reason\": \"\"}}" },
		{ "{\"hold\": {\"until\": 5, \"reason\": 6}}",
		    "{\"hold\": {\"until\": 5, \"reason\": \"\"}}" },
		{ "{\"force\": {\"until\": 0, \"reason\": \"\"}}", NULL },
		{ "{\"force\": {\"until\": 0, \"reason\": \"\"}, "
		  "\"force_state\": 0}",
		    NULL },
		{ "{\"force\": {\"until\": 0, \"reason\": \"\"}, "
		  "\"force_state\": 9}",
		    NULL },
		{ "{\"force\": {\"until\": 0, \"reason\": \"\"}, "
		  "\"force_state\": \"2\"}",
		    NULL },
		{ "{\"force\": {\"until\": 0, \"reason\": \"\"}, "
		  "\"force_state\": 4294967298}",
		    NULL },
		{ "{\"force\": 3, \"force_state\": 3}",
		    "{\"force_state\": 3}" },
		/* Drift. */
		{ "{\"drift\": [1, 2]}", NULL },
		{ "{\"drift\": {\"primary\": 1, \"others\": {}, \"routes\": "
		  "{\"repaired\": \"often\"}}}",
		    NULL },
		{ "{\"drift\": {\"primary\": {\"repaired\": [], "
		  "\"contested\": true}}}",
		    NULL },
		{ "{\"drift\": {\"primary\": {\"repaired\": "
		  "[\"x\", 1790000000001, -9223372036854775808, "
		  "9223372036854775807], \"contested\": 1}}}",
		    "{\"drift\": {\"primary\": {\"repaired\": "
		    "[1790000000001], \"contested\": false}}}" },
		{ "{\"drift\": {\"primary\": {\"repaired\": [1790000000001, "
		  "1790000000002, 1790000000003, 1790000000004]}}}",
		    "{\"drift\": {\"primary\": {\"repaired\": [1790000000001, "
		    "1790000000002, 1790000000003], \"contested\": false}}}" },
		/* Regions. */
		{ "{\"local\": 1, \"remote\": []}", NULL },
		{ "{\"local\": {\"had_peers\": \"yes\", \"services\": 5}}",
		    NULL },
		{ "{\"local\": {\"services\": {\"name\": \"a\"}}}", NULL },
		{ "{\"local\": {\"services\": [1, null, \"a\", {}, "
		  "{\"name\": 5}, {\"name\": null, \"empty_since\": 6}, "
		  "{\"empty_since\": 6}, []]}}",
		    NULL },
		{ "{\"local\": {\"services\": [{\"name\": \"a\"}, "
		  "{\"name\": \"b\", \"empty_since\": \"x\"}, "
		  "{\"name\": \"c\", \"empty_since\": 9223372036854775807}, "
		  "{\"name\": \"d\", \"empty_since\": -9223372036854775808}, "
		  "{\"name\": \"e\", \"empty_since\": true}]}}",
		    "{\"local\": {\"services\": ["
		    "{\"name\": \"a\", \"empty_since\": null}, "
		    "{\"name\": \"b\", \"empty_since\": null}, "
		    "{\"name\": \"c\", \"empty_since\": null}, "
		    "{\"name\": \"d\", \"empty_since\": null}, "
		    "{\"name\": \"e\", \"empty_since\": null}]}}" },
	};
	struct failover failover, expected;
	char *found, *same;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		recall(&failover, table[i].text, SHIFT, NOW);
		recall(&expected, table[i].same == NULL ? "{}" : table[i].same,
		    SHIFT, NOW);
		found = remembered(&failover, SHIFT);
		same = remembered(&expected, SHIFT);
		if (strcmp(found, same) != 0)
			fail_msg("%s is\n%s, not\n%s", table[i].text, found,
			    same);
		same_failover(&failover, &expected);
		free(found);
		free(same);
		forget(&failover);
		forget(&expected);
	}
	recall(&failover, "{}", SHIFT, NOW);
	fresh(&expected);
	same_failover(&failover, &expected);
}

static json_t *
random_json(int depth)
{
	static const json_int_t numbers[] = { 0, 1, -1, 2, 8, 9, INT64_MAX,
		INT64_MIN, INT32_MAX, UINT32_MAX, SHIFT, SHIFT + NOW,
		SHIFT + 9 * NOW, INT64_MIN + SHIFT };
	json_t *list;
	uint32_t n;

	switch (pick(depth > 0 ? 9 : 6)) {
	case 0:
		return (json_null());
	case 1:
		return (json_boolean(one_in(2)));
	case 2:
		return (json_real(pick(1000) * 1e300));
	case 3:
		return (json_string(one_in(2) ? "" : "x"));
	case 4:
	case 5:
		return (json_integer(numbers[pick(COUNT(numbers))]));
	case 6:
		return (json_object());
	default:
		list = json_array();
		for (n = pick(5); n > 0; n--)
			json_array_append_new(list, random_json(depth - 1));
		return (list);
	}
}

/* Put some nonsense anywhere into what was remembered. */
static void
spoil(json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;
	void *next;

	for (i = 0; i < json_array_size(value); i++) {
		if (one_in(6))
			json_array_set_new(value, i, random_json(2));
		else
			spoil(json_array_get(value, i));
	}
	json_object_foreach_safe(value, next, key, member)
	{
		if (one_in(12))
			json_object_del(value, key);
		else if (one_in(8))
			json_object_set_new(value, key, random_json(2));
		else
			spoil(member);
	}
}

/*
 * Whatever the text says, what is made of it is a failover that could be, and
 * that goes on; and it is remembered as it is.
 */
static void
spoilt(void **state)
{
	static const struct orders automatic;
	static const struct sample sample;
	struct failover before, after, again;
	struct decision decision;
	struct policy policy;
	const struct machine *m;
	char *text, *more;
	json_t *object;
	int64_t now;
	uint32_t j;
	int i;

	(void)state;
	seed = 0x73706f696c74;
	policy_default(&policy);
	policy.dwell = 60 * SECOND;
	for (i = 0; i < 2000; i++) {
		random_failover(&before);
		object = failover_remember(&before, SHIFT);
		spoil(object);
		fresh(&after);
		failover_recall(&after, object, SHIFT, NOW);
		json_decref(object);
		m = &after.machine;
		assert_in_range(m->current, 0, STATE_MAX);
		assert_true(m->entered <= NOW);
		assert_in_range(m->nmoves, 0, COUNT(m->moves));
		for (j = 0; j < m->nmoves; j++)
			assert_true(m->moves[j] <= NOW);
		if (after.force.given)
			assert_in_range(after.force_state, 1, STATE_MAX);
		text = remembered(&after, SHIFT);
		recall(&again, text, SHIFT, NOW);
		more = remembered(&again, SHIFT);
		assert_string_equal(text, more);
		for (now = NOW; now < 2 * NOW; now += 60 * SECOND)
			machine_step(&after.machine, &policy, &automatic,
			    &sample, now, &decision);
		free(text);
		free(more);
		forget(&before);
		forget(&after);
		forget(&again);
	}
}

/* Whatever an administrator gives as a reason, the state is written. */
static void
reasons(void **state)
{
	static const char *const table[] = { "\xff", "cut \xe2\x82", "\xc0\x80",
		"\xed\xa0\x80", "line\nbreak", "\x1b[2J", "fine" };
	struct failover before, after;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		fresh(&before);
		before.hold.given = before.force.given = true;
		before.force_state = 3;
		strlcpy(before.hold.reason, table[i], ORDER_REASON_LEN);
		strlcpy(before.force.reason, table[i], ORDER_REASON_LEN);
		text = remembered(&before, SHIFT);
		recall(&after, text, SHIFT, NOW);
		assert_true(after.hold.given);
		assert_true(after.force.given);
		assert_int_equal(after.force_state, 3);
		free(text);
	}
	assert_string_equal(after.hold.reason, "fine");
}

static void
random_transition(struct transition *t, int64_t at)
{
	memset(t, 0, sizeof(*t));
	t->at = at;
	snprintf(t->failover, sizeof(t->failover), "f-%u", pick(3));
	t->from = (int)pick(STATE_MAX + 1);
	t->to = 1 + (int)pick(STATE_MAX);
	t->local = (enum verdict)((int)pick(3) - 1);
	t->remote = (enum verdict)((int)pick(3) - 1);
	t->remote_bgp = (enum verdict)((int)pick(3) - 1);
}

static void
same_transition(const struct transition *a, const struct transition *b)
{
	assert_int_equal(a->at, b->at);
	assert_string_equal(a->failover, b->failover);
	assert_int_equal(a->from, b->from);
	assert_int_equal(a->to, b->to);
	assert_int_equal(a->local, b->local);
	assert_int_equal(a->remote, b->remote);
	assert_int_equal(a->remote_bgp, b->remote_bgp);
}

/* The last 200 of them are there, the oldest first. */
static void
check_history(const struct transition *all, size_t count)
{
	size_t i, kept = count < HISTORY_MAX ? count : HISTORY_MAX;

	for (i = 0; i < kept; i++)
		same_transition(history_get(i), &all[count - kept + i]);
	assert_null(history_get(kept));
	assert_null(history_get(SIZE_MAX));
}

static void
history(void **state)
{
	static struct transition all[3 * HISTORY_MAX];
	json_t *list, *empty = json_array();
	char *text, *again;
	size_t count;

	(void)state;
	seed = 0x686973746f7279;
	assert_int_equal(HISTORY_MAX, 200);
	history_recall(empty);
	check_history(all, 0);
	for (count = 0; count < COUNT(all);) {
		random_transition(&all[count], SHIFT + (int64_t)count);
		history_add(&all[count++]);
		check_history(all, count);
		/* Goes on from what it remembers. */
		if (!one_in(20))
			continue;
		list = history_remember();
		text = json_dumps(list, JSON_COMPACT);
		json_decref(list);
		history_recall(empty);
		check_history(all, 0);
		list = json_loads(text, 0, NULL);
		history_recall(list);
		json_decref(list);
		check_history(all, count);
		list = history_remember();
		again = json_dumps(list, JSON_COMPACT);
		json_decref(list);
		assert_string_equal(text, again);
		free(text);
		free(again);
	}
	json_decref(empty);
}

/* What cannot be understood is left out; of too many the newest are kept. */
static void
history_nonsense(void **state)
{
	static const char *const table[] = { "1", "{}", "[]", "null",
		"[1, \"web\", 1, 2, 0, 1]", "[1, 5, 1, 2, 0, 1, 1]",
		"[\"1\", \"web\", 1, 2, 0, 1, 1]",
		"[1.5, \"web\", 1, 2, 0, 1, 1]",
		"[1, \"web\", null, 2, 0, 1, 1]",
		"[1, \"web\", 1, {}, 0, 1, 1]", "[1, \"web\", 9, 2, 0, 1, 1]",
		"[1, \"web\", 1, 9, 0, 1, 1]", "[1, \"web\", -1, 2, 0, 1, 1]",
		"[1, \"web\", 1, 0, 0, 1, 1]",
		"[1, \"web\", 4294967297, 2, 0, 1, 1]",
		"[1, \"web\", 1, 2, true, 1, 1]" };
	struct transition t = { .at = SHIFT,
		.failover = "web",
		.from = 1,
		.to = 2,
		.local = V_UNKNOWN,
		.remote = V_YES,
		.remote_bgp = V_UNKNOWN };
	static const char fine[] =
	    "[1790000000000, \"web\", 1, 2, 7, 1, 4294967297]";
	char *text;
	json_t *list;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		assert_true(asprintf(&text, "[%s, %s, %s]", table[i], fine,
				table[i]) > 0);
		list = json_loads(text, 0, NULL);
		assert_non_null(list);
		history_recall(list);
		json_decref(list);
		free(text);
		if (history_get(1) != NULL)
			fail_msg("%s is understood", table[i]);
		assert_non_null(history_get(0));
		same_transition(history_get(0), &t);
	}
	list = json_array();
	for (i = 0; i < 2 * HISTORY_MAX; i++)
		json_array_append_new(list,
		    json_pack("[I, s, i, i, i, i, i]",
			(json_int_t)(SHIFT + (int64_t)i), "web", 1, 2, 0, 0,
			0));
	history_recall(list);
	json_decref(list);
	assert_int_equal(history_get(0)->at, SHIFT + HISTORY_MAX);
	assert_null(history_get(HISTORY_MAX));
	history_recall(NULL);
	assert_null(history_get(0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(format),
		cmocka_unit_test(clocks),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(spoilt),
		cmocka_unit_test(reasons),
		cmocka_unit_test(history),
		cmocka_unit_test(history_nonsense),
	};

	return (cmocka_run_group_tests_name("remember", tests, NULL, NULL));
}
