/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"

/* What a date consists of. */
struct date {
	char month[4];
	int year;
	int day;
	int hour;
	int minute;
	int second;
};

static bool date_scan(const char *, struct date *, int64_t);
static bool date_seconds(const struct date *, int64_t *);
static int month_number(const char *);
static int64_t days_since_epoch(int, int, int);

/* The most to wait after so many tries, the first being 1: it doubles each
 * time.  Milliseconds all. */
uint32_t
backoff_most(uint32_t initial, uint32_t max, unsigned int tries)
{
	uint64_t most;

	most = initial;
	while (tries > 1 && most < max) {
		most *= 2;
		tries--;
	}
	return (most < max ? (uint32_t)most : max);
}

/*
 * How long to wait: anything up to the most, so that those who failed together
 * do not come again together ("full jitter").
 */
uint32_t
backoff_wait(uint32_t initial, uint32_t max, unsigned int tries)
{
	uint32_t most;

	most = backoff_most(initial, max, tries);
	if (most == UINT32_MAX)
		return (arc4random());
	return (arc4random_uniform(most + 1));
}

/*
 * How long a Retry-After header (RFC 9110 section 10.2.3) asks to wait, in
 * milliseconds; wall is the time of day in seconds.  A date that has gone by
 * is 0, and nobody waits for longer than a day.  Returns -1 if the header is
 * not there ("") or is neither a number of seconds nor a date.
 */
int64_t
retry_after(const char *header, int64_t wall)
{
	struct date date;
	int64_t seconds;
	size_t n;

	n = strspn(header, "0123456789");
	if (n > 0 && header[n + strspn(header + n, " \t")] == '\0') {
		/* Whatever does not fit is more than a day. */
		n -= strspn(header, "0");
		seconds = n > 9 ? INT32_MAX : atoll(header);
	} else if (date_scan(header, &date, wall) &&
	    date_seconds(&date, &seconds))
		seconds -= wall;
	else
		return (-1);
	if (seconds < 0)
		return (0);
	if (seconds > RETRY_AFTER_MAX / 1000)
		return (RETRY_AFTER_MAX);
	return (seconds * 1000);
}

/* The three forms of RFC 9110 section 5.6.7, the obsolete ones included.  The
 * name of the day is not looked at. */
static bool
date_scan(const char *text, struct date *date, int64_t wall)
{
	int end, this_year;

	end = -1;
	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n",
		&date->day, date->month, &date->year, &date->hour,
		&date->minute, &date->second, &end) == 6 &&
	    end != -1)
		return (text[end] == '\0');
	end = -1;
	if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n",
		&date->day, date->month, &date->year, &date->hour,
		&date->minute, &date->second, &end) == 6 &&
	    end != -1) {
		/* Two digits that seem to be more than 50 years ahead are of
		 * the century before. */
		this_year = 1970 + (int)(wall / 31556952);
		date->year += this_year - this_year % 100;
		if (date->year > this_year + 50)
			date->year -= 100;
		return (text[end] == '\0');
	}
	end = -1;
	return (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n",
		    date->month, &date->day, &date->hour, &date->minute,
		    &date->second, &date->year, &end) == 6 &&
	    end != -1 && text[end] == '\0');
}

/* Seconds since the epoch; false if there is no such date. */
static bool
date_seconds(const struct date *date, int64_t *seconds)
{
	static const int length[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31,
		30, 31 };
	int month;

	month = month_number(date->month);
	if (month == -1 || date->year < 1970 || date->day < 1 ||
	    date->day > length[month] || date->hour < 0 || date->hour > 23 ||
	    date->minute < 0 || date->minute > 59 || date->second < 0 ||
	    date->second > 60)
		return (false);
	*seconds = days_since_epoch(date->year, month, date->day) * 86400 +
	    date->hour * 3600 + date->minute * 60 + date->second;
	return (true);
}

/* 0 to 11, or -1. */
static int
month_number(const char *name)
{
	static const char *const names[] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	int i;

	for (i = 0; i < 12; i++) {
		if (strcmp(names[i], name) == 0)
			return (i);
	}
	return (-1);
}

/* Gregorian; timegm(3) would look for the time zone. */
static int64_t
days_since_epoch(int year, int month, int day)
{
	static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243,
		273, 304, 334 };
	int leaps, past;

	/* Leap days up to the end of last year, and this year's. */
	past = year - 1;
	leaps = past / 4 - past / 100 + past / 400 -
	    (1969 / 4 - 1969 / 100 + 1969 / 400);
	if (month > 1 &&
	    (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))
		leaps++;
	return ((int64_t)(year - 1970) * 365 + leaps + before[month] + day - 1);
}
