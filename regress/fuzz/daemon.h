/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef DAEMON_H
#define DAEMON_H

/*
 * What the targets of the parent share: two failovers, at a time that the
 * target says.
 */

#include "../../src/hosts.c"

#include <errno.h>

#include "conf.h"
#include "fuzz.h"
#include "mtgcpd.h"

#define BLOCK(name, router, text, prefix)                                      \
	"failover \"" name "\" {\n"                                            \
	"project \"p-1\"\nlocal region \"east\"\nremote region \"west\"\n"     \
	"local router \"" router "\"\nremote router \"far\"\n"                 \
	"primary prefix " prefix ".0.0/24\n"                                   \
	"secondary prefix " prefix ".1.0/24\n"                                 \
	"cloudflare routes matching \"" text "\"\n"                            \
	"health window 1 up 1 down 1\n}\n"

static const char configuration[] =
    "prober credentials file \"p\"\nactuator credentials file \"a\"\n"
    "log cloud project \"p-1\" credentials file \"r\"\n"
    "cloudflare account \"a1\" token file \"t\"\n"
    "nameserver 127.0.0.1\n" BLOCK("A", "r", "site A", "10.1")
	BLOCK("B", "s", "site B", "10.2");

static int64_t clock_now = 1000000;

int64_t
mono_ms(void)
{
	return (clock_now);
}

int64_t
wall_ms(void)
{
	return (clock_now + INT64_C(1790000000000));
}

void
correlation_id(char *buf, size_t len)
{
	snprintf(buf, len, "hc-1790000000-00000001");
}

int
public_open(const char *path __unused, char *why __unused, size_t len __unused)
{
	return (fuzz_memory(configuration, sizeof(configuration) - 1));
}

/* There are no secrets here. */
int
secret_open(const char *path, char *why, size_t len)
{
	snprintf(why, len, "%s: is not there", path);
	errno = ENOENT;
	return (-1);
}

int
lax_open(const char *path, char *why, size_t len)
{
	return (secret_open(path, why, len));
}

int
conf_check_files(const struct conf *conf __unused)
{
	return (0);
}

#pragma GCC diagnostic ignored "-Wunused-function" /* nobody needs all */

/* The daemon as it is after its start; nothing that it tells is written. */
static struct conf *
daemon_begin(void)
{
	struct conf *conf = conf_parse("conf");

	HOLDS(conf != NULL);
	clock_now = 1000000;
	mtgcpd.conf = conf;
	mtgcpd.file = "conf";
	if (mtgcpd.base == NULL)
		mtgcpd.base = event_base_new();
	HOLDS(event_open(conf) == 0);
	HOLDS(engine_init(mtgcpd.base, conf) == 0);
	history_recall(NULL);
	return (conf);
}

static void
daemon_end(void)
{
	engine_free();
	event_close();
	conf_free(mtgcpd.conf);
	mtgcpd.conf = NULL;
}

#endif /* DAEMON_H */
