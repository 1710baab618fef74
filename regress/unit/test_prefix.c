/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "prefix.h"

static struct prefix
prefix_of(const char *text)
{
	struct prefix prefix;

	assert_int_equal(prefix_parse(text, &prefix), 0);
	return (prefix);
}

static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		const char *canonical;
	} good[] = {
		{ "192.0.2.0/24", "192.0.2.0/24" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "192.0.2.1", "192.0.2.1/32" },
		{ "192.0.2.77/24", "192.0.2.77/24" },
		{ "2001:DB8:0:0::/32", "2001:db8::/32" },
		{ "::/0", "::/0" },
		{ "2001:db8::1", "2001:db8::1/128" },
		{ "::ffff:192.0.2.1/128", "::ffff:192.0.2.1/128" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
	};
	struct prefix prefix;
	char buf[PREFIX_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		prefix = prefix_of(good[i].text);
		assert_string_equal(prefix_text(&prefix, buf, sizeof(buf)),
		    good[i].canonical);
	}
}

static void
test_parse_bad(void **state)
{
	static const char *const bad[] = { "", "/", "/24", "192.0.2.0/",
		"192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+1", "192.0.2.0/024",
		"192.0.2.0/2 4", "192.0.2.0 /24", "192.0.2/24",
		"192.0.2.256/24", "192.0.2.0/24/24",
		"192.0.2.0/99999999999999999999", "2001:db8::/129",
		"2001:db8::g/32", "2001:db8:::/32", "::/ffff", "example.net/24",
		"fe80::1%eth0/64",
		"00000000000000000000000000000000000000000000000000/24" };
	struct prefix prefix;
	char buf[PREFIX_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&prefix, 0xff, sizeof(prefix));
		assert_int_equal(prefix_parse(bad[i], &prefix), -1);
		assert_int_equal(prefix.family, 0);
		assert_string_equal(prefix_text(&prefix, buf, sizeof(buf)), "");
	}
}

static void
test_masked(void **state)
{
	static const struct {
		const char *text;
		const char *masked;
		bool same;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0/24", true },
		{ "192.0.2.1/24", "192.0.2.0/24", false },
		{ "192.0.2.255/25", "192.0.2.128/25", false },
		{ "192.0.2.1/32", "192.0.2.1/32", true },
		{ "192.0.2.1/0", "0.0.0.0/0", false },
		{ "2001:db8::/32", "2001:db8::/32", true },
		{ "2001:db8::1/127", "2001:db8::/127", false },
		{ "2001:db8:ffff::/33", "2001:db8:8000::/33", false },
	};
	struct prefix prefix, masked;
	char buf[PREFIX_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		prefix = prefix_of(cases[i].text);
		assert_int_equal(prefix_masked(&prefix, NULL), cases[i].same);
		assert_int_equal(prefix_masked(&prefix, &masked),
		    cases[i].same);
		assert_string_equal(prefix_text(&masked, buf, sizeof(buf)),
		    cases[i].masked);
		assert_true(prefix_masked(&masked, &masked));
	}
}

static void
test_equal(void **state)
{
	struct prefix a, b;

	(void)state;
	a = prefix_of("2001:db8:0:0::/48");
	b = prefix_of("2001:0DB8::/48");
	assert_true(prefix_equal(&a, &b));
	b = prefix_of("2001:db8::/47");
	assert_false(prefix_equal(&a, &b));
	a = prefix_of("192.0.2.9/24");
	b = prefix_of("192.0.2.0/24");
	assert_true(prefix_equal(&a, &b));
	b = prefix_of("192.0.3.0/24");
	assert_false(prefix_equal(&a, &b));
	a = prefix_of("0.0.0.0/0");
	b = prefix_of("::/0");
	assert_false(prefix_equal(&a, &b));
}

static void
test_overlap(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool overlap;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.0/16", true },
		{ "10.0.0.0/8", "11.0.0.0/8", false },
		{ "10.0.0.0/25", "10.0.0.128/25", false },
		{ "10.0.0.0/24", "10.0.0.128/25", true },
		{ "0.0.0.0/0", "203.0.113.1", true },
		{ "0.0.0.0/0", "::/0", false },
		{ "2001:db8::/32", "2001:db8:ffff::/48", true },
		{ "2001:db8::/33", "2001:db8:8000::/33", false },
	};
	struct prefix a, b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a = prefix_of(cases[i].a);
		b = prefix_of(cases[i].b);
		assert_int_equal(prefix_overlap(&a, &b), cases[i].overlap);
		assert_int_equal(prefix_overlap(&b, &a), cases[i].overlap);
	}
	memset(&a, 0, sizeof(a));
	assert_false(prefix_overlap(&a, &a));
}

static void
test_text_short(void **state)
{
	struct prefix prefix;
	char buf[8] = "x";

	(void)state;
	prefix = prefix_of("192.0.2.0/24");
	assert_string_equal(prefix_text(&prefix, buf, sizeof(buf)), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_text_short),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
