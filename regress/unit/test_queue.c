/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cloud.h"
#include "queue.h"

/* The queue of events: bounded, in order, and what is being written stays. */

static struct queue queue;

static int
setup(void **state)
{
	(void)state;
	queue_init(&queue);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	queue_clear(&queue);
	assert_int_equal(queue.count, 0);
	assert_int_equal(queue.bytes, 0);
	return (0);
}

/* Add an event of that many bytes; how many had to go for it. */
static size_t
add(size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	text[len] = '\0';
	return (queue_add(&queue, text, len));
}

static uint64_t
first(void)
{
	const struct entry *entry = STAILQ_FIRST(&queue.writing);

	if (entry == NULL)
		entry = STAILQ_FIRST(&queue.waiting);
	return (entry->number);
}

static void
order(void **state)
{
	int i;

	(void)state;
	assert_int_equal(queue_take(&queue, 10, 1000), 0);
	for (i = 0; i < 5; i++)
		assert_int_equal(add(10), 0);
	assert_int_equal(queue.bytes, 50);
	assert_int_equal(queue_take(&queue, 3, 1000), 3);
	queue_untake(&queue);
	assert_int_equal(queue.count, 5);
	assert_int_equal(queue_take(&queue, 3, 1000), 3);
	queue_remove(&queue);
	assert_int_equal(queue.count, 2);
	assert_int_equal(first(), 3);
	assert_int_equal(queue_take(&queue, 3, 1000), 2);
	queue_remove(&queue);
	assert_int_equal(queue.count, 0);
	add(1);
	assert_int_equal(first(), 5);
}

static void
bytes_of_a_batch(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		add(10);
	assert_int_equal(queue_take(&queue, 10, 29), 2);
	assert_int_equal(queue_take(&queue, 10, 30), 3);
	/* one is written however large it is */
	assert_int_equal(queue_take(&queue, 10, 5), 1);
}

static void
too_many(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < QUEUE_ENTRIES; i++)
		assert_int_equal(add(1), 0);
	assert_int_equal(add(1), 1);
	assert_int_equal(queue.count, QUEUE_ENTRIES);
	assert_int_equal(first(), 1);
	/* what is being written stays: its neighbour goes */
	assert_int_equal(queue_take(&queue, 2, 1000), 2);
	assert_int_equal(add(1), 1);
	assert_int_equal(first(), 1);
	queue_remove(&queue);
	assert_int_equal(first(), 4);
	assert_int_equal(queue.count, QUEUE_ENTRIES - 2);
}

static void
too_large(void **state)
{
	size_t i, n = QUEUE_BYTES / 65536;

	(void)state;
	for (i = 0; i < n; i++)
		assert_int_equal(add(65536), 0);
	assert_int_equal(add(1), 1);
	assert_int_equal(queue.bytes, (n - 1) * 65536 + 1);
	assert_int_equal(add(65536 * 2), 2);
	assert_true(queue.bytes <= QUEUE_BYTES);
}

static void
severities(void **state)
{
	(void)state;
	assert_string_equal(event_severity("state_transition", "success"),
	    "NOTICE");
	assert_string_equal(event_severity("daemon_error", "failure"), "ERROR");
	assert_string_equal(event_severity("handover_stuck", "failure"),
	    "ERROR");
	assert_string_equal(event_severity("health_check_result", "failure"),
	    "WARNING");
	assert_string_equal(event_severity("health_check_cycle", "success"),
	    "INFO");
	assert_string_equal(event_severity("health_check_cycle", "skipped"),
	    "INFO");
	assert_string_equal(
	    event_severity("bgp_advertisement_change", "no_change"), "DEBUG");
	assert_string_equal(event_severity("", ""), "INFO");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_of_a_batch, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(too_large, setup, teardown),
		cmocka_unit_test(severities),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
