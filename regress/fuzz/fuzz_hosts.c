/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * A resolv.conf(5), and URLs, one a line: what the configuration takes has the
 * same host and port for the parent, which looks it up and lets the child
 * connect there, as for the child that does.
 */

#include "../../src/hosts.c"

#include "fuzz.h"
#include "urls.h"

static void
resolv_conf(const char *text)
{
	struct nameservers list = TAILQ_HEAD_INITIALIZER(list);
	struct nameserver *server;
	char copy[4096];
	size_t n = 0;
	FILE *file;

	strlcpy(copy, text, sizeof(copy));
	if (*copy == '\0')
		return;
	file = fmemopen(copy, strlen(copy), "r");
	read_nameservers(file, &list);
	fclose(file);
	while ((server = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, server, entry);
		free(server);
		n++;
	}
	HOLDS(n <= NAMESERVERS_MAX);
}

static void
url(const char *text)
{
	char ours[HOST_LEN], theirs[HOST_LEN];
	uint16_t port, other;

	if (value_https(text) != NULL)
		return;
	port = url_split(text, ours, sizeof(ours));
	HOLDS(url_host(text, theirs, sizeof(theirs), &other) == 0);
	HOLDS(strcmp(ours, theirs) == 0 && port == other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, size };
	char *text = take_text(&in), *next = text, *line;

	resolv_conf(text);
	while ((line = strsep(&next, "\n")) != NULL)
		url(line);
	free(text);
	return (0);
}
