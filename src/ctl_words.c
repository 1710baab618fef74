/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "state.h"

/*
 * The words of a command line.  Those of the commands may be cut short as long
 * as they are not ambiguous; the name of a failover may not.
 */

enum argument {
	ARG_NONE,
	ARG_NAME,  /* [name] */
	ARG_HOLD,  /* [name] [for SECONDS] [reason TEXT] */
	ARG_FORCE, /* name state N [for SECONDS] [anyway] [reason TEXT] */
};

static const struct word {
	const char *first;
	const char *second; /* or NULL */
	enum control_command command;
	enum argument argument;
	const char *usage;
} words[] = {
	{ "show", "status", CONTROL_STATUS, ARG_NONE, "" },
	{ "show", "failover", CONTROL_FAILOVER, ARG_NAME, "[name]" },
	{ "show", "checks", CONTROL_CHECKS, ARG_NAME, "[name]" },
	{ "show", "routes", CONTROL_ROUTES, ARG_NAME, "[name]" },
	{ "show", "breakers", CONTROL_BREAKERS, ARG_NONE, "" },
	{ "show", "history", CONTROL_HISTORY, ARG_NAME, "[name]" },
	{ "explain", NULL, CONTROL_EXPLAIN, ARG_NAME, "[name]" },
	{ "monitor", NULL, CONTROL_MONITOR, ARG_NONE, "" },
	{ "hold", NULL, CONTROL_HOLD, ARG_HOLD,
	    "[name] [for seconds] [reason text]" },
	{ "force", NULL, CONTROL_FORCE, ARG_FORCE,
	    "name state n [for seconds] [anyway] [reason text]" },
	{ "release", NULL, CONTROL_RELEASE, ARG_NAME, "[name]" },
	{ "ack", NULL, CONTROL_ACK, ARG_NAME, "[name]" },
	{ "probe", NULL, CONTROL_PROBE, ARG_NAME, "[name]" },
	{ "reload", NULL, CONTROL_RELOAD, ARG_NONE, "" },
	{ "log", "brief", CONTROL_LOG_BRIEF, ARG_NONE, "" },
	{ "log", "verbose", CONTROL_LOG_VERBOSE, ARG_NONE, "" },
	{ "log", "reopen", CONTROL_LOG_REOPEN, ARG_NONE, "" },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECONDS_MAX  (366 * 86400)

/* What is left of the command line, and where a message about it goes. */
struct rest {
	int argc;
	char **argv;
	char *why;
	size_t len;
};

static bool
begins(const char *word, const char *text)
{
	return (*text != '\0' && strncmp(word, text, strlen(text)) == 0);
}

/* Does the line match this command?  Whole words are better than cut ones. */
static bool
matches(const struct word *word, int argc, char *argv[])
{
	if (argc < 1 || !begins(word->first, argv[0]))
		return (false);
	return (word->second == NULL ||
	    (argc > 1 && begins(word->second, argv[1])));
}

static bool
whole(const struct word *word, char *argv[])
{
	return (strcmp(word->first, argv[0]) == 0 &&
	    (word->second == NULL || strcmp(word->second, argv[1]) == 0));
}

static const struct word *
find(int argc, char *argv[], char *why, size_t len)
{
	const struct word *found = NULL;
	size_t i, n = 0;

	for (i = 0; i < COUNT(words); i++) {
		if (!matches(&words[i], argc, argv))
			continue;
		if (whole(&words[i], argv))
			return (&words[i]);
		found = &words[i];
		n++;
	}
	if (n == 1)
		return (found);
	snprintf(why, len, "%s command: %s%s%s",
	    n == 0 ? "unknown" : "ambiguous", argc > 0 ? argv[0] : "",
	    argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
	return (NULL);
}

static const char *
next(struct rest *rest)
{
	if (rest->argc == 0)
		return (NULL);
	rest->argc--;
	return (*rest->argv++);
}

static int
take_number(struct rest *rest, const char *what, long most, uint32_t *number)
{
	const char *text = next(rest);
	char *end;
	long value;

	value = text == NULL ? -1 : strtol(text, &end, 10);
	if (text == NULL || end == text || *end != '\0' || value < 1 ||
	    value > most) {
		snprintf(rest->why, rest->len,
		    "%s: expected a whole number from 1 to %ld, not \"%s\"",
		    what, most, text == NULL ? "" : text);
		return (-1);
	}
	*number = (uint32_t)value;
	return (0);
}

static int
take_text(struct rest *rest, const char *what, char *to, size_t size)
{
	const char *text = next(rest);

	if (text == NULL || *text == '\0') {
		snprintf(rest->why, rest->len, "%s: expected a text", what);
		return (-1);
	}
	if (strlcpy(to, text, size) < size)
		return (0);
	snprintf(rest->why, rest->len, "%s: longer than %zu characters", what,
	    size - 1);
	return (-1);
}

/* What may follow the name of a failover. */
static int
take_options(struct rest *rest, const struct word *word,
    struct control_request *request)
{
	const char *text;

	while ((text = next(rest)) != NULL) {
		if (strcmp(text, "for") == 0) {
			if (take_number(rest, "for", SECONDS_MAX,
				&request->seconds) == -1)
				return (-1);
		} else if (strcmp(text, "reason") == 0) {
			if (take_text(rest, "reason", request->reason,
				sizeof(request->reason)) == -1)
				return (-1);
		} else if (strcmp(text, "anyway") == 0 &&
		    word->argument == ARG_FORCE) {
			request->anyway = 1;
		} else {
			snprintf(rest->why, rest->len,
			    "unexpected \"%s\"; expected: %s %s", text,
			    word->first, word->usage);
			return (-1);
		}
	}
	return (0);
}

static bool
is_option(const char *text)
{
	return (strcmp(text, "for") == 0 || strcmp(text, "reason") == 0);
}

static int
take_force(struct rest *rest, const struct word *word,
    struct control_request *request)
{
	const char *text;

	if (take_text(rest, "force", request->failover,
		sizeof(request->failover)) == -1)
		return (-1);
	text = next(rest);
	if (text == NULL || !begins("state", text)) {
		snprintf(rest->why, rest->len, "expected: force %s",
		    word->usage);
		return (-1);
	}
	if (take_number(rest, "state", STATE_MAX, &request->state) == -1)
		return (-1);
	return (take_options(rest, word, request));
}

static int
take_arguments(struct rest *rest, const struct word *word,
    struct control_request *request)
{
	if (word->argument == ARG_FORCE)
		return (take_force(rest, word, request));
	if (word->argument != ARG_NONE && rest->argc > 0 &&
	    !(word->argument == ARG_HOLD && is_option(rest->argv[0])) &&
	    take_text(rest, "name", request->failover,
		sizeof(request->failover)) == -1)
		return (-1);
	if (word->argument == ARG_HOLD)
		return (take_options(rest, word, request));
	if (rest->argc == 0)
		return (0);
	snprintf(rest->why, rest->len, "unexpected \"%s\"", rest->argv[0]);
	return (-1);
}

/* Make a request of the words; -1: they are none, and why says so. */
int
words_parse(struct control_request *request, int argc, char *argv[], char *why,
    size_t len)
{
	const struct word *word = find(argc, argv, why, len);
	struct rest rest = { .why = why, .len = len };
	int used;

	memset(request, 0, sizeof(*request));
	if (word == NULL)
		return (-1);
	used = word->second == NULL ? 1 : 2;
	rest.argc = argc - used;
	rest.argv = argv + used;
	request->version = CONTROL_VERSION;
	request->command = word->command;
	return (take_arguments(&rest, word, request));
}

/* Write all commands to standard error. */
void
words_usage(void)
{
	size_t i;

	for (i = 0; i < COUNT(words); i++)
		fprintf(stderr, "       mt-gcpctl %s%s%s%s%s\n", words[i].first,
		    words[i].second == NULL ? "" : " ",
		    words[i].second == NULL ? "" : words[i].second,
		    *words[i].usage == '\0' ? "" : " ", words[i].usage);
}
